"""Ctrl-C and SIGTERM as facts that are remembered, not as exceptions that fly.

A ``KeyboardInterrupt`` can surface between any two bytecodes: inside ``os.replace``, inside an event loop's
bookkeeping, inside a ``finally``. A run that must always leave a whole notebook and no kernel behind cannot work like
that. So the signals are counted, whoever waits is woken, and the run ends at its own next step. The first one asks
nicely; from the second on, the waiting for others (a cell that cleans up, a kernel that says goodbye) is cut short.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from types import FrameType, TracebackType

INTERRUPTED_EXIT_CODE = 130


class Interruption:
    """Counts interrupts while it is entered; a context manager for the main thread.

    Args:
        is_last: the process ends when it is left, so that Ctrl-C is ignored from then on: the exit code is decided,
            and Python taking itself down must not turn it into a death by signal. Otherwise the handlers that were
            there before come back.

    Attributes:
        count: how often the process was asked to stop, >= 0.
    """

    def __init__(self, *, is_last: bool = False) -> None:
        self.count = 0
        self._is_last = is_last
        self._previous: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
        self._wake: Callable[[], None] | None = None

    def __bool__(self) -> bool:
        return self.count > 0

    def __enter__(self) -> Interruption:
        # Only the main thread may set handlers; called from another one, the caller's own handlers stay in charge.
        if threading.current_thread() is threading.main_thread():
            for number in _stop_signals():
                self._previous[number] = signal.getsignal(number)
                signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            # None: installed by something that is not Python, which Python cannot put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if self._previous and self._is_last:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._previous.clear()

    def wake(self, loop: asyncio.AbstractEventLoop, event: Callable[[], None]) -> None:
        """Call ``event`` on ``loop`` at each interrupt from now on, and at once if there was one already."""
        self._wake = lambda: _call_unless_closed(loop, event)
        if self.count:
            self._wake()

    def rest(self) -> None:
        """Wake nobody any more; interrupts are still counted."""
        self._wake = None

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self._wake is not None:
            self._wake()


def _stop_signals() -> tuple[int, ...]:
    """The signals that mean "stop": a closed terminal too, unless ``nohup`` said that it does not matter."""
    numbers: list[int] = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        numbers.append(hangup)
    return tuple(numbers)


def _call_unless_closed(loop: asyncio.AbstractEventLoop, event: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(event)
