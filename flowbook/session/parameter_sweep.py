"""A flow run once for each combination of some settings: ``flow.sweep({"node.setting": [values]})``.

What no combination changes is run once, by an ordinary run of the flow. Every combination then runs the nodes below the
settings alone, with values and a cache of the sweep's own: two combinations that differ in a late setting share what is
above it, and the flow keeps its settings, values and stamps. (The engine's own loop over plain nodes is called a sweep,
too, in ``runtime.sweep``; it has nothing to do with this one.)
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import itertools
import threading
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from flowbook.errors import DefinitionError, FlowbookError, UnknownIdError, did_you_mean
from flowbook.observe.traces import Trace
from flowbook.runtime.asking import Wish, make_request
from flowbook.runtime.context import refuse_inside_firing
from flowbook.runtime.decisions import Request
from flowbook.runtime.execution import Execution
from flowbook.runtime.results import FlowResults, NodeState
from flowbook.runtime.run import SLICE_S, AwaitInterrupt, Run, RunInterrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from flowbook.core.events import Event, RunStatus
    from flowbook.core.packets import ErrorPacket
    from flowbook.runtime.plan import Plan, Slot
    from flowbook.runtime.sweep import Batch
    from flowbook.session.flow_handle import Flow

#: What may be swept: ``"node.setting"`` or ``(node, setting)``, each with the values it takes in turn.
Axes = Mapping["str | tuple[str, str]", "Iterable[Any]"]
_OWN_COLUMNS = ("status", "fired", "took_s", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRow:
    """What one combination came to.

    Attributes:
        settings: value by ``"node.setting"``.
        values: value by wanted output; one that was not reached is left out.
        status: ok, failed or cancelled.
        fired: ids of the nodes that this combination fired, in firing order; the others were shared.
        errors: one packet per failed node.
        took_s: wall time, seconds.
        trace: what its run did, node by node.
    """

    settings: Mapping[str, Any]
    values: Mapping[str, Any]
    status: RunStatus
    fired: tuple[str, ...]
    errors: tuple[ErrorPacket, ...]
    took_s: float
    trace: Trace

    def __getitem__(self, name: str) -> Any:
        """Return the value of a setting or of a wanted output.

        Raises:
            UnknownIdError: a KeyError: there is none of that name, or it was not reached.
        """
        for found in (self.values, self.settings):
            if name in found:
                return found[name]
        why = f": {self.errors[0].message}" if self.errors else ""
        raise UnknownIdError(
            f"this combination has no {name!r}{why}", hint=did_you_mean(name, [*self.settings, *self.values])
        )


class ParameterSweep:
    """A sweep under way, or ended: ``await`` it, or ``wait()``; ``rows``, ``table()``, ``cancel()``.

    Iterating yields the rows as they are finished. A combination that fails is a row with status failed; the others
    go on.

    Args:
        flow: whose nodes; it stays as it is.
        axes: the settings and their values.
        outputs: the values wanted of each combination, ``"node"`` or ``"node.port"``; None: the leaves below the
            settings.
        inputs: as in ``flow.run``.

    Raises:
        UnknownIdError: FB201, no such node, setting or output.
        DefinitionError: FB113, nothing to sweep over; FB103, FB104, a value that does not fit its setting.
        RunError: FB411, a setting that an edge feeds.
    """

    def __init__(
        self, flow: Flow, axes: Axes, *, outputs: str | Sequence[str] | None, inputs: Mapping[str, Any] | None
    ) -> None:
        self._flow, self._engine = flow, flow.engine
        self._axes = {_name_of(key): _values_of(key, values) for key, values in axes.items()}
        if not self._axes:
            raise DefinitionError(
                "a sweep needs a setting to move", code="FB113", hint='flow.sweep({"node.setting": [1, 2, 3]})'
            )
        self._plan = plan = flow.plan
        self._checked = [dict(self._request(combination).settings) for combination in self._combinations()]
        #: Nodes of which a setting moves.
        self._moved = {node_id for combination in self._checked for node_id, _ in combination}
        self._outputs, targets = self._wanted(outputs)
        affected = plan.downstream(sorted(self._moved))
        needed = plan.upstream(targets)
        self._request_of_all = Request(scope=frozenset(affected & needed), targets=frozenset(targets))
        shared = needed - affected
        self._read = [plan.slots[index].node_id for index in sorted(shared) if self._is_read(index)]
        self._inputs = inputs
        self._results = FlowResults()
        self._lock = threading.Lock()
        self._has_news = threading.Condition(self._lock)
        self._is_over = threading.Event()
        self._on_over: list[Any] = []
        self._rows: list[SweepRow] = []
        #: What a table says of the values of each row.
        self._told_of: list[dict[str, _Told]] = []
        self._is_cancelled = False
        #: What kept the sweep itself from going on.
        self._fault: BaseException | None = None
        self._current: Execution | None = None
        #: The ordinary run that computed what all combinations share; None when there is nothing of that kind.
        self.shared: Run | None = None

    # -- what is swept

    def _combinations(self) -> Iterable[dict[str, Any]]:
        return (dict(zip(self._axes, values, strict=True)) for values in itertools.product(*self._axes.values()))

    def _request(self, combination: Mapping[str, Any]) -> Request:
        return make_request(self._flow.data_around("/"), self._plan, Wish(settings=combination))

    def _wanted(self, outputs: str | Sequence[str] | None) -> tuple[list[str], list[str]]:
        """Return the names of the wanted values, and the nodes that give them."""
        plan = self._plan
        if outputs is None:
            below = plan.downstream(sorted(self._moved))
            leaves = [slot for slot in plan.slots if slot.index in below and slot.is_leaf]
            names = [
                slot.node_id if slot.primary is not None else f"{slot.node_id}.{port.name}"
                for slot in leaves
                for port in (slot.node_type.outputs if slot.primary is None else slot.node_type.outputs[:1])
            ]
            return names, [slot.node_id for slot in leaves]
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        for name in names:
            node_id, _, port = plan.nesting.output(name).partition(".")
            node_type = self._flow.data_around(node_id).type_of(node_id)
            ports = [entry.name for entry in node_type.outputs]
            if port and port not in ports:
                raise UnknownIdError(
                    f"{node_id!r} has no output {port!r}", where=self._flow.data.where, hint=did_you_mean(port, ports)
                )
        return names, list(dict.fromkeys(plan.nesting.output(name).partition(".")[0] for name in names))

    def _is_read(self, index: int) -> bool:
        """Whether a combination reads that slot, or wants it."""
        slot = self._plan.slots[index]
        scope = self._request_of_all.scope
        return slot.node_id in self._request_of_all.targets or not scope.isdisjoint(slot.successors)

    # -- life

    def begin(self) -> ParameterSweep:
        """Compute what is shared, then one combination after the other; returns at once."""
        if self._read or self._inputs:
            self.shared = self._flow.start(to=self._read, inputs=self._inputs)
            self.shared.on_end(lambda: self._submit(self._take_over))
        else:
            self._submit(self._take_over)
        return self

    def _submit(self, job: Callable[[], None]) -> None:
        """Do a step of the sweep on a worker; whatever goes wrong there ends it, and whoever waits is told."""

        def do() -> None:
            try:
                job()
            except BaseException as error:
                self._fault = error
                self._end()

        self._engine.pool.submit(do)

    def _take_over(self) -> None:
        """Take the values that are shared, and begin."""
        if self.shared is not None and self.shared.status != "ok":
            self._end()
            return
        theirs = self._flow.results
        with theirs.lock:
            self._results.given.update(theirs.given)
            for slot in self._plan.slots:
                state = theirs.state(slot.node_id)
                self._results.states[slot.node_id] = NodeState(
                    result=state.result if slot.index not in self._request_of_all.scope else None,
                    stamp=state.stamp,
                    cost_s=state.cost_s,
                )
        self._next()

    def _next(self) -> None:
        with self._lock:
            number = len(self._rows)
            if self._is_cancelled or number == len(self._checked):
                execution = None
            else:
                plan = _plan_with(self._plan, self._checked[number])
                teller = _Teller()
                execution = Execution(plan, self._request_of_all, self._results, self._engine, teller)
                teller.trace = Trace(self._flow.name, execution.trace_id, self._engine.payloads.table)
            self._current = execution
        if execution is None:
            self._end()
            return
        execution.on_done(lambda: self._submit(lambda: self._enter(execution, teller.trace)))
        self._engine.submit(execution)

    def _enter(self, execution: Execution, trace: Trace) -> None:
        """Put a combination that is over into the table, and go on."""
        run = Run(execution, trace)
        values: dict[str, Any] = {}
        told: dict[str, _Told] = {}
        for name in self._outputs:
            with contextlib.suppress(FlowbookError):  # it failed, or was not reached; the row says which
                values[name] = run[name] if execution.covers(self._leaf(name)) else self._flow_value(name)
                told[name] = self._told(values[name], execution, name)
        row = SweepRow(
            settings=dict(zip(self._axes, self._written(len(self._rows)), strict=True)),
            values=values,
            status=run.status,
            fired=tuple(run.recomputed),
            errors=tuple(run.errors),
            took_s=trace.took_s,
            trace=trace,
        )
        with self._has_news:
            if not self._is_cancelled or run.status != "cancelled":
                self._rows.append(row)
                self._told_of.append(told)
            self._has_news.notify_all()
        self._next()

    def _leaf(self, name: str) -> str:
        return self._plan.nesting.output(name).partition(".")[0]

    def _written(self, number: int) -> tuple[Any, ...]:
        return next(itertools.islice(itertools.product(*self._axes.values()), number, None))

    def _flow_value(self, name: str) -> Any:
        """Return a wanted value that no combination changes."""
        slot, index = self._output_of(name)
        result = self._results.value_of(slot)
        if index is None or result is None:
            return None
        return self._engine.value_for_user(result, index, slot.node_type.outputs[index].form)

    def _output_of(self, name: str) -> tuple[Slot, int | None]:
        """Find the slot that gives a wanted value, and which of its outputs it is."""
        node_id, _, port = self._plan.nesting.output(name).partition(".")
        slot = self._plan.slots[self._plan.index[node_id]]
        return slot, [entry.name for entry in slot.node_type.outputs].index(port) if port else slot.primary

    def _told(self, value: Any, execution: Execution, name: str) -> _Told:
        """Say what a table shows of a value: a lazy table was collected, because it was wanted, and knows its rows."""
        shape = self._engine.payloads.shape(value)
        if shape.is_lazy:
            slot, index = self._output_of(name)
            is_covered = execution.covers(slot.node_id)
            result = execution.result_of(slot) if is_covered else self._results.state(slot.node_id).result
            if result is not None and index is not None:
                value = result.collected.get(index, value)
                shape = self._engine.payloads.shape(value)
        is_single = not shape.is_lazy and shape.rows == 1 and shape.columns in (None, 1)
        if shape.kind in ("table", "series") and is_single:
            return _Told(shape.text, value.item())
        return _Told(shape.text or value)

    def _end(self) -> None:
        with self._has_news:
            self._is_over.set()
            self._results = FlowResults()  # nobody needs what lies between settings and outputs any more
            callbacks, self._on_over = self._on_over, []
            self._has_news.notify_all()
        for callback in callbacks:
            callback()

    def cancel(self) -> None:
        """Begin no further combination, and end the one under way; rows that are there stay."""
        with self._lock:
            self._is_cancelled = True
            current = self._current
        if self.shared is not None:
            self.shared.cancel()
        if current is not None:
            current.cancel()

    # -- waiting

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end, on the main thread in slices so that Ctrl-C works.

        Args:
            timeout_s: longest wait, seconds; None: for ever.

        Returns:
            Whether the sweep is over.

        Raises:
            EngineDeadlockError: FB406, called inside a node.
            KeyboardInterrupt: the wait was interrupted; the sweep was cancelled.
            BaseException: what kept the sweep itself from going on.
        """
        refuse_inside_firing("sweep.wait()")
        clock = self._engine.clock
        deadline = None if timeout_s is None else clock.monotonic() + timeout_s
        try:
            while not self._is_over.wait(
                SLICE_S if deadline is None else max(0.0, min(SLICE_S, deadline - clock.monotonic()))
            ):
                self._serve_main()
                if deadline is not None and clock.monotonic() >= deadline:
                    return False
        except KeyboardInterrupt:
            self.cancel()
            raise RunInterrupt(self._was_interrupted) from None
        if self._fault is not None:
            raise self._fault
        return True

    @property
    def _was_interrupted(self) -> str:
        return f"Interrupted: sweep of {self._flow.name}, {len(self._rows)} of {len(self._checked)} combinations done"

    def _serve_main(self) -> None:
        if self._engine.main_queue.serve():
            raise KeyboardInterrupt

    async def _wait_on_loop(self) -> ParameterSweep:
        refuse_inside_firing("await sweep")
        try:
            while not self._is_over.is_set():
                self._serve_main()
                await asyncio.sleep(SLICE_S / 5)
        except (asyncio.CancelledError, KeyboardInterrupt):
            # An interrupted cell: IPython cancels what it awaits. A KeyboardInterrupt would end the kernel's loop.
            self.cancel()
            raise AwaitInterrupt(self._was_interrupted) from None
        if self._fault is not None:
            raise self._fault
        if self.shared is not None:
            self.shared.raise_errors()
        return self

    def __await__(self) -> Generator[Any, None, ParameterSweep]:
        """Wait for the end and return the sweep.

        Raises:
            FlowFailedError: FB401, what all combinations share failed; a combination that fails is only a row.
            BaseException: what kept the sweep itself from going on, such as a value that cannot be handed out.
        """
        return self._wait_on_loop().__await__()

    # -- what came out

    @property
    def status(self) -> Literal["running", "ok", "failed", "cancelled"]:
        """running; ok when every combination was; failed when one failed, or what they share; cancelled."""
        if not self._is_over.is_set():
            return "running"
        if self._is_cancelled:
            return "cancelled"
        if self._fault is not None:
            return "failed"
        shared_failed = self.shared is not None and self.shared.status != "ok"
        return "failed" if shared_failed or any(row.status != "ok" for row in self._rows) else "ok"

    @property
    def progress(self) -> float:
        """How much is done, 0 to 1."""
        return len(self._rows) / len(self._checked)

    @property
    def rows(self) -> tuple[SweepRow, ...]:
        """The combinations that are over, in the order of the product: the last setting moves fastest."""
        return tuple(self._rows)

    @property
    def errors(self) -> list[ErrorPacket]:
        """What failed: of the shared part, then of every combination."""
        return [
            *(self.shared.errors if self.shared is not None else ()),
            *(e for row in self._rows for e in row.errors),
        ]

    def table(self) -> Any:
        """Return a row per finished combination as a polars DataFrame.

        Columns: a setting each, a wanted output each, status, fired (how many nodes), took_s, error. Of a table the
        output's column says ``"rows × columns"``, of an array its shape; tables that have one row and one column in
        every combination, a mean or a count, show what is in them. The values themselves are in ``sweep.rows``.
        """
        with self._lock:
            rows, told_of = list(self._rows), list(self._told_of)
        single = {
            name for name in self._outputs if all(told[name].item is not _NOTHING for told in told_of if name in told)
        }
        records = [self._record(row, told, single) for row, told in zip(rows, told_of, strict=True)]
        return self._engine.payloads.table(records, self._types())

    def _types(self) -> dict[str, type]:
        return {} if self._rows else dict.fromkeys([*self._axes, *self._outputs], str)

    def _record(self, row: SweepRow, told_of: Mapping[str, _Told], single: Set[str]) -> dict[str, Any]:
        record = dict(row.settings)
        for name in self._outputs:
            found = told_of.get(name)
            record[name] = None if found is None else found.item if name in single else found.shown
        told = (row.status, len(row.fired), row.took_s, row.errors[0].message if row.errors else None)
        return {**record, **dict(zip(_OWN_COLUMNS, told, strict=True))}

    def __len__(self) -> int:
        """Count the combinations, finished or not."""
        return len(self._checked)

    def __getitem__(self, number: int) -> SweepRow:
        """Return a finished combination by its number."""
        return self._rows[number]

    def __iter__(self) -> Iterator[SweepRow]:
        """Yield the rows as they are finished, until the sweep is over.

        Raises:
            EngineDeadlockError: FB406, called inside a node.
            BaseException: what kept the sweep itself from going on.
        """
        refuse_inside_firing("iterating over a sweep")
        number = 0
        while True:
            with self._has_news:
                while number >= len(self._rows) and not self._is_over.is_set():
                    self._has_news.wait(SLICE_S)
                    if number >= len(self._rows):
                        break
                row = self._rows[number] if number < len(self._rows) else None
            if row is not None:
                number += 1
                yield row
            elif self._is_over.is_set():
                if self._fault is not None:
                    raise self._fault
                return
            else:
                self._serve_main()

    def __repr__(self) -> str:
        """Show the flow, the settings and how far it is."""
        done = f"{len(self._rows)} of {len(self._checked)}"
        failed = sum(row.status == "failed" for row in self._rows)
        tail = f", {failed} failed" if failed else ""
        return f"<sweep of {self._flow.name} over {', '.join(self._axes)}: {self.status}, {done}{tail}>"


