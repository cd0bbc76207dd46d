"""A function called in another process gives the same value, the same error, the same words."""

from __future__ import annotations

import datetime
import os
import threading
import traceback
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from flowbook.core.interfaces import PortableCode
from flowbook.errors import RunCancelledError, RunError
from flowbook.sandbox.launchers import SpawnLauncher
from flowbook.sandbox.process_pool import ProcessPool
from tests.sandbox.kit import Told, call, code, is_running, wait_until

if TYPE_CHECKING:
    from pathlib import Path


def test_a_function_runs_elsewhere_with_what_it_needs(pool: ProcessPool) -> None:
    function = code(
        "def f(x, y=2):\n    return os.getpid(), helper(x) + y",
        preamble="import os\n\ndef helper(n):\n    return n * FACTOR\n\nFACTOR = 10\n",
    )
    process_id, value = call(pool, function, x=4)
    assert value == 42
    assert process_id != os.getpid()


def test_tables_arrays_and_plans_come_and_go(pool: ProcessPool) -> None:
    frame = pl.DataFrame({"x": [1, None, 3], "t": ["a", "b", None], "d": [datetime.date(2020, 1, 1)] * 3})
    array = np.arange(1_000_000.0)
    text = """
        def f(frame, plan, array):
            import polars as pl
            return {"frame": frame, "sum": array.sum(), "half": array[::2], "plan": plan.filter(pl.col("x") > 1)}
    """
    back = call(pool, text, frame=frame, plan=frame.lazy(), array=array)
    assert back["frame"].equals(frame)
    assert back["sum"] == array.sum()
    assert np.array_equal(back["half"], array[::2])
    assert back["plan"].collect()["x"].to_list() == [3]


def test_a_module_function_goes_by_name_and_one_of_a_file_by_its_file(pool: ProcessPool, tmp_path: Path) -> None:
    assert call(pool, PortableCode(module="tests.sandbox.test_calls", name="doubled"), n=4) == 8
    (tmp_path / "logic.py").write_text("def triple(n):\n    return n * 3\n")
    assert call(pool, PortableCode(path=str(tmp_path / "logic.py"), name="triple"), n=4) == 12


def doubled(n: int) -> int:
    return 2 * n


def test_a_coroutine_function_is_awaited(pool: ProcessPool) -> None:
    assert (
        call(pool, "async def f():\n    import asyncio\n    await asyncio.sleep(0)\n    return 'awaited'") == "awaited"
    )


def test_what_it_prints_logs_and_warns_of_is_told_in_order(pool: ProcessPool) -> None:
    text = """
        def f(context):
            import logging, sys, threading, warnings
            print("one", 1)
            print("two", file=sys.stderr)
            logging.getLogger("mine").warning("three %d", 3)
            warnings.warn("four")
            worker = threading.Thread(target=print, args=("five",))
            worker.start()
            worker.join()
            context.progress(0.5)
            return context.flow, context.node_id, context.trace_id, context.attempt, context.cancelled
    """
    told = Told()
    assert call(pool, text, told, context_name="context") == ("flights", "late", "ab" * 16, 1, False)
    assert told.printed == "one 1\nfive\n"
    assert "".join(text for stream, text in told.texts if stream == "stderr") == "two\n"
    assert told.notes == [("log", "WARNING mine: three 3"), ("warning", "UserWarning: four")]
    assert told.shares == [0.5]


def test_an_error_is_raised_again_with_the_lines_of_the_cell(pool: ProcessPool) -> None:
    function = code(
        """\
def f(x):
    # a comment
    try:
        return {}[x]
    except KeyError as missing:
        raise ValueError(f"no {x}") from missing
""",
        first_line=12,
    )
    with pytest.raises(ValueError, match="no such") as caught:
        call(pool, function, x="such")
    lines = {frame.lineno for frame in traceback.extract_tb(caught.value.__traceback__) if frame.filename == "<cell 7>"}
    assert lines == {17}
    cause = caught.value.__cause__
    assert isinstance(cause, KeyError)
    assert [frame.lineno for frame in traceback.extract_tb(cause.__traceback__)] == [15]
    shown = "".join(traceback.format_exception(caught.value))
    assert "sandbox/worker.py" not in shown
    assert "direct cause" in shown


