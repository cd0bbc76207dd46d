"""What lower rooms need and higher rooms fill in: Protocols only, no behaviour.

The engine never imports polars, numpy or Jupyter. It asks a ``Payloads`` what a value is, a ``Capture`` to collect
what a node prints, a ``Namespace`` what a notebook name is bound to, and tells an ``EventSink`` what happened.
``flowbook.session`` decides who fills which role.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from flowbook.core.events import Event, NodeFinished
    from flowbook.core.packets import ErrorPacket


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueShape:
    """What can be said of a value without reading it.

    Attributes:
        kind: port type the value belongs to: table, series, array, picture, callable, scalar, text, packet or any.
        rows: number of rows, or None when unknown (a lazy table that nobody counted) or meaningless.
        columns: number of columns, or None.
        text: what an edge shows: ``"336,776 × 19"``, ``"? × 19"``, ``"(1000, 3) float64"``, or empty.
        is_lazy: the value is a plan, not data.
    """

    kind: str
    rows: int | None = None
    columns: int | None = None
    text: str = ""
    is_lazy: bool = False


@dataclass(frozen=True, slots=True)
class PayloadCopy:
    """One copy of payload bytes that a hop made: how many bytes (>= 0) and why ("bool column", "mutable=True")."""

    size_bytes: int
    reason: str


def copy_reasons(copies: Iterable[PayloadCopy]) -> str:
    """Say why copies were made, each reason once: "bool column; strings"; empty when there were none."""
    return "; ".join(dict.fromkeys(copy.reason for copy in copies))


@dataclass(frozen=True, slots=True)
class Handed:
    """A value as one consumer gets it, with the copies that were needed to give it that form."""

    value: Any
    copies: tuple[PayloadCopy, ...] = ()


class Payloads(Protocol):
    """Knows tables, arrays and pictures; the engine only passes references.

    ``form`` is the class name an annotation asks for: ``"LazyFrame"``, ``"DataFrame"``, ``"Series"``, ``"ndarray"``
    or ``""`` when the annotation does not ask for a table or an array.
    """

    def shape(self, value: object) -> ValueShape:
        """Describe ``value`` in O(1)."""
        ...

    def columns(self, value: object) -> tuple[tuple[str, str], ...] | None:
        """Name the columns of a table with their types, in order; None for what is no table. Never raises."""
        ...

    def publish(self, value: object) -> object:
        """Guard a value that a node just made, so that no consumer can change it for another (arrays: frozen)."""
        ...

    def hand_out(self, value: object, form: str, *, is_own: bool) -> Handed:
        """Give ``value`` to one consumer in the ``form`` it asks for.

        Args:
            value: what the edge holds.
            form: see the class; an unknown or empty form means "as it is".
            is_own: the value was made by a node (False: it entered from the notebook and is never frozen, only viewed).

        Raises:
            DataError: the value cannot take that form (a str for a DataFrame port).
        """
        ...

    def private_copy(self, value: object) -> Handed:
        """Give ``value``, which was handed out, to a consumer that may change it: ``mutable=True``.

        Raises:
            DataError: FB606, it does not let itself be copied.
        """
        ...

    def empty(self, shape: Any, dtype: Any) -> Any:
        """Make an array of any content."""
        ...

    def collect(self, values: Sequence[object]) -> list[object]:
        """Turn lazy tables into tables, together, in one pass; values that are not lazy come back as they are."""
        ...

    def tap(self, value: object, count: Callable[[int], None]) -> object:
        """Let a lazy table say how many rows flow out of it, batch by batch, whenever it is computed.

        Args:
            value: anything; what is no lazy table comes back as it is.
            count: is told the rows of each batch, on any thread; what it raises ends the computation.
        """
        ...

    def drain(self, value: object) -> None:
        """Compute a lazy table and keep nothing of it, to see whether it can be computed."""
        ...

    def preview(self, value: object) -> dict[str, Any] | None:
        """Make the small JSON preview of the canvas bundle: O(viewport), never the whole value."""
        ...

    def size_bytes(self, value: object) -> int:
        """Estimate the memory a value holds, in bytes, without reading it."""
        ...

    def shared_buffers(self, value: object) -> dict[int, int]:
        """List the large pieces of memory that a value holds, address -> bytes; values that share one both list it."""
        ...

    def content_key(self, value: object) -> str | None:
        """Digest the content of a small value; None when it is large or cannot be digested (use identity then)."""
        ...

    def resolve(self, value: object) -> None:
        """Raise what is known to be wrong with a lazy table (a column that is not there) without computing it."""
        ...

    def is_random(self, value: object) -> bool:
        """Whether a lazy table draws or mixes rows at random, so that computing it twice gives two tables."""
        ...

    def schema(self, value: object) -> Mapping[str, Any] | None:
        """Give the columns of a table with their types, without computing it; None for what is no table.

        Raises:
            Exception: what the table library says of a plan that does not resolve.
        """
        ...

    def preview_of_head(self, value: object) -> dict[str, Any] | None:
        """Preview the first rows of a lazy table when they cost little to compute; else, and for others, None."""
        ...

    def scanned_files(self, value: object) -> tuple[Path, ...]:
        """List the local files a lazy table reads; empty for everything else."""
        ...

    def table(self, rows: Iterable[Mapping[str, Any]], types: Mapping[str, type] | None = None) -> Any:
        """Make a table of plain rows (used by ``run.trace.frame()``); ``types`` by column hold whatever is in it."""
        ...


class ValueWatch(Protocol):
    """Debug mode: is told who fires and what was given, and finds values that were changed afterwards."""

    def began(self, flow: str, node_id: str) -> None:
        """A node begins to fire.

        Raises:
            DataError: FB608, a value has changed while no node fired.
        """
        ...

    def ended(self, flow: str, node_id: str) -> None:
        """A node has returned, or failed.

        Raises:
            DataError: FB608, a value has changed meanwhile; the nodes that may have done it are named.
        """
        ...

    def published(self, flow: str, node_id: str, values: Sequence[object]) -> None:
        """A node has given its outputs."""
        ...


@dataclass(slots=True)
class ItemSpan:
    """What a firing did about one item of a list.

    Attributes:
        index: its place in the list, from 0.
        status: queued, running, ok, cached (unchanged since it was computed), failed, skipped (it was an error
            already, or the firing ended before its turn).
        start_s: when it began, seconds after the firing began; None when its code was not called.
        took_s: wall time of all its attempts, seconds; None when its code was not called.
        attempt: attempts made.
        error: its failure, or None.
        inner: what happened in the flow that was run for it, where a flow is mapped; of many items this is kept of the
            first ones, and of those that failed.
    """

    index: int
    status: Literal["queued", "running", "ok", "cached", "failed", "skipped"] = "queued"
    start_s: float | None = None
    took_s: float | None = None
    attempt: int = 0
    error: ErrorPacket | None = None
    inner: tuple[NodeFinished, ...] = ()


@dataclass(slots=True, kw_only=True)
class Effects:
    """What a firing printed, logged, warned of, displayed, drew or reported as progress, in order.

    Attributes:
        entries: ``(stream, text)`` with stream one of stdout, stderr, log, warning, display.
        displays: mime bundles ``(data, metadata)`` of displayed objects and figures.
        progress: last reported share in 0..1, or None.
        dropped_count: entries left out because the firing wrote too much.
        items: of a mapped node, one span for each item, in their order; None for other nodes.
    """

    entries: list[tuple[str, str]] = field(default_factory=list)
    displays: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    progress: float | None = None
    dropped_count: int = 0
    items: list[ItemSpan] | None = None

    @property
    def extent(self) -> int:
        """How much there is: grows with every piece, lines that are still open included."""
        last = len(self.entries[-1][1]) if self.entries else 0
        return len(self.entries) * 10_000 + len(self.displays) + last + self.dropped_count


class Capture(Protocol):
    """Collects the effects of node code wherever it runs."""

    def firing(self, effects: Effects) -> AbstractContextManager[None]:
        """Send everything the current context prints, displays or draws into ``effects`` until the block ends."""
        ...

    def claim(self, value: object) -> None:
        """Say, inside a firing, that it returns ``value``: a figure that is a value is not an effect as well."""
        ...


class Namespace(Protocol):
    """The notebook's variables, as far as node code may read them."""

    def lookup(self, name: str) -> tuple[bool, object]:
        """Return ``(True, value)`` when the name is bound in the notebook, else ``(False, None)``."""
        ...

    def bound_names(self) -> list[str]:
        """List the names that are bound there."""
        ...


