/** What a gesture means as operations, or in words why it means none. Pure: the state is read, nothing is sent. */

import type { TypeEntry } from "./catalogue";
import { type DocumentFacts, fieldsOf } from "./document";
import type { Card, Edge } from "./flow";
import { cardName, edgeId } from "./flow";
import { cardSize, HEADER_PX, MIN_WIDTH_PX, PORT_ROW_PX, type Point, SETTING_ROW_PX } from "./geometry";
import { whyNotRename } from "./naming";
import { blankCard, type EditOp, type Ends } from "./operations";
import type { FlowState } from "./state";
import { whyNotConnect } from "./wiring";
import { counted } from "./wording";

/** Operations with the words an undo list has for them; `why` says why there are none. */
export interface Gesture {
  readonly ops: readonly EditOp[];
  readonly label: string;
  readonly why: string;
}

export const GRID_PX = 20;

const done = (label: string, ops: readonly EditOp[]): Gesture => ({ ops, label, why: "" });
const refused = (why: string): Gesture => ({ ops: [], label: "", why });

const snapped = (length: number): number => Math.round(length / GRID_PX) * GRID_PX;

/** Whether a card stands for a node of the document; a value of the notebook is only drawn. */
export function isNode(card: Card | undefined): card is Card {
  return card !== undefined && card.kind !== "input";
}

/** Put cards somewhere; those that are there already are left out. */
export function moving(state: FlowState, places: ReadonlyMap<string, Point>): Gesture {
  const ops: EditOp[] = [];
  for (const [id, { x, y }] of places) {
    const card = state.cards.get(id);
    const place = { x: Math.round(x), y: Math.round(y) };
    if (isNode(card) && (card.x !== place.x || card.y !== place.y)) ops.push({ op: "move", node: id, ...place });
  }
  return done(ops.length === 1 ? `move ${ops[0]?.op === "move" ? ops[0].node : ""}` : "move", ops);
}

/** Move cards by steps of the grid; a card that lies beside the grid first goes onto it. */
export function nudging(state: FlowState, ids: Iterable<string>, by: Point): Gesture {
  const places = new Map<string, Point>();
  for (const id of ids) {
    const card = state.cards.get(id);
    if (isNode(card)) places.set(id, { x: nudged(card.x, by.x), y: nudged(card.y, by.y) });
  }
  return moving(state, places);
}

function nudged(length: number, by: number): number {
  if (!by) return length;
  const whole = by > 0 ? Math.floor(length / GRID_PX) : Math.ceil(length / GRID_PX);
  return whole * GRID_PX + by;
}

/** Leave the places of cards to the layout. */
export function layingOut(state: FlowState, ids: Iterable<string>): Gesture {
  const ops = [...ids]
    .filter((id) => isNode(state.cards.get(id)))
    .map((node): EditOp => ({ op: "move", node, x: null, y: null }));
  return ops.length ? done("layout", ops) : refused("there is nothing to lay out");
}

/** Draw an edge; one that is there already, and not only by its name, stays as it is. */
export function connecting(state: FlowState, ends: Ends): Gesture {
  const why = whyNotConnect(state, ends);
  if (why) return refused(why);
  const before = state.edges.get(edgeId(ends));
  const { source, sourcePort, target, targetPort } = ends;
  const op: EditOp = { op: "connect", source, sourcePort, target, targetPort };
  return done(`connect ${source} to ${target}`, before && !before.implicit ? [] : [op]);
}

/** Lead an end of an edge to another port; what the document says of the edge goes with it. */
export function reconnecting(state: FlowState, edge: Edge, ends: Ends, facts: DocumentFacts | null): Gesture {
  if (edgeId(edge) === edgeId(ends)) return done("", []);
  const source = state.cards.get(edge.source);
  if (source && !isNode(source)) return refused(whyNoEdge(source));
  const edges = new Map(state.edges);
  edges.delete(edgeId(edge));
  const joined = connecting({ ...state, edges }, ends);
  if (joined.why) return joined;
  const ops = joined.ops.map((op) => (op.op === "connect" ? { ...op, ...fieldsOf(edge, facts) } : op));
  return done(joined.label, [disconnection(edge), ...ops]);
}

const disconnection = ({ source, sourcePort, target, targetPort }: Ends): EditOp => ({
  op: "disconnect",
  source,
  sourcePort,
  target,
  targetPort,
});

const whyNoEdge = (card: Card): string => `“${cardName(card)}” comes by its name: rename the input that reads it`;
const whyNoNode = (card: Card): string => `“${cardName(card)}” belongs to the notebook and goes when nothing reads it`;

