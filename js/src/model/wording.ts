/** Figures and facts in the few words a card has room for; the same words as flowbook/canvas/pieces/wording.py. */

import type { Card, Counts, Edge, Failure, Fused, Json, OutputPort, RunSummary, Setting, Snapshot, Span } from "./flow";
import { cardName } from "./flow";
import { type Ink, pills } from "./looks";

// Controls, and characters that reorder text and so let one text look like another (tab and line ends are kept).
const UNFIT =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to replace
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: colours and links for terminals begin with an escape
const ANSI = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\))/g;

/** A text without characters that reorder what is read; lines stay lines. */
export function plain(text: string): string {
  return text.replace(ANSI, "").replace(UNFIT, "\ufffd").replace(/\r\n?/g, "\n");
}

/** A plain text of one line. */
export function oneLine(text: string): string {
  return plain(text).replace(/\s+/g, " ").trim();
}

const grouped = (count: number): string => count.toLocaleString("en-US", { maximumFractionDigits: 0 });

/** "0.4 ms", "31 ms", "2.4 s", "3 min 12 s"; empty when nobody knows. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !(seconds >= 0)) return "";
  if (seconds < 0.00095) return `${(seconds * 1000).toFixed(1)} ms`;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  const rest = whole % 60;
  return rest ? `${(whole - rest) / 60} min ${rest} s` : `${whole / 60} min`;
}

/** "512 B", "4.2 MB". */
export function byteCount(sizeBytes: number): string {
  let size = sizeBytes;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (size < 999.5) return `${unit === "B" || size >= 99.5 ? size.toFixed(0) : size.toFixed(1)} ${unit}`;
    size /= 1000;
  }
  return `${size.toFixed(1)} TB`;
}

