"""Edits of a flow as small operations, the form in which a canvas or another program sends them.

A list of operations is applied to a copy: either all of them hold and the copy is handed back, or the first that does
not hold raises and nothing has changed. What follows for values (a renamed node keeps its own, a removed one loses it)
is told in ``Applied`` and left to the caller, who knows of values.

    {"op": "move", "node", "x", "y"}               # both null: the layout decides
    {"op": "connect" | "disconnect", "source", "sourcePort"?, "target", "targetPort", "implicit"?}
                                                   # implicit: the edge that names make; a cut goes or comes
                                                   # connect: "fields"? of the edge beyond its ends, as in documents
    {"op": "add", "typeId", "node", "x"?, "y"?, "settings"?, "policy"?}
    {"op": "remove", "node"}
    {"op": "rename", "node", "to", "namesFollow"?}  # false, of undo: only explicit edges follow; see ``rename``
    {"op": "set", "node", "name", "value"}
    {"op": "policy", "node", "policy": {…}}        # fields as in documents: "timeoutS", "onChange", …
    {"op": "document", "text", "byHand"?}          # the whole flow; nodes that code defines stay. byHand: of
                                                   # undo or redo, so that a person moved the settings it changes
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from flowbook.core.document import policy_json, read_policy
from flowbook.core.edge_book import Edge
from flowbook.core.policies import Retry, checked_policy
from flowbook.core.settings import same_json
from flowbook.core.wiring import edge_between, wiring_of
from flowbook.errors import FlowbookError, WiringError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowbook.core.flow_data import FlowData
    from flowbook.core.node_types import NodeType

#: Farthest place from the canvas' origin, pixels: beyond it browsers stop drawing.
FARTHEST_PX = 1_000_000

Operation = Mapping[str, Any]
FieldT = TypeVar("FieldT")


class Surroundings(Protocol):
    """What operations need to know beyond the flow itself."""

    def find_type(self, type_id: str) -> NodeType:
        """Return a node type.

        Raises:
            UnknownIdError: there is none of that id.
        """
        ...

    def read_document(self, text: str, current: FlowData) -> FlowData:
        """Return the flow that a text describes, with the code of the nodes that ``current`` has code for.

        Raises:
            DocumentError: the text is no document.
        """
        ...


@dataclass(slots=True)
class Applied:
    """What a list of operations did.

    Attributes:
        data: the edited copy.
        became: ``(old id, new id)`` of renamed nodes and ``(id, None)`` of removed ones, in the order in which it
            happened: values have to follow step by step.
        moved: ids of nodes of which a setting was set.
    """

    data: FlowData
    became: list[tuple[str, str | None]] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)


def apply_operations(data: FlowData, operations: Sequence[Operation], around: Surroundings) -> Applied:
    """Apply operations to a copy of ``data``.

    Args:
        data: stays as it is.
        operations: JSON objects; see the module's docstring.
        around: node types and documents.

    Raises:
        FlowbookError: an operation cannot be carried out, or is none (FB222); nothing has changed.
    """
    if not isinstance(operations, list | tuple):
        raise WiringError("operations come as a list", code="FB222", where=data.where)
    applied = Applied(data.copy())
    for place, operation in enumerate(operations):
        name = operation.get("op") if isinstance(operation, Mapping) else None
        perform = _OPERATIONS.get(name) if isinstance(name, str) else None
        if perform is None:
            raise WiringError(
                f"there is no operation {str(name)[:40]!r}",
                code="FB222",
                where=data.where,
                hint=did_you_mean(str(name)[:40], _OPERATIONS),
                place=place,
            )
        try:
            perform(applied, operation, around)
        except FlowbookError:
            raise
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise WiringError(
                f"the operation {name!r} cannot be read: {error}", code="FB222", where=data.where, place=place
            ) from None
    return applied


def _take(operation: Operation, key: str, kind: type[FieldT]) -> FieldT:
    """Return a field of an operation, which must be there and of that type."""
    value = operation.get(key)
    if not isinstance(value, kind) or (kind is str and not value):
        message = f"{key!r} is {'missing' if value is None else 'of the wrong type'}"
        raise TypeError(message)
    return value


def disconnect(data: FlowData, source: str, target: str) -> None:
    """Take an edge away; for one that follows from names a cut is stored, so that it stays away.

    Args:
        data: changed in place.
        source: ``"node"`` or ``"node.port"``.
        target: ``"node.port"``, or ``"node"`` for every edge between the two.

    Raises:
        WiringError: FB209, there is no such edge.
    """
    source_id, _, source_port = source.partition(".")
    target_id, _, port = target.partition(".")
    primary = data.type_of(source_id).primary_output(source_id) if source_id in data.nodes else None
    # Those that a document names and that lead nowhere can be taken away too.
    explicit = [
        edge
        for edge in data.edges
        if (edge.source, edge.target) == (source_id, target_id)
        and port in ("", edge.target_port)
        and source_port in ("", edge.source_port or primary)
    ]
    for edge in explicit:
        data.remove_edge(edge)
    implicit = [
        link
        for link in wiring_of(data).links.values()
        if link.is_implicit
        and (link.source, link.target) == (source_id, target_id)
        and port in ("", link.target_port)
        and source_port in ("", link.source_port)
    ]
    for link in implicit:
        data.add_cut(link.source, link.target, link.target_port)
    if explicit or implicit:
        return
    data.node(source_id)
    data.node(target_id)
    feeding = [f"{link.source} → {link.target}.{link.target_port}" for link in wiring_of(data).links.values()]
    raise WiringError(
        f"no edge goes from {source!r} to {target!r}",
        code="FB209",
        where=data.where,
        hint=did_you_mean(f"{source_id} → {target}", feeding) or "the flow has no edges",
    )


def rename(data: FlowData, old: str, new: str, *, names_follow: bool = True) -> None:
    """Give a node another id, together with the code that defines it under its own name.

    An edge that such a rename made from a name is left to the name again where it says the same: so renaming a node
    back gives the flow that it was.

    Args:
        data: changed in place.
        old: its id.
        new: its id from now on.
        names_follow: every input goes on reading what it reads: where the names alone would say otherwise now, an
            explicit edge is stored. False: only explicit edges follow, and names mean what they say.

    Raises:
        UnknownIdError: FB201, there is no node ``old``.
        DuplicateIdError: FB202, ``new`` is taken.
        WiringError: FB205, ``new`` cannot name a node.
    """
    before = list(wiring_of(data).links.values()) if names_follow else []
    data.rename_with_type(old, new)
    if old == new:
        return
    now = dict(wiring_of(data).links) if names_follow else {}
    for was in before:
        source, target = (new if end == old else end for end in (was.source, was.target))
        link = now.get((target, was.target_port))
        if link is not None and (link.source, link.source_port) == (source, was.source_port):
            continue
        # What is read by the node's own name is its primary output, whichever that is.
        is_primary = source == new and data.type_of(new).primary_output(new) == was.source_port
        edge = Edge(
            source=source,
            source_port=None if is_primary else was.source_port,
            target=target,
            target_port=was.target_port,
            extra=next((edge.extra for edge in reversed(data.edges.at(target, was.target_port))), ()),
        )
        if source != target:
            data.add_edge(edge)
    leave_to_name(data, new)


def leave_to_name(data: FlowData, node_id: str) -> None:
    """Take the explicit edges away that were made of the node's name, where the name says the same again."""
    for edge in data.edges.out_of(node_id):
        if edge.target_port != node_id or edge.source_port is not None or edge.extra:
            continue
        end = edge.target, edge.target_port
        was = wiring_of(data).links.get(end)
        data.remove_edge(edge)
        now = wiring_of(data).links.get(end)
        if was is None or now is None or (now.source, now.source_port) != (was.source, was.source_port):
            data.add_edge(edge)


