/** A flow's state as React Flow wants it, and what room it takes. */

import { Position } from "@xyflow/react";
import { edgeId } from "../model/flow";
import {
  around,
  cardRect,
  cardSize,
  firstView,
  freeSettingPlaces,
  type PortPlace,
  portPlace,
  portPlaces,
  type Rect,
} from "../model/geometry";
import { isNode } from "../model/gestures";
import type { FlowState } from "../model/state";
import type { LineEdge } from "./EdgeLine";
import type { CardNode } from "./NodeCard";
import { HANDLE_PX, handleId } from "./PortHandle";

/** Room the toolbar takes at the top. */
export const TOOLBAR_PX = 40;

/** The cards with places, sizes and handles, so that nothing has to be measured before it paints. */
export function nodesOf(state: FlowState): readonly CardNode[] {
  return [...state.cards.values()].map((card) => {
    const { width, height } = cardSize(card);
    const handleOf = (place: PortPlace): NonNullable<CardNode["handles"]>[number] => ({
      id: handleId(place),
      type: place.side === "in" ? "target" : "source",
      position: place.side === "in" ? Position.Left : Position.Right,
      x: (place.side === "in" ? 0 : width) - HANDLE_PX / 2,
      y: place.y - HANDLE_PX / 2,
      width: HANDLE_PX,
      height: HANDLE_PX,
    });
    return {
      id: card.id,
      type: "card",
      position: { x: card.x, y: card.y },
      data: {},
      width,
      height,
      handles: [...portPlaces(card), ...freeSettingPlaces(card)].map(handleOf),
      // A value of the notebook is no node of the document: there is nothing to move or to join.
      ...(isNode(card) ? {} : { draggable: false, connectable: false }),
    };
  });
}

/** The edges whose two ends are there. */
export function edgesOf(state: FlowState): readonly LineEdge[] {
  const found: LineEdge[] = [];
  for (const edge of state.edges.values()) {
    const source = state.cards.get(edge.source);
    const target = state.cards.get(edge.target);
    if (!source || !target) continue;
    found.push({
      id: edgeId(edge),
      type: "line",
      source: edge.source,
      target: edge.target,
      sourceHandle: handleId(portPlace(source, "out", edge.sourcePort)),
      targetHandle: handleId(portPlace(target, "in", edge.targetPort)),
      ...(isNode(source) ? {} : { reconnectable: false }),
    });
  }
  return found;
}

/** How high a canvas wants to be to show a flow in a page of some width; pixels. */
export function wantedHeight(state: FlowState, width: number): number {
  const bounds = boundsOf(rectsOf(state));
  const { zoom } = firstView(rectsOf(state), { width, height: 1e5, top: TOOLBAR_PX });
  return Math.round(Math.min(Math.max((bounds.bottom - bounds.top) * zoom + TOOLBAR_PX + 40, 200), 640));
}

/** Everything that takes room on the ground. */
export function rectsOf(state: FlowState): readonly Rect[] {
  const notes = state.notes.map(({ x, y }) => ({ left: x, top: y, right: x + 180, bottom: y + 46 }));
  return [...[...state.cards.values()].map(cardRect), ...notes];
}

/** The rectangle around all; a small one around nothing. */
export function boundsOf(rects: Iterable<Rect>): Rect {
  return around(rects) ?? { left: 0, top: 0, right: 200, bottom: 80 };
}
