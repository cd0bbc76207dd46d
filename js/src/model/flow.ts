/**
 * What a flow looks like: the words every view shares. JSON as it travels, so names are camelCase, times are seconds,
 * sizes bytes and lengths pixels. Every value is frozen by type: a change makes a new object, so identity tells news.
 */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export type Status = "idle" | "queued" | "running" | "ok" | "failed" | "skipped" | "muted" | "unresponsive" | "waiting";
export type Stamp = "live" | "recorded" | "cached" | "stale" | "replayed" | "from notebook";
export type PortType = "table" | "series" | "array" | "picture" | "callable" | "scalar" | "text" | "packet" | "any";
export type Control = "slider" | "number" | "switch" | "select" | "text" | "path" | "date" | "json";

/** What went wrong in words; `line` counts from 1 in the node's own cell. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly line: number | null;
}

/** An input; `constant` is there when the document gives the port a value instead of an edge. */
export interface InputPort {
  readonly name: string;
  readonly type: string;
  readonly connected: boolean;
  readonly required: boolean;
  readonly constant?: Json;
}

/** An output; `shape` is what its last value looked like, "336,776 × 19". */
export interface OutputPort {
  readonly name: string;
  readonly type: string;
  readonly connected: boolean;
  readonly shape: string | null;
  /** The columns of a table; the first of them, where `columnCount` is more; none where they are not known. */
  readonly columns: readonly Column[];
  readonly columnCount: number;
}

/** A setting with its control; `connected` when an edge feeds it instead. */
export interface Setting {
  readonly name: string;
  readonly label: string;
  readonly control: string;
  readonly value: Json;
  readonly default: Json;
  readonly connected: boolean;
  readonly min: number | null;
  readonly max: number | null;
  readonly step: number | null;
  readonly options: readonly Json[];
  readonly unit: string;
  readonly help: string;
}

export interface Column {
  readonly name: string;
  readonly type: string;
}

/** The first rows of a table; height and width are the table's own. */
export interface TablePreview {
  readonly kind: "table";
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly string[])[];
  readonly height: number | null;
  readonly width: number;
}

/**
 * An array as a line, or as a picture where it has two dimensions; `spark` holds heights in [0, 1]; `sampled`: not all
 * elements were read.
 */
export interface ArrayPreview {
  readonly kind: "array";
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly min: number | null;
  readonly max: number | null;
  readonly spark: readonly number[];
  /** Counts of equal steps from the least to the most; empty where there is nothing to count. */
  readonly histogram: readonly number[];
  readonly sampled: boolean;
  readonly image: PicturePreview | null;
}

/** A small picture, base64; width and height are its own, in pixels. */
export interface PicturePreview {
  readonly kind: "picture";
  readonly mime: string;
  readonly data: string;
  readonly width: number;
  readonly height: number;
}

export interface TextPreview {
  readonly kind: "text";
  readonly text: string;
}

export type Preview = TablePreview | ArrayPreview | PicturePreview | TextPreview;

/** All that is shown of one node. `input` is a notebook value drawn as a small source, `waiting` a stub without code. */
export interface Card {
  readonly id: string;
  /** What stands in the header where it is not the id. */
  readonly title: string;
  readonly typeId: string;
  readonly kind: "node" | "input" | "waiting";
  readonly doc: string;
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
  readonly status: string;
  readonly stamp: string | null;
  readonly reason: string;
  readonly tookS: number | null;
  readonly inputs: readonly InputPort[];
  readonly outputs: readonly OutputPort[];
  readonly settings: readonly Setting[];
  readonly preview: Preview | null;
  readonly copies: number;
  readonly copiedBytes: number;
  readonly error: Failure | null;
  readonly pinned: boolean;
  readonly bypassed: boolean;
  /** Failures that nobody took, which the flow's dead letters keep. */
  readonly letters: number;
}

