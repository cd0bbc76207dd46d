"""Cells that define nodes are edited, renamed, split, copied and deleted; edges, settings and positions stay true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.notebook.kernel_driver import Cell, Notebook


def shown_value(cell: Cell) -> str:
    return cell.shown.text.splitlines()[-1]


def node(notebook: Notebook, node_id: str) -> dict[str, Any]:
    """One node of the document."""
    entries: list[dict[str, Any]] = notebook.of_flow("document().get('nodes', [])")
    return next(entry for entry in entries if entry["id"] == node_id)


def edges(notebook: Notebook) -> list[str]:
    """The stored edges."""
    found = notebook.of_flow("document().get('edges', [])")
    return [f"{edge['source']} -> {edge['target']}.{edge['targetPort']}" for edge in found]


def status(notebook: Notebook, node_id: str) -> str:
    return str(notebook.of_flow(f"__getitem__({node_id!r}).status"))


def wired(notebook: Notebook) -> Cell:
    """A flow ``data -> late.rows`` by an explicit edge, with a setting and a position on ``late``; returns its cell."""
    notebook.cell("%%node data\ndata = [1, 20, 60]")
    cell = notebook.cell("%%node late(rows, above: int = 10) --define\nlate = [row for row in rows if row > above]")
    notebook.cell(f"""
        import flowbook as fb
        flow = fb.flow({notebook.flow!r})
        flow.connect("data", "late.rows")
        flow.set("late", above=30)
        flow.data.set_position("late", (120, 40))
        await flow.run()
    """)
    assert notebook.of_flow("__getitem__('late').value") == [60]
    return cell


KEPT = {"settings": {"above": 30}, "position": {"x": 120, "y": 40}}


def test_new_code_under_the_same_name_keeps_edges_settings_and_position(notebook: Notebook) -> None:
    cell = wired(notebook)
    notebook.cell("%%node late(rows, above: int = 10)\nlate = [-row for row in rows if row > above]", cell)
    assert shown_value(cell) == "[-60]"
    assert KEPT.items() <= node(notebook, "late").items()
    assert edges(notebook) == ["data -> late.rows"]


def test_what_reads_a_node_is_stale_after_its_code_changed(notebook: Notebook) -> None:
    a = notebook.cell("%%node a\na = 1")
    b = notebook.cell("%%node b\nb = a + 1")
    notebook.cell("%%node a\na = 10", a)
    assert list(notebook.of_flow("stale()")) == ["b"]
    assert shown_value(b) == "2", "it is run when somebody asks"


def test_another_name_in_the_same_cell_is_a_rename(notebook: Notebook) -> None:
    cell = wired(notebook)
    notebook.cell("%%node reader(rows, n: int = 0) --define\nreader = len(rows) + n")
    notebook.cell("flow.connect('late', 'reader.rows')")
    notebook.cell("%%node tardy(rows, above: int = 10)\ntardy = [row for row in rows if row > above]", cell)
    assert shown_value(cell) == "[60]"
    assert cell.shown.node["node"] == "tardy"
    assert KEPT.items() <= node(notebook, "tardy").items()
    assert edges(notebook) == ["tardy -> reader.rows", "data -> tardy.rows"]
    assert notebook.of_flow("__contains__('late')") is False
    assert [entry["id"] for entry in notebook.of_flow("document()['nodes']")] == ["data", "tardy", "reader"]


def test_a_rename_of_one_function_among_several_is_a_rename(notebook: Notebook) -> None:
    head = f"import flowbook as fb\nflow = fb.flow({notebook.flow!r})\n"
    one = "@flow.node\ndef one(n: int = 1) -> int:\n    return n\n"
    two = "@flow.node\ndef two(x: int, k: int = 5) -> int:\n    return x * k\n"
    cell = notebook.cell(head + one + two)
    notebook.cell("flow.connect('one', 'two.x')\nflow.set('two', k=6)")
    notebook.cell(head + one + two.replace("def two", "def second"), cell)
    assert [output.node["node"] for output in cell.outputs] == ["one", "second"]
    assert edges(notebook) == ["one -> second.x"]
    assert node(notebook, "second")["settings"] == {"k": 6}
    notebook.cell("await flow.run()")
    assert notebook.of_flow("__getitem__('second').value") == 6
    assert cell.card_of("second").node["status"] == "ok"


def test_a_function_taken_out_of_its_cell_leaves_a_waiting_stub(notebook: Notebook) -> None:
    head = f"import flowbook as fb\nflow = fb.flow({notebook.flow!r})\n"
    one = "@flow.node\ndef one(n: int = 1) -> int:\n    return n\n"
    two = "@flow.node\ndef two(x: int, k: int = 5) -> int:\n    return x * k\n"
    cell = notebook.cell(head + one + two)
    notebook.cell("flow.connect('one', 'two.x')\nflow.set('two', k=6)")
    notebook.cell(head + one, cell)
    assert status(notebook, "two") == "waiting"
    assert edges(notebook) == ["one -> two.x"]
    other = notebook.cell(two)
    assert other.shown.node["card"]["settings"][0]["value"] == 6
    assert status(notebook, "two") == "idle"


def test_a_cell_that_fails_halfway_takes_nothing_out(notebook: Notebook) -> None:
    head = f"import flowbook as fb\nflow = fb.flow({notebook.flow!r})\n"
    one = "@flow.node\ndef one(n: int = 1) -> int:\n    return n\n"
    two = "@flow.node\ndef two(one: int) -> int:\n    return one\n"
    cell = notebook.cell(head + one + two)
    notebook.cell(head + one + "1 / 0\n" + two, cell, fails=True)
    assert status(notebook, "two") == "idle"


def test_a_cell_that_becomes_plain_code_leaves_a_waiting_stub(notebook: Notebook) -> None:
    cell = notebook.cell("%%node a\na = 1")
    notebook.cell("x = 1", cell)
    assert status(notebook, "a") == "waiting"


def test_a_rename_from_python_takes_the_output_along(notebook: Notebook) -> None:
    cell = notebook.cell("%%node a(n: int = 1)\na = n")
    notebook.cell(f"import flowbook as fb\nflow = fb.flow({notebook.flow!r})\nflow.rename('a', 'b')")
    notebook.drain()
    assert cell.shown.node["node"] == "b"
    notebook.cell("flow.set('b', n=2)\nawait flow.run()")
    assert shown_value(cell) == "2"
    notebook.again(cell)
    assert notebook.ask(f"list(__import__('flowbook').flow({notebook.flow!r}))") == ["a"], "the cell's text counts"
    assert shown_value(cell) == "2"


def test_a_deleted_cell_leaves_a_stub_that_waits_and_is_an_error_only_for_who_needs_it(notebook: Notebook) -> None:
    cell = wired(notebook)
    below = notebook.cell("%%node below\nbelow = late")
    aside = notebook.cell("%%node aside\naside = data")
    notebook.delete(cell)
    notebook.cell("1")
    assert status(notebook, "late") == "waiting"
    assert KEPT.items() <= node(notebook, "late").items()
    assert edges(notebook) == ["data -> late.rows"]
    notebook.again(aside)
    assert aside.shown.node["status"] == "ok"
    notebook.again(below, fails=True)
    assert "late" in below.error
    assert "whose cell has not run" in below.error


def test_a_cell_of_that_name_adopts_the_stub_with_edges_and_settings(notebook: Notebook) -> None:
    cell = wired(notebook)
    notebook.delete(cell)
    again = notebook.cell("%%node late(rows, above: int = 10)\nlate = sum(row for row in rows if row > above)")
    assert shown_value(again) == "60"
    assert KEPT.items() <= node(notebook, "late").items()
    assert edges(notebook) == ["data -> late.rows"]


def test_undoing_a_delete_and_running_the_cell_gives_the_node_its_cell_back(notebook: Notebook) -> None:
    cell = notebook.cell("%%node a\na = 1")
    notebook.delete(cell)
    notebook.cell("1")
    notebook.cells.append(cell)  # undo: nothing is sent
    notebook.again(cell)
    assert status(notebook, "a") == "ok"
    other = notebook.cell("%%node a\na = 2", fails=True)
    assert "FB540" in other.error


@pytest.mark.parametrize("text", ["%%node a\na = 2", "%%node a(n: int = 3)\na = n"])
def test_two_live_cells_that_define_one_name_are_an_error_that_names_both(notebook: Notebook, text: str) -> None:
    first = notebook.cell("%%node a\na = 1")
    below = notebook.cell("%%node below\nbelow = a")
    second = notebook.cell(text, fails=True)
    assert "[FB540]" in second.error
    assert f"In [{first.execution_count}]" in second.error
    assert f"In [{second.execution_count}]" in second.error
    assert "/flowbook/" not in second.error
    assert notebook.of_flow("__getitem__('a').value") == 1
    assert notebook.of_flow("stale()") == {}
    assert shown_value(below) == "1"
    notebook.delete(first)
    notebook.again(second)
    assert notebook.of_flow("__getitem__('a').status") == "ok"


def test_two_live_cells_with_one_function_are_an_error_that_names_both(notebook: Notebook) -> None:
    text = f"import flowbook as fb\n@fb.flow({notebook.flow!r}).node\ndef a() -> int:\n    return 1\n"
    first = notebook.cell(text)
    second = notebook.cell(text.replace("return 1", "return 2"), fails=True)
    assert f"In [{first.execution_count}]" in second.error
    assert f"In [{second.execution_count}]" in second.error
    notebook.cell(f"await fb.flow({notebook.flow!r}).run()")
    assert notebook.of_flow("__getitem__('a').value") == 1


def test_a_refused_name_does_not_rename_the_node_of_its_cell(notebook: Notebook) -> None:
    notebook.cell("%%node a\na = 1")
    b = notebook.cell("%%node b\nb = 2")
    notebook.cell("%%node a\na = 2", b, fails=True)
    assert notebook.ask(f"list(__import__('flowbook').flow({notebook.flow!r}))") == ["a", "b"]
    assert notebook.of_flow("__getitem__('b').value") == 2


def test_a_removed_node_frees_its_name(notebook: Notebook) -> None:
    notebook.cell("%%node a\na = 1")
    notebook.cell(f"__import__('flowbook').flow({notebook.flow!r}).remove('a')")
    other = notebook.cell("%%node a\na = 2")
    assert shown_value(other) == "2"


def test_after_a_split_the_upper_half_with_the_magic_goes_on(notebook: Notebook) -> None:
    """JupyterLab gives the upper half a new id and leaves the lower half the old one."""
    lower = notebook.cell("%%node a\na = 1\nprint('tail')")
    upper = notebook.cell("%%node a\na = 1")
    assert shown_value(upper) == "1"
    notebook.cell("print('tail')", lower)
    assert status(notebook, "a") == "ok", "the lower half is plain code and takes nothing out"
    copy = notebook.cell("%%node a\na = 3", fails=True)
    assert f"In [{upper.execution_count}]" in copy.error


def test_after_a_split_the_lower_half_may_become_a_node_of_its_own(notebook: Notebook) -> None:
    lower = notebook.cell("%%node a\na = 1\nb = a + 1")
    notebook.cell("%%node a\na = 1")
    notebook.cell("%%node b\nb = a + 1", lower)
    assert shown_value(lower) == "2"
    assert notebook.ask(f"sorted(__import__('flowbook').flow({notebook.flow!r}))") == ["a", "b"]


def test_merged_cells_have_a_new_id_and_go_on(notebook: Notebook) -> None:
    first = wired(notebook)
    second = notebook.cell("x = 1")
    notebook.delete(first)
    notebook.delete(second)
    merged = notebook.cell("%%node late(rows, above: int = 10)\nlate = [row for row in rows if row > above]\nx = 1")
    assert shown_value(merged) == "[60]"
    assert KEPT.items() <= node(notebook, "late").items()


def test_a_moved_cell_keeps_its_id_and_nothing_happens(notebook: Notebook) -> None:
    cell = notebook.cell("%%node a\na = 1")
    notebook.cells.remove(cell)
    notebook.cells.append(cell)
    notebook.again(cell)
    assert notebook.of_flow("last_run.recomputed") == []


def test_without_cell_ids_the_same_name_is_a_hot_swap(notebook: Notebook) -> None:
    notebook.has_ids = False
    notebook.cell("%%node a\na = 1")
    second = notebook.cell("%%node a\na = 2")
    assert shown_value(second) == "2"
    third = notebook.cell("%%node b\nb = a")
    notebook.cell("%%node c\nc = a", third)
    assert notebook.ask(f"sorted(__import__('flowbook').flow({notebook.flow!r}))") == ["a", "b", "c"], (
        "no rename either"
    )


def test_functions_of_an_imported_module_belong_to_no_cell(notebook: Notebook, tmp_path: Path) -> None:
    """The second import runs nothing: that must not count as taking the functions out."""
    name = f"nodes_of_{notebook.flow}"
    text = f"import flowbook as fb\n@fb.flow({notebook.flow!r}).node\ndef shared(n: int = 1) -> int:\n    return n\n"
    (tmp_path / f"{name}.py").write_text(text)
    cell = notebook.cell(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport {name}")
    assert cell.outputs == []
    notebook.again(cell)
    assert status(notebook, "shared") == "idle"
    (tmp_path / f"{name}.py").write_text(text.replace("return n", "return n + 100"))
    notebook.cell(f"import importlib\nimportlib.invalidate_caches()\nimportlib.reload({name})")
    assert shown_value(notebook.cell("%%node reads\nreads = shared")) == "101"


# -- which flow


def test_the_flow_of_a_node_is_the_one_its_line_names(notebook: Notebook) -> None:
    cell = notebook.cell("%%node elsewhere.a\na = 1")
    assert cell.shown.node["flow"] == "elsewhere"


def test_a_cell_without_a_flow_stays_with_the_flow_it_belonged_to(notebook: Notebook) -> None:
    home = notebook.flow
    cell = notebook.cell("%%node a\na = 1")
    notebook.cell(f"%%node {home}_other.b\nb = 1")
    again = notebook.again(cell)
    assert again.shown.node["flow"] == home


def test_a_new_cell_goes_to_the_flow_whose_cell_ran_last(notebook: Notebook) -> None:
    home = notebook.flow
    notebook.cell("%%node a\na = 1")
    notebook.cell(f"%%node {home}_other.b\nb = 1")
    cell = notebook.cell("%%node c\nc = b + 1")
    assert cell.shown.node["flow"] == f"{home}_other"


def test_a_cell_that_moves_to_another_flow_leaves_the_first(notebook: Notebook) -> None:
    cell = notebook.cell("%%node a\na = 1")
    notebook.cell(f"%%node {notebook.flow}_other.a\na = 1", cell)
    assert status(notebook, "a") == "waiting"


def test_the_flow_line_magic_lists_flows_marks_the_current_one_and_switches(notebook: Notebook) -> None:
    home = notebook.flow
    notebook.cell("%%node a\na = 1")
    assert f"→ {home}  1 node" in notebook.cell("%flow").printed
    cell = notebook.cell(f"%flow {home}_new")
    assert f"→ {home}_new  0 nodes" in cell.printed
    assert f"  {home}  1 node" in cell.printed
    assert notebook.cell("%%node b\nb = 1").shown.node["flow"] == f"{home}_new"


def test_a_cell_that_is_edited_stays_with_its_flow_though_another_became_current(notebook: Notebook) -> None:
    other = f"{notebook.flow}_game"
    cell = notebook.cell("%%node worst\nworst = 1\nbest = 3")
    notebook.cell(f"import flowbook as fb\ngame = fb.flow({other!r})")
    notebook.cell("%%node worst\nworst = 2\nbest = 3", cell)
    assert notebook.of_flow("__getitem__('worst').value") == 2
    notebook.cell(f"%flow {other}")
    notebook.cell("%%node worst\nworst = 2")  # its upper half, after a split
    assert notebook.ask(f"list(__import__('flowbook').flow({other!r}))") == []


def test_without_cell_ids_a_name_of_another_flow_has_to_be_told(notebook: Notebook) -> None:
    other = f"{notebook.flow}_game"
    notebook.has_ids, notebook.is_attended = False, True
    notebook.cell("%%node worst\nworst = 1")
    notebook.cell(f"import flowbook as fb\ngame = fb.flow({other!r})")
    refused = notebook.cell("%%node worst\nworst = 2", fails=True)
    assert "FB541" in refused.error
    assert f"%%node {notebook.flow}.worst or %%node {other}.worst" in refused.error
    notebook.cell(f"%%node {notebook.flow}.worst\nworst = 2")
    assert notebook.of_flow("__getitem__('worst').value") == 2
    notebook.cell(f"%%node {other}.worst\nworst = 3")
    notebook.cell("%%node worst\nworst = 4")
    assert notebook.ask(f"__import__('flowbook').flow({other!r})['worst'].value") == 4


def test_a_program_that_runs_each_cell_once_takes_the_flow_of_the_cells_above(notebook: Notebook) -> None:
    other = f"{notebook.flow}_game"
    notebook.has_ids = False
    notebook.cell("%%node worst\nworst = 1")
    notebook.cell(f"import flowbook as fb\ngame = fb.flow({other!r})")
    notebook.cell("%%node worst\nworst = 2")
    assert notebook.of_flow("__getitem__('worst').value") == 1
    assert notebook.ask(f"__import__('flowbook').flow({other!r})['worst'].value") == 2


@pytest.mark.parametrize(
    "text", ["%%node base\nbase = 1", "@flow.node\ndef base() -> int:\n    return 1"], ids=["node", "function"]
)
def test_a_cell_whose_node_was_renamed_elsewhere_gives_it_its_name_back_with_its_readers(
    notebook: Notebook, text: str
) -> None:
    notebook.cell(f"import flowbook as fb\nflow = fb.flow({notebook.flow!r})")
    cell = notebook.cell(text)
    notebook.cell("%%node user\nuser = base + 1")
    before = notebook.of_flow("document_text()")
    notebook.cell("flow.rename('base', 'other')")
    assert notebook.of_flow("check()") == []
    notebook.again(cell)
    notebook.cell("await flow.run()")
    assert notebook.of_flow("document_text()") == before
    assert notebook.of_flow("__getitem__('user').value") == 2


def test_another_name_in_a_cell_leaves_those_that_read_the_old_one_waiting(notebook: Notebook) -> None:
    cell = notebook.cell("%%node base\nbase = 1")
    notebook.cell("%%node user\nuser = base + 1")
    notebook.cell("%%node other\nother = 1", cell)
    assert edges(notebook) == []
    assert notebook.ask(f"[found.code for found in __import__('flowbook').flow({notebook.flow!r}).check()]")
    notebook.cell("%%node base\nbase = 1", cell)
    assert edges(notebook) == []
    assert notebook.of_flow("run_sync()['user']") == 2
