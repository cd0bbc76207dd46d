"""Calls node code in worker processes: finds or starts a worker, waits, keeps the limits, tells how it ended."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from flowbook.errors import FlowbookError, NodeTimeoutError, RunCancelledError, RunError, WorkerDiedError
from flowbook.sandbox.channel import Channel, ChannelClosedError, packed, unpacked
from flowbook.sandbox.launchers import best_launcher
from flowbook.sandbox.remote_errors import ToldError, fatal_places, made_again, traceback_of
from flowbook.sandbox.worker import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowbook.core.interfaces import IsolatedCall, RemoteEffects
    from flowbook.sandbox.launchers import Launcher

#: How often a call looks at its deadline, its memory and whether it is cancelled, seconds.
SLICE_S: Final = 0.02
#: A worker that holds more than this after a call is not used again, bytes.
_RETIRE_BYTES: Final = 1024**3
#: Address space is refused beyond the limit of resident memory plus this: libraries reserve much and use little.
_ADDRESS_SLACK_BYTES: Final = 4 * 1024**3
_MOST_WORKERS: Final = 4
_CGROUP_FILES: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


class ProcessPool:
    """See the module's docstring; fills ``core.interfaces.Isolation``, from any number of threads.

    Args:
        preload: modules that workers are to have loaded already.
        most_workers: calls at one time, >= 1; None: one per core, at most four. Further calls wait.
        launcher: how workers are started; None: the best way on this system, chosen at first use.
    """

    def __init__(
        self, preload: Sequence[str] = (), *, most_workers: int | None = None, launcher: Launcher | None = None
    ) -> None:
        cores = os.cpu_count() or 1
        self._preload = tuple(preload)
        self._most_workers = most_workers or min(_MOST_WORKERS, cores)
        self._threads = max(1, cores // self._most_workers)
        self._launcher = launcher
        self._idle: deque[_Worker] = deque()
        self._busy_count = 0
        self._condition = threading.Condition()
        self._owner = os.getpid()
        self._is_closed = False

    def call(self, call: IsolatedCall, *, is_cancelled: Callable[[], bool], effects: RemoteEffects) -> Any:
        """Call the function in a worker and return what it returns; see ``core.interfaces.Isolation``."""
        try:
            buffers = packed(dict(call.arguments))
        except Exception as error:
            raise _cannot_send(call, error) from error
        guard = _Guard(call, is_cancelled)
        for _ in range(self._most_workers + 1):  # at worst every idle one has old code
            worker = self._take(guard)
            try:
                return worker.answer(call, buffers, guard, effects)
            except _DeclinedError:
                pass
            finally:
                self._leave(worker)
        raise RunError(
            f"no worker process would take {call.node_id!r}",
            code="FB424",
            where=guard.where,
            hint="its modules keep changing, or something keeps ending the workers",
        )

    def warm_up(self) -> None:
        """Start one worker ahead of its first call, so that this call need not wait; raises nothing."""
        with contextlib.suppress(OSError, FlowbookError), self._condition:
            if not self._idle and not self._busy_count:
                self._idle.append(self._started())

    def close(self) -> None:
        """End every worker that is idle, and the others when their calls end."""
        with self._condition:
            self._is_closed = True
            workers, self._idle = list(self._idle), deque()
            launcher = self._launcher
        if os.getpid() != self._owner:
            return  # a forked copy of the kernel: the workers are not its own
        for worker in workers:
            worker.end()
        if launcher is not None:
            launcher.close()
        atexit.unregister(self.close)

    @property
    def worker_ids(self) -> list[int]:
        """Process ids of the workers that are idle now."""
        with self._condition:
            return [worker.process_id for worker in self._idle]

    def _take(self, guard: _Guard) -> _Worker:
        """Take an idle worker, or start one; waits while as many as allowed are busy."""
        with self._condition:
            while self._busy_count >= self._most_workers:
                guard.look_for_cancel()
                self._condition.wait(SLICE_S)
            while self._idle:
                worker = self._idle.pop()
                if worker.is_alive():
                    self._busy_count += 1
                    return worker
                worker.end()
            self._busy_count += 1
        try:
            return self._started()
        except BaseException as error:
            with self._condition:
                self._busy_count -= 1
                self._condition.notify()
            if isinstance(error, OSError):
                raise RunError(
                    f"no worker process could be started: {error.strerror or type(error).__name__}",
                    code="FB424",
                    where=guard.where,
                    hint="see whether the machine has memory and processes left",
                ) from error
            raise

    def _leave(self, worker: _Worker) -> None:
        is_usable = worker.is_usable
        if not is_usable:
            worker.end()
        with self._condition:
            self._busy_count -= 1
            is_kept = is_usable and not self._is_closed
            if is_kept:
                self._idle.append(worker)
            self._condition.notify()
        if is_usable and not is_kept:
            worker.end()

    def _started(self) -> _Worker:
        with self._condition:
            if self._launcher is None:
                self._launcher = best_launcher(self._preload, self._threads)
            atexit.unregister(self.close)
            atexit.register(self.close)
        return _Worker(self._launcher)


class _Guard:
    """Keeps one call within its limits."""

    def __init__(self, call: IsolatedCall, is_cancelled: Callable[[], bool]) -> None:
        self._call = call
        self._is_cancelled = is_cancelled
        self._deadline: float | None = None
        self._next_look = 0.0
        self._process_id = 0
        self.most_bytes = call.memory_bytes or _default_memory_bytes()
        self.where = f"flow {call.flow!r}, node {call.node_id!r}"

    def begin(self, process_id: int) -> None:
        """Start the clock."""
        self._process_id = process_id
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
        if resident_bytes(self._process_id) > self.most_bytes:
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


class _DeclinedError(Exception):
    """The worker did not begin: the modules it has imported have changed, or it was gone already."""


class _Worker:
    """The kernel's end of one worker."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        ours, theirs = socket.socketpair()
        #: Where the worker's Python stack stands should it crash; the file has no name and goes with the last holder.
        self._crash_report: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by ``end``
        try:
            with theirs:
                self.process_id = launcher.start(theirs, self._crash_report.fileno())
        except BaseException:
            ours.close()
            self._crash_report.close()
            raise
        self._channel = Channel(ours, slice_s=SLICE_S)
        self._link = ours
        self._has_ended = False
        self.is_usable = True

    def is_alive(self) -> bool:
        """Whether it still waits for a call; an idle worker has nothing to say but that it ended."""
        try:
            self._link.setblocking(False)
            try:
                self._link.recv(1, socket.MSG_PEEK)
            finally:
                self._link.settimeout(SLICE_S)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def answer(self, call: IsolatedCall, buffers: Sequence[Any], guard: _Guard, effects: RemoteEffects) -> Any:
        """Make one call; returns the value.

        Raises:
            _DeclinedError: the call has not begun; another worker may take it.
        """
        self.is_usable = False  # until it has given an answer that leaves it whole
        guard.begin(self.process_id)
        self._channel.check = guard.check
        order = Order(
            code=call.code,
            context_name=call.context_name,
            flow=call.flow,
            node_id=call.node_id,
            trace_id=call.trace_id,
            attempt=call.attempt,
            folder=_folder(),
            import_path=tuple(sys.path),
            address_bytes=guard.most_bytes + _ADDRESS_SLACK_BYTES,
        )
        try:
            self._channel.send(order, buffers)
            (kind, facts), answer = self._channel.receive()
        except ChannelClosedError as error:
            raise _DeclinedError from error
        if kind == "stale":
            raise _DeclinedError
        try:
            kind, facts, answer = self._conversation(effects)
        except ChannelClosedError as error:
            raise self._death(call, guard) from error
        self._channel.check = None
        self.is_usable = resident_bytes(self.process_id) < _RETIRE_BYTES
        if kind == "returned":
            try:
                return unpacked(answer)
            except Exception as error:
                raise _cannot_come_back(call, f"{type(error).__name__}: {error}") from error
        raise _failure(call, kind, facts)

    def _conversation(self, effects: RemoteEffects) -> tuple[str, Any, list[bytearray]]:
        """Pass on what the worker tells until it says what came of the call."""
        while True:
            (kind, facts), buffers = self._channel.receive()
            if kind == "text":
                effects.write(*facts)
            elif kind == "note":
                effects.note(*facts)
            elif kind == "progress":
                effects.progress(facts)
            else:
                return kind, facts, buffers

    def _death(self, call: IsolatedCall, guard: _Guard) -> FlowbookError:
        """Say how the worker died."""
        code = self._end_now(kills=False)
        self._crash_report.seek(0)
        places = fatal_places(self._crash_report.read().decode("utf-8", "replace"))
        own = next((place for place in reversed(places) if place.filename == call.code.filename), None)
        line = f", in line {own.line}" if own is not None else ""
        error = WorkerDiedError(
            f"the process of {call.node_id!r} ended: {_how(code)}{line}",
            where=guard.where,
            hint=_DEATH_HINTS.get(code or 0, ""),
            node=call.node_id,
            **({} if code is None else {"exit_code": code} if code >= 0 else {"signal": _signal_name(-code)}),
        )
        return error.with_traceback(traceback_of(places))

    def end(self) -> None:
        """End the process, whatever it is doing, and wait until it is gone."""
        if not self._has_ended:
            self._end_now(kills=True)
        self._crash_report.close()

    def _end_now(self, *, kills: bool) -> int | None:
        self._has_ended = True
        self.is_usable = False
        self._channel.close()
        if kills:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.process_id, signal.SIGKILL)  # the id is its own until the launcher has waited for it
        return self._launcher.ended(self.process_id)


