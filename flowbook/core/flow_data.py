"""A flow as data: nodes, explicit edges, cuts, and the edits that change them.

Nothing here knows what runs or what is shown. Every edit checks first and then changes, so that a refused edit leaves
the flow as it was; ``revision`` counts the edits that changed something.
"""

from __future__ import annotations

import keyword
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flowbook.core.node_types import ERROR, NODE_ID, NodeType, stub_type
from flowbook.core.policies import FlowPolicy, checked_policy
from flowbook.core.settings import same_json, to_json_value
from flowbook.errors import DefinitionError, DuplicateIdError, UnknownIdError, WiringError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(slots=True, kw_only=True)
class NodeInstance:
    """One use of a node type in one flow.

    Attributes:
        id: unique in the flow.
        type_id: the node type it is made from.
        settings: values that were set, by setting or input port name, JSON form; an input port's value is its constant.
        policy: policy fields that differ from the type's.
        position: pixels from the canvas origin, or None: the layout decides.
        version: version of the node type that the document asks for, or empty.
        extra: fields of a document that this version does not know; kept.
        retry_extra: the same, inside the retry policy.
        position_extra: the same, inside the position.
    """

    id: str
    type_id: str
    settings: dict[str, Any] = field(default_factory=dict)
    policy: dict[str, Any] = field(default_factory=dict)
    position: tuple[int, int] | None = None
    version: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    retry_extra: dict[str, Any] = field(default_factory=dict)
    position_extra: dict[str, Any] = field(default_factory=dict)

    @property
    def is_own_type(self) -> bool:
        """Whether code of the notebook defines it under its own name: ``value`` may be a cell, or an installed type."""
        return self.type_id == self.id and not self.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """From an output port to an input port.

    Attributes:
        source: id of the node that gives.
        source_port: its output port; None: its primary output.
        target: id of the node that takes.
        target_port: its input port or setting.
        extra: capacity, overflow, transform, filter and fields this version does not know; kept.
    """

    source: str
    source_port: str | None
    target: str
    target_port: str
    extra: tuple[tuple[str, Any], ...] = ()

    @property
    def ends(self) -> tuple[str, str | None, str, str]:
        """The four names that make two edges the same edge."""
        return (self.source, self.source_port, self.target, self.target_port)


_NOTHING: Any = object()
#: Policy fields that a subflow hands down to its nodes.
SUBFLOW_POLICY = frozenset({"muted", "priority"})


def edge_order(edge: Edge) -> tuple[str, str, str, str]:
    """Sort edges by where they end: the order in documents, so that the same flow has one text."""
    return (edge.target, edge.target_port, edge.source, edge.source_port or "")


