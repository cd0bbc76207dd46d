"""The error port of a subflow gives the failure of a node in it that no node in it takes."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import flowbook as fb
from tests.runtime.call_counts import calls, count


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    calls.clear()


def halves_flow() -> fb.Flow:
    """``parse -> half -> twice``, and ``note`` beside them; what is not a number fails in ``parse``."""
    halves = fb.Flow("halves")

    @halves.node
    def parse(text: str) -> int:
        count("parse")
        return int(text)

    @halves.node
    def half(parse: int, by: int = 2) -> float:
        return parse / by

    @halves.node
    def twice(half: float) -> float:
        return half * 2

    return halves


def outer_flow(inner: fb.Flow) -> fb.Flow:
    """``words -> sub -> shown``, and ``handler`` on the error port of ``sub``."""
    flow = fb.Flow("outer")

    @flow.node
    def words(word: str = "8") -> str:
        return word

    flow.add(inner, "sub")
    flow.connect("words", "sub.text")

    @flow.node
    def shown(twice: float) -> str:
        return f"<{twice}>"

    @flow.node
    def handler(failure: fb.ErrorPacket) -> str:
        count("handler")
        return f"{failure.node_id}: {failure.message}"

    flow.connect("sub.twice", "shown.twice")
    flow.connect("sub.error", "handler.failure")
    return flow


def test_a_failure_inside_comes_out_at_the_error_port() -> None:
    flow = outer_flow(halves_flow())
    assert flow.check() == []
    run = flow.run_sync()
    assert (run["shown"], run["sub.error"]) == ("<8.0>", None)
    assert flow["handler"].status == "skipped"
    assert run.explain("handler") == "handler was skipped: sub did not fail"
    flow.set("words", word="eight")
    run = flow.run_sync(raise_errors=False)
    assert run["handler"].startswith("sub/parse: ValueError")
    assert run["sub.error"].node_id == "sub/parse"
    assert (run.status, [error.node_id for error in run.errors]) == ("failed", ["sub/parse"])
    assert len(flow.dead_letters) == 0, "the handler took it"
    flow.set("words", word="8")
    flow.set("sub/half", by=0)
    run = flow.run_sync(raise_errors=False)
    assert run["handler"].startswith("sub/half: ZeroDivisionError")
    assert calls["handler"] == 2


def test_what_is_taken_inside_does_not_come_out() -> None:
    inner = halves_flow()

    @inner.node
    def excuse(failure: fb.ErrorPacket) -> str:
        return f"no number: {failure.node_id}"

    inner.connect("parse.error", "excuse.failure")
    flow = outer_flow(inner)
    flow.set("words", word="eight")
    run = flow.run_sync(raise_errors=False)
    assert run["sub/excuse"] == "no number: sub/parse"
    assert run.explain("handler") == "handler was skipped: sub did not fail"
    flow.set("words", word="1")
    flow.set("sub/half", by=0)
    assert flow.run_sync(raise_errors=False)["handler"].startswith("sub/half")


def test_a_subflow_in_a_subflow_tells_both() -> None:
    middle = fb.Flow("middle")
    middle.add(halves_flow(), "deep")

    @middle.node
    def twice(deep: float) -> float:
        return deep

    @middle.node
    def log(failure: fb.ErrorPacket) -> str:
        return failure.node_id

    middle.declare_ports(inputs={"text": "deep.text"}, outputs={"twice": "twice"})
    middle.connect("deep.error", "log.failure")
    flow = outer_flow(middle)
    flow.set("words", word="x")
    run = flow.run_sync(raise_errors=False)
    assert run["sub/log"] == "sub/deep/parse"
    assert run.explain("handler") == "handler was skipped: sub did not fail", "log took it"
    middle.disconnect("deep.error", "log.failure")
    run = flow.run_sync(raise_errors=False)
    assert run["handler"].startswith("sub/deep/parse: ValueError")


def test_lazy_tables_and_their_handler_in_one_region_do_not_wait_for_each_other() -> None:
    lazy = fb.Flow("lazy")

    @lazy.node
    def load(n: int = 3) -> pl.LazyFrame:
        return pl.LazyFrame({"x": range(n)})

    @lazy.node
    def picked(load: pl.LazyFrame, column: str = "x") -> pl.LazyFrame:
        return load.select(column)

    flow = fb.Flow("outer")
    flow.add(lazy, "sub")

    @flow.node
    def told(failure: fb.ErrorPacket, load: pl.LazyFrame | None = None) -> pl.LazyFrame:
        return pl.LazyFrame({"who": [failure.node_id]})

    @flow.node
    def both(picked: pl.LazyFrame) -> pl.LazyFrame:
        return picked

    flow.connect("sub.error", "told.failure")
    flow.connect("sub.picked", "both.picked")
    assert flow.run_sync(timeout_s=60)["both"].collect().height == 3
    flow.set("sub/picked", column="y")
    run = flow.run_sync(raise_errors=False, timeout_s=60)
    assert run["told"].collect().item() == "sub/picked"


@pytest.mark.parametrize("scope", [{"to": "handler"}, {"only": ["sub", "handler"]}])
def test_a_part_of_a_flow_has_it_too(scope: dict[str, Any]) -> None:
    flow = outer_flow(halves_flow())
    flow.set("words", word="x")
    if "only" in scope:
        flow.run_sync(to="words")
    run = flow.run_sync(raise_errors=False, **scope)
    assert run["handler"].startswith("sub/parse: ValueError")


def test_a_run_again_takes_what_no_handler_takes() -> None:
    flow = outer_flow(halves_flow())
    flow.policy = fb.FlowPolicy(on_error="retry_flow", flow_attempts=3)
    flow.set("words", word="x")
    flow.run_sync(raise_errors=False)
    assert calls["parse"] == 1
    flow.disconnect("sub.error", "handler.failure")
    flow.run_sync(raise_errors=False)
    assert calls["parse"] == 4
    assert [letter.error.node_id for letter in flow.dead_letters] == ["sub/parse"]
