"""The hub: browsers are answered, told what changed, once, in order, and never more than they can take."""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as trying

import flowbook as fb
from flowbook.canvas.control import BATCHES_PER_S, Hub
from flowbook.canvas.messages import MAX_MESSAGE_BYTES
from flowbook.errors import FlowbookError
from flowbook.session import Flow, session
from tests.canvas.live_kit import Browser, Live, fresh_state
from tests.runtime.watching import Firings, over
from tests.strategies import json_values

if TYPE_CHECKING:
    from collections.abc import Callable


def chain(flow: Flow, *names: str) -> None:
    """Nodes that read each other by name, each with a setting ``k``."""
    for before, name in zip((None, *names), names, strict=False):
        parameters = f"{before}: int, k: int = 1" if before else "k: int = 1"
        text = f"def {name}({parameters}) -> int:\n    return k + {before or 0}"
        space: dict[str, Any] = {}
        exec(text, space)  # noqa: S102 -- signatures are what differs
        flow.node(space[name])


# -- being there


def test_hello_names_the_flows_and_the_types_one_can_add(live: Live) -> None:
    live.flow("one")
    live.flow("two")
    browser = live.browser()
    live.hub.turn()
    (hello,) = browser.told()
    assert hello["flows"] == ["one", "two"]
    assert hello["protocol"] == 1
    assert {"typeId", "label", "doc", "category"} <= set(hello["types"][0])
    assert {"table.filter", "table.read", "value"} <= {entry["typeId"] for entry in hello["types"]}


def test_who_subscribes_is_told_everything_once(live: Live) -> None:
    flow = live.flow()
    chain(flow, "a", "b")
    browser = live.browser("f")
    live.settle()
    (batch,) = browser.batches()
    assert (batch["seq"], batch["rev"]) == (1, flow.data.revision)
    assert [card["id"] for card in batch["canvas"]["nodes"]] == ["a", "b"]
    assert batch["document"] == flow.document_text().rstrip()
    assert batch["cell"] == {"id": None, "text": None, "due": False}
    assert len({(card["x"], card["y"]) for card in batch["canvas"]["nodes"]}) == 2, "cards have places"


def test_nothing_is_told_when_nothing_changed(live: Live) -> None:
    flow = live.flow()
    chain(flow, "a", "b")
    flow.run_sync()
    browser = live.browser("f")
    live.settle()
    browser.told()
    for _ in range(50):
        live.hub.cell_ended()
        live.hub.flow_changed(flow)
        live.settle(1)
    flow.move("a", 10, 20)
    live.settle()
    assert len(browser.batches()) == 1
    flow.move("a", 10, 20)
    live.settle()
    assert browser.told() == []
    assert live.hub.turn() is None, "the hub sleeps until something comes"


def test_a_flow_that_comes_later_is_told_when_it_comes(live: Live) -> None:
    browser = live.browser("later")
    live.hub.turn()
    assert [message["kind"] for message in browser.told()] == ["hello", "absent"]
    chain(live.flow("later"), "a")
    live.settle()
    (batch,) = browser.batches()
    assert [card["id"] for card in batch["canvas"]["nodes"]] == ["a"]


def test_the_inside_of_a_flow_that_comes_later_is_told_when_it_comes(live: Live) -> None:
    browser = live.browser("later/part")
    live.hub.turn()
    assert [message["kind"] for message in browser.told()] == ["hello", "absent"]
    inner = Flow("inner")
    chain(inner, "a")
    later = live.flow("later")
    live.settle()
    assert browser.batches() == []
    later.add(inner, "part")
    live.hub.flow_changed(later)
    live.settle()
    assert [card["id"] for card in browser.batches()[0]["canvas"]["nodes"]] == ["a"]


def test_who_unsubscribes_or_closes_hears_no_more(live: Live) -> None:
    flow = live.flow()
    leaving, closing = live.browser("f"), live.browser("f")
    live.settle()
    leaving.say("unsubscribe", flow="f")
    closing.channel.close()
    live.hub.turn()
    leaving.told()
    closing.told()
    chain(flow, "a")
    live.settle()
    assert leaving.told() == []
    assert closing.told() == []
    assert (live.hub.channel_count, live.hub.watched_count) == (1, 0)


