/** What a grid paints: cells, the numbers of rows, and above each column its name, its type, its nulls and its shape. */

import { CellRenderer, type GraphicsContext } from "@lumino/datagrid";
import { oneLine } from "../model/wording";
import type { ColumnStats } from "../protocol/tables";
import { kindOf } from "./cells";
import type { GridModel } from "./GridModel";
import type { Paper } from "./paper";
import type { TableSource } from "./TableSource";

export const HEADER_PX = 66;
export const ROW_PX = 22;
const INSET_PX = 8;
const HISTOGRAM_PX = 22;
const TOP_LINES = 2;

interface Surroundings {
  readonly source: TableSource;
  readonly model: GridModel;
  readonly paper: () => Paper;
}

/** A cell of the table: figures at the right, null apart from the text "null", and a bar for what is on its way. */
export class CellPainter extends CellRenderer {
  readonly #around: Surroundings;

  constructor(around: Surroundings) {
    super();
    this.#around = around;
  }

  override paint(gc: GraphicsContext, { x, y, width, height, row, column }: CellRenderer.CellConfig): void {
    const paper = this.#around.paper();
    const cell = this.#around.model.cell(row, column);
    if (!cell) {
      gc.fillStyle = paper.faint;
      gc.fillRect(x + INSET_PX, y + height / 2 - 3, Math.max(0, Math.min(48, width - 2 * INSET_PX)), 6);
      return;
    }
    const type = this.#around.source.columns[column]?.type ?? "";
    const isRight = kindOf(type) === "number";
    const isNull = cell.text === null;
    gc.font = `${isNull ? "italic " : ""}12px ${paper.codeFont}`;
    gc.fillStyle = isNull || cell.isOld ? paper.muted : paper.ink;
    gc.textBaseline = "middle";
    gc.textAlign = isRight ? "right" : "left";
    const text = fitted(gc, isNull ? "null" : oneLine(cell.text ?? ""), width - 2 * INSET_PX);
    gc.fillText(text, isRight ? x + width - INSET_PX : x + INSET_PX, y + height / 2 + 1);
  }
}

/** The number of a row, from 0 as polars counts them. */
export class RowNumberPainter extends CellRenderer {
  readonly #around: Surroundings;

  constructor(around: Surroundings) {
    super();
    this.#around = around;
  }

  override paint(gc: GraphicsContext, { x, y, width, height, row }: CellRenderer.CellConfig): void {
    const paper = this.#around.paper();
    gc.font = `11px ${paper.codeFont}`;
    gc.fillStyle = paper.muted;
    gc.textBaseline = "middle";
    gc.textAlign = "right";
    gc.fillText(row.toLocaleString("en-US"), x + width - INSET_PX, y + height / 2 + 1);
  }
}

export class HeaderPainter extends CellRenderer {
  readonly #around: Surroundings;

  constructor(around: Surroundings) {
    super();
    this.#around = around;
  }

  override paint(gc: GraphicsContext, { x, y, width, column }: CellRenderer.CellConfig): void {
    const { source } = this.#around;
    const paper = this.#around.paper();
    const found = source.columns[column];
    if (!found) return;
    const room = width - 2 * INSET_PX;
    const stats = source.stats(column);
    const place = source.sort.findIndex((key) => key.column === found.name);
    const order =
      place < 0 ? "" : `${source.sort[place]?.isDescending ? "▼" : "▲"}${source.sort.length > 1 ? place + 1 : ""}`;
    gc.textBaseline = "alphabetic";
    gc.textAlign = "left";
    gc.font = `600 12px ${paper.uiFont}`;
    gc.fillStyle = paper.ink;
    const orderPx = order ? gc.measureText(order).width + 6 : 0;
    gc.fillText(fitted(gc, oneLine(found.name), room - orderPx), x + INSET_PX, y + 15);
    if (order) {
      gc.fillStyle = paper.brand;
      gc.textAlign = "right";
      gc.fillText(order, x + width - INSET_PX, y + 15);
      gc.textAlign = "left";
    }
    gc.font = `10.5px ${paper.uiFont}`;
    gc.fillStyle = paper.muted;
    gc.fillText(fitted(gc, underName(found.type, stats), room), x + INSET_PX, y + 30);
    if (stats?.histogram) bars(gc, stats.histogram, { x: x + INSET_PX, y: y + 37, width: room }, paper);
    else if (stats?.top) most(gc, stats.top, stats, { x: x + INSET_PX, y: y + 37, width: room }, paper);
  }
}

