import { type Node, type NodeProps, type ReactFlowState, useStore } from "@xyflow/react";
import { type MouseEvent, memo, type ReactElement, useEffect, useRef } from "react";
import { type Card, cardName, type InputPort } from "../model/flow";
import {
  cardSize,
  freeSettingPlaces,
  isCompact,
  MAX_PORT_ROWS,
  MAX_SETTINGS,
  portPlaces,
  portRows,
  shownSettings,
} from "../model/geometry";
import { breakable, fittingPx } from "../model/lettering";
import { mainLook } from "../model/looks";
import {
  cardWords,
  columnWords,
  copiesMade,
  counted,
  duration,
  letterTip,
  letterWords,
  oneLine,
  outputWords,
  shownValue,
} from "../model/wording";
import { act, actionById } from "./actions";
import { useCanvas, useCard, useChanging, useIsLive } from "./context";
import { FailureNote } from "./FailureNote";
import { NameField } from "./NameField";
import { PortHandle } from "./PortHandle";
import { Preview } from "./Preview";
import { SettingRow } from "./SettingControl";
import { StampPills } from "./StampPills";
import { StateIcon } from "./StateIcon";

export type CardNode = Node<Record<string, never>, "card">;

/** How much of a card can be seen: everything, its name and state, or a block in the colour of its state. */
export type Detail = "full" | "name" | "block";

export function detailAt(zoom: number, cardCount: number): Detail {
  if (zoom >= 0.6) return "full";
  return zoom >= (cardCount > MANY_CARDS ? 0.3 : 0.12) ? "name" : "block";
}

/** Up to this many cards bear their names however small they are: there are not too many to draw, nor to read. */
const MANY_CARDS = 60;

/** A second press within this time makes a double one. */
const DOUBLE_MS = 350;

/** How much of cards can be seen now. */
export const detailOf = (state: ReactFlowState): Detail => detailAt(state.transform[2], state.nodeLookup.size);

/** One node of a flow. It reads its own card from the store, so a status draws this card anew and nothing else. */
export const NodeCard = memo(function NodeCard({ id, isConnectable }: NodeProps<CardNode>): ReactElement | null {
  const { store, view, elementId } = useCanvas();
  const card = useCard(store, id);
  const isLive = useIsLive(store);
  const detail = useStore(detailOf);
  const isPointed = useChanging(view.pointed.onChange, () => view.pointed.now === id);
  if (!card) return null;
  const words = cardWords(card, isLive);
  return (
    <article
      id={elementId(id)}
      className="fb-card"
      data-fb-pointed={isPointed ? "" : undefined}
      aria-label={words}
      title={detail === "full" ? undefined : words}
      data-fb-ink={mainLook(card).ink}
      data-fb-kind={card.kind}
      data-fb-status={card.kind === "waiting" ? "waiting" : card.status}
      data-fb-detail={detail}
      data-fb-compact={isCompact(card) ? "" : undefined}
    >
      {detail !== "block" && <Header card={card} detail={detail} words={words} isLive={isLive} />}
      {detail === "full" && !isCompact(card) && <Body card={card} isLive={isLive} />}
      {detail !== "block" && <Handles card={card} isConnectable={isConnectable} />}
    </article>
  );
});

function Header(props: {
  readonly card: Card;
  readonly detail: Detail;
  readonly words: string;
  readonly isLive: boolean;
}): ReactElement {
  const { card } = props;
  const { view } = useCanvas();
  const name = oneLine(cardName(card));
  const isFull = props.detail === "full";
  const isRenamed = useChanging(view.renaming.onChange, () => view.renaming.now === card.id);
  const marks = [card.pinned ? "pinned" : "", card.bypassed ? "bypassed" : "", duration(card.tookS)].filter(Boolean);
  return (
    <header
      className="fb-card-head"
      title={props.words}
      style={isFull ? undefined : { ["--fb-fit" as string]: `${fittingPx(name, cardSize(card))}px` }}
    >
      <StateIcon look={mainLook(card)} />
      {isRenamed ? <NameField card={card} /> : <span className="fb-card-name">{isFull ? name : breakable(name)}</span>}
      {!isRenamed && isFull && marks.length > 0 && <span className="fb-card-time">{marks.join(" · ")}</span>}
    </header>
  );
}

