"""The one object the engine sees keeps the promises of its Protocol."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from flowbook.data.payloads import TablePayloads

if TYPE_CHECKING:
    from flowbook.core.interfaces import Payloads

payloads: Payloads = TablePayloads()


def test_plain_values_load_neither_polars_nor_numpy() -> None:
    code = """
import sys
from flowbook.data.payloads import TablePayloads
payloads = TablePayloads()
for value in (None, 1, "x", b"x", [1, {"a": 2}], print, object(), {1, 2}):
    payloads.shape(value)
    payloads.hand_out(payloads.publish(value), "", is_own=True)
    payloads.preview(value), payloads.size_bytes(value), payloads.content_key(value), payloads.scanned_files(value)
    payloads.collect([value]), payloads.shared_buffers(value), payloads.private_copy(value)
heavy = {"polars", "numpy", "matplotlib", "PIL", "altair", "vl_convert", "pandas", "IPython"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_a_table_is_made_of_plain_rows_with_columns_in_order_of_appearance() -> None:
    made = payloads.table([{"node": "a", "rows": 1}, {"node": "b", "tookS": 0.5}, {"rows": None, "tookS": 1}])
    assert made.schema == {"node": pl.String, "rows": pl.Int64, "tookS": pl.Float64}
    assert made.rows() == [("a", 1, None), ("b", None, 0.5), (None, None, 1.0)]


@pytest.mark.parametrize(
    ("values", "dtype", "wanted"),
    [
        ([True, None], pl.Boolean, [True, None]),
        ([1, 2.5], pl.Float64, [1.0, 2.5]),
        ([None, None], pl.Null, [None, None]),
        ([[1], {"a": 1}], pl.String, ["[1]", '{"a": 1}']),
        ([1, "x", True], pl.String, ["1", "x", "true"]),
        ([dt.date(2013, 1, 1), None], pl.Date, [dt.date(2013, 1, 1), None]),
        ([dt.datetime(2013, 1, 1, tzinfo=dt.UTC)], pl.Datetime("us", "UTC"), [dt.datetime(2013, 1, 1, tzinfo=dt.UTC)]),
        ([object], pl.String, [str(object)]),
        ([2**100], pl.Int128, [2**100]),
        ([2**300], pl.String, [str(2**300)]),
        ([b"x", None], pl.Binary, [b"x", None]),
        ([dt.date(2013, 1, 1), "x"], pl.String, ["2013-01-01", "x"]),
    ],
    ids=repr,
)
def test_the_type_of_a_column_depends_on_its_values_alone(values: list[Any], dtype: Any, wanted: list[Any]) -> None:
    for order in (1, -1):
        made = payloads.table([{"x": value} for value in values[::order]])
        assert made.schema["x"] == dtype
        assert made["x"].to_list() == wanted[::order]


def test_a_table_of_no_rows_has_no_columns() -> None:
    assert payloads.table([]).shape == (0, 0)
    assert payloads.table(iter([{"": 1}])).columns == [""]


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        (np.zeros(1000), 8000, 8000),
        (pl.Series([1] * 1000), 8000, 8000),
        (pl.DataFrame({"a": ["x" * 100] * 1000}), 116_000, 117_000),
        ([np.zeros(1000)] * 1000, 8_000_000, 8_100_000),
        ({"a": "x" * 1000}, 1000, 2000),
        ("x" * 1000, 1000, 1100),
        (b"x" * 1000, 1000, 1100),
        (None, 1, 100),
        (object(), 1, 100),
        (dict.fromkeys(range(10_000), "x" * 49), 900_000, 2_000_000),
        ([], 1, 100),
        ([[[[[["deep"]]]]]], 100, 1000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_memory_of_a_value_is_estimated(value: object, least: int, most: int) -> None:
    assert least <= payloads.size_bytes(value) <= most


def test_what_contains_itself_has_a_size() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert 0 < payloads.size_bytes(endless) < 1000
