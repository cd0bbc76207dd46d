"""One firing of a mapped node: its function called once for each item of a list, what it returns gathered in order.

The firing holds no worker of its run. Threads of the pool take items from a queue, or the engine's loop does for a
coroutine function; whoever decides about the last item hands the lists to the run. The first thread stands for the
firing, further ones are lent by the run within the limits, and only once an item has shown that it takes long enough
to be worth a thread. Everything is decided under the run's lock, items are called outside of it. An item that is given
up (overdue, cancelled) is struck from the books: its thread finds itself struck when it comes back, and drops what it
brings.

An item whose value is known by its content, or that nobody can change (a table, an array), is not computed again by a
pure node as long as the flow's memory cache holds what came of it. One that failed is: a node of which items failed
and were skipped or kept as errors fires again at the next run, for these items.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import threading
from collections import deque
from collections.abc import Sequence
from contextvars import Context as VariableContext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowbook.core.interfaces import Effects, ItemSpan
from flowbook.core.packets import ErrorPacket
from flowbook.errors import DataError, NodeTimeoutError, RunCancelledError, RunError
from flowbook.runtime import calling
from flowbook.runtime import firing as firings
from flowbook.runtime.context import Context
from flowbook.runtime.flow_calls import FlowCalls, InnerFailure, Notes, Room
from flowbook.runtime.keys import KeyMaker, stat_files
from flowbook.runtime.portable_code import isolated
from flowbook.runtime.retry import delay_before

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterator

    from flowbook.core.node_types import Port
    from flowbook.runtime.context import Services
    from flowbook.runtime.decisions import Decision
    from flowbook.runtime.execution import Execution, _Firing

#: Items that take longer than this, on average, are worth threads of their own, seconds.
CHEAP_S: Final = 0.0001
#: From so many items on what all of them read is put where every process sees it.
_WORTH_SHARING: Final = 2
#: The first call of all takes longer than others: an average is one of so many at least.
_LEAST_COUNT: Final = 4
#: How often somebody looks whether one item holds all others up, seconds.
LOOK_S: Final = 0.002
#: Kinds of values that nobody can change once they are on an edge: the same one again means the same content.
_LASTING = frozenset({"table", "series", "array"})
_HINT = 'on_item_error="skip" leaves such items out of the list, "keep" puts their ErrorPacket in their place'


@dataclass(slots=True, kw_only=True)
class _Hand:
    """A thread, or a place on the loop, that takes items; struck when it was given up or taken back."""

    is_lent: bool
    is_struck: bool = False


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """An item whose code is being called.

    Attributes:
        began: when, by the engine's monotonic clock.
        disarm: takes its deadline back.
        cancel_task: cancels its coroutine.
        has_returned: its thread came back.
        notes: what else is to be known of it; of several attempts at an item the last one counts.
    """

    index: int
    hand: _Hand
    context: Context
    effects: Effects
    began: float
    disarm: Callable[[], None] | None = None
    cancel_task: Callable[[], None] | None = None
    has_returned: bool = False
    notes: Notes = field(default_factory=Notes)

    @property
    def still_runs(self) -> bool:
        """Whether code of it goes on, though it was given up."""
        return not self.has_returned or any(still_runs() for still_runs in self.notes.left)


class ItemRun:
    """See the module's docstring.

    Args:
        run: the run; its lock is taken.
        active: the firing, with its arguments.
        limit: most items at one time, where the node does not say it.
        resume: gets the firing, the lists or None, and the error that ended it or None; called on a worker.
        services: what the engine lends the contexts of the items, if the node asks for one.

    Raises:
        DataError: FB630, an input is not a list; FB631, two lists have not the same length.
    """

    def __init__(
        self,
        run: Execution,
        active: _Firing,
        limit: int,
        resume: Callable[[_Firing, Any, BaseException | None], None],
        services: Services | None = None,
    ) -> None:
        slot = active.slot
        self._resume, self._services = resume, services
        self._run, self._engine = run, run.engine
        self._active, self._slot, self._policy = active, slot, slot.policy
        self._ports: dict[str, Port] = {port.name: port for port in slot.node_type.inputs if port.is_each}
        self._lists = {name: self._checked(name, active.arguments.pop(name)) for name in self._ports}
        self._shared = active.arguments
        #: What is run for each item where it is no function.
        mapped, settings, self._room = slot.node_type.mapped, active.inputs.said(), run.room or Room()
        self._flow = FlowCalls(run, slot, settings, self._given(), self._room) if mapped else None
        self._is_shared, self._sharing = False, threading.Lock()
        #: What an item may change without another one seeing it: it gets copies of its own.
        self._mutable = [port.name for port in slot.node_type.inputs if port.is_mutable and port.name in self._shared]
        plain_names = active.inputs.plain_names
        self._containers = [
            name
            for name, value in self._shared.items()
            if name in plain_names and name not in self._mutable and isinstance(value, list | dict | set | tuple)
        ]
        self._count = self._same_length()
        self._spans = [ItemSpan(index) for index in range(self._count)]
        active.effects.items = self._spans
        #: Per item the values of the output ports, or its failure; None before it is decided.
        self._outcomes: list[tuple[Any, ...] | ErrorPacket | None] = [None] * self._count
        #: Per item the files that the nodes of its flow read lazily.
        self._files: list[tuple[tuple[str, int, int], ...]] = [()] * self._count
        self._ready = deque(range(self._count))
        self._undecided = self._count
        self._alarms: dict[int, Callable[[], None]] = {}
        self._busy: dict[int, _Attempt] = {}
        self._hands: list[_Hand] = []
        self._left: list[_Attempt] = []
        self._error: BaseException | None = None
        self._failure: ErrorPacket | None = None
        self._is_cancelled = self._is_over = False
        self._called_count, self._called_s = 0, 0.0
        #: Hands that are about to give the cache what they computed.
        self._keeping_count = 0
        self._is_isolated = self._policy.isolation == "process"
        self._is_async = slot.node_type.is_async and not self._is_isolated
        self._is_main = not (self._is_async or self._is_isolated) and self._policy.executor == "main"
        self._bound = 1 if self._is_main else min(self._policy.max_concurrency or limit, max(1, self._count))
        self._is_long = self._is_async or self._is_isolated
        self._keys: dict[int, str | None] = {}
        self._base = ""
        if self._policy.kind == "pure" and self._policy.cache != "off":
            self._base = active.inputs.key(without=self._ports).digest

    def _given(self) -> set[str]:
        """Name what an item is given: its own values, and what all share save what is said of the node itself."""
        said = self._active.inputs.said()
        return {*self._lists, *(name for name in self._shared if name not in said)}

    def _checked(self, name: str, value: Any) -> Sequence[Any]:
        if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
            return list(value)  # who gave it may change it while we are at it
        kind = type(value).__name__
        hints = {
            "dict": "give list(d.values()) or list(d.items())",
            "set": "give sorted(…): a set has no order",
            "Series": "give series.to_list()",
            "ndarray": "give list(array)",
            "DataFrame": "give a list of tables, table.partition_by(…), or of rows, table.to_dicts()",
            "LazyFrame": "collect it, and give a list of tables or rows",
        }
        raise DataError(
            f"{self._slot.node_id}.{name} takes the items of a list, and got a {kind}",
            code="FB630",
            where=f"flow {self._run.plan.flow!r}, node {self._slot.node_id!r}",
            hint=hints.get(kind, "give a list or a tuple"),
            port=name,
        )

    def _same_length(self) -> int:
        lengths = {name: len(values) for name, values in self._lists.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(
                "its lists go together item by item, and have not the same length: "
                + ", ".join(f"{name} has {length}" for name, length in lengths.items()),
                code="FB631",
                where=f"flow {self._run.plan.flow!r}, node {self._slot.node_id!r}",
                hint="give lists of one length; for all combinations let a node above give "
                "list(itertools.product(…)) as one list",
                **lengths,
            )
        return next(iter(lengths.values()))

    # -- life

    def begin(self) -> None:
        """Take the first items; returns at once."""
        with self._run.lock:
            if not self._end_if_over():
                self._add_hand(is_lent=False)
                self._recruit()
                self._look_later(LOOK_S)

    def cancel(self) -> None:
        """Take no more items, and ask those that are being computed to end. Under the run's lock."""
        self._is_cancelled = True
        if self._flow is not None:
            self._flow.is_cancelled = True
        self._stop()
        self._ask_to_end()
        self._take_hands_back()
        self._end_if_over()

    def _ask_to_end(self) -> None:
        """Ask the items that are being computed to end. Under the lock."""
        for attempt in self._busy.values():
            attempt.context.cancel()
            if attempt.cancel_task is not None:
                attempt.cancel_task()

    def _stop(self) -> None:
        """Leave what has not begun. Under the lock."""
        self._ready.clear()
        for disarm in self._alarms.values():
            disarm()
        self._alarms.clear()

    def _take_hands_back(self) -> None:
        lent = [hand for hand in self._hands if hand.is_lent]
        for hand in lent:
            hand.is_struck = True
            self._hands.remove(hand)
        if lent:
            self._run.take_worker_back(len(lent))

    def _end_if_over(self) -> bool:
        """Hand the lists to the run when every item is decided, or none will be any more. Under the lock."""
        if self._is_over:
            return True
        if self._busy or self._ready or self._alarms or self._keeping_count:
            return False
        self._is_over = True
        self._take_hands_back()
        for span in self._spans:
            if span.status in ("queued", "running"):
                span.status = "skipped"
        if self._left:
            left, results = self._left, self._run.results
            with results.lock:
                results.unresponsive[self._slot.node_id] = lambda: any(attempt.still_runs for attempt in left)
        error = RunCancelledError("cancelled") if self._is_cancelled else self._error
        returned = self._gathered() if error is None else None
        self._outcomes, self._lists, self._shared = [], {}, {}
        active, resume = self._active, self._resume
        self._engine.pool.submit(lambda: resume(active, returned, error))
        return True

    def _gathered(self) -> tuple[list[Any], ...]:
        outcomes: list[Any] = self._outcomes
        if self._policy.on_item_error == "skip":
            outcomes = [outcome for outcome in outcomes if not isinstance(outcome, ErrorPacket)]
        return tuple(
            [outcome if isinstance(outcome, ErrorPacket) else outcome[number] for outcome in outcomes]
            for number in range(len(self._slot.node_type.outputs))
        )

    # -- who takes items

    def _add_hand(self, *, is_lent: bool) -> None:
        hand = _Hand(is_lent=is_lent)
        self._hands.append(hand)
        if self._is_async:
            self._engine.pool.submit(lambda: self._take_on_loop(hand))
        elif self._is_main:
            self._engine.main_queue.submit(lambda: self._serve(hand))
        else:
            self._engine.pool.submit(lambda: self._serve(hand))

    def _recruit(self) -> None:
        """Ask for further hands, if items are worth it. Under the lock."""
        while self._is_long and len(self._hands) < min(self._bound, len(self._ready) + len(self._busy)):
            if not self._run.lend_worker(is_bounded=self._policy.max_concurrency is not None):
                return
            self._add_hand(is_lent=True)

    def _look_later(self, delay_s: float) -> None:
        def look() -> None:
            with self._run.lock:
                if self._is_over or not self._ready:
                    return
                now = self._engine.clock.monotonic()
                if any(now - attempt.began > LOOK_S for attempt in self._busy.values()):
                    self._is_long = True
                self._recruit()  # also what was refused before: others may have ended meanwhile
            self._look_later(min(2 * delay_s, 0.05))

        self._engine.timers.call_later(delay_s, look)

    def _leave(self, hand: _Hand) -> None:
        """A hand finds nothing to do. Under the lock."""
        if not hand.is_struck:
            hand.is_struck = True
            self._hands.remove(hand)
            if hand.is_lent:
                self._run.take_worker_back()
        self._end_if_over()

    def _next(self, hand: _Hand) -> int | None:
        """Take the next item; None when the hand is not needed any more. Under the lock."""
        if hand.is_struck:
            return None
        if not self._ready:
            self._leave(hand)
            return None
        return self._ready.popleft()

    def _serve(self, hand: _Hand) -> None:
        """Compute items on this thread until none is left."""
        while True:
            with self._run.lock:
                index = self._next(hand)
                attempt = self._started(index, hand) if index is not None else None
            if index is None:
                return
            if attempt is None:
                continue
            outcome = self._called(attempt)
            attempt.has_returned = True
            self._conclude(attempt, *outcome)
            if isinstance(outcome[1], KeyboardInterrupt) and self._is_main:
                self._run.cancel()
                raise outcome[1]

    def _take_on_loop(self, hand: _Hand) -> None:
        """Begin the coroutine of the next item; who ends it begins the one after."""
        attempt = None
        while attempt is None:
            with self._run.lock:
                index = self._next(hand)
                if index is None:
                    return
                attempt = self._started(index, hand)
        self._begin_task(attempt)

    def _begin_task(self, attempt: _Attempt) -> None:
        function: Any = self._slot.node_type.function
        if self._flow is not None:
            flow, span = self._flow, self._spans[attempt.index]

            def function(**arguments: Any) -> Any:
                return flow.call(arguments, attempt.effects, span, attempt.notes)

        def call() -> Awaitable[Any]:
            awaitable: Awaitable[Any] = function(**self._arguments(attempt))
            return awaitable

        body = partial(calling.awaited, self._engine.capture, attempt.context, attempt.effects, call, self._guarded)

        def ended(task: asyncio.Task[Any]) -> None:
            error = RunCancelledError("cancelled") if task.cancelled() else task.exception()
            values = None if error is not None else task.result()
            attempt.has_returned = True

            def go_on() -> None:
                self._conclude(attempt, values, error)
                self._take_on_loop(attempt.hand)

            self._engine.pool.submit(go_on)

        cancel_task = self._engine.loop_thread.create_task(body, VariableContext(), ended)
        with self._run.lock:
            attempt.cancel_task = cancel_task
            if attempt.context.cancelled:
                cancel_task()

    # -- one item

    def _started(self, index: int, hand: _Hand) -> _Attempt | None:
        """Enter an item that is about to be computed; None when it is decided without. Under the lock."""
        span = self._spans[index]
        if span.attempt == 0 and self._is_decided_without(index):
            self._end_if_over()
            return None
        span.attempt += 1
        effects, clock = Effects(), self._engine.clock
        context = Context(
            flow=self._run.plan.flow,
            node_id=self._slot.node_id,
            trace_id=self._run.trace_id,
            attempt=span.attempt,
            effects=effects,
            services=self._services,
        )
        attempt = _Attempt(index=index, hand=hand, context=context, effects=effects, began=clock.monotonic())
        span.status = "running"
        if span.start_s is None:
            span.start_s = attempt.began - self._active.began
        self._busy[index] = attempt
        timeout_s = self._policy.timeout_s
        if timeout_s is not None and not self._is_isolated:  # a process is ended by who waits for it
            attempt.disarm = self._engine.timers.call_later(timeout_s, lambda: self._overdue(attempt, timeout_s))
        return attempt

    def _is_decided_without(self, index: int) -> bool:
        span = self._spans[index]
        for name, values in self._lists.items():
            if isinstance(values[index], ErrorPacket) and self._ports[name].item_type != "packet":
                packet: ErrorPacket = values[index]
                span.status = "skipped"
                error = RunError(
                    f"{name}[{index}] is an error of {packet.node_id!r}: {packet.message}", code="FB430", hint=_HINT
                )
                error.__cause__ = packet.cause
                self._fail(index, packet, error)
                return True
        kept = self._kept(index)
        if kept is not None:
            span.status = "cached"
            values, self._files[index] = kept
            self._decide(index, values)
        return kept is not None

    def _item_key(self, index: int) -> str | None:
        """Make the key of an item once."""
        if index not in self._keys:
            self._keys[index] = self._key(index)
        return self._keys[index]

    def _key(self, index: int) -> str | None:
        """Say what the outputs of an item depend on; None when that cannot be said."""
        if not self._base:
            return None
        payloads = self._engine.payloads
        maker = KeyMaker(payloads.content_key, self._engine.identities)
        maker.parts["node"] = self._base
        for name, values in self._lists.items():
            value = values[index]
            digest = payloads.content_key(value)
            if digest is None and payloads.shape(value).kind not in _LASTING:
                return None
            maker.parts[f"item {name}"] = digest or self._engine.identities.token(value)
            maker.add_files(value)
        return maker.finish(self._engine.no_code, self._engine.versions).digest

    def _kept(self, index: int) -> tuple[tuple[Any, ...], tuple[tuple[str, int, int], ...]] | None:
        key = self._item_key(index) if not self._run.request.force else None
        if key is None:
            return None
        with self._run.results.lock:
            found = self._run.results.cache.get(self._slot.node_id, ("item", key))
        if found is None:
            return None
        values, files, inner = found
        scanned = (path for value in values for path in self._engine.payloads.scanned_files(value))
        is_same = stat_files(scanned) == files and stat_files(Path(path) for path, _, _ in inner) == inner
        return (values, inner) if is_same else None

    def _keep(self, key: str, values: tuple[Any, ...], inner: tuple[tuple[str, int, int], ...]) -> None:
        payloads, results = self._engine.payloads, self._run.results
        files = stat_files(path for value in values for path in payloads.scanned_files(value))
        size_bytes = sum(map(payloads.size_bytes, values))
        buffers: dict[int, int] = {}
        for value in values:
            buffers |= payloads.shared_buffers(value)
        with results.lock:
            results.cache.put_item((self._slot.node_id, ("item", key)), (values, files, inner), size_bytes, buffers)

    def _arguments(self, attempt: _Attempt) -> dict[str, Any]:
        payloads = self._engine.payloads
        # Handed out anew for each item, as for each of several nodes: what one does to its table no other one sees.
        arguments = {name: payloads.hand_out(value, "", is_own=True).value for name, value in self._shared.items()}
        for name in self._containers:
            arguments[name] = copy.deepcopy(arguments[name])
        for name in self._mutable:
            handed = payloads.private_copy(arguments[name])
            arguments[name] = handed.value
            if handed.copies:
                attempt.notes.copies.append((name, handed.copies))
        for name, values in self._lists.items():
            port = self._ports[name]
            handed = payloads.hand_out(values[attempt.index], port.item_form, is_own=True)
            value, copies = handed.value, handed.copies
            if port.is_mutable:
                handed = payloads.private_copy(value)
                value, copies = handed.value, copies + handed.copies
            arguments[name] = value
            if copies:
                attempt.notes.copies.append((name, copies))
        if self._slot.node_type.context_name:
            arguments[self._slot.node_type.context_name] = attempt.context
        return arguments

    def _note_copies(self, attempt: _Attempt) -> None:
        """Note what was copied for one item, among what was for the others. Under the lock."""
        for name, copies in attempt.notes.copies:
            self._active.inputs.add_copies(name, copies)

    def _share(self) -> None:
        """Put what all items read where every process sees it, once."""
        with self._sharing:
            if self._is_shared or self._engine.isolation is None or self._undecided < _WORTH_SHARING:
                return
            self._is_shared = True
            for name, value in list(self._shared.items()):
                if name not in self._mutable and name not in self._containers:
                    handed = self._engine.isolation.share(value)
                    self._shared[name] = handed.value
                    if handed.copies:
                        with self._run.lock:
                            self._active.inputs.add_copies(name, handed.copies)

    def _called(self, attempt: _Attempt) -> tuple[tuple[Any, ...] | None, BaseException | None]:
        """Call the function on this thread."""
        function: Any = self._slot.node_type.function
        if self._is_isolated:
            self._share()
            function = isolated(
                self._engine,
                self._slot,
                attempt.context,
                lambda name, copies: attempt.notes.copies.append((name, copies)),
            )

        def call() -> Any:
            return function(**self._arguments(attempt))

        return calling.called(self._engine.capture, attempt.context, attempt.effects, call, self._guarded)

    def _guarded(self, returned: Any) -> tuple[Any, ...]:
        """Spread what the function returned over its outputs, in the form that its annotation says."""
        payloads, slot = self._engine.payloads, self._slot
        values = []
        for port, value in zip(
            slot.node_type.outputs, firings.split_outputs(slot.node_type, slot.node_id, returned), strict=True
        ):
            if port.item_form not in ("", "LazyFrame") and payloads.shape(value).is_lazy:
                value = payloads.hand_out(value, port.item_form, is_own=True).value  # noqa: PLW2901 -- computed here
            value = payloads.publish(value)  # noqa: PLW2901 -- guarded from here on
            payloads.resolve(value)
            values.append(value)
        return tuple(values)

    def _conclude(self, attempt: _Attempt, values: tuple[Any, ...] | None, error: BaseException | None) -> None:
        """After an attempt: decide about the item, or arrange for the next attempt."""
        with self._run.lock:
            if self._busy.get(attempt.index) is not attempt:
                return  # struck: somebody decided already
            took_s, key = self._end_attempt(attempt), None
            if attempt.notes.left:  # nodes of its flow were given up
                self._left.append(attempt)
            if self._is_cancelled or self._error is not None:
                values = None  # it was asked to end early: what it returned may be a part of its value
            if error is None and values is not None:
                self._spans[attempt.index].status = "ok"
                self._decide(attempt.index, values)
                self._files[attempt.index] = attempt.notes.files
                key = self._item_key(attempt.index)
                self._keys.pop(attempt.index)
                self._keeping_count += key is not None
            elif error is not None:
                self._failed(attempt.index, error)
            if self._spans[attempt.index].status != "queued":  # there is no further attempt
                self._note_copies(attempt)
            self._called_count += 1
            self._called_s += took_s
            if not self._is_long and self._called_s > CHEAP_S * max(self._called_count, _LEAST_COUNT):
                self._is_long = True
            self._recruit()
            if self._is_cancelled or self._error is not None:
                self._end_if_over()
        if key is not None and values is not None:
            try:
                self._keep(key, values, attempt.notes.files)
            finally:
                with self._run.lock:
                    self._keeping_count -= 1
                    self._end_if_over()

    def _end_attempt(self, attempt: _Attempt) -> float:
        del self._busy[attempt.index]
        if attempt.disarm is not None:
            attempt.disarm()
        span, took_s = self._spans[attempt.index], self._engine.clock.monotonic() - attempt.began
        span.took_s = (span.took_s or 0.0) + took_s
        effects, whole = attempt.effects, self._active.effects
        if effects.entries or effects.displays or effects.dropped_count:
            kept = effects if self._flow is not None else self._room.fit(effects)
            whole.entries += kept.entries
            whole.displays += kept.displays
            whole.dropped_count += kept.dropped_count
        return took_s

    def _decide(self, index: int, outcome: tuple[Any, ...] | ErrorPacket) -> None:
        self._outcomes[index] = outcome
        self._undecided -= 1
        self._active.effects.progress = 1 - self._undecided / self._count

    def _failed(self, index: int, error: BaseException) -> None:
        """An attempt failed: try again, or decide. Under the lock."""
        span, retry = self._spans[index], self._policy.retry
        if self._is_cancelled or self._error is not None:
            span.status = "skipped"
            return
        if retry is not None and span.attempt < retry.max_attempts:
            span.status = "queued"
            delay_s = delay_before(span.attempt + 1, retry, self._engine.random)
            self._alarms[index] = self._engine.timers.call_later(delay_s, lambda: self._try_again(index))
            return
        packet = firings.error_packet(error, slot=self._slot, trace_id=self._run.trace_id, attempt=span.attempt)
        if isinstance(error, InnerFailure):
            packet = dataclasses.replace(error.packet, node_id=self._slot.node_id, attempt=span.attempt)
            error = packet.cause or error
        packet = dataclasses.replace(packet, message=f"item {index}: {packet.message}", hint=packet.hint or _HINT)
        span.status = "failed"
        self._fail(index, packet, error)

    def _fail(self, index: int, packet: ErrorPacket, error: BaseException) -> None:
        self._spans[index].error = packet
        if self._policy.on_item_error != "fail":
            self._decide(index, packet)
            return
        self._error = error
        self._failure = packet if packet.node_id == self._slot.node_id else None
        self._stop()
        self._ask_to_end()

    def _try_again(self, index: int) -> None:
        with self._run.lock:
            if self._alarms.pop(index, None) is None:
                return
            self._ready.append(index)
            if not self._hands or (self._hands[0].is_lent and not any(not hand.is_lent for hand in self._hands)):
                self._add_hand(is_lent=False)
            self._recruit()

    def _overdue(self, attempt: _Attempt, timeout_s: float) -> None:
        with self._run.lock:
            if self._busy.get(attempt.index) is not attempt:
                return
            attempt.context.cancel()
            self._end_attempt(attempt)
            if attempt.cancel_task is not None:
                attempt.cancel_task()
                self._engine.loop_thread.leave_if_stuck()
            if attempt.cancel_task is None or self._flow is not None:  # a node of a flow may not answer, as any other
                self._left.append(attempt)
            error = NodeTimeoutError(
                f"{self._slot.node_id!r} took longer than {timeout_s:g} s",
                where=f"flow {self._run.plan.flow!r}, node {self._slot.node_id!r}, item {attempt.index}",
                hint="raise timeout_s, or look at ctx.cancelled inside long loops",
            )
            self._failed(attempt.index, error)
            if self._spans[attempt.index].status != "queued":
                self._note_copies(attempt)
            self._replace(attempt.hand)
            self._end_if_over()

    def _replace(self, hand: _Hand) -> None:
        """Let another hand go on where one is stuck in an item. Under the lock."""
        if hand.is_struck:
            return
        hand.is_struck = True
        self._hands.remove(hand)
        if self._ready:
            self._add_hand(is_lent=hand.is_lent)
        elif hand.is_lent:
            self._run.take_worker_back()

    # -- what is told

    def named(self, decision: Decision) -> Decision:
        """Say which item it was that failed."""
        if self._failure is None:
            return decision
        return dataclasses.replace(decision, error=self._failure, reason=self._failure.message)

    def lost(self) -> str:
        """Name the items that failed here, and how if that is in the list; what differs in it is another value.

        Items that were errors already are not among them: they are what the node was given.
        """
        is_kept = self._policy.on_item_error == "keep"
        return "\0".join(
            f"{index} {span.error.code} {span.error.message}" if is_kept and span.error is not None else str(index)
            for index, span in enumerate(self._spans)
            if span.status == "failed"
        )

    @property
    def files(self) -> Iterator[tuple[str, int, int]]:
        """The files that nodes of flows read lazily for the items, as they were then, in the order of the items."""
        return itertools.chain.from_iterable(self._files)

    def told(self, reason: str) -> str:
        """Add to why the node fired what came of its items."""
        counts: dict[str, int] = {}
        for span in self._spans:
            counts[span.status] = counts.get(span.status, 0) + 1
        whole = f"{self._count:,} item{'s' if self._count != 1 else ''}"
        parts = []
        if counts.get("cached"):
            parts.append(f"{counts['cached']:,} unchanged")
        lost = counts.get("failed", 0) + counts.get("skipped", 0)
        if lost:
            fate = "left out" if self._policy.on_item_error == "skip" else "kept as errors"
            parts.append(f"{lost:,} failed and {fate}")
        return f"{reason} ({whole}{': ' if parts else ''}{', '.join(parts)})"
