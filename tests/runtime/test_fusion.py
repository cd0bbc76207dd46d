"""Nodes that take and give lazy tables are computed in one pass, and what comes out is the same as node by node."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flowbook as fb
from flowbook.data import plans
from flowbook.runtime import fusion
from tests.runtime.watching import over, reached, until
from tests.strategies import examples

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def collects(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many lazy tables each call of ``collect`` was given; the calls are carried out."""
    given_plans: list[int] = []
    real = plans.collect

    def counted(values: Any) -> list[object]:
        lazy = sum(isinstance(value, pl.LazyFrame) for value in values)
        if lazy:
            given_plans.append(lazy)
        return real(values)

    monkeypatch.setattr(plans, "collect", counted)
    return given_plans


def forked() -> fb.Flow:
    """``source`` feeds ``low`` and ``high``; both feed ``both``, and ``high`` feeds ``rows``, which needs a frame."""
    flow = fb.Flow("forked")

    @flow.node
    def source(n: int = 10) -> pl.LazyFrame:
        return pl.LazyFrame({"a": range(n)}).with_columns(pl.col("a").abs())

    @flow.node
    def low(source: pl.LazyFrame) -> pl.LazyFrame:
        return source.filter(pl.col("a") < 4)

    @flow.node
    def high(source: pl.LazyFrame) -> pl.LazyFrame:
        return source.filter(pl.col("a") >= 6).with_columns(b=pl.col("a") * 2)

    @flow.node
    def both(low: pl.LazyFrame, high: pl.LazyFrame) -> pl.LazyFrame:
        return pl.concat([low, high], how="diagonal")

    @flow.node
    def rows(high: pl.DataFrame) -> int:
        return high.height

    return flow


# -- one pass per region


def test_several_tables_of_a_region_are_collected_in_one_pass(collects: list[int]) -> None:
    flow = forked()
    run = flow.run_sync()
    assert collects == [2]
    (fused,) = run.trace.fused
    assert fused.members == ("source", "low", "high", "both")
    assert fused.collected == ("high", "both")
    assert fused.not_fused == {"rows": "rows.high asks for a DataFrame"}
    assert run["rows"] == 4
    assert run["both"].collect()["a"].to_list() == [0, 1, 2, 3, 6, 7, 8, 9]
    assert run.recomputed.index("rows") == 4
    assert collects == [2]


def test_leaves_beside_each_other_share_what_they_have_in_common(collects: list[int]) -> None:
    flow = fb.Flow("leaves")
    counts: list[int] = []

    def look(frame: pl.DataFrame) -> pl.DataFrame:
        counts.append(frame.height)
        return frame

    @flow.node
    def source() -> pl.LazyFrame:
        return pl.LazyFrame({"a": range(6)}).map_batches(look, predicate_pushdown=False)

    for number in range(3):

        def leaf(source: pl.LazyFrame, number: int = number) -> pl.LazyFrame:
            return source.filter(pl.col("a") % 3 == number)

        flow.node(name=f"leaf_{number}")(leaf)
    flow.run_sync()
    assert collects == [3]
    assert counts == [6]


def test_regions_that_a_frame_separates_are_collected_apart(collects: list[int]) -> None:
    flow = fb.Flow("apart")

    @flow.node
    def source() -> pl.LazyFrame:
        return pl.LazyFrame({"a": [3, 1, 2]})

    @flow.node
    def ordered(source: pl.DataFrame) -> pl.DataFrame:
        return source.sort("a")

    @flow.node
    def beside(source: pl.LazyFrame, ordered: pl.LazyFrame) -> pl.LazyFrame:
        return source.rename({"a": "b"}).with_columns(ordered.select("a").collect()["a"])

    run = flow.run_sync()
    assert run["beside"].collect().to_dict(as_series=False) == {"b": [3, 1, 2], "a": [1, 2, 3]}
    assert [fused.collected for fused in run.trace.fused] == [("source",), ("beside",)]
    assert run.trace.fused[1].not_fused["source"] == "ordered stands between them and needs rows"
    assert collects == [1, 1]


