"""Which values are stale now: their key would be another if the flow were run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowbook.errors import FlowbookError
from flowbook.runtime.inputs import SlotInputs
from flowbook.runtime.keys import changed_file, explain
from flowbook.runtime.plan import ERROR_INDEX
from flowbook.runtime.sparing import bypass_key, first_edge

if TYPE_CHECKING:
    from flowbook.core.packets import ErrorPacket
    from flowbook.runtime.engine import Engine
    from flowbook.runtime.plan import Plan, Slot
    from flowbook.runtime.results import FlowResults, KeyParts, NodeResult


@dataclass(frozen=True, slots=True)
class _NoInputs:
    settings: dict[tuple[str, str], Any] = field(default_factory=dict)
    inputs: dict[str, Any] = field(default_factory=dict)


class _Present:
    """The flow as it stands, seen like a run that has not begun."""

    trace_id = ""

    def __init__(self, plan: Plan, results: FlowResults, engine: Engine) -> None:
        self.plan = plan
        self.results = results
        self.engine = engine
        self.request = _NoInputs()

    def result_of(self, slot: Slot) -> NodeResult | None:
        return self.results.value_of(slot)

    def error_of(self, slot: Slot) -> ErrorPacket | None:
        return self.results.state(slot.node_id).error


def stale_reasons(plan: Plan, results: FlowResults, engine: Engine) -> dict[str, str]:
    """Say for every node with a value that is no longer current why it is not.

    A node is stale when its own key changed, when a file it scanned changed, or when something it reads is stale. Nodes
    without a value, muted ones and those computed once are not. Nothing is run and no payload is read.

    Args:
        plan: the flow as it is now.
        results: its present values.
        engine: digests code and small values.
    """
    view = _Present(plan, results, engine)
    stale: dict[str, str] = {}
    with results.lock:
        for slot in plan.slots:
            result = results.state(slot.node_id).result
            if result is None or slot.node_id in plan.looped or slot.policy.on_change == "once":
                continue
            reason = _reason(view, slot, result, stale)
            if reason:
                stale[slot.node_id] = reason
    return stale


def present_key(plan: Plan, slot: Slot, results: FlowResults, engine: Engine) -> KeyParts | None:
    """Make the key that a node would fire under now; None when something it needs is not there."""
    try:
        with results.lock:
            return SlotInputs(_Present(plan, results, engine), slot).key()
    except FlowbookError:
        return None


def _reason(view: _Present, slot: Slot, result: NodeResult, stale: dict[str, str]) -> str:
    if slot.node_type.function is None:
        return "its cell has not run"
    if slot.policy.muted:
        return ""
    if slot.policy.bypassed:
        return _reason_of_bypassed(view, slot, result, stale)
    for binding in slot.bindings:
        if binding.kind == "edge" and binding.output != ERROR_INDEX:
            node_id = view.plan.slots[binding.source].node_id
            if node_id in stale:
                return f"{node_id} is stale"
    name = changed_file(result)
    if name:
        return f"file {name} changed"
    try:
        key = SlotInputs(view, slot).key()
    except FlowbookError as error:
        return error.what
    return "" if key.digest == result.key.digest else explain(result.key, key)


def _reason_of_bypassed(view: _Present, slot: Slot, result: NodeResult, stale: dict[str, str]) -> str:
    first = first_edge(slot)
    if first is None:
        return "bypassed, but it reads nothing"
    source = view.plan.slots[first.source]
    if source.node_id in stale:
        return f"{source.node_id} is stale"
    value = view.result_of(source)
    if value is None:
        return f"{source.node_id} has no value"
    key = bypass_key(view.engine, slot, first, source.node_id, value)
    return "" if key.digest == result.key.digest else explain(result.key, key)
