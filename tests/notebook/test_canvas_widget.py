"""``flow.canvas()`` in a real kernel, spoken to as ipyreact's front end does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.notebook.kernel_driver import CANVAS_MIME

if TYPE_CHECKING:
    from pathlib import Path

    from tests.notebook.kernel_driver import Cell, Notebook

VIEW_MIME = "application/vnd.jupyter.widget-view+json"
PROGRAM = "export default () => null // the browser part"


@pytest.fixture
def built(notebook: Notebook, tmp_path: Path) -> None:
    """A browser part, as a build leaves it."""
    path = tmp_path / "canvas.js"
    path.write_text(PROGRAM, encoding="utf-8")
    notebook.cell(f"""
        import pathlib, flowbook as fb, flowbook.canvas.widget as widgets
        widgets.MODULE_FILE = pathlib.Path({str(path)!r})
        flow = fb.flow({notebook.flow!r})
        @flow.node
        def delays(min_minutes: int = 15) -> int:
            return min_minutes
    """)


def model_of(cell: Cell) -> str:
    (view,) = cell.bundles(VIEW_MIME)
    return str(view["model_id"])


def say(notebook: Notebook, model: str, message: dict[str, Any]) -> None:
    data = {"method": "custom", "content": {"event_name": "canvas", "data": message}}
    client = notebook.client
    client.shell_channel.send(client.session.msg("comm_msg", {"comm_id": model, "data": data}))


def told(notebook: Notebook, model: str) -> list[dict[str, Any]]:
    contents = [
        message["content"]["data"].get("content", {})
        for message in notebook.messages
        if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == model
    ]
    return [content["flowbook"] for content in contents if "flowbook" in content]


def test_a_canvas_is_shown_told_and_listened_to(notebook: Notebook, built: None) -> None:
    cell = notebook.cell("canvas = flow.canvas(height=300)\ncanvas")
    (output,) = cell.outputs
    assert set(output.data) == {VIEW_MIME, CANVAS_MIME, "text/html", "image/svg+xml", "text/plain"}
    assert PROGRAM not in json.dumps(output.data)
    model = model_of(cell)
    say(notebook, model, {"kind": "subscribe", "flow": notebook.flow})
    say(notebook, model, {"kind": "run", "flow": notebook.flow, "cid": "1"})
    notebook.until(
        lambda: any(
            (card["status"], card["stamp"]) == ("ok", "live")
            for message in told(notebook, model)
            for card in message.get("cards", [])
        )
    )
    notebook.cell("flow.set('delays', min_minutes=60)")
    notebook.until(
        lambda: "stale" in {card["stamp"] for each in told(notebook, model) for card in each.get("cards", [])}
    )
    notebook.cell("canvas.close()")
    closings = [message["content"]["comm_id"] for message in notebook.messages if message["msg_type"] == "comm_close"]
    assert model in closings
    notebook.is_true("__import__('flowbook.session').session.session.hub.channel_count == 0")


def test_a_canvas_stands_in_a_box_beside_a_linked_slider(notebook: Notebook, built: None) -> None:
    cell = notebook.cell("""
        import ipywidgets, traitlets
        canvas, slider = flow.canvas(), ipywidgets.IntSlider(max=120)
        traitlets.link((slider, "value"), (flow["delays"].traits(), "min_minutes"))
        box = ipywidgets.VBox([canvas, slider])
        box
    """)
    model = notebook.ask("canvas.model_id")
    assert model != model_of(cell)
    message = {"flow": notebook.flow, "cid": "1", "node": "delays", "name": "min_minutes", "value": 45}
    say(notebook, model, {"kind": "set", **message})
    notebook.is_true("slider.value == 45")
    notebook.cell("box.close(); canvas.close(); slider.close()")


def test_a_canvas_cannot_be_shown_without_its_browser_part(notebook: Notebook, built: None) -> None:
    notebook.cell("""
        import ipyreact.module
        ipyreact.module._module_widgets.pop(widgets.MODULE, None)
        widgets.MODULE_FILE = widgets.MODULE_FILE.with_name("nothing.js")
    """)
    cell = notebook.cell("flow.canvas()", fails=True)
    assert "FB805" in cell.error
    assert "npm run build" in cell.error
    assert "widget.py" not in cell.error, "none of flowbook's own frames"
