/** Nodes as text on the clipboard: what is copied, and what pasting it means in another place or another flow. */

import type { Card, Json } from "./flow";
import type { Point } from "./geometry";
import { bareHeight, type Gesture, GRID_PX, isNode } from "./gestures";
import { type Background, chosenSettings, policyOf } from "./inverse";
import { blankCard, type EditOp, type Ends } from "./operations";
import type { FlowState } from "./state";
import { counted } from "./wording";

const KIND = "nodes";

/** A node as it is copied; places in pixels from the leftmost and topmost of all. */
export interface ClipNode {
  readonly id: string;
  readonly typeId: string;
  readonly settings: Readonly<Record<string, Json>>;
  readonly policy: Readonly<Record<string, Json>>;
  readonly x: number;
  readonly y: number;
}

/** An edge as it is copied: its target is always among the nodes, its source may have stayed behind. */
export interface ClipEdge extends Ends {
  readonly implicit: boolean;
}

export interface Clip {
  readonly flowbook: "1";
  readonly kind: typeof KIND;
  readonly nodes: readonly ClipNode[];
  readonly edges: readonly ClipEdge[];
}

/** Copy nodes with the edges that lead to them; null when none of the ids is a node. */
export function clipOf(state: FlowState, ids: Iterable<string>, background: Background): Clip | null {
  const cards = [...new Set(ids)].map((id) => state.cards.get(id)).filter(isNode);
  if (!cards.length) return null;
  const left = Math.min(...cards.map(({ x }) => x));
  const top = Math.min(...cards.map(({ y }) => y));
  const chosen = new Set(cards.map(({ id }) => id));
  return {
    flowbook: "1",
    kind: KIND,
    nodes: cards.map((card) => ({
      id: card.id,
      typeId: card.typeId,
      settings: chosenSettings(card),
      policy: policyOf(card, background),
      x: card.x - left,
      y: card.y - top,
    })),
    edges: [...state.edges.values()]
      .filter((edge) => chosen.has(edge.target) && isNode(state.cards.get(edge.source)))
      .map(({ source, sourcePort, target, targetPort, implicit }) => ({
        ...{ source, sourcePort, target, targetPort, implicit },
      })),
  };
}

/** Read what is on the clipboard; null when it is something else. */
export function readClip(text: string): Clip | null {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(json) || json["flowbook"] !== "1" || json["kind"] !== KIND) return null;
  const nodes = records(json["nodes"]).flatMap((node) => {
    const { id, typeId, settings, policy, x, y } = node;
    if (typeof id !== "string" || typeof typeId !== "string") return [];
    return [
      {
        id,
        typeId,
        settings: isRecord(settings) ? (settings as Record<string, Json>) : {},
        policy: isRecord(policy) ? (policy as Record<string, Json>) : {},
        x: typeof x === "number" && Number.isFinite(x) ? x : 0,
        y: typeof y === "number" && Number.isFinite(y) ? y : 0,
      },
    ];
  });
  const edges = records(json["edges"]).flatMap(({ source, sourcePort, target, targetPort, implicit }) =>
    [source, sourcePort, target, targetPort].every((name) => typeof name === "string")
      ? [{ source, sourcePort, target, targetPort, implicit: implicit === true } as ClipEdge]
      : [],
  );
  return nodes.length ? { flowbook: "1", kind: KIND, nodes, edges } : null;
}

/**
 * Paste nodes with their left top corner at a point, under free ids. Edges between them come along; edges from nodes
 * that were not copied only with `keepsSources`, where there is a node of that name.
 */
export function pasting(
  state: FlowState,
  clip: Clip,
  at: Point,
  newId: (wanted: string, isTaken: (id: string) => boolean) => string,
  keepsSources = false,
): Gesture & { readonly ids: readonly string[] } {
  const ids = new Map<string, string>();
  const taken = new Set(state.cards.keys());
  for (const node of clip.nodes) {
    const id = newId(node.id, (name) => taken.has(name));
    ids.set(node.id, id);
    taken.add(id);
  }
  const ops: EditOp[] = [];
  for (const node of clip.nodes) {
    const id = ids.get(node.id) ?? node.id;
    const place = { x: onGrid(at.x) + node.x, y: onGrid(at.y) + node.y };
    ops.push({
      op: "add",
      typeId: node.typeId,
      node: id,
      ...place,
      settings: node.settings,
      ...(Object.keys(node.policy).length ? { policy: node.policy } : {}),
      like: { card: likelyCard(state, node, id), edges: [] },
    });
  }
  for (const edge of clip.edges) {
    const target = ids.get(edge.target);
    const copied = ids.get(edge.source);
    const source = copied ?? (keepsSources && isNode(state.cards.get(edge.source)) ? edge.source : undefined);
    // An edge that follows from names still does where no name changed.
    if (!target || !source || (edge.implicit && source === edge.source)) continue;
    const { sourcePort, targetPort } = edge;
    ops.push({ op: "connect", source, sourcePort, target, targetPort });
  }
  const [first] = ids.values();
  const label = `paste ${ids.size === 1 ? first : counted(ids.size, "node")}`;
  return { ops, label, why: "", ids: [...ids.values()] };
}

const onGrid = (length: number): number => Math.round(length / GRID_PX) * GRID_PX;

/** What a pasted node looks like until the kernel has described it: like another of its type, without a result. */
function likelyCard(state: FlowState, node: ClipNode, id: string): Card {
  const twin = state.cards.get(node.id);
  const other =
    twin?.typeId === node.typeId ? twin : [...state.cards.values()].find(({ typeId }) => typeId === node.typeId);
  if (!other) return blankCard(id, node.typeId);
  const { doc, kind, title } = other;
  const card: Card = {
    ...blankCard(id, node.typeId),
    ...{ doc, kind, title: title === other.id ? "" : title },
    inputs: other.inputs.map(({ constant: _, ...port }) => ({
      ...port,
      connected: false,
      ...(port.name in node.settings ? { constant: node.settings[port.name] ?? null } : {}),
    })),
    outputs: other.outputs.map((port) => ({ ...port, connected: false, shape: null })),
    settings: other.settings.map((setting) => ({
      ...setting,
      connected: false,
      value: setting.name in node.settings ? (node.settings[setting.name] ?? null) : setting.default,
    })),
  };
  return { ...card, w: other.w, h: bareHeight(card) };
}

type AnyRecord = Readonly<Record<string, unknown>>;

function isRecord(json: unknown): json is AnyRecord {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

function records(json: unknown): readonly AnyRecord[] {
  return Array.isArray(json) ? json.filter(isRecord) : [];
}
