import { describe, expect, it } from "vitest";
import { isWorthKeeping, OutputKeeping } from "../../src/jupyter/keeping";
import { NODE_MIME } from "../../src/protocol/bundles";

const output = (bundle: object, more: object = {}) => ({
  [NODE_MIME]: { kind: "node", flow: "f", node: "a", runId: "r1", seq: 5, status: "ok", stamp: "recorded", ...bundle },
  "text/html": "<div>5</div>",
  "text/plain": "a: ok",
  ...more,
});

describe("an output is written again", () => {
  it.each([
    ["another run", output({ runId: "r2", seq: 2 })],
    ["another status of the same run", output({ status: "failed", seq: 6 })],
    ["another value of the same run", output({ seq: 6 }, { "image/png": "AAAA" })],
  ])("for %s", (_, made) => expect(isWorthKeeping(output({}), made)).toBe(true));

  it.each([
    ["another stamp and reason", output({ seq: 9, stamp: "stale", reason: "setting 15 → 30" })],
    ["a page drawn anew", output({ seq: 9 }, { "text/html": "<div>five</div>", "text/plain": "x" })],
    ["the same keys in another order", Object.fromEntries(Object.entries(output({ seq: 9 })).reverse())],
    ["something older of the same run", output({ status: "running", seq: 4 })],
  ])("but not for %s", (_, made) => expect(isWorthKeeping(output({}), made)).toBe(false));
});

it("what the kernel made is compared once with what an output holds, and again when that was changed", () => {
  let reads = 0;
  let stored = output({});
  const model = {
    get data() {
      reads += 1;
      return stored as never;
    },
    metadata: {},
    trusted: true,
    setData: ({ data }: { data?: object }) => {
      stored = data as typeof stored;
    },
  };
  const keeping = new OutputKeeping();
  keeping.shows(model);
  const made = output({ seq: 6, status: "failed" });
  for (const _ of "abc") keeping.keep(made);
  expect(stored).toBe(made);
  expect(reads).toBe(1);
  stored = output({});
  keeping.shows(model);
  keeping.keep(made);
  expect(stored).toBe(made);
});
