"""What happened in a run, as frozen records. Times are seconds since the epoch, durations wall seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from flowbook.core.interfaces import Effects, PayloadCopy, ValueShape
    from flowbook.core.packets import ErrorPacket

Status = Literal["idle", "queued", "running", "ok", "failed", "skipped", "muted", "unresponsive", "waiting"]
Stamp = Literal["live", "cached", "stale", "recorded", "replayed", "from notebook"]
RunStatus = Literal["running", "ok", "failed", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """A run left the queue; ``node_ids`` are the nodes it covers, in topological order."""

    kind: Literal["run_started"] = "run_started"
    flow: str
    trace_id: str
    at: float
    node_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStarted:
    """A node began to fire; ``reason`` says in words why, ``effects`` fills while it runs."""

    kind: Literal["node_started"] = "node_started"
    flow: str
    trace_id: str
    node_id: str
    at: float
    attempt: int
    reason: str
    effects: Effects


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFinished:
    """A run has decided about a node: it fired, failed, was reused, skipped, muted or given up.

    Attributes:
        status: what the canvas shows from now on.
        stamp: what its value is now; None when it has none.
        reason: why it fired or did not, in words.
        started_at: when it began, or None when it did not fire.
        took_s: wall time of the firing (all attempts, queueing excluded); None when it did not fire.
        attempt: attempts made, 0 when it did not fire.
        shape: of its primary output, or None.
        copies: copies of payload bytes made to hand it its inputs.
        effects: what it printed and displayed.
        error: the failure, or None.
    """

    kind: Literal["node_finished"] = "node_finished"
    flow: str
    trace_id: str
    node_id: str
    at: float
    status: Status
    stamp: Stamp | None
    reason: str
    started_at: float | None = None
    took_s: float | None = None
    attempt: int = 0
    shape: ValueShape | None = None
    copies: tuple[PayloadCopy, ...] = ()
    effects: Effects | None = None
    error: ErrorPacket | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlansComputed:
    """Lazy tables of several nodes were computed in one pass.

    Attributes:
        members: the nodes whose steps were computed, in topological order.
        collected: those whose tables were made.
        started_at: when it began.
        took_s: wall time; what it is made of belongs to no single member.
        flowed: ``(from, to, rows)``: rows that flowed from member to member, as they were computed: a filter that was
            moved to the front lets fewer rows flow.
        not_fused: neighbours that were not computed with them -> why, in words.
        error: the first line of what went wrong; empty when nothing did.
    """

    kind: Literal["plans_computed"] = "plans_computed"
    flow: str
    trace_id: str
    at: float
    members: tuple[str, ...]
    collected: tuple[str, ...]
    started_at: float
    took_s: float
    flowed: tuple[tuple[str, str, int], ...] = ()
    not_fused: tuple[tuple[str, str], ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """A run is over: nothing of it fires any more, save nodes that did not answer and were given up."""

    kind: Literal["run_finished"] = "run_finished"
    flow: str
    trace_id: str
    at: float
    status: RunStatus


Event = RunStarted | NodeStarted | NodeFinished | PlansComputed | RunFinished
