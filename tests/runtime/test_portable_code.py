"""A node's function goes to another process with all it reads, and means there what it means here."""

from __future__ import annotations

import enum
import textwrap
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from flowbook.core.interfaces import Effects
from flowbook.core.node_types import NodeType, node_type_of
from flowbook.errors import RunError
from flowbook.notebook.cell_function import build
from flowbook.notebook.magics import node_type_of_cell
from flowbook.registry.magic_line import parse_node_line
from flowbook.runtime.capture import StreamCapture
from flowbook.runtime.context import Context
from flowbook.runtime.portable_code import call_isolated, portable_code
from flowbook.runtime.source_types import describe_type, type_from_source
from flowbook.sandbox.process_pool import ProcessPool
from flowbook.session import Flow

if TYPE_CHECKING:
    from collections.abc import Iterator

FACTOR = 3


class Unit(enum.Enum):
    MILE = 1.6
    KM = 1.0


def scaled(n: int, unit: Unit = Unit.MILE) -> float:
    return n * FACTOR * unit.value


class Names:
    """The notebook's variables."""

    def __init__(self, **names: Any) -> None:
        self.names = names

    def bound_names(self) -> list[str]:
        return list(self.names)

    def lookup(self, name: str) -> tuple[bool, Any]:
        return (True, self.names[name]) if name in self.names else (False, None)


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    made = ProcessPool(["polars"], most_workers=1)
    yield made
    made.close()


def fire(pool: ProcessPool, node_type: NodeType, names: Names | None = None, **arguments: Any) -> tuple[Any, Effects]:
    effects, capture = Effects(), StreamCapture(passes_through=False)
    context = Context(flow="f", node_id="n", trace_id="ab" * 16, attempt=2, effects=effects)
    with capture.installed(), capture.firing(effects):
        returned = call_isolated(pool, node_type, arguments, context, names or Names(), timeout_s=60)
    return returned, effects


def cell_type(line: str, body: str, names: Names) -> NodeType:
    parsed, text = parse_node_line(line), textwrap.dedent(body)
    made = build(parsed, text, filename="<cell 9>", namespace=names.names, first_line=2)
    return node_type_of_cell(made, parsed, Flow("portable"))


def test_a_function_of_a_module_is_imported(pool: ProcessPool) -> None:
    node_type = node_type_of(scaled)
    assert portable_code(node_type, Names().lookup).module == __name__
    assert fire(pool, node_type, n=2, unit=Unit.KM)[0] == 6.0


def test_a_function_of_a_function_takes_its_surroundings_along(pool: ProcessPool) -> None:
    offset = 100

    def helper(n: int) -> int:
        return n + offset

    def node(n: int, frame: pl.DataFrame) -> pl.DataFrame:
        print("got", n)  # noqa: T201 -- what is tested
        return frame.with_columns(y=pl.col("x") + helper(n))

    returned, effects = fire(pool, node_type_of(node), n=1, frame=pl.DataFrame({"x": [1, 2]}))
    assert returned["y"].to_list() == [102, 103]
    assert effects.entries == [("stdout", "got 1\n")]


def test_its_error_shows_the_line_of_this_file(pool: ProcessPool) -> None:
    def fails(n: int) -> int:
        first = n - n
        return n // first

    with pytest.raises(ZeroDivisionError) as caught:
        fire(pool, node_type_of(fails), n=1)
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.filename, last.name) == (__file__, "fails")
    assert last.lineno == fails.__code__.co_firstlineno + 2
    assert last.line == "return n // first"


def test_a_context_is_given_over_there_and_progress_comes_back(pool: ProcessPool) -> None:
    def patient(n: int, context: Context) -> tuple[int, str, int]:
        context.progress(0.25)
        return n, context.node_id, context.attempt

    node_type = replace(node_type_of(patient), context_name="context")
    returned, effects = fire(pool, node_type, n=5, context=None)
    assert returned == (5, "n", 2)
    assert effects.progress == 0.25


