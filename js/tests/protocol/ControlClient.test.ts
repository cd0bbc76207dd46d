import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ControlClient } from "../../src/protocol/ControlClient";
import { canvas, card, FakeLine, turn } from "../fakeLine";

function shown(client: ControlClient, flow = "flights") {
  const link = client.link(flow);
  return { link, release: link.use() };
}

const run = (runId: string, final = false) => ({ runId, final });

async function live() {
  const client = new ControlClient();
  const line = new FakeLine(client).open();
  const { link, release } = shown(client);
  await turn();
  line.batch(1, { canvas: canvas([card("a"), card("b")]) });
  line.taken();
  return { client, line, link, release, store: link.store };
}

describe("subscribing", () => {
  it("says hello first, and asks for flows only when the kernel has answered", async () => {
    const client = new ControlClient();
    shown(client);
    const line = new FakeLine(client).open(false);
    await turn();
    expect(line.taken()).toEqual(["hello"]);
    line.say({ kind: "hello", protocol: 1, flows: ["flights"], current: null, types: [] });
    await turn();
    expect(line.sent).toEqual([{ kind: "subscribe", flow: "flights", runs: [] }]);
    expect(client.link("flights").store.connection).toBe("connecting");
  });

  it("asks once for all outputs that show a flow, with every run among them", async () => {
    const client = new ControlClient();
    const line = new FakeLine(client).open();
    line.taken();
    const link = client.link("flights");
    for (const each of [null, run("r1"), run("r2"), run("r3", true)]) link.use(each);
    await turn();
    expect(line.sent).toEqual([{ kind: "subscribe", flow: "flights", runs: ["r1", "r2"] }]);
  });

  it("is live when the first canvas has come", async () => {
    const { store } = await live();
    expect(store.connection).toBe("live");
    expect(store.card("a")?.stamp).toBe("live");
  });

  it("stays a recording where the kernel has no such flow", async () => {
    const client = new ControlClient();
    const line = new FakeLine(client).open();
    const { link } = shown(client);
    await turn();
    line.say({ kind: "absent", flow: "flights" });
    expect(link.store.connection).toBe("recorded");
    line.batch(1, { canvas: canvas([card("a")]) });
    expect(link.store.connection).toBe("live");
  });

  it("answers pings, and forgives messages of a newer kernel", async () => {
    const { line } = await live();
    line.say({ kind: "ping" });
    line.say({ kind: "weather", flow: "flights" });
    line.say([1, 2]);
    expect(line.taken()).toEqual(["pong"]);
  });
});

describe("batches", () => {
  it("are taken in their order; an older one is dropped", async () => {
    const { line, store } = await live();
    line.batch(2, { cards: [card("a", { status: "running" })] });
    line.batch(3, { cards: [card("a", { status: "failed" })] });
    line.batch(2, { cards: [card("a", { status: "running" })] });
    expect(store.card("a")?.status).toBe("failed");
  });

  it("after a gap everything is asked for again, once, and nothing is believed until it comes", async () => {
    const { line, store } = await live();
    line.batch(3, { cards: [card("a", { status: "running" })] });
    line.batch(4, { cards: [card("a", { status: "failed" })] });
    expect(line.taken()).toEqual(["resync"]);
    expect(store.card("a")?.status).toBe("ok");
    line.batch(5, { canvas: canvas([card("a", { status: "skipped" })]) });
    line.batch(6, { cards: [card("a", { status: "ok" })] });
    expect(store.card("a")?.status).toBe("ok");
    expect(line.taken()).toEqual([]);
  });

  it("of a flow nobody asked for are dropped", async () => {
    const { line, client } = await live();
    line.batch(1, { canvas: canvas([card("x")], "other") }, "other");
    expect(client.links.map((link) => link.flow)).toEqual(["flights"]);
  });

  it("go on to whoever listens, after the stores", async () => {
    const { line, client, store } = await live();
    const seen: unknown[] = [];
    client.onBatch((batch) => seen.push([batch.seq, store.card("a")?.status]));
    line.batch(2, { cards: [card("a", { status: "running" })] });
    line.batch(2, { cards: [card("a", { status: "queued" })] });
    expect(seen).toEqual([[2, "running"]]);
  });

  it("bring outputs and traces, which are kept for whoever shows them later", async () => {
    const { line, link } = await live();
    const note = { flowbook: "1", kind: "node", flow: "flights", node: "a", seq: 4, data: { "text/plain": "1" } };
    const trace = {
      flowbook: "1",
      kind: "trace",
      flow: "flights",
      runId: "r1",
      seq: 2,
      startedAt: "2026-11-20T12:00:00Z",
    };
    let calls = 0;
    link.onOutputs.add(() => {
      calls += 1;
    });
    line.batch(2, { nodes: [note], trace, outputs: [{ kind: "trace", runId: "r1", data: { x: 1 } }] });
    expect(link.node("a")?.data).toEqual({ "text/plain": "1" });
    expect(link.trace("r1")?.seq).toBe(2);
    expect(link.output("r1")).toEqual({ x: 1 });
    expect(calls).toBe(1);
  });

  it("keep the newest run's trace in the store, whichever comes last", async () => {
    const { line, store } = await live();
    const trace = (runId: string, startedAt: string) => ({
      flowbook: "1",
      kind: "trace",
      flow: "flights",
      runId,
      startedAt,
    });
    line.batch(2, { trace: trace("new", "2026-11-20T13:00:00Z") });
    line.batch(3, { trace: trace("old", "2026-11-20T12:00:00Z") });
    expect(store.trace?.runId).toBe("new");
  });
});

