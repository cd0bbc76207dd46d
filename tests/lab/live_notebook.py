"""What a person does with a live canvas, and what they see of the cell that holds its flow."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from tests.lab.lab_page import OpenNotebook

_TRIES = 600
_PAUSE_MS = 100.0
#: How often in a row nothing may have happened, so that nothing is on its way: the browser waits before it writes.
_QUIET = 4

#: Whether everything was answered, and everything that is to be told was; ``_`` counts what was said.
_AT_REST = """
(lambda hub: (not hub._inbox and all(watched.due_at() == float('inf') for watched in hub._watched.values()),
              sum(each.seq for watched in hub._watched.values() for each in watched._subscriptions.values())))(
    __import__('flowbook.session', fromlist=['session']).session.hub)
"""


def canvas_of(notebook: OpenNotebook, cell: int) -> Locator:
    """The canvas in a cell's output, once it is live."""
    canvas = notebook.cell(cell).locator('.fb-canvas[data-fb-connection="live"]')
    canvas.wait_for()
    return canvas


def card(notebook: OpenNotebook, cell: int, node: str) -> Locator:
    """A card of the canvas in a cell."""
    return notebook.cell(cell).locator(f'.react-flow__node[data-id="{node}"] .fb-card')


def port(notebook: OpenNotebook, cell: int, node: str, side: str, name: str) -> Locator:
    """The handle of a port; ``side`` is in or out."""
    return notebook.cell(cell).locator(f'.fb-handle[data-nodeid="{node}"][data-handleid="{side}:{name}"]')


def edge(notebook: OpenNotebook, cell: int, source: str, target: str) -> Locator:
    """An edge of the canvas in a cell."""
    named = notebook.page.locator("title", has_text=f"{source} → {target} ")
    return notebook.cell(cell).locator(".react-flow__edge", has=named)


def strip(notebook: OpenNotebook, cell: int) -> Locator:
    """The strip above the value in a node's cell."""
    return notebook.cell(cell).locator(".fb-strip")


def middle(place: Locator) -> tuple[float, float]:
    """The middle of an element, in pixels of the window."""
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(notebook: OpenNotebook, cell: int, node: str, by_x: float, by_y: float) -> None:
    """Drag a card by its header."""
    mouse = notebook.page.mouse
    x, y = middle(card(notebook, cell, node).locator(".fb-card-head"))
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + by_x / 2, y + by_y / 2, steps=3)
    mouse.move(x + by_x, y + by_y, steps=3)
    mouse.up()


def draw(notebook: OpenNotebook, start: Locator, end: Locator) -> None:
    """Draw an edge from one port to another."""
    mouse = notebook.page.mouse
    x, y = middle(start)
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 4, y)  # a press becomes a drag after some pixels
    mouse.move(*middle(end), steps=8)
    mouse.up()


def press_edge(notebook: OpenNotebook, line: Locator) -> None:
    """Press an edge in its middle."""
    x, y = line.locator(".react-flow__edge-interaction").evaluate(
        """path => {
          const {x, y} = path.getPointAtLength(path.getTotalLength() / 2).matrixTransform(path.getScreenCTM());
          return [x, y];
        }"""
    )
    notebook.page.mouse.click(x, y)


def cell_text(notebook: OpenNotebook, cell: int) -> str:
    """The text of a cell now."""
    text: str = notebook.evaluate(
        "async (panel, app, cell) => panel.content.model.cells.get(cell).sharedModel.getSource()", cell
    )
    return text


def type_in_cell(notebook: OpenNotebook, cell: int, text: str) -> None:
    """Change the text of a cell as typing does."""
    notebook.evaluate(
        """async (panel, app, {cell, text}) => {
          const shared = panel.content.widgets[cell].model.sharedModel;
          const before = shared.getSource();
          const most = Math.min(before.length, text.length);
          let head = 0, tail = 0;
          while (head < most && before[head] === text[head]) head += 1;
          while (tail < most - head && before.at(-1 - tail) === text.at(-1 - tail)) tail += 1;
          shared.updateSource(head, before.length - tail, text.slice(head, text.length - tail));
        }""",
        {"cell": cell, "text": text},
    )


