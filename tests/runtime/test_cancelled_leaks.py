"""Runs cancelled at any moment leave no thread, task, timer, subscription, resource or letter behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import pytest

import flowbook as fb
from tests.runtime.call_counts import calls, count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def connection() -> Iterator[int]:
    """Something that has to be closed."""
    yield count("opened")
    count("closed")


def until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        threading.Event().wait(0.01)


def busy_flow() -> fb.Flow:
    """Nodes that wait in every way there is: on a thread, on the loop, for an attempt, for a turn, for others."""
    flow = fb.Flow("busy", policy=fb.FlowPolicy(max_concurrency=3, on_error="retry_flow", flow_attempts=50))

    @flow.node(kind="io", timeout_s=3600)
    def polite(ctx: fb.Context) -> int:
        ctx.enter(connection)
        ctx.wait(600)
        return 1

    @flow.node(kind="io", timeout_s=3600)
    async def patient(ctx: fb.Context) -> int:
        ctx.enter(connection)
        await asyncio.sleep(600)
        return 1

    @flow.node(kind="io", retry=fb.Retry(max_attempts=9, delay_s=600))
    def stubborn(ctx: fb.Context) -> int:
        ctx.enter(connection)
        raise OSError

    @flow.node(kind="io")
    def hopeless() -> int:
        raise OSError

    @flow.node
    def below(polite: int, patient: int, stubborn: int, hopeless: int) -> int:
        return polite + patient + stubborn + hopeless

    return flow


def cancelled_again_and_again(times: int) -> None:
    gc.collect()
    calls.clear()
    flow, chance = busy_flow(), random.Random(times)  # noqa: S311 -- moments, not secrets
    flow.run_sync(only="below", raise_errors=False)  # the engine has the threads that it keeps
    engine = flow.engine
    assert engine.timers.loop.is_running()
    assert engine.loop_thread.loop.is_running()
    threads = {thread for thread in threading.enumerate() if not thread.name.startswith("flowbook-worker")}
    kept: list[weakref.ref[Any]] = []
    for _ in range(times):
        seen: list[object] = []
        subscription = flow.observe(seen.append)
        run = flow.start()
        kept.append(weakref.ref(run._execution))
        for _ in range(chance.choice([0, 0, 1, 50, 3000])):  # let it come some way
            run.trace.counts()
        run.cancel()
        assert run.wait(60)
        assert run.status == "cancelled"
        subscription.close()
    assert flow._bus.subscription_count == 0
    assert list(flow.dead_letters) == []
    until(lambda: calls.get("opened", 0) == calls.get("closed", 0), "what was opened to be closed")
    until(lambda: not asyncio.all_tasks(engine.loop_thread.loop), "coroutines to end")
    until(lambda: _timer_count(engine) == 0, "timers to be taken back")
    until(lambda: engine.active() == [], "queues to empty")
    assert flow.results.unresponsive == {} or not any(goes_on() for goes_on in flow.results.unresponsive.values())
    flow.run_sync(only="below", raise_errors=False)  # only the last run is held by its flow
    del run
    until(lambda: gc.collect() >= 0 and not any(ref() for ref in kept), "runs to be forgotten")
    until(lambda: {thread for thread in threading.enumerate() if thread not in threads} == set(), "idle threads to end")


def _timer_count(engine: Any) -> int:
    scheduled = engine.timers.loop._scheduled  # the loop itself does not say
    return sum(not handle.cancelled() for handle in list(scheduled))


def test_fifty_cancelled_runs_leave_nothing() -> None:
    cancelled_again_and_again(50)


@pytest.mark.soak
def test_a_thousand_cancelled_runs_leave_nothing() -> None:
    cancelled_again_and_again(1000)
