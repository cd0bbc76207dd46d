import type { ISessionContext } from "@jupyterlab/apputils";
import type { Kernel } from "@jupyterlab/services";
import { describe, expect, it } from "vitest";
import { KernelControl } from "../../src/jupyter/KernelControl";
import { canvas, card, turn } from "../fakeLine";

/** A signal of JupyterLab's, as far as it is connected to. */
class Signal<T> {
  readonly #slots: (() => (sender: unknown, value: T) => void)[] = [];

  connect(slot: (sender: never, value: T) => void, context?: object): void {
    this.#slots.push(() => slot.bind(context) as (sender: unknown, value: T) => void);
  }

  emit(value: T): void {
    for (const slot of this.#slots) slot()(null, value);
  }
}

class FakeComm {
  isDisposed = false;
  isClosed = false;
  readonly sent: { readonly kind: string }[] = [];
  onMsg: (message: unknown) => void = () => undefined;
  onClose: () => void = () => undefined;

  open(): void {}

  send(message: { readonly kind: string }): void {
    this.sent.push(message);
  }

  close(): void {
    this.isClosed = true;
  }

  say(data: object): void {
    this.onMsg({ content: { data } });
  }

  get kinds(): readonly string[] {
    return this.sent.map(({ kind }) => kind);
  }
}

/** A notebook's kernel, with the comms that were opened to it. */
class Bench {
  readonly comms: FakeComm[] = [];
  readonly kernel = {
    id: "k",
    status: "idle" as Kernel.Status,
    isDisposed: false,
    handleComms: true,
    supportsSubshells: false,
    info: Promise.resolve({}),
    createComm: () => {
      const comm = new FakeComm();
      this.comms.push(comm);
      return comm;
    },
  };
  readonly statusChanged = new Signal<Kernel.Status>();
  readonly connectionStatusChanged = new Signal<Kernel.ConnectionStatus>();
  readonly control = new KernelControl({
    session: { kernel: this.kernel },
    kernelChanged: new Signal(),
    statusChanged: this.statusChanged,
    connectionStatusChanged: this.connectionStatusChanged,
    disposed: new Signal(),
  } as unknown as ISessionContext);
  readonly link = this.control.client.link("flights");

  get comm(): FakeComm {
    const last = this.comms.at(-1);
    if (!last) throw new Error("no comm was opened");
    return last;
  }

  /** A canvas is shown, and the kernel answers. */
  async shown(): Promise<this> {
    this.link.use();
    this.control.wake();
    await this.answered();
    return this;
  }

  async answered(): Promise<void> {
    await turn();
    this.comm.say({ kind: "hello", protocol: 1, flows: ["flights"], current: null, types: [] });
    await turn();
    this.comm.say({ kind: "batch", flow: "flights", seq: 1, rev: 1, canvas: canvas([card("a")]) });
  }
}

const muting = {
  label: "mute a",
  why: "",
  ops: [{ op: "policy" as const, node: "a", policy: { muted: true } }],
};

describe("a comm that the kernel closes", () => {
  it("is opened again where something is shown: the kernel is still there, and so is what can be undone", async () => {
    const bench = await new Bench().shown();
    bench.link.editor.perform(muting);
    bench.comm.onClose();
    expect(bench.comms).toHaveLength(2);
    await bench.answered();
    expect(bench.comm.kinds).toEqual(["hello", "subscribe"]);
    expect(bench.link.store.isLive).toBe(true);
    expect(bench.link.editor.history.last?.label).toBe("mute a");
  });

  it("before it said a word is left alone: the kernel does not know flowbook", async () => {
    const bench = new Bench();
    bench.link.use();
    bench.control.wake();
    await turn();
    bench.comm.onClose();
    expect(bench.comms).toHaveLength(1);
  });
});

describe("a line to the server that was cut", () => {
  it("has another comm when it is whole again: the kernel may have closed the old one unheard", async () => {
    const bench = await new Bench().shown();
    const old = bench.comm;
    bench.connectionStatusChanged.emit("connecting");
    bench.connectionStatusChanged.emit("connected");
    expect(old.isClosed).toBe(true);
    expect(bench.comms).toHaveLength(2);
    await bench.answered();
    expect(bench.link.store.isLive).toBe(true);
  });
});

describe("a kernel that restarts", () => {
  it("knows nothing of what was done before: it cannot be undone any more", async () => {
    const bench = await new Bench().shown();
    bench.link.editor.perform(muting);
    bench.statusChanged.emit("restarting");
    expect(bench.link.editor.history.last).toBeNull();
    bench.statusChanged.emit("idle");
    await bench.answered();
    expect(bench.link.store.isLive).toBe(true);
  });
});
