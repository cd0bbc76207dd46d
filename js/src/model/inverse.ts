/** What takes a change back. Results are no part of it: undo changes the document, never a value. */

import { type DocumentFacts, fieldsOf } from "./document";
import type { Card, Json } from "./flow";
import { edgeId } from "./flow";
import { applyChange, type Change, type EditOp, type Ends } from "./operations";
import type { FlowState } from "./state";
import { sameJson } from "./wording";

/** What is known beside the state: the document, and which cards were moved since it was written. */
export interface Background {
  readonly facts: DocumentFacts | null;
  readonly isMoved: (node: string) => boolean;
}

/** The changes that take a list of changes back, made for the state before them; apply them in the order given. */
export function inverseOf(state: FlowState, changes: readonly Change[], background: Background): readonly Change[] {
  let before = state;
  const inverse: Change[] = [];
  for (const change of changes) {
    inverse.unshift(...inverseOfOne(before, change, background));
    before = applyChange(before, change);
  }
  return inverse;
}

function inverseOfOne(state: FlowState, change: Change, background: Background): readonly Change[] {
  switch (change.op) {
    case "set": {
      const setting = state.cards.get(change.node)?.settings.find(({ name }) => name === change.name);
      return setting ? [{ ...change, value: setting.value }] : [];
    }
    case "move": {
      const card = state.cards.get(change.node);
      return card ? [{ op: "move", node: card.id, ...placeOf(card, background) }] : [];
    }
    case "connect":
      return disconnecting(state, change, background);
    case "disconnect": {
      const edge = state.edges.get(edgeId(change));
      return edge ? [joining(edge, background)] : [];
    }
    case "add":
      return [{ op: "remove", node: change.node }];
    case "remove":
      return bringingBack(state, change.node, background);
    case "rename":
      return [{ op: "rename", node: change.to, to: change.node, namesFollow: false }];
    case "policy":
      return [{ op: "policy", node: change.node, policy: policyBefore(state, change, background) }];
    case "document":
      return [];
  }
}

const endsOf = ({ source, sourcePort, target, targetPort }: Ends): Ends => ({ source, sourcePort, target, targetPort });

function joining(edge: Ends & { readonly implicit?: boolean }, { facts }: Background): EditOp {
  return { op: "connect", ...endsOf(edge), ...(edge.implicit ? { implicit: true as const } : fieldsOf(edge, facts)) };
}

/** An input has one edge: the one it had comes back, or else the new one goes. */
function disconnecting(state: FlowState, ends: Ends, background: Background): readonly EditOp[] {
  const before = [...state.edges.values()].find(
    (edge) => edge.target === ends.target && edge.targetPort === ends.targetPort,
  );
  if (before && !before.implicit) return [joining(before, background)];
  const gone: EditOp = { op: "disconnect", ...endsOf(ends) };
  return before ? [gone, joining(before, background)] : [gone];
}

function bringingBack(state: FlowState, id: string, background: Background): readonly EditOp[] {
  const card = state.cards.get(id);
  if (!card) return [];
  const touching = [...state.edges.values()].filter((edge) => edge.source === id || edge.target === id);
  const policy = policyOf(card, background);
  const cuts = background.facts?.cuts.filter(({ source, target }) => source === id || target === id) ?? [];
  return [
    {
      op: "add",
      typeId: card.typeId,
      node: id,
      ...placeOf(card, background),
      settings: chosenSettings(card),
      ...(Object.keys(policy).length ? { policy } : {}),
      like: { card, edges: touching.filter((edge) => edge.implicit) },
    },
    ...touching.filter((edge) => !edge.implicit).map((edge) => joining(edge, background)),
    ...cuts
      .filter(({ source, target }) => state.cards.has(source) && state.cards.has(target))
      .map(({ source, target, targetPort }) => ({
        op: "disconnect" as const,
        implicit: true as const,
        ...{ source, sourcePort: "", target, targetPort },
      })),
  ];
}

/** What somebody chose: settings that are not the default, and constants of inputs. */
export function chosenSettings(card: Card): Readonly<Record<string, Json>> {
  const chosen: Record<string, Json> = {};
  for (const setting of card.settings) {
    if (!sameJson(setting.value, setting.default)) chosen[setting.name] = setting.value;
  }
  for (const port of card.inputs) if (port.constant !== undefined) chosen[port.name] = port.constant;
  return chosen;
}

/** A node's policy where it differs from that of its type. */
export function policyOf(card: Card, background: Background): Readonly<Record<string, Json>> {
  const flags: Record<string, Json> = {};
  if (card.status === "muted") flags["muted"] = true;
  if (card.bypassed) flags["bypassed"] = true;
  if (card.pinned) flags["pinned"] = true;
  return { ...background.facts?.policies.get(card.id), ...flags };
}

function policyBefore(
  state: FlowState,
  change: Extract<EditOp, { readonly op: "policy" }>,
  background: Background,
): Readonly<Record<string, Json>> {
  const card = state.cards.get(change.node);
  const before = card ? policyOf(card, background) : {};
  return Object.fromEntries(Object.keys(change.policy).map((key) => [key, before[key] ?? false]));
}

/** Where the document places a card; nulls where the layout does. Without a document: where the card lies. */
function placeOf(card: Card, { facts, isMoved }: Background): { readonly x: number | null; readonly y: number | null } {
  const written = facts?.hasPositions && !isMoved(card.id) ? facts.positions.get(card.id) : undefined;
  if (written === null) return { x: null, y: null };
  return written ?? { x: card.x, y: card.y };
}
