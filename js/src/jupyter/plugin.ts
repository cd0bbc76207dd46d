/** flowbook in JupyterLab: paints the outputs of flows. The only room that knows JupyterLab. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { INotebookTracker } from "@jupyterlab/notebook";
import { IRenderMimeRegistry } from "@jupyterlab/rendermime";
import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import { CANVAS_MIME, NODE_MIME, TRACE_MIME } from "../protocol/bundles";
import { CanvasRenderer } from "./CanvasRenderer";
import { Controls } from "./Controls";
import { NodeRenderer } from "./NodeRenderer";
import { TraceRenderer } from "./TraceRenderer";

/** Before HTML, SVG and widgets, which stand beside our bundles for readers without this extension. */
const RANK = -20;

const renderers: JupyterFrontEndPlugin<void> = {
  id: "flowbook:renderers",
  description: "Paints flows, runs and nodes in the outputs of notebooks.",
  autoStart: true,
  requires: [IRenderMimeRegistry],
  optional: [INotebookTracker],
  activate: (_app: JupyterFrontEnd, registry: IRenderMimeRegistry, notebooks: INotebookTracker | null) => {
    const controls = new Controls(notebooks);
    const add = (
      mime: string,
      createRenderer: (options: IRenderMime.IRendererOptions) => IRenderMime.IRenderer,
    ): void =>
      // Everything in a bundle is drawn as text, so it may be painted in a notebook that is not trusted.
      registry.addFactory({ safe: true, mimeTypes: [mime], createRenderer }, RANK);
    add(CANVAS_MIME, ({ resolver }) => new CanvasRenderer(controls, resolver));
    add(TRACE_MIME, ({ resolver }) => new TraceRenderer(controls, resolver));
    add(NODE_MIME, ({ resolver }) => {
      const values = resolver ? registry.clone({ resolver }) : registry;
      return new NodeRenderer(values, controls, resolver);
    });
  },
};

export default [renderers];