function Body({ card, isLive }: { readonly card: Card; readonly isLive: boolean }): ReactElement {
  const { store, editor, view } = useCanvas();
  const canSet = isLive && !editor.whyNot;
  const hidden = card.settings.length - MAX_SETTINGS;
  const open = (event: MouseEvent): void => {
    if (event.shiftKey || event.ctrlKey || event.metaKey) return; // that selects several
    if (event.detail > 1) return;
    view.selection.choose([card.id]);
    if (!table) view.isInspecting.set(true);
    // The inspector would lie under the second press of a double one.
    else {
      waiting.current = window.setTimeout(() => {
        if (view.selection.primary === card.id) view.isInspecting.set(true);
      }, DOUBLE_MS);
    }
  };
  const table = useTable(card);
  const waiting = useRef(0);
  useEffect(() => () => clearTimeout(waiting.current), []);
  const openTable = (event: MouseEvent): void => {
    clearTimeout(waiting.current);
    table?.(event);
  };
  const why = [oneLine(card.reason), copiesMade(card)].filter(Boolean).join(" · ");
  return (
    <>
      {card.kind === "input" ? <SourceRow card={card} isLive={isLive} /> : <PortRows card={card} />}
      {shownSettings(card).map((setting) => (
        <SettingRow
          key={setting.name}
          setting={setting}
          onSet={canSet ? (value) => view.tell(editor.set(card.id, setting.name, value)) : undefined}
          onSettle={() => editor.settle()}
          onWrong={(why) => view.tell(why)}
        />
      ))}
      {hidden > 0 && <MoreSettings card={card} count={hidden} />}
      {card.error && <FailureNote failure={card.error} beside={card.letters > 0 && <Letters card={card} />} />}
      {card.preview && (
        // biome-ignore lint/a11y/noStaticElementInteractions: Enter on the selected card does the same
        // biome-ignore lint/a11y/useKeyWithClickEvents: as above
        <div className="fb-card-preview" onClick={open} onDoubleClick={openTable}>
          <Preview preview={card.preview} width={cardSize(card).width} />
          {table && (
            <button
              type="button"
              className="fb-preview-open nodrag nopan"
              aria-label={`Open ${oneLine(cardName(card))} as grid`}
              title="Open as grid (T)"
              onClick={openTable}
            >
              <svg viewBox="0 0 12 12" aria-hidden="true">
                <path d="M1.5 2.5H10.5V9.5H1.5ZM1.5 5H10.5M5 5V9.5" />
              </svg>
            </button>
          )}
        </div>
      )}
      {card.kind !== "input" && (
        <footer className="fb-card-foot">
          <StampPills item={card} isLive={store.isLive} />
          {card.letters > 0 && !card.error && (
            <span className="fb-pill" data-fb-ink="failed">
              <Letters card={card} />
            </span>
          )}
          {card.error && canSet ? (
            <FailureTools node={card.id} />
          ) : (
            <span className="fb-why" title={why}>
              {why}
            </span>
          )}
        </footer>
      )}
    </>
  );
}

/** How many dead letters a node has; what to type for them is its tip. */
function Letters({ card }: { readonly card: Card }): ReactElement {
  const { store } = useCanvas();
  return <span title={letterTip(store.flow, card.id, card.letters)}>{letterWords(card.letters)}</span>;
}

