"""Gives a table or an array the form an annotation asks for, and says truthfully what that copied.

===========  ===============================  ==========================  ============================================
from         LazyFrame                        DataFrame, Series           ndarray
===========  ===============================  ==========================  ============================================
LazyFrame    –                                collected                   collected, then as below
DataFrame    a plan over the same buffers     Series: its only column     2-D; shared when the columns lie one behind
                                                                          the other and have one numeric type
Series       its frame, lazily                a frame of one column       1-D (Array columns: N-D); shared for numbers,
                                                                          times and the codes of categories, without
                                                                          nulls in one chunk
ndarray      its frame, lazily                shared for aligned numbers  –
                                              in C order (Series) or
                                              column by column (frame)
===========  ===============================  ==========================  ============================================

Complex numbers become pairs, ``pl.Array(pl.Float64, 2)``, over the same memory; ``pairs.view(complex)[:, 0]`` is them
again. Categories become their codes (see ``category_codes``), in a table of several columns their names.

"Shared" means the same addresses, and no copy is reported. An array that the notebook can still write to is copied
before a frame is built on it: polars takes its buffers to be constant.

Row order is the table's own. A LazyFrame is collected by polars' default engine, which keeps the order of row-wise
steps but promises none for ``group_by``, ``join``, ``unique`` and ``unpivot`` unless they were told to maintain it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flowbook.core.interfaces import Handed, PayloadCopy
from flowbook.data import category_codes, foreign_tables, guards, plans, sizes
from flowbook.data.collect_turns import turn
from flowbook.data.families import Family, family_of
from flowbook.data.kinds import array_label, dtype_label
from flowbook.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import polars as pl

FORMS: Final = frozenset({"LazyFrame", "DataFrame", "Series", "ndarray"})
_FORM_OF: Final[dict[Family, str]] = {
    "lazy_frame": "LazyFrame",
    "frame": "DataFrame",
    "series": "Series",
    "array": "ndarray",
}
# numpy kinds and sizes whose buffers polars uses as they are.
_SHARED_TYPES: Final = frozenset(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)) | {"f2", "f4", "f8"}
# The units of time both sides know; of others, the next finer one they share.
_SHARED_UNITS: Final = frozenset({"ns", "us", "ms"})
_NEXT_UNIT: Final = {"Y": "D", "M": "D", "W": "D", "D": "D", "h": "ms", "m": "ms", "s": "ms"}


class _Made(NamedTuple):
    """A converted value and the copies made on the way."""

    value: Any
    copies: tuple[PayloadCopy, ...] = ()


def hand_out(value: object, form: str) -> Handed:
    """Give ``value`` to one consumer, guarded, in the form it asks for.

    Args:
        value: what the edge holds.
        form: ``"LazyFrame"``, ``"DataFrame"``, ``"Series"``, ``"ndarray"``; anything else means "as it is".

    Returns:
        The value and the copies made, none when the bytes are shared.

    Raises:
        DataError: FB600 the value is no table or array; FB601 a Series is asked of several columns; FB602 a type
            has no counterpart (the column is named); FB603 an array has the wrong number of dimensions; FB604
            polars panicked; FB605 a table of another library does not give its data.
        polars.exceptions.PolarsError: the plan of a lazy table cannot be computed.
    """
    if form not in FORMS:
        return Handed(guards.isolate(value))
    family = family_of(value)
    if _FORM_OF.get(family) == form:
        return Handed(guards.isolate(value))
    if family not in _FORM_OF and family not in _READERS:
        raise _refusal(value, form)
    import polars as pl

    at, read = _READERS.get(family, (_FORM_OF.get(family, ""), _Made))
    try:
        return _along(at, form, read(value))
    except pl.exceptions.PanicException as panic:
        raise plans.panic_refused(panic) from panic


def _along(at: str, form: str, made: _Made) -> Handed:
    """Walk from form to form; every step is a row of the table above."""
    copies = made.copies
    value = made.value
    while at != form:
        at, convert = _STEPS[at, form]
        made = convert(value)
        value, copies = made.value, copies + made.copies
    return Handed(value, copies)


def _collect(plan: Any) -> _Made:
    with turn([plan]):
        return _Made(plans.collect([plan])[0])


def _frame_to_lazy(frame: Any) -> _Made:
    return _Made(frame.lazy())


def _frame_to_series(frame: Any) -> _Made:
    if frame.width != 1:
        listed = ", ".join(repr(name) for name in frame.columns[:4]) + (" …" if frame.width > 4 else "")
        raise DataError(
            f"a table of {frame.width} columns is no Series",
            code="FB601",
            hint=f"select one column ({listed}) or annotate the port as pl.DataFrame",
            columns=frame.columns[:100],
        )
    return _Made(frame.to_series())


def _series_to_frame(series: Any) -> _Made:
    return _Made(series.to_frame())


def _series_to_array(series: pl.Series) -> _Made:
    import polars as pl

    if series.dtype.base_type() not in {pl.Enum, pl.Categorical}:
        return _to_array(series, series.to_frame(), lambda array: _why_series_copies(series, array))
    codes, why = category_codes.to_codes(series)
    return _copied_array(codes, 0, why) if why else _Made(guards.read_only_view(codes))


def _frame_to_array(frame: pl.DataFrame) -> _Made:
    return _to_array(frame, frame, lambda array: _why_frame_copies(frame, array))


def _to_array(
    data: pl.DataFrame | pl.Series, columns: pl.DataFrame, why: Callable[[np.ndarray[Any, Any]], str]
) -> _Made:
    """Ask polars for an array without a copy, and when it declines for one with a copy."""
    import polars as pl

    for name, dtype in columns.schema.items():
        if dtype in {pl.Int128, pl.UInt128}:
            raise DataError(
                f"column {name!r} is {dtype_label(dtype)}, which numpy does not have",
                code="FB602",
                hint=f"cast it first: pl.col({name!r}).cast(pl.Int64)",
                column=name,
            )
    try:
        try:
            return _Made(guards.read_only_view(data.to_numpy(allow_copy=False)))
        except RuntimeError:  # "copy not allowed"
            array = data.to_numpy()
    except (TypeError, pl.exceptions.PolarsError) as cause:
        raise _no_array_type(columns, cause) from cause
    return _copied_array(array, sizes.table_bytes(data), why(array))


def _no_array_type(columns: pl.DataFrame, cause: Exception) -> DataError:
    """Say which columns stand in the way of one array; numpy and polars name types only, and at length."""
    by_type = {dtype_label(dtype): name for name, dtype in columns.schema.items()}
    named = ", ".join(f"{name!r} is {label}" for label, name in list(by_type.items())[:4])
    why = "have no array type in common" if len(by_type) > 1 else f"cannot become an array ({str(cause)[:120]})"
    return DataError(
        f"columns of {len(by_type)} types {why}: {named}",
        code="FB602",
        hint="select columns of one kind first, or cast them: pl.col(…).cast(pl.Float64)",
        columns=list(by_type.values())[:100],
    )


def _copied_array(array: np.ndarray[Any, Any], source_bytes: int, reason: str) -> _Made:
    """Report a fresh array; an array of Python objects holds about as many bytes again outside itself."""
    size_bytes = array.nbytes + (source_bytes if array.dtype.kind == "O" else 0)
    array.flags.writeable = False  # as every array a node is given, so that no node works by luck
    return _Made(array, (PayloadCopy(size_bytes, reason),) if size_bytes else ())


def _why_series_copies(series: pl.Series, array: np.ndarray[Any, Any]) -> str:
    import polars as pl

    dtype = series.dtype
    column = f"column {series.name!r}" if series.name else "column"
    if dtype == pl.Boolean:
        return f"bool {column}: bits become bytes"
    if array.dtype.kind == "O":
        return f"{column}: {dtype_label(dtype)} becomes Python objects"
    if series.null_count():
        return f"nulls in {column}"
    if dtype == pl.Date:
        return f"{column}: dates take 4 bytes in polars, 8 in numpy"
    if series.n_chunks() > 1:
        return f"{column} lies in {series.n_chunks()} chunks"
    return f"{column}: {dtype_label(dtype)} lies differently in numpy"


def _why_frame_copies(frame: pl.DataFrame, array: np.ndarray[Any, Any]) -> str:
    types = list(dict.fromkeys(dtype_label(dtype) for dtype in frame.dtypes))
    if len(types) > 1:
        named = ", ".join(types[:3]) + (" …" if len(types) > 3 else "")
        return f"columns of {len(types)} types ({named}) become {array_label(array.dtype)}"
    if frame.width == 1 or not frame.dtypes[0].is_numeric():
        return _why_series_copies(frame.to_series(0), array)
    for series in frame:
        if series.null_count() or series.n_chunks() > 1:
            return _why_series_copies(series, array)
    return "columns lie apart in memory"


def _array_to_series(array: np.ndarray[Any, Any], name: str = "") -> _Made:
    """Build a Series on the array's own memory where polars can read it; N-D becomes a column of pl.Array."""
    import polars as pl

    if array.ndim == 0:
        raise DataError("a 0-d array is no Series", code="FB603", hint="make it one value long: np.atleast_1d(x)")
    categories = category_codes.column_type(array)
    array, why = _readable(_plain(array), name)
    try:
        if array.dtype.kind in "mM":
            series = _time_series(array, name)
        elif array.dtype.kind == "c":
            series = pl.Series(name, array.view(f"f{array.dtype.itemsize // 2}").reshape(*array.shape, 2))
        else:
            series = pl.Series(name, array.tolist() if array.dtype.kind == "O" else array)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as cause:  # a mixture, mostly
        raise _type_refused(array, name) from cause
    if series.dtype == pl.Object:
        raise _type_refused(array, name)
    if categories is not None and array.ndim == 1:
        series, why = _categories(series, categories, why)
    if not why:
        return _Made(series)
    size_bytes = sizes.table_bytes(series)
    return _Made(series, (PayloadCopy(size_bytes, why),) if size_bytes else ())