/** "1 copy", "3 copies". */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${grouped(count)} ${count === 1 ? noun : plural}`;
}

/** What was copied, and why, when that is known. */
export interface Copied {
  readonly copies: number;
  readonly copiedBytes: number;
  readonly copyReason?: string;
}

/** "2 copies · 8.4 MB · bool column"; empty when nothing was copied. */
export function copiesMade({ copies, copiedBytes, copyReason = "" }: Copied): string {
  if (!copies) return "";
  const size = copiedBytes ? byteCount(copiedBytes) : "";
  return [counted(copies, "copy", "copies"), size, oneLine(copyReason)].filter(Boolean).join(" · ");
}

/** A JSON value as briefly as a control shows it. */
export function shownValue(value: Json | undefined): string {
  if (value === null || value === undefined) return "none";
  if (typeof value === "boolean") return value ? "on" : "off";
  if (typeof value === "number") return String(Number(value.toPrecision(7)));
  if (typeof value === "string") return oneLine(value);
  return oneLine(JSON.stringify(value));
}

/** Whether two JSON values are the same. */
export function sameJson(one: Json | undefined, other: Json | undefined): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

/** A setting's value with its unit: "60 min". */
export function settingValue(setting: Setting, value: Json = setting.value): string {
  return shownValue(value) + (setting.unit ? ` ${oneLine(setting.unit)}` : "");
}

/** "default 15" where the value is another, else empty. */
export function settingDefault(setting: Setting, value: Json = setting.value): string {
  return sameJson(value, setting.default) ? "" : `default ${shownValue(setting.default)}`;
}

/** The figures of a shape shortened: "336,776 × 19" is "337k × 19". */
export function shortShape(shape: string): string {
  return shape.replace(/\d[\d,]*/g, (written) => {
    const number = Number(written.replaceAll(",", ""));
    for (const [size, unit] of [
      [1e9, "G"],
      [1e6, "M"],
      [1e3, "k"],
    ] as const) {
      if (number >= 10 * size) return `${(number / size).toFixed(0)}${unit}`;
      if (number >= size && unit !== "k") return `${(number / size).toFixed(1)}${unit}`;
    }
    return written;
  });
}

/** The shape of a node's first output that has a value; empty when none has. */
export function firstShape(card: Card): string {
  return oneLine(card.outputs.find((port) => port.shape)?.shape ?? "");
}

/** What stands at an output: its name, or on a source the shape of its value. */
export function outputWords(card: Card, port: OutputPort): string {
  return oneLine(card.inputs.length ? port.name : port.shape || port.name);
}

/** What went wrong in one line, with the remedy. */
export function failureWords(failure: Failure): string {
  return [oneLine(failure.message), oneLine(failure.hint)].filter(Boolean).join(" · ");
}

/** "FB402 · line 4". */
export function failurePlace(failure: Failure): string {
  return [oneLine(failure.code), failure.line ? `line ${failure.line}` : ""].filter(Boolean).join(" · ");
}

/** A run named by the first four digits of its id. */
export function runName(runId: string | null | undefined): string {
  return runId ? `run ${oneLine(runId).slice(0, 4)}` : "no run";
}

export interface Telling {
  readonly ink: Ink | "soft";
  readonly words: string;
}

/** What a run did; skipped, failures and copied bytes only when there are some. */
export function tally(counts: Counts): readonly Telling[] {
  const parts: Telling[] = [
    { ink: "soft", words: `${grouped(counts.ran)} ran` },
    { ink: "soft", words: `${grouped(counts.cached)} cached` },
  ];
  if (counts.skipped) parts.push({ ink: "soft", words: `${grouped(counts.skipped)} skipped` });
  if (counts.failed) parts.push({ ink: "failed", words: `${grouped(counts.failed)} failed` });
  parts.push({ ink: "soft", words: copiesMade(counts) || "0 copies" });
  return parts;
}

/** What the kernel's memory cache holds; empty without a kernel to ask. */
export function cacheHeld(run: RunSummary | null): string {
  return run?.cacheBytes == null ? "" : `${byteCount(run.cacheBytes)} kept`;
}

/** How the last run went, in one line. */
export function runWords(run: RunSummary | null): string {
  if (!run) return "not run yet";
  const counts = tally(run)
    .map(({ words }) => words)
    .join(", ");
  return [runName(run.id), run.status, duration(run.tookS), counts].filter(Boolean).join(" · ");
}

/** All a card says, in one line: for a tool tip and for those who hear it. */
export function cardWords(card: Card, isLive: boolean): string {
  const states = pills(card, isLive)
    .map((look) => look.word)
    .join(", ");
  const parts = [
    states ? `${oneLine(cardName(card))}: ${states}` : oneLine(cardName(card)),
    oneLine(card.reason),
    card.error ? failureWords(card.error) : "",
    duration(card.tookS),
    firstShape(card),
    copiesMade(card),
    oneLine(card.doc),
  ];
  return parts.filter(Boolean).join(" · ");
}

/** "2 dead letters". */
export const letterWords = (count: number): string => counted(count, "dead letter");

/** How to come to the dead letters of a flow, or of one node of it. */
export function letterTip(flow: string, node: string | null, count: number): string {
  const named = `fb.flow(${JSON.stringify(flow)}).dead_letters`;
  const whose = node === null ? "" : ` of ${oneLine(node)}`;
  return `${letterWords(count)}${whose}: failures that nobody took.\n${named} lists them, .replay() tries them again, .drop() forgets them.`;
}

/** The columns of a port, one a line below what is said of it; nothing where they are not known. */
export function columnWords(port: OutputPort | undefined): string {
  if (!port?.columns.length) return "";
  const more = port.columnCount - port.columns.length;
  const named = port.columns.map(({ name, type }) => `\n${oneLine(name)}: ${oneLine(type)}`);
  return named.join("") + (more > 0 ? `\nand ${counted(more, "more column")}` : "");
}

/** What an edge joins and carries, in one line. */
export function edgeWords(edge: Edge): string {
  const parts = [
    `${oneLine(edge.source)} → ${oneLine(edge.target)}`,
    oneLine(edge.label ?? ""),
    edge.carried ? copiesMade(edge) || "0 copies" : "",
    edge.implicit ? "by name" : "",
    edge.carried ? "" : "nothing carried yet",
  ];
  return parts.filter(Boolean).join(" · ");
}

/** A span's node, and its attempt where it is not the first. */
export function spanName(span: Span): string {
  return oneLine(span.node) + (span.attempt > 1 ? ` · attempt ${span.attempt}` : "");
}

/** A pass over the lazy tables of several nodes, as a row like theirs. */
export function fusedRow(fused: Fused): Span {
  const flowed = fused.flowed.map((flow) => `${grouped(flow.rows)} rows ${flow.source} → ${flow.target}`);
  const left = Object.entries(fused.notFused).map(([name, why]) => `not ${name}: ${why}`);
  const words = [fused.error, `collected ${fused.collected.join(", ")}`, ...flowed, ...left];
  return {
    node: `fused: ${fused.members.join(" + ")}`,
    status: fused.error ? "failed" : "ok",
    stamp: "recorded",
    reason: words.filter(Boolean).join(" · "),
    startS: fused.startS,
    tookS: fused.tookS,
    attempt: 1,
    rows: null,
    columns: null,
    copies: 0,
    copiedBytes: 0,
    copyReason: "",
    logs: [],
    logCount: 0,
    error: null,
  };
}

/** Why a span is what it is: its reason, or what went wrong and where. */
export function spanWhy(span: Span): string {
  if (!span.error) return oneLine(span.reason);
  return [failureWords(span.error), failurePlace(span.error)].filter(Boolean).join(" · ");
}

/** The name of a canvas for those who hear it. */
export function snapshotWords(snapshot: Pick<Snapshot, "flow" | "nodes" | "run">): string {
  return `Flow ${oneLine(snapshot.flow)}: ${counted(snapshot.nodes.length, "node")} · ${runWords(snapshot.run)}`;
}
