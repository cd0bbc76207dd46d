"""Makes the private copy that a node gets of an input it means to change, and counts what that copied.

Tables are copied by nobody: a clone shares its buffers, and polars copies a buffer before it writes to it. Arrays,
containers and other Python objects have no such care taken of them and are copied whole.
"""

from __future__ import annotations

import copy
import sys
from typing import TYPE_CHECKING, Any, Final

from flowbook.core.interfaces import Handed, PayloadCopy
from flowbook.data import foreign_tables, guards, sizes
from flowbook.data.families import Family, family_of
from flowbook.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

REASON: Final = "mutable=True"
# What cannot be changed in place, and what is not worth a copy: a chart, a function.
_CONSTANT: Final[frozenset[Family]] = frozenset(
    {"lazy_frame", "callable", "text", "bytes", "scalar", "figure", "chart", "photo", "png_maker"}
)


def private_copy(value: object) -> Handed:
    """Give ``value`` to a consumer that may change it.

    Returns:
        A value that shares no writable memory with any other, and the copy that took; none for tables, which polars
        copies when they are written to, and for what cannot be changed.

    Raises:
        DataError: FB606, an object of a class that does not let itself be copied.
    """
    family = family_of(value)
    if family in _CONSTANT:
        return Handed(value)
    if family in {"frame", "series"}:
        return Handed(guards.isolate(value))
    make = _MAKERS.get(family, copy.deepcopy)
    try:
        made = make(value)
    except Exception as cause:  # a stranger's code
        raise DataError(
            f"a value of type {type(value).__name__} cannot be copied: {str(cause)[:200]}",
            code="FB606",
            hint="leave mutable=True away and make the copy in the node, as its class wants it made",
            given=type(value).__name__,
        ) from cause
    size_bytes = 0 if made is value else _copied_bytes(value)
    return Handed(made, (PayloadCopy(size_bytes, REASON),) if size_bytes else ())


def _array(array: Any) -> Any:
    return copy.deepcopy(array) if array.dtype.hasobject else array.copy(order="K")


def _foreign(table: Any) -> Any:
    return table.copy(deep=True) if foreign_tables.library(table) == "pandas" else table


def _copied_bytes(value: Any) -> int:
    """Add up what a deep copy made anew; the tables in a container share their buffers with their clones."""
    family = family_of(value)
    if family in _CONSTANT or family in {"frame", "series"}:
        return 0
    if family in {"array", "arrow_table"}:
        return sizes.size_bytes(value)
    own = sys.getsizeof(value, 0)
    if family != "container":
        return own
    items = [part for pair in value.items() for part in pair] if isinstance(value, dict) else value
    return own + sum(map(_copied_bytes, items))


_MAKERS: Final[dict[Family, Callable[[Any], Any]]] = {"array": _array, "arrow_table": _foreign}
