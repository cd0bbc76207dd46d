"""The notebook as live views know it: what cells show, and what the ``%%flow`` cell holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowbook.canvas.messages import CellNews
    from flowbook.notebook.flow_cells import FlowCells
    from flowbook.notebook.outputs import NodeOutput
    from flowbook.notebook.presenter import NotebookPresenter
    from flowbook.runtime.run import Run
    from flowbook.session import Flow


class LiveHost:
    """Fills ``canvas.live_view.Host``.

    Args:
        presenter: knows what cells show.
        cells: knows what ``%%flow`` cells hold.
    """

    def __init__(self, presenter: NotebookPresenter, cells: FlowCells) -> None:
        self._presenter = presenter
        self._cells = cells

    def current(self) -> str | None:
        """Name the flow whose cell ran last."""
        return self._presenter.current_flow

    def node_output(self, flow: Flow, node_id: str) -> NodeOutput | None:
        """Return what a node's cell shows."""
        return self._presenter.node_output(flow, node_id)

    def canvas_output(self, flow: Flow) -> dict[str, Any] | None:
        """Make the mime bundle of the flow's canvas."""
        return self._presenter.canvas_bundle(flow)

    def trace_output(self, run_id: str) -> dict[str, Any] | None:
        """Make the mime bundle of a run's trace."""
        return self._presenter.trace_bundle(run_id)

    def run(self, run_id: str) -> Run | None:
        """Return a run that a cell shows."""
        return self._presenter.shown_run(run_id)

    def document(self, flow: Flow) -> str:
        """Return the text that should stand in the flow's cell."""
        return self._cells.document(flow)

    def cell(self, flow: Flow) -> CellNews:
        """Say what is known of that cell."""
        return self._cells.news(flow)

    def wrote(self, flow: Flow, text: str, cell_id: str | None) -> None:
        """Note that the cell holds this text now.

        Raises:
            DocumentError: the text is no document.
        """
        self._cells.wrote(flow, text, cell_id)
