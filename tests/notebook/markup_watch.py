"""Looks through stored outputs for what must never be in them: code, stamps for views alone, too many bytes."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.notebook.kernel_driver import Cell

BUNDLES = (
    "application/vnd.flowbook.canvas+json",
    "application/vnd.flowbook.trace+json",
    "application/vnd.flowbook.node+json",
)
MAX_BUNDLE_BYTES = 256 * 1024
JAVASCRIPT = ("application/javascript", "text/javascript")


class _Watch(HTMLParser):
    """Collects elements that run or load something, event attributes, and where text stands."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object", "embed", "link", "meta", "base"):
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            if name.startswith("on"):
                self.found.append(f"{name}= in <{tag}>")
            if (value or "").strip().lower().startswith("javascript:"):
                self.found.append(f"javascript: in <{tag}>")

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def active_parts(markup: str) -> list[str]:
    """List what of HTML or SVG would run or load something."""
    watch = _Watch()
    watch.feed(markup)
    watch.close()
    return watch.found


def text_of(markup: str) -> str:
    """Give what of HTML is read as text."""
    watch = _Watch()
    watch.feed(markup)
    watch.close()
    return "".join(watch.texts)


def size_bytes(bundle: Any) -> int:
    """Tell how many bytes a bundle takes."""
    return len(json.dumps(bundle, ensure_ascii=False, separators=(",", ":")).encode())


def stamps_in(value: Any) -> Iterator[str]:
    """Every stamp in a bundle."""
    if isinstance(value, dict):
        if isinstance(value.get("stamp"), str):
            yield value["stamp"]
        for entry in value.values():
            yield from stamps_in(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from stamps_in(entry)


def problems_of(data: dict[str, Any]) -> list[str]:
    """Say what is wrong with one output of flowbook; nothing is, as a rule."""
    if not any(mime in data for mime in BUNDLES):
        return []
    found = [f"{mime} in an output" for mime in JAVASCRIPT if mime in data]
    for mime in ("text/html", "image/svg+xml"):
        if mime in data:
            found += [f"{part} in {mime}" for part in active_parts(data[mime])]
    if ">live<" in data.get("text/html", "") or ">live<" in data.get("image/svg+xml", ""):
        found.append("drawn as live")
    for mime in BUNDLES:
        if mime in data:
            size = size_bytes(data[mime])
            found += [f"{mime} has {size} bytes"] if size > MAX_BUNDLE_BYTES else []
            found += ["a stored stamp says live"] if "live" in stamps_in(data[mime]) else []
    found += [f"no {mime}" for mime in ("text/html", "text/plain") if mime not in data]
    return found


def problems_in(cells: list[Cell]) -> list[str]:
    """Say what is wrong with the outputs of cells, at any time of their life."""
    return [
        f"{cell.id}: {problem}"
        for cell in cells
        for output in cell.outputs
        for data in [*output.history, output.data]
        for problem in problems_of(data)
    ]
