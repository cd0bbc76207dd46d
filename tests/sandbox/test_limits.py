"""Nothing that node code does to its process reaches the kernel, and the next call finds a healthy worker."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowbook.errors import NodeTimeoutError, RunCancelledError, RunError, WorkerDiedError
from flowbook.sandbox.call_guard import resident_bytes
from flowbook.sandbox.launchers import ForkServerLauncher
from flowbook.sandbox.process_pool import ProcessPool
from tests.sandbox.kit import Told, call, code, is_running, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

WHO = "def f():\n    import os\n    return os.getpid()"
LOOP = "def f():\n    print('begun', flush=True)\n    while True:\n        pass"


@pytest.fixture
def own_pool() -> Iterator[ProcessPool]:
    """A pool of the test's own, whose one worker it may harm."""
    pool = ProcessPool(["numpy"], most_workers=1)
    yield pool
    pool.close()


def heals(pool: ProcessPool, harmed: int) -> bool:
    """Whether the next call runs in another process, and the harmed one is gone."""
    return call(pool, WHO) != harmed and not is_running(harmed)


def test_a_segfault_ends_its_worker_alone_and_is_told_with_its_line(own_pool: ProcessPool) -> None:
    worker, told = call(own_pool, WHO), Told()
    function = code("def f():\n    import ctypes\n    print('last words')\n    ctypes.string_at(0)", first_line=5)
    with pytest.raises(WorkerDiedError, match="SIGSEGV, in line 8") as caught:
        call(own_pool, function, told)
    assert caught.value.code == "FB420"
    assert caught.value.fields["signal"] == "SIGSEGV"
    assert told.printed == "last words\n"
    assert heals(own_pool, worker)


def test_os_exit_ends_its_worker_alone(own_pool: ProcessPool) -> None:
    worker = call(own_pool, WHO)
    function = code("def f():\n    import os\n    os._exit(7)", first_line=5)
    with pytest.raises(WorkerDiedError, match="exit code 7, in line 7") as caught:
        call(own_pool, function)
    assert caught.value.fields["exit_code"] == 7
    assert traceback.extract_tb(caught.value.__traceback__)[-1].lineno == 7
    assert heals(own_pool, worker)


@pytest.mark.parametrize(
    "allocation",
    [
        "bytearray(10 * 1024**3)",
        "__import__('numpy').ones(10 * 1024**3 // 8)",
        "[bytes(1024 * 1024) + b'x' for _ in range(10 * 1024)]",
    ],
    ids=["at-once", "numpy", "piecewise"],
)
def test_ten_gigabytes_are_not_given(own_pool: ProcessPool, allocation: str) -> None:
    worker, before = call(own_pool, WHO), resident_bytes(os.getpid())
    with pytest.raises((WorkerDiedError, MemoryError)) as caught:
        call(own_pool, f"def f():\n    held = {allocation}\n    return len(held)", memory_bytes=256 * 1024**2)
    if isinstance(caught.value, WorkerDiedError):
        assert caught.value.code == "FB421"
        assert heals(own_pool, worker)
    assert call(own_pool, "def f():\n    return 1") == 1
    assert resident_bytes(os.getpid()) - before < 200 * 1024**2


def test_memory_within_the_limit_is_given(own_pool: ProcessPool) -> None:
    text = "def f():\n    import numpy\n    return numpy.ones(200 * 1024**2 // 8).sum()"
    assert call(own_pool, text, memory_bytes=512 * 1024**2) == 200 * 1024**2 // 8


def test_an_endless_loop_is_ended_in_time(own_pool: ProcessPool) -> None:
    worker, told = call(own_pool, WHO), Told()
    with pytest.raises(NodeTimeoutError, match=r"'late' took longer than 0\.3 s.*, in line 1[34]") as caught:
        call(own_pool, code(LOOP, first_line=11), told, timeout_s=0.3)
    assert caught.value.code == "FB404"
    assert traceback.extract_tb(caught.value.__traceback__)[-1].lineno in (13, 14)
    assert told.printed == "begun\n"
    assert heals(own_pool, worker)


def test_a_loop_that_never_lets_go_of_the_interpreter_is_ended_too(own_pool: ProcessPool) -> None:
    worker = call(own_pool, WHO)
    text = "def f():\n    import re\n    return re.match('(a+)+$', 'a' * 60 + 'b')"
    with pytest.raises(NodeTimeoutError, match="in line 3"):
        call(own_pool, text, timeout_s=0.3)
    assert heals(own_pool, worker)


def test_a_cancelled_call_ends_at_once(own_pool: ProcessPool) -> None:
    worker, told = call(own_pool, WHO), Told()
    with pytest.raises(RunCancelledError, match="FB405"):
        call(own_pool, LOOP, told, lambda: bool(told.texts), timeout_s=None)
    assert heals(own_pool, worker)


