import type { ReactElement } from "react";
import { duration } from "../model/wording";

/** Go back to a moment of the run; at the right end it shows the run as it ended. */
export function ScrubBar(props: {
  readonly wholeS: number;
  readonly atS: number | null;
  readonly onScrub: (atS: number | null) => void;
}): ReactElement {
  const share = props.atS === null ? 1 : props.atS / props.wholeS;
  return (
    <span className="fb-scrub">
      <span className="fb-scrub-time">{props.atS === null ? "" : `at ${duration(props.atS) || "0 ms"}`}</span>
      <input
        type="range"
        min={0}
        max={1000}
        value={Math.round(share * 1000)}
        aria-label="Moment of the run"
        aria-valuetext={props.atS === null ? "end" : duration(props.atS)}
        style={{ ["--fb-share" as string]: share }}
        onChange={(event) => {
          const found = event.currentTarget.valueAsNumber / 1000;
          props.onScrub(found >= 1 ? null : found * props.wholeS);
        }}
      />
    </span>
  );
}
