"""Memory is counted where it lies: once, however many values hold it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from polars.testing.parametric import dataframes

from flowbook.data.payloads import TablePayloads
from tests.data.samples import ARRAYS, COLUMNS, SUBCLASSES

payloads = TablePayloads()
BYTES = 8_000_000
ARRAY = np.arange(1_000_000.0)
FRAME = pl.DataFrame({"x": pl.Series(ARRAY)})


@pytest.mark.parametrize(
    "value",
    [
        ARRAY,
        ARRAY[5:],
        ARRAY[::2],
        ARRAY.reshape(1000, 1000).T,
        ARRAY.view("i8"),
        ARRAY.view("M8[us]"),
        [ARRAY, ARRAY],
        {"a": (ARRAY[:10], "x")},
        FRAME,
        FRAME.clone(),
        FRAME.to_series(),
        FRAME.to_series().to_numpy(),
        FRAME.lazy(),
        FRAME.lazy().filter(pl.col("x") > 1),
        FRAME.slice(0, 900_000),
        FRAME.with_columns(y=pl.col("x")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_shows_an_array_holds_its_memory_once(value: Any) -> None:
    guarded = payloads.hand_out(payloads.publish(value), "", is_own=True).value
    for shown in (value, guarded):
        assert payloads.shared_buffers(shown).keys() == {ARRAY.__array_interface__["data"][0]}
        assert sum(payloads.shared_buffers(shown).values()) <= BYTES


def test_a_new_column_is_new_memory_and_the_others_are_not() -> None:
    wider = FRAME.with_columns(y=pl.col("x") + 1)
    before, after = payloads.shared_buffers(FRAME), payloads.shared_buffers(wider)
    assert before.items() <= after.items()
    assert sum(after.values()) == 2 * BYTES


SMALL = [column for column in COLUMNS.values() if payloads.size_bytes(column) < 60_000]


@pytest.mark.parametrize("value", [*ARRAYS.values(), *SUBCLASSES.values(), *SMALL, 1, "x", None, [1] * 9999])
def test_what_is_small_is_not_listed(value: Any) -> None:
    assert payloads.shared_buffers(value) == {}


@given(dataframes(max_cols=4, max_size=6, allow_chunks=True))
def test_every_table_can_be_asked(table: pl.DataFrame) -> None:
    assert payloads.shared_buffers(table) == payloads.shared_buffers(table.lazy()) == {}
