"""Notebooks made on the spot, and what a person would look at after a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import psutil
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[2]

#: A cell that shows trace bundles by hand: `show(1, late="running")`, then `show(2, late="ok")` in the same output.
TRACE_HELPERS = """
from IPython.display import display
_shown = {}
def show(seq, final=False, run="a" * 32, flow="flights", **statuses):
    spans = []
    for node, status in statuses.items():
        span = {"node": node, "status": status, "stamp": None, "reason": "first run", "startS": 0.0, "tookS": 0.031,
                "attempt": 1, "rows": 336776, "columns": 19, "copies": 0, "copiedBytes": 0, "logs": [], "logCount": 0,
                "error": None}
        if status == "failed":
            span["error"] = {"code": "FB402", "message": "no column 'gust'", "hint": "wind_gust?", "line": 4}
        if status == "cached":
            span.update(status="ok", stamp="cached", reason="nothing changed")
        spans.append(span)
    states = set(statuses.values())
    status = ("failed" if "failed" in states else "ok") if final else "running"
    bundle = {"flowbook": "1", "kind": "trace", "flow": flow, "runId": run, "seq": seq, "status": status,
              "final": final, "startedAt": "2026-11-20T12:00:00Z", "tookS": 0.1, "summarised": False, "spans": spans,
              "counts": {"ran": sum(s == "ok" for s in statuses.values()), "cached": 0, "failed": 0, "skipped": 0,
                         "copies": 0, "copiedBytes": 0}}
    data = {"application/vnd.flowbook.trace+json": bundle, "text/plain": f"run {seq}"}
    if run in _shown:
        _shown[run].update(data, raw=True)
    else:
        _shown[run] = display(data, raw=True, display_id=True)
""".strip()


def code(source: str, *tags: str) -> nbformat.NotebookNode:
    """Make a code cell with tags."""
    cell: nbformat.NotebookNode = new_code_cell(source.strip("\n"), metadata={"tags": list(tags)} if tags else {})
    return cell


def text(source: str) -> nbformat.NotebookNode:
    """Make a Markdown cell."""
    cell: nbformat.NotebookNode = new_markdown_cell(source)
    return cell


def make_notebook(path: Path, *cells: nbformat.NotebookNode | str, metadata: Mapping[str, Any] | None = None) -> Path:
    """Write a notebook; a plain text is a code cell."""
    made = [code(cell) if isinstance(cell, str) else cell for cell in cells]
    path.write_text(nbformat.writes(new_notebook(cells=made, metadata=dict(metadata or {}))), encoding="utf-8")
    return path


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """Read a notebook and check that it is a valid one."""
    notebook: nbformat.NotebookNode = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    nbformat.validate(notebook)
    return notebook


def stdout_of(cell: nbformat.NotebookNode) -> str:
    """What a cell printed."""
    return "".join(entry.text for entry in cell.outputs if entry.output_type == "stream" and entry.name == "stdout")


@dataclass(frozen=True)
class Finished:
    """A command that came back."""

    code: int
    out: str
    err: str


def start_flowbook(*arguments: object, **popen: Any) -> subprocess.Popen[str]:
    """The command line, in a process of its own."""
    command = [sys.executable, "-m", "flowbook.headless.cli", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **popen}
    return subprocess.Popen(command, env=environment, text=True, **streams)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def kernels_of(folder: Path) -> list[psutil.Process]:
    """The kernels that work in a folder, whoever started them."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        try:
            if any("ipykernel" in part for part in process.info["cmdline"] or []) and Path(process.cwd()) == folder:
                found.append(process)
        except psutil.Error:
            continue
    return found


def error_names(cells: Sequence[nbformat.NotebookNode]) -> list[str]:
    """The exceptions that cells show, in order."""
    return [entry.ename for cell in cells for entry in cell.get("outputs", []) if entry.output_type == "error"]
