import { ReactFlowProvider, useStoreApi } from "@xyflow/react";
import {
  type KeyboardEvent,
  type MouseEvent,
  memo,
  type PointerEvent,
  type ReactElement,
  type RefObject,
  useEffect,
  useId,
  useMemo,
  useRef,
  useState,
} from "react";
import type { DocumentKeeper } from "../model/documentKeeper";
import { Editor } from "../model/editor";
import { isSubflow } from "../model/flow";
import type { Frame } from "../model/geometry";
import { KeyMap } from "../model/keys";
import type { FlowStore } from "../model/store";
import { CanvasView } from "../model/view";
import { findWays } from "../model/ways";
import { snapshotWords } from "../model/wording";
import { type Action, act, actionById, actionsOf, type CanvasContext, pasteText } from "./actions";
import { CanvasProvider, useChanging, useIsLive, useValue } from "./context";
import { focusCanvas, registerCanvas } from "./current";
import { EmptyNote } from "./EmptyNote";
import { FlowScene } from "./FlowScene";
import { Inspector } from "./Inspector";
import { KeeperBar } from "./KeeperBar";
import { Notices } from "./Notices";
import { Popups } from "./Popups";
import { TOOLBAR_PX } from "./shapes";
import { systemClipboard } from "./systemClipboard";
import { type Step, Toolbar } from "./Toolbar";
import { isTyping, ownsKey } from "./typing";
import { useScreen } from "./useScreen";

export interface FlowCanvasProps {
  readonly store: FlowStore;
  /** Null where nobody would answer. One for all views of a flow, so that they share what can be undone. */
  readonly editor: Editor | null;
  /** Who keeps the document where people find it again. */
  readonly keeper?: DocumentKeeper | null;
  /** Where selection and the like are kept, for those who watch them; the canvas has one of its own else. */
  readonly view?: CanvasView;
  /** What the place where the canvas stands adds to what one can do. */
  readonly hostActions?: readonly Action[];
  /** Whether the wheel zooms; in a notebook it scrolls the page, and zooms with Ctrl held. */
  readonly wheelZooms?: boolean;
  /** Escape was pressed, and there is nothing left to give up but the focus. */
  readonly onLeave?: () => void;
  /** The canvases around this one, when it shows the inside of a node. */
  readonly trail?: readonly Step[];
}

/**
 * A flow as a canvas of cards. It fills its parent, whose height has to be given. What stands around it is drawn anew
 * with every run, the canvas only where its flow changed.
 */
export const FlowCanvas = memo(function FlowCanvas(props: FlowCanvasProps): ReactElement {
  const { store, editor, wheelZooms = false, trail = NO_STEPS } = props;
  const [view] = useState(() => props.view ?? new CanvasView());
  const node = useValue(view.inside);
  const isThere = useChanging(store.onTopology, () => node !== null && isSubflow(store.card(node)));
  const inside = useMemo(() => (node === null ? null : (editor?.inside(node) ?? null)), [editor, node]);
  useEffect(() => inside?.use(), [inside]);
  useEffect(() => {
    if (node !== null && !isThere) view.inside.set(null); // it was taken out, or renamed
  }, [view, node, isThere]);
  const steps = useMemo(() => {
    const words = trail.at(-1)?.node ?? store.flow;
    return [...trail, { words, node: node ?? "", back: () => view.inside.set(null) }];
  }, [trail, store, node, view]);
  if (inside && isThere) {
    const { editor: reader } = inside;
    const back = (): void => view.inside.set(null);
    return (
      <FlowCanvas
        key={node}
        store={reader.store}
        editor={reader}
        wheelZooms={wheelZooms}
        trail={steps}
        onLeave={back}
      />
    );
  }
  return (
    <ReactFlowProvider>
      <Canvas {...props} view={view} />
    </ReactFlowProvider>
  );
});

const NO_STEPS: readonly Step[] = [];

const NO_ACTIONS: readonly Action[] = [];

