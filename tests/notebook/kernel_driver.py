"""A notebook without a front end: a real kernel, driven cell by cell, and outputs kept as a notebook keeps them.

``Notebook.cell`` runs a cell as JupyterLab does, with the cell's id and the ids of the cells deleted since, or as
headless programs do, with neither. What arrives on iopub is put where a notebook puts it: a display into the cell whose
request it answers, an update into every output that bears its display id. Nothing here sleeps: whoever waits reads
messages until what it waits for is there.
"""

from __future__ import annotations

import contextlib
import json
import queue
import re
import textwrap
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel

from tests.notebook.markup_watch import problems_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CANVAS_MIME = "application/vnd.flowbook.canvas+json"
TRACE_MIME = "application/vnd.flowbook.trace+json"
NODE_MIME = "application/vnd.flowbook.node+json"

#: Longest wait for anything, seconds; reached only when something is broken.
DEADLINE_S = 60.0

#: Loads the extension, and keeps what goes wrong on threads that nobody looks at.
PREPARE = """
%load_ext flowbook
import builtins, logging, threading
builtins.flowbook_failures = []
class _Keep(logging.Handler):
    def emit(self, record):
        import traceback
        trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
        builtins.flowbook_failures.append(f"{record.name}: {record.getMessage()}\\n{trace}")
for _name in ("flowbook", "asyncio"):
    logging.getLogger(_name).addHandler(_Keep(logging.WARNING))
def _hook(args):
    builtins.flowbook_failures.append(f"thread {args.thread.name} died: {args.exc_type.__name__}: {args.exc_value}")
threading.excepthook = _hook
def _settled():
    import flowbook.session as room
    room.drain(30)
    room.session.presenter.settle()
builtins.flowbook_settled = _settled
del _Keep, _name, _hook, _settled, logging, threading, builtins
"""
#: Empties the user's namespace, so that a test finds none of the names of another.
CLEAR = """
for _ in [name for name in globals() if name not in flowbook_kept and not name.startswith("_")]:
    del globals()[_]
"""


def plain(text: str) -> str:
    """Take colours out of a text."""
    return re.sub(r"\x1b\[[\d;]*m", "", text)


@dataclass
class Output:
    """One output of a cell, as a notebook would store it now.

    Attributes:
        kind: ``stream``, ``display_data``, ``execute_result`` or ``error``.
        data: its mime bundle; for a stream and an error their fields.
        display_id: under which it can be updated, or None.
        updates: how often it was.
        history: the bundles it had before.
    """

    kind: str
    data: dict[str, Any]
    display_id: str | None = None
    updates: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its plain text."""
        if self.kind == "stream":
            return str(self.data["text"])
        if self.kind == "error":
            return plain("\n".join(self.data["traceback"]))
        return str(self.data.get("text/plain", ""))

    @property
    def node(self) -> dict[str, Any]:
        """The node bundle in it."""
        found: dict[str, Any] = self.data[NODE_MIME]
        return found

    @property
    def html(self) -> str:
        """Its HTML."""
        return str(self.data.get("text/html", ""))


@dataclass
class Cell:
    """One cell of the notebook: its id, its text when it was run last, and its outputs."""

    id: str
    code: str = ""
    outputs: list[Output] = field(default_factory=list)
    status: str = "busy"
    execution_count: int | None = None
    asked: str = ""
    payload: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Everything it shows, as plain text."""
        return "\n".join(output.text for output in self.outputs)

    @property
    def error(self) -> str:
        """Its traceback, or nothing."""
        return "\n".join(output.text for output in self.outputs if output.kind == "error")

    @property
    def printed(self) -> str:
        """What went to stdout and stderr in it."""
        return "".join(output.text for output in self.outputs if output.kind == "stream")

    def bundles(self, mime: str) -> list[dict[str, Any]]:
        """Every bundle of one kind in it."""
        return [output.data[mime] for output in self.outputs if mime in output.data]

    @property
    def shown(self) -> Output:
        """The output of the one node it shows."""
        found = [output for output in self.outputs if NODE_MIME in output.data]
        assert len(found) == 1, self.text
        return found[0]

    def card_of(self, node: str) -> Output:
        """The output of one node among several."""
        found = [output for output in self.outputs if output.data.get(NODE_MIME, {}).get("node") == node]
        assert len(found) == 1, self.text
        return found[0]


