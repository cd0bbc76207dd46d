"""Live views in a real kernel: a page opens a comm, is told what happens, and is answered while a cell runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

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


def two_nodes(notebook: Notebook) -> None:
    notebook.cell(f"""
        import flowbook as fb
        flow = fb.flow({notebook.flow!r})
        @flow.node
        def src(n: int = 3) -> list:
            return list(range(n))
        @flow.node
        def late(src: list, above: int = 1) -> list:
            return [each for each in src if each > above]
    """)


def test_a_page_is_greeted_told_everything_and_then_what_changes(notebook: Notebook, page: CommBrowser) -> None:
    two_nodes(notebook)
    hello = page.until(lambda message: message["kind"] == "hello")
    assert hello["protocol"] == 1
    first = page.subscribe(notebook.flow)
    assert [card["id"] for card in first["canvas"]["nodes"]] == ["src", "late"]
    answer = page.ask("run", flow=notebook.flow)
    page.until_cards(src=("ok", "live"), late=("ok", "live"))
    page.notebook.until(lambda: (page.last("trace") or {}).get("final", False))
    assert page.last("trace")["runId"] == answer["runId"]
    assert page.last("run")["status"] == "ok"
    assert [batch["seq"] for batch in page.batches] == list(range(1, len(page.batches) + 1))
    page.ask("set", flow=notebook.flow, node="src", name="n", value=5)
    notebook.is_true("flow['late'].value == [2, 3, 4] and flow['late'].stamp == 'live'")
    page.until_cards(src=("ok", "live"), late=("ok", "live"))


@pytest.mark.parametrize("has_listened", [False, True], ids=["first-words", "told-before"])
def test_a_page_is_answered_while_a_cell_sleeps(notebook: Notebook, page: CommBrowser, has_listened: bool) -> None:
    """Without a subshell, or with answers sent to the wrong one, the cell below would never end."""
    two_nodes(notebook)
    notebook.cell("""
        import time
        @flow.node
        def release() -> int:
            released.append(True)
            return 1
        released = []
    """)
    if has_listened:
        page.subscribe(notebook.flow)
    cell = notebook.start("""
        while not released:
            time.sleep(0.01)
    """)
    notebook.until(lambda: cell.execution_count is not None)
    if not has_listened:
        page.subscribe(notebook.flow)
    assert page.ask("edit", flow=notebook.flow, ops=[{"op": "move", "node": "src", "x": 7, "y": 8}])["kind"] == "ack"
    page.notebook.until(lambda: page.cards()["src"]["x"] == 7)
    assert cell.status == "busy"
    page.ask("run", flow=notebook.flow, to=["release"])
    notebook.finish(cell)
    assert cell.status == "ok"


def test_a_run_is_cancelled_while_a_cell_waits_for_it(notebook: Notebook, page: CommBrowser) -> None:
    notebook.cell(f"""
        import time, flowbook as fb
        flow = fb.flow({notebook.flow!r})
        @flow.node
        def endless(ctx: fb.Context) -> int:
            while not ctx.cancelled:
                time.sleep(0.01)
            return 1
    """)
    page.subscribe(notebook.flow)
    cell = notebook.start("""
        run = flow.start()
        while run.status == "running":
            time.sleep(0.01)
        print(run.status)
    """)
    page.until_cards(endless=("running", None))
    page.ask("cancel", flow=notebook.flow)
    notebook.finish(cell)
    assert cell.printed == "cancelled\n"


def test_a_second_page_sees_what_the_first_one_does(notebook: Notebook, page: CommBrowser) -> None:
    two_nodes(notebook)
    other = CommBrowser(notebook)
    page.subscribe(notebook.flow)
    other.subscribe(notebook.flow)
    page.ask("edit", flow=notebook.flow, ops=[{"op": "rename", "node": "late", "to": "later"}])
    for each in (page, other):
        notebook.until(lambda each=each: "later" in each.cards())  # type: ignore[misc]
    leases = [[message["held"] for message in each.told if message["kind"] == "lease"] for each in (page, other)]
    assert leases == [[True], [False]]
    page.close()
    notebook.until(lambda: any(message["kind"] == "lease" and message["held"] for message in other.told))
    other.close()
    notebook.is_true("__import__('flowbook.session').session.session.hub.channel_count == 0")


def test_the_output_of_a_node_cell_is_told_whole_whoever_runs_it(notebook: Notebook, page: CommBrowser) -> None:
    cell = notebook.cell("%%node answer(k: int = 6)\nprint('thinking')\nanswer = k * 7")
    page.subscribe(notebook.flow)
    (first,) = page.last("nodes")
    assert first["data"]["text/plain"] == cell.shown.text
    assert set(first["data"]) == set(cell.shown.data)
    assert (first["node"], first["stamp"], first["data"][NODE_MIME]["stamp"]) == ("answer", "live", "recorded")
    mark = len(page.batches)
    page.ask("set", flow=notebook.flow, node="answer", name="k", value=2)
    notebook.until(lambda: "14" in (page.last("nodes") or [first])[0]["data"]["text/plain"])
    notebook.drain()
    assert cell.shown.text.endswith("14"), "the display is updated as well"
    notebook.cell("x = 1")  # a cell that changes nothing
    notebook.drain()
    later = [batch for batch in page.batches[mark:] if "nodes" in batch]
    assert {entry["status"] for batch in later for entry in batch["nodes"]} <= {"running", "ok"}
    assert later[-1]["nodes"][0]["seq"] > first["seq"]


def test_a_value_whose_own_formatter_gives_bytes_or_objects_is_told(notebook: Notebook, page: CommBrowser) -> None:
    cell = notebook.cell("%%node dot\nfrom PIL import Image\ndot = Image.new('RGB', (2, 2))")
    page.subscribe(notebook.flow)
    page.until_cards(dot=("ok", "live"))
    notebook.until(lambda: "image/png" in (page.last("nodes") or [{"data": {}}])[0]["data"])
    assert page.last("nodes")[0]["data"]["image/png"].strip() == cell.shown.data["image/png"].strip()
    notebook.cell("""
        import datetime
        class Odd:
            def _repr_mimebundle_(self, **_):
                return {"text/plain": "odd", "application/odd+json": {"at": datetime.date(2013, 1, 1)}, "x/y": object()}
    """)
    notebook.cell("%%node odd\nodd = Odd()")
    page.until_cards(odd=("ok", "live"))


def test_stale_stamps_reach_the_page_after_every_cell(notebook: Notebook, page: CommBrowser) -> None:
    notebook.cell("limit = 10")
    cell = notebook.cell("%%node double\ndouble = limit * 2")
    page.subscribe(notebook.flow)
    page.until_cards(double=("ok", "live"))
    notebook.drain()
    nodes, updates = len([batch for batch in page.batches if "nodes" in batch]), cell.shown.updates
    notebook.cell("limit = 11")
    page.until_cards(double=("ok", "stale"))
    assert "limit" in page.cards()["double"]["reason"]
    assert len([batch for batch in page.batches if "nodes" in batch]) == nodes, "stamps change in views alone"
    assert cell.shown.updates == updates
    page.ask("run", flow=notebook.flow, stale=True)
    page.until_cards(double=("ok", "live"))


def test_a_page_that_reloads_is_told_how_its_runs_ended(notebook: Notebook) -> None:
    """Outputs lose their display ids with the page, so what they are to hold is told over the comm."""
    two_nodes(notebook)
    notebook.cell(f"%%flow {notebook.flow}")
    cell = notebook.cell("run = flow.run_sync()")
    run_id = cell.bundles(TRACE_MIME)[0]["runId"]
    for _ in range(3):
        notebook.cell("flow.run_sync()")
    page = CommBrowser(notebook)
    page.subscribe(notebook.flow, runs=[run_id])
    notebook.until(lambda: any(batch.get("trace", {}).get("runId") == run_id for batch in page.batches))
    notebook.until(lambda: {"canvas", "trace"} <= {entry["kind"] for entry in page.last("outputs") or []})
    outputs: dict[Any, dict[str, Any]] = {entry["runId"]: entry["data"] for entry in page.last("outputs")}
    assert set(outputs[run_id]) == {TRACE_MIME, "text/html", "image/svg+xml", "text/plain"}
    assert set(outputs[None]) == {CANVAS_MIME, "text/html", "image/svg+xml", "text/plain"}
    assert '"live"' not in json.dumps([outputs[None][CANVAS_MIME], outputs[run_id][TRACE_MIME]])
    page.close()


def test_the_text_of_a_flow_cell_is_known_and_what_a_page_wrote_is_no_foreign_change(
    notebook: Notebook, page: CommBrowser
) -> None:
    two_nodes(notebook)
    cell = notebook.cell(f"%%flow {notebook.flow}\n{{\n}}\n")
    page.subscribe(notebook.flow)
    assert page.last("cell") == {"id": cell.id, "text": "{\n}", "due": False}
    page.ask("edit", flow=notebook.flow, ops=[{"op": "move", "node": "late", "x": 40, "y": 2}])
    notebook.until(lambda: page.last("cell")["due"])
    document = page.last("document")
    assert [node["id"] for node in json.loads(document)["nodes"]] == ["late"]
    page.say("wrote", flow=notebook.flow, text=document)
    notebook.until(lambda: not page.last("cell")["due"])
    assert page.last("cell")["text"] == document
    page.ask("edit", flow=notebook.flow, ops=[{"op": "move", "node": "late", "x": 50, "y": 2}])
    notebook.cell(f"%%flow {notebook.flow}\n{document}", cell)
    assert notebook.of_flow("data.nodes['late'].position[0]") == 50, "edited since, and the text is the one we wrote"


def test_no_page_no_work(notebook: Notebook) -> None:
    """Without a browser nothing is looked at, and no thread is started."""
    two_nodes(notebook)
    notebook.cell("await flow.run()")
    assert notebook.ask("__import__('flowbook.session').session.session.hub.watched_count") == 0


def test_a_flow_that_is_made_after_the_page_came_is_told(notebook: Notebook, page: CommBrowser) -> None:
    page.say("subscribe", flow=f"{notebook.flow}_later")
    page.until(lambda message: message["kind"] == "absent")
    notebook.cell(f"%%node {notebook.flow}_later.one\none = 1")
    batch = page.until(lambda message: "canvas" in message)
    assert batch["flow"] == f"{notebook.flow}_later"
