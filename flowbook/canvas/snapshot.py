"""A flow as the canvas bundle: nodes with their ports, settings, values and reasons; edges; positions."""

from __future__ import annotations

import datetime as dt
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, cast

from flowbook.canvas.cards import card_size
from flowbook.canvas.pieces.markup import one_line
from flowbook.canvas.placement import placed
from flowbook.canvas.protocol import MOST_PORT_COLUMNS
from flowbook.core.document import json_names, to_document
from flowbook.core.interfaces import copy_reasons
from flowbook.core.policies import Policy
from flowbook.runtime.copies import copies_by_input
from flowbook.runtime.subflow_states import subflow_state

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Set

    from flowbook.canvas.protocol import Canvas, Card, Edge
    from flowbook.core.flow_data import FlowData
    from flowbook.core.node_types import NodeType
    from flowbook.core.packets import ErrorPacket
    from flowbook.core.settings import SettingSpec
    from flowbook.core.wiring import Link, Wiring
    from flowbook.runtime.engine import Engine
    from flowbook.runtime.plan import Binding, Plan
    from flowbook.runtime.results import FlowResults, NodeResult, NodeState
    from flowbook.runtime.run import Run

FORMAT = "1"
#: Id of the small source that stands for a notebook value or a flow input.
SOURCE_PREFIX = "→ "


class FlowView(Protocol):
    """What a snapshot reads of a flow."""

    @property
    def name(self) -> str:
        """The flow's name."""
        ...

    @property
    def data(self) -> FlowData:
        """Nodes, edges, settings."""
        ...

    @property
    def wiring(self) -> Wiring:
        """Resolved edges."""
        ...

    @property
    def plan(self) -> Plan:
        """Slots and bindings."""
        ...

    @property
    def results(self) -> FlowResults:
        """Present values."""
        ...

    @property
    def engine(self) -> Engine:
        """Payloads and namespace."""
        ...

    @property
    def last_run(self) -> Run | None:
        """The run asked for last."""
        ...

    def stale(self) -> dict[str, str]:
        """Reasons by node."""
        ...

    def ahead(self) -> set[str]:
        """Nodes that runs under way have not come to."""
        ...

    def letter_counts(self) -> Mapping[str, int]:
        """Count the dead letters of nodes that have some."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """What the cards of one look at a flow share, so that a thousand cards do not ask for it a thousand times.

    Attributes:
        is_live: for a view that hears of every change; what is stored never calls a value live.
        stale: reasons by node.
        ahead: nodes that runs under way have not come to.
        read_ports: output ports that something reads, by node.
        letters: how many dead letters nodes have.
    """

    is_live: bool
    stale: Mapping[str, str]
    ahead: Set[str]
    read_ports: Mapping[str, Set[str | None]]
    letters: Mapping[str, int]


def look_at(flow: FlowView, *, is_live: bool = False, stale: Mapping[str, str] | None = None) -> Look:
    """Gather what cards share.

    Args:
        flow: what to look at.
        is_live: see ``Look``.
        stale: what is known of it already; asking anew digests the code of every node.
    """
    read_ports: dict[str, set[str | None]] = {}
    for link in flow.wiring.links.values():
        read_ports.setdefault(link.source, set()).add(link.source_port)
    known = flow.stale() if stale is None else stale
    return Look(is_live, known, flow.ahead(), read_ports, flow.letter_counts())


def snapshot(flow: FlowView, *, seq: int = 0, is_live: bool = False) -> Canvas:
    """Describe a flow for the canvas: what is stored in a notebook, and what is drawn.

    Previews are made at most once per result; nothing is computed that was not computed before.

    Args:
        flow: what to describe.
        seq: grows with every bundle; a view drops what is older than what it shows.
        is_live: for a view that hears of every change; what is stored never calls a value live.
    """
    return snapshot_of(flow, look_at(flow, is_live=is_live), seq=seq)


def snapshot_of(flow: FlowView, look: Look, *, seq: int = 0) -> Canvas:
    """Describe a flow as ``snapshot`` does, as it was looked at."""
    data = flow.data
    cards: list[Any] = [_content(flow, node_id, look) for node_id in data.nodes]
    edges: list[Any] = edges_of(flow)
    sources, source_edges = _open_sources(flow)
    cards += sources
    edges += source_edges
    linked = {(edge["target"], edge["targetPort"]) for edge in source_edges}
    for entry in cards:
        for port in entry["inputs"]:
            port["connected"] = port["connected"] or (entry["id"], port["name"]) in linked
    run = flow.last_run
    drawn: dict[str, Any] = {
        "flowbook": FORMAT,
        "kind": "canvas",
        "flow": flow.name,
        "seq": seq,
        "runId": run.id if run is not None else None,
        "at": _timestamp(flow.engine.clock.time()) if run is not None else None,
        "layoutHash": "",
        "document": _without_positions(to_document(data)),
        "nodes": cards,
        "edges": edges,
        "groups": [entry for entry in data.groups if _is_group(entry)],
        "notes": [entry for entry in data.notes if _is_note(entry)],
        "run": _run_summary(flow, run, is_live=look.is_live),
    }
    chosen = {node_id: node.position for node_id, node in data.nodes.items() if node.position is not None}
    return placed(cast("Canvas", drawn), chosen)


def card(flow: FlowView, node_id: str, look: Look | None = None) -> Card:
    """Describe one node: one element of the canvas bundle's ``nodes``, at no place yet."""
    entry = _content(flow, node_id, look or look_at(flow))
    entry["w"], entry["h"] = card_size(cast("Card", entry))
    return cast("Card", entry)


