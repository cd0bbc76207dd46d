"""Node types by id."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from flowbook.errors import UnknownIdError, did_you_mean

if TYPE_CHECKING:
    from flowbook.core.node_types import NodeType


class Registry:
    """Reusable node types of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._types: dict[str, NodeType] = {}

    def register(self, node_type: NodeType) -> None:
        """Add a type, or put it in place of the one of that id."""
        with self._lock:
            self._types[node_type.type_id] = node_type

    def find(self, type_id: str) -> NodeType | None:
        """Return the type, or None."""
        return self._types.get(type_id)

    def types(self) -> list[NodeType]:
        """Return all types, by id."""
        with self._lock:
            return [self._types[type_id] for type_id in sorted(self._types)]

    def get(self, type_id: str) -> NodeType:
        """Return the type.

        Raises:
            UnknownIdError: FB212, with the nearest known id.
        """
        found = self._types.get(type_id)
        if found is None:
            raise UnknownIdError(
                f"there is no node type {type_id!r}",
                code="FB212",
                hint=did_you_mean(type_id, self._types) or "define one with @fb.node",
                type=type_id,
            )
        return found
