"""Undo, redo and the clipboard: the document comes back as it was, results are never touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.page.canvas_page import CanvasPage

GROUND = (760.0, 440.0)

GESTURES: dict[str, Callable[[CanvasPage], object]] = {
    "delete a node": lambda canvas: canvas.select("with_weather").press("Delete"),
    "delete several": lambda canvas: canvas.select("late", "with_weather").press("Backspace"),
    "delete an edge": lambda canvas: canvas.press_edge("weather", "with_weather").press("Delete"),
    "cut an edge": lambda canvas: canvas.press_edge("late", "with_weather").press("Delete"),
    "connect over an edge that follows from names": lambda canvas: canvas.drag(
        canvas.port("weather", "out", "result"), canvas.port("late", "in", "flights")
    ),
    "make an edge that follows from names explicit": lambda canvas: canvas.drag(
        canvas.port("flights", "out", "result"), canvas.port("late", "in", "flights")
    ),
    "connect over an explicit edge": lambda canvas: canvas.drag(
        canvas.port("flights", "out", "result"), canvas.port("with_weather", "in", "weather")
    ),
    "move": lambda canvas: canvas.drag_by(canvas.card("late").locator(".fb-icon").first, 80, 60),
    "mute": lambda canvas: canvas.select("late").press("m"),
    "duplicate": lambda canvas: canvas.select("late").press("Control+d"),
    "cut nodes": lambda canvas: canvas.select("late").press("Control+x"),
    "set": lambda canvas: canvas.control("late", "top_only").check(),
    "rename": lambda canvas: canvas.select("late").press("F2").write("later").press("Enter"),
}


@pytest.mark.parametrize("gesture", GESTURES)
def test_undo_gives_the_document_back_and_redo_the_edit(canvas: CanvasPage, gesture: str) -> None:
    before, drawn = canvas.document(), (sorted(canvas.nodes), canvas.edges)
    GESTURES[gesture](canvas)
    after = canvas.document()
    assert after != before
    changed = (sorted(canvas.nodes), canvas.edges)
    canvas.page.locator(".fb-surface").focus()
    canvas.press("Control+z")
    assert canvas.document() == before
    assert (sorted(canvas.nodes), canvas.edges) == drawn
    canvas.press("Control+Shift+z")
    assert canvas.document() == after
    assert (sorted(canvas.nodes), canvas.edges) == changed
    expect(canvas.notice).to_have_count(0)


def test_a_deleted_node_comes_back_with_all_that_was_its_own(canvas: CanvasPage) -> None:
    canvas.drag_by(canvas.card("late").locator(".fb-icon").first, 0, 60)
    canvas.control("late", "sort").select_option(label="late")
    canvas.select("late")
    canvas.press("b")
    before = canvas.document()
    canvas.press("Delete", "Control+z")
    assert canvas.document() == before
    assert canvas.place("late") == (280, 60)
    assert canvas.value("late", "sort") == "late"


def test_undo_goes_back_over_many_gestures_and_a_new_one_ends_redo(canvas: CanvasPage) -> None:
    before = canvas.document()
    canvas.select("chart")
    canvas.press("m", "Control+d", "Delete")
    canvas.select("late")
    canvas.press("Delete")
    canvas.drag_by(canvas.card("title").locator(".fb-icon").first, 0, 60)
    last = canvas.document()
    for _ in range(5):
        canvas.press("Control+z")
    assert canvas.document() == before
    canvas.press("Control+z")
    expect(canvas.notice).to_have_text("There is nothing to undo.")
    for _ in range(5):
        canvas.press("Control+y")
    assert canvas.document() == last
    canvas.press("Control+z")
    canvas.select("flights")
    canvas.press("m", "Control+y")
    expect(canvas.notice).to_have_text("There is nothing to redo.")


def test_what_was_changed_elsewhere_is_not_undone_twice(canvas: CanvasPage) -> None:
    canvas.drag_by(canvas.card("late").locator(".fb-icon").first, 0, 60)
    canvas.settle()
    canvas.page.evaluate("() => window.kernel.edit('elsewhere', [{ op: 'remove', node: 'late' }])")
    canvas.page.wait_for_function("() => !window.store.card('late')")
    canvas.press("Control+z")
    expect(canvas.notice).to_contain_text("the flow has changed since")


def test_undo_leaves_results_alone(canvas: CanvasPage) -> None:
    canvas.select("late")
    canvas.press("m")
    canvas.settle()
    canvas.page.evaluate(
        "() => window.store.update({ rev: 2, cards: [{ ...window.store.card('flights'), reason: 'second run' }] })"
    )
    canvas.press("Control+z")
    assert canvas.page.evaluate("() => window.store.card('flights').stamp") == "live"


def test_copies_are_pasted_under_free_names_with_their_edges(canvas: CanvasPage) -> None:
    canvas.select("weather", "with_weather")
    canvas.press("Control+c")
    canvas.page.mouse.move(*GROUND)
    canvas.press("Control+v")
    assert canvas.nodes[-2:] == ["weather_2", "with_weather_2"]
    assert canvas.selected == ["weather_2", "with_weather_2"]
    assert "weather_2.result→with_weather_2.weather" in canvas.edges
    assert "late.result→with_weather_2.late" not in canvas.edges
    canvas.press("Control+z")
    assert "weather_2" not in canvas.nodes


def test_pasting_with_shift_keeps_the_edges_that_come_in(canvas: CanvasPage) -> None:
    canvas.page.evaluate(
        "() => window.editor.perform({ ops: [{ op: 'connect', source: 'weather', "
        "sourcePort: 'result', target: 'chart', targetPort: 'with_weather' }], label: '', why: '' })"
    )
    canvas.select("chart")
    canvas.press("Control+c", "Control+Shift+v")
    assert "weather.result→chart_2.with_weather" in canvas.edges


def test_a_text_that_holds_no_nodes_is_not_pasted(canvas: CanvasPage) -> None:
    canvas.page.locator(".fb-surface").focus()
    canvas.page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.setData('text/plain', '{"flowbook": "1"}');
          document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true }));
        }"""
    )
    expect(canvas.notice).to_have_text("There are no nodes on the clipboard.")
