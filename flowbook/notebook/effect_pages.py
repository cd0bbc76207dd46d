"""What a node printed, displayed and returned, as it stands under the node's strip in its cell."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_PRE = "margin:4px 0;white-space:pre-wrap;font-size:12px;line-height:1.4"
_SHOWN_ENTRIES = 200
#: Kept out of outputs: code that would run when a notebook is opened.
_REFUSED = frozenset({"application/javascript", "text/javascript"})


def value_bundle(shell: InteractiveShell, value: Any) -> dict[str, Any]:
    """Format a value as the notebook would display it; JavaScript is left out."""
    if value is None:
        return {}
    formatter: Any = shell.display_formatter
    data, _ = formatter.format(value)
    return {mime: content for mime, content in data.items() if mime not in _REFUSED}


def effects_html(entries: list[tuple[str, str]], displays: list[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    """Draw logs and displays; every text is escaped, a displayed object's own HTML is taken as it is."""
    parts = []
    for stream, text in _joined(entries):
        if stream != "display":
            tone = ";color:var(--jp-error-color1,#b3261e)" if stream in ("stderr", "warning") else ""
            parts.append(f'<pre style="{_PRE}{tone}">{escape(text.rstrip())}</pre>')
    parts.extend(_display_html(data) for data, _ in displays)
    return "".join(parts)


def effects_text(entries: list[tuple[str, str]]) -> str:
    """Give logs as plain text."""
    return "\n".join(text.rstrip() for _, text in _joined(entries))


def _joined(entries: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Join what was written piece by piece: ``print`` writes the text and the line end apart."""
    found: list[tuple[str, str]] = []
    for stream, text in entries[:_SHOWN_ENTRIES]:
        if found and found[-1][0] == stream and stream in ("stdout", "stderr"):
            found[-1] = (stream, found[-1][1] + text)
        else:
            found.append((stream, text))
    if len(entries) > _SHOWN_ENTRIES:
        found.append(("note", f"… {len(entries) - _SHOWN_ENTRIES} more entries"))
    return found


def _display_html(data: dict[str, Any]) -> str:
    for mime in ("image/png", "image/jpeg"):
        if mime in data:
            content = data[mime]
            encoded = (
                base64.b64encode(content).decode() if isinstance(content, bytes) else str(content).replace("\n", "")
            )
            return f'<img alt="" style="max-width:100%" src="data:{mime};base64,{escape(encoded)}">'
    if "image/svg+xml" in data:
        encoded = base64.b64encode(str(data["image/svg+xml"]).encode()).decode()
        return f'<img alt="" style="max-width:100%" src="data:image/svg+xml;base64,{encoded}">'
    if "text/html" in data:
        return str(data["text/html"])
    return f'<pre style="{_PRE}">{escape(str(data.get("text/plain", "")))}</pre>'
