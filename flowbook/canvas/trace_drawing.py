"""A run as rows along time: who fired when, for how long, and why. The drawing stands alone, as that of a canvas."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flowbook.canvas.drawing import Drawing, drawing_prefix, svg_root
from flowbook.canvas.pieces.lettering import text_width
from flowbook.canvas.pieces.looks import main_look, pills
from flowbook.canvas.pieces.markup import Markup, element, joined, one_line
from flowbook.canvas.pieces.pen import Pen
from flowbook.canvas.pieces.wording import (
    counted,
    duration,
    failure_place,
    failure_words,
    run_name,
    tally,
    trace_words,
)

if TYPE_CHECKING:
    from flowbook.canvas.protocol import Fused, Span, Trace

WIDTH_PX = 1000
ROW_PX = 24
HEADING_PX = 38
AXIS_PX = 22
LANE_LEFT_PX, LANE_RIGHT_PX = 262, 690
MAX_ROWS = 200


def shown_spans(trace: Trace) -> list[Span]:
    """Choose the spans to draw, in their order: all, or of very many the failed, then the longest ones."""

    def rank(item: tuple[int, Span]) -> tuple[bool, float, int]:
        place, span = item
        return span.get("status") != "failed", -(span.get("tookS") or 0.0), place

    spans = [*trace["spans"], *map(fused_row, trace.get("fused", []))]
    if len(spans) <= MAX_ROWS:
        return spans
    return [spans[place] for place in sorted(place for place, _ in sorted(enumerate(spans), key=rank)[:MAX_ROWS])]


def fused_row(fused: Fused) -> Span:
    """Show a pass over the lazy tables of several nodes as a row like theirs."""
    flowed = [f"{flow['rows']:,} rows {flow['source']} → {flow['target']}" for flow in fused["flowed"]]
    words = [fused["error"], "collected " + ", ".join(fused["collected"]), *flowed]
    words += [f"not {name}: {why}" for name, why in fused["notFused"].items()]
    return {
        "node": "fused: " + " + ".join(fused["members"]),
        "status": "failed" if fused["error"] else "ok",
        "stamp": "recorded",
        "reason": " · ".join(word for word in words if word),
        "startS": fused["startS"],
        "tookS": fused["tookS"],
        "attempt": 1,
        "rows": None,
        "columns": None,
        "copies": 0,
        "copiedBytes": 0,
        "copyReason": "",
        "logs": [],
        "logCount": 0,
        "error": None,
    }


def left_out_words(trace: Trace) -> str:
    """Say that spans are not shown, and how many of those that are there; empty when all are."""
    hidden = len(trace["spans"]) + len(trace.get("fused", [])) - len(shown_spans(trace))
    parts = [f"{counted(hidden, 'more span')} not shown" if hidden else ""]
    parts.append("summarised: spans were left out, the counts are of all" if trace.get("summarised") else "")
    return " · ".join(part for part in parts if part)


def whole_time_s(trace: Trace) -> float:
    """Say how many seconds the lane stands for: the run, or the end of its last span; more than 0."""
    ends = [(span.get("startS") or 0.0) + (span.get("tookS") or 0.0) for span in trace["spans"]]
    return max(end for end in (1e-6, trace.get("tookS") or 0.0, *ends) if end < math.inf)


def span_name(span: Span) -> str:
    """Name a span by its node, and by its attempt where it is not the first."""
    attempt = span.get("attempt", 0)
    return one_line(span["node"]) + (f" · attempt {attempt}" if attempt > 1 else "")


def span_why(span: Span) -> str:
    """Say why a span is what it is: its reason, or what went wrong and where."""
    error = span.get("error")
    if not error:
        return one_line(span.get("reason", ""))
    return " · ".join(part for part in (failure_words(error), failure_place(error)) if part)


def trace_svg(trace: Trace) -> str:
    """Draw a run as a complete SVG document, light and dark in one, well-formed for any text in it."""
    pen = Pen(drawing_prefix(trace))
    drawing = _trace_drawing(trace, pen)
    style = element("style", None, pen.sheet.rules(in_page=False))
    failed = [span_name(span) for span in trace["spans"] if span.get("status") == "failed"]
    told = f"Failed: {', '.join(failed[:40])}." if failed else "Nothing failed."
    return svg_root(drawing, pen, f"Flow {one_line(trace['flow'])}: {trace_words(trace)}", told, style)


def _trace_drawing(trace: Trace, pen: Pen) -> Drawing:
    spans = shown_spans(trace)
    rest = left_out_words(trace)
    rows_end = HEADING_PX + len(spans) * ROW_PX
    height = rows_end + AXIS_PX + (ROW_PX if rest else 0)
    whole = whole_time_s(trace)
    pieces = [
        pen.box((0.5, 0.5), (WIDTH_PX - 1, height - 1), fill="card", stroke="rule", radius=6),
        *_heading(trace, pen),
        *_axis(whole, rows_end, pen),
    ]
    for row, span in enumerate(spans):
        pieces.append(_row(span, HEADING_PX + row * ROW_PX, whole, pen))
    pieces.append(pen.words(rest, (16, rows_end + AXIS_PX + 8), ink="muted", size=11))
    return Drawing(WIDTH_PX, height, joined(pieces))


def _heading(trace: Trace, pen: Pen) -> list[Markup]:
    pieces, x = [], 16.0
    name = [("ink", run_name(trace.get("runId")), True), ("soft", duration(trace.get("tookS")), False)]
    for ink, words, bold in [*name, *((ink, words, False) for ink, words in tally(trace["counts"]))]:
        pieces.append(pen.words(words, (x, 24), ink=ink, size=12.5 if bold else 12, bold=bold))
        x += text_width(words, 12.5 if bold else 12, bold=bold) + (12 if words else 0)
    flow = pen.words(trace["flow"], (WIDTH_PX - 16, 24), ink="muted", anchor="end", room=WIDTH_PX - x - 40)
    return [*pieces, flow, pen.line(f"M1 {HEADING_PX - 0.5:g}H{WIDTH_PX - 1}", "rule")]


def _axis(whole: float, bottom: int, pen: Pen) -> list[Markup]:
    """Draw thin lines at round times."""
    step = _round_step(whole / 4)
    lane = LANE_RIGHT_PX - LANE_LEFT_PX
    pieces = []
    for tick in range(int(whole / step + 1e-9) + 1):
        x = LANE_LEFT_PX + lane * tick * step / whole
        words = duration(tick * step) if tick else "0"
        pieces += [
            pen.line(f"M{x:.1f} {HEADING_PX}V{bottom}", "rule"),
            pen.words(words, (x, bottom + 14), ink="muted", size=10, anchor="middle"),
        ]
    return pieces


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * 0.999)


def _row(span: Span, top: int, whole: float, pen: Pen) -> Markup:
    look, middle = main_look(span), top + ROW_PX / 2
    failed = span.get("status") == "failed"
    states = " · ".join(pill.word for pill in pills(span))
    pieces = [
        element("title", None, f"{span_name(span)}: {states} · {span_why(span)}"),
        pen.line(f"M1 {top + ROW_PX - 0.5:g}H{WIDTH_PX - 1}", "rule"),
        pen.icon(look, 15, middle - 7),
        pen.words(span_name(span), (37, middle + 4), room=138),
        pen.words(states, (180, middle + 4), ink=look.ink, size=11, room=LANE_LEFT_PX - 190),
        *_bar(span, middle, whole, pen),
        pen.words(
            span_why(span),
            (WIDTH_PX - 16, middle + 4),
            ink="failed" if failed else "muted",
            size=11.5,
            anchor="end",
            room=WIDTH_PX - LANE_RIGHT_PX - 36,
        ),
    ]
    return element("g", None, joined(pieces))


def _bar(span: Span, middle: float, whole: float, pen: Pen) -> list[Markup]:
    start, took = span.get("startS"), span.get("tookS")
    if start is None:
        return []
    lane = LANE_RIGHT_PX - LANE_LEFT_PX
    left = LANE_LEFT_PX + lane * min(max(0.0, start / whole), 1.0)
    width = max(3.0, min(lane * (took or 0.0) / whole, LANE_RIGHT_PX - left))
    bar = pen.box((left, middle - 5), (width, 10), fill=main_look(span).ink, radius=2)
    words = duration(took)
    if left + width + text_width(words, 10) + 6 <= LANE_RIGHT_PX + 30:
        return [bar, pen.words(words, (left + width + 5, middle + 3.5), ink="muted", size=10)]
    return [bar, pen.words(words, (left - 5, middle + 3.5), ink="muted", size=10, anchor="end")]
