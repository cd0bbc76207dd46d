"""The quick way to see that a code key still holds: what was looked at when it was made, to be looked at again.

Bindings to immutable values, functions and classes are compared by identity; mutable values are digested again. The
node's own function is never held, so that a replaced one can go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CellType, CodeType, FunctionType

    from flowbook.runtime.code_values import Values

#: What stands for "not bound".
MISSING = object()


class _ChangedError(Exception):
    """Something is there that was not when the key was made."""


class Checks:
    """Collects what a key depends on, then says whether it is still so.

    Args:
        function: the node's function, at whose code the key begins.
    """

    def __init__(self, function: object) -> None:
        self._root_id = id(function)
        self._is_usable = True
        self._selves: list[tuple[Mapping[str, Any], str]] = []
        self._bound: list[tuple[Mapping[str, Any] | None, str, object]] = []
        self._watched: list[tuple[Mapping[str, Any] | None, str, bytes]] = []
        self._root_code: tuple[object, ...] = ()
        self._functions: list[tuple[FunctionType, CodeType, object, object]] = []
        self._cells: list[tuple[CellType, object]] = []
        self._values: list[tuple[object, bytes]] = []
        self._classes: list[tuple[type, tuple[str, ...], tuple[object, ...]]] = []
        self._labels: dict[int, tuple[object, str]] = {}

    def give_up(self) -> None:
        """Say that the key depends on something that cannot be checked quickly."""
        self._is_usable = False

    @property
    def is_usable(self) -> bool:
        """Whether ``hold`` can ever say yes."""
        return self._is_usable

    def add_bound(self, namespace: Mapping[str, Any] | None, name: str, value: object) -> None:
        """A name is bound to this very object (``MISSING``: not at all); no namespace means the caller's extras."""
        if id(value) == self._root_id and namespace is not None:
            self._selves.append((namespace, name))
        else:
            self._bound.append((namespace, name, value))

    def add_watched(self, namespace: Mapping[str, Any] | None, name: str, digest: bytes) -> None:
        """A name is bound to something of this content."""
        self._watched.append((namespace, name, digest))

    def add_function(self, function: FunctionType) -> None:
        """A function has this code, which autoreload replaces in place, and these defaults."""
        state = (function.__code__, function.__defaults__, function.__kwdefaults__)
        if id(function) == self._root_id:
            self._root_code = state
        else:
            self._functions.append((function, *state))

    def add_cell(self, cell: CellType, value: object) -> None:
        """A closure's variable is this very object."""
        if id(value) == self._root_id:
            self.give_up()  # it would be held
        self._cells.append((cell, value))

    def add_value(self, value: object, digest: bytes) -> None:
        """An object that something immutable holds has this content."""
        self._values.append((value, digest))

    def add_class(self, cls: type) -> None:
        """A class has these attributes."""
        self._classes.append((cls, tuple(vars(cls)), tuple(vars(cls).values())))

    def add_label(self, value: object, label: str) -> None:
        """A function, class or module inside a value stood for this label."""
        if id(value) == self._root_id:
            self.give_up()
        self._labels[id(value)] = (value, label)

    def label(self, value: object) -> str:
        """Give the label that stood for a function, class or module inside a watched value."""
        found = self._labels.get(id(value))
        if found is None:
            raise _ChangedError
        return found[1]

    def hold(self, function: Any, extra: Mapping[str, object], values: Values) -> bool:
        """Look again; O(names read) and, for mutable values, O(their size).

        Args:
            function: the node's function.
            extra: the caller's extras, by the same labels as when the key was made.
            values: digests values, asking ``label`` for what they reach.
        """
        return self._same_code(function) and self._same_bindings(function, extra) and self._same_values(extra, values)

    def _same_code(self, function: Any) -> bool:
        if self._root_code:
            code, defaults, kwdefaults = self._root_code
            if (
                function.__code__ is not code
                or function.__defaults__ is not defaults
                or function.__kwdefaults__ is not kwdefaults
            ):
                return False
        for helper, code, defaults, kwdefaults in self._functions:
            if (
                helper.__code__ is not code
                or helper.__defaults__ is not defaults
                or helper.__kwdefaults__ is not kwdefaults
            ):
                return False
        for cls, names, attributes in self._classes:
            now = vars(cls)
            if len(now) != len(names) or any(map(_differ, now.values(), attributes)) or tuple(now) != names:
                return False
        return True

    def _same_bindings(self, function: object, extra: Mapping[str, object]) -> bool:
        for namespace, name, value in self._bound:
            if (extra if namespace is None else namespace).get(name, MISSING) is not value:
                return False
        for namespace, name in self._selves:
            if namespace.get(name) is not function:
                return False
        return all(_content(cell) is value for cell, value in self._cells)

    def _same_values(self, extra: Mapping[str, object], values: Values) -> bool:
        try:
            for namespace, name, digest in self._watched:
                if values.digest((extra if namespace is None else namespace).get(name, MISSING)).digest != digest:
                    return False
            return all(values.digest(value).digest == digest for value, digest in self._values)
        except _ChangedError:
            return False


def _differ(one: object, other: object) -> bool:
    return one is not other


def _content(cell: CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def cell_content(cell: CellType) -> object:
    """Give what a closure's variable holds, or ``MISSING``."""
    return _content(cell)
