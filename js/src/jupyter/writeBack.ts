/**
 * Writes a flow's document back into the cell that holds it.
 *
 * One keeper looks after one flow of one kernel in this browser. The kernel says whether its flow was edited since it saw
 * the cell's text, what it saw, and which browser is the one to write. A write waits until the operation is over: until
 * no button is held on a canvas and the document has been still for a moment.
 */

import type { DocumentHistory, DocumentKeeper, KeepingState } from "../model/documentKeeper";
import { type CellNews, cellTextOf, documentIn, judge, type Verdict, withDocument } from "../model/flowCell";
import { Listeners } from "../model/listeners";
import type { FlowStore } from "../model/store";
import type { BrowserMessage } from "../protocol/messages";
import type { CellText } from "./CellText";

/** How long a document has to be still before it is written; longer than a key that repeats, shorter than a thought. */
const STILL_MS = 100;

/** Where a keeper finds cells; filled by the notebooks that are open on the flow's kernel. */
export interface FlowCells {
  /** The cells that hold a flow now. */
  find(flow: string): readonly CellText[];
  /** Add a cell that holds a flow: below another, else above the flow's first node; null where there is no notebook. */
  insert(flow: string, text: string, below: string | null): CellText | null;
  /** Show less of a cell whose text has grown long. */
  collapse(cellId: string): void;
  /** A cell, its text or its place changed. */
  readonly onChange: Listeners;
}

/** What a keeper needs of its surroundings. */
export interface KeeperOptions {
  readonly store: FlowStore;
  readonly cells: FlowCells;
  /** Tell the kernel. */
  readonly send: (message: BrowserMessage) => void;
  /**
   * Make the flow what a document in its cell says; the flow's revision then, or null: the kernel did not agree. A step
   * that was undone or done again is by hand: what depends on settings it moved runs again.
   */
  readonly follow: (document: string, isByHand: boolean) => Promise<number | null>;
  /** Whether the flow was edited in this browser. */
  readonly isEdited: () => boolean;
  /** The canvas' own list of what can be undone: writes and its steps are not one to one. */
  readonly steps: { readonly depth: number; followTo(depth: number): void };
  /** Whether a button is held on a canvas: an operation is not over. */
  readonly isHeld: () => boolean;
  readonly copy: (text: string) => void;
  /** From how many nodes on a cell that is written is collapsed. */
  readonly collapseAbove: () => number;
}

interface Write {
  readonly cellId: string;
  readonly before: string;
  readonly after: string;
  /** How many steps of the canvas the text held before and after. */
  readonly depthBefore: number;
  readonly depthAfter: number;
}

const NOTHING: CellNews = { id: null, text: null, due: false };
const KEPT: KeepingState = { kind: "kept" };

export class CellKeeper implements DocumentKeeper {
  readonly onState = new Listeners();
  readonly history: DocumentHistory = { undo: () => this.#undo(), redo: () => this.#redo() };
  readonly #options: KeeperOptions;
  readonly #stop: () => void;
  #news: CellNews | null = null;
  #state: KeepingState = KEPT;
  /** The document that was written here a moment ago, until the kernel says that it has seen it. */
  #written: string | null = null;
  /** The document that stood in the cell, as the kernel had seen it, when another browser's writing went past it. */
  #leftBehind: string | null = null;
  /** Whether this browser is the one that writes; null: the kernel has not said. */
  #isWriter: boolean | null = null;
  #hasDeclined = false;
  /** Until the kernel's revision has come this far, what is shown is older than the cell's text. */
  #fromRev = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** How many steps of the canvas the cell's text holds. */
  #depth = 0;
  #done: Write[] = [];
  #undone: Write[] = [];
  #wanted: (() => void)[] = [];

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#stop = options.cells.onChange.add(() => this.#cellsChanged());
  }

  get flow(): string {
    return this.#options.store.flow;
  }

  get state(): KeepingState {
    return this.#state;
  }

  /** How many cells hold the flow. */
  get cellIds(): readonly string[] {
    return this.#cells().map((cell) => cell.id);
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#stop();
  }

