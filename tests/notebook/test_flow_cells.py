"""The ``%%flow`` cell is the flow's document: its text is applied, and edits made elsewhere are never lost by it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.notebook.kernel_driver import CANVAS_MIME, run_headless

if TYPE_CHECKING:
    from tests.notebook.kernel_driver import Cell, Notebook


def flow_cell(notebook: Notebook, document: dict[str, Any] | str = "", cell: Cell | None = None, **how: Any) -> Cell:
    """Run a ``%%flow`` cell of the test's flow."""
    text = document if isinstance(document, str) else json.dumps(document, indent=1)
    return notebook.cell(f"%%flow {notebook.flow}\n{text}", cell, **how)


def canvas(cell: Cell) -> dict[str, Any]:
    found: dict[str, Any] = cell.bundles(CANVAS_MIME)[0]
    return found


def cards(cell: Cell) -> dict[str, dict[str, Any]]:
    return {card["id"]: card for card in canvas(cell)["nodes"]}


def settings(notebook: Notebook, node_id: str) -> dict[str, Any]:
    found: dict[str, Any] = notebook.ask(f"dict(__import__('flowbook').flow({notebook.flow!r})[{node_id!r}].settings)")
    return found


def functions(notebook: Notebook) -> Cell:
    """Two nodes: ``src(n=3) -> late(src, above=1)``."""
    return notebook.cell(f"""
        import flowbook as fb
        flow = fb.flow({notebook.flow!r})
        @flow.node
        def src(n: int = 3) -> list:
            return list(range(n))
        @flow.node
        def late(src: list, above: int = 1) -> list:
            return [each for each in src if each > above]
    """)


LATE = {"nodes": [{"id": "late", "settings": {"above": 0}, "position": {"x": 300, "y": 20}}]}


def test_an_empty_cell_is_a_new_flow_with_a_canvas(notebook: Notebook) -> None:
    cell = flow_cell(notebook)
    assert canvas(cell)["flow"] == notebook.flow
    assert canvas(cell)["nodes"] == []
    assert set(cell.outputs[0].data) == {CANVAS_MIME, "text/html", "image/svg+xml", "text/plain"}
    other = notebook.cell("%%node a\na = 1")
    assert other.shown.node["flow"] == notebook.flow
    assert list(cards(cell)) == ["a"], "the canvas follows the cells below it"


def test_the_text_gives_settings_policy_edges_cuts_and_positions(notebook: Notebook) -> None:
    functions(notebook)
    notebook.cell("%%node twin(late)\ntwin = len(late)")
    document = {
        "flowbook": "1",
        "policy": {"maxConcurrency": 1},
        "nodes": [
            {"id": "src", "settings": {"n": 5}, "policy": {"timeoutS": 9}},
            *LATE["nodes"],
        ],
        "edges": [{"source": "src", "sourcePort": "result", "target": "twin", "targetPort": "late"}],
        "cuts": [{"source": "late", "target": "twin", "targetPort": "late"}],
    }
    cell = flow_cell(notebook, document)
    assert (cards(cell)["late"]["x"], cards(cell)["late"]["y"]) == (300, 20)
    assert settings(notebook, "src") == {"n": 5}
    notebook.cell("run = await flow.run()")
    assert notebook.ask("run['late']") == [1, 2, 3, 4]
    assert notebook.ask("run['twin']") == 5, "wired to src by the text, not to late by name"
    assert notebook.ask("flow.plan.slots[0].policy.timeout_s") == 9
    assert notebook.of_flow("document()['policy']") == {"maxConcurrency": 1}


