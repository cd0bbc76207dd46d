"""Dead letters of one flow: which failures become one, when one is settled, and how one is fired again.

A failure becomes a letter when nothing takes it: no node on its error port, and no further attempt or turn of the flow.
It bears what the node was given, not its settings and not its code: both are what one mends before trying again. The
*work* of a letter is a digest of what its inputs were made from; a later success of that node at the same work, however
it came about, settles the letter.

The store is asked on a worker, never under the lock of a run; a run is over when its letters have been kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from flowbook.core.packets import ErrorPacket, Packet
from flowbook.errors import RunError, StoreError
from flowbook.runtime.decisions import Request, refuse_loops
from flowbook.runtime.plan import ERROR_INDEX, Binding, Plan, Slot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowbook.core.interfaces import DeadLetter, DeadLetters, Effects
    from flowbook.runtime.decisions import Decision
    from flowbook.runtime.execution import Execution
    from flowbook.runtime.inputs import SlotInputs
    from flowbook.runtime.results import KeyParts
    from flowbook.runtime.sweep import Batch

#: Fewer works of a node are not worth a look at the store.
_FEW_WORKS: Final = 8

logger = logging.getLogger(__name__)


class Letters:
    """The letters of one flow, as its runs see them. ``open_works`` is read and written under the lock of a run.

    Args:
        store: where they are kept; others may write to it too.
        flow: name of the flow.
    """

    def __init__(self, store: DeadLetters, flow: str) -> None:
        self.store = store
        self._flow = flow
        #: Works of unsettled letters by node, as far as this process knows.
        self.open_works: dict[str, dict[str, int]] = {}
        #: With how many of a node the store is asked which of them it still keeps; it replaces and drops some.
        self._most_works: dict[str, int] = {}
        for letter in store.letters(flow):
            self.note(letter)

    def note(self, letter: DeadLetter) -> None:
        """Remember that there is a letter."""
        if letter.work:
            self.open_works.setdefault(letter.error.node_id, {})[letter.work] = letter.letter_id

    def is_of(self, store: DeadLetters, flow: str) -> bool:
        """Whether these are that flow's letters in that store."""
        return (self.store, self._flow) == (store, flow)

    def take_over(self, other: DeadLetters) -> None:
        """Move the letters of another store here."""
        for listed in other.letters(self._flow):
            with contextlib.suppress(StoreError):  # somebody replays it
                letter = other.take(listed.letter_id)
                number = self.store.put(
                    self._flow,
                    letter.error,
                    letter.inputs,
                    at=letter.at,
                    work=letter.work,
                    fingerprint=letter.fingerprint,
                )
                self.note(replace(letter, letter_id=number))
                other.drop(listed.letter_id)

    def renamed(self, old: str, new: str) -> None:
        """Let letters follow a renamed node."""
        if old in self.open_works:
            self.open_works[new] = self.open_works.pop(old)
            self.store.rename(self._flow, old, new)

    def job_after(
        self, run: Execution, slot: Slot, decision: Decision, fired: tuple[SlotInputs, KeyParts, Effects] | None
    ) -> Callable[[], None] | None:
        """Say what is to be done with the store after a slot of a run was decided; None: nothing. Under the run's lock.

        Args:
            run: the run.
            slot: the slot.
            decision: what became of it.
            fired: what it was fired with, and what it printed; None when it did not fire.
        """
        replayed = run.request.letter
        if replayed is not None and slot.node_id == replayed[1]:
            return self._job_of_replayed(slot.node_id, replayed[0], decision, run.engine.clock.time())
        if fired is None or (run.request.is_private and replayed is None):
            return None
        inputs, key, effects = fired
        if decision.status == "ok":
            is_awaited = slot.node_id in self.open_works
            return self.job_of_success(slot.node_id, work_of(slot, key)) if is_awaited else None
        error = decision.error
        if decision.status != "failed" or error is None or is_taken(run, slot):
            return None
        return self._job_of_failure(error, inputs.given(), work_of(slot, key), fingerprint_of(slot, key), effects, run)

    def jobs_after_sweep(self, run: Execution, batch: Batch) -> list[Callable[[], None]]:
        """Say the same after a sweep, in which nothing failed. Under the run's lock."""
        jobs: list[Callable[[], None] | None] = []
        replayed = run.request.letter
        for node_id in {*self.open_works, *([replayed[1]] if replayed is not None else [])}:
            index = run.plan.index.get(node_id, -1)
            decision = batch.decision(index) if index >= 0 else None
            if decision is None:
                continue
            if replayed is not None and node_id == replayed[1]:
                jobs.append(self._job_of_replayed(node_id, replayed[0], decision, run.engine.clock.time()))
            elif index in batch.places and decision.result is not None:
                jobs.append(self.job_of_success(node_id, work_of(run.plan.slots[index], decision.result.key)))
        return [job for job in jobs if job is not None]

    def job_of_success(self, node_id: str, work: str) -> Callable[[], None] | None:
        """Settle the letter of that work, if there is one."""
        works = self.open_works.get(node_id, {})
        letter_id = works.pop(work, None)
        if not works:
            self.open_works.pop(node_id, None)
        return None if letter_id is None else lambda: self._drop(letter_id)

    def _job_of_failure(
        self,
        error: ErrorPacket,
        inputs: Mapping[str, Any],
        work: str,
        fingerprint: str,
        effects: Effects,
        run: Execution,
    ) -> Callable[[], None]:
        at = run.engine.clock.time()

        def keep() -> None:
            try:
                letter_id = self.store.put(self._flow, error, inputs, at=at, work=work, fingerprint=fingerprint)
            except StoreError as refused:
                effects.entries.append(("warning", f"not kept as a dead letter: {refused.what}\n"))
                logger.warning("a failure of node %r was not kept as a dead letter: %s", error.node_id, refused.what)
                return
            with run.lock:
                works = self.open_works.setdefault(error.node_id, {})
                works[work] = letter_id
                noted = dict(works) if len(works) > self._most_works.get(error.node_id, _FEW_WORKS) else None
            if noted is not None:
                kept = {letter.letter_id for letter in self.store.letters(self._flow)}
                with run.lock:
                    for other, number in noted.items():
                        if number not in kept and works.get(other) == number:
                            del works[other]
                    self._most_works[error.node_id] = max(_FEW_WORKS, 2 * len(works))

        return keep

    def _job_of_replayed(self, node_id: str, letter_id: int, decision: Decision, at: float) -> Callable[[], None]:
        if decision.status != "ok":
            return lambda: self.store.put_back(letter_id, decision.error, at=at)
        works = self.open_works.get(node_id, {})
        for work in [work for work, other in works.items() if other == letter_id]:
            del works[work]
        return lambda: self._drop(letter_id)

    def _drop(self, letter_id: int) -> None:
        self.store.drop(letter_id)


