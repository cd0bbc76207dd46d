"""A grid gets the rows it shows and nothing else: small, plain, sorted when asked, the same for any height."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from polars.testing.parametric import dataframes

from flowbook.data import viewports
from flowbook.data.payloads import TablePayloads
from flowbook.data.viewports import MOST_ROWS, Page, SortKey, TableView
from flowbook.errors import DataError
from tests.data.samples import COLUMNS, SUBCLASSES
from tests.data.test_foreign_values import Table

if TYPE_CHECKING:
    from pathlib import Path

payloads = TablePayloads()
KILOBYTE = 1000
# What the browser's Arrow library reads and a grid shows as it is.
PLAIN = {
    *(pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64),
    *(pl.Float16, pl.Float32, pl.Float64, pl.Boolean, pl.Date, pl.Datetime, pl.Null),
}


def read(page: Page) -> pl.DataFrame:
    frame = pl.read_ipc_stream(io.BytesIO(page.arrow))
    assert frame.height == page.row_count
    assert frame.columns == [str(index) for index in range(frame.width)]
    assert len(page.is_text) == frame.width
    return frame


def as_a_clock_shows_it(column: pl.Series) -> pl.Series:
    """Times with a zone as a clock there shows them; everything else as it is."""
    return column.dt.replace_time_zone(None) if getattr(column.dtype, "time_zone", None) else column


def numbers(height: int = 10_000) -> pl.DataFrame:
    return pl.DataFrame({"n": range(height), "back": range(height, 0, -1), "few": [i % 3 for i in range(height)]})


@pytest.mark.parametrize("name", COLUMNS)
def test_every_type_of_polars_reaches_the_browser(name: str) -> None:
    for value in (COLUMNS[name], COLUMNS[name].to_frame(), COLUMNS[name].to_frame().lazy()):
        view = TableView(value)
        page = view.rows(0, 100)
        frame = read(page)
        (dtype,) = frame.dtypes
        assert dtype.base_type() in (PLAIN if not page.is_text[0] else {pl.String})
        if not page.is_text[0]:
            assert_frame_equal(frame, pl.DataFrame({"0": as_a_clock_shows_it(COLUMNS[name])}))
        assert frame.to_series().is_null().to_list() == COLUMNS[name].is_null().to_list()
        assert view.columns[0]["name"] == name
        assert all(isinstance(view.cell(row, 0), str) for row in range(len(COLUMNS[name])))


@given(dataframes(max_cols=5, max_size=20, allow_chunks=True), st.integers(0, 25), st.integers(0, 25))
def test_the_pages_of_any_table_are_its_rows(table: pl.DataFrame, start: int, stop: int) -> None:
    page = TableView(table).rows(start, stop)
    assert page.row_count == len(range(*slice(start, stop).indices(table.height)))
    frame = read(page)
    for index, column in enumerate(table.get_columns()):
        if not page.is_text[index]:
            assert frame[str(index)].equals(as_a_clock_shows_it(column[start:stop]), null_equal=True)
        elif column.dtype == pl.String:
            shown = [text if text is None else text[:1] for text in frame[str(index)].to_list()]
            wanted = column[start:stop].str.replace_all(r"[\r\n\t]", " ").str.head(1).to_list()
            assert shown == wanted


@pytest.mark.parametrize("text", ["x" * 12, "é" * 300, "x" * 100_000, "😀" * 500], ids=["short", "é", "giant", "😀"])
def test_a_thousand_rows_of_eight_columns_take_at_most_200_kb(text: str) -> None:
    frame = pl.DataFrame({f"column {i}": [text] * 1100 for i in range(8)})
    page = TableView(frame).rows(50, 1050)
    assert page.row_count == 1000
    assert len(page.arrow) <= 200 * KILOBYTE
    shown = read(page)["0"][0]
    assert shown == text or shown.endswith("…")


@pytest.mark.parametrize("name", [name for name in COLUMNS if not name.startswith("Null")])
def test_any_columns_of_a_thousand_rows_take_at_most_200_kb(name: str) -> None:
    value = COLUMNS[name].head(1)
    column = pl.concat([value] * 1000) if name != "Object" else pl.Series(["x" * 500] * 1000, dtype=pl.Object)
    page = TableView(pl.DataFrame([column.alias(f"column {i}") for i in range(8)])).rows(0, 1000)
    assert page.row_count == 1000
    assert len(page.arrow) <= 200 * KILOBYTE


def test_texts_are_as_long_as_there_is_room_for() -> None:
    frame = pl.DataFrame({"text": ["word " * 20] * 2000})
    assert read(TableView(frame).rows(0, 3))["0"][0] == "word " * 20
    assert len(read(TableView(frame).rows(0, 2000))["0"][0]) < 60


def test_sorted_rows_come_in_order_with_nulls_last_and_ties_as_they_were() -> None:
    frame = numbers()
    view = TableView(frame)
    page = view.rows(2, 5, sort_by=[SortKey(column="back")])
    assert read(page)["0"].to_list() == [9997, 9996, 9995]
    page = view.rows(0, 4, sort_by=[SortKey(column="few", is_descending=True)])
    assert read(page)["0"].to_list() == [2, 5, 8, 11]
    page = view.rows(0, 3, sort_by=[SortKey(column="few", is_descending=True), SortKey(column="back")])
    assert read(page)["0"].to_list() == [9998, 9995, 9992]
    gaps = TableView(pl.DataFrame({"x": [None, 2, 1, None]}))
    for is_descending in (False, True):
        shown = read(gaps.rows(0, 9, sort_by=[SortKey(column="x", is_descending=is_descending)]))["0"].to_list()
        assert shown == ([2, 1, None, None] if is_descending else [1, 2, None, None])


@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "Object"])
def test_a_table_is_sorted_alike_in_memory_and_as_a_plan(name: str) -> None:
    frame = COLUMNS[name].to_frame().with_row_index("row")
    keys = [SortKey(column=name, is_descending=True)]
    eager, lazy = (read(TableView(value).rows(0, 9, sort_by=keys)) for value in (frame, frame.lazy()))
    assert_frame_equal(eager, lazy)


def test_a_plan_that_reads_row_by_row_is_read_page_by_page(tmp_path: Path) -> None:
    path = tmp_path / "n.parquet"
    pl.select(n=pl.int_range(100_000)).write_parquet(path)
    view = TableView(pl.scan_parquet(path).filter(pl.col("n") >= 5).with_columns(twice=pl.col("n") * 2))
    assert read(view.rows(10, 12)).rows() == [(15, 30), (16, 32)]
    assert (view.height, view.is_kept, view.count()) == (None, False, 99_995)


def counted(seen: list[int], frame: pl.DataFrame) -> pl.LazyFrame:
    """A plan that notes how often it is computed."""

    def look(frame: pl.DataFrame) -> pl.DataFrame:
        seen.append(frame.height)
        return frame.sample(fraction=1.0, shuffle=True)  # an order of its own every time, as joins may have

    return frame.lazy().map_batches(look)


def test_pages_of_a_plan_without_an_order_are_of_one_computation() -> None:
    seen: list[int] = []
    view = TableView(counted(seen, numbers()))
    assert view.height is None
    assert not seen, "describing a plan computes nothing"
    pages = [
        pl.concat([read(view.rows(at, at + 1000, first_column=first, column_count=1)) for at in range(0, 10_000, 1000)])
        for first in (0, 1)
    ]
    left, right = (page.to_series().to_list() for page in pages)
    assert sorted(left) == list(range(10_000)), "no row is skipped, none comes twice"
    assert [n + back for n, back in zip(left, right, strict=True)] == [10_000] * 10_000, "a row is one record"
    assert read(view.rows(0, 2, sort_by=[SortKey(column="back")]))["0"].to_list() == [9999, 9998]
    told: list[Any] = [view.count(), view.height, view.stats(0)["max"], view.note]
    assert told == [10_000, 10_000, "9999", ""]
    assert len(seen) == 1


@pytest.mark.parametrize("bound", ["MOST_KEPT_ROWS", "MOST_KEPT_BYTES"])
def test_of_a_plan_that_is_too_large_the_first_rows_are_kept_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(viewports, bound, 500 if bound == "MOST_KEPT_ROWS" else 12_000)
    view = TableView(counted([], numbers()))
    assert 0 < view.rows(0, 2000).row_count <= 500
    assert view.height == view.count() == view.rows(0, 2000).row_count
    assert f"Only the first {view.height} rows" in view.columns[0]["note"]
    assert view.stats(0)["sampled"]
    in_order = TableView(numbers().lazy())
    assert read(in_order.rows(0, 1, sort_by=[SortKey(column="back")]))["0"].to_list() == [9999]
    assert (in_order.count(), in_order.note) == (10_000, "")


def test_names_that_look_like_patterns_are_names() -> None:
    frame = pl.DataFrame({"^.*$": [2, 1], "*": [1, 2], "": [3, 4]})
    for value in (frame, frame.lazy()):
        view = TableView(value)
        assert [column["name"] for column in view.columns] == ["^.*$", "*", ""]
        assert read(view.rows(0, 2, sort_by=[SortKey(column="^.*$")])).rows() == [(1, 2, 4), (2, 1, 3)]
        assert view.stats(1)["max"] == "2"


@pytest.mark.parametrize("column", ["Object", "nobody"])
def test_what_has_no_order_is_refused_with_a_remedy(column: str) -> None:
    view = TableView(COLUMNS["Object"])
    for ask in (lambda key: view.rows(0, 1, sort_by=[key]), lambda key: view.cell(0, 0, sort_by=[key])):
        with pytest.raises(DataError, match=f"cannot sort by '{column}'") as caught:
            ask(SortKey(column=column))
        assert caught.value.code == "FB607"
        assert caught.value.hint


def test_pages_have_bounds() -> None:
    view = TableView(numbers())
    assert view.rows(0, 10**9).row_count == MOST_ROWS
    assert view.rows(9_990, 20_000).row_count == 10
    assert view.rows(50_000, 50_010).row_count == view.rows(5, 3).row_count == 0
    assert view.rows(-5, 3).start == 0
    wide = TableView(pl.DataFrame({f"c{i}": [i] for i in range(1000)}))
    assert read(wide.rows(0, 1, first_column=500, column_count=3)).row(0) == (500, 501, 502)
    assert read(wide.rows(0, 1)).width == 100
    assert len(wide.columns) == 1000


def test_a_whole_cell_keeps_its_lines_and_items() -> None:
    view = TableView(pl.DataFrame({"text": ["one\ntwo\n" * 10], "list": [list(range(100))], "bytes": [b"x" * 100_000]}))
    assert view.cell(0, 0) == "one\ntwo\n" * 10
    assert view.cell(0, 1) == str(list(range(100)))
    assert len(view.cell(0, 2)) <= 20_000
    assert view.cell(5, 0) == view.cell(0, 9) == ""


def test_many_cells_are_had_whole_as_far_as_there_is_room() -> None:
    frame = pl.DataFrame(
        {
            "text": ["one\ntwo\n" * 100, None, "x" * 30_000],
            "list": [list(range(100)), None, []],
            "when": pl.Series(["2024-01-01"] * 3).str.to_datetime(time_zone="Europe/Berlin"),
            "exact": pl.Series(["1.50", None, "2"]).str.to_decimal(scale=2),
        }
    )
    page = TableView(frame).rows(0, 3, is_whole=True)
    shown = read(page)
    assert page.is_text == (True, True, False, True)
    assert shown["0"].to_list()[:2] == ["one\ntwo\n" * 100, None]
    assert (len(shown["0"][2]), shown["0"][2][-1]) == (20_000, "…")
    assert shown["1"].to_list() == [str(list(range(100))), None, "[]"]
    assert shown["2"][0].isoformat() == "2024-01-01T00:00:00"
    assert shown["3"].to_list() == ["1.50", None, "2.00"]
    for value in ("x" * 10_000, [0] * 10_000):
        with pytest.raises(DataError, match="more than 4 MB") as caught:
            TableView(pl.DataFrame({"long": [value] * 1000})).rows(0, 1000, is_whole=True)
        assert (caught.value.code, caught.value.hint) == ("FB616", "choose fewer of them")


@pytest.mark.parametrize("name", COLUMNS)
def test_every_type_is_had_whole(name: str) -> None:
    view = TableView(COLUMNS[name])
    whole, cut = (view.rows(0, 100, is_whole=is_whole) for is_whole in (True, False))
    assert whole.is_text == cut.is_text
    assert read(whole).dtypes == read(cut).dtypes
    assert read(whole).to_series().is_null().to_list() == COLUMNS[name].is_null().to_list()


def test_arrays_and_tables_of_other_libraries_are_shown_too() -> None:
    matrix = np.arange(2_000_000.0).reshape(-1, 2)
    assert read(TableView(matrix).rows(999_999, 1_000_009)).rows() == [(1_999_998.0, 1_999_999.0)]
    assert read(TableView(SUBCLASSES["recarray"]).rows(0, 9)).rows() == [(1, 2.5), (3, 4.5)]
    foreign = TableView(Table(numbers()))
    assert read(foreign.rows(5, 7))["0"].to_list() == [5, 6]
    assert read(foreign.rows(0, 2, sort_by=[SortKey(column="back")]))["0"].to_list() == [9999, 9998]


@pytest.mark.parametrize("value", [3, "x", None, [1, 2], np.zeros((2, 2, 2)), np.zeros((1, 100_000)), object()])
def test_what_has_no_rows_and_columns_is_refused(value: Any) -> None:
    with pytest.raises(DataError, match="no rows and columns") as caught:
        payloads.view(value)
    assert caught.value.code == "FB600"


def test_a_broken_plan_says_so_at_once() -> None:
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        TableView(pl.LazyFrame({"a": [1]}).select("b"))


# --- statistics -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_is_described(name: str) -> None:
    for value in (COLUMNS[name], COLUMNS[name].to_frame().lazy()):
        stats = TableView(value).stats(0)
        json.dumps(stats, allow_nan=False)
        assert stats["rows"] == len(COLUMNS[name])
        assert stats["nullCount"] == COLUMNS[name].null_count()
        if stats["histogram"] is not None:
            finite = COLUMNS[name].drop_nulls()
            finite = finite.filter(finite.is_finite()) if finite.dtype.is_float() else finite
            assert sum(stats["histogram"]) == len(finite)
        if stats["top"] is not None:
            assert sum(count for _, count in stats["top"]) == len(COLUMNS[name]) - stats["nullCount"]


def test_one_column_of_an_array_is_described_from_that_column_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    read_part = viewports._array_part

    def look(array: Any, start: int, count: int) -> pl.DataFrame:
        frame = read_part(array, start, count)
        sizes.append(frame.height * frame.width)
        return frame

    monkeypatch.setattr(viewports, "_array_part", look)
    view = TableView(np.arange(1000.0).reshape(100, 10))
    assert (view.stats(3)["min"], view.stats(3)["max"]) == ("3", "993")
    assert max(sizes) == 100


class Columnar(Table):
    """A table that gives some of its columns, as pyarrow's do; it notes how many cells each read took."""

    __module__ = "pyarrow.lib"

    def __init__(self, frame: pl.DataFrame, names: list[Any], sizes: list[int]) -> None:
        super().__init__(frame)
        self.names, self.sizes = names, sizes

    @property
    def column_names(self) -> list[Any]:
        return self.names

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        self.sizes.append(self.frame.height * self.frame.width)
        return super().__arrow_c_stream__(requested_schema)

    def slice(self, start: int, count: int) -> Columnar:
        return type(self)(self.frame.slice(start, count), self.names, self.sizes)

    def select(self, names: list[str]) -> Columnar:
        positions = [self.names.index(name) for name in names]
        return type(self)(self.frame[:, positions], names, self.sizes)


