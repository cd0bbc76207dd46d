"""Runs of one flow go one after another, runs of two flows at the same time; a pure node that fires is superseded."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

import flowbook as fb
from flowbook.core.events import NodeStarted, RunFinished, RunStarted
from flowbook.session import drain
from tests.runtime.watching import AT_ONCE_S, DEADLINE_S, Firings, over, reached, returned, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbook.core.events import Event


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What slow nodes wait for; open at the end, so that no thread outlives its test."""
    made = threading.Event()
    yield made
    made.set()


def _moments(events: list[Event]) -> list[str]:
    """Say which run began and ended, in order."""
    return [
        f"{'+' if isinstance(event, RunStarted) else '-'}{event.trace_id}"
        for event in events
        if isinstance(event, RunStarted | RunFinished)
    ]


# -- one after another


def test_two_runs_of_one_flow_go_one_after_another(gate: threading.Event) -> None:
    flow = fb.Flow("queued")
    firings = Firings()

    @flow.node
    def slow() -> int:
        return firings.fire()

    events: list[Event] = []
    with flow.observe(events.append):
        runs = [flow.start(force=True) for _ in range(3)]
        firings.wait_for(1)
        assert [run.trace.status for run in runs] == ["running"] * 3
        assert [run.trace.spans != [] for run in runs] == [True, False, False], "two wait and have not begun"
        firings.let_go(1, 2, 3)
        assert [over(run)["slow"] for run in runs] == [1, 2, 3]
        until(lambda: len(_moments(events)) == 6)
    assert _moments(events) == [mark + run.id for run in runs for mark in "+-"]
    assert flow["slow"].value == 3


def test_a_queued_run_sees_what_the_run_before_it_computed() -> None:
    flow = fb.Flow("after")
    firings = Firings()

    @flow.node
    def slow() -> int:
        return firings.fire()

    first, second = flow.start(), flow.start()
    firings.let_go(1, 2)
    over(second)
    assert first["slow"] == second["slow"] == 1
    assert second.recomputed == []
    assert second.explain("slow") == "slow was reused: nothing changed"


def test_a_queued_run_runs_the_flow_as_it_was_when_it_was_asked_for() -> None:
    flow = fb.Flow("frozen")
    firings = Firings()

    @flow.node
    def slow() -> int:
        return firings.fire()

    @flow.node
    def shown(slow: int, n: int = 1) -> int:
        return n

    first, second = flow.start(), flow.start()
    firings.wait_for(1)
    flow.set("shown", n=2)
    third = flow.start()
    firings.let_go(1)
    assert [over(run)["shown"] for run in (first, second, third)] == [1, 1, 2]
    assert flow["shown"].value == 2


def test_runs_of_two_flows_of_one_name_go_at_the_same_time() -> None:
    meeting = threading.Barrier(2)

    def wait() -> int:
        return meeting.wait(DEADLINE_S)

    flows = [fb.Flow("same name") for _ in range(2)]
    for flow in flows:
        flow.node(wait)
    runs = [flow.start() for flow in flows]
    assert {over(run)["wait"] for run in runs} == {0, 1}


