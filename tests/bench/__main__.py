"""What the engine costs, beside plain Python and its peers; figures are printed, judged and kept as JSON.

All sides of a line are measured in one process, one after the other in turn, in CPU time of all threads. Every run's
sinks are compared with what plain Python computes, and fired nodes are counted. flowbook runs as everybody runs it:
capture, trace, events and explanations are on, and ``_assert_features`` asks for them after the timed runs.
"""

from __future__ import annotations

import copy
import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import flowbook as fb
from flowbook.observe.traces import Trace
from flowbook.runtime.asking import Wish, make_request
from flowbook.runtime.execution import Execution
from flowbook.session import session
from flowbook.session.flow_handle import _Teller
from tests.bench import graphs, peers
from tests.bench.measuring import Goal, Times, side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbook.runtime.engine import Engine
    from tests.bench.graphs import Graph

OUT: Final = Path("build/bench/engine.json")
US: Final = 1e6

rows: list[dict[str, Any]] = []
goals: list[Goal] = []


def flow_of(graph: Graph) -> fb.Flow:
    """Make the graph as a flow; names wire it."""
    flow = fb.Flow(graph.name)
    for function in graph.functions:
        flow.node(function)
    return flow


def sinks_of(run: fb.Run, graph: Graph) -> dict[str, Any]:
    """Read what the run's sinks hold."""
    return {f"n{node}": run[f"n{node}"] for node in graph.sinks}


def full_run(graph: Graph, *, with_peers: bool = True) -> dict[str, Times]:
    """Measure one shape, everything firing."""
    flow = flow_of(graph)
    floor = graph.unrolled()
    expected = graph.expected()
    last: list[fb.Run] = []

    def forced() -> None:
        last[:] = [flow.run_sync(force=True)]

    calls: dict[str, Callable[[], object]] = {"floor": floor, "flowbook": forced}
    for name, (package, make, most) in peers.PEERS.items():
        if with_peers and peers.is_there(package) and graph.size <= most:
            peer = make(graph)
            assert peer() == expected, name
            calls[name] = peer
    times = side_by_side(calls, repeats=9 if graph.size < 50_000 else 3)
    assert sinks_of(last[0], graph) == expected
    _assert_features(last[0], graph)
    for name, measured in times.items():
        row(
            graph.name,
            name,
            measured.median_s / graph.size * US,
            "µs/node",
            measured.median_s / times["floor"].median_s,
        )
    return times


def _assert_features(run: fb.Run, graph: Graph) -> None:
    """What a run does by default was done by the runs that were timed."""
    assert sorted(run.recomputed) == sorted(f"n{node}" for node in range(graph.size))
    spans = {span.node: span for span in run.trace.spans}
    assert len(spans) == graph.size
    assert all(span.status == "ok" and span.stamp == "live" and span.took_s is not None for span in spans.values())
    assert run.explain("n0") == "n0 fired: forced"
    kinds = [event.kind for event in run.events()]
    assert kinds.count("node_started") == kinds.count("node_finished") == graph.size
    assert (kinds[0], kinds[-1]) == ("run_started", "run_finished")


def captures() -> None:
    """Prints of a node in a long chain are the node's own, as in any run."""
    shape = graphs.chain(50)
    flow = flow_of(shape)

    @flow.node
    def speaks(n49: int) -> int:
        print("heard")
        return n49

    for _ in range(3):
        run = flow.run_sync(force=True)
        said = {span.node: span.effects.entries for span in run.trace.spans if span.effects and span.effects.entries}
        assert said == {"speaks": [("stdout", "heard\n")]}, said


def full_runs() -> None:
    """All shapes, and the promises about them."""
    at: dict[str, dict[str, Times]] = {}
    for shape in (
        graphs.chain(100),
        graphs.chain(300),
        graphs.chain(1_000),
        graphs.chain(10_000),
        graphs.fan(1_000),
        graphs.ladder(50, 20),
        graphs.scattered(2_000),
    ):
        times = at[shape.name] = full_run(shape)
        floor, own = times["floor"], times["flowbook"]
        goal(f"{shape.name}: × floor", own.median_s / floor.median_s, 12, floor)
        for peer, least in (("hamilton", 10), ("reaktiv", 2)):
            if peer in times:
                faster = times[peer].median_s / own.median_s
                goal(f"{shape.name}: times faster than {peer}", faster, least, floor, is_upper=False)
    large = full_run(graphs.chain(100_000), with_peers=False)
    ends = {size: at[f"chain {size:,}"]["flowbook"].median_s for size in (1_000, 10_000)}
    slope = (ends[10_000] - ends[1_000]) / 9_000
    slope_of_large = (large["flowbook"].median_s - ends[10_000]) / 90_000
    goal("slope 10k to 100k beside 1k to 10k", slope_of_large / slope, 1.25, large["floor"])
    joined = at["fan 1,000 out and in"]["flowbook"].median_s - ends[1_000]
    goal("a node that joins 1000 beside 1000 chain nodes", max(0.0, joined) / ends[1_000], 1, large["floor"])


