/** What a cell's badge says of a node: its state in a word, and what it stands between. */

import type { Card } from "./flow";
import { type Look, mainLook, pills } from "./looks";
import type { FlowState } from "./state";
import { duration, oneLine } from "./wording";

export interface Badge {
  readonly node: string;
  readonly look: Look;
  /** "live · 31 ms". */
  readonly words: string;
  readonly before: readonly string[];
  readonly after: readonly string[];
  /** All of it in one line. */
  readonly whole: string;
}

/** More neighbours than this are counted, not named. */
const NAMED = 2;

/** Make the badge of a node; `told` is what the node's own output says, where no view of the flow has its card. */
export function badgeOf(
  node: string,
  state: FlowState | null,
  told: Pick<Card, "status" | "stamp" | "tookS"> | null,
  isLive: boolean,
): Badge | null {
  const item = state?.cards.get(node) ?? told;
  if (!item) return null;
  const shown = pills(item, isLive);
  const look = isBusy(item.status) ? mainLook(item) : (shown.at(-1) ?? mainLook(item));
  const words = [look.word, isBusy(item.status) ? "" : duration(item.tookS)].filter(Boolean).join(" · ");
  const edges = [...(state?.edges.values() ?? [])];
  const before = named(
    edges.filter((edge) => edge.target === node).map((edge) => edge.source),
    state,
  );
  const after = named(
    edges.filter((edge) => edge.source === node).map((edge) => edge.target),
    state,
  );
  const chain = [before.join(", "), oneLine(node), after.join(", ")].filter(Boolean).join(" → ");
  return { node, look, words, before, after, whole: `${words} · ${chain}` };
}

const isBusy = (status: string): boolean => status !== "ok" && status !== "idle";

function named(ids: readonly string[], state: FlowState | null): readonly string[] {
  const names = [...new Set(ids)].map((id) => oneLine(state?.cards.get(id)?.title || id));
  return names.length > NAMED + 1 ? [...names.slice(0, NAMED), `${names.length - NAMED} more`] : names;
}
