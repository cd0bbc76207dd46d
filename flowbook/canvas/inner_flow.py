"""What is inside a subflow's node, as a view sees it: the nodes of the flow it is made from, with what they came to.

The node ``clean`` made from a flow with ``parse`` and ``fill`` runs as ``clean/parse`` and ``clean/fill``. Looked into,
it is a flow of two nodes called ``parse`` and ``fill``, with the values, statuses and settings that they have in this
place. It is looked at, never edited: whoever changes the flow itself changes it wherever it is used. Of a flow that is
run for each item of a list the nodes are shown as they are wired and set; what they came to is told by item, in the
trace.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flowbook.core.document import dump
from flowbook.core.expansion import SEPARATOR, Nesting
from flowbook.core.flow_data import FlowData
from flowbook.core.subflows import alone
from flowbook.core.wiring import resolve
from flowbook.runtime.plan import Binding, compile_plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbook.core.wiring import Wiring
    from flowbook.runtime.engine import Engine
    from flowbook.runtime.plan import Plan, Slot
    from flowbook.runtime.results import NodeState
    from flowbook.runtime.run import Run


class InnerFlow:
    """Fills ``canvas.live_view.LiveFlow`` for a subflow's node; nothing is in it once that node is gone.

    Args:
        outer: the flow.
        node_id: the node, whole: ``clean``, or ``clean/deeper`` for a subflow in a subflow.
    """

    def __init__(self, outer: Any, node_id: str) -> None:
        self.outer = outer
        self.prefix = node_id + SEPARATOR
        self._node_id = node_id
        self._made: _Made | None = None

    @staticmethod
    def is_there(outer: Any, node_id: str) -> bool:
        """Whether the flow has such a node, made from a flow."""
        return _plan_around(outer.plan, node_id) is not None

    @property
    def name(self) -> str:
        """The flow's name and the node's."""
        return f"{self.outer.name}{SEPARATOR}{self._node_id}"

    @property
    def lock(self) -> Any:
        """The lock of the whole flow."""
        return self.outer.lock

    @property
    def engine(self) -> Engine:
        """Payloads and namespace."""
        engine: Engine = self.outer.engine
        return engine

    @property
    def last_run(self) -> Run | None:
        """The last run of the whole flow."""
        run: Run | None = self.outer.last_run
        return run

    @property
    def data(self) -> FlowData:
        """The inner nodes, with the settings that they have here."""
        return self._now().data

    @property
    def wiring(self) -> Wiring:
        """Edges between them."""
        return self._now().wiring

    @property
    def plan(self) -> Any:
        """Their slots."""
        return self._now()

    @property
    def results(self) -> Any:
        """Their present values."""
        return _Results(self.outer.results, self.prefix, self._now().fed)

    def stale(self) -> dict[str, str]:
        """Reasons by inner node."""
        return self._inside(self.outer.stale())

    def ahead(self) -> set[str]:
        """Inner nodes that runs under way have not come to."""
        return set(self._inside(dict.fromkeys(self.outer.ahead())))

    def letter_counts(self) -> Mapping[str, int]:
        """Count the dead letters of inner nodes."""
        return self._inside(self.outer.letter_counts())

    def document_text(self) -> str:
        """The document of the inner flow."""
        return dump(self.data)

    def _inside(self, by_node: Mapping[str, Any]) -> dict[str, Any]:
        return {name.removeprefix(self.prefix): said for name, said in by_node.items() if name.startswith(self.prefix)}

    def _now(self) -> _Made:
        plan: Plan = self.outer.plan
        if self._made is None or self._made.plan is not plan:
            self._made = _Made(self.outer, plan, self._node_id, self.prefix)
        return self._made


class _Made:
    """The part of a plan that is inside a subflow's node, under the names it has there."""

    def __init__(self, outer: Any, plan: Plan, node_id: str, prefix: str) -> None:
        self.plan = plan
        plan = _plan_around(plan, node_id) or plan
        node_type = plan.nesting.types.get(node_id)
        body = node_type.body if node_type is not None else None
        inner = [slot for slot in plan.slots if slot.node_id.startswith(prefix)] if body is not None else []
        self.data = body.data.copy() if body is not None else FlowData(id=outer.name)
        self.data.revision = outer.data.revision
        self.wiring = resolve(self.data)
        self.nesting = _nesting_inside(plan.nesting, prefix)
        #: Nodes outside that give values to inner ones, with the output, by ``inner node.port``.
        self.fed: dict[str, tuple[str, int | None]] = {}
        self.slots = [self._named_inside(plan, slot, place, prefix) for place, slot in enumerate(inner)]
        self.index = {slot.node_id: slot.index for slot in self.slots}
        for slot in self.slots:
            node = self.data.nodes.get(slot.node_id)
            if node is not None:
                settings = {spec.name: slot.settings[spec.name] for spec in slot.node_type.settings}
                self.data.nodes[slot.node_id] = replace(node, settings={**node.settings, **settings})

    def _named_inside(self, plan: Plan, slot: Slot, place: int, prefix: str) -> Slot:
        named = copy.copy(slot)
        named.node_id, named.index = slot.node_id.removeprefix(prefix), place
        named.bindings = tuple(self._opened(plan, named.node_id, binding, prefix) for binding in slot.bindings)
        return named

    def _opened(self, plan: Plan, node_id: str, binding: Binding, prefix: str) -> Binding:
        """What comes from outside the subflow is given to it."""
        if binding.kind != "edge" or plan.slots[binding.source].node_id.startswith(prefix):
            return binding
        self.fed[f"{node_id}.{binding.name}"] = (plan.slots[binding.source].node_id, binding.output)
        return Binding(name=binding.name, kind="open", port=binding.port)


