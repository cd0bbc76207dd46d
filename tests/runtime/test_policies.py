"""Policies: kinds of nodes, when they fire, what is skipped, what is tried again, how many at once."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest

import flowbook as fb
from flowbook.core.events import NodeStarted
from flowbook.core.policies import FlowPolicy
from tests.runtime.call_counts import calls, count


@pytest.fixture(autouse=True)
def no_calls() -> None:
    """Start counting anew."""
    calls.clear()


def chain(**policy: Any) -> fb.Flow:
    """First -> middle -> last, where middle has the policy and a setting."""
    flow = fb.Flow("chain")

    @flow.node
    def first(n: int = 1) -> int:
        count("first")
        return n

    @flow.node(name="middle", **policy)
    def middle(first: int, factor: int = 10) -> int:
        count("middle")
        return first * factor

    @flow.node
    def last(middle: int) -> int:
        count("last")
        return middle + 1

    return flow


# -- kinds


@pytest.mark.parametrize("kind", ["io", "stateful"])
def test_io_and_stateful_nodes_fire_at_every_explicit_run_and_what_reads_them_too(kind: str) -> None:
    flow = chain(kind=kind)
    flow.run_sync()
    run = flow.run_sync()
    assert run.recomputed == ["middle", "last"]
    assert run.explain("middle") == f"middle fired: {kind} node: fires at every run"
    assert run.explain("last") == "last fired: middle changed"
    assert run.explain("first") == "first was reused: nothing changed"
    assert flow.stale() == {}


def test_io_nodes_do_not_fire_when_a_run_does_not_reach_them() -> None:
    flow = chain(kind="io")
    flow.run_sync()
    assert flow.run_sync(to="first").recomputed == []
    assert flow.run_sync(only="last").recomputed == []


# -- when


def test_a_node_that_fires_once_keeps_its_first_value_until_it_is_forced() -> None:
    flow = chain(on_change="once")
    flow.run_sync()
    flow["middle"].settings["factor"] = 3
    flow["first"].settings["n"] = 2
    assert "middle" not in flow.stale()
    run = flow.run_sync()
    assert (run.recomputed, run["last"]) == (["first"], 11)
    assert run.explain("middle") == "middle was reused: computed once"
    assert flow.run_sync(force=True)["last"] == 7


def test_a_manual_node_turns_stale_and_runs_when_asked() -> None:
    flow = chain(on_change="manual")
    flow.run_sync()
    flow["middle"].settings["factor"] = 3
    assert set(flow.stale()) == {"middle", "last"}
    assert flow.run_sync().recomputed == ["middle", "last"]


def test_muting_skips_what_depends_on_a_node_and_says_so() -> None:
    flow = chain()
    flow.run_sync()
    flow.set_policy("middle", muted=True)
    flow["middle"].settings["factor"] = 3
    run = flow.run_sync()
    assert (run.status, run.recomputed) == ("ok", [])
    assert run.explain("middle") == "middle is muted"
    assert run.explain("last") == "last was skipped: middle is muted"
    assert (flow["middle"].status, flow["last"].status) == ("muted", "skipped")
    with pytest.raises(fb.RunError, match="middle is muted"):
        run["last"]
    flow.set_policy("middle", muted=False)
    assert flow.run_sync()["last"] == 4


def test_a_bypassed_node_hands_its_first_input_on() -> None:
    flow = chain()
    flow.run_sync()
    flow.set_policy("middle", bypassed=True)
    assert set(flow.stale()) == {"middle", "last"}
    run = flow.run_sync()
    assert (run["middle"], run["last"], run.recomputed) == (1, 2, ["last"])
    assert run.explain("middle") == "middle did not fire: bypassed"
    assert flow.run_sync().recomputed == []
    flow["first"].settings["n"] = 5
    assert flow.run_sync()["last"] == 6
    flow.set_policy("middle", bypassed=False)
    assert flow.run_sync()["last"] == 51


def test_a_bypassed_node_does_not_mind_its_other_inputs() -> None:
    flow = fb.Flow("two inputs")

    @flow.node
    def good() -> int:
        return 1

    @flow.node
    def bad() -> int:
        raise ValueError

    @flow.node(bypassed=True)
    def both(good: int, bad: int) -> int:
        return good + bad

    assert flow.run_sync(raise_errors=False)["both"] == 1


def test_a_bypassed_node_without_an_input_is_skipped() -> None:
    flow = fb.Flow("no input")

    @flow.node(bypassed=True)
    def source() -> int:
        return 1

    run = flow.run_sync()
    assert run.explain("source") == "source was skipped: bypassed, but it reads nothing"


def test_without_a_cache_earlier_settings_are_computed_again() -> None:
    flow = chain(cache="off")
    flow.run_sync()
    for factor in (3, 10):
        flow["middle"].settings["factor"] = factor
        assert flow.run_sync().recomputed[0] == "middle"
    kept = chain()
    kept.run_sync()
    kept["middle"].settings["factor"] = 3
    kept.run_sync()
    kept["middle"].settings["factor"] = 10
    run = kept.run_sync()
    assert run.recomputed == []
    assert run.explain("middle") == "middle was reused: computed before with the same settings and inputs"


# -- trying again


class FakeAlarms:
    """Stands in for the engine's timers: notes the waits and lets them pass at once."""

    def __init__(self) -> None:
        self.waits_s: list[float] = []

    def call_later(self, delay_s: float, job: Any) -> Any:
        self.waits_s.append(delay_s)
        threading.Thread(target=job, daemon=True).start()
        return lambda: None


