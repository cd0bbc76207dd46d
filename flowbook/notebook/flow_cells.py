"""``%%flow`` cells: the text of a cell as a flow's document."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowbook.core.document import canonical_text, from_document, parse, to_document
from flowbook.errors import DocumentError
from flowbook.notebook.cell_book import is_upper_half
from flowbook.notebook.flow_merge import differing, document_of, facts_of, merge
from flowbook.session import flow as named_flow

if TYPE_CHECKING:
    from flowbook.core.flow_data import FlowData
    from flowbook.notebook.cell_book import Cell
    from flowbook.notebook.flow_merge import Facts
    from flowbook.notebook.presenter import NotebookPresenter
    from flowbook.session import Flow

_NAMED = 6


@dataclass(slots=True)
class _Seen:
    """What cell and flow said when the cell was last run, and the cells that hold this flow's text."""

    cell: Facts = field(default_factory=dict)
    flow: Facts = field(default_factory=dict)
    holders: dict[str, Cell] = field(default_factory=dict)


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
        said = _read(text, name)
        flow = named_flow(name)
        seen = self._seen.get(name) or _Seen()
        merged = merge(
            cell=said,
            cell_before=seen.cell,
            flow=_facts(flow.data),
            flow_before=seen.flow,
            coded=_coded(flow),
            name=name,
        )
        flow.replace_document(canonical_text({**document_of(merged), "flowbook": "1", "id": name}))
        self._seen[name] = _Seen(said, _facts(flow.data), seen.holders)
        cell = self._presenter.cell
        if cell is not None and cell.cell_id is not None:
            for cell_id in [each for each, other in seen.holders.items() if is_upper_half(cell.text, other.text)]:
                del seen.holders[cell_id]
            seen.holders[cell.cell_id] = cell
        self._presenter.current_flow = name
        self._presenter.show_flow(flow, lambda: self._note(flow))

    def _note(self, flow: Flow) -> str:
        """Say what of the flow is not in the cell's text, and which other cell holds it."""
        seen = self._seen[flow.name]
        notes = []
        missing = differing(seen.cell, _facts(flow.data), _coded(flow))
        if missing:
            listed = ", ".join(missing[:_NAMED]) + (" …" if len(missing) > _NAMED else "")
            notes.append(
                f"Not as in this cell's text: {listed}. To keep it, put what "
                f'print(fb.flow("{flow.name}").document_text()) prints into the cell.'
            )
        holders = [cell.label for cell_id, cell in seen.holders.items() if cell_id not in self._presenter.deleted]
        if len(holders) > 1:
            notes.append(f"Several cells hold this flow: {', '.join(holders)}. The one that was run last counts.")
        return "\n".join(notes)


def _read(text: str, name: str) -> Facts:
    if not text.strip():
        return {}
    try:
        return _facts(from_document(parse(text.rstrip()), name=name))
    except DocumentError as error:
        line = error.fields.get("line")
        at = f"line {line + 1} of the cell" if isinstance(line, int) else error.where
        error.where = f"flow {name!r}" + (f", {at}" if at else "")
        raise


def _facts(data: FlowData) -> Facts:
    return facts_of(json.loads(json.dumps(to_document(data))))


def _coded(flow: Flow) -> set[str]:
    """Nodes that code defines: a text need not mention them, and cannot take them out."""
    return {
        node.id
        for node in flow.data.nodes.values()
        if node.type_id == node.id and flow.data.type_of(node.id).origin != "stub"
    }
