import { type ReactElement, useEffect } from "react";
import type { FlowStore } from "../model/store";
import type { CanvasView } from "../model/view";
import { oneLine } from "../model/wording";
import { useChanging, useValue } from "./context";

/** How long something that was said for the moment stays. */
const STAYS_MS = 8000;

/**
 * What has to be said about the whole canvas: the kernel did not take the last edit, something cannot be done, the kernel
 * is gone. It is heard as well as seen, so the region is there before anything is said in it.
 */
export function Notices({ store, view }: { readonly store: FlowStore; readonly view: CanvasView }): ReactElement {
  const refusal = useChanging(store.onRefusal, () => store.refusal);
  const connection = useChanging(store.onConnection, () => store.connection);
  const notice = useValue(view.notice);

  useEffect(() => {
    if (!notice) return;
    const timer = setTimeout(() => view.notice.set(null), STAYS_MS);
    return () => clearTimeout(timer);
  }, [notice, view]);

  const said = refusal
    ? {
        ink: "failed",
        words: [oneLine(refusal.message), oneLine(refusal.hint), oneLine(refusal.code)].filter(Boolean).join(" · "),
        dismiss: () => store.dismiss(),
      }
    : notice
      ? { ink: notice.isRefusal ? "stale" : "idle", words: notice.words, dismiss: () => view.notice.set(null) }
      : connection === "lost"
        ? { ink: "stale", words: LOST, dismiss: null }
        : null;
  return (
    <div className="fb-notices" role="status" aria-live={refusal ? "assertive" : "polite"}>
      {said && (
        <div className="fb-notice" data-fb-ink={said.ink}>
          <span>{said.words}</span>
          {said.dismiss && (
            <button type="button" onClick={said.dismiss}>
              Dismiss
            </button>
          )}
        </div>
      )}
    </div>
  );
}

const LOST = "The kernel is gone. This is what it said last; run a cell of the flow to go on.";