def _content(flow: FlowView, node_id: str, look: Look) -> dict[str, Any]:
    """What stands on a card; it has no place and no size yet."""
    data, node_type = flow.data, flow.data.type_of(node_id)
    node, state = data.nodes[node_id], _state(flow, node_id)
    policy, primary = _policy_and_primary(flow, node_id)
    is_waiting = node_type.function is None
    result = state.result
    stamp = state.stamp if look.is_live else _stored(state.stamp)
    return {
        "id": node_id,
        "typeId": node.type_id,
        "kind": "waiting" if is_waiting else "node",
        "doc": node_type.doc,
        "x": 0,
        "y": 0,
        "w": 0,
        "h": 0,
        "status": "waiting" if is_waiting else "muted" if policy.muted else _status(flow, node_id, look),
        "stamp": None if result is None else "stale" if node_id in look.stale else stamp,
        "reason": look.stale.get(node_id, state.reason) or ("its cell has not run" if is_waiting else ""),
        "tookS": result.took_s if result is not None else None,
        "inputs": [*_inputs(flow, node_id, node_type), *(_inputs_of_stub(flow, node_id) if is_waiting else ())],
        "outputs": _outputs(flow, node_type, result, look.read_ports.get(node_id, ())),
        "settings": [_setting(flow, node_id, spec) for spec in node_type.settings],
        "preview": _preview(flow, result, primary),
        "copies": len(result.copies) if result is not None else 0,
        "copiedBytes": sum(copy.size_bytes for copy in result.copies) if result is not None else 0,
        "error": _error(state.error),
        "pinned": policy.pinned,
        "bypassed": policy.bypassed,
        **({"letters": look.letters[node_id]} if look.letters.get(node_id) else {}),
    }


def _state(flow: FlowView, node_id: str) -> NodeState:
    """What is known of a node; of a subflow, what its nodes came to together."""
    if node_id in flow.plan.nesting.types:
        return subflow_state(flow.plan, flow.results, node_id)
    return flow.results.state(node_id)


def _policy_and_primary(flow: FlowView, node_id: str) -> tuple[Policy, int | None]:
    index = flow.plan.index.get(node_id)
    if index is not None:
        return flow.plan.slots[index].policy, flow.plan.slots[index].primary
    node_type = flow.data.type_of(node_id)
    names = [port.name for port in node_type.outputs]
    name = node_type.primary_output(node_id)
    return Policy().with_overrides(flow.data.nodes[node_id].policy), names.index(name) if name else None