class EventSink(Protocol):
    """Is told what happens, in order; must return quickly and never raise."""

    def publish(self, event: Event) -> None:
        """Take one event."""
        ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a value cannot be kept outside this process, in words: ``"an object of class Model has no form but pickle"``.

    It is an answer and no error: what is refused is computed again.
    """

    reason: str


class ByteSink(Protocol):
    """Where bytes go, one piece after the other."""

    def write(self, data: Any, /) -> int:
        """Take a bytes-like piece and return its length, bytes."""
        ...


@dataclass(frozen=True, slots=True)
class EncodedPart:
    """The bytes of one table, array or long text of a value, not made yet.

    Attributes:
        codec: how they are to be read: ``"arrow"``, ``"npy"`` or ``"bytes"``.
        write: writes them, once, front to back; raises DataError when they turn out not to be writable.
    """

    codec: str
    write: Callable[[ByteSink], None]


@dataclass(frozen=True, slots=True)
class EncodedValue:
    """A value as JSON that refers to binary parts by number."""

    tree: Any
    parts: tuple[EncodedPart, ...] = ()


class Codecs(Protocol):
    """Turns values into bytes and back without pickle: reading what it wrote never runs code.

    What comes back equals what went in, type included; what has no such form is refused.
    """

    def encode(self, value: object) -> EncodedValue | Refusal:
        """Prepare ``value`` for writing, or say why it cannot be; a lazy table is collected. Never raises."""
        ...

    def decode(self, tree: Any, parts: Sequence[tuple[str, bytes]]) -> object:
        """Make the value anew from its tree and its ``(codec, bytes)`` parts.

        Raises:
            DataError: FB620, they are not what ``encode`` makes.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptValues:
    """The outputs of one firing as a cache gives them back.

    Attributes:
        values: one per output port.
        facts: what was told about them when they were kept; JSON values.
        size_bytes: what they take where they are kept.
    """

    values: tuple[Any, ...]
    facts: dict[str, Any]
    size_bytes: int


