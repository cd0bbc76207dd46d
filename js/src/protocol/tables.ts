/** What a grid asks of the kernel about the value of a node, and what it is told. */

import type { Column, PicturePreview } from "../model/flow";
import { list, number, readColumn, readPreview, record, text, textOrNull } from "./reading";

/** Something about the table that an output of a node holds. `close`, which is not answered: nothing more is asked. */
export type TableRequest = TableQuestion & {
  readonly kind: "table";
  readonly flow: string;
  readonly cid: string;
  readonly node: string;
  /** Which output; null: the primary one. */
  readonly port: string | null;
};

/** `value` is the number of the value that is shown: the kernel refuses to speak of another one. */
export type TableQuestion =
  | { readonly what: "open" | "array" | "close" }
  | { readonly what: "count"; readonly value: number }
  | { readonly what: "stats"; readonly value: number; readonly column: number }
  | ({ readonly what: "rows"; readonly value: number; readonly sort: readonly SortKey[] } & Block)
  | {
      readonly what: "cell";
      readonly value: number;
      readonly sort: readonly SortKey[];
      readonly row: number;
      readonly column: number;
    };

/** Rows and columns that are asked for together. */
export interface Block {
  readonly start: number;
  readonly stop: number;
  readonly firstColumn: number;
  readonly columnCount: number;
  /** Its texts are to be copied, and not to be cut. */
  readonly isWhole?: boolean;
}

export interface SortKey {
  readonly column: string;
  readonly isDescending: boolean;
}

/** What a grid asked for; `undefined` and empty where it asked for something else. */
export interface TableAnswer {
  readonly kind: "table";
  readonly cid: string;
  readonly flow: string;
  /** The number of the value it speaks of. */
  readonly value: number;
  readonly columns: readonly TableColumn[];
  /** How many columns there are: of very many only the first are named. */
  readonly width: number;
  /** Null: nobody counted them. */
  readonly height: number | null;
  readonly rowCount: number;
  /** Of each column of the Arrow stream, whether its values were written as text. */
  readonly isText: readonly boolean[];
  readonly stats: ColumnStats | null;
  readonly array: ArrayStats | null;
  readonly text: string;
  /** What has to be known of the table as a whole; empty for almost all. */
  readonly note: string;
  /** The Arrow stream, where rows were asked for. */
  readonly arrow: Uint8Array | null;
}

export interface TableColumn extends Column {
  /** What has to be known of what is shown of it; empty for almost all. */
  readonly note: string;
}

/** One column described; what makes no sense for its type is null. */
export interface ColumnStats {
  readonly rows: number;
  readonly nullCount: number;
  readonly min: string | null;
  readonly max: string | null;
  /** Counts of equal steps from the least to the most. */
  readonly histogram: readonly number[] | null;
  /** The most frequent values. */
  readonly top: readonly (readonly [string, number])[] | null;
  /** Not all values were looked at. */
  readonly sampled: boolean;
}

/** An array described. */
export interface ArrayStats {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly sizeBytes: number;
  readonly nanCount: number | null;
  readonly min: string | null;
  readonly max: string | null;
  readonly mean: string | null;
  readonly histogram: readonly number[] | null;
  readonly sampled: boolean;
  readonly image: PicturePreview | null;
}

/** Read what a grid was told; `buffers` are the bytes that came beside it. */
export function readTable(fields: Readonly<Record<string, unknown>>, buffers: readonly Bytes[]): TableAnswer {
  return {
    kind: "table",
    cid: text(fields, "cid"),
    flow: text(fields, "flow"),
    value: number(fields, "value") ?? 0,
    columns: list(fields, "columns").map((column) => ({ ...readColumn(column), note: text(record(column), "note") })),
    width: number(fields, "width") ?? 0,
    height: number(fields, "height"),
    rowCount: number(fields, "rowCount") ?? 0,
    isText: list(fields, "isText").map((flag) => flag === true),
    stats: readColumnStats(fields["stats"]),
    array: readArrayStats(fields["array"]),
    text: text(fields, "text"),
    note: text(fields, "note"),
    arrow: buffers[0] ? bytesOf(buffers[0]) : null,
  };
}

/** Bytes as a carrier hands them over. */
export type Bytes = ArrayBuffer | ArrayBufferView;

function bytesOf(bytes: Bytes): Uint8Array {
  return ArrayBuffer.isView(bytes)
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes);
}

function readColumnStats(json: unknown): ColumnStats | null {
  if (typeof json !== "object" || json === null) return null;
  const fields = record(json);
  return {
    rows: number(fields, "rows") ?? 0,
    nullCount: number(fields, "nullCount") ?? 0,
    min: textOrNull(fields, "min"),
    max: textOrNull(fields, "max"),
    histogram: numbersOrNull(fields["histogram"]),
    top: Array.isArray(fields["top"])
      ? fields["top"].flatMap((pair) => (Array.isArray(pair) ? [[String(pair[0]), Number(pair[1])] as const] : []))
      : null,
    sampled: fields["sampled"] === true,
  };
}

function readArrayStats(json: unknown): ArrayStats | null {
  if (typeof json !== "object" || json === null) return null;
  const fields = record(json);
  const image = readPreview(fields["image"]);
  return {
    dtype: text(fields, "dtype"),
    shape: numbersOrNull(fields["shape"]) ?? [],
    sizeBytes: number(fields, "sizeBytes") ?? 0,
    nanCount: number(fields, "nanCount"),
    min: textOrNull(fields, "min"),
    max: textOrNull(fields, "max"),
    mean: textOrNull(fields, "mean"),
    histogram: numbersOrNull(fields["histogram"]),
    sampled: fields["sampled"] === true,
    image: image?.kind === "picture" ? image : null,
  };
}

const numbersOrNull = (json: unknown): readonly number[] | null =>
  Array.isArray(json) ? json.map((item) => (typeof item === "number" ? item : 0)) : null;
