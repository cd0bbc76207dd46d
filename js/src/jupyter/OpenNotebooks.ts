/** The notebooks that are open, seen through flows: which cells hold a flow, which define a node, and where they are. */

import type { INotebookTracker, NotebookPanel } from "@jupyterlab/notebook";
import { nodeOf } from "../model/flowCell";
import { Listeners } from "../model/listeners";
import { CANVAS_MIME, NODE_MIME, TRACE_MIME } from "../protocol/bundles";
import { type CellModel, CellText } from "./CellText";
import { bundlesIn, type OutputList } from "./outputBundles";
import type { FlowCells } from "./writeBack";

export type CellWidget = NotebookPanel["content"]["widgets"][number];

/** A node that a cell defines; the flow is null where only the kernel knows it. */
export interface DefinedNode {
  readonly flow: string | null;
  readonly node: string;
}

export interface CellPlace {
  readonly panel: NotebookPanel;
  readonly cell: CellWidget;
}

/** How long to wait for more of the same before telling that notebooks changed. */
const GATHER_MS = 30;
const IMPORTS_FLOWBOOK =
  /^[^\S\n]*(?:%load_ext[^\S\n]+flowbook|import[^\S\n]+(?:.*,\s*)?flowbook|from[^\S\n]+flowbook)\b/m;

export class OpenNotebooks {
  /** Cells, their texts, their outputs or their kernels changed. */
  readonly onChange = new Listeners();
  readonly #tracker: INotebookTracker;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(tracker: INotebookTracker) {
    this.#tracker = tracker;
    for (const panel of this.panels) this.#watch(panel);
    tracker.widgetAdded.connect((_, panel) => this.#watch(panel));
    tracker.currentChanged.connect(() => this.#changed());
  }

  get panels(): readonly NotebookPanel[] {
    const found: NotebookPanel[] = [];
    this.#tracker.forEach((panel) => {
      if (!panel.isDisposed && panel.content.model) found.push(panel);
    });
    return found;
  }

  /** The notebooks on a kernel, the one in front first. */
  on(kernelId: string): readonly NotebookPanel[] {
    const current = this.#tracker.currentWidget;
    const here = this.panels.filter((panel) => kernelOf(panel) === kernelId);
    return here.sort((one, other) => Number(other === current) - Number(one === current));
  }

  /** A notebook, and after it the others on its kernel. */
  around(panel: NotebookPanel): readonly NotebookPanel[] {
    const kernelId = kernelOf(panel);
    const others = kernelId === null ? [] : this.on(kernelId).filter((other) => other !== panel);
    return panel.isDisposed || !panel.content.model ? others : [panel, ...others];
  }

  /** The cells of one kernel's notebooks, for those who write into them. */
  flowCells(kernelId: string): FlowCells {
    return {
      find: (flow) =>
        this.on(kernelId)
          .flatMap(textsOf)
          .filter((cell) => cell.flow === flow),
      insert: (flow, text, below) => this.#insert(kernelId, flow, text, below),
      collapse: (id) => {
        const place = this.findCell(kernelId, id);
        if (place) place.cell.inputHidden = true;
      },
      onChange: this.onChange,
    };
  }

  /** The flows whose documents cells of a notebook hold. */
  flowsHeldIn(panel: NotebookPanel): readonly string[] {
    return [...new Set(textsOf(panel).flatMap((cell) => cell.flow ?? []))];
  }

  findCell(kernelId: string, id: string): CellPlace | null {
    for (const panel of this.on(kernelId)) {
      const cell = panel.content.widgets.find((widget) => widget.model.id === id);
      if (cell) return { panel, cell };
    }
    return null;
  }

  /** The cell that defines a node. */
  cellOf(around: NotebookPanel, flow: string, node: string): CellPlace | null {
    return this.#first(around, (cell) =>
      definedIn(cell).some((found) => found.node === node && (found.flow ?? flow) === flow),
    );
  }

  /** The first cell that shows a flow's canvas, else the one that holds it. */
  canvasCellOf(around: NotebookPanel, flow: string): CellPlace | null {
    const shows = (cell: CellWidget): boolean => bundlesOf(cell, CANVAS_MIME).some((bundle) => bundle["flow"] === flow);
    return this.#first(around, shows) ?? this.#first(around, (cell) => heldBy(cell) === flow);
  }

  /** What the notebooks recorded of a flow's canvas; null when nothing. */
  recorded(around: NotebookPanel, flow: string): unknown {
    const cell = this.canvasCellOf(around, flow)?.cell;
    return (cell && bundlesOf(cell, CANVAS_MIME).find((bundle) => bundle["flow"] === flow)) ?? null;
  }

  #first(around: NotebookPanel, isIt: (cell: CellWidget) => boolean): CellPlace | null {
    for (const panel of this.around(around)) {
      const cell = panel.content.widgets.find(isIt);
      if (cell) return { panel, cell };
    }
    return null;
  }

  #insert(kernelId: string, flow: string, text: string, below: string | null): CellText | null {
    const place = below === null ? null : this.findCell(kernelId, below);
    const panel = place?.panel ?? this.#panelWith(kernelId, flow);
    const notebook = panel?.content;
    if (!panel || !notebook?.model) return null;
    const index = place ? notebook.widgets.indexOf(place.cell) + 1 : indexForFlow(panel, flow);
    const shared = notebook.model.sharedModel.insertCell(index, { cell_type: "code", source: text, metadata: {} });
    const id = shared.getId();
    return textsOf(panel).find((cell) => cell.id === id) ?? null;
  }

  #panelWith(kernelId: string, flow: string): NotebookPanel | undefined {
    const panels = this.on(kernelId);
    return panels.find((panel) => firstCellOf(panel, flow) >= 0) ?? panels[0];
  }

  #watch(panel: NotebookPanel): void {
    const { sessionContext } = panel;
    const changed = (): void => this.#changed();
    sessionContext.kernelChanged.connect(changed);
    sessionContext.statusChanged.connect(changed);
    panel.content.modelContentChanged.connect(changed);
    panel.content.modelChanged.connect(changed);
    panel.context.ready.then(changed).catch(() => undefined); // JupyterLab says why a notebook cannot be opened
    panel.disposed.connect(changed);
    this.#changed();
  }

  #changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.onChange.call();
    }, GATHER_MS);
  }
}

