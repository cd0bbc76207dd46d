"""``flowbook letters`` lists, replays and drops the failures that were kept on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest

import flowbook as fb
from flowbook.headless.cli import main

if TYPE_CHECKING:
    from pathlib import Path

FLOW = """{"flowbook": "1", "id": "shop", "policy": {"stateStorage": "sqlite"},
 "nodes": [{"id": "price", "typeId": "value", "settings": {"value": 4}}, {"id": "rate", "typeId": "rate"}],
 "edges": [{"source": "price", "target": "rate", "targetPort": "price"}],
 "types": [{"id": "rate", "source": "def rate(price, by: int = BY) -> float:\\n    return price / by\\n"}]}
"""


@pytest.fixture
def document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A flow whose node fails, run once."""
    monkeypatch.setenv("FLOWBOOK_STATE", str(tmp_path / "state"))
    path = tmp_path / "shop.flow.json"
    path.write_text(FLOW.replace("BY", "0"))
    assert fb.Flow.open(path).run_sync(raise_errors=False).status == "failed"
    return path


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_letters_are_listed_with_flow_node_failure_and_inputs(
    document: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["letters"]) == 0
    head, line = said(capsys).splitlines()
    assert head.split()[:3] == ["LETTER", "FLOW", "NODE"]
    assert line.split()[:3] == ["1", "shop", "rate"]
    assert "ZeroDivisionError: division by zero  price" in line
    assert main(["letters", "list", "other"]) == 0
    assert said(capsys) == "no dead letters of flow 'other'\n"


def test_a_letter_is_replayed_with_the_mended_document(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["letters", "replay", str(document)]) == 1
    assert "rate: ZeroDivisionError: division by zero\nreplayed 1, 1 left" in said(capsys)
    document.write_text(FLOW.replace("BY", "2"))
    assert main(["letters", "replay", str(document), "1"]) == 0
    assert said(capsys).endswith("rate\nreplayed 1, 0 left\n")
    assert main(["letters", "replay", str(document), "1"]) == 2


def test_letters_are_dropped_by_number_or_flow(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["letters", "drop"]) == 2
    assert main(["letters", "drop", "7"]) == 1
    assert main(["letters", "drop", "--flow", "other"]) == 0
    assert main(["letters", "drop", "1"]) == 0
    assert said(capsys) == "dropped 0 letters\ndropped 0 letters\ndropped 1 letter\n"
    assert main(["letters"]) == 0
    assert said(capsys) == "no dead letters\n"


def test_letters_of_a_notebook_are_replayed_without_firing_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLOWBOOK_STATE", str(tmp_path / "state"))
    flow = fb.Flow("book", policy=fb.FlowPolicy(state_storage="sqlite"))

    @flow.node
    def price() -> int:
        return 4

    @flow.node
    def rate(price: int, by: int = 0) -> float:
        return price / by

    assert flow.run_sync(raise_errors=False).status == "failed"
    cells = [
        "%load_ext flowbook\nimport flowbook as fb\n%flow book",
        "%%node price\nopen('log.txt', 'a').write('price ')\nprice = 4",
        "%%node rate(price, by: int = 2)\nopen('log.txt', 'a').write('rate ')\nrate = price / by",
        "%%node shown\nopen('log.txt', 'a').write('shown ')\nshown = f'<{rate}>'",
        "print(fb.flow('book')['rate'].value)",
    ]
    path = tmp_path / "book.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells]), path)
    before = path.read_bytes()
    assert main(["letters", "replay", str(path), "7"]) == 2
    assert "there is no dead letter 7" in capsys.readouterr().err
    assert main(["letters", "replay", str(path)]) == 0
    assert said(capsys).endswith("rate, shown\nreplayed 1, 0 left\n")
    assert (tmp_path / "log.txt").read_text().split() == ["rate", "shown"]
    assert path.read_bytes() == before
