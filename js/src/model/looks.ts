/** How a state is told: by colour, by icon and by word, never by colour alone. Mirrors flowbook/canvas/pieces/looks.py. */

import type { Card, Span } from "./flow";

export type IconName =
  | "arc"
  | "arrow"
  | "bar"
  | "check"
  | "clock"
  | "cross"
  | "dotted"
  | "filling"
  | "hourglass"
  | "lines"
  | "paper"
  | "slash";

export type Ink = "cached" | "failed" | "idle" | "ok" | "queued" | "replayed" | "running" | "stale";

export interface Look {
  readonly ink: Ink;
  readonly icon: IconName;
  readonly word: string;
}

const STATUS_LOOKS: Readonly<Record<string, Look>> = {
  idle: { ink: "idle", icon: "dotted", word: "idle" },
  waiting: { ink: "idle", icon: "dotted", word: "waiting" },
  queued: { ink: "queued", icon: "filling", word: "queued" },
  running: { ink: "running", icon: "arc", word: "running" },
  ok: { ink: "ok", icon: "check", word: "ok" },
  failed: { ink: "failed", icon: "cross", word: "failed" },
  skipped: { ink: "idle", icon: "slash", word: "skipped" },
  muted: { ink: "idle", icon: "bar", word: "muted" },
  unresponsive: { ink: "failed", icon: "hourglass", word: "unresponsive" },
  cancelled: { ink: "idle", icon: "slash", word: "cancelled" }, // of a run, not of a node
};

const RECORDED: Look = { ink: "idle", icon: "paper", word: "recorded" };
const STAMP_LOOKS: Readonly<Record<string, Look>> = {
  live: { ink: "ok", icon: "check", word: "live" },
  cached: { ink: "cached", icon: "lines", word: "cached" },
  stale: { ink: "stale", icon: "clock", word: "stale" },
  recorded: RECORDED,
  replayed: { ink: "replayed", icon: "arrow", word: "replayed" },
  "from notebook": { ink: "idle", icon: "paper", word: "from notebook" },
};

const own = <T>(table: Readonly<Record<string, T>>, key: string): T | undefined =>
  Object.hasOwn(table, key) ? table[key] : undefined;

/** How a status is told; an unknown one looks idle and keeps its word. */
export function statusLook(status: string): Look {
  return own(STATUS_LOOKS, status) ?? { ink: "idle", icon: "dotted", word: status };
}

/**
 * How a stamp is told. Only a view that is subscribed to the kernel may say *live*; anywhere else it was recorded.
 */
export function stampLook(stamp: string | null, isLive: boolean): Look | null {
  if (!stamp) return null;
  if (stamp === "live" && !isLive) return RECORDED;
  return own(STAMP_LOOKS, stamp) ?? { ink: "idle", icon: "paper", word: stamp };
}

type Told = Pick<Card | Span, "status" | "stamp">;

const isQuiet = (status: string): boolean => status === "ok" || status === "idle";

/** The look of a card or a span as a whole: a stale or cached value outranks a quiet status. */
export function mainLook(item: Told): Look {
  if (isQuiet(item.status) && (item.stamp === "stale" || item.stamp === "cached" || item.stamp === "replayed")) {
    return stampLook(item.stamp, true) ?? statusLook(item.status);
  }
  return statusLook(item.status);
}

/** The words a card or a span bears: its status unless that goes without saying, then its stamp. */
export function pills(item: Told, isLive: boolean): readonly Look[] {
  const stamp = stampLook(item.stamp, isLive);
  const shown = stamp && isQuiet(item.status) ? [] : [statusLook(item.status)];
  return stamp ? [...shown, stamp] : shown;
}

const PORT_TYPES = new Set(["table", "series", "array", "picture", "scalar", "text", "callable", "any"]);

/** The colour of a port type; types nobody knows look like `any`. */
export function portInk(type: string): string {
  return PORT_TYPES.has(type) ? type : "any";
}
