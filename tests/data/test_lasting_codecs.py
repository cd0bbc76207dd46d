"""What is written comes back equal, type included, and nothing else is taken."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import fractions
import io
import json
import math
import pathlib
import uuid
import zoneinfo
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbook.core.interfaces import EncodedValue, Refusal
from flowbook.data.lasting_codecs import LastingCodecs
from flowbook.errors import DataError

CODECS = LastingCodecs()


def written(value: object) -> tuple[Any, list[tuple[str, bytes]]]:
    """Encode to bytes, as a store does; the tree passes through JSON text."""
    encoded = CODECS.encode(value)
    assert isinstance(encoded, EncodedValue), encoded
    parts = []
    for part in encoded.parts:
        sink = io.BytesIO()
        part.write(sink)
        parts.append((part.codec, sink.getvalue()))
    return json.loads(json.dumps(encoded.tree)), parts


def round_trip(value: Any) -> Any:
    return CODECS.decode(*written(value))


def refusal(value: object) -> str:
    answer = CODECS.encode(value)
    assert isinstance(answer, Refusal)
    return answer.reason


ZONED = dt.datetime(2024, 10, 27, 2, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"), fold=1)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
    | st.times()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.uuids(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.just("$"), inner, max_size=4)
        | st.frozensets(st.integers() | st.text(), max_size=4)
    ),
    max_leaves=12,
)


def same(left: object, right: object) -> bool:
    """Compare with types, as no ``==`` does."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


@given(PLAIN)
def test_plain_values_come_back_equal_and_of_their_type(value: object) -> None:
    assert same(round_trip(value), value)


@pytest.mark.parametrize(
    "value",
    [
        -0.0,
        math.inf,
        10**5000,
        -(10**5000),
        "\ud800 lone surrogate",
        bytearray(b"x" * 100_000),
        ZONED,
        dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-3, minutes=-30))),
        dt.time(1, 2, 3, 4, tzinfo=dt.UTC),
        decimal.Decimal("1.500"),
        decimal.Decimal("-Infinity"),
        fractions.Fraction(-1, 3),
        uuid.UUID(int=7),
        range(3, 10**30, 7),
        ...,
        pathlib.PurePosixPath("/a/b"),
        pathlib.Path("x.parquet"),
        {"$": "dict", "pairs": []},
        {1: "int", "1": "str", (1, 2): {3}},
        {"empty": [(), [], {}, set(), frozenset()]},
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_odd_ones_too(value: object) -> None:
    back = round_trip(value)
    assert same(back, value)
    assert isinstance(value, int) or repr(back) == repr(value)


def test_nan_comes_back_as_nan_and_a_fold_as_a_fold() -> None:
    assert math.isnan(round_trip(math.nan))
    assert round_trip(ZONED).fold == 1
    assert round_trip(ZONED).utcoffset() == ZONED.utcoffset()


FRAME = pl.DataFrame(
    {
        "int": [1, None, 3],
        "text": ["x", None, "y" * 40],
        "category": pl.Series(["u", "v", "u"], dtype=pl.Categorical),
        "enum": pl.Series(["u", "v", None], dtype=pl.Enum(["v", "u"])),
        "wide": pl.Series([2**100, 0, None], dtype=pl.Int128),
        "half": pl.Series([1, 2, 3]).cast(pl.Float16),
        "decimal": [decimal.Decimal("1.5"), None, decimal.Decimal(2)],
        "list": [[1], [], None],
        "struct": [{"a": 1, "b": [dt.date(2020, 1, 1)]}] * 3,
        "null": [None] * 3,
        "array": pl.Series([[1, 2]] * 3, dtype=pl.Array(pl.Int8, 2)),
        "duration": [dt.timedelta(1), None, dt.timedelta(microseconds=1)],
        "time": [dt.time(1), None, dt.time(2)],
        "zoned": pl.Series([dt.datetime(2020, 1, 1, tzinfo=dt.UTC)] * 3).dt.convert_time_zone("Europe/Berlin"),
        "bool": [True, None, False],
        "bytes": [b"x", None, b""],
    }
)


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        FRAME.clear(),
        FRAME[1:2],
        pl.concat([FRAME, FRAME], rechunk=False),
        pl.DataFrame(),
        pl.DataFrame(height=5),
    ],
    ids=["all", "empty", "slice", "chunks", "nothing", "rows-only"],
)
def test_tables_come_back_with_their_schema(frame: pl.DataFrame) -> None:
    back = round_trip(frame)
    assert back.schema == frame.schema
    assert back.shape == frame.shape
    assert back.equals(frame)