/** The way to a card's value as a grid; undefined where there is none, or none around the canvas that could show it. */
function useTable(card: Card): ((event: MouseEvent) => void) | undefined {
  const context = useCanvas();
  const action = actionById("openTable", context);
  if (!action || (card.preview?.kind !== "table" && card.preview?.kind !== "array")) return undefined;
  return (event) => {
    event.stopPropagation(); // a press on a card opens the inspector
    context.view.selection.choose([card.id]);
    act(action, context);
  };
}

/** What is done about a failure, in this order: mend the cell, then run it and what waited for it. */
const REMEDIES = [
  ["goToCell", "Open its cell"],
  ["runFrom", "Retry"],
] as const;

function FailureTools({ node }: { readonly node: string }): ReactElement {
  const context = useCanvas();
  return (
    <>
      {REMEDIES.map(([id, words]) => {
        const action = actionById(id, context);
        const remedy = (): void => {
          context.view.selection.choose([node]);
          if (action) act(action, context);
        };
        return (
          action && (
            <button key={id} type="button" className="fb-link nodrag nopan" onClick={remedy}>
              {words}
            </button>
          )
        );
      })}
    </>
  );
}

/** The settings there is no room for; a press shows them all beside the canvas. */
function MoreSettings({ card, count }: { readonly card: Card; readonly count: number }): ReactElement {
  const { view } = useCanvas();
  const open = (): void => {
    view.selection.choose([card.id]);
    view.isInspecting.set(true);
  };
  return (
    <button type="button" className="fb-more-settings nodrag nopan" onClick={open}>
      and {counted(count, "more setting")}
    </button>
  );
}

/** A notebook value or an input of the flow: where it comes from, and what it is. */
function SourceRow({ card, isLive }: { readonly card: Card; readonly isLive: boolean }): ReactElement {
  return (
    <div className="fb-source-row">
      <StampPills item={card} isLive={isLive} />
      <span className="fb-setting-value">{oneLine(card.outputs[0]?.shape ?? "")}</span>
    </div>
  );
}

function PortRows({ card }: { readonly card: Card }): ReactElement {
  const count = portRows(card);
  const hidden = Math.max(card.inputs.length, card.outputs.length) - MAX_PORT_ROWS;
  return (
    <>
      {Array.from({ length: count }, (_, row) => {
        const input = card.inputs[row];
        const output = card.outputs[row];
        const isLast = hidden > 0 && row === count - 1;
        return (
          <div className="fb-port-row" key={`${input?.name ?? ""}→${output?.name ?? ""}`}>
            {isLast ? <span>and {counted(hidden + 1, "more port")}</span> : input && <InputWords port={input} />}
            {output && (
              <span className="fb-port-out" title={oneLine(output.shape ?? output.name) + columnWords(output)}>
                {outputWords(card, output)}
              </span>
            )}
          </div>
        );
      })}
    </>
  );
}

function InputWords({ port }: { readonly port: InputPort }): ReactElement {
  return (
    <span title={`${oneLine(port.name)}: ${port.type}`}>
      {oneLine(port.name)}
      {port.constant !== undefined && <span className="fb-port-constant"> = {shownValue(port.constant)}</span>}
    </span>
  );
}

function Handles({ card, isConnectable }: { readonly card: Card; readonly isConnectable: boolean }): ReactElement {
  const node = card.id;
  return (
    <>
      {portPlaces(card).map((place) => {
        const ports = place.side === "out" ? card.outputs : card.inputs;
        const port = ports.find((found) => found.name === place.name);
        const type = port ? port.type : "scalar";
        const isFilled = port ? port.connected : true;
        const key = `${place.side}:${place.name}`;
        return <PortHandle key={key} {...{ node, place, type, isFilled, isConnectable, isHidden: false }} />;
      })}
      {isConnectable &&
        freeSettingPlaces(card).map((place) => {
          const key = `setting:${place.name}`;
          return (
            <PortHandle
              key={key}
              {...{ node, place, type: "scalar", isFilled: false, isConnectable, isHidden: true }}
            />
          );
        })}
    </>
  );
}
