import type { NotebookPanel } from "@jupyterlab/notebook";
import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import type { Action } from "../canvas/actions";
import { CanvasOutput } from "../canvas/CanvasOutput";
import type { DocumentKeeper } from "../model/documentKeeper";
import { Editor } from "../model/editor";
import { FlowStore } from "../model/store";
import { CANVAS_MIME } from "../protocol/bundles";
import { readCanvas } from "../protocol/reading";
import { LastRun } from "../trace/LastRun";
import { afterPaint } from "./afterPaint";
import type { Controls } from "./Controls";
import { OutputKeeping } from "./keeping";
import { OutputLink } from "./OutputLink";
import { PlainNote } from "./PlainNote";
import { ReactWidget } from "./ReactWidget";
import type { NotebookFlows } from "./tokens";

const NO_ACTIONS: readonly Action[] = [];

/**
 * Paints a flow from its bundle, without a kernel; and as its kernel says, as soon as one does. One renderer lives as
 * long as its output and is given every update.
 */
export class CanvasRenderer extends ReactWidget implements IRenderMime.IRenderer {
  readonly #output: OutputLink;
  readonly #panel: () => NotebookPanel | null;
  readonly #flows: NotebookFlows | null;
  readonly #keeping = new OutputKeeping();
  #recorded: FlowStore | null = null;
  #recordedEditor: Editor | null = null;
  #hostActions: readonly Action[] | null = null;

  constructor(controls: Controls, resolver: IRenderMime.IResolver | null, flows: NotebookFlows | null) {
    super("fb-output");
    this.#panel = () => controls.notebook(resolver);
    this.#flows = flows;
    this.#output = new OutputLink(controls, resolver, () => this.#update());
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.#keeping.shows(model);
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
    if (!editor) return;
    // A run that was asked for here has no cell of its own that would show it.
    const run = told && link?.isWorkedWith ? <LastRun store={told.store} /> : null;
    this.draw(
      <CanvasOutput store={editor.store} editor={editor} {...this.#surroundings(editor)}>
        {run}
      </CanvasOutput>,
    );
    afterPaint(this.#keep);
  }

  /** What the notebook around the canvas does for it. */
  #surroundings(editor: Editor): { readonly keeper: DocumentKeeper | null; readonly hostActions: readonly Action[] } {
    const panel = this.#panel();
    if (!panel || !this.#flows) return { keeper: null, hostActions: NO_ACTIONS };
    this.#hostActions ??= this.#flows.hostActions(panel);
    return { keeper: this.#flows.keepers.of(panel, editor.store.flow), hostActions: this.#hostActions };
  }

  /** Store what is shown, when it says something else than what is stored. */
  readonly #keep = (): void => {
    if (this.isDisposed) return;
    const { link } = this.#output;
    this.#keeping.keep(link?.store.isLive ? link.output(null) : undefined);
  };
}