  /** Take what the kernel says of the cell. */
  tell(news: CellNews): void {
    const before = this.#news?.text ?? null;
    if (before !== null && before !== news.text && news.text !== this.#written) {
      const stands = this.#cells().some((cell) => documentIn(cell.text) === before);
      if (stands) this.#leftBehind = before;
    }
    if (news.text === this.#written) this.#written = null;
    this.#news = news;
    this.#cellsChanged();
  }

  /** Take who writes: of all browsers that show the flow, one. */
  lease(isWriter: boolean): void {
    this.#isWriter = isWriter;
    this.#cellsChanged();
  }

  /** The document may have changed, or an edit was refused: what waits to be written waits a little longer. */
  documentChanged(): void {
    if (this.#verdict().kind === "write") this.#schedule();
    else if (!this.#options.store.pending.length) this.#wanted = []; // what was to be undone first is not coming
  }

  /** The kernel is gone, or another one: nothing it said holds any more. */
  forget(): void {
    clearTimeout(this.#timer);
    this.#news = null;
    this.#written = this.#leftBehind = null;
    this.#isWriter = null;
    this.#hasDeclined = false;
    this.#fromRev = 0;
    this.#wanted = [];
    this.#show({ kind: "rest", several: 0 });
  }

  /** A button that was held on a canvas was let go. */
  released(): void {
    if (this.#verdict().kind === "write") this.#schedule();
  }

  useCanvas(): void {
    const verdict = this.#verdict();
    if (verdict.kind === "differs") this.#write(verdict.cell);
  }

  useText(): void {
    const verdict = this.#verdict();
    if (verdict.kind === "differs") void this.#follow(verdict.cell, false);
  }

  keepInNotebook(): void {
    const { store, cells } = this.#options;
    const verdict = this.#verdict();
    const below = verdict.kind === "locked" ? verdict.cell.id : null;
    const cell = cells.insert(this.flow, cellTextOf(this.flow, store.documentText ?? "{}"), below);
    if (cell) this.#wrote(cell);
  }

  copyDocument(): void {
    this.#options.copy(cellTextOf(this.flow, this.#options.store.documentText ?? "{}"));
  }

  // -- deciding

  #cells(): readonly CellText[] {
    return this.#options.cells.find(this.flow);
  }

  #verdict(): Verdict<CellText> {
    return judge(this.#cells(), this.#news ?? NOTHING, {
      isWriter: this.#isWriter === true,
      isEdited: this.#options.isEdited(),
      known: new Set([this.#written, this.#leftBehind].filter((document) => document !== null)),
    });
  }

  #cellsChanged(): void {
    if (!this.#news) return;
    const cells = this.#cells();
    if (!cells.some((cell) => documentIn(cell.text) === this.#leftBehind)) this.#leftBehind = null;
    this.#settleLease(cells.some((cell) => !cell.isLocked));
    const verdict = this.#verdict();
    this.#show(verdict);
    if (verdict.kind === "write") this.#schedule();
    else if (verdict.kind !== "rest") this.#wanted = [];
  }

  /** Decline to write where there is no cell that can be written; ask again when there is one. */
  #settleLease(can: boolean): void {
    if (can && this.#hasDeclined) this.#hasDeclined = false;
    else if (!can && this.#isWriter) this.#hasDeclined = true;
    else return;
    this.#options.send({ kind: "lease", flow: this.flow, held: can });
    if (!can) this.#isWriter = false;
  }

  #show(verdict: Verdict): void {
    const state = stateOf(verdict);
    if (state.kind === this.#state.kind && countOf(state) === countOf(this.#state)) return;
    this.#state = state;
    this.onState.call();
  }

  // -- writing

  #schedule(): void {
    clearTimeout(this.#timer);
    if (!this.#options.isHeld()) this.#timer = setTimeout(() => this.#writeNow(), STILL_MS);
  }

  #writeNow(): void {
    clearTimeout(this.#timer);
    const verdict = this.#verdict();
    this.#show(verdict);
    const { isHeld, store } = this.#options;
    if (verdict.kind === "write" && !isHeld() && store.rev >= this.#fromRev) this.#write(verdict.cell);
    const wanted = this.#wanted;
    this.#wanted = [];
    for (const step of wanted) step();
  }

  #write(cell: CellText): void {
    const { store, cells, collapseAbove, steps } = this.#options;
    if (store.documentText === null) return;
    const before = cell.text;
    const after = withDocument(before, store.documentText);
    this.#written = documentIn(after); // who listens to the cell asks while it is written
    cell.write(after);
    if (after !== before) {
      this.#done.push({ cellId: cell.id, before, after, depthBefore: this.#depth, depthAfter: steps.depth });
      this.#undone = [];
      const most = collapseAbove();
      if (nodeCount(before) <= most && nodeCount(after) > most) cells.collapse(cell.id);
    }
    this.#wrote(cell);
  }

  #wrote(cell: CellText): void {
    const text = documentIn(cell.text);
    this.#written = text;
    this.#leftBehind = null;
    this.#depth = this.#options.steps.depth;
    this.#options.send({ kind: "wrote", flow: this.flow, cellId: cell.id, text });
    this.#expect(cell.id, text);
  }

  /** What the kernel is going to say. */
  #expect(id: string, text: string): void {
    if (this.#news) this.#news = { id, text, due: false };
    this.#show(this.#verdict());
  }

  // -- undoing

  #undo(): boolean {
    if (this.#waits(() => this.#undo())) return true;
    const last = this.#done.at(-1);
    const cell = last && this.#cell(last.cellId);
    if (!last || cell?.text !== last.after) return false;
    if (this.#options.steps.depth > last.depthAfter) return false; // the text says nothing of the canvas' last step
    this.#written = documentIn(last.before);
    cell.undo(last.before);
    this.#done.pop();
    this.#undone.push(last);
    this.#stepTo(last.depthBefore);
    void this.#follow(cell, true);
    return true;
  }

  #redo(): boolean {
    if (this.#waits(() => this.#redo())) return true;
    const last = this.#undone.at(-1);
    const cell = last && this.#cell(last.cellId);
    if (!last || cell?.text !== last.before) return false;
    this.#written = documentIn(last.after);
    cell.redo(last.after);
    this.#undone.pop();
    this.#done.push(last);
    this.#stepTo(last.depthAfter);
    void this.#follow(cell, true);
    return true;
  }

  #stepTo(depth: number): void {
    this.#depth = depth;
    this.#options.steps.followTo(depth);
  }

  /** What was done a moment ago is written first, so that it is what is undone. */
  #waits(step: () => void): boolean {
    const { store } = this.#options;
    const verdict = this.#verdict();
    if (verdict.kind === "write") this.#write(verdict.cell);
    if (!store.isLive || !store.pending.length || (verdict.kind !== "write" && verdict.kind !== "rest")) return false;
    this.#wanted.push(step);
    return true;
  }

  #cell(id: string): CellText | undefined {
    return this.#cells().find((cell) => cell.id === id && !cell.isLocked);
  }

  /** Make the flow what a cell's text says. */
  async #follow(cell: CellText, isByHand: boolean): Promise<void> {
    const { text: whole, id } = cell;
    const document = documentIn(whole);
    this.#written = document;
    this.#leftBehind = null;
    this.#fromRev = Number.POSITIVE_INFINITY;
    this.#expect(id, document);
    const rev = await this.#options.follow(document, isByHand);
    this.#fromRev = rev ?? 0;
    if (rev === null && this.#written === document) this.#written = null;
    if (cell.text === whole) cell.markSeen(rev !== null);
    this.#cellsChanged();
  }
}

function stateOf(verdict: Verdict): KeepingState {
  if (verdict.kind === "absent" || verdict.kind === "differs" || verdict.kind === "locked")
    return { kind: verdict.kind };
  return verdict.several ? { kind: "several", count: verdict.several } : KEPT;
}

const countOf = (state: KeepingState): number => (state.kind === "several" ? state.count : 0);

/** How many nodes a document names, told by its lines: it need not be well formed. */
const nodeCount = (text: string): number => text.match(/"typeId"\s*:/g)?.length ?? 0;
