"""Exactly one browser writes a flow's document into its cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from flowbook.canvas.leases import WriterLease
from flowbook.canvas.live_view import NoHost
from flowbook.canvas.watching import WRITE_S

if TYPE_CHECKING:
    from flowbook.canvas.messages import CellNews
    from tests.canvas.live_kit import Browser, Live


class CellHost(NoHost):
    """A notebook whose one cell is written by nobody."""

    def __init__(self) -> None:
        self.text = "{}"
        self.is_due = False
        self.wrote_texts: list[str] = []

    def cell(self, _flow: Any) -> CellNews:
        return {"id": "cell", "text": self.text, "due": self.is_due}

    def wrote(self, flow: Any, text: str, cell_id: str | None) -> None:
        self.wrote_texts.append(text)
        self.text, self.is_due = text, False


def holders(*browsers: Browser) -> list[bool]:
    return [browser.holds.get("f", False) for browser in browsers]


def test_the_first_that_can_write_holds_the_lease_and_gives_it_on_when_it_leaves(live: Live) -> None:
    live.flow()
    reader, first, second = live.browser("f", can_write=False), live.browser("f"), live.browser("f")
    live.settle()
    assert holders(reader, first, second) == [False, True, False]
    assert not any(message["kind"] == "lease" for message in reader.told()), "who cannot write is not asked"
    first.channel.close()
    live.settle()
    assert holders(second) == [True]
    second.say("unsubscribe", flow="f")
    third = live.browser("f")
    live.settle()
    assert holders(third) == [True]


def test_who_edits_writes_from_then_on_and_the_other_hears_of_it_first(live: Live) -> None:
    flow = live.flow()
    flow.add("value", "v")
    first, second = live.browser("f"), live.browser("f")
    live.settle()
    order: list[tuple[str, bool]] = []
    for name, browser in (("first", first), ("second", second)):
        send = browser.channel._send

        def note(message: Any, name: str = name, send: Any = send) -> None:
            if message["kind"] == "lease":
                order.append((name, message["held"]))
            send(message)

        browser.channel._send = note
    second.ask("edit", flow="f", ops=[{"op": "move", "node": "v", "x": 1, "y": 1}])
    assert order == [("first", False), ("second", True)]
    first.ask("set", flow="f", node="v", name="value", value=3)
    assert holders(first, second) == [True, False]
    second.ask("edit", flow="f", ops=[{"op": "remove", "node": "nothing"}])
    assert holders(first, second) == [True, False], "a refused edit is none"


def test_who_declines_is_passed_over_until_it_asks_again(live: Live) -> None:
    live.flow()
    first, second = live.browser("f"), live.browser("f")
    live.settle()
    first.say("lease", flow="f", held=False)
    live.hub.turn()
    assert holders(first, second) == [False, True]
    second.say("lease", flow="f", held=False)
    live.hub.turn()
    assert holders(first, second) == [False, False], "nobody can"
    first.told()
    first.say("lease", flow="f", held=True)
    live.hub.turn()
    assert holders(first, second) == [True, False]


def test_who_declined_is_not_asked_again_with_every_move_of_a_slider(live: Live) -> None:
    flow = live.flow()
    flow.node(name="n")(lambda count=1: count)
    browser = live.browser("f")
    live.settle()
    browser.say("lease", flow="f", held=False)
    live.settle()
    browser.told()
    assert browser.ask("set", flow="f", node="n", name="count", value=2)["kind"] == "ack"
    live.settle()
    assert [message["kind"] for message in browser.told() if message["kind"] != "batch"] == []


def test_a_holder_that_does_not_write_loses_the_lease_to_one_that_may(live: Live) -> None:
    flow = live.flow()
    host = live.hub.host = CellHost()
    sleeping, awake = live.browser("f"), live.browser("f")
    live.settle()
    host.is_due = True
    live.hub.flow_changed(flow)
    live.settle(WRITE_S / 2)
    assert holders(sleeping, awake) == [True, False]
    live.settle(WRITE_S)
    assert holders(sleeping, awake) == [False, True]
    awake.say("wrote", flow="f", text="[]")
    live.settle()
    assert host.wrote_texts == ["[]"]
    assert awake.state("f")["cell"] == {"id": "cell", "text": "[]", "due": False}
    assert sleeping.state("f")["cell"]["text"] == "[]"
    assert holders(sleeping, awake) == [False, True]


def test_when_nobody_can_write_the_lease_goes_round_once_and_comes_back(live: Live) -> None:
    """Whoever edited may wait for its person to decide about the cell's text; a page that is gone decides nothing."""
    flow = live.flow()
    host = live.hub.host = CellHost()
    browsers = [live.browser("f") for _ in range(3)]
    live.settle()
    host.is_due = True
    live.hub.flow_changed(flow)
    live.settle(60)
    leases = [message for browser in browsers for message in browser.told() if message["kind"] == "lease"]
    assert sum(message["held"] for message in leases) == 1 + 3
    assert holders(*browsers) == [True, False, False]
    assert live.hub.turn() is None, "and then it rests"


@given(st.lists(st.tuples(st.sampled_from(["join", "leave", "take", "edited", "decline", "lapse"]), st.integers(0, 3))))
def test_the_holder_is_always_one_of_those_who_are_there(steps: list[tuple[str, int]]) -> None:
    lease: WriterLease[int] = WriterLease()
    for what, who in steps:
        if what == "lapse":
            lease.lapse()
        else:
            getattr(lease, what)(who)
        assert lease.holder is None or lease.holder in lease.candidates
        willing = [writer for writer in lease.candidates if writer not in lease.declined]
        assert (lease.holder is None) == (not willing)
        assert lease.declined <= set(lease.candidates)
        assert len(lease.candidates) == len(set(lease.candidates))
