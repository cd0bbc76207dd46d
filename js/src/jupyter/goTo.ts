/** Ways between the notebook and the canvas: from a node to its cell, from a cell to its node. */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import type { NotebookPanel } from "@jupyterlab/notebook";
import { canvasAround } from "../canvas/current";
import { openCanvas, openedCanvas } from "./DockedCanvas";
import type { CellPlace } from "./OpenNotebooks";
import type { NotebookFlows } from "./tokens";

/** How long a canvas may take to be drawn. */
const DRAWN_LIMIT_MS = 3000;

/** Bring a cell into sight, choose it and point at it. */
export async function goToCell(app: JupyterFrontEnd, { panel, cell }: CellPlace): Promise<void> {
  app.shell.activateById(panel.id);
  const notebook = panel.content;
  notebook.deselectAll();
  notebook.activeCellIndex = notebook.widgets.indexOf(cell);
  notebook.mode = "command";
  await notebook.scrollToCell(cell, "center");
  notebook.node.focus({ preventScroll: true });
  pointAt(cell.node);
}

/** Show a node on the canvas that stands beside the notebook, else on the one in it, else on a new one beside it. */
export async function goToNode(
  app: JupyterFrontEnd,
  flows: NotebookFlows,
  panel: NotebookPanel,
  flow: string,
  node: string,
): Promise<void> {
  const opened = openedCanvas(app, panel, flow);
  const place = opened ? null : flows.notebooks.canvasCellOf(panel, flow);
  if (place?.cell.node.querySelector(".fb-canvas")) {
    app.shell.activateById(place.panel.id);
    await place.panel.content.scrollToCell(place.cell, "auto");
    place.cell.node.querySelector(".fb-canvas")?.scrollIntoView({ block: "nearest" });
    await showNode(place.cell.node, node);
    return;
  }
  const beside = opened ?? openCanvas(app, flows, panel, flow);
  app.shell.activateById(beside.id);
  await showNode(beside.node, node);
}

/** Choose a node on the canvas inside of an element, as soon as it is drawn. */
async function showNode(host: Element, node: string): Promise<void> {
  for (const began = performance.now(); performance.now() - began < DRAWN_LIMIT_MS; ) {
    const canvas = host.querySelector(".fb-canvas");
    const context = canvas && canvasAround(canvas);
    if (context) {
      context.view.selection.choose([node]);
      context.screen.reveal(node);
      context.screen.focus();
      return;
    }
    await new Promise(requestAnimationFrame);
  }
}

function pointAt(element: HTMLElement): void {
  element.classList.remove("fb-pointed");
  void element.offsetWidth; // so that the animation begins anew
  element.classList.add("fb-pointed");
  element.addEventListener("animationend", () => element.classList.remove("fb-pointed"), { once: true });
}
