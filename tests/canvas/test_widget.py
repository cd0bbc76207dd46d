"""The canvas as a widget: small traits, the same messages, and nothing left when it is closed."""

from __future__ import annotations

import gc
import json
import weakref
from typing import TYPE_CHECKING, Any

import comm
import ipyreact
import ipywidgets
import pytest
import traitlets

from flowbook.canvas import widget as widgets
from flowbook.canvas.protocol import CANVAS_MIME
from flowbook.errors import CanvasError
from flowbook.session import Flow, session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.canvas.live_kit import Live

PROGRAM = "export default function Canvas() { return null } // flowbook's browser part"
VIEW_MIME = "application/vnd.jupyter.widget-view+json"


class Wire(comm.base_comm.BaseComm):
    """A comm that keeps what goes to the browser."""

    sent: list[tuple[str, Any]]
    opened: dict[str, Wire] = {}  # noqa: RUF012 -- emptied by the fixture

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
    ) -> None:
        self.__dict__.setdefault("sent", []).append((msg_type, data))
        if msg_type == "comm_open":
            Wire.opened[self.comm_id] = self

    @property
    def told(self) -> list[dict[str, Any]]:
        """Messages of ours that it carried."""
        contents = [data["content"] for kind, data in self.sent if kind == "comm_msg" and data["method"] == "custom"]
        return [content["flowbook"] for content in contents if "flowbook" in content]

    def hear(self, message: Any) -> None:
        """Something comes from the browser, as ipyreact sends it."""
        content = {"event_name": "canvas", "data": message}
        self.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})


@pytest.fixture
def wires(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, Wire]]:
    """Widgets whose comms are kept, and a built browser part."""
    built = tmp_path / "canvas.js"
    built.write_text(PROGRAM, encoding="utf-8")
    monkeypatch.setattr(widgets, "MODULE_FILE", built)
    monkeypatch.setattr(comm, "create_comm", Wire)
    manager = comm.base_comm.CommManager()
    monkeypatch.setattr(comm, "get_comm_manager", lambda: manager)
    monkeypatch.setattr(ipyreact.module, "_module_widgets", {})
    Wire.opened = {}
    earlier = set(widgets_there())
    yield Wire.opened
    for model_id, widget in widgets_there().items():
        if model_id not in earlier:
            widget.close()
    Wire.opened = {}


def widgets_there() -> dict[str, Any]:
    """All widgets that ipywidgets knows."""
    return dict(ipywidgets.widgets.widget._instances)


def made(live: Live, name: str = "f") -> Flow:
    flow = live.flow(name)

    @flow.node
    def delays(min_minutes: int = 15) -> int:
        return min_minutes

    return flow


def wire_of(widget: Any, wires: dict[str, Wire]) -> Wire:
    return wires[widget.comm.comm_id]


def test_a_canvas_is_made_of_few_small_traits(live: Live, wires: dict[str, Wire]) -> None:
    flow = made(live)
    canvas = flow.canvas(height=300)
    assert (canvas.flow_name, canvas.height, canvas.selected) == ("f", 300, None)
    state = canvas.get_state()
    assert (state["_module"], state["_type"], state["_dependencies"]) == (widgets.MODULE, None, [widgets.MODULE])
    assert state["_event_names"] == ["canvas"]
    assert state["props"] == {"bridge": f"IPY_MODEL_{canvas.layout.model_id}"}
    assert [card["id"] for card in state["snapshot"]["nodes"]] == ["delays"]
    assert len(json.dumps(state)) < 8_000
    with pytest.raises(traitlets.TraitError):
        canvas.flow_name = "other"
    with pytest.raises(traitlets.TraitError):
        canvas.height = 3


def test_a_canvas_is_the_canvas_from_its_first_message_on(live: Live, wires: dict[str, Wire]) -> None:
    """A view that is being drawn hears of no change, so nothing that it is drawn from may follow."""
    canvas = made(live).canvas(height=300)
    wire = wire_of(canvas, wires)
    kind, opened = wire.sent[0]
    assert kind == "comm_open"
    assert opened["state"] == canvas.get_state()
    canvas._repr_mimebundle_()
    assert [sorted(data["state"]) for _, data in wire.sent[1:]] == [["snapshot"]]


