/** Finds the kernel control of the notebook an output stands in. */

import type { ISessionContext } from "@jupyterlab/apputils";
import type { INotebookTracker, NotebookPanel } from "@jupyterlab/notebook";
import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import { Listeners } from "../model/listeners";
import { doNow } from "./afterPaint";
import { KernelControl } from "./KernelControl";

export class Controls {
  /** Another notebook was opened: an output that found no control may find one now. */
  readonly onNotebook = new Listeners();
  readonly #tracker: INotebookTracker | null;
  readonly #bySession = new WeakMap<ISessionContext, KernelControl>();

  /** `tracker` is null where there are no notebooks; everything stays as it was recorded then. */
  constructor(tracker: INotebookTracker | null) {
    this.#tracker = tracker;
    tracker?.widgetAdded.connect((_, { context }) => {
      context.saveState.connect((_, state) => state === "started" && doNow());
      this.onNotebook.call();
    });
  }

  /**
   * The notebook whose outputs are drawn with a resolver: every notebook has its own, which its outputs keep when they
   * are docked elsewhere.
   */
  notebook(resolver: IRenderMime.IResolver | null): NotebookPanel | null {
    if (!resolver || !this.#tracker) return null;
    return this.#tracker.find((panel) => panel.context.urlResolver === resolver) ?? null;
  }

  /** The control of a notebook; the same for all its views. */
  of(panel: NotebookPanel): KernelControl {
    const { sessionContext } = panel;
    let control = this.#bySession.get(sessionContext);
    if (!control) {
      control = new KernelControl(sessionContext);
      this.#bySession.set(sessionContext, control);
    }
    return control;
  }
}