def test_a_node_whose_cell_comes_later_waits_and_adopts_what_the_text_says(notebook: Notebook) -> None:
    cell = flow_cell(
        notebook,
        {
            "nodes": [{"id": "late", "settings": {"above": 0}, "position": {"x": 300, "y": 20}}, {"id": "src"}],
            "edges": [{"source": "src", "target": "late", "targetPort": "src"}],
        },
    )
    assert {card["kind"] for card in cards(cell).values()} == {"waiting"}
    assert {card["status"] for card in cards(cell).values()} == {"waiting"}
    functions(notebook)
    notebook.drain()
    assert {card["kind"] for card in cards(cell).values()} == {"node"}
    assert settings(notebook, "late") == {"above": 0}
    assert notebook.of_flow("data.nodes['late'].position") == [300, 20]
    assert notebook.of_flow("check()") == []
    notebook.cell("run = await flow.run()")
    assert notebook.ask("run['late']") == [1, 2]


def test_a_waiting_node_is_an_error_only_for_who_needs_it(notebook: Notebook) -> None:
    flow_cell(notebook, {"nodes": [{"id": "nobody_runs_this"}]})
    notebook.cell("%%node a\na = 1")
    notebook.cell(f"await __import__('flowbook').flow({notebook.flow!r}).run()")
    cell = notebook.cell("%%node b\nb = nobody_runs_this", fails=True)
    assert "whose cell has not run" in cell.error


def test_what_the_signature_says_comes_from_the_cell(notebook: Notebook) -> None:
    """The text keeps the value of a setting; its default, bounds and type are the function's."""
    cell = flow_cell(notebook, {"nodes": [{"id": "late", "settings": {"above": 60}}]})
    notebook.cell(f"""
        import flowbook as fb
        from typing import Annotated
        @fb.flow({notebook.flow!r}).node
        def late(above: Annotated[int, fb.Setting(min=0, max=120)] = 15) -> int:
            return above
    """)
    notebook.drain()
    setting = cards(cell)["late"]["settings"][0]
    assert {"value": 60, "default": 15, "min": 0, "max": 120, "control": "slider"}.items() <= setting.items()


BROKEN = {
    "broken JSON": ('{"nodes": [\n  {"id": "late",}\n]}', "FB301", "line 2, column 17"),
    "no JSON": ("nodes: late", "FB301", "line 1, column 1"),
    "half a text": ('{"nodes": [{"id":', "FB301", "line 1, column 18"),
    "not an object": ("[1]", "FB301", "object"),
    "a newer document": ('{"flowbook": "2"}', "FB302", "format 2, this flowbook reads format 1"),
    "a wrong shape": ('{"nodes": {"late": {}}}', "FB303", '"nodes"'),
    "a node twice": ('{"nodes": [{"id": "a"}, {"id": "a"}]}', "FB304", "'a'"),
}


@pytest.mark.parametrize(("text", "code", "words"), BROKEN.values(), ids=BROKEN)
def test_a_text_that_is_no_document_is_refused_and_the_flow_stays(
    notebook: Notebook, text: str, code: str, words: str
) -> None:
    functions(notebook)
    cell = flow_cell(notebook, LATE)
    before = notebook.of_flow("document()")
    flow_cell(notebook, text, cell, fails=True)
    assert f"[{code}]" in cell.error
    assert words in cell.error
    assert f"at   flow '{notebook.flow}'" in cell.error
    assert "/flowbook/" not in cell.error
    assert "hint" in cell.error
    assert notebook.of_flow("document()") == before
    notebook.cell("run = await flow.run()")
    assert notebook.ask("run['late']") == [1, 2]


def test_unchanged_text_keeps_edits_from_python_and_says_so(notebook: Notebook) -> None:
    functions(notebook)
    cell = flow_cell(notebook, LATE)
    notebook.cell("flow.set('late', above=1)\nflow.set('src', n=9)\nflow.data.set_position('src', (5, 5))")
    for _ in range(3):
        notebook.again(cell)
        assert settings(notebook, "late") == {"above": 1}
        assert settings(notebook, "src") == {"n": 9}
        assert "late.above" in cell.text
        assert "src.n" in cell.text
        assert "position of src" in cell.text
    assert "not in" not in cell.text.lower() or "document_text" in cell.text


