"""The edges of a flow, with what they carry written beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbook.canvas.cards import card_plan, port_place
from flowbook.canvas.pieces.lettering import text_width
from flowbook.canvas.pieces.looks import port_ink
from flowbook.canvas.pieces.markup import Markup, element, joined, one_line
from flowbook.canvas.pieces.routes import Rect, Route, Router
from flowbook.canvas.pieces.wording import card_name, copies_made, short_shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowbook.canvas.pieces.pen import Pen
    from flowbook.canvas.protocol import Card, Edge

LABEL_PX = 10
MANY_EDGES = 400
"""Beyond this many, edges are drawn as plain curves without labels: nobody reads a thousand of them."""


def card_rect(card: Card) -> Rect:
    """Say what room a card takes on the canvas."""
    plan = card_plan(card)
    return Rect(card["x"], card["y"], card["x"] + plan.width, card["y"] + plan.height)


def edge_words(edge: Edge, cards: Mapping[str, Card]) -> str:
    """Say in one line what an edge joins and carries."""
    ends = f"{card_name(cards[edge['source']])} → {card_name(cards[edge['target']])}"
    parts = [
        ends,
        one_line(edge.get("label") or ""),
        copies_made(edge.get("copies", 0), 0),
        "by name" if edge.get("implicit") else "",
        "" if edge.get("carried") else "nothing carried yet",
    ]
    return " · ".join(part for part in parts if part)


def edges_drawing(edges: Sequence[Edge], cards: Mapping[str, Card], pen: Pen) -> tuple[Markup, Markup, float]:
    """Draw all edges whose two ends are there.

    Returns:
        (the lines, to lie under the cards; their labels, to lie over the lines; how far down the lines reach, pixels).
    """
    rects = [card_rect(card) for card in cards.values()]
    router = Router([] if len(edges) > MANY_EDGES else rects)
    drawn = [edge for edge in edges if edge["source"] in cards and edge["target"] in cards]
    routed = [(edge, _route(edge, cards, router, rects)) for edge in sorted(drawn, key=lambda edge: _span(edge, cards))]
    few = len(edges) <= MANY_EDGES
    lines = [_line(edge, route, pen, edge_words(edge, cards) if few else "") for edge, route in routed]
    labels = _labels(routed, rects, pen) if few else []
    bottom = max((y for _, route in routed for _, y in route.points), default=0.0)
    return joined(lines), joined(labels), bottom


def _route(edge: Edge, cards: Mapping[str, Card], router: Router, rects: Sequence[Rect]) -> Route:
    start = port_place(cards[edge["source"]], edge.get("sourcePort", ""), is_input=False)
    end = port_place(cards[edge["target"]], edge.get("targetPort", ""), is_input=True)
    if not router.cards and end[0] < start[0] + 8:
        return Router(rects).route(start, end)
    return router.route(start, end)


def _span(edge: Edge, cards: Mapping[str, Card]) -> tuple[int, int, str, str]:
    """Order edges so that short ones take their way first."""
    source, target = cards[edge["source"]], cards[edge["target"]]
    return abs(target["x"] - source["x"]), abs(target["y"] - source["y"]), edge["source"], edge["target"]


def _line(edge: Edge, route: Route, pen: Pen, words: str) -> Markup:
    paint = pen.sheet.paint(fill="none", stroke=port_ink(edge.get("type", "any")))
    attributes = {
        "d": route.path(),
        **paint,
        "stroke-width": 1.75 if edge.get("implicit") else 2.25,
        "stroke-dasharray": None if edge.get("carried") else "5 4",
    }
    return element("path", attributes, *([element("title", None, words)] if words else []))


def _labels(routed: Sequence[tuple[Edge, Route]], rects: Sequence[Rect], pen: Pen) -> list[Markup]:
    """Write each shape once per output, where it hides no card and no other label."""
    occupied = list(rects)
    said: set[tuple[str, str, str]] = set()
    labels = []
    for edge, route in routed:
        shape, copies = one_line(edge.get("label") or ""), copies_made(edge.get("copies", 0), 0)
        key = (edge["source"], edge.get("sourcePort", ""), f"{shape}{copies}")
        if not (shape or copies) or key in said:
            continue
        for words in dict.fromkeys((shape, short_shape(shape))):
            text = " · ".join(part for part in (words, copies) if part)
            plate = _free_plate(route, text_width(text, LABEL_PX) + 6, occupied)
            if plate:
                said.add(key)
                occupied.append(plate)
                labels += _plate(text, plate, pen)
                break
    return labels


def _free_plate(route: Route, width: float, occupied: Sequence[Rect]) -> Rect | None:
    """Find room for a label: above a level piece of the route, on a slanting one; near the middle, then outwards."""
    samples = route.samples()
    middle = len(samples) // 2
    for index in sorted(range(len(samples)), key=lambda index: abs(index - middle)):
        x, y = samples[index]
        before, after = samples[max(index - 1, 0)], samples[min(index + 1, len(samples) - 1)]
        level = abs(after[1] - before[1]) < 0.3 * abs(after[0] - before[0])
        centre = y - 10 if level else y
        plate = Rect(x - width / 2, centre - 7, x + width / 2, centre + 7)
        if not any(plate.meets(other) for other in occupied):
            return plate
    return None


def _plate(text: str, plate: Rect, pen: Pen) -> list[Markup]:
    size = (plate.right - plate.left, plate.bottom - plate.top)
    middle = (plate.left + plate.right) / 2
    return [
        pen.box((plate.left, plate.top), size, fill="ground", radius=3, more={"opacity": 0.9}),
        pen.words(text, (middle, plate.bottom - 3.6), ink="soft", size=LABEL_PX, anchor="middle"),
    ]
