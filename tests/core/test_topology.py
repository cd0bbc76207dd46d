"""Order and loops, for graphs of every shape; names decide nothing."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbook.core.topology import find_cycle, path_between, reachable, reverse, topological_order

Graph = dict[str, list[str]]

_NAMES = "abcdefgh"


@st.composite
def graphs(draw: st.DrawFn, *, with_loops: bool = True) -> Graph:
    """Random graphs; without loops every edge goes forward in the alphabet."""
    count = draw(st.integers(1, len(_NAMES)))
    names = _NAMES[:count]
    pairs = [(a, b) for a in names for b in names if with_loops or a < b]
    edges = draw(st.lists(st.sampled_from(pairs), max_size=16)) if pairs else []
    return {name: [b for a, b in edges if a == name] for name in names}


@given(graphs(with_loops=False))
def test_every_edge_goes_forward_and_the_given_order_decides_ties(graph: Graph) -> None:
    names = list(graph)
    order = topological_order(names, graph)
    assert sorted(order) == sorted(names)
    assert all(order.index(a) < order.index(b) for a, readers in graph.items() for b in readers)
    assert topological_order(names, graph) == order
    assert find_cycle(names, graph) == []


@given(graphs())
def test_what_is_left_out_of_the_order_is_on_or_behind_a_loop(graph: Graph) -> None:
    names = list(graph)
    order = topological_order(names, graph)
    on_a_loop = {name for name in names if any(name in reachable([reader], graph) for reader in graph[name])}
    assert set(names) - set(order) == reachable(on_a_loop, graph)
    loop = find_cycle(names, graph)
    assert bool(loop) == bool(on_a_loop)
    if loop:
        assert loop[0] == loop[-1]
        assert len(set(loop)) == len(loop) - 1
        assert all(b in graph[a] for a, b in itertools.pairwise(loop))


@given(graphs(), st.sampled_from(_NAMES), st.sampled_from(_NAMES))
def test_a_path_follows_edges_and_exists_when_its_end_can_be_reached(graph: Graph, start: str, end: str) -> None:
    path = path_between(start, end, graph)
    assert bool(path) == (end in reachable([start], graph))
    if path:
        assert (path[0], path[-1]) == (start, end)
        assert all(b in graph[a] for a, b in itertools.pairwise(path))
        assert len(set(path)) == len(path)


@given(graphs(), st.sets(st.sampled_from(_NAMES)))
def test_reachable_is_what_following_edges_adds_to_the_starts(graph: Graph, starts: set[str]) -> None:
    found = reachable(starts, graph)
    assert starts <= found
    assert all(reader in found for name in found for reader in graph.get(name, ()))
    assert all(name in starts or any(name in graph.get(other, ()) for other in found) for name in found)


@given(graphs())
def test_turning_edges_round_twice_changes_nothing(graph: Graph) -> None:
    there_and_back = reverse(reverse(graph))
    assert {name: sorted(readers) for name, readers in there_and_back.items()} == {
        name: sorted(readers) for name, readers in graph.items()
    }


@pytest.mark.parametrize("is_looped", [False, True])
def test_long_chains_are_no_recursion(is_looped: bool) -> None:
    count = 20_000
    names = [f"n{number}" for number in range(count)]
    graph = {name: [names[(number + 1) % count]] for number, name in enumerate(names)}
    if not is_looped:
        graph[names[-1]] = []
    assert len(topological_order(names, graph)) == (0 if is_looped else count)
    assert len(find_cycle(names, graph)) == (count + 1 if is_looped else 0)
    assert len(reachable(names[:1], graph)) == count