def wait_for_text(notebook: OpenNotebook, cell: int, holds: Callable[[str], bool], *, rests: bool = True) -> str:
    """Wait until the text of a cell is as it should be, and rests so."""
    before = None
    for _ in range(_TRIES):
        text = cell_text(notebook, cell)
        if holds(text) and (text == before or not rests):
            return text
        before = text
        notebook.page.wait_for_timeout(_PAUSE_MS)
    pytest.fail(f"the cell says something else:\n{before}")


def changed_lines(before: str, after: str) -> list[str]:
    """The lines of ``after`` that ``before`` has not."""
    known = before.splitlines()
    return [line for line in after.splitlines() if line not in known]


def document_in(text: str) -> dict[str, Any]:
    """The document that a cell holds."""
    found: dict[str, Any] = json.loads(text.partition("\n")[2])
    return found


def position(document: dict[str, Any], node: str) -> tuple[int, int] | None:
    """Where a document puts a node."""
    for each in document.get("nodes", []):
        if each["id"] == node and "position" in each:
            return each["position"]["x"], each["position"]["y"]
    return None


def y_of(document: dict[str, Any], node: str) -> int:
    """How far down a document puts a node."""
    place = position(document, node)
    assert place is not None, f"{node} has no place"
    return place[1]


def execute(notebook: OpenNotebook, code: str) -> None:
    """Run code in the notebook's kernel, in a cell at its end."""
    notebook.evaluate(
        """async (panel, app, source) => {
          const notebook = panel.content;
          notebook.model.sharedModel.insertCell(notebook.widgets.length, {cell_type: 'code', source, metadata: {}});
          notebook.activeCellIndex = notebook.widgets.length - 1;
          await app.commands.execute('notebook:run-cell');
        }""",
        code,
    )


def begin_cell(notebook: OpenNotebook, source: str) -> int:
    """Run code in a cell at the notebook's end, and do not wait for it; the index of the cell."""
    index: int = notebook.evaluate(
        """async (panel, app, source) => {
          const notebook = panel.content;
          const index = notebook.widgets.length;
          notebook.model.sharedModel.insertCell(index, {cell_type: 'code', source, metadata: {}});
          notebook.activeCellIndex = index;
          notebook.deselectAll();
          void app.commands.execute('notebook:run-cell');
          return index;
        }""",
        source,
    )
    return index


def ask(notebook: OpenNotebook, expression: str) -> Any:
    """What an expression of literals says in the notebook's kernel; no cell is run for it."""
    said = notebook.evaluate(
        """async (panel, app, said) => {
          const future = panel.sessionContext.session.kernel.requestExecute(
            {code: '', silent: true, store_history: false, user_expressions: {said}});
          const {content} = await future.done;
          return content.user_expressions?.said?.data?.['text/plain'] ?? JSON.stringify(content);
        }""",
        f"({expression.strip()})",
    )
    return ast.literal_eval(said)


def kernel_document(notebook: OpenNotebook, flow: str = "lab") -> dict[str, Any]:
    """What the kernel says a flow's document is."""
    found: dict[str, Any] = json.loads(ask(notebook, f"__import__('flowbook').flow({flow!r}).document_text()"))
    return found


def wait_for_document(
    notebook: OpenNotebook, holds: Callable[[dict[str, Any]], bool], flow: str = "lab"
) -> dict[str, Any]:
    """Wait until the kernel's document is as it should be."""
    document: dict[str, Any] = {}
    for _ in range(_TRIES):
        document = kernel_document(notebook, flow)
        if holds(document):
            return document
        notebook.page.wait_for_timeout(_PAUSE_MS)
    pytest.fail(f"the kernel's flow is another one: {document}")


def wait_for_rest(notebook: OpenNotebook) -> None:
    """Wait until kernel and page have told each other everything, what is to be stored included."""
    quiet, before = 0, None
    for _ in range(2 * _TRIES):
        is_at_rest, count = ask(notebook, _AT_REST)
        quiet = quiet + 1 if is_at_rest and count == before else 0
        if quiet == _QUIET:
            return
        before = count
        notebook.page.wait_for_timeout(_PAUSE_MS)
    pytest.fail("kernel and page have more to tell each other, again and again")


def wait_for_card(page: Page, place: tuple[int, int] | None) -> None:
    """Wait until some card stands at a place of the flow."""
    assert place is not None
    page.locator(f'.react-flow__node[style*="translate({place[0]}px, {place[1]}px)"]').first.wait_for()
