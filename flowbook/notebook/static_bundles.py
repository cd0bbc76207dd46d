"""Mime bundles that show a value without running code.

What a node returns or displays is kept in the notebook's file and shown by pages that run nothing, so it has to be a
picture, a table or text. A bundle is taken as it is unless it would run code when it is opened: JavaScript, and HTML
with scripts, event attributes or frames. What remains of such a bundle is its text; altair charts, whose HTML is a
script by default, become the same chart as SVG.
"""

from __future__ import annotations

import base64
import io
import json
from html import escape
from html.parser import HTMLParser
from typing import Any

from jupyter_client.jsonutil import json_default

#: Mime types that are code.
_CODE = frozenset({"application/javascript", "text/javascript"})
#: Mime types that are markup, and may hold code.
_MARKUP = ("text/html", "image/svg+xml", "text/markdown")
#: Elements that load or run something of their own.
_ACTIVE = frozenset({"script", "iframe", "frame", "object", "embed", "applet", "base", "meta", "link", "form"})
_PRE = (
    "margin:4px 0;white-space:pre-wrap;line-height:1.4;"
    "font-family:var(--jp-code-font-family,ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace);font-size:12px"
)

Bundle = dict[str, Any]


def static_bundle(formatter: Any, value: Any) -> tuple[Bundle, Bundle]:
    """Format a value as the notebook would show it, without anything that runs.

    Args:
        formatter: the shell's ``display_formatter``.
        value: anything.

    Returns:
        Data and metadata by mime type; ``text/plain`` stays whatever happens.
    """
    data, metadata = formatter.format(value)
    return stilled(value, data), metadata


def stilled(value: Any, data: Bundle) -> Bundle:
    """Leave out of a value's bundle what would run; a chart whose picture that was is drawn."""
    kept = without_code(data)
    if len(kept) < len(data) and type(value).__module__.partition(".")[0] == "altair":
        kept |= _drawn(value)
    return kept


def without_code(data: Bundle) -> Bundle:
    """Leave out of a bundle what would run when it is shown."""
    return {
        mime: content
        for mime, content in data.items()
        if mime not in _CODE and not (mime in _MARKUP and runs_code(_text(content)))
    }


def runs_code(markup: str) -> bool:
    """Tell whether HTML or SVG runs or loads something: when in doubt, it does."""
    search = _Search()
    search.feed(markup)
    search.close()
    return search.found


def bundle_html(data: Bundle) -> str:
    """Draw a bundle as a piece of HTML: its own, its picture, or its text escaped; one that runs code as text."""
    data = without_code(data)
    if "text/html" in data:
        return _text(data["text/html"])
    if "image/svg+xml" in data:
        return _image("image/svg+xml", _base64(_text(data["image/svg+xml"]).encode()))
    for mime in ("image/png", "image/jpeg", "image/gif"):
        if mime in data:
            content = data[mime]
            return _image(mime, _base64(content) if isinstance(content, bytes) else _text(content).replace("\n", ""))
    return text_html(_text(data.get("text/plain", "")))


def text_html(text: str, style: str = "") -> str:
    """Draw plain text; nothing when there is none."""
    return f'<pre style="{_PRE}{style}">{escape(text.rstrip())}</pre>' if text.strip() else ""


def json_bundle(data: Bundle) -> Bundle:
    """Make of what formatters gave what a message and a file can hold, as Jupyter does; what cannot be, is left out."""
    return {mime: plain for mime, content in data.items() if (plain := _as_json(content)) is not None}


def _as_json(content: Any) -> Any:
    """Make of a formatter's content what a message and a file can hold, as Jupyter does; None when nothing can."""
    if isinstance(content, str):
        return content
    try:
        return json.loads(json.dumps(content, default=json_default))
    except (TypeError, ValueError, RecursionError):
        return None


class _Search(HTMLParser):
    """Looks for elements and attributes that do something."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found = self.found or tag.rpartition(":")[2] in _ACTIVE
        for name, content in attrs:
            target = "".join((content or "").split()).lower()
            self.found = self.found or name.startswith("on") or target.startswith(("javascript:", "data:text/html"))

    handle_startendtag = handle_starttag


def _drawn(chart: Any) -> Bundle:
    """Draw an altair chart as SVG, or say what is needed for it."""
    image = io.StringIO()
    try:
        chart.save(image, format="svg")
    except ImportError:
        return {"text/plain": f"{chart!r}, to be seen here once vl-convert-python is installed"}
    return {"image/svg+xml": image.getvalue()}


def _text(content: Any) -> str:
    """Join what nbformat allows to be a list of lines."""
    return "".join(content) if isinstance(content, list) else str(content)


def _image(mime: str, encoded: str) -> str:
    return f'<img alt="" style="max-width:100%" src="data:{mime};base64,{escape(encoded)}">'


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
