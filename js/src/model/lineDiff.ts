/**
 * The smallest edits that turn one text into another, line by line.
 *
 * Whoever has a cursor in a line that stays keeps it, and what is typed there at the same moment stays too: only what
 * differs is replaced. Lines are matched by the greedy algorithm of E. Myers, "An O(ND) Difference Algorithm and Its
 * Variations", Algorithmica 1986; inside of lines that differ, the ends they have in common are left alone.
 */

/** Replace `[start, end)` of the old text, in UTF-16 units, by `text`. */
export interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** With more lines than this that differ, nobody is served by matching the rest: they are replaced as one. */
const MOST_DIFFERENCES = 1000;

/** Lines `[from, to)` of the old text that become lines `[nowFrom, nowTo)` of the new one. */
interface Hunk {
  readonly from: number;
  readonly to: number;
  readonly nowFrom: number;
  readonly nowTo: number;
}

/** Find what has to be replaced in `before` to get `after`: in order, never touching each other. */
export function lineDiff(before: string, after: string): readonly Splice[] {
  if (before === after) return [];
  const old = linesOf(before);
  const now = linesOf(after);
  const starts = startsOf(old);
  const found: Splice[] = [];
  for (const { from, to, nowFrom, nowTo } of hunksOf(old, now)) {
    if (to - from === nowTo - nowFrom) {
      for (let line = 0; line < to - from; line += 1) {
        add(found, starts[from + line] ?? 0, old[from + line] ?? "", now[nowFrom + line] ?? "");
      }
    } else {
      add(found, starts[from] ?? 0, old.slice(from, to).join(""), now.slice(nowFrom, nowTo).join(""));
    }
  }
  return found.map((splice) => inside(splice, before.length));
}

/** Every line with a newline; the last one is given one too, so that a line is the same line wherever it stands. */
function linesOf(text: string): readonly string[] {
  return text.split("\n").map((line) => `${line}\n`);
}

/** Take back the newline that the last line was given: a splice that reaches it holds the one before instead. */
function inside(splice: Splice, length: number): Splice {
  if (splice.end <= length) return splice;
  const start = splice.start - 1;
  return { start, end: length, text: splice.text && `\n${splice.text.slice(0, -1)}` };
}

function startsOf(lines: readonly string[]): readonly number[] {
  let place = 0;
  const starts = lines.map((line) => {
    const start = place;
    place += line.length;
    return start;
  });
  return [...starts, place];
}

function add(found: Splice[], place: number, old: string, now: string): void {
  const shortest = Math.min(old.length, now.length);
  let head = 0;
  while (head < shortest && old[head] === now[head]) head += 1;
  if (isHigh(old.charCodeAt(head - 1))) head -= 1; // half of a character is none
  let tail = 0;
  while (tail < shortest - head && old.at(-1 - tail) === now.at(-1 - tail)) tail += 1;
  if (tail && isLow(old.charCodeAt(old.length - tail))) tail -= 1;
  const text = now.slice(head, now.length - tail);
  if (text || old.length > head + tail) found.push({ start: place + head, end: place + old.length - tail, text });
}

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00;
const isLow = (unit: number): boolean => unit >= 0xdc00 && unit < 0xe000;

/** Match the lines of two texts, and return what lies between the matches. */
function hunksOf(old: readonly string[], now: readonly string[]): readonly Hunk[] {
  let head = 0;
  while (head < old.length && head < now.length && old[head] === now[head]) head += 1;
  let tail = 0;
  while (tail < Math.min(old.length, now.length) - head && old.at(-1 - tail) === now.at(-1 - tail)) tail += 1;
  const oldMiddle = old.slice(head, old.length - tail);
  const nowMiddle = now.slice(head, now.length - tail);
  const hunks: Hunk[] = [];
  let [from, nowFrom] = [0, 0];
  const close = (to: number, nowTo: number): void => {
    if (to > from || nowTo > nowFrom) {
      hunks.push({ from: head + from, to: head + to, nowFrom: head + nowFrom, nowTo: head + nowTo });
    }
  };
  for (const [line, nowLine] of matches(oldMiddle, nowMiddle)) {
    close(line, nowLine);
    [from, nowFrom] = [line + 1, nowLine + 1];
  }
  close(oldMiddle.length, nowMiddle.length);
  return hunks;
}

/** The longest run of equal lines in the same order, as pairs of places; none where too much differs. */
function matches(old: readonly string[], now: readonly string[]): readonly (readonly [number, number])[] {
  const ways = forward(old, now);
  const found: [number, number][] = [];
  let [x, y] = [old.length, now.length];
  for (const [steps, furthest] of [...ways.entries()].reverse()) {
    const diagonal = x - y;
    const cameDown = isDown(furthest, diagonal, steps);
    const before = diagonal + (cameDown ? 1 : -1);
    const beforeX = steps === 0 ? 0 : (furthest.get(before) ?? 0);
    const beforeY = steps === 0 ? 0 : beforeX - before;
    while (x > beforeX && y > beforeY) {
      x -= 1;
      y -= 1;
      found.push([x, y]);
    }
    [x, y] = [beforeX, beforeY];
  }
  return found.reverse();
}

/** For each number of differences, how far one had got on each diagonal before it was taken. */
function forward(old: readonly string[], now: readonly string[]): readonly ReadonlyMap<number, number>[] {
  const ways: Map<number, number>[] = [];
  const furthest = new Map<number, number>([[1, 0]]);
  const most = Math.min(old.length + now.length, MOST_DIFFERENCES);
  for (let steps = 0; steps <= most; steps += 1) {
    ways.push(new Map(furthest));
    for (let diagonal = -steps; diagonal <= steps; diagonal += 2) {
      const isStepDown = isDown(furthest, diagonal, steps);
      let x = isStepDown ? (furthest.get(diagonal + 1) ?? 0) : (furthest.get(diagonal - 1) ?? 0) + 1;
      while (x < old.length && x - diagonal < now.length && old[x] === now[x - diagonal]) x += 1;
      furthest.set(diagonal, x);
      if (x >= old.length && x - diagonal >= now.length) return ways;
    }
  }
  return [];
}

/** Whether the step onto a diagonal is an inserted line, as opposed to one taken away. */
function isDown(furthest: ReadonlyMap<number, number>, diagonal: number, steps: number): boolean {
  if (diagonal === -steps) return true;
  if (diagonal === steps) return false;
  return (furthest.get(diagonal - 1) ?? 0) < (furthest.get(diagonal + 1) ?? 0);
}
