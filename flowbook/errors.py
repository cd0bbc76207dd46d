"""Every error flowbook raises, in one tree.

    FlowbookError                 code FBnnn, what, where, hint, fields
    ├── DefinitionError   FB1xx   a node type's declaration cannot be read
    ├── WiringError       FB2xx   the flow does not fit together
    │   ├── UnknownIdError        (also a KeyError)
    │   ├── DuplicateIdError
    │   ├── CycleError
    │   └── AmbiguousNameError
    ├── NodeFolderError   FB23x   a folder with schema.json and logic.py is no node type
    ├── DocumentError     FB3xx   a document cannot be read or written
    ├── RunError          FB4xx   a run, or a node in it, did not end well
    │   ├── FlowFailedError       .run holds the Run
    │   ├── NodeFailedError       the node's own exception is its __cause__
    │   ├── MissingInputError
    │   ├── NodeTimeoutError
    │   ├── RunCancelledError
    │   ├── WorkerDiedError       the process of an isolated node ended before the node did
    │   └── EngineDeadlockError
    ├── CellError         FB5xx   a cell magic was used wrongly
    ├── DataError         FB6xx   a payload is not what the port says
    ├── HeadlessError     FB7xx   the command line cannot go on
    ├── CanvasError       FB8xx   a live canvas cannot be shown, or asks for what cannot be
    └── StoreError        FB9xx   what lasts on disk cannot be opened

An error says what is wrong, where, and what to type next; the same facts are its fields, so that nobody has to
parse its text. It never records a user, a host, an address or a working directory.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Iterable


#: Looking for the nearest of so many words takes a few milliseconds.
_MOST_WORDS: Final = 200


class FlowbookError(Exception):
    """The root of the tree.

    Args:
        what: one sentence, no full stop: what is wrong.
        code: ``FB`` and three digits; the class's own code when left out.
        where: flow, node, cell line, as far as known: ``"flow 'flights', node 'late'"``.
        hint: what to type or do next.
        fields: the same facts for programs, JSON values only.
    """

    default_code: ClassVar[str] = "FB000"

    def __init__(self, what: str, *, code: str | None = None, where: str = "", hint: str = "", **fields: Any) -> None:
        super().__init__(what)
        self.code = code or self.default_code
        self.what = what
        self.where = where
        self.hint = hint
        self.fields = fields

    def __str__(self) -> str:
        """Three short lines: code and fact, place, remedy; the last two only when known."""
        lines = [f"[{self.code}] {self.what}"]
        if self.where:
            lines.append(f"  at   {self.where}")
        if self.hint:
            lines.append(f"  hint {self.hint}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling although the constructor takes keywords (exceptions cross process borders)."""
        return (
            _rebuild,
            (type(self), self.what, self.code, self.where, self.hint, self.fields),
            {"__notes__": getattr(self, "__notes__", [])},
        )


def _rebuild(
    cls: type[FlowbookError], what: str, code: str, where: str, hint: str, fields: dict[str, Any]
) -> FlowbookError:
    error = cls.__new__(cls)
    FlowbookError.__init__(error, what, code=code, where=where, hint=hint, **fields)
    return error


class DefinitionError(FlowbookError):
    """A node type's declaration cannot be read."""

    default_code = "FB100"


class NodeFolderError(FlowbookError):
    """A folder with ``schema.json`` and ``logic.py`` cannot be used as a node type; the others can.

    ``fields["file"]`` and ``fields["field"]`` say where, as far as known.
    """

    default_code = "FB230"


class WiringError(FlowbookError):
    """Nodes, ports and edges do not fit together."""

    default_code = "FB200"


class UnknownIdError(WiringError, KeyError):
    """A node, port, setting or type of that name does not exist; ``hint`` proposes the nearest one."""

    default_code = "FB201"
    __str__ = FlowbookError.__str__  # KeyError would print the repr of the message


class DuplicateIdError(WiringError):
    """Two nodes would bear one id."""

    default_code = "FB202"


class CycleError(WiringError):
    """Following the edges leads back to where one started; ``fields["path"]`` names the nodes in order."""

    default_code = "FB203"


class AmbiguousNameError(WiringError):
    """An unconnected input could be fed by several ports; ``fields["candidates"]`` names them."""

    default_code = "FB204"


class DocumentError(FlowbookError):
    """A flow document cannot be read or written; the flow that was there before is unchanged."""

    default_code = "FB300"


class RunError(FlowbookError):
    """A run, or a node in it, did not end well."""

    default_code = "FB400"


class FlowFailedError(RunError):
    """At least one node of a run failed; everything that did not depend on it was finished.

    ``run`` holds the Run: ``run.errors`` lists the error packets, ``run[...]`` the values there are.
    """

    default_code = "FB401"
    run: Any = None


class NodeFailedError(RunError):
    """A node's function raised; its exception is the ``__cause__``."""

    default_code = "FB402"


class MissingInputError(RunError):
    """A required input has no edge, no constant and no value from the notebook."""

    default_code = "FB403"


class NodeTimeoutError(RunError):
    """A node took longer than its ``timeout_s``."""

    default_code = "FB404"


class RunCancelledError(RunError):
    """The run was cancelled before this value existed."""

    default_code = "FB405"


class WorkerDiedError(RunError):
    """The process of an isolated node ended before the node did; the kernel is unharmed.

    ``fields["signal"]`` or ``fields["exit_code"]`` say how, as far as known.
    """

    default_code = "FB420"


class EngineDeadlockError(RunError):
    """A node waits for the engine that runs it; it would wait for ever, so it is told at once."""

    default_code = "FB406"


class CellError(FlowbookError):
    """A cell magic was used wrongly; nothing was defined."""

    default_code = "FB500"


class DataError(FlowbookError):
    """A payload is not what its port says."""

    default_code = "FB600"


class HeadlessError(FlowbookError):
    """The command line cannot go on; ``exit_code`` is what the process returns."""

    default_code = "FB700"
    exit_code: int = 2


class CanvasError(FlowbookError):
    """A live canvas cannot be shown, or asks for what cannot be; the flow is as it was."""

    default_code = "FB800"


class StoreError(FlowbookError):
    """A store on disk cannot be opened or used; what is in it is unchanged."""

    default_code = "FB900"


def near_miss(name: str, known: Iterable[str]) -> str:
    """Name the nearest known word as the beginning of a hint, ``"did you mean 'late'? "``; empty when none is near.

    Where very many words are known nobody looks through them.
    """
    words = [word for word in known if word != name]
    near = difflib.get_close_matches(name, words, n=1, cutoff=0.6) if len(words) <= _MOST_WORDS else []
    return f"did you mean {near[0]!r}? " if near else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Name the nearest known word as a hint, or list a few when none is near; empty when nothing is known."""
    words = sorted(known)
    near = difflib.get_close_matches(name, words, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not words:
        return ""
    listed = ", ".join(repr(word) for word in words[:8])
    return f"there is {listed}" + (" …" if len(words) > 8 else "")
