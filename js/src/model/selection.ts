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

  choose(nodes: Iterable<string>, edges: Iterable<string> = []): void {
    this.#nodes = new Set(nodes);
    this.#edges = new Set(edges);
    this.onChange.call();
  }

  /** Forget what is no longer there. */
  retain(nodes: ReadonlyMap<string, unknown>, edges: ReadonlyMap<string, unknown>): void {
    const gone = [...this.#nodes].some((id) => !nodes.has(id)) || [...this.#edges].some((id) => !edges.has(id));
    if (!gone) return;
    this.choose(
      [...this.#nodes].filter((id) => nodes.has(id)),
      [...this.#edges].filter((id) => edges.has(id)),
    );
  }
}
