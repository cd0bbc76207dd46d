"""What browser and kernel say to each other, whatever carries it; mirrored by ``js/src/protocol/messages.ts``.

Messages are JSON objects told apart by ``kind``. What comes from a browser was written by nobody knows whom, so
``read_message`` looks at every field before anything is done. What goes to one is described here, key by key.

    browser → kernel  hello · pong · subscribe · unsubscribe · resync · run · cancel · set · edit · wrote · lease ·
                      table
    kernel → browser  hello · ping · absent · lease · batch · ack · reject · table
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypeAlias, TypedDict

from flowbook.errors import CanvasError, did_you_mean

if TYPE_CHECKING:
    from flowbook.canvas.protocol import Canvas, Card, Edge, Json, RunSummary, Trace

PROTOCOL = 1
#: A larger message is refused: servers and sockets between browser and kernel drop them without a word.
MAX_MESSAGE_BYTES = 8 * 1024 * 1024

Message: TypeAlias = dict[str, Any]


# -- kernel to browser


class TypeEntry(TypedDict):
    """A node type that can be added."""

    typeId: str
    label: str
    doc: str
    category: str
    icon: str
    color: str
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, str]]


class Hello(TypedDict):
    """The answer to ``hello``; ``current`` is the flow whose cell ran last."""

    kind: Literal["hello"]
    protocol: int
    flows: list[str]
    current: str | None
    types: list[TypeEntry]


class Ping(TypedDict):
    """Whether somebody is still there; answered by ``pong``. Sent to browsers that said they answer."""

    kind: Literal["ping"]


class Absent(TypedDict):
    """There is no flow of that name in this kernel (yet); a batch follows when there is."""

    kind: Literal["absent"]
    flow: str


class Lease(TypedDict):
    """Whether this browser is the one that writes the flow's document into its ``%%flow`` cell."""

    kind: Literal["lease"]
    flow: str
    held: bool


class CellNews(TypedDict):
    """What the kernel knows of the ``%%flow`` cell.

    Attributes:
        id: what the front end called the cell when it was last run, or None.
        text: its document as the kernel has last seen it, without the magic line and the white space at its end; None
            when no ``%%flow`` cell of this flow was run or written.
        due: the flow was edited since, and ``document`` is to be written in place of ``text``.
    """

    id: str | None
    text: str | None
    due: bool


class NodeNews(TypedDict):
    """A node bundle (its keys are these, and more), and the whole output of the node's cell.

    Attributes:
        data: mime bundle as it is stored; without ``shrunk`` it may be written into the output.
        shrunk: parts were left out because they are too large to be sent.
    """

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
    card: NotRequired[Card]
    data: dict[str, Any]
    shrunk: NotRequired[bool]


class OutputNews(TypedDict):
    """A whole output as it is to be stored: of the flow's canvas, or of the run with that id."""

    kind: Literal["canvas", "trace"]
    runId: str | None
    data: dict[str, Any]


class Batch(TypedDict):
    """What changed since the batch before; what is absent did not.

    Attributes:
        seq: counts the batches of this flow to this browser, from 1; after a gap the browser asks to ``resync``.
        rev: revision of the flow that cards and edges show.
        canvas: everything; replaces what is shown. Its stamps, and those of cards, may say live.
        cards: cards that changed, and all edges if one of them did.
        trace: one run; it is in the form in which it is stored, so nothing in it says live.
        document: the text that should stand in the ``%%flow`` cell, without white space at its end.
        nodes: outputs of node cells that changed.
        outputs: other outputs that changed, once nothing moves any more; for browsers that write notebooks.
    """

    kind: Literal["batch"]
    flow: str
    seq: int
    rev: int
    canvas: NotRequired[Canvas]
    cards: NotRequired[list[Card]]
    edges: NotRequired[list[Edge]]
    run: NotRequired[RunSummary | None]
    trace: NotRequired[Trace]
    document: NotRequired[str]
    cell: NotRequired[CellNews]
    nodes: NotRequired[list[NodeNews]]
    outputs: NotRequired[list[OutputNews]]


class Ack(TypedDict):
    """A command was carried out; ``rev`` is the flow's revision with it, ``runId`` the run it began."""

    kind: Literal["ack"]
    cid: str
    flow: str
    rev: int
    runId: NotRequired[str]


class Reject(TypedDict):
    """A command was not carried out, or a message could not be read; nothing has changed."""

    kind: Literal["reject"]
    cid: str
    flow: str
    code: str
    message: str
    hint: str
    rev: int


