"""Reading what a run came to: values in their annotated form, failures that say why, and words that explain."""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest

import flowbook as fb
from flowbook.errors import NodeFailedError, RunError, UnknownIdError


class Split(NamedTuple):
    train: int
    test: int


class BadDayError(Exception):
    """Somebody's own exception."""


@pytest.fixture
def flow() -> fb.Flow:
    """Good (a value), bad (fails), after_bad (skipped), muted, pair (two outputs), named (one bears its name)."""
    flow = fb.Flow("f")

    @flow.node
    def good() -> int:
        return 1

    @flow.node
    def bad(good: int) -> int:
        message = "no such day\nmore of it"
        raise BadDayError(message)

    @flow.node
    def after_bad(bad: int) -> int:
        return bad

    @flow.node(outputs=("train", "test"))
    def pair() -> tuple[int, int]:
        return 1, 2

    @flow.node(outputs=("named", "rest"))
    def named() -> tuple[int, int]:
        return 3, 4

    return flow


def test_a_node_gives_its_primary_output_or_the_port_that_is_named(flow: fb.Flow) -> None:
    run = flow.run_sync(raise_errors=False)
    assert (run["good"], run["good.result"]) == (1, 1)
    assert (run["pair.train"], run["pair.test"]) == (1, 2)
    assert (run["named"], run["named.rest"]) == (3, 4)
    assert flow["pair"].value == {"train": 1, "test": 2}
    assert flow["named"].value == 3


@pytest.mark.parametrize(
    ("name", "error", "code", "words", "hint"),
    [
        ("god", UnknownIdError, "FB201", "does not cover 'god'", "did you mean 'good'"),
        ("good.reslt", UnknownIdError, "FB201", "'good' has no output 'reslt'", "'result'"),
        ("pair", UnknownIdError, "FB201", "'pair' has several outputs", 'run["pair.train"], run["pair.test"]'),
        ("bad", NodeFailedError, "FB402", "'bad' failed: BadDayError: no such day", ""),
        ("after_bad", RunError, "FB408", "'after_bad' has no value: skipped: bad failed", "look at 'bad' first"),
    ],
)
def test_what_has_no_value_says_why(
    flow: fb.Flow, name: str, error: type[Exception], code: str, words: str, hint: str
) -> None:
    run = flow.run_sync(raise_errors=False)
    with pytest.raises(error) as caught:
        run[name]
    assert isinstance(caught.value, fb.FlowbookError)
    assert isinstance(caught.value, KeyError) is (error is UnknownIdError)
    assert caught.value.code == code
    assert words in caught.value.what
    assert hint in caught.value.hint
    assert "flow 'f'" in caught.value.where


def test_a_failed_node_keeps_its_exception_and_its_line(flow: fb.Flow) -> None:
    run = flow.run_sync(raise_errors=False)
    (packet,) = run.errors
    assert (packet.code, packet.node_id, packet.message) == ("FB402", "bad", "BadDayError: no such day")
    assert (packet.trace_id, packet.attempt, packet.recoverable) == (run.id, 1, False)
    assert isinstance(packet.cause, BadDayError)
    assert run["bad.error"] is packet
    assert run["good.error"] is None
    with pytest.raises(NodeFailedError) as caught:
        run["bad"]
    assert caught.value.__cause__ is packet.cause
    assert packet.line is not None
    assert f"line {packet.line} of its code" in caught.value.where
    with pytest.raises(NodeFailedError):
        _ = flow["bad"].value
    with pytest.raises(RunError, match=r"has no value yet[\s\S]*flow.run\(to="):
        _ = fb_idle(flow).value


def fb_idle(flow: fb.Flow) -> Any:
    """A node that never ran."""

    @flow.node
    def idle() -> int:
        return 0

    return flow["idle"]


