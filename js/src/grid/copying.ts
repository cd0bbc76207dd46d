/** What is copied from a grid: the values, not how they are painted. */

import type { Area } from "./blocks";
import { kindOf } from "./cells";
import type { TableSource } from "./TableSource";

/** More would freeze the page that they are pasted into. */
const MOST_CELLS = 100_000;

/** Rows and columns; the last ones are in it. */
export interface Selected {
  readonly r1: number;
  readonly c1: number;
  readonly r2: number;
  readonly c2: number;
}

/** The text of what is selected, whole; null when it is not to be had, which the source says in words. */
export async function copied(source: TableSource, { r1, c1, r2, c2 }: Selected): Promise<string | null> {
  const count = (r2 - r1 + 1) * (c2 - c1 + 1);
  if (count > MOST_CELLS) {
    const words = `these are ${count.toLocaleString("en-US")} cells, and ${MOST_CELLS.toLocaleString("en-US")} at most`;
    source.say(`Nothing was copied: ${words} are copied at a time.`);
    return null;
  }
  const area = { top: r1, bottom: r2 + 1, left: c1, right: c2 + 1 };
  const found = source.state === "ready" ? await source.wholeCells(area) : painted(source, area);
  if (typeof found === "string") {
    source.say(`Nothing was copied: ${found}`);
    return null;
  }
  const rows = found.map((cells) => cells.map((text, place) => plain(source, c1 + place, text ?? "")));
  return count === 1 ? (rows[0]?.[0] ?? "") : rows.map((cells) => cells.map(quoted).join("\t")).join("\n");
}

/** What was told before the value, or the kernel, was gone. */
function painted(source: TableSource, { top, bottom, left, right }: Area): readonly (string | null)[][] | string {
  const rows: (string | null)[][] = [];
  for (let row = top; row < bottom; row += 1) {
    const cells: (string | null)[] = [];
    for (let column = left; column < right; column += 1) {
      const cell = source.cell(row, column);
      if (!cell || cell.isOld) return "some of these rows are not here.";
      cells.push(cell.text);
    }
    rows.push(cells);
  }
  return rows;
}

/** A number as programs read it: digits are grouped for the eye alone. */
const plain = (source: TableSource, column: number, text: string): string =>
  kindOf(source.columns[column]?.type ?? "") === "number" ? text.replaceAll(",", "") : text;

/** A text of several lines stays one cell, as spreadsheets have it. */
const quoted = (text: string): string => (/[\t\n\r]|^"/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
