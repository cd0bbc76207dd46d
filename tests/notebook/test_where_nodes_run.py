"""Nodes run beside the notebook: on threads, on the engine's loop, on the main thread, whether or not a cell waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.notebook.kernel_driver import run_headless

if TYPE_CHECKING:
    from tests.notebook.kernel_driver import Cell, Notebook


def shown_value(cell: Cell) -> str:
    return cell.shown.text.splitlines()[-1]


THREAD = "threading.current_thread() is threading.main_thread()"


def test_a_node_runs_beside_the_main_thread(notebook: Notebook) -> None:
    notebook.cell("import threading")
    assert shown_value(notebook.cell(f"%%node n\nn = {THREAD}")) == "False"


def test_a_node_that_needs_the_main_thread_has_it_while_its_cell_waits(notebook: Notebook) -> None:
    notebook.cell("import signal, threading")
    text = f"%%node n --executor main\nsignal.signal(signal.SIGUSR1, signal.SIG_DFL)\nn = {THREAD}"
    assert shown_value(notebook.cell(text)) == "True"


def test_without_it_the_error_says_what_to_type(notebook: Notebook) -> None:
    notebook.cell("import signal")
    cell = notebook.cell("%%node n\nsignal.signal(signal.SIGUSR1, signal.SIG_DFL)\nn = 1", fails=True)
    assert "--executor main" in cell.shown.text


def test_a_node_that_needs_the_main_thread_has_it_under_an_await(notebook: Notebook) -> None:
    notebook.cell("import threading")
    cell = notebook.cell(f"%%node n --define --executor main\nn = {THREAD}")
    notebook.cell(f"import flowbook as fb\nrun = await fb.flow({notebook.flow!r}).run()")
    assert notebook.ask("run['n']") is True
    assert cell.shown.node["status"] == "ok"


def test_a_node_that_needs_the_main_thread_has_it_in_a_background_run(notebook: Notebook) -> None:
    notebook.cell("import threading")
    cell = notebook.cell(f"%%node n --define --executor main\nn = {THREAD}")
    notebook.cell(f"import flowbook as fb\nrun = fb.flow({notebook.flow!r}).start()")
    notebook.until(lambda: cell.shown.node["status"] == "ok")
    assert notebook.ask("run['n']") is True
    assert notebook.cell("print('here')").printed == "here\n"


def test_async_nodes_overlap(notebook: Notebook) -> None:
    """Each waits for the other: one after the other they would never end."""
    notebook.cell("import asyncio, flowbook as fb\nhere, there = asyncio.Event(), asyncio.Event()")
    notebook.cell("%%node ping --define\nhere.set()\nawait asyncio.wait_for(there.wait(), 30)\nping = 'ping'")
    notebook.cell("%%node pong --define\nthere.set()\nawait asyncio.wait_for(here.wait(), 30)\npong = 'pong'")
    notebook.cell(f"run = await fb.flow({notebook.flow!r}).run()")
    assert notebook.ask("[run['ping'], run['pong']]") == ["ping", "pong"]


def test_await_works_in_a_node_cell_with_its_own_lines(notebook: Notebook) -> None:
    notebook.cell("import asyncio")
    assert shown_value(notebook.cell("%%node n\nn = await asyncio.sleep(0, 'slept')")) == "'slept'"
    cell = notebook.cell("%%node n\nawait asyncio.sleep(0)\nn = 1 / 0", notebook.cells[-1], fails=True)
    assert f"Cell In[{cell.execution_count}], line 3" in cell.error
    assert "flowbook" not in cell.error
    assert "/asyncio/" not in cell.error


def test_a_slow_async_node_leaves_the_notebook_free(notebook: Notebook) -> None:
    notebook.cell("import asyncio, flowbook as fb\nloops = []")
    cell = notebook.cell("""
        %%node n --define
        gate = asyncio.Event()
        loops.append((asyncio.get_running_loop(), gate))
        await gate.wait()
        n = 1
    """)
    notebook.cell(f"run = fb.flow({notebook.flow!r}).start()")
    notebook.until(lambda: cell.shown.node["status"] == "running")
    assert notebook.cell("print(1 + 1)").printed == "2\n"
    notebook.is_true("loops")
    notebook.cell("loop, gate = loops[0]\nloop.call_soon_threadsafe(gate.set)\nawait run")
    assert cell.shown.node["status"] == "ok"


def test_a_background_run_is_seen_through_without_a_cell(notebook: Notebook) -> None:
    notebook.cell("import flowbook as fb")
    a = notebook.cell("%%node a --define\na = 1")
    notebook.cell("%%node b --define\nb = a + 1")
    started = notebook.cell(f"run = fb.flow({notebook.flow!r}).start()")
    notebook.until(lambda: "ok" in started.text.splitlines()[0])
    notebook.until(lambda: a.shown.node["status"] == "ok")


def test_where_nodes_run_is_the_same_by_nbclient() -> None:
    cells = run_headless(
        [
            "import asyncio, threading\nimport flowbook as fb",
            f"%%node main_one --executor main\nmain_one = {THREAD}",
            f"%%node other --define --executor main\nother = {THREAD}",
            "run = fb.flow().start()",
            "await run\nprint(run['other'])",
            "%%node slept\nslept = await asyncio.sleep(0, 'slept')",
        ]
    )
    assert [cell.status for cell in cells] == ["ok"] * 6, [cell.error for cell in cells]
    assert shown_value(cells[1]) == "True"
    assert cells[4].printed == "True\n"
    assert cells[2].shown.node["status"] == "ok"
    assert shown_value(cells[5]) == "'slept'"


def test_a_node_in_a_process_of_its_own_reads_the_notebooks_code(notebook: Notebook) -> None:
    notebook.cell("import os\nFACTOR = 10\ndef scaled(n):\n    return n * FACTOR\nhere = os.getpid()")
    text = "%%node n --isolation process\nprint('over there')\nn = (os.getpid() == here, scaled(4))"
    cell = notebook.cell(text)
    assert shown_value(cell) == "(False, 40)"
    assert "over there" in cell.shown.text


def test_an_error_of_another_process_shows_the_cells_own_line(notebook: Notebook) -> None:
    cell = notebook.cell("%%node n --isolation process\n# a comment\nn = 1 / 0", fails=True)
    assert f"Cell In[{cell.execution_count}], line 3" in cell.error
    assert "ZeroDivisionError" in cell.error
    assert "flowbook" not in cell.error


def test_a_crash_in_another_process_leaves_the_kernel_alone(notebook: Notebook) -> None:
    cell = notebook.cell("%%node n --isolation process\nimport ctypes\nctypes.string_at(0)\nn = 1", fails=True)
    assert "SIGSEGV, in line 3" in cell.error
    assert notebook.cell("print('here')").printed == "here\n"