@pytest.fixture
def alarms(monkeypatch: pytest.MonkeyPatch) -> FakeAlarms:
    """Time that passes at once."""
    alarms = FakeAlarms()
    monkeypatch.setattr(fb.Flow().engine, "timers", alarms)
    return alarms


@pytest.mark.parametrize(
    ("retry", "good_at", "waits_s"),
    [
        (fb.Retry(max_attempts=3, delay_s=0.5, multiplier=2), 1, []),
        (fb.Retry(max_attempts=3, delay_s=0.5, multiplier=2), 3, [0.5, 1.0]),
        (fb.Retry(max_attempts=5, delay_s=1, multiplier=10, cap_s=20), 5, [1, 10, 20, 20]),
        (fb.Retry(max_attempts=3, delay_s=0), 3, [0, 0]),
    ],
)
def test_a_failed_firing_is_tried_again_after_growing_waits(
    alarms: FakeAlarms, retry: fb.Retry, good_at: int, waits_s: list[float]
) -> None:
    flow = fb.Flow("retry")

    @flow.node(retry=retry)
    def flaky(ctx: fb.Context, good_at: int = good_at) -> int:
        if count("flaky") < good_at:
            raise OSError
        return ctx.attempt

    run = flow.run_sync()
    assert (run["flaky"], alarms.waits_s) == (good_at, waits_s)
    assert run.recomputed == ["flaky"]
    assert run.errors == []
    assert run.trace.spans[0].attempt == good_at
    assert [event.attempt for event in run.events() if isinstance(event, NodeStarted)] == [*range(1, good_at + 1)]


