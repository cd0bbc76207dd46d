"""One node as a card: header, ports, settings, error, preview and footer, in the places ``cards`` gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbook.canvas.cards import (
    ANCHOR_PX,
    ERROR_LINE_PX,
    HEADER_PX,
    INSET_PX,
    MAX_SETTINGS,
    PORT_ROW_PX,
    SETTING_ROW_PX,
    SLIDER_PX,
    CardPlan,
    Part,
    card_plan,
    error_lines,
    input_words,
    port_rows,
    shown_settings,
)
from flowbook.canvas.pieces.lettering import text_width
from flowbook.canvas.pieces.looks import main_look, pills, port_ink
from flowbook.canvas.pieces.markup import Markup, element, joined, one_line
from flowbook.canvas.pieces.svg_previews import preview_drawing
from flowbook.canvas.pieces.wording import (
    card_name,
    copies_made,
    counted,
    duration,
    failure_words,
    first_shape,
    output_words,
    setting_value,
    shown_value,
)

if TYPE_CHECKING:
    from flowbook.canvas.pieces.pen import Pen
    from flowbook.canvas.protocol import Card, Setting

RADIUS_PX = 8


def card_words(card: Card) -> str:
    """Say in one line what a card shows: for a tool tip and for those who hear the drawing."""
    states = ", ".join(look.word for look in pills(card))
    error = card.get("error")
    parts = [
        f"{card_name(card)}: {states}" if states else card_name(card),
        one_line(card.get("reason", "")),
        failure_words(error) if error else "",
        duration(card.get("tookS")),
        first_shape(card),
        copies_made(card.get("copies", 0), card.get("copiedBytes", 0)),
        one_line(card.get("doc", "")),
    ]
    return " · ".join(part for part in parts if part)


def card_drawing(card: Card, pen: Pen) -> Markup:
    """Draw a card at its place on the canvas."""
    plan = card_plan(card)
    pieces = [
        element("title", None, card_words(card)),
        *_ground(card, plan, pen),
        *_header(card, plan, pen),
    ]
    if plan.is_compact:
        pieces += _compact_handles(card, plan, pen)
    else:
        if card.get("kind") != "input":
            pieces.append(pen.line(f"M1 {HEADER_PX - 0.5:g}H{plan.width - 1}", "rule"))
        pieces += [piece for part in plan.parts for piece in _part(card, plan, part, pen)]
    return element("g", {"transform": f"translate({card['x']:d} {card['y']:d})"}, joined(pieces))


def block_drawing(card: Card, pen: Pen) -> Markup:
    """Draw a card as a block in its state's colour, with its sign and name: for flows of very many nodes."""
    plan, look = card_plan(card), main_look(card)
    place = {"transform": f"translate({card['x']:d} {card['y']:d})"}
    box = pen.box((0, 0), (plan.width, plan.height), fill=f"{look.ink}-wash", stroke=look.ink, radius=4)
    words = pen.words(f"{look.sign} {card_name(card)}", (8, plan.height / 2 + 4.5), ink=look.ink, room=plan.width - 16)
    return element("g", place, box, words)


def _ground(card: Card, plan: CardPlan, pen: Pen) -> list[Markup]:
    """Draw shadow, paper and state bar; a card that waits is dashed, a muted one has no paper of its own."""
    size, look, status = (plan.width, plan.height), main_look(card), card.get("status", "ok")
    waiting = card.get("kind") == "waiting" or status == "waiting"
    frame = "failed" if status == "unresponsive" else "frame"
    paper = "ground" if waiting or status == "muted" else "card"
    shadows = [
        pen.box((0, drop), size, fill="shade", radius=RADIUS_PX, more={"opacity": opacity})
        for drop, opacity in ((3, 0.045), (1, 0.06))
        if paper == "card"
    ]
    dashes = {"stroke-dasharray": "4 3"} if waiting else None
    bar = pen.box((0, 9), (3, plan.height - 18), fill=look.ink, radius=1.5)
    return [*shadows, pen.box((0, 0), size, fill=paper, stroke=frame, radius=RADIUS_PX, more=dashes), bar]


def _header(card: Card, plan: CardPlan, pen: Pen) -> list[Markup]:
    middle = plan.height / 2 if plan.is_compact else HEADER_PX / 2
    time = duration(card.get("tookS"))
    marks = [mark for mark, on in (("pinned", card.get("pinned")), ("bypassed", card.get("bypassed"))) if on]
    if plan.is_compact:
        marks, time = [look.word for look in pills(card)], ""
    right = " · ".join([*marks, time] if time else marks)
    room = plan.width - 34 - 12
    name = card_name(card)
    right_room = max(room - text_width(name, 13, bold=True) - 8, min(text_width(right, 11), room * 0.4))
    return [
        pen.icon(main_look(card), 13, middle - 7),
        pen.words(name, (34, middle + 4.5), size=13, bold=True, room=room - min(text_width(right, 11), right_room)),
        pen.words(right, (plan.width - 12, middle + 4), ink="muted", size=11, anchor="end", room=right_room + 1),
    ]


