"""What a flow would do that is run for each item of a list, as if it were code: the digest of its nodes and edges."""

from __future__ import annotations

import hashlib
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flowbook.runtime.code_keys import CodeKey
from flowbook.runtime.plan import Plan, compile_plan
from flowbook.runtime.results import FlowResults

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from flowbook.core.expansion import Body
    from flowbook.core.node_types import NodeType
    from flowbook.core.packets import ErrorPacket
    from flowbook.runtime.engine import Engine
    from flowbook.runtime.inputs import RunView
    from flowbook.runtime.keys import KeyMaker
    from flowbook.runtime.plan import Slot
    from flowbook.runtime.results import KeyParts, NodeResult

#: Plans of flows as they are written; of each of them there is one body, until it is edited.
_plans: weakref.WeakKeyDictionary[Body, Plan] = weakref.WeakKeyDictionary()


@dataclass(slots=True)
class _NothingGiven:
    """What a run is given that is given nothing."""

    settings: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Inside:
    """The flow by itself, before it is run (``RunView``)."""

    plan: Plan
    engine: Engine
    request: _NothingGiven = field(default_factory=_NothingGiven)
    results: FlowResults = field(default_factory=FlowResults)
    trace_id: str = ""

    def result_of(self, slot: Slot) -> NodeResult | None:
        """Nothing was computed."""

    def error_of(self, slot: Slot) -> ErrorPacket | None:
        """Nothing failed."""


def code_of_flow(
    engine: Engine, flow_type: NodeType, maker: KeyMaker, key_of: Callable[[RunView, Slot, Collection[str]], KeyParts]
) -> CodeKey:
    """Digest what the nodes of a flow do and how they are wired; O(nodes).

    The settings of its nodes and what comes through its ports are left out: they are those of the node that it is.

    Args:
        engine: digests code.
        flow_type: of the flow.
        maker: gets what is no code: constants of inner nodes, names they read of the notebook, files.
        key_of: makes the key of an inner node, without those inputs and settings, and without what edges bring.

    Raises:
        FlowbookError: an inner node lacks an input.
    """
    body = flow_type.body
    assert body is not None  # noqa: S101 -- it is the type of a flow
    plan = _plans.get(body)
    if plan is None:
        plan = _plans[body] = compile_plan(body.expansion.data, body.expansion.wiring)
    view = _Inside(plan, engine)
    fed = {end for ends in body.inputs.values() for end in ends}
    parts: dict[str, str] = {}
    shown: dict[str, str] = {}
    is_portable, digest = True, hashlib.blake2b(digest_size=16)
    for slot in plan.slots:
        if slot.node_type.function is None:  # it waits for its cell
            continue
        without = {*slot.settings, *(port.name for port in slot.node_type.inputs if (slot.node_id, port.name) in fed)}
        key = key_of(view, slot, without)
        digest.update(f"\0{slot.node_id}\1{key.code.digest}".encode())
        is_portable = is_portable and key.code.is_portable
        for label, part in key.code.parts.items():
            known = parts.get(label, "")
            parts[label] = known if part in known else known + part  # two nodes may use one helper
        shown.update(key.code.shown)
        _add(maker, slot.node_id, key)
    wiring = [repr((slot.node_id, _edges_of(plan, slot))) for slot in plan.slots]
    wiring.append(repr((sorted(body.inputs.items()), sorted(body.outputs.items()))))
    parts[f"flow {body.data.id}"] = hashlib.blake2b("\n".join(wiring).encode(), digest_size=16).hexdigest()
    digest.update(parts[f"flow {body.data.id}"].encode())
    return CodeKey(digest.hexdigest(), parts, shown, is_portable)


def _edges_of(plan: Plan, slot: Slot) -> tuple[object, ...]:
    """Say what a node reads, and what else decides whether and how it fires."""
    policy = slot.policy
    edges = [
        (binding.name, [plan.slots[source].node_id for source in binding.sources], binding.output)
        for binding in slot.bindings
        if binding.kind == "edge"
    ]
    return (edges, policy.muted, policy.bypassed, policy.on_item_error)


def _add(maker: KeyMaker, node_id: str, key: KeyParts) -> None:
    """Take over the parts of an inner node's key that are no code."""
    for label, part in key.parts.items():
        word, _, name = label.partition(" ")
        own = label if word == "file" else f"{word} {node_id}.{name}" if name else f"{word} {node_id}"
        maker.parts[own] = maker.parts.get(own, "") + part
        if label in key.shown:
            maker.shown[own] = key.shown[label]
