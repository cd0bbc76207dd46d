"""Events reach every observer in order; who is slow is told how much was missed, and hurts nobody else."""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Any

import pytest

import flowbook as fb
from flowbook.core.events import NodeFinished, NodeStarted, RunFinished, RunStarted
from flowbook.observe.event_bus import EventBus, EventHistory
from flowbook.session import session
from tests.runtime.watching import DEADLINE_S, Firings, over, reached, until

if TYPE_CHECKING:
    from flowbook.core.events import Event


def event(number: int) -> RunStarted:
    return RunStarted(flow="numbers", trace_id=f"{number:032x}", at=float(number), node_ids=())


def numbers(events: list[Event]) -> list[int]:
    return [int(each.at) for each in events]


def drained(subscription: Any) -> list[Event]:
    found = []
    while (each := subscription.get(0)) is not None:
        found.append(each)
    return found


# -- the ring


@pytest.mark.parametrize(("capacity", "kept", "missed"), [(5, [0, 1, 2, 3, 4], 0), (3, [2, 3, 4], 2), (1, [4], 4)])
def test_the_oldest_events_go_first_and_are_counted(capacity: int, kept: list[int], missed: int) -> None:
    bus = EventBus()
    subscription = bus.subscribe(capacity)
    for number in range(5):
        bus.publish(event(number))
    assert subscription.missed_count == missed
    assert numbers(drained(subscription)) == kept


def test_every_subscription_has_a_ring_of_its_own() -> None:
    bus = EventBus()
    small, large = bus.subscribe(2), bus.subscribe(10)
    for number in range(4):
        bus.publish(event(number))
    late = bus.subscribe()
    bus.publish(event(4))
    assert numbers(drained(large)) == [0, 1, 2, 3, 4]
    assert numbers(drained(small)) == [3, 4]
    assert numbers(drained(late)) == [4], "from now on"
    assert (small.missed_count, large.missed_count, late.missed_count) == (3, 0, 0)


def test_a_reader_that_keeps_up_misses_nothing() -> None:
    bus = EventBus()
    subscription = bus.subscribe(1)
    for number in range(100):
        bus.publish(event(number))
        found = subscription.get(0)
        assert found is not None
        assert found.at == number
    assert subscription.missed_count == 0


def test_nothing_in_time_is_none() -> None:
    subscription = EventBus().subscribe()
    assert subscription.get(0) is None
    assert subscription.get(0.001) is None
    assert not subscription.is_closed


# -- the end


def test_what_was_taken_can_be_read_after_closing_and_nothing_more_comes() -> None:
    bus = EventBus()
    subscription = bus.subscribe()
    bus.publish(event(1))
    subscription.close()
    bus.publish(event(2))
    assert subscription.is_closed
    assert bus.subscription_count == 0
    assert numbers(drained(subscription)) == [1]
    assert subscription.get() is None, "does not wait for what cannot come"
    subscription.close()


def test_closing_wakes_who_waits() -> None:
    bus = EventBus()
    subscription = bus.subscribe()
    found: list[Event | None] = []
    reader = threading.Thread(target=lambda: found.append(subscription.get()))
    reader.start()
    subscription.close()
    reader.join(DEADLINE_S)
    assert found == [None]


def test_leaving_the_block_ends_an_observer_and_its_thread() -> None:
    bus = EventBus()
    seen: list[Event] = []
    threads: list[threading.Thread] = []

    def handler(each: Event) -> None:
        threads.append(threading.current_thread())
        seen.append(each)

    with bus.observe(handler) as subscription:
        bus.publish(event(1))
        until(lambda: bool(seen))
    assert subscription.is_closed
    assert bus.subscription_count == 0
    threads[0].join(DEADLINE_S)
    assert not threads[0].is_alive()


