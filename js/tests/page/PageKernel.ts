/**
 * A kernel for one flow in the page itself: keeps a document, takes edits after a moment or refuses them, and answers as
 * the real one does. What it was asked is kept in `asked`.
 */

import type { TypeEntry } from "../../src/model/catalogue";
import type { Channel, Scope } from "../../src/model/editor";
import type { Card, Json, Snapshot } from "../../src/model/flow";
import { edgeId } from "../../src/model/flow";
import type { Point } from "../../src/model/geometry";
import { likelyCard } from "../../src/model/gestures";
import { applyChange, type Change, type EditOp } from "../../src/model/operations";
import { emptyState, type FlowState, stateOf } from "../../src/model/state";
import { FlowStore } from "../../src/model/store";
import { whyNotConnect } from "../../src/model/wiring";

const ANSWER_MS = 20;

export class PageKernel implements Channel {
  readonly store: FlowStore;
  readonly types: readonly TypeEntry[];
  readonly asked: unknown[] = [];
  /** The words to refuse the next edit with; empty: it is taken. */
  refusal = "";
  #state: FlowState;
  #rev = 1;
  readonly #layout = new Map<string, Point>();
  readonly #positions = new Map<string, Point>();
  /** What was removed, for the shape of its type. */
  readonly #gone = new Map<string, Card>();
  readonly #cuts = new Map<string, Change & { readonly op: "disconnect" }>();

  constructor(snapshot: Snapshot, types: readonly TypeEntry[]) {
    this.types = types;
    this.store = new FlowStore(snapshot.flow);
    this.#state = stateOf(snapshot, emptyState(snapshot.flow));
    for (const { id, x, y } of snapshot.nodes) this.#layout.set(id, { x, y });
    this.#tell();
    this.store.connect("live");
  }

