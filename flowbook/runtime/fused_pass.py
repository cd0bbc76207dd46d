"""Computes the lazy tables of a region in one pass, and finds out whose step it was when that fails."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from flowbook.core.events import PlansComputed
from flowbook.runtime.fusion import Collecting, Parked, is_shown
from flowbook.runtime.lazy_plans import slots_above

#: Types, columns and functions in what polars says; values stand in double quotes.
_NAMES = re.compile(r"`[^`]*`|'[^']*'")
_NUMBERS = re.compile(r"\d+")

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowbook.runtime.decisions import Request
    from flowbook.runtime.engine import Engine
    from flowbook.runtime.fusion import Fusion, Tally
    from flowbook.runtime.plan import Plan, Slot
    from flowbook.runtime.results import FlowResults, NodeResult


class RunOfPass(Protocol):
    """What a pass knows of its run."""

    trace_id: str
    request: Request

    @property
    def plan(self) -> Plan:
        """The compiled flow."""
        ...

    @property
    def engine(self) -> Engine:
        """Payloads and clock."""
        ...

    @property
    def results(self) -> FlowResults:
        """Present values."""
        ...

    def result_of(self, slot: Slot) -> NodeResult | None:
        """The value that readers of ``slot`` get."""
        ...


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a pass came to.

    Attributes:
        event: what to tell of it; None when nothing had to be computed.
        took_s: wall time, seconds.
        failures: slot whose step failed -> the exception.
        lost: slots whose tables could not be made.
    """

    event: PlansComputed | None = None
    took_s: float = 0.0
    failures: dict[int, BaseException] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)


def compute(run: RunOfPass, fusion: Fusion, entries: Sequence[Parked], one_pass: Collecting) -> Outcome:
    """Collect what is wanted of nodes that were built, together.

    When that fails they are collected one by one, so that what does not depend on the failure is there; and for each
    that fails the first node above it whose own table fails in the same way is found, by computing (not keeping) one
    after the other. Only failures cost that.

    Args:
        run: the run.
        fusion: its regions.
        entries: the nodes, in topological order.
        one_pass: ends it early.
    """
    for entry in entries:
        _preview_again(run, entry)
    wanted = [(entry, output) for entry in entries for output in entry.wanted if output not in entry.result.collected]
    if not wanted:
        for entry in entries:
            _show(run, entry)
        return Outcome()
    clock = run.engine.clock
    started_at, began = clock.time(), clock.monotonic()
    members = _members(run, entries)
    counting = _open(run, members, one_pass)
    outcome = Outcome()
    try:
        tables = run.engine.payloads.collect(_stoppable(run, wanted, one_pass))
    except Exception as error:
        _close(counting, is_good=False)
        _one_by_one(run, wanted, one_pass, outcome, error)
    else:
        _close(counting, is_good=True)
        for (entry, output), table in zip(wanted, tables, strict=True):
            _keep(entry.result, output, table)
    for entry in entries:
        if entry.slot.index not in outcome.lost:
            _show(run, entry)
    outcome.took_s = clock.monotonic() - began
    first = next(iter(outcome.failures.values()), None)
    names = [run.plan.slots[index].node_id for index in members]
    outcome.event = PlansComputed(
        flow=run.plan.flow,
        trace_id=run.trace_id,
        at=clock.time(),
        members=tuple(names),
        collected=tuple(dict.fromkeys(entry.slot.node_id for entry, _ in wanted)),
        started_at=started_at,
        took_s=outcome.took_s,
        flowed=tuple(_flowed(run, members)) if first is None else (),
        not_fused=tuple(fusion.why_not(members).items()),
        error=str(first).strip().partition("\n")[0] if first is not None else "",
    )
    return outcome


def _members(run: RunOfPass, entries: Sequence[Parked]) -> list[int]:
    found: set[int] = set()
    for entry in entries:
        if any(output not in entry.result.collected for output in entry.wanted):
            found.add(entry.slot.index)
            found.update(slot.index for slot in slots_above(run, entry.slot))
    return sorted(found)


