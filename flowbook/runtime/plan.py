"""A flow compiled for running: integer slots in topological order, names only at the edges."""

from __future__ import annotations

import itertools
from collections.abc import Set
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from flowbook.core.document import policy_with_overrides
from flowbook.core.expansion import Nesting
from flowbook.core.node_types import ERROR
from flowbook.core.records import record
from flowbook.core.topology import find_cycle, topological_order
from flowbook.errors import AmbiguousNameError, FlowbookError, UnknownIdError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flowbook.core.flow_data import FlowData
    from flowbook.core.node_types import NodeType, Port
    from flowbook.core.policies import FlowPolicy, Policy
    from flowbook.core.wiring import Link, Wiring
    from flowbook.runtime.decisions import Request

#: Output index of the error port.
ERROR_INDEX = -1

#: What slots without settings share; it is never changed.
_NONE_SET: Final[dict[str, Any]] = {}

_ItemT = TypeVar("_ItemT")
BindingKind = Literal["edge", "constant", "open", "problem"]


@record
class Binding:
    """Where one parameter of a slot gets its value.

    Attributes:
        name: the parameter.
        kind: ``edge`` (another slot's output), ``constant`` (of the document), ``open`` (the run's inputs, the
            notebook, the function's default), ``problem`` (reading it is an error).
        port: the input port; None for a setting that an edge feeds.
        source: slot that gives, for edges.
        output: index among the source's outputs, ``ERROR_INDEX`` for its error port, None when it must be asked at run
            time (a stub).
        value: the constant; what reading it raises, for problems; for the error port of a subflow, of whose nodes
            ``source`` is one, its name and the further slots whose failures are read.
    """

    name: str
    kind: BindingKind
    port: Port | None = None
    source: int = 0
    output: int | None = None
    value: Any = None

    @property
    def error(self) -> FlowbookError | None:
        """What reading it raises."""
        return self.value if self.kind == "problem" else None

    @property
    def group(self) -> str:
        """The subflow whose error port is read."""
        return self.value[0] if self.kind == "edge" and self.value is not None else ""

    @property
    def others(self) -> tuple[int, ...]:
        """The further slots of that subflow whose failures are read."""
        return self.value[1] if self.kind == "edge" and self.value is not None else ()

    @property
    def sources(self) -> tuple[int, ...]:
        """The slots that give, for edges: one, save for the error port of a subflow."""
        return (self.source,) if self.value is None else (self.source, *self.others)


@dataclass(slots=True, kw_only=True)
class Slot:
    """One node, ready to be run.

    Attributes:
        index: its place in the plan.
        node_id: its name.
        node_type: what it is made from.
        policy: type and node policy merged.
        settings: values by name, JSON form, defaults filled in.
        bindings: input ports in order, then settings that an edge feeds.
        strays: slots from which edges lead here that it does not read, for there is no such input or output. It comes
            after them all the same.
        successors: slots that read it.
        is_leaf: nobody reads its values (its errors, perhaps).
    """

    index: int
    node_id: str
    node_type: NodeType
    policy: Policy
    settings: dict[str, Any]
    bindings: tuple[Binding, ...] = ()
    strays: tuple[int, ...] = ()
    successors: tuple[int, ...] = ()
    is_leaf: bool = True

    @property
    def predecessors(self) -> tuple[int, ...]:
        """Slots it reads."""
        found = [source for binding in self.bindings if binding.kind == "edge" for source in binding.sources]
        return tuple(found) if len(found) < 2 else tuple(dict.fromkeys(found))

    @property
    def primary(self) -> int | None:
        """Index of the primary output, or None when there are several and none bears the node's name."""
        name = self.node_type.primary_output(self.node_id)
        return next((index for index, port in enumerate(self.node_type.outputs) if port.name == name), None)


class _Everything(Set[int]):
    """The indexes of all slots, as a set that takes no memory."""

    __slots__ = ("_range",)

    def __init__(self, count: int) -> None:
        self._range = range(count)

    def __contains__(self, index: object) -> bool:
        return index in self._range

    def __iter__(self) -> Iterator[int]:
        return iter(self._range)

    def __len__(self) -> int:
        return len(self._range)

    @classmethod
    def _from_iterable(cls, found: Iterable[_ItemT]) -> Set[_ItemT]:
        return frozenset(found)  # what is left of it is any set


