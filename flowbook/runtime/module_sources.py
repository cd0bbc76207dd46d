"""Local modules that a node's code imports itself and that nobody has imported yet.

Until a module is loaded there is only its file to go by. Once the node has run, the module is there, and its key must
be the same as before: nothing changed. So a file that was met first goes on standing for the module, as long as the
module was loaded from that very file and everything it defines is as it was then.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flowbook.runtime import local_code
from flowbook.runtime.code_objects import CodeFacts, digest, facts_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType


@dataclass(slots=True)
class _Met:
    """A module's file as it was when it was first met, and the module once it was loaded from it."""

    path: str
    stat: tuple[int, int]
    facts: CodeFacts
    module: weakref.ref[ModuleType] | None = None
    defined: bytes = b""


class ModuleSources:
    """Remembers the files of modules met before they were loaded."""

    def __init__(self) -> None:
        self._met: dict[str, _Met] = {}

    def unloaded(self, name: str) -> CodeFacts | None:
        """Read the file of a local module that is not loaded; None when there is none.

        It is compiled, not run; read again when its size or modification time changed.
        """
        path = local_code.find_source(name)
        if not path:
            return None
        stat = _stat(path)
        met = self._met.get(name)
        if met is None or met.module is not None or (met.path, met.stat) != (path, stat):
            met = self._met[name] = _Met(path, stat, _compile(path))
        return met.facts

    def standing_for(self, module: ModuleType, defined: Callable[[], bytes]) -> CodeFacts | None:
        """Give what the file of a loaded module said, if it was met before and still stands for the module.

        Args:
            module: a loaded local module.
            defined: digests everything the module defines.
        """
        name = module.__name__
        met = self._met.get(name)
        if met is None:
            return None
        if met.module is None and _stat(met.path) == met.stat:
            met.module, met.defined = weakref.ref(module), defined()
            return met.facts
        if met.module is not None and met.module() is module and met.defined == defined():
            return met.facts
        del self._met[name]
        return None


def _stat(path: str) -> tuple[int, int]:
    try:
        found = Path(path).stat()
    except OSError:
        return (-1, -1)
    return (found.st_size, found.st_mtime_ns)


def _compile(path: str) -> CodeFacts:
    content = b""
    try:
        content = Path(path).read_bytes()
        return facts_of(compile(content, path, "exec", dont_inherit=True))
    except (OSError, SyntaxError, ValueError):
        return CodeFacts(digest("text", content), (), ())
