import { type ReactElement, useEffect, useRef } from "react";
import type { Card, Edge, Preview as PreviewData } from "../model/flow";
import { cardName, edgeId } from "../model/flow";
import { isNode, removing } from "../model/gestures";
import { portEnd } from "../model/linking";
import { mainLook, portInk } from "../model/looks";
import { duration, oneLine, plain, shownValue } from "../model/wording";
import { act, actionById } from "./actions";
import { useCanvas, useCard, useChanging, useIsLive, useValue } from "./context";
import { FailureNote } from "./FailureNote";
import { Preview } from "./Preview";
import { SettingRow } from "./SettingControl";
import { StampPills } from "./StampPills";
import { StateIcon } from "./StateIcon";

/** Everything about the selected node, beside the canvas: all its settings, what it reads and who reads it. */
export function Inspector(): ReactElement | null {
  const { view } = useCanvas();
  const isOpen = useValue(view.isInspecting);
  const node = useChanging(view.selection.onChange, () => view.selection.primary);
  return isOpen && node !== null ? <Panel key={node} node={node} /> : null;
}

const TOOLS = ["runTo", "runOnly", "connect", "rename", "mute", "bypass", "pin", "remove"] as const;

function Panel({ node }: { readonly node: string }): ReactElement | null {
  const context = useCanvas();
  const { store, editor, view, screen } = context;
  const card = useCard(store, node);
  const isLive = useIsLive(store);
  const ref = useRef<HTMLElement>(null);
  useEffect(() => {
    ref.current?.querySelector<HTMLElement>("input, select, button")?.focus({ preventScroll: true });
  }, []);
  if (!card) return null;
  const set = editor.whyNot
    ? undefined
    : (name: string) => (value: Parameters<typeof editor.set>[2]) => view.tell(editor.set(card.id, name, value));
  const close = (): void => {
    view.isInspecting.set(false);
    screen.focus();
  };
  return (
    <aside ref={ref} className="fb-inspector" aria-label={`About ${oneLine(cardName(card))}`}>
      <header className="fb-inspector-head">
        <StateIcon look={mainLook(card)} />
        <b>{oneLine(cardName(card))}</b>
        <span className="fb-card-time">{duration(card.tookS)}</span>
      </header>
      <div className="fb-inspector-body">
        <div className="fb-inspector-facts">
          <StampPills item={card} isLive={isLive} />
          <span className="fb-why">{oneLine(card.reason)}</span>
        </div>
        {card.doc && <p className="fb-inspector-doc">{plain(card.doc)}</p>}
        {card.error && <FailureNote failure={card.error} />}
        {card.preview && <Shown preview={card.preview} name={oneLine(cardName(card))} />}
        <OpenTable />
        {card.settings.length > 0 && <h4>Settings</h4>}
        {card.settings.map((setting) => (
          <div key={setting.name}>
            <SettingRow
              setting={setting}
              onSet={set?.(setting.name)}
              onSettle={() => editor.settle()}
              onWrong={(why) => view.tell(why)}
            />
            {setting.help && <p className="fb-inspector-help">{oneLine(setting.help)}</p>}
          </div>
        ))}
        <Ports card={card} />
        {isNode(card) && isLive && (
          <div className="fb-inspector-tools">
            {TOOLS.map((id) => actionById(id, context)).map(
              (action) =>
                action && (
                  <button key={action.id} type="button" className="fb-tool" onClick={() => act(action, context)}>
                    {action.labelNow?.(context) ?? action.label}
                  </button>
                ),
            )}
          </div>
        )}
      </div>
      <button type="button" className="fb-inspector-close" aria-label="Close" title="Close (Esc)" onClick={close}>
        <svg viewBox="0 0 10 10" aria-hidden="true">
          <path d="M1 1L9 9M9 1L1 9" />
        </svg>
      </button>
    </aside>
  );
}

/** The way to all of a table, where there is somebody around the canvas who can show it. */
function OpenTable(): ReactElement | null {
  const context = useCanvas();
  const action = actionById("openTable", context);
  if (!action || action.whyNot(context)) return null;
  return (
    <div className="fb-inspector-tools">
      <button type="button" className="fb-tool" onClick={() => act(action, context)}>
        {action.label}
      </button>
    </div>
  );
}

const WIDTH_PX = 260;

/** The head of the value with all of its columns, and their types. */
function Shown({ preview, name }: { readonly preview: PreviewData; readonly name: string }): ReactElement {
  const isTable = preview.kind === "table";
  const shape = isTable ? ` · ${preview.height?.toLocaleString("en-US") ?? "?"} × ${preview.width}` : "";
  return (
    <>
      <h4>Value{shape}</h4>
      <section className="fb-inspector-value" tabIndex={isTable ? 0 : undefined} aria-label={`Value of ${name}`}>
        <Preview preview={preview} width={isTable ? Number.POSITIVE_INFINITY : WIDTH_PX} hasTypes />
      </section>
    </>
  );
}

function Ports({ card }: { readonly card: Card }): ReactElement {
  const { store, editor, view } = useCanvas();
  const edges = useChanging(store.onTopology, () => store.state.edges);
  const feeds = [...edges.values()].filter((edge) => edge.target === card.id);
  const canEdit = isNode(card) && !editor.whyNot;
  const choose = (side: "in" | "out", port: string): void => {
    const from = portEnd(card, side, port);
    if (from) view.popup.set({ kind: "connect", place: null, node: card.id, from, to: null });
  };
  const cut = (edge: Edge): void => view.tell(editor.perform(removing(store.state, [], [edgeId(edge)])));
  return (
    <>
      {card.inputs.length > 0 && <h4>Reads</h4>}
      {card.inputs.map((port) => {
        const feed = feeds.find((edge) => edge.targetPort === port.name);
        return (
          <div className="fb-inspector-port" key={port.name}>
            <span className="fb-dot" data-fb-port={portInk(port.type)} />
            <span className="fb-inspector-name" title={`${oneLine(port.name)}: ${port.type}`}>
              {oneLine(port.name)}
            </span>
            <span className="fb-inspector-feed">
              {feed
                ? `${oneLine(feed.source)}${feed.implicit ? " (by name)" : ""}`
                : port.constant !== undefined
                  ? shownValue(port.constant)
                  : port.required
                    ? "nothing yet"
                    : "nothing"}
            </span>
            {canEdit && (
              <button type="button" className="fb-link" onClick={() => choose("in", port.name)}>
                {feed ? "Change" : "Connect"}
              </button>
            )}
            {canEdit && feed && (
              <button
                type="button"
                className="fb-link"
                aria-label={`Disconnect ${port.name}`}
                onClick={() => cut(feed)}
              >
                Cut
              </button>
            )}
          </div>
        );
      })}
      {card.outputs.length > 0 && <h4>Gives</h4>}
      {card.outputs.map((port) => (
        <div className="fb-inspector-port" key={port.name}>
          <span className="fb-dot" data-fb-port={portInk(port.type)} />
          <span className="fb-inspector-name">{oneLine(port.name)}</span>
          <span className="fb-inspector-feed">{oneLine(port.shape ?? port.type)}</span>
          {canEdit && (
            <button type="button" className="fb-link" onClick={() => choose("out", port.name)}>
              Connect
            </button>
          )}
        </div>
      ))}
    </>
  );
}
