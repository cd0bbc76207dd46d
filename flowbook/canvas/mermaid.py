"""A flow in Mermaid's language, for Markdown viewers that draw it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowbook.canvas.pieces.looks import INKS, main_look, pills
from flowbook.canvas.pieces.markup import one_line
from flowbook.canvas.pieces.wording import card_name, short_shape

if TYPE_CHECKING:
    from flowbook.canvas.protocol import Canvas

# Letters, digits and a few signs mean nothing to Mermaid within quotes; everything else is written by its number.
_SPECIAL = re.compile(r"[^\w .,:·×→←…()/+\-]")


def canvas_mermaid(snapshot: Canvas) -> str:
    """Write a snapshot as a Mermaid flowchart: nodes with their state, edges with what they carry.

    Ids are numbered, so that no name can be taken for syntax; within labels every sign that Mermaid or HTML knows is
    written as its character number.
    """
    number = {card["id"]: f"n{index}" for index, card in enumerate(snapshot["nodes"])}
    lines = ["flowchart LR"]
    used: dict[str, None] = {}
    for card in snapshot["nodes"]:
        look = main_look(card)
        states = ", ".join(pill.word for pill in pills(card))
        opening, closing = ('(["', '"])') if card.get("kind") == "input" else ('["', '"]')
        name = _quoted(card_name(card))
        words = f"{name}<br/>{_quoted(states)}" if states else name
        lines.append(f"  {number[card['id']]}{opening}{words}{closing}:::{look.ink}")
        used[look.ink] = None
    for edge in snapshot["edges"]:
        if edge["source"] in number and edge["target"] in number:
            label = f'|"{_quoted(short_shape(one_line(edge["label"])))}"|' if edge.get("label") else ""
            arrow = "-->" if edge.get("carried") else "-.->"
            lines.append(f"  {number[edge['source']]} {arrow}{label} {number[edge['target']]}")
    lines += [
        f"  classDef {ink} fill:{INKS[f'{ink}-wash'].light},stroke:{INKS[ink].light},color:#1b2026" for ink in used
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: object) -> str:
    return _SPECIAL.sub(lambda match: f"#{ord(match[0])};", one_line(text))
