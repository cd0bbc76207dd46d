"""A cell's body as a function: what it takes, gives, raises, and on which lines."""

from __future__ import annotations

import asyncio
import inspect
import linecache
import pickle
import sys
import textwrap
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flowbook.errors import CellError, DefinitionError
from flowbook.notebook.cell_function import CellFunction, build, line_of_body
from flowbook.notebook.tracebacks import CellSyntaxError, as_cell_error, trim_traceback
from flowbook.registry.magic_line import NodeLine, parse_node_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

FILENAME = "/tmp/ipykernel_1/1234567.py"  # noqa: S108 - shaped like the kernel's, never opened


def cell(line: str, body: str, namespace: dict[str, Any] | None = None, *, first_line: int = 2) -> CellFunction:
    names = {} if namespace is None else namespace
    text = textwrap.dedent(body)
    return build(parse_node_line(line), text, filename=FILENAME, namespace=names, first_line=first_line)


def raised_by(made: CellFunction, **given: Any) -> BaseException:
    try:
        made.function(**given)
    except Exception as error:
        return error
    pytest.fail("nothing was raised")


def lines_of(error: BaseException) -> list[tuple[str, int | None]]:
    """Function and line of each frame that is the cell's."""
    frames = traceback.extract_tb(error.__traceback__)
    return [(frame.name, frame.lineno) for frame in frames if frame.filename == FILENAME]


# -- what goes in and out ----------------------------------------------------------------------------------------------


def test_inputs_go_in_by_name_and_outputs_come_out_by_port() -> None:
    made = cell("late -> late, count", "late = [f for f in flights if f > limit]\ncount = len(late)")
    assert made.name == "late"
    assert made.free_names == ("flights", "limit")
    assert made.outputs == ("late", "count")
    assert made.builtin_names == ("len",)
    assert made.function(flights=[1, 5], limit=2) == {"late": [5], "count": 1}


def test_a_missing_or_unknown_input_is_named() -> None:
    made = cell("late", "late = flights + limit")
    assert "'limit'" in str(raised_by(made, flights=1))
    assert "'speed'" in str(raised_by(made, flights=1, limit=2, speed=3))


def test_the_namespace_is_neither_read_for_inputs_nor_written() -> None:
    namespace: dict[str, Any] = {"x": "notebook", "tmp": 1}
    made = cell("y", "tmp = x\ny = tmp", namespace)
    assert made.function(x="given") == {"y": "given"}
    assert {name: value for name, value in namespace.items() if name != "__builtins__"} == {"x": "notebook", "tmp": 1}


def test_the_signature_has_text_annotations_and_values_of_the_notebook_as_defaults() -> None:
    made = cell(
        "n(flights, late: Annotated[int, fb.Setting(min=0)] = base * 2, *, by)", "n = flights, late, by", {"base": 4}
    )
    assert made.parameters is not None
    assert [str(each) for each in made.parameters] == ["flights", "late: 'Annotated[int, fb.Setting(min=0)]' = 8", "by"]
    assert made.parameters[1].annotation == "Annotated[int, fb.Setting(min=0)]"
    assert made.free_names == ()
    assert made.function(flights=1, by=2) == {"n": (1, 8, 2)}
    assert made.function(flights=1, by=2, late=3) == {"n": (1, 3, 2)}


def test_names_beside_the_signature_are_still_asked_for() -> None:
    made = cell("n(a=1)", "n = a + pl.b")
    assert made.free_names == ("pl",)
    assert list(inspect.signature(made.function).parameters) == ["a", "pl"]


def test_no_parentheses_and_empty_ones_are_told_apart() -> None:
    assert cell("n", "n = 1").parameters is None
    assert cell("n()", "n = 1").parameters == ()


