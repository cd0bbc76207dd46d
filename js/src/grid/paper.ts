/** The colours and fonts of a grid, which is painted, from the variables of the theme around it. */

import type { DataGrid } from "@lumino/datagrid";

export interface Paper {
  readonly ink: string;
  readonly muted: string;
  readonly faint: string;
  readonly card: string;
  readonly ground: string;
  readonly rule: string;
  readonly brand: string;
  readonly bar: string;
  readonly uiFont: string;
  readonly codeFont: string;
  readonly style: DataGrid.Style;
}

/** Read them off an element; a browser mixes the colours, which a canvas is then told. */
export function paperOf(host: Element): Paper {
  const probe = document.createElement("span");
  probe.style.display = "none";
  host.append(probe);
  const colour = (css: string): string => {
    probe.style.color = css;
    return getComputedStyle(probe).color;
  };
  const font = (css: string): string => {
    probe.style.fontFamily = css;
    return getComputedStyle(probe).fontFamily;
  };
  const rule = colour("var(--fb-rule)");
  const brand = colour("var(--fb-brand)");
  const ground = colour("var(--fb-ground)");
  const wash = colour("color-mix(in srgb, var(--fb-brand) 14%, transparent)");
  const card = colour("var(--fb-card)");
  const paper: Paper = {
    ink: colour("var(--fb-ink)"),
    muted: colour("var(--fb-muted)"),
    faint: colour("color-mix(in srgb, var(--fb-far) 10%, var(--fb-card))"),
    card,
    ground,
    rule,
    brand,
    bar: colour("color-mix(in oklab, var(--fb-table) 55%, var(--fb-card))"),
    uiFont: font("var(--fb-ui-font)"),
    codeFont: font("var(--fb-code-font)"),
    style: {
      voidColor: card,
      backgroundColor: card,
      gridLineColor: rule,
      headerBackgroundColor: ground,
      headerGridLineColor: rule,
      selectionFillColor: wash,
      selectionBorderColor: brand,
      cursorFillColor: "transparent",
      cursorBorderColor: brand,
      headerSelectionFillColor: wash,
      headerSelectionBorderColor: "transparent",
      scrollShadow: { size: 6, color1: colour("rgb(0 0 0 / 10%)"), color2: "transparent", color3: "transparent" },
    },
  };
  probe.remove();
  return paper;
}
