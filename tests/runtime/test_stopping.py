"""A run ends when it is told to: co-operative, deaf, async and overdue nodes, interrupts, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import pytest

import flowbook as fb
from flowbook.errors import EngineDeadlockError
from flowbook.runtime.execution import GRACE_S
from flowbook.session import drain
from tests.runtime.watching import AT_ONCE_S, DEADLINE_S, over, reached, returned, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What deaf nodes wait for; open at the end, so that no thread outlives its test."""
    made = threading.Event()
    yield made
    made.set()


@pytest.fixture
def began() -> threading.Event:
    """Set by a node when its code runs."""
    return threading.Event()


def deaf_flow(began: threading.Event, gate: threading.Event, **policy: Any) -> fb.Flow:
    """A node that asks nobody whether it may go on, and one that reads it."""
    flow = fb.Flow("deaf")

    def slow(n: int = 1) -> int:
        began.set()
        gate.wait(DEADLINE_S)
        return n

    flow.node(**policy)(slow)

    @flow.node
    def below(slow: int) -> int:
        return slow + 1

    return flow


def cancelled(run: fb.Run) -> float:
    """Cancel a run and wait for its end; returns the seconds that took."""
    asked = time.monotonic()
    run.cancel()
    over(run)
    assert run.status == "cancelled"
    return time.monotonic() - asked


def statuses(run: fb.Run) -> dict[str, str]:
    return {span.node: span.status for span in run.trace.spans}


# -- cancelling


def test_cancelling_a_finished_run_changes_nothing() -> None:
    flow = fb.Flow("done")
    flow.node(lambda_named("one", 1))
    run = flow.run_sync()
    run.cancel()
    assert (run.status, run["one"], flow["one"].status) == ("ok", 1, "ok")


def lambda_named(name: str, value: int) -> Callable[[], int]:
    def function() -> int:
        return value

    function.__name__ = name
    return function


def test_cancelling_a_queued_run_ends_it_before_it_starts(began: threading.Event, gate: threading.Event) -> None:
    flow = deaf_flow(began, gate)
    first, second = flow.start(), flow.start()
    reached(began)
    assert cancelled(second) < AT_ONCE_S
    assert second.recomputed == []
    assert set(statuses(second).values()) == {"skipped"}
    assert first.status == "running"
    gate.set()
    assert over(first).status == "ok"


def test_cancelling_one_of_three_queued_runs_leaves_the_others_in_order(
    began: threading.Event, gate: threading.Event
) -> None:
    flow = deaf_flow(began, gate)
    first, second, third = flow.start(), flow.start(force=True), flow.start(force=True)
    reached(began)
    second.cancel()
    gate.set()
    assert [over(run).status for run in (first, second, third)] == ["ok", "cancelled", "ok"]
    assert third.recomputed == ["slow", "below"]


def _looks(ctx: fb.Context) -> int:
    while not ctx.cancelled:
        pass
    return 2


def _waits(ctx: fb.Context) -> int:
    return 2 if ctx.wait(DEADLINE_S) else 3


def _raises(ctx: fb.Context) -> int:
    ctx.wait(DEADLINE_S)
    message = "told to stop"
    raise RuntimeError(message)


@pytest.mark.parametrize("body", [_looks, _waits, _raises])
def test_a_node_that_asks_ends_the_run_before_the_grace_time(body: Any, began: threading.Event) -> None:
    flow = fb.Flow("polite")

    @flow.node
    def polite(ctx: fb.Context) -> int:
        began.set()
        return int(body(ctx))

    run = flow.start()
    reached(began)
    assert cancelled(run) < AT_ONCE_S
    assert statuses(run) == {"polite": "skipped"}
    assert run.errors == []
    with pytest.raises(fb.RunError, match="FB408"):
        _ = run["polite"]
    assert "polite" not in flow.results.unresponsive


