/**
 * Who keeps a flow's document where people find it again, as a canvas sees it: the text of a cell, where there is one.
 *
 * A canvas draws what has to be said about it, and asks it first when something is to be undone: a change that was
 * written into a cell is undone there, so that the cell's own history and the canvas never part.
 */

import type { Listeners } from "./listeners";

/**
 * How the document and the text of its cell stand to each other.
 *
 * - kept: nothing has to be said
 * - differs: the text was changed by hand since the kernel saw it; the document is not written over it
 * - locked: the cell may not be changed
 * - several: several cells hold the flow; the one that was run last counts
 * - absent: no cell holds the flow
 */
export type KeepingState =
  | { readonly kind: "kept" }
  | { readonly kind: "differs" }
  | { readonly kind: "locked" }
  | { readonly kind: "several"; readonly count: number }
  | { readonly kind: "absent" };

/** Undo and redo where the document is kept; each says whether it has done it. */
export interface DocumentHistory {
  undo(): boolean;
  redo(): boolean;
}

export interface DocumentKeeper {
  readonly state: KeepingState;
  readonly onState: Listeners;
  readonly history: DocumentHistory;
  /** Write the document over the text that was changed by hand. */
  useCanvas(): void;
  /** Make the flow what the text says. */
  useText(): void;
  /** Put the document into a new cell: no cell holds it, or one that may not be changed. */
  keepInNotebook(): void;
  /** Give the document to the clipboard. */
  copyDocument(): void;
  /** Give the document to the person as a file; where it is offered, no cell can be written. */
  saveToFile?(): void;
}
