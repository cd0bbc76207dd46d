"""The quick way to see that a code key still holds: what was looked at when it was made, to be looked at again.

Bindings to immutable values, functions and classes are compared by identity; mutable values are digested again. The
node's own function is never held, so that a replaced one can go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
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

    # There is one for each function that reaches something, and most of them reach little.
    __slots__ = (
        "_bound",
        "_cells",
        "_classes",
        "_functions",
        "_is_usable",
        "_labels",
        "_root_code",
        "_root_id",
        "_selves",
        "_values",
        "_watched",
    )

    def __init__(self, function: object) -> None:
        self._root_id = id(function)
        self._is_usable = True
        self._selves: tuple[tuple[Mapping[str, Any], str], ...] = ()
        self._bound: tuple[tuple[Mapping[str, Any] | None, str, object], ...] = ()
        self._watched: tuple[tuple[Mapping[str, Any] | None, str, bytes], ...] = ()
        self._root_code: tuple[object, ...] = ()
        self._functions: tuple[tuple[FunctionType, CodeType, object, object], ...] = ()
        self._cells: tuple[tuple[CellType, object], ...] = ()
        self._values: tuple[tuple[object, bytes], ...] = ()
        self._classes: tuple[tuple[type, tuple[str, ...], tuple[object, ...]], ...] = ()
        self._labels: dict[int, tuple[object, str]] | None = None

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
            self._selves += ((namespace, name),)
        else:
            self._bound += ((namespace, name, value),)

    def add_watched(self, namespace: Mapping[str, Any] | None, name: str, digest: bytes) -> None:
        """A name is bound to something of this content."""
        self._watched += ((namespace, name, digest),)

    def add_function(self, function: FunctionType) -> None:
        """A function has this code, which autoreload replaces in place, and these defaults."""
        state = (function.__code__, function.__defaults__, function.__kwdefaults__)
        if id(function) == self._root_id:
            self._root_code = state
        else:
            self._functions += ((function, *state),)

    def add_cell(self, cell: CellType, value: object) -> None:
        """A closure's variable is this very object."""
        if id(value) == self._root_id:
            self.give_up()  # it would be held
        self._cells += ((cell, value),)

    def add_value(self, value: object, digest: bytes) -> None:
        """An object that something immutable holds has this content."""
        self._values += ((value, digest),)

    def add_class(self, cls: type) -> None:
        """A class has these attributes."""
        self._classes += ((cls, tuple(vars(cls)), tuple(vars(cls).values())),)

    def add_label(self, value: object, label: str) -> None:
        """A function, class or module inside a value stood for this label."""
        if id(value) == self._root_id:
            self.give_up()
        self._labels = {**(self._labels or {}), id(value): (value, label)}

    def label(self, value: object) -> str:
        """Give the label that stood for a function, class or module inside a watched value."""
        found = self._labels.get(id(value)) if self._labels else None
        if found is None:
            raise _ChangedError
        return found[1]

    @property
    def is_bare(self) -> bool:
        """Whether there is nothing to look at but the code of the function itself, which has no defaults."""
        found = (self._bound, self._selves, self._watched, self._functions, self._cells, self._values, self._classes)
        return self._is_usable and self._root_code[1:] == (None, None) and not (any(found) or self._labels)

    @property
    def has_values(self) -> bool:
        """Whether it depends on something that may be changed in place."""
        return bool(self._watched or self._values)

    def enter(
        self,
        bound: dict[tuple[int, str], tuple[Mapping[str, Any], str, object]],
        functions: dict[int, tuple[FunctionType, CodeType, object, object]],
        cells: dict[int, tuple[CellType, object]],
        classes: dict[int, tuple[type, tuple[str, ...], tuple[object, ...]]],
    ) -> bool:
        """Add what is compared by identity to what others depend on; False when they expect something else of it."""
        agrees = True
        for namespace, name, value in self._bound:
            if namespace is not None:
                known = bound.setdefault((id(namespace), name), (namespace, name, value))
                agrees = agrees and known[2] is value
        for entry in self._functions:
            agrees = functions.setdefault(id(entry[0]), entry) == entry and agrees
        for cell in self._cells:
            agrees = cells.setdefault(id(cell[0]), cell)[1] is cell[1] and agrees
        for cls in self._classes:
            agrees = not any(map(_differ, classes.setdefault(id(cls[0]), cls)[2], cls[2])) and agrees
        return agrees

    def hold(self, function: Any, extra: Mapping[str, object], values: Values) -> bool:
        """Look again; O(names read) and, for mutable values, O(their size).

        Args:
            function: the node's function.
            extra: the caller's extras, by the same labels as when the key was made.
            values: digests values, asking ``label`` for what they reach.
        """
        return self._same_code(function) and self._same_bindings(function, extra) and self.same_values(extra, values)

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
        return all(_same_class(*entry) for entry in self._classes)

    def _same_bindings(self, function: object, extra: Mapping[str, object]) -> bool:
        for namespace, name, value in self._bound:
            if (extra if namespace is None else namespace).get(name, MISSING) is not value:
                return False
        for namespace, name in self._selves:
            if namespace.get(name) is not function:
                return False
        return all(_content(cell) is value for cell, value in self._cells)

    def same_values(self, extra: Mapping[str, object], values: Values) -> bool:
        """Whether what may be changed in place has the content it had."""
        try:
            for namespace, name, digest in self._watched:
                if values.digest((extra if namespace is None else namespace).get(name, MISSING)).digest != digest:
                    return False
            return all(values.digest(value).digest == digest for value, digest in self._values)
        except _ChangedError:
            return False