def _categories(codes: pl.Series, dtype: pl.DataType, why: str) -> tuple[pl.Series, str]:
    """Give codes their names back; codes that were changed to what has no name stay numbers."""
    import polars as pl

    try:
        series = category_codes.from_codes(codes.name, codes, dtype)
    except pl.exceptions.PolarsError:
        return codes, why
    return series, why or ("-1 becomes null" if codes.dtype.is_signed_integer() else "")


def _array_to_frame(array: np.ndarray[Any, Any]) -> _Made:
    """Build a frame: a record array by its fields, 1-D as one column, 2-D column by column, named as polars does."""
    import polars as pl

    array = _plain(array)
    if array.dtype.names:
        if array.ndim != 1:
            raise _dimensions_refused(array)
        return _join_columns({name: _array_to_series(array[name], name=name) for name in array.dtype.names})
    if array.ndim == 1:
        return _join_columns({"column_0": _array_to_series(array, name="column_0")})
    if array.ndim != 2:  # a table has rows and columns
        raise _dimensions_refused(array)
    if array.shape[1] == 0:
        return _Made(pl.from_numpy(array))
    turned: tuple[PayloadCopy, ...] = ()
    if _is_worth_turning(array):
        import numpy as np

        # One pass over the whole array; the columns then share it.
        array, turned = np.asfortranarray(array), (PayloadCopy(array.nbytes, "C-order 2D: rows become columns"),)
        array.flags.writeable = False
    names = [f"column_{index}" for index in range(array.shape[1])]
    columns = {name: _array_to_series(array[:, i], name=name) for i, name in enumerate(names)}
    made = _join_columns(columns)
    return _Made(made.value, turned + made.copies)


