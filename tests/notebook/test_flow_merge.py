"""The merge behind ``%%flow`` cells: each side is compared with itself, and only true clashes are refused."""

from __future__ import annotations

from typing import Any

import pytest

from flowbook.errors import DocumentError
from flowbook.notebook.flow_merge import differing, document_of, facts_of, merge

Json = dict[str, Any]


def node(node_id: str = "a", **more: Any) -> Json:
    return {"id": node_id, "typeId": node_id, **more}


def doc(*nodes: Json, **more: Any) -> Json:
    return {"nodes": list(nodes), **more} if nodes else more


def merged(cell: Json, cell_before: Json, flow: Json, flow_before: Json, coded: tuple[str, ...] = ()) -> Json:
    facts = merge(
        cell=facts_of(cell),
        cell_before=facts_of(cell_before),
        flow=facts_of(flow),
        flow_before=facts_of(flow_before),
        coded=coded,
        name="f",
    )
    return document_of(facts)


OLD = doc(node(settings={"n": 1}))
EDGE = {"source": "a", "target": "b", "targetPort": "x"}
OTHER = {"source": "c", "target": "b", "targetPort": "x"}

CASES: dict[str, tuple[Json, Json, Json, Json, Json]] = {
    "nothing changed": (OLD, OLD, OLD, OLD, OLD),
    "a first run": (OLD, {}, {}, {}, OLD),
    "a first run meets a flow made in Python": (
        doc(node(settings={"n": 1})),
        {},
        doc(node("b"), edges=[EDGE]),
        {},
        doc(node(settings={"n": 1}), node("b"), edges=[EDGE]),
    ),
    "the text changed": (doc(node(settings={"n": 2})), OLD, OLD, OLD, doc(node(settings={"n": 2}))),
    "a setting that is null is set": (
        doc(node(settings={"n": None})),
        OLD,
        OLD,
        OLD,
        doc(node(settings={"n": None})),
    ),
    "a setting that is null elsewhere stays": (
        OLD,
        OLD,
        doc(node(settings={"n": None})),
        OLD,
        doc(node(settings={"n": None})),
    ),
    "the flow changed": (OLD, OLD, doc(node(settings={"n": 3})), OLD, doc(node(settings={"n": 3}))),
    "the flow was moved, the text has an old setting": (
        OLD,
        OLD,
        doc(node(settings={"n": 1}, position={"x": 1, "y": 2})),
        OLD,
        doc(node(settings={"n": 1}, position={"x": 1, "y": 2})),
    ),
    "what was kept before is kept again": (
        OLD,
        OLD,
        doc(node(settings={"n": 5})),
        doc(node(settings={"n": 5})),
        doc(node(settings={"n": 5})),
    ),
    "both changed the same in the same way": (
        doc(node(settings={"n": 2})),
        OLD,
        doc(node(settings={"n": 2})),
        OLD,
        doc(node(settings={"n": 2})),
    ),
    "both changed different nodes": (
        doc(node("a", settings={"n": 2}), node("b")),
        doc(node("a"), node("b")),
        doc(node("a"), node("b", position={"x": 0, "y": 0})),
        doc(node("a"), node("b")),
        doc(node("a", settings={"n": 2}), node("b", position={"x": 0, "y": 0})),
    ),
    "both changed different things of one node": (
        doc(node(settings={"n": 2})),
        OLD,
        doc(node(settings={"n": 1, "m": 4}, position={"x": 0, "y": 0})),
        OLD,
        doc(node(settings={"n": 2, "m": 4}, position={"x": 0, "y": 0})),
    ),
    "the text takes a setting back": (doc(node()), OLD, OLD, OLD, doc(node())),
    "the flow takes a setting back": (OLD, OLD, doc(node()), OLD, doc(node())),
    "the text takes a node out": (doc(), OLD, OLD, OLD, doc()),
    "the flow took a node out": (OLD, OLD, doc(), OLD, doc()),
    "the text takes out a node that was moved before": (
        doc(),
        OLD,
        doc(node(settings={"n": 1}, position={"x": 0, "y": 0})),
        doc(node(settings={"n": 1}, position={"x": 0, "y": 0})),
        doc(),
    ),
    "the text takes an edge out": (
        doc(node()),
        doc(node(), edges=[EDGE]),
        doc(node(), edges=[EDGE]),
        doc(node(), edges=[EDGE]),
        doc(node()),
    ),
    "the flow was wired anew": (
        doc(edges=[EDGE]),
        doc(edges=[EDGE]),
        doc(edges=[OTHER]),
        doc(edges=[EDGE]),
        doc(edges=[OTHER]),
    ),
    "two cuts of one input": (
        doc(cuts=[EDGE, OTHER]),
        doc(cuts=[EDGE]),
        doc(cuts=[EDGE]),
        doc(cuts=[EDGE]),
        doc(cuts=[EDGE, OTHER]),
    ),
    "a field of the flow": (doc(policy={"onError": "stop"}), doc(), doc(), doc(), doc(policy={"onError": "stop"})),
}


