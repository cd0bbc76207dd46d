"""Shared memory is used again when nobody looks at it, and gone when nobody has it: in any order, after any death."""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from flowbook.data.packing import TablePacking
from flowbook.errors import RunError
from flowbook.sandbox import kernel_segments
from flowbook.sandbox.launchers import ForkServerLauncher
from flowbook.sandbox.process_pool import ProcessPool
from flowbook.sandbox.segments import SegmentStore
from tests.sandbox.kit import PATIENCE_S, Told, call, is_running, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

MIB = 1024**2
COUNT = 500_000
MAKE = "def f(n):\n    import numpy as np\n    return np.full(500_000, n, 'f8')"
SAME = "def f(x):\n    return x"
WHO = "def f():\n    import os\n    return os.getpid()"


class KeptLauncher(ForkServerLauncher):
    """Keeps its server, with everything loaded, for the next pool."""

    def close(self) -> None:
        """It is ended with the module."""


launcher = KeptLauncher(["polars", "numpy", "flowbook.data.packing"], 1)


def teardown_module() -> None:
    ForkServerLauncher.close(launcher)


def new_pool(**options: Any) -> ProcessPool:
    """Make a pool of the test's own."""
    return ProcessPool(launcher=launcher, packing=TablePacking(), **options)


@pytest.fixture
def own_pool() -> Iterator[ProcessPool]:
    pool = new_pool(most_workers=1)
    yield pool
    pool.close()


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def address(array: NDArray[Any]) -> int:
    found: int = array.__array_interface__["data"][0]
    return found


def inodes(process_id: int | str) -> set[str]:
    """List the anonymous shared memory that a process has mapped or open, by inode."""
    found = set()
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process_id}/maps").read_text(encoding="utf-8").splitlines():
            if "memfd:flowbook" in line:
                found.add(line.split()[4])
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{process_id}/fd").iterdir():
            with contextlib.suppress(OSError):
                if "memfd:flowbook" in str(link.readlink()):
                    found.add(str(link.stat().st_ino))
    return found


def everywhere(wanted: set[str]) -> set[str]:
    """Say which of these inodes any process still has."""
    processes = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return wanted & {inode for process in processes for inode in inodes(process)}


# -- use again, give back


def test_memory_is_used_again_by_values_of_like_size(own_pool: ProcessPool) -> None:
    array = read_only(np.zeros(COUNT))
    call(own_pool, MAKE, n=0)
    call(own_pool, "def f(x):\n    return x.sum()", x=array)
    taken, seen = own_pool.shared_bytes, set()
    for number in range(10):
        made = call(own_pool, MAKE, n=number)
        assert (made == number).all()
        seen.add(address(made))
        assert call(own_pool, "def f(x):\n    return x.sum()", x=array) == 0
        del made
    assert own_pool.shared_bytes <= taken + 5 * MIB
    assert len(seen) <= 2


def test_what_somebody_looks_at_is_not_used_again(own_pool: ProcessPool) -> None:
    made = [call(own_pool, MAKE, n=number)[number:] for number in range(8)]
    tables = [call(own_pool, "def f(x):\n    return x", x=pl.DataFrame({"x": part})) for part in made]
    del made[::2]
    for number in range(8, 16):
        call(own_pool, MAKE, n=number)
    assert [set(part.tolist()) for part in made] == [{1}, {3}, {5}, {7}]
    assert [set(table["x"].to_list()) for table in tables] == [{number} for number in range(8)]


def test_what_a_worker_goes_on_looking_at_is_not_used_again(own_pool: ProcessPool) -> None:
    keep = "def f(x):\n    import builtins\n    builtins.kept = x\n    return None"
    call(own_pool, keep, x=read_only(np.full(COUNT, 1.0)))
    for number in range(2, 5):
        call(own_pool, SAME, x=read_only(np.full(COUNT, float(number))))
    assert call(own_pool, "def f():\n    import builtins\n    return set(builtins.kept.tolist())") == {1.0}


def test_an_output_that_its_node_goes_on_looking_at_is_not_used_again(own_pool: ProcessPool) -> None:
    text = """
        def f(n, context):
            import builtins
            out = context.empty(500_000)
            out[:] = n
            builtins.__dict__.setdefault("all", [])
            builtins.kept = [*getattr(builtins, "kept", []), out]
            return [set(one.tolist()) for one in builtins.kept], out
    """
    for number in range(4):
        seen, out = call(own_pool, text, n=number, context_name="context")
        assert seen == [{float(n)} for n in range(number + 1)]
        del out


