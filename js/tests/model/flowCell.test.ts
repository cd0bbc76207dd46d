import { describe, expect, it } from "vitest";
import {
  type CellNews,
  cellTextOf,
  documentIn,
  type FlowCell,
  flowOf,
  judge,
  nodeOf,
  type Standing,
  withDocument,
} from "../../src/model/flowCell";

const cell = (text: string, more: Partial<FlowCell> = {}): FlowCell => ({ id: "a", text, isLocked: false, ...more });
const news = (more: Partial<CellNews> = {}): CellNews => ({ id: "a", text: "{}", due: true, ...more });
const standing = (more: Partial<Standing> = {}): Standing => ({
  isWriter: true,
  isEdited: true,
  known: new Set(),
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
    expect(withDocument("%%flow f\n\n", "{\n}\n")).toBe("%%flow f\n{\n}");
    expect(withDocument("%%flow f\n{}\n \n", "{\n}\n")).toBe("%%flow f\n{\n}\n \n");
    expect(cellTextOf("f", "{\n}\n")).toBe("%%flow f\n{\n}");
  });
});

it.each([
  ["%%flow f\n{}\n\n", "{}"],
  ["%%flow f", ""],
  ["\n%%flow f  \n\n {}", "\n {}"],
])("the document in %j is %j", (text, document) => {
  expect(documentIn(text)).toBe(document);
});

describe("judge", () => {
  it.each<[string, readonly FlowCell[], CellNews, Partial<Standing>, string]>([
    ["writes into the one cell whose text the kernel has seen", [cell("%%flow f\n{}")], news(), {}, "write"],
    ["takes no white space at the end for a change", [cell("%%flow f\n{}\n ")], news(), {}, "write"],
    ["writes whatever id the kernel knows the only cell by", [cell("%%flow f\n{}")], news({ id: "gone" }), {}, "write"],
    ["rests while there is nothing to write", [cell("typed")], news({ due: false }), {}, "rest"],
    ["rests where another browser writes", [cell("%%flow f\n{}")], news(), { isWriter: false }, "rest"],
    ["never writes over what was typed", [cell("%%flow f\n{} typed")], news(), {}, "differs"],
    ["never writes a text that no kernel saw", [cell("%%flow f")], news({ text: null, due: false }), {}, "differs"],
    [
      "leaves a text that no kernel saw in peace until something is edited",
      [cell("%%flow f")],
      news({ text: null, due: false }),
      { isEdited: false },
      "rest",
    ],
    ["never writes a locked cell", [cell("%%flow f\n{}", { isLocked: true })], news(), { isWriter: false }, "locked"],
    ["says that no cell holds the flow", [], news(), {}, "absent"],
    ["says so too when nothing is to be written", [], news({ due: false }), {}, "absent"],
  ])("%s", (_, cells, told, more, kind) => {
    expect(judge(cells, told, standing(more)).kind).toBe(kind);
  });

  it("takes the cell that was run last of several, and says how many there are", () => {
    const verdict = judge([cell("%%flow f", { id: "b" }), cell("%%flow f\n{}")], news(), standing());
    expect(verdict).toEqual({ kind: "write", cell: cell("%%flow f\n{}"), several: 2 });
  });

  it("holds the writing when the kernel knows none of several by id and their text differs", () => {
    expect(judge([cell("x", { id: "b" }), cell("y", { id: "c" })], news(), standing()).kind).toBe("differs");
  });

  it("knows a document that was written here a moment ago", () => {
    expect(judge([cell("%%flow f\nnew")], news(), standing({ known: new Set(["new"]) })).kind).toBe("write");
  });
});
