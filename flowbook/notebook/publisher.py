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
    from collections.abc import Callable

#: Between two rounds of updates, seconds: at most eight a second (a server drops more than a thousand messages a
#: second).
INTERVAL_S = 0.125
_SETTLE_LIMIT_S = 10.0

logger = logging.getLogger(__name__)


class Target(Protocol):
    """Something shown in an output that can be shown again."""

    display_id: str

    def render(self) -> dict[str, Any] | None:
        """Make the mime bundle as it should look now; None leaves the output as it is."""
        ...


class Publisher:
    """See the module's docstring.

    Args:
        publish: ``(data, display_id)``: send one update.
    """

    def __init__(self, publish: Callable[[dict[str, Any], str], None]) -> None:
        self._publish = publish
        self._condition = threading.Condition()
        self._dirty: dict[str, Target] = {}
        self._round_count = 0
        self._is_urgent = False
        self._thread: threading.Thread | None = None

    def mark(self, target: Target) -> None:
        """Show this target again soon."""
        with self._condition:
            self._dirty[target.display_id] = target
            self._ensure_thread()
            self._condition.notify_all()

    def settle(self) -> None:
        """Show everything that is marked before returning; returns at once on the publishing thread itself."""
        with self._condition:
            if threading.current_thread() is self._thread:
                return
            self._is_urgent = True
            self._condition.notify_all()
            self._condition.wait_for(lambda: not self._dirty and not self._is_publishing, _SETTLE_LIMIT_S)
            self._is_urgent = False

    _is_publishing = False

    def _ensure_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._serve, name="flowbook-publisher", daemon=True)
            self._thread.start()

    def _serve(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: bool(self._dirty))
                targets, self._dirty = list(self._dirty.values()), {}
                self._is_publishing = True
            for target in targets:
                self._show(target)
            with self._condition:
                self._is_publishing = False
                self._condition.notify_all()
                self._condition.wait_for(lambda: self._is_urgent, INTERVAL_S)

    def _show(self, target: Target) -> None:
        try:
            data = target.render()
            if data is not None:
                self._publish(data, target.display_id)
        except Exception:
            # One output that cannot be drawn must not silence all others.
            logger.exception("flowbook could not show an output")
