"""Gives a grid in the browser the rows it shows, and nothing else: a slice of a table as an Arrow stream.

A page costs what it shows, for a thousand rows and for a billion. Only sorting reads the whole column, once: the order
is kept while the grid shows it, and every further page gathers its rows by it.

A lazy table is computed once, in its turn, and kept for as long as its view: polars promises no order for joins, groups
and the like, so pages of two computations need not fit together. No more of it is kept than ``MOST_KEPT_ROWS`` and
``MOST_KEPT_BYTES``; past them only the first rows are shown, and the ``note`` says so. A plan that only reads tables
and files row by row gives the same rows in the same order every time: its pages are small queries of their own.

What a browser cannot show as a number, a truth or a time arrives as text that is cut short: long texts, bytes, nested
values, Python objects, decimals and integers of 128 bits (which the browser's Arrow library cannot read), durations and
times of day. A time with a zone arrives as a clock in that zone shows it. How much of a text there is room for depends
on how many cells are asked for, so that 1,000 rows of 8 columns never take more than 200 KB. The whole of one cell is
had by ``cell``, and that of many, to be copied, by ``rows`` with ``is_whole``.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flowbook.data import collect_turns, conversions, foreign_tables, plans, previews, value_stats
from flowbook.data.families import family_of
from flowbook.data.kinds import dtype_label
from flowbook.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl

#: Most rows and columns of one page; a grid asks for what is on the screen and a little around it.
MOST_ROWS: Final = 2_000
MOST_COLUMNS: Final = 100
#: Of a lazy table that is computed once for its view, no more than this is kept.
MOST_KEPT_ROWS: Final = 10_000_000
MOST_KEPT_BYTES: Final = 1 << 30
# 200 KB for 1,000 rows of 8 columns, and something for the description of the columns.
_BYTES_PER_CELL: Final = 24
_LEAST_BYTES: Final = 96_000  # what is on one screen: texts of 48 characters in all of 1,000 cells
_TEXT_LIMITS: Final = (160, 48, 24, 12, 3)  # twelve bytes of text take no room of their own
_WHOLE_CELL_CHARS: Final = 20_000
MOST_WHOLE_BYTES: Final = 4_000_000
_KEPT_ORDERS: Final = 2
_OBJECTS: Final = (
    "Column {0!r} holds Python objects, which are shown by their class and cannot be sorted. Text can: "
    "pl.col({0!r}).map_elements(str, return_dtype=pl.String)"
)
_MOST_ARRAY_COLUMNS: Final = 4_000  # every column of an array becomes one of a table to be shown; an image shows more


@dataclass(frozen=True, slots=True, kw_only=True)
class SortKey:
    """A column to sort by; nulls come last, equal rows stay in their order."""

    column: str
    is_descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a grid shows.

    Attributes:
        arrow: the rows as an uncompressed Arrow IPC stream; columns are named by their position, ``"0"``, ``"1"``, …
        start: the first row, from 0.
        row_count: rows in ``arrow``.
        height: rows of the table; None for a lazy table that was not computed as a whole.
        is_text: of each column of ``arrow``, whether its values were written as text.
    """

    arrow: bytes
    start: int
    row_count: int
    height: int | None
    is_text: tuple[bool, ...]


