/** What flowbook's plugins share with each other. */

import type { NotebookPanel } from "@jupyterlab/notebook";
import { Token } from "@lumino/coreutils";
import type { Action } from "../canvas/actions";
import type { Controls } from "./Controls";
import type { Keepers } from "./Keepers";
import type { OpenNotebooks } from "./OpenNotebooks";

/** The flows of the notebooks that are open. */
export interface NotebookFlows {
  /** How to talk to their kernels. */
  readonly controls: Controls;
  /** Where their cells are. */
  readonly notebooks: OpenNotebooks;
  /** Who keeps their documents. */
  readonly keepers: Keepers;
  /** What a notebook adds to the actions of a canvas that stands in it, or beside it. */
  hostActions(panel: NotebookPanel): readonly Action[];
}

export const INotebookFlows = new Token<NotebookFlows>("flowbook:INotebookFlows", "The flows of open notebooks.");
