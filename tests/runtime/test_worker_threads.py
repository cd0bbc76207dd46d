"""Worker threads that wait idle, and the gate that who waits for a run stands at."""

from __future__ import annotations

import contextlib
import itertools
import threading
from typing import Any

import pytest

from flowbook.runtime import executors
from flowbook.runtime.executors import Gate, WorkerPool
from tests.runtime.watching import DEADLINE_S, until

#: Each test names its threads in its own way, also when it is repeated.
NUMBERS = itertools.count()


def threads(name: str) -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(name)]


def do(pool: WorkerPool) -> str:
    """Have a thread of the pool do something, and wait until it has; gives its name."""
    names: list[str] = []
    done = threading.Event()

    def job() -> None:
        names.append(threading.current_thread().name)
        done.set()

    pool.submit(job)
    assert done.wait(DEADLINE_S)
    return names[0]


def test_an_idle_thread_is_given_the_next_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "IDLE_S", DEADLINE_S)
    name = f"idle {next(NUMBERS)}"
    pool = WorkerPool(name)
    first = do(pool)
    for _ in range(200):
        until(lambda: len(pool._idle) == 1)
        assert do(pool) == first
    assert threads(name) == [first]


def test_jobs_that_come_at_once_each_get_a_thread_and_none_is_lost() -> None:
    pool, barrier = WorkerPool("crowd"), threading.Barrier(8)
    done = [threading.Event() for _ in range(8)]

    def meet(place: int) -> None:
        barrier.wait(DEADLINE_S)
        done[place].set()

    for place in range(8):
        pool.submit(lambda place=place: meet(place))  # type: ignore[misc]
    assert all(event.wait(DEADLINE_S) for event in done)


def test_a_patient_job_waits_for_a_thread_that_is_at_work_or_for_relief() -> None:
    name = f"patient {next(NUMBERS)}"
    pool, go_on, done = WorkerPool(name), threading.Event(), threading.Event()
    begun = threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(DEADLINE_S)

    pool.submit(work)
    assert begun.wait(DEADLINE_S)
    pool.submit(done.set, is_patient=True)
    assert len(threads(name)) == 1
    assert pool.relieve()
    assert done.wait(DEADLINE_S)
    go_on.set()
    assert not pool.relieve()


@pytest.mark.parametrize("is_taken", [True, False])
def test_a_job_is_done_though_an_interrupt_came_before_its_thread_was_woken(
    monkeypatch: pytest.MonkeyPatch,
    is_taken: bool,
) -> None:
    class Interrupted(list[Any]):
        """Idle threads, of which none is woken."""

        def pop(self, *_: Any) -> Any:
            if is_taken:
                super().pop()
            raise KeyboardInterrupt

    monkeypatch.setattr(executors, "IDLE_S", 0.05)
    name = f"interrupted {next(NUMBERS)}"
    pool, done = WorkerPool(name), threading.Event()
    do(pool)
    until(lambda: len(pool._idle) == 1 or not threads(name))
    with pool._lock:
        pool._idle = Interrupted(pool._idle)
    with contextlib.suppress(KeyboardInterrupt):
        pool.submit(done.set)
    assert done.wait(DEADLINE_S)


def test_an_idle_thread_ends_and_the_next_job_gets_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "IDLE_S", 0.01)
    name = f"short {next(NUMBERS)}"
    pool = WorkerPool(name)
    do(pool)
    until(lambda: not threads(name))
    do(pool)


def test_a_gate_lets_everybody_through_once_it_is_open_and_counts_as_open_from_its_mark_on() -> None:
    gate = Gate()
    assert not gate.wait(0.001)
    passed: list[bool] = []
    waiting = [threading.Thread(target=lambda: passed.append(gate.wait(DEADLINE_S))) for _ in range(4)]
    for thread in waiting:
        thread.start()
    gate.mark()
    assert gate.is_set()
    assert gate.wait(0)
    gate.set()
    for thread in waiting:
        thread.join(DEADLINE_S)
    assert passed == [True] * 4
