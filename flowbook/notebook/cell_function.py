"""The body of a node cell as a function with the cell's own line numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable, Mapping
    from types import CodeType

    from flowbook.notebook.cell_analysis import CellAnalysis
    from flowbook.notebook.magic_line import NodeLine


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFunction:
    """A compiled cell.

    Attributes:
        name: the node's name, given or inferred.
        function: takes keywords only, every one of ``free_names`` and the signature's parameters without a default;
            returns a dict {output port: value}. A coroutine function when ``is_async``. It raises what the body
            raises, or CellError FB530 when an output was not bound at run time.
        is_async: the body awaits.
        free_names: names the body reads and does not bind, signature parameters and builtins excluded, in order of
            first read. Each must be passed: an input's value, or the module, class, function or value of the notebook.
        optional_names: names read where only some branch has bound them. Pass those that exist, leave out the rest.
        outputs: the output ports in order, at least one.
        parameters: the signature on the magic line: annotation is TEXT (or ``Parameter.empty``), default a value; None
            when there are no parentheses.
        annotations: output port -> annotation text, for outputs written ``name: type = value``.
        doc: the leading string literal of the body.
        source: the body, as written.
        source_hash: 64 hex digits; equal when the code is equal, whatever comments and blank lines say.
        filename: ``co_filename`` of all its code.
        first_line: line of the cell on which the body starts.
        code: the compiled body, for keys (``function`` itself is a thin shell around it).
        analysis: everything known about its names.
    """

    name: str
    function: Callable[..., Any]
    is_async: bool
    free_names: tuple[str, ...]
    optional_names: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: tuple[inspect.Parameter, ...] | None
    annotations: Mapping[str, str]
    doc: str
    source: str
    source_hash: str
    filename: str
    first_line: int
    code: CodeType = field(repr=False)
    analysis: CellAnalysis = field(repr=False)


def build(line: NodeLine, body: str, *, filename: str, namespace: dict[str, Any], first_line: int = 2, flags: int = 0) -> CellFunction:
    """Turn a cell into a function; nothing of the body runs, the signature's defaults are evaluated.

    Args:
        line: the parsed magic line.
        body: the text below it.
        filename: ``ip.compile.get_code_name(raw, raw, ip.execution_count)`` with the raw cell text, so that tracebacks
            say ``Cell In[n]`` and the debugger's breakpoints hit.
        namespace: the notebook's (``ip.user_ns``); the function's globals, never copied, never written by flowbook.
        first_line: line of the cell on which the body starts: ``line_of_body(raw, body)``.
        flags: ``ip.compile.flags``.

    Raises:
        SyntaxError: with the cell's file name, line and column.
        CellError: FB502, FB510 to FB520.
        DefinitionError: FB521 a default cannot be evaluated (its error is the ``__cause__``).
    """
    raise NotImplementedError


def line_of_body(raw_cell: str, body: str) -> int:
    """Say on which line of ``raw_cell`` the magic's ``body`` starts; blank lines above the magic count."""
    raise NotImplementedError
