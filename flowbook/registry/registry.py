"""Node types by id, from code and from folders."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flowbook.core.node_types import default_node_id
from flowbook.errors import UnknownIdError, did_you_mean
from flowbook.registry.folders import scan
from flowbook.registry.name_search import ALIKE, match

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbook.core.flow_data import NodeInstance
    from flowbook.core.node_types import NodeType
    from flowbook.errors import NodeFolderError
    from flowbook.registry.folders import NodeFolder, Scan

#: Where the palette lists types that no folder says a category for.
OWN_CATEGORY = "Own"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaletteEntry:
    """A node type as a palette lists it.

    Attributes:
        node_type: id, ports, settings, doc, version.
        label: what it is called.
        category: under which heading.
        icon: name of an icon, or empty.
        color: ``#rrggbb``, or empty.
    """

    node_type: NodeType
    label: str
    category: str
    icon: str = ""
    color: str = ""


class Registry:
    """Reusable node types of this process.

    Types of code (``@fb.node``) are registered; those of folders are found by reading every ``schema.json`` once, when
    a type is first looked up. A type of code wins over one of a folder, a folder named earlier over a later one.

    Args:
        folders: hold node types as ``<category>/<name>/schema.json``; ones that cannot be read are among ``problems``.
        runtime: version of this flowbook, which ``compatibility.minRuntime`` is held against.
    """

    def __init__(self, folders: Iterable[Path] = (), *, runtime: str = "0.0.0") -> None:
        self._lock = threading.RLock()
        self._types: dict[str, NodeType] = {}
        self._runtime = runtime
        self._roots = [folder.resolve() for folder in folders]
        self._scanned: Scan | None = None

    def register(self, node_type: NodeType) -> None:
        """Add a type, or put it in place of the one of that id."""
        with self._lock:
            self._types[node_type.type_id] = node_type

    def add_folder(self, path: str | Path) -> list[NodeFolderError]:
        """Take node types from one more folder; a folder named before is read again.

        Nodes that exist keep the code they have.

        Returns:
            What is wrong with folders of node types in it; their types are left out.
        """
        root = Path(path).resolve()
        with self._lock:
            if root not in self._roots:
                self._roots.append(root)
            self._scanned = None
            return [broken.error for broken in self._scan().broken if broken.root == root]

    def find(self, type_id: str) -> NodeType | None:
        """Return the type, or None."""
        with self._lock:
            found = self._types.get(type_id)
            if found is None and (folder := self._folders().get(type_id)) is not None:
                found = folder.node_type
            return found

    def type_for(self, node: NodeInstance) -> NodeType | None:
        """Return the type that a node of a document is made from; None: a cell is to define it, or nobody knows it."""
        found = self.find(node.type_id)
        # A cell may be called `value`, too; its node is not to become something else while the cell has not run.
        return None if found is not None and found.version and node.is_own_type else found

    def get(self, type_id: str) -> NodeType:
        """Return the type.

        Raises:
            UnknownIdError: FB212, with the nearest known id.
            NodeFolderError: there is a folder for it, which is broken.
        """
        found = self.find(type_id)
        if found is not None:
            return found
        with self._lock:
            for broken in self._scan().broken:
                if broken.type_id == type_id:
                    raise broken.error.with_traceback(None)  # it may have been raised before
        raise UnknownIdError(
            f"there is no node type {type_id!r}",
            code="FB212",
            hint=did_you_mean(type_id, [known.type_id for known in self.types()]) or "define one with @fb.node",
            type=type_id,
        )

    def types(self) -> list[NodeType]:
        """Return all types, by id."""
        with self._lock:
            found = {type_id: folder.node_type for type_id, folder in self._folders().items()} | self._types
            return [found[type_id] for type_id in sorted(found)]

    def palette(self) -> list[PaletteEntry]:
        """Return all types as a palette lists them: by category, then by label."""
        entries = [self._entry(node_type) for node_type in self.types()]
        return sorted(entries, key=lambda entry: (entry.category, entry.label, entry.node_type.type_id))

    def search(self, query: str) -> list[PaletteEntry]:
        """Return the types whose name answers ``query``, the best answer first; all of them when it is empty."""
        if not query.strip():
            return self.palette()
        ranked = []
        for place, entry in enumerate(self.palette()):
            type_id = entry.node_type.type_id
            rank = match(query, [entry.label, type_id, default_node_id(type_id)])
            if rank is not None:
                ranked.append((rank, place, entry))
        # What is only spelt alike is a guess, of no use beside an answer.
        is_answered = any(rank < (ALIKE, 0) for rank, _, _ in ranked)
        ranked = [found for found in ranked if not is_answered or found[0] < (ALIKE, 0)]
        return [entry for _, _, entry in sorted(ranked, key=lambda found: found[:2])]

    def problems(self) -> list[NodeFolderError]:
        """Return what is wrong with folders of node types."""
        with self._lock:
            return [broken.error for broken in self._scan().broken]

    def folders(self) -> list[NodeFolder]:
        """Return the folders that hold node types."""
        with self._lock:
            return list(self._folders().values())

    def _folders(self) -> dict[str, NodeFolder]:
        return self._scan().found

    def _scan(self) -> Scan:
        if self._scanned is None:
            self._scanned = scan(self._roots, runtime=self._runtime)
        return self._scanned

    def _entry(self, node_type: NodeType) -> PaletteEntry:
        folder = self._folders().get(node_type.type_id)
        if folder is None or folder.node_type is not node_type:
            return PaletteEntry(node_type=node_type, label=node_type.type_id, category=OWN_CATEGORY)
        schema = folder.schema
        return PaletteEntry(
            node_type=node_type, label=schema.label, category=schema.category, icon=schema.icon, color=schema.color
        )
