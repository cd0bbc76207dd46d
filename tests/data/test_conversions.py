"""A value takes the form that is asked for, and says truthfully what that copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from polars.testing import assert_frame_equal, assert_series_equal

from flowbook.data.payloads import TablePayloads
from flowbook.errors import DataError
from tests.data.buffer_addresses import array_address, table_buffers
from tests.data.samples import ARRAYS, COLUMNS, SUBCLASSES, arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flowbook.core.interfaces import Handed

payloads = TablePayloads()
FORMS: dict[str, Any] = {
    "LazyFrame": pl.LazyFrame,
    "DataFrame": pl.DataFrame,
    "Series": pl.Series,
    "ndarray": np.ndarray,
}


def handed(value: object, form: str, *, is_own: bool = True) -> Handed:
    return payloads.hand_out(payloads.publish(value) if is_own else value, form, is_own=is_own)


def is_shared(array: NDArray[Any], table: pl.DataFrame | pl.Series) -> bool:
    """Tell whether some buffer of the table begins within the array's memory."""
    low, high = np.lib.array_utils.byte_bounds(array)
    return any(low <= address < high for address in table_buffers(table))


# --- zero-copy, and exactly then ------------------------------------------------------------------------------------


@given(arrays(), st.sampled_from(["Series", "DataFrame", "LazyFrame"]), st.booleans())
def test_an_array_becomes_a_table_with_a_copy_reported_exactly_when_memory_is_not_shared(
    array: NDArray[Any], form: str, is_own: bool
) -> None:
    if form != "Series" and array.ndim > 2:
        with pytest.raises(DataError, match="dimensions"):
            handed(array, form, is_own=is_own)
        return
    got = handed(array, form, is_own=is_own)
    assert isinstance(got.value, FORMS[form])
    table: Any = got.value.lazy().collect() if form != "Series" else got.value
    if array.size:
        assert is_shared(array, table) == (got.copies == ())
    assert sum(copy.size_bytes for copy in got.copies) <= 2 * payloads.size_bytes(table)
    assert all(copy.size_bytes > 0 and copy.reason for copy in got.copies)
    if form == "Series" and array.dtype.kind in "iuf":
        assert_array_equal(table.to_numpy(), array)
    if form != "Series" and array.dtype.kind in "iuf" and array.shape[-1]:
        assert_array_equal(table.to_numpy(), array.reshape(len(array), int(np.prod(array.shape[1:]))))


@pytest.mark.parametrize("is_own", [True, False])
@pytest.mark.parametrize("form", ["Series", "DataFrame", "LazyFrame"])
def test_numbers_of_a_node_are_shared_and_those_the_notebook_can_write_to_are_copied(form: str, is_own: bool) -> None:
    array = np.arange(1000.0)
    got = handed(array, form, is_own=is_own)
    if is_own:
        assert got.copies == ()
    else:
        assert [(copy.size_bytes, copy.reason) for copy in got.copies] == [
            (8000, "the notebook can still write to this array")
        ]
        array[0] = 99
    table = got.value.lazy().collect() if form != "Series" else got.value.to_frame()
    assert table.to_series()[0] == 0
    assert is_shared(array, table) == is_own


def test_a_node_that_passes_the_notebooks_array_on_does_not_make_it_constant() -> None:
    for array in (np.arange(10.0), np.arange(10).astype("M8[us]")):
        viewed = payloads.hand_out(array, "", is_own=False).value
        edge = payloads.publish(viewed[2:5])
        got = payloads.hand_out(edge, "Series", is_own=True)
        assert [copy.reason for copy in got.copies] == ["the notebook can still write to this array"]
        assert not is_shared(array, got.value)


def test_a_read_only_array_of_the_notebook_is_shared() -> None:
    array = np.arange(10.0)
    array.flags.writeable = False
    got = handed(array, "Series", is_own=False)
    assert got.copies == ()
    assert is_shared(array, got.value)


WHY_COPIED = {
    "bool": "bool: bytes become bits",
    "str": "str becomes a column of its own",
    "variable-width str": "str becomes a column of its own",
    "bytes": "bytes becomes a column of its own",
    "datetime with NaT": "NaT becomes null",
    "seconds": "datetime64[s] becomes ms",
    "days": "dates take 8 bytes in numpy, 4 in polars",
    "months": "datetime64[M] becomes D",
    "hours": "timedelta64[h] becomes ms",
    "big-endian": "foreign byte order",
    "big-endian times": "foreign byte order",
    "reversed": "strided: values lie apart in memory",
    "broadcast": "strided: values lie apart in memory",
    "unaligned": "not aligned in memory",
    "2-D bool": "bool: bytes become bits",
    "Fortran order": "strided: values lie apart in memory",
}
SHARED = ["float64", "float16", "int8", "uint64", "datetime", "timedelta", "C order", "3-D", "2-D times", "one column"]


