"""Three-way merge of a ``%%flow`` cell's text with what was edited elsewhere since the cell was last run.

A document is taken apart into *facts*, one for each thing that can be edited by itself: a setting, a position, a policy
field, the edge into one input, a cut, a field of the flow. Each side, the cell's text and the flow, is compared with
what it said itself when the cell was last run: what only one side changed is taken from that side, so that text which
was not touched never takes back an edit made on a canvas or in Python. What both changed differently is a clash, and
then nothing is merged.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flowbook.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

Json = dict[str, Any]
#: What is edited: ``("node", id, field)``, ``("node", id, "settings", name)``, ``("edge", target, port)``, …
Fact = tuple[str, ...]
Facts = dict[Fact, Any]

_LISTS = ("nodes", "edges", "cuts")
#: Fields of a node whose entries are edited one by one.
_SPREAD = ("settings", "policy")
_IDENTITY = ("flowbook", "id")
#: What a side has of a fact that it does not say: JSON's null is a value.
_ABSENT: Any = object()


def facts_of(document: Json) -> Facts:
    """Take a document apart."""
    facts: Facts = {
        ("flow", key): value for key, value in document.items() if key not in _LISTS and key not in _IDENTITY
    }
    for node in document.get("nodes", []):
        for key, value in node.items():
            if key in _SPREAD:
                facts.update({("node", node["id"], key, name): entry for name, entry in value.items()})
            elif key != "id":
                facts["node", node["id"], key] = value
    for edge in document.get("edges", []):
        facts["edge", edge["target"], edge["targetPort"]] = edge  # an input has one edge: two sides meet here
    for cut in document.get("cuts", []):
        facts["cut", cut["source"], cut["target"], cut["targetPort"]] = cut
    return facts


def document_of(facts: Facts) -> Json:
    """Put a document together; nodes in the order in which they are first named."""
    nodes: dict[str, Json] = {}
    document: Json = {}
    for fact, value in facts.items():
        match fact:
            case ("flow", key):
                document[key] = value
            case ("node", node_id, key):
                nodes.setdefault(node_id, {"id": node_id})[key] = value
            case ("node", node_id, key, name):
                nodes.setdefault(node_id, {"id": node_id}).setdefault(key, {})[name] = value
            case _:
                document.setdefault(f"{fact[0]}s", []).append(value)
    return {**document, "nodes": list(nodes.values())} if nodes else document


def merge(
    *, cell: Facts, cell_before: Facts, flow: Facts, flow_before: Facts, coded: Collection[str], name: str
) -> Facts:
    """Merge the text of a cell with a flow.

    Args:
        cell: what the text says now.
        cell_before: what it said when it was last run; empty when it never was.
        flow: what the flow is now.
        flow_before: what it was after the cell was last run.
        coded: nodes that exist by their code, whether or not a text names them.
        name: of the flow, for errors.

    Raises:
        DocumentError: FB307, both sides changed the same thing differently; both versions are shown.
    """
    merged: Facts = {}
    clashes: list[Fact] = []
    for fact in {**cell, **flow, **cell_before, **flow_before}:
        in_cell, in_flow = cell.get(fact, _ABSENT), flow.get(fact, _ABSENT)
        is_cell_changed = in_cell != cell_before.get(fact, _ABSENT)
        if is_cell_changed and in_flow not in (flow_before.get(fact, _ABSENT), in_cell):
            clashes.append(fact)
        found = in_cell if is_cell_changed else in_flow
        if found is not _ABSENT:
            merged[fact] = found
    clashes += _take_out_nodes(merged, cell, cell_before, flow, flow_before, coded)
    if clashes:
        raise _clash(clashes, cell, flow, name)
    for node_id in coded:
        merged.setdefault(("node", node_id, "typeId"), node_id)
    return merged


def _take_out_nodes(
    merged: Facts, cell: Facts, cell_before: Facts, flow: Facts, flow_before: Facts, coded: Collection[str]
) -> list[Fact]:
    """Take a node out as a whole when one side did; what the other side changed of it meanwhile is returned."""
    clashes = []
    known = {fact[1] for fact in (*cell_before, *flow_before) if fact[0] == "node"}
    for node_id in known - set(coded):
        identity = ("node", node_id, "typeId")
        if identity in merged:
            continue
        now, before = (flow, flow_before) if identity in cell_before and identity not in cell else (cell, cell_before)
        facts = [fact for fact in {**now, **before, **merged} if fact[:2] == identity[:2]]
        clashes += [fact for fact in facts if fact in now and now[fact] != before.get(fact, _ABSENT)]
        for fact in facts:
            merged.pop(fact, None)
    return clashes


def differing(cell: Facts, flow: Facts, coded: Collection[str]) -> list[str]:
    """Say in words what of a flow its cell's text does not say."""
    facts = [
        fact
        for fact in {**flow, **cell}
        if cell.get(fact, _ABSENT) != flow.get(fact, _ABSENT) and not (_is_presence(fact) and fact[1] in coded)
    ]
    return list(dict.fromkeys(in_words(fact) for fact in facts))


def _is_presence(fact: Fact) -> bool:
    return fact[0] == "node" and fact[2:] == ("typeId",)


def in_words(fact: Fact) -> str:
    """Name a fact as people call it."""
    match fact:
        case ("node", node_id, "typeId"):
            return f"node {node_id}"
        case ("node", node_id, "settings", name):
            return f"{node_id}.{name}"
        case ("node", node_id, "policy", name):
            return f"policy {name} of {node_id}"
        case ("node", node_id, key):
            return f"{key} of {node_id}"
        case ("edge", target, port):
            return f"the edge into {target}.{port}"
        case ("cut", source, target, port):
            return f"the cut from {source} to {target}.{port}"
    return f'"{fact[-1]}" of the flow'


def _clash(clashes: Iterable[Fact], cell: Facts, flow: Facts, name: str) -> DocumentError:
    words = [in_words(fact) for fact in clashes]
    both = [
        f"{in_words(fact)}: {_short(cell.get(fact, _ABSENT))} in the cell, {_short(flow.get(fact, _ABSENT))} elsewhere"
        for fact in clashes
    ]
    return DocumentError(
        f"{', '.join(words[:3])}{' …' if len(words) > 3 else ''} was changed in the cell and elsewhere",
        code="FB307",
        where=f"flow {name!r}",
        hint=f"write the one you want and run the cell again: {'; '.join(both[:3])}",
        clashes=[{"what": in_words(fact), "cell": cell.get(fact), "elsewhere": flow.get(fact)} for fact in clashes],
    )


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False) if value is not _ABSENT else "removed"
    return text if len(text) <= 160 else text[:159] + "…"
