"""The three bundles between the kernel and everything that shows a flow.

    canvas   a flow as it stands: its document, a card per node, its edges, the last run
    trace    one run: a span per attempt, what was printed, what went wrong
    node     one node, beside its value in the output of its cell

They are JSON, so keys are camelCase here as on the wire; times are seconds, sizes bytes, lengths CSS pixels. Each is at
most ``MAX_BUNDLE_BYTES``; ``fit_canvas`` and ``fit_trace`` see to it. In a bundle that had to shrink **an absent key
means its default** (None, False, 0, an empty text or list, ``"ok"`` for a status, ``"node"`` for a kind): read with
``.get``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypeAlias, TypedDict, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CANVAS_MIME = "application/vnd.flowbook.canvas+json"
TRACE_MIME = "application/vnd.flowbook.trace+json"
NODE_MIME = "application/vnd.flowbook.node+json"

MOST_PORT_COLUMNS = 24
"""Of a wider table the first columns are told."""

MAX_BUNDLE_BYTES = 256 * 1024
"""The most bytes one bundle may take as compact UTF-8 JSON."""

Json: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, list or dict of these."""

Status = Literal["idle", "queued", "running", "ok", "failed", "skipped", "muted", "unresponsive", "waiting"]
Stamp = Literal["live", "recorded", "cached", "stale", "replayed", "from notebook"]
PortType = Literal["table", "series", "array", "picture", "callable", "scalar", "text", "packet", "any"]
Control = Literal["slider", "number", "switch", "select", "text", "path", "date", "json"]


class Failure(TypedDict):
    """What went wrong in words; ``line`` counts from 1 in the node's own cell."""

    code: str
    message: str
    hint: NotRequired[str]
    line: NotRequired[int | None]


class InputPort(TypedDict):
    """An input; ``constant`` is there when the document gives the port a value instead of an edge."""

    name: str
    type: str
    connected: bool
    required: bool
    constant: NotRequired[Json]


class Column(TypedDict):
    """A column of a table; ``type`` is polars' name of it."""

    name: str
    type: str


class OutputPort(TypedDict):
    """An output; ``shape`` is what its last value looked like, ``"336,776 × 19"``.

    ``columns`` are those of a table, at most ``MOST_PORT_COLUMNS``; ``columnCount`` counts them all.
    """

    name: str
    type: str
    connected: bool
    shape: str | None
    columns: NotRequired[list[Column]]
    columnCount: NotRequired[int]


class Setting(TypedDict):
    """A setting with its control; ``connected`` when an edge feeds it instead."""

    name: str
    label: str
    control: str
    value: Json
    default: Json
    connected: bool
    min: NotRequired[float | None]
    max: NotRequired[float | None]
    step: NotRequired[float | None]
    options: NotRequired[list[Json] | None]
    unit: NotRequired[str | None]
    help: NotRequired[str | None]


class TablePreview(TypedDict):
    """The first rows of a table: at most 4 rows, 8 columns, cells short text; height and width are the table's own.

    A lazy table that nobody collected has no rows, and no height.
    """

    kind: Literal["table"]
    columns: list[Column]
    rows: list[list[str]]
    height: int | None
    width: int


class ArrayPreview(TypedDict):
    """An array as a line, or as a picture where it has two dimensions.

    ``spark`` holds at most 60 heights in [0, 1], ``histogram`` the counts of 20 equal steps from the least to the most;
    ``sampled``: not all elements were read.
    """

    kind: Literal["array"]
    dtype: str
    shape: list[int]
    min: float | None
    max: float | None
    spark: list[float]
    histogram: NotRequired[list[int]]
    sampled: NotRequired[bool]
    image: NotRequired[PicturePreview]


class PicturePreview(TypedDict):
    """A small picture, base64; width and height are its own, in pixels."""

    kind: Literal["picture"]
    mime: str
    data: str
    width: int
    height: int


class TextPreview(TypedDict):
    """The beginning of a text."""

    kind: Literal["text"]
    text: str


Preview = TablePreview | ArrayPreview | PicturePreview | TextPreview


class Card(TypedDict):
    """All that is shown of one node.

    Attributes:
        title: what to call it where that is not its id, as for a source that stands for a notebook value.
        kind: ``node``; ``input`` for a notebook value or a flow's own input, drawn as a small source; ``waiting`` for
            a stub whose cell has not run.
        x: left edge, pixels; ``y``: top edge; ``w``, ``h``: size.
        reason: the short why: "first run", "setting min_minutes 15 → 30", "skipped: x failed".
        tookS: seconds of the last firing, or None.
        letters: its failures that nobody took and ``flow.dead_letters`` keeps; absent: none.
        copies: copies of payload bytes its inputs needed, ``copiedBytes`` their size.
    """

    id: str
    title: NotRequired[str]
    typeId: str
    kind: Literal["node", "input", "waiting"]
    doc: str
    x: int
    y: int
    w: int
    h: int
    status: str
    stamp: str | None
    reason: str
    tookS: float | None
    inputs: list[InputPort]
    outputs: list[OutputPort]
    settings: list[Setting]
    preview: Preview | None
    copies: int
    copiedBytes: int
    error: Failure | None
    pinned: bool
    bypassed: bool
    letters: NotRequired[int]


