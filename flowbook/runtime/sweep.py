"""The plain part of a run: slot after slot on one worker, without a queue, a task or an object per node.

Nothing is locked while nodes are called. A call goes on when one more has begun than has ended (``Batch.fired`` and
``Batch.ends``). Whoever takes a firing out (a cancel, a newer run, the watch for nodes that take long) leaves a mark
first and looks then whether a call goes on; the sweep notes the end of a call first and looks then for marks. So one of
the two always sees the other: either the call had ended, or the sweep finds its firing taken out when the call returns,
and hands what it brought to those who look after single firings. So does a call that fails, or gives a value that needs
care.

All calls share one context of variables as long as nobody sets one: the first node that does gets the context for
itself, and the next ones a new one.
"""

from __future__ import annotations

import threading
import time
from contextvars import Context as VariableContext
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from flowbook.core.events import NodeFinished, NodeStarted
from flowbook.core.interfaces import Effects
from flowbook.runtime import keys
from flowbook.runtime.calling import claim
from flowbook.runtime.capture import outside_firings
from flowbook.runtime.columns import NONE, ONE, PLAIN, SEVERAL, TWO, Kept, Was, result_of
from flowbook.runtime.context import SweptFiring, current_firing, forget_in_progress, note_in_progress
from flowbook.runtime.decisions import Decision
from flowbook.runtime.firing_sink import SweptSink, current_sink
from flowbook.runtime.results import LEAST_BYTES, LONG_S, KeyParts, new_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowbook.core.events import Event
    from flowbook.runtime.capture import StreamCapture
    from flowbook.runtime.columns import Columns, Seen, Step
    from flowbook.runtime.execution import Execution
    from flowbook.runtime.executors import WorkerPool
    from flowbook.runtime.firing_sink import FiringSink
    from flowbook.runtime.results import NodeResult, NodeState

#: How often whoever listens is told, and the streams are looked after, seconds.
FLUSH_S: Final = 0.01
#: A node that is inside its call for two looks of the watch in a row is taken out of the sweep, seconds.
LOOK_S: Final = 0.008
#: As long as nodes take less than this on average, none of them is looked at by itself, seconds.
_SUSPICIOUS_S: Final = 0.00001
#: How long the watch stays awake after the last sweep, seconds.
AWAKE_S: Final = 0.05

#: How slots are marked that are to be looked at: may it have to fire, or does it fire since all of them are to.
_DIRTY: Final = 1
_FORCED: Final = 2
#: Held while it is decided whether a call had ended before somebody took it out.
_door = threading.RLock()

REUSED: Final = "nothing changed"
FROM_CACHE: Final = "computed before with the same settings and inputs"


