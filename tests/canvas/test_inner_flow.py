"""Looking into a subflow's node: its nodes as they are there, live, and never written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import flowbook as fb
from flowbook.session import session
from tests.runtime.watching import Firings, over

if TYPE_CHECKING:
    from tests.canvas.live_kit import Browser, Live


@pytest.fixture
def firings() -> Firings:
    """Firings of the inner node ``fill``, from the second on one at a time."""
    made = Firings()
    made.let_go(1)
    return made


@pytest.fixture
def outer(live: Live, firings: Firings) -> fb.Flow:
    """``f``: ``source`` feeds the flow ``sub``, of ``parse`` and ``fill``, which feeds ``total``."""
    prep = fb.Flow("prep")

    @prep.node
    def parse(text: str) -> list[str]:
        return text.split()

    @prep.node
    def fill(parse: list[str], width: int = 3) -> list[str]:
        firings.fire()
        return [word.ljust(width, ".") for word in parse]

    flow = live.flow()

    @flow.node
    def source() -> str:
        return "a b"

    flow.add(prep, "sub")

    @flow.node
    def total(fill: list[str]) -> int:
        return len(fill)

    flow.connect("source", "sub.text")
    flow.connect("sub.fill", "total.fill")
    flow.run_sync()
    return flow


def shown(browser: Browser) -> dict[str, Any]:
    cards: dict[str, Any] = browser.state("f/sub")["cards"]
    return cards


@pytest.mark.usefixtures("outer")
def test_its_nodes_are_shown_with_what_they_came_to_there(live: Live) -> None:
    browser = live.browser("f/sub")
    live.settle()
    cards = shown(browser)
    assert {name: (card["status"], card["stamp"]) for name, card in cards.items() if card["kind"] == "node"} == {
        "parse": ("ok", "live"),
        "fill": ("ok", "live"),
    }
    assert [setting["value"] for setting in cards["fill"]["settings"]] == [3]
    ends = {(edge["source"], edge["target"]) for edge in browser.state("f/sub")["edges"]}
    assert ("parse", "fill") in ends
    assert ("→ text", "parse") in ends, "what is fed to it from outside"
    assert browser.holds == {}, "nobody writes it anywhere"


def test_they_follow_a_run_and_a_setting_of_the_flow_around(live: Live, outer: fb.Flow, firings: Firings) -> None:
    browser, other = live.browser("f/sub"), live.browser("f")
    live.settle()
    outer.set("sub/fill", width=5)
    live.settle()
    assert shown(browser)["fill"]["stamp"] == "stale"
    assert shown(browser)["parse"]["stamp"] == "live"
    run = outer.start()
    firings.wait_for(2)
    live.settle()
    assert shown(browser)["fill"]["status"] == "running"
    assert other.state("f")["cards"]["sub"]["status"] == "running"
    firings.let_go(2)
    over(run)
    live.settle()
    assert (shown(browser)["fill"]["status"], shown(browser)["fill"]["settings"][0]["value"]) == ("ok", 5)


def test_they_cannot_be_edited_from_there(live: Live, outer: fb.Flow) -> None:
    browser = live.browser("f/sub")
    live.settle()
    answer = browser.ask("set", flow="f/sub", node="fill", name="width", value=9)
    assert (answer["kind"], answer["code"]) == ("reject", "FB802")
    assert outer["sub/fill"].settings["width"] == 3


def test_it_is_empty_once_the_node_is_gone_and_nothing_stays_behind(live: Live, outer: fb.Flow) -> None:
    browser = live.browser("f/sub")
    live.settle()
    outer.remove("sub")
    live.settle()
    assert shown(browser) == {}
    browser.say("unsubscribe", flow="f/sub")
    live.settle()
    assert live.hub.watched_count == 0
    assert not live.hub.watches(outer)


def test_a_node_that_is_no_subflow_is_absent(live: Live, outer: fb.Flow) -> None:
    assert outer.name == session.flows["f"].name
    browser = live.browser("f/source")
    live.settle()
    assert browser.told()[-1]["kind"] == "absent"


def test_a_flow_that_is_run_for_each_item_is_shown_as_it_is_wired_and_set(live: Live) -> None:
    prep, pages, flow = fb.Flow("prep"), fb.Flow("pages"), live.flow()

    @prep.node
    def parse(text: str, sep: str = ",") -> list[str]:
        return text.split(sep)

    @prep.node
    def size(parse: list[str]) -> int:
        return len(parse)

    @pages.node
    def lines(page: str) -> list[str]:
        return page.split("/")

    pages.add(prep, "rows", each="text")
    pages.connect("lines", "rows.text")
    flow.add(pages, "all", each="page", page=["a,b/c", "d"])
    flow.set("all", **{"rows.parse.sep": ";"})
    assert flow.run_sync()["all"] == [[1, 1], [1]]
    browser = live.browser("f/all/rows")
    other = live.browser("f/all")
    live.settle()
    cards = browser.state("f/all/rows")["cards"]
    assert {name: (card["status"], card["preview"]) for name, card in cards.items()} == {
        "parse": ("idle", None),
        "size": ("idle", None),
    }
    assert cards["parse"]["settings"][0]["value"] == ";"
    assert {(edge["source"], edge["target"]) for edge in browser.state("f/all/rows")["edges"]} == {("parse", "size")}
    assert list(other.state("f/all")["cards"]) == ["lines", "rows"]
    flow.set_policy("all", each=())
    flow.set("all", page="a;b/c")
    assert flow.run_sync()["all"] == [2, 1]
    live.settle()
    assert other.state("f/all")["cards"]["rows"]["status"] == "ok"
