"""Runs that nobody asks for: what a moved setting changes is computed again by itself.

A move by itself, a step of a slider, is run at once. Moves that follow thick and fast, a slider that is dragged, become
few runs: one when there was no move for ``COALESCE_S``, and one every ``LONGEST_S`` while they go on. The latest value
wins, so a run that is still under way when the next one begins is cancelled, and the next one does its work as well.
While a run that somebody asked for goes on, moves wait for its end: it is not disturbed, and afterwards what it
computed with older settings is computed again.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Set

    from flowbook.core.interfaces import Clock

#: Moves that are less than this apart are not by themselves, seconds.
APART_S = 0.05
#: How long one of many moves waits for others, seconds.
COALESCE_S = 0.15
#: The longest that the first of many moves waits, seconds.
LONGEST_S = 0.3


class SelfRun(Protocol):
    """A run that was begun here."""

    @property
    def status(self) -> str:
        """``running`` until it is over."""
        ...

    def cancel(self) -> None:
        """Begin nothing more."""
        ...


class SelfRuns:
    """See the module's docstring.

    Args:
        clock: tells how long ago something was.
        call_later: ``(seconds, job)``: call the job later, 0: at once, on another thread, which may run flows; returns
            how to take it back.
        begin: ``(moved ids)``: begin a run of what follows from these nodes; None when nothing does.
        wait_for_others: ``(job)``: when a run that somebody asked for goes on, call the job at its end and return True.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        call_later: Callable[[float, Callable[[], None]], Callable[[], None]],
        begin: Callable[[Set[str]], SelfRun | None],
        wait_for_others: Callable[[Callable[[], None]], bool],
    ) -> None:
        self._clock = clock
        self._call_later = call_later
        self._begin = begin
        self._wait_for_others = wait_for_others
        self._lock = threading.Lock()
        self._moved: set[str] = set()
        self._first_at: float | None = None
        self._last_at = float("-inf")
        self._disarm: Callable[[], None] | None = None
        self._is_waiting = False
        self._current: SelfRun | None = None
        self._current_moved: frozenset[str] = frozenset()

    def moved(self, node_ids: Iterable[str]) -> None:
        """Settings of these nodes were moved in one go."""
        with self._lock:
            self._moved.update(node_ids)
            if self._is_waiting:
                return
            now = self._clock.monotonic()
            is_running = self._current is not None and self._current.status == "running"
            is_alone = self._first_at is None and not is_running and now - self._last_at >= APART_S
            self._first_at = now if self._first_at is None else self._first_at
            self._last_at = now
            due_at = now if is_alone else min(now + COALESCE_S, self._first_at + LONGEST_S)
            if self._disarm is not None:
                self._disarm()
            self._disarm = self._call_later(due_at - now, self._fire)

    def renamed(self, old: str, new: str) -> None:
        """A node has another id."""
        with self._lock:
            if old in self._moved:
                self._moved.remove(old)
                self._moved.add(new)

    def forget(self) -> None:
        """Somebody cancelled: run nothing that waits, and end what runs."""
        with self._lock:
            self._moved.clear()
            self._first_at = None
            current, self._current = self._current, None
            if self._disarm is not None:
                self._disarm()
                self._disarm = None
        if current is not None and current.status == "running":
            current.cancel()

    def _fire(self) -> None:
        with self._lock:
            self._disarm, self._first_at, self._is_waiting = None, None, False
            if not self._moved:
                return
            self._is_waiting = True  # before asking: the others may end, and call back, at once
        if self._wait_for_others(self._fire):
            return
        with self._lock:
            self._is_waiting = False
            moved, self._moved = frozenset(self._moved), set()
            earlier = self._current
            if earlier is not None and earlier.status == "running":
                moved |= self._current_moved
            else:
                earlier = None
            self._current_moved = moved
        if earlier is not None:
            earlier.cancel()
        begun = self._begin(moved)
        with self._lock:
            self._current = begun
