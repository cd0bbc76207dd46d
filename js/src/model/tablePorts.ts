/** Which values have rows and columns that can be looked at. */

import type { Card } from "./flow";

/** What has rows and columns. */
const TABLES: ReadonlySet<string> = new Set(["table", "series", "array"]);

/** The outputs of a node that a grid can show, the primary one first where it has one. */
export function tablePorts(card: Card): readonly string[] {
  const ports = card.outputs.filter(({ type }) => TABLES.has(type)).map(({ name }) => name);
  const named = ports.includes(card.id) ? card.id : null;
  return named === null ? ports : [named, ...ports.filter((name) => name !== named)];
}

/** Say in words why a node's value cannot be shown as a grid; empty when it can. */
export function whyNoTable(card: Card | undefined): string {
  if (!card) return "Choose a node first.";
  if (card.stamp === null) return "It has no value yet: run it first.";
  if (tablePorts(card).length || card.preview?.kind === "table" || card.preview?.kind === "array") return "";
  return "Its value is no table, series or array.";
}