class Batch:
    """What one sweep did, as flat lists; everything else is made from them when somebody asks.

    Attributes:
        fired: slots in the order in which they fired; the last one has not ended yet while its call goes on.
        ends: when each ended, by the engine's monotonic clock; it began when the one before it ended.
        first: version of the first new value; what this sweep computes anew has the next ones.
        news: by slot, what its value was made from before, and now; of those that read one value which this sweep
            computed anew nothing is noted, for that is why.
        roots: slots, and their places in ``fired``, of which the cache may be asked by themselves.
        firsts: slots that fired and had no value before.
        was: by slot, what it was when it fired before, where it was edited since.
        versions: of the values of all slots, as this sweep saw and made them.
        steps: how the slots were called.
        reused: slots whose value came from the cache.
        effects: what nodes printed, of those that did.
    """

    __slots__ = (
        "_known",
        "_places",
        "before",
        "begin",
        "begin_at",
        "columns",
        "covered",
        "effects",
        "ends",
        "fired",
        "first",
        "firsts",
        "flow",
        "is_forced",
        "new",
        "news",
        "reused",
        "roots",
        "steps",
        "trace_id",
        "values",
        "versions",
        "was",
    )

    def __init__(self, columns: Columns, covered: bytes, *, flow: str, trace_id: str, is_forced: bool) -> None:
        self.columns = columns
        self.covered = covered
        self.flow = flow
        self.trace_id = trace_id
        self.is_forced = is_forced
        self.begin = self.begin_at = 0.0
        self.fired: list[int] = []
        self.ends: list[float] = []
        self.first = 0
        self.news: dict[int, tuple[Seen | None, Seen]] = {}
        self.roots: list[tuple[int, int]] = []
        self.firsts: list[int] = []
        #: Slots of which it made another value, once it is over.
        self.new: list[int] = []
        self.was: dict[int, Was] = {}
        self.versions: list[int] = columns.versions
        self.steps: list[Step | None] = columns.steps
        self.reused: dict[int, Kept] = {}
        self.before: dict[int, tuple[KeyParts | None, bool]] = {}
        self.effects: dict[int, Effects] = {}
        self.values: list[Any] = columns.values
        self._places: dict[int, int] | None = None
        self._known: dict[int, NodeResult] = {}

    @property
    def places(self) -> dict[int, int]:
        """Place in ``fired`` by slot."""
        if self._places is None or len(self._places) != len(self.fired):
            self._places = {index: place for place, index in enumerate(self.fired)}
        return self._places

    @property
    def called(self) -> int | None:
        """The slot whose code is being called; None between calls."""
        going_on = self.fired[len(self.ends) :]  # asked at once: other threads ask while it ends
        return going_on[0] if going_on else None

    def time_of(self, place: int) -> tuple[float, float]:
        """When a firing began, seconds since the epoch, and how long it took."""
        began = self.ends[place - 1] if place else self.begin
        return self.begin_at + began - self.begin, self.ends[place] - began

    def effects_of(self, index: int) -> Effects:
        """What a firing printed."""
        return self.effects.setdefault(index, Effects())

    def reason(self, place: int) -> str:
        """Say in words why a slot fired."""
        return "forced" if self.is_forced else self.reason_of(self.fired[place])

    def reason_of(self, index: int) -> str:
        """Say in words why a slot fires, or is about to."""
        news = self.news.get(index)
        if news is None:
            due = self.due(index)
            news = (None if index in self.firsts else (due[0], 0)), due
        was = self.was.get(index) or self.columns.was.get(index)
        return reason_of(self.columns, index, (*news, was), self.before_of(index))

    def before_of(self, index: int) -> tuple[KeyParts | None, bool] | None:
        """What was known of a slot without a value: the key of its last attempt, and whether that failed."""
        if self.new or index in self.before:
            return self.before.get(index)
        state = self.columns.results.states.get(self.columns.plan.slots[index].node_id)
        if state is None or (state.last_key is None and state.result is None):
            return None
        return state.last_key or (state.result.key if state.result is not None else None), state.error is not None

    def due(self, index: int) -> Seen:
        """What the value of a slot is made from in this sweep."""
        _, how, source, digest = self.steps[index]  # type: ignore[misc]
        if how == ONE:
            return (digest, self.versions[source])
        if how == TWO:
            return (digest, self.versions[source[0]], self.versions[source[1]])
        if how == NONE:
            return (digest,)
        return (digest, *(source(self.versions) if how == SEVERAL else [self.versions[place] for place in source[1]]))

    @property
    def versions_from(self) -> tuple[int, int]:
        """See ``results.Swept``."""
        return self.first, self.first + len(self.new)

    def cache_size(self) -> int:
        """See ``results.Swept``; the lists of all slots come on top of the entries."""
        values = self.values if len(self.new) == len(self.values) else [self.values[index] for index in self.new]
        has_texts = not {str, bytes}.isdisjoint(map(type, values))
        texts = sum(len(value) for value in values if type(value) in (str, bytes)) if has_texts else 0
        return LEAST_BYTES * len(self.new) + texts + 16 * len(self.values)

    def cache_entries(self) -> Iterator[tuple[tuple[str, Any], tuple[int, Any, str, float, float]]]:
        """See ``results.Swept``."""
        places = self.places
        return (self.cache_entry(index, places[index]) for index in self.new)

    def cache_entry(self, index: int, place: int) -> tuple[tuple[str, Any], tuple[int, Any, str, float, float]]:
        """Make one entry of the cache."""
        at, took_s = self.time_of(place)
        kept = (self.versions[index], self.values[index], self.trace_id, at + took_s, took_s)
        return (self.columns.plan.node_ids[index], self.due(index)), kept

    def close(self) -> None:
        """Note, once nothing more fires, which values are new, and what was known before of what had none."""
        if len(self.fired) == len(self.covered):  # each once, in order: read like a list, and takes no memory
            self.fired = cast("list[int]", range(len(self.fired)))
            self.firsts = self.fired if len(self.firsts) == len(self.fired) else self.firsts
        self.new = self.fired
        if self.is_forced:
            first, versions = self.first, self.versions
            self.new = [index for index in self.fired if versions[index] >= first] if self.roots else []
        if self.firsts and self.columns.results.states:
            found = ((index, self.before_of(index)) for index in self.firsts)
            self.before = {index: before for index, before in found if before is not None}
        was = self.columns.was
        if was:
            versions, first = self.versions, self.first
            self.was = {index: was.pop(index) for index in list(was) if versions[index] >= first}

    def enter(self, index: int, state: NodeState, result: NodeResult | None) -> None:
        """Write what the sweep made of a node into its state."""
        place = self.places.get(index)
        state.status, state.error, state.run_id, state.last_key = "ok", None, self.trace_id, None
        state.result = result
        if place is None:
            state.stamp = "cached"
            state.reason = FROM_CACHE if index in self.reused else REUSED
        else:
            took_s = self.time_of(place)[1]
            state.stamp, state.reason = "live", self.reason(place)
            state.cost_s = took_s if state.cost_s is None else 0.7 * state.cost_s + 0.3 * took_s

    def decision(self, index: int) -> Decision | None:
        """Return what became of a slot, or None when the sweep did not decide about it."""
        if not self.covered[index]:
            return None
        place = self.places.get(index)
        if place is None:
            reason = FROM_CACHE if index in self.reused else REUSED
            return Decision(status="ok", stamp="cached", reason=reason, result=self.result(index))
        return Decision(status="ok", stamp="live", reason=self.reason(place), result=self.result(index))

    def result(self, index: int) -> NodeResult:
        """Return the value of a slot in this run."""
        known = self._known.get(index)
        if known is not None:
            return known
        columns, place = self.columns, self.places.get(index)
        if columns.values[index] is self.values[index]:
            present = columns.result(index)
            if present is not None and (place is None or present.run_id == self.trace_id):
                return present
        if place is None:  # it was reused, and computed again since
            result = result_of(columns, index, self.values[index], self.trace_id, self.begin_at, 0.0, -1)
        else:
            at, took_s = self.time_of(place)
            result = result_of(columns, index, self.values[index], self.trace_id, at + took_s, took_s, -1)
            result.effects = self.effects_of(index)
        self._known[index] = result
        return result

    def events(self, start: int = 0, stop: int | None = None) -> Iterator[Event]:
        """Make the events of the sweep, or of a range of slots, in the order of the slots: as they were decided."""
        places, covered = self.places, self.covered
        for index in range(start, len(covered) if stop is None else stop):
            if not covered[index]:
                continue
            if index in places:
                yield from self._events_of(places[index])
            else:
                yield self._reused_event(index)

    def _events_of(self, place: int) -> Iterator[Event]:
        index = self.fired[place]
        at, took_s = self.time_of(place)
        node_id, reason, effects = self.columns.plan.slots[index].node_id, self.reason(place), self.effects_of(index)
        yield NodeStarted(
            flow=self.flow, trace_id=self.trace_id, node_id=node_id, at=at, attempt=1, reason=reason, effects=effects
        )
        yield NodeFinished(
            flow=self.flow,
            trace_id=self.trace_id,
            node_id=node_id,
            at=at + took_s,
            status="ok",
            stamp="live",
            reason=reason,
            started_at=at,
            took_s=took_s,
            attempt=1,
            shape=self.columns.engine.payloads.shape(self.values[index]),
            effects=effects,
        )

    def _reused_event(self, index: int) -> Event:
        return NodeFinished(
            flow=self.flow,
            trace_id=self.trace_id,
            node_id=self.columns.plan.slots[index].node_id,
            at=self.begin_at,
            status="ok",
            stamp="cached",
            reason=FROM_CACHE if index in self.reused else REUSED,
            shape=self.columns.engine.payloads.shape(self.values[index]),
        )


