"""What nodes gave: the present result of every node of a flow, and earlier ones within a byte budget."""

from __future__ import annotations

import bisect
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from flowbook.core.expansion import SEPARATOR
from flowbook.runtime.code_keys import CodeKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from flowbook.core.events import Stamp, Status
    from flowbook.core.interfaces import Effects, Handed, PayloadCopy, Payloads, ValueShape
    from flowbook.core.packets import ErrorPacket
    from flowbook.runtime.columns import Columns
    from flowbook.runtime.engine import Engine
    from flowbook.runtime.fusion import Tally
    from flowbook.runtime.letters import Letters
    from flowbook.runtime.plan import Plan, Slot
    from flowbook.runtime.resources import Resources
    from flowbook.runtime.sweep import Batch

_version_lock = threading.Lock()
_next_version = 1
#: Least that an entry of the cache takes, bytes: its key, its place and its header.
LEAST_BYTES = 400
_NO_BUFFERS: dict[int, int] = {}
#: A node that took long in more runs in a row than this takes long; much too long counts twice.
_LONG_RUNS = 2
#: A plain node that takes longer is not swept the next time: others may go on beside it, seconds.
LONG_S = 0.001


def new_version() -> int:
    """Return a number that no value had before."""
    return new_versions(1)


def new_versions(count: int) -> int:
    """Return the first of so many numbers in a row that no value had before."""
    global _next_version  # noqa: PLW0603 -- one row of numbers for the whole process
    with _version_lock:
        first = _next_version
        _next_version += count
    return first


#: Versions count from 1 in every process, and disk caches outlive processes.
_PROCESS = secrets.token_hex(8)


def key_of_version(version: int) -> str:
    """Name a value of which nobody can say what it was made from, so that no other value ever bears that name."""
    return f"value {_PROCESS}.{version}"


DEFAULT_BUDGET_BYTES = 512 * 1024 * 1024


NO_CODE = CodeKey("", {})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyParts:
    """Everything a node's key was made of, kept so that a later run can say in words what differs.

    Attributes:
        digest: over all parts, 32 hex digits.
        code: of the function and what it reaches.
        parts: digests or short texts by label: ``"setting n"``, ``"input flights"``, ``"given path"``, ``"file
        a.csv"``. shown: short texts of small values, by the same labels.
    """

    digest: str
    code: CodeKey
    parts: dict[str, str]
    shown: dict[str, str]


