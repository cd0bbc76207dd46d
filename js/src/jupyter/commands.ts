/** JupyterLab's commands: those of a canvas, made from its table of actions, and the one that opens a canvas. */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import type { ICommandPalette } from "@jupyterlab/apputils";
import type { INotebookTracker, NotebookPanel } from "@jupyterlab/notebook";
import { ACTIONS, act, actionById, type CanvasContext } from "../canvas/actions";
import { canvasAround, currentCanvas, onCurrentCanvas } from "../canvas/current";
import { openCanvas } from "./DockedCanvas";
import { flowIcon } from "./flowIcon";
import { flowsOf } from "./OpenNotebooks";
import type { NotebookFlows } from "./tokens";

export const OPEN_CANVAS = "flowbook:open-canvas";
const CATEGORY = "flowbook";
/** Moving from card to card is for keys alone. */
const UNLISTED: ReadonlySet<string> = new Set(["escape", "menu", "open", "selectAll"]);

/** Add the commands, and list them in the palette where there is one. */
export function addCommands(
  app: JupyterFrontEnd,
  tracker: INotebookTracker,
  flows: NotebookFlows,
  palette: ICommandPalette | null,
): void {
  const { commands } = app;
  const list = (command: string): void => void palette?.addItem({ command, category: CATEGORY });
  const inNotebook = (): NotebookPanel | null => tracker.currentWidget;

  commands.addCommand(OPEN_CANVAS, {
    label: "Open Canvas Beside the Notebook",
    caption: "Open the canvas of this notebook’s flow beside it",
    icon: flowIcon,
    describedBy: { args: { type: "object", properties: { flow: { type: "string" } } } },
    isVisible: () => flowsIn(inNotebook()).length > 0,
    isEnabled: () => flowsIn(inNotebook()).length > 0,
    execute: ({ flow }) => {
      const panel = inNotebook();
      const [first] = flowsIn(panel);
      const name = typeof flow === "string" ? flow : first;
      if (panel && name !== undefined) openCanvas(app, flows, panel, name);
    },
  });
  list(OPEN_CANVAS);

  const host = [
    ["goToCell", "Go to Its Cell"],
    ["openTable", "Open as Grid"],
    ["keepInNotebook", "Keep in Notebook"],
    ["copyDocument", "Copy Document"],
  ] as const;
  const listed = ACTIONS.filter(({ id, group }) => group !== "move" && !UNLISTED.has(id));
  for (const [id, label, keys] of [
    ...listed.map((action) => [action.id, action.label, action.keys] as const),
    ...host.map(([action, words]) => [action, words, []] as const),
  ]) {
    const command = `flowbook:${dashed(id)}`;
    const canvas = (): CanvasContext | null => canvasInFront(app);
    commands.addCommand(command, {
      label: () => {
        const context = canvas();
        return (context && actionById(id, context)?.labelNow?.(context)) ?? label;
      },
      caption: keys.length ? `${label} (${keys.join(" or ")} on the canvas)` : label,
      describedBy: { args: { type: "object", properties: {} } },
      isEnabled: () => {
        const context = canvas();
        return context !== null && actionById(id, context)?.whyNot(context) === "";
      },
      execute: () => {
        const context = canvas();
        const action = context && actionById(id, context);
        if (context && action) act(action, context);
      },
    });
    list(command);
  }

  const changed = (): void => commands.notifyCommandChanged();
  onCurrentCanvas.add(changed);
  flows.notebooks.onChange.add(() => commands.notifyCommandChanged(OPEN_CANVAS));
  tracker.currentChanged.connect(changed);
}

/** The canvas in what is in front that had the focus last, else its first; without any the one that had the focus last. */
function canvasInFront(app: JupyterFrontEnd): CanvasContext | null {
  const current = currentCanvas();
  const canvases = app.shell.currentWidget?.node.querySelectorAll(".fb-canvas") ?? [];
  const here = [...canvases].map(canvasAround).filter((context) => context !== null);
  return here.find((context) => context === current) ?? here[0] ?? current;
}

function flowsIn(panel: NotebookPanel | null): readonly string[] {
  return panel?.content.model ? flowsOf(panel, panel.content.activeCell) : [];
}

/** "runStale" is "run-stale". */
const dashed = (id: string): string => id.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
