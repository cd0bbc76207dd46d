"""Reads a table from files on this machine, lazily."""

from __future__ import annotations

import difflib
import glob
from typing import TYPE_CHECKING, Literal

import polars as pl

from flowbook.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: Rows that the types of a CSV or NDJSON file are judged by: a first fraction often comes late.
_JUDGED_ROWS = 10_000


def _scan_csv(path: Path, separator: str = ",") -> pl.LazyFrame:
    return pl.scan_csv(path, separator=separator, try_parse_dates=True, infer_schema_length=_JUDGED_ROWS)


_SCANS: dict[str, Callable[[Path], pl.LazyFrame]] = {
    "parquet": pl.scan_parquet,
    "csv": _scan_csv,
    "tsv": lambda path: _scan_csv(path, "\t"),
    "ndjson": lambda path: pl.scan_ndjson(path, infer_schema_length=_JUDGED_ROWS),
    "ipc": pl.scan_ipc,
}
_ENDINGS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".tsv": "tsv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".ipc": "ipc",
    ".arrow": "ipc",
    ".feather": "ipc",
}


def read_table(
    path: Path, format: Literal["by ending", "parquet", "csv", "ndjson", "ipc"], columns: list[str]
) -> pl.LazyFrame:
    """Read the files at ``path`` as one table.

    The head of the file is read, so that a mistake is told here and not by whoever collects the table.

    Args:
        path: a file, a pattern, or, where ``format`` is given, a folder.
        format: how the files are written; by the ending of ``path`` unless it is said.
        columns: names of the columns to keep, in this order; none keeps all.

    Raises:
        DataError: FB610 there is no such file, FB611 its ending says nothing, FB613 there is no such column, FB615 the
            file is not what it is taken for.
    """
    _check_exists(path)
    kind = _kind_of(path) if format == "by ending" else format
    try:
        table = _SCANS[kind](path)
        known = table.collect_schema().names()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).strip().partition("\n")[0][:300]
        raise DataError(
            f"{path} cannot be read as {kind}: {reason}", code="FB615", hint="choose another format", path=str(path)
        ) from error
    for name in columns:
        if name not in known:
            raise DataError(
                f"{path} has no column {name!r}", code="FB613", hint=did_you_mean(str(name), known), column=name
            )
    return table.select(columns) if columns else table


def _check_exists(path: Path) -> None:
    if path.exists() or (glob.has_magic(str(path)) and any(glob.iglob(str(path), recursive=True))):  # noqa: PTH207 -- the pattern may begin anywhere
        return
    folder = path.parent
    if not folder.is_dir() or glob.has_magic(str(path)):
        hint = "the path is seen from the notebook's folder"
    else:
        names = [found.name for found in folder.iterdir() if found.is_file()]
        near = difflib.get_close_matches(path.name, names, n=1)
        hint = f"did you mean {str(folder / near[0])!r}?" if near else "the path is seen from the notebook's folder"
    raise DataError(f"there is no file {str(path)!r}", code="FB610", hint=hint, path=str(path))


def _kind_of(path: Path) -> str:
    name = path.name.lower()
    for ending, kind in _ENDINGS.items():
        if name.endswith(ending):
            return kind
    raise DataError(
        f"the ending of {path.name!r} does not say how it is written",
        code="FB611",
        hint=f"choose a format, or use one of {', '.join(_ENDINGS)}",
        path=str(path),
    )
