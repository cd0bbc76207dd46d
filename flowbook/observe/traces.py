"""The trace of a run: one span per node, made from events."""

from __future__ import annotations

import datetime as dt
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowbook.core.document import json_names
from flowbook.core.events import (
    NodeFinished,
    NodeStarted,
    PlansComputed,
    RunFinished,
    RunStarted,
    RunStatus,
    Stamp,
    Status,
)
from flowbook.core.interfaces import copy_reasons
from flowbook.errors import UnknownIdError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from flowbook.core.events import Event
    from flowbook.core.interfaces import Effects, ItemSpan
    from flowbook.core.packets import ErrorPacket

FORMAT = "1"
_LOG_ENTRIES = 100
_LOG_CHARS = 4_000
_FRAME_TYPES: dict[str, type] = {
    "node": str, "status": str, "stamp": str, "reason": str, "start_s": float, "took_s": float, "attempt": int,
    "rows": int, "columns": int, "copies": int, "copied_bytes": int, "error": str,
}  # fmt: skip
_ITEM_TYPES: dict[str, type] = {
    "item": int, "status": str, "start_s": float, "took_s": float, "attempt": int, "error": str,
}  # fmt: skip
#: So many items of one node have a span of their own in what is stored; the reason of the node counts all of them.
_MOST_ITEMS = 20
#: The same of the nodes of a flow that was run for them.
_MOST_INNER = 200


