"""Makes the small JSON that a card shows of a value: a few rows, a line and a histogram, a thumbnail, lines of text.

A preview costs the same for ten rows and for ten million: of tables only the head is read, of arrays at most 4,096
elements evenly apart, and a lazy table is not collected unless its head is asked for. All text is plain text, cut
short; whoever draws it escapes it. Nothing here raises: what cannot be shown is told in words.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any, Final

from flowbook.data import array_images, foreign_tables, pictures, short_text
from flowbook.data.families import Family, family_of
from flowbook.data.kinds import PNG_SIGNATURE, array_label, dtype_label, shape

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import polars as pl

HEAD_ROWS: Final = 4
MOST_COLUMNS: Final = 8
SPARK_POINTS: Final = 60
SAMPLED_ELEMENTS: Final = 4096
HISTOGRAM_STEPS: Final = 20
_IMAGE_SIDES: Final = (128, 96, 64, 32)
_MOST_IMAGE_BYTES: Final = 12_000
_LEAST_IMAGE_SIDE: Final = 8
_NAME_CHARS: Final = 32
# More than a cell shows, so that the cut is seen; less than it would take to notice.
_CUT_CHARS: Final = 100
_CUT_ITEMS: Final = 8
_LARGEST_EXACT: Final = 2**53  # beyond it a browser's numbers are not exact


def preview(value: object, *, collect_head: bool = False) -> dict[str, Any] | None:
    """Make the preview of a value.

    Args:
        value: anything.
        collect_head: of a lazy table compute the first four rows (``head(4)`` is pushed into the plan; a sort or an
            aggregation still has to run). Otherwise only its columns are shown.

    Returns:
        One of four shapes, JSON values only::

            {"kind": "table", "columns": [{"name", "type"}], "rows": [[str]], "height": int | None, "width": int}
            {"kind": "array", "dtype", "shape": [int], "min": num | None, "max", "spark": [0..1], "sampled": bool,
             "histogram": counts of 20 equal steps from least to most, where these differ,
             "image": a picture, where it has two dimensions or is one in colour}
            {"kind": "picture", "mime": "image/png", "data": base64, "width": px, "height": px}
            {"kind": "text", "text": str}

        ``height`` is None for a lazy table that nobody counted. ``sampled`` says that min, max, spark and
        histogram speak of a sample. A value that cannot be shown gives a text.
    """
    family = family_of(value)
    try:
        if family == "lazy_frame":
            return _preview_plan(value, collect_head=collect_head)
        make = _MAKERS.get(family)
        made = make(value) if make else None
    except Exception:  # drawing a card must not fail a run
        made = None
    except BaseException as panic:  # a panic of polars is no Exception
        if type(panic).__name__ != "PanicException":
            raise
        made = None
    return made if made is not None else _in_words(value)


def _in_words(value: object) -> dict[str, Any]:
    """Say what a value is when it cannot be shown: its own short text, or its kind and size."""
    try:
        described = shape(value)
        can_be_spelled = described.kind in {"any", "scalar", "callable"}
        text = short_text.spell(value) if can_be_spelled else f"{type(value).__name__} {described.text}"
    except Exception:  # a class may break any rule
        text = type(value).__name__
    return {"kind": "text", "text": short_text.few_lines(text.strip())}


def _preview_text(value: Any) -> dict[str, Any]:
    return {"kind": "text", "text": short_text.few_lines(value)}


def _preview_spelled(value: object) -> dict[str, Any]:
    return {"kind": "text", "text": short_text.few_lines(short_text.spell(value))}


def _preview_bytes(value: bytes) -> dict[str, Any] | None:
    return pictures.from_png(value) if value.startswith(PNG_SIGNATURE) else _preview_spelled(value)


def _preview_plan(plan: Any, *, collect_head: bool) -> dict[str, Any]:
    import polars as pl

    try:
        schema = plan.collect_schema()
        if collect_head:
            shown = pl.nth(range(min(len(schema), MOST_COLUMNS)))  # by position: a name may look like a pattern
            head: pl.DataFrame = plan.select(shown).head(HEAD_ROWS).collect()
            return {**_table(head, len(schema)), "height": None}
    except (Exception, pl.exceptions.PanicException) as failure:  # the plan's own fault: the node that collects says so
        return _preview_text(f"a lazy table that does not resolve: {failure}")
    return {
        "kind": "table",
        "columns": [_column(name, dtype) for name, dtype in list(schema.items())[:MOST_COLUMNS]],
        "rows": [],
        "height": None,
        "width": len(schema),
    }


def _preview_frame(frame: pl.DataFrame) -> dict[str, Any]:
    import polars as pl

    shown = frame.get_columns()[:MOST_COLUMNS]  # not by name: one like "^a$" would select by pattern
    head = pl.DataFrame({series.name: series.head(HEAD_ROWS) for series in shown})
    return {**_table(head, frame.width), "height": frame.height}


def _preview_series(series: pl.Series) -> dict[str, Any]:
    return {**_table(series.head(HEAD_ROWS).to_frame(), 1), "height": len(series)}


def _preview_arrow_table(table: Any) -> dict[str, Any] | None:
    """Show the head of a foreign table, with the size that it says it has."""
    described = shape(table)
    head = foreign_tables.head(table, HEAD_ROWS)
    return {**_preview_frame(head), "height": described.rows, "width": described.columns or head.width}


def _table(head: pl.DataFrame, width: int) -> dict[str, Any]:
    columns = [cell_texts(series) for series in head]
    return {
        "kind": "table",
        "columns": [_column(name, dtype) for name, dtype in head.schema.items()],
        "rows": [list(row) for row in zip(*columns, strict=True)],
        "height": head.height,
        "width": width,
    }


def _column(name: str, dtype: Any) -> dict[str, str]:
    return {
        "name": short_text.one_line(name, _NAME_CHARS),
        "type": short_text.one_line(dtype_label(dtype), _NAME_CHARS),
    }


def cell_texts(series: pl.Series, limit: int = short_text.CELL_CHARS) -> list[str]:
    """Write a few values of a column, each on one line of at most ``limit`` characters.

    Times that Python cannot hold are written by polars.
    """
    import polars as pl

    unwritable = (Exception, pl.exceptions.PanicException)  # year 12000, a type younger than this file
    with contextlib.suppress(*unwritable):
        if series.dtype.is_nested() or series.dtype in {pl.String, pl.Binary}:
            series = pl.select(
                _shortened(pl.lit(series), series.dtype, max(_CUT_CHARS, limit + 1), _CUT_ITEMS)
            ).to_series()
        return [short_text.cell(value, limit) for value in series.to_list()]
    with contextlib.suppress(*unwritable):
        written = series.dt.to_string("polars") if series.dtype == pl.Duration else series.cast(pl.String)
        return [short_text.cell(value, limit) for value in written.to_list()]
    return ["?"] * len(series)


def whole_cell(series: pl.Series, limit: int) -> str:
    """Write the first value of a column in up to ``limit`` characters, line ends and all items kept."""
    import polars as pl

    dtype = series.dtype
    first = series.head(1)
    if not (dtype.is_nested() or dtype in {pl.String, pl.Binary}):
        return cell_texts(first, limit)[0]
    try:
        value = pl.select(_shortened(pl.lit(first), dtype, limit + 1, limit // 2)).to_series().to_list()[0]
    except (Exception, pl.exceptions.PanicException):  # a time deep inside that Python cannot hold
        return cell_texts(first, limit)[0]
    text = "null" if value is None else value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _shortened(values: pl.Expr, dtype: Any, most_chars: int, most_items: int) -> pl.Expr:
    """Cut long lists and texts before they become Python objects: a cell shows six items, not a million."""
    import polars as pl

    if dtype == pl.String:
        return values.str.head(most_chars)
    if dtype == pl.Binary:
        return values.bin.head(most_chars)
    if dtype == pl.Array:
        values, dtype = values.arr.to_list(), pl.List(dtype.inner)
    if dtype == pl.List:
        return values.list.head(most_items).list.eval(_shortened(pl.element(), dtype.inner, most_chars, most_items))
    return values


def _preview_array(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    import numpy as np

    sample, is_sampled = _sample(array)
    least = most = None
    spark: list[float] = []
    histogram: list[int] = []
    if sample.dtype.kind in "biufmM" and sample.size:
        numbers = sample.astype("i8") if sample.dtype.kind in "mM" else sample
        values = np.where(np.isnat(sample), np.nan, numbers) if sample.dtype.kind in "mM" else numbers.astype("f8")
        spark = _spark(values)
        is_finite = np.isfinite(values)
        there = values[is_finite]
        if there.size and (low := float(there.min())) < (high := float(there.max())):
            histogram = equal_steps(there, low, high)
        if sample.dtype.kind in "biuf":
            finite = numbers[is_finite]
            least, most = (_json_number(finite.min()), _json_number(finite.max())) if finite.size else (None, None)
    image = array_images.image(array, sides=_IMAGE_SIDES, most_bytes=_MOST_IMAGE_BYTES) if _is_flat(array) else None
    return {
        "kind": "array",
        "dtype": short_text.one_line(array_label(array.dtype), _NAME_CHARS),
        "shape": list(array.shape),
        "min": least,
        "max": most,
        "spark": spark,
        "sampled": is_sampled,
        **({"histogram": histogram} if histogram else {}),
        **({"image": image} if image else {}),
    }


def _is_flat(array: np.ndarray[Any, Any]) -> bool:
    """Tell whether more is seen of an array in a picture than in a line: a few long columns are a table."""
    return array.ndim >= 2 and min(array.shape[:2]) >= _LEAST_IMAGE_SIDE


def _sample(array: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], bool]:
    """Take at most 4,096 elements evenly apart, in C order, without copying or flattening the array."""
    import numpy as np

    is_sampled = array.size > SAMPLED_ELEMENTS
    at = np.linspace(0, array.size - 1, min(array.size, SAMPLED_ELEMENTS)).astype("i8")
    masked = np.ma.isMaskedArray(array)
    plain = np.ma.getdata(array) if masked else np.asarray(array)
    index = np.unravel_index(at, plain.shape) if plain.ndim and plain.size else ()
    sample = plain[index] if index else plain.reshape(-1)
    if masked:
        mask = np.ma.getmaskarray(array)
        sample = sample[~(mask[index] if index else mask.reshape(-1))]
    return sample, is_sampled


def _spark(values: np.ndarray[Any, Any]) -> list[float]:
    """Average the sample in at most 60 buckets, scaled to 0..1; buckets without a finite value are left out."""
    import numpy as np

    buckets = (bucket[np.isfinite(bucket)] for bucket in np.array_split(values, min(SPARK_POINTS, values.size)))
    with np.errstate(over="ignore"):
        means = [mean for bucket in buckets if bucket.size and math.isfinite(mean := float(bucket.mean()))]
    if not means:
        return []
    low, high = min(means), max(means)
    span = high - low
    if not span or not math.isfinite(span):
        return [0.5] * len(means)
    return [round((mean - low) / span, 3) for mean in means]


def equal_steps(values: np.ndarray[Any, Any], least: float, most: float) -> list[int]:
    """Count how many values lie in each of 20 equal steps.

    Args:
        values: finite numbers; they are counted as float64.
        least: where the first step begins, <= all values.
        most: where the last step ends, >= all values, and in it.
    """
    import numpy as np

    # Halved, for the distance of two numbers may be none; numpy's own histogram refuses numbers that lie close.
    halves, low, high = values.astype("f8") / 2, least / 2, most / 2
    with np.errstate(all="ignore"):
        share = (halves - low) / (high - low) if high > low else np.zeros(halves.shape)
    steps = np.clip(np.nan_to_num(share) * HISTOGRAM_STEPS, 0, HISTOGRAM_STEPS - 1).astype("i8")
    counts: list[int] = np.bincount(steps, minlength=HISTOGRAM_STEPS).tolist()
    return counts


def _json_number(value: Any) -> float | int | None:
    plain = value.item()
    if isinstance(plain, (bool, int)):
        return int(plain) if abs(plain) <= _LARGEST_EXACT else float(plain)
    number = float(plain)
    return float(f"{number:.6g}") if math.isfinite(number) else None


_MAKERS: Final[dict[Family, Callable[[Any], dict[str, Any] | None]]] = {
    "frame": _preview_frame,
    "series": _preview_series,
    "arrow_table": _preview_arrow_table,
    "array": _preview_array,
    "figure": pictures.from_figure,
    "photo": pictures.from_photo,
    "chart": pictures.from_chart,
    "png_maker": pictures.from_png_maker,
    "bytes": _preview_bytes,
    "text": _preview_text,
}
