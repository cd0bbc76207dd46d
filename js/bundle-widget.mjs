// Bundles the ipyreact widget as one ES module: React stays outside (the host has it), everything else goes in.

import path from "node:path";
import { build } from "esbuild";

const here = import.meta.dirname;
const storeShim = path.join(here, "src/ipyreact/syncExternalStore.ts");

await build({
  entryPoints: { canvas: path.join(here, "src/ipyreact/CanvasWidget.tsx") },
  outdir: path.join(here, "../flowbook/canvas/static"),
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  charset: "utf8",
  legalComments: "none",
  jsx: "automatic",
  loader: { ".css": "text" },
  external: ["react", "react-dom", "react/jsx-runtime"],
  define: { "process.env.NODE_ENV": '"production"' },
  plugins: [
    {
      name: "store-shim",
      setup: (bundler) => bundler.onResolve({ filter: /^use-sync-external-store\/shim/ }, () => ({ path: storeShim })),
    },
  ],
});