/** Take nodes and edges away; edges of nodes that go need no word of their own. */
export function removing(state: FlowState, nodes: Iterable<string>, edges: Iterable<string>): Gesture {
  const going = new Set<string>();
  let why = "";
  for (const id of nodes) {
    const card = state.cards.get(id);
    if (isNode(card)) going.add(id);
    else if (card) why ||= whyNoNode(card);
  }
  const ops: EditOp[] = [];
  for (const id of edges) {
    const edge = state.edges.get(id);
    if (!edge || going.has(edge.source) || going.has(edge.target)) continue;
    const source = state.cards.get(edge.source);
    if (source && !isNode(source)) why ||= whyNoEdge(source);
    else ops.push(disconnection(edge));
  }
  const cut = ops.length;
  for (const node of going) ops.push({ op: "remove", node });
  if (!ops.length) return refused(why);
  const words = [
    going.size === 1 ? [...going][0] : going.size ? counted(going.size, "node") : "",
    cut ? counted(cut, "edge") : "",
  ];
  return done(`delete ${words.filter(Boolean).join(" and ")}`, ops);
}

export function renaming(state: FlowState, id: string, to: string): Gesture {
  const card = state.cards.get(id);
  if (!isNode(card)) return refused(card ? whyNoNode(card) : "there is no such node");
  const why = whyNotRename(id, to, (name) => state.cards.has(name));
  if (why) return refused(why);
  return done(`rename ${id} to ${to}`, id === to ? [] : [{ op: "rename", node: id, to }]);
}

/** Add a node of a type; `ends` joins it to what it was drawn from. */
export function adding(entry: TypeEntry, node: string, at: Point | null, ends: Ends | null): Gesture {
  const place = at ? { x: snapped(at.x), y: snapped(at.y) } : { x: null, y: null };
  const add: EditOp = {
    op: "add",
    typeId: entry.typeId,
    node,
    ...place,
    like: { card: likelyCard(entry, node), edges: [] },
  };
  return done(`add ${node}`, ends ? [add, { op: "connect", ...ends }] : [add]);
}

const FOOTER_PX = 30;

/** What a node of a type looks like before it was ever described: its ports. */
export function likelyCard(entry: TypeEntry, id: string): Card {
  const inputs = (entry.inputs ?? []).map((port) => ({ ...port, connected: false }));
  const unknown = { connected: false, shape: null, columns: [], columnCount: 0 };
  const outputs = (entry.outputs ?? []).map((port) => ({ ...port, ...unknown }));
  const card = { ...blankCard(id, entry.typeId), doc: entry.doc, inputs, outputs };
  return { ...card, w: MIN_WIDTH_PX, h: bareHeight(card) };
}

/** How high a card is that has no result to show. */
export function bareHeight(card: Card): number {
  const rows = Math.max(1, card.inputs.length, card.outputs.length);
  return HEADER_PX + rows * PORT_ROW_PX + Math.min(card.settings.length, 4) * SETTING_ROW_PX + FOOTER_PX;
}

export type Flag = "muted" | "bypassed" | "pinned";

const hasFlag = (card: Card, flag: Flag): boolean => (flag === "muted" ? card.status === "muted" : card[flag]);
const FLAG_WORDS: Readonly<Record<Flag, readonly [on: string, off: string]>> = {
  muted: ["mute", "unmute"],
  bypassed: ["bypass", "no longer bypass"],
  pinned: ["pin", "unpin"],
};

/** Turn a flag on for all of some nodes, or off when all have it. */
export function flagging(state: FlowState, ids: Iterable<string>, flag: Flag): Gesture {
  const cards = [...ids].map((id) => state.cards.get(id)).filter(isNode);
  if (!cards.length) return refused("choose a node first");
  const isOn = !cards.every((card) => hasFlag(card, flag));
  const ops = cards
    .filter((card) => hasFlag(card, flag) !== isOn)
    .map((card): EditOp => ({ op: "policy", node: card.id, policy: { [flag]: isOn } }));
  const what = cards.length === 1 ? (cards[0]?.id ?? "") : counted(cards.length, "node");
  return done(`${FLAG_WORDS[flag][isOn ? 0 : 1]} ${what}`, ops);
}

/** Whether all of some nodes have a flag. */
export function areFlagged(state: FlowState, ids: Iterable<string>, flag: Flag): boolean {
  const cards = [...ids].map((id) => state.cards.get(id)).filter(isNode);
  return cards.length > 0 && cards.every((card) => hasFlag(card, flag));
}

/** A free place for a new card at a point: beside the cards that lie there. */
export function freePlace(state: FlowState, at: Point): Point {
  let place = { x: snapped(at.x), y: snapped(at.y) };
  const isTaken = (): boolean =>
    [...state.cards.values()].some((card) => {
      const { width, height } = cardSize(card);
      return (
        place.x < card.x + width &&
        card.x < place.x + MIN_WIDTH_PX &&
        place.y < card.y + height &&
        card.y < place.y + HEADER_PX + PORT_ROW_PX
      );
    });
  for (let tries = 0; tries < 50 && isTaken(); tries += 1) place = { x: place.x, y: place.y + 2 * GRID_PX };
  return place;
}
