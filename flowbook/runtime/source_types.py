"""Node types that travel as source: how a saved document carries the code of its own nodes, and gets it back.

A type is saved as one piece of Python: the imports, small constants, helper functions and classes that its function
reaches, then the function. Reading it back only parses; the text is compiled and run in a module of its own when the
node first fires, so that opening a document never executes what is in it.
"""

from __future__ import annotations
import __future__

import ast
import copy
import dataclasses
import hashlib
import inspect
import linecache
import sys
import textwrap
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from flowbook.core.annotations import read_annotation
from flowbook.core.document import policy_json, read_policy
from flowbook.core.node_types import RESULT, NodeType, node_type_of
from flowbook.core.policies import POLICY_FIELDS, Policy
from flowbook.errors import DefinitionError, DocumentError
from flowbook.runtime.signature_texts import parameter_text, returns_text
from flowbook.runtime.source_needs import SourceNeeds, surroundings, without_decorators

if TYPE_CHECKING:
    import enum
    from collections.abc import Callable, Iterator, Mapping


def describe_type(node_type: NodeType, lookup: Callable[[str], tuple[bool, Any]]) -> dict[str, Any]:
    """Describe a type for the ``types`` of a document: id, source, outputs, signature.

    The signature says by itself what the parameters are: defaults as JSON values, aliases and classes of the notebook
    spelled out, so that nothing has to be run to read it.

    Args:
        node_type: a function's or cell's type, with its source.
        lookup: finds what a name that a cell reads is bound to in the notebook; nothing where an edge feeds it.

    Returns:
        The entry; without a source when the code cannot be told apart from what stands around it (a lambda in a call).
    """
    text = _standing_alone(node_type, lookup)
    entry = {
        "id": node_type.type_id,
        "source": text,
        "outputs": [port.name for port in node_type.outputs],
        **_mutable_entry(node_type),
        **_policy_entry(node_type.policy),
    }
    return {**entry, "signature": _signature_text(node_type, entry)} if text else entry


def _mutable_entry(node_type: NodeType) -> dict[str, Any]:
    """Name the inputs that the node changes in place."""
    names = [port.name for port in node_type.inputs if port.is_mutable]
    return {"mutable": names} if names else {}


def _standing_alone(node_type: NodeType, lookup: Callable[[str], tuple[bool, Any]]) -> str:
    """Write the function with everything that it reaches; empty when it cannot be."""
    if node_type.origin not in ("code", "cell"):  # an opened one reaches nothing outside its text
        return _renamed(node_type.source, _last_function(node_type.source), node_type.type_id)
    parts = code_in_parts(node_type, lookup)
    return _renamed(parts.preamble + parts.text, parts.name, node_type.type_id) if parts is not None else ""


@dataclasses.dataclass(frozen=True, slots=True)
class CodeParts:
    """The code of a type of the notebook's own.

    Attributes:
        preamble: what the function reads of its surroundings.
        text: the function alone, from its ``def`` on.
        name: of the function.
        first_line: of the ``def``, in the file of the type, >= 1.
    """

    preamble: str
    text: str
    name: str
    first_line: int


def code_in_parts(node_type: NodeType, lookup: Callable[[str], tuple[bool, Any]]) -> CodeParts | None:
    """Take the code of a type apart from what it reaches; None when it cannot be told apart from what stands around.

    Args:
        node_type: of origin ``"code"`` or ``"cell"``.
        lookup: finds what a name that a cell reads is bound to in the notebook; nothing where an edge feeds it.
    """
    function = inspect.unwrap(node_type.function) if node_type.function is not None else None
    needs = SourceNeeds()
    whole = textwrap.dedent(node_type.source)
    text, first_line = without_decorators(whole), node_type.first_line
    first_line += whole.count("\n") - text.count("\n")
    if node_type.origin == "cell":
        first_line = node_type.first_line - 1  # of the line with the magic; the body's first is the type's
        text = _with_environment(needs, node_type, text, lookup)
    elif isinstance(function, FunctionType) and function.__name__ == "<lambda>":
        text = _lambda_as_function(text, node_type.type_id)
    own_name = _last_function(text)
    if not own_name or inspect.ismethod(node_type.function):
        return None
    around = surroundings(function) if node_type.origin == "code" else lookup
    needs.take_code(text, around)
    needs.take_code(_annotations_of_choices(node_type, text), around)
    return CodeParts(needs.preamble(), text, own_name, first_line)


