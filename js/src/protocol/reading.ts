/**
 * From JSON that anybody may have written to what the views rely on.
 *
 * In a bundle that had to shrink an absent key means its default; a value of another type than expected is read as that
 * default too. Only a bundle without its name is refused: nothing here throws.
 */

import type {
  Card,
  Column,
  Counts,
  Edge,
  Failure,
  Fused,
  Group,
  InputPort,
  Json,
  LogLine,
  Note,
  OutputPort,
  Preview,
  RunSummary,
  Setting,
  Span,
} from "../model/flow";
import { type CanvasBundle, FORMAT, type NodeBundle, type TraceBundle } from "./bundles";

type Fields = Readonly<Record<string, unknown>>;

/** Read a canvas bundle; null when it is none, or of a newer format. */
export function readCanvas(json: unknown): CanvasBundle | null {
  const fields = bundleFields(json, "canvas");
  if (!fields) return null;
  return {
    kind: "canvas",
    flow: text(fields, "flow"),
    seq: number(fields, "seq") ?? 0,
    runId: textOrNull(fields, "runId"),
    at: textOrNull(fields, "at"),
    layoutHash: text(fields, "layoutHash"),
    document: (fields["document"] ?? null) as Json,
    nodes: list(fields, "nodes").map(readCard).filter(isFound),
    edges: list(fields, "edges").map(readEdge).filter(isFound),
    groups: list(fields, "groups").map(readGroup),
    notes: list(fields, "notes").map(readNote),
    run: readRun(fields["run"]),
    summarised: fields["summarised"] === true,
  };
}

/** Read a trace bundle; null when it is none, or of a newer format. */
export function readTrace(json: unknown): TraceBundle | null {
  const fields = bundleFields(json, "trace");
  if (!fields) return null;
  return {
    kind: "trace",
    flow: text(fields, "flow"),
    runId: text(fields, "runId"),
    seq: number(fields, "seq") ?? 0,
    status: text(fields, "status", "ok"),
    final: fields["final"] === true,
    startedAt: text(fields, "startedAt"),
    tookS: number(fields, "tookS") ?? 0,
    summarised: fields["summarised"] === true,
    counts: readCounts(record(fields["counts"])),
    spans: list(fields, "spans").map(readSpan).filter(isFound),
    fused: list(fields, "fused").map(readFused),
  };
}

/** Read a node bundle; null when it is none, or of a newer format. */
export function readNode(json: unknown): NodeBundle | null {
  const fields = bundleFields(json, "node");
  if (!fields) return null;
  return {
    kind: "node",
    flow: text(fields, "flow"),
    node: text(fields, "node"),
    runId: textOrNull(fields, "runId"),
    seq: number(fields, "seq") ?? 0,
    status: text(fields, "status", "ok"),
    stamp: textOrNull(fields, "stamp"),
    reason: text(fields, "reason"),
    at: textOrNull(fields, "at"),
    key: textOrNull(fields, "key"),
    tookS: number(fields, "tookS"),
    error: readFailure(fields["error"]),
    card: readCard(fields["card"]),
  };
}

/** Read a card; null when it has no id. */
export function readCard(json: unknown): Card | null {
  const fields = record(json);
  const id = text(fields, "id");
  if (!id) return null;
  const kind = text(fields, "kind", "node");
  return {
    id,
    title: text(fields, "title"),
    typeId: text(fields, "typeId"),
    kind: kind === "input" || kind === "waiting" ? kind : "node",
    doc: text(fields, "doc"),
    x: number(fields, "x") ?? 0,
    y: number(fields, "y") ?? 0,
    w: number(fields, "w") ?? 0,
    h: number(fields, "h") ?? 0,
    status: text(fields, "status", "ok"),
    stamp: textOrNull(fields, "stamp"),
    reason: text(fields, "reason"),
    tookS: number(fields, "tookS"),
    inputs: list(fields, "inputs").map(readInput),
    outputs: list(fields, "outputs").map(readOutput),
    settings: list(fields, "settings").map(readSetting),
    preview: readPreview(fields["preview"]),
    copies: number(fields, "copies") ?? 0,
    copiedBytes: number(fields, "copiedBytes") ?? 0,
    error: readFailure(fields["error"]),
    pinned: fields["pinned"] === true,
    bypassed: fields["bypassed"] === true,
    letters: number(fields, "letters") ?? 0,
  };
}

