"""One notebook, one kernel, from the first cell to the last: a ``NotebookClient`` that always comes to an end.

What nbclient does not do, and this does:

- the cells after a failed one run too, and every failure is kept with the cell's own line;
- trace bundles are handed to the report while the cell that shows them still runs;
- two hidden cells: one before the first cell (what ``--to`` sets) and one after the last, which waits for runs that go
  on in the background (nbclient reads no message after the last cell's idle). They never stand in the notebook;
- whole-run time-out, Ctrl-C and SIGTERM interrupt the kernel first, so that a cell's ``finally`` runs and the trace
  gets its last word, and kill it when it does not answer. No kernel outlives this module, whichever way it is left.

The kernel is started and shut down here rather than by nbclient's ``async_setup_kernel``, which would put its own
signal handlers in the place of `flowbook.headless.interruption`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, Any

from jupyter_core.utils import ensure_async, run_sync
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_code_cell, new_output

from flowbook.canvas.protocol import NODE_MIME, TRACE_MIME
from flowbook.errors import HeadlessError
from flowbook.headless.kernel import GOODBYE_S, HURRIED_GOODBYE_S, kernel_name_of, new_manager, shut_down
from flowbook.headless.outcome import CellFailure, Ending, Execution
from flowbook.headless.scan import cell_tags

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nbformat import NotebookNode

    from flowbook.headless.interruption import Interruption
    from flowbook.headless.outcome import Observer

RAISES_TAG = "raises-exception"  # Jupyter's own: the cell is meant to fail

#: The hidden cells are single expressions: they leave no name behind that a node could take for a notebook's value.
DRAIN_SOURCE = (
    "(lambda module: module and (module.drain(), (p := module.session.presenter) and p.settle()) and None)"
    '(__import__("sys").modules.get("flowbook.session"))'
)
DEFAULTS_SOURCE = '__import__("flowbook.session", fromlist=["session"]).headless_defaults({what})'

#: How long an interrupted cell may take to clean up, in seconds; a node that never stops gets 2 s from the engine.
GRACE_S = 3.0

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class FlowNotebookClient(NotebookClient):
    """Runs a notebook's cells in a kernel of its own and tells an observer.

    Args:
        notebook: executed in place; at any moment it may be written as it is, see `visible`.
        folder: the kernel's working directory.
        numbers: for each cell's position the number people know it by.
        observer: is told what happens.
        to: nodes that every run goes to unless it says otherwise; none: all.
        only_defines: runs fire nothing, the cells define nodes.
        runs_once: see ``session.headless_defaults``.

    Attributes:
        execution: what has come of it so far.
        has_started: a cell of the notebook was begun.
    """

    def __init__(
        self,
        notebook: NotebookNode,
        *,
        folder: Path,
        numbers: dict[int, int],
        observer: Observer,
        to: Sequence[str] = (),
        only_defines: bool = False,
        runs_once: bool = False,
    ) -> None:
        manager = new_manager(kernel_name_of(notebook))
        super().__init__(
            notebook,
            km=manager,
            allow_errors=True,
            record_timing=False,
            store_widget_state=False,
            resources={"metadata": {"path": str(folder)}},
            on_cell_error=self._remember_error,
        )
        self.execution = Execution()
        self._manager = manager
        self._numbers = numbers
        self._observer = observer
        self._to = tuple(to)
        self._defaults = {"only_defines": only_defines, "runs_once": runs_once}
        self._cell_count = len(notebook.cells)
        self.has_started = False
        self._errors: list[dict[str, Any]] = []  # replies of the cell that runs now
        self._is_kernel_ready = False
        self._is_cell_running = False
        self._is_stopping = False

    def visible(self) -> NotebookNode:
        """Return the notebook without hidden cells, whatever moment of the execution it is."""
        from nbformat import NotebookNode

        return NotebookNode({**self.nb, "cells": self.nb.cells[: self._cell_count]})

    # -- the way through the notebook

    async def async_execute(self, reset_kc: bool = False, **kwargs: Any) -> NotebookNode:
        """Run all cells in a new kernel and shut it down; ``reset_kc`` means nothing here, there is no older one.

        Raises:
            DeadKernelError: the kernel died.
        """
        del reset_kc
        try:
            await self._run_cells(**kwargs)
        finally:
            await self._close_kernel(GOODBYE_S, hurry=asyncio.Event())
        return self.nb

    execute = run_sync(async_execute)

    async def run(self, interruption: Interruption, timeout_s: float | None) -> Execution:
        """Run all cells; come back whatever happens, with the kernel gone.

        Args:
            interruption: is looked at all the time.
            timeout_s: seconds for everything, the kernel's start included, > 0; None waits for ever.
        """
        first, second = asyncio.Event(), asyncio.Event()

        def interrupted() -> None:
            first.set()
            if interruption.count > 1:
                second.set()

        interruption.wake(asyncio.get_running_loop(), interrupted)
        work = asyncio.create_task(self._run_cells())
        stop = asyncio.create_task(first.wait())
        try:
            await asyncio.wait({work, stop}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await self._stop(work, Ending.INTERRUPTED if stop.done() else Ending.TIMED_OUT, second)
            self._conclude(work)
        finally:
            stop.cancel()
            work.cancel()
            await asyncio.gather(work, stop, return_exceptions=True)
            goodbye_s = GOODBYE_S if self.execution.ending is Ending.DONE else HURRIED_GOODBYE_S
            await self._close_kernel(goodbye_s, hurry=second if self.execution.ending is Ending.INTERRUPTED else first)
            interruption.rest()
        return self.execution

    async def _run_cells(self, **kwargs: Any) -> None:
        self.reset_execution_trackers()
        await self._open_kernel(**kwargs)
        defaults = {name: value for name, value in {"to": self._to, **self._defaults}.items() if value}
        if defaults:
            told = ", ".join(f"{name}={value!r}" for name, value in defaults.items())
            await self._run_hidden(DEFAULTS_SOURCE.format(what=told))
            self._check_defaults()
        for position in range(self._cell_count):
            if self._is_stopping:
                return
            await self._run_cell(position)
        await self._run_hidden(DRAIN_SOURCE)

    async def _open_kernel(self, **kwargs: Any) -> None:
        await self.async_start_new_kernel(**kwargs)
        client = self._manager.client()
        self.kc = client
        # No heartbeat: the process is watched itself, and the heartbeat's thread does not survive being stopped early.
        client.start_channels(hb=False)
        client.allow_stdin = False
        try:
            await client.wait_for_ready(timeout=self.startup_timeout)
        except RuntimeError as error:  # "Kernel died before replying to kernel_info", "… didn't respond in 60 seconds"
            raise DeadKernelError(str(error)) from error
        reply = await self.async_wait_for_reply(client.kernel_info())
        self._is_kernel_ready = True
        if reply is not None:
            self.nb.metadata["language_info"] = reply["content"]["language_info"]

    async def _run_cell(self, position: int) -> None:
        cell = self.nb.cells[position]
        number = self._numbers.get(position)
        if number is None:
            return  # Markdown, empty, or tagged to be skipped
        self.has_started = True
        self._observer.cell_started(number)
        self._errors.clear()
        self._is_cell_running = True
        try:
            await self.async_execute_cell(cell, position)
        except DeadKernelError:
            # nbclient raises the same when the wait for a deaf cell is cut short, which is no death of its own.
            cell.outputs.append(_killed_output() if self._is_stopping else _died_output())
            raise
        finally:
            self._is_cell_running = False
            self._observer.cell_ended()
        self.execution.executed_count += 1
        if self._errors and not self._is_stopping and RAISES_TAG not in cell_tags(cell):
            failure = _failure(self._errors[-1], cell.execution_count, number, position)
            self.execution.failures.append(failure)
            self._observer.cell_failed(failure)

    async def _run_hidden(self, source: str) -> None:
        """Run source as a cell behind the last one, so that no other cell's index changes, and take it away again."""
        cell = new_code_cell(source)
        self.nb.cells.append(cell)
        self._errors.clear()
        self._is_cell_running = True
        try:
            await self.async_execute_cell(cell, len(self.nb.cells) - 1, store_history=False)
        finally:
            self._is_cell_running = False
            self._observer.cell_ended()
            del self.nb.cells[self._cell_count :]

    def _check_defaults(self) -> None:
        if self._errors and not self._is_stopping:
            reply = self._errors[-1]
            raise HeadlessError(
                f"the kernel does not take {'--to' if self._to else 'that'}:"
                f" {reply.get('ename')}: {reply.get('evalue')}",
                code="FB708",
                where=f"--to {' --to '.join(self._to)}" if self._to else "letters replay",
                hint="install this version of flowbook where the notebook's kernel runs",
            )

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> NotebookNode | None:
        """Look at a message for a trace bundle, then let nbclient put it into the notebook."""
        if msg["msg_type"] in ("display_data", "update_display_data", "execute_result"):
            data = msg["content"].get("data", {})
            is_expected = RAISES_TAG in cell_tags(cell)
            if isinstance(data.get(TRACE_MIME), dict):
                self._observer.trace_seen(data[TRACE_MIME], is_expected=is_expected)
            if isinstance(data.get(NODE_MIME), dict):
                self._observer.node_seen(data[NODE_MIME], is_expected=is_expected)
        found: NotebookNode | None = super().process_message(msg, cell, cell_index)
        return found

    def _remember_error(self, *, execute_reply: dict[str, Any], **_: Any) -> None:
        self._errors.append(execute_reply["content"])

    # -- ends

    async def _stop(self, work: asyncio.Task[None], ending: Ending, hurry: asyncio.Event) -> None:
        """Interrupt the running cell and give it time to clean up; a second interrupt cuts that short."""
        self._is_stopping = True
        self.execution.ending = ending
        self._observer.stopping(ending)
        if not self._is_cell_running:
            return
        with contextlib.suppress(Exception):  # it may be gone by now; then there is nothing to interrupt
            await ensure_async(self._manager.interrupt_kernel())
        hurried = asyncio.create_task(hurry.wait())
        await asyncio.wait({work, hurried}, timeout=GRACE_S, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()

    def _conclude(self, work: asyncio.Task[None]) -> None:
        if not work.done() or work.cancelled() or self._is_stopping:
            return
        error = work.exception()
        if isinstance(error, DeadKernelError):
            self.execution.ending = Ending.KERNEL_DIED
            self.execution.kernel_exit_code = self._exit_code()
        elif error is not None:
            raise error

    def _exit_code(self) -> int | None:
        process = getattr(self._manager.provisioner, "process", None)
        code = process.poll() if process is not None else None
        return code if isinstance(code, int) else None

    async def _close_kernel(self, goodbye_s: float, *, hurry: asyncio.Event) -> None:
        """Shut the kernel down, kill it if it stays or ``hurry`` is set, and remove what it left behind."""
        if self.kc is not None:
            self.kc.stop_channels()
            self.kc = None
        # One that is still starting knows no goodbye; the interrupt that comes first would make it print a traceback.
        await shut_down(self._manager, goodbye_s if self._is_kernel_ready else 0, hurry)


def _died_output() -> NotebookNode:
    return _error_output("DeadKernelError", "the kernel died while it ran this cell")


def _killed_output() -> NotebookNode:
    return _error_output(
        "KernelKilledError", "this cell did not stop when it was interrupted, so its kernel was killed"
    )


def _error_output(name: str, message: str) -> NotebookNode:
    output: NotebookNode = new_output("error", ename=name, evalue=message, traceback=[f"{name}: {message}"])
    return output


def _failure(reply: dict[str, Any], execution_count: int | None, number: int, position: int) -> CellFailure:
    message = _ANSI.sub("", f"{reply.get('ename', 'Error')}: {reply.get('evalue', '')}").strip().split("\n")[0]
    line = own_line(reply.get("traceback", []), execution_count)
    return CellFailure(number=number, position=position, line=line, error=message.rstrip(": "))


def own_line(traceback: Sequence[str], execution_count: int | None) -> int | None:
    """Find the innermost line of the cell itself in IPython's rendering of a traceback.

    Args:
        traceback: text blocks, coloured or not, as an error output holds them.
        execution_count: the cell's number in brackets.

    Returns:
        A line of the cell, >= 1; None when the traceback names none.
    """
    text = _ANSI.sub("", "\n".join(traceback))
    lines = re.findall(rf"^\s*(?:Cell|Input) In\s?\[{execution_count}\], line (\d+)", text, flags=re.MULTILINE)
    return int(lines[-1]) if lines else None
