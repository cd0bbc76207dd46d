import type { ReactElement } from "react";
import { oneLine } from "../model/wording";
import { act, actionById } from "./actions";
import { useCanvas, useIsLive } from "./context";

/** What stands on an empty canvas: what to do first, and no more. */
export function EmptyNote(): ReactElement {
  const context = useCanvas();
  const isLive = useIsLive(context.store);
  const buttons = ["add", "help"].map((id) => actionById(id, context));
  return (
    <div className="fb-empty">
      {isLive ? (
        <>
          <p>Run a %%node cell, or add a node.</p>
          <div className="fb-empty-tools">
            {buttons.map(
              (action) =>
                action && (
                  <button key={action.id} type="button" className="fb-tool" onClick={() => act(action, context)}>
                    {oneLine(action.label)}
                  </button>
                ),
            )}
          </div>
        </>
      ) : (
        <p>Nothing here yet. Run a %%node cell.</p>
      )}
    </div>
  );
}
