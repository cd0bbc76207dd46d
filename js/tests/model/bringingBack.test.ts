import { expect, it } from "vitest";
import { clipOf, pasting } from "../../src/model/clipboard";
import { readDocument } from "../../src/model/document";
import type { Snapshot } from "../../src/model/flow";
import { inverseOf } from "../../src/model/inverse";
import { emptyState, stateOf } from "../../src/model/state";
import { readCanvas } from "../../src/protocol/reading";
import fixture from "../fixtures/protocol.json";

const snapshot = readCanvas(structuredClone(fixture.bundles.flights)) as Snapshot;
const state = stateOf(snapshot, emptyState(snapshot.flow));
const id = snapshot.nodes.find(({ kind }) => kind === "node")?.id ?? "";
const policy = { each: ["path"], timeoutS: 5 };
const facts = readDocument(JSON.stringify({ nodes: [{ id, policy }] }));
const background = { facts, isMoved: () => false };

it("a removed node comes back with its policy in one operation: what it takes depends on it", () => {
  const back = inverseOf(state, [{ op: "remove", node: id }], background);
  expect(back[0]).toMatchObject({ op: "add", node: id, policy });
  expect(back.map(({ op }) => op)).not.toContain("policy");
});

it("a node that is pasted with a policy goes as it came", () => {
  const clip = clipOf(state, [id], background);
  if (!clip) throw new Error("nothing was copied");
  const { ops } = pasting(state, clip, { x: 0, y: 0 }, (wanted) => `${wanted}_2`);
  expect(ops[0]).toMatchObject({ op: "add", node: `${id}_2`, policy });
  const back = inverseOf(state, ops, background);
  expect(back.at(-1)).toEqual({ op: "remove", node: `${id}_2` });
  expect(back.map(({ op }) => op)).not.toContain("policy");
});
