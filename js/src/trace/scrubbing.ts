/** A run at a moment of its time: which spans had begun, and what each was doing. */

import type { Span, Trace } from "../model/flow";
import { type Look, mainLook, statusLook } from "../model/looks";

/** The seconds the lane stands for: the run, or the end of its last span; more than 0. */
export function wholeTimeS(trace: Trace): number {
  const ends = trace.spans.map((span) => (span.startS ?? 0) + (span.tookS ?? 0));
  return Math.max(trace.tookS, ...ends, 1e-6);
}

/** Where a span lies on the lane, as shares of its length; null where it took no time of its own. */
export function spanBar(span: Span, wholeS: number): { readonly start: number; readonly share: number } | null {
  if (span.startS === null) return null;
  const start = Math.min(Math.max(span.startS / wholeS, 0), 1);
  return { start, share: Math.min(Math.max((span.tookS ?? 0) / wholeS, 0), 1 - start) };
}

/** Where the time of a bar finds room on the lane: beside it, or in it where neither side has any. */
export function timePlace({ start, share }: { readonly start: number; readonly share: number }): string {
  if (start + share <= 0.8) return "right";
  return start >= 0.2 ? "left" : "in";
}

/** How a span looked `atS` seconds after the run began; null for the end, when it looks as it is. */
export function lookAt(span: Span, atS: number | null): Look {
  if (atS === null || span.startS === null) return mainLook(span);
  if (atS < span.startS) return statusLook("queued");
  return atS < span.startS + (span.tookS ?? 0) ? statusLook("running") : mainLook(span);
}
