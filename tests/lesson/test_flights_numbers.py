"""The flights lesson finds out what plain polars finds out: the year by `jupyter execute`, July by `flowbook run`."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from functools import cache
from typing import Any

import nbformat
import pytest

from tests.lesson import oracle
from tests.lesson.flights import NOTEBOOK, TABLES, Execution, handing_over

ARRAYS = ("hours", "bootstrap")
ANALYSES = (*TABLES, *ARRAYS)
BELOW_DELAYS = {
    *ANALYSES,
    *("delays", "with_weather", "answer"),
    *("carrier_chart", "weather_chart", "hour_chart", "age_chart", "route_chart"),
}


@pytest.fixture(scope="session")
def july(tmp_path_factory: pytest.TempPathFactory) -> Execution:
    """July, by `flowbook run` from another folder, with the data named by a parameter."""
    folder = tmp_path_factory.mktemp("july")
    nbformat.write(handing_over(folder), folder / "flights.ipynb")
    command = [sys.executable, "-m", "flowbook.headless.cli", "run", "flights.ipynb", "-o", "executed.ipynb"]
    parameters = ["-p", "month=7", "-p", f"data_dir={NOTEBOOK.parent / 'data'}"]
    done = subprocess.run([*command, *parameters], cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    return Execution((folder / "executed.ipynb").read_text(encoding="utf-8"), done.stdout, found)


@cache
def worked_out(month: int) -> dict[str, Any]:
    """The oracle's tables, once for each month."""
    return oracle.work_out(oracle.Question(month=month))


def assert_same(found: Any, expected: Any, where: str) -> None:
    """Counts and names exactly, floats to 1e-9; NaN is NaN."""
    if isinstance(expected, dict):
        assert list(found) == list(expected), where
        for name, value in expected.items():
            assert_same(found[name], value, f"{where}.{name}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), where
        for index, value in enumerate(expected):
            assert_same(found[index], value, f"{where}[{index}]")
    elif isinstance(expected, float) and found is not None:
        assert math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9) or (
            math.isnan(found) and math.isnan(expected)
        ), f"{where}: {found} is not {expected}"
    else:
        assert found == expected, where


def assert_says(answer: str, question: oracle.Question, tables: dict[str, Any]) -> None:
    """Each paragraph of the answer holds its figures, in their order."""
    for paragraph, figures in zip(answer.split("\n\n"), oracle.said(question, tables), strict=True):
        rest = " ".join(paragraph.split())
        for figure in figures:
            _, is_there, rest = rest.partition(figure)
            assert is_there, f"{figure!r} is missing in {paragraph!r}"


def test_the_lesson_holds_nothing_of_the_kernel_that_happened_to_run_it() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}, cell.id


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("month", [0, 7])
def test_every_table_holds_what_plain_polars_finds(name: str, month: int, request: pytest.FixtureRequest) -> None:
    """Row by row, column by column, for the year and for July."""
    execution: Execution = request.getfixturevalue("july" if month else "year")
    assert_same(execution.found["tables"][name], worked_out(month)[name], name)


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("month", [0, 7])
def test_every_array_holds_what_a_loop_over_days_finds(name: str, month: int, request: pytest.FixtureRequest) -> None:
    """The numbers that numpy gets, and the draws it makes of them."""
    execution: Execution = request.getfixturevalue("july" if month else "year")
    assert_same(execution.found[name], worked_out(month)[name], name)


def test_the_answer_says_the_figures_of_the_year(year: Execution) -> None:
    """Every figure of the four paragraphs comes from the tables."""
    assert_says(year.found["answer"], oracle.Question(), worked_out(0))


def test_a_parameter_changes_the_answer_to_that_of_july(july: Execution, year: Execution) -> None:
    """`-p month=7` is July's answer, and the command line prints it."""
    assert_says(july.found["answer"], oracle.Question(month=7), worked_out(7))
    assert july.found["answer"] in july.printed
    assert july.found["answer"] != year.found["answer"]


def test_a_setting_changes_what_late_means(july: Execution) -> None:
    """The second run of the lesson answers for an hour instead of a quarter of one."""
    strict = oracle.Question(month=7, min_minutes=60)
    assert_says(july.found["strict"], strict, oracle.work_out(strict))


@pytest.mark.parametrize("execution", ["year", "july"])
def test_a_setting_runs_again_what_depends_on_it(execution: str, request: pytest.FixtureRequest) -> None:
    """Each node below `delays` once, and neither the files nor the small tables."""
    recomputed = request.getfixturevalue(execution).found["recomputed"]
    assert sorted(recomputed) == sorted(BELOW_DELAYS)


@pytest.mark.parametrize("execution", ["year", "july"])
def test_the_executed_lesson_is_small_and_holds_no_script(execution: str, request: pytest.FixtureRequest) -> None:
    """Under a megabyte, charts included, and nothing in it that a browser would run."""
    text = request.getfixturevalue(execution).text
    assert len(text.encode()) < 1_000_000
    outputs = [output for cell in json.loads(text)["cells"] for output in cell.get("outputs", [])]
    assert outputs
    for output in outputs:
        assert output["output_type"] != "error", output
        for mime, content in output.get("data", {}).items():
            assert "javascript" not in mime
            if mime in ("text/html", "image/svg+xml"):
                assert "<script" not in "".join(content).lower()
