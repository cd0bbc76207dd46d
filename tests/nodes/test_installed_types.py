"""Nodes of installed types are nodes like others: added by id, wired, kept in documents, keyed by their version."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import flowbook as fb
from flowbook.core.document import dump, load
from flowbook.errors import DuplicateIdError
from flowbook.headless.check import findings_of_document
from flowbook.registry.registry import Registry
from flowbook.session import Session
from tests.registry.node_folders import LOGIC, write_node

if TYPE_CHECKING:
    from pathlib import Path

DELAYS = {"carrier": ["UA", "AA", "UA"], "dep_delay": [2, 33, 60]}


def flights() -> pl.LazyFrame:
    return pl.LazyFrame(DELAYS)


@pytest.fixture
def flow() -> fb.Flow:
    """A flow of one function and one installed type."""
    made = fb.Flow("flights")
    made.node(flights)
    made.add("table.filter", "late", predicate="dep_delay > 15")
    made.connect("flights", "late.table")
    return made


def test_an_installed_type_is_added_by_its_id(flow: fb.Flow) -> None:
    run = flow.run_sync()
    assert run["late"].collect()["dep_delay"].to_list() == [33, 60]
    flow.set("late", predicate="carrier = 'AA'")
    run = flow.run_sync()
    assert run.recomputed == ["late"]
    assert "setting predicate" in run.explain("late")


@pytest.mark.parametrize(
    ("type_id", "node_id"), [("table.filter", "filter"), ("table.read", "read"), ("value", "value")]
)
def test_a_node_is_called_after_the_last_part_of_its_type(type_id: str, node_id: str) -> None:
    assert fb.Flow("one").add(type_id).id == node_id


def test_a_document_keeps_type_and_version_and_no_code(flow: fb.Flow, tmp_path: Path) -> None:
    text = flow.document_text()
    late = json.loads(text)["nodes"][1]
    assert (late["typeId"], late["version"]) == ("table.filter", "1.0.0")
    assert dump(load(text)) == text
    saved = json.loads(flow.save(tmp_path / "a.flow.json").read_text())
    assert [entry["id"] for entry in saved["types"]] == ["flights"]
    opened = fb.Flow.open(tmp_path / "a.flow.json")
    assert opened.document_text() == saved_text(tmp_path)
    assert opened.run_sync()["late"].collect().height == 2


def saved_text(folder: Path) -> str:
    return (folder / "a.flow.json").read_text()


def test_a_type_that_is_not_installed_is_a_stub_that_keeps_everything() -> None:
    document = {"nodes": [{"id": "cut", "typeId": "geo.cut", "version": "2.0.0", "settings": {"radius": 3}}]}
    flow = fb.Flow("map")
    flow.replace_document(json.dumps(document))
    (finding,) = flow.check()
    assert (finding.code, finding.hint) == ("FB210", "its node type is not installed here")
    assert flow.document()["nodes"] == document["nodes"]


def test_another_major_version_is_noted() -> None:
    flow = fb.Flow("old")
    flow.replace_document(json.dumps({"nodes": [{"id": "x", "typeId": "value", "version": "0.9.0"}]}))
    assert [(finding.code, finding.severity) for finding in flow.check()] == [("FB213", "note")]
    assert flow.run_sync()["x"] is None


def test_the_version_is_part_of_the_key(tmp_path: Path) -> None:
    flow = fb.Flow("versions")
    flow.node(flights)
    for version, reason in (("1.0.0", "first run"), ("1.0.0", "nothing changed"), ("1.1.0", "version 1.0.0 → 1.1.0")):
        write_node(tmp_path, version=version)
        limit = Registry([tmp_path], runtime="1.0.0").get("table.limit")
        if "limit" not in flow:
            flow.add(limit)
            flow.connect("flights", "limit.table")
        flow.data.set_type(limit)
        assert reason in flow.run_sync().explain("limit")


def test_the_code_of_a_users_own_folder_is_part_of_the_key(tmp_path: Path) -> None:
    flow = fb.Flow("code")
    flow.node(flights)
    for count, reason in ((1, "first run"), (2, "code of `limit` changed")):
        write_node(tmp_path, logic=LOGIC.replace("head(count)", f"head({count})"))
        limit = Registry([tmp_path], runtime="1.0.0").get("table.limit")
        if "limit" not in flow:
            flow.add(limit)
            flow.connect("flights", "limit.table")
        flow.data.set_type(limit)
        run = flow.run_sync()
        assert reason in run.explain("limit")
        assert run["limit"].collect().height == count


def test_logic_that_cannot_be_loaded_fails_its_node_alone(tmp_path: Path) -> None:
    write_node(tmp_path, logic="import no_such_library")
    flow = fb.Flow("broken")
    flow.node(flights)
    flow.add(Registry([tmp_path], runtime="1.0.0").get("table.limit"))
    flow.connect("flights", "limit.table")
    run = flow.run_sync(raise_errors=False)
    assert [(error.node_id, error.code, error.hint) for error in run.errors] == [
        ("limit", "FB235", "pip install no_such_library")
    ]
    assert run["flights"] is not None


def test_a_function_of_a_folder_may_be_async(tmp_path: Path) -> None:
    write_node(
        tmp_path,
        "basic/pause",
        id="pause",
        ports={"inputs": [], "outputs": [{"name": "a", "type": "number"}, {"name": "b", "type": "string"}]},
        settings=[{"name": "count", "type": "integer", "default": 2}],
        execution={"async": True, "kind": "io", "timeoutMs": 60_000},
        logic="import asyncio\nasync def pause(count: int) -> tuple[int, str]:\n"
        "    await asyncio.sleep(0)\n    return count, 'x'",
    )
    flow = fb.Flow("async")
    flow.add(Registry([tmp_path], runtime="1.0.0").get("pause"), "p")
    run = asyncio.run(run_of(flow))
    assert (run["p.a"], run["p.b"]) == (2, "x")


async def run_of(flow: fb.Flow) -> fb.Run:
    return await flow.run()


@pytest.mark.parametrize(
    ("type_id", "setting"), [("table.read", "path"), ("table.filter", "predicate")], ids=["read", "filter"]
)
def test_a_setting_without_a_default_has_to_be_set(type_id: str, setting: str) -> None:
    flow = fb.Flow("unset")
    flow.node(flights)
    flow.add(type_id, "x")
    if type_id == "table.filter":
        flow.connect("flights", "x.table")
    (finding,) = flow.check()
    assert (finding.code, finding.port) == ("FB403", setting)
    (error,) = flow.run_sync(raise_errors=False).errors
    assert (error.code, error.hint) == ("FB403", f'flow.set("x", {setting}=…)')
    assert getattr(flow["x"].traits(), setting) is None


def test_a_value_feeds_a_setting(flow: fb.Flow) -> None:
    flow.add("value", "which", value="dep_delay > 40")
    flow.connect("which", "late.predicate")
    assert flow.run_sync()["late"].collect().height == 1


def test_a_value_of_many_parts_is_nobodys_to_change() -> None:
    flow = fb.Flow("value")
    flow.add("value", value=[1, 2])
    flow.run_sync()["value"].append(3)
    assert flow.document()["nodes"][0]["settings"]["value"] == [1, 2]


def test_a_node_is_renamed_without_its_type() -> None:
    flow = fb.Flow("rename")
    flow.add("value", value=3)
    flow.rename("value", "limit")
    assert flow.document()["nodes"] == [
        {"id": "limit", "typeId": "value", "version": "1.0.0", "settings": {"value": 3}}
    ]


def test_a_cell_called_like_an_installed_type_keeps_its_place() -> None:
    flow = fb.Flow("shadow")
    flow.replace_document(json.dumps({"nodes": [{"id": "value", "typeId": "value", "position": {"x": 1, "y": 2}}]}))
    assert flow["value"].status == "waiting"

    def value(n: int = 1) -> int:
        return n

    flow.node(value)
    assert flow.run_sync()["value"] == 1
    assert "version" not in flow.document()["nodes"][0]


@pytest.mark.parametrize("node_id", ["value", "limit"])
def test_code_does_not_take_the_place_of_an_installed_type(node_id: str) -> None:
    flow = fb.Flow("taken")
    flow.add("value", node_id, value=3)

    def value() -> int:
        return 1

    with pytest.raises(DuplicateIdError):
        flow.node(value)
    assert flow.run_sync()[node_id] == 3


def test_check_knows_installed_types() -> None:
    nodes: list[dict[str, Any]] = [
        {"id": "a", "typeId": "value", "version": "1.0.0"},
        {"id": "late", "typeId": "table.filter", "version": "1.0.0"},
    ]
    edges = [{"source": "a", "target": "late", "targetPort": "tabel"}]
    (finding,) = findings_of_document(json.dumps({"nodes": nodes, "edges": edges}), "f")
    assert (finding.code, finding.hint) == ("FB201", "did you mean 'table'?")


def test_folders_are_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_node(tmp_path)
    monkeypatch.setenv("FLOWBOOK_NODES", os.pathsep.join([str(tmp_path), str(tmp_path / "nowhere")]))
    registry = Session().registry
    assert registry.find("table.limit") is not None
    assert registry.find("table.filter") is not None
    assert [error.fields["file"] for error in registry.problems()] == ["nowhere"]
