"""``flow.canvas()`` in a front end that knows ipywidgets and nothing of flowbook: live, worked with, linked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from nbformat import v4

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator

    from tests.lab.lab_page import LabPage, OpenNotebook

FLOW = (
    "%load_ext flowbook\nimport time\nfrom typing import Annotated\nimport ipywidgets as w, traitlets\n"
    "import flowbook as fb\nflow = fb.flow('widget')",
    "@flow.node\ndef source(count: Annotated[int, fb.Setting(min=0, max=50)] = 10) -> list:\n"
    "    return list(range(count))",
    "@flow.node\ndef slow(source: list, delay_s: float = 0.0) -> list:\n"
    "    end = time.monotonic() + delay_s\n"
    "    while time.monotonic() < end:\n        time.sleep(0.02)\n"
    "    return source",
    "%%node total\ntotal = sum(slow)",
)
LIVE = '.fb-canvas[data-fb-connection="live"]'
OUTPUT = ".jp-OutputArea-output"
SHOWN = len(FLOW)


def opened(lab: LabPage, *sources: str) -> OpenNotebook:
    """A notebook with the flow and further cells, run; a canvas is live in the last of them."""
    notebook = lab.open([v4.new_code_cell(source) for source in (*FLOW, *sources)])
    notebook.run()
    wait_until_live(lab, notebook, len(FLOW) + len(sources) - 1)
    return notebook


def wait_until_live(lab: LabPage, notebook: OpenNotebook, index: int) -> None:
    """Wait for a live canvas in a cell; where none comes, the failure says what is there instead."""
    from playwright.sync_api import Error

    cell = notebook.cell(index)
    try:
        cell.locator(LIVE).first.wait_for()
    except Error as error:
        shown = [output.evaluate("output => output.innerHTML.slice(0, 500)") for output in cell.locator(OUTPUT).all()]
        channels = ask(notebook, "[vars(c) for c in __import__('flowbook.session').session.session.hub._channels]")
        error.add_note(f"shown: {shown}\ncomplaints: {lab.complaints}\nchannels: {channels}")
        raise


@pytest.fixture
def live(lab: LabPage) -> Iterator[OpenNotebook]:
    """A canvas shown by its cell; at the end the page had nothing to complain of."""
    yield opened(lab, "canvas = flow.canvas(height=420)\ncanvas")
    assert lab.own_complaints == []


def card(notebook: OpenNotebook, node: str, cell: int = SHOWN) -> Locator:
    return notebook.cell(cell).locator(f'.react-flow__node[data-id="{node}"] .fb-card')


def ask(notebook: OpenNotebook, expression: str) -> Any:
    """The value of an expression in the kernel, as text."""
    return notebook.evaluate(
        """async (panel, app, expression) => {
          const future = panel.sessionContext.session.kernel.requestExecute(
            {code: '', silent: true, user_expressions: {asked: expression}}
          );
          const answer = (await future.done).content.user_expressions.asked;
          return answer.data?.['text/plain'] ?? `${answer.ename}: ${answer.evalue}`;
        }""",
        expression,
    )


def tell(notebook: OpenNotebook, code: str) -> None:
    """Run code in the kernel, in no cell."""
    notebook.evaluate(
        "async (panel, app, code) => (await panel.sessionContext.session.kernel.requestExecute({code}).done)", code
    )


def until(notebook: OpenNotebook, expression: str, value: str) -> None:
    """Wait until an expression has a value in the kernel."""
    found = None
    for _ in range(100):
        found = ask(notebook, expression)
        if found == value:
            return
        notebook.page.wait_for_timeout(50)
    pytest.fail(f"{expression} is {found}, not {value}")


def test_the_widget_is_the_canvas_as_high_as_it_was_asked_to_be(live: OpenNotebook) -> None:
    assert live.cell(SHOWN).locator(".jupyter-react-widget .fb-canvas").count() == 1
    box = live.cell(SHOWN).locator(".fb-canvas").bounding_box()
    assert box is not None
    assert box["height"] == 420
    assert live.cell(SHOWN).locator(".fb-card").count() == 3
    assert live.cell(SHOWN).locator(".react-flow__edge").count() == 2
    assert card(live, "total").locator(".fb-pill").inner_text() == "live"
    tell(live, "canvas.height = 300")
    live.page.wait_for_function("document.querySelector('.fb-canvas').getBoundingClientRect().height === 300")


def test_the_widget_runs_a_flow_and_shows_the_trace(live: OpenNotebook) -> None:
    tell(live, "flow.set('source', count=4)")
    card(live, "total").locator(".fb-pill:text-is('stale')").wait_for()
    live.cell(SHOWN).get_by_role("button", name="Run stale").click()
    card(live, "total").locator(":text-is('6')").wait_for()
    assert ask(live, "flow['total'].value") == "6"
    assert live.cell(SHOWN).locator(".fb-trace .fb-span").count() == 3


def test_a_setting_moved_on_the_widget_runs_what_is_below(live: OpenNotebook) -> None:
    card(live, "source").locator("input[type=range]").focus()
    live.page.keyboard.press("ArrowRight")
    card(live, "total").locator(":text-is('55')").wait_for()
    assert ask(live, "flow['source'].settings['count'], flow['total'].value") == "(11, 55)"


def test_a_run_is_watched_and_stopped_on_the_widget(live: OpenNotebook) -> None:
    delay = card(live, "slow").locator("input[type=number]")
    delay.fill("30")
    delay.press("Enter")
    card(live, "slow").locator('.fb-icon[data-fb-icon="arc"]').wait_for()
    live.cell(SHOWN).get_by_role("button", name="Stop").click()
    card(live, "slow").locator('.fb-icon[data-fb-icon="arc"]').wait_for(state="detached")
    until(live, "flow.last_run.status", "'cancelled'")


def test_a_flow_is_edited_on_the_widget(live: OpenNotebook) -> None:
    head = card(live, "total").locator(".fb-card-head")
    head.scroll_into_view_if_needed()
    box = head.bounding_box()
    assert box is not None
    mouse, keyboard = live.page.mouse, live.page.keyboard
    mouse.move(box["x"] + 40, box["y"] + 10)
    mouse.down()
    mouse.move(box["x"] + 60, box["y"] + 40, steps=3)
    mouse.move(box["x"] + 80, box["y"] + 70, steps=3)
    mouse.up()
    placed = "{n['id']: 'position' in n for n in flow.document()['nodes']}.get('total')"
    until(live, placed, "True")
    keyboard.press("F2")
    keyboard.press("Control+a")
    keyboard.type("sum_of_all")
    keyboard.press("Enter")
    until(live, "[n for n in ('total', 'sum_of_all') if n in flow]", "['sum_of_all']")
    card(live, "sum_of_all").wait_for()
    live.cell(SHOWN).locator(".fb-surface").press("Control+z")
    until(live, "'total' in flow", "True")
    live.cell(SHOWN).locator(".fb-surface").press("Control+z")
    until(live, placed, "False")


def test_keys_pressed_on_the_widget_do_not_reach_the_notebook(live: OpenNotebook) -> None:
    live.cell(SHOWN).locator(".fb-surface").focus()
    for key in ("d", "d", "a", "Escape"):
        live.page.keyboard.press(key)
    assert live.evaluate("async (panel) => panel.content.widgets.length") == len(FLOW) + 1


def test_two_views_of_one_widget_show_the_same_and_share_the_selection(lab: LabPage) -> None:
    notebook = opened(lab, "canvas = flow.canvas()\ncanvas", "canvas")
    card(notebook, "slow").locator(".fb-card-head").click()
    chosen = ".react-flow__node.selected[data-id=slow]"
    notebook.cell(SHOWN + 1).locator(chosen).wait_for()
    assert ask(notebook, "canvas.selected") == "'slow'"
    tell(notebook, "canvas.selected = 'total'")
    for cell in (SHOWN, SHOWN + 1):
        notebook.cell(cell).locator(".react-flow__node.selected[data-id=total]").wait_for()
    tell(notebook, "canvas.selected = None")
    notebook.cell(SHOWN).locator(".react-flow__node.selected").wait_for(state="detached")


def test_a_canvas_in_a_box_is_linked_with_the_widgets_beside_it(lab: LabPage) -> None:
    notebook = opened(
        lab,
        "canvas = flow.canvas(height=300)\n"
        "slider, tall, picked = w.IntSlider(10, max=50), w.IntSlider(300, min=200, max=500), w.Text()\n"
        "traitlets.link((slider, 'value'), (flow['source'].traits(), 'count'))\n"
        "w.jslink((tall, 'value'), (canvas, 'height'))\n"
        "traitlets.dlink((canvas, 'selected'), (picked, 'value'), lambda node: node or '')\n"
        "w.VBox([slider, tall, picked, canvas])",
    )
    cell = notebook.cell(SHOWN)
    assert cell.locator(".widget-vbox .fb-canvas").count() == 1
    count, tall = cell.locator(".widget-slider .noUi-handle").all()
    assert cell.locator(".widget-readout").first.inner_text() == "10"
    count.press("ArrowRight")  # the slider moves the setting, and the flow runs
    card(notebook, "total").locator(":text-is('55')").wait_for()
    assert card(notebook, "source").locator(".fb-setting-value").inner_text() == "11"
    card(notebook, "source").locator("input[type=range]").focus()
    notebook.page.keyboard.press("ArrowRight")  # the setting moves the slider
    cell.locator(".widget-readout:text-is('12')").wait_for()
    tall.press("ArrowRight")  # without the kernel
    notebook.page.wait_for_function("document.querySelector('.fb-canvas').getBoundingClientRect().height === 301")
    card(notebook, "slow").locator(".fb-card-head").click()
    until(notebook, "picked.value", "'slow'")
    assert lab.own_complaints == []


def test_a_closed_canvas_leaves_the_page_and_the_flow_stays(live: OpenNotebook) -> None:
    tell(live, "canvas.close()")
    live.cell(SHOWN).locator(".fb-canvas").wait_for(state="detached")
    assert ask(live, "sorted(flow)") == "['slow', 'source', 'total']"


def test_a_page_that_is_loaded_again_shows_the_canvas_live(own_page: LabPage) -> None:
    notebook = opened(own_page, "canvas = flow.canvas()\ncanvas")
    notebook.save()
    own_page.load()
    notebook = own_page.open_file(notebook.file)
    notebook.cell(SHOWN).locator(LIVE).wait_for()
    tell(notebook, "flow.set('source', count=4)")
    card(notebook, "total").locator(".fb-pill:text-is('stale')").wait_for()


def test_a_kernel_that_is_restarted_leaves_the_canvas_painted_and_says_so(lab: LabPage) -> None:
    notebook = opened(lab, "canvas = flow.canvas()\ncanvas")
    notebook.evaluate("async (panel) => { await panel.sessionContext.session.kernel.restart(); }")
    notebook.cell(SHOWN).locator(".fb-notice:has-text('kernel is gone')").wait_for()
    assert card(notebook, "total").is_visible()
    notebook.run()
    notebook.cell(SHOWN).locator(LIVE).wait_for()


def test_markup_in_names_and_values_stays_text_on_the_widget(lab: LabPage) -> None:
    evil = "<img src=x onerror='window.pwned=1'>"
    notebook = opened(lab, f"flow.add('value', 'evil', value={evil!r})\nawait flow.run()\nflow.canvas()")
    card(notebook, "evil").locator(".fb-preview, .fb-setting").first.wait_for()
    assert notebook.cell(SHOWN).locator(".fb-canvas img").count() == 0
    assert notebook.page.evaluate("window.pwned") is None


def test_a_flow_that_is_in_no_cell_says_so_and_can_be_saved(live: OpenNotebook) -> None:
    bar = live.cell(SHOWN).locator(".fb-keeper[data-fb-keeping=absent]")
    bar.wait_for()
    assert bar.locator("button").all_inner_texts() == ["Save to file", "Copy document", "×"]
    tell(live, "flow.set('source', count=4)")
    card(live, "source").locator(".fb-setting-value:text-is('4')").wait_for()
    with live.page.expect_download() as download:
        bar.get_by_role("button", name="Save to file").click()
    assert download.value.suggested_filename == "widget.flow.json"
    assert repr(download.value.path().read_text(encoding="utf-8")) == ask(live, "flow.document_text()")


def test_a_flow_in_a_cell_needs_saving_only_once_it_is_edited(lab: LabPage) -> None:
    notebook = opened(lab, "%%flow widget\n", "flow.canvas()")
    shown = notebook.cell(SHOWN + 1)
    assert shown.locator(".fb-keeper").count() == 0
    card(notebook, "source", SHOWN + 1).locator("input[type=range]").focus()
    notebook.page.keyboard.press("ArrowRight")
    shown.locator(".fb-keeper[data-fb-keeping=absent]").wait_for()