@pytest.mark.parametrize("name", WHY_COPIED)
def test_a_copy_into_a_series_says_why(name: str) -> None:
    got = handed(ARRAYS[name], "Series")
    assert [copy.reason for copy in got.copies] == [WHY_COPIED[name]]
    assert got.copies[0].size_bytes == payloads.size_bytes(got.value)
    assert not is_shared(ARRAYS[name], got.value)


@pytest.mark.parametrize("name", SHARED)
def test_numbers_and_times_in_c_order_become_a_series_over_the_same_bytes(name: str) -> None:
    got = handed(ARRAYS[name], "Series")
    assert got.copies == ()
    assert array_address(ARRAYS[name]) in table_buffers(got.value)
    back = handed(got.value, "ndarray")
    assert back.copies == ()
    assert array_address(back.value) == array_address(ARRAYS[name])
    assert_array_equal(back.value, ARRAYS[name])


def test_times_keep_their_instants_and_nat_becomes_null() -> None:
    for name in ("datetime", "datetime with NaT", "seconds", "days", "months", "big-endian times"):
        series = handed(ARRAYS[name], "Series").value
        wanted = [None if np.isnat(time) else time.astype("M8[us]").item() for time in ARRAYS[name]]
        assert series.cast(pl.Datetime("us")).to_list() == wanted, name
    for name in ("timedelta", "hours"):
        series = handed(ARRAYS[name], "Series").value
        assert series.to_list() == [span.astype("m8[us]").item() for span in ARRAYS[name]], name


def test_columns_that_lie_one_behind_the_other_are_shared_and_rows_are_turned_once() -> None:
    fortran = handed(ARRAYS["Fortran order"], "DataFrame")
    assert fortran.copies == ()
    assert array_address(ARRAYS["Fortran order"]) in table_buffers(fortran.value)
    c_order = handed(ARRAYS["C order"], "DataFrame")
    assert [(copy.size_bytes, copy.reason) for copy in c_order.copies] == [(96, "C-order 2D: rows become columns")]
    assert_frame_equal(c_order.value, fortran.value)
    assert c_order.value.columns == ["column_0", "column_1", "column_2", "column_3"]
    back = handed(fortran.value, "ndarray")
    assert back.copies == ()
    assert array_address(back.value) == array_address(ARRAYS["Fortran order"])


def test_a_record_array_becomes_a_table_of_its_fields() -> None:
    got = handed(ARRAYS["record with times"], "DataFrame")
    assert got.value.schema == {"a": pl.Int32, "t": pl.Datetime("us")}
    assert [(copy.size_bytes, copy.reason) for copy in got.copies] == [(24, "strided: values lie apart in memory")]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("masked", [1, None, 3]),
        ("masked times", [np.datetime64("2013-01-01", "us").item(), None]),
        ("masked bool", [True, None]),
        ("masked str", ["a", None]),
        ("masked 2-D", [[1.0, None], [3.0, 4.0]]),
        ("unmasked", [1, 2, 3]),
        ("matrix", [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]),
    ],
)
def test_masked_values_become_nulls_and_a_matrix_is_an_array(name: str, wanted: list[object]) -> None:
    assert handed(SUBCLASSES[name], "Series").value.to_list() == wanted
    frame = handed(SUBCLASSES[name], "DataFrame").value
    assert [list(row) if frame.width > 1 else row[0] for row in frame.rows()] == wanted


