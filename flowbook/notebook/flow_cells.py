"""``%%flow`` cells: the text of a cell as a flow's document."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowbook.core.document import canonical_text, from_document, parse, to_document
from flowbook.errors import DocumentError
from flowbook.notebook.flow_merge import differing, document_of, facts_of, merge
from flowbook.session import flow as named_flow

if TYPE_CHECKING:
    from flowbook.canvas.messages import CellNews
    from flowbook.core.flow_data import FlowData
    from flowbook.notebook.cell_book import Cell
    from flowbook.notebook.flow_merge import Facts
    from flowbook.notebook.presenter import NotebookPresenter
    from flowbook.session import Flow

_NAMED = 6
#: Keys of a node of which a document says no more than that it exists.
_PRESENCE = {"id", "typeId"}


@dataclass(slots=True)
class _Seen:
    """What a flow's cell said when it was last run, or written by a browser.

    Attributes:
        cell: what its text said.
        flow: what the flow was then.
        text: its text, without white space at its end.
        cell_id: what the front end calls the cell, or None.
        edit_count: of the flow, when text and flow last said the same.
        holders: cells that were run with this flow's name, by id.
    """

    cell: Facts = field(default_factory=dict)
    flow: Facts = field(default_factory=dict)
    text: str = ""
    cell_id: str | None = None
    edit_count: int = 0
    holders: dict[str, Cell] = field(default_factory=dict)


class FlowCells:
    """Runs ``%%flow`` cells, and knows what their text should be.

    Only edits of a flow change what its text should be; that other cells were run, and defined nodes, does not. So a
    node that code defines is left out as long as there is nothing to say of it that its cell does not say.

    Args:
        presenter: shows the canvas.
    """

    def __init__(self, presenter: NotebookPresenter) -> None:
        self._presenter = presenter
        # By name of the flow; read and changed under that flow's lock, by cells and by the thread of live views.
        self._seen: dict[str, _Seen] = {}
        self._is_due: dict[str, tuple[tuple[Any, ...], bool]] = {}

    def run(self, name: str, text: str) -> None:
        """Bring a cell's text and the flow together, and show the canvas.

        Raises:
            DocumentError: FB301 to FB304 the text is no document; FB307 it clashes with edits made elsewhere. The flow
                stays as it was.
        """
        said = _read(text, name)
        flow = named_flow(name)
        with flow.lock:
            seen = self._seen.get(name) or _Seen()
            merged = merge(
                cell=said,
                cell_before=seen.cell,
                flow=_facts(flow.data),
                flow_before=seen.flow,
                coded=flow.coded,
                name=name,
            )
            flow.replace_document(
                canonical_text({**document_of(merged), "flowbook": "1", "id": name}), is_by_person=False
            )
            cell = self._presenter.cell
            cell_id = cell.cell_id if cell is not None else None
            self._note_seen(flow, _Seen(said, _facts(flow.data), text.rstrip(), cell_id, seen.edit_count, seen.holders))
            if cell is not None and cell_id is not None:
                seen.holders[cell_id] = cell
        self._presenter.current_flow = name
        self._presenter.show_flow(flow, lambda: self._note(flow))

    def wrote(self, flow: Flow, text: str, cell_id: str | None) -> None:
        """Take note that a browser has put this text into the flow's cell.

        Args:
            flow: whose document it is.
            text: the document, as the cell holds it now.
            cell_id: of a cell that is new; None: the cell is the one that is known.

        Raises:
            DocumentError: the text is no document; what was known stays.
        """
        said = _read(text, flow.name)
        with flow.lock:
            seen = self._seen.get(flow.name) or _Seen(edit_count=-1)
            # The flow may have gone on since this text was made from it; what it said then is what the text says.
            then: Facts = {("node", node_id, "typeId"): node_id for node_id in flow.coded}
            known_id = cell_id if cell_id is not None else seen.cell_id
            self._note_seen(flow, _Seen(said, then | said, text.rstrip(), known_id, seen.edit_count, seen.holders))
        self._presenter.changed(flow)

    def _note_seen(self, flow: Flow, seen: _Seen) -> None:
        self._seen[flow.name] = seen
        if not differing(seen.cell, _facts(flow.data), flow.coded):
            seen.edit_count = flow.edit_count

    def document(self, flow: Flow) -> str:
        """Return the text that should stand in the flow's cell, or in one to come; no white space at its end."""
        with flow.lock:
            seen = self._seen.get(flow.name)
            document = to_document(flow.data)
            if seen is not None:
                edges = [*document.get("edges", []), *document.get("cuts", [])]
                named = {fact[1] for fact in seen.cell if fact[0] == "node"}
                named |= {edge[end] for edge in edges for end in ("source", "target")}
                implied = flow.coded - named
                nodes = [
                    node for node in document.get("nodes", []) if node["id"] not in implied or set(node) != _PRESENCE
                ]
                document = {
                    key: value for key, value in {**document, "nodes": nodes}.items() if value or key != "nodes"
                }
            return canonical_text(document).rstrip()

    def news(self, flow: Flow) -> CellNews:
        """Say what is known of a flow's cell; see ``canvas.messages.CellNews``."""
        with flow.lock:
            seen = self._seen.get(flow.name)
            if seen is None:
                return {"id": None, "text": None, "due": False}
            stand = (flow.data.revision, flow.edit_count, seen)
            known = self._is_due.get(flow.name)
            if known is None or not _is_same_stand(known[0], stand):
                is_edited = flow.edit_count != seen.edit_count
                is_due = is_edited and bool(differing(seen.cell, _facts(flow.data), flow.coded))
                known = self._is_due[flow.name] = (stand, is_due)
            return {"id": seen.cell_id, "text": seen.text, "due": known[1]}

    def _note(self, flow: Flow) -> str:
        """Say what of the flow is not in the cell's text, and which other cell holds it."""
        with flow.lock:
            seen = self._seen[flow.name]
            missing = differing(seen.cell, _facts(flow.data), flow.coded)
        notes = []
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


def _is_same_stand(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return one[:2] == other[:2] and one[2] is other[2]


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
