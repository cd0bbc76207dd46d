/** What of a preview a card has room for, and which pictures are safe to show. */

import type { ArrayPreview, Column, PicturePreview, TablePreview } from "./flow";
import { oneLine } from "./wording";

const INSET_PX = 14; // from the card's edge to its text
const PICTURE_MAX_PX = 132;
const CODE_FONT_PX = 9.5;

/** Pixels only, nothing that could carry a script. */
const PICTURE_MIMES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
const BASE64 = /^[A-Za-z0-9+/\s]+={0,2}\s*$/;
const NUMERIC = /^(u?int|float|decimal|[iuf]\d)/i;

/** Whether a column's figures stand at the right. */
export function isNumeric(columnType: string): boolean {
  return NUMERIC.test(columnType);
}

/** The columns of a table preview that fit into a card of `width` pixels: at least one. */
export function shownColumns(
  preview: TablePreview,
  width: number,
): readonly { readonly index: number; readonly column: Column }[] {
  let room = width - 2 * INSET_PX + 4;
  const shown: { readonly index: number; readonly column: Column }[] = [];
  for (const [index, column] of preview.columns.entries()) {
    const cells = preview.rows.slice(0, 4).map((row) => row[index] ?? "");
    const longest = Math.max(...[column.name, ...cells].map((cell) => oneLine(cell).length));
    const wanted = Math.min(longest * CODE_FONT_PX * 0.602 + 12, 88);
    if (shown.length && wanted > room) break;
    shown.push({ index, column });
    room -= wanted;
  }
  return shown;
}

/** Scale a picture into a card, never beyond its own size; pixels. */
export function pictureSize(
  preview: PicturePreview,
  width: number,
): { readonly width: number; readonly height: number } {
  const own = { width: Math.max(1, preview.width), height: Math.max(1, preview.height) };
  const scale = Math.min((width - 2 * INSET_PX + 4) / own.width, PICTURE_MAX_PX / own.height, 1);
  return { width: Math.max(1, Math.round(own.width * scale)), height: Math.max(1, Math.round(own.height * scale)) };
}

const BARS = { width: 60, leastWidth: 28, height: 28, gap: 8 };

/** How large a histogram beside an array's picture is, in pixels; null where there is no room for one. */
export function barsBeside(
  preview: ArrayPreview,
  width: number,
): { readonly width: number; readonly height: number } | null {
  if (!preview.image || !preview.histogram.length) return null;
  const drawn = pictureSize(preview.image, width);
  const room = width - 2 * INSET_PX + 4 - drawn.width - BARS.gap;
  if (room < BARS.leastWidth || drawn.height < BARS.height) return null;
  return { width: Math.min(room, BARS.width), height: BARS.height };
}

/** The bars of a histogram as one path, in a box one wide and one high; what is there at all is seen. */
export function barsPath(counts: readonly number[]): string {
  const highest = Math.max(...counts, 1);
  const step = 1 / Math.max(counts.length, 1);
  return counts
    .map((count, place) => {
      if (!(count > 0)) return "";
      const height = Math.max(0.04, Math.min(count / highest, 1)).toFixed(3);
      return `M${(place * step).toFixed(3)} 1v-${height}h${(step * 0.8).toFixed(3)}v${height}z`;
    })
    .join("");
}

/** A picture as a `data:` URI; null when it is not base64 or not a plain picture. */
export function pictureUri(preview: PicturePreview): string | null {
  if (!PICTURE_MIMES.has(preview.mime) || !BASE64.test(preview.data)) return null;
  return `data:${preview.mime};base64,${preview.data.replace(/\s+/g, "")}`;
}
