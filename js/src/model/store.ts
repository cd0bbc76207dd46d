/**
 * One flow as a view sees it: what the kernel confirmed, and on top of it what was changed here and not yet answered.
 *
 * A view subscribes to what it draws: one card, one edge, the topology (which cards and edges there are, and where), the
 * run, the trace, the connection. A batch of a hundred statuses calls a hundred listeners, not the whole canvas.
 */

import type { Card, Edge, RunSummary, Snapshot, Trace } from "./flow";
import { Listeners } from "./listeners";
import { applyChange, type Change } from "./operations";
import { emptyState, type FlowState, kept, stateOf, withCards, withEdges } from "./state";

/**
 * Where what is shown comes from.
 *
 * - recorded: painted from a file, nobody was asked
 * - connecting: a kernel was asked and has not answered yet
 * - live: a kernel says so, now
 * - lost: there was a kernel, and it is gone; what is shown is what it said last
 */
export type Connection = "recorded" | "connecting" | "live" | "lost";

/** A change that was made here and waits for the kernel. */
export interface Pending {
  readonly cid: string;
  readonly change: Change;
  /** The document's revision that holds the change, once the kernel has said so. */
  readonly ackedRev: number | null;
}

/** Why the kernel did not take a change. */
export interface Refusal {
  readonly cid: string;
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

/** What a batch from the kernel brings; what is absent did not change. */
export interface Update {
  readonly rev: number;
  readonly snapshot?: Snapshot;
  readonly cards?: readonly Card[];
  readonly edges?: readonly Edge[];
  readonly run?: RunSummary | null;
  readonly trace?: Trace;
  readonly documentText?: string;
}

export class FlowStore {
  #confirmed: FlowState;
  #view: FlowState;
  #pending: readonly Pending[] = [];
  #rev = 0;
  #topologyCount = 0;
  #waysCount = 0;
  #trace: Trace | null = null;
  #documentText: string | null = null;
  #connection: Connection = "recorded";
  #refusal: Refusal | null = null;

  readonly #onCard = new Map<string, Listeners>();
  readonly #onEdge = new Map<string, Listeners>();
  /** Cards or edges came, went, moved or changed their size or ports. */
  readonly onTopology = new Listeners();
  /** What the ways of edges are found from changed: the topology, or what stands beside an edge. */
  readonly onWays = new Listeners();
  /** Anything at all changed: for drawings that are made as a whole. */
  readonly onAny = new Listeners();
  readonly onRun = new Listeners();
  readonly onTrace = new Listeners();
  readonly onConnection = new Listeners();
  readonly onRefusal = new Listeners();

  constructor(flow: string) {
    this.#confirmed = this.#view = emptyState(flow);
  }

  /** Make a store that shows a snapshot from a file. */
  static recorded(snapshot: Snapshot): FlowStore {
    const store = new FlowStore(snapshot.flow);
    store.update({ rev: 0, snapshot });
    return store;
  }

  get flow(): string {
    return this.#view.flow;
  }

  /** What is to be drawn. */
  get state(): FlowState {
    return this.#view;
  }

  /** Counts the changes of the topology: equal counts, equal places. */
  get topologyCount(): number {
    return this.#topologyCount;
  }

  /** Counts the changes that `onWays` tells of. */
  get waysCount(): number {
    return this.#waysCount;
  }

  /** The revision of the document that the kernel confirmed last. */
  get rev(): number {
    return this.#rev;
  }

  get trace(): Trace | null {
    return this.#trace;
  }

  get documentText(): string | null {
    return this.#documentText;
  }

  get connection(): Connection {
    return this.#connection;
  }

  get isLive(): boolean {
    return this.#connection === "live";
  }

  get pending(): readonly Pending[] {
    return this.#pending;
  }

  /** The last change that was not taken; null once it was dismissed or another was taken. */
  get refusal(): Refusal | null {
    return this.#refusal;
  }

  card(id: string): Card | undefined {
    return this.#view.cards.get(id);
  }

  edge(id: string): Edge | undefined {
    return this.#view.edges.get(id);
  }

