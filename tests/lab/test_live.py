"""With a kernel the same outputs are live: they say what is so now, can be worked with, and store what they show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from nbformat import v4

from flowbook.canvas.protocol import NODE_MIME, TRACE_MIME
from tests.lab.lab_server import OLDER_KERNEL, install_older_kernel
from tests.lab.live_notebook import ask, begin_cell, canvas_of, card, execute, strip, wait_for_rest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator

    from tests.lab.lab_page import LabPage, OpenNotebook

CELLS = (
    "%load_ext flowbook\nimport time\nfrom typing import Annotated\nimport flowbook as fb\nflow = fb.flow('lab')",
    "@flow.node\ndef source(count: Annotated[int, fb.Setting(min=0, max=50)] = 10) -> list:\n"
    "    return list(range(count))",
    "@flow.node\ndef slow(source: list, delay_s: float = 0.0) -> list:\n"
    "    end = time.monotonic() + delay_s\n"
    "    while time.monotonic() < end:\n        time.sleep(0.02)\n"
    "    return source",
    "%%node total\ntotal = sum(slow)",
    "@flow.node\ndef apart(pause: int = 1) -> int:\n    return pause",
    "run = await flow.run()",
    "flow",
)
SOURCE, SLOW, TOTAL, APART, RUN, FLOW = range(1, 7)


def cells() -> list[Any]:
    return [v4.new_code_cell(source) for source in CELLS]


def node(notebook: OpenNotebook, name: str) -> Locator:
    """A card of the canvas in the last cell."""
    return card(notebook, FLOW, name)


def open_live(lab: LabPage, kernel: str = "python3") -> OpenNotebook:
    """Open a notebook and run all of it."""
    notebook = lab.open(cells(), kernel=kernel)
    notebook.run()
    canvas_of(notebook, FLOW)
    return notebook


@pytest.fixture
def live(lab: LabPage) -> Iterator[OpenNotebook]:
    """A notebook that was run, whose canvas is live."""
    yield open_live(lab)
    assert lab.own_complaints == []


def test_run_all_makes_the_outputs_live(live: OpenNotebook) -> None:
    assert node(live, "apart").locator(".fb-pill").inner_text() == "live"
    assert node(live, "total").locator(".fb-pill").inner_text() == "cached", "the node's own cell had run it"
    assert strip(live, TOTAL).locator(".fb-pill").inner_text() == "cached"
    assert live.cell(TOTAL).locator(".fb-value").inner_text() == "45"
    assert live.cell(FLOW).locator(".fb-summary").inner_text().startswith("run ")


def test_what_is_saved_never_says_live_and_needs_no_saving_again(live: OpenNotebook) -> None:
    wait_for_rest(live)  # outputs are told once nothing moves any more
    saved = live.save()
    bundles = [output["data"] for cell in saved.cells for output in cell.outputs if "data" in output]
    assert len(bundles) == 6
    assert '"live"' not in str([[data.get(NODE_MIME), data.get(TRACE_MIME)] for data in bundles]).replace("'", '"')
    execute(live, "flow['source'].settings['count'] = 12")
    node(live, "total").locator(".fb-pill:text-is('stale')").wait_for()
    strip(live, TOTAL).locator(".fb-pill:text-is('stale')").wait_for()
    wait_for_rest(live)
    assert live.save().cells[TOTAL].outputs == saved.cells[TOTAL].outputs, "stamps change in the view only"
    wait_for_rest(live)
    assert not live.is_dirty, "stamps and their reasons change in the view only"


def test_a_moved_slider_runs_what_is_below_and_updates_cells_in_place(live: OpenNotebook) -> None:
    kept = strip(live, TOTAL).element_handle()
    slider = node(live, "source").locator("input[type=range]")
    slider.focus()
    live.page.keyboard.press("ArrowRight")
    live.cell(TOTAL).locator(".fb-value :text-is('55')").wait_for()
    assert node(live, "source").locator(".fb-setting-value").inner_text() == "11"
    assert kept is not None
    assert kept.evaluate("strip => strip.isConnected"), "it changed in place"
    spans = live.cell(FLOW).locator(".fb-trace .fb-span")
    spans.first.wait_for()
    assert spans.count() == 3, "the run of no cell is shown below the canvas: what depends on the setting, and no more"
    wait_for_rest(live)
    outputs = live.save().cells[TOTAL].outputs
    assert outputs[0]["data"][NODE_MIME]["status"] == "ok"
    assert "55" in outputs[0]["data"]["text/plain"], "what is saved is what is shown"


def test_keys_pressed_on_a_control_stay_with_it(live: OpenNotebook) -> None:
    live.evaluate("async (panel) => { panel.content.activeCellIndex = 0; panel.content.mode = 'command'; }")
    slider = strip(live, SOURCE).locator("input[type=range]")
    live.page.keyboard.press("Escape")
    for key in ("d", "d", "ArrowRight"):
        slider.press(key)
    live.cell(TOTAL).locator(".fb-value :text-is('55')").wait_for()
    assert live.evaluate("async (panel) => panel.content.widgets.length") == len(CELLS)


def test_one_can_save_from_anywhere(live: OpenNotebook) -> None:
    wait_for_rest(live)
    for place in (strip(live, SOURCE).locator("input[type=range]"), live.cell(FLOW).locator(".fb-surface")):
        live.evaluate("async (panel) => { panel.context.model.dirty = true; }")
        place.press("Control+s")
        live.page.wait_for_function("![...jupyterapp.shell.widgets('main')].some(each => each.context?.model.dirty)")


def test_status_moves_while_a_run_goes_on(live: OpenNotebook) -> None:
    delay = node(live, "slow").locator("input[type=number]")
    delay.fill("1.5")
    delay.press("Enter")
    node(live, "slow").locator('.fb-icon[data-fb-icon="arc"]').wait_for()
    assert node(live, "source").get_attribute("data-fb-status") == "ok"
    node(live, "total").locator(".fb-pill:text-is('live')").wait_for()


@pytest.mark.parametrize("kernel", ["python3", OLDER_KERNEL])
def test_a_run_is_started_and_stopped_while_a_cell_is_blocked(lab: LabPage, kernel: str) -> None:
    if kernel == OLDER_KERNEL:
        install_older_kernel()
    live = open_live(lab, kernel)
    assert ask(live, "__import__('ipykernel').__version__")[:3] == ("7.3" if kernel == OLDER_KERNEL else "7.4")
    execute(live, "flow.set('slow', delay_s=30)")
    node(live, "slow").locator(".fb-pill:text-is('stale')").wait_for()
    blocked = begin_cell(live, "import threading\nthreading.Event().wait(60)")
    running = node(live, "slow").locator('.fb-icon[data-fb-icon="arc"]')
    toolbar = live.cell(FLOW).locator(".fb-canvas")
    toolbar.get_by_role("button", name="Run", exact=True).click()
    running.wait_for()
    toolbar.get_by_role("button", name="Stop").click()
    running.wait_for(state="detached")
    node(live, "source").locator("input[type=range]").press("ArrowRight")
    node(live, "source").locator(".fb-setting-value:text-is('11')").wait_for()
    node(live, "source").locator(".fb-pill:text-is('live')").wait_for()
    assert live.cell(blocked).locator(".jp-InputPrompt").inner_text() == "[*]:", "the cell is blocked all the while"


def test_a_kernel_that_is_killed_leaves_everything_painted_and_says_so(lab: LabPage) -> None:
    notebook = open_live(lab)
    begin_cell(notebook, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    notebook.page.locator(".jp-Dialog").get_by_role("button", name="Ok").click()
    notebook.cell(FLOW).locator('.fb-canvas:not([data-fb-connection="live"])').wait_for()
    assert notebook.cell(FLOW).locator(".fb-notice").inner_text() != ""
    for name in ("source", "slow", "total", "apart"):
        assert node(notebook, name).is_visible()
    assert notebook.cell(TOTAL).locator(".fb-value").inner_text() == "45"
    assert notebook.cell(RUN).locator(".fb-span").count() == 4
    assert notebook.page.locator(".fb-pill:text-is('live')").count() == 0
    notebook.run(*range(len(CELLS)))
    canvas_of(notebook, FLOW)
    node(notebook, "apart").locator(".fb-pill:text-is('live')").wait_for()


def test_a_kernel_that_was_ended_and_started_again_is_found(lab: LabPage) -> None:
    notebook = open_live(lab)
    notebook.evaluate("async (panel) => { await panel.sessionContext.shutdown(); }")
    notebook.cell(FLOW).locator(".fb-notice:has-text('kernel is gone')").wait_for()
    assert node(notebook, "total").is_visible()
    assert notebook.page.locator(".fb-pill:text-is('live')").count() == 0
    notebook.evaluate("async (panel) => { await panel.sessionContext.startKernel(); }")
    notebook.run(0, SOURCE, SLOW, TOTAL)
    canvas_of(notebook, FLOW)  # it was not run: the flow of that name is what it shows
    strip(notebook, TOTAL).locator(".fb-pill:text-is('live')").wait_for()


def test_a_page_that_is_loaded_again_during_a_run_sees_its_end_and_stores_it(own_page: LabPage) -> None:
    notebook = own_page.open(cells())
    notebook.run(0, 1, 2)
    notebook.evaluate(
        """async (panel, app) => {
          panel.content.model.cells.get(5).sharedModel.setSource("run = await flow.run(settings={'slow.delay_s': 5})");
          panel.content.activeCellIndex = 5;
          panel.content.deselectAll();
          void app.commands.execute('notebook:run-cell');
        }"""
    )
    notebook.cell(RUN).locator('.fb-span[data-fb-span="slow"] [data-fb-icon="arc"]').wait_for()
    notebook.save()
    own_page.load()
    notebook = own_page.open_file(notebook.file)
    row = notebook.cell(RUN).locator('.fb-span[data-fb-span="slow"]')
    row.locator('[data-fb-icon="check"]').wait_for(timeout=20_000)
    wait_for_rest(notebook)
    (output,) = notebook.save().cells[RUN].outputs
    assert output["data"][TRACE_MIME]["final"]
    assert {span["status"] for span in output["data"][TRACE_MIME]["spans"]} == {"ok"}
    notebook.close()
    notebook = own_page.open_file(notebook.file, starts_kernel=False)
    notebook.cell(RUN).locator('.fb-span[data-fb-span="slow"] [data-fb-icon="check"]').wait_for()


def test_a_cell_that_was_moved_still_shows_the_newest_value(live: OpenNotebook) -> None:
    live.evaluate(
        """async (panel, app) => {
          panel.content.activeCellIndex = 3;
          panel.content.deselectAll();
          await app.commands.execute('notebook:move-cell-down');
        }"""
    )
    live.evaluate(
        """async (panel) => {
          const kernel = panel.sessionContext.session.kernel;
          await kernel.requestExecute({code: "flow.set('source', count=4); await flow.run(); None"}).done;
        }"""
    )
    live.cell(TOTAL + 1).locator(".fb-value :text-is('6')").wait_for()
    wait_for_rest(live)
    assert "6" in live.save().cells[TOTAL + 1].outputs[0]["data"]["text/plain"]
