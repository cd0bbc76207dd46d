"""Flows used as nodes: what a flow gives others as a type, how it is kept in step, saved, and looked at as one node."""

from __future__ import annotations

import contextlib
import weakref
from typing import TYPE_CHECKING, Any

from flowbook.core.document import from_document, to_document
from flowbook.core.expansion import SEPARATOR
from flowbook.core.subflows import TYPE_PREFIX, refuse_recursion, subflow_type
from flowbook.errors import RunError, WiringError
from flowbook.runtime.run import node_failed
from flowbook.runtime.subflow_states import subflow_state
from flowbook.session.node_handle import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowbook.core.flow_data import FlowData
    from flowbook.core.node_types import NodeType
    from flowbook.runtime.results import NodeState
    from flowbook.session.flow_handle import Flow


class SubflowTypes:
    """Which flow is used in which, by name: those that use one are told when it changes.

    Args:
        find: finds the flow that nodes are made from which only know its name.
    """

    def __init__(self, find: Callable[[str], Flow | None]) -> None:
        self._find = find
        self._users: dict[str, weakref.WeakSet[Flow]] = {}

    def use(self, name: str, user: Flow) -> None:
        """Remember that ``user`` has nodes made from the flow of that name, or wants to."""
        self._users.setdefault(name, weakref.WeakSet()).add(user)

    def changed(self, flow: Flow) -> None:
        """Put the flow's new form in place of the old wherever it is used, or waited for."""
        users = self._users.get(flow.name)
        if users is None:
            return
        for user in list(users):
            old = user.data.types.get(TYPE_PREFIX + flow.name)
            body = old.body if old is not None else None
            is_meant = body.origin is flow.origin if body is not None else self._find(flow.name) is flow
            if user is not flow and is_meant:
                with contextlib.suppress(WiringError):  # it would contain itself: the node waits
                    user.take_subflow(type_of_flow(flow, user))

    def became(self, flow: Flow, became: Sequence[tuple[str, str | None]]) -> None:
        """Tell who uses the flow what became of its nodes: ``(old id, new id)``, or None for one that is gone."""
        for user in list(self._users.get(flow.name, ())):
            if user is not flow:
                user.inner_became(flow.origin, became)


def inner_changes(old: NodeType | None, new: NodeType) -> tuple[list[str], list[str]]:
    """Name the leaves of a flow's earlier form that the present one has not, and those that have other code in it."""
    if old is None or old.body is None or new.body is None:
        return [], []
    before, now = old.body.expansion.data, new.body.expansion.data
    gone = [name for name in before.nodes if name not in now.nodes]
    changed = [
        name for name in before.nodes if name in now.nodes and before.type_of(name).source != now.type_of(name).source
    ]
    return gone, changed


def type_of_flow(flow: Flow, user: Flow) -> NodeType:
    """Make the node type of a flow for another one.

    Raises:
        WiringError: FB214, the flow would contain itself.
    """
    with flow.lock:
        found = subflow_type(flow.data, flow.origin)
    refuse_recursion(user.name, user.origin, found)
    return found


def names_of_subflows(data: FlowData) -> list[str]:
    """Name the flows that nodes of a document are made from."""
    ids = {node.type_id for node in data.nodes.values() if node.type_id.startswith(TYPE_PREFIX)}
    return sorted(type_id.removeprefix(TYPE_PREFIX) for type_id in ids)


def entry_of(node_type: NodeType, describe: Callable[[FlowData], list[dict[str, Any]]]) -> dict[str, Any]:
    """Describe a flow's type for the ``types`` of a document: the document of that flow, with the code it needs."""
    assert node_type.body is not None  # noqa: S101 -- asked before
    data = node_type.body.data
    return {"id": node_type.type_id, "flow": to_document(data, types=describe(data))}


def type_from_entry(entry: dict[str, Any], complete: Callable[[FlowData], None]) -> NodeType:
    """Read a flow's type back.

    Args:
        entry: an element of ``types`` with a ``flow``.
        complete: looks up the node types of the flow in it.

    Raises:
        DocumentError: the flow in it is no document.
    """
    data = from_document(entry["flow"])
    complete(data)
    return subflow_type(data, object())


class SubflowNode(Node):
    """A node made from a flow: its value is that of its output, its status sums up the nodes in it."""

    @property
    def _state(self) -> NodeState:
        return subflow_state(self._flow.plan, self._flow.results, self.id)

    @property
    def node_type(self) -> NodeType:
        """What it is made from; of a subflow in a subflow too."""
        return self._flow.plan.nesting.types[self.id]

    @property
    def value(self) -> Any:
        """Its present value: of its one output, or of the one that bears its name; by name when there are several.

        Raises:
            RunError: FB408, it has none yet.
        """
        nesting = self._flow.plan.nesting
        node_type = nesting.types[self.id]
        primary = node_type.primary_output(self.id.rpartition(SEPARATOR)[2])
        if primary is not None:
            return self._leaf(primary)
        state = self._state
        if state.error is not None:
            raise node_failed(state.error, f"flow {self._flow.name!r}") from state.error.cause
        return {port.name: self._leaf(port.name) for port in node_type.outputs}

    def _leaf(self, port: str) -> Any:
        plan = self._flow.plan
        node_id, inner = plan.nesting.exits[self.id, port]
        slot = plan.slots[plan.index[node_id]]
        state, result = self._flow.results.state(node_id), self._flow.results.value_of(slot)
        if result is None:
            if state.error is not None:
                raise node_failed(state.error, f"flow {self._flow.name!r}") from state.error.cause
            raise RunError(
                f"{self.id!r} has no value yet",
                code="FB408",
                where=f"flow {self._flow.name!r}",
                hint=f'await flow.run(to="{self.id}")',
            )
        index = [entry.name for entry in slot.node_type.outputs].index(inner)
        return self._flow.engine.value_for_user(result, index, slot.node_type.outputs[index].form)

    @property
    def status(self) -> Any:
        """idle, queued, running, ok, failed, skipped, muted, unresponsive or waiting, of the nodes in it together."""
        return self._state.status
