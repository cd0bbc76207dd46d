"""Who may import whom in the browser: Biome checks it, and these tests that Biome is able to."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.house.source_tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

JS = ROOT / "js"
BIOME = JS / "node_modules" / ".bin" / "biome"

pytestmark = pytest.mark.skipif(not BIOME.exists(), reason="the browser side's tools are not installed: make extension")


def lint(folder: Path) -> str:
    """Lint a folder with the rules of this repository; what Biome says."""
    shutil.copy(JS / "biome.json", folder)
    command = [str(BIOME), "lint", "--error-on-warnings", "--colors=off", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def plant(folder: Path, room: str, code: str) -> str:
    """Write a module into a room of an otherwise empty tree and lint it."""
    path = folder / "src" / room / "planted.ts"
    path.parent.mkdir(parents=True)
    path.write_text(code, encoding="utf-8")
    return lint(folder)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("model", "react"),
        ("model", "../protocol/bundles"),
        ("model", "@jupyterlab/services"),
        ("protocol", "react"),
        ("protocol", "../canvas/context"),
        ("canvas", "@jupyterlab/apputils"),
        ("canvas", "@lumino/widgets"),
        ("canvas", "../jupyter/plugin"),
        ("trace", "@jupyterlab/apputils"),
        ("ipyreact", "../jupyter/plugin"),
        ("grid", "react"),
        ("grid", "../jupyter/plugin"),
        ("grid", "../canvas/context"),
        ("grid", "@jupyterlab/apputils"),
    ],
)
def test_an_import_into_the_wrong_room_is_found(tmp_path: Path, room: str, source: str) -> None:
    complaint = plant(tmp_path, room, f'import {{ something }} from "{source}";\n\nexport const found = something;\n')
    assert "noRestrictedImports" in complaint


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("model", "./flow"),
        ("protocol", "../model/flow"),
        ("canvas", "@xyflow/react"),
        ("canvas", "../model/flow"),
        ("trace", "../canvas/StateIcon"),
        ("jupyter", "@jupyterlab/apputils"),
        ("grid", "@lumino/datagrid"),
        ("grid", "../protocol/tables"),
    ],
)
def test_an_import_from_a_room_below_is_fine(tmp_path: Path, room: str, source: str) -> None:
    assert plant(tmp_path, room, f'import {{ something }} from "{source}";\n\nexport const found = something;\n') == ""


def test_a_loop_of_imports_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "src" / "model"
    folder.mkdir(parents=True)
    for name, other in (("one", "two"), ("two", "one")):
        code = f'import {{ {other} }} from "./{other}";\n\nexport const {name} = (): number => {other}();\n'
        (folder / f"{name}.ts").write_text(code, encoding="utf-8")
    assert "noImportCycles" in lint(tmp_path)
