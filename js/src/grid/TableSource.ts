/**
 * A node's table as a grid sees it: what is here of it, and how the rest is fetched.
 *
 * Only what is on the screen is asked for, a few blocks at a time and the nearest first, so that who scrolls past a
 * million rows asks for those where they stop. What was told stays painted: without a kernel, while a new value or another
 * order is on its way, and when the value is gone. `state` says which of these it is.
 */

import { newCid } from "../model/editor";
import type { TablePreview } from "../model/flow";
import { Listeners } from "../model/listeners";
import type { FlowStore } from "../model/store";
import type { Reject } from "../protocol/messages";
import type {
  ArrayStats,
  ColumnStats,
  SortKey,
  TableAnswer,
  TableColumn,
  TableQuestion,
  TableRequest,
} from "../protocol/tables";
import { type Area, BLOCK_COLUMNS, BLOCK_ROWS, type BlockPlace, Blocks } from "./blocks";
import { readCells } from "./cells";

/** How many blocks are on their way at a time. */
const MOST_ASKED = 2;
/** The most that the kernel tells at a time. */
const MOST_WHOLE_ROWS = 2_000;
const MOST_WHOLE_COLUMNS = 100;
const MOVED_ON = "the table has changed meanwhile. Copy again.";

/** The value is another one now; the value is gone. */
const ANOTHER_VALUE = "FB807";
const NO_VALUE = "FB806";
/** It has no rows and columns; an array of three dimensions can be described all the same. */
const NO_TABLE = "FB600";

/**
 * - recorded: painted from the file: the first rows
 * - opening: the kernel was asked
 * - ready: what is shown is the node's value now
 * - gone: the node has no value now, or the kernel has gone; what was seen of it stays
 * - failed: it cannot be shown, or could not be computed
 */
export type SourceState = "recorded" | "opening" | "ready" | "gone" | "failed";

/** What is asked goes through here; `ControlClient.ask` is one. */
export type Ask = (request: TableRequest) => Promise<TableAnswer | Reject>;

export interface Cell {
  readonly text: string | null;
  /** It is out of date, and shown until the new one comes. */
  readonly isOld: boolean;
}

export class TableSource {
  /** Anything but cells changed: the state, the columns, how many rows there are, the order. */
  readonly onChange = new Listeners();
  /** Cells came. */
  readonly onCells = new Listeners();
  /** A column was described. */
  readonly onStats = new Listeners();
  readonly #store: FlowStore;
  readonly #node: string;
  readonly #port: string | null;
  readonly #ask: Ask;
  readonly #isArray: boolean;
  readonly #blocks = new Blocks();
  readonly #stats = new Map<number, ColumnStats>();
  readonly #asked = new Map<string, BlockPlace>();
  #preview: TablePreview | null = null;
  #array: ArrayStats | null = null;
  #state: SourceState = "recorded";
  #words = "";
  /** What was said of the table as a whole since it was opened. */
  #note = "";
  #value: number | null = null;
  #columns: readonly TableColumn[] = [];
  #width = 0;
  #height: number | null = null;
  /** Rows that are known to be there, where nobody counted them. */
  #seen = 0;
  #sort: readonly SortKey[] = [];
  #area: Area = { top: 0, bottom: 0, left: 0, right: 0 };
  #isOpening = false;
  #isToOpen = false;
  #isCounting = false;
  #statsAsked: number | null = null;
  /** What the kernel refused to tell of this value: how many rows it has, and columns by their place. */
  #isUncountable = false;
  readonly #undescribed = new Set<number>();
  #isClosed = false;
  /** The kernel was asked to open it, so it is to be told when nobody shows it any more. */
  #isKnown = false;
  /** The value that `#array` describes. */
  #arrayOf: number | null = null;

  /** `port` names an output; null is the primary one. `isArray`: it is to be described as a whole, too. */
  constructor(store: FlowStore, node: string, port: string | null, ask: Ask, isArray = false) {
    this.#isArray = isArray;
    this.#store = store;
    this.#node = node;
    this.#port = port;
    this.#ask = ask;
  }

  get state(): SourceState {
    return this.#state;
  }

  /** Why it is as it is, in words; empty when there is nothing to say. */
  get words(): string {
    return this.#words;
  }

  get columns(): readonly TableColumn[] {
    return this.#columns;
  }

