"""Shows flows in a notebook: decides what appears in which cell, and keeps it true while runs go on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from flowbook.core.events import NodeFinished, NodeStarted, RunFinished, RunStarted
from flowbook.notebook.cell_book import Cell, CellBook
from flowbook.notebook.outputs import CanvasOutput, NodeOutput, RunOutput
from flowbook.notebook.publisher import Publisher
from flowbook.session import session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from IPython.core.interactiveshell import InteractiveShell

    from flowbook.core.events import Event
    from flowbook.core.interfaces import Effects
    from flowbook.notebook.publisher import LiveTarget
    from flowbook.runtime.run import Run
    from flowbook.session import Flow

#: Traces that are kept up to date; older runs are over and their outputs final.
_KEPT_RUNS = 32
#: Canvases of one flow that are kept up to date.
_KEPT_CANVASES = 8


class NotebookPresenter:
    """See the module's docstring; fills ``flowbook.session.Presenter``.

    Args:
        shell: the running shell.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell
        self.publisher = Publisher(self._update, self._outputs)
        self.cell: Cell | None = None
        self.current_flow = "main"
        self.flow_of_cell: dict[str, str] = {}
        #: Ids of cells that are gone.
        self.deleted: set[str] = set()
        self._books: WeakKeyDictionary[Flow, CellBook] = WeakKeyDictionary()
        self._defined_now: list[tuple[Flow, str, bool]] = []
        self._nodes: dict[tuple[int, str], NodeOutput] = {}
        self._canvases: dict[int, list[tuple[str | None, CanvasOutput]]] = {}
        self._runs: dict[str, RunOutput] = {}
        self._is_quiet = False
        #: Runs of node cells that have not begun: another run of their flow goes on.
        self._queued: dict[str, NodeOutput] = {}
        self._awaited: NodeOutput | None = None

    # -- cells come and go

    def cell_starts(self, cell: Cell, deleted_ids: Iterable[str]) -> None:
        """A cell is about to run; cells deleted since then leave waiting stubs."""
        self.cell = cell
        self._defined_now = []
        deleted = list(deleted_ids)
        self.deleted.update(deleted)
        if cell.cell_id is not None:
            self.deleted.discard(cell.cell_id)  # a deletion that was undone is not told
            self._forget_outputs_of(cell.cell_id)
        for flow, book in list(self._books.items()) if deleted else ():
            for node_id in book.drop_cells(deleted):
                self._let_wait(flow, node_id)

    def cell_ended(self, *, has_succeeded: bool) -> None:
        """A cell is over: what it no longer defines was renamed or taken out; one that failed did not come to it."""
        cell, self.cell = self.cell, None
        session.hub.cell_ended()
        defined, self._defined_now = self._defined_now, []
        if cell is None or not has_succeeded:
            return
        for flow, book in list(self._books.items()):
            names = [node_id for each, node_id, _ in defined if each is flow]
            new = [node_id for each, node_id, is_new in defined if each is flow and is_new]
            gone = [node_id for node_id in book.names_of(cell) if node_id not in names]
            if len(gone) == 1 and len(new) == 1 and gone[0] in flow.data.nodes:
                flow.adopt(gone[0], new[0])
                continue
            for node_id in gone:
                book.forget(node_id)
                self._let_wait(flow, node_id)

    def book(self, flow: Flow) -> CellBook:
        """Return the cells of a flow."""
        return self._books.setdefault(flow, CellBook())

    def check(self, flow: Flow, node_id: str) -> None:
        """Refuse that the running cell defines a node which another live cell defines.

        Raises:
            CellError: FB540, naming both.
        """
        if self.cell is not None and node_id in flow.data.nodes:
            self.book(flow).check(node_id, self.cell)

    @staticmethod
    def _let_wait(flow: Flow, node_id: str) -> None:
        if node_id in flow.data.nodes:
            flow.undefine(node_id)

    # -- the session's Presenter

    def made(self, flow: Flow) -> None:
        """A cell made a flow: the node cells below it belong to it, until one says otherwise."""
        if self.cell is not None:
            self.current_flow = flow.name

    def defining(self, flow: Flow, node_id: str) -> None:
        """Code is about to define a node.

        Raises:
            CellError: FB540, another live cell defines it.
        """
        self.check(flow, node_id)

    def defined(self, flow: Flow, node_id: str, *, is_new: bool) -> None:
        """Code defined a node: show its card in this cell."""
        self.current_flow = flow.name
        if self.cell is None:
            return
        self._defined_now.append((flow, node_id, is_new))
        self.book(flow).enter(node_id, self.cell)
        if self.cell.cell_id is not None:
            self.flow_of_cell[self.cell.cell_id] = flow.name
        if not self._is_quiet and threading.current_thread() is threading.main_thread():
            self.show_node(flow, node_id, shows_value=False)

    def renamed(self, flow: Flow, old: str, new: str) -> None:
        """A node has another id: its output and its cell follow."""
        self.book(flow).rename(old, new)
        output = self._nodes.pop((id(flow), old), None)
        if output is not None and (id(flow), new) not in self._nodes:
            output.node_id = new
            self._nodes[id(flow), new] = output
            self.publisher.mark(output)

    def run_started(self, flow: Flow, run: Run) -> None:  # noqa: ARG002 -- the Presenter's signature
        """Show the trace of a run in the cell that asked for it."""
        if self._awaited is not None:
            self._queued[run.id] = self._awaited
        if self._is_quiet or self.cell is None or threading.current_thread() is not threading.main_thread():
            return
        output = RunOutput(run)
        run.is_shown = True
        self._runs[run.id] = output
        self.publisher.watch(output)
        while len(self._runs) > _KEPT_RUNS:
            self._runs.pop(next(iter(self._runs)))
        self._display(output)

    def event(self, flow: Flow, run: Run, event: Event, *, is_private: bool) -> None:
        """Mark what an event changes; called on engine threads."""
        output = self._runs.get(run.id)
        if output is not None:
            self.publisher.mark(output)
        if is_private:
            return
        if isinstance(event, RunStarted):
            self._dequeue(run)
        if isinstance(event, NodeStarted):
            self._follow_firing(flow, event)
        if isinstance(event, NodeStarted | NodeFinished):
            self._mark_node(flow, event.node_id)
        if isinstance(event, RunFinished):
            for node_id in run.node_ids:
                self._mark_node(flow, node_id)
            self.changed(flow)

    def late(self, effects: Effects) -> None:  # noqa: ARG002 -- the outputs know whose it is
        """Something was printed by a thread that outlived its firing."""
        self.publisher.glance()

    def changed(self, flow: Flow) -> None:
        """Draw the flow's canvases again."""
        for _, canvas in self._canvases.get(id(flow), ()):
            self.publisher.mark(canvas)

    def settle(self) -> None:
        """Show everything before returning."""
        self.publisher.settle()

    # -- showing

    def show_node(self, flow: Flow, node_id: str, *, shows_value: bool) -> None:
        """Show a node in the cell that runs now; later runs update it there."""
        output = NodeOutput(flow, node_id, self.shell, shows_value=shows_value)
        self._nodes[id(flow), node_id] = output
        self._display(output)

    def show_flow(self, flow: Flow, note: Any = None) -> None:
        """Show a flow's canvas in the cell that runs now; later edits and runs update it there."""
        output = CanvasOutput(flow, note) if note is not None else CanvasOutput(flow)
        shown = self._canvases.setdefault(id(flow), [])
        shown.append((self.cell.cell_id if self.cell is not None else None, output))
        del shown[:-_KEPT_CANVASES]
        self._display(output)

    # -- what is shown, for views that lost their display ids

    def node_output(self, flow: Flow, node_id: str) -> NodeOutput | None:
        """Return what a node's cell shows, or None."""
        return self._nodes.get((id(flow), node_id))

    def canvas_bundle(self, flow: Flow) -> dict[str, Any] | None:
        """Draw the flow's canvas as its cell shows it; None: no cell does."""
        shown = self._canvases.get(id(flow))
        return shown[-1][1].render() if shown else None

    def trace_bundle(self, run_id: str) -> dict[str, Any] | None:
        """Draw the trace of a run as its cell shows it; None: no cell does, or nobody remembers it."""
        output = self._runs.get(run_id)
        return output.live_bundle() if output is not None else None

    def shown_run(self, run_id: str) -> Run | None:
        """Return a run that a cell shows."""
        output = self._runs.get(run_id)
        return output.run if output is not None else None

    def quiet(self) -> _Quiet:
        """Show neither cards nor traces of their own accord until the block ends."""
        return _Quiet(self)

    def set_quiet(self, *, is_quiet: bool) -> None:
        """See ``quiet``."""
        self._is_quiet = is_quiet

    def start(self, flow: Flow, node_id: str) -> Run:
        """Run a flow to the node whose cell this is; while other runs go on before it, the cell says so."""
        output = self._awaited = self._nodes[id(flow), node_id]
        try:
            with self.quiet():
                run = flow.start(to=node_id, supersedes=node_id)
        finally:
            self._awaited = None
        run.is_shown = True
        output.is_queued = run.id in self._queued
        if output.is_queued:
            self.publisher.mark(output)
            if run.id not in self._queued:  # begun just now
                self._dequeue_output(output)
        return run

    def _dequeue(self, run: Run) -> None:
        output = self._queued.pop(run.id, None)
        if output is not None:
            self._dequeue_output(output)

    def _dequeue_output(self, output: NodeOutput) -> None:
        if output.is_queued:
            output.is_queued = False
            self.publisher.mark(output)

    def refresh(self, flow: Flow, node_id: str) -> None:
        """Show in the cell that just ran a node what became of it, even if its value is the one it had."""
        output = self._nodes.get((id(flow), node_id))
        if output is not None and output.is_outdated:
            self.publisher.mark(output)
            self.publisher.settle()

    def _follow_firing(self, flow: Flow, event: NodeStarted) -> None:
        output = self._nodes.get((id(flow), event.node_id))
        if output is not None:
            output.effects = event.effects
            self.publisher.watch(output)

    def _forget_outputs_of(self, cell_id: str) -> None:
        """Running a cell clears its outputs: nobody sees what would be drawn there."""
        for shown in self._canvases.values():
            shown[:] = [(known, canvas) for known, canvas in shown if known != cell_id]

    def _outputs(self) -> list[LiveTarget]:
        return [*self._nodes.values(), *self._runs.values()]

    def _mark_node(self, flow: Flow, node_id: str) -> None:
        output = self._nodes.get((id(flow), node_id))
        if output is not None and output.is_news:
            self.publisher.mark(output)

    def _display(self, output: RunOutput | NodeOutput | CanvasOutput) -> None:
        data = output.render()
        if data is not None:
            self.shell.display_pub.publish(data, {}, transient={"display_id": output.display_id})

    def _update(self, data: dict[str, Any], display_id: str) -> None:
        self.shell.display_pub.publish(data, {}, transient={"display_id": display_id}, update=True)


class _Quiet:
    def __init__(self, presenter: NotebookPresenter) -> None:
        self._presenter = presenter

    def __enter__(self) -> None:
        self._presenter.set_quiet(is_quiet=True)

    def __exit__(self, *_: object) -> None:
        self._presenter.set_quiet(is_quiet=False)