def test_memory_goes_back_to_the_system_when_more_is_free_than_is_kept() -> None:
    pool = new_pool(most_workers=1, most_shared_bytes=64 * MIB)  # and a quarter of it is kept
    try:
        before = inodes("self")
        made = [
            call(pool, "def f():\n    import numpy as np\n    return np.ones(10 * 1024**2, 'u1')") for _ in range(5)
        ]
        assert pool.shared_bytes >= 50 * MIB
        assert len(inodes("self") - before) == 5
        del made
        call(pool, "def f():\n    pass")
        wait_until(lambda: pool.shared_bytes <= 20 * MIB)  # the idle worker is told
        assert len(inodes("self") - before) <= 1
    finally:
        pool.close()


def test_an_idle_worker_gives_back_what_nobody_looks_at_any_more() -> None:
    pool = new_pool(most_workers=1, most_shared_bytes=64 * MIB)
    try:
        worker = call(pool, WHO)
        made = [
            call(pool, "def f():\n    import numpy as np\n    return np.ones(10 * 1024**2, 'u1')") for _ in range(5)
        ]
        there = inodes(worker)
        assert len(there) == 5
        del made
        wait_until(lambda: len(everywhere(there)) <= 1)
    finally:
        pool.close()


def test_without_calls_for_a_while_nothing_free_is_kept(own_pool: ProcessPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_segments, "IDLE_S", 0.2)
    worker = call(own_pool, WHO)
    made = call(own_pool, "def f(x):\n    return x * 2, x", x=read_only(np.ones(COUNT)))
    there = inodes(worker)
    assert len(there) == 2
    del made
    wait_until(lambda: not everywhere(there))
    assert call(own_pool, WHO) == worker
    assert (call(own_pool, MAKE, n=3) == 3).all()


# -- how much there is


def test_more_than_there_is_to_be_is_refused_with_a_code_and_all_goes_on() -> None:
    pool = new_pool(most_workers=2, most_shared_bytes=40 * MIB)
    try:
        with pytest.raises(RunError, match="the inputs of 'late' need more shared memory") as inputs:
            call(pool, SAME, x=read_only(np.zeros(48 * MIB, "u1")))
        with pytest.raises(RunError, match="the outputs of 'late' need more shared memory") as outputs:
            call(pool, "def f():\n    import numpy as np\n    return np.zeros(48 * 1024**2, 'u1')")
        with pytest.raises(RunError, match="there is to be no more") as own:
            call(pool, "def f(c):\n    return c.empty(48 * 1024**2, 'u1')", context_name="c")
        assert {caught.value.code for caught in (inputs, outputs, own)} == {"FB425"}
        assert "hand on less at a time" in inputs.value.hint
        held = [
            call(pool, "def f():\n    import numpy as np\n    return np.ones(16 * 1024**2, 'u1')") for _ in range(2)
        ]
        with pytest.raises(RunError, match="FB425"):
            call(pool, "def f():\n    import numpy as np\n    return np.ones(16 * 1024**2, 'u1')")
        held.pop()
        assert call(pool, "def f():\n    import numpy as np\n    return np.ones(16 * 1024**2, 'u1')").sum() == 16 * MIB
        assert (held[0] == 1).all()
    finally:
        pool.close()


def test_free_memory_of_idle_workers_is_taken_before_a_value_is_refused() -> None:
    pool = new_pool(most_workers=2, most_shared_bytes=64 * MIB)
    try:
        call(pool, "def f():\n    import numpy as np\n    return np.ones(14 * 1024**2, 'u1')")
        call(pool, "def f(x):\n    return 1", x=read_only(np.ones(14 * MIB, "u1")))
        assert call(pool, "def f(x):\n    return x.sum()", x=read_only(np.ones(60 * MIB, "u1"))) == 60 * MIB
    finally:
        pool.close()


def test_no_mount_for_shared_memory_is_used(own_pool: ProcessPool) -> None:
    """A container often has 64 MiB there, and writing beyond them would end the process."""
    there = Path("/dev/shm")  # noqa: S108 -- looked at, not written to
    before = set(there.iterdir())
    made = call(own_pool, "def f():\n    import numpy as np\n    return np.zeros(100 * 1024**2, 'u1')")
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in maps if int(line.split("-")[0], 16) == address(made) // 4096 * 4096]
    assert "/memfd:flowbook" in line
    assert line.split()[1].startswith("r--s")
    assert {file.name for file in set(there.iterdir()) - before if "flowbook" in file.name} == set()


