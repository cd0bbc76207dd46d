"""Figures and facts in the few words a card has room for; the same words in every drawing and in text."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

from flowbook.canvas.pieces.markup import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbook.canvas.protocol import (
        Canvas,
        Card,
        Counts,
        Edge,
        Failure,
        Json,
        OutputPort,
        RunSummary,
        Setting,
        Trace,
    )


def duration(seconds: float | None) -> str:
    """Say how long something took: "0.4 ms", "31 ms", "2.4 s", "3 min 12 s"; empty when nobody knows."""
    if seconds is None or not 0 <= seconds < math.inf:
        return ""
    if seconds < 0.00095:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def byte_count(size_bytes: int) -> str:
    """Say how many bytes: "512 B", "4.2 MB"."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.5 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Say how many of something: "1 copy", "3 copies"."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def copies_made(copies: int, size_bytes: int) -> str:
    """Say what was copied: "2 copies · 8.4 MB"; empty when nothing was."""
    if not copies:
        return ""
    size = f" · {byte_count(size_bytes)}" if size_bytes else ""
    return f"{counted(copies, 'copy', 'copies')}{size}"


def shown_value(value: Json) -> str:
    """Write a JSON value as briefly as a control shows it: no quotes, "on" and "off", seven digits."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.7g}"
    if isinstance(value, str):
        return one_line(value) or '""'
    return one_line(json.dumps(value, ensure_ascii=False, default=str))


def setting_value(setting: Setting) -> str:
    """Write a setting's value with its unit, and the default where it differs: "60 min (default 15)"."""
    unit = f" {one_line(setting['unit'])}" if setting.get("unit") else ""
    value = shown_value(setting.get("value")) + unit
    if setting.get("value") == setting.get("default"):
        return value
    return f"{value} (default {shown_value(setting.get('default'))})"


def short_shape(shape: str) -> str:
    """Shorten the figures of a shape: "336,776 × 19" is "337k × 19"."""

    def short(match: re.Match[str]) -> str:
        number = int(match[0].replace(",", ""))
        for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
            if number >= 10 * size or (number >= size and unit != "k"):
                return f"{number / size:.0f}{unit}" if number >= 10 * size else f"{number / size:.1f}{unit}"
        return match[0]

    return re.sub(r"\d[\d,]*", short, shape)


def card_name(card: Card) -> str:
    """Say what a card is called."""
    return one_line(card.get("title") or card["id"])


def source_names(edges: Iterable[Edge], cards: Iterable[Card]) -> dict[str, str]:
    """Say for every node that reads something what it reads: "flights, weather"."""
    names = {card["id"]: card_name(card) for card in cards}
    found: dict[str, dict[str, None]] = {}
    for edge in edges:
        found.setdefault(edge["target"], {})[names.get(edge["source"]) or one_line(edge["source"])] = None
    return {node: ", ".join(sources) for node, sources in found.items()}


def first_shape(card: Card) -> str:
    """Say what the node's first output that has a value looks like; empty when none has."""
    return next((one_line(shape) for port in card.get("outputs", []) if (shape := port.get("shape"))), "")


def is_source(card: Card) -> bool:
    """Tell whether nothing feeds a card: its outputs then bear shapes instead of names."""
    return not card.get("inputs")


def output_words(card: Card, port: OutputPort) -> str:
    """Say what stands at an output: its name; on a source the shape of its value, named where there are several."""
    name, shape = one_line(port["name"]), one_line(port.get("shape") or "")
    if not is_source(card) or not shape:
        return name
    return f"{name} · {shape}" if len(card.get("outputs", [])) > 1 else shape


def failure_words(failure: Failure) -> str:
    """Say in one line what went wrong, with the remedy."""
    message, hint = one_line(failure.get("message", "")), one_line(failure.get("hint") or "")
    return f"{message} · {hint}" if message and hint else message or hint


def failure_place(failure: Failure) -> str:
    """Say where it went wrong: "FB402 · line 4"."""
    line = failure.get("line")
    return " · ".join(part for part in (one_line(failure.get("code") or ""), f"line {line}" if line else "") if part)


def run_name(run_id: str | None) -> str:
    """Name a run by the first four digits of its id."""
    return f"run {one_line(run_id)[:4]}" if run_id else "no run"


def tally(counts: Counts | RunSummary) -> list[tuple[str, str]]:
    """List what a run did: (ink, words), failures and copies only when there are some."""
    parts = [("soft", f"{counts.get('ran', 0):,} ran"), ("soft", f"{counts.get('cached', 0):,} cached")]
    if counts.get("skipped"):
        parts.append(("soft", f"{counts['skipped']:,} skipped"))
    if counts.get("failed"):
        parts.append(("failed", f"{counts['failed']:,} failed"))
    parts.append(("soft", copies_made(counts.get("copies", 0), counts.get("copiedBytes", 0)) or "0 copies"))
    return parts


def run_words(canvas: Canvas) -> str:
    """Say in one line how the last run went."""
    run = canvas.get("run")
    if not run:
        return "not run yet"
    parts = [run_name(run.get("id")), one_line(run.get("status", "")), duration(run.get("tookS"))]
    return " · ".join(part for part in [*parts, ", ".join(words for _, words in tally(run))] if part)


def trace_words(trace: Trace) -> str:
    """Say in one line how a traced run went."""
    parts = [run_name(trace.get("runId")), one_line(trace.get("status", "")), duration(trace.get("tookS"))]
    return " · ".join(part for part in [*parts, ", ".join(words for _, words in tally(trace["counts"]))] if part)
