/** JupyterLab's data grid over a table source: painted from the theme, sorted by its headers, fetched as it is scrolled. */

import { BasicKeyHandler, BasicMouseHandler, BasicSelectionModel, DataGrid } from "@lumino/datagrid";
import type { Message } from "@lumino/messaging";
import type { Widget } from "@lumino/widgets";
import { Listeners } from "../model/listeners";
import type { SortKey } from "../protocol/tables";
import { kindOf } from "./cells";
import { copied } from "./copying";
import { GridModel } from "./GridModel";
import { CellPainter, columnWords, HEADER_PX, HeaderPainter, ROW_PX, RowNumberPainter } from "./painters";
import { type Paper, paperOf } from "./paper";
import type { TableSource } from "./TableSource";

const CHAR_PX = 7.3;
const LEAST_PX = 76;
const MOST_PX = 300;
/** How many rows are looked at to find how wide a column is. */
const LOOKED_ROWS = 40;

export class GridView extends DataGrid {
  /** Another cell is the chosen one. */
  readonly onCursor = new Listeners();
  readonly #source: TableSource;
  readonly #model: GridModel;
  readonly #write: (text: string) => void;
  readonly #stops: readonly (() => void)[];
  readonly #theme = new MutationObserver(() => this.#dress());
  readonly #sized = new Set<string>();
  #paper: Paper | null = null;
  #frame = 0;

