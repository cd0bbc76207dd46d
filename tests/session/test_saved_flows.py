"""A flow that is saved and opened is the same flow, and opening runs nothing."""

from __future__ import annotations

import itertools
import json
import linecache
import resource
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import flowbook as fb
from flowbook.core.document import dump
from tests.notebook.kernel_driver import started_notebook

if TYPE_CHECKING:
    from pathlib import Path

_cell_numbers = itertools.count(1)


def notebook(source: str, **names: Any) -> dict[str, Any]:
    """Run code as a notebook's cell: in ``__main__``, with its text where Python looks for the text of cells."""
    text = textwrap.dedent(source)
    filename = f"/tmp/ipykernel_0/{next(_cell_numbers)}.py"  # noqa: S108 -- never written
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    namespace = {"__name__": "__main__", "fb": fb, **names}
    exec(compile(text, filename, "exec"), namespace)  # noqa: S102 -- our own text
    return namespace


def saved(source: str, path: Path) -> tuple[fb.Flow, fb.Flow]:
    """Make a flow of a notebook, save it, and open it where the notebook is not."""
    flow = fb.Flow("saved")
    notebook(source, flow=flow)
    return flow, fb.Flow.open(flow.save(path / "saved.flow.json"))


def value(flow: fb.Flow, node_id: str = "n") -> Any:
    run = flow.run_sync()
    outputs = flow[node_id].node_type.outputs
    return {port.name: run[f"{node_id}.{port.name}"] for port in outputs} if len(outputs) > 1 else run[node_id]


