"""What `flowbook run` refuses before a kernel starts: exit code 2, a code, a hint, and no file written."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from flowbook.headless import run
from flowbook.headless.output_files import write_atomically
from tests.headless.notebooks import ROOT, make_notebook

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.headless.notebooks import Finished

    Command = Callable[..., Finished]


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that were to start would fail the test."""

    def execute(*_: Any) -> Any:
        pytest.fail("a kernel was about to start")

    monkeypatch.setattr(run, "_execute", execute)


def _refused(done: Finished, code: str, *fragments: str) -> None:
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith(f"[{code}]")
    assert "Traceback" not in done.err
    for fragment in fragments:
        assert fragment in done.err


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (None, "there is no such file"),
        (b"", "is not JSON"),
        (b'{"cells": [\n  {]}', "line 2, column 4"),
        (b"[]", "not a notebook"),
        (b'{"a": 1}', "not a notebook"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{}]}', "no notebook that nbformat can read"),
        (b'{"nbformat": 99, "cells": []}', "no notebook that nbformat can read"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 100_000, "cannot be read"),
    ],
)
def test_what_is_no_notebook_is_refused(
    content: bytes | None, fragment: str, tmp_path: Path, flowbook: Command
) -> None:
    path = tmp_path / "a.ipynb"
    if content is not None:
        path.write_bytes(content)

    _refused(flowbook("run", path), "FB701", fragment)


def test_a_misspelt_file_gets_the_name_of_the_near_one(tmp_path: Path, flowbook: Command) -> None:
    make_notebook(tmp_path / "flights.ipynb")

    _refused(flowbook("run", tmp_path / "flight.ipynb"), "FB701", "did you mean", "flights.ipynb")


def test_an_output_that_cannot_be_written_is_found_before_anything_runs(tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(tmp_path / "a.ipynb", "print(1)")
    folder = tmp_path / "folder"
    folder.mkdir()

    _refused(flowbook("run", source, "-o", folder), "FB702", "it is a folder", "-o")
    _refused(flowbook("run", source, "-o", tmp_path / "none" / "b.ipynb"), "FB702", "mkdir -p")
    _refused(flowbook("run", source, "--json", tmp_path / "none" / "b.json"), "FB702", "--json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ipynb", "folder"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("%%node late\nlate = 1", "%%node late\nlate = 2"),
        ("%%node flights.late\n1", "flow = fb.flow('flights')\n@flow.node\ndef late(): ..."),
        ("flow = fb.flow('flights')\n@flow.node\ndef late(): ...", "@flow.node(cache='off')\nasync def late(): ..."),
        ("flow = fb.flow('flights')\n@flow.node(name='late')\ndef a(): ...", "%%node late --define\nlate = 1"),
        ("%%flow flights\n", "%%node late\n1"),
    ],
)
def test_a_node_defined_by_two_cells_is_refused_and_both_are_named(
    first: str, second: str, tmp_path: Path, flowbook: Command
) -> None:
    cells = ["import flowbook as fb", first, second]
    source = make_notebook(tmp_path / "a.ipynb", *cells, *(["%%node flights.late\n2"] if "%%flow" in first else []))

    done = flowbook("run", source)

    _refused(done, "FB710", "'late'", "cell 2" if "%%flow" not in first else "cell 4", "cell 3")


def test_a_target_that_no_cell_mentions_is_refused(tmp_path: Path, flowbook: Command) -> None:
    source = make_notebook(tmp_path / "a.ipynb", "%%node late\nlate = 1")

    _refused(flowbook("run", source, "--to", "lat"), "FB707", "did you mean 'late'?")


def test_a_kernel_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path, flowbook: Command) -> None:
    kernelspec = {"name": "no-such-kernel", "display_name": "?", "language": "python"}
    source = make_notebook(tmp_path / "a.ipynb", "1", metadata={"kernelspec": kernelspec})

    _refused(flowbook("run", source), "FB706", "no-such-kernel", "python3")


def test_a_flow_document_has_nothing_to_write_in_place_and_must_be_one(tmp_path: Path, flowbook: Command) -> None:
    document = tmp_path / "a.flow.json"
    document.write_text(json.dumps({"flowbook": "1", "nodes": [{"id": "late", "typeId": "late"}]}))

    _refused(flowbook("run", document, "--inplace"), "FB700", "-o NAME.ipynb")
    _refused(flowbook("run", document, "--to", "lat"), "FB201", "did you mean 'late'?")
    document.write_text('{"flowbook": "2"}')
    _refused(flowbook("run", document), "FB302", "format 2", "format 1")
    document.write_text('{"nodes": [}')
    _refused(flowbook("run", document), "FB301", "line 1, column 12")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["walk"],
        ["run"],
        ["run", "a.ipynb", "-o", "b", "--inplace"],
        ["run", "a.ipynb", "--bogus"],
        ["graph", "a", "--format", "png"],
    ],
)
def test_arguments_that_make_no_sense_exit_2_with_the_usage(arguments: list[str], flowbook: Command) -> None:
    done = flowbook(*arguments)

    assert done.code == 2
    assert "usage: flowbook" in done.err


def test_help_is_answered_without_loading_jupyter_or_tables() -> None:
    heavy = {"nbclient", "nbformat", "jupyter_client", "rich", "IPython", "polars", "numpy", "traitlets"}
    program = (
        "import sys; from flowbook.headless.cli import main; code = main(['--help']); "
        f"print(sorted({heavy!r} & set(sys.modules)), file=sys.stderr); sys.exit(code)"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert "exit codes:" in done.stdout


# -- files are whole or not written


def test_a_file_is_the_old_one_when_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    path = tmp_path / "a.ipynb"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Exception, match="no space left on device"):
        write_atomically(path, "new")

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_followed_and_permissions_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "a.ipynb", tmp_path / "link.ipynb"
    path.write_text("old")
    path.chmod(0o600)
    link.symlink_to(path)

    write_atomically(link, "new")

    assert link.is_symlink()
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600