def _open(run: RunOfPass, members: Sequence[int], one_pass: Collecting) -> list[Tally]:
    results = [run.result_of(run.plan.slots[index]) for index in members]
    tallies = [tally for result in results if result is not None for tally, _ in result.tapped.values()]
    return [tally for tally in tallies if tally.open(one_pass)]


def _close(tallies: Sequence[Tally], *, is_good: bool) -> None:
    for tally in tallies:
        tally.close(is_good=is_good)


def _flowed(run: RunOfPass, members: Sequence[int]) -> Iterator[tuple[str, str, int]]:
    names = {run.plan.slots[index].node_id for index in members}
    for index in members:
        result = run.result_of(run.plan.slots[index])
        for (_, reader), (tally, _) in result.tapped.items() if result is not None else ():
            if tally.rows is not None and reader in names:
                yield run.plan.slots[index].node_id, reader, tally.rows


def _stoppable(run: RunOfPass, wanted: Sequence[tuple[Parked, int]], one_pass: Collecting) -> list[Any]:
    """Give the plans, with a last step that ends the pass when nobody needs it any more."""
    payloads = run.engine.payloads
    return [payloads.tap(entry.result.outputs[output], one_pass.look) for entry, output in wanted]


def _keep(result: NodeResult, output: int, table: Any) -> None:
    """Let readers of an output start from its table from now on: it is not computed again."""
    with result.lock:
        result.collected[output] = table
        result.kept.add(output)


def _preview_again(run: RunOfPass, entry: Parked) -> None:
    """Let a node whose earlier value could be seen show something of the new one, too, though nobody collects it.

    Its first rows where they cost next to nothing, else its columns.
    """
    primary = entry.slot.primary
    if entry.firing is None or primary is None or entry.wanted or run.request.is_private:
        return
    with run.results.lock:
        earlier = run.results.state(entry.slot.node_id).result
    value, payloads = entry.result.outputs[primary], run.engine.payloads
    if earlier is not None and earlier.previews.get(primary) is not None and payloads.shape(value).is_lazy:
        entry.result.previews[primary] = payloads.preview_of_head(value) or payloads.preview(value)


def _show(run: RunOfPass, entry: Parked) -> None:
    """Let a node whose table a person will look at tell its size, and all of them what they hold."""
    result, payloads = entry.result, run.engine.payloads
    primary = entry.slot.primary
    with result.lock:
        table = result.collected.get(primary) if primary is not None and primary in result.kept else None
        if table is not None and is_shown(entry.slot, run.request):
            result.shape = payloads.shape(table)
        if entry.wanted:
            result.measure(payloads)


def _one_by_one(
    run: RunOfPass,
    wanted: Sequence[tuple[Parked, int]],
    one_pass: Collecting,
    outcome: Outcome,
    error: BaseException,
) -> None:
    payloads = run.engine.payloads
    for entry, output in wanted:
        own: BaseException | None = error if len(wanted) == 1 or one_pass.is_cancelled else None
        if own is None:
            try:
                _keep(entry.result, output, payloads.collect(_stoppable(run, [(entry, output)], one_pass))[0])
            except Exception as failure:
                own = failure
        if own is None:
            continue
        outcome.lost.add(entry.slot.index)
        blamed = entry.slot.index if one_pass.is_cancelled else _blamed(run, entry.slot, own, one_pass)
        outcome.failures.setdefault(blamed, own)


def _blamed(run: RunOfPass, slot: Slot, error: BaseException, one_pass: Collecting) -> int:
    """Find the first node above whose own table fails in the same way; the node itself when there is none."""
    for above in slots_above(run, slot):
        result = run.result_of(above)
        for output, value in enumerate(result.outputs if result is not None else ()):
            if result is None or output in result.kept or one_pass.is_cancelled:
                continue
            try:
                run.engine.payloads.drain(value)
            except Exception as failure:
                if type(failure) is type(error) and _names(failure) == _names(error):
                    return above.index
    return slot.index


def _names(error: BaseException) -> list[str]:
    """What an error names: how many rows it is about depends on what was filtered before."""
    line = str(error).strip().partition("\n")[0]
    return _NAMES.findall(line) or [_NUMBERS.sub("", line)]
