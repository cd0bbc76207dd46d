"""``%%flow`` cells: the text of a cell as a flow's document."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowbook.core.document import canonical_text, from_document, parse, to_document
from flowbook.notebook.flow_merge import merge
from flowbook.session import flow as named_flow

if TYPE_CHECKING:
    from flowbook.notebook.presenter import NotebookPresenter
    from flowbook.session import Flow

Json = dict[str, Any]


@dataclass(slots=True)
class _Seen:
    """The document as cell and flow both knew it when the cell was last run."""

    document: Json = field(default_factory=dict)
    text: Json = field(default_factory=dict)


class FlowCells:
    """Runs ``%%flow`` cells.

    Args:
        presenter: shows the canvas.
    """

    def __init__(self, presenter: NotebookPresenter) -> None:
        self._presenter = presenter
        self._seen: dict[str, _Seen] = {}

    def run(self, name: str, text: str) -> None:
        """Bring a cell's text and the flow together, and show the canvas.

        Raises:
            DocumentError: FB301 to FB304 the text is no document; FB307 it clashes with edits made elsewhere. The flow
                stays as it was.
        """
        theirs = _normal(from_document(parse(text), name=name)) if text.strip() else {}
        flow = named_flow(name)
        seen = self._seen.get(name) or _Seen()
        mine = _normal_flow(flow)
        merged, _ = merge(seen.document, mine, theirs, flow=name)
        flow.replace_document(canonical_text(_with_coded_nodes(flow, {**merged, "flowbook": "1", "id": name})))
        self._seen[name] = _Seen(_normal_flow(flow), theirs)
        self._presenter.current_flow = name
        self._presenter.show_flow(flow, lambda: self._note(name))

    def _note(self, name: str) -> str:
        """Say what of the flow is not in the cell's text."""
        seen = self._seen[name]
        now = _normal_flow(named_flow(name))
        changed = sum(now.get(key) != seen.text.get(key) for key in {*now, *seen.text})
        if not changed:
            return ""
        return (
            "This flow has settings, edges or positions that are not in the cell. To keep them, put the text of "
            f'print(fb.flow("{name}").document_text()) into it.'
        )


def _normal_flow(flow: Flow) -> Json:
    return _normal(flow.data)


def _normal(data: Any) -> Json:
    """A document without what says nothing: its id, and nodes of which only the name is known."""
    document = json.loads(json.dumps(to_document(data)))
    nodes = [entry for entry in document.pop("nodes", []) if _says_something(entry)]
    document.pop("id", None)
    document.pop("flowbook", None)
    return {**document, "nodes": nodes} if nodes else document


def _says_something(entry: Json) -> bool:
    return bool(set(entry) - {"id", "typeId"}) or entry.get("typeId") != entry.get("id")


def _with_coded_nodes(flow: Flow, document: Json) -> Json:
    """Add the nodes that code defines and the text need not mention."""
    named = {entry.get("id") for entry in document.get("nodes", [])}
    coded = [
        {"id": node.id, "typeId": node.type_id}
        for node in flow.data.nodes.values()
        if node.id not in named and node.type_id == node.id and flow.data.type_of(node.id).origin != "stub"
    ]
    return {**document, "nodes": [*document.get("nodes", []), *coded]}