def test_the_text_that_the_note_offers_ends_the_difference(notebook: Notebook) -> None:
    functions(notebook)
    cell = flow_cell(notebook, LATE)
    notebook.cell("flow.set('late', above=1)")
    text = notebook.cell("print(flow.document_text())").printed
    flow_cell(notebook, text, cell)
    assert "document_text" not in cell.text
    assert settings(notebook, "late") == {"above": 1}


def test_changed_text_wins_where_nothing_else_changed(notebook: Notebook) -> None:
    functions(notebook)
    cell = flow_cell(notebook, LATE)
    flow_cell(notebook, {"nodes": [{"id": "late", "settings": {"above": 2}}]}, cell)
    assert settings(notebook, "late") == {"above": 2}
    assert notebook.of_flow("data.nodes['late'].position") is None
    assert list(notebook.of_flow("stale()")) == []
    flow_cell(notebook, "", cell)
    assert settings(notebook, "late") == {"above": 1}
    assert sorted(cards(cell)) == ["late", "src"]


def test_changes_on_both_sides_are_merged(notebook: Notebook) -> None:
    functions(notebook)
    cell = flow_cell(notebook, LATE)
    notebook.cell("flow.set('src', n=9)")
    flow_cell(notebook, {"nodes": [{"id": "late", "settings": {"above": 7}}]}, cell)
    assert settings(notebook, "src") == {"n": 9}
    assert settings(notebook, "late") == {"above": 7}


def test_a_clash_is_refused_with_both_versions_and_nothing_changes(notebook: Notebook) -> None:
    functions(notebook)
    cell = flow_cell(notebook, LATE)
    notebook.cell("flow.set('late', above=5)\nflow.set('src', n=9)")
    before = notebook.of_flow("document()")
    text = {"nodes": [{"id": "late", "settings": {"above": 7}}, {"id": "src", "settings": {"n": 9}}]}
    flow_cell(notebook, text, cell, fails=True)
    assert "[FB307]" in cell.error
    assert "late.above: 7 in the cell, 5 elsewhere" in cell.error
    assert "src" not in cell.error
    assert notebook.of_flow("document()") == before
    text["nodes"][0]["settings"] = {"above": 5}
    flow_cell(notebook, text, cell)
    assert settings(notebook, "late") == {"above": 5}


def test_running_other_cells_never_writes_into_a_cell(notebook: Notebook) -> None:
    cell = flow_cell(notebook, LATE)
    functions(notebook)
    ran = [
        notebook.cell("flow.set('late', above=0)"),
        notebook.cell("await flow.run()"),
        notebook.cell("%%node more\nmore = len(late)"),
        notebook.cell("flow"),
        notebook.again(cell),
    ]
    assert [each.payload for each in ran] == [[]] * 5


def test_the_canvas_of_the_cell_follows_runs_and_edits(notebook: Notebook) -> None:
    functions(notebook)
    cell = flow_cell(notebook, LATE)
    assert cards(cell)["late"]["status"] == "idle"
    notebook.cell("await flow.run()")
    assert cards(cell)["late"]["status"] == "ok"
    assert canvas(cell)["runId"] == notebook.of_flow("last_run.id")
    notebook.cell("flow.set('src', n=4)")
    notebook.drain()
    assert cards(cell)["src"]["settings"][0]["value"] == 4
    assert cards(cell)["late"]["stamp"] == "stale"
    assert cards(cell)["late"]["reason"] == "src is stale"


def test_running_the_cell_again_leaves_one_canvas_to_keep_up(notebook: Notebook) -> None:
    cell = flow_cell(notebook)
    first = cell.outputs[0].display_id
    notebook.again(cell)
    mark = len(notebook.messages)
    notebook.cell("%%node a\na = 1")
    updated = {each["content"].get("transient", {}).get("display_id") for each in notebook.sent_since(mark)}
    assert first not in updated
    assert cell.outputs[0].display_id in updated


