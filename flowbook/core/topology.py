"""Order, reachability and loops: pure functions over ids.

Edges are given as ``successors``: a mapping from every id to the ids that read it. All functions are linear in nodes
plus edges, and none recurses (a chain of 100,000 nodes must not hit Python's recursion limit).
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence


def reachable(starts: Iterable[str], successors: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the starts and everything that can be reached from them."""
    seen = set(starts)
    waiting = list(seen)
    while waiting:
        for successor in successors.get(waiting.pop(), ()):
            if successor not in seen:
                seen.add(successor)
                waiting.append(successor)
    return seen


def path_between(start: str, end: str, successors: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a shortest path along the edges, both ends included; empty when there is none."""
    came_from: dict[str, str] = {start: start}
    waiting = deque([start])
    while waiting and end not in came_from:
        node = waiting.popleft()
        for successor in successors.get(node, ()):
            if successor not in came_from:
                came_from[successor] = node
                waiting.append(successor)
    if end not in came_from:
        return []
    path = [end]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return path[::-1]


def is_reachable(
    start: str, end: str, readers_of: Callable[[str], Iterable[str]], sources_of: Callable[[str], Iterable[str]]
) -> bool:
    """Whether a path leads from ``start`` to ``end``; looked for from both ends in turn.

    As many edges are looked at as the smaller of the two sides has, times two, and one node's more: joining a node that
    nobody reads yet, or one that reads nothing yet, to a large graph costs nothing.

    Source: the two-way search of M. A. Bender, J. T. Fineman, S. Gilbert, R. E. Tarjan, "A new approach to incremental
    cycle detection and related problems", ACM TALG 12(2), 2015, without its levels.
    """
    if start == end:
        return True
    below, above = {start}, {end}
    down, up = iter(_walk(start, readers_of, below)), iter(_walk(end, sources_of, above))
    return any(found in above or other in below for found, other in zip(down, up, strict=False))


def _walk(start: str, neighbours: Callable[[str], Iterable[str]], seen: set[str]) -> Iterator[str]:
    """Yield the far end of every edge that can be come to, noting in ``seen`` where it was."""
    waiting = [start]
    while waiting:
        for node in neighbours(waiting.pop()):
            if node not in seen:
                seen.add(node)
                waiting.append(node)
            yield node


def reverse(successors: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Turn every edge round: the result maps an id to the ids it reads."""
    predecessors: dict[str, list[str]] = {node: [] for node in successors}
    for node, readers in successors.items():
        for reader in readers:
            predecessors.setdefault(reader, []).append(node)
    return predecessors


def topological_order(nodes: Sequence[str], successors: Mapping[str, Sequence[str]]) -> list[str]:
    """Order ``nodes`` so that every edge goes forward; ids on or behind a loop are left out.

    Of all nodes that could come next the first of ``nodes`` does: nodes that were written down in an order that holds
    keep it, and what is written down last comes last.

    Source: A. B. Kahn, "Topological sorting of large networks", CACM 5(11), 1962, with a heap for what is free.
    """
    places = {node: place for place, node in enumerate(nodes)}
    waiting_for = [0] * len(places)
    is_in_order = True
    for place, node in enumerate(nodes):
        for successor in successors.get(node, ()):
            reader = places.get(successor)
            if reader is not None:
                waiting_for[reader] += 1
                is_in_order = is_in_order and place < reader
    if is_in_order:
        return list(nodes)
    free = [place for place, count in enumerate(waiting_for) if not count]
    order: list[str] = []
    while free:
        node = nodes[heapq.heappop(free)]
        order.append(node)
        for successor in successors.get(node, ()):
            reader = places.get(successor)
            if reader is not None:
                waiting_for[reader] -= 1
                if not waiting_for[reader]:
                    heapq.heappush(free, reader)
    return order


def find_cycle(nodes: Sequence[str], successors: Mapping[str, Sequence[str]]) -> list[str]:
    """Return one loop as ids in order, the first repeated at the end, or an empty list when there is none."""
    done = topological_order(nodes, successors)
    if len(done) == len(nodes):
        return []
    inside = set(nodes).difference(done)
    left = [node for node in nodes if node in inside]
    # Nodes behind a loop are left over too; walking against the edges from any of them must enter a loop.
    predecessors = {
        node: [source for source in sources if source in inside] for node, sources in reverse(successors).items()
    }
    path: list[str] = []
    position: dict[str, int] = {}
    node = left[0]
    while node not in position:
        position[node] = len(path)
        path.append(node)
        node = predecessors[node][0]
    loop = path[position[node] :]
    loop.reverse()
    return [*loop, loop[0]]
