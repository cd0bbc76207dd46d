"""The lesson on copies proves what it says, wherever it is run."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "zero_copy.ipynb"


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """What each cell printed, or showed as its value, by the id of the cell."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    shown: dict[str, str] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                shown[cell.id] = shown.get(cell.id, "") + output.text
            elif output.output_type == "execute_result":
                shown[cell.id] = output.data["text/plain"]
    return shown


def test_every_form_of_the_array_lies_at_the_same_address(said: dict[str, str]) -> None:
    lines = said["where"].splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["column", "Series"],
        ["table", "DataFrame"],
        ["lazy", "LazyFrame"],
        ["back", "ndarray"],
    ]
    assert all(line.endswith("the same address") for line in lines)


def test_the_run_has_counted_no_copy_where_there_is_none_and_one_where_there_is(said: dict[str, str]) -> None:
    assert said["counter"] == "0 copies in 4 hops"
    assert said["copied"].splitlines() == [
        "1 copy, 2,000,000 bytes in 2 hops",
        "  high.result → share.high  2,000,000  bool column: bits become bytes",
    ]
    assert "mutable=True" in said["mutable-run"]
    assert said["mutable-run"].splitlines()[-1] == "1.0 2.0"


def test_the_process_grows_by_one_value_of_five(said: dict[str, str]) -> None:
    found = re.fullmatch(r"5 nodes with 80 MB each, and (-?\d+) MB more in use", said["resident"].strip())
    assert found is not None
    assert int(found[1]) < 240, "copies would have taken 400"


def test_nobody_changes_what_others_see(said: dict[str, str]) -> None:
    refused, cannot, mine = said["guards"].splitlines()
    assert refused.endswith("assignment destination is read-only")
    assert cannot.endswith("cannot set WRITEABLE flag to True of this array")
    assert mine == "9.0 0.0"


def test_the_hole_is_there_as_the_lesson_says(said: dict[str, str]) -> None:
    assert said["hole-run"].strip() == "0.0 1000.0"
