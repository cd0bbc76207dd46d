/**
 * What of an output is worth being written into the notebook again.
 *
 * A stamp and its reason change by themselves, and marking the notebook as changed for them would be wrong: they change
 * in the view only. What is compared is what the output is about: its bundle without these, and the value beside it.
 */

import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import { CANVAS_MIME, NODE_MIME, TRACE_MIME } from "../protocol/bundles";

export type MimeData = Readonly<Record<string, unknown>>;

/** Writes what the kernel made into an output; each thing that was made is compared with what is stored only once. */
export class OutputKeeping {
  #model: IRenderMime.IMimeModel | null = null;
  #compared: MimeData | null = null;

  /** The output shows another model, or the same one that was changed. */
  shows(model: IRenderMime.IMimeModel): void {
    this.#model = model;
    this.#compared = null;
  }

  keep(made: MimeData | undefined): void {
    const model = this.#model;
    if (!made || !model || made === this.#compared) return;
    this.#compared = made;
    if (isWorthKeeping(model.data, made)) model.setData({ data: made as typeof model.data, metadata: model.metadata });
  }
}

const BUNDLES: ReadonlySet<string> = new Set([CANVAS_MIME, NODE_MIME, TRACE_MIME]);
/** Drawn from the bundle, stamps and all. */
const DRAWN: ReadonlySet<string> = new Set(["text/html", "text/plain", "image/svg+xml"]);
const PASSING: ReadonlySet<string> = new Set(["at", "reason", "seq", "stamp"]);

/** Whether the new data of an output says something else than what is stored, and is no older. */
export function isWorthKeeping(stored: MimeData, made: MimeData): boolean {
  if (seqOf(made) <= seqOf(stored) && isSameRun(stored, made)) return false;
  return gist(stored) !== gist(made);
}

function gist(data: MimeData): string {
  const kept = Object.entries(data)
    .filter(([mime]) => !DRAWN.has(mime))
    .sort(([one], [other]) => (one < other ? -1 : 1));
  return JSON.stringify(kept, (key, value: unknown) => (PASSING.has(key) ? undefined : ordered(value)));
}

/** Kernels and files may write the keys of an object in another order. */
function ordered(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
}

function bundleOf(data: MimeData): Readonly<Record<string, unknown>> {
  const found = Object.entries(data).find(([mime]) => BUNDLES.has(mime))?.[1];
  return typeof found === "object" && found !== null ? (found as Readonly<Record<string, unknown>>) : {};
}

function seqOf(data: MimeData): number {
  const seq = bundleOf(data)["seq"];
  return typeof seq === "number" ? seq : -1;
}

/** Numbers of two kernels cannot be compared; the run an output is from tells them apart. */
function isSameRun(one: MimeData, other: MimeData): boolean {
  return bundleOf(one)["runId"] === bundleOf(other)["runId"];
}