CODE = {
    "a setting": ("""
        @flow.node
        def n(count: int = 2) -> int:
            return count * 3
    """, 6),
    "helpers and constants": ("""
        LIMIT = 3
        def double(x): return twice(x) + LIMIT
        def twice(x): return 2 * x
        @flow.node
        def n(count: int = 2) -> int:
            return double(count)
    """, 7),
    "helpers that call each other": ("""
        def even(n): return n == 0 or odd(n - 1)
        def odd(n): return n != 0 and even(n - 1)
        @flow.node
        def n() -> bool:
            return even(10)
    """, True),
    "a helper under two names": ("""
        def double(x): return 2 * x
        twice = double
        @flow.node
        def n() -> int:
            return twice(4)
    """, 8),
    "a helper that is a lambda": ("""
        twice = lambda x: 2 * x
        @flow.node
        def n() -> int:
            return twice(4)
    """, 8),
    "a default of a helper": ("""
        SEED = 4
        def grow(x=SEED): return x
        @flow.node
        def n() -> int:
            return grow()
    """, 4),
    "a helper with a decorator": ("""
        from contextlib import contextmanager
        @contextmanager
        def opened():
            yield 5
        @flow.node
        def n() -> int:
            with opened() as x:
                return x
    """, 5),
    "a helper with a cache": ("""
        import functools
        @functools.cache
        def slow(x): return x + 1
        @flow.node
        def n() -> int:
            return slow(1) + slow(1)
    """, 4),
    "another node's function": ("""
        @flow.node
        def other() -> int:
            return 1
        @flow.node
        def n() -> int:
            return other() + 1
    """, 2),
    "imports of every kind": ("""
        import os.path
        import math as maths
        from os.path import join as glue
        from polars import col
        import polars as pl
        @flow.node
        def n() -> str:
            def inner():
                return maths.floor(maths.pi)
            table = pl.DataFrame({"a": [inner()]}).select(col("a") + 1)
            return glue("a", os.path.basename("b/c")) + str(table.item())
    """, "a/c4"),
    "values that are no literals": ("""
        import datetime as dt, re
        from decimal import Decimal
        from pathlib import Path
        PATTERN = re.compile("A+", re.IGNORECASE)
        DAY = dt.date(2013, 1, 1)
        HOURS = [dt.timedelta(hours=1), dt.timedelta(hours=2)]
        HOME = Path("data")
        PRICE = Decimal("1.10")
        NOT_A_NUMBER = float("nan")
        PAIRS = {("a", 1): {2, 3}, ("b",): frozenset(), (): set()}
        @flow.node
        def n() -> str:
            found, seconds = bool(PATTERN.match("aa")), sum(each.seconds for each in HOURS)
            return f"{found} {DAY.year} {seconds} {HOME / 'a'} {PRICE} {NOT_A_NUMBER} {len(PAIRS)}"
    """, "True 2013 10800 data/a 1.10 nan 3"),
    "a class": ("""
        BASE = 4
        class Model:
            def fit(self, count):
                return count + BASE
        class Better(Model):
            pass
        @flow.node
        def n(count: int = 1) -> int:
            return Better().fit(count)
    """, 5),
    "a variable of a function around it": ("""
        def make():
            factor = 3
            @flow.node
            def n(count: int = 2) -> int:
                return count * factor
        make()
    """, 6),
    "a computed default": ("""
        LIMIT = 7
        @flow.node
        def n(count: int = LIMIT * 2) -> int:
            return count
    """, 14),
    "a path as default": ("""
        from pathlib import Path
        @flow.node
        def n(path: Path = Path("a") / "b.csv") -> str:
            return f"{type(path).__mro__[1].__name__} {path.name}"
    """, "Path b.csv"),
    "a date as default": ("""
        import datetime as dt
        @flow.node
        def n(day: dt.date = dt.date(2013, 7, 4)) -> int:
            return day.month
    """, 7),
    "an Enum": ("""
        import enum
        class Color(enum.Enum):
            RED = 1
            BLUE = 2
        FAVOURITE = Color.RED
        @flow.node
        def n(color: Color = Color.BLUE) -> str:
            return f"{color.name} {color is Color.BLUE} {FAVOURITE.value}"
    """, "BLUE True 1"),
    "an Enum that only annotations name": ("""
        import enum
        class Color(enum.Enum):
            RED = 1
            BLUE = 2
        @flow.node
        def n(color: Color | None = None, colors: list[Color] = ["RED", "BLUE"]) -> str:
            return f"{color} {sum(each.value for each in colors)}"
    """, "None 3"),
    "aliases in annotations": ("""
        from typing import Annotated, Literal
        LOW = 1
        Count = Annotated[int, fb.Setting(min=LOW, max=9, unit="rows")]
        Mode = Literal["a", "b"]
        @flow.node
        def n(count: Count = 2, mode: Mode = "b", other: Annotated[int, fb.Setting(min=LOW)] = 3) -> str:
            return mode * count + str(other)
    """, "bb3"),
    "an async function": ("""
        import asyncio
        @flow.node
        async def n() -> int:
            await asyncio.sleep(0)
            return 4
    """, 4),
    "several outputs": ("""
        @flow.node(outputs=("low", "high"))
        def n() -> tuple[int, str]:
            return 1, "2"
    """, {"low": 1, "high": "2"}),
    "a NamedTuple": ("""
        from typing import NamedTuple
        class Parts(NamedTuple):
            low: int
            high: str
        @flow.node
        def n() -> Parts:
            return Parts(1, "2")
    """, {"low": 1, "high": "2"}),
    "a dataclass": ("""
        from dataclasses import dataclass, field
        @dataclass(frozen=True)
        class Parts:
            low: int
            high: list[str] = field(default_factory=lambda: ["2"])
        @flow.node
        def n() -> Parts:
            return Parts(1)
    """, {"low": 1, "high": ["2"]}),
    "a record of one field": ("""
        from typing import NamedTuple
        class Only(NamedTuple):
            table: int
        @flow.node
        def n() -> Only:
            return Only(3)
    """, 3),
    "a context": ("""
        @flow.node
        def n(ctx: fb.Context) -> str:
            return ctx.node_id
    """, "n"),
    "keyword-only parameters": ("""
        @flow.node
        def n(*, count: int = 3, word: str = "a") -> str:
            return word * count
    """, "aaa"),
    "annotations in quotes": ("""
        import polars as pl
        @flow.node
        def n(count: "int | None" = None) -> "int":
            return pl.DataFrame({"a": [count]}).height
    """, 1),
    "a docstring": ('''
        @flow.node
        def n(count: int = 1) -> int:
            """Say how many.

            Args:
                count: how many.
            """
            return count
    ''', 1),
    "a decorator of many lines": ("""
        @flow.node(
            timeout_s=5,
            retry=fb.Retry(max_attempts=2),
        )
        def n() -> int:
            return 1
    """, 1),
    "a lambda": ("""
        flow.node(name="n")(lambda count=2: count + 1)
    """, 3),
    "a function under another name": ("""
        def plain(count: int = 2) -> int:
            return count + 1 if count else plain(1)
        flow.node(name="n")(plain)
    """, 3),
}  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), CODE.values(), ids=CODE)
def test_code_of_every_kind_gives_the_same_value_when_it_is_opened(source: str, expected: Any, tmp_path: Path) -> None:
    flow, opened = saved(source, tmp_path)
    assert value(flow) == expected
    assert value(opened) == expected
    facts = ("settings", "doc", "policy", "is_async", "context_name")
    before, after = flow["n"].node_type, opened["n"].node_type
    assert [_fact(before, name) for name in facts] == [_fact(after, name) for name in facts]
    assert [(port.name, port.type, port.form) for port in (*before.inputs, *before.outputs)] == [
        (port.name, port.type, port.form) for port in (*after.inputs, *after.outputs)
    ]


