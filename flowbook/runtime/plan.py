"""A flow compiled for running: integer slots in topological order, names only at the edges."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from flowbook.core.document import policy_with_overrides
from flowbook.core.expansion import Nesting
from flowbook.core.node_types import ERROR
from flowbook.core.topology import find_cycle, topological_order
from flowbook.errors import AmbiguousNameError, FlowbookError, UnknownIdError, did_you_mean

if TYPE_CHECKING:
    from flowbook.core.flow_data import FlowData
    from flowbook.core.node_types import NodeType, Port
    from flowbook.core.policies import FlowPolicy, Policy
    from flowbook.core.wiring import Link, Wiring

#: Output index of the error port.
ERROR_INDEX = -1

BindingKind = Literal["edge", "constant", "open", "problem"]


@dataclass(frozen=True, slots=True, kw_only=True)
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
        value: the constant.
        error: what reading it raises.
    """

    name: str
    kind: BindingKind
    port: Port | None = None
    source: int = 0
    output: int | None = None
    value: Any = None
    error: FlowbookError | None = None


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
        predecessors: slots it reads.
        successors: slots that read it.
        is_leaf: nobody reads its values (its errors, perhaps).
    """

    index: int
    node_id: str
    node_type: NodeType
    policy: Policy
    settings: dict[str, Any]
    bindings: tuple[Binding, ...] = ()
    predecessors: tuple[int, ...] = ()
    successors: list[int] = field(default_factory=list)
    is_leaf: bool = True

    @property
    def primary(self) -> int | None:
        """Index of the primary output, or None when there are several and none bears the node's name."""
        name = self.node_type.primary_output(self.node_id)
        return next((index for index, port in enumerate(self.node_type.outputs) if port.name == name), None)


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
        family: the same object in all plans that differ in settings alone.
        nesting: where the nodes of subflows went.
        changed: slots that may differ from those of other plans of the family.
    """

    flow: str
    slots: list[Slot]
    index: dict[str, int]
    policy: FlowPolicy
    cycle: list[str]
    looped: frozenset[str]
    revision: int
    everything: frozenset[int] = frozenset()
    node_ids: tuple[str, ...] = ()
    family: object = None
    changed: frozenset[int] = frozenset()
    nesting: Nesting = field(default_factory=Nesting)

    def __post_init__(self) -> None:
        """Make once what most runs ask for."""
        self.everything = frozenset(range(len(self.slots)))
        self.node_ids = tuple(slot.node_id for slot in self.slots)
        self.family = object()

    def with_settings(self, node_id: str, settings: dict[str, Any], revision: int) -> Plan:
        """Return this plan with other settings of one node; runs that go on keep theirs.

        Args:
            node_id: the node.
            settings: all of its settings, JSON form.
            revision: of the flow data from now on.
        """
        index = self.index[node_id]
        other = copy.copy(self)
        other.slots = self.slots.copy()
        other.slots[index] = replace(self.slots[index], settings=settings)
        other.changed, other.revision = self.changed | {index}, revision
        return other

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
    index = {node_id: number for number, node_id in enumerate([*order, *looped])}
    slots = [_slot(flow, wiring, node_id, index) for node_id in index]
    for slot in slots:
        for source in slot.predecessors:
            slots[source].successors.append(slot.index)
        for binding in slot.bindings:
            if binding.kind == "edge" and binding.output != ERROR_INDEX:
                slots[binding.source].is_leaf = False
    return Plan(
        flow=flow.id,
        slots=slots,
        index=index,
        policy=flow.policy,
        cycle=find_cycle(node_ids, wiring.successors) if looped else [],
        looped=frozenset(looped),
        revision=flow.revision,
    )


def _slot(flow: FlowData, wiring: Wiring, node_id: str, index: dict[str, int]) -> Slot:
    node, node_type = flow.nodes[node_id], flow.type_of(node_id)
    bindings = [_port_binding(flow, wiring, node_id, port, index) for port in node_type.inputs]
    for spec in node_type.settings:
        link = wiring.links.get((node_id, spec.name))
        if link is not None:
            bindings.append(_edge_binding(flow, link, None, index))
    return Slot(
        index=index[node_id],
        node_id=node_id,
        node_type=node_type,
        policy=policy_with_overrides(node_type.policy, node.policy),
        settings={spec.name: node.settings.get(spec.name, spec.default) for spec in node_type.settings},
        bindings=tuple(bindings),
        predecessors=tuple(dict.fromkeys(binding.source for binding in bindings if binding.kind == "edge")),
    )


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
        return Binding(name=port.name, kind="problem", port=port, error=error)
    return Binding(name=port.name, kind="open", port=port)


def _edge_binding(flow: FlowData, link: Link, port: Port | None, index: dict[str, int]) -> Binding:
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
        return Binding(name=link.target_port, kind="problem", port=port, error=unknown)
    return Binding(name=link.target_port, kind="edge", port=port, source=index[link.source], output=output)
