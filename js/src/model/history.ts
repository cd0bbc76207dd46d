/** What was done to a flow in this browser, so that it can be undone and done again. */

import type { Change } from "./operations";

/** One gesture of a person. */
export interface Step {
  readonly label: string;
  /** Steps that follow each other with the same key are one gesture: a slider that is dragged, a name being typed. */
  readonly key: string | null;
  readonly redo: readonly Change[];
  readonly undo: readonly Change[];
  /** The messages that carried it; when the kernel refuses one, the step never was. */
  readonly cids: readonly string[];
}

const MOST_STEPS = 200;

export class History {
  #done: readonly Step[] = [];
  #undone: readonly Step[] = [];
  #isOpen = false;
  /** How many steps lie before those that are remembered. */
  #before = 0;

  /** What undo would take back; null when nothing is left. */
  get last(): Step | null {
    return this.#done.at(-1) ?? null;
  }

  /** What redo would do again. */
  get next(): Step | null {
    return this.#undone.at(-1) ?? null;
  }

  /** Remember a step; what was undone before it cannot be done again. */
  add(step: Step): void {
    const last = this.last;
    const continues = this.#isOpen && last !== null && step.key !== null && last.key === step.key;
    const whole: Step = continues
      ? {
          ...step,
          redo: condensed([...last.redo, ...step.redo]),
          undo: last.undo,
          cids: [...last.cids, ...step.cids],
        }
      : step;
    const all = [...(continues ? this.#done.slice(0, -1) : this.#done), whole];
    this.#done = all.slice(-MOST_STEPS);
    this.#before += all.length - this.#done.length;
    this.#undone = [];
    this.#isOpen = step.key !== null;
  }

  /** The gesture is over: what follows is another one. */
  close(): void {
    this.#isOpen = false;
  }

  /** Take the last step back; `cids` are the messages that do. */
  undo(cids: readonly string[]): void {
    const step = this.last;
    if (!step) return;
    this.#isOpen = false;
    this.#done = this.#done.slice(0, -1);
    this.#undone = [...this.#undone, { ...step, cids }];
  }

  /** Do the last step that was taken back again. */
  redo(cids: readonly string[]): void {
    const step = this.next;
    if (!step) return;
    this.#isOpen = false;
    this.#undone = this.#undone.slice(0, -1);
    this.#done = [...this.#done, { ...step, cids }];
  }

  /** How many steps are done, without those at the end of which no message has arrived: `waiting` lists them. */
  depthWithout(waiting: ReadonlySet<string>): number {
    const isOnItsWay = ({ cids }: Step): boolean => cids.length > 0 && cids.every((cid) => waiting.has(cid));
    return this.#before + this.#done.findLastIndex((step) => !isOnItsWay(step)) + 1;
  }

  /** Step back or forth, as far as it goes, until so many steps are done. */
  goTo(depth: number): void {
    this.close();
    while (this.last && this.#before + this.#done.length > depth) this.undo([]);
    while (this.next && this.#before + this.#done.length < depth) this.redo([]);
  }

  /** Forget the step a message carried; true when there was one. */
  forget(cid: string): boolean {
    const isOther = (step: Step): boolean => !step.cids.includes(cid);
    const count = this.#done.length + this.#undone.length;
    this.#done = this.#done.filter(isOther);
    this.#undone = this.#undone.filter(isOther);
    return this.#done.length + this.#undone.length < count;
  }

  clear(): void {
    this.#before += this.#done.length; // whoever remembers a depth finds nothing there
    this.#done = [];
    this.#undone = [];
    this.#isOpen = false;
  }
}

/** Leave out what a later change of the same thing makes void. */
function condensed(changes: readonly Change[]): readonly Change[] {
  const last = new Map<string, number>();
  const target = (change: Change): string | null =>
    change.op === "set" ? `set ${change.node} ${change.name}` : change.op === "move" ? `move ${change.node}` : null;
  changes.forEach((change, place) => {
    const key = target(change);
    if (key !== null) last.set(key, place);
  });
  return changes.filter((change, place) => {
    const key = target(change);
    return key === null || last.get(key) === place;
  });
}