def _move(applied: Applied, operation: Operation, _around: Surroundings) -> None:
    is_left_to_layout = operation["x"] is None and operation["y"] is None
    applied.data.set_position(_take(operation, "node", str), None if is_left_to_layout else _place(operation))


def _place(operation: Operation) -> tuple[int, int]:
    x, y = operation.get("x"), operation.get("y")
    if not (_is_pixels(x) and _is_pixels(y)):
        message = "x and y are numbers of pixels"
        raise ValueError(message)
    return round(x), round(y)  # type: ignore[arg-type]


def _is_pixels(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and abs(value) <= FARTHEST_PX


def _connect(applied: Applied, operation: Operation, _around: Surroundings) -> None:
    source, target = _ends(operation)
    if operation.get("implicit"):
        applied.data.remove_cut(*_cut(applied.data, operation))
        return
    fields = _take(operation, "fields", dict) if operation.get("fields") is not None else {}
    ends = {"source", "sourcePort", "target", "targetPort"} & set(fields)
    if ends:
        message = f"fields cannot name the end {min(ends)!r}"
        raise ValueError(message)
    edge = edge_between(applied.data, source, target)
    applied.data.add_edge(replace(edge, extra=tuple(sorted(fields.items()))))


def _disconnect(applied: Applied, operation: Operation, _around: Surroundings) -> None:
    if operation.get("implicit"):
        applied.data.add_cut(*_cut(applied.data, operation))
    else:
        disconnect(applied.data, *_ends(operation))


def _cut(data: FlowData, operation: Operation) -> tuple[str, str, str]:
    source, target = data.node(_take(operation, "source", str)), data.node(_take(operation, "target", str))
    return source.id, target.id, _take(operation, "targetPort", str)


def _ends(operation: Operation) -> tuple[str, str]:
    source, port = _take(operation, "source", str), operation.get("sourcePort") or ""
    target = f"{_take(operation, 'target', str)}.{_take(operation, 'targetPort', str)}"
    return f"{source}.{_take(operation, 'sourcePort', str)}" if port else source, target


def _add(applied: Applied, operation: Operation, around: Surroundings) -> None:
    type_id, node_id = _take(operation, "typeId", str), _take(operation, "node", str)
    node_type = applied.data.types.get(type_id) or around.find_type(type_id)
    settings = _take(operation, "settings", dict) if operation.get("settings") is not None else {}
    policy = _read_policy(operation) if operation.get("policy") is not None else {}
    applied.data.add_node(node_id, node_type, settings, policy)
    if operation.get("x") is not None or operation.get("y") is not None:
        applied.data.set_position(node_id, _place(operation))


def _remove(applied: Applied, operation: Operation, _around: Surroundings) -> None:
    node_id = _take(operation, "node", str)
    applied.data.remove_node(node_id)
    applied.became.append((node_id, None))


def _rename(applied: Applied, operation: Operation, _around: Surroundings) -> None:
    old, new = _take(operation, "node", str), _take(operation, "to", str)
    rename(applied.data, old, new, names_follow=operation.get("namesFollow") is not False)
    if old != new:
        applied.became.append((old, new))
        applied.moved = [new if node_id == old else node_id for node_id in applied.moved]


def _set(applied: Applied, operation: Operation, _around: Surroundings) -> None:
    node_id, name = _take(operation, "node", str), _take(operation, "name", str)
    if applied.data.set_value(node_id, name, operation["value"]):
        applied.moved.append(node_id)


def _policy(applied: Applied, operation: Operation, _around: Surroundings) -> None:
    applied.data.set_policy(_take(operation, "node", str), _read_policy(operation))


def _read_policy(operation: Operation) -> dict[str, Any]:
    policy = _take(operation, "policy", dict)
    retry = policy.get("retry")
    # A document keeps fields that it does not know; an edit that sets them is a mistake.
    unknown = set(retry if isinstance(retry, dict) else ()) - set(policy_json({"retry": Retry()})["retry"])
    if unknown:
        message = f"retry has no field {min(unknown)!r}"
        raise ValueError(message)
    return checked_policy(read_policy(policy, ""))


def _document(applied: Applied, operation: Operation, around: Surroundings) -> None:
    text = operation.get("text")
    if not isinstance(text, str):
        message = "'text' is missing"
        raise TypeError(message)
    before = applied.data
    applied.data = around.read_document(text, before)
    applied.data.revision = before.revision + 1
    applied.became += [(node_id, None) for node_id in before.nodes if node_id not in applied.data.nodes]
    if operation.get("byHand"):
        pairs = ((node_id, node, before.nodes.get(node_id)) for node_id, node in applied.data.nodes.items())
        applied.moved += [node_id for node_id, node, was in pairs if was and not same_json(node.settings, was.settings)]


_OPERATIONS: dict[str, Callable[[Applied, Operation, Surroundings], None]] = {
    "move": _move,
    "connect": _connect,
    "disconnect": _disconnect,
    "add": _add,
    "remove": _remove,
    "rename": _rename,
    "set": _set,
    "policy": _policy,
    "document": _document,
}
