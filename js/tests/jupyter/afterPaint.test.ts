/** What is put off until the picture is there. */

import { afterEach, expect, test, vi } from "vitest";
import { afterPaint, doNow } from "../../src/jupyter/afterPaint";

afterEach(() => vi.unstubAllGlobals());

test("a job that fails keeps no other from being done", () => {
  const report = vi.fn();
  vi.stubGlobal("requestAnimationFrame", () => 0);
  vi.stubGlobal("reportError", report);
  const done = vi.fn();
  afterPaint(() => {
    throw new Error("no");
  });
  afterPaint(done);
  doNow();
  expect(done).toHaveBeenCalledOnce();
  expect(report).toHaveBeenCalledOnce();
});
