"""The pieces HTML outputs are made of: a root with its style sheet, tables, pills, icons, bars.

Every class begins with the drawing's own prefix. Tables are real tables and pills are words, so that all of it reads
well where the sheet is stripped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbook.canvas.cards import table_rows
from flowbook.canvas.pieces.looks import INKS, MONO_FONT, UI_FONT, Look, icon
from flowbook.canvas.pieces.markup import Markup, element, joined, one_line, trusted
from flowbook.canvas.pieces.pen import Pen
from flowbook.canvas.pieces.svg_previews import is_numeric

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flowbook.canvas.protocol import TablePreview

# R is the root's class. Text is not taken for formulas (mathjax_ignore, tex2jax_ignore): a name may hold a dollar sign.
_SHEET = """
.R{position:relative;font:13px/1.5 UI_FONT;color:var(--fb-ink);text-align:left}
.R-art{display:block!important;overflow-x:auto}
.R-art svg{display:block;height:auto}
.R-words{position:absolute!important;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.R-frame{border:1px solid var(--fb-rule);border-radius:6px;background:var(--fb-card);overflow:hidden}
.R-head{display:flex;flex-wrap:wrap;align-items:center;gap:2px 10px;padding:6px 12px}
.R-head .R-name{font-weight:600}
.R-head .R-icon{margin-right:-4px}
.R-head .R-right{margin-left:auto;text-align:right}
.R-bar{border-left:3px solid var(--fb-muted)}
.R-dot{display:none}
.R-soft{color:var(--fb-soft)}
.R-muted{color:var(--fb-muted);font-size:12px}
.R-failed{color:var(--fb-failed)}
.R-line{padding:0 12px 6px}
.R-trouble{margin:0 12px 8px;padding:6px 10px;border-radius:4px;color:var(--fb-failed);background:var(--fb-failed-wash)}
.R-value{padding:0 12px 8px;overflow-x:auto}
.R-icon{width:14px;height:14px;vertical-align:-2px;display:inline-block;margin-right:6px;flex:none}
.R-pill{display:inline-block;padding:0 8px;border-radius:9px;font-size:11px;line-height:18px;white-space:nowrap}
.R table.R-rows{border-collapse:collapse;border:0;width:100%;margin:0;table-layout:auto;font-size:12.5px}
.R table.R-rows td{border:0;border-top:1px solid var(--fb-rule);padding:2px 12px;line-height:19px;text-align:left}
.R table.R-rows td{vertical-align:baseline;color:var(--fb-soft)}
.R table.R-rows td:first-child{color:var(--fb-ink);white-space:nowrap}
.R table.R-rows tr{background:none!important}
.R table.R-rows td.R-why{text-align:right!important;color:var(--fb-muted);font-size:12px}
.R table.R-rows td.R-wrong{text-align:right!important;color:var(--fb-failed);font-size:12px}
.R table.R-rows td.R-figure{text-align:right!important;font-variant-numeric:tabular-nums;white-space:nowrap}
.R table.R-rows td.R-track{padding:7px 0 0;vertical-align:top}
.R table.R-rows td.R-more{padding:0 12px 4px 32px;border-top:0}
.R-more summary{cursor:pointer;color:var(--fb-muted);font-size:12px}
.R-more pre{margin:2px 0 4px;padding:6px 8px;border-radius:4px;background:var(--fb-ground);color:var(--fb-ink)}
.R-more pre{font:11.5px/1.45 MONO_FONT;white-space:pre-wrap;overflow-wrap:anywhere;max-height:320px;overflow:auto}
.R table.R-grid{border-collapse:collapse;border:1px solid var(--fb-rule);margin:0;font:11.5px/1.5 MONO_FONT}
.R table.R-grid td,.R table.R-grid th{border:0;border-top:1px solid var(--fb-rule);padding:1px 10px;text-align:left}
.R table.R-grid th{background:var(--fb-ground);color:var(--fb-muted);font-weight:400;border-top:0}
.R table.R-grid td{color:var(--fb-ink)}
.R table.R-grid tr{background:none!important}
.R table.R-grid .R-figure{text-align:right}
"""
_SHEET_INKS = ("ink", "soft", "muted", "rule", "card", "ground", "failed", "failed-wash")


class Page:
    """One HTML output.

    Args:
        prefix: ``fb-`` and a short hash of what is shown; every class begins with it.
    """

    def __init__(self, prefix: str) -> None:
        self.pen = Pen(prefix)
        self._extra: dict[str, None] = {}
        self._inks: set[str] = set(_SHEET_INKS)

    def named(self, *names: str) -> str:
        """Write class names of this output."""
        return " ".join(f"{self.pen.sheet.prefix}-{name}" for name in names)

    def also(self, rule: str, *inks: str) -> None:
        """Add a rule to the sheet, written with ``R`` for the root, and the inks it uses."""
        self._extra[rule] = None
        self._inks.update(inks)

    def html(self, content: Iterable[Markup]) -> Markup:
        """Close the output: its root, its style sheet and its content."""
        prefix = self.pen.sheet.prefix
        fonts = _SHEET.replace("UI_FONT", f"var(--jp-ui-font-family,{UI_FONT})")
        fonts = fonts.replace("MONO_FONT", f"var(--jp-code-font-family,{MONO_FONT})")
        written = "\n".join([fonts.strip(), *self._extra]).replace(".R", f".{prefix}")
        rules = f"{self.pen.sheet.rules(in_page=True, also=self._inks)}\n{written}"
        style = element("style", None, trusted(rules))
        return element("div", {"class": prefix}, joined([style, *content]))

    def quiet(self, name: str, *children: str) -> Markup:
        """Make a ``div`` whose text is not searched for formulas."""
        return element("div", {"class": f"{self.named(name)} mathjax_ignore tex2jax_ignore"}, *children)

    def span(self, name: str, text: object) -> Markup:
        """Make a ``span`` of one line of text; empty text makes none."""
        line = one_line(text)
        return element("span", {"class": self.named(name)}, line) if line else Markup("")

    def listed(self, items: Iterable[Markup]) -> Markup:
        """Join inline pieces, with a dot between them that is seen only where there is no style sheet."""
        return joined((item for item in items if item), element("span", {"class": self.named("dot")}, " · "))

    def pill(self, look: Look) -> Markup:
        """Write a state's word on its wash."""
        self.also(
            f".R-p-{look.ink}{{color:var(--fb-{look.ink});background:var(--fb-{look.ink}-wash)}}",
            look.ink,
            f"{look.ink}-wash",
        )
        return element("span", {"class": self.named("pill", f"p-{look.ink}")}, look.word)

    def icon(self, look: Look) -> Markup:
        """Draw a state's icon; it says nothing the word beside it does not."""
        attributes = {"class": self.named("icon"), "width": 14, "height": 14, "viewBox": "0 0 14 14",
                      "aria-hidden": "true"}  # fmt: skip
        return element("svg", attributes, icon(look.icon, look.ink, self.pen.sheet))

    def bar(self, ink: str, start: float, share: float) -> Markup:
        """Draw a bar on a lane, from ``start`` on, ``share`` of the lane long; both in [0, 1].

        Its place stands in a ``style`` attribute, which JupyterLab keeps even in a notebook that is not trusted.
        """
        self.also(f".R-b-{ink}{{background:var(--fb-{ink})!important}}", ink)
        start = min(max(0.0, start), 0.997)  # in this order, NaN is 0
        share = min(max(0.003, share), 1 - start)
        style = (
            f"margin-left:{start * 100:.2f}%;width:{share * 100:.2f}%;min-width:3px;height:10px;border-radius:2px;"
            f"background:{INKS[ink].light}"
        )
        return element("div", {"class": self.named(f"b-{ink}"), "style": style})

    def rows(self, rows: Iterable[Markup]) -> Markup:
        """Wrap rows into the table of an output."""
        attributes = {"class": self.named("rows"), "style": "width:100%"}
        return element("table", attributes, element("tbody", None, joined(rows)))

    def cell(self, content: str, name: str = "text", *, columns: int | None = None) -> Markup:
        """Make a table cell; where style sheets are stripped, its ``style`` attribute keeps the columns in shape."""
        width = {"track": "width:40%", "why": "width:32%", "wrong": "width:32%"}.get(name)
        style = ";".join(part for part in ("text-align:left", width) if part)
        return element("td", {"class": self.named(name), "colspan": columns, "style": style}, content)

    def grid(self, preview: TablePreview) -> Markup:
        """Show the first rows of a table."""
        right = [self.named("figure") if is_numeric(column["type"]) else None for column in preview["columns"]]
        names = [one_line(column["name"]) for column in preview["columns"]]
        head = [element("th", {"class": side}, name) for side, name in zip(right, names, strict=True)]
        body = [
            joined(element("td", {"class": side}, one_line(cell)) for side, cell in zip(right, row, strict=False))
            for row in table_rows(preview)
        ]
        lines = [element("tr", None, joined(head)), *(element("tr", None, cells) for cells in body)]
        return element("table", {"class": self.named("grid")}, element("tbody", None, joined(lines)))


def plain_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """Write a table without any look of its own, for where there is no style sheet."""
    left = {"style": "text-align:left"}  # JupyterLab sets tables flush right, and keeps this attribute
    lines = [element("tr", None, joined(element("th", left, name) for name in head))]
    lines += [element("tr", None, joined(element("td", left, cell) for cell in row)) for row in rows]
    return element("table", None, element("tbody", None, joined(lines)))
