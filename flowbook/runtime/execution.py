"""One run of one flow: a plan walked by as many workers as are useful.

Every decision is a transition of the run's state under ``_lock``, made by the thread that has news: a worker that
ended a firing, the loop when a coroutine ended, a timer, a user who cancels. Node code is never called under the lock.
A firing that is given up (cancelled, overdue, superseded) is struck from ``_firings``; when its thread comes back
later it finds itself struck, drops what it brings and ends, so a late result can never overwrite a newer one.
"""

from __future__ import annotations

import secrets
import threading
from contextvars import Context as VariableContext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from flowbook.core.events import Event, NodeFinished, NodeStarted, RunFinished, RunStarted, RunStatus, Stamp, Status
from flowbook.core.interfaces import Effects
from flowbook.errors import (
    CycleError,
    MissingInputError,
    NodeTimeoutError,
    RunCancelledError,
    RunError,
)
from flowbook.runtime import firing as firings
from flowbook.runtime.context import Context, current_firing
from flowbook.runtime.inputs import SlotInputs
from flowbook.runtime.keys import KeyMaker, changed_file, effective_key, explain, stat_files
from flowbook.runtime.plan import ERROR_INDEX
from flowbook.runtime.results import KeyParts, NodeResult
from flowbook.runtime.retry import delay_before
from flowbook.runtime.scheduler import Scheduler

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Mapping

    from flowbook.core.packets import ErrorPacket
    from flowbook.runtime.engine import Engine
    from flowbook.runtime.plan import Binding, Plan, Slot
    from flowbook.runtime.results import FlowResults

#: How long a cancelled firing may take to answer before it is given up, seconds.
GRACE_S: Final = 0.4
#: Reason of nodes that a cancelled run did not come to.
CANCELLED: Final = "cancelled"
#: Firings measured shorter than this run on the thread that is there; a hand-off to another costs about as much.
CHEAP_S: Final = 0.0001


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a run was asked for.

    Attributes:
        scope: slots it covers.
        targets: node ids whose lazy values are collected besides the leaves.
        force: fire even what did not change.
        settings: ``(node, setting)`` -> JSON value, for this run alone.
        inputs: given inputs by ``port`` or ``node.port``.
        overrides: node id -> value that stands in for the node.
        is_explicit: a person asked for it (io nodes fire); False for re-runs after a moved setting.
    """

    scope: frozenset[int]
    targets: frozenset[str] = frozenset()
    force: bool = False
    settings: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    is_explicit: bool = True

    @property
    def is_private(self) -> bool:
        """Whether the run differs from the document, so that node values must not change."""
        return bool(self.settings or self.overrides)


@dataclass(slots=True, kw_only=True)
class _Firing:
    """A slot that is being fired now."""

    slot: Slot
    inputs: SlotInputs
    key: KeyParts
    reason: str
    started_at: float
    began: float
    context: Context
    effects: Effects
    arguments: dict[str, Any] = field(default_factory=dict)
    attempt: int = 1
    cancel_task: Callable[[], None] | None = None
    disarm_timer: Callable[[], None] | None = None
    has_returned: threading.Event = field(default_factory=threading.Event)
    holds_worker: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What became of one slot."""

    status: Status
    stamp: Stamp | None = None
    reason: str = ""
    result: NodeResult | None = None
    error: ErrorPacket | None = None
    root: str = ""


