"""A flow as data: nodes, explicit edges, cuts, and the edits that change them.

Nothing here knows what runs or what is shown. Every edit checks first and then changes, so that a refused edit leaves
the flow as it was; ``revision`` counts the edits that changed something.
"""

from __future__ import annotations

import keyword
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from flowbook.core.edge_book import Edge, EdgeBook
from flowbook.core.mapped_types import inside_mapped, mapped_type, refuse_each
from flowbook.core.node_types import ERROR, NODE_ID, NodeType, stub_type
from flowbook.core.policies import POLICY_FIELDS, FlowPolicy, checked_policy
from flowbook.core.settings import same_json, to_json_value
from flowbook.errors import DefinitionError, DuplicateIdError, UnknownIdError, WiringError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbook.core.settings import SettingSpec
    from flowbook.core.wiring import Wiring


#: What most nodes share: an edit puts another dictionary in its place, and changes none.
_NOTHING_SET: Final[dict[str, Any]] = {}


@dataclass(slots=True, kw_only=True)
class NodeInstance:
    """One use of a node type in one flow; its dictionaries are replaced, never changed.

    Attributes:
        id: unique in the flow.
        type_id: the node type it is made from.
        settings: values that were set, by setting or input port name, JSON form; an input port's value is its constant.
        policy: policy fields that differ from the type's.
        position: pixels from the canvas origin, or None: the layout decides.
        version: version of the node type that the document asks for, or empty.
        extra: fields of a document that this version does not know; kept.
        inner_extra: the same, inside the retry policy, ``retry``, and the position, ``position``.
    """

    id: str
    type_id: str
    settings: dict[str, Any] = field(default_factory=lambda: _NOTHING_SET)
    policy: dict[str, Any] = field(default_factory=lambda: _NOTHING_SET)
    position: tuple[int, int] | None = None
    version: str = ""
    extra: dict[str, Any] = field(default_factory=lambda: _NOTHING_SET)
    inner_extra: dict[str, dict[str, Any]] = field(default_factory=lambda: _NOTHING_SET)

    def copy(self) -> NodeInstance:
        """Return an independent node of the same content."""
        return NodeInstance(
            id=self.id,
            type_id=self.type_id,
            settings=self.settings,
            policy=self.policy,
            position=self.position,
            version=self.version,
            extra=self.extra,
            inner_extra=self.inner_extra,
        )

    @property
    def is_own_type(self) -> bool:
        """Whether code of the notebook defines it under its own name: ``value`` may be a cell, or an installed type."""
        return self.type_id == self.id and not self.version


