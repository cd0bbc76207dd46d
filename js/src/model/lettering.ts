/** How a name is set where it is all that a card shows: as large as it fits, broken between its words. */

/** How wide bold letters of a wide interface font are, in font sizes: a narrower one leaves some room. */
const WIDE = { "mwMW@%": 1.05, "ABCDGHKNOQRUVXY&": 0.83, "fijlrtI.,:;'|()[]": 0.47 } as const;
const ORDINARY = 0.71;
const LINE = 1.12;
/** Beside the name: the state's icon as high as the letters, and its bar with the space around. */
const BESIDE = { sizes: 1.1, px: 34 } as const;
const AROUND_PX = 12;

/** Let a name be broken after underscores and dots, and before capitals that begin a word. */
export function breakable(name: string): string {
  return name.replace(/([_.])(?=[^_.])/g, "$1\u200b").replace(/([a-z])(?=[A-Z])/g, "$1\u200b");
}

/** The font size, in pixels, with which a name fills a card, on at most three lines. */
export function fittingPx(name: string, card: { readonly width: number; readonly height: number }): number {
  const parts = breakable(name).split("\u200b").map(widthOf);
  const room = { x: card.width - BESIDE.px, y: card.height - AROUND_PX };
  let best = 0;
  for (const lines of [1, 2, 3]) {
    best = Math.max(best, Math.min(room.x / (widestLine(parts, lines) + BESIDE.sizes), room.y / (lines * LINE)));
  }
  return Math.floor(best);
}

function widthOf(word: string): number {
  let width = 0;
  for (const letter of word) {
    width += Object.entries(WIDE).find(([letters]) => letters.includes(letter))?.[1] ?? ORDINARY;
  }
  return width;
}

/** How wide the widest line is when words are laid on so many lines as evenly as can be. */
function widestLine(parts: readonly number[], lines: number): number {
  const total = parts.reduce((sum, width) => sum + width, 0);
  let width = Math.max(...parts, total / lines);
  while (lineCount(parts, width) > lines) width += 0.1;
  return width;
}

function lineCount(parts: readonly number[], width: number): number {
  let count = 1;
  let filled = 0;
  for (const part of parts) {
    if (filled && filled + part > width + 1e-9) {
      count += 1;
      filled = 0;
    }
    filled += part;
  }
  return count;
}
