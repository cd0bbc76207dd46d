"""A lazy table is collected once, where somebody needs its rows, and a preview never is that somebody."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

import flowbook as fb
from flowbook.canvas.snapshot import snapshot
from flowbook.core.events import NodeFinished

if TYPE_CHECKING:
    from pathlib import Path


class Computed:
    """Counts how often the step of a node is computed, behind the back of the node's key."""

    def __init__(self) -> None:
        self._hidden = SimpleNamespace(counts=Counter())

    def step(self, table: pl.LazyFrame, name: str) -> pl.LazyFrame:
        counts = self._hidden.counts

        def look(frame: pl.DataFrame) -> pl.DataFrame:
            counts[name] += 1
            return frame

        # Nothing may be pushed past the step, or polars would leave out what nobody reads.
        return table.map_batches(look, predicate_pushdown=False, projection_pushdown=False, slice_pushdown=False)

    @property
    def counts(self) -> dict[str, int]:
        """By step; then begins anew."""
        found = dict(self._hidden.counts)
        self._hidden.counts.clear()
        return found


def chain() -> tuple[fb.Flow, Computed]:
    """``source``, ``middle``, ``leaf``: each adds a step."""
    flow, computed = fb.Flow("lazy"), Computed()

    @flow.node
    def source(n: int = 3) -> pl.LazyFrame:
        return computed.step(pl.LazyFrame({"a": range(n)}), "source")

    @flow.node
    def middle(source: pl.LazyFrame) -> pl.LazyFrame:
        return computed.step(source.with_columns(b=pl.col("a") * 2), "middle")

    @flow.node
    def leaf(middle: pl.LazyFrame, least: int = 1) -> pl.LazyFrame:
        return computed.step(middle.filter(pl.col("a") >= least), "leaf")

    return flow, computed


ONCE = {"source": 1, "middle": 1, "leaf": 1}


# -- where it is collected


def test_a_chain_is_collected_once_at_its_leaf() -> None:
    flow, computed = chain()
    run = flow.run_sync()
    assert computed.counts == ONCE
    shapes = {
        event.node_id: event.shape.text for event in run.events() if isinstance(event, NodeFinished) and event.shape
    }
    assert shapes == {"source": "? × 1", "middle": "? × 2", "leaf": "2 × 2"}


def test_reading_what_was_collected_computes_nothing_again() -> None:
    flow, computed = chain()
    run = flow.run_sync()
    assert computed.counts == ONCE
    for _ in range(3):
        assert run["leaf"].collect()["b"].to_list() == [2, 4]
        assert flow["leaf"].value.collect().height == 2
    assert computed.counts == {}


def test_reading_the_plan_of_a_middle_node_computes_nothing() -> None:
    flow, computed = chain()
    run = flow.run_sync()
    assert computed.counts == ONCE
    assert isinstance(run["middle"], pl.LazyFrame)
    assert run["middle"].collect_schema().names() == ["a", "b"]
    assert computed.counts == {}


def test_a_target_is_collected_and_nothing_below_it() -> None:
    flow, computed = chain()
    run = flow.run_sync(to="middle")
    assert computed.counts == {"source": 1, "middle": 1}
    assert run["middle"].collect().shape == (3, 2)
    assert computed.counts == {}
    assert [span.rows for span in run.trace.spans] == [None, 3]


def test_a_value_that_was_not_collected_is_when_it_becomes_a_target() -> None:
    flow, computed = chain()
    flow.run_sync()
    assert computed.counts == ONCE
    run = flow.run_sync(to="middle")
    assert run.recomputed == []
    assert computed.counts == {"source": 1, "middle": 1}
    flow.run_sync(to="middle")
    assert computed.counts == {}


def test_a_pinned_node_is_collected_once_and_its_readers_start_from_the_table() -> None:
    flow, computed = chain()
    flow.set_policy("middle", pinned=True)
    run = flow.run_sync()
    assert computed.counts == ONCE
    assert [span.rows for span in run.trace.spans] == [None, 3, 2]
    flow.set("leaf", least=2)
    assert flow.run_sync()["leaf"].collect().height == 1
    assert computed.counts == {"leaf": 1}


def test_what_is_shown_of_a_leaf_that_gets_a_reader_is_kept() -> None:
    flow, computed = chain()
    flow.run_sync()
    assert computed.counts == ONCE

    @flow.node
    def below(leaf: pl.LazyFrame) -> pl.LazyFrame:
        return leaf.tail(1)

    run = flow.run_sync()
    assert run.recomputed == ["below"]
    assert run["below"].collect()["a"].to_list() == [2]
    assert computed.counts == {}


