"""What is left of a canvas where no browser, no ipywidgets or no kernel is: a picture, and never a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import v4

from flowbook.canvas.protocol import CANVAS_MIME
from flowbook.canvas.widget import MODULE_FILE
from tests.lab.lab_page import LabPage
from tests.lab.lab_server import start_lab
from tests.widget.conftest import VIEWPORT

if TYPE_CHECKING:
    from pathlib import Path

    from nbformat import NotebookNode
    from playwright.sync_api import Browser

VIEW_MIME = "application/vnd.jupyter.widget-view+json"
STATE_MIME = "application/vnd.jupyter.widget-state+json"
CELLS = (
    "import ipywidgets, flowbook as fb\nflow = fb.flow('quiet')\nflow.add('value', 'answer', value=42)",
    "canvas = flow.canvas(height=300)\ncanvas",
    "ipywidgets.VBox([canvas, ipywidgets.IntSlider()])",
    "flow.run_sync(); flow['answer'].value",
)


@pytest.fixture(scope="module")
def executed() -> NotebookNode:
    """A notebook with canvases, executed by nbclient as it comes: it stores the state of widgets."""
    notebook = v4.new_notebook(cells=[v4.new_code_cell(source) for source in CELLS])
    NotebookClient(notebook, kernel_name="python3").execute()
    return cast("NotebookNode", notebook)


def shown(notebook: NotebookNode, cell: int) -> dict[str, Any]:
    """The last thing that a cell shows."""
    return dict(notebook.cells[cell].outputs[-1].data)


def test_a_notebook_executed_without_a_browser_holds_the_picture_and_no_program(executed: NotebookNode) -> None:
    data = shown(executed, 1)
    assert {VIEW_MIME, CANVAS_MIME, "text/html", "image/svg+xml", "text/plain"} == set(data)
    assert "answer" in data["text/html"]
    assert shown(executed, 3)["text/plain"] == "42", "the flow goes on beside it"
    text = nbformat.writes(executed)
    states = executed.metadata.widgets[STATE_MIME]["state"].values()
    assert {"ReactModel", "VBoxModel"} <= {state["model_name"] for state in states}
    assert "Module" not in {state["model_name"] for state in states}
    assert not any(word in text for word in ("<script", "javascript", "export default", "export{"))
    assert len(text) < 100_000
    assert MODULE_FILE.stat().st_size > len(text), "which is less than the program alone"


def test_nbconvert_shows_the_picture_without_widgets(executed: NotebookNode) -> None:
    notebook: NotebookNode = nbformat.from_dict(executed)
    notebook.metadata.pop("widgets")
    page, _ = pytest.importorskip("nbconvert").HTMLExporter(template_name="basic").from_notebook_node(notebook)
    assert 'class="fb-' in page
    assert "widget-view" not in page


def test_where_there_is_neither_extension_nor_ipywidgets_the_picture_is_shown(
    widget_browser: Browser, executed: NotebookNode, tmp_path: Path
) -> None:
    server = start_lab(tmp_path, disabled=["flowbook", "@jupyter-widgets/jupyterlab-manager"])
    context = widget_browser.new_context(viewport=VIEWPORT)
    try:
        lab = LabPage(context.new_page(), server)
        lab.watch()
        lab.load()
        notebook = lab.open(executed.cells, starts_kernel=False)
        picture = notebook.cell(1).locator(".jp-OutputArea-output")
        picture.locator("svg, [class^='fb-']").first.wait_for()
        assert "answer" in picture.inner_text()
        assert "Error" not in picture.inner_text()
        assert lab.foreign_requests == []
    finally:
        context.close()
        server.stop()