def test_without_anybody_to_see_it_a_canvas_is_a_drawing_and_no_program_is_sent(
    live: Live, wires: dict[str, Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(widgets, "_is_headless", lambda: True)
    flow = made(live)
    canvas = flow.canvas()
    flow.add("value", "v")
    canvas._repr_mimebundle_()
    state = canvas.get_state()
    assert (state["_module"], state["_type"], state["snapshot"]) == (None, "iframe", {})
    assert ">v<" in state["props"]["srcDoc"], "as it stands now"
    assert state["props"]["title"].startswith("Flow f: 2 nodes")
    assert PROGRAM not in json.dumps([wire.sent for wire in wires.values()])
    monkeypatch.setattr(widgets, "_is_headless", lambda: False)
    canvas._repr_mimebundle_()
    assert canvas.get_state()["_module"] == widgets.MODULE, "now somebody is there"
    assert PROGRAM in json.dumps([wire.sent for wire in wires.values()])


def test_no_trait_of_a_canvas_holds_a_program_and_the_module_is_defined_once(
    live: Live, wires: dict[str, Wire]
) -> None:
    flow = made(live)
    canvases = [flow.canvas() for _ in range(3)]
    for canvas in canvases:
        assert PROGRAM not in json.dumps(wire_of(canvas, wires).sent)
        assert canvas.get_state()["_esm"] == ""
    carrying = [wire for wire in wires.values() if PROGRAM in json.dumps(wire.sent)]
    assert len(carrying) == 1
    assert carrying[0].sent[0][1]["state"]["_model_name"] == "Module"


def test_a_large_flow_has_a_small_snapshot(live: Live, wires: dict[str, Wire]) -> None:
    flow = live.flow()
    for number in range(400):
        flow.add("value", f"v{number}", value="x" * 1000)
    canvas = flow.canvas()
    assert len(json.dumps(canvas.snapshot, ensure_ascii=False)) <= widgets.MAX_SNAPSHOT_BYTES * 1.1


def test_a_canvas_speaks_the_same_messages_as_a_page(live: Live, wires: dict[str, Wire]) -> None:
    flow = made(live)
    canvas = flow.canvas()
    wire = wire_of(canvas, wires)
    wire.hear({"kind": "hello", "protocol": 1})
    wire.hear({"kind": "subscribe", "flow": "f"})
    live.settle()
    hello, batch = wire.told
    assert (hello["flows"], hello["current"]) == (["f"], "f")
    assert [card["id"] for card in batch["canvas"]["nodes"]] == ["delays"]
    wire.hear({"kind": "set", "flow": "f", "cid": "1", "node": "delays", "name": "min_minutes", "value": 60})
    wire.hear({"kind": "edit", "flow": "f", "cid": "2", "ops": [{"op": "move", "node": "delays", "x": 5, "y": 6}]})
    wire.hear("nonsense")
    live.settle()
    assert flow["delays"].settings["min_minutes"] == 60
    assert [message["kind"] for message in wire.told[2:]] == ["ack", "ack", "reject", "batch"]
    assert not any(message["kind"] == "lease" for message in wire.told), "it cannot write cells"


def test_a_canvas_shows_its_own_flow_whatever_others_are_called(live: Live, wires: dict[str, Wire]) -> None:
    named, nameless = made(live), Flow("f")
    nameless.add("value", "v")
    canvas = nameless.canvas()
    wire = wire_of(canvas, wires)
    wire.hear({"kind": "subscribe", "flow": "f"})
    live.settle()
    assert [card["id"] for card in wire.told[0]["canvas"]["nodes"]] == ["v"]
    wire.hear({"kind": "run", "flow": "other", "cid": "1"})
    live.settle()
    assert wire.told[-1]["code"] == "FB802"
    assert CANVAS_MIME not in canvas._repr_mimebundle_()[0], "JupyterLab would look for the name"
    assert CANVAS_MIME in named.canvas()._repr_mimebundle_()[0]


def test_a_canvas_is_displayed_with_what_others_can_show(live: Live, wires: dict[str, Wire]) -> None:
    flow = made(live)
    canvas = flow.canvas()
    flow.add("value", "v")
    data, _ = canvas._repr_mimebundle_()
    assert set(data) == {VIEW_MIME, CANVAS_MIME, "text/html", "image/svg+xml", "text/plain"}
    assert [card["id"] for card in data[CANVAS_MIME]["nodes"]] == ["delays", "v"], "as it stands now"
    assert "delays" in data["text/html"]
    assert "<script" not in data["text/html"]
    flow.add("value", "w")
    canvas._repr_mimebundle_()
    assert [card["id"] for card in canvas.snapshot["nodes"]] == ["delays", "v", "w"]


def test_a_canvas_fits_into_a_box_and_is_linked_like_any_widget(live: Live, wires: dict[str, Wire]) -> None:
    flow = made(live)
    canvas = flow.canvas()
    slider = ipywidgets.IntSlider(max=120)
    picked = ipywidgets.Text()
    box = ipywidgets.VBox([canvas, slider, picked])
    assert box.get_state()["children"][0] == f"IPY_MODEL_{canvas.model_id}"
    traitlets.link((slider, "value"), (flow["delays"].traits(), "min_minutes"))
    wire = wire_of(canvas, wires)
    wire.hear({"kind": "set", "flow": "f", "cid": "1", "node": "delays", "name": "min_minutes", "value": 45})
    live.settle()
    assert slider.value == 45
    slider.value = 90
    assert flow["delays"].settings["min_minutes"] == 90
    traitlets.dlink((canvas, "selected"), (picked, "value"), lambda node_id: node_id or "")
    canvas.selected = "delays"
    assert picked.value == "delays"


def test_a_closed_canvas_leaves_nothing_behind(live: Live, wires: dict[str, Wire]) -> None:
    flow = made(live)
    first = flow.canvas()
    there = set(widgets_there())
    gone: list[weakref.ref[Any]] = []
    for _ in range(20):
        canvas = flow.canvas()
        wire = wire_of(canvas, wires)
        wire.hear({"kind": "subscribe", "flow": "f"})
        live.settle()
        canvas.close()
        canvas.close()  # twice is once
        live.settle()
        assert [kind for kind, _ in wire.sent][-1] == "comm_close"
        told = len(wire.sent)
        flow.move("delays", len(gone), 0)
        live.settle()
        assert len(wire.sent) == told
        gone.append(weakref.ref(canvas))
        del canvas, wire
    wires.clear()
    gc.collect()
    assert [canvas() for canvas in gone] == [None] * 20
    assert set(widgets_there()) == there
    assert (live.hub.channel_count, live.hub.watched_count) == (0, 0)
    assert first.comm is not None
    assert session.find_flow("f") is flow


def test_a_canvas_that_nobody_looks_at_any_more_is_told_nothing_until_somebody_does(
    live: Live, wires: dict[str, Wire]
) -> None:
    """A cell that is run again makes a new canvas; the old one is still there, for the kernel."""
    flow = made(live)
    canvas = flow.canvas()
    wire = wire_of(canvas, wires)
    wire.hear({"kind": "hello", "protocol": 1, "pong": True})
    wire.hear({"kind": "subscribe", "flow": "f"})
    wire.hear({"kind": "unsubscribe", "flow": "f"})
    live.settle()
    assert live.hub.watched_count == 1, "other views of the same widget may be open"
    for step in range(8):
        flow.move("delays", step, 0)
        live.settle()
        live.clock.advance(20)
    assert live.hub.watched_count == 0
    wire.hear({"kind": "subscribe", "flow": "f"})  # the page is opened again
    live.settle()
    assert "canvas" in wire.told[-1]


def test_without_the_browser_part_a_canvas_says_how_to_build_it(
    live: Live, wires: dict[str, Wire], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    flow = made(live)
    monkeypatch.setattr(widgets, "MODULE_FILE", tmp_path / "nothing.js")
    with pytest.raises(CanvasError, match=r"FB805.*not built") as caught:
        flow.canvas()
    assert "npm run build" in caught.value.hint
    assert live.hub.channel_count == 0
