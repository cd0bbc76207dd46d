import {
  Background,
  BackgroundVariant,
  type EdgeTypes,
  type NodeTypes,
  ReactFlow,
  SelectionMode,
  useReactFlow,
  ViewportPortal,
} from "@xyflow/react";
import { type MouseEvent, type MutableRefObject, type ReactElement, useEffect, useMemo, useRef, useState } from "react";
import { isSubflow } from "../model/flow";
import type { Frame, Point, Rect, Viewport } from "../model/geometry";
import { around, cardRect, firstView, fitAll, hasLeftSight, MAX_ZOOM, MIN_ZOOM } from "../model/geometry";
import { GRID_PX, moving } from "../model/gestures";
import type { About } from "../model/view";
import { act, actionById } from "./actions";
import { ConnectionLine } from "./ConnectionLine";
import { useCanvas, useChanging, useIsLive, useValue } from "./context";
import { EdgeLine, type LineEdge } from "./EdgeLine";
import { Ground } from "./Ground";
import { Minimap } from "./Minimap";
import { type CardNode, NodeCard } from "./NodeCard";
import { edgesOf, nodesOf, rectsOf } from "./shapes";
import { useEdgeDrawing } from "./useEdgeDrawing";

const NODE_TYPES: NodeTypes = { card: NodeCard };
const EDGE_TYPES: EdgeTypes = { line: EdgeLine };
const SEVERAL_KEYS = ["Shift", "Control", "Meta"];
/** From this many cards on a map helps to find them. */
const MAPPED_CARDS = 8;

