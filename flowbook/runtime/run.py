"""A run as its user holds it: to wait for, to cancel, to read values and reasons from."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from flowbook.core.events import RunFinished
from flowbook.core.mapped_types import inside_mapped
from flowbook.core.node_types import ERROR
from flowbook.errors import FlowFailedError, NodeFailedError, RunError, UnknownIdError, did_you_mean
from flowbook.runtime.context import refuse_inside_firing
from flowbook.runtime.copies import copies_of
from flowbook.runtime.execution import GRACE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from flowbook.core.events import Event, RunStatus
    from flowbook.core.node_types import NodeType
    from flowbook.core.packets import ErrorPacket
    from flowbook.runtime.copies import CopyTable
    from flowbook.runtime.decisions import Decision
    from flowbook.runtime.engine import Engine
    from flowbook.runtime.execution import Execution

#: Waits are cut into slices so that an interrupt is seen: a lock, and an event loop, notice it only when they wake.
SLICE_S = 0.05


class EventSource(Protocol):
    """Where a run's events can be read."""

    def get(self, index: int, timeout_s: float | None = None) -> Event | None:
        """Return the event of that number, from 0; None when there is none in time."""
        ...


class RunInterrupt(KeyboardInterrupt):
    """The user interrupted a wait; the run was cancelled. Shown as one line instead of a lock's traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class AwaitInterrupt(asyncio.CancelledError):
    """The same for an ``await``, which a notebook interrupts by cancelling it."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


