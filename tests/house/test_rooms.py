"""How rooms and modules are named, introduced and opened to others."""

from __future__ import annotations

import ast
import importlib
from typing import TYPE_CHECKING

import pytest

from tests.house.source_tree import PACKAGE, ROOT, module_name, modules, rooms

if TYPE_CHECKING:
    from pathlib import Path

# A module so called has no idea of its own, so everything ends up in it.
SAYS_NOTHING = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}

FRONT_DOOR_MAX_NAMES = 30
INTRODUCTION_MIN_WORDS = 12


def introduction_fault(path: Path) -> str | None:
    """Say what is wrong with the docstring that opens a room, or None."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if docstring is None:
        return "no docstring"
    words = len(docstring.split())
    return None if words >= INTRODUCTION_MIN_WORDS else f"{words} words do not introduce a room"


def says_nothing(path: Path) -> bool:
    """Tell whether a module's name (or its folder's) is one of those that say nothing."""
    name = path.parent.name if path.stem == "__init__" else path.stem
    return name.strip("_") in SAYS_NOTHING


def public_names(path: Path) -> list[str] | None:
    """Read the literal ``__all__`` of a module without importing it; None when there is none."""
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else getattr(statement, "targets", [])
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            assert isinstance(statement, ast.Assign | ast.AnnAssign)
            assert statement.value is not None
            return list(ast.literal_eval(statement.value))
    return None


def in_order(names: list[str]) -> list[str]:
    """Sort names as ruff's RUF022 does: CONSTANTS, Classes, the rest."""
    return sorted(
        names, key=lambda name: (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2, name)
    )


ALL_MODULES = [pytest.param(path, id=module_name(path, ROOT)) for path in modules(PACKAGE)]
ALL_ROOMS = [pytest.param(room, id=module_name(room / "__init__.py", ROOT)) for room in rooms(PACKAGE)]
OPEN_MODULES = [parameter for parameter in ALL_MODULES if public_names(parameter.values[0]) is not None]  # type: ignore[arg-type]


@pytest.mark.parametrize("room", ALL_ROOMS)
def test_a_room_opens_with_a_paragraph(room: Path) -> None:
    """Who enters a room reads first what it is for."""
    assert introduction_fault(room / "__init__.py") is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no docstring"),
        (
            "import json\n'''Too late to be one, however many words it may have, for it is not the first.'''",
            "no docstring",
        ),
        ("'''Core.'''", "1 words do not introduce a room"),
        ("'''What a flow is: nodes, ports, edges and documents, in the standard library alone.'''", None),
    ],
)
def test_a_room_without_introduction_is_found(tmp_path: Path, text: str, fault: str | None) -> None:
    """The rule above is able to fail."""
    path = tmp_path / "__init__.py"
    path.write_text(text, encoding="utf-8")
    assert introduction_fault(path) == fault


@pytest.mark.parametrize("path", ALL_MODULES)
def test_a_module_is_named_for_its_idea(path: Path) -> None:
    """No drawer for everything."""
    assert not says_nothing(path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("core/utils.py", True), ("core/_common.py", True), ("helpers/__init__.py", True), ("core/events.py", False)],
)
def test_a_name_that_says_nothing_is_found(tmp_path: Path, name: str, expected: bool) -> None:
    """The rule above is able to fail."""
    assert says_nothing(tmp_path / name) is expected


@pytest.mark.parametrize("path", OPEN_MODULES)
def test_public_names_are_sorted_and_exist(path: Path) -> None:
    """``__all__`` is what one finds, in the order one looks for it."""
    names = public_names(path)
    assert names is not None
    assert names == in_order(names)
    assert len(names) == len(set(names))
    module = importlib.import_module(module_name(path, ROOT))
    assert [name for name in names if not hasattr(module, name)] == []


def test_names_out_of_order_are_found(tmp_path: Path) -> None:
    """The rule above is able to fail."""
    path = tmp_path / "planted.py"
    path.write_text("__all__: list[str] = ['node', 'Flow', 'LIMIT']", encoding="utf-8")
    names = public_names(path)
    assert names == ["node", "Flow", "LIMIT"]
    assert in_order(names) == ["LIMIT", "Flow", "node"]


def test_the_front_door_is_small() -> None:
    """One can learn ``flowbook`` by reading its names."""
    names = public_names(PACKAGE / "__init__.py")
    assert names is not None, "flowbook/__init__.py has no literal __all__"
    assert len(names) <= FRONT_DOOR_MAX_NAMES
