/** A kernel's end of the line, for tests: keeps what a client sent, and answers as it is told. */

import type { ControlClient } from "../src/protocol/ControlClient";
import type { BrowserMessage } from "../src/protocol/messages";

export class FakeLine {
  readonly sent: BrowserMessage[] = [];
  readonly #client: ControlClient;

  constructor(client: ControlClient) {
    this.#client = client;
  }

  /** Open the line; `answers`: the kernel says hello, too. */
  open(answers = true): this {
    this.#client.open((message) => this.sent.push(message));
    if (answers) this.say({ kind: "hello", protocol: 1, flows: [], current: null, types: [] });
    return this;
  }

  say(message: object): void {
    this.#client.receive(JSON.parse(JSON.stringify(message)));
  }

  batch(seq: number, more: object = {}, flow = "flights"): void {
    this.say({ kind: "batch", flow, seq, rev: 1, ...more });
  }

  /** What was sent since the last call, told by kinds. */
  taken(): readonly string[] {
    return this.sent.splice(0).map(({ kind }) => kind);
  }
}

/** A card, as far as a test cares. */
export const card = (id: string, more: object = {}): object => ({ id, status: "ok", stamp: "live", ...more });

/** A canvas bundle of some cards. */
export const canvas = (cards: readonly object[], flow = "flights"): object => ({
  flowbook: "1",
  kind: "canvas",
  flow,
  seq: 1,
  nodes: cards,
  edges: [],
  groups: [],
  notes: [],
});

/** Let everything run that was put off to the end of this turn. */
export const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
