import { describe, expect, it } from "vitest";
import {
  cellTextOf,
  type FlowCell,
  flowOf,
  judge,
  nodeOf,
  type TextNews,
  withDocument,
} from "../../src/model/flowCell";

const NONE: ReadonlySet<string> = new Set();
const cell = (text: string, more: Partial<FlowCell> = {}): FlowCell => ({ id: "a", text, isLocked: false, ...more });
const news = (more: Partial<TextNews> = {}): TextNews => ({
  cellId: "a",
  seen: "%%flow f\n{}",
  isUnwritten: true,
  isWriter: true,
  ...more,
});

describe("magic lines", () => {
  it.each([
    ["%%flow flights\n{}", "flights"],
    ["%%flow flights", "flights"],
    ["\n  \n%%flow  flights \n{}", "flights"],
    ["%flow flights", null],
    ["%%flow", null],
    ["%%flow\nflights", null],
    ["# %%flow flights", null],
    ["x = 1\n%%flow flights", null],
  ])("%j holds the flow %j", (text, flow) => {
    expect(flowOf(text)).toBe(flow);
  });

  it.each([
    ["%%node late\nx", { flow: null, node: "late" }],
    ["%%node flights.late -> a, b --pinned\nx", { flow: "flights", node: "late" }],
    ["%%node late(a, b: int = 3)\nx", { flow: null, node: "late" }],
    ["%%node späte_flüge", { flow: null, node: "späte_flüge" }],
    ["%%node\nlate = 1", null],
    ["%%node -> a\na = 1", null],
    ["%%nodes late", null],
  ])("%j defines %j", (text, node) => {
    expect(nodeOf(text)).toEqual(node);
  });

  it("stay as they are when the document is written", () => {
    expect(withDocument("\n%%flow  f \nold\nolder", "{\n}\n")).toBe("\n%%flow  f \n{\n}");
    expect(withDocument("%%flow f", "{\n}\n")).toBe("%%flow f\n{\n}");
    expect(cellTextOf("f", "{\n}\n")).toBe("%%flow f\n{\n}");
  });
});

describe("judge", () => {
  it.each<[string, readonly FlowCell[], TextNews, string]>([
    ["writes into the one cell whose text the kernel has seen", [cell("%%flow f\n{}")], news(), "write"],
    ["writes whatever id the kernel knows the only cell by", [cell("%%flow f\n{}")], news({ cellId: "gone" }), "write"],
    ["rests while there is nothing to write", [cell("typed")], news({ isUnwritten: false }), "rest"],
    ["rests where another browser writes", [cell("%%flow f\n{}")], news({ isWriter: false }), "rest"],
    ["never writes over what was typed", [cell("%%flow f\n{} typed")], news(), "differs"],
    ["never writes a text that no kernel saw", [cell("%%flow f")], news({ seen: null }), "differs"],
    ["never writes a locked cell", [cell("%%flow f\n{}", { isLocked: true })], news(), "locked"],
    ["says that no cell holds the flow", [], news(), "absent"],
    ["says so too when nothing is to be written", [], news({ isUnwritten: false }), "absent"],
  ])("%s", (_, cells, told, kind) => {
    expect(judge(cells, told, NONE).kind).toBe(kind);
  });

  it("takes the cell that was run last of several, and says how many there are", () => {
    const verdict = judge([cell("%%flow f", { id: "b" }), cell("%%flow f\n{}")], news(), NONE);
    expect(verdict).toEqual({ kind: "write", cell: cell("%%flow f\n{}"), several: 2 });
  });

  it("holds the writing when the kernel knows none of several by id and their text differs", () => {
    expect(judge([cell("x", { id: "b" }), cell("y", { id: "c" })], news(), NONE).kind).toBe("differs");
  });

  it("knows a text that was written here a moment ago", () => {
    expect(judge([cell("written")], news(), new Set(["written"])).kind).toBe("write");
  });
});