def _compact_handles(card: Card, plan: CardPlan, pen: Pen) -> list[Markup]:
    ends = [(0, ports[0]["type"]) for ports in [card.get("inputs")] if ports]
    ends += [(plan.width, ports[0]["type"]) for ports in [card.get("outputs")] if ports]
    return [pen.circle(x, plan.height / 2, 4, fill=port_ink(port_type)) for x, port_type in ends]


def _part(card: Card, plan: CardPlan, part: Part, pen: Pen) -> list[Markup]:
    if part.kind == "ports":
        return _source_row(card, plan, pen) if card.get("kind") == "input" else _ports(card, plan, pen)
    if part.kind == "settings":
        return _settings(card, plan, part, pen)
    if part.kind == "error":
        return _error(card, plan, part, pen)
    if part.kind == "preview":
        return [preview_drawing(card, plan.width, part.top, pen)]
    return _footer(card, plan, part.top + (part.height - 4) / 2, pen)


def _source_row(card: Card, plan: CardPlan, pen: Pen) -> list[Markup]:
    """Draw a notebook value or an input of the flow: where it comes from, what it is, and its one handle."""
    pieces, x = [], float(INSET_PX)
    for look in pills(card):
        drawn, end = pen.pill(look, x, ANCHOR_PX)
        pieces.append(drawn)
        x = end + 6
    for port in card.get("outputs", [])[:1]:
        shape = pen.words(
            port.get("shape") or "",
            (plan.width - INSET_PX, ANCHOR_PX + 4),
            ink="soft",
            anchor="end",
            room=plan.width - INSET_PX - x,
        )
        pieces += [shape, _handle(plan.width, ANCHOR_PX, port["type"], connected=port["connected"], pen=pen)]
    return pieces


def _ports(card: Card, plan: CardPlan, pen: Pen) -> list[Markup]:
    inputs, outputs = card.get("inputs", []), card.get("outputs", [])
    pieces = []
    for row in range(port_rows(card)):
        middle = HEADER_PX + row * PORT_ROW_PX + PORT_ROW_PX / 2
        left = input_words(inputs[row]) if row < len(inputs) else ""
        right = output_words(card, outputs[row]) if row < len(outputs) else ""
        room = plan.width - 2 * INSET_PX - (12 if left and right else 0)
        right_room = min(text_width(right), max(room - text_width(left), room / 2))
        pieces += [
            pen.words(left, (INSET_PX, middle + 4), ink="soft", room=room - right_room + 0.5),
            pen.words(right, (plan.width - INSET_PX, middle + 4), ink="soft", anchor="end", room=right_room + 0.5),
        ]
        for x, ports in ((0, inputs), (plan.width, outputs)):
            if row < len(ports):
                port = ports[row]
                pieces.append(_handle(x, middle, port["type"], connected=port["connected"], pen=pen))
    return pieces


def _handle(x: float, y: float, port_type: str, *, connected: bool, pen: Pen) -> Markup:
    """Draw a port: filled when something is connected, hollow when not."""
    ink = port_ink(port_type)
    return pen.circle(x, y, 5, fill=ink) if connected else pen.circle(x, y, 4, fill="card", stroke=ink)


def _settings(card: Card, plan: CardPlan, part: Part, pen: Pen) -> list[Markup]:
    pieces = []
    for row, setting in enumerate(shown_settings(card)):
        pieces += _setting(setting, plan.width, part.top + row * SETTING_ROW_PX + SETTING_ROW_PX / 2, pen)
    more = len(card.get("settings", [])) - MAX_SETTINGS
    if more > 0:
        words = f"and {counted(more, 'more setting')}"
        pieces.append(pen.words(words, (INSET_PX, part.top + part.height - 5), ink="muted", size=10.5))
    return pieces