class TableView:
    """A table as a grid sees it. It may be used from several threads.

    Args:
        value: a DataFrame, LazyFrame or Series, a table of another library, or an array of one or two dimensions; held
            as long as the view is.

    Raises:
        DataError: FB600, it has no rows and columns.
    """

    def __init__(self, value: object) -> None:
        self._lock = threading.Lock()
        self._orders: dict[tuple[SortKey, ...], pl.Series] = {}
        self._stats: dict[int, dict[str, Any]] = {}
        self._source = _source(value)
        self._count: int | None = None

    @property
    def height(self) -> int | None:
        """Rows that there are to show; None for a lazy table that was not computed as a whole."""
        return self._source.height

    @property
    def note(self) -> str:
        """What has to be known of what is shown: that there are more rows; empty when there is nothing to say."""
        return self._source.note

    @property
    def is_kept(self) -> bool:
        """Whether its rows come from a computation of its own, which another one need not agree with."""
        return isinstance(self._source, _PlanSource) and self._source.is_begun

    def is_at_hand(self, sort_by: Sequence[SortKey] = ()) -> bool:
        """Tell whether its rows are there in this order: nothing has to be computed or sorted to give some of them."""
        return self.height is not None and (not sort_by or tuple(sort_by) in self._orders)

    @property
    def columns(self) -> list[dict[str, str]]:
        """Name and type of every column: ``[{"name": "carrier", "type": "string"}]``; names are not cut.

        A column of Python objects has a ``note`` as well: what is shown of it, and what to do about that. The first
        column bears the note on the table.
        """
        import polars as pl

        columns = []
        note = self.note
        for name, dtype in self._source.schema.items():
            notes = [note, _OBJECTS.format(name) if dtype == pl.Object else ""]
            said = " ".join(filter(None, notes))
            columns.append({"name": name, "type": dtype_label(dtype), **({"note": said} if said else {})})
            note = ""
        return columns

    def rows(
        self,
        start: int,
        stop: int,
        *,
        sort_by: Sequence[SortKey] = (),
        first_column: int = 0,
        column_count: int = MOST_COLUMNS,
        is_whole: bool = False,
    ) -> Page:
        """Give the rows ``start`` to ``stop`` of some columns.

        Args:
            start: first row, >= 0.
            stop: row after the last one; at most 2,000 rows are given, and none beyond the end.
            sort_by: columns to sort by, the first one first.
            first_column: position of the first column, >= 0.
            column_count: how many, at most 100.
            is_whole: texts are not cut but at 20,000 characters, and keep their line ends.

        Raises:
            DataError: FB607, a column to sort by is not there or has no order; FB604, polars panicked; FB616, the whole
                of it takes more than 4 MB.
            polars.exceptions.PolarsError: the plan of a lazy table cannot be computed.
        """
        start = max(0, start)
        count = max(0, min(stop - start, MOST_ROWS))
        chosen = slice(first := max(0, first_column), first + max(0, min(column_count, MOST_COLUMNS)))
        sort = tuple(sort_by)
        self._check(sort)
        with _panics_refused():
            part = self._part(start, count, chosen, sort)
            arrow, is_text = _written_whole(part) if is_whole else _written(part)
        return Page(arrow=arrow, start=start, row_count=part.height, height=self.height, is_text=is_text)

    def cell(self, row: int, column: int, *, sort_by: Sequence[SortKey] = ()) -> str:
        """Write one cell out, up to 20,000 characters, line ends and all items kept; empty when it is not there.

        Raises:
            DataError, polars.exceptions.PolarsError: as for ``rows``.
        """
        sort = tuple(sort_by)
        self._check(sort)
        with _panics_refused():
            part = self._part(max(0, row), 1, slice(max(0, column), max(0, column) + 1), sort)
            return previews.whole_cell(part.to_series(), _WHOLE_CELL_CHARS) if part.width and part.height else ""

    def stats(self, column: int) -> dict[str, Any]:
        """Describe one column, by its position; computed when it is first asked for, see `value_stats.column_stats`.

        Of a lazy table that is not kept at most the first million rows are computed for it; ``rows`` counts those, and
        ``sampled`` says that there are more.

        Raises:
            DataError: FB604, polars panicked.
            polars.exceptions.PolarsError: the plan of a lazy table cannot be computed.
        """
        with self._lock:
            known = self._stats.get(column)
        if known is None:
            with _panics_refused():
                known = self._described(column)
            with self._lock:
                self._stats[column] = known
        return known

    def _described(self, column: int) -> dict[str, Any]:
        if self._source.whole() is not None or self.height is not None:
            made = value_stats.column_stats(self._source.column(column), self.height)
            return {**made, "sampled": made["sampled"] or bool(self.note)}
        # A plan is computed for it, so there is an end to how much of it.
        plan = self._source.column(column).head(value_stats.SAMPLED_VALUES + 1)
        with collect_turns.turn([plan]):
            head: Any = plans.collect([plan])[0]
        made = value_stats.column_stats(head.head(value_stats.SAMPLED_VALUES).lazy())
        return {**made, "sampled": head.height > value_stats.SAMPLED_VALUES}

    def count(self) -> int:
        """Count the rows there are to show; a lazy table is computed for it, once.

        Raises:
            DataError: FB604, polars panicked.
            polars.exceptions.PolarsError: the plan of a lazy table cannot be computed.
        """
        import polars as pl

        with _panics_refused():
            self._source.whole()
            if self._source.height is None and self._count is None:
                plan = self._source.lazy().select(pl.len())
                with collect_turns.turn([plan]):
                    counted: Any = plans.collect([plan])[0]
                self._count = int(counted.item())
        return self._source.height if self._source.height is not None else self._count or 0

    def _check(self, sort: tuple[SortKey, ...]) -> None:
        import polars as pl

        for key in sort:
            dtype = self._source.schema.get(key.column)
            if dtype is None or dtype == pl.Object:
                why = "is not there" if dtype is None else "holds Python objects, which have no order"
                raise DataError(
                    f"cannot sort by {key.column!r}: it {why}",
                    code="FB607",
                    hint="sort by another column, or make it one of text: pl.col(…).map_elements(str)",
                    column=key.column,
                )

    def _part(self, start: int, count: int, chosen: slice, sort: tuple[SortKey, ...]) -> pl.DataFrame:
        if not sort:
            return self._source.part(start, count, chosen)
        whole = self._source.frame()
        if whole is None:
            return _sorted_part(self._source.lazy(), self._source.schema, sort, start, count, chosen)
        return whole[:, chosen][self._order(whole, sort)[start : start + count]]

    def _order(self, whole: pl.DataFrame, sort: tuple[SortKey, ...]) -> pl.Series:
        """Find the rows in sorted order; the one thing here that costs O(rows)."""
        import polars as pl

        known = self._orders.get(sort)
        if known is not None:
            return known  # also while another order is being found
        with self._lock:
            known = self._orders.get(sort)
            if known is None:
                # Under other names: one like "^a$" would be read as a pattern.
                columns = {str(index): whole.get_column(key.column) for index, key in enumerate(sort)}
                order = pl.arg_sort_by(
                    list(columns),
                    descending=[key.is_descending for key in sort],
                    nulls_last=True,
                    maintain_order=True,
                )
                known = pl.DataFrame(columns).select(order).to_series()
                while len(self._orders) >= _KEPT_ORDERS:
                    del self._orders[next(iter(self._orders))]
                self._orders[sort] = known
            return known