def test_a_series_keeps_its_name_and_a_plan_stays_a_plan() -> None:
    series = round_trip(pl.Series("", [1, 2]))
    assert (series.name, series.to_list()) == ("", [1, 2])
    plan = round_trip(FRAME.lazy().select("int").filter(pl.col("int") > 1))
    assert isinstance(plan, pl.LazyFrame)
    assert plan.collect().to_series().to_list() == [3]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(20)[::-3],
        np.zeros((0, 3), dtype="f4"),
        np.array(5),
        np.array([True, False]),
        np.array(["2020-01-01", "NaT"], dtype="M8[D]"),
        np.array([1, 2], dtype="m8[us]"),
        np.array([1 + 2j]),
        np.array(["a", "bcd"]),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", ">f8")]),
        np.arange(3, dtype=">i2"),
        np.ones((2, 2), dtype="f2"),
        np.broadcast_to(np.float32(3), (4, 5)),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_arrays_come_back_bit_for_bit(array: np.ndarray[Any, Any]) -> None:
    back = round_trip(array)
    assert (back.dtype, back.shape, type(back)) == (array.dtype, array.shape, np.ndarray)
    assert back.tobytes() == array.tobytes()
    assert back.flags.f_contiguous == array.flags.f_contiguous or not array.flags.forc


def test_masks_scalars_and_arrays_in_containers() -> None:
    masked = np.ma.MaskedArray([1, 2, 3], mask=[False, True, False], fill_value=9)
    back = round_trip(masked)
    assert back.tolist() == [1, None, 3]
    assert back.fill_value == 9
    scalar = round_trip(np.float32(1.5))
    assert (type(scalar), scalar) == (np.float32, 1.5)
    both = round_trip({"train": FRAME, "weights": [np.ones(3), (np.zeros(2), b"raw")]})
    assert both["train"].equals(FRAME)
    assert both["weights"][1][1] == b"raw"


class Colour(enum.Enum):
    RED = 1


class Model:
    """Something of the notebook's own."""


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (Model(), "an object of class Model has no form but pickle"),
        ([1, {"deep": Model()}], "an object of class Model has no form but pickle"),
        (Colour.RED, "an object of class Colour has no form but pickle"),
        (collections.OrderedDict(a=1), "an object of class OrderedDict has no form but pickle"),
        (len, "an object of class builtin_function_or_method has no form but pickle"),
        (np.array([object()]), "an array of object has no form but pickle"),
        (np.array(["a"], dtype="T"), "an array of StringDType() has no form but pickle"),
        (np.zeros(2).view(np.matrix), "an array of class matrix has no form but pickle"),
        (pl.DataFrame({"o": pl.Series([object()], dtype=pl.Object)}), "column 'o' holds Python objects"),
        (pl.LazyFrame({"a": [1]}).select("b"), "its plan cannot be collected: ColumnNotFoundError:"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_what_has_no_form_is_refused_with_a_reason(value: object, reason: str) -> None:
    assert refusal(value).startswith(reason)


def test_a_list_that_holds_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    assert refusal(loop) == "it is nested more than 64 deep"


@pytest.mark.parametrize(
    ("tree", "parts"),
    [
        ({"$": "frame", "part": 0}, [("arrow", b"no table at all, but long enough to look for one")]),
        ({"$": "frame", "part": 0}, [("npy", b"")]),
        ({"$": "frame", "part": 3}, []),
        ({"$": "array", "part": 0}, [("npy", b"\x93NUMPY")]),
        ({"$": "module", "name": "os"}, []),
        ({"$": "date", "text": "yesterday"}, []),
    ],
)
def test_bytes_that_nobody_wrote_are_one_kind_of_error(tree: object, parts: list[tuple[str, bytes]]) -> None:
    with pytest.raises(DataError, match="FB620"):
        CODECS.decode(tree, parts)


def test_an_array_that_asks_for_pickle_is_not_read() -> None:
    hostile = io.BytesIO()
    np.save(hostile, np.array([Model()]), allow_pickle=True)
    with pytest.raises(DataError, match="FB620"):
        CODECS.decode({"$": "array", "part": 0}, [("npy", hostile.getvalue())])
