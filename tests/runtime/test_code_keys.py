# ruff: noqa: E501  (the cells in the tables are one line each)
"""A node's code key changes when what the code would do changes, and only then; and it says why."""

from __future__ import annotations

import gc
import importlib
import itertools
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbook.runtime import code_keys
from flowbook.runtime.code_keys import CodeKey, CodeKeys, explain_change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def no_content(value: object) -> str | None:
    return None


class Notebook:
    """A namespace in which cells run, and the keys of what is in it."""

    def __init__(self, *cells: str, content_key: Callable[[object], str | None] = no_content) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.keys = CodeKeys(content_key)
        for cell in cells:
            self.run(cell)

    def run(self, cell: str) -> Notebook:
        exec(compile(textwrap.dedent(cell), f"<cell {len(cell)}>", "exec"), self.names)  # noqa: S102
        return self

    def key(self, name: str = "node", **options: Any) -> CodeKey:
        """Key a function; the second look, by what is remembered, must say the same."""
        key = self.keys.key(self.names[name], **options)
        assert self.keys.key(self.names[name], **options) == key
        if key.is_portable and not any(label.startswith("module ") for label in key.parts):
            # Made from nothing, too. (What stands for a module depends on whether it was seen before it was loaded.)
            assert CodeKeys(self.keys._content_key).key(self.names[name], **options).digest == key.digest
        return key


def changed(notebook: Notebook, cell: str, **options: Any) -> list[str]:
    """Run a cell and say what it changed for the node."""
    before = notebook.key(**options)
    notebook.run(cell)
    after = notebook.key(**options)
    phrases = explain_change(before, after)
    assert bool(phrases) == (before.digest != after.digest)
    return phrases


# -------------------------------------------------------------------------------------------------- what counts, and how

NODE = """
def clean(x):
    return strip(x)
def strip(x):
    return x - LIMIT
LIMIT = 15
def node(x):
    return clean(x) + 1
"""

