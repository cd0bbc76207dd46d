"""The flow document: versioned JSON that diffs well, and the only place where Python names become JSON names.

Canonical form: keys sorted, one node or edge a line, a node's integer position last in its line, absent fields mean the
default. ``load(dump(flow))`` equals ``flow``; dumping what was loaded from canonical text gives that text again; fields
that this version does not know are carried along untouched.
"""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from flowbook.core.edge_book import Edge
from flowbook.core.flow_data import FlowData, NodeInstance
from flowbook.core.node_types import NODE_ID
from flowbook.core.policies import POLICY_FIELDS, STATE_STORAGES, FlowPolicy, Policy, Retry, checked_policy
from flowbook.errors import DefinitionError, DocumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT = "1"

_POLICY_KEYS = {"timeout_s": "timeoutS", "on_change": "onChange", "memory_bytes": "memoryBytes",
                "max_concurrency": "maxConcurrency", "on_item_error": "onItemError"}  # fmt: skip
_RETRY_KEYS = {
    "max_attempts": "maxAttempts",
    "delay_s": "delayS",
    "multiplier": "multiplier",
    "cap_s": "capS",
    "jitter": "jitter",
}
_FLOW_POLICY_KEYS = {
    "max_concurrency": "maxConcurrency",
    "on_error": "onError",
    "flow_attempts": "flowAttempts",
    "state_storage": "stateStorage",
}
_KNOWN = {
    "flowbook",
    "id",
    "version",
    "metadata",
    "policy",
    "nodes",
    "edges",
    "cuts",
    "notes",
    "groups",
    "ports",
    "types",
}
_NODE_KNOWN = {"id", "typeId", "version", "settings", "policy", "position"}
_EDGE_KNOWN = {"source", "sourcePort", "target", "targetPort"}
_CUT_KNOWN = {"source", "target", "targetPort"}
_UNSAFE = re.compile("[\ud800-\udfff\x85\u2028\u2029]")


