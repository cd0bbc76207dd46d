"""How large a card is and where its parts lie, from what it has to show.

A card is a stack of parts under a header of 33 px: rows of ports, settings, an error, a preview, a footer. Sizes depend
on the content alone, so that the layout, the static drawing and the browser agree. Where a snapshot gives a card less
height than its parts need, the card is drawn *compact*: its header only, with all edges arriving at its middle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from flowbook.canvas.pieces.lettering import text_width, wrap_text
from flowbook.canvas.pieces.looks import pills
from flowbook.canvas.pieces.markup import one_line, plain
from flowbook.canvas.pieces.wording import (
    card_name,
    copies_made,
    duration,
    failure_place,
    output_words,
    setting_value,
    shown_value,
)

if TYPE_CHECKING:
    from flowbook.canvas.protocol import ArrayPreview, Card, InputPort, PicturePreview, Setting, TablePreview

MIN_WIDTH_PX, MAX_WIDTH_PX = 188, 228
HEADER_PX = 33
PORT_ROW_PX = 22
SETTING_ROW_PX = 26
FOOTER_PX = 30
INSET_PX = 14
"""From the card's edge to its text."""
ANCHOR_PX = HEADER_PX + PORT_ROW_PX // 2
"""From the top of a card to its first port: what the layout aligns."""
COMPACT_PX = 36
MAX_PORT_ROWS = 10
MAX_SETTINGS = 4
SLIDER_PX = 54
TABLE_ROW_PX = 18
PICTURE_MAX_PX = 132
SPARK_PX = 40
#: A histogram beside the line of an array, or beside its picture where there is room for one.
BARS_SHARE = 0.34
BARS_PX, LEAST_BARS_PX, BARS_HEIGHT_PX, BARS_GAP_PX = 60, 28, 28, 8
TEXT_LINE_PX = 15
ERROR_LINE_PX = 16

PartKind = Literal["ports", "settings", "error", "preview", "footer"]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a card: its kind, and top and height in pixels from the card's top."""

    kind: PartKind
    top: int
    height: int


@dataclass(frozen=True, slots=True)
class CardPlan:
    """A card's size and the parts it has, from top to bottom; a compact card has none."""

    width: int
    height: int
    parts: tuple[Part, ...]

    @property
    def is_compact(self) -> bool:
        """Tell whether the card shows its header only."""
        return not self.parts and self.height <= COMPACT_PX


def card_size(card: Card) -> tuple[int, int]:
    """Say how large a card wants to be: (width, height), pixels; 188 to 228 wide."""
    width = _wanted_width(card)
    return width, _stacked(card, width).height


def card_plan(card: Card) -> CardPlan:
    """Lay out a card within the size its snapshot gives it; compact where that is too low."""
    width = card["w"] or MIN_WIDTH_PX
    full = _stacked(card, width)
    if full.height <= max(card["h"], HEADER_PX + FOOTER_PX) or not card["h"]:
        return full
    return CardPlan(width, min(card["h"], COMPACT_PX), ())


def _stacked(card: Card, width: int) -> CardPlan:
    heights: list[tuple[PartKind, int]] = [
        ("ports", port_rows(card) * PORT_ROW_PX),
        ("settings", _settings_height(card)),
        ("error", _error_height(card, width)),
        ("preview", preview_height(card, width)),
        ("footer", FOOTER_PX if _has_footer(card) else 0),
    ]
    parts, top = [], HEADER_PX
    for kind, height in heights:
        if height:
            parts.append(Part(kind, top, height))
            top += height
    return CardPlan(width, max(top + (0 if _has_footer(card) else 8), HEADER_PX + PORT_ROW_PX), tuple(parts))


def _has_footer(card: Card) -> bool:
    return card.get("kind") != "input" and bool(pills(card) or card.get("reason"))


def port_rows(card: Card) -> int:
    """Count the rows of ports a card shows, at least one and at most ten."""
    return max(1, min(max(len(card.get("inputs", [])), len(card.get("outputs", []))), MAX_PORT_ROWS))


def shown_settings(card: Card) -> list[Setting]:
    """List the settings a card shows: never more than four."""
    return card.get("settings", [])[:MAX_SETTINGS]


def _settings_height(card: Card) -> int:
    settings = card.get("settings", [])
    more = 16 if len(settings) > MAX_SETTINGS else 0
    return len(shown_settings(card)) * SETTING_ROW_PX + more


def error_lines(card: Card, width: int) -> list[str]:
    """Break a card's error into lines: its message, its remedy, its place."""
    error = card.get("error")
    if not error:
        return []
    room = width - 2 * INSET_PX - 14
    message = wrap_text(one_line(error.get("message", "")), room, 11, max_lines=3)
    hint = wrap_text(one_line(error.get("hint") or ""), room, 11, max_lines=2)
    place = failure_place(error)
    return message + hint + ([place] if place else [])


def _error_height(card: Card, width: int) -> int:
    lines = len(error_lines(card, width))
    return lines * ERROR_LINE_PX + 22 if lines else 0


def text_lines(card: Card, width: int) -> list[str]:
    """Break a text preview into at most three lines, as wide as the card."""
    preview = card.get("preview")
    if not preview or preview["kind"] != "text":
        return []
    rows = [row for row in plain(preview["text"]).split("\n") if row.strip()][:3]
    room = width - 2 * INSET_PX - 12
    if len(rows) > 1:
        return [one_line(row) for row in rows]
    return wrap_text(" ".join(rows), room, 10, max_lines=3, mono=True)


