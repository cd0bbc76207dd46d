"""Carries categories through numpy as their codes, and back, without a copy.

An Enum or Categorical column is an array of small whole numbers beside a list of names. The numbers are what an array
gets; the column's type travels along in the metadata of the array's dtype, which slices and views keep and arithmetic
drops. ``names`` makes the names of an array of codes, and an array that still has the type becomes a column of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

_KEY: Final = "polars"


def to_codes(series: pl.Series) -> tuple[np.ndarray[Any, Any], str]:
    """Make the array of a column's codes; a null is -1.

    Args:
        series: of type Enum or Categorical.

    Returns:
        The codes, and why they are a copy; an empty reason when they lie where the column's do.
    """
    import numpy as np
    import polars as pl

    codes, why = series.to_physical(), ""
    column = f"column {series.name!r}" if series.name else "column"
    if codes.null_count():
        wider: Any = {1: pl.Int16, 2: pl.Int32}.get(_width(codes), pl.Int64)
        codes, why = codes.cast(wider).fill_null(-1), f"nulls in {column}"
    elif codes.n_chunks() > 1:
        why = f"{column} lies in {codes.n_chunks()} chunks"
    array = codes.to_numpy(allow_copy=bool(why))
    # numpy's own types have no annotation for it: a dtype takes any mapping along.
    return array.view(np.dtype(array.dtype.str, metadata={_KEY: series.dtype})), why


def column_type(array: np.ndarray[Any, Any]) -> pl.DataType | None:
    """Say which Enum or Categorical the codes in an array belong to; None for other arrays."""
    metadata = array.dtype.metadata
    return metadata.get(_KEY) if metadata else None


def _width(codes: pl.Series) -> int:
    """Say how many bytes a code takes."""
    return int(codes.clear().to_numpy().dtype.itemsize)


def from_codes(name: str, codes: pl.Series, dtype: pl.DataType) -> pl.Series:
    """Make the column whose codes these are.

    Raises:
        polars.exceptions.PolarsError: a number that is no code of the type.
    """
    import polars as pl

    if codes.dtype.is_signed_integer():
        unsigned: Any = {2: pl.UInt8, 4: pl.UInt16}.get(_width(codes), pl.UInt32)
        codes = codes.set(codes < 0, None).cast(unsigned)
    return codes.cat.to(dtype).alias(name)
