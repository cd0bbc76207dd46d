import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import { CanvasOutput } from "../canvas/CanvasOutput";
import { FlowStore } from "../model/store";
import { CANVAS_MIME } from "../protocol/bundles";
import { readCanvas } from "../protocol/reading";
import { PlainNote } from "./PlainNote";
import { ReactWidget } from "./ReactWidget";

/** Paints a flow from its bundle, without a kernel. One renderer lives as long as its output and is given every update. */
export class CanvasRenderer extends ReactWidget implements IRenderMime.IRenderer {
  #recorded: FlowStore | null = null;

  constructor() {
    super("fb-output");
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const bundle = readCanvas(model.data[CANVAS_MIME]);
    if (!bundle) {
      this.draw(<PlainNote data={model.data} />);
      return;
    }
    if (this.#recorded?.flow !== bundle.flow) this.#recorded = new FlowStore(bundle.flow);
    this.#recorded.update({ rev: 0, snapshot: bundle });
    this.draw(<CanvasOutput store={this.#recorded} actions={null} />);
  }
}
