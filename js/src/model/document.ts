/** What only a flow's document tells: who placed a card, what a node's policy says, which implicit edges were cut. */

import type { Json } from "./flow";
import type { Point } from "./geometry";

export interface Cut {
  readonly source: string;
  readonly target: string;
  readonly targetPort: string;
}

export interface EdgeFacts extends Cut {
  readonly fields: Readonly<Record<string, Json>>;
}

export interface DocumentFacts {
  /** Null: the layout places the node. A node that is not listed is not in the document. */
  readonly positions: ReadonlyMap<string, Point | null>;
  readonly policies: ReadonlyMap<string, Readonly<Record<string, Json>>>;
  readonly cuts: readonly Cut[];
  /** What is said of edges beyond their ends. */
  readonly edges: readonly EdgeFacts[];
  /** Whether positions were written at all: a snapshot leaves them out. */
  readonly hasPositions: boolean;
}

/** Read the facts of a document's text; null when it is none. */
export function readDocument(text: string): DocumentFacts | null {
  try {
    return documentFacts(JSON.parse(text) as Json, true);
  } catch {
    return null;
  }
}

/** Read the facts of a document; fields of another shape are passed over. */
export function documentFacts(document: Json, hasPositions: boolean): DocumentFacts | null {
  if (!isRecord(document)) return null;
  const positions = new Map<string, Point | null>();
  const policies = new Map<string, Readonly<Record<string, Json>>>();
  for (const node of records(document["nodes"])) {
    const id = node["id"];
    if (typeof id !== "string") continue;
    positions.set(id, pointOf(node["position"]));
    if (isRecord(node["policy"])) policies.set(id, node["policy"]);
  }
  const cuts = records(document["cuts"]).flatMap(({ source, target, targetPort }) =>
    typeof source === "string" && typeof target === "string" && typeof targetPort === "string"
      ? [{ source, target, targetPort }]
      : [],
  );
  const edges = records(document["edges"]).flatMap(({ source, sourcePort: _, target, targetPort, ...fields }) =>
    typeof source === "string" && typeof target === "string" && typeof targetPort === "string"
      ? [{ source, target, targetPort, fields }]
      : [],
  );
  return { positions, policies, cuts, edges, hasPositions };
}

/** What a document says of an edge beyond its ends, as operations bear it. */
export function fieldsOf(
  { source, target, targetPort }: Cut,
  facts: DocumentFacts | null,
): { readonly fields?: Readonly<Record<string, Json>> } {
  const found = facts?.edges.find(
    (edge) => edge.source === source && edge.target === target && edge.targetPort === targetPort,
  );
  return found && Object.keys(found.fields).length ? { fields: found.fields } : {};
}

type JsonRecord = { readonly [key: string]: Json };

function isRecord(json: Json | undefined): json is JsonRecord {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

function records(json: Json | undefined): readonly JsonRecord[] {
  return Array.isArray(json) ? json.filter(isRecord) : [];
}

function pointOf(json: Json | undefined): Point | null {
  if (!isRecord(json)) return null;
  const { x, y } = json;
  return typeof x === "number" && typeof y === "number" ? { x, y } : null;
}
