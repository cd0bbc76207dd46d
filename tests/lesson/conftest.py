"""What tests of several lessons look at, executed once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tests.lesson.flights import NOTEBOOK, Execution, handing_over


@pytest.fixture(scope="session")
def year(tmp_path_factory: pytest.TempPathFactory) -> Execution:
    """The flights of the whole year, by ``jupyter execute``, beside their data."""
    folder = tmp_path_factory.mktemp("year")
    shutil.copytree(NOTEBOOK.parent / "data", folder / "data")
    nbformat.write(handing_over(folder), folder / "flights.ipynb")
    command = [Path(sys.executable).parent / "jupyter", "execute", "--inplace", folder / "flights.ipynb"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    return Execution((folder / "flights.ipynb").read_text(encoding="utf-8"), done.stdout, found)
