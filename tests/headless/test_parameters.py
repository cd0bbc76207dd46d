"""`-p name=value`: what values are, where they go, and what is refused before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from flowbook.errors import HeadlessError
from flowbook.headless.parameters import inject_parameters, parse_parameters, parse_value
from flowbook.headless.sources import parse_notebook
from tests.headless.notebooks import code, make_notebook, read_notebook, stdout_of, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.headless.notebooks import Finished


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("7", 7),
        ("-0.5", -0.5),
        ("1e3", 1000.0),
        ("True", True),
        ("true", True),
        ("null", None),
        ("None", None),
        ("'7'", "7"),
        ("[1, 2]", [1, 2]),
        ('{"a": null}', {"a": None}),
        ("{'a': (1, 2)}", {"a": (1, 2)}),
        ("UA", "UA"),
        ("data/flights.csv", "data/flights.csv"),
        ("2013-07-01", "2013-07-01"),
        ("2013-10-11", "2013-10-11"),
        ("01", "01"),
        ("NaN", "NaN"),
        ("__import__('os')", "__import__('os')"),
        ("", ""),
        ("a=b", "a=b"),
        ("[" * 10_000, "[" * 10_000),
    ],
)
def test_a_value_is_a_literal_of_python_or_json_else_the_text_itself(typed: str, value: Any) -> None:
    found = parse_value(typed)

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("assignment", ["month", "=7", "7=month", "class=1", "a b=1", "a..b=1"])
def test_what_is_no_assignment_is_refused_with_the_right_form(assignment: str) -> None:
    with pytest.raises(HeadlessError) as caught:
        parse_parameters([assignment])

    assert caught.value.code == "FB703"
    assert "-p" in caught.value.hint


def test_the_last_value_of_a_name_wins() -> None:
    assert parse_parameters(["month=1", "carrier=UA", "month=7"]) == {"month": 7, "carrier": "UA"}


def test_values_are_assigned_after_the_defaults_and_replace_those_of_an_earlier_run(tmp_path: Path) -> None:
    path = make_notebook(
        tmp_path / "a.ipynb",
        text("# t"),
        code("month: int = 1\ncarrier = 'AA'\n%matplotlib inline\n(a, b) = 1, 2", "parameters"),
        "print(month)",
    )
    notebook = parse_notebook(path, path.read_text())

    inject_parameters(notebook, {"month": 7, "b": float("inf")})
    inject_parameters(notebook, {"month": 8})

    assert [cell.source.split("\n")[0] for cell in notebook.cells] == [
        "# t",
        "month: int = 1",
        "# Parameters",
        "print(month)",
    ]
    assert notebook.cells[2].source == "# Parameters\nmonth = 8"
    assert notebook.cells[2].metadata.tags == ["injected-parameters"]


def test_without_parameters_the_notebook_stays_as_it_is(tmp_path: Path) -> None:
    path = make_notebook(tmp_path / "a.ipynb", "print(1)")
    notebook = parse_notebook(path, path.read_text())

    inject_parameters(notebook, {})

    assert [cell.source for cell in notebook.cells] == ["print(1)"]


def test_a_parameter_drives_the_notebook_and_is_seen_in_the_executed_one(
    tmp_path: Path, flowbook: Callable[..., Finished]
) -> None:
    source = make_notebook(
        tmp_path / "a.ipynb", code("month = 1", "parameters"), code("print('month', month)", "answer")
    )

    done = flowbook("run", source, "-p", "month=7")

    assert done.code == 0
    assert "\nmonth 7\n" in done.out
    executed = read_notebook(tmp_path / "a.out.ipynb")
    assert executed.cells[1].source == "# Parameters\nmonth = 7"
    assert stdout_of(executed.cells[2]) == "month 7\n"


@pytest.mark.parametrize(
    ("cells", "code_name", "hint"),
    [
        ([code("month = 1\nyear = 2013", "parameters")], "FB704", "did you mean 'month'?"),
        ([code("pass", "parameters")], "FB704", "assign mnth in the cell tagged 'parameters'"),
        (["print(0)", "month = 1"], "FB705", "perhaps cell 2"),
    ],
)
def test_an_unknown_parameter_exits_2_before_anything_runs(
    cells: list[Any], code_name: str, hint: str, tmp_path: Path, flowbook: Callable[..., Finished]
) -> None:
    source = make_notebook(tmp_path / "a.ipynb", *cells, "open('ran', 'w')")

    done = flowbook("run", source, "-p", "mnth=7")

    assert done.code == 2
    assert code_name in done.err
    assert hint in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["a.ipynb"]
