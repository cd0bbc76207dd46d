"""The explicit edges of a flow, found by either of their ends, so that an edit looks only at what it changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, KeysView

_NO_PORTS: Final[dict[str, tuple[Edge, ...]]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """From an output port to an input port.

    Attributes:
        source: id of the node that gives.
        source_port: its output port; None: its primary output.
        target: id of the node that takes.
        target_port: its input port or setting.
        extra: capacity, overflow, transform, filter and fields this version does not know; kept.
    """

    source: str
    source_port: str | None
    target: str
    target_port: str
    extra: tuple[tuple[str, Any], ...] = ()

    @property
    def ends(self) -> tuple[str, str | None, str, str]:
        """The four names that make two edges the same edge."""
        return (self.source, self.source_port, self.target, self.target_port)


def edge_order(edge: Edge) -> tuple[str, str, str, str]:
    """Sort edges by where they end: the order in documents, so that the same flow has one text."""
    return (edge.target, edge.target_port, edge.source, edge.source_port or "")


class EdgeBook:
    """Edges by target and port, and by source; yields them in the order of documents.

    Only a document that was merged by hand has two edges into one port. Both are kept, and the last one counts.

    Args:
        edges: to begin with, in any order.
    """

    __slots__ = ("_count", "_in_order", "_into", "_readers")

    def __init__(self, edges: Iterable[Edge] = ()) -> None:
        self._into: dict[str, dict[str, tuple[Edge, ...]]] = {}
        #: Source -> target -> how many edges go there.
        self._readers: dict[str, dict[str, int]] = {}
        self._in_order: tuple[Edge, ...] | None = ()
        self._count = 0
        for edge in edges:
            self.add(edge)

    def __iter__(self) -> Iterator[Edge]:
        """Yield all edges, by target, port and source."""
        if self._in_order is None:
            found = [edge for ports in self._into.values() for edges in ports.values() for edge in edges]
            self._in_order = tuple(sorted(found, key=edge_order))
        return iter(self._in_order)

    def __len__(self) -> int:
        """Count the edges."""
        return self._count

    def __eq__(self, other: object) -> bool:
        """Whether the same edges are there."""
        return isinstance(other, EdgeBook) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Show the edges."""
        return f"EdgeBook({list(self)!r})"

    def copy(self) -> EdgeBook:
        """Return a book of the same edges that can be changed by itself."""
        other = EdgeBook()
        other._into = {target: dict(ports) for target, ports in self._into.items()}
        other._readers = {source: dict(counts) for source, counts in self._readers.items()}
        other._in_order, other._count = self._in_order, self._count
        return other

    def into(self, target: str) -> list[Edge]:
        """Return the edges that end at a node."""
        return [edge for edges in self._into.get(target, {}).values() for edge in edges]

    def ports_of(self, target: str) -> KeysView[str]:
        """Return the names of a node's ports at which edges end."""
        return self._into.get(target, _NO_PORTS).keys()

    def at(self, target: str, port: str) -> tuple[Edge, ...]:
        """Return the edges that end at a port, the one that counts last; one or none, save in merged documents."""
        return self._into.get(target, {}).get(port, ())

    def out_of(self, source: str) -> list[Edge]:
        """Return the edges that begin at a node."""
        return [edge for target in self._readers.get(source, ()) for edge in self.into(target) if edge.source == source]

    def add(self, edge: Edge) -> None:
        """Add an edge beside those that end at the same port."""
        ports = self._into.setdefault(edge.target, {})
        there = ports.get(edge.target_port)
        ports[edge.target_port] = (edge,) if there is None else tuple(sorted((*there, edge), key=edge_order))
        counts = self._readers.setdefault(edge.source, {})
        counts[edge.target] = counts.get(edge.target, 0) + 1
        self._in_order = None
        self._count += 1

    def put(self, edge: Edge) -> None:
        """Add an edge; those into the same port give way to it."""
        for there in self.at(edge.target, edge.target_port):
            self.remove(there)
        self.add(edge)

    def remove(self, edge: Edge) -> None:
        """Remove every edge with these ends; nothing happens when there is none."""
        there = self.at(edge.target, edge.target_port)
        kept = tuple(entry for entry in there if entry.ends != edge.ends)
        gone = len(there) - len(kept)
        if not gone:
            return
        ports, counts = self._into[edge.target], self._readers[edge.source]
        if kept:
            ports[edge.target_port] = kept
        else:
            del ports[edge.target_port]
            if not ports:
                del self._into[edge.target]
        counts[edge.target] -= gone
        if not counts[edge.target]:
            del counts[edge.target]
            if not counts:
                del self._readers[edge.source]
        self._in_order = None
        self._count -= gone
