import type { Connection, Edge as FlowEdge, OnConnectEnd, OnConnectStart } from "@xyflow/react";
import { useMemo, useRef } from "react";
import { type Edge, edgeId } from "../model/flow";
import type { Point } from "../model/geometry";
import { connecting, reconnecting, removing } from "../model/gestures";
import { Linking, portEnd } from "../model/linking";
import type { Ends } from "../model/operations";
import type { CanvasContext } from "./actions";
import type { LineEdge } from "./EdgeLine";
import { readHandleId } from "./PortHandle";

interface EdgeDrawing {
  readonly isValidConnection: (connection: FlowEdge | Connection) => boolean;
  readonly onConnectStart: OnConnectStart;
  readonly onConnectEnd: OnConnectEnd;
  readonly onReconnectStart: (event: unknown, edge: LineEdge) => void;
  readonly onReconnect: () => void;
}

/**
 * Edges that are drawn with the pointer, new ones and such whose one end is led elsewhere. One gesture ends in one of
 * five ways: at a port that fits; at one that does not, and says why; on a card, whose only fitting port is meant; on
 * the ground, where a node is added, or the edge that was held is taken away; or nowhere.
 */
export function useEdgeDrawing(context: CanvasContext, toFlow: (place: Point) => Point): EdgeDrawing {
  const held = useRef<Edge | null>(null);
  return useMemo(() => {
    const { store, editor, view } = context;

    const join = (ends: Ends, moved: Edge | null): void =>
      view.tell(
        editor.perform(
          moved ? reconnecting(store.state, moved, ends, editor.background.facts) : connecting(store.state, ends),
        ),
      );

    const dropOnCard = (linking: Linking, node: string, place: Point): void => {
      const [port, ...others] = linking.openPorts(node);
      if (!port) {
        const [first] = linking.candidates().filter((end) => end.node === node);
        view.tell(first?.why ?? `${node} has no port for it.`);
      } else if (others.length && !linking.moved) {
        view.popup.set({ kind: "connect", place, node: linking.from.node, from: linking.from, to: node });
      } else join(linking.ends(node, port.port), linking.moved);
    };

    const dropOnGround = (linking: Linking, place: Point): void => {
      if (linking.moved) view.tell(editor.perform(removing(store.state, [], [edgeId(linking.moved)])));
      else view.popup.set({ kind: "add", place, at: toFlow(place), from: linking.from });
    };

    return {
      isValidConnection: ({ source, sourceHandle, target, targetHandle }) => {
        const linking = view.linking.now;
        if (!linking) return false;
        const isForward = linking.from.side === "out";
        const { side, name } = readHandleId((isForward ? targetHandle : sourceHandle) ?? "");
        return linking.whyNot(isForward ? target : source, side, name) === "";
      },
      onReconnectStart: (_event, edge) => {
        held.current = store.edge(edge.id) ?? null;
      },
      onConnectStart: (_event, { nodeId, handleId, handleType }) => {
        const card = nodeId === null ? undefined : store.card(nodeId);
        const { name } = readHandleId(handleId ?? "");
        const side = handleType === "target" ? "in" : "out";
        // A card of which no port is known gives what it gives by its name.
        const from = portEnd(card, side, name) ?? (card && { node: card.id, port: name, side, type: "any" });
        view.linking.set(from ? new Linking(store.state, from, held.current) : null);
        held.current = null;
      },
      // What a gesture comes to is decided at its end, for new and for moved edges alike.
      onReconnect: () => undefined,
      onConnectEnd: (event, { toHandle, isValid }) => {
        const linking = view.linking.now;
        view.linking.set(null);
        if (!linking) return;
        const { from } = linking;
        const place = placeOf(event);
        if (toHandle) {
          const { side, name } = readHandleId(toHandle.id ?? "");
          if (toHandle.nodeId === from.node && side === from.side) return;
          if (isValid) join(linking.ends(toHandle.nodeId, name), linking.moved);
          else view.tell(linking.whyNot(toHandle.nodeId, side, name));
          return;
        }
        const below = document.elementFromPoint(place.x, place.y);
        const node = below?.closest<HTMLElement>(".react-flow__node")?.dataset["id"];
        if (node !== undefined && node !== from.node) dropOnCard(linking, node, place);
        else if (below?.classList.contains("react-flow__pane")) dropOnGround(linking, place);
      },
    };
  }, [context, toFlow]);
}

function placeOf(event: MouseEvent | TouchEvent): Point {
  const { clientX, clientY } = "changedTouches" in event ? (event.changedTouches[0] ?? NOWHERE) : event;
  return { x: clientX, y: clientY };
}

const NOWHERE = { clientX: -1, clientY: -1 };
