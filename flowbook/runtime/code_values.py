"""Digests what a name is bound to: plain values and containers by content, code by the label it is reached under.

Standard library values are digested here, because containers may hold functions; everything else is asked of
``content_key``, which knows arrays and tables. What has no content key counts by identity.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import functools
import itertools
import logging
import pathlib
import re
import sys
import types
import uuid
import weakref
import zoneinfo
from collections import OrderedDict
from types import FunctionType, MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from flowbook.runtime.code_objects import PLAIN, digest, facts_of
from flowbook.runtime.local_code import is_local_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_MOST_ITEMS = 20_000
_DEEPEST = 40
_LONG = 64  # bytes of text that count as one item
_SHOWN_CHARS = 40
_SHOWN_ITEMS = 8

#: Exact types that never change and whose ``repr`` says everything.
_BY_REPR = frozenset(
    {
        datetime.date,
        datetime.datetime,
        datetime.time,
        datetime.timedelta,
        datetime.timezone,
        decimal.Decimal,
        fractions.Fraction,
        range,
        slice,
        types.GenericAlias,
        types.UnionType,
        uuid.UUID,
        zoneinfo.ZoneInfo,
        pathlib.PosixPath,
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
        pathlib.WindowsPath,
    }
)
_TAGS = {kind: kind.__name__.encode() for kind in PLAIN}
#: C code, known by its name alone.
_BUILT_IN = (
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodDescriptorType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
)


class ValueDigest(NamedTuple):
    """A value, digested.

    Attributes:
        digest: 16 bytes.
        is_fixed: it cannot change while its name stays bound to it.
        is_portable: it means the same in another process.
    """

    digest: bytes
    is_fixed: bool
    is_portable: bool


class Identities:
    """Gives an object a number that is never used again, also not in another process.

    A recycled ``id()`` therefore never looks like the old object. Objects that cannot be watched by a weak reference
    (a large list) are kept alive, the last ``_MOST_KEPT`` of them.
    """

    _MOST_KEPT = 64

    def __init__(self) -> None:
        self._process = uuid.uuid4().hex
        self._numbers = itertools.count(1)
        self._watched: dict[int, tuple[weakref.ref[Any], int]] = {}
        self._kept: OrderedDict[int, tuple[object, int]] = OrderedDict()

    def token(self, value: object) -> str:
        """Return the number of this very object."""
        key = id(value)
        watched = self._watched.get(key)
        if watched is not None and watched[0]() is value:
            return f"{self._process}#{watched[1]}"
        kept = self._kept.get(key)
        if kept is None:
            number = next(self._numbers)
            try:
                self._watched[key] = (weakref.ref(value, functools.partial(self._forget, key)), number)
            except TypeError:
                self._kept[key] = kept = (value, number)
                if len(self._kept) > self._MOST_KEPT:
                    self._kept.popitem(last=False)
        else:
            number = kept[1]
            self._kept.move_to_end(key)
        return f"{self._process}#{number}"

    def knows(self, value: object) -> bool:
        """Tell whether this very object has a number already."""
        watched, kept = self._watched.get(id(value)), self._kept.get(id(value))
        return (watched is not None and watched[0]() is value) or kept is not None

    def _forget(self, key: int, reference: weakref.ref[Any]) -> None:
        watched = self._watched.get(key)
        if watched is not None and watched[0] is reference:
            del self._watched[key]


class _TooLargeError(Exception):
    """The value is digested by identity."""


class Values:
    """Digests values.

    Args:
        content_key: digests small values that are not of the standard library; None for others.
        identities: numbers what has no content.
        reach: is told of every function, class and module in a value; returns the label that stands for it.
    """

    def __init__(
        self, content_key: Callable[[object], str | None], identities: Identities, reach: Callable[[object], str]
    ) -> None:
        self._content_key = content_key
        self._identities = identities
        self._reach = reach
        self._items_left = 0
        self._is_fixed = True
        self._is_portable = True

    def digest(self, value: object) -> ValueDigest:
        """Digest one value; O(size) up to 20,000 items, O(1) beyond."""
        outer = self._items_left, self._is_fixed, self._is_portable
        self._items_left, self._is_fixed, self._is_portable = _MOST_ITEMS, True, True
        try:
            content = self._write(value, 0)
        except _TooLargeError:
            content = self._identity(value)
        finally:
            found = self._is_fixed, self._is_portable
            self._items_left, self._is_fixed, self._is_portable = outer
        return ValueDigest(digest(content), *found)

    def _write(self, value: Any, depth: int) -> bytes:
        kind = type(value)
        plain = PLAIN.get(kind)
        if plain is not None:
            content = plain(value)
            if len(content) > _LONG and depth:
                self._spend(len(content) // _LONG)
            return b"%b%d:%b" % (_TAGS[kind], len(content), content)
        if depth > _DEEPEST:
            raise _TooLargeError
        self._spend(1)
        parts = _PARTS.get(kind)
        if parts is not None:
            return _pack(kind.__name__, *self._writes(parts(value), depth))
        if kind in _CONTAINERS:
            return self._container(value, depth)
        if isinstance(value, FunctionType | type | ModuleType):
            return _pack("reached", self._reach(value))
        named = _by_name(value)
        return _pack(*named) if named else self._write_object(value, depth)

    def _spend(self, count: int) -> None:
        self._items_left -= count
        if self._items_left < 0:
            raise _TooLargeError

    def _write_object(self, value: Any, depth: int) -> bytes:
        kind = type(value)
        module = sys.modules.get(kind.__module__)
        if isinstance(value, enum.Enum):
            return _pack("enum", self._reach(kind), value.name)
        if module is None or is_local_module(module):
            return self._write_instance(value, depth)
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            return _pack("named tuple", self._reach(kind), *self._writes(value, depth))
        content = self._content_key(value)
        if content is not None:
            self._is_fixed = False
            return _pack("content", content)
        name = "" if self._identities.knows(value) else _name_in(module, value)
        if name:
            return _pack("installed", kind.__module__, name)
        wrapped = getattr(value, "__wrapped__", None)
        if isinstance(wrapped, FunctionType):
            self._reach(wrapped)
        return self._identity(value)

    def _write_instance(self, value: Any, depth: int) -> bytes:
        """Digest an object of a class of the user's own: the class, and what the object holds."""
        self._is_fixed = False
        kind = type(value)
        pieces: list[bytes | str] = [self._reach(kind)]
        for base in (list, tuple, dict, set, frozenset, str, bytes, int, float):
            if isinstance(value, base):
                pieces.append(self._write(_as_builtin(base, value), depth + 1))
                break
        state = dict(getattr(value, "__dict__", {}))
        for each in kind.__mro__:
            slots = vars(each).get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else tuple(slots):
                attribute = f"_{each.__name__.lstrip('_')}{name}" if name.startswith("__") else name
                if name not in {"__dict__", "__weakref__"} and hasattr(value, attribute):
                    state[name] = getattr(value, attribute)
        for name in sorted(state):
            pieces += [name, self._write(state[name], depth + 1)]
        return _pack("instance", *pieces)

    def _identity(self, value: object) -> bytes:
        self._is_fixed = self._is_portable = False
        return _pack("identity", self._identities.token(value))

    def _writes(self, values: Iterable[object], depth: int) -> Iterator[bytes]:
        return (self._write(value, depth + 1) for value in values)

    def _container(self, value: Any, depth: int) -> bytes:
        kind = type(value)
        self._spend(len(value))
        if kind not in {tuple, frozenset}:
            self._is_fixed = False
        # A copy first: another thread may change the container meanwhile, and copying is one step of the interpreter.
        if kind is bytearray:
            return _pack("bytearray", bytes(value))
        items: list[Any] = list(value.items()) if kind in {dict, MappingProxyType} else list(value)
        if kind in {dict, MappingProxyType}:
            items = [part for pair in items for part in pair]
        write, inside = self._write, depth + 1
        written = [write(item, inside) for item in items]
        if kind in {set, frozenset}:
            written.sort()
        return b"%b%d;%b" % (kind.__name__.encode(), len(written), b"".join(written))  # each tells its own length


