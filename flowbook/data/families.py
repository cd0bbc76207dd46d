"""Sorts classes into families, so that the rest of the room is tables from family to function.

A class is looked at once; after that one dictionary lookup by ``type(value)`` says what a value is. No library is
imported for it: a class can only descend from ``polars.DataFrame`` when polars stands in ``sys.modules``.
"""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import enum
import fractions
import functools
import pathlib
import sys
import types
import uuid
from typing import Final, Literal

Family = Literal[
    "lazy_frame",
    "frame",
    "series",
    "array",
    "arrow_table",
    "array_like",
    "figure",
    "photo",
    "chart",
    "png_maker",
    "callable",
    "text",
    "bytes",
    "scalar",
    "container",
    "other",
]

_SCALARS: Final = (
    int,
    float,
    complex,
    datetime.date,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
    fractions.Fraction,
    pathlib.PurePath,
    uuid.UUID,
    range,
    types.NoneType,
)
_CONTAINERS: Final = (list, tuple, dict, set, frozenset, collections.deque)
_CALLABLES: Final = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    functools.partial,
)
# Families by (module, class) of a library that need not be installed. The order matters where classes inherit.
_LIBRARY_CLASSES: Final[tuple[tuple[str, str, Family], ...]] = (
    ("polars", "LazyFrame", "lazy_frame"),
    ("polars", "DataFrame", "frame"),
    ("polars", "Series", "series"),
    ("numpy", "ndarray", "array"),
    ("numpy", "str_", "text"),
    ("numpy", "generic", "scalar"),
    ("matplotlib.figure", "Figure", "figure"),
    ("PIL.Image", "Image", "photo"),
    ("altair", "TopLevelMixin", "chart"),
)
# What numpy reads without a copy, or says that it cannot.
_ARRAY_PROTOCOLS: Final = ("__array_interface__", "__array_struct__", "__dlpack__", "__array__")
# Classes made again and again in a notebook would fill the table for ever: beyond this it starts anew.
_MOST_CLASSES: Final = 4096
_families: dict[type, Family] = {}


def family_of(value: object) -> Family:
    """Say which family ``value`` belongs to; O(1), never raises, runs no code of the value's class."""
    cls = type(value)
    return _families.get(cls) or _remember(cls)


def _remember(cls: type) -> Family:
    if len(_families) >= _MOST_CLASSES:
        _families.clear()
    family = _classify(cls)
    _families[cls] = family
    return family


def _classify(cls: type) -> Family:
    if issubclass(cls, enum.Enum):
        return "scalar"
    for module, name, family in _LIBRARY_CLASSES:
        known = getattr(sys.modules.get(module), name, None)
        if isinstance(known, type) and issubclass(cls, known):
            return family
    return _classify_by_protocol(cls)


def _classify_by_protocol(cls: type) -> Family:
    is_arrow = _has(cls, "__arrow_c_stream__") or _has(cls, "__arrow_c_array__")
    if is_arrow and any(_has(cls, name) for name in ("shape", "num_rows", "__len__")):
        return "arrow_table"  # a reader that can be read only once has none of these
    if issubclass(cls, (memoryview, array.array)) or any(_has(cls, name) for name in _ARRAY_PROTOCOLS):
        return "array_like"
    if _has(cls, "_repr_png_"):
        return "png_maker"
    for bases, family in _PLAIN:
        if issubclass(cls, bases):
            return family
    return "callable" if _has(cls, "__call__") else "other"


_PLAIN: Final[tuple[tuple[tuple[type, ...], Family], ...]] = (
    ((str,), "text"),
    ((bytes,), "bytes"),
    (_SCALARS, "scalar"),
    (_CONTAINERS, "container"),
    (_CALLABLES, "callable"),
)


def _has(cls: type, name: str) -> bool:
    """Look a name up in the classes themselves: ``hasattr`` would ask a metaclass, which may run anything."""
    return any(name in vars(ancestor) for ancestor in cls.__mro__)
