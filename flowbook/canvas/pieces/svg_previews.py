"""The preview on a card: the first rows of a table, an array as a line, a small picture, the beginning of a text."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from flowbook.canvas.cards import (
    BARS_GAP_PX,
    BARS_SHARE,
    INSET_PX,
    SPARK_PX,
    TABLE_ROW_PX,
    TEXT_LINE_PX,
    bars_beside,
    picture_size,
    preview_height,
    table_columns,
    table_rows,
    text_lines,
)
from flowbook.canvas.pieces.markup import Markup, element, joined, one_line
from flowbook.canvas.pieces.wording import shown_value

if TYPE_CHECKING:
    from flowbook.canvas.pieces.pen import Pen
    from flowbook.canvas.protocol import ArrayPreview, Card, PicturePreview, TablePreview

PICTURE_MIMES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Pictures that are embedded: pixels only, nothing that could carry a script."""

_NUMBER_TYPES = ("int", "uint", "float", "decimal", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64")


def preview_drawing(card: Card, width: int, top: int, pen: Pen) -> Markup:
    """Draw a card's preview, if it has one, from ``top`` on; as high as ``cards.preview_height`` says."""
    preview = card.get("preview")
    left = INSET_PX - 2
    if not preview:
        return Markup("")
    if preview["kind"] == "table":
        return _table(preview, width, top + 4, pen)
    if preview["kind"] == "array":
        return _spark(preview, width, top + 4, pen)
    if preview["kind"] == "picture":
        return _picture(preview, width, top + 5, pen)
    frame = pen.box(
        (left + 0.5, top + 4.5), (width - 2 * left - 1, preview_height(card, width) - 11), fill="ground", stroke="rule",
        radius=3,
    )  # fmt: skip
    lines = [
        pen.words(
            line,
            (left + 8, top + 8 + (row + 1) * TEXT_LINE_PX - 3),
            ink="soft",
            size=10,
            mono=True,
            room=width - 2 * left - 14,
        )
        for row, line in enumerate(text_lines(card, width))
    ]
    return joined([frame, *lines])


def is_numeric(column_type: str) -> bool:
    """Tell whether a column's figures stand at the right."""
    return column_type.lower().startswith(_NUMBER_TYPES)


def _table(preview: TablePreview, width: int, top: int, pen: Pen) -> Markup:
    left = INSET_PX - 2
    rows = table_rows(preview)
    inner = width - 2 * left
    height = (1 + len(rows)) * TABLE_ROW_PX
    pieces = [
        pen.box((left + 0.5, top + 0.5), (inner - 1, height - 1), fill="card", stroke="rule", radius=3),
        pen.box((left + 1, top + 1), (inner - 2, TABLE_ROW_PX - 1), fill="ground", radius=2),
    ]
    pieces += [
        pen.line(f"M{left + 1} {top + row * TABLE_ROW_PX + 0.5:g}H{width - left - 1}", "rule")
        for row in range(1, len(rows) + 1)
    ]
    x = float(left)
    for index, column_width in table_columns(preview, width):
        column = preview["columns"][index]
        right = is_numeric(column["type"])
        at = x + column_width - 6 if right else x + 6
        for row, text in enumerate([column["name"], *(cells[index] if index < len(cells) else "" for cells in rows)]):
            pieces.append(
                pen.words(
                    text,
                    (at, top + row * TABLE_ROW_PX + 12.5),
                    ink="ink" if row else "muted",
                    size=9.5,
                    mono=True,
                    anchor="end" if right else "start",
                    room=column_width - 11,
                )
            )
        x += column_width
    return joined(pieces)


def _spark(preview: ArrayPreview, width: int, top: int, pen: Pen) -> Markup:
    """Draw an array as a line in a frame, or as its image, and a histogram; below it its type, shape and range."""
    left = INSET_PX - 2
    inner = width - 2 * left
    image = preview.get("image")
    counts = [count if 0 < count < float("inf") else 0 for count in preview.get("histogram") or []]
    if image:
        (drawn_width, drawn_height), (bars_width, bars_height) = picture_size(image, width), bars_beside(preview, width)
        beside = bars_width + BARS_GAP_PX if bars_width else 0
        place = ((width + drawn_width + beside) / 2 - bars_width, top + 1 + drawn_height - bars_height)
        return joined(
            [
                _picture(image, width, top + 1, pen, beside=beside),
                _bars(counts, place, (bars_width, bars_height), pen) if beside else Markup(""),
                *_array_words(preview, width, top + drawn_height + 13, pen),
            ]
        )
    bars_width = round(inner * BARS_SHARE) if counts else 0
    heights = [min(max(0.0, height), 1.0) for height in preview["spark"][:60]]  # in this order, NaN is 0
    pieces = [pen.box((left + 0.5, top + 0.5), (inner - 1, SPARK_PX - 1), fill="ground", stroke="rule", radius=3)]
    if heights:
        step = (inner - 12 - bars_width) / max(len(heights) - 1, 1)
        points = [(left + 6 + index * step, top + SPARK_PX - 6 - height * (SPARK_PX - 12)) for index, height in
                  enumerate(heights)]  # fmt: skip
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        pieces.append(pen.line(path, "array", 1.5, {"stroke-linejoin": "round"}))
    if counts:
        place = (width - left - bars_width + 4, top + 6)
        pieces.append(_bars(counts, place, (bars_width - 10, SPARK_PX - 12), pen))
    return joined([*pieces, *_array_words(preview, width, top + SPARK_PX + 11, pen)])


def _bars(counts: list[int], place: tuple[float, float], size: tuple[float, float], pen: Pen) -> Markup:
    """Draw a histogram: one path, its bars standing on the lower edge; what is there at all is seen."""
    (left, top), (width, height) = place, size
    step, highest, foot = width / len(counts), max(*counts, 1), top + height
    bars = [
        f"M{left + (index + 0.5) * step:.1f} {foot:g}V{foot - max(1.0, count / highest * height):.1f}"
        for index, count in enumerate(counts)
        if count
    ]
    return pen.line("".join(bars), "array", round(max(step - 0.6, 1), 1), {"opacity": 0.7})


def _array_words(preview: ArrayPreview, width: int, baseline: int, pen: Pen) -> list[Markup]:
    left = INSET_PX - 2
    inner = width - 2 * left
    shape = " × ".join(f"{size:,}" for size in preview["shape"])
    low, high = preview.get("min"), preview.get("max")
    span = f"{shown_value(low)} … {shown_value(high)}" if low is not None and high is not None else ""
    return [
        pen.words(f"{preview['dtype']} {shape}", (left + 1, baseline), ink="muted", size=10, room=inner * 0.55),
        pen.words(span, (width - left - 1, baseline), ink="muted", size=10, anchor="end", room=inner * 0.45),
    ]


def picture_uri(preview: PicturePreview) -> str | None:
    """Return a picture as a ``data:`` URI, or None when it is not base64 or not a plain picture."""
    if preview.get("mime") not in PICTURE_MIMES:
        return None
    try:
        data = base64.b64decode("".join(preview["data"].split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return f"data:{preview['mime']};base64,{base64.b64encode(data).decode('ascii')}"


def _picture(preview: PicturePreview, width: int, top: int, pen: Pen, *, beside: int = 0) -> Markup:
    """Draw a picture in the middle, together with what stands ``beside`` it, pixels."""
    drawn_width, drawn_height = picture_size(preview, width)
    left = (width - drawn_width - beside) / 2
    uri = picture_uri(preview)
    size = f"picture {preview['width']} × {preview['height']}"
    if uri is None:
        return pen.words(one_line(size), (INSET_PX, top + 12), ink="muted", size=10.5)
    place = {"x": left, "y": top, "width": drawn_width, "height": drawn_height}
    picture = element("image", {**place, "href": uri, "preserveAspectRatio": "xMidYMid meet"})
    return joined([picture, pen.box((left, top), (drawn_width, drawn_height), stroke="rule", radius=1)])