def _pack(tag: str, *pieces: bytes | str) -> bytes:
    """Join pieces so that no two lists of pieces give the same bytes, and that it is seen where they end."""
    packed = [f"{tag}({len(pieces)})".encode()]
    for piece in pieces:
        content = piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else piece
        packed.append(b"%d:%b" % (len(content), content))
    return b"".join(packed)


def _by_name(value: Any) -> list[str]:
    """Name what is known by its type and name alone, or by its text; empty for everything else."""
    kind = type(value)
    if kind in _BY_REPR or kind.__module__ == "typing":
        return [kind.__name__, repr(value)]
    if isinstance(value, logging.Logger):
        return ["logger", value.name]
    if isinstance(value, _BUILT_IN) or kind.__name__ == "_tuplegetter":
        return ["built in", kind.__name__, str(getattr(value, "__qualname__", value.__doc__))]
    return []


def _as_builtin(base: type, value: Any) -> Any:
    """Copy the built-in content of an object of a subclass, without asking methods the subclass may have replaced."""
    if base in {list, tuple, set, frozenset}:
        return base(base.__iter__(value))
    if base is dict:
        return dict(dict.items(value))
    return base.__str__(value) if base is str else getattr(base, "__getnewargs__", lambda each: (each,))(value)[0]


def _name_in(module: ModuleType, value: object) -> str:
    """Find one of a module's own objects by name (``pl.col``, ``dataclasses.MISSING``); empty when it is not one."""
    return next((name for name, candidate in list(vars(module).items()) if candidate is value), "")