/** Read an edge; null when an end is missing. */
export function readEdge(json: unknown): Edge | null {
  const fields = record(json);
  const source = text(fields, "source");
  const target = text(fields, "target");
  if (!source || !target) return null;
  return {
    source,
    sourcePort: text(fields, "sourcePort"),
    target,
    targetPort: text(fields, "targetPort"),
    implicit: fields["implicit"] === true,
    type: text(fields, "type", "any"),
    label: textOrNull(fields, "label"),
    copies: number(fields, "copies") ?? 0,
    copiedBytes: number(fields, "copiedBytes") ?? 0,
    copyReason: text(fields, "copyReason"),
    carried: fields["carried"] === true,
  };
}

/** Read the summary of a run; null when there is none. */
export function readRun(json: unknown): RunSummary | null {
  const fields = record(json);
  const id = text(fields, "id");
  if (!id) return null;
  return {
    id,
    status: text(fields, "status", "ok"),
    tookS: number(fields, "tookS"),
    ...readCounts(fields),
    cacheBytes: number(fields, "cacheBytes"),
    cacheBudgetBytes: number(fields, "cacheBudgetBytes"),
  };
}

function readCounts(fields: Fields): Counts {
  const count = (name: string): number => number(fields, name) ?? 0;
  return {
    ran: count("ran"),
    cached: count("cached"),
    failed: count("failed"),
    skipped: count("skipped"),
    copies: count("copies"),
    copiedBytes: count("copiedBytes"),
  };
}

function readSpan(json: unknown): Span | null {
  const fields = record(json);
  const node = text(fields, "node");
  if (!node) return null;
  return {
    node,
    status: text(fields, "status", "ok"),
    stamp: textOrNull(fields, "stamp"),
    reason: text(fields, "reason"),
    startS: number(fields, "startS"),
    tookS: number(fields, "tookS"),
    attempt: number(fields, "attempt") ?? 0,
    rows: number(fields, "rows"),
    columns: number(fields, "columns"),
    copies: number(fields, "copies") ?? 0,
    copiedBytes: number(fields, "copiedBytes") ?? 0,
    copyReason: text(fields, "copyReason"),
    logs: list(fields, "logs").map(readLog),
    logCount: number(fields, "logCount") ?? 0,
    error: readFailure(fields["error"]),
  };
}

function readFused(json: unknown): Fused {
  const fields = record(json);
  const words = (name: string): string[] => list(fields, name).map(String);
  return {
    members: words("members"),
    collected: words("collected"),
    startS: number(fields, "startS") ?? 0,
    tookS: number(fields, "tookS") ?? 0,
    flowed: list(fields, "flowed").map((entry) => {
      const flow = record(entry);
      return { source: text(flow, "source"), target: text(flow, "target"), rows: number(flow, "rows") ?? 0 };
    }),
    notFused: Object.fromEntries(Object.entries(record(fields["notFused"])).map(([name, why]) => [name, String(why)])),
    error: text(fields, "error"),
  };
}

function readLog(json: unknown): LogLine {
  const fields = record(json);
  return { stream: text(fields, "stream", "stdout"), text: text(fields, "text") };
}

function readFailure(json: unknown): Failure | null {
  const fields = record(json);
  const message = text(fields, "message");
  const code = text(fields, "code");
  if (!message && !code) return null;
  return { code, message, hint: text(fields, "hint"), line: number(fields, "line") };
}

