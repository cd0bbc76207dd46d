"""Loads the ``logic.py`` of a node folder when it is first needed, and holds it against its ``schema.json``.

The file defines one public function; its parameters are the node's inputs and settings by name. What ``schema.json``
says cannot be left out there (nothing else is read before a node fires), so here the two are compared: whoever changes
one and forgets the other is told, by the first firing and by the tests, and not by a strange value.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import threading
from typing import TYPE_CHECKING, Any

from flowbook.core.annotations import Meaning, read_annotation
from flowbook.core.node_types import default_node_id, node_type_of
from flowbook.errors import DefinitionError, NodeFolderError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    from flowbook.core.node_types import NodeType, Port
    from flowbook.core.settings import SettingSpec
    from flowbook.registry.schema_file import NodeSchema

#: Value types that an annotation may have for a setting of each value type; an unsaid one fits any.
_FITTING = {"literal": ("literal", "str"), "json": ("json", "")}
_NAMES = {"json": "any JSON value", "literal": "a Literal of its options", "path": "a Path"}


class FolderLogic:
    """The function of one node folder.

    Args:
        schema: what its ``schema.json`` says.
        path: of its ``logic.py``.
        file: how errors name that file.
    """

    def __init__(self, schema: NodeSchema, path: Path, file: str) -> None:
        self._schema = schema
        self._path = path
        self._file = file
        self._lock = threading.Lock()
        self._function: Callable[..., Any] | None = None

    def load(self) -> Callable[..., Any]:
        """Return the function, loading its file the first time.

        Raises:
            NodeFolderError: FB235 the file cannot be loaded, FB236 it does not define one public function, FB237 the
                function is not what ``schema.json`` says.
        """
        with self._lock:
            if self._function is None:
                function = self._only_function(self._module())
                differences = list(_differences(self._schema, self._read(function)))
                if differences:
                    raise self._error(
                        f"{self._schema.type_id!r}: {'; '.join(differences)}",
                        code="FB237",
                        hint="change logic.py or schema.json, so that both say the same",
                        differences=differences,
                    )
                self._function = function
            return self._function

    def plain_function(self) -> Callable[..., Any]:
        """Make the function that a node type has until its file is loaded."""

        def call(**given: Any) -> Any:
            return self.load()(**given)

        return call

    def coroutine_function(self) -> Callable[..., Any]:
        """Make the coroutine function that a node type has until its file is loaded."""

        async def call(**given: Any) -> Any:
            return await self.load()(**given)

        return call

    def _module(self) -> ModuleType:
        name = f"flowbook_nodes.{self._schema.type_id}"
        spec = importlib.util.spec_from_file_location(name, self._path)
        assert spec is not None  # noqa: S101 -- the file ends in .py
        assert spec.loader is not None  # noqa: S101 -- the same
        module = importlib.util.module_from_spec(spec)
        known = sys.modules.get(name)
        sys.modules[name] = module  # before it runs: dataclasses look their module up
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            if known is None:
                del sys.modules[name]
            else:
                sys.modules[name] = known
            raise self._error(
                f"{self._schema.type_id!r} cannot be loaded: {type(error).__name__}: {error}",
                code="FB235",
                hint=f"pip install {error.name}" if isinstance(error, ModuleNotFoundError) else "",
            ) from error
        return module

    def _only_function(self, module: ModuleType) -> Callable[..., Any]:
        functions = {
            name: found
            for name, found in vars(module).items()
            if inspect.isfunction(found) and found.__module__ == module.__name__ and not name.startswith("_")
        }
        named = functions.get(default_node_id(self._schema.type_id))
        if named is not None:
            return named
        if len(functions) != 1:
            found = ", ".join(functions) or "none"
            raise self._error(
                f"{self._schema.type_id!r} needs one public function in logic.py, there is {found}",
                code="FB236",
                hint="begin the names of the others with _",
            )
        return next(iter(functions.values()))

    def _read(self, function: Callable[..., Any]) -> NodeType:
        names = [port.name for port in self._schema.outputs]
        try:
            return node_type_of(function, outputs=names)
        except DefinitionError as error:
            raise self._error(f"{self._schema.type_id!r}: {error.what}", code="FB237", hint=error.hint) from error

    def _error(self, what: str, *, code: str, hint: str, **fields: Any) -> NodeFolderError:
        return NodeFolderError(what, code=code, where=self._file, hint=hint, file=self._file, **fields)


def _differences(schema: NodeSchema, read: NodeType) -> Iterator[str]:
    """Say in words where a function is not what ``schema.json`` says of it."""
    function = read.function
    assert function is not None  # noqa: S101 -- it was read off one
    parameters = dict(inspect.signature(function, eval_str=False).parameters)
    namespace = getattr(inspect.unwrap(function), "__globals__", {})
    for name in parameters:
        if name == read.context_name:
            yield f"the function takes a Context ({name}), which node folders do not get in this version"
        elif name not in [port.name for port in schema.inputs] + [spec.name for spec in schema.settings]:
            yield f"the function takes {name!r}, schema.json has neither port nor setting of that name"
    for port in schema.inputs:
        yield from _port_differences(port, parameters.get(port.name), namespace)
    for spec in schema.settings:
        yield from _setting_differences(spec, parameters.get(spec.name), namespace)
    for said, found in zip(schema.outputs, read.outputs, strict=True):
        if said.type != found.type:
            yield f"output {said.name!r} is {said.type} in schema.json, {found.type} in logic.py"
    if schema.is_async != read.is_async:
        yield "the function is async" if read.is_async else "schema.json says async, the function is not"


def _port_differences(port: Port, parameter: inspect.Parameter | None, namespace: dict[str, Any]) -> Iterator[str]:
    if parameter is None:
        yield f"the function does not take the input {port.name!r}"
        return
    meaning = _meaning(parameter, namespace)
    said, found = port.form or port.type, meaning.form or meaning.port_type
    if meaning.port_type != port.type or (meaning.form and meaning.form != port.form):
        yield f"input {port.name!r} is {said} in schema.json, {found} in logic.py"
    has_default = parameter.default is not parameter.empty
    if has_default == port.is_required:
        word = "required" if port.is_required else "not required"
        yield f"input {port.name!r} is {word} in schema.json and has {'a' if has_default else 'no'} default in logic.py"


def _setting_differences(
    spec: SettingSpec, parameter: inspect.Parameter | None, namespace: dict[str, Any]
) -> Iterator[str]:
    if parameter is None:
        yield f"the function does not take the setting {spec.name!r}"
        return
    meaning = _meaning(parameter, namespace)
    if meaning.value_type not in _FITTING.get(spec.value_type, (spec.value_type,)):
        said = _NAMES.get(spec.value_type, spec.value_type)
        yield f"setting {spec.name!r} is {said} in schema.json, {meaning.text or 'unsaid'} in logic.py"
    elif meaning.options and meaning.options != spec.options:
        yield f"the options of {spec.name!r} are not those of its Literal"
    elif spec.is_optional and not spec.is_required and meaning.value_type and not meaning.is_optional:
        yield f"setting {spec.name!r} may be null in schema.json, but not None in logic.py"
    if parameter.default is not parameter.empty and parameter.default != spec.to_python(spec.default):
        yield f"the default of {spec.name!r} is another one in schema.json"


def _meaning(parameter: inspect.Parameter, namespace: dict[str, Any]) -> Meaning:
    is_unsaid = parameter.annotation is inspect.Parameter.empty
    return Meaning() if is_unsaid else read_annotation(parameter.annotation, namespace)
