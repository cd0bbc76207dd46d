"""Whatever is done to a flow by hand is in the text of its cell, line by line; undo and redo take the text along."""

from __future__ import annotations

import difflib
import json
import operator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from nbformat import v4

from tests.lab.live_notebook import (
    canvas_of,
    card,
    cell_text,
    document_in,
    drag,
    draw,
    edge,
    port,
    press_edge,
    wait_for_document,
    wait_for_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lab.lab_page import LabPage, OpenNotebook

DOCUMENT = """\
%%flow lab
{
 "flowbook": "1",
 "id": "lab",
 "nodes": [
  {"id": "count", "typeId": "count", "position": {"x": 40, "y": 40}},
  {"id": "total", "typeId": "total", "position": {"x": 400, "y": 40}},
  {"id": "apart", "typeId": "apart", "position": {"x": 400, "y": 240}}
 ]
}"""
CELLS = (
    "%load_ext flowbook\nimport flowbook as fb",
    DOCUMENT,
    "%%node lab.count(most: int = 3)\ncount = list(range(most))",
    "%%node lab.total\ntotal = sum(count)",
    "%%node lab.apart(numbers) --define\napart = len(numbers)",
)
FLOW, TOTAL = 1, 3


@pytest.fixture
def notebook(lab: LabPage) -> Iterator[OpenNotebook]:
    """A notebook that was run; all of its flow is in sight."""
    notebook = lab.open([v4.new_code_cell(source) for source in CELLS])
    notebook.run()
    canvas_of(notebook, FLOW)
    card(notebook, FLOW, "apart").wait_for()
    notebook.evaluate("async (panel) => { await panel.content.scrollToItem(1, 'start'); }")
    yield notebook
    assert lab.own_complaints == []


def lines(before: str, after: str) -> tuple[list[str], list[str]]:
    """The lines that went, and those that came."""
    changes = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    return [line[2:] for line in changes if line[0] == "-"], [line[2:] for line in changes if line[0] == "+"]


def press(notebook: OpenNotebook, *keys: str) -> None:
    """Press keys on the canvas."""
    notebook.cell(FLOW).locator(".fb-surface").focus()
    for key in keys:
        notebook.page.keyboard.press(key)


def do(notebook: OpenNotebook, action: Callable[[], object]) -> tuple[str, str]:
    """The text of the cell before and after something is done; the kernel knows the same flow then."""
    before = cell_text(notebook, FLOW)
    action()
    after = wait_for_text(notebook, FLOW, partial(operator.ne, before))
    wait_for_document(notebook, says(after))
    return before, after


def says(text: str) -> Callable[[dict[str, Any]], bool]:
    """Whether a document has the nodes, edges and cuts that a cell names."""
    wanted = document_in(text)
    parts = ("nodes", "edges", "cuts")
    return lambda document: all(document.get(part) == wanted.get(part) for part in parts)


def draw_edge(notebook: OpenNotebook) -> None:
    draw(notebook, port(notebook, FLOW, "count", "out", "count"), port(notebook, FLOW, "apart", "in", "numbers"))


def delete_edge(notebook: OpenNotebook) -> None:
    press_edge(notebook, edge(notebook, FLOW, "count", "total"))
    notebook.page.keyboard.press("Delete")


def add(notebook: OpenNotebook) -> None:
    press(notebook, "Tab")
    notebook.page.keyboard.type("value")
    notebook.page.keyboard.press("Enter")
    notebook.cell(FLOW).locator('.react-flow__node[data-id="value"].selected').wait_for()


def rename(notebook: OpenNotebook) -> None:
    press(notebook, "F2")
    notebook.page.keyboard.type("seven")
    notebook.page.keyboard.press("Enter")


def set_most(notebook: OpenNotebook) -> None:
    field = card(notebook, FLOW, "count").locator("input[type=number]")
    field.fill("6")
    field.press("Enter")


def test_a_drawn_edge_is_one_line_and_a_deleted_one_leaves_a_cut(notebook: OpenNotebook) -> None:
    gone, come = lines(*do(notebook, lambda: draw_edge(notebook)))
    edge(notebook, FLOW, "count", "apart").wait_for(state="attached")
    drawn = '  {"source": "count", "sourcePort": "count", "target": "apart", "targetPort": "numbers"}'
    assert (gone, come) == ([], [' "edges": [', drawn, " ],"])
    gone, come = lines(*do(notebook, lambda: delete_edge(notebook)))
    edge(notebook, FLOW, "count", "total").wait_for(state="detached")
    cut = '  {"source": "count", "target": "total", "targetPort": "count"}'
    assert (gone, come) == ([], [' "cuts": [', cut, " ],"])


def test_an_added_node_is_one_line_which_its_name_changes_and_deleting_takes_away(notebook: OpenNotebook) -> None:
    _, (_, added) = lines(*do(notebook, lambda: add(notebook)))
    assert json.loads(added)["typeId"] == "value"
    gone, come = lines(*do(notebook, lambda: rename(notebook)))
    assert (gone, come) == ([added], [added.replace('"id": "value"', '"id": "seven"')])
    _, after = do(notebook, lambda: press(notebook, "Delete"))
    assert after == DOCUMENT


def test_everything_is_undone_and_done_again_step_by_step(notebook: OpenNotebook) -> None:
    actions: list[Callable[[], object]] = [
        lambda: drag(notebook, FLOW, "apart", 40, 40),
        lambda: draw_edge(notebook),
        lambda: set_most(notebook),
        lambda: delete_edge(notebook),
        lambda: add(notebook),
        lambda: rename(notebook),
        lambda: press(notebook, "Delete"),
    ]
    texts = [DOCUMENT, *(do(notebook, action)[1] for action in actions)]
    for text in reversed(texts[:-1]):
        assert do(notebook, lambda: press(notebook, "Control+z"))[1] == text
    notebook.cell(TOTAL).locator(".fb-value :text-is('3')").wait_for()
    for text in texts[1:]:
        assert do(notebook, lambda: press(notebook, "Control+Shift+z"))[1] == text
    saved = notebook.save()
    assert saved.cells[FLOW].source == texts[-1]
    notebook.evaluate("async (panel) => { await panel.sessionContext.restartKernel(); }")
    notebook.run(0, FLOW, FLOW + 1)
    wait_for_document(notebook, lambda document: document["edges"] == document_in(texts[-1])["edges"])
    assert cell_text(notebook, FLOW) == texts[-1], "running it again changes nothing"


def test_the_cursor_stays_where_it_is_while_other_lines_are_written(notebook: OpenNotebook) -> None:
    place = notebook.evaluate(
        """async (panel) => {
          const editor = panel.content.widgets[1].editor;
          editor.setCursorPosition({line: 5, column: 9});
          return editor.getCursorPosition();
        }"""
    )
    do(notebook, lambda: drag(notebook, FLOW, "apart", 40, 40))
    now = notebook.evaluate("async (panel) => panel.content.widgets[1].editor.getCursorPosition()")
    assert (now["line"], now["column"]) == (place["line"], place["column"]) == (5, 9)
