/** The node types one can add: how they are found by name, what they can be joined to, and how a new node is called. */

import type { InputPort, OutputPort } from "./flow";
import { whyNoName } from "./naming";
import { whyNotMeet } from "./wiring";

/** A node type. Its ports are null where the kernel did not say them. */
export interface TypeEntry {
  readonly typeId: string;
  readonly label: string;
  readonly doc: string;
  readonly inputs: readonly Pick<InputPort, "name" | "type" | "required">[] | null;
  readonly outputs: readonly Pick<OutputPort, "name" | "type">[] | null;
}

/** The types whose name or description has every word of a query, the likeliest first. */
export function searchTypes(types: readonly TypeEntry[], query: string): readonly TypeEntry[] {
  return search(types, query, (entry) => ({ name: `${entry.label} ${entry.typeId}`, more: entry.doc }));
}

/** The items whose name, or else whose further words, have every word of a query; the likeliest first, else as given. */
export function search<T>(
  items: readonly T[],
  query: string,
  words: (item: T) => { readonly name: string; readonly more: string },
): readonly T[] {
  const wanted = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!wanted.length) return items;
  const found: { readonly item: T; readonly rank: number }[] = [];
  for (const item of items) {
    const { name, more } = words(item);
    const ranks = wanted.map((word) => rank(word, name.toLowerCase(), more.toLowerCase()));
    if (ranks.every((each) => each < NOWHERE)) found.push({ item, rank: ranks.reduce((sum, each) => sum + each, 0) });
  }
  return found.sort((one, other) => one.rank - other.rank).map(({ item }) => item);
}

const NOWHERE = 5;

/** How well a word fits: at the name's start, at the start of a part of it, in it, in its letters, in the description. */
function rank(word: string, name: string, more: string): number {
  if (name.startsWith(word)) return 0;
  if (name.split(/[^\p{L}\p{N}]+/u).some((part) => part.startsWith(word))) return 1;
  if (name.includes(word)) return 2;
  if (hasLetters(name, word)) return 3;
  return more.includes(word) ? 4 : NOWHERE;
}

function hasLetters(name: string, word: string): boolean {
  let place = 0;
  for (const letter of word) {
    place = name.indexOf(letter, place) + 1;
    if (!place) return false;
  }
  return word.length > 1;
}

/** One open end of an edge: a port of a node, and which side of the node it is on. */
export interface PortEnd {
  readonly node: string;
  readonly port: string;
  readonly side: "in" | "out";
  readonly type: string;
}

/** The port of a type that an open end can be joined to, the first that fits; null when there is none. */
export function meetingPort(entry: TypeEntry, end: PortEnd): string | null {
  const ports = end.side === "out" ? entry.inputs : entry.outputs;
  const fits = (ports ?? []).filter(
    ({ type }) => !(end.side === "out" ? whyNotMeet(end.type, type) : whyNotMeet(type, end.type)),
  );
  // Of a value that can be anything the required input is meant, and rather the one of that very type.
  return (fits.find(({ type }) => type === end.type) ?? fits[0])?.name ?? null;
}

/** The types that have a port for an open end; those whose ports nobody knows stay, the kernel will say. */
export function meetingTypes(types: readonly TypeEntry[], end: PortEnd): readonly TypeEntry[] {
  return types.filter((entry) => {
    const ports = end.side === "out" ? entry.inputs : entry.outputs;
    return ports === null || meetingPort(entry, end) !== null;
  });
}

/** A free id for a new node: "read" of `table.read`, "read_2" when that is taken. */
export function newNodeId(wanted: string, isTaken: (id: string) => boolean): string {
  const cleaned = (wanted.split(".").at(-1) ?? "").replace(/[^\p{L}\p{N}_]+/gu, "_");
  const id = [cleaned, `${cleaned}_`, `_${cleaned}`].find((name) => cleaned && !whyNoName(name)) ?? "node";
  if (!isTaken(id)) return id;
  const stem = id.replace(/_\d+$/, "") || id;
  let count = 2;
  while (isTaken(`${stem}_${count}`)) count += 1;
  return `${stem}_${count}`;
}
