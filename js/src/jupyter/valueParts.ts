/**
 * What of a node's output is its value.
 *
 * A node's bundle stands beside the value's own mime types. Its `text/html` is for readers without this extension: a
 * strip, what the node printed, and the value. Here the strip is drawn live, so only the rest of it is wanted.
 */

import { NODE_MIME } from "../protocol/bundles";
import type { MimeData } from "./keeping";

export interface ValueParts {
  /** What the node printed and displayed, as HTML; empty when nothing. */
  readonly effects: string;
  /** The value's own mime types; empty when there is no value to show. */
  readonly value: MimeData;
}

/** Take a node's output apart. */
export function valueParts(data: MimeData): ValueParts {
  const page = joined(data["text/html"]);
  const { effects, html } = page === null ? { effects: "", html: "" } : htmlParts(page);
  const value: Record<string, unknown> = {};
  for (const [mime, content] of Object.entries(data)) if (!REPLACED.has(mime)) value[mime] = content;
  if (html) value["text/html"] = html;
  return { effects, value };
}

/** Our own bundle; the page, of which a part is taken; and its words, which the page says better. */
const REPLACED: ReadonlySet<string> = new Set([NODE_MIME, "text/html", "text/plain"]);

/** Find the value, and what was printed, in the page that stands beside a node's bundle. */
function htmlParts(page: string): { readonly effects: string; readonly html: string } {
  const parsed = new DOMParser().parseFromString(page, "text/html");
  const holder = parsed.querySelector("[class^='fb-'][class$='-value']");
  if (!holder) return { effects: "", html: "" };
  const printed = holder.querySelector(":scope > .fb-effects");
  printed?.remove();
  return { effects: printed?.outerHTML ?? "", html: holder.innerHTML.trim() };
}

/** In a file, text may be a list of lines. */
function joined(content: unknown): string | null {
  if (typeof content === "string") return content;
  return Array.isArray(content) ? content.join("") : null;
}
