"""Results of nodes with ``cache="disk"``: kept when they are made, found again by the next kernel."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from flowbook.runtime.keys import changed_file

if TYPE_CHECKING:
    from flowbook.runtime.execution import Execution
    from flowbook.runtime.plan import Slot
    from flowbook.runtime.results import KeyParts, NodeResult


def is_meant(slot: Slot) -> bool:
    """Whether what the slot gives is to be kept on disk: only what the same inputs give again can be."""
    return slot.policy.cache == "disk" and slot.policy.kind == "pure" and not slot.policy.bypassed


def keep(run: Execution, slot: Slot, result: NodeResult) -> None:
    """Keep a result that was just made; its lazy tables have been collected. Says so on the node when it cannot be.

    One that lacks items is not kept: they may come to something the next time.
    """
    disk = run.engine.disk
    if disk is None or not is_meant(slot) or result.is_partial:
        return
    # A collected table goes with its plan's kind: it comes back as a lazy table over what is read.
    values = [
        result.collected[index].lazy() if index in result.collected else value
        for index, value in enumerate(result.outputs)
    ]
    facts = {
        "runId": result.run_id,
        "at": result.at,
        "tookS": result.took_s,
        "effectiveKey": result.effective_key,
        "files": [list(entry) for entry in result.files],
    }
    refusal = disk.put(
        _name(slot, result.key),
        values,
        flow=run.plan.flow,
        node=slot.node_id,
        facts=facts,
        replaces=run.request.force,
    )
    if refusal is not None and result.effects is not None:
        result.effects.entries.append(("warning", f"not kept on disk: {refusal.reason}\n"))


def find(run: Execution, slot: Slot, key: KeyParts) -> NodeResult | None:
    """Find what an earlier kernel kept under this key; None when there is nothing, or a file it read has changed."""
    disk = run.engine.disk
    if disk is None or not is_meant(slot):
        return None
    kept = disk.get(_name(slot, key))
    if kept is None or len(kept.values) != len(slot.node_type.outputs):
        return None
    facts = kept.facts
    payloads = run.engine.payloads
    outputs = tuple(payloads.publish(value) for value in kept.values)
    result = run.make_result(slot, outputs, key, facts["effectiveKey"], is_own=True)
    result.files = tuple((path, size_bytes, mtime_ns) for path, size_bytes, mtime_ns in facts["files"])
    result.run_id, result.at, result.took_s = facts["runId"], facts["at"], facts["tookS"]
    return None if changed_file(result) else result


def _name(slot: Slot, key: KeyParts) -> str:
    """Name the entry: a key does not say what the outputs are called."""
    ports = "\0".join(port.name for port in slot.node_type.outputs)
    return hashlib.blake2b(f"{key.digest}\0{ports}".encode(), digest_size=16).hexdigest()