@dataclass(slots=True, kw_only=True)
class Plan:
    """Slots in topological order; nodes on or behind a loop come last, in no order.

    Attributes:
        flow: name of the flow.
        slots: all of them.
        index: slot of each node id.
        policy: the flow's policy.
        cycle: node ids of one loop, the first repeated at the end; empty when there is none.
        looped: ids of nodes on or behind a loop.
        revision: of the flow data it was compiled from.
        everything: the indexes of all slots.
        node_ids: the ids of all slots, in their order.
        is_as_added: the slots come in the order in which the nodes were added to the flow.
        family: the same object in all plans of the same nodes in the same order.
        nesting: where the nodes of subflows went.
        changed: slots that may differ from those of other plans of the family.
        requests: what is asked of a run of all of it, with force and without; they are the same for all of the family.
    """

    flow: str
    slots: list[Slot]
    index: dict[str, int]
    policy: FlowPolicy
    cycle: list[str]
    looped: frozenset[str]
    revision: int
    everything: Set[int] = frozenset()
    node_ids: tuple[str, ...] = ()
    is_as_added: bool = False
    family: object = None
    changed: frozenset[int] = frozenset()
    requests: dict[bool, Request] = field(default_factory=dict)
    nesting: Nesting = field(default_factory=Nesting)

    def __post_init__(self) -> None:
        """Make once what most runs ask for."""
        self.begin_family()

    def begin_family(self) -> None:
        """Become the first plan of its nodes."""
        self.everything = _Everything(len(self.slots))
        self.node_ids = tuple(slot.node_id for slot in self.slots)
        self.family, self.changed, self.requests = object(), frozenset(), {}

    def upstream(self, node_ids: list[str]) -> set[int]:
        """Return the slots of these nodes and of everything they read, directly or not."""
        return self._reach([self.index[node_id] for node_id in node_ids], forward=False)

    def downstream(self, node_ids: list[str]) -> set[int]:
        """Return the slots of these nodes and of everything that reads them, directly or not."""
        return self._reach([self.index[node_id] for node_id in node_ids], forward=True)

    def _reach(self, starts: list[int], *, forward: bool) -> set[int]:
        seen = set(starts)
        waiting = list(seen)
        while waiting:
            slot = self.slots[waiting.pop()]
            for other in slot.successors if forward else slot.predecessors:
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        return seen


def compile_plan(flow: FlowData, wiring: Wiring) -> Plan:
    """Compile a flow; O(nodes + ports + edges). A loop is kept in ``cycle`` for whoever wants to run into it."""
    node_ids = list(flow.nodes)
    order = topological_order(node_ids, wiring.successors)
    ordered = set(order)
    looped = [node_id for node_id in node_ids if node_id not in ordered]
    index = {node_id: number for number, node_id in enumerate([*order, *looped] if looped else order)}
    slots = [_slot(flow, wiring, node_id, index) for node_id in index]
    readers: dict[int, list[int]] = {}
    for slot in slots:
        for source in slot.predecessors:
            readers.setdefault(source, []).append(slot.index)
        for binding in slot.bindings:
            if binding.kind == "edge" and binding.output != ERROR_INDEX:
                slots[binding.source].is_leaf = False
    for source, found in readers.items():
        slots[source].successors = tuple(found)
    return Plan(
        flow=flow.id,
        slots=slots,
        index=index,
        policy=flow.policy,
        cycle=find_cycle(node_ids, wiring.successors) if looped else [],
        looped=frozenset(looped),
        revision=flow.revision,
        is_as_added=order == node_ids,
    )


