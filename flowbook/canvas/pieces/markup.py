"""Text becomes markup here and nowhere else.

``element`` escapes every attribute and every child that is not ``Markup`` already, so a name, a column or an error from
a flow can never open a tag: there is no way to forget it. ``plain`` first makes a text fit for XML and for reading:
characters XML forbids and controls that reorder text (they let one text look like another) become ``�``.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Not in XML 1.0, or only as noise: C0 (save tab, line feed, return), DEL and C1, surrogates, non-characters,
# and the bidirectional controls (overrides, embeddings, isolates, marks).
_UNFIT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef"
    "\ufffe\uffff]"
)
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")  # colours and links for terminals
_SPACE = re.compile(r"\s+")


class Markup(str):
    """Text that is markup already; only ``element``, ``joined`` and ``trusted`` make it."""

    __slots__ = ()


def plain(value: object) -> str:
    """Make any value a text without characters that XML forbids or that reorder what is read; lines stay lines."""
    return _UNFIT.sub("\ufffd", _ANSI.sub("", str(value))).replace("\r\n", "\n").replace("\r", "\n")


def one_line(value: object) -> str:
    """Make any value a plain text of one line, every run of white space one blank."""
    return _SPACE.sub(" ", plain(value)).strip()


def escaped(value: object) -> Markup:
    """Make any value safe as the content of an element or of an attribute in quotes."""
    return Markup(html.escape(plain(value), quote=True))


def trusted(markup: str) -> Markup:
    """Take markup as it is: for our own style sheets, and for a value's own HTML, which Jupyter would show as it is."""
    return Markup(markup)


def joined(parts: Iterable[Markup], separator: str = "\n") -> Markup:
    """Put pieces of markup one after another.

    They are on lines of their own, so that even where a viewer strips tags the words stay apart.
    """
    return Markup(separator.join(part for part in parts if part))


def element(name: str, attributes: Mapping[str, object] | None = None, *children: str) -> Markup:
    """Write one element; attributes that are None or False are left out, children that are no Markup are escaped.

    Floats are written with at most two digits after the point: a hundredth of a pixel is not seen.
    """
    written = "".join(
        f' {key}="{escaped(_number(value))}"'
        for key, value in (attributes or {}).items()
        if value is not None and value is not False
    )
    content = "".join(child if isinstance(child, Markup) else escaped(child) for child in children)
    if not content and name in _EMPTY:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{content}</{name}>")


_EMPTY = frozenset({"rect", "circle", "line", "path", "polyline", "image", "img", "br"})


def _number(value: object) -> object:
    if isinstance(value, float):
        return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")  # + 0.0: never "-0"
    return "" if value is True else value