@dataclass(slots=True, kw_only=True)
class Span:
    """What one run did about one node.

    Attributes:
        node: its id.
        status: see ``core.events.Status``.
        stamp: of its value in this run: live when it fired, cached when it was reused.
        reason: why it fired or did not.
        start_s: when it began, seconds after the run began; None when it did not fire.
        took_s: wall time of all its attempts, seconds; None when it did not fire.
        attempt: attempts made.
        rows: rows of its primary output, None when unknown or not a table.
        columns: columns of its primary output.
        copies: copies of payload bytes made for its inputs.
        copied_bytes: bytes of these copies.
        copy_reason: why they were made, each reason once; empty when there were none.
        effects: what it printed and displayed.
        error: its failure, or None.
    """

    node: str
    status: Status = "queued"
    stamp: Stamp | None = None
    reason: str = ""
    start_s: float | None = None
    took_s: float | None = None
    attempt: int = 0
    rows: int | None = None
    columns: int | None = None
    copies: int = 0
    copied_bytes: int = 0
    copy_reason: str = ""
    effects: Effects | None = None
    error: ErrorPacket | None = None

    @property
    def items(self) -> list[ItemSpan]:
        """What a mapped node did about each item, in their order; empty for other nodes."""
        return list((self.effects.items if self.effects is not None else None) or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedSpan:
    """Lazy tables of several nodes, computed in one pass.

    Attributes:
        members: nodes whose steps were computed, in topological order.
        collected: those whose tables were made.
        start_s: when it began, seconds after the run began.
        took_s: wall time of the pass; no part of it belongs to a single member.
        flowed: ``(from, to, rows)``: rows that flowed from member to member, as they were computed: a filter that was
            moved to the front lets fewer rows flow.
        not_fused: neighbours that were left out -> why, in words.
        error: the first line of what went wrong; empty when nothing did.
    """

    members: tuple[str, ...]
    collected: tuple[str, ...]
    start_s: float
    took_s: float
    flowed: tuple[tuple[str, str, int], ...]
    not_fused: dict[str, str]
    error: str


@dataclass(slots=True)
class _Room:
    """How many spans of inner nodes may still follow for one node, and whether something was left out of it."""

    left: int = _MOST_INNER
    is_short: bool = False


class Trace:
    """Collects the events of one run; readable at any time, complete when ``is_final``.

    Args:
        flow: name of the flow.
        trace_id: id of the run, 32 hex digits.
        make_table: makes a table of rows and of types by column, for ``frame()``.
        asked_at: when the run was asked for, seconds since the epoch; it may have to queue before it starts.
        look: called before the trace is read, so that what goes on at this moment is told first.
    """

    def __init__(
        self,
        flow: str,
        trace_id: str,
        make_table: Callable[[Iterable[dict[str, Any]], Mapping[str, type]], Any],
        asked_at: float = 0.0,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        self.flow = flow
        self.trace_id = trace_id
        self._status: RunStatus = "running"
        self._is_final = False
        self._seq = 0
        #: What came and was not entered yet: that is done when somebody reads the trace.
        self._unread: deque[Event | Callable[[], Iterable[Event]]] = deque()
        self._make_table = make_table
        self._look = look
        self._asked_at = asked_at
        self._lock = threading.Lock()
        self._spans: dict[str, Span] = {}
        self._fused: list[FusedSpan] = []
        self._started_at: float | None = None
        self._took_s = 0.0

    def take(self, event: Event) -> None:
        """Take one event."""
        self._unread.append(event)

    def take_later(self, make: Callable[[], Iterable[Event]]) -> None:
        """Take events that are made when somebody reads the trace."""
        self._unread.append(make)

    def _read(self) -> None:
        """Enter what came. Under the lock."""
        while self._unread:
            entry = self._unread.popleft()
            for event in entry() if callable(entry) else (entry,):
                self._enter(event)

    def _enter(self, event: Event) -> None:
        self._seq += 1
        if isinstance(event, RunStarted):
            self._started_at = event.at
            self._spans = {node_id: Span(node=node_id) for node_id in event.node_ids}
        elif isinstance(event, NodeStarted):
            self._start(event)
        elif isinstance(event, NodeFinished):
            self._finish(event)
        elif isinstance(event, PlansComputed):
            self._fused.append(
                FusedSpan(
                    members=event.members,
                    collected=event.collected,
                    start_s=event.started_at - (self._started_at or event.started_at),
                    took_s=event.took_s,
                    flowed=event.flowed,
                    not_fused=dict(event.not_fused),
                    error=event.error,
                )
            )
        elif isinstance(event, RunFinished):
            self._status = event.status
            self._is_final = True
        if self._started_at is not None:
            self._took_s = event.at - self._started_at

    @property
    def status(self) -> RunStatus:
        """running, ok, failed or cancelled."""
        self._look()
        with self._lock:
            self._read()
            return self._status

    @property
    def is_final(self) -> bool:
        """Whether the run is over."""
        self._look()
        with self._lock:
            self._read()
            return self._is_final

    @property
    def seq(self) -> int:
        """How many events it holds."""
        self._look()
        with self._lock:
            self._read()
            return self._seq

    def _start(self, event: NodeStarted) -> None:
        span = self._spans.setdefault(event.node_id, Span(node=event.node_id))
        span.status, span.reason, span.attempt, span.effects = "running", event.reason, event.attempt, event.effects
        if span.start_s is None and self._started_at is not None:
            span.start_s = event.at - self._started_at

    def _finish(self, event: NodeFinished) -> None:
        self._fill(self._spans.setdefault(event.node_id, Span(node=event.node_id)), event)

    def _fill(self, span: Span, event: NodeFinished) -> None:
        span.status, span.stamp, span.reason = event.status, event.stamp, event.reason
        span.took_s, span.attempt, span.effects, span.error = event.took_s, event.attempt, event.effects, event.error
        if event.started_at is not None and self._started_at is not None:
            span.start_s = event.started_at - self._started_at
        if event.shape is not None:
            span.rows, span.columns = event.shape.rows, event.shape.columns
        span.copies = len(event.copies)
        span.copied_bytes = sum(copy.size_bytes for copy in event.copies)
        span.copy_reason = copy_reasons(event.copies)

    @property
    def spans(self) -> list[Span]:
        """The spans, in topological order of their nodes."""
        self._look()
        with self._lock:
            self._read()
            return list(self._spans.values())

    @property
    def fused(self) -> list[FusedSpan]:
        """The passes in which lazy tables were computed, in the order in which they ended."""
        self._look()
        with self._lock:
            self._read()
            return list(self._fused)

    @property
    def took_s(self) -> float:
        """Wall time from the first event to the last one so far, seconds."""
        self._look()
        with self._lock:
            self._read()
            return self._took_s

    def counts(self) -> dict[str, int]:
        """Count what the run did: nodes that ran, were reused, failed, were skipped; copies and their bytes."""
        spans = self.spans
        return {
            "ran": sum(span.attempt > 0 for span in spans),
            "cached": sum(span.stamp == "cached" for span in spans),
            "failed": sum(span.status in ("failed", "unresponsive") for span in spans),
            "skipped": sum(span.status == "skipped" for span in spans),
            "copies": sum(span.copies for span in spans),
            "copied_bytes": sum(span.copied_bytes for span in spans),
        }

    def to_json(self) -> dict[str, Any]:
        """Return the trace as JSON values, in the form that is stored in notebooks.

        What is stored is a record: a value that was computed in this run is stamped ``recorded``, never ``live``.
        """
        took_s, spans = self.took_s, self.spans
        told: list[Span] = []
        is_summarised = False
        for span in _with_subflows(spans):
            room = _Room()
            told += (span, *self._item_spans(span, span.node, room))
            is_summarised |= room.is_short
        started_at = dt.datetime.fromtimestamp(self._started_at or self._asked_at, tz=dt.UTC)
        return {
            "flowbook": FORMAT,
            "kind": "trace",
            "flow": self.flow,
            **json_names({"run_id": self.trace_id, "seq": self.seq, "status": self.status, "final": self.is_final}),
            **json_names({"started_at": started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}),
            **json_names({"took_s": round(took_s, 6)}),
            "summarised": is_summarised,
            "counts": json_names(self.counts()),
            "spans": [_span_json(span) for span in told],
            "fused": [_fused_json(span) for span in self.fused],
        }

    def _item_spans(self, span: Span, node_id: str, room: _Room) -> Iterator[Span]:
        """Give the stored spans of a mapped node's items: those that failed, then the first of the others.

        Those of the nodes of a flow that was run for an item follow it: ``rows[3]/parse``.

        Args:
            span: of the node.
            node_id: of the node, as events name it.
            room: for spans of inner nodes; of an item all of them are given, or none.
        """
        kept = sorted(span.items, key=lambda item: (item.error is None, item.index))[:_MOST_ITEMS]
        room.is_short |= len(kept) < len(span.items)
        for item in sorted(kept, key=lambda item: item.index):
            yield (whole := _item_span(span, item))
            if len(item.inner) > room.left:
                room.is_short = True
                continue
            room.left -= len(item.inner)
            for event in item.inner:
                inner = Span(node=whole.node + event.node_id.removeprefix(node_id))
                self._fill(inner, event)
                yield inner
                yield from self._item_spans(inner, event.node_id, room)

    def items(self, node_id: str) -> Any:
        """Return one row per item of a mapped node as a polars DataFrame: item, status, times, attempts, error.

        Raises:
            UnknownIdError: a KeyError: the run does not cover that node.
        """
        spans = self.spans
        span = next((span for span in spans if span.node == node_id), None)
        if span is None:
            around = next((span.node for span in spans if span.items and node_id.startswith(f"{span.node}/")), "")
            raise UnknownIdError(
                f"the run does not cover {node_id!r}",
                where=f"flow {self.flow!r}, run {self.trace_id[:4]}",
                hint=f'{around!r} is run for each item: run.trace.items("{around}")'
                if around
                else did_you_mean(node_id, [span.node for span in spans]),
            )
        rows = (
            {
                "item": item.index,
                "status": item.status,
                "start_s": None if item.start_s is None else (span.start_s or 0.0) + item.start_s,
                "took_s": item.took_s,
                "attempt": item.attempt,
                "error": item.error.message if item.error is not None else None,
            }
            for item in span.items
        )
        return self._make_table(rows, _ITEM_TYPES)

    def frame(self) -> Any:
        """Return one row per span as a polars DataFrame: node, status, stamp, reason, times, rows, copies, error.

        The columns and their types are the same whatever happened, so that the frames of many runs can be stacked.
        """
        rows: Iterable[dict[str, Any]] = (
            {
                "node": span.node,
                "status": span.status,
                "stamp": span.stamp,
                "reason": span.reason,
                "start_s": span.start_s,
                "took_s": span.took_s,
                "attempt": span.attempt,
                "rows": span.rows,
                "columns": span.columns,
                "copies": span.copies,
                "copied_bytes": span.copied_bytes,
                "error": span.error.message if span.error is not None else None,
            }
            for span in self.spans
        )
        return self._make_table(rows, _FRAME_TYPES)


def _span_json(span: Span) -> dict[str, Any]:
    entries = list(span.effects.entries) if span.effects is not None else []
    return json_names(
        {
            "node": span.node,
            "status": span.status,
            "stamp": stored_stamp(span.stamp),
            "reason": span.reason,
            "start_s": None if span.start_s is None else round(span.start_s, 6),
            "took_s": None if span.took_s is None else round(span.took_s, 6),
            "attempt": span.attempt,
            "rows": span.rows,
            "columns": span.columns,
            "copies": span.copies,
            "copied_bytes": span.copied_bytes,
            "copy_reason": span.copy_reason,
            "logs": [{"stream": stream, "text": text[:_LOG_CHARS]} for stream, text in entries[:_LOG_ENTRIES]],
            "log_count": len(entries) + (span.effects.dropped_count if span.effects is not None else 0),
            "error": error_json(span.error),
        }
    )


def _with_subflows(spans: list[Span]) -> Iterator[Span]:
    """Put a span for each subflow before those of the nodes in it."""
    groups: dict[str, list[Span]] = {}
    for span in spans:
        parts = span.node.split("/")
        for depth in range(1, len(parts)):
            groups.setdefault("/".join(parts[:depth]), []).append(span)
    told: set[str] = set()
    for span in spans:
        parts = span.node.split("/")
        for depth in range(1, len(parts)):
            name = "/".join(parts[:depth])
            if name not in told:
                told.add(name)
                yield _whole(name, groups[name])
        yield span


def _whole(name: str, members: list[Span]) -> Span:
    """Sum up what a run did about a subflow."""
    statuses = {span.status for span in members}
    order: tuple[Status, ...] = ("running", "failed", "unresponsive", "waiting", "queued", "skipped", "muted", "idle")
    starts = [span.start_s for span in members if span.start_s is not None]
    ends = [span.start_s + (span.took_s or 0.0) for span in members if span.start_s is not None]
    fired = len(starts)
    stamps = {span.stamp for span in members}
    return Span(
        node=name,
        status=next((status for status in order if status in statuses), "ok"),
        stamp="live" if "live" in stamps else "cached" if stamps == {"cached"} else None,
        reason=f"{fired} of {len(members)} nodes fired",
        start_s=min(starts, default=None),
        took_s=max(ends) - min(starts) if starts else None,
        attempt=max((span.attempt for span in members), default=0),
        copies=sum(span.copies for span in members),
        copied_bytes=sum(span.copied_bytes for span in members),
    )


def _item_span(span: Span, item: ItemSpan) -> Span:
    return Span(
        node=f"{span.node}[{item.index}]",
        status="ok" if item.status == "cached" else item.status,
        stamp="cached" if item.status == "cached" else "live" if item.status == "ok" else None,
        reason="unchanged" if item.status == "cached" else item.error.message if item.error is not None else "",
        start_s=None if item.start_s is None else (span.start_s or 0.0) + item.start_s,
        took_s=item.took_s,
        attempt=item.attempt,
        error=item.error,
    )


def _fused_json(span: FusedSpan) -> dict[str, Any]:
    times = json_names({"start_s": round(span.start_s, 6), "took_s": round(span.took_s, 6)})
    return {
        "members": list(span.members),
        "collected": list(span.collected),
        **times,
        "flowed": [{"source": one, "target": other, "rows": rows} for one, other, rows in span.flowed],
        "notFused": span.not_fused,
        "error": span.error,
    }


def stored_stamp(stamp: Stamp | None) -> Stamp | None:
    """Return the stamp under which a value is stored: a file cannot know what is live."""
    return "recorded" if stamp == "live" else stamp


def error_json(error: ErrorPacket | None) -> dict[str, Any] | None:
    """Return what is stored of a failure."""
    if error is None:
        return None
    return {"code": error.code, "message": error.message, "hint": error.hint, "line": error.line}