class Watch:
    """The checks of many functions at once: what several of them depend on is looked at once.

    The functions' own code is not looked at: it changes only when its module is loaded anew, which shows in the
    module's ``__spec__``, or between two cells of a notebook, which ``code_may_have_changed`` is told.
    """

    def __init__(self) -> None:
        self._epoch = _epoch
        self._bound: dict[tuple[int, str], tuple[Mapping[str, Any], str, object]] = {}
        self._functions: dict[int, tuple[FunctionType, CodeType, object, object]] = {}
        self._cells: dict[int, tuple[CellType, object]] = {}
        self._classes: dict[int, tuple[type, tuple[str, ...], tuple[object, ...]]] = {}
        self._deep: dict[int, Checks] = {}

    def add(self, checks: Checks | None, function: Any) -> None:
        """Look at what one function depends on from now on; None: on nothing but its own code."""
        if checks is not None:
            if not checks.enter(self._bound, self._functions, self._cells, self._classes):
                self.expire()  # they were made at different times, and one of them is out of date
            if checks.has_values:
                self._deep[id(checks)] = checks
        namespace = function.__globals__
        self._bound.setdefault((id(namespace), "__spec__"), (namespace, "__spec__", namespace.get("__spec__", MISSING)))

    def expire(self) -> None:
        """Something is not as it was."""
        self._epoch = -1

    def holds(self, values_hold: Callable[[Checks], bool]) -> bool:
        """Whether everything is as it was; O(what is looked at)."""
        if self._epoch != _epoch:
            return False
        for namespace, name, value in self._bound.values():
            if namespace.get(name, MISSING) is not value:
                return False
        for helper, code, defaults, kwdefaults in self._functions.values():
            if (
                helper.__code__ is not code
                or helper.__defaults__ is not defaults
                or helper.__kwdefaults__ is not kwdefaults
            ):
                return False
        for cell, value in self._cells.values():
            if _content(cell) is not value:
                return False
        if self._classes and not all(_same_class(*entry) for entry in self._classes.values()):
            return False
        return not self._deep or all(map(values_hold, self._deep.values()))


_epoch = 0


def code_may_have_changed() -> None:
    """Have every function looked at again before it counts as unchanged."""
    global _epoch  # noqa: PLW0603 -- one process, one notebook
    _epoch += 1


def _same_class(cls: type, names: tuple[str, ...], attributes: tuple[object, ...]) -> bool:
    now = vars(cls)
    return len(now) == len(names) and not any(map(_differ, now.values(), attributes)) and tuple(now) == names


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
