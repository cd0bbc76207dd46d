"""How workers come into being: forked from a server that has everything loaded, or started afresh."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from flowbook.errors import RunError
from flowbook.sandbox import worker
from flowbook.sandbox.fork_server import ANSWER, REQUEST, worst_first

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Longest a server may take to load its libraries and answer, seconds.
_ANSWER_S: Final = 60.0
_THREAD_VARIABLES: Final = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_SERVER: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from flowbook.sandbox.fork_server import serve"
)
_WORKER: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from flowbook.sandbox.launchers import be_worker"
)


class Launcher(Protocol):
    """Starts workers and says how they ended."""

    def start(self, link: socket.socket, crash_report: int) -> int:
        """Start a worker at the other end of a socket; returns its process id. The caller closes both afterwards.

        Raises:
            OSError: the system refuses.
        """
        ...

    def ended(self, process_id: int) -> int | None:
        """Wait for a worker that has ended or is about to; returns its exit code, negative for a signal, or None."""
        ...

    def close(self) -> None:
        """Let go of everything; workers end when their sockets close."""
        ...


def best_launcher(preload: Sequence[str], threads: int) -> Launcher:
    """Choose how workers are started on this system.

    Args:
        preload: modules that workers are to have loaded already, where possible.
        threads: threads that a worker's libraries may use, >= 1, unless the environment says otherwise.

    Raises:
        RunError: FB424, this system has no worker processes.
    """
    if platform.system() == "Linux":
        return ForkServerLauncher(preload, threads)
    if os.name == "posix":  # macOS: a forked process may not use the system's own libraries
        return SpawnLauncher(threads)
    raise RunError(
        "nodes cannot be isolated in processes on this system",
        code="FB424",
        hint='leave isolation="process" out',
    )


class ForkServerLauncher:
    """Forks workers from a server that is started at first use, and anew when it is gone.

    Args:
        preload: modules the server loads.
        threads: threads that a worker's libraries may use, >= 1.
    """

    def __init__(self, preload: Sequence[str], threads: int) -> None:
        self._preload = tuple(preload)
        self._threads = threads
        self._lock = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self, link: socket.socket, crash_report: int) -> int:
        """Have the server fork a worker."""
        descriptors = [link.fileno(), crash_report]
        with self._lock:
            try:
                return self._ask(b"F", 0, descriptors)
            except OSError:  # somebody has ended the server
                self._drop_server()
                return self._ask(b"F", 0, descriptors)

    def ended(self, process_id: int) -> int | None:
        """Ask the server, whose child the worker is."""
        with self._lock:
            if self._control is None:
                return None
            try:
                status = self._ask(b"R", process_id, [])
            except OSError:
                self._drop_server()
                return None
        return None if status < 0 else os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """End the server."""
        with self._lock:
            self._drop_server()

    @property
    def server_id(self) -> int | None:
        """Process id of the server, or None before its first use."""
        return self._server.pid if self._server is not None else None

    def _ask(self, operation: bytes, number: int, descriptors: list[int]) -> int:
        control = self._control or self._start_server()
        socket.send_fds(control, [REQUEST.pack(operation, number)], descriptors)
        answer = b""
        while len(answer) < ANSWER.size:
            piece = control.recv(ANSWER.size - len(answer))
            if not piece:
                raise ConnectionResetError
            answer += piece
        (value,) = ANSWER.unpack(answer)
        return int(value)

    def _start_server(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.settimeout(_ANSWER_S)
        with theirs:
            code = f"{_SERVER}; serve({theirs.fileno()}, {self._preload!r})"
            self._server = _started(code, theirs, [], self._threads)
        self._control = ours
        return ours

    def _drop_server(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._server is not None:
            _end(self._server)
            self._server = None


class SpawnLauncher:
    """Starts every worker as a fresh interpreter: slower, and nothing is shared.

    Args:
        threads: threads that a worker's libraries may use, >= 1.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._workers: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, link: socket.socket, crash_report: int) -> int:
        """Start a worker."""
        code = f"{_WORKER}; be_worker({link.fileno()}, {crash_report})"
        process = _started(code, link, [crash_report], self._threads)
        self._workers[process.pid] = process
        return process.pid

    def ended(self, process_id: int) -> int | None:
        """Wait for the worker."""
        process = self._workers.pop(process_id, None)
        if process is None:
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=1.0)
        process.kill()
        return process.wait()

    def close(self) -> None:
        """Wait for workers that are ending."""
        for process_id in list(self._workers):
            self.ended(process_id)


def be_worker(link: int, crash_report: int) -> None:
    """Serve calls in a process that was started for it; runs until the kernel is gone."""
    worst_first()
    # Not by the system itself, as a forked one: that would end it with the thread of the kernel that started it.
    threading.Thread(target=_end_without, args=(os.getppid(),), daemon=True).start()
    worker.serve(socket.socket(fileno=link), crash_report)


def _end_without(kernel: int) -> None:
    while os.getppid() == kernel:
        threading.Event().wait(0.5)
    os._exit(0)


def _started(code: str, link: socket.socket, others: list[int], threads: int) -> subprocess.Popen[bytes]:
    environment = {**dict.fromkeys(_THREAD_VARIABLES, str(threads)), **os.environ, "MPLBACKEND": "agg"}
    here = str(Path(__file__).parents[2])
    path = [str(Path(entry).absolute()) for entry in sys.path]
    return subprocess.Popen(  # noqa: S603 -- this interpreter, our own code
        [sys.executable, "-c", code, json.dumps([*path, here])],
        stdin=subprocess.DEVNULL,
        env=environment,
        pass_fds=[link.fileno(), *others],
        start_new_session=True,  # Ctrl-C in a terminal is the kernel's to answer
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=1.0)
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    process.wait()