def test_a_deaf_node_is_marked_within_the_grace_time_and_its_late_result_dropped(
    began: threading.Event, gate: threading.Event
) -> None:
    flow = deaf_flow(began, gate)
    run = flow.start()
    reached(began)
    assert GRACE_S * 0.9 < cancelled(run) < GRACE_S + AT_ONCE_S
    assert statuses(run) == {"slow": "unresponsive", "below": "skipped"}
    assert flow["slow"].status == "unresponsive"
    gate.set()
    returned(flow, "slow")
    assert flow["slow"].status == "unresponsive", "it did not answer, and nothing has fired since"
    with pytest.raises(fb.RunError, match="FB408"):
        _ = flow["slow"].value
    with pytest.raises(fb.RunError, match="FB408"):
        _ = run["slow"]


def test_a_pure_node_fires_again_beside_its_deaf_firing_which_overwrites_nothing(
    began: threading.Event, gate: threading.Event
) -> None:
    flow = fb.Flow("again")
    is_first = threading.Event()

    @flow.node
    def slow() -> str:
        if is_first.is_set():
            return "new"
        is_first.set()
        began.set()
        gate.wait(DEADLINE_S)
        return "old"

    run = flow.start()
    reached(began)
    cancelled(run)
    assert flow.run_sync()["slow"] == "new"
    still_runs = flow.results.unresponsive.get("slow")
    gate.set()
    if still_runs is not None:
        until(lambda: not still_runs())
    assert (flow["slow"].value, flow["slow"].status, flow["slow"].stamp) == ("new", "ok", "live")


@pytest.mark.parametrize("kind", ["stateful", "io"])
def test_no_second_copy_of_a_stateful_or_io_node_starts_before_the_first_returned(
    kind: str, began: threading.Event, gate: threading.Event
) -> None:
    flow = deaf_flow(began, gate, kind=kind)
    run = flow.start()
    reached(began)
    cancelled(run)
    began.clear()
    refused = flow.run_sync(raise_errors=False)
    assert [(error.code, error.node_id) for error in refused.errors] == [("FB407", "slow")]
    assert refused.errors[0].hint
    assert statuses(refused) == {"slow": "failed", "below": "skipped"}
    assert not began.is_set()
    gate.set()
    returned(flow, "slow")
    assert flow.run_sync()["below"] == 2


def test_a_rename_does_not_let_a_second_copy_start(began: threading.Event, gate: threading.Event) -> None:
    flow = deaf_flow(began, gate, kind="io")
    run = flow.start(to="slow")
    reached(began)
    cancelled(run)
    flow.rename("slow", "slower")
    refused = flow.run_sync(to="slower", raise_errors=False)
    assert [error.code for error in refused.errors] == ["FB407"]
    gate.set()
    returned(flow, "slower")
    assert flow.run_sync(to="slower")["slower"] == 1


def test_an_async_node_is_cancelled_and_may_tidy_up(began: threading.Event) -> None:
    flow = fb.Flow("async")
    tidied = threading.Event()

    @flow.node
    async def slow() -> int:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            tidied.set()
        return 1

    run = flow.start()
    reached(began)
    assert cancelled(run) < AT_ONCE_S
    assert tidied.is_set()
    assert statuses(run) == {"slow": "skipped"}
    assert run.errors == []


def test_an_async_node_that_swallows_its_cancellation_is_marked(began: threading.Event, gate: threading.Event) -> None:
    flow = fb.Flow("stubborn")

    @flow.node
    async def slow() -> int:
        began.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.to_thread(gate.wait, DEADLINE_S)
        return 1

    run = flow.start()
    reached(began)
    cancelled(run)
    assert statuses(run) == {"slow": "unresponsive"}
    gate.set()
    returned(flow, "slow")
    with pytest.raises(fb.RunError, match="FB408"):
        _ = flow["slow"].value