class ResultCache(Protocol):
    """Keeps the outputs of firings by the key of what they were made from, beyond the life of this process."""

    def get(self, key: str) -> KeptValues | None:
        """Return what was kept under ``key`` and make it the most recently used; None when there is nothing whole."""
        ...

    def put(
        self,
        key: str,
        values: Sequence[object],
        *,
        flow: str,
        node: str,
        facts: Mapping[str, Any],
        replaces: bool = False,
    ) -> Refusal | None:
        """Keep ``values`` under ``key``; returns why not when they cannot be kept. Never raises for a value or a disk.

        Args:
            key: hex digits, 8 to 64.
            values: one per output port.
            flow: flow they belong to, for lists and for clearing.
            node: node that made them.
            facts: JSON values to give back with them.
            replaces: also when something is kept under ``key`` already.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A firing that failed for good, with what it was given.

    Attributes:
        letter_id: number, unique in its store, never used again.
        flow: flow of the node.
        error: the failure; its ``cause`` did not last.
        at: when it failed last, seconds since the epoch.
        input_names: every input of the firing, in order.
        missing: inputs that could not be kept, with the reason in words.
        inputs: the kept ones, once the letter was taken; empty in lists.
        work: digest of what its inputs were made from: failures of one node at one work are one letter.
        fingerprint: digest of the code and the settings that failed.
        count: how often it has failed, >= 1.
    """

    letter_id: int
    flow: str
    error: ErrorPacket
    at: float
    input_names: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    work: str = ""
    fingerprint: str = ""
    count: int = 1