describe("runs", () => {
  const trace = (runId: string, final = false) => ({ flowbook: "1", kind: "trace", flow: "flights", runId, final });

  it("that nobody shows are forgotten but for the last; those that are shown stay until their last user leaves", async () => {
    const { line, link } = await live();
    const releases = [link.use(run("r0")), link.use(run("r0"))];
    let seq = 1;
    const tell = (from: number): void => {
      for (let count = from; count < from + 40; count += 1) {
        const runId = `r${count}`;
        seq += 1;
        line.batch(seq, { trace: trace(runId, true), outputs: [{ kind: "trace", runId, data: {} }] });
      }
    };
    tell(0);
    expect([link.trace("r0"), link.output("r0"), link.trace("r39")]).not.toContain(undefined);
    expect([link.trace("r1"), link.output("r1")]).toEqual([undefined, undefined]);
    releases[0]?.();
    tell(40);
    expect(link.trace("r0")).toBeDefined();
    releases[1]?.();
    tell(80);
    expect(link.trace("r0")).toBeUndefined();
  });

  it("are asked for only when they are neither known nor over", async () => {
    const { line, link } = await live();
    line.batch(2, { trace: trace("told") });
    for (const each of [run("told"), run("over", true)]) link.use(each);
    await turn();
    expect(line.taken()).toEqual([]);
    link.use(run("missed"));
    await turn();
    expect(line.sent).toMatchObject([{ kind: "subscribe", runs: ["told", "missed"] }]);
  });
});

describe("a flow that there never was", () => {
  it("is forgotten when nobody asks for it any more: its name was only being typed", async () => {
    vi.useFakeTimers();
    const client = new ControlClient();
    const line = new FakeLine(client).open();
    const dropped: string[] = [];
    client.onDrop((flow) => dropped.push(flow));
    const kept = client.link("flights");
    kept.use();
    const release = client.link("fli").use();
    await vi.advanceTimersByTimeAsync(0);
    line.say({ kind: "absent", flow: "fli" });
    release();
    await vi.advanceTimersByTimeAsync(5000);
    expect(client.links).toEqual([kept]);
    expect(dropped).toEqual(["fli"]);
    vi.useRealTimers();
  });
});

describe("commands", () => {
  it("are answered", async () => {
    const { line, client } = await live();
    const asked = client.command({ kind: "run", flow: "flights", cid: "c1" });
    line.say({ kind: "ack", cid: "c1", flow: "flights", rev: 7 });
    expect(await asked).toMatchObject({ kind: "ack", rev: 7 });
  });

  it("that were refused undo what was shown, and say why", async () => {
    const { line, link, store } = await live();
    link.editor.perform({ label: "remove a", why: "", ops: [{ op: "remove", node: "a" }] });
    expect(store.card("a")).toBeUndefined();
    const [message] = line.sent;
    const cid = message?.kind === "edit" ? message.cid : "";
    line.say({ kind: "reject", cid, flow: "flights", code: "FB812", message: "a is locked", hint: "", rev: 1 });
    expect(store.card("a")).toBeDefined();
    expect(store.refusal?.message).toBe("a is locked");
  });

  it("get an answer also when the line is cut", async () => {
    const { client } = await live();
    const asked = client.command({ kind: "cancel", flow: "flights", cid: "c2" });
    client.close();
    expect(await asked).toMatchObject({ kind: "reject" });
    expect(await client.command({ kind: "cancel", flow: "flights", cid: "c3" })).toMatchObject({ kind: "reject" });
  });
});

describe("a kernel that goes away", () => {
  it("leaves everything painted and says so; the next one is asked anew", async () => {
    const { client, store } = await live();
    client.close();
    expect(store.connection).toBe("lost");
    expect([...store.state.cards.keys()]).toEqual(["a", "b"]);
    const line = new FakeLine(client).open();
    await turn();
    expect(line.taken()).toEqual(["hello", "subscribe"]);
    line.batch(1, { canvas: canvas([card("b")]) });
    expect(store.connection).toBe("live");
    expect([...store.state.cards.keys()]).toEqual(["b"]);
  });

  it("was lost also where the next one has no such flow yet", async () => {
    const { client, store } = await live();
    client.close();
    const line = new FakeLine(client).open();
    await turn();
    line.say({ kind: "absent", flow: "flights" });
    expect(store.connection).toBe("lost");
  });
});

describe("leaving", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout"] }));
  afterEach(() => void vi.useRealTimers());

  it("waits a little, because a cell that is moved draws its output anew", async () => {
    const client = new ControlClient();
    const line = new FakeLine(client).open();
    const first = shown(client);
    await vi.advanceTimersByTimeAsync(0);
    line.taken();
    first.release();
    const second = shown(client);
    await vi.advanceTimersByTimeAsync(5000);
    expect(line.taken()).toEqual([]);
    second.release();
    second.release();
    await vi.advanceTimersByTimeAsync(5000);
    expect(line.taken()).toEqual(["unsubscribe"]);
  });
});
