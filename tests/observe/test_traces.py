"""A trace says what each node of a run did, in the same words for every reader."""

# ruff: noqa: T201 -- nodes print

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
import typing
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

import flowbook as fb
from flowbook.canvas import protocol
from flowbook.core.events import RunFinished, RunStarted
from flowbook.observe.traces import Trace
from flowbook.runtime.executors import WorkerPool
from tests.runtime.watching import DEADLINE_S, Firings, over, reached

if TYPE_CHECKING:
    from collections.abc import Iterator

TRACE_KEYS = [
    "flowbook", "kind", "flow", "runId", "seq", "status", "final", "startedAt", "tookS", "summarised", "counts",
    "spans", "fused",
]  # fmt: skip
COUNT_KEYS = ["ran", "cached", "failed", "skipped", "copies", "copiedBytes"]
SPAN_KEYS = [
    "node", "status", "stamp", "reason", "startS", "tookS", "attempt", "rows", "columns", "copies", "copiedBytes",
    "copyReason", "logs", "logCount", "error",
]  # fmt: skip
FRAME_TYPES: dict[str, Any] = {
    "node": pl.String, "status": pl.String, "stamp": pl.String, "reason": pl.String, "start_s": pl.Float64,
    "took_s": pl.Float64, "attempt": pl.Int64, "rows": pl.Int64, "columns": pl.Int64, "copies": pl.Int64,
    "copied_bytes": pl.Int64, "error": pl.String,
}  # fmt: skip


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What slow nodes wait for; open at the end."""
    made = threading.Event()
    yield made
    made.set()


def every_fate() -> fb.Flow:
    """A flow in which every node ends in another way."""
    flow = fb.Flow("fates")

    @flow.node
    def table() -> pl.DataFrame:
        print("made a table")
        return pl.DataFrame({"a": [1.0, 2.0, 3.0], "b": [True, False, True]})

    @flow.node
    def array(table: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return table

    @flow.node
    def fails(table: pl.DataFrame) -> int:
        message = "it <b>failed</b>"
        raise ValueError(message)

    @flow.node
    def skipped(fails: int) -> int:
        return fails

    @flow.node(muted=True)
    def muted() -> int:
        return 1

    @flow.node(retry=fb.Retry(max_attempts=3, delay_s=0.0))
    def tries(ctx: fb.Context) -> int:
        print("attempt", ctx.attempt)
        if ctx.attempt < 3:
            message = "not yet"
            raise OSError(message)
        return ctx.attempt

    return flow


def spans(run: fb.Run) -> dict[str, dict[str, Any]]:
    return {span["node"]: span for span in run.trace.to_json()["spans"]}


# -- the form


def _keys(record: Any) -> set[str]:
    return set(typing.get_type_hints(record))


def test_the_bundle_has_exactly_the_keys_of_the_protocol() -> None:
    run = every_fate().run_sync(raise_errors=False)
    trace = run.trace.to_json()
    assert list(trace) == TRACE_KEYS
    assert list(trace["counts"]) == COUNT_KEYS
    assert (set(TRACE_KEYS), set(COUNT_KEYS), set(SPAN_KEYS)) == (
        _keys(protocol.Trace), _keys(protocol.Counts), _keys(protocol.Span),
    )  # fmt: skip
    for span in trace["spans"]:
        assert list(span) == SPAN_KEYS
        for entry in span["logs"]:
            assert list(entry) == ["stream", "text"]
        if span["error"] is not None:
            assert list(span["error"]) == ["code", "message", "hint", "line"]
    assert json.loads(json.dumps(trace, allow_nan=False)) == trace


def test_the_bundle_names_flow_run_and_state() -> None:
    run = every_fate().run_sync(raise_errors=False)
    trace = run.trace.to_json()
    assert (trace["flowbook"], trace["kind"], trace["flow"], trace["runId"]) == ("1", "trace", "fates", run.id)
    assert len(run.id) == 32
    assert int(run.id, 16) >= 0
    assert (trace["status"], trace["final"], trace["summarised"]) == ("failed", True, False)
    started = dt.datetime.fromisoformat(trace["startedAt"])
    assert trace["startedAt"].endswith("Z")
    assert abs((dt.datetime.now(tz=dt.UTC) - started).total_seconds()) < 60


def test_every_node_ends_as_it_did() -> None:
    found = spans(every_fate().run_sync(raise_errors=False))
    facts = {node: (span["status"], span["stamp"], span["reason"], span["attempt"]) for node, span in found.items()}
    assert facts == {
        "table": ("ok", "recorded", "first run", 1),
        "array": ("ok", "recorded", "first run", 1),
        "fails": ("failed", None, "ValueError: it <b>failed</b>", 1),
        "skipped": ("skipped", None, "skipped: fails failed", 0),
        "muted": ("muted", None, "muted", 0),
        "tries": ("ok", "recorded", "first run", 3),
    }


def test_the_counts_are_those_of_the_spans() -> None:
    flow = every_fate()
    first = flow.run_sync(raise_errors=False).trace.counts()
    assert first == {
        "ran": 4, "cached": 0, "failed": 1, "skipped": 1, "copies": 1, "copied_bytes": first["copied_bytes"],
    }  # fmt: skip
    assert first["copied_bytes"] >= 3 * 2 * 8, "a table of two types becomes an array"
    second = flow.run_sync(raise_errors=False)
    assert second.trace.counts() == {
        "ran": 1, "cached": 3, "failed": 1, "skipped": 1, "copies": 0, "copied_bytes": 0,
    }  # fmt: skip
    assert spans(second)["table"]["stamp"] == "cached"


@pytest.mark.parametrize("again", [False, True])
def test_a_stored_stamp_is_never_live(again: bool) -> None:
    flow = every_fate()
    run = flow.run_sync(raise_errors=False)
    if again:
        run = flow.run_sync(raise_errors=False)
    assert "live" not in {span["stamp"] for span in run.trace.to_json()["spans"]}
    assert ("live" in {span.stamp for span in run.trace.spans}) != again, "a view that is there may say so"


def test_rows_and_columns_are_those_of_the_primary_output() -> None:
    flow = fb.Flow("sizes")

    @flow.node(outputs=("left", "both"))
    def both() -> tuple[pl.DataFrame, pl.DataFrame]:
        return pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [1, 2], "b": [1, 2]})

    @flow.node(outputs=("left", "right"))
    def neither() -> tuple[pl.DataFrame, pl.DataFrame]:
        return pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [1, 2]})

    flow.node(name="text")(lambda: "a text")
    flow.node(name="matrix")(lambda: np.zeros((4, 5)))
    found = spans(flow.run_sync())
    sizes = {node: (span["rows"], span["columns"]) for node, span in found.items()}
    assert sizes == {"both": (2, 2), "neither": (None, None), "text": (None, None), "matrix": (4, 5)}


def test_copies_are_counted_where_they_were_needed() -> None:
    found = spans(every_fate().run_sync(raise_errors=False))
    assert {node: span["copies"] for node, span in found.items() if span["copies"]} == {"array": 1}
    assert found["array"]["copiedBytes"] >= 48


# -- times


def test_times_grow_and_fit_into_the_run() -> None:
    flow = fb.Flow("times")
    for number in range(20):
        namespace: dict[str, Any] = {}
        reads = f"n{number - 1}" if number else ""
        exec(f"def n{number}({reads}): return {number}", namespace)  # noqa: S102 -- our own text
        flow.node(namespace[f"n{number}"])
    trace = flow.run_sync().trace.to_json()
    starts = [span["startS"] for span in trace["spans"]]
    ends = [span["startS"] + span["tookS"] for span in trace["spans"]]
    slack_s = 0.002  # two clocks
    assert starts == sorted(starts)
    assert all(start >= 0 for start in starts)
    assert all(after >= before - slack_s for before, after in zip(ends, starts[1:], strict=False))
    assert max(ends) <= trace["tookS"] + slack_s
    assert all(isinstance(span["tookS"], float) and span["tookS"] >= 0 for span in trace["spans"])


def test_what_did_not_fire_has_no_times() -> None:
    flow = every_fate()
    flow.run_sync(raise_errors=False)
    found = spans(flow.run_sync(raise_errors=False))
    assert {node for node, span in found.items() if span["startS"] is not None} == {"fails"}
    assert {node for node, span in found.items() if span["tookS"] is not None} == {"fails"}


def test_the_time_of_a_node_covers_all_its_attempts() -> None:
    flow = fb.Flow("attempts")

    @flow.node(retry=fb.Retry(max_attempts=3, delay_s=0.01, multiplier=1.0))
    def tries(ctx: fb.Context) -> int:
        if ctx.attempt < 3:
            message = "not yet"
            raise OSError(message)
        return 1

    run = flow.run_sync()
    starts = [event.at for event in run.events() if event.kind == "node_started"]
    span = spans(run)["tries"]
    assert len(starts) == 3
    assert span["attempt"] == 3
    assert span["tookS"] >= 0.02
    assert run.trace.took_s >= span["tookS"] - 0.002


def test_a_trace_can_be_read_while_its_run_goes_on() -> None:
    flow, firings = fb.Flow("going on"), Firings()

    @flow.node
    def slow() -> int:
        print("begun")
        return firings.fire()

    @flow.node
    def below(slow: int) -> int:
        return slow

    run = flow.start()
    firings.wait_for(1)
    trace = run.trace.to_json()
    assert (trace["status"], trace["final"]) == ("running", False)
    states = [(span["status"], span["attempt"], span["logs"]) for span in trace["spans"]]
    assert states == [("running", 1, [{"stream": "stdout", "text": "begun\n"}]), ("queued", 0, [])]
    firings.let_go(1)
    over(run)
    final = run.trace.to_json()
    assert (final["status"], final["final"]) == ("ok", True)
    assert final["seq"] > trace["seq"]
    assert final["tookS"] >= trace["tookS"]


def test_the_trace_of_a_queued_run_tells_when_it_was_asked_for(gate: threading.Event) -> None:
    flow = fb.Flow("queued")
    flow.node(name="slow")(lambda: gate.wait(DEADLINE_S))
    before = dt.datetime.now(tz=dt.UTC).replace(microsecond=0)
    first, second = flow.start(), flow.start()
    trace = second.trace.to_json()
    assert dt.datetime.fromisoformat(trace["startedAt"]) >= before
    assert (trace["status"], trace["final"], trace["spans"], trace["tookS"]) == ("running", False, [], 0)
    gate.set()
    over(first)
    over(second)


def test_spans_stand_in_topological_order_whatever_ended_first() -> None:
    flow = fb.Flow("order")
    quick_is_done = threading.Event()

    @flow.node
    def last(slow: int, quick: int) -> int:
        return 1

    @flow.node
    def slow() -> int:
        reached(quick_is_done)
        return 1

    @flow.node
    def quick() -> int:
        quick_is_done.set()
        return 1

    run = flow.run_sync()
    assert [span.node for span in run.trace.spans] == ["slow", "quick", "last"]


def test_a_cancelled_run_has_a_final_trace() -> None:
    flow = fb.Flow("cancelled")
    began = threading.Event()

    @flow.node
    def slow(ctx: fb.Context) -> int:
        print("begun")
        began.set()
        ctx.wait(DEADLINE_S)
        return 1

    @flow.node
    def below(slow: int) -> int:
        return slow

    run = flow.start()
    reached(began)
    run.cancel()
    over(run)
    trace = run.trace.to_json()
    assert (trace["status"], trace["final"]) == ("cancelled", True)
    found = spans(run)
    assert [(span["status"], span["reason"]) for span in found.values()] == [("skipped", "cancelled")] * 2
    assert found["slow"]["logs"] == [{"stream": "stdout", "text": "begun\n"}]
    assert found["slow"]["tookS"] is not None
    assert found["below"]["tookS"] is None


# -- what nodes said


def test_logs_stand_on_their_own_node_in_order() -> None:
    flow = fb.Flow("said")

    @flow.node
    def talks() -> int:
        print("out")
        logging.getLogger("a.library").warning("logged")
        warnings.warn("warned", stacklevel=1)
        return 1

    @flow.node
    def silent(talks: int) -> int:
        return talks

    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        found = spans(flow.run_sync())
    assert found["talks"]["logs"] == [
        {"stream": "stdout", "text": "out\n"},
        {"stream": "log", "text": "WARNING a.library: logged"},
        {"stream": "warning", "text": "UserWarning: warned"},
    ]
    assert found["talks"]["logCount"] == 3
    assert (found["silent"]["logs"], found["silent"]["logCount"]) == ([], 0)


def test_the_logs_of_every_attempt_are_kept() -> None:
    found = spans(every_fate().run_sync(raise_errors=False))
    text = "".join(entry["text"] for entry in found["tries"]["logs"])
    assert text == "attempt 1\nattempt 2\nattempt 3\n"


def test_long_logs_are_cut_and_counted_whole() -> None:
    flow = fb.Flow("long")

    @flow.node
    def talks() -> None:
        log = logging.getLogger("a.library")
        for number in range(3_000):
            log.warning("%s %s", number, "x" * 10_000 if number == 0 else "")

    span = spans(flow.run_sync())["talks"]
    assert len(span["logs"]) == 100
    assert max(len(entry["text"]) for entry in span["logs"]) == 4_000
    assert span["logCount"] == 3_000


def test_a_failure_tells_code_message_hint_and_line() -> None:
    flow = fb.Flow("failure")

    @flow.node
    def fails() -> int:
        rows: dict[str, int] = {}
        return rows["late"]

    error = spans(flow.run_sync(raise_errors=False))["fails"]["error"]
    assert (error["code"], error["message"]) == ("FB402", "KeyError: 'late'")
    assert error["line"] == fails.__code__.co_firstlineno + 3


# -- as a table


def test_the_frame_has_one_row_per_span_and_its_own_columns() -> None:
    run = every_fate().run_sync(raise_errors=False)
    frame = run.trace.frame()
    assert isinstance(frame, pl.DataFrame)
    assert frame.columns == list(FRAME_TYPES)
    assert frame["node"].to_list() == [span.node for span in run.trace.spans]
    rows = {row["node"]: row for row in frame.iter_rows(named=True)}
    assert (rows["tries"]["attempt"], rows["table"]["rows"], rows["table"]["columns"]) == (3, 3, 2)
    assert rows["fails"]["error"] == "ValueError: it <b>failed</b>"
    assert rows["skipped"]["took_s"] is None
    assert rows["table"]["stamp"] == "live", "in this kernel, at this moment"


def test_the_frame_has_the_same_types_whatever_happened() -> None:
    flow = fb.Flow("types")
    flow.node(name="one")(lambda: 1)
    first, second = flow.run_sync().trace.frame(), flow.run_sync().trace.frame()
    failed = every_fate().run_sync(raise_errors=False).trace.frame()
    empty = fb.Flow("empty").run_sync().trace.frame()
    for frame in (first, second, failed, empty):
        assert dict(frame.schema) == FRAME_TYPES
    assert pl.concat([first, second, failed, empty]).height == 8


def test_a_run_of_nothing_has_an_empty_trace() -> None:
    run = fb.Flow("empty").run_sync()
    trace = run.trace.to_json()
    assert (trace["spans"], trace["status"], trace["final"]) == ([], "ok", True)
    assert run.trace.frame().is_empty()


# -- many threads


def test_a_trace_is_whole_whenever_it_is_read() -> None:
    """Readers on other threads see spans that were there, and counts that belong to them."""
    node_ids = tuple(f"n{number}" for number in range(50))
    trace = Trace("read", "0" * 32, lambda rows, types: list(rows))
    pool, is_over, problems = WorkerPool("reader"), threading.Event(), []

    def read() -> None:
        while not is_over.is_set():
            found = trace.to_json()
            if len(found["spans"]) not in (0, len(node_ids)) or found["seq"] > 2:
                problems.append(found)

    for _ in range(3):
        pool.submit(read)
    trace.take(RunStarted(flow="read", trace_id="0" * 32, at=1.0, node_ids=node_ids))
    trace.take(RunFinished(flow="read", trace_id="0" * 32, at=2.0, status="ok"))
    is_over.set()
    assert problems == []
    assert trace.to_json()["tookS"] == 1.0