def _fact(node_type: fb.NodeType, name: str) -> Any:
    if name != "settings":
        return getattr(node_type, name)
    # An opened flow knows an Enum by the names of its members, until the code is loaded.
    return [(spec.name, spec.default, spec.control, spec.min, spec.max, spec.options) for spec in node_type.settings]


@pytest.mark.parametrize("source", [source for source, _ in CODE.values()], ids=list(CODE))
def test_saving_what_was_opened_gives_the_same_file(source: str, tmp_path: Path) -> None:
    _, opened = saved(source, tmp_path)
    text = (tmp_path / "saved.flow.json").read_text()
    assert opened.save(tmp_path / "again.flow.json").read_text() == text


FLOW = """
    import polars as pl
    from typing import Annotated

    @flow.node
    def rows(count: Annotated[int, fb.Setting(min=0, max=9)] = 3) -> pl.LazyFrame:
        "Some rows."
        return pl.LazyFrame({"a": range(count)})

    @flow.node(kind="io", timeout_s=9, cache="off")
    def even(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.filter(pl.col("a") % 2 == 0)

    @flow.node
    def total(table: pl.DataFrame, factor: float = 1.0) -> float:
        return table["a"].sum() * factor
"""


def edited(path: Path) -> tuple[fb.Flow, fb.Flow]:
    """A flow with everything that a document holds."""
    flow = fb.Flow("everything", policy=fb.FlowPolicy(max_concurrency=3, on_error="stop"))
    notebook(FLOW, flow=flow)
    flow.connect("rows", "total.table")
    flow.disconnect("rows", "even.rows")
    flow.connect("rows", "even")
    flow.set("rows", count=7)
    flow.set_policy("rows", pinned=True, priority=4, retry=fb.Retry(max_attempts=5, delay_s=0.25))
    flow.data.set_position("rows", (40, 80))
    flow.data.metadata["description"] = "an <b>example</b>"
    flow.data.notes.append({"text": "look", "x": 1, "y": 2})
    flow.data.groups.append({"title": "both", "nodes": ["rows", "even"]})
    return flow, fb.Flow.open(flow.save(path / "everything.flow.json"))


def test_everything_of_a_document_comes_back(tmp_path: Path) -> None:
    flow, opened = edited(tmp_path)
    assert opened.name == "everything"
    assert opened.document() | {"types": []} == flow.document() | {"types": []}
    assert [opened[node_id].node_type.policy for node_id in opened] == [
        flow[node_id].node_type.policy for node_id in opened
    ]
    assert opened.plan.policy == flow.plan.policy
    assert opened.plan.slots[opened.plan.index["rows"]].policy == flow.plan.slots[flow.plan.index["rows"]].policy
    assert {(link.source, link.target_port, link.is_implicit) for link in opened.wiring.links.values()} == {
        (link.source, link.target_port, link.is_implicit) for link in flow.wiring.links.values()
    }
    assert (opened["rows"].settings["count"], opened["rows"].node_type.doc) == (7, "Some rows.")


def test_an_opened_flow_gives_the_same_values_for_the_same_reasons(tmp_path: Path) -> None:
    flow, opened = edited(tmp_path)
    facts = [
        [
            (span.node, span.status, span.stamp, span.reason, span.rows, span.copies)
            for span in each.run_sync().trace.spans
        ]
        for each in (flow, opened)
    ]
    assert facts[0] == facts[1]
    assert opened["total"].value == flow["total"].value == 21.0
    assert opened["even"].value.collect()["a"].to_list() == [0, 2, 4, 6]
    assert opened.run_sync().recomputed == ["even"], "io fires at every run, the rest is kept"


