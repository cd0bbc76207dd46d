"""Edits as operations: a list does what the same calls do one by one, or nothing at all."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbook.core.edits import apply_operations
from flowbook.errors import FlowbookError
from flowbook.session import Flow
from tests.strategies import NAMES, json_values, names, plain_scalars

KEYS = {"max_attempts": "maxAttempts", "timeout_s": "timeoutS", "on_change": "onChange"}

places = st.integers(-900, 900)
ports = st.sampled_from(["", "a", "b", "result", "k", "x"])
policies = st.fixed_dictionaries(
    {}, optional={"muted": st.booleans(), "timeout_s": st.sampled_from([1, 2.5]), "on_change": st.just("manual")}
)


def operation(op: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"op": st.just(op), **fields})


ends = {"source": names, "sourcePort": ports, "target": names, "targetPort": ports.filter(bool)}
operations = st.one_of(
    operation("move", node=names, x=places, y=places),
    operation("connect", **ends),
    operation("disconnect", **ends),
    operation("add", typeId=st.sampled_from(["value", "a", "b", "nowhere"]), node=names, x=places, y=places),
    operation("remove", node=names),
    operation("rename", node=names, to=names),
    operation("set", node=names, name=ports.filter(bool), value=st.one_of(st.integers(0, 5), plain_scalars)),
    operation("policy", node=names, policy=policies),
)


def made() -> Flow:
    """A flow with ``a(k=1)``, ``b(a, k=1)`` and ``c(a, b)`` from code, and a value."""
    flow = Flow("f")

    @flow.node
    def a(k: int = 1) -> int:
        return k

    @flow.node
    def b(a: int, k: int = 1) -> int:
        return a + k

    @flow.node
    def c(a: int, b: int = 0) -> int:
        return a + b

    flow.add("value", "d")
    return flow


def state(flow: Flow) -> tuple[Any, ...]:
    types = {name: found.origin for name, found in flow.data.types.items()}
    values = {name: found.result for name, found in flow.results.states.items() if found.result is not None}
    return (flow.document_text(), list(flow.data.nodes), types, sorted(flow.coded), values)


def call(flow: Flow, operation: dict[str, Any]) -> None:
    """Do what an operation says by the method that a person would call."""

    def end(node: str, port: str) -> str:
        return f"{node}.{port}" if port else node

    match operation:
        case {"op": "move", "node": node, "x": x, "y": y}:
            flow.move(node, x, y)
        case {"op": "connect" | "disconnect" as op, "source": source, "sourcePort": port, "target": target}:
            getattr(flow, op)(end(source, port), end(target, operation["targetPort"]))
        case {"op": "add", "typeId": type_id, "node": node, "x": x, "y": y}:
            flow.add(type_id, node)
            flow.move(node, x, y)
        case {"op": "remove", "node": node}:
            flow.remove(node)
        case {"op": "rename", "node": node, "to": to}:
            flow.rename(node, to)
        case {"op": "set", "node": node, "name": name, "value": value}:
            flow.set(node, **{name: value})
        case {"op": "policy", "node": node, "policy": policy}:
            flow.set_policy(node, **policy)


def in_json(operation: dict[str, Any]) -> dict[str, Any]:
    if operation["op"] != "policy":
        return operation
    return {**operation, "policy": {KEYS.get(key, key): value for key, value in operation["policy"].items()}}


@given(st.lists(operations, max_size=8))
def test_a_list_of_operations_does_what_the_calls_do(wanted: list[dict[str, Any]]) -> None:
    by_calls, by_list, each = made(), made(), made()
    for flow in (by_calls, by_list, each):
        flow.run_sync(to=["a", "b"])
    has_failed = False
    for operation in wanted:
        try:
            call(by_calls, operation)
        except FlowbookError:
            has_failed = True
            break
    for operation in wanted:
        with contextlib.suppress(FlowbookError):
            each.apply([in_json(operation)])
    before = state(by_list)
    revision = by_list.data.revision
    try:
        by_list.apply([in_json(operation) for operation in wanted])
    except FlowbookError:
        assert has_failed
        assert state(by_list) == before, "a list that is refused changes nothing"
        assert by_list.data.revision == revision
    else:
        assert not has_failed
        assert same(state(by_list), state(by_calls))
        assert same(state(by_list), state(each)), "one by one or together"
        changed = state(by_list)[0] != before[0]
        assert by_list.data.revision > revision or not changed
    for flow in (by_calls, by_list, each):
        flow.cancel()


def same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Compare states; which nodes have values counts, not that two flows computed them apart."""
    return one[:4] == other[:4] and set(one[4]) == set(other[4])


@given(
    st.lists(
        st.one_of(
            json_values,
            st.dictionaries(
                st.sampled_from(
                    ["op", "node", "x", "y", "to", "source", "target", "targetPort", "name", "value", "policy"]
                ),
                st.one_of(json_values, names, st.sampled_from(["move", "connect", "add", "set", "rename", "document"])),
            ),
        ),
        max_size=3,
    )
)
def test_nonsense_is_refused_by_name_and_changes_nothing(wanted: list[Any]) -> None:
    flow = made()
    before = state(flow)
    is_refused = False
    try:
        flow.apply(wanted)
    except FlowbookError:
        is_refused = True
    assert not is_refused or state(flow) == before


