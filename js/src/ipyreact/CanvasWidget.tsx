/**
 * The canvas as an ipyreact widget, for every front end of ipywidgets. Bundled as one ES module that imports React and
 * nothing else; styles are in it.
 */

import reactFlowStyle from "@xyflow/react/dist/base.css";
import { type ReactElement, useEffect, useMemo, useRef, useState } from "react";
import canvasStyle from "../../style/canvas.css";
import editingStyle from "../../style/editing.css";
import tokensStyle from "../../style/tokens.css";
import traceStyle from "../../style/trace.css";
import { useChanging } from "../canvas/context";
import { FlowCanvas } from "../canvas/FlowCanvas";
import type { DocumentKeeper } from "../model/documentKeeper";
import { FlowStore } from "../model/store";
import { CanvasView } from "../model/view";
import type { FlowLink } from "../protocol/ControlClient";
import { readCanvas } from "../protocol/reading";
import { LastRun } from "../trace/LastRun";
import { clientOf, type Emit, type WidgetModel } from "./widgetClients";
import { keeperOf } from "./widgetKeeper";

/** The widget's traits as ipyreact hands them in, and its event. */
export interface CanvasWidgetProps {
  readonly flow_name: string;
  /** Of the canvas alone, pixels; the last run stands below it. */
  readonly height: number;
  /** The node that is selected, or null; set from both sides. */
  readonly selected: string | null;
  readonly setSelected: (node: string | null) => void;
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
  const view = useSelection(props.selected, props.setSelected);
  const model = props.bridge?.props?.view?.model ?? null;
  const client = model && clientOf(model, props.canvas);
  const link = client && props.flow_name ? client.link(props.flow_name) : null;
  const recorded = useRecorded(props.flow_name, props.snapshot);
  const { height } = props;
  return client && link ? (
    <LinkedCanvas link={link} keeper={keeperOf(client, link)} recorded={recorded} view={view} height={height} />
  ) : (
    <div style={{ height }}>
      <FlowCanvas store={recorded} editor={null} view={view} />
    </div>
  );
}

interface LinkedCanvasProps {
  readonly link: FlowLink;
  readonly keeper: DocumentKeeper;
  readonly recorded: FlowStore;
  readonly view: CanvasView;
  readonly height: number;
}

function LinkedCanvas({ link, keeper, recorded, view, height }: LinkedCanvasProps): ReactElement {
  useEffect(() => link.use(), [link]);
  const isTold = useChanging(link.store.onTopology, () => link.store.state.cards.size > 0);
  const isLive = useChanging(link.store.onConnection, () => link.store.isLive);
  const isWorkedWith = useChanging(link.store.onTrace, () => link.isWorkedWith);
  const store = isTold || isLive ? link.store : recorded;
  return (
    <>
      <div style={{ height }}>
        <FlowCanvas store={store} editor={store === link.store ? link.editor : null} keeper={keeper} view={view} />
      </div>
      {isWorkedWith && <LastRun store={link.store} />}
    </>
  );
}

/** A view whose selection is the widget's: one follows the other, from whichever side it is changed. */
function useSelection(selected: string | null, setSelected: (node: string | null) => void): CanvasView {
  const [view] = useState(() => new CanvasView());
  const tell = useRef(setSelected);
  tell.current = setSelected;
  const known = useRef<string | null>(null);
  useEffect(() => {
    known.current = selected;
    if (selected !== view.selection.primary) view.selection.choose(selected === null ? [] : [selected]);
  }, [view, selected]);
  useEffect(
    () =>
      view.selection.onChange.add(() => {
        const { primary } = view.selection;
        if (primary === known.current) return;
        known.current = primary;
        tell.current(primary);
      }),
    [view],
  );
  return view;
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
    style.textContent = [reactFlowStyle, tokensStyle, canvasStyle, editingStyle, traceStyle].join("\n");
    document.head.append(style);
  }, []);
}
