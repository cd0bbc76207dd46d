"""Only what changed runs, and it says why: settings, code, helpers, globals, files, modules, edges."""

from __future__ import annotations

import importlib
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import flowbook as fb
from flowbook.runtime.code_checks import code_may_have_changed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType


def wide() -> fb.Flow:
    """``a -> b -> c -> d`` with ``a -> e`` and ``x -> y``; each has a setting n."""
    flow = fb.Flow("wide")

    def add(a: int, n: int = 0) -> int:
        return a + n

    @flow.node
    def a(n: int = 0) -> int:
        return n

    @flow.node
    def x(n: int = 0) -> int:
        return 100 + n

    for node_id, source in {"b": "a", "c": "b", "d": "c", "e": "a", "y": "x"}.items():
        flow.add(add, node_id)
        flow.connect(source, f"{node_id}.a")
    return flow


@pytest.mark.parametrize(
    ("moved", "fires"),
    [
        ("a", ["a", "b", "c", "d", "e"]),
        ("b", ["b", "c", "d"]),
        ("d", ["d"]),
        ("e", ["e"]),
        ("x", ["x", "y"]),
        ("y", ["y"]),
    ],
)
def test_after_a_moved_setting_exactly_the_nodes_below_it_fire(moved: str, fires: list[str]) -> None:
    flow = wide()
    flow.run_sync()
    flow[moved].settings["n"] = 7
    assert sorted(flow.stale()) == fires
    assert {node_id for node_id in flow if flow[node_id].stamp == "stale"} == set(fires)
    run = flow.run_sync()
    assert sorted(run.recomputed) == fires
    assert flow.stale() == {}
    cached = sorted(span.node for span in run.trace.spans if span.stamp == "cached")
    assert cached == sorted(set(flow) - set(fires))


def test_what_is_put_back_is_not_stale() -> None:
    flow = wide()
    flow.run_sync()
    flow["a"].settings["n"] = 7
    flow["a"].settings["n"] = 0
    assert flow.stale() == {}
    flow.set_policy("a", muted=True)
    flow.set_policy("a", muted=False)
    assert flow.run_sync().recomputed == []


def test_every_reason_is_said_in_words() -> None:
    flow = wide()
    first = flow.run_sync()
    assert first.explain("a") == "a fired: first run"
    flow["b"].settings["n"] = 30
    assert flow.stale() == {"b": "setting n 0 → 30", "c": "b is stale", "d": "c is stale"}
    assert (flow["b"].reason, flow["c"].reason, flow["a"].reason) == ("setting n 0 → 30", "b is stale", "first run")
    run = flow.run_sync()
    assert run.explain("a") == "a was reused: nothing changed"
    assert run.explain("b") == "b fired: setting n 0 → 30"
    assert run.explain("c") == "c fired: b changed"
    assert flow.run_sync(only="e", force=True).explain("e") == "e fired: forced"
    flow.connect("x", "e.a")
    assert flow.run_sync().explain("e") == "e fired: x changed"
    flow["b"].settings["n"] = 31
    flow.connect("x", "b.a")
    assert flow.run_sync().explain("b") == "b fired: setting n 30 → 31 (and 1 more)"
    flow.set("a", n=1)
    run = flow.start(to="a")
    with pytest.raises(KeyError, match="does not cover 'b'"):
        run.explain("b")
    run.wait()


def test_explaining_what_is_not_there_helps() -> None:
    run = wide().run_sync()
    with pytest.raises(KeyError, match="does not cover 'aa'"):
        run.explain("aa")


def test_changed_code_fires_what_it_must_and_says_so() -> None:
    flow = fb.Flow("code")

    def define(factor: int) -> None:
        @flow.node
        def source() -> int:
            return 3

        if factor == 1:

            @flow.node
            def scaled(source: int) -> int:
                return source

        else:

            @flow.node
            def scaled(source: int) -> int:
                return source * 2

        @flow.node
        def reader(scaled: int) -> int:
            return scaled

    define(1)
    flow.run_sync()
    define(1)
    assert flow.stale() == {}
    assert flow.run_sync().recomputed == []
    define(2)
    assert set(flow.stale()) == {"scaled", "reader"}
    run = flow.run_sync()
    assert run.recomputed == ["scaled", "reader"]
    assert run.explain("scaled") == "scaled fired: code of `scaled` changed"


# -- what code reaches: a module of the user's own, with a helper, a helper's helper, a constant and a class


