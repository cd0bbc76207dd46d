/**
 * The browser's end of the protocol, whatever carries it: says hello, subscribes to the flows that are shown, keeps their
 * stores true, counts the batches and asks for everything again when one is missing.
 *
 * The line may come and go. What was shown stays in the stores, and says that it is no longer live.
 */

import type { TypeEntry } from "../model/catalogue";
import { type Channel, Editor, type Inside, type Scope } from "../model/editor";
import type { Json, Trace } from "../model/flow";
import { Listeners } from "../model/listeners";
import type { EditOp } from "../model/operations";
import { FlowStore } from "../model/store";
import {
  type Ack,
  type Batch,
  type BrowserMessage,
  type Hello,
  type Lease,
  type NodeNews,
  type OutputData,
  PROTOCOL,
  type Reject,
  readKernelMessage,
} from "./messages";
import type { Bytes, TableAnswer, TableRequest } from "./tables";

export type Send = (message: BrowserMessage) => void;

/** A message that is answered by ack or reject. */
export type Command = Exclude<Extract<BrowserMessage, { readonly cid: string }>, TableRequest>;

/** How long a flow that nobody shows any more stays subscribed: a cell that is moved draws its output anew. */
const RELEASE_MS = 2000;

/** Of how many runs that nobody shows the traces and outputs are kept: a cell that is about to show one comes later. */
const MOST_SPARE_RUNS = 8;

/** A run that is shown, and whether all that is to be said of it is known already. */
export interface ShownRun {
  readonly runId: string;
  readonly final: boolean;
}

const INSIDE = "This is inside a node: edit the flow that it is made from.";

const GONE = { code: "", message: "the kernel is gone", hint: "run a cell of the flow to go on", rev: 0 };

export class ControlClient {
  /** The line was opened or closed. */
  readonly onLine = new Listeners();
  readonly #links = new Map<string, FlowLink>();
  readonly #batchListeners = new Set<(batch: Batch) => void>();
  readonly #dropListeners = new Set<(flow: string) => void>();
  readonly #leaseListeners = new Set<(lease: Lease) => void>();
  readonly #answers = new Map<string, (answer: Ack | Reject | TableAnswer) => void>();
  /** Which of them were questions. */
  readonly #questions = new Set<string>();
  #send: Send | null = null;
  #hello: Hello | null = null;

  /** What the kernel said of itself; null while there is none. */
  get hello(): Hello | null {
    return this.#hello;
  }

