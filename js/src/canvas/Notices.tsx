import type { ReactElement } from "react";
import type { FlowStore } from "../model/store";
import { oneLine } from "../model/wording";
import { useChanging } from "./context";

/** What has to be said about the whole canvas: the kernel is gone, or it did not take the last edit. */
export function Notices({ store }: { readonly store: FlowStore }): ReactElement | null {
  const refusal = useChanging(store.onRefusal, () => store.refusal);
  const connection = useChanging(store.onConnection, () => store.connection);
  if (refusal) {
    const words = [oneLine(refusal.message), oneLine(refusal.hint), oneLine(refusal.code)].filter(Boolean);
    return (
      <div className="fb-notice" data-fb-ink="failed" role="alert">
        <span>{words.join(" · ")}</span>
        <button type="button" onClick={() => store.dismiss()}>
          Dismiss
        </button>
      </div>
    );
  }
  if (connection !== "lost") return null;
  return (
    <div className="fb-notice" data-fb-ink="stale" role="status">
      <span>The kernel is gone. This is what it said last; run a cell of the flow to go on.</span>
    </div>
  );
}
