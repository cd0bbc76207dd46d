/** What was typed into a control, as a value or as the reason why it is none. */

import type { Json, Setting } from "./flow";
import { oneLine, shownValue } from "./wording";

export type Typed = { readonly value: Json } | { readonly why: string };

/** Read a text as the value of a setting. */
export function readTyped(setting: Setting, text: string): Typed {
  const wrong = (what: string): Typed => ({ why: `${oneLine(setting.label)} takes ${what}` });
  switch (setting.control) {
    case "number":
    case "slider": {
      const number = Number(text);
      const { min, max } = setting;
      const isInside = (min === null || number >= min) && (max === null || number <= max);
      return text.trim() && Number.isFinite(number) && isInside ? { value: number } : wrong(rangeWords(min, max));
    }
    case "json":
      try {
        return { value: JSON.parse(text) as Json };
      } catch {
        return wrong("JSON");
      }
    case "date":
      return text ? { value: text } : wrong("a date");
    default:
      return { value: text };
  }
}

function rangeWords(min: number | null, max: number | null): string {
  if (min !== null && max !== null) return `a number from ${shownValue(min)} to ${shownValue(max)}`;
  if (min !== null) return `a number of at least ${shownValue(min)}`;
  return max === null ? "a number" : `a number of at most ${shownValue(max)}`;
}
