"""A flow is built, edited and run with the keys alone, and none of them reaches the page around the canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.page.canvas_page import CanvasPage


@pytest.fixture
def canvas(canvas: CanvasPage) -> CanvasPage:
    """The live flow with the focus on its ground."""
    canvas.page.locator(".fb-surface").focus()
    return canvas


def test_a_flow_is_built_and_run_without_a_pointer(open_canvas: Callable[..., CanvasPage]) -> None:
    canvas = open_canvas(bundle="empty")
    canvas.page.locator(".fb-surface").focus()
    canvas.press("Tab")
    canvas.page.keyboard.type("read")
    canvas.press("Enter", "Tab")
    canvas.page.keyboard.type("filt")
    canvas.press("Enter")
    assert canvas.nodes == ["read", "filter"]
    assert canvas.selected == ["filter"]
    canvas.press("c")
    canvas.page.keyboard.type("table")
    canvas.press("Enter")
    canvas.page.keyboard.type("read")
    canvas.press("Enter")
    assert canvas.edges == ["read.table→filter.table"]
    canvas.press("F2")
    canvas.page.keyboard.type("kept")
    canvas.press("Enter", "Control+ArrowRight", "Shift+Enter", "Control+Enter")
    messages = canvas.asked()
    assert messages[-2:] == [{"kind": "run", "scope": {"to": ["kept"]}}, {"kind": "run", "scope": {}}]
    document = canvas.document()
    assert [node["id"] for node in document["nodes"]] == ["kept", "read"]
    assert document["edges"] == ["read.table→kept.table"]


def test_arrows_go_to_the_nearest_card(canvas: CanvasPage) -> None:
    path = []
    for key in ("Right", "Right", "Right", "Right", "Down", "Left", "Left", "Down", "Up"):
        canvas.press(f"Arrow{key}")
        path += canvas.selected
    assert path == ["flights", "late", "with_weather", "chart", "title", "late", "flights", "weather", "flights"]
    canvas.press("Shift+ArrowDown")
    assert canvas.selected == ["flights", "weather"]


def test_the_card_that_is_gone_to_is_in_sight_and_named_to_those_who_hear_it(canvas: CanvasPage) -> None:
    canvas.press("+", "+", "+", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight")
    assert canvas.selected == ["chart"]
    expect(canvas.card("chart")).to_be_in_viewport()
    active = canvas.page.locator(".fb-surface").get_attribute("aria-activedescendant")
    assert canvas.page.evaluate("(id) => document.getElementById(id).getAttribute('aria-label')", active) == (
        "chart: live · first run · 30 ms"
    )


@pytest.mark.parametrize(
    ("keys", "scope"),
    [
        ("Control+Enter", {}),
        ("Shift+Enter", {"to": ["late"]}),
        ("Alt+Enter", {"after": ["late"]}),
        ("Control+Shift+Enter", {"only": ["late"], "force": True}),
    ],
)
def test_keys_run(canvas: CanvasPage, keys: str, scope: dict[str, object]) -> None:
    canvas.press("ArrowRight", "ArrowRight", keys)
    assert canvas.asked() == [{"kind": "run", "scope": scope}]


def test_space_runs_what_is_stale_and_i_twice_stops(canvas: CanvasPage) -> None:
    canvas.press(" ")
    expect(canvas.notice).to_have_text("Nothing is stale.")
    canvas.page.evaluate(
        """() => window.store.update({ rev: 1, cards: [
          { ...window.store.card('late'), stamp: 'stale' },
          { ...window.store.card('chart'), status: 'running' },
        ] })"""
    )
    expect(canvas.page.get_by_role("button", name="Run stale 1")).to_be_enabled()
    canvas.press(" ", "i", "i")
    assert canvas.page.evaluate("() => window.kernel.asked") == [
        {"kind": "run", "scope": {"stale": True}},
        {"kind": "cancel"},
    ]


def test_m_and_b_mute_and_bypass(canvas: CanvasPage) -> None:
    canvas.press("ArrowRight", "ArrowRight", "m", "b", "m")
    policies = [message["ops"][0]["policy"] for message in canvas.asked()]
    assert policies == [{"muted": True}, {"bypassed": True}, {"muted": False}]


def test_steps_of_the_grid_are_one_step_of_undo(canvas: CanvasPage) -> None:
    canvas.press("ArrowRight", "Control+ArrowDown", "Control+ArrowDown", "Control+ArrowRight")
    canvas.settle()
    assert canvas.place("flights") == (20, 40)
    canvas.press("Control+z")
    canvas.settle()
    assert canvas.place("flights") == (0, 0)
    assert canvas.document()["nodes"][2]["position"] is None


def test_nothing_that_is_pressed_reaches_the_page_around(canvas: CanvasPage) -> None:
    canvas.press(*"ddbmaxz", "ArrowRight", "Enter", "Escape", "Control+z", "Delete", "ArrowDown", "F2")
    canvas.press("Escape", "Tab", "Escape", "?", "Escape", "Control+s")
    expect(canvas.page.locator(".fb-surface")).to_be_focused()
    assert canvas.page.evaluate("() => window.leaked.filter((key) => !['Control', 'Shift', 'Alt'].includes(key))") == []


def test_fields_keep_their_own_keys(canvas: CanvasPage) -> None:
    field = canvas.control("late", "limit")
    field.click()
    canvas.press("Control+a")
    canvas.page.keyboard.type("77")
    canvas.press("Control+z")
    canvas.press("Delete")
    assert "late" in canvas.nodes
    assert canvas.asked() == []
    canvas.press("Escape", "Escape")
    expect(canvas.page.locator(".fb-surface")).to_be_focused()


def test_escape_gives_up_one_thing_after_another_and_leaves_last(canvas: CanvasPage) -> None:
    surface = canvas.page.locator(".fb-surface")
    canvas.press("ArrowRight", "Enter")
    expect(canvas.page.locator(".fb-inspector")).to_be_visible()
    canvas.press("Escape")
    expect(canvas.page.locator(".fb-inspector")).to_have_count(0)
    expect(surface).to_be_focused()
    canvas.press("Escape")
    assert canvas.selected == []
    expect(surface).to_be_focused()
    canvas.press("Escape")
    expect(surface).not_to_be_focused()
    canvas.press("Shift+Tab")
    expect(canvas.page.get_by_role("button", name="More", exact=True)).to_be_focused()


def test_enter_opens_everything_about_a_node(canvas: CanvasPage, screenshot: Callable[..., None]) -> None:
    canvas.press("ArrowRight", "ArrowRight", "Enter")
    inspector = canvas.page.get_by_role("complementary", name="About late")
    expect(inspector.get_by_label("min_minutes")).to_be_focused()
    expect(inspector.get_by_label("since")).to_be_visible()
    screenshot(canvas, "inspector")
    inspector.get_by_role("button", name="Disconnect flights").click()
    assert canvas.document()["cuts"] == [{"source": "flights", "target": "late", "targetPort": "flights"}]


def test_the_menu_key_and_the_list_of_keys(canvas: CanvasPage, screenshot: Callable[..., None]) -> None:
    canvas.press("ArrowRight", "Shift+F10")
    expect(canvas.page.get_by_role("menuitem", name="Run to here")).to_be_focused()
    canvas.press(*["ArrowDown"] * 6, "Enter")
    expect(canvas.page.locator(".fb-name-field")).to_be_focused()
    canvas.press("Escape", "?")
    screenshot(canvas, "keys")
    canvas.page.keyboard.type("fit")
    expect(canvas.lines.first).to_contain_text("Fit.")
    canvas.press("Escape")
    expect(canvas.page.locator(".fb-surface")).to_be_focused()
