/** The three bundles that stand in a notebook's outputs; mirrors flowbook/canvas/protocol.py, which a test compares. */

import type { Card, Failure, Snapshot, Trace } from "../model/flow";

export const CANVAS_MIME = "application/vnd.flowbook.canvas+json";
export const TRACE_MIME = "application/vnd.flowbook.trace+json";
export const NODE_MIME = "application/vnd.flowbook.node+json";

/** The format these readers know; a bundle of a newer one is left to its text/html neighbour. */
export const FORMAT = "1";

/** A flow as it stands. */
export interface CanvasBundle extends Snapshot {
  readonly kind: "canvas";
}

/** One run. */
export interface TraceBundle extends Trace {
  readonly kind: "trace";
}

/** One node, beside its value's own mime types. */
export interface NodeBundle {
  readonly kind: "node";
  readonly flow: string;
  readonly node: string;
  readonly runId: string | null;
  readonly seq: number;
  readonly status: string;
  readonly stamp: string | null;
  readonly reason: string;
  readonly at: string | null;
  readonly key: string | null;
  readonly tookS: number | null;
  /** What went wrong, when the node failed. */
  readonly error: Failure | null;
  /** The node as a card, where the output shows one instead of a value. */
  readonly card: Card | null;
}