export function kernelOf(panel: NotebookPanel): string | null {
  return panel.sessionContext.session?.kernel?.id ?? null;
}

/** Which nodes a cell defines, by what it shows of them; before it shows anything, by its magic line. */
export function definedIn(cell: CellWidget): readonly DefinedNode[] {
  if (cell.model.type !== "code") return [];
  const shown = bundlesOf(cell, NODE_MIME).flatMap(({ flow, node }) =>
    typeof flow === "string" && typeof node === "string" ? [{ flow, node }] : [],
  );
  if (shown.length) return shown.filter(({ node }, place) => shown.findIndex((other) => other.node === node) === place);
  const named = nodeOf(cell.model.sharedModel.getSource());
  return named ? [named] : [];
}

/** The flow whose document a cell holds. */
export function heldBy(cell: CellWidget): string | null {
  return new CellText(cell.model as CellModel).flow;
}

/** The flows a notebook is about, those of one cell first; what only a magic line names is not among them. */
export function flowsOf(panel: NotebookPanel, first: CellWidget | null = null): readonly string[] {
  const cells = [...(first ? [first] : []), ...panel.content.widgets];
  const named = (cell: CellWidget): readonly (string | null)[] => [
    heldBy(cell),
    ...flowsShownIn(cell),
    ...definedIn(cell).map(({ flow }) => flow),
  ];
  return [...new Set(cells.flatMap(named).filter((flow) => flow !== null))];
}

/** The flows whose canvas, runs or nodes a cell shows. */
export function flowsShownIn(cell: CellWidget): readonly string[] {
  const found = [CANVAS_MIME, TRACE_MIME, NODE_MIME].flatMap((mime) => bundlesOf(cell, mime));
  return [...new Set(found.flatMap(({ flow }) => (typeof flow === "string" ? [flow] : [])))];
}

/** The bundles of one type in a cell's outputs. */
export function bundlesOf(cell: CellWidget, mime: string): readonly Readonly<Record<string, unknown>>[] {
  const { outputs } = cell.model as { readonly outputs?: OutputList };
  return outputs ? bundlesIn(outputs, mime) : [];
}

function textsOf(panel: NotebookPanel): readonly CellText[] {
  const found: CellText[] = [];
  for (const model of panel.content.model?.cells ?? []) found.push(new CellText(model as CellModel));
  return found;
}

/** The place of the first cell that shows or defines something of a flow; -1 when none does. */
function firstCellOf(panel: NotebookPanel, flow: string): number {
  return panel.content.widgets.findIndex(
    (cell) => flowsShownIn(cell).includes(flow) || definedIn(cell).some((found) => found.flow === flow),
  );
}

/** Above the first node, and below the cell that makes the magic known. */
function indexForFlow(panel: NotebookPanel, flow: string): number {
  const { widgets, activeCellIndex } = panel.content;
  const first = firstCellOf(panel, flow);
  const imports = widgets.findIndex((cell) => IMPORTS_FLOWBOOK.test(cell.model.sharedModel.getSource()));
  return Math.max(first >= 0 ? first : activeCellIndex, imports + 1);
}
