"""The files the commands are given: a notebook, or a flow document, told apart by what is in them."""

from __future__ import annotations

import json
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flowbook.errors import HeadlessError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from nbformat import NotebookNode

UNREADABLE = "FB701"


def read_text(path: Path) -> str:
    """Read a file as UTF-8.

    Raises:
        HeadlessError: FB701, it is not there, a folder, not readable or not text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = _similar_name(path)
        raise _unreadable(path, "there is no such file", f"did you mean {near}?" if near else "") from None
    except IsADirectoryError:
        raise _unreadable(path, "it is a folder", "name a notebook in it") from None
    except UnicodeDecodeError:
        raise _unreadable(path, "it is not UTF-8 text", "is it a notebook?") from None
    except OSError as error:
        raise _unreadable(path, (error.strerror or type(error).__name__).lower(), "") from error


def is_flow_document(path: Path, text: str) -> bool:
    """Whether the text is a flow document rather than a notebook.

    The name decides where it says so (``.flow.json``, ``.ipynb``), the content where it does not.
    """
    if path.name.endswith(".ipynb"):
        return False
    if path.name.endswith(".flow.json"):
        return True
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, dict) and "nbformat" not in found and ("flowbook" in found or "nodes" in found)


def parse_notebook(path: Path, text: str) -> NotebookNode:
    """Read a notebook of any version as one of version 4.

    Raises:
        HeadlessError: FB701, it is not JSON (line and column) or not a notebook.
    """
    found = _parse_json(path, text)
    if not isinstance(found, dict) or "nbformat" not in found:
        raise _unreadable(path, "it is JSON, but not a notebook", 'a notebook has "nbformat" and "cells"')
    with without_slow_grammars():
        import nbformat
        from nbformat.validator import normalize
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # missing cell ids and the like: repaired just below
            notebook: NotebookNode = normalize(nbformat.reads(text, as_version=4))[1]
            for cell in notebook.cells:
                _complete(cell)
    except Exception as error:  # whatever nbformat's converters stumble over
        detail = str(error).split("\n")[0] or type(error).__name__
        reason = f"it is no notebook that nbformat can read: {detail}"
        raise _unreadable(path, reason, "open and save it in JupyterLab") from error
    return notebook


@contextmanager
def without_slow_grammars() -> Iterator[None]:
    """Spare the first import of nbformat the grammar of international URIs.

    jsonschema, which nbformat checks notebooks with, compiles it on import when the package is there (JupyterLab
    brings it): 2.5 s, two thirds of what a small run takes. No notebook has a field of that format, and jsonschema
    does without the package where it is missing; so it is missing while the block lasts.
    """
    name = "rfc3987_syntax"
    if name in sys.modules:
        yield
        return
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    modules[name] = None  # Python's own way to say "not to be found"
    try:
        yield
    finally:
        del modules[name]


def notebook_text(notebook: NotebookNode) -> str:
    """Write a notebook as JSON, ending in a newline, as Jupyter does."""
    import nbformat

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text: str = nbformat.writes(notebook)
    return text if text.endswith("\n") else text + "\n"


def _complete(cell: NotebookNode) -> None:
    """Give a cell the fields that everybody relies on; raises when it is no cell at all."""
    from nbformat import NotebookNode

    if not isinstance(cell.cell_type, str) or not isinstance(cell.source, str):
        message = "a cell has no text"
        raise TypeError(message)
    cell.setdefault("metadata", NotebookNode())
    if cell.cell_type == "code":
        cell.setdefault("outputs", [])
        cell.setdefault("execution_count", None)


def _parse_json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        what = f"{path.name} is not JSON: {error.msg}, line {error.lineno}, column {error.colno}"
        raise HeadlessError(
            what,
            code=UNREADABLE,
            where=str(path),
            hint="is it a notebook? A merge conflict leaves marks that JSON has no word for",
            line=error.lineno,
            column=error.colno,
        ) from error
    except RecursionError as error:
        raise _unreadable(path, "it is nested too deeply", "") from error


def _similar_name(path: Path) -> str:
    import difflib

    if not path.parent.is_dir():
        return ""
    names = [entry.name for entry in path.parent.iterdir() if entry.name.endswith((".ipynb", ".flow.json"))]
    near = difflib.get_close_matches(path.name, names, n=1)
    return str(path.with_name(near[0])) if near else ""


def _unreadable(path: Path, reason: str, hint: str) -> HeadlessError:
    return HeadlessError(f"{path} cannot be read: {reason}", code=UNREADABLE, hint=hint, path=path.name, reason=reason)