def test_a_cell_gives_its_outputs_by_name_and_reads_the_notebooks_code(pool: ProcessPool) -> None:
    names = Names(pl=pl, scaled=scaled, limit=4)
    node_type = cell_type(
        "late -> late, count", "late = [scaled(n) for n in flights if n > limit]\ncount = len(late)", names
    )
    returned, _ = fire(pool, node_type, names, flights=[1, 5], limit=4, scaled=scaled)
    assert returned == {"late": [24.0], "count": 1}


def test_a_name_that_an_edge_feeds_is_not_taken_from_the_notebook(pool: ProcessPool) -> None:
    names = Names(scaled=scaled)
    node_type = cell_type("out", "out = scaled + 1", names)
    assert fire(pool, node_type, names, scaled=41)[0] == {"out": 42}


@pytest.mark.parametrize("ending", ["n // 0", "n; n // 0", "(\n    n //\n    0\n)"])
def test_a_cell_that_ends_in_an_expression_keeps_its_lines(pool: ProcessPool, ending: str) -> None:
    node_type = cell_type("out", f"# a comment\nother = n\n\n{ending}", Names())
    with pytest.raises(ZeroDivisionError) as caught:
        fire(pool, node_type, n=1)
    lines = [frame.lineno for frame in traceback.extract_tb(caught.value.__traceback__) if frame.filename == "<cell 9>"]
    assert lines == [6 if ending.startswith("(") else 5]


def test_a_class_of_the_notebook_comes_back_as_itself(pool: ProcessPool) -> None:
    """As long as the code names it; the notebook is ``__main__`` on both sides."""
    text = "class Point:\n    def __init__(self, x):\n        self.x = x\n"
    import linecache
    import sys

    linecache.cache["<cell 3>"] = (len(text), None, text.splitlines(keepends=True), "<cell 3>")
    main = sys.modules["__main__"]
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, "<cell 3>", "exec"), scope)  # noqa: S102 -- as a kernel runs a cell
    names = Names(Point=scope["Point"])
    main.Point = scope["Point"]  # type: ignore[attr-defined]
    try:
        node_type = cell_type("moved", "moved = Point(given.x + 1)", names)
        returned, _ = fire(pool, node_type, names, given=scope["Point"](1), Point=scope["Point"])
        assert type(returned["moved"]) is scope["Point"]
        assert returned["moved"].x == 2
    finally:
        del main.Point


def test_an_opened_documents_type_runs_there_too(pool: ProcessPool) -> None:
    def counts(rows: list[int], unit: Unit = Unit.MILE) -> float:
        return len(rows) * unit.value

    opened = type_from_source(describe_type(node_type_of(counts), Names().lookup))
    assert opened.origin == "document"
    assert fire(pool, opened, rows=[1, 2], unit="KM")[0] == 2.0


def test_a_node_folder_is_run_from_its_file(pool: ProcessPool) -> None:
    from flowbook.session import session

    node_type = session.registry.get("table.filter")
    frame = pl.LazyFrame({"x": [1, 5]})
    assert fire(pool, node_type, table=frame, predicate="x > 2")[0].collect()["x"].to_list() == [5]


def test_code_that_cannot_be_told_apart_is_refused_in_words() -> None:
    node_type = node_type_of(eval("lambda n: n"), type_id="odd")  # noqa: S307 -- a function without source
    with pytest.raises(RunError, match="the code of 'odd' cannot go to another process") as caught:
        portable_code(node_type, Names().lookup)
    assert caught.value.code == "FB423"


def test_a_cancelled_firing_ends_its_process(pool: ProcessPool) -> None:
    context = Context(flow="f", node_id="n", trace_id="ab" * 16, attempt=1, effects=Effects())

    def endless() -> None:
        while True:
            pass

    context.cancel()
    with pytest.raises(RunError, match="FB405"):
        call_isolated(pool, node_type_of(endless), {}, context, Names())