MODULE = """
LIMIT = 10
UNUSED = 1

def helper(x):
    return deeper(x) + 1

def deeper(x):
    return x * 2

def other(x):
    return x

class Scale:
    factor = 2
    def apply(self, x):
        return x * self.factor

def by_helper(source):
    return helper(source)

def by_limit(source):
    return min(source, LIMIT)

def by_class(source):
    return Scale().apply(source)

def by_nothing(source):
    return source

def source():
    return 5
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module in a folder of its own, loaded."""
    path = tmp_path / "own_module.py"
    path.write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield importlib.import_module("own_module")
    del sys.modules["own_module"]


def nodes_of(module: ModuleType, flow: fb.Flow) -> None:
    for name in ("source", "by_helper", "by_limit", "by_class", "by_nothing"):
        flow.node(vars(module)[name])


@pytest.mark.parametrize(
    ("before", "after", "fires", "words"),
    [
        ("x * 2\n", "x * 3\n", "by_helper", "deeper"),
        ("deeper(x) + 1", "deeper(x) + 2", "by_helper", "helper"),
        ("LIMIT = 10", "LIMIT = 4", "by_limit", "LIMIT 10 → 4"),
        ("factor = 2", "factor = 3", "by_class", "Scale"),
        ("return x * self.factor", "return -x * self.factor", "by_class", "Scale"),
        (
            "def by_nothing(source):\n    return source",
            "def by_nothing(source):\n    return -source",
            "by_nothing",
            "code",
        ),
        ("UNUSED = 1", "UNUSED = 2", None, ""),
        ("def other(x):\n    return x", "def other(x):\n    return -x", None, ""),
        ("LIMIT = 10", "# a comment\nLIMIT = 10", None, ""),
    ],
)
def test_a_reloaded_module_makes_exactly_what_reaches_the_change_stale(
    module: ModuleType, before: str, after: str, fires: str | None, words: str
) -> None:
    flow = fb.Flow("module")
    nodes_of(module, flow)
    flow.run_sync()
    path = Path(str(module.__file__))
    assert MODULE.count(before) == 1
    path.write_text(MODULE.replace(before, after))
    os.utime(path, ns=(1, 1))
    importlib.reload(module)
    nodes_of(module, flow)
    assert list(flow.stale()) == ([fires] if fires else [])
    run = flow.run_sync()
    assert run.recomputed == ([fires] if fires else [])
    if fires:
        assert words in run.explain(fires)


def test_a_changed_global_is_seen_without_declaring_anything_again(module: ModuleType) -> None:
    flow = fb.Flow("global")
    nodes_of(module, flow)
    flow.run_sync()
    module.LIMIT = 3  # type: ignore[attr-defined]
    assert flow.stale() == {"by_limit": "global own_module.LIMIT 10 → 3"}
    run = flow.run_sync()
    assert (run.recomputed, run["by_limit"]) == (["by_limit"], 3)


def test_code_replaced_in_place_is_seen_though_a_node_was_added_at_the_same_time() -> None:
    flow = fb.Flow("in place")

    @flow.node
    def a() -> int:
        return 1

    @flow.node
    def b(a: int) -> int:
        return a + 1

    flow.run_sync()
    a.__code__ = (lambda: 5).__code__  # as autoreload does between two cells
    code_may_have_changed()

    @flow.node
    def c(b: int) -> int:
        return b

    run = flow.run_sync()
    assert (run.recomputed, run["c"]) == (["a", "b", "c"], 6)
    assert run.explain("a") == "a fired: code of `a` changed"


# -- files


def touched(path: Path, text: str, at_ns: int) -> None:
    path.write_text(text)
    os.utime(path, ns=(at_ns, at_ns))


def by_setting(flow: fb.Flow, path: Path) -> None:
    @flow.node
    def read(path: Path = path) -> str:
        return path.read_text()


def by_setting_list(flow: fb.Flow, path: Path) -> None:
    @flow.node
    def read(paths: list[Path] = [path]) -> str:  # noqa: B006 -- never changed
        return "".join(each.read_text() for each in paths)


def by_constant(flow: fb.Flow, path: Path) -> None:
    @fb.node(name="read_constant")
    def read(path: Path) -> str:
        return path.read_text()

    flow.add(read, "read", path=path)


def by_input(flow: fb.Flow, path: Path) -> None:
    @flow.node
    def read(path: Path) -> str:
        return path.read_text()

    flow.run_sync(inputs={"path": path})


def by_input_text(flow: fb.Flow, path: Path) -> None:
    @flow.node
    def read(path: Path | None) -> str:
        assert path is not None
        return path.read_text()

    flow.run_sync(inputs={"path": str(path)})


def by_global(flow: fb.Flow, path: Path) -> None:
    globals()["_PATH"] = path
    flow.node(name="read")(_read_global)


def _read_global() -> str:
    return _PATH.read_text()


