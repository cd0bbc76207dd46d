import { type ReactElement, useState } from "react";
import type { Card, Failure, Json } from "../model/flow";
import { cardName } from "../model/flow";
import { mainLook } from "../model/looks";
import { copiesMade, duration, firstShape, oneLine } from "../model/wording";
import { FailureNote } from "./FailureNote";
import { Preview } from "./Preview";
import { SettingRow } from "./SettingControl";
import { StampPills } from "./StampPills";
import { StateIcon } from "./StateIcon";

/** What the strip above a node's value says; `at` is when the value was made. */
export interface StripFacts {
  readonly node: string;
  readonly status: string;
  readonly stamp: string | null;
  readonly reason: string;
  readonly tookS: number | null;
  readonly at: string | null;
  readonly error: Failure | null;
}

const CARD_PREVIEW_PX = 460;

/** One node in the output of its cell: a strip with its state, and, where no value stands below, what its card shows. */
export function NodeStrip(props: {
  readonly facts: StripFacts;
  /** Shown in place of a value. */
  readonly card: Card | null;
  readonly isLive: boolean;
  readonly onSet: ((name: string, value: Json) => void) | undefined;
  /** A gesture is over: the slider was let go. */
  readonly onSettle: (() => void) | undefined;
  /** Show its value as a grid; undefined when it is none. */
  readonly onTable?: (() => void) | undefined;
}): ReactElement {
  const { facts, card, isLive, onSet, onSettle } = props;
  const [wrong, setWrong] = useState("");
  const error = facts.error ?? card?.error ?? null;
  const details = [duration(facts.tookS), card ? firstShape(card) : "", card ? copiesMade(card) : ""].filter(Boolean);
  return (
    <div
      className="fb-root fb-strip"
      data-fb-ink={mainLook(facts).ink}
      data-fb-connection={isLive ? "live" : "recorded"}
    >
      <div className="fb-strip-head" title={facts.at ? `as of ${facts.at}` : undefined}>
        <StateIcon look={mainLook(facts)} />
        <b>{oneLine(card ? cardName(card) : facts.node)}</b>
        <StampPills item={facts} isLive={isLive} />
        <span className="fb-strip-why">{oneLine(facts.reason)}</span>
        <span className="fb-strip-facts">{details.join(" · ")}</span>
        {props.onTable && (
          <button type="button" className="fb-link fb-strip-table" onClick={props.onTable}>
            Open as grid
          </button>
        )}
      </div>
      {error && <FailureNote failure={error} />}
      {card && (card.settings.length > 0 || card.preview) && (
        <div className="fb-strip-body" data-lm-suppress-shortcuts="true">
          {card.settings.length > 0 && (
            <div className="fb-strip-settings">
              {card.settings.map((setting) => (
                <SettingRow
                  key={setting.name}
                  setting={setting}
                  onSet={onSet && ((value) => onSet(setting.name, value))}
                  onSettle={onSettle}
                  onWrong={setWrong}
                />
              ))}
              <div className="fb-strip-wrong" role="status">
                {wrong}
              </div>
            </div>
          )}
          {card.preview && (
            <div className="fb-strip-preview">
              <Preview preview={card.preview} width={CARD_PREVIEW_PX} />
            </div>
          )}
        </div>
      )}
    </div>
  );
}
