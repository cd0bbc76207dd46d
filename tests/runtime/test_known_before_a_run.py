"""Columns, and what is wrong with them, are known before a row is computed; a preview computes next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import flowbook as fb
from flowbook.canvas.snapshot import snapshot
from flowbook.core.events import PlansComputed
from flowbook.data import plans

if TYPE_CHECKING:
    from pathlib import Path


class Batches:
    """Counts the rows of a table that are computed, behind the back of the node's key."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return Batches, ()

    def counted(self, table: pl.LazyFrame) -> pl.LazyFrame:
        def look(frame: pl.DataFrame) -> pl.DataFrame:
            self.rows.append(frame.height)
            return frame

        return table.map_batches(look, streamable=True, slice_pushdown=True, validate_output_schema=False)


def flow_of_files(folder: Path) -> fb.Flow:
    pl.DataFrame({"a": range(1000), "b": ["x"] * 1000}).write_parquet(folder / "rows.parquet")
    path = folder / "rows.parquet"
    flow = fb.Flow("columns")

    @flow.node
    def rows() -> pl.LazyFrame:
        return pl.scan_parquet(path)

    @flow.node
    def more(rows: pl.LazyFrame, factor: float = 2.0) -> pl.LazyFrame:
        return rows.with_columns(c=pl.col("a") * factor)

    @flow.node(outputs=("low", "high"))
    def parts(more: pl.LazyFrame) -> tuple[pl.LazyFrame, pl.LazyFrame]:
        return more.filter(pl.col("a") < 10), more.filter(pl.col("a") >= 990).drop("b")

    @flow.node
    def frame(more: pl.DataFrame) -> pl.DataFrame:
        return more.head(2)

    @flow.node
    def last(frame: pl.LazyFrame) -> pl.LazyFrame:
        return frame.select("c")

    return flow


def test_columns_are_known_without_a_run_and_equal_those_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = flow_of_files(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(pl.LazyFrame, "collect", lambda *_, **__: pytest.fail("something was collected"))
        patch.setattr(plans, "collect", lambda *_: pytest.fail("something was collected"))
        before = flow.schemas()
    assert dict(before["more"]) == {"a": pl.Int64, "b": pl.String, "c": pl.Float64}
    assert list(before["parts.high"]) == ["a", "c"]
    assert set(before) == {"rows", "more", "parts.low", "parts.high"}
    assert before.unknown == {"last": "frame has no value yet"}
    assert before.errors == []
    assert flow.last_run is None
    assert all(flow.results.state(node_id).result is None for node_id in flow)
    run = flow.run_sync()
    for name, schema in before.items():
        assert run[name].collect().schema == schema
    after = flow.schemas()
    assert after["last"] == run["last"].collect().schema
    assert after.unknown == {}


def test_what_cannot_work_is_said_with_its_line_and_nothing_below_it(tmp_path: Path) -> None:
    flow = flow_of_files(tmp_path)

    @flow.node
    def more(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.with_columns(
            c=pl.col("a") + 1,
            d=pl.col("dep_delay"),
        )

    found = flow.schemas()
    (error,) = found.errors
    assert (error.node_id, error.line) == ("more", more.__code__.co_firstlineno + 4)
    assert "dep_delay" in error.message
    assert set(found.unknown) == {"more", "parts", "last"}
    run = flow.run_sync(raise_errors=False)
    assert [failure.line for failure in run.errors] == [error.line]
    assert not [event for event in run.events() if isinstance(event, PlansComputed)]


def test_settings_decide_columns_before_a_run() -> None:
    flow = fb.Flow("settings")

    @flow.node
    def rows(name: str = "a") -> pl.LazyFrame:
        return pl.LazyFrame({name: [1]})

    assert list(flow.schemas()["rows"]) == ["a"]
    flow.run_sync()
    flow.set("rows", name="b")
    assert list(flow.schemas()["rows"]) == ["b"]


def _preview(flow: fb.Flow, node_id: str) -> Any:
    return next(card["preview"] for card in snapshot(flow)["nodes"] if card["id"] == node_id)


def test_a_node_that_is_no_leaf_any_more_keeps_a_preview_of_four_rows() -> None:
    flow, batches = fb.Flow("shown"), Batches()

    @flow.node
    def rows(start: int = 0) -> pl.LazyFrame:
        return batches.counted(pl.LazyFrame({"a": range(start, start + 100_000)}))

    flow.run_sync()
    assert _preview(flow, "rows")["rows"][0] == ["0"]

    @flow.node
    def middle(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.with_columns(b=pl.col("a") * 2)

    flow.run_sync()
    assert _preview(flow, "middle")["height"] == 100_000

    @flow.node
    def total(middle: pl.LazyFrame) -> pl.LazyFrame:
        return middle.select(pl.col("b").sum())

    flow.set("rows", start=5)
    flow.run_sync()
    assert _preview(flow, "rows")["columns"][0]["name"] == "a"
    assert [column["name"] for column in _preview(flow, "middle")["columns"]] == ["a", "b"]


def test_the_rows_of_a_preview_are_the_first_ones_and_cost_no_more(tmp_path: Path) -> None:
    flow = flow_of_files(tmp_path)
    flow.run_sync(to="more")
    assert len(_preview(flow, "more")["rows"]) == 4
    flow.set("more", factor=3.0)
    run = flow.run_sync(to="last")
    assert "more" in run.recomputed
    shown = _preview(flow, "more")
    assert [row[2] for row in shown["rows"]] == ["0", "3", "6", "9"]


@pytest.mark.parametrize(
    ("step", "begins"),
    [
        (lambda table: table.select("a").rename({"a": "z"}).slice(3, 9), True),
        (
            lambda table: table.with_columns(z=pl.when(pl.col("a") > 1).then(1).otherwise(pl.col("a")).cast(pl.Int8)),
            True,
        ),
        (lambda table: pl.concat([table, table]), True),
        (lambda table: table.filter(pl.col("a") > 1), False),
        (lambda table: table.sort("a"), False),
        (lambda table: table.with_columns(pl.col("a").sort()), False),
        (lambda table: table.select(pl.col("a").sum()), False),
        (lambda table: table.group_by("a").len(), False),
        (lambda table: table.join(table, on="a"), False),
        (lambda table: table.map_batches(lambda frame: frame), False),
    ],
)
def test_first_rows_are_computed_only_where_they_need_no_others(step: Any, *, begins: bool) -> None:
    table = pl.LazyFrame({"a": [1, 2]})
    assert plans.begins_early(step(table)) is begins


def test_columns_and_what_is_wrong_are_shown_a_line_each(tmp_path: Path) -> None:
    flow = flow_of_files(tmp_path)

    @flow.node
    def wrong(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.select("nope")

    shown = repr(flow.schemas()).splitlines()
    assert shown[0] == "rows: a Int64, b String"
    (told,) = [line for line in shown if line.startswith("wrong")]
    assert told.startswith("wrong, line ")
    assert "nope" in told
    assert any(line.startswith("last: unknown, ") for line in shown)
