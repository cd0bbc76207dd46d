"""Flows, runs and nodes as HTML, for outputs that are kept in a notebook; and every other form they are shown in.

The HTML is static: no script, no event attribute, no reference that leads out of it. It has to look right in very
different places, so it is built in two layers:

* with its style sheet (JupyterLab, nbconvert, nbviewer, VS Code) it is a drawing that follows the page's theme;
* where style sheets are stripped (a notebook that is not trusted, GitHub) it is a table in plain words. JupyterLab then
  keeps the ``style`` attribute that hides the drawing, whose words would otherwise stand there in a heap; GitHub draws
  the SVG by its attributes or leaves it out, and shows the table either way.

Sources: JupyterLab's ``Sanitizer`` (apputils) for what it keeps; xarray issues 4041 and 6125, nbviewer issue 1037 and
nbconvert pull requests 2018 and 2106 for what GitHub does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbook.canvas.drawing import (
    canvas_description,
    canvas_drawing,
    canvas_svg,
    canvas_title,
    drawing_prefix,
    svg_root,
)
from flowbook.canvas.mermaid import canvas_mermaid
from flowbook.canvas.pieces.html_parts import Page, plain_table
from flowbook.canvas.pieces.looks import main_look, pills
from flowbook.canvas.pieces.markup import Markup, element, joined, one_line, plain, trusted
from flowbook.canvas.pieces.svg_previews import picture_uri, preview_drawing
from flowbook.canvas.pieces.wording import (
    card_name,
    copies_made,
    counted,
    duration,
    failure_place,
    failure_words,
    first_shape,
    run_name,
    run_words,
    setting_value,
    source_names,
    tally,
)
from flowbook.canvas.plain_text import canvas_text, card_text, trace_text
from flowbook.canvas.trace_drawing import left_out_words, shown_spans, span_name, span_why, trace_svg, whole_time_s

if TYPE_CHECKING:
    from flowbook.canvas.protocol import Canvas, Card, Span, Trace

__all__ = [
    "canvas_html",
    "canvas_mermaid",
    "canvas_svg",
    "canvas_text",
    "card_html",
    "card_text",
    "trace_html",
    "trace_svg",
    "trace_text",
]

MAX_TABLE_ROWS = 200
MAX_LOG_LINES = 200
MIN_SCALE = 0.58
"""A wide canvas shrinks to this share of its size before it scrolls: below, its words are too small to read."""
MAX_SCROLL_PX = 4000
"""A canvas wider than this is one to look at as a whole; it shrinks further."""


def canvas_html(snapshot: Canvas) -> str:
    """Show a snapshot: the drawing, and the same in a table for readers and for pages without style sheets."""
    page = Page(drawing_prefix(snapshot))
    drawing = canvas_drawing(snapshot, page.pen)
    svg = svg_root(drawing, page.pen, canvas_title(snapshot), canvas_description(snapshot))
    narrowest = min(round(drawing.width * MIN_SCALE), MAX_SCROLL_PX)
    page.also(f".R-art svg{{width:100%;max-width:{drawing.width}px;min-width:{narrowest}px}}")
    hidden = {"class": f"{page.named('art')} mathjax_ignore tex2jax_ignore", "style": "display:none"}
    # The table first: where tags are stripped but not what is in them, the drawing's words follow it in a heap.
    return page.html([page.quiet("words", _canvas_table(snapshot)), element("div", hidden, svg)])


def _canvas_table(snapshot: Canvas) -> Markup:
    cards = sorted(snapshot["nodes"], key=lambda card: (card["x"], card["y"]))
    sources = source_names(snapshot["edges"], cards)
    rows = [
        [
            card_name(card),
            _unbroken(_states(card)),
            _card_why(card),
            ", ".join(_setting_words(card)),
            _unbroken(first_shape(card)),
            _unbroken(duration(card.get("tookS"))),
            sources.get(card["id"], ""),
        ]
        for card in cards[:MAX_TABLE_ROWS]
    ]
    head = ["node", "state", "why", "settings", "value", "time", "reads"]
    used = [index for index in range(len(head)) if index < 2 or any(row[index] for row in rows)]
    more = counted(len(cards) - MAX_TABLE_ROWS, "more node") if len(cards) > MAX_TABLE_ROWS else ""
    return joined(
        [
            element("p", None, element("b", None, one_line(snapshot["flow"])), f" · {run_words(snapshot)}"),
            plain_table([head[index] for index in used], [[row[index] for index in used] for row in rows]),
            element("p", None, f"and {more}") if more else Markup(""),
        ]
    )


def _states(item: Card | Span) -> str:
    return f"{main_look(item).sign} {', '.join(look.word for look in pills(item))}"


def _unbroken(words: str) -> str:
    return words.replace(" ", "\u00a0")


def _card_why(card: Card) -> str:
    error = card.get("error")
    if not error:
        return one_line(card.get("reason", ""))
    return " · ".join(part for part in (failure_words(error), failure_place(error)) if part)


def _setting_words(card: Card) -> list[str]:
    return [
        f"{one_line(setting.get('label') or setting['name'])} = {setting_value(setting)}"
        for setting in card.get("settings", [])
        if not setting.get("connected")
    ]


def trace_html(trace: Trace) -> str:
    """Show a run: a row per span with its bar on the time lane and its reason; what nodes printed is folded in."""
    page = Page(drawing_prefix(trace))
    whole = whole_time_s(trace)
    rows = [row for span in shown_spans(trace) for row in _span_rows(span, whole, page)]
    counts = [page.span(ink, words) for ink, words in tally(trace["counts"])]
    name = element("b", {"class": page.named("name")}, run_name(trace.get("runId")))
    flow = element("span", {"class": page.named("muted", "right")}, one_line(trace["flow"]))
    head = page.quiet("head", page.listed([name, page.span("soft", duration(trace.get("tookS"))), *counts, flow]))
    rest = left_out_words(trace)
    foot = page.quiet("line", page.span("muted", rest)) if rest else Markup("")
    frame = element("div", {"class": page.named("frame")}, joined([head, page.quiet("lanes", page.rows(rows)), foot]))
    return page.html([frame])


def _span_rows(span: Span, whole: float, page: Page) -> list[Markup]:
    start, took = span.get("startS"), span.get("tookS")
    error = span.get("error")
    bar = Markup("") if start is None else page.bar(main_look(span).ink, start / whole, (took or 0.0) / whole)
    cells = [
        page.cell(joined([page.icon(main_look(span)), element("span", None, span_name(span))], " ")),
        page.cell(joined((page.pill(look) for look in pills(span)), " ")),
        page.cell(bar, "track"),
        page.cell(duration(took), "figure"),
        page.cell(span_why(span), "wrong" if error or span.get("status") == "failed" else "why"),
    ]
    logs = _logs(span, page)
    return [element("tr", None, joined(cells)), *([element("tr", None, logs)] if logs else [])]


def _logs(span: Span, page: Page) -> Markup:
    """Fold away what a node printed, logged, warned of and displayed."""
    count = max(span.get("logCount", 0), len(span.get("logs", [])))
    if not count:
        return Markup("")
    lines: list[str] = []
    for log in span.get("logs", []):
        mark = "" if log["stream"] == "stdout" else f"{log['stream']}: "
        lines += [mark + line for line in plain(log["text"]).rstrip("\n").split("\n")]
    kept = lines[-MAX_LOG_LINES:]
    if len(kept) < len(lines):
        kept.insert(0, f"… {counted(len(lines) - len(kept), 'line')} before")
    words = counted(count, "output") + ("" if lines else ", not stored")
    parts = [element("summary", None, words), element("pre", None, "\n".join(kept)) if kept else Markup("")]
    return page.cell(element("details", None, joined(parts, "")), "more", columns=5)


def card_html(card: Card, *, value_html: str | None = None) -> str:
    """Show one node: a strip with name, state, reason, time and shape; its settings and error; its value.

    Args:
        card: one element of a snapshot's ``nodes``.
        value_html: the value's own HTML, put in **as it is** (Jupyter would show it as it is, too); without it the
            card's preview is shown.
    """
    page = Page(drawing_prefix({"card": card, "value": value_html}))
    look = main_look(card)
    page.also(f".R-i-{look.ink}{{border-left-color:var(--fb-{look.ink})!important}}", look.ink)
    copies = copies_made(card.get("copies", 0), card.get("copiedBytes", 0))
    facts = [duration(card.get("tookS")), first_shape(card), copies]
    strip = [
        joined([page.icon(look), element("b", {"class": page.named("name")}, card_name(card))], " "),
        *(page.pill(pill) for pill in pills(card)),
        page.span("muted", card.get("reason", "")),
        element("span", {"class": page.named("muted", "right")}, " · ".join(fact for fact in facts if fact)),
    ]
    pieces = [page.quiet("head", page.listed(strip))]
    settings = _setting_words(card)
    if settings:
        pieces.append(page.quiet("line", page.span("muted", " · ".join(settings))))
    pieces += [_card_error(card, page), _card_value(card, value_html, page)]
    frame = element("div", {"class": page.named("frame", "bar", f"i-{look.ink}")}, joined(pieces))
    return page.html([frame])


def _card_error(card: Card, page: Page) -> Markup:
    error = card.get("error")
    if not error:
        return Markup("")
    lines = [one_line(error.get("message", "")), one_line(error.get("hint") or ""), failure_place(error)]
    return page.quiet("trouble", joined(element("div", None, line) for line in lines if line))


def _card_value(card: Card, value_html: str | None, page: Page) -> Markup:
    if value_html is not None:
        return element("div", {"class": page.named("value")}, trusted(value_html))
    preview = card.get("preview")
    if not preview:
        return Markup("")
    if preview["kind"] == "table":
        shown = page.grid(preview)
    elif preview["kind"] == "picture":
        uri = picture_uri(preview)
        size = {"width": min(preview["width"], 640), "alt": f"picture of {card_name(card)}"}
        shown = element("img", {"src": uri, **size}) if uri else Markup("")
    elif preview["kind"] == "text":
        shown = element("pre", None, plain(preview["text"]))
    else:
        svg = {"width": 300, "height": 62, "viewBox": "0 0 300 62", "role": "img"}
        shown = element("svg", svg, preview_drawing(card, 300, 0, page.pen))
    return page.quiet("value", shown) if shown else Markup("")
