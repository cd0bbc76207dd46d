"""Collects, per firing, what node code displays and draws in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbook.runtime.capture import StreamCapture

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from flowbook.core.interfaces import Effects


class NotebookCapture(StreamCapture):
    """The Capture of a notebook: text does not pass through to any cell; displays and pyplot figures are collected.

    Args:
        on_late: told when something is recorded for a firing that has ended.
    """

    def __init__(self, *, on_late: Callable[[Effects], None] | None = None) -> None:
        super().__init__(passes_through=False, on_late=on_late)

    def install(self, ip: InteractiveShell | None = None) -> None:
        """Hook the process and the shell ``ip`` (default: the running one); calls nest."""
        raise NotImplementedError
