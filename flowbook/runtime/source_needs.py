"""What a piece of code needs around it to stand alone: imports, small values, helper functions and classes.

Names are found by Python's own symbol table, so that defaults, decorators, base classes and nested functions count and
local variables do not. What a name is bound to is written down as text: a module or an object of one is imported, a
function or class of the notebook is copied with what it needs itself, a plain value becomes an expression. What is none
of these (a table, a model) is left out; the code says so when it is run.
"""

from __future__ import annotations

import ast
import builtins
import datetime
import decimal
import enum
import inspect
import linecache
import math
import pathlib
import re
import symtable
import sys
import textwrap
from dataclasses import dataclass, field
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Lookup = Callable[[str], tuple[bool, Any]]

_MOST_CONSTANT_CHARS = 2_000
#: Modules that expressions for values name, under a name that no notebook uses for something else.
_ALIAS = "_flowbook_{}"
_BY_REPR = (datetime.date, datetime.time, datetime.timedelta, datetime.timezone)


class _NotWrittenError(Exception):
    """The value has no short expression."""


@dataclass(slots=True)
class SourceNeeds:
    """Gathers what pieces of code need, each once, in an order in which it can stand."""

    _imports: dict[str, str] = field(default_factory=dict)
    _pieces: dict[str, str] = field(default_factory=dict)

    def preamble(self) -> str:
        """Return everything gathered as text that stands before the code; empty when nothing was needed."""
        lines = "".join(f"{line}\n" for line in dict.fromkeys(self._imports.values()))
        is_one_line = [("\n" not in piece.rstrip("\n")) for piece in self._pieces.values()]
        values = "".join(piece for piece, one in zip(self._pieces.values(), is_one_line, strict=True) if one)
        if all(is_one_line):
            return f"{lines}{values}\n\n" if lines or values else ""
        return lines + "".join(f"\n\n{piece}" for piece in self._pieces.values()) + "\n\n"

    def take_code(self, text: str, lookup: Lookup) -> None:
        """Gather what a piece of code reads of its surroundings."""
        for name in sorted(global_names(text)):
            found, value = lookup(name)
            if found:
                self.take(name, value, lookup)

    def take(self, name: str, value: Any, lookup: Lookup) -> None:
        """Gather what a name is bound to; ``lookup`` finds what stands beside it."""
        if name in self._imports or name in self._pieces:
            return
        line = _import_of(name, value)
        if line:
            self._imports[name] = line
        elif isinstance(value, type) or isinstance(inspect.unwrap(value) if callable(value) else value, FunctionType):
            self._take_copy(name, value, lookup)
        else:
            self._take_value(name, value, lookup)

    def _take_copy(self, name: str, value: Any, lookup: Lookup) -> None:
        own_name = str(getattr(value, "__name__", name))
        text = class_text(value) if isinstance(value, type) else function_text(value)
        if not text:
            return
        self._pieces[name] = ""  # entered first: helpers may call each other
        self.take_code(text, surroundings(value, lookup))
        del self._pieces[name]  # and put behind what it needs itself
        if own_name not in (name, "<lambda>"):
            text += f"{name} = {own_name}\n"
        self._pieces[name] = text

    def _take_value(self, name: str, value: Any, lookup: Lookup) -> None:
        try:
            text = self._expression(value, lookup)
        except (_NotWrittenError, RecursionError):
            return
        if len(text) <= _MOST_CONSTANT_CHARS:
            self._pieces[name] = f"{name} = {text}\n"

    def _expression(self, value: Any, lookup: Lookup) -> str:
        kind = type(value)
        if value is None or value is ... or kind in (bool, int, str, bytes, complex):
            return repr(value)
        if kind is float:
            return repr(value) if math.isfinite(value) else f'float("{value}")'
        if kind in (list, tuple, set, frozenset, dict):
            return self._container(value, lookup)
        if isinstance(value, enum.Enum):
            return self._enum_member(value, lookup)
        return self._by_module(value)

    def _container(self, value: Any, lookup: Lookup) -> str:
        kind = type(value)
        if len(value) > _MOST_CONSTANT_CHARS:
            raise _NotWrittenError
        items = [self._expression(item, lookup) for item in value]
        if kind is dict:
            held = [self._expression(item, lookup) for item in value.values()]
            return "{" + ", ".join(f"{key}: {item}" for key, item in zip(items, held, strict=True)) + "}"
        if kind in (set, frozenset):
            return f"{kind.__name__}([{', '.join(sorted(items))}])"
        listed = ", ".join(items)
        return f"[{listed}]" if kind is list else f"({listed},)" if len(items) == 1 else f"({listed})"

    def _enum_member(self, value: enum.Enum, lookup: Lookup) -> str:
        name = type(value).__name__
        self.take(name, type(value), lookup)
        if name not in self._pieces and name not in self._imports:
            raise _NotWrittenError
        return f"{name}.{value.name}"

    def _by_module(self, value: Any) -> str:
        if isinstance(value, pathlib.PurePath):
            return f"{self._module('pathlib')}.{_plain_path_class(value)}({str(value)!r})"
        if isinstance(value, re.Pattern):
            return f"{self._module('re')}.compile({value.pattern!r}, {value.flags})"
        if type(value) is decimal.Decimal:
            return f"{self._module('decimal')}.{value!r}"
        if isinstance(value, _BY_REPR) and repr(value).startswith("datetime."):
            text = repr(value).replace("datetime.", f"{self._module('datetime')}.")
            return text if "tzinfo" not in text or "zoneinfo" not in text else _refuse()
        return _refuse()

    def _module(self, name: str) -> str:
        alias = _ALIAS.format(name)
        self._imports[alias] = f"import {name} as {alias}"
        return alias


