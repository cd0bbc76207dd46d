import type { TextClipboard } from "./actions";

/**
 * The clipboard of the machine. A page may always write to it while a key is pressed; it may read it only where the
 * browser lets it, so that what was copied on this page is kept as well.
 */
class SystemClipboard implements TextClipboard {
  #last: string | null = null;

  write(text: string): void {
    this.#last = text;
    const give = (event: ClipboardEvent): void => {
      event.clipboardData?.setData("text/plain", text);
      event.preventDefault();
      event.stopImmediatePropagation();
    };
    document.addEventListener("copy", give, true);
    const isGiven = document.execCommand("copy");
    document.removeEventListener("copy", give, true);
    if (!isGiven) void navigator.clipboard?.writeText(text).catch(() => undefined);
  }

  async read(): Promise<string | null> {
    try {
      return (await navigator.clipboard.readText()) || this.#last;
    } catch {
      return this.#last; // the page may not read it, or is not served safely
    }
  }
}

export const systemClipboard: TextClipboard = new SystemClipboard();
