"""What is edited on the canvas is in the text of the ``%%flow`` cell; what is typed there is never lost."""

from __future__ import annotations

import json
import operator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from nbformat import v4

from tests.lab.lab_page import LabPage
from tests.lab.live_notebook import (
    ask,
    canvas_of,
    card,
    cell_text,
    changed_lines,
    document_in,
    drag,
    execute,
    kernel_document,
    position,
    type_in_cell,
    wait_for_card,
    wait_for_document,
    wait_for_rest,
    wait_for_text,
    y_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.lab.lab_page import OpenNotebook

SETUP = "%load_ext flowbook\nimport flowbook as fb"
NODES = (
    "%%node count(most: int = 3)\ncount = list(range(most))",
    "%%node total\ntotal = sum(count)",
)
DOCUMENT = """\
%%flow lab
{
 "flowbook": "1",
 "id": "lab",
 "nodes": [
  {"id": "count", "typeId": "count", "position": {"x": 40, "y": 40}},
  {"id": "total", "typeId": "total", "position": {"x": 400, "y": 40}}
 ]
}"""
FLOW = 1


def cells(document: str = DOCUMENT, **metadata: Any) -> list[Any]:
    """A notebook whose second cell holds the flow, which the others define."""
    flow = v4.new_code_cell(document, metadata=metadata)
    return [v4.new_code_cell(SETUP), flow, *(v4.new_code_cell(source) for source in NODES)]


@pytest.fixture
def kept(lab: LabPage) -> Iterator[OpenNotebook]:
    """A notebook that was run; its flow is held by its second cell."""
    notebook = lab.open(cells())
    notebook.run()
    canvas_of(notebook, FLOW)
    card(notebook, FLOW, "total").wait_for()
    yield notebook
    # A tab hears what the kernel tells other tabs, and those that were, and JupyterLab says so.
    assert [said for said in lab.own_complaints if not said.startswith("Comm not found")] == []


def test_a_moved_card_changes_one_line_of_the_cell(kept: OpenNotebook) -> None:
    drag(kept, FLOW, "total", 80, 60)
    text = wait_for_text(kept, FLOW, lambda text: text != DOCUMENT)
    [line] = changed_lines(DOCUMENT, text)
    assert json.loads(line)["id"] == "total"
    assert json.loads(line)["position"]["y"] > 40
    assert len(text.splitlines()) == len(DOCUMENT.splitlines())
    assert kept.is_dirty, "there is something to save"
    assert not kept.evaluate("async (panel) => panel.content.widgets[1].model.isDirty"), "the kernel has it already"


def test_a_setting_is_written_once_when_the_hand_is_taken_away(kept: OpenNotebook) -> None:
    kept.evaluate(
        """async (panel) => {
          window.writes = 0;
          panel.content.widgets[1].model.sharedModel.changed.connect((_, change) => {
            if (change.sourceChange) window.writes += 1;
          });
        }"""
    )
    field = card(kept, FLOW, "count").locator("input[type=number]")
    field.fill("5")
    field.press("Enter")
    text = wait_for_text(kept, FLOW, lambda text: '"most"' in text)
    assert changed_lines(DOCUMENT, text) == [
        '  {"id": "count", "settings": {"most": 5}, "typeId": "count", "position": {"x": 40, "y": 40}},'
    ]
    kept.cell(3).locator(".fb-value :text-is('10')").wait_for()
    assert kept.page.evaluate("window.writes") == 1


def test_saved_restarted_and_run_again_it_is_the_same_flow(kept: OpenNotebook) -> None:
    drag(kept, FLOW, "count", 60, 100)
    wait_for_text(kept, FLOW, lambda text: text != DOCUMENT)
    field = card(kept, FLOW, "count").locator("input[type=number]")
    field.fill("4")
    field.press("Enter")
    text = wait_for_text(kept, FLOW, lambda text: '"most": 4' in text)
    assert kept.save().cells[FLOW].source == text
    kept.evaluate("async (panel) => { await panel.sessionContext.restartKernel(); }")
    kept.run()
    canvas_of(kept, FLOW)
    kept.cell(3).locator(".fb-value :text-is('6')").wait_for()
    assert cell_text(kept, FLOW) == text, "running the cells changes nothing of it"
    field = card(kept, FLOW, "count").locator("input[type=number]")
    assert field.input_value() == "4"


def test_what_is_typed_at_the_same_time_is_kept_until_somebody_chooses(kept: OpenNotebook) -> None:
    typed = DOCUMENT.replace('"x": 400', '"x": 640')
    type_in_cell(kept, FLOW, typed)
    drag(kept, FLOW, "count", 0, 100)
    bar = kept.cell(FLOW).locator('.fb-keeper[data-fb-keeping="differs"]')
    bar.wait_for()
    assert cell_text(kept, FLOW) == typed
    bar.get_by_role("button", name="Use text").click()
    bar.wait_for(state="detached")
    assert cell_text(kept, FLOW) == typed
    wait_for_document(kept, lambda flow: position(flow, "total") == (640, 40) and position(flow, "count") == (40, 40))


#: Edits the flow until it is told to stop; a thread, so that the kernel can be told.
EDITING = """
import itertools, threading
is_over = threading.Event()
def edit():
    for most in itertools.count(4):
        fb.flow('lab')['count'].settings['most'] = most
        if is_over.wait(0.4):
            return
editing = threading.Thread(target=edit)
editing.start()
"""


def test_words_typed_while_the_flow_is_edited_again_and_again_all_stay(kept: OpenNotebook) -> None:
    words = "every letter of this stays in its place"
    execute(kept, EDITING)
    wait_for_text(kept, FLOW, lambda text: '"most"' in text, rests=False)
    kept.evaluate(
        """async (panel) => {
          panel.content.activeCellIndex = 1;
          const {editor} = panel.content.activeCell;
          editor.focus();
          editor.setCursorPosition({line: 2, column: 0});
        }"""
    )
    kept.page.keyboard.type(words, delay=20)
    kept.cell(FLOW).locator('.fb-keeper[data-fb-keeping="differs"]').wait_for()
    ask(kept, "is_over.set(), editing.join()")
    settings = kernel_document(kept)["nodes"][0]["settings"]
    wait_for_rest(kept)
    assert words in cell_text(kept, FLOW)
    kept.cell(FLOW).get_by_role("button", name="Use canvas").click()
    text = wait_for_text(kept, FLOW, lambda text: words not in text)
    assert document_in(text)["nodes"][0]["settings"] == settings


def test_the_canvas_can_be_chosen_over_the_text_and_undo_gives_the_text_back(kept: OpenNotebook) -> None:
    typed = DOCUMENT.replace('"x": 400', '"x": 640')
    type_in_cell(kept, FLOW, typed)
    drag(kept, FLOW, "count", 0, 100)
    kept.cell(FLOW).get_by_role("button", name="Use canvas").click()
    text = wait_for_text(kept, FLOW, lambda text: text != typed)
    assert position(document_in(text), "total") == (400, 40)
    assert y_of(document_in(text), "count") > 40
    kept.cell(FLOW).locator(".fb-surface").press("Control+z")
    wait_for_text(kept, FLOW, lambda text: text == typed)
    wait_for_document(kept, lambda flow: position(flow, "total") == (640, 40))


def test_running_a_cell_that_was_typed_in_brings_text_and_canvas_together(kept: OpenNotebook) -> None:
    typed = DOCUMENT.replace('"x": 400', '"x": 640')
    type_in_cell(kept, FLOW, typed)
    drag(kept, FLOW, "count", 0, 100)
    kept.cell(FLOW).locator('.fb-keeper[data-fb-keeping="differs"]').wait_for()
    kept.run(FLOW)
    text = wait_for_text(kept, FLOW, lambda text: text != typed)
    assert position(document_in(text), "total") == (640, 40)
    assert y_of(document_in(text), "count") > 40


def has_nodes_of(text: str) -> Callable[[dict[str, Any]], bool]:
    """Whether a document has the nodes that a cell names."""
    nodes = document_in(text)["nodes"]
    return lambda document: document["nodes"] == nodes


def test_undo_takes_one_operation_back_at_a_time_in_canvas_cell_and_kernel(kept: OpenNotebook) -> None:
    texts = [DOCUMENT]
    for step in range(3):
        drag(kept, FLOW, ("total", "count")[step % 2], 20, 60)
        texts.append(wait_for_text(kept, FLOW, lambda text: text != texts[-1]))
    canvas = kept.cell(FLOW).locator(".fb-surface")
    for text in reversed(texts[:-1]):
        canvas.press("Control+z")
        wait_for_text(kept, FLOW, partial(operator.eq, text))
        wait_for_document(kept, has_nodes_of(text))
    canvas.press("Control+Shift+z")
    wait_for_text(kept, FLOW, lambda text: text == texts[1])


def test_undo_in_the_editor_of_the_cell_undoes_the_write_and_nothing_else(kept: OpenNotebook) -> None:
    drag(kept, FLOW, "total", 60, 60)
    wait_for_text(kept, FLOW, lambda text: text != DOCUMENT)
    kept.cell(FLOW).locator(".cm-content").click()
    kept.page.keyboard.press("Control+z")
    wait_for_text(kept, FLOW, lambda text: text == DOCUMENT)
    kept.run(FLOW)
    wait_for_document(kept, lambda flow: position(flow, "total") == (400, 40))
    assert cell_text(kept, FLOW) == DOCUMENT


def test_an_edit_made_in_python_is_written_by_the_browser(kept: OpenNotebook) -> None:
    execute(kept, "fb.flow('lab')['count'].settings['most'] = 7\nfb.flow('lab').disconnect('count', 'total')")
    text = wait_for_text(kept, FLOW, lambda text: '"cuts"' in text)
    assert document_in(text)["cuts"] == [{"source": "count", "target": "total", "targetPort": "count"}]


@pytest.mark.parametrize("lock", ["editable", "deletable"])
def test_a_locked_cell_is_never_written_and_a_copy_is_offered(lab: LabPage, lock: str) -> None:
    notebook = lab.open(cells(DOCUMENT, **{lock: False}))
    notebook.run()
    canvas_of(notebook, FLOW)
    drag(notebook, FLOW, "total", 40, 80)
    bar = notebook.cell(FLOW).locator('.fb-keeper[data-fb-keeping="locked"]')
    bar.wait_for()
    assert cell_text(notebook, FLOW) == DOCUMENT
    bar.get_by_role("button", name="Copy to a new cell").click()
    copy = wait_for_text(notebook, FLOW + 1, lambda text: text.startswith("%%flow lab\n"))
    assert y_of(document_in(copy), "total") > 40
    drag(notebook, FLOW, "total", 0, 80)
    wait_for_text(notebook, FLOW + 1, lambda text: text != copy)
    assert cell_text(notebook, FLOW) == DOCUMENT


def test_a_flow_made_in_code_is_kept_in_a_cell_above_its_first_node(lab: LabPage) -> None:
    code = f"{SETUP}\nflow = fb.flow('lab')"
    notebook = lab.open(
        [v4.new_code_cell(source) for source in (code, *("%%node lab." + node[7:] for node in NODES), "flow")]
    )
    notebook.run()
    bar = notebook.cell(3).locator('.fb-keeper[data-fb-keeping="absent"]')
    bar.wait_for()
    drag(notebook, 3, "total", 0, 80)
    bar.get_by_role("button", name="Keep in notebook").click()
    text = wait_for_text(notebook, 1, lambda text: text.startswith("%%flow lab\n"))
    assert [node["id"] for node in document_in(text)["nodes"]]
    bar.wait_for(state="detached")
    drag(notebook, 4, "total", 0, 60)
    wait_for_text(notebook, 1, lambda now: now != text)


def test_of_two_cells_with_one_flow_the_one_run_last_is_written_and_both_warn(lab: LabPage) -> None:
    [setup, flow, *nodes] = cells()
    notebook = lab.open([setup, flow, v4.new_code_cell(DOCUMENT), *nodes])
    notebook.run()
    for cell in (1, 2):
        canvas_of(notebook, cell)
        notebook.cell(cell).locator('.fb-keeper[data-fb-keeping="several"]').wait_for()
    drag(notebook, 1, "total", 40, 80)
    wait_for_text(notebook, 2, lambda text: text != DOCUMENT)
    assert cell_text(notebook, 1) == DOCUMENT


def test_a_moved_cell_and_one_that_was_deleted_and_undone_are_still_written(kept: OpenNotebook) -> None:
    kept.evaluate(
        """async (panel, app) => {
          panel.content.activeCellIndex = 1;
          await app.commands.execute('notebook:move-cell-down');
        }"""
    )
    drag(kept, 2, "total", 40, 80)
    text = wait_for_text(kept, 2, lambda text: text != DOCUMENT)
    kept.evaluate(
        """async (panel, app) => {
          panel.content.activeCellIndex = 2;
          await app.commands.execute('notebook:delete-cell');
          await app.commands.execute('notebook:undo-cell-action');
        }"""
    )
    canvas_of(kept, 2)
    drag(kept, 2, "total", 40, 40)
    wait_for_text(kept, 2, lambda now: now not in (text, DOCUMENT))


def test_a_split_cell_keeps_its_flow(kept: OpenNotebook) -> None:
    typed = DOCUMENT + "\n"
    type_in_cell(kept, FLOW, typed)
    kept.run(FLOW)
    canvas_of(kept, FLOW)
    kept.evaluate(
        """async (panel, app) => {
          panel.content.activeCellIndex = 1;
          const {editor} = panel.content.activeCell;
          editor.setCursorPosition({line: editor.lineCount - 1, column: 0});
          await app.commands.execute('notebook:split-cell-at-cursor');
        }"""
    )
    assert cell_text(kept, 1) == DOCUMENT
    kept.run(1)
    canvas_of(kept, 1)
    drag(kept, 1, "total", 40, 80)
    wait_for_text(kept, 1, lambda text: text != DOCUMENT)
    assert cell_text(kept, 2) == ""


@pytest.fixture
def other(lab: LabPage, kept: OpenNotebook) -> Iterator[OpenNotebook]:
    """The same notebook, on the same kernel, in a second tab."""
    kept.save()
    page = lab.page.context.new_page()
    page.goto(f"{lab.server.url}lab/workspaces/second?reset")
    page.wait_for_function("window.jupyterapp?.started && document.querySelector('#jp-main-dock-panel')")
    page.evaluate("window.jupyterapp.restored")
    second = LabPage(page, lab.server).open_file(kept.file)
    canvas_of(second, FLOW)
    yield second
    page.close()


def test_two_tabs_agree_and_only_the_one_that_edits_writes(kept: OpenNotebook, other: OpenNotebook) -> None:
    drag(kept, FLOW, "total", 40, 80)
    text = wait_for_text(kept, FLOW, lambda text: text != DOCUMENT)
    wait_for_card(other.page, position(document_in(text), "total"))
    assert cell_text(other, FLOW) == DOCUMENT, "another tab's notebook is its own"
    drag(other, FLOW, "count", 0, 120)
    second = wait_for_text(other, FLOW, lambda text: text != DOCUMENT)
    assert position(document_in(second), "total") == position(document_in(text), "total")
    assert y_of(document_in(second), "count") > 40
    assert cell_text(kept, FLOW) == text


def test_a_cell_that_grows_past_a_dozen_nodes_is_collapsed(lab: LabPage) -> None:
    nodes = "\n".join(f"@flow.node\ndef n{index}(a: int = 1) -> int:\n    return a\n" for index in range(13))
    setup = v4.new_code_cell(f"{SETUP}\nflow = fb.flow('lab')\n{nodes}")
    notebook = lab.open([setup, v4.new_code_cell("%%flow lab\n")])
    notebook.run()
    canvas_of(notebook, 1)
    execute(notebook, "for index in range(13):\n    flow[f'n{index}'].settings['a'] = 2")
    wait_for_text(notebook, 1, lambda text: text.count('"typeId"') == 13)
    notebook.cell(1).locator(".jp-InputPlaceholder").wait_for()
    assert notebook.save().cells[1].metadata["jupyter"]["source_hidden"] is True
