/**
 * Work that nobody looks at, put off until what came with it has been painted.
 *
 * What the kernel made is written into the notebook, which costs more than showing it: an output is compared with what is
 * stored, and drawn anew by everybody who shows it. Somebody who moves a slider waits for the picture, not for that.
 */

/** A page that is not in sight paints nothing. */
const UNSEEN_MS = 250;

const waiting = new Set<() => void>();
let isDue = false;

/** Do a job once what is shown now was painted; the same job asked for again before that is done once. */
export function afterPaint(job: () => void): void {
  waiting.add(job);
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => setTimeout(doNow, 0));
  setTimeout(doNow, UNSEEN_MS);
}

/** Do what was put off: the notebook is about to be saved, or closed. One job that fails keeps no other from being done. */
export function doNow(): void {
  isDue = false;
  const jobs = [...waiting];
  waiting.clear();
  for (const job of jobs) {
    try {
      job();
    } catch (error) {
      reportError(error);
    }
  }
}
