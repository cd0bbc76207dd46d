import { describe, expect, it } from "vitest";
import { readDocument } from "../../src/model/document";
import type { Edge } from "../../src/model/flow";
import { reconnecting, removing } from "../../src/model/gestures";
import { inverseOf } from "../../src/model/inverse";
import { applyChange, blankCard } from "../../src/model/operations";
import { emptyState } from "../../src/model/state";

const port = (name: string) => ({ name, type: "any" as const, connected: false, required: true });
const cards = ["a", "b", "c"].map((id) => ({
  ...blankCard(id, id),
  inputs: [port("x"), port("y")],
  outputs: [{ ...port("result"), shape: null, columns: [], columnCount: 0 }],
}));
const ends = { source: "a", sourcePort: "result", target: "b", targetPort: "x" };
const fields = { capacity: 4, overflow: "drop", madeBy: ["somebody"] };
const state = applyChange(
  { ...emptyState("f"), cards: new Map(cards.map((card) => [card.id, card])) },
  { op: "connect", ...ends },
);
const facts = readDocument(JSON.stringify({ flowbook: "1", nodes: [], edges: [{ ...ends, ...fields }] }));
const background = { facts, isMoved: () => false };
const [[id, edge]] = [...state.edges] as [[string, Edge]];
const back = { op: "connect", ...ends, fields };

describe("what a document says of an edge beyond its ends", () => {
  it.each([
    ["edge is", removing(state, [], [id])],
    ["node it comes from is", removing(state, ["a"], [])],
    ["node it leads to is", removing(state, ["b"], [])],
  ])("comes back when the %s brought back", (_, gesture) => {
    expect(inverseOf(state, gesture.ops, background)).toContainEqual(back);
  });

  it("comes back when another edge into the input goes", () => {
    expect(inverseOf(state, [{ op: "connect", ...ends, source: "c" }], background)).toEqual([back]);
  });

  it("goes along when an end is led elsewhere, and back", () => {
    const to = { ...ends, targetPort: "y" };
    const gesture = reconnecting(state, edge, to, facts);
    expect(gesture.ops.at(-1)).toEqual({ op: "connect", ...to, fields });
    expect(inverseOf(state, gesture.ops, background)).toContainEqual(back);
  });
});
