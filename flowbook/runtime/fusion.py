"""Lazy fusion: nodes that take and give lazy tables are built one after the other and computed together, once.

A *region* is a largest set of such nodes in which the plans can grow from node to node with no rows in between. Its
nodes are fired like all others, which only builds their plans; what they gave is *parked* here until every node of the
region has been built, and then the tables that somebody needs (*exits*: leaves, targets, pinned nodes, and whatever
is read in another form) are collected in one pass. A node that takes no part, and why, is said by ``why_not``.

What ends a region: a reader that asks for a table or an array in memory, a node that is pinned or kept on disk,
``fusion="off"`` on either side, nodes of kind io and stateful, nodes that are retried, a process of its own, a packet,
and a node in between that needs rows (its result comes back into the region, so the region cannot be computed in one
go).

Nothing here knows what a lazy table is, or calls node code; all but ``compute`` is called under the run's lock.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from flowbook.errors import RunCancelledError
from flowbook.runtime import disk_results
from flowbook.runtime.plan import ERROR_INDEX

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from flowbook.runtime.decisions import Decision, Request
    from flowbook.runtime.plan import Binding, Plan, Slot
    from flowbook.runtime.results import FlowResults, NodeResult

#: How long built nodes wait for one of their region that reads something slow, seconds; then they go without it.
PATIENCE_S: Final = 1.0
#: Forms in which a reader takes a plan as it is.
_AS_PLAN: Final = ("", "LazyFrame")


class Collecting:
    """One pass over a region, as taps see it: they count for it, and end it when it is cancelled."""

    def __init__(self) -> None:
        self.is_cancelled = False
        self._left: set[int] = set()

    def expect(self, indexes: Iterable[int]) -> None:
        """Say for whose sake it goes on."""
        self._left = set(indexes)

    def look(self, rows: int) -> None:  # noqa: ARG002 -- what a tap calls
        """End it when nobody needs it any more.

        Raises:
            RunCancelledError: to end it.
        """
        if self.is_cancelled:
            raise RunCancelledError("cancelled")

    def leave(self, index: int) -> None:
        """One of them needs it no more; without any it ends at the next batch."""
        self._left.discard(index)
        if not self._left:
            self.end()

    def end(self) -> None:
        """Nobody needs it any more; it ends at the next batch."""
        self.is_cancelled = True


class Tally:
    """Counts the rows that flow out of one lazy output while its region is computed; closed at all other times.

    Attributes:
        rows: that flowed in the last pass, >= 0; None before the first. A filter or a limit that polars moved to the
            other side of the tap is in the number: it says what flowed, not what would have.
    """

    __slots__ = ("_lock", "_pass", "rows")

    def __init__(self) -> None:
        self.rows: int | None = None
        self._pass: Collecting | None = None
        self._lock = threading.Lock()

    def open(self, one_pass: Collecting) -> bool:
        """Count anew; False when another pass counts already."""
        with self._lock:
            if self._pass is not None:
                return False
            self._pass, self.rows = one_pass, 0
            return True

    def close(self, *, is_good: bool) -> None:
        """Count no more; a pass that failed counted nothing."""
        with self._lock:
            self._pass = None
            if not is_good:
                self.rows = None

    def __call__(self, rows: int) -> None:
        """Count one batch.

        Raises:
            RunCancelledError: nobody needs the rest.
        """
        one_pass = self._pass
        if one_pass is None:
            return
        if one_pass.is_cancelled:
            raise RunCancelledError("cancelled")
        with self._lock:
            if self._pass is one_pass and self.rows is not None:
                self.rows += rows


@dataclass(slots=True, kw_only=True)
class Parked:
    """A node that was built, or reused, and waits for its region.

    Attributes:
        slot: the node.
        decision: what it comes to when all goes well.
        firing: the firing that built it; None when it was reused.
        built_s: how long building took, seconds.
        wanted: outputs whose rows somebody needs.
    """

    slot: Slot
    decision: Decision
    firing: Any
    built_s: float
    wanted: tuple[int, ...]

    @property
    def result(self) -> NodeResult:
        """What it gave."""
        assert self.decision.result is not None  # noqa: S101 -- only values are parked
        return self.decision.result


@dataclass(slots=True, kw_only=True)
class Region:
    """Nodes that are computed together.

    Attributes:
        members: their slots.
        pending: those that were neither built nor decided.
        parked: those that wait, by slot.
        disarm: takes back the timer of its patience.
    """

    members: frozenset[int]
    pending: set[int]
    parked: dict[int, Parked] = field(default_factory=dict)
    disarm: Callable[[], None] | None = None

    def take(self) -> list[Parked]:
        """Give what is parked, in topological order; the region may park more later."""
        if self.disarm is not None:
            self.disarm()
            self.disarm = None
        taken = [self.parked[index] for index in sorted(self.parked)]
        self.parked = {}
        return taken


class Fusion:
    """The regions of one run.

    Args:
        plan: what is run.
        request: which part, and with what.
        results: present values: they tell which nodes without annotations give lazy tables.
        rest: slots that are decided one by one.
    """

    def __init__(self, plan: Plan, request: Request, results: FlowResults, rest: Collection[int]) -> None:
        self._plan = plan
        self._request = request
        self._rest = frozenset(rest)
        with results.lock:
            members = [index for index in sorted(rest) if builds_plans(plan.slots[index], request, results)]
        self.region_of: dict[int, Region] = {}
        #: Built, and not decided yet; also while they are computed.
        self._built: dict[int, NodeResult] = {}
        self._apart: dict[tuple[int, int], str] = {}
        if members:
            self._find(members)

    # -- finding regions

    def _find(self, members: list[int]) -> None:
        group = {index: {index} for index in members}
        for index in members:
            for binding in self._plan.slots[index].bindings:
                if binding.kind != "edge" or binding.source not in group or group[binding.source] is group[index]:
                    continue
                if not _passes_plans(self._plan, self._plan.slots[index], binding):
                    continue
                both = group[binding.source] | group[index]
                between = self._between(both, group)
                if between is not None:
                    self._apart[binding.source, index] = between
                    continue
                for member in both:
                    group[member] = both
        for index in members:
            if index not in self.region_of:
                region = Region(members=frozenset(group[index]), pending=set(group[index]))
                self.region_of.update(dict.fromkeys(region.members, region))

    def _between(self, both: set[int], group: Mapping[int, set[int]]) -> str | None:
        """Say what keeps slots from being computed in one go: one needs rows of another; None when nothing does."""
        slots = self._plan.slots
        for index in both:
            for binding in slots[index].bindings:
                is_inside = binding.kind == "edge" and not both.isdisjoint(binding.sources)
                if is_inside and not _passes_plans(self._plan, slots[index], binding):
                    return f"{slots[index].node_id} needs rows of {slots[binding.source].node_id}"
        seen: set[int] = set()
        waiting = [(source, source) for index in both for source in slots[index].predecessors if source not in both]
        while waiting:
            index, nearest = waiting.pop()
            if index in both:
                return f"{slots[nearest].node_id} stands between them and needs rows"
            if index in seen or index not in self._rest:
                continue
            seen.add(index)
            for other in group.get(index, (index,)):
                seen.add(other)
                waiting += [(source, nearest) for source in slots[other].predecessors if source not in seen]
        return None

    def needs_rows(self, slot: Slot) -> tuple[int, ...]:
        """List the outputs whose rows are needed where the plan ends: by a person, or by a reader out of the region."""
        every = tuple(range(len(slot.node_type.outputs)))
        if is_shown(slot, self._request) or ends_plan(slot):
            return every
        wanted = {
            slot.primary if binding.output is None else binding.output
            for reader in self._readers(slot)
            for binding in self._plan.slots[reader].bindings
            if binding.kind == "edge" and binding.source == slot.index and self._is_barrier(slot, reader, binding)
        }
        return tuple(output for output in every if output in wanted)

    def _readers(self, slot: Slot) -> list[int]:
        """Slots of the run that will read it."""
        return [
            reader
            for reader in slot.successors
            if reader in self._rest
            and self._plan.slots[reader].node_type.function is not None
            and not self._plan.slots[reader].policy.muted
            and not self._plan.slots[reader].policy.bypassed
            and self._plan.slots[reader].node_id not in self._request.overrides
        ]

    def _is_barrier(self, slot: Slot, reader: int, binding: Binding) -> bool:
        if binding.output == ERROR_INDEX or binding.port is None:
            return False
        if self._plan.slots[reader].policy.fusion == "off":
            return True
        if (slot.index, reader) in self._apart:
            return True
        return binding.port.form not in _AS_PLAN

    def rows_needed_by(
        self, reader: Slot, result_of: Callable[[Slot], NodeResult | None], is_plan: Callable[[object], bool]
    ) -> list[tuple[Slot, NodeResult, tuple[int, ...]]]:
        """List what a slot that fires needs rows of, and that is a plan still: sources, their values, the outputs."""
        found: dict[int, tuple[NodeResult, set[int]]] = {}
        for binding in reader.bindings:
            source = self._plan.slots[binding.source]
            if binding.kind != "edge" or not self._is_barrier(source, reader.index, binding):
                continue
            result, output = result_of(source), source.primary if binding.output is None else binding.output
            if result is None or output is None or binding.name in reader.node_type.packet_names:
                continue
            if output not in result.collected and is_plan(result.outputs[output]):
                found.setdefault(binding.source, (result, set()))[1].add(output)
        return [(self._plan.slots[index], result, tuple(sorted(outputs))) for index, (result, outputs) in found.items()]

    # -- parking

    def parks(self, slot: Slot, result: NodeResult | None, *, is_reused: bool) -> bool:
        """Whether a node that was built waits for its region; one that was reused does when rows of it are missing."""
        if result is None or slot.index not in self.region_of:
            return False
        if not is_reused:
            return True
        return is_shown(slot, self._request) and len(result.collected) < len(result.outputs)

    def park(self, entry: Parked) -> tuple[Region, list[int], bool]:
        """Let a node wait.

        Returns:
            Its region; the slots of it that may go on as if the node were decided; whether all have been built.
        """
        index = entry.slot.index
        region = self.region_of[index]
        region.parked[index] = entry
        region.pending.discard(index)
        self._built[index] = entry.result
        inner = [reader for reader in dict.fromkeys(entry.slot.successors) if reader in region.members]
        return region, inner, not region.pending

    def decided(self, index: int) -> Region | None:
        """Note that a slot was decided; gives its region when that completes it."""
        region = self.region_of.get(index)
        if region is None:
            return None
        self._built.pop(index, None)
        region.parked.pop(index, None)
        if index not in region.pending:
            return None
        region.pending.discard(index)
        return region if not region.pending and region.parked else None

    def built(self, slot: Slot) -> NodeResult | None:
        """What a node gave that waits for its region, or is computed with it; None for all others."""
        return self._built.get(slot.index)

    @property
    def is_waiting(self) -> bool:
        """Whether something is parked or computed."""
        return bool(self._built)

    # -- saying why

    def why_not(self, members: Collection[int]) -> dict[str, str]:
        """Say for the lazy edges that lead out of, or into, a set of slots why they were not fused, by neighbour."""
        found: dict[str, str] = {}
        slots = self._plan.slots
        for index in sorted(members):
            for binding in slots[index].bindings:
                if binding.kind == "edge" and binding.source not in members:
                    source = slots[binding.source]
                    before = f"{source.node_id} was computed before: {slots[index].node_id} starts from its table"
                    found.setdefault(source.node_id, self._why(source, slots[index], binding) or before)
            for reader in slots[index].successors:
                for binding in slots[reader].bindings if reader not in members and reader in self._rest else ():
                    if binding.kind == "edge" and binding.source == index:
                        why = self._why(slots[index], slots[reader], binding)
                        found.setdefault(slots[reader].node_id, why or f"{slots[reader].node_id} was computed before")
        return found

    def _why(self, source: Slot, reader: Slot, binding: Binding) -> str:
        form = binding.port.form if binding.port is not None else ""
        reasons = [
            self._apart.get((source.index, reader.index), ""),
            _why_no_member(source),
            _why_no_member(reader),
            f"{source.node_id} is pinned: its table is kept" if source.policy.pinned else "",
            f"{source.node_id} is kept on disk" if disk_results.is_meant(source) else "",
            f"{reader.node_id}.{binding.name} asks for a {form}" if form not in _AS_PLAN else "",
            f"{source.node_id} was computed before this run" if source.index not in self._rest else "",
            *(f"{slot.node_id} gives no lazy table" for slot in (source, reader) if slot.index not in self.region_of),
        ]
        return next((reason for reason in reasons if reason), "")


def is_shown(slot: Slot, request: Request) -> bool:
    """Whether a person will look at the rows: leaves, targets, pinned nodes; or the disk keeps them."""
    return slot.is_leaf or slot.policy.pinned or slot.node_id in request.targets or disk_results.is_meant(slot)


def ends_plan(slot: Slot) -> bool:
    """Whether the lazy tables that a slot gives are collected where they are made, whoever reads them."""
    return slot.policy.fusion == "off" or slot.policy.kind != "pure" or is_retried(slot)


def is_retried(slot: Slot) -> bool:
    """Whether a slot gets another attempt; then an attempt ends with its tables, which readers never see half made."""
    retry = slot.policy.retry
    return retry is not None and retry.max_attempts > 1


def builds_plans(slot: Slot, request: Request, results: FlowResults) -> bool:
    """Whether a slot gives lazy tables and may be computed together with others; under the lock of ``results``."""
    if slot.node_type.function is None or slot.node_id in request.overrides or _why_no_member(slot):
        return False
    if any(port.form == "LazyFrame" for port in slot.node_type.outputs):
        return True
    # Without annotations, as in most cells, a node does what it did the last time.
    if any(port.form for port in slot.node_type.outputs):
        return False
    result = results.state(slot.node_id).result
    return result is not None and (bool(result.collected) or (result.shape is not None and result.shape.is_lazy))


def _why_no_member(slot: Slot) -> str:
    policy = slot.policy
    if policy.fusion == "off":
        return f"fusion is off for {slot.node_id}"
    if policy.kind != "pure":
        return f"{slot.node_id} is {policy.kind}: what it gives is not the same twice"
    if policy.isolation == "process":
        return f"{slot.node_id} runs in a process of its own"
    if is_retried(slot):
        return f"{slot.node_id} is retried by itself"
    if policy.muted or policy.bypassed:
        return f"{slot.node_id} is {'muted' if policy.muted else 'bypassed'}: it adds no step"
    return ""


def _passes_plans(plan: Plan, reader: Slot, binding: Binding) -> bool:
    """Whether an edge between two members carries a plan."""
    source = plan.slots[binding.source]
    if source.policy.pinned or disk_results.is_meant(source) or binding.output == ERROR_INDEX or binding.port is None:
        return False
    return binding.port.form in _AS_PLAN and binding.name not in reader.node_type.packet_names
