"""What a node may ask of the engine while it fires."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from flowbook.errors import EngineDeadlockError, RunError
from flowbook.runtime.capture import current_effects
from flowbook.runtime.resources import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from flowbook.core.interfaces import Effects
    from flowbook.runtime.engine import Engine
    from flowbook.runtime.resources import Holding, Resources
    from flowbook.runtime.run_state import RunState

T = TypeVar("T")

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the engine lends a firing that asks for a context.

    Attributes:
        engine: digests code, makes arrays.
        resources: what the nodes of the flow hold.
        state: shared by the nodes of the run.
        kind: of the node: pure, stateful or io.
        code: digest of the node's code.
    """

    engine: Engine
    resources: Resources
    state: RunState
    kind: str
    code: str


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
        services: Services | None = None,
    ) -> None:
        self._services = services
        self._holding: Holding | None = None
        self.flow = flow
        self.node_id = node_id
        self.trace_id = trace_id
        self.attempt = attempt
        self.effects = effects
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
        return self._asked_for("ctx.empty()").engine.payloads.empty(shape, dtype)

    @property
    def state(self) -> RunState:
        """What the nodes of this run share: a mapping, empty when the run begins; safe while nodes fire in parallel.

        Raises:
            RunError: FB414, the node is pure: it would be reused with what the state was in another run.
        """
        services = self._asked_for("ctx.state")
        if services.kind == "pure":
            raise RunError(
                f"{self.node_id!r} is pure, so its value is reused; what a run shares is not",
                code="FB414",
                where=f"flow {self.flow!r}, node {self.node_id!r}",
                hint='a node that uses ctx.state fires in every run: @flow.node(kind="stateful"), --kind stateful',
            )
        return services.state

    def enter(self, factory: Callable[[], AbstractContextManager[T]]) -> T:
        """Enter a context manager once, and keep what it gives for the later firings of this node.

        It is left when an attempt fails, is cancelled or overruns its time, when the node's code is another or is gone,
        and when the kernel ends; never while the node uses it. What ends with the attempt needs ``with`` alone.

        Args:
            factory: makes the context manager; a function of the same code, with the same values in it, is entered
                once. (A ``sqlite3.Connection`` does not close itself: give ``contextlib.closing(sqlite3.connect(…))``.)
        """
        services, holding = self._hold("ctx.enter()")
        name = name_of(factory, services.engine)
        with holding.lock:
            if name not in holding.values:
                manager = factory()
                holding.values[name] = manager.__enter__()
                holding.leaving.append((partial(manager.__exit__, None, None, None), False))
            value: T = holding.values[name]
            return value

    async def enter_async(self, factory: Callable[[], AbstractAsyncContextManager[T]]) -> T:
        """Do the same with an asynchronous one: ``client = await ctx.enter_async(httpx.AsyncClient)``."""
        services, holding = self._hold("ctx.enter_async()")
        name = name_of(factory, services.engine)
        async with holding.turn(name):  # who waits for one that fails or is cancelled enters it then
            if name not in holding.values:
                manager = factory()
                value = await manager.__aenter__()
                holding.values[name] = value
                holding.leaving.append((partial(manager.__aexit__, None, None, None), True))
        kept: T = holding.values[name]
        return kept

    def _asked_for(self, what: str) -> Services:
        if self._services is None:
            raise RunError(
                f"{what} is asked for outside a firing",
                code="FB415",
                where=f"flow {self.flow!r}, node {self.node_id!r}",
                hint="ask for it in the node's own code, by a parameter annotated fb.Context",
            )
        return self._services

    def _hold(self, what: str) -> tuple[Services, Holding]:
        services = self._asked_for(what)
        if self._holding is None:
            self._holding = services.resources.begin(self.node_id, services.code)
            if self.cancelled:
                services.resources.give_up(self._holding)
        return services, self._holding

    def attempt_ended(self, *, is_good: bool) -> None:
        """The attempt is over: what it has entered is kept, or left; used by the engine."""
        holding, self._holding = self._holding, None
        if holding is not None and self._services is not None:
            self._services.resources.end_and_leave(holding, is_good=is_good and not self.cancelled)

    async def attempt_ended_async(self, *, is_good: bool) -> None:
        """The same, on the loop."""
        holding, self._holding = self._holding, None
        if holding is None or self._services is None:
            return
        if self._services.resources.end(holding, is_good=is_good and not self.cancelled):
            await holding.leave_async()

    def cancel(self) -> None:
        """Ask the firing to end; used by the engine."""
        self._is_cancelled.set()
        holding = self._holding
        if holding is not None and self._services is not None:
            self._services.resources.give_up(holding)


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