  /** A line to a kernel is there: say hello. Everything else waits for the answer. */
  open(send: Send): void {
    if (this.#send) this.close();
    this.#send = send;
    send({ kind: "hello", protocol: PROTOCOL, pong: true });
  }

  /** The line is gone; what waits for an answer will get none. */
  close(): void {
    this.#send = null;
    this.#hello = null;
    for (const link of this.#links.values()) link.lineClosed();
    for (const [cid, answer] of [...this.#answers]) answer({ kind: "reject", cid, flow: "", ...GONE });
    this.#answers.clear();
    this.#questions.clear();
    this.onLine.call();
  }

  /** The kernel is gone, or another one: the next one knows nothing of what was done, so it cannot be undone either. */
  kernelGone(): void {
    for (const link of this.#links.values()) link.editor.forget();
  }

  /** Take a message from the kernel, and the bytes that came beside it. */
  receive(json: unknown, buffers: readonly Bytes[] = []): void {
    const message = readKernelMessage(json, buffers);
    if (!message || !this.#send) return;
    switch (message.kind) {
      case "hello":
        this.#hello = message;
        for (const link of this.#links.values()) link.lineOpened();
        this.onLine.call();
        return;
      case "ping":
        this.#send({ kind: "pong" });
        return;
      case "absent":
        this.#links.get(message.flow)?.absent();
        return;
      case "batch":
        if (this.#links.get(message.flow)?.take(message))
          for (const listener of this.#batchListeners) listener(message);
        return;
      case "lease":
        for (const listener of this.#leaseListeners) listener(message);
        return;
      case "ack":
        this.#links.get(message.flow)?.store.acknowledge(message.cid, message.rev);
        this.#answered(message);
        return;
      case "reject":
        if (this.#questions.delete(message.cid)) {
          this.#answered(message); // nothing was to be changed, so there is nothing to take back
          return;
        }
        this.#links.get(message.flow)?.store.refuse(message);
        this.#answered(message);
        return;
      case "table":
        this.#questions.delete(message.cid);
        this.#answered(message);
        return;
    }
  }

  /** One flow of this kernel; the same object for everybody who shows it. */
  link(flow: string): FlowLink {
    let link = this.#links.get(flow);
    if (!link) {
      link = new FlowLink(flow, this);
      this.#links.set(flow, link);
    }
    return link;
  }

  /** Forget a flow that there never was. */
  drop(link: FlowLink): void {
    if (this.#links.get(link.flow) !== link) return;
    this.#links.delete(link.flow);
    for (const listener of this.#dropListeners) listener(link.flow);
  }

  /** Be told of a flow that is forgotten; the returned function ends that. */
  onDrop(listener: (flow: string) => void): () => void {
    this.#dropListeners.add(listener);
    return () => {
      this.#dropListeners.delete(listener);
    };
  }

  get links(): readonly FlowLink[] {
    return [...this.#links.values()];
  }

  /** Be told of every batch that was taken, after the stores were; the returned function ends that. */
  onBatch(listener: (batch: Batch) => void): () => void {
    this.#batchListeners.add(listener);
    return () => {
      this.#batchListeners.delete(listener);
    };
  }

  /** Be told who writes a flow's document into its cell; the returned function ends that. */
  onLease(listener: (lease: Lease) => void): () => void {
    this.#leaseListeners.add(listener);
    return () => {
      this.#leaseListeners.delete(listener);
    };
  }

  /** Send a message; false when nobody is there to get it. */
  send(message: BrowserMessage): boolean {
    if (!this.#send || !this.#hello) return false;
    this.#send(message);
    return this.#send !== null; // or it turned out just now that the line is gone
  }

  /** Send a message and wait for its answer. */
  command(message: Command): Promise<Ack | Reject> {
    return this.#ask(message) as Promise<Ack | Reject>;
  }

  /** Ask something about a table. */
  ask(message: TableRequest): Promise<TableAnswer | Reject> {
    if (message.what === "close") {
      this.send(message); // which nobody answers
      return Promise.resolve({ kind: "reject", cid: message.cid, flow: message.flow, ...GONE });
    }
    this.#questions.add(message.cid);
    return this.#ask(message) as Promise<TableAnswer | Reject>;
  }

  #ask(message: Command | TableRequest): Promise<Ack | Reject | TableAnswer> {
    return new Promise((resolve) => {
      if (this.send(message)) this.#answers.set(message.cid, resolve);
      else resolve({ kind: "reject", cid: message.cid, flow: message.flow, ...GONE });
    });
  }

  #answered(answer: Ack | Reject | TableAnswer): void {
    this.#answers.get(answer.cid)?.(answer);
    this.#answers.delete(answer.cid);
  }
}

/** One flow over one client: its store, the way to change it, and the outputs the kernel has for it. */
export class FlowLink implements Channel {
  readonly store: FlowStore;
  /** What a person does to the flow; one for all views, so that they share what can be undone. */
  readonly editor: Editor;
  /** Outputs that the kernel made anew; which, has to be looked up. */
  readonly onOutputs = new Listeners();
  /** What looks at the flow as the inside of a node of another one. */
  #reader: Editor | null = null;
  readonly #client: ControlClient;
  readonly #nodes = new Map<string, NodeNews>();
  readonly #traces = new Map<string, Trace>();
  readonly #outputs = new Map<string, OutputData>();
  /** The runs that are shown, each as often as it is. */
  readonly #shown = new Set<{ readonly run: ShownRun }>();
  #isWorkedWith = false;
  #users = 0;
  #isAsked = false;
  #isSubscribed = false;
  #seq = 0;
  #isSynced = false;

  constructor(flow: string, client: ControlClient) {
    this.store = new FlowStore(flow);
    this.editor = new Editor(this.store, this);
    this.#client = client;
  }

  get flow(): string {
    return this.store.flow;
  }

  get types(): readonly TypeEntry[] {
    return this.#client.hello?.types ?? [];
  }

  /** Whether a person has run it, or moved a setting of it, from a canvas of this page. */
  get isWorkedWith(): boolean {
    return this.#isWorkedWith;
  }

  /** Whether anybody shows it. */
  get isUsed(): boolean {
    return this.#users > 0;
  }

  /** Show the flow, and perhaps the trace of a run, from now on until the returned function is called. */
  use(run: ShownRun | null = null): () => void {
    this.#users += 1;
    const isUnknown = run !== null && !this.#traces.has(run.runId) && this.#isOpen(run);
    const shown = run && { run };
    if (shown) this.#shown.add(shown);
    if (!this.#isSubscribed || isUnknown) this.#ask();
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#users -= 1;
      if (shown) this.#shown.delete(shown);
      if (!this.#users) setTimeout(() => this.#leave(), RELEASE_MS);
    };
  }

  /** The newest output of a node's cell that this kernel made; undefined when it made none. */
  node(id: string): NodeNews | undefined {
    return this.#nodes.get(id);
  }

  /** The newest trace of a run that this kernel told. */
  trace(runId: string): Trace | undefined {
    return this.#traces.get(runId);
  }

  /** An output as it is to be stored: of a run, or with null of the canvas. */
  output(runId: string | null): OutputData | undefined {
    return this.#outputs.get(runId ?? "");
  }

  // -- the way to change it

  edit(cid: string, ops: readonly EditOp[]): void {
    this.#client.send({ kind: "edit", flow: this.flow, cid, baseRev: this.store.rev, ops });
  }

  set(cid: string, node: string, name: string, value: Json): void {
    this.#isWorkedWith = true;
    this.#client.send({ kind: "set", flow: this.flow, cid, baseRev: this.store.rev, node, name, value });
  }

  run(cid: string, scope: Scope): void {
    this.#isWorkedWith = true;
    this.#client.send({ kind: "run", flow: this.flow, cid, ...scope });
  }

  cancel(cid: string): void {
    this.#client.send({ kind: "cancel", flow: this.flow, cid });
  }

  inside(node: string): Inside {
    const link = this.#client.link(`${this.flow}/${node}`);
    link.#reader ??= new Editor(link.store, link, undefined, INSIDE);
    return { editor: link.#reader, use: () => link.use() };
  }

  // -- what the client tells it

  lineOpened(): void {
    this.#isSubscribed = false;
    if (this.#users) this.#ask();
  }

  lineClosed(): void {
    this.#isSubscribed = this.#isSynced = false;
    this.#seq = 0;
    this.#alone();
  }

  /** The kernel has no such flow, or none yet. */
  absent(): void {
    this.#isSynced = false;
    this.#alone();
  }

  /** Nobody speaks for the flow now; what a kernel once said of it stays. */
  #alone(): void {
    this.store.connect(this.store.state.cards.size ? "lost" : "recorded");
  }

  resync(): void {
    if (!this.#isSubscribed) return;
    this.#isSynced = false;
    this.#client.send({ kind: "resync", flow: this.flow, runs: this.#openRuns() });
  }

  /** Take a batch, unless it is old, or one before it is missing; tell whether it was taken. */
  take(batch: Batch): boolean {
    if (!batch.canvas) {
      if (!this.#isSynced || batch.seq <= this.#seq) return false;
      if (batch.seq > this.#seq + 1) {
        this.resync();
        return false;
      }
    }
    this.#seq = batch.seq;
    this.#isSynced = true;
    for (const news of batch.nodes) this.#nodes.set(news.node.node, news);
    for (const news of batch.outputs) this.#outputs.set(news.runId ?? "", news.data);
    if (batch.trace) this.#traces.set(batch.trace.runId, batch.trace);
    this.#trim(this.#traces);
    this.#trim(this.#outputs);
    const isLastRun = batch.trace && batch.trace.startedAt >= (this.store.trace?.startedAt ?? "");
    this.store.update({
      rev: batch.rev,
      ...(batch.canvas ? { snapshot: batch.canvas } : {}),
      ...(batch.cards.length ? { cards: batch.cards } : {}),
      ...(batch.edges ? { edges: batch.edges } : {}),
      ...(batch.run === undefined ? {} : { run: batch.run }),
      ...(batch.trace && isLastRun ? { trace: batch.trace } : {}),
      ...(batch.document === null ? {} : { documentText: batch.document }),
    });
    this.store.connect("live"); // after the update: who hears of it finds the flow as it is
    if (batch.nodes.length || batch.outputs.length || batch.trace) this.onOutputs.call();
    return true;
  }

  /** Subscribe, once for all that begin to show the flow in one go. */
  #ask(): void {
    if (this.#isAsked) return;
    this.#isAsked = true;
    queueMicrotask(() => {
      this.#isAsked = false;
      if (!this.#users || !this.#client.hello) return;
      this.#isSubscribed = true;
      if (this.store.connection === "recorded" || this.store.connection === "lost") this.store.connect("connecting");
      this.#client.send({ kind: "subscribe", flow: this.flow, runs: this.#openRuns() });
    });
  }

  #leave(): void {
    if (this.#users || !this.#isSubscribed) return;
    this.#isSubscribed = this.#isSynced = false;
    this.#client.send({ kind: "unsubscribe", flow: this.flow });
    if (!this.store.state.cards.size) this.#client.drop(this); // a name that was being typed
  }

  /** Whether more is to be told of a run. */
  #isOpen({ runId, final }: ShownRun): boolean {
    return !final && !this.#traces.get(runId)?.final;
  }

  #openRuns(): readonly string[] {
    return [...new Set([...this.#shown].flatMap(({ run }) => (this.#isOpen(run) ? [run.runId] : [])))];
  }

  /** Forget what was told of all but the last of the runs that nobody shows. */
  #trim(byRun: Map<string, unknown>): void {
    const shown = new Set([...this.#shown].map(({ run }) => run.runId));
    const spare = [...byRun.keys()].filter((runId) => runId && !shown.has(runId));
    for (const runId of spare.slice(0, -MOST_SPARE_RUNS)) byRun.delete(runId);
  }
}