_PATH = Path()


@pytest.mark.parametrize("make", [by_setting, by_setting_list, by_constant, by_input, by_input_text, by_global])
def test_a_changed_file_makes_stale_who_is_given_its_path(
    make: Callable[[fb.Flow, Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "a.txt"
    touched(path, "one", 1_000)
    flow = fb.Flow("files")
    make(flow, path)

    @flow.node
    def below(read: str) -> str:
        return read.upper()

    assert flow.run_sync()["below"] == "ONE"
    assert flow.run_sync().recomputed == []
    touched(path, "two", 2_000)
    assert flow.stale() == {"read": "file a.txt changed", "below": "read is stale"}
    run = flow.run_sync()
    assert (run["below"], run.explain("read")) == ("TWO", "read fired: file a.txt changed")
    touched(path, "tow", 2_000)
    assert flow.stale() == {}, "size and time are what counts"


def test_files_of_one_name_in_two_folders_are_two_files(tmp_path: Path) -> None:
    one, two = tmp_path / "1" / "a.txt", tmp_path / "2" / "a.txt"
    for path in (one, two):
        path.parent.mkdir()
        touched(path, "x", 1_000)
    flow = fb.Flow("two folders")

    @flow.node
    def read(one: Path = one, two: Path = two) -> str:
        return one.read_text() + two.read_text()

    flow.run_sync()
    touched(one, "y", 2_000)
    assert flow.run_sync()["read"] == "yx"
    touched(two, "z", 2_000)
    assert flow.run_sync()["read"] == "yz"


def test_a_file_that_comes_or_goes_is_a_change(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    flow = fb.Flow("coming")

    @flow.node
    def there(path: Path = path) -> bool:
        return path.exists()

    assert flow.run_sync()["there"] is False
    path.write_text("x")
    assert flow.run_sync()["there"] is True
    path.unlink()
    assert flow.run_sync()["there"] is False


def test_a_file_that_a_lazy_table_scans_is_part_of_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    touched(path, "n\n1\n", 1_000)
    folder = str(tmp_path)
    flow = fb.Flow("scans")

    @flow.node
    def table(folder: str = folder) -> pl.LazyFrame:
        return pl.scan_csv(f"{folder}/a.csv")

    @flow.node
    def total(table: pl.DataFrame) -> int:
        return int(table["n"].sum())

    assert flow.run_sync()["total"] == 1
    assert flow.run_sync().recomputed == []
    touched(path, "n\n1\n4\n", 2_000)
    assert flow.stale() == {"table": "file a.csv changed", "total": "table is stale"}
    run = flow.run_sync()
    assert (run["total"], run.explain("table")) == (5, "table fired: file a.csv changed")


# -- values from outside


@pytest.mark.parametrize(
    ("one", "two", "is_same"),
    [
        ([1, 2], [1, 2], True),
        ([1, 2], [1, 3], False),
        (pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [1]}), True),
        (pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [2]}), False),
        (1, True, False),
        ("1", 1, False),
    ],
)
def test_small_given_values_count_by_content(one: Any, two: Any, is_same: bool) -> None:
    flow = fb.Flow("given")

    @flow.node
    def reader(given: Any) -> Any:
        return given

    flow.run_sync(inputs={"given": one})
    assert (flow.run_sync(inputs={"given": two}).recomputed == []) is is_same


def test_large_given_values_count_by_identity() -> None:
    flow = fb.Flow("given")

    @flow.node
    def reader(given: pl.DataFrame) -> int:
        return given.height

    one, two = (pl.DataFrame({"a": range(2_000_000)}) for _ in range(2))
    flow.run_sync(inputs={"given": one})
    assert flow.run_sync(inputs={"given": one}).recomputed == []
    run = flow.run_sync(inputs={"given": two})
    assert run.explain("reader") == "reader fired: given given changed"


def test_the_default_of_an_input_that_nothing_gives_belongs_to_the_code() -> None:
    flow = fb.Flow("defaults")

    def declare(default: object) -> None:
        @flow.node
        def marked(k: int = 0, mark: Any = default) -> list[Any]:
            return [k, mark]

    declare(Fraction(1))
    assert flow.run_sync()["marked"] == [0, Fraction(1)]
    declare(Fraction(2))
    run = flow.run_sync()
    assert run["marked"] == [0, Fraction(2)]
    assert run.explain("marked") == "marked fired: code of `marked` changed"

    @flow.node
    def three() -> int:
        return 3

    flow.connect("three", "marked.mark")
    assert flow.run_sync().explain("marked") == "marked fired: now reads three"
    declare(Fraction(3))  # it is not used
    assert flow.run_sync().recomputed == []
