"""What is edited ends up in the text of the ``%%flow`` cell, what is typed there is not lost, one browser writes."""

from __future__ import annotations

import contextlib
import json
import random
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from flowbook.canvas.control import Hub
from flowbook.errors import DocumentError, FlowbookError
from flowbook.notebook.cell_book import Cell
from flowbook.notebook.flow_cells import FlowCells
from flowbook.notebook.live_host import LiveHost
from flowbook.session import Flow, session
from tests.canvas.live_kit import Browser, VirtualClock

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class StandIn:
    """As much of the presenter as cells need."""

    cell: Cell | None = None
    current_flow: str = "main"
    deleted: set[str] = field(default_factory=set)

    def show_flow(self, flow: Flow, note: Any) -> None:
        self.note = note()

    def changed(self, flow: Flow) -> None:
        pass

    def node_output(self, flow: Flow, node_id: str) -> None:
        return None

    canvas_bundle = trace_bundle = shown_run = lambda self, _of: None


class Tab(Browser):
    """A page with a copy of the notebook: writes when it holds the lease and nobody typed in between."""

    def __init__(self, hub: Hub, notebook: list[str]) -> None:
        self.notebook = notebook
        self.writes = 0
        self.is_blocked = False
        super().__init__(hub, can_write=True)

    @property
    def text(self) -> str:
        """The document in the cell: all but its first line."""
        return self.notebook[0].partition("\n")[2]

    def write_if_due(self) -> None:
        shown = self.shown.get("f")
        if not shown or not self.holds.get("f") or not shown["cell"]["due"]:
            return
        self.is_blocked = self.text.rstrip() != shown["cell"]["text"]
        if self.is_blocked:
            return  # the bar: use canvas, or use text
        self.write(shown["document"])

    def write(self, document: str) -> None:
        self.notebook[0] = f"%%flow f\n{document}"
        self.writes += 1
        self.say("wrote", flow="f", text=document)


