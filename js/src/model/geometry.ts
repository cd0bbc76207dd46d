/** Where a card's parts lie, from what it shows; the same figures as flowbook/canvas/cards.py, which gives the sizes. */

import type { Card, Setting } from "./flow";

export const HEADER_PX = 33;
export const PORT_ROW_PX = 22;
export const SETTING_ROW_PX = 26;
export const MAX_PORT_ROWS = 10;
export const MAX_SETTINGS = 4;
export const MIN_WIDTH_PX = 188;
const MIN_HEIGHT_PX = HEADER_PX + PORT_ROW_PX;

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Rect {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** A card's size in pixels, also where the snapshot left it out. */
export function cardSize(card: Card): { readonly width: number; readonly height: number } {
  return { width: card.w || MIN_WIDTH_PX, height: card.h || MIN_HEIGHT_PX };
}

export function cardRect(card: Card): Rect {
  const { width, height } = cardSize(card);
  return { left: card.x, top: card.y, right: card.x + width, bottom: card.y + height };
}

/** Whether the layout gave a card room for its header only, as it does in very large flows. */
export function isCompact(card: Card): boolean {
  return cardSize(card).height < MIN_HEIGHT_PX;
}

/** How many rows of ports a card shows: at least one. */
export function portRows(card: Card): number {
  return Math.max(1, Math.min(Math.max(card.inputs.length, card.outputs.length), MAX_PORT_ROWS));
}

/** The settings a card shows; the others belong into an inspector. */
export function shownSettings(card: Card): readonly Setting[] {
  return card.settings.slice(0, MAX_SETTINGS);
}

/** A place where edges meet a card, `y` pixels below its top. */
export interface PortPlace {
  readonly name: string;
  readonly side: "in" | "out";
  readonly y: number;
}

const rowMiddle = (row: number): number => HEADER_PX + row * PORT_ROW_PX + PORT_ROW_PX / 2;

/**
 * Every place where edges meet a card. A card without any port (of a snapshot that had to shrink) has one nameless place
 * on either side, so that its edges still arrive.
 */
export function portPlaces(card: Card): readonly PortPlace[] {
  const rows = portRows(card);
  const middle = isCompact(card) ? cardSize(card).height / 2 : null;
  const isBare = !card.inputs.length && !card.outputs.length;
  const places: PortPlace[] = [];
  for (const [side, ports] of [
    ["in", card.inputs],
    ["out", card.outputs],
  ] as const) {
    ports.forEach((port, row) => {
      places.push({ name: port.name, side, y: middle ?? rowMiddle(Math.min(row, rows - 1)) });
    });
    if (isBare) places.push({ name: "", side, y: middle ?? rowMiddle(0) });
  }
  card.settings.forEach((setting, row) => {
    if (!setting.connected) return;
    const top = HEADER_PX + rows * PORT_ROW_PX;
    const shown = Math.min(row, MAX_SETTINGS - 1);
    places.push({ name: setting.name, side: "in", y: middle ?? top + shown * SETTING_ROW_PX + SETTING_ROW_PX / 2 });
  });
  return places;
}

/** Where an edge could feed a setting that none feeds yet: only the settings a card shows. */
export function freeSettingPlaces(card: Card): readonly PortPlace[] {
  if (isCompact(card) || card.kind === "input") return [];
  const top = HEADER_PX + portRows(card) * PORT_ROW_PX;
  return shownSettings(card).flatMap(({ name, connected }, row) =>
    connected ? [] : [{ name, side: "in" as const, y: top + row * SETTING_ROW_PX + SETTING_ROW_PX / 2 }],
  );
}

/** The place an edge meets; one that names no port the card shows arrives at the first of that side. */
export function portPlace(card: Card, side: "in" | "out", name: string): PortPlace {
  const places = portPlaces(card).filter((place) => place.side === side);
  return places.find((place) => place.name === name) ?? places[0] ?? { name: "", side, y: rowMiddle(0) };
}

/** The rectangle around all of some rectangles; null around none. */
export function around(rects: Iterable<Rect>): Rect | null {
  let found: Rect | null = null;
  for (const rect of rects) {
    found = found
      ? {
          left: Math.min(found.left, rect.left),
          top: Math.min(found.top, rect.top),
          right: Math.max(found.right, rect.right),
          bottom: Math.max(found.bottom, rect.bottom),
        }
      : rect;
  }
  return found;
}

export function meets(one: Rect, other: Rect): boolean {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}

const WASH_PX = { side: 14, top: 18, bottom: 14 } as const;

/** The washes behind nodes that ran as one: one around all, or one behind each where another card stands between. */
export function groupWashes(members: readonly Rect[], strangers: Iterable<Rect>): readonly Rect[] {
  const padded = (rects: readonly Rect[]): Rect[] => {
    const rect = around(rects);
    if (!rect) return [];
    const { left, top, right, bottom } = rect;
    return [
      {
        left: left - WASH_PX.side,
        top: top - WASH_PX.top,
        right: right + WASH_PX.side,
        bottom: bottom + WASH_PX.bottom,
      },
    ];
  };
  const [whole] = padded(members);
  if (!whole) return [];
  for (const stranger of strangers) if (meets(whole, stranger)) return members.flatMap((member) => padded([member]));
  return [whole];
}

/** What part of a canvas is seen: pixels of the canvas times `zoom` plus `x`, `y` are pixels of the view. */
export interface Viewport {
  readonly x: number;
  readonly y: number;
  readonly zoom: number;
}

export interface Frame {
  readonly width: number;
  readonly height: number;
  /** Room taken by the toolbar at the top. */
  readonly top: number;
}

/** Down to this a flow is shown as a whole when somebody asks for it: a thousand nodes one after another. */
export const MIN_ZOOM = 0.01;
export const MAX_ZOOM = 2;
/** Down to this a flow is shown as a whole at first: names can be read, the rest is told by colour and icon. */
export const OVERVIEW_ZOOM = 0.4;
/** A flow that is larger still begins with a part of it, in this size: everything on its cards can be read. */
export const READABLE_ZOOM = 0.62;
const MARGIN_PX = 20;

/** The view that shows all of a flow, never larger than life, in the middle. */
export function fitAll(bounds: Rect, frame: Frame, leastZoom = MIN_ZOOM): Viewport {
  const width = Math.max(bounds.right - bounds.left, 1);
  const height = Math.max(bounds.bottom - bounds.top, 1);
  const room = { x: frame.width - 2 * MARGIN_PX, y: frame.height - frame.top - 2 * MARGIN_PX };
  const zoom = Math.min(1, Math.max(leastZoom, Math.min(room.x / width, room.y / height)));
  return {
    x: MARGIN_PX + Math.max(0, (room.x - width * zoom) / 2) - bounds.left * zoom,
    y: frame.top + MARGIN_PX + Math.max(0, (room.y - height * zoom) / 2) - bounds.top * zoom,
    zoom,
  };
}

/** The view a flow opens with: all of it, or where that is too small, as many as possible of the cards it begins with. */
export function firstView(cards: readonly Rect[], frame: Frame): Viewport {
  const bounds = around(cards) ?? { left: 0, top: 0, right: 200, bottom: 80 };
  const whole = fitAll(bounds, frame);
  if (whole.zoom >= OVERVIEW_ZOOM) return whole;
  const zoom = READABLE_ZOOM;
  const room = { x: (frame.width - 2 * MARGIN_PX) / zoom, y: (frame.height - frame.top - 2 * MARGIN_PX) / zoom };
  const begins = cards.filter((card) => card.right <= bounds.left + room.x);
  const top = bestTop(begins, room.y) ?? bounds.top;
  return { x: MARGIN_PX - bounds.left * zoom, y: frame.top + MARGIN_PX - top * zoom, zoom };
}

/**
 * Whether the flow was laid anew so that nothing is seen of it any more: cards that were in sight are elsewhere now, and
 * no other took their place. Cards that were deleted do not count: who deletes the last one in sight stays where they are.
 */
export function hasLeftSight(
  before: ReadonlyMap<string, Rect>,
  now: ReadonlyMap<string, Rect>,
  view: Viewport,
  frame: Frame,
): boolean {
  const sight: Rect = {
    left: -view.x / view.zoom,
    top: (frame.top - view.y) / view.zoom,
    right: (frame.width - view.x) / view.zoom,
    bottom: (frame.height - view.y) / view.zoom,
  };
  for (const rect of now.values()) if (meets(rect, sight)) return false;
  for (const [id, rect] of before) if (now.has(id) && meets(rect, sight)) return true;
  return false;
}

/** Where a window of some height has to begin to hold as many cards as possible; null without cards. */
function bestTop(cards: readonly Rect[], height: number): number | null {
  const tops = cards.map((card) => card.top).sort((one, other) => one - other);
  const bottoms = cards.map((card) => card.bottom).sort((one, other) => one - other);
  let best: { readonly top: number; readonly count: number } | null = null;
  let within = 0; // cards that end above the window's lower edge
  for (const [before, top] of tops.entries()) {
    while ((bottoms[within] ?? Number.POSITIVE_INFINITY) <= top + height) within += 1;
    const count = within - before;
    if (!best || count > best.count) best = { top, count };
  }
  return best?.top ?? null;
}