class DeadLetters(Protocol):
    """Keeps failed firings until somebody replays or drops them, beyond the life of this process.

    A replay takes the letter, fires the node with its inputs, and drops the letter or puts it back. A kernel that is
    killed in between loses nothing: its letters can be taken again.
    """

    @property
    def lease_s(self) -> float:
        """How long a letter is kept for who took it before ``keep_hold`` has to be called, seconds."""
        ...

    def put(
        self,
        flow: str,
        error: ErrorPacket,
        inputs: Mapping[str, object],
        *,
        at: float,
        work: str = "",
        fingerprint: str = "",
    ) -> int:
        """Keep a failure with as many of its inputs as can be kept; returns the letter's number.

        A failure of a node at a ``work`` that there is a letter of already is written over the failure in that letter.

        Raises:
            StoreError: FB903, the disk refuses.
        """
        ...

    def letters(self, flow: str | None = None) -> list[DeadLetter]:
        """List what is kept, oldest first, without the values of inputs."""
        ...

    def take(self, letter_id: int) -> DeadLetter:
        """Hand a letter out with its inputs, to nobody else until it is dropped or put back.

        Raises:
            StoreError: FB904 there is no such letter, FB905 somebody else has taken it.
        """
        ...

    def keep_hold(self, letter_id: int) -> None:
        """Say that the replay of a letter that this process has taken still goes on."""
        ...

    def put_back(self, letter_id: int, error: ErrorPacket | None = None, *, at: float = 0.0) -> None:
        """Let a taken letter be taken again: its replay failed (with ``error``, at that time) or did not happen."""
        ...

    def drop(self, letter_id: int) -> bool:
        """Forget a letter for good; False when it is gone already."""
        ...

    def rename(self, flow: str, old: str, new: str) -> None:
        """Let the letters of a node follow it to its new id."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PortableCode:
    """A function as another process can make it: by import, from a file of its own, or from source.

    Attributes:
        name: of the function; of an imported one its qualified name.
        module: module it is imported from, or empty.
        path: file that is run for it, or empty.
        preamble: source of what the function reads of its surroundings, run before it.
        source: of the function alone, beginning with ``def``; empty when it is imported. Defaults that are no
            literals are not used.
        filename: where the source stands, as tracebacks show it.
        first_line: of the ``def`` in that file, >= 1.
        parameters: arguments it takes; what else the notebook gives it stands in the preamble. None: all.
    """

    name: str
    module: str = ""
    path: str = ""
    preamble: str = ""
    source: str = ""
    filename: str = ""
    first_line: int = 1
    parameters: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolatedCall:
    """One call of a node's function in a process of its own.

    Attributes:
        code: the function.
        arguments: by name; what the function does to them stays in its process.
        context_name: parameter that receives a Context, or None.
        flow: name of the flow.
        node_id: the node.
        trace_id: id of the run, 32 hex digits.
        attempt: 1 for the first try.
        timeout_s: after this time the process is ended, seconds; None: never.
        memory_bytes: with more resident memory than this the process is ended; what it shares with the kernel, which
            is most of what it is given, does not count; None: three quarters of the machine's.
    """

    code: PortableCode
    arguments: Mapping[str, Any]
    context_name: str | None = None
    flow: str = ""
    node_id: str = ""
    trace_id: str = ""
    attempt: int = 1
    timeout_s: float | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of memory of a value that goes to another process.

    Attributes:
        size_bytes: how long it is.
        address: where it lies, for as long as ``owner`` is there; 0 where it has yet to be made.
        owner: keeps what the piece is made of alive, and unchanged.
        fill: makes it at an address; None: it is copied from its own.
    """

    size_bytes: int
    address: int
    owner: Any
    fill: Callable[[int], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A value taken apart: a text of this program's own, and the memory of its tables and arrays apart from it.

    Attributes:
        text: everything but the pieces.
        pieces: memory; what one table or array needs stands together.
        group_ends: where the pieces of each table or array end, ascending.
        text_copies: arrays that stand in the text, with the reason; an empty one when they are merely small.
    """

    text: bytes
    pieces: tuple[Piece, ...] = ()
    group_ends: tuple[int, ...] = ()
    text_copies: tuple[PayloadCopy, ...] = ()


class Packing(Protocol):
    """Takes values apart for another process of this kernel, and puts them together there; pickles by its name."""

    def pack(self, value: object, *, keeps_writable: bool) -> Packed:
        """Take a value apart; no memory of a table or an array is copied.

        Args:
            value: anything.
            keeps_writable: an array that can be written to here can be there, too; else none can.

        Raises:
            Exception: it cannot go.
        """
        ...

    def unpack(self, text: Any, buffers: Sequence[Any]) -> Any:
        """Make the value anew over received memory.

        Args:
            text: bytes-like.
            buffers: one per piece, bytes-like or with ``__array_interface__``; held as long as the value needs it.
        """
        ...

    def empty(self, shape: Any, dtype: Any, memory: Callable[[int], Any]) -> Any:
        """Make an array of any content.

        Args:
            shape: as numpy takes it.
            dtype: as numpy takes it.
            memory: given a size in bytes, returns writable memory with ``__array_interface__``, or None: take your own.
        """
        ...


class RemoteEffects(Protocol):
    """Is told what node code in another process prints, logs and reports, while it runs."""

    def write(self, stream: str, text: str) -> None:
        """Take what was written to ``"stdout"`` or ``"stderr"``, as ``print`` writes it."""
        ...

    def note(self, stream: str, text: str) -> None:
        """Take one whole ``"log"`` record or ``"warning"``."""
        ...

    def progress(self, share: float) -> None:
        """Take how much is done, 0 to 1."""
        ...

    def copied(self, name: str, copies: tuple[PayloadCopy, ...]) -> None:
        """Take what was copied to hand an input over, or, with an empty name, to bring the result back."""
        ...


class Isolation(Protocol):
    """Calls node code where it can harm nobody: a crash, a loop or a greedy allocation ends its process only."""

    def call(self, call: IsolatedCall, *, is_cancelled: Callable[[], bool], effects: RemoteEffects) -> Any:
        """Call the function and return what it returns; blocks.

        Args:
            call: what to call, with what.
            is_cancelled: asked many times a second; the process is ended when it says yes.
            effects: told what the code prints and reports, on this thread.

        Raises:
            WorkerDiedError: FB420 the process died, FB421 it took too much memory.
            NodeTimeoutError: FB404, it took too long.
            RunCancelledError: FB405.
            RunError: FB422 an argument or the result, FB423 the code cannot go to another process, FB424 there are no
                such processes on this system.
            BaseException: what the code itself raised, with a traceback of its own lines.
        """
        ...

    def share(self, value: object) -> Handed:
        """Put a value where every process sees it, once, for many calls; read-only there and here.

        Returns:
            The value over that memory, and the copy that took; the value itself and none where there is nothing to be
            gained: it is small, or there is no memory of that kind.
        """
        ...


class Clock(Protocol):
    """Time as the engine sees it, so that tests can own it."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def time(self) -> float:
        """Seconds since the epoch, UTC."""
        ...
