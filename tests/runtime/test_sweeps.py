"""Plain nodes are fired in one go; everything that holds for a single firing holds for each of them."""

from __future__ import annotations

import decimal
import logging
import threading
from typing import TYPE_CHECKING, Any

import flowbook as fb
from flowbook.runtime.sweep import Sweep
from tests.runtime.watching import DEADLINE_S

if TYPE_CHECKING:
    import pytest


def comb(leaves: int, length: int) -> fb.Flow:
    """Chains side by side, each begun by a node with a setting."""
    flow = fb.Flow("comb")

    def leaf(n: int = 0) -> int:
        return n

    def step(value: int) -> int:
        return value

    for chain in range(leaves):
        flow.add(leaf, f"c{chain}_0")
        for place in range(1, length):
            flow.add(step, f"c{chain}_{place}")
            flow.connect(f"c{chain}_{place - 1}", f"c{chain}_{place}.value")
    return flow


def test_exactly_what_a_setting_reaches_fires_once_and_in_order() -> None:
    flow = comb(4, 5)
    assert sorted(flow.run_sync().recomputed) == sorted(flow)
    assert flow.run_sync().recomputed == []
    flow.set("c2_0", n=7)
    run = flow.run_sync()
    assert run.recomputed == [f"c2_{place}" for place in range(5)]
    assert run["c2_4"] == 7
    assert run.explain("c2_0") == "c2_0 fired: setting n 0 → 7"
    assert run.explain("c2_1") == "c2_1 fired: c2_0 changed"
    assert run.explain("c1_1") == "c1_1 was reused: nothing changed"
    flow.set("c2_0", n=0)
    again = flow.run_sync()
    assert again.recomputed == []
    assert again["c2_4"] == 0
    assert run["c2_4"] == 7


def test_what_a_node_prints_is_its_own() -> None:
    flow = fb.Flow("prints")
    for name in "abc":
        flow.node(name=name)(lambda: print("heard"))  # noqa: T201 -- what is captured
    spans = flow.run_sync().trace.spans
    assert [span.effects.entries for span in spans if span.effects] == [[("stdout", "heard\n")]] * 3


def test_a_context_variable_that_a_node_sets_stays_with_it() -> None:
    flow = fb.Flow("apart")

    @flow.node
    def coarse() -> int:
        decimal.getcontext().prec = 3
        return 1

    @flow.node
    def usual(coarse: int) -> int:
        return decimal.getcontext().prec

    assert flow.run_sync()["usual"] == decimal.DefaultContext.prec


def test_nodes_that_wait_for_each_other_both_get_a_thread() -> None:
    flow, barrier = fb.Flow("meet"), threading.Barrier(2)
    for name in "ab":
        flow.node(name=name)(lambda: barrier.wait(DEADLINE_S) >= 0)
    assert flow.run_sync()["a"] is True


def test_a_global_that_a_node_reads_is_looked_at_again() -> None:
    namespace = {"LIMIT": 1, "__name__": __name__}
    exec("def f():\n    return LIMIT\n", namespace)  # noqa: S102 -- a function with globals of its own
    flow = fb.Flow("globals")
    flow.node(name="f")(namespace["f"])  # type: ignore[type-var]
    assert flow.run_sync()["f"] == 1
    namespace["LIMIT"] = 2
    run = flow.run_sync()
    assert run["f"] == 2
    assert run.explain("f").endswith("LIMIT 1 → 2")


def test_a_fault_of_the_engine_itself_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stumble(*_: object, **__: object) -> bool:
        raise RuntimeError("stumbled")

    flow = fb.Flow("fault")
    flow.node(name="a")(lambda: [1])
    with monkeypatch.context() as faulty, caplog.at_level(logging.ERROR, "flowbook"):
        faulty.setattr(Sweep, "_leave", stumble)
        run = flow.start()
        assert run.wait(DEADLINE_S)
    assert run.status == "cancelled"
    assert "stumbled" in caplog.text
    assert flow.run_sync()["a"] == [1]


def test_each_node_fires_once_whoever_takes_its_firing_out_meanwhile() -> None:
    flow = fb.Flow("looked at")
    fired: list[int] = []
    for number in range(300):
        namespace: dict[str, Any] = {"fired": fired, "flow": flow}
        above = f"n{number - 1}" if number else ""
        looks = "    flow.results\n" if number % 50 == 7 else ""  # surely while the call goes on
        exec(  # noqa: S102 -- a node with a name and an input of its own
            f"def n{number}({above}):\n    fired.append({number})\n{looks}    return {above or 0} + 1\n", namespace
        )
        flow.node(namespace[f"n{number}"])
    flow.run_sync()
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            flow.results  # noqa: B018 -- whoever looks has the firing that goes on put where it can be seen

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(8):
            fired.clear()
            run = flow.run_sync(force=True)
            assert fired == list(range(300))
            assert run["n299"] == 300
            assert run.recomputed == [f"n{number}" for number in range(300)]
            assert all(span.took_s is not None and span.took_s >= 0 for span in run.trace.spans)
    finally:
        is_over.set()
        watcher.join()
