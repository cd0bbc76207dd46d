"""What lower rooms need and higher rooms fill in: Protocols only, no behaviour.

The engine never imports polars, numpy or Jupyter. It asks a ``Payloads`` what a value is, a ``Capture`` to collect
what a node prints, a ``Namespace`` what a notebook name is bound to, and tells an ``EventSink`` what happened.
``flowbook.session`` decides who fills which role.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from flowbook.core.events import Event


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

    def collect(self, values: Sequence[object]) -> list[object]:
        """Turn lazy tables into tables, together, in one pass; values that are not lazy come back as they are."""
        ...

    def preview(self, value: object) -> dict[str, Any] | None:
        """Make the small JSON preview of the canvas bundle: O(viewport), never the whole value."""
        ...

    def size_bytes(self, value: object) -> int:
        """Estimate the memory a value holds, in bytes, without reading it."""
        ...

    def content_key(self, value: object) -> str | None:
        """Digest the content of a small value; None when it is large or cannot be digested (use identity then)."""
        ...

    def resolve(self, value: object) -> None:
        """Raise what is known to be wrong with a lazy table (a column that is not there) without computing it."""
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
class Effects:
    """What a firing printed, logged, warned of, displayed, drew or reported as progress, in order.

    Attributes:
        entries: ``(stream, text)`` with stream one of stdout, stderr, log, warning, display.
        displays: mime bundles ``(data, metadata)`` of displayed objects and figures.
        progress: last reported share in 0..1, or None.
        dropped_count: entries left out because the firing wrote too much.
    """

    entries: list[tuple[str, str]] = field(default_factory=list)
    displays: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    progress: float | None = None
    dropped_count: int = 0

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


class EventSink(Protocol):
    """Is told what happens, in order; must return quickly and never raise."""

    def publish(self, event: Event) -> None:
        """Take one event."""
        ...


class Clock(Protocol):
    """Time as the engine sees it, so that tests can own it."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def time(self) -> float:
        """Seconds since the epoch, UTC."""
        ...
