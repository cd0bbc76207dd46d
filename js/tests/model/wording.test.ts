import { describe, expect, it } from "vitest";
import type { Edge, Setting } from "../../src/model/flow";
import {
  byteCount,
  cacheHeld,
  columnWords,
  copiesMade,
  counted,
  duration,
  edgeWords,
  letterTip,
  oneLine,
  plain,
  settingDefault,
  settingValue,
  shortShape,
  shownValue,
  tally,
} from "../../src/model/wording";

it("names the columns of a port, and how many there is no room for", () => {
  const port = { name: "result", type: "table", connected: true, shape: "4 × 40", columnCount: 40 };
  const columns = [{ name: "day", type: "string" }];
  expect(columnWords({ ...port, columns })).toBe("\nday: string\nand 39 more columns");
  expect(columnWords({ ...port, columns, columnCount: 1 })).toBe("\nday: string");
  expect(columnWords({ ...port, columns: [] })).toBe("");
});

it("says what to type to see dead letters", () => {
  expect(letterTip("flights", "late", 2)).toBe(
    '2 dead letters of late: failures that nobody took.\nfb.flow("flights").dead_letters lists them, ' +
      ".replay() tries them again, .drop() forgets them.",
  );
});

it("tells of an edge what it took to hand its value on, and that it took nothing", () => {
  const edge: Edge = {
    source: "a",
    sourcePort: "result",
    target: "b",
    targetPort: "a",
    implicit: true,
    type: "table",
    label: "10 × 2",
    copies: 0,
    copiedBytes: 0,
    copyReason: "",
    carried: true,
  };
  expect(edgeWords(edge)).toBe("a → b · 10 × 2 · 0 copies · by name");
  expect(edgeWords({ ...edge, copies: 1, copiedBytes: 8e7, copyReason: "bool column" })).toBe(
    "a → b · 10 × 2 · 1 copy · 80.0 MB · bool column · by name",
  );
  expect(edgeWords({ ...edge, label: null, carried: false })).toBe("a → b · by name · nothing carried yet");
});

describe("figures are said as flowbook/canvas says them", () => {
  it.each([
    [null, ""],
    [-1, ""],
    [0.0004, "0.4 ms"],
    [0.031, "31 ms"],
    [0.9996, "1.0 s"],
    [2.44, "2.4 s"],
    [12, "12 s"],
    [59.6, "1 min"],
    [192, "3 min 12 s"],
  ])("%s seconds: %s", (seconds, words) => expect(duration(seconds)).toBe(words));

  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [4_200_000, "4.2 MB"],
    [212e6, "212 MB"],
    [3e15, "3000.0 TB"],
  ])("%s bytes: %s", (size, words) => expect(byteCount(size)).toBe(words));

  it.each([
    ["336,776 × 19", "337k × 19"],
    ["24 × 3", "24 × 3"],
    ["1,234 × 5", "1,234 × 5"],
    ["5,400,000 × 2", "5.4M × 2"],
    ["? × 19", "? × 19"],
  ])("%s in short: %s", (shape, words) => expect(shortShape(shape)).toBe(words));

  it("counts", () => {
    expect(counted(1, "copy", "copies")).toBe("1 copy");
    expect(counted(1200, "node")).toBe("1,200 nodes");
    expect(copiesMade({ copies: 2, copiedBytes: 8_400_000 })).toBe("2 copies · 8.4 MB");
    expect(copiesMade({ copies: 1, copiedBytes: 8e7, copyReason: "bool column" })).toBe(
      "1 copy · 80.0 MB · bool column",
    );
    expect(copiesMade({ copies: 0, copiedBytes: 0 })).toBe("");
    const counts = { ran: 6, cached: 3, failed: 1, skipped: 0, copies: 0, copiedBytes: 0 };
    expect(tally(counts).map(({ words }) => words)).toEqual(["6 ran", "3 cached", "1 failed", "0 copies"]);
    const run = { id: "a", status: "ok", tookS: 1, ...counts, cacheBytes: 4_100_000, cacheBudgetBytes: 5e8 };
    expect(cacheHeld(run)).toBe("4.1 MB kept");
    expect(cacheHeld({ ...run, cacheBytes: 0 })).toBe("0 B kept");
    expect(cacheHeld({ ...run, cacheBytes: null })).toBe("");
  });
});

describe("values", () => {
  it.each([
    [null, "none"],
    [true, "on"],
    [0.1 + 0.2, "0.3"],
    ["a\nb", "a b"],
    [[1, "x"], '[1,"x"]'],
  ])("%j is shown as %s", (value, words) => expect(shownValue(value)).toBe(words));

  it("have their unit, and their default where they differ", () => {
    const setting = { value: 60, default: 15, unit: "min" } as Setting;
    expect(settingValue(setting)).toBe("60 min");
    expect(settingDefault(setting)).toBe("default 15");
    expect(settingDefault({ ...setting, value: 15 })).toBe("");
  });
});

describe("text", () => {
  it("loses what reorders it, and colours for terminals", () => {
    expect(plain("a\u202eb\r\nc\u0007")).toBe("a\ufffdb\nc\ufffd");
    expect(plain("\u001b[31mred\u001b[0m")).toBe("red");
    expect(oneLine(" a \n\t b ")).toBe("a b");
  });
});