def test_a_thousand_visits_leave_nothing_behind(live: Live) -> None:
    flow = live.flow()
    chain(flow, "a")
    gone = []
    for number in range(1000):
        browser = live.browser("f" if number % 3 else "nowhere")
        live.hub.turn()
        gone.append(weakref.ref(browser.channel))
        browser.channel.close()
        live.hub.turn()
        del browser
    gc.collect()
    assert (live.hub.channel_count, live.hub.watched_count) == (0, 0)
    assert not any(channel() is not None for channel in gone)
    known = weakref.ref(flow)
    del flow, session.flows["f"]
    gc.collect()
    assert known() is None, "nor does the hub keep the flow"


# -- numbers and pace


def test_whatever_happens_between_two_batches_is_told_once_per_node(live: Live) -> None:
    flow = live.flow()
    chain(flow, *(f"n{number}" for number in range(30)))
    browser = live.browser("f")
    live.settle()
    browser.told()
    flow.run_sync()  # 30 starts and 30 ends
    live.hub.turn()
    live.clock.advance(1)
    live.hub.turn()
    batches = browser.batches()
    assert len(batches) <= 2
    (cards,) = [batch["cards"] for batch in batches if "cards" in batch]
    assert sorted(card["id"] for card in cards) == sorted(flow)
    assert {(card["status"], card["stamp"]) for card in cards} == {("ok", "live")}


def test_the_end_of_a_run_is_told_ahead_of_its_tick(live: Live) -> None:
    """Who moved a setting waits for it; the batch after it waits longer instead."""
    flow = live.flow()
    chain(flow, "a")
    browser = live.browser("f")
    live.settle()
    browser.told()
    live.clock.advance(1)
    flow.move("a", 10, 20)
    live.hub.turn()
    assert len(browser.batches()) == 1
    flow.run_sync()
    live.hub.turn()
    (batch,) = browser.batches()
    assert batch["run"]["status"] == "ok"
    flow.move("a", 30, 40)
    live.clock.advance(1.5 / BATCHES_PER_S)
    live.hub.turn()
    assert not browser.batches()
    live.clock.advance(1 / BATCHES_PER_S)
    live.hub.turn()
    assert len(browser.batches()) == 1


def moved(live: Live, firings: Firings) -> tuple[Browser, fb.Run]:
    """Move a setting of a node whose second firing waits; the browser that did, and the run that follows by itself."""
    flow = live.flow()

    @flow.node
    def n(count: int = 1) -> int:
        return count * firings.fire()

    firings.let_go(1)
    first = flow.run_sync()
    browser = live.browser("f")
    live.settle()
    browser.told()
    assert browser.ask("set", flow="f", node="n", name="count", value=5)["kind"] == "ack"
    firings.wait_for(2)
    run = flow.last_run
    assert run is not None
    assert run is not first
    return browser, run


def test_a_moved_setting_is_told_with_what_follows_from_it(live: Live) -> None:
    firings = Firings()
    browser, run = moved(live, firings)
    live.hub.turn()
    assert browser.told() == [], "whatever goes ahead of the outcome makes it late"
    firings.let_go(2)
    over(run)
    live.hub.turn()
    (batch,) = browser.batches()
    (card,) = batch["cards"]
    assert (card["settings"][0]["value"], card["status"]) == (5, "ok")
    assert card["preview"] == {"kind": "text", "text": "10"}


def test_what_follows_from_a_moved_setting_is_not_waited_for_long(live: Live) -> None:
    firings = Firings()
    browser, run = moved(live, firings)
    for value in range(6, 10):  # a slider that is dragged puts nothing off
        browser.ask("set", flow="f", node="n", name="count", value=value)
        live.clock.advance(0.5 / BATCHES_PER_S)
    live.hub.turn()
    assert {batch["cards"][0]["status"] for batch in browser.batches()} == {"running"}
    session.flows["f"].cancel()
    firings.let_go(*range(2, 10))
    over(run)


