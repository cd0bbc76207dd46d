/**
 * What browser and kernel say to each other over the comm `flowbook.control`, each message told apart by its `kind`.
 *
 * The browser opens the comm. The kernel sends numbered batches (`seq` counts per flow and comm, from 1; a gap is
 * answered by `resync`) and an ack or a reject for every message that bears a `cid`.
 */

import type { TypeEntry } from "../model/catalogue";
import type { Scope } from "../model/editor";
import type { Card, Edge, Json, RunSummary } from "../model/flow";
import type { CellNews } from "../model/flowCell";
import type { EditOp } from "../model/operations";
import type { CanvasBundle, NodeBundle, TraceBundle } from "./bundles";
import { isFound, readCanvas, readCard, readEdge, readNode, readRun, readTrace, record, text } from "./reading";
import { type Bytes, readTable, type TableAnswer, type TableRequest } from "./tables";

export const COMM_TARGET = "flowbook.control";
export const PROTOCOL = 1;

export type BrowserMessage =
  /** `pong`: this browser answers pings, and may be forgotten when it does not. */
  | { readonly kind: "hello"; readonly protocol: number; readonly pong: true }
  | { readonly kind: "pong" }
  /** Tell me of a flow, and of these runs, whose traces are shown here; told again, everything comes anew. */
  | { readonly kind: "subscribe"; readonly flow: string; readonly runs: readonly string[] }
  | { readonly kind: "unsubscribe"; readonly flow: string }
  | ({ readonly kind: "run"; readonly flow: string; readonly cid: string } & Scope)
  | { readonly kind: "cancel"; readonly flow: string; readonly cid: string }
  | {
      readonly kind: "set";
      readonly flow: string;
      readonly cid: string;
      readonly baseRev: number;
      readonly node: string;
      readonly name: string;
      readonly value: Json;
    }
  | {
      readonly kind: "edit";
      readonly flow: string;
      readonly cid: string;
      readonly baseRev: number;
      readonly ops: readonly EditOp[];
    }
  | { readonly kind: "resync"; readonly flow: string; readonly runs: readonly string[] }
  /** The flow's cell holds this document now, without its magic line. */
  | { readonly kind: "wrote"; readonly flow: string; readonly text: string; readonly cellId: string }
  /** Ask to be the one who writes, or decline: there is no such cell here, or it may not be written. */
  | { readonly kind: "lease"; readonly flow: string; readonly held: boolean }
  | TableRequest;

/** The mime bundle that an output is to hold. */
export type OutputData = Readonly<Record<string, unknown>>;

/** A node whose output changed. */
export interface NodeNews {
  readonly node: NodeBundle;
  readonly data: OutputData;
  /** Parts were left out because they are too large to be sent: it is not to be stored. */
  readonly shrunk: boolean;
}

/** Another output that changed, as it is to be stored: of the flow's canvas, or of the run with that id. */
export interface OutputNews {
  readonly kind: "canvas" | "trace";
  readonly runId: string | null;
  readonly data: OutputData;
}

export interface Hello {
  readonly kind: "hello";
  readonly protocol: number;
  readonly flows: readonly string[];
  readonly current: string | null;
  readonly types: readonly TypeEntry[];
}

export interface Batch {
  readonly kind: "batch";
  readonly flow: string;
  readonly seq: number;
  readonly rev: number;
  readonly canvas: CanvasBundle | null;
  readonly cards: readonly Card[];
  readonly edges: readonly Edge[] | null;
  /** Undefined when it did not change. */
  readonly run: RunSummary | null | undefined;
  readonly trace: TraceBundle | null;
  readonly document: string | null;
  /** How the document and the text of its cell stand to each other, when that changed. */
  readonly cell: CellNews | null;
  readonly nodes: readonly NodeNews[];
  readonly outputs: readonly OutputNews[];
}

/** Whether somebody is still there. */
export interface Ping {
  readonly kind: "ping";
}

/** There is no flow of that name in this kernel yet; a batch follows when there is. */
export interface Absent {
  readonly kind: "absent";
  readonly flow: string;
}

export interface Ack {
  readonly kind: "ack";
  readonly cid: string;
  readonly flow: string;
  readonly rev: number;
}

