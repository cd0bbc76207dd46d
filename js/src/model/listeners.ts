/** A list of functions to call when something changed. */
export class Listeners {
  #called = new Set<() => void>();

  /** Add a function; the returned one takes it out again. */
  readonly add = (listener: () => void): (() => void) => {
    this.#called.add(listener);
    return () => {
      this.#called.delete(listener);
    };
  };

  get size(): number {
    return this.#called.size;
  }

  call(): void {
    for (const listener of [...this.#called]) listener();
  }
}