def test_the_file_is_the_canonical_document_with_types(tmp_path: Path) -> None:
    flow, _ = edited(tmp_path)
    document = json.loads((tmp_path / "everything.flow.json").read_text())
    assert [entry["id"] for entry in document["types"]] == ["even", "rows", "total"]
    assert all(set(entry) <= {"id", "source", "signature", "outputs", "policy"} for entry in document["types"])
    assert document["types"][1]["signature"] == ("(count: Annotated[int, fb.Setting(min=0, max=9)]=3) -> pl.LazyFrame")
    assert "types" not in flow.document(), "a notebook's document holds no code"
    assert "def rows" not in dump(flow.data)


def test_settings_of_an_opened_flow_can_be_moved(tmp_path: Path) -> None:
    _, opened = edited(tmp_path)
    opened.run_sync()
    opened.set("rows", count=2)
    assert set(opened.stale()) == {"rows", "even", "total"}
    assert opened.run_sync()["total"] == 1.0
    with pytest.raises(fb.DefinitionError, match="FB103"):
        opened.set("rows", count=10)


def test_an_enum_of_an_opened_flow_can_be_moved(tmp_path: Path) -> None:
    _, opened = saved(CODE["an Enum"][0], tmp_path)
    opened.set("n", color="RED")
    assert value(opened) == "RED False 1"
    with pytest.raises(fb.DefinitionError, match="FB103"):
        opened.set("n", color="GREEN")


def test_a_renamed_node_keeps_its_code(tmp_path: Path) -> None:
    flow, opened = saved(CODE["helpers and constants"][0], tmp_path)
    for each in (flow, opened):
        each.rename("n", "better")
        again = fb.Flow.open(each.save(tmp_path / "renamed.flow.json"))
        assert value(again, "better") == 7
        assert fb.Flow.open(again.save(tmp_path / "again.flow.json"))["better"].status == "idle"


def test_a_code_change_after_opening_is_seen(tmp_path: Path) -> None:
    _, opened = saved(CODE["a setting"][0], tmp_path)
    assert value(opened) == 6

    @opened.node
    def n(count: int = 2) -> int:
        return count * 5

    assert set(opened.stale()) == {"n"}
    assert value(opened) == 10


# -- opening runs nothing

LOUD = """
import sys
sys.modules["flowbook_was_run"] = sys


def n(path: int = sys.modules.setdefault("flowbook_default_was_run", 1)):
    return 1
"""


@pytest.fixture
def loud_file(tmp_path: Path) -> Path:
    """A file whose code leaves a mark when it is run."""
    path = tmp_path / "loud.flow.json"
    document = {
        "flowbook": "1",
        "id": "loud",
        "nodes": [{"id": "n", "typeId": "n"}],
        "types": [{"id": "n", "source": LOUD, "outputs": ["result"], "signature": "(path: int = print('also'))"}],
    }
    path.write_text(json.dumps(document))
    return path


def test_nothing_of_a_file_is_executed_before_a_node_fires(loud_file: Path) -> None:
    marks = ("flowbook_was_run", "flowbook_default_was_run")
    opened = fb.Flow.open(loud_file)
    assert opened["n"].node_type.setting("path") is not None or opened["n"].node_type.input("path") is not None
    opened.check()
    opened.stale()
    opened.document_text()
    opened.save(loud_file.with_name("again.flow.json"))
    assert repr(opened["n"])
    assert not any(mark in sys.modules for mark in marks)
    try:
        opened.run_sync(raise_errors=False)
        assert all(mark in sys.modules for mark in marks)
    finally:
        for mark in marks:
            sys.modules.pop(mark, None)


def test_code_is_compiled_once_however_often_it_fires(tmp_path: Path) -> None:
    _, opened = saved("""
        import itertools
        counter = [0]
        def tick(): counter[0] += 1; return counter[0]
        @flow.node
        def n() -> int:
            return tick()
    """, tmp_path)  # fmt: skip
    assert [opened.run_sync(force=True)["n"] for _ in range(3)] == [1, 2, 3]


def test_two_opened_flows_share_no_state(tmp_path: Path) -> None:
    source = """
        counter = [0]
        @flow.node
        def n() -> int:
            counter[0] += 1
            return counter[0]
    """
    _, one = saved(source, tmp_path)
    two = fb.Flow.open(tmp_path / "saved.flow.json")
    assert [one.run_sync(force=True)["n"] for _ in range(2)] == [1, 2]
    assert two.run_sync()["n"] == 1


