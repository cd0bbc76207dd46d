import { useReactFlow } from "@xyflow/react";
import { type MutableRefObject, type PointerEvent, type RefObject, useMemo, useRef } from "react";
import {
  cardRect,
  cardSize,
  type Frame,
  fitAll,
  HEADER_PX,
  MAX_ZOOM,
  MIN_WIDTH_PX,
  MIN_ZOOM,
  type Point,
  READABLE_ZOOM,
} from "../model/geometry";
import type { FlowStore } from "../model/store";
import type { Screen } from "./actions";
import { boundsOf, rectsOf } from "./shapes";

const MARGIN_PX = 24;
const NEW_CARD_PX = { width: MIN_WIDTH_PX, height: 85 } as const;

/** What a canvas does with its view, and where its pointer is. */
export interface CanvasScreen extends Screen {
  /** A place in the window as a point of the flow. */
  flowPlace(place: Point): Point;
  readonly onPointerMove: (event: PointerEvent) => void;
  readonly onPointerLeave: () => void;
}

export function useScreen(parts: {
  readonly store: FlowStore;
  readonly surface: RefObject<HTMLElement | null>;
  readonly frame: Frame | null;
  readonly isViewChosen: MutableRefObject<boolean>;
  readonly onLeave: (() => void) | undefined;
}): CanvasScreen {
  const flow = useReactFlow();
  const now = useRef(parts);
  now.current = parts;
  const pointer = useRef<Point | null>(null);
  return useMemo<CanvasScreen>(() => {
    const goTo = (viewport: { readonly x: number; readonly y: number; readonly zoom: number }): void => {
      now.current.isViewChosen.current = true;
      void flow.setViewport(viewport, { duration: motionMs() });
    };
    return {
      fit: (nodes) => {
        const { store, frame } = now.current;
        if (!frame) return;
        const wanted = nodes && new Set(nodes);
        const cards = [...store.state.cards.values()].filter(({ id }) => wanted?.has(id));
        goTo(fitAll(boundsOf(wanted ? cards.map(cardRect) : rectsOf(store.state)), frame));
      },
      reveal: (node, isToBeRead = false) => {
        const { store, frame } = now.current;
        const card = store.card(node);
        if (!card || !frame) return;
        const view = flow.getViewport();
        const zoom = isToBeRead ? Math.max(view.zoom, READABLE_ZOOM) : view.zoom;
        const { width, height } = cardSize(card);
        if (zoom !== view.zoom) {
          const x = frame.width / 2 - (card.x + width / 2) * zoom;
          goTo({ x, y: (frame.height + frame.top) / 2 - (card.y + height / 2) * zoom, zoom });
          return;
        }
        const x = inside(view.x, card.x * zoom, width * zoom, 0, frame.width);
        const y = inside(view.y, card.y * zoom, height * zoom, frame.top, frame.height);
        if (x !== view.x || y !== view.y) goTo({ x, y, zoom });
      },
      zoom: (factor) => {
        now.current.isViewChosen.current = true;
        void flow.zoomTo(Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, flow.getZoom() * factor)), { duration: motionMs() });
      },
      freshPlace: () => {
        const { frame } = now.current;
        if (pointer.current) return flow.screenToFlowPosition(pointer.current, { snapToGrid: false });
        const { x, y, zoom } = flow.getViewport();
        const middle = { x: (frame?.width ?? 0) / 2, y: ((frame?.height ?? 0) + (frame?.top ?? 0)) / 2 };
        return {
          x: (middle.x - x) / zoom - NEW_CARD_PX.width / 2,
          y: (middle.y - y) / zoom - NEW_CARD_PX.height / 2,
        };
      },
      windowPlace: (node) => {
        const card = now.current.store.card(node);
        if (!card) return null;
        return flow.flowToScreenPosition({ x: card.x + cardSize(card).width / 2, y: card.y + HEADER_PX });
      },
      focus: () => now.current.surface.current?.focus({ preventScroll: true }),
      leave: () => {
        now.current.surface.current?.blur();
        now.current.onLeave?.();
      },
      flowPlace: (place) => flow.screenToFlowPosition(place, { snapToGrid: false }),
      onPointerMove: ({ clientX, clientY }) => {
        pointer.current = { x: clientX, y: clientY };
      },
      onPointerLeave: () => {
        pointer.current = null;
      },
    };
  }, [flow]);
}

/** Shift a view just so far that a length is inside of it; where it is too long its beginning counts. */
function inside(shift: number, at: number, length: number, from: number, to: number): number {
  const begin = from + MARGIN_PX - at;
  const end = to - MARGIN_PX - at - length;
  return shift < begin || begin > end ? begin : Math.min(shift, end);
}

function motionMs(): number {
  return window.matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 150;
}
