"""Estimates what a value holds in memory, for caches with a byte budget; reads nothing of it."""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Any, Final

from flowbook.data import arrow_buffers, plans
from flowbook.data.families import Family, family_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import polars as pl

_ITEMS_MEASURED: Final = 200
_DEEPEST: Final = 4
_VIEW_BYTES: Final = 16
_LEAST_SHARED: Final = 65_536
_PLAIN: Final[frozenset[Family]] = frozenset({"scalar", "text", "bytes", "callable", "other"})


def size_bytes(value: object) -> int:
    """Estimate the memory a value holds, in bytes.

    Tables count their buffers, arrays their elements, a lazy table the tables in memory it is built on. Containers
    are measured by their first 200 items and scaled up; of other objects only the object itself is known. Memory that
    several values share is counted for each; ``shared_buffers`` tells what is shared. Never raises.
    """
    try:
        return _estimate(value, 0)
    except Exception:  # a stranger's class: an estimate must not fail a run
        return 0


def shared_buffers(value: object) -> dict[int, int]:
    """List the large pieces of memory that a value holds, so that what several values share can be counted once.

    Args:
        value: anything; a view or a slice holds all of the memory that it shows a part of.

    Returns:
        Address -> bytes, of pieces from 64 kB on; the same piece has the same address in every value that holds it.
        Never raises.
    """
    if family_of(value) in _PLAIN:
        return {}
    found: dict[int, int] = {}
    try:
        _gather(value, found, 0)
    except Exception:  # a stranger's class: an estimate must not fail a run
        return {}
    return found


def _gather(value: Any, found: dict[int, int], depth: int) -> None:
    family = family_of(value)
    if family == "array":
        _note(found, *_owned(value))
    elif family in {"frame", "series"}:
        for column in value.get_columns() if family == "frame" else (value,):
            if table_bytes(column) >= _LEAST_SHARED:
                pieces: list[arrow_buffers.Buffer] = []
                arrow_buffers.column_buffers(column, pieces.extend)
                for piece in pieces:
                    _note(found, *piece)
    elif family == "lazy_frame":
        for frame in plans.held_frames(value):
            _gather(frame, found, depth + 1)
    elif family == "container" and depth < _DEEPEST:
        items = value.values() if isinstance(value, dict) else value
        for item in itertools.islice(items, _ITEMS_MEASURED):
            _gather(item, found, depth + 1)


def _note(found: dict[int, int], address: int, size_bytes: int) -> None:
    if size_bytes >= _LEAST_SHARED:
        found[address] = max(found.get(address, 0), size_bytes)


def _owned(array: Any) -> arrow_buffers.Buffer:
    """Find the memory that an array, or the array it is a view of, owns."""
    import numpy as np

    owner, link = array, array
    while link is not None:
        if isinstance(link, np.ndarray):
            owner = link
        # An array says what it is based on, a memoryview what it shows, a guard's view whom it was lent by.
        name = "obj" if type(link) is memoryview else "base" if isinstance(link, np.ndarray) else "owner"
        link = getattr(link, name, None)
    return arrow_buffers.Buffer(owner.__array_interface__["data"][0], owner.nbytes)


def table_bytes(table: pl.DataFrame | pl.Series) -> int:
    """Estimate the bytes of a table's buffers.

    polars counts the characters of a text column and leaves out the 16 bytes a row by which it finds them.
    """
    import polars as pl

    columns = [table] if isinstance(table, pl.Series) else table.get_columns()
    return int(table.estimated_size()) + _VIEW_BYTES * sum(_text_count(column) for column in columns)


def _text_count(column: pl.Series) -> int:
    """Count the texts of a text column or of a column of fixed-size arrays of texts; elsewhere it takes reading."""
    import polars as pl

    dtype: Any = column.dtype
    count = len(column)
    while dtype == pl.Array:
        count, dtype = count * dtype.size, dtype.inner
    return count if dtype in {pl.String, pl.Binary} else 0


def _of_plan(plan: Any) -> int:
    return sum(table_bytes(frame) for frame in plans.held_frames(plan))


def _estimate(value: object, depth: int) -> int:
    measure = _MEASURES.get(family_of(value))
    if measure is not None:
        return measure(value)
    own = sys.getsizeof(value, 0)
    if family_of(value) != "container" or depth >= _DEEPEST:
        return own
    container: Any = value
    count = len(container) * (2 if isinstance(container, dict) else 1)
    items: Iterable[object] = (
        itertools.chain.from_iterable(container.items()) if isinstance(container, dict) else container
    )
    sizes = [_estimate(item, depth + 1) for item in itertools.islice(items, _ITEMS_MEASURED)]
    return own + (sum(sizes) * count // len(sizes) if sizes else 0)


def _of_foreign(table: Any) -> int:
    """Ask a table of another library for the size of its buffers; 0 when it does not say."""
    if hasattr(table, "memory_usage"):
        usage = table.memory_usage(deep=False)
        return int(usage.sum() if hasattr(usage, "sum") else usage)
    return int(getattr(table, "nbytes", 0))


def _of_photo(photo: Any) -> int:
    width, height = photo.size
    return int(width * height * len(photo.getbands()))


_MEASURES: Final[dict[Family, Callable[[Any], int]]] = {
    "lazy_frame": _of_plan,
    "frame": table_bytes,
    "series": table_bytes,
    "array": lambda array: int(array.nbytes),
    "arrow_table": _of_foreign,
    "photo": _of_photo,
}
