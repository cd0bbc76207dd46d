import { type EdgeProps, type Edge as ReactFlowEdge, type ReactFlowState, useStore } from "@xyflow/react";
import { memo, type ReactElement } from "react";
import { portInk } from "../model/looks";
import { plainRoute, routePath } from "../model/routes";
import { columnWords, edgeWords } from "../model/wording";
import { useCanvas, useCard, useEdge, useIsLive } from "./context";
import { detailOf } from "./NodeCard";

export type LineEdge = ReactFlowEdge<Record<string, never>, "line">;

const isFarOf = (state: ReactFlowState): boolean => detailOf(state) === "block";

/** One edge: a curve in the colour of its type, with what it carried beside it. */
export const EdgeLine = memo(function EdgeLine(props: EdgeProps<LineEdge>): ReactElement | null {
  const { store, ways } = useCanvas();
  const edge = useEdge(store, props.id);
  const isRunning = useCard(store, props.target)?.status === "running";
  const from = useCard(store, props.source)?.outputs;
  const isLive = useIsLive(store);
  const isFar = useStore(isFarOf);
  if (!edge) return null;
  const way = ways.get(props.id);
  // While a card is dragged its edges leave the way that was found for them.
  const isAtRest =
    way && Math.abs(way.start.y - props.sourceY) < 1 && Math.abs(way.end.y - props.targetY) < 1 && isNear(way, props);
  const path = isAtRest
    ? way.path
    : routePath(plainRoute({ x: props.sourceX, y: props.sourceY }, { x: props.targetX, y: props.targetY }));
  return (
    <>
      <path
        className="fb-edge react-flow__edge-path"
        d={path}
        data-fb-port={portInk(edge.type)}
        data-fb-implicit={edge.implicit ? "" : undefined}
        data-fb-idle={edge.carried ? undefined : ""}
        data-fb-moving={isLive && isRunning && edge.carried ? "" : undefined}
      />
      {/* A line of two pixels is hard to meet; from afar nobody can. */}
      {!isFar && (
        <path className="react-flow__edge-interaction" d={path} fill="none" strokeOpacity={0} strokeWidth={16}>
          <title>{edgeWords(edge) + columnWords(from?.find((port) => port.name === edge.sourcePort))}</title>
        </path>
      )}
      {!isFar && isAtRest && way.label && (
        <text className="fb-edge-label" x={way.label.x} y={way.label.y}>
          {way.label.text}
        </text>
      )}
    </>
  );
});

/** React Flow lets an edge begin at the outer side of a handle, a few pixels beside the card's own edge. */
function isNear(
  way: { readonly start: { readonly x: number }; readonly end: { readonly x: number } },
  props: EdgeProps<LineEdge>,
): boolean {
  return Math.abs(way.start.x - props.sourceX) < 8 && Math.abs(way.end.x - props.targetX) < 8;
}
