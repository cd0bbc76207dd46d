/** Keys pressed on a control of ours are meant for it: neither do they delete a cell nor fold a heading. */

const SUPPRESSED = "data-lm-suppress-shortcuts";

/**
 * Keep JupyterLab's shortcuts from whatever has the focus inside of flowbook's outputs.
 *
 * The mark on what is around a control is not enough: JupyterLab looks for it on its way up from the focused element, but
 * tries first whether a shortcut is meant for that element, and those of a notebook are meant for any.
 */
export function keepOwnKeys(page: Document): void {
  page.addEventListener(
    "focusin",
    ({ target }) => {
      if (target instanceof Element && target.closest(".fb-root")) target.setAttribute(SUPPRESSED, "true");
    },
    { capture: true },
  );
}
