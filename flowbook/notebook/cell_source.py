"""A node cell as the text of a plain function, for documents that must stand without their notebook."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from flowbook.notebook.cell_function import indented

if TYPE_CHECKING:
    from flowbook.notebook.cell_function import CellFunction
    from flowbook.registry.magic_line import NodeLine


def function_text(cell: CellFunction, line: NodeLine) -> str:
    """Write the cell as a function of everything it reads, returning its outputs; comments are kept where possible."""
    define = "async def" if cell.is_async else "def"
    given = line.parameters or ()
    defaults = [each.default is not None for each in given]
    star = [] if defaults == sorted(defaults) else ["*"]  # one without a default may follow one with, on a magic line
    header = f"{define} {cell.name}({', '.join([*cell.free_names, *star, *map(str, given)])}):\n"
    text = header + indented(cell.source)
    if cell.analysis.ends_in_expression and not set(cell.outputs) <= set(cell.analysis.assigned):
        function = ast.parse(text).body[0]
        assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)  # noqa: S101 -- it is our own header
        last = function.body[-1]
        if isinstance(last, ast.Expr):
            return _with_return(text, last)
        return text
    return f"{text} return {', '.join(cell.outputs)}\n"


def _with_return(text: str, last: ast.Expr) -> str:
    """Put ``return`` before the last expression; every line stays where it is."""
    lines = text.splitlines(keepends=True)
    line = lines[last.lineno - 1].encode()
    lines[last.lineno - 1] = f"{line[: last.col_offset].decode()}return {line[last.col_offset :].decode()}"
    return "".join(lines)
