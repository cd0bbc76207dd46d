"""Which column a node stands in: the first half of a layered drawing.

Cycles are cut at the edges that lead back (a flow with a cycle must still draw), nodes are layered by the longest path
that leads to them, and sources are then pulled towards what consumes them, so that edges are short.

Source: K. Sugiyama, S. Tagawa, M. Toda, "Methods for Visual Understanding of Hierarchical System Structures", IEEE
Transactions on Systems, Man, and Cybernetics 11(2), 1981; layering as in P. Healy and N. Nikolov, "Hierarchical Drawing
Algorithms", Handbook of Graph Drawing and Visualization, 2013.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Neighbours = dict[str, list[str]]


def neighbours(nodes: Sequence[str], edges: Iterable[tuple[str, str]]) -> tuple[Neighbours, Neighbours]:
    """List for each node what feeds it and what it feeds, in the order of ``edges``.

    Returns:
        (predecessors, successors); every node is a key of both.
    """
    before: Neighbours = {node: [] for node in nodes}
    after: Neighbours = {node: [] for node in nodes}
    for source, target in edges:
        before[target].append(source)
        after[source].append(target)
    return before, after


def without_cycles(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Turn the edges around that lead back to a node they came from, so that no cycle is left.

    Depth first from the sources, then from what is left, in the order of ``nodes``. Doubles and loops on one node go.
    """
    before, after = neighbours(nodes, edges)
    roots = [node for node in nodes if not before[node]] + list(nodes)
    state: dict[str, int] = {}  # 1 while on the path that is being followed, 2 when done
    forward: dict[tuple[str, str], None] = {}
    for root in roots:
        if root in state:
            continue
        state[root] = 1
        path = [(root, iter(after[root]))]
        while path:
            node, rest = path[-1]
            following = next(rest, None)
            if following is None:
                state[node] = 2
                path.pop()
            elif following == node:
                continue
            elif state.get(following) == 1:
                forward[following, node] = None
            else:
                forward[node, following] = None
                if following not in state:
                    state[following] = 1
                    path.append((following, iter(after[following])))
    return list(forward)


def topological_order(nodes: Sequence[str], before: Mapping[str, Sequence[str]], after: Neighbours) -> list[str]:
    """Order the nodes of an acyclic graph so that every edge leads on."""
    waits_for = {node: len(before[node]) for node in nodes}
    order = [node for node in nodes if not waits_for[node]]
    for node in order:  # grows while it is read
        for following in after[node]:
            waits_for[following] -= 1
            if not waits_for[following]:
                order.append(following)
    return order


def layers_of(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Give every node of an acyclic graph a column from 0 on, left of all it feeds.

    A node that feeds more than it reads moves right, next to the nearest of its consumers.
    """
    before, after = neighbours(nodes, edges)
    order = topological_order(nodes, before, after)
    layer = dict.fromkeys(nodes, 0)
    for node in order:
        layer[node] = max((layer[source] + 1 for source in before[node]), default=0)
    for node in reversed(order):
        if after[node] and len(after[node]) > len(before[node]):
            layer[node] = min(layer[target] for target in after[node]) - 1
    return layer


def components(nodes: Sequence[str], edges: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Split a graph into its connected parts: the larger first, then by their first node; each in the order given."""
    beside: Neighbours = {node: [] for node in nodes}
    for source, target in edges:
        beside[source].append(target)
        beside[target].append(source)
    part_of: dict[str, int] = {}
    parts: list[list[str]] = []
    for root in nodes:
        if root in part_of:
            continue
        part_of[root] = len(parts)
        reached = [root]
        for node in reached:  # grows while it is read
            for other in beside[node]:
                if other not in part_of:
                    part_of[other] = len(parts)
                    reached.append(other)
        parts.append([])
    for node in nodes:
        parts[part_of[node]].append(node)
    return sorted(parts, key=len, reverse=True)
