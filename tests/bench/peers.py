"""The same graphs in other engines; a peer that is not installed is left out (``pip install flowbook[bench]``)."""

from __future__ import annotations

import importlib.util
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.graphs import Graph


def is_there(name: str) -> bool:
    """Whether the peer is installed."""
    return importlib.util.find_spec(name) is not None


def hamilton(graph: Graph) -> Callable[[], dict[str, int]]:
    """Run with hamilton's driver, its sinks asked for."""
    from hamilton import base, driver

    module = hamilton_module(graph)
    built = driver.Driver({}, module, adapter=base.SimplePythonGraphAdapter(base.DictResult()))
    sinks = [f"n{node}" for node in graph.sinks]
    return lambda: dict(built.execute(sinks))


def hamilton_module(graph: Graph) -> types.ModuleType:
    """Make a module of functions of its own for hamilton, which reads the functions that say they are of a module."""
    module = types.ModuleType(f"made_{id(graph)}")
    sys.modules[module.__name__] = module
    for function in graph.functions:
        own = types.FunctionType(function.__code__, function.__globals__, function.__name__)
        own.__annotations__, own.__module__ = dict(function.__annotations__), module.__name__
        setattr(module, own.__name__, own)
    return module


def reaktiv(graph: Graph) -> Callable[[], dict[str, int]]:
    """Recompute signals: what the sources read is set anew, and the sinks are read."""
    from reaktiv import Computed, Signal

    start: Any = Signal(0)
    nodes: list[Any] = []
    for node, sources in enumerate(graph.reads):
        pull = _pull(graph.functions[node], [nodes[source] for source in sources], start)
        nodes.append(Computed(pull, equal=lambda _one, _other: False))  # else an equal value would end it early
    sinks = {f"n{node}": nodes[node] for node in graph.sinks}
    count = 0

    def run() -> dict[str, int]:
        nonlocal count
        count += 1
        start.set(count)
        return {name: sink() for name, sink in sinks.items()}

    return run


def _pull(function: Callable[..., Any], sources: list[Any], start: Any) -> Callable[[], Any]:
    if not sources:
        return lambda: (start(), function())[1]
    if len(sources) == 1:
        one = sources[0]
        return lambda: function(one())
    return lambda: function(*[entry() for entry in sources])


def dask(graph: Graph) -> Callable[[], dict[str, int]]:
    """Run the raw graph on dask's threads."""
    from dask import threaded

    tasks = {
        f"n{node}": (graph.functions[node], *(f"n{source}" for source in sources))
        for node, sources in enumerate(graph.reads)
    }
    sinks = [f"n{node}" for node in graph.sinks]
    return lambda: dict(zip(sinks, threaded.get(tasks, sinks), strict=True))


def pipefunc(graph: Graph) -> Callable[[], dict[str, int]]:
    """Run pipefunc's pipeline; building it is quadratic, so only for small graphs."""
    from pipefunc import Pipeline
    from pipefunc import pipefunc as made

    pipeline = Pipeline([made(output_name=f"n{node}")(function) for node, function in enumerate(graph.functions)])
    sinks = [f"n{node}" for node in graph.sinks]
    return lambda: {sink: pipeline(sink) for sink in sinks}


PEERS: dict[str, tuple[str, Callable[[Graph], Callable[[], dict[str, int]]], int]] = {
    "hamilton": ("hamilton", hamilton, 10_000),
    "reaktiv": ("reaktiv", reaktiv, 10_000),
    "dask": ("dask", dask, 1_002),
    "pipefunc": ("pipefunc", pipefunc, 300),
}
"""By name: the package, how its run is made, and the largest graph it is asked to run."""