/** Whether a node is made from a flow, which can be looked into. */
export const isSubflow = (card: Card | undefined): boolean => card?.kind === "node" && card.typeId.startsWith("flow.");

/**
 * An edge; `implicit` when a name made it, `carried` when data has moved along it, which took `copies` of its bytes for
 * `copyReason`.
 */
export interface Edge {
  readonly source: string;
  readonly sourcePort: string;
  readonly target: string;
  readonly targetPort: string;
  readonly implicit: boolean;
  readonly type: string;
  readonly label: string | null;
  readonly copies: number;
  readonly copiedBytes: number;
  readonly copyReason: string;
  readonly carried: boolean;
}

/** Nodes that ran as one, with the sentence that says so. */
export interface Group {
  readonly title: string;
  readonly nodes: readonly string[];
}

export interface Note {
  readonly text: string;
  readonly x: number;
  readonly y: number;
}

/** What a run did, in numbers. */
export interface Counts {
  readonly ran: number;
  readonly cached: number;
  readonly failed: number;
  readonly skipped: number;
  readonly copies: number;
  readonly copiedBytes: number;
}

export interface RunSummary extends Counts {
  readonly id: string;
  readonly status: string;
  readonly tookS: number | null;
  /** What the kernel's memory cache holds, and may hold; null without a kernel to ask. */
  readonly cacheBytes: number | null;
  readonly cacheBudgetBytes: number | null;
}

/** Something a node printed, logged, warned of or displayed. */
export interface LogLine {
  readonly stream: string;
  readonly text: string;
}

/** One attempt at firing a node; `startS` counts from the start of the run, `logCount` counts all its logs. */
export interface Span {
  readonly node: string;
  readonly status: string;
  readonly stamp: string | null;
  readonly reason: string;
  readonly startS: number | null;
  readonly tookS: number | null;
  readonly attempt: number;
  readonly rows: number | null;
  readonly columns: number | null;
  readonly copies: number;
  readonly copiedBytes: number;
  readonly copyReason: string;
  readonly logs: readonly LogLine[];
  readonly logCount: number;
  readonly error: Failure | null;
}

/** Rows that flowed from one member of a pass to another, as they were computed. */
export interface Flowed {
  readonly source: string;
  readonly target: string;
  readonly rows: number;
}

/** Lazy tables of several nodes, computed in one pass; `notFused` says of neighbours why they were left out. */
export interface Fused {
  readonly members: readonly string[];
  readonly collected: readonly string[];
  readonly startS: number;
  readonly tookS: number;
  readonly flowed: readonly Flowed[];
  readonly notFused: Readonly<Record<string, string>>;
  readonly error: string;
}

/** One run. `summarised` says that spans were left out to fit; `final` that nothing will follow. */
export interface Trace {
  readonly flow: string;
  readonly runId: string;
  readonly seq: number;
  readonly status: string;
  readonly final: boolean;
  readonly startedAt: string;
  readonly tookS: number;
  readonly summarised: boolean;
  readonly counts: Counts;
  readonly spans: readonly Span[];
  readonly fused: readonly Fused[];
}

/** A flow as it stands. `seq` grows with every change. */
export interface Snapshot {
  readonly flow: string;
  readonly seq: number;
  readonly runId: string | null;
  readonly at: string | null;
  readonly layoutHash: string;
  readonly document: Json;
  readonly nodes: readonly Card[];
  readonly edges: readonly Edge[];
  readonly groups: readonly Group[];
  readonly notes: readonly Note[];
  readonly run: RunSummary | null;
  readonly summarised: boolean;
}

/** An edge's id: its two ends, which no other edge has. */
export function edgeId(edge: Pick<Edge, "source" | "sourcePort" | "target" | "targetPort">): string {
  return `${edge.source}.${edge.sourcePort}→${edge.target}.${edge.targetPort}`;
}

/** What stands in a card's header. */
export function cardName(card: Card): string {
  return card.title || card.id;
}