@dataclass(slots=True, kw_only=True)
class FlowData:
    """The editable content of one flow; see the module's docstring.

    Attributes:
        id: the flow's name.
        nodes: by id, in the order in which they were added.
        edges: explicit edges.
        cuts: implicit edges that were deleted, ``(source, target, target_port)``, each with the fields of its entry
            that this version does not know; kept.
        types: node types by id that nodes of this flow use.
        policy: how the flow runs.
        policy_extra: flow policy fields of a document that this version does not know; kept.
        metadata: author, createdAt, description, tags, as given.
        notes: free text on the canvas, as given.
        groups: named sets of nodes, as given.
        version: version of the flow, as given.
        ports: what the flow shows as its own ports where it is used as a node: ``inputs`` and ``outputs``, each name ->
            ``node.port``; empty: its unconnected inputs, and the outputs of its leaves.
        type_sources: ``types`` of a saved document: source and signature of cell-defined types.
        extra: document fields that this version does not know; kept.
        revision: counts edits.
    """

    id: str
    nodes: dict[str, NodeInstance] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    cuts: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    types: dict[str, NodeType] = field(default_factory=dict, compare=False)
    policy: FlowPolicy = field(default_factory=FlowPolicy)
    policy_extra: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    notes: list[Any] = field(default_factory=list)
    groups: list[Any] = field(default_factory=list)
    version: str = ""
    ports: dict[str, dict[str, str]] = field(default_factory=dict)
    type_sources: list[Any] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    revision: int = field(default=0, compare=False)

    # -- looking things up

    @property
    def where(self) -> str:
        """How errors name this flow."""
        return f"flow {self.id!r}"

    def node(self, node_id: str) -> NodeInstance:
        """Return a node.

        Raises:
            UnknownIdError: FB201.
        """
        try:
            return self.nodes[node_id]
        except KeyError:
            raise UnknownIdError(
                f"there is no node {node_id!r}",
                where=self.where,
                hint=did_you_mean(node_id, self.nodes) or "the flow has no nodes yet",
                node=node_id,
            ) from None

    def type_of(self, node_id: str) -> NodeType:
        """Return the node's type, a stub when its code is not known."""
        node = self.node(node_id)
        return self.types.get(node.type_id) or stub_type(node.type_id)

    def copy(self) -> FlowData:
        """Return an independent flow of the same content; node types are shared, they never change."""
        return replace(
            self,
            nodes={
                key: replace(node, settings=dict(node.settings), policy=dict(node.policy), extra=dict(node.extra))
                for key, node in self.nodes.items()
            },
            edges=list(self.edges),
            cuts=dict(self.cuts),
            types=dict(self.types),
            metadata=dict(self.metadata),
            notes=list(self.notes),
            groups=list(self.groups),
        )

    # -- edits

    def set_type(self, node_type: NodeType) -> None:
        """Add a node type or put it in place of the one of that id; nodes, settings and edges stay."""
        self.types[node_type.type_id] = node_type
        self.revision += 1

    def add_node(
        self, node_id: str, node_type: NodeType, settings: Mapping[str, Any] | None = None, **fields: Any
    ) -> NodeInstance:
        """Add a node made from ``node_type``.

        Raises:
            DuplicateIdError: FB202, the id is taken.
            WiringError: FB205, the id is not an identifier.
            UnknownIdError: FB201, a setting or port that the type does not have.
            DefinitionError: FB103, FB104, a value that does not fit.
        """
        self._check_new_id(node_id)
        node = NodeInstance(id=node_id, type_id=node_type.type_id, **{"version": node_type.version, **fields})
        for name, value in (settings or {}).items():
            plain = self._checked(node_id, node_type, name, value)
            if not _is_default(node_type, name, plain):
                node.settings[name] = plain
        self.types.setdefault(node_type.type_id, node_type)
        self.nodes[node_id] = node
        self.revision += 1
        return node

    def remove_node(self, node_id: str) -> None:
        """Remove a node with its explicit edges and cuts."""
        self.node(node_id)
        del self.nodes[node_id]
        self.edges = [edge for edge in self.edges if node_id not in (edge.source, edge.target)]
        self.cuts = {cut: extra for cut, extra in self.cuts.items() if node_id not in cut[:2]}
        self.revision += 1

    def rename_node(self, old: str, new: str) -> None:
        """Give a node another id; its explicit edges, cuts, settings and position follow."""
        node = self.node(old)
        if old == new:
            return
        self._check_new_id(new)
        renamed = replace(node, id=new)
        self.nodes = {
            (new if key == old else key): (renamed if key == old else kept) for key, kept in self.nodes.items()
        }
        self.edges = [
            replace(
                edge,
                source=new if edge.source == old else edge.source,
                target=new if edge.target == old else edge.target,
            )
            for edge in self.edges
        ]
        self.cuts = {
            (new if source == old else source, new if target == old else target, port): extra
            for (source, target, port), extra in self.cuts.items()
        }
        self.revision += 1

    def rename_with_type(self, old: str, new: str) -> None:
        """Rename a node together with the code that defines it under its own name."""
        node = self.node(old)
        if old == new:
            return
        own_type = self.types.get(old) if node.is_own_type else None
        self.rename_node(old, new)
        if own_type is not None:
            # The node's own code follows it; its cell is told apart by name when it is run again.
            self.set_type(replace(own_type, type_id=new))
            self.nodes[new].type_id = new
            del self.types[old]

    def add_edge(self, edge: Edge) -> None:
        """Add an explicit edge; an edge into the same input gives way to it.

        The caller has checked ports and types (``core.wiring``); ids are checked here.
        """
        self.node(edge.source)
        self.node(edge.target)
        if edge.source == edge.target:
            raise WiringError(
                f"{edge.source!r} cannot read its own output",
                code="FB206",
                where=self.where,
                hint="a flow has no loops",
            )
        self.edges = [kept for kept in self.edges if (kept.target, kept.target_port) != (edge.target, edge.target_port)]
        self.edges.append(edge)
        self.edges.sort(key=edge_order)
        self.cuts.pop((edge.source, edge.target, edge.target_port), None)
        self.revision += 1

    def remove_edge(self, edge: Edge) -> None:
        """Remove an explicit edge."""
        self.edges = [kept for kept in self.edges if kept.ends != edge.ends]
        self.revision += 1

    def add_cut(self, source: str, target: str, target_port: str) -> None:
        """Forbid an implicit edge."""
        self.cuts.setdefault((source, target, target_port), {})
        self.revision += 1

    def remove_cut(self, source: str, target: str, target_port: str) -> None:
        """Allow an implicit edge again."""
        if self.cuts.pop((source, target, target_port), None) is not None:
            self.revision += 1

    def set_value(self, node_id: str, name: str, value: Any) -> bool:
        """Set a setting, or the constant of an input port; the default's value is not stored.

        Returns:
            Whether something changed.
        """
        node, node_type = self.node(node_id), self.type_of(node_id)
        plain = self._checked(node_id, node_type, name, value)
        spec = node_type.setting(name)
        current = node.settings.get(name, spec.default if spec is not None else _NOTHING)
        if _is_default(node_type, name, plain):
            changed = node.settings.pop(name, _NOTHING) is not _NOTHING
        else:
            changed = current is _NOTHING or not same_json(current, plain)
            node.settings[name] = plain
        self.revision += changed
        return changed

    def clear_value(self, node_id: str, name: str) -> None:
        """Take back a setting or constant."""
        if self.node(node_id).settings.pop(name, _NOTHING) is not _NOTHING:
            self.revision += 1

    def set_policy(self, node_id: str, policy: Mapping[str, Any]) -> None:
        """Override policy fields of one node; what its type says anyway is not stored.

        Raises:
            DefinitionError: FB101.
        """
        node, node_type = self.node(node_id), self.type_of(node_id)
        checked = checked_policy(policy)
        unknown = sorted(set(checked) - SUBFLOW_POLICY) if node_type.body is not None else []
        if unknown:
            raise DefinitionError(
                f"{node_id!r} is a subflow, which has no {', '.join(unknown)} of its own",
                code="FB101",
                where=self.where,
                hint="say it of the nodes in that flow; of a whole subflow there are "
                + " and ".join(sorted(SUBFLOW_POLICY)),
                policy=unknown[0],
            )
        said = {} if node_type.origin == "stub" else {name: getattr(node_type.policy, name) for name in checked}
        kept = {
            name: value
            for name, value in {**node.policy, **checked}.items()
            if not (name in checked and name in said and said[name] == value)
        }
        if kept != node.policy:
            node.policy = kept
            self.revision += 1

    def set_position(self, node_id: str, position: tuple[int, int] | None) -> None:
        """Place a node on the canvas, in pixels; None leaves it to the layout."""
        node = self.node(node_id)
        if node.position != position:
            node.position = position
            self.revision += 1

    # -- checks

    def refuse_type_in_use(self, type_id: str) -> None:
        """Refuse to let the notebook's own code take the place of an installed type that nodes are made from.

        Raises:
            DuplicateIdError: FB202.
        """
        users = [node.id for node in self.nodes.values() if node.type_id == type_id and node.version]
        if users:
            raise DuplicateIdError(
                f"{type_id!r} is the type of the node {users[0]!r}",
                where=self.where,
                hint="give the function or cell another name",
                node=users[0],
            )

    def _check_new_id(self, node_id: str) -> None:
        if not NODE_ID.fullmatch(node_id) or keyword.iskeyword(node_id):
            raise WiringError(
                f"{node_id!r} cannot name a node",
                code="FB205",
                where=self.where,
                hint="letters, digits and _, not starting with a digit, no Python keyword",
            )
        if node_id in self.nodes:
            raise DuplicateIdError(
                f"there is a node {node_id!r} already",
                where=self.where,
                hint=f"choose another id, or flow.remove({node_id!r}) first",
                node=node_id,
            )

    def checked_value(self, node_id: str, name: str, value: Any) -> Any:
        """Return a value for a setting or input port in its JSON form.

        Raises:
            UnknownIdError: FB201, there is no such node, setting or input.
            DefinitionError: FB103, FB104, the value does not fit.
        """
        return self._checked(node_id, self.type_of(node_id), name, value)

    def _checked(self, node_id: str, node_type: NodeType, name: str, value: Any) -> Any:
        spec = node_type.setting(name)
        if spec is not None:
            return spec.checked(value)
        port = node_type.input(name)
        if port is not None and port.plain is not None:
            return port.plain.checked(value)
        if node_type.origin != "stub" and port is None:
            known = [port.name for port in node_type.inputs] + [entry.name for entry in node_type.settings]
            raise UnknownIdError(
                f"{node_id!r} has no setting or input {name!r}",
                where=self.where,
                hint=did_you_mean(name, known) or "it takes neither settings nor inputs",
                node=node_id,
                setting=name,
            )
        return to_json_value(value)


def _is_default(node_type: NodeType, name: str, plain: Any) -> bool:
    spec = node_type.setting(name)
    return spec is not None and same_json(plain, spec.default)


def output_exists(node_type: NodeType, name: str | None) -> bool:
    """Whether an edge may start at that port; unknown code may have any port."""
    return name is None or node_type.origin == "stub" or name == ERROR or node_type.output(name) is not None
