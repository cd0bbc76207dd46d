import { useReactFlow, useStoreApi } from "@xyflow/react";
import { type PointerEvent, type ReactElement, useEffect, useRef } from "react";
import { around, cardRect, fitAll, meets, type Rect, type Viewport } from "../model/geometry";
import { type Ink, mainLook } from "../model/looks";
import type { FlowStore } from "../model/store";

interface Size {
  readonly width: number;
  readonly height: number;
}

const SIZE: Size = { width: 132, height: 84 };
const MARGIN_PX = 12;
const INKS: readonly Ink[] = ["cached", "failed", "idle", "ok", "queued", "replayed", "running", "stale"];
/** Statuses may change thirty times a second; nobody reads a map that fast. */
const STATUS_MS = 100;

/** The whole flow as blocks in the colours of their states, and a frame around what is seen. Press or drag to go there. */
export function Minimap({ store }: { readonly store: FlowStore }): ReactElement {
  const ref = useRef<HTMLCanvasElement>(null);
  const flow = useReactFlow();
  const seen = useStoreApi();

  useEffect(() => {
    const canvas = ref.current;
    if (!canvas) return;
    const map = new FlowMap(canvas, store);
    let frame = 0;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const paint = (): void => {
      clearTimeout(timer);
      timer = undefined;
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        const { transform, width, height } = seen.getState();
        map.draw({ x: transform[0], y: transform[1], zoom: transform[2] }, { width, height });
      });
    };
    const paintSoon = (): void => {
      timer ??= setTimeout(paint, STATUS_MS);
    };
    const themes = new MutationObserver(() => {
      map.forgetColours();
      paint();
    });
    themes.observe(document.body, { attributes: true });
    const stops = [store.onAny.add(paintSoon), seen.subscribe(paint), () => themes.disconnect()];
    paint();
    return () => {
      for (const stop of stops) stop();
      clearTimeout(timer);
      cancelAnimationFrame(frame);
    };
  }, [store, seen]);

  const go = (event: PointerEvent<HTMLCanvasElement>): void => {
    if (event.buttons !== 1) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    const place = event.currentTarget.getBoundingClientRect();
    const { x, y, zoom } = mapView([...store.state.cards.values()].map(cardRect));
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

/** Draws the map, and keeps what does not change from one drawing to the next: places, and the colours of the theme. */
class FlowMap {
  readonly #canvas: HTMLCanvasElement;
  readonly #store: FlowStore;
  #rects: readonly Rect[] = [];
  #topology = -1;
  #left: number | null = null;
  #placedFor = "";
  #colours: ReadonlyMap<Ink, string> | null = null;

  constructor(canvas: HTMLCanvasElement, store: FlowStore) {
    this.#canvas = canvas;
    this.#store = store;
  }

  forgetColours(): void {
    this.#colours = null;
  }

  /** Where the map stands: it stays there while the flow is moved below it. */
  #place(view: Viewport, frame: Size): number | null {
    const rects = this.#rects.map(({ left, top, right, bottom }) => ({
      left: left * view.zoom + view.x,
      top: top * view.zoom + view.y,
      right: right * view.zoom + view.x,
      bottom: bottom * view.zoom + view.y,
    }));
    const isAllSeen = rects.every((rect) => isSeen(rect, frame));
    const reason = `${this.#topology} ${frame.width} ${frame.height} ${isAllSeen}`;
    if (reason !== this.#placedFor) {
      this.#left = freePlace(rects, frame, isAllSeen);
      this.#placedFor = reason;
    }
    return this.#left;
  }

  /** Draw the map for what is seen of the flow in a frame of some size. */
  draw(view: Viewport, frame: Size): void {
    const { cards } = this.#store.state;
    if (this.#topology !== this.#store.topologyCount) {
      this.#topology = this.#store.topologyCount;
      this.#rects = [...cards.values()].map(cardRect);
    }
    const left = this.#place(view, frame);
    this.#canvas.style.display = left === null ? "none" : "";
    const pen = this.#canvas.getContext("2d");
    if (left === null || !pen) return;
    this.#canvas.style.left = `${left}px`;
    this.#colours ??= inkColours(this.#canvas);
    const density = window.devicePixelRatio || 1;
    this.#canvas.width = SIZE.width * density;
    this.#canvas.height = SIZE.height * density;
    pen.scale(density, density);
    const { x, y, zoom } = mapView(this.#rects);
    let index = 0;
    for (const card of cards.values()) {
      const rect = this.#rects[index++];
      if (!rect) break;
      const size = { width: (rect.right - rect.left) * zoom, height: (rect.bottom - rect.top) * zoom };
      pen.fillStyle = this.#colours.get(mainLook(card).ink) ?? "grey";
      pen.fillRect(rect.left * zoom + x, rect.top * zoom + y, Math.max(size.width, 2), Math.max(size.height, 2));
    }
    pen.strokeStyle = this.#colours.get("running") ?? "grey";
    pen.strokeRect(
      Math.max((-view.x / view.zoom) * zoom + x, 0.5),
      Math.max((-view.y / view.zoom) * zoom + y, 0.5),
      Math.min((frame.width / view.zoom) * zoom, SIZE.width - 3),
      Math.min((frame.height / view.zoom) * zoom, SIZE.height - 3),
    );
  }
}

const isSeen = ({ left, top, right, bottom }: Rect, frame: Size): boolean =>
  left >= -1 && top >= -1 && right <= frame.width + 1 && bottom <= frame.height + 1;

/**
 * Where the map hides no card: at the bottom, as far right as possible; pixels from the left. Where there is no such
 * place it stands at the right, unless all cards are seen, when nobody needs it (null).
 */
function freePlace(rects: readonly Rect[], frame: Size, isAllSeen: boolean): number | null {
  const top = frame.height - SIZE.height - MARGIN_PX - 4;
  const last = frame.width - SIZE.width - MARGIN_PX;
  for (const left of [last, MARGIN_PX, (last + MARGIN_PX) / 2, last * 0.75, last * 0.25]) {
    const place = { left: left - 4, top, right: left + SIZE.width + 4, bottom: frame.height };
    if (!rects.some((rect) => meets(rect, place))) return Math.round(left);
  }
  return isAllSeen ? null : last;
}

/** How the map itself shows the flow: all of it. */
function mapView(rects: readonly Rect[]): Viewport {
  const bounds = around(rects) ?? { left: 0, top: 0, right: 1, bottom: 1 };
  const margin = 20; // that of fitAll, which a map of this size has no room for
  const frame = { width: SIZE.width - 12 + 2 * margin, height: SIZE.height - 12 + 2 * margin, top: 0 };
  const { zoom } = fitAll(bounds, frame, 0);
  const size = { width: (bounds.right - bounds.left) * zoom, height: (bounds.bottom - bounds.top) * zoom };
  return {
    x: (SIZE.width - size.width) / 2 - bounds.left * zoom,
    y: (SIZE.height - size.height) / 2 - bounds.top * zoom,
    zoom,
  };
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
