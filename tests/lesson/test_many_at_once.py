"""The lesson on maps, sweeps and subflows does what its text promises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "03_many_at_once.ipynb"

HAND_OVER = """
import json
from pathlib import Path

found = {{
    "mean": flow["mean"].value,
    "items": [row.explain("mean") for row in (items_run,)],
    "share": [part if isinstance(part, float) else part.message for part in flow["share"].value],
    "fired": [list(row.fired) for row in sweep.rows],
    "shared": sweep.shared.recomputed,
    "worst": [row["worst"] for row in sweep.rows],
    "throws": flow["mean"].settings["throws"],
    "casino": run["casino"],
    "verdict": run["verdict"],
}}
Path({path!r}).write_text(json.dumps(found), encoding="utf-8")
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The values of the executed lesson."""
    path = tmp_path_factory.mktemp("many") / "found.json"
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    grown = next(cell for cell in notebook.cells if "kinds=6" in cell.source)
    grown.source += "\nitems_run = run"
    notebook.cells.append(nbformat.v4.new_code_cell(HAND_OVER.format(path=str(path))))
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    handed_over: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return handed_over


def mean_of(sides: int, throws: int = 1000, seed: int = 1) -> float:
    return float(np.random.default_rng([seed, sides]).integers(1, sides + 1, throws).mean())


def worst_of(throws: int, seed: int = 1) -> float:
    return round(max(abs(mean_of(sides, throws, seed) - (sides + 1) / 2) for sides in range(4, 15, 2)), 4)


def test_the_map_calls_its_node_once_for_each_die_and_not_again(found: dict[str, Any]) -> None:
    assert found["mean"] == [mean_of(sides) for sides in range(4, 15, 2)]
    assert found["items"] == ["mean fired: dice changed (6 items: 4 unchanged)"]


def test_items_that_failed_are_kept_as_errors(found: dict[str, Any]) -> None:
    assert [part for part in found["share"] if isinstance(part, float)] == [3.0, 2.0, 1.0]
    assert "item 2: ValueError: 12 is no multiple of 8" in found["share"]


def test_the_sweep_shares_the_dice_and_leaves_the_flow_as_it_was(found: dict[str, Any]) -> None:
    assert found["worst"] == pytest.approx(
        [worst_of(throws, seed) for throws in (10, 1_000, 100_000) for seed in (1, 2)]
    )
    assert found["fired"] == [["mean", "off", "worst"]] * 6
    assert "mean" not in found["shared"]
    assert found["throws"] == 1000


def test_the_subflow_takes_a_setting_of_its_inner_node_for_one_run(found: dict[str, Any]) -> None:
    assert found["casino"] == pytest.approx(worst_of(100_000))
    assert found["verdict"] == "fair enough"
