"""A node's table in a grid: any row of it, in any order, as the kernel has it now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from nbformat import v4

from tests.house.source_tree import ROOT
from tests.lab.live_notebook import canvas_of, card, execute, strip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Locator

    from tests.lab.lab_page import LabPage, OpenNotebook
    from tests.lab.lab_server import LabServer

FLIGHTS = ROOT / "notebooks" / "data" / "flights.parquet"

#: Cells of the lesson: the flow, the one that makes ``delays``, and all that ``catching_up`` needs, which reads it.
FLOW, DELAYS = 4, 11
NEEDED = (1, 2, FLOW, 5, 7, DELAYS, 26)

#: For how long the grid is looked at, every so often, until what it should show has come.
_PATIENCE_S, _PAUSE_MS = 60.0, 50.0

#: The grid of a node paints its cells: what it holds is asked for, not read off the page.
_GRID = "[...app.shell.widgets('main')].find(w => w.id.endsWith(`:${argument.node}`))?.content"
_SHOWN = f"""
async (panel, app, argument) => {{
  const {{grid, source}} = {_GRID} ?? {{}};
  if (!source) return {{isThere: false}}; // what draws it is being loaded
  const [first, end] = grid.rows;
  const column = source.columns.findIndex(({{name}}) => name === argument.column);
  const texts = [];
  for (let row = first; row < end; row++) texts.push(source.cell(row, column));
  const isThere = source.state === argument.state && texts.length > 0 && texts.every(cell => cell && !cell.isOld);
  return {{first, height: source.height, state: source.state, words: source.words,
    isThere, texts: texts.map(cell => cell?.text)}};
}}
"""


CELLS = (
    "%load_ext flowbook\nfrom typing import Annotated\nimport numpy as np\nimport polars as pl\nimport flowbook as fb\n"
    "flow = fb.flow('lab')",
    "@flow.node\ndef squares(count: Annotated[int, fb.Setting(min=1, max=90_000)] = 50_000) -> pl.DataFrame:\n"
    "    n = pl.int_range(count, eager=True)\n"
    "    return pl.DataFrame({'n': n, 'square': n**2, 'word': [f'word {i % 7}' for i in range(count)]})",
    "@flow.node\ndef field() -> np.ndarray:\n"
    "    x, y = np.meshgrid(np.linspace(-3, 3, 120), np.linspace(-2, 2, 80))\n"
    "    return np.exp(-(x**2) - y**2)",
    "@flow.node\ndef things() -> pl.DataFrame:\n"
    "    return pl.DataFrame({'list': [list(range(40))], 'thing': pl.Series([object()], dtype=pl.Object)})",
    "run = await flow.run()",
    "flow",
)
RUN, CANVAS = 4, 5


@pytest.fixture
def live(lab: LabPage) -> Iterator[OpenNotebook]:
    """A notebook with two tables and an array, which was run."""
    notebook = lab.open([v4.new_code_cell(source) for source in CELLS])
    notebook.run()
    canvas_of(notebook, CANVAS)
    card(notebook, CANVAS, "things").locator(".fb-pill:text-is('live')").wait_for()
    yield notebook
    assert lab.own_complaints == []


def shown(notebook: OpenNotebook, node: str, column: str, *, state: str = "ready") -> dict[str, Any]:
    """What stands on the screen of one column, once all of it has come."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        found: dict[str, Any] = notebook.evaluate(_SHOWN, {"node": node, "column": column, "state": state})
        if found["isThere"]:
            return found
        if time.monotonic() > end:
            pytest.fail(f"the grid of {node} never showed {column}: {found}")
        notebook.page.wait_for_timeout(_PAUSE_MS)