class TableAnswer(TypedDict):
    """What a grid asked for; what of it there is depends on that.

    Attributes:
        value: number of the value it speaks of.
        columns: name and type of each, the first 5,000 of ``width``.
        height: rows; None for a lazy table that nobody counted.
        rowCount: rows in the Arrow stream that comes beside this message as bytes.
        isText: of each column of it, whether its values were written as text.
        stats: one column described (``data.value_stats.column_stats``).
        array: an array described (``data.value_stats.array_stats``).
        text: one cell.
        note: what has to be known of the table as a whole: that only its first rows are shown.
    """

    kind: Literal["table"]
    cid: str
    flow: str
    value: int
    columns: NotRequired[list[dict[str, str]]]
    width: NotRequired[int]
    height: NotRequired[int | None]
    rowCount: NotRequired[int]
    isText: NotRequired[list[bool]]
    stats: NotRequired[dict[str, Any]]
    array: NotRequired[dict[str, Any] | None]
    text: NotRequired[str]
    note: NotRequired[str]


# -- browser to kernel


class BrowserHello(TypedDict):
    """The first message; ``pong``: this browser answers pings, and may be forgotten when it does not."""

    kind: Literal["hello"]
    protocol: int
    pong: NotRequired[bool]


class Pong(TypedDict):
    """The answer to a ping."""

    kind: Literal["pong"]


class Subscribe(TypedDict):
    """Tell me of a flow; ``runs``: and of these runs, whose traces are shown here. Also to be told everything anew."""

    kind: Literal["subscribe", "resync"]
    flow: str
    runs: NotRequired[list[str]]


class Unsubscribe(TypedDict):
    """Tell me no more of a flow."""

    kind: Literal["unsubscribe"]
    flow: str


class RunCommand(TypedDict):
    """Run all of a flow, or a part of it (one of ``to``, ``after``, ``only``, ``stale``)."""

    kind: Literal["run"]
    flow: str
    cid: str
    to: NotRequired[list[str]]
    after: NotRequired[list[str]]
    only: NotRequired[list[str]]
    stale: NotRequired[bool]
    force: NotRequired[bool]


class CancelCommand(TypedDict):
    """Cancel every run of a flow, queued ones too."""

    kind: Literal["cancel"]
    flow: str
    cid: str


class SetCommand(TypedDict):
    """A person moved a setting; what follows from it is run by itself."""

    kind: Literal["set"]
    flow: str
    cid: str
    baseRev: NotRequired[int]
    node: str
    name: str
    value: Json


class EditCommand(TypedDict):
    """Operations (``core.edits``), all of them or none."""

    kind: Literal["edit"]
    flow: str
    cid: str
    baseRev: NotRequired[int]
    ops: list[dict[str, Json]]


class Wrote(TypedDict):
    """The flow's ``%%flow`` cell holds this document now (without the magic line); only refusals are answered."""

    kind: Literal["wrote"]
    flow: str
    text: str
    cellId: NotRequired[str | None]
    cid: NotRequired[str]


class LeaseRequest(TypedDict):
    """Ask to be the one who writes (``held``), or decline: there is no such cell here, or it may not be written."""

    kind: Literal["lease"]
    flow: str
    held: bool


class TableRequest(TypedDict):
    """Something about the table that a node's output holds; answered by ``table`` or ``reject``.

    Attributes:
        node: whose.
        port: which output; the primary one when left out.
        what: ``open`` (columns and height), ``rows``, ``cell``, ``stats`` (of a column), ``count`` (of the rows of a
            lazy table), ``array``, ``close`` (nothing more is asked; not answered).
        value: the number of the value that is shown; questions about rows and columns bear it.
        start: of rows, the first; ``stop``: the one after the last.
        firstColumn: position of the first column; ``columnCount``: how many.
        isWhole: rows with whole texts, to be copied.
        sort: columns to sort by: ``{"column": name, "isDescending": bool}``.
    """

    kind: Literal["table"]
    flow: str
    cid: str
    node: str
    port: NotRequired[str | None]
    what: Literal["open", "rows", "cell", "stats", "count", "array", "close"]
    value: NotRequired[int]
    start: NotRequired[int]
    stop: NotRequired[int]
    firstColumn: NotRequired[int]
    columnCount: NotRequired[int]
    isWhole: NotRequired[bool]
    sort: NotRequired[list[dict[str, Any]]]
    row: NotRequired[int]
    column: NotRequired[int]


KernelMessage: TypeAlias = Hello | Ping | Absent | Lease | Batch | Ack | Reject | TableAnswer
BrowserMessage: TypeAlias = (
    BrowserHello
    | Pong
    | Subscribe
    | Unsubscribe
    | RunCommand
    | CancelCommand
    | SetCommand
    | EditCommand
    | Wrote
    | LeaseRequest
    | TableRequest
)


# -- reading


@dataclass(frozen=True, slots=True)
class _Field:
    """What a field may hold; JSON's ``true`` is no number here."""

    kinds: tuple[type, ...]
    words: str
    is_required: bool = True
    items: type | None = None

    def fits(self, value: Any) -> bool:
        if isinstance(value, bool) and bool not in self.kinds:
            return False
        if not isinstance(value, self.kinds):
            return False
        items = value if isinstance(value, list) else []
        return self.items is None or all(isinstance(item, self.items) for item in items)


