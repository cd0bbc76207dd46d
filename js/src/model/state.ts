/** The state of one flow: immutable, so that two states are compared by identity, part by part. */

import type { Card, Edge, Group, Json, Note, RunSummary, Snapshot } from "./flow";
import { edgeId } from "./flow";

export interface FlowState {
  readonly flow: string;
  readonly seq: number;
  readonly at: string | null;
  readonly cards: ReadonlyMap<string, Card>;
  readonly edges: ReadonlyMap<string, Edge>;
  readonly groups: readonly Group[];
  readonly notes: readonly Note[];
  readonly run: RunSummary | null;
  readonly document: Json;
  readonly summarised: boolean;
}

export function emptyState(flow: string): FlowState {
  return {
    flow,
    seq: 0,
    at: null,
    cards: new Map(),
    edges: new Map(),
    groups: [],
    notes: [],
    run: null,
    document: null,
    summarised: false,
  };
}

/** Turn a snapshot into a state; what is equal to a part of `before` stays that very object. */
export function stateOf(snapshot: Snapshot, before: FlowState): FlowState {
  return {
    flow: snapshot.flow,
    seq: snapshot.seq,
    at: snapshot.at,
    cards: keyed(snapshot.nodes, (card) => card.id, before.cards),
    edges: keyed(snapshot.edges, edgeId, before.edges),
    groups: kept(snapshot.groups, before.groups),
    notes: kept(snapshot.notes, before.notes),
    run: kept(snapshot.run, before.run),
    document: kept(snapshot.document, before.document),
    summarised: snapshot.summarised,
  };
}

/** Return `before` where nothing differs. */
export function kept<T>(now: T, before: T): T {
  return isEqual(now, before) ? before : now;
}

/** Replace some cards; places, ids nobody knows included, are the kernel's to say. */
export function withCards(state: FlowState, changed: readonly Card[]): FlowState {
  const cards = new Map(state.cards);
  let isNews = false;
  for (const card of changed) {
    const before = cards.get(card.id);
    const now = before ? kept(card, before) : card;
    if (now !== before) isNews = true;
    cards.set(card.id, now);
  }
  return isNews ? { ...state, cards } : state;
}

export function withEdges(state: FlowState, edges: readonly Edge[]): FlowState {
  const now = keyed(edges, edgeId, state.edges);
  return now === state.edges ? state : { ...state, edges: now };
}

function keyed<T>(
  items: readonly T[],
  key: (item: T) => string,
  before: ReadonlyMap<string, T>,
): ReadonlyMap<string, T> {
  const found = new Map<string, T>();
  for (const item of items) {
    const id = key(item);
    const old = before.get(id);
    found.set(id, old === undefined ? item : kept(item, old));
  }
  return sameMap(found, before) ? before : found;
}

function sameMap<T>(one: ReadonlyMap<string, T>, other: ReadonlyMap<string, T>): boolean {
  if (one.size !== other.size) return false;
  const ids = other.keys();
  for (const [id, item] of one) if (id !== ids.next().value || item !== other.get(id)) return false;
  return true;
}

function isEqual(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || !one || !other) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const keys = Object.keys(one);
  if (keys.length !== Object.keys(other).length) return false;
  return keys.every((key) => Object.hasOwn(other, key) && isEqual(field(one, key), field(other, key)));
}

const field = (item: object, key: string): unknown => (item as Record<string, unknown>)[key];