class Indexed(Table):
    """A table that is cut by its places and chosen from by its names, as those of pandas are."""

    __module__ = "pandas.core.frame"
    ndim = 2

    def __init__(self, frame: pl.DataFrame, names: list[Any], sizes: list[int]) -> None:
        super().__init__(frame)
        self.columns, self.sizes = names, sizes
        self.iloc = self

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        self.sizes.append(self.frame.height * self.frame.width)
        return super().__arrow_c_stream__(requested_schema)

    def __getitem__(self, chosen: Any) -> Indexed:
        if isinstance(chosen, slice):
            return Indexed(self.frame[chosen], self.columns, self.sizes)
        return Indexed(self.frame[:, [self.columns.index(name) for name in chosen]], chosen, self.sizes)


@pytest.mark.parametrize("kind", [Columnar, Indexed])
def test_one_column_of_another_librarys_table_is_described_from_that_column_alone(kind: Any) -> None:
    sizes: list[int] = []
    view = TableView(kind(numbers(1000), ["n", "back", "few"], sizes))
    sizes.clear()
    assert [view.stats(position)["max"] for position in (0, 1, 2)] == ["999", "1000", "2"]
    assert sizes == [1000] * 3
    by_few = [SortKey(column="few", is_descending=True)]
    assert read(view.rows(0, 2, sort_by=by_few)).rows() == [(2, 998, 2), (5, 995, 2)]
    sizes.clear()
    assert (view.stats(0)["rows"], view.rows(998, 2000).row_count) == (1000, 2)
    assert sum(sizes) <= 6, "what was read to be sorted is described from that"