CHANGES = [
    ("the node itself", NODE, "def node(x): return clean(x) + 2", ["code of `node` changed"]),
    ("a helper", NODE, "def clean(x): return strip(x) * 2", ["code of helper `clean` changed"]),
    ("a helper of a helper", NODE, "def strip(x): return x + LIMIT", ["code of helper `strip` changed"]),
    ("a global a helper reads", NODE, "LIMIT = 60", ["global LIMIT 15 → 60"]),
    ("a global that is deleted", NODE, "del LIMIT", ["LIMIT is not defined"]),
    ("a helper that reads more", NODE, "EXTRA = 1\ndef strip(x): return x - LIMIT - EXTRA",
     ["code of helper `strip` changed", "now reads global EXTRA"]),
    ("a helper that is gone", NODE, "def clean(x): return 1",
     ["code of helper `clean` changed", "no longer uses helper `strip`", "no longer reads global LIMIT"]),
    ("a helper replaced by a value", NODE, "clean = 3", ["now reads global clean", "no longer uses helper `clean`",
     "no longer uses helper `strip`", "no longer reads global LIMIT"]),
    ("a name bound to another function", NODE, "def other(x): return strip(x)\nclean = other",
     ["now uses helper `other`", "no longer uses helper `clean`"]),
    ("two helpers that change places", "def a(x): return 1\ndef b(x): return 2\ndef node(x): return a(x) - b(x)",
     "a, b = b, a", ["`a` is now helper `b`", "`b` is now helper `a`"]),
    ("a default of the node", "def node(x, n=1): return n", "def node(x, n=2): return n", ["code of `node` changed"]),
    ("a keyword default", "def node(x, *, n=1): return n", "def node(x, *, n=2): return n", ["code of `node` changed"]),
    ("an int that becomes a bool", "N = 1\ndef node(x): return N", "N = True", ["global N 1 → True"]),
    ("an int that becomes a float", "N = 1\ndef node(x): return N", "N = 1.0", ["global N 1 → 1.0"]),
    ("the sign of zero", "N = 0.0\ndef node(x): return N", "N = -0.0", ["global N 0.0 → -0.0"]),
    ("a constant in the code", "def node(x): return x == 1", "def node(x): return x == True", ["code of `node` changed"]),
    ("a set in the code", "def node(x): return x in {1, 2}", "def node(x): return x in {1, 3}", ["code of `node` changed"]),
    ("a list changed in place", "L = [1]\ndef node(x): return L", "L.append(2)", ["global L [1] → [1, 2]"]),
    ("a dict changed in place", "D = {'a': [1]}\ndef node(x): return D", "D['a'].append(2)",
     ["global D {'a': [1]} → {'a': [1, 2]}"]),
    ("a set changed in place", "S = {1}\ndef node(x): return S", "S.add(2)", ["global S changed"]),
    ("a function in a dict", "def f(x): return 1\nD = {'f': f}\ndef node(x): return D['f'](x)",
     "def f(x): return 2\nD['f'] = f", ["code of helper `f` changed"]),
    ("another function in a dict", "def f(x): return 1\ndef g(x): return 2\nD = {'f': f}\ndef node(x): return D['f'](x)",
     "D['f'] = g", ["now uses helper `g`", "global D changed", "no longer uses helper `f`"]),
    ("a closure", "def make(n):\n    def add(x): return x + n\n    return add\nadd = make(1)\ndef node(x): return add(x)",
     "add = make(2)", ["closure n of make.add 1 → 2"]),
    ("a function in a closure", "def a(x): return 1\ndef make(f):\n    def call(x): return f(x)\n    return call\n"
     "call = make(a)\ndef node(x): return call(x)",
     "def a(x): return 2\ncall = make(a)", ["code of helper `a` changed"]),
    ("a nested function", "def node(x):\n    def inner(y): return y + 1\n    return inner(x)",
     "def node(x):\n    def inner(y): return y + 2\n    return inner(x)", ["code of `node` changed"]),
    ("a global read by a lambda in a comprehension", "N = 1\ndef node(x): return [(lambda y: y + N)(z) for z in x]",
     "N = 2", ["global N 1 → 2"]),
    ("a partial", "import functools\ndef f(a, b): return a\np = functools.partial(f, 1)\ndef node(x): return p(x)",
     "p = functools.partial(f, 2)", ["global p changed"]),
    ("a function in a partial", "import functools\ndef f(a, b): return a\np = functools.partial(f, 1)\n"
     "def node(x): return p(x)",
     "def f(a, b): return b\np = functools.partial(f, 1)", ["code of helper `f` changed"]),
    ("a cached function", "import functools\n@functools.lru_cache\ndef f(a): return a\ndef node(x): return f(x)",
     "@functools.lru_cache\ndef f(a): return -a", ["code of helper `f` changed"]),
    ("what a cached function reads", "import functools\nN = 1\n@functools.lru_cache\ndef f(a): return a + N\n"
     "def node(x): return f(x)", "N = 2", ["global N 1 → 2"]),
    ("a lambda", "f = lambda x: x\ndef node(x): return f(x)", "f = lambda x: -x", ["code of helper `<lambda>` changed"]),
    ("a method of a class", "class A:\n    def run(self): return 1\ndef node(x): return A().run()",
     "class A:\n    def run(self): return 2", ["code of helper `A.run` changed"]),
    ("a method set on a class", "class A:\n    def run(self): return 1\ndef node(x): return A().run()",
     "A.run = lambda self: 2", ["class `A` changed", "now uses helper `<lambda>`", "no longer uses helper `A.run`"]),
    ("a base class", "class B:\n    def run(self): return 1\nclass A(B): pass\ndef node(x): return A().run()",
     "B.run = lambda self: 2", ["class `B` changed", "now uses helper `<lambda>`", "no longer uses helper `B.run`"]),
    ("a class attribute", "class A:\n    n = 1\ndef node(x): return A.n", "A.n = 2", ["class `A` changed"]),
    ("a list in a class", "class A:\n    n = [1]\ndef node(x): return A.n", "A.n.append(2)", ["class `A` changed"]),
    ("a property", "class A:\n    @property\n    def n(self): return 1\ndef node(x): return A().n",
     "class A:\n    @property\n    def n(self): return 2", ["code of helper `A.n` changed"]),
    ("a static method", "class A:\n    @staticmethod\n    def n(): return 1\ndef node(x): return A.n()",
     "class A:\n    @staticmethod\n    def n(): return 2", ["code of helper `A.n` changed"]),
    ("what a method reads", "N = 1\nclass A:\n    def run(self): return N\ndef node(x): return A().run()", "N = 2",
     ["global N 1 → 2"]),
    ("what an object holds", "class A:\n    def run(self): return self.n\na = A()\na.n = 1\ndef node(x): return a.run()",
     "a.n = 2", ["global a changed"]),
    ("the class of an object", "class A:\n    def __call__(self): return 1\na = A()\ndef node(x): return a()",
     "class A:\n    def __call__(self): return 2\na = A()", ["code of helper `A.__call__` changed"]),
    ("a bound method", "class A:\n    n = 1\n    def run(self): return self.n\nf = A().run\ndef node(x): return f()",
     "a = A()\na.n = 2\nf = a.run", ["global f changed"]),
    ("slots", "class A:\n    __slots__ = ('n',)\na = A()\na.n = 1\ndef node(x): return a.n", "a.n = 2", ["global a changed"]),
    ("a dataclass field", "import dataclasses\n@dataclasses.dataclass\nclass A:\n    n: int = 1\ndef node(x): return A()",
     "@dataclasses.dataclass\nclass A:\n    n: int = 2", ["class `A` changed"]),
    ("an enumeration", "import enum\nclass C(enum.Enum):\n    A = 1\nc = C.A\ndef node(x): return c",
     "class C(enum.Enum):\n    A = 2\nc = C.A", ["class `C` changed"]),
    ("a named tuple", "import collections\nP = collections.namedtuple('P', 'a b')\np = P(1, 2)\ndef node(x): return p",
     "p = P(1, 3)", ["global p changed"]),
    ("the module a name stands for", "import math as m\ndef node(x): return m.sqrt(x)", "import cmath as m",
     ["`m` is now installed module `cmath`"]),
    ("the built-in a name stands for", "from math import sqrt\ndef node(x): return sqrt(x)", "from cmath import sqrt",
     ["global sqrt changed"]),
    ("a name that hides a built-in", "def node(x): return sum(x)", "def sum(x): return 0", ["now uses helper `sum`"]),
    ("a pattern", "import re\nP = re.compile('a')\ndef node(x): return P.match(x)", "P = re.compile('b')",
     ["global P changed"]),
    ("a path", "from pathlib import Path\nP = Path('a')\ndef node(x): return P", "P = Path('b')",
     [f"global P {Path('a')!r} → {Path('b')!r}"]),
    ("a decorator of one's own", "def twice(f):\n    import functools\n    @functools.wraps(f)\n    def run(x): return 2 * f(x)\n"
     "    return run\n@twice\ndef node(x): return x",
     "def twice(f):\n    import functools\n    @functools.wraps(f)\n    def run(x): return 3 * f(x)\n    return run\n"
     "@twice\ndef node(x): return x", ["code of helper `twice.run` changed"]),
    ("what is decorated", "import functools\ndef same(f):\n    @functools.wraps(f)\n    def run(x): return f(x)\n    return run\n"
     "@same\ndef node(x): return x", "@same\ndef node(x): return -x", ["code of `node` changed"]),
    ("an installed decorator's target", "import contextlib\n@contextlib.contextmanager\ndef f(): yield 1\n"
     "def node(x):\n    with f() as y: return y", "@contextlib.contextmanager\ndef f(): yield 2",
     ["code of helper `f` changed"]),
    ("a generator that becomes a list", "def node(x): return (y for y in x)", "def node(x): return [y for y in x]",
     ["code of `node` changed"]),
    ("a coroutine", "def node(x): return x", "async def node(x): return x", ["code of `node` changed"]),
    ("which exception is caught", "def node(x):\n    try: return 1 / x\n    except ValueError: return 0",
     "def node(x):\n    try: return 1 / x\n    except KeyError: return 0", ["code of `node` changed"]),
    ("what is inside a try", "def node(x):\n    a = x()\n    try: b = x()\n    except ValueError: b = 0\n    return a, b",
     "def node(x):\n    try:\n        a = x()\n        b = x()\n    except ValueError: b = 0\n    return a, b",
     ["code of `node` changed"]),
    ("which branch comes first", "def node(x):\n    if x: return 1\n    return 2", "def node(x):\n    if not x: return 1\n    return 2",
     ["code of `node` changed"]),
    ("a loop's end", "def node(x):\n    while x:\n        x = x - 1\n        if x == 3: break\n    return x",
     "def node(x):\n    while x:\n        x = x - 1\n        if x == 3: continue\n    return x", ["code of `node` changed"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "cell", "phrases"), [each[1:] for each in CHANGES], ids=[each[0] for each in CHANGES]
)
def test_a_change_of_behaviour_changes_the_key_and_is_named(before: str, cell: str, phrases: list[str]) -> None:
    assert changed(Notebook(before), cell) == phrases


SAME = [
    ("a comment", NODE, "def node(x):\n    # now with a comment\n    return clean(x) + 1  # here too"),
    ("blank lines and brackets", NODE, "\n\n\ndef node(x):\n\n    return (\n        clean(x)\n        + 1\n    )\n"),
    ("a docstring", NODE, "def node(x):\n    'Says what it does.'\n    return clean(x) + 1"),
    ("annotations", NODE, "def node(x: 'int') -> 'int':\n    return clean(x) + 1"),
    ("a helper run again", NODE, "def strip(x):\n    return x - LIMIT"),
    ("an equal value", NODE, "LIMIT = 10 + 5"),
    ("an equal list", "L = [1, [2]]\ndef node(x): return L", "L = [1, [2]]"),
    ("a name nobody reads", NODE, "UNREAD = 1"),
    ("the order of definitions", NODE, "def strip(x):\n    return x - LIMIT\ndef clean(x):\n    return strip(x)"),
    ("a class run again", "class A:\n    'Doc.'\n    n: int = 1\n    def run(self): return self.n\ndef node(x): return A().run()",
     "class A:\n    n: float = 1\n    # comment\n    def run(self):\n        'Doc.'\n        return self.n"),
    ("a dataclass run again", "import dataclasses\n@dataclasses.dataclass\nclass A:\n    n: int = 1\n    m: list = "
     "dataclasses.field(default_factory=list)\ndef node(x): return A()",
     "@dataclasses.dataclass\nclass A:\n    n: int = 1\n    m: list = dataclasses.field(default_factory=list)"),
    ("an enumeration run again", "import enum\nclass C(enum.Enum):\n    A = 1\n    def f(self): return 1\ndef node(x): return C.A",
     "class C(enum.Enum):\n    A = 1\n    def f(self): return 1"),
    ("a named tuple run again", "import typing\nclass P(typing.NamedTuple):\n    a: int = 1\ndef node(x): return P()",
     "class P(typing.NamedTuple):\n    a: int = 1"),
    ("a cached function run again", "import functools\n@functools.lru_cache\ndef f(a): return a\ndef node(x): return f(x)",
     "@functools.lru_cache\ndef f(a): return a"),
    ("a context manager run again", "import contextlib\n@contextlib.contextmanager\ndef f(): yield 1\n"
     "def node(x):\n    with f() as y: return y", "@contextlib.contextmanager\ndef f(): yield 1"),
    ("recursion", "def node(x): return node(x - 1) if x else 0", "def node(x):\n    return node(x - 1) if x else 0"),
    ("mutual recursion", "def even(x): return odd(x - 1)\ndef odd(x): return even(x - 1)\ndef node(x): return even(x)",
     "def odd(x): return even(x - 1)\ndef even(x): return odd(x - 1)"),
    ("a class that names itself", "class A:\n    def new(self): return A()\ndef node(x): return A()",
     "class A:\n    def new(self): return A()"),
    ("folded constants", "def node(x): return x + 2 * 3", "def node(x): return x + 6"),
    ("line breaks that leave jumps", "def node(x):\n    for y in x:\n        if y: continue\n        x.f(y)\n    return x",
     "def node(x):\n    for y in x:\n        if y:\n            continue\n\n        x.f(\n            y\n        )\n    return x"),
    ("a pass", "def node(x):\n    if x:\n        y = 1\n    else:\n        y = 2\n    return y",
     "def node(x):\n    if x:\n        pass\n        y = 1\n    else:\n        y = 2\n        pass\n    return y"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "cell"), [each[1:] for each in SAME], ids=[each[0] for each in SAME])
def test_what_changes_no_behaviour_changes_no_key(before: str, cell: str) -> None:
    assert changed(Notebook(before), cell) == []


def test_the_name_of_the_node_is_no_part_of_what_it_does() -> None:
    notebook = Notebook("LIMIT = 1\ndef late(x): return x + LIMIT\ndef later(x): return x + LIMIT")
    assert notebook.key("late").digest == notebook.key("later").digest


def test_ports_and_settings_do_not_count() -> None:
    notebook = Notebook("flights = [1]\ndef node(n=1):\n    return flights, n")
    assert changed(notebook, "flights.append(2)", skip=["flights", "n"]) == []
    assert changed(notebook, "def node(n=2):\n    return flights, n", skip=["flights", "n"]) == []
    assert changed(notebook, "def node(n=3):\n    return flights, n", skip=["flights"]) == ["code of `node` changed"]


def test_what_a_helper_reads_counts_whatever_the_ports_of_the_node_are_called() -> None:
    notebook = Notebook("LIMIT = 1\ndef helper(): return LIMIT\ndef node(LIMIT): return helper()")
    assert changed(notebook, "LIMIT = 2", skip=["LIMIT"]) == ["global LIMIT 1 → 2"]


def test_a_name_that_comes_back_is_told_too() -> None:
    notebook = Notebook("def a(x): return 1\ndef b(x): return 2\ndef node(x): return a(x) - b(x)")
    first = notebook.key()
    swapped = notebook.run("a, b = b, a").key()
    assert explain_change(swapped, first) == ["`a` is now helper `a`", "`b` is now helper `b`"]


def test_values_handed_in_count_like_globals() -> None:
    notebook = Notebook("N = 1\ndef helper(x): return N\ndef node(*, x, helper, limit): return helper(x) + limit")

    def key(limit: int) -> CodeKey:
        return notebook.key(extra={"global helper": notebook.names["helper"], "global limit": limit})

    first = key(1)
    assert explain_change(first, key(2)) == ["global limit 1 → 2"]
    notebook.run("def helper(x): return N + 1")
    assert explain_change(first, key(1)) == ["code of helper `helper` changed"]
    notebook.run("def helper(x): return N\nN = 2")
    assert explain_change(first, key(1)) == ["global N 1 → 2"]


# ------------------------------------------------------------------------------------------------- large and opaque values


def test_a_large_or_opaque_value_counts_by_identity() -> None:
    notebook = Notebook("L = list(range(30_000))\nlock = __import__('threading').Lock()\ndef node(x): return L, lock")
    key = notebook.key()
    assert not key.is_portable
    assert changed(notebook, "L[0] = 7") == []  # named as the known hole
    assert changed(notebook, "L = list(L)") == ["global L changed"]
    assert changed(notebook, "lock = __import__('threading').Lock()") == ["global lock changed"]


def test_a_recycled_address_never_looks_like_the_old_object() -> None:
    notebook = Notebook("class_ = object\nthing = __import__('threading').Lock()\ndef node(x): return thing")
    digests = {notebook.key().digest}
    for _ in range(50):
        del notebook.names["thing"]  # nobody else holds it: the next one may get its address
        notebook.run("thing = __import__('threading').Lock()")
        digests.add(notebook.key().digest)
    assert len(digests) == 51


def test_a_large_value_that_becomes_small_is_read_again() -> None:
    notebook = Notebook("L = list(range(30_000))\ndef node(x): return L")
    assert changed(notebook, "L.clear()") == ["global L changed"]
    assert notebook.key().is_portable


def test_values_of_libraries_are_asked_for_their_content() -> None:
    class Array:
        """Stands for an array: of an installed library, with content."""

        def __init__(self, *numbers: int) -> None:
            self.numbers = list(numbers)

    Array.__module__ = "json"
    notebook = Notebook(
        "def node(x): return A, {'deep': [A]}",
        content_key=lambda value: str(value.numbers) if isinstance(value, Array) else None,
    )
    notebook.names["A"] = Array(1, 2)
    assert notebook.key().is_portable
    assert changed(notebook, "A.numbers[0] = 5") == ["global A changed"]
    notebook.names["A"] = Array(5, 2)
    assert changed(notebook, "pass") == []


def test_a_replaced_function_and_large_values_are_not_kept_alive() -> None:
    class Table:
        pass

    Table.__module__ = "json"
    notebook = Notebook("def helper(x): return 1\ndef node(x): return table, helper, node")
    notebook.names["table"] = Table()
    gone = [weakref.ref(notebook.names[name]) for name in ("table", "node")]
    notebook.key()
    notebook.run("table = None\ndef node(x): return table")
    gc.collect()
    assert [each() for each in gone] == [None, None]


def test_paths_among_the_globals_are_told() -> None:
    key = Notebook("from pathlib import Path\nDATA = Path('a.csv')\ndef node(x): return DATA").key()
    assert key.paths == (Path("a.csv"),)


# ------------------------------------------------------------------------------------------------------- local modules


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of modules of one's own, on the path."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    package = tmp_path / "mylib"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "units.py").write_text("KM = 1.6\ndef to_km(x):\n    return x * KM\n")
    (package / "geo.py").write_text(
        "from mylib.units import to_km\nRADIUS = 1\ndef distance(x):\n    return to_km(x) * RADIUS\ndef other(x):\n    return x\n"
    )
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.partition(".")[0] == "mylib":
            del sys.modules[name]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))  # the clock of a file system may be coarse
    importlib.invalidate_caches()


