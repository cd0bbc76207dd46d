import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import type { Trace } from "../model/flow";
import { TRACE_MIME } from "../protocol/bundles";
import { readTrace } from "../protocol/reading";
import { TracePanel } from "../trace/TracePanel";
import { afterPaint } from "./afterPaint";
import type { Controls } from "./Controls";
import { OutputKeeping } from "./keeping";
import { OutputLink } from "./OutputLink";
import { PlainNote } from "./PlainNote";
import { ReactWidget } from "./ReactWidget";

/** Paints a run from its bundle, without a kernel; and further on, as long as its kernel tells of it. */
export class TraceRenderer extends ReactWidget implements IRenderMime.IRenderer {
  readonly #output: OutputLink;
  readonly #keeping = new OutputKeeping();
  #stored: Trace | null = null;
  #drawn: { readonly trace: Trace; readonly isLive: boolean } | null = null;

  constructor(controls: Controls, resolver: IRenderMime.IResolver | null) {
    super("fb-output");
    this.#output = new OutputLink(controls, resolver, () => this.#update());
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.#keeping.shows(model);
    this.#stored = readTrace(model.data[TRACE_MIME]);
    if (!this.#stored) {
      this.#drawn = null;
      this.draw(<PlainNote data={model.data} />);
      return;
    }
    this.#output.bind(this.#stored.flow, this.#stored);
    this.#update();
  }

  override dispose(): void {
    if (!this.isDisposed) this.#output.dispose();
    super.dispose();
  }

  #update(): void {
    const stored = this.#stored;
    if (!stored || this.isDisposed) return;
    const { link } = this.#output;
    const told = link?.trace(stored.runId);
    const trace = told && (told.seq > stored.seq || told.final) ? told : stored;
    const isLive = told !== undefined && link?.store.isLive === true;
    if (this.#drawn?.trace !== trace || this.#drawn.isLive !== isLive) {
      this.#drawn = { trace, isLive };
      this.draw(<TracePanel trace={trace} isLive={isLive} />);
    }
    afterPaint(this.#keep);
  }

  /** Store the run as it ended: the output may have missed that, in a page that was loaded while it went on. */
  readonly #keep = (): void => {
    if (this.isDisposed) return;
    const { link } = this.#output;
    this.#keeping.keep(this.#stored && link?.store.isLive ? link.output(this.#stored.runId) : undefined);
  };
}
