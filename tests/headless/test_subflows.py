"""Flows with subflows from the command line: checked, drawn and run without a notebook around them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import nbformat
import pytest

import flowbook as fb
from flowbook.headless.cli import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A saved flow with a subflow, and a mapped node in it."""
    inner, flow = fb.Flow("inner"), fb.Flow("outer")

    @inner.node
    def squares(numbers: fb.each[int], plus: int = 0) -> int:
        return numbers * numbers + plus

    @flow.node
    def numbers(n: int = 3) -> list[int]:
        return list(range(n))

    flow.add(inner, "sub")
    flow.connect("numbers", "sub.numbers")

    @flow.node
    def total(squares: list[int]) -> int:
        return sum(squares)

    return flow.save(tmp_path / "outer.flow.json")


def test_a_saved_flow_is_checked_and_drawn(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(document)]) == 0
    assert "no errors" in capsys.readouterr().out
    assert main(["graph", str(document), "--format", "json"]) == 0
    drawn = json.loads(capsys.readouterr().out)
    assert [card["id"] for card in drawn["nodes"]] == ["numbers", "sub", "total"]
    assert {(edge["source"], edge["target"]) for edge in drawn["edges"]} == {("numbers", "sub"), ("sub", "total")}
    assert [setting["name"] for setting in drawn["nodes"][1]["settings"]] == ["squares.plus"]


def test_a_saved_flow_is_run_with_a_setting_of_an_inner_node(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = document.with_name("report.json")
    done = main(["run", str(document), "-p", "sub.squares.plus=1", "--json", str(report), "-o", str(report) + ".ipynb"])
    assert done == 0, capsys.readouterr().out
    spans = [span["node"] for run in json.loads(report.read_text())["runs"] for span in run["spans"]]
    assert spans == ["numbers", "sub", "sub/squares", "sub/squares[0]", "sub/squares[1]", "sub/squares[2]", "total"]


def test_a_notebook_is_checked_with_the_flow_that_a_node_is_made_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = '{"nodes": [{"id": "sub", "typeId": "flow.prep", "settings": {"parse.sp": ";"}}]}'
    cells = [f"%%flow outer\n{text}", "%%node prep.parse(text: str, sep: str = ',')\nparse = text.split(sep)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    path = tmp_path / "book.ipynb"
    nbformat.write(notebook, path)
    main(["check", str(path)])
    told = capsys.readouterr().out
    assert "'sub' keeps a value for 'parse.sp', which it does not have" in told
    assert "did you mean 'parse.sep'" in told


def test_an_item_that_is_left_out_fails_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [
        "import flowbook as fb\nflow = fb.flow('shares')",
        "@flow.node\ndef numbers() -> list[int]:\n    return [1, 0]",
        "@flow.node(on_item_error='skip')\ndef shares(numbers: fb.each[int]) -> float:\n    return 1 / numbers",
        "run = await flow.run()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    path = tmp_path / "shares.ipynb"
    nbformat.write(notebook, path)
    assert main(["run", str(path)]) == 0
    told = capsys.readouterr().out
    assert "first run (2 items: 1 failed and left out)" in told
    assert "shares[1]" not in told


def test_a_saved_flow_that_runs_another_for_each_item_is_checked_drawn_and_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inner, flow = fb.Flow("inner"), fb.Flow("outer")

    @inner.node
    def square(number: int, plus: int = 0) -> int:
        return number * number + plus

    flow.add(inner, "all", each="number", number=[1, 2, 3])

    @flow.node
    def total(all: list[int]) -> int:  # noqa: A002 -- the name of the node it reads
        return sum(all)

    document = flow.save(tmp_path / "outer.flow.json")
    assert main(["check", str(document)]) == 0
    assert "no errors" in capsys.readouterr().out
    assert main(["graph", str(document), "--format", "json"]) == 0
    drawn = json.loads(capsys.readouterr().out)
    assert [card["id"] for card in drawn["nodes"]] == ["all", "total"]
    report = tmp_path / "report.json"
    capsys.readouterr()
    assert main(["run", str(document), "-p", "all.square.plus=1", "--json", str(report), "-o", f"{report}.ipynb"]) == 0
    told = capsys.readouterr().out
    assert ("2 nodes ran" in told, "all[" in told) == (True, False), "an item is told of by its node"
    spans = {span["node"]: span for run in json.loads(report.read_text())["runs"] for span in run["spans"]}
    assert list(spans)[:5] == ["all", "all[0]", "all[0]/square", "all[1]", "all[1]/square"]
    document.write_text(document.read_text().replace('"number"]', '"numbr"]'))
    assert main(["check", str(document)]) == 2
    assert "'all' has no input 'numbr'" in capsys.readouterr().out
