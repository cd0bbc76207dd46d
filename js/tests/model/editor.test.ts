import { expect, it } from "vitest";
import { type Channel, Editor } from "../../src/model/editor";
import type { Json, Snapshot } from "../../src/model/flow";
import { FlowStore } from "../../src/model/store";
import { readCanvas } from "../../src/protocol/reading";
import fixture from "../fixtures/protocol.json";

function setUp() {
  const store = FlowStore.recorded(readCanvas(structuredClone(fixture.bundles.flights)) as Snapshot);
  store.connect("live");
  const sent: Json[] = [];
  const frames: (() => void)[] = [];
  const nothing = (): void => undefined;
  const channel: Channel = {
    edit: nothing,
    run: nothing,
    cancel: nothing,
    set: (...said) => sent.push(said[3]),
    types: [],
  };
  const editor = new Editor(store, channel, (call) => frames.push(call));
  const paint = (): void => {
    for (const call of frames.splice(0)) call();
  };
  return { editor, sent, paint };
}

it("a moved setting is sent at once, and what follows it at most once a frame", () => {
  const { editor, sent, paint } = setUp();
  const move = (value: number): void => void editor.set("late_flights", "min_minutes", value);
  move(20);
  expect(sent).toEqual([20]);
  move(25);
  move(30);
  expect(sent).toEqual([20]);
  paint();
  expect(sent).toEqual([20, 30]);
  paint();
  move(35);
  expect(sent).toEqual([20, 30, 35]);
});
