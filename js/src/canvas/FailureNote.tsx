import type { ReactElement } from "react";
import type { Failure } from "../model/flow";
import { failurePlace, oneLine } from "../model/wording";

/** What went wrong in words, with the remedy and the place. */
export function FailureNote({ failure }: { readonly failure: Failure }): ReactElement {
  const hint = oneLine(failure.hint);
  const place = failurePlace(failure);
  return (
    <div className="fb-failure" role="note">
      <div>{oneLine(failure.message)}</div>
      {hint && <div className="fb-failure-hint">{hint}</div>}
      {place && <div>{place}</div>}
    </div>
  );
}
