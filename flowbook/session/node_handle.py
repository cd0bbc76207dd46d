"""One node of a flow, as a person looks at it: its value, its status and its settings."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from flowbook.errors import RunError, UnknownIdError, did_you_mean
from flowbook.runtime.run import node_failed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbook.core.events import Stamp, Status
    from flowbook.core.node_types import NodeType
    from flowbook.runtime.results import NodeState
    from flowbook.session.flow_handle import Flow


class Node:
    """One node of a flow, as ``flow["name"]`` gives it."""

    def __init__(self, flow: Flow, node_id: str) -> None:
        self._flow = flow
        self.id = node_id

    @property
    def flow(self) -> Flow:
        """The flow it is in."""
        return self._flow

    @property
    def _state(self) -> NodeState:
        return self._flow.results.state(self.id)

    @property
    def value(self) -> Any:
        """Its present value (the primary output), also when stale.

        Raises:
            RunError: FB408, it has none yet.
        """
        state, where = self._state, f"flow {self._flow.name!r}"
        plan = self._flow.plan
        slot = plan.slots[plan.index[self.id]]
        result = self._flow.results.value_of(slot)
        if result is None:
            if state.error is not None:
                raise node_failed(state.error, where) from state.error.cause
            raise RunError(
                f"{self.id!r} has no value yet", code="FB408", where=where, hint=f'await flow.run(to="{self.id}")'
            )
        if slot.primary is None:
            return {
                port.name: self._flow.engine.value_for_user(result, index, port.form)
                for index, port in enumerate(slot.node_type.outputs)
            }
        form = slot.node_type.outputs[slot.primary].form
        return self._flow.engine.value_for_user(result, slot.primary, form)

    @property
    def status(self) -> Status:
        """idle, queued, running, ok, failed, skipped, muted, unresponsive or waiting."""
        slot = self._flow.plan.slots[self._flow.plan.index[self.id]]
        if slot.node_type.function is None:
            return "waiting"
        return "muted" if slot.policy.muted else self._state.status

    @property
    def stamp(self) -> Stamp | None:
        """live, cached or stale; None when it has no value."""
        state = self._state
        if state.result is None:
            return None
        return "stale" if self.id in self._flow.stale() else state.stamp

    @property
    def reason(self) -> str:
        """Why it is stale, or why it fired or did not in the last run that covered it."""
        return self._flow.stale().get(self.id, self._state.reason)

    @property
    def node_type(self) -> NodeType:
        """What it is made from."""
        return self._flow.data_around(self.id).type_of(self.id)

    @property
    def settings(self) -> MutableMapping[str, Any]:
        """Its settings by name; setting one turns it and what is below it stale.

        An input's name may be set too, to a constant, and deleted again; it is not among them otherwise.
        """
        return _Settings(self._flow, self.id)

    def traits(self) -> Any:
        """A ``traitlets.HasTraits`` whose traits are the settings; linked both ways.

        A change through a trait is a person's: the node and those below it re-run by themselves if they are quick.
        """
        from flowbook.canvas.setting_traits import traits_of  # noqa: PLC0415 -- loads traitlets

        return traits_of(self._flow, self.id, self._flow.traits)

    def __repr__(self) -> str:
        """Show flow, id, status and stamp."""
        stamp = self.stamp
        return f"<node {self.id} of {self._flow.name}: {self.status}{f', {stamp}' if stamp else ''}>"


class _Settings(MutableMapping[str, Any]):
    """A node's settings as a mapping of Python values."""

    def __init__(self, flow: Flow, node_id: str) -> None:
        self._flow = flow
        self._node_id = node_id

    @property
    def _type(self) -> NodeType:
        return self._flow[self._node_id].node_type

    def __getitem__(self, name: str) -> Any:
        data = self._flow.data_around(self._node_id)
        spec = self._type.setting(name)
        if spec is None:
            raise UnknownIdError(
                f"{self._node_id!r} has no setting {name!r}",
                where=data.where,
                hint=did_you_mean(name, self) or "it has none",
                node=self._node_id,
                setting=name,
            )
        node_id = self._node_id
        if node_id not in data.nodes:  # a subflow in a subflow: its leaves have the values
            ((node_id, name), *_) = self._flow.plan.nesting.entries[node_id, name]
        return spec.to_python(data.node(node_id).settings.get(name, spec.default))

    def __setitem__(self, name: str, value: Any) -> None:
        self._flow.set(self._node_id, **{name: value})

    def __delitem__(self, name: str) -> None:
        self._flow.reset(self._node_id, name)

    def __iter__(self) -> Iterator[str]:
        return iter([spec.name for spec in self._type.settings])

    def __len__(self) -> int:
        return len(self._type.settings)

    def __repr__(self) -> str:
        return repr(dict(self))
