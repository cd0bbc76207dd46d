"""Grids ask a hub for what they show of a value, and are told when it is another one, or gone."""

from __future__ import annotations

import io
import json
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from flowbook.canvas import channels
from flowbook.canvas.control import Hub
from flowbook.canvas.snapshot import shown_value
from flowbook.canvas.tables import Tables
from flowbook.data import viewports
from flowbook.data.viewports import TableView
from flowbook.session import Flow, session
from tests.canvas.live_kit import Browser, Live

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbook.errors import FlowbookError

TABLE = pl.DataFrame({"n": range(1000), "word": ["even", "odd"] * 500})


class Grid(Browser):
    """A browser that also keeps the bytes beside messages."""

    def __init__(self, hub: Hub, **how: Any) -> None:
        self.bytes: list[bytes] = []
        self.has_answer = threading.Event()
        super().__init__(hub, **how)

    def _take(self, message: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        super()._take(message)
        self.bytes += buffers or []
        if message["kind"] in ("table", "reject"):
            self.has_answer.set()

    def table(self, what: str, **fields: Any) -> dict[str, Any]:
        """Ask about the table of node ``made`` of flow ``f``."""
        return self.ask("table", **{"flow": "f", "node": "made", "what": what, **fields})

    def rows(self, start: int, stop: int, **fields: Any) -> pl.DataFrame:
        """Open the table and read some rows of it."""
        value = self.table("open")["value"]
        answer = self.table("rows", value=value, start=start, stop=stop, firstColumn=0, columnCount=8, **fields)
        frame = pl.read_ipc_stream(io.BytesIO(self.bytes.pop()))
        assert answer["rowCount"] == frame.height
        return frame


def flow_of(live: Live, value: Any) -> Flow:
    """A flow whose node ``made`` has run and gave the value."""
    flow = live.flow()
    holder = {"value": value}

    @flow.node(kind="io")
    def made() -> Any:
        return holder["value"]

    flow.holder = holder  # type: ignore[attr-defined]
    flow.run_sync()
    return flow


def lazy_flow_of(live: Live, plan: pl.LazyFrame) -> Flow:
    """A flow whose node ``made`` gave a plan that nobody has computed."""
    flow = live.flow()

    @flow.node
    def made() -> pl.LazyFrame:
        return plan

    @flow.node
    def read(made: pl.LazyFrame) -> pl.LazyFrame:
        return pl.LazyFrame({"x": made.collect_schema().names()})

    flow.run_sync()
    return flow


@pytest.fixture
def grid(live: Live) -> Iterator[Grid]:
    """A browser on the hub of the test."""
    browser = Grid(live.hub, can_write=True)
    browser.say("hello", protocol=1)
    yield browser
    browser.channel.close()


def test_a_grid_learns_columns_and_height_and_then_reads_what_it_shows(live: Live, grid: Grid) -> None:
    flow_of(live, TABLE)
    opened = grid.table("open")
    assert opened["columns"] == [{"name": "n", "type": "int64"}, {"name": "word", "type": "string"}]
    assert (opened["height"], opened["width"]) == (1000, 2)
    assert grid.rows(500, 502).rows() == [(500, "even"), (501, "odd")]
    by_word = [{"column": "word", "isDescending": True}, {"column": "n", "isDescending": True}]
    assert grid.rows(0, 2, sort=by_word).rows() == [(999, "odd"), (997, "odd")]
    assert grid.table("cell", value=opened["value"], row=3, column=1)["text"] == "odd"
    stats = grid.table("stats", value=opened["value"], column=0)["stats"]
    assert (stats["min"], stats["max"], stats["nullCount"]) == ("0", "999", 0)


def test_a_thousand_rows_of_eight_columns_are_less_than_200_kb_on_the_wire(live: Live, grid: Grid) -> None:
    flow_of(live, pl.DataFrame({f"c{i}": [f"{'text ' * 40}{i}"] * 1000 for i in range(8)}))
    value = grid.table("open")["value"]
    answer = grid.table("rows", value=value, start=0, stop=1000, firstColumn=0, columnCount=8)
    assert answer["rowCount"] == 1000
    assert len(grid.bytes.pop()) + len(json.dumps(answer)) <= 200_000


def test_a_lazy_table_is_counted_when_somebody_asks(live: Live, grid: Grid) -> None:
    lazy_flow_of(live, TABLE.lazy().filter(pl.col("n") >= 10))
    opened = grid.table("open")
    assert opened["height"] is None
    assert grid.rows(0, 2).rows() == [(10, "even"), (11, "odd")]
    assert grid.table("count", value=opened["value"])["height"] == 990


def test_another_value_is_said_to_be_one(live: Live, grid: Grid) -> None:
    flow = flow_of(live, TABLE)
    before = grid.table("open")["value"]
    flow.holder["value"] = TABLE.reverse()  # type: ignore[attr-defined]
    flow.run_sync()
    refused = grid.table("rows", value=before, start=0, stop=1, firstColumn=0, columnCount=8)
    assert (refused["kind"], refused["code"]) == ("reject", "FB807")
    assert grid.rows(0, 1).rows() == [(999, "odd")]


def test_a_node_without_a_value_and_one_that_is_gone_are_told_apart(live: Live, grid: Grid) -> None:
    flow = live.flow()

    @flow.node
    def made() -> pl.DataFrame:
        return TABLE

    refused = grid.table("open")
    assert (refused["code"], "no value now" in refused["message"]) == ("FB806", True)
    flow.run_sync()
    assert grid.table("open")["kind"] == "table"
    flow.remove("made")
    refused = grid.table("open")
    assert (refused["code"], "no node" in refused["message"]) == ("FB806", True)
    assert grid.ask("table", flow="nobody", node="made", what="open")["code"] == "FB802"


@pytest.mark.parametrize("value", [3, "text", [1, 2], np.zeros((2, 2, 2))])
def test_what_is_no_table_is_refused(live: Live, grid: Grid, value: Any) -> None:
    flow_of(live, value)
    assert grid.table("open")["code"] == "FB600"


def test_an_array_is_described_with_a_picture(live: Live, grid: Grid) -> None:
    flow_of(live, np.arange(12.0).reshape(3, 4))
    opened = grid.table("open")
    assert (opened["height"], opened["width"]) == (3, 4)
    found = grid.table("array", value=opened["value"])["array"]
    assert (found["dtype"], found["shape"], found["max"]) == ("float64", [3, 4], "11")
    assert found["image"]["mime"] == "image/png"


def test_a_plan_that_cannot_be_computed_says_what_polars_says(live: Live, grid: Grid) -> None:
    lazy_flow_of(live, pl.LazyFrame({"text": ["a"]}).with_columns(pl.col("text").cast(pl.Int64, strict=True)))
    value = grid.table("open")["value"]
    refused = grid.table("rows", value=value, start=0, stop=1, firstColumn=0, columnCount=8)
    assert refused["code"] == "FB808"
    assert "conversion" in refused["message"]


def test_another_output_of_a_node_is_shown_when_it_is_named(live: Live, grid: Grid) -> None:
    flow = live.flow()

    @flow.node(outputs=("one", "two"))
    def made() -> tuple[pl.DataFrame, pl.DataFrame]:
        return TABLE, TABLE.head(5)

    flow.run_sync()
    assert grid.table("open")["code"] == "FB806", "there is no primary output"
    assert grid.table("open", port="two")["height"] == 5
    assert grid.table("open", port="nobody")["code"] == "FB806"


def test_a_node_inside_a_subflow_shows_its_table_too(live: Live, grid: Grid) -> None:
    inner = Flow("inner")

    @inner.node
    def made() -> pl.DataFrame:
        return TABLE

    flow = live.flow()
    flow.add(inner, "part")
    flow.run_sync()
    assert grid.table("open", flow="f/part")["height"] == 1000
    assert grid.table("open", flow="f/part", node="nobody")["code"] == "FB806"


def test_a_message_about_a_table_is_read_with_care(live: Live, grid: Grid) -> None:
    flow_of(live, TABLE)
    value = grid.table("open")["value"]
    for wrong in ({"what": "everything"}, {"start": "0"}, {"sort": ["n"]}, {"sort": [{"column": 3}]}):
        asked = {"what": "rows", "value": value, "start": 0, "stop": 1, **wrong}
        assert grid.table(**asked)["code"] == "FB803"
    by_nobody = [{"column": "nobody"}]
    assert grid.table("rows", value=value, start=0, stop=1, sort=by_nobody)["code"] == "FB607"
    assert grid.table("rows", value=value, start=-5, stop=10**15)["rowCount"] == 1000


def test_a_table_is_let_go_with_its_grid_and_with_its_browser(live: Live, grid: Grid) -> None:
    flow_of(live, TABLE)
    tables = live.hub._tables
    grid.table("open")
    assert tables.held_count == 1
    grid.say("table", flow="f", cid="x", node="made", what="close")
    live.hub.turn()
    assert tables.held_count == 0
    grid.table("open")
    grid.channel.close()
    live.hub.turn()
    assert tables.held_count == 0


def test_whoever_waits_for_a_slow_table_holds_up_nobody(live: Live) -> None:
    """On threads: rows of a plan that takes its time are answered when they are there, everything else at once."""
    started, goes_on = threading.Event(), threading.Event()

    def slowly(frame: pl.DataFrame) -> pl.DataFrame:
        started.set()
        assert goes_on.wait(30)
        return frame

    lazy_flow_of(live, TABLE.lazy().map_batches(slowly))
    hub = Hub(session)
    grid = Grid(hub)
    grid.say("hello", protocol=1)
    grid.say("table", flow="f", cid="1", node="made", what="open")
    assert grid.has_answer.wait(30)
    [opened] = [message for message in grid.messages if message["kind"] == "table"]
    grid.has_answer.clear()
    asked = {"value": opened["value"], "start": 0, "stop": 1, "firstColumn": 0, "columnCount": 1}
    grid.say("table", flow="f", cid="2", node="made", what="rows", **asked)
    assert started.wait(30)
    grid.say("run", flow="nobody", cid="3")
    assert grid.has_answer.wait(30)
    assert [message["cid"] for message in grid.messages if message["kind"] in ("table", "reject")] == ["1", "3"]
    grid.has_answer.clear()
    goes_on.set()
    assert grid.has_answer.wait(30)
    assert grid.messages[-1]["cid"] == "2"
    grid.channel.close()


def test_an_answer_that_is_too_large_is_refused_and_long_names_are_cut(
    live: Live, grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow_of(live, pl.DataFrame({"x" * 100_000: [1]}))
    assert grid.table("open")["columns"][0]["name"] == "x" * 500
    monkeypatch.setattr(channels, "MAX_MESSAGE_BYTES", 400)
    assert grid.table("open")["code"] == "FB809"


def test_closing_a_grid_of_a_flow_that_is_gone_is_answered_by_nothing(live: Live, grid: Grid) -> None:
    grid.say("table", flow="nobody", cid="x", node="made", what="close")
    live.hub.turn()
    assert [message["kind"] for message in grid.told()] == ["hello"]


class Asked:
    """Asks about node ``made``, without a hub, and keeps what it is told."""

    def __init__(self, flow: Flow, *, is_threaded: bool = False) -> None:
        self.flow = flow
        self.channel: Any = object()
        self.told: list[dict[str, Any]] = []
        self.errors: list[FlowbookError] = []
        self._has_answer = threading.Condition()
        self.tables = Tables(
            lambda _channel, answer: self._take(self.told, answer.message),
            lambda _channel, _message, error: self._take(self.errors, error),
            is_threaded=is_threaded,
        )

    def _take(self, into: list[Any], answer: Any) -> None:
        with self._has_answer:
            into.append(answer)
            self._has_answer.notify_all()

    def ask(self, what: str, **fields: Any) -> None:
        shown = shown_value(self.flow, "made") if "made" in self.flow else None
        asked = {"cid": what, "flow": self.flow.name, "node": "made", "value": shown and shown[0], **fields}
        self.tables.ask(self.channel, self.flow, {"kind": "table", "what": what, **asked})

    def waits_for(self, count: int) -> None:
        with self._has_answer:
            assert self._has_answer.wait_for(lambda: len(self.told) + len(self.errors) >= count, 30)


def test_what_is_refused_says_of_which_node_it_speaks(live: Live) -> None:
    flow = lazy_flow_of(live, pl.LazyFrame({"text": ["a"]}).with_columns(pl.col("text").cast(pl.Int64, strict=True)))
    asked = Asked(flow)
    asked.ask("everything")
    asked.ask("rows", sort=[{"column": 3}])
    asked.ask("rows", value=-1)
    asked.ask("rows", start=0, stop=1)
    flow.remove("made")
    asked.ask("open")
    assert [error.code for error in asked.errors] == ["FB803", "FB803", "FB807", "FB808", "FB806"]
    assert {error.where for error in asked.errors} == {"flow 'f', node 'made'"}
    assert all(error.hint for error in asked.errors[1:])


def test_what_comes_after_a_grid_was_closed_holds_nothing(live: Live) -> None:
    asked = Asked(flow_of(live, TABLE))
    asked.ask("open")
    assert asked.tables.held_count == 1
    asked.ask("close")
    for what in ("rows", "cell", "stats"):
        asked.ask(what, stop=1)
    assert [answer["cid"] for answer in asked.told] == ["open", "rows", "cell", "stats"]
    assert asked.tables.held_count == 0


def test_a_grid_whose_node_lost_its_value_stays_open_and_holds_nothing(live: Live) -> None:
    flow = flow_of(live, TABLE)
    asked = Asked(flow)
    asked.ask("open")
    undo = flow.data.nodes["made"]
    flow.remove("made")
    asked.ask("open")
    assert ([error.code for error in asked.errors], asked.tables.held_count) == (["FB806"], 0)
    flow.add(undo.type_id, "made")
    flow.run_sync()
    asked.ask("rows", stop=1)
    assert asked.tables.held_count == 1, "nobody closed it"


def test_a_plan_that_cannot_be_described_is_looked_at_once(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = flow_of(live, TABLE)
    asked, looked = Asked(flow), list[object]()

    def look(value: object) -> Any:
        looked.append(value)
        return TableView(pl.LazyFrame({"a": [1]}).select("b") if len(looked) == 1 else value)

    monkeypatch.setattr(flow.engine.payloads, "view", look)
    for _ in range(3):
        asked.ask("open")
    assert [error.code for error in asked.errors] == ["FB808"] * 3
    assert len(looked) == 1
    assert asked.errors[0] is not asked.errors[1]
    flow.holder["value"] = TABLE.reverse()  # type: ignore[attr-defined]
    flow.run_sync()
    asked.ask("open")
    assert [answer["cid"] for answer in asked.told] == ["open"], "another value is looked at again"


def test_a_cell_at_hand_waits_for_no_slow_rows_and_one_to_be_sorted_does(live: Live) -> None:
    asked = Asked(flow_of(live, TABLE), is_threaded=True)
    goes_on = threading.Event()
    by_n = [{"column": "n", "isDescending": True}]
    asked.ask("open")
    asked.waits_for(1)
    asked.ask("rows", stop=1, sort=by_n)
    asked.waits_for(2)

    def be_slow() -> None:
        goes_on.wait(30)

    asked.tables._lanes["rows"].put(be_slow)
    asked.ask("cell", cid="sorted anew", sort=[{"column": "word"}])
    asked.ask("rows", cid="to be copied", stop=1000, isWhole=True)
    asked.ask("cell", cid="at hand")
    asked.ask("rows", cid="in a known order", stop=1, sort=by_n)
    asked.waits_for(4)
    assert [answer["cid"] for answer in asked.told[2:]] == ["at hand", "in a known order"]
    goes_on.set()
    asked.waits_for(6)
    assert [answer["cid"] for answer in asked.told[4:]] == ["sorted anew", "to be copied"]


def test_an_answer_says_that_only_the_first_rows_are_shown(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewports, "MOST_KEPT_ROWS", 500)
    asked = Asked(lazy_flow_of(live, TABLE.lazy().map_batches(lambda frame: frame.sample(fraction=1.0))))
    for what in ("open", "rows", "stats", "count"):
        asked.ask(what, stop=1)
    assert asked.errors == []
    assert [answer.get("note", "")[:24] for answer in asked.told] == ["", *["Only the first 500 rows "] * 3]


@pytest.mark.parametrize("end", ["close", "drop"])
def test_what_waits_for_a_grid_that_is_closed_is_left_undone_and_quick_things_do_not_wait(live: Live, end: str) -> None:
    flow = flow_of(live, TABLE)
    told: list[Any] = []
    came, goes_on, done = threading.Event(), threading.Event(), threading.Event()

    def deliver(_channel: Any, answer: Any) -> None:
        told.append(answer.message["cid"])
        came.set()

    def be_slow() -> None:
        goes_on.wait(30)

    tables = Tables(deliver, print, is_threaded=True)
    channel: Any = object()
    asked = {"node": "made", "value": None, "start": 0, "stop": 1}
    tables._lanes["rows"].put(be_slow)
    tables.ask(channel, flow, {**asked, "what": "open", "cid": "open"})
    assert came.wait(5), "opening waits for no slow plan"
    asked["value"] = shown_value(flow, "made")[0]  # type: ignore[index]
    came.clear()
    tables.ask(channel, flow, {**asked, "what": "rows", "cid": "rows"})
    assert came.wait(5), "neither do rows that are at hand"
    tables.ask(channel, flow, {**asked, "what": "rows", "cid": "late", "sort": [{"column": "n"}]})
    if end == "close":
        tables.ask(channel, flow, {**asked, "what": "close", "cid": "close"})
    else:
        tables.drop(channel)
    tables._lanes["rows"].put(done.set)
    goes_on.set()
    assert done.wait(30)
    assert (told, tables.held_count) == (["open", "rows"], 0)