def reload(name: str) -> None:
    importlib.reload(sys.modules[name])


@pytest.mark.parametrize(
    "node",
    [
        "from mylib import geo\ndef node(x): return geo.distance(x)",
        "import mylib.geo\ndef node(x): return mylib.geo.distance(x)",
        "import mylib.geo as g\ndef node(x): return [g.distance(y) for y in x]",
        "from mylib.geo import distance\ndef node(x): return distance(x)",
        "import mylib.geo\nf = mylib.geo.distance\ndef node(x): return f(x)",
    ],
)
def test_of_a_module_exactly_what_the_node_uses_counts(project: Path, node: str) -> None:
    geo = project / "mylib" / "geo.py"
    notebook = Notebook(node)
    before = notebook.key()
    edit(geo, "return x\n", "return -x  # other\n")
    edit(geo, "RADIUS = 1", "\n\nRADIUS = 1  # a comment")
    reload("mylib.geo")
    notebook.run(node)
    assert explain_change(before, notebook.key()) == []
    edit(geo, "* RADIUS", "/ RADIUS")
    assert notebook.key().digest == before.digest  # edited and not loaded: what runs is the same
    reload("mylib.geo")
    notebook.run(node)
    assert explain_change(before, notebook.key()) == ["code of helper `mylib.geo.distance` changed"]


