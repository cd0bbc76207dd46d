"""Node types are found by reading JSON; a broken one says what is wrong with it and hides no other."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from flowbook.core.policies import Retry
from flowbook.errors import NodeFolderError
from flowbook.registry.folders import scan
from flowbook.registry.registry import Registry
from flowbook.registry.schema_file import read_schema
from tests.registry.node_folders import SCHEMA, write_node

if TYPE_CHECKING:
    from pathlib import Path

#: The example of the format's own description, word for word.
HTTP_REQUEST = """
{
  "id": "http-request",
  "version": "1.0.0",
  "compatibility": {
    "minRuntime": "1.0.0"
  },
  "category": "Network",
  "name": "HTTP Request",
  "description": "Performs an HTTP request",
  "ui": {
    "color": "#ff8800",
    "icon": "globe",
    "resizable": true
  },
  "execution": {
    "timeoutMs": 5000,
    "retry": 2,
    "recoverable": true
  },
  "ports": {
    "inputs": [
      { "name": "trigger", "type": "signal", "required": true },
      { "name": "body", "type": "object", "required": false }
    ],
    "outputs": [
      { "name": "response", "type": "any" },
      { "name": "error", "type": "error_packet" }
    ]
  },
  "settings": [
    { "name": "url", "type": "string", "label": "Target URL" },
    { "name": "method", "type": "enum", "options": ["GET", "POST"] }
  ]
}
"""


def test_the_format_is_read_as_its_description_shows_it() -> None:
    schema = read_schema(HTTP_REQUEST, file="schema.json", runtime="1.0.0")
    assert (schema.type_id, schema.version, schema.category) == ("http-request", "1.0.0", "Network")
    assert (schema.label, schema.icon, schema.color) == ("HTTP Request", "globe", "#ff8800")
    assert schema.policy.timeout_s == 5
    assert schema.policy.retry == Retry(max_attempts=3)
    assert [(port.name, port.is_required) for port in schema.inputs] == [("trigger", True), ("body", False)]
    assert [port.name for port in schema.outputs] == ["response"]  # every node has an error port
    assert [(spec.name, spec.label, spec.control) for spec in schema.settings] == [
        ("url", "Target URL", "text"),
        ("method", "method", "select"),
    ]
    assert all(spec.is_required for spec in schema.settings)  # it says no default


@pytest.mark.parametrize(
    ("setting", "control", "default"),
    [
        ({"type": "integer", "default": 3, "min": 0, "max": 9}, "slider", 3),
        ({"type": "number", "default": 0.5}, "number", 0.5),
        ({"type": "boolean", "default": False}, "switch", False),
        ({"type": "string", "default": "", "unit": "km"}, "text", ""),
        ({"type": "enum", "options": ["a", "b"], "default": "b"}, "select", "b"),
        ({"type": "path", "default": "a.csv"}, "path", "a.csv"),
        ({"type": "date", "default": "2013-07-01"}, "date", "2013-07-01"),
        ({"type": "list", "default": ["a"]}, "json", ["a"]),
        ({"type": "any", "default": None}, "json", None),
    ],
)
def test_a_setting_gets_the_control_of_its_type(setting: dict[str, Any], control: str, default: object) -> None:
    text = json.dumps({**SCHEMA, "settings": [{"name": "count", **setting}]})
    (spec,) = read_schema(text, file="schema.json", runtime="1.0.0").settings
    assert (spec.control, spec.default, spec.is_required) == (control, default, False)


@pytest.mark.parametrize(
    ("change", "code", "field", "hint"),
    [
        ({"id": None}, "FB231", "id", "it takes a text"),
        ({"id": "a b"}, "FB231", "id", "table.filter"),
        ({"version": "1"}, "FB231", "version", "1.0.0"),
        ({"version": 1}, "FB231", "version", "it takes a text"),
        ({"categroy": "x"}, "FB232", "categroy", "did you mean 'category'?"),
        ({"ui": {"color": "red"}}, "FB231", "ui.color", "#ff8800"),
        ({"ui": []}, "FB231", "ui", "it takes an object"),
        ({"execution": {"timeoutS": 5}}, "FB232", "execution.timeoutS", "did you mean 'timeoutMs'?"),
        ({"execution": {"timeoutMs": -1}}, "FB231", "execution.timeoutMs", "> 0"),
        ({"execution": {"retry": True}}, "FB231", "execution.retry", "it takes a number"),
        ({"execution": {"kind": "pur"}}, "FB231", "execution.kind", "did you mean 'pure'?"),
        (
            {"ports": {"inputs": [{"name": "table", "type": "tabel"}], "outputs": []}},
            "FB231",
            "ports.inputs[0].type",
            "did you mean 'table'?",
        ),
        ({"ports": {"inputs": ["table"]}}, "FB231", "ports.inputs[0]", "write {"),
        ({"ports": {"inputs": []}}, "FB231", "ports.outputs", "a node gives something"),
        ({"settings": [{"name": "n", "type": "integer", "default": "x"}]}, "FB231", "settings[0].default", "type int"),
        ({"settings": [{"name": "n", "type": "enum"}]}, "FB231", "settings[0].options", "options"),
        ({"settings": [{"name": "table", "type": "any"}]}, "FB231", "ports and settings", "share their names"),
        ({"settings": [{"type": "any"}]}, "FB231", "settings[0].name", "it takes a text"),
        ({"examples": [{"title": "x", "inputs": {"tabel": 1}}]}, "FB231", "examples[0].inputs", "see ports"),
        ({"compatibility": {"minRuntime": "9.0.0"}}, "FB233", "compatibility.minRuntime", "pip install"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_field(
    tmp_path: Path, change: dict[str, Any], code: str, field: str, hint: str
) -> None:
    write_node(tmp_path, "table/wrong", **change)
    write_node(tmp_path, "table/right", id="table.right")
    found = scan([tmp_path], runtime="1.0.0")
    (broken,) = found.broken
    assert list(found.found) == ["table.right"]
    assert (broken.error.code, broken.error.fields["field"]) == (code, field)
    assert broken.error.fields["file"] == f"{tmp_path.name}/table/wrong/schema.json"
    assert hint in broken.error.hint
    assert str(tmp_path) not in str(broken.error)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [('{"id": ', "line 1, column 8"), ("[1]", "holds [1], not an object"), ("[" * 100_000, "not JSON"), ("", "line 1")],
)
def test_a_file_that_is_no_json_object_is_named(tmp_path: Path, text: str, fragment: str) -> None:
    (write_node(tmp_path) / "schema.json").write_text(text, encoding="utf-8")
    (broken,) = scan([tmp_path], runtime="1.0.0").broken
    assert broken.type_id == "table.limit"
    assert fragment in str(broken.error)


def test_a_folder_that_holds_half_a_node_type_is_named(tmp_path: Path) -> None:
    write_node(tmp_path, "table/headless", logic=None)
    write_node(tmp_path, "table/speechless", schema=None)
    found = scan([tmp_path], runtime="1.0.0")
    assert [broken.error.code for broken in found.broken] == ["FB235", "FB230"]


def test_other_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    write_node(tmp_path)
    write_node(tmp_path, "_drafts/later", id="drafts.later")
    write_node(tmp_path, "table/.hidden", id="table.hidden")
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "table" / "notes").mkdir()
    found = scan([tmp_path], runtime="1.0.0")
    assert (list(found.found), found.broken) == (["table.limit"], [])


def test_a_folder_that_is_not_there_is_a_problem_and_no_failure(tmp_path: Path) -> None:
    (broken,) = scan([tmp_path / "nowhere"], runtime="1.0.0").broken
    assert "'nowhere' cannot be read" in broken.error.what


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_hides_no_other(tmp_path: Path) -> None:
    write_node(tmp_path)
    closed = write_node(tmp_path, "closed/one", id="closed.one").parent
    closed.chmod(0)
    try:
        found = scan([tmp_path], runtime="1.0.0")
    finally:
        closed.chmod(0o700)
    assert (list(found.found), len(found.broken)) == (["table.limit"], 1)


def test_of_two_types_of_one_id_the_first_stays(tmp_path: Path) -> None:
    write_node(tmp_path / "first")
    write_node(tmp_path / "second", name="Another")
    found = scan([tmp_path / "first", tmp_path / "second"], runtime="1.0.0")
    assert found.found["table.limit"].schema.label == "First rows"
    (broken,) = found.broken
    assert (broken.error.code, broken.root) == ("FB234", tmp_path / "second")


def test_looking_types_up_runs_no_python(tmp_path: Path) -> None:
    write_node(tmp_path, logic="raise SystemExit('it was run')")
    registry = Registry([tmp_path], runtime="1.0.0")
    assert registry.get("table.limit").version == "1.0.0"
    assert [entry.label for entry in registry.palette()] == ["First rows"]


DIFFERENT = [
    ("def limit(table: pl.LazyFrame) -> pl.LazyFrame: ...", "does not take the setting 'count'"),
    ("def limit(count: int) -> pl.LazyFrame: ...", "does not take the input 'table'"),
    ("def limit(table: pl.LazyFrame, count: int, n: int = 1) -> pl.LazyFrame: ...", "takes 'n'"),
    ("def limit(table: pl.DataFrame, count: int) -> pl.LazyFrame: ...", "LazyFrame in schema.json, DataFrame in logic"),
    ("def limit(table: pl.Series, count: int) -> pl.LazyFrame: ...", "input 'table' is LazyFrame in schema.json"),
    ("def limit(table: pl.LazyFrame = None, count: int = 3) -> pl.LazyFrame: ...", "required in schema.json and has a"),
    ("def limit(table: pl.LazyFrame, count: float) -> pl.LazyFrame: ...", "'count' is int in schema.json, float in"),
    ("def limit(table: pl.LazyFrame, count: int = 4) -> pl.LazyFrame: ...", "the default of 'count' is another one"),
    ("def limit(table: pl.LazyFrame, count: int) -> pl.Series: ...", "'result' is table in schema.json, series in"),
    ("async def limit(table: pl.LazyFrame, count: int) -> pl.LazyFrame: ...", "the function is async"),
    ("def limit(table: pl.LazyFrame, count: int, ctx: fb.Context) -> pl.LazyFrame: ...", "takes a Context (ctx)"),
    ("def limit(table: pl.LazyFrame, *count: int) -> pl.LazyFrame: ...", "*count: 'int' has no ports"),
]


@pytest.mark.parametrize(("function", "difference"), DIFFERENT, ids=[difference for _, difference in DIFFERENT])
def test_a_function_that_is_not_what_schema_json_says_is_refused(
    tmp_path: Path, function: str, difference: str
) -> None:
    write_node(tmp_path, logic=f"from __future__ import annotations\n{function}\n")
    with pytest.raises(NodeFolderError) as caught:
        loaded(tmp_path)
    assert caught.value.code == "FB237"
    assert difference in caught.value.what
    assert caught.value.where == f"{tmp_path.name}/table/limit/logic.py"


@pytest.mark.parametrize(
    ("logic", "code", "fragment"),
    [
        ("import no_such_library", "FB235", "pip install no_such_library"),
        ("1 / 0", "FB235", "ZeroDivisionError"),
        ("def limit(:", "FB235", "SyntaxError"),
        ("x = 1", "FB236", "there is none"),
        ("def first(): ...\ndef second(): ...", "FB236", "there is first, second"),
        ("from json import loads", "FB236", "there is none"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, logic: str, code: str, fragment: str) -> None:
    write_node(tmp_path, logic=logic)
    with pytest.raises(NodeFolderError) as caught:
        loaded(tmp_path)
    assert caught.value.code == code
    assert fragment in str(caught.value)


def test_a_file_is_loaded_once_and_its_helpers_are_free(tmp_path: Path) -> None:
    logic = """
from __future__ import annotations
from dataclasses import dataclass
import polars as pl
@dataclass
class Counted:
    n: int
LOADED = []
LOADED.append(1)
def _helper(n): return n
def other(): ...
def limit(table: pl.LazyFrame, count: int) -> pl.LazyFrame:
    assert len(LOADED) == 1
    return table.head(_helper(Counted(count).n))
"""
    write_node(tmp_path, logic=logic)
    node_type = Registry([tmp_path], runtime="1.0.0").get("table.limit")
    assert node_type.load is not None
    assert node_type.load() is node_type.load()


def loaded(root: Path) -> None:
    node_type = Registry([root], runtime="1.0.0").get("table.limit")
    assert node_type.load is not None
    node_type.load()
