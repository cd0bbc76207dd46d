"""Keeps one call in a worker within its limits of time and memory."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flowbook.errors import NodeTimeoutError, RunCancelledError, WorkerDiedError
from flowbook.sandbox.memory_limits import memory_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbook.core.interfaces import IsolatedCall

#: How often a call looks at its deadline, its memory and whether it is cancelled, seconds.
SLICE_S: Final = 0.02


class CallGuard:
    """Keeps one call within its limits."""

    def __init__(self, call: IsolatedCall, is_cancelled: Callable[[], bool]) -> None:
        self._call = call
        self._is_cancelled = is_cancelled
        self._deadline: float | None = None
        self._next_look = 0.0
        self._process_id = 0
        self._shared_bytes: Callable[[], int] = lambda: 0
        self.most_bytes = call.memory_bytes or memory_bytes() * 3 // 4
        self.where = f"flow {call.flow!r}, node {call.node_id!r}"

    def begin(self, process_id: int, shared_bytes: Callable[[], int]) -> None:
        """Start the clock.

        Args:
            process_id: of the worker.
            shared_bytes: says how much of its memory is shared with others and does not count.
        """
        self._process_id = process_id
        self._shared_bytes = shared_bytes
        if self._call.timeout_s is not None:
            self._deadline = time.monotonic() + self._call.timeout_s

    def check(self) -> None:
        """Raise when a limit is exceeded; cheap enough to be asked for every piece of a message."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + SLICE_S / 2
        self.look_for_cancel()
        if self._deadline is not None and now > self._deadline:
            raise NodeTimeoutError(
                f"{self._call.node_id!r} took longer than {self._call.timeout_s:g} s, and its process was ended",
                where=self.where,
                hint="give it more time: timeout_s=…",
                node=self._call.node_id,
            )
        if resident_bytes(self._process_id, self._shared_bytes()) > self.most_bytes:
            raise self.too_much_memory()

    def look_for_cancel(self) -> None:
        """Raise when the call is cancelled."""
        if self._is_cancelled():
            raise RunCancelledError(f"{self._call.node_id!r} was cancelled, and its process ended", where=self.where)

    def too_much_memory(self) -> WorkerDiedError:
        """Make the error of a call that took more memory than it may."""
        return WorkerDiedError(
            f"{self._call.node_id!r} took more than {self.most_bytes / 1024**2:,.0f} MiB of memory,"
            " and its process was ended",
            code="FB421",
            where=self.where,
            hint="give it more, or let it work on less data at a time",
            node=self._call.node_id,
            memory_bytes=self.most_bytes,
        )


def resident_bytes(process_id: int, shared_bytes: int = 0) -> int:
    """Return the memory a process holds now, bytes; 0 where that cannot be known.

    Args:
        process_id: of the process.
        shared_bytes: as much of what it shares with other processes is not counted.
    """
    try:
        text = Path(f"/proc/{process_id}/statm").read_text(encoding="ascii")
    except OSError:
        return 0
    fields = [int(field) * os.sysconf("SC_PAGE_SIZE") for field in text.split()]
    return fields[1] - min(fields[2], shared_bytes) if len(fields) > 2 else 0
