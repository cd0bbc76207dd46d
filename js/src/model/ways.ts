/** The ways and labels of all edges of a flow, found together from the cards as they lie. */

import type { Card, Edge } from "./flow";
import { edgeId } from "./flow";
import { cardRect, cardSize, type Point, portPlace, type Rect } from "./geometry";
import { labelPlate, plainRoute, type Route, Router, routePath } from "./routes";
import { copiesMade, oneLine, shortShape } from "./wording";

/** Beyond this many, edges are plain curves without labels: nobody reads a thousand of them. */
const MANY_EDGES = 400;
const LABEL_FONT_PX = 10;

/** An edge as it is drawn; `label` stands at (x, y), its middle. */
export interface Way {
  readonly start: Point;
  readonly end: Point;
  readonly path: string;
  readonly label: { readonly text: string; readonly x: number; readonly y: number; readonly width: number } | null;
}

/** Where an edge leaves its source and arrives at its target. */
export function edgeEnds(edge: Edge, source: Card, target: Card): { readonly start: Point; readonly end: Point } {
  return {
    start: { x: source.x + cardSize(source).width, y: source.y + portPlace(source, "out", edge.sourcePort).y },
    end: { x: target.x, y: target.y + portPlace(target, "in", edge.targetPort).y },
  };
}

/** Find the way of every edge whose two ends are there, short ones first. */
export function findWays(cards: ReadonlyMap<string, Card>, edges: ReadonlyMap<string, Edge>): ReadonlyMap<string, Way> {
  const rects = [...cards.values()].map(cardRect);
  const isFew = edges.size <= MANY_EDGES;
  const router = new Router(rects);
  const laid: { readonly edge: Edge; readonly start: Point; readonly end: Point; readonly span: number }[] = [];
  for (const edge of edges.values()) {
    const source = cards.get(edge.source);
    const target = cards.get(edge.target);
    if (!source || !target) continue;
    const span = Math.abs(target.x - source.x) * 1e4 + Math.abs(target.y - source.y);
    laid.push({ edge, ...edgeEnds(edge, source, target), span });
  }
  laid.sort((one, other) => one.span - other.span);
  const routes = laid.map(({ start, end }) => (isFew ? router.route(start, end) : plainRoute(start, end)));
  const occupied = [...rects];
  const said = new Set<string>();
  const ways = new Map<string, Way>();
  laid.forEach(({ edge, start, end }, index) => {
    const route = routes[index] ?? plainRoute(start, end);
    const label = isFew ? placedLabel(edge, route, occupied, said) : null;
    ways.set(edgeId(edge), { start, end, path: routePath(route), label });
  });
  return ways;
}

/** Write each shape once per output, where it hides no card and no other label. */
function placedLabel(edge: Edge, route: Route, occupied: Rect[], said: Set<string>): Way["label"] {
  const shape = oneLine(edge.label ?? "");
  const copies = copiesMade(edge);
  const key = JSON.stringify([edge.source, edge.sourcePort, shape, copies]);
  if (!(shape || copies) || said.has(key)) return null;
  for (const words of new Set([shape, shortShape(shape)])) {
    const text = [words, copies].filter(Boolean).join(" · ");
    const width = estimatedWidth(text) + 6;
    const plate = labelPlate(route, width, occupied);
    if (!plate) continue;
    said.add(key);
    occupied.push(plate);
    return { text, x: (plate.left + plate.right) / 2, y: (plate.top + plate.bottom) / 2, width };
  }
  return null;
}

/** Figures of common interface fonts are this wide, rather less than more. */
const estimatedWidth = (text: string): number => text.length * LABEL_FONT_PX * 0.6;
