/**
 * The way an edge takes across the canvas: a curve, and past cards in its way on a straight piece between them.
 *
 * The same ways as flowbook/canvas/pieces/routes.py finds for the static drawing, so that a flow looks alike with and without
 * a browser. An edge that finds no near way runs behind the cards.
 */

import { around, meets, type Point, type Rect } from "./geometry";

const CLEARANCE_PX = 10; // between an edge and a card it passes
const LANE_STEP_PX = 7; // between two edges that pass the same gap
const LONGEST_DETOUR_PX = 600;
const MAX_TRIES = 6; // how often a way is laid anew because it met yet another card

/** A way in pieces, from port to port: pieces at one height are straight. `back` leads left and loops below the cards. */
export interface Route {
  readonly points: readonly Point[];
  readonly back: boolean;
}

interface Lane {
  readonly left: number;
  readonly right: number;
  readonly height: number;
}

/** A curve from port to port, whatever lies between. */
export function plainRoute(start: Point, end: Point): Route {
  if (end.x >= start.x + 8) return { points: [start, end], back: false };
  return { points: [start, { x: start.x, y: Math.max(start.y, end.y) + 60 }, end], back: true };
}

/** Write a route as SVG path data. */
export function routePath({ points, back }: Route): string {
  const [first, second, third] = points;
  if (!first || !second) return "";
  if (back && third) {
    const low = second.y;
    return (
      `M${figures(first.x, first.y)}C${figures(first.x + 50, first.y, first.x + 50, low, first.x, low)}` +
      `H${figures(third.x)}C${figures(third.x - 50, low, third.x - 50, third.y, third.x, third.y)}`
    );
  }
  let path = `M${figures(first.x, first.y)}`;
  for (const [from, to] of pairs(points)) {
    if (Math.abs(from.y - to.y) < 0.5) {
      path += `H${figures(to.x)}`;
    } else {
      const reach = bend(from.x, to.x);
      path += `C${figures(from.x + reach, from.y, to.x - reach, to.y, to.x, to.y)}`;
    }
  }
  return path;
}

/** Points along a route, close enough together to place a label or to see what it meets. */
export function routeSamples({ points, back }: Route): readonly Point[] {
  const [first, second, third] = points;
  if (back && first && second && third) {
    return Array.from({ length: 17 }, (_, step) => ({ x: first.x + ((third.x - first.x) * step) / 16, y: second.y }));
  }
  const found: Point[] = [];
  for (const [from, to] of pairs(points)) {
    const reach = bend(from.x, to.x);
    const steps = Math.max(8, Math.floor(Math.abs(to.x - from.x) / 12));
    for (let step = 0; step <= steps; step++) {
      const t = step / steps;
      const [a, b, c, d] = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t ** 3];
      found.push({
        x: a * from.x + b * (from.x + reach) + c * (to.x - reach) + d * to.x,
        y: (a + b) * from.y + (c + d) * to.y,
      });
    }
  }
  return found;
}

/** Finds the ways of all edges of one canvas, one after another, so that no two share a lane. */
export class Router {
  readonly #cards: readonly Rect[];
  readonly #lanes: Lane[] = [];

  constructor(cards: readonly Rect[]) {
    this.#cards = cards;
  }

  route(start: Point, end: Point): Route {
    if (end.x < start.x + 8) return this.#loop(start, end);
    let way: Route = { points: [start, end], back: false };
    const met: Rect[] = [];
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const fresh = this.#metBy(way).filter((card) => !met.includes(card));
      if (!fresh.length) break;
      met.push(...fresh);
      const bands = bandsOf(met, start.x, end.x);
      const ways = [true, false].map((early) => this.#way(start, end, bands, early)).filter((found) => found !== null);
      const best = ways.sort((one, other) => cost(one) - cost(other))[0];
      if (!best) return { points: [start, end], back: false };
      way = best;
    }
    for (const [from, to] of pairs(way.points.slice(1, -1))) {
      if (from.y === to.y) this.#lanes.push({ left: from.x, right: to.x, height: from.y });
    }
    return way;
  }

