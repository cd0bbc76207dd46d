"""A failure is skipped around, stops the flow, is tried again or is handled, as the flow says; nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest

import flowbook as fb
from flowbook.core.policies import FlowPolicy
from tests.runtime.call_counts import calls, count


@pytest.fixture(autouse=True)
def no_calls() -> None:
    """Start counting anew."""
    calls.clear()


def failing_flow(**policy: Any) -> fb.Flow:
    """Two branches: ``bad -> below`` and ``slow -> after``; bad fails before slow begins to end."""
    flow = fb.Flow("failing", policy=FlowPolicy(**policy))

    @flow.node(priority=1)
    def bad(fails: bool = True) -> int:
        count("bad")
        if fails:
            message = "broken"
            raise ValueError(message)
        return 1

    @flow.node
    def below(bad: int) -> int:
        return bad

    @flow.node
    def aside(n: int = 2) -> int:
        return n

    return flow


def test_by_default_everything_that_does_not_depend_on_a_failure_is_finished() -> None:
    run = failing_flow().run_sync(raise_errors=False)
    assert (run["aside"], run.explain("below")) == (2, "below was skipped: bad failed")
    assert run.explain("bad") == "bad failed: first run (ValueError: broken)"


def test_on_error_stop_starts_nothing_more() -> None:
    flow = failing_flow(on_error="stop", max_concurrency=1)

    @flow.node
    def aside_too(aside: int) -> int:
        return aside

    run = flow.run_sync(raise_errors=False)
    assert run.status == "failed"
    assert run.recomputed == ["bad"]
    assert run.explain("aside_too") == "aside_too was skipped: bad failed"


def test_on_error_retry_flow_gives_failures_and_what_depends_on_them_another_turn() -> None:
    flow = fb.Flow("again", policy=FlowPolicy(on_error="retry_flow", flow_attempts=3))

    @flow.node
    def good() -> int:
        return count("good")

    @flow.node
    def flaky(good: int) -> int:
        if count("flaky") < 3:
            raise OSError
        return 5

    @flow.node
    def below(flaky: int) -> int:
        return flaky

    run = flow.run_sync()
    assert (run["below"], run.status, run.errors) == (5, "ok", [])
    assert run.recomputed == ["good", "flaky", "below"]
    assert calls == {"good": 1, "flaky": 3}
    calls.clear()
    flow = failing_flow(on_error="retry_flow", flow_attempts=4)
    run = flow.run_sync(raise_errors=False)
    assert (len(run.errors), calls["bad"], run["aside"]) == (1, 4, 2)


def handled() -> fb.Flow:
    """``bad`` with a handler on its error port."""
    flow = failing_flow()

    @flow.node
    def handler(error: fb.ErrorPacket) -> str:
        count("handler")
        return f"{error.node_id}: {error.message}"

    flow.connect("bad.error", "handler.error")
    return flow


def test_a_failure_goes_to_the_node_on_the_error_port() -> None:
    flow = handled()
    run = flow.run_sync(raise_errors=False)
    assert run["handler"] == "bad: ValueError: broken"
    assert [error.node_id for error in run.errors] == ["bad"]
    assert flow["handler"].stamp == "live"


def test_a_handler_is_skipped_when_nothing_failed() -> None:
    flow = handled()
    flow["bad"].settings["fails"] = False
    run = flow.run_sync()
    assert run.explain("handler") == "handler was skipped: bad did not fail"
    assert run["below"] == 1


def test_each_failure_is_handled_anew() -> None:
    flow = handled()
    flow.run_sync(raise_errors=False)
    run = flow.run_sync(raise_errors=False)
    assert (calls["handler"], run.explain("bad")) == (2, "bad failed: failed last time (ValueError: broken)")


def test_a_missing_input_is_handled_like_any_failure() -> None:
    flow = handled()

    @flow.node
    def bad(missing: int) -> int:
        return missing

    run = flow.run_sync(raise_errors=False)
    assert "needs 'missing'" in run["handler"]


def test_an_error_port_feeds_no_ordinary_input() -> None:
    flow = failing_flow()
    with pytest.raises(fb.WiringError, match="a packet is not a scalar"):
        flow.connect("bad.error", "aside.n")
