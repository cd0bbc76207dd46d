"""``flowbook check``: what is wrong with a file's flows, said without running any of it.

Every finding has a code, a place (cell number and line) and a hint. Errors would fail a run and make the exit code 2;
notes would not. Nothing is guessed: where Python code rewires a flow, or an annotation only means something once it is
evaluated, the file gets the benefit of the doubt and the kernel will tell.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TextIO

from flowbook.core.checks import check
from flowbook.errors import FlowbookError
from flowbook.headless.scan import numbered_code_cells, read_notebook_cells
from flowbook.headless.sources import is_flow_document, parse_notebook, read_text
from flowbook.headless.static_flow import StaticFlow, flow_of_document, flows_of_notebook, read_types
from flowbook.headless.wording import counted, plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nbformat import NotebookNode

#: Findings of `flowbook.core.checks` that hold whatever the notebook's code does.
_ALWAYS_TRUE = frozenset({"FB201"})
#: Those that hold as long as no code rewires the flow; the rest depends on values.
_TRUE_AS_WIRED = frozenset({"FB203", "FB207", "FB210", "FB211"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFinding:
    """One line of the report.

    Attributes:
        code: FBnnn.
        severity: ``"error"`` makes the exit code 2, ``"note"`` does not.
        where: flow, cell and line, as far as known.
        message: one sentence.
        hint: what to type next, or empty.
    """

    code: str
    severity: Literal["error", "note"]
    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """Show place and fact in one line, the remedy in a second."""
        place = f"{self.where}: " if self.where else ""
        severity = "note: " if self.severity == "note" else ""
        lines = [plain(f"[{self.code}] {place}{severity}{self.message}")]
        if self.hint:
            lines.append(f"  hint {plain(self.hint)}")
        return "\n".join(lines)


def check_file(path: Path, out: TextIO | None = None) -> int:
    """Print what is wrong with a notebook or flow document.

    Returns:
        0, or 2 when there is an error.

    Raises:
        HeadlessError: the file cannot be read.
    """
    out = out or sys.stdout
    text = read_text(path)
    if is_flow_document(path, text):
        findings, what = list(findings_of_document(text, path.name.removesuffix(".flow.json"))), "the document"
    else:
        notebook = parse_notebook(path, text)
        findings, what = list(findings_of_notebook(notebook)), _what_was_checked(notebook)
    for finding in findings:
        print(finding, file=out)
    errors = sum(finding.severity == "error" for finding in findings)
    verdict = counted(errors, "error") if errors else "no errors"
    print(f"{path}: {verdict} in {what}", file=out)
    return 2 if errors else 0


def findings_of_notebook(notebook: NotebookNode) -> Iterator[FileFinding]:
    """List the findings of a notebook: its magics, then each flow."""
    scan = read_notebook_cells(notebook)
    for error in (*scan.problems, *scan.duplicates()):
        yield _finding(error)
    for problem in read_types(scan)[1]:
        yield _finding(problem)
    for flow in flows_of_notebook(scan):
        yield from _findings_of_flow(flow)


def findings_of_document(text: str, name: str) -> Iterator[FileFinding]:
    """List the findings of a flow document."""
    try:
        flow = flow_of_document(text, name)
    except FlowbookError as error:
        yield _finding(error)
        return
    yield from _findings_of_flow(flow)


def _findings_of_flow(flow: StaticFlow) -> Iterator[FileFinding]:
    for error in flow.problems:
        yield _finding(error)
    believed = _ALWAYS_TRUE if flow.is_rewired else _ALWAYS_TRUE | _TRUE_AS_WIRED
    for found in check(flow.data, is_given=lambda _node, _port: True):
        if found.code not in believed or (found.code == "FB210" and _has_code(flow, found.node_id or "")):
            continue
        place = flow.places.get(found.node_id or "", flow.document_place)
        yield FileFinding(
            code=found.code,
            severity=found.severity,
            where=f"flow {flow.data.id!r}{f', {place}' if place else ''}",
            message=found.message,
            hint=found.hint,
        )


def _has_code(flow: StaticFlow, node_id: str) -> bool:
    """Whether a node's code exists although it was not read: in a cell, or in the library (a type with a dot)."""
    return node_id in flow.places or "." in flow.data.node(node_id).type_id


def _finding(error: FlowbookError) -> FileFinding:
    return FileFinding(code=error.code, severity="error", where=error.where, message=error.what, hint=error.hint)


def _what_was_checked(notebook: NotebookNode) -> str:
    scan = read_notebook_cells(notebook)
    cells = len(numbered_code_cells(notebook))
    return f"{counted(cells, 'code cell')}, {counted(len(scan.nodes), 'node')}"
