"""Keeps rows by an SQL expression. polars reads the text; it knows columns and functions of SQL, and no Python."""

from __future__ import annotations

import difflib

import polars as pl

from flowbook.errors import DataError, did_you_mean


def filter_rows(table: pl.LazyFrame, predicate: str) -> pl.LazyFrame:
    """Keep the rows of ``table`` for which ``predicate`` is true.

    The plan is resolved, so that a mistake is told here and not by whoever collects it; no row is read.

    Args:
        table: stays lazy.
        predicate: an SQL expression over its columns, of type boolean.

    Raises:
        DataError: FB612 the text is no SQL expression, FB613 there is no such column, FB614 it is not true or false.
    """
    expression = _parsed(predicate)
    columns = table.collect_schema().names()
    for name in expression.meta.root_names():
        if name not in columns:
            raise DataError(
                f"there is no column {name!r}",
                code="FB613",
                hint=_column_hint(name, predicate, columns),
                column=name,
                predicate=predicate,
            )
    _check_type(table, expression, predicate)
    return table.filter(expression)


def _parsed(predicate: str) -> pl.Expr:
    if not predicate.strip():
        raise DataError("the predicate is empty", code="FB612", hint="write which rows to keep: dep_delay > 15")
    try:
        return pl.sql_expr(predicate)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DataError(
            f"{predicate!r} is no SQL expression: {_first_line(error)}",
            code="FB612",
            hint="write one like dep_delay > 15 AND carrier = 'UA'; a column named like a word of SQL, or with a "
            'blank, stands in double quotes: "order" > 1',
            predicate=predicate,
        ) from error


def _check_type(table: pl.LazyFrame, expression: pl.Expr, predicate: str) -> None:
    try:
        (kind,) = table.select(expression).collect_schema().dtypes()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DataError(
            f"{predicate!r} does not fit the table: {_first_line(error)}",
            code="FB614",
            hint="compare numbers with numbers, and text, in single quotes, with text",
            predicate=predicate,
        ) from error
    if kind != pl.Boolean:
        raise DataError(
            f"{predicate!r} gives {kind}, not true or false",
            code="FB614",
            hint="compare it with something: dep_delay > 15",
            predicate=predicate,
        )


def _column_hint(name: str, predicate: str, columns: list[str]) -> str:
    is_quoted = f'"{name}"' in predicate
    if is_quoted and not difflib.get_close_matches(name, columns, n=1, cutoff=0.6):
        return f"double quotes name a column; text stands in single quotes: '{name}'"
    return did_you_mean(name, columns) or "the table has no columns"


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300]
