import type { ReactElement } from "react";
import type { FlowStore } from "../model/store";
import { duration, oneLine, runName, tally } from "../model/wording";
import type { CanvasActions } from "./actions";
import { useChanging, useIsLive } from "./context";

/** What can be done with a flow as a whole, floating above it, and how its last run went. */
export function Toolbar(props: {
  readonly store: FlowStore;
  readonly actions: CanvasActions | null;
  readonly onFit: () => void;
}): ReactElement {
  const { store, actions } = props;
  const isLive = useIsLive(store);
  return (
    <div className="fb-toolbar" role="toolbar" aria-label={`Flow ${oneLine(store.flow)}`}>
      {actions && isLive && <RunTools store={store} actions={actions} />}
      <div className="fb-tools">
        <button type="button" className="fb-tool" onClick={props.onFit} title="Show all of the flow">
          Fit
        </button>
      </div>
      <Summary store={store} />
    </div>
  );
}

function RunTools({ store, actions }: { readonly store: FlowStore; readonly actions: CanvasActions }): ReactElement {
  const stale = useChanging(store.onAny, () => countStale(store));
  const isRunning = useChanging(store.onAny, () => isAnyRunning(store));
  return (
    <div className="fb-tools">
      <button
        type="button"
        className="fb-tool"
        data-fb-primary=""
        onClick={() => actions.run({})}
        title="Run what is not up to date"
      >
        <svg viewBox="0 0 10 10" aria-hidden="true">
          <path d="M1 0L10 5L1 10Z" />
        </svg>
        Run
      </button>
      <button
        type="button"
        className="fb-tool"
        disabled={!stale}
        onClick={() => actions.run({ stale: true })}
        title="Run what is stale and nothing else"
      >
        Run stale {stale > 0 && <span className="fb-tool-count">{stale}</span>}
      </button>
      <button
        type="button"
        className="fb-tool"
        disabled={!isRunning}
        onClick={() => actions.cancel()}
        aria-label="Stop"
        title="Stop the run"
      >
        <svg viewBox="0 0 10 10" aria-hidden="true">
          <path d="M0 0H10V10H0Z" />
        </svg>
      </button>
    </div>
  );
}

function countStale(store: FlowStore): number {
  let count = 0;
  for (const card of store.state.cards.values()) if (card.stamp === "stale") count += 1;
  return count;
}

function isAnyRunning(store: FlowStore): boolean {
  if (store.state.run?.status === "running") return true;
  for (const card of store.state.cards.values()) if (card.status === "running" || card.status === "queued") return true;
  return false;
}

/** The last run in one line; without a kernel it says that it was recorded, and when. */
function Summary({ store }: { readonly store: FlowStore }): ReactElement {
  const run = useChanging(store.onRun, () => store.state.run);
  const isLive = useIsLive(store);
  const at = store.state.at;
  return (
    <div className="fb-summary" title={at ? `as of ${at}` : undefined}>
      {!isLive && <span data-fb-recorded="">recorded</span>}
      {run ? (
        <>
          <span>{runName(run.id)}</span>
          {run.status === "running" && <span data-fb-ink="running">running</span>}
          {run.tookS !== null && <span>{duration(run.tookS)}</span>}
          {tally(run).map(({ ink, words }) => (
            <span key={words} data-fb-ink={ink === "soft" ? undefined : ink}>
              {words}
            </span>
          ))}
        </>
      ) : (
        <span>not run yet</span>
      )}
    </div>
  );
}
