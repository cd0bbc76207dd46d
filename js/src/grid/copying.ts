/** What is copied from a grid: the values, not how they are painted. */

import { kindOf } from "./cells";
import type { TableSource } from "./TableSource";

/** Cells that were cut are fetched one by one: this many, and no more. */
const MOST_WHOLE = 200;
const CUT = "…";

/** Rows and columns; the last ones are in it. */
export interface Selected {
  readonly r1: number;
  readonly c1: number;
  readonly r2: number;
  readonly c2: number;
}

/** The text of what is selected, whole; null when it is not to be had, which the source says in words. */
export async function copied(source: TableSource, { r1, c1, r2, c2 }: Selected): Promise<string | null> {
  const { edition } = source;
  const rows: string[][] = [];
  const cut: (readonly [row: number, column: number])[] = [];
  for (let row = r1; row <= r2; row += 1) {
    const cells: string[] = [];
    for (let column = c1; column <= c2; column += 1) {
      const cell = source.cell(row, column);
      if (!cell || cell.isOld) {
        source.say("Nothing was copied: some of these rows are not here yet. Scroll through them, then copy again.");
        return null;
      }
      if (cell.text?.includes(CUT)) cut.push([row, column]);
      cells.push(plain(source, column, cell.text ?? ""));
    }
    rows.push(cells);
  }
  if (cut.length > MOST_WHOLE) {
    source.say(`Nothing was copied: ${cut.length} of these cells are shown cut. Choose fewer.`);
    return null;
  }
  for (const [row, column] of cut) {
    const text = await source.whole(row, column);
    if (source.edition !== edition) {
      source.say("Nothing was copied: the table has changed meanwhile. Copy again.");
      return null;
    }
    const cells = rows[row - r1];
    if (cells) cells[column - c1] = text;
  }
  return rows.map((cells) => cells.join("\t")).join("\n");
}

/** A number as programs read it: digits are grouped for the eye alone. */
const plain = (source: TableSource, column: number, text: string): string =>
  kindOf(source.columns[column]?.type ?? "") === "number" ? text.replaceAll(",", "") : text;
