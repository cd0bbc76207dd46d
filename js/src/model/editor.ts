/**
 * What a person does to one flow: shown at once, sent to the kernel, remembered for undo.
 *
 * Every gesture gives one message and one step of the history, however many operations it has. Moved settings travel
 * alone: the first at once, and then at most one message per setting and frame. Nothing is done without a kernel that answers, and `whyNot` says so.
 */

import type { TypeEntry } from "./catalogue";
import { type DocumentFacts, documentFacts, readDocument } from "./document";
import { edgeId, type Json } from "./flow";
import type { Gesture } from "./gestures";
import { History } from "./history";
import { type Background, inverseOf } from "./inverse";
import { Listeners } from "./listeners";
import { applyChange, type Change, type EditOp, withoutLikeness } from "./operations";
import type { FlowState } from "./state";
import type { FlowStore } from "./store";

/** Which part of a flow to run; nothing of it means all. */
export interface Scope {
  readonly to?: readonly string[];
  readonly after?: readonly string[];
  readonly only?: readonly string[];
  readonly stale?: true;
  readonly force?: boolean;
}

/** What is inside a node that is made from a flow: another flow, as it is there. */
export interface Inside {
  /** Shows it; nothing can be changed from there. */
  readonly editor: Editor;
  /** Hear of it from now on until the returned function is called. */
  use(): () => void;
}

/** The way to the kernel, which a host gives. Whatever bears a `cid` is answered through the store. */
export interface Channel {
  edit(cid: string, ops: readonly EditOp[]): void;
  set(cid: string, node: string, name: string, value: Json): void;
  run(cid: string, scope: Scope): void;
  cancel(cid: string): void;
  /** What is inside a node; absent where nothing can be looked into. */
  inside?(node: string): Inside;
  /** The node types one can add, as the kernel listed them. */
  readonly types: readonly TypeEntry[];
}

/** What undo or redo did: the nodes it touched, or why it did nothing. */
export interface Undone {
  readonly why: string;
  readonly label: string;
  readonly nodes: readonly string[];
}

export class Editor {
  readonly store: FlowStore;
  readonly history = new History();
  /** The history changed: there is something else to undo. */
  readonly onHistory = new Listeners();
  readonly #channel: Channel | null;
  readonly #nextFrame: (call: () => void) => void;
  readonly #moved = new Map<string, { readonly cid: string; readonly change: Change & { readonly op: "set" } }>();
  readonly #whyReadOnly: string;
  #isFrameOver = true;
  #document: { readonly from: unknown; readonly facts: DocumentFacts | null } = { from: null, facts: null };

  /**
   * `channel` is null where nobody would answer; `nextFrame` calls a function once before the next frame is painted;
   * `whyReadOnly` says in words why nothing can be edited here at all.
   */
  constructor(
    store: FlowStore,
    channel: Channel | null,
    nextFrame: (call: () => void) => void = onFrame,
    whyReadOnly = "",
  ) {
    this.store = store;
    this.#whyReadOnly = whyReadOnly;
    this.#channel = channel;
    this.#nextFrame = nextFrame;
    store.onRefusal.add(() => {
      if (store.refusal && this.history.forget(store.refusal.cid)) this.onHistory.call();
    });
  }

  get types(): readonly TypeEntry[] {
    return this.#channel?.types ?? [];
  }

