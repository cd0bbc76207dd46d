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
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    from flowbook.headless.execute import CellFailure, Ending

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
_FINISHED = frozenset({"ok", "failed", "skipped", "muted", "unresponsive", "cancelled"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def plain(text: object) -> str:
    """Make one harmless line of any text: no control characters, no line ends, no reversed writing."""
    return _CONTROL.sub(" ", str(text)).strip()


def duration_text(seconds: float | None) -> str:
    """Write a time as people read it: ``31 ms``, ``2.4 s``, ``3 min 5 s``; empty for None."""
    if seconds is None:
        return ""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


def counted(number: int, word: str) -> str:
    """Write ``1 node``, ``2 nodes``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


class RunBook:
    """The newest trace bundle of every run seen, in the order in which the runs first appeared."""

    def __init__(self) -> None:
        self._bundles: dict[tuple[str, str], dict[str, Any]] = {}
        self._expected: set[tuple[str, str]] = set()
        self._finished: set[tuple[str, str, str, int]] = set()
        self._notes: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._ended: set[tuple[str, str]] = set()
        self._told_notes: set[tuple[str, str, str]] = set()
        self._known_nodes: set[tuple[str, str]] = set()

    def take(self, bundle: dict[str, Any], *, is_expected: bool = False) -> list[dict[str, Any]]:
        """Note a bundle and return the spans that are finished in it and were not before.

        Args:
            bundle: a trace bundle; one that is older than what is known changes nothing.
            is_expected: failures in this run are meant to happen.
        """
        key = (str(bundle.get("flow", "")), str(bundle.get("runId", "")))
        known = self._bundles.get(key)
        if known is not None and _sequence(bundle) <= _sequence(known):
            return []
        if known is None and is_expected:
            self._expected.add(key)
        self._bundles[key] = bundle
        fresh = []
        for span in spans_of(bundle):
            node = str(span.get("node", ""))
            attempt = (*key, node, _whole(span.get("attempt")))
            if status_of(span) in _FINISHED and attempt not in self._finished:
                self._finished.add(attempt)
                if not self._is_old_news(key[0], node, span):
                    fresh.append(span)
        return fresh

    def is_first_end(self, bundle: dict[str, Any]) -> bool:
        """Whether a run was not known to be over before this bundle; remembers that it is."""
        key = (str(bundle.get("flow", "")), str(bundle.get("runId", "")))
        is_first = key not in self._ended
        self._ended.add(key)
        return is_first

    def take_note(self, bundle: dict[str, Any], *, is_expected: bool = False) -> None:
        """Note a node bundle: what a ``%%node`` cell shows of a run whose trace is not shown."""
        key = (str(bundle.get("flow", "")), str(bundle.get("runId", "")), str(bundle.get("node", "")))
        known = self._notes.get(key)
        if status_of(bundle) in _FINISHED and (known is None or _sequence(bundle) > _sequence(known)):
            self._notes[key] = {**bundle, "is_expected": is_expected if known is None else known["is_expected"]}

    def untold_notes(self) -> list[dict[str, Any]]:
        """The noted nodes, as spans, that no trace has told of so far; each once."""
        traced = {(flow, run, str(span.get("node", ""))) for flow, run, span in self._traced()}
        fresh = [key for key in self._notes if key not in traced and key not in self._told_notes]
        self._told_notes.update(fresh)
        return [_span_of(self._notes[key]) for key in fresh if not self._is_old_news(key[0], key[2], self._notes[key])]

    def _traced(self) -> list[tuple[str, str, dict[str, Any]]]:
        return [(*key, span) for key, bundle in self._bundles.items() for span in _last_attempts(bundle)]

    def bundles(self) -> list[dict[str, Any]]:
        """The newest bundle of each run."""
        return list(self._bundles.values())

    def failed_spans(self) -> list[tuple[str, dict[str, Any]]]:
        """Flow name and span of every node that failed in a run and was not meant to."""
        traced = [(flow, run, span) for flow, run, span in self._traced() if (flow, run) not in self._expected]
        found = {(flow, run, str(span.get("node", ""))): span for flow, run, span in traced if _has_failed(span)}
        for (flow, run, node), note in self._notes.items():
            if not note["is_expected"] and _has_failed(note) and (flow, run) not in self._bundles:
                found[flow, run, node] = _span_of(note)
        return [(flow, span) for (flow, _, _), span in found.items()]

    def has_failed(self) -> bool:
        """Whether a node failed, or a run whose spans were left out for their number."""
        return bool(self.failed_spans()) or any(
            bundle.get("status") == "failed" for key, bundle in self._bundles.items() if key not in self._expected
        )

    def counts(self) -> dict[str, int]:
        """Sum what the runs did: how many nodes ran and how many were cached, over all runs."""
        found = [bundle.get("counts", {}) for bundle in self._bundles.values()]
        counts = {name: sum(_whole(entry.get(name)) for entry in found) for name in ("ran", "cached")}
        untraced = [note for (flow, run, _), note in self._notes.items() if (flow, run) not in self._bundles]
        counts["ran"] += sum(status_of(note) in ("ok", "failed") and note.get("stamp") != "cached" for note in untraced)
        return counts

    def _is_old_news(self, flow: str, node: str, span: dict[str, Any]) -> bool:
        """Whether a cached node was reported with its value before: every later cell of a notebook reads it again."""
        is_known = (flow, node) in self._known_nodes
        self._known_nodes.add((flow, node))
        return is_known and span.get("stamp") == "cached"


def spans_of(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """The spans of a bundle; whatever is not one is left out."""
    spans = bundle.get("spans", [])
    return [span for span in spans if isinstance(span, dict)] if isinstance(spans, list) else []


def status_of(span: dict[str, Any]) -> str:
    """The status of a span."""
    return str(span.get("status", "ok"))


def _last_attempts(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """One span per node: a failed attempt that a later one made good is no failure."""
    last: dict[str, dict[str, Any]] = {}
    for span in spans_of(bundle):
        node = str(span.get("node", ""))
        if node not in last or _whole(span.get("attempt")) >= _whole(last[node].get("attempt")):
            last[node] = span
    return list(last.values())


def _has_failed(span: dict[str, Any]) -> bool:
    return status_of(span) in ("failed", "unresponsive")


def _span_of(note: dict[str, Any]) -> dict[str, Any]:
    """Show a node bundle as a trace would show the node."""
    card = note.get("card")
    card = card if isinstance(card, dict) else {}
    outputs = card.get("outputs") or [{}]
    return {**note, "error": card.get("error"), "shape": outputs[0].get("shape")}


def node_failure_text(span: dict[str, Any]) -> str:
    """Say why a node failed, with the line of its own cell: ``late, line 3: no column "gust"``."""
    error = span.get("error") or {}
    line = f", line {error['line']}" if error.get("line") else ""
    message = plain(str(error.get("message") or span.get("reason") or status_of(span)).split("\n")[0])
    attempt = f", attempt {span['attempt']}" if _whole(span.get("attempt")) > 1 else ""
    return f"{plain(span.get('node', ''))}{line}{attempt}: {message}"


def run_text(bundle: dict[str, Any]) -> str:
    """Sum a run up in one line: ``  flights · run 9f3a · ok · 6 ran, 3 cached · 4.1 s``."""
    counts = bundle.get("counts", {})
    did = ", ".join(
        f"{_whole(counts.get(name))} {name}"
        for name in ("ran", "cached", "failed", "skipped")
        if name == "ran" or _whole(counts.get(name))
    )
    run = f"run {plain(bundle.get('runId', ''))[:4]}"
    took_s = bundle.get("tookS")
    took = duration_text(took_s) if isinstance(took_s, int | float) else ""
    parts = (plain(bundle.get("flow", "")), run, plain(bundle.get("status", "")), did, took)
    return "  " + " · ".join(part for part in parts if part)


def cell_failure_text(failure: CellFailure) -> str:
    """Say which cell failed where: ``cell 7, line 3: ZeroDivisionError: division by zero``."""
    line = f", line {failure.line}" if failure.line else ""
    return f"cell {failure.number}{line}: {plain(failure.error)}"


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

    # -- what `flowbook.headless.execute.Observer` asks for

    def cell_started(self, number: int) -> None:
        """A cell begins; plain lines do not mention it."""

    def cell_failed(self, failure: CellFailure) -> None:
        """Show a failed cell at once."""
        self.line(f"{self._signs['failed']} {cell_failure_text(failure)}", "red")

    def trace_seen(self, bundle: dict[str, Any], *, is_expected: bool) -> None:
        """Show the nodes that have finished since the run's last bundle."""
        width = max((len(plain(span.get("node", ""))) for span in spans_of(bundle)), default=0)
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
        kind = _kind(span)
        self.line(f"{self._signs[kind]} {_span_text(span, kind, width)}", _SIGNS[kind][1])

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
                since = now_s - float(span.get("startS") or 0.0) if now_s is not None else None
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


def _kind(span: dict[str, Any]) -> str:
    status = status_of(span)
    return "cached" if status == "ok" and span.get("stamp") == "cached" else status


def _span_text(span: dict[str, Any], kind: str, width: int) -> str:
    if kind in ("failed", "unresponsive"):
        took = duration_text(span.get("tookS"))
        return "  ".join(part for part in (f"node {node_failure_text(span)}", took) if part)
    took = duration_text(span.get("tookS")) if kind != "cached" else ""
    cells = (plain(span.get("node", "")).ljust(width), took.rjust(7), _shape(span), plain(span.get("reason") or ""))
    return "  ".join(cell for cell in cells if cell).rstrip()


def _shape(span: dict[str, Any]) -> str:
    if span.get("shape"):
        return plain(span["shape"])
    rows, columns = span.get("rows"), span.get("columns")
    if rows is None and columns is None:
        return ""
    return f"{_figure(rows)} × {_figure(columns)}" if columns is not None else _figure(rows)


def _figure(number: object) -> str:
    return f"{number:,}" if isinstance(number, int) else "?"


def _whole(number: object) -> int:
    return number if isinstance(number, int) else 0


def _sequence(bundle: dict[str, Any]) -> float:
    number = bundle.get("seq", 0)
    # The final word of a run is never overruled by a late update that bears the same number.
    return (number if isinstance(number, int | float) else 0) + (0.5 if bundle.get("final") else 0)


def _run_clock(bundle: dict[str, Any]) -> float | None:
    """Seconds since the run in the bundle started, by the kernel's clock, which is this machine's."""
    from datetime import datetime

    try:
        started = datetime.fromisoformat(str(bundle.get("startedAt")))
    except ValueError:
        return None
    return max(0.0, time.time() - started.timestamp())