def to_document(flow: FlowData, *, types: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Return the document of a flow as plain JSON values; absent fields mean the default.

    Args:
        flow: what to describe.
        types: source and signature of cell-defined node types, for files that must stand alone.
    """
    document: dict[str, Any] = {
        "flowbook": FORMAT,
        "id": flow.id,
        "version": flow.version,
        "metadata": flow.metadata,
        "policy": {**_flow_policy(flow.policy), **flow.policy_extra},
        "nodes": [_node(node) for node in flow.nodes.values()],
        "edges": [_edge(edge) for edge in flow.edges],
        "cuts": [
            {**flow.cuts[cut], "source": cut[0], "target": cut[1], "targetPort": cut[2]} for cut in sorted(flow.cuts)
        ],
        "notes": flow.notes,
        "groups": flow.groups,
        "ports": {side: names for side, names in flow.ports.items() if names},
        "types": types if types is not None else flow.type_sources,
    }
    kept = {"flowbook", "id"}
    return {**{key: value for key, value in document.items() if value or key in kept}, **flow.extra}


def dump(flow: FlowData, *, types: list[dict[str, Any]] | None = None) -> str:
    """Write the canonical text of a flow's document, ending in a newline."""
    return canonical_text(to_document(flow, types=types))


def canonical_text(document: dict[str, Any]) -> str:
    """Write any document in canonical form, without interpreting it."""
    lines = []
    for key in sorted(document):
        value = document[key]
        if isinstance(value, list) and value:
            items = ",\n".join("  " + _line(item) for item in value)
            lines.append(f" {json.dumps(key, ensure_ascii=False)}: [\n{items}\n ]")
        else:
            lines.append(f" {json.dumps(key, ensure_ascii=False)}: {_line(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _line(value: Any) -> str:
    """One line of JSON, keys sorted; a position goes last so that moving a node touches the end of its line only."""
    if isinstance(value, dict) and isinstance(value.get("position"), dict):
        head = _line({key: entry for key, entry in value.items() if key != "position"})
        position = f'"position": {_line(value["position"])}'
        return f"{head[:-1]}, {position}}}" if head != "{}" else f"{{{position}}}"
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    # Half of a surrogate pair can only be written as an escape; what some readers take for the end of a line must not
    # end one.
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def load(text: str, *, name: str | None = None) -> FlowData:
    """Read a document; node types are not looked up here, so every node is a stub until its type is set.

    Args:
        text: JSON; empty text is a new, empty flow.
        name: the flow's name when the text says none (the name on the magic line).

    Raises:
        DocumentError: FB301 not JSON (line and column), FB302 a newer format, FB303 a field of the wrong shape.
    """
    if not text.strip():
        return FlowData(id=name or "main")
    return from_document(parse(text), name=name)


def parse(text: str) -> dict[str, Any]:
    """Parse a document's text, without reading its fields.

    Raises:
        DocumentError: FB301, with line and column.
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
        detail = getattr(error, "msg", str(error))
        raise DocumentError(
            f"the document is not JSON: {detail}, line {line}, column {column}",
            code="FB301",
            hint=_near(text, line) or "the text must be a JSON object",
            line=line,
            column=column,
        ) from None  # the parser's own error says the same in other words
    if not isinstance(document, dict):
        raise DocumentError("the document is not a JSON object", code="FB301", hint='start with {"flowbook": "1"}')
    return document


def _refuse_constant(word: str) -> Any:
    message = f"{word} is not JSON"
    raise ValueError(message)


def _finite(word: str) -> float:
    number = float(word)
    if math.isfinite(number):
        return number
    message = f"{word} is too large a number"
    raise ValueError(message)


def _near(text: str, line: int) -> str:
    lines = text.splitlines()
    return f"look at: {lines[line - 1].strip()[:80]}" if 0 < line <= len(lines) and lines[line - 1].strip() else ""


def from_document(document: dict[str, Any], *, name: str | None = None) -> FlowData:
    """Read a parsed document; see ``load``."""
    _check_format(document)
    reader = _Reader(document)
    policy = reader.get("policy", dict, {})
    foreign = {key: value for key, value in policy.items() if _is_foreign(key, value)}
    flow = FlowData(
        id=reader.get("id", str, name or "main"),
        version=reader.get("version", str, ""),
        metadata=reader.get("metadata", dict, {}),
        policy=_read_flow_policy({key: value for key, value in policy.items() if key not in foreign}),
        policy_extra=foreign,
        notes=reader.get("notes", list, []),
        groups=reader.get("groups", list, []),
        ports=_read_ports(reader.get("ports", dict, {})),
        type_sources=reader.get("types", list, []),
        extra={key: value for key, value in document.items() if key not in _KNOWN},
    )
    for index, entry in enumerate(reader.get("nodes", list, [])):
        node = _read_node(entry, f"nodes[{index}]")
        if node.id in flow.nodes:
            raise DocumentError(
                f"two nodes are called {node.id!r}", code="FB304", where=f"nodes[{index}]", hint="rename one of them"
            )
        flow.nodes[node.id] = node
    for index, entry in enumerate(reader.get("edges", list, [])):
        flow.edges.add(_read_edge(entry, f"edges[{index}]"))
    for index, entry in enumerate(reader.get("cuts", list, [])):
        cut = _Reader(entry, f"cuts[{index}]")
        ends = (cut.need("source"), cut.need("target"), cut.need("targetPort"))
        flow.cuts[ends] = {key: value for key, value in cut.entry.items() if key not in _CUT_KNOWN}
    return flow


def _check_format(document: dict[str, Any]) -> None:
    found = document.get("flowbook", FORMAT)
    if str(found) != FORMAT:
        try:
            is_newer = float(found) > float(FORMAT)
        except (TypeError, ValueError, OverflowError):
            is_newer = False
        if is_newer:
            raise DocumentError(
                f"the document has format {found}, this flowbook reads format {FORMAT}",
                code="FB302",
                hint="pip install --upgrade flowbook",
                found=str(found),
                supported=FORMAT,
            )
        raise DocumentError(
            f"{json.dumps(found)[:60]} is no document format", code="FB303", hint=f'write "flowbook": "{FORMAT}"'
        )


class _Reader:
    """Takes fields out of a JSON object and names what has the wrong shape."""

    def __init__(self, entry: Any, where: str = "") -> None:
        if not isinstance(entry, dict):
            raise DocumentError(f"{json.dumps(entry)[:60]} is not an object", code="FB303", where=where)
        self.entry = entry
        self.where = where

    def get(self, key: str, kind: type, default: Any) -> Any:
        value = self.entry.get(key, default)
        if not isinstance(value, kind):
            raise DocumentError(
                f'"{key}" is {json.dumps(value)[:60]}',
                code="FB303",
                where=self.where,
                hint=f'"{key}" takes a JSON {_JSON_NAMES[kind]}',
                field=key,
            )
        return value

    def need(self, key: str) -> str:
        value = self.get(key, str, "")
        if not value:
            raise DocumentError(
                f'"{key}" is missing', code="FB303", where=self.where, hint=f'add "{key}": "…"', field=key
            )
        return str(value)


_JSON_NAMES: dict[type, str] = {str: "string", dict: "object", list: "array"}


def _read_node(entry: Any, where: str) -> NodeInstance:
    reader = _Reader(entry, where)
    policy = reader.get("policy", dict, {})
    position = reader.entry.get("position")
    node_id = reader.need("id")
    if not NODE_ID.fullmatch(node_id):
        raise DocumentError(
            f"{node_id!r} cannot name a node", code="FB303", where=where, hint="letters, digits and _, no digit first"
        )
    return NodeInstance(
        id=node_id,
        type_id=reader.get("typeId", str, node_id),
        version=reader.get("version", str, ""),
        settings=dict(reader.get("settings", dict, {})),
        policy=read_policy(policy, where),
        position=_read_position(position, where),
        extra={key: value for key, value in reader.entry.items() if key not in _NODE_KNOWN},
        inner_extra={
            "retry": _unknown(policy.get("retry"), _RETRY_KEYS.values()),
            "position": _unknown(position, ("x", "y")),
        },
    )


def _read_ports(entry: dict[str, Any]) -> dict[str, dict[str, str]]:
    reader = _Reader(entry, "ports")
    found: dict[str, dict[str, str]] = {}
    for side in sorted(entry):
        names = _Reader(reader.get(side, dict, {}), f"ports.{side}")
        found[side] = {name: names.need(name) for name in names.entry}
    return found


def _unknown(entry: Any, known: Iterable[str]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in known} if isinstance(entry, dict) else {}


def _read_position(value: Any, where: str) -> tuple[int, int] | None:
    if value is None:
        return None
    reader = _Reader(value, f"{where}.position")
    x: Any = reader.entry.get("x")
    y: Any = reader.entry.get("y")
    if not (_is_number(x) and _is_number(y)):
        raise DocumentError(
            f"position {json.dumps(value)[:60]} has no x and y", code="FB303", where=where, hint='{"x": 0, "y": 0}'
        )
    return (round(x), round(y))


def _is_number(value: Any) -> bool:
    """Whether it is a number that one can reckon with: a whole number of JSON may be larger than any float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _read_edge(entry: Any, where: str) -> Edge:
    reader = _Reader(entry, where)
    extra = tuple((key, reader.entry[key]) for key in sorted(reader.entry) if key not in _EDGE_KNOWN)
    return Edge(
        source=reader.need("source"),
        source_port=reader.get("sourcePort", str, "") or None,
        target=reader.need("target"),
        target_port=reader.need("targetPort"),
        extra=extra,
    )


def _node(node: NodeInstance) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": node.id, "typeId": node.type_id}
    if node.version:
        entry["version"] = node.version
    if node.settings:
        entry["settings"] = node.settings
    if node.policy:
        entry["policy"] = policy_json(node.policy)
        if isinstance(entry["policy"].get("retry"), dict):
            entry["policy"]["retry"].update(node.inner_extra.get("retry", {}))
    if node.position is not None:
        entry["position"] = {**node.inner_extra.get("position", {}), "x": node.position[0], "y": node.position[1]}
    return {**entry, **node.extra}


def _edge(edge: Edge) -> dict[str, Any]:
    entry: dict[str, Any] = {"source": edge.source, "target": edge.target, "targetPort": edge.target_port}
    if edge.source_port is not None:
        entry["sourcePort"] = edge.source_port
    return {**entry, **dict(edge.extra)}


def policy_json(policy: dict[str, Any]) -> dict[str, Any]:
    """Return policy fields in their JSON form."""
    found: dict[str, Any] = {}
    for name, value in policy.items():
        if isinstance(value, Retry):
            found["retry"] = {json_name: getattr(value, field) for field, json_name in _RETRY_KEYS.items()}
        else:
            found[_POLICY_KEYS.get(name, name)] = list(value) if isinstance(value, tuple) else value
    return found


def read_policy(entry: dict[str, Any], where: str) -> dict[str, Any]:
    """Read policy fields from their JSON form; those of newer versions are kept as they are.

    Raises:
        DocumentError: FB303, a field cannot take its value.
    """
    names = {json_name: name for name, json_name in _POLICY_KEYS.items()}
    found: dict[str, Any] = {}
    known: dict[str, Any] = {}
    for key, value in entry.items():
        name = names.get(key, key)
        if name in POLICY_FIELDS:
            known[name] = _read_retry(value) if name == "retry" else value
        else:
            found[key] = value  # a policy of a newer version: kept, not obeyed
    try:
        return {**checked_policy(known), **found}
    except DefinitionError as error:
        raise DocumentError(error.what, code="FB303", where=f"{where}.policy", hint=error.hint) from error


def _read_retry(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    names = {json_name: name for name, json_name in _RETRY_KEYS.items()}
    return {names[key]: entry for key, entry in value.items() if key in names}


def _flow_policy(policy: FlowPolicy) -> dict[str, Any]:
    default = FlowPolicy()
    changed = [entry.name for entry in fields(policy) if getattr(policy, entry.name) != getattr(default, entry.name)]
    return {_FLOW_POLICY_KEYS[name]: getattr(policy, name) for name in changed}


def _is_foreign(key: str, value: Any) -> bool:
    """Whether a field of a flow's policy is for another version: an unknown one, or a storage unknown here."""
    if key == _FLOW_POLICY_KEYS["state_storage"]:
        return isinstance(value, str) and value not in STATE_STORAGES
    return key not in _FLOW_POLICY_KEYS.values()


def _read_flow_policy(entry: dict[str, Any]) -> FlowPolicy:
    names = {json_name: name for name, json_name in _FLOW_POLICY_KEYS.items()}
    values = {names[key]: value for key, value in entry.items() if key in names}
    try:
        return FlowPolicy(**values)
    except DefinitionError as error:
        name = _FLOW_POLICY_KEYS[error.fields["policy"]]
        value = json.dumps(values[error.fields["policy"]])[:60]
        raise DocumentError(f'"{name}" is {value}', code="FB303", where="policy", hint=error.hint) from error


def policy_with_overrides(base: Policy, overrides: dict[str, Any]) -> Policy:
    """Apply the policy fields a document stores for a node; fields of newer versions are passed over."""
    return base.with_overrides({name: value for name, value in overrides.items() if name in POLICY_FIELDS})


def json_names(fields_by_name: dict[str, Any]) -> dict[str, Any]:
    """Return a mapping with its snake_case keys as the camelCase keys of JSON; values are left as they are."""
    return {_camel(name): value for name, value in fields_by_name.items()}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
