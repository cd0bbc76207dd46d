"""``%load_ext flowbook``: hook flowbook into a running shell, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbook.errors import FlowbookError
from flowbook.notebook import comms
from flowbook.notebook.cell_book import Cell
from flowbook.notebook.ipython_capture import NotebookCapture
from flowbook.notebook.live_host import LiveHost
from flowbook.notebook.magics import Magics
from flowbook.notebook.namespace import NotebookNamespace
from flowbook.notebook.presenter import NotebookPresenter
from flowbook.notebook.tracebacks import trim_traceback
from flowbook.runtime.run import Run
from flowbook.session import Flow, Node, session

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load(shell: InteractiveShell) -> None:
    """Bring magics, outputs, capture and the notebook's names into ``shell``; a second call does nothing."""
    if isinstance(session.presenter, NotebookPresenter) and session.presenter.shell is shell:
        return
    presenter = NotebookPresenter(shell)
    engine = session.engine
    capture = NotebookCapture(on_late=presenter.late)
    capture.install(shell)
    engine.capture = capture
    engine.namespace = NotebookNamespace(shell)
    _serve_main_thread(shell)
    session.presenter = presenter
    magics = Magics(shell, presenter)
    magics.register()
    session.hub.host = LiveHost(presenter, magics.flow_cells)
    comms.register(shell, session.hub)
    _let_cells_be_empty(shell)
    _follow_cells(shell, presenter)
    _register_formatters(shell, presenter)
    _show_errors_plainly(shell, presenter)


def _let_cells_be_empty(shell: Any) -> None:
    """Hand an empty ``%%flow`` or ``%%node`` cell to its magic: IPython would refuse it for having no body."""

    def add_line(lines: list[str]) -> list[str]:
        is_alone = len(lines) == 1 and lines[0].startswith(("%%flow", "%%node"))
        return [lines[0].rstrip("\n") + "\n", "\n"] if is_alone else lines

    shell.input_transformers_cleanup.append(add_line)


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
            metadata, is_attended = _asked_for(shell)
            # Not ``shell.execution_count``: some versions of IPython count before they tell, others after the cell.
            number = len(shell.history_manager.input_hist_raw)
            cell = Cell(
                cell_id=metadata.get("cellId"),
                execution_count=number,
                text=str(info.raw_cell or ""),
                is_attended=is_attended,
            )
            presenter.cell_starts(cell, metadata.get("deletedCells") or ())

    def after(result: Any) -> None:
        if result.info is None or not result.info.silent:
            presenter.cell_ended(has_succeeded=result.success)

    shell.events.register("pre_run_cell", before)
    shell.events.register("post_run_cell", after)
    # The extension is loaded from inside a cell, whose start was not seen.
    history = shell.history_manager.input_hist_raw
    metadata, _ = _asked_for(shell)
    cell = Cell(cell_id=metadata.get("cellId"), execution_count=len(history) - 1, text=history[-1])
    presenter.cell_starts(cell, ())


def _asked_for(shell: Any) -> tuple[dict[str, Any], bool]:
    """Return the metadata of the request that runs now, and whether somebody sits before it."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return {}, True
    parent = kernel.get_parent("shell") or {}
    return dict(parent.get("metadata") or {}), bool((parent.get("content") or {}).get("allow_stdin"))


def _register_formatters(shell: Any, presenter: NotebookPresenter) -> None:
    def show_flow(flow: Flow) -> None:
        presenter.show_flow(flow)

    def show_node(node: Node) -> None:
        if node.id in node.flow.data.nodes:
            presenter.show_card(node.flow, node.id)
        else:
            shell.display_pub.publish({"text/plain": repr(node)})  # a node in a subflow has no card of its own

    formatter = shell.display_formatter.ipython_display_formatter
    formatter.for_type(Flow, show_flow)
    formatter.for_type(Node, show_node)
    formatter.for_type(Run, presenter.show_run)


def _show_errors_plainly(shell: Any, presenter: NotebookPresenter) -> None:
    """Show flowbook's errors without flowbook's frames, and say on a node's NameError where its value is.

    Names of node cells stay out of the notebook's namespace, so reading one is the first mistake everybody makes; a
    forgotten ``await`` is the second.
    """
    if shell.custom_exceptions:
        return  # somebody else's handler; IPython has room for one

    def explain(shell: Any, cls: Any, error: Any, trace: Any, tb_offset: int | None = None) -> None:
        if isinstance(error, NameError):
            hint = _where_the_value_is(error.name or "", presenter.current_flow)
            if hint:
                error.add_note(hint)
        elif isinstance(error, TypeError | AttributeError):
            if "'coroutine' object" in str(error):
                error.add_note("a coroutine has no value before it is awaited: run = await flow.run()")
        elif not hasattr(error, "_render_traceback_"):
            trim_traceback(error)
            trace = error.__traceback__
        shell.showtraceback((cls, error, trace), tb_offset=tb_offset, running_compiled_code=True)

    shell.set_custom_exc((NameError, TypeError, AttributeError, FlowbookError), explain)


def _where_the_value_is(name: str, current: str) -> str:
    """Say where the value is that somebody looks for under the name of a node or of an output port."""
    with session.lock:
        flows = sorted(session.flows.values(), key=lambda flow: flow.name != current)
    for flow in flows:
        if name in flow:
            return f'{name!r} is a node of flow {flow.name!r}; its value is fb.flow("{flow.name}")["{name}"].value'
    for flow in flows:
        for node_id in flow:
            node_type = flow[node_id].node_type
            if node_type.output(name) is not None and node_type.primary_output(node_id) is None:
                value = f'fb.flow("{flow.name}")["{node_id}"].value["{name}"]'
                return f"{name!r} is an output of node {node_id!r} of flow {flow.name!r}; its value is {value}"
    return ""
