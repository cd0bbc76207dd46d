"""Reading and filtering tables: what is refused, in which words, and what a changed file means."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import flowbook as fb
from flowbook.session import session

TABLE = pl.DataFrame({"carrier": ["UA", "AA"], "dep_delay": [2, 33], "order": [1, 2]})


def filtered(predicate: str) -> fb.Run:
    flow = fb.Flow("filter")
    flow.add("table.filter", "late", predicate=predicate)
    return flow.run_sync(inputs={"table": TABLE}, raise_errors=False)


@pytest.mark.parametrize(
    ("predicate", "code", "message", "hint"),
    [
        ("dep_dely > 1", "FB613", "no column 'dep_dely'", "did you mean 'dep_delay'?"),
        ("xyz > 1", "FB613", "no column 'xyz'", "there is 'carrier', 'dep_delay', 'order'"),
        ('carrier = "UA"', "FB613", "no column 'UA'", "text stands in single quotes: 'UA'"),
        ("order > 1", "FB612", "no SQL expression", 'stands in double quotes: "order" > 1'),
        ("dep_delay >", "FB612", "no SQL expression", "write one like"),
        ("dep_delay > 1; DROP TABLE x", "FB612", "no SQL expression", "write one like"),
        ("  ", "FB612", "is empty", "dep_delay > 15"),
        ("dep_delay", "FB614", "gives Int64, not true or false", "compare it with something"),
        ("carrier > 5", "FB614", "cannot compare string with numeric", "in single quotes"),
        ("dep_delay > (SELECT 1)", "FB612", "asks another table", "join the tables"),
    ],
)
def test_a_predicate_that_cannot_hold_is_refused_in_words(predicate: str, code: str, message: str, hint: str) -> None:
    (error,) = filtered(predicate).errors
    assert error.code == code
    assert message in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    "predicate",
    [
        "__import__('pathlib').Path('was_here').touch()",
        "pl.col('dep_delay') > 1",
        "(lambda: 1)()",
        "eval('1') > 0",
        "carrier IN (SELECT carrier FROM read_csv('secret.csv'))",
        "EXISTS (SELECT * FROM read_csv('secret.csv'))",
    ],
)
def test_a_predicate_runs_no_python_and_reads_no_file(
    predicate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("secret.csv").write_text("carrier\nUA\n")
    (error,) = filtered(predicate).errors
    assert error.code == "FB612"
    assert not Path("was_here").exists()


@pytest.mark.parametrize(
    "predicate",
    [
        "\"order\" = 2 AND carrier LIKE 'A%'",
        "carrier <> 'select' AND dep_delay IN (33, 34)",
        "LENGTH(carrier) = 2 AND dep_delay = MAX(dep_delay)",
        "CASE WHEN carrier = 'AA' THEN TRUE ELSE FALSE END",
    ],
)
def test_a_predicate_is_sql(predicate: str) -> None:
    assert filtered(predicate)["late"].collect()["carrier"].to_list() == ["AA"]


def read(path: str, **settings: object) -> fb.Run:
    flow = fb.Flow("read")
    flow.add("table.read", path=path, **settings)
    return flow.run_sync(raise_errors=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The notebook's folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_format_is_read_by_its_ending(folder: Path) -> None:
    text = TABLE.write_csv()
    TABLE.write_parquet("a.parquet")
    TABLE.write_parquet("a.PQ")
    TABLE.write_ipc("a.arrow")
    TABLE.write_ipc("a.feather")
    TABLE.write_ndjson("a.jsonl")
    TABLE.write_csv("a.tsv", separator="\t")
    (folder / "a.csv").write_text(text)
    (folder / "a.csv.gz").write_bytes(gzip.compress(text.encode()))
    for path in sorted(folder.iterdir()):
        assert read(path.name)["read"].collect().equals(TABLE), path.name


def test_a_folder_is_read_where_the_format_is_said(folder: Path) -> None:
    (folder / "days").mkdir()
    TABLE.write_parquet("days/1.parquet")
    TABLE.write_parquet("days/2.parquet")
    assert read("days").errors[0].code == "FB611"
    assert read("days", format="parquet")["read"].collect().height == 4
    assert read("days/*.parquet")["read"].collect().height == 4


@pytest.mark.parametrize(
    ("path", "settings", "code", "message", "hint"),
    [
        ("a.parket", {}, "FB610", "no file 'a.parket'", "did you mean 'a.parquet'?"),
        ("nowhere/a.csv", {}, "FB610", "no file 'nowhere/a.csv'", "seen from the notebook's folder"),
        ("b*.csv", {}, "FB610", "no file 'b*.csv'", "seen from the notebook's folder"),
        ("a.xlsx", {}, "FB611", "'a.xlsx' does not say", ".parquet"),
        ("a.xlsx", {"format": "ipc"}, "FB615", "cannot be read as ipc", "choose another format"),
        ("broken.parquet", {}, "FB615", "cannot be read as parquet", "choose another format"),
        ("empty.csv", {}, "FB615", "cannot be read as csv", "choose another format"),
        ("a.parquet", {"columns": ["carier"]}, "FB613", "no column 'carier'", "did you mean 'carrier'?"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_words(
    folder: Path, path: str, settings: dict[str, object], code: str, message: str, hint: str
) -> None:
    TABLE.write_parquet("a.parquet")
    (folder / "broken.parquet").write_text("hello")
    (folder / "a.xlsx").write_text("hello")
    (folder / "empty.csv").touch()
    (error,) = read(path, **settings).errors
    assert error.code == code
    assert message in error.message
    assert hint in error.hint
    assert str(folder) not in error.message + error.hint


def test_a_format_that_nobody_knows_is_refused_when_it_is_set() -> None:
    with pytest.raises(fb.DefinitionError, match="is not one of its options"):
        fb.Flow("f").add("table.read", path="a.csv", format="excel")


def test_a_file_that_changed_is_read_again_and_nothing_else(folder: Path) -> None:
    (folder / "a.csv").write_text("dep_delay\n20\n")
    flow = fb.Flow("files")
    flow.add("table.read", path="a.csv")
    flow.add("table.filter", "late", predicate="dep_delay > 15")
    flow.connect("read", "late.table")
    flow.run_sync()
    assert flow.run_sync().recomputed == []
    (folder / "a.csv").write_text("dep_delay\n20\n30\n")
    os.utime(folder / "a.csv", ns=(1, 1))
    assert flow["late"].stamp == "stale"
    run = flow.run_sync()
    assert run.recomputed == ["read", "late"]
    assert run["late"].collect().height == 2


def test_only_the_columns_that_are_used_are_read(folder: Path) -> None:
    TABLE.write_parquet("a.parquet")
    assert read("a.parquet", columns=["dep_delay", "carrier"])["read"].collect().columns == ["dep_delay", "carrier"]
    plan = function_of("table.read")(path=Path("a.parquet"), format="by ending", columns=["dep_delay", "carrier"])
    assert "PROJECT 2/3 COLUMNS" in plan.explain()


def test_rows_that_are_left_out_are_not_read_either(folder: Path) -> None:
    TABLE.write_parquet("a.parquet")
    table = function_of("table.read")(path=Path("a.parquet"), format="parquet", columns=[])
    plan = function_of("table.filter")(table=table, predicate="dep_delay > 15").explain()
    assert re.search("SELECTION: .*dep_delay", plan)


def function_of(type_id: str) -> Any:
    node_type = session.registry.get(type_id)
    assert node_type.load is not None
    return node_type.load()
