"""`flowbook check` finds what is wrong, says where, and runs nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.headless.notebooks import make_notebook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.headless.notebooks import Finished

    Command = Callable[..., Finished]

IMPORT = "import flowbook as fb\nflow = fb.flow('flights')"


@pytest.mark.parametrize(
    ("cells", "code", "fragments"),
    [
        (["%%node late\n1", "%%node late\n2"], "FB710", ["cell 2 and cell 3", "'late'", "hint rename one of them"]),
        (["%%node late(*tables)\n1"], "FB504", ["cell 2", "*tables", "name each input"]),
        (["@flow.node\ndef late(table, **rest): ..."], "FB108", ["cell 2, line 2", "**rest"]),
        (["@fb.node\ndef late(*tables): ..."], "FB108", ["cell 2, line 2", "*tables"]),
        (
            ["@flow.node\ndef late(n: Annotated[int, fb.Setting(max=3)] = 4): ..."],
            "FB103",
            ["cell 2, line 2", "out of range"],
        ),
        (["%%node late(x: int\n1"], "FB504", ["cell 2", "signature"]),
        (['%%flow flights\n{"nodes": [}'], "FB301", ["cell 2, line 2, column 12", 'look at: {"nodes": [}']),
        (['%%flow flights\n{"flowbook": "2"}'], "FB302", ["cell 2", "format 2", "format 1", "pip install"]),
        (['%%flow flights\n{"nodes": [{"id": "a b"}]}'], "FB303", ["cell 2", "'a b'", "nodes[0]"]),
        (
            [
                '%%flow flights\n{"edges": [{"source": "lat", "target": "chart", "targetPort": "late"}]}',
                "%%node late\nlate = 1",
                "%%node chart(late)\nlate",
            ],
            "FB201",
            ["cell 4", "'lat'", "did you mean 'late'?"],
        ),
        (["%%node a\na = b", "%%node b\nb = a"], "FB203", ["cell 3", "b → a → b", "flow.disconnect"]),
        (
            ["@flow.node\ndef name() -> str: ...", "@flow.node\ndef late(name: pl.DataFrame): ..."],
            "FB207",
            ["cell 3", "name.result cannot feed late.name"],
        ),
    ],
)
def test_every_mistake_has_a_code_a_place_and_a_hint(
    cells: list[str], code: str, fragments: list[str], tmp_path: Path, flowbook: Command
) -> None:
    source = make_notebook(tmp_path / "a.ipynb", IMPORT, *cells)

    done = flowbook("check", source)

    assert done.code == 2
    assert done.out.startswith(f"[{code}]"), done.out
    for fragment in fragments:
        assert fragment in done.out
    assert f"{source}: 1 error in" in done.out
    assert [path.name for path in tmp_path.iterdir()] == ["a.ipynb"]


@pytest.mark.parametrize(
    "cells",
    [
        ["1 / 0\nraise SystemExit", "%%node late\n1 / 0"],
        ["%%node a\na = b", "%%node b\nb = a", "main.disconnect('a', 'b')"],
        ["LIMIT = 3\n@flow.node\ndef late(n: Annotated[int, fb.Setting(max=LIMIT)] = 2): ..."],
        ["@flow.node\ndef split(t) -> Parts: ...", "%%flow flights\n" + json.dumps({"edges": [
            {"source": "split", "sourcePort": "train", "target": "late", "targetPort": "x"}]}), "%%node late(x)\nx"],
        ['%%flow flights\n{"nodes": [{"id": "late", "typeId": "table.filter"}]}'],
        ["%%flow flights\n", "%%node late(table, minutes: int = f())\n1"],
    ],
)  # fmt: skip
def test_what_may_be_right_is_not_called_wrong(cells: list[str], tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(tmp_path / "a.ipynb", IMPORT + "\nmain = fb.flow('main')", *cells)

    done = flowbook("check", source)

    assert (done.code, done.out.split("\n")[0].partition(": ")[2][:9]) == (0, "no errors"), done.out


def test_a_node_that_no_cell_defines_is_a_note_and_no_error(tmp_path: Path, flowbook: Command) -> None:
    document = '%%flow flights\n{"nodes": [{"id": "gone", "typeId": "gone"}]}'
    source = make_notebook(tmp_path / "a.ipynb", IMPORT, document)

    done = flowbook("check", source)

    assert done.code == 0
    assert done.out.startswith("[FB210] flow 'flights', cell 2: note: 'gone' waits")


def test_a_notebook_that_is_fine_is_told_what_was_looked_at(tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(tmp_path / "a.ipynb", IMPORT, "%%node late\nlate = 1", "", "late")

    done = flowbook("check", source)

    assert (done.code, done.out) == (0, f"{source}: no errors in 3 code cells, 1 node\n")


@pytest.mark.parametrize(
    ("document", "code", "fragment"),
    [
        ('{"nodes": [}', "FB301", "line 1, column 12"),
        ('{"flowbook": "3"}', "FB302", "format 3"),
        ('{"nodes": [{"id": "a"}, {"id": "a"}]}', "FB304", "two nodes are called 'a'"),
        ('{"nodes": [{"id": "a"}], "edges": [{"source": "b", "target": "a", "targetPort": "x"}]}', "FB201", "'b'"),
        (
            '{"nodes": [{"id": "a"}, {"id": "b"}], "edges": [{"source": "b", "target": "a", "targetPort": "x"},'
            ' {"source": "a", "target": "b", "targetPort": "x"}]}',
            "FB203",
            "b → a → b",
        ),
    ],
)
def test_a_flow_document_is_checked_too(
    document: str, code: str, fragment: str, tmp_path: Path, flowbook: Command
) -> None:
    source = tmp_path / "a.flow.json"
    source.write_text(document)

    done = flowbook("check", source)

    assert done.code == 2
    assert f"[{code}]" in done.out
    assert fragment in done.out


def test_a_file_that_cannot_be_read_is_an_error_of_its_own(tmp_path: Path, flowbook: Command) -> None:
    done: Any = flowbook("check", tmp_path / "none.ipynb")

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("[FB701]")