def is_taken(run: Execution, slot: Slot) -> bool:
    """Whether a node of this run is given the failure on its error port."""
    readers = (run.plan.slots[index] for index in slot.successors if index in run.request.scope)
    return any(
        binding.output == ERROR_INDEX and slot.index in binding.sources
        for reader in readers
        if not (reader.policy.muted or reader.policy.bypassed)
        for binding in reader.bindings
        if binding.kind == "edge"
    )


def work_of(slot: Slot, key: KeyParts) -> str:
    """Digest what the inputs of a slot were made from: of its key, all that is neither code nor settings nor files."""
    ports = {f"setting {port.name}" for port in slot.node_type.inputs}
    return _digest(
        {
            label: part
            for label, part in key.parts.items()
            if label in ports or label.startswith(("input ", "given ", "from notebook "))
        }
    )


def fingerprint_of(slot: Slot, key: KeyParts) -> str:
    """Digest the code and the settings of a slot."""
    own = {
        label: part
        for label, part in key.parts.items()
        if label == "version" or (label.startswith("setting ") and label.removeprefix("setting ") in slot.settings)
    }
    return _digest({**own, "code": key.code.digest})


def _digest(parts: Mapping[str, str]) -> str:
    text = "\0".join(f"{label}\1{parts[label]}" for label in sorted(parts))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def replaying(plan: Plan, letter: DeadLetter, inputs: Mapping[str, Any], *, are_present: bool) -> tuple[Plan, Request]:
    """Make what fires a letter's node with its own inputs, and then what is below it.

    What is below may read other nodes as well; those belong to the run, and are reused if nothing changed.

    Args:
        plan: of the flow.
        letter: the letter; its node is in the plan and has its code.
        inputs: what the node is given, by name.
        are_present: these inputs are what the flow would give the node now.

    Raises:
        RunError: FB412, the node does not read one of the inputs any more.
        CycleError: FB203, what is below reads itself in a loop.
    """
    node_id = letter.error.node_id
    slot = plan.slots[plan.index[node_id]]
    unknown = [name for name in inputs if name not in slot.node_type.parameter_names]
    if unknown:
        raise RunError(
            f"{node_id!r} does not read {unknown[0]!r}, which dead letter {letter.letter_id} holds",
            code="FB412",
            where=f"flow {plan.flow!r}",
            hint=f"give {node_id!r} that input again, or flow.dead_letters.drop({letter.letter_id})",
            letter=letter.letter_id,
            port=unknown[0],
        )
    if not are_present:
        plan = _with_open_inputs(plan, slot, inputs)
    needed = plan.downstream([node_id])
    waiting = list(needed)
    while waiting:
        more = set(plan.slots[waiting.pop()].predecessors) - needed
        needed |= more
        waiting += more
    if are_present:  # what is above has its values: the letter was made from them
        needed -= plan.upstream([node_id]) - {slot.index}
    request = Request(
        scope=frozenset(needed),
        inputs={} if are_present else {f"{node_id}.{name}": value for name, value in _opened(slot, inputs).items()},
        letter=(letter.letter_id, node_id),
        is_of_old_inputs=not are_present,
    )
    refuse_loops(plan, request.scope)
    return plan, request


def _opened(slot: Slot, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Give the inputs of ports; a port that wants the packet gets one."""
    origin = f"dead letter of {slot.node_id}"
    return {
        name: Packet(value=value, trace_id="", origin=origin, created_at=0.0)
        if name in slot.node_type.packet_names and not isinstance(value, Packet | ErrorPacket)
        else value
        for name, value in inputs.items()
        if slot.node_type.input(name) is not None
    }


def _with_open_inputs(plan: Plan, slot: Slot, inputs: Mapping[str, Any]) -> Plan:
    """Return the plan with what the letter holds given to the run instead of being read from edges."""
    ports = {port.name: port for port in slot.node_type.inputs}
    bindings = tuple(
        Binding(name=binding.name, kind="open", port=ports[binding.name]) if binding.name in inputs else binding
        for binding in slot.bindings
        if binding.name in ports or binding.name not in inputs
    )
    read = {source for binding in bindings if binding.kind == "edge" for source in binding.sources}
    other = replace(plan, slots=plan.slots.copy())
    for index in set(slot.predecessors) - read:
        source = plan.slots[index]
        other.slots[index] = replace(
            source, successors=tuple(place for place in source.successors if place != slot.index)
        )
    other.slots[slot.index] = replace(
        slot,
        bindings=bindings,
        settings={**slot.settings, **{name: value for name, value in inputs.items() if name not in ports}},
    )
    return other
