"""What can come of an execution, and who is told of it on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol


class Ending(Enum):
    """How an execution came to its end; the value is the exit code when nothing failed."""

    DONE = 0
    KERNEL_DIED = 3
    TIMED_OUT = 4
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFailure:
    """A cell that raised.

    Attributes:
        number: as `flowbook.headless.scan.Place` counts.
        position: place among all cells of the executed notebook, >= 0.
        line: the cell's own line, >= 1, or None when the traceback does not say.
        error: ``"ZeroDivisionError: division by zero"``, one line.
    """

    number: int
    position: int
    line: int | None
    error: str


@dataclass(slots=True)
class Execution:
    """What came of it, beside the notebook itself.

    Attributes:
        ending: how it ended.
        executed_count: cells that ran to their end or failed, >= 0.
        failures: cells that raised and were not meant to.
        kernel_exit_code: of a kernel that died, when known; negative for a signal.
    """

    ending: Ending = Ending.DONE
    executed_count: int = 0
    failures: list[CellFailure] = field(default_factory=list)
    kernel_exit_code: int | None = None


class Observer(Protocol):
    """Is told what happens while cells run; must return quickly."""

    def cell_started(self, number: int) -> None:
        """A cell begins."""
        ...

    def cell_failed(self, failure: CellFailure) -> None:
        """A cell raised and was not meant to."""
        ...

    def trace_seen(self, bundle: dict[str, Any], *, is_expected: bool) -> None:
        """A trace bundle arrived; ``is_expected``: from a cell that is meant to fail."""
        ...

    def node_seen(self, bundle: dict[str, Any], *, is_expected: bool) -> None:
        """A node bundle arrived, in the output of the cell that runs or in an earlier one."""
        ...

    def cell_ended(self) -> None:
        """A cell, or the wait after the last one, is over."""
        ...

    def stopping(self, ending: Ending) -> None:
        """The kernel is being interrupted."""
        ...
