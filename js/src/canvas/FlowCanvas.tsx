import {
  Background,
  BackgroundVariant,
  type EdgeTypes,
  type NodeTypes,
  Position,
  ReactFlow,
  ReactFlowProvider,
  useReactFlow,
  ViewportPortal,
} from "@xyflow/react";
import {
  type KeyboardEvent,
  type PointerEvent,
  type ReactElement,
  type RefObject,
  useEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { edgeId } from "../model/flow";
import {
  around,
  cardRect,
  cardSize,
  type Frame,
  firstView,
  fitAll,
  portPlace,
  portPlaces,
  type Rect,
} from "../model/geometry";
import { Selection } from "../model/selection";
import type { FlowState } from "../model/state";
import type { FlowStore } from "../model/store";
import { findWays } from "../model/ways";
import { snapshotWords } from "../model/wording";
import type { CanvasActions } from "./actions";
import { CanvasProvider, useChanging } from "./context";
import { EdgeLine, type LineEdge } from "./EdgeLine";
import { Ground } from "./Ground";
import { Minimap } from "./Minimap";
import { type CardNode, NodeCard } from "./NodeCard";
import { Notices } from "./Notices";
import { HANDLE_PX, handleId } from "./PortHandle";
import { Toolbar } from "./Toolbar";

const NODE_TYPES: NodeTypes = { card: NodeCard };
const EDGE_TYPES: EdgeTypes = { line: EdgeLine };
const TOOLBAR_PX = 40;
/** From this many cards on a map helps to find them. */
const MAPPED_CARDS = 8;

export interface FlowCanvasProps {
  readonly store: FlowStore;
  /** Null where nobody would answer. */
  readonly actions: CanvasActions | null;
  /** Whether the wheel zooms; in a notebook it scrolls the page, and zooms with Ctrl held. */
  readonly wheelZooms?: boolean;
}

/** A flow as a canvas of cards. It fills its parent, whose height has to be given. */
export function FlowCanvas(props: FlowCanvasProps): ReactElement {
  const { store } = props;
  const host = useRef<HTMLDivElement>(null);
  const size = useSize(host);
  const connection = useChanging(store.onConnection, () => store.connection);
  const isEmpty = useChanging(store.onTopology, () => store.state.cards.size === 0);
  return (
    <div
      ref={host}
      className="fb-root fb-canvas"
      data-fb-connection={connection}
      data-lm-suppress-shortcuts="true"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: an application takes the keys, so it has to take the focus
      tabIndex={0}
      onKeyDown={keepKey}
      onKeyUp={keepKey}
      onPointerDown={takeFocus}
      role="application"
      aria-label={snapshotWords({ flow: store.flow, nodes: [...store.state.cards.values()], run: store.state.run })}
    >
      {size && (
        <ReactFlowProvider>
          <Scene {...props} frame={{ ...size, top: TOOLBAR_PX }} host={host} />
        </ReactFlowProvider>
      )}
      {isEmpty && <div className="fb-empty">Nothing here yet. Run a %%node cell.</div>}
      <Notices store={store} />
    </div>
  );
}

function Scene(
  props: FlowCanvasProps & { readonly frame: Frame; readonly host: RefObject<HTMLElement | null> },
): ReactElement {
  const { store, actions, frame } = props;
  const topology = useChanging(store.onTopology, () => store.topologyCount);
  const waysCount = useChanging(store.onWays, () => store.waysCount);
  const selection = useMemo(() => new Selection(), []);
  const chosen = useChanging(selection.onChange, () => selection.nodes);
  const chosenEdges = useChanging(selection.onChange, () => selection.edges);
  const flow = useReactFlow();

  // biome-ignore lint/correctness/useExhaustiveDependencies: the state is read whenever its topology changed
  const nodes = useMemo(() => nodesOf(store.state), [store, topology]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: as above
  const edges = useMemo(() => edgesOf(store.state), [store, topology]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: as above, for the ways
  const ways = useMemo(() => findWays(store.state.cards, store.state.edges), [store, waysCount]);
  const shownNodes = useMemo(
    () => nodes.map((node) => (chosen.has(node.id) ? { ...node, selected: true } : node)),
    [nodes, chosen],
  );
  const shownEdges = useMemo(
    () => edges.map((edge) => (chosenEdges.has(edge.id) ? { ...edge, selected: true } : edge)),
    [edges, chosenEdges],
  );
  const parts = useMemo(() => ({ store, actions, ways }), [store, actions, ways]);
  // Until a person has chosen what to see, the view follows the flow: it grows while its cells are run.
  const isChosen = useRef(false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the state is read whenever its topology changed
  const first = useMemo(() => firstView(rectsOf(store.state), frame), [store, topology, frame.width, frame.height]);
  useEffect(() => {
    if (!isChosen.current) void flow.setViewport(first);
  }, [flow, first]);
  const tellZoom = ({ zoom }: { readonly zoom: number }): void => {
    props.host.current?.style.setProperty("--fb-zoom", String(zoom));
  };

  return (
    <CanvasProvider value={parts}>
      <ReactFlow
        nodes={shownNodes}
        edges={shownEdges}
        nodeTypes={NODE_TYPES}
        edgeTypes={EDGE_TYPES}
        defaultViewport={first}
        minZoom={0.05}
        maxZoom={2}
        width={frame.width}
        height={frame.height}
        onlyRenderVisibleElements
        nodesDraggable={false}
        nodesConnectable={false}
        edgesFocusable={false}
        elevateNodesOnSelect={false}
        zoomOnScroll={props.wheelZooms ?? false}
        preventScrolling={props.wheelZooms ?? false}
        zoomOnDoubleClick={false}
        deleteKeyCode={null}
        panActivationKeyCode={null}
        zoomActivationKeyCode={null}
        proOptions={{ hideAttribution: true }}
        onInit={() => tellZoom(first)}
        onViewportChange={tellZoom}
        onMoveStart={(event) => {
          if (event) isChosen.current = true;
        }}
        onNodesChange={(changes) => {
          const found = new Set(selection.nodes);
          for (const change of changes) {
            if (change.type === "select") found[change.selected ? "add" : "delete"](change.id);
          }
          if (changes.some((change) => change.type === "select")) selection.choose(found, selection.edges);
        }}
        onEdgesChange={(changes) => {
          const found = new Set(selection.edges);
          for (const change of changes) {
            if (change.type === "select") found[change.selected ? "add" : "delete"](change.id);
          }
          if (changes.some((change) => change.type === "select")) selection.choose(selection.nodes, found);
        }}
      >
        <Background variant={BackgroundVariant.Dots} gap={20} size={1.6} />
        <ViewportPortal>
          <Ground state={store.state} />
        </ViewportPortal>
        {nodes.length >= MAPPED_CARDS && <Minimap store={store} />}
      </ReactFlow>
      <Toolbar
        store={store}
        actions={actions}
        onFit={() => {
          isChosen.current = true;
          void flow.setViewport(fitAll(boundsOf(store.state), frame), { duration: motionMs() });
        }}
      />
    </CanvasProvider>
  );
}

/** How high a canvas wants to be to show a flow in a page of some width; pixels. */
export function wantedHeight(state: FlowState, width: number): number {
  const bounds = boundsOf(state);
  const { zoom } = firstView(rectsOf(state), { width, height: 1e5, top: TOOLBAR_PX });
  return Math.round(Math.min(Math.max((bounds.bottom - bounds.top) * zoom + TOOLBAR_PX + 40, 200), 560));
}

function rectsOf(state: FlowState): readonly Rect[] {
  const notes = state.notes.map(({ x, y }) => ({ left: x, top: y, right: x + 180, bottom: y + 46 }));
  return [...[...state.cards.values()].map(cardRect), ...notes];
}

function boundsOf(state: FlowState): Rect {
  return around(rectsOf(state)) ?? { left: 0, top: 0, right: 200, bottom: 80 };
}

/** The cards as React Flow wants them: places, sizes and handles, so that nothing has to be measured before it paints. */
function nodesOf(state: FlowState): readonly CardNode[] {
  return [...state.cards.values()].map((card) => {
    const { width, height } = cardSize(card);
    return {
      id: card.id,
      type: "card",
      position: { x: card.x, y: card.y },
      data: {},
      width,
      height,
      handles: portPlaces(card).map((place) => ({
        id: handleId(place),
        type: place.side === "in" ? ("target" as const) : ("source" as const),
        position: place.side === "in" ? Position.Left : Position.Right,
        x: (place.side === "in" ? 0 : width) - HANDLE_PX / 2,
        y: place.y - HANDLE_PX / 2,
        width: HANDLE_PX,
        height: HANDLE_PX,
      })),
    };
  });
}

function edgesOf(state: FlowState): readonly LineEdge[] {
  const found: LineEdge[] = [];
  for (const edge of state.edges.values()) {
    const source = state.cards.get(edge.source);
    const target = state.cards.get(edge.target);
    if (!source || !target) continue;
    found.push({
      id: edgeId(edge),
      type: "line",
      source: edge.source,
      target: edge.target,
      sourceHandle: handleId(portPlace(source, "out", edge.sourcePort)),
      targetHandle: handleId(portPlace(target, "in", edge.targetPort)),
    });
  }
  return found;
}

/** The size of an element once it has one, and whenever it gets another. */
function useSize(ref: RefObject<HTMLElement | null>): { readonly width: number; readonly height: number } | null {
  const [size, setSize] = useState<{ readonly width: number; readonly height: number } | null>(null);
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    const observer = new ResizeObserver(() => {
      const { clientWidth: width, clientHeight: height } = element;
      if (width && height) setSize((old) => (old?.width === width && old.height === height ? old : { width, height }));
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [ref]);
  return size;
}

const MODIFIERS = new Set(["Alt", "Control", "Meta", "Shift"]);

/**
 * Keep what is typed on the canvas from the page around it: in a notebook two Ds would delete the cell. Modifiers go on,
 * because React Flow listens for them on the document.
 */
function keepKey(event: KeyboardEvent): void {
  if (!MODIFIERS.has(event.key)) event.stopPropagation();
}

/** Take the focus with a press, and so the keys that follow. */
function takeFocus(event: PointerEvent<HTMLElement>): void {
  const target = event.target as Element;
  if (!target.closest("input, select, button, textarea")) event.currentTarget.focus({ preventScroll: true });
}

function motionMs(): number {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 150;
}
