import { type ConnectionLineComponentProps, useStore } from "@xyflow/react";
import type { ReactElement } from "react";
import { portInk } from "../model/looks";
import { plainRoute, routePath } from "../model/routes";
import { useCanvas, useValue } from "./context";
import type { CardNode } from "./NodeCard";
import { readHandleId } from "./PortHandle";

/** An edge that is being drawn, in the colour of its port; over a port it cannot end at it says why. */
export function ConnectionLine(props: ConnectionLineComponentProps<CardNode>): ReactElement | null {
  const { view } = useCanvas();
  const linking = useValue(view.linking);
  const zoom = useStore((state) => state.transform[2]);
  if (!linking) return null;
  const from = { x: props.fromX, y: props.fromY };
  const to = { x: props.toX, y: props.toY };
  const isForward = linking.from.side === "out";
  const { toHandle } = props;
  const place = toHandle && readHandleId(toHandle.id ?? "");
  const isSame = toHandle?.nodeId === linking.from.node && place?.name === linking.from.port;
  const why = toHandle && place && !isSame ? linking.whyNot(toHandle.nodeId, place.side, place.name) : "";
  return (
    <>
      <path
        className="fb-edge fb-edge-drawn"
        d={routePath(isForward ? plainRoute(from, to) : plainRoute(to, from))}
        data-fb-port={portInk(linking.from.type)}
        data-fb-refused={why ? "" : undefined}
      />
      {why && (
        <foreignObject
          className="fb-link-why-place"
          x={to.x}
          y={to.y}
          width={1}
          height={1}
          transform={`translate(${to.x} ${to.y}) scale(${1 / zoom}) translate(${-to.x} ${-to.y})`}
        >
          <div className="fb-link-why" data-fb-ink="failed">
            {why}
          </div>
        </foreignObject>
      )}
    </>
  );
}
