"""Calls node code in worker processes: finds or starts a worker, waits, keeps the limits, tells how it ended."""

from __future__ import annotations

import atexit
import contextlib
import itertools
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

from flowbook.core.interfaces import Handed, PayloadCopy
from flowbook.errors import FlowbookError, NodeTimeoutError, RunError, WorkerDiedError
from flowbook.sandbox.call_guard import SLICE_S, CallGuard, resident_bytes
from flowbook.sandbox.channel import Channel, ChannelClosedError, PlainPacking
from flowbook.sandbox.kernel_segments import KernelSegments
from flowbook.sandbox.launchers import best_launcher
from flowbook.sandbox.memory_limits import memory_bytes
from flowbook.sandbox.remote_errors import ToldError, fatal_places, made_again, traceback_of
from flowbook.sandbox.segments import has_segments
from flowbook.sandbox.transports import SegmentTransport, StreamTransport
from flowbook.sandbox.worker import ASKS, Answer, Order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowbook.core.interfaces import IsolatedCall, Packed, Packing, RemoteEffects
    from flowbook.sandbox.launchers import Launcher
    from flowbook.sandbox.transports import Load, News, Transport

#: A worker that holds more than this after a call is not used again, bytes.
_RETIRE_BYTES: Final = 1024**3
_MOST_WORKERS: Final = 4
#: An idle worker that does not answer within this time is ended, seconds.
_NEWS_S: Final = 2.0
#: Why an input is copied.
TO_PROCESS: Final = "to its process"
#: Longest wait for a process that is about to be ended to say where it stands, seconds.
_STACK_S: Final = 1.0