def reason_of(
    columns: Columns,
    index: int,
    news: tuple[Seen | None, Seen, Was | None],
    before: tuple[KeyParts | None, bool] | None,
) -> str:
    """Say in words why a slot has to fire: what its key was made from before, and is made from now."""
    seen, due, was = news
    now = columns.now(index)
    if seen is None:
        if before is None or before[0] is None or now is None:
            return "first run"
        key = columns.present_key(index)
        why = keys.explain(before[0], key) if key is not None else "first run"
        return why if why != REUSED else "failed last time" if before[1] else "its value was not kept"
    if now is None:
        return "code changed"
    why = keys.explain(_with_versions(was or now, seen, "before"), _with_versions(now, due, "after"))
    return why if why != "flowbook or polars was upgraded" else "its value was not kept"


def _with_versions(was: Was, seen: Seen, word: str) -> KeyParts:
    own, parts, shown = was.own, dict(was.own.parts), dict(was.own.shown)
    for (name, source), version in zip(was.reads, seen[1:], strict=False):
        parts[f"input {name}"], shown[f"input {name}"] = str(version), source
    return KeyParts(digest=word, code=own.code, parts=parts, shown=shown)


# What a sweep leaves with the code that it calls holds no sweep, so that one that is over is gone at once.


def _who(batch: Batch) -> Callable[[], tuple[str, Effects] | None]:
    """Make what gives the node whose code is being called, and what it prints."""

    def here() -> tuple[str, Effects] | None:
        at = batch.called
        if at is None:
            return None
        return batch.columns.plan.slots[at].node_id, batch.effects_of(at)

    return here


