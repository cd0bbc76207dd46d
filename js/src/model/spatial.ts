/** The neighbours of a card as the eye sees them: what the arrow keys go to. */

import type { Card } from "./flow";
import { cardRect, type Point } from "./geometry";

export type Direction = "up" | "down" | "left" | "right";

/** The nearest card in a direction, rather straight ahead than aside; null when none is there. */
export function neighbour(cards: Iterable<Card>, from: Card, direction: Direction): Card | null {
  const start = middle(from);
  let best: Card | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const card of cards) {
    if (card.id === from.id) continue;
    const end = middle(card);
    const across = direction === "left" || direction === "right";
    const sign = direction === "left" || direction === "up" ? -1 : 1;
    const ahead = sign * (across ? end.x - start.x : end.y - start.y);
    const aside = Math.abs(across ? end.y - start.y : end.x - start.x);
    if (ahead < 1 || aside > 3 * ahead) continue;
    const cost = ahead + 2 * aside;
    if (cost < least) [best, least] = [card, cost];
  }
  return best;
}

/** The card where reading begins: the topmost of the leftmost. */
export function firstCard(cards: Iterable<Card>): Card | null {
  let best: Card | null = null;
  for (const card of cards) if (!best || card.x < best.x || (card.x === best.x && card.y < best.y)) best = card;
  return best;
}

function middle(card: Card): Point {
  const { left, top, right, bottom } = cardRect(card);
  return { x: (left + right) / 2, y: (top + bottom) / 2 };
}
