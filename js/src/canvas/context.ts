/** What every part of a canvas needs of it, and how the parts read the store. */

import { createContext, useCallback, useContext, useSyncExternalStore } from "react";
import type { Card, Edge } from "../model/flow";
import type { Listeners } from "../model/listeners";
import type { FlowStore } from "../model/store";
import type { Value } from "../model/value";
import type { Way } from "../model/ways";
import type { CanvasContext } from "./actions";

export interface CanvasParts extends CanvasContext {
  readonly ways: ReadonlyMap<string, Way>;
  /** The id of the element that shows a card, in this canvas alone. */
  readonly elementId: (node: string) => string;
}

const PartsContext = createContext<CanvasParts | null>(null);

export const CanvasProvider = PartsContext.Provider;

export function useCanvas(): CanvasParts {
  const parts = useContext(PartsContext);
  if (!parts) throw new Error("a part of a canvas stands outside of one");
  return parts;
}

/** Read something whenever the listeners are called; `read` has to return the same thing while nothing changed. */
export function useChanging<T>(listeners: Listeners, read: () => T): T {
  return useSyncExternalStore(listeners.add, read, read);
}

export function useValue<T>(value: Value<T>): T {
  return useChanging(value.onChange, () => value.now);
}

/** One card; drawn again only when that card changed. */
export function useCard(store: FlowStore, id: string): Card | undefined {
  const subscribe = useCallback((listener: () => void) => store.onCard(id, listener), [store, id]);
  const read = useCallback(() => store.card(id), [store, id]);
  return useSyncExternalStore(subscribe, read, read);
}

/** One edge; drawn again only when that edge changed. */
export function useEdge(store: FlowStore, id: string): Edge | undefined {
  const subscribe = useCallback((listener: () => void) => store.onEdge(id, listener), [store, id]);
  const read = useCallback(() => store.edge(id), [store, id]);
  return useSyncExternalStore(subscribe, read, read);
}

export function useIsLive(store: FlowStore): boolean {
  return useChanging(store.onConnection, () => store.isLive);
}
