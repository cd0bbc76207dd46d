"""A snapshot of a flow as one SVG: ground, groups, edges, cards, notes and the run in one line.

The drawing stands alone: no reference leads out of it, no script, no id. It is light or dark as its reader's system
prefers; with style sheets stripped it is light.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowbook.canvas.pieces.lettering import fit_text, text_width, wrap_text
from flowbook.canvas.pieces.looks import UI_FONT
from flowbook.canvas.pieces.markup import Markup, element, joined, one_line
from flowbook.canvas.pieces.pen import Pen
from flowbook.canvas.pieces.routes import Rect
from flowbook.canvas.pieces.svg_cards import block_drawing, card_drawing
from flowbook.canvas.pieces.svg_edges import card_rect, edges_drawing
from flowbook.canvas.pieces.wording import card_name, counted, duration, run_name, run_words, tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowbook.canvas.protocol import Canvas, Card, Group, InputPort, Json, Note, OutputPort

GRID_PX = 20
MARGIN_PX = 24
HEADING_PX = 44
MANY_CARDS = 300
"""Beyond this many, nodes are drawn as blocks: the drawing would grow too large to keep in a notebook."""
DOTTED_AREA_PX = 6_000_000
"""Ground that is larger has no dots: browsers take seconds to draw them."""
NOTE_WIDTH_PX = 180
NOTE_LINE_PX = 16


@dataclass(frozen=True, slots=True)
class Drawing:
    """What was drawn: its size in pixels and its content, without the root element."""

    width: int
    height: int
    body: Markup


def drawing_prefix(bundle: Mapping[str, Json]) -> str:
    """Name a drawing after what it shows, so that its classes are its own: ``fb-`` and 6 hex digits."""
    written = json.dumps(bundle, sort_keys=True, default=str)
    return f"fb-{hashlib.sha256(written.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"


def canvas_svg(snapshot: Canvas) -> str:
    """Draw a snapshot as a complete SVG document, light and dark in one, well-formed for any text in it."""
    pen = Pen(drawing_prefix(snapshot))
    drawing = canvas_drawing(snapshot, pen)
    style = element("style", None, pen.sheet.rules(in_page=False))
    return svg_root(drawing, pen, canvas_title(snapshot), canvas_description(snapshot), style)


def svg_root(drawing: Drawing, pen: Pen, title: str, description: str, style: Markup | None = None) -> Markup:
    """Wrap a drawing into its root element; without ``style`` where the page has the sheet."""
    attributes = {
        "xmlns": "http://www.w3.org/2000/svg",
        "class": pen.sheet.prefix,
        "width": drawing.width,
        "height": drawing.height,
        "viewBox": f"0 0 {drawing.width} {drawing.height}",
        "role": "img",
        "font-family": UI_FONT,
    }
    words = [element("title", None, title), element("desc", None, description)]
    return element("svg", attributes, joined([*words, style or Markup(""), drawing.body]))


def canvas_title(snapshot: Canvas) -> str:
    """Name a snapshot in one line."""
    return f"Flow {one_line(snapshot['flow'])}: {counted(len(snapshot['nodes']), 'node')} · {run_words(snapshot)}"


def canvas_description(snapshot: Canvas) -> str:
    """Say what a snapshot shows to those who do not see it: every node that is not simply fine."""
    told = [card for card in snapshot["nodes"] if card.get("status", "ok") != "ok" or card.get("stamp") == "stale"]
    words = [f"{card_name(card)} {card.get('status', 'ok')}" for card in told[:40]]
    return "; ".join(words) if words else "Every node is ok."


def canvas_drawing(snapshot: Canvas, pen: Pen) -> Drawing:
    """Draw a snapshot with a pen, without the root element."""
    cards = _joined_up(snapshot)
    rects = {node: card_rect(card) for node, card in cards.items()}
    groups = [_group(group, rects, pen) for group in snapshot.get("groups", [])]
    notes = [_note(note, pen) for note in snapshot.get("notes", [])]
    lines, labels, lowest = edges_drawing(snapshot["edges"], cards, pen)
    draw = card_drawing if len(cards) <= MANY_CARDS else block_drawing
    body = [
        *[drawn for drawn, _ in groups],
        lines,
        labels,
        *[draw(card, pen) for card in sorted(cards.values(), key=lambda card: (card["x"], card["y"]))],
        *[drawn for drawn, _ in notes],
    ]
    covered = [*rects.values(), *[rect for _, found in groups for rect in found], *[rect for _, rect in notes]]
    if not covered:
        body.append(pen.words("Nothing here yet. Run a %%node cell, or add a node.", (0, 16), ink="muted", size=13))
        covered = [Rect(0, 0, 340, 24)]
    left, top = min(rect.left for rect in covered), min(rect.top for rect in covered)
    right, bottom = max(rect.right for rect in covered), max([lowest, *(rect.bottom for rect in covered)])
    width = max(round(right - left) + 2 * MARGIN_PX, _heading_width(snapshot))
    height = round(bottom - top) + HEADING_PX + 2 * MARGIN_PX - 12
    shift_x, shift_y = MARGIN_PX - left, HEADING_PX + MARGIN_PX - 12 - top
    pieces = [
        pen.box((0.5, 0.5), (width - 1, height - 1), fill="ground", stroke="rule", radius=6),
        _dots((width, height), (shift_x, shift_y), pen),
        *_heading(snapshot, width, pen),
        element("g", {"transform": f"translate({shift_x:g} {shift_y:g})"}, joined(body)),
    ]
    return Drawing(width, height, joined(pieces))


def _joined_up(snapshot: Canvas) -> dict[str, Card]:
    """Return the cards by id, with every port connected that an edge is drawn to."""
    ends = {(edge["target"], edge.get("targetPort", "")) for edge in snapshot["edges"]}
    starts = {(edge["source"], edge.get("sourcePort", "")) for edge in snapshot["edges"]}
    cards: dict[str, Card] = {}
    for card in snapshot["nodes"]:
        node = card["id"]
        inputs: list[InputPort] = [
            {**port, "connected": True} if (node, port["name"]) in ends else port for port in card.get("inputs", [])
        ]
        outputs: list[OutputPort] = [
            {**port, "connected": True} if (node, port["name"]) in starts else port for port in card.get("outputs", [])
        ]
        cards[node] = {**card, "inputs": inputs, "outputs": outputs}
    return cards


def _dots(size: tuple[int, int], shift: tuple[float, float], pen: Pen) -> Markup:
    """Draw the dotted grid: round dashes of no length, a row at a time; some viewers would strip a pattern."""
    width, height = size
    if width * height > DOTTED_AREA_PX:
        return Markup("")
    first_x, first_y = (offset % GRID_PX or GRID_PX for offset in shift)
    rows = "".join(
        f"M{first_x:g} {first_y + step:g}H{width - 6}" for step in range(0, height - round(first_y) - 4, GRID_PX)
    )
    dashes = {"stroke-dasharray": f"0 {GRID_PX}", "stroke-linecap": "round"}
    return pen.line(rows, "dots", 1.8, dashes) if rows else Markup("")


def _summary(snapshot: Canvas) -> list[tuple[str, str]]:
    """Tell the last run in pieces of (ink, words)."""
    run = snapshot.get("run")
    if not run:
        return [("muted", "not run yet")]
    pieces = [("ink", run_name(run.get("id"))), ("soft", duration(run.get("tookS"))), *tally(run)]
    return [(ink, words) for ink, words in pieces if words]


def _heading_width(snapshot: Canvas) -> int:
    summary = " · ".join(words for _, words in _summary(snapshot))
    count = counted(len(snapshot["nodes"]), "node")
    name = min(text_width(one_line(snapshot["flow"]), 14, bold=True), 320)
    return round(name + text_width(count) + text_width(summary) + 120)


def _heading(snapshot: Canvas, width: int, pen: Pen) -> list[Markup]:
    """Write the flow's name at the left and how its last run went at the right."""
    name, baseline = one_line(snapshot["flow"]), 27
    count = counted(len(snapshot["nodes"]), "node") + (" shown" if snapshot.get("summarised") else "")
    pieces = _summary(snapshot)
    spans: list[Markup] = []
    for index, (ink, words) in enumerate(pieces):
        dot = [element("tspan", pen.sheet.paint(fill="muted"), " · ")] if index else []
        spans += [*dot, element("tspan", pen.sheet.paint(fill=ink), words)]
    plate = text_width(" · ".join(words for _, words in pieces)) + 24
    return [
        pen.words(name, (18, baseline), size=14, bold=True, room=320),
        pen.words(count, (18 + min(text_width(name, 14, bold=True), 320) + 10, baseline), ink="muted"),
        pen.box((width - plate - 12, 10), (plate, 26), fill="card", stroke="rule", radius=5),
        element("text", {"x": width - 24, "y": baseline, "font-size": 12, "text-anchor": "end"}, *spans),
    ]