@pytest.mark.parametrize(("cell", "cell_before", "flow", "flow_before", "expected"), CASES.values(), ids=CASES)
def test_what_one_side_changed_is_taken_from_that_side(
    cell: Json, cell_before: Json, flow: Json, flow_before: Json, expected: Json
) -> None:
    assert merged(cell, cell_before, flow, flow_before) == expected


CLASHES: dict[str, tuple[Json, Json, Json, Json, str]] = {
    "a setting": (doc(node(settings={"n": 2})), OLD, doc(node(settings={"n": 3})), OLD, "a.n"),
    "a setting, at the first run": (doc(node(settings={"n": 2})), {}, doc(node(settings={"n": 3})), {}, "a.n"),
    "a position": (
        doc(node(position={"x": 1, "y": 0})),
        doc(node()),
        doc(node(position={"x": 2, "y": 0})),
        doc(node()),
        "position of a",
    ),
    "an edge": (doc(edges=[EDGE]), doc(), doc(edges=[OTHER]), doc(), "the edge into b.x"),
    "taken out here, changed there": (doc(), OLD, doc(node(settings={"n": 1, "m": 2})), OLD, "a.m"),
    "changed here, taken out there": (doc(node(settings={"n": 1, "m": 2})), OLD, doc(), OLD, "a.m"),
    "taken back here, changed there": (doc(node()), OLD, doc(node(settings={"n": 3})), OLD, "a.n"),
    "a type": (doc({"id": "a", "typeId": "t"}), doc(), doc({"id": "a", "typeId": "u"}), doc(), "node a"),
}


@pytest.mark.parametrize(("cell", "cell_before", "flow", "flow_before", "named"), CLASHES.values(), ids=CLASHES)
def test_what_both_changed_differently_is_refused_with_both_versions(
    cell: Json, cell_before: Json, flow: Json, flow_before: Json, named: str
) -> None:
    with pytest.raises(DocumentError) as raised:
        merged(cell, cell_before, flow, flow_before)
    assert raised.value.code == "FB307"
    assert named in raised.value.what
    assert "in the cell" in raised.value.hint
    assert "elsewhere" in raised.value.hint
    assert [clash["what"] for clash in raised.value.fields["clashes"]] == [named]


def test_a_node_that_has_code_stays_when_the_text_no_longer_names_it() -> None:
    kept = doc(node(settings={"n": 1}, position={"x": 0, "y": 0}))
    assert merged(doc(), OLD, kept, kept, coded=("a",)) == doc(node(position={"x": 0, "y": 0}))


def test_the_difference_is_said_in_words_and_a_node_with_code_need_not_be_named() -> None:
    flow = facts_of(doc(node("a", settings={"n": 3}), node("b", position={"x": 1, "y": 1}), node("c"), edges=[EDGE]))
    assert differing(facts_of(doc(node("b"))), flow, ["a", "b"]) == [
        "a.n",
        "position of b",
        "node c",
        "the edge into b.x",
    ]
    assert differing(flow, flow, []) == []


def test_a_null_that_the_text_does_not_say_is_told() -> None:
    assert differing(facts_of(doc(node())), facts_of(doc(node(settings={"n": None}))), ()) == ["a.n"]