class Execution:
    """See the module's docstring.

    Args:
        plan: what to run.
        request: which part of it, and with what.
        results: the flow's present values; changed unless the request is private.
        engine: threads, payloads, capture, clock and event sink.
        sink: told every event of this run, in order.
    """

    def __init__(
        self, plan: Plan, request: Request, results: FlowResults, engine: Engine, sink: Callable[[Event], None]
    ) -> None:
        self.plan = plan
        self.request = request
        self.results = results
        self.engine = engine
        self.trace_id = secrets.token_hex(16)
        self.status: RunStatus = "running"
        self.done = threading.Event()
        self.recomputed: list[str] = []
        self.decisions: dict[str, Decision] = {}
        #: Why each node fired, kept apart because a failure's decision says how it failed.
        self.reasons: dict[str, str] = {}
        self.node_ids = tuple(slot.node_id for slot in plan.slots if slot.index in request.scope)
        self._sink = sink
        self._lock = threading.RLock()
        self._is_cancelled = False
        self._is_stopped_by = ""
        self._has_started = False
        self._firings: dict[int, _Firing] = {}
        self._superseded: set[int] = set()
        self._worker_count = 0
        self._flow_attempt = 1
        self._on_done: list[Callable[[], None]] = []
        with results.lock:
            costs = {index: results.state(plan.slots[index].node_id).cost_s for index in request.scope}
        self._scheduler = Scheduler(plan.slots, request.scope, costs)
        self._costs_s = costs
        cores = engine.default_concurrency
        self._limit = plan.policy.max_concurrency or cores

    # -- life

    def start(self) -> None:
        """Begin; returns at once."""
        with self._lock:
            if self._has_started or self.done.is_set():
                return
            self._has_started = True
            self._publish(
                RunStarted(flow=self.plan.flow, trace_id=self.trace_id, at=self._now(), node_ids=self.node_ids)
            )
            self._kick()
            self._finish_if_over()

    def on_done(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the run is over, or now when it is."""
        with self._lock:
            if not self.done.is_set():
                self._on_done.append(callback)
                return
        callback()

    def cancel(self) -> None:
        """Start nothing more and ask what fires to end; what does not answer within the grace time is given up."""
        with self._lock:
            if self.done.is_set() or self._is_cancelled:
                return
            self._is_cancelled = True
            for active in self._firings.values():
                self._ask_to_end(active)
            if self._firings:
                disarm = self.engine.loop_thread.call_later(GRACE_S, self._give_up)
                self._on_done.append(disarm)
            if not self._has_started:
                self._has_started = True
                self._publish(
                    RunStarted(flow=self.plan.flow, trace_id=self.trace_id, at=self._now(), node_ids=self.node_ids)
                )
            self._finish_if_over()

    def is_firing(self, node_id: str) -> bool:
        """Whether that node is being fired by this run at this moment."""
        with self._lock:
            return self.plan.index.get(node_id) in self._firings

    def supersede(self, node_id: str) -> None:
        """Give up that node and what depends on it: a newer run computes it. The rest of this run goes on."""
        with self._lock:
            index = self.plan.index.get(node_id)
            active = self._firings.get(index) if index is not None else None
            if active is None or self.done.is_set():
                return
            self._superseded |= self.plan.downstream([node_id])
            self._ask_to_end(active)
            self._strike(active)
            self._watch(active)
            decision = Decision(status="skipped", reason="superseded by a newer run", root=node_id)
            self._decide(active.slot, decision, active)
            self._kick()
            self._finish_if_over()

    # -- workers

    def _kick(self) -> None:
        """Put workers on ready slots: one if all are cheap, as many as the limit allows otherwise. Under the lock."""
        if self._is_cancelled:
            return
        wanted = self._scheduler.ready_count
        while wanted > 0 and self._worker_count < self._limit:
            self._worker_count += 1
            wanted -= 1
            self.engine.pool.submit(self._work)

    def _work(self) -> None:
        while True:
            with self._lock:
                index = None if self._is_cancelled else self._scheduler.take()
                if index is None:
                    self._worker_count -= 1
                    self._finish_if_over()
                    return
            if not self._run_slot(self.plan.slots[index]):
                return

    def _run_slot(self, slot: Slot) -> bool:
        """Decide about one slot, firing it if need be; False when this worker was given up meanwhile."""
        try:
            outcome = self._consider(slot)
        except Exception as error:
            outcome = self._failed(slot, error, 0)
        if isinstance(outcome, Decision):
            with self._lock:
                if self.done.is_set():  # cancelled while this worker was still considering
                    self._worker_count -= 1
                    return False
                self._decide(slot, outcome, None)
                self._after_decision()
            return True
        return self._fire(outcome)

    def _after_decision(self) -> None:
        if self._scheduler.ready_count > 1 and not self._is_cheap():
            self._kick_others()
        self._finish_if_over()

    def _is_cheap(self) -> bool:
        """Whether everything that was measured is short; never measured counts as long."""
        return all(cost is not None and cost < CHEAP_S for cost in self._costs_s.values())

    def _kick_others(self) -> None:
        wanted = self._scheduler.ready_count - 1  # one is for the worker that asks
        while wanted > 0 and self._worker_count < self._limit and not self._is_cancelled:
            self._worker_count += 1
            wanted -= 1
            self.engine.pool.submit(self._work)

    # -- deciding whether a slot fires

    def _consider(self, slot: Slot) -> Decision | _Firing:
        early = self._without_firing(slot)
        if early is not None:
            return early
        gathered = SlotInputs(self, slot)
        key = gathered.key()
        with self.results.lock:
            state = self.results.state(slot.node_id)
            known, last_key, failed_before = state.result, state.last_key, state.error is not None
        reuse = self._reusable(slot, key, known)
        if reuse is not None:
            return reuse
        self._refuse_second_copy(slot)
        reason = self._reason(slot, key, known, last_key, failed_before=failed_before)
        effects = Effects()
        context = Context(flow=self.plan.flow, node_id=slot.node_id, trace_id=self.trace_id, attempt=1, effects=effects)
        return _Firing(
            slot=slot,
            inputs=gathered,
            key=key,
            reason=reason,
            started_at=self._now(),
            began=self.engine.clock.monotonic(),
            context=context,
            effects=effects,
            holds_worker=not slot.node_type.is_async and slot.policy.executor != "main",
        )

    def _without_firing(self, slot: Slot) -> Decision | None:
        """Decide about slots that cannot or need not fire, whatever their key."""
        if slot.node_id in self.request.overrides:
            return self._overridden(slot)
        if slot.node_type.function is None:
            return Decision(status="waiting", reason="its cell has not run", root=slot.node_id)
        if slot.policy.muted:
            return Decision(status="muted", reason="muted", root=slot.node_id)
        if slot.index in self._superseded:
            return Decision(status="skipped", reason="superseded by a newer run", root=slot.node_id)
        if self._is_stopped_by:
            return Decision(status="skipped", reason=f"skipped: {self._is_stopped_by} failed", root=self._is_stopped_by)
        for binding in slot.bindings:
            blocked = self._blocked_by(slot, binding)
            if blocked is not None:
                return blocked
        return self._bypassed(slot) if slot.policy.bypassed else None

    def _blocked_by(self, slot: Slot, binding: Binding) -> Decision | None:
        if binding.kind != "edge" or binding.source not in self.request.scope:
            return None
        source = self.plan.slots[binding.source]
        decision = self.decisions.get(source.node_id)
        if decision is None or decision.status == "ok":
            if binding.output == ERROR_INDEX:
                return Decision(status="skipped", reason=f"skipped: {source.node_id} did not fail", root=source.node_id)
            return None
        if binding.output == ERROR_INDEX and decision.status == "failed":
            return None
        if decision.status == "waiting":
            raise MissingInputError(
                f"{slot.node_id!r} needs {source.node_id!r}, whose cell has not run",
                where=f"flow {self.plan.flow!r}, node {slot.node_id!r}",
                hint=f"run the cell that defines {source.node_id!r}",
                node=slot.node_id,
                port=binding.name,
            )
        word = {"muted": "is muted", "skipped": "failed", "failed": "failed"}.get(decision.status, "did not answer")
        reason = decision.reason if decision.status == "skipped" else f"skipped: {source.node_id} {word}"
        return Decision(status="skipped", reason=reason, root=decision.root or source.node_id)

    def _overridden(self, slot: Slot) -> Decision:
        value = self.request.overrides[slot.node_id]
        outputs = (value,) * len(slot.node_type.outputs)
        maker = KeyMaker(self.engine.payloads.content_key, self.engine.identities)
        maker.add_value("given override", value)
        key = maker.finish(self.engine.no_code, self.engine.versions)
        return Decision(
            status="ok",
            stamp="live",
            reason="given by overrides",
            result=self._make_result(slot, outputs, key, key.digest, took_s=0.0, is_own=False),
        )

    def _bypassed(self, slot: Slot) -> Decision:
        first = next((binding for binding in slot.bindings if binding.kind == "edge"), None)
        if first is None:
            return Decision(status="skipped", reason="bypassed, but it reads nothing", root=slot.node_id)
        source = self.result_of(self.plan.slots[first.source])
        if source is None or first.output is None:
            return Decision(status="skipped", reason="bypassed, but its input has no value", root=slot.node_id)
        value = source.outputs[first.output]
        outputs = (value, *(None for _ in slot.node_type.outputs[1:]))
        result = self._make_result(slot, outputs, source.key, source.effective_key, took_s=0.0, is_own=source.is_own)
        return Decision(status="ok", stamp="live", reason="bypassed", result=result)

    def _reusable(self, slot: Slot, key: KeyParts, known: NodeResult | None) -> Decision | None:
        if self.request.force:
            return None
        if slot.policy.on_change == "once" and known is not None:
            return self._reuse(slot, known, "computed once")
        if slot.policy.kind != "pure":
            is_same = known is not None and known.key.digest == key.digest
            return (
                self._reuse(slot, known, "nothing changed")
                if known and is_same and not self.request.is_explicit
                else None
            )
        if known is not None and known.key.digest == key.digest and not changed_file(known):
            return self._reuse(slot, known, "nothing changed")
        earlier = self.results.cache.get(slot.node_id, key.digest) if slot.policy.cache == "memory" else None
        if earlier is not None and not changed_file(earlier):
            return self._reuse(slot, earlier, "computed before with the same settings and inputs")
        return None

    def _reuse(self, slot: Slot, result: NodeResult, reason: str) -> Decision:
        self._collect_if_shown(slot, result)
        return Decision(status="ok", stamp="cached", reason=reason, result=result)

    def _refuse_second_copy(self, slot: Slot) -> None:
        """A stateful or io node whose earlier firing never returned must not run twice at once."""
        still_runs = self.results.unresponsive.get(slot.node_id)
        if still_runs is None:
            return
        if not still_runs():
            self.results.unresponsive.pop(slot.node_id, None)
        elif slot.policy.kind != "pure":
            raise RunError(
                f"the previous firing of {slot.node_id!r} has not ended yet",
                code="FB407",
                where=f"flow {self.plan.flow!r}, node {slot.node_id!r}",
                hint="wait for it, or restart the kernel",
            )

    def _reason(
        self, slot: Slot, key: KeyParts, known: NodeResult | None, last_key: KeyParts | None, *, failed_before: bool
    ) -> str:
        if self.request.force:
            return "forced"
        why = explain(last_key, key)
        if why != "nothing changed":
            return why
        if slot.policy.kind != "pure":
            return f"{slot.policy.kind} node: fires at every run"
        if failed_before:
            return "failed last time"
        if known is not None and (name := changed_file(known)):
            return f"file {name} changed"
        return "its value was not kept"

    # -- firing

    def _fire(self, active: _Firing) -> bool:
        slot = active.slot
        with self._lock:
            if self._is_cancelled:
                self._worker_count -= 1
                self._finish_if_over()
                return False
            self._firings[slot.index] = active
            self._publish_started(active)
            self._arm_timer(active)
        try:
            # Converting a lazy table computes; that is this node's time, so the firing is on the books already.
            active.arguments = active.inputs.arguments()
            if slot.node_type.context_name:
                active.arguments[slot.node_type.context_name] = active.context
        except BaseException as error:
            active.holds_worker = True
            return self._conclude(active, self._failed(slot, error, active.attempt))
        if slot.node_type.is_async:
            self._fire_async(active)
            return True
        if slot.policy.executor == "main":
            self._fire_on_main(active)
            return True
        return self._end_attempts(active, self._call(active))

    def _call(self, active: _Firing) -> tuple[Any, BaseException | None]:
        """Call the node's function on this thread, in a context of its own, with its effects captured."""
        arguments = active.arguments
        function = active.slot.node_type.function

        def body() -> tuple[Any, BaseException | None]:
            current_firing.set(active.context)
            with self.engine.capture.firing(active.effects):
                try:
                    returned = function(**arguments)  # type: ignore[misc]
                    self._claim(returned)
                    return returned, None
                except BaseException as error:
                    return None, error

        return VariableContext().run(body)

    def _claim(self, returned: Any) -> None:
        for value in returned if isinstance(returned, tuple) else (returned,):
            self.engine.capture.claim(value)

    def _fire_async(self, active: _Firing) -> None:
        """Hand the coroutine to the engine's loop."""
        arguments = active.arguments
        function = active.slot.node_type.function

        async def body() -> Any:
            current_firing.set(active.context)
            with self.engine.capture.firing(active.effects):
                returned = await function(**arguments)  # type: ignore[misc]
                self._claim(returned)
                return returned

        def ended(task: asyncio.Task[Any]) -> None:
            error = RunCancelledError("cancelled") if task.cancelled() else task.exception()
            returned = None if error is not None else task.result()
            self.engine.pool.submit(lambda: self._resume(active, returned, error))

        active.cancel_task = self.engine.loop_thread.create_task(body, VariableContext(), ended)
        if active.context.cancelled:  # cancelled between entering the books and having a task
            active.cancel_task()

    def _fire_on_main(self, active: _Firing) -> None:
        """Queue the call for whoever serves the main thread."""

        def job() -> None:
            with self._lock:
                if self._firings.get(active.slot.index) is not active:
                    return
            outcome = self._call(active)
            self.engine.pool.submit(lambda: self._resume(active, *outcome))

        self.engine.main_queue.submit(job)

    def _resume(self, active: _Firing, returned: Any, error: BaseException | None) -> None:
        """Go on, on a worker, with a firing that ended elsewhere."""
        with self._lock:
            active.has_returned.set()
            if self._firings.get(active.slot.index) is not active:
                return
            self._worker_count += 1
            active.holds_worker = True
        if self._end_attempts(active, (returned, error)):
            self._work()

    def _end_attempts(self, active: _Firing, outcome: tuple[Any, BaseException | None]) -> bool:
        """Retry as the policy says, then decide; False when the firing was given up meanwhile."""
        slot = active.slot
        while True:
            returned, error = outcome
            decision = self._judge(active, returned, error)
            retry = slot.policy.retry
            may_retry = decision.status == "failed" and retry is not None and active.attempt < retry.max_attempts
            if not may_retry or retry is None or active.context.cancelled:
                break
            if active.context.wait(delay_before(active.attempt + 1, retry, self.engine.random)):
                break
            with self._lock:
                if self._firings.get(slot.index) is not active:
                    break
                active.attempt += 1
                active.context.attempt = active.attempt
                self._rearm_timer(active)
                self._publish_started(active)
                if slot.node_type.is_async or slot.policy.executor == "main":
                    self._worker_count -= 1
                    active.holds_worker = False
            if slot.node_type.is_async:
                self._fire_async(active)
                return False
            if slot.policy.executor == "main":
                self._fire_on_main(active)
                return False
            outcome = self._call(active)
        return self._conclude(active, decision)

    def _conclude(self, active: _Firing, decision: Decision) -> bool:
        active.has_returned.set()
        active.arguments = {}
        with self._lock:
            if self._firings.get(active.slot.index) is not active:
                return False  # struck: somebody decided already, and took this worker off the books
            self._disarm(active)
            del self._firings[active.slot.index]
            if self._is_cancelled and decision.status != "ok":
                decision = Decision(status="skipped", reason=CANCELLED, root=active.slot.node_id)
            self._decide(active.slot, decision, active)
            self._after_decision()
            return True

    def _judge(self, active: _Firing, returned: Any, error: BaseException | None) -> Decision:
        slot = active.slot
        if error is None:
            try:
                return self._succeeded(active, returned)
            except BaseException as problem:
                error = problem
        return self._failed(slot, error, active.attempt)

    def _succeeded(self, active: _Firing, returned: Any) -> Decision:
        slot, payloads = active.slot, self.engine.payloads
        firings.refuse_error_value(returned, slot.node_id)
        outputs = tuple(
            payloads.publish(value) for value in firings.split_outputs(slot.node_type, slot.node_id, returned)
        )
        files = stat_files(path for value in outputs for path in payloads.scanned_files(value))
        nonce = "" if slot.policy.kind == "pure" else self.trace_id
        result = self._make_result(
            slot, outputs, active.key, effective_key(active.key, files, nonce), took_s=0.0, is_own=True
        )
        result.files, result.effects, result.copies = files, active.effects, tuple(active.inputs.copies)
        result.attempt = active.attempt
        self._collect_if_shown(slot, result)
        result.took_s = self.engine.clock.monotonic() - active.began
        return Decision(status="ok", stamp="live", reason=active.reason, result=result)

    def _failed(self, slot: Slot, error: BaseException, attempt: int) -> Decision:
        packet = firings.error_packet(
            error, node_id=slot.node_id, trace_id=self.trace_id, attempt=max(1, attempt), node_type=slot.node_type
        )
        return Decision(status="failed", reason=packet.message, error=packet, root=slot.node_id)

    def _make_result(
        self, slot: Slot, outputs: tuple[Any, ...], key: KeyParts, effective: str, *, took_s: float, is_own: bool
    ) -> NodeResult:
        payloads = self.engine.payloads
        primary = slot.primary
        return NodeResult(
            outputs=outputs,
            key=key,
            effective_key=effective,
            run_id=self.trace_id,
            at=self._now(),
            took_s=took_s,
            shape=payloads.shape(outputs[primary]) if primary is not None else None,
            size_bytes=sum(payloads.size_bytes(value) for value in outputs),
            is_own=is_own,
        )

    def _collect_if_shown(self, slot: Slot, result: NodeResult) -> None:
        """Collect lazy outputs of what a person will look at: leaves, targets, pinned nodes; at most once each."""
        is_leaf = not slot.successors
        if not (is_leaf or slot.policy.pinned or slot.node_id in self.request.targets):
            return
        payloads = self.engine.payloads
        with result.lock:
            lazy = [
                index
                for index, value in enumerate(result.outputs)
                if index not in result.collected and payloads.shape(value).is_lazy
            ]
            if not lazy:
                return
            tables = payloads.collect([result.outputs[index] for index in lazy])
            result.collected.update(zip(lazy, tables, strict=True))
            if slot.primary in result.collected:
                result.shape = payloads.shape(result.collected[slot.primary])
            result.size_bytes = sum(payloads.size_bytes(value) for value in result.collected.values())

    # -- giving up

    def _ask_to_end(self, active: _Firing) -> None:
        active.context.cancel()
        if active.cancel_task is not None:
            active.cancel_task()

    def _strike(self, active: _Firing) -> None:
        """Take a firing off the books; its worker, if it holds one, is lost. Under the lock."""
        self._firings.pop(active.slot.index, None)
        self._disarm(active)
        if active.holds_worker:
            self._worker_count -= 1

    def _watch(self, active: _Firing) -> None:
        """Remember a firing that was given up, until it returns."""
        with self.results.lock:
            self.results.unresponsive[active.slot.node_id] = lambda: not active.has_returned.is_set()

    def _give_up(self) -> None:
        """After the grace time of a cancel: what still fires is marked unresponsive."""
        with self._lock:
            for active in list(self._firings.values()):
                self._abandon(active, "did not answer to being cancelled")
            self._finish_if_over()

    def _abandon(self, active: _Firing, reason: str) -> None:
        self._strike(active)
        self._watch(active)
        self._decide(active.slot, Decision(status="unresponsive", reason=reason, root=active.slot.node_id), active)

    def _arm_timer(self, active: _Firing) -> None:
        timeout_s = active.slot.policy.timeout_s
        if timeout_s is not None:
            active.disarm_timer = self.engine.loop_thread.call_later(
                timeout_s, lambda: self._overdue(active, timeout_s)
            )

    def _rearm_timer(self, active: _Firing) -> None:
        self._disarm(active)
        self._arm_timer(active)

    def _disarm(self, active: _Firing) -> None:
        if active.disarm_timer is not None:
            active.disarm_timer()
            active.disarm_timer = None

    def _overdue(self, active: _Firing, timeout_s: float) -> None:
        with self._lock:
            if self._firings.get(active.slot.index) is not active:
                return
            self._ask_to_end(active)
            self._strike(active)
            self._watch(active)
            error = NodeTimeoutError(
                f"{active.slot.node_id!r} took longer than {timeout_s:g} s",
                where=f"flow {self.plan.flow!r}, node {active.slot.node_id!r}",
                hint="raise timeout_s, or look at ctx.cancelled inside long loops",
            )
            self._decide(active.slot, self._failed(active.slot, error, active.attempt), active)
            self._kick()
            self._finish_if_over()

    # -- the books

    def result_of(self, slot: Slot) -> NodeResult | None:
        """Return the value a reader of ``slot`` gets in this run."""
        decision = self.decisions.get(slot.node_id)
        if decision is not None:
            return decision.result
        if slot.index in self.request.scope:
            return None
        with self.results.lock:
            return self.results.state(slot.node_id).result

    def error_of(self, slot: Slot) -> ErrorPacket | None:
        """Return the failure of ``slot`` in this run, or None."""
        decision = self.decisions.get(slot.node_id)
        return decision.error if decision is not None else None

    def _decide(self, slot: Slot, decision: Decision, active: _Firing | None) -> None:
        """Enter a decision: books, flow state, event, scheduler. Under the lock."""
        self.decisions[slot.node_id] = decision
        if active is not None and decision.status in ("ok", "failed"):
            self.recomputed.append(slot.node_id)
            self.reasons[slot.node_id] = active.reason
        took_s = self.engine.clock.monotonic() - active.began if active is not None else None
        # A node that a cancelled run never reached keeps what was known of it.
        if not self.request.is_private and (decision.reason != CANCELLED or active is not None):
            self._commit(slot, decision, active, took_s)
        result = decision.result
        self._publish(
            NodeFinished(
                flow=self.plan.flow,
                trace_id=self.trace_id,
                node_id=slot.node_id,
                at=self._now(),
                status=decision.status,
                stamp=decision.stamp,
                reason=decision.reason,
                started_at=active.started_at if active is not None else None,
                took_s=took_s,
                attempt=active.attempt if active is not None else 0,
                shape=result.shape if result is not None else None,
                copies=tuple(active.inputs.copies) if active is not None else (),
                effects=active.effects if active is not None else None,
                error=decision.error,
            )
        )
        if decision.status == "failed" and self.plan.policy.on_error == "stop" and not self._is_stopped_by:
            self._is_stopped_by = slot.node_id
        self._scheduler.finish(slot.index)

    def _commit(self, slot: Slot, decision: Decision, active: _Firing | None, took_s: float | None) -> None:
        with self.results.lock:
            state = self.results.state(slot.node_id)
            state.status, state.reason, state.run_id = decision.status, decision.reason, self.trace_id
            state.error = decision.error
            if active is not None:
                state.last_key = active.key
                if took_s is not None and decision.status == "ok":
                    state.cost_s = took_s if state.cost_s is None else 0.7 * state.cost_s + 0.3 * took_s
            if decision.result is not None:
                state.result, state.stamp = decision.result, decision.stamp
                state.last_key = decision.result.key
                if slot.policy.cache == "memory" and slot.policy.kind == "pure":
                    self.results.cache.put(slot.node_id, decision.result)
            elif state.result is not None:
                state.stamp = "stale"

    def _finish_if_over(self) -> None:
        """End the run when nothing is left to do. Under the lock."""
        if self.done.is_set() or self._firings:
            return
        if not self._is_cancelled and not (self._scheduler.is_done and self._has_started):
            return
        if not self._is_cancelled and self._try_again():
            return
        self._skip_undecided()
        failed = any(decision.status in ("failed", "unresponsive") for decision in self.decisions.values())
        self.status = "cancelled" if self._is_cancelled else "failed" if failed else "ok"
        self._publish(RunFinished(flow=self.plan.flow, trace_id=self.trace_id, at=self._now(), status=self.status))
        self.done.set()
        callbacks, self._on_done = self._on_done, []
        for callback in callbacks:
            callback()

    def _skip_undecided(self) -> None:
        for node_id in self.node_ids:
            if node_id not in self.decisions:
                slot = self.plan.slots[self.plan.index[node_id]]
                self._decide(slot, Decision(status="skipped", reason=CANCELLED, root=node_id), None)

    def _try_again(self) -> bool:
        """Under ``on_error="retry_flow"``: give what failed, and what was skipped for it, another turn."""
        policy = self.plan.policy
        if policy.on_error != "retry_flow" or self._flow_attempt >= policy.flow_attempts:
            return False
        again = frozenset(
            self.plan.index[node_id]
            for node_id, decision in self.decisions.items()
            if decision.status in ("failed", "skipped")
        )
        if not any(decision.status == "failed" for decision in self.decisions.values()):
            return False
        self._flow_attempt += 1
        for index in again:
            del self.decisions[self.plan.slots[index].node_id]
        self._scheduler = Scheduler(self.plan.slots, again, self._costs_s)
        self._kick()
        return True

    def _now(self) -> float:
        return self.engine.clock.time()

    def _publish_started(self, active: _Firing) -> None:
        if not self.request.is_private:
            with self.results.lock:
                state = self.results.state(active.slot.node_id)
                state.status, state.reason, state.run_id = "running", active.reason, self.trace_id
        self._publish(
            NodeStarted(
                flow=self.plan.flow,
                trace_id=self.trace_id,
                node_id=active.slot.node_id,
                at=self._now(),
                attempt=active.attempt,
                reason=active.reason,
                effects=active.effects,
            )
        )

    def _publish(self, event: Event) -> None:
        self._sink(event)


def refuse_loops(plan: Plan, scope: frozenset[int]) -> None:
    """Raise when a scope contains a node on or behind a loop.

    Raises:
        CycleError: FB203, with the loop in order.
    """
    if plan.cycle and any(plan.slots[index].node_id in plan.looped for index in scope):
        path = plan.cycle
        raise CycleError(
            "these nodes read each other in a loop: " + " → ".join(path),
            where=f"flow {plan.flow!r}",
            hint=f'cut one of the edges: flow.disconnect("{path[0]}", "{path[1]}.…")',
            path=path,
        )
