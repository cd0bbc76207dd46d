"""A notebook that was saved is painted without a kernel: canvas, runs and nodes, and nothing runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from nbformat import v4

from tests.canvas import samples
from tests.house.source_tree import ROOT
from tests.lab.outputs import canvas_bundle, cell, node_bundle, trace_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.lab.lab_page import LabPage, OpenNotebook

AXE = ROOT / "js" / "node_modules" / "axe-core" / "axe.min.js"
COLOURS_CHANGED = """
async () => {
  const changing = () => document.getAnimations().filter(each => each instanceof CSSTransition);
  while (changing().length) await Promise.allSettled(changing().map(each => each.finished));
}
"""
CARDS = ".fb-canvas .fb-card"


def flights_cells() -> list[Any]:
    """The flights notebook as a kernel left it."""
    flights = samples.flights()
    late = next(card for card in flights["nodes"] if card["id"] == "late_flights")
    printed = '<div class="fb-effects"><pre>reading</pre></div>'
    table = "<table><tr><th>carrier</th><th>flights</th></tr><tr><td>UA</td><td>58,665</td></tr></table>"
    return [
        v4.new_markdown_cell("# Flights that left late"),
        cell("%%flow flights\n", canvas_bundle(flights)),
        cell("await flow.run()", trace_bundle(samples.trace())),
        cell("%%node late_flights\n...", node_bundle(late, value_html=printed + table)),
        cell("@flow.node\ndef late_flights(): ...", node_bundle(late)),
    ]


@pytest.fixture
def recorded(lab: LabPage) -> OpenNotebook:
    """The flights notebook, opened without a kernel."""
    notebook = lab.open(flights_cells(), starts_kernel=False)
    lab.page.wait_for_selector(CARDS)
    return notebook


def test_a_saved_notebook_opens_painted_and_nothing_runs(lab: LabPage, recorded: OpenNotebook) -> None:
    lab.page.wait_for_selector(".fb-trace .fb-span")
    lab.page.wait_for_selector(".fb-strip")
    assert lab.page.locator(CARDS).count() == 9
    assert lab.page.locator(".fb-canvas .fb-summary").inner_text().startswith("recorded")
    assert lab.page.locator(".fb-canvas .react-flow__edge").count() == 8
    pills = lab.page.locator(".fb-pill").all_inner_texts()
    assert "recorded" in pills
    assert "live" not in pills
    assert not [url for url in lab.requests if "/api/kernels" in url and "channels" in url], "no kernel was asked"
    assert lab.own_complaints == []
    assert not recorded.is_dirty


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_every_theme_paints_it(
    lab: LabPage, recorded: OpenNotebook, theme: str, screenshot: Callable[..., object]
) -> None:
    lab.theme(theme)
    try:
        screenshot(f"recorded-{theme}")
        assert lab.page.locator(CARDS).count() == 9
    finally:
        lab.theme("light")


def test_a_node_shows_its_strip_once_and_its_value_below(lab: LabPage, recorded: OpenNotebook) -> None:
    output = recorded.cell(3).locator(".fb-output")
    output.locator(".fb-value table").wait_for()
    assert output.locator(".fb-strip").count() == 1
    assert output.get_by_text("setting 15 → 30").count() == 1, "the strip of the static page is not drawn again"
    assert "58,665" in output.locator(".fb-value table").inner_text()
    assert output.locator(".fb-value pre").inner_text() == "reading"


def test_markup_in_a_name_stays_text(lab: LabPage) -> None:
    evil = '<img src=x onerror="window.pwned=1"><b>bold</b>'
    snapshot = samples.canvas(
        [samples.card("plain", reason=evil, doc=evil)], [], flow=evil, notes=[{"text": evil, "x": 0, "y": -80}]
    )
    card = snapshot["nodes"][0]
    card["outputs"][0]["name"] = card["outputs"][0]["shape"] = evil
    card["error"] = {"code": evil, "message": evil, "hint": evil, "line": 1}
    card["preview"] = {
        "kind": "table",
        "columns": [{"name": evil, "type": evil}],
        "rows": [[evil]],
        "height": 1,
        "width": 1,
    }
    trace = samples.trace()
    trace["spans"][0]["node"] = trace["spans"][0]["reason"] = evil
    lab.open([cell("flow", canvas_bundle(snapshot), trace_bundle(trace), node_bundle(card))], starts_kernel=False)
    lab.page.wait_for_selector(".fb-trace .fb-span")
    assert lab.page.locator(".fb-root img, .fb-root b:text-is('bold')").count() == 0
    assert lab.page.locator(".fb-canvas .fb-why").inner_text().startswith("<img")
    assert lab.page.evaluate("window.pwned") is None


def _paint_a_thousand_nodes(lab: LabPage) -> tuple[int, float]:
    """Return how many cards are drawn, and how long it took, milliseconds."""
    lab.open([cell("flow", canvas_bundle(samples.random_flow(1000)))], starts_kernel=False)
    lab.page.wait_for_selector(CARDS)
    lab.close_all()
    notebook = lab.open([cell("flow")], starts_kernel=False)
    took_ms = notebook.evaluate(
        """async (panel, app, data) => {
          const began = performance.now();
          panel.content.widgets[0].model.outputs.add({output_type: 'display_data', data, metadata: {}});
          while (!panel.node.querySelector('.fb-canvas .fb-card')) await new Promise(requestAnimationFrame);
          await new Promise(requestAnimationFrame);
          return performance.now() - began;
        }""",
        canvas_bundle(samples.random_flow(1000)),
    )
    return lab.page.locator(CARDS).count(), float(took_ms)


def test_of_a_thousand_nodes_only_those_in_view_are_drawn(lab: LabPage) -> None:
    shown, _ = _paint_a_thousand_nodes(lab)
    assert 0 < shown < 200


@pytest.mark.soak  # a time, which a busy machine can spoil
def test_a_thousand_nodes_are_painted_within_a_second(lab: LabPage) -> None:
    shown, took_ms = _paint_a_thousand_nodes(lab)
    assert took_ms < 1000, f"{shown} cards painted"


def test_keys_pressed_on_the_canvas_do_not_reach_the_notebook(lab: LabPage, recorded: OpenNotebook) -> None:
    count = recorded.evaluate("async (panel) => panel.content.widgets.length")
    recorded.cell(1).locator(".react-flow__pane").click(position={"x": 400, "y": 330})
    for key in ("d", "d", "a", "x", "Enter"):
        lab.page.keyboard.press(key)
    recorded.cell(1).locator(".fb-card").first.click()
    for key in ("d", "d", "b"):
        lab.page.keyboard.press(key)
    assert recorded.evaluate("async (panel) => panel.content.widgets.length") == count
    assert recorded.evaluate("async (panel) => panel.content.mode") == "command"


def test_keys_would_reach_the_notebook_if_the_canvas_let_them(lab: LabPage, recorded: OpenNotebook) -> None:
    """The rule above is able to fail."""
    count = recorded.evaluate("async (panel) => panel.content.widgets.length")
    recorded.evaluate("async (panel) => { panel.content.activeCellIndex = 0; panel.content.activate(); }")
    for key in ("d", "d"):
        lab.page.keyboard.press(key)
    assert recorded.evaluate("async (panel) => panel.content.widgets.length") == count - 1


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_every_text_on_the_canvas_is_readable(lab: LabPage, recorded: OpenNotebook, theme: str) -> None:
    """WCAG 2.2 AA: a contrast of 4.5:1, measured by axe; and no other serious fault."""
    lab.page.wait_for_selector(".fb-strip")
    lab.theme(theme)
    try:
        lab.page.evaluate(COLOURS_CHANGED)
        lab.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = lab.page.evaluate("async () => (await axe.run('.jp-Notebook .fb-root')).violations")
    finally:
        lab.theme("light")
    serious = [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
    assert serious == []