def renewed_plan(plan: Plan | None, flow: FlowData, wiring: Wiring) -> Plan:
    """Return the plan of a flow that was edited; runs that go on keep theirs.

    Only the slots of nodes that an edit stirred are made anew, and nodes that were added at the end come at the end.
    What moves slots (a node that goes, an edge against the order, one less where nodes are not in the order in which
    they were added) compiles the flow anew. Either way the plan is the one that ``compile_plan`` makes.

    Args:
        plan: of the flow as it was when ``wiring.stirred`` was emptied last, or None.
        flow: as it is now.
        wiring: of it.
    """
    stirred = wiring.stirred
    if plan is None or stirred is None or plan.looped or len(stirred) > max(16, len(flow.nodes) // 2):
        return compile_plan(flow, wiring)
    return _with_slots(plan, flow, wiring, stirred) or compile_plan(flow, wiring)


def _with_slots(plan: Plan, flow: FlowData, wiring: Wiring, stirred: set[str]) -> Plan | None:  # noqa: C901, PLR0912
    """Make the slots of these nodes anew; None when that would move others."""
    added = [node_id for node_id in stirred if node_id not in plan.index]
    last = list(itertools.islice(reversed(flow.nodes), len(added)))[::-1]
    if set(last) != set(added):
        return None
    other = Plan.__new__(Plan)  # neither compiled, nor copied by way of pickle's protocol: a slider waits for it
    for name in Plan.__slots__:
        setattr(other, name, getattr(plan, name))
    other.slots, other.policy, other.revision = plan.slots.copy(), flow.policy, flow.revision
    if added:
        other.index = plan.index | {node_id: place for place, node_id in enumerate(last, start=len(plan.index))}
    lost: dict[int, set[int]] = {}  # readers by source
    won: dict[int, set[int]] = {}
    made: set[int] = set()
    for place in sorted(other.index[node_id] for node_id in stirred):
        before = plan.slots[place] if place < len(plan.slots) else None
        slot = _slot(flow, wiring, last[place - len(plan.slots)] if before is None else before.node_id, other.index)
        sources = {*slot.predecessors, *slot.strays}
        if any(source >= place for source in sources):
            return None
        were = before.predecessors if before is not None else ()
        if before is not None and not plan.is_as_added and not sources.issuperset({*were, *before.strays}):
            return None
        for source in set(were).difference(slot.predecessors):
            lost.setdefault(source, set()).add(place)
        for source in slot.predecessors:  # also those it read before: it may read another output
            won.setdefault(source, set()).add(place)
        if before is None:
            other.slots.append(slot)
        else:
            slot.successors, slot.is_leaf = before.successors, before.is_leaf
            other.slots[place] = slot
        made.add(place)
    for source in lost.keys() | won.keys():
        _renew_readers(other, source, lost.get(source, set()), won.get(source, set()), is_own=source in made)
    if added:
        other.begin_family()
    else:
        other.changed = plan.changed | made | lost.keys() | won.keys()
    return other


def _renew_readers(plan: Plan, source: int, lost: set[int], won: set[int], *, is_own: bool) -> None:
    """Enter with a slot who reads it now; it is made anew unless that has happened."""
    slot = plan.slots[source]
    there = set(slot.successors)
    readers = slot.successors if not lost and won <= there else tuple(sorted((there - lost) | won))
    is_leaf = not any(
        binding.kind == "edge" and binding.source == source and binding.output != ERROR_INDEX
        for index in readers
        for binding in plan.slots[index].bindings
    )
    if is_own:
        slot.successors, slot.is_leaf = readers, is_leaf
    elif readers is not slot.successors or is_leaf != slot.is_leaf:
        plan.slots[source] = replace(slot, successors=readers, is_leaf=is_leaf)


def _slot(flow: FlowData, wiring: Wiring, node_id: str, index: dict[str, int]) -> Slot:
    node, node_type = flow.nodes[node_id], flow.type_of(node_id)
    bindings = [_port_binding(flow, wiring, node_id, port, index) for port in node_type.inputs]
    for spec in node_type.settings:
        link = wiring.links.get((node_id, spec.name))
        if link is not None:
            bindings.append(_edge_binding(flow, link, None, index))
    edges = [binding for binding in bindings if binding.kind == "edge"]
    ports = flow.edges.ports_of(node_id)
    is_whole = not ports or ports <= {binding.name for binding in edges}
    return Slot(
        index=index[node_id],
        node_id=node_id,
        node_type=node_type,
        policy=policy_with_overrides(node_type.policy, node.policy),
        settings={spec.name: node.settings.get(spec.name, spec.default) for spec in node_type.settings} or _NONE_SET,
        bindings=tuple(bindings),
        strays=() if is_whole else _strays(flow, wiring, node_id, edges, index),
    )


def _strays(
    flow: FlowData, wiring: Wiring, node_id: str, edges: list[Binding], index: dict[str, int]
) -> tuple[int, ...]:
    ports = sorted(flow.edges.ports_of(node_id) - {binding.name for binding in edges})
    return tuple(index[wiring.links[node_id, port].source] for port in ports if (node_id, port) in wiring.links)


def _port_binding(flow: FlowData, wiring: Wiring, node_id: str, port: Port, index: dict[str, int]) -> Binding:
    key = (node_id, port.name)
    link = wiring.links.get(key)
    if link is not None:
        return _edge_binding(flow, link, port, index)
    constants = flow.nodes[node_id].settings
    if port.name in constants:
        return Binding(name=port.name, kind="constant", port=port, value=constants[port.name])
    if key in wiring.ambiguous:
        candidates = wiring.ambiguous[key]
        error = AmbiguousNameError(
            f"{node_id}.{port.name} could be " + " or ".join(candidates),
            where=f"{flow.where}, node {node_id!r}",
            hint=f'flow.connect("{candidates[0]}", "{node_id}.{port.name}")',
            candidates=list(candidates),
        )
        return Binding(name=port.name, kind="problem", port=port, value=error)
    return Binding(name=port.name, kind="open", port=port)


def _edge_binding(flow: FlowData, link: Link, port: Port | None, index: dict[str, int]) -> Binding:
    if link.failing:
        failing = sorted(index[source] for source in (link.source, *link.others))
        return Binding(
            name=link.target_port,
            kind="edge",
            port=port,
            source=failing[0],
            output=ERROR_INDEX,
            value=(link.group, tuple(failing[1:])),
        )
    outputs = [output.name for output in flow.type_of(link.source).outputs]
    output: int | None = None
    if link.source_port in outputs:
        output = outputs.index(link.source_port)
    elif link.source_port == ERROR:
        output = ERROR_INDEX
    elif link.source_port is not None and flow.type_of(link.source).origin != "stub":
        unknown = UnknownIdError(
            f"{link.source!r} has no output {link.source_port!r}",
            where=f"{flow.where}, node {link.target!r}",
            hint=did_you_mean(link.source_port, outputs),
            port=link.source_port,
        )
        return Binding(name=link.target_port, kind="problem", port=port, value=unknown)
    return Binding(name=link.target_port, kind="edge", port=port, source=index[link.source], output=output)