@dataclass(slots=True, kw_only=True)
class NodeResult:
    """The outputs of one firing.

    Attributes:
        outputs: one value per output port, guarded.
        names: of the ports, where there are several.
        made_key: see ``key``; None until somebody asks.
        made_effective: see ``effective_key``.
        lazy_key: makes both, or None when what the outputs were made from is gone.
        version: stands for what the outputs were made from; two results of one node with one version are equal.
        files: ``(path, size, mtime_ns)`` of files that lazy outputs read.
        collected: tables that lazy outputs turned into, by output index; filled at most once per output.
        kept: outputs that were collected for their own sake (shown, pinned): readers start from the table. One that
            only a reader collected is not among them, so that what a reader gets does not depend on who came first.
        previews: what the canvas shows of an output, by output index; made at most once.
        columns: names and types of the columns of an output, by output index; asked for at most once.
        converted: other forms that consumers asked for, by ``(output index, form)``.
        run_id: the run whose firing made it.
        at: when it was made, seconds since the epoch.
        took_s: wall time of the firing, seconds.
        attempt: attempts it took.
        shape: of the primary output.
        copies: copies of payload bytes that its inputs needed.
        tapped: lazy outputs by reader, with what counts the rows that flow to it.
        copies_by_input: how many of them, by input; inputs that needed none are left out.
        effects: what it printed and displayed.
        size_bytes: estimated memory of its outputs, and of what was made of them for consumers.
        buffers: the large pieces of memory among it, address -> bytes; other results may hold the same ones.
        is_own: a node made it (False: it was handed in with ``overrides=``).
        is_partial: items of a mapped node failed and were skipped or kept as errors: the next run tries them again.
    """

    outputs: tuple[Any, ...]
    names: tuple[str, ...] = ()
    made_key: KeyParts | None = None
    made_effective: str = ""
    lazy_key: Callable[[], tuple[KeyParts, str] | None] | None = None
    version: int = field(default_factory=new_version)
    files: tuple[tuple[str, int, int], ...] = ()
    collected: dict[int, Any] = field(default_factory=dict)
    kept: set[int] = field(default_factory=set)
    previews: dict[int, Any] = field(default_factory=dict)
    columns: dict[int, Any] = field(default_factory=dict)
    converted: dict[tuple[int, str], Handed] = field(default_factory=dict)
    tapped: dict[tuple[int, str], tuple[Tally, Any]] = field(default_factory=dict)
    run_id: str
    at: float
    took_s: float
    attempt: int = 1
    shape: ValueShape | None = None
    copies: tuple[PayloadCopy, ...] = ()
    copies_by_input: dict[str, int] = field(default_factory=dict)
    effects: Effects | None = None
    size_bytes: int = 0
    buffers: dict[int, int] = field(default_factory=dict)
    is_own: bool = True
    is_partial: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def key(self) -> KeyParts:
        """What the outputs were made from."""
        if self.made_key is None:
            made = self.lazy_key() if self.lazy_key is not None else None
            self.made_key, self.made_effective = made or (
                KeyParts(digest=key_of_version(self.version), code=NO_CODE, parts={}, shown={}),
                key_of_version(self.version),
            )
            self.lazy_key = None
        return self.made_key

    @property
    def effective_key(self) -> str:
        """What readers put into their own key: ``key`` plus the state of the files that were scanned."""
        if self.made_key is None:
            self.key  # noqa: B018 -- makes both
        return self.made_effective

    def measure(self, payloads: Payloads) -> None:
        """Estimate ``size_bytes`` anew: a lazy table takes more once it is collected, a copied form comes on top.

        What several of the values share is counted once.
        """
        held = [self.collected.get(index, value) for index, value in enumerate(self.outputs)]
        sizes = [payloads.size_bytes(value) for value in held]
        shared = [payloads.shared_buffers(value) for value in held]
        self.size_bytes = sum(sizes)
        if any(shared):
            self.buffers = {address: size_bytes for part in shared for address, size_bytes in part.items()}
            alone = zip(sizes, (sum(part.values()) for part in shared), strict=True)
            self.size_bytes = sum(max(0, size - part) for size, part in alone) + sum(self.buffers.values())
        if self.converted:
            self.size_bytes += sum(copy.size_bytes for made in self.converted.values() for copy in made.copies)


@dataclass(slots=True, kw_only=True)
class NodeState:
    """What is known of a node now.

    Attributes:
        status: of the last run that covered it.
        stamp: of its value, as of the last run; staleness since then is asked for separately.
        reason: why it fired or did not, in words.
        result: its present value, or None.
        error: of the last firing, or None.
        run_id: the last run that covered it.
        last_key: of the last attempt, also of a failed one, so that the next run can say what changed.
        cost_s: moving average of its firing time, seconds; None before the first.
    """

    status: Status = "idle"
    stamp: Stamp | None = None
    reason: str = ""
    result: NodeResult | None = None
    error: ErrorPacket | None = None
    run_id: str | None = None
    last_key: KeyParts | None = None
    cost_s: float | None = None


class Swept(Protocol):
    """What one sweep computed; most of it is looked up by nobody, ever, so that entries are made when one is."""

    @property
    def versions_from(self) -> tuple[int, int]:
        """The versions of its values: from the first of them up to, and without, the second."""
        ...

    def cache_size(self) -> int:
        """What its entries count for, bytes."""
        ...

    def cache_entries(self) -> Iterator[tuple[tuple[str, Any], tuple[int, Any, str, float, float]]]:
        """Make the key and the fields of the ``Kept`` of each of its values."""
        ...


