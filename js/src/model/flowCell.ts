/**
 * Cells that hold a flow's document: which one counts, and whether it may be written.
 *
 * A cell's text is written only while it says what the kernel saw of it last, so that nothing that was typed is ever
 * lost; by one browser only; never where the notebook says that a cell is not to be changed.
 */

/** A cell whose first line says `%%flow`. */
export interface FlowCell {
  readonly id: string;
  readonly text: string;
  readonly isLocked: boolean;
}

/** What the kernel knows of a flow's cell. */
export interface CellNews {
  /** The cell that was run last, or that a browser told it of. */
  readonly id: string | null;
  /** Its document as the kernel has seen it, without magic line and trailing white space; null: it has seen none. */
  readonly text: string | null;
  /** Whether the flow was edited since, so that its document is to be written in place of that text. */
  readonly due: boolean;
}

/** What is to be done about a flow's cell; `several` counts the cells that hold the flow when they are more than one. */
export type Verdict<C extends FlowCell = FlowCell> =
  | { readonly kind: "rest" | "absent"; readonly several: number }
  | { readonly kind: "write" | "differs" | "locked"; readonly cell: C; readonly several: number };

const FLOW_LINE = /^(?:[^\S\n]*\n)*[^\S\n]*%%flow[^\S\n]+(\S+)[^\n]*/;
const NODE_LINE =
  /^(?:[^\S\n]*\n)*[^\S\n]*%%node(?:[^\S\n]+(?:([\p{L}\p{N}_]+)\.)?([\p{L}_][\p{L}\p{N}_]*))?(?=[\s(]|$)/u;

/** The flow whose document a cell holds; null for any other cell. */
export function flowOf(text: string): string | null {
  return FLOW_LINE.exec(text)?.[1] ?? null;
}

/** The node that a cell's magic line names, and its flow where the line says it; null for any other cell. */
export function nodeOf(text: string): { readonly flow: string | null; readonly node: string } | null {
  const found = NODE_LINE.exec(text);
  return found?.[2] ? { flow: found[1] ?? null, node: found[2] } : null;
}

/** The document that a cell holds, as the kernel sees it: without the magic line and the white space at its end. */
export function documentIn(text: string): string {
  return text
    .slice(FLOW_LINE.exec(text)?.[0].length ?? 0)
    .replace(/^\n/, "")
    .trimEnd();
}

/** The text of a cell that is to hold a document: its magic line stays as it is, and so do empty lines at its end. */
export function withDocument(text: string, document: string): string {
  const line = FLOW_LINE.exec(text)?.[0] ?? "";
  const before = text.slice(line.length);
  const tail = before.slice(before.trimEnd().length);
  return `${line}\n${document.trimEnd()}${before.trim() ? tail : ""}`;
}

/** The text of a new cell for a flow. */
export function cellTextOf(flow: string, document: string): string {
  return withDocument(`%%flow ${flow}`, document);
}

/** The cell that counts: the only one, else the one the kernel knows; null when several are unknown to it. */
export function cellThatCounts<C extends FlowCell>(cells: readonly C[], news: CellNews): C | null {
  return cells.find((cell) => cell.id === news.id) ?? (cells.length === 1 ? (cells[0] ?? null) : null);
}

/** What this browser knows besides. */
export interface Standing {
  /** Whether it is the one that writes. */
  readonly isWriter: boolean;
  /** Whether it edited the flow: a text that no kernel saw is then behind, too. */
  readonly isEdited: boolean;
  /**
   * Further documents that the kernel has seen although it says otherwise: what was written here a moment ago, and what
   * stood in the cell, untouched since, when another browser's writing went past it.
   */
  readonly known: ReadonlySet<string>;
}

/** Decide about a flow's cell. */
export function judge<C extends FlowCell>(cells: readonly C[], news: CellNews, standing: Standing): Verdict<C> {
  const several = cells.length > 1 ? cells.length : 0;
  if (!cells.length) return { kind: "absent", several };
  const cell = cellThatCounts(cells, news) ?? cells[0];
  const isBehind = news.due || (news.text === null && standing.isEdited);
  if (!cell || !isBehind) return { kind: "rest", several };
  if (cell.isLocked) return { kind: "locked", cell, several };
  if (!standing.isWriter) return { kind: "rest", several };
  const document = documentIn(cell.text);
  const isSeen = document === news.text || standing.known.has(document);
  return { kind: isSeen ? "write" : "differs", cell, several };
}