  /** How many columns the table has; of very many only the first are shown. */
  get width(): number {
    return this.#width;
  }

  /** Rows of the table; null while nobody knows. */
  get height(): number | null {
    return this.#height;
  }

  /** Rows that the grid has room for: of a table that nobody counted those that were seen, and some more. */
  get rowCount(): number {
    return this.#height ?? this.#seen;
  }

  /** An array as a whole; null where it is none, and until it was described. */
  get array(): ArrayStats | null {
    return this.#array;
  }

  /** What has to be known of what is shown: of the table, and the first note of a column. */
  get note(): string {
    const ofColumn = this.#columns.find(({ note }) => note)?.note ?? "";
    return ofColumn.startsWith(this.#note) ? ofColumn : `${this.#note} ${ofColumn}`.trim();
  }

  get sort(): readonly SortKey[] {
    return this.#sort;
  }

  get isCounting(): boolean {
    return this.#isCounting;
  }

  /** What the kernel found in a column; null until it was asked for. */
  stats(column: number): ColumnStats | null {
    return this.#stats.get(column) ?? null;
  }

  /** A cell; null while it is on its way. */
  cell(row: number, column: number): Cell | null {
    if (this.#preview) {
      const text = this.#preview.rows[row]?.[column];
      return text === undefined ? null : { text: text === "null" ? null : text, isOld: false };
    }
    return this.#blocks.cell(row, column);
  }

  /** Paint what the file holds of the value, as long as no kernel told more. */
  record(preview: TablePreview): void {
    if (this.#value !== null) return;
    this.#preview = preview;
    this.#columns = preview.columns.map((column) => ({ ...column, note: "" }));
    this.#width = preview.width;
    this.#height = preview.rows.length;
    this.#tell("recorded", "");
  }

  /** Show the value the node has now: asked again whenever it may be another one. */
  async open(): Promise<void> {
    if (this.#isOpening || this.#isClosed) {
      this.#isToOpen = true;
      return;
    }
    this.#isOpening = true;
    if (this.#value === null) this.#tell("opening", "");
    this.#isKnown = true;
    const answer = await this.#question({ what: "open" });
    this.#isOpening = false;
    if (this.#isClosed) return;
    if (answer.kind === "table") this.#opened(answer);
    else if (this.#isArray && answer.code === NO_TABLE) {
      this.#arrayOf = null; // which value it is was not told
      this.#tell("ready", "");
    } else this.#refused(answer);
    const isDescribed = this.#value !== null && this.#arrayOf === this.#value;
    if (this.#isArray && this.#state === "ready" && !isDescribed) await this.#describeArray();
    if (this.#isToOpen) {
      this.#isToOpen = false;
      void this.open();
    }
  }

  #opened({ value, columns, width, height }: TableAnswer): void {
    const isSame = value === this.#value && height === this.#height;
    if (value !== this.#value) {
      const sameColumns = !this.#preview && JSON.stringify(columns) === JSON.stringify(this.#columns);
      if (sameColumns) this.#blocks.outdate();
      else this.#blocks.clear();
      this.#stats.clear();
      this.#note = "";
      this.#isUncountable = false;
      this.#undescribed.clear();
      this.#seen = sameColumns ? Math.min(this.#seen, this.#area.bottom) : 0; // who has scrolled somewhere stays there
      this.#height = height;
      this.#preview = null;
      const names = new Set(columns.map(({ name }) => name));
      this.#sort = this.#sort.filter(({ column }) => names.has(column));
    }
    this.#value = value;
    this.#columns = columns;
    this.#width = width;
    this.#height = height ?? this.#height;
    if (height === null && this.#seen === 0) this.#seen = BLOCK_ROWS;
    if (!isSame || this.#state !== "ready") this.#tell("ready", "");
    this.#fetch();
  }

  async #describeArray(): Promise<void> {
    const answer = await this.#question({ what: "array" });
    if (this.#isClosed || answer.kind === "reject") return;
    this.#array = answer.array;
    this.#arrayOf = answer.value;
    this.onChange.call();
  }

  /** The kernel has gone: what was seen stays. */
  lost(): void {
    this.#asked.clear();
    this.#isKnown = false;
    this.#value = this.#arrayOf = null; // the next kernel counts its values from the beginning, too
    if (this.#state === "recorded") return;
    this.#tell("gone", "The kernel is gone. What was seen of the table stays.");
  }

  /** Nobody shows it any more. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#isKnown) void this.#question({ what: "close" });
  }

  /** Say what is on the screen; what is missing of it is fetched. */
  show(area: Area): void {
    this.#area = area;
    this.#fetch();
  }

  /** Show it in another order. */
  sortBy(sort: readonly SortKey[]): void {
    if (JSON.stringify(sort) === JSON.stringify(this.#sort)) return;
    this.#sort = sort;
    this.#blocks.outdate();
    this.#tell(this.#state, this.#state === "ready" ? "" : this.#words); // that another order was refused is over
    this.#fetch();
  }

  /** Say something of what was asked for, until there is something else to say. */
  say(words: string): void {
    this.#tell(this.#state, words);
  }

  /** Another number: another value, or another order. */
  get edition(): number {
    return this.#blocks.edition;
  }

  /** One cell written out whole, or as it is painted where that cannot be had. */
  async whole(row: number, column: number): Promise<string> {
    if (this.#state !== "ready" || this.#value === null) return this.cell(row, column)?.text ?? "";
    const answer = await this.#question({ what: "cell", value: this.#value, sort: this.#sort, row, column });
    return answer.kind === "table" ? answer.text : (this.cell(row, column)?.text ?? "");
  }

  /** Cells written out whole, by rows; a sentence where they cannot be had. */
  async wholeCells({ top, bottom, left, right }: Area): Promise<readonly (string | null)[][] | string> {
    const { edition } = this.#blocks;
    const found: (string | null)[][] = [];
    for (let start = top; start < bottom; start += MOST_WHOLE_ROWS) {
      const rows = Array.from({ length: Math.min(MOST_WHOLE_ROWS, bottom - start) }, (): (string | null)[] => []);
      for (let firstColumn = left; firstColumn < right; firstColumn += MOST_WHOLE_COLUMNS) {
        if (this.#value === null) return MOVED_ON;
        const columnCount = Math.min(MOST_WHOLE_COLUMNS, right - firstColumn);
        const block = { start, stop: start + rows.length, firstColumn, columnCount, isWhole: true };
        const answer = await this.#question({ what: "rows", value: this.#value, sort: this.#sort, ...block });
        if (answer.kind === "reject" && isRefusal(answer)) return sentence(answer.message, answer.hint);
        if (answer.kind === "reject" || !answer.arrow || this.#blocks.edition !== edition) return MOVED_ON;
        const cells = readCells(answer.arrow, answer.rowCount);
        rows.forEach((row, place) => {
          for (let column = 0; column < columnCount; column += 1) row.push(cells.text(place, column));
        });
      }
      found.push(...rows);
    }
    return found;
  }

  // -- fetching

  #fetch(): void {
    if (this.#state !== "ready" || this.#isClosed) return;
    const rows = this.#height === null ? this.#area.bottom : Math.min(this.#area.bottom, this.#height);
    const seen = { ...this.#area, bottom: rows, right: Math.min(this.#area.right, this.#columns.length) };
    const missing = this.#blocks.missing(seen);
    for (const place of missing) {
      if (this.#asked.size >= MOST_ASKED) break;
      if (!this.#asked.has(keyOf(place))) void this.#fetchBlock(place);
    }
    if (missing.length) return;
    if (this.#height === null && !this.#isCounting && !this.#isUncountable) void this.#count();
    void this.#describe();
  }

  async #fetchBlock(place: BlockPlace): Promise<void> {
    const value = this.#value;
    if (value === null) return;
    const key = keyOf(place);
    const { edition } = this.#blocks;
    this.#asked.set(key, place);
    const start = place.row * BLOCK_ROWS;
    const answer = await this.#question({
      what: "rows",
      value,
      sort: this.#sort,
      start,
      stop: start + BLOCK_ROWS,
      firstColumn: place.column * BLOCK_COLUMNS,
      columnCount: BLOCK_COLUMNS,
    });
    if (this.#asked.get(key) === place) this.#asked.delete(key);
    if (this.#isClosed) return;
    if (answer.kind === "reject") {
      if (edition === this.#blocks.edition || answer.code === ANOTHER_VALUE) this.#refused(answer);
      return;
    }
    if (answer.arrow && this.#blocks.put(place, readCells(answer.arrow, answer.rowCount), edition)) {
      if (answer.rowCount === 0 && start > 0) this.#missed(start);
      else this.#saw(start + answer.rowCount, answer.rowCount === BLOCK_ROWS);
      this.onCells.call();
    }
    this.#fetch();
  }

  /** Rows up to here are there, and perhaps more: a table that nobody counted grows as it is scrolled. */
  #saw(end: number, isFull: boolean): void {
    if (this.#height !== null) return;
    if (!isFull) this.#height = end;
    const seen = isFull ? end + BLOCK_ROWS : end;
    if (seen > this.#seen || !isFull) {
      this.#seen = Math.max(seen, this.#seen);
      this.#tell(this.#state, this.#words);
    }
  }

  /** There is nothing from here on, and who asked so far out does not know where it ends: it is counted. */
  #missed(start: number): void {
    if (this.#height !== null || start >= this.#seen) return;
    this.#seen = start;
    this.#tell(this.#state, this.#words);
  }

  async #count(): Promise<void> {
    const value = this.#value;
    if (value === null || this.#state !== "ready") return;
    this.#isCounting = true;
    this.onChange.call();
    const answer = await this.#question({ what: "count", value });
    this.#isCounting = false;
    if (this.#isClosed || value !== this.#value) return;
    if (answer.kind === "reject" && !isRefusal(answer)) return this.#refused(answer);
    if (answer.kind === "table" && answer.height !== null) this.#height = answer.height;
    else this.#isUncountable = true;
    this.#tell(this.#state, answer.kind === "reject" ? sentence(answer.message, answer.hint) : this.#words);
    this.#fetch();
  }

  /** Have the columns on the screen described, one after another. */
  async #describe(): Promise<void> {
    const value = this.#value;
    if (value === null || this.#statsAsked !== null || this.#state !== "ready") return;
    const { left, right } = this.#area;
    let column = left;
    const isDone = (): boolean => this.#stats.has(column) || this.#undescribed.has(column);
    while (column < Math.min(right, this.#columns.length) && isDone()) column += 1;
    if (column >= Math.min(right, this.#columns.length)) return;
    this.#statsAsked = column;
    const answer = await this.#question({ what: "stats", value, column });
    this.#statsAsked = null;
    if (this.#isClosed) return;
    if (value !== this.#value) return this.#describe();
    if (answer.kind === "reject" && !isRefusal(answer)) return this.#refused(answer);
    if (answer.kind === "table" && answer.stats) this.#stats.set(column, answer.stats);
    else this.#undescribed.add(column);
    if (answer.kind === "reject" && !this.#words) this.#tell(this.#state, sentence(answer.message, answer.hint));
    this.onStats.call();
    return this.#describe();
  }

  #refused({ code, message, hint }: Reject): void {
    if (code === ANOTHER_VALUE) void this.open();
    else if (code === NO_VALUE || code === "") this.#tell("gone", sentence(message, hint));
    else {
      if (this.#sort.length) {
        this.#sort = []; // what cannot be sorted is shown as it is
        this.#blocks.outdate();
        this.#tell(this.#state, sentence(message, hint));
        this.#fetch();
        return;
      }
      this.#tell("failed", sentence(message, hint));
    }
  }

  async #question(question: TableQuestion): Promise<TableAnswer | Reject> {
    const { flow } = this.#store;
    const asked = { kind: "table", flow, cid: newCid(), node: this.#node, port: this.#port, ...question } as const;
    const answer = await this.#ask(asked);
    if (answer.kind === "table" && answer.value === this.#value && answer.note && answer.note !== this.#note) {
      this.#note = answer.note;
      this.onChange.call();
    }
    return answer;
  }

  #tell(state: SourceState, words: string): void {
    this.#state = state;
    this.#words = words;
    this.onChange.call();
  }
}

/** Whether it is this question that is refused, rather than that there is nobody, or another value, to answer it. */
const isRefusal = ({ code }: Reject): boolean => code !== ANOTHER_VALUE && code !== NO_VALUE && code !== "";

const keyOf = ({ row, column }: BlockPlace): string => `${row}:${column}`;

const sentence = (message: string, hint: string): string => {
  const said = `${message.charAt(0).toUpperCase()}${message.slice(1)}.`;
  return hint ? `${said} ${hint.charAt(0).toUpperCase()}${hint.slice(1)}.` : said;
};
