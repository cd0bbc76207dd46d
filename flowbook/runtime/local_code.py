"""Which code is the user's own: the notebook, and modules that nobody installed.

A module is local when its file lies neither in the standard library nor in a directory of installed packages. An
editable installation is local: its files are edited. flowbook itself is not: its version is in every key.
"""

from __future__ import annotations

import functools
import importlib.machinery
import os
import site
import sys
import sysconfig
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FunctionType

_OWN_PACKAGE = __name__.partition(".")[0]
_INSTALLED_PARTS = frozenset({"site-packages", "dist-packages"})


def is_local_module(module: ModuleType) -> bool:
    """Tell whether a loaded module is the user's own; ``__main__``, the notebook, is."""
    name = module.__name__
    if name == "__main__":
        return True
    if name.partition(".")[0] == _OWN_PACKAGE:
        return False
    path = getattr(module, "__file__", None)
    if path is not None:
        return not _is_installed(path)
    folders = list(getattr(module, "__path__", ()))  # a package without __init__.py
    return any(not _is_installed(folder) for folder in folders)


def is_local_namespace(namespace: Mapping[str, Any]) -> bool:
    """Tell whether functions with these globals are the user's own; globals of no module are (exec in a notebook)."""
    module = sys.modules.get(namespace.get("__name__", ""))
    return not isinstance(module, ModuleType) or vars(module) is not namespace or is_local_module(module)


def is_own_wrapper(function: FunctionType) -> bool:
    """Tell whether flowbook made this function around a user's one."""
    return str(function.__globals__.get("__name__", "")).partition(".")[0] == _OWN_PACKAGE


def module_prefix(namespace: Mapping[str, Any]) -> str:
    """Give what to put before a name of this namespace: nothing in a notebook, ``"geo."`` in module ``geo``."""
    name = namespace.get("__name__")
    return f"{name}." if isinstance(name, str) and name != "__main__" and name in sys.modules else ""


def find_source(name: str) -> str:
    """Find the file of a local module that is not loaded, without importing its packages; empty if there is none."""
    search: Any = None
    found = None
    for part in _names_down_to(name):
        found = importlib.machinery.PathFinder.find_spec(part, search)
        if found is None:
            return ""
        search = found.submodule_search_locations
    path = (found.origin if found is not None else None) or ""
    if not path.endswith(".py") or name.partition(".")[0] == _OWN_PACKAGE or _is_installed(path):
        return ""
    return path


def _names_down_to(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: count + 1]) for count in range(len(parts))]


@functools.cache
def _installed_roots() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    folders = [paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib") if key in paths]
    folders += [*getattr(site, "getsitepackages", list)(), site.getusersitepackages()]
    return tuple({os.path.join(os.path.realpath(folder), "") for folder in folders})  # noqa: PTH118  (for startswith)


@functools.lru_cache(maxsize=4096)
def _is_installed(path: str) -> bool:
    if path.startswith("<"):  # frozen into the interpreter
        return True
    real = os.path.realpath(path)
    return real.startswith(_installed_roots()) or not _INSTALLED_PARTS.isdisjoint(Path(real).parts)
