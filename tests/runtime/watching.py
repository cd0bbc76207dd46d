"""Waits for what other threads do, without sleeping through it: each wait ends with what it waits for, or fails."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import flowbook as fb

#: Longest wait for anything, seconds; reached only when something is broken.
DEADLINE_S = 30.0
#: What "at once" means on a busy machine, seconds.
AT_ONCE_S = 1.0
_pause = threading.Event()


def until(condition: Callable[[], bool], what: str = "the condition") -> None:
    """Poll until ``condition`` holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        _pause.wait(0.002)


def reached(event: threading.Event) -> None:
    """Wait for an event."""
    assert event.wait(DEADLINE_S), "the event was never set"


def over(run: fb.Run) -> fb.Run:
    """Wait for the end of a run."""
    assert run.wait(DEADLINE_S), f"{run} does not end"
    return run


def returned(flow: fb.Flow, node_id: str) -> None:
    """Wait for the return of a firing that was given up."""
    until(lambda: not flow.results.unresponsive[node_id](), f"{node_id} to return")


class Firings:
    """Counts the firings of a node and lets each one wait for its turn.

    What it counts is no part of the key of the node whose code reaches it: an object of Python's own library counts by
    identity.
    """

    def __init__(self) -> None:
        self._hidden = SimpleNamespace(began=[], turns={}, lock=threading.Lock())

    @property
    def began(self) -> list[int]:
        """The numbers of the firings, from 1."""
        found: list[int] = list(self._hidden.began)
        return found

    def fire(self, *, waits: bool = True) -> int:
        """Begin a firing, in node code; returns its number when its turn has come."""
        with self._hidden.lock:
            number = len(self._hidden.began) + 1
            self._hidden.began.append(number)
        if waits:
            reached(self.turn(number))
        return number

    def turn(self, number: int) -> threading.Event:
        """What a firing waits for."""
        with self._hidden.lock:
            made: threading.Event = self._hidden.turns.setdefault(number, threading.Event())
            return made

    def let_go(self, *numbers: int) -> None:
        """Let firings go on."""
        for number in numbers:
            self.turn(number).set()

    def wait_for(self, number: int) -> None:
        """Wait until a firing has begun."""
        until(lambda: number in self.began, f"firing {number}")
