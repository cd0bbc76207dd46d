"""Live views say live, cached and stale when it is so, and what is to be stored never says live."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from flowbook.session import session

if TYPE_CHECKING:
    import pytest

    from flowbook.session import Flow
    from tests.canvas.live_kit import Browser, Live


def pair(flow: Flow) -> None:
    @flow.node
    def a(k: int = 1) -> int:
        return k

    @flow.node
    def b(a: int) -> int:
        return a + 1


def stamps(browser: Browser, flow: str = "f") -> dict[str, tuple[str, str | None]]:
    cards = browser.state(flow)["cards"]
    return {node_id: (card["status"], card["stamp"]) for node_id, card in cards.items()}


def test_a_value_is_live_then_stale_then_live_again(live: Live) -> None:
    flow = live.flow()
    pair(flow)
    browser = live.browser("f")
    live.settle()
    assert stamps(browser) == {"a": ("idle", None), "b": ("idle", None)}
    flow.run_sync()
    live.settle()
    assert stamps(browser) == {"a": ("ok", "live"), "b": ("ok", "live")}
    flow.set("a", k=5)
    live.settle()
    assert stamps(browser) == {"a": ("ok", "stale"), "b": ("ok", "stale")}
    assert browser.state("f")["cards"]["b"]["reason"] == "a is stale"
    flow.set("a", k=1)
    live.settle()
    assert stamps(browser) == {"a": ("ok", "live"), "b": ("ok", "live")}
    flow.run_sync()
    live.settle()
    assert stamps(browser) == {"a": ("ok", "cached"), "b": ("ok", "cached")}


def test_edited_code_and_a_cut_edge_turn_values_stale(live: Live) -> None:
    flow = live.flow()
    pair(flow)
    flow.run_sync()
    browser = live.browser("f")

    @flow.node
    def a(k: int = 1) -> int:
        return k * 10

    live.settle()
    assert stamps(browser)["a"] == ("ok", "stale")
    flow.run_sync(to="a")
    live.settle()
    assert stamps(browser) == {"a": ("ok", "live"), "b": ("ok", "stale")}
    flow.run_sync()
    flow.disconnect("a", "b")
    live.settle()
    assert stamps(browser) == {"a": ("ok", "cached"), "b": ("ok", "stale")}


def test_after_every_cell_views_hear_what_its_variables_made_stale(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that a node reads may change in any cell; no event tells of that."""
    names = {"limit": 5}

    class Names:
        def lookup(self, name: str) -> tuple[bool, object]:
            return name in names, names.get(name)

    flow = live.flow()
    pair(flow)
    from dataclasses import replace

    from flowbook.core.node_types import Port, PortKind

    declared = flow.data.type_of("a")
    limit = Port(name="limit", kind=PortKind(is_ambient=True))
    flow.define(replace(declared, function=lambda k, limit: k + limit, inputs=(limit,)))
    monkeypatch.setattr(session.engine, "namespace", Names())
    browser = live.browser("f")
    flow.run_sync()
    live.settle()
    assert stamps(browser) == {"a": ("ok", "live"), "b": ("ok", "live"), "→ limit": ("ok", "from notebook")}
    names["limit"] = 6
    live.settle()
    assert stamps(browser)["a"] == ("ok", "live"), "nobody has looked"
    live.hub.cell_ended()
    live.settle()
    assert stamps(browser)["a"] == stamps(browser)["b"] == ("ok", "stale")
    (shape,) = [port["shape"] for port in browser.state("f")["cards"]["→ limit"]["outputs"]]
    assert shape == "6"


def test_while_a_run_goes_on_nodes_are_queued_running_and_done(live: Live) -> None:
    flow = live.flow()
    begun, may_end = threading.Event(), threading.Event()

    @flow.node
    def a() -> int:
        begun.set()
        may_end.wait(30)
        return 1

    @flow.node
    def b(a: int) -> int:
        return a

    browser = live.browser("f")
    live.settle()
    run = flow.start()
    assert begun.wait(30)
    live.settle(0.2)
    assert stamps(browser) == {"a": ("running", None), "b": ("queued", None)}
    assert browser.state("f")["run"]["status"] == "running"
    may_end.set()
    assert run.wait(30)
    live.settle()
    assert stamps(browser) == {"a": ("ok", "live"), "b": ("ok", "live")}
    assert browser.state("f")["run"]["status"] == "ok"


def test_a_run_with_settings_of_its_own_changes_no_card(live: Live) -> None:
    flow = live.flow()
    pair(flow)
    flow.run_sync()
    browser = live.browser("f")
    live.settle()
    before = browser.state("f")["cards"]
    run = flow.run_sync(settings={"a.k": 9})
    live.settle()
    assert browser.state("f")["cards"] == before
    assert browser.state("f")["traces"][run.id]["final"], "but its trace is told"


def test_what_is_stored_never_says_live(live: Live) -> None:
    flow = live.flow()
    pair(flow)
    flow.run_sync()
    browser = live.browser("f")
    live.settle()
    (trace,) = browser.state("f")["traces"].values()
    assert "live" not in json.dumps(trace["spans"])
    assert {span["stamp"] for span in trace["spans"]} == {"recorded"}


def test_what_a_running_node_prints_is_told_although_no_event_says_so(live: Live) -> None:
    flow = live.flow()
    begun, may_end = threading.Event(), threading.Event()

    @flow.node
    def a() -> int:
        begun.set()
        may_end.wait(30)
        return 1

    browser = live.browser("f")
    live.settle()
    run = flow.start()
    assert begun.wait(30)
    live.settle(0.2)
    (span,) = run.trace.spans
    span.effects.entries.append(("stdout", "half way"))
    live.settle(1)
    assert browser.state("f")["traces"][run.id]["spans"][0]["logs"] == [{"stream": "stdout", "text": "half way"}]
    quiet = len(browser.told())
    live.settle(5)
    assert quiet
    assert browser.told() == [], "and nothing while it is silent"
    may_end.set()
    assert run.wait(30)


def test_two_flows_of_one_name_are_told_apart(live: Live) -> None:
    """``fb.Flow("f")`` makes another one; its runs are none of the named flow's business."""
    from flowbook.session import Flow as AnyFlow

    flow, other = live.flow(), AnyFlow("f")
    pair(flow)
    pair(other)
    browser = live.browser("f")
    live.settle()
    other.run_sync()
    live.settle()
    assert stamps(browser)["a"] == ("idle", None)
    own = live.browser(flow=None, can_write=False)
    widget: dict[str, Any] = {}
    channel = live.hub.connect(lambda message: widget.update({message["kind"]: message}), flow=other)
    channel.receive({"kind": "subscribe", "flow": "f"})
    live.settle()
    assert {card["stamp"] for card in widget["batch"]["canvas"]["nodes"]} == {"live"}
    assert own.state("f") == {}
