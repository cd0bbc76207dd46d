import { describe, expect, it } from "vitest";
import { badgeOf } from "../../src/model/badge";
import type { Card } from "../../src/model/flow";
import { emptyState, type FlowState } from "../../src/model/state";
import { readCard, readEdge } from "../../src/protocol/reading";

const card = (id: string, more: object = {}): Card =>
  readCard({ id, status: "ok", stamp: "live", tookS: 0.031, ...more }) as Card;

function flow(cards: readonly Card[], edges: readonly (readonly [string, string])[]): FlowState {
  const read = edges.map(([source, target]) => readEdge({ source, sourcePort: "result", target, targetPort: source }));
  return {
    ...emptyState("f"),
    cards: new Map(cards.map((each) => [each.id, each])),
    edges: new Map(read.map((edge, place) => [String(place), edge as NonNullable<typeof edge>])),
  };
}

describe("a badge", () => {
  const state = flow(
    [card("a"), card("b"), card("c")],
    [
      ["a", "b"],
      ["b", "c"],
    ],
  );

  it("says the state, how long it took and what the node stands between", () => {
    expect(badgeOf("b", state, null, true)).toMatchObject({
      words: "live · 31 ms",
      before: ["a"],
      after: ["c"],
      whole: "live · 31 ms · a → b → c",
    });
  });

  it("never says live where nobody asked a kernel", () => {
    expect(badgeOf("b", state, null, false)?.words).toBe("recorded · 31 ms");
  });

  it.each([
    [{ status: "running", stamp: "stale" }, "running"],
    [{ status: "failed", stamp: null }, "failed"],
    [{ status: "ok", stamp: "stale" }, "stale · 31 ms"],
    [{ status: "waiting", stamp: null }, "waiting"],
  ])("of %j says %j", (more, words) => {
    expect(badgeOf("a", flow([card("a", more)], []), null, true)?.words).toBe(words);
  });

  it("counts many neighbours", () => {
    const names = ["p", "q", "r", "s"];
    const many = flow(
      [card("a"), ...names.map((id) => card(id))],
      names.map((id) => [id, "a"] as const),
    );
    expect(badgeOf("a", many, null, true)?.before).toEqual(["p", "q", "2 more"]);
  });

  it("knows a node from its own output where no canvas shows it", () => {
    expect(badgeOf("x", state, { status: "ok", stamp: "cached", tookS: null }, false)?.whole).toBe("cached · x");
    expect(badgeOf("x", null, null, false)).toBeNull();
  });
});
