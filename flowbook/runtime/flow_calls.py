"""A flow run for one item of a list: a run of its own within a firing, of which nothing is kept but what comes out.

It fires its nodes one after the other, so that no more of them are at work than items are. What its nodes hold open
and the state of the run they share with the flow around it; nothing else lasts until the next item.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from flowbook.core.events import NodeFinished
from flowbook.core.mapped_types import no_inputs
from flowbook.core.node_types import ERROR
from flowbook.core.subflows import GIVEN, alone
from flowbook.errors import RunError, UnknownIdError
from flowbook.runtime.decisions import Request, refuse_loops
from flowbook.runtime.letters import is_taken
from flowbook.runtime.plan import compile_plan
from flowbook.runtime.results import FlowResults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowbook.core.events import Event
    from flowbook.core.interfaces import Effects, ItemSpan, PayloadCopy
    from flowbook.core.packets import ErrorPacket
    from flowbook.runtime.execution import Execution
    from flowbook.runtime.plan import Slot

#: What all items print together is kept up to here: entries, and displays.
_MOST_ENTRIES, _MOST_DISPLAYS = 2_000, 64
#: So many firings inside are kept of the first items, and as many again of those that failed.
_MOST_FIRINGS: Final = 1_000
#: How often somebody looks whether a node has answered that was given up, seconds.
_LOOK_S: Final = 0.02


class InnerFailure(Exception):  # noqa: N818 -- never raised to a user: it carries the packet of an inner node
    """A node of the flow failed; ``packet`` says how."""

    def __init__(self, packet: ErrorPacket) -> None:
        super().__init__(packet.message)
        self.packet = packet


class Room:
    """What may still be kept of what the items of a mapped node do; those of mapped nodes inside it share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries, self._displays = _MOST_ENTRIES, _MOST_DISPLAYS
        self._firings = {False: _MOST_FIRINGS, True: _MOST_FIRINGS}

    def fit(self, effects: Effects) -> Effects:
        """Return what of the effects of one firing is kept, and take its place."""
        if not (effects.entries or effects.displays):
            return effects
        with self._lock:
            entries, displays = effects.entries[: self._entries], effects.displays[: self._displays]
            self._entries -= len(entries)
            self._displays -= len(displays)
        dropped_count = effects.dropped_count + len(effects.entries) - len(entries)
        return replace(effects, entries=entries, displays=displays, dropped_count=dropped_count)

    def has_for(self, count: int, *, failed: bool = False) -> bool:
        """Whether so many firings of one item may be kept; takes their place."""
        with self._lock:
            if self._firings[failed] < count:
                return False
            self._firings[failed] -= count
            return True


@dataclass(slots=True)
class Notes:
    """What the call of a flow leaves behind besides values and effects.

    Attributes:
        copies: what was copied, by input; what was for the nodes inside is under no input's name.
        files: ``(path, size, mtime_ns)`` of the files that its nodes read lazily, as they were then.
        left: of nodes that were given up, tests whether they still run.
    """

    copies: list[tuple[str, tuple[PayloadCopy, ...]]] = field(default_factory=list)
    files: tuple[tuple[str, int, int], ...] = ()
    left: list[Callable[[], bool]] = field(default_factory=list)


