"""What the canvas says of itself: without a kernel, in every theme, to those who hear it, and of markup in names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.page.canvas_page import CanvasPage


def test_a_recording_is_looked_at_but_not_edited_and_says_why(open_canvas: Callable[..., CanvasPage]) -> None:
    canvas = open_canvas(live="0")
    before = canvas.place("late")
    canvas.drag_by(canvas.card("late").locator(".fb-icon").first, 80, 60)
    assert canvas.place("late") == before
    expect(canvas.page.get_by_role("button", name="Run", exact=True)).to_have_count(0)
    expect(canvas.control("late", "limit")).to_be_disabled()
    canvas.select("late")
    canvas.press("Delete")
    expect(canvas.notice).to_have_text("This is a recording: run a cell of the flow to work with it.")
    canvas.press("ArrowRight", "Enter")
    expect(canvas.page.get_by_role("complementary", name="About with_weather")).to_be_visible()
    canvas.press("Escape", "Tab")
    expect(canvas.lines).to_have_count(0)
    expect(canvas.notice).to_contain_text("This is a recording")


def test_without_its_kernel_a_canvas_says_so_and_undoes_what_was_not_answered(canvas: CanvasPage) -> None:
    canvas.page.evaluate("() => { window.kernel.edit = () => undefined; }")
    canvas.select("late")
    canvas.press("Delete")
    assert "late" not in canvas.nodes
    canvas.page.evaluate("() => window.store.connect('lost')")
    assert "late" in canvas.nodes
    expect(canvas.notice).to_contain_text("The kernel is gone")
    canvas.select("late")
    canvas.press("Delete")
    expect(canvas.notice).to_have_text("The kernel is gone: run a cell of the flow to go on.")
    assert "late" in canvas.nodes


def test_an_empty_flow_says_what_to_do_first(
    open_canvas: Callable[..., CanvasPage], screenshot: Callable[..., None]
) -> None:
    canvas = open_canvas(bundle="empty")
    expect(canvas.page.locator(".fb-empty")).to_contain_text("Run a %%node cell, or add a node.")
    screenshot(canvas, "empty")
    canvas.page.locator(".fb-empty").get_by_role("button", name="Add node").click()
    canvas.press("Enter")
    assert canvas.nodes == ["read"]


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
def test_axe_finds_no_fault(
    open_canvas: Callable[..., CanvasPage], screenshot: Callable[..., None], theme: str
) -> None:
    """WCAG 2.2 AA, with everything open that can be open."""
    canvas = open_canvas(theme)
    faults = canvas.faults()
    canvas.select("late")
    canvas.press("Enter")
    faults += canvas.faults()
    screenshot(canvas, f"inspector-{theme}")
    canvas.press("Escape", "c")
    faults += canvas.faults()
    canvas.press("Enter")
    screenshot(canvas, f"connect-{theme}")
    faults += canvas.faults()
    canvas.press("Escape", "?")
    faults += canvas.faults()
    canvas.press("Escape", "Shift+F10")
    screenshot(canvas, f"menu-{theme}")
    faults += canvas.faults()
    canvas.press("Escape", "F2")
    canvas.page.keyboard.type("flights")
    expect(canvas.notice).to_contain_text("already")
    faults += canvas.faults()
    screenshot(canvas, f"rename-{theme}")
    assert faults == []


def test_the_focus_goes_through_in_order(canvas: CanvasPage) -> None:
    canvas.page.mouse.click(4, 4)
    names = []
    for _ in range(6):
        canvas.press("Tab")
        names.append(
            canvas.page.evaluate("() => document.activeElement.ariaLabel ?? document.activeElement.textContent")
        )
    assert names == ["Run", "Add node", "Layout", "Fit", "More", "Flow flights: 7 nodes · not run yet"]


def test_markup_in_names_stays_text(canvas: CanvasPage) -> None:
    markup = "<img src=x onerror=document.title='hurt'>"
    canvas.page.evaluate(
        """(markup) => {
          const late = window.store.card('late');
          const settings = late.settings.map((setting) => ({ ...setting, label: markup, help: markup, value: markup }));
          const inputs = [{ ...late.inputs[0], name: markup }];
          const card = { ...late, title: markup, doc: markup, reason: markup, settings, inputs };
          window.store.update({ rev: 1, cards: [card] });
          window.store.refuse({ cid: '', code: '', message: markup, hint: markup });
        }""",
        markup,
    )
    canvas.select("late")
    canvas.press("Enter")
    expect(canvas.page.locator(".fb-inspector")).to_contain_text(markup)
    canvas.press("Escape", "c")
    expect(canvas.lines.filter(has_text=markup)).not_to_have_count(0)
    assert canvas.page.title() == "Canvas"
    expect(canvas.page.locator("img")).to_have_count(0)


def test_two_canvases_of_one_flow_share_what_can_be_undone(canvas: CanvasPage) -> None:
    canvas.page.set_viewport_size({"width": 1190, "height": 980})
    canvas.page.evaluate("() => window.openSecond()")
    second = canvas.page.locator(".fb-canvas").nth(1)
    expect(second.locator(".fb-card")).to_have_count(7)
    canvas.settle()
    canvas.select("chart")
    canvas.press("m")
    second.locator(".fb-surface").focus()
    canvas.press("Control+z")
    assert canvas.page.evaluate("() => window.store.card('chart').status") == "idle"
    source = second.locator('.fb-handle[data-nodeid="title"][data-handleid="out:title"]')
    canvas.drag(source, second.locator('.fb-handle[data-nodeid="chart"][data-handleid="in:caption"]'))
    assert "title.title→chart.caption" in canvas.edges
