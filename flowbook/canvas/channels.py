"""One browser's line to the kernel, whatever carries it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from flowbook.canvas.messages import MAX_MESSAGE_BYTES, sendable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


#: How long a browser that answers pings may be silent while it is told things, and then leave a ping unanswered.
SILENCE_S: Final = 30.0

#: What a channel delivers when it was closed; no browser can say it.
CLOSED: Final = object()

logger = logging.getLogger(__name__)


class Channel:
    """See the module's docstring. Everything but ``receive`` and ``close`` belongs to the hub's thread.

    Args:
        send: sends one message to the browser, and with ``buffers=`` what goes beside it as bytes; whatever it raises,
            the line is dead then.
        deliver: takes what the browser sends, and ``CLOSED``.
        hang_up: ends the line from this side, or None.
        flow: the one flow it is about; None: any flow of the kernel, by name.
        can_write: the browser can write into cells of a notebook.

    Attributes:
        flows: flows it is subscribed to, by the name it said.
        awaited: names it asked for that no flow bears yet, with the runs it asked for.
        answers_pings: it said so.
        is_greeted: it said who it is.
        is_dead: it could not be told something, or has long been silent.
    """

    def __init__(
        self,
        send: Callable[..., None],
        deliver: Callable[[Channel, Any], None],
        *,
        hang_up: Callable[[], None] | None = None,
        flow: Any = None,
        can_write: bool = False,
    ) -> None:
        self.flow = flow
        self.can_write = can_write
        self.flows: dict[str, Any] = {}
        self.awaited: dict[str, tuple[str, ...]] = {}
        self.answers_pings = self.is_greeted = False
        self.is_dead = False
        self._send = send
        self._deliver = deliver
        self._hang_up = hang_up
        self._silent_since: float | None = None
        self._is_pinged = False

    def receive(self, message: Any) -> None:
        """Take a message; returns at once, whatever it is."""
        self._deliver(self, message)

    def close(self) -> None:
        """Forget this browser."""
        self._deliver(self, CLOSED)

    def tell(self, message: Any, buffers: Sequence[bytes] = ()) -> bool:
        """Send a message, with bytes beside it; False when it is too large to arrive, and nothing was sent."""
        if self.is_dead:
            return True
        try:
            sent, size_bytes = sendable(message)
            if size_bytes > MAX_MESSAGE_BYTES:
                logger.warning("flowbook did not send a message of %.0f MB to a browser", size_bytes / 1e6)
                return False
            if buffers:
                self._send(sent, buffers=list(buffers))
            else:
                self._send(sent)
        except Exception:
            logger.exception("flowbook could not tell a browser of %s", message.get("flow", message.get("kind")))
            self.is_dead = True
        return True

    def heard(self) -> None:
        """It has said something, so somebody is there (again)."""
        self._silent_since, self._is_pinged, self.is_dead = None, False, False

    def still_listens(self, now: float) -> bool:
        """Tell whether it is worth telling it something; pings a browser that has said nothing for long.

        A page that is reloaded or closed does not say so, and would be told things for as long as the kernel lives.
        """
        if self._silent_since is None:
            self._silent_since = now
        if not self.answers_pings or now - self._silent_since < SILENCE_S:
            return True
        if not self._is_pinged:
            self._is_pinged, self._silent_since = True, now
            self.tell({"kind": "ping"})
            return True
        self.is_dead = True
        if self._hang_up is not None:
            self._hang_up()
        return False
