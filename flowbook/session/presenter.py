"""What a session asks of whoever shows its flows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from flowbook.core.events import Event
    from flowbook.runtime.run import Run
    from flowbook.session.flow_handle import Flow


class Presenter(Protocol):
    """Shows flows; set by the notebook."""

    def made(self, flow: Flow) -> None:
        """A named flow was asked for that was not there yet."""
        ...

    def run_started(self, flow: Flow, run: Run) -> None:
        """A run was asked for; its trace can be shown from now on."""
        ...

    def event(self, flow: Flow, run: Run, event: Event, *, is_private: bool) -> None:
        """Something happened in a run; called on engine threads, must only enqueue."""
        ...

    def defining(self, flow: Flow, node_id: str) -> None:
        """Code is about to define a node; raises when another cell does already."""
        ...

    def defined(self, flow: Flow, node_id: str, *, is_new: bool) -> None:
        """Code defined a node, or defined it again."""
        ...

    def renamed(self, flow: Flow, old: str, new: str) -> None:
        """A node has another id now."""
        ...

    def changed(self, flow: Flow) -> None:
        """Nodes, edges, settings or code changed."""
        ...

    def settle(self) -> None:
        """Show everything there is to show before returning."""
        ...
