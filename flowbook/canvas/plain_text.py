"""A flow, a run and a node as plain text: aligned, without colours, for ``text/plain`` and for terminals."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from flowbook.canvas.cards import table_rows
from flowbook.canvas.pieces.looks import main_look, pills
from flowbook.canvas.pieces.markup import one_line, plain
from flowbook.canvas.pieces.wording import (
    card_name,
    copies_made,
    counted,
    duration,
    failure_place,
    failure_words,
    first_shape,
    run_words,
    setting_value,
    source_names,
    trace_words,
)
from flowbook.canvas.trace_drawing import left_out_words, shown_spans, span_name, span_why

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbook.canvas.protocol import Canvas, Card, Span, Trace

MAX_NODES = 200
MAX_CELL = 60


def canvas_text(snapshot: Canvas) -> str:
    """Write a snapshot as text: one line for the flow, one per node in reading order."""
    cards = sorted(snapshot["nodes"], key=lambda card: (card["x"], card["y"]))
    sources = source_names(snapshot["edges"], cards)
    rows = [
        [_state(card), card_name(card), _states(card), first_shape(card), duration(card.get("tookS")),
         _why(card), f"← {sources[card['id']]}" if card["id"] in sources else ""]
        for card in cards[:MAX_NODES]
    ]  # fmt: skip
    lines = [f"{one_line(snapshot['flow'])} · {counted(len(cards), 'node')} · {run_words(snapshot)}"]
    lines += _aligned(rows, right={4})
    if len(cards) > MAX_NODES:
        lines.append(f"and {counted(len(cards) - MAX_NODES, 'more node')}")
    return "\n".join(lines)


def trace_text(trace: Trace) -> str:
    """Write a run as text: one line for the run, one per span, and what failed spans say."""
    rows = [
        [_state(span), span_name(span), _states(span), _figures(span), duration(span.get("tookS")), span_why(span)]
        for span in shown_spans(trace)
    ]
    lines = [f"{one_line(trace['flow'])} · {trace_words(trace)}", *_aligned(rows, right={4})]
    rest = left_out_words(trace)
    return "\n".join([*lines, rest] if rest else lines)


def card_text(card: Card) -> str:
    """Write one node as text: a line of state, then its settings, its error and its preview."""
    copies = copies_made(card.get("copies", 0), card.get("copiedBytes", 0))
    facts = [_states(card), one_line(card.get("reason", "")), duration(card.get("tookS")), first_shape(card), copies]
    lines = [f"{_state(card)} {card_name(card)} · " + " · ".join(fact for fact in facts if fact)]
    settings = [
        f"{one_line(setting.get('label') or setting['name'])} = {setting_value(setting)}"
        for setting in card.get("settings", [])
        if not setting.get("connected")
    ]
    lines += ["  " + ", ".join(settings)] if settings else []
    error = card.get("error")
    if error:
        lines.append("  " + " · ".join(part for part in (failure_words(error), failure_place(error)) if part))
    lines += ["  " + line for line in _preview(card)]
    return "\n".join(lines)


def _preview(card: Card) -> list[str]:
    preview = card.get("preview")
    if not preview or preview["kind"] == "picture":
        return []
    if preview["kind"] == "table":
        header = [one_line(column["name"]) for column in preview["columns"]]
        return _aligned([header, *([one_line(cell) for cell in row] for row in table_rows(preview))])
    if preview["kind"] == "text":
        return [line[:160] for line in plain(preview["text"]).split("\n")[:3]]
    blocks = "▁▂▃▄▅▆▇█"
    line = "".join(blocks[min(int(min(max(0.0, height), 1.0) * 8), 7)] for height in preview["spark"][:60])
    return [f"{one_line(preview['dtype'])} {' × '.join(f'{size:,}' for size in preview['shape'])}  {line}".rstrip()]


def _state(item: Card | Span) -> str:
    return main_look(item).sign


def _states(item: Card | Span) -> str:
    return ", ".join(look.word for look in pills(item))


def _why(card: Card) -> str:
    error = card.get("error")
    return failure_words(error) if error else one_line(card.get("reason", ""))


def _figures(span: Span) -> str:
    rows, columns = span.get("rows"), span.get("columns")
    if rows is None:
        return ""
    return f"{rows:,} × {columns}" if columns is not None else f"{rows:,}"


def _aligned(rows: Sequence[Sequence[str]], right: frozenset[int] | set[int] = frozenset()) -> list[str]:
    """Set rows of cells in columns two blanks apart; cells are cut at 60 characters, empty columns go."""
    cells = [[_cut(cell) for cell in row] for row in rows]
    count = max((len(row) for row in cells), default=0)
    cells = [row + [""] * (count - len(row)) for row in cells]
    widths = [max((_width(row[index]) for row in cells), default=0) for index in range(count)]
    lines = []
    for row in cells:
        padded = [
            " " * (widths[index] - _width(cell)) + cell
            if index in right
            else cell + " " * (widths[index] - _width(cell))
            for index, cell in enumerate(row)
            if widths[index]
        ]
        lines.append("  ".join(padded).rstrip())
    return lines


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def _width(text: str) -> int:
    """Count the columns a text takes in a terminal."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(1 for character in text if unicodedata.combining(character))
