"""Lets go of values after their last use, in runs after which nobody looks at them or runs anything again.

A flow that people work on keeps what its nodes gave: it is shown, and what reads it may become stale and fire again.
A document that is run once from a command line keeps, of nodes with ``cache="off"``, only what the run was for: leaves,
targets and pinned nodes. All others give their memory back when the last node that reads them is decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowbook.errors import RunError

if TYPE_CHECKING:
    from flowbook.runtime.execution import Execution
    from flowbook.runtime.plan import Slot


@dataclass(frozen=True, slots=True)
class Released:
    """Stands where a value was that was let go."""

    node_id: str

    def refuse(self) -> RunError:
        """Make the error of whoever asks for the value."""
        return RunError(
            f"the value of {self.node_id!r} was let go after its last use",
            where=f"node {self.node_id!r}",
            code="FB417",
            hint='pin the node to keep it, "pinned": true, or leave out its "cache": "off"',
            node=self.node_id,
        )


def release_read(run: Execution, reader: Slot) -> None:
    """Let go of what a slot read, as far as nobody else needs it, once the slot is decided. Under the run's lock."""
    if run.plan.policy.on_error == "retry_flow":  # what failed may be given another turn
        return
    for index in reader.predecessors:
        source = run.plan.slots[index]
        if _is_wanted(run, source):
            continue
        decision = run.decisions.get(source.node_id)
        result = decision.result if decision is not None else None
        if result is None or any(run.engine.payloads.shape(value).is_lazy for value in result.outputs):
            continue
        with result.lock:
            result.outputs = tuple(Released(source.node_id) for _ in result.outputs)
            for kept in (result.collected, result.converted, result.tapped, result.previews, result.buffers):
                kept.clear()
            result.kept.clear()
            result.size_bytes = 0
        with run.results.lock:
            state = run.results.own_state(source.node_id)
            if state.result is result:  # another run of the process fires it again
                state.result, state.stamp = None, None


def _is_wanted(run: Execution, source: Slot) -> bool:
    policy = source.policy
    if policy.cache != "off" or policy.pinned or source.is_leaf or source.node_id in run.request.targets:
        return True
    readers = [run.plan.slots[index] for index in source.successors]
    return any(reader.index not in run.request.scope or reader.node_id not in run.decisions for reader in readers)
