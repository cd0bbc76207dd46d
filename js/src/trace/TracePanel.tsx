import { type ReactElement, useState } from "react";
import type { Trace } from "../model/flow";
import { counted, duration, fusedRow, oneLine, runName, tally } from "../model/wording";
import { ScrubBar } from "./ScrubBar";
import { wholeTimeS } from "./scrubbing";
import { TraceRow } from "./TraceRow";

/** One run: a row per span with its bar on the time lane and its reason, and what nodes printed one click away. */
export function TracePanel({ trace, isLive }: { readonly trace: Trace; readonly isLive: boolean }): ReactElement {
  const [atS, setAt] = useState<number | null>(null);
  const wholeS = wholeTimeS(trace);
  const isRunning = trace.status === "running";
  const left = trace.summarised ? "summarised: spans were left out, the counts are of all" : "";
  return (
    <section
      className="fb-root fb-trace"
      data-fb-connection={isLive ? "live" : "recorded"}
      aria-label={`Trace of ${runName(trace.runId)} of flow ${oneLine(trace.flow)}`}
    >
      <header className="fb-trace-head">
        <b>{runName(trace.runId)}</b>
        {isRunning && <span data-fb-ink="running">running</span>}
        {trace.status === "cancelled" && <span>cancelled</span>}
        <span>{duration(trace.tookS)}</span>
        {tally(trace.counts).map(({ ink, words }) => (
          <span key={words} data-fb-ink={ink === "soft" ? undefined : ink}>
            {words}
          </span>
        ))}
        <span className="fb-trace-flow">{oneLine(trace.flow)}</span>
        {trace.spans.length > 0 && !isRunning && <ScrubBar wholeS={wholeS} atS={atS} onScrub={setAt} />}
      </header>
      <div className="fb-trace-rows">
        {[...trace.spans, ...trace.fused.map(fusedRow)].map((span) => (
          <TraceRow key={`${span.node} ${span.attempt}`} span={span} wholeS={wholeS} atS={atS} isLive={isLive} />
        ))}
      </div>
      {(left || trace.spans.length === 0) && (
        <footer className="fb-trace-foot">{left || `${counted(0, "span")}: nothing had to run`}</footer>
      )}
    </section>
  );
}
