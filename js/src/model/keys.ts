/** Keys as people write them, "Ctrl+Shift+Z", and whether an event is one. Ctrl is the command key on a Mac. */

export interface KeyPress {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly shiftKey: boolean;
  readonly altKey: boolean;
}

/** A written key as a list of presses, one after another: "I I" is two. */
export function writtenPresses(written: string): readonly string[] {
  return written.split(" ");
}

/** An event as it is written. Shift is not said of characters that need it: "?" is "?". */
export function pressName(event: KeyPress): string {
  const key = NAMES[event.key] ?? (event.key.length === 1 ? event.key.toUpperCase() : event.key);
  const isLetterOrName = key.length > 1 || key.toLowerCase() !== key.toUpperCase();
  const parts = [
    event.ctrlKey || event.metaKey ? "Ctrl" : "",
    event.altKey ? "Alt" : "",
    event.shiftKey && (isLetterOrName || event.ctrlKey || event.metaKey || event.altKey) ? "Shift" : "",
    key,
  ];
  return parts.filter(Boolean).join("+");
}

const NAMES: Readonly<Record<string, string>> = {
  " ": "Space",
  ArrowUp: "Up",
  ArrowDown: "Down",
  ArrowLeft: "Left",
  ArrowRight: "Right",
};

const MAC: Readonly<Record<string, string>> = { Ctrl: "⌘", Alt: "⌥", Shift: "⇧" };
const SYMBOLS: Readonly<Record<string, string>> = { Up: "↑", Down: "↓", Left: "←", Right: "→" };

/** A written key as this machine's keyboard shows it. */
export function shownKey(written: string, isMac: boolean): string {
  return writtenPresses(written)
    .map((press) => {
      const parts = press.split(/\+(?=.)/).map((part) => SYMBOLS[part] ?? (isMac ? (MAC[part] ?? part) : part));
      return parts.join(isMac ? "" : "+");
    })
    .join(" ");
}

/** Finds which of many written keys was pressed; a key of two presses within a second and a half. */
export class KeyMap {
  readonly #ids = new Map<string, string>();
  readonly #prefixes = new Set<string>();
  #before: { readonly presses: string; readonly at: number } | null = null;

  constructor(keys: Iterable<readonly [written: string, id: string]>) {
    for (const [written, id] of keys) {
      this.#ids.set(written, id);
      const presses = writtenPresses(written);
      for (let count = 1; count < presses.length; count += 1) this.#prefixes.add(presses.slice(0, count).join(" "));
    }
  }

  /** Return what a press completes; `now` in milliseconds. */
  find(event: KeyPress, now: number): string | null {
    const press = pressName(event);
    const before = this.#before && now - this.#before.at < 1500 ? `${this.#before.presses} ` : "";
    this.#before = null;
    const id = this.#ids.get(before + press) ?? this.#ids.get(press);
    if (id === undefined && this.#prefixes.has(press)) this.#before = { presses: press, at: now };
    return id ?? null;
  }
}