def _sink_maker(firing: SweptFiring, marks: list[None], capture: StreamCapture) -> Callable[[], FiringSink]:
    """Make what makes the sink of the node whose code is being called: it writes, or starts a thread."""

    def make() -> FiringSink:
        context = firing.context()
        assert context is not None  # noqa: S101 -- only node code asks
        note_in_progress(context)
        marks.append(None)  # the sweep looks after it when the call returns
        return capture.new_sink(context.effects)

    return make


def _sink_ender(capture: StreamCapture) -> Callable[[FiringSink], None]:
    def end(sink: FiringSink) -> None:
        try:
            capture.end(sink)
        finally:
            forget_in_progress(sink.effects)

    return end


class Sweep:
    """Fires the plain slots of one run, as far as nothing comes between.

    Args:
        run: whose slots.
        columns: where they stand.
        covered: 1 for each slot that the sweep decides about.
    """

    __slots__ = (
        "_capture",
        "_commits",
        "_is_claimed",
        "_left",
        "_marks",
        "_next_version",
        "_todo",
        "batch",
        "columns",
        "firing",
        "is_over",
        "left_at",
        "run",
        "seen_count",
        "sink",
        "taken_out",
        "told",
    )

    def __init__(self, run: Execution, columns: Columns, covered: bytes) -> None:
        self.run = run
        self.columns = columns
        #: Not empty when something is to be looked after once the call that goes on has ended.
        self._marks: list[None] = []
        self._is_claimed = False
        #: Where the sweep was left, -1 if it came to its end.
        self.left_at = -1
        self.is_over = False
        #: How many calls had ended when the watch looked last.
        self.seen_count = -1
        self.batch = Batch(columns, covered, flow=run.plan.flow, trace_id=run.trace_id, is_forced=run.request.force)
        self._capture = run.engine.capture
        self.firing = SweptFiring(_who(self.batch), run.plan.flow, run.trace_id)
        self.sink = SweptSink(_sink_maker(self.firing, self._marks, self._capture), _sink_ender(self._capture))
        #: Up to which slot whoever listens has been told.
        self.told = 0
        self._next_version = self._commits = 0
        self._todo = _todo(columns, covered, is_forced=run.request.force)
        self._left: tuple[Any, BaseException | None] | None = None
        #: The firing that this sweep was taken out of, when that happened.
        self.taken_out: Any = None

    def claim(self) -> int | None:
        """Take away the firing that goes on: its slot, or None when the sweep is over. Under the run's lock."""
        while not self.is_over:
            index = self.claim_at_once()
            if index is not None:
                return index
            time.sleep(0)  # it is between two calls
        return None

    def claim_at_once(self) -> int | None:
        """The same, but None when no call goes on at this moment."""
        with _door:
            self._marks.append(None)
            index = None if self._is_claimed else self.batch.called
            if index is None:
                self._marks.pop()
            else:
                self._is_claimed = True
            return index

    def go(self) -> tuple[Any, BaseException | None] | None:
        """Fire; what the last call brought when it has to be looked after by others, else None."""
        batch, run = self.batch, self.run
        clock = run.engine.clock
        run.engine.capture.begin()
        batch.begin_at, batch.begin = clock.time(), clock.monotonic()
        batch.first = self._next_version = new_versions(batch.covered.count(1))
        # Whoever looks meanwhile sees what was there before.
        batch.values, batch.versions = self.columns.values.copy(), self.columns.versions.copy()
        batch.steps, self._commits = self.columns.share_steps(), self.columns.commits
        position: int | None = 0
        try:
            while position is not None:
                context = VariableContext()
                position = context.run(self._go_on, context, position)
        finally:
            self.is_over = True
        return self._left

    def _go_on(self, context: VariableContext, position: int) -> int | None:  # noqa: C901, PLR0912, PLR0915 -- see below
        # One long function on purpose: it runs once per node of every run, and a call costs as much as all of this.
        current_sink.set(self.sink)
        current_firing.set(self.firing)
        own_count = len(context)
        columns, batch, run = self.columns, self.batch, self.run
        now_s, marks = run.engine.clock.monotonic, self._marks
        steps, values, versions = batch.steps, batch.values, batch.versions
        readers, dirty, todo, seen = columns.readers, columns.dirty, self._todo, columns.seen
        find = partial(todo.find, _DIRTY) if not batch.is_forced else partial(_next_marked, todo)
        fired, ends, covered, is_forced = batch.fired, batch.ends, batch.covered, batch.is_forced
        ended_s = ends[-1] if ends else batch.begin
        flush_s, looked_at = ended_s + FLUSH_S, len(ends)
        first, version = batch.first, self._next_version
        forced, plain, one_input, index = _FORCED, PLAIN, ONE, position
        value: Any
        while True:
            is_new: bool | None = False
            if todo[index] != forced:
                if not todo[index]:
                    index = find(index)
                    if index < 0:
                        break
                    continue
                call, how, source, _ = steps[index]  # type: ignore[misc]
                # One that reads a value which was computed just now has to fire, whatever its own was made from.
                is_new = (how == one_input and versions[source] >= first) or self._is_due(index)
                if not is_new and (is_new is None or not is_forced):
                    index += 1
                    continue
                if is_new and seen[index] is None:
                    batch.firsts.append(index)
            else:
                call, how, source, _ = steps[index]  # type: ignore[misc]
            fired.append(index)
            try:
                if how == one_input:
                    value = call(values[source])
                elif how == TWO:
                    one, other = source
                    value = call(values[one], values[other])
                elif how == NONE:
                    value = call()
                elif how == SEVERAL:
                    value = call(*source(values))
                else:
                    value = call(**dict(zip(source[0], map(values.__getitem__, source[1]), strict=True)))
            except BaseException as error:
                self._leave(index, None, error)
                return None
            if type(value) not in plain:
                self._leave(index, value, None)
                return None
            ended_s = now_s()
            ends.append(ended_s)
            if marks and not self._goes_on(value):
                return None
            values[index] = value
            if is_new:
                versions[index] = version
                version += 1
                for reader in readers[index]:
                    dirty[reader] = 1
                    if covered[reader]:
                        todo[reader] = _DIRTY
            if ended_s > flush_s:
                self.flush()
                self._count_long(looked_at)
                run.engine.capture.begin()
                flush_s, looked_at = ended_s + FLUSH_S, len(ends)
            index += 1
            if len(context) != own_count:
                self._next_version = version
                return index
        self._count_long(looked_at)
        return None

    def _goes_on(self, value: Any) -> bool:
        """After a call in which something was printed or a thread was started, or that somebody wanted to take out."""
        with _door:
            is_mine = not self._is_claimed
            if is_mine:
                self._marks.clear()
        self.sink.close()
        if not is_mine:
            self._left = (value, None)
        return is_mine

    def _leave(self, index: int, value: Any, error: BaseException | None) -> None:
        """Leave a firing to those who look after single ones: it failed, or gave a value that needs care."""
        if error is None:
            claim(self._capture, value)  # whoever looks at the value may ask whose it is: the call goes on
        self.sink.close()
        self._left = (value, error)
        with _door:
            self.left_at = -1 if self._is_claimed else index
            self.batch.ends.append(self.run.engine.clock.monotonic())

    def _count_long(self, start: int) -> None:
        """See whether nodes took long, if those since the last look took long in all."""
        batch = self.batch
        ends = batch.ends
        began = ends[start - 1] if start else batch.begin
        count = len(ends) - start
        if not count or ends[-1] - began < max(LONG_S, count * _SUSPICIOUS_S):
            return
        slots = self.columns.plan.slots
        for place in range(start, len(ends)):
            if ends[place] - began > LONG_S:
                self.columns.results.count_long(slots[batch.fired[place]].node_id, ends[place] - began)
            began = ends[place]

    def _is_due(self, index: int) -> bool | None:
        """Whether a dirty slot has to fire because its value would be made from something else; None: it was known."""
        columns, batch = self.columns, self.batch
        due, seen = batch.due(index), columns.seen_of(index)
        newest = max(due[1:], default=0)
        if seen == due or (newest < batch.first and not batch.reused and columns.is_as_before(index, seen, due)):
            columns.settle(index, due)
            return False
        if newest < batch.first:  # what is made from a new value was never there before
            if not batch.is_forced:
                known = columns.results.cache.get_plain((columns.plan.node_ids[index], due), newest)
                if known is not None:
                    self._reuse(index, due, Kept._make(known))
                    return None
            batch.roots.append((index, len(batch.fired)))
        batch.news[index] = (seen, due)
        return True

    def _reuse(self, index: int, due: Seen, known: Kept) -> None:
        columns, batch = self.columns, self.batch
        columns.settle(index, due)
        batch.values[index] = known.value
        batch.reused[index] = known
        if batch.versions[index] != known.version:
            batch.versions[index], columns.effective[index] = known.version, None
            for reader in columns.readers[index]:
                columns.dirty[reader] = 1
                if batch.covered[reader]:
                    self._todo[reader] = _DIRTY

    def reason_at(self, at: int) -> str:
        """Say in words why the node fires that was taken out."""
        batch = self.batch
        return "forced" if batch.is_forced else batch.reason_of(at)

    def flush(self) -> None:
        """Tell whoever listens what has happened since the last time."""
        if self.run.is_heard and self.batch.fired:
            told, self.told = self.told, self.batch.fired[-1] + 1
            for event in self.batch.events(told, self.told):
                self.run.push(event)

    def end(self, at: int = -1) -> Batch:
        """Give everything to the books: nothing more will be fired here. Under the run's lock.

        Args:
            at: where it was left; what comes from there on is for others to decide. -1: it came to its end.
        """
        columns, batch = self.columns, self.batch
        if at >= 0:
            batch.covered = batch.covered[:at] + bytes(len(batch.covered) - at)
            if batch.fired and batch.fired[-1] == at:  # what comes of it is not the sweep's
                batch.fired.pop()
                del batch.ends[len(batch.fired) :]
        self.flush()
        results = columns.results
        with results.lock:
            if batch.fired or batch.reused:
                columns.replace_values(batch.values)
                _enter_made(columns.made, batch)
                batch.close()
                columns.enter_swept(batch, batch.new, is_undisturbed=columns.commits == self._commits)
                self._keep()
            if results.columns is columns:
                self._publish(columns)
            else:
                for index in batch.fired:
                    results.note_elsewhere(columns, index, batch)
        return batch

    def _keep(self) -> None:
        """Give what is new to the cache."""
        batch, columns = self.batch, self.columns
        if not batch.new:
            batch.versions = []  # nobody will ask
            return
        cache = columns.results.cache
        cache.put_swept(batch)
        for index, place in batch.roots:
            if place < len(batch.fired):
                cache.put_plain(*batch.cache_entry(index, place))

    def _publish(self, columns: Columns) -> None:
        batch = self.batch
        slots, own_state = columns.plan.slots, columns.results.own_state
        if batch.covered == columns.front:
            columns.cover = batch
            columns.pending[:] = batch.covered
            return
        for index, is_covered in enumerate(batch.covered):
            if is_covered:
                columns.bring_up(slots[index].node_id)
                batch.enter(index, own_state(slots[index].node_id), columns.result(index))