class _FrameSource:
    """A table in memory."""

    note = ""

    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame
        self.schema = frame.schema
        self.height: int | None = frame.height

    def whole(self) -> pl.DataFrame | None:
        """Return the table as far as it is to be kept; None: it is read piece by piece."""
        return self._frame

    def frame(self) -> pl.DataFrame | None:
        """Return the table to be sorted; None: only polars can."""
        return self._frame

    def column(self, position: int) -> pl.LazyFrame:
        """Return one column to be described."""
        import polars as pl

        return self.lazy().select(pl.nth(position))

    def lazy(self) -> pl.LazyFrame:
        return self._frame.lazy()

    def part(self, start: int, count: int, chosen: slice) -> pl.DataFrame:
        return self._frame[:, chosen].slice(start, count)


class _PlanSource:
    """A lazy table: computed once and kept, or read by small queries where all of them find the same order."""

    def __init__(self, plan: pl.LazyFrame) -> None:
        plans.resolve(plan)
        self._plan = plan
        self._keeps_order = plans.keeps_order(plan)
        self._lock = threading.Lock()
        self._kept: pl.DataFrame | None = None
        self._is_too_large = False
        self.is_begun = False
        self.schema = plan.collect_schema()

    @property
    def height(self) -> int | None:
        kept = self._kept
        return None if kept is None else kept.height

    @property
    def note(self) -> str:
        kept = self._kept
        if kept is None or not self._is_too_large:
            return ""
        return f"Only the first {kept.height:,} rows are shown, in no certain order: the table is too large to be kept."

    def whole(self) -> pl.DataFrame | None:
        return self._kept if self._keeps_order else self.frame()

    def frame(self) -> pl.DataFrame | None:
        with self._lock:  # rows and statistics may be asked for at once
            if self._kept is None and not self._is_too_large:
                self.is_begun = True
                with collect_turns.turn([self._plan]):
                    found, is_cut = plans.collect_head(self._plan, MOST_KEPT_ROWS, MOST_KEPT_BYTES)
                self._is_too_large = is_cut
                if not (is_cut and self._keeps_order):
                    self._kept = found
            return self._kept

    def column(self, position: int) -> pl.LazyFrame:
        import polars as pl

        return self.lazy().select(pl.nth(position))

    def lazy(self) -> pl.LazyFrame:
        kept = self._kept
        return self._plan if kept is None else kept.lazy()

    def part(self, start: int, count: int, chosen: slice) -> pl.DataFrame:
        whole = self.whole()
        if whole is not None:
            return whole[:, chosen].slice(start, count)
        collected: Any = plans.collect([self._plan.slice(start, count).select(_nth(self.schema, chosen))])[0]
        return collected  # type: ignore[no-any-return]


