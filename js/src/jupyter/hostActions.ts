/** What a notebook adds to what one can do on a canvas that stands in it, or beside it. */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import type { NotebookPanel } from "@jupyterlab/notebook";
import type { Action, CanvasContext } from "../canvas/actions";
import { whyNoTable } from "../model/tablePorts";
import { openCanvas, openedCanvas } from "./DockedCanvas";
import { goToCell } from "./goTo";
import type { CellPlace } from "./OpenNotebooks";
import { openTable } from "./openTable";
import type { NotebookFlows } from "./tokens";

export function hostActionsOf(app: JupyterFrontEnd, flows: NotebookFlows, panel: NotebookPanel): readonly Action[] {
  const cellOf = ({ store, view }: CanvasContext): CellPlace | null => {
    const node = view.selection.primary;
    return node === null ? null : flows.notebooks.cellOf(panel, store.flow, node);
  };
  return [
    {
      id: "goToCell",
      label: "Go to its cell",
      keys: ["G"],
      group: "host",
      places: ["node"],
      whyNot: (context) => {
        if (context.view.selection.primary === null) return "Choose a node first.";
        return cellOf(context) ? "" : "No cell of this notebook defines it.";
      },
      run: (context) => {
        const place = cellOf(context);
        if (place) void goToCell(app, place);
        return undefined;
      },
    },
    {
      id: "openTable",
      label: "Open as grid",
      keys: ["T"],
      group: "host",
      places: ["node"],
      whyNot: ({ store, view }) => {
        const node = view.selection.primary;
        return whyNoTable(node === null ? undefined : store.card(node));
      },
      run: ({ store, view }) => {
        const node = view.selection.primary;
        if (node !== null) void openTable(app, flows, panel, store.flow, node);
        return undefined;
      },
    },
    {
      id: "sortGrid",
      label: "Sort a grid by the column of its chosen cell",
      keys: ["S"],
      group: "host",
      places: [],
      whyNot: () => "It is for an open grid: press it there.",
      run: () => undefined,
    },
    {
      id: "openBeside",
      label: "Open beside the notebook",
      keys: [],
      group: "host",
      places: ["ground"],
      whyNot: ({ store }) => (openedCanvas(app, panel, store.flow) ? "It is open already." : ""),
      run: ({ store }) => {
        openCanvas(app, flows, panel, store.flow);
        return undefined;
      },
    },
    {
      id: "keepInNotebook",
      label: "Keep in notebook",
      keys: [],
      group: "host",
      places: ["ground"],
      whyNot: ({ keeper, editor }) => {
        if (editor.whyNot || !keeper) return editor.whyNot;
        const isKept = keeper.state.kind !== "absent" && keeper.state.kind !== "locked";
        return isKept ? "A cell of this notebook holds it." : "";
      },
      run: ({ keeper }) => {
        keeper?.keepInNotebook();
        return undefined;
      },
    },
    {
      id: "copyDocument",
      label: "Copy document",
      keys: [],
      group: "host",
      places: ["ground"],
      whyNot: ({ keeper, store }) => (keeper && store.documentText !== null ? "" : "There is no kernel that knows it."),
      run: ({ keeper }) => {
        keeper?.copyDocument();
        return undefined;
      },
    },
  ];
}
