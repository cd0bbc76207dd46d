"""What a name means that a node cell reads and does not bind: a node, code of the notebook, a value, or nothing yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.notebook.kernel_driver import CANVAS_MIME, run_headless

if TYPE_CHECKING:
    from tests.notebook.kernel_driver import Cell, Notebook


def last_line(cell: Cell) -> str:
    """The value, as text."""
    return cell.shown.text.splitlines()[-1]


def test_the_name_of_a_node_is_an_input(notebook: Notebook) -> None:
    notebook.cell("%%node a\na = 1")
    cell = notebook.cell("%%node b\nb = a + 1")
    assert last_line(cell) == "2"
    assert notebook.ask(f"[*map(list, __import__('flowbook').flow({notebook.flow!r}).wiring.links)]") == [["b", "a"]]


def test_the_name_of_one_nodes_output_is_an_input(notebook: Notebook) -> None:
    notebook.cell("%%node split -> train, test\ntrain = [1, 2]\ntest = [3]")
    cell = notebook.cell("%%node fit\nfit = sum(train)")
    assert last_line(cell) == "3"


def test_an_ambiguous_name_is_an_error_that_names_the_candidates(notebook: Notebook) -> None:
    notebook.cell("%%node one -> part, left\npart = 1\nleft = 2")
    notebook.cell("%%node two -> part, right\npart = 3\nright = 4")
    other = notebook.cell("%%node uses_left\nuses_left = left")
    assert last_line(other) == "2", "nobody reads the ambiguous name yet"
    cell = notebook.cell("%%node reader\nreader = part", fails=True)
    assert "[FB204]" in cell.error
    assert "one.part" in cell.error
    assert "two.part" in cell.error


def test_a_module_a_class_and_a_function_are_environment_and_drawn_nowhere(notebook: Notebook) -> None:
    notebook.cell("""
        import math
        class Shape:
            sides = 4
        def double(x):
            return 2 * x
    """)
    cell = notebook.cell("%%node n\nn = double(Shape.sides) + math.floor(0.5)")
    assert last_line(cell) == "8"
    assert notebook.of_flow("check()") == []
    drawn = notebook.cell(f"__import__('flowbook').flow({notebook.flow!r})").bundles(CANVAS_MIME)[0]
    assert [card["id"] for card in drawn["nodes"]] == ["n"]
    assert drawn["nodes"][0]["inputs"] == []


def test_editing_a_helper_makes_stale_what_uses_it_and_nothing_else(notebook: Notebook) -> None:
    helper = notebook.cell("def deeper(x):\n    return x + 1\ndef helper(x):\n    return deeper(x)")
    uses = notebook.cell("%%node uses\nuses = helper(1)")
    notebook.cell("%%node other\nother = 5")
    notebook.cell("def deeper(x):\n    return x + 10\ndef helper(x):\n    return deeper(x)", helper)
    stale = notebook.of_flow("stale()")
    assert list(stale) == ["uses"]
    assert "deeper" in stale["uses"]
    run = notebook.cell(f"run = await __import__('flowbook').flow({notebook.flow!r}).run()\nprint(run.explain('uses'))")
    assert notebook.of_flow("last_run.recomputed") == ["uses"]
    assert "deeper" in run.printed
    assert last_line(uses) == "11"


def test_the_same_helper_run_again_changes_nothing(notebook: Notebook) -> None:
    helper = notebook.cell("# first\ndef helper(x):\n    return x + 1")
    notebook.cell("%%node uses\nuses = helper(1)")
    notebook.cell("# another comment\n\ndef helper(x):\n    return x + 1", helper)
    assert notebook.of_flow("stale()") == {}


def test_any_other_value_is_a_notebook_input_and_changing_it_makes_stale(notebook: Notebook) -> None:
    notebook.cell("month = 6")
    cell = notebook.cell("%%node label\nlabel = f'month {month}'")
    drawn = notebook.cell(f"flow = __import__('flowbook').flow({notebook.flow!r})\nflow").bundles(CANVAS_MIME)[0]
    source = next(card for card in drawn["nodes"] if card["kind"] == "input")
    assert source["stamp"] == "from notebook"
    assert source["outputs"][0]["shape"] == "6"
    assert [(edge["source"], edge["target"]) for edge in drawn["edges"]] == [(source["id"], "label")]
    notebook.cell("month = 7")
    assert "month" in notebook.of_flow("stale()")["label"]
    notebook.cell("await flow.run()")
    assert last_line(cell) == "'month 7'"


def test_a_value_too_large_to_read_counts_by_identity(notebook: Notebook) -> None:
    notebook.cell("import numpy as np\nlarge = np.zeros(3_000_000)")
    notebook.cell("%%node total\ntotal = float(large.sum())")
    assert notebook.of_flow("stale()") == {}
    notebook.cell("large = np.zeros(3_000_000)")
    assert list(notebook.of_flow("stale()")) == ["total"]


def test_an_unbound_name_waits_and_says_what_is_missing(notebook: Notebook) -> None:
    cell = notebook.cell("%%node later\nlater = nowhere + 1", fails=True)
    assert "nowhere" in cell.error
    assert "[FB4" in cell.error
    assert "hint" in cell.error
    assert "/flowbook/" not in cell.error
    assert notebook.of_flow("check()[0].code") == notebook.of_flow("last_run.errors[0].code")


def test_an_unbound_name_is_adopted_by_a_node_of_that_name(notebook: Notebook) -> None:
    cell = notebook.cell("%%node later --define\nlater = source + 1")
    notebook.cell("%%node source\nsource = 1")
    notebook.cell(f"await __import__('flowbook').flow({notebook.flow!r}).run()")
    assert last_line(notebook.again(cell)) != "2", "--define shows the card"
    assert notebook.of_flow("__getitem__('later').value") == 2


def test_an_unbound_name_is_adopted_by_an_output_of_that_name(notebook: Notebook) -> None:
    notebook.cell("%%node later --define\nlater = left + 1")
    notebook.cell("%%node pair -> left, right\nleft = 1\nright = 2")
    notebook.cell("%%node after\nafter = later")
    assert notebook.of_flow("__getitem__('later').value") == 2


def test_a_node_wins_over_a_variable_as_soon_as_there_is_one(notebook: Notebook) -> None:
    notebook.cell("base = 100")
    cell = notebook.cell("%%node sum_up\nsum_up = base + 1")
    assert last_line(cell) == "101"
    notebook.cell("%%node base\nbase = 1")
    assert list(notebook.of_flow("stale()")) == ["sum_up"]
    notebook.again(cell)
    assert last_line(cell) == "2"
    notebook.cell("base = 200")
    assert notebook.of_flow("stale()") == {}


def test_a_parameters_cell_drives_the_flow(notebook: Notebook) -> None:
    parameters = notebook.cell("month = 1\npath = 'a'")
    notebook.cell("%%node rows --define\nrows = [path] * month")
    count = notebook.cell("%%node count\ncount = len(rows)")
    assert last_line(count) == "1"
    notebook.cell("month = 7\npath = 'b'", parameters)
    notebook.cell(f"await __import__('flowbook').flow({notebook.flow!r}).run()")
    assert last_line(count) == "7"


def test_a_signature_makes_settings_of_its_defaults_and_names_its_inputs(notebook: Notebook) -> None:
    notebook.cell("%%node rows\nrows = [1, 5, 9]")
    notebook.cell("bonus = 1000")
    cell = notebook.cell("%%node big(rows, above: int = 4) -> big\nbig = [row + bonus for row in rows if row > above]")
    assert last_line(cell) == "[1005, 1009]"
    assert notebook.of_flow("__getitem__('big').settings.__getitem__('above')") == 4


def test_a_setting_is_not_taken_from_the_notebook(notebook: Notebook) -> None:
    notebook.cell("above = 8")
    cell = notebook.cell("%%node big(above: int = 4)\nbig = above")
    assert last_line(cell) == "4"


def test_a_builtin_is_a_builtin_until_a_node_bears_its_name(notebook: Notebook) -> None:
    cell = notebook.cell("%%node n\nn = str(max(1, 2))")
    assert last_line(cell) == "'2'"
    notebook.cell("%%node max\nmax = lambda *a: 'node'")
    assert last_line(notebook.again(cell)) == "'node'"


def test_a_node_cannot_change_the_notebook(notebook: Notebook) -> None:
    notebook.cell("items = [1]")
    notebook.cell("%%node n\nfor item in items: last = item\nn = last")
    assert notebook.ask("sorted(name for name in globals() if name in ('item', 'last', 'n', 'items'))") == ["items"]


def test_names_mean_the_same_without_cell_ids() -> None:
    cells = run_headless(
        [
            "month = 3\ndef double(x): return 2 * x",
            "%%node later --define\nlater = source + month",
            "%%node source\nsource = double(month)",
            "month = 4",
            "import flowbook as fb\nrun = await fb.flow().run()\nprint(run['later'])",
        ]
    )
    assert [cell.status for cell in cells] == ["ok"] * 5, [cell.error for cell in cells]
    assert "12\n" in cells[4].text
    assert cells[2].shown.text.splitlines()[-1] == "8", "updated by the run two cells later"