def _owner(function: types.BuiltinFunctionType) -> object:
    """Give the object whose built-in method this is (``items.append``), if it is one."""
    return None if isinstance(function.__self__, ModuleType) else function.__self__


_CONTAINERS = frozenset({list, tuple, dict, set, frozenset, bytearray, MappingProxyType})
#: Exact types that wrap other things: these.
_PARTS: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    classmethod: lambda value: (value.__func__,),
    functools.cached_property: lambda value: (value.func,),
    functools.partial: lambda value: (value.func, value.args, value.keywords),
    functools.partialmethod: lambda value: (value.func, value.args, value.keywords),
    property: lambda value: (value.fget, value.fset, value.fdel),
    re.Pattern: lambda value: (value.pattern, value.flags),
    staticmethod: lambda value: (value.__func__,),
    types.BuiltinFunctionType: lambda value: (value.__module__, value.__qualname__, _owner(value)),
    type(functools.lru_cache(str)): lambda value: (value.__wrapped__, value.cache_parameters()),
    types.CodeType: lambda value: (facts_of(value).digest,),
    types.MethodType: lambda value: (value.__func__, value.__self__),
}


def short_repr(value: object) -> str:
    """Show a small plain value in at most 40 characters; empty for everything else, whose ``repr`` may run anything."""
    kind = type(value)
    if kind in PLAIN or kind in _BY_REPR:
        shown = repr(value) if not isinstance(value, str | bytes) or len(value) <= _SHOWN_CHARS else ""
    elif isinstance(value, list | tuple | dict) and kind in {list, tuple, dict} and len(value) <= _SHOWN_ITEMS:
        parts = [*value, *value.values()] if isinstance(value, dict) else list(value)
        shown = repr(value) if all(short_repr(part) for part in parts) else ""
    else:
        return ""
    return shown if len(shown) <= _SHOWN_CHARS else ""
