/** Small edits of a flow as data, and what each does to a state at once, before the kernel has answered. */

import type { Card, Edge, Json } from "./flow";
import { edgeId } from "./flow";
import type { FlowState } from "./state";

/** The two ends of an edge. */
export interface Ends {
  readonly source: string;
  readonly sourcePort: string;
  readonly target: string;
  readonly targetPort: string;
}

/** What a node that was only just added looks like until the kernel has described it; never sent. */
export interface Likeness {
  readonly card: Card;
  /** Edges that follow from names. */
  readonly edges: readonly Edge[];
}

/**
 * One edit. Without a place (null) the layout decides. `implicit` speaks of the edge that follows from names: connecting
 * takes the cut away that kept it from the flow, disconnecting stores one.
 */
export type EditOp =
  | { readonly op: "move"; readonly node: string; readonly x: number | null; readonly y: number | null }
  /** `fields`: what the document says of the edge beyond its ends. */
  | ({
      readonly op: "connect";
      readonly implicit?: true;
      readonly fields?: Readonly<Record<string, Json>>;
    } & Ends)
  | ({ readonly op: "disconnect"; readonly implicit?: true } & Ends)
  | {
      readonly op: "add";
      readonly typeId: string;
      readonly node: string;
      readonly x: number | null;
      readonly y: number | null;
      readonly settings?: Readonly<Record<string, Json>>;
      readonly policy?: Readonly<Record<string, Json>>;
      readonly like?: Likeness;
    }
  | { readonly op: "remove"; readonly node: string }
  /** What reads a node by its name goes on reading it; not so with `namesFollow: false`, which takes a rename back. */
  | { readonly op: "rename"; readonly node: string; readonly to: string; readonly namesFollow?: false }
  | { readonly op: "policy"; readonly node: string; readonly policy: Readonly<Record<string, Json>> }
  /**
   * `fromCell`: the flow's cell holds this text already. `byHand`: it comes of undo or redo, so that settings it changes
   * were moved by hand and what is below them runs again.
   */
  | { readonly op: "document"; readonly text: string; readonly fromCell?: true; readonly byHand?: true };

/** An edit, or a setting that was moved. */
export type Change =
  | EditOp
  | { readonly op: "set"; readonly node: string; readonly name: string; readonly value: Json };

/** Return the state after a change; the same object where the change does not touch what is shown. */
export function applyChange(state: FlowState, change: Change): FlowState {
  switch (change.op) {
    case "set":
      return withCard(state, change.node, (card) => withSetting(card, change.name, change.value));
    case "move": {
      const { node, x, y } = change;
      return x === null || y === null ? state : withCard(state, node, (card) => ({ ...card, x, y }));
    }
    case "connect":
      return connected(state, change, change.implicit ?? false);
    case "disconnect":
      return disconnected(state, change);
    case "add":
      return added(state, change);
    case "remove":
      return removed(state, change.node);
    case "rename":
      return renamed(state, change.node, change.to, change.namesFollow ?? true);
    case "policy":
      return withCard(state, change.node, (card) => withPolicy(card, change.policy));
    case "document":
      return state; // what it changes, only the kernel knows
  }
}

/** An edit as it travels: what is only for the eye stays here. */
export function withoutLikeness(op: EditOp): EditOp {
  if (op.op !== "add" || !op.like) return op;
  const { like: _, ...sent } = op;
  return sent;
}

function withCard(state: FlowState, id: string, make: (card: Card) => Card): FlowState {
  const card = state.cards.get(id);
  if (!card) return state;
  const changed = make(card);
  return changed === card ? state : { ...state, cards: new Map(state.cards).set(id, changed) };
}

function withSetting(card: Card, name: string, value: Json): Card {
  const place = card.settings.findIndex((setting) => setting.name === name);
  const setting = card.settings[place];
  if (!setting || setting.value === value) return card;
  return { ...card, settings: card.settings.with(place, { ...setting, value }) };
}

function withPolicy(card: Card, policy: Readonly<Record<string, Json>>): Card {
  const flag = (key: string, before: boolean): boolean => (typeof policy[key] === "boolean" ? policy[key] : before);
  const isMuted = flag("muted", card.status === "muted");
  return {
    ...card,
    status: isMuted ? "muted" : card.status === "muted" ? "idle" : card.status,
    bypassed: flag("bypassed", card.bypassed),
    pinned: flag("pinned", card.pinned),
  };
}

