import { type KeyboardEvent, type ReactElement, useState } from "react";
import { StampPills } from "../canvas/StampPills";
import { StateIcon } from "../canvas/StateIcon";
import type { TableSource } from "../grid/TableSource";
import { type Card, cardName } from "../model/flow";
import { mainLook } from "../model/looks";
import { pictureUri } from "../model/previews";
import { byteCount, oneLine } from "../model/wording";
import type { ArrayStats } from "../protocol/tables";

/** Above a grid: which node, how its value stands, how large it is, the order, and the way to a row. */
export function TableBar(props: {
  readonly node: string;
  readonly card: Card | undefined;
  readonly isLive: boolean;
  readonly source: TableSource;
  readonly ports: readonly string[];
  readonly port: string | null;
  readonly onPort: (port: string) => void;
  readonly onRow: (row: number) => void;
  readonly onUnsort: () => void;
}): ReactElement {
  const { card, source, ports, port } = props;
  const [wanted, setWanted] = useState("");
  const go = (event: KeyboardEvent): void => {
    if (event.key !== "Enter") return;
    const row = Number(wanted.replace(/[\s,_]/g, ""));
    if (wanted.trim() && Number.isFinite(row)) props.onRow(Math.floor(row));
  };
  const order = source.sort.map(({ column, isDescending }) => `${oneLine(column)} ${isDescending ? "▼" : "▲"}`);
  const why = source.words || source.note || oneLine(card?.reason ?? "");
  return (
    <div
      className="fb-root fb-table-bar"
      data-fb-state={source.state}
      data-fb-ink={card ? mainLook(card).ink : "idle"}
      data-lm-suppress-shortcuts="true"
    >
      {card && <StateIcon look={mainLook(card)} />}
      <b>{oneLine(card ? cardName(card) : props.node)}</b>
      {ports.length > 1 && (
        <select aria-label="Output" value={port ?? ports[0]} onChange={({ target }) => props.onPort(target.value)}>
          {ports.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      )}
      {card && <StampPills item={card} isLive={props.isLive} />}
      <span className="fb-table-why" role="status" title={why}>
        {why}
      </span>
      {order.length > 0 && (
        <button type="button" className="fb-link" title="Back to the order of the table" onClick={props.onUnsort}>
          by {order.join(", ")} ×
        </button>
      )}
      <span className="fb-table-shape">{shapeWords(source)}</span>
      <label className="fb-table-row">
        row
        <input
          inputMode="numeric"
          aria-label="Go to row"
          placeholder="0"
          value={wanted}
          onChange={({ target }) => setWanted(target.value)}
          onKeyDown={go}
        />
      </label>
    </div>
  );
}

function shapeWords(source: TableSource): string {
  if (source.array) return source.array.shape.map((size) => size.toLocaleString("en-US")).join(" × ");
  const columns = source.width.toLocaleString("en-US");
  if (source.state === "recorded") return `the first ${source.rowCount} rows, as they were stored`;
  if (source.height !== null) return `${source.height.toLocaleString("en-US")} × ${columns}`;
  return source.isCounting ? `counting rows … × ${columns}` : `? × ${columns}`;
}

/** Below a grid: the chosen cell, whole. */
export function TableFoot({ name, text }: { readonly name: string; readonly text: string }): ReactElement {
  return (
    <div className="fb-root fb-table-foot" data-lm-suppress-shortcuts="true">
      {name ? (
        <>
          <b>{oneLine(name)}</b>
          <output className="fb-table-cell">{text}</output>
        </>
      ) : (
        <span className="fb-why">Choose a cell to read all of it; press a column’s name, or S, to sort by it.</span>
      )}
    </div>
  );
}

const HISTOGRAM = { width: 260, height: 64 };

/** An array as a whole: what it is, how its values are spread, and a picture where it has two dimensions. */
export function ArrayFacts({ array }: { readonly array: ArrayStats }): ReactElement {
  const facts: readonly (readonly [string, string | null])[] = [
    ["type", array.dtype],
    ["shape", array.shape.map((size) => size.toLocaleString("en-US")).join(" × ")],
    ["size", byteCount(array.sizeBytes)],
    ["least", array.min],
    ["most", array.max],
    ["mean", array.mean],
    ["NaN", array.nanCount ? array.nanCount.toLocaleString("en-US") : null],
  ];
  const picture = array.image && pictureUri(array.image);
  return (
    <div className="fb-root fb-array">
      <dl>
        {facts.map(([name, value]) =>
          value === null ? null : (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{oneLine(value)}</dd>
            </div>
          ),
        )}
      </dl>
      {array.histogram && (
        <figure>
          <Histogram counts={array.histogram} />
          <figcaption>
            <span>{array.min}</span>
            <span>{array.sampled ? "of values evenly apart" : "of all values"}</span>
            <span>{array.max}</span>
          </figcaption>
        </figure>
      )}
      {picture && array.image && (
        <img
          className="fb-array-picture"
          src={picture}
          alt={`values as greys, ${array.min} black, ${array.max} white`}
        />
      )}
    </div>
  );
}

function Histogram({ counts }: { readonly counts: readonly number[] }): ReactElement {
  const { width, height } = HISTOGRAM;
  const highest = Math.max(...counts, 1);
  const step = width / Math.max(counts.length, 1);
  const bars = counts.map((count, place) => ({ key: `step ${place}`, count, x: place * step }));
  return (
    <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label="histogram">
      {bars.map(({ key, count, x }) => (
        <rect
          key={key}
          x={x}
          y={height - (count / highest) * height}
          width={Math.max(1, step - 1)}
          height={(count / highest) * height}
        >
          <title>{count.toLocaleString("en-US")}</title>
        </rect>
      ))}
    </svg>
  );
}
