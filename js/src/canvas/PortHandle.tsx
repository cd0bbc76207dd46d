import { Handle, Position } from "@xyflow/react";
import type { ReactElement } from "react";
import type { PortPlace } from "../model/geometry";
import { portInk } from "../model/looks";

export const HANDLE_PX = 10;

/** The id React Flow knows a port by. */
export const handleId = (place: Pick<PortPlace, "side" | "name">): string => `${place.side}:${place.name}`;

/** A port on a card's side: hollow while nothing is connected, filled when something is. */
export function PortHandle(props: {
  readonly place: PortPlace;
  readonly type: string;
  readonly isFilled: boolean;
  readonly isConnectable: boolean;
}): ReactElement {
  const { place } = props;
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
    />
  );
}