_NOTHING: Final = object()


@dataclass(frozen=True, slots=True)
class _Told:
    """What a table shows of a value, and what is in it if that is one thing alone."""

    shown: Any
    item: Any = _NOTHING


class _Teller:
    """Tells the trace of one combination."""

    trace: Trace  # who makes it needs the id of the run

    def __call__(self, event: Event) -> None:
        self.trace.take(event)

    def is_heard(self) -> bool:
        """Nobody listens while it goes on: the flow itself stays as it is."""
        return False

    def later(self, batch: Batch, told: int) -> None:  # noqa: ARG002 -- nobody was told anything
        """Take what the engine's loop over plain nodes did."""
        self.trace.take_later(batch.events)

    def push(self, event: Event) -> None:
        """Nobody listens."""


def _name_of(key: str | tuple[str, str]) -> str:
    return key if isinstance(key, str) else ".".join(key)


def _values_of(key: str | tuple[str, str], values: Any) -> list[Any]:
    if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__iter__"):
        raise DefinitionError(
            f"the values of {_name_of(key)} are not a list: {values!r}",
            code="FB113",
            hint=f'flow.sweep({{"{_name_of(key)}": [{values!r}, …]}})',
        )
    found = list(values)
    if not found:
        raise DefinitionError(f"there is no value for {_name_of(key)}", code="FB113", hint="give at least one")
    return [value.item() if hasattr(value, "item") and not hasattr(value, "columns") else value for value in found]


def _plan_with(plan: Plan, settings: Mapping[tuple[str, str], Any]) -> Plan:
    """Return the plan with other settings; a value for an input is its constant."""
    other = copy.copy(plan)
    other.slots = plan.slots.copy()
    for node_id in dict.fromkeys(node_id for node_id, _ in settings):
        index = plan.index[node_id]
        slot = plan.slots[index]
        own = {name: value for (owner, name), value in settings.items() if owner == node_id}
        bindings = tuple(
            dataclasses.replace(binding, kind="constant", value=own[binding.name]) if binding.name in own else binding
            for binding in slot.bindings
        )
        moved = {name: value for name, value in own.items() if name in slot.settings}
        other.slots[index] = dataclasses.replace(slot, settings={**slot.settings, **moved}, bindings=bindings)
        other.changed |= {index}
    return other