  /** `label`: what it is, for who does not see it. `write`: puts what is copied on the clipboard. */
  constructor(source: TableSource, label: string, write: (text: string) => void) {
    super({
      defaultSizes: { rowHeight: ROW_PX, columnWidth: 120, rowHeaderWidth: 64, columnHeaderHeight: HEADER_PX },
      minimumSizes: { rowHeight: ROW_PX, columnWidth: 40, rowHeaderWidth: 40, columnHeaderHeight: HEADER_PX },
      headerVisibility: "all",
    });
    this.#source = source;
    this.#write = write;
    this.addClass("fb-root");
    this.addClass("fb-datagrid");
    const model = new GridModel(source);
    this.#model = model;
    this.dataModel = model;
    const selection = new BasicSelectionModel({ dataModel: model });
    selection.changed.connect(() => this.onCursor.call());
    this.selectionModel = selection;
    this.keyHandler = new GridKeys(source, () => this.cursor);
    this.viewport.node.tabIndex = 0;
    this.viewport.node.setAttribute("role", "grid");
    this.viewport.node.setAttribute("aria-label", label);
    this.mouseHandler = new SortingMouse(source);
    const around = { source, model, paper: () => this.#paper ?? this.#dress() };
    this.cellRenderers.update({
      body: new CellPainter(around),
      "row-header": new RowNumberPainter(around),
      "column-header": new HeaderPainter(around),
    });
    this.#stops = [
      source.onChange.add(() => this.#look()),
      source.onCells.add(() => {
        this.#sizeColumns();
        this.#look();
      }),
    ];
  }

  /** The chosen cell; null without one. */
  get cursor(): { readonly row: number; readonly column: number } | null {
    const model = this.selectionModel;
    if (!model || model.isEmpty || model.cursorRow < 0 || model.cursorColumn < 0) return null;
    return { row: model.cursorRow, column: model.cursorColumn };
  }

  /** Bring a row to the top of what is seen, and choose its first cell in sight. */
  goTo(row: number): void {
    const last = Math.max(0, this.#model.rowCount("body") - 1);
    const place = Math.min(Math.max(0, row), last);
    this.scrollTo(this.scrollX, place * ROW_PX);
    const column = Math.max(0, this.columnAt("body", this.scrollX));
    this.selectionModel?.select({
      r1: place,
      c1: column,
      r2: place,
      c2: column,
      cursorRow: place,
      cursorColumn: column,
      clear: "all",
    });
  }

  /** The rows that are seen: the first, and the one after the last. */
  get rows(): readonly [number, number] {
    const first = Math.floor(this.scrollY / ROW_PX);
    return [first, Math.min(this.#model.rowCount("body"), Math.ceil((this.scrollY + this.pageHeight) / ROW_PX))];
  }

  /** Copy what is selected as values, not as it is painted. */
  override copyToClipboard(): void {
    const [selection, another] = [...(this.selectionModel?.selections() ?? [])];
    if (!selection) return;
    if (another) {
      this.#source.say("Nothing was copied: choose cells that lie together.");
      return;
    }
    const { r1, c1, r2, c2 } = selection;
    const area = {
      r1: Math.max(0, Math.min(r1, r2)),
      c1: Math.max(0, Math.min(c1, c2)),
      r2: Math.min(Math.max(r1, r2), this.#model.rowCount("body") - 1),
      c2: Math.min(Math.max(c1, c2), this.#model.columnCount("body") - 1),
    };
    void copied(this.#source, area).then((text) => {
      if (text !== null) this.#write(text);
    });
  }

  override dispose(): void {
    if (this.isDisposed) return;
    cancelAnimationFrame(this.#frame);
    this.#theme.disconnect();
    for (const stop of this.#stops) stop();
    this.#model.dispose();
    super.dispose();
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this.#dress();
    this.#theme.observe(document.body, { attributeFilter: ["data-jp-theme-name"] });
    this.#look();
  }

  protected override onResize(msg: Widget.ResizeMessage): void {
    super.onResize(msg);
    this.#look();
  }

  /** Whatever is painted anew has been scrolled to, or has changed. */
  protected override paintContent(rx: number, ry: number, rw: number, rh: number): void {
    super.paintContent(rx, ry, rw, rh);
    this.#look();
  }

  #dress(): Paper {
    const paper = paperOf(this.node);
    this.#paper = paper;
    this.style = paper.style;
    return paper;
  }

  /** Say what is on the screen, once a frame. */
  #look(): void {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.isDisposed || !this.isVisible) return;
      const [top, bottom] = this.rows;
      const left = Math.max(0, this.columnAt("body", this.scrollX));
      const last = this.columnAt("body", this.scrollX + this.pageWidth - 1);
      const right = last < 0 ? this.#source.columns.length : last + 1;
      if (this.pageHeight > 0) this.#source.show({ top, bottom, left, right });
    });
  }

  /** Give columns the width of what is in them, once; then it is the reader's. */
  #sizeColumns(): void {
    const rows = Math.min(this.#model.rowCount("body"), LOOKED_ROWS);
    this.#source.columns.forEach(({ name, type }, column) => {
      const key = `${column} ${name} ${type}`;
      if (this.#sized.has(key) || !this.#source.cell(0, column)) return;
      this.#sized.add(key);
      let chars = Math.max(name.length + 3, type.length * 0.9 + 4);
      for (let row = 0; row < rows; row += 1) {
        chars = Math.max(chars, this.#source.cell(row, column)?.text?.length ?? 4);
      }
      // The first rows of numbers are often the small ones.
      const spare = kindOf(type) === "number" ? 2 : 0;
      this.resizeColumn("body", column, Math.min(MOST_PX, Math.max(LEAST_PX, (chars + spare) * CHAR_PX + 16)));
    });
    const digits = this.#model.rowCount("body").toLocaleString("en-US").length;
    this.resizeColumn("row-header", 0, Math.max(48, digits * 7 + 18));
  }
}

/** Tab leaves the grid as it leaves everything else; S sorts by the column of the cursor. */
export class GridKeys extends BasicKeyHandler {
  readonly #source: TableSource;
  readonly #cursor: () => { readonly column: number } | null;

  constructor(source: TableSource, cursor: () => { readonly column: number } | null) {
    super();
    this.#source = source;
    this.#cursor = cursor;
  }

  override onKeyDown(grid: DataGrid, event: KeyboardEvent): void {
    if (event.key === "Tab") return;
    const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (isPlain && event.key.toLowerCase() === "s") {
      const cursor = this.#cursor();
      if (cursor) turn(this.#source, cursor.column, event.shiftKey);
    } else if (isPlain && event.key === "?") {
      this.#source.say("S sorts by the column of the chosen cell, Shift+S by one more; Tab leaves the grid.");
    } else {
      super.onKeyDown(grid, event);
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}

/** A press on a column's header sorts by it; everywhere else it does what it does in every grid. */
class SortingMouse extends BasicMouseHandler {
  readonly #source: TableSource;
  #pressed: { readonly column: number; readonly x: number } | null = null;

  constructor(source: TableSource) {
    super();
    this.#source = source;
  }

  override onMouseDown(grid: DataGrid, event: MouseEvent): void {
    const hit = grid.hitTest(event.clientX, event.clientY);
    const isEdge = hit.x < 5 || hit.width - hit.x < 5;
    this.#pressed = hit.region === "column-header" && !isEdge ? { column: hit.column, x: event.clientX } : null;
    if (!this.#pressed) super.onMouseDown(grid, event);
  }

  override onMouseUp(grid: DataGrid, event: MouseEvent): void {
    const pressed = this.#pressed;
    this.#pressed = null;
    if (pressed && Math.abs(event.clientX - pressed.x) < 4) turn(this.#source, pressed.column, event.shiftKey);
    else super.onMouseUp(grid, event);
  }

  override onMouseHover(grid: DataGrid, event: MouseEvent): void {
    super.onMouseHover(grid, event);
    const hit = grid.hitTest(event.clientX, event.clientY);
    grid.viewport.node.title = hit.region === "column-header" ? columnWords(this.#source, hit.column) : "";
  }
}

/** From no order to the least first, to the most first, to none again. */
function turn(source: TableSource, column: number, isOneMore: boolean): void {
  const name = source.columns[column]?.name;
  if (name === undefined || source.state !== "ready") return;
  source.sortBy(turned(source.sort, name, isOneMore));
}

/** The order after a press on a column's header. */
export function turned(sort: readonly SortKey[], column: string, isOneMore: boolean): readonly SortKey[] {
  const before = sort.find((key) => key.column === column);
  const next = before ? (before.isDescending ? null : { column, isDescending: true }) : { column, isDescending: false };
  if (!isOneMore) return next ? [next] : [];
  if (!before) return next ? [...sort, next] : sort;
  return sort.flatMap((key) => (key.column === column ? (next ? [next] : []) : [key]));
}
