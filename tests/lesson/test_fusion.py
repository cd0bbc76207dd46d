"""The lesson on fusion proves what it says, wherever it is run."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "fusion.ipynb"


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What each cell printed, by the id of the cell."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    shown: dict[str, str] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                shown[cell.id] = shown.get(cell.id, "") + output.text
    return shown


def test_columns_and_a_wrong_one_are_known_before_anything_runs(said: dict[str, str]) -> None:
    assert [line.split()[:2] for line in said["before"].splitlines()] == [
        ["flights", "19"], ["late", "19"], ["lost", "20"], ["by_carrier", "3"], ["worst", "2"],
    ]  # fmt: skip
    assert said["wrong"].strip() == 'windy, line 4: ColumnNotFoundError: unable to find column "wind_gust"'


def test_one_pass_makes_both_tables_and_counts_what_flowed(said: dict[str, str]) -> None:
    assert said["passes"].splitlines() == [
        "flights + late + lost + by_carrier + worst",
        "collected: by_carrier, worst",
        "   70,774 rows flowed from flights to late",
        "   70,774 rows flowed from late to lost",
        "   70,774 rows flowed from lost to by_carrier",
        "   70,774 rows flowed from lost to worst",
    ]
    assert "PROJECT 3/19 COLUMNS" in said["plan"]
    assert 'SELECTION: col("dep_delay") > 15' in said["plan"]


def test_what_ends_a_pass_says_so_and_off_gives_the_same(said: dict[str, str]) -> None:
    assert said["frame-run"].splitlines() == [
        "flights + late + lost for share",
        "share: share.lost asks for a DataFrame",
    ]
    assert said["off"].splitlines()[-2:] == [
        "equal: True",
        "rows that were held in memory: [336776, 70774, 70774, 16]",
    ]