  #loop(start: Point, end: Point): Route {
    const passed = this.#cards.filter((card) => card.left <= start.x && card.right >= end.x);
    const low = around(passed)?.bottom ?? Math.max(start.y, end.y) + 36;
    return { points: [start, { x: start.x, y: low + 24 }, end], back: true };
  }

  /** The cards a way runs through, those it begins and ends at aside. */
  #metBy(way: Route): readonly Rect[] {
    const start = way.points[0];
    const end = way.points.at(-1);
    if (!start || !end) return [];
    const samples = routeSamples(way);
    return this.#cards.filter(
      (card) =>
        card.left < end.x - 1 &&
        card.right > start.x + 1 &&
        samples.some(({ x, y }) => card.left < x && x < card.right && card.top < y && y < card.bottom),
    );
  }

  /** Pass band after band of cards; `early`: turn to the height of the end as soon as possible, else late. */
  #way(start: Point, end: Point, bands: readonly (readonly Rect[])[], early: boolean): Route | null {
    const points: Point[] = [start];
    let last = start;
    for (const band of bands) {
      const left = Math.max(Math.min(...band.map((card) => card.left)) - 12, start.x + 12);
      const right = Math.min(Math.max(...band.map((card) => card.right)) + 12, end.x - 12);
      const height = this.#freeHeight(band, left, right, early ? end.y : last.y);
      if (height === null || left >= right || left < last.x) return null;
      last = { x: right, y: height };
      points.push({ x: left, y: height }, last);
    }
    return { points: [...points, end], back: false };
  }

  #freeHeight(band: readonly Rect[], left: number, right: number, wanted: number): number | null {
    const blocked = band.map((card) => [card.top - CLEARANCE_PX, card.bottom + CLEARANCE_PX] as const);
    const taken = this.#lanes.filter((lane) => lane.left < right && lane.right > left).map((lane) => lane.height);
    let nearest: number | null = null;
    for (const height of [wanted, ...blocked.flat()]) {
      for (let step = 0; step < 4; step++) {
        for (const sign of [1, -1]) {
          const found = height + step * LANE_STEP_PX * sign;
          if (blocked.some(([top, bottom]) => top < found && found < bottom)) continue;
          if (taken.some((other) => Math.abs(found - other) < LANE_STEP_PX - 1)) continue;
          if (nearest === null || Math.abs(found - wanted) < Math.abs(nearest - wanted)) nearest = found;
        }
      }
    }
    return nearest !== null && Math.abs(nearest - wanted) <= LONGEST_DETOUR_PX ? nearest : null;
  }
}

/**
 * Find room for a label: above a level piece of the route, on a slanting one; near the middle, then outwards.
 *
 * @returns the label's rectangle, or null where it would hide a card or another label.
 */
export function labelPlate(route: Route, width: number, occupied: readonly Rect[]): Rect | null {
  const samples = routeSamples(route);
  const middle = Math.floor(samples.length / 2);
  const order = samples.map((_, index) => index).sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle));
  for (const index of order) {
    const at = samples[index];
    const before = samples[Math.max(index - 1, 0)];
    const after = samples[Math.min(index + 1, samples.length - 1)];
    if (!at || !before || !after) continue;
    const isLevel = Math.abs(after.y - before.y) < 0.3 * Math.abs(after.x - before.x);
    const centre = isLevel ? at.y - 10 : at.y;
    const plate = { left: at.x - width / 2, top: centre - 7, right: at.x + width / 2, bottom: centre + 7 };
    if (!occupied.some((other) => meets(plate, other))) return plate;
  }
  return null;
}

/** Group the cards between two ends into columns that overlap from left to right. */
function bandsOf(cards: readonly Rect[], start: number, end: number): readonly (readonly Rect[])[] {
  const bands: Rect[][] = [];
  let reach = start;
  for (const card of [...cards].sort((one, other) => one.left - other.left || one.top - other.top)) {
    if (card.left >= end - 12 || card.right <= start + 12) continue;
    const band = bands.at(-1);
    if (band && card.left < reach) {
      band.push(card);
      reach = Math.max(reach, card.right);
    } else {
      bands.push([card]);
      reach = card.right;
    }
  }
  return bands;
}

/** Weigh a way: how far it goes up and down, and how often it turns. */
function cost({ points }: Route): number {
  const turns = pairs(points)
    .map(([from, to]) => Math.abs(to.y - from.y))
    .filter((turn) => turn > 0.5);
  return turns.reduce((sum, turn) => sum + turn, 0) + 40 * turns.length;
}

/** How far a curve runs level before it turns. */
const bend = (x1: number, x2: number): number => Math.min(Math.max((x2 - x1) / 2, 16), 140);

const figures = (...values: number[]): string => values.map((value) => String(Math.round(value * 10) / 10)).join(" ");

function pairs<T>(items: readonly T[]): readonly (readonly [T, T])[] {
  return items.slice(1).map((item, index) => [items[index] as T, item] as const);
}