function connected(state: FlowState, ends: Ends, implicit: boolean): FlowState {
  const source = state.cards.get(ends.source);
  if (!source || !state.cards.has(ends.target)) return state;
  const type = source.outputs.find((port) => port.name === ends.sourcePort)?.type ?? "any";
  const edges = new Map(state.edges);
  const replaced: string[] = [];
  for (const [id, edge] of edges) {
    if (edge.target !== ends.target || edge.targetPort !== ends.targetPort) continue;
    edges.delete(id); // an input has one edge
    replaced.push(edge.source);
  }
  const { source: from, sourcePort, target, targetPort } = ends;
  const edge: Edge = {
    source: from,
    sourcePort,
    target,
    targetPort,
    implicit,
    type,
    label: null,
    copies: 0,
    copiedBytes: 0,
    copyReason: "",
    carried: false,
  };
  const touched = [ends.source, ends.target, ...replaced];
  return withPortMarks({ ...state, edges: edges.set(edgeId(edge), edge) }, touched);
}

function disconnected(state: FlowState, ends: Ends): FlowState {
  const id = edgeId(ends);
  if (!state.edges.has(id)) return state;
  const edges = new Map(state.edges);
  edges.delete(id);
  return withPortMarks({ ...state, edges }, [ends.source, ends.target]);
}

function added(state: FlowState, add: Extract<EditOp, { readonly op: "add" }>): FlowState {
  if (state.cards.has(add.node)) return state;
  const like = add.like?.card ?? blankCard(add.node, add.typeId);
  const card = { ...like, id: add.node, typeId: add.typeId, x: add.x ?? like.x, y: add.y ?? like.y };
  const cards = new Map(state.cards).set(add.node, add.policy ? withPolicy(card, add.policy) : card);
  const edges = new Map(state.edges);
  const shown = (add.like?.edges ?? []).filter((edge) => cards.has(edge.source) && cards.has(edge.target));
  for (const edge of shown) edges.set(edgeId(edge), edge);
  const touched = shown.flatMap((edge) => [edge.source, edge.target]);
  return touched.length ? withPortMarks({ ...state, cards, edges }, touched) : { ...state, cards };
}

/** A card of which nothing is known but what it is. */
export function blankCard(id: string, typeId: string): Card {
  return {
    id,
    title: "",
    typeId,
    kind: "node",
    doc: "",
    x: 0,
    y: 0,
    w: 0,
    h: 0,
    status: "idle",
    stamp: null,
    reason: "",
    tookS: null,
    inputs: [],
    outputs: [],
    settings: [],
    preview: null,
    copies: 0,
    copiedBytes: 0,
    error: null,
    pinned: false,
    bypassed: false,
    letters: 0,
  };
}

function removed(state: FlowState, id: string): FlowState {
  if (!state.cards.has(id)) return state;
  const cards = new Map(state.cards);
  cards.delete(id);
  const gone = [...state.edges.values()].filter((edge) => edge.source === id || edge.target === id);
  const edges = new Map(state.edges);
  for (const edge of gone) edges.delete(edgeId(edge));
  const touched = gone.flatMap((edge) => [edge.source, edge.target]);
  return withPortMarks({ ...state, cards, edges }, touched);
}

/** What reads the node by its name reads it by an edge afterwards; taking the rename back leaves that to the name again. */
function renamed(state: FlowState, id: string, to: string, namesFollow: boolean): FlowState {
  const card = state.cards.get(id);
  if (!card || id === to || state.cards.has(to)) return state;
  const cards = new Map(
    [...state.cards].map(([key, value]) => (key === id ? [to, { ...card, id: to }] : [key, value])),
  );
  const edges = new Map<string, Edge>();
  for (const edge of state.edges.values()) {
    const moved: { -readonly [key in keyof Edge]: Edge[key] } = {
      ...edge,
      source: edge.source === id ? to : edge.source,
      target: edge.target === id ? to : edge.target,
    };
    const same = moved.source === edge.source && moved.target === edge.target;
    if (edge.source === id && edge.targetPort === id) moved.implicit = false;
    if (edge.source === id && edge.targetPort === to && !namesFollow) moved.implicit = true;
    edges.set(edgeId(moved), same ? edge : moved);
  }
  return { ...state, cards, edges };
}

/** Fill and empty the ports of some cards as their edges say. */
function withPortMarks(state: FlowState, ids: readonly string[]): FlowState {
  const cards = new Map(state.cards);
  const edges = [...state.edges.values()];
  for (const id of new Set(ids)) {
    const card = cards.get(id);
    if (!card) continue;
    const reads = new Set(edges.filter((edge) => edge.target === id).map((edge) => edge.targetPort));
    const feeds = new Set(edges.filter((edge) => edge.source === id).map((edge) => edge.sourcePort));
    cards.set(id, {
      ...card,
      inputs: card.inputs.map((port) => marked(port, reads.has(port.name))),
      outputs: card.outputs.map((port) => marked(port, feeds.has(port.name))),
      settings: card.settings.map((setting) => marked(setting, reads.has(setting.name))),
    });
  }
  return { ...state, cards };
}

function marked<T extends { readonly connected: boolean }>(port: T, isConnected: boolean): T {
  return port.connected === isConnected ? port : { ...port, connected: isConnected };
}
