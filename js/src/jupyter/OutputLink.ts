/** One output's line to its flow: found when there is a notebook and a kernel, let go with the output. */

import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import type { FlowLink, ShownRun } from "../protocol/ControlClient";
import type { Controls } from "./Controls";

export class OutputLink {
  readonly #controls: Controls;
  readonly #resolver: IRenderMime.IResolver | null;
  readonly #onNews: () => void;
  #link: FlowLink | null = null;
  #key = "";
  #stops: (() => void)[] = [];
  #stopWaiting: (() => void) | null = null;

  /** `onNews` is called when the flow was found, when its connection changed, and when outputs of it were made anew. */
  constructor(controls: Controls, resolver: IRenderMime.IResolver | null, onNews: () => void) {
    this.#controls = controls;
    this.#resolver = resolver;
    this.#onNews = onNews;
  }

  /** The flow as its kernel knows it; null while there is no notebook around the output. */
  get link(): FlowLink | null {
    return this.#link;
  }

  /** Show a flow, and perhaps the trace of one of its runs. */
  bind(flow: string, run: ShownRun | null = null): void {
    const panel = this.#controls.notebook(this.#resolver);
    if (!panel) {
      this.#stopWaiting ??= this.#controls.onNotebook.add(() => this.#found(flow, run));
      return;
    }
    const control = this.#controls.of(panel);
    control.wake();
    const key = JSON.stringify([flow, run?.runId]);
    if (this.#link && this.#key === key) return;
    this.#release();
    this.#key = key;
    this.#link = control.client.link(flow);
    this.#stops = [
      this.#link.use(run),
      this.#link.store.onConnection.add(this.#onNews),
      this.#link.onOutputs.add(this.#onNews),
    ];
    this.#onNews();
  }

  dispose(): void {
    this.#stopWaiting?.();
    this.#release();
  }

  #found(flow: string, run: ShownRun | null): void {
    if (!this.#controls.notebook(this.#resolver)) return;
    this.#stopWaiting?.();
    this.#stopWaiting = null;
    this.bind(flow, run);
  }

  #release(): void {
    for (const stop of this.#stops) stop();
    this.#stops = [];
    this.#link = null;
  }
}
