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

export type EditOp =
  | { readonly op: "move"; readonly node: string; readonly x: number; readonly y: number }
  | ({ readonly op: "connect" } & Ends)
  | ({ readonly op: "disconnect" } & Ends)
  | {
      readonly op: "add";
      readonly typeId: string;
      readonly node: string;
      readonly x: number;
      readonly y: number;
      readonly settings?: Readonly<Record<string, Json>>;
    }
  | { readonly op: "remove"; readonly node: string }
  | { readonly op: "rename"; readonly node: string; readonly to: string }
  | { readonly op: "policy"; readonly node: string; readonly policy: Readonly<Record<string, Json>> }
  | { readonly op: "document"; readonly text: string };

/** An edit, or a setting that was moved. */
export type Change =
  | EditOp
  | { readonly op: "set"; readonly node: string; readonly name: string; readonly value: Json };

/** Return the state after a change; the same object where the change does not touch what is shown. */
export function applyChange(state: FlowState, change: Change): FlowState {
  switch (change.op) {
    case "set":
      return withCard(state, change.node, (card) => withSetting(card, change.name, change.value));
    case "move":
      return withCard(state, change.node, (card) => ({ ...card, x: change.x, y: change.y }));
    case "connect":
      return connected(state, change);
    case "disconnect":
      return disconnected(state, change);
    case "add":
      return added(state, change.node, change.typeId, change.x, change.y);
    case "remove":
      return removed(state, change.node);
    case "rename":
      return renamed(state, change.node, change.to);
    case "policy":
    case "document":
      return state; // what they change, only the kernel knows
  }
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

function connected(state: FlowState, ends: Ends): FlowState {
  const source = state.cards.get(ends.source);
  if (!source || !state.cards.has(ends.target)) return state;
  const type = source.outputs.find((port) => port.name === ends.sourcePort)?.type ?? "any";
  const edges = new Map(state.edges);
  for (const [id, edge] of edges) {
    if (edge.target === ends.target && edge.targetPort === ends.targetPort) edges.delete(id); // an input has one edge
  }
  const { source: from, sourcePort, target, targetPort } = ends;
  const edge: Edge = {
    source: from,
    sourcePort,
    target,
    targetPort,
    implicit: false,
    type,
    label: null,
    copies: 0,
    carried: false,
  };
  return withPortMarks({ ...state, edges: edges.set(edgeId(edge), edge) }, [ends.source, ends.target]);
}

function disconnected(state: FlowState, ends: Ends): FlowState {
  const id = edgeId(ends);
  if (!state.edges.has(id)) return state;
  const edges = new Map(state.edges);
  edges.delete(id);
  return withPortMarks({ ...state, edges }, [ends.source, ends.target]);
}

function added(state: FlowState, id: string, typeId: string, x: number, y: number): FlowState {
  if (state.cards.has(id)) return state;
  const card: Card = {
    id,
    title: "",
    typeId,
    kind: "node",
    doc: "",
    x,
    y,
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
  };
  return { ...state, cards: new Map(state.cards).set(id, card) };
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

function renamed(state: FlowState, id: string, to: string): FlowState {
  const card = state.cards.get(id);
  if (!card || id === to || state.cards.has(to)) return state;
  const cards = new Map(
    [...state.cards].map(([key, value]) => (key === id ? [to, { ...card, id: to }] : [key, value])),
  );
  const edges = new Map<string, Edge>();
  for (const edge of state.edges.values()) {
    const moved = {
      ...edge,
      source: edge.source === id ? to : edge.source,
      target: edge.target === id ? to : edge.target,
    };
    const same = moved.source === edge.source && moved.target === edge.target;
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
