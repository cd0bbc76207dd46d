"""How times are taken: side by side in one process, so that a busy machine slows all sides of a comparison alike."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REPEATS = 9
#: A measurement is repeated within itself until it takes about so long, seconds of CPU.
LEAST_S = 0.003
#: A floor that spreads more than this makes every ratio to it meaningless.
MOST_SPREAD = 0.25

Verdict = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Times:
    """The same thing measured several times, seconds per call."""

    all_s: list[float]

    @property
    def median_s(self) -> float:
        """The middle one."""
        return statistics.median(self.all_s)

    @property
    def spread(self) -> float:
        """The distance of the quartiles, as a share of the median."""
        low, _, high = statistics.quantiles(self.all_s, n=4)
        return (high - low) / self.median_s if self.median_s else 0.0


@dataclass(slots=True)
class Goal:
    """One promise, and whether it was kept.

    Attributes:
        name: what is compared.
        figure: as measured.
        limit: the promise.
        is_upper: the figure may not be above the limit; False: not below.
        spread: of the side that everything is compared to.
        note: what else there is to say.
    """

    name: str
    figure: float
    limit: float
    is_upper: bool = True
    spread: float = 0.0
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether it was kept; a floor that was not steady decides nothing."""
        if self.spread > MOST_SPREAD:
            return "inconclusive"
        return "pass" if (self.figure <= self.limit if self.is_upper else self.figure >= self.limit) else "fail"


@dataclass(slots=True)
class Side:
    """One side of a comparison; ``call`` is measured, ``count`` times in a row."""

    call: Callable[[], object]
    count: int = 1
    times_s: list[float] = field(default_factory=list)


def side_by_side(
    calls: Mapping[str, Callable[[], object]],
    *,
    repeats: int = REPEATS,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, Times]:
    """Measure each in turn, ``repeats`` times; a first call of each, which pays for plans and caches, counts not.

    Args:
        calls: what to measure, by name.
        repeats: measurements of each.
        clock: CPU time of the process with all its threads, unless told otherwise.
    """
    sides = {name: Side(call) for name, call in calls.items()}
    for side in sides.values():
        side.call()
        started = clock()
        side.call()
        took_s = clock() - started
        side.count = max(1, min(1_000, int(LEAST_S / max(took_s, 1e-7))))
    for _ in range(repeats):
        for side in sides.values():
            gc.collect()
            gc.disable()
            try:
                started = clock()
                for _ in range(side.count):
                    side.call()
                side.times_s.append((clock() - started) / side.count)
            finally:
                gc.enable()
    return {name: Times(side.times_s) for name, side in sides.items()}
