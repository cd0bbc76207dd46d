"""What the canvas looks like: its colours for light and dark, and the icon, word and colour of every state.

One idea: the notebook's paper is the ground, cards are quiet, colour means state and only state. Every pair of text and
ground keeps a contrast of at least 4.5:1 in both themes (WCAG 2.2 AA; a test computes them).

A drawing names colours, never values. ``style_sheet`` turns the names into a sheet for one drawing: plain values for
light and dark where the drawing stands alone, JupyterLab's theme variables where it stands in a page that has them.
Attributes with the light value stand beside the sheet, because some viewers strip style sheets and keep the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from flowbook.canvas.pieces.markup import Markup, element, one_line, trusted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbook.canvas.protocol import Card, Span

UI_FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue','DejaVu Sans',Arial,sans-serif"
MONO_FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"


class Ink(NamedTuple):
    """One colour in both themes; ``lab`` is what it follows where JupyterLab's theme variables exist."""

    light: str
    dark: str
    lab: str = ""


_LAB_CARD = "var(--jp-layout-color1)"
_LAB_TEXT = "var(--jp-ui-font-color1)"

INKS: dict[str, Ink] = {
    "ground": Ink("#f7f8fa", "#1e2126", f"color-mix(in srgb,{_LAB_TEXT} 3%,{_LAB_CARD})"),
    "dots": Ink("#dde1e6", "#333941", f"color-mix(in srgb,{_LAB_TEXT} 13%,{_LAB_CARD})"),
    "card": Ink("#ffffff", "#17191d", _LAB_CARD),
    "frame": Ink("#c5ccd6", "#4a525d", f"color-mix(in srgb,{_LAB_TEXT} 26%,{_LAB_CARD})"),
    "rule": Ink("#e3e7ec", "#333941", f"color-mix(in srgb,{_LAB_TEXT} 13%,{_LAB_CARD})"),
    "shade": Ink("#0f1720", "#000000"),
    "ink": Ink("#1b2026", "#e8eaed", _LAB_TEXT),
    "soft": Ink("#4b545f", "#b4bcc6", f"color-mix(in srgb,{_LAB_TEXT} 82%,{_LAB_CARD})"),
    "muted": Ink("#5f6873", "#99a3ae", f"color-mix(in srgb,{_LAB_TEXT} 72%,{_LAB_CARD})"),
    "track": Ink("#dfe4ea", "#3a414b", f"color-mix(in srgb,{_LAB_TEXT} 16%,{_LAB_CARD})"),
    # States: as a line or text (name), and as the wash behind such text (name-wash).
    "ok": Ink("#1f7a46", "#6cc495"),
    "ok-wash": Ink("#e4f1ea", "#1d2d27"),
    "running": Ink("#1565c0", "#6cb4f5"),
    "running-wash": Ink("#e3eefb", "#1b2a3a"),
    "cached": Ink("#0b7072", "#5cc3c5"),
    "cached-wash": Ink("#e0f1f1", "#1a2d2f"),
    "stale": Ink("#8a5606", "#e0ad55"),
    "stale-wash": Ink("#f8ecd6", "#332a1b"),
    "failed": Ink("#b3261e", "#f08a7e"),
    "failed-wash": Ink("#f9e9e7", "#352022"),
    "idle": Ink("#5c6570", "#9aa4b0"),
    "idle-wash": Ink("#eaedf1", "#282d34"),
    "queued": Ink("#4c637f", "#93aed0"),
    "queued-wash": Ink("#e6ecf4", "#242c38"),
    "replayed": Ink("#6a3fb5", "#b49be8"),
    "replayed-wash": Ink("#efe9f9", "#292338"),
    "group-wash": Ink("#e4f0f1", "#1f2b2f"),
    "group-frame": Ink("#8fbfc1", "#3f6668"),
    # Port types: handles and edges.
    "table": Ink("#7c5cbf", "#b49be8"),
    "series": Ink("#a0569f", "#d79bd3"),
    "array": Ink("#2b6cb0", "#7db2e8"),
    "picture": Ink("#2f7d5d", "#7cc9a6"),
    "scalar": Ink("#9a6a12", "#dcb25c"),
    "text": Ink("#4f6b7a", "#9db8c6"),
    "callable": Ink("#a8504b", "#e39c95"),
    "any": Ink("#6b747e", "#9aa4b0"),
}