class MemoryCache:
    """Results of earlier settings, least recently used first to go.

    Args:
        budget_bytes: most memory to hold, by the payloads' own estimate; >= 0.
    """

    def __init__(self, budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        self._budget_bytes = budget_bytes
        #: With the size and the buffers it was entered with: a result grows when somebody asks for another form of it.
        self._entries: OrderedDict[tuple[str, Any], tuple[Any, int, dict[int, int]]] = OrderedDict()
        #: How many results hold the memory at an address, and how much of it counts: the most that one of them sees.
        self._holders: dict[int, tuple[int, int]] = {}
        self._size_bytes = 0
        #: What sweeps computed that has no entries yet, and the first version of each; in the order of these.
        self._swept: list[Swept] = []
        self._firsts: list[int] = []
        self._swept_sizes: list[int] = []

    def get(self, node_id: str, digest: Any) -> Any:
        """Return the result of that key and make it the most recent; None when it is gone."""
        found = self._entries.get((node_id, digest))
        if found is None:
            return None
        self._entries.move_to_end((node_id, digest))
        return found[0]

    def put(self, node_id: str, result: NodeResult) -> None:
        """Keep a result, dropping the least recent ones over the budget."""
        key, size_bytes = (node_id, result.key.digest), result.size_bytes
        self._drop(key)
        if size_bytes > self._budget_bytes:
            return
        self._enter(key, result, size_bytes, result.buffers)

    def get_plain(self, key: tuple[str, Any], newest: int) -> Any:
        """Return what is kept of a plain node; None when it is gone.

        Args:
            key: node id, and what the value was made from.
            newest: the largest version among that, 0 without one.
        """
        if self._swept:
            # What was made from a value of a sweep was made by that sweep, or looked up since then.
            place = bisect.bisect_right(self._firsts, newest) - 1
            if place >= 0 and newest < self._swept[place].versions_from[1]:
                self._enter_swept(place)
        found = self._entries.get(key)
        if found is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    def put_item(self, key: tuple[str, Any], kept: Any, size_bytes: int, buffers: dict[int, int]) -> None:
        """Keep what a mapped node made of one item."""
        self._drop(key)
        size_bytes += LEAST_BYTES
        if size_bytes > self._budget_bytes:
            return
        self._enter(key, kept, size_bytes, buffers)

    def put_swept(self, swept: Swept) -> None:
        """Keep what a sweep computed; what it made from nothing else of it is put by itself besides."""
        first = swept.versions_from[0]
        place = bisect.bisect_right(self._firsts, first)
        self._firsts.insert(place, first)
        self._swept.insert(place, swept)
        self._swept_sizes.insert(place, swept.cache_size())
        self._size_bytes += self._swept_sizes[place]
        while self._swept and self._size_bytes > self._budget_bytes:
            self._enter_swept(0)

    def _enter_swept(self, place: int) -> None:
        """Make entries of what a sweep computed: somebody looks for one of them, or has to drop some."""
        swept = self._swept.pop(place)
        del self._firsts[place]
        self._size_bytes -= self._swept_sizes.pop(place)
        for key, kept in swept.cache_entries():
            if key not in self._entries:
                self.put_plain(key, kept)

    def put_plain(self, key: tuple[str, Any], kept: tuple[int, Any, str, float, float]) -> None:
        """Keep a value that nobody can change: the fields of a ``Kept``."""
        value = kept[1]
        size_bytes = LEAST_BYTES + len(value) if type(value) in (str, bytes) else LEAST_BYTES
        if size_bytes > self._budget_bytes:
            return
        entries = self._entries
        if key in entries:
            self._drop(key)
        entries[key] = (kept, size_bytes, _NO_BUFFERS)
        self._size_bytes += size_bytes
        while self._size_bytes > self._budget_bytes and entries:
            self._drop(next(iter(entries)))

    def _enter(self, key: tuple[str, Any], kept: Any, size_bytes: int, buffers: dict[int, int]) -> None:
        self._entries[key] = (kept, size_bytes, buffers)
        self._size_bytes += size_bytes - sum(buffers.values())
        for address, seen_bytes in buffers.items():
            count, counted = self._holders.get(address, (0, 0))
            self._holders[address] = count + 1, max(counted, seen_bytes)
            self._size_bytes += max(0, seen_bytes - counted)
        self._fit()

    def _fit(self) -> None:
        """Drop the least recent entries over the budget."""
        while self._size_bytes > self._budget_bytes and (self._swept or self._entries):
            if self._swept:
                self._enter_swept(0)
            else:
                self._drop(next(iter(self._entries)))

    def _drop(self, key: tuple[str, Any]) -> None:
        _, size_bytes, buffers = self._entries.pop(key, (None, 0, _NO_BUFFERS))
        self._size_bytes -= size_bytes - sum(buffers.values())
        for address in buffers:
            count, counted = self._holders.pop(address)
            if count > 1:
                self._holders[address] = count - 1, counted
            else:
                self._size_bytes -= counted

    def drop_node(self, node_id: str) -> None:
        """Forget everything of one node."""
        while self._swept:
            self._enter_swept(0)
        for key in [key for key in self._entries if key[0] == node_id]:
            self._drop(key)

    @property
    def size_bytes(self) -> int:
        """Memory held now, bytes."""
        return self._size_bytes

    @property
    def budget_bytes(self) -> int:
        """Most memory to hold, bytes."""
        return self._budget_bytes

    @budget_bytes.setter
    def budget_bytes(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._fit()


class FlowResults:
    """The present state of every node of one flow; all access under ``lock``.

    Args:
        budget_bytes: of the memory cache.
    """

    def __init__(self, budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        self.lock = threading.RLock()
        self.states: dict[str, NodeState] = {}
        self.cache = MemoryCache(budget_bytes)
        #: Inputs given to a run by name are remembered for the session.
        self.given: dict[str, Any] = {}
        #: Counts what inputs were given, so that it shows when there are others.
        self.given_count = 0
        #: Nodes that look plain and are not: they gave a value that can be changed.
        self.odd: set[str] = set()
        #: Plain nodes that take so long that others shall go on beside them.
        self.long: set[str] = set()
        self._long_counts: dict[str, tuple[int, int]] = {}
        self._sweep_count = 0
        #: What is known of plain nodes; made for the plan of the latest run.
        self.columns: Columns | None = None
        #: What nodes hold on to between firings; made when one asks for a context.
        self.resources: Resources | None = None
        #: Failures that nobody took; set by who knows where the flow keeps them.
        self.letters: Letters | None = None
        #: Firings that were given up but have not returned: node id -> test whether it still runs.
        self.unresponsive: dict[str, Callable[[], bool]] = {}

    def state(self, node_id: str) -> NodeState:
        """Return the node's state, a fresh one when nothing is known."""
        with self.lock:
            if self.columns is not None:
                self.columns.bring_up(node_id)
            return self.own_state(node_id)

    def value_of(self, slot: Slot) -> NodeResult | None:
        """Return the present value of a node; None when it has none, or one with other outputs than its code now gives.

        Whoever reads an output asks here: the code may have been edited since the value was made.
        """
        result = self.state(slot.node_id).result
        if result is None or len(result.outputs) < len(slot.node_type.outputs):
            return None
        return result if not result.names or result.names == slot.node_type.output_names else None

    def own_state(self, node_id: str) -> NodeState:
        """Return the node's state as it was written last, without asking the columns. Under the lock."""
        found = self.states.get(node_id)
        if found is None:
            found = self.states[node_id] = NodeState()
        return found

    def columns_for(self, plan: Plan, engine: Engine) -> Columns:
        """Return what is known of plain nodes, laid out for that plan."""
        from flowbook.runtime.columns import Columns  # noqa: PLC0415 -- columns are made of results

        with self.lock:
            self._sweep_count += 1
            columns = self.columns
            is_known = columns is not None and columns.plan.family is plan.family
            is_known = is_known and columns is not None and columns.given_count == self.given_count
            if columns is None or not is_known or (columns.plan is not plan and not columns.take_plan(plan)):
                columns = self.columns = Columns(plan, self, engine, columns)
            columns.look()
            return columns

    def is_current(self, plan: Plan, engine: Engine) -> Columns | None:
        """Return the columns when every node is plain and clean, so that there is nothing to run."""
        with self.lock:
            columns = self.columns
            is_known = columns is not None and columns.plan is plan and columns.given_count == self.given_count
            if columns is None or not is_known or not columns.has_only_front or 1 in columns.dirty:
                return None
            return columns if columns.watch.holds(engine.code_keys.holds) else None

    def kept(self, plan: Plan, slot: Slot, own: KeyParts) -> NodeResult | None:
        """Return what the cache keeps of a slot from when it was plain. Under the lock."""
        from flowbook.runtime.columns import Kept, result_of, token_of  # noqa: PLC0415 -- columns are made of results

        columns = self.columns
        if columns is None or columns.plan is not plan:
            return None
        made_from: tuple[Any, ...] = (
            token_of(slot, own),
            *[columns.versions[entry.source] for entry in slot.bindings if entry.kind == "edge"],
        )
        found = self.cache.get_plain((slot.node_id, made_from), max(made_from[1:], default=0))
        if found is None:
            return None
        kept = Kept._make(found)
        return result_of(columns, slot.index, kept.value, kept.trace_id, kept.at, kept.took_s, kept.version)

    def commit(self, plan: Plan, slot: Slot, result: NodeResult | None, took_s: float | None) -> None:
        """Enter what a slot of a plan came to that was run with all care. Under the lock."""
        if self.columns is None:
            return
        index = self.columns.plan.index.get(slot.node_id)
        if index is None:
            return
        self.columns.commit(index, result, is_for_this_plan=self.columns.plan is plan)
        if took_s is not None and self.columns.front[index]:
            if took_s > LONG_S:
                self.count_long(slot.node_id, took_s)
            elif slot.node_id in self.long:
                self.long.discard(slot.node_id)
                self.columns.long.discard(index)

    def count_long(self, node_id: str, took_s: float) -> None:
        """A plain node took long; when it does so run after run it is not taken for a short one any more."""
        run, count = self._long_counts.get(node_id, (0, 0))
        if run == self._sweep_count:
            return
        count = (count if run == self._sweep_count - 1 else 0) + (2 if took_s > 10 * LONG_S else 1)
        self._long_counts[node_id] = (self._sweep_count, count)
        if count > _LONG_RUNS:
            del self._long_counts[node_id]
            self.long.add(node_id)
            if self.columns is not None and node_id in self.columns.plan.index:
                self.columns.long.add(self.columns.plan.index[node_id])

    def note_elsewhere(self, columns: Columns, index: int, batch: Batch) -> None:
        """Enter what a run made for a plan that has changed since. Under the lock."""
        node_id = columns.plan.slots[index].node_id
        if self.columns is not None and node_id in self.columns.plan.index:
            batch.enter(index, self.own_state(node_id), batch.result(index))
            self.columns.pending[self.columns.plan.index[node_id]] = 0

    def remember(self, inputs: Mapping[str, Any]) -> None:
        """Keep inputs for later runs; what is said last for a port holds, whether or not its node was named."""
        with self.lock:
            self.given_count += bool(inputs)
            for key in [key for key in self.given if "." in key and key.partition(".")[2] in inputs]:
                del self.given[key]
            self.given.update(inputs)

    def within(self, group: str) -> set[str]:
        """Name the nodes in a subflow, ``group/…``, of which anything is known: those it had at any time count."""
        with self.lock:
            known = {*self.states, *self.odd, *self.long, *self.unresponsive}
            known |= {key.partition(".")[0] for key in self.given}
            if self.columns is not None:
                known |= self.columns.plan.index.keys()
            if self.resources is not None:
                known |= self.resources.holders()
        return {node_id for node_id in known if node_id.startswith(group + SEPARATOR)}

    def rename(self, old: str, new: str) -> None:
        """Let the state follow a renamed node."""
        with self.lock:
            if self.columns is not None:
                self.columns.bring_up(old)
                self.columns.given_away.add(old)
            for marks in (self.odd, self.long):
                if old in marks:
                    marks.remove(old)
                    marks.add(new)
            if old in self.states:
                self.states[new] = self.states.pop(old)
            if self.resources is not None:
                self.resources.rename(old, new)
            if old in self.unresponsive:
                self.unresponsive[new] = self.unresponsive.pop(old)
            for key in [key for key in self.given if key.partition(".")[0] == old and "." in key]:
                self.given[new + key[len(old) :]] = self.given.pop(key)
            self.cache.drop_node(old)

    def forget(self, node_id: str) -> None:
        """Drop a removed node's state and results."""
        with self.lock:
            if self.columns is not None:
                self.columns.forget(node_id)
            self.odd.discard(node_id)
            self.long.discard(node_id)
            self.states.pop(node_id, None)
            for key in [key for key in self.given if key.partition(".")[0] == node_id and "." in key]:
                del self.given[key]
            self.cache.drop_node(node_id)
        self.let_go(node_id)

    def let_go(self, node_id: str) -> None:
        """Have what a node holds on to between firings left, by whoever calls ``resources.leave_due`` next."""
        if self.resources is not None:
            self.resources.let_go(node_id)
