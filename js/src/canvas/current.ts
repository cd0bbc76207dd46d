/** The canvas that has the focus, or had it last: the one that commands from elsewhere in the page are about. */

import { Value } from "../model/value";
import type { CanvasContext } from "./actions";

const current = new Value<CanvasContext | null>(null);
const contexts = new WeakMap<Element, CanvasContext>();

/** Told when another canvas got the focus, or the last one went. */
export const onCurrentCanvas = current.onChange;

/** Null while there is no canvas, or none was ever touched. */
export function currentCanvas(): CanvasContext | null {
  return current.now;
}

/** The canvas around an element; null outside of all. */
export function canvasAround(element: Element): CanvasContext | null {
  const root = element.closest(".fb-canvas");
  return (root && contexts.get(root)) ?? null;
}

/** A canvas is drawn in an element; the returned function says that it no longer is. */
export function registerCanvas(element: Element, context: CanvasContext): () => void {
  contexts.set(element, context);
  return () => {
    contexts.delete(element);
    if (current.now === context) current.set(null);
  };
}

/** A canvas got the focus. */
export function focusCanvas(context: CanvasContext): void {
  current.set(context);
}