@pytest.mark.parametrize("default", ["undefined", "1 / 0", "await x", "(yield)"])
def test_a_default_that_cannot_be_evaluated_is_refused_with_its_cause(default: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        cell(f"n(a={default})", "n = a")
    assert caught.value.code == "FB521"
    assert caught.value.__cause__ is not None


def test_the_last_expression_is_the_result_when_nothing_is_assigned() -> None:
    made = cell("top", "import math\nmath.floor(x)")
    assert made.outputs == ("result",)
    assert made.function(x=2.5) == {"result": 2}


def test_a_cell_without_value_gives_none() -> None:
    assert cell("n", "for i in x:\n    f(i)").function(x=[1], f=print) == {"result": None}


def test_a_name_of_one_branch_may_be_left_out_or_given() -> None:
    made = cell("y", "if c:\n    t = 1\ny = t")
    assert made.free_names == ("c",)
    assert made.optional_names == ("t",)
    assert made.function(c=True) == {"y": 1}
    assert made.function(c=True, t=5) == {"y": 1}
    assert made.function(c=False, t=5) == {"y": 5}
    error = raised_by(made, c=False)
    assert isinstance(error, UnboundLocalError)
    assert lines_of(error) == [("y", 4)]


def test_a_builtin_is_found_unless_something_of_its_name_is_given() -> None:
    made = cell("n", "n = len(x)")
    assert made.function(x=[1]) == {"n": 1}
    assert made.function(x=[1], len=lambda _: "mine") == {"n": "mine"}


def test_a_builtin_that_the_cell_hides_is_the_builtin_until_then() -> None:
    assert cell("max", "max = max(x)").function(x=[1, 3]) == {"max": 3}
    assert cell("max", "max = max(x)", {"max": min}).function(x=[1, 3]) == {"max": 1}


def test_an_output_that_was_not_bound_is_named_with_the_remedy() -> None:
    made = cell("n -> a, b, c", "a = 1\nif x:\n    b = 2\nc = 3")
    assert made.function(x=True) == {"a": 1, "b": 2, "c": 3}
    error = raised_by(made, x=False)
    assert isinstance(error, CellError)
    assert error.code == "FB530"
    assert error.fields["names"] == ["b"]
    assert "b = None" in error.hint
    assert lines_of(error) == []


def test_an_unbound_output_is_not_confused_with_a_mistake_in_the_body() -> None:
    made = cell("n", "def f():\n    return q\n    q = 1\nif x:\n    n = 1\nt = f()")
    error = raised_by(made, x=True)
    assert isinstance(error, UnboundLocalError)
    assert lines_of(error)[-1] == ("f", 3)


@pytest.mark.parametrize(
    ("body", "inputs", "expected"),
    [
        ("def f(n):\n    return n * f(n - 1) if n else 1\ny = f(x)", {"x": 5}, 120),
        ("def even(n): return not n or odd(n - 1)\ndef odd(n): return n and even(n - 1)\ny = even(x)", {"x": 4}, True),
        ("k = 3\ny = [[a * k * b for a in x] for b in x]", {"x": [1, 2]}, [[3, 6], [6, 12]]),
        ("def counter():\n    n = 0\n    def step():\n        nonlocal n\n        n += 1\n        return n\n"
         "    return step\ns = counter()\ns()\ny = s()", {}, 2),
        ("n = 0\ndef step():\n    nonlocal n\n    n += 1\nstep()\ny = n", {}, 1),
        ("class Point:\n    scale = x\n    def __init__(self, a): self.a = a * k\n    def __eq__(self, o):\n"
         "        return super().__eq__(o)\nk = 2\ny = Point(3).a * Point.scale", {"x": 10}, 60),
        ("y = (lambda a, b=x: a + b + x)(1)", {"x": 2}, 5),
        ("y = 0\nfor i in range(x):\n    if i == 3: break\n    y += i\nelse:\n    y = -1", {"x": 9}, 3),
        ("text = '''a\n  b\n'''\ny = text + f'''{\n    x}\n\n'''", {"x": 1}, "a\n  b\n1\n\n"),
        ('y = """\\\n  a\n""" + "b\\\nc"', {}, "  a\nbc"),
        ("if x:\n\ty = [1,\n2]\nelse:\n\ty = 0", {"x": 1}, [1, 2]),
        ("y = (x +\n1) ; z = \\\n  2", {"x": 1}, 2),
        ("# -*- coding: latin-1 -*-\ny = 'é→𝄞' + x", {"x": "ß"}, "é→𝄞ß"),
        ("x: int = x + 1\ny: int\ny = x", {"x": 1}, 2),
        ("y = 'a\x0cb'\n\x0c\nz = 1", {}, "a\x0cb"),
        ("y = 1\r\nif y:\r\n    y = 2\r\n", {}, 2),
        ("from dataclasses import dataclass\n@dataclass\nclass P:\n    a: int = 1\ny = P().a", {}, 1),
    ],
)  # fmt: skip
def test_python_means_in_a_node_what_it_means_in_a_cell(body: str, inputs: dict[str, Any], expected: object) -> None:
    made = cell("y", body)
    assert made.function(**inputs) == {"y": expected}


def test_a_body_that_awaits_becomes_a_coroutine_function() -> None:
    made = cell("y", "y = [await f(i) async for i in numbers()]\nasync with lock: y.append(0)")
    assert made.is_async
    assert inspect.iscoroutinefunction(made.function)

    async def numbers() -> Any:
        yield 1
        yield 2

    async def f(i: int) -> int:
        return i * 10

    async def main() -> Any:
        return await made.function(f=f, numbers=numbers, lock=asyncio.Lock())

    assert asyncio.run(main()) == {"y": [10, 20, 0]}


def test_an_async_cell_names_its_unbound_output_too() -> None:
    made = cell("y", "if await f():\n    y = 1")

    async def f() -> bool:
        return False

    with pytest.raises(CellError, match="'y' was not assigned"):
        asyncio.run(made.function(f=f))


def test_a_mistake_of_an_async_cell_stays_what_it_is() -> None:
    made = cell("y", "if await f():\n    t = 1\ny = t")

    async def f() -> bool:
        return False

    with pytest.raises(UnboundLocalError) as caught:
        asyncio.run(made.function(f=f))
    assert lines_of(caught.value) == [("y", 4)]


def test_the_function_says_who_it_is() -> None:
    made = cell("late(k: int = 3)", '"Late flights."\nlate = x * k')
    assert made.function.__name__ == "late"
    assert made.function.__doc__ == made.doc == "Late flights."
    assert str(inspect.signature(made.function)) == "(*, k: 'int' = 3, x)"
    assert made.code.co_filename == FILENAME
    assert made.source == '"Late flights."\nlate = x * k'


def test_the_hash_follows_the_code_not_its_looks() -> None:
    plain = cell("n", "y = x + 1").source_hash
    assert cell("m", "\n# why\ny = (x  +  1)  # note\n").source_hash == plain
    assert cell("n", "y = x + 2").source_hash != plain
    assert cell("n(x=1)", "y = x + 1").source_hash != plain
    assert cell("n -> y, x", "y = x + 1").source_hash != plain


# -- lines -------------------------------------------------------------------------------------------------------------


def test_a_traceback_has_the_cells_lines_and_carets() -> None:
    made = cell("bad", "text = '''\n  two\n'''\ntotal = 0\nratio = [total, 1 / total][0]")
    error = trim_traceback(raised_by(made), [FILENAME])
    shown = "".join(traceback.format_exception(error))
    assert f'File "{FILENAME}", line 6, in bad' in shown
    assert "    ratio = [total, 1 / total][0]\n                    ~~^~~~~~~" in shown
    assert "flowbook" not in shown


def test_the_shown_text_is_the_compiled_text() -> None:
    made = cell("bad(k: int = 2) -> y", "s = '''a\nb'''\ny = s * k * x\n", first_line=4)
    assert linecache.getlines(FILENAME)[:6] == [
        "\n",
        "\n",
        "def bad(k, x):  # %%node bad(k: int = 2) -> y\n",
        " s = '''a\n",
        "b'''\n",
        " y = s * k * x\n",
    ]
    assert inspect.getsource(made.code).startswith("def bad(k, x):")
    linecache.checkcache()
    assert linecache.getline(FILENAME, 6) == " y = s * k * x\n"


def test_every_line_runs_under_the_cells_number() -> None:
    made = cell(
        "y", "a = 1\n\nif x:\n    a = (2 +\n         x)\nfor i in range(1):\n    y = [\n        a for _ in [1]]\n"
    )
    ran: list[int] = []

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename != FILENAME:
            return trace
        if event == "line" and frame.f_code.co_name == "y":
            ran.append(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        made.function(x=1)
    finally:
        sys.settrace(before)
    assert [line for line in dict.fromkeys(ran) if line != 1] == [2, 4, 5, 6, 7, 8, 9]
    assert ran[-1] == 1, "it ends on the line of the magic, on no line of the body"


@pytest.mark.parametrize(
    ("raw", "body", "line"),
    [
        ("%%node a\nx = 1\n", "x = 1\n", 2),
        ("\n  \n%%node a\nx = 1\n", "x = 1\n", 4),
        ("  %%node a\n  x = 1\n", "x = 1\n", 2),
        ("y = 2\nget_ipython().run_cell_magic('node', 'a', body)", "x = 1", 2),
        ("", "", 2),
    ],
)
def test_blank_lines_above_the_magic_count(raw: str, body: str, line: int) -> None:
    assert line_of_body(raw, body) == line


@pytest.mark.parametrize(
    ("body", "message", "line", "column", "text"),
    [
        ("y = 1\nbreak", "'break' outside loop", 3, 1, "break\n"),
        ("def f(a, a): ...\ny = 1", "duplicate argument", 2, 10, "def f(a, a): ...\n"),
        ("y = [\n  f(x for x in z, 1)]", "must be parenthesized", 3, 5, "  f(x for x in z, 1)]\n"),
        ("async def f():\n    yield 1\n    return 2", "'return' with value", 4, 5, "    return 2\n"),
    ],
)
def test_what_only_the_compiler_finds_has_the_cells_place_too(
    body: str, message: str, line: int, column: int, text: str
) -> None:
    with pytest.raises(SyntaxError, match=message) as caught:
        cell("n -> n", body + "\nn = 1")
    error = caught.value
    assert (error.filename, error.lineno, error.offset, error.text) == (FILENAME, line, column, text)


# -- tracebacks --------------------------------------------------------------------------------------------------------


def test_causes_and_groups_are_trimmed_too() -> None:
    made = cell("n", "try:\n    1 / x\nexcept ZeroDivisionError as e:\n    raise ExceptionGroup('two', [e]) from e")
    error = trim_traceback(raised_by(made, x=0), [FILENAME])
    assert lines_of(error) == [("n", 5)]
    assert error.__cause__ is not None
    assert lines_of(error.__cause__) == [("n", 3)]
    assert "flowbook" not in "".join(traceback.format_exception(error))


def test_without_a_known_cell_the_lines_of_others_stay() -> None:
    made = cell("n", "1 / x")
    error = trim_traceback(raised_by(made, x=0))
    assert [frame.name for frame in traceback.extract_tb(error.__traceback__)] == ["raised_by", "n"]


class FakeTraceback:
    """Renders frames as lines, as IPython's two renderers do."""

    def structured_traceback(self, kind: type, value: BaseException, trace: Any, tb_offset: int = 0) -> list[str]:
        frames = traceback.extract_tb(trace) if trace else []
        return [kind.__name__, *(str(frame.lineno) for frame in frames), str(value)]


class FakeShell:
    InteractiveTB = SyntaxTB = FakeTraceback()


def test_a_nodes_error_keeps_its_class_and_cause_and_shows_the_cells_lines() -> None:
    made = cell("n", "y = 1\ny / x")
    error = raised_by(made, x=0)
    shown = as_cell_error(error, FakeShell(), [FILENAME])
    assert shown is error
    again = pickle.loads(pickle.dumps(shown))  # noqa: S301 - our own
    each: Any
    for each in (shown, again):
        assert each._render_traceback_() == ["ZeroDivisionError", "3", "division by zero"]


@pytest.mark.parametrize(("body", "name"), [("x = = 1", "SyntaxError"), ("x = 1\n  y = 2", "IndentationError")])
def test_a_syntax_error_is_shown_by_its_name_without_frames(body: str, name: str) -> None:
    with pytest.raises(SyntaxError) as caught:
        cell("n", body)
    shown = as_cell_error(caught.value, FakeShell())
    assert type(shown).__name__ == name
    assert isinstance(shown, CellSyntaxError)
    assert not isinstance(shown, SyntaxError)
    assert str(shown) == str(caught.value)
    assert shown._render_traceback_() == [name, str(caught.value)]  # type: ignore[attr-defined]


def test_a_syntax_error_raised_by_a_running_node_shows_where() -> None:
    made = cell("n", "y = 1\neval('1 +')")
    shown: Any = as_cell_error(raised_by(made), FakeShell(), [FILENAME])
    assert shown._render_traceback_()[:2] == ["SyntaxError", "3"]


# -- any program -------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "c", "d"])
SIMPLE = st.one_of(
    st.builds("{} = {} + {}".format, NAMES, NAMES, NAMES),
    st.builds("{} = {} // ({} % 3)".format, NAMES, NAMES, NAMES),
    st.builds("{} = {}".format, NAMES, st.integers(0, 9)),
    st.builds("{} -= {}".format, NAMES, NAMES),
    st.builds("{}, {} = {}, {}".format, NAMES, NAMES, NAMES, NAMES),
    st.builds("{} = sum([q * {} for q in range({} % 4)])".format, NAMES, NAMES, NAMES),
    st.builds("{} = ({} := {}) + 1".format, NAMES, NAMES, NAMES),
    st.builds("{0} = max([{1} for q in [{2}, 1] if ({1} := q)] or [0])".format, NAMES, NAMES, NAMES),
    st.builds("{} = (lambda q: q + {})({})".format, NAMES, NAMES, NAMES),
    st.builds("g = lambda q: q - {}".format, NAMES),
    st.builds("{} = g({})".format, NAMES, NAMES),
    st.builds("del {}".format, NAMES),
)


def blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    suite = st.lists(inner, min_size=1, max_size=3).map("\n".join).map(lambda text: textwrap.indent(text, "    "))
    deeper = suite.map(lambda text: textwrap.indent(text, "    "))
    return st.one_of(
        st.builds("if {} > 2:\n{}".format, NAMES, suite),
        st.builds("if {} > 2:\n{}\nelse:\n{}".format, NAMES, suite, suite),
        st.builds("for {} in [1, 2]:\n{}".format, NAMES, suite),
        st.builds("for {} in [1, 5]:\n{}\n    if {} > 3: break\nelse:\n{}".format, NAMES, suite, NAMES, suite),
        st.builds("try:\n{}\nexcept ZeroDivisionError as {}:\n    {} = 7".format, suite, NAMES, NAMES),
        st.builds("try:\n{}\nexcept ZeroDivisionError:\n{}\nfinally:\n{}".format, suite, suite, suite),
        st.builds("def g(q, r={}):\n    {} = q\n    return q + r + {}".format, NAMES, NAMES, NAMES),
        st.builds("match {}:\n    case 0 | 1 as {}:\n{}\n    case _:\n{}".format, NAMES, NAMES, deeper, deeper),
    )


PROGRAMS = st.lists(st.recursive(SIMPLE, blocks, max_leaves=6), min_size=1, max_size=8).map("\n".join)


def ending(run: Callable[[], dict[str, Any]]) -> dict[str, str] | type[Exception]:
    """Values, or the kind of error. Functions and errors among the values look alike in both."""
    try:
        return {name: str(value) for name, value in run().items()}
    except (NameError, ZeroDivisionError, TypeError) as error:
        return NameError if isinstance(error, NameError) else type(error)
    except CellError as error:
        return NameError if error.code == "FB530" else CellError


@given(
    body=PROGRAMS, given_values=st.fixed_dictionaries(dict.fromkeys("abcd", st.integers(0, 9))), known=st.sets(NAMES)
)
def test_a_cell_computes_what_its_body_computes(body: str, given_values: dict[str, int], known: set[str]) -> None:
    first = build(NodeLine(name="n"), body, filename=FILENAME, namespace={})
    outputs = tuple(sorted(first.analysis.bound - {"g"}))
    assume(outputs)
    made = build(NodeLine(name="n", outputs=outputs), body, filename=FILENAME, namespace={})
    values = {**given_values, "g": abs}
    inputs = {name: values[name] for name in made.free_names}
    inputs |= {name: values[name] for name in made.optional_names if name in known}

    def plainly() -> dict[str, Any]:
        names = dict(inputs)
        exec(body, names)  # noqa: S102 - the thing to compare with
        if not set(outputs) <= set(names):
            raise NameError
        return {name: names[name] for name in outputs}

    assert ending(lambda: made.function(**inputs)) == ending(plainly)
