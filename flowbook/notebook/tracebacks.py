"""Errors as their cell should show them: the cell's lines, not flowbook's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection


def trim_traceback(error: BaseException, filenames: Collection[str] = ()) -> BaseException:
    """Cut flowbook's own frames out of ``error`` and of what caused it, in place; returns ``error``."""
    raise NotImplementedError


def as_cell_error(error: BaseException, shell: Any, filenames: Collection[str] = ()) -> BaseException:
    """Make ``error`` fit to be raised from a magic: ``raise as_cell_error(error, shell, [filename])``, never ``from``.

    IPython would show its own and the magic's frames above those of the node, and for a SyntaxError nothing but them.
    """
    raise NotImplementedError
