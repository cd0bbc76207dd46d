"""``flowbook graph``: the picture of a file's flow, as SVG, as Mermaid or as the canvas bundle it is drawn from.

A notebook that was run holds its canvas; that is drawn, stamped *recorded*, for it shows what really ran. One that was
not run, and a document, are drawn from what their text says: every node waits for its cell.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, TextIO, cast

from flowbook.canvas.drawing import canvas_svg
from flowbook.canvas.mermaid import canvas_mermaid
from flowbook.canvas.protocol import CANVAS_MIME, fit_canvas
from flowbook.canvas.snapshot import snapshot
from flowbook.core.wiring import resolve
from flowbook.errors import HeadlessError
from flowbook.headless.output_files import check_writable, write_atomically
from flowbook.headless.scan import read_notebook_cells
from flowbook.headless.sources import is_flow_document, parse_notebook, read_text
from flowbook.headless.static_flow import StaticFlow, flow_of_document, flows_of_notebook
from flowbook.runtime.plan import compile_plan
from flowbook.runtime.results import FlowResults

if TYPE_CHECKING:
    from pathlib import Path

    from nbformat import NotebookNode

    from flowbook.canvas.protocol import Canvas
    from flowbook.core.flow_data import FlowData
    from flowbook.core.wiring import Wiring
    from flowbook.runtime.engine import Engine
    from flowbook.runtime.plan import Plan

Format = Literal["svg", "mermaid", "json"]


def draw_file(path: Path, form: Format = "svg", output: Path | None = None, out: TextIO | None = None) -> int:
    """Draw a notebook's or document's flow.

    Args:
        path: notebook or flow document.
        form: what to write.
        output: file to write; None prints it.
        out: where to print; standard output when left out.

    Returns:
        0.

    Raises:
        HeadlessError, DocumentError: the file cannot be read, or there is nothing to draw.
    """
    out = out or sys.stdout
    if output is not None:
        check_writable(output, "-o")
    text = read_text(path)
    if is_flow_document(path, text):
        drawn = waiting_canvas(flow_of_document(text, path.name.removesuffix(".flow.json")))
    else:
        drawn = canvas_of_notebook(parse_notebook(path, text))
    picture = _written(drawn, form)
    if output is None:
        print(picture, end="", file=out)
    else:
        write_atomically(output, picture)
        print(output, file=out)
    return 0


def canvas_of_notebook(notebook: NotebookNode) -> Canvas:
    """Take the newest canvas a notebook holds; without one, draw what its cells say.

    Raises:
        HeadlessError: FB720, neither a canvas nor a flow.
    """
    saved = _saved_canvases(notebook)
    if saved:
        return fit_canvas(max(saved, key=_age))
    flows = [flow for flow in flows_of_notebook(read_notebook_cells(notebook)) if flow.data.nodes]
    if not flows:
        raise HeadlessError(
            "the notebook has no flow to draw",
            code="FB720",
            hint="define a node: a cell that begins with %%node name, or a function under @flow.node",
        )
    return waiting_canvas(max(flows, key=lambda flow: len(flow.data.nodes)))


def waiting_canvas(flow: StaticFlow) -> Canvas:
    """Draw a flow of which nothing has run: nodes with ports and settings as far as the text tells, all waiting."""
    return fit_canvas(snapshot(_FileView(flow.data)))


class _FileView:
    """A flow as a snapshot reads it, without an engine and without values."""

    def __init__(self, data: FlowData) -> None:
        types = {name: dataclasses.replace(found, function=None) for name, found in data.types.items()}
        self.data = dataclasses.replace(data, types=types)
        self.name = data.id
        self.wiring: Wiring = resolve(self.data)
        self.plan: Plan = compile_plan(self.data, self.wiring)
        self.results = FlowResults()
        self.engine = cast("Engine", SimpleNamespace(namespace=self))
        self.last_run = None

    def stale(self) -> dict[str, str]:
        """Nothing has a value that could be stale."""
        return {}

    def ahead(self) -> set[str]:
        """No run goes on."""
        return set()

    def letter_counts(self) -> dict[str, int]:
        """Nothing has failed."""
        return {}

    def lookup(self, name: str) -> tuple[bool, object]:
        """No notebook runs, so that no name is bound."""
        del name
        return False, None


def _saved_canvases(notebook: NotebookNode) -> list[Any]:
    return [
        output.data[CANVAS_MIME]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if isinstance(output.get("data", {}).get(CANVAS_MIME), dict)
    ]


def _age(canvas: dict[str, Any]) -> tuple[str, float]:
    """Newer is greater: by the time of the run, then by number; times are ISO 8601 UTC, which sort as text."""
    number = canvas.get("seq", 0)
    return str(canvas.get("at") or ""), number if isinstance(number, int | float) else 0


def _written(drawn: Canvas, form: Format) -> str:
    try:
        if form == "svg":
            return canvas_svg(drawn).rstrip("\n") + "\n"
        if form == "mermaid":
            return canvas_mermaid(drawn)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise HeadlessError(
            f"the saved canvas is damaged: {type(error).__name__}: {error}", code="FB721", hint="run the notebook again"
        ) from error
    return json.dumps(drawn, indent=1, ensure_ascii=False) + "\n"
