/**
 * Writes a flow's document back into the cell that holds it.
 *
 * One keeper looks after one flow of one kernel in this browser. The kernel says whether its flow holds edits that the
 * cell's text does not say, what it saw of that text last, and whether this browser is the one to write. A write waits
 * until the operation is over: until no button is held on a canvas and the document has been still for a moment.
 */

import type { DocumentHistory, DocumentKeeper, KeepingState } from "../model/documentKeeper";
import { cellTextOf, judge, type TextNews, type Verdict, withDocument } from "../model/flowCell";
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
  /** Make the flow what a text says; the document's revision then, or null when the kernel did not agree. */
  readonly follow: (cellId: string, text: string) => Promise<number | null>;
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
}

const NOTHING: TextNews = { cellId: null, seen: null, isUnwritten: false, isWriter: false };
const KEPT: KeepingState = { kind: "kept" };

export class CellKeeper implements DocumentKeeper {
  readonly onState = new Listeners();
  readonly history: DocumentHistory = { undo: () => this.#undo(), redo: () => this.#redo() };
  readonly #options: KeeperOptions;
  readonly #stop: () => void;
  #news: TextNews | null = null;
  #state: KeepingState = KEPT;
  /** What was written here a moment ago, until the kernel says that it has seen it. */
  #written: string | null = null;
  /** What stood in the cell, as the kernel had seen it, when another browser's writing went past it. */
  #leftBehind: string | null = null;
  #isWriter = false;
  /** Until the kernel's revision has come this far, what is shown is older than the cell's text. */
  #fromRev = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
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
    return this.#options.cells.find(this.flow).map((cell) => cell.id);
  }

  dispose(): void {
    clearTimeout(this.#timer);
    this.#stop();
  }

  /** Take what the kernel says of the cell's text. */
  tell(news: TextNews): void {
    const before = this.#news;
    if (before?.seen && before.seen !== news.seen && news.seen !== this.#written) {
      const stands = this.#options.cells.find(this.flow).some((cell) => cell.text === before.seen);
      if (stands) this.#leftBehind = before.seen;
    }
    if (news.seen === this.#written) this.#written = null;
    this.#news = news;
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
    this.#isWriter = false;
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
    if (verdict.kind === "differs") void this.#follow(verdict.cell);
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

  #verdict(): Verdict<CellText> {
    const known = new Set([this.#written, this.#leftBehind].filter((text) => text !== null));
    return judge(this.#options.cells.find(this.flow), this.#news ?? NOTHING, known);
  }

  #cellsChanged(): void {
    if (!this.#news) return;
    const cells = this.#options.cells.find(this.flow);
    if (this.#leftBehind !== null && !cells.some((cell) => cell.text === this.#leftBehind)) this.#leftBehind = null;
    const can = cells.some((cell) => !cell.isLocked);
    if (can !== this.#isWriter) {
      this.#isWriter = can;
      this.#options.send({ kind: "writer", flow: this.flow, can });
    }
    const verdict = this.#verdict();
    this.#show(verdict);
    if (verdict.kind === "write") this.#schedule();
    else if (verdict.kind !== "rest") this.#wanted = [];
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
    const { store, cells, collapseAbove } = this.#options;
    if (store.documentText === null) return;
    const before = cell.text;
    this.#written = withDocument(before, store.documentText); // what listens to the cell asks while it is written
    cell.write(this.#written);
    if (cell.text !== before) {
      this.#done.push({ cellId: cell.id, before, after: cell.text });
      this.#undone = [];
      const most = collapseAbove();
      if (nodeCount(before) <= most && nodeCount(cell.text) > most) cells.collapse(cell.id);
    }
    this.#wrote(cell);
  }

  #wrote(cell: CellText): void {
    const { store, send } = this.#options;
    this.#written = cell.text;
    this.#leftBehind = null;
    send({ kind: "wrote", flow: this.flow, cellId: cell.id, text: cell.text, rev: store.rev });
    if (this.#news) this.#news = { ...this.#news, cellId: cell.id, seen: cell.text, isUnwritten: false };
    this.#show(this.#verdict());
  }

  // -- undoing

  #undo(): boolean {
    if (this.#waits(() => this.#undo())) return true;
    const last = this.#done.at(-1);
    const cell = last && this.#cell(last.cellId);
    if (!last || cell?.text !== last.after) return false;
    this.#written = last.before;
    cell.undo(last.before);
    this.#done.pop();
    this.#undone.push(last);
    void this.#follow(cell);
    return true;
  }

  #redo(): boolean {
    if (this.#waits(() => this.#redo())) return true;
    const last = this.#undone.at(-1);
    const cell = last && this.#cell(last.cellId);
    if (!last || cell?.text !== last.before) return false;
    this.#written = last.after;
    cell.redo(last.after);
    this.#undone.pop();
    this.#done.push(last);
    void this.#follow(cell);
    return true;
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
    return this.#options.cells.find(this.flow).find((cell) => cell.id === id && !cell.isLocked);
  }

  /** Make the flow what a cell's text says. */
  async #follow(cell: CellText): Promise<void> {
    const { text, id: cellId } = cell;
    this.#written = text;
    this.#leftBehind = null;
    this.#fromRev = Number.POSITIVE_INFINITY;
    if (this.#news) this.#news = { ...this.#news, cellId, seen: text, isUnwritten: false };
    this.#show(this.#verdict());
    const rev = await this.#options.follow(cellId, text);
    this.#fromRev = rev ?? 0;
    if (rev === null && this.#written === text) this.#written = null;
    if (cell.text === text) cell.markSeen(rev !== null);
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
