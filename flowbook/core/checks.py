"""Every finding about a flow that can be known before a run. Checks never raise; they describe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from flowbook.core.mapped_types import refuse_each
from flowbook.core.policies import STATE_STORAGES
from flowbook.core.topology import find_cycle
from flowbook.core.wiring import Wiring, links_without_constants, names_to_read, remedy, resolve, type_problem
from flowbook.errors import DefinitionError, FlowbookError, did_you_mean, near_miss

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowbook.core.expansion import Body
    from flowbook.core.flow_data import FlowData, NodeInstance
    from flowbook.core.node_types import NodeType


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, or will be when somebody needs it.

    Attributes:
        code: FBnnn, the same that the error of a run would have.
        severity: ``"error"`` will fail a run of that node or lose an edge that somebody drew, ``"note"`` will not.
        message: one sentence.
        node_id: where, or None for the whole flow.
        port: which input or setting, or None.
        hint: what to type next.
    """

    code: str
    severity: Literal["error", "note"]
    message: str
    node_id: str | None = None
    port: str | None = None
    hint: str = ""

    def __str__(self) -> str:
        """Show the finding as one or two lines."""
        text = f"[{self.code}] {self.message}"
        return f"{text}\n  hint {self.hint}" if self.hint else text


def check(
    flow: FlowData, wiring: Wiring | None = None, *, is_given: Callable[[str, str], bool] = lambda _node, _port: False
) -> list[Finding]:
    """List the findings of a flow, in the order of its nodes.

    Args:
        flow: what to check.
        wiring: its wiring, when the caller has it already.
        is_given: whether an unconnected input ``(node, port)`` has a value from elsewhere: the notebook, ``inputs=``.
    """
    wiring = wiring or resolve(flow)
    findings = [*_policy(flow), *_cycles(flow, wiring), *_edges(flow), *_constants(flow, wiring)]
    for node_id in flow.nodes:
        node_type = flow.type_of(node_id)
        findings.extend(_node(flow, wiring, node_id, node_type, is_given))
        findings.extend(_each(flow, node_id, node_type))
        if "memory_bytes" in flow.nodes[node_id].policy or node_type.policy.memory_bytes is not None:
            findings.extend(_limits(flow, node_id, node_type))
        body = (node_type.mapped or node_type).body
        if body is not None:
            findings.extend(_inside(node_id, body))
    return findings


def _each(flow: FlowData, node_id: str, node_type: NodeType) -> Iterator[Finding]:
    """Check that a node is mapped over inputs that it has."""
    policy = flow.nodes[node_id].policy
    if policy.get("each"):
        try:
            refuse_each(node_id, node_type, {"each": policy["each"]}, "")
        except FlowbookError as error:
            yield Finding(code=error.code, severity="error", message=error.what, node_id=node_id, hint=error.hint)


def _limits(flow: FlowData, node_id: str, node_type: NodeType) -> Iterator[Finding]:
    """Check that a limit of memory is one: the kernel's own is nobody's to limit."""
    own, said = flow.nodes[node_id].policy, node_type.policy
    limit_bytes = own.get("memory_bytes", said.memory_bytes)
    if limit_bytes is not None and own.get("isolation", said.isolation) == "none":
        yield Finding(
            code="FB101",
            severity="note",
            message=f"memory_bytes of {node_id!r} limits nothing: the node runs in the kernel",
            node_id=node_id,
            hint='isolation="process" gives it a process of its own',
        )


def _policy(flow: FlowData) -> Iterator[Finding]:
    storage = flow.policy_extra.get("stateStorage")
    if storage is not None:
        yield Finding(
            code="FB112",
            severity="note",
            message=f"state_storage={storage!r} is not known here: dead letters are kept in memory",
            hint=did_you_mean(str(storage), STATE_STORAGES),
        )


