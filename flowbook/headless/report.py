"""What a run looks like while it runs: one line for each node that finished, and at the end how it went.

Trace bundles come in as cells display and update them: numbered by ``seq``, the newest of a run wins, late ones are
dropped, an absent key means its default (`flowbook.canvas.protocol`). Out of two of them the report tells which nodes
have finished in between:

    ✓ late        31 ms  336,776 × 19  first run
    ≡ flights            336,776 × 19  nothing changed
    ✕ correlate   12 ms  no column "gust" (line 4)

On a terminal those lines are coloured and stay, and below them a table shows what is running right now. Anywhere else
(a pipe, a log, CI) there are only the lines, without a single escape sequence. What a notebook calls its nodes and
writes into its errors is data: control characters in it never reach the terminal.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from flowbook.headless.run_book import RunBook, as_number, nodes_of, spans_of, status_of
from flowbook.headless.wording import cell_failure_text, duration_text, plain, run_text, span_kind, span_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    from flowbook.headless.outcome import CellFailure, Ending

#: status or stamp -> sign, colour of a terminal, and a word where the sign cannot be written.
_SIGNS = {
    "ok": ("✓", "green", "ok"),
    "cached": ("≡", "cyan", "cached"),
    "failed": ("✕", "red", "failed"),
    "skipped": ("⊘", "bright_black", "skipped"),
    "muted": ("⊘", "bright_black", "muted"),
    "unresponsive": ("⧗", "red", "unresponsive"),
    "cancelled": ("⊘", "yellow", "cancelled"),
    "running": ("◌", "blue", "running"),
}


class Report:
    """Writes plain lines; the form every other report extends.

    Args:
        out: where to write.
        cell_count: how many cells will run, >= 0.
    """

    def __init__(self, out: TextIO, cell_count: int) -> None:
        self.book = RunBook()
        self.cell_count = cell_count
        self._out = out
        self._signs = _writable_signs(out)

    def __enter__(self) -> Report:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Write nothing more that moves."""

    # -- what `flowbook.headless.outcome.Observer` asks for

    def cell_started(self, number: int) -> None:
        """A cell begins; plain lines do not mention it."""

    def cell_failed(self, failure: CellFailure) -> None:
        """Show a failed cell at once."""
        self.line(f"{self._signs['failed']} {cell_failure_text(failure)}", "red")

    def trace_seen(self, bundle: dict[str, Any], *, is_expected: bool) -> None:
        """Show the nodes that have finished since the run's last bundle."""
        width = max((len(plain(span.get("node", ""))) for span in nodes_of(bundle)), default=0)
        for span in self.book.take(bundle, is_expected=is_expected):
            self.node_line(span, min(width, 32))
        if bundle.get("final") and self.book.is_first_end(bundle):
            self.line(run_text(bundle), "bright_black")

    def node_seen(self, bundle: dict[str, Any], *, is_expected: bool) -> None:
        """Keep it until the cell is over: the trace of the same run says more."""
        self.book.take_note(bundle, is_expected=is_expected)

    def cell_ended(self) -> None:
        """Show the nodes of runs whose trace the notebook does not show."""
        spans = self.book.untold_notes()
        width = max((len(plain(span.get("node", ""))) for span in spans), default=0)
        for span in spans:
            self.node_line(span, min(width, 32))

    def stopping(self, ending: Ending) -> None:
        """Say that the kernel is being asked to stop."""
        why = "timed out" if ending.name == "TIMED_OUT" else "interrupted"
        self.line(f"{why}: stopping the kernel (Ctrl-C kills it at once)", "yellow")

    # -- writing

    def node_line(self, span: dict[str, Any], width: int) -> None:
        """Write the line of one finished node."""
        kind = span_kind(span)
        self.line(f"{self._signs[kind]} {span_text(span, kind, width)}", _SIGNS[kind][1])

    def summary(self, text: str, kind: str) -> None:
        """Write the one line that says how it went."""
        self.line(f"{self._signs[kind]} {text}", _SIGNS[kind][1])

    def line(self, text: str, colour: str = "") -> None:
        """Write a line that stays."""
        del colour
        try:
            print(text, file=self._out, flush=True)
        except OSError:
            self._lose_output()

    def _lose_output(self) -> None:
        """Go on in silence: a closed pipe or terminal must not cost the notebook."""
        self._out = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - lives as long as the process
        if sys.stdout is not None:
            with contextlib.suppress(OSError, ValueError):  # else Python's last flush would set its own exit code
                os.dup2(self._out.fileno(), sys.stdout.fileno())


