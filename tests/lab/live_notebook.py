"""What a person does with a live canvas, and what they see of the cell that holds its flow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from tests.lab.lab_page import OpenNotebook

_TRIES = 60
_PAUSE_MS = 100.0


def canvas_of(notebook: OpenNotebook, cell: int) -> Locator:
    """The canvas in a cell's output, once it is live."""
    canvas = notebook.cell(cell).locator('.fb-canvas[data-fb-connection="live"]')
    canvas.wait_for(timeout=20_000)
    return canvas


def card(notebook: OpenNotebook, cell: int, node: str) -> Locator:
    """A card of the canvas in a cell."""
    return notebook.cell(cell).locator(f'.react-flow__node[data-id="{node}"] .fb-card')


def drag(notebook: OpenNotebook, cell: int, node: str, by_x: float, by_y: float) -> None:
    """Drag a card by its header."""
    head = card(notebook, cell, node).locator(".fb-card-head")
    head.scroll_into_view_if_needed()
    box = head.bounding_box()
    assert box is not None
    mouse = notebook.page.mouse
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + by_x / 2, y + by_y / 2, steps=3)
    mouse.move(x + by_x, y + by_y, steps=3)
    mouse.up()


def cell_text(notebook: OpenNotebook, cell: int) -> str:
    """The text of a cell now."""
    text: str = notebook.evaluate(
        "async (panel, app, cell) => panel.content.model.cells.get(cell).sharedModel.getSource()", cell
    )
    return text


def wait_for_text(notebook: OpenNotebook, cell: int, holds: Callable[[str], bool]) -> str:
    """Wait until the text of a cell is as it should be, and rests so."""
    before = None
    for _ in range(_TRIES):
        text = cell_text(notebook, cell)
        if holds(text) and text == before:
            return text
        before = text
        notebook.page.wait_for_timeout(_PAUSE_MS)
    pytest.fail(f"the cell says something else:\n{before}")


def document_in(text: str) -> dict[str, Any]:
    """The document that a cell holds."""
    found: dict[str, Any] = json.loads(text.partition("\n")[2])
    return found
