"""Finds the line of a node's code that an error speaks of, when the error did not pass through that code.

A lazy table is computed long after the node that wrote its steps has returned, so the traceback of a column that is
not there, or cannot be cast, leads nowhere. What the error names (a column, the step that failed) is looked for among
the constants and names of the node's code.
"""

from __future__ import annotations

import dis
import inspect
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

    from flowbook.core.node_types import NodeType

_COLUMN: Final = re.compile(
    r"""unable to find column "([^"]+)"|in column '([^']+)'|col\("([^"]+)"\)"""
    r"""|column (?:named |name )?["'`]([^"'`]+)["'`]"""
)
_STEP: Final = re.compile(r"FAILED HERE RESOLVING '(\w+)'")


def named_line(error: BaseException, node_type: NodeType) -> int | None:
    """Return the line, >= 1, of the node's code that names what a table library complains of; None when none does.

    Args:
        error: what polars said; other errors carry their own line, or have none.
        node_type: the node's type.
    """
    if type(error).__module__.partition(".")[0] != "polars" or node_type.function is None:
        return None
    code = getattr(inspect.unwrap(node_type.function), "__code__", None)
    if code is None or code.co_filename != node_type.filename:
        return None
    text = str(error)
    steps = _STEP.findall(text)
    columns = [name for found in _COLUMN.findall(text) for name in found if name]
    written = list(_written(code))
    for column in dict.fromkeys(columns):
        whole = [line for line, word in written if word == column]
        within = re.compile(rf"(?<!\w){re.escape(column)}(?!\w)")  # in SQL, in a pattern
        lines = whole or [line for line, word in written if within.search(word)]
        if lines:
            return lines[-1]  # what is made earlier under this name is not what fails
    lines = [line for line, word in written if word in steps]
    return lines[-1] if lines else None


def _written(code: CodeType) -> Iterator[tuple[int, str]]:
    """Yield the texts, attributes and keywords that a code object holds, with their lines."""
    for instruction in dis.get_instructions(code):
        line = instruction.positions.lineno if instruction.positions is not None else None
        words = instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
        for word in words if line is not None else ():
            if isinstance(word, str) and line is not None:
                yield line, word
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from _written(constant)
