"""Says any value in few plain characters, without running code of the value's class.

A ``repr`` written by a stranger may raise, take minutes or return a gigabyte, and the default one shows an address
that differs from run to run. So values of plain Python types are spelled out within a budget, and of everything else
the class and its simple attributes are told. The text is data: whoever draws it escapes it.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import itertools
import math
from typing import TYPE_CHECKING, Any, Final

from flowbook.data.families import family_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CELL_CHARS: Final = 24
_LINE_CHARS: Final = 80
_MOST_LINES: Final = 3
_MOST_ITEMS: Final = 6
_DEEPEST: Final = 3
_GROUP_FROM: Final = 10_000  # smaller whole numbers are often years and ids: "2,013" would read wrong
_LONGEST_INT_BITS: Final = 200
_PLAIN_ATTRIBUTES: Final = (type(None), bool, int, float, str)


def one_line(text: str, limit: int = CELL_CHARS) -> str:
    """Fit text on one line of at most ``limit`` characters: line ends become spaces, the rest is cut with an ellipsis.

    Characters that do not print (controls, lone surrogates, text direction marks) become a middle dot.
    """
    head = str.__getitem__(text, slice(limit * 2 + 1))
    line = "".join(c if c.isprintable() else " " if c.isspace() else "·" for c in head)
    return line if len(line) <= limit and len(head) == str.__len__(text) else line[: limit - 1].rstrip() + "…"


def few_lines(text: str) -> str:
    """Keep the first three lines of a text, each of at most 80 characters."""
    head = str.__getitem__(text, slice(_LINE_CHARS * _MOST_LINES * 4))
    lines = head.splitlines()
    kept = [one_line(line, _LINE_CHARS) for line in lines[:_MOST_LINES]]
    if kept and (len(lines) > _MOST_LINES or len(head) < str.__len__(text)) and not kept[-1].endswith("…"):
        kept[-1] += " …"
    return "\n".join(kept)


def number(value: float) -> str:
    """Write a float with at most six significant digits, an integer in groups of three from 10,000 on."""
    if isinstance(value, int):
        if value.bit_length() > _LONGEST_INT_BITS:
            return f"about {'-' if value < 0 else ''}2^{value.bit_length() - 1}"
        return f"{int(value):,}" if abs(value) >= _GROUP_FROM else str(int(value))
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return f"{float(value):.6g}"


def cell(value: object, limit: int = CELL_CHARS) -> str:
    """Write one table cell: strings without quotes, null as ``null``, nested values folded."""
    if value is None:
        return "null"
    if value is True or value is False:
        return str(value).lower()
    if isinstance(value, datetime.datetime):  # the column's type names the zone
        value = _datetime(value.replace(tzinfo=None), 0)
    return one_line(value if isinstance(value, str) else spell(value), limit)


def spell(value: object, depth: int = 0) -> str:
    """Write a value as Python would, within bounds; for objects of unknown classes say what they are."""
    cls = type(value)
    writer = _WRITERS.get(cls)
    if writer is not None:
        return writer(value, depth)
    if issubclass(cls, enum.Enum):
        return f"{cls.__name__}.{value.name}"  # type: ignore[attr-defined]
    family = family_of(value)
    if family == "callable":
        return _callable(value)
    if cls.__module__ == "numpy" and family in {"scalar", "text"}:
        return spell(value.item(), depth) if type(value.item()) in _WRITERS else cls.__name__  # type: ignore[attr-defined]
    if issubclass(cls, str):
        return repr(one_line(value))  # type: ignore[arg-type]
    if issubclass(cls, tuple):
        return f"{cls.__name__}{_items(tuple.__iter__(value), depth, '()')}"  # type: ignore[arg-type]
    return _instance(value, depth)


def _callable(value: object) -> str:
    name = getattr(value, "__name__", None) if family_of(value) == "callable" else None
    name = name if type(name) is str else type(value).__name__
    return f"class {name}" if isinstance(value, type) else f"{name}()"


def _instance(value: object, depth: int) -> str:
    """Tell the class of an object and its first plain attributes, read without running any of its code."""
    name = type(value).__name__
    if depth:
        return name
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return name
    if type(attributes) is not dict:
        return name
    public = (
        (key, item)
        for key, item in list(attributes.items())[:100]
        if type(key) is str and not key.startswith("_") and type(item) in _PLAIN_ATTRIBUTES
    )
    shown = ", ".join(
        f"{one_line(key)}={spell(item, depth + 1)}" for key, item in itertools.islice(public, _MOST_ITEMS)
    )
    return f"{name}({shown})" if shown else name


def _items(values: Iterable[object], depth: int, brackets: str) -> str:
    first = list(itertools.islice(values, _MOST_ITEMS + 1))
    if first and depth >= _DEEPEST:
        return f"{brackets[0]}…{brackets[1]}"
    shown = [spell(value, depth + 1) for value in first]
    if len(shown) > _MOST_ITEMS:
        shown[-1] = "…"
    return f"{brackets[0]}{', '.join(shown)}{brackets[1]}"


def _dict(value: dict[object, object], depth: int) -> str:
    if value and depth >= _DEEPEST:
        return "{…}"
    pairs = list(itertools.islice(value.items(), _MOST_ITEMS + 1))
    shown = [f"{spell(key, depth + 1)}: {spell(item, depth + 1)}" for key, item in pairs[:_MOST_ITEMS]]
    return "{" + ", ".join(shown + ["…"] * (len(pairs) > _MOST_ITEMS)) + "}"


def _set(value: set[object], depth: int) -> str:
    """Write a set in an order that does not depend on the hash seed, as long as it is small."""
    if not value:
        return "set()"
    if len(value) > 100:  # sorting more would cost more than it tells
        return f"set of {len(value):,}"
    return _items(sorted(value, key=lambda item: (type(item).__name__, spell(item, depth + 1))), depth, "{}")


def _tuple(value: tuple[object, ...], depth: int) -> str:
    return f"({spell(value[0], depth + 1)},)" if len(value) == 1 else _items(value, depth, "()")


def _timedelta(value: datetime.timedelta, _: int) -> str:
    return str(value)


def _datetime(value: datetime.datetime, _: int) -> str:
    return value.isoformat(sep=" ", timespec="milliseconds" if value.microsecond else "seconds")


_WRITERS: Final[dict[type, Callable[[Any, int], str]]] = {
    type(None): lambda *_: "None",
    bool: lambda value, _: str(value),
    int: lambda value, _: number(value),
    float: lambda value, _: number(value),
    complex: lambda value, _: f"{number(value.real)}{'' if value.imag < 0 else '+'}{number(value.imag)}j",
    str: lambda value, _: repr(one_line(value)),
    bytes: lambda value, _: f"{value[:8]!r}" + "…" * (len(value) > 8),
    bytearray: lambda value, _: f"bytearray of {len(value):,}",
    list: lambda value, depth: _items(value, depth, "[]"),
    tuple: _tuple,
    dict: _dict,
    set: _set,
    frozenset: _set,
    datetime.date: lambda value, _: value.isoformat(),
    datetime.datetime: _datetime,
    datetime.time: lambda value, _: value.isoformat(),
    datetime.timedelta: _timedelta,
    decimal.Decimal: lambda value, _: f"{value:.12g}" if value.is_finite() else str(value),
    range: lambda value, _: repr(value) if -1e15 < value.start < 1e15 > value.stop > -1e15 else "range",
}
