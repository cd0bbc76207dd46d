/** A table source as JupyterLab's data grid wants it: cells are read when they are painted. */

import { DataModel } from "@lumino/datagrid";
import type { Cell, TableSource } from "./TableSource";

export class GridModel extends DataModel {
  readonly #source: TableSource;
  readonly #stops: readonly (() => void)[];
  #rows = 0;
  #columns = "";

  constructor(source: TableSource) {
    super();
    this.#source = source;
    this.#stops = [
      source.onChange.add(() => this.#follow()),
      source.onCells.add(() => this.#paint("body")),
      source.onStats.add(() => this.#paint("column-header")),
    ];
    this.#follow();
  }

  dispose(): void {
    for (const stop of this.#stops) stop();
  }

  override rowCount(region: DataModel.RowRegion): number {
    return region === "body" ? this.#rows : 1;
  }

  override columnCount(region: DataModel.ColumnRegion): number {
    return region === "body" ? this.#source.columns.length : 1;
  }

  /** A cell's text, for copying; the number of a row at its left, the name of a column above it. */
  override data(region: DataModel.CellRegion, row: number, column: number): string {
    switch (region) {
      case "body":
        return this.#source.cell(row, column)?.text ?? "";
      case "row-header":
        return row.toLocaleString("en-US");
      case "column-header":
        return this.#source.columns[column]?.name ?? "";
      default:
        return "";
    }
  }

  /** What there is to know of a cell beside its text; null while it is on its way. */
  cell(row: number, column: number): Cell | null {
    return this.#source.cell(row, column);
  }

  /** Rows that came or went, one by one: who has scrolled somewhere stays there. */
  #follow(): void {
    const columns = JSON.stringify(this.#source.columns);
    const rows = this.#source.rowCount;
    const before = this.#rows;
    this.#rows = rows;
    if (columns !== this.#columns) {
      this.#columns = columns;
      this.emitChanged({ type: "model-reset" });
      return;
    }
    if (rows > before) this.emitChanged({ type: "rows-inserted", region: "body", index: before, span: rows - before });
    if (rows < before) this.emitChanged({ type: "rows-removed", region: "body", index: rows, span: before - rows });
    this.#paint("body");
    this.#paint("column-header");
  }

  #paint(region: "body" | "column-header"): void {
    const rowSpan = this.rowCount(region);
    const columnSpan = this.columnCount("body");
    if (rowSpan && columnSpan)
      this.emitChanged({ type: "cells-changed", region, row: 0, column: 0, rowSpan, columnSpan });
  }
}