def test_what_a_function_of_a_module_reads_counts_too(project: Path) -> None:
    notebook = Notebook("from mylib import geo\ndef node(x): return geo.distance(x)")
    before = notebook.key()
    notebook.run("geo.RADIUS = 2")
    assert explain_change(before, notebook.key()) == ["global mylib.geo.RADIUS 1 → 2"]
    notebook.run("geo.RADIUS = 1")
    edit(project / "mylib" / "units.py", "1.6", "1.609")
    reload("mylib.units")
    assert explain_change(before, notebook.key()) == ["global mylib.units.KM 1.6 → 1.609"]
    notebook.run("geo.distance = None")
    assert "now reads global mylib.geo.distance" in explain_change(before, notebook.key())


def test_a_module_handed_in_counts_by_what_the_node_uses(project: Path) -> None:
    notebook = Notebook("from mylib import geo\ndef node(*, x, geo): return [geo.distance(y) for y in x]")

    def key() -> CodeKey:
        return notebook.key(extra={"global geo": notebook.names["geo"]}, skip=["x", "geo"])

    before = key()
    edit(project / "mylib" / "geo.py", "return x\n", "return -x\n")
    reload("mylib.geo")
    assert explain_change(before, key()) == []
    notebook.run("geo.RADIUS = 2")
    assert explain_change(before, key()) == ["global mylib.geo.RADIUS 1 → 2"]


