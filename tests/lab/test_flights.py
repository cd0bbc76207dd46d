"""The flights notebook in a browser: it goes live, is worked with, is saved small, and opens painted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.house.source_tree import ROOT
from tests.lab.lab_page import LabPage, OpenNotebook
from tests.lab.live_notebook import canvas_of, cell_text, document_in, strip, wait_for_rest, wait_for_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.lab.lab_server import LabServer

MAX_BYTES = 1_000_000


def source_of(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


@pytest.fixture
def file(lab_server: LabServer, request: pytest.FixtureRequest) -> Path:
    """The lesson, for one month, beside its data."""
    data = lab_server.root / "data"
    if not data.exists():
        data.symlink_to(ROOT / "notebooks" / "data", target_is_directory=True)
    lesson = json.loads((ROOT / "notebooks" / "flights.ipynb").read_text(encoding="utf-8"))
    for cell in lesson["cells"]:
        if "parameters" in cell["metadata"].get("tags", ()):
            cell["source"] = source_of(cell).replace("month = 0", "month = 7")
    path = lab_server.root / f"{request.node.name}.ipynb"
    path.write_text(json.dumps(lesson), encoding="utf-8")
    return path


def index_of(notebook: OpenNotebook, words: str) -> int:
    """The cell that says something."""
    [index] = [index for index, cell in enumerate(notebook.saved().cells) if words in source_of(cell)]
    return index


def work_with(notebook: OpenNotebook) -> int:
    """Run everything and move a slider; the index of the cell with the canvas."""
    flow, delays = index_of(notebook, "%%flow flights"), index_of(notebook, "def delays(")
    notebook.run()
    canvas_of(notebook, flow)
    slider = strip(notebook, delays).locator("input[type=range]")
    slider.scroll_into_view_if_needed()
    slider.press("ArrowRight")
    text = wait_for_text(notebook, flow, lambda text: "min_minutes" in text)
    [node] = [node for node in document_in(text)["nodes"] if node.get("settings")]
    assert (node["id"], node["settings"]) == ("delays", {"min_minutes": 20})
    wait_for_rest(notebook)
    spans = notebook.cell(flow).locator(".fb-trace .fb-span")
    ran = set(spans.evaluate_all("spans => spans.map(span => span.dataset.fbSpan)"))
    assert {"delays", "by_carrier"} <= ran  # what is slow on this machine turned stale instead
    assert not ran & {"flights", "weather", "airports", "planes"}, "what is above did not run again"
    return flow


def scripts_in(bundle: dict[str, Any]) -> list[str]:
    """What of an output a browser could run."""
    pages = [str(bundle.get(mime, "")).lower() for mime in ("text/html", "image/svg+xml")]
    return [mime for mime in bundle if "javascript" in mime] + [page for page in pages if "<script" in page]


def test_it_goes_live_is_saved_small_and_opens_painted_without_a_kernel(lab: LabPage, file: Path) -> None:
    notebook = lab.open_file(file)
    flow = work_with(notebook)
    saved = notebook.save()
    assert file.stat().st_size < MAX_BYTES
    bundles = [output["data"] for cell in saved.cells for output in cell.get("outputs", ()) if "data" in output]
    assert len(bundles) > 15
    assert [scripts_in(bundle) for bundle in bundles if scripts_in(bundle)] == []
    cards = notebook.cell(flow).locator(".fb-card").count()
    traces = notebook.page.locator(".jp-Notebook .fb-trace")
    shown = traces.count()
    notebook.close()
    lab.requests.clear()
    again = lab.open_file(file, starts_kernel=False)
    again.cell(flow).locator(".fb-card").first.wait_for()
    assert again.cell(flow).locator(".fb-card").count() == cards
    assert again.cell(flow).locator(".fb-summary").inner_text().startswith("recorded")
    traces.nth(shown - 2).locator(".fb-span").first.wait_for()  # all but that of the slider, which no cell asked for
    assert again.page.locator(".fb-pill:text-is('live')").count() == 0
    assert [url for url in lab.requests if "/api/kernels/" in url] == [], "nothing ran"
    assert not again.is_dirty
    assert lab.own_complaints == []


@pytest.fixture
def notebook_seven(lab_server: LabServer, browser: Browser, file: Path) -> Iterator[OpenNotebook]:
    """The lesson in Notebook 7."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = LabPage(context.new_page(), lab_server)
    page.watch()
    page.page.goto(f"{lab_server.url}notebooks/{file.name}")
    page.page.wait_for_function("window.jupyterapp?.started && document.querySelector('.jp-Notebook')")
    opened = OpenNotebook(page.page, file)
    opened.evaluate(
        """async (panel) => {
          await panel.context.ready;
          await panel.sessionContext.ready;
          await panel.sessionContext.session.kernel.info;
        }"""
    )
    yield opened
    opened.close()
    context.close()
    assert page.foreign_requests == []


def test_notebook_7_is_live_too_and_keeps_what_is_edited(notebook_seven: OpenNotebook) -> None:
    assert notebook_seven.page.evaluate("window.jupyterapp.name") == "Jupyter Notebook"
    flow = work_with(notebook_seven)
    assert notebook_seven.save().cells[flow].source == cell_text(notebook_seven, flow)
    notebook_seven.evaluate("async (panel, app) => { await app.commands.execute('flowbook:open-canvas'); }")
    notebook_seven.page.locator('.fb-docked .fb-canvas[data-fb-connection="live"] .fb-card').first.wait_for()
