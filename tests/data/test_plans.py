"""A lazy table tells which files it reads, and several are collected in one pass."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from flowbook.data import plans
from flowbook.data.payloads import TablePayloads
from flowbook.errors import DataError
from tests.data.quickest import quickest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

payloads = TablePayloads()
FRAME = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(3):
        FRAME.write_parquet(tmp_path / f"part{i}.parquet")
        FRAME.write_ipc(tmp_path / f"part{i}.arrow")
        FRAME.write_csv(tmp_path / f"part{i}.csv")
        FRAME.write_ndjson(tmp_path / f"part{i}.ndjson")
    for name in ("folder/a.arrow", "folder/b.arrow", "tables/a.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (FRAME.write_ipc if name.endswith("arrow") else FRAME.write_parquet)(tmp_path / name)
    FRAME.write_csv(tmp_path / "odd, [name] ... 1 other source.csv")
    FRAME.write_ipc(tmp_path / "odd, [name].arrow")
    return tmp_path


SCANS: dict[str, tuple[Callable[[Path], pl.LazyFrame], list[str]]] = {
    "parquet": (lambda at: pl.scan_parquet(at / "part0.parquet"), ["part0.parquet"]),
    "csv": (lambda at: pl.scan_csv(at / "part0.csv"), ["part0.csv"]),
    "ndjson": (lambda at: pl.scan_ndjson(at / "part0.ndjson"), ["part0.ndjson"]),
    "ipc": (lambda at: pl.scan_ipc(at / "part0.arrow"), ["part0.arrow"]),
    "lines": (lambda at: pl.scan_lines(at / "part0.ndjson"), ["part0.ndjson"]),
    "many": (
        lambda at: pl.scan_parquet([at / "part2.parquet", at / "part0.parquet"]),
        ["part0.parquet", "part2.parquet"],
    ),
    "glob": (lambda at: pl.scan_parquet(at / "*.parquet"), ["part0.parquet", "part1.parquet", "part2.parquet"]),
    "ipc glob": (lambda at: pl.scan_ipc(at / "part*.arrow"), ["part0.arrow", "part1.arrow", "part2.arrow"]),
    "ipc list": (lambda at: pl.scan_ipc([at / "part0.arrow", at / "part1.arrow"]), ["part0.arrow", "part1.arrow"]),
    "ipc folder": (lambda at: pl.scan_ipc(at / "folder"), ["folder/a.arrow", "folder/b.arrow"]),
    "parquet folder": (lambda at: pl.scan_parquet(at / "tables"), ["tables/a.parquet"]),
    "odd name": (
        lambda at: pl.scan_csv(at / "odd, [name] ... 1 other source.csv", glob=False),
        ["odd, [name] ... 1 other source.csv"],
    ),
    "odd ipc name": (lambda at: pl.scan_ipc(at / "odd, [name].arrow", glob=False), ["odd, [name].arrow"]),
    "uri": (lambda at: pl.scan_parquet(f"file://{at}/part0.parquet"), ["part0.parquet"]),
    "join": (
        lambda at: pl.scan_parquet(at / "part0.parquet").join(pl.scan_csv(at / "part1.csv"), on="a"),
        ["part0.parquet", "part1.csv"],
    ),
    "union": (
        lambda at: pl.concat([pl.scan_ipc(at / "part0.arrow"), pl.scan_parquet(at / "part1.parquet")]),
        ["part0.arrow", "part1.parquet"],
    ),
    "steps": (
        lambda at: (
            pl.scan_parquet(at / "part0.parquet")
            .filter(pl.col("a") > 1)
            .with_columns(c=pl.col("a").map_elements(lambda x: x, return_dtype=pl.Int64))
            .map_batches(lambda frame: frame)
            .group_by("b")
            .agg(pl.len())
            .sort("b")
            .cache()
            .head(1)
        ),
        ["part0.parquet"],
    ),
    "unused": (lambda at: pl.scan_parquet(at / "part0.parquet").filter(pl.lit(value=False)), ["part0.parquet"]),
    "twice": (lambda at: pl.scan_csv(at / "part0.csv").pipe(lambda plan: plan.join(plan, on="a")), ["part0.csv"]),
    "two with a table": (
        lambda at: pl.scan_ipc([at / "part0.arrow", at / "part1.arrow"]).join(FRAME.lazy(), on="a"),
        ["part0.arrow", "part1.arrow"],
    ),
    "with a table": (
        lambda at: pl.scan_ipc(at / "part0.arrow").join(FRAME.lazy(), on="a"),
        ["part0.arrow"],
    ),
    "sink": (
        lambda at: pl.scan_parquet(at / "part0.parquet").sink_parquet(at / "out.parquet", lazy=True),
        ["part0.parquet"],
    ),
}


@pytest.mark.parametrize("name", SCANS)
def test_the_files_of_a_plan_are_listed(folder: Path, name: str) -> None:
    make, wanted = SCANS[name]
    assert payloads.scanned_files(make(folder)) == tuple(folder / file for file in wanted)


def test_a_relative_path_stays_as_it_was_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (found,) = payloads.scanned_files(pl.scan_parquet("part0.parquet"))
    assert str(found) == "part0.parquet"


@pytest.mark.parametrize(
    "plan",
    [
        FRAME.lazy(),
        FRAME.lazy().with_columns(pl.lit("\nIpc SCAN [/etc/passwd]\n")),
        pl.scan_csv(io.BytesIO(b"a,b\n1,2")),
        pl.scan_parquet("no such file.parquet"),
        FRAME.lazy().select("no such column"),
        pl.LazyFrame(),
    ],
    ids=["table", "forged", "bytes", "missing", "broken", "empty"],
)
def test_plans_that_read_no_known_file_list_none(plan: pl.LazyFrame) -> None:
    assert payloads.scanned_files(plan) == ()


@pytest.mark.parametrize("value", [None, 1, "a.parquet", FRAME, FRAME["a"], print])
def test_other_values_list_none(value: object) -> None:
    assert payloads.scanned_files(value) == ()


def test_a_file_on_another_host_is_not_local() -> None:
    assert plans._local_path("s3://bucket/a.parquet") is None
    assert plans._local_path("https://example.org/a.parquet") is None


def test_an_answer_is_given_when_polars_changes_its_traverser(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, "_leaves", lambda plan: plan._no_such_thing)
    assert payloads.scanned_files(pl.scan_parquet(folder / "part0.parquet")) == ()
    assert payloads.size_bytes(FRAME.lazy()) == 0


@pytest.mark.soak  # compares times, which a busy machine can spoil
def test_what_a_plan_holds_in_memory_is_not_written_out_to_list_its_files(folder: Path) -> None:
    small, large = (pl.DataFrame({"a": range(size)}).lazy() for size in (3, 3_000_000))
    scan = pl.scan_ipc(folder / "part*.arrow")
    plan_small, plan_large = (scan.join(table, on="a") for table in (small, large))
    took_small = quickest(lambda: payloads.scanned_files(plan_small))
    assert quickest(lambda: payloads.scanned_files(plan_large)) < 3 * took_small + 0.002
    beside = tuple(sorted(folder.glob("*.arrow")))
    assert payloads.scanned_files(plan_large) == beside  # one too many rather than one too few


def test_a_plan_weighs_what_it_holds_in_memory(folder: Path) -> None:
    table = pl.DataFrame({"a": range(1000)})
    assert payloads.size_bytes(table.lazy().filter(pl.col("a") > 1)) == 8000
    assert payloads.size_bytes(pl.scan_parquet(folder / "part0.parquet")) == 0
    assert payloads.size_bytes(FRAME.lazy().select("no such column")) == 0


# --- collecting -----------------------------------------------------------------------------------------------------


def test_lazy_tables_are_collected_together_and_the_rest_comes_back_as_it_is() -> None:
    calls: list[int] = []

    def count(frame: pl.DataFrame) -> pl.DataFrame:
        calls.append(frame.height)
        return frame

    shared = FRAME.lazy().map_batches(count, schema=FRAME.schema)
    values: list[Any] = [1, shared.select("a"), "x", shared.filter(pl.col("a") > 1), FRAME, None]
    got = payloads.collect(values)
    assert [type(value) for value in got] == [int, pl.DataFrame, str, pl.DataFrame, pl.DataFrame, type(None)]
    assert FRAME.select("a").equals(got[1])  # type: ignore[arg-type]
    assert got[3].rows() == [(2, "y"), (3, "z")]  # type: ignore[attr-defined]
    assert got[4] is FRAME
    assert [height for height in calls if height] == [3]
    assert payloads.collect([]) == []
    assert payloads.collect([1]) == [1]


def test_row_wise_steps_keep_the_order_of_rows() -> None:
    plan = pl.LazyFrame({"a": range(100_000)}).filter(pl.col("a") % 3 == 0).with_columns(b=pl.col("a") * 2)
    for got in payloads.collect([plan]) + payloads.collect([plan, plan.select("a")]):
        assert got["a"].is_sorted()  # type: ignore[index]


def test_what_polars_says_of_a_plan_is_not_swallowed() -> None:
    broken = FRAME.lazy().select("no such column")
    for values in ([broken], [FRAME.lazy(), broken]):
        with pytest.raises(pl.exceptions.ColumnNotFoundError, match="no such column"):
            payloads.collect(values)


def test_a_panic_becomes_an_error_that_a_run_can_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(*_: object, **__: object) -> None:
        raise pl.exceptions.PanicException("index out of bounds\nnote: run with RUST_BACKTRACE=1")

    monkeypatch.setattr(pl.LazyFrame, "collect", panic)
    for act in (
        lambda: payloads.collect([FRAME.lazy()]),
        lambda: payloads.hand_out(FRAME.lazy(), "DataFrame", is_own=True),
    ):
        with pytest.raises(DataError, match="polars panicked: index out of bounds\n") as caught:
            act()
        assert caught.value.code == "FB604"
        assert isinstance(caught.value.__cause__, pl.exceptions.PanicException)
    made = payloads.preview(FRAME.lazy(), collect_head=True)
    assert made is not None
    assert made["kind"] == "text"
