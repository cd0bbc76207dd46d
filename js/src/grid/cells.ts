/**
 * The cells of one Arrow stream, written as a grid shows them.
 *
 * Whole numbers of 64 bits and times of nanoseconds are more than a browser's numbers hold, so they are read as what
 * they are, and written from there. Dates reach further than a browser's calendar, so the calendar is our own.
 */

import { type Batch, type Column, type DataType, Type, tableFromIPC } from "@uwdata/flechette";

/** Where the text of a cell stands, and what it is. */
export type CellKind = "number" | "text" | "truth" | "time" | "null";

/** The cells of a block, by row and column from its own corner. */
export interface Cells {
  readonly rowCount: number;
  readonly columnCount: number;
  /** What to write; null where there is no value. */
  text(row: number, column: number): string | null;
}

/** Read an Arrow stream. `isText`: which columns the kernel wrote as text. */
export function readCells(arrow: Uint8Array, rowCount: number): Cells {
  const table = tableFromIPC(arrow, { useBigInt: true });
  const writers = table.children.map((column) => writerOf(column));
  return {
    rowCount,
    columnCount: writers.length,
    text: (row, column) => writers[column]?.(row) ?? null,
  };
}

type Writer = (row: number) => string | null;

function writerOf(column: Column<unknown>): Writer {
  const write = writing(column.type);
  return (row) => {
    let place = row;
    for (const batch of column.data) {
      if (place < batch.length) return write(batch, place);
      place -= batch.length;
    }
    return null;
  };
}

type WriteOne = (batch: Batch<unknown>, place: number) => string | null;

function writing(type: DataType): WriteOne {
  switch (type.typeId) {
    case Type.Int:
      return ofValue((value) => whole(value as number | bigint));
    case Type.Float:
      return type.precision === SINGLE
        ? ofValue((value) => single(value as number))
        : type.precision === HALF
          ? ofValue((value) => half(value as number))
          : ofValue((value) => number(value as number));
    case Type.Date:
      // Days are counted by what lies in the buffer; what the library makes of them is a time of day, too.
      return ofRaw((raw) => date(BigInt(raw)));
    case Type.Timestamp:
      return ofRaw((raw) => datetime(BigInt(raw), TICKS[type.unit] ?? 1n));
    case Type.Null:
      return () => null;
    default:
      return ofValue((value) => String(value));
  }
}

const HALF = 0;
const SINGLE = 1;
/** Ticks in a second, by Arrow's units: seconds, milliseconds, microseconds, nanoseconds. */
const TICKS = [1n, 1_000n, 1_000_000n, 1_000_000_000n];

function ofValue(write: (value: unknown) => string): WriteOne {
  return (batch, place) => {
    const value = batch.at(place);
    return value === null || value === undefined ? null : write(value);
  };
}

/** Read what lies in the buffer of a column of plain numbers. */
function ofRaw(write: (raw: number | bigint) => string): WriteOne {
  return (batch, place) => {
    if (batch.nullCount > 0 && !batch.isValid(place)) return null;
    const raw = (batch.values as ArrayLike<number | bigint>)[place];
    return raw === undefined ? null : write(raw);
  };
}

// -- numbers

/** Smaller whole numbers are often years and ids: "2,013" would read wrong. */
const GROUP_FROM = 10_000n;

function whole(value: number | bigint): string {
  const exact = BigInt(value);
  const size = exact < 0n ? -exact : exact;
  return size >= GROUP_FROM ? exact.toLocaleString("en-US") : String(exact);
}

/** Smaller numbers are written with an exponent, as Python does. */
const SMALL = 1e-4;

function number(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (value !== 0 && Math.abs(value) < SMALL) return value.toExponential();
  return Object.is(value, -0) ? "-0" : String(value);
}

/** The shortest text that stands for the same number in so many digits. */
function shortest(value: number, most: number, isSame: (read: number) => boolean): string {
  for (let digits = 1; digits < most; digits += 1) {
    const read = Number(value.toPrecision(digits));
    if (isSame(read)) return number(read);
  }
  return number(value);
}

const single = (value: number): string =>
  Number.isFinite(value) ? shortest(value, 10, (read) => Math.fround(read) === value) : number(value);

/** Half precision: a step is 1/1024 of the power of two below, and no smaller than the smallest number there is. */
function half(value: number): string {
  if (!Number.isFinite(value) || Number.isInteger(value)) return number(value);
  const step = 2 ** Math.max(Math.floor(Math.log2(Math.abs(value))) - 10, -24);
  return shortest(value, 8, (read) => Math.abs(read - value) < step / 2);
}

// -- the calendar

const DAY_S = 86_400n;

/** Split a count of units into whole larger ones, towards the past, and what is left. */
function split(count: bigint, unit: bigint): readonly [bigint, bigint] {
  const left = ((count % unit) + unit) % unit;
  return [(count - left) / unit, left];
}

/**
 * Days since 1970 as a date of the calendar we use now, also before it was (Howard Hinnant, "chrono-compatible low-level
 * date algorithms", civil_from_days).
 */
function date(days: bigint): string {
  const [era, dayOfEra] = split(days + 719_468n, 146_097n);
  const yearOfEra = (dayOfEra - dayOfEra / 1460n + dayOfEra / 36_524n - dayOfEra / 146_096n) / 365n;
  const dayOfYear = dayOfEra - (365n * yearOfEra + yearOfEra / 4n - yearOfEra / 100n);
  const fromMarch = (5n * dayOfYear + 2n) / 153n;
  const day = dayOfYear - (153n * fromMarch + 2n) / 5n + 1n;
  const month = fromMarch < 10n ? fromMarch + 3n : fromMarch - 9n;
  const year = yearOfEra + era * 400n + (month <= 2n ? 1n : 0n);
  return `${yearText(year)}-${padded(month, 2)}-${padded(day, 2)}`;
}

function yearText(year: bigint): string {
  return year < 0n ? `-${padded(-year, 4)}` : year > 9999n ? `+${year}` : padded(year, 4);
}

function datetime(count: bigint, ticks: bigint): string {
  const [seconds, fraction] = split(count, ticks);
  const [days, ofDay] = split(seconds, DAY_S);
  const clock = `${padded(ofDay / 3600n, 2)}:${padded((ofDay / 60n) % 60n, 2)}:${padded(ofDay % 60n, 2)}`;
  return `${date(days)} ${clock}${fractionText(fraction, ticks)}`;
}

/** Milliseconds, microseconds or nanoseconds, as many as it takes; nothing for a whole second. */
function fractionText(fraction: bigint, ticks: bigint): string {
  if (!fraction) return "";
  const digits = padded(fraction, String(ticks).length - 1);
  return `.${digits.replace(/(000)+$/, "")}`;
}

const padded = (value: bigint, width: number): string => String(value).padStart(width, "0");

// -- what stands where

const NUMERIC = /^(u?int|float|decimal)/i;
const TIMELY = /^(date|time|duration)/i;

/** What the cells of a column are, by the label of its type. */
export function kindOf(type: string): CellKind {
  if (NUMERIC.test(type)) return "number";
  if (TIMELY.test(type)) return "time";
  if (/^bool/i.test(type)) return "truth";
  return /^null/i.test(type) ? "null" : "text";
}