export interface Reject {
  readonly kind: "reject";
  readonly cid: string;
  readonly flow: string;
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly rev: number;
}

/** Whether this browser is the one that writes the flow's document into its cell. */
export interface Lease {
  readonly kind: "lease";
  readonly flow: string;
  readonly held: boolean;
}

export type KernelMessage = Hello | Ping | Absent | Lease | Batch | Ack | Reject | TableAnswer;

/**
 * Read what came from the kernel; null for a message nobody knows (a newer kernel may say more).
 *
 * `buffers` are the bytes that came beside it.
 */
export function readKernelMessage(json: unknown, buffers: readonly Bytes[] = []): KernelMessage | null {
  if (typeof json !== "object" || json === null) return null;
  const fields = json as Readonly<Record<string, unknown>>;
  const text = (key: string): string => (typeof fields[key] === "string" ? fields[key] : "");
  const count = (key: string): number => (typeof fields[key] === "number" ? fields[key] : 0);
  const list = (key: string): readonly unknown[] => (Array.isArray(fields[key]) ? fields[key] : []);
  switch (fields["kind"]) {
    case "hello":
      return {
        kind: "hello",
        protocol: count("protocol"),
        flows: list("flows").filter((name) => typeof name === "string"),
        current: text("current") || null,
        types: list("types").map(readType),
      };
    case "batch":
      return {
        kind: "batch",
        flow: text("flow"),
        seq: count("seq"),
        rev: count("rev"),
        canvas: readCanvas(fields["canvas"]),
        cards: list("cards").map(readCard).filter(isFound),
        edges: Array.isArray(fields["edges"]) ? fields["edges"].map(readEdge).filter(isFound) : null,
        run: fields["run"] === undefined ? undefined : readRun(fields["run"]),
        trace: readTrace(fields["trace"]),
        document: typeof fields["document"] === "string" ? fields["document"] : null,
        cell: readCellNews(fields["cell"]),
        nodes: list("nodes").map(readNews).filter(isFound),
        outputs: list("outputs").map(readOutput).filter(isFound),
      };
    case "ping":
      return { kind: "ping" };
    case "absent":
      return { kind: "absent", flow: text("flow") };
    case "lease":
      return { kind: "lease", flow: text("flow"), held: fields["held"] === true };
    case "ack":
      return { kind: "ack", cid: text("cid"), flow: text("flow"), rev: count("rev") };
    case "reject":
      return {
        kind: "reject",
        cid: text("cid"),
        flow: text("flow"),
        code: text("code"),
        message: text("message"),
        hint: text("hint"),
        rev: count("rev"),
      };
    case "table":
      return readTable(fields, buffers);
    default:
      return null;
  }
}

function readCellNews(json: unknown): CellNews | null {
  if (typeof json !== "object" || json === null) return null;
  const fields = record(json);
  const text = (key: string): string | null => (typeof fields[key] === "string" ? fields[key] : null);
  return { id: text("id"), text: text("text"), due: fields["due"] === true };
}

function readNews(json: unknown): NodeNews | null {
  const node = readNode(json);
  const fields = record(json);
  return node && { node, data: record(fields["data"]), shrunk: fields["shrunk"] === true };
}

function readOutput(json: unknown): OutputNews | null {
  const fields = record(json);
  const kind = fields["kind"];
  if (kind !== "canvas" && kind !== "trace") return null;
  return { kind, runId: text(fields, "runId") || null, data: record(fields["data"]) };
}

function readType(json: unknown): TypeEntry {
  const fields = record(json);
  const typeId = text(fields, "typeId");
  return {
    typeId,
    label: text(fields, "label") || typeId,
    doc: text(fields, "doc"),
    inputs: readPorts(fields["inputs"]),
    outputs: readPorts(fields["outputs"]),
  };
}

function readPorts(json: unknown): readonly { name: string; type: string; required: boolean }[] | null {
  if (!Array.isArray(json)) return null;
  return json
    .map(record)
    .map((port) => ({
      name: text(port, "name"),
      type: text(port, "type") || "any",
      required: port["required"] !== false,
    }))
    .filter(({ name }) => name);
}
