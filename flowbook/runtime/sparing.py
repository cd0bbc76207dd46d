"""What can be decided about a slot without firing it, and otherwise why it fires.

Nothing here runs node code or changes the run; ``Execution`` asks, and enters the answer into its books.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowbook.errors import MissingInputError, RunError
from flowbook.runtime import disk_results
from flowbook.runtime.decisions import SUPERSEDED, Decision
from flowbook.runtime.keys import KeyMaker, changed_file, explain
from flowbook.runtime.plan import ERROR_INDEX

if TYPE_CHECKING:
    from flowbook.runtime.engine import Engine
    from flowbook.runtime.execution import Execution
    from flowbook.runtime.plan import Binding, Slot
    from flowbook.runtime.results import KeyParts, NodeResult


def without_firing(run: Execution, slot: Slot) -> Decision | None:
    """Decide about a slot that cannot or need not fire, whatever its key; None when it may have to.

    Raises:
        MissingInputError: FB403, it reads a node whose code is not known.
    """
    if slot.node_id in run.request.overrides:
        return _overridden(run, slot)
    if slot.node_type.function is None:
        return Decision(status="waiting", reason="its cell has not run", root=slot.node_id)
    if slot.policy.muted:
        return Decision(status="muted", reason="muted", root=slot.node_id)
    if run.is_superseded(slot):
        return Decision(status="skipped", reason=SUPERSEDED, root=slot.node_id, is_kept=False)
    if run.stopped_by:
        return Decision(status="skipped", reason=f"skipped: {run.stopped_by} failed", root=run.stopped_by)
    first = first_edge(slot)
    for binding in slot.bindings if not slot.policy.bypassed else (first,) if first is not None else ():
        blocked = _blocked_by(run, slot, binding)
        if blocked is not None:
            return blocked
    return _bypassed(run, slot, first) if slot.policy.bypassed else None


def _blocked_by(run: Execution, slot: Slot, binding: Binding) -> Decision | None:
    if binding.group:
        return _without_failure(run, binding)
    if binding.kind != "edge" or binding.source not in run.request.scope:
        return None
    source = run.plan.slots[binding.source]
    decision = run.decisions.get(source.node_id)
    if decision is None or decision.status == "ok":
        if binding.output == ERROR_INDEX:
            return Decision(status="skipped", reason=f"skipped: {source.node_id} did not fail", root=source.node_id)
        return None
    if binding.output == ERROR_INDEX and decision.status == "failed":
        return None
    if decision.status == "waiting":
        raise MissingInputError(
            f"{slot.node_id!r} needs {source.node_id!r}, whose cell has not run",
            where=f"flow {run.plan.flow!r}, node {slot.node_id!r}",
            hint=f"run the cell that defines {source.node_id!r}",
            node=slot.node_id,
            port=binding.name,
        )
    word = {"muted": "is muted", "skipped": "failed", "failed": "failed"}.get(decision.status, "did not answer")
    reason = decision.reason if decision.status == "skipped" else f"skipped: {source.node_id} {word}"
    return Decision(
        status="skipped", reason=reason, root=decision.root or source.node_id, is_kept=decision.reason != SUPERSEDED
    )


def _without_failure(run: Execution, binding: Binding) -> Decision | None:
    """Decide about a slot that reads the failure of a subflow in which nothing failed; None when something did."""
    is_covered = not run.request.scope.isdisjoint(binding.sources)
    if not is_covered or any(run.error_of(run.plan.slots[source]) is not None for source in binding.sources):
        return None
    return Decision(status="skipped", reason=f"skipped: {binding.group} did not fail", root=binding.group)


def _overridden(run: Execution, slot: Slot) -> Decision:
    values = run.request.overrides[slot.node_id]
    maker = KeyMaker(run.engine.payloads.content_key, run.engine.identities)
    for number, value in enumerate(values):
        maker.add_value(f"given override {number}", value)
    key = maker.finish(run.engine.no_code, run.engine.versions)
    result = run.make_result(slot, values, key, key.digest, is_own=False)
    return Decision(status="ok", stamp="live", reason="given by overrides", result=result)


def _bypassed(run: Execution, slot: Slot, first: Binding | None) -> Decision:
    if first is None:
        return Decision(status="skipped", reason="bypassed, but it reads nothing", root=slot.node_id)
    source = run.result_of(run.plan.slots[first.source])
    if source is None or first.output is None or first.output == ERROR_INDEX:
        return Decision(status="skipped", reason="bypassed, but its input has no value", root=slot.node_id)
    value = source.outputs[first.output]
    outputs = (value, *(None for _ in slot.node_type.outputs[1:]))
    key = bypass_key(run.engine, slot, first, run.plan.slots[first.source].node_id, source)
    result = run.make_result(slot, outputs, key, key.digest, is_own=source.is_own)
    return Decision(status="ok", stamp="live", reason="bypassed", result=result)


def first_edge(slot: Slot) -> Binding | None:
    """The edge whose value a bypassed slot hands on."""
    return next((binding for binding in slot.bindings if binding.kind == "edge"), None)


def bypass_key(engine: Engine, slot: Slot, first: Binding, source_id: str, source: NodeResult) -> KeyParts:
    """Key what a bypassed slot hands on: it depends on what it reads and on nothing of its own."""
    maker = KeyMaker(engine.payloads.content_key, engine.identities)
    maker.add_edge(first.name, source_id, f"{source.effective_key}.{first.output}")
    maker.parts["bypassed"] = str(len(slot.node_type.outputs))
    return maker.finish(engine.no_code, engine.versions)


def reusable(run: Execution, slot: Slot, key: KeyParts, known: NodeResult | None) -> tuple[NodeResult, str] | None:
    """Find a value that is as good as firing, and say why; None when there is none.

    A pure mapped node whose items failed fires again: those that did not are found one by one.
    """
    if run.request.force:
        return None
    if slot.policy.on_change == "once" and known is not None:
        return known, "computed once"
    is_same = known is not None and known.key.digest == key.digest
    if slot.policy.kind != "pure":
        return (known, "nothing changed") if known and is_same and not run.request.is_explicit else None
    if known is not None and is_same and not known.is_partial and not changed_file(known):
        return known, "nothing changed"
    if slot.policy.cache != "off":
        with run.results.lock:
            earlier = run.results.cache.get(slot.node_id, key.digest)
        if earlier is None:
            earlier = _kept_when_plain(run, slot, key)
        if earlier is not None and not earlier.is_partial and not changed_file(earlier):
            return earlier, "computed before with the same settings and inputs"
    kept = disk_results.find(run, slot, key)
    return (kept, "kept on disk from an earlier run") if kept is not None else None


def _kept_when_plain(run: Execution, slot: Slot, key: KeyParts) -> NodeResult | None:
    maker = KeyMaker(run.engine.payloads.content_key, run.engine.identities)
    for label, part in key.parts.items():
        kind, _, name = label.partition(" ")
        if kind == "input":
            maker.add_read(name)
        else:
            maker.parts[label] = part
    with run.results.lock:
        kept = run.results.kept(run.plan, slot, maker.finish(key.code, run.engine.versions))
    if kept is not None:
        kept.made_key, kept.made_effective = key, key.digest
    return kept


def refuse_second_copy(run: Execution, slot: Slot) -> None:
    """Refuse to fire a stateful or io node whose earlier firing never returned: it must not run twice at once.

    Raises:
        RunError: FB407.
    """
    with run.results.lock:
        still_runs = run.results.unresponsive.get(slot.node_id)
        if still_runs is None:
            return
        if not still_runs():
            run.results.unresponsive.pop(slot.node_id, None)
            return
    if slot.policy.kind != "pure":
        raise RunError(
            f"the previous firing of {slot.node_id!r} has not ended yet",
            code="FB407",
            where=f"flow {run.plan.flow!r}, node {slot.node_id!r}",
            hint="wait for it, or restart the kernel",
        )


def reason_to_fire(run: Execution, slot: Slot, key: KeyParts) -> str:
    """Say in words why a slot fires."""
    if run.request.force:
        return "forced"
    with run.results.lock:
        state = run.results.state(slot.node_id)
        known, failed_before = state.result, state.error is not None
        last_key = state.last_key or (known.key if known is not None else None)
    why = explain(last_key, key)
    if why != "nothing changed":
        return why
    if slot.policy.kind != "pure":
        return f"{slot.policy.kind} node: fires at every run"
    if failed_before:
        return "failed last time"
    if known is not None and known.is_partial:
        return "items of it failed last time"
    if known is not None and (name := changed_file(known)):
        return f"file {name} changed"
    return "its value was not kept"
