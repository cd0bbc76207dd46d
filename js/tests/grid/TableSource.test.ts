/** What a grid fetches, and what it shows meanwhile. */

import { tableFromArrays, tableToIPC } from "@uwdata/flechette";
import { expect, test } from "vitest";
import { BLOCK_COLUMNS, BLOCK_ROWS, Blocks } from "../../src/grid/blocks";
import type { Cells } from "../../src/grid/cells";
import { copied } from "../../src/grid/copying";
import { TableSource } from "../../src/grid/TableSource";
import { FlowStore } from "../../src/model/store";
import type { Reject } from "../../src/protocol/messages";
import { readTable, type TableAnswer, type TableRequest } from "../../src/protocol/tables";
import { turn } from "../fakeLine";

const COLUMNS = [
  { name: "n", type: "int64" },
  { name: "word", type: "string" },
];

/** A kernel that answers when it is told to. */
class Kernel {
  readonly asked: TableRequest[] = [];
  readonly #waiting: ((answer: TableAnswer | Reject) => void)[] = [];

  readonly ask = (request: TableRequest): Promise<TableAnswer | Reject> => {
    this.asked.push(request);
    return new Promise((resolve) => this.#waiting.push(resolve));
  };

  async answer(fields: object): Promise<void> {
    const request = this.asked.shift();
    this.#waiting.shift()?.(readTable({ cid: request?.cid, ...fields }, []));
    await turn();
  }

  /** Answer with rows of two columns: an empty block is a stream, too. */
  async answerRows(value: number, rowCount: number): Promise<void> {
    const n = Array.from({ length: rowCount }, (_, row) => row);
    await this.answerTable(value, { n, word: n.map(String) });
  }

  async answerTable(value: number, columns: Record<string, (number | string)[]>): Promise<void> {
    const request = this.asked.shift();
    const rowCount = Object.values(columns)[0]?.length ?? 0;
    const arrow = tableToIPC(tableFromArrays(columns), { format: "stream" });
    const buffers = arrow ? [new DataView(arrow.buffer, arrow.byteOffset, arrow.byteLength)] : [];
    this.#waiting.shift()?.(readTable({ cid: request?.cid, value, rowCount }, buffers));
    await turn();
  }

  async refuse(code: string): Promise<void> {
    const cid = this.asked.shift()?.cid ?? "";
    this.#waiting.shift()?.({ kind: "reject", cid, flow: "f", code, message: "no", hint: "do", rev: 0 });
    await turn();
  }

  get kinds(): readonly string[] {
    return this.asked.map(({ what }) => what);
  }
}

function open(): { readonly kernel: Kernel; readonly source: TableSource } {
  const kernel = new Kernel();
  return { kernel, source: new TableSource(new FlowStore("f"), "made", null, kernel.ask) };
}

const OPENED = { value: 1, columns: COLUMNS, width: 2, height: 1000 };
const SCREEN = { top: 0, bottom: 30, left: 0, right: 2 };

test("only what is on the screen is asked for, two blocks at a time", async () => {
  const { kernel, source } = open();
  source.show({ top: 100, bottom: 500, left: 0, right: 2 });
  void source.open();
  await kernel.answer(OPENED);
  expect(kernel.kinds).toEqual(["rows", "rows"]);
  const starts = kernel.asked.map((request) => (request.what === "rows" ? request.start : -1));
  expect(starts).toEqual([2 * BLOCK_ROWS, BLOCK_ROWS]); // from the middle of the screen outwards
});

test("who has scrolled on is not made to wait for what they passed", async () => {
  const { kernel, source } = open();
  source.show(SCREEN);
  void source.open();
  await kernel.answer(OPENED);
  source.show({ ...SCREEN, top: 300, bottom: 330 });
  source.show({ ...SCREEN, top: 600, bottom: 630 });
  source.show({ ...SCREEN, top: 900, bottom: 930 });
  await kernel.answer({ value: 1 });
  const starts = kernel.asked.map((request) => (request.what === "rows" ? request.start : -1));
  expect(starts).toEqual([2 * BLOCK_ROWS, 7 * BLOCK_ROWS]);
});

test("a value that was replaced is opened anew, and one that is gone is said to be", async () => {
  const { kernel, source } = open();
  source.show(SCREEN);
  void source.open();
  await kernel.answer(OPENED);
  await kernel.refuse("FB807");
  expect(kernel.kinds).toEqual(["open"]);
  expect(source.state).toBe("ready"); // what was shown stays until the new one is here
  await kernel.refuse("FB806");
  expect(source.state).toBe("gone");
  expect(source.words).toBe("No. Do.");
  expect(source.rowCount).toBe(1000); // never an empty grid
});

test("without a kernel the first rows stay as they were stored", async () => {
  const { kernel, source } = open();
  const rows = [
    ["1", "a"],
    ["2", "null"],
  ];
  source.record({ kind: "table", columns: COLUMNS, rows, height: 1000, width: 2 });
  expect(source.state).toBe("recorded");
  expect(source.cell(0, 1)).toEqual({ text: "a", isOld: false });
  expect(source.cell(1, 1)).toEqual({ text: null, isOld: false });
  source.lost();
  expect(source.cell(0, 0)?.text).toBe("1");
  void source.open();
  await kernel.answer(OPENED);
  expect(source.state).toBe("ready");
  expect(source.cell(0, 0)).toBe(null);
  source.lost();
  expect(source.state).toBe("gone");
});

test("another kernel's value is another one, whatever its number", async () => {
  const { kernel, source } = open();
  source.show(SCREEN);
  void source.open();
  await kernel.answer(OPENED);
  await kernel.refuse(""); // the rows, by a kernel that is gone
  source.lost();
  void source.open();
  await kernel.answer({ ...OPENED, height: 3 });
  expect(source.height).toBe(3);
  expect(kernel.kinds).toContain("rows");
});

test("a table that nobody counted grows as it is scrolled, until it is counted", async () => {
  const { kernel, source } = open();
  source.show({ ...SCREEN, bottom: 0 });
  void source.open();
  await kernel.answer({ ...OPENED, height: null });
  expect(source.height).toBe(null);
  expect(source.rowCount).toBe(BLOCK_ROWS);
  expect(kernel.kinds).toContain("count");
  await kernel.answer({ value: 1, height: 990 });
  expect(source.height).toBe(990);
});

test("nothing beyond the end says nothing of where the end is: the table is counted", async () => {
  const { kernel, source } = open();
  source.show({ ...SCREEN, top: 640, bottom: 650 });
  void source.open();
  await kernel.answer({ ...OPENED, height: null });
  expect(kernel.asked[0]).toMatchObject({ what: "rows", start: 640 });
  await kernel.answerRows(1, 0);
  expect(source.height).toBe(null);
  expect(kernel.kinds).toContain("count");
  await kernel.answer({ value: 1, height: 130 });
  expect(source.height).toBe(130);
  expect(source.rowCount).toBe(130);
});

test("rows of a value before are no rows of this one", async () => {
  const { kernel, source } = open();
  source.show({ ...SCREEN, top: 640, bottom: 650 });
  void source.open();
  await kernel.answer({ ...OPENED, height: null });
  await kernel.answerRows(1, BLOCK_ROWS);
  expect(source.rowCount).toBe(7 * BLOCK_ROWS);
  source.show({ ...SCREEN, bottom: 0 });
  void source.open();
  await kernel.refuse("FB600"); // the count of the value before
  await kernel.refuse("FB600"); // and its first column
  await kernel.answer({ ...OPENED, value: 2, height: null });
  expect(source.rowCount).toBe(BLOCK_ROWS);
});

test("an order that the kernel refuses is given up, and the refusal is said", async () => {
  const { kernel, source } = open();
  source.show(SCREEN);
  void source.open();
  await kernel.answer(OPENED);
  source.sortBy([{ column: "word", isDescending: false }]);
  await kernel.answer({ value: 1 }); // rows in the order before, which nobody wants any more
  await kernel.refuse("FB607");
  expect(source.sort).toEqual([]);
  expect(source.words).toBe("No. Do.");
});

test("columns are described one after another, once there is nothing else to fetch", async () => {
  const { kernel, source } = open();
  source.show({ ...SCREEN, bottom: 0 });
  void source.open();
  await kernel.answer(OPENED);
  expect(kernel.kinds).toEqual(["stats"]);
  await kernel.answer({ value: 1, stats: { rows: 1000, nullCount: 3, histogram: [1, 2], sampled: true } });
  expect(source.stats(0)?.nullCount).toBe(3);
  expect(kernel.asked.map((request) => (request.what === "stats" ? request.column : -1))).toEqual([1]);
});

test("what the kernel refuses to count or describe is said, and asked of this value once", async () => {
  const { kernel, source } = open();
  source.show({ ...SCREEN, bottom: 0 });
  void source.open();
  await kernel.answer({ ...OPENED, height: null });
  expect(kernel.kinds).toEqual(["count", "stats"]);
  await kernel.refuse("FB600");
  expect(source.words).toBe("No. Do.");
  await kernel.refuse("FB600");
  expect(kernel.asked).toMatchObject([{ what: "stats", column: 1 }]);
  await kernel.refuse("FB600");
  source.show({ ...SCREEN, bottom: 0 });
  expect(kernel.kinds).toEqual([]);
  void source.open();
  await kernel.answer({ ...OPENED, value: 2, height: null });
  expect(kernel.kinds).toEqual(["count", "stats"]);
});

test("that only the first rows are shown is said as soon as it is known, and of this value", async () => {
  const { kernel, source } = open();
  source.show(SCREEN);
  void source.open();
  await kernel.answer({ ...OPENED, columns: [COLUMNS[0], { ...COLUMNS[1], note: "Objects." }] });
  expect(source.note).toBe("Objects.");
  let changes = 0;
  source.onChange.add(() => {
    changes += 1;
  });
  await kernel.answer({ value: 1, note: "Only the first rows." });
  expect([source.note, changes]).toEqual(["Only the first rows. Objects.", 1]);
  void source.open();
  await kernel.answer({ value: 1, note: "Only the first rows." });
  expect(source.note).toBe("Only the first rows. Objects.");
  await kernel.answer({ ...OPENED, value: 2 });
  expect(source.note).toBe("");
});

test("an array is described once for each value it has", async () => {
  const kernel = new Kernel();
  const source = new TableSource(new FlowStore("f"), "made", null, kernel.ask, true);
  void source.open();
  await kernel.answer(OPENED);
  expect(kernel.kinds).toEqual(["array"]);
  await kernel.answer({ value: 1, array: { dtype: "float64", shape: [3] } });
  void source.open();
  await kernel.answer(OPENED);
  expect(kernel.kinds).toEqual([]);
  void source.open();
  await kernel.answer({ ...OPENED, value: 2 });
  expect(kernel.kinds).toEqual(["array"]);
});

test("a grid that is closed before it was opened says so, too", async () => {
  const { kernel, source } = open();
  void source.open();
  source.close();
  expect(kernel.kinds).toEqual(["open", "close"]);
});

test("a good order ends what was said of a bad one", async () => {
  const { kernel, source } = open();
  source.show(SCREEN);
  void source.open();
  await kernel.answer(OPENED);
  await kernel.answerRows(1, BLOCK_ROWS);
  source.sortBy([{ column: "word", isDescending: false }]);
  await kernel.refuse("FB600"); // the first column
  await kernel.refuse("FB607");
  expect(source.words).toBe("No. Do.");
  source.sortBy([{ column: "n", isDescending: false }]);
  expect(source.words).toBe("");
});

test("what is copied is what the values are, or nothing with a word why", async () => {
  const { kernel, source } = open();
  source.record({
    kind: "table",
    columns: COLUMNS,
    rows: [
      ["1,234,567", "a, b"],
      ["12,000", "null"],
    ],
    height: 1000,
    width: 2,
  });
  expect(await copied(source, { r1: 0, c1: 0, r2: 1, c2: 1 })).toBe("1234567\ta, b\n12000\t");
  expect(await copied(source, { r1: 0, c1: 0, r2: 5, c2: 1 })).toBe(null);
  expect(source.words).toMatch(/^Nothing was copied/);
  expect(kernel.kinds).toEqual([]);
});

test("what is copied is fetched whole, seen before or not", async () => {
  const { kernel, source } = open();
  source.show({ ...SCREEN, bottom: 0 });
  void source.open();
  await kernel.answer(OPENED);
  await kernel.refuse("FB600");
  await kernel.refuse("FB600");
  const text = copied(source, { r1: 500, c1: 0, r2: 501, c2: 1 });
  expect(kernel.asked).toMatchObject([{ what: "rows", start: 500, stop: 502, isWhole: true }]);
  await kernel.answerTable(1, { n: [12_345, 2], word: ['one\n"two"', "a, b"] });
  expect(await text).toBe('12345\t"one\n""two"""\n2\ta, b');
  const one = copied(source, { r1: 7, c1: 1, r2: 7, c2: 1 });
  await kernel.answerTable(1, { word: ["one\ntwo"] });
  expect(await one).toBe("one\ntwo");
  expect(await copied(source, { r1: 0, c1: 0, r2: 99_999, c2: 1 })).toBe(null);
  expect(source.words).toBe("Nothing was copied: these are 200,000 cells, and 100,000 at most are copied at a time.");
});

test("many rows are copied a page at a time, of one value and in one order", async () => {
  const { kernel, source } = open();
  source.show({ ...SCREEN, bottom: 0 });
  void source.open();
  await kernel.answer({ ...OPENED, height: 5000 });
  await kernel.refuse("FB600");
  await kernel.refuse("FB600");
  const text = copied(source, { r1: 0, c1: 0, r2: 2999, c2: 0 });
  await kernel.answerTable(1, { n: Array.from({ length: 2000 }, (_, row) => row % 100) });
  expect(kernel.asked).toMatchObject([{ start: 2000, stop: 3000, columnCount: 1 }]);
  await kernel.answerTable(1, { n: Array.from({ length: 1000 }, () => 7) });
  expect((await text)?.split("\n").length).toBe(3000);
  const late = copied(source, { r1: 0, c1: 0, r2: 0, c2: 0 });
  source.sortBy([{ column: "n", isDescending: false }]);
  await kernel.answerTable(1, { n: [1] });
  expect(await late).toBe(null);
  expect(source.words).toMatch(/changed meanwhile/);
  const large = copied(source, { r1: 0, c1: 0, r2: 9, c2: 0 });
  await kernel.refuse("FB616");
  expect(await large).toBe(null);
  expect(source.words).toBe("Nothing was copied: No. Do.");
});

test("a cell that cannot be written out whole stays as it is painted", async () => {
  const { kernel, source } = open();
  source.show(SCREEN);
  void source.open();
  await kernel.answer(OPENED);
  await kernel.answerRows(1, BLOCK_ROWS);
  await kernel.refuse("FB600");
  await kernel.refuse("FB600");
  const text = source.whole(7, 1);
  await kernel.refuse("FB600");
  expect(await text).toBe("7");
});

test("a grid that is closed says so once and asks no more", async () => {
  const { kernel, source } = open();
  source.show(SCREEN);
  void source.open();
  await kernel.answer(OPENED);
  source.close();
  source.close();
  source.show({ ...SCREEN, top: 500, bottom: 530 });
  expect(kernel.kinds).toEqual(["rows", "close"]);
});

test("blocks that were looked at longest ago are forgotten", () => {
  const blocks = new Blocks();
  const cells: Cells = { rowCount: BLOCK_ROWS, columnCount: BLOCK_COLUMNS, text: (row) => String(row) };
  for (let row = 0; row < 1000; row += 1) blocks.put({ row, column: 0 }, cells, blocks.edition);
  expect(blocks.cell(0, 0)).toBe(null);
  expect(blocks.cell(999 * BLOCK_ROWS + 5, 0)).toEqual({ text: "5", isOld: false });
  const { edition } = blocks;
  blocks.outdate();
  expect(blocks.cell(999 * BLOCK_ROWS, 0)?.isOld).toBe(true);
  expect(blocks.put({ row: 0, column: 0 }, cells, edition)).toBe(false);
});
