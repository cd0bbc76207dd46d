"""What a node may ask of the engine while it fires."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING

from flowbook.errors import EngineDeadlockError

if TYPE_CHECKING:
    from flowbook.core.interfaces import Effects

#: The firing whose code is running here; set in the node's own context and handed on to threads it starts.
current_firing: ContextVar[Context | None] = ContextVar("flowbook_current_firing", default=None)


class Context:
    """Services of the engine, for a node parameter annotated ``fb.Context``.

    Attributes:
        flow: name of the flow.
        node_id: the node.
        trace_id: id of the run, 32 hex digits.
        attempt: 1 for the first try.
    """

    def __init__(self, *, flow: str, node_id: str, trace_id: str, attempt: int, effects: Effects) -> None:
        self.flow = flow
        self.node_id = node_id
        self.trace_id = trace_id
        self.attempt = attempt
        self._effects = effects
        self._is_cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Whether the run wants this firing to end; a long loop should look and return."""
        return self._is_cancelled.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait, but not longer than until the firing is cancelled; returns whether it was."""
        return self._is_cancelled.wait(timeout_s)

    def progress(self, share: float) -> None:
        """Report how much is done, 0 to 1."""
        self._effects.progress = min(1.0, max(0.0, float(share)))

    def cancel(self) -> None:
        """Ask the firing to end; used by the engine."""
        self._is_cancelled.set()


def refuse_inside_firing(what: str) -> None:
    """Raise when the caller is a node: it would wait for the engine that waits for it.

    Raises:
        EngineDeadlockError: FB406.
    """
    firing = current_firing.get()
    if firing is not None:
        raise EngineDeadlockError(
            f"{what} was called inside node {firing.node_id!r}; it would wait for itself",
            where=f"flow {firing.flow!r}, node {firing.node_id!r}",
            hint="connect the other node to an input of this one instead of running it from here",
        )