class Setup:
    """A kernel's hub and cells with one flow; tabs as they are opened. ``notebook`` is what all tabs share."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.hub = Hub(session, clock=self.clock, is_threaded=False)
        self.presenter = StandIn()
        self.cells = FlowCells(self.presenter)  # type: ignore[arg-type]
        self.hub.host = LiveHost(self.presenter, self.cells)  # type: ignore[arg-type]
        self.notebook = ["%%flow f\n"]
        self.tabs: list[Tab] = []

    @property
    def flow(self) -> Flow:
        found = session.find_flow("f")
        assert found is not None
        return found

    def open_tab(self, notebook: list[str] | None = None) -> Tab:
        tab = Tab(self.hub, self.notebook if notebook is None else notebook)
        tab.say("hello", protocol=1)
        tab.say("subscribe", flow="f")
        self.tabs.append(tab)
        self.settle()
        return tab

    def settle(self, seconds: float = 1.0) -> None:
        end = self.clock.now_s + seconds
        while True:
            pause_s = self.hub.turn()
            for tab in self.tabs:
                tab.write_if_due()
            if pause_s is None and not self.hub._inbox:
                return
            if self.clock.now_s + (pause_s or 0) > end:
                return
            self.clock.advance(max(pause_s or 0, 1e-6))

    def run_cell(self, notebook: list[str] | None = None, cell_id: str = "cell-1") -> None:
        text = (notebook or self.notebook)[0]
        self.presenter.cell = Cell(cell_id=cell_id, execution_count=1, text=text)
        self.cells.run("f", text.partition("\n")[2])
        self.presenter.cell = None
        self.hub.cell_ended()
        self.settle()

    def define(self, *names: str) -> None:
        """Run cells that define nodes, each with a setting ``k``."""
        for name in names:
            space: dict[str, Any] = {}
            exec(f"def {name}(k: int = 1) -> int:\n    return k", space)  # noqa: S102 -- names are what differs
            self.flow.node(space[name])
        self.hub.cell_ended()
        self.settle()

    def in_text(self, notebook: list[str] | None = None) -> dict[str, Any]:
        body = (notebook or self.notebook)[0].partition("\n")[2]
        return dict(json.loads(body)) if body.strip() else {}


@pytest.fixture
def setup(monkeypatch: pytest.MonkeyPatch) -> Iterator[Setup]:
    monkeypatch.setattr(session, "flows", {})
    setup = Setup()
    monkeypatch.setattr(session, "hub", setup.hub)
    monkeypatch.setattr(session, "presenter", SimpleNamespace(**dict.fromkeys(
        ("made", "run_started", "event", "defining", "defined", "renamed", "changed", "settle"), lambda *_, **__: None
    )))  # fmt: skip
    yield setup
    for flow in session.flows.values():
        flow.cancel()


def move(tab: Tab, node: str, x: int) -> dict[str, Any]:
    return tab.ask("edit", flow="f", ops=[{"op": "move", "node": node, "x": x, "y": 0}])


# -- what is due, and what the text should be


def test_running_cells_changes_no_text_an_edit_does(setup: Setup) -> None:
    setup.run_cell()
    tab = setup.open_tab()
    setup.define("a", "b")
    assert tab.state("f")["cell"] == {"id": "cell-1", "text": "", "due": False}
    assert tab.writes == 0
    move(tab, "a", 40)
    setup.settle()
    assert tab.writes == 1
    assert setup.in_text()["nodes"] == [{"id": "a", "typeId": "a", "position": {"x": 40, "y": 0}}], (
        "b says it all itself"
    )
    assert tab.state("f")["cell"]["due"] is False
    setup.define("c")
    assert tab.writes == 1


def test_moving_one_node_of_twenty_changes_one_line(setup: Setup) -> None:
    names = [f"n{number}" for number in range(20)]
    setup.run_cell()
    setup.define(*names)
    tab = setup.open_tab()
    tab.ask("edit", flow="f", ops=[{"op": "move", "node": name, "x": 10, "y": 10} for name in names])
    setup.settle()
    before = setup.notebook[0].splitlines()
    move(tab, "n7", 99)
    setup.settle()
    after = setup.notebook[0].splitlines()
    assert len(before) == len(after)
    assert [line for line, now in zip(before, after, strict=True) if line != now] == [
        '  {"id": "n7", "typeId": "n7", "position": {"x": 10, "y": 10}},'
    ]


def test_an_edge_between_nodes_names_both_in_the_text(setup: Setup) -> None:
    setup.run_cell()
    setup.define("a", "b", "c")
    tab = setup.open_tab()
    tab.ask("edit", flow="f", ops=[{"op": "connect", "source": "a", "target": "b", "targetPort": "k"}])
    setup.settle()
    assert [node["id"] for node in setup.in_text()["nodes"]] == ["a", "b"]


def test_an_edit_from_python_is_written_by_the_holder_of_the_lease(setup: Setup) -> None:
    setup.run_cell()
    setup.define("a")
    first, second = setup.open_tab(), setup.open_tab()
    setup.flow.set("a", k=5)
    setup.settle()
    assert (first.writes, second.writes) == (1, 0)
    move(second, "a", 3)
    setup.settle()
    assert (first.writes, second.writes) == (1, 1)
    setup.flow.set("a", k=6)
    setup.settle()
    assert (first.writes, second.writes) == (1, 2), "the one that a person works in"
    assert setup.in_text()["nodes"][0]["settings"] == {"k": 6}


def test_a_text_that_was_written_is_no_foreign_change_when_the_cell_is_run(setup: Setup) -> None:
    setup.run_cell()
    setup.define("a")
    tab = setup.open_tab()
    move(tab, "a", 40)
    setup.settle()
    setup.flow.set("a", k=5)  # not written yet
    setup.run_cell()
    assert setup.flow["a"].settings["k"] == 5, "text as written, flow edited since: the edit stays"
    setup.settle()
    assert setup.in_text()["nodes"][0]["settings"] == {"k": 5}, "and is written"
    assert tab.state("f")["cell"]["due"] is False


def test_a_batch_of_edits_overtaken_by_others_is_written_in_the_end(setup: Setup) -> None:
    setup.run_cell()
    setup.define("a")
    tab = setup.open_tab()
    tab.shown["f"]["cell"] = {"id": None, "text": None, "due": False}
    move(tab, "a", 1)
    setup.hub.turn()
    old = setup.cells.document(setup.flow)
    setup.flow.set("a", k=9)
    tab.write(old)  # written before the browser heard of k
    setup.settle()
    assert setup.in_text()["nodes"][0]["settings"] == {"k": 9}
    assert tab.writes == 2


def test_undo_in_the_cell_takes_the_edit_back(setup: Setup) -> None:
    setup.run_cell()
    setup.define("a")
    tab = setup.open_tab()
    move(tab, "a", 1)
    setup.settle()
    earlier = setup.notebook[0]
    move(tab, "a", 2)
    setup.settle()
    setup.notebook[0] = earlier  # the editor's own undo
    tab.ask("edit", flow="f", ops=[{"op": "document", "text": tab.text}])
    setup.settle()
    assert setup.flow.data.nodes["a"].position == (1, 0)
    assert (setup.notebook[0], tab.writes) == (earlier, 2)
    setup.notebook[0] = "%%flow f\n"  # undone altogether
    tab.ask("edit", flow="f", ops=[{"op": "document", "text": tab.text}])
    setup.settle()
    assert "position" not in setup.cells.document(setup.flow)
    assert tab.state("f")["cell"] == {"id": "cell-1", "text": "", "due": False}


# -- typing in the cell


def test_nothing_is_written_over_text_the_kernel_has_not_seen(setup: Setup) -> None:
    setup.run_cell()
    setup.define("a")
    tab = setup.open_tab()
    move(tab, "a", 1)
    setup.settle()
    typed = setup.notebook[0] = setup.notebook[0].replace('"x": 1', '"x": 77')
    setup.flow.set("a", k=5)
    setup.settle()
    assert tab.is_blocked
    assert setup.notebook[0] == typed
    setup.run_cell()  # what was typed meets what was edited
    assert setup.flow.data.nodes["a"].position == (77, 0)
    assert setup.in_text()["nodes"] == [{"id": "a", "settings": {"k": 5}, "typeId": "a", "position": {"x": 77, "y": 0}}]
    assert not tab.is_blocked


def test_use_text_and_use_canvas_settle_a_clash(setup: Setup) -> None:
    setup.run_cell()
    setup.define("a")
    tab = setup.open_tab()
    move(tab, "a", 1)
    setup.settle()
    for choice, typed, expected in (("text", 77, 77), ("canvas", 88, 2)):
        position = setup.flow.data.nodes["a"].position
        assert position is not None
        setup.notebook[0] = setup.notebook[0].replace(f'"x": {position[0]}', f'"x": {typed}')
        setup.flow.move("a", 2, 0)
        setup.settle()
        assert tab.is_blocked
        with pytest.raises(DocumentError, match="FB307"):
            setup.run_cell()
        if choice == "text":
            tab.ask("edit", flow="f", ops=[{"op": "document", "text": tab.text}])
        else:
            tab.write(tab.state("f")["document"])
        setup.settle()
        assert setup.flow.data.nodes["a"].position == (expected, 0)
        assert setup.in_text()["nodes"][0]["position"]["x"] == expected
        assert tab.state("f")["cell"]["due"] is False


def test_what_was_written_and_is_no_document_is_refused(setup: Setup) -> None:
    setup.run_cell()
    tab = setup.open_tab()
    tab.say("wrote", flow="f", text="{", cid="w")
    setup.settle()
    (refusal,) = [message for message in tab.told() if message["kind"] == "reject"]
    assert (refusal["code"], refusal["cid"]) == ("FB301", "w")
    assert tab.state("f")["cell"]["text"] == ""


# -- cells that are not there


def test_a_flow_of_code_is_kept_in_the_notebook_when_asked(setup: Setup) -> None:
    session.flows["f"] = flow = Flow("f")
    flow.add("value", "v")
    tab = setup.open_tab()
    flow.set("v", value=3)
    setup.settle()
    assert tab.state("f")["cell"] == {"id": None, "text": None, "due": False}, "not in the notebook: nothing is due"
    assert tab.writes == 0
    setup.notebook[0] = f"%%flow f\n{tab.state('f')['document']}"  # Keep in notebook
    tab.say("wrote", flow="f", text=tab.text, cellId="new-cell")
    setup.settle()
    assert tab.state("f")["cell"] == {"id": "new-cell", "text": tab.text, "due": False}
    flow.set("v", value=4)
    setup.settle()
    assert (tab.writes, setup.in_text()["nodes"][0]["settings"]) == (1, {"value": 4})
    setup.run_cell(cell_id="new-cell")
    assert flow.data.nodes["v"].settings == {"value": 4}


def test_a_copy_that_is_run_is_the_cell_from_then_on(setup: Setup) -> None:
    setup.run_cell()
    tab = setup.open_tab()
    setup.run_cell(cell_id="copy")
    assert tab.state("f")["cell"]["id"] == "copy"
    assert "Several cells hold this flow" in setup.presenter.note


def test_two_tabs_without_a_shared_document_lose_nothing(setup: Setup) -> None:
    """Without real-time collaboration every tab has its own copy; the one that is behind may not write."""
    setup.run_cell()
    setup.define("a")
    other = list(setup.notebook)
    here, there = setup.open_tab(), setup.open_tab(other)
    move(here, "a", 1)
    setup.settle()
    assert setup.in_text()["nodes"][0]["position"]["x"] == 1
    move(there, "a", 2)
    setup.settle(1)
    assert there.is_blocked, "its cell has a text that is older than what the kernel has seen"
    assert other == ["%%flow f\n"]
    setup.settle(10)
    assert setup.in_text()["nodes"][0]["position"]["x"] == 2, "the lease went back to the one that can write"


def test_a_notebook_that_is_opened_in_a_new_kernel_has_the_same_flow(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup.run_cell()
    setup.define("a", "b")
    tab = setup.open_tab()
    tab.ask("edit", flow="f", ops=[
        {"op": "move", "node": "a", "x": 5, "y": 6},
        {"op": "connect", "source": "a", "target": "b", "targetPort": "k"},
        {"op": "add", "typeId": "value", "node": "v", "x": 1, "y": 1, "settings": {"value": [1, 2]}},
        {"op": "policy", "node": "b", "policy": {"timeoutS": 5}},
    ])  # fmt: skip
    setup.settle()
    document = setup.flow.document()
    session.flows.clear()
    setup = Setup()  # another kernel
    setup.notebook = tab.notebook
    monkeypatch.setattr(session, "hub", setup.hub)
    setup.run_cell()
    assert {node["id"] for node in setup.flow.document()["nodes"]} == {"a", "b", "v"}
    setup.define("a", "b")
    assert setup.flow.document() == document


# -- everything at once


@dataclass
class Chaos:
    """People, tabs and cells that do whatever comes to their mind.

    Args:
        setup: kernel, notebook and tabs.
        seed: of what comes to their mind.
    """

    setup: Setup
    seed: int
    history: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311 -- no secret
        self.step = 0

    def go(self) -> None:
        """Do one thing, and perhaps wait until it is settled."""
        self.step += 1
        self.history.append(self.setup.notebook[0])
        act = self.chance.choice(
            [self.draw] * 6
            + [self.code] * 2
            + [self.run_cell, self.undo, self.type_in, self.define, self.open_tab, self.close_tab, self.run]
        )
        act(self.chance.choice(self.setup.tabs))
        if self.chance.random() < 0.5:
            self.setup.settle()

    def draw(self, tab: Tab) -> None:
        tab.say("edit", flow="f", cid="c", ops=[self.operation(list(self.setup.flow))])

    def code(self, _tab: Tab) -> None:
        with contextlib.suppress(FlowbookError):
            self.setup.flow.set(self.chance.choice(list(self.setup.flow)), k=self.step % 7)

    def run_cell(self, _tab: Tab) -> None:
        self.setup.settle()
        self.setup.run_cell()

    def undo(self, tab: Tab) -> None:
        self.setup.settle()
        self.setup.notebook[0] = self.history[max(0, len(self.history) - 4)]
        tab.ask("edit", flow="f", ops=[{"op": "document", "text": tab.text}])

    def type_in(self, tab: Tab) -> None:
        self.setup.settle()
        typed = json.loads(tab.text or "{}")
        typed["version"] = str(self.step)
        self.setup.notebook[0] = "%%flow f\n" + json.dumps(typed)
        if self.chance.random() < 0.5:
            tab.say("edit", flow="f", cid="c", ops=[self.operation(["a"])])
            self.setup.settle(0.1)
            assert f'"version": "{self.step}"' in self.setup.notebook[0], "what is typed is never overwritten"
        self.setup.run_cell()
        assert self.setup.flow.data.version == str(self.step)

    def define(self, _tab: Tab) -> None:
        self.setup.define(self.chance.choice("abcd"))

    def open_tab(self, _tab: Tab) -> None:
        if len(self.setup.tabs) < 3:
            self.setup.open_tab()

    def close_tab(self, tab: Tab) -> None:
        if len(self.setup.tabs) > 1:
            self.setup.tabs.remove(tab)
            tab.channel.close()

    def run(self, _tab: Tab) -> None:
        self.setup.flow.run_sync(raise_errors=False)

    def operation(self, nodes: list[str]) -> dict[str, Any]:
        return random_operation(self.chance, nodes, self.step)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_done_in_whatever_order_text_flow_and_canvas_agree_in_the_end(setup: Setup, seed: int) -> None:
    setup.run_cell()
    setup.define("a", "b", "c")
    setup.open_tab()
    chaos = Chaos(setup, seed)
    for _ in range(300):
        chaos.go()
    setup.settle(30)
    for tab in setup.tabs:
        shown = tab.state("f")
        assert not tab.has_gap
        assert not tab.is_blocked
        assert shown["cell"]["due"] is False
        assert tab.text.rstrip() == shown["cell"]["text"]
        assert set(shown["cards"]) == set(setup.flow)
    assert sum(tab.holds["f"] for tab in setup.tabs) == 1
    before = setup.flow.document()
    setup.run_cell()
    assert setup.flow.document() == before, "the text says what the flow is"


def random_operation(chance: random.Random, nodes: list[str], step: int) -> dict[str, Any]:
    node, other = chance.choice(nodes), chance.choice(nodes)
    return chance.choice(
        [
            {"op": "move", "node": node, "x": step, "y": step},
            {"op": "connect", "source": node, "target": other, "targetPort": "k"},
            {"op": "disconnect", "source": node, "target": other, "targetPort": "k"},
            {"op": "add", "typeId": "value", "node": f"v{step % 5}", "x": step, "y": 0},
            {"op": "set", "node": node, "name": "k", "value": step % 5},
            {"op": "remove", "node": f"v{step % 5}"},
            {"op": "policy", "node": node, "policy": {"muted": chance.random() < 0.3}},
            {"op": "rename", "node": f"v{step % 5}", "to": f"v{(step + 1) % 5}"},
        ]
    )


def test_a_node_that_has_its_name_from_its_code_is_not_renamed_where_a_cell_holds_the_flow(setup: Setup) -> None:
    session.flows["f"] = Flow("f")
    setup.define("a", "b")
    tab = setup.open_tab()
    rename = {"op": "rename", "node": "a", "to": "c"}
    tab.ask("edit", flow="f", ops=[rename])
    tab.ask("edit", flow="f", ops=[{**rename, "node": "c", "to": "a", "namesFollow": False}])
    assert list(setup.flow) == ["a", "b"], "no cell says otherwise, and undo takes it back"
    setup.run_cell()
    answer = tab.ask("edit", flow="f", ops=[rename])
    assert (answer["kind"], answer["code"], list(setup.flow)) == ("reject", "FB810", ["a", "b"])
    assert "its cell" in answer["hint"]
    tab.ask("edit", flow="f", ops=[{"op": "add", "typeId": "value", "node": "v"}])
    assert tab.ask("edit", flow="f", ops=[{"op": "rename", "node": "v", "to": "w"}])["kind"] == "ack"
    assert "w" in setup.flow