_DEATH_HINTS: Final = {
    -signal.SIGKILL: "the system may have run out of memory: let it work on less data at a time",
    -signal.SIGSEGV: "a library crashed; its Python stack is in the traceback",
    -signal.SIGABRT: "a library gave up, often because memory ran out",
}


def _how(code: int | None) -> str:
    if code is None:
        return "nobody knows how"
    return f"exit code {code}" if code >= 0 else _signal_name(-code)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _failure(call: IsolatedCall, kind: str, story: ToldError) -> BaseException:
    """Make the error of a call that came to no value; what was raised over there is it, or its cause."""
    error = made_again(story)
    if kind == "failed":
        return error
    why = f"{story.class_name}: {story.text}"
    if kind == "result":
        failure = _cannot_come_back(call, why)
    elif kind == "arguments":
        failure = RunError(
            f"an input of {call.node_id!r} cannot be made in another process: {why}",
            code="FB422",
            where=f"flow {call.flow!r}, node {call.node_id!r}",
            hint="name its class in the node's code, or hand on plain values, tables and arrays",
            node=call.node_id,
        )
    else:
        failure = RunError(
            f"the code of {call.node_id!r} does not stand alone: {why}",
            code="FB423",
            where=f"flow {call.flow!r}, node {call.node_id!r}",
            hint='import what it needs inside the node, or leave isolation="process" out',
            node=call.node_id,
        )
    failure.__cause__ = error
    return failure