class _LentSource:
    """A table of another library, or an array: read slice by slice, and as a whole only to be sorted."""

    note = ""

    def __init__(self, value: Any, height: int, read: Any) -> None:
        self._value, self._read = value, read
        self._whole: pl.DataFrame | None = None
        self.height: int | None = height
        self.schema = read(value, 0, min(1, height)).schema

    def whole(self) -> pl.DataFrame | None:
        return self._whole

    def frame(self) -> pl.DataFrame | None:
        if self._whole is None:
            self._whole = self._read(self._value, 0, self.height)
        return self._whole

    def column(self, position: int) -> pl.LazyFrame:
        import polars as pl

        if self._whole is not None:
            return self._whole.lazy().select(pl.nth(position))
        return _only_column(self._value, list(self.schema)[position], position, self._read, self.height or 0)

    def lazy(self) -> pl.LazyFrame:
        whole: Any = self.frame()
        return whole.lazy()  # type: ignore[no-any-return]

    def part(self, start: int, count: int, chosen: slice) -> pl.DataFrame:
        start = min(start, self.height or 0)
        count = min(count, (self.height or 0) - start)
        part: pl.DataFrame = self._read(self._value, start, count)
        return part[:, chosen]


@contextlib.contextmanager
def _panics_refused() -> Iterator[None]:
    """Turn a panic of polars, which is no ``Exception``, into an error that says so."""
    import polars as pl

    try:
        yield
    except pl.exceptions.PanicException as panic:
        raise plans.panic_refused(panic) from panic


def _source(value: Any) -> _FrameSource | _PlanSource | _LentSource:
    family = family_of(value)
    if family == "frame":
        return _FrameSource(value)
    if family == "series":
        return _FrameSource(value.to_frame())
    if family == "lazy_frame":
        return _PlanSource(value)
    if family == "arrow_table":
        height = foreign_tables.height(value)
        if height is not None:
            return _LentSource(value, height, foreign_tables.part)
    if family == "array" and (value.ndim == 1 or (value.ndim == 2 and value.shape[1] <= _MOST_ARRAY_COLUMNS)):
        return _LentSource(value, value.shape[0], _array_part)
    raise DataError(
        f"a value of type {type(value).__name__} has no rows and columns to show",
        hint="look at its preview instead",
        given=type(value).__name__,
    )


def _sorted_part(
    plan: pl.LazyFrame, schema: pl.Schema, sort: tuple[SortKey, ...], start: int, count: int, chosen: slice
) -> pl.DataFrame:
    """Sort what is too large to be kept, and keep of it what is asked for."""
    import polars as pl

    names = list(schema)
    in_order = plan.sort(
        [pl.nth(names.index(key.column)) for key in sort],  # by position: a name may look like a pattern
        descending=[key.is_descending for key in sort],
        nulls_last=True,
        maintain_order=True,
    )
    with collect_turns.turn([in_order]):
        collected: Any = plans.collect([in_order.slice(start, count).select(_nth(schema, chosen))])[0]
    return collected  # type: ignore[no-any-return]


def _nth(schema: pl.Schema, chosen: slice) -> pl.Expr:
    import polars as pl

    return pl.nth(range(len(schema))[chosen])


def _only_column(value: Any, name: str, position: int, read: Any, height: int) -> pl.LazyFrame:
    """Read one column alone, where the other library can choose it; else of all rows that one."""
    import polars as pl

    part: pl.DataFrame
    if read is _array_part and value.dtype.names is None and value.ndim == 2:
        part = _array_part(value[:, position], 0, height)
    elif read is _array_part and value.dtype.names:
        part = _array_part(value[value.dtype.names[position]], 0, height)
    elif foreign_tables.library(value) == "pyarrow" and list(getattr(value, "column_names", ())).count(name) == 1:
        part = foreign_tables.part(value.select([name]), 0, height).select(pl.first())
    elif hasattr(value, "iloc") and getattr(value, "ndim", 1) == 2 and list(value.columns).count(name) == 1:
        part = foreign_tables.part(value[[name]], 0, height).select(pl.first())
    else:
        part = read(value, 0, height).select(pl.nth(position))
    return part.lazy()


def _array_part(array: Any, start: int, count: int) -> pl.DataFrame:
    frame: pl.DataFrame = conversions.hand_out(array[start : start + count], "DataFrame").value
    return frame


# --- writing ----------------------------------------------------------------------------------------------------------


