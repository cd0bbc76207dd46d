"""Debug mode finds a value that was changed behind the guards, and names who did it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing.parametric import dataframes

import flowbook as fb
from flowbook.data.mutations import MutationWatch, fingerprint
from flowbook.errors import DataError
from tests.data.samples import ARRAYS, COLUMNS, SUBCLASSES, arrays

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@pytest.fixture
def watched() -> Iterator[None]:
    fb.watch_mutations()
    yield
    fb.watch_mutations(is_on=False)


# --- fingerprints -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [*ARRAYS.values(), *SUBCLASSES.values()], ids=[*ARRAYS, *SUBCLASSES])
def test_every_array_has_a_fingerprint_that_stays(value: Any) -> None:
    assert fingerprint(value)
    assert fingerprint(value) == fingerprint(value) == fingerprint(value.view())


@given(arrays(), st.data())
def test_a_changed_number_anywhere_changes_the_fingerprint(array: NDArray[Any], data: st.DataObject) -> None:
    hypothesis.assume(array.size and array.dtype.kind in "biuf")
    changed = array.copy(order="K")
    index = data.draw(st.sampled_from(list(np.ndindex(array.shape))))
    changed[index] = 0 if array[index] else 1
    assert fingerprint(changed) != fingerprint(array.copy(order="K"))


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_has_a_fingerprint_that_stays(name: str) -> None:
    for value in (COLUMNS[name], COLUMNS[name].to_frame(), [COLUMNS[name]]):
        if name != "Object":  # an object without a content
            assert fingerprint(value)
        assert fingerprint(value) == fingerprint(value)


@given(dataframes(max_cols=3, max_size=10, allow_chunks=True))
def test_any_table_has_one(table: pl.DataFrame) -> None:
    assert fingerprint(table) == fingerprint(table) == fingerprint(table.clone()) != ""


@pytest.mark.parametrize("kind", ["i8", "f4", "f8", "u1"])
def test_a_table_over_an_array_is_seen_through(kind: str) -> None:
    array = np.zeros(1000, kind)
    values: list[Any] = [
        pl.Series(array),
        pl.DataFrame({"a": array}),
        pl.DataFrame({"a": array}).lazy(),
        {"a": [array]},
    ]
    values.append(pl.Series(np.zeros((10, 10))))
    before = [fingerprint(value) for value in values]
    array[999] = 1
    after = [fingerprint(value) for value in values]
    assert [was != became for was, became in zip(before, after, strict=True)] == [True, True, True, True, False]


def test_objects_are_watched_as_far_as_they_can_be_written_down() -> None:
    value: dict[str, Any] = {"a": [1, {"b": 2}], "at": object()}
    assert fingerprint(lambda: 1) == fingerprint("x") == fingerprint(3) == ""
    before = fingerprint(value["a"])
    value["a"][1]["b"] = 3
    assert fingerprint(value["a"]) != before


# --- who did it -------------------------------------------------------------------------------------------------------


def test_two_nodes_that_fire_together_are_both_named() -> None:
    watch, array = MutationWatch(), np.zeros(3)
    watch.published("f", "made", [array])
    watch.began("f", "one")
    watch.began("f", "other")
    array[0] = 1
    with pytest.raises(DataError, match="value of 'made' changed while 'one' and 'other' fired") as caught:
        watch.ended("f", "one")
    assert caught.value.code == "FB608"
    assert caught.value.fields == {"changed": ["made"], "suspects": ["one", "other"]}
    watch.ended("f", "other")


def test_what_changes_while_nobody_fires_is_nobodys_fault_and_told_once() -> None:
    watch, array = MutationWatch(), np.zeros(3)
    watch.published("f", "made", [array])
    array[0] = 1
    with pytest.raises(DataError, match="changed while no node fired"):
        watch.began("f", "next")
    watch.began("f", "next")
    watch.ended("f", "next")


def test_new_outputs_take_the_place_of_the_old() -> None:
    watch, old, new = MutationWatch(), np.zeros(3), np.zeros(3)
    watch.published("f", "made", [old])
    watch.published("f", "made", [new])
    old[0] = 1
    watch.began("f", "next")
    new[0] = 1
    with pytest.raises(DataError, match="'next'"):
        watch.ended("f", "next")


def leaking_flow() -> fb.Flow:
    """``made`` keeps a writable view of what it returns, as an array and in a table; ``writer`` writes through it."""
    flow = fb.Flow("leaking")
    kept: list[NDArray[Any]] = []

    @flow.node(kind="io")
    def made() -> pl.DataFrame:
        array = np.zeros(1000)
        kept[:] = [array]
        return pl.DataFrame({"x": array})

    @flow.node
    def reader(made: pl.DataFrame) -> float:
        return float(made["x"].sum())

    @flow.node
    def writer(made: pl.DataFrame, reader: float, value: float = 1.0) -> float:
        kept[0][:] = value
        return value

    return flow


@pytest.mark.usefixtures("watched")
def test_the_known_hole_is_found_and_the_writer_named() -> None:
    run = leaking_flow().run_sync(raise_errors=False)
    (error,) = run.errors
    assert (error.node_id, error.code) == ("writer", "FB608")
    assert error.message == "the value of 'made' changed while 'writer' fired"
    assert "'made'" in error.hint


@pytest.mark.usefixtures("watched")
def test_a_list_that_a_node_changes_is_found() -> None:
    flow = fb.Flow("lists")

    @flow.node
    def names() -> list[str]:
        return ["a"]

    @flow.node
    def longer(names: Any) -> int:
        names.append("b")
        return len(names)

    run = flow.run_sync(raise_errors=False)
    assert [(error.node_id, error.code) for error in run.errors] == [("longer", "FB608")]


@pytest.mark.usefixtures("watched")
def test_nodes_that_keep_to_their_own_run_as_ever() -> None:
    flow = fb.Flow("clean")

    @flow.node
    def made() -> np.ndarray[Any, Any]:
        return np.zeros(10)

    @flow.node(mutable=True)
    def changed(made: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        made += 1
        return made

    @flow.node
    async def total(made: np.ndarray[Any, Any], changed: np.ndarray[Any, Any]) -> float:
        return float(made.sum() + changed.sum())

    assert flow.run_sync()["total"] == 10
    assert flow.run_sync(force=True)["total"] == 10


def test_nothing_is_watched_unless_asked_for() -> None:
    assert leaking_flow().run_sync()["writer"] == 1
