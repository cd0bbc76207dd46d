"""Where node code runs: worker threads, the engine's event loop, the interpreter's main thread.

All threads are daemons and start without any context variables of the cell that caused them, so that nothing they print
is attributed to a cell, or to the node that happened to start them, by accident.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from flowbook.runtime.capture import outside_firings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

IDLE_S = 2.0
#: A loop that does not answer for so long is blocked by a coroutine, seconds.
STUCK_S = 0.2


class Gate:
    """Is opened once, and stays open; what ``threading.Event`` does, by one lock of the interpreter's own.

    It may be opened in two steps: from the first on it counts as open, with the second those who wait are woken. Who
    opens it and has something to do besides does that in between: a thread woken earlier would wait for it again.
    """

    __slots__ = ("_is_open", "_lock")

    def __init__(self) -> None:
        self._is_open = False
        self._lock = threading.Lock()
        self._lock.acquire()

    def is_set(self) -> bool:
        """Whether it is open."""
        return self._is_open

    def mark(self) -> None:
        """Let it count as open; ``set`` has to follow."""
        self._is_open = True

    def set(self) -> None:
        """Open it, and wake those who wait; called once."""
        self._is_open = True
        self._lock.release()

    def wait(self, timeout_s: float = -1) -> bool:
        """Wait until it is open, at most so many seconds; -1: for ever. Returns whether it is."""
        if self._is_open:
            return True
        if self._lock.acquire(timeout=timeout_s):
            self._lock.release()  # for the next one that waits
        return self._is_open


class WorkerPool:
    """Daemon threads made on demand; an idle one ends after ``IDLE_S`` seconds.

    There is no upper bound here: whoever submits bounds its own concurrency, and a thread stuck in a node that never
    returns must not keep others from being served.
    """

    def __init__(self, name: str = "flowbook-worker") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._jobs: deque[Callable[[], None]] = deque()
        #: Of each idle thread what it waits at; the one that was at work last is woken first.
        self._idle: list[threading.Lock] = []
        #: Of those that were woken and have not come for a job yet.
        self._woken: list[threading.Lock] = []
        self._made_count = 0
        self._alive_count = 0

    def submit(self, job: Callable[[], None], *, is_patient: bool = False) -> None:
        """Run ``job`` soon; it must not raise.

        Args:
            job: what to run.
            is_patient: it may wait for a thread that is at work; ``relieve`` is called when that takes long.
        """
        with self._lock:
            self._jobs.append(job)
            bell = self._idle.pop() if self._idle else None
            if bell is not None:
                self._woken.append(bell)
            elif is_patient and self._alive_count:
                return
        if bell is None:
            self._begin()
        else:
            with contextlib.suppress(RuntimeError):  # it was rung already, for a job that it had found by itself
                bell.release()

    def relieve(self) -> bool:
        """Begin another thread if jobs wait and nobody is idle; whether jobs wait."""
        with self._lock:
            is_waiting = len(self._jobs) > len(self._woken)
        if is_waiting:
            self._begin()
        return is_waiting

    def _begin(self) -> None:
        with self._lock:
            self._alive_count += 1
            self._made_count += 1
            number = self._made_count
        with outside_firings():
            threading.Thread(target=self._serve, name=f"{self._name}-{number}", daemon=True).start()

    def _serve(self) -> None:
        bell = threading.Lock()
        bell.acquire()
        while (job := self._next_job(bell)) is not None:
            job()
            del job  # a finished job must not keep its run, and with it every value, alive while the thread idles

    def _next_job(self, bell: threading.Lock) -> Callable[[], None] | None:
        """Wait for a job; None: the thread is to end."""
        while True:
            with self._lock:
                if self._jobs:
                    if bell in self._idle:
                        self._idle.remove(bell)
                    return self._jobs.popleft()
                if bell not in self._idle:
                    self._idle.append(bell)
            is_rung = bell.acquire(timeout=IDLE_S)
            with self._lock:
                if bell in self._woken:
                    self._woken.remove(bell)
                elif bell in self._idle and not is_rung and not self._jobs:
                    self._idle.remove(bell)
                    self._alive_count -= 1
                    return None
                # Else an interrupt came before or while it was being woken: whoever was interrupted left the job here.


class LoopThread:
    """One event loop in a thread of its own, for async nodes and timers; started at first use."""

    def __init__(self, name: str = "flowbook-loop") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        #: A loop holds its tasks weakly: one that waits for nothing that others hold would be collected as garbage.
        self._tasks: set[asyncio.Task[Any]] = set()
        #: What no loop has come to yet: it is taken along when a stuck loop is left.
        self._unbegun: list[Callable[[], None]] = []

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                with outside_firings():
                    threading.Thread(target=self._serve, args=(self._loop,), name=self._name, daemon=True).start()
            return self._loop

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()
        loop.close()

    def leave_if_stuck(self) -> None:
        """Give up a loop that a coroutine blocks: what comes later gets a new one. Returns at once."""
        with self._lock:
            loop = self._loop
        if loop is None:
            return
        has_answered = threading.Event()
        loop.call_soon_threadsafe(has_answered.set)

        def watch() -> None:
            if has_answered.wait(STUCK_S):
                return
            with self._lock:
                if self._loop is not loop:
                    return
                self._loop = None
                left = list(self._unbegun)
            for begin in left:
                self.loop.call_soon_threadsafe(begin)
            # Should it ever come free, it ends what it has and then itself.
            loop.call_soon_threadsafe(lambda: loop.create_task(_end_loop()))

        with outside_firings():
            threading.Thread(target=watch, name=f"{self._name}-watch", daemon=True).start()

    def call_later(self, delay_s: float, job: Callable[[], None]) -> Callable[[], None]:
        """Call ``job`` on the loop after ``delay_s`` seconds; the returned function takes it back."""
        loop = self.loop
        handle: list[asyncio.TimerHandle] = []
        is_cancelled = threading.Event()

        def arm() -> None:
            if not is_cancelled.is_set():
                handle.append(loop.call_later(delay_s, job))
            if handle and is_cancelled.is_set():  # taken back in this very moment
                handle[0].cancel()

        def disarm() -> None:
            is_cancelled.set()
            if handle:
                loop.call_soon_threadsafe(handle[0].cancel)

        loop.call_soon_threadsafe(arm)
        return disarm

    def create_task(
        self, make: Callable[[], Coroutine[Any, Any, Any]], context: Any, on_done: Callable[[asyncio.Task[Any]], None]
    ) -> Callable[[], None]:
        """Run a coroutine in ``context``; the returned function cancels it."""
        tasks: list[asyncio.Task[Any]] = []
        is_cancelled = threading.Event()

        def begin() -> None:
            with self._lock:
                if begin not in self._unbegun:
                    return  # the loop that was left came free after all
                self._unbegun.remove(begin)
            loop = asyncio.get_running_loop()
            # The coroutine is made inside its context so that its first statements see it too.
            task = context.run(lambda: loop.create_task(make(), context=context))
            tasks.append(task)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(on_done)
            if is_cancelled.is_set():
                task.cancel()

        def cancel() -> None:
            is_cancelled.set()
            if tasks:
                tasks[0].get_loop().call_soon_threadsafe(tasks[0].cancel)

        with self._lock:
            self._unbegun.append(begin)
        self.loop.call_soon_threadsafe(begin)
        return cancel


async def _end_loop() -> None:
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)
    asyncio.get_running_loop().stop()


class MainThreadQueue:
    """Jobs that need the interpreter's main thread.

    Whoever waits for a run on the main thread serves the queue meanwhile; when nobody waits, ``wake`` (set by the
    notebook) gets the main thread's own loop to serve it.
    """

    def __init__(self) -> None:
        self._jobs: deque[Callable[[], None]] = deque()
        self.wake: Callable[[], None] | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Run ``job`` on the main thread soon; it must not raise."""
        self._jobs.append(job)
        if self.wake is not None:
            self.wake()

    def serve(self) -> bool:
        """Run what is queued, if this is the main thread; returns whether an interrupt ended one of the jobs.

        The interrupt is not raised here: a loop that serves the queue in a callback would end with it.
        """
        if threading.current_thread() is not threading.main_thread():
            return False
        while self._jobs:
            try:
                self._jobs.popleft()()
            except KeyboardInterrupt:
                return True
        return False
