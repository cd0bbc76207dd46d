"""How high a node stands: the last part of a layered drawing.

Every vertex is aligned with the middle one of its neighbours, four times: looking left or right, and packing from the
top or from the bottom. Each vertex then takes the mean of the two middle ones of its four heights: chains and long
edges stay straight, and the drawing leans to no side. A vertex has an *anchor*, the height within it that edges aim at;
it is anchors that are aligned, so that an edge between the first ports of two cards is a straight line.

Source: U. Brandes and B. Köpf, "Fast and Simple Horizontal Coordinate Assignment", Graph Drawing 2001, turned by 90°;
packing by longest paths over blocks as in dagre.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbook.canvas.layers.ordering import Columns


class Gap(Protocol):
    """The least distance between the anchors of two vertices of one column, the first standing above the second."""

    def __call__(self, upper: int, lower: int) -> float:
        """Return the distance in pixels."""


def anchor_heights(columns: Columns, gap: Gap) -> list[float]:
    """Find the height of every vertex's anchor, growing downwards, with at least ``gap`` between neighbours.

    Args:
        columns: ordered; ``place`` is up to date.
        gap: least distance of two anchors, for any two vertices of one column.
    """
    forbidden = _edges_that_cross_a_long_one(columns)
    drawings: list[list[float]] = []
    for leftwards in (True, False):
        for from_top in (True, False):
            roots = _aligned(columns, forbidden, leftwards=leftwards, from_top=from_top)
            drawings.append(_packed(columns, roots, gap, from_top=from_top))
    return _middle(drawings)


def _edges_that_cross_a_long_one(columns: Columns) -> set[tuple[int, int]]:
    """Find the edges a lane-to-lane piece crosses: they may not be straightened, long edges come first."""
    forbidden: set[tuple[int, int]] = set()
    place = columns.place
    for column in columns.order[1:]:
        pieces = [
            (place[source], place[target])
            for target in column
            if columns.is_lane(target)
            for source in columns.before[target]
            if columns.is_lane(source)
        ]
        if not pieces:
            continue
        for target in column:
            for source in columns.before[target]:
                if columns.is_lane(source) and columns.is_lane(target):
                    continue
                if any((place[source] - above) * (place[target] - below) < 0 for above, below in pieces):
                    forbidden.add((source, target))
    return forbidden


def _aligned(columns: Columns, forbidden: set[tuple[int, int]], *, leftwards: bool, from_top: bool) -> list[int]:
    """Join vertices into blocks that will share one height; returns each vertex's block, named by its first vertex."""
    sides = columns.before if leftwards else columns.after
    place = columns.place
    root = list(range(len(place)))
    taken = [False] * len(place)  # another vertex has joined this one already
    for column in columns.order if leftwards else reversed(columns.order):
        limit = -1 if from_top else len(place)
        for vertex in column if from_top else reversed(column):
            near = sorted(sides[vertex], key=place.__getitem__)
            level = [other for other in near if _piece(other, vertex, leftwards=leftwards) in columns.straight]
            near = level or near
            if not near:
                continue
            middle = sorted({(len(near) - 1) // 2, len(near) // 2}, reverse=not from_top)
            for index in middle:
                other = near[index]
                beyond = place[other] > limit if from_top else place[other] < limit
                allowed = _piece(other, vertex, leftwards=leftwards) not in forbidden
                if root[vertex] == vertex and beyond and not taken[other] and allowed:
                    taken[other] = True
                    root[vertex] = root[other]
                    limit = place[other]
    return root


def _piece(other: int, vertex: int, *, leftwards: bool) -> tuple[int, int]:
    return (other, vertex) if leftwards else (vertex, other)


def _packed(columns: Columns, root: Sequence[int], gap: Gap, *, from_top: bool) -> list[float]:
    """Push every block as far up as it goes (or down), then back to close gaps that nothing asks for."""
    below: dict[int, dict[int, float]] = {vertex: {} for vertex in root}
    above_count = dict.fromkeys(below, 0)
    for column in columns.order:
        for upper, lower in itertools.pairwise(column):
            block, next_block = root[upper], root[lower]
            if next_block not in below[block]:
                above_count[next_block] += 1
            below[block][next_block] = max(below[block].get(next_block, 0.0), gap(upper, lower))
    order = [block for block in below if not above_count[block]]
    for block in order:  # grows while it is read
        for other in below[block]:
            above_count[other] -= 1
            if not above_count[other]:
                order.append(other)
    above: dict[int, dict[int, float]] = {block: {} for block in below}
    for block, others in below.items():
        for other, distance in others.items():
            above[other][block] = distance
    height = _pushed(order, above, below) if from_top else _pushed(order[::-1], below, above, down=True)
    return [height[block] for block in root]


def _pushed(
    order: Sequence[int], first: dict[int, dict[int, float]], then: dict[int, dict[int, float]], *, down: bool = False
) -> dict[int, float]:
    height: dict[int, float] = {}
    for block in order:
        height[block] = max((height[other] + distance for other, distance in first[block].items()), default=0.0)
    for block in reversed(order):
        room = min((height[other] - distance for other, distance in then[block].items()), default=math.inf)
        if room < math.inf:
            height[block] = max(height[block], room)
    return {block: -value for block, value in height.items()} if down else height


def _middle(drawings: Sequence[Sequence[float]]) -> list[float]:
    """Lay four drawings on the flattest of them and take the mean of the two middle heights of each vertex."""
    flattest = min(drawings, key=lambda drawing: max(drawing, default=0.0) - min(drawing, default=0.0))
    top, bottom = min(flattest, default=0.0), max(flattest, default=0.0)
    moved = []
    for index, drawing in enumerate(drawings):
        from_top = index % 2 == 0
        shift = top - min(drawing, default=0.0) if from_top else bottom - max(drawing, default=0.0)
        moved.append([value + shift for value in drawing])
    heights = []
    for four in zip(*moved, strict=True):
        _, low, high, _ = sorted(four)
        heights.append((low + high) / 2)
    return heights
