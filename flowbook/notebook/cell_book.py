"""Which cell defined which node: what makes re-running a cell a hot swap, a rename or a mistake.

The key is ``(flow, node name)``. A cell id is an opaque hint: JupyterLab sends one, headless runs do not, VS Code's
changes from session to session. So it can tell that two *known* cells define one node, never that two unknown ones do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowbook.errors import CellError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell as the kernel sees it while it runs.

    Attributes:
        cell_id: what the front end calls it, or None.
        execution_count: its ``In[n]``.
        text: its raw text.
        is_attended: whether somebody may be asked something while it runs; programs that run a notebook from the top,
            each cell once, let nobody be asked.
    """

    cell_id: str | None
    execution_count: int
    text: str
    is_attended: bool = False

    @property
    def label(self) -> str:
        """How errors name it."""
        return f"In [{self.execution_count}]"


@dataclass(slots=True)
class CellBook:
    """The cells that define the nodes of one flow."""

    by_node: dict[str, Cell] = field(default_factory=dict)

    def check(self, node_id: str, cell: Cell) -> None:
        """Refuse a second live cell that defines a node.

        Raises:
            CellError: FB540, naming both cells.
        """
        other = self.by_node.get(node_id)
        if other is None or other.cell_id is None or cell.cell_id is None or other.cell_id == cell.cell_id:
            return
        if is_upper_half(cell.text, other.text):
            return
        raise CellError(
            f"two cells define {node_id!r}: {other.label} and {cell.label}",
            code="FB540",
            where=f"cell {cell.label}",
            hint="give one of them another name, or delete it and run this one again; "
            f"if it is gone already: flow.remove({node_id!r})",
            cells=[other.label, cell.label],
        )

    def enter(self, node_id: str, cell: Cell) -> None:
        """Note that ``cell`` defines the node now."""
        self.by_node[node_id] = cell

    def names_of(self, cell: Cell) -> list[str]:
        """Return the nodes that this very cell defined when it ran before; empty without an id."""
        if cell.cell_id is None:
            return []
        return [node_id for node_id, known in self.by_node.items() if known.cell_id == cell.cell_id]

    def drop_cells(self, cell_ids: Iterable[str]) -> list[str]:
        """Note that cells were deleted; returns the nodes that wait for new code now."""
        ids = set(cell_ids)
        orphans = [node_id for node_id, cell in self.by_node.items() if cell.cell_id in ids]
        for node_id in orphans:
            del self.by_node[node_id]
        return orphans

    def rename(self, old: str, new: str) -> None:
        """Note that a node has another name now; the text of its cell may still say the old one."""
        cell = self.by_node.pop(old, None)
        if cell is not None:
            self.by_node.setdefault(new, cell)

    def forget(self, node_id: str) -> None:
        """Note that a node is gone, or that its cell no longer defines it."""
        self.by_node.pop(node_id, None)


def is_upper_half(part: str, whole: str) -> bool:
    """Tell whether a cell was split: JupyterLab gives the upper half, with the magic line, a new id."""
    part, whole = part.rstrip(), whole.rstrip()
    return len(part) < len(whole) and whole.startswith(part) and whole[len(part)] == "\n"
