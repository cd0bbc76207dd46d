"""What nodes gave: the present result of every node of a flow, and earlier ones within a byte budget."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowbook.core.events import Stamp, Status
    from flowbook.core.interfaces import Effects, Handed, PayloadCopy, Payloads, ValueShape
    from flowbook.core.packets import ErrorPacket
    from flowbook.runtime.code_keys import CodeKey

DEFAULT_BUDGET_BYTES = 512 * 1024 * 1024


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
        key: what the outputs were made from.
        effective_key: what readers put into their own key: ``key`` plus the state of the files that were scanned.
        files: ``(path, size, mtime_ns)`` of files that lazy outputs read.
        collected: tables that lazy outputs turned into, by output index; filled at most once per output.
        kept: outputs that were collected for their own sake (shown, pinned): readers start from the table. One that
            only a reader collected is not among them, so that what a reader gets does not depend on who came first.
        previews: what the canvas shows of an output, by output index; made at most once.
        converted: other forms that consumers asked for, by ``(output index, form)``.
        run_id: the run whose firing made it.
        at: when it was made, seconds since the epoch.
        took_s: wall time of the firing, seconds.
        attempt: attempts it took.
        shape: of the primary output.
        copies: copies of payload bytes that its inputs needed.
        copies_by_input: how many of them, by input; inputs that needed none are left out.
        effects: what it printed and displayed.
        size_bytes: estimated memory of its outputs, and of what was made of them for consumers.
        buffers: the large pieces of memory among it, address -> bytes; other results may hold the same ones.
        is_own: a node made it (False: it was handed in with ``overrides=``).
    """

    outputs: tuple[Any, ...]
    key: KeyParts
    effective_key: str
    files: tuple[tuple[str, int, int], ...] = ()
    collected: dict[int, Any] = field(default_factory=dict)
    kept: set[int] = field(default_factory=set)
    previews: dict[int, Any] = field(default_factory=dict)
    converted: dict[tuple[int, str], Handed] = field(default_factory=dict)
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
    lock: threading.Lock = field(default_factory=threading.Lock)

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


class MemoryCache:
    """Results of earlier settings, least recently used first to go.

    Args:
        budget_bytes: most memory to hold, by the payloads' own estimate; >= 0.
    """

    def __init__(self, budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        self._budget_bytes = budget_bytes
        #: With the size and the buffers it was entered with: a result grows when somebody asks for another form of it.
        self._entries: OrderedDict[tuple[str, str], tuple[NodeResult, int, dict[int, int]]] = OrderedDict()
        #: How many results hold a buffer: its memory is counted with the first and freed with the last.
        self._holders: Counter[int] = Counter()
        self._size_bytes = 0

    def get(self, node_id: str, digest: str) -> NodeResult | None:
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
        self._entries[key] = (result, size_bytes, result.buffers)
        self._size_bytes += size_bytes - self._held_already(result.buffers)
        self._holders.update(result.buffers.keys())
        while self._size_bytes > self._budget_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: tuple[str, str]) -> None:
        _, size_bytes, buffers = self._entries.pop(key, (None, 0, {}))
        self._holders.subtract(buffers.keys())
        self._size_bytes -= size_bytes - self._held_already(buffers)
        for address in buffers:
            if not self._holders[address]:
                del self._holders[address]

    def _held_already(self, buffers: dict[int, int]) -> int:
        return sum(size_bytes for address, size_bytes in buffers.items() if self._holders[address] > 0)

    def drop_node(self, node_id: str) -> None:
        """Forget everything of one node."""
        for key in [key for key in self._entries if key[0] == node_id]:
            self._drop(key)

    @property
    def size_bytes(self) -> int:
        """Memory held now, bytes."""
        return self._size_bytes


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
        #: Firings that were given up but have not returned: node id -> test whether it still runs.
        self.unresponsive: dict[str, Callable[[], bool]] = {}

    def state(self, node_id: str) -> NodeState:
        """Return the node's state, a fresh one when nothing is known."""
        with self.lock:
            return self.states.setdefault(node_id, NodeState())

    def remember(self, inputs: Mapping[str, Any]) -> None:
        """Keep inputs for later runs; what is said last for a port holds, whether or not its node was named."""
        with self.lock:
            for key in [key for key in self.given if "." in key and key.partition(".")[2] in inputs]:
                del self.given[key]
            self.given.update(inputs)

    def rename(self, old: str, new: str) -> None:
        """Let the state follow a renamed node."""
        with self.lock:
            if old in self.states:
                self.states[new] = self.states.pop(old)
            if old in self.unresponsive:
                self.unresponsive[new] = self.unresponsive.pop(old)
            for key in [key for key in self.given if key.partition(".")[0] == old and "." in key]:
                self.given[new + key[len(old) :]] = self.given.pop(key)
            self.cache.drop_node(old)

    def forget(self, node_id: str) -> None:
        """Drop a removed node's state and results."""
        with self.lock:
            self.states.pop(node_id, None)
            for key in [key for key in self.given if key.partition(".")[0] == node_id and "." in key]:
                del self.given[key]
            self.cache.drop_node(node_id)