class Here:
    """A pool that runs a job at once, on the thread that submits it: the engine's own work, without a hand-over."""

    def submit(self, job: Callable[[], None], *, is_patient: bool = False) -> None:
        job()


class Unheard:
    """Takes events and forgets them."""

    def __call__(self, event: object) -> None:
        """Take one event."""

    def later(self, batch: object, told: int) -> None:
        """Take what a sweep did."""

    def is_heard(self) -> bool:
        """Say that nobody listens."""
        return False


def engine_here() -> Engine:
    """The engine of this process, its work done on the thread that asks."""
    engine = copy.copy(session.engine)
    engine.pool = Here()  # type: ignore[assignment]
    return engine


def own_call(flow: fb.Flow, engine: Engine, *, force: bool = False, is_traced: bool = True) -> Execution:
    """Run a flow as ``flow.start`` does, without a thread; the trace and the history are kept, or nobody is told."""
    plan = flow.plan
    teller = _Teller(flow, is_private=False)
    sink: Any = teller if is_traced else Unheard()
    execution = Execution(plan, make_request(flow.data, plan, Wish(force=force)), flow.results, engine, sink)
    teller.run = fb.Run(execution, Trace(flow.name, execution.trace_id, engine.payloads.table), teller.history)
    execution.start()
    assert execution.status == "ok"
    return execution


def incremental() -> None:
    """Nothing changed, and one leaf of ten changed: at the engine's own call, and as people call it."""
    shape = graphs.comb(10, 99)
    floor = shape.unrolled()
    flow, engine = flow_of(shape), engine_here()

    @flow.node
    def n0(n: int = 0) -> int:
        return n

    moves = 0

    def move() -> None:
        nonlocal moves
        moves += 1
        flow.set("n0", n=moves)

    def fires(count: int, run: Callable[[], Execution | fb.Run]) -> Callable[[], None]:
        def counted() -> None:
            assert len(run().recomputed) == count

        return counted

    def leaf(run: Callable[[], Execution | fb.Run]) -> Callable[[], Execution | fb.Run]:
        def moved() -> Execution | fb.Run:
            move()
            return run()

        return moved

    def is_current() -> None:
        assert flow.results.is_current(flow.plan, engine) is not None

    fires(991, lambda: flow.run_sync(force=True))()
    calls: dict[str, Callable[[], object]] = {
        "floor": floor,
        "hop": hop,
        "full, own call": fires(991, lambda: own_call(flow, engine, force=True)),
        "full, run_sync": fires(991, lambda: flow.run_sync(force=True)),
        "one leaf, own call": fires(100, leaf(lambda: own_call(flow, engine))),
        "one leaf, run_sync": fires(100, leaf(flow.run_sync)),
        "nothing, run_sync": fires(0, flow.run_sync),
        "nothing, own call": fires(0, lambda: own_call(flow, engine)),
        "nothing, decided": is_current,
    }
    fires(100, leaf(flow.run_sync))()
    assert flow.run_sync()["n990"] == moves
    # The last call of one side is what the next one finds: after a leaf was moved and run, nothing has changed.
    times = side_by_side(calls)
    for name, measured in times.items():
        row(shape.name, name, measured.median_s * US, "µs", measured.median_s / times["floor"].median_s)
    whole, hop_s, steady = times["full, own call"].median_s, times["hop"].median_s, times["floor"]
    goal(
        "nothing changed, decided: share of a full own call",
        times["nothing, decided"].median_s / whole,
        1 / 200,
        steady,
    )
    goal("one leaf of ten, own call: share of a full one", times["one leaf, own call"].median_s / whole, 1 / 4, steady)
    for what in ("nothing", "one leaf"):
        beyond_s = times[f"{what}, run_sync"].median_s - times[f"{what}, own call"].median_s
        goal(f"{what}: run_sync beyond the own call, in hops", beyond_s / hop_s, 3, times["hop"])


def tracing() -> None:
    """The same runs with a trace and a history, and with nobody told."""
    shape = graphs.ladder(50, 20)
    flow, engine = flow_of(shape), engine_here()

    def on() -> None:
        assert len(own_call(flow, engine, force=True).recomputed) == shape.size

    def read() -> None:
        run = flow.run_sync(force=True)
        assert len(run.trace.spans) == shape.size

    def off() -> None:
        assert len(own_call(flow, engine, force=True, is_traced=False).recomputed) == shape.size

    times = side_by_side({"floor": shape.unrolled(), "off": off, "on": on, "on, every span read": read})
    for name, measured in times.items():
        row(
            f"tracing, {shape.name}", name, measured.median_s / shape.size * US, "µs/node",
            measured.median_s / times["floor"].median_s,
        )  # fmt: skip
    goal("tracing on beside off", times["on"].median_s / times["off"].median_s, 1.5, times["floor"])


