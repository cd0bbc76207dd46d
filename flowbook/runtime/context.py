"""What a node may ask of the engine while it fires."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from flowbook.errors import EngineDeadlockError
from flowbook.runtime.capture import current_effects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowbook.core.interfaces import Effects, Payloads

#: The firing whose code is running here; tasks that it starts inherit it.
current_firing: ContextVar[Context | SweptFiring | None] = ContextVar("flowbook_current_firing", default=None)
#: Firings that have not returned, by the id of their effects: threads that a node starts carry these.
_in_progress: dict[int, Context] = {}


def note_in_progress(context: Context) -> None:
    """Remember a firing for the threads that it starts, until ``forget_in_progress``."""
    _in_progress[id(context.effects)] = context


def forget_in_progress(effects: Effects) -> None:
    """The firing with these effects is over."""
    _in_progress.pop(id(effects), None)


@contextmanager
def firing_in_progress(context: Context) -> Iterator[None]:
    """Mark the block as code of this firing."""
    token = current_firing.set(context)
    _in_progress[id(context.effects)] = context
    try:
        yield
    finally:
        del _in_progress[id(context.effects)]
        with suppress(ValueError):  # ended in another context: a coroutine that nobody waited for
            current_firing.reset(token)


class SweptFiring:
    """Stands for the firing of whichever node a sweep is calling.

    Args:
        node_here: the id of that node, and what it prints; None when no node is being called.
        flow: name of the flow.
        trace_id: id of the run.
    """

    def __init__(self, node_here: Callable[[], tuple[str, Effects] | None], flow: str, trace_id: str) -> None:
        self._node_here = node_here
        #: The firing that the sweep was taken out of; its code may go on for long.
        self.pinned: Context | None = None
        self._flow = flow
        self._trace_id = trace_id

    def context(self) -> Context | None:
        """Make the context of the node that is being called."""
        if self.pinned is not None:
            return self.pinned
        here = self._node_here()
        if here is None:
            return None
        node_id, effects = here
        return Context(flow=self._flow, node_id=node_id, trace_id=self._trace_id, attempt=1, effects=effects)


def firing_here() -> Context | None:
    """Return the firing whose code asks, also from a thread that it started; None outside and after its end."""
    firing = current_firing.get()
    if isinstance(firing, SweptFiring):
        return firing.context()
    effects = firing.effects if firing is not None else current_effects()
    return _in_progress.get(id(effects)) if effects is not None else None


class Context:
    """Services of the engine, for a node parameter annotated ``fb.Context``.

    Attributes:
        flow: name of the flow.
        node_id: the node.
        trace_id: id of the run, 32 hex digits.
        attempt: 1 for the first try.
        effects: what the firing printed and displayed so far; filled by the engine.
    """

    def __init__(
        self,
        *,
        flow: str,
        node_id: str,
        trace_id: str,
        attempt: int,
        effects: Effects,
        payloads: Payloads | None = None,
    ) -> None:
        self.flow = flow
        self.node_id = node_id
        self.trace_id = trace_id
        self.attempt = attempt
        self.effects = effects
        self._payloads = payloads
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
        self.effects.progress = min(1.0, max(0.0, float(share)))

    def empty(self, shape: Any, dtype: Any = "float64") -> Any:
        """Make an array of any content, to be filled and returned.

        In a node with ``isolation="process"`` it stands in memory that the kernel sees as well, so that returning it
        copies nothing, however large it is; elsewhere it is an array like any other.

        Args:
            shape: as ``numpy.empty`` takes it.
            dtype: as ``numpy.empty`` takes it.

        Returns:
            A numpy array that can be written to until the node returns it.

        Raises:
            MemoryError: more than there is, or than the node's ``memory_bytes``.
            RunError: FB425, the values between processes take as much memory as they may already.
        """
        if self._payloads is None:
            raise RuntimeError("this context was made without an engine")
        return self._payloads.empty(shape, dtype)

    def cancel(self) -> None:
        """Ask the firing to end; used by the engine."""
        self._is_cancelled.set()


def refuse_inside_flow(what: str, flow: str) -> None:
    """Raise when the caller is a node of that flow: each run would ask for the next one, for ever.

    Raises:
        EngineDeadlockError: FB406.
    """
    firing = firing_here()
    if firing is not None and firing.flow == flow:
        raise EngineDeadlockError(
            f"{what} was called inside node {firing.node_id!r} of the same flow; it would run itself again and again",
            where=f"flow {firing.flow!r}, node {firing.node_id!r}",
            hint="connect the other node to an input of this one instead of running it from here",
        )


def refuse_inside_firing(what: str) -> None:
    """Raise when the caller is a node: it would wait for the engine that waits for it.

    Raises:
        EngineDeadlockError: FB406.
    """
    firing = firing_here()
    if firing is not None:
        raise EngineDeadlockError(
            f"{what} was called inside node {firing.node_id!r}; it would wait for itself",
            where=f"flow {firing.flow!r}, node {firing.node_id!r}",
            hint="connect the other node to an input of this one instead of running it from here",
        )