@pytest.mark.parametrize("form", ["DataFrame", "ndarray"])
def test_a_barrier_collects_once_for_all_who_ask_for_the_same_form(form: str) -> None:
    flow, computed = chain()
    flow.remove("leaf")
    annotation: Any = pl.DataFrame if form == "DataFrame" else np.ndarray

    def height(middle: Any) -> int:
        assert isinstance(middle, annotation)
        return int(middle.shape[0])

    height.__annotations__["middle"] = annotation
    for number in range(4):
        flow.node(name=f"barrier_{number}")(height)
    run = flow.run_sync()
    assert computed.counts == {"source": 1, "middle": 1}
    assert [run[f"barrier_{number}"] for number in range(4)] == [3] * 4


def test_barriers_of_two_forms_share_one_collect() -> None:
    flow, computed = chain()
    flow.remove("leaf")

    @flow.node
    def table(middle: pl.DataFrame) -> int:
        return middle.height

    @flow.node
    def array(middle: np.ndarray[Any, Any]) -> int:
        return int(middle.shape[0])

    flow.run_sync(to="table")
    assert computed.counts == {"source": 1, "middle": 1}
    assert flow.run_sync()["array"] == 3
    assert computed.counts == {}


def test_a_barrier_in_the_middle_ends_one_chain_and_begins_another() -> None:
    flow, computed = chain()

    @flow.node
    def middle(source: pl.DataFrame) -> pl.DataFrame:
        return source.with_columns(b=pl.lit(1))

    flow.run_sync()
    assert computed.counts == {"source": 1, "leaf": 1}


def test_a_value_that_a_barrier_collected_has_no_rows_of_its_own_to_show() -> None:
    """What a node tells of itself must not depend on who read it first."""
    flow, _ = chain()
    flow.remove("leaf")

    @flow.node
    def barrier(middle: pl.DataFrame) -> int:
        return middle.height

    run = flow.run_sync()
    assert [span.rows for span in run.trace.spans] == [None, None, None]
    assert run["middle"].collect().height == 3


def test_several_lazy_outputs_of_one_node_are_collected_together() -> None:
    flow, computed = fb.Flow("split"), Computed()

    @flow.node(outputs=("low", "high"))
    def split() -> tuple[pl.LazyFrame, pl.LazyFrame]:
        both = computed.step(pl.LazyFrame({"a": range(10)}), "both")
        return both.filter(pl.col("a") < 5), both.filter(pl.col("a") >= 5)

    run = flow.run_sync()
    assert computed.counts == {"both": 1}
    assert run["split.low"].collect().height + run["split.high"].collect().height == 10
    assert computed.counts == {}


def test_a_failed_reader_makes_nobody_collect_again() -> None:
    flow, computed = chain()
    flow.remove("leaf")

    @flow.node
    def fails(middle: pl.DataFrame) -> float:
        return middle.height / 0

    for _ in range(3):
        assert flow.run_sync(raise_errors=False).errors[0].node_id == "fails"
    assert computed.counts == {"source": 1, "middle": 1}


def test_a_skipped_or_muted_reader_collects_nothing() -> None:
    flow, computed = chain()
    flow.set_policy("leaf", muted=True)
    run = flow.run_sync()
    assert computed.counts == {}
    assert run["middle"].collect_schema().names() == ["a", "b"]


# -- the form of what one gets

FORMS: list[tuple[Any, Any]] = [
    (pl.LazyFrame, lambda: pl.LazyFrame({"a": [1]})),
    (pl.LazyFrame, lambda: pl.DataFrame({"a": [1]})),
    (pl.DataFrame, lambda: pl.DataFrame({"a": [1]})),
    (pl.DataFrame, lambda: pl.LazyFrame({"a": [1]})),
    (pl.Series, lambda: pl.Series("a", [1])),
    (np.ndarray, lambda: np.array([1])),
    (int, lambda: 1),
]


@pytest.mark.parametrize(("annotation", "make"), FORMS)
def test_a_run_gives_the_annotated_type(annotation: Any, make: Any) -> None:
    flow = fb.Flow("types")

    def made() -> Any:
        return make()

    made.__annotations__["return"] = annotation
    flow.node(made)
    run = flow.run_sync()
    assert isinstance(run["made"], annotation)
    assert isinstance(flow["made"].value, annotation)


def test_without_an_annotation_a_plan_stays_a_plan() -> None:
    flow = fb.Flow("plain")
    flow.node(name="made")(lambda: pl.LazyFrame({"a": [1, 2]}))
    run = flow.run_sync()
    assert isinstance(run["made"], pl.LazyFrame)
    assert run["made"].collect().height == 2


# -- what goes wrong


def test_a_column_that_is_not_there_fails_the_node_that_asks_for_it() -> None:
    """Not the leaf, or the barrier, that happens to compute the rows."""
    flow, computed = chain()

    @flow.node
    def middle(source: pl.LazyFrame) -> pl.LazyFrame:
        return source.filter(pl.col("gust") > 1)

    @flow.node
    def barrier(middle: pl.DataFrame) -> int:
        return middle.height

    run = flow.run_sync(raise_errors=False)
    assert [error.node_id for error in run.errors] == ["middle"]
    assert 'unable to find column "gust"' in run.errors[0].message
    assert {span.node: span.status for span in run.trace.spans} == {
        "source": "ok", "middle": "failed", "leaf": "skipped", "barrier": "skipped",
    }  # fmt: skip
    assert computed.counts == {}
    with pytest.raises(fb.NodeFailedError, match="gust"):
        _ = run["middle"]