def _enter_made(made: list[Batch | NodeResult | Kept | None], batch: Batch) -> None:
    if len(batch.fired) == len(made):
        made[:] = [batch] * len(made)
        return
    for index in batch.fired:
        made[index] = batch
    for index, kept in batch.reused.items():
        made[index] = kept


def _todo(columns: Columns, covered: bytes, *, is_forced: bool) -> bytearray:
    """Mark the slots to be looked at, with a place more at the end, which is never marked."""
    size, dirty = len(covered), columns.dirty
    if is_forced and 1 not in dirty:
        return bytearray(covered.replace(b"\1", bytes([_FORCED])) + b"\0")
    if not is_forced and 0 not in covered:
        return dirty + b"\0"
    asked = int.from_bytes(covered, "little")
    both = asked & int.from_bytes(dirty, "little")
    return bytearray((2 * asked - both if is_forced else both).to_bytes(size + 1, "little"))


def _next_marked(todo: bytearray, start: int) -> int:
    """The next slot that fires when all of those marked do; -1: none."""
    for index in range(start, len(todo)):
        if todo[index]:
            return index
    return -1


class LongWatch:
    """Looks after sweeps that are inside one call for long, so that what is ready besides can go on.

    Args:
        pool: whose threads sweep; runs that wait for one get another one when that takes long.
    """

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._sweeps: dict[Sweep, None] = {}
        self._is_awake = False
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, sweep: Sweep) -> None:
        """Look after this one until it is taken away."""
        self._sweeps[sweep] = None
        self.wake()

    def wake(self) -> None:
        """Look for a while."""
        if not self._is_awake:
            self._start()

    def take(self, sweep: Sweep) -> None:
        """It is over."""
        self._sweeps.pop(sweep, None)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="flowbook-watch", daemon=True)
                with outside_firings():
                    self._thread.start()
            self._is_awake = True
            self._wake.set()

    def _serve(self) -> None:
        idle_s = 0.0
        while True:
            time.sleep(LOOK_S)
            is_waiting = self._pool.relieve()
            idle_s = 0.0 if self._sweeps or is_waiting else idle_s + LOOK_S
            self._look()
            if idle_s > AWAKE_S:
                with self._lock:
                    self._wake.clear()
                    self._is_awake = False
                if not self._sweeps and not self._pool.relieve():
                    self._wake.wait()
                self._is_awake = True
                idle_s = 0.0

    def _look(self) -> None:
        """Take out what has been in one call since the last look."""
        for sweep in list(self._sweeps):
            count, sweep.seen_count = sweep.seen_count, len(sweep.batch.ends)
            if sweep.batch.called is not None and sweep.seen_count == count:
                self._sweeps.pop(sweep, None)
                sweep.run.take_out(sweep, count)
