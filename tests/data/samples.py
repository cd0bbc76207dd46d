"""Arrays and columns of every type, for tests that must hold for all of them."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

if TYPE_CHECKING:
    from numpy.typing import NDArray

ARRAYS: dict[str, NDArray[Any]] = {
    "float64": np.linspace(0.0, 1.0, 6),
    "float16": np.ones(3, "f2"),
    "longdouble": np.ones(3, np.longdouble),
    "int8": np.arange(5, dtype="i1"),
    "uint64": np.array([0, 2**64 - 1], dtype="u8"),
    "bool": np.array([True, False, True]),
    "complex": np.array([1 + 2j, 3 - 1j]),
    "str": np.array(["a", "bcd", ""]),
    "bytes": np.array([b"a", b"bcd"]),
    "variable-width str": np.array(["a", "b" * 100], dtype=np.dtypes.StringDType()),
    "object": np.array([{"a": 1}, None, "x"], dtype=object),
    "datetime": np.array(["2013-01-01", "2013-12-31T23:59:59.5"], dtype="M8[us]"),
    "datetime with NaT": np.array(["2013-01-01", "NaT"], dtype="M8[ns]"),
    "seconds": np.array(["2013-01-01T00:00:01"], dtype="M8[s]"),
    "days": np.array(["2013-01-01", "1960-05-05"], dtype="M8[D]"),
    "months": np.array(["2013-02"], dtype="M8[M]"),
    "timedelta": np.array([1, -5], dtype="m8[ms]"),
    "hours": np.array([1, -5], dtype="m8[h]"),
    "record": np.array([(1, 2.5), (3, 4.5)], dtype=[("a", "i4"), ("b", "f8")]),
    "record with times": np.array([(1, 0), (2, 5)], dtype=[("a", "i4"), ("t", "M8[us]")]),
    "record with objects": np.array([(1, "x")], dtype=[("a", "i4"), ("o", "O")]),
    "raw bytes": np.zeros(3, "V5"),
    "big-endian": np.arange(4, dtype=">i4"),
    "big-endian times": np.array(["2013-01-01"], dtype=">M8[us]"),
    "0-d": np.array(3.5),
    "0-d time": np.array("2013-01-01", dtype="M8[us]"),
    "empty": np.zeros(0),
    "empty 2-D": np.zeros((0, 3)),
    "no columns": np.zeros((3, 0)),
    "C order": np.arange(12.0).reshape(3, 4),
    "Fortran order": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "one column": np.arange(4.0).reshape(4, 1),
    "3-D": np.arange(24).reshape(2, 3, 4),
    "2-D times": np.arange(6).astype("M8[us]").reshape(2, 3),
    "2-D bool": np.ones((2, 3), bool),
    "reversed": np.arange(10)[::-2],
    "broadcast": np.broadcast_to(np.ones(1), (4,)),
    "unaligned": np.frombuffer(b"x" + np.arange(3.0).tobytes() + b"yyyyyyy", dtype="u1")[1:25].view("f8"),
}
SUBCLASSES: dict[str, Any] = {
    "matrix": np.arange(6.0).reshape(2, 3).view(np.matrix),
    "recarray": np.rec.array([(1, 2.5), (3, 4.5)], dtype=[("a", "i4"), ("b", "f8")]),
    "masked": np.ma.MaskedArray([1, 2, 3], mask=[False, True, False], fill_value=-1),
    "masked times": np.ma.MaskedArray(np.array(["2013-01-01", "2014-01-01"], "M8[us]"), mask=[False, True]),
    "masked 2-D": np.ma.MaskedArray([[1.0, 2.0], [3.0, 4.0]], mask=[[False, True], [False, False]]),
    "masked bool": np.ma.MaskedArray([True, False], mask=[False, True]),
    "masked str": np.ma.MaskedArray(["a", "b"], mask=[False, True]),
    "masked complex": np.ma.MaskedArray([1j, 2j], mask=[False, True]),
    "unmasked": np.ma.MaskedArray([1, 2, 3]),
}

_UTC = dt.UTC
_INTEGERS = (
    *(pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128),
    *(pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.UInt128),
)
COLUMNS: dict[str, pl.Series] = {
    series.name: series
    for series in [
        *(pl.Series(str(dtype), [1, None, 3], dtype=dtype) for dtype in _INTEGERS),
        pl.Series("Float16", [1.5, None], dtype=pl.Float16),
        pl.Series("Float32", [1.5, None], dtype=pl.Float32),
        pl.Series("Float64", [1.5, None, float("nan"), float("-inf")]),
        pl.Series("Boolean", [True, False, None]),
        pl.Series("String", ["a", None, "é" * 1000, "line\nline", "<script>alert(1)</script>"]),
        pl.Series("Binary", [b"a", None, b"\x00" * 1000]),
        pl.Series("Null", [None, None]),
        pl.Series("Date", [dt.date(2013, 1, 1), None]),
        pl.Series("Date out of Python's range", [10_000_000, None]).cast(pl.Date),
        pl.Series("Time", [dt.time(5, 15), None]),
        pl.Series("Datetime", [dt.datetime(2013, 1, 1, 5, 15), None]),  # noqa: DTZ001 - a column without a zone
        pl.Series("Datetime UTC", [dt.datetime(2013, 1, 1, tzinfo=_UTC), None]),
        pl.Series("Datetime out of range", [2**62, -(2**62)]).cast(pl.Datetime("us")),
        pl.Series("Datetime Berlin", [0, None]).cast(pl.Datetime("ns", "Europe/Berlin")),
        pl.Series("Duration", [dt.timedelta(minutes=90), None]),
        pl.Series("Duration out of range", [2**63 - 1, -(2**63) + 1]).cast(pl.Duration("ms")),
        pl.Series("Decimal", [decimal.Decimal("1.50"), None]),
        pl.Series("Categorical", ["a", None], dtype=pl.Categorical),
        pl.Series("Categories", ["a", None], dtype=pl.Categorical(pl.Categories("sizes"))),
        pl.Series("Enum", ["a", None], dtype=pl.Enum(["a", "b"])),
        pl.Series("List", [[1, 2, 3], None, list(range(10_000))]),
        pl.Series("List of String", [["a" * 1000, None], []]),
        pl.Series("List of List", [[[1], [2, 3]], None]),
        pl.Series("List of Binary", [[b"a" * 1000]]),
        pl.Series("Array", [[1, 2], None], dtype=pl.Array(pl.Int64, 2)),
        pl.Series("Array of Array", np.zeros((2, 30, 40))),
        pl.Series("Struct", [{"a": 1, "b": "x"}, None]),
        pl.Series("List of Struct", [[{"a": 1, "b": [1, 2]}], None]),
        pl.Series("Object", [object(), None], dtype=pl.Object),
    ]
}

_dtypes = st.one_of(
    hnp.integer_dtypes(),
    hnp.floating_dtypes(),
    hnp.boolean_dtypes(),
    hnp.datetime64_dtypes(max_period="D", min_period="ns"),
    hnp.timedelta64_dtypes(max_period="D", min_period="ns"),
    hnp.unicode_string_dtypes(max_len=4),
)


@st.composite
def arrays(draw: st.DrawFn, *, max_dims: int = 3) -> NDArray[Any]:
    """Arrays of many types, in C, Fortran and reversed order, whole and strided."""
    dtype = draw(_dtypes)
    shapes = hnp.array_shapes(min_dims=1, max_dims=max_dims, min_side=0, max_side=5)
    array: NDArray[Any] = draw(hnp.arrays(dtype, shapes))
    how = draw(st.sampled_from(["as it is", "fortran", "reversed", "strided"]))
    if how == "fortran":
        return np.asfortranarray(array)
    if how == "reversed":
        return array[::-1]
    return array[::2] if how == "strided" else array