def test_an_async_node_that_blocks_the_loop_takes_no_other_flow_with_it(
    began: threading.Event, gate: threading.Event
) -> None:
    flow, other = fb.Flow("blocking"), fb.Flow("other")

    @flow.node
    async def slow() -> int:
        began.set()
        gate.wait(DEADLINE_S)
        return 1

    @other.node
    async def quick() -> int:
        await asyncio.sleep(0)
        return 2

    run = flow.start()
    reached(began)
    behind = other.start()
    cancelled(run)
    assert statuses(run) == {"slow": "unresponsive"}
    assert over(behind)["quick"] == 2, "what queued behind it is taken to a new loop"
    assert other.run_sync(force=True)["quick"] == 2
    gate.set()
    returned(flow, "slow")


# -- what a cancelled run leaves of values


def test_nothing_of_a_cancelled_run_overwrites_a_value(began: threading.Event) -> None:
    flow = fb.Flow("kept")
    waits = threading.Event()

    @flow.node
    def source(n: int = 1) -> int:
        return n

    @flow.node
    def polite(source: int, ctx: fb.Context) -> int:
        if waits.is_set():
            began.set()
            ctx.wait(DEADLINE_S)
        return source * 10

    @flow.node
    def below(polite: int) -> int:
        return polite + 1

    flow.run_sync()
    waits.set()
    flow.set("source", n=2)
    run = flow.start()
    reached(began)
    cancelled(run)
    assert flow["source"].value == 2, "what came out before the cancel is kept"
    assert (flow["polite"].value, flow["below"].value) == (10, 11)
    assert (flow["polite"].stamp, flow["below"].stamp) == ("stale", "stale")
    assert flow["below"].status == "ok", "what was not reached keeps what was known"
    waits.clear()
    again = flow.run_sync()
    assert (again.recomputed, again["below"]) == (["polite", "below"], 21)


def test_a_cancelled_run_that_was_forced_makes_nothing_stale(began: threading.Event) -> None:
    flow = fb.Flow("forced")
    waits = threading.Event()

    @flow.node
    def polite(ctx: fb.Context) -> int:
        if waits.is_set():
            began.set()
            ctx.wait(DEADLINE_S)
        return 1

    @flow.node
    def below(polite: int) -> int:
        return polite + 1

    first = flow.run_sync()
    waits.set()
    run = flow.start(force=True)
    reached(began)
    cancelled(run)
    assert flow.stale() == {}
    assert (flow["polite"].stamp, flow["below"].stamp) == ("live", "live")
    assert flow.results.state("below").run_id == first.id
    assert flow.run_sync().recomputed == []


# -- deadlines


def test_an_overdue_node_fails_at_its_deadline_and_the_rest_is_finished(
    began: threading.Event, gate: threading.Event
) -> None:
    flow = deaf_flow(began, gate, timeout_s=0.05)
    flow.node(lambda_named("beside", 5))
    run = flow.run_sync(raise_errors=False)
    assert run.status == "failed"
    assert [(error.code, error.node_id, error.recoverable) for error in run.errors] == [("FB404", "slow", True)]
    assert "0.05 s" in run.errors[0].message
    assert statuses(run) == {"slow": "failed", "below": "skipped", "beside": "ok"}
    with pytest.raises(fb.NodeFailedError):
        _ = run["slow"]
    gate.set()
    returned(flow, "slow")
    assert flow["slow"].status == "failed"
    assert flow.run_sync()["below"] == 2, "with the gate open it is in time"


def test_an_overdue_async_node_is_cancelled() -> None:
    flow = fb.Flow("overdue")
    tidied = threading.Event()

    @flow.node(timeout_s=0.05)
    async def slow() -> int:
        try:
            await asyncio.Event().wait()
        finally:
            tidied.set()
        return 1

    run = flow.run_sync(raise_errors=False)
    assert [error.code for error in run.errors] == ["FB404"]
    reached(tidied)


def test_an_overdue_node_hears_of_it_through_its_context() -> None:
    flow = fb.Flow("told")
    told = threading.Event()

    @flow.node(timeout_s=0.05)
    def slow(ctx: fb.Context) -> int:
        if ctx.wait(DEADLINE_S):
            told.set()
        return 1

    assert flow.run_sync(raise_errors=False).errors[0].code == "FB404"
    reached(told)


