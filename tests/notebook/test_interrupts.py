"""Stopping: a cell that waits for a run ends at once when it is interrupted, and a kernel answers whatever nodes do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.notebook.kernel_driver import TRACE_MIME

if TYPE_CHECKING:
    from tests.notebook.kernel_driver import Cell, Notebook

#: From the interrupt until the cell is over, seconds.
AT_ONCE_S = 1.0

POLITE = "(ctx: fb.Context)\nctx.wait(30)\n{name} = 'woken'"
#: Never looks whether it is wanted any more; the test lets it go.
DEAF = "\nimport builtins\nbuiltins.gate.wait(30)\n{name} = 'woken'"
BODIES = {"a node that looks whether it is cancelled": POLITE, "a node that never looks": DEAF}
NEW_GATE = "import builtins, threading\nimport flowbook as fb\nbuiltins.gate = threading.Event()"


def node_text(body: str, name: str, *flags: str) -> str:
    head, _, rest = body.format(name=name).partition("\n")
    return f"%%node {name}{head} {' '.join(flags)}\n{rest}"


def interrupted_s(notebook: Notebook, cell: Cell) -> float:
    """Interrupt a cell; returns how long it took to be over, seconds."""
    began = time.monotonic()
    notebook.interrupt()
    notebook.finish(cell)
    return time.monotonic() - began


def runs(cell: Cell, node: str) -> bool:
    """Whether the trace in a cell shows a node running."""
    return any(
        span["node"] == node and span["status"] == "running"
        for each in cell.bundles(TRACE_MIME)
        for span in each["spans"]
    )


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_an_interrupted_node_cell_ends_at_once_with_one_line(notebook: Notebook, body: str) -> None:
    notebook.cell(NEW_GATE)
    cell = notebook.start(node_text(body, "slow"))
    notebook.until(lambda: bool(cell.outputs) and cell.shown.node["status"] == "running")
    assert interrupted_s(notebook, cell) < AT_ONCE_S
    assert cell.error.splitlines() == [cell.error]
    assert cell.error.startswith("Interrupted: run ")
    assert notebook.cell("print('here')").printed == "here\n"
    assert cell.shown.node["status"] == ("skipped" if body is POLITE else "unresponsive")
    notebook.cell("gate.set()")


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_an_interrupted_await_ends_at_once_with_one_line(notebook: Notebook, body: str) -> None:
    notebook.cell(NEW_GATE)
    shown = notebook.cell(node_text(body, "slow", "--define"))
    cell = notebook.start(f"await fb.flow({notebook.flow!r}).run()")
    notebook.until(lambda: runs(cell, "slow"))
    assert interrupted_s(notebook, cell) < AT_ONCE_S
    assert cell.error.splitlines() == [cell.error]
    assert cell.error.startswith("Interrupted: run ")
    assert notebook.cell("print('here')").printed == "here\n"
    assert cell.bundles(TRACE_MIME)[0]["status"] == "cancelled"
    assert shown.shown.node["status"] == ("skipped" if body is POLITE else "unresponsive")
    notebook.cell("gate.set()")


def test_an_interrupted_async_node_is_cancelled(notebook: Notebook) -> None:
    cell = notebook.start("""
        %%node slow
        import asyncio
        try:
            await asyncio.sleep(30)
        finally:
            print("tidied up")
        slow = 1
    """)
    notebook.until(lambda: bool(cell.outputs) and cell.shown.node["status"] == "running")
    assert interrupted_s(notebook, cell) < AT_ONCE_S
    assert cell.error.startswith("Interrupted: run ")
    assert notebook.of_flow("last_run.trace.spans[0].effects.entries[0]") == ["stdout", "tidied up\n"]


def test_an_interrupted_run_sync_ends_at_once_with_one_line(notebook: Notebook) -> None:
    notebook.cell(NEW_GATE)
    notebook.cell(node_text(POLITE, "slow", "--define"))
    cell = notebook.start(f"fb.flow({notebook.flow!r}).run_sync()")
    notebook.until(lambda: runs(cell, "slow"))
    assert interrupted_s(notebook, cell) < AT_ONCE_S
    assert cell.error.startswith("Interrupted: run ")
    assert len(cell.error.splitlines()) == 1


def test_interrupting_who_waits_for_a_queued_run_cancels_that_run_alone(notebook: Notebook) -> None:
    notebook.cell(NEW_GATE)
    notebook.cell(node_text(DEAF, "slow", "--define"))
    notebook.cell(f"flow = fb.flow({notebook.flow!r})\nfirst = flow.start()")
    cell = notebook.start("second = flow.start()\nawait second")
    notebook.until(lambda: bool(cell.bundles(TRACE_MIME)))
    assert interrupted_s(notebook, cell) < AT_ONCE_S
    assert cell.error.startswith("Interrupted: run ")
    assert notebook.ask("[first.status, second.status]") == ["running", "cancelled"]
    assert notebook.cell("gate.set()\nawait first\nprint(first['slow'])").printed == "woken\n"


def test_what_was_not_reached_keeps_its_value(notebook: Notebook) -> None:
    notebook.cell(NEW_GATE)
    notebook.cell("wait = False")
    slow = notebook.cell("%%node slow(ctx: fb.Context)\nif wait: ctx.wait(30)\nslow = 1")
    below = notebook.cell("%%node below\nbelow = slow + 1")
    notebook.cell("wait = True")
    cell = notebook.start(f"await fb.flow({notebook.flow!r}).run()")
    notebook.until(lambda: runs(cell, "slow"))
    interrupted_s(notebook, cell)
    notebook.drain()
    assert below.shown.text.splitlines()[-1] == "2"
    assert below.shown.node["status"] == "ok"
    assert slow.shown.text.splitlines()[-1] == "1"
    notebook.cell("wait = False")
    notebook.cell(f"await fb.flow({notebook.flow!r}).run()")
    assert notebook.of_flow("stale()") == {}


def test_a_flow_runs_again_after_an_interrupt(notebook: Notebook) -> None:
    notebook.cell(NEW_GATE)
    cell = notebook.start(node_text(DEAF, "slow"))
    notebook.until(lambda: bool(cell.outputs) and cell.shown.node["status"] == "running")
    interrupted_s(notebook, cell)
    notebook.cell("%%node slow\nslow = 'quick now'", cell)
    assert cell.shown.text.splitlines()[-1] == "'quick now'"
    notebook.cell("gate.set()")
    notebook.is_true(f"not __import__('flowbook').flow({notebook.flow!r}).results.unresponsive['slow']()")
    assert notebook.of_flow("__getitem__('slow').value") == "quick now", "the late result was dropped"


def test_interrupting_a_plain_cell_is_what_it_was(notebook: Notebook) -> None:
    notebook.cell("import threading")
    cell = notebook.start("print('on', flush=True)\nthreading.Event().wait(30)")
    notebook.until(lambda: cell.printed == "on\n")
    interrupted_s(notebook, cell)
    assert "KeyboardInterrupt" in cell.error


# -- running again what runs


def test_running_the_cell_of_a_running_node_again_supersedes_at_once(notebook: Notebook) -> None:
    notebook.cell(NEW_GATE)
    cell = notebook.cell(node_text(DEAF, "slow", "--define"))
    notebook.cell(f"run = fb.flow({notebook.flow!r}).start()")
    notebook.until(lambda: cell.shown.node["status"] == "running")
    began = time.monotonic()
    notebook.cell("%%node slow\nslow = 'new'", cell)
    assert time.monotonic() - began < AT_ONCE_S
    assert cell.shown.text.splitlines()[-1] == "'new'"
    notebook.cell("gate.set()")
    notebook.is_true(f"not __import__('flowbook').flow({notebook.flow!r}).results.unresponsive['slow']()")
    notebook.drain()
    assert cell.shown.text.splitlines()[-1] == "'new'"
    assert notebook.of_flow("__getitem__('slow').value") == "new"
    assert notebook.ask("run.trace.spans[0].reason") == "superseded by a newer run"


def test_running_the_cell_of_a_running_io_node_again_waits_for_it(notebook: Notebook) -> None:
    """Two copies of what writes a file must not run at once."""
    notebook.cell(NEW_GATE)
    cell = notebook.cell(node_text(DEAF, "slow", "--define", "--kind", "io"))
    notebook.cell(f"run = fb.flow({notebook.flow!r}).start()")
    notebook.until(lambda: cell.shown.node["status"] == "running")
    notebook.start("%%node slow --kind io\nslow = 'new'", cell)
    notebook.until(lambda: bool(cell.outputs) and cell.shown.node["status"] == "queued")
    assert cell.status == "busy"
    assert "waits for the run before it to end" in cell.shown.text
    notebook.interrupt()
    notebook.finish(cell)
    assert cell.error.startswith("Interrupted: run ")
    notebook.cell("gate.set()")
    notebook.cell("%%node slow --kind io\nslow = 'new'", cell)
    assert cell.shown.text.splitlines()[-1] == "'new'"


WAITS = {
    "run_sync": "n = fb.flow(HOME).run_sync()",
    "await run": "n = await fb.flow(HOME).run()",
    "start and wait": "n = fb.flow(HOME).start().wait()",
    "another flow": "n = fb.flow('other').run_sync()",
}


@pytest.mark.parametrize("body", WAITS.values(), ids=WAITS)
def test_a_node_that_waits_for_its_own_engine_is_told_at_once(notebook: Notebook, body: str) -> None:
    notebook.cell("import flowbook as fb")
    began = time.monotonic()
    cell = notebook.cell(f"%%node n\n{body.replace('HOME', repr(notebook.flow))}", fails=True)
    assert time.monotonic() - began < AT_ONCE_S
    assert "[FB406]" in cell.error
    assert "hint" in cell.error
    assert "/flowbook/" not in cell.error
    notebook.drain()
