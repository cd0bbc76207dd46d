"""Waits for what other threads do, without sleeping through it: each wait ends with what it waits for, or fails."""

from __future__ import annotations

import threading
import time
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