def test_a_frame_from_elsewhere_joins_the_region_it_does_not_come_from(collects: list[int]) -> None:
    flow = fb.Flow("joined")

    @flow.node
    def flights() -> pl.LazyFrame:
        return pl.LazyFrame({"k": [1, 2, 2], "v": [1, 2, 3]})

    @flow.node
    def names() -> pl.DataFrame:
        return pl.DataFrame({"k": [1, 2], "name": ["x", "y"]})

    @flow.node
    def named(flights: pl.LazyFrame, names: pl.LazyFrame) -> pl.LazyFrame:
        return flights.join(names, on="k", maintain_order="left")

    @flow.node
    def early(flights: pl.LazyFrame) -> pl.LazyFrame:
        return flights.head(1)

    run = flow.run_sync()
    assert run["named"].collect()["name"].to_list() == ["x", "y", "y"]
    assert collects == [2]
    assert run.trace.fused[0].not_fused == {"names": "names gives no lazy table"}


def test_cells_without_annotations_are_fused_once_they_are_known(collects: list[int]) -> None:
    flow = fb.Flow("plain")
    flow.node(name="source")(lambda: pl.LazyFrame({"a": range(3)}))

    def one(source):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return source.head(1)

    flow.node(name="one")(one)
    flow.node(name="two")(one)
    flow.run_sync()
    collects.clear()
    run = flow.run_sync(force=True)
    assert collects == [2]
    assert run.trace.fused[0].members == ("source", "one", "two")


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ({"pinned": True}, "middle is pinned: its table is kept"),
        ({"fusion": "off"}, "fusion is off for middle"),
        ({"kind": "io"}, "middle is io: what it gives is not the same twice"),
    ],
)
def test_what_ends_a_region_says_so(policy: dict[str, Any], why: str) -> None:
    flow = fb.Flow("ends")

    @flow.node
    def source() -> pl.LazyFrame:
        return pl.LazyFrame({"a": range(6)})

    @flow.node
    def middle(source: pl.LazyFrame) -> pl.LazyFrame:
        return source.filter(pl.col("a") > 1)

    @flow.node
    def leaf(middle: pl.LazyFrame) -> pl.LazyFrame:
        return middle.filter(pl.col("a") > 2)

    flow.set_policy("middle", **policy)
    run = flow.run_sync()
    assert run["leaf"].collect()["a"].to_list() == [3, 4, 5]
    last = run.trace.fused[-1]
    assert last.members == ("leaf",)
    assert last.not_fused == {"middle": why}
    assert flow.results.state("middle").result.collected[0].height == 4  # type: ignore[union-attr]


def test_with_fusion_off_every_node_is_collected_by_itself(collects: list[int]) -> None:
    flow = forked()
    for node_id in flow:
        flow.set_policy(node_id, fusion="off")
    run = flow.run_sync()
    assert collects == [1, 1, 1, 1]
    assert run.trace.fused == []
    assert [span.rows for span in run.trace.spans if span.node != "rows"] == [10, 4, 4, 8]


@pytest.mark.parametrize("draw", [pl.col("a").sample(5), pl.col("a").shuffle()], ids=["sample", "shuffle"])
def test_whoever_reads_a_table_that_is_drawn_at_random_reads_the_same_one(draw: pl.Expr) -> None:
    flow = fb.Flow("drawn")

    @flow.node
    def drawn() -> pl.LazyFrame:
        return pl.LazyFrame({"a": range(1_000)}).select(draw)

    @flow.node
    def one(drawn: pl.LazyFrame) -> pl.LazyFrame:
        return drawn.select("a")

    @flow.node
    def two(drawn: pl.LazyFrame) -> pl.LazyFrame:
        return drawn.with_columns(b=1)

    @flow.node
    def three(drawn: pl.DataFrame) -> list[int]:
        return drawn["a"].to_list()

    for _ in range(2):
        run = flow.run_sync(force=True)
        seen = [run[node].collect()["a"].to_list() for node in ("drawn", "one", "two")]
        assert seen == [run["three"]] * 3


def test_a_policy_that_is_none_is_refused() -> None:
    with pytest.raises(fb.DefinitionError, match="fusion='no' is not a policy"):
        forked().set_policy("low", fusion="no")


# -- what was computed before


def test_a_member_that_was_collected_is_where_the_next_pass_starts(collects: list[int]) -> None:
    flow = forked()
    flow.run_sync(to=["low"])
    assert collects == [1]
    flow.set("source", n=10)
    run = flow.run_sync()
    assert collects == [1, 2]
    assert set(run.recomputed) == {"high", "both", "rows"}
    (fused,) = run.trace.fused
    assert "low" not in fused.members
    assert fused.not_fused["low"] == "low was computed before"