def _cannot_send(call: IsolatedCall, error: Exception) -> RunError:
    culprit = "an input"
    for name, value in call.arguments.items():
        try:
            packed(value)
        except Exception:  # found it
            culprit = f"input {name!r}, a {type(value).__qualname__},"
            break
    return RunError(
        f"{culprit} of {call.node_id!r} cannot go to another process: {type(error).__name__}: {error}",
        code="FB422",
        where=f"flow {call.flow!r}, node {call.node_id!r}",
        hint="hand on plain values, tables and arrays",
        node=call.node_id,
    )


def _cannot_come_back(call: IsolatedCall, why: str) -> RunError:
    return RunError(
        f"what {call.node_id!r} returned cannot come back from its process: {why}",
        code="FB422",
        where=f"flow {call.flow!r}, node {call.node_id!r}",
        hint="return plain values, tables and arrays",
        node=call.node_id,
    )


def _folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed
        return ""


def resident_bytes(process_id: int) -> int:
    """Return the memory a process holds now, bytes; 0 where that cannot be known."""
    try:
        text = Path(f"/proc/{process_id}/statm").read_text(encoding="ascii")
    except OSError:
        return 0
    fields = text.split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > 1 else 0


def _default_memory_bytes() -> int:
    """Three quarters of what this machine, or its container, has."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")] if hasattr(os, "sysconf") else []
    for file in _CGROUP_FILES:
        with contextlib.suppress(OSError, ValueError):
            limits.append(int(file.read_text(encoding="ascii")))
    return min(limits, default=4 * 1024**3) * 3 // 4
