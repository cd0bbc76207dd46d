"""One run of one flow: a plan walked by as many workers as are useful.

Every decision is a transition of the run's state under ``_lock``, made by the thread that has news: a worker that
ended a firing, the loop when a coroutine ended, a timer, a user who cancels. Node code is never called under the lock.
A firing that is given up (cancelled, overdue, superseded) is struck from ``_firings``; when its thread comes back
later it finds itself struck, drops what it brings and ends, so a late result can never overwrite a newer one.
"""

from __future__ import annotations

import logging
import threading
from contextvars import Context as VariableContext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from flowbook.core.events import Event, NodeFinished, NodeStarted, RunFinished, RunStarted, RunStatus
from flowbook.core.interfaces import Effects
from flowbook.errors import DataError, NodeTimeoutError, RunCancelledError
from flowbook.runtime import calling, disk_results, sparing
from flowbook.runtime import firing as firings
from flowbook.runtime.context import Context, Services
from flowbook.runtime.decisions import CANCELLED, SUPERSEDED, Books, Decision
from flowbook.runtime.executors import Gate
from flowbook.runtime.fused_pass import Outcome, compute
from flowbook.runtime.fusion import PATIENCE_S, Collecting, Fusion, Parked, Region, ends_plan, is_shown
from flowbook.runtime.inputs import SlotInputs
from flowbook.runtime.item_runs import ItemRun
from flowbook.runtime.keys import effective_key, stat_files
from flowbook.runtime.lazy_plans import computing
from flowbook.runtime.letters import is_taken
from flowbook.runtime.portable_code import isolated
from flowbook.runtime.releasing import release_read
from flowbook.runtime.resources import Resources
from flowbook.runtime.results import KeyParts, NodeResult
from flowbook.runtime.retry import delay_before
from flowbook.runtime.run_state import RunState
from flowbook.runtime.scheduler import Scheduler
from flowbook.runtime.sweep import Sweep
from flowbook.runtime.trace_ids import new_trace_id

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from flowbook.core.packets import ErrorPacket
    from flowbook.runtime.columns import Columns
    from flowbook.runtime.decisions import Request
    from flowbook.runtime.engine import Engine
    from flowbook.runtime.flow_calls import Room
    from flowbook.runtime.plan import Plan, Slot
    from flowbook.runtime.results import FlowResults
    from flowbook.runtime.sweep import Batch

#: How long a cancelled firing may take to answer before it is given up, seconds.
GRACE_S: Final = 0.4
#: Firings measured shorter than this run on the thread that is there; a hand-off to another costs about as much.
CHEAP_S: Final = 0.0001

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _Firing:
    """A slot that is being fired now.

    Attributes:
        holds_worker: a worker of the run is inside; it is lost to the run when the firing is given up.
        is_waiting: nothing of it runs: it queues for the main thread, waits for its next attempt, or is parked.
        is_parked: it was built, and waits for its region or is computed with it.
        took_s: how long it took, seconds; None: from when it began until now.
        disarm_timer: takes back the deadline of the attempt, or the alarm of the next one.
        overdue_at: when the attempt has to be over, on the clock of ``began``; None: whenever.
        left_s: what is left of its time while it is parked, seconds, >= 0; None: it has no deadline.
        items: calls the function once for each item of a list, where that is asked for.
    """

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
    is_waiting: bool = False
    items: ItemRun | None = None
    is_parked: bool = False
    overdue_at: float | None = None
    left_s: float | None = None
    took_s: float | None = None


