/** Which keys belong to the control that has the focus, and not to the canvas around it. */

const RANGE_KEYS: ReadonlySet<string> = new Set([
  ...["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"],
  ...["Home", "End", "PageUp", "PageDown"],
]);

/** Whether something is typed into an element, so that every key but Escape is its own. */
export function isTyping(element: Element): boolean {
  if (element instanceof HTMLInputElement) return !["range", "checkbox", "button"].includes(element.type);
  if (element instanceof HTMLTextAreaElement || element instanceof HTMLSelectElement) return true;
  return element instanceof HTMLElement && element.isContentEditable;
}

/** Whether a key pressed in an element is that element's own. */
export function ownsKey(element: Element, key: string): boolean {
  if (key === "Escape") return false;
  if (key === "Tab" || isTyping(element)) return true;
  if (element instanceof HTMLInputElement) return element.type === "range" ? RANGE_KEYS.has(key) : key === " ";
  return (element instanceof HTMLButtonElement || element.tagName === "SUMMARY") && (key === "Enter" || key === " ");
}

/** Whether this machine's keyboards have a command key. */
export const isMac = typeof navigator !== "undefined" && /Mac|iPhone|iPad/.test(navigator.userAgent);