def test_a_module_that_is_passed_around_counts_as_a_whole(project: Path) -> None:
    geo = project / "mylib" / "geo.py"
    notebook = Notebook("from mylib import geo\ndef node(x): return getattr(geo, x)")
    before = notebook.key()
    assert "module mylib.geo" in before.parts
    edit(geo, "return x\n", "return -x\n")
    reload("mylib.geo")
    assert explain_change(before, notebook.key()) == ["code of helper `mylib.geo.other` changed"]
    before = notebook.key()
    edit(geo, "RADIUS = 1", "RADIUS = 2")
    reload("mylib.geo")
    assert explain_change(before, notebook.key()) == ["module mylib.geo changed", "global mylib.geo.RADIUS 1 → 2"]


@pytest.mark.parametrize(
    "statement",
    ["from mylib.geo import distance", "import mylib.geo", "from mylib import geo", "from mylib.geo import *"],
)
def test_a_module_the_node_imports_itself_counts_before_and_after_it_is_loaded(project: Path, statement: str) -> None:
    def make() -> Notebook:
        if "*" in statement:  # only a module may say so
            return Notebook(f"def node(x): pass\nnode = type(node)(compile('{statement}', 'f', 'exec'), globals())")
        return Notebook(f"def node(x):\n    {statement}")

    notebook = make()
    before = notebook.key()
    assert "mylib.geo" not in sys.modules
    assert "mylib" not in sys.modules  # looking did not import anything
    assert "module mylib.geo" in before.parts
    assert "module mylib.units" in before.parts
    importlib.import_module("mylib.geo")
    assert notebook.key() == before  # having run changes nothing
    edit(project / "mylib" / "units.py", "x * KM", "x / KM")
    assert notebook.key() == before
    reload("mylib.units")
    reload("mylib.geo")
    assert notebook.key().digest != before.digest