def test_targets_are_collected_together_also_when_nothing_fires(collects: list[int]) -> None:
    flow = forked()
    flow.run_sync(to="rows")
    collects.clear()
    run = flow.run_sync(to=["low", "source"])
    assert collects == [2]
    assert run.trace.fused[0].collected == ("source", "low")
    assert flow.run_sync(to=["low", "source"]).trace.fused == []
    assert collects == [2]


def test_nothing_is_collected_for_a_muted_or_bypassed_reader(collects: list[int]) -> None:
    flow = forked()
    flow.remove("both")
    flow.set_policy("rows", muted=True)
    flow.set_policy("low", bypassed=True)
    run = flow.run_sync()
    assert collects == []
    assert run["low"].collect().height == 10


def test_what_was_built_before_is_collected_in_one_pass_for_a_node_that_needs_its_rows(collects: list[int]) -> None:
    flow = forked()
    flow.remove("rows")
    flow.run_sync()
    assert collects == [1]

    @flow.node
    def sizes(low: pl.DataFrame, high: pl.DataFrame) -> int:
        return low.height + high.height

    run = flow.run_sync()
    assert run["sizes"] == 8
    assert collects == [1, 2]
    (fused,) = run.trace.fused
    assert fused.collected == ("low", "high")
    assert fused.not_fused["sizes"] == "sizes.low asks for a DataFrame"


# -- what flows


def test_edges_say_how_many_rows_flowed(tmp_path: Path) -> None:
    pl.DataFrame({"a": range(1000), "b": range(1000)}).write_parquet(tmp_path / "rows.parquet")
    flow = fb.Flow("counted")

    @flow.node
    def source() -> pl.LazyFrame:
        return pl.scan_parquet(tmp_path / "rows.parquet")

    @flow.node
    def more(source: pl.LazyFrame) -> pl.LazyFrame:
        return source.with_columns(c=pl.col("a") + pl.col("b"))

    @flow.node
    def sums(more: pl.LazyFrame) -> pl.LazyFrame:
        return more.group_by(pl.col("a") % 2).agg(pl.col("c").sum())

    run = flow.run_sync()
    assert run.trace.fused[0].flowed == (("source", "more", 1000), ("more", "sums", 1000))
    labels = {edge["source"]: edge["label"] for edge in fb_edges(flow)}
    assert labels == {"source": "1,000 flowed × 2", "more": "1,000 flowed × 3"}
    run["more"].head(3).collect()  # who looks later counts nothing
    assert {edge["source"]: edge["label"] for edge in fb_edges(flow)} == labels


def fb_edges(flow: fb.Flow) -> list[Any]:
    from flowbook.canvas.snapshot import edges_of

    return list(edges_of(flow))


def test_a_filter_that_moves_to_the_front_lets_fewer_rows_flow() -> None:
    flow = forked()
    run = flow.run_sync(to="low")
    assert run.trace.fused[0].flowed == (("source", "low", 4),)


# -- waiting, and not waiting


def test_a_region_does_not_wait_for_ever_for_what_is_slow() -> None:
    flow, go_on, began = fb.Flow("slow"), threading.Event(), threading.Event()

    @flow.node
    def source() -> pl.LazyFrame:
        return pl.LazyFrame({"a": [1, 2]})

    @flow.node(kind="stateful")
    def slow() -> pl.DataFrame:
        began.set()
        reached(go_on)
        return pl.DataFrame({"a": [2]})

    @flow.node
    def quick(source: pl.LazyFrame) -> pl.LazyFrame:
        return source.filter(pl.col("a") > 1)

    @flow.node
    def late(source: pl.LazyFrame, slow: pl.LazyFrame) -> pl.LazyFrame:
        return source.join(slow, on="a")

    run = flow.start()
    reached(began)
    until(lambda: flow.results.state("quick").status == "ok", "quick, which does not read slow")
    go_on.set()
    over(run)
    assert [fused.collected for fused in run.trace.fused] == [("quick",), ("late",)]
    assert run["late"].collect()["a"].to_list() == [2]


