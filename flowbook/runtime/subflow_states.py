"""What is known of a subflow as one node: what its nodes came to, summed up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flowbook.runtime.results import NO_CODE, KeyParts, NodeResult, NodeState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flowbook.core.events import Status
    from flowbook.runtime.plan import Plan
    from flowbook.runtime.results import FlowResults

#: The first of these that a node in it has is the status of the whole.
_WEIGHTS: Final[tuple[Status, ...]] = (
    "running", "failed", "unresponsive", "waiting", "queued", "skipped", "idle", "muted", "ok",
)  # fmt: skip


def whole_status(statuses: Iterable[Status]) -> Status:
    """Sum up what nodes are doing in one word."""
    found = set(statuses)
    return next((status for status in _WEIGHTS if status in found), "idle")


def subflow_state(plan: Plan, results: FlowResults, node_id: str) -> NodeState:
    """Return what is known of a subflow as if it were a node: its outputs are those its leaves hand on."""
    nesting = plan.nesting
    members = nesting.members[node_id]
    states = {name: results.state(name) for name in members}
    waiting = [name for name in members if plan.slots[plan.index[name]].node_type.function is None]
    muted = [name for name in members if plan.slots[plan.index[name]].policy.muted]
    statuses: list[Status] = [
        "waiting" if name in waiting else "muted" if name in muted else states[name].status for name in members
    ]
    last = {state.run_id for state in states.values()}
    stamps = {state.stamp for state in states.values() if state.result is not None}
    return NodeState(
        status=whole_status(statuses),
        stamp="stale" if "stale" in stamps else "live" if "live" in stamps else next(iter(stamps), None),
        reason=_reason(members, statuses, states),
        result=_result(plan, results, node_id, states),
        error=next((state.error for state in states.values() if state.error is not None), None),
        run_id=next(iter(last)) if len(last) == 1 else None,
        cost_s=sum(state.cost_s or 0.0 for state in states.values()),
    )


def _reason(members: Sequence[str], statuses: Sequence[Status], states: dict[str, NodeState]) -> str:
    count = len(members)
    counted = f"{count} node{'s' if count != 1 else ''}"
    for name, status in zip(members, statuses, strict=True):
        if status in ("failed", "unresponsive", "waiting", "skipped"):
            return f"{name.partition('/')[2]}: {states[name].reason or status}"
    return counted


def _result(plan: Plan, results: FlowResults, node_id: str, states: dict[str, NodeState]) -> NodeResult | None:
    nesting = plan.nesting
    outputs: list[Any] = []
    collected: dict[int, Any] = {}
    made: list[NodeResult] = []
    for place, port in enumerate(nesting.types[node_id].outputs):
        leaf, inner = nesting.exits[node_id, port.name]
        slot = plan.slots[plan.index[leaf]]
        result = results.value_of(slot)
        if result is None:
            return None
        names = [entry.name for entry in slot.node_type.outputs]
        index = names.index(inner)
        outputs.append(result.outputs[index])
        if index in result.collected:
            collected[place] = result.collected[index]
        made.append(result)
    if not made:
        return None
    every = [state.result for state in states.values() if state.result is not None]
    return NodeResult(
        outputs=tuple(outputs),
        made_key=KeyParts(digest="", code=NO_CODE, parts={}, shown={}),
        version=max(result.version for result in made),
        collected=collected,
        run_id=made[-1].run_id,
        at=max(result.at for result in made),
        took_s=sum(result.took_s for result in every),
        shape=made[0].shape,
        copies=tuple(copy for result in every for copy in result.copies),
    )
