"""Pages as the browser's code reads them: every value of every type arrives as what it is."""

from __future__ import annotations

import base64
import datetime as dt
import json
import shutil
import subprocess
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from flowbook.data.viewports import TableView
from tests.data.samples import COLUMNS
from tests.house.source_tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

JS = ROOT / "js"
ESBUILD = JS / "node_modules" / ".bin" / "esbuild"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(
    NODE is None or not ESBUILD.exists(), reason="the browser side's tools are not installed: make extension"
)

_READER = """
import { readCells } from "./src/grid/cells";
const pages = JSON.parse(require("node:fs").readFileSync(0, "utf-8"));
const read = ([arrow, rows]) => {
  const cells = readCells(new Uint8Array(Buffer.from(arrow, "base64")), rows);
  return Array.from({length: cells.columnCount}, (_, column) =>
    Array.from({length: rows}, (_, row) => cells.text(row, column)));
};
console.log(JSON.stringify(pages.map(read)));
"""

_BERLIN = "Europe/Berlin"
#: A column of each type, and what a reader has to see of it.
WANTED: dict[str, tuple[pl.Series, list[str | None]]] = {
    "int8": (pl.Series([-128, None, 127], dtype=pl.Int8), ["-128", None, "127"]),
    "int16": (pl.Series([-(2**15), None, 9_999], dtype=pl.Int16), ["-32,768", None, "9999"]),
    "int32": (pl.Series([-(2**31), None], dtype=pl.Int32), ["-2,147,483,648", None]),
    "int64": (
        pl.Series([2**63 - 1, None, -(2**63)]),
        ["9,223,372,036,854,775,807", None, "-9,223,372,036,854,775,808"],
    ),
    "int128": (pl.Series([2**127 - 1, None], dtype=pl.Int128), ["170141183460469231731687303715884105727", None]),
    "uint8": (pl.Series([0, None, 255], dtype=pl.UInt8), ["0", None, "255"]),
    "uint16": (pl.Series([2**16 - 1, None], dtype=pl.UInt16), ["65,535", None]),
    "uint32": (pl.Series([2**32 - 1, None], dtype=pl.UInt32), ["4,294,967,295", None]),
    "uint64": (pl.Series([2**64 - 1, None], dtype=pl.UInt64), ["18,446,744,073,709,551,615", None]),
    "uint128": (pl.Series([2**128 - 1, None], dtype=pl.UInt128), ["340282366920938463463374607431768211455", None]),
    "float16": (pl.Series([1.5, None, 0.1, 65504], dtype=pl.Float16), ["1.5", None, "0.1", "65504"]),
    "float32": (pl.Series([0.1, None, 16777216, -2.5e-30], dtype=pl.Float32), ["0.1", None, "16777216", "-2.5e-30"]),
    "float64": (
        pl.Series([0.1 + 0.2, None, float("nan"), float("-inf"), -0.0, 2.5e-5]),
        ["0.30000000000000004", None, "NaN", "-inf", "-0", "2.5e-5"],
    ),
    "boolean": (pl.Series([True, None, False] * 3), ["true", None, "false"] * 3),
    "string": (
        pl.Series(["short", None, "longer than twelve bytes", "é😀"]),
        ["short", None, "longer than twelve bytes", "é😀"],
    ),
    "binary": (pl.Series([b"ab\x00", None]), ["b'ab\\x00'", None]),
    "null": (pl.Series([None, None]), [None, None]),
    "date": (
        pl.Series([0, None, -1, 10_000_000, -800_000], dtype=pl.Int32).cast(pl.Date),
        ["1970-01-01", None, "1969-12-31", "+29349-01-26", "-0221-09-04"],
    ),
    "time": (pl.Series([dt.time(5, 15, 0, 1), None]), ["05:15:00.000001", None]),
    "datetime ms": (
        pl.Series([1, None, -1], dtype=pl.Int64).cast(pl.Datetime("ms")),
        ["1970-01-01 00:00:00.001", None, "1969-12-31 23:59:59.999"],
    ),
    "datetime us": (
        pl.Series([2**53 + 1, None, -(2**62)]).cast(pl.Datetime("us")),
        ["2255-06-05 23:47:34.740993", None, "-144169-06-28 09:59:32.612096"],
    ),
    "datetime ns": (
        pl.Series([1_700_000_000_123_456_789, None, 0]).cast(pl.Datetime("ns")),
        ["2023-11-14 22:13:20.123456789", None, "1970-01-01 00:00:00"],
    ),
    "datetime with a zone": (
        pl.Series([1_700_000_000_000_000, None, 1_720_000_000_000_000]).cast(pl.Datetime("us", _BERLIN)),
        ["2023-11-14 23:13:20", None, "2024-07-03 11:46:40"],
    ),
    "duration": (
        pl.Series([5_400_000_000_001, None, -1]).cast(pl.Duration("ns")),
        ["1h 30m 1ns", None, "-1ns"],
    ),
    "decimal": (
        pl.Series([Decimal("12345678901234567890.12"), None]).cast(pl.Decimal(38, 2)),
        ["12345678901234567890.12", None],
    ),
    "categorical": (pl.Series(["b", None, "a"], dtype=pl.Categorical), ["b", None, "a"]),
    "enum": (pl.Series(["b", None], dtype=pl.Enum(["a", "b"])), ["b", None]),
    "list": (pl.Series([[1, None], None, []], dtype=pl.List(pl.Int64)), ["[1, None]", None, "[]"]),
    "array": (pl.Series([[1, 2], None], dtype=pl.Array(pl.Int64, 2)), ["[1, 2]", None]),
    "struct": (pl.Series([{"a": 1, "b": "x"}, None]), ["{'a': 1, 'b': 'x'}", None]),
}


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[TableView]], list[list[list[str | None]]]]:
    """Read all of some tables with the code that runs in the browser: texts by table, column and row."""
    program = tmp_path_factory.mktemp("reader") / "reader.cjs"
    bundle = [str(ESBUILD), "--bundle", "--platform=node", "--format=cjs", "--log-level=error", f"--outfile={program}"]
    subprocess.run(bundle, cwd=JS, input=_READER, text=True, check=True, timeout=120)

    def run(views: Sequence[TableView]) -> list[list[list[str | None]]]:
        pages = [view.rows(0, 2_000) for view in views]
        asked = json.dumps([[base64.b64encode(page.arrow).decode(), page.row_count] for page in pages])
        command = [str(NODE), str(program)]
        done = subprocess.run(command, input=asked, text=True, check=True, capture_output=True, timeout=120)
        texts: list[list[list[str | None]]] = json.loads(done.stdout)
        return texts

    return run


