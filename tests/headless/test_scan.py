"""What a notebook file says about its flows, read without running it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_notebook

from flowbook.errors import FlowbookError
from flowbook.headless.magic_words import read_magic_words
from flowbook.headless.scan import NotebookScan, assigned_names, read_notebook_cells
from flowbook.headless.static_flow import flows_of_notebook, free_names
from flowbook.notebook.magic_line import parse_node_line
from tests.headless.notebooks import code, text

if TYPE_CHECKING:
    from nbformat import NotebookNode


def _scan(*cells: str | NotebookNode) -> NotebookScan:
    return read_notebook_cells(new_notebook(cells=[code(cell) if isinstance(cell, str) else cell for cell in cells]))


@pytest.mark.parametrize(
    ("magic", "found"),
    [
        ("%%node late\n1", ("main", "late")),
        ("%%node flights.late\n1", ("flights", "late")),
        ("\n\n%%node late --define --timeout 3\n1", ("main", "late")),
        ("%%node late(flights, minutes: int = (15 + 1)) -> early, later --define\n1", ("main", "late")),
        ("%%node late(text: str = ')')\n1", ("main", "late")),
        ("%%node\nlate = 1\n_private = 2", ("main", "late")),
        ("%%node --define\nlate = 1", ("main", "late")),
        ("%%node -> a, b\nlate = 1", ("main", "late")),
    ],
)
def test_a_magic_line_names_its_node(magic: str, found: tuple[str, str]) -> None:
    scan = _scan(magic)

    assert [(node.flow, node.name) for node in scan.nodes] == [found]
    assert scan.problems == []


@pytest.mark.parametrize(
    "magic", ["%%node\na = b = 1", "%%node\nprint(1)", "%%nodes late\n1", "%%time\n1", "# %%node late"]
)
def test_a_cell_whose_name_only_the_kernel_knows_is_left_out(magic: str) -> None:
    assert _scan(magic).nodes == []


@pytest.mark.parametrize(
    ("magic", "code_name", "fragment"),
    [
        ("%%node late(x: int\n1", "FB504", "signature"),
        ("%%node late or early\n1", "FB503", "'or'"),
        ("%%node class\n1", "FB501", "'class'"),
        ("%%node late -> 1st\n1", "FB505", "'1st'"),
        ("%%node late --difine\n1", "FB506", "--difine"),
    ],
)
def test_a_magic_line_that_cannot_be_right_is_a_problem_with_its_place(
    magic: str, code_name: str, fragment: str
) -> None:
    (problem,) = _scan("1", magic).problems

    assert problem.code == code_name
    assert fragment in problem.what
    assert problem.where == "cell 2"


_PIECES = ("late", "x.late", "my-node", "(a, b: int = 3)", "(a='->)')", "(*a)", "(a", "-> a, b", "->a,", "-> (a)",
           "-> a a", "->", "--define", "--retry 3", "--retry=3", "--cache off", "--bogus", "# x (", ",", "class"
           )  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=4).map(" ".join))
def test_the_line_is_read_as_the_kernel_reads_it(line: str) -> None:
    """Only the value of an option is left to the kernel."""
    ours = read_magic_words(line)
    code_name, theirs = "", None
    try:
        theirs = parse_node_line(line)
    except FlowbookError as error:
        code_name = error.code
    if theirs is None:
        assert code_name == "FB507" or ours.problem is not None
    else:
        assert (ours.problem, ours.flow, ours.name, ours.outputs) == (None, theirs.flow, theirs.name, theirs.outputs)
        assert (ours.function is None) == (theirs.parameters is None)


@pytest.mark.parametrize(
    "source",
    [
        "import flowbook as fb\nflow = fb.flow('x')\n@flow.node\ndef late(): ...",
        "import flowbook\nf = flowbook.flow('x')\n@f.node(outputs=('a', 'b'))\nasync def late(): ...",
        "from flowbook import flow as make\nf: object = make('x')\n!ls\nx = %timeit 1\n@f.node\ndef late(): ...",
        "%matplotlib inline\nfb.flow?\n@fb.flow('x').node\ndef late(): ...",
        "%%time\nf = fb.flow('x')\n@f.node(name='late')\ndef other(): ...",
    ],
)
def test_a_decorated_function_is_a_node_of_the_flow_that_decorates_it(source: str) -> None:
    assert [(node.flow, node.name) for node in _scan(source).nodes] == [("x", "late")]


@pytest.mark.parametrize(
    "source",
    [
        "@fb.node\ndef late(): ...",
        "@somebody.node\ndef late(): ...",
        "flow = make_flow()\n@flow.node\ndef late(): ...",
        "flow = fb.flow('x')\nflow = 1\n@flow.node\ndef late(): ...",
        "flow = fb.flow('x')\nif 0:\n    @flow.node\n    def late(): ...",
        "flow = fb.flow('x')\n@flow.node(name=computed())\ndef late(): ...",
        "this is not Python",
    ],
)
def test_what_cannot_be_known_without_running_it_is_left_out(source: str) -> None:
    assert _scan(source).nodes == []


def test_a_node_without_a_flow_belongs_to_the_one_that_was_last_defined_in() -> None:
    cells = ["%%node a\n1", "%%flow x\n", "%%node b\n1", "%%node y.c\n1", "%%node d\n1", "%flow z\n1", "%%node e\n1"]

    assert [(node.flow, node.name) for node in _scan(*cells).nodes] == [
        ("main", "a"),
        ("x", "b"),
        ("y", "c"),
        ("y", "d"),
        ("z", "e"),
    ]


def test_cells_are_counted_as_a_fresh_kernel_counts_them() -> None:
    skipped = code("%%node a\n1", "skip-execution")

    scan = _scan(text("%%node a"), "", "   \n", skipped, "1", "%%node a\n1")

    assert [(node.place.number, node.place.position) for node in scan.nodes] == [(2, 5)]


@pytest.mark.parametrize(
    "cells",
    [
        ["%%node late\n1", "%%node other.late\n1"],
        ["flow = fb.Flow('x')\n@flow.node\ndef late(): ...", "flow = fb.Flow('x')\n@flow.node\ndef late(): ..."],
        ["flow = fb.flow('x')\n@flow.node\ndef late(): ...\n@flow.node\ndef late(): ..."],
        ["%%node late\n1", "fb.flow('main')\n@fb.node\ndef late(): ..."],
    ],
)
def test_what_may_be_two_different_nodes_is_no_duplicate(cells: list[str]) -> None:
    assert _scan(*cells).duplicates() == []


def test_ports_settings_and_wiring_come_from_the_text_alone() -> None:
    scan = _scan(
        "import polars as pl\nflow = fb.flow('x')",
        "@flow.node\ndef flights(path: Path = Path('a')) -> pl.LazyFrame:\n    'All.\\n\\nMore.'\n    raise SystemExit",
        "@flow.node\ndef late(flights: pl.LazyFrame, minutes: Annotated[int, fb.Setting(min=0, max=99)] = 15): ...",
        "%%node x.chart\nimport altair as alt\nrows = [row for row in late]\nchart = alt.Chart(rows, str(missing))",
    )

    (flow,) = flows_of_notebook(scan)

    assert list(flow.data.nodes) == ["flights", "late", "chart"]
    assert flow.data.type_of("flights").doc == "All."
    assert [(spec.name, spec.control) for spec in flow.data.type_of("late").settings] == [("minutes", "slider")]
    assert [port.name for port in flow.data.type_of("late").inputs] == ["flights"]
    assert [port.name for port in flow.data.type_of("chart").inputs] == ["late", "missing"]
    assert [port.name for port in flow.data.type_of("chart").outputs] == ["chart"]
    assert flow.problems == []


def test_names_a_body_binds_anywhere_are_not_read_from_outside() -> None:
    body = """
import os.path, sys as system
from a import b as c
def f(x, *y, **z): return x + y + z + g
with open(p) as q: pass
try: pass
except ValueError as e: print(e)
for i, j in k: l = i
m = [n for n in o]
class T: pass
lambda u: u
(v := w)
"""
    assert free_names(body) == ["g", "k", "o", "p", "w"]


def test_the_names_a_parameters_cell_assigns_are_found_behind_magics_and_in_branches() -> None:
    source = "%matplotlib inline\nmonth = 7\na: int = 1\nif month: b = 2\n(c, [d]) = 1, [2]\n"
    source += "def f():\n    e = 1\n[g for g in []]"

    assert assigned_names(source) == {"month", "a", "b", "c", "d"}


def test_a_cell_that_makes_a_flow_turns_to_it() -> None:
    found = _scan('import flowbook as fb\nflow = fb.flow("x")', "%%node late\nlate = 1")
    assert [(node.flow, node.name) for node in found.nodes] == [("x", "late")]
