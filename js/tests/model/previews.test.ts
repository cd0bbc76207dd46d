/** What of a value a card has room for: the same as the kernel's drawing has. */

import { expect, test } from "vitest";
import { barsBeside, barsPath } from "../../src/model/previews";
import { readPreview } from "../../src/protocol/reading";

function arrayOf(width: number, height: number, histogram: readonly number[] = [1, 2]) {
  const image = { kind: "picture", mime: "image/png", data: "AAAA", width, height };
  const preview = readPreview({ kind: "array", dtype: "f8", shape: [height, width], spark: [], histogram, image });
  if (preview?.kind !== "array") throw new Error("no array");
  return preview;
}

test("a histogram stands beside a picture where there is room for one", () => {
  expect(barsBeside(arrayOf(128, 80), 188)).toEqual({ width: 28, height: 28 });
  expect(barsBeside(arrayOf(64, 64), 228)).toEqual({ width: 60, height: 28 });
  expect(barsBeside(arrayOf(129, 80), 188)).toBe(null);
  expect(barsBeside(arrayOf(64, 27), 228)).toBe(null);
  expect(barsBeside(arrayOf(64, 64, []), 228)).toBe(null);
});

test("bars are as high as their counts, and what is there at all is seen", () => {
  expect(barsPath([0, 1, 1000, 500])).toBe(
    "M0.250 1v-0.040h0.200v0.040zM0.500 1v-1.000h0.200v1.000zM0.750 1v-0.500h0.200v0.500z",
  );
  expect(barsPath([Number.NaN, -1, 0])).toBe("");
  expect(barsPath([])).toBe("");
});
