"""Who stands above whom in a column: the second part of a layered drawing.

An edge that spans several columns gets a **lane** in each column between, so that room is kept for it and it need not
run through a card; all long edges of one node share their lanes. Then the columns are swept to and fro, each sorted by
the mean place of its neighbours in the column before (the barycentre), and the order with the fewest crossings wins.

Source: K. Sugiyama et al., 1981 (see ``layering``); counting as in W. Barth, M. Jünger, P. Mutzel, "Simple and
Efficient Bilayer Cross Counting", Graph Drawing 2002.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_LANES = 20_000
"""Lanes a drawing may have; edges longer than that are left without, or a pathological flow would never draw."""


@dataclass
class Columns:
    """Nodes and lanes in columns. Vertices are integers: first the nodes in their given order, then the lanes.

    Attributes:
        order: vertices of each column from top to bottom.
        before: for each vertex its neighbours one column to the left.
        after: for each vertex its neighbours one column to the right.
        node_count: vertices from here on are lanes.
    """

    order: list[list[int]]
    before: list[list[int]]
    after: list[list[int]]
    node_count: int
    place: list[int] = field(default_factory=list)

    def is_lane(self, vertex: int) -> bool:
        """Tell whether a vertex is room for an edge, not a node."""
        return vertex >= self.node_count

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
        ends = [end for vertex in column for end in sorted(self.place[other] for other in self.after[vertex])]
        size = max(ends, default=0) + 1
        tree = [0] * (size + 1)  # a Fenwick tree: how many ends so far were at or above a place
        crossed = 0
        for seen, end in enumerate(ends):
            at_or_above, index = 0, end + 1
            while index > 0:
                at_or_above += tree[index]
                index -= index & -index
            crossed += seen - at_or_above
            index = end + 1
            while index <= size:
                tree[index] += 1
                index += index & -index
        return crossed


def columns_of(nodes: Sequence[str], edges: Sequence[tuple[str, str]], layer: Mapping[str, int]) -> Columns:
    """Put nodes into their columns, with lanes for the edges that pass by; columns are in depth-first order.

    Args:
        nodes: ids; their order settles what nothing else does.
        edges: acyclic, without doubles, from lower to higher ``layer``.
        layer: column of each node, the lowest 0.
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
        last = start
        if len(lanes) + layer[target] - layer[source] <= MAX_LANES:
            for step in range(layer[source] + 1, layer[target]):
                lane = lanes.get((start, step))
                if lane is None:
                    lane = lanes[start, step] = len(columns.before)
                    columns.before.append([last])
                    columns.after.append([])
                    columns.after[last].append(lane)
                    layer_of.append(step)
                last = lane
        elif layer[target] - layer[source] > 1:
            continue
        columns.after[last].append(end)
        columns.before[end].append(last)
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
    """Reorder every column so that few edges cross; the result depends on the columns alone."""
    sweeps = 24 if len(columns.before) < 400 else 8
    best, fewest, idle = [list(column) for column in columns.order], columns.crossings(), 0
    for sweep in range(sweeps):
        if not fewest or idle > 5:
            break
        _sweep(columns, rightwards=sweep % 2 == 0)
        crossings = columns.crossings()
        idle = 0 if crossings < fewest else idle + 1
        if crossings < fewest:
            best, fewest = [list(column) for column in columns.order], crossings
    columns.order = best
    columns.note_places()
    if len(columns.before) < 400:
        _swap_neighbours(columns)


def _sweep(columns: Columns, *, rightwards: bool) -> None:
    sides = columns.before if rightwards else columns.after
    for column in columns.order if rightwards else reversed(columns.order):
        mean = {}
        for vertex in column:
            near = sides[vertex]
            mean[vertex] = sum(columns.place[other] for other in near) / len(near) if near else columns.place[vertex]
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
    place = columns.place
    return sum(
        place[of_upper] > place[of_lower]
        for sides in (columns.before, columns.after)
        for of_upper in sides[upper]
        for of_lower in sides[lower]
    )
