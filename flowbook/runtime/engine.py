"""What all runs of a process share: threads, the loop, payloads, keys, and the queue of each flow."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from typing import TYPE_CHECKING, Any

from flowbook.errors import DataError
from flowbook.runtime.code_keys import CodeKey, CodeKeys
from flowbook.runtime.code_values import Identities
from flowbook.runtime.executors import LoopThread, MainThreadQueue, WorkerPool
from flowbook.runtime.firing import hand_edge
from flowbook.runtime.releasing import Released
from flowbook.runtime.sweep import LongWatch

if TYPE_CHECKING:
    from flowbook.core.interfaces import Clock, Isolation, Namespace, Payloads, ResultCache, ValueWatch
    from flowbook.runtime.capture import StreamCapture
    from flowbook.runtime.execution import Execution
    from flowbook.runtime.results import NodeResult

#: Fewest firings at one time by default: nodes often wait for a disk or a network rather than for a core.
LEAST_CONCURRENCY = 4


class SystemClock:
    """The machine's clocks."""

    #: Python's own, without a call of ours around it: they are asked for every node.
    monotonic = staticmethod(time.perf_counter)
    time = staticmethod(time.time)


class NoNamespace:
    """No notebook: names are bound to nothing."""

    def lookup(self, name: str) -> tuple[bool, Any]:  # noqa: ARG002 -- the protocol's signature
        """Find nothing."""
        return False, None


class Engine:
    """Runs executions; see the module's docstring.

    Args:
        payloads: what values are and how they are handed on.
        capture: collects what nodes print.
        versions: text that becomes part of every key: versions of flowbook and of the table library.
        namespace: the notebook's variables.
        clock: time.
        disk: keeps what nodes with ``cache="disk"`` gave; None: they are kept in memory.
        isolation: calls nodes with ``isolation="process"``; None: they cannot be called.
        chance: source of jitter.
    """

    def __init__(
        self,
        *,
        payloads: Payloads,
        capture: StreamCapture,
        versions: str,
        namespace: Namespace | None = None,
        clock: Clock | None = None,
        disk: ResultCache | None = None,
        isolation: Isolation | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self.payloads = payloads
        self.capture = capture
        #: Debug mode; None: values are not looked at again.
        self.watch: ValueWatch | None = None
        self.versions = versions
        self.namespace: Namespace = namespace or NoNamespace()
        self.clock: Clock = clock or SystemClock()
        self.random = chance or random.Random()  # noqa: S311 -- jitter, not secrets
        self.disk = disk
        self.isolation = isolation
        self.pool = WorkerPool()
        self.loop_thread = LoopThread()
        #: Deadlines and alarms; no node code runs there, so that a node which blocks its loop cannot stop them.
        self.timers = LoopThread("flowbook-timers")
        self.main_queue = MainThreadQueue()
        self.long_watch = LongWatch(self.pool)
        self.identities = Identities()
        self.code_keys = CodeKeys(payloads.content_key)
        self.no_code = CodeKey("", {})
        self.default_concurrency = max(LEAST_CONCURRENCY, os.cpu_count() or 1)
        self._lock = threading.Lock()
        self._queues: dict[int, list[Execution]] = {}  # in the order in which they were asked for

    def submit(self, execution: Execution, *, supersedes: str | None = None) -> None:
        """Start a run as soon as no other run of its flow goes on.

        Args:
            execution: the run.
            supersedes: a node whose firing in an earlier run is given up for this one, if it is pure; the new run then
                starts at once when nothing else it needs is being fired.
        """
        flow = id(execution.results)  # two flows may bear one name
        execution.on_done(lambda: self._next(flow, execution))
        with self._lock:
            queue = self._queues.setdefault(flow, [])
            queue.append(execution)
            earlier = queue[:-1]
        if (supersedes is not None and self._take_over(execution, supersedes, earlier)) or not earlier:
            execution.start()

    @staticmethod
    def _take_over(execution: Execution, node_id: str, earlier: list[Execution]) -> bool:
        """Make way for a run; True when it can start beside the earlier ones, which leave its nodes to it."""
        is_pure = execution.plan.slots[execution.plan.index[node_id]].policy.kind == "pure"
        active = [run for run in earlier if run.is_firing(node_id)]
        if not active or not is_pure:
            return False
        for run in active:
            run.supersede(node_id)
        under_way = [run for run in earlier if run.has_started and not run.done.is_set()]
        return all(run.hand_over(execution.node_ids) for run in under_way)

    def _next(self, flow: int, ended: Execution) -> None:
        with self._lock:
            queue = self._queues.get(flow, [])
            if ended in queue:
                queue.remove(ended)
            if not queue:
                self._queues.pop(flow, None)
                return
            is_busy = any(run.has_started for run in queue)  # one that was superseded may go on beside its successor
            following = None if is_busy else queue[0]
        if following is not None:
            # Started from a worker: the thread that ends one run may hold that run's lock.
            self.pool.submit(following.start)

    def value_for_user(self, result: NodeResult, index: int, form: str = "") -> Any:
        """Hand an output to the user in its annotated ``form``, guarded like for any other consumer.

        A lazy table that was collected comes back as a plan over the collected table: reading it computes nothing
        again. A value that cannot take the form, which Python lets a function return, comes as it is.

        Raises:
            RunError: FB417, it was let go after its last use.
        """
        value = result.outputs[index]
        if isinstance(value, Released):
            raise value.refuse()
        if form and type(value).__name__ != form:
            with contextlib.suppress(DataError):
                return hand_edge(self.payloads, result, index, form, wants_packet=False, origin="")[0]
        collected = result.collected.get(index)
        form = type(value).__name__ if collected is not None else ""
        return self.payloads.hand_out(value if collected is None else collected, form, is_own=result.is_own).value

    def active(self) -> list[Execution]:
        """Return every run that is under way or queued."""
        with self._lock:
            return [execution for queue in self._queues.values() for execution in queue]
