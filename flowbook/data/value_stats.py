"""Describes one column or one array when somebody looks at it: nulls, least and most, a small histogram, an image.

This reads the data, so it is done when a person asks for it and for that column alone, never for a card. Counts, least
and most are exact; a histogram of more than a million values is made of values evenly apart, and says so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from flowbook.data import previews
from flowbook.data.array_images import image
from flowbook.data.kinds import array_label, dtype_label

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

BINS: Final = previews.HISTOGRAM_STEPS
SAMPLED_VALUES: Final = 1_000_000
_TOP_VALUES: Final = 5
_TEXT_CHARS: Final = 48


def column_stats(column: pl.LazyFrame, rows: int | None = None) -> dict[str, Any]:
    """Describe a column.

    Args:
        column: one column, as a plan; it is computed up to three times, by aggregations alone.
        rows: its rows, when they are known.

    Returns:
        JSON values; what makes no sense for the type is None::

            {"type": str, "rows": int, "nullCount": int, "min": str, "max": str,
             "histogram": [counts of 20 equal steps from min to max], "top": [[text, count]], "sampled": bool}
    """
    import polars as pl

    ((_, dtype),) = column.collect_schema().items()
    value = pl.first()
    is_ordered = dtype.is_numeric() or dtype.is_temporal()
    asked = {"rows": pl.len()} if dtype == pl.Object else {"rows": pl.len(), "nulls": value.null_count()}
    if is_ordered:
        finite = value.filter(value.is_finite()) if dtype.is_float() else value
        asked |= {"min": finite.min(), "max": finite.max()}
    found = column.select(**asked).collect()
    count = found["rows"][0] if rows is None else rows
    step = max(1, math.ceil(count / SAMPLED_VALUES))
    sample = column.select(value.gather_every(step)) if step > 1 else column
    made: dict[str, Any] = {
        "type": dtype_label(dtype),
        "rows": count,
        "nullCount": found["nulls"][0] if "nulls" in found.columns else column.collect().to_series().null_count(),
        **dict.fromkeys(("min", "max", "histogram", "top")),
        "sampled": step > 1,
    }
    if is_ordered and found["min"].null_count() == 0:
        made["min"], made["max"] = (previews.cell_texts(found[name], _TEXT_CHARS)[0] for name in ("min", "max"))
        made["histogram"] = _histogram(sample, found)
    elif dtype.base_type() in {pl.String, pl.Categorical, pl.Enum, pl.Boolean}:
        made["top"] = _top(sample)
    return made


def _histogram(sample: pl.LazyFrame, found: pl.DataFrame) -> list[int]:
    """Count the values of each of 20 equal steps."""
    import polars as pl

    least, most = (found[name].to_physical().cast(pl.Float64)[0] for name in ("min", "max"))
    value = pl.first().to_physical().cast(pl.Float64)
    width = (most - least) / BINS
    if not math.isfinite(width):  # so far apart that their distance is no number
        least, most, value, width = least / 4, most / 4, value / 4, most / 4 / BINS - least / 4 / BINS
    place = ((value - least) / width).floor().clip(0, BINS - 1) if width else pl.lit(0.0)
    shown = pl.when(value.is_finite()).then(place).alias("place")
    counts = sample.select(shown).drop_nulls().group_by("place").len().collect()
    by_place = dict(counts.rows())
    return [by_place.get(float(place), 0) for place in range(BINS)]


def _top(sample: pl.LazyFrame) -> list[list[Any]]:
    """Count the most frequent values."""
    import polars as pl

    # Under a name of its own: the column may be called like the counts.
    counts = sample.select(pl.first().alias("value")).drop_nulls().group_by("value").len("count")
    most = counts.sort(["count", pl.col("value").cast(pl.String)], descending=[True, False]).head(_TOP_VALUES).collect()
    texts = previews.cell_texts(most["value"], _TEXT_CHARS)
    return [[text, count] for text, count in zip(texts, most["count"].to_list(), strict=True)]


def array_stats(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Describe an array.

    Returns:
        JSON values; what makes no sense for the type is None::

            {"dtype": str, "shape": [int], "sizeBytes": int, "nanCount": int, "min": str, "max": str, "mean": str,
             "histogram": [counts of 20 equal steps], "sampled": bool, "image": picture preview of two dimensions}
    """
    made: dict[str, Any] = {
        "dtype": array_label(array.dtype),
        "shape": list(array.shape),
        "sizeBytes": int(array.nbytes),
        **dict.fromkeys(("nanCount", "min", "max", "mean", "histogram", "image")),
        "sampled": False,
    }
    numbers = _numbers(array)
    if numbers is not None and numbers.size:
        made.update(_number_stats(numbers, array.dtype))
    made["image"] = image(array)
    return made


def _numbers(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
    """Show an array as real numbers without copying it: times by their counts, complex numbers by their real parts."""
    import numpy as np

    if np.ma.isMaskedArray(array):
        array = array.compressed()
    array = np.asarray(array)  # a matrix has rules of its own
    if array.dtype.kind in "mM":
        return array[~np.isnat(array)].view("i8") if array.dtype.isnative else None
    if array.dtype.kind == "c":
        return array.real
    return array if array.dtype.kind in "biuf" else None


def _number_stats(numbers: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> dict[str, Any]:
    import numpy as np

    flat = numbers.reshape(-1)
    is_time = dtype.kind in "mM"
    with np.errstate(all="ignore"):
        has_gaps = flat.dtype.kind == "f" and not np.isfinite(flat.sum(dtype="f8"))
        nan_count = int(np.isnan(flat).sum()) if has_gaps else 0
        finite = flat[np.isfinite(flat)] if has_gaps else flat
        if not finite.size:
            return {"nanCount": nan_count}
        least, most = finite.min(), finite.max()
        step = max(1, math.ceil(finite.size / SAMPLED_VALUES))
        mean = float(finite.mean(dtype="f8")) if not is_time else None

    def text(value: Any) -> str:
        return (
            str(value.view(dtype)) if is_time else f"{value.item():,}" if dtype.kind in "iu" else f"{float(value):.6g}"
        )

    return {
        "nanCount": nan_count,
        "min": text(least),
        "max": text(most),
        "mean": None if mean is None else f"{mean:.6g}",
        "histogram": previews.equal_steps(finite[::step], float(least), float(most)),
        "sampled": step > 1,
    }
