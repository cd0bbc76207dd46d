"""Which input reads which output: explicit edges, and the edges that names imply.

An unconnected input that is named like a node, or like one output port of one node, is connected to it. Such edges are
drawn but never stored; an explicit edge wins, a constant wins, a cut forbids. Nothing is wired to itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowbook.core.edge_book import Edge
from flowbook.core.flow_data import FlowData, output_exists
from flowbook.core.node_types import ERROR, RESULT, NodeType, Port
from flowbook.core.records import record
from flowbook.core.topology import is_reachable, path_between
from flowbook.errors import CycleError, UnknownIdError, WiringError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: Port types between which a value is converted on the way.
_TABULAR = frozenset({"table", "series", "array"})


@record
class Link:
    """A resolved connection: what one input of one node reads.

    Attributes:
        source: id of the node that gives.
        source_port: its output port, resolved; None when the primary output cannot be told (a stub).
        target: id of the node that takes.
        target_port: its input port or setting.
        is_implicit: it follows from names.
        failing: the subflow whose error port is read, where the source is one of its nodes, and its further nodes
            whose failures are read; empty otherwise.
    """

    source: str
    source_port: str | None
    target: str
    target_port: str
    is_implicit: bool = False
    failing: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """The subflow whose error port is read; empty otherwise."""
        return self.failing[0] if self.failing else ""

    @property
    def others(self) -> tuple[str, ...]:
        """The further nodes of that subflow whose failures are read."""
        return self.failing[1:]


@dataclass(slots=True)
class Wiring:
    """Every link of a flow, and every name that could mean several ports.

    Attributes:
        links: by ``(target, target_port)``.
        ambiguous: ``(target, target_port)`` -> candidates as ``node.port``.
        readers: ids that read a node, once for each link; None until an edit asks (``kept_readers``).
        stirred: nodes whose type, settings, policy or links may be others than when somebody emptied this; None: all.
        is_shared: others hold it; it is copied before it is brought up to date.
        own: nodes whose list of readers nobody else holds; None: all. The others' lists are copied before they change.
        names: who bears and who reads which name, once that was asked for.
    """

    links: dict[tuple[str, str], Link] = field(default_factory=dict)
    ambiguous: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    readers: dict[str, list[str]] | None = field(default=None, compare=False, repr=False)
    stirred: set[str] | None = field(default=None, compare=False, repr=False)
    is_shared: bool = field(default=False, compare=False, repr=False)
    own: set[str] | None = field(default=None, compare=False, repr=False)
    names: _Names | None = field(default=None, compare=False, repr=False)

    @property
    def successors(self) -> dict[str, list[str]]:
        """Ids that read a node, for every node that is read, once for each link; not to be changed."""
        if self.readers is not None:
            return self.readers
        found: dict[str, list[str]] = {}
        for link in self.links.values():
            for source in (link.source, *link.others) if link.failing else (link.source,):
                if source in found:
                    found[source].append(link.target)
                else:
                    found[source] = [link.target]
        return found

    def kept_readers(self) -> dict[str, list[str]]:
        """The same, brought up to date with each edit from now on."""
        self.readers = self.successors
        return self.readers


class _Names:
    """Who reads and who bears which name; what an edit of one node means for others is found here."""

    __slots__ = ("bearers", "readers")

    def __init__(self) -> None:
        #: Name of an output port -> the nodes that have one.
        self.bearers: dict[str, dict[str, None]] = {}
        #: Name of an input -> the nodes that have one.
        self.readers: dict[str, dict[str, None]] = {}

    def add(self, node_id: str, node_type: NodeType) -> None:
        for port in node_type.inputs:
            self.readers.setdefault(port.name, {})[node_id] = None
        for name in _telling_names(node_type):
            self.bearers.setdefault(name, {})[node_id] = None

    def discard(self, node_id: str, node_type: NodeType) -> None:
        for port in node_type.inputs:
            _discard(self.readers, port.name, node_id)
        for name in _telling_names(node_type):
            _discard(self.bearers, name, node_id)


def _discard(index: dict[str, dict[str, None]], name: str, node_id: str) -> None:
    entries = index.get(name)
    if entries is not None:
        entries.pop(node_id, None)
        if not entries:
            del index[name]


def _telling_names(node_type: NodeType) -> list[str]:
    """Names of declared output ports; the nameless ``result`` implies nothing."""
    return [port.name for port in node_type.outputs if port.name not in (RESULT, ERROR)]


def wiring_of(flow: FlowData) -> Wiring:
    """Return the wiring that is kept with the flow, brought up to date: O(what was edited since, and who reads it)."""
    wiring = flow.wiring
    if wiring is None or len(flow.touched) > max(16, len(flow.nodes) // 4):
        wiring = resolve(flow)
    elif flow.touched or flow.touched_ports:
        wiring = _caught_up(flow, wiring)
    flow.wiring = wiring
    flow.touched.clear()
    flow.touched_ports.clear()
    if flow.is_reordered:
        flow.is_reordered, wiring.stirred = False, None
    return wiring


def resolve(flow: FlowData) -> Wiring:
    """Resolve the wiring of a flow anew; O(nodes + ports + edges). Never raises: findings are for ``core.checks``."""
    wiring = Wiring()
    for edge in flow.edges:
        if edge.source in flow.nodes and edge.target in flow.nodes:
            wiring.links[edge.target, edge.target_port] = _explicit_link(flow, edge)
    bearers = _ports_by_name(flow)
    links, types = wiring.links, flow.types
    for node_id, node in flow.nodes.items():
        node_type = types.get(node.type_id)
        for entry in node_type.inputs if node_type is not None else ():
            key = (node_id, entry.name)
            if key not in links and entry.name not in node.settings:
                _link_by_name(flow, wiring, bearers, key)
    return wiring


def _caught_up(flow: FlowData, wiring: Wiring) -> Wiring:
    """Resolve again what an edit of the touched nodes and ports can have changed."""
    names, wiring.names = wiring.names or _names_before(flow), None
    if wiring.is_shared:
        wiring = Wiring(
            links=dict(wiring.links),
            ambiguous=dict(wiring.ambiguous),
            readers=None if wiring.readers is None else dict(wiring.readers),
            stirred=None if wiring.stirred is None else set(wiring.stirred),
            own=set(),
        )
    wiring.names = names
    keys = _keys_to_resolve(flow, names)
    for key in keys:
        _relink(flow, wiring, names.bearers, key)
    for node_id in flow.touched:
        if node_id not in flow.nodes and wiring.readers is not None:
            wiring.readers.pop(node_id, None)
    if wiring.stirred is not None:
        wiring.stirred.update(flow.touched)
        wiring.stirred.update(target for target, _ in keys)
    return wiring


def _keys_to_resolve(flow: FlowData, names: _Names) -> dict[tuple[str, str], None]:
    """Find the inputs that may read something else now; the names are those of the edited flow afterwards."""
    keys = dict(flow.touched_ports)
    moved: dict[str, None] = {}
    for node_id, before in flow.touched.items():
        now = flow.type_of(node_id) if node_id in flow.nodes else None
        if before is now and not flow.is_reordered:
            continue
        kinds = [kind for kind in (before, now) if kind is not None]
        if before is not None:
            names.discard(node_id, before)
        if now is not None:
            names.add(node_id, now)
        keys.update(dict.fromkeys((node_id, port.name) for kind in kinds for port in kind.inputs))
        keys.update(dict.fromkeys((node_id, edge.target_port) for edge in flow.edges.into(node_id)))
        # One that took the place of another looks the same, but has no cuts, no constants and another place.
        if flow.is_reordered or _is_read_otherwise(before, now):
            moved[node_id] = None
            moved.update(dict.fromkeys(name for kind in kinds for name in _telling_names(kind)))
            keys.update(dict.fromkeys((edge.target, edge.target_port) for edge in flow.edges.out_of(node_id)))
    for name in moved:
        keys.update(dict.fromkeys((reader, name) for reader in names.readers.get(name, ())))
    return keys


def _names_before(flow: FlowData) -> _Names:
    """Index the names as they were before the touched nodes were edited."""
    names = _Names()
    for node_id in flow.nodes:
        if node_id not in flow.touched:
            names.add(node_id, flow.type_of(node_id))
    for node_id, before in flow.touched.items():
        if before is not None:
            names.add(node_id, before)
    return names


def _is_read_otherwise(before: NodeType | None, now: NodeType | None) -> bool:
    """Whether those who read a node by its name, or by that of a port, may have to read something else."""
    if before is None or now is None:
        return True
    one, other = ([port.name for port in kind.outputs] for kind in (before, now))
    return one != other or (before.origin == "stub") != (now.origin == "stub")


def _relink(flow: FlowData, wiring: Wiring, bearers: Mapping[str, Collection[str]], key: tuple[str, str]) -> None:
    """Resolve one input."""
    target, name = key
    old = wiring.links.pop(key, None)
    wiring.ambiguous.pop(key, None)
    node = flow.nodes.get(target)
    if node is not None:
        whole = [edge for edge in flow.edges.at(target, name) if edge.source in flow.nodes]
        if whole:
            wiring.links[key] = _explicit_link(flow, whole[-1])
        elif name not in node.settings and flow.type_of(target).input(name) is not None:
            _link_by_name(flow, wiring, bearers, key)
    now = wiring.links.get(key)
    if wiring.readers is None or (old is not None and now is not None and old.source == now.source):
        return
    if old is not None:
        left = _own_readers(wiring, wiring.readers, old.source)
        left.remove(target)
        if not left:
            del wiring.readers[old.source]
    if now is not None:
        _own_readers(wiring, wiring.readers, now.source).append(target)


def _own_readers(wiring: Wiring, readers: dict[str, list[str]], source: str) -> list[str]:
    if source not in readers:
        readers[source] = []
    elif wiring.own is not None and source not in wiring.own:
        readers[source] = list(readers[source])
    if wiring.own is not None:
        wiring.own.add(source)
    return readers[source]


def _explicit_link(flow: FlowData, edge: Edge) -> Link:
    port = edge.source_port or flow.type_of(edge.source).primary_output(edge.source)
    return Link(source=edge.source, source_port=port, target=edge.target, target_port=edge.target_port)


def _ports_by_name(flow: FlowData) -> dict[str, list[str]]:
    """Map the names of declared output ports to the nodes that bear them."""
    found: dict[str, list[str]] = {}
    types = flow.types
    for node_id, node in flow.nodes.items():
        node_type = types.get(node.type_id)
        for port in node_type.outputs if node_type is not None else ():
            if port.name not in (RESULT, ERROR):
                found.setdefault(port.name, []).append(node_id)
    return found


def _link_by_name(
    flow: FlowData, wiring: Wiring, named_ports: Mapping[str, Collection[str]], key: tuple[str, str]
) -> None:
    target, name = key
    source: str | None = None
    port: str | None = None
    if name in flow.nodes and name != target:
        if (name, target, name) in flow.cuts:
            return
        source_type = flow.type_of(name)
        source, port = name, source_type.primary_output(name)
        if port is None and source_type.origin != "stub":
            wiring.ambiguous[key] = tuple(f"{name}.{output.name}" for output in source_type.outputs)
            return
    else:
        bearers = [
            node_id
            for node_id in named_ports.get(name, ())
            if node_id != target and (node_id, target, name) not in flow.cuts
        ]
        if len(bearers) > 1:
            wiring.ambiguous[key] = tuple(f"{node_id}.{name}" for node_id in _as_added(flow, bearers))
            return
        if bearers:
            source, port = bearers[0], name
    if source is not None:
        wiring.links[key] = Link(source=source, source_port=port, target=target, target_port=name, is_implicit=True)


def _as_added(flow: FlowData, node_ids: list[str]) -> list[str]:
    """Put nodes in the order in which they were added."""
    chosen = set(node_ids)
    return [node_id for node_id in flow.nodes if node_id in chosen]


def can_meet(source: str, target: str) -> bool:
    """Whether a value of port type ``source`` can be handed to a port of type ``target``."""
    if source == target or "any" in (source, target) or target == "packet":
        return True
    return source in _TABULAR and target in _TABULAR


def parse_end(flow: FlowData, text: str) -> tuple[str, str | None]:
    """Split ``"node"`` or ``"node.port"`` and check the node.

    Raises:
        UnknownIdError: FB201.
    """
    node_id, _, port = text.partition(".")
    flow.node(node_id)
    return node_id, port or None


def edge_between(flow: FlowData, source: str, target: str) -> Edge:
    """Make the explicit edge that ``flow.connect(source, target)`` means, after checking that it can be.

    Args:
        flow: stays as it is.
        source: ``"node"`` (its primary output) or ``"node.port"``.
        target: ``"node.port"``, or ``"node"`` when the node has one input.

    Raises:
        UnknownIdError: FB201, no such node or port.
        WiringError: FB207, the types cannot meet; FB208, the port must be named.
        CycleError: FB203, the edge would close a loop; the path is named.
    """
    source_id, source_port = parse_end(flow, source)
    target_id, target_port = parse_end(flow, target)
    source_type, target_type = flow.type_of(source_id), flow.type_of(target_id)
    source_port = _checked_output(flow, source_id, source_type, source_port)
    target_port = _checked_input(flow, target_id, target_type, target_port)
    _check_types(flow, (source_id, source_type, source_port), (target_id, target_type, target_port))
    edge = Edge(source=source_id, source_port=source_port, target=target_id, target_port=target_port)
    _refuse_loop(flow, edge)
    return edge


def _checked_output(flow: FlowData, node_id: str, node_type: NodeType, port: str | None) -> str | None:
    names = [output.name for output in node_type.outputs]
    if port is None and node_type.origin != "stub":
        port = node_type.primary_output(node_id)
        if port is None:
            raise WiringError(
                f"{node_id!r} has several outputs",
                code="FB208",
                where=flow.where,
                hint="name one: " + ", ".join(f"{node_id}.{name}" for name in names),
            )
    if not output_exists(node_type, port):
        raise UnknownIdError(
            f"{node_id!r} has no output {port!r}", where=flow.where, hint=did_you_mean(port or "", names), port=port
        )
    return port


def _checked_input(flow: FlowData, node_id: str, node_type: NodeType, port: str | None) -> str:
    names = node_type.parameter_names
    if port is None:
        ports = [entry.name for entry in node_type.inputs]
        if len(ports) == 1:
            return ports[0]
        raise WiringError(
            f"which input of {node_id!r} is meant",
            code="FB208",
            where=flow.where,
            hint="name one: " + ", ".join(f"{node_id}.{name}" for name in names) if names else "it has no inputs",
        )
    if port not in names and node_type.origin != "stub":
        raise UnknownIdError(
            f"{node_id!r} has no input {port!r}",
            where=flow.where,
            hint=did_you_mean(port, names) or "it takes no inputs",
            port=port,
        )
    return port


def _check_types(flow: FlowData, source: tuple[str, NodeType, str | None], target: tuple[str, NodeType, str]) -> None:
    problem = type_problem(source[1], source[2], target[1], target[2])
    if problem:
        raise WiringError(
            f"{source[0]}.{source[2]} cannot feed {target[0]}.{target[2]}: {problem}",
            code="FB207",
            where=flow.where,
            hint=remedy(source[1], source[2], target[1], target[2]),
        )


def type_problem(source_type: NodeType, source_port: str | None, target_type: NodeType, target_port: str) -> str:
    """Say in words why two ports cannot meet; empty when they can, or when nothing is known."""
    output: Port | None = source_type.output(source_port) if source_port else None
    entry = target_type.input(target_port)
    if output is not None and entry is not None and output.kind.type == entry.kind.type and not entry.kind.is_each:
        return ""
    spec = target_type.setting(target_port)
    if output is None or (spec is None and entry is None) or "stub" in (source_type.origin, target_type.origin):
        return ""
    if entry is not None and entry.is_each:
        return _list_problem(output, entry)
    if output.is_gathered and entry is not None and entry.type not in ("any", "packet"):
        kind = output.item_type if output.item_type != "any" else "value"
        return f"it gives a list, a {kind} for each item, and not one {entry.type}"
    wanted = entry.type if entry else ("text" if spec and spec.value_type == "str" else "scalar")
    loose = spec is not None and spec.value_type in (
        "literal",
        "json",
        "path",
        "date",
        "datetime",
        "time",
        "enum",
        "list",
        "dict",
    )
    if can_meet(output.type, wanted) or (loose and output.type in ("text", "scalar")):
        return ""
    return f"a {output.type} is not a {wanted}"


def _list_problem(output: Port, entry: Port) -> str:
    """Say why the items of what ``output`` gives cannot be taken one by one; empty when they can."""
    if output.type != "any" or output.container in ("set", "dict"):
        return f"a {output.container or output.type} is not a list, and {entry.name} takes the items of one"
    if output.item_type and not can_meet(output.item_type, entry.item_type):
        return f"its items are each a {output.item_type}, and not a {entry.item_type}"
    return ""


def remedy(source_type: NodeType, source_port: str | None, target_type: NodeType, target_port: str) -> str:
    """Say what to do about two ports that cannot meet."""
    entry = target_type.input(target_port)
    output = source_type.output(source_port) if source_port else None
    if entry is not None and entry.is_each and output is not None and output.type != "any":
        return _LISTS.get(output.type, "return a list, and annotate it -> list[…]")
    if output is not None and output.is_gathered and (entry is None or not entry.is_each):
        return f"take the items one by one, {target_port}: fb.each[…], or all of them, {target_port}: list"
    return "put a node between them that makes the one into the other"


#: How what is no list becomes one.
_LISTS = {
    "table": "return a list of tables, table.partition_by(…), or of rows, table.to_dicts()",
    "series": "return a list: series.to_list()",
    "array": "return a list: list(array)",
}


def names_to_read(flow: FlowData, reader: str) -> list[str]:
    """Name what an input of ``reader`` could be called to read something: nodes, and output ports of nodes."""
    others = [node_id for node_id in flow.nodes if node_id != reader]
    return others + [name for node_id in others for name in _telling_names(flow.type_of(node_id))]


def links_without_constants(flow: FlowData, ends: Collection[tuple[str, str]]) -> dict[tuple[str, str], Link]:
    """Say what inputs that have a constant would read by their names if they had none; O(nodes) when there are any."""
    found = Wiring()
    bearers = _ports_by_name(flow) if ends else {}
    for end in ends:
        _link_by_name(flow, found, bearers, end)
    return found.links


def _refuse_loop(flow: FlowData, edge: Edge) -> None:
    """Refuse an edge that leads back; looks from both of its ends, at most twice at what the shorter side holds."""
    wiring = wiring_of(flow)

    def sources(node_id: str) -> list[str]:
        ports = [port.name for port in flow.type_of(node_id).inputs]
        ports += [entry.target_port for entry in flow.edges.into(node_id)]
        return [wiring.links[node_id, port].source for port in ports if (node_id, port) in wiring.links]

    readers = wiring.kept_readers()
    if not is_reachable(edge.target, edge.source, lambda node_id: readers.get(node_id, ()), sources):
        return
    path = [edge.source, *path_between(edge.target, edge.source, readers)]
    raise CycleError(
        "this edge would close a loop: " + " → ".join(path),
        where=flow.where,
        hint="remove one of these edges first",
        path=path,
    )