@pytest.mark.parametrize(
    "vandalism",
    [
        "import os; os.closerange(3, 256)",
        "import os; [os.write(n, b'garbage' * 100) for n in range(3, 64) if _is_socket(n)]",
        "import sys; sys.stdout = sys.stderr = None; raise MemoryError",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    ],
    ids=["closes-everything", "writes-garbage", "takes-streams-away", "ends-itself"],
)
def test_vandals_harm_nobody_else(own_pool: ProcessPool, vandalism: str) -> None:
    preamble = (
        "import os, stat\ndef _is_socket(n):\n    try:\n        return stat.S_ISSOCK(os.fstat(n).st_mode)\n"
        "    except OSError:\n        return False\n"
    )
    with pytest.raises((RunError, MemoryError, RecursionError)):
        call(own_pool, code(f"def f():\n    {vandalism}", preamble=preamble), timeout_s=20)
    assert call(own_pool, "def f():\n    return 'well'") == "well"


def test_a_worker_that_died_while_idle_is_not_used(own_pool: ProcessPool) -> None:
    worker = call(own_pool, WHO)
    os.kill(worker, signal.SIGKILL)
    assert heals(own_pool, worker)


def test_a_server_that_died_is_started_anew() -> None:
    launcher = ForkServerLauncher([], 1)
    pool = ProcessPool(launcher=launcher, most_workers=1)
    try:
        worker, server = call(pool, WHO), launcher.server_id
        assert server is not None
        os.kill(server, signal.SIGKILL)
        wait_until(lambda: not is_running(worker))  # the system ends it with its parent
        assert heals(pool, worker)
        assert launcher.server_id != server
    finally:
        pool.close()


def test_a_healed_worker_has_its_libraries_loaded_already(pool: ProcessPool) -> None:
    """So that healing takes some ten milliseconds, and not the second that an import takes."""
    with pytest.raises(WorkerDiedError):
        call(pool, "def f():\n    import os\n    os._exit(1)")
    text = "def f():\n    import sys\n    loaded = 'polars' in sys.modules\n    import polars as pl\n"
    assert call(pool, text + "    return loaded, pl.Series([1, 2]).sum()") == (True, 3)


KERNEL = """
import sys, threading
from tests.sandbox.kit import Told, call
from flowbook.sandbox.process_pool import ProcessPool

class Loud(Told):
    def write(self, stream, text):
        print(text, end="", flush=True)

pool = ProcessPool(most_workers=2)
text = "def f():\\n    import os\\n    print('%d %d\\\\n' % (os.getpid(), os.getppid()), end='')\\n    while True: pass"
threading.Thread(target=call, args=(pool, text, Loud()), kwargs={"timeout_s": None}, daemon=True).start()
call(pool, text.replace("while True: pass", "import re; re.match('(a+)+$', 'a' * 60 + 'b')"), Loud(), timeout_s=None)
"""


def test_no_process_is_left_when_the_kernel_is_killed() -> None:
    kernel = subprocess.Popen([sys.executable, "-c", KERNEL], stdout=subprocess.PIPE, text=True)
    assert kernel.stdout is not None
    try:
        lines = [kernel.stdout.readline(), kernel.stdout.readline()]
        others = {int(number) for line in lines for number in line.split()}
        assert len(others) == 3  # two workers and their server
        assert all(map(is_running, others))
    finally:
        kernel.kill()
        kernel.wait()
        kernel.stdout.close()
    wait_until(lambda: not any(map(is_running, others)))


def test_a_thousand_prints_and_a_crash_lose_no_word_before_it(own_pool: ProcessPool) -> None:
    told = Told()
    with pytest.raises(WorkerDiedError):
        call(own_pool, "def f():\n    import os\n    for n in range(1000):\n        print(n)\n    os.abort()", told)
    assert told.printed == "".join(f"{number}\n" for number in range(1000))


def test_calls_from_many_threads_keep_apart(own_pool: ProcessPool) -> None:
    answers: dict[int, object] = {}

    def work(number: int) -> None:
        with contextlib.suppress(RunError):
            text = "def f(n):\n    import os\n    return n if n % 3 else os._exit(1)"
            answers[number] = call(own_pool, text, n=number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: number for number in range(9) if number % 3}


def test_calls_crashes_and_overruns_leave_no_descriptor_thread_or_process_behind(own_pool: ProcessPool) -> None:
    def left() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    call(own_pool, WHO)
    gc.collect()  # what earlier tests left behind is theirs
    before, seen = left(), set()
    for number in range(24):
        with contextlib.suppress(RunError):
            seen.add(call(own_pool, WHO))
            text = "def f(n):\n    import os\n    if n % 3 == 0:\n        os.abort()\n    while n % 3 == 1: pass"
            call(own_pool, text, n=number, timeout_s=0.05)
    assert len(seen) > 10
    assert all(now <= then for now, then in zip(left(), before, strict=True)), "some of earlier tests may go meanwhile"
    assert sum(map(is_running, seen)) <= 1
