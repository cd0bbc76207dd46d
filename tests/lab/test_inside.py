"""What the canvas tells beyond cards and edges: the inside of a subflow's node, columns, dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from nbformat import v4
from playwright.sync_api import expect

from tests.lab.live_notebook import canvas_of, card, edge, execute

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from tests.lab.lab_page import LabPage, OpenNotebook

FLOW = 3
CELLS = (
    "%load_ext flowbook\nfrom typing import Annotated\nimport flowbook as fb\nimport polars as pl",
    'prep = fb.flow("prep")\n\n@prep.node\ndef parse(lines: pl.DataFrame) -> pl.DataFrame:\n    return lines\n\n'
    "@prep.node\ndef fill(parse: pl.DataFrame, width: Annotated[int, fb.Setting(min=0, max=9)] = 3) -> pl.DataFrame:\n"
    "    return parse.with_columns(width=width)",
    'flow = fb.flow("lab")\n\n@flow.node\ndef lines() -> pl.DataFrame:\n'
    '    return pl.DataFrame({"carrier": ["AA", "UA"], "delay": [1.5, 2.0]})\n\nflow.add(prep, "clean")\n'
    'flow.connect("lines", "clean.lines")\n\n'
    "@flow.node\ndef count(fill: pl.DataFrame) -> int:\n    return 1 // (fill.height - 2)\n\n"
    'flow.connect("clean.fill", "count.fill")\n_ = flow.run_sync(raise_errors=False)',
    "flow",
)


@pytest.fixture
def live(lab: LabPage) -> OpenNotebook:
    """A notebook whose flow uses another one, and has failed in the end."""
    notebook = lab.open([v4.new_code_cell(source) for source in CELLS])
    notebook.run()
    canvas_of(notebook, FLOW)
    return notebook


def inside(notebook: OpenNotebook, node: str) -> Locator:
    """The card of a node inside what is looked into."""
    return notebook.cell(FLOW).locator(f'.fb-canvas:has(.fb-trail) .react-flow__node[data-id="{node}"] .fb-card')


def test_a_node_made_from_a_flow_is_looked_into_and_left_again(
    live: OpenNotebook, screenshot: Callable[[str], None]
) -> None:
    cell = live.cell(FLOW)
    card(live, FLOW, "clean").locator(".fb-card-foot").dblclick()
    for node in ("parse", "fill"):
        expect(inside(live, node)).to_have_attribute("data-fb-status", "ok")
    expect(cell.locator(".fb-trail")).to_have_text("labclean")
    expect(inside(live, "fill").locator("input[type=range]")).to_be_disabled()
    screenshot("inside")
    execute(live, 'flow.set("clean/fill", width=7)')
    expect(inside(live, "fill").locator(".fb-pill")).to_have_text("stale")
    cell.locator(".fb-surface").focus()  # code that was run has taken it
    live.page.keyboard.press("Escape")
    card(live, FLOW, "count").wait_for()
    assert cell.locator(".fb-trail").count() == 0
    card(live, FLOW, "clean").locator(".fb-card-head").click()
    live.page.keyboard.press("o")
    inside(live, "parse").wait_for()
    cell.locator(".fb-trail").get_by_role("button", name="lab").click()
    card(live, FLOW, "count").wait_for()


def test_what_is_looked_into_is_left_when_its_node_goes(live: OpenNotebook) -> None:
    card(live, FLOW, "clean").locator(".fb-card-foot").dblclick()
    inside(live, "fill").wait_for()
    execute(live, 'flow.remove("clean")')
    card(live, FLOW, "count").wait_for()
    assert card(live, FLOW, "clean").count() == 0


def test_edges_name_the_columns_they_carry_and_cards_count_dead_letters(
    live: OpenNotebook, screenshot: Callable[[str], None]
) -> None:
    line = edge(live, FLOW, "lines", "clean").locator("title")
    assert line.text_content() == "lines → clean · 2 × 2 · 0 copies\ncarrier: string\ndelay: float64"
    letter = card(live, FLOW, "count").get_by_text("1 dead letter")
    tip = letter.get_attribute("title")
    assert tip is not None
    assert 'fb.flow("lab").dead_letters' in tip
    assert live.cell(FLOW).locator(".fb-summary").get_by_text("1 dead letter").count() == 1
    screenshot("letters")
    execute(live, "flow.dead_letters.drop()")
    letter.wait_for(state="detached")
