"""What the canvas tells beyond cards and edges: the inside of a subflow's node, columns, dead letters."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from nbformat import v4
from playwright.sync_api import expect

from tests.lab.live_notebook import canvas_of, card, edge, execute

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from tests.lab.lab_page import LabPage, OpenNotebook

#: How long what the kernel is to do may take before it is missing.
PATIENCE_MS = 30_000
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


def top_and_bottom(place: Locator) -> tuple[float, float]:
    """Where an element begins and ends, pixels from the window's top."""
    found = place.bounding_box()
    assert found is not None
    return found["y"], found["y"] + found["height"]


def test_a_node_made_from_a_flow_is_looked_into_and_left_again(
    live: OpenNotebook, screenshot: Callable[[str], None]
) -> None:
    cell = live.cell(FLOW)
    card(live, FLOW, "clean").locator(".fb-card-foot").dblclick()
    for node in ("parse", "fill"):
        expect(inside(live, node)).to_have_attribute("data-fb-status", "ok", timeout=PATIENCE_MS)
    expect(cell.locator(".fb-trail")).to_have_text("labclean", timeout=PATIENCE_MS)
    expect(inside(live, "fill").locator("input[type=range]")).to_be_disabled(timeout=PATIENCE_MS)
    screenshot("inside")
    execute(live, 'flow.set("clean/fill", width=7)')
    expect(inside(live, "fill").locator(".fb-pill")).to_have_text("stale", timeout=PATIENCE_MS)
    cell.locator(".fb-surface").focus()  # code that was run has taken it
    live.page.keyboard.press("Escape")
    card(live, FLOW, "count").wait_for()
    expect(cell.locator(".fb-trail")).to_have_count(0, timeout=PATIENCE_MS)
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
    expect(card(live, FLOW, "clean")).to_have_count(0, timeout=PATIENCE_MS)


def test_edges_name_the_columns_they_carry_and_cards_count_dead_letters(
    live: OpenNotebook, screenshot: Callable[[str], None]
) -> None:
    line = edge(live, FLOW, "lines", "clean").locator("title")
    words = re.compile(r"^lines → clean · 2 × 2 · 0 copies\ncarrier: string\ndelay: float64$")
    expect(line).to_have_text(words, timeout=PATIENCE_MS)
    letter = card(live, FLOW, "count").get_by_text("1 dead letter")
    tip = re.compile(re.escape('fb.flow("lab").dead_letters'))
    expect(letter).to_have_attribute("title", tip, timeout=PATIENCE_MS)
    summary = live.cell(FLOW).locator(".fb-summary").get_by_text("1 dead letter")
    expect(summary).to_have_count(1, timeout=PATIENCE_MS)
    letter.scroll_into_view_if_needed()
    screenshot("letters")
    tools, card_head = live.cell(FLOW).locator(".fb-toolbar"), card(live, FLOW, "count").locator(".fb-card-head")
    end = time.monotonic() + PATIENCE_MS / 1000
    while top_and_bottom(tools)[1] > top_and_bottom(card_head)[0]:
        assert time.monotonic() < end, "a long summary lies on no card"
        live.page.wait_for_timeout(50)
    retry = card(live, FLOW, "count").get_by_role("button", name="Retry")
    expect(retry).to_be_visible(timeout=PATIENCE_MS)
    execute(live, "flow.dead_letters.drop()")
    letter.wait_for(state="detached")
