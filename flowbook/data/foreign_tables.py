"""Reads the tables of other libraries (pandas, pyarrow, …) through the Arrow C interface.

None of these libraries is imported: a class that offers ``__arrow_c_stream__`` or ``__arrow_c_array__`` and says how
many rows it has is a table; a reader that can be read only once does not say. Their code runs when such a table is
read, so whatever it raises becomes a DataError.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flowbook.data import arrow_buffers, sizes
from flowbook.errors import DataError

if TYPE_CHECKING:
    import polars as pl

# Libraries whose tables nobody can write to; a query's result belongs to nobody else.
_CONSTANT: Final = frozenset({"pyarrow", "duckdb", "polars", "arro3", "nanoarrow"})


class Read(NamedTuple):
    """A table of another library as polars has it.

    Attributes:
        frame: it.
        copied_bytes: how much of it lies elsewhere than in the other library, >= 0.
        reason: why, empty when nothing was copied.
    """

    frame: pl.DataFrame
    copied_bytes: int
    reason: str


def read(table: Any) -> Read:
    """Read a foreign table or column as a polars table.

    The buffers of a library whose tables never change are shared where polars has the same layout. Those of the others
    are copied: polars takes its buffers to be constant.

    Raises:
        DataError: FB605, the other library did not give its data.
    """
    import polars as pl

    given: Any
    try:
        given, seen = arrow_buffers.read_noting(table, pl.from_arrow)
    except (Exception, pl.exceptions.PanicException) as cause:
        raise DataError(
            f"the {type(table).__name__} cannot be read through Arrow: {str(cause)[:200]}",
            code="FB605",
            hint="give a polars table instead: pl.DataFrame(…)",
        ) from cause
    if isinstance(given, pl.Series):  # what only streams comes as one column of records
        given = given.struct.unnest() if given.dtype == pl.Struct else given.to_frame()
    frame: pl.DataFrame = given
    giver = library(table)
    if giver not in _CONSTANT:
        # Gathering makes fresh buffers, also where polars would otherwise pass one on.
        frame = frame.select(pl.all().gather(pl.int_range(frame.height, eager=True)))
        return Read(frame, sizes.table_bytes(frame), f"from {giver}, which can still write to it")
    return Read(frame, *_moved(frame, seen, giver))


def _moved(frame: pl.DataFrame, seen: set[int], giver: str) -> tuple[int, str]:
    """Count the bytes of the buffers that lie elsewhere than what was given, and name their columns."""
    moved: dict[str, int] = {}
    for column in frame:
        found: list[arrow_buffers.Buffer] = []
        is_known = arrow_buffers.column_buffers(column, found.extend)
        elsewhere = {buffer for buffer in found if buffer.address not in seen}
        size_bytes = sum(buffer.size_bytes for buffer in elsewhere) if is_known else sizes.table_bytes(column)
        if size_bytes:
            moved[column.name] = size_bytes
    if not moved:
        return 0, ""
    named = ", ".join(map(repr, list(moved)[:3])) + (" …" if len(moved) > 3 else "")
    return sum(moved.values()), f"from {giver}: {named} lies differently in polars"


def head(table: Any, rows: int) -> pl.DataFrame:
    """Read the first rows of a foreign table; it is cut by its own library before it is read."""
    cut = table.head(rows) if hasattr(table, "head") else table.slice(0, rows)
    return read(cut).frame.head(rows)


def height(table: Any) -> int | None:
    """Count the rows of a foreign table; None when it does not say."""
    try:
        size = getattr(table, "shape", None)
        return int(size[0] if size else table.num_rows if hasattr(table, "num_rows") else len(table))
    except Exception:  # a stranger's property may raise anything
        return None


def part(table: Any, start: int, count: int) -> pl.DataFrame:
    """Read some rows of a foreign table; it is cut by its own library before it is read, where that knows how."""
    if hasattr(table, "iloc"):
        return read(table.iloc[start : start + count]).frame
    if hasattr(table, "slice"):
        return read(table.slice(start, count)).frame
    if hasattr(table, "limit"):  # a query
        return read(table.limit(count, start)).frame
    return read(table).frame.slice(start, count)


def isolate(table: Any) -> Any:
    """Share a pandas object lazily where pandas copies on write; Arrow's own tables cannot be changed.

    An older pandas object crosses by reference, as other Python objects do.
    """
    if library(table) != "pandas":
        return table
    version = str(getattr(sys.modules.get("pandas"), "__version__", "0"))
    copies_on_write = int(version.partition(".")[0]) >= 3  # the first version that always does
    return table.copy(deep=False) if copies_on_write else table


def library(table: object) -> str:
    """Name the package a table's class comes from."""
    return type(table).__module__.partition(".")[0]