def stats(notebook: OpenNotebook, node: str, column: str) -> dict[str, Any]:
    """What is written above a column, once it has come."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        found: dict[str, Any] | None = notebook.evaluate(
            f"""async (panel, app, argument) => {{
              const {{source}} = {_GRID} ?? {{}};
              return source?.stats(source.columns.findIndex(({{name}}) => name === argument.column));
            }}""",
            {"node": node, "column": column},
        )
        if found:
            return found
        if time.monotonic() > end:
            pytest.fail(f"{column} of {node} was never described")
        notebook.page.wait_for_timeout(_PAUSE_MS)


def header(notebook: OpenNotebook, node: str, column: str, modifier: str | None = None) -> None:
    """Press the header of a column."""
    place = notebook.evaluate(
        f"""async (panel, app, argument) => {{
          const {{grid, source}} = {_GRID};
          const column = source.columns.findIndex(({{name}}) => name === argument.column);
          grid.scrollToColumn(column);
          const box = grid.viewport.node.getBoundingClientRect();
          return [box.x + grid.headerWidth + grid.columnOffset('body', column) - grid.scrollX + 12, box.y + 14];
        }}""",
        {"node": node, "column": column},
    )
    if modifier:
        notebook.page.keyboard.down(modifier)
    notebook.page.mouse.click(*place)
    if modifier:
        notebook.page.keyboard.up(modifier)


def bar(notebook: OpenNotebook, node: str) -> Locator:
    """What stands above the grid of a node."""
    return notebook.page.locator(f'.lm-DockPanel-widget[id$=":{node}"] .fb-table-bar')


def pasted(field: Locator, text: str) -> None:
    """What has been copied, as soon as it is on the clipboard, pasted into a field: all of it, not what is painted."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        field.fill("")
        field.press("Control+v")
        if field.input_value() == text:
            return
        if time.monotonic() > end:
            pytest.fail(f"what was copied never came: {field.input_value()!r} is on the clipboard")
        field.page.wait_for_timeout(_PAUSE_MS)


def lesson(lab_server: LabServer) -> Path:
    """The flights lesson as it is, for the whole year, beside its data."""
    data = lab_server.root / "data"
    if not data.exists():
        data.symlink_to(ROOT / "notebooks" / "data", target_is_directory=True)
    path = lab_server.root / "flights_in_a_grid.ipynb"
    path.write_text((ROOT / "notebooks" / "flights.ipynb").read_text(encoding="utf-8"), encoding="utf-8")
    return path


def test_every_flight_of_a_year_is_a_scroll_away_and_sorted_by_a_press(
    lab: LabPage, lab_server: LabServer, screenshot: Callable[..., Path | None]
) -> None:
    notebook = lab.open_file(lesson(lab_server))
    notebook.run(*NEEDED)
    canvas_of(notebook, FLOW)
    flights = pl.read_parquet(FLIGHTS)
    delays = strip(notebook, DELAYS).filter(has=notebook.page.locator("b:text-is('delays')"))
    delays.get_by_role("button", name="Open as grid").click()
    first = shown(notebook, "delays", "tailnum")
    assert first["texts"] == flights["tailnum"][: len(first["texts"])].to_list()
    bar(notebook, "delays").get_by_text(f"{flights.height:,} × 22").wait_for()  # nobody has counted a lazy table before

    row = bar(notebook, "delays").get_by_label("Go to row")
    row.fill("100,000")
    row.press("Enter")
    there = shown(notebook, "delays", "tailnum")
    assert there["first"] == 100_000
    assert there["texts"] == flights["tailnum"][100_000 : 100_000 + len(there["texts"])].to_list()

    row.fill("0")
    row.press("Enter")
    shown(notebook, "delays", "tailnum")
    header(notebook, "delays", "dep_delay")
    header(notebook, "delays", "dep_delay")
    sorted_flights = flights.sort("dep_delay", descending=True, nulls_last=True, maintain_order=True)
    latest = shown(notebook, "delays", "dep_delay")
    assert latest["texts"] == [
        f"{minutes}" for minutes in sorted_flights["dep_delay"][: len(latest["texts"])].to_list()
    ]
    assert shown(notebook, "delays", "tailnum")["texts"] == sorted_flights["tailnum"][: len(latest["texts"])].to_list()
    stats(notebook, "delays", "arr_time")
    screenshot("table-light")
    lab.theme("dark")
    notebook.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    screenshot("table-dark")
    lab.theme("light")
    assert lab.own_complaints == []


