"""What nodes hold on to between firings: connections, models, clients; opened once and always closed.

A node says ``ctx.enter(open_model)`` where it needs the model. The context manager that ``open_model`` makes is entered
at the first firing and kept for the next ones. It is left, last entered first, when

* an attempt of the node fails, is cancelled or overruns its time: the next one opens it anew;
* the node has other code than the one that opened it, or is redefined, removed or deleted with its cell;
* the flow is gone, or the kernel ends.

Nothing is left while somebody uses it: of a firing that was given up and goes on, not before it returns. For a lifetime
of one attempt Python's own ``with`` is the way.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import logging
import threading
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from flowbook.runtime.engine import Engine

#: Longest wait for an asynchronous resource to be left by a thread that is not its loop's, seconds.
_LEAVING_S: Final = 5.0

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Holding:
    """What one node, with one piece of code, has open.

    Attributes:
        code: digest of the node's code.
        values: what entering gave, by digest of what was entered.
        leaving: how to leave, in the order of entering; with whether that has to be awaited.
        user_count: attempts that use it now.
        is_over: nobody is to begin using it.
        lock: held while something is entered, so that two threads of a node enter it once.
    """

    code: str
    node_id: str
    values: dict[str, Any] = field(default_factory=dict)
    leaving: list[tuple[Callable[[], Any], bool]] = field(default_factory=list)
    user_count: int = 0
    is_over: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock)
    #: By loop and name: held while something asynchronous is entered.
    _turns: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Lock]] = field(
        default_factory=weakref.WeakKeyDictionary
    )

    def turn(self, name: str) -> asyncio.Lock:
        """Return what is held while ``name`` is entered on this loop, so that its coroutines enter it once."""
        with self.lock:
            return self._turns.setdefault(asyncio.get_running_loop(), {}).setdefault(name, asyncio.Lock())

    @property
    def is_to_be_left(self) -> bool:
        """Whether nobody uses it any more, nor will."""
        return self.is_over and not self.user_count

    def leave(self, wait_for: Callable[[Coroutine[Any, Any, Any]], object]) -> None:
        """Leave everything, last entered first; what fails is logged and keeps nothing else from being left."""
        while self.leaving:
            leave, is_async = self.leaving.pop()
            try:
                left = leave()
                if is_async:
                    wait_for(left)
            except Exception:
                logger.warning("node %r could not leave a resource", self.node_id, exc_info=True)

    async def leave_async(self) -> None:
        """Do the same on a loop."""
        while self.leaving:
            leave, is_async = self.leaving.pop()
            try:
                left = leave()
                if is_async:
                    await left
            except Exception:
                logger.warning("node %r could not leave a resource", self.node_id, exc_info=True)


class Resources:
    """What the nodes of one flow hold.

    Args:
        engine: its loop leaves what is asynchronous, its threads what a flow held that is gone.
    """

    def __init__(self, engine: Engine) -> None:
        self._wait_for = waiting_on(engine)
        self._lock = threading.Lock()
        self._held: dict[str, Holding] = {}
        #: Let go, and not left yet.
        self._due: list[Holding] = []
        # Garbage is collected on any thread, at any point of its work: nothing of a node's is called there.
        weakref.finalize(self, _leave_soon, self._held, self._wait_for, engine.pool.submit).atexit = False
        _alive.add(self)

    def begin(self, node_id: str, code: str) -> Holding:
        """Give an attempt of a node what it has open; ``end`` says that the attempt is over."""
        with self._lock:
            found = self._held.get(node_id)
            old = None
            if found is None or found.code != code or found.is_over:
                if found is not None:
                    found.is_over = True
                    old = found if found.is_to_be_left else None
                found = self._held[node_id] = Holding(code=code, node_id=node_id)
            found.user_count += 1
        if old is not None:
            old.leave(self._wait_for)
        return found

    def end(self, holding: Holding, *, is_good: bool) -> bool:
        """Say that an attempt is over; whether its resources are to be left now, which is up to the caller."""
        with self._lock:
            holding.user_count -= 1
            if not is_good:
                holding.is_over = True
            if holding.is_over and self._held.get(holding.node_id) is holding:
                del self._held[holding.node_id]
            return holding.is_to_be_left

    def give_up(self, holding: Holding) -> None:
        """Say that an attempt which goes on is not waited for: the next one opens anew, and shares nothing with it."""
        with self._lock:
            holding.is_over = True
            if self._held.get(holding.node_id) is holding:
                del self._held[holding.node_id]

    def end_and_leave(self, holding: Holding, *, is_good: bool) -> None:
        """Do both."""
        if self.end(holding, is_good=is_good):
            holding.leave(self._wait_for)

    def let_go(self, node_id: str) -> None:
        """Leave what a node holds at the next ``leave_due``, or when who uses it is done.

        Whoever edits a flow holds its lock; what nodes opened is left by their own code, which may want that lock.
        """
        with self._lock:
            found = self._held.pop(node_id, None)
            if found is None:
                return
            found.is_over = True
            if found.is_to_be_left:
                self._due.append(found)

    @property
    def has_due(self) -> bool:
        """Whether ``leave_due`` has something to do."""
        return bool(self._due)

    def leave_due(self) -> None:
        """Leave what was let go; called without any lock of the flow's."""
        while self._due:
            with self._lock:
                found = self._due.pop(0) if self._due else None
            if found is not None:
                found.leave(self._wait_for)

    def leave_all(self) -> None:
        """Leave what all nodes hold: the process ends."""
        self.leave_due()
        _leave_all(self._held, self._wait_for)

    def holders(self) -> set[str]:
        """Name the nodes that hold something."""
        with self._lock:
            return set(self._held)

    def rename(self, old: str, new: str) -> None:
        """Let what a node holds follow it."""
        with self._lock:
            found = self._held.pop(old, None)
            if found is not None:
                found.node_id = new
                self._held[new] = found


#: What is open in this process, for its end.
_alive: weakref.WeakSet[Resources] = weakref.WeakSet()


@atexit.register
def _leave_everything() -> None:
    for resources in list(_alive):
        resources.leave_all()


def _leave_soon(
    held: dict[str, Holding],
    wait_for: Callable[[Coroutine[Any, Any, Any]], object],
    submit: Callable[[Callable[[], None]], None],
) -> None:
    if held:
        submit(lambda: _leave_all(held, wait_for))


def _leave_all(held: dict[str, Holding], wait_for: Callable[[Coroutine[Any, Any, Any]], object]) -> None:
    while held:
        held.popitem()[1].leave(wait_for)


def waiting_on(engine: Engine) -> Callable[[Coroutine[Any, Any, Any]], object]:
    """Make what runs a coroutine on the engine's loop and waits for it: not for ever, and not on that loop itself."""
    loop_thread = engine.loop_thread
    under_way: set[asyncio.Task[Any]] = set()

    def wait_for(work: Coroutine[Any, Any, Any]) -> object:
        loop = loop_thread.loop
        if asyncio._get_running_loop() is loop:  # noqa: SLF001 -- the one that does not raise without a loop
            task = loop.create_task(work)
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            return None
        return asyncio.run_coroutine_threadsafe(work, loop).result(_LEAVING_S)

    return wait_for


def name_of(factory: Any, engine: Engine) -> str:
    """Name what is entered: two functions of the same code, with the same values in them, are one."""
    try:
        return engine.code_keys.key(factory).digest if inspect.isfunction(factory) else f"object {id(factory)}"
    except Exception:  # of what cannot be followed only itself is the same
        return f"object {id(factory)}"
