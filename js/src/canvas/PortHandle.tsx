import { Handle, Position } from "@xyflow/react";
import type { ReactElement } from "react";
import type { PortPlace } from "../model/geometry";
import { portInk } from "../model/looks";
import { useCanvas, useChanging } from "./context";

export const HANDLE_PX = 10;

/** The id React Flow knows a port by. */
export const handleId = (place: Pick<PortPlace, "side" | "name">): string => `${place.side}:${place.name}`;

/** The port of an id. */
export function readHandleId(id: string): Pick<PortPlace, "side" | "name"> {
  const [side, ...name] = id.split(":");
  return { side: side === "in" ? "in" : "out", name: name.join(":") };
}

/**
 * A port on a card's side: hollow while nothing is connected, filled when something is. While an edge is drawn, the
 * ports it can end at stand out and the others step back. A press opens the list of what it can be connected to.
 */
export function PortHandle(props: {
  readonly node: string;
  readonly place: PortPlace;
  readonly type: string;
  readonly isFilled: boolean;
  readonly isConnectable: boolean;
  /** A setting that no edge feeds: its port shows only where an edge could end. */
  readonly isHidden: boolean;
}): ReactElement {
  const { view, store } = useCanvas();
  const { node, place } = props;
  const mark = useChanging(view.linking.onChange, () => view.linking.now?.mark(node, place.side, place.name) ?? null);
  const press = (event: { readonly clientX: number; readonly clientY: number }): void => {
    if (!store.card(node)) return;
    const at = { x: event.clientX + 12, y: event.clientY + 4 };
    const from = { node, port: place.name, side: place.side, type: props.type };
    view.popup.set({ kind: "connect", place: at, node, from, to: null });
  };
  return (
    <Handle
      id={handleId(place)}
      className="fb-handle"
      type={place.side === "in" ? "target" : "source"}
      position={place.side === "in" ? Position.Left : Position.Right}
      isConnectable={props.isConnectable}
      style={{ top: place.y }}
      data-fb-port={portInk(props.type)}
      data-fb-filled={props.isFilled ? "" : undefined}
      data-fb-hidden={props.isHidden ? "" : undefined}
      data-fb-link={mark ?? undefined}
      {...(props.isConnectable && place.name ? { onClick: press } : {})}
    />
  );
}
