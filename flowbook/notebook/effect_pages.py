"""What a node printed, displayed and returned, as it stands under the node's strip in its cell."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from flowbook.core.interfaces import Effects
from flowbook.notebook.static_bundles import bundle_html, json_bundle, static_bundle, text_html

if TYPE_CHECKING:
    from collections.abc import Iterator

    from IPython.core.interactiveshell import InteractiveShell

    from flowbook.core.interfaces import Capture

#: Under which a value's HTML is kept beside its mime types; no mime type itself.
OWN_HTML = ""
_SHOWN_ENTRIES = 200
_TONE = ";color:var(--jp-error-color1,#b3261e)"
_ALARMING = frozenset({"stderr", "warning"})


def value_bundle(shell: InteractiveShell, capture: Capture, value: Any) -> dict[str, Any]:
    """Format a value as the notebook would display it, without anything that runs code.

    Args:
        shell: whose formatters are used.
        capture: keeps what a formatter prints, or how it fails, from landing in a cell; it is added to the text.
        value: the value; None shows nothing, as in a plain cell.
    """
    if value is None:
        return {}
    effects = Effects()
    with capture.firing(effects):
        data, _ = static_bundle(shell.display_formatter, value)
    said = effects_text(effects)
    if said:
        data["text/plain"] = f"{data.get('text/plain', '')}\n{said}".strip()
    return json_bundle(data)


def plan_bundle(name: str, preview: dict[str, Any] | None) -> dict[str, Any]:
    """Show a lazy table that no run collected: its columns, which cost nothing, and how to see its rows.

    Args:
        name: of the node, or of its output.
        preview: the payloads' preview of it.
    """
    columns = [f"{column['name']}: {column['type']}" for column in (preview or {}).get("columns", [])]
    more = (preview or {}).get("width", 0) - len(columns)
    listed = "\n".join([*columns, f"… {more} more"] if more > 0 else columns) or (preview or {}).get("text", "")
    return {"text/plain": f"{listed}\nnot collected; run to {name} to see its rows".strip()}


def listed_bundle(bundles: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Show several values one below the other, each under its name."""
    texts = [f"{name}:\n{data.get('text/plain', '')}" for name, data in bundles.items()]
    pages = [f'<div style="margin-top:6px">{escape(name)}</div>{bundle_html(data)}' for name, data in bundles.items()]
    return {"text/plain": "\n".join(texts), OWN_HTML: "".join(pages)}


def effects_html(effects: Effects | None) -> str:
    """Draw logs and displays in the order in which they came, in an element of their own; every text is escaped.

    Where the value is drawn by a renderer of its own, the browser takes this element from the page by its class.
    """
    parts = []
    for stream, text, data in _pieces(effects):
        tone = _TONE if stream in _ALARMING else ""
        parts.append(bundle_html(data) if data is not None else text_html(text, tone))
    return f'<div class="fb-effects">{"".join(parts)}</div>' if parts else ""


def effects_text(effects: Effects | None) -> str:
    """Give logs and displays as plain text."""
    return "\n".join(text.rstrip() for _, text, _ in _pieces(effects))


def _pieces(effects: Effects | None) -> Iterator[tuple[str, str, dict[str, Any] | None]]:
    """Yield stream, text and what was displayed; what was printed piece by piece is joined."""
    if effects is None:
        return
    entries, displays = list(effects.entries), list(effects.displays)
    shown = iter(displays)
    joined: tuple[str, str] | None = None
    for stream, text in entries[:_SHOWN_ENTRIES]:
        if joined is not None and stream == joined[0] and stream in ("stdout", "stderr"):
            joined = (stream, joined[1] + text)
            continue
        if joined is not None:
            yield *joined, None
        joined = None if stream == "display" else (stream, text)
        if stream == "display":
            data, _ = next(shown, (None, None))
            yield stream, text, data
    if joined is not None:
        yield *joined, None
    for data, _ in shown:  # displays whose entries were over the limit
        yield "display", str(data.get("text/plain", "")), data
    more = max(0, len(entries) - _SHOWN_ENTRIES) + effects.dropped_count
    if more > 0:
        yield "note", f"… {more:,} more entries", None
