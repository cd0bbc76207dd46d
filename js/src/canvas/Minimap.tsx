import { useReactFlow, useStoreApi } from "@xyflow/react";
import { type PointerEvent, type ReactElement, useEffect, useRef } from "react";
import { around, cardRect, fitAll, meets, type Viewport } from "../model/geometry";
import { type Ink, mainLook } from "../model/looks";
import type { FlowStore } from "../model/store";

const SIZE = { width: 132, height: 84 } as const;
const MARGIN_PX = 12;
const INKS: readonly Ink[] = ["cached", "failed", "idle", "ok", "queued", "replayed", "running", "stale"];

/** The whole flow as blocks in the colours of their states, and a frame around what is seen. Press or drag to go there. */
export function Minimap({ store }: { readonly store: FlowStore }): ReactElement {
  const ref = useRef<HTMLCanvasElement>(null);
  const flow = useReactFlow();
  const seen = useStoreApi();

  useEffect(() => {
    const canvas = ref.current;
    if (!canvas) return;
    let asked = 0;
    const ask = (): void => {
      asked ||= requestAnimationFrame(() => {
        asked = 0;
        const { transform, width, height } = seen.getState();
        const view = { x: transform[0], y: transform[1], zoom: transform[2] };
        const left = freePlace(store, view, { width, height });
        canvas.style.display = left === null ? "none" : "";
        if (left === null) return;
        canvas.style.left = `${left}px`;
        draw(canvas, store, view, { width, height });
      });
    };
    ask();
    const themes = new MutationObserver(ask);
    themes.observe(document.body, { attributes: true });
    const stops = [store.onAny.add(ask), seen.subscribe(ask), () => themes.disconnect()];
    return () => {
      for (const stop of stops) stop();
      cancelAnimationFrame(asked);
    };
  }, [store, seen]);

  const go = (event: PointerEvent<HTMLCanvasElement>): void => {
    if (event.buttons !== 1) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const place = event.currentTarget.getBoundingClientRect();
    const { x, y, zoom } = mapView(store);
    const at = { x: (event.clientX - place.left - x) / zoom, y: (event.clientY - place.top - y) / zoom };
    flow.setCenter(at.x, at.y, { zoom: flow.getZoom() });
  };
  return (
    <canvas
      ref={ref}
      className="fb-minimap nopan"
      style={SIZE}
      aria-label="Map of the flow"
      onPointerDown={go}
      onPointerMove={go}
    />
  );
}

/**
 * Where the map hides no card: at the bottom, as far right as possible; pixels from the left. Where there is no such
 * place it stands at the right, unless all cards are seen, when nobody needs it (null).
 */
function freePlace(
  store: FlowStore,
  view: Viewport,
  frame: { readonly width: number; readonly height: number },
): number | null {
  const rects = [...store.state.cards.values()].map(cardRect).map(({ left, top, right, bottom }) => ({
    left: left * view.zoom + view.x,
    top: top * view.zoom + view.y,
    right: right * view.zoom + view.x,
    bottom: bottom * view.zoom + view.y,
  }));
  const top = frame.height - SIZE.height - MARGIN_PX - 4;
  const last = frame.width - SIZE.width - MARGIN_PX;
  for (const left of [last, MARGIN_PX, (last + MARGIN_PX) / 2, last * 0.75, last * 0.25]) {
    const place = { left: left - 4, top, right: left + SIZE.width + 4, bottom: frame.height };
    if (!rects.some((rect) => meets(rect, place))) return Math.round(left);
  }
  const shown = { left: -1, top: -1, right: frame.width + 1, bottom: frame.height + 1 };
  const isAllSeen = rects.every(
    ({ left, top, right, bottom }) =>
      left >= shown.left && top >= shown.top && right <= shown.right && bottom <= shown.bottom,
  );
  return isAllSeen ? null : last;
}

/** How the map itself shows the flow: all of it. */
function mapView(store: FlowStore): Viewport {
  const bounds = around([...store.state.cards.values()].map(cardRect)) ?? { left: 0, top: 0, right: 1, bottom: 1 };
  const margin = 20; // that of fitAll, which a map of this size has no room for
  const { zoom } = fitAll(
    bounds,
    { width: SIZE.width - 12 + 2 * margin, height: SIZE.height - 12 + 2 * margin, top: 0 },
    0,
  );
  const size = { width: (bounds.right - bounds.left) * zoom, height: (bounds.bottom - bounds.top) * zoom };
  return {
    x: (SIZE.width - size.width) / 2 - bounds.left * zoom,
    y: (SIZE.height - size.height) / 2 - bounds.top * zoom,
    zoom,
  };
}

function draw(
  canvas: HTMLCanvasElement,
  store: FlowStore,
  view: Viewport,
  frame: { readonly width: number; readonly height: number },
): void {
  const pen = canvas.getContext("2d");
  if (!pen) return;
  const density = window.devicePixelRatio || 1;
  canvas.width = SIZE.width * density;
  canvas.height = SIZE.height * density;
  pen.scale(density, density);
  const colours = inkColours(canvas);
  const { x, y, zoom } = mapView(store);
  for (const card of store.state.cards.values()) {
    const { left, top, right, bottom } = cardRect(card);
    pen.fillStyle = colours.get(mainLook(card).ink) ?? "grey";
    pen.fillRect(
      left * zoom + x,
      top * zoom + y,
      Math.max((right - left) * zoom, 2),
      Math.max((bottom - top) * zoom, 2),
    );
  }
  pen.strokeStyle = colours.get("running") ?? "grey";
  pen.lineWidth = 1;
  pen.strokeRect(
    Math.max((-view.x / view.zoom) * zoom + x, 0.5),
    Math.max((-view.y / view.zoom) * zoom + y, 0.5),
    Math.min((frame.width / view.zoom) * zoom, SIZE.width - 3),
    Math.min((frame.height / view.zoom) * zoom, SIZE.height - 3),
  );
}

/** What the state colours are in the theme of this page: a canvas element knows no variables. */
function inkColours(canvas: HTMLCanvasElement): ReadonlyMap<Ink, string> {
  const probe = document.createElement("span");
  canvas.parentElement?.append(probe);
  const colours = new Map<Ink, string>();
  for (const ink of INKS) {
    probe.style.color = `var(--fb-${ink}-mark)`;
    colours.set(ink, getComputedStyle(probe).color);
  }
  probe.remove();
  return colours;
}