def _refuse() -> str:
    raise _NotWrittenError


def _plain_path_class(path: pathlib.PurePath) -> str:
    return "Path" if isinstance(path, pathlib.Path) else type(path).__name__


def global_names(text: str) -> set[str]:
    """Return the names that code reads and does not bind itself; built-in names and annotations are left out."""
    names: set[str] = set()

    def visit(table: symtable.SymbolTable) -> None:
        is_module = table.get_type() == "module"
        for symbol in table.get_symbols():
            is_free = symbol.is_global() or (is_module and not symbol.is_assigned() and not symbol.is_imported())
            if symbol.is_referenced() and is_free:
                names.add(symbol.get_name())
        for child in table.get_children():
            visit(child)

    top = symtable.symtable(f"from __future__ import annotations\n{text}", "<types>", "exec")
    visit(top)
    own = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_namespace()}
    return {name for name in names - own if not hasattr(builtins, name)}


def surroundings(value: Any, otherwise: Lookup = lambda _: (False, None)) -> Lookup:
    """Look names up where a function or class was defined: the functions around it, its module, then ``otherwise``."""
    functions = list(_functions_of(value))

    def lookup(name: str) -> tuple[bool, Any]:
        for function in functions:
            if name in function.__code__.co_freevars:
                cell = (function.__closure__ or ())[function.__code__.co_freevars.index(name)]
                try:
                    return True, cell.cell_contents
                except ValueError:  # not bound yet
                    return False, None
            if name in function.__globals__:
                return True, function.__globals__[name]
        module = sys.modules.get(getattr(value, "__module__", ""))
        return (True, vars(module)[name]) if module is not None and name in vars(module) else otherwise(name)

    return lookup


def _functions_of(value: Any) -> Iterator[FunctionType]:
    unwrapped = inspect.unwrap(value) if callable(value) else value
    if isinstance(unwrapped, FunctionType):
        yield unwrapped
    if isinstance(value, type):
        for attribute in vars(value).values():
            inner = inspect.unwrap(getattr(attribute, "__func__", getattr(attribute, "fget", attribute)))
            if isinstance(inner, FunctionType) and inner.__module__ == value.__module__:
                yield inner


def _import_of(name: str, value: Any) -> str:
    """Write the import that binds ``name`` to ``value``; empty when there is none."""
    if isinstance(value, ModuleType):
        own_name = value.__name__
        return "" if own_name == "__main__" else f"import {own_name}" + (f" as {name}" if name != own_name else "")
    original: Any = getattr(value, "__qualname__", "") if isinstance(value, _NAMED) else ""
    home: Any = getattr(value, "__module__", None) if isinstance(value, _NAMED) else type(value).__module__
    for module in dict.fromkeys((home, str(home).partition(".")[0])):
        for candidate in (original, name):
            if not module or module in ("__main__", "builtins") or not str(candidate).isidentifier():
                continue
            if vars(sys.modules.get(module, builtins)).get(candidate) is value and module in sys.modules:
                return f"from {module} import {candidate}" + (f" as {name}" if candidate != name else "")
    return ""


_NAMED = (type, FunctionType, BuiltinFunctionType)


def function_text(function: Any, *, keeps_decorators: bool = True) -> str:
    """Return the source of a function, not indented, one newline at its end; empty when there is none.

    Decorators that declare a node are left out: they name a flow, and the function can be called without them.
    """
    unwrapped = inspect.unwrap(function)
    try:
        text = textwrap.dedent(inspect.getsource(unwrapped)).rstrip() + "\n"
    except (OSError, TypeError):
        return ""
    if unwrapped.__name__ == "<lambda>":
        return text if _is_assignment(text) else ""
    is_node = hasattr(function, "__flowbook_node_type__")
    return text if keeps_decorators and not is_node else without_decorators(text)


def _is_assignment(text: str) -> bool:
    try:
        statements = ast.parse(text).body
    except SyntaxError:
        return False
    return len(statements) == 1 and isinstance(statements[0], ast.Assign)


def without_decorators(text: str) -> str:
    """Return the text of a definition from its ``def`` on."""
    try:
        definition = ast.parse(text).body[0]
    except (SyntaxError, IndexError):
        return text
    return "".join(text.splitlines(keepends=True)[getattr(definition, "lineno", 1) - 1 :])


def class_text(cls: type) -> str:
    """Return the source of a class, not indented; empty when there is none.

    ``inspect`` finds no class of a notebook: it looks into the file of ``__main__``. The text of cells that have run is
    in ``linecache``; the newest one that defines a class of the name counts.
    """
    try:
        return textwrap.dedent(inspect.getsource(cls)).rstrip() + "\n"
    except (OSError, TypeError):
        pass
    for entry in reversed(list(linecache.cache.values())):
        if len(entry) == 4 and entry[1] is None and any(f"class {cls.__name__}" in line for line in entry[2]):
            found = _class_in("".join(entry[2]), cls.__name__)
            if found:
                return found
    return ""


def _class_in(text: str, name: str) -> str:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            lines = text.splitlines(keepends=True)[first - 1 : node.end_lineno]
            return textwrap.dedent("".join(lines)).rstrip() + "\n"
    return ""