def test_dead_letters_that_are_dropped_are_told(live: Live) -> None:
    flow = live.flow()
    flow.node(name="n")(lambda: 1 // 0)
    flow.run_sync(raise_errors=False)
    browser = live.browser("f")
    live.settle()
    assert browser.state("f")["cards"]["n"]["letters"] == 1
    flow.dead_letters.drop()
    live.settle()
    assert "letters" not in browser.state("f")["cards"]["n"]


def test_there_are_at_most_thirty_batches_a_second(live: Live) -> None:
    flow = live.flow()
    chain(flow, "a")
    browser = live.browser("f")
    live.settle()
    browser.told()
    for step in range(1000):  # an edit a millisecond
        flow.move("a", step, 0)
        live.hub.turn()
        live.clock.advance(0.001)
    batches = browser.batches()
    assert 10 <= len(batches) <= BATCHES_PER_S + 1
    live.settle()
    assert browser.state("f")["cards"]["a"]["x"] == 999, "the last state is told in the end"


def test_numbers_go_up_by_one_and_a_gap_is_healed_by_resync(live: Live) -> None:
    flow = live.flow()
    chain(flow, "a", "b")
    browser = live.browser("f")
    live.settle()
    for step in range(5):
        flow.move("a", step, 1)
        live.settle()
    assert [batch["seq"] for batch in browser.batches()] == [1, 2, 3, 4, 5, 6]
    flow.move("b", 7, 7)
    take, browser.channel._send = browser.channel._send, lambda message: None
    live.settle()  # lost on the way
    browser.channel._send = take
    flow.move("a", 9, 9)
    live.settle()
    assert browser.has_gap
    browser.say("resync", flow="f")
    live.settle()
    (*_, batch) = browser.batches()
    assert "canvas" in batch
    assert batch["seq"] > 7, "numbers go on, so that what is still under way is not taken for newer"
    assert browser.state("f") == fresh_state(live, "f")


def test_all_browsers_show_the_same_whenever_they_came(live: Live) -> None:
    flow = live.flow()
    chain(flow, "a", "b", "c")
    browsers = [live.browser("f")]
    live.settle()
    edits: list[Callable[[], Any]] = [
        flow.run_sync,
        lambda: flow.set("a", k=5),
        lambda: flow.run_sync(to="b"),
        lambda: flow.disconnect("b", "c"),
        lambda: flow.rename("a", "first"),
        lambda: flow.remove("c"),
        lambda: flow.add("value", "v", value="text"),
    ]
    for edit in edits:
        with contextlib.suppress(FlowbookError):  # some are refused; what is shown must be right all the same
            edit()
        live.hub.turn()
        browsers.append(live.browser("f"))
        live.settle()
    states = [browser.state("f") for browser in browsers]
    for state in states:
        assert {key: state[key] for key in ("cards", "edges", "run", "document", "cell")} == {
            key: states[-1][key] for key in ("cards", "edges", "run", "document", "cell")
        }


def test_a_revision_that_shows_nothing_new_is_told_all_the_same(live: Live) -> None:
    """A browser waits for the revision that its edit was acknowledged with."""
    flow = live.flow()
    chain(flow, "a")
    browser = live.browser("f")
    live.settle()
    answer = browser.ask("edit", flow="f", ops=[{"op": "move", "node": "a", "x": 1, "y": 1}])
    answer = browser.ask("edit", flow="f", ops=[{"op": "move", "node": "a", "x": 1, "y": 1}])
    live.settle()
    assert browser.rev["f"] == answer["rev"] == flow.data.revision


# -- commands


def test_a_command_is_acknowledged_with_the_revision_it_led_to(live: Live) -> None:
    flow = live.flow()
    chain(flow, "a")
    browser = live.browser("f")
    live.settle()
    answer = browser.ask("edit", flow="f", baseRev=1, ops=[{"op": "move", "node": "a", "x": 40, "y": 20}])
    assert answer == {"kind": "ack", "cid": answer["cid"], "flow": "f", "rev": flow.data.revision}
    assert flow.data.nodes["a"].position == (40, 20)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (
            {"kind": "edit", "flow": "f", "ops": [{"op": "connect", "source": "b", "target": "a", "targetPort": "k"}]},
            "FB203",
        ),
        ({"kind": "edit", "flow": "f", "ops": [{"op": "remove", "node": "x"}]}, "FB201"),
        ({"kind": "edit", "flow": "f", "ops": [{"op": "turn", "node": "a"}]}, "FB222"),
        ({"kind": "edit", "flow": "f", "ops": [{}]}, "FB222"),
        ({"kind": "edit", "flow": "f", "ops": [{"op": "document", "text": "{"}]}, "FB301"),
        ({"kind": "set", "flow": "f", "node": "a", "name": "k", "value": "many"}, "FB103"),
        ({"kind": "set", "flow": "f", "node": "a", "name": "x", "value": 1}, "FB201"),
        ({"kind": "set", "flow": "f", "node": "a", "name": "k"}, "FB803"),
        ({"kind": "run", "flow": "f", "to": ["x"]}, "FB201"),
        ({"kind": "run", "flow": "f", "to": ["a"], "only": ["b"]}, "FB410"),
        ({"kind": "run", "flow": "f", "to": ["a"], "stale": True}, "FB803"),
        ({"kind": "run", "flow": "nowhere"}, "FB802"),
        ({"kind": "cancel", "flow": "nowhere"}, "FB802"),
        ({"kind": "wrote", "flow": "nowhere", "text": ""}, "FB802"),
        ({"kind": "cancel"}, "FB803"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(str(part) for part in value.values())[:40],
)
def test_a_refusal_says_why_and_nothing_has_changed(live: Live, message: dict[str, Any], code: str) -> None:
    flow = live.flow()
    chain(flow, "a", "b")
    browser = live.browser("f")
    live.settle()
    before, revision = flow.document_text(), flow.data.revision
    answer = browser.ask(**message)
    assert (answer["kind"], answer["code"]) == ("reject", code)
    assert answer["message"]
    assert answer["rev"] == (revision if message.get("flow") == "f" else 0)
    assert (flow.document_text(), flow.data.revision) == (before, revision)


def test_a_run_is_begun_and_named(live: Live) -> None:
    flow = live.flow()
    chain(flow, "a", "b")
    browser = live.browser("f")
    live.settle()
    answer = browser.ask("run", flow="f", to=["a"])
    run = flow.last_run
    assert run is not None
    assert answer["runId"] == run.id
    assert run.wait(30)
    assert run.recomputed == ["a"]
    live.settle()
    assert browser.state("f")["run"]["status"] == "ok"


def test_run_stale_runs_what_is_stale_and_nothing_else(live: Live) -> None:
    flow = live.flow()
    chain(flow, "a", "b", "c")
    chain(flow, "other")
    browser = live.browser("f")
    flow.run_sync(to="b")
    live.settle()
    first = flow.last_run
    answer = browser.ask("run", flow="f", stale=True)
    assert answer["kind"] == "ack"
    assert "runId" not in answer
    assert flow.last_run is first, "nothing was stale: nothing runs"
    flow.set("b", k=7)
    browser.ask("run", flow="f", stale=True)
    run = flow.last_run
    assert run is not None
    assert run.wait(30)
    assert run.recomputed == ["b"], "neither c, which has no value, nor what does not depend on it"
    assert flow["b"].value == 8


def test_cancel_ends_the_run_that_goes_on_and_those_behind_it(live: Live) -> None:
    flow = live.flow()
    begun, may_end = threading.Event(), threading.Event()

    @flow.node
    def waits() -> int:
        begun.set()
        may_end.wait(30)
        return 1

    browser = live.browser("f")
    browser.ask("run", flow="f")
    first = flow.last_run
    browser.ask("run", flow="f", force=True)
    second = flow.last_run
    assert begun.wait(30)
    browser.ask("cancel", flow="f")
    may_end.set()
    assert first is not None
    assert second is not None
    assert first.wait(30)
    assert second.wait(30)
    assert (first.status, second.status) == ("cancelled", "cancelled")
    assert second.recomputed == []


# -- whatever is said


SHAPES: list[Any] = [
    None, 5, "hello", [], [{}], {}, {"kind": None}, {"kind": 5}, {"kind": "shout"}, {"kind": ["hello"]}, {"kind": {}},
    {"kind": "subscribe"}, {"kind": "subscribe", "flow": None}, {"kind": "subscribe", "flow": ["f"]},
    {"kind": "subscribe", "flow": "f", "runs": "all"}, {"kind": "subscribe", "flow": "f", "runs": [5]},
    {"kind": "run", "flow": "f"}, {"kind": "run", "flow": "f", "cid": 7}, {"kind": "lease", "flow": "f"},
    {"kind": "run", "flow": "f", "cid": "c", "to": {"a": 1}}, {"kind": "run", "flow": "f", "cid": "c", "to": [None]},
    {"kind": "run", "flow": "f", "cid": "c", "stale": "yes"}, {"kind": "edit", "flow": "f", "cid": "c"},
    {"kind": "edit", "flow": "f", "cid": "c", "baseRev": "1", "ops": []}, {"kind": "wrote", "flow": "f"},
    {"kind": "set", "flow": "f", "cid": "c", "node": "a", "name": "k", "value": []},
    {"kind": "lease", "flow": "f", "held": 1}, {"kind": "lease", "flow": "no", "held": True},
    {"kind": "hello", "protocol": "one"}, {"kind": "unsubscribe", "flow": 3},
]  # fmt: skip
OPERATIONS: list[Any] = [
    {"op": "move"}, ["move"], "move",
    [{"op": "move", "node": "a", "x": "far", "y": 0}],
    [{"op": "move", "node": "a", "x": 1e308, "y": -1e308}],
    [{"op": "move", "node": ["a"], "x": 1, "y": 0}],
    [{"op": "policy", "node": "a", "policy": 5}],
    [{"op": "policy", "node": "a", "policy": {"speed": 5}}],
    [{"op": "policy", "node": "a", "policy": {"retry": {"x": 1}}}],
    [{"op": "add", "typeId": 5, "node": "n"}],
    [{"op": "add", "typeId": "value", "node": "n", "settings": []}],
    [{"op": "add", "typeId": "value", "node": "two words"}],
    [{"op": "document", "text": None}],
]  # fmt: skip
SHAPES += [{"kind": "edit", "flow": "f", "cid": "c", "ops": operations} for operations in OPERATIONS]


@pytest.mark.parametrize("message", SHAPES, ids=str)
def test_a_message_of_the_wrong_shape_is_refused_and_the_next_one_is_answered(live: Live, message: Any) -> None:
    flow = live.flow()
    chain(flow, "a")
    before = flow.document_text()
    browser = live.browser()
    live.hub.turn()
    browser.told()
    browser.channel.receive(message)
    live.hub.turn()
    refusals = browser.told()
    assert [refusal["kind"] for refusal in refusals] == ["reject"]
    assert flow.document_text() == before
    other = live.browser("f")
    live.settle()
    assert other.state("f")["cards"]


@given(json_values)
@trying(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=200)
def test_whatever_json_comes_the_hub_goes_on(live: Live, value: Any) -> None:
    flow = session.find_flow("f") or live.flow()
    browser = live.browser("f")
    kinds = ["hello", "subscribe", "run", "cancel", "set", "edit", "wrote", "lease", "pong", "resync", "unsubscribe"]
    for kind in kinds:
        fields = value if isinstance(value, dict) else {"flow": value, "cid": value, "ops": value, "text": value}
        browser.channel.receive({**fields, "kind": kind})
        browser.channel.receive({"flow": "f", "cid": "c", "node": "a", "name": "k", "value": value, "kind": kind})
        browser.channel.receive({"flow": "f", "cid": "c", "ops": [value], "held": False, "text": "", "kind": kind})
    live.hub.turn()
    last = live.browser("f")
    live.settle()
    assert "cards" in last.state("f")
    for each in (browser, last):
        each.channel.close()
    live.hub.turn()
    flow.cancel()


def test_a_hub_on_its_thread_survives_what_kills_a_channel() -> None:
    told = threading.Event()
    hub = Hub(session)

    def refuse(_message: Any) -> None:
        raise ConnectionError("gone")

    dead = hub.connect(refuse)
    alive = hub.connect(lambda _message: told.set())
    for message in (None, 5, {"kind": "hello"}, {"kind": "subscribe", "flow": "f"}, {"kind": "run"}):
        dead.receive(message)
    alive.receive({"kind": "hello"})
    assert told.wait(30)


def test_a_browser_that_cannot_be_told_is_forgotten_and_the_others_hear(live: Live) -> None:
    flow = live.flow()
    chain(flow, "a")
    broken, sound = live.browser("f"), live.browser("f")
    live.settle()

    def refuse(_message: Any) -> None:
        raise ConnectionError("gone")

    broken.channel._send = refuse
    sound.told()
    flow.move("a", 1, 2)
    live.settle()
    assert len(sound.batches()) == 1
    assert live.hub.channel_count == 1


def test_a_page_that_is_gone_without_a_word_is_forgotten(live: Live) -> None:
    flow = live.flow()
    chain(flow, "a")
    gone, there = live.browser(), live.browser()
    for browser in (gone, there):
        browser.say("hello", protocol=1, pong=True)
        browser.say("subscribe", flow="f")
    old_fashioned = live.browser("f")
    for minute in range(10):
        flow.move("a", minute, 0)
        live.settle(20)
        live.clock.advance(20)
        if any(message["kind"] == "ping" for message in there.told()):
            there.say("pong")
    assert gone.is_hung_up
    assert not there.is_hung_up
    assert there.state("f")["cards"]["a"]["x"] == old_fashioned.state("f")["cards"]["a"]["x"] == 9
    assert live.hub.channel_count == 2


def test_a_page_that_slept_and_was_forgotten_is_greeted_again_when_it_speaks(live: Live) -> None:
    flow = live.flow()
    chain(flow, "a")
    sleeper = live.browser()
    sleeper.say("hello", protocol=1, pong=True)
    sleeper.say("subscribe", flow="f")
    while not sleeper.is_hung_up:
        flow.move("a", int(live.clock.now_s), 0)
        live.settle(20)
        live.clock.advance(20)
    sleeper.told()
    sleeper.say("pong")
    live.settle()
    assert [message["kind"] for message in sleeper.told()] == ["hello"], "after which a page subscribes"
    sleeper.say("subscribe", flow="f")
    live.settle()
    assert sleeper.state("f") == fresh_state(live, "f")


def test_the_palette_knows_the_ports_of_every_type(live: Live) -> None:
    browser = live.browser()
    live.settle()
    (hello,) = [message for message in browser.told() if message["kind"] == "hello"]
    types = {entry["typeId"]: entry for entry in hello["types"]}
    ports = [(port["name"], port["type"], port["required"]) for port in types["table.filter"]["inputs"]]
    assert ports == [("table", "table", True)]
    assert [port["type"] for port in types["table.read"]["outputs"]] == ["table"]


# -- size


def test_changes_too_large_for_one_message_are_told_as_a_whole(live: Live) -> None:
    flow = live.flow()

    @fb.node
    def noted(text: str = "") -> str:
        return text

    for place in range(40):
        flow.add(noted, f"n{place}")
    browser = live.browser("f")
    live.settle()
    flow.apply([{"op": "set", "node": f"n{place}", "name": "text", "value": "x" * 300_000} for place in range(40)])
    live.settle()
    flow.move("n0", 7, 7)
    live.settle()
    assert not browser.has_gap
    shown, fresh = browser.state("f")["cards"], fresh_state(live, "f")["cards"]
    assert shown["n0"]["x"] == 7
    for key in ("x", "y", "status", "stamp"):  # large values are left out of whole canvases
        assert {card["id"]: card[key] for card in shown.values()} == {card["id"]: card[key] for card in fresh.values()}


def test_a_command_that_is_too_large_is_refused(live: Live) -> None:
    chain(live.flow(), "a")
    browser = live.browser("f")
    live.settle()
    answer = browser.ask("set", flow="f", node="a", name="k", value="x" * (MAX_MESSAGE_BYTES + 1))
    assert (answer["code"], "MB" in answer["message"]) == ("FB804", True)


def test_half_a_character_is_told_as_a_question_mark(live: Live) -> None:
    """JSON's escapes can say half of a surrogate pair, UTF-8 and so the wire cannot."""
    flow = live.flow()

    @flow.node
    def a(word: str = "") -> str:
        return word

    browser = live.browser("f")
    live.settle()
    assert browser.ask("set", flow="f", node="a", name="word", value="x\ud800")["kind"] == "ack"
    live.settle()
    (setting,) = browser.state("f")["cards"]["a"]["settings"]
    assert setting["value"] == "x?"


# -- the unlucky


def test_a_look_that_fails_is_made_again(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = live.flow()
    chain(flow, "a")
    browser = live.browser("f")
    live.settle()
    browser.told()
    good, failures = Flow.stale, [1, 2]

    def sometimes(self: Flow) -> dict[str, str]:
        if failures:
            failures.pop()
            message = "dictionary changed size during iteration"
            raise RuntimeError(message)
        return good(self)

    monkeypatch.setattr(Flow, "stale", sometimes)
    flow.move("a", 3, 4)
    live.settle()
    assert (failures, browser.state("f")["cards"]["a"]["x"]) == ([], 3)
    assert not browser.has_gap


def test_a_slow_look_at_everything_leaves_time_for_the_nodes(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = live.flow()
    chain(flow, "a", "b")
    browser = live.browser("f")
    live.settle()
    browser.told()
    looks: list[float] = []
    good = Flow.document_text

    def slow(self: Flow) -> str:
        looks.append(live.clock.now_s)
        live.clock.advance(0.5)
        return good(self)

    monkeypatch.setattr(Flow, "document_text", slow)
    for step in range(200):
        flow.move("a", step, 0)
        live.tick()
    spent = len(looks) * 0.5 / (live.clock.now_s - looks[0])
    assert spent <= 0.3
    live.settle(10)
    assert browser.state("f")["cards"]["a"]["x"] == 199