  onCard(id: string, listener: () => void): () => void {
    return listen(this.#onCard, id, listener);
  }

  onEdge(id: string, listener: () => void): () => void {
    return listen(this.#onEdge, id, listener);
  }

  /** Take what the kernel, or a file, says. */
  update(update: Update): void {
    let state = this.#confirmed;
    if (update.snapshot) state = stateOf(update.snapshot, state);
    if (update.cards) state = withCards(state, update.cards);
    if (update.edges) state = withEdges(state, update.edges);
    if (update.run !== undefined) {
      const run = kept(update.run, state.run);
      if (run !== state.run) state = { ...state, run };
    }
    this.#confirmed = state;
    this.#rev = Math.max(this.#rev, update.rev);
    this.#pending = this.#pending.filter(({ ackedRev }) => ackedRev === null || ackedRev > this.#rev);
    if (update.documentText !== undefined) this.#documentText = update.documentText;
    this.#redraw();
    if (update.trace && (!this.#trace || isNewer(update.trace, this.#trace))) {
      this.#trace = update.trace;
      this.onTrace.call();
    }
  }

  /** Show changes at once; they wait for `acknowledge` or `refuse`. A setting moved again replaces its older move. */
  propose(cid: string, ...changes: readonly Change[]): void {
    for (const change of changes) {
      const replaced = (other: Change): boolean =>
        change.op === "set" && other.op === "set" && other.node === change.node && other.name === change.name;
      const kept = this.#pending.filter((pending) => !replaced(pending.change));
      this.#pending = [...kept, { cid, change, ackedRev: null }];
    }
    this.#redraw();
  }

  /** The kernel took a change: it stays on top until a batch of that revision, or a later one, has come. */
  acknowledge(cid: string, rev: number): void {
    this.#pending = this.#pending
      .map((pending) => (pending.cid === cid ? { ...pending, ackedRev: rev } : pending))
      .filter(({ ackedRev }) => ackedRev === null || ackedRev > this.#rev);
    this.#redraw();
    if (this.#refusal) this.dismiss();
  }

  /** The kernel did not take a change: it is undone here, and the reason stands until it is dismissed. */
  refuse(refusal: Refusal): void {
    this.#pending = this.#pending.filter(({ cid }) => cid !== refusal.cid);
    this.#redraw();
    this.#refusal = refusal;
    this.onRefusal.call();
  }

  dismiss(): void {
    this.#refusal = null;
    this.onRefusal.call();
  }

  /** Say where what is shown comes from. Without a kernel nobody will answer: what waits is undone. */
  connect(connection: Connection): void {
    if (connection === this.#connection) return;
    this.#connection = connection;
    if (connection === "lost" || connection === "recorded") {
      this.#pending = [];
      this.#rev = 0; // another kernel counts anew
      this.#redraw();
    }
    this.onConnection.call();
    this.onAny.call();
  }

  #redraw(): void {
    const before = this.#view;
    const now = this.#pending.reduce((state, { change }) => applyChange(state, change), this.#confirmed);
    if (now === before) return;
    this.#view = now;
    notifyChanged(before.cards, now.cards, this.#onCard);
    notifyChanged(before.edges, now.edges, this.#onEdge);
    const isMoved = isOtherTopology(before, now);
    if (isMoved || isOther(before.edges, now.edges, isOtherLabel)) {
      this.#waysCount += 1;
      this.onWays.call();
    }
    if (isMoved) {
      this.#topologyCount += 1;
      this.onTopology.call();
    }
    if (before.run !== now.run) this.onRun.call();
    this.onAny.call();
  }
}

function listen(table: Map<string, Listeners>, id: string, listener: () => void): () => void {
  let listeners = table.get(id);
  if (!listeners) {
    listeners = new Listeners();
    table.set(id, listeners);
  }
  const remove = listeners.add(listener);
  return () => {
    remove();
    if (!table.get(id)?.size) table.delete(id);
  };
}

function notifyChanged<T>(
  before: ReadonlyMap<string, T>,
  now: ReadonlyMap<string, T>,
  listeners: ReadonlyMap<string, Listeners>,
): void {
  if (before === now) return;
  for (const [id, called] of [...listeners]) if (before.get(id) !== now.get(id)) called.call();
}

/** Whether something moved, came or went, so that cards have to be placed anew; a status is not such a change. */
function isOtherTopology(before: FlowState, now: FlowState): boolean {
  if (before.groups !== now.groups || before.notes !== now.notes || before.flow !== now.flow) return true;
  return isOther(before.cards, now.cards, isOtherPlace) || isOther(before.edges, now.edges, isOtherWay);
}

function isOther<T>(
  before: ReadonlyMap<string, T>,
  now: ReadonlyMap<string, T>,
  differs: (one: T, other: T) => boolean,
): boolean {
  if (before === now) return false;
  if (before.size !== now.size) return true;
  for (const [id, item] of now) {
    const old = before.get(id);
    if (old === undefined || (old !== item && differs(old, item))) return true;
  }
  return false;
}

function isOtherPlace(one: Card, other: Card): boolean {
  return (
    one.x !== other.x ||
    one.y !== other.y ||
    one.w !== other.w ||
    one.h !== other.h ||
    names(one.inputs) !== names(other.inputs) ||
    names(one.outputs) !== names(other.outputs) ||
    names(one.settings.filter(isConnected)) !== names(other.settings.filter(isConnected))
  );
}

const isOtherWay = (one: Edge, other: Edge): boolean =>
  one.source !== other.source || one.target !== other.target || one.type !== other.type;

const isOtherLabel = (one: Edge, other: Edge): boolean =>
  one.label !== other.label || one.copies !== other.copies || one.copiedBytes !== other.copiedBytes;

const isConnected = (setting: { readonly connected: boolean }): boolean => setting.connected;
const names = (ports: readonly { readonly name: string }[]): string => ports.map((port) => port.name).join("\n");

/** A trace of another run is news; one of the same run when it counts further. */
function isNewer(trace: Trace, before: Trace): boolean {
  return trace.runId !== before.runId || trace.seq > before.seq || (trace.final && !before.final);
}
