"""The laws of failing: for any graph, whoever fails and however often, a run comes to what a plain reckoning says.

The reckoning knows nothing of threads, loops or plans: it walks the nodes in order and says who fires how often, who
fails, who is skipped, and whose failure nobody takes.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flowbook as fb
from flowbook.core.events import NodeFinished, NodeStarted
from tests.strategies import examples

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("hurried_threads")

#: A node of so many failures never works.
NEVER = 99


@dataclass(frozen=True)
class Spec:
    """A node: which of those before it it reads (bits), whose failure it takes, how often it fails, how it is run."""

    reads: int
    handles: int | None
    failures: int
    attempts: int
    style: str


specs = st.builds(
    Spec,
    reads=st.integers(0, 15),
    handles=st.sampled_from([None, None, None, 1, 2]),
    failures=st.sampled_from([0, 0, 0, 1, 2, 3, NEVER]),
    attempts=st.sampled_from([1, 1, 2, 3]),
    style=st.sampled_from(["plain", "plain", "care", "async"]),
)
policies = st.builds(
    fb.FlowPolicy,
    max_concurrency=st.sampled_from([None, 1, 2, 3]),
    on_error=st.sampled_from(["continue", "continue", "retry_flow", "stop"]),
    flow_attempts=st.integers(1, 3),
)
cases = st.tuples(st.lists(specs, min_size=1, max_size=9), policies)


@dataclass
class Book:
    """What the code of the nodes did, behind the back of their keys."""

    failures: dict[str, int]
    calls: Counter[str] = field(default_factory=Counter)
    now: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, name: str) -> None:
        with self.lock:
            self.calls[name] += 1
            self.now += 1
            self.most = max(self.most, self.now)

    def leave(self, name: str) -> int:
        with self.lock:
            self.now -= 1
            if self.calls[name] <= self.failures[name]:
                raise OSError(name)
        return 1


_books: dict[str, Book] = {}


def enter(name: str) -> None:
    globals()["_books"]["now"].enter(name)


def leave(name: str) -> int:
    left: int = globals()["_books"]["now"].leave(name)
    return left


@functools.cache
def function_of(reads: tuple[str, ...], handles: bool, style: str) -> Callable[..., Any]:
    """Make the function of a node."""
    ports = [*reads, *(["error: fb.ErrorPacket"] if handles else []), *(["ctx: fb.Context"] if style == "care" else [])]
    head, wait = ("async def", "    await sleep(0)\n") if style == "async" else ("def", "")
    source = f"{head} f({', '.join([*ports, 'me: str = str()'])}):\n    enter(me)\n{wait}    return leave(me)\n"
    space: dict[str, Any] = {
        "fb": fb,
        "sleep": asyncio.sleep,
        "enter": enter,
        "leave": leave,
    }
    exec(source, space)  # noqa: S102 -- our own text: functions with these parameters cannot be written down
    made: Callable[..., Any] = space["f"]
    return made


@dataclass
class Reckoning:
    """What the nodes come to, by name, turn after turn and run after run."""

    specs: dict[str, Spec]
    reads: dict[str, list[str]]
    handles: dict[str, str]
    policy: fb.FlowPolicy
    calls: Counter[str] = field(default_factory=Counter)
    valued: set[str] = field(default_factory=set)
    status: dict[str, str] = field(default_factory=dict)
    #: Attempts of each node in the last turn.
    attempts: dict[str, int] = field(default_factory=dict)

    def run(self) -> None:
        self.status, self.attempts = {}, {}
        fired: set[str] = set()
        self._turn(list(self.specs), fired)
        turns = self.policy.flow_attempts if self.policy.on_error == "retry_flow" else 1
        for _ in range(turns - 1):
            taken = self.handles.values()
            failed = {name for name, status in self.status.items() if status == "failed" and name not in taken}
            if not failed:
                return
            again = self._below(failed)
            self._turn([name for name in self.specs if name in again], fired)

    def _below(self, names: set[str]) -> set[str]:
        found = set(names)
        for name in self.specs:
            if found & {*self.reads[name], self.handles.get(name, "")}:
                found.add(name)
        return found

    def _turn(self, names: list[str], fired: set[str]) -> None:
        for name in names:
            self.status.pop(name, None)
        for name in names:
            self.status[name] = self._one(name, fired)

    def _one(self, name: str, fired: set[str]) -> str:
        handled = self.handles.get(name)
        if any(self.status[source] != "ok" for source in self.reads[name]):
            return "skipped"
        if handled is not None and self.status[handled] != "failed":
            return "skipped"
        if name in self.valued and handled is None and not fired.intersection(self.reads[name]):
            return "ok"
        spec = self.specs[name]
        fired.add(name)
        for attempt in range(1, spec.attempts + 1):
            self.attempts[name] = attempt
            self.calls[name] += 1
            if self.calls[name] > spec.failures:
                self.valued.add(name)
                return "ok"
        self.valued.discard(name)
        return "failed"


def made_of(nodes: list[Spec], policy: fb.FlowPolicy) -> tuple[fb.Flow, Reckoning]:
    flow = fb.Flow("laws", policy=policy)
    names = [f"n{number}" for number in range(len(nodes))]
    reckoning = Reckoning({}, {}, {}, policy)
    for number, (name, spec) in enumerate(zip(names, nodes, strict=True)):
        before = names[max(0, number - 4) : number]
        reads = [source for bit, source in enumerate(before) if spec.reads >> bit & 1]
        handled = before[-spec.handles] if spec.handles is not None and spec.handles <= len(before) else None
        function = function_of(tuple(reads), handled is not None, spec.style)
        retry = fb.Retry(max_attempts=spec.attempts, delay_s=0)
        declare = flow.node(name=name, retry=retry) if spec.attempts > 1 else flow.node(name=name)
        declare(function)
        flow.set(name, me=name)
        reckoning.specs[name], reckoning.reads[name] = spec, reads
        if handled is not None:
            flow.connect(f"{handled}.error", f"{name}.error")
            reckoning.handles[name] = handled
    return flow, reckoning


def obeys(nodes: list[Spec], policy: fb.FlowPolicy) -> None:
    flow, reckoning = made_of(nodes, policy)
    _books["now"] = book = Book({name: spec.failures for name, spec in reckoning.specs.items()})
    for _ in range(2):
        before = book.calls.copy()
        run = flow.start()
        events = list(run.events())
        assert run.wait(60)
        finished = [event for event in events if isinstance(event, NodeFinished)]
        status = {event.node_id: event.status for event in finished}
        failed = sorted(name for name, entry in status.items() if entry == "failed")
        if policy.on_error != "stop":
            reckoning.run()
            assert book.calls == reckoning.calls
            assert status == reckoning.status
            assert {error.node_id: error.attempt for error in run.errors} == {
                name: reckoning.attempts[name] for name in failed
            }
        # Each failure is exactly one packet, of this run, and a letter exactly when no node takes it.
        assert sorted(error.node_id for error in run.errors) == failed
        assert {error.trace_id for error in run.errors} <= {run.id}
        assert run.status == ("failed" if failed else "ok")
        letters = [letter.error.node_id for letter in flow.dead_letters if letter.error.trace_id == run.id]
        assert sorted(letters) == [name for name in failed if name not in reckoning.handles.values()]
        # The bound is kept; nobody fires more often than attempts and turns allow, nor before what it reads.
        assert policy.max_concurrency is None or book.most <= policy.max_concurrency
        turns = policy.flow_attempts if policy.on_error == "retry_flow" else 1
        for name, spec in reckoning.specs.items():
            assert book.calls[name] - before[name] <= spec.attempts * turns
        if turns == 1:
            assert len(finished) == len(nodes)
            place = {id(event): number for number, event in enumerate(events)}
            decided = {event.node_id: place[id(event)] for event in finished}
            for event in events:
                if isinstance(event, NodeStarted):
                    sources = [*reckoning.reads[event.node_id], reckoning.handles.get(event.node_id)]
                    assert all(decided[source] < place[id(event)] for source in sources if source)
    assert book.now == 0


@given(cases)
@examples(2000, soak=50_000)
def test_a_run_comes_to_what_is_reckoned_whoever_fails(case: tuple[list[Spec], fb.FlowPolicy]) -> None:
    obeys(*case)