def _annotations_of_choices(node_type: NodeType, text: str) -> str:
    """Return the annotations that name an Enum as code: its class is needed to make members of names."""
    definition = ast.parse(text).body[-1]
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)  # noqa: S101 -- asked before
    found = []
    for argument in (*definition.args.args, *definition.args.kwonlyargs):
        spec = node_type.setting(argument.arg)
        if spec is not None and (spec.choices or (spec.items is not None and spec.items.choices)):
            found.append(_annotation_text(argument.annotation))
    return "\n".join(found)


def _last_function(text: str) -> str:
    """Name the function that a piece of code ends with, if it does."""
    try:
        statements = ast.parse(text).body
    except SyntaxError:
        return ""
    found = [each for each in statements if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    return found[-1].name if found else ""


def _renamed(text: str, own_name: str, name: str) -> str:
    return text if own_name in ("", name) else f"{text}\n\n{name} = {own_name}\n"


def _lambda_as_function(text: str, name: str) -> str:
    """Write the one lambda of a statement as a function; empty when there is none, or more."""
    try:
        found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Lambda)]
    except SyntaxError:
        return ""
    if len(found) != 1:
        return ""
    return f"def {name}({ast.unparse(found[0].args)}):\n    return {ast.unparse(found[0].body)}\n"


def _with_environment(
    needs: SourceNeeds, node_type: NodeType, text: str, lookup: Callable[[str], tuple[bool, Any]]
) -> str:
    """Turn parameters that stand for the notebook's code into names of the text's own namespace."""
    first, _, rest = text.partition("\n")
    arguments = _header(first)
    kept = []
    for argument in arguments.args:
        port = node_type.input(argument.arg)
        found, value = lookup(argument.arg) if port is not None and port.is_ambient else (False, None)
        if found and (inspect.ismodule(value) or inspect.isclass(value) or inspect.isroutine(value)):
            needs.take(argument.arg, value, lookup)
        else:
            kept.append(argument)
    arguments.args = kept  # those that go have no default, and stand before all that have one
    return f"{first[: first.index('(') + 1]}{ast.unparse(arguments)}):\n{rest}"


def _header(line: str) -> ast.arguments:
    """Read the parameters of a function whose ``def`` stands on one line."""
    function = ast.parse(f"{line} pass").body[0]
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)  # noqa: S101 -- a cell's text begins so
    return function.args


def type_from_source(entry: Mapping[str, Any]) -> NodeType:
    """Read a type back; its code is parsed, not run.

    Raises:
        DocumentError: FB308, the entry has no function of its name.
    """
    type_id, source = str(entry.get("id", "")), str(entry.get("source", ""))
    definition = _definition(source, type_id)
    loader = _Loader(type_id, source, definition)
    function = loader.async_function() if isinstance(definition, ast.AsyncFunctionDef) else loader.plain_function()
    described: Any = function
    described.__name__ = type_id
    described.__doc__ = ast.get_docstring(definition)
    described.__signature__ = _signature(_described(entry, definition))
    policy = entry.get("policy")
    known = read_policy(policy, f"types, {type_id!r}") if isinstance(policy, dict) else {}
    known = {name: value for name, value in known.items() if name in POLICY_FIELDS}
    node_type = node_type_of(function, type_id=type_id, outputs=_output_names(entry), policy=known)
    named = entry.get("mutable")
    changed = named if isinstance(named, list) else []
    inputs = tuple(port.but(is_mutable=port.name in changed) for port in node_type.inputs)
    return dataclasses.replace(
        node_type,
        inputs=inputs,
        origin="document",
        source=source,
        place=(loader.filename, definition.lineno),
    )