def test_an_error_of_a_class_that_only_the_node_knows_keeps_its_name_and_kind(pool: ProcessPool) -> None:
    function = code(
        "def f():\n    raise OddError('odd', 3)",
        preamble="class OddError(LookupError):\n    def __init__(self, a, b):\n        super().__init__(f'{a}:{b}')\n",
    )
    with pytest.raises(LookupError, match="odd:3") as caught:
        call(pool, function)
    assert type(caught.value).__name__ == "OddError"


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("def f():\n    raise SystemExit(3)", SystemExit, "3"),
        ("def f():\n    b'\\xff'.decode()", UnicodeDecodeError, "invalid start byte"),
        ("def f():\n    import polars as pl\n    pl.DataFrame().select('x')", pl.exceptions.ColumnNotFoundError, "x"),
        ("def f():\n    raise ExceptionGroup('g', [ValueError('v')])", ExceptionGroup, "g"),
    ],
)
def test_errors_of_all_sorts_arrive(pool: ProcessPool, text: str, kind: type[BaseException], message: str) -> None:
    with pytest.raises(kind, match=message):
        call(pool, text)


def test_what_cannot_travel_is_named(pool: ProcessPool) -> None:
    with pytest.raises(RunError, match="input 'lock', a lock, of 'late' cannot go") as there:
        call(pool, "def f(n, lock):\n    return 1", n=1, lock=threading.Lock())
    assert there.value.code == "FB422"
    with pytest.raises(RunError, match="what 'late' returned cannot come back") as back:
        call(pool, "def f():\n    import threading\n    return threading.Lock()")
    assert back.value.code == "FB422"
    with pytest.raises(RunError, match="the code of 'late' does not stand alone: ModuleNotFoundError") as alone:
        call(pool, code("def f():\n    return 1", preamble="import nowhere_to_be_found\n"))
    assert alone.value.code == "FB423"


def test_a_worker_is_used_again_and_knows_the_folder_of_its_kernel(
    pool: ProcessPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "def f():\n    import os\n    return os.getpid(), os.getcwd()"
    first, _ = call(pool, text)
    monkeypatch.chdir(tmp_path)
    assert call(pool, text) == (first, str(tmp_path))


def test_a_module_that_was_edited_is_imported_anew(
    pool: ProcessPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "own_module_of_a_test.py"
    text = "def f():\n    import own_module_of_a_test\n    return own_module_of_a_test.N"
    for number in (1, 22, 333):
        module.write_text(f"N = {number}\n")
        assert call(pool, text) == number


def test_workers_draw_different_random_numbers() -> None:
    pool = ProcessPool(["numpy"], most_workers=2)
    text = "def f():\n    import os, random, numpy\n    return (random.random(), numpy.random.rand()), os.getpid()"
    kill = "def f():\n    import os\n    os._exit(0)"
    try:
        draws = []
        for _ in range(2):
            draws.append(call(pool, text))
            with pytest.raises(RunError):
                call(pool, kill)
        assert draws[0][1] != draws[1][1]
        assert not set(draws[0][0]) & set(draws[1][0])
    finally:
        pool.close()


def test_calls_beyond_the_bound_wait_and_a_waiting_one_can_be_cancelled() -> None:
    pool = ProcessPool(most_workers=1)
    may_end, told = threading.Event(), Told()
    text = "def f():\n    import time\n    print('here', flush=True)\n    time.sleep(60)"
    failed: list[BaseException] = []

    def hold() -> None:
        try:
            call(pool, text, told, may_end.is_set, timeout_s=None)
        except RunCancelledError as error:
            failed.append(error)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        wait_until(lambda: told.printed == "here\n")
        with pytest.raises(RunCancelledError, match="FB405"):
            call(pool, "def f():\n    return 1", is_cancelled=lambda: True)
        may_end.set()
        thread.join(30)
        assert len(failed) == 1
        assert call(pool, "def f():\n    return 1") == 1
    finally:
        may_end.set()
        thread.join(30)
        pool.close()


def test_closing_ends_every_process() -> None:
    pool = ProcessPool()
    process_id = call(pool, "def f():\n    import os\n    return os.getpid(), os.getppid()")
    pool.close()
    wait_until(lambda: not any(map(is_running, process_id)))


def test_where_there_is_no_safe_fork_workers_are_started_afresh() -> None:
    pool = ProcessPool(launcher=SpawnLauncher(1))
    try:
        told = Told()
        function = "def f(x):\n    import os\n    print('here')\n    return os.getpid(), os.getppid(), x * 2"
        process_id, parent, array = call(pool, function, told, x=np.ones(3))
        assert (parent, array.tolist(), told.printed) == (os.getpid(), [2.0] * 3, "here\n")
        with pytest.raises(RunError, match="exit code 3") as caught:
            call(pool, "def f():\n    import os\n    os._exit(3)")
        assert caught.value.code == "FB420"
        assert not is_running(process_id)
        assert call(pool, "def f():\n    return 3") == 3
    finally:
        pool.close()
