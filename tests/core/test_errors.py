"""An error says what, where and what to type next, has the same as fields, and survives a process border."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flowbook
from flowbook import errors
from flowbook.errors import FlowbookError, UnknownIdError, did_you_mean

PACKAGE = Path(flowbook.__file__).parent
CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, FlowbookError)]


def test_an_error_is_three_short_lines() -> None:
    error = FlowbookError("it is so", code="FB123", where="flow 'f'", hint="do that", node="n")
    assert str(error) == "[FB123] it is so\n  at   flow 'f'\n  hint do that"
    assert (error.code, error.what, error.where, error.hint, error.fields) == (
        "FB123",
        "it is so",
        "flow 'f'",
        "do that",
        {"node": "n"},
    )
    assert str(FlowbookError("only this")) == "[FB000] only this"
    assert str(UnknownIdError("no 'x'")) == "[FB201] no 'x'"


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_survives_pickling(cls: type[FlowbookError]) -> None:
    error = cls("what", where="here", hint="so", path=["a"])
    error.add_note("a note")
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 -- our own bytes
    assert type(back) is cls
    assert (str(back), back.fields, back.__notes__) == (str(error), {"path": ["a"]}, ["a note"])


def test_every_class_has_a_code_of_its_own_in_the_range_of_its_room() -> None:
    codes = [cls.default_code for cls in CLASSES]
    assert len(set(codes)) == len(codes)
    for cls in CLASSES:
        parents = [base for base in cls.__mro__[1:] if base in CLASSES and base is not FlowbookError]
        assert all(base.default_code[:3] == cls.default_code[:3] for base in parents)


def test_every_code_in_the_source_is_well_formed_and_of_one_range_of_errors() -> None:
    """Codes are what people search for: FB and three digits, nothing else."""
    for path in PACKAGE.rglob("*.py"):
        for code in re.findall(r'code="(FB[^"]*)"', path.read_text(encoding="utf-8")):
            assert re.fullmatch(r"FB[1-9]\d\d", code), (path.name, code)


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("lat", ["late", "other"], "did you mean 'late'?"),
        ("zzz", ["b", "a"], "there is 'a', 'b'"),
        ("x", [], ""),
        ("zzz", list("abcdefghij"), "there is 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h' …"),
    ],
)
def test_a_hint_names_the_nearest_or_lists_a_few(name: str, known: list[str], hint: str) -> None:
    assert did_you_mean(name, known) == hint


@given(st.text(), st.lists(st.text(max_size=5), max_size=12))
def test_a_hint_can_always_be_given(name: str, known: list[str]) -> None:
    assert bool(did_you_mean(name, known)) is bool(known)
