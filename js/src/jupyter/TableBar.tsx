import { type KeyboardEvent, type ReactElement, useState } from "react";
import { StampPills } from "../canvas/StampPills";
import { StateIcon } from "../canvas/StateIcon";
import type { TableSource } from "../grid/TableSource";
import { type Card, cardName } from "../model/flow";
import { mainLook } from "../model/looks";
import { oneLine } from "../model/wording";

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
  const why = source.words || oneLine(card?.reason ?? "");
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
        <span className="fb-why">Choose a cell to read all of it; press a column’s name to sort by it.</span>
      )}
    </div>
  );
}
