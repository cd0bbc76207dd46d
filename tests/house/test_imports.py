"""Who may import whom, and what importing flowbook may cost."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from tests.house.source_tree import PACKAGE, ROOT, distribution, distributions, modules, node_logic, project

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = {"IPython", "ipywidgets", "nbclient", "numpy", "polars", "traitlets"}
ENGINE_ROOMS = {"core", "registry", "runtime", "observe", "sandbox", "stores"}
CORE_MAY_IMPORT = ("flowbook.core", "flowbook.errors")
NODES_MAY_IMPORT = ("flowbook.errors", "flowbook.core", "flowbook.data", "numpy", "polars")


def foreign_imports(path: Path, *allowed: str) -> list[str]:
    """Name what ``path`` imports beside the standard library and the ``allowed`` packages, at any level of nesting."""
    found = []
    for statement in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            names = [statement.module or "."] if statement.level == 0 else ["."]
        found += [
            name
            for name in names
            if name.split(".")[0] not in sys.stdlib_module_names
            and not any(f"{name}.".startswith(f"{room}.") for room in allowed)
        ]
    return found


def heavy_modules_after(statement: str) -> set[str]:
    """Run ``statement`` in a fresh Python and say which of the heavy libraries it loaded."""
    code = f"import sys\n{statement}\nprint('LOADED', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return HEAVY & set(done.stdout.rpartition("LOADED")[2].split())


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Check the import contracts of ``root/pyproject.toml`` against ``root/flowbook``."""
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def copied_tree(tmp_path: Path) -> Path:
    """Copy the package and its contracts to where a test may break them."""
    shutil.copytree(PACKAGE, tmp_path / "flowbook", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(root: Path, name: str, code: str) -> None:
    """Write ``code`` as the module ``name`` ("flowbook.core.planted"), making its rooms when they are missing."""
    *room, module = name.split(".")
    folder = root.joinpath(*room)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "__init__.py").exists():
        (folder / "__init__.py").touch()
    (folder / f"{module}.py").write_text(code, encoding="utf-8")


def test_core_imports_nothing_but_the_standard_library_and_the_errors() -> None:
    """``flowbook.core`` says what a flow is, in plain Python."""
    found = {
        path.name: names for path in modules(PACKAGE / "core") if (names := foreign_imports(path, *CORE_MAY_IMPORT))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import json, numpy", ["numpy"]),
        ("def late():\n    import polars as pl", ["polars"]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from rich.table import Table", ["rich.table"]),
        ("from flowbook.runtime.plan import Plan", ["flowbook.runtime.plan"]),
        ("from . import events", ["."]),
        ("from flowbook.core_of_something import x", ["flowbook.core_of_something"]),
        ("import asyncio\nfrom flowbook.core.events import Event\nfrom flowbook.errors import FlowbookError", []),
    ],
)
def test_an_import_that_core_may_not_have_is_found(tmp_path: Path, code: str, found: list[str]) -> None:
    """The rule above is able to fail."""
    path = tmp_path / "planted.py"
    path.write_text(code, encoding="utf-8")
    assert foreign_imports(path, *CORE_MAY_IMPORT) == found


def test_the_standard_library_of_nodes_imports_what_nodes_are_made_of() -> None:
    """``logic.py`` lies in no package, where import-linter does not look; it keeps the rule of its room here."""
    found = {str(path): names for path in node_logic(PACKAGE) if (names := foreign_imports(path, *NODES_MAY_IMPORT))}
    assert found == {}
    assert len(node_logic(PACKAGE)) >= 3


def undeclared(imported: set[str], declared: set[str]) -> set[str]:
    """Name the imports that no declared package brings."""
    homes = metadata.packages_distributions()
    return {name for name in imported if not declared & {distribution(home) for home in homes.get(name, [name])}}


def test_flowbook_asks_for_what_it_imports() -> None:
    """What another package happens to bring today may be gone tomorrow."""
    declared = distributions([*project()["dependencies"], *project()["optional-dependencies"]["charts"]])
    imported = {name.split(".")[0] for path in modules(PACKAGE) for name in foreign_imports(path, "flowbook")}
    assert undeclared(imported, declared) == set()


def test_an_import_that_nobody_declared_is_found() -> None:
    """The rule above is able to fail."""
    assert undeclared({"numpy", "zmq", "nowhere"}, {"numpy", "polars"}) == {"zmq", "nowhere"}


def test_importing_flowbook_loads_neither_jupyter_nor_tables() -> None:
    """A notebook that only makes a flow waits for nothing."""
    assert heavy_modules_after("import flowbook") == set()


def test_looking_node_types_up_loads_neither_jupyter_nor_tables() -> None:
    """The palette is filled by reading JSON; polars comes when a node fires."""
    looked_up = "from flowbook.session import session\nassert session.registry.get('table.filter').function"
    assert heavy_modules_after(looked_up) == set()


def test_a_heavy_import_is_seen() -> None:
    """The rule above is able to fail."""
    assert heavy_modules_after("import traitlets, numpy.linalg") == {"numpy", "traitlets"}


def test_the_import_contracts_hold() -> None:
    """The rooms stack, and the engine reaches neither Jupyter nor tables."""
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_room_of_the_engine_is_under_contract() -> None:
    """import-linter takes no room that does not exist, so a new room of the engine has to be named when it comes."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (engine,) = [contract for contract in contracts if contract["id"] == "engine"]
    rooms = {room for room in ENGINE_ROOMS if (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").exists()}
    assert set(engine["source_modules"]) == {f"flowbook.{room}" for room in rooms}


@pytest.mark.parametrize(
    ("planted", "complaint"),
    [
        (
            {"flowbook.runtime.planted": "", "flowbook.core.planted": "from flowbook.runtime import planted"},
            "Rooms stack",
        ),
        (
            {"flowbook.canvas.planted": "", "flowbook.data.planted": "def f(): import flowbook.canvas.planted"},
            "Rooms stack",
        ),
        (
            {"flowbook.headless.planted": "", "flowbook.notebook.planted": "import flowbook.headless.planted"},
            "Rooms stack",
        ),
        ({"flowbook.nodes.planted": "import flowbook.runtime.plan"}, "Rooms stack"),
        ({"flowbook.toolbox.planted": ""}, "Rooms stack"),
        ({"flowbook.core.planted": "import numpy"}, "The engine needs no Jupyter"),
        (
            {
                "flowbook.runtime.planted": "import flowbook.data.planted",
                "flowbook.data.planted": "def f(): import polars",
            },
            "The engine needs no Jupyter",
        ),
        ({"flowbook.runtime.planted": "def f(): import IPython.display"}, "The engine needs no Jupyter"),
    ],
    ids=[
        "upwards",
        "upwards-late",
        "sideways",
        "nodes-sideways",
        "undeclared-room",
        "numpy-in-core",
        "tables-through-data",
        "jupyter",
    ],
)
def test_a_planted_import_breaks_its_contract(copied_tree: Path, planted: dict[str, str], complaint: str) -> None:
    """The contracts are able to fail."""
    for name, code in planted.items():
        plant(copied_tree, name, code)
    done = lint_imports(copied_tree)
    assert done.returncode != 0
    broken = [line for line in done.stdout.splitlines() if line.endswith("BROKEN")]
    assert any(line.startswith(complaint) for line in broken), done.stdout + done.stderr
