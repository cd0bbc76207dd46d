"""Publishes output updates from one plain thread.

An update sent from a cell's own context, or from a task of the kernel's loop, is dropped by headless front ends once
that cell has ended; one from a thread without any context always lands, because a display id says where it belongs. The
thread is also where everything is throttled: a target that changed many times is rendered once.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Between two looks at outputs of what goes on, seconds: what a node prints is told by no event.
LOOK_S = 0.5
#: Between two rounds of updates, seconds: at most eight a second (a server drops more than a thousand messages a
#: second).
INTERVAL_S = 0.125
#: How long a first mark waits for others, seconds: a browser that watches the flow has shown what it was told by then,
#: and somebody who moves a slider does not wait for outputs to be drawn again.
GATHER_S = 0.1
_SETTLE_LIMIT_S = 10.0

logger = logging.getLogger(__name__)


class Target(Protocol):
    """Something shown in an output that can be shown again."""

    display_id: str

    def render(self) -> dict[str, Any] | None:
        """Make the mime bundle as it should look now; None leaves the output as it is."""
        ...


class LiveTarget(Target, Protocol):
    """A target that may have news which nobody marks."""

    @property
    def is_open(self) -> bool:
        """Whether that is so now."""
        ...

    @property
    def is_news(self) -> bool:
        """Whether there is something to show."""
        ...


class Publisher:
    """See the module's docstring.

    Args:
        publish: ``(data, display_id)``: send one update.
        everything: what a glance looks at.
    """

    def __init__(
        self, publish: Callable[[dict[str, Any], str], None], everything: Callable[[], Iterable[LiveTarget]]
    ) -> None:
        self._publish = publish
        self._all = everything
        self._condition = threading.Condition()
        self._dirty: dict[str, Target] = {}
        self._watched: dict[str, LiveTarget] = {}
        self._is_glance_due = False
        # Rounds of updates: how many began, were shown, and are waited for.
        self._begun = self._shown = self._wanted = 0
        self._thread: threading.Thread | None = None

    def mark(self, target: Target) -> None:
        """Show this target again soon."""
        with self._condition:
            self._dirty[target.display_id] = target
            self._ensure_thread()
            self._condition.notify_all()

    def settle(self) -> None:
        """Show everything that is marked by now before returning; does nothing on the publishing thread itself."""
        with self._condition:
            last = self._begun + bool(self._dirty or self._is_glance_due)
            if threading.current_thread() is self._thread or self._shown >= last:
                return
            self._wanted = max(self._wanted, last)
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._shown >= last, _SETTLE_LIMIT_S)

    def _ensure_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._serve, name="flowbook-publisher", daemon=True)
            self._thread.start()

    def watch(self, target: LiveTarget) -> None:
        """Show this target whenever it has news, for as long as it is open."""
        with self._condition:
            self._watched[target.display_id] = target
            self._ensure_thread()
            self._condition.notify_all()

    def glance(self) -> None:
        """Look soon whether anything that is shown has news: something came that belongs to a firing long ended."""
        if self._is_glance_due:
            return
        with self._condition:
            self._is_glance_due = True
            self._ensure_thread()
            self._condition.notify_all()

    def _serve(self) -> None:
        while True:
            for target in self._next_round():
                self._show(target)
            with self._condition:
                self._shown = self._begun
                self._condition.notify_all()
                self._condition.wait_for(self._is_awaited, INTERVAL_S)

    def _is_awaited(self) -> bool:
        return self._wanted > self._begun

    def _next_round(self) -> list[Target]:
        while True:
            with self._condition:
                look_s = LOOK_S if self._watched else None
                self._condition.wait_for(lambda: bool(self._dirty) or self._is_glance_due, look_s)
                is_marked = bool(self._dirty) and not self._is_glance_due
            if not is_marked:
                self._look()  # not under the lock: targets have locks of their own
            with self._condition:
                if self._dirty:
                    # What is over in a moment is shown once, as it ended.
                    self._condition.wait_for(self._is_awaited, GATHER_S)
                if self._dirty or self._is_awaited():
                    targets, self._dirty = list(self._dirty.values()), {}
                    self._begun += 1
                    return targets

    def _look(self) -> None:
        """Mark what has news."""
        with self._condition:
            due, self._is_glance_due = self._is_glance_due, False
        for target in [*self._watched.values(), *(self._all() if due else ())]:
            if target.is_news:
                self.mark(target)
        with self._condition:
            self._watched = {key: target for key, target in self._watched.items() if target.is_open}

    def _show(self, target: Target) -> None:
        try:
            data = target.render()
            if data is not None:
                self._publish(data, target.display_id)
        except Exception:
            # One output that cannot be drawn must not silence all others.
            logger.exception("flowbook could not show an output")