def test_jitter_picks_waits_below_the_capped_ceiling_and_a_seed_repeats_them(
    alarms: FakeAlarms, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = fb.Flow("jitter")

    @flow.node(retry=fb.Retry(max_attempts=6, delay_s=1, multiplier=3, cap_s=10, jitter=True))
    def never() -> int:
        raise OSError

    waits: list[list[float]] = []
    for seed in (7, 7, 8):
        monkeypatch.setattr(flow.engine, "random", random.Random(seed))  # noqa: S311 -- waits, not secrets
        alarms.waits_s.clear()
        flow.run_sync(raise_errors=False)
        waits.append(alarms.waits_s.copy())
    assert waits[0] == waits[1] != waits[2]
    for made in waits:
        assert all(0 <= wait_s <= ceiling_s for wait_s, ceiling_s in zip(made, [1, 3, 9, 10, 10], strict=True))


def test_a_failure_is_tried_again_before_its_error_port_gets_it_once(alarms: FakeAlarms) -> None:
    flow = fb.Flow("port")

    @flow.node(retry=3)
    def never() -> int:
        count("never")
        raise OSError

    @flow.node
    def handler(error: fb.ErrorPacket) -> int:
        count("handler")
        return error.attempt

    flow.connect("never.error", "handler.error")
    run = flow.run_sync(raise_errors=False)
    assert (run["handler"], calls, len(run.errors)) == (3, {"never": 3, "handler": 1}, 1)
    assert list(flow.dead_letters) == []


def test_after_its_last_attempt_a_node_has_failed_once(alarms: FakeAlarms) -> None:
    flow = chain(retry=3)

    @flow.node(retry=2)
    def middle(first: int) -> int:
        count("middle")
        message = "never"
        raise ValueError(message)

    run = flow.run_sync(raise_errors=False)
    (error,) = run.errors
    assert (error.attempt, error.recoverable, calls["middle"]) == (2, True, 2)
    assert run.explain("last") == "last was skipped: middle failed"


def test_a_policy_of_the_node_overrules_that_of_its_type(alarms: FakeAlarms) -> None:
    flow = chain()

    @flow.node(name="failing")
    def failing() -> int:
        count("failing")
        raise ValueError

    flow.set_policy("failing", retry=4)
    run = flow.run_sync(raise_errors=False)
    assert (calls["failing"], run.errors[0].recoverable) == (4, True)


def test_async_nodes_are_tried_again_too(alarms: FakeAlarms) -> None:
    flow = fb.Flow("async")

    @flow.node(retry=3)
    async def flaky(ctx: fb.Context) -> int:
        if count("flaky") < 3:
            raise OSError
        return ctx.attempt

    assert flow.run_sync()["flaky"] == 3


def test_a_node_that_waits_for_its_next_attempt_holds_no_worker() -> None:
    flow = fb.Flow("waits", policy=FlowPolicy(max_concurrency=2))
    other_ran = threading.Event()
    globals()["_other_ran"] = other_ran

    @flow.node(retry=fb.Retry(max_attempts=2, delay_s=0.01))
    def flaky() -> bool:
        if count("flaky") == 1:
            raise OSError
        ran: threading.Event = globals()["_other_ran"]
        return ran.wait(30)

    @flow.node
    def other(n: int = 0) -> None:
        globals()["_other_ran"].set()

    assert flow.run_sync()["flaky"] is True


# -- how many at once


def test_a_flow_keeps_to_its_own_limit_also_with_async_nodes() -> None:
    flow = fb.Flow("limit", policy=FlowPolicy(max_concurrency=2))
    going: list[int] = []
    globals()["_going"], globals()["_most"] = going, 0

    def enter() -> None:
        globals()["_going"].append(1)
        globals()["_most"] = max(globals()["_most"], len(globals()["_going"]))

    @fb.node(name="limited_sync")
    def sync(n: int) -> int:
        enter()
        globals()["_going"].pop()
        return n

    @fb.node(name="limited_async")
    async def soon(n: int) -> int:
        import asyncio

        enter()
        for _ in range(3):
            await asyncio.sleep(0)
        globals()["_going"].pop()
        return n

    for number in range(8):
        flow.add(sync if number % 2 else soon, f"n{number}", n=number)
    run = flow.run_sync()
    assert [run[f"n{number}"] for number in range(8)] == list(range(8))
    assert globals()["_most"] <= 2


@pytest.mark.parametrize(
    "policy",
    [
        {"max_concurrency": 0},
        {"max_concurrency": True},
        {"on_error": "ignore"},
        {"flow_attempts": 0},
        {"state_storage": 1},
    ],
)
def test_a_flow_policy_that_makes_no_sense_is_refused(policy: dict[str, Any]) -> None:
    with pytest.raises(fb.DefinitionError) as caught:
        FlowPolicy(**policy)
    assert caught.value.code == "FB101"