@pytest.mark.parametrize("kind", [Columnar, Indexed])
@pytest.mark.parametrize("names", [["n", "twice", "twice"], [0, 1, 2]], ids=["two alike", "no texts"])
def test_columns_that_cannot_be_named_are_found_by_their_place(kind: Any, names: list[Any]) -> None:
    view = TableView(kind(numbers(1000), names, []))
    assert [view.stats(position)["max"] for position in (0, 1, 2)] == ["999", "1000", "2"]


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)), min_size=1))
def test_a_histogram_counts_every_finite_number_once(values: list[float | None]) -> None:
    finite = [value for value in values if value is not None and np.isfinite(value)]
    column, array = pl.Series(values, dtype=pl.Float64), np.array([np.nan if v is None else v for v in values])
    for stats in (TableView(column).stats(0), payloads.array_stats(array)):
        assert stats is not None
        json.dumps(stats, allow_nan=False)
        if finite:
            assert sum(stats["histogram"]) == len(finite)
            assert stats["histogram"][0] > 0


def test_steps_are_equal_and_the_last_includes_the_most() -> None:
    stats = TableView(pl.Series(range(100))).stats(0)
    assert stats["histogram"] == [5] * 20
    assert (stats["min"], stats["max"], stats["sampled"]) == ("0", "99", False)


def test_statistics_are_computed_when_asked_for_and_once() -> None:
    seen: list[int] = []

    def look(frame: pl.DataFrame) -> pl.DataFrame:
        seen.append(frame.height)
        return frame

    view = TableView(numbers().lazy().map_batches(look))
    assert not seen
    first = view.stats(2)
    assert len(seen) == 1
    assert view.stats(2) is first
    assert len(seen) == 1


def test_a_long_column_is_sampled_for_its_histogram_and_says_so() -> None:
    column = pl.select(pl.int_range(3_000_001)).to_series()
    stats = TableView(column).stats(0)
    assert stats["sampled"]
    assert (stats["rows"], stats["min"], stats["max"]) == (3_000_001, "0", "3,000,000")
    assert sum(stats["histogram"]) == 750_001, "every fourth"


def test_the_most_frequent_texts_are_counted() -> None:
    stats = TableView(pl.Series("count", ["b", "a", "b", None, "c" * 1000])).stats(0)
    assert stats["top"] == [["b", 2], ["a", 1], ["c" * 47 + "…", 1]]
