"""A flow run for each combination of some settings: what is shared, what fails alone, what stays as it is."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path  # noqa: TC003 -- nodes read their annotations
from typing import Any

import numpy as np
import polars as pl
import pytest

import flowbook as fb
from flowbook.runtime.run import AwaitInterrupt


@pytest.fixture
def flow() -> fb.Flow:
    """``load -> early -> late`` and ``early -> other``, ``load -> aside``."""
    flow = fb.Flow("f")

    @flow.node(kind="io")
    def load(n: int = 4) -> list[int]:
        return list(range(n))

    @flow.node
    def early(load: list[int], a: int = 1) -> int:
        return sum(load) * a

    @flow.node
    def late(early: int, b: int = 1) -> float:
        return early / b

    @flow.node
    def other(early: int) -> str:
        return f"<{early}>"

    @flow.node
    def aside(load: list[int]) -> int:
        return len(load)

    return flow


def done(sweep: Any) -> Any:
    assert sweep.wait(60)
    return sweep


def test_each_combination_gives_a_row_and_shares_all_it_does_not_change(flow: fb.Flow) -> None:
    document = flow.document_text()
    sweep = done(flow.sweep({"early.a": [1, 2], ("late", "b"): [1, 2, 3]}))
    assert [(row["early.a"], row["late.b"], row["late"], row["other"]) for row in sweep.rows] == [
        (a, b, 6 * a / b, f"<{6 * a}>") for a in (1, 2) for b in (1, 2, 3)
    ]
    assert sweep.shared.recomputed == ["load"], "the source fires once, though it is io"
    assert [sorted(row.fired) for row in sweep.rows] == [["early", "late", "other"], ["late"], ["late"]] * 2
    assert flow.document_text() == document
    assert flow["early"].settings["a"] == 1
    assert flow["late"].status == "idle", "the flow's own values are not those of a combination"
    assert (sweep.status, sweep.progress, len(sweep)) == ("ok", 1.0, 6)
    assert repr(sweep) == "<sweep of f over early.a, late.b: ok, 6 of 6>"


def test_combinations_that_come_back_to_a_value_do_not_compute_it_again(flow: fb.Flow) -> None:
    sweep = done(flow.sweep({"late.b": [1, 2], "early.a": [1, 2]}))
    assert [sorted(row.fired) for row in sweep.rows] == [
        ["early", "late", "other"], ["early", "late", "other"], ["late"], ["late"],
    ]  # fmt: skip


def test_a_combination_that_fails_does_not_lose_the_others(flow: fb.Flow) -> None:
    sweep = done(flow.sweep({"late.b": [1, 0, 2]}, outputs=["late", "other"]))
    assert [row.status for row in sweep.rows] == ["ok", "failed", "ok"]
    assert [row.values.get("late") for row in sweep.rows] == [6.0, None, 3.0]
    assert sweep.rows[1]["other"] == "<6>"
    with pytest.raises(KeyError, match="ZeroDivisionError"):
        sweep.rows[1]["late"]
    assert (sweep.status, [error.node_id for error in sweep.errors]) == ("failed", ["late"])
    assert "1 failed" in repr(sweep)


def test_the_table_has_a_column_for_each_setting_and_output(flow: fb.Flow) -> None:
    @flow.node
    def frame(early: int) -> pl.DataFrame:
        return pl.DataFrame({"n": range(early)})

    table = done(flow.sweep({"early.a": np.arange(1, 4)}, outputs=["late", "frame"])).table()
    assert table.columns == ["early.a", "late", "frame", "status", "fired", "took_s", "error"]
    assert table["early.a"].to_list() == [1, 2, 3]
    assert table["late"].to_list() == [6.0, 12.0, 18.0]
    assert table["frame"].to_list() == ["6 × 1", "12 × 1", "18 × 1"]
    assert table["fired"].to_list() == [3, 3, 3]


def test_the_table_shows_how_large_lazy_tables_are_and_what_is_in_single_ones() -> None:
    flow = fb.Flow("lazy")

    @flow.node
    def load() -> pl.LazyFrame:
        return pl.LazyFrame({"x": [1, 5, 20, 70]})

    @flow.node
    def late(load: pl.LazyFrame, least: int = 0) -> pl.LazyFrame:
        return load.filter(pl.col("x") >= least)

    @flow.node
    def mean(late: pl.LazyFrame) -> pl.LazyFrame:
        return late.select(pl.col("x").mean())

    @flow.node
    def top(late: pl.DataFrame) -> pl.Series:
        return late["x"].top_k(1)

    names = ["late", "mean", "top", "load"]
    table = done(flow.sweep({"late.least": [5, 70]}, outputs=names)).table()
    assert table.select("late.least", *names).rows() == [
        (5, "3 × 1", 95 / 3, 70, "4 × 1"),
        (70, "1 × 1", 70.0, 70, "4 × 1"),
    ]


def test_a_sweep_is_awaited_and_iterated_as_it_goes(flow: fb.Flow) -> None:
    async def main() -> list[float]:
        sweep = await flow.sweep({"load.n": range(1, 4)}, outputs="late")
        return [row["late"] for row in sweep.rows]

    assert asyncio.run(main()) == [0.0, 1.0, 3.0]
    gates = {n: threading.Event() for n in (1, 2)}
    held = fb.Flow("held")

    @held.node(kind="io")
    def wait(n: int = 1, gates: Any = gates) -> int:
        gates[n].wait(60)
        return n

    sweep = held.sweep({"wait.n": [1, 2]}, inputs={"gates": gates})
    rows = iter(sweep)
    gates[1].set()
    assert next(rows)["wait"] == 1
    assert (sweep.status, len(sweep.rows)) == ("running", 1)
    gates[2].set()
    assert [row["wait"] for row in rows] == [2]


def test_a_cancelled_sweep_keeps_its_rows_and_begins_no_further_combination() -> None:
    flow, began = fb.Flow("slow"), threading.Event()

    @flow.node
    def slow(ctx: fb.Context, began: Any, n: int = 1) -> int:
        if n == 2:
            began.set()
            ctx.wait(60)
        return n

    sweep = flow.sweep({"slow.n": [1, 2, 3]}, inputs={"began": began})
    assert began.wait(60)
    sweep.cancel()
    assert sweep.wait(60)
    assert sweep.status == "cancelled"
    assert [row["slow"] for row in sweep.rows] == [1]


def test_what_is_shared_failing_is_said_once(flow: fb.Flow) -> None:
    @flow.node
    def early(load: list[int], a: int = 1) -> int:
        raise ValueError(a)

    sweep = done(flow.sweep({"late.b": [1, 2]}))
    assert (sweep.status, sweep.rows) == ("failed", ())
    assert [error.node_id for error in sweep.errors] == ["early"]

    async def main() -> None:
        await flow.sweep({"late.b": [1, 2]})

    with pytest.raises(fb.FlowFailedError):
        asyncio.run(main())


@pytest.mark.parametrize("step", ["value_for_user", "submit"])
def test_what_keeps_a_sweep_from_going_on_is_told_to_who_waits(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = fb.Flow("faulty")

    @flow.node
    def node(n: int = 1) -> int:
        return n

    class BrokenError(Exception):
        pass

    def broken(*_: Any, **__: Any) -> None:
        raise BrokenError

    monkeypatch.setattr(flow.engine, step, broken)
    sweep = flow.sweep({"node.n": [1, 2]})
    with pytest.raises(BrokenError):
        sweep.wait(10)
    assert (sweep.status, sweep.rows) == ("failed", ())
    with pytest.raises(BrokenError):
        list(sweep)

    async def main() -> None:
        async with asyncio.timeout(10):
            await sweep

    with pytest.raises(BrokenError):
        asyncio.run(main())


@pytest.mark.parametrize(
    ("axes", "code", "hint"),
    [
        ({}, "FB113", "flow.sweep"),
        ({"late.b": []}, "FB113", "at least one"),
        ({"late.b": 3}, "FB113", "[3, …]"),
        ({"late.c": [1]}, "FB201", "late.b"),
        ({"late.b": [1, "x"]}, "FB103", ""),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_before_anything_runs(flow: fb.Flow, axes: Any, code: str, hint: str) -> None:
    with pytest.raises(fb.FlowbookError) as caught:
        flow.sweep(axes)
    assert caught.value.code == code
    assert hint in caught.value.hint
    assert flow.last_run is None


def test_inputs_are_swept_like_settings_and_a_trace_stands_by_each_row(tmp_path: Path) -> None:
    flow = fb.Flow("files")
    paths = [tmp_path / "a", tmp_path / "bb"]
    for path in paths:
        path.write_text(path.name)

    @flow.node
    def read(path: Path) -> str:
        return path.read_text()

    sweep = done(flow.sweep({"read.path": [str(path) for path in paths]}))
    assert [row["read"] for row in sweep.rows] == ["a", "bb"]
    assert [row.trace.to_json()["spans"][0]["status"] for row in sweep.rows] == ["ok", "ok"]
    assert len({row.trace.trace_id for row in sweep.rows}) == 2
    assert flow.check()[0].code == "FB403", "the flow has no path still"


def test_a_sweep_goes_over_mapped_nodes_item_by_item() -> None:
    flow = fb.Flow("both")

    @flow.node
    def numbers(n: int = 2) -> list[int]:
        return list(range(n))

    @flow.node
    def squares(numbers: fb.each[int]) -> int:
        return numbers * numbers

    rows = done(flow.sweep({"numbers.n": [2, 3, 4]})).rows
    assert rows[-1]["squares"] == [0, 1, 4, 9]
    assert [item.status for item in rows[-1].trace.spans[1].items] == ["cached"] * 3 + ["ok"]


def test_a_node_in_place_of_its_setting_is_answered_with_that(flow: fb.Flow) -> None:
    with pytest.raises(fb.FlowbookError, match="no setting 'load'") as caught:
        flow.sweep({"load": [2, 3]})
    assert caught.value.hint == "did you mean 'load.n'?"


def test_a_sweep_whose_await_is_cancelled_says_in_one_line_how_far_it_came() -> None:
    flow, gate, is_there = fb.Flow("gated"), threading.Event(), threading.Event()

    @flow.node(kind="io")
    def wait(n: int = 0) -> int:
        if n == 2:
            is_there.set()
            assert gate.wait(60)
        return n

    async def awaited() -> str:
        task = asyncio.ensure_future(_result_of(flow.sweep({"wait.n": [1, 2, 3]})))
        assert await asyncio.to_thread(is_there.wait, 60)
        task.cancel()
        try:
            await task
        except AwaitInterrupt as error:
            return "".join(error._render_traceback_())
        finally:
            gate.set()
        return ""

    assert asyncio.run(awaited()) == "Interrupted: sweep of gated, 1 of 3 combinations done"


async def _result_of(sweep: Any) -> Any:
    return await sweep
