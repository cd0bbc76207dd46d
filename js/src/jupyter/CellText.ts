/** The text of one code cell: written so that whoever types in it keeps cursor and words, and undone by its own history. */

import { type FlowCell, flowOf } from "../model/flowCell";
import { lineDiff } from "../model/lineDiff";

/** What of a cell's model is needed; JupyterLab's own, which is no singleton and so never imported. */
export interface CellModel {
  readonly id: string;
  readonly type: string;
  /** Whether JupyterLab marks the cell as changed since it was run. */
  isDirty?: boolean;
  readonly sharedModel: SharedText;
  getMetadata(key: string): unknown;
}

/** The text that views, and people who work together, share. */
export interface SharedText {
  getSource(): string;
  updateSource(start: number, end: number, text?: string): void;
  transact(change: () => void): void;
  undo(): boolean;
  redo(): boolean;
  readonly undoManager?: { stopCapturing(): void } | null;
  /** Where each cell has a history of its own; else one undo may change any cell of the notebook. */
  readonly notebook?: { readonly disableDocumentWideUndoRedo?: boolean } | null;
}

export class CellText implements FlowCell {
  readonly #model: CellModel;

  constructor(model: CellModel) {
    this.#model = model;
  }

  get id(): string {
    return this.#model.id;
  }

  get text(): string {
    return this.#model.sharedModel.getSource();
  }

  /** The flow whose document it holds. */
  get flow(): string | null {
    return this.#model.type === "code" ? flowOf(this.text) : null;
  }

  /** Whether the notebook says that it is not to be changed, or not to be lost. */
  get isLocked(): boolean {
    return this.#model.getMetadata("editable") === false || this.#model.getMetadata("deletable") === false;
  }

  /** Write a text as one step of the cell's history, touching only what differs; whoever ran it need not run it again. */
  write(text: string): void {
    const shared = this.#model.sharedModel;
    const splices = lineDiff(shared.getSource(), text);
    if (splices.length) {
      shared.undoManager?.stopCapturing();
      shared.transact(() => {
        for (const splice of splices.toReversed()) shared.updateSource(splice.start, splice.end, splice.text);
      });
      shared.undoManager?.stopCapturing();
    }
    this.markSeen(true);
  }

  /** Take the last write back, so that the text is `before` again. */
  undo(before: string): void {
    this.#step(before, (shared) => shared.undo());
  }

  /** Carry a write that was taken back out again, so that the text is `after`. */
  redo(after: string): void {
    this.#step(after, (shared) => shared.redo());
  }

  /** Set or clear the marker of a cell that was changed since it was run. */
  markSeen(isSeen: boolean): void {
    if ("isDirty" in this.#model) this.#model.isDirty = !isSeen;
  }

  #step(to: string, take: (shared: SharedText) => boolean): void {
    const shared = this.#model.sharedModel;
    if (shared.notebook?.disableDocumentWideUndoRedo !== false) take(shared);
    // One history for all cells, or one that was cleared, or that joined steps we kept apart: the text is what counts.
    if (this.text !== to) this.write(to);
    this.markSeen(true);
  }
}