def test_a_run_raises_when_a_node_failed_after_finishing_the_rest(flow: fb.Flow) -> None:
    with pytest.raises(fb.FlowFailedError) as caught:
        flow.run_sync()
    error = caught.value
    assert error.run is not None
    assert (error.code, error.run.status) == ("FB401", "failed")
    assert [flow.last_run] == [error.run]
    assert error.what == "1 node failed: bad: BadDayError: no such day"
    assert error.fields == {"nodes": ["bad"]}
    assert isinstance(error.__cause__, BadDayError)
    assert (error.run["good"], error.run["named"]) == (1, 3)
    with pytest.raises(fb.FlowFailedError):
        asyncio.run(awaited(flow))
    assert isinstance(flow.run_sync(raise_errors=False), fb.Run)


async def awaited(flow: fb.Flow) -> fb.Run:
    return await flow.run()


def test_many_failures_are_counted_and_the_first_are_told() -> None:
    flow = fb.Flow("many")
    for name in "abcde":
        flow.node(name=name)(_fails)
    with pytest.raises(fb.FlowFailedError, match=r"5 nodes failed: a: .*; b: .*; c: .* …"):
        flow.run_sync()


def _fails() -> int:
    raise BadDayError


def test_a_run_shows_itself_in_one_line(flow: fb.Flow) -> None:
    run = flow.run_sync(raise_errors=False)
    assert repr(run) == f"<run {run.id[:4]} of f: failed, 4 ran, 1 failed, 1 skipped>"
    assert len(run.id) == 32
    assert int(run.id, 16)
    again = flow.run_sync(to="named")
    assert repr(again) == f"<run {again.id[:4]} of f: ok, 1 cached>"
    assert repr(flow["named"]) == "<node named of f: ok, cached>"
    assert repr(fb_idle(flow)) == "<node idle of f: idle>"
    assert repr(fb.Flow("e").run_sync()).endswith(" of e: ok>")


def test_the_line_of_a_failure_is_that_of_the_nodes_own_code() -> None:
    flow = fb.Flow("lines")

    def helper() -> None:
        raise BadDayError

    @flow.node
    def calls() -> int:
        helper()
        return 1

    run = flow.run_sync(raise_errors=False)
    first = helper.__code__.co_firstlineno
    assert run.errors[0].line == first + 1


@pytest.mark.parametrize(
    ("annotation", "made", "expected"),
    [
        (pl.DataFrame, pl.LazyFrame({"a": [1]}), pl.DataFrame),
        (pl.LazyFrame, pl.DataFrame({"a": [1]}), pl.LazyFrame),
        (pl.Series, pl.DataFrame({"a": [1]}), pl.Series),
        (np.ndarray, pl.Series([1.0, 2.0]), np.ndarray),
        (pl.DataFrame, {"a": 1}, dict),
        (int, "text", str),
        (None, pl.LazyFrame({"a": [1]}), pl.LazyFrame),
    ],
)
def test_a_value_has_the_annotated_type_where_it_can_take_it(annotation: Any, made: Any, expected: type) -> None:
    """A table is given in the form the annotation says; what cannot take it comes as the function returned it."""

    def f() -> Any:
        return made

    f.__annotations__ = {} if annotation is None else {"return": annotation}
    flow = fb.Flow("types")
    flow.node(f)
    flow.node(name="reader")(_reads)
    run = flow.run_sync()
    assert type(run["f"]) is expected
    assert type(flow["f"].value) is expected


def _reads(f: Any) -> int:
    return 1


@pytest.mark.parametrize(
    ("returned", "code"),
    [((1, 2, 3), "FB110"), (5, "FB110"), ((1,), "FB110"), ([1, 2], None), (Split(1, 2), None)],
)
def test_a_function_must_return_what_its_outputs_say(returned: Any, code: str | None) -> None:
    flow = fb.Flow("outputs")

    @flow.node(outputs=("train", "test"))
    def split() -> Any:
        return returned

    run = flow.run_sync(raise_errors=False)
    assert [error.code for error in run.errors] == ([code] if code else [])
    if code is None:
        assert (run["split.train"], run["split.test"]) == (1, 2)


