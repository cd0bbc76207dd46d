/** A page with one canvas and a kernel of its own: `?live=0` has none, `?bundle=` chooses what is shown. */

import { createRoot } from "react-dom/client";
import "@xyflow/react/dist/base.css";
import "../../style/tokens.css";
import "../../style/canvas.css";
import "../../style/editing.css";
import { currentCanvas } from "../../src/canvas/current";
import { FlowCanvas } from "../../src/canvas/FlowCanvas";
import { Editor } from "../../src/model/editor";
import { FlowStore } from "../../src/model/store";
import { readCanvas } from "../../src/protocol/reading";
import { bundles, TYPES } from "./bundles";
import { PageKernel } from "./PageKernel";

const query = new URLSearchParams(location.search);
const snapshot = readCanvas(bundles(query.get("bundle") ?? "flow"));
const host = document.getElementById("canvas");
if (!snapshot || !host) throw new Error("nothing to show");

const isLive = query.get("live") !== "0";
const kernel = new PageKernel(snapshot, TYPES);
const store = isLive ? kernel.store : FlowStore.recorded(snapshot);
const editor = new Editor(store, isLive ? kernel : null);
/** Keys that reached the page around the canvas. */
const leaked: string[] = [];
document.addEventListener("keydown", ({ key }) => leaked.push(key));
const openSecond = (): void => {
  const second = document.createElement("div");
  second.style.height = "400px";
  host.after(second);
  createRoot(second).render(<FlowCanvas store={store} editor={editor} wheelZooms />);
};
Object.assign(window, { kernel, store, editor, leaked, currentCanvas, openSecond });
createRoot(host).render(<FlowCanvas store={store} editor={editor} wheelZooms />);