def _group(group: Group, rects: Mapping[str, Rect], pen: Pen) -> tuple[Markup, list[Rect]]:
    """Draw a wash behind nodes that ran as one; behind each of them where another card stands between."""
    names = group.get("nodes", [])
    members = [rects[node] for node in names if node in rects]
    if not members:
        return Markup(""), []
    around = _padded(members)
    strangers = [rect for node, rect in rects.items() if node not in names]
    washes = [_padded([member]) for member in members] if any(around.meets(rect) for rect in strangers) else [around]
    first = min(washes, key=lambda rect: (rect.left, rect.top))
    dashes = {"stroke-dasharray": "4 3"}
    pieces = [
        pen.box((rect.left, rect.top), (rect.right - rect.left, rect.bottom - rect.top), fill="group-wash",
                stroke="group-frame", radius=8, more=dashes)
        for rect in washes
    ]  # fmt: skip
    title = fit_text(one_line(group.get("title", "")), first.right - first.left - 30, 11)
    if title:
        pieces.append(
            pen.box((first.left + 10, first.top - 8), (text_width(title, 11) + 12, 16), fill="ground", radius=3)
        )
    pieces += [pen.words(title, (first.left + 16, first.top + 4), ink="cached", size=11)]
    return joined(pieces), [*washes, Rect(first.left, first.top - 8, first.right, first.top)]


def _padded(rects: Sequence[Rect]) -> Rect:
    return Rect(
        min(rect.left for rect in rects) - 14,
        min(rect.top for rect in rects) - 18,
        max(rect.right for rect in rects) + 14,
        max(rect.bottom for rect in rects) + 14,
    )


def _note(note: Note, pen: Pen) -> tuple[Markup, Rect]:
    """Write a note on a slip of its own."""
    lines = wrap_text(one_line(note.get("text", "")), NOTE_WIDTH_PX - 20, 11.5, max_lines=8)
    x, y = note.get("x", 0), note.get("y", 0)
    height = len(lines) * NOTE_LINE_PX + 14
    slip = pen.box((x, y), (NOTE_WIDTH_PX, height), fill="stale-wash", radius=4)
    words = [
        pen.words(line, (x + 10, y + 19 + row * NOTE_LINE_PX), size=11.5) for row, line in enumerate(lines)
    ]  # fmt: skip
    return joined([slip, *words]), Rect(x, y, x + NOTE_WIDTH_PX, y + height)
