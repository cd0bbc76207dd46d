"""The flights lesson gives the same by hand, by ``jupyter execute`` and by ``flowbook run``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel

if TYPE_CHECKING:
    from tests.lesson.flights import Execution

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
TRACE = "application/vnd.flowbook.trace+json"
NODE = "application/vnd.flowbook.node+json"
LIMIT_S = 240


def _copy(folder: Path) -> Path:
    shutil.copytree(NOTEBOOKS / "data", folder / "data")
    return Path(shutil.copy(NOTEBOOKS / "flights.ipynb", folder))


def _outputs_by_hand(notebook: Path) -> list[dict[str, Any]]:
    """Run every cell in a kernel, as a person does, and keep outputs as a notebook would."""
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(notebook.parent))
    shown: dict[str, dict[str, Any]] = {}
    outputs: list[dict[str, Any]] = []

    def keep(message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        display_id = content.get("transient", {}).get("display_id")
        if kind == "update_display_data" and display_id in shown:
            shown[display_id]["data"] = content["data"]
        elif kind in ("display_data", "execute_result"):
            outputs.append({"output_type": kind, "data": content["data"]})
            if display_id:
                shown[display_id] = outputs[-1]
        elif kind == "stream":
            outputs.append({"output_type": kind, "text": content["text"]})
        elif kind == "error":
            pytest.fail("\n".join(content["traceback"]))

    try:
        for cell in nbformat.read(notebook, as_version=4).cells:
            if cell.cell_type == "code":
                asked = client.execute(cell.source)
                # Updates come from no cell in particular, so every message counts until this cell is over.
                while not _is_end(message := client.get_iopub_msg(timeout=LIMIT_S), asked):
                    keep(message)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return outputs


def _is_end(message: dict[str, Any], asked: str) -> bool:
    state, parent = message["content"].get("execution_state"), message["parent_header"].get("msg_id")
    return bool(state == "idle" and parent == asked)


def _outputs_of(cells: list[nbformat.NotebookNode]) -> list[dict[str, Any]]:
    return [output for cell in cells for output in cell.get("outputs", [])]


def _facts(outputs: list[dict[str, Any]]) -> dict[str, Any]:
    """Everything that must not depend on who ran the notebook: values, and per run what happened to which node."""
    traces = [output["data"][TRACE] for output in outputs if TRACE in output.get("data", {})]
    cards = [output["data"][NODE] for output in outputs if NODE in output.get("data", {})]
    fields = ("node", "status", "stamp", "reason", "rows", "copies")
    return {
        "runs": [sorted(json.dumps([span[field] for field in fields]) for span in trace["spans"]) for trace in traces],
        "statuses": [trace["status"] for trace in traces],
        "printed": "".join(output["text"] for output in outputs if output["output_type"] == "stream"),
        "results": [output["data"]["text/plain"] for output in outputs if output["output_type"] == "execute_result"],
        "nodes": [[card["node"], card["status"], card["stamp"], card["reason"]] for card in cards],
        "previews": [card["card"]["preview"] for card in cards if "card" in card],
    }


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return _facts(_outputs_by_hand(_copy(tmp_path_factory.mktemp("by_hand"))))


def _assert_same(outputs: list[dict[str, Any]], by_hand: dict[str, Any]) -> None:
    facts = _facts(outputs)
    assert by_hand["runs"], "the lesson shows no run"
    for name, expected in by_hand.items():
        assert facts[name] == expected, name


def test_jupyter_execute_is_the_same_thing(year: Execution, by_hand: dict[str, Any]) -> None:
    *cells, hands_over = nbformat.reads(year.text, as_version=4).cells
    assert "found.json" in hands_over.source
    _assert_same(_outputs_of(cells), by_hand)


def test_flowbook_run_is_the_same_thing(by_hand: dict[str, Any], tmp_path: Path) -> None:
    notebook = _copy(tmp_path)
    command = [Path(sys.executable).parent / "flowbook", "run", "--inplace", notebook]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    _assert_same(_outputs_of(nbformat.read(notebook, as_version=4).cells), by_hand)
