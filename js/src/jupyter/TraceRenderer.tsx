import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import { TRACE_MIME } from "../protocol/bundles";
import { readTrace } from "../protocol/reading";
import { TracePanel } from "../trace/TracePanel";
import { PlainNote } from "./PlainNote";
import { ReactWidget } from "./ReactWidget";

/** Paints a run from its bundle, without a kernel. */
export class TraceRenderer extends ReactWidget implements IRenderMime.IRenderer {
  constructor() {
    super("fb-output");
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const bundle = readTrace(model.data[TRACE_MIME]);
    this.draw(bundle ? <TracePanel trace={bundle} isLive={false} /> : <PlainNote data={model.data} />);
  }
}
