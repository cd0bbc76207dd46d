"""What isolated nodes read and return crosses by shared memory, and the run says what was copied."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 -- nodes read their annotations
from typing import Any

import numpy as np
import polars as pl
import pytest

import flowbook as fb

ROWS = 100_000


def address(array: np.ndarray[Any, Any]) -> int:
    found: int = array.__array_interface__["data"][0]
    return found


def chain() -> fb.Flow:
    """A table, two isolated nodes and one in the kernel."""
    flow = fb.Flow("waves")

    @flow.node
    def table() -> pl.DataFrame:
        return pl.DataFrame({"x": np.arange(float(ROWS)), "y": np.ones(ROWS)})

    @flow.node(isolation="process")
    def waves(table: pl.DataFrame, ctx: fb.Context) -> np.ndarray[Any, Any]:
        out: np.ndarray[Any, Any] = ctx.empty((ROWS, 2))
        np.multiply(table["x"].to_numpy(), 2, out=out[:, 0])
        out[:, 1] = 1
        return out

    @flow.node(isolation="process")
    def half(waves: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return waves[ROWS // 2 :]

    @flow.node
    def total(half: np.ndarray[Any, Any], ctx: fb.Context) -> float:
        out = ctx.empty(3, "i4")
        out[:] = 1
        return float(half[:, 1].sum() + out.sum())

    return flow


def test_a_chain_of_processes_copies_what_it_must_and_says_so() -> None:
    run = chain().run_sync()
    assert run["total"] == ROWS / 2 + 3
    assert [(copy.node, copy.input, copy.source, copy.size_bytes, copy.reason) for copy in run.copies] == [
        ("waves", "table", "table.result", 16 * ROWS, "to its process")
    ]
    assert repr(run.copies).splitlines()[0] == f"1 copy, {16 * ROWS:,} bytes in 3 hops"
    spans = {row["node"]: row["copies"] for row in run.trace.frame().iter_rows(named=True)}
    assert spans == {"table": 0, "waves": 1, "half": 0, "total": 0}
    assert address(run["half"]) == address(run["waves"]) + 8 * ROWS
    with pytest.raises(ValueError, match="WRITEABLE"):
        run["waves"].flags.writeable = True


def test_what_is_brought_back_is_told_with_its_node() -> None:
    flow = fb.Flow("back")

    @flow.node(isolation="process")
    def made() -> pl.DataFrame:
        return pl.DataFrame({"x": np.arange(float(ROWS))})

    run = flow.run_sync()
    (copy,) = run.copies
    assert (copy.node, copy.input, copy.source, copy.size_bytes) == ("made", "", "made", 8 * ROWS)
    assert repr(run.copies).splitlines()[1].split() == [
        "made",
        "→",
        "the",
        "kernel",
        "800,000",
        "from",
        "its",
        "process",
    ]
    assert run.copies.table().height == 1
    assert run["made"]["x"].sum() == ROWS * (ROWS - 1) / 2


def test_only_the_last_attempt_is_counted(tmp_path: Any) -> None:
    flow, mark = fb.Flow("again"), tmp_path / "mark"

    @flow.node
    def values() -> np.ndarray[Any, Any]:
        return np.ones(ROWS)

    @flow.node(isolation="process", retry=fb.Retry(max_attempts=2, delay_s=0.01), mutable=True)
    def summed(values: np.ndarray[Any, Any], path: str = str(mark)) -> float:
        from pathlib import Path

        values[0] = 5
        if not Path(path).exists():
            Path(path).touch()
            raise OSError("not yet")
        return float(values[0])

    run = flow.run_sync()
    assert run["summed"] == 5
    assert [(copy.input, copy.reason) for copy in run.copies] == [
        ("values", "mutable=True"),
        ("values", "to its process"),
    ]
    assert run["values"][0] == 1


def test_who_writes_to_an_input_in_its_process_is_told_what_to_type() -> None:
    flow = fb.Flow("written")

    @flow.node
    def values() -> np.ndarray[Any, Any]:
        return np.ones(ROWS)

    @flow.node(isolation="process")
    def writes(values: np.ndarray[Any, Any]) -> None:
        values[0] = 2

    run = flow.run_sync(raise_errors=False)
    (error,) = run.errors
    assert "read-only" in error.message
    assert "mutable=True" in error.hint


def test_a_column_of_python_objects_is_named_on_its_way_to_a_process() -> None:
    flow = fb.Flow("odd")

    @flow.node
    def odd() -> pl.DataFrame:
        return pl.DataFrame({"plain": [1], "things": pl.Series([object()], dtype=pl.Object)})

    @flow.node(isolation="process")
    def reads(odd: pl.DataFrame) -> int:
        return odd.height

    (error,) = flow.run_sync(raise_errors=False).errors
    assert error.code == "FB422"
    assert "column 'things' holds Python objects" in error.message
    assert "drop('things')" in error.hint


def test_a_lazy_table_comes_back_lazy_and_keeps_its_rows() -> None:
    flow = fb.Flow("lazy")

    @flow.node
    def table() -> pl.LazyFrame:
        return pl.LazyFrame({"x": np.arange(float(ROWS))})

    @flow.node(isolation="process")
    def late(table: pl.LazyFrame) -> pl.LazyFrame:
        return table.filter(pl.col("x") >= 10)

    run = flow.run_sync()
    assert isinstance(run["late"], pl.LazyFrame)
    assert run["late"].collect().height == ROWS - 10


def test_every_item_of_a_mapped_node_is_counted() -> None:
    flow = fb.Flow("mapped")

    @flow.node
    def parts() -> list[np.ndarray[Any, Any]]:
        return [np.full(ROWS, float(number)) for number in range(3)]

    @flow.node(isolation="process")
    def doubled(parts: fb.each[np.ndarray[Any, Any]], ctx: fb.Context) -> np.ndarray[Any, Any]:
        out: np.ndarray[Any, Any] = ctx.empty(len(parts))
        np.multiply(parts, 2, out=out)
        return out

    @flow.node
    def here(doubled: fb.each[np.ndarray[Any, Any]], ctx: fb.Context) -> float:
        out = ctx.empty(1)
        out[0] = doubled.sum()
        return float(out[0])

    run = flow.run_sync()
    assert [set(array.tolist()) for array in run["doubled"]] == [{0.0}, {2.0}, {4.0}]
    assert run["here"] == [0, 2 * ROWS, 4 * ROWS]
    assert [(copy.input, copy.size_bytes, copy.reason) for copy in run.copies] == [
        ("parts", 8 * ROWS, "to its process")
    ] * 3


@pytest.mark.parametrize("kind", ["array", "frame"])
def test_what_all_items_read_goes_to_processes_once(kind: str) -> None:
    flow = fb.Flow("items")
    size = 200_000

    @flow.node
    def shared(kind: str = kind) -> Any:
        array = np.arange(size, dtype="f8")
        return pl.DataFrame({"x": array}) if kind == "frame" else array

    @flow.node
    def numbers() -> list[int]:
        return [1, 2, 3, 4]

    @flow.node(isolation="process")
    def sums(numbers: fb.each[int], shared: Any) -> float:
        return float(shared["x"].sum() if hasattr(shared, "columns") else shared.sum()) * numbers

    run = flow.run_sync()
    assert run["sums"] == [number * size * (size - 1) / 2 for number in (1, 2, 3, 4)]
    copies = [copy for copy in run.copies if copy.node == "sums" and copy.size_bytes >= 8 * size]
    assert [(copy.input, copy.reason) for copy in copies] == [("shared", "to its process")]
    assert run["shared"] is not None


def test_of_several_attempts_at_an_item_the_last_one_is_counted(tmp_path: Path) -> None:
    flow = fb.Flow("attempts")

    @flow.node
    def arrays(count: int = 3) -> list[Any]:
        return [np.full(200_000, number, dtype="f8") for number in range(count)]

    @flow.node
    def here() -> Path:
        return tmp_path

    @flow.node(isolation="process", retry=fb.Retry(max_attempts=3, delay_s=0.01), mutable=["arrays"])
    def tries(arrays: fb.each[np.ndarray], here: Path) -> float:
        mark = here / f"{int(arrays[0])}-{len(list(here.iterdir()))}"
        mark.touch()
        if len(list(here.glob(f"{int(arrays[0])}-*"))) < 2:
            message = "once more"
            raise OSError(message)
        arrays += 1
        return float(arrays[0])

    flow.set_policy("tries", max_concurrency=1)
    run = flow.run_sync()
    assert run["tries"] == [1.0, 2.0, 3.0]
    assert len(list(tmp_path.iterdir())) == 6, "each item was tried twice"
    reasons = sorted(copy.reason for copy in run.copies if copy.node == "tries")
    assert reasons == ["mutable=True"] * 3 + ["to its process"] * 3
