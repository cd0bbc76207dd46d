"""Node types that travel as source: how a saved document carries the code of its own nodes, and gets it back.

A type is saved as one piece of Python: the imports, small constants and helper functions that its function reaches,
then the function. Reading it back only parses; the text is compiled and run in a namespace of its own when the node
first fires, so that opening a document never executes what is in it.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import inspect
import linecache
import sys
import textwrap
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from flowbook.core.document import policy_json, read_policy
from flowbook.core.node_types import NodeType, node_type_of
from flowbook.core.policies import POLICY_FIELDS, Policy
from flowbook.errors import DocumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_MOST_CONSTANT_CHARS = 2_000


def describe_type(node_type: NodeType, lookup: Callable[[str], tuple[bool, Any]]) -> dict[str, Any]:
    """Describe a type for the ``types`` of a document: id, source, outputs, signature.

    Args:
        node_type: a function's or cell's type, with its source.
        lookup: finds what a name that a cell reads is bound to in the notebook; nothing where an edge feeds it.
    """
    function = inspect.unwrap(node_type.function) if node_type.function is not None else None
    collector = _Collector()
    text = _undecorated(node_type.source)
    if node_type.origin == "cell":
        text = collector.take_environment(node_type, text, lookup)
    if isinstance(function, FunctionType):
        collector.take_globals(function.__code__, function.__globals__)
    return {
        "id": node_type.type_id,
        "source": collector.preamble() + text,
        "outputs": [port.name for port in node_type.outputs],
        "signature": _signature_text(text, node_type.type_id),
        **_policy_entry(node_type.policy),
    }


def type_from_source(entry: Mapping[str, Any]) -> NodeType:
    """Read a type back; its code is parsed, not run.

    Raises:
        DocumentError: FB308, the entry has no function of its name.
    """
    type_id, source = str(entry.get("id", "")), str(entry.get("source", ""))
    definition = _definition(source, type_id)
    loader = _Loader(type_id, source)
    function = loader.async_function() if isinstance(definition, ast.AsyncFunctionDef) else loader.plain_function()
    described: Any = function
    described.__name__ = type_id
    described.__doc__ = ast.get_docstring(definition)
    described.__signature__ = _signature(definition)
    outputs = entry.get("outputs")
    names = [str(name) for name in outputs] if isinstance(outputs, list) and outputs not in ([], ["result"]) else None
    policy = entry.get("policy")
    known = read_policy(policy, f"types, {type_id!r}") if isinstance(policy, dict) else {}
    known = {name: value for name, value in known.items() if name in POLICY_FIELDS}
    node_type = node_type_of(function, type_id=type_id, outputs=names, policy=known)
    return dataclasses.replace(
        node_type, origin="document", source=source, filename=loader.filename, first_line=definition.lineno
    )


def _policy_entry(policy: Policy) -> dict[str, Any]:
    default = Policy()
    changed = {name: getattr(policy, name) for name in POLICY_FIELDS if getattr(policy, name) != getattr(default, name)}
    return {"policy": policy_json(changed)} if changed else {}


class _Loader:
    """Compiles a type's source once, when it is first called."""

    def __init__(self, type_id: str, source: str) -> None:
        self.type_id = type_id
        self.filename = f"<flow type {type_id}>"
        self._source = source
        self._function: Callable[..., Any] | None = None

    def plain_function(self) -> Callable[..., Any]:
        def call(**given: Any) -> Any:
            return self.load()(**given)

        return call

    def async_function(self) -> Callable[..., Any]:
        async def call(**given: Any) -> Any:
            return await self.load()(**given)

        return call

    def load(self) -> Callable[..., Any]:
        if self._function is None:
            text = f"from __future__ import annotations\n{self._source}"
            lines = text.splitlines(keepends=True)
            linecache.cache[self.filename] = (len(text), None, lines, self.filename)
            namespace: dict[str, Any] = {"__name__": f"flowbook_types.{self.type_id}"}
            exec(compile(text, self.filename, "exec"), namespace)  # noqa: S102 -- the user's own flow, when it is run
            self._function = namespace[self.type_id]
        assert self._function is not None  # noqa: S101 -- just loaded
        return self._function


