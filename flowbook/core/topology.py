"""Order, reachability and loops: pure functions over ids.

Edges are given as ``successors``: a mapping from every id to the ids that read it. All functions are linear in nodes
plus edges, and none recurses (a chain of 100,000 nodes must not hit Python's recursion limit).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


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


def reverse(successors: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Turn every edge round: the result maps an id to the ids it reads."""
    predecessors: dict[str, list[str]] = {node: [] for node in successors}
    for node, readers in successors.items():
        for reader in readers:
            predecessors.setdefault(reader, []).append(node)
    return predecessors


def topological_order(nodes: Sequence[str], successors: Mapping[str, Sequence[str]]) -> list[str]:
    """Order ``nodes`` so that every edge goes forward; ids on or behind a loop are left out.

    Among nodes that are free at the same time the order of ``nodes`` decides, so the answer is stable.
    Source: A. B. Kahn, "Topological sorting of large networks", CACM 5(11), 1962.
    """
    inside = set(nodes)
    waiting_for = dict.fromkeys(nodes, 0)
    for node in nodes:
        for successor in successors.get(node, ()):
            if successor in inside:
                waiting_for[successor] += 1
    free = deque(node for node in nodes if not waiting_for[node])
    order: list[str] = []
    while free:
        node = free.popleft()
        order.append(node)
        for successor in successors.get(node, ()):
            if successor in inside:
                waiting_for[successor] -= 1
                if not waiting_for[successor]:
                    free.append(successor)
    return order


def find_cycle(nodes: Sequence[str], successors: Mapping[str, Sequence[str]]) -> list[str]:
    """Return one loop as ids in order, the first repeated at the end, or an empty list when there is none."""
    done = set(topological_order(nodes, successors))
    left = [node for node in nodes if node not in done]
    # Nodes behind a loop are left over too; walking against the edges from any of them must enter a loop.
    inside = set(left)
    predecessors = {
        node: [source for source in sources if source in inside] for node, sources in reverse(successors).items()
    }
    if not left:
        return []
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