def test_a_value_follows_its_node_step_by_step() -> None:
    """``a`` makes room for ``b``, which takes its name: the value under that name is b's."""
    flow = made()
    flow.run_sync(to="b")
    value = flow["b"].value
    flow.apply([{"op": "remove", "node": "a"}, {"op": "rename", "node": "b", "to": "a"}])
    assert flow["a"].value == value


def test_a_document_replaces_the_flow_but_not_what_code_defines() -> None:
    flow = made()
    flow.run_sync(to="a")
    text = '{"nodes": [{"id": "b", "settings": {"k": 4}}, {"id": "v", "typeId": "value", "settings": {"value": 1}}]}'
    flow.apply([{"op": "document", "text": text}])
    assert set(flow) == {"a", "b", "c", "v"}, "d is gone, v is there, and a and c have code"
    assert flow["b"].settings["k"] == 4
    assert flow["a"].value == 1
    assert flow["v"].status == "idle", "its type is known"
    assert flow.name == "f"
    flow.apply([{"op": "document", "text": ""}])
    assert set(flow) == {"a", "b", "c"}
    with pytest.raises(FlowbookError, match="FB301"):
        flow.apply([{"op": "remove", "node": "a"}, {"op": "document", "text": "[1"}])
    assert "a" in flow


@pytest.mark.parametrize(("by_hand", "moved"), [({}, []), ({"byHand": True}, ["b"])])
def test_settings_that_undo_brings_back_were_moved_by_hand_those_of_a_text_were_not(
    by_hand: dict[str, bool], moved: list[str]
) -> None:
    flow = made()
    text = '{"nodes": [{"id": "b", "settings": {"k": 4}, "position": {"x": 1, "y": 2}}, {"id": "a", "typeId": "a"}]}'
    applied = apply_operations(flow.data, [{"op": "document", "text": text, **by_hand}], flow)
    assert applied.moved == moved


@pytest.mark.parametrize("place", [True, "5", None, float("nan"), float("inf"), 10**400, 1e7])
def test_a_place_is_a_number_of_pixels_that_can_be_reached(place: Any) -> None:
    flow = made()
    with pytest.raises(FlowbookError, match="FB222"):
        flow.apply([{"op": "move", "node": "a", "x": place, "y": 0}])


def test_a_node_goes_back_to_where_the_layout_puts_it() -> None:
    """What undo of a first move asks for: the same document as before."""
    flow = made()
    text = flow.document_text()
    flow.apply([{"op": "move", "node": "a", "x": 5, "y": 6}])
    assert flow.document_text() != text
    flow.apply([{"op": "move", "node": "a", "x": None, "y": None}])
    assert flow.document_text() == text
    with pytest.raises(FlowbookError, match="FB222"):
        flow.apply([{"op": "move", "node": "a"}])


def test_a_cut_is_made_and_taken_back_whether_an_edge_follows_or_not() -> None:
    flow = made()
    text = flow.document_text()
    ends = {"source": "a", "sourcePort": "", "target": "b", "targetPort": "a", "implicit": True}
    flow.apply([{"op": "disconnect", **ends}])
    assert ("b", "a") not in flow.wiring.links
    flow.apply([{"op": "connect", **ends}])
    assert flow.document_text() == text, "the edge follows from names again and is not stored"
    flow.apply([{"op": "disconnect", **ends, "targetPort": "k"}, {"op": "connect", **ends, "targetPort": "k"}])
    assert flow.document_text() == text
    with pytest.raises(FlowbookError, match="nowhere"):
        flow.apply([{"op": "disconnect", **ends, "target": "nowhere"}])


def test_an_edge_comes_back_with_all_its_fields() -> None:
    """What undo of a deleted edge asks for, unknown fields included."""
    flow = made()
    ends = {"source": "a", "sourcePort": "result", "target": "b", "targetPort": "a"}
    fields = {"capacity": 4, "overflow": "drop", "madeBy": ["somebody"]}
    flow.apply([{"op": "connect", **ends, "fields": fields}])
    text = flow.document_text()
    assert json.loads(text)["edges"] == [{**ends, **fields}]
    flow.apply([{"op": "disconnect", **ends}, {"op": "connect", "implicit": True, **ends}])
    flow.apply([{"op": "connect", **ends, "fields": fields}])
    assert flow.document_text() == text
    for wrong in ({"target": "c"}, [1]):
        with pytest.raises(FlowbookError, match="FB222"):
            flow.apply([{"op": "connect", **ends, "fields": wrong}])


def test_a_policy_that_says_what_the_type_says_is_not_kept() -> None:
    flow = made()
    text = flow.document_text()
    flow.set_policy("a", muted=True)
    assert flow.document_text() != text
    revision = flow.data.revision
    flow.set_policy("a", muted=True)
    assert flow.data.revision == revision, "nothing changed"
    flow.set_policy("a", muted=False)
    assert flow.document_text() == text


def test_every_operation_has_names_that_meet() -> None:
    """The strategy above would prove little if names never met."""
    assert {"a", "b", "c", "d"} <= set(NAMES)
