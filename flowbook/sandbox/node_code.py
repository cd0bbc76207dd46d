"""Makes a node's function from its description, in the process that is to call it."""

from __future__ import annotations
import __future__

import ast
import importlib
import importlib.util
import inspect
import linecache
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbook.core.interfaces import PortableCode


def function_of(code: PortableCode) -> Callable[..., Any]:
    """Make the function; what its code raises while it is made passes through."""
    if code.module:
        found: Any = importlib.import_module(code.module)
        for name in code.name.split("."):
            found = getattr(found, name)
        return found  # type: ignore[no-any-return]
    if code.path:
        return _from_file(code)
    return _from_source(code)


def _from_file(code: PortableCode) -> Callable[..., Any]:
    name = f"flowbook_worker_{Path(code.path).stem}_{code.name}"
    spec = importlib.util.spec_from_file_location(name, code.path)
    if spec is None or spec.loader is None:
        message = f"{Path(code.path).name} is no Python file"
        raise ImportError(message)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return getattr(module, code.name)  # type: ignore[no-any-return]


def _from_source(code: PortableCode) -> Callable[..., Any]:
    """Run preamble and source as the notebook's own module, under whose name its classes are known on both sides."""
    module = ModuleType("__main__")
    sys.modules["__main__"] = module
    beside = f"<what {code.name} reads>"
    _know_lines(beside, code.preamble)
    _execute(code.preamble, beside, 1, module)
    if code.filename not in linecache.cache and not Path(code.filename).exists():
        _know_lines(code.filename, "\n" * (code.first_line - 1) + code.source)
    _execute(code.source, code.filename or "<node>", code.first_line, module, is_function=True)
    function: Callable[..., Any] = inspect.unwrap(getattr(module, code.name))
    return function


def _execute(text: str, filename: str, first_line: int, module: ModuleType, *, is_function: bool = False) -> None:
    tree = ast.parse("\n" * (first_line - 1) + text, filename)
    if is_function:
        _without_defaults(tree)
    # As it was: annotations name what only type checkers, or the notebook, have imported.
    flags = __future__.annotations.compiler_flag
    compiled = compile(tree, filename, "exec", flags=flags, dont_inherit=True)
    exec(compiled, module.__dict__)  # noqa: S102 -- the user's own node, in a process of its own


def _without_defaults(tree: ast.Module) -> None:
    """Take away defaults that can only be computed where the function was defined; those are given as arguments."""
    function = tree.body[-1] if tree.body else None
    if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
        arguments = function.args
        arguments.defaults = [_plain(default) for default in arguments.defaults]
        arguments.kw_defaults = [default and _plain(default) for default in arguments.kw_defaults]


def _plain(default: ast.expr) -> ast.expr:
    try:
        ast.literal_eval(default)
    except (ValueError, TypeError):
        return ast.copy_location(ast.Constant(None), default)
    return default


def _know_lines(filename: str, text: str) -> None:
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
