"""What a value is and how large is known without reading it."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import functools
import pathlib
import sys
import types
from typing import Any

import numpy as np
import polars as pl
import pytest

from flowbook.core.interfaces import ValueShape
from flowbook.data.families import family_of
from flowbook.data.payloads import TablePayloads
from tests.data.quickest import quickest
from tests.data.samples import ARRAYS, COLUMNS, SUBCLASSES

payloads = TablePayloads()


class Colour(enum.Enum):
    RED = "red"


class Model:
    def __call__(self) -> None: ...


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (pl.DataFrame({"a": range(336_776)}), ValueShape(kind="table", rows=336_776, columns=1, text="336,776 × 1")),
        (pl.DataFrame(), ValueShape(kind="table", rows=0, columns=0, text="0 × 0")),
        (pl.LazyFrame({"a": [1], "b": [2]}), ValueShape(kind="table", columns=2, text="? × 2", is_lazy=True)),
        (pl.LazyFrame({"a": [1]}).select("b"), ValueShape(kind="table", text="?", is_lazy=True)),
        (pl.scan_parquet("no such file.parquet"), ValueShape(kind="table", text="?", is_lazy=True)),
        (pl.Series([1] * 1000), ValueShape(kind="series", rows=1000, text="1,000 int64")),
        (np.zeros((1000, 3)), ValueShape(kind="array", rows=1000, columns=3, text="(1000, 3) float64")),
        (np.zeros(4, "M8[us]"), ValueShape(kind="array", rows=4, text="(4,) datetime64[us]")),
        (np.array(1.0), ValueShape(kind="array", text="() float64")),
        (np.zeros(2, [("a", "i4"), ("b", "i4")]), ValueShape(kind="array", rows=2, text="(2,) record of 2")),
        (b"abc", ValueShape(kind="any")),
        (b"\x89PNG\r\n\x1a\n", ValueShape(kind="picture")),
        (print, ValueShape(kind="callable")),
        (Model, ValueShape(kind="callable")),
        (Model(), ValueShape(kind="callable")),
        (functools.partial(print), ValueShape(kind="callable")),
        ("text", ValueShape(kind="text")),
        (np.str_("text"), ValueShape(kind="text")),
        *(
            (value, ValueShape(kind="scalar"))
            for value in (1, 1.5, 2j, True, None, dt.date(2013, 1, 1), dt.timedelta(1), decimal.Decimal(1), Colour.RED)
        ),
        *((value, ValueShape(kind="scalar")) for value in (np.float64(1), np.datetime64("2013"), pathlib.Path("a"))),
        *((value, ValueShape(kind="any")) for value in ([1], (1,), {"a": 1}, {1}, object())),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_described(value: object, wanted: ValueShape) -> None:
    assert payloads.shape(value) == wanted


@pytest.mark.parametrize("value", [*ARRAYS.values(), *SUBCLASSES.values(), *COLUMNS.values()], ids=lambda _: "")
def test_every_type_has_a_short_name(value: Any) -> None:
    shape = payloads.shape(value)
    assert shape.kind in {"array", "series"}
    assert 0 < len(shape.text) < 60
    assert "\n" not in shape.text


def test_describing_does_not_read_the_value() -> None:
    few, many = (pl.DataFrame({"a": np.zeros(size)}) for size in (2, 5_000_000))
    for small, large in ((few, many), (few.lazy().sort("a"), many.lazy().sort("a")), (few["a"], many["a"])):
        took_small = quickest(functools.partial(payloads.shape, small))
        assert quickest(functools.partial(payloads.shape, large)) < 5 * took_small + 0.0005


def test_a_class_that_raises_everywhere_is_described_too() -> None:
    class Hostile:
        shape = 3
        num_rows = property(lambda self: 1 / 0)

        def __getattribute__(self, name: str) -> object:
            raise RuntimeError(name)

        def __repr__(self) -> str:
            raise RuntimeError

    class HostileTable(Hostile):
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            raise RuntimeError

    assert payloads.shape(Hostile()) == ValueShape(kind="any")
    assert payloads.shape(HostileTable()) == ValueShape(kind="table", text="?")
    assert payloads.preview(HostileTable()) == {"kind": "text", "text": "HostileTable ?"}
    for value in (Hostile(), HostileTable()):
        payloads.publish(value)
        assert payloads.hand_out(value, "", is_own=True).value is value
        assert payloads.content_key(value) is None
        assert payloads.size_bytes(value) >= 0


def test_classes_made_again_and_again_do_not_fill_the_memory() -> None:
    from flowbook.data import families

    for _ in range(5000):
        assert family_of(type("Made", (), {})()) == "other"
    assert len(families._families) <= 4096


@pytest.mark.parametrize(("version", "is_shared"), [("3.1.1", False), ("2.3.0", True)])
def test_a_pandas_table_is_isolated_where_pandas_copies_on_write(
    version: str, is_shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Frame:
        shape = (2, 1)

        def copy(self, *, deep: bool) -> Frame:
            assert not deep
            return Frame()

        def memory_usage(self, *, deep: bool) -> Any:
            return np.array([8, 16])

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            raise NotImplementedError

    Frame.__module__ = "pandas.core.frame"
    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(__version__=version))
    frame = Frame()
    assert (payloads.publish(frame) is frame) == is_shared
    assert (payloads.hand_out(frame, "", is_own=True).value is frame) == is_shared
    assert payloads.size_bytes(frame) == 24


def test_tables_of_other_libraries_are_tables() -> None:
    class Table:
        """As pyarrow and pandas have it."""

        num_rows, num_columns = 1200, 3

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            raise NotImplementedError

    class Column(Table):
        shape = (1200,)

    assert payloads.shape(Table()) == ValueShape(kind="table", rows=1200, columns=3, text="1,200 × 3")
    assert payloads.shape(Column()) == ValueShape(kind="series", rows=1200, text="1,200")