def test_every_type_but_object_arrives_by_value(read: Callable[..., Any]) -> None:
    texts = read([TableView(column) for column, _ in WANTED.values()])
    assert {name: shown for name, [shown] in zip(WANTED, texts, strict=True)} == {
        name: wanted for name, (_, wanted) in WANTED.items()
    }
    classes = {column.dtype.base_type() for column, _ in WANTED.values()}
    every = {column.dtype.base_type() for column in COLUMNS.values()}
    assert every - classes == {pl.Object}, "the samples have a type that is not tried here"


def test_chunks_slices_and_empty_tables_arrive_as_they_are(read: Callable[..., Any]) -> None:
    columns = [column for column, _ in WANTED.values()]
    chunked = [pl.concat([column, column], rechunk=False) for column in columns]
    sliced = [column[1:] for column in chunked]
    wanted = [texts for _, texts in WANTED.values()]
    assert [shown for [shown] in read([TableView(column) for column in chunked])] == [[*t, *t] for t in wanted]
    assert [shown for [shown] in read([TableView(column) for column in sliced])] == [[*t, *t][1:] for t in wanted]
    assert read([TableView(column.clear()) for column in columns]) == [[[]]] * len(columns)
    lazy = [TableView(column.to_frame("x").lazy()) for column in chunked]
    assert [shown for [shown] in read(lazy)] == [[*t, *t] for t in wanted]


def test_any_sample_can_be_read(read: Callable[..., Any]) -> None:
    """Whatever is in the samples: nulls are where they were, and everything else says something."""
    texts = read([TableView(column) for column in COLUMNS.values()])
    for column, [shown] in zip(COLUMNS.values(), texts, strict=True):
        assert [text is None for text in shown] == column.is_null().to_list(), column.name


def test_long_and_nested_values_are_folded_and_had_whole(read: Callable[..., Any]) -> None:
    table = pl.DataFrame({"text": ["long " * 100], "list": [list(range(50))]})
    view = TableView(table)
    [[text], [numbers]] = read([view])[0]
    assert text.endswith("…")
    assert len(text) < 200
    assert numbers == "[0, 1, 2, 3, 4, 5, …]"
    assert view.cell(0, 0) == "long " * 100
    assert view.cell(0, 1) == str(list(range(50)))


def test_a_column_of_python_objects_says_so_and_what_to_do() -> None:
    table = pl.DataFrame({"n": [1], "things": pl.Series([object()], dtype=pl.Object)})
    plain, things = TableView(table).columns
    assert "note" not in plain
    assert "Column 'things' holds Python objects" in things["note"]
    assert "pl.col('things').map_elements(str, return_dtype=pl.String)" in things["note"]
