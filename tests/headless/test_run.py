"""What `flowbook run` does to a notebook, what it says, and the number it exits with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.headless.notebooks import (
    TRACE_HELPERS,
    code,
    error_names,
    make_notebook,
    read_json,
    read_notebook,
    stdout_of,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.headless.notebooks import Finished

    Command = Callable[..., Finished]


def test_a_notebook_without_trouble_exits_0_and_lies_executed_beside_the_first(
    tmp_path: Path, flowbook: Command
) -> None:
    source = make_notebook(
        tmp_path / "a.ipynb", text("# Title"), "print(6 * 7)", "", code("print('the answer')", "answer")
    )
    before = source.read_bytes()

    done = flowbook("run", source)

    assert done.code == 0
    assert done.err == ""
    executed = read_notebook(tmp_path / "a.out.ipynb")
    assert [cell.cell_type for cell in executed.cells] == ["markdown", "code", "code", "code"]
    assert stdout_of(executed.cells[1]) == "42\n"
    assert [cell.execution_count for cell in executed.cells[1:]] == [1, None, 2]
    assert source.read_bytes() == before
    assert "\nthe answer\n" in done.out
    assert done.out.rstrip().endswith(f"executed notebook: {tmp_path / 'a.out.ipynb'}")


def test_the_written_notebook_names_no_folder_no_host_and_no_hidden_cell(tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(tmp_path / "a.ipynb", "x = 1")

    flowbook("run", source)

    executed = read_notebook(tmp_path / "a.out.ipynb")
    assert set(executed.metadata) == {"kernelspec", "language_info"}
    assert executed.metadata.kernelspec.name == "python3"
    assert str(tmp_path) not in (tmp_path / "a.out.ipynb").read_text()
    assert [cell.source for cell in executed.cells] == ["x = 1"]
    assert executed.cells[0].metadata == {}


def test_cells_after_a_failed_one_run_and_the_failure_is_told_by_its_own_line(
    tmp_path: Path, flowbook: Command
) -> None:
    source = make_notebook(
        tmp_path / "a.ipynb",
        text("a cell that does not count"),
        "def halve(x):\n    return x / 0",
        "y = 1\n\nhalve(y)",
        "def later():\n    y = 2\n    raise ValueError('two\\nlines')\n\nlater()",
        "x = = 1",
        "print('still here')",
    )

    done = flowbook("run", source, "--json", tmp_path / "result.json")

    assert done.code == 1
    assert "cell 2, line 3: ZeroDivisionError: division by zero" in done.out
    assert "cell 3, line 3: ValueError: two\n" in done.out
    assert "cell 4, line 1: SyntaxError: invalid syntax" in done.out
    assert stdout_of(read_notebook(tmp_path / "a.out.ipynb").cells[-1]) == "still here\n"
    result = read_json(tmp_path / "result.json")
    assert (result["flowbook"], result["notebook"], result["status"], result["exitCode"]) == (
        "1",
        "a.ipynb",
        "failed",
        1,
    )
    assert result["cells"]["executed"] == 5
    assert result["cells"]["failed"][0] == {
        "index": 2,
        "number": 2,
        "line": 3,
        "error": "ZeroDivisionError: division by zero",
    }


def test_a_cell_that_is_meant_to_raise_is_no_failure_nor_are_its_nodes(tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(
        tmp_path / "a.ipynb",
        TRACE_HELPERS,
        code("show(1, final=True, late='failed')\nraise RuntimeError('as shown')", "raises-exception"),
    )

    assert flowbook("run", source).code == 0
    assert error_names(read_notebook(tmp_path / "a.out.ipynb").cells) == ["RuntimeError"]


def test_nodes_are_told_as_they_finish_once_each_without_escape_sequences(tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(
        tmp_path / "a.ipynb",
        TRACE_HELPERS,
        "show(1, late='running', by_carrier='queued')\nshow(3, late='ok', by_carrier='running')",
        "show(2, late='running', by_carrier='running')\nshow(4, final=True, late='ok', by_carrier='ok')",
        "show(1, final=True, run='b' * 32, late='cached', chart='ok')",
    )

    done = flowbook("run", source, "--json", tmp_path / "result.json")

    assert done.code == 0
    assert done.out.split("\n")[:5] == [
        "✓ late          31 ms  336,776 × 19  first run",
        "✓ by_carrier    31 ms  336,776 × 19  first run",
        "  flights · run aaaa · ok · 2 ran · 100 ms",
        "✓ chart    31 ms  336,776 × 19  first run",
        "  flights · run bbbb · ok · 1 ran · 100 ms",
    ], "and a cached node that was reported before is no news"
    assert "\x1b" not in done.out
    runs = read_json(tmp_path / "result.json")["runs"]
    assert [(run["runId"][0], run["seq"], run["final"]) for run in runs] == [("a", 4, True), ("b", 1, True)]


def test_a_failed_node_exits_1_although_no_cell_failed(tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(tmp_path / "a.ipynb", TRACE_HELPERS, "show(1, final=True, flights='ok', late='failed')")

    done = flowbook("run", source)

    assert done.code == 1
    assert "✕ node late, line 4: no column 'gust'" in done.out
    assert "1 node failed" in done.out


def test_what_a_notebook_says_of_itself_cannot_move_the_terminal(tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(
        tmp_path / "a.ipynb",
        TRACE_HELPERS,
        "show(1, final=True, **{'\\x1b[2Jlate\\r\\n\\u202e': 'ok', '[red]x': 'ok'})",
        "raise ValueError('\\x1b]0;title\\x07 \\x1b[31mred')",
        code("print('  a\\tb \\x1b[2J\\r')", "answer"),
    )

    done = flowbook("run", source)

    assert not set(done.out) & set("\x1b\x07\r\u202e")
    assert "[red]x" in done.out
    assert "\n  a     b [2J\n" in done.out


def test_a_run_in_the_background_is_waited_for_after_the_last_cell(tmp_path: Path, flowbook: Command) -> None:
    """The kernel's session is stood in for by a module that offers what the hidden last cell asks for."""
    session = """
import sys, threading, types
done = threading.Event()
def finish():
    show(2, final=True, late="ok")
    done.set()
session = types.ModuleType("flowbook.session")
session.session = types.SimpleNamespace(presenter=None)
session.drain = lambda: (threading.Timer(0.2, finish).start(), done.wait())[1]
sys.modules["flowbook.session"] = session
show(1, late="running")
"""
    source = make_notebook(tmp_path / "a.ipynb", TRACE_HELPERS, session)

    done = flowbook("run", source)

    assert "✓ late" in done.out
    executed = read_notebook(tmp_path / "a.out.ipynb")
    shown = executed.cells[1].outputs[0].data["application/vnd.flowbook.trace+json"]
    assert (shown["seq"], shown["final"]) == (2, True)
    assert len(executed.cells) == 2


