/** Which parts of a table are here, and which are to be fetched next. Blocks are fetched and forgotten whole. */

import type { Cells } from "./cells";

/** Small enough that a text has some room in it (the kernel bounds what a block takes), large enough to fill a screen. */
export const BLOCK_ROWS = 128;
export const BLOCK_COLUMNS = 8;

/** How many blocks are kept: 60 screens or so, some megabytes. */
const MOST_BLOCKS = 192;

/** A part of a table, by rows and columns; the ends are not in it. */
export interface Area {
  readonly top: number;
  readonly bottom: number;
  readonly left: number;
  readonly right: number;
}

/** Where a block is, counted in blocks. */
export interface BlockPlace {
  readonly row: number;
  readonly column: number;
}

interface Kept {
  readonly cells: Cells;
  /** Of what it was told; another number now means that it is shown only until it is told anew. */
  readonly edition: number;
}

export class Blocks {
  /** In the order of their last use. */
  readonly #kept = new Map<string, Kept>();
  #edition = 0;

  /** Another value, or another order: what is here is out of date, and shown until the new comes. */
  outdate(): void {
    this.#edition += 1;
  }

  /** Another table: nothing of this can stand in for it. */
  clear(): void {
    this.#edition += 1;
    this.#kept.clear();
  }

  /** What `put` is to be told: a block that was asked for before something changed is not taken. */
  get edition(): number {
    return this.#edition;
  }

  put(place: BlockPlace, cells: Cells, edition: number): boolean {
    if (edition !== this.#edition) return false;
    const key = keyOf(place);
    this.#kept.delete(key);
    this.#kept.set(key, { cells, edition });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MOST_BLOCKS) break;
      this.#kept.delete(oldest);
    }
    return true;
  }

  /** The text of a cell, and whether it is out of date; null while it is not here. */
  cell(row: number, column: number): { readonly text: string | null; readonly isOld: boolean } | null {
    const kept = this.#kept.get(`${Math.floor(row / BLOCK_ROWS)}:${Math.floor(column / BLOCK_COLUMNS)}`);
    if (!kept) return null;
    const place = row % BLOCK_ROWS;
    if (place >= kept.cells.rowCount) return null;
    return { text: kept.cells.text(place, column % BLOCK_COLUMNS), isOld: kept.edition !== this.#edition };
  }

  /** The blocks of an area that have to be fetched, from its middle outwards. */
  missing(area: Area): readonly BlockPlace[] {
    const found: BlockPlace[] = [];
    if (area.bottom <= area.top || area.right <= area.left) return found;
    for (let row = Math.floor(area.top / BLOCK_ROWS); row * BLOCK_ROWS < area.bottom; row += 1) {
      for (let column = Math.floor(area.left / BLOCK_COLUMNS); column * BLOCK_COLUMNS < area.right; column += 1) {
        const key = keyOf({ row, column });
        const kept = this.#kept.get(key);
        if (kept?.edition === this.#edition) {
          this.#kept.delete(key); // and in again at the end: it is looked at
          this.#kept.set(key, kept);
        } else found.push({ row, column });
      }
    }
    const middle = (area.top + area.bottom) / 2 / BLOCK_ROWS;
    const distance = ({ row }: BlockPlace): number => Math.abs(row + 0.5 - middle);
    return found.sort((one, other) => distance(one) - distance(other) || one.column - other.column);
  }
}

const keyOf = ({ row, column }: BlockPlace): string => `${row}:${column}`;