def test_a_node_that_overruns_its_deadline_is_not_retried(gate: threading.Event) -> None:
    flow = fb.Flow("once")

    @flow.node(timeout_s=0.05, retry=fb.Retry(max_attempts=5, delay_s=0.0))
    def slow() -> None:
        gate.wait(DEADLINE_S)

    run = flow.run_sync(raise_errors=False)
    assert (run.errors[0].code, run.errors[0].attempt) == ("FB404", 1)


def test_a_run_that_is_cancelled_between_two_attempts_ends_at_once(began: threading.Event) -> None:
    flow = fb.Flow("between")

    @flow.node(retry=fb.Retry(max_attempts=2, delay_s=60.0))
    def fails() -> int:
        began.set()
        return 1 // 0

    run = flow.start()
    reached(began)
    until(lambda: all(active.is_waiting for active in run._execution._firings.values()), "the second attempt to wait")
    assert cancelled(run) < GRACE_S
    assert statuses(run) == {"fails": "skipped"}


def test_run_sync_gives_up_after_its_own_time(began: threading.Event, gate: threading.Event) -> None:
    flow = deaf_flow(began, gate)
    with pytest.raises(fb.RunError, match="FB409"):
        flow.run_sync(timeout_s=0.05)
    assert flow.last_run is not None
    assert flow.last_run.status == "cancelled"


def test_waiting_for_some_time_does_not_cancel(began: threading.Event, gate: threading.Event) -> None:
    run = deaf_flow(began, gate).start()
    assert not run.wait(0.01)
    assert run.trace.status == "running"
    gate.set()
    assert over(run).status == "ok"


# -- interrupts


@contextlib.contextmanager
def interrupt_inside(function: str, when: threading.Event) -> Iterator[list[float]]:
    """Press Ctrl-C once ``when`` is set and the main thread is inside ``function``; yields the time of the press."""
    pressed: list[float] = []
    main = threading.main_thread().ident
    assert main is not None

    def press() -> None:
        reached(when)
        until(lambda: function in _stack(main), f"the main thread to be in {function}")
        pressed.append(time.monotonic())
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        yield pressed
    finally:
        thread.join()


def _stack(thread_id: int) -> list[str]:
    frame = sys._current_frames().get(thread_id)
    names = []
    while frame is not None:
        names.append(frame.f_code.co_qualname)
        frame = frame.f_back
    return names


@pytest.mark.parametrize("is_polite", [True, False], ids=["polite", "deaf"])
def test_an_interrupted_run_sync_returns_within_a_second_with_one_line(
    is_polite: bool, began: threading.Event, gate: threading.Event
) -> None:
    flow = fb.Flow("interrupted")

    @flow.node
    def slow(ctx: fb.Context) -> int:
        began.set()
        (ctx.wait if is_polite else gate.wait)(DEADLINE_S)
        return 1

    with interrupt_inside("Run.wait", began) as pressed, pytest.raises(KeyboardInterrupt) as caught:
        flow.run_sync()
    assert time.monotonic() - pressed[0] < AT_ONCE_S
    assert flow.last_run is not None
    assert flow.last_run.status == "cancelled"
    lines = caught.value._render_traceback_()  # type: ignore[attr-defined]
    assert lines == [f"Interrupted: run {flow.last_run.id[:4]} of interrupted was cancelled"]
    assert statuses(flow.last_run) == {"slow": "skipped" if is_polite else "unresponsive"}


def test_an_interrupt_of_a_node_on_the_main_thread_ends_the_run(began: threading.Event) -> None:
    flow = fb.Flow("on main")
    pause = threading.Event()

    @flow.node(executor="main")
    def slow() -> int:
        began.set()
        while not pause.wait(0.01):  # Python sees an interrupt when a wait begins or ends
            pass
        return 1

    with interrupt_inside(f"{_me()}.<locals>.slow", began) as pressed, pytest.raises(KeyboardInterrupt):
        flow.run_sync()
    assert time.monotonic() - pressed[0] < AT_ONCE_S
    assert flow.last_run is not None
    assert flow.last_run.status == "cancelled"


