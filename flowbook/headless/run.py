"""``flowbook run``: everything that can be wrong is found first, then the cells run, then the files are written.

The order is the point. Bad arguments, a node defined twice, an output that cannot be written: exit code 2 before a
kernel starts. From then on the notebook is written whatever happens, with what there is: cells that were not reached
have no outputs rather than old ones.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from flowbook.errors import HeadlessError, did_you_mean
from flowbook.headless.interruption import INTERRUPTED_EXIT_CODE
from flowbook.headless.output_files import check_writable, write_atomically
from flowbook.headless.parameters import inject_parameters, parse_parameters
from flowbook.headless.report import Report, open_report
from flowbook.headless.scan import cell_tags, numbered_code_cells, read_notebook_cells, running_positions
from flowbook.headless.sources import is_flow_document, notebook_text, parse_notebook, read_text, without_slow_grammars
from flowbook.headless.wording import counted, duration_text, harmless

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nbformat import NotebookNode

    from flowbook.core.flow_data import FlowData
    from flowbook.headless.execute import FlowNotebookClient
    from flowbook.headless.interruption import Interruption
    from flowbook.headless.outcome import Execution

ANSWER_TAG = "answer"
_STATUS = {0: "ok", 1: "failed", 3: "kernel died", 4: "timed out", INTERRUPTED_EXIT_CODE: "interrupted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What the command line asked for.

    Attributes:
        source: notebook or flow document.
        parameters: ``name=value`` texts.
        output: where the executed notebook goes; None: ``NAME.out.ipynb`` beside the notebook.
        is_in_place: the notebook itself is the output.
        to: nodes that runs go to; none: all.
        json_file: where the result goes as JSON, or None.
        timeout_s: seconds for the whole run, > 0, or None.
    """

    source: Path
    parameters: tuple[str, ...] = ()
    output: Path | None = None
    is_in_place: bool = False
    to: tuple[str, ...] = ()
    json_file: Path | None = None
    timeout_s: float | None = None


@dataclass(slots=True, kw_only=True)
class _Plan:
    """A request that was found to be possible; ``output`` None: there is no notebook to write."""

    request: RunRequest
    notebook: NotebookNode
    output: Path | None
    to: tuple[str, ...] = field(default=())
    is_document: bool = False