class TerminalReport(Report):
    """Adds colour, and a table of what is running now below the lines that stay."""

    def __init__(self, out: TextIO, cell_count: int) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(out, cell_count)
        self._console: Console = Console(file=out, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._started_at = time.monotonic()
        self._cell = 0
        self._running: dict[str, Any] = {}
        self._live: Live = Live(
            console=self._console,
            get_renderable=self._table,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def close(self) -> None:
        """Take the table away; the lines stay."""
        with contextlib.suppress(OSError):
            self._live.stop()

    def cell_started(self, number: int) -> None:
        """Show the cell's number in the table's last line."""
        self._cell = number

    def trace_seen(self, bundle: dict[str, Any], *, is_expected: bool) -> None:
        """Show finished nodes as lines and running ones in the table."""
        self._running = {} if bundle.get("final") else bundle
        self._live.refresh()  # first, so that no node stands in the table and among the finished ones
        super().trace_seen(bundle, is_expected=is_expected)

    def line(self, text: str, colour: str = "") -> None:
        """Write a coloured line above the table."""
        from rich.text import Text

        sign, _, rest = text.partition(" ")
        is_signed = sign in self._signs.values()
        body = Text.assemble((sign, colour), " ", rest) if is_signed else Text(text, colour)
        try:
            self._console.print(body)
        except OSError:
            self._lose_output()
            self._console.file = self._out

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        now_s = _run_clock(self._running)
        for span in spans_of(self._running):
            if status_of(span) == "running":
                since = now_s - (as_number(span.get("startS")) or 0.0) if now_s is not None else None
                table.add_row(
                    Text(f"{self._signs['running']} {plain(span.get('node', ''))}", "blue"),
                    Text(duration_text(since), "bright_black"),
                    Text(plain(span.get("reason") or ""), "bright_black"),
                )
        took = duration_text(time.monotonic() - self._started_at)
        where = f"cell {self._cell} of {self.cell_count}" if self._cell else "starting the kernel"
        table.add_row(Text(f"{where} · {took}", "bright_black"))
        return table


def open_report(out: TextIO, cell_count: int) -> Report:
    """Choose the report that ``out`` can show."""
    reconfigure = getattr(out, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")  # a log that cannot write "×" gets a "?", not an exception
    return TerminalReport(out, cell_count) if is_live_terminal(out) else Report(out, cell_count)


def is_live_terminal(out: TextIO) -> bool:
    """Whether lines on ``out`` may be painted over."""
    return out.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown") and sys.platform != "emscripten"


def _writable_signs(out: TextIO) -> dict[str, str]:
    """The signs, or words where the encoding of ``out`` has no signs."""
    try:
        "".join(sign for sign, _, _ in _SIGNS.values()).encode(out.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return {kind: word for kind, (_, _, word) in _SIGNS.items()}
    return {kind: sign for kind, (sign, _, _) in _SIGNS.items()}


def _run_clock(bundle: dict[str, Any]) -> float | None:
    """Seconds since the run in the bundle started, by the kernel's clock, which is this machine's."""
    from datetime import datetime

    try:
        started_at = datetime.fromisoformat(str(bundle.get("startedAt"))).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, time.time() - started_at)
