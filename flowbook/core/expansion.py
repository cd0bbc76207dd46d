"""A flow taken apart: the nodes of its subflows among its own, under whole names such as ``clean/parse``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from flowbook.core.flow_data import SUBFLOW_POLICY, FlowData, NodeInstance
from flowbook.core.node_types import ERROR
from flowbook.core.wiring import Link, Wiring, resolve
from flowbook.errors import UnknownIdError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbook.core.node_types import NodeType

#: Between the node of a subflow and a node in it: ``clean/parse``.
SEPARATOR = "/"

#: A node and one of its ports or settings.
End = tuple[str, str]


@dataclass(slots=True)
class Nesting:
    """Where the nodes of subflows went. All names are whole: ``outer/inner``.

    Attributes:
        types: type of each subflow's node.
        members: leaf nodes in it, in their order.
        entries: what an input port or setting of it leads to: ``(node, port or setting)``.
        exits: what gives an output port of it.
    """

    types: dict[str, NodeType] = field(default_factory=dict)
    members: dict[str, tuple[str, ...]] = field(default_factory=dict)
    entries: dict[End, tuple[End, ...]] = field(default_factory=dict)
    exits: dict[End, End] = field(default_factory=dict)

    def output(self, name: str) -> str:
        """Say which leaf's ``node.port`` gives ``"node"`` or ``"node.port"``; other names come back as they are.

        Raises:
            UnknownIdError: a subflow without that output, or with several when none is named.
        """
        node_id, _, port = name.partition(".")
        node_type = self.types.get(node_id)
        if node_type is None:
            return name
        chosen = port or node_type.primary_output(node_id.rpartition(SEPARATOR)[2])
        found = self.exits.get((node_id, chosen or ""))
        if found is None:
            names = [entry.name for entry in node_type.outputs]
            what = f"has no output {port!r}" if port else "has several outputs" if names else "has no outputs"
            hint = (
                did_you_mean(port, names) if port else "name one: " + ", ".join(f"{node_id}.{each}" for each in names)
            )
            raise UnknownIdError(f"{node_id!r} {what}", hint=hint if names else "", node=node_id)
        return ".".join(found)

    def ends(self, node_id: str) -> tuple[str, ...]:
        """Name the leaves of a subflow that give its outputs; those of any other name are itself."""
        found = dict.fromkeys(leaf for (group, _), (leaf, _) in self.exits.items() if group == node_id)
        return tuple(found) or self.members.get(node_id, (node_id,))


@dataclass(slots=True)
class Expansion:
    """A flow without subflows, that does the same.

    Attributes:
        data: nodes and types of it; the flow itself when it has no subflow.
        wiring: of ``data``.
        outer: of the flow as it is written.
        nesting: where the subflows went.
    """

    data: FlowData
    wiring: Wiring
    outer: Wiring
    nesting: Nesting = field(default_factory=Nesting)


@dataclass(frozen=True, eq=False)
class Body:
    """The flow that a node type stands for.

    Attributes:
        data: a copy; who changes the flow makes a new type.
        origin: the same object for all copies of one flow.
        inputs: input port -> inner ``(node, port)`` that it feeds.
        settings: setting -> inner ``(node, setting)``.
        outputs: output port -> inner ``(node, port)`` that gives it.
        mapped: types of nodes that run it for each item, by the inputs that take lists (``core.mapped_types``).
    """

    data: FlowData
    origin: object
    inputs: Mapping[str, tuple[End, ...]]
    settings: Mapping[str, End]
    outputs: Mapping[str, End]
    mapped: dict[tuple[str, ...], NodeType] = field(default_factory=dict)

    @cached_property
    def expansion(self) -> Expansion:
        """The flow without the subflows in it."""
        return expand(self.data)

    def contains(self, origin: object) -> bool:
        """Whether that flow is this one, or used somewhere in it."""
        inner = (node_type.body for node_type in self.data.types.values() if node_type.body is not None)
        return self.origin is origin or any(body.contains(origin) for body in inner)


def expand(data: FlowData, outer: Wiring | None = None) -> Expansion:
    """Take a flow's subflows apart, those in them too; O(nodes + ports + edges) of the whole.

    Args:
        data: the flow.
        outer: its wiring, if that is known.
    """
    outer = outer or resolve(data)
    if all(node_type.body is None for node_type in data.types.values()):
        return Expansion(data, outer, outer)
    expander = _Expander(data)
    for node in data.nodes.values():
        expander.take(node)
    for link in outer.links.values():
        expander.connect(link)
    for key, candidates in outer.ambiguous.items():
        for end in expander.nesting.entries.get(key, (key,)):
            expander.wiring.ambiguous[end] = candidates
    return expander.ended(outer)


def whole(group: str, name: str) -> str:
    """Name a node of a subflow from outside."""
    return f"{group}{SEPARATOR}{name}"


class _Expander:
    """Puts nodes and edges of all levels into one flow."""

    def __init__(self, data: FlowData) -> None:
        self.data = data
        self.flat = FlowData(id=data.id, policy=data.policy, revision=data.revision)
        self.wiring = Wiring()
        self.nesting = Nesting()

    def take(self, node: NodeInstance) -> None:
        """Take over a node, or the nodes of a subflow in its place."""
        node_type = self.data.type_of(node.id)
        if node_type.body is None:
            if node_type.mapped is not None:  # two nodes may run one flow for the items of different inputs
                node = replace(node, type_id=node_type.type_id)
            self.flat.nodes[node.id] = node
            self.flat.types[node.type_id] = node_type
            return
        self._take_nodes(node, node_type.body)
        self._take_edges(node.id, node_type.body.expansion.wiring)
        self._note(node.id, node_type, node_type.body)
        self._note_deeper(node.id, node_type.body.expansion.nesting)

    def _take_nodes(self, node: NodeInstance, body: Body) -> None:
        own: dict[str, dict[str, Any]] = {}
        for name, value in node.settings.items():
            for target, port in (body.settings[name],) if name in body.settings else body.inputs.get(name, ()):
                own.setdefault(target, {})[port] = value
        handed_down = {name: node.policy[name] for name in SUBFLOW_POLICY if name in node.policy}
        inner = body.expansion.data
        for name, leaf in inner.nodes.items():
            # Two flows may each have code of one name.
            type_id = whole(node.id, leaf.type_id)
            self.flat.types[type_id] = inner.type_of(name)
            self.flat.nodes[whole(node.id, name)] = replace(
                leaf,
                id=whole(node.id, name),
                type_id=type_id,
                settings={**leaf.settings, **own.get(name, {})},
                policy={**leaf.policy, **handed_down},
            )

    def _take_edges(self, group: str, wiring: Wiring) -> None:
        for link in wiring.links.values():
            target = whole(group, link.target)
            moved = replace(link, source=whole(group, link.source), target=target)
            if link.failing:
                moved = replace(moved, failing=tuple(whole(group, each) for each in link.failing))
            self.wiring.links[target, link.target_port] = moved
        for (name, port), candidates in wiring.ambiguous.items():
            self.wiring.ambiguous[whole(group, name), port] = tuple(whole(group, each) for each in candidates)

    def _note(self, group: str, node_type: NodeType, body: Body) -> None:
        nesting = self.nesting
        nesting.types[group] = node_type
        nesting.members[group] = tuple(whole(group, name) for name in body.expansion.data.nodes)
        for name, ends in {**body.inputs, **{key: (end,) for key, end in body.settings.items()}}.items():
            nesting.entries[group, name] = tuple((whole(group, target), port) for target, port in ends)
        for name, (source, port) in body.outputs.items():
            nesting.exits[group, name] = (whole(group, source), port)

    def _note_deeper(self, group: str, deeper: Nesting) -> None:
        nesting = self.nesting
        for name, found in deeper.types.items():
            nesting.types[whole(group, name)] = found
            nesting.members[whole(group, name)] = tuple(whole(group, each) for each in deeper.members[name])
        for (name, port), ends in deeper.entries.items():
            nesting.entries[whole(group, name), port] = tuple((whole(group, target), each) for target, each in ends)
        for (name, port), (source, each) in deeper.exits.items():
            nesting.exits[whole(group, name), port] = (whole(group, source), each)

    def connect(self, link: Link) -> None:
        """Take over an edge of the outermost level; one from a port that is not there leads nowhere."""
        source: tuple[str, str | None] | None = (link.source, link.source_port)
        if link.source in self.nesting.types:
            source = self.nesting.exits.get((link.source, link.source_port or ""))
            if source is None and link.source_port == ERROR:
                first, *rest = self._failing(link.source) or ("",)
                source = (first, ERROR) if first else None
                link = replace(link, failing=(link.source, *rest))
        if source is None:
            return
        key = (link.target, link.target_port)
        for end in self.nesting.entries.get(key, () if link.target in self.nesting.types else (key,)):
            moved = replace(link, source=source[0], source_port=source[1], target=end[0], target_port=end[1])
            self.wiring.links[end] = moved

    def _failing(self, group: str) -> list[str]:
        """Name the nodes of a subflow whose failures leave it: those that no node in it takes."""
        inside = f"{group}{SEPARATOR}"
        taken: set[str] = set()
        for link in self.wiring.links.values():
            if link.source_port == ERROR and link.target.startswith(inside):
                taken.update((link.source, *link.others))
        return [name for name in self.nesting.members[group] if name not in taken]

    def ended(self, outer: Wiring) -> Expansion:
        """Everything is there."""
        return Expansion(self.flat, self.wiring, outer, self.nesting)