def _is_worth_turning(array: np.ndarray[Any, Any]) -> bool:
    import numpy as np

    if np.ma.isMaskedArray(array) or array.shape[1] < 2 or not array.size:
        return False
    return array.dtype.str[1:] in _SHARED_TYPES | {"c8", "c16"} and not array.flags.f_contiguous


def _plain(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Drop a subclass's own rules of indexing (a matrix's column is a matrix); masks stay."""
    import numpy as np

    return array if np.ma.isMaskedArray(array) else np.asarray(array)


def _join_columns(columns: dict[str, _Made]) -> _Made:
    """Make a frame of the columns; their copies are added up by reason, since they were one hop."""
    import polars as pl

    by_reason: dict[str, int] = {}
    for made in columns.values():
        for copy in made.copies:
            by_reason[copy.reason] = by_reason.get(copy.reason, 0) + copy.size_bytes
    frame = pl.DataFrame({name: made.value for name, made in columns.items()})
    return _Made(frame, tuple(PayloadCopy(size_bytes, reason) for reason, size_bytes in by_reason.items()))


def _readable(array: np.ndarray[Any, Any], name: str) -> tuple[np.ndarray[Any, Any], str]:
    """Bring an array into a form polars takes.

    Returns:
        The array, and why its Series will hold a copy of it; an empty reason when it will share its memory.
    """
    import numpy as np

    dtype = array.dtype
    if np.ma.isMaskedArray(array) and np.ma.getmask(array) is not np.ma.nomask:
        if dtype.kind in "mM":
            no_time: Any = np.array("NaT", dtype)[()]
            return _readable_times(array.filled(no_time), name)
        if dtype.kind == "c":
            raise _type_refused(array, name)
        if dtype.kind not in "VT":
            return array.astype(dtype.newbyteorder("="), copy=False), "masked values become nulls"
    array = np.asarray(array)
    if dtype.kind == "V" or dtype.str[1:] in {"f12", "f16", "c24", "c32"}:
        raise _type_refused(array, name)
    if dtype.kind in "mM":
        return _readable_times(array, name)
    if dtype.kind == "O":
        return array, "Python objects become a column"
    if dtype.kind not in "iufc":
        return array, {"b": "bool: bytes become bits"}.get(
            dtype.kind, f"{array_label(dtype)} becomes a column of its own"
        )
    return _contiguous(array)


def _contiguous(array: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], str]:
    """Copy numbers that polars could not share, or that the notebook could change under it."""
    import numpy as np

    if not array.dtype.isnative:
        return array.astype(array.dtype.newbyteorder("=")), "foreign byte order"
    if not array.flags.c_contiguous:
        return np.ascontiguousarray(array), "strided: values lie apart in memory"
    if not array.flags.aligned:
        return np.require(array, requirements=["A", "C"]), "not aligned in memory"
    if guards.can_be_written(array):
        return array.copy(), "the notebook can still write to this array"
    return array, ""


def _readable_times(array: np.ndarray[Any, Any], name: str) -> tuple[np.ndarray[Any, Any], str]:
    import numpy as np

    unit, count = np.datetime_data(array.dtype)
    if unit == "D" and count == 1 and array.dtype.kind == "M":
        return array, "dates take 8 bytes in numpy, 4 in polars"
    if unit not in _SHARED_UNITS or count != 1:
        shared = unit if unit in _SHARED_UNITS else _NEXT_UNIT.get(unit, "")
        shared = "ms" if shared == "D" and array.dtype.kind == "m" else shared
        if not shared or (array.dtype.kind == "m" and unit in "YM"):
            raise _type_refused(array, name)
        return array.astype(f"{array.dtype.kind}8[{shared}]"), f"{array_label(array.dtype)} becomes {shared}"
    if np.isnat(array).any():
        return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")), "NaT becomes null"
    return _contiguous(array)


def _time_series(array: np.ndarray[Any, Any], name: str) -> pl.Series:
    """Build a Series of times; where no NaT is in the way, over the array's own 64-bit counts."""
    import numpy as np
    import polars as pl

    flat = array.reshape(-1)
    unit: Any = np.datetime_data(array.dtype)[0]
    if unit == "D" or np.isnat(flat).any():
        series = pl.Series(name, flat)
    else:
        dtype = pl.Datetime(unit) if array.dtype.kind == "M" else pl.Duration(unit)
        series = pl.Series(name, flat.view("i8")).cast(dtype)
    return series if array.ndim == 1 else series.reshape(array.shape)


