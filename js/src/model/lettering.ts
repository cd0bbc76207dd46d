/** How a name is set where it is all that a card shows: as large as it fits, broken between its words. */

/** Bold letters of common interface fonts are this wide, in font sizes. */
const LETTER = 0.64;
const LINE = 1.12;
/** Beside the name: the state's bar and icon, and space around. */
const BESIDE = { letters: 1.5, px: 34 } as const;
const AROUND_PX = 12;

/** Let a name be broken after underscores and dots, and before capitals that begin a word. */
export function breakable(name: string): string {
  return name.replace(/([_.])(?=[^_.])/g, "$1\u200b").replace(/([a-z])(?=[A-Z])/g, "$1\u200b");
}

/** The font size, in pixels, with which a name fills a card, on at most three lines. */
export function fittingPx(name: string, card: { readonly width: number; readonly height: number }): number {
  const parts = breakable(name)
    .split("\u200b")
    .map((part) => part.length);
  const room = { x: card.width - BESIDE.px, y: card.height - AROUND_PX };
  let best = 0;
  for (const lines of [1, 2, 3]) {
    const letters = widestLine(parts, lines) + BESIDE.letters;
    best = Math.max(best, Math.min(room.x / (letters * LETTER), room.y / (lines * LINE)));
  }
  return Math.floor(best);
}

/** How long the longest line is when words are laid on so many lines as evenly as can be. */
function widestLine(parts: readonly number[], lines: number): number {
  const total = parts.reduce((sum, length) => sum + length, 0);
  let width = Math.max(...parts, Math.ceil(total / lines));
  while (lineCount(parts, width) > lines) width += 1;
  return width;
}

function lineCount(parts: readonly number[], width: number): number {
  let count = 1;
  let filled = 0;
  for (const length of parts) {
    if (filled && filled + length > width) {
      count += 1;
      filled = 0;
    }
    filled += length;
  }
  return count;
}
