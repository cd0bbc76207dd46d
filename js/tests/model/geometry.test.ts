import { describe, expect, it } from "vitest";
import type { Card } from "../../src/model/flow";
import {
  around,
  cardRect,
  firstView,
  fitAll,
  groupWashes,
  hasLeftSight,
  meets,
  portPlace,
  portPlaces,
  READABLE_ZOOM,
  type Rect,
} from "../../src/model/geometry";
import { Router, routePath, routeSamples } from "../../src/model/routes";
import { emptyState, stateOf } from "../../src/model/state";
import { findWays } from "../../src/model/ways";
import { readCanvas } from "../../src/protocol/reading";
import fixture from "../fixtures/protocol.json";

const stateFrom = (json: unknown) => {
  const read = readCanvas(json);
  if (!read) throw new Error("the fixture is no canvas");
  return stateOf(read, emptyState(read.flow));
};
const flights = stateFrom(fixture.bundles.flights);
const gallery = stateFrom(fixture.bundles.canvas);
const card = (name: string, state = flights): Card => {
  const found = state.cards.get(name);
  if (!found) throw new Error(`no card ${name}`);
  return found;
};

describe("ports", () => {
  it("lie in rows of 22 px below a header of 33", () => {
    expect(portPlaces(card("with_weather"))).toEqual([
      { name: "late_flights", side: "in", y: 44 },
      { name: "weather", side: "in", y: 66 },
      { name: "result", side: "out", y: 44 },
    ]);
  });

  it("of a setting that an edge feeds lie at its row", () => {
    expect(portPlace(card("given", gallery), "in", "n").y).toBe(33 + 22 + 13);
  });

  it("that nobody named are met at the first; a source has no inputs", () => {
    expect(portPlace(card("with_weather"), "in", "nowhere").name).toBe("late_flights");
    expect(portPlaces(card("weather")).map(({ side }) => side)).toEqual(["out"]);
  });

  it("are there for the edges of a card that lost its ports", () => {
    const bare = { ...card("weather"), inputs: [], outputs: [] };
    expect(portPlaces(bare).map(({ side, name }) => [side, name])).toEqual([
      ["in", ""],
      ["out", ""],
    ]);
  });
});

describe("views", () => {
  const frame = { width: 1000, height: 500, top: 40 };

  it("never show a flow larger than life, and show all of it when asked to", () => {
    expect(fitAll({ left: 0, top: 0, right: 100, bottom: 50 }, frame).zoom).toBe(1);
    expect(fitAll({ left: 0, top: 0, right: 9600, bottom: 50 }, frame).zoom).toBe(0.1);
  });

  it("begin with all of a flow while its names can be read", () => {
    expect(firstView([{ left: 0, top: 0, right: 2000, bottom: 100 }], frame).zoom).toBeCloseTo(0.48);
  });

  it("begin with the part that most cards of the beginning are in, in a size that can be read", () => {
    const column = (top: number) => ({ left: 300, top, right: 500, bottom: top + 90 });
    const far = { left: 9700, top: 0, right: 9900, bottom: 90 };
    const view = firstView([column(0), column(2000), column(2200), column(2400), far], frame);
    expect(view.zoom).toBe(READABLE_ZOOM);
    expect(300 * view.zoom + view.x).toBeCloseTo(20);
    expect(2000 * view.zoom + view.y).toBeCloseTo(60);
  });
});

describe("washes", () => {
  it("are one around all, or one behind each where a stranger stands between", () => {
    const rect = (left: number) => ({ left, top: 0, right: left + 100, bottom: 50 });
    expect(groupWashes([rect(0), rect(300)], [rect(600)])).toHaveLength(1);
    expect(groupWashes([rect(0), rect(300)], [rect(150)])).toHaveLength(2);
    expect(groupWashes([], [])).toEqual([]);
  });
});

describe("edges", () => {
  const rect = (left: number, top: number) => ({ left, top, right: left + 200, bottom: top + 90 });

  it("pass cards in their way", () => {
    const between = rect(300, 0);
    const route = new Router([rect(0, 0), between, rect(600, 0)]).route({ x: 200, y: 45 }, { x: 600, y: 45 });
    const hit = routeSamples(route).some(
      ({ x, y }) => x > between.left && x < between.right && y > between.top && y < between.bottom,
    );
    expect(hit).toBe(false);
    expect(routePath(route)).toMatch(/^M200 45/);
  });

  it("that pass the same gap do not lie on each other", () => {
    const router = new Router([rect(0, 0), rect(300, 0), rect(600, 0)]);
    const heights = [0, 1].map(() => router.route({ x: 200, y: 45 }, { x: 600, y: 45 }).points[1]?.y);
    expect(heights[0]).not.toBe(heights[1]);
  });

  it("that lead back loop below", () => {
    const route = new Router([rect(0, 0), rect(300, 0)]).route({ x: 500, y: 45 }, { x: 0, y: 45 });
    expect(route.back).toBe(true);
    expect(Math.max(...routeSamples(route).map(({ y }) => y))).toBeGreaterThan(90);
  });

  it("bear their figures once per output, where they hide no card", () => {
    const ways = [...findWays(flights.cards, flights.edges).values()];
    const labels = ways.map((way) => way.label).filter((label) => label !== null);
    const texts = labels.map(({ text }) => text);
    expect(texts).toContain("337k × 19");
    expect(texts.filter((text) => text.endsWith("× 34"))).toHaveLength(1);
    const rects = [...flights.cards.values()].map(cardRect);
    for (const { x, y, width } of labels) {
      const plate = { left: x - width / 2, right: x + width / 2, top: y - 7, bottom: y + 7 };
      expect(rects.some((other) => meets(plate, other))).toBe(false);
    }
  });

  it("end where their ports are", () => {
    const ways = findWays(flights.cards, flights.edges);
    const way = ways.get("weather.result→with_weather.weather");
    expect(way?.end).toEqual({ x: card("with_weather").x, y: card("with_weather").y + 66 });
  });

  it("around nothing is nothing", () => expect(around([])).toBeNull());
});

describe("a flow that was laid anew", () => {
  const frame = { width: 400, height: 300, top: 40 };
  const view = { x: 0, y: 40, zoom: 1 };
  const at = (left: number, top: number): Rect => ({ left, top, right: left + 100, bottom: top + 50 });

  it("has left the sight when what was seen is elsewhere", () => {
    const before = new Map([
      ["a", at(0, 0)],
      ["b", at(200, 0)],
    ]);
    expect(hasLeftSight(before, new Map([["b", at(900, 0)]]), view, frame)).toBe(true);
    expect(hasLeftSight(before, new Map([["b", at(390, 0)]]), view, frame)).toBe(false);
  });

  it("has not when what was seen is gone, or nothing was seen", () => {
    const before = new Map([
      ["a", at(0, 0)],
      ["b", at(900, 0)],
    ]);
    expect(hasLeftSight(before, new Map([["b", at(900, 0)]]), view, frame)).toBe(false);
    expect(hasLeftSight(before, new Map(), view, frame)).toBe(false);
  });
});
