/** What one view of a flow is about at the moment: selection, what is open, what has to be said. */

import type { PortEnd } from "./catalogue";
import type { Point } from "./geometry";
import type { Linking } from "./linking";
import { Selection } from "./selection";
import { Value } from "./value";

/** What stands above the canvas; `place` in pixels of the window, null: in the middle of the canvas. */
export type Popup =
  /** Add a node at a point of the canvas, joined to the port an edge was drawn from. */
  | { readonly kind: "add"; readonly place: Point | null; readonly at: Point | null; readonly from: PortEnd | null }
  /** Connect a node: choose its port, then the other end; only at the ports of `to` when it is given. */
  | {
      readonly kind: "connect";
      readonly place: Point | null;
      readonly node: string;
      readonly from: PortEnd | null;
      readonly to: string | null;
    }
  | { readonly kind: "menu"; readonly place: Point; readonly about: About }
  | { readonly kind: "help"; readonly place: null };

/** What a menu is about. */
export type About = "node" | "edge" | "ground";

/** Something to be said; a refusal of the kernel stays until it is dismissed, see FlowStore. */
export interface Notice {
  readonly words: string;
  readonly isRefusal: boolean;
}

export class CanvasView {
  readonly selection = new Selection();
  readonly popup = new Value<Popup | null>(null);
  /** The node whose name is being written. */
  readonly renaming = new Value<string | null>(null);
  /** The edge that is being drawn. */
  readonly linking = new Value<Linking | null>(null);
  /** Whether the chosen node is shown with all its settings. */
  readonly isInspecting = new Value(false);
  readonly notice = new Value<Notice | null>(null);
  /** The node made from a flow that is looked into: what is in it is shown in place of this canvas. */
  readonly inside = new Value<string | null>(null);
  /** A node that something else on the page speaks of, and that is shown for it. */
  readonly pointed = new Value<string | null>(null);

  /** Say something; nothing is said of an empty text, and what was said before is over. */
  tell(words: string, isRefusal = true): void {
    this.notice.set(words ? { words, isRefusal } : null);
  }
}