@pytest.mark.parametrize("name", COLUMNS)
def test_a_series_becomes_an_array_with_a_copy_reported_exactly_when_memory_is_not_shared(name: str) -> None:
    series = COLUMNS[name]
    value: Any
    for value in (series, series.to_frame()):
        if "Int128" in name:
            with pytest.raises(DataError, match=f"column '{name}' is") as caught:
                handed(value, "ndarray")
            assert caught.value.code == "FB602"
            assert caught.value.fields["column"] == name
            continue
        got = handed(value, "ndarray")
        assert isinstance(got.value, np.ndarray)
        assert not got.value.flags.writeable
        if name != "Object":
            is_coded = isinstance(value, pl.Series) and series.dtype.base_type() in {pl.Enum, pl.Categorical}
            buffers = table_buffers(value.to_physical() if is_coded else value)
            assert (array_address(got.value) in buffers) == (got.copies == ())
        assert all(copy.size_bytes > 0 and repr(name) in copy.reason for copy in got.copies)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (pl.Series("x", [1, None]), "nulls in column 'x'"),
        (pl.Series("x", [True]), "bool column 'x': bits become bytes"),
        (pl.Series("x", ["a"]), "column 'x': string becomes Python objects"),
        (pl.Series("x", [[1]]), "column 'x': list of int64 becomes Python objects"),
        (pl.Series("x", ["1.5"]).cast(pl.Decimal(9, 2)), "column 'x': decimal becomes Python objects"),
        (pl.Series("x", [1]).append(pl.Series("x", [2])), "column 'x' lies in 2 chunks"),
        (pl.Series("x", [1]).cast(pl.Date), "column 'x': dates take 4 bytes in polars, 8 in numpy"),
        (pl.DataFrame({"x": [1, 2], "y": [3, 4]}), "columns lie apart in memory"),
        (pl.DataFrame({"x": [1, 2], "y": [3, None]}), "nulls in column 'y'"),
        (pl.DataFrame({"x": [1], "y": [1.5]}), "columns of 2 types (int64, float64) become float64"),
        (pl.DataFrame({"x": ["a"], "y": ["b"]}), "column 'x': string becomes Python objects"),
        (
            pl.DataFrame({"x": ["a"], "y": [1], "z": [1.5], "w": [True]}),
            "columns of 4 types (string, int64, float64 …) become object",
        ),
    ],
    ids=repr,
)
def test_a_copy_into_an_array_says_why(value: pl.Series | pl.DataFrame, reason: str) -> None:
    got = handed(value, "ndarray")
    assert [copy.reason for copy in got.copies] == [reason]


@pytest.mark.parametrize("kind", ["c8", "c16"])
def test_complex_numbers_become_pairs_over_the_same_memory(kind: str) -> None:
    array = np.array([1 + 2j, 3 - 1j, 0.5j], dtype=kind)
    for form in ("Series", "DataFrame"):
        got = handed(array, form)
        assert got.copies == ()
        assert array_address(array) in table_buffers(got.value)
        pairs = got.value.to_numpy() if form == "Series" else got.value.to_series().to_numpy()
        assert_array_equal(pairs.view(kind)[:, 0], array)
    turned = handed(np.asfortranarray(np.arange(6).reshape(3, 2) * 1j), "DataFrame")
    assert (turned.copies, turned.value.shape) == ((), (3, 2))


@pytest.mark.parametrize("name", ["Categorical", "Categories", "Enum"])
def test_categories_go_to_numpy_and_back_as_codes_without_a_copy(name: str) -> None:
    series = pl.concat([COLUMNS[name].drop_nulls()] * 3, rechunk=True)
    codes = handed(series, "ndarray")
    assert (codes.copies, codes.value.dtype.kind) == ((), "u")
    assert array_address(codes.value) in table_buffers(series.to_physical())
    edge = payloads.publish(codes.value)
    passed_on: Any
    for passed_on in (edge, payloads.hand_out(edge, "", is_own=True).value[:2]):
        back = payloads.hand_out(passed_on, "Series", is_own=True)
        assert back.copies == ()
        assert_series_equal(back.value, series[: len(passed_on)], check_names=False)
        assert array_address(codes.value) in table_buffers(back.value.to_physical())
    changed = handed(codes.value.astype("u4") + 1_000_000, "Series").value
    assert changed.dtype.is_integer()


@pytest.mark.parametrize("name", ["Categorical", "Categories", "Enum"])
def test_a_category_that_is_missing_has_the_code_minus_one(name: str) -> None:
    codes = handed(COLUMNS[name], "ndarray")
    assert codes.value[1] == -1
    assert [copy.reason for copy in codes.copies] == [f"nulls in column {name!r}"]
    back = handed(codes.value, "Series")
    assert_series_equal(back.value, COLUMNS[name], check_names=False)
    assert [copy.reason for copy in back.copies] == ["-1 becomes null"]


# --- frames, Series, plans --------------------------------------------------------------------------------------------


def test_frames_series_and_plans_change_form_over_the_same_buffers() -> None:
    frame = pl.DataFrame({"a": ["x", "y" * 40, None]})
    forms = [frame, frame.lazy(), frame.to_series()]
    for value in forms:
        for form in ("LazyFrame", "DataFrame", "Series"):
            got = handed(value, form)
            assert isinstance(got.value, FORMS[form])
            assert got.copies == ()
            table: Any = got.value.lazy().collect() if form != "Series" else got.value
            assert table_buffers(table) == table_buffers(frame)


def test_a_plan_is_collected_when_data_is_asked_for_and_nothing_it_raises_is_swallowed() -> None:
    plan = pl.LazyFrame({"a": [3, 1, 2]}).filter(pl.col("a") > 1)
    assert handed(plan, "DataFrame").value["a"].to_list() == [3, 2]
    assert handed(plan, "Series").value.to_list() == [3, 2]
    assert handed(plan, "ndarray").value.tolist() == [[3], [2]]
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        handed(plan.select("b"), "DataFrame")


