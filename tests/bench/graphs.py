"""Graphs of nodes that do nothing, as plain functions: every node has a function of its own, named after it.

A node's parameters are named like the nodes it reads, so that flowbook and hamilton wire them by name. A node returns
its first argument, and a source its own number: what a sink must hold follows from the shape.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 2_000  # functions compiled at once


@dataclass(frozen=True, slots=True)
class Graph:
    """One shape.

    Attributes:
        name: for the table.
        reads: the nodes that each node reads, all of smaller number.
        functions: one function object per node, of the annotated type ``int``.
    """

    name: str
    reads: tuple[tuple[int, ...], ...]
    functions: tuple[Callable[..., Any], ...]

    @property
    def size(self) -> int:
        """How many nodes there are."""
        return len(self.reads)

    @property
    def sinks(self) -> list[int]:
        """Nodes that nobody reads."""
        read = {source for sources in self.reads for source in sources}
        return [node for node in range(self.size) if node not in read]

    def expected(self) -> dict[str, int]:
        """What the sinks must hold."""
        values: list[int] = []
        for node, sources in enumerate(self.reads):
            values.append(values[sources[0]] if sources else node)
        return {f"n{node}": values[node] for node in self.sinks}

    def unrolled(self) -> Callable[[], list[int]]:
        """Write the graph as straight-line calls: what a person would write, and the floor of every figure."""
        calls = [
            f"    v{node} = n{node}({', '.join(f'v{source}' for source in sources)})"
            for node, sources in enumerate(self.reads)
        ]
        sinks = ", ".join(f"v{node}" for node in self.sinks)
        text = "def floor():\n" + "\n".join(calls) + f"\n    return [{sinks}]\n"
        namespace: dict[str, Any] = {f"n{node}": function for node, function in enumerate(self.functions)}
        exec(text, namespace)  # noqa: S102 -- our own text
        floor: Callable[[], list[int]] = namespace["floor"]
        return floor


def graph(name: str, reads: list[tuple[int, ...]]) -> Graph:
    """Make a graph and its functions."""
    namespace: dict[str, Any] = {"__name__": "tests.bench.made"}
    for start in range(0, len(reads), _CHUNK):
        text = "\n".join(
            _source(node, sources) for node, sources in enumerate(reads[start : start + _CHUNK], start=start)
        )
        exec(text, namespace)  # noqa: S102 -- our own text
    functions = tuple(namespace[f"n{node}"] for node in range(len(reads)))
    return Graph(name, tuple(reads), functions)


def _source(node: int, sources: tuple[int, ...]) -> str:
    parameters = ", ".join(f"n{source}: int" for source in sources)
    return f"def n{node}({parameters}) -> int:\n    return {f'n{sources[0]}' if sources else node}\n"


def chain(size: int) -> Graph:
    """One node after the other."""
    return graph(f"chain {size:,}", [() if not node else (node - 1,) for node in range(size)])


def fan(width: int) -> Graph:
    """One source, ``width`` readers of it, and one node that joins them all."""
    readers: list[tuple[int, ...]] = [(0,)] * width
    return graph(f"fan {width:,} out and in", [(), *readers, tuple(range(1, width + 1))])


def ladder(levels: int, width: int) -> Graph:
    """``width`` nodes a level, each reading two of the level before."""
    reads: list[tuple[int, ...]] = [()] * width
    for level in range(1, levels):
        above = (level - 1) * width
        reads += [(above + place, above + (place + 1) % width) for place in range(width)]
    return graph(f"ladder {levels} x {width}", reads)


def scattered(size: int) -> Graph:
    """Each node reads one to three earlier ones, at random; the same ones every time."""
    chance = random.Random(7)  # noqa: S311 -- a shape, no secret
    reads: list[tuple[int, ...]] = [()]
    for node in range(1, size):
        count = min(node, chance.randint(1, 3))
        reads.append(tuple(sorted(chance.sample(range(max(0, node - 50), node), min(count, node)))))
    return graph(f"random {size:,}", reads)


def comb(leaves: int, length: int) -> Graph:
    """``leaves`` chains of ``length`` nodes, and one node that joins their ends."""
    reads: list[tuple[int, ...]] = []
    for _ in range(leaves):
        reads.append(())
        reads += [(len(reads) - 1 + place,) for place in range(length - 1)]
    return graph(f"{leaves} chains of {length}, joined", [*reads, tuple(range(length - 1, leaves * length, length))])
