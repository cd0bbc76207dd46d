import type { ReactElement } from "react";
import type { RunSummary } from "../model/flow";
import { shownKey } from "../model/keys";
import type { FlowStore } from "../model/store";
import { byteCount, cacheHeld, duration, letterTip, letterWords, oneLine, runName, tally } from "../model/wording";
import { type Action, act, actionById } from "./actions";
import { useCanvas, useChanging, useIsLive } from "./context";
import { isMac } from "./typing";

const RUN_TOOLS = ["run", "runStale", "cancel"] as const;
const EDIT_TOOLS = ["add", "layout", "fit"] as const;

/** A canvas around the one that is shown, which shows the inside of a node of it. */
export interface Step {
  /** What it shows: the flow, or a node. */
  readonly words: string;
  /** The node of it that is looked into. */
  readonly node: string;
  readonly back: () => void;
}

/** What can be done with a flow as a whole, floating above it, and how its last run went. */
export function Toolbar({ trail }: { readonly trail: readonly Step[] }): ReactElement {
  const { store, view } = useCanvas();
  const isLive = useIsLive(store);
  const openMenu = (event: { readonly currentTarget: Element }): void => {
    const { left, bottom } = event.currentTarget.getBoundingClientRect();
    view.popup.set({ kind: "menu", place: { x: left, y: bottom + 4 }, about: "ground" });
  };
  return (
    <div className="fb-toolbar" role="toolbar" aria-label={`Flow ${oneLine(store.flow)}`}>
      {trail.length > 0 && <Trail trail={trail} />}
      {isLive && !trail.length && (
        <div className="fb-tools">
          {RUN_TOOLS.map((id) => (
            <Tool key={id} id={id} />
          ))}
        </div>
      )}
      <div className="fb-tools">
        {(isLive && !trail.length ? EDIT_TOOLS : (["fit"] as const)).map((id) => (
          <Tool key={id} id={id} />
        ))}
        <button
          type="button"
          className="fb-tool"
          aria-label="More"
          aria-haspopup="menu"
          title="More"
          onClick={openMenu}
        >
          <svg viewBox="0 0 10 10" aria-hidden="true">
            <path d="M0 4H2V6H0ZM4 4H6V6H4ZM8 4H10V6H8Z" />
          </svg>
        </button>
      </div>
      <Summary store={store} />
    </div>
  );
}

/** Where one is, and the way back. */
function Trail({ trail }: { readonly trail: readonly Step[] }): ReactElement {
  return (
    <nav className="fb-tools fb-trail" aria-label="The way back">
      {trail.map(({ words, node, back }) => (
        <button key={`${words} ${node}`} type="button" className="fb-tool" title={`Back to ${words}`} onClick={back}>
          {oneLine(words)}
        </button>
      ))}
      <b aria-current="location">{oneLine(trail.at(-1)?.node ?? "")}</b>
    </nav>
  );
}

const SIGNS: Readonly<Record<string, ReactElement>> = {
  run: <path d="M1 0L10 5L1 10Z" />,
  cancel: <path d="M0 0H10V10H0Z" />,
};

function Tool({ id }: { readonly id: string }): ReactElement | null {
  const context = useCanvas();
  const action = actionById(id, context);
  return action ? <ToolOf action={action} /> : null;
}

function ToolOf({ action }: { readonly action: Action }): ReactElement {
  const context = useCanvas();
  const { store } = context;
  const label = useChanging(store.onAny, () => action.labelNow?.(context) ?? action.label);
  const why = useChanging(store.onAny, () => action.whyNot(context));
  const sign = SIGNS[action.id];
  const [, words = label, count = ""] = /^(.*?)(?: (\d+))?$/.exec(label) ?? [];
  const isBare = action.id === "cancel";
  return (
    <button
      type="button"
      className="fb-tool"
      data-fb-action={action.id}
      data-fb-primary={action.id === "run" ? "" : undefined}
      disabled={why !== ""}
      onClick={() => act(action, context)}
      aria-label={isBare ? action.label : undefined}
      title={why || (action.keys[0] ? `${action.label} (${shownKey(action.keys[0], isMac)})` : action.label)}
    >
      {sign && (
        <svg viewBox="0 0 10 10" aria-hidden="true">
          {sign}
        </svg>
      )}
      {!isBare && words}
      {count && <span className="fb-tool-count">{count}</span>}
    </button>
  );
}

/** The last run in one line; without a kernel it says that it was recorded, and when. */
function Summary({ store }: { readonly store: FlowStore }): ReactElement {
  const run = useChanging(store.onRun, () => store.state.run);
  const isLive = useIsLive(store);
  const letters = useChanging(store.onAny, () => letterCount(store));
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
          {letters > 0 && (
            <span data-fb-ink="failed" title={letterTip(store.flow, null, letters)}>
              {letterWords(letters)}
            </span>
          )}
          {isLive && cacheHeld(run) && <span title={cacheTip(run)}>{cacheHeld(run)}</span>}
        </>
      ) : (
        <span>not run yet</span>
      )}
    </div>
  );
}

function letterCount(store: FlowStore): number {
  let count = 0;
  for (const card of store.state.cards.values()) count += card.letters;
  return count;
}

function cacheTip(run: RunSummary): string {
  const most = byteCount(run.cacheBudgetBytes ?? 0);
  return `Results of earlier settings in the kernel's memory, at most ${most}: flow.cache.budget_bytes`;
}