function readInput(json: unknown): InputPort {
  const fields = record(json);
  const constant = fields["constant"] as Json | undefined;
  return {
    name: text(fields, "name"),
    type: text(fields, "type", "any"),
    connected: fields["connected"] === true,
    required: fields["required"] === true,
    ...(constant === undefined ? {} : { constant }),
  };
}

function readOutput(json: unknown): OutputPort {
  const fields = record(json);
  return {
    name: text(fields, "name"),
    type: text(fields, "type", "any"),
    connected: fields["connected"] === true,
    shape: textOrNull(fields, "shape"),
    columns: list(fields, "columns").map(readColumn),
    columnCount: number(fields, "columnCount") ?? 0,
  };
}

function readSetting(json: unknown): Setting {
  const fields = record(json);
  const name = text(fields, "name");
  return {
    name,
    label: text(fields, "label") || name,
    control: text(fields, "control", "text"),
    value: (fields["value"] ?? null) as Json,
    default: (fields["default"] ?? null) as Json,
    connected: fields["connected"] === true,
    min: number(fields, "min"),
    max: number(fields, "max"),
    step: number(fields, "step"),
    options: list(fields, "options") as readonly Json[],
    unit: text(fields, "unit"),
    help: text(fields, "help"),
  };
}

export function readPreview(json: unknown): Preview | null {
  const fields = record(json);
  const numbers = (key: string): readonly number[] => list(fields, key).filter((item) => typeof item === "number");
  switch (fields["kind"]) {
    case "table":
      return {
        kind: "table",
        columns: list(fields, "columns").map(readColumn),
        rows: list(fields, "rows").map((row) => (Array.isArray(row) ? row.map(String) : [])),
        height: number(fields, "height"),
        width: number(fields, "width") ?? 0,
      };
    case "array": {
      const image = readPreview(fields["image"]);
      return {
        kind: "array",
        dtype: text(fields, "dtype"),
        shape: numbers("shape"),
        min: number(fields, "min"),
        max: number(fields, "max"),
        spark: numbers("spark"),
        histogram: numbers("histogram"),
        sampled: fields["sampled"] === true,
        image: image?.kind === "picture" ? image : null,
      };
    }
    case "picture":
      return {
        kind: "picture",
        mime: text(fields, "mime"),
        data: text(fields, "data"),
        width: number(fields, "width") ?? 0,
        height: number(fields, "height") ?? 0,
      };
    case "text":
      return { kind: "text", text: text(fields, "text") };
    default:
      return null;
  }
}

export function readColumn(json: unknown): Column {
  const fields = record(json);
  return { name: text(fields, "name"), type: text(fields, "type") };
}

function readGroup(json: unknown): Group {
  const fields = record(json);
  const nodes = list(fields, "nodes").filter((item) => typeof item === "string");
  return { title: text(fields, "title"), nodes };
}

function readNote(json: unknown): Note {
  const fields = record(json);
  return { text: text(fields, "text"), x: number(fields, "x") ?? 0, y: number(fields, "y") ?? 0 };
}

function bundleFields(json: unknown, kind: string): Fields | null {
  const fields = record(json);
  return fields["kind"] === kind && text(fields, "flow") && text(fields, "flowbook", FORMAT) === FORMAT ? fields : null;
}

export function record(json: unknown): Fields {
  return typeof json === "object" && json !== null && !Array.isArray(json) ? (json as Fields) : {};
}

export function text(fields: Fields, key: string, otherwise = ""): string {
  const found = fields[key];
  return typeof found === "string" ? found : otherwise;
}

export function textOrNull(fields: Fields, key: string): string | null {
  const found = fields[key];
  return typeof found === "string" ? found : null;
}

export function number(fields: Fields, key: string): number | null {
  const found = fields[key];
  return typeof found === "number" && Number.isFinite(found) ? found : null;
}

export function list(fields: Fields, key: string): readonly unknown[] {
  const found = fields[key];
  return Array.isArray(found) ? found : [];
}

export const isFound = <T>(item: T | null): item is T => item !== null;
