"""The canvas beside the notebook, in palette and toolbar; badges on cells, and the ways between cells and nodes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from nbformat import v4

from tests.canvas import samples
from tests.lab.live_notebook import canvas_of, card, drag
from tests.lab.outputs import canvas_bundle, cell, node_bundle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Locator

    from tests.lab.lab_page import LabPage, OpenNotebook

CELLS = (
    "%load_ext flowbook\nimport flowbook as fb\nflow = fb.flow('lab')",
    "%%flow lab\n",
    "@flow.node\ndef count(most: int = 3) -> list:\n    return list(range(most))",
    "%%node total\ntotal = sum(count)",
    "%%node twice\ntwice = 2 * total",
    *(f"# {line}" for line in range(30)),  # so that there is something to scroll
)
FLOW, COUNT, TOTAL, TWICE = 1, 2, 3, 4
#: How long a badge may take to find its place on a busy machine.
PATIENCE_S = 30.0
DOCKED = ".fb-docked .fb-canvas"
THREE_FRAMES = """
() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))))
"""


@pytest.fixture
def live(lab: LabPage) -> Iterator[OpenNotebook]:
    """A notebook that was run, with its canvas live."""
    notebook = lab.open([v4.new_code_cell(source) for source in CELLS])
    notebook.run(0, FLOW, COUNT, TOTAL, TWICE)
    canvas_of(notebook, FLOW)
    card(notebook, FLOW, "twice").wait_for()
    notebook.evaluate("async (panel) => { await panel.content.scrollToItem(0, 'start'); }")
    yield notebook
    lab.page.evaluate(
        """for (const widget of [...window.jupyterapp.shell.widgets('main')]) {
          if (widget.id.startsWith('flowbook')) widget.dispose();
        }"""
    )
    assert lab.own_complaints == []


def badge(notebook: OpenNotebook, index: int) -> Locator:
    """The badge of a cell."""
    return notebook.cell(index).locator(".fb-badge")


def run_command(notebook: OpenNotebook, command: str) -> None:
    notebook.evaluate("async (panel, app, command) => { await app.commands.execute(command); }", command)


def is_enabled(notebook: OpenNotebook, command: str) -> bool:
    return bool(notebook.evaluate("async (panel, app, command) => app.commands.isEnabled(command)", command))


def active_cell(notebook: OpenNotebook) -> int:
    return int(notebook.evaluate("async (panel) => panel.content.activeCellIndex"))


def test_cells_bear_the_state_of_their_nodes_and_their_neighbours(
    live: OpenNotebook, screenshot: Callable[..., object]
) -> None:
    badge(live, TOTAL).locator(".fb-pill").wait_for()
    assert badge(live, TOTAL).locator(".fb-badge-chain").inner_text() == "count → total → twice"
    assert badge(live, TWICE).locator(".fb-pill").inner_text().startswith("live")
    assert badge(live, COUNT).locator(".fb-badge-chain").inner_text() == "count → total"
    assert badge(live, FLOW).count() == 0
    screenshot("badges")


def test_a_badge_follows_the_kernel(live: OpenNotebook) -> None:
    field = card(live, FLOW, "count").locator("input[type=number]")
    retyped = "async (panel, app, text) => panel.content.model.cells.get(3).sharedModel.setSource(text)"
    live.evaluate(retyped, "%%node total\ntotal = 1")
    live.run(TOTAL)
    badge(live, TWICE).locator(".fb-pill[data-fb-ink=stale]").wait_for()
    assert badge(live, TOTAL).locator(".fb-badge-chain").inner_text() == "total → twice"
    assert field.count() == 1


@pytest.mark.parametrize(
    "body",
    ["twice = 2 * total", f"twice = 2 * total  # {'and then on and on ' * 8}", f"{'total; ' * 30}\ntwice = 2 * total"],
)
def test_a_badge_covers_nothing_that_is_written_in_its_cell(body: str, live: OpenNotebook) -> None:
    signature = "%%node twice(total: int, unused: str = 'a signature that reaches far to the right in the cell')"
    retyped = "async (panel, app, text) => panel.content.model.cells.get(4).sharedModel.setSource(text)"
    live.evaluate(retyped, f"{signature}\n{body}")
    run_command(live, "flowbook:open-canvas")
    live.page.locator(f"{DOCKED} .fb-card").first.wait_for()
    for index in (TOTAL, TWICE, COUNT):
        live.evaluate("async (panel, app, index) => { panel.content.activeCellIndex = index; }", index)
        live.page.evaluate(THREE_FRAMES)  # one to notice, one to measure, one to paint
        end = time.monotonic() + PATIENCE_S
        while covering := [cell for cell in (COUNT, TOTAL, TWICE) if covers_code(live, cell)]:
            assert time.monotonic() < end, f"code lies under the badges of {covering}"
            live.page.wait_for_timeout(50)


def covers_code(notebook: OpenNotebook, index: int) -> bool:
    covers: bool = notebook.cell(index).evaluate(
        """cell => {
          const badge = cell.querySelector('.fb-badge').getBoundingClientRect();
          return [...cell.querySelectorAll('.cm-line')].some(each => {
            const range = document.createRange();
            range.selectNodeContents(each);
            const line = range.getBoundingClientRect();
            return badge.left < line.right && badge.top < line.bottom && badge.bottom > line.top;
          });
        }"""
    )
    return covers


def test_a_badge_is_the_way_to_its_node(live: OpenNotebook) -> None:
    live.evaluate("async (panel) => { await panel.content.scrollToItem(30); }")
    badge(live, TOTAL).locator("button").evaluate("button => button.click()")
    chosen = live.cell(FLOW).locator(".react-flow__node.selected")
    chosen.wait_for()
    assert chosen.get_attribute("data-id") == "total"
    assert active_cell(live) != TOTAL, "the badge is no click on the cell"


def test_a_node_is_the_way_to_its_cell(live: OpenNotebook) -> None:
    card(live, FLOW, "twice").locator(".fb-card-head").click()
    live.page.keyboard.press("g")
    live.page.wait_for_function("document.querySelector('.fb-pointed')")
    assert active_cell(live) == TWICE
    run_command(live, "flowbook:go-to-cell")
    card(live, FLOW, "count").locator(".fb-card-head").click()
    run_command(live, "flowbook:go-to-cell")
    assert active_cell(live) == COUNT


def test_the_canvas_opens_beside_the_notebook_and_shows_the_same(
    live: OpenNotebook, screenshot: Callable[..., object]
) -> None:
    live.page.locator(".jp-Notebook-toolbar, .jp-NotebookPanel-toolbar").locator(
        '[data-command="flowbook:open-canvas"], [data-jp-item-name="flowbook-canvas"]'
    ).first.click()
    docked = live.page.locator(f"{DOCKED}[data-fb-connection=live]")
    docked.wait_for()
    assert docked.locator(".fb-card").count() == 3
    screenshot("docked")
    before = place_of(live.cell(FLOW), "count")
    drag(live, FLOW, "count", 30, 70)
    live.page.wait_for_function(
        "before => document.querySelector(\".fb-docked [data-id='count']\").style.transform !== before", arg=before
    )
    assert place_of(live.page.locator(".fb-docked"), "count") == place_of(live.cell(FLOW), "count")
    live.cell(FLOW).locator(".fb-surface").press("Control+z")
    live.page.wait_for_function(
        "before => document.querySelector(\".fb-docked [data-id='count']\").style.transform === before", arg=before
    )
    badge(live, TOTAL).locator("button").click()
    live.page.locator(".fb-docked .react-flow__node.selected[data-id=total]").wait_for()


def place_of(scope: Locator, node: str) -> str:
    transform: str = scope.locator(f'.react-flow__node[data-id="{node}"]').evaluate("node => node.style.transform")
    return transform


def test_a_canvas_is_opened_once(live: OpenNotebook) -> None:
    for _ in range(2):
        run_command(live, "flowbook:open-canvas")
    live.page.locator(DOCKED).wait_for()
    assert live.page.locator(DOCKED).count() == 1


def test_commands_do_what_the_canvas_does_and_are_in_the_palette(live: OpenNotebook) -> None:
    listed = live.evaluate("async (panel, app) => app.commands.listCommands().filter(id => id.startsWith('flowbook:'))")
    assert {"flowbook:run", "flowbook:run-stale", "flowbook:layout", "flowbook:open-canvas"} <= set(listed)
    assert not is_enabled(live, "flowbook:remove")
    card(live, FLOW, "twice").locator(".fb-card-head").click()
    assert is_enabled(live, "flowbook:remove")
    live.evaluate("async (panel, app) => { await app.commands.execute('apputils:activate-command-palette'); }")
    live.page.keyboard.type("flowbook fit")
    live.page.locator(".lm-CommandPalette-item:has-text('Fit')").first.wait_for()
    live.page.keyboard.press("Escape")


def test_in_a_notebook_without_flows_nothing_is_offered(lab: LabPage) -> None:
    notebook = lab.open([v4.new_code_cell("1 + 1")])
    assert not is_enabled(notebook, "flowbook:open-canvas")
    assert not lab.page.locator(
        '.jp-NotebookPanel:not(.lm-mod-hidden) [data-jp-item-name="flowbook-canvas"]'
    ).is_visible()
    assert lab.page.locator(".fb-badge").count() == 0


def test_badges_and_ways_are_there_without_a_kernel(lab: LabPage) -> None:
    flights = samples.flights()
    late = next(each for each in flights["nodes"] if each["id"] == "late_flights")
    flow = cell("%%flow flights\n", canvas_bundle(flights))
    notebook = lab.open([flow, cell("%%node late_flights\n...", node_bundle(late))], starts_kernel=False)
    pill = badge(notebook, 1).locator(".fb-pill")
    pill.wait_for()
    assert not pill.inner_text().startswith("live")
    assert "late_flights" in badge(notebook, 1).locator(".fb-badge-chain").inner_text()
    badge(notebook, 1).locator("button").click()
    lab.page.locator(".react-flow__node.selected[data-id=late_flights]").wait_for()
    assert not notebook.is_dirty
    assert lab.own_complaints == []


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_every_theme_has_badges_and_a_docked_canvas(
    lab: LabPage, live: OpenNotebook, theme: str, screenshot: Callable[..., object]
) -> None:
    lab.theme(theme)
    try:
        run_command(live, "flowbook:open-canvas")
        live.page.locator(f"{DOCKED} .fb-card").first.wait_for()
        assert contrast(badge(live, TOTAL).locator(".fb-badge-chain")) >= 4.5
        assert contrast(badge(live, TOTAL).locator(".fb-pill")) >= 4.5
        screenshot(f"beside-{theme}")
    finally:
        lab.theme("light")


def contrast(text: Locator) -> float:
    """How much a text stands out from what is painted under it; 4.5 is enough for small text (WCAG 2.2, 1.4.3)."""
    ratio: float = text.evaluate(
        """element => {
          const rgb = colour => {
            const canvas = new OffscreenCanvas(1, 1).getContext('2d');
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data];
          };
          const light = ([r, g, b]) => [r, g, b]
            .map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
          let ground = element;
          while (rgb(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
          const [one, other] = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor]
            .map(colour => light(rgb(colour)) + 0.05);
          return Math.max(one, other) / Math.min(one, other);
        }"""
    )
    return ratio
