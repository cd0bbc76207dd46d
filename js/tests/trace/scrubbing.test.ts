import { describe, expect, it } from "vitest";
import { readTrace } from "../../src/protocol/reading";
import { lookAt, spanBar, timePlace, wholeTimeS } from "../../src/trace/scrubbing";
import fixture from "../fixtures/protocol.json";

const trace = readTrace(fixture.bundles.trace);
if (!trace) throw new Error("the fixture is no trace");
const span = (node: string) => {
  const found = trace.spans.find((one) => one.node === node);
  if (!found) throw new Error(`no span ${node}`);
  return found;
};

describe("a run at a moment", () => {
  it("shows what had begun, what went on and what was over", () => {
    const carriers = span("by_carrier");
    expect(lookAt(carriers, 0).word).toBe("queued");
    expect(lookAt({ ...carriers, status: "ok" }, 1).word).toBe("running");
    expect(lookAt({ ...carriers, status: "ok" }, 99).word).toBe("ok");
    expect(lookAt({ ...carriers, status: "ok" }, null).word).toBe("ok");
  });

  it("leaves a span that took no time as it is", () => {
    expect(spanBar(span("flights"), 4)).toBeNull();
    expect(lookAt(span("flights"), 0).word).toBe("cached");
  });

  it("never draws beyond the lane", () => {
    const whole = wholeTimeS(trace);
    for (const one of trace.spans) {
      const bar = spanBar(one, whole);
      if (bar) expect(bar.start + bar.share).toBeLessThanOrEqual(1);
    }
    expect(wholeTimeS({ ...trace, spans: [], tookS: 0 })).toBeGreaterThan(0);
  });
});

it("the time of a bar is written over no name", () => {
  expect(timePlace({ start: 0, share: 0.5 })).toBe("right");
  expect(timePlace({ start: 0.6, share: 0.4 })).toBe("left");
  expect(timePlace({ start: 0, share: 1 })).toBe("in");
});