def test_an_error_names_the_line_of_the_saved_code(tmp_path: Path) -> None:
    _, opened = saved("""
        LIMIT = 0
        @flow.node
        def n() -> float:
            return 1 / LIMIT
    """, tmp_path)  # fmt: skip
    error = opened.run_sync(raise_errors=False).errors[0]
    source = opened["n"].node_type.source.splitlines()
    assert error.message == "ZeroDivisionError: division by zero"
    assert error.line is not None
    assert source[error.line - 1].strip() == "return 1 / LIMIT"


def test_a_value_that_no_file_holds_is_named_when_it_is_missed(tmp_path: Path) -> None:
    flow, opened = saved("""
        import polars as pl
        TABLE = pl.DataFrame({"a": [1]})
        @flow.node
        def n() -> int:
            return TABLE.height
    """, tmp_path)  # fmt: skip
    assert value(flow) == 1
    error = opened.run_sync(raise_errors=False).errors[0]
    assert error.message == "NameError: name 'TABLE' is not defined"
    assert "make 'TABLE' a node or an input" in error.hint


# -- what cannot be read or written

BROKEN = {
    "no Python": ("def n(:\n", "not Python"),
    "another function": ("def m():\n    return 1\n", "no function of that name"),
    "a class of the name": ("class n: pass\n", "no function of that name"),
    "nothing": ("", "no function of that name"),
    "a null byte": ("def n():\n    return 1\0\n", "not Python"),
}


