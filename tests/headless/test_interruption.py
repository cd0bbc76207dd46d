"""Ctrl-C at any moment: exit code 130, a whole notebook, no kernel left."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from jupyter_client.asynchronous.client import AsyncKernelClient

from flowbook.headless import execute, run
from flowbook.headless.report import Report
from tests.headless.notebooks import (
    TRACE_HELPERS,
    error_names,
    kernels_of,
    make_notebook,
    read_json,
    read_notebook,
    start_flowbook,
    stdout_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.headless.notebooks import Finished

#: A cell that cleans up, whenever it is interrupted from when it shows that it runs.
LONG_CELL = """
import time
try:
    show(1, late="ok")
    time.sleep(60)
finally:
    print("cleaned up")
"""
#: A cell that interrupts do not reach.
DEAF_CELL = """
import signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
show(1, late="ok")
time.sleep(60)
"""


def _press_ctrl_c(times: int = 1) -> None:
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGINT)


def _at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, times: int = 1) -> None:
    """Press Ctrl-C when ``owner.name`` is called for the first time, then go on with it."""
    original = getattr(owner, name)
    pressed: list[None] = []

    def interrupted(*arguments: Any, **named: Any) -> Any:
        if not pressed:
            pressed.append(None)
            _press_ctrl_c(times)
        return original(*arguments, **named)

    monkeypatch.setattr(owner, name, interrupted)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        pytest.param(run, "parse_notebook", id="while the notebook is read"),
        pytest.param(execute.FlowNotebookClient, "async_start_new_kernel", id="before the kernel starts"),
        pytest.param(AsyncKernelClient, "wait_for_ready", id="while the kernel starts"),
        pytest.param(execute.FlowNotebookClient, "process_message", id="in the first cell"),
        pytest.param(execute.FlowNotebookClient, "_close_kernel", id="while the kernel says goodbye"),
        pytest.param(run, "notebook_text", id="before the notebook is written"),
        pytest.param(os, "fsync", id="while the notebook is written"),
        pytest.param(run, "_conclude", id="after the notebook was written"),
    ],
)
def test_whenever_ctrl_c_comes_the_exit_code_is_130_and_the_notebook_is_whole(
    owner: Any, name: str, tmp_path: Path, flowbook: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_notebook(tmp_path / "a.ipynb", "print(1)", "print(2)")
    _at(monkeypatch, owner, name)

    done = flowbook("run", source)

    assert done.code == 130
    assert [cell.source for cell in read_notebook(tmp_path / "a.out.ipynb").cells] == ["print(1)", "print(2)"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ipynb", "a.out.ipynb"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "the caller's handler is back"


def test_a_second_ctrl_c_does_not_wait_for_a_cell_that_does_not_listen(
    tmp_path: Path, flowbook: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "GRACE_S", 50)
    source = make_notebook(tmp_path / "a.ipynb", TRACE_HELPERS, DEAF_CELL)
    monkeypatch.setattr(Report, "node_line", lambda *_: _press_ctrl_c(2))

    assert flowbook("run", source).code == 130
    cells = read_notebook(tmp_path / "a.out.ipynb").cells
    assert len(cells[1].outputs) == 2, "the trace it had shown, and why there is no more"
    assert error_names(cells) == ["KernelKilledError"]


def test_a_cell_that_does_not_listen_is_given_up_after_its_grace_and_killed(
    tmp_path: Path, flowbook: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execute, "GRACE_S", 0.2)
    monkeypatch.setattr(execute, "HURRIED_GOODBYE_S", 0.2)
    source = make_notebook(tmp_path / "a.ipynb", TRACE_HELPERS, DEAF_CELL)
    monkeypatch.setattr(Report, "node_line", lambda *_: _press_ctrl_c())

    assert flowbook("run", source).code == 130


def test_in_place_a_notebook_of_which_nothing_ran_keeps_its_outputs(
    tmp_path: Path, flowbook: Callable[..., Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_notebook(tmp_path / "a.ipynb", "print(1)")
    assert flowbook("run", source, "--inplace").code == 0
    before = source.read_bytes()
    _at(monkeypatch, AsyncKernelClient, "wait_for_ready")

    assert flowbook("run", source, "--inplace").code == 130
    assert source.read_bytes() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_process_lets_the_cell_clean_up_and_writes_what_there_is(
    number: signal.Signals, tmp_path: Path
) -> None:
    source = make_notebook(tmp_path / "a.ipynb", TRACE_HELPERS, LONG_CELL, "print('never')")
    process = start_flowbook("run", source, "--json", tmp_path / "result.json")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("✓ late"), "the cell runs"
    assert len(kernels_of(tmp_path)) == 1

    process.send_signal(number)
    rest, _ = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "interrupted" in rest
    cells = read_notebook(tmp_path / "a.out.ipynb").cells
    assert stdout_of(cells[1]) == "cleaned up\n"
    assert error_names(cells) == ["KeyboardInterrupt"]
    assert cells[2].outputs == []
    result = read_json(tmp_path / "result.json")
    assert (result["status"], result["exitCode"], result["cells"]["failed"]) == ("interrupted", 130, [])


def test_a_killed_command_line_takes_its_kernel_with_it(tmp_path: Path) -> None:
    """Nothing can be written then; but ipykernel ends when its parent is gone."""
    source = make_notebook(tmp_path / "a.ipynb", TRACE_HELPERS, LONG_CELL)
    process = start_flowbook("run", source)
    assert process.stdout is not None
    process.stdout.readline()
    kernels = kernels_of(tmp_path)

    process.kill()
    process.communicate()

    assert kernels
    assert psutil.wait_procs(kernels, timeout=20)[1] == []
