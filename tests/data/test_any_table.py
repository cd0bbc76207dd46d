"""What holds for every table that polars can make."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from polars.testing.parametric import dataframes

from flowbook.data.payloads import TablePayloads
from flowbook.errors import DataError
from tests.data.buffer_addresses import table_buffers

payloads = TablePayloads()
tables = dataframes(max_cols=4, max_size=6, allow_chunks=True, excluded_dtypes=[pl.Categorical, pl.Enum])
#: Bits that begin in the middle of a byte are moved by every export, so their address proves nothing.
whole_bytes = dataframes(
    max_cols=4, max_size=6, allow_chunks=True, allow_null=False, excluded_dtypes=[pl.Categorical, pl.Enum, pl.Boolean]
)


@given(tables)
def test_every_table_has_a_preview_a_size_and_a_key(table: pl.DataFrame) -> None:
    made = payloads.preview(table)
    assert made is not None
    json.dumps(made, allow_nan=False, ensure_ascii=False).encode()
    assert (made["height"], made["width"]) == table.shape
    assert payloads.size_bytes(table) >= 0
    again = pl.concat([table.clear(), table.clone()], rechunk=False)
    assert payloads.content_key(table) == payloads.content_key(again)


@given(tables, st.sampled_from(["DataFrame", "LazyFrame"]))
def test_every_table_is_handed_out_whole(table: pl.DataFrame, form: str) -> None:
    got = payloads.hand_out(payloads.publish(table), form, is_own=True)
    handed: Any = got.value.lazy().collect()
    assert got.copies == ()
    assert_frame_equal(handed, table)


@given(whole_bytes, st.sampled_from(["DataFrame", "LazyFrame"]))
def test_every_table_is_shared(table: pl.DataFrame, form: str) -> None:
    handed: Any = payloads.hand_out(payloads.publish(table), form, is_own=True).value.lazy().collect()
    if table.height and set(table.n_chunks("all")) == {1}:  # several chunks are joined when they are exported
        # polars itself now and then writes a small buffer anew for an export; a copy would have another address always.
        assert any(set(table_buffers(handed)) <= set(table_buffers(table)) for _ in range(20))


@given(tables)
def test_every_column_becomes_an_array_or_is_refused_by_name(table: pl.DataFrame) -> None:
    for series in table:
        try:
            got = payloads.hand_out(series, "ndarray", is_own=True)
        except DataError as refused:
            assert "128" in str(series.dtype) or series.dtype.is_nested(), refused  # noqa: PT017
            assert refused.code == "FB602"  # noqa: PT017
            assert repr(series.name) in refused.what  # noqa: PT017
            continue
        assert len(got.value) == len(series)
        if not series.dtype.is_nested():
            back = payloads.hand_out(payloads.publish(got.value), "Series", is_own=True).value
            assert len(back) == len(series)