@pytest.mark.parametrize(("source", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_source_is_refused_and_the_flow_stays_as_it_was(source: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.flow.json"
    document = {
        "flowbook": "1",
        "id": "broken",
        "nodes": [{"id": "n", "typeId": "n"}],
        "types": [{"id": "n", "source": source}],
    }
    path.write_text(json.dumps(document))
    with pytest.raises(fb.DocumentError, match=message) as caught:
        fb.Flow.open(path)
    assert caught.value.code == "FB308"
    flow = fb.Flow("kept")
    flow.node(name="one")(lambda: 1)
    flow.run_sync()
    with pytest.raises(fb.DocumentError, match="FB308"):
        flow.replace_document(path.read_text())
    assert list(flow) == ["one"]
    assert flow["one"].value == 1


def test_a_signature_that_is_no_python_gives_way_to_the_code(tmp_path: Path) -> None:
    path = tmp_path / "odd.flow.json"
    source = "def n(count: int = 2):\n    return count\n"
    for signature in ("((", 5, None, "(other: int = 3)", "(count: int = 2): pass\ndef g(", ""):
        entry = {"id": "n", "source": source, "signature": signature}
        path.write_text(json.dumps({"flowbook": "1", "nodes": [{"id": "n", "typeId": "n"}], "types": [entry]}))
        assert value(fb.Flow.open(path)) == 2


def test_an_unwritable_path_leaves_the_old_file(tmp_path: Path) -> None:
    flow, _ = saved(CODE["a setting"][0], tmp_path)
    path = tmp_path / "saved.flow.json"
    old = path.read_bytes()
    flow.set("n", count=5)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))  # the disk is full after 16 bytes
    try:
        with pytest.raises(fb.DocumentError, match="cannot be written") as caught:
            flow.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == "FB305"
    assert caught.value.hint
    assert str(tmp_path) not in str(caught.value)
    assert path.read_bytes() == old
    with pytest.raises(fb.DocumentError, match="FB305"):
        flow.save(tmp_path / "no" / "such" / "folder.flow.json")
    with pytest.raises(fb.DocumentError, match="FB305"):
        flow.save(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["saved.flow.json"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"[", b"5", b'{"flowbook": "99"}'])
def test_an_unreadable_file_is_a_clear_error(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "odd.flow.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(fb.DocumentError) as caught:
        fb.Flow.open(path)
    assert caught.value.code.startswith("FB30")
    assert str(tmp_path) not in str(caught.value)


def test_a_type_that_nobody_knows_is_a_stub_that_keeps_settings_and_edges(tmp_path: Path) -> None:
    flow, _ = edited(tmp_path)
    path = tmp_path / "everything.flow.json"
    document = json.loads(path.read_text())
    document["types"] = [entry for entry in document["types"] if entry["id"] != "rows"]
    path.write_text(json.dumps(document))
    opened = fb.Flow.open(path)
    assert opened["rows"].status == "waiting"
    assert opened.document()["nodes"] == flow.document()["nodes"]
    assert opened.document()["edges"] == flow.document()["edges"]
    run = opened.run_sync(raise_errors=False)
    statuses = {span.node: span.status for span in run.trace.spans}
    assert statuses.pop("rows") == "waiting"
    # Both are ready: one fails, whichever comes first, and, as this flow says, the rest stops.
    assert sorted(statuses.items(), key=lambda entry: entry[1]) in (
        [("even", "failed"), ("total", "skipped")],
        [("total", "failed"), ("even", "skipped")],
    )
    assert [error.code for error in run.errors] == ["FB403"]
    again = fb.Flow.open(opened.save(tmp_path / "again.flow.json"))
    assert again.document()["nodes"] == flow.document()["nodes"]
    notebook(FLOW, flow=again)
    assert again["rows"].settings["count"] == 7, "what comes back finds its settings"
    assert again.run_sync()["total"] == 21.0


def test_code_without_a_text_of_its_own_is_saved_as_a_stub(tmp_path: Path) -> None:
    flow = fb.Flow("texts")
    both = [flow.node(name="a")(lambda: 1), flow.node(name="b")(lambda: 2)]  # two lambdas on a line
    flow.add("text".upper, "method")
    exec("@flow.node\ndef typed() -> int:\n    return 1", {"flow": flow})  # noqa: S102 -- code that no file holds
    assert flow.run_sync().status == "ok"
    assert len(both) == 2
    opened = fb.Flow.open(flow.save(tmp_path / "texts.flow.json"))
    assert {node_id: opened[node_id].status for node_id in opened} == dict.fromkeys(flow, "waiting")


# -- in a real notebook

IN_A_KERNEL = [
    """
    import enum
    from typing import NamedTuple
    import flowbook as fb
    import polars as pl
    flow = fb.flow("real")
    LIMIT = 2
    class Unit(enum.Enum):
        KM = 1
        MILE = 2
    class Parts(NamedTuple):
        low: pl.DataFrame
        high: pl.DataFrame
    def half(x):
        return x / LIMIT
    """,
    """
    @flow.node
    def rows(count: int = 4, unit: Unit = Unit.KM) -> pl.DataFrame:
        return pl.DataFrame({"a": range(count), "unit": unit.name})
    @flow.node
    def split(rows: pl.DataFrame) -> Parts:
        return Parts(rows.head(1), rows.tail(half(rows.height).__int__()))
    """,
    """
    %%node real.summed(high: pl.DataFrame, power: int = 2) -> summed, count
    import math
    summed = math.pow(half(high["a"].sum()), power)
    count = high.height
    """,
    """
    %%node real.later --kind io
    import asyncio
    await asyncio.sleep(0)
    later = summed + factor
    """,
]


def test_a_flow_of_cells_and_functions_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "real.flow.json"
    with started_notebook() as book:
        for code in IN_A_KERNEL:
            book.cell(code, fails="factor" in code)
        book.cell("flow.set('rows', count=6, unit='MILE')")
        book.cell(f"run = flow.run_sync(inputs={{'factor': 0.5}})\nflow.save({str(path)!r})")
        expected = book.ask("[run['summed'], run['summed.count'], run['later'], run['rows']['unit'][0]]")
    opened = fb.Flow.open(path)
    run = opened.run_sync(inputs={"factor": 0.5})
    assert [run["summed"], run["summed.count"], run["later"], run["rows"]["unit"][0]] == expected
    assert expected == [36.0, 3, 36.5, "MILE"]
    assert isinstance(run["split.low"], pl.DataFrame)
    assert opened["later"].node_type.policy.kind == "io"
    assert opened["summed"].settings["power"] == 2
    assert opened.run_sync().recomputed == ["later"]


def test_a_node_that_changes_its_inputs_still_gets_copies_of_them_when_opened(tmp_path: Path) -> None:
    flow, opened = saved(
        """
        import numpy as np

        @flow.node
        def made() -> np.ndarray:
            return np.zeros(3)

        @flow.node(mutable=["made"])
        def n(made: np.ndarray) -> float:
            made += 1
            return float(made.sum())
        """,
        tmp_path,
    )
    assert value(flow) == value(opened) == 3
    assert opened.run_sync(force=True).copies[0].reason == "mutable=True"
