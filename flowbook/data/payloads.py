"""What the engine sees of this room: one object that knows tables, arrays and pictures."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import json
from typing import TYPE_CHECKING, Any, Final

from flowbook.data import (
    content_keys,
    conversions,
    guards,
    kinds,
    plans,
    previews,
    private_copies,
    sizes,
    value_stats,
    viewports,
)
from flowbook.data.collect_turns import turn
from flowbook.data.families import family_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import polars as pl

    from flowbook.core.interfaces import Handed, ValueShape
    from flowbook.data.viewports import TableView

_COLUMN_TYPES: Final = frozenset(
    {bool, int, float, str, bytes, datetime.date, datetime.datetime, datetime.time, datetime.timedelta, decimal.Decimal}
)


class TablePayloads:
    """Fills ``core.interfaces.Payloads`` with polars, numpy and whatever draws pictures.

    It has no state and may be shared by all flows and threads. polars and numpy are loaded by the first value that
    needs them, never by a plain one.
    """

    def shape(self, value: object) -> ValueShape:
        """Describe ``value`` in O(1); see `kinds.shape`."""
        return kinds.shape(value)

    def columns(self, value: object) -> tuple[tuple[str, str], ...] | None:
        """Name the columns of a table with their types; see `kinds.columns`."""
        return kinds.columns(value)

    def publish(self, value: object) -> object:
        """Guard a value that a node just made; see `guards.publish`."""
        return guards.publish(value)

    def hand_out(self, value: object, form: str, *, is_own: bool) -> Handed:  # noqa: ARG002
        """Give ``value`` to one consumer in the ``form`` it asks for; see `conversions.hand_out`.

        Who made the value does not matter here: what can still be written to is read off the arrays themselves.
        """
        return conversions.hand_out(value, form)

    def private_copy(self, value: object) -> Handed:
        """Give ``value`` to a consumer that may change it; see `private_copies.private_copy`."""
        return private_copies.private_copy(value)

    def empty(self, shape: Any, dtype: Any) -> np.ndarray[Any, Any]:
        """Make an array of any content, as numpy does."""
        import numpy as np

        return np.empty(shape, dtype)

    def collect(self, values: Sequence[object]) -> list[object]:
        """Collect the lazy tables among ``values`` in one pass, in their turn; see `plans.collect`."""
        with turn([value for value in values if family_of(value) == "lazy_frame"]):
            return plans.collect(values)

    def tap(self, value: object, count: Callable[[int], None]) -> object:
        """Let a lazy table say how many rows flow out of it; see `plans.tap`."""
        return plans.tap(value, count) if family_of(value) == "lazy_frame" else value

    def drain(self, value: object) -> None:
        """Compute a lazy table in its turn, and keep nothing of it; see `plans.drain`."""
        if family_of(value) == "lazy_frame":
            with turn([value]):
                plans.drain(value)

    def preview(self, value: object, *, collect_head: bool = False) -> dict[str, Any] | None:
        """Make the small JSON preview of the canvas bundle; see `previews.preview`."""
        return previews.preview(value, collect_head=collect_head)

    def view(self, value: object) -> TableView:
        """Show a table, Series or array to a grid, page by page; see `viewports.TableView`.

        Raises:
            DataError: FB600, it has no rows and columns.
        """
        return viewports.TableView(value)

    def array_stats(self, value: object) -> dict[str, Any] | None:
        """Describe an array, with a histogram and an image; None for what is none. See `value_stats.array_stats`."""
        array: Any = value
        return value_stats.array_stats(array) if family_of(value) == "array" else None

    def size_bytes(self, value: object) -> int:
        """Estimate the memory a value holds, in bytes; see `sizes.size_bytes`."""
        return sizes.size_bytes(value)

    def shared_buffers(self, value: object) -> dict[int, int]:
        """List the large pieces of memory a value holds, by address; see `sizes.shared_buffers`."""
        return sizes.shared_buffers(value)

    def content_key(self, value: object) -> str | None:
        """Digest the content of a small value; see `content_keys.content_key`."""
        return content_keys.content_key(value)

    def resolve(self, value: object) -> None:
        """Raise what is known to be wrong with a lazy table; see `plans.resolve`."""
        if family_of(value) == "lazy_frame":
            plans.resolve(value)

    def is_random(self, value: object) -> bool:
        """Whether computing a lazy table twice gives two tables; see `plans.is_random`."""
        return family_of(value) == "lazy_frame" and plans.is_random(value)

    def schema(self, value: object) -> pl.Schema | None:
        """Give the columns of a table or Series with their types, without computing it; None for what is none."""
        family = family_of(value)
        if family == "lazy_frame":
            plans.resolve(value)
        table: Any = value.to_frame() if family == "series" else value  # type: ignore[attr-defined]
        return table.collect_schema() if family in ("lazy_frame", "frame", "series") else None

    def preview_of_head(self, value: object) -> dict[str, Any] | None:
        """Preview the first rows of a lazy table when no step of it needs all rows to give one; else None."""
        is_cheap = family_of(value) == "lazy_frame" and plans.begins_early(value)
        return previews.preview(value, collect_head=True) if is_cheap else None

    def scanned_files(self, value: object) -> tuple[Path, ...]:
        """List the local files a lazy table reads; empty for everything else; see `plans.scanned_files`."""
        return plans.scanned_files(value) if family_of(value) == "lazy_frame" else ()

    def table(self, rows: Iterable[Mapping[str, Any]], types: Mapping[str, type] | None = None) -> pl.DataFrame:
        """Make a table of plain rows.

        Columns come in the order in which they first appear, and a column's type depends on the types of its values
        alone: all int → Int64, int and float → Float64, all bool → Boolean, all str → String, dates and times
        likewise; a column without values is Null; nested, mixed and other values become text, JSON where they can.

        Args:
            rows: mappings from column name to value; a missing name is null.
            types: columns that are there, and of this type, whatever the rows hold.

        Returns:
            A DataFrame of as many rows.
        """
        import polars as pl

        kept, known = list(rows), types or {}
        names = dict.fromkeys([*known, *(name for row in kept for name in row)])
        columns = {name: [row.get(name) for row in kept] for name in names}
        return pl.DataFrame(
            {
                name: pl.Series(values, dtype=pl.DataType.from_python(known[name]))
                if name in known
                else _column(values)
                for name, values in columns.items()
            }
        )


def _column(values: list[Any]) -> pl.Series:
    """Make a column of values of one type; of mixed, nested and unknown ones make text."""
    import polars as pl

    types = {type(value) for value in values if value is not None}
    if types == {int, float}:
        values, types = [None if value is None else float(value) for value in values], {float}
    if len(types) <= 1 and types <= _COLUMN_TYPES:
        with contextlib.suppress(Exception):  # too large an integer, times with and without a zone
            return pl.Series(values)
    return pl.Series([None if value is None else _as_text(value) for value in values], dtype=pl.String)


def _as_text(value: object) -> str:
    is_json = isinstance(value, (bool, int, float, list, tuple, dict))
    return json.dumps(value, default=str) if is_json else str(value)