def test_the_kernel_works_in_the_notebooks_folder_with_this_python(tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(tmp_path / "a.ipynb", "import os, sys\nprint(os.getcwd())\nprint(sys.prefix)")

    flowbook("run", source, "-o", tmp_path / "b.ipynb")

    import sys

    printed = stdout_of(read_notebook(tmp_path / "b.ipynb").cells[0])
    assert printed.split("\n")[:2] == [str(tmp_path), sys.prefix]


def test_in_place_writes_over_the_notebook_and_nothing_else(tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(tmp_path / "a.ipynb", "print('now')")
    source.chmod(0o640)

    done = flowbook("run", source, "--inplace")

    assert done.code == 0
    assert stdout_of(read_notebook(source).cells[0]) == "now\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.ipynb"]
    assert source.stat().st_mode & 0o777 == 0o640


def test_a_kernel_that_dies_exits_3_and_what_ran_before_is_kept(tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(tmp_path / "a.ipynb", "print('before')", "import os\nos._exit(7)", "print('after')")

    done = flowbook("run", source)

    assert done.code == 3
    assert "kernel died (exit code 7)" in done.out
    cells = read_notebook(tmp_path / "a.out.ipynb").cells
    assert stdout_of(cells[0]) == "before\n"
    assert error_names(cells) == ["DeadKernelError"]
    assert cells[2].outputs == []


def test_a_run_that_takes_too_long_exits_4_after_the_cell_cleaned_up(tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(
        tmp_path / "a.ipynb",
        "import time\ntry:\n    time.sleep(60)\nfinally:\n    print('cleaned up')",
        "print('never')",
    )

    done = flowbook("run", source, "--timeout", "6")

    assert done.code == 4
    cells = read_notebook(tmp_path / "a.out.ipynb").cells
    assert stdout_of(cells[0]) == "cleaned up\n"
    assert cells[1].outputs == []


@pytest.mark.parametrize("number", ["0", "-1", "soon", "nan", "inf"])
def test_a_timeout_is_a_number_of_seconds_above_0(number: str, tmp_path: Path, flowbook: Command) -> None:
    done = flowbook("run", tmp_path / "a.ipynb", f"--timeout={number}")

    assert done.code == 2
    assert "is not a number of seconds above 0" in done.err