def _plan_around(plan: Plan, node_id: str) -> Plan | None:
    """Return the plan in which a node is taken apart, or None.

    It is the flow's own, save for a flow that is run for each item, and for what is inside of one.
    """
    parts = node_id.split(SEPARATOR)
    for depth in range(1, len(parts) + 1):
        if node_id in plan.nesting.types:
            return plan
        name = SEPARATOR.join(parts[:depth])
        slot = plan.slots[plan.index[name]] if name in plan.index else None
        if slot is not None and slot.node_type.mapped is not None:
            expansion = alone(plan.flow, name, slot.node_type.mapped, slot.settings, ())
            plan = compile_plan(expansion.data, expansion.wiring)
            plan.nesting = expansion.nesting
    return plan if node_id in plan.nesting.types else None


def _nesting_inside(nesting: Nesting, prefix: str) -> Nesting:
    cut = len(prefix)
    return Nesting(
        types={name[cut:]: found for name, found in nesting.types.items() if name.startswith(prefix)},
        members={
            name[cut:]: tuple(member[cut:] for member in members)
            for name, members in nesting.members.items()
            if name.startswith(prefix)
        },
        entries={
            (name[cut:], port): tuple((leaf[cut:], entry) for leaf, entry in ends)
            for (name, port), ends in nesting.entries.items()
            if name.startswith(prefix)
        },
        exits={
            (name[cut:], port): (leaf[cut:], found)
            for (name, port), (leaf, found) in nesting.exits.items()
            if name.startswith(prefix)
        },
    )


@dataclass(frozen=True, slots=True)
class _Results:
    """What the nodes inside came to."""

    outer: Any
    prefix: str
    fed: Mapping[str, tuple[str, int | None]]

    def state(self, node_id: str) -> NodeState:
        """What is known of an inner node."""
        state: NodeState = self.outer.state(self.prefix + node_id)
        return state

    @property
    def cache(self) -> Any:
        """The cache of the whole flow."""
        return self.outer.cache

    @property
    def given(self) -> dict[str, Any]:
        """What inner nodes take from outside: of other nodes what they came to, and what runs were given."""
        found = {key.removeprefix(self.prefix): value for key, value in self.outer.given.items()}
        sources: dict[str, set[tuple[str, int | None]]] = {}
        for end, fed in self.fed.items():
            sources.setdefault(end.partition(".")[2], set()).add(fed)
        for end, (source, output) in self.fed.items():
            result = self.outer.state(source).result
            if result is not None and output is not None and 0 <= output < len(result.outputs):
                name = end.partition(".")[2]
                key = name if len(sources[name]) == 1 else end  # named as the flow's own input is, where that is clear
                found[key] = result.collected.get(output, result.outputs[output])
        return found