def test_many_threads_may_ask_for_runs_of_one_flow() -> None:
    flow = fb.Flow("asked")
    inside = threading.Lock()

    @flow.node
    def alone() -> int:
        assert inside.acquire(blocking=False), "two runs of one flow at once"
        inside.release()
        return 1

    runs: list[fb.Run] = []

    def ask() -> None:
        runs.extend(flow.run_sync(force=True) for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert [run.status for run in runs] == ["ok"] * 40
    until(lambda: flow.engine.active() == [])


def test_awaited_runs_of_one_loop_queue_too() -> None:
    flow = fb.Flow("awaited")

    @flow.node
    async def quick() -> int:
        await asyncio.sleep(0)
        return 1

    async def main() -> list[fb.Run]:
        return await asyncio.gather(*(flow.run(force=True) for _ in range(10)))

    runs = asyncio.run(main())
    assert [run.recomputed for run in runs] == [["quick"]] * 10


def test_drain_waits_for_every_run_of_every_flow() -> None:
    firings = Firings()
    flows = [fb.Flow(f"flow {number}") for number in range(2)]
    for flow in flows:
        flow.add(firings.fire, "slow")
    runs = [flow.start(force=True) for flow in flows for _ in range(2)]
    firings.wait_for(2)
    drain(0.01)
    assert not any(run.wait(0) for run in runs), "the time was over"
    firings.let_go(1, 2, 3, 4)
    drain(DEADLINE_S)
    assert [run.status for run in runs] == ["ok"] * 4


# -- superseded


def chain(firings: Firings, **policy: Any) -> fb.Flow:
    """A node that waits for its turn at every firing, and one that reads it."""
    flow = fb.Flow("superseded")

    def slow() -> int:
        return firings.fire()

    @flow.node
    def below(slow: int) -> int:
        return slow * 10

    flow.node(**policy)(slow)
    return flow


def test_a_pure_node_that_fires_is_superseded_at_once() -> None:
    firings = Firings()
    flow = chain(firings)
    old = flow.start()
    firings.wait_for(1)
    new = flow.start(supersedes="slow")
    firings.wait_for(2)
    assert not firings.turn(1).is_set(), "the first firing is still going on"
    firings.let_go(2)
    assert new.wait(AT_ONCE_S + 4)
    assert new["below"] == 20
    assert over(old).status == "ok", "nothing of it failed: a newer run does the rest"
    assert [(span.node, span.status, span.reason) for span in old.trace.spans] == [
        ("slow", "skipped", "superseded by a newer run"),
        ("below", "skipped", "superseded by a newer run"),
    ]
    firings.let_go(1)
    returned_or_forgotten(flow, "slow")
    assert (flow["slow"].value, flow["below"].value) == (2, 20), "the late result was dropped"
    assert flow["slow"].status == "ok"


def returned_or_forgotten(flow: fb.Flow, node_id: str) -> None:
    if node_id in flow.results.unresponsive:
        returned(flow, node_id)


def test_who_reads_a_superseded_value_is_told() -> None:
    firings = Firings()
    flow = chain(firings)
    old = flow.start()
    firings.wait_for(1)
    new = flow.start(supersedes="slow")
    firings.let_go(1, 2)
    over(new)
    over(old)
    with pytest.raises(fb.RunError, match="superseded by a newer run"):
        _ = old["below"]
    assert old.explain("below") == "below was skipped: superseded by a newer run"


def test_the_rest_of_a_superseded_run_goes_on(gate: threading.Event) -> None:
    firings = Firings()
    flow = chain(firings)
    beside_began = threading.Event()

    @flow.node
    def beside() -> str:
        beside_began.set()
        gate.wait(DEADLINE_S)
        return "done"

    @flow.node
    def below_beside(beside: str) -> str:
        return beside + "!"

    old = flow.start()
    firings.wait_for(1)
    reached(beside_began)
    new = flow.start(to="below", supersedes="slow")
    firings.let_go(2)
    assert over(new)["below"] == 20
    assert old.trace.status == "running"
    gate.set()
    assert over(old)["below_beside"] == "done!"
    assert flow["below_beside"].value == "done!"
    firings.let_go(1)


def test_a_run_that_needs_what_an_old_run_fires_waits_for_it(gate: threading.Event) -> None:
    """Superseding one node does not fire another one twice."""
    firings = Firings()
    flow = chain(firings)
    beside_began = threading.Event()

    @flow.node
    def beside() -> str:
        beside_began.set()
        gate.wait(DEADLINE_S)
        return "done"

    old = flow.start()
    firings.wait_for(1)
    reached(beside_began)
    new = flow.start(supersedes="slow")
    assert not new.wait(0.05)
    assert new.trace.spans == []
    gate.set()
    over(old)
    firings.let_go(2)
    assert over(new).recomputed == ["slow", "below"]
    assert new.explain("beside") == "beside was reused: nothing changed"
    firings.let_go(1)


@pytest.mark.parametrize("kind", ["stateful", "io"])
def test_a_stateful_or_io_node_is_waited_for(kind: str) -> None:
    firings = Firings()
    flow = chain(firings, kind=kind)
    old = flow.start()
    firings.wait_for(1)
    new = flow.start(supersedes="slow")
    assert not new.wait(0.05)
    assert firings.began == [1]
    firings.let_go(1, 2)
    assert over(old)["below"] == 10
    assert over(new)["below"] == 20


def test_superseding_a_node_that_does_not_fire_queues() -> None:
    firings = Firings()
    flow = chain(firings)
    flow.node(name="beside")(lambda: 1)
    old = flow.start()
    firings.wait_for(1)
    new = flow.start(to="beside", supersedes="beside")
    assert not new.wait(0.05)
    firings.let_go(1)
    over(old)
    assert over(new)["beside"] == 1


def test_a_node_superseded_again_and_again_gives_the_newest_value() -> None:
    firings = Firings()
    flow = chain(firings)
    runs = [flow.start()]
    for number in range(2, 12):
        firings.wait_for(number - 1)
        runs.append(flow.start(supersedes="slow"))
    firings.wait_for(11)
    firings.let_go(11)
    assert over(runs[-1])["below"] == 110
    firings.let_go(*range(1, 11))
    for run in runs[:-1]:
        assert over(run).status == "ok"
    returned_or_forgotten(flow, "slow")
    assert flow["below"].value == 110
    until(lambda: flow.engine.active() == [])


def test_a_run_queued_behind_a_superseded_one_still_runs() -> None:
    firings = Firings()
    flow = chain(firings)
    old, queued = flow.start(), flow.start()
    firings.wait_for(1)
    new = flow.start(supersedes="slow")
    firings.wait_for(2)
    firings.let_go(1, 2, 3)
    assert over(new)["below"] == 20
    assert over(old).status == "ok"
    assert over(queued).status == "ok"
    assert queued["below"] == flow["below"].value == 20


def test_an_async_node_that_is_superseded_is_cancelled() -> None:
    flow = fb.Flow("async")
    began: list[int] = []
    tidied = threading.Event()

    @flow.node
    async def slow() -> int:
        began.append(len(began) + 1)
        if began == [1]:
            try:
                await asyncio.Event().wait()
            finally:
                tidied.set()
        return began[-1]

    old = flow.start()
    until(lambda: bool(began))
    new = flow.start(supersedes="slow", force=True)
    assert over(new)["slow"] == 2
    reached(tidied)
    assert over(old).status == "ok"


def test_started_events_name_the_run_that_fired() -> None:
    firings = Firings()
    flow = chain(firings)
    old = flow.start()
    firings.wait_for(1)
    new = flow.start(supersedes="slow")
    firings.let_go(1, 2)
    over(old)
    over(new)
    for run in (old, new):
        started = [event for event in run.events() if isinstance(event, NodeStarted)]
        assert {event.trace_id for event in started} == {run.id}
        assert [event.node_id for event in started] == run.recomputed