def test_what_a_node_is_given_does_not_count_as_its_own_memory(own_pool: ProcessPool) -> None:
    given = read_only(np.ones(280 * MIB // 8))
    text = "def f(x):\n    import numpy as np\n    return x.sum() + np.ones(100).sum()"
    assert call(own_pool, text, x=given, memory_bytes=220 * MIB) == given.size + 100


# -- nobody but its writer writes


def test_a_segment_can_neither_shrink_nor_be_mapped_for_writing_by_others() -> None:
    store = SegmentStore(1, lambda _: True)
    segment = store.allocate(MIB)
    assert segment.descriptor is not None
    with pytest.raises(PermissionError):
        os.ftruncate(segment.descriptor, 4096)
    with pytest.raises(PermissionError):
        mmap.mmap(segment.descriptor, MIB)
    with pytest.raises(PermissionError):
        os.pwrite(segment.descriptor, b"x", 0)
    reader = SegmentStore(0, lambda _: True)
    adopted = reader.adopt(segment.segment_id, segment.size_bytes, os.dup(segment.descriptor))
    written = np.asarray(store.lease(segment, 0, MIB, is_writable=True))
    written[:] = 7
    seen = np.asarray(reader.lease(adopted, 0, MIB))
    store.close()
    reader.close()
    assert (seen == 7).all()
    with pytest.raises(ValueError, match="WRITEABLE"):
        seen.flags.writeable = True


def test_memory_that_could_shrink_under_its_reader_is_not_taken() -> None:
    store = SegmentStore(0, lambda _: True)
    descriptor = os.memfd_create("unsealed")
    os.ftruncate(descriptor, MIB)
    with pytest.raises(OSError, match="Invalid argument"):
        store.adopt((1, 1), MIB, descriptor)
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(descriptor)


# -- death


def test_values_outlive_the_worker_that_made_them_and_then_their_memory_goes(own_pool: ProcessPool) -> None:
    worker = call(own_pool, WHO)
    made, table = call(
        own_pool,
        "def f(n):\n    import numpy as np, polars as pl\n    x = np.full(500_000, n, 'f8')\n"
        "    return x, pl.DataFrame({'x': x + 1, 't': ['text %d' % n] * 500_000})",
        n=3,
    )
    kept = inodes(worker)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not is_running(worker))
    assert call(own_pool, WHO) != worker
    assert (made == 3).all()
    assert table["x"].sum() == 4 * COUNT
    told = Told()
    assert call(own_pool, "def f(x):\n    return x.sum()", told, x=made) == 3 * COUNT  # what is left is handed on
    assert told.copies == {}
    assert everywhere(kept)
    del made, table
    call(own_pool, WHO)
    wait_until(lambda: not everywhere(kept))
    assert own_pool.shared_bytes == 0


def test_a_worker_that_dies_in_the_middle_leaves_nothing(own_pool: ProcessPool) -> None:
    array = read_only(np.ones(COUNT))
    text = "def f(x, c):\n    import os\n    out = c.empty(500_000)\n    out[:] = x\n    os.kill(os.getpid(), 9)"
    for _ in range(5):
        with pytest.raises(RunError, match="SIGKILL"):
            call(own_pool, text, x=array, context_name="c")
    assert call(own_pool, "def f(x):\n    return x.sum()", x=array) == COUNT
    assert own_pool.shared_bytes <= 8 * MIB  # the kernel's own, to be used again


KERNEL = """
import os, sys
import numpy as np
from tests.sandbox.kit import Told, call
from tests.sandbox.test_segments import new_pool

class Loud(Told):
    def write(self, stream, text):
        os.write(1, text.encode())

pool = new_pool(most_workers=1)
array = np.ones(500_000)
array.flags.writeable = False
made = call(pool, "def f(n):\\n    import numpy as np\\n    return np.full(500_000, n, 'f8')", n=1)
text = '''
def f(x, c):
    import os, time
    out = c.empty(500_000)
    out[:] = x
    print('%d\\\\n' % os.getpid(), end='')
    time.sleep(60)
'''
call(pool, text, Loud(), x=array, context_name="c", timeout_s=None)
"""


def killed_kernel_leaves_nothing() -> None:
    kernel = subprocess.Popen([sys.executable, "-c", KERNEL], stdout=subprocess.PIPE, text=True)
    assert kernel.stdout is not None
    try:
        worker = int(kernel.stdout.readline())
        there = inodes(kernel.pid) | inodes(worker)
        assert len(there) >= 3  # an input, an output, and one that is being made
    finally:
        kernel.kill()
        kernel.wait()
        kernel.stdout.close()
    wait_until(lambda: not is_running(worker))
    wait_until(lambda: not everywhere(there))


def killed_worker_leaves_nothing(pool: ProcessPool, number: int) -> None:
    """Kill a worker between calls or in the middle of one; what is held keeps its value."""
    made = call(pool, MAKE, n=number)
    worker = call(pool, WHO)
    there = inodes(worker) - inodes("self")
    if number % 2:
        os.kill(worker, signal.SIGKILL)
    else:
        text = "def f(c):\n    import os\n    out = c.empty(500_000)\n    out[:] = 1\n    os.kill(os.getpid(), 9)"
        with contextlib.suppress(RunError):
            call(pool, text, context_name="c")
    wait_until(lambda: not is_running(worker))
    assert (made == number).all()
    assert not everywhere(there)


def test_five_killed_kernels_and_workers_leave_no_byte_behind(own_pool: ProcessPool) -> None:
    killed_kernel_leaves_nothing()
    for number in range(4):
        killed_worker_leaves_nothing(own_pool, number)
    call(own_pool, WHO)
    wait_until(lambda: own_pool.shared_bytes == 0)


@pytest.mark.soak
def test_a_hundred_killed_kernels_and_workers_leave_no_byte_behind(own_pool: ProcessPool) -> None:
    for number in range(100):
        killed_worker_leaves_nothing(own_pool, number)
    for _ in range(100):
        killed_kernel_leaves_nothing()


# -- any order


ORDERS = """
import gc, sys, threading
import numpy as np, polars as pl
from tests.sandbox.kit import call
from tests.sandbox.test_segments import MAKE, WHO, new_pool

class Reader:
    "Looks at its memory as it is finalised, and comes back to life."
    def __del__(self):
        saved.append((self.array.sum(), self.table["x"].sum(), self))

saved, pool = [], new_pool(most_workers=1)
reader = Reader()
reader.array = call(pool, MAKE, n=2)
reader.table = call(pool, "def f(x):\\n    import polars as pl\\n    return pl.DataFrame({'x': x})", x=reader.array)
reader.self = reader
del reader
gc.collect()
for number in range(3):
    call(pool, MAKE, n=9)
assert saved[0][:2] == (1_000_000, 1_000_000)
assert saved[0][2].array.sum() == 1_000_000
view = call(pool, MAKE, n=5)[7:]
table = call(pool, "def f(x):\\n    return x", x=pl.DataFrame({"t": ["text"] * 300_000}))
lazy, piece = table.lazy().filter(pl.col("t") == "text"), table["t"].slice(5)
{order}
print("ok", flush=True)
kept = [view, lazy.collect(), Reader()]
kept[2].array, kept[2].table, kept[2].kept = view, pl.DataFrame({"x": view}), kept
sys.modules["kept"] = kept
threading.Thread(target=lambda: [lazy.collect() for _ in range(10**6)], daemon=True).start()
"""


@pytest.mark.parametrize(
    "order",
    [
        "pool.close(); assert view.sum() == 5 * 499_993; assert lazy.collect().height == 300_000",
        "del table; gc.collect(); pool.close(); gc.collect(); assert piece[1] == 'text'; assert view.sum()",
        "import os; os.kill(call(pool, WHO), 9); pool.close(); assert (view[0], piece[1]) == (5, 'text')",
        "keep = np.asarray(view); del view; pool.close(); del pool; gc.collect(); view = keep; assert keep.sum()",
    ],
    ids=["closed-first", "table-first", "killed", "pool-last"],
)
def test_closing_collecting_and_ending_in_any_order_is_no_crash(order: str) -> None:
    script = ORDERS.replace("{order}", order)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert (done.stdout, done.returncode) == ("ok\n", 0), done.stderr


def test_values_are_dropped_on_any_thread_while_calls_go_on(own_pool: ProcessPool) -> None:
    waiting: list[Any] = []
    is_over = threading.Event()

    def drop() -> None:
        while not is_over.is_set() or waiting:
            if waiting:
                value, number = waiting.pop()
                assert set(value.tolist()) == {number}
                del value
            gc.collect(0)

    threads = [threading.Thread(target=drop) for _ in range(2)]
    for thread in threads:
        thread.start()
    waiting.extend((call(own_pool, MAKE, n=number)[::100], number) for number in range(20))
    is_over.set()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not waiting


def test_results_beyond_the_number_of_descriptors_can_be_held(own_pool: ProcessPool) -> None:
    text = "def f(n):\n    import numpy as np\n    return np.full(40_000, n, 'f8')"
    opened: Callable[[], int] = lambda: len(list(Path("/proc/self/fd").iterdir()))  # noqa: E731
    before = opened()
    held = [call(own_pool, text, n=number) for number in range(300)]
    assert opened() - before < 280
    assert [int(one[-1]) for one in held] == list(range(300))
    assert call(own_pool, "def f(x):\n    return x.sum()", x=held[-1]) == 299 * 40_000


def test_values_that_more_descriptors_would_be_needed_for_leave_no_memory_taken(
    own_pool: ProcessPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_segments, "IDLE_S", 0.2)
    arrays = [read_only(np.full(150_000, number, "f8")) for number in range(140)]
    assert call(own_pool, "def f(x):\n    return sum(int(one[-1]) for one in x)", x=arrays) == sum(range(140))
    wait_until(lambda: own_pool.shared_bytes == 0)