def test_a_record_gives_its_fields(flow: fb.Flow) -> None:
    @flow.node
    def split() -> Split:
        return Split(5, 6)

    @flow.node
    def wrong() -> Split:
        return (5, 6)  # type: ignore[return-value]

    @flow.node
    def reader(train: int) -> int:
        return train

    flow.connect("split.train", "reader.train")
    run = flow.run_sync(raise_errors=False)
    assert (run["split.train"], run["split.test"], run["reader"]) == (5, 6, 5)
    assert {error.node_id: error.code for error in run.errors}["wrong"] == "FB110"


def test_a_coroutine_that_nobody_awaits_is_refused() -> None:
    flow = fb.Flow("coroutine")

    async def later() -> int:
        return 1

    @flow.node
    def forgot() -> Any:
        return later()

    run = flow.run_sync(raise_errors=False)
    assert run.errors[0].code == "FB650"
    assert "async def" in run.errors[0].hint


def test_a_coroutine_used_as_a_value_says_that_it_was_not_awaited() -> None:
    flow = fb.Flow("coroutine")
    made = []

    async def awaited() -> int:
        return 1

    def later() -> Any:
        made.append(awaited())
        return made[-1]

    @flow.node
    async def adds() -> int:
        return int(later() + 1)

    @flow.node
    def reads() -> int:
        return int(later().real)

    @flow.node(outputs=("one", "other"))
    async def gives() -> tuple[int, Any]:
        return 1, later()

    run = flow.run_sync(raise_errors=False)
    for coroutine in made:
        coroutine.close()  # otherwise Python complains as well
    found = {error.node_id: (error.code, error.hint) for error in run.errors}
    assert found == {
        "adds": ("FB402", "write `await` before the call that made it"),
        "reads": ("FB402", "make the node itself `async def`, and await inside it"),
        "gives": ("FB650", "write `await` before the call that made it"),
    }


def test_a_node_can_have_the_packet_instead_of_its_payload(flow: fb.Flow) -> None:
    @flow.node
    def reads(good: fb.Packet) -> fb.Packet:
        return good

    before = time.time()
    run = flow.run_sync(to="reads")
    packet = run["reads"]
    assert (packet.value, packet.trace_id, packet.origin) == (1, run.id, "good.result")
    assert before <= packet.created_at <= time.time()


def test_a_node_is_told_who_it_is() -> None:
    flow = fb.Flow("services")

    @flow.node
    def asks(ctx: fb.Context, n: int = 1) -> int:
        globals()["_told"] = (ctx.flow, ctx.node_id, ctx.trace_id, ctx.attempt, ctx.cancelled)
        ctx.progress(0.5)
        ctx.progress(7)
        return n

    run = flow.run_sync()
    assert globals()["_told"] == ("services", "asks", run.id, 1, False)
    assert run.trace.spans[0].effects.progress == 1.0


@pytest.mark.parametrize("on_change", ["auto", "once"])
def test_a_value_of_older_code_is_none_of_more_outputs(on_change: Any) -> None:
    flow = fb.Flow("f")

    @flow.node
    def split(n: int = 4) -> int:
        return n

    flow.set_policy("split", on_change=on_change)
    assert flow.run_sync()["split"] == 4

    @flow.node(name="split", outputs=("low", "high"))
    def halves(n: int = 4) -> tuple[int, int]:
        return n // 2, n - n // 2

    @flow.node
    def top(high: int) -> int:
        return high

    with pytest.raises(RunError, match="'split' has no value yet"):
        _ = flow["split"].value
    run = flow.run_sync(only="top", raise_errors=False)
    assert [error.message for error in run.errors] == ["'top' needs 'split', which has no value yet"]
    assert flow.run_sync()["top"] == 2
    assert flow["split"].value == {"low": 2, "high": 2}