def _setting(setting: Setting, width: int, middle: float, pen: Pen) -> list[Markup]:
    """Draw a setting's label, its control as it stands, and its value."""
    label = one_line(setting.get("label") or setting["name"])
    control = setting.get("control", "text")
    right, pieces = width - INSET_PX, []
    if setting.get("connected"):
        pieces.append(_handle(0, middle, "scalar", connected=True, pen=pen))
        pieces.append(pen.words("from an edge", (right, middle + 4), ink="muted", size=11, anchor="end"))
        return [pen.words(label, (INSET_PX, middle + 4), ink="soft", room=width / 2 - INSET_PX), *pieces]
    label_room = min(text_width(label), width * 0.55)
    room = right - INSET_PX - label_room - 10
    if control == "slider":
        slider_end = right - min(text_width(_short(setting, room - SLIDER_PX - 12)), 80) - 10
        pieces += _slider(setting, slider_end - SLIDER_PX, middle, pen)
        value_room = right - slider_end - 6
        value = _short(setting, value_room)
        pieces.append(pen.words(value, (right, middle + 4), anchor="end", room=value_room))
        label_room = slider_end - SLIDER_PX - INSET_PX - 8
    elif control == "switch":
        pieces += _switch(right - 26, middle, pen, on=setting.get("value") is True)
    else:
        pieces += _field(_short(setting, room - 24), right, middle, room, pen, is_list=control == "select")
    return [pen.words(label, (INSET_PX, middle + 4), ink="soft", room=label_room + 0.5), *pieces]


def _short(setting: Setting, room: float) -> str:
    """Say the value and its default where there is room for both, else the value alone."""
    full = setting_value(setting)
    return full if text_width(full) <= room else full.partition(" (default ")[0]


def _slider(setting: Setting, x: float, middle: float, pen: Pen) -> list[Markup]:
    """Draw a track with its knob, and a tick where the default is."""
    filled, usual = _share(setting, setting.get("value")), _share(setting, setting.get("default"))
    knob = x + SLIDER_PX * filled
    pieces = [pen.box((x, middle - 2), (SLIDER_PX, 4), fill="track", radius=2)]
    if abs(usual - filled) > 0.01:
        pieces.append(pen.box((x + SLIDER_PX * usual - 0.75, middle - 5), (1.5, 10), fill="muted"))
    pieces.append(pen.box((x, middle - 2), (max(knob - x, 2), 4), fill="running", radius=2))
    pieces.append(pen.circle(knob, middle, 5.5, fill="card", stroke="running"))
    return pieces


def _share(setting: Setting, value: object) -> float:
    low, high = setting.get("min"), setting.get("max")
    if not isinstance(value, int | float) or low is None or high is None or high <= low:
        return 0.0
    return min(max(0.0, (value - low) / (high - low)), 1.0)  # in this order, NaN is 0


def _switch(x: float, middle: float, pen: Pen, *, on: bool) -> list[Markup]:
    return [
        pen.words(shown_value(on), (x - 6, middle + 4), ink="muted", size=11, anchor="end"),
        pen.box((x, middle - 7), (26, 14), fill="running" if on else "track", radius=7),
        pen.circle(x + (19 if on else 7), middle, 5, fill="card"),
    ]


def _field(value: str, right: float, middle: float, room: float, pen: Pen, *, is_list: bool) -> list[Markup]:
    """Draw a value in a frame, with a chevron where it is chosen from a list."""
    mark = 14 if is_list else 0
    width = min(max(text_width(value) + 14 + mark, 40), room)
    pieces = [
        pen.box((right - width, middle - 10), (width, 20), fill="ground", stroke="rule", radius=4),
        pen.words(value, (right - width + 7, middle + 4), room=width - 13 - mark),
    ]
    if is_list:
        pieces.append(pen.line(f"M{right - 15:g} {middle - 2:g}l3.5 3.5l3.5 -3.5", "muted", 1.4))
    return pieces


def _error(card: Card, plan: CardPlan, part: Part, pen: Pen) -> list[Markup]:
    """Draw what went wrong, the remedy and the place, on a red wash."""
    lines = error_lines(card, plan.width)
    pieces = [
        pen.box((INSET_PX - 2, part.top + 5), (plan.width - 2 * INSET_PX + 4, part.height - 10), fill="failed-wash",
                radius=4),
    ]  # fmt: skip
    for row, line in enumerate(lines):
        baseline = part.top + 5 + 6 + (row + 1) * ERROR_LINE_PX - 4.5
        pieces.append(pen.words(line, (INSET_PX + 5, baseline), ink="failed", size=11))
    return pieces


def _footer(card: Card, plan: CardPlan, middle: float, pen: Pen) -> list[Markup]:
    """Draw the state's words and the why."""
    pieces, x = [], INSET_PX - 2.0
    for look in pills(card):
        drawn, end = pen.pill(look, x, middle)
        pieces.append(drawn)
        x = end + 6
    why, room = one_line(card.get("reason", "")), plan.width - INSET_PX - x + 4
    with_copies = " · ".join(
        words for words in (why, copies_made(card.get("copies", 0), card.get("copiedBytes", 0))) if words
    )
    words = with_copies if text_width(with_copies, 11) <= room else why
    pieces.append(pen.words(words, (x + 2, middle + 4), ink="muted", size=11, room=room))
    return pieces
