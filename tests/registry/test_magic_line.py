"""The line of ``%%node``, ``%%flow`` and ``%flow``."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from flowbook.errors import CellError, DefinitionError, FlowbookError
from flowbook.registry.magic_line import LineParameter, NodeLine, parse_flow_line, parse_node_line


def parameter(name: str, annotation: str | None = None, default: str | None = None) -> LineParameter:
    return LineParameter(name=name, annotation=annotation, default=default)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {}),
        ("   ", {}),
        ("--define", {"define": True}),
        ("clean", {"name": "clean"}),
        ("_raw2", {"name": "_raw2"}),
        ("flights.clean", {"flow": "flights", "name": "clean"}),
        ("clean -> late", {"name": "clean", "outputs": ("late",)}),
        ("clean->a,b", {"name": "clean", "outputs": ("a", "b")}),
        ("clean -> a , b,", {"name": "clean", "outputs": ("a", "b")}),
        ("split -> (train, test)", {"name": "split", "outputs": ("train", "test")}),
        ("-> late", {"outputs": ("late",)}),
        ("clean()", {"name": "clean", "parameters": ()}),
        ("clean (a)", {"name": "clean", "parameters": (parameter("a"),)}),
        ("(a)", {"parameters": (parameter("a"),)}),
        ("clean(a, b: int = 3)", {"name": "clean", "parameters": (parameter("a"), parameter("b", "int", "3"))}),
        ("c(a, *, b=1, d)", {"name": "c", "parameters": (parameter("a"), parameter("b", None, "1"), parameter("d"))}),
        ("c(a,)->b", {"name": "c", "parameters": (parameter("a"),), "outputs": ("b",)}),
        ("clean --define", {"name": "clean", "define": True}),
        ("--define clean", {"name": "clean", "define": True}),
        ("clean -> a --define", {"name": "clean", "outputs": ("a",), "define": True}),
        ("clean --retry 3", {"name": "clean", "policy": {"retry": 3}}),
        ("clean --retry=3 --timeout 2.5", {"name": "clean", "policy": {"retry": 3, "timeout_s": 2.5}}),
        ("clean --cache off --on-change manual", {"name": "clean", "policy": {"cache": "off", "on_change": "manual"}}),
        ("clean --kind io --executor main", {"name": "clean", "policy": {"kind": "io", "executor": "main"}}),
        ("clean --isolation process", {"name": "clean", "policy": {"isolation": "process"}}),
        (
            "clean --priority -2 --muted --pinned --mutable",
            {"name": "clean", "policy": {"priority": -2, "muted": True, "pinned": True, "mutable": True}},
        ),
        ("clean # it's --retry 3", {"name": "clean"}),
        ("clean -> a # not (b)", {"name": "clean", "outputs": ("a",)}),
    ],
)
def test_each_part_of_the_line_may_be_there_or_not(line: str, expected: dict[str, Any]) -> None:
    assert parse_node_line(line) == NodeLine(**expected, text=line.strip())


@pytest.mark.parametrize(
    "default",
    [
        "')'",
        '"->, --define #"',
        "'it\\'s'",
        "[1, (2, 3)]",
        "{'a': (1, 2)}",
        "lambda a, b: (a, b)",
        "f'{x!r}, )'",
        "a if b else c",
        "x -1",
        "'''('''",
    ],
)
def test_arrows_commas_brackets_and_options_inside_a_default_are_part_of_it(default: str) -> None:
    line = parse_node_line(f"clean(a: Callable[[int], str] = {default}, *, b) -> c --define")
    assert line.parameters == (parameter("a", "Callable[[int], str]", default), parameter("b"))
    assert line.outputs == ("c",)
    assert line.define


@pytest.mark.parametrize(
    ("annotation"),
    ["'a -> b'", "Literal['x', ')']", "Annotated[int, fb.Setting(min=0, max=120, step=5)]", "dict[str, list[int]]"],
)
def test_an_annotation_stays_text(annotation: str) -> None:
    assert parse_node_line(f"f(x: {annotation} = 1)").parameters == (parameter("x", annotation, "1"),)


@pytest.mark.parametrize(
    ("line", "code", "part", "said"),
    [
        ("my-node", "FB501", "my-node", "%%node my_node"),
        ("3d", "FB501", "3d", "%%node n3d"),
        ("class", "FB501", "class", "%%node class_"),
        ("été", "FB501", "été", "%%node ete"),
        ("a.b.c", "FB501", "a.b.c", "%%node b.c"),
        ("flights. --define", "FB501", "", "a name is missing beside the dot"),
        ("a-b.clean --define", "FB501", "a-b", "%%node a_b.clean --define"),
        ("a, b", "FB501", "a,", "name -> a, b"),
        ("clean late", "FB503", "late", "%%node clean"),
        ("clean = 3", "FB503", "=", "not expected"),
        ("clean -define", "FB503", "-define", "%%node clean"),
        ("clean(a", "FB503", "(a", "the parenthesis is not closed"),
        ("clean(a='(')(b)", "FB503", "(b)", "second parenthesis"),
        ("clean(a='x)", "FB50", "", ""),
        ("clean(a]", "FB504", "(a]", "does not match"),
        ("clean(a b)", "FB504", "(a b)", "invalid syntax"),
        ("clean(a, a)", "FB504", "a", "twice"),
        ("clean(a, /, b)", "FB504", "/", "leave out the / after 'a'"),
        ("clean(*tables)", "FB504", "*tables", "a list or dict of values is one input"),
        ("clean(a, **options)", "FB504", "**options", "name each input"),
        ("clean(a=1, b)", "FB504", "(a=1, b)", "default"),
        ("clean ->", "FB505", "->", "%%node clean -> result"),
        ("clean -> --define", "FB505", "->", "%%node clean -> result --define"),
        ("clean -> a b --define", "FB505", "-> a b", "%%node clean -> a, b --define"),
        ("clean -> a,,b", "FB505", "-> a,,b", "names of outputs"),
        ("clean -> a, a", "FB505", "-> a, a", "%%node clean -> a"),
        ("clean -> pl.DataFrame", "FB505", "-> pl.DataFrame", "late: pl.LazyFrame = …"),
        ("clean -> a -> b", "FB505", "-> b", "second arrow"),
        ("clean --retyr 3", "FB506", "--retyr", "%%node clean --retry 3"),
        ("clean --x", "FB506", "--x", "there is --define, --retry, --timeout"),
        ("clean --retry", "FB507", "--retry", "%%node clean --retry 3"),
        ("clean --retry 0", "FB507", "--retry 0", "1 or more"),
        ("clean --retry two -> a", "FB507", "--retry two", "%%node clean --retry 3 -> a"),
        ("clean --timeout 0", "FB507", "--timeout 0", "seconds, more than 0"),
        (f"clean --retry {'-' + '9' * 400}", "FB507", "", "1 or more"),
        ("clean --timeout inf", "FB507", "--timeout inf", "seconds, more than 0"),
        ("clean --timeout --define", "FB507", "--timeout", "%%node clean --timeout 30 --define"),
        ("clean --cache ram", "FB507", "--cache ram", "one of memory, disk, off"),
        ("clean --on-change manul", "FB507", "--on-change manul", "%%node clean --on-change manual"),
        ("clean --cache", "FB507", "--cache", "--cache needs a value"),
        ("clean --define=1", "FB507", "--define=1", "takes no value"),
        ("clean --retry 2 --retry 3", "FB507", "--retry 3", "%%node clean --retry 2"),
    ],
)
def test_a_wrong_line_is_refused_with_the_part_and_what_to_type(line: str, code: str, part: str, said: str) -> None:
    with pytest.raises((CellError, DefinitionError)) as caught:
        parse_node_line(line)
    error = caught.value
    assert error.code.startswith(code)
    assert said in str(error)
    assert error.where == f"%%node {line}"
    if part:
        assert error.fields["part"] == part
    if "column" in error.fields:
        assert line[error.fields["column"] :].startswith(error.fields["part"])


@pytest.mark.parametrize(
    ("line", "needs_name", "name"),
    [
        ("main", True, "main"),
        ("main", False, "main"),
        ("", False, None),
        ("  a # current", False, "a"),
        ("# x", False, None),
    ],
)
def test_a_flow_line_is_a_name_or_nothing(line: str, needs_name: bool, name: str | None) -> None:
    assert parse_flow_line(line, needs_name=needs_name).name == name


@pytest.mark.parametrize(
    ("line", "code", "hint"),
    [("", "FB501", "%%flow main"), ("my-flow", "FB501", "%%flow my_flow"), ("a b", "FB503", "%%flow a")],
)
def test_a_wrong_flow_line_is_refused_with_a_corrected_one(line: str, code: str, hint: str) -> None:
    with pytest.raises(CellError) as caught:
        parse_flow_line(line, needs_name=True)
    assert caught.value.code == code
    assert caught.value.hint == hint


@given(st.one_of(st.text(), st.text(alphabet="ab.,->()[]{}'\"#=: *\\/1\t")))
def test_any_text_is_read_or_refused_never_worse(text: str) -> None:
    try:
        line = parse_node_line(text)
    except FlowbookError as error:
        event(error.code)
    else:
        event("read")
        assert line.text == text.strip()
