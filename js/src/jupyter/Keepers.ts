/** The keepers of all flows in this browser: one for each flow of each notebook that talks to its kernel. */

import type { ISessionContext } from "@jupyterlab/apputils";
import type { NotebookPanel } from "@jupyterlab/notebook";
import { systemClipboard } from "../canvas/systemClipboard";
import { newCid } from "../model/editor";
import type { ControlClient } from "../protocol/ControlClient";
import type { Batch } from "../protocol/messages";
import type { Controls } from "./Controls";
import { kernelOf, type OpenNotebooks } from "./OpenNotebooks";
import { CellKeeper, type FlowCells } from "./writeBack";

export class Keepers {
  /** From more than this many nodes on a cell that is written is collapsed. */
  collapseAbove = 12;
  readonly #controls: Controls;
  readonly #notebooks: OpenNotebooks;
  readonly #byNotebook = new WeakMap<ISessionContext, NotebookKeepers>();
  readonly #all = new Set<NotebookKeepers>();
  #isHeld = false;

  constructor(controls: Controls, notebooks: OpenNotebooks) {
    this.#controls = controls;
    this.#notebooks = notebooks;
    notebooks.onChange.add(() => this.#follow());
    document.addEventListener("pointerdown", (event) => this.#hold(event), { capture: true });
    for (const end of ["pointerup", "pointercancel"]) {
      window.addEventListener(end, () => this.#release(), { capture: true });
    }
    this.#follow();
  }

  /** Who keeps a flow of a notebook. */
  of(panel: NotebookPanel, flow: string): CellKeeper {
    return this.#in(panel).of(flow);
  }

  /** Whether a button is held on a canvas. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Watch the notebooks that were opened, and the flows whose cells they hold. */
  #follow(): void {
    for (const panel of this.#notebooks.panels) this.#in(panel).follow();
  }

  #in(panel: NotebookPanel): NotebookKeepers {
    const { sessionContext } = panel;
    let keepers = this.#byNotebook.get(sessionContext);
    if (!keepers) {
      keepers = new NotebookKeepers(panel, this.#controls.of(panel).client, this.#notebooks, this);
      const made = keepers;
      this.#byNotebook.set(sessionContext, made);
      this.#all.add(made);
      panel.disposed.connect(() => {
        made.dispose();
        this.#all.delete(made);
      });
    }
    return keepers;
  }

  #hold(event: PointerEvent): void {
    this.#isHeld = event.target instanceof Element && event.target.closest(".fb-root") !== null;
  }

  #release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    for (const keepers of this.#all) keepers.released();
  }
}

/** The keepers of the flows of one notebook. */
class NotebookKeepers {
  readonly #panel: NotebookPanel;
  readonly #client: ControlClient;
  readonly #notebooks: OpenNotebooks;
  readonly #keepers: Keepers;
  readonly #byFlow = new Map<string, CellKeeper>();
  readonly #used = new Map<string, () => void>();
  readonly #stops: readonly (() => void)[];

  constructor(panel: NotebookPanel, client: ControlClient, notebooks: OpenNotebooks, keepers: Keepers) {
    this.#panel = panel;
    this.#client = client;
    this.#notebooks = notebooks;
    this.#keepers = keepers;
    this.#stops = [
      client.onBatch((batch) => this.#take(batch)),
      client.onLease(({ flow, held }) => this.of(flow).lease(held)),
      client.onDrop((flow) => this.#drop(flow)),
      client.onLine.add(() => this.#lineChanged()),
    ];
  }

  of(flow: string): CellKeeper {
    let keeper = this.#byFlow.get(flow);
    if (!keeper) {
      keeper = this.#make(flow);
      this.#byFlow.set(flow, keeper);
    }
    return keeper;
  }

  /** Subscribe to the flows whose cells stand in this notebook, shown or not: what is edited elsewhere is written too. */
  follow(): void {
    if (!this.#client.hello) return;
    const held = new Set(this.#flowsHeld());
    for (const flow of held) if (!this.#used.has(flow)) this.#used.set(flow, this.#client.link(flow).use());
    for (const [flow, stop] of [...this.#used]) {
      if (held.has(flow)) continue;
      stop();
      this.#used.delete(flow);
    }
  }

  released(): void {
    for (const keeper of this.#byFlow.values()) keeper.released();
  }

  dispose(): void {
    for (const stop of [...this.#stops, ...this.#used.values()]) stop();
    for (const keeper of this.#byFlow.values()) keeper.dispose();
  }

  #flowsHeld(): readonly string[] {
    return this.#notebooks.flowsHeldIn(this.#panel);
  }

  #drop(flow: string): void {
    this.#byFlow.get(flow)?.dispose();
    this.#byFlow.delete(flow);
  }

  #take(batch: Batch): void {
    const keeper = this.of(batch.flow);
    if (batch.cell) keeper.tell(batch.cell);
    keeper.documentChanged();
  }

  #lineChanged(): void {
    if (this.#client.hello) this.follow();
    else for (const keeper of this.#byFlow.values()) keeper.forget();
  }

  #make(flow: string): CellKeeper {
    const client = this.#client;
    const keepers = this.#keepers;
    const { store, editor } = client.link(flow);
    const keeper = new CellKeeper({
      store,
      cells: this.#cells(),
      send: (message) => void client.send(message),
      follow: async (document, isByHand) => {
        const said = { op: "document", text: document, fromCell: true } as const;
        const ops = [isByHand ? ({ ...said, byHand: true } as const) : said];
        const answer = await client.command({ kind: "edit", flow, cid: newCid(), baseRev: store.rev, ops });
        return answer.kind === "ack" ? answer.rev : null;
      },
      isEdited: () => editor.history.last !== null,
      steps: editor,
      isHeld: () => keepers.isHeld,
      copy: (text) => systemClipboard.write(text),
      collapseAbove: () => keepers.collapseAbove,
    });
    store.onRefusal.add(() => keeper.documentChanged());
    return keeper;
  }

  /** The cells of the notebooks on whatever kernel this notebook is on now. */
  #cells(): FlowCells {
    const now = (): FlowCells => this.#notebooks.flowCells(kernelOf(this.#panel) ?? "");
    return {
      find: (flow) => now().find(flow),
      insert: (flow, text, below) => now().insert(flow, text, below),
      collapse: (id) => now().collapse(id),
      onChange: this.#notebooks.onChange,
    };
  }
}