class ProcessPool:
    """See the module's docstring; fills ``core.interfaces.Isolation``, from any number of threads.

    Args:
        preload: modules that workers are to have loaded already.
        most_workers: calls at one time, >= 1; None: one per core, at most four. Further calls wait.
        launcher: how workers are started; None: the best way on this system, chosen at first use.
        packing: takes values apart and puts them together; None: pickle.
        most_shared_bytes: all values between kernel and workers together; None: half of the memory there is; 0: none
            are shared, which is how it is where the system has no such memory.
    """

    def __init__(
        self,
        preload: Sequence[str] = (),
        *,
        most_workers: int | None = None,
        launcher: Launcher | None = None,
        packing: Packing | None = None,
        most_shared_bytes: int | None = None,
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
        self._packing = packing or PlainPacking()
        self._numbers = itertools.count(1)
        most = memory_bytes() // 2 if most_shared_bytes is None else most_shared_bytes
        self._segments = KernelSegments(most, self._spread_news) if packing and most and has_segments() else None

    def call(self, call: IsolatedCall, *, is_cancelled: Callable[[], bool], effects: RemoteEffects) -> Any:
        """Call the function in a worker and return what it returns; see ``core.interfaces.Isolation``."""
        arguments = self._packed(call)
        guard = CallGuard(call, is_cancelled)
        for _ in range(self._most_workers + 1):  # at worst every idle one has old code
            worker = self._take(guard)
            try:
                return worker.answer(call, arguments, guard, effects)
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

    def _packed(self, call: IsolatedCall) -> dict[str, Packed]:
        """Take the arguments apart."""
        packed: dict[str, Packed] = {}
        for name, value in call.arguments.items():
            try:
                packed[name] = self._packing.pack(value, keeps_writable=True)
            except Exception as error:
                culprit = f"input {name!r}, a {type(value).__qualname__},"
                raise _cannot_send(call, culprit, error) from error
        return packed

    def share(self, value: object) -> Handed:
        """Put a value into shared memory once, for many calls; see ``core.interfaces.Isolation``."""
        if self._segments is None:
            return Handed(value)
        try:
            packed = self._packing.pack(value, keeps_writable=False)
            pieces = self._segments.placed(packed.pieces)
            if pieces is None:
                return Handed(value)
            shared = self._packing.unpack(packed.text, pieces)
        except Exception:  # the call says what is wrong with it, or that there is no memory
            return Handed(value)
        self._segments.wake()
        return Handed(shared, (PayloadCopy(sum(piece.size_bytes for piece in packed.pieces), TO_PROCESS),))

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
        if self._segments is not None:
            self._segments.close()
        atexit.unregister(self.close)

    @property
    def worker_ids(self) -> list[int]:
        """Process ids of the workers that are idle now."""
        with self._condition:
            return [worker.process_id for worker in self._idle]

    @property
    def shared_bytes(self) -> int:
        """Shared memory that this kernel and its workers have taken from the system, bytes."""
        return self._segments.taken_bytes if self._segments is not None else 0

    def _spread_news(self, most_free_bytes: int | None) -> None:
        """Exchange news with idle workers, so that they give back what is free."""
        with self._condition:
            workers, self._idle = list(self._idle), deque()
            self._busy_count += len(workers)
        for worker in workers:
            worker.exchange_news(most_free_bytes)
            self._leave(worker)

    def _end_idle(self) -> None:
        """End the workers that have nothing to do, for the sake of the memory they keep."""
        with self._condition:
            workers, self._idle = list(self._idle), deque()
        for worker in workers:
            worker.end()

    def _take(self, guard: CallGuard) -> _Worker:
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
        number = next(self._numbers)
        return _Worker(self._launcher, number, self._packing, self._segments, self._end_idle)


class _DeclinedError(Exception):
    """The worker did not begin: the modules it has imported have changed, or it was gone already."""


class _Worker:
    """The kernel's end of one worker."""

    def __init__(
        self,
        launcher: Launcher,
        number: int,
        packing: Packing,
        segments: KernelSegments | None,
        make_room: Callable[[], None],
    ) -> None:
        self._launcher = launcher
        self._number = number
        self._packing = packing
        self._segments = segments
        self._make_room = make_room
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
        self._transport: Transport = segments.transport(number) if segments is not None else StreamTransport()
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

    def exchange_news(self, most_free_bytes: int | None) -> None:
        """Tell a worker that has nothing to do what is looked at no more, and learn what it has given back.

        Args:
            most_free_bytes: of shared memory that it may keep; None: only when there is something else to tell.
        """
        transport, segments = self._transport, self._segments
        if not isinstance(transport, SegmentTransport) or segments is None:
            return
        if most_free_bytes is None and not transport.has_news:
            return
        deadline = time.monotonic() + _NEWS_S

        def check() -> None:
            if time.monotonic() > deadline:
                raise ChannelClosedError

        self._channel.check = check
        try:
            self._channel.send(transport.news(segments.most_free_bytes if most_free_bytes is None else most_free_bytes))
            (_, news), _, _ = self._channel.receive()
            self._learn(news)
        except ChannelClosedError:
            self.is_usable = False
        self._channel.check = None

    def _learn(self, news: News) -> None:
        self._transport.hear(news)
        if self._segments is not None:
            self._segments.count(self._number, news.own_bytes)

    def answer(
        self, call: IsolatedCall, arguments: Mapping[str, Packed], guard: CallGuard, effects: RemoteEffects
    ) -> Any:
        """Make one call; returns the value.

        Raises:
            _DeclinedError: the call has not begun; another worker may take it.
        """
        self.is_usable = False  # until it has given an answer that leaves it whole
        guard.begin(self.process_id, self._shared_bytes)
        self._channel.check = guard.check
        load = self._loaded(call, arguments)
        order = Order(
            code=call.code,
            names=tuple(arguments),
            parcel=load.parcel,
            news=self._transport.news(self._segments.most_free_bytes if self._segments is not None else None),
            context_name=call.context_name,
            flow=call.flow,
            node_id=call.node_id,
            trace_id=call.trace_id,
            attempt=call.attempt,
            folder=_folder(),
            import_path=tuple(sys.path),
            memory_bytes=guard.most_bytes,
            packing=self._packing,
            number=self._number if self._segments is not None else 0,
        )
        try:
            self._channel.send(order, load.buffers, load.descriptors)
            kind = self._channel.receive()[0][0]
        except ChannelClosedError as error:
            raise _DeclinedError from error
        if kind == "stale":
            raise _DeclinedError
        for name, size_bytes in zip(arguments, load.copied, strict=True):
            _tell_copies(effects, name, size_bytes, arguments[name].text_copies, TO_PROCESS)
        del load
        try:
            answer, value = self._conversation(effects)
        except ChannelClosedError as error:
            raise self._death(call, guard) from error
        except (NodeTimeoutError, WorkerDiedError) as error:  # it overran, and is about to be ended
            self._ask_where_it_stands()
            raise self._with_place(error, call) from None
        self._channel.check = None
        self.is_usable = resident_bytes(self.process_id, self._shared_bytes()) < _RETIRE_BYTES
        if answer.story is not None:
            raise _failure(call, answer.kind, answer.story)
        _tell_copies(effects, "", answer.copied_bytes, answer.text_copies, "from its process")
        text, *buffers = value
        try:
            return self._packing.unpack(text, buffers)
        except Exception as error:
            raise _cannot_come_back(call, f"{type(error).__name__}: {error}") from error

    def _loaded(self, call: IsolatedCall, arguments: Mapping[str, Packed]) -> Load:
        """Have the arguments ready to be sent."""
        try:
            try:
                return self._transport.load(list(arguments.values()))
            except RunError:
                self._make_room()
                return self._transport.load(list(arguments.values()))
        except RunError as error:
            if self._segments is not None and self._segments.granted_bytes(self._number):
                raise _DeclinedError from error  # it keeps memory itself; a fresh one does not
            self.is_usable = True
            raise _too_much_shared(call, "the inputs", error) from error

    def _shared_bytes(self) -> int:
        return self._segments.mapped_bytes(self._number) if self._segments is not None else 0

    def _conversation(self, effects: RemoteEffects) -> tuple[Answer, list[Any]]:
        """Pass on what the worker tells until it says what came of the call."""
        while True:
            (kind, facts), buffers, descriptors = self._channel.receive()
            if kind == "text":
                effects.write(*facts)
            elif kind == "note":
                effects.note(*facts)
            elif kind == "progress":
                effects.progress(facts)
            elif kind == "grow":
                self._channel.send(("grown", self._granted(*facts)))
            else:
                return facts, self._received(facts, buffers, descriptors)

    def _granted(self, size_bytes: int, own_bytes: int) -> bool:
        """Let the worker, which has so much, have more shared memory, if there is any to be had."""
        if self._segments is None:
            return False
        self._segments.count(self._number, own_bytes)
        if not self._segments.grant(self._number, size_bytes):
            self._make_room()
            return self._segments.grant(self._number, size_bytes)
        return True

    def _received(self, answer: Answer, buffers: list[Any], descriptors: list[int]) -> list[Any]:
        """Take in what came with an answer: first the value, then what the worker looks at no more."""
        value: list[Any] = []
        if answer.parcel is not None:
            (value,) = self._transport.unload(answer.parcel, buffers, descriptors)
        self._learn(answer.news)
        if self._segments is not None:
            self._segments.wake()
        return value

    def _death(self, call: IsolatedCall, guard: CallGuard) -> FlowbookError:
        """Say how the worker died."""
        code = self._end_now(kills=False)
        error = WorkerDiedError(
            f"the process of {call.node_id!r} ended: {_how(code)}",
            where=guard.where,
            hint=_DEATH_HINTS.get(code or 0, ""),
            node=call.node_id,
            **({} if code is None else {"exit_code": code} if code >= 0 else {"signal": _signal_name(-code)}),
        )
        return self._with_place(error, call)

    def _ask_where_it_stands(self) -> None:
        """Have the process write down its Python stack; one that does not answer soon is not waited for."""
        if ASKS is None:
            return
        report, deadline = self._crash_report.fileno(), time.monotonic() + _STACK_S
        sizes = [os.fstat(report).st_size]
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self.process_id, ASKS)
        while time.monotonic() < deadline:
            time.sleep(_STACK_S / 100)
            sizes.append(os.fstat(report).st_size)
            if sizes[0] < sizes[-1] == sizes[-2] == sizes[-3]:
                return  # it has written, and writes no more

    def _with_place(self, error: FlowbookError, call: IsolatedCall) -> FlowbookError:
        """Give an error the line of the node's code at which its process stood when it ended, where that is known."""
        self._crash_report.seek(0)
        places = fatal_places(self._crash_report.read().decode("utf-8", "replace"))
        own = next((place for place in reversed(places) if place.filename == call.code.filename), None)
        if own is not None:
            error.what += f", in line {own.line}"
            error.args = (error.what,)
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
        if self._segments is not None:
            self._segments.close_transport(self._number)
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


