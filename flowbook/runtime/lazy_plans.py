"""Says whose steps are computed where: a lazy table is built by some nodes and computed in another one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowbook.runtime.engine import Engine
    from flowbook.runtime.plan import Plan, Slot
    from flowbook.runtime.results import NodeResult


class ResultView(Protocol):
    """What a run knows of values."""

    @property
    def plan(self) -> Plan:
        """The compiled flow."""
        ...

    @property
    def engine(self) -> Engine:
        """Payloads."""
        ...

    def result_of(self, slot: Slot) -> NodeResult | None:
        """The value that readers of ``slot`` get."""
        ...


@contextmanager
def computing(view: ResultView, slot: Slot, value: object) -> Iterator[None]:
    """Name the nodes whose steps are computed in the block, when they are several and computing fails.

    Args:
        view: the run.
        slot: the node that made the value.
        value: what is computed, if it is a lazy table.
    """
    try:
        yield
    except Exception as error:
        above = steps_above(view, slot) if view.engine.payloads.shape(value).is_lazy else []
        if above:
            steps = " → ".join([*above, slot.node_id])
            error.add_note(
                f"the steps of {steps} are computed together; pin one to see whether it is the one that fails: "
                f'flow.set_policy("{above[0]}", pinned=True)'
            )
        raise


def steps_above(view: ResultView, slot: Slot) -> list[str]:
    """List the nodes that built the plans which ``slot`` builds on, in topological order."""
    return [above.node_id for above in slots_above(view, slot)]


def slots_above(view: ResultView, slot: Slot) -> list[Slot]:
    """List the slots that built the plans which ``slot`` builds on, in topological order."""
    found: set[int] = set()
    waiting = [slot]
    while waiting:
        for binding in waiting.pop().bindings:
            source = view.plan.slots[binding.source] if binding.kind == "edge" else None
            result = view.result_of(source) if source is not None else None
            if source is None or result is None or source.index in found or binding.output is None:
                continue
            is_plan = 0 <= binding.output < len(result.outputs) and binding.output not in result.kept
            if is_plan and view.engine.payloads.shape(result.outputs[binding.output]).is_lazy:
                found.add(source.index)
                waiting.append(source)
    return [view.plan.slots[index] for index in sorted(found)]
