"""What stands on the line of ``%%node``, ``%%flow`` and ``%flow``.

    %%node [flow.]name[(signature)] [-> outputs] [--define] [policy options]

The text of a line comes in, a frozen record goes out, or a CellError that shows the offending part and a corrected
line. Brackets, strings, arrows and commas inside a signature are Python's own, so Python's tokenizer and parser read
them; nothing is evaluated here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PolicyValue = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LineParameter:
    """One parameter of a signature, as text.

    Attributes:
        name: its name.
        annotation: source text after the colon; None when there is none.
        default: source text after the equals sign; None when there is none.
    """

    name: str
    annotation: str | None = None
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLine:
    """A ``%%node`` line.

    Attributes:
        flow: the flow named before the dot; None: the cell's own or the current one.
        name: the node's name; None: to be inferred from the body.
        parameters: the signature; None when the line has no parentheses, () for empty ones.
        outputs: the names after ``->``; None when there is no arrow.
        define: ``--define``: only define, do not run.
        policy: what the options say; only given ones. Keys: ``retry`` (attempts in all, >= 1), ``timeout_s`` (> 0),
            ``cache`` (memory, disk, off), ``on_change`` (auto, manual, once), ``kind`` (pure, stateful, io),
            ``executor`` (main, thread), ``isolation`` (process, none), ``priority`` (int), ``muted`` (True).
        text: the line as written.
    """

    flow: str | None = None
    name: str | None = None
    parameters: tuple[LineParameter, ...] | None = None
    outputs: tuple[str, ...] | None = None
    define: bool = False
    policy: Mapping[str, PolicyValue] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLine:
    """A ``%%flow`` or ``%flow`` line; ``name`` is None only for a bare ``%flow``."""

    name: str | None = None


def parse_node_line(line: str) -> NodeLine:
    """Read what follows ``%%node``."""
    raise NotImplementedError


def parse_flow_line(line: str, *, needs_name: bool = False) -> FlowLine:
    """Read what follows ``%%flow`` (``needs_name=True``) or ``%flow``."""
    raise NotImplementedError
