"""How wide a text is, and how it is cut to fit: without a browser one can only estimate.

The widths are those of DejaVu Sans, the widest of the common interface fonts, in hundredths of the font size: a text
that fits here fits elsewhere too, where it may be a little shorter.
"""

from __future__ import annotations

import unicodedata

BOLD_FACTOR = 1.13
MONO_WIDTH = 0.602

_WIDTHS_BY_CLASS = {
    28: "ijl'",
    32: " ,.·’IJ",
    35: "/:;\\|f-",
    40: "()[]t!",
    46: 'r"',
    53: "*_`–°sz“”?",
    56: "cL",
    60: "FkvxyP",
    63: "TYaoeESbdghnpqué",
    64: "$0123456789{}",
    69: "KAVBRXZ",
    75: "CUHN",
    79: "DGOQ&",
    84: "w#+<=>^~×→←±",
    97: "M%m",
    100: "W@…—",
}
_WIDTHS = {character: width / 100 for width, characters in _WIDTHS_BY_CLASS.items() for character in characters}


def text_width(text: str, size_px: float = 12, *, bold: bool = False, mono: bool = False) -> float:
    """Estimate the width of one line of text in pixels, rather too large than too small.

    Args:
        text: one line.
        size_px: font size, pixels.
        bold: weight 600 or more.
        mono: set in the monospaced font.
    """
    ems = sum(_mono_ems(character) if mono else _ems(character) for character in text)
    return ems * size_px * (BOLD_FACTOR if bold and not mono else 1)


def _ems(character: str) -> float:
    known = _WIDTHS.get(character)
    if known is not None:
        return known
    if unicodedata.combining(character):
        return 0
    return 1 if unicodedata.east_asian_width(character) in "WF" else 0.72


def _mono_ems(character: str) -> float:
    if unicodedata.combining(character):
        return 0
    return 2 * MONO_WIDTH if unicodedata.east_asian_width(character) in "WF" else MONO_WIDTH


def fit_text(text: str, width_px: float, size_px: float = 12, *, bold: bool = False, mono: bool = False) -> str:
    """Cut a text to a width, its end replaced by an ellipsis; empty when not even that fits."""
    if text_width(text, size_px, bold=bold, mono=mono) <= width_px:
        return text
    room = width_px - text_width("…", size_px, bold=bold, mono=mono)
    if room < 0:
        return ""
    kept = 0
    for kept, character in enumerate(text):  # noqa: B007 - where it stops is the answer
        room -= text_width(character, size_px, bold=bold, mono=mono)
        if room < 0:
            break
    return text[:kept].rstrip() + "…"


def wrap_text(text: str, width_px: float, size_px: float = 12, *, max_lines: int, mono: bool = False) -> list[str]:
    """Break a text into at most ``max_lines`` lines of a width, at spaces where there are some; the last may be cut."""
    lines: list[str] = []
    rest = text.split()
    while rest and len(lines) < max_lines - 1:
        line = rest.pop(0)
        while rest and text_width(f"{line} {rest[0]}", size_px, mono=mono) <= width_px:
            line += f" {rest.pop(0)}"
        if text_width(line, size_px, mono=mono) > width_px:  # one word too long for a line: break it
            head = fit_text(line, width_px, size_px, mono=mono).removesuffix("…")
            if head:
                rest.insert(0, line[len(head) :])
                line = head
        lines.append(line)
    if rest:
        lines.append(fit_text(" ".join(rest), width_px, size_px, mono=mono))
    return lines