class Execution:
    """See the module's docstring.

    Args:
        plan: what to run.
        request: which part of it, and with what.
        results: the flow's present values; changed unless the request is private.
        engine: threads, payloads, capture, clock and event sink.
        sink: told every event of this run, in order.
    """

    __slots__ = (
        "__weakref__",
        "_collecting",
        "_columns",
        "_costs_s",
        "_due",
        "_firings",
        "_flow_attempt",
        "_fusion",
        "_has_concluded",
        "_has_started",
        "_hears",
        "_is_cancelled",
        "_is_cheap",
        "_later",
        "_letters_under_way",
        "_limit",
        "_on_done",
        "_passes",
        "_push",
        "_put_off",
        "_scheduler",
        "_sink",
        "_state",
        "_superseded",
        "_sweep",
        "_was_plain",
        "_worker_count",
        "decisions",
        "done",
        "engine",
        "fired",
        "lock",
        "plan",
        "reasons",
        "request",
        "results",
        "room",
        "status",
        "stopped_by",
        "trace_id",
    )

    def __init__(
        self, plan: Plan, request: Request, results: FlowResults, engine: Engine, sink: Callable[[Event], None]
    ) -> None:
        self.plan = plan
        self.request = request
        self.results = results
        self.engine = engine
        self.trace_id = new_trace_id()
        self.status: RunStatus = "running"
        #: What may still be kept of what happens inside, in the run of a flow for one item.
        self.room: Room | None = None
        self.done = Gate()
        #: What fired, in the order in which it began: ids of nodes, and sweeps.
        self.fired: list[str | Batch] = []
        self.decisions = Books(plan)
        #: Why each node fired, kept apart because a failure's decision says how it failed.
        self.reasons: dict[str, str] = {}
        #: The node whose failure stopped the run, under ``on_error="stop"``.
        self.stopped_by = ""
        self._sink = sink
        self._later: Callable[[Batch, int], None] | None = getattr(sink, "later", None)
        self._push: Callable[[Event], None] | None = getattr(sink, "push", None)
        self._hears: Callable[[], bool] | None = getattr(sink, "is_heard", None)
        self.lock = threading.RLock()
        #: Held while plans from before the run are collected for one of its nodes.
        self._collecting = threading.Lock()
        self._is_cancelled = False
        self._has_started = False
        self._firings: dict[int, _Firing] = {}
        self._superseded: set[int] = set()
        self._worker_count = 0
        self._flow_attempt = 1
        #: Dead letters that are being kept or settled; the run is not over before.
        self._letters_under_way = 0
        #: What is to be done with letters if what failed is not given the further turn that it waits for, by slot.
        self._put_off: dict[int, Callable[[], None]] = {}
        self._state: RunState | None = None
        self._on_done: list[Callable[[], None]] = []
        #: Measured cost by slot; whether all were measured and are short: never measured counts as long.
        self._costs_s: dict[int, float | None] = {}
        self._is_cheap = False
        #: What is left for single firings; None as long as the plain nodes have not been swept.
        self._scheduler: Scheduler | None = None
        self._sweep: Sweep | None = None
        #: Lazy tables that are computed together; made with the scheduler.
        self._fusion: Fusion | None = None
        #: The passes that go on, with the nodes in them that were reused: these have no firing that could end it.
        self._passes: dict[Collecting, frozenset[int]] = {}
        #: Regions whose pass waits for a worker, because the flow allows for no further one.
        self._due: list[Region] = []
        self._columns: Columns | None = None
        self._has_concluded = False
        #: 1 for each slot that was plain when the run began: the end of one may let others be swept.
        self._was_plain = b""
        self._limit = plan.policy.max_concurrency or engine.default_concurrency

    @property
    def node_ids(self) -> tuple[str, ...]:
        """The nodes it covers, in topological order."""
        plan, scope = self.plan, self.request.scope
        return (
            plan.node_ids if scope is plan.everything else tuple(plan.slots[index].node_id for index in sorted(scope))
        )

    def covers(self, node_id: str) -> bool:
        """Whether the node belongs to the run."""
        return self.plan.index.get(node_id) in self.request.scope

    @property
    def recomputed(self) -> list[str]:
        """Ids of the nodes that fired, in the order in which they began."""
        slots, found = self.plan.slots, []
        for entry in self.fired:
            if isinstance(entry, str):
                found.append(entry)
            else:
                found += [slots[index].node_id for index in entry.fired]
        return found

    def reason_to_fire(self, node_id: str) -> str | None:
        """Say in words why a node fired; None when it did not."""
        return self.reasons.get(node_id) or self.decisions.reason(node_id)

    # -- life

    @property
    def has_started(self) -> bool:
        """Whether it left the queue."""
        return self._has_started

    def start(self) -> None:
        """Begin; returns at once."""
        with self.lock:
            if self._has_started or self.done.is_set():
                return
            self._announce()
            if not self._has_nothing_to_do():
                self._kick()
            self._finish_if_over()

    def _has_nothing_to_do(self) -> bool:
        """Whether every node is plain and clean; it is on the books then."""
        if self.request.force or self.request.is_private:
            return False
        columns = self.results.is_current(self.plan, self.engine)
        if columns is None:
            return False
        sweep = Sweep(self, columns, columns.covered(self.request.scope, is_whole=self._is_whole))
        sweep.batch.begin_at = self.engine.clock.time()
        self._enter_batch(sweep)
        self._begin_general(())
        return True

    @property
    def _is_whole(self) -> bool:
        return self.request.scope is self.plan.everything

    def _announce(self) -> None:
        self._has_started = True
        self._publish(RunStarted(flow=self.plan.flow, trace_id=self.trace_id, at=self._now(), node_ids=self.node_ids))

    def on_done(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the run is over, or now when it is."""
        with self.lock:
            if not self.done.is_set():
                self._on_done.append(callback)
                return
        callback()

    def cancel(self) -> None:
        """Start nothing more and ask what fires to end; what does not answer within the grace time is given up."""
        with self.lock:
            if self.done.is_set() or self._is_cancelled:
                return
            self._is_cancelled = True
            self._come_out()
            for one_pass in self._passes:
                one_pass.end()
            for active in list(self._firings.values()):
                self._ask_to_end(active)
                if active.is_waiting:
                    self._strike(active)
                    active.has_returned.set()
                    self._decide(active.slot, self._cancelled(active.slot), active)
            if self._firings:
                self._on_done.append(self.engine.timers.call_later(GRACE_S, self._give_up))
            if not self._has_started:
                self._announce()
            self._finish_if_over()

    def is_firing(self, node_id: str) -> bool:
        """Whether that node is being fired by this run at this moment."""
        with self.lock:
            self._come_out()
            index = self.plan.index.get(node_id)
            return index in self._firings or any(index in reused for reused in self._passes.values())

    def supersede(self, node_id: str) -> None:
        """Give up that node and what depends on it: a newer run computes it. The rest of this run goes on."""
        with self.lock:
            self._come_out()
            index = self.plan.index.get(node_id)
            active = self._firings.get(index) if index is not None else None
            if not self.is_firing(node_id) or self.done.is_set():
                return
            self._superseded |= self.plan.downstream([node_id])
            self._leave_passes(self._superseded)
            if active is None:
                return
            self._ask_to_end(active)
            self._strike(active)
            self._watch(active)
            decision = Decision(status="skipped", reason=SUPERSEDED, root=node_id, is_kept=False)
            self._decide(active.slot, decision, active)
            self._kick()
            self._finish_if_over()

    def hand_over(self, node_ids: Iterable[str]) -> bool:
        """Leave these nodes to a newer run that starts now; False when one of them is being fired here."""
        with self.lock:
            self._come_out()
            indexes = {self.plan.index[node_id] for node_id in node_ids if node_id in self.plan.index}
            if indexes & set(self._firings):
                return False
            undecided = {index for index in indexes if self.plan.slots[index].node_id not in self.decisions}
            self._superseded |= undecided
            self._leave_passes(undecided)
            return True

    def _leave_passes(self, indexes: set[int]) -> None:
        """End the passes that go on for nodes alone which were reused and are left to a newer run. Under the lock."""
        for one_pass, reused in self._passes.items():
            for index in reused & indexes:
                one_pass.leave(index)

    def is_superseded(self, slot: Slot) -> bool:
        """Whether a newer run computes that slot."""
        return slot.index in self._superseded

    # -- workers

    def _kick(self, spare: int = 0) -> None:
        """Put workers on ready slots: one if all are cheap, as many as the limit allows otherwise. Under the lock.

        Args:
            spare: ready slots that need none, because who asks will see to them.
        """
        if self._is_cancelled:
            return
        if self._scheduler is None:
            if not self._worker_count:
                self._worker_count = 1
                self.engine.pool.submit(self._work, is_patient=True)
                self.engine.long_watch.wake()
            return
        wanted = self._scheduler.ready_count + len(self._due) - spare
        if self._is_cheap:
            wanted = min(wanted, 1 - self._worker_count)
        while wanted > 0 and self._worker_count < self._limit and self._may_begin(1):
            self._worker_count += 1
            wanted -= 1
            self.engine.pool.submit(self._work)

    def _may_begin(self, more: int) -> bool:
        """Whether a limit that the flow sets itself allows for one more firing: those without a worker count too."""
        if self.plan.policy.max_concurrency is None:
            return True
        elsewhere = sum(not (active.holds_worker or active.is_parked) for active in self._firings.values())
        return self._worker_count + elsewhere + more <= self._limit

    def _work(self) -> None:
        try:
            self._serve()
        except Exception:
            # A fault of the engine's own must not leave whoever waits for the run waiting.
            logger.exception("flowbook gave up a run of flow %r: its engine failed", self.plan.flow)
            with self.lock:
                self._is_cancelled, self._sweep = True, None
                self._firings.clear()
                self._worker_count -= 1
                self._finish_if_over()

    def _serve(self) -> None:
        if self._scheduler is None and not self._run_sweep():
            return
        while True:
            if self._has_concluded and self._sweeps_again():
                return
            with self.lock:
                may_begin = not self._is_cancelled and self._scheduler is not None and self._may_begin(0)
                entries = self._take(self._due.pop()) if may_begin and self._due else None
                index = self._scheduler.take() if may_begin and not entries and self._scheduler is not None else None
                if index is None and not entries:
                    self._worker_count -= 1
                    self._finish_if_over()
                    return
            if index is None:
                self._compute(entries)
            elif not self._run_slot(self.plan.slots[index]):
                return

    # -- sweeping

    def _run_sweep(self) -> bool:
        """Fire the plain nodes; False when nothing is left for this worker, or it was given up meanwhile."""
        if self.request.is_private or self.engine.watch is not None:  # debug mode looks at every single firing
            with self.lock:
                self._begin_general(())
                self._kick(spare=1)
            return True
        # While the lock is held no cancel can end this run, so that no later one lays out the columns for its own plan.
        with self.lock:
            if self.done.is_set():
                self._worker_count -= 1
                return False
            columns = self._columns = self.results.columns_for(self.plan, self.engine)
        self._was_plain = bytes(columns.front)
        scope = self.request.scope
        covered = columns.covered(scope, is_whole=self._is_whole)
        if columns.long:
            covered = columns.without_long(covered, is_forced=self.request.force)
        return self._sweep_over(columns, covered)

    def _sweeps_again(self) -> bool:
        """Whether plain nodes are left that can be swept: nothing else goes on, and what they read is there."""
        columns = self._columns
        with self.lock:
            if columns is None or self._worker_count != 1 or self._firings or self._is_cancelled:
                return False
            if self._scheduler is None or self._scheduler.ready_count == 0 or not self._has_concluded:
                return False
            if self._fusion is not None and self._fusion.is_waiting:
                return False
            if self.results.columns is not columns or self._superseded or self.stopped_by:
                return False
            self._has_concluded = False
            left = self.decisions.undecided(self.request.scope)
            failed = {self.plan.index[key] for key, entry in self.decisions.entered.items() if entry.status != "ok"}
        if len(left) < 2:
            return False
        covered = columns.covered_of(left, failed)
        if columns.long:
            covered = columns.without_long(covered, is_forced=self.request.force)
        return covered.count(1) > 1 and not self._sweep_over(columns, covered)

    def _sweep_over(self, columns: Columns, covered: bytes) -> bool:
        """Sweep what is covered; False when nothing is left for this worker, or it was given up meanwhile."""
        sweep = Sweep(self, columns, covered)
        with self.lock:
            if self.done.is_set():
                self._worker_count -= 1
                return False
            if self._is_cancelled:
                return True
            self._sweep = sweep
        self.engine.long_watch.add(sweep)
        left = sweep.go()
        self.engine.long_watch.take(sweep)
        with self.lock:
            active = sweep.taken_out
            if active is None and left is not None:
                active = self._take_out(sweep, sweep.left_at)
            if active is None:
                self._sweep = None
                self._enter_batch(sweep)
                self._begin_general(())
                self._kick(spare=1)
                self._finish_if_over()
                if self.done.is_set():
                    self._worker_count -= 1
                return not self.done.is_set()
        assert left is not None  # noqa: S101 -- somebody took the firing out, or it could not stay
        active.has_returned.set()
        return self._advance(active, left)

    def take_out(self, sweep: Sweep, count: int) -> None:
        """Go on beside a sweep that is in one call for long; ``count`` is how many calls it had ended."""
        with self.lock:
            if self._sweep is sweep and len(sweep.batch.ends) == count:
                index = sweep.claim_at_once()
                if index is not None:
                    self._take_out(sweep, index)
                    self._kick()

    def show(self) -> None:
        """Somebody looks: a firing that goes on in a sweep is put where it can be seen. Returns at once."""
        sweep = self._sweep
        if sweep is None or sweep.batch.called is None or not self.lock.acquire(blocking=False):
            return
        try:
            index = sweep.claim_at_once() if self._sweep is sweep else None
            if index is not None:
                self._take_out(sweep, index)
                self._kick()
        finally:
            self.lock.release()

    def _come_out(self) -> None:
        """Take the firing that goes on out of the sweep, and end the sweep there. Under the lock."""
        sweep = self._sweep
        index = sweep.claim() if sweep is not None else None
        if sweep is not None and index is not None:
            self._take_out(sweep, index)

    def _take_out(self, sweep: Sweep, index: int) -> _Firing:
        batch = sweep.batch
        slot = self.plan.slots[index]
        effects = batch.effects_of(index)
        context = Context(flow=self.plan.flow, node_id=slot.node_id, trace_id=self.trace_id, attempt=1, effects=effects)
        sweep.firing.pinned = context
        if not sweep.is_over:
            sweep.sink.pinned()
        place = len(batch.fired) - 1  # it is the last one; its end may be noted at this moment
        began = batch.ends[place - 1] if place else batch.begin
        reason = sweep.reason_at(index)
        self._enter_batch(sweep, index)
        inputs = SlotInputs(self, slot)
        active = sweep.taken_out = _Firing(
            slot=slot,
            inputs=inputs,
            key=inputs.key(),
            reason=reason,
            started_at=batch.begin_at + began - batch.begin,
            began=began,
            context=context,
            effects=effects,
        )
        self._sweep = None
        self._firings[index] = active
        self._note_fired(active)
        self._publish_started(active)
        self._begin_general((index,))
        return active

    def _enter_batch(self, sweep: Sweep, at: int = -1) -> None:
        """Put what a sweep did on the books, up to where it was left, and tell of it. Under the lock."""
        batch = sweep.end(at)
        self.decisions.batches.append(batch)
        self.fired.append(batch)
        if self.results.letters is not None:
            for job in self.results.letters.jobs_after_sweep(self, batch):
                self._do_with_letters(job)
        told = sweep.told
        if self._later is None:
            for event in batch.events(told):
                self._publish(event)
            return
        try:
            self._later(batch, told)
        except Exception:  # whoever shows a run must not be able to hang it
            logger.exception("events could not be handed on")

    def _begin_general(self, taken: tuple[int, ...]) -> None:
        """Leave what was not swept to single firings. Under the lock."""
        rest = self.decisions.undecided(self.request.scope)
        if not rest:
            self._scheduler = Scheduler((), (), {})
            return
        with self.results.lock:
            slots = self.plan.slots
            self._costs_s = {index: self.results.state(slots[index].node_id).cost_s for index in rest}
        self._is_cheap = all(cost is not None and cost < CHEAP_S for cost in self._costs_s.values())
        self._scheduler = Scheduler(self.plan.slots, rest, self._costs_s)
        self._fusion = Fusion(self.plan, self.request, self.results, rest)
        for index in taken:
            self._scheduler.take_this(index)

    @property
    def is_heard(self) -> bool:
        """Whether somebody listens while it goes on."""
        return self._hears is None or self._hears()

    def push(self, event: Event) -> None:
        """Tell whoever listens now; who reads later reads the batch."""
        try:
            (self._push or self._sink)(event)
        except Exception:  # whoever shows a run must not be able to hang it
            logger.exception("an event could not be handed on")

    def _run_slot(self, slot: Slot) -> bool:
        """Decide about one slot, firing it if need be; False when this worker was given up meanwhile."""
        try:
            outcome = self._consider(slot)
        except Exception as error:
            outcome = self._failed(slot, error, 0)
        if isinstance(outcome, Decision):
            with self.lock:
                if self.done.is_set():  # cancelled while this worker was still considering
                    self._worker_count -= 1
                    return False
                entries = None
                if self._parks(slot, outcome, None) and not self._is_cancelled:
                    entries = self._park(slot, outcome, None, 0.0)
                else:
                    self._decide(slot, outcome, None)
                self._after_decision()
            self._compute(entries)
            return True
        return self._fire(outcome)

    def _consider(self, slot: Slot) -> Decision | _Firing:
        early = sparing.without_firing(self, slot)
        if early is not None:
            return early
        gathered = SlotInputs(self, slot)
        key = gathered.key()
        with self.results.lock:
            known = self.results.value_of(slot)
        reuse = sparing.reusable(self, slot, key, known)
        if reuse is not None:
            decision = Decision(status="ok", stamp="cached", reason=reuse[1], result=reuse[0])
            if not self._parks(slot, decision, None):
                self._collect_if_shown(slot, reuse[0])
            return decision
        sparing.refuse_second_copy(self, slot)
        effects = Effects()
        return _Firing(
            slot=slot,
            inputs=gathered,
            key=key,
            reason=sparing.reason_to_fire(self, slot, key),
            started_at=self._now(),
            began=self.engine.clock.monotonic(),
            context=Context(
                flow=self.plan.flow,
                node_id=slot.node_id,
                trace_id=self.trace_id,
                attempt=1,
                effects=effects,
                services=self._services(slot, key) if slot.node_type.context_name else None,
            ),
            effects=effects,
        )

    def _shared(self) -> tuple[Resources, RunState]:
        """What the nodes of the run share, made at first use."""
        with self.results.lock:
            if self.results.resources is None:
                self.results.resources = Resources(self.engine)
            if self._state is None:
                self._state = RunState()
            return self.results.resources, self._state

    def share_with(self, inner: Execution) -> None:
        """Let a run within one of its firings share what its nodes share."""
        inner.results.resources, inner._state = self._shared()

    def _services(self, slot: Slot, key: KeyParts) -> Services:
        resources, state = self._shared()
        return Services(
            engine=self.engine,
            resources=resources,
            state=state,
            kind=slot.policy.kind,
            code=key.code.digest,
        )

    def _after_decision(self) -> None:
        self._kick(spare=1)  # one is for the worker that decided
        self._finish_if_over()

    # -- firing

    def _fire(self, active: _Firing) -> bool:
        """Fire a slot; False when this worker was given up meanwhile."""
        slot = active.slot
        with self.lock:
            if self._is_cancelled:
                self._worker_count -= 1
                self._finish_if_over()
                return False
            if self.is_superseded(slot):
                self._decide(slot, Decision(status="skipped", reason=SUPERSEDED, root=slot.node_id, is_kept=False))
                self._after_decision()
                return True
            self._firings[slot.index] = active
            self._note_fired(active)
            self._publish_started(active)
            self._arm_timer(active)
        try:
            # Converting a lazy table computes; that is this node's time, so the firing is on the books already.
            if self._fusion is not None:
                self._collect_inputs(active, self._fusion)
            active.arguments = active.inputs.arguments()
            if slot.node_type.context_name:
                active.arguments[slot.node_type.context_name] = active.context
            if self.engine.watch is not None:
                self.engine.watch.began(self.plan.flow, slot.node_id)
        except BaseException as error:
            return self._conclude(active, self._failed(slot, error, active.attempt))
        return self._launch(active)

    def _note_fired(self, active: _Firing) -> None:
        if active.slot.node_id not in self.reasons:
            self.fired.append(active.slot.node_id)
        self.reasons[active.slot.node_id] = active.reason

    def _launch(self, active: _Firing) -> bool:
        """Call the node where its policy says; False when this worker was given up meanwhile."""
        slot = active.slot
        if slot.node_type.each_names:
            return self._launch_items(active)
        is_isolated = slot.policy.isolation == "process"  # awaited there, if it is to be awaited
        is_async = slot.node_type.is_async and not is_isolated
        is_main = not (is_async or is_isolated) and slot.policy.executor == "main"
        with self.lock:
            if self._firings.get(slot.index) is not active:
                active.has_returned.set()
                return False
            if self._is_cancelled:  # while its inputs were made: its code does not begin
                return self._conclude(active, self._cancelled(slot))
            active.holds_worker = not (is_async or is_main)
            active.is_waiting = is_main
            if is_async:
                self._fire_async(active)
                return True
        if is_main:
            self._fire_on_main(active)
            return True
        return self._advance(active, self._call(active))

    def _launch_items(self, active: _Firing) -> bool:
        """Have the node called once for each item; this worker goes on elsewhere meanwhile."""
        try:
            services = self._services(active.slot, active.key) if active.slot.node_type.context_name else None
            items = ItemRun(self, active, self._limit, self._resume, services)
        except Exception as error:
            return self._advance(active, (None, error))
        with self.lock:
            if self._firings.get(active.slot.index) is not active:
                active.has_returned.set()
                return False
            if self._is_cancelled:
                return self._conclude(active, self._cancelled(active.slot))
            active.holds_worker, active.items, active.cancel_task = False, items, items.cancel
        items.begin()
        return True

    def lend_worker(self, *, is_bounded: bool) -> bool:
        """Let a firing have one more thread, if the limits allow for it; it is given back by ``take_worker_back``.

        Args:
            is_bounded: the firing has a bound of its own, so that only a limit that the flow sets itself counts.
        """
        with self.lock:
            if not self._may_begin(1) or not (is_bounded or self._worker_count < self._limit):
                return False
            self._worker_count += 1
            return True

    def take_worker_back(self, count: int = 1) -> None:
        """Take back threads that were lent."""
        with self.lock:
            self._worker_count -= count
            self._kick()
            self._finish_if_over()

    def _call(self, active: _Firing) -> tuple[Any, BaseException | None]:
        """Call the node's function on this thread."""
        function: Any = active.slot.node_type.function
        if active.slot.policy.isolation == "process":
            function = isolated(self.engine, active.slot, active.context, active.inputs.note_copies)
        call = partial(function, **active.arguments)
        return calling.called(self.engine.capture, active.context, active.effects, call, calling.as_it_is)

    def _fire_async(self, active: _Firing) -> None:
        """Hand the coroutine to the engine's loop."""
        function: Any = active.slot.node_type.function
        call = partial(function, **active.arguments)
        body = partial(calling.awaited, self.engine.capture, active.context, active.effects, call, calling.as_it_is)

        def ended(task: asyncio.Task[Any]) -> None:
            error = RunCancelledError("cancelled") if task.cancelled() else task.exception()
            returned = None if error is not None else task.result()
            self.engine.pool.submit(lambda: self._resume(active, returned, error))

        active.cancel_task = self.engine.loop_thread.create_task(body, VariableContext(), ended)

    def _fire_on_main(self, active: _Firing) -> None:
        """Queue the call for whoever serves the main thread."""

        def job() -> None:
            with self.lock:
                if self._firings.get(active.slot.index) is not active:
                    active.has_returned.set()
                    return
                active.is_waiting = False
            returned, error = self._call(active)
            if isinstance(error, KeyboardInterrupt):
                self.cancel()
            self.engine.pool.submit(lambda: self._resume(active, returned, error))
            if isinstance(error, KeyboardInterrupt):
                raise error

        self.engine.main_queue.submit(job)

    def _resume(self, active: _Firing, returned: Any, error: BaseException | None) -> None:
        """Go on, on a worker, with a firing that ended elsewhere."""
        with self.lock:
            active.has_returned.set()
            if self._firings.get(active.slot.index) is not active:
                return
            self._worker_count += 1
            active.holds_worker = True
        if self._advance(active, (returned, error)):
            self._work()

    def _advance(self, active: _Firing, outcome: tuple[Any, BaseException | None]) -> bool:
        """After an attempt: decide, or arrange for the next one; False when the firing was given up meanwhile."""
        decision = self._judge(active, *outcome)
        if self._parks(active.slot, decision, active):
            with self.lock:
                if self._firings.get(active.slot.index) is active and not self._is_cancelled:
                    entries = self._park(active.slot, decision, active, self.engine.clock.monotonic() - active.began)
                    self._after_decision()
                else:
                    return self._conclude(active, decision)
            self._compute(entries)
            return True
        return self._settle(active, decision)

    def _settle(self, active: _Firing, decision: Decision) -> bool:
        """Enter what an attempt came to, or arrange for the next one."""
        retry = active.slot.policy.retry
        if (
            decision.status != "failed"
            or retry is None
            or active.items is not None
            or active.attempt >= retry.max_attempts
        ):
            return self._conclude(active, decision)
        delay_s = delay_before(active.attempt + 1, retry, self.engine.random)
        with self.lock:
            if self._firings.get(active.slot.index) is not active or active.context.cancelled:
                return self._conclude(active, decision)
            # The wait belongs to no attempt, and holds neither its deadline nor a worker.
            self._disarm(active)
            active.attempt += 1
            active.holds_worker, active.is_waiting = False, True
            active.disarm_timer = self.engine.timers.call_later(
                delay_s, lambda: self.engine.pool.submit(lambda: self._try_again(active))
            )
        return True

    def _try_again(self, active: _Firing) -> None:
        """Make the next attempt of a firing, on a worker."""
        with self.lock:
            if self._firings.get(active.slot.index) is not active:
                return
            self._worker_count += 1
            active.holds_worker, active.is_waiting = True, False
            active.context.attempt = active.attempt
            self._disarm(active)
            self._arm_timer(active)
            self._publish_started(active)
        if self._launch(active):
            self._work()

    # -- computing lazy tables together

    def _parks(self, slot: Slot, decision: Decision, active: _Firing | None) -> bool:
        """Whether a node that came to a value waits until its region is computed."""
        fusion = self._fusion
        if fusion is None or decision.status != "ok":
            return False
        return fusion.parks(slot, decision.result, is_reused=active is None)

    def _park(self, slot: Slot, decision: Decision, active: _Firing | None, built_s: float) -> list[Parked] | None:
        """Let a node wait for its region; gives what is to be computed when it is the last one. Under the lock."""
        assert self._fusion is not None  # noqa: S101 -- it parks
        assert self._scheduler is not None  # noqa: S101 -- it was taken from there
        assert decision.result is not None  # noqa: S101 -- only values are parked
        shape = self.engine.payloads.shape
        wanted = self._fusion.needs_rows(slot)
        lazy = tuple(output for output in wanted if shape(decision.result.outputs[output]).is_lazy)
        if active is not None:
            active.holds_worker, active.is_waiting, active.is_parked = False, True, True
            # Neither the wait for its region nor the steps of others are its time.
            if active.overdue_at is not None:
                active.left_s = max(0.0, active.overdue_at - self.engine.clock.monotonic())
            self._disarm(active)
        entry = Parked(slot=slot, decision=decision, firing=active, built_s=built_s, wanted=lazy)
        region, readers, is_complete = self._fusion.park(entry)
        self._scheduler.release(slot.index, readers)
        if is_complete:
            return self._take(region)
        if region.disarm is None:
            region.disarm = self.engine.timers.call_later(PATIENCE_S, lambda: self._wait_no_longer(region))
            self._on_done.append(region.disarm)
        return None

    def _take(self, region: Region) -> list[Parked]:
        entries = region.take()
        for entry in entries:
            if entry.firing is not None:
                entry.firing.is_waiting = False
        return entries

    def _wait_no_longer(self, region: Region) -> None:
        """Compute what is built of a region: the rest of it waits for something slow."""
        with self.lock:
            region.disarm = None
            if region.parked and not self.done.is_set() and not self._is_cancelled:
                self._compute_elsewhere(region)

    def _compute_elsewhere(self, region: Region) -> None:
        """Have a region computed by a worker of its own, or by the next one there is. Under the lock."""
        if not self._may_begin(1):
            self._due.append(region)
            return
        entries = self._take(region)
        self._worker_count += 1

        def work() -> None:
            self._compute(entries)
            self._work()

        self.engine.pool.submit(work)

    def _compute(self, entries: list[Parked] | None) -> None:
        """Compute the tables of nodes that were built, and enter what each of them comes to."""
        if not entries or self._fusion is None:
            return
        one_pass = self._begin_pass(entries)
        try:
            outcome = compute(self, self._fusion, entries, one_pass)
        except Exception as error:  # a fault of the engine's own must not leave them parked
            outcome = Outcome(failures={entry.slot.index: error for entry in entries})
        with self.lock:
            self._passes.pop(one_pass, None)
        if outcome.event is not None:
            self._publish(outcome.event)
        failed: dict[int, Decision] = {}
        for entry in entries:
            decision = self._after_pass(entry, outcome, failed)
            if entry.firing is not None:
                self._end_parked(entry.firing, entry, decision, outcome)
                continue
            with self.lock:
                if not self.done.is_set() and entry.slot.node_id not in self.decisions:
                    if self.is_superseded(entry.slot):
                        root = entry.slot.node_id
                        decision = Decision(status="skipped", reason=SUPERSEDED, root=root, is_kept=False)
                    self._decide(entry.slot, self._cancelled(entry.slot) if self._is_cancelled else decision, None)
                    self._after_decision()

    def _collect_inputs(self, active: _Firing, fusion: Fusion) -> None:
        """Collect, in one pass, the plans that a node needs rows of and that were built before this run."""
        shape = self.engine.payloads.shape
        needed = fusion.rows_needed_by(active.slot, self.result_of, lambda value: shape(value).is_lazy)
        if not needed:
            return
        with self._collecting:  # who waited here finds them collected
            done = Decision(status="ok", reason="")
            entries = [
                Parked(slot=slot, decision=replace(done, result=result), firing=None, built_s=0.0, wanted=outputs)
                for slot, result, outputs in needed
            ]
            one_pass = Collecting()
            one_pass.expect([active.slot.index])
            active.cancel_task = lambda: one_pass.leave(active.slot.index)
            outcome = compute(self, fusion, entries, one_pass)
        active.cancel_task = None
        if outcome.event is not None:
            self._publish(outcome.event)
        for index, error in outcome.failures.items():
            error.add_note(f"it is a step of {self.plan.slots[index].node_id!r} that fails: look at its code")
            raise error

    def _begin_pass(self, entries: list[Parked]) -> Collecting:
        """Let whoever gives up a node that is computed end the pass, when it is the last one that needs it."""
        one_pass = Collecting()
        one_pass.expect(entry.slot.index for entry in entries if entry.wanted)

        def leave(index: int) -> None:
            one_pass.leave(index)
            for entry in entries if one_pass.is_cancelled else ():  # who was built is not kept waiting for its end
                if not entry.wanted and entry.firing is not None:
                    self._conclude(entry.firing, entry.decision)

        with self.lock:
            self._passes[one_pass] = frozenset(entry.slot.index for entry in entries if entry.firing is None)
            if self._is_cancelled:  # between the last node that was built and here
                one_pass.end()
            for entry in entries:
                firing = entry.firing
                if firing is None:
                    continue
                firing.cancel_task = partial(leave, entry.slot.index)
                goes_on = self._firings.get(entry.slot.index) is firing
                if not goes_on:
                    leave(entry.slot.index)
                elif entry.wanted and firing.left_s is not None:
                    self._arm_for(firing, firing.left_s)
        return one_pass

    def _after_pass(self, entry: Parked, outcome: Outcome, failed: dict[int, Decision]) -> Decision:
        """Say what a node comes to whose region was computed; ``failed`` holds those above that did not come well."""
        slot, attempt = entry.slot, entry.firing.attempt if entry.firing is not None else 0
        error = outcome.failures.get(slot.index)
        above = next((failed[source] for source in slot.predecessors if source in failed), None)
        if error is None and above is None:
            if slot.index not in outcome.lost:
                return entry.decision
            error = next(iter(outcome.failures.values()))  # the step that failed is one of a node that was reused
        if error is not None:
            failed[slot.index] = self._failed(slot, error, attempt)
        elif above is not None:
            failed[slot.index] = Decision(status="skipped", reason=f"skipped: {above.root} failed", root=above.root)
        return failed[slot.index]

    def _end_parked(self, active: _Firing, entry: Parked, decision: Decision, outcome: Outcome) -> None:
        """Enter what a firing comes to whose region was computed."""
        with self.lock:
            if self._firings.get(entry.slot.index) is not active:
                active.has_returned.set()
                return
            if decision.status == "skipped":  # that it was built does not count: its turn did not come
                self.fired.remove(entry.slot.node_id)
                del self.reasons[entry.slot.node_id]
        active.is_parked = False
        active.took_s = entry.built_s + (outcome.took_s if entry.wanted else 0.0)
        if decision.result is not None:
            decision.result.took_s = active.took_s
            disk_results.keep(self, entry.slot, decision.result)
        self._conclude(active, decision)

    def _conclude(self, active: _Firing, decision: Decision) -> bool:
        active.has_returned.set()
        active.arguments = {}
        with self.lock:
            if self._firings.get(active.slot.index) is not active:
                return False  # struck: somebody decided already, and took this worker off the books
            self._disarm(active)
            del self._firings[active.slot.index]
            if self._is_cancelled:
                # Also when it brought a value: one that looked and returned early may have brought a part of it.
                decision = self._cancelled(active.slot)
            self._decide(active.slot, decision, active)
            if self._was_plain and self._was_plain[active.slot.index]:
                self._has_concluded = True
            self._after_decision()
            return True

    def _judge(self, active: _Firing, returned: Any, error: BaseException | None) -> Decision:
        slot = active.slot
        if self.engine.watch is not None:
            try:
                self.engine.watch.ended(self.plan.flow, slot.node_id)
            except DataError as problem:
                error = error or problem
        if error is None:
            try:
                return self._succeeded(active, returned)
            except BaseException as problem:
                error = problem
        decision = self._failed(slot, error, active.attempt)
        return active.items.named(decision) if active.items is not None else decision

    def _succeeded(self, active: _Firing, returned: Any) -> Decision:
        slot, payloads = active.slot, self.engine.payloads
        outputs: tuple[Any, ...]
        if active.items is not None:  # guarded one by one
            outputs, values = returned, [item for values in returned for item in values]
        else:
            outputs = tuple(
                payloads.publish(value) for value in firings.split_outputs(slot.node_type, slot.node_id, returned)
            )
            for value in outputs:
                payloads.resolve(value)  # a step that cannot work fails here, not in whoever collects it
            values = list(outputs)
        if self.engine.watch is not None:
            self.engine.watch.published(self.plan.flow, slot.node_id, outputs)
        scanned = (path for value in values for path in payloads.scanned_files(value))
        inner_files = active.items.files if active.items is not None else ()
        files = tuple(dict.fromkeys((*stat_files(scanned), *inner_files)))
        # The files of what it reads are in its key already; its plan shows them unless that was collected.
        own_files = [entry for entry in files if entry not in active.inputs.files()]
        lost = active.items.lost() if active.items is not None else ""
        nonce = lost if slot.policy.kind == "pure" else self.trace_id
        effective = effective_key(active.key, own_files, nonce)
        result = self.make_result(slot, outputs, active.key, effective, is_own=True)
        result.files, result.effects = files, active.effects
        result.copies, result.copies_by_input = tuple(active.inputs.copies), active.inputs.copies_by_input
        result.attempt, result.is_partial = active.attempt, bool(lost)
        if active.items is not None:
            self.reasons[slot.node_id] = active.reason = active.items.told(active.reason)
        decision = Decision(status="ok", stamp="live", reason=active.reason, result=result)
        if any(map(payloads.is_random, outputs)):
            self._collect(slot, result)  # each who builds on the plan would see rows of its own
        if self._parks(slot, decision, active):
            return decision
        self._collect_if_shown(slot, result)
        result.took_s = self.engine.clock.monotonic() - active.began
        disk_results.keep(self, slot, result)
        return decision

    def _failed(self, slot: Slot, error: BaseException, attempt: int) -> Decision:
        packet = firings.error_packet(error, slot=slot, trace_id=self.trace_id, attempt=max(1, attempt))
        return Decision(status="failed", reason=packet.message, error=packet, root=slot.node_id)

    @staticmethod
    def _cancelled(slot: Slot) -> Decision:
        return Decision(status="skipped", reason=CANCELLED, root=slot.node_id)

    def make_result(
        self, slot: Slot, outputs: tuple[Any, ...], key: KeyParts, effective: str, *, is_own: bool
    ) -> NodeResult:
        """Describe the outputs of a slot."""
        payloads = self.engine.payloads
        primary = slot.primary
        result = NodeResult(
            outputs=outputs,
            names=slot.node_type.output_names if len(outputs) > 1 else (),
            made_key=key,
            made_effective=effective,
            run_id=self.trace_id,
            at=self._now(),
            took_s=0.0,
            shape=payloads.shape(outputs[primary]) if primary is not None else None,
            is_own=is_own,
        )
        result.measure(payloads)
        return result

    def _collect_if_shown(self, slot: Slot, result: NodeResult) -> None:
        """Collect lazy outputs of what a person will look at: leaves, targets, pinned nodes; at most once each."""
        if is_shown(slot, self.request) or ends_plan(slot):
            self._collect(slot, result)

    def _collect(self, slot: Slot, result: NodeResult) -> None:
        payloads = self.engine.payloads
        with result.lock:
            lazy = [index for index, value in enumerate(result.outputs) if payloads.shape(value).is_lazy]
            missing = [index for index in lazy if index not in result.collected]
            if missing:
                with computing(self, slot, result.outputs[missing[0]]):
                    tables = payloads.collect([result.outputs[index] for index in missing])
                result.collected.update(zip(missing, tables, strict=True))
            if result.kept.issuperset(lazy):
                return
            result.kept.update(lazy)
            if slot.primary in result.collected:
                result.shape = payloads.shape(result.collected[slot.primary])
            result.measure(payloads)

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
        if active.is_waiting:
            active.has_returned.set()
            return
        if active.cancel_task is not None:
            self.engine.loop_thread.leave_if_stuck()
        with self.results.lock:
            # The event alone: the firing would keep its run, and with it every value of it.
            has_returned = active.has_returned
            self.results.unresponsive[active.slot.node_id] = lambda: not has_returned.is_set()

    def _give_up(self) -> None:
        """After the grace time of a cancel: what still fires is marked unresponsive."""
        with self.lock:
            for active in list(self._firings.values()):
                self._strike(active)
                self._watch(active)
                reason = "did not answer to being cancelled"
                decision = Decision(status="unresponsive", reason=reason, root=active.slot.node_id)
                self._decide(active.slot, decision, active)
            self._finish_if_over()

    def _arm_timer(self, active: _Firing) -> None:
        timeout_s = active.slot.policy.timeout_s
        if active.slot.node_type.each_names:  # it holds for each item
            return
        if timeout_s is not None and active.slot.policy.isolation == "none":  # a process is ended by who waits for it
            self._arm_for(active, timeout_s)

    def _arm_for(self, active: _Firing, left_s: float) -> None:
        active.overdue_at = self.engine.clock.monotonic() + left_s
        active.disarm_timer = self.engine.timers.call_later(left_s, lambda: self._overdue(active))

    def _disarm(self, active: _Firing) -> None:
        active.overdue_at = None
        if active.disarm_timer is not None:
            active.disarm_timer()
            active.disarm_timer = None

    def _overdue(self, active: _Firing) -> None:
        with self.lock:
            if self._firings.get(active.slot.index) is not active:
                return
            self._ask_to_end(active)
            self._strike(active)
            self._watch(active)
            error = NodeTimeoutError(
                f"{active.slot.node_id!r} took longer than {active.slot.policy.timeout_s:g} s",
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
        built = self._fusion.built(slot) if self._fusion is not None else None
        if built is not None:
            return built
        if slot.index in self.request.scope:
            return None
        with self.results.lock:
            return self.results.value_of(slot)

    def error_of(self, slot: Slot) -> ErrorPacket | None:
        """Return the failure of ``slot`` that a reader of its error port gets, or None."""
        decision = self.decisions.get(slot.node_id)
        if decision is not None or slot.index in self.request.scope:
            return decision.error if decision is not None else None
        with self.results.lock:
            return self.results.state(slot.node_id).error

    def _decide(self, slot: Slot, decision: Decision, active: _Firing | None = None) -> None:
        """Enter a decision: books, flow state, event, scheduler. Under the lock."""
        self.decisions.entered[slot.node_id] = decision
        took_s = None
        if active is not None:
            took_s = self.engine.clock.monotonic() - active.began if active.took_s is None else active.took_s
        # A node that a cancelled run never reached keeps what was known of it.
        is_kept = decision.is_kept and (decision.reason != CANCELLED or active is not None)
        if is_kept and not self.request.is_private:
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
        if decision.status == "failed" and self.plan.policy.on_error == "stop" and not self.stopped_by:
            self.stopped_by = slot.node_id
        self._see_to_letters(slot, decision, active)
        if self.request.is_the_last:
            release_read(self, slot)
        if self._scheduler is not None:
            self._scheduler.finish(slot.index)
        region = self._fusion.decided(slot.index) if self._fusion is not None else None
        if region is not None and not self._is_cancelled:
            self._compute_elsewhere(region)

    def _see_to_letters(self, slot: Slot, decision: Decision, active: _Firing | None) -> None:
        """Have a failure that nobody takes kept as a dead letter, or a letter settled. Under the lock."""
        letters = self.results.letters
        if letters is None:
            return
        if decision.reason != CANCELLED or active is not None:  # otherwise an earlier failure stays the last word
            self._put_off.pop(slot.index, None)
        fired = (active.inputs, active.key, active.effects) if active is not None else None
        job = letters.job_after(self, slot, decision, fired)
        if job is not None and decision.status == "failed" and self._has_another_turn:
            self._put_off[slot.index] = job
        else:
            self._do_with_letters(job)

    def _do_with_letters(self, job: Callable[[], None] | None) -> None:
        if job is None:
            return
        self._letters_under_way += 1

        def do() -> None:
            try:
                job()
            except Exception:  # a store must not leave whoever waits for the run waiting
                logger.exception("a dead letter of flow %r could not be seen to", self.plan.flow)
            with self.lock:
                self._letters_under_way -= 1
                self._finish_if_over()

        self.engine.pool.submit(do)

    def _commit(self, slot: Slot, decision: Decision, active: _Firing | None, took_s: float | None) -> None:
        with self.results.lock:
            state = self.results.state(slot.node_id)
            state.status, state.reason, state.run_id = decision.status, decision.reason, self.trace_id
            state.error = decision.error
            if active is not None and decision.reason != CANCELLED:
                state.last_key = active.key
                if took_s is not None and decision.status == "ok":
                    state.cost_s = took_s if state.cost_s is None else 0.7 * state.cost_s + 0.3 * took_s
            if decision.result is not None:
                if state.result is not None and state.result.effective_key == decision.result.effective_key:
                    decision.result.version = state.result.version
                state.result, state.stamp = decision.result, decision.stamp
                state.last_key = decision.result.made_key
                if slot.policy.cache != "off" and slot.policy.kind == "pure" and not slot.policy.bypassed:
                    self.results.cache.put(slot.node_id, decision.result)
            elif state.result is not None and not (decision.reason == CANCELLED and _is_current(state.result, active)):
                state.stamp = "stale"
            self.results.commit(self.plan, slot, decision.result, took_s)

    def _finish_if_over(self) -> None:
        """End the run when nothing is left to do. Under the lock."""
        if self.done.is_set() or self._firings or self._sweep is not None or self._letters_under_way:
            return
        is_done = self._scheduler is not None and self._scheduler.is_done and self._has_started
        if not self._is_cancelled and not is_done:
            return
        if not self._is_cancelled and self._begin_again():
            return
        if self._is_cancelled and self._decide_the_rest():
            self._finish_if_over()  # what became of them may have to be written down first
            return
        if self._is_cancelled and self._put_off:
            jobs, self._put_off = list(self._put_off.values()), {}
            for job in jobs:
                self._do_with_letters(job)
            return
        entered = self.decisions.entered
        failed = bool(entered) and any(entry.status in ("failed", "unresponsive") for entry in entered.values())
        self.status = "cancelled" if self._is_cancelled else "failed" if failed else "ok"
        self._publish(RunFinished(flow=self.plan.flow, trace_id=self.trace_id, at=self._now(), status=self.status))
        self._state = None  # whoever holds the run does not hold what its nodes shared
        self.done.mark()
        try:
            callbacks, self._on_done = self._on_done, []
            for callback in callbacks:
                callback()
        finally:
            # Who is told of the run holds the run; let go, it is gone with its last reader, not with the garbage.
            self._sink, self._later, self._push, self._hears = _tell_nobody, None, None, None
            self.done.set()

    @property
    def _has_another_turn(self) -> bool:
        """Whether what fails now is given another turn, under ``on_error="retry_flow"``."""
        policy = self.plan.policy
        return policy.on_error == "retry_flow" and self._flow_attempt < policy.flow_attempts

    def _decide_the_rest(self) -> bool:
        """Enter what a cancelled run did not come to; whether there was any. Under the lock."""
        rest = [self.plan.slots[index] for index in self.decisions.undecided(self.request.scope)]
        for slot in rest:
            self._decide(slot, self._cancelled(slot))
        return bool(rest)

    def _begin_again(self) -> bool:
        """Under ``on_error="retry_flow"``: give what failed, and all that depends on it, another turn.

        A failure that a node on its error port takes is seen to.
        """
        if not self._has_another_turn:
            return False
        plan = self.plan
        failed = [
            node_id
            for node_id, decision in self.decisions.entered.items()
            if decision.status == "failed" and not is_taken(self, plan.slots[plan.index[node_id]])
        ]
        if not failed:
            return False
        self._flow_attempt += 1
        again = frozenset(self.plan.downstream(failed) & self.request.scope)
        for index in again:
            self.decisions.entered.pop(self.plan.slots[index].node_id, None)
        self._scheduler = Scheduler(self.plan.slots, again, self._costs_s)
        self._fusion = Fusion(self.plan, self.request, self.results, again)
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
        try:
            self._sink(event)
        except Exception:  # whoever shows a run must not be able to hang it
            logger.exception("an event could not be handed on")


def _tell_nobody(event: Event) -> None:
    """Take what comes after the end of a run."""


def _is_current(result: NodeResult, active: _Firing | None) -> bool:
    """Whether a firing that came to nothing would have made the value that is there: it was forced."""
    return active is not None and active.key.digest == result.key.digest
