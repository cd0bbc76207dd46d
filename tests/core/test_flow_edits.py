"""Edits of flow data check first and then change: a refused edit leaves the flow as it was, and says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl  # noqa: TC002 -- what annotations name
import pytest

from flowbook.core.document import dump
from flowbook.core.edge_book import Edge
from flowbook.core.flow_data import FlowData
from flowbook.core.node_types import node_type_of
from flowbook.core.wiring import edge_between, resolve
from flowbook.errors import FlowbookError

if TYPE_CHECKING:
    from collections.abc import Callable


def source() -> pl.DataFrame: ...  # type: ignore[empty-body]
def words() -> str: ...  # type: ignore[empty-body]
def split(table: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]: ...  # type: ignore[empty-body]
def late(table: pl.LazyFrame, other: pl.LazyFrame | None = None, n: int = 1, word: str = "") -> pl.LazyFrame: ...  # type: ignore[empty-body]
def last(late: pl.LazyFrame) -> int: ...  # type: ignore[empty-body]


@pytest.fixture
def flow() -> FlowData:
    """source, words, split (two outputs), late (two inputs), last (reads late by its name)."""
    flow = FlowData(id="f")
    for function in (source, words, late, last):
        flow.add_node(function.__name__, node_type_of(function))
    flow.add_node("split", node_type_of(split, outputs=("train", "test")))
    return flow


# What is tried, the code and words of the refusal, and a piece of its hint.
REFUSALS: list[tuple[Callable[[FlowData], Any], str, str, str]] = [
    (lambda flow: connect(flow, "sorce", "late.table"), "FB201", "no node 'sorce'", "did you mean 'source'"),
    (lambda flow: connect(flow, "source", "lat.table"), "FB201", "no node 'lat'", "did you mean 'late'"),
    (lambda flow: connect(flow, "source.reslt", "late.table"), "FB201", "no output 'reslt'", "'result'"),
    (lambda flow: connect(flow, "source", "late.tabel"), "FB201", "no input 'tabel'", "did you mean 'table'"),
    (lambda flow: connect(flow, "source", "words.x"), "FB201", "no input 'x'", "takes no inputs"),
    (lambda flow: connect(flow, "source", "late"), "FB208", "which input of 'late'", "late.table, late.other"),
    (lambda flow: connect(flow, "split", "late.table"), "FB208", "several outputs", "split.train, split.test"),
    (lambda flow: connect(flow, "words", "late.table"), "FB207", "a text is not a table", "between them"),
    (lambda flow: connect(flow, "source", "late.n"), "FB207", "a table is not a scalar", "between them"),
    (lambda flow: connect(flow, "source.error", "late.table"), "FB207", "a packet is not a table", "between them"),
    (lambda flow: connect(flow, "late", "late.table"), "FB203", "late → late", "remove one of these edges"),
    (lambda flow: connect(flow, "last", "late.n"), "FB203", "last → late → last", "remove one of these edges"),
    (lambda flow: flow.add_node("late", node_type_of(late)), "FB202", "a node 'late' already", "another id"),
    (lambda flow: flow.add_node("no id", node_type_of(late)), "FB205", "cannot name a node", "letters, digits"),
    (lambda flow: flow.add_node("class", node_type_of(late)), "FB205", "cannot name a node", "no Python keyword"),
    (lambda flow: flow.add_node("x", node_type_of(late), {"m": 1}), "FB201", "no setting or input 'm'", "'n'"),
    (lambda flow: flow.add_node("x", node_type_of(late), {"n": "1"}), "FB103", "not of type int", "type int"),
    (lambda flow: flow.add_node("x", node_type_of(late), {"table": object()}), "FB104", "document", "inputs="),
    (lambda flow: flow.set_value("late", "n", 1.5), "FB103", "n=1.5 is not of type int", "type int"),
    (lambda flow: flow.set_value("lste", "n", 1), "FB201", "no node 'lste'", "did you mean 'late'"),
    (lambda flow: flow.set_policy("late", {"mutd": True}), "FB101", "no policy 'mutd'", "did you mean 'muted'"),
    (
        lambda flow: flow.set_policy("late", {"mutable": True}),
        "FB101",
        "no policy 'mutable'",
        "where the function is declared",
    ),
    (lambda flow: flow.rename_node("lat", "x"), "FB201", "no node 'lat'", "'late'"),
    (lambda flow: flow.rename_node("late", "source"), "FB202", "a node 'source' already", "another id"),
    (lambda flow: flow.rename_node("late", "1"), "FB205", "cannot name a node", "letters, digits"),
    (lambda flow: flow.remove_node("lat"), "FB201", "no node 'lat'", "'late'"),
    (lambda flow: FlowData(id="e").node("x"), "FB201", "no node 'x'", "no nodes yet"),
]


def connect(flow: FlowData, start: str, end: str) -> None:
    flow.add_edge(edge_between(flow, start, end))


@pytest.mark.parametrize(("edit", "code", "words_", "hint"), REFUSALS)
def test_a_refused_edit_says_why_and_changes_nothing(
    flow: FlowData, edit: Callable[[FlowData], Any], code: str, words_: str, hint: str
) -> None:
    before, revision = dump(flow), flow.revision
    with pytest.raises(FlowbookError) as caught:
        edit(flow)
    assert caught.value.code == code
    assert words_ in caught.value.what
    assert hint in caught.value.hint
    assert (dump(flow), flow.revision) == (before, revision)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("source", "late.table", ("source", "result", "late", "table")),
        ("source.result", "split", ("source", "result", "split", "table")),
        ("split.train", "late.other", ("split", "train", "late", "other")),
        ("words", "late.word", ("words", "result", "late", "word")),
        ("late", "last", ("late", "result", "last", "late")),
    ],
)
def test_an_edge_stores_the_ports_it_means(flow: FlowData, start: str, end: str, expected: tuple[str, ...]) -> None:
    connect(flow, start, end)
    assert [edge.ends for edge in flow.edges] == [expected]


def test_an_input_has_one_edge_and_the_newer_one_takes_it(flow: FlowData) -> None:
    connect(flow, "source", "late.table")
    connect(flow, "split.test", "late.table")
    assert [edge.source for edge in flow.edges] == ["split"]


def test_connecting_takes_a_cut_back(flow: FlowData) -> None:
    flow.add_cut("late", "last", "late")
    assert ("last", "late") not in resolve(flow).links
    connect(flow, "late", "last.late")
    assert flow.cuts == {}


def test_explicit_edges_settings_and_cuts_follow_a_renamed_node(flow: FlowData) -> None:
    connect(flow, "source", "late.table")
    connect(flow, "late", "split.table")
    flow.cuts["late", "last", "late"] = {"why": "noisy"}  # a field of a later version
    flow.set_value("late", "n", 7)
    flow.set_position("late", (3, 4))
    flow.rename_node("late", "later")
    assert [edge.ends for edge in flow.edges] == [
        ("source", "result", "later", "table"),
        ("later", "result", "split", "table"),
    ]
    assert flow.cuts == {("later", "last", "late"): {"why": "noisy"}}
    assert (flow.nodes["later"].settings, flow.nodes["later"].position) == ({"n": 7}, (3, 4))
    assert list(flow.nodes) == ["source", "words", "later", "last", "split"]


def test_a_removed_node_takes_its_edges_and_cuts_with_it(flow: FlowData) -> None:
    connect(flow, "source", "late.table")
    connect(flow, "source", "split.table")
    flow.add_cut("late", "last", "late")
    flow.remove_node("late")
    assert [edge.target for edge in flow.edges] == ["split"]
    assert flow.cuts == {}


def test_the_default_is_not_stored(flow: FlowData) -> None:
    assert flow.set_value("late", "n", 2)
    assert flow.set_value("late", "n", 1)
    assert flow.nodes["late"].settings == {}
    flow.add_node("x", node_type_of(late), {"n": 1, "word": "a"})
    assert flow.nodes["x"].settings == {"word": "a"}


def test_a_stub_keeps_whatever_it_is_given(flow: FlowData) -> None:
    """Its code may come later; only then is it known what fits."""
    flow.nodes["late"].type_id = "unknown"
    flow.set_value("late", "anything", [1])
    connect(flow, "source", "late.whatever")
    connect(flow, "late.out", "split.table")
    assert flow.nodes["late"].settings == {"anything": [1]}
    assert [edge.ends[:2] for edge in flow.edges] == [("source", "result"), ("late", "out")]


def test_an_edge_to_itself_is_refused_also_when_made_by_hand(flow: FlowData) -> None:
    with pytest.raises(FlowbookError) as caught:
        flow.add_edge(Edge(source="late", source_port=None, target="late", target_port="table"))
    assert caught.value.code == "FB206"
