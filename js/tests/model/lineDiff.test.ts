import { describe, expect, it } from "vitest";
import { lineDiff, type Splice } from "../../src/model/lineDiff";

/** Carry splices out; the last one first, so that the places of the others still hold. */
function spliced(text: string, splices: readonly Splice[]): string {
  return splices.reduceRight((done, { start, end, text: put }) => done.slice(0, start) + put + done.slice(end), text);
}

/** Chance that repeats itself (mulberry32). */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const node = (id: string, x: number): string => `  {"id": "${id}", "typeId": "${id}", "position": {"x": ${x}, "y": 0}}`;
const text = (...nodes: string[]): string => `%%flow f\n{\n "nodes": [\n${nodes.join(",\n")}\n ]\n}`;

describe("lineDiff", () => {
  it("finds nothing in equal texts", () => {
    expect(lineDiff("a\nb", "a\nb")).toEqual([]);
  });

  it("replaces only the figure that changed in a moved node's line", () => {
    const [before, after] = [text(node("a", 10), node("b", 20)), text(node("a", 10), node("b", 25))];
    const place = before.indexOf("20,");
    expect(lineDiff(before, after)).toEqual([{ start: place + 1, end: place + 2, text: "5" }]);
  });

  it("adds a last node without touching what was there", () => {
    const before = text(node("a", 10));
    expect(lineDiff(before, text(node("a", 10), node("b", 20)))).toEqual([
      { start: before.indexOf("\n ]"), end: before.indexOf("\n ]"), text: `,\n${node("b", 20)}` },
    ]);
  });

  it("takes a line away from the middle and changes another far off, in two edits", () => {
    const before = text(node("a", 10), node("b", 20), node("c", 30), node("d", 40));
    const edits = lineDiff(before, text(node("a", 10), node("c", 30), node("d", 41)));
    expect(edits.map((edit) => edit.text)).toEqual(["", "1"]);
  });

  it.each([
    ["", "a"],
    ["a", ""],
    ["a\n", "a"],
    ["a", "a\n"],
    ["\n\n", "\n"],
    ["x\na\nb", "a\nb\nx"],
    ["%%flow f", "%%flow f\n{\n}"],
    ["one 😀 two", "one 😁 two"],
    ["😀", "😀😀"],
  ])("turns %j into %j", (before, after) => {
    expect(spliced(before, lineDiff(before, after))).toBe(after);
  });

  it("never cuts a character in two", () => {
    const [edit] = lineDiff("a 😀", "a 😁");
    expect(edit).toEqual({ start: 2, end: 4, text: "😁" });
  });

  it("gives the new text for any two texts, and leaves every line that both have in the same order alone", () => {
    const random = chance(7);
    const pick = (most: number): number => Math.floor(random() * most);
    for (let round = 0; round < 2000; round += 1) {
      const words = Array.from({ length: 1 + pick(8) }, () => ["aa", "ab", "b", "", "c😀", "c😁"][pick(6)] ?? "");
      const lines = (): string[] => Array.from({ length: pick(9) }, () => words[pick(words.length)] ?? "");
      const [before, after] = [lines().join("\n"), lines().join("\n")];
      const edits = lineDiff(before, after);
      expect(spliced(before, edits)).toBe(after);
      edits.reduce((end, edit) => {
        expect(edit.start).toBeGreaterThanOrEqual(end);
        return edit.end;
      }, 0);
    }
  });

  it("leaves lines alone that only moved further down, and those typed by somebody between them", () => {
    const random = chance(11);
    for (let round = 0; round < 300; round += 1) {
      const old = Array.from({ length: 30 }, (_, line) => `line ${line}`);
      const changed = new Set(Array.from({ length: 4 }, () => Math.floor(random() * 30)));
      const now = old.flatMap((line, place) => {
        if (!changed.has(place)) return [line];
        return random() < 0.5 ? [] : [`${line} changed`, "another"];
      });
      const before = old.join("\n");
      for (const { start, end } of lineDiff(before, now.join("\n"))) {
        for (let line = 0, at = 0; line < old.length; at += (old[line] ?? "").length + 1, line += 1) {
          const isInside = start < at + (old[line] ?? "").length && end > at;
          if (isInside) expect(changed).toContain(line);
        }
      }
    }
  });

  it("replaces as one what has nothing in common", () => {
    const [before, after] = ["a", "b"].map((word) =>
      Array.from({ length: 900 }, (_, line) => `${word}${line}`).join("\n"),
    );
    expect(spliced(before ?? "", lineDiff(before ?? "", after ?? ""))).toBe(after);
  });

  it("is quick on a document of two hundred nodes", () => {
    const names = Array.from({ length: 200 }, (_, place) => `n${place}`);
    const began = performance.now();
    const edits = lineDiff(
      text(...names.map((id) => node(id, 1))),
      text(...names.map((id) => node(id, id === "n77" ? 9 : 1))),
    );
    expect(edits).toHaveLength(1);
    expect(performance.now() - began).toBeLessThan(50);
  });
});
