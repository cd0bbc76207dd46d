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
import sys
import threading
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowbook.errors import RunError
from flowbook.sandbox.channel import Channel, ChannelClosedError, packed, unpacked
from flowbook.sandbox.node_code import function_of
from flowbook.sandbox.remote_errors import told

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    import socket

    from flowbook.core.interfaces import PortableCode

_LONGEST_LOG_CHARS: Final = 100_000
#: File systems may be this much behind the clock, nanoseconds.
_CLOCK_TICK_NS: Final = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a kernel asks of a worker; the arguments come beside it, as buffers.

    Attributes:
        code: the function to call.
        context_name: parameter that receives a Context, or None.
        flow: name of the flow.
        node_id: the node.
        trace_id: id of the run.
        attempt: 1 for the first try.
        folder: working directory of the kernel, or empty when it has none.
        import_path: the kernel's ``sys.path``.
        address_bytes: most address space the call may take beyond what is taken already; None: no limit.
    """

    code: PortableCode
    context_name: str | None
    flow: str
    node_id: str
    trace_id: str
    attempt: int
    folder: str
    import_path: tuple[str, ...]
    address_bytes: int | None


class WorkerContext:
    """What a parameter annotated ``fb.Context`` gets in a worker.

    Attributes:
        flow: name of the flow.
        node_id: the node.
        trace_id: id of the run, 32 hex digits.
        attempt: 1 for the first try.
    """

    def __init__(self, order: Order, channel: Channel) -> None:
        self.flow = order.flow
        self.node_id = order.node_id
        self.trace_id = order.trace_id
        self.attempt = order.attempt
        self._channel = channel

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
            RunError: FB425.
        """
        if name not in ("state", "enter", "enter_async"):
            raise AttributeError(name)
        raise RunError(
            f"ctx.{name} cannot be had in a process of its own",
            code="FB425",
            where=f"flow {self.flow!r}, node {self.node_id!r}",
            hint='use `with` inside the node, or leave isolation="process" out',
        )

    def progress(self, share: float) -> None:
        """Report how much is done, 0 to 1."""
        self._channel.send(("progress", min(1.0, max(0.0, float(share)))))


def serve(link: socket.socket, crash_report: int) -> None:
    """Serve calls until the kernel closes the socket.

    Args:
        link: the worker's end.
        crash_report: file descriptor that takes the Python stack should the process crash.
    """
    faulthandler.enable(crash_report)
    channel = Channel(link)
    _send_effects_to(channel)
    seen: dict[str, tuple[int, int]] = {}
    while True:
        try:
            order, buffers = channel.receive()
            if _has_old_code(seen):
                channel.send(("stale", None))
                return
            channel.send(("begun", None))
            began_ns = time.time_ns()
            facts, answer = _answer(order, buffers, channel)
            _note_code(seen, began_ns)
            channel.send(facts, answer)
        except ChannelClosedError:
            return
        del order, buffers, answer  # nothing is held while it waits


def _answer(order: Order, buffers: list[bytearray], channel: Channel) -> tuple[Any, list[Any]]:
    """Make the call and say what came of it."""
    try:
        _settle(order)
        function = function_of(order.code)
    except BaseException as error:
        return ("code", told(error)), []
    try:
        arguments = unpacked(buffers)
    except BaseException as error:
        return ("arguments", told(error)), []
    if order.context_name:
        arguments[order.context_name] = WorkerContext(order, channel)
    try:
        returned = function(**arguments)
        if inspect.iscoroutine(returned):
            returned = asyncio.run(returned)
    except BaseException as error:
        return ("failed", told(error)), []
    finally:
        del arguments
        _lift_limit()
    try:
        return ("returned", None), packed(returned)
    except BaseException as error:
        return ("result", told(error)), []


def _settle(order: Order) -> None:
    """Be where the kernel is: its folder, its import path, its limit."""
    sys.path[:] = order.import_path
    if order.folder:
        os.chdir(order.folder)
    if order.address_bytes is not None and sys.platform != "win32":
        taken = _address_space_bytes()
        if taken:
            _, hard = resource.getrlimit(resource.RLIMIT_AS)
            wanted = taken + order.address_bytes
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
