"""Equal content, equal key, in every process; different content, different key; otherwise none."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import fractions
import functools
import pathlib
import subprocess
import sys
import uuid
import zoneinfo
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbook.data.content_keys import content_key
from flowbook.data.payloads import TablePayloads
from tests.data.quickest import quickest
from tests.data.samples import ARRAYS, COLUMNS, SUBCLASSES


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Number(enum.IntEnum):
    ONE = 1


class Str(str):
    __slots__ = ()


# Values that a node can tell apart, however alike they are.
DISTINCT: list[Any] = [
    *(None, ..., True, False, 1, 1.0, 1 + 0j, "1", b"1", bytearray(b"1"), 0, 0.0, -0.0, -1, 2**100, -(2**100)),
    *(float("inf"), float("-inf"), float("nan")),
    *("", b"", (), [], {}, set(), frozenset(), [()], ([],), [[]], [[], []], [[[]]]),
    *([1, 2], [2, 1], (1, 2), {1, 2}, frozenset({1, 2}), {1: 2}, {2: 1}, [1, [2]], [[1], 2], ["12"], ["1", "2"]),
    *({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": [1]}, {"a": (1,)}),
    *(dt.date(2013, 1, 1), dt.datetime(2013, 1, 1), dt.datetime(2013, 1, 1, tzinfo=dt.UTC)),  # noqa: DTZ001
    dt.datetime(2013, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")),
    dt.datetime(2013, 10, 27, 2, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
    dt.datetime(2013, 10, 27, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
    *(dt.time(1), dt.time(1, tzinfo=dt.UTC), dt.timedelta(1), dt.timedelta(seconds=1)),
    *(decimal.Decimal("1.0"), decimal.Decimal("1.00"), decimal.Decimal("NaN"), fractions.Fraction(1, 2)),
    *(Colour.RED, Colour.BLUE, Number.ONE, uuid.UUID(int=1), range(3), range(0, 3, 2), pathlib.PurePosixPath("a")),
    *(np.float64(1), np.float32(1), np.int64(1), np.str_("1"), np.bool_(True), np.datetime64("2013")),
    *(np.zeros(2), np.zeros(2, "f4"), np.zeros((2, 1)), np.zeros((1, 2)), np.zeros(0), np.zeros((0, 2)), np.array(0.0)),
    *(np.array([0, 0]), np.array([0, 0], "M8[us]"), np.array([0, 0], "M8[ns]"), np.array(["a"]), np.array([b"a"])),
    *(np.array([1], object), np.array([1.0], object), np.zeros(1, [("a", "i4")]), np.zeros(1, [("b", "i4")])),
    *(np.ma.masked_equal([1, 2], 1), np.ma.masked_equal([1, 2], 2)),
    *(pl.DataFrame(), pl.DataFrame({"a": []}), pl.DataFrame({"a": [1]}), pl.DataFrame({"b": [1]}), pl.Series("a", [1])),
    *(pl.DataFrame({"a": [1.0]}), pl.DataFrame({"a": ["1"]}), pl.DataFrame({"a": [None]}), pl.Series("a", [1, None])),
    pl.DataFrame({"a": ["x"]}, schema={"a": pl.Categorical}),
    pl.DataFrame({"a": ["x"]}, schema={"a": pl.Enum(["x"])}),
    pl.DataFrame({"a": ["x"]}, schema={"a": pl.Enum(["x", "y"])}),
    pl.DataFrame({"a": ["x"]}),
]


def test_values_that_a_node_can_tell_apart_have_different_keys() -> None:
    keys = [content_key(value) for value in DISTINCT]
    assert None not in keys
    assert len(set(keys)) == len(DISTINCT)


def test_the_same_content_has_the_same_key_wherever_it_lies() -> None:
    table = pl.DataFrame(
        {"a": ["x", "y" * 40, None], "b": [1, 2, 3], "c": pl.Series(["u", "v", "u"], dtype=pl.Categorical)}
    )
    chunked = pl.concat([table[:1], table[1:]], rechunk=False)
    longer = pl.concat([pl.DataFrame(table[:1]), table])[1:]
    assert content_key(table) == content_key(chunked) == content_key(longer) == content_key(table.clone())
    under_null = pl.DataFrame({"b": [1, 2, 3]}).with_columns(pl.when(pl.col("b") < 3).then("b").alias("b"))
    assert content_key(under_null) == content_key(pl.DataFrame({"b": [1, 2, None]}))
    array = np.arange(12).reshape(3, 4)
    assert content_key(array) == content_key(np.asfortranarray(array)) == content_key(array[::-1].copy()[::-1])
    assert content_key(float("nan")) == content_key(-float("nan"))
    assert content_key({"b", "a"}) == content_key({"a", "b"})


IN_ANOTHER_PROCESS = """
import tests.data.test_content_keys as module
from flowbook.data.content_keys import content_key
print(*[content_key(value) for value in module.DISTINCT])
"""


def test_keys_are_the_same_in_another_process_with_another_hash_seed() -> None:
    here = [content_key(value) for value in DISTINCT]
    for seed in ("1", "2"):
        code = IN_ANOTHER_PROCESS
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        there = done.stdout.split()
        differing = [value for value, a, b in zip(DISTINCT, here, there, strict=True) if a != b]
        assert [value for value in differing if not isinstance(value, (Colour, Number))] == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(json_values, json_values)
def test_two_values_have_one_key_exactly_when_they_read_the_same(one: object, other: object) -> None:
    assert (content_key(one) == content_key(other)) == (repr(one) == repr(other))


@pytest.mark.parametrize("name", [*ARRAYS, *SUBCLASSES, *COLUMNS])
def test_every_small_array_and_column_has_a_key_or_none_and_never_raises(name: str) -> None:
    value = {**ARRAYS, **SUBCLASSES, **COLUMNS}[name]
    key = content_key(value)
    assert key == content_key(value)
    assert (key is None) == (name in {"matrix", "recarray", "Object"})


@pytest.mark.parametrize(
    "value",
    [
        object(),
        print,
        Str("x"),
        [object()],
        {"a": lambda: 1},
        pl.LazyFrame({"a": [1]}),
        np.zeros(1_000_000),
        pl.DataFrame({"a": np.zeros(1_000_000)}),
        "x" * 2_000_000,
        b"x" * 2_000_000,
        list(range(100_000)),
        ["x" * 600_000, "y" * 600_000],
        dt.datetime(2013, 1, 1, tzinfo=type("Zone", (dt.tzinfo,), {"utcoffset": lambda *_: dt.timedelta(0)})()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_large_or_not_all_content_has_no_key(value: object) -> None:
    assert content_key(value) is None


def test_what_contains_itself_has_no_key() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert content_key(endless) is None


@pytest.mark.soak  # compares times, which a busy machine can spoil
def test_finding_a_value_too_large_does_not_read_it() -> None:
    for small, large in (
        ("x", "x" * 100_000_000),
        (np.zeros(1), np.zeros(20_000_000)),
        ([1], [1] * 10_000_000),
        (pl.Series([1]), pl.Series(np.zeros(20_000_000))),
    ):
        took_small = quickest(functools.partial(content_key, small))
        assert quickest(functools.partial(content_key, large)) < took_small + 0.001


def test_a_key_is_short_text() -> None:
    key = TablePayloads().content_key("x")
    assert key is not None
    assert len(key) == 32
    assert int(key, 16)
