"""Nodes run beside each other where they may, where they ask to, and in the order that edges and priorities give."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

import flowbook as fb
from flowbook.core.events import NodeFinished, NodeStarted
from flowbook.runtime.executors import MainThreadQueue
from tests.runtime.watching import DEADLINE_S, over, reached

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MAIN = threading.main_thread()


class Crowd:
    """Counts who is inside at once; everybody stays until ``count`` are, or until nobody more can come."""

    def __init__(self, count: int) -> None:
        self.most = 0
        self._count = count
        self._inside = 0
        self._condition = threading.Condition()

    def meet(self, patience_s: float = DEADLINE_S) -> int:
        """Wait for the others; returns how many were there."""
        with self._condition:
            self._inside += 1
            self.most = max(self.most, self._inside)
            self._condition.notify_all()
            self._condition.wait_for(lambda: self.most >= self._count, patience_s)
            self._inside -= 1
            return self.most


def many(flow: fb.Flow, count: int, body: Callable[[], Any], **policy: Any) -> None:
    """Add nodes that read nothing and do the same."""
    for number in range(count):

        def function() -> Any:
            return body()

        flow.node(name=f"n{number}", **policy)(function)


def began_in_order(run: fb.Run) -> list[str]:
    return [event.node_id for event in run.events() if isinstance(event, NodeStarted)]


# -- beside each other


def test_independent_branches_run_at_the_same_time() -> None:
    flow, crowd = fb.Flow("branches"), Crowd(4)
    many(flow, 4, crowd.meet)
    over(flow.start())
    assert crowd.most == 4


def test_a_branch_does_not_wait_for_the_other_one_to_end() -> None:
    flow = fb.Flow("two branches")
    left_is_done = threading.Event()

    @flow.node
    def left() -> int:
        return 1

    @flow.node
    def below_left(left: int) -> int:
        left_is_done.set()
        return left + 1

    @flow.node
    def right() -> int:
        reached(left_is_done)
        return 3

    assert flow.run_sync()["right"] == 3


def test_a_chain_runs_in_the_order_of_its_edges() -> None:
    flow = fb.Flow("chain")
    flow.node(name="a0")(lambda: 0)
    for number in range(1, 30):
        namespace: dict[str, Any] = {}
        exec(f"def a{number}(a{number - 1}): return a{number - 1} + 1", namespace)  # noqa: S102 -- our own text
        flow.node(namespace[f"a{number}"])
    run = flow.run_sync()
    assert run.recomputed == [f"a{number}" for number in range(30)]
    assert run["a29"] == 29


def test_order_respects_every_edge_whatever_runs_beside() -> None:
    flow = fb.Flow("lattice")
    names = [f"r{row}c{column}" for row in range(6) for column in range(6)]
    for name in names:
        row, column = int(name[1]), int(name[3])
        reads = [f"r{row - 1}c{other}" for other in {column, (column + 1) % 6}] if row else []
        namespace: dict[str, Any] = {}
        exec(f"def {name}({', '.join(sorted(reads))}): return 1", namespace)  # noqa: S102 -- our own text
        flow.node(namespace[name])
    run = flow.run_sync()
    ended: set[str] = set()
    for event in run.events():
        if isinstance(event, NodeStarted):
            assert {link.source for link in flow.wiring.links.values() if link.target == event.node_id} <= ended
        if isinstance(event, NodeFinished):
            ended.add(event.node_id)
    assert ended == set(names)


@pytest.mark.parametrize("limit", [1, 2, 3])
@pytest.mark.parametrize("is_async", [False, True])
def test_max_concurrency_is_reached_and_never_exceeded(limit: int, is_async: bool) -> None:
    flow = fb.Flow("bounded", policy=fb.FlowPolicy(max_concurrency=limit))
    crowd = Crowd(limit)
    if is_async:

        async def wait_in_a_thread() -> int:
            return await asyncio.to_thread(crowd.meet)

        for number in range(8):
            flow.node(name=f"n{number}")(_async_copy(wait_in_a_thread))
    else:
        many(flow, 8, crowd.meet)
    run = over(flow.start())
    assert run.status == "ok"
    assert crowd.most == limit
    assert _most_at_once(run) == limit


def _async_copy(call: Callable[[], Awaitable[Any]]) -> Callable[[], Any]:
    async def function() -> Any:
        return await call()

    return function


def _most_at_once(run: fb.Run) -> int:
    """Count from the events how many fired at one time."""
    steps = [
        1 if isinstance(event, NodeStarted) else -1
        for event in run.events()
        if isinstance(event, NodeStarted | NodeFinished)
    ]
    return max(itertools.accumulate(steps))


def test_async_nodes_overlap_on_one_loop() -> None:
    flow = fb.Flow("async")
    threads: set[int] = set()
    inside: list[str] = []
    all_inside = asyncio.Event()

    def make(name: str) -> None:
        async def function() -> str:
            threads.add(threading.get_ident())
            inside.append(name)
            if len(inside) == 20:
                all_inside.set()
            await all_inside.wait()
            return name

        flow.node(name=name)(function)

    names = [f"n{number}" for number in range(20)]
    for name in names:
        make(name)
    run = over(flow.start())
    assert run.status == "ok"
    assert sorted(inside) == sorted(names)
    assert len(threads) == 1
    assert MAIN.ident not in threads


def test_an_async_node_holds_no_thread_while_it_waits() -> None:
    """Otherwise forty of them would leave none for the node that ends their wait."""
    flow = fb.Flow("waits")
    released = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []
    waiting = threading.Semaphore(0)

    def make(name: str) -> None:
        async def function() -> str:
            loops.append(asyncio.get_running_loop())
            waiting.release()
            await released.wait()
            return name

        flow.node(name=name)(function)

    for number in range(40):
        make(f"n{number}")

    @flow.node
    def release() -> None:
        for _ in range(40):
            assert waiting.acquire(timeout=DEADLINE_S)
        loops[0].call_soon_threadsafe(released.set)

    assert over(flow.start()).status == "ok"


# -- on the main thread


def _on_main(flow: fb.Flow) -> list[threading.Thread]:
    threads: list[threading.Thread] = []

    @flow.node
    def source() -> int:
        return 1

    @flow.node(executor="main")
    def gui(source: int) -> int:
        threads.append(threading.current_thread())
        signal.getsignal(signal.SIGINT)
        return source + 1

    @flow.node
    def below(gui: int) -> int:
        threads.append(threading.current_thread())
        return gui + 1

    return threads


def _run_sync(flow: fb.Flow) -> fb.Run:
    return flow.run_sync()


def _start_and_wait(flow: fb.Flow) -> fb.Run:
    return over(flow.start())


def _await(flow: fb.Flow) -> fb.Run:
    return asyncio.run(_awaiting(flow))


async def _awaiting(flow: fb.Flow) -> fb.Run:
    return await flow.run()


def _await_started(flow: fb.Flow) -> fb.Run:
    async def main() -> fb.Run:
        return await flow.start()

    return asyncio.run(main())


def _read_events(flow: fb.Flow) -> fb.Run:
    run = flow.start()
    for _ in run.events():
        pass
    return over(run)


@pytest.mark.parametrize("run_it", [_run_sync, _start_and_wait, _await, _await_started, _read_events])
def test_a_node_that_asks_for_the_main_thread_runs_there_while_somebody_waits(
    run_it: Callable[[fb.Flow], fb.Run],
) -> None:
    flow = fb.Flow("main")
    threads = _on_main(flow)
    assert run_it(flow)["below"] == 3
    assert threads[0] is MAIN
    assert threads[1] is not MAIN


def test_another_thread_that_waits_leaves_the_main_thread_its_work() -> None:
    flow = fb.Flow("elsewhere")
    threads = _on_main(flow)
    run = flow.start()
    waiter = threading.Thread(target=run.wait)
    waiter.start()
    over(run)
    waiter.join(DEADLINE_S)
    assert threads[0] is MAIN


def test_nodes_elsewhere_go_on_while_the_main_thread_is_busy() -> None:
    flow, crowd = fb.Flow("both"), Crowd(2)
    many(flow, 1, crowd.meet)
    flow.node(name="gui", executor="main")(crowd.meet)  # a bound method, which can bear no attributes
    over(flow.start())
    assert crowd.most == 2


def test_whoever_serves_the_main_thread_is_woken_for_it() -> None:
    """A notebook that waits for nothing serves the queue from its own loop."""
    flow = fb.Flow("woken")
    threads = _on_main(flow)
    queue = flow.engine.main_queue
    woken = threading.Event()
    queue.wake = woken.set
    try:
        run = flow.start()
        reached(woken)
        queue.serve()
    finally:
        queue.wake = None
    assert over(run)["below"] == 3
    assert threads[0] is MAIN


def test_only_the_main_thread_serves_its_queue() -> None:
    queue, served = MainThreadQueue(), []
    queue.submit(lambda: served.append(threading.current_thread()))
    other = threading.Thread(target=queue.serve)
    other.start()
    other.join(DEADLINE_S)
    assert served == []
    assert not queue.serve()
    assert served == [MAIN]


def _signal_handler() -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)


def _current_loop() -> None:
    asyncio.get_event_loop_policy().get_event_loop()


def _tk() -> None:
    message = "main thread is not in main loop"
    raise RuntimeError(message)


@pytest.mark.parametrize("body", [_signal_handler, _current_loop, _tk])
def test_the_usual_complaints_of_code_that_needs_the_main_thread_get_the_remedy(body: Callable[[], None]) -> None:
    flow = fb.Flow("complains")
    many(flow, 1, body)
    run = flow.run_sync(raise_errors=False)
    assert 'executor="main"' in run.errors[0].hint
    with pytest.raises(fb.NodeFailedError, match='executor="main"'):
        _ = run["n0"]


def test_the_remedy_helps() -> None:
    flow = fb.Flow("mended")
    many(flow, 1, _signal_handler, executor="main")
    assert flow.run_sync().status == "ok"


# -- in a context of its own

_variable = contextvars.ContextVar("_variable", default="fresh")


@pytest.mark.parametrize("where", ["thread", "main", "loop"])
def test_node_code_runs_in_a_fresh_context(where: str) -> None:
    """A run is the same wherever it is asked for: a cell's variables are not there, and a node's are gone with it."""
    flow = fb.Flow("context")

    def plain() -> str:
        found = _variable.get()
        _variable.set("a node's")
        return found

    async def on_loop() -> str:
        return plain()

    policy = {"executor": "main"} if where == "main" else {}
    flow.node(name="one", **policy)(on_loop if where == "loop" else plain)
    flow.node(name="two", **policy)(on_loop if where == "loop" else plain)
    token = _variable.set("a cell's")
    try:
        run = flow.run_sync()
        assert (run["one"], run["two"]) == ("fresh", "fresh")
        assert _variable.get() == "a cell's"
    finally:
        _variable.reset(token)


# -- in which order


def one_worker() -> fb.Flow:
    return fb.Flow("ordered", policy=fb.FlowPolicy(max_concurrency=1))


def test_the_larger_priority_goes_first() -> None:
    flow = one_worker()
    for name, priority in {"low": -1, "usual": 0, "high": 5, "higher": 6}.items():
        flow.node(name=name, priority=priority)(lambda: 1)
    assert began_in_order(flow.run_sync()) == ["higher", "high", "usual", "low"]


def test_without_priorities_the_order_of_the_flow_holds() -> None:
    flow = one_worker()
    names = ["c", "a", "d", "b"]
    for name in names:
        flow.node(name=name)(lambda: 1)
    assert began_in_order(flow.run_sync()) == names
    assert began_in_order(flow.run_sync(force=True)) != []


def _two_chains(flow: fb.Flow) -> None:
    @flow.node
    def short() -> int:
        return 1

    @flow.node
    def long_1() -> int:
        return 1

    @flow.node
    def long_2(long_1: int) -> int:
        return long_1

    @flow.node
    def long_3(long_2: int) -> int:
        return long_2


def test_the_longest_path_goes_first() -> None:
    flow = one_worker()
    _two_chains(flow)
    assert began_in_order(flow.run_sync())[0] == "long_1"


def test_the_longest_path_is_measured_in_time_once_it_is_known() -> None:
    flow = one_worker()
    _two_chains(flow)
    for node_id in flow:
        flow.results.state(node_id).cost_s = 0.5 if node_id == "short" else 0.001
    assert began_in_order(flow.run_sync())[0] == "short"


def test_the_longest_path_goes_before_the_larger_priority() -> None:
    flow = one_worker()
    _two_chains(flow)
    flow.set_policy("short", priority=9)
    assert began_in_order(flow.run_sync())[0] == "long_1"


def test_nodes_measured_short_share_one_thread() -> None:
    """A hand-off to another thread costs about as much as they do."""
    flow = fb.Flow("cheap")
    threads: set[int] = set()
    many(flow, 50, lambda: threads.add(threading.get_ident()))
    for node_id in flow:
        flow.results.state(node_id).cost_s = 1e-6
    over(flow.start())
    assert len(threads) == 1