def test_two_cells_that_hold_one_flow_are_told(notebook: Notebook) -> None:
    first = flow_cell(notebook)
    second = flow_cell(notebook)
    assert f"In [{first.execution_count}], In [{second.execution_count}]" in second.text
    notebook.delete(first)
    notebook.again(second)
    assert "Several cells" not in second.text


def test_after_a_split_the_half_with_the_magic_holds_the_flow(notebook: Notebook) -> None:
    flow_cell(notebook, LATE)
    upper = flow_cell(notebook)
    assert "Several cells" not in upper.text


def test_settings_the_code_does_not_have_are_kept_and_found(notebook: Notebook) -> None:
    flow_cell(notebook, {"nodes": [{"id": "src", "settings": {"no_longer": 1}}]})
    functions(notebook)
    assert notebook.of_flow("check()[0].code") == "FB211"
    notebook.cell("await flow.run()")
    assert notebook.of_flow("document()['nodes'][0]['settings']") == {"no_longer": 1}


def test_a_value_of_the_wrong_type_is_a_clear_error_of_its_node_alone(notebook: Notebook) -> None:
    functions(notebook)
    flow_cell(notebook, {"nodes": [{"id": "late", "settings": {"above": "many"}}]})
    cell = notebook.cell("await flow.run()", fails=True)
    assert "above" in cell.error
    assert "many" in cell.error
    assert "[FB" in cell.error
    assert "hint" in cell.error
    assert notebook.of_flow("__getitem__('src').status") == "ok"


def test_unknown_fields_survive(notebook: Notebook) -> None:
    flow_cell(notebook, {"nodes": [{"id": "src", "colour": "red"}], "future": [1]})
    functions(notebook)
    notebook.cell("flow.set('src', n=1)")
    document = notebook.of_flow("document()")
    assert document["future"] == [1]
    assert document["nodes"][0]["colour"] == "red"


def test_a_library_type_in_the_text_is_made(notebook: Notebook) -> None:
    notebook.cell("import flowbook as fb\n@fb.node\ndef twice(x: int = 2) -> int:\n    return 2 * x")
    flow_cell(
        notebook, {"nodes": [{"id": "four", "typeId": "twice"}, {"id": "six", "typeId": "twice", "settings": {"x": 3}}]}
    )
    notebook.cell(f"run = await fb.flow({notebook.flow!r}).run()")
    assert notebook.ask("[run['four'], run['six']]") == [4, 6]


def test_the_last_cells_edit_is_stored_by_nbclient() -> None:
    """Nothing is read after a notebook's last cell is over."""
    cells = run_headless(
        [
            "%%flow flights",
            "%%node a(n: int = 1)\na = n",
            "import flowbook as fb\nfb.flow('flights').set('a', n=5)",
        ]
    )
    card = cells[0].bundles(CANVAS_MIME)[0]["nodes"][0]
    assert (card["settings"][0]["value"], card["stamp"]) == (5, "stale")


def test_the_same_cells_mean_the_same_by_nbclient() -> None:
    document = json.dumps({"nodes": [{"id": "late", "settings": {"above": 0}, "position": {"x": 300, "y": 20}}]})
    cells = run_headless(
        [
            f"%%flow flights\n{document}",
            "%%node src --define\nsrc = [0, 1, 2]",
            "%%node late(src, above: int = 1)\nlate = [each for each in src if each > above]",
            "%%flow flights\n{",
            "import flowbook as fb\nawait fb.flow('flights').run()",
        ]
    )
    assert [cell.status for cell in cells] == ["ok", "ok", "ok", "error", "ok"]
    assert "[FB301]" in cells[3].error
    assert cells[2].shown.text.splitlines()[-1] == "[1, 2]"
    assert {card["status"] for card in cells[0].bundles(CANVAS_MIME)[0]["nodes"]} == {"ok"}
