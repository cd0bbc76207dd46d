/** Which ports can be joined: the rules of flowbook/core/wiring.py, so that a refusal is said while the edge is drawn. */

import type { Card, Setting } from "./flow";
import type { Ends } from "./operations";
import type { FlowState } from "./state";

/** Port types between which a value is converted on the way. */
const TABULAR: ReadonlySet<string> = new Set(["table", "series", "array"]);
/** Settings that take a text or a number alike, and check it when it arrives. */
const LOOSE: ReadonlySet<string> = new Set(["select", "path", "date", "json"]);

/** Whether a value of port type `source` can be handed to a port of type `target`. */
export function canMeet(source: string, target: string): boolean {
  if (source === target || [source, target].some((type) => type === "any" || type === "packet")) return true;
  return TABULAR.has(source) && TABULAR.has(target);
}

/** Say in words why a value of one type cannot be handed to a port of another; empty when it can. */
export function whyNotMeet(source: string, target: string): string {
  return canMeet(source, target) ? "" : `${withArticle(source)} is not ${withArticle(target)}`;
}

function whyNotFeed(source: string, setting: Setting): string {
  if (LOOSE.has(setting.control) && (source === "text" || source === "scalar")) return "";
  return whyNotMeet(source, setting.control === "text" || LOOSE.has(setting.control) ? "text" : "scalar");
}

const withArticle = (type: string): string => `${/^[aeiou]/.test(type) ? "an" : "a"} ${type}`;

/** Say in words why an edge cannot be drawn between two ports; empty when it can. */
export function whyNotConnect(state: FlowState, ends: Ends, readers = readersOf(state)): string {
  const source = state.cards.get(ends.source);
  const target = state.cards.get(ends.target);
  if (!source || !target) return "there is no such node";
  if (source === target) return "a node cannot read its own output";
  if (source.kind === "input") return `“${source.title || source.id}” comes by its name: name the input after it`;
  const types = whyTypesDiffer(source, ends.sourcePort, target, ends.targetPort);
  if (types) return types;
  const path = pathBetween(ends.target, ends.source, readers);
  return path ? `that would be a loop: ${[...path, ends.target].join(" → ")}` : "";
}

function whyTypesDiffer(source: Card, sourcePort: string, target: Card, targetPort: string): string {
  const output = source.outputs.find(({ name }) => name === sourcePort);
  if (!output && source.kind !== "waiting") return `${source.id} has no output “${sourcePort}”`;
  const input = target.inputs.find(({ name }) => name === targetPort);
  const setting = target.settings.find(({ name }) => name === targetPort);
  if (!input && !setting) {
    return target.kind === "waiting"
      ? `nobody knows the inputs of ${target.id} until its cell has run`
      : `${target.id} has no input “${targetPort}”`;
  }
  if (!output) return "";
  return input ? whyNotMeet(output.type, input.type) : setting ? whyNotFeed(output.type, setting) : "";
}

/** The nodes that read each node. */
export function readersOf(state: FlowState): ReadonlyMap<string, readonly string[]> {
  const readers = new Map<string, string[]>();
  for (const edge of state.edges.values()) {
    const known = readers.get(edge.source);
    if (known) known.push(edge.target);
    else readers.set(edge.source, [edge.target]);
  }
  return readers;
}

/** The nodes on a shortest way along the edges, both ends included; null when there is no way. */
function pathBetween(
  from: string,
  to: string,
  readers: ReadonlyMap<string, readonly string[]>,
): readonly string[] | null {
  const cameFrom = new Map<string, string | null>([[from, null]]);
  for (const id of cameFrom.keys()) {
    if (id === to) {
      const path: string[] = [];
      for (let step: string | null = to; step !== null; step = cameFrom.get(step) ?? null) path.unshift(step);
      return path;
    }
    for (const reader of readers.get(id) ?? []) if (!cameFrom.has(reader)) cameFrom.set(reader, id);
  }
  return null;
}
