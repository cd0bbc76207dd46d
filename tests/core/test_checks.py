"""What is wrong with a flow is said before a run, with the code a run would give, the place and what to type next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import polars as pl  # noqa: TC002 -- what annotations name
import pytest

from flowbook.core.checks import Finding, check
from flowbook.core.document import load
from flowbook.core.node_types import node_type_of

if TYPE_CHECKING:
    from collections.abc import Callable


def source() -> pl.DataFrame: ...  # type: ignore[empty-body]
def words() -> str: ...  # type: ignore[empty-body]
def halves() -> tuple[int, int]: ...  # type: ignore[empty-body]
def others() -> tuple[int, int]: ...  # type: ignore[empty-body]
def late(source: pl.DataFrame, n: int = 1) -> pl.DataFrame: ...  # type: ignore[empty-body]
def reader(left: int) -> int: ...  # type: ignore[empty-body]
def pair(halves: int) -> int: ...  # type: ignore[empty-body]
def needy(path: str, late: pl.DataFrame | None = None) -> int: ...  # type: ignore[empty-body]


OUTPUTS = {"halves": ("left", "right"), "others": ("left", "middle")}
FUNCTIONS: list[Callable[..., Any]] = [source, words, halves, others, late, reader, pair, needy]
TYPES = {function.__name__: node_type_of(function, outputs=OUTPUTS.get(function.__name__)) for function in FUNCTIONS}


def findings_of(nodes: list[Any], **document: Any) -> list[Finding]:
    entries = [{"id": node} if isinstance(node, str) else node for node in nodes]
    flow = load(json.dumps({"nodes": entries, **document}))
    flow.types = {
        name: kept for name, kept in TYPES.items() if any(node.type_id == name for node in flow.nodes.values())
    }
    return check(flow)


def edge(source: str, target: str, port: str, source_port: str | None = None) -> dict[str, str]:
    ends = {"source": source, "target": target, "targetPort": port}
    return {**ends, "sourcePort": source_port} if source_port else ends


# Nodes, the rest of the document, and what must be found: code, severity, node, words, hint.
CASES: list[tuple[list[Any], dict[str, Any], list[tuple[str, str, str | None, str, str]]]] = [
    (["source", "late"], {}, []),
    ([], {}, []),
    (["late"], {}, [("FB403", "error", "late", "'late' needs 'source'", "inputs=")]),
    (["needy"], {}, [("FB403", "error", "needy", "'needy' needs 'path'", "connect it")]),
    ([{"id": "needy", "settings": {"path": "a"}}], {}, []),
    (
        ["source", "late", "needy"],
        {"edges": [edge("source", "needy", "path"), edge("needy", "late", "source")]},
        [
            ("FB203", "error", None, "late → needy → late", "cuts one of the edges"),
            ("FB207", "error", "late", "needy.result cannot feed late.source: a scalar is not a table", "between"),
            ("FB207", "error", "needy", "source.result cannot feed needy.path: a table is not a text", "between"),
        ],
    ),
    (
        ["late"],
        {"edges": [edge("sorce", "late", "source")]},
        [
            ("FB201", "error", "late", "an edge names 'sorce'", "there is 'late'"),
            ("FB403", "error", "late", "needs 'source'", "connect"),
        ],
    ),
    (
        ["source", "late"],
        {"edges": [edge("source", "late", "sorce")]},
        [("FB201", "error", "late", "'late' has no input 'sorce'", "did you mean 'source'")],
    ),
    (
        ["source", "late"],
        {"edges": [edge("source", "late", "source", "reslt")]},
        [("FB201", "error", "late", "'source' has no output 'reslt'", "did you mean 'result'")],
    ),
    (
        ["halves", "others", "reader"],
        {},
        [("FB204", "error", "reader", "halves.left or others.left", 'flow.connect("halves.left", "reader.left")')],
    ),
    (["halves", "others"], {}, []),
    (["halves", "pair"], {}, [("FB204", "error", "pair", "halves.left or halves.right", "halves.left")]),
    (
        ["halves", "others", "reader"],
        {"cuts": [{"source": "others", "target": "reader", "targetPort": "left"}]},
        [],
    ),
    (["halves", "others", "reader"], {"edges": [edge("others", "reader", "left", "left")]}, []),
    (["unknown"], {}, [("FB210", "note", "unknown", "waits for the code", "run the cell")]),
    (
        ["source", {"id": "late", "settings": {"m": 3}}],
        {},
        [("FB211", "note", "late", "keeps a value for 'm'", "there is 'n'")],
    ),
    (
        ["source", {"id": "late", "settings": {"n": "many"}}],
        {},
        [("FB103", "error", "late", "n='many' is not of type int", "type int")],
    ),
    (
        ["late", {"id": "source", "typeId": "elsewhere"}],
        {},
        [
            ("FB403", "error", "late", "'late' needs 'source', whose cell has not run", "run the cell"),
            ("FB210", "note", "source", "waits", "run the cell"),
        ],
    ),
    (
        ["words", "source", "late"],
        {"edges": [edge("source", "late", "source"), edge("words", "late", "source")]},
        [
            ("FB213", "error", "late", "two edges lead into late.source; 'words' is taken", "keeps this one"),
            ("FB207", "error", "late", "a text is not a table", "between"),
        ],
    ),
    (
        ["source", {"id": "late", "policy": {"memoryBytes": 100}}],
        {},
        [("FB101", "note", "late", "memory_bytes of 'late' limits nothing", 'isolation="process"')],
    ),
    (["source", {"id": "late", "policy": {"memoryBytes": 100, "isolation": "process"}}], {}, []),
]


@pytest.mark.parametrize(("nodes", "document", "expected"), CASES)
def test_findings_say_code_place_fact_and_remedy(
    nodes: list[Any], document: dict[str, Any], expected: list[tuple[str, str, str | None, str, str]]
) -> None:
    found = findings_of(nodes, **document)
    assert [(entry.code, entry.severity) for entry in found] == [entry[:2] for entry in expected]
    for entry, (code, _, node_id, words_, hint) in zip(found, expected, strict=True):
        assert words_.split(" → ")[0] in entry.message
        assert node_id in (None, entry.node_id)
        assert hint in entry.hint
        assert str(entry).startswith(f"[{code}] {entry.message}")


def test_a_loop_is_named_node_by_node() -> None:
    found = findings_of(
        ["late", "needy"],
        edges=[edge("late", "needy", "path"), edge("needy", "late", "source")],
    )
    loop = next(entry for entry in found if entry.code == "FB203")
    assert "late → needy → late" in loop.message or "needy → late → needy" in loop.message


def test_what_the_notebook_gives_is_not_missing() -> None:
    flow = load('{"nodes": [{"id": "late"}]}')
    flow.types = {"late": TYPES["late"]}
    assert check(flow, is_given=lambda node_id, port: (node_id, port) == ("late", "source")) == []
