"""Real flows through the command line: the same values, statuses and failures as in a notebook."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.headless.notebooks import code, make_notebook, read_json, read_notebook, stdout_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.headless.notebooks import Finished

    Command = Callable[..., Finished]

SETUP = "%load_ext flowbook\nimport flowbook as fb\nflow = fb.flow('numbers')"
NODES = """
@flow.node
def start() -> int:
    return 20

@flow.node
def doubled(start: int, plus: int = 2) -> int:
    return start * 2 + plus
"""
TRACE = "application/vnd.flowbook.trace+json"


def _trace(path: Path, cell: int) -> dict[str, Any]:
    found: dict[str, Any] = next(
        output.data[TRACE] for output in read_notebook(path).cells[cell].outputs if TRACE in output.get("data", {})
    )
    return found


def test_a_run_is_told_node_by_node_and_lies_in_the_executed_notebook(tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(
        tmp_path / "a.ipynb",
        SETUP,
        code("more = 2", "parameters"),
        NODES,
        "%%node numbers.answer --define\nanswer = doubled + more - 2",
        code("run = await flow.run()\nprint('the answer is', run['answer'])", "answer"),
    )

    done = flowbook("run", source, "-p", "more=5", "--json", tmp_path / "result.json")

    assert done.code == 0, done.out
    assert "\nthe answer is 45\n" in done.out
    for node in ("start", "doubled", "answer"):
        assert f"✓ {node}" in done.out
    result = read_json(tmp_path / "result.json")
    (run,) = result["runs"]
    assert run == _trace(tmp_path / "a.out.ipynb", 5)
    assert (run["status"], run["final"], [span["node"] for span in run["spans"]]) == (
        "ok",
        True,
        ["start", "doubled", "answer"],
    )


def test_a_failing_node_is_told_by_its_own_line_and_the_rest_is_done(tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(
        tmp_path / "a.ipynb",
        SETUP,
        NODES,
        "@flow.node\ndef broken(start: int) -> int:\n    zero = 0\n    return start // zero",
        "%%node numbers.above\n\nabove = broken + 1",
        "%%node numbers.wrong\n\nwrong = start / 0",
        "await flow.run()",
        "print(flow['doubled'].value)",
    )

    done = flowbook("run", source, "--json", tmp_path / "result.json")

    assert done.code == 1
    assert "node broken, line 4: " in done.out
    assert "cell 5, line 3: ZeroDivisionError: division by zero" in done.out
    assert "cell 6, line 1: FlowFailedError: " in done.out
    executed = read_notebook(tmp_path / "a.out.ipynb")
    assert stdout_of(executed.cells[6]) == "42\n"
    assert [failure["number"] for failure in read_json(tmp_path / "result.json")["cells"]["failed"]] == [5, 6]


def test_a_node_that_fails_above_a_node_cell_fails_the_run_although_no_cell_raises(
    tmp_path: Path, flowbook: Command
) -> None:
    source = make_notebook(
        tmp_path / "a.ipynb",
        SETUP,
        "@flow.node\ndef broken() -> int:\n    return 1 // 0",
        "%%node numbers.above\nabove = broken + 1",
    )

    done = flowbook("run", source)

    assert done.code == 1
    assert "✕ node broken" in done.out
    assert "⊘ above" in done.out


def test_a_failure_above_that_no_cell_shows_fails_the_run_too(tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(
        tmp_path / "a.ipynb",
        SETUP,
        "@fb.node\ndef halve(x: int) -> int:\n    return x // 0\nflow.add(halve, 'broken', x=1);",
        "%%node numbers.above\nabove = broken + 1",
    )

    done = flowbook("run", source)

    assert done.code == 1, done.out
    assert "1 node failed" in done.out


def test_a_background_run_ends_before_the_notebook_is_written(tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(
        tmp_path / "a.ipynb",
        SETUP,
        "import time\n@flow.node\ndef slow() -> int:\n    time.sleep(0.6)\n    return 1",
        "flow.start()",
    )

    done = flowbook("run", source)

    assert done.code == 0
    assert "✓ slow" in done.out
    trace = _trace(tmp_path / "a.out.ipynb", 2)
    assert (trace["status"], trace["final"]) == ("ok", True)


def test_to_runs_only_what_a_node_needs(tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(tmp_path / "a.ipynb", SETUP, NODES, "run = await flow.run()\nprint(run.recomputed)")

    done = flowbook("run", source, "--to", "start")

    assert done.code == 0, done.out
    executed = read_notebook(tmp_path / "a.out.ipynb")
    assert len(executed.cells) == 3
    assert "start" in stdout_of(executed.cells[2])
    assert "doubled" not in stdout_of(executed.cells[2])


def test_a_flow_document_runs_with_settings_and_inputs(tmp_path: Path, flowbook: Command) -> None:
    document = tmp_path / "numbers.flow.json"
    types = [
        {"id": "start", "source": "def start(base: int) -> int:\n    return base\n"},
        {"id": "doubled", "source": "def doubled(start: int, plus: int = 2) -> int:\n    return start * 2 + plus\n"},
    ]
    nodes = [{"id": "start", "typeId": "start"}, {"id": "doubled", "typeId": "doubled"}]
    document.write_text(json.dumps({"flowbook": "1", "id": "numbers", "nodes": nodes, "types": types}))

    done = flowbook(
        *("run", document, "-p", "base=20", "-p", "doubled.plus=5"),
        *("-o", tmp_path / "run.ipynb", "--json", tmp_path / "result.json"),
    )

    assert done.code == 0, done.out
    (run,) = read_json(tmp_path / "result.json")["runs"]
    assert (run["flow"], [(span["node"], span["status"]) for span in run["spans"]]) == (
        "numbers",
        [("start", "ok"), ("doubled", "ok")],
    )
    (cell,) = read_notebook(tmp_path / "run.ipynb").cells
    assert "settings={'doubled.plus': 5}, inputs={'base': 20}" in cell.source

    refused = flowbook("run", document, "-p", "doubled.pls=5")
    assert (refused.code, "did you mean 'doubled.plus'?" in refused.err) == (2, True)

    missing = flowbook("run", document)
    assert (missing.code, "✕ node start" in missing.out) == (1, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["numbers.flow.json", "result.json", "run.ipynb"]
