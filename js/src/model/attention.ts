/** What one view asks the others to look at: a cell's badge its node on the canvas, a card its cell. */
export class Attention {
  #listeners = new Set<(node: string) => void>();

  /** Be told which node to show; the returned function ends that. */
  readonly onPoint = (listener: (node: string) => void): (() => void) => {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  };

  /** Whether anybody would look. */
  get isWatched(): boolean {
    return this.#listeners.size > 0;
  }

  point(node: string): void {
    for (const listener of [...this.#listeners]) listener(node);
  }
}
