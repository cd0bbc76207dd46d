"""Who may go next: a state machine over integer slots that runs nothing.

A slot is *waiting* until every slot it reads has been finished, then *ready*, then *taken*, then *finished*. Among
ready slots the one with the longest remaining path goes first (it decides when the run can end), then the larger
priority, then plan order, so that the same flow is always run in the same order when one worker runs it.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from flowbook.runtime.plan import Slot

#: Assumed cost of a node that was never measured, seconds.
UNKNOWN_COST_S = 0.001


class Scheduler:
    """Orders the slots of one run.

    Args:
        slots: the whole plan, in topological order.
        scope: indexes of the slots that belong to the run.
        costs_s: measured cost per slot index, seconds; None where never measured.
    """

    def __init__(self, slots: Sequence[Slot], scope: Collection[int], costs_s: dict[int, float | None]) -> None:
        self._slots = slots
        self._ready: list[tuple[float, int, int]] = []
        self._unfinished = len(scope)
        self._released: dict[int, frozenset[int]] = {}
        self._waiting_for: dict[int, int] = {}
        self._rank: dict[int, float] = {}
        self._scope = set(scope)
        if not scope:
            return
        self._waiting_for = {
            index: sum(source in self._scope for source in slots[index].predecessors) for index in self._scope
        }
        self._rank = self._longest_paths(costs_s)
        for index, count in self._waiting_for.items():
            if not count:
                self._push(index)

    def _longest_paths(self, costs_s: dict[int, float | None]) -> dict[int, float]:
        rank: dict[int, float] = {}
        for index in sorted(self._scope, reverse=True):
            after = max((rank[reader] for reader in self._slots[index].successors if reader in rank), default=0.0)
            cost = costs_s.get(index)
            rank[index] = after + (UNKNOWN_COST_S if cost is None else cost)
        return rank

    def _push(self, index: int) -> None:
        heapq.heappush(self._ready, (-self._rank[index], -self._slots[index].policy.priority, index))

    def take(self) -> int | None:
        """Hand out the most urgent ready slot, or None when nothing is ready."""
        return heapq.heappop(self._ready)[2] if self._ready else None

    def finish(self, index: int) -> None:
        """Say that a slot is decided; readers of it may become ready."""
        self._unfinished -= 1
        released = self._released.pop(index, ()) if self._released else ()
        for reader in self._slots[index].successors:
            if reader not in released:
                self._need_no_more(reader)

    def release(self, index: int, readers: Collection[int]) -> None:
        """Let some readers of a slot go on before it is decided."""
        self._released[index] = frozenset(readers)
        for reader in self._released[index]:
            self._need_no_more(reader)

    def _need_no_more(self, reader: int) -> None:
        if reader in self._waiting_for:
            self._waiting_for[reader] -= 1
            if not self._waiting_for[reader]:
                self._push(reader)

    def take_this(self, index: int) -> None:
        """Take a slot that goes on already."""
        self._ready = [entry for entry in self._ready if entry[2] != index]
        heapq.heapify(self._ready)

    def put_back(self, index: int) -> None:
        """Make a taken slot ready again."""
        self._push(index)

    def drain(self) -> list[int]:
        """Hand out every ready slot at once, most urgent first."""
        ready = [entry[2] for entry in sorted(self._ready)]
        self._ready.clear()
        return ready

    @property
    def ready_count(self) -> int:
        """Slots that could go now."""
        return len(self._ready)

    @property
    def is_done(self) -> bool:
        """Whether every slot of the run is finished."""
        return not self._unfinished