def run_notebook(request: RunRequest, interruption: Interruption, out: TextIO | None = None) -> int:
    """Run a notebook or a flow document and return the exit code.

    Args:
        request: what to run and how.
        interruption: entered by the caller, as early as it can be.
        out: where lines go; standard output when left out.

    Raises:
        HeadlessError: exit code 2; nothing was run. Or an output could not be written at the end.
    """
    out = out or sys.stdout
    started_at = time.monotonic()
    plan = _prepare(request)
    report = open_report(out, len(running_positions(plan.notebook)))
    execution = _execute(plan, report, interruption)
    code = _exit_code(execution, report, interruption)
    took_s = time.monotonic() - started_at
    if request.json_file is not None:
        result = _result(plan, execution, report, code, took_s)
        write_atomically(request.json_file, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    _conclude(plan, execution, report, code, took_s)
    return INTERRUPTED_EXIT_CODE if interruption else code


def default_output(source: Path) -> Path:
    """``flights.ipynb`` -> ``flights.out.ipynb``, in the same folder."""
    return source.with_name(f"{source.name.removesuffix('.ipynb')}.out.ipynb")


# -- before anything runs


def _prepare(request: RunRequest) -> _Plan:
    text = read_text(request.source)
    if is_flow_document(request.source, text):
        plan = _prepare_document(request, text)
    else:
        plan = _prepare_notebook(request, text)
    if plan.output is not None:
        check_writable(plan.output, "--inplace" if request.is_in_place else "-o")
    if request.json_file is not None:
        check_writable(request.json_file, "--json")
    _clear(plan.notebook)
    return plan


def _prepare_notebook(request: RunRequest, text: str) -> _Plan:
    notebook = parse_notebook(request.source, text)
    duplicates = read_notebook_cells(notebook).duplicates()
    if duplicates:
        raise duplicates[0]
    _check_targets(notebook, request.to)
    inject_parameters(notebook, parse_parameters(request.parameters))

    from flowbook.headless.kernel import NATIVE_KERNEL, check_kernel, kernel_name_of

    name = kernel_name_of(notebook)
    check_kernel(name)
    if name == NATIVE_KERNEL and "kernelspec" not in notebook.metadata:
        notebook.metadata["kernelspec"] = _native_kernelspec()
    output = request.source if request.is_in_place else request.output or default_output(request.source)
    return _Plan(request=request, notebook=notebook, output=output, to=request.to)


def _prepare_document(request: RunRequest, text: str) -> _Plan:
    """Make the notebook of one cell that runs a document; it is written only when ``-o`` asks for it."""
    from flowbook.headless.static_flow import flow_of_document

    with without_slow_grammars():
        from nbformat.v4 import new_code_cell, new_notebook

    if request.is_in_place:
        raise HeadlessError(
            f"{request.source.name} is a flow document, which has no outputs to fill",
            where="--inplace",
            hint="-o NAME.ipynb writes the run as a notebook, --json FILE its trace",
        )
    flow = flow_of_document(text, request.source.name.removesuffix(".flow.json")).data
    for node in request.to:
        flow.node(node)
    given = parse_parameters(request.parameters)
    settings = {name: value for name, value in given.items() if _is_setting(flow, name)}
    inputs = {name: value for name, value in given.items() if name not in settings}
    for name in inputs:
        _check_input(flow, name)
    arguments = [
        *([f"to={list(request.to)!r}"] if request.to else []),
        *([f"settings={settings!r}"] if settings else []),
        *([f"inputs={inputs!r}"] if inputs else []),
    ]
    source = (
        f"import flowbook as fb\n\nflow = fb.Flow.open({request.source.name!r})\nawait flow.run({', '.join(arguments)})"
    )
    notebook = new_notebook(cells=[new_code_cell(source, id="run")], metadata={"kernelspec": _native_kernelspec()})
    return _Plan(request=request, notebook=notebook, output=request.output, is_document=True)


def _is_setting(flow: FlowData, name: str) -> bool:
    """Whether ``node.name`` names a setting; one of a node whose code is not in the document counts as one."""
    node_id, dot, port = name.partition(".")
    if not dot or node_id not in flow.nodes:
        return False
    node_type = flow.type_of(node_id)
    return node_type.setting(port) is not None or node_type.origin == "stub"


def _check_input(flow: FlowData, name: str) -> None:
    """Refuse a name that is neither a setting nor an input, as far as the document says what there is."""
    types = {node_id: flow.type_of(node_id) for node_id in flow.nodes}
    if any(node_type.origin == "stub" for node_type in types.values()):
        return
    ports = [(node_id, port.name) for node_id, node_type in types.items() for port in node_type.inputs]
    known = {port for _, port in ports} | {f"{node_id}.{port}" for node_id, port in ports}
    settings = {f"{node_id}.{spec.name}" for node_id, node_type in types.items() for spec in node_type.settings}
    if name not in known:
        raise HeadlessError(
            f"the flow has no setting or input {name!r}",
            code="FB704",
            where=f"-p {name}",
            hint=did_you_mean(name, known | settings),
            parameter=name,
            known=sorted(known | settings),
        )


def _check_targets(notebook: NotebookNode, targets: Sequence[str]) -> None:
    """Refuse a ``--to`` whose name stands nowhere in the code: no cell can define it."""
    words = {word for _, cell in numbered_code_cells(notebook) for word in re.findall(r"[^\W\d]\w*", cell.source)}
    for target in targets:
        if target not in words:
            nodes = {node.name for node in read_notebook_cells(notebook).nodes}
            raise HeadlessError(
                f"no cell defines the node {target!r}",
                code="FB707",
                where=f"--to {target}",
                hint=did_you_mean(target, nodes),
                node=target,
            )


def _native_kernelspec() -> dict[str, str]:
    return {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def _clear(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None


# -- the run


def _execute(plan: _Plan, report: Report, interruption: Interruption) -> Execution:
    from flowbook.headless.execute import FlowNotebookClient
    from flowbook.headless.outcome import Ending

    positions = running_positions(plan.notebook)
    client = FlowNotebookClient(
        plan.notebook,
        folder=plan.request.source.resolve().parent,
        numbers={position: number for number, position in enumerate(positions, 1)},
        observer=report,
        to=plan.to,
        runs_once=plan.is_document,
    )
    try:
        with report:
            if interruption:
                client.execution.ending = Ending.INTERRUPTED
            else:
                asyncio.run(client.run(interruption, plan.request.timeout_s))
    finally:
        _write(plan, client)
    return client.execution


def _write(plan: _Plan, client: FlowNotebookClient) -> None:
    if plan.output is None:
        return
    if plan.request.is_in_place and not client.has_started:
        return  # nothing ran: the outputs of the last time stay
    write_atomically(plan.output, notebook_text(client.visible()))


def _exit_code(execution: Execution, report: Report, interruption: Interruption) -> int:
    if interruption:
        return INTERRUPTED_EXIT_CODE
    if execution.ending.value:
        return execution.ending.value
    return 1 if execution.failures or report.book.has_failed() else 0


# -- afterwards


def _result(plan: _Plan, execution: Execution, report: Report, code: int, took_s: float) -> dict[str, Any]:
    """The content of ``--json FILE``: no path, no host, the newest trace bundle of every run."""
    return {
        "flowbook": "1",
        "notebook": plan.request.source.name,
        "status": _STATUS[code],
        "exitCode": code,
        "tookS": round(took_s, 3),
        "cells": {
            "executed": execution.executed_count,
            "failed": [
                {
                    "index": failure.position,
                    "number": failure.number,
                    "line": failure.line,
                    "error": failure.error,
                }
                for failure in execution.failures
            ],
        },
        "runs": report.book.bundles(),
    }


def _conclude(plan: _Plan, execution: Execution, report: Report, code: int, took_s: float) -> None:
    answer = _answer(plan.notebook)
    if answer:
        report.line("")
        for line in answer.rstrip("\n").split("\n"):
            report.line(harmless(line))
        report.line("")
    report.summary(_summary(execution, report, code, took_s), "ok" if code == 0 else "failed")
    if plan.output is not None and plan.output.exists():
        report.line(f"executed notebook: {plan.output}")


def _summary(execution: Execution, report: Report, code: int, took_s: float) -> str:
    """One line: how it ended, how many cells and nodes, how long."""
    counts = report.book.counts()
    failed_cells, failed_nodes = len(execution.failures), len(report.book.failed_spans())
    parts = [_STATUS[code]]
    if code == 3 and execution.kernel_exit_code is not None:
        parts[0] += f" (exit code {execution.kernel_exit_code})"
    if failed_cells:
        parts.append(f"{counted(failed_cells, 'cell')} failed")
    if failed_nodes:
        parts.append(f"{counted(failed_nodes, 'node')} failed")
    parts.append(f"{counted(execution.executed_count, 'cell')} run")
    if counts["ran"] or counts["cached"]:
        parts.append(f"{counted(counts['ran'], 'node')} ran, {counts['cached']} cached")
    parts.append(duration_text(took_s))
    return " · ".join(parts)


def _answer(notebook: NotebookNode) -> str:
    """What the cells tagged ``answer`` printed."""
    return "".join(
        output.text
        for cell in notebook.cells
        if cell.cell_type == "code" and ANSWER_TAG in cell_tags(cell)
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stdout"
    )