def _described(
    entry: Mapping[str, Any], definition: ast.FunctionDef | ast.AsyncFunctionDef
) -> ast.FunctionDef | ast.AsyncFunctionDef:
    """Take the parameters from the entry's signature, which says more; from the code where the two do not agree."""
    try:
        stated = ast.parse(f"def f{entry.get('signature', '')}: ...").body[0]
    except (SyntaxError, ValueError):
        return definition
    if not isinstance(stated, ast.FunctionDef) or _parameter_names(stated) != _parameter_names(definition):
        return definition
    return stated


def _output_names(entry: Mapping[str, Any]) -> list[str] | None:
    outputs = entry.get("outputs")
    return [str(name) for name in outputs] if isinstance(outputs, list) and outputs not in ([], [RESULT]) else None


def _parameter_names(definition: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    arguments = definition.args
    return [argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def _policy_entry(policy: Policy) -> dict[str, Any]:
    default = Policy()
    changed = {name: getattr(policy, name) for name in POLICY_FIELDS if getattr(policy, name) != getattr(default, name)}
    return {"policy": policy_json(changed)} if changed else {}


class _Loader:
    """Compiles a type's source once, when it is first called."""

    def __init__(self, type_id: str, source: str, definition: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.type_id = type_id
        self.filename = f"<flow type {type_id}>"
        self._source = source
        self._definition = definition
        self._function: Callable[..., Any] | None = None
        self._choices: dict[str, type[enum.Enum]] = {}

    def plain_function(self) -> Callable[..., Any]:
        def call(**given: Any) -> Any:
            return self.load()(**self._with_members(given))

        return call

    def async_function(self) -> Callable[..., Any]:
        async def call(**given: Any) -> Any:
            return await self.load()(**self._with_members(given))

        return call

    def load(self) -> Callable[..., Any]:
        if self._function is None:
            lines = self._source.splitlines(keepends=True)
            linecache.cache[self.filename] = (len(self._source), None, lines, self.filename)
            # Classes ask for the module they are defined in.
            number = hashlib.blake2b(self._source.encode(), digest_size=6).hexdigest()
            module = ModuleType(f"flowbook_types_{number}_{self.type_id}")
            sys.modules[module.__name__] = module
            # As it was: annotations name what only type checkers, or the notebook, have imported.
            flags = __future__.annotations.compiler_flag
            code = compile(self._source, self.filename, "exec", flags=flags, dont_inherit=True)
            exec(code, module.__dict__)  # noqa: S102 -- the user's own flow, when it is run
            self._choices = dict(self._find_choices(module))
            self._function = getattr(module, self.type_id)
        assert self._function is not None  # noqa: S101 -- just loaded
        return self._function

    def _find_choices(self, module: ModuleType) -> Iterator[tuple[str, type[enum.Enum]]]:
        arguments = self._definition.args
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            try:
                found = read_annotation(_annotation_text(argument.annotation), vars(module))
            except DefinitionError:  # it names what only the notebook knew; the signature has said it
                continue
            choices = found.choices or (found.items.choices if found.items is not None else None)
            if choices is not None:
                yield argument.arg, choices

    def _with_members(self, given: dict[str, Any]) -> dict[str, Any]:
        """Turn the names of Enum members, which is how the settings of an opened flow know them, into members."""
        for name, choices in self._choices.items():
            if name in given:
                given[name] = _as_members(given[name], choices.__members__)
        return given


def _as_members(value: Any, members: Mapping[str, enum.Enum]) -> Any:
    if isinstance(value, dict):
        return {key: _as_members(item, members) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return type(value)(_as_members(item, members) for item in value)
    return members.get(value, value) if isinstance(value, str) else value


def parameter_names(text: str) -> list[str]:
    """Name the parameters of the function that a piece of code ends with."""
    definition = ast.parse(text).body[-1]
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)  # noqa: S101 -- asked before
    return _parameter_names(definition)


def _definition(source: str, type_id: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
    where = f"types, {type_id!r}"
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        what = error.msg if isinstance(error, SyntaxError) else str(error)
        raise DocumentError(
            f"the source of {type_id!r} is not Python: {what}{line}", code="FB308", where=where
        ) from None
    name = type_id
    for statement in reversed(tree.body):
        name = _other_name(statement, name) or name  # a node may bear another name than its function
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and statement.name == name:
            return statement
    raise DocumentError(f"the source of {type_id!r} has no function of that name", code="FB308", where=where)


def _other_name(statement: ast.stmt, name: str) -> str:
    """Return the other name of a statement ``name = other``; empty for every other one."""
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Name):
        return ""
    targets = [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return statement.value.id if name in targets else ""


def _signature_text(node_type: NodeType, entry: dict[str, Any]) -> str:
    """Write the signature so that it means the same without the code."""
    definition = _definition(entry["source"], node_type.type_id)
    arguments = copy.deepcopy(definition.args)
    alone = _read_alone(definition, entry)
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        text = parameter_text(node_type, alone, argument.arg)
        if text:
            argument.annotation = ast.parse(text, mode="eval").body
    defaults = {spec.name: spec.default for spec in node_type.settings}
    positional = [*arguments.posonlyargs, *arguments.args]
    first = len(positional) - len(arguments.defaults)
    arguments.defaults = [
        _default_text(default, defaults, argument.arg)
        for argument, default in zip(positional[first:], arguments.defaults, strict=True)
    ]
    arguments.kw_defaults = [
        default and _default_text(default, defaults, argument.arg)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    returns = returns_text(node_type, alone, _annotation_text(definition.returns))
    return f"({ast.unparse(arguments)})" + (f" -> {returns}" if returns else "")


def _read_alone(definition: ast.FunctionDef | ast.AsyncFunctionDef, entry: Mapping[str, Any]) -> NodeType:
    """Read the parameters as somebody does who knows nothing but their text."""

    def nothing() -> None:
        return None

    described: Any = nothing
    signature = _signature(definition)
    described.__signature__ = signature
    try:
        return node_type_of(nothing, type_id=entry["id"], outputs=_output_names(entry))
    except DefinitionError:  # Setting(min=LOW): without LOW there is no saying what any of it means
        empty = inspect.Parameter.empty
        bare = [parameter.replace(annotation=empty) for parameter in signature.parameters.values()]
        described.__signature__ = inspect.Signature(bare)
        return node_type_of(nothing, type_id=entry["id"], outputs=_output_names(entry))


def _default_text(written: ast.expr, defaults: Mapping[str, Any], name: str) -> ast.expr:
    """Write a setting's default as the JSON value it is kept as; of another parameter whether there is one at all."""
    try:
        ast.literal_eval(written)
    except (ValueError, TypeError):
        return ast.parse(repr(defaults.get(name)), mode="eval").body
    return written


def _signature(definition: ast.FunctionDef | ast.AsyncFunctionDef) -> inspect.Signature:
    arguments = definition.args
    named = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(named) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = [*zip(named, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    parameters = [
        inspect.Parameter(
            argument.arg,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=_annotation_text(argument.annotation) or inspect.Parameter.empty,
            default=_default(default),
        )
        for argument, default in pairs
    ]
    returns = _annotation_text(definition.returns) or inspect.Signature.empty
    return inspect.Signature(parameters, return_annotation=returns)


def _annotation_text(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value  # in quotes
    return ast.unparse(node) if node is not None else ""


def _default(node: ast.expr | None) -> Any:
    if node is None:
        return inspect.Parameter.empty
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return None  # computed by the code itself, which keeps its own default when nothing is given
