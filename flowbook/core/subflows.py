"""A flow used as a node: its ports, and its expansion into the nodes of the flow around it.

A subflow is a node type with a *body*, the data of another flow. Before a flow is compiled its subflows are taken
apart: the node ``clean`` made from a flow with the nodes ``parse`` and ``fill`` becomes ``clean/parse`` and
``clean/fill``, and edges to its ports lead to theirs. What runs knows leaf nodes alone, so a subflow costs nothing.
Names are resolved inside each flow by itself: an input of an inner node never finds a node outside by its name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flowbook.core.edge_book import Edge
from flowbook.core.expansion import SEPARATOR, Body, End, Expansion, Nesting, expand
from flowbook.core.flow_data import FlowData, NodeInstance
from flowbook.core.node_types import ERROR, RESULT, NodeType, Port, PortKind
from flowbook.core.policies import FlowPolicy
from flowbook.errors import RunError, UnknownIdError, WiringError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flowbook.core.settings import SettingSpec

#: Before the name of an input, in the id of the node that gives it to a flow which runs by itself.
GIVEN = "→ "
#: Before the name of a flow that nodes are made from, in the id of its type.
TYPE_PREFIX = "flow."


def subflow_type(data: FlowData, origin: object) -> NodeType:
    """Make the node type of a flow.

    Its inputs are the flow's declared ones (``ports``), else its unconnected input ports, by their names; its settings
    those of the inner nodes, as ``node.setting``; its outputs the declared ones, else the outputs of its leaves, each
    named like its node.

    Raises:
        UnknownIdError: FB201, a declared port that is not there.
    """
    data = data.copy()
    expansion = expand(data)
    inputs, ports = _inputs(expansion, data)
    settings, specs = _settings(expansion)
    outputs, given = _outputs(expansion, data)
    return NodeType(
        type_id=TYPE_PREFIX + data.id,
        function=_never_called,
        inputs=tuple(ports),
        outputs=tuple(given),
        settings=tuple(specs),
        doc=str(data.metadata.get("description", "")),
        origin="flow",
        body=Body(data, origin, inputs, settings, outputs),
    )


def _never_called(**_: Any) -> Any:
    message = "a subflow is taken apart before a run"
    raise AssertionError(message)


def _open_ports(expansion: Expansion) -> dict[End, Port]:
    """The input ports that nothing feeds; names that a cell reads of its notebook are its own business."""
    data, wiring = expansion.data, expansion.wiring
    return {
        (node_id, port.name): port
        for node_id, node in data.nodes.items()
        for port in data.type_of(node_id).inputs
        if not port.is_ambient
        and port.name not in node.settings
        and (node_id, port.name) not in wiring.links
        and (node_id, port.name) not in wiring.ambiguous
    }


def _inputs(expansion: Expansion, data: FlowData) -> tuple[dict[str, tuple[End, ...]], list[Port]]:
    unfed = _open_ports(expansion)
    declared = data.ports.get("inputs", {})
    ends: dict[str, list[End]] = {}
    for name, target in declared.items():
        ends[name] = list(_ends_of(expansion, data, target))
    taken = {end for found in ends.values() for end in found}
    for end, port in unfed.items():
        if end not in taken and (not declared or port.is_required):
            ends.setdefault(end[1], []).append(end)
    ports = []
    for name, found in ends.items():
        known = [expansion.data.type_of(node_id).input(port) for node_id, port in found]
        real = [port for port in known if port is not None]
        if not real:  # it feeds a setting
            ports.append(Port(name=name, kind=PortKind(is_required=False, has_default=True)))
            continue
        first = real[0]
        is_alike = all((port.type, port.form, port.is_each) == (first.type, first.form, first.is_each) for port in real)
        is_required = any(port.is_required for port in real)
        shown = Port(name=name, kind=first.kind) if is_alike else Port(name=name)
        ports.append(shown.but(is_required=is_required, has_default=not is_required, is_mutable=False))
    return {name: tuple(found) for name, found in ends.items()}, ports


def _ends_of(expansion: Expansion, data: FlowData, target: str) -> tuple[End, ...]:
    node_id, _, port = target.partition(".")
    known = (node_id, port) in expansion.nesting.entries
    if not known and (node_id not in data.nodes or port not in data.type_of(node_id).parameter_names):
        raise UnknownIdError(
            f"the flow {data.id!r} declares the input {target!r}, which is not there",
            where=data.where,
            hint=did_you_mean(
                target, [f"{name}.{own}" for name in data.nodes for own in data.type_of(name).parameter_names]
            ),
        )
    return expansion.nesting.entries.get((node_id, port), ((node_id, port),))


def _settings(expansion: Expansion) -> tuple[dict[str, End], list[SettingSpec]]:
    ends: dict[str, End] = {}
    specs: list[SettingSpec] = []
    for node_id, node in expansion.data.nodes.items():
        for spec in expansion.data.type_of(node_id).settings:
            if (node_id, spec.name) in expansion.wiring.links:
                continue
            name = f"{node_id.replace(SEPARATOR, '.')}.{spec.name}"
            ends[name] = (node_id, spec.name)
            default = node.settings.get(spec.name, spec.default)
            label = f"{node_id} {spec.label or spec.name}"
            specs.append(replace(spec, name=name, default=default, label=label))
    return ends, specs


def _outputs(expansion: Expansion, data: FlowData) -> tuple[dict[str, End], list[Port]]:
    flat, nesting = expansion.data, expansion.nesting
    declared = data.ports.get("outputs", {})
    if declared:
        ends = {}
        for name, source in declared.items():
            node_id, _, port = nesting.output(source).partition(".")
            flat.node(node_id)
            chosen = port or flat.type_of(node_id).primary_output(node_id)
            if flat.type_of(node_id).output(chosen or "") is None:
                raise UnknownIdError(
                    f"the flow {data.id!r} declares the output {source!r}, which is not there",
                    where=data.where,
                    hint=did_you_mean(source, data.nodes),
                )
            ends[name] = (node_id, chosen or RESULT)
    else:
        ends = _leaf_outputs(expansion)
    ports = []
    for name, (node_id, port) in ends.items():
        entry = flat.type_of(node_id).output(port)
        ports.append(Port(name=name, kind=entry.kind) if entry is not None else Port(name=name))
    return ends, ports


def _leaf_outputs(expansion: Expansion) -> dict[str, End]:
    flat, read = expansion.data, {link.source for link in expansion.wiring.links.values() if link.source_port != ERROR}
    ends: dict[str, End] = {}
    for node_id in flat.nodes:
        if node_id in read:
            continue
        names = [port.name for port in flat.type_of(node_id).outputs]
        own = node_id.rpartition(SEPARATOR)[2]
        for port in names:
            name = own if len(names) == 1 else port
            ends[name if name not in ends else f"{own}_{port}"] = (node_id, port)
    return ends


def refuse_recursion(flow: str, origin: object, node_type: NodeType) -> None:
    """Refuse to use a flow inside itself.

    Raises:
        WiringError: FB214.
    """
    if node_type.body is not None and node_type.body.contains(origin):
        inner = node_type.body.data.id
        raise WiringError(
            f"the flow {flow!r} would contain itself"
            if node_type.body.origin is origin
            else f"{inner!r} uses the flow {flow!r}, which would contain itself",
            code="FB214",
            where=f"flow {flow!r}",
            hint="put what both need into a flow of its own, and use that in both",
        )


def alone(flow: str, node_id: str, node_type: NodeType, settings: Mapping[str, Any], given: Iterable[str]) -> Expansion:
    """Return a flow that holds nothing but one subflow, and a node ``"→ name"`` for each input that it is given.

    Args:
        flow: what the whole is called.
        node_id: of the subflow; its nodes are called as they are in the flow around it.
        node_type: of the subflow.
        settings: its settings and constants.
        given: inputs and settings whose values somebody gives.
    """
    around = FlowData(id=flow, policy=FlowPolicy(max_concurrency=1))
    source = NodeType(type_id=GIVEN, function=_never_called)
    for name in given:
        around.types[GIVEN] = source
        around.nodes[GIVEN + name] = NodeInstance(id=GIVEN + name, type_id=GIVEN)
        around.edges.add(Edge(source=GIVEN + name, source_port=RESULT, target=node_id, target_port=name))
    around.types[node_type.type_id] = node_type
    around.nodes[node_id] = NodeInstance(id=node_id, type_id=node_type.type_id, settings=dict(settings))
    return expand(around)


def settings_of(nesting: Nesting, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Write settings of subflows as those of their leaves: ``clean.parse.sep`` as ``clean/parse.sep``."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        node_id, _, own = name.partition(".")
        for leaf, port in nesting.entries.get((node_id, own), ((node_id, own),)):
            found[f"{leaf}.{port}" if own else name] = value
    return found


def stand_ins(
    nesting: Nesting, overrides: Mapping[str, Any], values: Mapping[str, tuple[Any, ...]], flat: FlowData
) -> dict[str, Any]:
    """Write values that stand in for subflows as values of the leaves that give their outputs.

    Args:
        nesting: of the flow.
        overrides: as they were given.
        values: of those that are for subflows, a value for each of their outputs.
        flat: the expanded flow.

    Raises:
        RunError: FB416, a leaf gives more than the subflow hands on.
    """
    found: dict[str, Any] = {name: value for name, value in overrides.items() if name not in values}
    for group, outputs in values.items():
        by_leaf: dict[str, dict[str, Any]] = {}
        for port, value in zip(nesting.types[group].outputs, outputs, strict=True):
            leaf, own = nesting.exits[group, port.name]
            by_leaf.setdefault(leaf, {})[own] = value
        for leaf, given in by_leaf.items():
            names = [port.name for port in flat.type_of(leaf).outputs]
            if sorted(names) != sorted(given):
                raise RunError(
                    f"no value can stand in for {group!r}: {leaf!r} gives more than that",
                    code="FB416",
                    hint=f'give one for the inner node: overrides={{"{leaf}": …}}',
                )
            found[leaf] = given[names[0]] if len(names) == 1 else given
    return found
