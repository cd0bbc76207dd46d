"""What a run was asked for, and what it decides about each slot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from flowbook.errors import CycleError

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from flowbook.core.events import Stamp, Status
    from flowbook.core.packets import ErrorPacket
    from flowbook.runtime.plan import Plan
    from flowbook.runtime.results import NodeResult
    from flowbook.runtime.sweep import Batch

#: Reason of nodes that a cancelled run did not come to, or did not finish.
CANCELLED: Final = "cancelled"
#: Reason of nodes that a newer run computes instead.
SUPERSEDED: Final = "superseded by a newer run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a run was asked for.

    Attributes:
        scope: slots it covers.
        targets: node ids whose lazy values are collected besides the leaves.
        force: fire even what did not change.
        settings: ``(node, setting or port)`` -> JSON value, for this run alone.
        inputs: given inputs by ``port`` or ``node.port``.
        overrides: node id -> values of its outputs, in the order of its ports, that stand in for the node.
        is_explicit: a person asked for it (io nodes fire); False for re-runs after a moved setting.
        letter: the dead letter that the run replays, with the node it is of; None: it replays none.
        is_of_old_inputs: it fires with inputs that are no longer, or not here, the flow's own.
        is_the_last: nobody looks at its values or runs anything afterwards, save at what it was for (``releasing``).
    """

    scope: Set[int]
    targets: frozenset[str] = frozenset()
    force: bool = False
    settings: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    is_explicit: bool = True
    letter: tuple[int, str] | None = None
    is_of_old_inputs: bool = False
    is_the_last: bool = False

    @property
    def is_private(self) -> bool:
        """Whether the run differs from the document, so that node values must not change."""
        return bool(self.settings or self.overrides or self.is_of_old_inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What became of one slot.

    Attributes:
        status: what the canvas shows from now on.
        stamp: of its value; None without one.
        reason: in words.
        result: its value, or None.
        error: its failure, or None.
        root: the node that is to blame when it was skipped.
        is_kept: the flow remembers it; False when a newer run, or an earlier one, knows better.
    """

    status: Status
    stamp: Stamp | None = None
    reason: str = ""
    result: NodeResult | None = None
    error: ErrorPacket | None = None
    root: str = ""
    is_kept: bool = True


class Books:
    """What became of each slot of a run: what single firings came to, and what the sweep did.

    Attributes:
        entered: decisions about single slots, by node id.
        batches: what was swept, each once it was over.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.entered: dict[str, Decision] = {}
        self.batches: list[Batch] = []

    def get(self, node_id: str) -> Decision | None:
        """Return what became of a node, or None."""
        found = self.entered.get(node_id)
        if found is not None or not self.batches:
            return found
        index, batch = self._swept(node_id)
        return None if batch is None else batch.decision(index)

    def __contains__(self, node_id: str) -> bool:
        if node_id in self.entered:
            return True
        return self._swept(node_id)[1] is not None

    def _swept(self, node_id: str) -> tuple[int, Batch | None]:
        index = self._plan.index.get(node_id, -1)
        return index, next((batch for batch in self.batches if index >= 0 and batch.covered[index]), None)

    def undecided(self, scope: Set[int]) -> list[int]:
        """The slots of a run that nothing was decided about, in topological order."""
        if len(self.batches) == 1 and not self.entered and self.batches[0].covered.count(1) == len(scope):
            return []
        index_of = self._plan.index
        decided = {index_of[node_id] for node_id in self.entered}
        masks = [batch.covered for batch in self.batches]
        return [index for index in sorted(scope - decided) if not any(mask[index] for mask in masks)]

    def reason(self, node_id: str) -> str | None:
        """Say in words why a node was fired by a sweep; None when it was not."""
        index, batch = self._swept(node_id)
        return None if batch is None or index not in batch.places else batch.reason(batch.places[index])


def refuse_loops(plan: Plan, scope: Set[int]) -> None:
    """Raise when a scope contains a node on or behind a loop.

    Raises:
        CycleError: FB203, with the loop in order.
    """
    if plan.cycle and any(plan.slots[index].node_id in plan.looped for index in scope):
        path = plan.cycle
        raise CycleError(
            "these nodes read each other in a loop: " + " → ".join(path),
            where=f"flow {plan.flow!r}",
            hint=f'cut one of the edges: flow.disconnect("{path[0]}", "{path[1]}")',
            path=path,
        )