/** "int64 · 2.5 % null"; that the shape is made of a sample only is said, too. */
function underName(type: string, stats: ColumnStats | null): string {
  if (!stats) return type;
  return [type, nullWords(stats), stats.sampled ? "sampled" : ""].filter(Boolean).join(" · ");
}

function nullWords({ nullCount, rows }: ColumnStats): string {
  if (!nullCount) return "";
  const percent = (100 * nullCount) / Math.max(rows, 1);
  return `${percent >= 10 ? percent.toFixed(0) : percent >= 0.1 ? percent.toFixed(1) : "< 0.1"} % null`;
}

/** All that is known of a column, in words: for who points at its header. */
export function columnWords(source: TableSource, column: number): string {
  const found = source.columns[column];
  if (!found) return "";
  const lines = [`${oneLine(found.name)}: ${found.type}`, found.note].filter(Boolean);
  const stats = source.stats(column);
  if (stats) {
    lines.push(`${stats.nullCount.toLocaleString("en-US")} of ${stats.rows.toLocaleString("en-US")} null`);
    if (stats.min !== null && stats.max !== null) lines.push(`${oneLine(stats.min)} … ${oneLine(stats.max)}`);
    for (const [text, count] of stats.top ?? []) lines.push(`${oneLine(text)}: ${count.toLocaleString("en-US")}`);
    if (stats.sampled) lines.push(sampledWords(source, stats));
  }
  lines.push("click to sort, again to turn the order round, Shift for one more column");
  return lines.join("\n");
}

function sampledWords(source: TableSource, { rows }: ColumnStats): string {
  const isHead = source.height !== null && rows < source.height;
  const looked = rows.toLocaleString("en-US");
  return isHead ? `of the first ${looked} rows only` : "its shape is made of values evenly apart, not of all";
}

interface Strip {
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

function bars(gc: GraphicsContext, counts: readonly number[], { x, y, width }: Strip, paper: Paper): void {
  const highest = Math.max(...counts, 1);
  const step = Math.min(width, 160) / counts.length;
  gc.fillStyle = paper.rule;
  gc.fillRect(x, y + HISTOGRAM_PX, step * counts.length, 1);
  gc.fillStyle = paper.bar;
  counts.forEach((count, place) => {
    const height = count ? Math.max(1, (count / highest) * HISTOGRAM_PX) : 0;
    gc.fillRect(x + place * step, y + HISTOGRAM_PX - height, Math.max(1, step - 1), height);
  });
}

/** The most frequent values, each on a bar as long as its share. */
function most(
  gc: GraphicsContext,
  top: readonly (readonly [string, number])[],
  { rows, nullCount }: ColumnStats,
  { x, y, width }: Strip,
  paper: Paper,
): void {
  const looked = Math.max(
    top.reduce((sum, [, count]) => sum + count, 0),
    rows - nullCount,
    1,
  );
  const room = Math.min(width, 160);
  top.slice(0, TOP_LINES).forEach(([text, count], line) => {
    const middle = y + line * 12 + 5;
    gc.fillStyle = paper.faint;
    gc.fillRect(x, middle - 5, room, 10);
    gc.fillStyle = paper.bar;
    gc.fillRect(x, middle - 5, Math.max(1, (count / looked) * room), 10);
    gc.font = `9.5px ${paper.uiFont}`;
    gc.fillStyle = paper.ink;
    gc.textBaseline = "middle";
    gc.fillText(fitted(gc, oneLine(text), room - 6), x + 3, middle + 0.5);
  });
}

/** Cut a text where there is no more room; a few halvings measure it. */
function fitted(gc: GraphicsContext, text: string, room: number): string {
  const head = text.slice(0, Math.max(4, Math.ceil(room / 3)));
  if (head.length === text.length && gc.measureText(text).width <= room) return text;
  let fits = 0;
  let tooLong = head.length + 1;
  while (tooLong - fits > 1) {
    const middle = (fits + tooLong) >> 1;
    if (gc.measureText(`${head.slice(0, middle)}…`).width <= room) fits = middle;
    else tooLong = middle;
  }
  return fits ? `${head.slice(0, fits)}…` : "";
}
