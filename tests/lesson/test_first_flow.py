"""The five-minute lesson does what its text promises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01_first_flow.ipynb"

HAND_OVER = """
import json
from pathlib import Path

found = {{
    "run": [run["pi"], run.recomputed],
    "more": [more["pi"], more["percent_off"], more.recomputed],
    "again": again.recomputed,
    "value": flow["pi"].value,
}}
Path({path!r}).write_text(json.dumps(found), encoding="utf-8")
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The values of the executed lesson."""
    path = tmp_path_factory.mktemp("first") / "found.json"
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(HAND_OVER.format(path=str(path))))
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    handed_over: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return handed_over


def pi_of(grains: int) -> float:
    """What the two nodes compute, in one line of numpy."""
    inside = np.hypot(*np.random.default_rng(4).random((grains, 2)).T) <= 1
    return float(4 * inside.mean())


def test_the_first_run_computes_both_nodes(found: dict[str, Any]) -> None:
    """In the order in which they need each other."""
    assert found["run"] == [pi_of(10_000), ["rice", "pi"]]


def test_a_setting_holds_for_one_run(found: dict[str, Any]) -> None:
    """The run shows the new value and every node below; the node itself keeps the old one."""
    value, percent_off, recomputed = found["more"]
    assert value == pi_of(100_000)
    assert percent_off == round(100 * abs(value - np.pi) / np.pi, 3)
    assert recomputed == ["rice", "pi", "percent_off"]
    assert found["value"] == pi_of(10_000)


def test_nothing_runs_when_nothing_has_changed(found: dict[str, Any]) -> None:
    """The last run of the lesson fires no node."""
    assert found["again"] == []