def parallel_no_op() -> None:
    """Nodes that do nothing, with and without leave to run beside each other."""
    shape = graphs.ladder(50, 20)
    flows = {
        "serial": fb.Flow("serial", policy=fb.FlowPolicy(max_concurrency=1)),
        "unsaid": fb.Flow("unsaid"),
        "parallel": fb.Flow("parallel", policy=fb.FlowPolicy(max_concurrency=8)),
    }
    for flow in flows.values():
        for function in shape.functions:
            flow.node(function)

    def forced(flow: fb.Flow) -> Callable[[], None]:
        def run() -> None:
            assert sinks_of(flow.run_sync(force=True), shape) == shape.expected()

        return run

    times = side_by_side({name: forced(flow) for name, flow in flows.items()})
    for name, measured in times.items():
        row(f"no-op {shape.name}", name, measured.median_s / shape.size * US, "µs/node", 0.0)
    best_s = min(times["serial"].median_s, times["unsaid"].median_s)
    goal("no-op graph: parallel beside serial", times["parallel"].median_s / best_s, 1.2, times["unsaid"])


def hop() -> None:
    """Hand a job to a worker thread and wait for it."""
    import threading

    done = threading.Event()
    session.engine.pool.submit(done.set)
    done.wait()


def many_flows() -> None:
    """A thousand flows of five nodes."""
    shape = graphs.chain(5)
    floor = shape.unrolled()
    flows = [flow_of(shape) for _ in range(1_000)]
    calls: dict[str, Callable[[], object]] = {
        "floor": lambda: [floor() for _ in range(1_000)],
        "flowbook": lambda: [run.wait() for run in [flow.start(force=True) for flow in flows]],
    }
    if peers.is_there("hamilton"):
        many = [peers.hamilton(shape) for _ in range(1_000)]
        calls["hamilton"] = lambda: [run() for run in many]
    times = side_by_side(calls)
    for name, measured in times.items():
        row("1000 flows of 5", name, measured.median_s * 1e3, "ms", measured.median_s / times["floor"].median_s)
    if "hamilton" in times:
        goal(
            "1000 flows of 5: share of hamilton",
            times["flowbook"].median_s / times["hamilton"].median_s,
            1 / 2,
            times["floor"],
        )


def parallel() -> None:
    """Eight branches of 25 ms of numpy on two cores, in wall time."""
    import numpy as np

    data = np.random.default_rng(1).random(400_000)
    rounds = 1

    def work(seed: int) -> float:
        total = 0.0
        for _ in range(rounds):
            total += float(np.sort(data * seed)[0])
        return total

    started = time.perf_counter()
    work(2)
    rounds = max(1, round(0.025 / (time.perf_counter() - started)))
    flow = fb.Flow("branches", policy=fb.FlowPolicy(max_concurrency=2))
    for branch in range(8):

        def node(seed: int = branch + 1) -> float:
            return work(seed)

        flow.add(node, f"b{branch}", seed=branch + 1)
    with ThreadPoolExecutor(2) as pool:
        times = side_by_side(
            {
                "serial": lambda: [work(branch + 1) for branch in range(8)],
                "ThreadPoolExecutor(2)": lambda: list(pool.map(work, range(1, 9))),
                "flowbook": lambda: flow.run_sync(force=True),
            },
            clock=time.perf_counter,
        )
    for name, measured in times.items():
        row(
            "8 branches x 25 ms", name, measured.median_s * 1e3, "ms wall", times["serial"].median_s / measured.median_s
        )
    pooled = times["ThreadPoolExecutor(2)"]
    goal(
        "8 branches: speed beside ThreadPoolExecutor(2)",
        pooled.median_s / times["flowbook"].median_s,
        0.95,
        pooled,
        is_upper=False,
    )


def building() -> None:
    """Build and check a chain of 1000."""
    shape = graphs.chain(1_000)

    def build() -> None:
        assert not flow_of(shape).check()

    calls: dict[str, Callable[[], object]] = {"floor": shape.unrolled, "flowbook": build}
    if peers.is_there("hamilton"):
        calls["hamilton"] = lambda: peers.hamilton(shape)
    times = side_by_side(calls)
    for name, measured in times.items():
        row("build and check 1,000", name, measured.median_s / shape.size * US, "µs/node", 0.0)
    if "hamilton" in times:
        goal(
            "build and check: share of hamilton",
            times["flowbook"].median_s / times["hamilton"].median_s,
            1 / 5,
            times["hamilton"],
        )