def test_a_file_that_is_not_there_fails_the_node_that_scans_it(tmp_path: Path) -> None:
    flow = fb.Flow("missing")
    path = tmp_path / "none.parquet"

    @flow.node
    def rows() -> pl.LazyFrame:
        return pl.scan_parquet(path)

    @flow.node
    def leaf(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.head(1)

    run = flow.run_sync(raise_errors=False)
    assert [error.node_id for error in run.errors] == ["rows"]


def test_rows_that_fail_fail_the_node_whose_step_it_is() -> None:
    """Not the leaf that happens to compute them."""
    flow, _ = chain()

    @flow.node
    def middle(source: pl.LazyFrame) -> pl.LazyFrame:
        doubled = source.with_columns(c=pl.col("a") * 2)
        return doubled.with_columns(
            b=pl.format("x{}", "c").cast(pl.Int64),
        )

    run = flow.run_sync(raise_errors=False)
    assert [(error.node_id, error.line) for error in run.errors] == [("middle", middle.__code__.co_firstlineno + 4)]
    assert {span.node: span.status for span in run.trace.spans} == {
        "source": "ok", "middle": "failed", "leaf": "skipped",
    }  # fmt: skip
    assert run.recomputed == ["source", "middle"]
    assert run.explain("leaf") == "leaf was skipped: middle failed"
    again = flow.run_sync(raise_errors=False)
    assert [error.node_id for error in again.errors] == ["middle"]
    assert again.recomputed == ["middle"]


def test_rows_that_fail_for_a_barrier_fail_the_node_whose_step_it_is() -> None:
    flow, _ = chain()
    flow.remove("leaf")

    @flow.node
    def middle(source: pl.LazyFrame) -> pl.LazyFrame:
        return source.with_columns(b=pl.format("x{}", "a").cast(pl.Int64))

    @flow.node
    def barrier(middle: pl.DataFrame) -> int:
        return middle.height

    run = flow.run_sync(raise_errors=False)
    assert [error.node_id for error in run.errors] == ["middle"]
    assert run.explain("barrier") == "barrier was skipped: middle failed"


# -- keys do not depend on what was collected


def test_collecting_a_middle_node_makes_nothing_below_it_stale(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a\n1\n2\n")
    flow = fb.Flow("files")

    @flow.node
    def rows() -> pl.LazyFrame:
        return pl.scan_csv(path)

    @flow.node
    def middle(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.with_columns(b=pl.col("a"))

    @flow.node
    def leaf(middle: pl.LazyFrame) -> int:
        return middle.collect().height

    flow.run_sync()
    flow.run_sync(to="rows")
    flow.run_sync(only="middle", force=True)
    assert flow.stale() == {}
    assert flow.run_sync().recomputed == []
    path.write_text("a\n1\n2\n3\n")
    assert set(flow.stale()) == {"rows", "middle", "leaf"}
    run = flow.run_sync()
    assert run.recomputed == ["rows", "middle", "leaf"]
    assert run["leaf"] == 3


def test_a_second_file_below_is_part_of_the_key(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_text("a\n1\n")
    flow = fb.Flow("files")

    @flow.node
    def one() -> pl.LazyFrame:
        return pl.scan_csv(tmp_path / "one.csv")

    @flow.node
    def both(one: pl.LazyFrame) -> pl.LazyFrame:
        return pl.concat([one, pl.scan_csv(tmp_path / "two.csv")])

    @flow.node
    def leaf(both: pl.LazyFrame) -> int:
        return both.collect().height

    assert flow.run_sync()["leaf"] == 2
    (tmp_path / "two.csv").write_text("a\n1\n2\n")
    assert set(flow.stale()) == {"both", "leaf"}
    run = flow.run_sync()
    assert (run["leaf"], run.recomputed) == (3, ["both", "leaf"])
    assert run.explain("both") == "both fired: file two.csv changed"


# -- previews


def test_a_preview_never_collects() -> None:
    flow, computed = chain()
    flow.run_sync()
    assert computed.counts == ONCE
    for is_live in (False, True):
        drawn = snapshot(flow, is_live=is_live)
        previews = {card["id"]: card["preview"] for card in drawn["nodes"]}
        assert previews["source"] is None
        assert previews["middle"] is None
        assert previews["leaf"] is not None
    assert computed.counts == {}
    assert flow.check() == []
    assert flow.stale() == {}
    assert repr(flow["middle"])
    assert computed.counts == {}