def _from_foreign(table: Any) -> _Made:
    """Read a table of another library."""
    frame, copied_bytes, reason = foreign_tables.read(table)
    return _Made(frame, (PayloadCopy(copied_bytes, reason),) if copied_bytes else ())


def _from_array_like(value: Any) -> _Made:
    """View what speaks one of numpy's protocols; numpy is asked not to copy first, and to copy when that is refused."""
    import numpy as np

    try:
        try:
            return _Made(guards.read_only_view(np.asarray(value, copy=False)))
        except ValueError:  # numpy 2: "unable to avoid copy"
            array = np.asarray(value)
    except Exception as cause:  # a stranger's code
        raise DataError(
            f"the {type(value).__name__} cannot be read as an array: {str(cause)[:200]}",
            code="FB605",
            hint="give a numpy array instead: np.asarray(…)",
        ) from cause
    return _copied_array(array, 0, f"from {foreign_tables.library(value)}, which keeps its values elsewhere")


def _type_refused(array: np.ndarray[Any, Any], name: str) -> DataError:
    label = array_label(array.dtype)
    what = "Python objects of types that do not go together" if array.dtype.kind == "O" else label
    return DataError(
        f"{f'column {name!r}' if name else 'the array'} holds {what}, which polars does not have",
        code="FB602",
        hint=_REMEDIES.get(array.dtype.kind, 'convert it first: x.astype("float64")'),
        column=name,
        dtype=label,
    )


