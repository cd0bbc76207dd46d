"""A node's function as another process can make it, and the call of it there."""

from __future__ import annotations

import inspect
import sys
import threading
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from flowbook.core.interfaces import IsolatedCall, PortableCode
from flowbook.errors import RunError
from flowbook.runtime.firing_sink import current_sink
from flowbook.runtime.source_types import code_in_parts, parameter_names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from flowbook.core.interfaces import Isolation, Namespace, PayloadCopy
    from flowbook.core.node_types import NodeType
    from flowbook.runtime.context import Context
    from flowbook.runtime.engine import Engine
    from flowbook.runtime.plan import Slot

    NoteCopies = Callable[[str, tuple[PayloadCopy, ...]], None]

_FROM_DOCUMENT = """\
from flowbook.runtime.source_types import type_from_source
{name} = type_from_source({entry!r}).function
"""


def isolated(engine: Engine, slot: Slot, context: Context, note_copies: NoteCopies) -> Callable[..., Any]:
    """Make what is called in place of a slot's function when its policy wants a process of its own."""
    isolation = engine.isolation

    def call(**arguments: Any) -> Any:
        if isolation is None:
            raise RunError(
                f"{slot.node_id!r} wants a process of its own, and this engine has none",
                code="FB424",
                hint='leave isolation="process" out',
            )
        return call_isolated(
            isolation,
            slot.node_type,
            arguments,
            context,
            engine.namespace,
            timeout_s=slot.policy.timeout_s,
            memory_bytes=slot.policy.memory_bytes,
            note_copies=note_copies,
        )

    return call


def call_isolated(
    isolation: Isolation,
    node_type: NodeType,
    arguments: Mapping[str, Any],
    context: Context,
    namespace: Namespace,
    *,
    timeout_s: float | None = None,
    memory_bytes: int | None = None,
    note_copies: NoteCopies | None = None,
) -> Any:
    """Call a node's function in a process of its own, inside a firing: what it prints and logs is that firing's.

    Args:
        isolation: the processes.
        node_type: whose function to call; an async one is awaited there.
        arguments: as they would be given to the function here; a Context among them is replaced by one over there.
        context: of the firing; when it is cancelled the process is ended.
        namespace: the notebook's variables.
        timeout_s: see ``IsolatedCall``.
        memory_bytes: see ``IsolatedCall``.
        note_copies: told what was copied, as ``RemoteEffects.copied`` is.

    Raises:
        BaseException: see ``core.interfaces.Isolation.call``.
    """

    def lookup(name: str) -> tuple[bool, Any]:
        found, value = namespace.lookup(name)
        # What an edge or a constant feeds is no business of the notebook's.
        return (False, None) if name in arguments and arguments[name] is not value else (found, value)

    code = portable_code(node_type, lookup)
    kept = {
        name: value
        for name, value in arguments.items()
        if name != node_type.context_name and (code.parameters is None or name in code.parameters)
    }
    if code.source:
        kept = {**_defaults(node_type.function, code.parameters or ()), **kept}
    call = IsolatedCall(
        code=code,
        arguments=kept,
        context_name=node_type.context_name,
        flow=context.flow,
        node_id=context.node_id,
        trace_id=context.trace_id,
        attempt=context.attempt,
        timeout_s=timeout_s,
        memory_bytes=memory_bytes,
    )
    returned = isolation.call(
        call, is_cancelled=lambda: context.cancelled, effects=_FiringEffects(context, note_copies)
    )
    if node_type.origin != "cell":
        return returned
    # Over there it is a plain function; here a cell gives its outputs by name.
    names = [port.name for port in node_type.outputs]
    return {names[0]: returned} if len(names) == 1 else dict(zip(names, returned, strict=True))


def _defaults(function: Any, names: Collection[str]) -> dict[str, Any]:
    """Return what the parameters of a function are when nobody gives them: it was computed where it was defined."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}
    return {
        name: parameter.default
        for name, parameter in parameters.items()
        if name in names and parameter.default is not parameter.empty
    }


class _FiringEffects:
    """Hands what another process tells on to the firing that goes on here."""

    def __init__(self, context: Context, note_copies: NoteCopies | None = None) -> None:
        self._context = context
        self._note_copies = note_copies

    def write(self, stream: str, text: str) -> None:
        (sys.stderr if stream == "stderr" else sys.stdout).write(text)

    def note(self, stream: str, text: str) -> None:
        sink = current_sink.get()
        if sink is not None:
            sink.note(stream, text)

    def progress(self, share: float) -> None:
        self._context.progress(share)

    def copied(self, name: str, copies: tuple[PayloadCopy, ...]) -> None:
        if self._note_copies is not None:
            self._note_copies(name, copies)


#: CPython 3.11 counts the depth of syntax trees for all threads together: of two that parse, one may fail for nothing
#: (gh-106905). Calls for the items of a list come at one time.
_reading = threading.Lock()


def portable_code(node_type: NodeType, lookup: Callable[[str], tuple[bool, Any]]) -> PortableCode:
    """Describe a type's function so that another process of this machine can make it.

    Args:
        node_type: with a function.
        lookup: finds what a name that a cell reads is bound to in the notebook; nothing where an edge feeds it.

    Raises:
        RunError: FB423, its code cannot be told apart from what stands around it.
    """
    if node_type.origin == "document":
        return _of_document(node_type)
    function: Any = node_type.load() if node_type.load is not None else node_type.function
    function = inspect.unwrap(function)
    if node_type.origin == "folder":
        return _of_file(node_type, function)
    if node_type.origin == "code" and _is_importable(function):
        return PortableCode(name=function.__qualname__, module=function.__module__)
    with _reading:
        parts = code_in_parts(node_type, lookup)
        parameters = tuple(parameter_names(parts.text)) if parts is not None else ()
    if parts is None:
        raise _unportable(node_type)
    return PortableCode(
        name=parts.name,
        preamble=parts.preamble,
        source=parts.text,
        filename=node_type.filename,
        first_line=parts.first_line,
        parameters=parameters,
    )


def _of_document(node_type: NodeType) -> PortableCode:
    outputs = [port.name for port in node_type.outputs]
    entry = {"id": node_type.type_id, "source": node_type.source, "outputs": outputs}
    preamble = _FROM_DOCUMENT.format(name=node_type.type_id, entry=entry)
    return PortableCode(name=node_type.type_id, preamble=preamble, filename=node_type.filename)


def _of_file(node_type: NodeType, function: Any) -> PortableCode:
    path = function.__code__.co_filename if isinstance(function, FunctionType) else ""
    if not Path(path).is_file():
        raise _unportable(node_type)
    return PortableCode(name=function.__name__, path=path, filename=path)


def _is_importable(function: Any) -> bool:
    """Whether importing its module and asking for its name gives this very function, in another process too."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    if (
        module is None
        or module.__name__ == "__main__"
        or not getattr(getattr(module, "__spec__", None), "origin", None)
    ):
        return False
    found: Any = module
    for name in function.__qualname__.split("."):
        found = getattr(found, name, None)
    return inspect.unwrap(found) is function if callable(found) else False


def _unportable(node_type: NodeType) -> RunError:
    return RunError(
        f"the code of {node_type.type_id!r} cannot go to another process",
        code="FB423",
        hint='define it with def, in a cell or a module, or leave isolation="process" out',
    )