class FlowCalls:
    """Runs the flow of a mapped node for its items.

    Args:
        run: the run around it.
        slot: the mapped node.
        settings: its settings and constants, JSON form.
        given: inputs and fed settings of which each item brings a value, or all share one.
        room: for what is kept of what happens inside.

    Attributes:
        is_cancelled: the whole firing is being cancelled. Whoever did it gives up what does not answer, and waits for
            its return; so calls do not end before.

    Raises:
        UnknownIdError: FB201, it is mapped over an input that the flow has not, or has no more.
        CycleError: FB203, the nodes of the flow read each other in a loop.
    """

    def __init__(self, run: Execution, slot: Slot, settings: Mapping[str, Any], given: set[str], room: Room) -> None:
        self._run, self._slot, self._room = run, slot, room
        self.is_cancelled = False
        flow_type = slot.node_type.mapped
        assert flow_type is not None  # noqa: S101 -- asked before
        missing = [name for name in slot.node_type.each_names if flow_type.input(name) is None]
        if missing:
            known = ", ".join(port.name for port in flow_type.inputs)
            raise UnknownIdError(
                f"{slot.node_id!r} is run for each item of {missing[0]!r}, which is no input of its flow",
                where=f"flow {run.plan.flow!r}, node {slot.node_id!r}",
                hint=f'flow.set_policy("{slot.node_id}", each=…) with some of: {known}'
                if known
                else no_inputs(slot.node_id),
                node=slot.node_id,
            )
        self._given = [name for name in flow_type.parameter_names if name in given]
        own = {name: value for name, value in settings.items() if name not in given}
        expansion = alone(run.plan.flow, slot.node_id, flow_type, own, self._given)
        self._plan = compile_plan(expansion.data, expansion.wiring)
        self._plan_size = sum(not slot.node_id.startswith(GIVEN) for slot in self._plan.slots)
        self._exits = [expansion.nesting.exits[slot.node_id, port.name] for port in flow_type.outputs]
        refuse_loops(self._plan, self._plan.everything)

    async def call(
        self, arguments: Mapping[str, Any], effects: Effects, span: ItemSpan, notes: Notes
    ) -> tuple[Any, ...]:
        """Run the flow once.

        Args:
            arguments: of the item, by input.
            effects: gets what its nodes print and display.
            span: gets what happened inside.
            notes: gets what else is to be known of it.

        Returns:
            The values of its outputs.

        Raises:
            InnerFailure: a node failed, and no other one took the failure.
            CancelledError: it was cancelled; nothing of it fires any more.
        """
        run = self._run
        events: list[Event] = []
        request = Request(
            scope=self._plan.everything,
            overrides={GIVEN + name: (arguments[name],) for name in self._given},
            is_explicit=run.request.is_explicit,
        )
        execution = type(run)(self._plan, request, FlowResults(), run.engine, events.append)
        execution.trace_id = run.trace_id
        execution.room = self._room
        run.share_with(execution)
        # Asked for before nodes inside ask, in the order in which items begin: the first items are told whole.
        is_told = bool(span.inner) or self._room.has_for(self._plan_size)
        try:
            await self._ended(execution)
        finally:
            notes.left += execution.results.unresponsive.values()
            notes.copies += [("", event.copies) for event in events if isinstance(event, NodeFinished) and event.copies]
            self._tell(events, effects, span, is_told=is_told)
        values = self._outcome(execution)
        results = [decision.result for decision in execution.decisions.entered.values() if decision.result is not None]
        notes.files = tuple(dict.fromkeys(entry for result in results for entry in result.files))
        return values

    async def _ended(self, execution: Execution) -> None:
        """Start a run and wait for it; who is cancelled meanwhile cancels it, and waits for what it is firing."""
        loop = asyncio.get_running_loop()
        is_over = asyncio.Event()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was left
                loop.call_soon_threadsafe(is_over.set)

        execution.on_done(tell)
        execution.start()
        cancelled: asyncio.CancelledError | None = None
        left = execution.results.unresponsive
        while not is_over.is_set() or (self.is_cancelled and any(still_runs() for still_runs in left.values())):
            try:
                await (asyncio.sleep(_LOOK_S) if is_over.is_set() else is_over.wait())
            except asyncio.CancelledError as error:
                cancelled = error
                execution.cancel()
        if cancelled is not None:
            raise cancelled

    def _tell(self, events: list[Event], effects: Effects, span: ItemSpan, *, is_told: bool) -> None:
        ended = []
        for event in events:
            if not isinstance(event, NodeFinished) or event.node_id.startswith(GIVEN):
                continue
            own = event.effects
            if own is not None:
                if own.items is None:  # those of a mapped node were fitted one by one
                    own = self._room.fit(own)
                effects.entries += own.entries
                effects.displays += own.displays
                effects.dropped_count += own.dropped_count
            ended.append(event if own is event.effects else replace(event, effects=own))
        is_failed = any(event.error is not None for event in ended)
        if is_told or (is_failed and self._room.has_for(self._plan_size, failed=True)):
            span.inner = tuple(ended)

    def _outcome(self, execution: Execution) -> tuple[Any, ...]:
        for slot in execution.plan.slots:
            decision = execution.decisions.get(slot.node_id)
            if decision is not None and decision.error is not None and not is_taken(execution, slot):
                packet = decision.error
                raise InnerFailure(replace(packet, message=f"{packet.node_id}: {packet.message}"))
        return tuple(self._value(execution, node_id, port) for node_id, port in self._exits)

    def _value(self, execution: Execution, node_id: str, port: str) -> Any:
        slot = execution.plan.slots[execution.plan.index[node_id]]
        if port == ERROR and slot.node_type.output_names.count(ERROR) == 0:
            return execution.error_of(slot)
        result = execution.result_of(slot)
        if result is None:
            decision = execution.decisions.get(node_id)
            raise RunError(
                f"{node_id!r} gave nothing: {decision.reason if decision is not None else 'it did not run'}",
                code="FB431",
                where=f"flow {execution.plan.flow!r}, node {self._slot.node_id!r}",
                hint="what an item comes to is what the leaves of its flow give",
                node=node_id,
            )
        return execution.engine.value_for_user(result, slot.node_type.output_names.index(port))
