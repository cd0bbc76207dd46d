"""The picture of a flow: statuses, sources, previews that compute nothing, and a bounded size."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import threading
import typing
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import polars as pl
import pytest

import flowbook as fb
from flowbook.canvas import protocol
from flowbook.canvas.pages import canvas_html, canvas_svg, canvas_text
from flowbook.canvas.protocol import MAX_BUNDLE_BYTES, fit_canvas, size_bytes
from flowbook.canvas.snapshot import card, snapshot
from flowbook.core.node_types import node_type_of
from tests.runtime.watching import DEADLINE_S, over, reached

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What slow nodes wait for; open at the end."""
    made = threading.Event()
    yield made
    made.set()


class Variables:
    """The variables of a notebook."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)

    def lookup(self, name: str) -> tuple[bool, Any]:
        return name in self.values, self.values.get(name)


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    """What the notebook has bound."""
    made = Variables({})
    monkeypatch.setattr(fb.Flow().engine, "namespace", made)
    return made


def ambient(flow: fb.Flow, function: Any) -> None:
    """Define a node like that of a cell: its inputs are the names it reads, wherever they come from."""
    node_type = node_type_of(function)
    inputs = tuple(port.but(is_ambient=True) for port in node_type.inputs)
    flow.define(dataclasses.replace(node_type, inputs=inputs))


def cards(flow: fb.Flow, *, is_live: bool = False) -> dict[str, Any]:
    return {entry["id"]: entry for entry in snapshot(flow, is_live=is_live)["nodes"]}


def full() -> fb.Flow:
    """Nodes with everything that a card can show."""
    flow = fb.Flow("full")

    @flow.node
    def rows(
        count: Annotated[int, fb.Setting(min=0, max=9, step=1, unit="rows", help="How many.")] = 6,
        mode: Literal["a", "b"] = "a",
        note: str = "",
    ) -> pl.LazyFrame:
        """Make some rows.

        And more that no card shows.
        """
        return pl.LazyFrame({"a": range(count), "b": [f"row {number}" for number in range(count)]})

    @flow.node
    def table(rows: pl.DataFrame, limit: int) -> pl.DataFrame:
        return rows.head(limit)

    @flow.node(pinned=True)
    def array(table: pl.DataFrame) -> np.ndarray[Any, Any]:
        return table["a"].to_numpy()

    @flow.node
    def text(array: np.ndarray[Any, Any]) -> str:
        return f"{array.size} values"

    @flow.node
    def fails(array: np.ndarray[Any, Any]) -> int:
        return int(array[99])

    @flow.node
    def skipped(fails: int) -> int:
        return fails

    @flow.node(muted=True)
    def muted() -> int:
        return 1

    @flow.node(bypassed=True)
    def bypassed(table: pl.DataFrame) -> pl.DataFrame:
        return table.head(0)

    flow.set("table", limit=4)
    return flow


# -- the form


def _keys(record: Any, *, optional: bool = True) -> set[str]:
    hints = typing.get_type_hints(record, include_extras=True)
    return {name for name, hint in hints.items() if optional or typing.get_origin(hint) is not typing.NotRequired}


def _is(entry: Mapping[str, Any], record: Any) -> bool:
    return _keys(record, optional=False) <= set(entry) <= _keys(record)


def test_the_bundle_has_the_keys_of_the_protocol() -> None:
    flow = full()
    flow.data.notes.append({"text": "look", "x": 1, "y": 2})
    flow.data.groups.append({"title": "both", "nodes": ["rows", "table"]})
    flow.run_sync(raise_errors=False)
    drawn = snapshot(flow, seq=12)
    assert set(drawn) == _keys(protocol.Canvas, optional=False)
    assert drawn["run"] is not None
    assert set(drawn["run"]) == _keys(protocol.RunSummary)
    kinds: Counter[str] = Counter()
    previews = {"table": protocol.TablePreview, "array": protocol.ArrayPreview, "text": protocol.TextPreview}
    for entry in drawn["nodes"]:
        assert _is(entry, protocol.Card)
        assert all(_is(port, protocol.InputPort) for port in entry["inputs"])
        assert all(_is(port, protocol.OutputPort) for port in entry["outputs"])
        assert all(_is(setting, protocol.Setting) for setting in entry["settings"])
        assert entry["error"] is None or _is(entry["error"], protocol.Failure)
        if entry["preview"] is not None:
            kinds[entry["preview"]["kind"]] += 1
            assert _is(entry["preview"], previews[entry["preview"]["kind"]])
    assert all(_is(edge, protocol.Edge) for edge in drawn["edges"])
    assert set(kinds) == set(previews)
    assert (drawn["seq"], drawn["flow"], drawn["kind"], drawn["flowbook"]) == (12, "full", "canvas", "1")
    assert json.loads(json.dumps(drawn, allow_nan=False)) == drawn


def test_a_flow_that_never_ran_is_drawn_without_a_run() -> None:
    drawn = snapshot(full())
    assert (drawn["run"], drawn["runId"], drawn["at"]) == (None, None, None)
    assert {entry["status"] for entry in drawn["nodes"]} == {"idle", "muted"}
    assert {(entry["stamp"], entry["preview"], entry["tookS"]) for entry in drawn["nodes"]} == {(None, None, None)}
    assert snapshot(fb.Flow("empty"))["nodes"] == []


def test_the_document_in_the_bundle_is_that_of_the_flow_without_positions() -> None:
    flow = full()
    flow.data.set_position("rows", (40, 80))
    drawn = snapshot(flow)
    assert all("position" not in entry for entry in drawn["document"]["nodes"])
    without = {**flow.document()}
    without["nodes"] = [{key: entry[key] for key in entry if key != "position"} for entry in without["nodes"]]
    assert drawn["document"] == without
    place = next(entry for entry in drawn["nodes"] if entry["id"] == "rows")
    assert (place["x"], place["y"]) == (40, 80)


def test_the_layout_hash_changes_when_a_card_moves_and_not_when_a_value_does() -> None:
    flow = full()
    for node_id in flow:
        flow.data.set_position(node_id, (0, 0))
    before = snapshot(flow)["layoutHash"]
    assert re.fullmatch("[0-9a-f]{12}", before)
    assert snapshot(flow, seq=5, is_live=True)["layoutHash"] == before
    flow.data.set_position("rows", (10, 0))
    assert snapshot(flow)["layoutHash"] != before


def test_one_card_is_the_same_as_on_the_whole_canvas() -> None:
    flow = full()
    flow.run_sync(raise_errors=False)
    whole = cards(flow)
    places = ("x", "y", "w", "h")
    for node_id in flow:
        alone: Any = card(flow, node_id)
        assert {key: alone[key] for key in alone if key not in places} == {
            key: whole[node_id][key] for key in whole[node_id] if key not in places
        }


# -- what a card says


def test_every_status_is_drawn() -> None:
    flow = full()
    flow.run_sync(raise_errors=False)
    found = {node_id: (entry["status"], entry["stamp"]) for node_id, entry in cards(flow).items()}
    assert found == {
        "rows": ("ok", "recorded"),
        "table": ("ok", "recorded"),
        "array": ("ok", "recorded"),
        "text": ("ok", "recorded"),
        "fails": ("failed", None),
        "skipped": ("skipped", None),
        "muted": ("muted", None),
        "bypassed": ("ok", "recorded"),
    }
    error = cards(flow)["fails"]["error"]
    assert (error["code"], error["line"] is not None) == ("FB402", True)
    assert error["message"].startswith("IndexError")
    assert (cards(flow)["array"]["pinned"], cards(flow)["bypassed"]["bypassed"]) == (True, True)


def test_what_runs_and_what_does_not_answer_is_drawn(gate: threading.Event) -> None:
    flow = fb.Flow("slow")
    began = threading.Event()

    @flow.node
    def slow() -> int:
        began.set()
        gate.wait(DEADLINE_S)
        return 1

    run = flow.start()
    reached(began)
    drawn = snapshot(flow)
    assert drawn["nodes"][0]["status"] == "running"
    assert drawn["run"] is not None
    assert drawn["run"]["status"] == "running"
    run.cancel()
    over(run)
    assert cards(flow)["slow"]["status"] == "unresponsive"
    assert cards(flow)["slow"]["reason"] == "did not answer to being cancelled"


def test_only_a_view_that_hears_of_changes_may_say_live() -> None:
    flow = full()
    flow.run_sync(raise_errors=False)
    assert {entry["stamp"] for entry in cards(flow, is_live=True).values()} == {"live", None}
    assert {entry["stamp"] for entry in cards(flow).values()} == {"recorded", None}
    flow.run_sync(raise_errors=False)
    assert cards(flow, is_live=True)["rows"]["stamp"] == "cached"
    flow.set("rows", count=3)
    found = cards(flow)
    assert (found["rows"]["stamp"], found["text"]["stamp"]) == ("stale", "stale")
    assert (found["rows"]["reason"], found["table"]["reason"]) == ("setting count 6 → 3", "rows is stale")


def test_settings_tell_value_control_and_bounds() -> None:
    flow = full()
    flow.set("rows", count=2)
    count, mode, note = cards(flow)["rows"]["settings"]
    assert count == {
        "name": "count", "label": "count", "control": "slider", "value": 2, "default": 6, "connected": False,
        "min": 0, "max": 9, "step": 1, "unit": "rows", "help": "How many.",
    }  # fmt: skip
    assert (mode["control"], mode["options"], mode["value"]) == ("select", ["a", "b"], "a")
    assert (note["control"], note["value"]) == ("text", "")


def test_ports_tell_what_is_connected_required_and_constant() -> None:
    flow = full()
    flow.run_sync(raise_errors=False)
    found = cards(flow)
    assert found["table"]["inputs"] == [
        {"name": "rows", "type": "table", "connected": True, "required": True},
        {"name": "limit", "type": "scalar", "connected": False, "required": True, "constant": 4},
    ]
    (table,) = found["table"]["outputs"]
    assert {key: table[key] for key in ("name", "type", "connected", "shape")} == {
        "name": "result",
        "type": "table",
        "connected": True,
        "shape": "4 × 2",
    }
    assert found["text"]["outputs"][0]["connected"] is False
    assert found["rows"]["doc"] == "Make some rows."


def test_a_setting_that_an_edge_feeds_is_connected() -> None:
    flow = full()
    flow.node(name="many")(lambda: 5)
    flow.connect("many", "rows.count")
    drawn = snapshot(flow)
    rows = next(entry for entry in drawn["nodes"] if entry["id"] == "rows")
    assert [setting["connected"] for setting in rows["settings"]] == [True, False, False]
    edge = next(edge for edge in drawn["edges"] if edge["source"] == "many")
    assert (edge["targetPort"], edge["implicit"]) == ("count", False)


def test_edges_tell_what_they_carried_and_what_it_took() -> None:
    flow = full()
    before = {(edge["source"], edge["target"]): edge for edge in snapshot(flow)["edges"]}
    assert {(edge["carried"], edge["label"], edge["copies"]) for edge in before.values()} == {(False, None, 0)}
    flow.run_sync(raise_errors=False)
    edges = {(edge["source"], edge["target"]): edge for edge in snapshot(flow)["edges"]}
    assert edges["rows", "table"] == {
        "source": "rows", "sourcePort": "result", "target": "table", "targetPort": "rows", "implicit": True,
        "type": "table", "label": "6 × 2", "copies": 0, "copiedBytes": 0, "copyReason": "",
        "carried": True,
    }  # fmt: skip
    assert edges["array", "text"]["label"] == "(4,) int64"
    assert (edges["array", "fails"]["carried"], edges["fails", "skipped"]["carried"]) == (False, False)


def test_copies_are_told_on_the_edge_and_on_the_node_that_needed_them() -> None:
    flow = fb.Flow("copies")
    flow.node(name="table")(lambda: pl.DataFrame({"a": [1.0, 2.0], "b": [True, False]}))
    flow.node(name="other")(lambda: 1)

    @flow.node
    def matrix(table: np.ndarray[Any, Any], other: int) -> int:
        return table.size

    for _ in range(2):  # the second run reuses, and tells the same
        flow.run_sync()
        drawn = snapshot(flow)
        told = {edge["source"]: (edge["copies"], edge["copiedBytes"], edge["copyReason"]) for edge in drawn["edges"]}
        why = "columns of 2 types (float64, boolean) become float64"
        assert told == {"table": (1, 32, why), "other": (0, 0, "")}
        shown = next(entry for entry in drawn["nodes"] if entry["id"] == "matrix")
        assert shown["copies"] == 1
        assert shown["copiedBytes"] >= 32


def test_ports_name_the_columns_of_tables() -> None:
    flow = fb.Flow("wide")

    @flow.node
    def eager() -> pl.DataFrame:
        return pl.DataFrame({"day": ["a"], "delay": [1.5]})

    @flow.node
    def lazy(eager: pl.DataFrame) -> pl.LazyFrame:
        return eager.lazy().with_columns(pl.lit(1).cast(pl.Int8).alias("one"))

    @flow.node
    def wide() -> pl.DataFrame:
        return pl.DataFrame({f"c{place}": [0] for place in range(100)})

    assert "columns" not in card(flow, "eager")["outputs"][0], "nothing is known of it yet"
    flow.run_sync()
    ports = {entry["id"]: entry["outputs"][0] for entry in snapshot(flow)["nodes"]}
    assert ports["eager"]["columns"] == [{"name": "day", "type": "string"}, {"name": "delay", "type": "float64"}]
    assert ports["lazy"]["columns"][2] == {"name": "one", "type": "int8"}
    assert (len(ports["wide"]["columns"]), ports["wide"]["columnCount"]) == (protocol.MOST_PORT_COLUMNS, 100)


def test_a_node_tells_how_many_dead_letters_it_has() -> None:
    flow = fb.Flow("letters")

    @flow.node
    def shaky(k: int = 1) -> int:
        return 1 // (k - 1)

    assert "letters" not in card(flow, "shaky")
    flow.run_sync(raise_errors=False)
    assert card(flow, "shaky")["letters"] == 1
    outer = fb.Flow("outer")
    outer.add(flow, "sub")
    outer.run_sync(raise_errors=False)
    assert card(outer, "sub")["letters"] == 1, "those of the nodes in it"
    flow.set("shaky", k=2)
    flow.dead_letters.replay()
    assert "letters" not in card(flow, "shaky")


def test_the_error_port_is_an_edge_too() -> None:
    flow = full()

    @flow.node
    def handles(problem: fb.ErrorPacket) -> str:
        return problem.message

    flow.connect("fails.error", "handles.problem")
    flow.run_sync(raise_errors=False)
    edge = next(edge for edge in snapshot(flow)["edges"] if edge["target"] == "handles")
    assert (edge["sourcePort"], edge["type"], edge["label"]) == ("error", "packet", None)
    assert cards(flow)["handles"]["status"] == "ok"


def test_the_run_is_summed_up() -> None:
    flow = full()
    run = flow.run_sync(raise_errors=False)
    drawn = snapshot(flow)
    assert drawn["runId"] == run.id
    assert drawn["run"] is not None
    summed = {key: value for key, value in drawn["run"].items() if key != "tookS"}
    assert summed == {
        "id": run.id, "status": "failed", "ran": 5, "cached": 0, "failed": 1, "skipped": 1,
        "copies": run.trace.counts()["copies"], "copiedBytes": run.trace.counts()["copied_bytes"],
        "cacheBytes": None, "cacheBudgetBytes": None,
    }  # fmt: skip
    live = snapshot(flow, is_live=True)["run"]
    assert live is not None
    assert (live["cacheBytes"], live["cacheBudgetBytes"]) == (flow.cache.size_bytes, flow.cache.budget_bytes)
    assert flow.cache.size_bytes > 0


# -- sources


def test_notebook_values_are_drawn_as_sources(variables: Variables) -> None:
    variables.values.update(factor=2.5, table=pl.DataFrame({"a": [1, 2]}), math=math, half=lambda x: x / 2)
    flow = fb.Flow("cells")

    def scaled(table, factor, math, half, missing=None):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        return math.floor(half(table.height) * factor)

    def also(factor):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        return factor

    for function in (scaled, also):
        ambient(flow, function)
    flow.run_sync()
    drawn = snapshot(flow)
    found = {entry["id"]: entry for entry in drawn["nodes"]}
    sources = {node_id: entry for node_id, entry in found.items() if entry["kind"] == "input"}
    assert {entry["title"] for entry in sources.values()} == {"factor", "table"}, "code is not data"
    factor = next(entry for entry in sources.values() if entry["title"] == "factor")
    assert (factor["status"], factor["stamp"], factor["inputs"], factor["settings"]) == ("ok", "from notebook", [], [])
    assert factor["outputs"] == [{"name": "value", "type": "scalar", "connected": True, "shape": "2.5"}]
    assert [port["name"] for port in found["scaled"]["inputs"]] == ["table", "factor", "missing"]
    assert [port["connected"] for port in found["scaled"]["inputs"]] == [True, True, False]
    edges = sorted((edge["source"], edge["target"], edge["targetPort"], edge["implicit"]) for edge in drawn["edges"])
    assert edges == [
        (factor["id"], "also", "factor", True),
        (factor["id"], "scaled", "factor", True),
        ("→ table", "scaled", "table", True),
    ]


def test_a_node_of_that_name_takes_the_place_of_a_notebook_value(variables: Variables) -> None:
    variables.values.update(factor=2.5)
    flow = fb.Flow("cells")

    def scaled(factor):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        return factor * 2

    ambient(flow, scaled)
    assert [entry["kind"] for entry in snapshot(flow)["nodes"]] == ["node", "input"]
    flow.node(name="factor")(lambda: 3)
    assert [entry["kind"] for entry in snapshot(flow)["nodes"]] == ["node", "node"]


def test_given_inputs_are_drawn_as_sources() -> None:
    flow = fb.Flow("given")

    @flow.node
    def one(path: str, size: int) -> int:
        return size

    @flow.node
    def two(path: str, size: int) -> int:
        return size

    assert [entry["id"] for entry in snapshot(flow)["nodes"]] == ["one", "two"]
    flow.run_sync(inputs={"path": "a.csv", "one.size": 1, "two.size": 2})
    found = cards(flow)
    sources = {entry["title"]: entry for entry in found.values() if entry["kind"] == "input"}
    shapes = {title: entry["outputs"][0]["shape"] for title, entry in sources.items()}
    assert shapes == {"path": "'a.csv'", "one.size": "1", "two.size": "2"}
    assert {(entry["stamp"], entry["reason"]) for entry in sources.values()} == {("recorded", "given to a run")}
    edges = {(edge["source"], edge["target"]) for edge in snapshot(flow)["edges"]}
    assert edges == {
        ("→ path", "one"), ("→ path", "two"), ("→ one.size", "one"), ("→ two.size", "two"),
    }  # fmt: skip


# -- waiting stubs


def test_a_node_whose_cell_has_not_run_is_a_waiting_stub() -> None:
    flow = full()
    flow.run_sync(raise_errors=False)
    flow.undefine("table")
    found = cards(flow)
    assert (found["table"]["kind"], found["table"]["status"]) == ("waiting", "waiting")
    assert found["table"]["reason"] == "its cell has not run"
    assert found["table"]["inputs"] == []
    flow.replace_document('{"nodes": [{"id": "stub", "typeId": "stub", "settings": {"n": 5}}]}')
    stub = cards(flow)["stub"]
    assert (stub["kind"], stub["status"], stub["stamp"], stub["settings"]) == ("waiting", "waiting", None, [])


def test_edges_of_a_stub_stay() -> None:
    flow = fb.Flow("stubs")
    flow.replace_document(
        json.dumps(
            {
                "nodes": [{"id": "a", "typeId": "a"}, {"id": "b", "typeId": "b"}],
                "edges": [{"source": "a", "sourcePort": "left", "target": "b", "targetPort": "x"}],
            }
        )
    )
    drawn = snapshot(flow)
    assert [(edge["source"], edge["sourcePort"], edge["target"], edge["targetPort"]) for edge in drawn["edges"]] == [
        ("a", "left", "b", "x")
    ]
    assert [port["name"] for port in cards(flow)["b"]["inputs"]] == ["x"], "an edge without a port is not drawn"
    assert "a" in canvas_text(drawn)
    assert canvas_svg(drawn).count("<g ") >= 2


# -- previews


def test_previews_never_compute_and_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = fb.Flow("previews")
    hidden = SimpleNamespace(computed=0)

    def look(frame: pl.DataFrame) -> pl.DataFrame:
        hidden.computed += 1
        return frame

    @flow.node
    def lazy() -> pl.LazyFrame:
        return pl.LazyFrame({"a": [1, 2]}).map_batches(look)

    @flow.node
    def leaf(lazy: pl.LazyFrame) -> pl.LazyFrame:
        return lazy.select(pl.col("a") + 1)

    flow.run_sync()
    assert hidden.computed == 1
    made: list[Any] = []
    preview = flow.engine.payloads.preview

    def counted(value: object) -> Any:
        made.append(value)
        return preview(value)

    monkeypatch.setattr(flow.engine.payloads, "preview", counted)
    for _ in range(3):
        found = cards(flow)
    assert hidden.computed == 1
    assert len(made) == 1
    assert found["lazy"]["preview"] is None
    assert found["lazy"]["outputs"][0]["shape"] == "? × 1"
    assert found["leaf"]["preview"]["rows"] == [["2"], ["3"]]
    assert found["leaf"]["outputs"][0]["shape"] == "2 × 1"


def test_a_snapshot_runs_nothing_and_changes_nothing() -> None:
    flow = full()
    revision = flow.data.revision
    for _ in range(2):
        snapshot(flow)
    assert flow.last_run is None
    assert flow.data.revision == revision
    assert {flow[node_id].status for node_id in flow} == {"idle", "muted"}


def test_a_table_that_only_a_reader_collected_shows_its_rows() -> None:
    """It was computed anyway."""
    flow = full()
    flow.run_sync(raise_errors=False)
    rows = cards(flow)["rows"]
    assert rows["preview"]["height"] == 6
    assert rows["outputs"][0]["shape"] == "6 × 2"


def test_previews_are_small_whatever_the_value() -> None:
    flow = fb.Flow("large")
    flow.node(name="wide")(lambda: pl.DataFrame({f"column_{number}": ["x" * 5_000] * 50 for number in range(40)}))
    flow.node(name="long")(lambda: "y" * 10_000_000)
    flow.node(name="array")(lambda: np.full(100_000, math.nan))
    flow.run_sync()
    drawn = snapshot(flow)
    assert size_bytes(drawn) < 20_000
    json.dumps(drawn, allow_nan=False)


# -- anything may be text


def test_markup_stays_text_data() -> None:
    flow = fb.Flow("markup")
    flow.data.metadata["description"] = MARKUP
    flow.data.notes.append({"text": MARKUP, "x": 0, "y": 0})
    flow.data.groups.append({"title": MARKUP, "nodes": ["table"]})

    def table(word: str = MARKUP, mode: Literal["a"] = "a") -> pl.DataFrame:
        return pl.DataFrame({MARKUP: [word]})

    table.__doc__ = MARKUP
    flow.node(table)

    @flow.node
    def fails(table: pl.DataFrame) -> int:
        raise ValueError(MARKUP)

    flow.run_sync(raise_errors=False)
    drawn, found = snapshot(flow), cards(flow)
    assert found["table"]["doc"] == MARKUP, "data is data: who draws escapes it"
    assert found["table"]["preview"]["columns"][0]["name"].startswith("<script>")
    assert MARKUP in found["fails"]["error"]["message"]
    for shown in (canvas_html(drawn), canvas_svg(drawn)):
        assert "<script" not in shown
        assert not re.search(r"<[^>]*\sonerror", shown)
        assert "&lt;script&gt;" in shown


@pytest.mark.parametrize(
    "entry",
    [None, 5, "text", [], {"nodes": 5}, {"nodes": [{"id": 1}]}, {"title": [], "nodes": []}, {"nodes": ["nobody"]}, {}],
)
def test_odd_groups_and_notes_of_a_document_break_nothing(entry: Any) -> None:
    flow = full()
    flow.data.groups.append(entry)
    flow.data.notes.append(entry)
    flow.data.notes.append({"text": 5, "x": "here"})
    drawn = snapshot(flow)
    assert len(drawn["nodes"]) == len(flow)
    assert canvas_html(drawn)
    assert fit_canvas(drawn)


# -- many nodes


def test_a_thousand_nodes_fit_into_a_bundle() -> None:
    flow = fb.Flow("thousand")

    def first(count: Annotated[int, fb.Setting(min=0, max=9)] = 3) -> pl.DataFrame:
        """Make rows."""
        return pl.DataFrame({"a": range(count)})

    def step(table: pl.DataFrame, factor: float = 1.0) -> pl.DataFrame:
        """Keep the rows, whatever they are."""
        return table

    flow.node(first)
    flow.node(step)
    nodes = [{"id": f"n{number}", "typeId": "step" if number % 10 else "first"} for number in range(1_000)]
    edges = [
        {"source": f"n{number - 1}", "target": f"n{number}", "targetPort": "table"}
        for number in range(1_000)
        if number % 10
    ]
    flow.replace_document(json.dumps({"nodes": nodes, "edges": edges}))
    flow.run_sync()
    drawn = snapshot(flow)
    assert len(drawn["nodes"]) == 1_000
    assert size_bytes(drawn) > MAX_BUNDLE_BYTES
    fitted = fit_canvas(drawn)
    assert size_bytes(fitted) <= MAX_BUNDLE_BYTES
    assert [entry["id"] for entry in fitted["nodes"]] == [f"n{number}" for number in range(1_000)]
    assert {entry.get("status", "ok") for entry in fitted["nodes"]} == {"ok"}
    assert len(fitted["edges"]) == 900
