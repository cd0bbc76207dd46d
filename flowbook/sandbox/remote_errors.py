"""An exception told by one process and raised again by another, with a traceback of the same files and lines."""

from __future__ import annotations

import ast
import builtins
import contextlib
import pickle
import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final

_ROOM: Final = str(Path(__file__).parent)
_DEEPEST: Final = 8
_LONGEST_TEXT: Final = 20_000
_FATAL_FRAME: Final = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Place:
    """One frame of a traceback: file, line >= 1, name of the function."""

    filename: str
    line: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldError:
    """What is told of an exception.

    Attributes:
        pickled: the exception itself, or empty where it does not pickle.
        class_name: name of its class.
        bases: names of its built-in ancestors, nearest first.
        text: ``str`` of it.
        notes: its notes.
        places: its frames, outermost first, without those of this room.
        cause: what it was raised from.
        context: what was being handled.
        hides_context: what was being handled is not to be shown.
    """

    pickled: bytes = b""
    class_name: str = "Exception"
    bases: tuple[str, ...] = ("Exception",)
    text: str = ""
    notes: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    cause: ToldError | None = None
    context: ToldError | None = None
    hides_context: bool = False


def told(error: BaseException, depth: int = 0) -> ToldError:
    """Describe an exception so that any process can make it again; never raises."""
    deeper = depth + 1 < _DEEPEST
    return ToldError(
        pickled=_pickled(error),
        class_name=type(error).__name__,
        bases=tuple(cls.__name__ for cls in type(error).__mro__ if getattr(builtins, cls.__name__, None) is cls),
        text=_text(error),
        notes=tuple(map(str, getattr(error, "__notes__", ()))),
        places=_places(error.__traceback__),
        cause=told(error.__cause__, depth + 1) if error.__cause__ is not None and deeper else None,
        context=told(error.__context__, depth + 1) if error.__context__ is not None and deeper else None,
        hides_context=error.__suppress_context__,
    )


def made_again(story: ToldError) -> BaseException:
    """Make the exception anew; one whose class is not known here gets a class of the same name and kind."""
    error = _unpickled(story) or _look_alike(story)
    error.__cause__ = made_again(story.cause) if story.cause is not None else None
    error.__context__ = made_again(story.context) if story.context is not None else None
    error.__suppress_context__ = story.hides_context
    return error.with_traceback(traceback_of(story.places))


def traceback_of(places: tuple[Place, ...]) -> TracebackType | None:
    """Make a traceback through these places; the frames know their file, line and function and nothing else."""
    made: TracebackType | None = None
    for place in reversed(places):
        frame = _frame_at(place)
        made = TracebackType(made, frame, frame.f_lasti, place.line)
    return made


def _frame_at(place: Place) -> FrameType:
    """Make a frame that stands on that line; it names no columns, so that nothing of the line is underlined."""
    tree = ast.parse("frame = here()")
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt | ast.expr):
            node.lineno = node.end_lineno = place.line
            node.col_offset = node.end_col_offset = -1
    code = compile(tree, place.filename, "exec").replace(co_name=place.name, co_qualname=place.name)
    scope: dict[str, Any] = {"here": lambda: sys._getframe(1), "__name__": "__main__"}  # noqa: SLF001
    exec(code, scope)  # noqa: S102 -- our own line
    frame: FrameType = scope.pop("frame")
    return frame


def fatal_places(report: str) -> tuple[Place, ...]:
    """Read the frames of the thread that crashed, or was asked, from what ``faulthandler`` wrote, outermost first."""
    _, _, current = report.partition("Current thread ")
    block = current.partition("\n\n")[0]
    found = [Place(match["file"], int(match["line"]), match["name"]) for match in _FATAL_FRAME.finditer(block)]
    while found and found[0].filename.startswith(_ROOM):
        del found[0]  # who wrote it
    return _own(found[::-1])


def _places(trace: TracebackType | None) -> tuple[Place, ...]:
    walked = traceback.walk_tb(trace)
    return _own([Place(frame.f_code.co_filename, line, frame.f_code.co_name) for frame, line in walked])


def _own(places: list[Place]) -> tuple[Place, ...]:
    """Leave out how this room came to the node's code."""
    last = max((number for number, place in enumerate(places) if place.filename.startswith(_ROOM)), default=-1)
    return tuple(place for place in places[last + 1 :] if not place.filename.startswith("<frozen "))


def _text(error: BaseException) -> str:
    try:
        return str(error)[:_LONGEST_TEXT]
    except Exception:  # a stranger's __str__
        return ""


def _pickled(error: BaseException) -> bytes:
    try:
        data = pickle.dumps(error, protocol=5)
        pickle.loads(data)  # noqa: S301 -- our own; many exceptions pickle and cannot be made again
    except Exception:
        return b""
    return data


def _unpickled(story: ToldError) -> BaseException | None:
    if not story.pickled:
        return None
    try:
        error = pickle.loads(story.pickled)  # noqa: S301 -- from this kernel's own worker
    except Exception:  # its class is not known here
        return None
    return error if isinstance(error, BaseException) else None


def _look_alike(story: ToldError) -> BaseException:
    """Make an exception of a class that is called the same, below the nearest built-in one that takes a text."""
    for name in (*story.bases, "Exception"):
        base = getattr(builtins, name, None)
        if isinstance(base, type) and issubclass(base, BaseException) and base is not BaseException:
            with contextlib.suppress(Exception):  # UnicodeDecodeError wants five arguments
                return _of_class(type(story.class_name, (base,), {"__str__": lambda _: story.text}), story)
    raise AssertionError


def _of_class(cls: type[BaseException], story: ToldError) -> BaseException:
    error = cls(story.text)
    for note in story.notes:
        error.add_note(note)
    return error
