"""Reads the tables of other libraries (pandas, pyarrow, …) through the Arrow C interface.

None of these libraries is imported: a class that offers ``__arrow_c_stream__`` and says how many rows it has is a
table. Their code runs when such a table is read, so whatever it raises becomes a DataError.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from flowbook.errors import DataError

if TYPE_CHECKING:
    import polars as pl


def read(table: Any) -> pl.DataFrame:
    """Read a foreign table or column as a polars table.

    Raises:
        DataError: FB605, the other library did not give its data.
    """
    import polars as pl

    try:
        frame: Any = pl.from_arrow(table)
    except (Exception, pl.exceptions.PanicException) as cause:
        raise DataError(
            f"the {type(table).__name__} cannot be read through Arrow: {str(cause)[:200]}",
            code="FB605",
            hint="give a polars table instead: pl.DataFrame(…)",
        ) from cause
    if isinstance(frame, pl.Series):  # what only streams comes as one column of records
        return frame.struct.unnest() if frame.dtype == pl.Struct else frame.to_frame()
    return frame  # type: ignore[no-any-return]


def head(table: Any, rows: int) -> pl.DataFrame:
    """Read the first rows of a foreign table; it is cut by its own library before it is read."""
    cut = table.head(rows) if hasattr(table, "head") else table.slice(0, rows)
    return read(cut).head(rows)


def isolate(table: Any) -> Any:
    """Share a pandas object lazily where pandas copies on write; Arrow's own tables cannot be changed.

    An older pandas object crosses by reference, as other Python objects do.
    """
    if library(table) != "pandas":
        return table
    version = str(getattr(sys.modules.get("pandas"), "__version__", "0"))
    copies_on_write = int(version.partition(".")[0]) >= 3  # the first version that always does
    return table.copy(deep=False) if copies_on_write else table


def size_bytes(table: Any) -> int:
    """Ask a foreign table for the size of its buffers; 0 when it does not say."""
    if hasattr(table, "memory_usage"):
        usage = table.memory_usage(deep=False)
        return int(usage.sum() if hasattr(usage, "sum") else usage)
    return int(getattr(table, "nbytes", 0))


def library(table: object) -> str:
    """Name the package a table's class comes from."""
    return type(table).__module__.partition(".")[0]
