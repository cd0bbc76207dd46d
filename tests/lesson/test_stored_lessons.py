"""Lessons are stored executed, so that they open painted; the one on the canvas does what its text promises."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode, v4

from flowbook.canvas.protocol import CANVAS_MIME, NODE_MIME, TRACE_MIME

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
LESSON = NOTEBOOKS / "02_canvas.ipynb"
STORED = sorted(NOTEBOOKS.glob("*.ipynb"))
NOT_HERE = "skip-execution"  # widgets need somebody who looks at them

HAND_OVER = """
import json as _json
print(_json.dumps({{"text": flow.document_text(), "nodes": {{name: flow[name].status for name in flow}},
                   "steps": flow["walks"].settings["steps"], "box": [type(part).__name__ for part in {box}.children]}}))
"""


def lesson(path: Path = LESSON) -> NotebookNode:
    return cast("NotebookNode", nbformat.read(path, as_version=4))


def bundles(notebook: NotebookNode, mime: str) -> list[Any]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output.data[mime] for output in outputs if mime in output.get("data", {})]


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_lesson_is_stored_as_it_ran_from_top_to_bottom(path: Path) -> None:
    """``make lessons`` makes them so."""
    notebook = lesson(path)
    cells = [
        cell for cell in notebook.cells
        if cell.cell_type == "code" and NOT_HERE not in cell.metadata.get("tags", [])
    ]  # fmt: skip
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert bundles(notebook, TRACE_MIME)
    assert {note["status"] for note in bundles(notebook, NODE_MIME)} <= {"ok"}


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_a_stored_lesson_is_small_and_holds_no_program_and_no_path_of_a_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert str(NOTEBOOKS.parent) not in text
    assert len(text.encode()) < 1_000_000
    assert "<script" not in text
    assert "javascript" not in text
    assert '"stamp": "live"' not in text


@pytest.mark.parametrize("name", ["02_canvas", "flights"])
def test_a_lesson_opens_with_its_canvas_painted(name: str) -> None:
    notebook = lesson(NOTEBOOKS / f"{name}.ipynb")
    (canvas,) = bundles(notebook, CANVAS_MIME)
    (cell,) = [cell for cell in notebook.cells if cell.source.startswith("%%flow")]
    assert CANVAS_MIME in cell.outputs[0].data, "below the flow's own cell"
    written = {node["id"] for node in json.loads(cell.source.partition("\n")[2]).get("nodes", [])}
    drawn = {node["id"]: node["status"] for node in canvas["nodes"] if node["kind"] == "node"}
    assert written <= set(drawn)
    assert set(drawn.values()) == {"ok"}


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What the lesson on the canvas leaves behind, its widgets included."""
    notebook = lesson()
    (widgets,) = [cell for cell in notebook.cells if NOT_HERE in cell.metadata.get("tags", [])]
    del widgets.metadata["tags"]
    setting_up, _, box = widgets.source.rpartition("\n")
    widgets.source = f"{setting_up}\nbox = {box}"
    notebook.cells.append(v4.new_code_cell(HAND_OVER.format(box="box")))
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
    (cell,) = [cell for cell in notebook.cells if cell.source.startswith("%%flow")]
    handed_over: dict[str, Any] = json.loads(notebook.cells[-1].outputs[-1].text)
    explained, nothing_ran = [cell.outputs[-1].text for cell in notebook.cells if cell.source.startswith("flow.set")]
    said = {"document": cell.source.partition("\n")[2], "explained": explained, "nothing_ran": nothing_ran}
    return handed_over | said


def test_running_the_lesson_leaves_its_document_as_it_is(found: dict[str, Any]) -> None:
    assert found["text"].strip() == found["document"].strip()
    assert found["nodes"] == dict.fromkeys(("walks", "ends", "spread", "far_out", "chart"), "ok")
    assert found["steps"] == 100


def test_the_lesson_says_why_and_that_nothing_ran(found: dict[str, Any]) -> None:
    assert found["explained"] == "chart fired: spread changed\n"
    assert found["nothing_ran"] == "[]\n"


def test_the_lesson_puts_a_canvas_into_a_box(found: dict[str, Any]) -> None:
    assert found["box"] == ["IntSlider", "FlowCanvas", "Label"]
