"""The flows of this kernel, as live views find them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbook.session import session

if TYPE_CHECKING:
    from flowbook.session import Flow


class KernelFlows:
    """Fills ``canvas.control.Flows`` from the session."""

    def find(self, name: str) -> Flow | None:
        """Return the flow of that name, or None."""
        return session.flows.get(name)

    def names(self) -> list[str]:
        """Return the names of all flows."""
        with session.lock:
            return list(session.flows)

    def type_list(self) -> list[dict[str, Any]]:
        """Return the node types that can be added."""
        return [
            {"typeId": node_type.type_id, "label": node_type.type_id, "doc": node_type.doc}
            for node_type in session.registry.types()
        ]
