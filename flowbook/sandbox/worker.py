"""A worker: takes one call after the other from its socket, and says what came of each.

It runs nothing but node code, so what that code prints, logs and warns of is simply all there is: every write goes to
the kernel at once, so that the last words before a crash are known.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import inspect
import io
import logging
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from flowbook.errors import RunError
from flowbook.sandbox.channel import Channel, ChannelClosedError
from flowbook.sandbox.node_code import function_of
from flowbook.sandbox.remote_errors import told
from flowbook.sandbox.segments import SegmentStore
from flowbook.sandbox.transports import News, Parcel, SegmentTransport, StreamTransport

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    import socket

    from flowbook.core.interfaces import Packing, PayloadCopy, PortableCode
    from flowbook.sandbox.remote_errors import ToldError
    from flowbook.sandbox.transports import Load, Transport

_LONGEST_LOG_CHARS: Final = 100_000
#: Address space is refused beyond the limit of memory plus this: libraries reserve much and use little.
_ADDRESS_SLACK_BYTES: Final = 4 * 1024**3
#: The signal by which a kernel asks where a worker stands; None where there is none.
ASKS: Final = getattr(signal, "SIGUSR1", None)
#: File systems may be this much behind the clock, nanoseconds.
_CLOCK_TICK_NS: Final = 10_000_000


class Order(NamedTuple):
    """What a kernel asks of a worker; the arguments come beside it.

    Attributes:
        code: the function to call.
        names: of the arguments.
        parcel: where they are.
        news: what has happened to segments since the last call.
        context_name: parameter that receives a Context, or None.
        flow: name of the flow.
        node_id: the node.
        trace_id: id of the run.
        attempt: 1 for the first try.
        folder: working directory of the kernel, or empty when it has none.
        import_path: the kernel's ``sys.path``.
        memory_bytes: most memory the call may take.
        packing: takes values apart and puts them together.
        number: of this worker among those of its kernel, or 0: there is no shared memory.
    """

    code: PortableCode
    names: tuple[str, ...]
    parcel: Parcel
    news: News
    context_name: str | None
    flow: str
    node_id: str
    trace_id: str
    attempt: int
    folder: str
    import_path: tuple[str, ...]
    memory_bytes: int
    packing: Packing
    number: int


class Answer(NamedTuple):
    """What came of a call.

    Attributes:
        kind: "returned", or what failed: "code", "arguments", "failed" (the function itself), "result".
        story: of the error, or None.
        parcel: where the value is, which comes beside it.
        copied_bytes: how much of it was copied.
        text_copies: see ``Packed``.
        news: what is still looked at here, and what is no more.
    """

    kind: str
    story: ToldError | None = None
    parcel: Parcel | None = None
    copied_bytes: int = 0
    text_copies: tuple[PayloadCopy, ...] = ()
    news: News = News()


class WorkerContext:
    """What a parameter annotated ``fb.Context`` gets in a worker.

    Attributes:
        flow: name of the flow.
        node_id: the node.
        trace_id: id of the run, 32 hex digits.
        attempt: 1 for the first try.
    """

    def __init__(self, order: Order, channel: Channel, memory: CallMemory) -> None:
        self.flow = order.flow
        self.node_id = order.node_id
        self.trace_id = order.trace_id
        self.attempt = order.attempt
        self._channel = channel
        self._memory = memory
        self._packing = order.packing

    @property
    def cancelled(self) -> bool:
        """Never: who is cancelled here is ended at once."""
        return False

    def wait(self, timeout_s: float) -> bool:
        """Wait; returns whether the firing was cancelled meanwhile, which is never seen here."""
        threading.Event().wait(timeout_s)
        return False

    def __getattr__(self, name: str) -> Any:
        """Refuse what a process of its own cannot share.

        Raises:
            RunError: FB426.
        """
        if name not in ("state", "enter", "enter_async"):
            raise AttributeError(name)
        raise RunError(
            f"ctx.{name} cannot be had in a process of its own",
            code="FB426",
            where=f"flow {self.flow!r}, node {self.node_id!r}",
            hint='use `with` inside the node, or leave isolation="process" out',
        )

    def progress(self, share: float) -> None:
        """Report how much is done, 0 to 1."""
        self._channel.send(("progress", min(1.0, max(0.0, float(share)))))

    def empty(self, shape: Any, dtype: Any = "float64") -> Any:
        """Make an array of any content, to be filled and returned: it stands where the kernel sees it, uncopied.

        Args:
            shape: as ``numpy.empty`` takes it.
            dtype: as ``numpy.empty`` takes it.

        Raises:
            MemoryError: more than the node may take.
            RunError: FB425, there is to be no more shared memory.
        """
        return self._packing.empty(shape, dtype, self._memory.take)


class CallMemory:
    """Gives one call the memory its outputs are to stand in.

    Args:
        transport: where it comes from.
        most_bytes: of all pieces together.
        lock: held while the kernel is asked for more.
    """

    def __init__(self, transport: Transport, most_bytes: int, lock: threading.Lock) -> None:
        self._transport = transport
        self._left_bytes = most_bytes
        self._lock = lock
        self._is_over = False

    def take(self, size_bytes: int) -> Any:
        """Give a piece, or None when there is none of that kind, or when the call is over."""
        with self._lock:
            if self._is_over:
                return None
            if size_bytes > self._left_bytes:
                message = f"{size_bytes / 1024**2:,.0f} MiB are more than the node may take"
                raise MemoryError(message)
            given = self._transport.memory(size_bytes)
            self._left_bytes -= size_bytes
            return given

    def end(self) -> None:
        """The call is over: a thread that it left behind gets nothing more."""
        with self._lock:
            self._is_over = True


class _Worker:
    """Serves one call after the other."""

    def __init__(self, link: socket.socket) -> None:
        self.channel = Channel(link)
        self._transport: Transport = StreamTransport()
        self._store: SegmentStore | None = None
        self._asking = threading.Lock()
        self._seen: dict[str, tuple[int, int]] = {}

    def serve(self) -> None:
        """Serve calls until the kernel is gone, or has better use for another process."""
        while True:
            try:
                order, buffers, descriptors = self.channel.receive()
                if isinstance(order, News):
                    self._transport.hear(order)
                    self.channel.send(("news", self._transport.news()))
                    continue
                if _has_old_code(self._seen):
                    self.channel.send(("stale", None))
                    return
                self._settle(order)
                received = self._transport.unload(order.parcel, buffers, descriptors)
                self.channel.send(("begun", None))
                began_ns = time.time_ns()
                answer, load = self._answer(order, received)
                _note_code(self._seen, began_ns)
                answer = answer._replace(news=self._transport.news())  # now that nothing of the call is left here
                if load is None:
                    self.channel.send(("answer", answer))
                else:
                    self.channel.send(("answer", answer), load.buffers, load.descriptors)
                    self._transport.sent(load)
            except ChannelClosedError:
                return
            del order, buffers, load  # nothing is held while it waits

    def _settle(self, order: Order) -> None:
        if order.number and self._store is None:
            store = self._store = SegmentStore(order.number, self._may_grow)
            transport = SegmentTransport(store, 0)
            store.on_dropped = transport.note_dropped
            self._transport = transport
        self._transport.hear(order.news)

    def _may_grow(self, size_bytes: int) -> bool:
        """Ask the kernel, which listens as long as the call goes on, for more shared memory."""
        assert self._store is not None  # noqa: S101 -- it is the store that asks
        self.channel.send(("grow", (size_bytes, self._store.own_bytes)))
        (_, is_granted), _, _ = self.channel.receive()
        return bool(is_granted)

    def _answer(self, order: Order, received: list[list[Any]]) -> tuple[Answer, Load | None]:
        """Make the call and say what came of it."""
        try:
            _settle(order)
            function = function_of(order.code)
        except BaseException as error:
            return Answer(kind="code", story=told(error)), None
        try:
            arguments = {
                name: order.packing.unpack(text, buffers)
                for name, (text, *buffers) in zip(order.names, received, strict=True)
            }
        except BaseException as error:
            return Answer(kind="arguments", story=told(error)), None
        finally:
            received.clear()
        memory = CallMemory(self._transport, order.memory_bytes, self._asking)
        if order.context_name:
            arguments[order.context_name] = WorkerContext(order, self.channel, memory)
        try:
            _limit(order.memory_bytes)
            returned = function(**arguments)
            if inspect.iscoroutine(returned):
                returned = asyncio.run(returned)
        except BaseException as error:
            return Answer(kind="failed", story=told(error)), None
        finally:
            del arguments
            _lift_limit()
            memory.end()
        try:
            packed = order.packing.pack(returned, keeps_writable=False)
            load = self._transport.load([packed])
        except BaseException as error:
            return Answer(kind="result", story=told(error)), None
        made = Answer(kind="returned", parcel=load.parcel, copied_bytes=load.copied[0], text_copies=packed.text_copies)
        return made, load


def serve(link: socket.socket, crash_report: int) -> None:
    """Serve calls until the kernel closes the socket.

    Args:
        link: the worker's end.
        crash_report: file descriptor that takes the Python stack should the process crash.
    """
    faulthandler.enable(crash_report)
    _tell_where_it_ends(crash_report)
    served = _Worker(link)
    _send_effects_to(served.channel)
    served.serve()


def _tell_where_it_ends(crash_report: int) -> None:
    """Have the Python stack written down also by ``os._exit``, and when the kernel asks before it ends the process."""
    if ASKS is not None:
        faulthandler.register(ASKS, crash_report, all_threads=True)
    worker, leave = os.getpid(), os._exit

    def told_exit(status: int) -> NoReturn:
        if os.getpid() == worker:  # not a process that node code has forked
            faulthandler.dump_traceback(crash_report)
        leave(status)

    os._exit = told_exit


def _settle(order: Order) -> None:
    """Be where the kernel is: its folder, its import path."""
    sys.path[:] = order.import_path
    if order.folder:
        os.chdir(order.folder)


def _limit(most_bytes: int) -> None:
    """Refuse address space beyond what is taken already and the memory that a call may take, and some more."""
    taken = _address_space_bytes() if sys.platform != "win32" else 0
    if taken:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = taken + most_bytes + _ADDRESS_SLACK_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (wanted if hard < 0 else min(wanted, hard), hard))


def _lift_limit() -> None:
    if sys.platform != "win32":
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _address_space_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):  # not Linux
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _has_old_code(seen: dict[str, tuple[int, int]]) -> bool:
    """Tell whether a module that was imported here has changed since: this process would go on with the old one."""
    return any(_stat(path) != stamp for path, stamp in seen.items())


def _note_code(seen: dict[str, tuple[int, int]], began_ns: int) -> None:
    """Remember the files of the user's own modules; what is installed does not change under a running kernel.

    A file that was written since the call began may not be what was imported, so it counts as changed.
    """
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and path not in seen and not path.startswith(_INSTALLED):
            stamp = _stat(path)
            seen[path] = stamp if stamp[1] < began_ns - _CLOCK_TICK_NS else (-1, 0)


_INSTALLED: Final = (sys.prefix, sys.base_prefix, str(Path(os.__file__).parent), str(Path(__file__).parents[1]))


def _stat(path: str) -> tuple[int, int]:
    try:
        found = Path(path).stat()
    except OSError:
        return (-1, -1)
    return (found.st_size, found.st_mtime_ns)


# -- effects


class _Teller(io.TextIOBase):
    """A text stream whose every write goes to the kernel."""

    def __init__(self, channel: Channel, name: str) -> None:
        super().__init__()
        self._channel = channel
        self._name = name

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """What ``print`` may ask."""
        return "utf-8"

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str, /) -> int:
        """Send the text."""
        if text:
            with contextlib.suppress(ChannelClosedError):  # the kernel is gone, and this process is about to follow
                self._channel.send(("text", (self._name, text)))
        return len(text)


def _send_effects_to(channel: Channel) -> None:
    sys.stdout, sys.stderr = _Teller(channel, "stdout"), _Teller(channel, "stderr")
    console = sys.stderr

    def note(stream: str, text: str) -> None:
        with contextlib.suppress(ChannelClosedError):
            channel.send(("note", (stream, text[:_LONGEST_LOG_CHARS])))

    def show_warning(
        message: Warning | str,
        category: type[Warning],
        filename: str,  # noqa: ARG001 -- Python's signature
        lineno: int,  # noqa: ARG001
        file: Any = None,
        line: str | None = None,  # noqa: ARG001
    ) -> None:
        if file is None:
            note("warning", f"{category.__name__}: {message}")
        else:
            file.write(f"{category.__name__}: {message}\n")

    def call_handlers(logger: logging.Logger, record: logging.LogRecord) -> None:
        note("log", _record_text(record))
        for handler in _handlers(logger):
            # What a handler writes to the console has been told already.
            is_console = isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stderr, console)
            if not is_console and record.levelno >= handler.level:
                handler.handle(record)

    warnings.showwarning = show_warning
    logging.Logger.callHandlers = call_handlers  # type: ignore[assignment, method-assign]


def _handlers(logger: logging.Logger) -> list[logging.Handler]:
    found: list[logging.Handler] = []
    current: logging.Logger | None = logger
    while current is not None:
        found += current.handlers
        current = current.parent if current.propagate else None
    return found


def _record_text(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except Exception:  # a bad format string
        message = str(record.msg)
    text = f"{record.levelname} {record.name}: {message}"
    return text + "\n" + logging.Formatter().formatException(record.exc_info) if record.exc_info else text