def _written(part: pl.DataFrame) -> tuple[bytes, tuple[bool, ...]]:
    """Write a page, with texts as long as there is room for."""
    import polars as pl

    columns = [_on_a_clock(column) for column in part.get_columns()]
    room = max(_LEAST_BYTES, _BYTES_PER_CELL * part.height * part.width)
    texts = {index: _as_text(column) for index, column in enumerate(columns) if not _is_plain(column.dtype)}
    data = b""
    for limit in _TEXT_LIMITS:
        shown = {
            str(index): _cut(texts[index], limit) if index in texts else column for index, column in enumerate(columns)
        }
        data = pl.DataFrame(shown).write_ipc_stream(None).getvalue()
        if len(data) <= room or not texts:
            break
        if limit == _TEXT_LIMITS[0]:
            texts = {index: _cut(text, limit) for index, text in texts.items()}
    return data, tuple(index in texts for index in range(len(columns)))


def _written_whole(part: pl.DataFrame) -> tuple[bytes, tuple[bool, ...]]:
    """Write a page with whole texts.

    Raises:
        DataError: FB616, they take too much room.
    """
    import polars as pl

    shown, is_text, room = {}, [], MOST_WHOLE_BYTES
    for index, column in enumerate(part.get_columns()):
        is_plain = _is_plain(column.dtype)
        is_text.append(not is_plain)
        shown[str(index)] = _on_a_clock(column) if is_plain else _whole_texts(column, room)
        room -= int(shown[str(index)].estimated_size())
        if room < 0:
            raise _too_much()
    return pl.DataFrame(shown).write_ipc_stream(None).getvalue(), tuple(is_text)


def _whole_texts(column: pl.Series, room: int) -> pl.Series:
    import polars as pl

    if column.dtype == pl.String:
        return _cut(column, _WHOLE_CELL_CHARS, keeps_lines=True)
    if not (column.dtype.is_nested() or column.dtype == pl.Binary):
        return _as_text(column)
    texts: list[str | None] = []
    for row, is_null in enumerate(column.is_null()):
        texts.append(None if is_null else previews.whole_cell(column.slice(row, 1), _WHOLE_CELL_CHARS))
        room -= len(texts[-1] or "")
        if room < 0:
            raise _too_much()
    return pl.Series(texts, dtype=pl.String)


def _too_much() -> DataError:
    return DataError(
        f"these cells hold more than {MOST_WHOLE_BYTES // 1_000_000} MB", code="FB616", hint="choose fewer of them"
    )


def _on_a_clock(column: pl.Series) -> pl.Series:
    """Show times with a zone as a clock there does; the type of the column names the zone."""
    return column.dt.replace_time_zone(None) if getattr(column.dtype, "time_zone", None) else column


def _is_plain(dtype: Any) -> bool:
    """Tell whether a browser shows the values of a type as they are: numbers of up to 64 bits, truths, dates."""
    import polars as pl

    if dtype in {pl.Int128, pl.UInt128} or dtype.is_decimal():
        return False
    return dtype.is_numeric() or dtype.base_type() in {pl.Boolean, pl.Date, pl.Datetime, pl.Null}


def _as_text(column: pl.Series) -> pl.Series:
    """Write a column as text; nulls stay nulls."""
    import polars as pl

    if column.dtype == pl.String:
        return column
    if column.dtype == pl.Duration:
        return column.dt.to_string("polars")  # Python's own durations end at microseconds
    if column.dtype == pl.Time:
        return column.dt.to_string("%T%.f")
    if column.dtype.base_type() in {pl.Categorical, pl.Enum, pl.Decimal} or column.dtype.is_integer():
        return column.cast(pl.String)
    is_there = column.is_not_null()
    texts = pl.Series(previews.cell_texts(column, _TEXT_LIMITS[0]), dtype=pl.String)
    return texts.set(~is_there, None)


def _cut(text: pl.Series, limit: int, *, keeps_lines: bool = False) -> pl.Series:
    """Cut texts to so many characters; an ellipsis says that there is more, a line end becomes a space."""
    import polars as pl

    name = text.name or "text"
    head = pl.col(name).str.head(limit)
    is_long = pl.col(name).str.head(limit + 1) != head
    shown = pl.when(is_long).then(pl.col(name).str.head(limit - 1) + "…").otherwise(head)
    shown = shown if keeps_lines else shown.str.replace_all(r"[\r\n\t]", " ")
    return text.alias(name).to_frame().select(shown).to_series()