  /** Say in words why nothing can be edited or run; empty when it can. */
  get whyNot(): string {
    if (this.#whyReadOnly) return this.#whyReadOnly;
    if (!this.#channel || this.store.connection === "recorded") {
      return "This is a recording: run a cell of the flow to work with it.";
    }
    if (this.store.connection === "connecting") return "The kernel has not answered yet.";
    return this.store.isLive ? "" : "The kernel is gone: run a cell of the flow to go on.";
  }

  /** What is inside a node that is made from a flow; null without a kernel that would tell. */
  inside(node: string): Inside | null {
    return (this.store.isLive && this.#channel?.inside?.(node)) || null;
  }

  /** What is known of the flow beside its state. */
  get background(): Background {
    const { documentText: text, state } = this.store;
    const from = text ?? state.document;
    if (this.#document.from !== from) {
      this.#document = { from, facts: text === null ? documentFacts(state.document, false) : readDocument(text) };
    }
    const moved = new Set(
      this.store.pending.flatMap(({ change }) => (change.op === "move" || change.op === "add" ? [change.node] : [])),
    );
    return { facts: this.#document.facts, isMoved: (node) => moved.has(node) };
  }

  /** Carry a gesture out. Gestures with the same key that follow each other are one. Return why not, or nothing. */
  perform(gesture: Gesture, key: string | null = null): string {
    const why = this.whyNot || gesture.why;
    if (why || !gesture.ops.length) return why;
    const undo = inverseOf(this.store.state, gesture.ops, this.background);
    const cids = this.#send(gesture.ops);
    this.history.add({ label: gesture.label, key, redo: gesture.ops, undo, cids });
    this.onHistory.call();
    return "";
  }

  /** Move a setting. Values in quick succession are one step until `settle`, and one message per frame. */
  set(node: string, name: string, value: Json): string {
    if (this.whyNot) return this.whyNot;
    const change = { op: "set" as const, node, name, value };
    const undo = inverseOf(this.store.state, [change], this.background);
    const cid = newCid();
    this.store.propose(cid, change);
    this.#moved.set(JSON.stringify([node, name]), { cid, change });
    if (this.#isFrameOver) {
      this.#isFrameOver = false;
      this.#nextFrame(() => {
        this.#isFrameOver = true;
        this.#sendMoved();
      });
      this.#sendMoved();
    }
    this.history.add({
      label: `set ${node}.${name}`,
      key: `set ${node} ${name}`,
      redo: [change],
      undo,
      cids: [cid],
    });
    this.onHistory.call();
    return "";
  }

  /** The slider was let go, the field was left: what follows is another step. */
  settle(): void {
    this.history.close();
  }

  /** Nothing of what was done is there any more. */
  forget(): void {
    this.#moved.clear();
    this.history.clear();
    this.onHistory.call();
  }

  /** How many steps the document that the kernel told last holds: not those that are still on their way to it. */
  get depth(): number {
    const waiting = new Set(this.store.pending.map(({ cid }) => cid));
    return this.history.depthWithout(waiting);
  }

  /** Steps were taken back, or done again, where the document is kept: so many are left. */
  followTo(depth: number): void {
    this.history.goTo(depth);
    this.onHistory.call();
  }

  undo(): Undone {
    const step = this.history.last;
    return this.#replay("undo", step?.label ?? "", step?.undo ?? null);
  }

  redo(): Undone {
    const step = this.history.next;
    return this.#replay("redo", step?.label ?? "", step?.redo ?? null);
  }

  run(scope: Scope): string {
    const why = this.whyNot;
    if (!why) {
      this.#sendMoved();
      this.#channel?.run(newCid(), scope);
    }
    return why;
  }

  cancel(): string {
    const why = this.whyNot;
    if (!why) this.#channel?.cancel(newCid());
    return why;
  }

  #replay(way: "undo" | "redo", label: string, changes: readonly Change[] | null): Undone {
    const refused = (why: string): Undone => ({ why, label, nodes: [] });
    if (this.whyNot) return refused(this.whyNot);
    if (!changes) return refused(`There is nothing to ${way}.`);
    const apt = aptChanges(this.store.state, changes);
    const cids = apt.length ? this.#send(apt) : [];
    this.history[way](cids);
    this.onHistory.call();
    if (!apt.length && changes.length) return refused(`“${label}” cannot be ${way}ne: the flow has changed since.`);
    return { why: "", label, nodes: [...new Set(apt.flatMap(touched))] };
  }

  /** Show changes and send them: edits that follow each other as one message, moved settings as one each. */
  #send(changes: readonly Change[]): readonly string[] {
    this.#sendMoved();
    const cids: string[] = [];
    let edits: EditOp[] = [];
    const sendEdits = (): void => {
      if (!edits.length) return;
      const cid = newCid();
      cids.push(cid);
      this.store.propose(cid, ...edits);
      this.#channel?.edit(cid, edits.map(withoutLikeness));
      edits = [];
    };
    for (const change of changes) {
      if (change.op !== "set") {
        edits.push(change);
        continue;
      }
      sendEdits();
      const cid = newCid();
      cids.push(cid);
      this.store.propose(cid, change);
      this.#channel?.set(cid, change.node, change.name, change.value);
    }
    sendEdits();
    return cids;
  }

  #sendMoved(): void {
    const moved = [...this.#moved.values()];
    this.#moved.clear();
    if (this.whyNot) return;
    for (const { cid, change } of moved) this.#channel?.set(cid, change.node, change.name, change.value);
  }
}

/** Leave out what can no longer be done, because the flow was changed elsewhere since. */
function aptChanges(state: FlowState, changes: readonly Change[]): readonly Change[] {
  let now = state;
  return changes.filter((change) => {
    if (!isApt(now, change)) return false;
    now = applyChange(now, change);
    return true;
  });
}

function isApt({ cards, edges }: FlowState, change: Change): boolean {
  switch (change.op) {
    case "connect":
      return cards.has(change.source) && cards.has(change.target);
    case "disconnect":
      return (
        edges.has(edgeId(change)) || (change.implicit === true && cards.has(change.source) && cards.has(change.target))
      );
    case "add":
      return !cards.has(change.node);
    case "rename":
      return cards.has(change.node) && !cards.has(change.to);
    case "document":
      return true;
    default:
      return cards.has(change.node);
  }
}

function touched(change: Change): readonly string[] {
  switch (change.op) {
    case "connect":
    case "disconnect":
      return [change.target];
    case "rename":
      return [change.to];
    case "remove":
    case "document":
      return [];
    default:
      return [change.node];
  }
}

let count = 0;
const page = Math.random().toString(36).slice(2, 10);

/** An id no other message of this page has, nor, as good as surely, of another page. */
export function newCid(): string {
  count += 1;
  return `${page}-${count}`;
}

function onFrame(call: () => void): void {
  requestAnimationFrame(call);
}