@dataclass(slots=True)
class _Collector:
    """Gathers what a function's text needs around it, in the order in which it must stand."""

    imports: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    helpers: dict[str, str] = field(default_factory=dict)

    def preamble(self) -> str:
        parts = [*dict.fromkeys(self.imports.values()), *self.constants.values()]
        text = "\n".join(parts) + "\n" if parts else ""
        return (
            text
            + "".join(f"\n\n{source}" for source in self.helpers.values())
            + ("\n\n" if text or self.helpers else "")
        )

    def take_environment(self, node_type: NodeType, text: str, lookup: Callable[[str], tuple[bool, Any]]) -> str:
        """Turn parameters that stand for the notebook's code into names of the text's own namespace."""
        first, _, rest = text.partition("\n")
        arguments = _header(first)
        kept = []
        for argument in arguments.args:
            port = node_type.input(argument.arg)
            found, value = lookup(argument.arg) if port is not None and port.is_ambient else (False, None)
            if found and self._is_code(value):
                self._take(argument.arg, value)
            else:
                kept.append(argument)
        arguments.args = kept  # those that go have no default, and stand before all that have one
        return f"{first[: first.index('(') + 1]}{ast.unparse(arguments)}):\n{rest}"

    @staticmethod
    def _is_code(value: object) -> bool:
        return inspect.ismodule(value) or inspect.isclass(value) or inspect.isroutine(value)

    def take_globals(self, code: CodeType, namespace: Mapping[str, Any]) -> None:
        for name in _global_names(code):
            if name in namespace and not hasattr(builtins, name):
                self._take(name, namespace[name])

    def _take(self, name: str, value: Any) -> None:
        if name in self.imports or name in self.constants or name in self.helpers:
            return
        if isinstance(value, ModuleType):
            self.imports[name] = (
                f"import {value.__name__}" if value.__name__ == name else f"import {value.__name__} as {name}"
            )
            return
        home = getattr(value, "__module__", None)
        original = getattr(value, "__qualname__", "")
        if (
            home
            and home != "__main__"
            and original.isidentifier()
            and getattr(sys.modules.get(home), original, None) is value
        ):
            alias = f" as {name}" if original != name else ""
            self.imports[name] = f"from {home} import {original}{alias}"
        elif isinstance(value, FunctionType) or inspect.isclass(value):
            self._take_helper(name, value)
        else:
            self._take_constant(name, value)

    def _take_helper(self, name: str, value: Any) -> None:
        try:
            source = _undecorated(inspect.getsource(value))
        except (OSError, TypeError):
            return
        self.helpers[name] = ""  # entered first: helpers may call each other
        if isinstance(value, FunctionType):
            self.take_globals(value.__code__, value.__globals__)
        del self.helpers[name]
        self.helpers[name] = source

    def _take_constant(self, name: str, value: Any) -> None:
        try:
            text = repr(value)
            if len(text) <= _MOST_CONSTANT_CHARS and ast.literal_eval(text) == value:
                self.constants[name] = f"{name} = {text}"
        except (ValueError, SyntaxError, TypeError, RecursionError):
            return  # not a literal: the function will say that the name is missing, when it is run


def _header(line: str) -> ast.arguments:
    """Read the parameters of a function whose ``def`` stands on one line."""
    function = ast.parse(f"{line} pass").body[0]
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)  # noqa: S101 -- a cell's text begins so
    return function.args


def _global_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)


def _undecorated(source: str) -> str:
    """Give a function's text without decorators: they name the flow, which the document is already."""
    text = textwrap.dedent(source)
    try:
        definition = ast.parse(text).body[0]
    except (SyntaxError, IndexError):
        return text
    return "".join(text.splitlines(keepends=True)[getattr(definition, "lineno", 1) - 1 :])


def _definition(source: str, type_id: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
    where = f"types, {type_id!r}"
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise DocumentError(
            f"the source of {type_id!r} is not Python: {error.msg}, line {error.lineno}", code="FB308", where=where
        ) from None
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and statement.name == type_id:
            return statement
    raise DocumentError(f"the source of {type_id!r} has no function of that name", code="FB308", where=where)


def _signature_text(text: str, type_id: str) -> str:
    definition = _definition(text, type_id)
    returns = f" -> {ast.unparse(definition.returns)}" if definition.returns is not None else ""
    return f"({ast.unparse(definition.args)}){returns}"


def _signature(definition: ast.FunctionDef | ast.AsyncFunctionDef) -> inspect.Signature:
    arguments = definition.args
    named = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(named) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = [*zip(named, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    parameters = [
        inspect.Parameter(
            argument.arg,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=ast.unparse(argument.annotation) if argument.annotation else inspect.Parameter.empty,
            default=_default(default),
        )
        for argument, default in pairs
    ]
    returns = ast.unparse(definition.returns) if definition.returns is not None else inspect.Signature.empty
    return inspect.Signature(parameters, return_annotation=returns)


def _default(node: ast.expr | None) -> Any:
    if node is None:
        return inspect.Parameter.empty
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None  # computed by the code itself, which keeps its own default when nothing is given
