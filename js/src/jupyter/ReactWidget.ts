import { Widget } from "@lumino/widgets";
import type { ReactElement } from "react";
import { createRoot, type Root } from "react-dom/client";

/** A widget whose content React draws. It can be drawn again as often as one likes; what is the same stays in place. */
export class ReactWidget extends Widget {
  readonly #root: Root;

  constructor(className: string) {
    super();
    this.addClass(className);
    this.#root = createRoot(this.node);
  }

  draw(element: ReactElement): void {
    if (!this.isDisposed) this.#root.render(element);
  }

  override dispose(): void {
    if (this.isDisposed) return;
    super.dispose();
    // Not at once: the widget may be disposed of while React draws it.
    queueMicrotask(() => this.#root.unmount());
  }
}