def _is_group(entry: Any) -> bool:
    """Whether an entry of a document, which may hold anything, can be drawn as a group."""
    nodes = entry.get("nodes", []) if isinstance(entry, dict) else None
    is_list = isinstance(nodes, list) and all(isinstance(node_id, str) for node_id in nodes)
    return is_list and isinstance(entry.get("title", ""), str)


def _is_note(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("text", ""), str)
        and all(type(entry.get(name, 0)) in (int, float) for name in ("x", "y"))
    )


def _status(flow: FlowView, node_id: str, look: Look) -> str:
    """What the node is doing: a run under way that has not come to it yet has it queued."""
    status = _state(flow, node_id).status
    members = flow.plan.nesting.members.get(node_id, (node_id,))
    return "queued" if not look.ahead.isdisjoint(members) and status != "running" else status


def _inputs(flow: FlowView, node_id: str, node_type: NodeType) -> list[dict[str, Any]]:
    settings = flow.data.nodes[node_id].settings
    return [
        {
            "name": port.name,
            "type": port.type,
            "connected": (node_id, port.name) in flow.wiring.links,
            "required": port.is_required,
            **({"constant": settings[port.name]} if port.name in settings else {}),
        }
        for port in node_type.inputs
        if not _is_environment(flow, node_id, port.name)
    ]


def _inputs_of_stub(flow: FlowView, node_id: str) -> list[dict[str, Any]]:
    """The ports that edges lead to: nothing else is known of them, and an edge without a port is not drawn."""
    known = {port.name for port in flow.data.type_of(node_id).inputs}
    names = sorted(port for target, port in flow.wiring.links if target == node_id and port not in known)
    return [{"name": name, "type": "any", "connected": True, "required": False} for name in names]


def _outputs(
    flow: FlowView, node_type: NodeType, result: NodeResult | None, read: Container[str | None]
) -> list[dict[str, Any]]:
    found = []
    for index, port in enumerate(node_type.outputs):
        shape = None
        port_type = port.type
        columns: dict[str, Any] = {}
        if result is not None and index < len(result.outputs):
            value = result.collected.get(index, result.outputs[index])
            described = flow.engine.payloads.shape(value)
            shape = described.text or None
            port_type = described.kind if port_type == "any" else port_type
            if described.kind == "table":
                columns = _columns(flow, result, index, value)
        found.append({"name": port.name, "type": port_type, "connected": port.name in read, "shape": shape, **columns})
    return found


def _columns(flow: FlowView, result: NodeResult, index: int, value: object) -> dict[str, Any]:
    """The columns of a table, as a port tells them; nothing where they are not known."""
    if index not in result.columns:
        named = flow.engine.payloads.columns(value)
        told = [{"name": one_line(name), "type": kind} for name, kind in (named or ())[:MOST_PORT_COLUMNS]]
        result.columns[index] = {"columns": told, "columnCount": len(named)} if named else {}
    found: dict[str, Any] = result.columns[index]
    return found


def _setting(flow: FlowView, node_id: str, spec: SettingSpec) -> dict[str, Any]:
    value = flow.data.nodes[node_id].settings.get(spec.name, spec.default)
    entry: dict[str, Any] = {
        "name": spec.name,
        "label": spec.label,
        "control": spec.control,
        "value": value,
        "default": spec.default,
        "connected": (node_id, spec.name) in flow.wiring.links,
    }
    optional = {"min": spec.min, "max": spec.max, "step": spec.step, "options": list(spec.options)}
    entry.update({key: found for key, found in optional.items() if found not in (None, [])})
    entry.update({key: text for key, text in (("unit", spec.unit), ("help", spec.help)) if text})
    return entry