  /** What the document says: for comparisons before and after undo. */
  get document(): Json {
    const { cards, edges } = this.#state;
    return {
      nodes: [...cards.values()]
        .filter(({ kind }) => kind !== "input")
        .map(({ id, typeId, settings, status, bypassed, pinned }) => ({
          ...{ id, typeId },
          settings: Object.fromEntries(settings.map(({ name, value }) => [name, value])),
          policy: { muted: status === "muted", bypassed, pinned },
          position: (this.#positions.get(id) as unknown as Json) ?? null,
        }))
        .sort((one, other) => (one.id < other.id ? -1 : 1)),
      edges: [...edges.values()]
        .filter(({ implicit }) => !implicit)
        .map((edge) => edgeId(edge))
        .sort(),
      cuts: [...this.#cuts.values()].map(({ source, target, targetPort }) => ({ source, target, targetPort })),
    };
  }

  edit(cid: string, ops: readonly EditOp[]): void {
    this.#answer(
      { kind: "edit", ops },
      cid,
      ops.map((op) => (op.op === "add" ? this.#described(op) : op)),
    );
  }

  /** Give a new node the ports of its type, or of another node of it. */
  #described(op: Extract<EditOp, { readonly op: "add" }>): EditOp {
    const entry = this.types.find(({ typeId }) => typeId === op.typeId);
    if (entry) return { ...op, like: { card: likelyCard(entry, op.node), edges: [] } };
    const twin = [...this.#state.cards.values(), ...this.#gone.values()].find(({ typeId }) => typeId === op.typeId);
    if (!twin) return op;
    const settings = twin.settings.map((setting) => ({
      ...setting,
      connected: false,
      value: op.settings?.[setting.name] ?? setting.default,
    }));
    const inputs = twin.inputs.map((input) => ({ ...input, connected: false }));
    const outputs = twin.outputs.map((output) => ({ ...output, connected: false }));
    return { ...op, like: { card: { ...twin, inputs, outputs, settings, status: "idle", stamp: null }, edges: [] } };
  }

  set(cid: string, node: string, name: string, value: Json): void {
    this.#answer({ kind: "set", node, name, value }, cid, [{ op: "set", node, name, value }]);
  }

  run(_cid: string, scope: Scope): void {
    this.asked.push({ kind: "run", scope });
  }

  cancel(): void {
    this.asked.push({ kind: "cancel" });
  }

  #answer(asked: unknown, cid: string, changes: readonly Change[]): void {
    this.asked.push(asked);
    setTimeout(() => {
      const why = this.refusal || this.#whyNot(changes);
      this.refusal = "";
      if (why) {
        this.store.refuse({ cid, code: "FB207", message: why, hint: "" });
        return;
      }
      for (const change of changes) this.#take(change);
      this.#wireByName();
      this.#rev += 1;
      this.store.acknowledge(cid, this.#rev);
      this.#tell();
    }, ANSWER_MS);
  }

  #whyNot(changes: readonly Change[]): string {
    let state = this.#state;
    for (const change of changes) {
      const why = change.op === "connect" ? whyNotConnect(state, change) : "";
      if (why) return why;
      state = applyChange(state, change);
    }
    return "";
  }

  #take(change: Change): void {
    const { op } = change;
    if (op === "move" || op === "add") {
      const { node, x, y } = change;
      if (x !== null && y !== null) this.#positions.set(node, { x, y });
      else this.#positions.delete(node);
    }
    if (op === "disconnect") {
      const isImplicit = change.implicit ?? this.#state.edges.get(edgeId(change))?.implicit ?? false;
      if (isImplicit) this.#cuts.set(`${change.source}→${change.target}.${change.targetPort}`, change);
    }
    if (op === "connect") this.#cuts.delete(`${change.source}→${change.target}.${change.targetPort}`);
    if (op === "remove") {
      const card = this.#state.cards.get(change.node);
      if (card) this.#gone.set(card.typeId, card);
      this.#positions.delete(change.node);
      for (const [key, cut] of this.#cuts) {
        if (cut.source === change.node || cut.target === change.node) this.#cuts.delete(key);
      }
    }
    if (op === "rename") {
      const place = this.#positions.get(change.node);
      this.#positions.delete(change.node);
      if (place) this.#positions.set(change.to, place);
      const layout = this.#layout.get(change.node);
      if (layout) this.#layout.set(change.to, layout);
    }
    this.#state = applyChange(this.#state, change);
  }

  /** An input without an edge reads the node, or else the one output, that bears its name. */
  #wireByName(): void {
    for (const target of this.#state.cards.values()) {
      for (const { name, connected, constant } of target.inputs) {
        const others = [...this.#state.cards.values()].filter(({ id }) => id !== target.id);
        const named = others.filter(({ id, kind }) => kind !== "input" && id === name);
        const giving = others.filter(({ outputs }) => outputs.some((output) => output.name === name));
        const [source, ...more] = named.length ? named : giving;
        const sourcePort = source?.outputs.find((output) => output.name === name) ?? source?.outputs[0];
        if (!source || !sourcePort || more.length || connected || constant !== undefined) continue;
        const ends = { source: source.id, sourcePort: sourcePort.name, target: target.id, targetPort: name };
        if (this.#cuts.has(`${source.id}→${target.id}.${name}`)) continue;
        if (!whyNotConnect(this.#state, ends) || source.kind === "input") {
          this.#state = applyChange(this.#state, { op: "connect", ...ends, implicit: true });
        }
      }
    }
  }

  #tell(): void {
    const { flow, cards, edges, groups, notes, run, document, at } = this.#state;
    const nodes = [...cards.values()].map((card) => {
      const { x, y } = this.#positions.get(card.id) ?? this.#layout.get(card.id) ?? card;
      return { ...card, x, y };
    });
    this.store.update({
      rev: this.#rev,
      snapshot: {
        ...{ flow, groups, notes, run, document, at, nodes },
        edges: [...edges.values()],
        seq: this.#rev,
        runId: null,
        layoutHash: "",
        summarised: false,
      },
      documentText: JSON.stringify(this.document),
    });
  }
}