def test_a_grid_opens_from_a_card_and_follows_its_node(live: OpenNotebook) -> None:
    card(live, CANVAS, "squares").locator(".fb-card-preview").dblclick()
    assert shown(live, "squares", "square")["texts"][:3] == ["0", "1", "4"]
    bar(live, "squares").get_by_text("50,000 × 3").wait_for()
    assert live.cell(CANVAS).locator(".fb-inspector").count() == 0, "the inspector is for a single press"
    row = bar(live, "squares").get_by_label("Go to row")
    row.fill("0")
    row.press("Enter")
    grid = live.page.get_by_role("grid", name="The table of squares")
    grid.focus()
    live.page.keyboard.press("s")
    live.page.keyboard.press("s")
    bar(live, "squares").get_by_text("by n ▼").wait_for()
    live.page.keyboard.press("Tab")
    assert not grid.evaluate("grid => grid === document.activeElement"), "Tab leaves it"
    bar(live, "squares").get_by_role("button", name="by n").click()
    header(live, "squares", "n")
    header(live, "squares", "n")
    assert shown(live, "squares", "word")["texts"][0] == f"word {49_999 % 7}"

    execute(live, "flow.set('squares', count=60_000)")
    bar(live, "squares").locator(".fb-pill:text-is('stale')").wait_for()
    assert shown(live, "squares", "n")["height"] == 50_000, "stale, and said to be, and all there"
    execute(live, "run = await flow.run()")
    bar(live, "squares").get_by_text("60,000 × 3").wait_for()
    assert shown(live, "squares", "n")["texts"][0] == "59,999", "in the order that was asked for"

    execute(live, "flow.remove('squares')")
    bar(live, "squares").get_by_text("There is no node 'squares' any more").wait_for()
    assert shown(live, "squares", "n", state="gone")["texts"][0] == "59,999", "never an empty grid"


def test_arrays_nested_values_and_objects_are_told_for_what_they_are(
    live: OpenNotebook, screenshot: Callable[..., Path | None]
) -> None:
    picture = card(live, CANVAS, "field").locator("img.fb-picture")
    assert picture.evaluate(
        "async image => { await image.decode(); return [image.naturalWidth, image.naturalHeight]; }"
    ) == [120, 80]
    assert card(live, CANVAS, "field").locator(".fb-bars").bounding_box(), "a histogram stands beside it"
    card(live, CANVAS, "field").hover()
    card(live, CANVAS, "field").get_by_role("button", name="Open field as grid").click()
    facts = live.page.locator(".fb-array")
    facts.locator("dd:text-is('80 × 120')").wait_for()
    assert facts.locator("rect").count() == 20
    assert shown(live, "field", "column_0")["texts"][0].startswith("2.26032940698")
    screenshot("array-light")

    card(live, CANVAS, "things").locator(".fb-card-head").click()
    live.page.keyboard.press("t")
    assert shown(live, "things", "list")["texts"] == ["[0, 1, 2, 3, 4, 5, …]"]
    row = bar(live, "things").get_by_label("Go to row")
    row.fill("0")
    row.press("Enter")
    live.page.locator(f".fb-table-cell:text-is('{list(range(40))}')").wait_for()
    live.page.get_by_role("grid", name="The table of things").focus()
    live.page.keyboard.press("Control+c")
    pasted(row, str(list(range(40))))
    bar(live, "things").get_by_text("Column 'thing' holds Python objects").wait_for()


def test_without_a_kernel_the_first_rows_stay_painted(lab: LabPage, live: OpenNotebook) -> None:
    card(live, CANVAS, "squares").locator(".fb-card-preview").dblclick()
    before = shown(live, "squares", "square")
    live.evaluate("async (panel) => { await panel.sessionContext.shutdown(); }")
    bar(live, "squares").get_by_text("The kernel is gone").wait_for()
    assert shown(live, "squares", "square", state="gone")["texts"] == before["texts"]
    live.save()
    live.close()
    notebook = lab.open_file(live.file, starts_kernel=False)
    notebook.cell(CANVAS).locator(".react-flow__node[data-id='squares'] .fb-card-preview").dblclick()
    bar(notebook, "squares").get_by_text("the first 4 rows, as they were stored").wait_for()
    assert shown(notebook, "squares", "square", state="recorded")["texts"] == ["0", "1", "4", "9"]