@pytest.mark.parametrize("end", ["cancel", "timeout"])
def test_a_pass_ends_at_the_next_batch_when_nobody_needs_it(end: str) -> None:
    flow, began, ended = fb.Flow("long"), threading.Event(), threading.Event()
    seen: list[int] = []

    def batch(frame: pl.DataFrame) -> pl.DataFrame:
        seen.append(frame.height)
        began.set()
        reached(ended)
        return frame

    @flow.node
    def source() -> pl.LazyFrame:
        many = pl.LazyFrame({"a": range(3_000_000)})
        return many.map_batches(batch, streamable=True, validate_output_schema=False)

    @flow.node(timeout_s=0.3 if end == "timeout" else None)
    def leaf(source: pl.LazyFrame) -> pl.LazyFrame:
        return source.with_columns(b=pl.col("a") + 1)

    run = flow.start()
    reached(began)
    if end == "cancel":
        run.cancel()
    over(run)
    assert run.status == ("cancelled" if end == "cancel" else "failed")
    still_runs = flow.results.unresponsive["leaf"]
    assert still_runs()
    ended.set()
    until(lambda: not still_runs(), "the pass to end")
    assert sum(seen) < 1_500_000
    assert flow.results.state("leaf").result is None


def test_the_deadline_of_a_node_that_is_built_waits_with_it() -> None:
    flow, began, go_on, beat = fb.Flow("patient"), threading.Event(), threading.Event(), threading.Event()

    @flow.node(timeout_s=0.3)
    def source() -> pl.LazyFrame:
        return pl.LazyFrame({"a": [1, 2]})

    @flow.node(kind="stateful")
    def slow() -> int:
        began.set()
        reached(go_on)
        return 2

    @flow.node
    def leaf(source: pl.LazyFrame, slow: int) -> pl.LazyFrame:
        return source.filter(pl.col("a") == slow)

    run = flow.start()
    reached(began)
    # Timers go off in order: whatever was due by then has gone off.
    flow.engine.timers.call_later(0.6, beat.set)
    reached(beat)
    go_on.set()
    over(run)
    assert run.status == "ok", run.errors
    assert run["leaf"].collect()["a"].to_list() == [2]


def test_a_step_of_another_node_is_not_the_time_of_a_node_that_was_built() -> None:
    flow, began, go_on, beat = fb.Flow("others"), threading.Event(), threading.Event(), threading.Event()

    def step(frame: pl.DataFrame) -> pl.DataFrame:
        began.set()
        reached(go_on)
        return frame

    @flow.node(timeout_s=0.3)
    def source() -> pl.LazyFrame:
        return pl.LazyFrame({"a": [1, 2]})

    @flow.node
    def leaf(source: pl.LazyFrame) -> pl.LazyFrame:
        return source.map_batches(step)

    run = flow.start()
    reached(began)
    flow.engine.timers.call_later(0.6, beat.set)
    reached(beat)
    go_on.set()
    over(run)
    assert run.status == "ok", run.errors
    assert run.recomputed == ["source", "leaf"]


@pytest.mark.parametrize("is_leaf", [False, True])
def test_a_node_that_is_retried_computes_its_steps_in_each_attempt(is_leaf: bool) -> None:
    flow, calls = fb.Flow("flaky"), list[int]()

    def flaky(frame: pl.DataFrame) -> pl.DataFrame:
        calls.append(frame.height)
        if len(calls) < 3:
            message = "not yet"
            raise ValueError(message)
        return frame

    @flow.node
    def source() -> pl.LazyFrame:
        return pl.LazyFrame({"a": [1, 2, 3]})

    @flow.node(retry=fb.Retry(max_attempts=5, delay_s=0.0))
    def late(source: pl.LazyFrame) -> pl.LazyFrame:
        return source.map_batches(flaky)

    if not is_leaf:

        @flow.node
        def below(late: pl.LazyFrame) -> pl.LazyFrame:
            return late.with_columns(b=1)

        @flow.node
        def rows(late: pl.DataFrame) -> int:
            return late.height

    run = flow.run_sync(raise_errors=False)
    assert (run.status, run.errors, len(calls)) == ("ok", [], 3)
    assert {flow[node_id].status for node_id in flow} == {"ok"}
    if not is_leaf:
        assert run["below"].collect().height == run["rows"] == 3
        assert run.trace.fused[-1].not_fused["late"] == "late is retried by itself"


def test_a_node_with_a_single_attempt_is_fused_like_any_other(collects: list[int]) -> None:
    flow = forked()
    flow.set_policy("high", retry=fb.Retry(max_attempts=1))
    assert flow.run_sync().status == "ok"
    assert collects == [2]