function Canvas(props: FlowCanvasProps): ReactElement {
  const { store, keeper = null, hostActions = NO_ACTIONS, trail = NO_STEPS } = props;
  const root = useRef<HTMLDivElement>(null);
  const surface = useRef<HTMLDivElement>(null);
  const isViewChosen = useRef(false);
  const size = useSize(surface);
  const frame: Frame | null = useMemo(() => size && { ...size, top: TOOLBAR_PX }, [size]);
  const id = useId();
  const [view] = useState(() => props.view ?? new CanvasView());
  const editor = useMemo(() => props.editor ?? new Editor(store, null), [props.editor, store]);
  const screen = useScreen({ store, surface, frame, isViewChosen, onLeave: props.onLeave });
  const context = useMemo<CanvasContext>(
    () => ({ store, editor, view, screen, clipboard: systemClipboard, keeper, hostActions }),
    [store, editor, view, screen, keeper, hostActions],
  );
  const waysCount = useChanging(store.onWays, () => store.waysCount);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the state is read whenever the ways changed
  const ways = useMemo(() => findWays(store.state.cards, store.state.edges), [store, waysCount]);
  const parts = useMemo(
    () => ({ ...context, ways, elementId: (node: string) => `${id}${encodeURIComponent(node)}` }),
    [context, ways, id],
  );
  const connection = useChanging(store.onConnection, () => store.connection);
  const canEdit = useIsLive(store) && !editor.whyNot;
  const isEmpty = useChanging(store.onTopology, () => store.state.cards.size === 0);
  const primary = useChanging(view.selection.onChange, () => view.selection.primary);
  const isSeen = useChanging(store.onTopology, () => primary !== null && store.state.cards.has(primary));

  useEffect(() => {
    if (trail.length) surface.current?.focus({ preventScroll: true }); // who looked inside goes on there with the keys
  }, [trail.length]);
  useEffect(() => (root.current ? registerCanvas(root.current, context) : undefined), [context]);
  useEdgeCancelling(view);
  usePasting(root, context);
  const onKeyDown = useKeys(surface, context);

  const addHere = (event: MouseEvent): void => {
    if (!(event.target as Element).classList.contains("react-flow__pane")) return;
    const action = actionById("add", context);
    const why = action?.whyNot(context) ?? "";
    const place = { x: event.clientX, y: event.clientY };
    if (why) view.tell(why);
    else view.popup.set({ kind: "add", place, at: screen.flowPlace(place), from: null });
  };
  return (
    <CanvasProvider value={parts}>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: what is pressed in here is kept from the page around it */}
      <div
        ref={root}
        className="fb-root fb-canvas"
        data-fb-connection={connection}
        data-fb-editable={canEdit ? "" : undefined}
        data-lm-suppress-shortcuts="true"
        onKeyDown={onKeyDown}
        onKeyUp={keepKey}
        onFocus={() => focusCanvas(context)}
        onPointerDown={(event) => takeFocus(event, surface.current)}
      >
        <Toolbar trail={trail} />
        <div
          ref={surface}
          className="fb-surface"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: an application takes the keys, so it has to take the focus
          tabIndex={0}
          role="application"
          aria-label={snapshotWords({ flow: store.flow, nodes: [...store.state.cards.values()], run: store.state.run })}
          aria-describedby={`${id}keys`}
          aria-activedescendant={primary !== null && isSeen ? parts.elementId(primary) : undefined}
          onDoubleClick={addHere}
          onPointerMove={screen.onPointerMove}
          onPointerLeave={screen.onPointerLeave}
        >
          {frame && (
            <FlowScene
              id={id}
              frame={frame}
              wheelZooms={props.wheelZooms ?? false}
              isViewChosen={isViewChosen}
              onZoom={(zoom) => root.current?.style.setProperty("--fb-zoom", String(zoom))}
            />
          )}
        </div>
        <p id={`${id}keys`} hidden>
          Arrows go from node to node, Enter opens one, Tab adds one, C connects it, a question mark lists all keys,
          Escape leaves.
        </p>
        {isEmpty && !trail.length && <EmptyNote />}
        <Inspector />
        <div className="fb-said">
          {keeper && <KeeperBar keeper={keeper} />}
          <Notices store={store} view={view} />
        </div>
        <Popups />
      </div>
    </CanvasProvider>
  );
}

/** The keys of the canvas, by its table of actions. What is pressed here never reaches the page around it. */
function useKeys(surface: RefObject<HTMLElement | null>, context: CanvasContext): (event: KeyboardEvent) => void {
  const keyMap = useMemo(
    () => new KeyMap(actionsOf(context).flatMap(({ id, keys }) => keys.map((key) => [key, id] as const))),
    [context],
  );
  return (event) => {
    keepKey(event);
    const target = event.target as Element;
    if (event.defaultPrevented || event.nativeEvent.isComposing || target.closest("[data-fb-popup]")) return;
    const isGround = target === surface.current;
    if (isGround ? event.key === "Tab" && hasModifier(event) : ownsKey(target, event.key)) return;
    if (event.key === "Escape" && !isGround && !target.closest(".fb-inspector")) {
      event.preventDefault();
      surface.current?.focus({ preventScroll: true });
      return;
    }
    const id = keyMap.find(event, event.timeStamp);
    const action = id === null ? undefined : actionById(id, context);
    if (!action || action.isPaste) return;
    event.preventDefault();
    act(action, context);
  };
}

const hasModifier = (event: KeyboardEvent): boolean => event.shiftKey || event.ctrlKey || event.metaKey || event.altKey;

/**
 * What is pasted while the canvas has the focus. The event goes to wherever the page's text cursor is, so it is listened
 * for on the document; only from such an event a page may read the clipboard without asking.
 */
function usePasting(root: RefObject<HTMLElement | null>, context: CanvasContext): void {
  useEffect(() => {
    let isWired = false;
    const isOurs = (): boolean => {
      const focused = document.activeElement;
      return focused !== null && !isTyping(focused) && (root.current?.contains(focused) ?? false);
    };
    const onPaste = (event: ClipboardEvent): void => {
      if (!isOurs()) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      const { view } = context;
      view.tell(pasteText(context, event.clipboardData?.getData("text/plain") ?? null, isWired));
    };
    const onKey = (event: globalThis.KeyboardEvent): void => {
      isWired = event.shiftKey;
    };
    document.addEventListener("paste", onPaste, true);
    document.addEventListener("keydown", onKey, true);
    return () => {
      document.removeEventListener("paste", onPaste, true);
      document.removeEventListener("keydown", onKey, true);
    };
  }, [root, context]);
}

/** An edge that is no longer wanted is no longer drawn. */
function useEdgeCancelling(view: CanvasView): void {
  const flow = useStoreApi();
  useEffect(
    () =>
      view.linking.onChange.add(() => {
        if (!view.linking.now && flow.getState().connection.inProgress) flow.getState().cancelConnection();
      }),
    [view, flow],
  );
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
function takeFocus(event: PointerEvent<HTMLElement>, surface: HTMLElement | null): void {
  const target = event.target as Element;
  if (target.closest("input, select, button, textarea, [data-fb-popup]")) return;
  if (surface?.contains(target)) surface.focus({ preventScroll: true });
}
