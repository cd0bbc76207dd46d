"""The laws of bounds: whatever the graph, no more is at work than a flow and its nodes allow, and as much as they do.

Nothing here looks at a clock: calls count themselves as they come and go, and the first ones meet, as many as the
bounds let in at once. Were fewer let in they would wait for each other in vain.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flowbook as fb
from tests.strategies import examples

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("hurried_threads")

MAPPED = ("items", "async items", "flows")


@dataclass(frozen=True)
class Spec:
    """A node: how it is run, which of those before it it reads (bits), of how many items, and its own bound."""

    style: str
    reads: int
    items: int = 0
    bound: int | None = None
    turns: int = 0


specs = st.builds(
    Spec,
    style=st.sampled_from(["thread", "thread", "async", *MAPPED]),
    reads=st.integers(0, 7),
    items=st.integers(0, 5),
    bound=st.sampled_from([None, 1, 2, 3]),
    turns=st.integers(0, 3),
)
cases = st.tuples(st.lists(specs, min_size=1, max_size=7), st.sampled_from([None, 1, 2, 3, 5]))


@dataclass
class Book:
    """Who is inside, and who has been."""

    #: How many calls wait for each other before any goes on.
    meeting: int
    roots: frozenset[str]
    calls: Counter[str] = field(default_factory=Counter)
    inside: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    come: int = 0
    has_met: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, name: str) -> bool:
        """Count a call in; whether it is one of those that meet."""
        with self.lock:
            self.calls[name] += 1
            for each in (name, ""):
                self.inside[each] += 1
                self.most[each] = max(self.most[each], self.inside[each])
            if name not in self.roots or self.has_met.is_set():
                return False
            self.come += 1
            if self.come == self.meeting:
                self.has_met.set()
            return True

    def leave(self, name: str) -> None:
        with self.lock:
            for each in (name, ""):
                self.inside[each] -= 1


_books: dict[str, Book] = {}


def book() -> Book:
    found: Book = globals()["_books"]["now"]
    return found


def call(name: str, turns: int) -> int:
    """What code on a thread does."""
    if book().enter(name):
        assert book().has_met.wait(60), "fewer were let in than the bounds allow"
    for _ in range(turns):
        time.sleep(0)  # lets another thread go on
    book().leave(name)
    return 1


async def call_async(name: str, turns: int) -> int:
    """What code on the loop does: there, whoever waits must not keep others from coming."""
    if book().enter(name):
        while not book().has_met.is_set():  # noqa: ASYNC110 -- threads meet here as well
            await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    book().leave(name)
    return 1


@functools.cache
def function_of(reads: tuple[str, ...], style: str) -> Callable[..., Any]:
    """Make the function of a node: one more than what it reads is in sum, for each of its items."""
    is_async, is_mapped = "async" in style, style in MAPPED
    ports = [*(["item: fb.each[int]" if style != "flows" else "item: int"] if is_mapped else []), *reads]
    head, called = ("async def", "await call_async") if is_async else ("def", "call")
    total = " + ".join(["0", *(["item"] if is_mapped else []), *(f"total({name})" for name in reads)])
    source = (
        f"{head} f({', '.join([*ports, 'ctx: fb.Context', 'me: str = str()', 'turns: int = 0'])}) -> int:\n"
        f"    return {called}(me, turns) + {total}\n"
    )
    space: dict[str, Any] = {"fb": fb, "call": call, "call_async": call_async, "total": total_of}
    exec(source, space)  # noqa: S102 -- our own text: functions with these parameters cannot be written down
    made: Callable[..., Any] = space["f"]
    return made


def total_of(value: Any) -> int:
    return sum(value) if isinstance(value, list) else int(value)


@dataclass
class Made:
    """A flow, and what is known of it without running it."""

    flow: fb.Flow
    values: dict[str, Any]
    calls: dict[str, int]
    bounds: dict[str, int]
    meeting: int
    roots: frozenset[str]


def made_of(nodes: list[Spec], limit: int | None) -> Made:
    flow = fb.Flow("bounds", policy=fb.FlowPolicy(max_concurrency=limit))
    names = [f"n{number}" for number in range(len(nodes))]
    made = Made(flow, {}, {}, {}, 0, frozenset())
    roots, room = set(), 0
    usual = flow.engine.default_concurrency
    for number, (name, spec) in enumerate(zip(names, nodes, strict=True)):
        before = names[max(0, number - 3) : number]
        reads = [source for bit, source in enumerate(before) if spec.reads >> bit & 1]
        _add(flow, name, spec, reads)
        given = sum(total_of(made.values[source]) for source in reads)
        is_mapped = spec.style in MAPPED
        made.values[name] = [1 + given + item for item in range(spec.items)] if is_mapped else 1 + given
        made.calls[name] = spec.items if is_mapped else 1
        at_once = min(made.calls[name], spec.bound or limit or usual, limit or spec.bound or usual) if is_mapped else 1
        made.bounds[name] = at_once
        if spec.style == "flows":
            made.calls[name] *= 2
        if not reads:
            roots.add(name)
            room += at_once
    made.roots, made.meeting = frozenset(roots), min(room, limit or usual)
    return made


def _add(flow: fb.Flow, name: str, spec: Spec, reads: list[str]) -> None:
    function = function_of(tuple(reads), spec.style)
    if spec.style == "flows":
        inner = fb.Flow(f"inner_{name}")
        for each in ("one", "beside"):
            inner.node(name=each)(function)
            inner.set(each, me=name, turns=spec.turns)
        inner.declare_ports(outputs={"one": "one"})
        flow.add(inner, name, each="item", item=list(range(spec.items)))
        if spec.bound is not None:
            flow.set_policy(name, max_concurrency=spec.bound)
        for source in reads:
            flow.connect(source, f"{name}.{source}")
        return
    flow.node(name=name)(function)
    if spec.style in MAPPED and spec.bound is not None:
        flow.set_policy(name, max_concurrency=spec.bound)
    flow.set(name, me=name, turns=spec.turns)
    if spec.style in MAPPED:
        flow.set(name, item=list(range(spec.items)))


@given(cases)
@examples(200, soak=25_000)
def test_no_more_is_at_work_than_the_bounds_allow_and_as_much_as_they_do(case: tuple[list[Spec], int | None]) -> None:
    made = made_of(*case)
    limit = case[1]
    for is_again in (False, True):
        _books["now"] = now = Book(0 if is_again else made.meeting, frozenset() if is_again else made.roots)
        run = made.flow.start(force=is_again)
        assert run.wait(120)
        assert run.status == "ok", run.errors
        assert {name: run[name] for name in made.values} == made.values
        assert {name: now.calls[name] for name in made.calls} == made.calls, (
            "once for each item, and in a flow each node"
        )
        assert now.inside.total() == 0
        assert limit is None or now.most[""] <= limit
        assert {name: now.most[name] for name in made.bounds if now.most[name] > made.bounds[name]} == {}