class Notebook:
    """A kernel and the cells that were run in it.

    Args:
        prepare: code of a first cell that is not part of the notebook.
    """

    def __init__(self, prepare: str = PREPARE) -> None:
        self.manager, self.client = start_new_kernel(kernel_name="python3")
        self.cells: list[Cell] = []
        self.messages: list[dict[str, Any]] = []
        #: Whether cells bear ids, as in JupyterLab.
        self.has_ids = True
        #: Whether its cells may ask somebody something, as in a terminal.
        self.is_attended = False
        #: The flow that a test works on.
        self.flow = "main"
        self._deleted: list[str] = []
        self._count = 0
        self._execute(prepare)
        self._execute("import builtins; builtins.flowbook_kept = {*globals(), 'builtins'}")

    def close(self) -> None:
        """Stop the kernel."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    # -- what a person does

    def cell(self, code: str, cell: Cell | None = None, *, fails: bool = False) -> Cell:
        """Run a new cell, or ``cell`` again with another text, until it is over.

        Args:
            code: its text; common indentation is taken away.
            cell: the cell to run again.
            fails: whether it is expected to raise.
        """
        started = self.start(code, cell)
        self.finish(started)
        assert (started.status == "error") == fails, started.text
        return started

    def again(self, cell: Cell, *, fails: bool = False) -> Cell:
        """Run a cell again as it stands."""
        return self.cell(cell.code, cell, fails=fails)

    def start(self, code: str, cell: Cell | None = None) -> Cell:
        """Begin to run a cell."""
        if cell is None:
            self._count += 1
            cell = Cell(f"cell-{self._count}")
            self.cells.append(cell)
        cell.code, cell.outputs, cell.status, cell.payload = textwrap.dedent(code).strip("\n"), [], "busy", []
        metadata: dict[str, Any] = {}
        if self.has_ids:
            metadata = {"cellId": cell.id, "deletedCells": self._deleted, "recordTiming": False, "trusted": True}
        self._deleted = []
        cell.asked = self._send(cell.code, metadata, allow_stdin=self.is_attended)
        return cell

    def finish(self, cell: Cell, timeout_s: float = DEADLINE_S) -> None:
        """Read messages until a cell is over."""
        self.until(lambda: cell.status != "busy", timeout_s)

    def delete(self, cell: Cell) -> None:
        """Delete a cell; the kernel hears of it with the next one that runs."""
        self.cells.remove(cell)
        self._deleted.append(cell.id)

    def interrupt(self) -> None:
        """Press the stop button."""
        self.manager.interrupt_kernel()

    def use_flow(self, name: str) -> None:
        """Make a flow the current one, as if its cell had run last."""
        self.flow = name
        self._execute(f"__import__('sys').modules['flowbook.session'].session.presenter.current_flow = {name!r}")

    # -- looking

    def until(self, condition: Callable[[], bool], timeout_s: float = DEADLINE_S) -> None:
        """Read messages until ``condition`` holds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            left_s = deadline - time.monotonic()
            assert left_s > 0, "waited in vain; the cells show:\n" + "\n---\n".join(cell.text for cell in self.cells)
            self._read(min(left_s, 0.05))

    def drain(self) -> None:
        """Read everything that background threads have to say so far."""
        self.ask("flowbook_settled()")

    def ask(self, expression: str) -> Any:
        """Evaluate an expression in the notebook, unseen by hooks and history; its value must be JSON."""
        reply = self._execute("", {"value": f"__import__('json').dumps({expression})"})
        found = reply["user_expressions"]["value"]
        assert found["status"] == "ok", "\n".join(found.get("traceback", [str(found)]))
        text = found["data"]["text/plain"]
        return json.loads(__import__("ast").literal_eval(text))

    def of_flow(self, expression: str) -> Any:
        """Evaluate what follows the dot after the test's flow: ``of_flow("last_run.recomputed")``."""
        return self.ask(f"__import__('flowbook').flow({self.flow!r}).{expression}")

    def is_true(self, expression: str) -> None:
        """Wait until an expression is true in the notebook."""
        deadline = time.monotonic() + DEADLINE_S
        while not self.ask(f"bool({expression})"):
            assert time.monotonic() < deadline, f"waited in vain for {expression}"

    def clear_names(self) -> None:
        """Forget the variables of the notebook."""
        self._execute(CLEAR)

    def failures(self) -> list[str]:
        """What went wrong on threads that nobody looks at."""
        found: list[str] = self.ask("flowbook_failures")
        self._execute("flowbook_failures.clear()")
        return found

    def sent_since(self, mark: int) -> list[dict[str, Any]]:
        """Every message on iopub since ``len(notebook.messages)`` was ``mark``, save status and echoes of input."""
        return [each for each in self.messages[mark:] if each["msg_type"] not in ("status", "execute_input")]

    # -- the wire

    def _send(self, code: str, metadata: dict[str, Any], *, silent: bool = False, **more: Any) -> str:
        content = {
            "code": code,
            "silent": silent,
            "store_history": not silent,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": False,
            **more,
        }
        message = self.client.session.msg("execute_request", content, metadata=metadata)
        self.client.shell_channel.send(message)
        asked: str = message["header"]["msg_id"]
        return asked

    def _execute(self, code: str, expressions: dict[str, str] | None = None) -> dict[str, Any]:
        """Run code that no hook of the notebook sees; returns the reply."""
        asked = self._send(code, {}, silent=True, user_expressions=expressions or {})
        idle: list[str] = []
        while asked not in idle:
            message = self._read(DEADLINE_S)
            if message is not None and _is_idle(message):
                idle.append(message["parent_header"].get("msg_id", ""))
        reply = self._reply(asked)
        assert reply["status"] == "ok", plain("\n".join(reply.get("traceback", [str(reply)])))
        return reply

    def _reply(self, asked: str) -> dict[str, Any]:
        while True:
            message = self.client.get_shell_msg(timeout=DEADLINE_S)
            if message["parent_header"].get("msg_id") == asked:
                content: dict[str, Any] = message["content"]
                return content

    def _read(self, timeout_s: float) -> dict[str, Any] | None:
        try:
            message: dict[str, Any] = self.client.get_iopub_msg(timeout=timeout_s)
        except queue.Empty:
            return None
        self.messages.append(message)
        cell = next((each for each in self.cells if each.asked == message["parent_header"].get("msg_id")), None)
        kind, content = message["msg_type"], message["content"]
        if kind == "update_display_data":
            self._update(content)
        elif cell is not None:
            if kind == "execute_input":
                cell.execution_count = content["execution_count"]
            elif kind == "clear_output":
                cell.outputs.clear()
            elif _is_idle(message):
                reply = self._reply(cell.asked)
                cell.status, cell.payload = reply["status"], reply.get("payload", [])
            elif kind in ("stream", "display_data", "execute_result", "error"):
                self._add(cell, kind, content)
        return message

    @staticmethod
    def _add(cell: Cell, kind: str, content: dict[str, Any]) -> None:
        last = cell.outputs[-1] if cell.outputs else None
        if kind == "stream" and last is not None and last.kind == kind and last.data["name"] == content["name"]:
            last.data["text"] += content["text"]
            return
        data = content.get("data", content)
        # As in JupyterLab: a result bears no display id.
        display_id = content.get("transient", {}).get("display_id") if kind == "display_data" else None
        cell.outputs.append(Output(kind, dict(data), display_id))

    def _update(self, content: dict[str, Any]) -> None:
        display_id = content["transient"]["display_id"]
        for cell in self.cells:
            for output in cell.outputs:
                if output.display_id == display_id:
                    output.history.append(output.data)
                    output.data = dict(content["data"])
                    output.updates += 1