_NOTHING: Any = object()
#: Policy fields that a subflow hands down to its nodes.
SUBFLOW_POLICY = frozenset({"muted", "priority"})


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
        touched: nodes that edits touched since the wiring was brought up to date, with the types they had before, None
            where there was no such node; kept for ``core.wiring``, which see.
        touched_ports: the same of inputs that an edge, a cut or a constant came to or left, ``(node, port)``.
        is_reordered: whether a node went, or got another id, or the flow another policy, since then.
        wiring: as it was brought up to date last, or None.
    """

    id: str
    nodes: dict[str, NodeInstance] = field(default_factory=dict)
    edges: EdgeBook = field(default_factory=EdgeBook)
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
    touched: dict[str, NodeType | None] = field(default_factory=dict, compare=False, repr=False)
    touched_ports: dict[tuple[str, str], None] = field(default_factory=dict, compare=False, repr=False)
    is_reordered: bool = field(default=False, compare=False, repr=False)
    wiring: Wiring | None = field(default=None, compare=False, repr=False)
    #: Nodes by the id of their type, save those that bear its name; None until somebody asks.
    _users: dict[str, dict[str, None]] | None = field(default=None, compare=False, repr=False, init=False)

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
            inside = inside_mapped(node_id, lambda name: self.type_of(name) if name in self.nodes else None, self.where)
            raise inside or UnknownIdError(
                f"there is no node {node_id!r}",
                where=self.where,
                hint=did_you_mean(node_id, self.nodes) or "the flow has no nodes yet",
                node=node_id,
            ) from None

    def type_of(self, node_id: str) -> NodeType:
        """Return the node's type, a stub when its code is not known."""
        node = self.nodes.get(node_id) or self.node(node_id)  # which says what is wrong
        found = self.types.get(node.type_id) or stub_type(node.type_id)
        if found.body is not None and node.policy.get("each"):
            return mapped_type(found, node.policy["each"])
        return found

    def copy(self) -> FlowData:
        """Return an independent flow of the same content; node types are shared, they never change."""
        if self.wiring is not None:
            self.wiring.is_shared, self.wiring.names = True, None
        return replace(
            self,
            nodes={key: node.copy() for key, node in self.nodes.items()},
            edges=self.edges.copy(),
            cuts=dict(self.cuts),
            types=dict(self.types),
            metadata=dict(self.metadata),
            notes=list(self.notes),
            groups=list(self.groups),
            touched=dict(self.touched),
            touched_ports=dict(self.touched_ports),
        )

    # -- edits

    def set_type(self, node_type: NodeType) -> None:
        """Add a node type or put it in place of the one of that id; nodes, settings and edges stay."""
        if self.wiring is not None:
            for node_id in self._users_of(node_type.type_id):
                self._touch(node_id)
        self.types[node_type.type_id] = node_type
        self.revision += 1

    def drop_type(self, type_id: str) -> None:
        """Forget a node type; nodes that are made from it wait for another one of that id."""
        for node_id in self._users_of(type_id):
            self._touch(node_id)
        self.types.pop(type_id, None)
        self.revision += 1

    def set_node_type(self, node_id: str, type_id: str) -> None:
        """Let a node be made from another type."""
        node = self.node(node_id)
        self._touch(node_id)
        users = self._all_users()
        users.get(node.type_id, {}).pop(node_id, None)
        _enter_user(users, type_id, node_id)
        node.type_id = type_id
        self.revision += 1

    def _touch(self, node_id: str) -> None:
        """Note, before it is changed, that something about a node will be another."""
        if self.wiring is not None and node_id not in self.touched:
            self.touched[node_id] = self.type_of(node_id) if node_id in self.nodes else None

    def _touch_port(self, node_id: str, port: str) -> None:
        if self.wiring is not None:
            self.touched_ports[node_id, port] = None

    def _all_users(self) -> dict[str, dict[str, None]]:
        users = self._users
        if users is None:
            users = self._users = {}
            for node_id, node in self.nodes.items():
                _enter_user(users, node.type_id, node_id)
        return users

    def _users_of(self, type_id: str) -> list[str]:
        """The nodes that are made from a type."""
        users = (self._all_users() if self._users is None else self._users).get(type_id)
        found = list(users) if users else []
        namesake = self.nodes.get(type_id)
        if namesake is not None and namesake.type_id == type_id:
            found.append(type_id)
        return found

    def add_node(
        self,
        node_id: str,
        node_type: NodeType,
        settings: Mapping[str, Any] | None = None,
        policy: Mapping[str, Any] | None = None,
    ) -> NodeInstance:
        """Add a node made from ``node_type``.

        Raises:
            DuplicateIdError: FB202, the id is taken.
            WiringError: FB205, the id is not an identifier.
            UnknownIdError: FB201, a setting or port that the type does not have.
            DefinitionError: FB101, FB103, FB104, FB114, a value or a policy that does not fit.
        """
        self._check_new_id(node_id)
        own_policy = self._kept_policy(node_id, node_type, {}, policy) if policy else {}
        node = NodeInstance(
            id=node_id,
            type_id=node_type.type_id,
            settings=_NOTHING_SET,
            policy=own_policy or _NOTHING_SET,
            version=node_type.version,
            extra=_NOTHING_SET,
            inner_extra=_NOTHING_SET,
        )
        own_type = mapped_type(node_type, own_policy["each"]) if own_policy.get("each") else node_type
        for name, value in settings.items() if settings else ():
            plain = self._checked(node_id, own_type, name, value)
            if not _is_default(node_type, name, plain):
                node.settings = {**node.settings, name: plain}
        self._touch(node_id)
        self.types.setdefault(node_type.type_id, node_type)
        self.nodes[node_id] = node
        _enter_user(self._all_users(), node.type_id, node_id)
        self.revision += 1
        return node

    def remove_node(self, node_id: str) -> None:
        """Remove a node with its explicit edges and cuts."""
        node = self.node(node_id)
        self._touch(node_id)
        self.is_reordered = True
        self._all_users().get(node.type_id, {}).pop(node_id, None)
        del self.nodes[node_id]
        for edge in (*self.edges.into(node_id), *self.edges.out_of(node_id)):
            self.edges.remove(edge)
            self._touch_port(edge.target, edge.target_port)
        if self.cuts:
            self.cuts = {cut: extra for cut, extra in self.cuts.items() if node_id not in cut[:2]}
        self.revision += 1

    def rename_node(self, old: str, new: str) -> None:
        """Give a node another id; its explicit edges, cuts, settings and position follow."""
        node = self.node(old)
        if old == new:
            return
        self._check_new_id(new)
        self._touch(old)
        self._touch(new)
        self.is_reordered = True
        users = self._all_users()
        users.get(node.type_id, {}).pop(old, None)
        _enter_user(users, node.type_id, new)
        renamed = replace(node, id=new)
        self.nodes = {
            (new if key == old else key): (renamed if key == old else kept) for key, kept in self.nodes.items()
        }
        for edge in {edge.ends: edge for edge in (*self.edges.into(old), *self.edges.out_of(old))}.values():
            moved = replace(
                edge,
                source=new if edge.source == old else edge.source,
                target=new if edge.target == old else edge.target,
            )
            self.edges.remove(edge)
            self.edges.add(moved)
            self._touch_port(edge.target, edge.target_port)
            self._touch_port(moved.target, moved.target_port)
        self.cuts = {
            (new if source == old else source, new if target == old else target, port): extra
            for (source, target, port), extra in self.cuts.items()
        }
        self.ports = {
            side: {
                name: new + end.removeprefix(old) if end.partition(".")[0] == old else end for name, end in ends.items()
            }
            for side, ends in self.ports.items()
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
            self.set_node_type(new, new)
            self.drop_type(old)

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
        self.edges.put(edge)
        self._touch_port(edge.target, edge.target_port)
        self.cuts.pop((edge.source, edge.target, edge.target_port), None)
        self.revision += 1

    def remove_edge(self, edge: Edge) -> None:
        """Remove an explicit edge."""
        self.edges.remove(edge)
        self._touch_port(edge.target, edge.target_port)
        self.revision += 1

    def add_cut(self, source: str, target: str, target_port: str) -> None:
        """Forbid an implicit edge."""
        self.cuts.setdefault((source, target, target_port), {})
        self._touch_port(target, target_port)
        self.revision += 1

    def remove_cut(self, source: str, target: str, target_port: str) -> None:
        """Allow an implicit edge again."""
        if self.cuts.pop((source, target, target_port), None) is not None:
            self._touch_port(target, target_port)
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
            changed = name in node.settings
            node.settings = _without(node.settings, name)
        else:
            changed = current is _NOTHING or not same_json(current, plain)
            node.settings = {**node.settings, name: plain}
        if changed:
            self._touch_value(node_id, name, spec)
            self.revision += 1
        return changed

    def _touch_value(self, node_id: str, name: str, spec: SettingSpec | None) -> None:
        self._touch(node_id)
        if spec is None:
            self._touch_port(node_id, name)

    def clear_value(self, node_id: str, name: str) -> None:
        """Take back a setting or constant."""
        node = self.node(node_id)
        if name in node.settings:
            node.settings = _without(node.settings, name)
            self._touch_value(node_id, name, self.type_of(node_id).setting(name))
            self.revision += 1

    def set_policy(self, node_id: str, policy: Mapping[str, Any]) -> None:
        """Override policy fields of one node; what its type says anyway is not stored.

        Raises:
            DefinitionError: FB101.
        """
        node = self.node(node_id)
        kept = self._kept_policy(node_id, self.type_of(node_id), node.policy, policy)
        if kept != node.policy:
            self._touch(node_id)
            node.policy = kept
            self.revision += 1

    def _kept_policy(
        self, node_id: str, node_type: NodeType, before: Mapping[str, Any], policy: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Check policy fields, and return what is stored of them and of those there were before."""
        checked = checked_policy(policy)
        is_whole = node_type.body is not None and not checked.get("each")
        unknown = sorted(set(checked) - SUBFLOW_POLICY - {"each"}) if is_whole else []
        if unknown:
            raise DefinitionError(
                f"{node_id!r} is a subflow, which has no {', '.join(unknown)} of its own",
                code="FB101",
                where=self.where,
                hint="say it of the nodes in that flow; of a whole subflow there are "
                + " and ".join(sorted(SUBFLOW_POLICY)),
                policy=unknown[0],
            )
        refuse_each(node_id, node_type, checked, self.where)
        said = {} if node_type.origin == "stub" else {name: getattr(node_type.policy, name) for name in checked}
        return {
            name: value
            for name, value in {**before, **checked}.items()
            if not (name in checked and name in said and said[name] == value)
        }

    def set_flow_policy(self, policy: FlowPolicy) -> None:
        """Let the flow run another way."""
        if policy.state_storage != self.policy.state_storage:
            foreign = "stateStorage"  # one that is not known here
            self.policy_extra = {key: value for key, value in self.policy_extra.items() if key != foreign}
        if policy != self.policy:
            self.policy, self.is_reordered = policy, True  # in which order nodes go may depend on it
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
        users = [node_id for node_id in self._users_of(type_id) if self.nodes[node_id].version]
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
                hint=f'how a node is run is its policy: flow.set_policy("{node_id}", {name}=…)'
                if name in POLICY_FIELDS
                else did_you_mean(name, known) or "it takes neither settings nor inputs",
                node=node_id,
                setting=name,
            )
        plain = to_json_value(value)
        problem = port.problem_with(plain) if port is not None else ""
        if port is not None and problem:
            raise DefinitionError(
                f"{name}={value!r} {problem}",
                code="FB103",
                where=f"{self.where}, node {node_id!r}",
                hint="a constant is JSON, and would take the place of an edge; connect a node that gives it, "
                f"or give it to a run: flow.run(inputs={{{name!r}: …}})",
                node=node_id,
                setting=name,
            )
        return plain


def _enter_user(users: dict[str, dict[str, None]], type_id: str, node_id: str) -> None:
    if type_id != node_id:
        users.setdefault(type_id, {})[node_id] = None


def _without(settings: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key != name} or _NOTHING_SET


def _is_default(node_type: NodeType, name: str, plain: Any) -> bool:
    spec = node_type.setting(name)
    return spec is not None and same_json(plain, spec.default)


def output_exists(node_type: NodeType, name: str | None) -> bool:
    """Whether an edge may start at that port; unknown code may have any port."""
    return name is None or node_type.origin == "stub" or name == ERROR or node_type.output(name) is not None
