"""Boxes, lines and words in the canvas's inks: the few shapes all drawings are made of.

Only plain shapes are used (rect, circle, path, text, image) with their paint as attributes: viewers that strip style
sheets, patterns, filters, ``use`` or clipping still show the light drawing whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from flowbook.canvas.pieces.lettering import fit_text, text_width
from flowbook.canvas.pieces.looks import MONO_FONT, Look, Sheet, icon
from flowbook.canvas.pieces.markup import Markup, element, joined, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

Anchor = Literal["start", "middle", "end"]


class Pen:
    """Draws one drawing.

    Args:
        prefix: begins every class and id, see ``Sheet``.
    """

    def __init__(self, prefix: str) -> None:
        self.sheet = Sheet(prefix)

    def box(
        self,
        place: tuple[float, float],
        size: tuple[float, float],
        *,
        fill: str | None = None,
        stroke: str | None = None,
        radius: float = 0,
        more: Mapping[str, object] | None = None,
    ) -> Markup:
        """Draw a rectangle; ``more`` are further attributes."""
        attributes = {"x": place[0], "y": place[1], "width": size[0], "height": size[1], "rx": radius or None}
        return element("rect", {**attributes, **self.sheet.paint(fill=fill or "none", stroke=stroke), **(more or {})})

    def line(self, path: str, stroke: str, width: float = 1, more: Mapping[str, object] | None = None) -> Markup:
        """Draw an open path."""
        paint = self.sheet.paint(fill="none", stroke=stroke)
        return element("path", {"d": path, **paint, "stroke-width": width if width != 1 else None, **(more or {})})

    def circle(self, x: float, y: float, radius: float, *, fill: str, stroke: str | None = None) -> Markup:
        """Draw a disc, or a ring of 2 px where ``stroke`` is given."""
        paint = self.sheet.paint(fill=fill, stroke=stroke)
        return element("circle", {"cx": x, "cy": y, "r": radius, **paint, "stroke-width": 2 if stroke else None})

    def words(
        self,
        text: object,
        place: tuple[float, float],
        *,
        ink: str = "ink",
        size: float = 12,
        anchor: Anchor = "start",
        bold: bool = False,
        mono: bool = False,
        room: float | None = None,
    ) -> Markup:
        """Write one line, its baseline at ``place``; cut with an ellipsis where it is wider than ``room`` pixels."""
        line = one_line(text)
        if room is not None:
            line = fit_text(line, room, size, bold=bold, mono=mono)
        if not line:
            return Markup("")
        attributes = {
            "x": place[0],
            "y": place[1],
            "font-size": size,
            "text-anchor": anchor if anchor != "start" else None,
            "font-weight": 600 if bold else None,
            "font-family": MONO_FONT if mono else None,
            **self.sheet.paint(fill=ink),
        }
        return element("text", attributes, line)

    def icon(self, look: Look, x: float, y: float) -> Markup:
        """Draw a state's icon, 14 × 14 px, its left top corner at (x, y)."""
        return element("g", {"transform": f"translate({x:g} {y:g})"}, icon(look.icon, look.ink, self.sheet))

    def pill(self, look: Look, x: float, middle: float) -> tuple[Markup, float]:
        """Draw a state's word on its wash, 18 px high; returns it with the x where it ends."""
        width = text_width(look.word, 10.5) + 14
        wash = self.box((x, middle - 9), (width, 18), fill=f"{look.ink}-wash", radius=9)
        word = self.words(look.word, (x + width / 2, middle + 3.7), ink=look.ink, size=10.5, anchor="middle")
        return joined([wash, word]), x + width
