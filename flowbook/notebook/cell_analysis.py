"""What the body of a node cell reads, binds and hands on, known before it runs.

Body and position in the cell come in, a ``CellAnalysis`` goes out; ``choose_outputs`` applies the output rule to it.
Nothing is executed, and no notebook value is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ast
    from collections.abc import Mapping

#: The output port of a cell that assigns nothing; its value is the cell's last expression, or None.
RESULT = "result"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellAnalysis:
    """The names of one body, each tuple in order of first appearance.

    Attributes:
        body: the text below the magic line.
        filename: what the code objects and errors of this cell bear.
        first_line: line of the cell on which the body starts, >= 1.
        tree: the parsed body, with the cell's line numbers.
        reads: names certainly or possibly read before the body binds them; no builtins. Input or environment.
        optional_reads: names read where only some branch has bound them; needed only if they exist. Not in ``reads``.
        builtins_read: builtin names the body reads and does not bind.
        shadowed_builtins: builtin names read before the body binds the same name.
        read_lines: name -> line of the cell of its first read, for everything in the four tuples above.
        assigned: names bound by ``=``, ``:=``, ``+=`` and annotated assignment.
        targets: names bound by for, with, except and match.
        defined: names bound by import, def and class.
        deleted: names that no path leaves bound at the end.
        unsure: names that some path leaves unbound at the end.
        annotations: name -> annotation text of ``name: type = value``.
        is_async: the body awaits.
        doc: the leading string literal when more follows; empty otherwise.
        ends_in_expression: the last statement is an expression.
    """

    body: str
    filename: str
    first_line: int
    tree: ast.Module = field(repr=False, compare=False)
    reads: tuple[str, ...]
    optional_reads: tuple[str, ...]
    builtins_read: tuple[str, ...]
    shadowed_builtins: tuple[str, ...]
    read_lines: Mapping[str, int]
    assigned: tuple[str, ...]
    targets: tuple[str, ...]
    defined: tuple[str, ...]
    deleted: frozenset[str]
    unsure: frozenset[str]
    annotations: Mapping[str, str]
    is_async: bool
    doc: str
    ends_in_expression: bool


def analyse(body: str, *, filename: str, first_line: int = 2, flags: int = 0) -> CellAnalysis:
    """Read ``body`` without running it.

    Args:
        body: the text below the magic line.
        filename: what errors and code objects bear.
        first_line: line of the cell on which ``body`` starts, >= 1.
        flags: compiler flags of the notebook (``ip.compile.flags``): earlier ``from __future__`` imports.

    Raises:
        SyntaxError: the body is not Python; file name, line and column are the cell's.
        CellError: FB510 to FB519, Python that cannot be a node.
    """
    raise NotImplementedError


def choose_outputs(analysis: CellAnalysis, *, name: str | None, listed: tuple[str, ...] | None, given: tuple[str, ...] = ()) -> tuple[str, tuple[str, ...]]:
    """Apply the output rule; returns the node's name and its output ports.

    Args:
        analysis: the body.
        name: the name on the magic line, if any.
        listed: the names after ``->``, if any.
        given: names of the signature's parameters, which may be handed on too.

    Raises:
        CellError: FB502 no name can be inferred; FB520 a listed output is never bound.
    """
    raise NotImplementedError
