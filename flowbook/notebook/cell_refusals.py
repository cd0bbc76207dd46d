"""What Python and IPython allow in a cell but a node cannot be made of; each refusal says what to write instead."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, NoReturn

from flowbook.errors import CellError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: A line of IPython's own language, as far as it can start a statement: %magic, !command, x = %magic, x = !command.
_MAGIC = re.compile(r"\s*(?:[\w.,\s*\[\]]+=\s*)?(?P<sign>%%|%|!!?)\s*(?P<word>[\w.]*)")
#: Asking for help: ?name, name?, name??
_HELP = re.compile(r"\s*(?:\?{1,2}[\w.*]+|%{0,2}[\w.*]+\?{1,2})\s*$")


def refuse_magics(lines: Sequence[str], line: int, first_line: int) -> None:
    """Refuse IPython's own syntax; called when Python could not read ``line``, so that strings and ``a % b`` are safe.

    Args:
        lines: the body.
        line: the cell's line that is not Python.
        first_line: line of the cell on which the body starts.

    Raises:
        CellError: FB510.
    """
    index = line - first_line
    if not 0 <= index < len(lines):
        return
    text = lines[index]
    if _HELP.match(text):
        _refuse("FB510", "a question mark asks IPython, not Python", line, "ask in a cell of its own", text)
    found = _MAGIC.match(text)
    if found:
        shown = f"{found['sign']}{found['word']}"
        _refuse("FB510", f"{shown} cannot stand in a node", line, _instead_of_magic(found["sign"], found["word"]), text)


def refuse_statements(tree: ast.Module) -> None:
    """Refuse statements that would not do in a node what they do in a cell.

    Raises:
        CellError: FB511 return; FB512 yield; FB513 global, nonlocal; FB514 ``import *``; FB515 ``from __future__``;
            FB517 nothing but comments.
    """
    if not tree.body:
        _refuse("FB517", "the cell has no code", 1, "write what the node does below the magic line")
    _Refusals().visit(tree)


def _instead_of_magic(sign: str, word: str) -> str:
    if sign.startswith("!") or word in {"sh", "bash", "system", "sx", "script"}:
        return 'subprocess.run(["ls", "-l"], check=True), or a plain cell for what is done once'
    if word in {"time", "timeit", "prun"}:
        return "leave it out: the node's card and run.trace say how long it took"
    if word in {"node", "flow"}:
        return "one node, one cell: start a new cell"
    return "put it into a plain cell above"


def _refuse(code: str, what: str, line: int, hint: str, text: str = "") -> NoReturn:
    where = f"line {line} of the cell"
    raise CellError(what, code=code, where=where, hint=hint, line=line, text=text.strip()) from None


class _Refusals(ast.NodeVisitor):
    """Walks a body; ``functions`` holds, for each function around a statement, the names it binds."""

    def __init__(self) -> None:
        self.depth = 0

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef  # noqa: N815

    def visit_Return(self, node: ast.Return) -> None:
        if self.depth == 0:
            value = ast.unparse(node.value) if node.value is not None else "None"
            shown = value if len(value) <= 40 else "…"
            hint = f"assign what the node hands on: name = {shown}"
            _refuse("FB511", "return stands outside a function", node.lineno, hint)
        self.generic_visit(node)

    def visit_Yield(self, node: ast.Yield | ast.YieldFrom) -> None:
        if self.depth == 0:
            hint = "a node that produces many values is a function with yield under @flow.node"
            _refuse("FB512", "yield stands outside a function", node.lineno, hint)
        self.generic_visit(node)

    visit_YieldFrom = visit_Yield  # noqa: N815

    def visit_Global(self, node: ast.Global) -> None:
        names = ", ".join(node.names)
        hint = f"a node changes nothing around it: make {names} an output by assigning it in the cell"
        _refuse("FB513", f"global {names}: a node's names stay out of the notebook", node.lineno, hint)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        if self.depth == 0:
            hint = "leave the line out: assigning the name is enough"
            _refuse("FB513", f"nonlocal {', '.join(node.names)} stands outside a function", node.lineno, hint)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.module == "__future__":
            hint = "put it into a plain cell of its own: it then holds for the cells after it, nodes included"
            _refuse("FB515", "from __future__ must be the first thing in a cell", node.lineno, hint)
        if any(alias.name == "*" for alias in node.names):
            hint = f"name what is needed: from {node.module} import …"
            _refuse("FB514", "import * hides which names the node binds", node.lineno, hint)
