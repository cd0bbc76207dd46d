/** Keys pressed on a control of ours are meant for it: neither do they delete a cell nor fold a heading. */

import type { JupyterFrontEnd } from "@jupyterlab/application";

const SUPPRESSED = "data-lm-suppress-shortcuts";
const SAVE = "docmanager:save";

/**
 * Keep JupyterLab's shortcuts from whatever has the focus inside of flowbook's outputs; all but saving, which one does
 * wherever one is, and for which the browser would offer to save the page.
 *
 * The mark on what is around a control is not enough: JupyterLab looks for it on its way up from the focused element, but
 * tries first whether a shortcut is meant for that element, and those of a notebook are meant for any.
 */
export function keepOwnKeys({ commands }: JupyterFrontEnd): void {
  const onFocus = ({ target }: FocusEvent): void => {
    if (isOurs(target)) target.setAttribute(SUPPRESSED, "true");
  };
  const onKey = (event: KeyboardEvent): void => {
    const isSave = (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key === "s";
    if (!isSave || !isOurs(event.target) || !commands.hasCommand(SAVE)) return;
    event.preventDefault();
    void commands.execute(SAVE);
  };
  document.addEventListener("focusin", onFocus, { capture: true });
  document.addEventListener("keydown", onKey, { capture: true });
}

function isOurs(target: EventTarget | null): target is Element {
  return target instanceof Element && target.closest(".fb-root") !== null;
}
