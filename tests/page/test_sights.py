"""What is seen of a flow: states, washes, the map, views from near and from afar, and flows of a thousand nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.page.canvas_page import CanvasPage

#: The cards that are drawn and lie in the canvas as a whole.
_IN_SIGHT = """
() => {
  const frame = document.querySelector('.fb-surface').getBoundingClientRect();
  return [...document.querySelectorAll('.react-flow__node')].filter((node) => {
    const { left, top, right, bottom } = node.getBoundingClientRect();
    return left >= frame.left && top >= frame.top && right <= frame.right && bottom <= frame.bottom;
  }).map((node) => node.dataset.id).sort();
}
"""

#: Gives some cards another status; the cards whose drawing was touched by that.
_TOUCHED = """
async (ids) => {
  const touched = new Set();
  const observer = new MutationObserver((changes) => {
    for (const { target } of changes) {
      const element = target instanceof Element ? target : target.parentElement;
      touched.add(element.closest('.react-flow__node')?.dataset.id ?? element.closest('.react-flow__edge')?.dataset.id);
    }
  });
  observer.observe(document.querySelector('.react-flow__viewport'),
    { subtree: true, childList: true, attributes: true, characterData: true });
  const cards = ids.map((id) => ({ ...window.store.card(id), status: 'failed', stamp: null }));
  window.store.update({ rev: 1, cards });
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  observer.disconnect();
  return [...touched].sort();
}
"""


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
@pytest.mark.parametrize("bundle", ["gallery", "running"])
def test_every_state_can_be_read_in_every_theme(
    open_canvas: Callable[..., CanvasPage], screenshot: Callable[..., None], bundle: str, theme: str
) -> None:
    """And it is told by a word, too: colours are not for everybody."""
    canvas = open_canvas(theme, bundle=bundle)
    canvas.page.set_viewport_size({"width": 1190, "height": 1100})
    canvas.page.evaluate("() => { document.getElementById('canvas').style.height = '1000px'; }")
    expect(canvas.page.locator(".react-flow__node")).to_have_count(len(canvas.nodes))
    screenshot(canvas, f"{bundle}-{theme}")
    for status, stamp, label in canvas.page.evaluate(
        """() => [...window.store.state.cards.values()].map(({ id, status, stamp }) => [
          status, stamp, document.querySelector(`.react-flow__node[data-id="${id}"] article`).ariaLabel])"""
    ):
        assert (stamp or status) in label
    assert canvas.faults() == []


def test_nodes_that_ran_as_one_stand_on_one_wash_that_says_so(open_canvas: Callable[..., CanvasPage]) -> None:
    canvas = open_canvas(bundle="running")
    wash = canvas.page.locator(".fb-wash")
    expect(wash).to_have_count(1)
    expect(wash).to_have_text("fused · 2 nodes + scan → 1 collect")
    around = wash.bounding_box()
    assert around is not None
    for node in ("late_flights", "with_weather"):
        x, y = canvas.middle(canvas.card(node))
        assert around["x"] < x < around["x"] + around["width"]
        assert around["y"] < y < around["y"] + around["height"]


def test_a_failure_says_its_remedy_and_is_tried_again(open_canvas: Callable[..., CanvasPage]) -> None:
    canvas = open_canvas(bundle="running")
    card = canvas.card("correlate")
    expect(card.locator(".fb-failure")).to_contain_text("did you mean “wind_gust”?")
    card.get_by_role("button", name="Retry").click()
    assert canvas.page.evaluate("() => window.kernel.asked") == [{"kind": "run", "scope": {"after": ["correlate"]}}]


def test_a_press_on_a_preview_shows_the_value_with_all_columns_and_types(
    open_canvas: Callable[..., CanvasPage], screenshot: Callable[..., None]
) -> None:
    canvas = open_canvas(bundle="running")
    canvas.card("wind_effect").locator(".fb-preview").click()
    value = canvas.page.get_by_role("region", name="Value of wind_effect")
    expect(value.locator("th")).to_have_text(["windString", "lateInt64", "delayFloat64"])
    expect(canvas.page.locator(".fb-inspector")).to_contain_text("Value · 24 × 3")
    screenshot(canvas, "value")
    assert canvas.faults() == []


def test_stop_is_there_while_something_runs(open_canvas: Callable[..., CanvasPage]) -> None:
    canvas = open_canvas(bundle="running")
    canvas.page.get_by_role("button", name="Stop").click()
    canvas.page.get_by_role("button", name="Run stale 1").click()
    assert canvas.page.evaluate("() => window.kernel.asked") == [
        {"kind": "cancel"},
        {"kind": "run", "scope": {"stale": True}},
    ]


def test_fit_brings_everything_into_sight_and_f_what_is_selected(canvas: CanvasPage) -> None:
    everything = sorted(canvas.nodes)
    canvas.page.locator(".fb-surface").focus()
    canvas.press("+", "+", "+", "+")
    canvas.page.wait_for_function(f"() => ({_IN_SIGHT})().length < {len(everything)}")
    canvas.page.get_by_role("button", name="Fit", exact=True).click()
    canvas.page.wait_for_function(f"() => ({_IN_SIGHT})().length === {len(everything)}")
    canvas.page.locator(".fb-surface").focus()
    canvas.press("+", "+", "+", "+", "+")
    canvas.page.wait_for_function(f"() => ({_IN_SIGHT})().length < {len(everything)}")
    canvas.press(*["ArrowRight"] * 4, "f")
    canvas.page.wait_for_function(f"() => ({_IN_SIGHT})().includes('chart')")


def test_from_afar_cards_are_names_and_then_blocks(open_canvas: Callable[..., CanvasPage]) -> None:
    canvas = open_canvas(bundle="many")
    cards = canvas.page.locator(".fb-card")
    canvas.page.locator(".fb-surface").focus()
    expect(cards.first).to_have_attribute("data-fb-detail", "full")
    canvas.press("-", "-")
    expect(cards.first).to_have_attribute("data-fb-detail", "name")
    expect(cards.first).to_contain_text("step_")
    canvas.press(".")
    expect(cards.first).to_have_attribute("data-fb-detail", "block")


def test_the_map_leads_to_the_other_end_of_a_large_flow(open_canvas: Callable[..., CanvasPage]) -> None:
    canvas = open_canvas(bundle="many")
    before = set(canvas.page.evaluate(_IN_SIGHT))
    field = canvas.page.locator(".fb-minimap")
    box = field.bounding_box()
    assert box is not None
    canvas.drag((box["x"] + 10, box["y"] + 40), (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2))
    canvas.settle()
    assert field.bounding_box() == box  # it stays where it is
    after = set(canvas.page.evaluate(_IN_SIGHT))
    assert not before & after


def test_a_small_flow_needs_no_map(canvas: CanvasPage) -> None:
    expect(canvas.page.locator(".fb-minimap")).to_have_count(0)


def test_of_a_large_flow_only_what_is_in_sight_is_drawn(open_canvas: Callable[..., CanvasPage]) -> None:
    canvas = open_canvas(bundle="many")
    assert len(canvas.nodes) == 1000
    assert 0 < canvas.page.locator(".react-flow__node").count() < 100


def test_a_status_draws_its_own_card_anew_and_no_other(open_canvas: Callable[..., CanvasPage]) -> None:
    canvas = open_canvas(bundle="many")
    shown = canvas.page.evaluate(
        "() => [...document.querySelectorAll('.react-flow__node')].map((node) => node.dataset.id)"
        ".filter((id) => window.store.card(id).status === 'ok')"
    )
    assert len(shown) > 3
    assert canvas.page.evaluate(_TOUCHED, [*shown[:2], "step_999"]) == sorted(shown[:2])


def test_a_flow_that_was_laid_anew_stays_in_sight(canvas: CanvasPage) -> None:
    canvas.page.emulate_media(reduced_motion="reduce")
    canvas.page.get_by_role("button", name="Fit").click()  # from now on the view is the person's
    canvas.page.evaluate(
        """() => {
          const { store } = window.kernel;
          const cards = [...store.state.cards.values()].map((card) => ({ ...card, x: card.x + 9000 }));
          store.update({ rev: store.rev, cards });
        }"""
    )
    expect(canvas.card("late")).to_be_in_viewport()