def _me() -> str:
    return sys._getframe(1).f_code.co_qualname


def test_an_interrupted_await_cancels_the_run(began: threading.Event) -> None:
    flow = fb.Flow("awaited")

    @flow.node
    def slow(ctx: fb.Context) -> int:
        began.set()
        ctx.wait(DEADLINE_S)
        return 1

    async def main() -> None:
        await flow.run()

    with interrupt_inside("Runner.run", began) as pressed, pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert time.monotonic() - pressed[0] < AT_ONCE_S
    assert flow.last_run is not None
    assert flow.last_run.status == "cancelled"


def test_cancelling_the_task_that_awaits_a_run_cancels_the_run(began: threading.Event) -> None:
    flow = fb.Flow("task")

    @flow.node
    def slow(ctx: fb.Context) -> int:
        began.set()
        ctx.wait(DEADLINE_S)
        return 1

    async def main() -> str:
        task = asyncio.ensure_future(flow.run())
        await asyncio.to_thread(reached, began)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        return str(caught.value)

    assert asyncio.run(main()).startswith("Interrupted: run ")
    assert flow.last_run is not None
    assert flow.last_run.status == "cancelled"


# -- what is left


def _thread_count() -> int:
    return sum(not thread.name.startswith("flowbook-loop") for thread in threading.enumerate())


def test_a_thousand_cancelled_runs_leave_nothing_behind() -> None:
    """No thread, task, subscription, queue entry or run: also of runs that queued, waited and never answered."""
    flow = fb.Flow("thousand")
    turns = threading.Semaphore(0)
    gate = threading.Event()

    @flow.node(timeout_s=3600)
    def polite(ctx: fb.Context) -> int:
        turns.release()
        ctx.wait(DEADLINE_S)
        return 1

    @flow.node(timeout_s=3600)
    async def patient() -> int:
        turns.release()
        await asyncio.Event().wait()
        return 1

    @flow.node
    def below(polite: int, patient: int) -> int:
        return polite + patient

    flow.run_sync(only="below", raise_errors=False)  # the engine has its loops now
    engine = flow.engine
    assert engine.timers.loop.is_running()
    threads = _thread_count()
    subscriptions = flow._bus.subscription_count
    kept: list[weakref.ref[Any]] = []
    for number in range(500):
        first, second = flow.start(), flow.start()
        kept += [weakref.ref(first._execution), weakref.ref(second._execution), weakref.ref(first)]
        if number % 5 == 0:  # the others are cancelled wherever they have come to
            turns.acquire()
        second.cancel()
        first.cancel()
        over(first)
        over(second)
        assert (first.status, second.status) == ("cancelled", "cancelled")
    gate.set()
    del first, second
    over(flow.start(only="below"))  # only the last run is held by its flow
    until(lambda: engine.active() == [])
    assert engine._queues == {}
    assert flow._bus.subscription_count == subscriptions
    until(lambda: not asyncio.all_tasks(engine.loop_thread.loop), "coroutines to end")
    until(lambda: _thread_count() <= threads, "idle threads to end")
    until(lambda: gc.collect() >= 0 and not any(ref() for ref in kept), "runs to be forgotten")


def test_a_run_that_was_given_up_is_not_kept_by_what_did_not_answer(
    began: threading.Event, gate: threading.Event
) -> None:
    flow = deaf_flow(began, gate)
    run = flow.start()
    reached(began)
    cancelled(run)
    gate.set()
    returned(flow, "slow")
    execution = weakref.ref(run._execution)
    del run
    over(flow.start(only="below"))
    until(lambda: gc.collect() >= 0 and execution() is None, "the run to be forgotten")