def test_a_file_edited_before_it_is_loaded_counts_as_it_is_now(project: Path) -> None:
    notebook = Notebook("def node(x):\n    from mylib.geo import distance\n    return distance(x)")
    before = notebook.key()
    edit(project / "mylib" / "geo.py", "* RADIUS", "*  RADIUS  # spaces")
    assert notebook.key().digest == before.digest
    edit(project / "mylib" / "geo.py", "*  RADIUS", "/ RADIUS")
    assert explain_change(before, notebook.key()) == ["module mylib.geo changed"]
    (project / "mylib" / "geo.py").write_text("def broken(:\n")
    assert explain_change(before, notebook.key())[0] == "module mylib.geo changed"


def test_relative_imports_are_followed(project: Path) -> None:
    (project / "mylib" / "rel.py").write_text("def f(x):\n    from .units import to_km\n    return to_km(x)\n")
    notebook = Notebook("from mylib import rel\ndef node(x): return rel.f(x)")
    assert "module mylib.units" in notebook.key().parts
    importlib.import_module("mylib.units")
    before = notebook.key()
    notebook.run("import mylib.units\nmylib.units.KM = 7")
    assert explain_change(before, notebook.key()) != []


def test_autoreload_that_replaces_code_in_place_is_seen(project: Path) -> None:
    notebook = Notebook("from mylib import geo\ndef node(x): return geo.distance(x)")
    before = notebook.key()
    notebook.run("geo.distance.__code__ = (lambda x: x + 1).__code__")
    assert "code of helper `<lambda>`" in " ".join(explain_change(before, notebook.key())) or before != notebook.key()
    assert before.digest != notebook.key().digest