def _tell_copies(
    effects: RemoteEffects, name: str, size_bytes: int, others: tuple[PayloadCopy, ...], reason: str
) -> None:
    """Report what was copied with one value; what is small or stood in its text counts like the rest."""
    small = sum(copy.size_bytes for copy in others if not copy.reason)
    made = [PayloadCopy(size_bytes + small, reason)] if size_bytes + small else []
    made += [PayloadCopy(copy.size_bytes, f"{reason}: {copy.reason}") for copy in others if copy.reason]
    if made:
        effects.copied(name, tuple(made))


def _too_much_shared(call: IsolatedCall, what: str, error: RunError) -> RunError:
    return RunError(
        f"{what} of {call.node_id!r} need more shared memory than there is to be: {error.what}",
        code="FB425",
        where=f"flow {call.flow!r}, node {call.node_id!r}",
        hint=error.hint,
        node=call.node_id,
        **error.fields,
    )


def _failure(call: IsolatedCall, kind: str, story: ToldError) -> BaseException:
    """Make the error of a call that came to no value; what was raised over there is it, or its cause."""
    error = made_again(story)
    if kind == "failed":
        return error
    why = f"{story.class_name}: {story.text}"
    if kind == "result" and isinstance(error, RunError) and error.code == "FB425":
        failure = _too_much_shared(call, "the outputs", error)
    elif kind == "result":
        failure = _cannot_come_back(call, _why(error) if isinstance(error, FlowbookError) else why, _hint_of(error))
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


def _cannot_send(call: IsolatedCall, culprit: str, error: Exception) -> RunError:
    return RunError(
        f"{culprit} of {call.node_id!r} cannot go to another process: {_why(error)}",
        code="FB422",
        where=f"flow {call.flow!r}, node {call.node_id!r}",
        hint=_hint_of(error) or "hand on plain values, tables and arrays",
        node=call.node_id,
    )


def _why(error: BaseException) -> str:
    return error.what if isinstance(error, FlowbookError) else f"{type(error).__name__}: {error}"


def _hint_of(error: BaseException) -> str:
    return error.hint if isinstance(error, FlowbookError) else ""


def _cannot_come_back(call: IsolatedCall, why: str, hint: str = "") -> RunError:
    return RunError(
        f"what {call.node_id!r} returned cannot come back from its process: {why}",
        code="FB422",
        where=f"flow {call.flow!r}, node {call.node_id!r}",
        hint=hint or "return plain values, tables and arrays",
        node=call.node_id,
    )


def _folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed
        return ""