def test_an_observer_leaves_with_its_thread() -> None:
    flow = fb.Flow("observed")
    flow.node(lambda_named("one", 1))
    threads = _thread_count()
    observers = [flow.observe(lambda event: None) for _ in range(5)]
    for observer in observers:
        observer.close()
    assert flow._bus.subscription_count == 0
    until(lambda: _thread_count() <= threads, "observers to end")


# -- a node that waits for its own engine


def _other() -> fb.Flow:
    other = fb.Flow("other")
    other.node(lambda_named("one", 1))
    return other


def _awaits(flow: fb.Flow) -> Any:
    return asyncio.run(flow.run())


def _awaits_a_started_run(flow: fb.Flow) -> Any:
    async def main() -> Any:
        return await _other().start()

    return asyncio.run(main())


WAITS: dict[str, Callable[[fb.Flow], Any]] = {
    "run_sync": lambda flow: flow.run_sync(),
    "run.wait": lambda flow: flow.last_run.wait() if flow.last_run else None,
    "wait for another flow": lambda flow: _other().start().wait(),
    "start": lambda flow: flow.start(),
    "await flow.run": _awaits,
    "await another run": _awaits_a_started_run,
    "drain": lambda flow: drain(),
    "read its own events": lambda flow: list(flow.last_run.events()) if flow.last_run else None,
}


def _on_a_thread(call: Callable[[], Any]) -> Any:
    caught: list[BaseException] = []

    def body() -> None:
        try:
            call()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()
    for error in caught:
        raise error


PLACES: dict[str, Callable[[fb.Flow, Callable[[fb.Flow], Any]], None]] = {}


def _place(build: Callable[[fb.Flow, Callable[[fb.Flow], Any]], None]) -> None:
    PLACES[build.__name__.replace("_", " ")] = build


@_place
def a_sync_node(flow: fb.Flow, wait: Callable[[fb.Flow], Any]) -> None:
    @flow.node
    def n() -> None:
        wait(flow)


@_place
def a_thread_of_a_node(flow: fb.Flow, wait: Callable[[fb.Flow], Any]) -> None:
    @flow.node
    def n() -> None:
        _on_a_thread(lambda: wait(flow))


@_place
def asyncio_to_thread(flow: fb.Flow, wait: Callable[[fb.Flow], Any]) -> None:
    @flow.node
    async def n() -> None:
        await asyncio.to_thread(wait, flow)


@_place
def a_node_on_the_main_thread(flow: fb.Flow, wait: Callable[[fb.Flow], Any]) -> None:
    @flow.node(executor="main")
    def n() -> None:
        wait(flow)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_a_node_that_waits_for_its_own_engine_is_told_at_once(
    place: Callable[[fb.Flow, Callable[[fb.Flow], Any]], None], wait: Callable[[fb.Flow], Any]
) -> None:
    flow = fb.Flow("loop")
    place(flow, wait)
    asked = time.monotonic()
    run = flow.run_sync(raise_errors=False)
    assert [error.code for error in run.errors] == ["FB406"], run.errors
    assert run.errors[0].hint
    assert isinstance(run.errors[0].cause, EngineDeadlockError)
    assert time.monotonic() - asked < AT_ONCE_S


@pytest.mark.parametrize("is_async", [False, True])
def test_an_async_node_that_awaits_its_own_engine_is_told_at_once(is_async: bool) -> None:
    flow = fb.Flow("loop")

    @flow.node
    async def n() -> None:
        if is_async:
            await flow.run()
        else:
            flow.run_sync()

    run = flow.run_sync(raise_errors=False)
    assert [error.code for error in run.errors] == ["FB406"]


def test_a_node_may_start_another_flow_that_it_does_not_wait_for() -> None:
    flow, other = fb.Flow("starts"), _other()

    @flow.node
    def n() -> str:
        return other.start().id

    started = flow.run_sync()["n"]
    assert other.last_run is not None
    assert over(other.last_run).id == started
    assert other["one"].value == 1
