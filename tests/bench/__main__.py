"""What the engine costs: flows of nodes that do nothing, beside plain Python that calls the same functions in order.

Both sides of a line are measured in one process, alternating, so that a busy machine slows both. Figures are printed
and never asserted: the ratio belongs to the machine as much as to the code.
"""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import flowbook as fb

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROUNDS = 15
WIDTH = 10


@fb.node
def first() -> int:
    """Start a chain."""
    return 1


@fb.node
def step(value: Any) -> Any:
    """Do nothing, which is what is measured."""
    return value


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of the table: seconds per run on either side, the median of all rounds."""

    title: str
    node_count: int
    plain_s: float
    flow_s: float

    def line(self) -> str:
        """Lay the figures out: milliseconds, microseconds added per node of the flow, times slower."""
        per_node_us = (self.flow_s - self.plain_s) / self.node_count * 1e6
        return (
            f"{self.title:<44}{self.plain_s * 1e3:>10.3f}{self.flow_s * 1e3:>10.3f}"
            f"{per_node_us:>13.1f}{self.flow_s / self.plain_s:>10.0f}x"
        )


def chains(name: str, *, width: int, length: int) -> fb.Flow:
    """Make ``width`` independent chains of ``length`` nodes each."""
    flow = fb.Flow(name)
    for chain in range(width):
        flow.add(first, f"c{chain}_0")
        for place in range(1, length):
            flow.add(step, f"c{chain}_{place}")
            flow.connect(f"c{chain}_{place - 1}", f"c{chain}_{place}.value")
    return flow


def plain(*, width: int, length: int) -> dict[str, Any]:
    """Do the work of :func:`chains` as a person would write it, keeping every value as a flow does."""
    values: dict[str, Any] = {}
    for chain in range(width):
        values[f"c{chain}_0"] = first()
        for place in range(1, length):
            values[f"c{chain}_{place}"] = step(values[f"c{chain}_{place - 1}"])
    return values


def alternate(functions: Sequence[Callable[[], object]]) -> list[float]:
    """Time the functions in turn, ``ROUNDS`` times; the median of each, in seconds."""
    took_s: list[list[float]] = [[] for _ in functions]
    for function in functions:  # the first call pays for plans and caches that the others reuse
        function()
    gc.collect()
    for _ in range(ROUNDS):
        for function, times in zip(functions, took_s, strict=True):
            started = time.perf_counter()
            function()
            times.append(time.perf_counter() - started)
    return [statistics.median(times) for times in took_s]


def compare(width: int, length: int) -> list[Comparison]:
    """Run one shape of flow in full, and again when nothing or only the last node has to fire."""
    flow = chains(f"bench_{width}x{length}", width=width, length=length)
    last = f"c{width - 1}_{length - 1}"
    plain_s, full_s, nothing_s, one_s = alternate(
        [
            lambda: plain(width=width, length=length),
            lambda: flow.run_sync(force=True),
            flow.run_sync,
            lambda: flow.run_sync(only=last, force=True),
        ]
    )
    shape = f"{width} x {length} nodes" if width > 1 else f"a chain of {length} nodes"
    count = width * length
    return [
        Comparison(f"{shape}, everything fires", count, plain_s, full_s),
        Comparison(f"{shape}, nothing changed", count, plain_s, nothing_s),
        Comparison(f"{shape}, only the last fires", count, plain_s, one_s),
    ]


def main() -> None:
    """Print the table."""
    print(f"{'nodes that do nothing':<44}{'plain ms':>10}{'flow ms':>10}{'µs per node':>13}{'ratio':>11}")
    for width, length in ((1, 10), (1, 200), (WIDTH, 20)):
        for comparison in compare(width, length):
            print(comparison.line())


if __name__ == "__main__":
    main()