def test_a_frame_made_of_an_array_does_not_change_when_its_consumer_writes() -> None:
    array = np.arange(3.0)
    edge = payloads.publish(array)
    one = payloads.hand_out(edge, "DataFrame", is_own=True).value
    one[0, "column_0"] = 99
    assert payloads.hand_out(edge, "Series", is_own=True).value.to_list() == [0.0, 1.0, 2.0]


# --- what cannot be -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [None, "a.parquet", 3, [1, 2], {"a": [1]}, b"x", object(), print, True])
def test_what_is_no_table_is_refused_with_a_remedy(value: object, form: str) -> None:
    with pytest.raises(DataError, match=f"cannot become an? {form}") as caught:
        handed(value, form)
    assert caught.value.code == "FB600"
    assert caught.value.hint
    assert caught.value.fields == {"given": type(value).__name__, "form": form}


def test_a_series_is_not_picked_out_of_several_columns() -> None:
    with pytest.raises(DataError, match="2 columns") as caught:
        handed(pl.DataFrame({"a": [1], "b": [2]}), "Series")
    assert caught.value.code == "FB601"
    assert "'a', 'b'" in caught.value.hint


@pytest.mark.parametrize("name", ["masked complex", "longdouble", "raw bytes", "object", "record"])
def test_types_that_polars_does_not_have_are_refused_with_a_remedy(name: str) -> None:
    with pytest.raises(DataError) as caught:
        handed({**ARRAYS, **SUBCLASSES}[name], "Series")
    assert caught.value.code == "FB602"
    assert caught.value.hint


def test_the_column_at_fault_is_named() -> None:
    records = np.array([(1, 2j)], dtype=[("fine", "i4"), ("wave", "c32")])
    with pytest.raises(DataError, match="'wave'"):
        handed(records, "DataFrame")


def test_objects_of_one_type_become_a_column() -> None:
    assert handed(np.array([1, None, 3], dtype=object), "Series").value.to_list() == [1, None, 3]
    assert handed(np.array([[1, 2], [3, 4]], dtype=object), "Series").value.to_list() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(("name", "form"), [("0-d", "Series"), ("0-d", "DataFrame"), ("3-D", "DataFrame")])
def test_an_array_of_the_wrong_dimensions_is_refused(name: str, form: str) -> None:
    with pytest.raises(DataError) as caught:
        handed(ARRAYS[name], form)
    assert caught.value.code == "FB603"
    assert caught.value.hint


def test_an_array_without_columns_keeps_its_height() -> None:
    assert handed(ARRAYS["no columns"], "DataFrame").value.shape == (3, 0)


def test_columns_without_an_array_type_in_common_are_named() -> None:
    frame = pl.DataFrame({"n": [1], "m": [2], "who": ["x"], "at": [np.datetime64("2013-01-01", "us").item()]})
    with pytest.raises(DataError, match="'m' is int64, 'who' is string, 'at' is datetime") as caught:
        handed(frame, "ndarray")
    assert caught.value.code == "FB602"


def test_a_table_of_another_library_is_read_through_arrow() -> None:
    class Lent:
        """Looks like a table of another library."""

        shape, nbytes = (1, 1), 8

        def slice(self, start: int, stop: int) -> Lent:
            return self

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return pl.DataFrame({"a": [1]}).__arrow_c_stream__()

    assert handed(Lent(), "DataFrame").value.to_dict(as_series=False) == {"a": [1]}
    assert [copy.reason for copy in handed(Lent(), "Series").copies] == ["from tests, which can still write to it"]
    assert payloads.preview(Lent()) == payloads.preview(pl.DataFrame({"a": [1]}))
    Lent.__arrow_c_stream__ = lambda *_: 1 / 0  # type: ignore[method-assign]
    assert payloads.size_bytes(Lent()) == 8
    assert payloads.preview(Lent()) == {"kind": "text", "text": "Lent 1 × 1"}
    with pytest.raises(DataError, match="Lent cannot be read through Arrow: division by zero") as caught:
        handed(Lent(), "DataFrame")
    assert caught.value.code == "FB605"


def test_an_unknown_form_means_as_it_is() -> None:
    assert handed("x", "Table").value == "x"


def test_every_form_of_a_series_equals_every_other() -> None:
    series = pl.Series("column_0", [1.0, 2.0, 3.0])
    for first in FORMS:
        for second in FORMS:
            got = handed(handed(handed(series, first).value, second).value, "DataFrame").value
            assert_series_equal(got.to_series(), series, check_names=False)
