"""No consumer changes a value for another, and no byte is copied for that."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from numpy.testing import assert_array_equal

from flowbook.data.payloads import TablePayloads
from tests.data.buffer_addresses import array_address, table_buffers
from tests.data.samples import ARRAYS, COLUMNS, SUBCLASSES, arrays

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

payloads = TablePayloads()


def handed(value: object, *, is_own: bool = True) -> Any:
    got = payloads.hand_out(value, "", is_own=is_own)
    assert got.copies == ()
    return got.value


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("is_own", [True, False])
def test_a_view_shows_the_same_memory_and_cannot_be_made_writable(name: str, is_own: bool) -> None:
    array = ARRAYS[name].copy(order="K") if ARRAYS[name].flags.owndata else ARRAYS[name]
    view = handed(payloads.publish(array) if is_own else array, is_own=is_own)
    assert view is not array
    assert (type(view), view.dtype, view.shape) == (np.ndarray, array.dtype, array.shape)
    assert array_address(view) == array_address(array)
    assert view.strides == array.strides or array.size == 0
    assert not view.flags.writeable
    if is_own or name != "variable-width str":  # numpy alone can read those: the frozen owner guards them
        with pytest.raises(ValueError, match="WRITEABLE"):
            view.flags.writeable = True
    if array.dtype.kind not in "OV":
        assert_array_equal(view, array)


@given(arrays())
def test_every_view_equals_its_array_and_shares_its_memory(array: NDArray[Any]) -> None:
    view = handed(array, is_own=False)
    assert view.dtype == array.dtype
    assert_array_equal(view, array)
    assert array.size == 0 or np.shares_memory(view, array)
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True


@pytest.mark.parametrize("name", SUBCLASSES)
def test_a_subclass_keeps_its_kind_and_is_read_only_too(name: str) -> None:
    array = SUBCLASSES[name].copy()
    before = array.copy()
    view = handed(payloads.publish(array))
    assert type(view) is type(array)
    assert view.dtype == array.dtype
    assert np.shares_memory(np.asarray(view), np.asarray(array))
    assert not view.flags.writeable
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True
    assert str(view) == str(before)


def test_records_are_still_reached_by_attribute() -> None:
    view = handed(payloads.publish(SUBCLASSES["recarray"].copy()))
    assert view.a.tolist() == [1, 3]
    assert view[0].b == 2.5


def test_a_consumer_of_a_masked_array_changes_neither_values_nor_mask() -> None:
    array = SUBCLASSES["masked"].copy()
    one, other = (handed(payloads.publish(array)) for _ in range(2))
    with pytest.raises(ValueError, match="read-only"):
        one[0] = 7
    with pytest.raises(ValueError, match="read-only"):
        one[0] = np.ma.masked
    assert other.filled().tolist() == [1, -1, 3]


def test_a_subclass_carries_its_metadata_over() -> None:
    class Measured(np.ndarray[Any, Any]):
        unit: str

        def __array_finalize__(self, source: object) -> None:
            self.unit = getattr(source, "unit", "")

    array = np.arange(3.0).view(Measured)
    array.unit = "m"
    view = handed(payloads.publish(array))
    assert (type(view), view.unit) == (Measured, "m")
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True


def test_a_memory_map_stays_one(tmp_path: Any) -> None:
    path = tmp_path / "numbers.bin"
    np.arange(4.0).tofile(path)
    array = np.memmap(path, dtype="f8", mode="r+")
    view = handed(array, is_own=False)
    assert isinstance(view, np.memmap)
    assert view.filename == array.filename
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True
    array[0] = 9
    assert view[0] == 9


def test_publishing_freezes_the_array_and_the_array_it_is_a_part_of() -> None:
    whole = np.zeros((10, 10))
    part = whole[2:4].T
    assert payloads.publish(part) is part
    for array in (part, whole):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


def test_publishing_freezes_the_arrays_inside_lists_tuples_and_dicts() -> None:
    made = {"weights": [np.zeros(3), np.zeros(4)], "pair": (np.zeros(2), "text")}
    assert payloads.publish(made) is made
    for array in (*made["weights"], made["pair"][0]):
        assert isinstance(array, np.ndarray)
        assert not array.flags.writeable


def test_an_array_of_the_notebook_stays_writable_and_its_views_do_not() -> None:
    array = np.zeros(3)
    view = handed(array, is_own=False)
    array[0] = 5
    assert view[0] == 5
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1


def test_returning_an_input_does_not_freeze_the_notebooks_array() -> None:
    array = np.zeros(3)
    payloads.publish(handed(array, is_own=False)[1:])
    array[1] = 1


MUTATIONS: dict[str, Callable[[pl.DataFrame], object]] = {
    "cell": lambda frame: frame.__setitem__((0, "a"), 99),
    "drop": lambda frame: frame.drop_in_place("a"),
    "insert": lambda frame: frame.insert_column(0, pl.Series("new", [0, 0, 0])),
    "replace": lambda frame: frame.replace_column(0, pl.Series("new", [0, 0, 0])),
    "extend": lambda frame: frame.extend(frame.clone()),
    "hstack": lambda frame: frame.hstack([pl.Series("new", [0, 0, 0])], in_place=True),
    "vstack": lambda frame: frame.vstack(frame.clone(), in_place=True),
    "names": lambda frame: setattr(frame, "columns", ["x", "y"]),
    "shrink": lambda frame: frame.shrink_to_fit(in_place=True),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_what_one_consumer_does_to_its_frame_nobody_else_sees(mutation: str) -> None:
    made = pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y" * 40, None]})
    expected = made.clone()
    edge = payloads.publish(made)
    one, other = handed(edge), handed(edge)
    MUTATIONS[mutation](one)
    MUTATIONS[mutation](made)  # and the node that made it kept a reference
    assert other.equals(expected)
    assert handed(edge).equals(expected)


def test_what_one_consumer_does_to_its_series_nobody_else_sees() -> None:
    edge = payloads.publish(pl.Series("a", [1, 2, 3]))
    one, other = handed(edge), handed(edge)
    one[0] = 99
    one.append(pl.Series("a", [4]))
    one.sort(in_place=True, descending=True)
    assert other.to_list() == handed(edge).to_list() == [1, 2, 3]


def _stored(value: Any) -> pl.DataFrame:
    """Show categories as the numbers they are stored as: exporting them makes new numbers."""
    return pl.DataFrame(value).with_columns(pl.col(pl.Categorical, pl.Enum).to_physical())


@pytest.mark.parametrize("name", [name for name in COLUMNS if name != "Object"])
def test_a_clone_shares_every_buffer(name: str) -> None:
    series = COLUMNS[name]
    for value in (series, series.to_frame()):
        clone = handed(payloads.publish(value))
        assert clone is not value
        assert table_buffers(_stored(clone)) == table_buffers(_stored(value))


def test_a_lazy_table_is_handed_out_as_it_is() -> None:
    plan = pl.LazyFrame({"a": [1]})
    assert handed(payloads.publish(plan)) is plan


Pair = collections.namedtuple("Pair", "left right")


def test_containers_of_arrays_and_frames_are_handed_out_around_views_and_clones() -> None:
    made: dict[str, Any] = {
        "list": [np.zeros(3), 1],
        "tuple": (pl.DataFrame({"a": [1]}), "x"),
        "named": Pair(np.zeros(2), None),
        "deep": {"er": [(np.zeros(2),)]},
    }
    edge = payloads.publish(made)
    got = handed(edge)
    assert [type(item) for item in got.values()] == [list, tuple, Pair, dict]
    for array in (got["list"][0], got["named"].left, got["deep"]["er"][0][0]):
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
    got["tuple"][0][0, "a"] = 99
    got["list"].append("mine")
    again = handed(edge)
    assert again["tuple"][0]["a"].to_list() == [1]
    assert len(again["list"]) == 2


@pytest.mark.parametrize(
    "value",
    [None, 1, "x", [1, 2], {"a": [1, {"b": 2}]}, (), object(), print, {1, 2}, [[[[[[1]]]]]], b"x"],
    ids=lambda value: type(value).__name__,
)
def test_plain_values_pass_by_reference(value: object) -> None:
    assert payloads.publish(value) is value
    assert handed(value) is value


def test_a_list_that_contains_itself_passes() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert payloads.publish(endless) is endless
    assert handed(endless) is endless
    endless.append(np.zeros(2))
    payloads.publish(endless)
    assert len(handed(endless)) == 2
