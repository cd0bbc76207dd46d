"""``-p name=value`` into the notebook, by papermill's convention.

The cell tagged ``parameters`` assigns the defaults; one cell tagged ``injected-parameters`` is put right after it and
assigns what was given. The executed notebook therefore shows what it was run with, and running *that* notebook again
replaces the injected cell instead of adding a second one.
"""

from __future__ import annotations

import ast
import json
import keyword
import math
from typing import TYPE_CHECKING, Any

from flowbook.errors import HeadlessError, did_you_mean
from flowbook.headless.scan import assigned_names, cell_tags, numbered_code_cells

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbformat import NotebookNode

PARAMETERS_TAG = "parameters"
INJECTED_TAG = "injected-parameters"


def parse_parameters(assignments: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value`` texts; the last one of a name wins.

    A value is a Python literal (``7``, ``-0.5``, ``'UA'``, ``[1, 2]``, ``True``, ``None``), else JSON
    (``true``, ``{"a": null}``), else the text itself (``UA``, ``data/flights.csv``, ``2013-07-01``).

    Raises:
        HeadlessError: there is no ``=``, or the name is no name.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        name = name.strip()
        if not equals:
            what = f"-p {assignment} gives no value"
            raise HeadlessError(
                what, code="FB703", where="-p", hint=f"type -p {assignment}=VALUE", parameter=assignment
            )
        if not all(part.isidentifier() and not keyword.iskeyword(part) for part in name.split(".")):
            what = f"{name!r} is no name for a parameter"
            raise HeadlessError(what, code="FB703", where=f"-p {assignment}", hint="type -p name=value", parameter=name)
        values[name] = parse_value(text)
    return values


def parse_value(text: str) -> Any:
    """Read one value as a Python literal, else as JSON, else as the text it is."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        pass
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return text


def inject_parameters(notebook: NotebookNode, values: Mapping[str, Any]) -> None:
    """Put the cell that assigns ``values`` after the notebook's ``parameters`` cell, in place.

    Nothing is changed when there are no values.

    Raises:
        HeadlessError: no cell is tagged, or a value's name is not assigned in the tagged cell.
    """
    if not values:
        return
    position, names = _parameters_cell(notebook)
    for name in values:
        if name not in names:
            raise HeadlessError(
                f"the notebook has no parameter {name!r}",
                code="FB704",
                where=f"-p {name}",
                hint=did_you_mean(name, names) or f"assign {name} in the cell tagged {PARAMETERS_TAG!r}",
                parameter=name,
                known=sorted(names),
            )
    before = [cell for cell in notebook.cells[: position + 1] if INJECTED_TAG not in cell_tags(cell)]
    after = [cell for cell in notebook.cells[position + 1 :] if INJECTED_TAG not in cell_tags(cell)]
    notebook.cells = [*before, _injected_cell(notebook, values), *after]


def _parameters_cell(notebook: NotebookNode) -> tuple[int, set[str]]:
    """Find the tagged cell: its place among all cells and the names it assigns."""
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and PARAMETERS_TAG in cell_tags(cell):
            return position, assigned_names(cell.source)
    candidates = [number for number, cell in numbered_code_cells(notebook) if assigned_names(cell.source)]
    first = f", perhaps cell {candidates[0]}" if candidates else ""
    raise HeadlessError(
        "the notebook has no cell tagged 'parameters'",
        code="FB705",
        where="-p",
        hint=f"tag the cell that assigns the defaults{first} (in JupyterLab: Property Inspector, Cell Tags)",
    )


def _injected_cell(notebook: NotebookNode, values: Mapping[str, Any]) -> NotebookNode:
    from nbformat.v4 import new_code_cell

    lines = ["# Parameters", *(f"{name} = {_as_source(value)}" for name, value in values.items())]
    cell: NotebookNode = new_code_cell("\n".join(lines), metadata={"tags": [INJECTED_TAG]})
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        del cell["id"]  # older notebooks have no cell ids
    else:
        taken = {other.get("id") for other in notebook.cells}
        # Always the same id, so that two runs with the same parameters write the same notebook.
        cell["id"] = next(name for name in _ids(INJECTED_TAG) if name not in taken)
    return cell


def _ids(stem: str) -> Sequence[str]:
    return [stem, *(f"{stem}-{number}" for number in range(2, 100))]


def _as_source(value: Any) -> str:
    """Write a value that `parse_value` made as Python source."""
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)


def _refuse_constant(name: str) -> Any:
    """JSON's NaN and Infinity stay text: nobody who types ``-p name=NaN`` means a number."""
    raise ValueError(name)
