"""What speaks the protocols of Arrow or numpy is accepted, whoever made it; what moved is told by where it lies."""

from __future__ import annotations

import array as array_module
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from flowbook.data import foreign_tables
from flowbook.data.payloads import TablePayloads
from flowbook.errors import DataError
from tests.data.buffer_addresses import array_address, lend_first_chunk, table_buffers
from tests.data.samples import COLUMNS

if TYPE_CHECKING:
    from flowbook.core.interfaces import Handed

payloads = TablePayloads()


class Table:
    """A table of a library whose tables never change: it lends a polars table through the Arrow stream."""

    __module__ = "pyarrow.lib"

    def __init__(self, frame: pl.DataFrame) -> None:
        self.frame, self.reads = frame, 0

    @property
    def shape(self) -> tuple[int, int]:
        return self.frame.shape

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        self.reads += 1
        return self.frame.__arrow_c_stream__(requested_schema)


class Column:
    """A column that is handed over as one array instead of a stream."""

    __module__ = "arro3.core"

    def __init__(self, series: pl.Series) -> None:
        self.series = series

    def __len__(self) -> int:
        return len(self.series)

    def __arrow_c_array__(self, requested_schema: object = None) -> object:
        return lend_first_chunk(self.series.to_frame())


class Tensor:
    """An array of another library, over memory of numpy's."""

    def __init__(self, values: Any) -> None:
        self.values = values
        self.shape, self.dtype = values.shape, values.dtype

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return dict(self.values.__array_interface__)


class FarTensor:
    """An array that lies elsewhere (on a graphics card) and has to be fetched."""

    shape, dtype = (3,), "float64"

    def __array__(self, dtype: object = None, copy: bool | None = None) -> Any:
        if copy is False:
            raise ValueError("it lies elsewhere")
        return np.arange(3.0)


def handed(value: object, form: str) -> Handed:
    return payloads.hand_out(payloads.publish(value), form, is_own=True)


@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "Object"])
def test_a_constant_table_is_shared_where_its_layout_is_that_of_polars(name: str) -> None:
    frame = COLUMNS[name].to_frame()
    got = handed(Table(frame), "DataFrame")
    assert got.value.equals(frame)
    if name in {"Categorical", "Categories", "Enum"}:  # exporting a category writes its codes anew
        assert [copy.reason for copy in got.copies] == [f"from pyarrow: {name!r} lies differently in polars"]
        assert got.copies[0].size_bytes > 0
    elif name == "Struct":  # a null record becomes a null in each of its fields: a bitmap more
        assert 0 < got.copies[0].size_bytes <= 2
    else:
        assert got.copies == ()
        assert set(table_buffers(got.value)) <= set(table_buffers(frame))


def test_a_table_is_read_once_however_its_copies_are_counted() -> None:
    table = Table(pl.DataFrame({"a": [1], "b": ["x"]}))
    handed(table, "DataFrame")
    assert table.reads == 1


def test_only_columns_that_moved_are_counted() -> None:
    frame = pl.DataFrame({"stays": range(1000), "moves": pl.Series(["a", "b"] * 500, dtype=pl.Categorical)})
    got = handed(Table(frame), "DataFrame")
    (copy,) = got.copies
    assert copy.reason == "from pyarrow: 'moves' lies differently in polars"
    assert 0 < copy.size_bytes < 8000


def test_a_table_that_its_library_can_write_to_is_copied_whole() -> None:
    made = np.arange(1000.0)
    writable = type("DataFrame", (Table,), {"__module__": "pandas.core.frame"})(pl.DataFrame({"a": pl.Series(made)}))
    assert foreign_tables.library(writable) == "pandas"
    got = payloads.hand_out(writable, "DataFrame", is_own=False)
    assert [(copy.size_bytes, copy.reason) for copy in got.copies] == [
        (8000, "from pandas, which can still write to it")
    ]
    made[0] = 99
    assert got.value["a"][0] == 0


def test_what_is_lent_as_one_array_is_read_too() -> None:
    series = pl.Series("a", [1, 2, 3])
    assert payloads.shape(Column(series)).rows == 3
    got = handed(Column(series), "DataFrame")
    assert got.value.to_dict(as_series=False) == {"a": [1, 2, 3]}
    assert got.copies == ()


def test_many_tables_are_lent_and_given_back() -> None:
    frame = pl.DataFrame({"a": range(1000), "b": ["text" * 10] * 1000})
    before = sys.getrefcount(frame)
    frames = [handed(Table(frame), "DataFrame").value for _ in range(200)]
    assert all(other.equals(frame) for other in frames)
    assert sys.getrefcount(frame) == before


@pytest.mark.parametrize("form", ["ndarray", "Series", "DataFrame", "LazyFrame"])
def test_an_array_of_another_library_is_viewed_and_never_aliased_by_a_table(form: str) -> None:
    values = np.arange(4.0)
    got = payloads.hand_out(Tensor(values), form, is_own=False)
    if form == "ndarray":
        assert got.copies == ()
        assert array_address(got.value) == array_address(values)
        with pytest.raises(ValueError, match="WRITEABLE"):
            got.value.flags.writeable = True
        return
    assert [copy.reason for copy in got.copies] == ["the notebook can still write to this array"]
    values[0] = 99
    table = got.value.lazy().collect() if form != "Series" else got.value.to_frame()
    assert table.to_series()[0] == 0


def test_an_array_that_lies_elsewhere_is_a_copy_and_says_so() -> None:
    got = handed(FarTensor(), "ndarray")
    assert [(copy.size_bytes, copy.reason) for copy in got.copies] == [
        (24, "from tests, which keeps its values elsewhere")
    ]
    assert got.value.tolist() == [0, 1, 2]


@pytest.mark.parametrize("value", [memoryview(b"abc"), array_module.array("B", b"abc"), memoryview(bytearray(b"abc"))])
def test_memory_that_python_itself_lends_is_an_array(value: Any) -> None:
    shape = payloads.shape(value)
    assert (shape.kind, shape.rows) == ("array", 3)
    assert handed(value, "ndarray").value.tolist() == [97, 98, 99]
    is_constant = isinstance(value, memoryview) and value.readonly
    assert (handed(value, "Series").copies == ()) == is_constant


def test_a_view_that_is_read_only_over_writable_memory_is_not_constant() -> None:
    data = bytearray(b"abc")
    got = handed(memoryview(data).toreadonly(), "Series")
    data[0] = 0
    assert got.value.to_list() == [97, 98, 99]


@pytest.mark.parametrize("form", ["ndarray", "DataFrame"])
def test_a_broken_array_is_refused_with_a_remedy(form: str) -> None:
    class Broken:
        def __array__(self, dtype: object = None, copy: bool | None = None) -> Any:
            raise RuntimeError("it is gone")

    assert payloads.shape(Broken()).kind == "array"
    with pytest.raises(DataError, match="Broken cannot be read as an array: it is gone") as caught:
        handed(Broken(), form)
    assert caught.value.code == "FB605"
