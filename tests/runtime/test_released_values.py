"""How many payloads are in memory at one time, counted: what is handed on, and what is let go after its last use."""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest

import flowbook as fb
from flowbook.session import session

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = 500_000
PAYLOAD_BYTES = 8 * COUNT
#: What the engine itself takes for ten nodes, in payloads.
ALLOWANCE = 0.1


@pytest.fixture
def _once() -> Iterator[None]:
    """Runs are what ``flowbook run FLOW.json`` makes of a document."""
    session.runs_once = True
    yield
    session.runs_once = False


def chain(*, makes_new: bool, cache: str) -> fb.Flow:
    """Ten nodes, each of which hands its array on, or makes a new one of it."""
    flow = fb.Flow("chain")

    @flow.node(cache=cache)
    def n0(start: int = 1) -> np.ndarray:
        return np.full(COUNT, start, dtype="f8")

    def handed(x: np.ndarray) -> np.ndarray:
        return x

    def made(x: np.ndarray) -> np.ndarray:
        return x + 1

    step = fb.node(name="one_of_ten" if makes_new else "hands_on", cache=cache)(made if makes_new else handed)
    for number in range(1, 10):
        flow.add(step, f"n{number}")
        flow.connect(f"n{number - 1}", f"n{number}.x")
    return flow


def measured(flow: fb.Flow) -> tuple[float, float, fb.Run]:
    """Run, and say how much memory that took at most, and holds afterwards, in payloads."""
    gc.collect()
    tracemalloc.start()
    try:
        run = flow.run_sync()
        gc.collect()
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return peak / PAYLOAD_BYTES, held / PAYLOAD_BYTES, run


@pytest.mark.parametrize("cache", ["memory", "off"])
def test_a_payload_that_is_handed_on_is_there_once(cache: str) -> None:
    chain(makes_new=False, cache=cache).run_sync()  # what is loaded at first use is no payload
    peak, held, run = measured(chain(makes_new=False, cache=cache))
    assert peak < 2.1
    assert held < 1 + ALLOWANCE
    assert len(run.copies) == 0
    assert run["n9"].__array_interface__["data"] == run["n0"].__array_interface__["data"]


@pytest.mark.usefixtures("_once")
def test_a_document_that_is_run_once_holds_two_payloads_of_ten() -> None:
    flow = chain(makes_new=True, cache="off")
    flow.set_policy("n4", pinned=True)
    peak, held, run = measured(flow)
    assert peak < 3 + ALLOWANCE, "the one that is read, the one that is made, and the pinned one"
    assert held < 2 + ALLOWANCE
    assert (run["n9"][0], run["n4"][0], flow["n4"].value[0]) == (10.0, 5.0, 5.0)
    with pytest.raises(fb.RunError, match="the value of 'n3' was let go after its last use") as caught:
        run["n3"]
    assert caught.value.code == "FB417"
    assert run.trace.counts()["ran"] == 10


@pytest.mark.usefixtures("_once")
def test_ten_payloads_in_a_row_take_no_more_than_two() -> None:
    peak, held, _ = measured(chain(makes_new=True, cache="off"))
    assert peak < 2 + ALLOWANCE
    assert held < 1 + ALLOWANCE


@pytest.mark.usefixtures("_once")
def test_what_a_cache_a_target_or_another_reader_needs_is_kept() -> None:
    flow = chain(makes_new=True, cache="off")
    flow.set_policy("n2", cache="memory")

    @flow.node(cache="off")
    def sums(n5: np.ndarray, n9: np.ndarray) -> float:
        return float(n5[0] + n9[0])

    run = flow.run_sync(to=["n7", "sums"])
    assert (run["sums"], run["n7"][0], run["n2"][0]) == (16.0, 8.0, 3.0)
    for name in ("n5", "n9", "n6"):
        with pytest.raises(fb.RunError, match="let go"):
            run[name]
    again = flow.run_sync(to="n7")
    assert again["n7"][0] == 8.0


@pytest.mark.usefixtures("_once")
def test_who_fails_has_read_it_before_it_goes() -> None:
    flow = chain(makes_new=True, cache="off")

    @flow.node(cache="off", retry=fb.Retry(max_attempts=2, delay_s=0))
    def breaks(n9: np.ndarray) -> float:
        return float(n9[0]) / 0

    run = flow.run_sync(raise_errors=False)
    assert [(error.node_id, error.attempt) for error in run.errors] == [("breaks", 2)]
    assert flow.dead_letters.replay()[0].errors[0].message == "ZeroDivisionError: float division by zero"


def test_a_flow_that_people_work_on_keeps_what_its_nodes_gave() -> None:
    flow = chain(makes_new=True, cache="off")
    _, held, run = measured(flow)
    assert 10 <= held < 10 + ALLOWANCE
    assert run["n3"][0] == flow["n3"].value[0] == 4.0
    assert flow.run_sync().recomputed == []
