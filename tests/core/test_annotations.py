"""The annotation decides what is a port and what a setting; as an object and as text it says the same."""

from __future__ import annotations

import datetime as dt
import enum
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

import flowbook as fb
from flowbook.core.annotations import Meaning, read_annotation
from flowbook.errors import DefinitionError


class Color(enum.Enum):
    RED = "r"
    BLUE = "b"


class Size(enum.IntEnum):
    SMALL = 1


Minutes = Annotated[int, fb.Setting(min=0, max=120)]
Level = Literal["low", "high"]
Number = int | float
LIMIT = 12
BOUNDS = fb.Setting(min=0, max=9)

NAMESPACE = dict(globals())

# Annotation as text, port type, form, value type.
MEANINGS = [
    ("pl.LazyFrame", "table", "LazyFrame", ""),
    ("pl.DataFrame", "table", "DataFrame", ""),
    ("pl.DataFrame | pl.LazyFrame", "table", "", ""),
    ("pl.DataFrame | None", "table", "DataFrame", ""),
    ("Optional[pl.Series]", "series", "Series", ""),
    ("np.ndarray", "array", "ndarray", ""),
    ("npt.NDArray[np.float64]", "array", "ndarray", ""),
    ("Callable[[int], int]", "callable", "", ""),
    ("Any", "any", "", ""),
    ("object", "any", "", ""),
    ("bytes", "any", "", ""),
    ("fb.Packet", "packet", "", ""),
    ("int", "scalar", "", "int"),
    ("float", "scalar", "", "float"),
    ("int | float", "scalar", "", "number"),
    ("Number", "scalar", "", "number"),
    ("bool", "scalar", "", "bool"),
    ("str", "text", "", "str"),
    ("int | str", "scalar", "", "json"),
    ("Union[int, str]", "scalar", "", "json"),
    ("int | None", "scalar", "", "int"),
    ("dt.date", "scalar", "", "date"),
    ("dt.datetime", "scalar", "", "datetime"),
    ("dt.time", "scalar", "", "time"),
    ("Path", "scalar", "", "path"),
    ("Color", "scalar", "", "enum"),
    ("Literal['a', 'b']", "text", "", "literal"),
    ("Literal[1, 2]", "scalar", "", "literal"),
    ("Level", "text", "", "literal"),
    ("Minutes", "scalar", "", "int"),
    ("Annotated[int, fb.Setting(min=1)]", "scalar", "", "int"),
    ("list", "any", "", "list"),
    ("list[int]", "any", "", "list"),
    ("list[Any]", "any", "", "list"),
    ("list[list[str]]", "any", "", "list"),
    ("tuple[int, ...]", "any", "", "list"),
    ("Sequence[str]", "any", "", "list"),
    ("set[str]", "any", "", "list"),
    ("dict[str, float]", "any", "", "dict"),
    ("Mapping[str, Any]", "any", "", "dict"),
    ("typing.Dict[str, int]", "any", "", "dict"),
    ("list[pl.DataFrame]", "any", "", ""),
    ("dict[str, pl.LazyFrame]", "any", "", ""),
    ("None", "any", "", "none"),
]


@pytest.mark.parametrize(("text", "port_type", "form", "value_type"), MEANINGS)
def test_text_and_object_mean_the_same(text: str, port_type: str, form: str, value_type: str) -> None:
    as_text = read_annotation(text, NAMESPACE)
    as_object = read_annotation(eval(text, NAMESPACE), NAMESPACE)  # noqa: S307 -- our own table above
    assert (as_text.port_type, as_text.form, as_text.value_type) == (port_type, form, value_type)
    assert _unspelt(as_text) == _unspelt(as_object)


def _unspelt(meaning: Meaning) -> list[Any]:
    names = [name for name in Meaning.__slots__ if name not in ("text", "items")]
    inner = _unspelt(meaning.items) if meaning.items is not None else None
    return [*(getattr(meaning, name) for name in names), inner]


@pytest.mark.parametrize(
    "text",
    ["int | None", "Optional[int]", "None | int", "Union[int, None]", "Literal['a', None]", "Annotated[int | None, 1]"],
)
def test_none_among_the_values_makes_them_optional(text: str) -> None:
    assert read_annotation(text, NAMESPACE).is_optional


@pytest.mark.parametrize(
    ("text", "port_type", "form"),
    [
        ("pl.LazyFrame", "table", "LazyFrame"),
        ("polars.DataFrame", "table", "DataFrame"),
        ("alt.Chart", "picture", ""),
        ("Figure", "picture", ""),
        ("somewhere.Nothing", "any", ""),
        ("not an annotation", "any", ""),
        ("f(x)", "any", ""),
    ],
)
def test_names_that_are_not_there_are_judged_by_their_text(text: str, port_type: str, form: str) -> None:
    """A linter may have moved the import under TYPE_CHECKING; that must not matter."""
    meaning = read_annotation(text, {})
    assert (meaning.port_type, meaning.form) == (port_type, form)


def test_a_table_of_another_library_is_a_table_that_nobody_converts() -> None:
    class DataFrame:
        """As pandas has one."""

    DataFrame.__module__ = "pandas"
    assert read_annotation(DataFrame, {}) == Meaning(port_type="table", text="DataFrame")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Annotated[int, fb.Setting(min=-5, max=120, step=5)]", fb.Setting(min=-5, max=120, step=5)),
        ("Annotated[int, Setting(min=0, label='at least', unit='min', help='h')]", None),
        ("Annotated[str, 'words', fb.Setting(options=('a', 'b'))]", fb.Setting(options=("a", "b"))),
        ("typing.Annotated[float, fb.Setting(max=1.5)]", fb.Setting(max=1.5)),
        ("Annotated[int, fb.Setting(max=LIMIT)]", fb.Setting(max=12)),
        ("Annotated[int, BOUNDS]", BOUNDS),
        ("Minutes", fb.Setting(min=0, max=120)),
        ("Annotated[int, 'no setting']", "none"),
    ],
)
def test_a_setting_in_text_is_the_setting_itself(text: str, expected: object) -> None:
    found = read_annotation(text, NAMESPACE).setting
    if expected is None:
        expected = fb.Setting(min=0, label="at least", unit="min", help="h")
    assert found == (None if expected == "none" else expected)


@pytest.mark.parametrize(
    "text",
    [
        "Annotated[int, fb.Setting(0, 120)]",
        "Annotated[int, fb.Setting(minimum=0)]",
        "Annotated[int, fb.Setting(max=unknown)]",
        "Annotated[int, fb.Setting(max=2 * 60)]",
        "Annotated[int, fb.Setting(**{})]",
        "Annotated[int, fb.Setting(min=2, max=1)]",
        "Annotated[int, fb.Setting(step=0)]",
    ],
)
def test_a_setting_that_cannot_be_read_says_what_to_write(text: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read_annotation(text, NAMESPACE)
    assert caught.value.code == "FB102"
    assert caught.value.hint


def test_a_context_is_no_port() -> None:
    assert read_annotation("fb.Context", NAMESPACE).is_context
    assert read_annotation(fb.Context, {}).is_context


def test_forward_references_are_read() -> None:
    assert read_annotation("'pl.LazyFrame'", NAMESPACE).form == "LazyFrame"
    assert read_annotation(typing.Optional["pl.LazyFrame"], NAMESPACE).form == "LazyFrame"


_KEPT = (Callable, Mapping, Sequence, Path, Optional, Union, np, npt, pl, dt)  # used in texts only