def shown_value(flow: FlowView, node_id: str, port: str = "") -> tuple[int, Any] | None:
    """Find the value that a node's card shows, or another of its outputs.

    Returns:
        A number that only equal values share, and the value; None when there is none.
    """
    names = [output.name for output in flow.data.type_of(node_id).outputs]
    result, (_, primary) = _state(flow, node_id).result, _policy_and_primary(flow, node_id)
    index = names.index(port) if port in names else primary if not port else None
    if result is None or index is None or index >= len(result.outputs):
        return None
    return result.version, result.collected.get(index, result.outputs[index])


def _preview(flow: FlowView, result: NodeResult | None, primary: int | None) -> Any:
    if result is None or primary is None or primary >= len(result.outputs):
        return None
    value = result.collected.get(primary, result.outputs[primary])
    if flow.engine.payloads.shape(value).is_lazy:
        return result.previews.get(primary)  # a preview never computes what nobody asked for
    if primary not in result.previews:
        result.previews[primary] = flow.engine.payloads.preview(value)
    return result.previews[primary]


def _error(error: ErrorPacket | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {"code": error.code, "message": error.message, "hint": error.hint, "line": error.line}


def edges_of(flow: FlowView) -> list[Edge]:
    """Describe the edges between nodes; ``edges`` of the canvas bundle, without those from notebook values."""
    found: list[Edge] = []
    for link in sorted(flow.wiring.links.values(), key=lambda link: (link.target, link.target_port)):
        source_type = flow.data.type_of(link.source)
        output = source_type.output(link.source_port) if link.source_port else None
        result = _state(flow, link.source).result
        made = _state(flow, link.target).result
        label = _shape_text(flow, link, result)
        found.append(
            {
                "source": link.source,
                "sourcePort": link.source_port or "",
                "target": link.target,
                "targetPort": link.target_port,
                "implicit": link.is_implicit,
                "type": _carried_type(flow, link.source, link.source_port, result)
                or (output.type if output else "any"),
                "label": label,
                **_copied(made, link.target_port),
                "carried": result is not None and made is not None,
            }
        )
    return found


class _Copied(TypedDict):
    copies: int
    copiedBytes: int
    copyReason: str


def _copied(made: NodeResult | None, name: str) -> _Copied:
    """What it took to give an input to a node that has fired."""
    copies = copies_by_input(made).get(name, ()) if made is not None else ()
    size_bytes = sum(copy.size_bytes for copy in copies)
    return {"copies": len(copies), "copiedBytes": size_bytes, "copyReason": one_line(copy_reasons(copies))}


def _output_index(flow: FlowView, node_id: str, port: str | None) -> int | None:
    names = [output.name for output in flow.data.type_of(node_id).outputs]
    return names.index(port) if port in names else None


def _shape_text(flow: FlowView, link: Link, result: NodeResult | None) -> str | None:
    index = _output_index(flow, link.source, link.source_port)
    if result is None or index is None or index >= len(result.outputs):
        return None
    shape = flow.engine.payloads.shape(result.collected.get(index, result.outputs[index]))
    tapped = result.tapped.get((index, link.target))
    if shape.is_lazy and tapped is not None and tapped[0].rows is not None:
        return f"{tapped[0].rows:,} flowed × {shape.columns:,}" if shape.columns is not None else shape.text
    return shape.text or None


def _carried_type(flow: FlowView, node_id: str, port: str | None, result: NodeResult | None) -> str:
    index = _output_index(flow, node_id, port)
    if result is None or index is None or index >= len(result.outputs):
        return ""
    return flow.engine.payloads.shape(result.outputs[index]).kind


def _open_bindings(flow: FlowView) -> list[tuple[str, Binding]]:
    return [(slot.node_id, binding) for slot in flow.plan.slots for binding in slot.bindings if binding.kind == "open"]


def _is_environment(flow: FlowView, node_id: str, name: str) -> bool:
    """Whether an ambient name is a module, class or function of the notebook: code, not data, and not drawn."""
    index = flow.plan.index.get(node_id)
    if index is None:
        return False
    slot = flow.plan.slots[index]
    binding = next((entry for entry in slot.bindings if entry.name == name), None)
    if binding is None or binding.kind != "open" or binding.port is None or not binding.port.is_ambient:
        return False
    found, value = flow.engine.namespace.lookup(name)
    return found and (inspect.ismodule(value) or inspect.isclass(value) or inspect.isroutine(value))


def _open_sources(flow: FlowView) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Draw notebook values and given inputs as small sources, one per name that they were given by."""
    cards: dict[str, dict[str, Any]] = {}
    edges = []
    for leaf_id, binding in _open_bindings(flow):
        node_id, port = _shown_end(flow, leaf_id, binding.name)
        if not node_id:
            continue
        name, value, stamp = _open_value(flow, leaf_id, binding)
        if not name or _is_environment(flow, node_id, binding.name):
            continue
        source_id = SOURCE_PREFIX + name
        shape = flow.engine.payloads.shape(value)
        made = _state(flow, node_id).result
        cards.setdefault(source_id, _source_card(source_id, name, shape.kind, shape.text, stamp, value))
        edges.append(
            {
                "source": source_id,
                "sourcePort": "value",
                "target": node_id,
                "targetPort": port,
                "implicit": True,
                "type": shape.kind,
                "label": None,
                **_copied(made, binding.name),
                "carried": made is not None,
            }
        )
    return list(cards.values()), edges


def _shown_end(flow: FlowView, leaf_id: str, port: str) -> tuple[str, str]:
    """Where an open input is drawn: at its node, or at the port of the subflow that feeds it; empty for neither."""
    if leaf_id in flow.data.nodes:
        return leaf_id, port
    entries = flow.plan.nesting.entries.items()
    return next((key for key, ends in entries if (leaf_id, port) in ends and key[0] in flow.data.nodes), ("", ""))


def _open_value(flow: FlowView, node_id: str, binding: Binding) -> tuple[str, Any, str]:
    """Find what an input takes from outside, and by which name; an empty name when there is nothing."""
    given = flow.results.given
    for key in (f"{node_id}.{binding.name}", binding.name):
        if key in given:
            return key, given[key], "given"
    if binding.port is not None and binding.port.is_ambient:
        found, value = flow.engine.namespace.lookup(binding.name)
        return binding.name if found else "", value, "from notebook"
    return "", None, ""


def _source_card(source_id: str, name: str, kind: str, text: str, stamp: str, value: Any) -> dict[str, Any]:
    is_small = isinstance(value, str | int | float | bool) or value is None
    return {
        "id": source_id,
        "typeId": "",
        "kind": "input",
        "doc": "",
        "x": 0,
        "y": 0,
        "status": "ok",
        "stamp": "from notebook" if stamp == "from notebook" else "recorded",
        "reason": "" if stamp == "from notebook" else "given to a run",
        "tookS": None,
        "inputs": [],
        "outputs": [
            {
                "name": "value",
                "type": kind,
                "connected": True,
                "shape": repr(value)[:24] if is_small else text or type(value).__name__,
            }
        ],
        "settings": [],
        "preview": None,
        "copies": 0,
        "copiedBytes": 0,
        "error": None,
        "pinned": False,
        "bypassed": False,
        "title": name,
    }


def _without_positions(document: dict[str, Any]) -> dict[str, Any]:
    nodes = [{key: value for key, value in entry.items() if key != "position"} for entry in document.get("nodes", [])]
    return {**document, "nodes": nodes} if nodes else document


def _run_summary(flow: FlowView, run: Run | None, *, is_live: bool) -> dict[str, Any] | None:
    if run is None or run.trace is None:
        return None
    cache = flow.results.cache if is_live else None
    return {
        "id": run.id,
        "status": run.status,
        "tookS": round(run.trace.took_s, 6),
        **json_names(run.trace.counts()),
        "cacheBytes": cache.size_bytes if cache is not None else None,
        "cacheBudgetBytes": cache.budget_bytes if cache is not None else None,
    }


def _stored(stamp: str | None) -> str | None:
    return "recorded" if stamp == "live" else stamp


def _timestamp(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, tz=dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
