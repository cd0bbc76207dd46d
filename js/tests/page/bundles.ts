/** What the page can show, as the kernel would send it. */

import type { TypeEntry } from "../../src/model/catalogue";

const port = (written: string): Record<string, unknown> => {
  const [name, type] = written.split(":");
  return { name, type, connected: false, required: true, shape: null };
};

const setting = (name: string, control: string, value: unknown, more: Record<string, unknown> = {}): unknown => ({
  ...{ name, label: name, control, value, default: value, connected: false },
  ...more,
});

interface Told {
  readonly inputs?: string;
  readonly outputs?: string;
  readonly settings?: readonly unknown[];
  readonly [key: string]: unknown;
}

const node = (id: string, x: number, y: number, told: Told = {}): unknown => ({
  ...{ id, typeId: id, kind: "node", doc: "", x, y, w: 208, h: 116, status: "ok", stamp: "live", reason: "first run" },
  ...{ tookS: 0.03, preview: null, copies: 0, copiedBytes: 0, error: null, pinned: false, bypassed: false },
  ...told,
  inputs: (told.inputs ?? "").split(" ").filter(Boolean).map(port),
  outputs: (told.outputs ?? "result:table").split(" ").map(port),
  settings: told.settings ?? [],
});

const edge = (source: string, target: string, implicit = true): unknown => {
  const [from, sourcePort = "result"] = source.split(".");
  const [to, targetPort] = target.split(".");
  return {
    ...{ source: from, sourcePort, target: to, targetPort, implicit, type: "table" },
    ...{ label: "336,776 × 19", copies: 0, carried: true },
  };
};

type Drawn = Record<string, string> & { readonly inputs: { name?: unknown }[]; readonly outputs: { name?: unknown }[] };

/** Say of every port whether an edge reaches it, as the kernel does. */
function connected(nodes: readonly unknown[], edges: readonly unknown[]): readonly unknown[] {
  const reached = new Set(
    (edges as Drawn[]).flatMap((each) => [
      `${each["source"]}>${each["sourcePort"]}`,
      `>${each["target"]}.${each["targetPort"]}`,
    ]),
  );
  return (nodes as Drawn[]).map((each) => ({
    ...each,
    inputs: each.inputs.map((input) => ({ ...input, connected: reached.has(`>${each["id"]}.${input.name}`) })),
    outputs: each.outputs.map((output) => ({ ...output, connected: reached.has(`${each["id"]}>${output.name}`) })),
  }));
}

const canvas = (drawn: readonly unknown[], edges: readonly unknown[], nodes = connected(drawn, edges)): unknown => ({
  ...{ flowbook: "1", kind: "canvas", flow: "flights", seq: 1, runId: "9f3a6c0e5b7d4f1e8a2c9d0b1e3f5a7c" },
  ...{ at: "2026-11-20T12:00:00Z", layoutHash: "", document: null, nodes, edges, groups: [], notes: [], run: null },
});

const minutes = setting("min_minutes", "slider", 15, { min: 0, max: 120, step: 5, unit: "min", help: "Least delay" });

const FLOW = canvas(
  [
    node("flights", 0, 0, { h: 88, doc: "All flights of 2013." }),
    node("weather", 0, 140, { h: 88 }),
    node("→ path", 0, 280, { kind: "input", title: "path", outputs: "path:text", h: 60, stamp: "from notebook" }),
    node("late", 280, 0, {
      inputs: "flights:table",
      h: 220,
      doc: "Flights that left late.",
      settings: [
        minutes,
        setting("limit", "number", 10, { min: 1, max: 1000 }),
        setting("sort", "select", "delay", { options: ["delay", "late"] }),
        setting("top_only", "switch", false),
        setting("note", "text", ""),
        setting("since", "date", "2026-01-01"),
      ],
    }),
    node("with_weather", 560, 0, { inputs: "late:table weather:table" }),
    node("title", 560, 180, { inputs: "path:text", outputs: "title:text", h: 88 }),
    node("chart", 840, 0, { inputs: "with_weather:table caption:text", outputs: "picture:picture", status: "idle" }),
  ],
  [
    edge("flights", "late.flights"),
    edge("late", "with_weather.late"),
    edge("weather", "with_weather.weather", false),
    edge("with_weather", "chart.with_weather"),
    { ...(edge("→ path.path", "title.path") as object), type: "text" },
  ],
);

/** Those that Python made, and placed as it places them. */
declare global {
  interface Window {
    readonly samples: Readonly<Record<string, unknown>>;
  }
}

const BUNDLES: Readonly<Record<string, unknown>> = { ...window.samples, flow: FLOW, empty: canvas([], []) };

export const bundles = (name: string): unknown => BUNDLES[name];

const inputs = (written: string): TypeEntry["inputs"] =>
  written.split(" ").map((each) => {
    const [name = "", type = "any"] = each.split(":");
    return { name, type, required: true };
  });

export const TYPES: readonly TypeEntry[] = [
  {
    typeId: "table.read",
    label: "table.read",
    doc: "Read a table from a file.",
    inputs: inputs("path:text"),
    outputs: inputs("table:table"),
  },
  {
    typeId: "table.filter",
    label: "table.filter",
    doc: "Keep the rows for which an expression holds.",
    inputs: inputs("table:table"),
    outputs: inputs("result:table"),
  },
  { typeId: "value", label: "value", doc: "A value that is typed in.", inputs: [], outputs: inputs("value:scalar") },
];
