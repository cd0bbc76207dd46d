"""Three-way merge of a ``%%flow`` cell's text with what was edited elsewhere since the kernel last saw it.

*base* is the document as both sides knew it, *mine* the flow now (edits from Python or a canvas), *theirs* the text
that was just run. What only one side changed is taken from that side; what both changed differently is a clash, and
then nothing is merged.
"""

from __future__ import annotations

import json
from typing import Any

from flowbook.errors import DocumentError

Json = dict[str, Any]
_LISTS = ("nodes", "edges", "cuts")


def merge(base: Json, mine: Json, theirs: Json, *, flow: str) -> tuple[Json, list[str]]:
    """Merge three documents by node, edge, cut and remaining field.

    Returns:
        The merged document, and in words what of *mine* is not in the text.

    Raises:
        DocumentError: FB307, both sides changed the same thing differently; both versions are shown.
    """
    merged: Json = {}
    kept: list[str] = []
    for key in dict.fromkeys([*base, *mine, *theirs]):
        if key in _LISTS:
            merged[key] = _merge_lists(key, base.get(key, []), mine.get(key, []), theirs.get(key, []), kept, flow)
        else:
            found = _choose(key, base.get(key), mine.get(key), theirs.get(key), kept, flow)
            if found is not None:
                merged[key] = found
    return merged, kept


def _merge_lists(
    kind: str, base: list[Json], mine: list[Json], theirs: list[Json], kept: list[str], flow: str
) -> list[Json]:
    old, ours, text = ({_key(kind, entry): entry for entry in entries} for entries in (base, mine, theirs))
    found = [_choose(key, old.get(key), ours.get(key), text.get(key), kept, flow) for key in {**text, **ours, **old}]
    return [entry for entry in found if entry is not None]


def _key(kind: str, entry: Json) -> str:
    if kind == "nodes":
        return f"node {entry.get('id')}"
    # An input has one edge: two sides that wire it differently must meet here.
    return f"{kind.removesuffix('s')} into {entry.get('target')}.{entry.get('targetPort')}"


def _choose(key: str, base: Any, mine: Any, theirs: Any, kept: list[str], flow: str) -> Any:
    if theirs == base:
        if mine != base:
            kept.append(key)
        return mine
    if mine in (base, theirs):
        return theirs
    raise DocumentError(
        f"{key} was changed in the cell and elsewhere",
        code="FB307",
        where=f"flow {flow!r}",
        hint=f"in the cell: {_short(theirs)}; elsewhere: {_short(mine)}. Write the one you want and run the cell again",
        cell=theirs,
        elsewhere=mine,
    )


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False) if value is not None else "removed"
    return text if len(text) <= 160 else text[:159] + "…"
