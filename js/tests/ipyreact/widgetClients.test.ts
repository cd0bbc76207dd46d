import { describe, expect, it } from "vitest";
import { clientOf, type WidgetModel } from "../../src/ipyreact/widgetClients";
import type { BrowserMessage } from "../../src/protocol/messages";
import { canvas, card, turn } from "../fakeLine";

/** A widget's model as ipywidgets has it, as far as the canvas needs one. */
class FakeModel implements WidgetModel {
  comm_live = true;
  readonly #listeners = new Map<string, ((...values: never[]) => void)[]>();

  on(event: string, listener: (...values: never[]) => void): void {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
  }

  tell(event: string, ...values: unknown[]): void {
    for (const listener of this.#listeners.get(event) ?? []) listener(...(values as never[]));
  }
}

async function opened() {
  const model = new FakeModel();
  const sent: BrowserMessage[] = [];
  const client = clientOf(model, (message) => sent.push(message));
  await turn();
  return { model, client, sent, say: (message: object) => model.tell("msg:custom", { flowbook: message }) };
}

describe("a widget's line", () => {
  it("is one for all views of a model, and uses the newest callback", async () => {
    const { model, client, sent, say } = await opened();
    const later: BrowserMessage[] = [];
    expect(clientOf(model, (message) => later.push(message))).toBe(client);
    client.link("f").use();
    say({ kind: "hello", protocol: 1, flows: ["f"], current: "f", types: [] });
    await turn();
    expect([sent.map(({ kind }) => kind), later.map(({ kind }) => kind)]).toEqual([["hello"], ["subscribe"]]);
  });

  it("is over when the kernel is gone, and begins anew", async () => {
    const { model, client, sent, say } = await opened();
    client.link("f").use();
    say({ kind: "hello", protocol: 1, flows: ["f"], current: "f", types: [] });
    await turn();
    say({ kind: "batch", flow: "f", seq: 1, rev: 1, canvas: canvas([card("a")], "f") });
    expect(client.link("f").store.connection).toBe("live");
    model.comm_live = false;
    model.tell("comm_live_update");
    expect(client.link("f").store.connection).toBe("lost");
    model.comm_live = true;
    model.tell("comm_live_update");
    expect(sent.at(-1)?.kind).toBe("hello");
  });

  it("is over when nothing can be sent any more", async () => {
    const { model, client, say } = await opened();
    client.link("f").use();
    say({ kind: "hello", protocol: 1, flows: ["f"], current: "f", types: [] });
    await turn();
    say({ kind: "batch", flow: "f", seq: 1, rev: 1, canvas: canvas([card("a")], "f") });
    clientOf(model, () => {
      throw new Error("Cannot send");
    });
    const answer = await client.command({ kind: "cancel", flow: "f", cid: "1" });
    expect([answer.kind, client.link("f").store.connection]).toEqual(["reject", "lost"]);
  });

  it("leaves messages of others alone", async () => {
    const { model, client } = await opened();
    model.tell("msg:custom", { something: 1 });
    expect(client.hello).toBeNull();
  });
});