class Run:
    """One run of a flow.

    Attributes:
        id: 32 hex digits; the same id everywhere the run is named.
        flow: name of the flow.
        trace: what it did, node by node; ``trace.to_json()``, ``trace.frame()``.
    """

    def __init__(
        self,
        execution: Execution,
        trace: Any,
        events: EventSource | None = None,
        *,
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        self._execution = execution
        self._settle = settle
        self._events = events
        self.id = execution.trace_id
        self.flow = execution.plan.flow
        self.trace = trace

    # -- waiting

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the run's end, on the main thread in slices so that Ctrl-C works.

        Args:
            timeout_s: longest wait, seconds; None: for ever.

        Returns:
            Whether the run is over.

        Raises:
            EngineDeadlockError: FB406, called inside a node.
            KeyboardInterrupt: the wait was interrupted; the run was cancelled.
        """
        refuse_inside_firing("run.wait()")
        execution = self._execution
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            while not execution.done.is_set():
                _serve_main_thread(execution.engine)
                left_s = SLICE_S if deadline is None else min(SLICE_S, deadline - time.monotonic())
                if left_s <= 0:
                    return False
                execution.done.wait(left_s)
        except KeyboardInterrupt:
            self._cancel_and_settle()
            raise RunInterrupt(self._was_interrupted) from None
        self._settle()
        return True

    async def _wait_on_loop(self) -> None:
        refuse_inside_firing("await run")
        execution = self._execution
        loop = asyncio.get_running_loop()
        is_over = asyncio.Event()
        execution.on_done(lambda: _call_on(loop, is_over.set))
        is_main = threading.current_thread() is threading.main_thread()
        try:
            while not execution.done.is_set():
                if is_main:
                    _serve_main_thread(execution.engine)
                try:
                    await asyncio.wait_for(is_over.wait(), SLICE_S)
                except TimeoutError:
                    continue
        except (asyncio.CancelledError, KeyboardInterrupt):
            # An interrupted cell: IPython cancels what it awaits. A KeyboardInterrupt would end the kernel's loop.
            self._cancel_and_settle()
            raise AwaitInterrupt(self._was_interrupted) from None

    @property
    def _was_interrupted(self) -> str:
        return f"Interrupted: run {self.id[:4]} of {self.flow} was cancelled"

    def _cancel_and_settle(self) -> None:
        self._execution.cancel()
        self._execution.done.wait(2 * GRACE_S)
        self._settle()

    def __await__(self) -> Generator[Any, None, Run]:
        """Wait for the end.

        Raises:
            FlowFailedError: FB401, a node failed; everything that did not depend on it was finished.
        """
        yield from self._wait_on_loop().__await__()
        self._settle()
        self.raise_errors()
        return self

    def cancel(self) -> None:
        """Start nothing more; ask what fires to end, and give up what does not answer."""
        self._execution.cancel()

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the run is over, or now when it is; it must not block."""
        self._execution.on_done(callback)

    def events(self) -> Iterator[Event]:
        """Yield what happens, from the beginning, until the run is over; every reader gets all of it.

        Raises:
            EngineDeadlockError: FB406, called inside a node.
        """
        refuse_inside_firing("run.events()")
        execution, count = self._execution, 0
        while self._events is not None:
            _serve_main_thread(execution.engine)
            is_over = execution.done.is_set()  # asked first: what came before the end is there then
            execution.show()
            event = self._events.get(count, SLICE_S)
            if event is not None:
                count += 1
                yield event
            if isinstance(event, RunFinished) or (event is None and is_over):
                return

    # -- what came out

    @property
    def status(self) -> RunStatus:
        """running, ok, failed or cancelled."""
        return self._execution.status

    @property
    def recomputed(self) -> list[str]:
        """Ids of the nodes that fired, in the order in which they began."""
        return self._execution.recomputed

    @property
    def errors(self) -> list[ErrorPacket]:
        """One packet per failed node, in topological order, whichever failed first."""
        index = self._execution.plan.index
        found = [entry.error for entry in self._execution.decisions.entered.values() if entry.error is not None]
        return sorted(found, key=lambda error: index[error.node_id])

    @property
    def copies(self) -> CopyTable:
        """What was copied to hand the nodes that fired their inputs: a list of records, and ``copies.table()``."""
        return copies_of(self._execution)

    @property
    def node_ids(self) -> tuple[str, ...]:
        """The nodes that the run covers, in topological order."""
        return self._execution.node_ids

    def __getitem__(self, name: str) -> Any:
        """Return the value of ``"node"`` (its primary output) or ``"node.port"``; ``"node.error"`` is its failure.

        Of a subflow that is the first of those in it.

        Raises:
            UnknownIdError: a KeyError: the run does not cover that node, or there is no such port.
            NodeFailedError: FB402, the node failed; its exception is the cause.
            RunError: FB408, the node did not come to a value.
        """
        nesting = self._execution.plan.nesting
        group, _, port = name.partition(".")
        if port == ERROR and group in nesting.types and (group, port) not in nesting.exits:
            members = nesting.members[group]
            entered = [self._decision(member) for member in members if self._execution.covers(member)] or [
                self._decision(group)
            ]
            return next((entry.error for entry in entered if entry is not None and entry.error is not None), None)
        node_id, _, port = (nesting.output(name) if nesting.types else name).partition(".")
        decision = self._decision(node_id)
        slot = self._execution.plan.slots[self._execution.plan.index[node_id]]
        where = f"flow {self.flow!r}, run {self.id[:4]}"
        if decision is None:
            raise RunError(
                f"{node_id!r} has no value yet", code="FB408", where=where, hint="wait for the run: run.wait()"
            )
        ports = [entry.name for entry in slot.node_type.outputs]
        if port and port not in (*ports, ERROR):
            raise UnknownIdError(f"{node_id!r} has no output {port!r}", where=where, hint=did_you_mean(port, ports))
        if port == ERROR and port not in ports:
            return decision.error
        if decision.error is not None:
            raise node_failed(decision.error, where) from decision.error.cause
        if decision.result is None:
            raise RunError(
                f"{node_id!r} has no value: {decision.reason}", code="FB408", where=where, hint=_remedy(decision)
            )
        index = ports.index(port) if port else slot.primary
        if index is None:
            raise UnknownIdError(
                f"{node_id!r} has several outputs",
                where=where,
                hint="name one: " + ", ".join(f'run["{node_id}.{entry}"]' for entry in ports),
            )
        return self._execution.engine.value_for_user(decision.result, index, slot.node_type.outputs[index].form)

    def _decision(self, node_id: str) -> Decision | None:
        if not self._execution.covers(node_id):
            plan, where = self._execution.plan, f"flow {self.flow!r}, run {self.id[:4]}"

            def type_of(name: str) -> NodeType | None:
                return plan.slots[plan.index[name]].node_type if name in plan.index else None

            raise inside_mapped(node_id, type_of, where) or UnknownIdError(
                f"the run does not cover {node_id!r}",
                where=where,
                hint=did_you_mean(node_id, self._execution.node_ids),
                node=node_id,
            )
        return self._execution.decisions.get(node_id)

    def explain(self, node_id: str) -> str:
        """Say in words why a node fired or did not; of a subflow, a line for each node in it."""
        members = self._execution.plan.nesting.members.get(node_id)
        if members is not None:
            covered = [name for name in members if self._execution.covers(name)]
            return "\n".join(self.explain(name) for name in covered) or f"the run does not cover {node_id}"
        decision = self._decision(node_id)
        if decision is None:
            return f"{node_id} has not been decided yet"
        why = self._execution.reason_to_fire(node_id)
        if why is not None:
            verb = "failed" if decision.status == "failed" else "fired"
            end = f" ({decision.reason})" if decision.status != "ok" else ""
            return f"{node_id} {verb}: {why}{end}"
        if decision.status == "muted":
            return f"{node_id} is muted"
        if decision.result is not None and decision.stamp != "cached":
            return f"{node_id} did not fire: {decision.reason}"
        word = {"ok": "was reused", "skipped": "was skipped", "waiting": "waits"}.get(decision.status, decision.status)
        return f"{node_id} {word}: {decision.reason.removeprefix('skipped: ')}"

    def raise_errors(self) -> None:
        """Raise when a node failed.

        Raises:
            FlowFailedError: FB401; ``.run`` is this run, the first node's exception is the cause.
        """
        if self.status != "failed":
            return
        entered = self._execution.decisions.entered.values()
        failed = [entry for entry in entered if entry.status in ("failed", "unresponsive")]
        errors = self.errors
        listed = "; ".join(f"{error.node_id}: {error.message}" for error in errors[:3])
        what = f"{len(failed)} node{'s' if len(failed) != 1 else ''} failed: {listed}"
        error = FlowFailedError(
            what + (" …" if len(errors) > 3 else ""),
            where=f"flow {self.flow!r}, run {self.id[:4]}" + _line_of(errors),
            hint=errors[0].hint
            if errors and errors[0].hint
            else "flow.last_run.errors lists the failures, flow.last_run.explain(node) says why",
            nodes=[error.node_id for error in errors],
        )
        error.run = self
        raise error from (errors[0].cause if errors else None)

    def __repr__(self) -> str:
        """Show id, flow, status and counts."""
        counts = self.trace.counts()
        parts = [f"{counts[word]} {word}" for word in ("ran", "cached", "failed", "skipped") if counts[word]]
        return f"<run {self.id[:4]} of {self.flow}: {self.status}" + (f", {', '.join(parts)}>" if parts else ">")


def node_failed(error: ErrorPacket, where: str) -> NodeFailedError:
    """Make the exception that reading a failed node's value raises."""
    line = f", line {error.line} of its code" if error.line else ""
    return NodeFailedError(
        f"{error.node_id!r} failed: {error.message}",
        where=where + line,
        hint=error.hint or "mend its code and run the flow again; what does not depend on it is kept",
        node=error.node_id,
    )


def _line_of(errors: list[ErrorPacket]) -> str:
    if not errors or errors[0].line is None:
        return ""
    return f", node {errors[0].node_id!r}, line {errors[0].line}"


def _remedy(decision: Decision) -> str:
    if decision.status == "skipped" and decision.root:
        return f"look at {decision.root!r} first"
    return "run the cell that defines it" if decision.status == "waiting" else ""


def _serve_main_thread(engine: Engine) -> None:
    if engine.main_queue.serve():
        raise KeyboardInterrupt


def _call_on(loop: asyncio.AbstractEventLoop, job: Any) -> None:
    try:
        loop.call_soon_threadsafe(job)
    except RuntimeError:
        return  # the loop was closed meanwhile: nobody waits there any more
