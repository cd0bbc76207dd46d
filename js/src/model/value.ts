/** One thing that changes, and whom to tell. */

import { Listeners } from "./listeners";

export class Value<T> {
  #now: T;
  readonly onChange = new Listeners();

  constructor(first: T) {
    this.#now = first;
  }

  get now(): T {
    return this.#now;
  }

  /** Nobody is told of a value that is the one there was. */
  set(next: T): void {
    if (Object.is(next, this.#now)) return;
    this.#now = next;
    this.onChange.call();
  }
}
