/**
 * The canvas as an ipyreact widget, for every front end of ipywidgets. Bundled as one ES module that imports React and
 * nothing else; styles are in it.
 */

import reactFlowStyle from "@xyflow/react/dist/base.css";
import { type ReactElement, useEffect, useMemo } from "react";
import canvasStyle from "../../style/canvas.css";
import tokensStyle from "../../style/tokens.css";
import traceStyle from "../../style/trace.css";
import { useChanging } from "../canvas/context";
import { FlowCanvas } from "../canvas/FlowCanvas";
import { FlowStore } from "../model/store";
import type { FlowLink } from "../protocol/ControlClient";
import { readCanvas } from "../protocol/reading";
import { clientOf, type Emit, type WidgetModel } from "./widgetClients";

export interface CanvasWidgetProps {
  /** The flow's name. */
  readonly flow: string;
  /** Pixels. */
  readonly height: number;
  /** The flow as it stood when it was stored; what is shown until a kernel says more. */
  readonly snapshot: unknown;
  /** Sends a message to the kernel; in ipyreact an event handler. */
  readonly canvas: Emit;
  /**
   * The element of another widget: ipyreact gives components no model, but elements of widgets hold the view that drew
   * them, and so the model. Without it what is shown is what the traits say.
   */
  readonly bridge?: { readonly props?: { readonly view?: { readonly model?: WidgetModel } } };
}

const STYLE_ID = "flowbook-canvas-style";

/** The canvas of one flow. */
export default function CanvasWidget(props: CanvasWidgetProps): ReactElement {
  useStyle();
  const model = props.bridge?.props?.view?.model ?? null;
  const link = model && props.flow ? clientOf(model, props.canvas).link(props.flow) : null;
  const recorded = useRecorded(props.flow, props.snapshot);
  return (
    <div style={{ height: props.height, minHeight: 160 }}>
      {link ? <LinkedCanvas link={link} recorded={recorded} /> : <FlowCanvas store={recorded} editor={null} />}
    </div>
  );
}

function LinkedCanvas({ link, recorded }: { readonly link: FlowLink; readonly recorded: FlowStore }): ReactElement {
  useEffect(() => link.use(), [link]);
  const isTold = useChanging(link.store.onTopology, () => link.store.state.cards.size > 0);
  const isLive = useChanging(link.store.onConnection, () => link.store.isLive);
  const store = isTold || isLive ? link.store : recorded;
  return <FlowCanvas store={store} editor={store === link.store ? link.editor : null} />;
}

function useRecorded(flow: string, snapshot: unknown): FlowStore {
  const store = useMemo(() => new FlowStore(flow), [flow]);
  useEffect(() => {
    const read = readCanvas(snapshot);
    if (read) store.update({ rev: 0, snapshot: read });
  }, [store, snapshot]);
  return store;
}

/** Put the styles into the page, once. */
function useStyle(): void {
  useEffect(() => {
    if (document.getElementById(STYLE_ID)) return;
    const style = document.createElement("style");
    style.id = STYLE_ID;
    style.textContent = [reactFlowStyle, tokensStyle, canvasStyle, traceStyle].join("\n");
    document.head.append(style);
  }, []);
}