def _inside(node_id: str, body: Body) -> Iterator[Finding]:
    """Check the flow that a node stands for; what its ports feed is the business of the flow around it."""
    fed = {end for ends in body.inputs.values() for end in ends}

    def is_given(inner: str, port: str) -> bool:
        entry = body.data.type_of(inner).input(port)
        ends = body.expansion.nesting.entries.get((inner, port), ((inner, port),))
        return fed.issuperset(ends) or (entry is not None and entry.is_ambient)

    for finding in check(body.data, is_given=is_given):
        yield replace(finding, node_id=f"{node_id}/{finding.node_id}" if finding.node_id else node_id)


def _cycles(flow: FlowData, wiring: Wiring) -> Iterator[Finding]:
    path = find_cycle(list(flow.nodes), wiring.successors)
    if path:
        yield Finding(
            code="FB203",
            severity="error",
            message="these nodes read each other in a loop: " + " → ".join(path),
            node_id=path[0],
            hint=f'flow.disconnect("{path[0]}", "{path[1]}.…") cuts one of the edges',
        )


def _edges(flow: FlowData) -> Iterator[Finding]:
    seen: set[tuple[str, str]] = set()
    for edge in flow.edges:
        if (edge.target, edge.target_port) in seen:
            yield Finding(
                code="FB213",
                severity="error",
                message=f"two edges lead into {edge.target}.{edge.target_port}; {edge.source!r} is taken",
                node_id=edge.target if edge.target in flow.nodes else None,
                port=edge.target_port,
                hint=f'flow.connect("{edge.source}", "{edge.target}.{edge.target_port}") keeps this one alone',
            )
        seen.add((edge.target, edge.target_port))
        for end in (edge.source, edge.target):
            if end not in flow.nodes:
                yield Finding(
                    code="FB201",
                    severity="error",
                    message=f"an edge names {end!r}, which is no node of this flow",
                    node_id=edge.target if edge.target in flow.nodes else None,
                    hint=did_you_mean(end, flow.nodes),
                )
        if edge.source in flow.nodes and edge.target in flow.nodes:
            yield from _edge_ports(flow, edge.source, edge.source_port, edge.target, edge.target_port)


def _edge_ports(
    flow: FlowData, source: str, source_port: str | None, target: str, target_port: str
) -> Iterator[Finding]:
    source_type, target_type = flow.type_of(source), flow.type_of(target)
    if source_port and source_type.origin != "stub" and source_type.output(source_port) is None:
        yield Finding(
            code="FB201",
            severity="error",
            message=f"{source!r} has no output {source_port!r}",
            node_id=target,
            port=target_port,
            hint=did_you_mean(source_port, [port.name for port in source_type.outputs]),
        )
    known = target_type.parameter_names
    if target_type.origin != "stub" and target_port not in known:
        yield Finding(
            code="FB201",
            severity="error",
            message=f"{target!r} has no input {target_port!r}",
            node_id=target,
            port=target_port,
            hint=did_you_mean(target_port, known),
        )


def _node(
    flow: FlowData, wiring: Wiring, node_id: str, node_type: NodeType, is_given: Callable[[str, str], bool]
) -> Iterator[Finding]:
    node = flow.nodes[node_id]
    if node_type.origin == "stub":
        yield Finding(
            code="FB210",
            severity="note",
            message=f"{node_id!r} waits for the code of {node_type.type_id!r}",
            node_id=node_id,
            hint="its node type is not installed here" if node.version else "run the cell that defines it",
        )
        return
    if node.version and node_type.version:
        yield from _versions(node, node_type)
    if node.settings:
        yield from _values(node, node_type)
    for spec in node_type.settings:
        if spec.is_required and node.settings.get(spec.name) is None and (node_id, spec.name) not in wiring.links:
            yield Finding(
                code="FB403",
                severity="error",
                message=f"{node_id!r} needs its setting {spec.name!r}, and nobody has set it",
                node_id=node_id,
                port=spec.name,
                hint=f'flow.set("{node_id}", {spec.name}=…)',
            )
    yield from _links(flow, wiring, node_id, node_type)
    for port in node_type.inputs:
        key = (node_id, port.name)
        if key in wiring.ambiguous:
            yield Finding(
                code="FB204",
                severity="error",
                message=f"{node_id}.{port.name} could be " + " or ".join(wiring.ambiguous[key]),
                node_id=node_id,
                port=port.name,
                hint=f'flow.connect("{wiring.ambiguous[key][0]}", "{node_id}.{port.name}")',
            )
        elif key not in wiring.links and port.is_required and port.name not in node.settings and not is_given(*key):
            yield Finding(
                code="FB403",
                severity="error",
                message=f"{node_id!r} needs {port.name!r}, and nothing gives it",
                node_id=node_id,
                port=port.name,
                hint=near_miss(port.name, names_to_read(flow, node_id))
                + f'connect it, or give it to a run: inputs={{"{port.name}": …}}',
            )


