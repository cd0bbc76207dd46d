/** What is chosen in one view. Every view has its own; the flow knows nothing of it. */

import { Listeners } from "./listeners";

export class Selection {
  #nodes: ReadonlySet<string> = new Set();
  #edges: ReadonlySet<string> = new Set();
  readonly onChange = new Listeners();

  get nodes(): ReadonlySet<string> {
    return this.#nodes;
  }

  get edges(): ReadonlySet<string> {
    return this.#edges;
  }

  /** The node that was chosen last: the one that keys act on when only one can be meant. */
  get primary(): string | null {
    return [...this.#nodes].at(-1) ?? null;
  }

  get isEmpty(): boolean {
    return !this.#nodes.size && !this.#edges.size;
  }

  choose(nodes: Iterable<string>, edges: Iterable<string> = []): void {
    const chosen = new Set(nodes);
    const chosenEdges = new Set(edges);
    if (isSame(chosen, this.#nodes) && isSame(chosenEdges, this.#edges)) return;
    this.#nodes = chosen;
    this.#edges = chosenEdges;
    this.onChange.call();
  }

  /** Choose a node beside those that are; a chosen one becomes the primary one. */
  extend(node: string): void {
    this.choose([...[...this.#nodes].filter((id) => id !== node), node], this.#edges);
  }

  /** A node has another id now. */
  rename(from: string, to: string): void {
    if (!this.#nodes.has(from)) return;
    this.choose(
      [...this.#nodes].map((id) => (id === from ? to : id)),
      this.#edges,
    );
  }

  /** Forget what is no longer there. */
  retain(nodes: ReadonlyMap<string, unknown>, edges: ReadonlyMap<string, unknown>): void {
    this.choose(
      [...this.#nodes].filter((id) => nodes.has(id)),
      [...this.#edges].filter((id) => edges.has(id)),
    );
  }
}

/** Also the same order: the last one counts. */
function isSame(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  if (one.size !== other.size) return false;
  const ids = other.values();
  for (const id of one) if (id !== ids.next().value) return false;
  return true;
}
