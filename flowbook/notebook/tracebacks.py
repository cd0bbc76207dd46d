"""Errors as their cell should show them: the cell's lines, not flowbook's.

A traceback lists every call between the cell that was run and the mistake. Of those, only the lines people wrote are
of use to them: flowbook's frames, the thread and event loop machinery beneath them and IPython's way of calling a
magic are cut out.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import os
import threading
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from flowbook.errors import CellError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_OURS = str(Path(__file__).parent.parent) + os.sep
#: What runs our code and is run by it; cut out next to our frames, kept where somebody's own code called it.
_MACHINERY = (
    *(str(Path(package.__file__ or "").parent) + os.sep for package in (asyncio, concurrent.futures)),
    threading.__file__,
)
_SHELL = (f"{os.sep}IPython{os.sep}", f"{os.sep}ipykernel{os.sep}")


class CellSyntaxError(CellError):
    """The body of a cell is not Python; shown as the SyntaxError it is, with the cell's line."""

    default_code = "FB518"

    def __str__(self) -> str:
        """Say what Python says."""
        return self.what


def trim_traceback(error: BaseException, filenames: Collection[str] = ()) -> BaseException:
    """Cut out of ``error``, and of what caused it, the frames that nobody reading the cell has written.

    Args:
        error: changed in place.
        filenames: of the cells whose lines matter (``CellFunction.filename``); what stands above the first of their
            frames is cut too. Without a match everything but flowbook's frames and the machinery stays.

    Returns:
        ``error``.
    """
    for each in _with_causes(error):
        each.__traceback__ = _linked(_kept(each.__traceback__, filenames))
    return error


def as_cell_error(error: BaseException, shell: Any, filenames: Collection[str] = ()) -> BaseException:
    """Make an error that, raised from a magic, is shown with the cell's lines alone.

    IPython would put its own and the magic's frames above those of the node, and for a SyntaxError show nothing but
    them; it asks an exception for ``_render_traceback_`` first. The error is ``error`` itself, rendered once and for
    all, save for a SyntaxError, for which a stand-in of the same class name is made.

    Write ``raise as_cell_error(error, shell, [cell.filename])``, without ``from``, which would drop the cause.

    Args:
        error: what the node raised, or what was wrong with its cell; trimmed in place.
        shell: IPython's shell.
        filenames: as in ``trim_traceback``.
    """
    trim_traceback(error, filenames)
    trace = error.__traceback__
    if isinstance(error, SyntaxError) and not _ran(trace, filenames):
        lines = shell.SyntaxTB.structured_traceback(type(error), error, [])
    else:
        lines = shell.InteractiveTB.structured_traceback(type(error), error, trace, tb_offset=0)
    shown = _stand_in(error) if isinstance(error, SyntaxError) else error
    shown._render_traceback_ = functools.partial(list, lines)  # type: ignore[attr-defined]
    return shown


def _stand_in(error: SyntaxError) -> CellSyntaxError:
    """Wrap ``error`` in a class of its name: that name is what Jupyter shows and stores as ``ename``."""
    cls = type(type(error).__name__, (CellSyntaxError,), {"__module__": CellSyntaxError.__module__})
    shown: CellSyntaxError = cls(
        str(error), where=f"line {error.lineno} of the cell", line=error.lineno, column=error.offset
    )
    shown.__cause__ = error
    return shown


def _ran(trace: TracebackType | None, filenames: Collection[str]) -> bool:
    """Tell whether code of a cell was running, rather than being read."""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in filenames:
            return True
        trace = trace.tb_next
    return False


def _kept(trace: TracebackType | None, filenames: Collection[str]) -> list[TracebackType]:
    frames = []
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    names = [frame.tb_frame.f_code.co_filename for frame in frames]
    start = next((index for index, name in enumerate(names) if name in filenames), 0)
    kept = []
    cutting = True
    for frame, name in zip(frames[start:], names[start:], strict=True):
        cutting = name.startswith(_OURS) or (cutting and _is_machinery(name))
        if not cutting:
            kept.append(frame)
    return kept


def _is_machinery(filename: str) -> bool:
    return filename.startswith(_MACHINERY) or any(part in filename for part in _SHELL)


def _linked(frames: list[TracebackType]) -> TracebackType | None:
    trace = None
    for frame in reversed(frames):
        trace = TracebackType(trace, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return trace


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error``, everything it was caused by or raised beside, and the members of groups; each once."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
