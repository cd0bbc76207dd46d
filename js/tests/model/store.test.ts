import { describe, expect, it } from "vitest";
import type { Snapshot } from "../../src/model/flow";
import { inverseOf } from "../../src/model/inverse";
import { FlowStore } from "../../src/model/store";
import { readCanvas } from "../../src/protocol/reading";
import fixture from "../fixtures/protocol.json";

const flights = (): Snapshot => {
  const read = readCanvas(structuredClone(fixture.bundles.flights));
  if (!read) throw new Error("the fixture is no canvas");
  return read;
};

const cardOf = (store: FlowStore, id: string) => {
  const card = store.card(id);
  if (!card) throw new Error(`no card ${id}`);
  return card;
};

function counted(store: FlowStore) {
  const calls = { a: 0, b: 0, topology: 0, ways: 0, run: 0, any: 0 };
  const count = (what: keyof typeof calls) => (): void => {
    calls[what] += 1;
  };
  store.onCard("late_flights", count("a"));
  store.onCard("weather", count("b"));
  store.onTopology.add(count("topology"));
  store.onWays.add(count("ways"));
  store.onRun.add(count("run"));
  store.onAny.add(count("any"));
  return calls;
}

describe("what changed, and nothing else, is told", () => {
  it("a status calls its own card alone", () => {
    const store = FlowStore.recorded(flights());
    const calls = counted(store);
    store.update({ rev: 1, cards: [{ ...cardOf(store, "late_flights"), status: "running" }] });
    expect(calls).toEqual({ a: 1, b: 0, topology: 0, ways: 0, run: 0, any: 1 });
  });

  it("a snapshot that says the same again calls nobody, and keeps every card", () => {
    const store = FlowStore.recorded(flights());
    const before = cardOf(store, "weather");
    const calls = counted(store);
    store.update({ rev: 2, snapshot: { ...flights(), seq: 99 } });
    expect(cardOf(store, "weather")).toBe(before);
    expect({ ...calls, any: 0 }).toEqual({ a: 0, b: 0, topology: 0, ways: 0, run: 0, any: 0 });
  });

  it("a card that moved is topology; figures beside an edge are a matter of ways", () => {
    const store = FlowStore.recorded(flights());
    const calls = counted(store);
    store.update({ rev: 1, cards: [{ ...cardOf(store, "weather"), x: 5 }] });
    expect(calls).toMatchObject({ b: 1, topology: 1, ways: 1 });
    store.update({ rev: 1, edges: [...store.state.edges.values()].map((edge) => ({ ...edge, label: "1 × 1" })) });
    expect(calls).toMatchObject({ topology: 1, ways: 2 });
  });

  it("who left is not called", () => {
    const store = FlowStore.recorded(flights());
    let calls = 0;
    const stop = store.onCard("weather", () => {
      calls += 1;
    });
    stop();
    store.update({ rev: 1, cards: [{ ...cardOf(store, "weather"), status: "running" }] });
    expect(calls).toBe(0);
  });
});

describe("changes made here", () => {
  const set = { op: "set", node: "late_flights", name: "min_minutes", value: 60 } as const;
  const value = (store: FlowStore) => cardOf(store, "late_flights").settings[0]?.value;

  it("are shown at once, and stay until a batch of their revision has come", () => {
    const store = FlowStore.recorded(flights());
    store.connect("live");
    store.propose("c1", set);
    expect(value(store)).toBe(60);
    store.acknowledge("c1", 7);
    store.update({ rev: 6, snapshot: flights() });
    expect(value(store)).toBe(60);
    store.update({ rev: 7, snapshot: flights() });
    expect(value(store)).toBe(30);
  });

  it("are undone when the kernel refuses, and the reason stands until it is dismissed", () => {
    const store = FlowStore.recorded(flights());
    store.propose("c1", { op: "remove", node: "weather" });
    expect(store.card("weather")).toBeUndefined();
    expect([...store.state.edges.values()].some((edge) => edge.source === "weather")).toBe(false);
    store.refuse({ cid: "c1", code: "FB1", message: "no", hint: "" });
    expect(store.card("weather")).toBeDefined();
    expect(store.refusal?.message).toBe("no");
    store.dismiss();
    expect(store.refusal).toBeNull();
  });

  it("lie on top of what the kernel says meanwhile", () => {
    const store = FlowStore.recorded(flights());
    store.propose("c1", { op: "move", node: "weather", x: 1, y: 2 });
    store.update({ rev: 1, cards: [{ ...cardOf(FlowStore.recorded(flights()), "weather"), status: "running" }] });
    expect(cardOf(store, "weather")).toMatchObject({ x: 1, y: 2, status: "running" });
  });

  it("of one setting replace each other", () => {
    const store = FlowStore.recorded(flights());
    for (const step of [40, 50, 60]) store.propose(`c${step}`, { ...set, value: step });
    expect(store.pending.map(({ cid }) => cid)).toEqual(["c60"]);
    store.acknowledge("c40", 1);
    expect(value(store)).toBe(60);
  });

  it("mark the ports they connect, and an input has one edge", () => {
    const store = FlowStore.recorded(flights());
    const ends = { source: "carriers", sourcePort: "result", target: "with_weather", targetPort: "weather" };
    store.propose("c1", { op: "connect", ...ends });
    const into = [...store.state.edges.values()].filter((edge) => edge.target === "with_weather");
    expect(into.map((edge) => edge.source).sort()).toEqual(["carriers", "late_flights"]);
    expect(cardOf(store, "weather").outputs[0]?.connected).toBe(false);
    store.propose("c2", { op: "disconnect", ...ends });
    expect(cardOf(store, "with_weather").inputs[1]?.connected).toBe(false);
  });

  it("follow a node that is renamed", () => {
    const store = FlowStore.recorded(flights());
    store.propose("c1", { op: "rename", node: "late_flights", to: "late" });
    expect([...store.state.cards.keys()][3]).toBe("late");
    expect([...store.state.edges.values()].some((edge) => edge.source === "late_flights")).toBe(false);
  });

  it("join by an edge what read a node by its name that it has no more, until that is undone", () => {
    const store = FlowStore.recorded(flights());
    const isNamed = (): readonly boolean[] =>
      [...store.state.edges.values()].filter((edge) => edge.targetPort === "late_flights").map((edge) => edge.implicit);
    expect(isNamed()).toContain(true);
    const change = { op: "rename" as const, node: "late_flights", to: "late" };
    const undo = inverseOf(store.state, [change], { facts: null, isMoved: () => false });
    store.propose("c1", change);
    expect(isNamed()).not.toContain(true);
    expect(undo).toEqual([{ op: "rename", node: "late", to: "late_flights", namesFollow: false }]);
    store.propose("c2", ...undo);
    expect(isNamed()).toContain(true);
  });

  it("wait for nobody once the kernel is gone", () => {
    const store = FlowStore.recorded(flights());
    store.connect("live");
    store.propose("c1", set);
    store.connect("lost");
    expect(value(store)).toBe(30);
    expect(store.pending).toEqual([]);
  });
});
