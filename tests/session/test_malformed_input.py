"""Whatever JSON a person or a front end gives: it is taken, or refused with an error of ours that changes nothing."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

import flowbook as fb
from flowbook.canvas.snapshot import snapshot
from flowbook.core.policies import POLICY_FIELDS
from tests.strategies import any_texts, examples, json_values

if TYPE_CHECKING:
    from collections.abc import Iterator

FLOW_POLICY = ("max_concurrency", "on_error", "flow_attempts", "state_storage")
RETRY = ("max_attempts", "delay_s", "multiplier", "cap_s", "jitter")
OPERATIONS = ("set", "policy", "connect", "disconnect", "add", "remove", "rename", "move", "document", "cut")
KEYS = ("node", "name", "value", "source", "target", "sourcePort", "targetPort", "type", "typeId", "id", "to", "x", "y")
names = st.one_of(st.sampled_from(["a", "b", "b.a", "a.n", "b.error", "value", "n"]), any_texts)
values = st.one_of(json_values, names)
packets = st.one_of(
    st.builds(fb.Packet, value=values, trace_id=values, origin=values, created_at=values, schema_version=values),
    st.builds(
        fb.ErrorPacket,
        code=values,
        message=values,
        node_id=values,
        trace_id=values,
        recoverable=values,
        attempt=values,
        hint=values,
        line=values,
        cause=values,
    ),
)


def two_nodes() -> fb.Flow:
    flow = fb.Flow("malformed")

    @flow.node
    def a(n: int = 1, text: str = "x") -> int:
        return n

    @flow.node
    def b(a: int, share: float = 0.5) -> float:
        return a * share

    return flow


@contextlib.contextmanager
def typed_errors_only(flow: fb.Flow) -> Iterator[None]:
    """Let an error of ours pass, if it says what and left the flow as it was."""
    before = flow.document_text()
    refused: fb.FlowbookError | None = None
    try:
        yield
    except fb.FlowbookError as error:
        refused = error
    if refused is not None:
        assert refused.what
        assert refused.code.startswith("FB")
        assert flow.document_text() == before


@given(names, values, st.sampled_from(POLICY_FIELDS))
@examples(250, soak=10_000)
def test_settings_and_policies(name: str, value: Any, field: str) -> None:
    flow = two_nodes()
    for node_id in ("a", name):
        with typed_errors_only(flow):
            flow.set(node_id, **{name: value})
        with typed_errors_only(flow):
            flow.set_policy(node_id, **{field: value})
    with typed_errors_only(flow):
        flow.set("a", n=value)
    for field_name in FLOW_POLICY:
        with typed_errors_only(flow):
            flow.policy = fb.FlowPolicy(**{field_name: value})
    for field_name in RETRY:
        with typed_errors_only(flow):
            fb.Retry(**{field_name: value})


@given(names, values)
@examples(250, soak=10_000)
def test_what_a_run_is_asked_for(name: str, value: Any) -> None:
    flow = two_nodes()
    asked: list[dict[str, Any]] = [
        {"to": name},
        {"settings": {name: value}},
        {"settings": {"a.n": value}},
        {"inputs": {name: value}},
        {"overrides": {name: value}},
        {"overrides": {"a": value}},
    ]
    for scope in asked:
        with typed_errors_only(flow):
            run = flow.run_sync(raise_errors=False, **scope)
            assert all(error.code.startswith("FB") for error in run.errors)


@given(
    st.lists(
        st.builds(
            lambda op, fields: {"op": op, **fields},
            st.one_of(st.sampled_from(OPERATIONS), any_texts),
            st.dictionaries(st.sampled_from(KEYS), values, max_size=5),
        ),
        max_size=3,
    )
)
@examples(250, soak=10_000)
def test_operations_of_a_canvas(operations: list[dict[str, Any]]) -> None:
    flow = two_nodes()
    with typed_errors_only(flow):
        flow.apply(operations)


@given(values, st.integers(-3, 10**12))
@examples(100, soak=10_000)
def test_dead_letters(value: Any, number: int) -> None:
    flow = two_nodes()
    with typed_errors_only(flow):
        flow.dead_letters.replay(number, inputs={"a": value})
    with typed_errors_only(flow):
        flow.dead_letters.drop(number)


@given(packets)
@examples(250, soak=10_000)
def test_packets(packet: Any) -> None:
    flow = two_nodes()

    @flow.node
    def made() -> Any:
        return packet

    @flow.node
    def whole(made: fb.Packet) -> Any:
        return made.value

    @flow.node
    def inside(made: Any) -> Any:
        return [made]

    @flow.node
    def after(error: fb.ErrorPacket) -> str:
        return f"{error.code} {error.message}"

    flow.connect("whole.error", "after.error")
    for overrides in ({}, {"made": packet}, {"a": packet}):
        with typed_errors_only(flow):
            run = flow.run_sync(raise_errors=False, overrides=overrides)
            assert all(error.code.startswith("FB") for error in run.errors)
            assert repr(run)
    assert snapshot(flow)["nodes"]
    for letter in flow.dead_letters:
        assert repr(letter)