/** The ground with its cards and edges, and what is done to them with the pointer. */
export function FlowScene(props: {
  readonly frame: Frame;
  readonly wheelZooms: boolean;
  /** Whether a person has chosen what to see; until then the view follows the flow, which grows while its cells run. */
  readonly isViewChosen: MutableRefObject<boolean>;
  readonly onZoom: (zoom: number) => void;
  readonly id: string;
}): ReactElement {
  const context = useCanvas();
  const { store, editor, view } = context;
  const { frame, isViewChosen } = props;
  const { selection } = view;
  const flow = useReactFlow();
  const topology = useChanging(store.onTopology, () => store.topologyCount);
  const chosen = useChanging(selection.onChange, () => selection.nodes);
  const chosenEdges = useChanging(selection.onChange, () => selection.edges);
  const isLinking = useValue(view.linking) !== null;
  const canEdit = useIsLive(store) && !editor.whyNot;
  /** Where cards are while they are dragged. */
  const [dragged, setDragged] = useState<ReadonlyMap<string, Point>>(NOWHERE);
  const drawing = useEdgeDrawing(context, flow.screenToFlowPosition);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the state is read whenever its topology changed
  const nodes = useMemo(() => nodesOf(store.state), [store, topology]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: as above
  const edges = useMemo(() => edgesOf(store.state), [store, topology]);
  const shownNodes = useMemo(
    () =>
      nodes.map((node) => {
        const position = dragged.get(node.id);
        if (!position && !chosen.has(node.id)) return node;
        return { ...node, ...(position ? { position } : {}), selected: chosen.has(node.id) };
      }),
    [nodes, chosen, dragged],
  );
  const shownEdges = useMemo(
    () => edges.map((edge) => (chosenEdges.has(edge.id) ? { ...edge, selected: true } : edge)),
    [edges, chosenEdges],
  );

  // biome-ignore lint/correctness/useExhaustiveDependencies: the state is read whenever its topology changed
  useEffect(() => selection.retain(store.state.cards, store.state.edges), [selection, store, topology]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the state is read whenever its topology changed
  const first = useMemo(() => firstView(rectsOf(store.state), frame), [store, topology, frame.width, frame.height]);
  useEffect(() => {
    if (!isViewChosen.current) void flow.setViewport(first);
  }, [flow, first, isViewChosen]);

  const lastRects = useRef<ReadonlyMap<string, Rect>>(new Map());
  // biome-ignore lint/correctness/useExhaustiveDependencies: the state is read whenever its topology changed
  useEffect(() => {
    const rects = new Map([...store.state.cards.values()].map((card) => [card.id, cardRect(card)]));
    const whole = around(rects.values());
    if (whole && isViewChosen.current && hasLeftSight(lastRects.current, rects, flow.getViewport(), frame)) {
      void flow.setViewport(fitAll(whole, frame));
    }
    lastRects.current = rects;
  }, [flow, store, topology]);

  const openMenu = (event: MouseEvent | globalThis.MouseEvent, about: About): void => {
    if (event.shiftKey) return; // the browser's own menu stays within reach
    event.preventDefault();
    event.stopPropagation();
    view.popup.set({ kind: "menu", place: { x: event.clientX, y: event.clientY }, about });
  };
  const drop = (_event: unknown, _node: CardNode, moved: readonly CardNode[]): void => {
    const places = new Map(moved.map(({ id, position }) => [id, position]));
    const why = editor.perform(moving(store.state, places));
    setDragged(NOWHERE);
    if (why) view.tell(why);
  };

  return (
    <ReactFlow
      id={props.id}
      nodes={shownNodes}
      edges={shownEdges}
      nodeTypes={NODE_TYPES}
      edgeTypes={EDGE_TYPES}
      connectionLineComponent={ConnectionLine}
      className={isLinking ? "fb-linking" : ""}
      defaultViewport={first}
      minZoom={MIN_ZOOM}
      maxZoom={MAX_ZOOM}
      width={frame.width}
      height={frame.height}
      onlyRenderVisibleElements
      nodesDraggable={canEdit}
      nodesConnectable={canEdit}
      edgesReconnectable={canEdit}
      nodesFocusable={false}
      edgesFocusable={false}
      disableKeyboardA11y
      elevateNodesOnSelect={false}
      connectOnClick={false}
      snapToGrid
      snapGrid={[GRID_PX, GRID_PX]}
      nodeDragThreshold={3}
      connectionDragThreshold={3}
      selectionKeyCode="Shift"
      selectionMode={SelectionMode.Partial}
      multiSelectionKeyCode={SEVERAL_KEYS}
      zoomOnScroll={props.wheelZooms}
      preventScrolling={props.wheelZooms}
      zoomOnDoubleClick={false}
      deleteKeyCode={null}
      panActivationKeyCode={null}
      zoomActivationKeyCode={null}
      proOptions={{ hideAttribution: true }}
      {...drawing}
      onInit={() => props.onZoom(first.zoom)}
      onViewportChange={({ zoom }: Viewport) => props.onZoom(zoom)}
      onMoveStart={(event) => {
        if (event) isViewChosen.current = true;
      }}
      onNodesChange={(changes) => {
        const found = new Set(selection.nodes);
        const places = new Map(dragged);
        for (const change of changes) {
          if (change.type === "select") found[change.selected ? "add" : "delete"](change.id);
          if (change.type === "position" && change.position && change.dragging) places.set(change.id, change.position);
        }
        if (changes.some(({ type }) => type === "select")) selection.choose(found, selection.edges);
        if (changes.some((change) => change.type === "position" && change.dragging)) setDragged(places);
      }}
      onEdgesChange={(changes) => {
        const found = new Set(selection.edges);
        for (const change of changes) {
          if (change.type === "select") found[change.selected ? "add" : "delete"](change.id);
        }
        if (changes.some(({ type }) => type === "select")) selection.choose(selection.nodes, found);
      }}
      onNodeDragStart={() => {
        isViewChosen.current = true;
      }}
      onNodeDragStop={drop}
      onNodeDoubleClick={(event, { id }) => {
        const target = event.target as Element;
        if (target.closest("button, input, select, textarea")) return;
        selection.choose([id]);
        const look = isSubflow(store.card(id)) ? actionById("lookInside", context) : undefined;
        if (canEdit && target.closest(".fb-card-name")) view.renaming.set(id);
        else if (look) act(look, context);
        else view.isInspecting.set(true);
      }}
      onNodeContextMenu={(event, { id }) => {
        if ((event.target as Element).closest("input, textarea")) return; // a field has a menu of its own
        if (!selection.nodes.has(id)) selection.choose([id]);
        openMenu(event, "node");
      }}
      onEdgeContextMenu={(event, { id }: LineEdge) => {
        if (!selection.edges.has(id)) selection.choose([], [id]);
        openMenu(event, "edge");
      }}
      onPaneContextMenu={(event) => openMenu(event, "ground")}
    >
      <Background variant={BackgroundVariant.Dots} gap={GRID_PX} size={1.6} />
      <ViewportPortal>
        <Ground state={store.state} />
      </ViewportPortal>
      {nodes.length >= MAPPED_CARDS && <Minimap store={store} />}
    </ReactFlow>
  );
}

const NOWHERE: ReadonlyMap<string, Point> = new Map();
