"""``%load_ext flowbook``: hook flowbook into a running shell, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbook.notebook.cell_book import Cell
from flowbook.notebook.ipython_capture import NotebookCapture
from flowbook.notebook.magics import Magics
from flowbook.notebook.namespace import NotebookNamespace
from flowbook.notebook.presenter import NotebookPresenter
from flowbook.runtime.run import Run
from flowbook.session import Flow, session

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load(shell: InteractiveShell) -> None:
    """Bring magics, outputs, capture and the notebook's names into ``shell``; a second call does nothing."""
    if isinstance(session.presenter, NotebookPresenter) and session.presenter.shell is shell:
        return
    presenter = NotebookPresenter(shell)
    engine = session.engine
    capture = NotebookCapture()
    capture.install(shell)
    engine.capture = capture
    engine.namespace = NotebookNamespace(shell)
    _serve_main_thread(shell)
    session.presenter = presenter
    Magics(shell, presenter).register()
    _follow_cells(shell, presenter)
    _register_formatters(shell, presenter)
    _hint_at_nodes(shell)


def _serve_main_thread(shell: Any) -> None:
    """Let nodes that need the main thread run there also while no cell waits."""
    kernel = getattr(shell, "kernel", None)
    loop = getattr(getattr(kernel, "io_loop", None), "asyncio_loop", None)
    if loop is not None:
        queue = session.engine.main_queue
        queue.wake = lambda: loop.call_soon_threadsafe(queue.serve)


def _follow_cells(shell: Any, presenter: NotebookPresenter) -> None:
    def before(info: Any) -> None:
        if not info.silent:
            metadata = _cell_metadata(shell)
            cell = Cell(
                cell_id=metadata.get("cellId"), execution_count=shell.execution_count, text=str(info.raw_cell or "")
            )
            presenter.cell_starts(cell, metadata.get("deletedCells") or ())

    def after(result: Any) -> None:
        if result.info is None or not result.info.silent:
            presenter.cell_ended()

    shell.events.register("pre_run_cell", before)
    shell.events.register("post_run_cell", after)
    # The extension is loaded from inside a cell, whose start was not seen.
    raw = getattr(shell, "_flowbook_raw_cell", "")
    presenter.cell_starts(
        Cell(cell_id=_cell_metadata(shell).get("cellId"), execution_count=shell.execution_count, text=raw), ()
    )


def _cell_metadata(shell: Any) -> dict[str, Any]:
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return {}
    parent = kernel.get_parent("shell") or {}
    return dict(parent.get("metadata") or {})


def _register_formatters(shell: Any, presenter: NotebookPresenter) -> None:
    def show_flow(flow: Flow) -> None:
        presenter.show_flow(flow)

    def show_run(run: Run) -> None:
        if not run.is_shown:
            presenter.run_started(session.flows.get(run.flow) or Flow(run.flow), run)

    formatter = shell.display_formatter.ipython_display_formatter
    formatter.for_type(Flow, show_flow)
    formatter.for_type(Run, show_run)


def _hint_at_nodes(shell: Any) -> None:
    """A NameError on a node's name says where the value is: node cells keep their names to themselves."""
    if shell.custom_exceptions:
        return

    def explain(shell: Any, cls: Any, error: Any, trace: Any, tb_offset: int | None = None) -> None:
        name = getattr(error, "name", None)
        owner = next((flow for flow in session.flows.values() if name in flow), None)
        if owner is not None:
            error.add_note(
                f'{name!r} is a node of flow {owner.name!r}; its value is fb.flow("{owner.name}")["{name}"].value'
            )
        shell.showtraceback((cls, error, trace), tb_offset=tb_offset, running_compiled_code=True)

    shell.set_custom_exc((NameError,), explain)
