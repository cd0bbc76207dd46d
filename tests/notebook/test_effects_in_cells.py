"""What nodes print, log, warn of, display and draw is shown on them, and in no cell that happens to run meanwhile."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.notebook.kernel_driver import CANVAS_MIME, NODE_MIME, TRACE_MIME, run_headless

if TYPE_CHECKING:
    from tests.notebook.kernel_driver import Notebook

IMPORTS = """
import asyncio, logging, sys, threading, warnings
import altair as alt
import matplotlib.pyplot as plt
from IPython.display import HTML, display
import flowbook as fb
together = threading.Barrier(8)
gate = threading.Event()
"""

NOISY = """
%%node n{number}
if noisy:
    together.wait(30)
    print("print-{number}")
    print("error-{number}", file=sys.stderr)
    logging.getLogger("somebody").warning("log-{number}")
    warnings.warn("warning-{number}")
    display(HTML("<b>display-{number}</b>"))
    plt.plot([1, 2])
    plt.title("figure-{number}")
    display(alt.Chart(alt.Data(values=[{{"x": 1}}]), title="chart-{number}").mark_bar().encode(x="x:Q"))
    print("last-{number}")
n{number} = {number}
"""


def strangers(notebook: Notebook, mark: int) -> list[dict[str, Any]]:
    """Messages since then that are no output of flowbook."""
    return [
        each["content"]
        for each in notebook.sent_since(mark)
        if not {CANVAS_MIME, NODE_MIME, TRACE_MIME} & set(each["content"].get("data", {}))
    ]


def numbers_in(text: str) -> set[str]:
    return set(re.findall(r"(?:print|error|log|warning|display|last)-(\d)", text))


def test_eight_nodes_at_once_keep_everything_to_themselves(notebook: Notebook) -> None:
    notebook.cell(IMPORTS + "noisy = False\nwarnings.simplefilter('always')")
    notebook.cell(f'%%flow {notebook.flow}\n{{"policy": {{"maxConcurrency": 8}}}}')
    cells = [notebook.cell(NOISY.format(number=number)) for number in range(8)]
    notebook.cell("noisy = True")
    mark = len(notebook.messages)
    run = notebook.cell(f"run = await fb.flow({notebook.flow!r}).run()")
    notebook.cell("print('a later cell')\nplt.get_fignums()")
    notebook.drain()
    found = strangers(notebook, mark)
    assert [content.get("text") or content.get("data", {}).get("text/plain") for content in found] == [
        "a later cell\n",
        "[]",
    ]

    for number, cell in enumerate(cells):
        assert numbers_in(cell.shown.text) == {str(number)}
        assert numbers_in(cell.shown.html) == {str(number)}
        assert cell.shown.html.count("<img") == 2, "the figure and the chart"
        assert "data:image/png;base64," in cell.shown.html
        assert "data:image/svg+xml;base64," in cell.shown.html
        assert (
            cell.shown.html.index(f"print-{number}")
            < cell.shown.html.index("<img")
            < cell.shown.html.rindex(f"last-{number}")
        )
    spans = run.bundles(TRACE_MIME)[0]["spans"]
    assert {span["node"] for span in spans} == {f"n{number}" for number in range(8)}
    for span in spans:
        said = "".join(log["text"] for log in span["logs"])
        assert numbers_in(said) == {span["node"][1:]}
        assert {log["stream"] for log in span["logs"]} == {"stdout", "stderr", "log", "warning", "display"}


def test_a_background_run_never_prints_into_a_later_cell(notebook: Notebook) -> None:
    notebook.cell(IMPORTS)
    shown = notebook.cell(
        "%%node n --define\ngate.wait(30)\nprint('from n')\nplt.plot([1, 2])\ndisplay('shown by n')\nn = 1"
    )
    mark = len(notebook.messages)
    started = notebook.cell(f"run = fb.flow({notebook.flow!r}).start()")
    later = notebook.cell("gate.set()\nwhile run.status == 'running': pass\nprint('from the cell')\nplt.get_fignums()")
    notebook.drain()
    assert [output.text for output in later.outputs] == ["from the cell\n", "[]"]
    assert started.printed == ""
    texts = [content["text"] for content in strangers(notebook, mark) if "text" in content]
    assert "".join(texts) == "from the cell\n"
    assert "from n" in started.bundles(TRACE_MIME)[0]["spans"][0]["logs"][0]["text"]
    assert shown.shown.node["status"] == "ok"


def test_what_a_node_prints_is_seen_while_it_runs(notebook: Notebook) -> None:
    notebook.cell(IMPORTS)
    cell = notebook.start("%%node n\nprint('half way')\ngate.wait(30)\nn = 1")
    notebook.until(lambda: bool(cell.outputs) and "half way" in cell.shown.text)
    assert cell.shown.node["status"] == "running"
    notebook.interrupt()
    notebook.finish(cell)
    notebook.cell("gate.set()")


def test_a_trace_shows_what_nodes_print_while_they_run(notebook: Notebook) -> None:
    notebook.cell(IMPORTS)
    notebook.cell("%%node n --define\nprint('half way')\ngate.wait(30)\nn = 1")
    cell = notebook.start(f"await fb.flow({notebook.flow!r}).run()")
    notebook.until(lambda: any("half way" in str(each["spans"]) for each in cell.bundles(TRACE_MIME)))
    assert cell.bundles(TRACE_MIME)[0]["status"] == "running"
    notebook.interrupt()
    notebook.finish(cell)
    notebook.cell("gate.set()")


def test_what_a_node_printed_before_it_failed_is_shown(notebook: Notebook) -> None:
    cell = notebook.cell("%%node n\nprint('so far')\nn = 1 / 0", fails=True)
    assert "so far" in cell.shown.text
    assert cell.printed == ""


def test_a_thread_that_outlives_its_node_goes_on_writing_there(notebook: Notebook) -> None:
    notebook.cell(IMPORTS)
    cell = notebook.cell("""
        %%node n
        def later():
            gate.wait(30)
            print("late")
        threading.Thread(target=later).start()
        n = 1
    """)
    assert "late" not in cell.shown.text
    other = notebook.cell("gate.set()")
    notebook.until(lambda: "late" in cell.shown.text)
    assert other.outputs == []


def test_threads_pools_and_tasks_of_a_node_belong_to_it(notebook: Notebook) -> None:
    notebook.cell(IMPORTS + "from concurrent.futures import ThreadPoolExecutor")
    cell = notebook.cell("""
        %%node n
        threading.Thread(target=print, args=("thread",)).start()
        with ThreadPoolExecutor() as pool:
            pool.submit(print, "pool").result()
        await asyncio.to_thread(print, "to_thread")
        await asyncio.create_task(asyncio.sleep(0, print("task")))
        n = 1
    """)
    assert cell.printed == ""
    assert {"thread", "pool", "to_thread", "task"} <= set(cell.shown.text.split())


def test_a_node_on_the_main_thread_keeps_its_effects_too(notebook: Notebook) -> None:
    notebook.cell(IMPORTS)
    cell = notebook.cell(
        "%%node n --executor main\nprint('printed')\nplt.plot([1, 2])\nn = threading.current_thread().name"
    )
    assert cell.printed == ""
    assert "printed" in cell.shown.text
    assert "'MainThread'" in cell.shown.text
    assert cell.shown.html.count("<img") == 1
    assert [output.kind for output in cell.outputs] == ["display_data"]


def test_a_figure_that_is_the_value_is_shown_once(notebook: Notebook) -> None:
    notebook.cell(IMPORTS)
    cell = notebook.cell("%%node figure\nfigure, axes = plt.subplots()\naxes.plot([1, 2])")
    assert cell.shown.html.count("<img") == 1
    assert "image/png" in cell.shown.data
    assert notebook.cell("plt.get_fignums()").text == "[]"


def test_the_notebooks_own_figures_are_left_alone(notebook: Notebook) -> None:
    notebook.cell(IMPORTS)
    notebook.cell("%%node n --define\nplt.plot([1, 2])\nn = 1")
    cell = notebook.cell(f"plt.figure()\nplt.plot([3, 4])\nrun = await fb.flow({notebook.flow!r}).run()")
    assert sum("image/png" in output.data for output in cell.outputs) == 1


def test_a_formatter_that_fails_or_prints_lands_on_its_node(notebook: Notebook) -> None:
    notebook.cell("""
        class Broken:
            def _repr_html_(self):
                print("formatting")
                raise ValueError("cannot be drawn")
            def __repr__(self):
                return "a broken thing"
    """)
    cell = notebook.cell("%%node n\nn = Broken()")
    assert [output.kind for output in cell.outputs] == ["display_data"]
    assert "a broken thing" in cell.shown.text
    assert "cannot be drawn" in cell.shown.text


def test_effects_are_the_same_by_nbclient() -> None:
    plain = re.sub(r".*alt\.Chart.*\n", "", NOISY).replace("together.wait(30)", "pass")
    cells = run_headless(
        [
            IMPORTS.replace("import altair as alt\n", "") + "noisy = False\nwarnings.simplefilter('always')",
            *[plain.format(number=number) for number in range(4)],
            "noisy = True",
            "run = fb.flow('main').start()",
            "print('between')",
            "await run\nprint('done')",
        ]
    )
    assert [cell.status for cell in cells] == ["ok"] * len(cells), [cell.error for cell in cells]
    assert [cell.printed for cell in cells] == [""] * 7 + ["between\n", "done\n"]
    for number, cell in enumerate(cells[1:5]):
        assert numbers_in(cell.shown.html) == {str(number)}
        assert cell.shown.html.count("<img") == 1
    assert cells[6].bundles(TRACE_MIME)[0]["final"] is True
