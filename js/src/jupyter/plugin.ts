/** flowbook in JupyterLab: paints the outputs of flows. The only room that knows JupyterLab. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { INotebookTracker } from "@jupyterlab/notebook";
import { IRenderMimeRegistry } from "@jupyterlab/rendermime";
import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import { CANVAS_MIME, NODE_MIME, TRACE_MIME } from "../protocol/bundles";
import { CanvasRenderer } from "./CanvasRenderer";
import { Controls } from "./Controls";
import { hostActionsOf } from "./hostActions";
import { Keepers } from "./Keepers";
import { NodeRenderer } from "./NodeRenderer";
import { notebookPlugin } from "./notebookPlugin";
import { OpenNotebooks } from "./OpenNotebooks";
import { openTable } from "./openTable";
import { keepOwnKeys } from "./ownKeys";
import { TraceRenderer } from "./TraceRenderer";
import { INotebookFlows, type NotebookFlows } from "./tokens";

/** Before HTML, SVG and widgets, which stand beside our bundles for readers without this extension. */
const RANK = -20;

const flows: JupyterFrontEndPlugin<NotebookFlows> = {
  id: "flowbook:flows",
  description: "Knows the flows of open notebooks: their kernels, their cells, their documents.",
  autoStart: true,
  requires: [INotebookTracker],
  provides: INotebookFlows,
  activate: (app: JupyterFrontEnd, tracker: INotebookTracker): NotebookFlows => {
    const controls = new Controls(tracker);
    const notebooks = new OpenNotebooks(tracker);
    const keepers = new Keepers(controls, notebooks);
    const found: NotebookFlows = {
      controls,
      notebooks,
      keepers,
      hostActions: (panel) => hostActionsOf(app, found, panel),
    };
    return found;
  },
};

const renderers: JupyterFrontEndPlugin<void> = {
  id: "flowbook:renderers",
  description: "Paints flows, runs and nodes in the outputs of notebooks.",
  autoStart: true,
  requires: [IRenderMimeRegistry],
  optional: [INotebookFlows],
  activate: (app: JupyterFrontEnd, registry: IRenderMimeRegistry, notebooks: NotebookFlows | null) => {
    keepOwnKeys(app);
    const controls = notebooks?.controls ?? new Controls(null);
    const add = (
      mime: string,
      createRenderer: (options: IRenderMime.IRendererOptions) => IRenderMime.IRenderer,
    ): void =>
      // Everything in a bundle is drawn as text, so it may be painted in a notebook that is not trusted.
      registry.addFactory({ safe: true, mimeTypes: [mime], createRenderer }, RANK);
    add(CANVAS_MIME, ({ resolver }) => new CanvasRenderer(controls, resolver, notebooks));
    add(TRACE_MIME, ({ resolver }) => new TraceRenderer(controls, resolver));
    add(NODE_MIME, ({ resolver }) => {
      const values = resolver ? registry.clone({ resolver }) : registry;
      const onTable = (flow: string, node: string): void => {
        const panel = controls.notebook(resolver);
        if (notebooks && panel) void openTable(app, notebooks, panel, flow, node);
      };
      return new NodeRenderer(values, controls, resolver, notebooks && onTable);
    });
  },
};

export default [flows, renderers, notebookPlugin];
