import type { ReactElement, ReactNode } from "react";
import type { Failure } from "../model/flow";
import { failurePlace, oneLine } from "../model/wording";

/** What went wrong in words, with the remedy and the place, and beside it what else is to be said. */
export function FailureNote(props: { readonly failure: Failure; readonly beside?: ReactNode }): ReactElement {
  const { failure, beside } = props;
  const hint = oneLine(failure.hint);
  const place = failurePlace(failure);
  return (
    <div className="fb-failure" role="note">
      <div>{oneLine(failure.message)}</div>
      {hint && <div className="fb-failure-hint">{hint}</div>}
      {(place || beside) && (
        <div>
          {place}
          {place && beside && " · "}
          {beside}
        </div>
      )}
    </div>
  );
}