def test_installed_code_counts_by_name_and_flowbook_is_installed() -> None:
    notebook = Notebook("import json, enum\nfrom flowbook.errors import did_you_mean\n"
                        "def node(x): return json.dumps(x), enum.Enum, did_you_mean(x, [])")  # fmt: skip
    assert set(notebook.key().parts) == {"code of node", "name json", "name enum", "name did_you_mean"}
    assert notebook.key().is_portable


# ---------------------------------------------------------------------------------------------- processes, threads, roots

PORTABLE = """
import collections, dataclasses, datetime, enum, functools, json, logging, re
from pathlib import Path
Color = enum.Enum("Color", "RED GREEN")
@dataclasses.dataclass
class Model:
    n: int = 1
    tags: set = dataclasses.field(default_factory=set)
    def run(self): return {"b", "a"} | self.tags
Point = collections.namedtuple("Point", "x y")
SET = {"x", "y", "z", ("a", 1), frozenset({"p", "q"})}
DICT = {"k": [1, 2.5, None, b"b", ...], Color.RED: Model(2, {"u", "v"})}
WHEN = datetime.date(2024, 1, 2)
log = logging.getLogger("x")
PATTERN = re.compile("a+", re.I)
@functools.lru_cache
def cached(x): return x in {"one", "two", "three"}
part = functools.partial(cached, "one")
def node(x, y=frozenset({"d", "e"})):
    log.info(x)
    return [cached(z) for z in SET], DICT, WHEN, PATTERN, part, Point(1, 2), Color.GREEN, json, Path("p"), Model()
"""


def test_the_key_is_the_same_in_another_process_whatever_its_hash_seed() -> None:
    program = f"""
namespace = {{"__name__": "__main__"}}
exec(compile({PORTABLE!r}, "c", "exec"), namespace)
from flowbook.runtime.code_keys import CodeKeys
key = CodeKeys(lambda value: None).key(namespace["node"])
assert key.is_portable, key.parts
print(key.digest)
"""
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4711")
    }
    assert digests == {Notebook(PORTABLE).key().digest + "\n"}


@pytest.mark.parametrize(
    "cell",
    [
        "import functools\ndef f(a, x): return a + N\nnode = functools.partial(f, 1)",
        "class A:\n    def __call__(self, x): return N\nnode = A()",
        "class A:\n    def run(self, x): return N\nnode = A().run",
        "import functools\n@functools.lru_cache\ndef node(x): return N",
        "node = lambda x: N",
        "class node:\n    def __init__(self, x): self.x = N",
    ],
)
def test_any_callable_has_a_key(cell: str) -> None:
    assert changed(Notebook("N = 1", cell), "N = 2") == ["global N 1 → 2"]