def test_an_observer_is_called_one_event_after_the_other_on_its_own_thread() -> None:
    bus = EventBus()
    seen: list[int] = []
    threads: set[int] = set()

    def handler(each: Event) -> None:
        threads.add(threading.get_ident())
        seen.append(int(each.at))

    with bus.observe(handler):
        for number in range(500):
            bus.publish(event(number))
        until(lambda: len(seen) == 500)
    assert seen == list(range(500))
    assert len(threads) == 1
    assert threading.get_ident() not in threads


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What ended threads that nobody looks at."""
    found: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: found.append(repr(args.exc_value)))
    return found


def test_a_handler_that_raises_is_reported_once_and_not_called_again(reported: list[str]) -> None:
    bus = EventBus()
    called: list[Event] = []
    seen: list[Event] = []

    def raises(each: Event) -> None:
        called.append(each)
        message = "no"
        raise ValueError(message)

    subscription = bus.observe(raises)
    with bus.observe(seen.append):
        for number in range(3):
            bus.publish(event(number))
        until(lambda: len(seen) == 3)
        until(lambda: bool(reported) and subscription.is_closed)
        assert bus.subscription_count == 1
    assert reported == ["ValueError('no')"]
    assert numbers(called) == [0]


def test_subscribing_while_others_publish_loses_nothing() -> None:
    bus = EventBus()
    first = bus.subscribe()
    stop = threading.Event()
    count = 0

    def publish() -> None:
        nonlocal count
        while not stop.is_set():
            bus.publish(event(count))
            count += 1

    publisher = threading.Thread(target=publish)
    publisher.start()
    for _ in range(200):
        bus.subscribe().close()
    stop.set()
    publisher.join(DEADLINE_S)
    seen = numbers(drained(first))
    assert len(seen) + first.missed_count == count
    assert seen == list(range(count - len(seen), count))
    assert bus.subscription_count == 1


# -- the events of one run


def test_a_history_gives_every_event_however_many_there_were() -> None:
    history = EventHistory()
    for number in range(25_000):
        history.put(event(number))
    assert [int(found.at) for index in range(25_000) if (found := history.get(index)) is not None] == list(
        range(25_000)
    )
    assert history.get(25_000, 0) is None


def simple() -> tuple[fb.Flow, Firings]:
    flow, firings = fb.Flow("simple"), Firings()

    @flow.node
    def first() -> int:
        return firings.fire()

    @flow.node
    def second(first: int) -> int:
        return first + 1

    return flow, firings


WHOLE = ["run_started", "node_started", "node_finished", "node_started", "node_finished", "run_finished"]


def kinds(events: list[Event]) -> list[str]:
    return [each.kind for each in events]


def test_the_events_of_a_run_come_from_the_beginning_to_the_end() -> None:
    flow, firings = simple()
    run = flow.start()
    found: list[Event] = []
    for each in run.events():
        found.append(each)
        if isinstance(each, NodeStarted) and each.node_id == "first":
            firings.let_go(1)
    assert kinds(found) == WHOLE
    assert {each.trace_id for each in found} == {run.id}
    assert {each.flow for each in found} == {"simple"}


def test_the_events_of_a_run_can_be_read_later_and_again() -> None:
    flow, firings = simple()
    firings.let_go(1)
    run = over(flow.start())
    for _ in range(2):
        assert kinds(list(run.events())) == WHOLE
    for each in run.events():
        assert isinstance(each, RunStarted)
        break
    assert kinds(list(run.events())) == WHOLE, "leaving early takes nothing from the next reader"


def test_two_readers_of_one_run_get_all_of_it_each() -> None:
    flow, firings = simple()
    run = flow.start()
    found: dict[int, list[Event]] = {}

    def read(number: int) -> None:
        found[number] = list(run.events())

    readers = [threading.Thread(target=read, args=(number,)) for number in range(2)]
    for reader in readers:
        reader.start()
    firings.let_go(1)
    for reader in readers:
        reader.join(DEADLINE_S)
    assert [kinds(found[number]) for number in range(2)] == [WHOLE, WHOLE]


def test_reading_events_sees_no_other_run() -> None:
    flow, firings = simple()
    firings.let_go(1, 2)
    first, second = flow.start(), flow.start(force=True)
    for run in (first, second):
        assert {each.trace_id for each in run.events()} == {run.id}


def test_a_cancelled_run_tells_its_end() -> None:
    flow, firings = simple()
    run = flow.start()
    firings.wait_for(1)
    run.cancel()
    last = list(run.events())[-1]
    assert isinstance(last, RunFinished)
    assert last.status == "cancelled"
    firings.let_go(1)


def test_events_are_records_that_nobody_can_change() -> None:
    flow, firings = simple()
    firings.let_go(1)
    for each in over(flow.start()).events():
        with pytest.raises(dataclasses.FrozenInstanceError):
            each.at = 0.0  # type: ignore[misc]


def test_every_started_node_is_finished_once() -> None:
    flow, firings = simple()
    firings.let_go(1)
    flow.node(name="reused")(lambda: 1)
    over(flow.start(to="reused"))
    events = list(over(flow.start()).events())
    finished = [each.node_id for each in events if isinstance(each, NodeFinished)]
    assert sorted(finished) == ["first", "reused", "second"]
    assert {each.node_id for each in events if isinstance(each, NodeStarted)} == {"first", "second"}


# -- observing a flow


def test_an_observer_of_a_flow_hears_of_every_run() -> None:
    flow, firings = simple()
    firings.let_go(1, 2)
    seen: list[Event] = []
    with flow.observe(seen.append):
        runs = [over(flow.start(force=True)) for _ in range(2)]
        until(lambda: len(seen) == 2 * len(WHOLE))
    over(flow.start())
    assert kinds(seen) == WHOLE * 2
    assert [each.trace_id for each in seen] == [run.id for run in runs for _ in WHOLE]


def test_an_observer_that_raises_does_not_hurt_the_run(reported: list[str]) -> None:
    flow, firings = simple()
    firings.let_go(1)

    def raises(each: Event) -> None:
        message = "no"
        raise ValueError(message)

    flow.observe(raises)
    assert over(flow.start())["second"] == 2
    until(lambda: reported == ["ValueError('no')"])


def test_an_observer_that_blocks_does_not_hold_up_the_run() -> None:
    flow, firings = simple()
    gate, is_blocked = threading.Event(), threading.Event()
    firings.let_go(1)

    def blocks(each: Event) -> None:
        is_blocked.set()
        gate.wait(DEADLINE_S)

    with flow.observe(blocks):
        run = flow.start()
        reached(is_blocked)
        assert over(run)["second"] == 2
        gate.set()


@pytest.fixture
def broken_presenter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook whose own code fails at everything it is told."""

    class Broken:
        def __getattr__(self, name: str) -> Any:
            def call(*_: Any, **__: Any) -> None:
                if name == "event":
                    message = "cannot show"
                    raise RuntimeError(message)

            return call

    monkeypatch.setattr(session, "presenter", Broken())


@pytest.mark.usefixtures("broken_presenter")
def test_who_shows_a_run_cannot_hang_it(caplog: pytest.LogCaptureFixture) -> None:
    flow = fb.Flow("shown")
    flow.node(name="one")(lambda: 1)
    run = over(flow.start())
    assert run["one"] == 1
    assert run.trace.is_final
    assert kinds(list(run.events())) == ["run_started", "node_started", "node_finished", "run_finished"]
    assert "an event could not be handed on" in caplog.text