def picture_size(preview: PicturePreview, width: int) -> tuple[int, int]:
    """Scale a picture into a card, never beyond its own size: (width, height), pixels."""
    own_width, own_height = max(1, preview["width"]), max(1, preview["height"])
    scale = min((width - 2 * INSET_PX + 4) / own_width, PICTURE_MAX_PX / own_height, 1)
    return max(1, round(own_width * scale)), max(1, round(own_height * scale))


def bars_beside(preview: ArrayPreview, width: int) -> tuple[int, int]:
    """Say how large a histogram beside an array's picture is, pixels: (width, height), both 0 without room for one."""
    image = preview.get("image")
    if not image or not preview.get("histogram"):
        return 0, 0
    drawn_width, drawn_height = picture_size(image, width)
    room = width - 2 * INSET_PX + 4 - drawn_width - BARS_GAP_PX
    if room < LEAST_BARS_PX or drawn_height < BARS_HEIGHT_PX:
        return 0, 0
    return min(room, BARS_PX), BARS_HEIGHT_PX


def preview_height(card: Card, width: int) -> int:
    """Say how high a card's preview is, with the space around it; 0 without one."""
    preview = card.get("preview")
    if not preview:
        return 0
    if preview["kind"] == "table":
        return (1 + len(table_rows(preview))) * TABLE_ROW_PX + 12
    if preview["kind"] == "array":
        image = preview.get("image")
        return (picture_size(image, width)[1] + 2 if image else SPARK_PX) + 14 + 12
    if preview["kind"] == "picture":
        return picture_size(preview, width)[1] + 14
    lines = len(text_lines(card, width))
    return lines * TEXT_LINE_PX + 22 if lines else 0


def table_rows(preview: TablePreview) -> list[list[str]]:
    """List the rows of a table preview, at most four; of a table that nobody collected the types of its columns."""
    return preview["rows"][:4] or [[column["type"] for column in preview["columns"]]]


def table_columns(preview: TablePreview, width: int) -> list[tuple[int, float]]:
    """Choose the columns of a table preview that fit into a card: (index, width in pixels) of each.

    Columns take the width of their longest cell, at most 88 px; at least one is shown.
    """
    room = float(width - 2 * INSET_PX + 4)
    chosen: list[tuple[int, float]] = []
    for index, column in enumerate(preview["columns"]):
        cells = [row[index] for row in table_rows(preview) if index < len(row)]
        longest = max(text_width(one_line(text), 9.5, mono=True) for text in [column["name"], *cells])
        wanted = min(longest + 12, 88.0)
        if chosen and wanted > room:
            break
        chosen.append((index, min(wanted, room)))
        room -= chosen[-1][1]
    share = room / len(chosen) if chosen else 0
    return [(index, column_width + share) for index, column_width in chosen]


def _wanted_width(card: Card) -> int:
    widths = [
        36 + text_width(card_name(card), 13, bold=True) + 12 + text_width(duration(card.get("tookS")), 11) + 14,
        *(_port_row_widths(card)),
        *(_setting_width(setting) for setting in shown_settings(card)),
        _footer_width(card),
    ]
    return min(max(MIN_WIDTH_PX, math.ceil(max(widths) / 4) * 4), MAX_WIDTH_PX)


def _port_row_widths(card: Card) -> list[float]:
    inputs, outputs = card.get("inputs", []), card.get("outputs", [])
    widths = []
    for row in range(port_rows(card)):
        left = text_width(input_words(inputs[row])) if row < len(inputs) else 0
        right = text_width(output_words(card, outputs[row])) if row < len(outputs) else 0
        widths.append(2 * INSET_PX + left + right + (14 if left and right else 0))
    return widths


def input_words(port: InputPort) -> str:
    """Say what stands at an input: its name, and its constant where it has one."""
    name = one_line(port["name"])
    return f"{name} = {shown_value(port['constant'])}" if "constant" in port else name


def _setting_width(setting: Setting) -> float:
    label = text_width(one_line(setting.get("label") or setting["name"]))
    control = SLIDER_PX + 12 if setting.get("control") == "slider" else 22
    return 2 * INSET_PX + label + 10 + control + text_width(setting_value(setting))


def _footer_width(card: Card) -> float:
    width = sum(text_width(look.word, 10.5) + 18 for look in pills(card))
    words = [one_line(card.get("reason", "")), copies_made(card.get("copies", 0), card.get("copiedBytes", 0))]
    return 2 * INSET_PX + width + text_width(" · ".join(word for word in words if word), 11)


def port_place(card: Card, name: str, *, is_input: bool) -> tuple[int, int]:
    """Say where an edge meets a card: (x, y) on the canvas, pixels.

    Inputs lie on the left edge, outputs on the right; a setting that an edge feeds lies at its row. A port that is not
    shown (an eleventh, an unknown name) is met at the last row there is.
    """
    plan = card_plan(card)
    x = card["x"] if is_input else card["x"] + plan.width
    if plan.is_compact:
        return x, card["y"] + plan.height // 2
    names = [port["name"] for port in (card.get("inputs", []) if is_input else card.get("outputs", []))]
    if is_input and name not in names:
        row = next((row for row, setting in enumerate(shown_settings(card)) if setting["name"] == name), None)
        top = next((part.top for part in plan.parts if part.kind == "settings"), None)
        if row is not None and top is not None:
            return x, card["y"] + top + row * SETTING_ROW_PX + SETTING_ROW_PX // 2
    row = names.index(name) if name in names else 0
    return x, card["y"] + HEADER_PX + min(row, port_rows(card) - 1) * PORT_ROW_PX + PORT_ROW_PX // 2