def test_a_built_in_has_a_key() -> None:
    assert CodeKeys(no_content).key(len).digest != CodeKeys(no_content).key(sum).digest


def test_keys_can_be_made_while_other_threads_change_what_they_read() -> None:
    notebook = Notebook("D = {}\ndef node(x): return D")
    stop = threading.Event()

    def scribble() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            notebook.names["D"][number % 300] = number
            notebook.names["D"].pop((number * 7) % 300, None)

    thread = threading.Thread(target=scribble)
    thread.start()
    try:
        for _ in range(300):
            notebook.keys.key(notebook.names["node"])
    finally:
        stop.set()
        thread.join()


def test_an_unchanged_function_is_not_walked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook(NODE, "L = [1]\ndef node(x): return clean(x) + LIMIT, L, str, len")
    key = notebook.key()
    monkeypatch.setattr(code_keys, "Reach", None)
    assert notebook.keys.key(notebook.names["node"]) is key
    notebook.run("L[0] = 2")
    with pytest.raises(TypeError):
        notebook.keys.key(notebook.names["node"])


# ------------------------------------------------------------------------------------------------------------ properties

SIMPLE = st.sampled_from(["a = x", "a += f(a, x)", "del_ = [y for y in (a, x) if y]", "f(a)", "a = x if a else f(x, 1)",
                          "a = (x\nand f(a)\nor 3)", "assert a, 'no'", "pass"])  # fmt: skip


def _block(inner: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[Any]:
    heads = st.sampled_from(
        ["if a:", "while f(a):", "for b in f(x):", "with f(a) as b:", "try:", "if a and\tf(x):", "def g(y=1):"]
    )
    return st.tuples(heads, inner, st.none() | inner)


BLOCKS = st.lists(
    st.recursive(SIMPLE, lambda each: _block(st.lists(each, min_size=1, max_size=3)), max_leaves=8),
    min_size=1,
    max_size=4,
)


def written(block: list[Any], indent: str, step: str, gaps: Iterator[str]) -> str:
    """Write a block of statements with the given indentation, and gaps (comments, blank lines) between lines."""
    lines: list[str] = []
    for statement in block:
        if isinstance(statement, str):
            text = statement if "(x\n" in statement and next(gaps) else statement.replace("\n", " ")
            lines.append(next(gaps) + indent + text.replace("\n", "\n" + indent + "  "))
            continue
        head, body, rest = statement
        lines.append(next(gaps) + indent + head.replace("\t", " "))
        lines.append(written(body, indent + step, step, gaps))
        if head == "try:":
            lines.append(next(gaps) + indent + "except ValueError as e:")
            lines.append(written(rest or ["pass"], indent + step, step, gaps))
        elif rest is not None and not head.startswith(("with", "def")):
            lines.append(next(gaps) + indent + "else:")
            lines.append(written(rest, indent + step, step, gaps))
    return "\n".join(lines)


@given(block=BLOCKS, data=st.data())
def test_layout_never_matters(block: list[Any], data: st.DataObject) -> None:
    def gaps() -> Iterator[str]:
        while True:
            yield data.draw(st.sampled_from(["", "", "\n", "# comment\n", "\n\n   # far\n"]))

    def nothing() -> Iterator[str]:
        while True:
            yield ""

    step = data.draw(st.sampled_from([" ", "  ", "\t"]))
    plain = "def node(x):\n    a = 0\n" + written(block, "    ", "    ", nothing()) + "\n    return a"
    other = "\n\n# moved\ndef node(\n    x,\n):\n" + step + "a = (0)\n" + written(block, step, step, gaps())
    other += "\n\n" + step + "return (a)"
    assert Notebook(plain).key().digest == Notebook(other).key().digest


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(...),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
        | st.frozensets(st.text() | st.integers(), max_size=4)
    ),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    """Tell whether a node could not tell two values apart."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return bool(one.hex() == other.hex())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(itertools.starmap(same, zip(one, other, strict=True)))
    if isinstance(one, dict):
        return same([*one.items()], [*other.items()])
    if isinstance(one, frozenset):
        return {(type(each), each) for each in one} == {(type(each), each) for each in other}
    return bool(one == other)


@given(one=VALUES, other=VALUES)
def test_values_have_one_key_exactly_when_they_are_the_same(one: Any, other: Any) -> None:
    notebook = Notebook("def node(x): return V")
    notebook.names["V"] = one
    first = notebook.key().digest
    notebook.names["V"] = other
    assert (notebook.key().digest == first) == same(one, other)
