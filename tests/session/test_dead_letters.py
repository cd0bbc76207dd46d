"""A failure that nobody takes is a dead letter: listed, replayed with its own inputs, dropped; once each."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

import flowbook as fb
from flowbook.core.interfaces import DeadLetter
from flowbook.data.lasting_codecs import LastingCodecs
from flowbook.errors import StoreError
from flowbook.session.process import session
from flowbook.stores.dead_letters import SqliteDeadLetters
from tests.runtime.call_counts import calls, count
from tests.runtime.watching import until

if TYPE_CHECKING:
    from pathlib import Path

_gates: dict[str, threading.Event] = {}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no letters."""
    calls.clear()
    monkeypatch.setenv("FLOWBOOK_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


LASTING = fb.FlowPolicy(state_storage="sqlite")


def orders_flow(policy: fb.FlowPolicy = LASTING, name: str = "orders") -> fb.Flow:
    """``orders -> rate -> total``, where rate fails until it is told by what to divide."""
    flow = fb.Flow(name, policy=policy)

    @flow.node
    def orders(size: int = 3) -> pl.DataFrame:
        return pl.DataFrame({"x": list(range(size))})

    @flow.node
    def rate(orders: pl.DataFrame, by: int = 0) -> float:
        count("rate")
        return float(orders["x"].sum()) / by

    @flow.node
    def total(rate: float) -> float:
        count("total")
        return rate + 1

    return flow


def failed(flow: fb.Flow, **scope: Any) -> fb.Run:
    run = flow.run_sync(raise_errors=False, **scope)
    assert run.status == "failed"
    return run


@pytest.mark.parametrize("policy", [LASTING, fb.FlowPolicy()])
def test_a_failure_is_kept_with_its_inputs_and_replayed_once_it_can_work(policy: fb.FlowPolicy) -> None:
    flow = orders_flow(policy)
    run = failed(flow)
    (letter,) = flow.dead_letters
    assert isinstance(letter, DeadLetter)
    assert (letter.error.node_id, letter.error.trace_id, letter.input_names) == ("rate", run.id, ("orders",))
    assert "1       rate  ZeroDivisionError: float division by zero  orders" in repr(flow.dead_letters)
    flow.set("rate", by=2)
    assert "changed since" in flow.dead_letters._repr_html_()
    (replayed,) = flow.dead_letters.replay(letter.letter_id)
    assert (replayed["total"], replayed.recomputed) == (2.5, ["rate", "total"])
    assert (len(flow.dead_letters), flow["total"].value, flow["rate"].stamp) == (0, 2.5, "live")


def test_old_inputs_are_fired_with_and_change_nothing_of_what_the_flow_shows() -> None:
    flow = orders_flow()
    failed(flow)
    flow.set("orders", size=5)
    failed(flow)
    flow.set("rate", by=1)
    assert [letter.error.node_id for letter in flow.dead_letters] == ["rate", "rate"]
    old, new = flow.dead_letters.replay()
    assert (old["total"], new["total"], flow["total"].value) == (4.0, 11.0, 11.0)
    assert old.recomputed == ["rate", "total"]
    assert list(flow.dead_letters) == []
    assert flow.run_sync().recomputed == []


def test_another_kernel_replays_what_this_one_left(state: Path) -> None:
    failed(orders_flow())
    with SqliteDeadLetters(state / "dead_letters.sqlite", LastingCodecs()) as store:
        (letter,) = store.letters("orders")
        assert store.take(letter.letter_id).inputs["orders"].equals(pl.DataFrame({"x": [0, 1, 2]}))
        store.put_back(letter.letter_id)
    other = orders_flow()  # with no values: orders has never been run in it
    other.set("rate", by=3)
    (run,) = other.dead_letters.replay()
    assert (run["total"], run.recomputed) == (2.0, ["rate", "total"])
    assert (len(other.dead_letters), other["total"].status) == (0, "idle")


def test_a_replay_that_fails_again_leaves_one_letter_that_says_so() -> None:
    flow = orders_flow()
    failed(flow)
    (run,) = flow.dead_letters.replay()
    (letter,) = flow.dead_letters
    assert (run.status, letter.count, letter.error.trace_id) == ("failed", 2, run.id)
    flow.set("rate", by=1)
    assert [run.status for run in flow.dead_letters.replay()] == ["ok"]


def test_the_same_failure_again_is_the_same_letter_and_a_success_settles_it() -> None:
    flow = orders_flow()
    failed(flow)
    failed(flow)
    (letter,) = flow.dead_letters
    assert letter.count == 2
    flow.set("rate", by=1)
    assert flow.run_sync()["total"] == 4.0
    assert list(flow.dead_letters) == []
    assert flow.dead_letters.replay() == []
    assert calls == {"rate": 3, "total": 1}


def test_a_success_of_a_swept_node_settles_its_letter_too() -> None:
    flow = fb.Flow("plain")

    @flow.node
    def one(n: int = 1) -> int:
        return n

    @flow.node
    def inverse(one: int, by: int = 0) -> float:
        return one / by

    failed(flow)
    assert [letter.error.node_id for letter in flow.dead_letters] == ["inverse"]
    flow.set("inverse", by=4)
    assert flow.run_sync()["inverse"] == 0.25
    assert list(flow.dead_letters) == []


@pytest.mark.parametrize(
    ("take", "letters"),
    [("port", []), ("retry", []), ("turn", []), ("muted port", ["bad"]), ("retry too few", ["bad"])],
)
def test_what_somebody_takes_is_no_letter(take: str, letters: list[str]) -> None:
    turns = fb.FlowPolicy(on_error="retry_flow", flow_attempts=3)
    flow = fb.Flow("taken", policy=turns if take == "turn" else None)
    attempts = {"retry": 3, "retry too few": 2}.get(take, 1)

    @flow.node(retry=fb.Retry(max_attempts=attempts, delay_s=0))
    def bad() -> int:
        if count("bad") < 3:
            raise OSError
        return 1

    if "port" in take:

        @flow.node(muted=take == "muted port")
        def handler(error: fb.ErrorPacket) -> str:
            return error.node_id

        flow.connect("bad.error", "handler.error")
    flow.run_sync(raise_errors=False)
    assert [letter.error.node_id for letter in flow.dead_letters] == letters


def test_of_all_turns_of_a_flow_the_last_leaves_the_letter() -> None:
    flow = fb.Flow("turns", policy=fb.FlowPolicy(on_error="retry_flow", flow_attempts=3))

    @flow.node
    def bad() -> int:
        count("bad")
        raise OSError

    failed(flow)
    assert (calls["bad"], [letter.count for letter in flow.dead_letters]) == (3, [1])


def test_a_flow_that_is_cancelled_before_its_next_turn_leaves_the_letters_of_this_one() -> None:
    flow = fb.Flow("cut short", policy=fb.FlowPolicy(on_error="retry_flow", flow_attempts=3))
    _gates["begun"] = threading.Event()

    @flow.node(kind="io")
    def bad(by: int = 0) -> float:
        return 1 / by

    @flow.node(kind="io")
    def slow(ctx: fb.Context) -> None:
        _gates["begun"].set()
        ctx.wait(30)

    for times in (1, 2):
        _gates["begun"].clear()
        run = flow.start()
        assert _gates["begun"].wait(30)
        until(lambda: "bad" in [error.node_id for error in run.errors])  # noqa: B023 -- called at once
        run.cancel()
        assert run.wait(30)
        assert run.status == "cancelled"
        assert [(letter.error.node_id, letter.count) for letter in flow.dead_letters] == [("bad", times)]
    flow.set("bad", by=1)
    (run,) = flow.dead_letters.replay()
    assert (run.status, len(flow.dead_letters)) == ("ok", 0)


def test_what_never_fired_was_given_nothing_and_is_no_letter() -> None:
    flow = fb.Flow("missing")

    @flow.node
    def needs(what: int) -> int:
        return what

    failed(flow)
    assert list(flow.dead_letters) == []


def test_timeouts_async_nodes_and_main_thread_nodes_leave_letters_too() -> None:
    flow = fb.Flow("ways")
    _gates["late"] = threading.Event()

    @flow.node(timeout_s=0.05)
    def late(n: int = 0) -> int:
        _gates["late"].wait(30)
        return n

    @flow.node
    async def soon() -> int:
        raise OSError

    @flow.node(executor="main")
    def main() -> int:
        raise OSError

    try:
        failed(flow)
    finally:
        _gates["late"].set()
    assert sorted(letter.error.node_id for letter in flow.dead_letters) == ["late", "main", "soon"]


def test_a_trial_run_and_a_cancelled_one_leave_no_letters() -> None:
    flow = orders_flow()
    failed(flow, settings={"orders.size": 7})
    assert list(flow.dead_letters) == []
    _gates["begun"] = threading.Event()

    @flow.node
    def rate(ctx: fb.Context, orders: pl.DataFrame) -> float:
        _gates["begun"].set()
        ctx.wait(30)
        raise OSError

    run = flow.start()
    assert _gates["begun"].wait(30)
    run.cancel()
    assert run.wait(30)
    assert (run.status, list(flow.dead_letters)) == ("cancelled", [])


class Model:
    """Something that has no form but pickle."""


def test_an_input_that_cannot_be_kept_is_named_and_asked_for() -> None:
    flow = fb.Flow("models", policy=LASTING)

    @flow.node
    def score(model: Any, rows: np.ndarray, by: int = 0) -> float:
        return float(rows.sum() / by) if by else 1 / by

    failed(flow, inputs={"model": Model(), "rows": np.arange(4)})
    (letter,) = flow.dead_letters
    assert letter.missing == {"model": "an object of class Model has no form but pickle"}
    assert "model (not kept), rows" in repr(flow.dead_letters)
    other = fb.Flow("models", policy=LASTING)
    other.define(replace(flow["score"].node_type))
    other.set("score", by=2)
    with pytest.raises(StoreError, match="FB907"):
        other.dead_letters.replay(letter.letter_id)
    (run,) = other.dead_letters.replay(letter.letter_id, inputs={"model": Model()})
    assert run["score"] == 3.0


def test_letters_that_cannot_be_replayed_say_why_and_stay() -> None:
    flow = orders_flow()
    failed(flow)
    (letter,) = flow.dead_letters
    number = letter.letter_id
    with pytest.raises(StoreError, match="FB904"):
        flow.dead_letters.replay(number + 1)
    with pytest.raises(StoreError, match="is of flow 'orders'"):
        fb.Flow("other", policy=LASTING).dead_letters.replay(number)

    @flow.node
    def rate(others: pl.DataFrame) -> float:
        return 1.0

    with pytest.raises(fb.RunError, match="FB412"):
        flow.dead_letters.replay(number)
    flow.undefine("rate")
    with pytest.raises(fb.RunError, match="FB413"):
        flow.dead_letters.replay(number)
    flow.remove("rate")
    with pytest.raises(fb.WiringError, match="FB201"):
        flow.dead_letters.replay()
    assert "the node is gone" in repr(flow.dead_letters)
    for unknown in (99, "rate"):
        with pytest.raises(StoreError, match=rf"FB904.*no dead letter {unknown}") as missing:
            flow.dead_letters.drop(unknown)  # type: ignore[arg-type]
        assert str(number) in missing.value.hint
    assert (len(flow.dead_letters), flow.dead_letters.drop(), len(flow.dead_letters)) == (1, 1, 0)


def test_a_letter_is_replayed_by_one_at_a_time_and_held_as_long_as_it_takes(state: Path) -> None:
    flow = orders_flow()
    failed(flow)
    (letter,) = flow.dead_letters
    _gates.update(begun=threading.Event(), go=threading.Event())

    @flow.node
    def rate(orders: pl.DataFrame) -> float:
        count("slow")
        _gates["begun"].set()
        _gates["go"].wait(30)
        return 1.0

    runs: list[fb.Run] = []
    thread = threading.Thread(target=lambda: runs.extend(flow.dead_letters.replay()))
    thread.start()
    assert _gates["begun"].wait(30)
    other = orders_flow()
    with pytest.raises(StoreError, match="FB905"):
        other.dead_letters.replay(letter.letter_id)
    assert other.dead_letters.replay() == []
    _gates["go"].set()
    thread.join(30)
    assert ([run.status for run in runs], calls["slow"], len(flow.dead_letters)) == (["ok"], 1, 0)


def test_a_letter_that_a_run_under_way_settles_is_not_fired_once_more() -> None:
    flow = orders_flow()
    failed(flow)
    _gates.update(begun=threading.Event(), go=threading.Event())

    @flow.node(kind="io")
    def rate(orders: pl.DataFrame) -> float:
        count("mended")
        _gates["begun"].set()
        _gates["go"].wait(30)
        return 1.0

    run = flow.start()
    assert _gates["begun"].wait(30)
    runs: list[fb.Run] = []
    thread = threading.Thread(target=lambda: runs.extend(flow.dead_letters.replay()))
    thread.start()
    _gates["go"].set()
    thread.join(30)
    assert run.wait(30)
    assert (runs, calls["mended"], list(flow.dead_letters)) == ([], 1, [])


def test_the_hold_on_a_letter_is_renewed_while_its_replay_goes_on(state: Path) -> None:
    now = [0.0]
    with SqliteDeadLetters(state / "x.sqlite", LastingCodecs(), now=lambda: now[0]) as box:
        number = box.put("f", fb.ErrorPacket(code="FB402", message="m", node_id="n", trace_id="0"), {}, at=0)
        box.take(number)
        now[0] = 50.0
        box.keep_hold(number)
        now[0] = 100.0
        with pytest.raises(StoreError, match="FB905"):
            box.take(number)
        now[0] = 111.0
        box.take(number)


def test_what_fails_below_in_a_replay_is_a_letter_of_its_own() -> None:
    flow = orders_flow()
    failed(flow)

    @flow.node
    def total(rate: float) -> float:
        raise OSError

    flow.set("rate", by=1)
    flow.set("orders", size=4)  # so that the letter's inputs are no longer the flow's
    flow.run_sync(to="orders")
    (run,) = flow.dead_letters.replay()
    assert (run.status, [letter.error.node_id for letter in flow.dead_letters]) == ("failed", ["total"])


def test_letters_follow_a_renamed_node_and_move_when_they_are_to_last() -> None:
    flow = orders_flow(fb.FlowPolicy(), "moving")
    failed(flow)
    flow.rename("rate", "quota")
    assert [letter.error.node_id for letter in flow.dead_letters] == ["quota"]
    flow.policy = LASTING
    assert [letter.flow for letter in session.letter_store.letters()] == ["moving"]
    flow.rename("quota", "share")
    assert [letter.error.node_id for letter in session.letter_store.letters("moving")] == ["share"]
    flow.set("share", by=1)
    (run,) = flow.dead_letters.replay()
    assert run["share"] == 3.0


def test_works_of_letters_that_are_gone_are_forgotten() -> None:
    flow = orders_flow(fb.FlowPolicy())
    for size in range(20):
        flow.set("orders", size=size)
        failed(flow)
    assert len(flow.dead_letters) == 1
    assert flow.results.letters is not None
    assert len(flow.results.letters.open_works["rate"]) < 10


def test_nothing_is_written_to_disk_unless_the_flow_asks_for_it(state: Path) -> None:
    flow = orders_flow(fb.FlowPolicy())
    failed(flow)
    flow.set("orders", size=4)
    failed(flow)
    (letter,) = flow.dead_letters  # of each node the newest
    assert (letter.input_names, state.exists()) == (("orders",), False)
    flow.remove("rate")
    assert list(flow.dead_letters) == []


def test_a_disk_that_refuses_is_told_on_the_node_and_the_run_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = orders_flow()
    flow.run_sync(to="orders")

    def refuse(*_: Any, **__: Any) -> int:
        message = "the disk is full"
        raise StoreError(message, code="FB903")

    monkeypatch.setattr(session.letter_store, "put", refuse)
    run = failed(flow)
    span = next(span for span in run.trace.spans if span.node == "rate")
    assert span.effects is not None
    assert ("warning", "not kept as a dead letter: the disk is full\n") in span.effects.entries


def test_a_storage_of_another_version_is_kept_noted_and_means_memory(state: Path) -> None:
    flow = orders_flow(fb.FlowPolicy())
    flow.apply([{"op": "document", "text": '{"flowbook": "1", "policy": {"stateStorage": "redis"}}'}])
    failed(flow)
    assert (len(flow.dead_letters), state.exists()) == (1, False)
    assert [finding.code for finding in flow.check()] == ["FB112"]
    assert flow.document()["policy"] == {"stateStorage": "redis"}
    flow.policy = fb.FlowPolicy(max_concurrency=2)
    assert flow.document()["policy"] == {"stateStorage": "redis", "maxConcurrency": 2}
    flow.policy = LASTING
    assert flow.document()["policy"] == {"stateStorage": "sqlite"}
    assert flow.check() == []


def test_a_flow_is_got_with_a_policy_or_keeps_its_own() -> None:
    flow = fb.flow("got with a policy", policy=LASTING)
    assert fb.flow("got with a policy") is flow
    assert flow.policy == LASTING
    assert fb.flow("got with a policy", policy=fb.FlowPolicy()).policy.state_storage == "memory"


def test_a_letter_of_a_node_that_reads_failures_keeps_the_failure(state: Path) -> None:
    def told_flow() -> fb.Flow:
        flow = fb.Flow("told", policy=LASTING)

        @flow.node
        def breaks(n: int = 1) -> float:
            return n / 0

        @flow.node
        def tells(failure: fb.ErrorPacket, is_down: bool = True) -> str:
            if is_down:
                message = "no network"
                raise OSError(message)
            return f"{failure.node_id} line {failure.line}: {failure.code} {failure.message}"

        flow.connect("breaks.error", "tells.failure")
        return flow

    run = failed(told_flow())
    other = told_flow()  # as in another kernel
    (letter,) = other.dead_letters
    assert (letter.error.node_id, letter.input_names, dict(letter.missing)) == ("tells", ("failure",), {})
    other.set("tells", is_down=False)
    (again,) = other.dead_letters.replay()
    line = next(error.line for error in run.errors if error.node_id == "breaks")
    assert again["tells"] == f"breaks line {line}: FB402 ZeroDivisionError: division by zero"
    assert len(other.dead_letters) == 0
