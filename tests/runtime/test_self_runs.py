"""Moves of settings become few runs, the latest value wins, and nothing that was moved is forgotten."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from flowbook.runtime.self_runs import APART_S, COALESCE_S, LONGEST_S, SelfRuns

if TYPE_CHECKING:
    from collections.abc import Callable, Set


class Timers:
    """A clock whose jobs are done when a test lets time pass."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.jobs: list[tuple[float, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return self.now_s

    def call_later(self, delay_s: float, job: Callable[[], None]) -> Callable[[], None]:
        entry = (self.now_s + delay_s, job)
        self.jobs.append(entry)
        return lambda: self.jobs.remove(entry) if entry in self.jobs else None

    def advance(self, seconds: float) -> None:
        end = self.now_s + seconds
        while due := [entry for entry in self.jobs if entry[0] <= end]:
            entry = min(due, key=lambda entry: entry[0])
            self.jobs.remove(entry)
            self.now_s = max(self.now_s, entry[0])
            entry[1]()
        self.now_s = end


class Begun:
    """A run that goes on until the test ends it."""

    def __init__(self, moved: Set[str], at: float) -> None:
        self.moved = moved
        self.at = at
        self.status = "running"

    def cancel(self) -> None:
        self.status = "cancelled"


class Setup:
    def __init__(self) -> None:
        self.timers = Timers()
        self.begun: list[Begun] = []
        self.waiting: list[Callable[[], None]] = []
        self.is_busy = False
        self.runs = SelfRuns(
            clock=self.timers, call_later=self.timers.call_later, begin=self._begin, wait_for_others=self._wait
        )

    def _begin(self, moved: Set[str]) -> Begun:
        self.begun.append(Begun(moved, self.timers.now_s))
        return self.begun[-1]

    def _wait(self, job: Callable[[], None]) -> bool:
        if self.is_busy:
            self.waiting.append(job)
        return self.is_busy

    def end_others(self) -> None:
        self.is_busy = False
        waiting, self.waiting = self.waiting, []
        for job in waiting:
            job()


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_one_move_runs_at_once(setup: Setup) -> None:
    setup.runs.moved(["a"])
    setup.timers.advance(0)
    assert [(run.moved, run.at) for run in setup.begun] == [({"a"}, 0)]


def test_what_is_moved_in_one_go_is_one_run(setup: Setup) -> None:
    setup.runs.moved(["a", "b"])
    setup.timers.advance(1)
    assert [run.moved for run in setup.begun] == [{"a", "b"}]


def test_steps_that_follow_what_they_did_each_run_at_once(setup: Setup) -> None:
    """Somebody moves on as soon as the picture has changed, as with the arrow keys."""
    for step in range(1, 6):
        setup.runs.moved(["a"])
        setup.timers.advance(0)
        assert len(setup.begun) == step
        setup.begun[-1].status = "ok"
        setup.timers.advance(APART_S + 0.001)


def test_moves_that_follow_the_first_become_one_run(setup: Setup) -> None:
    for name in ("a", "b", "a", "c"):
        setup.runs.moved([name])
        setup.timers.advance(0.005)
        setup.begun[0].status = "ok"
    setup.timers.advance(1)
    assert [run.moved for run in setup.begun] == [{"a"}, {"a", "b", "c"}]
    assert setup.begun[1].at <= 0.015 + COALESCE_S


def test_a_slider_that_is_dragged_runs_every_now_and_then(setup: Setup) -> None:
    for _ in range(300):  # three seconds, a move every ten milliseconds
        setup.runs.moved(["a"])
        setup.timers.advance(0.01)
        if setup.begun:
            setup.begun[-1].status = "ok"
    setup.timers.advance(1)
    starts = [run.at for run in setup.begun]
    assert 3 / LONGEST_S - 2 <= len(starts) <= 3 / LONGEST_S + 1
    assert all(later - earlier >= COALESCE_S for earlier, later in itertools.pairwise(starts))


def test_while_a_run_goes_on_moves_gather(setup: Setup) -> None:
    setup.runs.moved(["a"])
    setup.timers.advance(0)
    for _ in range(3):
        setup.timers.advance(APART_S + 0.01)
        setup.runs.moved(["a"])
    assert len(setup.begun) == 1
    setup.timers.advance(COALESCE_S)
    assert len(setup.begun) == 2


def test_a_run_that_the_next_one_overtakes_is_cancelled_and_its_work_is_done_too(setup: Setup) -> None:
    setup.runs.moved(["a"])
    setup.timers.advance(1)
    setup.runs.moved(["b"])
    setup.timers.advance(1)
    setup.runs.moved(["c"])
    setup.timers.advance(1)
    assert [run.moved for run in setup.begun] == [{"a"}, {"a", "b"}, {"a", "b", "c"}]
    assert [run.status for run in setup.begun] == ["cancelled", "cancelled", "running"]


def test_a_run_that_is_over_is_not_done_again(setup: Setup) -> None:
    setup.runs.moved(["a"])
    setup.timers.advance(1)
    setup.begun[0].status = "ok"
    setup.runs.moved(["b"])
    setup.timers.advance(1)
    assert [run.moved for run in setup.begun] == [{"a"}, {"b"}]
    assert setup.begun[0].status == "ok"


def test_moves_wait_for_the_end_of_a_run_that_somebody_asked_for(setup: Setup) -> None:
    setup.is_busy = True
    setup.runs.moved(["a"])
    setup.timers.advance(1)
    setup.runs.moved(["b"])
    setup.timers.advance(1)
    assert setup.begun == []
    setup.end_others()
    assert [run.moved for run in setup.begun] == [{"a", "b"}]


def test_cancelling_forgets_what_waits_and_ends_what_runs(setup: Setup) -> None:
    setup.runs.moved(["a"])
    setup.timers.advance(1)
    setup.runs.moved(["b"])
    setup.runs.forget()
    setup.timers.advance(1)
    assert [(run.moved, run.status) for run in setup.begun] == [({"a"}, "cancelled")]
    setup.is_busy = True
    setup.runs.moved(["c"])
    setup.timers.advance(1)
    setup.runs.forget()
    setup.end_others()
    assert len(setup.begun) == 1
    setup.runs.moved(["d"])
    setup.timers.advance(1)
    assert setup.begun[-1].moved == {"d"}, "and what comes later is run again"


def test_a_node_that_is_renamed_before_its_run_is_run_under_its_new_name(setup: Setup) -> None:
    setup.runs.moved(["a"])
    setup.runs.renamed("a", "z")
    setup.timers.advance(1)
    assert setup.begun[0].moved == {"z"}