PORT_TYPES = frozenset({"table", "series", "array", "picture", "scalar", "text", "callable", "any"})


def port_ink(port_type: str) -> str:
    """Name the colour of a port type; types nobody knows look like ``any``."""
    return port_type if port_type in PORT_TYPES else "any"


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is told: by colour, by icon and by word, never by colour alone."""

    ink: str
    icon: str
    word: str

    @property
    def sign(self) -> str:
        """The icon as one character, for text."""
        return _SIGNS[self.icon]


_STATUS_LOOKS = {
    "idle": Look("idle", "dotted", "idle"),
    "waiting": Look("idle", "dotted", "waiting"),
    "queued": Look("queued", "filling", "queued"),
    "running": Look("running", "arc", "running"),
    "ok": Look("ok", "check", "ok"),
    "failed": Look("failed", "cross", "failed"),
    "skipped": Look("idle", "slash", "skipped"),
    "muted": Look("idle", "bar", "muted"),
    "unresponsive": Look("failed", "hourglass", "unresponsive"),
    "cancelled": Look("idle", "slash", "cancelled"),  # of a run, not of a node
}
_STAMP_LOOKS = {
    "cached": Look("cached", "lines", "cached"),
    "stale": Look("stale", "clock", "stale"),
    "recorded": Look("idle", "paper", "recorded"),
    "replayed": Look("replayed", "arrow", "replayed"),
    "from notebook": Look("idle", "paper", "from notebook"),
}
_SIGNS = {
    "dotted": "○", "filling": "◔", "arc": "◐", "check": "✓", "cross": "✗", "slash": "⊘", "bar": "⊖", "hourglass": "⧗",
    "lines": "≡", "clock": "◷", "paper": "▤", "arrow": "↻",
}  # fmt: skip
_QUIET = ("ok", "idle")


def status_look(status: str) -> Look:
    """Say how a status is told; an unknown one looks idle and keeps its word."""
    return _STATUS_LOOKS.get(status) or Look("idle", "dotted", one_line(status))


def stamp_look(stamp: str | None) -> Look | None:
    """Say how a stamp is told in a drawing that is kept: *live* is only ever recorded there."""
    if not stamp:
        return None
    return _STAMP_LOOKS.get("recorded" if stamp == "live" else stamp) or Look("idle", "paper", one_line(stamp))


def main_look(item: Card | Span) -> Look:
    """Say which look a card or a span takes as a whole: a stale or cached value outranks a quiet status."""
    status = item.get("status", "ok")
    stamp = item.get("stamp")
    if status in _QUIET and stamp in {"stale", "cached", "replayed", "from notebook"}:
        return _STAMP_LOOKS[stamp]
    return status_look(status)


def pills(item: Card | Span) -> list[Look]:
    """List the words a card or a span bears: its status unless that goes without saying, then its stamp."""
    status, stamp = item.get("status", "ok"), stamp_look(item.get("stamp"))
    shown = [] if stamp and status in _QUIET else [status_look(status)]
    return shown + ([stamp] if stamp else [])


_ICONS: dict[str, tuple[tuple[str, dict[str, object]], ...]] = {
    "dotted": (("circle", {"cx": 7, "cy": 7, "r": 5, "stroke-dasharray": "1.6 1.9"}),),
    "filling": (
        ("circle", {"cx": 7, "cy": 7, "r": 5, "stroke-dasharray": "1.6 1.9"}),
        ("path", {"d": "M7 7V3A4 4 0 0 1 10.5 9Z", "solid": True}),
    ),
    "arc": (("path", {"d": "M12 7A5 5 0 1 1 7 2"}),),
    "check": (("path", {"d": "M2.5 7.5L5.5 10.5L11.5 3.5"}),),
    "cross": (("path", {"d": "M3 3L11 11M11 3L3 11"}),),
    "slash": (("circle", {"cx": 7, "cy": 7, "r": 5}), ("path", {"d": "M3.5 10.5L10.5 3.5"})),
    "bar": (("circle", {"cx": 7, "cy": 7, "r": 5}), ("path", {"d": "M4.5 7H9.5"})),
    "hourglass": (("path", {"d": "M3.5 2H10.5M3.5 12H10.5M4.5 2V4L9.5 10V12M9.5 2V4L4.5 10V12"}),),
    "lines": (("path", {"d": "M2 4H12M2 7.2H12M2 10.4H9"}),),
    "clock": (("circle", {"cx": 7, "cy": 7, "r": 5}), ("path", {"d": "M7 4V7.2L9.2 8.4"})),
    "paper": (("path", {"d": "M3.5 2H8.5L11 4.5V12H3.5ZM8.5 2V4.5H11"}),),
    "arrow": (("path", {"d": "M11.5 7A4.5 4.5 0 1 1 9.8 3.5M10 1.2V3.8H7.4"}),),
}


def icon(name: str, ink: str, sheet: Sheet) -> Markup:
    """Draw an icon in a box of 14 × 14 px, its left top corner at (0, 0)."""
    parts = []
    for tag, given in _ICONS[name]:
        attributes = dict(given)
        solid = attributes.pop("solid", False)
        paint = sheet.paint(fill=ink) if solid else sheet.paint(fill="none", stroke=ink)
        parts.append(element(tag, {**attributes, **paint, "stroke-width": None if solid else 1.7}))
    return Markup("".join(parts))


class Sheet:
    """The colours one drawing uses.

    Args:
        prefix: ``fb-`` and a short hash of what is drawn; every class begins with it, so that drawings on one page do
            not paint each other.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._used: set[tuple[str, str]] = set()

    def paint(self, *, fill: str | None = None, stroke: str | None = None) -> dict[str, object]:
        """Return the attributes that paint in inks (names of ``INKS``) or ``"none"``: classes, and the light values."""
        classes: list[str] = []
        attributes: dict[str, object] = {}
        for kind, ink in (("fill", fill), ("stroke", stroke)):
            if ink == "none":
                attributes[kind] = "none"
            elif ink is not None:
                self._used.add((kind, ink))
                classes.append(f"{self.prefix}-{kind[0]}-{ink}")
                attributes[kind] = INKS[ink].light
        return {**({"class": " ".join(classes)} if classes else {}), **attributes}

    def rules(self, *, in_page: bool, also: Iterable[str] = ()) -> Markup:
        """Write the style sheet for what has been painted so far.

        Args:
            in_page: the drawing is part of a page: follow JupyterLab's theme, or what other notebook viewers say of
                theirs. Otherwise follow only what the reader's system prefers.
            also: more inks whose variables ``--fb-NAME`` are to be there.
        """
        root = f".{self.prefix}"
        inks = {name: INKS[name] for name in sorted({ink for _, ink in self._used}.union(also))}
        light = ";".join(f"--fb-{name}:{ink.light}" for name, ink in inks.items())
        dark = ";".join(f"--fb-{name}:{ink.dark}" for name, ink in inks.items())
        lab = ";".join(f"--fb-{name}:{ink.lab}" for name, ink in inks.items() if ink.lab)
        rules = [f"{root}{{{light}}}", f"@media (prefers-color-scheme:dark){{{root}{{{dark}}}}}"]
        if in_page:
            rules += [
                f"{_in(_LIGHT_PAGES, root)}{{{light}}}",
                f"{_in(_DARK_PAGES, root)}{{{dark}}}",
                f"@supports (color:color-mix(in srgb,red,blue)){{[data-jp-theme-light] {root}{{{lab}}}}}",
            ]
        rules += [f".{self.prefix}-{kind[0]}-{ink}{{{kind}:var(--fb-{ink})}}" for kind, ink in sorted(self._used)]
        return trusted("\n".join(rules))


# How the pages notebooks are shown in say which theme they have: JupyterLab and nbconvert, VS Code, Sphinx and Colab.
_LIGHT_PAGES = ("[data-jp-theme-light=true]", "body.vscode-light", "html[data-theme=light]", "html[theme=light]")
_DARK_PAGES = ("[data-jp-theme-light=false]", "body.vscode-dark", "html[data-theme=dark]", "html[theme=dark]")


def _in(pages: tuple[str, ...], root: str) -> str:
    return ",".join(f"{page} {root}" for page in pages)
