"""Who stands above whom in a column: the second part of a layered drawing.

An edge that spans several columns gets a **lane** in each column between, so that room is kept for it and it need not
run through a card; all long edges of one node share their lanes. Then the columns are swept to and fro, each sorted by
the mean place of its neighbours in the column before (the barycentre), and the order with the fewest crossings wins.
Where two edges meet one node, the heights of their ports say which should come from above.

Source: K. Sugiyama et al., 1981 (see ``layering``); counting as in W. Barth, M. Jünger, P. Mutzel, "Simple and
Efficient Bilayer Cross Counting", Graph Drawing 2002.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

MAX_LANES = 20_000
"""Lanes a drawing may have; edges longer than that are left without, or a pathological flow would never draw."""


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known of edges besides their ends.

    Attributes:
        ports: for an edge the share of its source's height at which it leaves, and of its target's at which it arrives,
            both in [0, 1): they settle which of two sources stands above the other.
        straight: edges to be drawn level before all others, such as those within a fused group.
    """

    ports: Mapping[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    straight: Collection[tuple[str, str]] = frozenset()


@dataclass
class Columns:
    """Nodes and lanes in columns. Vertices are integers: first the nodes in their given order, then the lanes.

    Attributes:
        order: vertices of each column from top to bottom.
        before: for each vertex its neighbours one column to the left.
        after: for each vertex its neighbours one column to the right.
        node_count: vertices from here on are lanes.
        leaves: for a piece of an edge (left, right vertex) the share of the left one's height at which it leaves.
        arrives: the same where it arrives at the right one; shares lie in [0, 1), 0 where nothing is known.
        straight: pieces of the edges that are to be drawn level before all others.
    """

    order: list[list[int]]
    before: list[list[int]]
    after: list[list[int]]
    node_count: int
    leaves: dict[tuple[int, int], float] = field(default_factory=dict)
    arrives: dict[tuple[int, int], float] = field(default_factory=dict)
    straight: set[tuple[int, int]] = field(default_factory=set)
    place: list[int] = field(default_factory=list)

    def is_lane(self, vertex: int) -> bool:
        """Tell whether a vertex is room for an edge, not a node."""
        return vertex >= self.node_count

    def start_of(self, left: int, right: int) -> float:
        """Say at which height a piece of an edge leaves its left vertex, in places of its column."""
        return self.place[left] + self.leaves.get((left, right), 0.0)

    def end_of(self, left: int, right: int) -> float:
        """Say at which height a piece of an edge arrives at its right vertex, in places of its column."""
        return self.place[right] + self.arrives.get((left, right), 0.0)

    def note_places(self) -> None:
        """Bring ``place`` (each vertex's index in its column) up to date with ``order``."""
        self.place = [0] * len(self.before)
        for column in self.order:
            for index, vertex in enumerate(column):
                self.place[vertex] = index

    def crossings(self) -> int:
        """Count how often edges cross between neighbouring columns."""
        self.note_places()
        return sum(self._crossings_after(column) for column in self.order[:-1])

    def _crossings_after(self, column: Sequence[int]) -> int:
        pieces = sorted(
            (self.start_of(vertex, other), self.end_of(vertex, other))
            for vertex in column
            for other in self.after[vertex]
        )
        rank = {end: index for index, end in enumerate(sorted({end for _, end in pieces}))}
        tree = [0] * (len(rank) + 1)  # a Fenwick tree: how many ends so far were at or above a height
        crossed = 0
        for seen, (_, end) in enumerate(pieces):
            at_or_above, index = 0, rank[end] + 1
            while index > 0:
                at_or_above += tree[index]
                index -= index & -index
            crossed += seen - at_or_above
            index = rank[end] + 1
            while index <= len(rank):
                tree[index] += 1
                index += index & -index
        return crossed


def columns_of(
    nodes: Sequence[str],
    edges: Sequence[tuple[str, str]],
    layer: Mapping[str, int],
    hints: Hints,
) -> Columns:
    """Put nodes into their columns, with lanes for the edges that pass by; columns are in depth-first order.

    Args:
        nodes: ids; their order settles what nothing else does.
        edges: acyclic, without doubles, from lower to higher ``layer``.
        layer: column of each node, the lowest 0.
        hints: what is known of the edges besides their ends.
    """
    number = {node: index for index, node in enumerate(nodes)}
    columns = Columns(
        order=[[] for _ in range(max(layer.values(), default=-1) + 1)],
        before=[[] for _ in nodes],
        after=[[] for _ in nodes],
        node_count=len(nodes),
    )
    layer_of = [layer[node] for node in nodes]
    lanes: dict[tuple[int, int], int] = {}
    for source, target in sorted(edges, key=lambda edge: (layer[edge[1]] - layer[edge[0]], edge)):
        start, end = number[source], number[target]
        leaves, arrives = hints.ports.get((source, target), (0.0, 0.0))
        path = [start]
        if len(lanes) + layer[target] - layer[source] <= MAX_LANES:
            for step in range(layer[source] + 1, layer[target]):
                lane = lanes.get((start, step))
                if lane is None:
                    lane = lanes[start, step] = len(columns.before)
                    columns.before.append([path[-1]])
                    columns.after.append([])
                    columns.after[path[-1]].append(lane)
                    columns.leaves[path[-1], lane] = leaves if path[-1] == start else 0.0
                    layer_of.append(step)
                path.append(lane)
        elif layer[target] - layer[source] > 1:
            continue
        columns.after[path[-1]].append(end)
        columns.before[end].append(path[-1])
        columns.leaves[path[-1], end] = leaves if path[-1] == start else 0.0
        columns.arrives[path[-1], end] = arrives
        if (source, target) in hints.straight:
            columns.straight.update(pairwise([*path, end]))
    _fill_depth_first(columns, layer_of)
    return columns


def _fill_depth_first(columns: Columns, layer_of: Sequence[int]) -> None:
    roots = [vertex for vertex in range(len(layer_of)) if not columns.before[vertex]]
    seen: set[int] = set()
    waiting = roots[::-1]
    while waiting:
        vertex = waiting.pop()
        if vertex in seen:
            continue
        seen.add(vertex)
        columns.order[layer_of[vertex]].append(vertex)
        waiting.extend(reversed(columns.after[vertex]))
    columns.note_places()


def reduce_crossings(columns: Columns) -> None:
    """Reorder every column so that few edges cross; the result depends on the columns alone.

    Small drawings are tried from four starts: sweeping to the right or to the left first, and with every column as it
    was or upside down. The first with the fewest crossings wins.
    """
    is_small = len(columns.before) < 400
    first = [list(column) for column in columns.order]
    best, fewest = first, columns.crossings()
    for start in range(4 if is_small else 1):
        if not fewest:
            break
        columns.order = [column[::-1] if start >= 2 else list(column) for column in first]
        columns.note_places()
        found, crossings = _swept(columns, sweeps=24 if is_small else 8, leftwards_first=start % 2 == 1)
        if crossings < fewest:
            best, fewest = found, crossings
    columns.order = best
    columns.note_places()


def _swept(columns: Columns, *, sweeps: int, leftwards_first: bool) -> tuple[list[list[int]], int]:
    """Sweep to and fro until nothing improves; returns the best order met and its crossings."""
    best, fewest, idle = [list(column) for column in columns.order], columns.crossings(), 0
    for sweep in range(sweeps):
        _sweep(columns, rightwards=(sweep % 2 == 0) != leftwards_first)
        if len(columns.before) < 400:
            _swap_neighbours(columns)
        crossings = columns.crossings()
        idle = 0 if crossings < fewest else idle + 1
        if crossings < fewest:
            best, fewest = [list(column) for column in columns.order], crossings
        if not fewest or idle > 4:
            break
    return best, fewest


def _sweep(columns: Columns, *, rightwards: bool) -> None:
    for column in columns.order if rightwards else reversed(columns.order):
        mean = {}
        for vertex in column:
            if rightwards:
                near = [columns.start_of(other, vertex) for other in columns.before[vertex]]
            else:
                near = [columns.end_of(vertex, other) for other in columns.after[vertex]]
            mean[vertex] = sum(near) / len(near) if near else columns.place[vertex]
        column.sort(key=lambda vertex: mean[vertex])  # stable: ties keep their order
        for index, vertex in enumerate(column):
            columns.place[vertex] = index


def _swap_neighbours(columns: Columns) -> None:
    """Swap two that stand together as long as that takes crossings away."""
    improved = True
    while improved:
        improved = False
        for column in columns.order:
            for index in range(len(column) - 1):
                upper, lower = column[index], column[index + 1]
                if _crossed(columns, upper, lower) > _crossed(columns, lower, upper):
                    column[index], column[index + 1] = lower, upper
                    columns.place[upper], columns.place[lower] = index + 1, index
                    improved = True


def _crossed(columns: Columns, upper: int, lower: int) -> int:
    """Count the crossings between the edges of two vertices if they stood in this order."""
    sides = (
        ([columns.start_of(other, vertex) for other in columns.before[vertex]] for vertex in (upper, lower)),
        ([columns.end_of(vertex, other) for other in columns.after[vertex]] for vertex in (upper, lower)),
    )
    return sum(of_upper > of_lower for above, below in sides for of_upper in above for of_lower in below)