def _is_idle(message: dict[str, Any]) -> bool:
    return message["msg_type"] == "status" and bool(message["content"]["execution_state"] == "idle")


@contextlib.contextmanager
def started_notebook() -> Iterator[Notebook]:
    """Start a kernel for as long as the block runs."""
    notebook = Notebook()
    try:
        yield notebook
    finally:
        notebook.close()


@contextlib.contextmanager
def watched(notebook: Notebook) -> Iterator[Notebook]:
    """Give a kernel to one test: no names of another; no thread may fail unseen, and nothing unfit may be stored."""
    notebook.cells.clear()
    notebook.has_ids, notebook.is_attended = True, False
    notebook.clear_names()
    notebook.failures()
    yield notebook
    failures = [*notebook.failures(), *problems_in(notebook.cells)]
    assert not failures, "\n".join(failures)


def run_headless(cells: Iterable[str], *, prepare: str = "%load_ext flowbook") -> list[Cell]:
    """Run the same cells by nbclient; returns them as they were stored."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    texts = [textwrap.dedent(code).strip("\n") for code in cells]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in [prepare, *texts]])
    nbclient.NotebookClient(notebook, timeout=DEADLINE_S, allow_errors=True).execute()
    found = []
    for stored in notebook.cells[1:]:
        cell = Cell(stored.id, stored.source, status="ok", execution_count=stored.execution_count)
        for output in stored.outputs:
            cell.status = "error" if output.output_type == "error" else cell.status
            data = output.get("data") or {key: value for key, value in output.items() if key != "output_type"}
            cell.outputs.append(Output(output.output_type, dict(data)))
        found.append(cell)
    return found
