import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import { CanvasOutput } from "../canvas/CanvasOutput";
import { Editor } from "../model/editor";
import { FlowStore } from "../model/store";
import { CANVAS_MIME } from "../protocol/bundles";
import type { FlowLink } from "../protocol/ControlClient";
import { readCanvas } from "../protocol/reading";
import type { Controls } from "./Controls";
import { isWorthKeeping } from "./keeping";
import { OutputLink } from "./OutputLink";
import { PlainNote } from "./PlainNote";
import { ReactWidget } from "./ReactWidget";

/**
 * Paints a flow from its bundle, without a kernel; and as its kernel says, as soon as one does. One renderer lives as
 * long as its output and is given every update.
 */
export class CanvasRenderer extends ReactWidget implements IRenderMime.IRenderer {
  readonly #output: OutputLink;
  #model: IRenderMime.IMimeModel | null = null;
  #recorded: FlowStore | null = null;
  #recordedEditor: Editor | null = null;

  constructor(controls: Controls, resolver: IRenderMime.IResolver | null) {
    super("fb-output");
    this.#output = new OutputLink(controls, resolver, () => this.#update());
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.#model = model;
    const bundle = readCanvas(model.data[CANVAS_MIME]);
    if (!bundle) {
      this.draw(<PlainNote data={model.data} />);
      return;
    }
    if (this.#recorded?.flow !== bundle.flow) {
      this.#recorded = new FlowStore(bundle.flow);
      this.#recordedEditor = new Editor(this.#recorded, null);
    }
    this.#recorded.update({ rev: 0, snapshot: bundle });
    this.#output.bind(bundle.flow);
    this.#update();
  }

  override dispose(): void {
    if (!this.isDisposed) this.#output.dispose();
    super.dispose();
  }

  #update(): void {
    if (!this.#recorded || this.isDisposed) return;
    const { link } = this.#output;
    const told = link && link.store.state.cards.size > 0 ? link.editor : null;
    const editor = told ?? this.#recordedEditor;
    if (editor) this.draw(<CanvasOutput store={editor.store} actions={told} />);
    this.#keep(link);
  }

  /** Store what is shown, when it says something else than what is stored. */
  #keep(link: FlowLink | null): void {
    const made = link?.store.isLive ? link.output(null) : undefined;
    const model = this.#model;
    if (!made || !model || !isWorthKeeping(model.data, made)) return;
    model.setData({ data: made as typeof model.data, metadata: model.metadata });
  }
}
