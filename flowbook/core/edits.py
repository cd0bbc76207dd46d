"""Edits of a flow as small operations, the form in which a canvas or another program sends them.

A list of operations is applied to a copy: either all of them hold and the copy is handed back, or the first that does
not hold raises and nothing has changed. What follows for values (a renamed node keeps its own, a removed one loses it)
is told in ``Applied`` and left to the caller, who knows of values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowbook.core.wiring import edge_between, resolve
from flowbook.errors import WiringError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from flowbook.core.flow_data import FlowData
    from flowbook.core.node_types import NodeType


@dataclass(slots=True)
class Applied:
    """What a list of operations did.

    Attributes:
        data: the edited copy.
        renamed: ``(old, new)`` ids, in order.
        removed: ids of nodes that are gone.
        moved_settings: ``(node, setting)`` that were set.
    """

    data: FlowData
    renamed: list[tuple[str, str]] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    moved_settings: list[tuple[str, str]] = field(default_factory=list)


def apply_operations(
    data: FlowData, operations: Iterable[Mapping[str, Any]], find_type: Callable[[str], NodeType]
) -> Applied:
    """Apply operations to a copy of ``data``.

    Args:
        data: stays as it is.
        operations: JSON objects with ``op`` one of move, connect, disconnect, add, remove, rename, set, policy; further
            fields as each of them needs.
        find_type: the node type of an id; raises when there is none.

    Raises:
        FlowbookError: an operation cannot be carried out, or is none (FB222); nothing has changed.
    """
    applied = Applied(data.copy())
    for operation in operations:
        name = operation.get("op")
        perform = _OPERATIONS.get(str(name))
        if perform is None:
            raise WiringError(
                f"there is no operation {name!r}",
                code="FB222",
                where=data.where,
                hint=did_you_mean(str(name), _OPERATIONS),
            )
        try:
            perform(applied, operation, find_type)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, WiringError):
                raise
            raise WiringError(
                f"the operation {name!r} is incomplete: {error}", code="FB222", where=data.where
            ) from None
    return applied


def disconnect(data: FlowData, source: str, target: str) -> None:
    """Take an edge away; for one that follows from names a cut is stored, so that it stays away.

    Args:
        data: changed in place.
        source: ``"node"`` or ``"node.port"``.
        target: ``"node.port"``, or ``"node"`` for every edge between the two.

    Raises:
        WiringError: FB209, there is no such edge.
    """
    source_id, _, _ = source.partition(".")
    target_id, _, port = target.partition(".")
    data.node(source_id)
    data.node(target_id)
    links = [
        link
        for link in resolve(data).links.values()
        if link.source == source_id and link.target == target_id and port in ("", link.target_port)
    ]
    if not links:
        feeding = [f"{link.source} → {link.target}.{link.target_port}" for link in resolve(data).links.values()]
        raise WiringError(
            f"no edge goes from {source!r} to {target!r}",
            code="FB209",
            where=data.where,
            hint=did_you_mean(f"{source_id} → {target}", feeding) or "the flow has no edges",
        )
    for link in links:
        explicit = [edge for edge in data.edges if (edge.target, edge.target_port) == (target_id, link.target_port)]
        for edge in explicit:
            data.remove_edge(edge)
        follows = resolve(data).links.get((link.target, link.target_port))
        if follows is not None and follows.is_implicit and follows.source == link.source:
            data.add_cut(link.source, link.target, link.target_port)


def _move(applied: Applied, operation: Mapping[str, Any], _find: Callable[[str], NodeType]) -> None:
    applied.data.set_position(operation["node"], (round(operation["x"]), round(operation["y"])))


def _connect(applied: Applied, operation: Mapping[str, Any], _find: Callable[[str], NodeType]) -> None:
    source, target = _ends(operation)
    applied.data.add_edge(edge_between(applied.data, source, target))


def _disconnect(applied: Applied, operation: Mapping[str, Any], _find: Callable[[str], NodeType]) -> None:
    disconnect(applied.data, *_ends(operation))


def _ends(operation: Mapping[str, Any]) -> tuple[str, str]:
    port = operation.get("sourcePort")
    source = f"{operation['source']}.{port}" if port else str(operation["source"])
    return source, f"{operation['target']}.{operation['targetPort']}"


def _add(applied: Applied, operation: Mapping[str, Any], find: Callable[[str], NodeType]) -> None:
    type_id = str(operation["typeId"])
    node_type = applied.data.types.get(type_id) or find(type_id)
    applied.data.add_node(operation["node"], node_type, operation.get("settings") or {})
    if operation.get("x") is not None and operation.get("y") is not None:
        _move(applied, operation, find)


def _remove(applied: Applied, operation: Mapping[str, Any], _find: Callable[[str], NodeType]) -> None:
    applied.data.remove_node(operation["node"])
    applied.removed.append(operation["node"])


def _rename(applied: Applied, operation: Mapping[str, Any], _find: Callable[[str], NodeType]) -> None:
    applied.data.rename_with_type(operation["node"], operation["to"])
    applied.renamed.append((operation["node"], operation["to"]))


def _set(applied: Applied, operation: Mapping[str, Any], _find: Callable[[str], NodeType]) -> None:
    if applied.data.set_value(operation["node"], operation["name"], operation["value"]):
        applied.moved_settings.append((operation["node"], operation["name"]))


def _policy(applied: Applied, operation: Mapping[str, Any], _find: Callable[[str], NodeType]) -> None:
    applied.data.set_policy(operation["node"], operation["policy"])


_OPERATIONS: dict[str, Callable[[Applied, Mapping[str, Any], Callable[[str], NodeType]], None]] = {
    "move": _move,
    "connect": _connect,
    "disconnect": _disconnect,
    "add": _add,
    "remove": _remove,
    "rename": _rename,
    "set": _set,
    "policy": _policy,
}
