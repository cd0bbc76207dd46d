"""How runs are put into words: one harmless line for each thing that happened."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from flowbook.headless.run_book import as_number, as_object, status_of, whole

if TYPE_CHECKING:
    from flowbook.headless.outcome import CellFailure

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def plain(text: object) -> str:
    """Make one harmless line of any text: no control characters, no line ends, no reversed writing."""
    return _CONTROL.sub(" ", str(text)).strip()


def harmless(line: str) -> str:
    """Take the control characters out of a line that is to keep its blanks: a table that a cell printed."""
    return _CONTROL.sub("", line.expandtabs())


def duration_text(seconds: float | None) -> str:
    """Write a time as people read it: ``31 ms``, ``2.4 s``, ``3 min 5 s``; empty for None."""
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def counted(number: int, word: str) -> str:
    """Write ``1 node``, ``2 nodes``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def node_failure_text(span: dict[str, Any]) -> str:
    """Say why a node failed, with the line of its own cell: ``late, line 3: no column "gust"``."""
    error = as_object(span.get("error"))
    line = f", line {whole(error.get('line'))}" if whole(error.get("line")) else ""
    message = plain(str(error.get("message") or span.get("reason") or status_of(span)).split("\n")[0])
    attempt = f", attempt {whole(span.get('attempt'))}" if whole(span.get("attempt")) > 1 else ""
    return f"{plain(span.get('node', ''))}{line}{attempt}: {message}"


def run_text(bundle: dict[str, Any]) -> str:
    """Sum a run up in one line: ``  flights · run 9f3a · ok · 6 ran, 3 cached · 4.1 s``."""
    counts = as_object(bundle.get("counts"))
    did = ", ".join(
        f"{whole(counts.get(name))} {name}"
        for name in ("ran", "cached", "failed", "skipped")
        if name == "ran" or whole(counts.get(name))
    )
    run = f"run {plain(bundle.get('runId', ''))[:4]}"
    took = duration_text(as_number(bundle.get("tookS")))
    parts = (plain(bundle.get("flow", "")), run, plain(bundle.get("status", "")), did, took)
    return "  " + " · ".join(part for part in parts if part)


def cell_failure_text(failure: CellFailure) -> str:
    """Say which cell failed where: ``cell 7, line 3: ZeroDivisionError: division by zero``."""
    line = f", line {failure.line}" if failure.line else ""
    return f"cell {failure.number}{line}: {plain(failure.error)}"


def span_kind(span: dict[str, Any]) -> str:
    """Say under which sign a node stands: its status, or cached."""
    status = status_of(span)
    return "cached" if status == "ok" and span.get("stamp") == "cached" else status


def span_text(span: dict[str, Any], kind: str, width: int) -> str:
    """Put a finished node into words; ``width`` is that of the names' column."""
    if kind in ("failed", "unresponsive"):
        took = duration_text(as_number(span.get("tookS")))
        return "  ".join(part for part in (f"node {node_failure_text(span)}", took) if part)
    took = duration_text(as_number(span.get("tookS"))) if kind != "cached" else ""
    cells = (plain(span.get("node", "")).ljust(width), took.rjust(7), _shape(span), plain(span.get("reason") or ""))
    return "  ".join(cell for cell in cells if cell).rstrip()


def _shape(span: dict[str, Any]) -> str:
    if span.get("shape"):
        return plain(span["shape"])
    rows, columns = span.get("rows"), span.get("columns")
    if rows is None and columns is None:
        return ""
    return f"{_figure(rows)} × {_figure(columns)}" if columns is not None else _figure(rows)


def _figure(number: object) -> str:
    return f"{number:,}" if isinstance(number, int) else "?"
