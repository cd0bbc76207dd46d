"""What a run costs, counted in calls of the engine's functions: so much a node, whatever the flow's size."""

from __future__ import annotations

import copy
import gc
import tracemalloc
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

import flowbook as fb
from flowbook.runtime.asking import Wish, make_request
from flowbook.runtime.execution import Execution
from flowbook.session import session
from tests.counted_work import calls_in

if TYPE_CHECKING:
    from collections.abc import Callable


#: A busy machine has the engine look more often at how long it has been at work; one call a node would be hundreds.
A_FEW = 100


@pytest.fixture(autouse=True)
def no_call_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine one may: it is taken out, and the rest of the run is another matter."""
    monkeypatch.setattr(Execution, "take_out", lambda *_: None)


class Here:
    """Runs every job at once, on the thread that submits it, where it can be counted."""

    def submit(self, job: Callable[[], None], *, is_patient: bool = False) -> None:
        job()


@fb.node
def step(more: Any = None, n: int = 0) -> int:
    return n + (more or 0)


def chain(count: int, **policy: Any) -> fb.Flow:
    flow = fb.Flow("chain", policy=fb.FlowPolicy(**policy))
    for place in range(count):
        flow.add(step, f"s{place}")
        if place:
            flow.connect(f"s{place - 1}", f"s{place}.more")
    return flow


def calls(flow: fb.Flow, fired: int, **scope: Any) -> Counter[str]:
    """Run on this thread; count what the engine does between the request and the end, by the function's name."""
    engine = copy.copy(session.engine)
    engine.pool = Here()  # type: ignore[assignment]
    plan = flow.plan
    request = make_request(flow.data, plan, Wish(**scope))
    runs: list[Execution] = []

    def work() -> None:
        runs.append(Execution(plan, request, flow.results, engine, Unheard()))
        runs[0].start()

    counts = calls_in(work)
    assert runs[0].status == "ok"
    assert len(runs[0].recomputed) == fired
    return counts


class Unheard:
    """Takes events and forgets them."""

    def __call__(self, event: object) -> None: ...

    def later(self, batch: object, told: int) -> None: ...

    def is_heard(self) -> bool:
        return False


def test_a_run_where_nothing_changed_costs_the_same_whatever_the_size() -> None:
    costs = []
    for size in (20, 400):
        flow = chain(size)
        calls(flow, size)
        costs.append(calls(flow, 0))
    assert abs(costs[0].total() - costs[1].total()) < A_FEW, (costs[1] - costs[0], costs[0] - costs[1])


def test_one_changed_leaf_costs_what_its_own_nodes_cost() -> None:
    costs = []
    for others in (0, 5, 40):
        flow = chain(20)
        for other in range(others):
            for place in range(20):
                flow.add(step, f"o{other}_{place}")
                if place:
                    flow.connect(f"o{other}_{place - 1}", f"o{other}_{place}.more")
        calls(flow, 20 * (others + 1))
        for n in (1, 2):
            flow.set("s0", n=n)
            costs.append(calls(flow, 20))
        assert flow["s19"].value == 2
    least, most = min(costs, key=Counter.total), max(costs, key=Counter.total)
    assert most.total() < least.total() + A_FEW, most - least


def test_a_run_by_itself_costs_few_calls_of_the_engine() -> None:
    flow = chain(5)
    calls(flow, 5)
    assert min(calls(flow, 5, force=True).total() for _ in range(3)) < 90
    assert min(calls(flow, 0).total() for _ in range(3)) < 60


def test_what_runs_of_everything_are_asked_for_is_made_once() -> None:
    flow = chain(3)
    asked = [make_request(flow.data, flow.plan, Wish(force=force)) for force in (False, True, False)]
    assert asked[0] is asked[2]
    assert asked[0] is not asked[1]
    flow.set("s0", n=1)  # another plan, of the same nodes
    assert make_request(flow.data, flow.plan, Wish()) is asked[0]
    assert make_request(flow.data, flow.plan, Wish(settings={"s0.n": 2})).is_private
    flow.add(step, "s3")
    assert len(make_request(flow.data, flow.plan, Wish()).scope) == 4


def test_a_node_keeps_so_many_bytes_and_no_more() -> None:
    namespace: dict[str, Any] = {}
    for place in range(1_000):
        above = f"n{place - 1}: int" if place else ""
        exec(f"def n{place}({above}) -> int:\n    return {place}\n", namespace)  # noqa: S102 -- code of its own
    calls_in(lambda: chain(2).run_sync())  # what is made once for the process is made
    gc.collect()
    tracemalloc.start()
    try:
        flow = fb.Flow("memory")
        for place in range(1_000):
            flow.node(namespace[f"n{place}"])
        flow.run_sync()
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] / 1_000
    finally:
        tracemalloc.stop()
    assert kept < 1_750, f"{kept:.0f} bytes a node"


def test_a_node_is_declared_and_checked_in_so_many_calls_and_no_more() -> None:
    namespace: dict[str, Any] = {}
    for place in range(200):
        above = f"n{place - 1}: int" if place else ""
        exec(f"def n{place}({above}) -> int:\n    return {place}\n", namespace)  # noqa: S102 -- code of its own

    def build() -> None:
        flow = fb.Flow("built")
        for place in range(200):
            flow.node(namespace[f"n{place}"])
        assert not flow.check()

    build()  # what is made once for the process is made
    assert calls_in(build).total() < 65 * 200


@pytest.mark.parametrize("policy", [{}, {"max_concurrency": 1}])
def test_a_node_costs_the_same_in_a_larger_flow(policy: dict[str, Any]) -> None:
    few, many = (calls(chain(size, **policy), size, force=True).total() for size in (50, 200))
    assert many < 5 * few