def stepped(name: str, began: threading.Event, go_on: threading.Event, seen: list[str]) -> fb.Flow:
    """``source``, ``middle``, ``leaf``: each computes a step, which is noted, and waits for ``go_on``."""
    flow = fb.Flow(name)

    def step(name: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
        def look(frame: pl.DataFrame) -> pl.DataFrame:
            seen.append(name)
            began.set()
            reached(go_on)
            return frame

        return look

    @flow.node
    def source() -> pl.LazyFrame:
        return pl.LazyFrame({"a": [1, 2]}).map_batches(step("source"))

    @flow.node
    def middle(source: pl.LazyFrame) -> pl.LazyFrame:
        return source.map_batches(step("middle"))

    @flow.node
    def leaf(middle: pl.LazyFrame) -> pl.LazyFrame:
        return middle.map_batches(step("leaf"))

    return flow


def test_a_pass_over_what_was_built_before_ends_when_its_run_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began, go_on, seen = threading.Event(), threading.Event(), list[str]()
    flow = stepped("reused", began, go_on, seen)
    real, ended = plans.collect, threading.Event()

    def collect(values: Any) -> list[object]:
        try:
            return real(values)
        finally:
            ended.set()

    go_on.set()
    flow.run_sync()
    seen.clear()
    began.clear()
    go_on.clear()
    monkeypatch.setattr(plans, "collect", collect)
    run = flow.start(to="middle")
    reached(began)
    run.cancel()
    over(run)
    go_on.set()
    reached(ended)
    assert run.status == "cancelled"
    assert seen == ["source"]
    assert flow["middle"].status == "ok"
    assert flow.run_sync(to="middle")["middle"].collect().height == 2


@pytest.mark.parametrize("way", ["superseded", "handed over"])
def test_a_pass_over_what_was_built_before_ends_when_a_newer_run_takes_its_nodes(way: str) -> None:
    began, go_on, is_fired, seen = threading.Event(), threading.Event(), threading.Event(), list[str]()
    flow = stepped("taken", began, go_on, seen)

    @flow.node
    def beside(n: int = 1) -> int:
        is_fired.set()
        reached(go_on)
        return n

    go_on.set()
    flow.run_sync()
    for event in (began, go_on, is_fired):
        event.clear()
    seen.clear()
    flow.set("beside", n=2)
    run = flow.start(to=["middle"] if way == "superseded" else ["middle", "beside"])
    reached(began)
    if way == "handed over":
        reached(is_fired)
    given_up = "middle" if way == "superseded" else "beside"
    new = flow.start(to=["middle", "beside"], supersedes=given_up)
    go_on.set()
    over(run)
    assert over(new).status == "ok"
    assert run.explain("middle") == "middle was skipped: superseded by a newer run"
    assert run.status == "ok"
    assert seen == ["source", "source", "middle"], "the first pass ended where it was"


@pytest.mark.parametrize("ends", ["patience", "last member"])
def test_a_pass_is_one_of_the_firings_that_a_flow_allows_for(ends: str) -> None:
    flow = fb.Flow("one_by_one", policy=fb.FlowPolicy(max_concurrency=1))
    built, began, go_on, beat = (threading.Event() for _ in range(4))
    inside: list[str] = []
    seen: list[list[str]] = []

    def step(frame: pl.DataFrame) -> pl.DataFrame:
        seen.append(list(inside))
        return frame

    @flow.node
    def source() -> pl.LazyFrame:
        return pl.LazyFrame({"a": [1, 2]}).map_batches(step)

    @flow.node(kind="stateful", timeout_s=30)
    def slow() -> int:
        inside.append("slow")
        began.set()
        reached(go_on)
        inside.remove("slow")
        if ends == "last member":
            message = "its reader is skipped, which completes the region"
            raise ValueError(message)
        return 2

    @flow.node(pinned=True, priority=1)
    def quick(source: pl.LazyFrame) -> pl.LazyFrame:
        built.set()
        return source.filter(pl.col("a") > 1)

    @flow.node
    def below(quick: pl.LazyFrame) -> pl.LazyFrame:
        return quick.with_columns(b=1)

    @flow.node
    def late(source: pl.LazyFrame, slow: int) -> pl.LazyFrame:
        return source.filter(pl.col("a") == slow)

    run = flow.start()
    reached(began)
    assert built.is_set()
    if ends == "patience":
        flow.engine.timers.call_later(fusion.PATIENCE_S + 0.3, beat.set)
        reached(beat)
    go_on.set()
    over(run)
    assert run.status == ("ok" if ends == "patience" else "failed")
    assert run["below"].collect()["a"].to_list() == [2]
    assert seen
    assert not any(seen)


def test_what_does_not_depend_on_a_failure_is_there() -> None:
    flow = forked()

    @flow.node
    def low(source: pl.LazyFrame) -> pl.LazyFrame:
        return source.with_columns(
            a=pl.format("x{}", "a").cast(pl.Int64),
        )

    flow.remove("both")
    run = flow.run_sync(raise_errors=False)
    assert [(error.node_id, error.line) for error in run.errors] == [("low", low.__code__.co_firstlineno + 3)]
    assert run["rows"] == 4
    assert flow["high"].value.collect().height == 4


def test_the_line_of_a_missing_column_is_named() -> None:
    flow = forked()

    @flow.node
    def high(source: pl.LazyFrame) -> pl.LazyFrame:
        late = source.filter(pl.col("a") > 1)
        return late.sort("gust")

    run = flow.run_sync(raise_errors=False)
    failed = {error.node_id: (error.line, error.message) for error in run.errors}
    assert set(failed) == {"high"}
    assert failed["high"][0] == high.__code__.co_firstlineno + 3
    assert run.trace.fused == []


# -- the law: fused, node by node, or any mixture gives the same tables

_STEPS: dict[str, Callable[..., pl.LazyFrame]] = {
    "filter": lambda one, _: one.filter(pl.col("a") % 3 != 0),
    "more": lambda one, _: one.with_columns(b=pl.col("a") * 2, c=pl.col("b") - 1),
    "head": lambda one, _: one.head(5),
    "tail": lambda one, _: one.slice(2, 6),
    "sort": lambda one, _: one.sort("b", "a", descending=True, maintain_order=True),
    "group": lambda one, _: one.group_by("a", maintain_order=True).agg(pl.col("b").sum()),
    "join": lambda one, two: one.drop("n", strict=False).join(
        two.group_by("a").agg(n=pl.len()), on="a", how="left", maintain_order="left"
    ),
    "concat": lambda one, two: pl.concat([one.select("a", "b"), two.select("a", "b")]),
    "unique": lambda one, _: one.unique("a", maintain_order=True, keep="first"),
    "none": lambda one, _: one.filter(pl.lit(value=False)),
}

_pipelines = st.lists(
    st.tuples(
        st.sampled_from(sorted(_STEPS)),
        st.integers(0, 9),
        st.integers(0, 9),
        st.sampled_from(["lazy", "lazy", "lazy", "frame"]),
        st.sampled_from(["auto", "auto", "off", "pinned"]),
    ),
    min_size=1,
    max_size=7,
)


def _built(pipeline: list[tuple[str, int, int, str, str]], mode: str) -> fb.Flow:
    flow = fb.Flow("random")

    @flow.node
    def n0() -> pl.LazyFrame:
        return pl.LazyFrame({"a": [value % 7 for value in range(20)], "b": range(20)})

    for number, (step, first, second, form, policy) in enumerate(pipeline, 1):

        def node(one: Any, two: Any, step: str = step) -> Any:
            made = _STEPS[step](one.lazy(), two.lazy())
            return made if isinstance(one, pl.LazyFrame) else made.collect()

        kind = pl.LazyFrame if form == "lazy" else pl.DataFrame
        node.__annotations__.update({"one": kind, "two": kind, "return": kind})
        flow.node(name=f"n{number}")(node)
        flow.connect(f"n{first % number}", f"n{number}.one")
        flow.connect(f"n{second % number}", f"n{number}.two")
        if mode == "mixed" and policy != "auto":
            flow.set_policy(f"n{number}", **({"pinned": True} if policy == "pinned" else {"fusion": "off"}))
    if mode == "off":
        for node_id in flow:
            flow.set_policy(node_id, fusion="off")
    return flow


def _tables(flow: fb.Flow) -> dict[str, pl.DataFrame]:
    run = flow.run_sync()
    assert not [fused for fused in run.trace.fused if fused.error]
    return {node_id: run[node_id].lazy().collect() for node_id in flow}


@given(_pipelines)
@examples(60)
def test_fused_or_not_the_tables_are_equal_in_values_types_and_order(
    pipeline: list[tuple[str, int, int, str, str]],
) -> None:
    fused, off, mixed = (_tables(_built(pipeline, mode)) for mode in ("auto", "off", "mixed"))
    for node_id, table in fused.items():
        assert table.equals(off[node_id])
        assert table.schema == off[node_id].schema == mixed[node_id].schema
        assert table.equals(mixed[node_id])