class Edge(TypedDict):
    """An edge; ``implicit`` when a name made it, ``carried`` when data has moved along it.

    ``copies`` of payload bytes were needed to hand the value on, ``copiedBytes`` together, for ``copyReason``.
    """

    source: str
    sourcePort: str
    target: str
    targetPort: str
    implicit: bool
    type: str
    label: str | None
    copies: int
    copiedBytes: int
    copyReason: str
    carried: bool


class Group(TypedDict, total=False):
    """Nodes that ran as one, with the sentence that says so; it comes from a document, so anything may be missing."""

    title: str
    nodes: list[str]


class Note(TypedDict, total=False):
    """A text on the ground; it comes from a document, so anything may be missing."""

    text: str
    x: int
    y: int


class RunSummary(TypedDict):
    """The last run in one line, and while it can be asked what the memory cache holds and may hold; None: recorded."""

    id: str
    status: str
    tookS: float | None
    ran: int
    cached: int
    failed: int
    skipped: int
    copies: int
    copiedBytes: int
    cacheBytes: int | None
    cacheBudgetBytes: int | None


class Canvas(TypedDict):
    """A snapshot of a flow. ``seq`` grows with every change; ``summarised`` says that nodes were left out to fit."""

    flowbook: str
    kind: Literal["canvas"]
    flow: str
    seq: int
    runId: str | None
    at: str | None
    layoutHash: str
    document: dict[str, Json]
    nodes: list[Card]
    edges: list[Edge]
    groups: list[Group]
    notes: list[Note]
    run: RunSummary | None
    summarised: NotRequired[bool]


class Counts(TypedDict):
    """What a run did, in numbers; they stay true when spans were left out."""

    ran: int
    cached: int
    failed: int
    skipped: int
    copies: int
    copiedBytes: int


class LogLine(TypedDict):
    """Something a node printed, logged, warned of or displayed."""

    stream: Literal["stdout", "stderr", "log", "warning", "display"]
    text: str


class Span(TypedDict):
    """One attempt at firing a node; ``startS`` counts from the start of the run, ``logCount`` counts all its logs."""

    node: str
    status: str
    stamp: str | None
    reason: str
    startS: float | None
    tookS: float | None
    attempt: int
    rows: int | None
    columns: int | None
    copies: int
    copiedBytes: int
    copyReason: str
    logs: list[LogLine]
    logCount: int
    error: Failure | None


class Flowed(TypedDict):
    """Rows that flowed from one member of a pass to another, as they were computed."""

    source: str
    target: str
    rows: int


class Fused(TypedDict):
    """Lazy tables of several nodes, computed in one pass; ``notFused`` says of neighbours why they were left out."""

    members: list[str]
    collected: list[str]
    startS: float
    tookS: float
    flowed: list[Flowed]
    notFused: dict[str, str]
    error: str


class Trace(TypedDict):
    """One run. ``summarised`` says that spans were left out to fit; ``final`` that nothing will follow."""

    flowbook: str
    kind: Literal["trace"]
    flow: str
    runId: str
    seq: int
    status: str
    final: bool
    startedAt: str
    tookS: float
    summarised: bool
    counts: Counts
    spans: list[Span]
    fused: NotRequired[list[Fused]]


class NodeNote(TypedDict):
    """One node, beside its value's own mime types."""

    flowbook: str
    kind: Literal["node"]
    flow: str
    node: str
    runId: str | None
    seq: int
    status: str
    stamp: str | None
    reason: str
    at: str | None
    key: str | None
    tookS: float | None
    error: NotRequired[Failure]
    card: NotRequired[Card]


# What an absent key means in a bundle that had to shrink.
_CARD_DEFAULTS: dict[str, Json] = {
    "typeId": "", "kind": "node", "doc": "", "status": "ok", "stamp": None, "reason": "", "tookS": None, "inputs": [],
    "outputs": [], "settings": [], "preview": None, "copies": 0, "copiedBytes": 0, "error": None, "pinned": False,
    "bypassed": False,
}  # fmt: skip
_EDGE_DEFAULTS: dict[str, Json] = {
    "sourcePort": "", "targetPort": "", "implicit": False, "type": "any", "label": None, "copies": 0,
    "copiedBytes": 0, "copyReason": "", "carried": False,
}  # fmt: skip
_SPAN_DEFAULTS: dict[str, Json] = {
    "status": "ok", "stamp": None, "reason": "", "startS": None, "tookS": None, "attempt": 0, "rows": None,
    "columns": None, "copies": 0, "copiedBytes": 0, "copyReason": "", "logs": [], "logCount": 0, "error": None,
}  # fmt: skip

