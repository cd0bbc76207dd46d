"""The flights lesson, to be executed by whatever executes notebooks, with the values of its nodes handed over."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "flights.ipynb"
TABLES = ("by_carrier", "by_weather", "by_hour", "by_age", "busiest_routes", "catching_up", "effects")

#: Written behind the last cell of a copy: hands the values of the runs over to the test.
HAND_OVER = """
import json

found = {{
    "answer": run["answer"],
    "strict": strict["answer"],
    "recomputed": strict.recomputed,
    "tables": {{name: run[name].lazy().collect().rows(named=True) for name in {tables}}},
    "hours": run["hours"].lazy().collect().rows(),
    "bootstrap": run["bootstrap"].tolist(),
}}
Path({path!r}).write_text(json.dumps(found), encoding="utf-8")
"""


@dataclass(frozen=True)
class Execution:
    """One execution of the lesson: the executed notebook, what it printed in a terminal, the values of its nodes."""

    text: str
    printed: str
    found: dict[str, Any]


def handing_over(folder: Path) -> nbformat.NotebookNode:
    """The lesson with one more cell, which writes the values of its nodes to ``found.json``."""
    notebook: nbformat.NotebookNode = nbformat.read(NOTEBOOK, as_version=4)
    source = HAND_OVER.format(tables=TABLES, path=str(folder / "found.json"))
    notebook.cells.append(nbformat.v4.new_code_cell(source))
    return notebook
