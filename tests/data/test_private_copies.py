"""Whoever says that it changes its input gets one of its own, and the copy is counted."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import polars as pl
import pytest

from flowbook.data.payloads import TablePayloads
from flowbook.errors import DataError
from tests.data.buffer_addresses import table_buffers
from tests.data.samples import ARRAYS, COLUMNS, SUBCLASSES

payloads = TablePayloads()


def edge(value: object) -> Any:
    return payloads.hand_out(payloads.publish(value), "", is_own=True).value


@pytest.mark.parametrize("name", [*ARRAYS, *SUBCLASSES])
def test_an_array_is_copied_once_can_be_written_and_keeps_its_kind(name: str) -> None:
    shared = edge({**ARRAYS, **SUBCLASSES}[name].copy(order="K"))
    got = payloads.private_copy(shared)
    assert (type(got.value), got.value.dtype, got.value.shape) == (type(shared), shared.dtype, shared.shape)
    assert str(got.value) == str(shared)
    assert got.value.flags.writeable
    assert not np.shares_memory(np.asarray(got.value), np.asarray(shared))
    assert [copy.size_bytes for copy in got.copies] == ([shared.nbytes] if shared.nbytes else [])
    assert {copy.reason for copy in got.copies} <= {"mutable=True"}


def test_codes_of_categories_are_still_codes_in_a_copy() -> None:
    codes = payloads.hand_out(pl.Series(["a", "b"], dtype=pl.Enum(["a", "b"])), "ndarray", is_own=True).value
    mine = payloads.private_copy(codes).value
    mine[0] = 1
    assert payloads.hand_out(mine, "Series", is_own=False).value.to_list() == ["b", "b"]


def test_objects_in_an_array_are_copied_too() -> None:
    shared = edge(np.array([{"a": 1}], dtype=object))
    mine = payloads.private_copy(shared).value
    mine[0]["a"] = 2
    assert shared[0] == {"a": 1}


@pytest.mark.parametrize(
    "name", [name for name in COLUMNS if name not in {"Object", "Categorical", "Categories", "Enum"}]
)
def test_a_table_takes_no_copy_until_it_is_written_to(name: str) -> None:
    for value in (COLUMNS[name], COLUMNS[name].to_frame()):
        got = payloads.private_copy(value)
        assert got.copies == ()
        assert got.value is not value
        assert table_buffers(got.value) == table_buffers(value)


def test_containers_are_copied_with_everything_in_them() -> None:
    shared = edge({"weights": [np.zeros(100)], "names": ["a"], "table": pl.DataFrame({"a": range(1000)})})
    got = payloads.private_copy(shared)
    got.value["weights"][0][0] = 1
    got.value["names"].append("b")
    got.value["table"][0, "a"] = 99
    assert shared["weights"][0][0] == 0
    assert shared["names"] == ["a"]
    assert shared["table"]["a"][0] == 0
    (copy,) = got.copies
    assert 800 < copy.size_bytes < 2000, "the table in it shares its buffers"


@pytest.mark.parametrize("value", [None, 1, "x", b"x", 1.5, print, (), pl.LazyFrame({"a": [1]})], ids=repr)
def test_what_cannot_be_changed_is_not_copied(value: object) -> None:
    got = payloads.private_copy(value)
    assert got.value is value
    assert sum(copy.size_bytes for copy in got.copies) <= 40


def test_what_does_not_let_itself_be_copied_is_refused_with_a_remedy() -> None:
    with pytest.raises(DataError, match="type lock cannot be copied") as caught:
        payloads.private_copy(threading.Lock())
    assert caught.value.code == "FB606"
    assert caught.value.hint
