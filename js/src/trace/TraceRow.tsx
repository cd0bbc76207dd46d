import { memo, type ReactElement, useId, useState } from "react";
import { StampPills } from "../canvas/StampPills";
import { StateIcon } from "../canvas/StateIcon";
import type { Span } from "../model/flow";
import { copiesMade, counted, duration, plain, spanName, spanWhy } from "../model/wording";
import { lookAt, spanBar, timePlace } from "./scrubbing";

interface TraceRowProps {
  readonly span: Span;
  readonly wholeS: number;
  readonly atS: number | null;
  readonly isLive: boolean;
}

/** One attempt at firing a node: icon and name, its bar on the lane, the reason; press it for what it printed. */
export const TraceRow = memo(function TraceRow({ span, wholeS, atS, isLive }: TraceRowProps): ReactElement {
  const [isOpen, setOpen] = useState(false);
  const details = useId();
  const look = lookAt(span, atS);
  const why = spanWhy(span);
  const logs = Math.max(span.logCount, span.logs.length);
  return (
    <div className="fb-span" data-fb-ink={look.ink} data-fb-span={span.node} data-fb-open={isOpen ? "" : undefined}>
      <button
        type="button"
        className="fb-span-row"
        aria-expanded={isOpen}
        aria-controls={details}
        aria-label={`${spanName(span)}: ${look.word} · ${why}`}
        onClick={() => setOpen(!isOpen)}
      >
        <StateIcon look={look} />
        <span className="fb-span-name" title={spanName(span)}>
          {spanName(span)}
        </span>
        <Lane span={span} wholeS={wholeS} atS={atS} />
        {logs > 0 && <span className="fb-span-logs">{counted(logs, "line")}</span>}
        <span className="fb-span-why" data-fb-wrong={span.status === "failed" ? "" : undefined} title={why}>
          {why}
        </span>
      </button>
      {isOpen && <Details span={span} isLive={isLive} id={details} />}
    </div>
  );
});

function Lane({ span, wholeS, atS }: Omit<TraceRowProps, "isLive">): ReactElement {
  const bar = spanBar(span, wholeS);
  const isAhead = atS !== null && span.startS !== null && atS < span.startS;
  return (
    <span className="fb-lane">
      {bar && (
        <span
          className="fb-bar"
          data-fb-ahead={isAhead ? "" : undefined}
          style={{ left: `${bar.start * 100}%`, width: `${bar.share * 100}%` }}
        >
          <span className="fb-bar-time" data-fb-at={timePlace(bar)}>
            {duration(span.tookS)}
          </span>
        </span>
      )}
      {atS !== null && <span className="fb-moment" style={{ left: `${(atS / wholeS) * 100}%` }} />}
    </span>
  );
}

/** What is not on the row: stamp, shape, copies, the failure, and everything the node printed. */
function Details(props: { readonly span: Span; readonly isLive: boolean; readonly id: string }): ReactElement {
  const { span } = props;
  const shape = span.rows === null ? "" : `${span.rows.toLocaleString("en-US")} × ${span.columns ?? "?"}`;
  const facts = [duration(span.tookS), shape, copiesMade(span) || (shape && "0 copies")].filter(Boolean);
  const missing = span.logCount - span.logs.length;
  const lines = span.logs.map((line, index) => ({ ...line, key: `${index} ${line.stream}` }));
  return (
    <div className="fb-span-details" id={props.id}>
      <div className="fb-span-facts">
        <StampPills item={span} isLive={props.isLive} />
        <span>{facts.join(" · ")}</span>
      </div>
      {lines.length > 0 && (
        <pre className="fb-logs">
          {lines.map(({ key, stream, text }) => (
            <span key={key} data-fb-stream={stream}>
              {stream === "stdout" ? plain(text) : `${stream}: ${plain(text)}`}
            </span>
          ))}
        </pre>
      )}
      {missing > 0 && <div className="fb-span-facts">{counted(missing, "line")} not kept</div>}
    </div>
  );
}
