"""A process that has loaded the libraries, runs nothing, and forks a worker when it is asked to.

Requests are 9 bytes, an operation and a number; answers are 8 bytes. Nothing here may start a thread: only a process
with one thread forks into a healthy one.

    ``F`` with two file descriptors (socket, crash report): fork a worker; answers its process id.
    ``R`` with a process id: wait for that worker, which has ended or is about to; answers its status.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import select
import signal
import socket
import struct
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from flowbook.sandbox import worker

if TYPE_CHECKING:
    from collections.abc import Sequence

REQUEST: Final = struct.Struct("<cQ")
ANSWER: Final = struct.Struct("<q")
#: How often it looks whether its kernel is still there, should the socket have been inherited by somebody else.
_LOOK_S: Final = 1.0
#: Longest a worker that closed its socket may take to end, seconds.
_PATIENCE_S: Final = 1.0
_PR_SET_PDEATHSIG: Final = 1


def serve(descriptor: int, preload: Sequence[str]) -> None:
    """Serve requests until the kernel closes the socket or dies.

    Args:
        descriptor: of the server's end of the socket.
        preload: modules to import first; one that is missing is left out.
    """
    for name in preload:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # libraries have threads; workers start none of them
    kernel = os.getppid()
    with socket.socket(fileno=descriptor) as control:
        while True:
            ready, _, _ = select.select([control], [], [], _LOOK_S)
            if not ready:
                if os.getppid() != kernel:
                    return
                continue
            request, descriptors, _, _ = socket.recv_fds(control, REQUEST.size, 2)
            if len(request) < REQUEST.size:
                return
            operation, number = REQUEST.unpack(request)
            if operation == b"F":
                answer = _fork(control, descriptors)
                for one in descriptors:
                    os.close(one)
            else:
                answer = _wait_for(number)
            control.sendall(ANSWER.pack(answer))


def _fork(control: socket.socket, descriptors: list[int]) -> int:
    server = os.getpid()
    process_id = os.fork()
    if process_id == 0:
        control.close()
        _become_worker(server, *descriptors)
    return process_id


def _become_worker(server: int, link: int, crash_report: int) -> NoReturn:
    try:
        end_with_parent(server)
        worst_first()
        _fresh_chance()
        worker.serve(socket.socket(fileno=link), crash_report)
    finally:
        os._exit(0)  # nothing of the server's is to be cleaned up here


def end_with_parent(parent: int) -> None:
    """Have the system end this process when its parent ends, where it can (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended in between
        os._exit(0)


def worst_first() -> None:
    """Ask the system to end this process first when memory runs out, and not the kernel."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _fresh_chance() -> None:
    """Give every worker its own random numbers; Python does so for its own, numpy does not."""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def _wait_for(process_id: int) -> int:
    """Return the wait status of a worker; one that does not end by itself is ended."""
    deadline = time.monotonic() + _PATIENCE_S
    try:
        while True:
            found, status = os.waitpid(process_id, os.WNOHANG)
            if found:
                return status
            if time.monotonic() > deadline:
                os.kill(process_id, signal.SIGKILL)
                return os.waitpid(process_id, 0)[1]
            time.sleep(0.002)
    except (ChildProcessError, ProcessLookupError):
        return -1
