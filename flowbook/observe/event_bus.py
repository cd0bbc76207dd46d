"""Hands events to whoever listens, without ever waiting for them."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flowbook.core.events import Event

DEFAULT_CAPACITY = 10_000


class Subscription:
    """One reader's own ring of events; the oldest go first when it is too slow.

    Args:
        bus: where it came from.
        capacity: events it holds, >= 1.
    """

    def __init__(self, bus: EventBus, capacity: int) -> None:
        self._bus = bus
        self._events: deque[Event] = deque()
        self._capacity = capacity
        self._condition = threading.Condition()
        self._missed_count = 0
        self._is_closed = False

    def put(self, event: Event) -> None:
        """Take an event, dropping the oldest when the ring is full."""
        with self._condition:
            if len(self._events) >= self._capacity:
                self._events.popleft()
                self._missed_count += 1
            self._events.append(event)
            self._condition.notify()

    def get(self, timeout_s: float | None = None) -> Event | None:
        """Return the next event; None when the time is over or the subscription was closed and is empty."""
        with self._condition:
            self._condition.wait_for(lambda: self._events or self._is_closed, timeout_s)
            return self._events.popleft() if self._events else None

    @property
    def missed_count(self) -> int:
        """Events that were dropped because this reader was too slow."""
        return self._missed_count

    @property
    def is_closed(self) -> bool:
        """Whether no event will come any more."""
        return self._is_closed

    def close(self) -> None:
        """Stop listening; events already taken can still be read."""
        self._bus.remove(self)
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()

    def __enter__(self) -> Subscription:
        """Listen until the block ends."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self.close()


class EventHistory:
    """Every event of one run, for readers that come when they like; as large as the run, and gone with it."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        #: What came and was not read yet; events of many nodes are made when somebody reads them.
        self._unread: deque[Event | Callable[[], Iterable[Event]]] = deque()
        #: For those who wait; made by the first of them, since most runs are over before anybody asks.
        self._condition: threading.Condition | None = None

    def put(self, event: Event | Callable[[], Iterable[Event]]) -> None:
        """Take an event, or events that are made when somebody reads them."""
        self._unread.append(event)
        condition = self._condition  # asked for afterwards: who makes it now looks at what has come, then waits
        if condition is not None:
            with condition:
                condition.notify_all()

    def _read(self) -> list[Event]:
        while self._unread:
            entry = self._unread.popleft()
            if callable(entry):
                self._events.extend(entry())
            else:
                self._events.append(entry)
        return self._events

    def get(self, index: int, timeout_s: float | None = None) -> Event | None:
        """Return the event of that number, from 0; None when there is none in time."""
        with _making:
            condition = self._condition = self._condition or threading.Condition()
        with condition:
            condition.wait_for(lambda: index < len(self._read()), timeout_s)
            return self._events[index] if index < len(self._events) else None


_making = threading.Lock()


class EventBus:
    """Publishes events of one flow to any number of subscriptions."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: tuple[Subscription, ...] = ()

    def publish(self, event: Event) -> None:
        """Hand an event to every subscription; never waits, never raises."""
        for subscription in self._subscriptions:
            subscription.put(event)

    def subscribe(self, capacity: int = DEFAULT_CAPACITY) -> Subscription:
        """Listen from now on."""
        subscription = Subscription(self, capacity)
        with self._lock:
            self._subscriptions = (*self._subscriptions, subscription)
        return subscription

    def observe(self, handler: Callable[[Event], None]) -> Subscription:
        """Call ``handler`` with every event, one after the other, on a thread of its own until closed.

        A handler that raises is reported by Python's ``threading.excepthook`` and is not called again.
        """
        subscription = self.subscribe()

        def serve() -> None:
            with subscription:
                while (event := subscription.get()) is not None:
                    handler(event)

        threading.Thread(target=serve, name="flowbook-observer", daemon=True).start()
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """Forget a subscription; nothing happens when it is unknown."""
        with self._lock:
            self._subscriptions = tuple(kept for kept in self._subscriptions if kept is not subscription)

    @property
    def subscription_count(self) -> int:
        """How many listen."""
        return len(self._subscriptions)