_Bundle = TypeVar("_Bundle", Canvas, Trace)

_LONG_TEXT = 160
_TROUBLE = ("failed", "unresponsive")


def size_bytes(bundle: Mapping[str, Json]) -> int:
    """Tell how many bytes a bundle takes as compact UTF-8 JSON."""
    return len(json.dumps(bundle, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


def stored_stamp(stamp: str | None) -> str | None:
    """Say what a stamp becomes in a file: *live* is for a view that is subscribed, a file can only have recorded."""
    return "recorded" if stamp == "live" else stamp


def fit_canvas(snapshot: Canvas, *, max_bytes: int = MAX_BUNDLE_BYTES, is_live: bool = False) -> Canvas:
    """Make a snapshot fit to be stored: nothing says *live*, and it takes at most ``max_bytes``.

    With ``is_live`` it is fit to be sent to a subscribed view instead, which may say *live*.

    What is left out, only as far as needed and in this order: pictures, columns of ports, previews, the ends of long
    texts, settings, the document, keys at their default, ports, and at last whole nodes (those in trouble stay
    longest), which ``summarised`` tells. The given snapshot is not changed.
    """
    fitted = snapshot if is_live else _with_cards(snapshot, _as_stored)
    for shrink in (
        _without_pictures, _without_columns, _without_previews, _with_short_texts, _without_settings,
        _without_document, _lean_canvas, _without_ports,
    ):  # fmt: skip
        if size_bytes(fitted) <= max_bytes:
            return fitted
        fitted = shrink(fitted)
    return _most_that_fits(lambda count: _with_fewer_nodes(fitted, count), len(fitted["nodes"]), max_bytes)


def _as_stored(card: Card) -> Mapping[str, Json]:
    return {**card, "stamp": stored_stamp(card.get("stamp"))}


def fit_trace(trace: Trace, *, max_bytes: int = MAX_BUNDLE_BYTES) -> Trace:
    """Make a trace fit to be stored: nothing says *live*, and it takes at most ``max_bytes``.

    What is left out, only as far as needed and in this order: the beginnings of long logs, all logs, passes over lazy
    tables and keys at their default, and at last spans, which ``summarised`` tells: failed ones stay longest, then
    those that took longest. ``counts`` and every ``logCount`` stay true. The given trace is not changed.
    """
    fitted = _with_spans(trace, lambda span: {**span, "stamp": stored_stamp(span.get("stamp"))})
    for shrink in (_with_short_logs, _without_logs, _lean_trace):
        if size_bytes(fitted) <= max_bytes:
            return fitted
        fitted = shrink(fitted)
    return _most_that_fits(lambda count: _with_fewer_spans(fitted, count), len(fitted["spans"]), max_bytes)


def fit_node(note: NodeNote, *, max_bytes: int = MAX_BUNDLE_BYTES) -> NodeNote:
    """Make a node's note fit to be stored: nothing says *live*, and it takes at most ``max_bytes``.

    What is left out, only as far as needed and in this order: the preview, the ends of long texts, the card.
    """
    fitted: dict[str, Json] = {**note, "stamp": stored_stamp(note.get("stamp"))}
    card = note.get("card")
    if card is None:
        return cast("NodeNote", fitted if size_bytes(fitted) <= max_bytes else _shortened(fitted))
    card = {**card, "stamp": stored_stamp(card.get("stamp"))}
    for fitting in (card, {**card, "preview": None}, _shortened({**card, "preview": None})):
        fitted["card"] = fitting
        if size_bytes(fitted) <= max_bytes:
            return cast("NodeNote", fitted)
    del fitted["card"]
    return cast("NodeNote", _shortened(fitted))


def _most_that_fits(cut: Callable[[int], _Bundle], count: int, max_bytes: int) -> _Bundle:
    """Find the largest count <= ``count`` whose bundle fits, by halving; 0 of them always counts as fitting."""
    fits, too_many = 0, count + 1
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if size_bytes(cut(middle)) <= max_bytes:
            fits = middle
        else:
            too_many = middle
    return cut(fits)


def _with_cards(snapshot: Canvas, change: Callable[[Card], Mapping[str, Json]]) -> Canvas:
    return cast("Canvas", {**snapshot, "nodes": [change(card) for card in snapshot["nodes"]]})


def _with_spans(trace: Trace, change: Callable[[Span], Mapping[str, Json]]) -> Trace:
    return cast("Trace", {**trace, "spans": [change(span) for span in trace["spans"]]})


def _without_pictures(snapshot: Canvas) -> Canvas:
    def without_picture(card: Card) -> Mapping[str, Json]:
        preview = card.get("preview")
        if preview and preview["kind"] == "array" and "image" in preview:
            line = {key: value for key, value in preview.items() if key != "image"}
            return {**card, "preview": line}
        return {**card, "preview": None} if preview and preview["kind"] == "picture" else card

    return _with_cards(snapshot, without_picture)


def _without_columns(snapshot: Canvas) -> Canvas:
    def bare(port: OutputPort) -> Mapping[str, Json]:
        return {key: value for key, value in port.items() if key not in ("columns", "columnCount")}

    return _with_cards(snapshot, lambda card: {**card, "outputs": [bare(port) for port in card.get("outputs", [])]})


def _without_previews(snapshot: Canvas) -> Canvas:
    return _with_cards(snapshot, lambda card: {**card, "preview": None})


def _with_short_texts(snapshot: Canvas) -> Canvas:
    shortened = _with_cards(snapshot, lambda card: cast("Mapping[str, Json]", _shortened(card)))
    return {**shortened, "notes": _shortened(snapshot["notes"]), "groups": _shortened(snapshot["groups"])}


def _shortened(value: Json) -> Json:
    """Cut every text in a JSON value after 160 characters, and every list after 60 items."""
    if isinstance(value, str):
        return value if len(value) <= _LONG_TEXT else value[: _LONG_TEXT - 1] + "…"
    if isinstance(value, dict):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value[:60]]
    return value


def _without_settings(snapshot: Canvas) -> Canvas:
    return _with_cards(snapshot, lambda card: {**card, "settings": []})


def _without_document(snapshot: Canvas) -> Canvas:
    kept = {key: value for key, value in snapshot["document"].items() if key in {"flowbook", "id", "version"}}
    return {**snapshot, "document": kept}


def _lean(item: Mapping[str, Json], defaults: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in item.items() if key not in defaults or value != defaults[key]}


def _lean_canvas(snapshot: Canvas) -> Canvas:
    lean = _with_cards(snapshot, lambda card: _lean(card, _CARD_DEFAULTS))
    return cast("Canvas", {**lean, "edges": [_lean(edge, _EDGE_DEFAULTS) for edge in snapshot["edges"]]})


def _without_ports(snapshot: Canvas) -> Canvas:
    """Leave one edge between two nodes, from card to card."""
    dropped = {"doc", "reason", "typeId", "inputs", "outputs", "tookS", "copies", "copiedBytes"}
    bare = _with_cards(snapshot, lambda card: {key: value for key, value in card.items() if key not in dropped})
    pairs = dict.fromkeys((edge["source"], edge["target"]) for edge in snapshot["edges"])
    edges = [{"source": source, "target": target, "carried": True} for source, target in pairs]
    return cast("Canvas", {**bare, "edges": edges})


def _with_fewer_nodes(snapshot: Canvas, count: int) -> Canvas:
    ranked = sorted(enumerate(snapshot["nodes"]), key=lambda item: (item[1].get("status") not in _TROUBLE, item[0]))
    places = {place for place, _ in ranked[:count]}
    nodes = [card for place, card in enumerate(snapshot["nodes"]) if place in places]
    kept = {card["id"] for card in nodes}
    edges = [edge for edge in snapshot["edges"] if edge["source"] in kept and edge["target"] in kept]
    groups = [group for group in snapshot["groups"] if kept.issuperset(group.get("nodes", []))]
    summarised = len(nodes) < len(snapshot["nodes"])
    return {**snapshot, "nodes": nodes, "edges": edges, "groups": groups, "summarised": summarised}


def _with_short_logs(trace: Trace) -> Trace:
    return _with_spans(trace, lambda span: {**span, "logs": _shortened(span.get("logs", [])[-20:])})


def _without_logs(trace: Trace) -> Trace:
    return _with_spans(trace, lambda span: {**span, "logs": []})


def _lean_trace(trace: Trace) -> Trace:
    return _with_spans(cast("Trace", {**trace, "fused": []}), lambda span: _shortened(_lean(span, _SPAN_DEFAULTS)))


def _with_fewer_spans(trace: Trace, count: int) -> Trace:
    def rank(item: tuple[int, Span]) -> tuple[bool, float, int]:
        place, span = item
        return span.get("status") not in _TROUBLE, -(span.get("tookS") or 0.0), place

    places = {place for place, _ in sorted(enumerate(trace["spans"]), key=rank)[:count]}
    spans = [span for place, span in enumerate(trace["spans"]) if place in places]
    return {**trace, "spans": spans, "summarised": trace["summarised"] or len(spans) < len(trace["spans"])}