def _links(flow: FlowData, wiring: Wiring, node_id: str, node_type: NodeType) -> Iterator[Finding]:
    """Look at what the inputs and settings of a node read."""
    for name in node_type.parameter_names:
        link = wiring.links.get((node_id, name))
        if link is None:
            continue
        source_type = flow.type_of(link.source)
        if source_type.origin == "stub":
            yield Finding(
                code="FB403",
                severity="error",
                message=f"{node_id!r} needs {link.source!r}, whose cell has not run",
                node_id=node_id,
                port=name,
                hint=f"run the cell that defines {link.source!r}",
            )
            continue
        problem = type_problem(source_type, link.source_port, node_type, name)
        if problem:
            yield Finding(
                code="FB207",
                severity="error",
                message=f"{link.source}.{link.source_port} cannot feed {node_id}.{name}: {problem}",
                node_id=node_id,
                port=name,
                hint=remedy(source_type, link.source_port, node_type, name),
            )


def _constants(flow: FlowData, wiring: Wiring) -> Iterator[Finding]:
    """Look at inputs that have a constant and could read, or do read, an edge as well."""
    ends = [
        (node.id, port.name)
        for node in flow.nodes.values()
        if node.settings
        for port in flow.type_of(node.id).inputs
        if port.name in node.settings
    ]
    for end, link in links_without_constants(flow, [end for end in ends if end not in wiring.links]).items():
        yield Finding(
            code="FB215",
            severity="note",
            message=f"a constant stands in place of the edge {link.source} → {'.'.join(end)}",
            node_id=end[0],
            port=end[1],
            hint=f'del flow["{end[0]}"].settings["{end[1]}"] brings the edge back',
        )
    for end in ends:
        if end in wiring.links:
            source = wiring.links[end].source
            yield Finding(
                code="FB215",
                severity="note",
                message=f"the edge {source} → {'.'.join(end)} goes before the constant",
                node_id=end[0],
                port=end[1],
                hint=f'flow.disconnect("{source}", "{".".join(end)}") lets the constant in',
            )


def _versions(node: NodeInstance, node_type: NodeType) -> Iterator[Finding]:
    """Another major version may mean something else by the same settings."""
    if node.version.partition(".")[0] != node_type.version.partition(".")[0]:
        yield Finding(
            code="FB213",
            severity="note",
            message=f"{node.id!r} was made with {node.type_id} {node.version}, here it is {node_type.version}",
            node_id=node.id,
            hint="look at its settings, then add it anew",
        )


def _values(node: NodeInstance, node_type: NodeType) -> Iterator[Finding]:
    """Look at the values a document or a person gave to settings and inputs."""
    for name, value in node.settings.items():
        port = node_type.input(name)
        spec = node_type.setting(name) or (port.plain if port is not None else None)
        try:
            if spec is not None:
                spec.checked(value)
        except DefinitionError as error:
            yield Finding(
                code=error.code, severity="error", message=error.what, node_id=node.id, port=name, hint=error.hint
            )
        problem = port.problem_with(value) if spec is None and port is not None else ""
        if problem:
            yield Finding(
                code="FB103",
                severity="error",
                message=f"{name}={value!r} {problem}",
                node_id=node.id,
                port=name,
                hint=f'del flow["{node.id}"].settings["{name}"]',
            )
        if spec is None and port is None:
            known = node_type.parameter_names
            yield Finding(
                code="FB211",
                severity="note",
                message=f"{node.id!r} keeps a value for {name!r}, which it does not have",
                node_id=node.id,
                port=name,
                hint=did_you_mean(name, known),
            )
