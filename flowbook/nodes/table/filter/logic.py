"""Keeps rows by an SQL expression. polars reads the text; it knows columns and functions of SQL, and no Python."""

from __future__ import annotations

import difflib
import re

import polars as pl

from flowbook.errors import DataError, did_you_mean

_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")
_SUBQUERY = re.compile(r"\bselect\b", re.IGNORECASE)


def filter_rows(table: pl.LazyFrame, predicate: str) -> pl.LazyFrame:
    """Keep the rows of ``table`` for which ``predicate`` is true.

    The expression is tried on a table of the same columns and no rows, so that a mistake is told here and not by
    whoever collects the table; nothing is read.

    Args:
        table: stays lazy.
        predicate: an SQL expression over its columns, of type boolean.

    Raises:
        DataError: FB612 the text is no SQL expression, FB613 there is no such column, FB614 it is not true or false.
    """
    expression = _parsed(predicate)
    schema = table.collect_schema()
    for name in expression.meta.root_names():
        if name not in schema:
            raise DataError(
                f"there is no column {name!r}",
                code="FB613",
                hint=_column_hint(name, predicate, schema.names()),
                column=name,
                predicate=predicate,
            )
    _check_type(schema, expression, predicate)
    return table.filter(expression)


def _parsed(predicate: str) -> pl.Expr:
    if not predicate.strip():
        raise DataError("the predicate is empty", code="FB612", hint="write which rows to keep: dep_delay > 15")
    if _SUBQUERY.search(_QUOTED.sub("", predicate)):
        raise DataError(
            f"{predicate!r} asks another table",
            code="FB612",
            hint="a predicate is about the rows of its own table; join the tables in a node before this one",
            predicate=predicate,
        )
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


def _check_type(schema: pl.Schema, expression: pl.Expr, predicate: str) -> None:
    try:
        (kind,) = pl.DataFrame(schema=schema).select(expression).dtypes
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