_ANYTHING = (str, int, float, bool, list, dict, type(None))
_FLOW = {"flow": _Field((str,), "the name of a flow")}
_CID = {"cid": _Field((str,), "a text")}
_REV = {"baseRev": _Field((int,), "a number", is_required=False)}
_RUNS = {"runs": _Field((list,), "a list of ids", is_required=False, items=str)}
_IDS = _Field((list, str, type(None)), "a list of node ids", is_required=False, items=str)
_FLAG = _Field((bool, type(None)), "true or false", is_required=False)

_SHAPES: dict[str, dict[str, _Field]] = {
    "hello": {"protocol": _Field((int,), "a number", is_required=False), "pong": _FLAG},
    "pong": {},
    "subscribe": _FLOW | _RUNS,
    "resync": _FLOW | _RUNS,
    "unsubscribe": _FLOW,
    "run": _FLOW | _CID | {"to": _IDS, "after": _IDS, "only": _IDS, "stale": _FLAG, "force": _FLAG},
    "cancel": _FLOW | _CID,
    "set": _FLOW
    | _CID
    | _REV
    | {
        "node": _Field((str,), "the id of a node"),
        "name": _Field((str,), "the name of a setting"),
        "value": _Field(_ANYTHING, "a value"),
    },
    "edit": _FLOW | _CID | _REV | {"ops": _Field((list,), "a list of operations", items=dict)},
    "wrote": _FLOW
    | {
        "text": _Field((str,), "a document"),
        "cellId": _Field((str, type(None)), "a text", is_required=False),
        "cid": _Field((str,), "a text", is_required=False),
    },
    "lease": _FLOW | {"held": _Field((bool,), "true or false")},
    "table": _FLOW
    | _CID
    | {
        "node": _Field((str,), "the id of a node"),
        "port": _Field((str, type(None)), "the name of an output", is_required=False),
        "what": _Field((str,), "what to tell of it"),
        "sort": _Field((list,), "a list of columns", is_required=False, items=dict),
        "isWhole": _Field((bool,), "true or false", is_required=False),
        **dict.fromkeys(
            ("value", "start", "stop", "firstColumn", "columnCount", "row", "column"),
            _Field((int,), "a whole number", is_required=False),
        ),
    },
}


def read_message(message: Any) -> Message:
    """Check a message from a browser.

    Returns:
        The message; every field that its kind has is there and of the right type, further ones are left alone.

    Raises:
        CanvasError: FB801 it is of no kind that is known, FB803 a field is missing or wrong, FB804 it is too large.
    """
    kind = message.get("kind") if isinstance(message, dict) else None
    if not isinstance(kind, str) or kind not in _SHAPES:
        raise CanvasError(
            f"there is no message {str(kind)[:40]!r}", code="FB801", hint=did_you_mean(str(kind)[:40], _SHAPES)
        )
    for name, field in _SHAPES[kind].items():
        is_there = name in message
        if not is_there and not field.is_required:
            continue
        if not is_there or not field.fits(message[name]):
            raise CanvasError(
                f"{name!r} of the message {kind!r} is {'of the wrong type' if is_there else 'missing'}",
                code="FB803",
                where=place_of(message),
                hint=f"{name!r} takes {field.words}",
                field=name,
            )
    if kind in ("edit", "set", "wrote"):
        _refuse_large(message)
    found: Message = message
    return found


def _refuse_large(message: Message) -> None:
    try:
        size_bytes = len(json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    except (TypeError, ValueError, RecursionError) as error:
        raise CanvasError(f"the message is not JSON: {error}", code="FB803", where=place_of(message)) from None
    if size_bytes > MAX_MESSAGE_BYTES:
        raise CanvasError(
            f"a message of {size_bytes / 1e6:.0f} MB is too large",
            code="FB804",
            where=place_of(message),
            hint=f"at most {MAX_MESSAGE_BYTES / 1e6:.0f} MB; put large values into a file and give its path",
        )


def place_of(message: Message) -> str:
    """Say of which flow and node a message speaks, as far as it does."""
    named = ((word, message.get(word)) for word in ("flow", "node"))
    return ", ".join(f"{word} {name[:80]!r}" for word, name in named if isinstance(name, str) and name)


def sendable(message: Message) -> tuple[Message, int]:
    """Make sure that a message can be sent, and tell its size as UTF-8 JSON, bytes.

    Halves of surrogate pairs, which Python and JSON's escapes can hold and UTF-8 cannot, become question marks.
    """
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    try:
        return message, len(text.encode("utf-8"))
    except UnicodeEncodeError:
        plain = text.encode("utf-8", "replace")
        return json.loads(plain), len(plain)
