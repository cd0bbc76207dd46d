"""Says what a value is and how large, without reading it: what a port accepts and what an edge shows."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from flowbook.core.interfaces import ValueShape
from flowbook.data.families import Family, family_of

if TYPE_CHECKING:
    from collections.abc import Callable

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_PICTURE: Final = ValueShape(kind="picture")
_ANY: Final = ValueShape(kind="any")
_FIXED: Final[dict[Family, ValueShape]] = {
    "figure": _PICTURE,
    "chart": _PICTURE,
    "png_maker": _PICTURE,
    "callable": ValueShape(kind="callable"),
    "text": ValueShape(kind="text"),
    "scalar": ValueShape(kind="scalar"),
    "container": _ANY,
    "other": _ANY,
}


def shape(value: object) -> ValueShape:
    """Describe ``value`` in O(1).

    A lazy table is asked for its columns, which resolves its plan (cached by polars; reads at most a file's header)
    and never collects; a plan that does not resolve is described as ``"?"``. Never raises.
    """
    family = family_of(value)
    fixed = _FIXED.get(family)
    return fixed if fixed is not None else _MEASURED[family](value)


def plan_width(plan: Any) -> int | None:
    """Count the columns a LazyFrame will have; None when its plan does not resolve."""
    import polars as pl

    try:
        return len(plan.collect_schema())
    except (Exception, pl.exceptions.PanicException):  # any step of the plan may be wrong, and a panic is no Exception
        return None


def columns(value: object) -> tuple[tuple[str, str], ...] | None:
    """Name the columns of a table with their types, in their order; None for what is no table, or does not resolve."""
    if family_of(value) not in ("frame", "lazy_frame"):
        return None
    import polars as pl

    table: Any = value
    try:
        return tuple((name, dtype_label(dtype)) for name, dtype in table.collect_schema().items())
    except (Exception, pl.exceptions.PanicException):  # as in ``plan_width``
        return None


def _describe_lazy(plan: Any) -> ValueShape:
    width = plan_width(plan)
    return ValueShape(kind="table", columns=width, text="?" if width is None else f"? × {width:,}", is_lazy=True)


def _describe_frame(frame: Any) -> ValueShape:
    rows, columns = frame.shape
    return ValueShape(kind="table", rows=rows, columns=columns, text=f"{rows:,} × {columns:,}")


def _describe_series(series: Any) -> ValueShape:
    rows = len(series)
    return ValueShape(kind="series", rows=rows, text=f"{rows:,} {dtype_label(series.dtype)}")


def _describe_array(array: Any) -> ValueShape:
    sizes = array.shape
    return ValueShape(
        kind="array",
        rows=sizes[0] if sizes else None,
        columns=sizes[1] if len(sizes) == 2 else None,  # a matrix has rows and columns
        text=f"{sizes} {array_label(array.dtype)}",
    )


def _describe_arrow_table(table: Any) -> ValueShape:
    """Describe a table of pandas, pyarrow, …; anything odd about it makes it a table of unknown size."""
    try:
        has_rows = hasattr(table, "num_rows")
        sizes = getattr(table, "shape", None) or ((table.num_rows, table.num_columns) if has_rows else (len(table),))
        sizes = tuple(int(size) for size in sizes)
    except Exception:  # a stranger's property may raise anything
        return ValueShape(kind="table", text="?")
    if len(sizes) == 1:
        return ValueShape(kind="series", rows=sizes[0], text=f"{sizes[0]:,}")
    rows, columns = sizes[:2]
    return ValueShape(kind="table", rows=rows, columns=columns, text=f"{rows:,} × {columns:,}")


def _describe_array_like(value: Any) -> ValueShape:
    """Describe what numpy can read; its own words for its size and type are taken when they are plain."""
    try:
        shape = tuple(int(size) for size in getattr(value, "shape", None) or (len(value),))
        dtype = str(getattr(value, "dtype", None) or getattr(value, "format", "") or getattr(value, "typecode", ""))
    except Exception:  # a stranger's property may raise anything
        return ValueShape(kind="array")
    columns = shape[1] if len(shape) == 2 else None
    return ValueShape(kind="array", rows=shape[0], columns=columns, text=f"{shape} {dtype[:24]}".rstrip())


def _describe_photo(photo: Any) -> ValueShape:
    width, height = photo.size
    return ValueShape(kind="picture", text=f"{width:,} × {height:,} px")


def _describe_bytes(data: Any) -> ValueShape:
    return _PICTURE if data.startswith(PNG_SIGNATURE) else _ANY


_MEASURED: Final[dict[Family, Callable[[Any], ValueShape]]] = {
    "lazy_frame": _describe_lazy,
    "frame": _describe_frame,
    "series": _describe_series,
    "array": _describe_array,
    "arrow_table": _describe_arrow_table,
    "array_like": _describe_array_like,
    "photo": _describe_photo,
    "bytes": _describe_bytes,
}


def dtype_label(dtype: Any) -> str:
    """Name a polars type shortly: ``int64``, ``datetime Europe/Berlin``, ``list of string``, ``array 3×4 of int64``."""
    name: str = dtype.base_type().__name__.lower()
    if name == "datetime" and dtype.time_zone:
        return f"datetime {dtype.time_zone}"
    if name == "list":
        return f"list of {dtype_label(dtype.inner)}"
    if name == "array":
        sizes, inner = "×".join(map(str, dtype.shape)), dtype
        while isinstance(inner, type(dtype)):
            inner = inner.inner
        return f"array {sizes} of {dtype_label(inner)}"
    if name == "struct":
        return f"struct of {len(dtype.fields)}"
    return name


@functools.lru_cache(maxsize=256)
def array_label(dtype: Any) -> str:
    """Name a numpy type shortly: ``float64``, ``datetime64[us]``, ``record of 3``."""
    if dtype.names:
        return f"record of {len(dtype.names)}"
    return {"U": "str", "T": "str", "S": "bytes", "V": "bytes"}.get(dtype.kind) or str(dtype.name)
