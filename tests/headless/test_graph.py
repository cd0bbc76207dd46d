"""`flowbook graph` draws what was recorded, else what the text says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from nbformat.v4 import new_output

from flowbook.canvas.protocol import CANVAS_MIME
from tests.headless.notebooks import code, make_notebook, read_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nbformat import NotebookNode

    from tests.headless.notebooks import Finished

    Command = Callable[..., Finished]

CELLS = (
    "import flowbook as fb\nflow = fb.flow('flights')",
    "@flow.node\ndef flights() -> pl.LazyFrame: 1 / 0",
    "@flow.node\ndef late(flights, minutes: int = 15): 1 / 0",
    "%%node flights.chart\nchart = draw(late)",
)


def _canvas(at: str, name: str, **changes: Any) -> NotebookNode:
    """A cell that holds a saved canvas of one node."""
    card = {
        "id": name, "typeId": name, "kind": "node", "doc": "", "x": 0, "y": 0, "w": 188, "h": 84, "status": "ok",
        "stamp": "live", "reason": "first run", "tookS": 0.03, "inputs": [], "outputs": [], "settings": [],
        "preview": None, "copies": 0, "copiedBytes": 0, "error": None, "pinned": False, "bypassed": False,
    }  # fmt: skip
    bundle = {
        "flowbook": "1", "kind": "canvas", "flow": "flights", "seq": 1, "runId": "a" * 32, "at": at,
        "layoutHash": "0" * 12, "document": {"flowbook": "1", "id": "flights"}, "nodes": [card], "edges": [],
        "groups": [], "notes": [], "run": None, **changes,
    }  # fmt: skip
    cell = code("flow")
    cell.outputs = [new_output("display_data", data={CANVAS_MIME: bundle, "text/plain": "canvas"})]
    return cell


def test_the_newest_canvas_of_a_notebook_is_drawn_as_recorded(tmp_path: Path, flowbook: Command) -> None:
    saved = [_canvas("2026-11-20T12:00:00Z", "newer"), _canvas("2026-11-19T12:00:00Z", "older")]
    source = make_notebook(tmp_path / "a.ipynb", *CELLS, *saved)

    done = flowbook("graph", source, "--format", "json")

    drawn = json.loads(done.out)
    assert [(card["id"], card["stamp"]) for card in drawn["nodes"]] == [("newer", "recorded")]
    svg = flowbook("graph", source).out
    assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314 - our own drawing
    assert "newer" in svg
    assert "live" not in svg


def test_a_notebook_that_was_not_run_is_drawn_from_its_text_all_waiting(tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(tmp_path / "a.ipynb", *CELLS)

    done = flowbook("graph", source, "--format", "json", "-o", tmp_path / "a.json")

    assert (done.code, done.out) == (0, f"{tmp_path / 'a.json'}\n")
    drawn = read_json(tmp_path / "a.json")
    assert [(card["id"], card["kind"], card["status"]) for card in drawn["nodes"]] == [
        ("flights", "waiting", "waiting"),
        ("late", "waiting", "waiting"),
        ("chart", "waiting", "waiting"),
    ]
    assert sorted((edge["source"], edge["target"]) for edge in drawn["edges"]) == [
        ("flights", "late"),
        ("late", "chart"),
    ]
    late = drawn["nodes"][1]
    assert [(setting["name"], setting["value"]) for setting in late["settings"]] == [("minutes", 15)]
    assert late["x"] > drawn["nodes"][0]["x"], "laid out from left to right"
    assert "flowchart LR" in flowbook("graph", source, "--format", "mermaid").out


def test_a_document_is_drawn_with_the_types_it_carries(tmp_path: Path, flowbook: Command) -> None:
    source = tmp_path / "a.flow.json"
    types = [{"id": "late", "source": "@flow.node\ndef late(flights, minutes: int = 15):\n    raise SystemExit"}]
    nodes = [{"id": "flights", "typeId": "table.read"}, {"id": "late", "typeId": "late", "settings": {"minutes": 60}}]
    source.write_text(json.dumps({"flowbook": "1", "nodes": nodes, "types": types}))

    drawn = json.loads(flowbook("graph", source, "--format", "json").out)

    assert [(edge["source"], edge["target"]) for edge in drawn["edges"]] == [("flights", "late")]
    assert [(setting["name"], setting["value"]) for setting in drawn["nodes"][1]["settings"]] == [("minutes", 60)]


def test_markup_in_names_stays_text(tmp_path: Path, flowbook: Command) -> None:
    name = "<script>alert(1)</script>"
    source = make_notebook(tmp_path / "a.ipynb", _canvas("2026-11-20T12:00:00Z", name))

    for form in ("svg", "mermaid"):
        assert "<script" not in flowbook("graph", source, "--format", form).out


def test_what_cannot_be_drawn_exits_2_with_the_remedy(tmp_path: Path, flowbook: Command) -> None:
    empty = make_notebook(tmp_path / "empty.ipynb", "1")
    damaged = make_notebook(tmp_path / "damaged.ipynb", _canvas("2026-11-20T12:00:00Z", "x", edges=[{"source": "x"}]))
    broken = make_notebook(tmp_path / "broken.ipynb", _canvas("2026-11-20T12:00:00Z", "x", nodes=[{"id": 1}]))

    assert flowbook("graph", empty).err.startswith("[FB720]")
    for source in (damaged, broken):
        done = flowbook("graph", source)
        assert (done.code, done.err[:7]) == (2, "[FB721]") or done.code == 0, "drawn as far as it goes, or refused"
    assert flowbook("graph", empty, "-o", tmp_path / "none" / "a.svg").err.startswith("[FB702]")