def payload() -> None:
    """Hand 100 MB through ten nodes."""
    import tracemalloc

    import numpy as np

    flow = fb.Flow("payload")

    @flow.node
    def start() -> np.ndarray:
        return np.zeros(100_000_000 // 8)

    def same(value: np.ndarray) -> np.ndarray:
        return value

    previous = "start"
    for place in range(10):
        flow.add(same, f"p{place}")
        flow.connect(previous, f"p{place}.value")
        previous = f"p{place}"
    tracemalloc.start()
    run = flow.run_sync()
    peak = tracemalloc.get_traced_memory()[1] / 100e6
    tracemalloc.stop()
    assert np.shares_memory(run["start"], run["p9"])
    copied = sum(span.copied_bytes for span in run.trace.spans)
    row("payload 10 x 100 MB", "flowbook", peak, "payloads at the peak", copied)
    goal("payload handed on: payloads at the peak", peak, 2.1)
    goal("payload handed on: bytes copied", copied, 0)


_MEMORY = """
import tracemalloc, gc, sys
from tests.bench import graphs
from tests.bench.__main__ import flow_of
shape = graphs.chain(10_000)
warm = flow_of(graphs.chain(10)); warm.run_sync()
gc.collect(); tracemalloc.start()
flow = flow_of(shape); flow.run_sync(); gc.collect()
first = tracemalloc.get_traced_memory()[0]
runs = [flow.run_sync(force=True) for _ in range(3)]; gc.collect()
last = tracemalloc.get_traced_memory()[0]
print(first / shape.size, (last - first) / shape.size / 3)
"""
_IMPORT = "import time; a = time.process_time(); import {}; print(time.process_time() - a)"


def memory_and_import() -> None:
    """Bytes per node after a first run, growth per further run that is kept, and what importing costs."""
    first, growth = map(float, _child(_MEMORY).split())
    row("memory, chain 10,000", "flowbook", first, "bytes/node", growth)
    goal("memory per node, bytes", first, 1_500)
    goal("growth per further run and node, bytes", growth, 150)
    taken: dict[str, list[float]] = {"flowbook": [], "dataclasses, json, asyncio": []}
    for _ in range(9):
        for names, times_s in taken.items():
            times_s.append(float(_child(_IMPORT.format(names))))
    plain, own = Times(taken["dataclasses, json, asyncio"]), Times(taken["flowbook"])
    for names, measured in (("floor", plain), ("flowbook", own)):
        row("import", names, measured.median_s * 1e3, "ms", measured.median_s / plain.median_s)
    goal("import flowbook beside dataclasses, json, asyncio", own.median_s / plain.median_s, 2, plain)


def _child(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout


def row(case: str, who: str, figure: float, unit: str, ratio: float) -> None:
    """Print and keep one line of the table."""
    rows.append({"case": case, "who": who, "figure": figure, "unit": unit, "ratio": ratio})
    print(f"{case:<30}{who:<24}{figure:>12.3f} {unit:<22}{ratio:>10.2f}", flush=True)


def goal(name: str, figure: float, limit: float, floor: Times | None = None, *, is_upper: bool = True) -> None:
    """Keep one promise to be judged at the end."""
    goals.append(Goal(name, figure, limit, is_upper, floor.spread if floor is not None else 0.0))


CASES: Final[dict[str, Callable[[], None]]] = {
    "captures": captures,
    "full": full_runs,
    "incremental": incremental,
    "tracing": tracing,
    "no-op": parallel_no_op,
    "flows": many_flows,
    "parallel": parallel,
    "building": building,
    "payload": payload,
    "memory": memory_and_import,
}


def main() -> None:
    """Run the cases named on the command line, or all."""
    os.environ["HAMILTON_TELEMETRY_ENABLED"] = "false"
    sys.setrecursionlimit(1_000_000)  # hamilton and reaktiv recurse as deep as a graph is long
    load = os.getloadavg()
    print(f"{'case':<30}{'who':<24}{'figure':>12} {'unit':<22}{'ratio':>10}")
    for name in sys.argv[1:] or CASES:
        CASES[name]()
    print()
    for entry in goals:
        sign = "<=" if entry.is_upper else ">="
        print(f"{entry.verdict:<14}{entry.name:<66}{entry.figure:>10.4g} {sign} {entry.limit:.4g}")
    OUT.parent.mkdir(parents=True, exist_ok=True)
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "load": [load, os.getloadavg()]}
    judged = [
        {"name": entry.name, "figure": entry.figure, "limit": entry.limit, "verdict": entry.verdict} for entry in goals
    ]
    OUT.write_text(json.dumps({"machine": machine, "rows": rows, "goals": judged}, indent=1), encoding="utf-8")
    print(f"\n{OUT}; load {load[0]:.1f}, then {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