def _dimensions_refused(array: np.ndarray[Any, Any]) -> DataError:
    return DataError(
        f"an array of {array.ndim} dimensions is no table",
        code="FB603",
        hint="reshape it to (rows, columns)" + (" or annotate the port as pl.Series" if array.ndim > 1 else ""),
        dimensions=array.ndim,
    )


def _refusal(value: object, form: str) -> DataError:
    made_of = {"LazyFrame": "pl.LazyFrame", "DataFrame": "pl.DataFrame", "Series": "pl.Series", "ndarray": "np.array"}
    if value is None:
        hint = "the node that makes it returned nothing: end it with a return"
    elif isinstance(value, (list, tuple, dict)):
        hint = f"make it one: {made_of[form]}(value)"
    else:
        hint = f"annotate the port as {type(value).__name__}, or connect it to what makes a table or an array"
    needed = f"an {form}" if form == "ndarray" else f"a {form}"
    given = type(value).__name__
    return DataError(f"a value of type {given} cannot become {needed}", hint=hint, given=given, form=form)


_REMEDIES: Final = {
    "O": "give them one type first: x.astype(str) or x.astype(float)",
    "M": 'convert it first: x.astype("datetime64[us]")',
    "m": 'convert it first: x.astype("timedelta64[us]")',
    "c": "give x.real and x.imag as two arrays, or annotate the port as np.ndarray",
    "V": "annotate the port as pl.DataFrame when it is a record array, as np.ndarray otherwise",
}
# What is no form itself: the form that it is read as, and how.
_READERS: Final[dict[Family, tuple[str, Callable[[Any], _Made]]]] = {
    "arrow_table": ("DataFrame", _from_foreign),
    "array_like": ("ndarray", _from_array_like),
}
_STEPS: Final[dict[tuple[str, str], tuple[str, Callable[[Any], _Made]]]] = {
    ("LazyFrame", "DataFrame"): ("DataFrame", _collect),
    ("LazyFrame", "Series"): ("DataFrame", _collect),
    ("LazyFrame", "ndarray"): ("DataFrame", _collect),
    ("DataFrame", "LazyFrame"): ("LazyFrame", _frame_to_lazy),
    ("DataFrame", "Series"): ("Series", _frame_to_series),
    ("DataFrame", "ndarray"): ("ndarray", _frame_to_array),
    ("Series", "DataFrame"): ("DataFrame", _series_to_frame),
    ("Series", "LazyFrame"): ("DataFrame", _series_to_frame),
    ("Series", "ndarray"): ("ndarray", _series_to_array),
    ("ndarray", "LazyFrame"): ("DataFrame", _array_to_frame),
    ("ndarray", "DataFrame"): ("DataFrame", _array_to_frame),
    ("ndarray", "Series"): ("Series", _array_to_series),
}
