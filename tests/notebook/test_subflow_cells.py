"""A flow used as a node in a notebook: found by its name in a document, one card that a page sets and runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.notebook.comm_browser import CommBrowser
from tests.notebook.kernel_driver import CANVAS_MIME, NODE_MIME, TRACE_MIME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.notebook.kernel_driver import Notebook


@pytest.fixture
def page(notebook: Notebook) -> Iterator[CommBrowser]:
    page = CommBrowser(notebook)
    yield page
    page.close()


def test_a_document_above_its_cells_gets_the_flow_that_cells_define_below(
    notebook: Notebook, page: CommBrowser
) -> None:
    inner, outer = f"{notebook.flow}_prep", notebook.flow
    document = {"nodes": [{"id": "sub", "typeId": f"flow.{inner}", "settings": {"parts.sep": ";"}}]}
    shown = notebook.cell(f"%%flow {outer}\n{json.dumps(document)}")
    assert shown.bundles(CANVAS_MIME)[0]["nodes"][0]["status"] == "waiting"
    notebook.cell(f"%%node {inner}.parts(text: str, sep: str = ',') --define\nparts = text.split(sep)")
    notebook.cell(f"%%node {outer}.text\ntext = 'a;b'")
    cell = notebook.cell(f"%%node {outer}.size\nsize = len(parts)")
    assert "2" in cell.shown.text
    page.subscribe(outer)
    page.until_cards(sub=("ok", "live"), size=("ok", "live"))
    page.ask("set", flow=outer, node="sub", name="parts.sep", value=",")
    size = f"__import__('flowbook').flow({outer!r})['size']"
    notebook.is_true(f"{size}.value == 1 and {size}.stamp == 'live'")
    page.until_cards(sub=("ok", "live"), size=("ok", "live"))
    forced = notebook.cell(f"import flowbook as fb\nrun = await fb.flow({outer!r}).run(force=True)")
    notebook.drain()
    trace = forced.bundles(TRACE_MIME)
    assert {"sub", "sub/parts", "text", "size"} <= {span["node"] for span in trace[0]["spans"]}
    assert notebook.failures() == []


def test_a_subflow_at_the_end_of_a_cell_shows_its_card(notebook: Notebook) -> None:
    inner, outer = f"{notebook.flow}_prep", notebook.flow
    notebook.cell(f"%%node {inner}.parts(text: str, sep: str = ',') --define\nparts = text.split(sep)")
    notebook.cell(f"%%node {outer}.text\ntext = 'a,b'")
    handle = "import flowbook as fb\n"
    added = notebook.cell(f"{handle}fb.flow({outer!r}).add(fb.flow({inner!r}), 'sub')")
    assert added.bundles(NODE_MIME)[0]["card"]["id"] == "sub"
    notebook.cell(f"{handle}run = await fb.flow({outer!r}).run()")
    looked_up = notebook.cell(f"{handle}fb.flow({outer!r})['sub']")
    assert looked_up.bundles(NODE_MIME)[0]["status"] == "ok"
    inside = notebook.cell(f"{handle}fb.flow({outer!r})['sub/parts']")
    assert "<node sub/parts of " in inside.text
    assert notebook.failures() == []


def test_a_flow_is_run_for_each_item_as_its_document_says(notebook: Notebook, page: CommBrowser) -> None:
    inner, outer = f"{notebook.flow}_prep", notebook.flow
    node = {"id": "sub", "typeId": f"flow.{inner}", "policy": {"each": ["text"], "onItemError": "skip"}}
    edges = [{"source": "lines", "target": "sub", "targetPort": "text"}]
    notebook.cell(f"%%flow {outer}\n{json.dumps({'nodes': [node], 'edges': edges})}")
    notebook.cell(f"%%node {inner}.parts(text: str, sep: str = ',') --define\nparts = text.split(sep)")
    size = notebook.cell(f"%%node {inner}.size --define\nsize = 10 // len(parts[0])")
    notebook.cell(f"%%node {outer}.lines\nlines = ['a,b', '', 'ab,c']")
    cell = notebook.cell(f"%%node {outer}.total\ntotal = sum(sub)")
    assert "15" in cell.shown.text
    page.subscribe(outer)
    page.until_cards(sub=("ok", "live"), total=("ok", "live"))
    forced = notebook.cell(f"import flowbook as fb\nrun = await fb.flow({outer!r}).run(force=True)")
    notebook.drain()
    spans = {span["node"]: span for span in forced.bundles(TRACE_MIME)[0]["spans"]}
    assert {"sub[0]/parts", "sub[0]/size", "sub[1]/size", "sub[2]/size"} <= spans.keys()
    assert spans["sub[1]/size"]["error"]["line"] == 2
    assert spans["sub[1]"]["error"]["message"].startswith("item 1: sub/size: ZeroDivisionError")
    strict = f"fb.flow({outer!r}).set_policy('sub', on_item_error='fail')\nawait fb.flow({outer!r}).run(force=True)"
    failed = notebook.cell(strict, fails=True)
    assert "size = 10 // len(parts[0])" in failed.error
    notebook.cell(f"%%node {inner}.size --define\nsize = len(parts)", size)
    notebook.is_true(f"fb.flow({outer!r})['sub'].stamp != 'live'")
    assert notebook.cell(f"(await fb.flow({outer!r}).run())['total']").text.endswith("5")
