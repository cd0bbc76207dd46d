"""What the pointer does: select, move, connect, add, delete, rename, set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.page.canvas_page import CanvasPage

GROUND = (760.0, 440.0)


def test_a_press_selects_and_shift_adds(canvas: CanvasPage) -> None:
    canvas.select("late")
    assert canvas.selected == ["late"]
    canvas.select("flights", "weather")
    assert canvas.selected == ["flights", "weather"]
    canvas.page.mouse.click(*GROUND)
    assert canvas.selected == []


def test_a_lasso_selects_what_it_touches(canvas: CanvasPage) -> None:
    canvas.page.keyboard.down("Shift")
    canvas.drag((45.0, 110.0), (300.0, 300.0))
    canvas.page.keyboard.up("Shift")
    assert sorted(canvas.selected) == ["flights", "weather"]


def test_a_finished_drag_is_one_message_on_the_grid(canvas: CanvasPage) -> None:
    canvas.drag_by(canvas.card("chart").locator(".fb-icon").first, -60, 138)
    assert canvas.asked() == [{"kind": "edit", "ops": [{"op": "move", "node": "chart", "x": 780, "y": 140}]}]
    assert canvas.place("chart") == (780, 140)


def test_selected_cards_are_dragged_together(canvas: CanvasPage) -> None:
    canvas.select("flights", "weather")
    canvas.drag_by(canvas.card("weather").locator(".fb-icon").first, 0, 40)
    [message] = canvas.asked()
    assert [(op["node"], op["y"]) for op in message["ops"]] == [("flights", 40), ("weather", 180)]


def test_an_edge_is_drawn_from_port_to_port(canvas: CanvasPage) -> None:
    canvas.drag(canvas.port("title", "out", "title"), canvas.port("chart", "in", "caption"))
    ends = {"source": "title", "sourcePort": "title", "target": "chart", "targetPort": "caption"}
    assert canvas.asked() == [{"kind": "edit", "ops": [{"op": "connect", **ends}]}]
    assert "title.title→chart.caption" in canvas.edges


def test_while_an_edge_is_drawn_ports_say_whether_it_fits(canvas: CanvasPage, screenshot: Callable[..., None]) -> None:
    refused = canvas.port("late", "in", "flights")
    canvas.drag(canvas.port("title", "out", "title"), GROUND, refused, drop=False)
    expect(canvas.port("chart", "in", "caption")).to_have_attribute("data-fb-link", "open")
    expect(canvas.port("late", "in", "note")).to_have_count(0)  # only settings that a card shows
    expect(canvas.port("late", "in", "sort")).to_have_attribute("data-fb-link", "open")
    expect(refused).to_have_attribute("data-fb-link", "closed")
    expect(canvas.page.locator(".fb-link-why")).to_have_text("a text is not a table")
    screenshot(canvas, "drawing-an-edge")
    canvas.page.mouse.up()
    expect(canvas.notice).to_have_text("a text is not a table")
    assert canvas.asked() == []
    expect(refused).not_to_have_attribute("data-fb-link", "closed")


def test_a_loop_is_refused_with_its_path(canvas: CanvasPage) -> None:
    canvas.drag(canvas.port("with_weather", "out", "result"), canvas.port("late", "in", "flights"))
    expect(canvas.notice).to_have_text("that would be a loop: late → with_weather → late")


def test_what_the_kernel_refuses_is_taken_back_with_its_words(canvas: CanvasPage) -> None:
    before = canvas.edges
    canvas.page.evaluate("() => { window.kernel.refusal = 'weather is locked'; }")
    canvas.drag(canvas.port("weather", "out", "result"), canvas.port("late", "in", "flights"))
    expect(canvas.notice).to_contain_text("weather is locked")
    assert canvas.edges == before
    canvas.press("Control+z")
    expect(canvas.notice).to_contain_text("weather is locked")


def test_an_edge_dropped_on_a_card_takes_its_only_fitting_port(canvas: CanvasPage) -> None:
    canvas.drag(canvas.port("weather", "out", "result"), canvas.card("title").locator(".fb-card-foot"))
    expect(canvas.notice).to_have_text("a table is not a text")
    canvas.drag(canvas.port("weather", "out", "result"), canvas.card("late").locator(".fb-card-foot"))
    assert "weather.result→late.flights" in canvas.edges


def test_an_edge_dropped_on_the_ground_adds_a_node_that_fits(
    canvas: CanvasPage, screenshot: Callable[..., None]
) -> None:
    canvas.drag(canvas.port("late", "out", "result"), GROUND)
    options = canvas.lines
    expect(options).to_have_count(1)  # neither table.read nor value takes a table
    expect(options).to_contain_text("table.filter")
    screenshot(canvas, "add-node")
    canvas.press("Enter")
    [message] = canvas.asked()
    assert [op["op"] for op in message["ops"]] == ["add", "connect"]
    assert "like" not in message["ops"][0]
    assert message["ops"][1]["targetPort"] == "table"
    assert canvas.selected == ["filter"]
    assert canvas.nodes[-1] == "filter"


def test_an_end_of_an_edge_is_led_elsewhere_or_dropped(canvas: CanvasPage) -> None:
    canvas.drag(
        canvas.edge("weather", "with_weather").locator(".react-flow__edgeupdater-target"),
        canvas.port("chart", "in", "with_weather"),
    )
    assert canvas.edges.count("weather.result→chart.with_weather") == 1
    assert "weather.result→with_weather.weather" not in canvas.edges
    canvas.drag(canvas.edge("weather", "chart").locator(".react-flow__edgeupdater-target"), GROUND)
    assert "weather.result→chart.with_weather" not in canvas.edges


def test_escape_ends_the_drawing_of_an_edge(canvas: CanvasPage) -> None:
    canvas.drag(canvas.port("late", "out", "result"), GROUND, drop=False)
    canvas.press("Escape")
    canvas.page.mouse.move(700, 420)
    canvas.page.mouse.up()
    expect(canvas.lines).to_have_count(0)
    expect(canvas.page.locator(".fb-edge-drawn")).to_have_count(0)


def test_a_press_on_a_port_lists_what_it_connects_to(canvas: CanvasPage, screenshot: Callable[..., None]) -> None:
    canvas.port("title", "out", "title").click()
    expect(canvas.lines.first).to_contain_text("chart.caption")
    canvas.page.keyboard.type("cap")
    screenshot(canvas, "connect")
    canvas.press("Enter")
    assert "title.title→chart.caption" in canvas.edges


def test_a_double_press_on_the_ground_adds_a_node_there(canvas: CanvasPage) -> None:
    canvas.page.mouse.dblclick(*GROUND)
    canvas.page.keyboard.type("rea")
    canvas.press("Enter")
    [message] = canvas.asked()
    [add] = message["ops"]
    assert (add["typeId"], add["node"]) == ("table.read", "read")
    assert add["x"] % 20 == 0
    assert add["y"] % 20 == 0


def test_deleting_an_edge_that_follows_from_names_stores_a_cut(canvas: CanvasPage) -> None:
    canvas.press_edge("flights", "late")
    canvas.press("Delete")
    assert canvas.document()["cuts"] == [{"source": "flights", "target": "late", "targetPort": "flights"}]
    canvas.press("Control+z")
    assert canvas.document()["cuts"] == []
    assert "(flights.result→late.flights)" in canvas.edges


def test_a_name_is_written_over_by_a_double_press(canvas: CanvasPage) -> None:
    canvas.card("late").locator(".fb-card-name").dblclick()
    field = canvas.page.locator(".fb-name-field")
    field.fill("2late")
    canvas.press("Enter")
    expect(canvas.notice).to_contain_text("cannot name a node")
    field.fill("flights")
    canvas.press("Enter")
    expect(canvas.notice).to_contain_text("already")
    field.fill("very_late")
    canvas.press("Enter")
    assert canvas.asked() == [{"kind": "edit", "ops": [{"op": "rename", "node": "late", "to": "very_late"}]}]
    assert canvas.selected == ["very_late"]
    canvas.press("Control+z")
    assert "late" in canvas.nodes


def test_a_value_of_the_notebook_is_drawn_but_not_edited(canvas: CanvasPage) -> None:
    canvas.select("→ path")
    canvas.press("Delete")
    expect(canvas.notice).to_contain_text("belongs to the notebook")
    before = canvas.place("→ path")
    canvas.drag_by(canvas.card("→ path").locator(".fb-icon").first, 60, 0)
    assert canvas.place("→ path") == before
    assert canvas.asked() == []


def test_a_slider_is_live_while_it_is_dragged_and_one_step_of_undo(canvas: CanvasPage) -> None:
    slider = canvas.control("late", "min_minutes")
    box = slider.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    canvas.drag((box["x"] + 12, y), (box["x"] + 30, y), (box["x"] + box["width"] - 1, y))
    messages = canvas.asked()
    assert len(messages) > 1
    assert {message["kind"] for message in messages} == {"set"}
    assert messages[-1] == {"kind": "set", "node": "late", "name": "min_minutes", "value": 120}
    assert canvas.value("late", "min_minutes") == 120
    canvas.press("Control+z")
    assert canvas.asked() == [{"kind": "set", "node": "late", "name": "min_minutes", "value": 15}]
    canvas.press("Control+y")
    assert canvas.value("late", "min_minutes") == 120


def test_every_control_sets_its_value(canvas: CanvasPage) -> None:
    canvas.control("late", "limit").fill("25")
    canvas.press("Enter")
    canvas.control("late", "sort").select_option(label="late")
    canvas.control("late", "top_only").check()
    canvas.page.get_by_role("button", name="and 2 more settings").click()
    inspector = canvas.page.locator(".fb-inspector")
    inspector.get_by_label("note").fill("why")
    canvas.press("Enter")
    inspector.get_by_label("since").fill("2026-02-03")
    inspector.get_by_label("since").press("Enter")
    values = {message["name"]: message["value"] for message in canvas.asked()}
    assert values == {"limit": 25, "sort": "late", "top_only": True, "note": "why", "since": "2026-02-03"}


def test_a_value_that_does_not_fit_says_what_would(canvas: CanvasPage) -> None:
    canvas.control("late", "limit").fill("5000")
    canvas.press("Enter")
    expect(canvas.notice).to_have_text("limit takes a number from 1 to 1000")
    assert canvas.asked() == []
    canvas.press("Escape")
    expect(canvas.control("late", "limit")).to_have_value("10")


def test_a_refused_value_goes_back_with_the_reason(canvas: CanvasPage) -> None:
    canvas.page.evaluate("() => { window.kernel.refusal = 'late is locked'; }")
    canvas.control("late", "sort").select_option(label="late")
    expect(canvas.notice).to_contain_text("late is locked")
    assert canvas.value("late", "sort") == "delay"


def test_the_other_button_opens_a_menu_about_what_is_below(canvas: CanvasPage, screenshot: Callable[..., None]) -> None:
    canvas.card("late").locator(".fb-icon").first.click(button="right")
    assert canvas.selected == ["late"]
    items = canvas.page.get_by_role("menuitem")
    expect(items.first).to_have_text("Run to hereShift+Enter")
    screenshot(canvas, "menu")
    canvas.page.get_by_role("menuitem", name="Mute").click()
    assert canvas.asked() == [{"kind": "edit", "ops": [{"op": "policy", "node": "late", "policy": {"muted": True}}]}]
    canvas.page.mouse.click(*GROUND, button="right")
    expect(canvas.page.get_by_role("menuitem", name="Undo mute late")).to_be_visible()


def test_the_toolbar_runs_lays_out_and_fits(canvas: CanvasPage) -> None:
    tools = canvas.page.get_by_role("toolbar")
    tools.get_by_role("button", name="Run", exact=True).click()
    expect(tools.get_by_role("button", name="Run stale")).to_be_disabled()
    canvas.drag_by(canvas.card("chart").locator(".fb-icon").first, 0, 100)
    tools.get_by_role("button", name="Layout").click()
    run, move, layout = canvas.asked()
    assert run == {"kind": "run", "scope": {}}
    assert move["ops"][0]["y"] == 100
    assert {op["x"] for op in layout["ops"]} == {None}
    assert canvas.place("chart") == (840, 0)
    canvas.press("Control+z")
    canvas.settle()
    assert canvas.place("chart") == (840, 100)
