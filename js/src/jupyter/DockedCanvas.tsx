/** A canvas beside the notebook: the same flow, the same undo, the same kernel as the one in the cell. */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import { MainAreaWidget } from "@jupyterlab/apputils";
import type { NotebookPanel } from "@jupyterlab/notebook";
import type { ReactElement } from "react";
import { useChanging } from "../canvas/context";
import { FlowCanvas } from "../canvas/FlowCanvas";
import { Editor } from "../model/editor";
import { FlowStore } from "../model/store";
import type { FlowLink } from "../protocol/ControlClient";
import { readCanvas } from "../protocol/reading";
import { TracePanel } from "../trace/TracePanel";
import { flowIcon } from "./flowIcon";
import { ReactWidget } from "./ReactWidget";
import type { NotebookFlows } from "./tokens";

/** The canvas of a flow that stands beside a notebook already. */
export function openedCanvas(app: JupyterFrontEnd, panel: NotebookPanel, flow: string): MainAreaWidget | null {
  for (const area of ["main", "right"] as const) {
    for (const widget of app.shell.widgets(area)) {
      if (widget.id === idOf(panel, flow) && widget instanceof MainAreaWidget) return widget;
    }
  }
  return null;
}

/** Open the canvas of a flow beside its notebook, or show the one that is open. */
export function openCanvas(
  app: JupyterFrontEnd,
  flows: NotebookFlows,
  panel: NotebookPanel,
  flow: string,
): MainAreaWidget {
  const opened = openedCanvas(app, panel, flow);
  const widget = opened ?? new MainAreaWidget({ content: new DockedCanvas(flows, panel, flow) });
  if (!opened) {
    widget.id = idOf(panel, flow);
    widget.title.label = flow;
    widget.title.caption = `The flow ${flow} of ${panel.context.path}`;
    widget.title.icon = flowIcon;
    widget.title.closable = true;
    // A front end for single documents has no room for two in its middle.
    if (app.name === "JupyterLab") app.shell.add(widget, "main", { mode: "split-right", ref: panel.id });
    else app.shell.add(widget, "right");
  }
  app.shell.activateById(widget.id);
  return widget;
}

class DockedCanvas extends ReactWidget {
  readonly #flows: NotebookFlows;
  readonly #panel: NotebookPanel;
  readonly #flow: string;
  readonly #link: FlowLink;
  readonly #stops: readonly (() => void)[];
  #recorded: Editor | null = null;

  constructor(flows: NotebookFlows, panel: NotebookPanel, flow: string) {
    super("fb-docked");
    this.#flows = flows;
    this.#panel = panel;
    this.#flow = flow;
    const control = flows.controls.of(panel);
    control.wake();
    this.#link = control.client.link(flow);
    const { store } = this.#link;
    const drawn = (): void => this.#draw();
    this.#stops = [this.#link.use(), store.onConnection.add(drawn), store.onTopology.add(drawn)];
    this.#draw();
  }

  override dispose(): void {
    if (!this.isDisposed) for (const stop of this.#stops) stop();
    super.dispose();
  }

  #draw(): void {
    if (this.isDisposed) return;
    const isTold = this.#link.store.state.cards.size > 0;
    const editor = isTold ? this.#link.editor : this.#record();
    this.draw(
      <Docked
        store={editor.store}
        editor={editor}
        keeper={this.#flows.keepers.of(this.#panel, this.#flow)}
        hostActions={this.#flows.hostActions(this.#panel)}
      />,
    );
  }

  /** Without a kernel: what the notebook shows. */
  #record(): Editor {
    if (!this.#recorded) {
      const bundle = readCanvas(this.#flows.notebooks.recorded(this.#panel, this.#flow));
      this.#recorded = new Editor(bundle ? FlowStore.recorded(bundle) : new FlowStore(this.#flow), null);
    }
    return this.#recorded;
  }
}

type DockedProps = Parameters<typeof FlowCanvas>[0];

function Docked(props: DockedProps): ReactElement {
  const { store } = props;
  const trace = useChanging(store.onTrace, () => store.trace);
  const isLive = useChanging(store.onConnection, () => store.isLive);
  return (
    <>
      <div className="fb-docked-canvas">
        <FlowCanvas {...props} wheelZooms />
      </div>
      {trace && (
        <div className="fb-docked-trace">
          <TracePanel trace={trace} isLive={isLive} />
        </div>
      )}
    </>
  );
}

const idOf = (panel: NotebookPanel, flow: string): string => `flowbook-canvas:${panel.id}:${flow}`;
