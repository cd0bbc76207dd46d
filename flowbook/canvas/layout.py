"""Where the nodes of a flow stand: a layered drawing from left to right, the same wherever it is made.

Three steps, each in its own file: which column (``layering``), which order within the column (``ordering``), how high
(``straightening``). Parts that are not connected are drawn one by one and put on shelves. Positions that somebody chose
are kept, and the rest of the flow moves with them. All positions lie on the canvas grid of 20 px; the result depends on
ids, sizes and edges only, not on the order in which they are given.

Source: K. Sugiyama, S. Tagawa, M. Toda, "Methods for Visual Understanding of Hierarchical System Structures", IEEE
Transactions on Systems, Man, and Cybernetics 11(2), 1981.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flowbook.canvas.layers.layering import components, layers_of, neighbours, without_cycles
from flowbook.canvas.layers.ordering import Hints, columns_of, reduce_crossings
from flowbook.canvas.layers.straightening import anchor_heights

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

GRID_PX = 20
COLUMN_GAP_PX = 60
"""Between two columns: room for an edge to swing and for its ``337k × 19``."""
ROW_GAP_PX = 40
"""Between two cards of a column, before positions are rounded to the grid; never less than 20 after."""
LANE_PX = 16
"""Height kept for an edge that passes by."""
PART_GAP_PX = 60
"""Between parts of the flow that are not connected."""


@dataclass(frozen=True, slots=True)
class Box:
    """A card to be placed.

    Attributes:
        id: node id.
        width: pixels, > 0.
        height: pixels, > 0.
        anchor: height within the card that edges aim at (its first port), pixels from its top.
    """

    id: str
    width: int
    height: int
    anchor: int = 0


Position = tuple[int, int]
NO_HINTS = Hints()


def layered_layout(
    boxes: Sequence[Box],
    edges: Sequence[tuple[str, str]],
    fixed: Mapping[str, Position] | None = None,
    *,
    hints: Hints = NO_HINTS,
) -> dict[str, Position]:
    """Place cards so that data flows from left to right, no two overlap and few edges cross.

    Args:
        boxes: one per node; ids are unique.
        edges: (source id, target id); loops, doubles and unknown ids are ignored, cycles are drawn with an edge back.
        fixed: left top corners that stay as they are. Those may overlap one another, nothing else overlaps them.
        hints: what is known of the edges besides: at which ports they end, which should be straight.

    Returns:
        Left top corner (x, y) of every box, pixels, on the grid save for ``fixed``; the drawing starts at (0, 0) unless
        something is fixed.
    """
    by_id = {box.id: box for box in sorted(boxes, key=lambda box: box.id)}
    known = sorted({(source, target) for source, target in edges if source in by_id and target in by_id})
    acyclic = without_cycles(list(by_id), known)
    parts = [_draw_part([by_id[node] for node in part], acyclic, hints) for part in components(list(by_id), acyclic)]
    positions = _on_shelves(parts, by_id)
    held = {node: place for node, place in (fixed or {}).items() if node in by_id}
    return _around(held, positions, by_id, acyclic) if held else positions


def _draw_part(boxes: Sequence[Box], edges: Iterable[tuple[str, str]], hints: Hints) -> dict[str, Position]:
    """Draw one connected part, its left top corner at (0, 0)."""
    if len(boxes) == 1:
        return {boxes[0].id: (0, 0)}
    nodes = [box.id for box in boxes]
    inside = set(nodes)
    own_edges = [edge for edge in edges if edge[0] in inside]
    layer = layers_of(nodes, own_edges)
    leftmost = min(layer.values())
    layer = {node: value - leftmost for node, value in layer.items()}
    columns = columns_of(nodes, own_edges, layer, hints)
    reduce_crossings(columns)

    def gap(upper: int, lower: int) -> float:
        under = LANE_PX / 2 if columns.is_lane(upper) else boxes[upper].height - boxes[upper].anchor
        over = LANE_PX / 2 if columns.is_lane(lower) else boxes[lower].anchor
        lanes = columns.is_lane(upper) + columns.is_lane(lower)
        return under + (ROW_GAP_PX, ROW_GAP_PX // 2, 0)[lanes] + over

    heights = anchor_heights(columns, gap)
    left = _column_edges(boxes, [layer[node] for node in nodes])
    tops = [_on_grid(heights[index] - box.anchor) for index, box in enumerate(boxes)]
    highest = min(tops)
    return {box.id: (left[layer[box.id]], tops[index] - highest) for index, box in enumerate(boxes)}


def _column_edges(boxes: Sequence[Box], layers: Sequence[int]) -> list[int]:
    """Say where each column begins: after the widest card of the one before and a gap."""
    widest = [0] * (max(layers) + 1)
    for box, layer in zip(boxes, layers, strict=True):
        widest[layer] = max(widest[layer], box.width)
    left, edges = 0, []
    for width in widest:
        edges.append(left)
        left = math.ceil((left + width + COLUMN_GAP_PX) / GRID_PX) * GRID_PX
    return edges


def _on_shelves(parts: Sequence[Mapping[str, Position]], by_id: Mapping[str, Box]) -> dict[str, Position]:
    """Put drawn parts beside one another, in rows no wider than the widest of them or a fair rectangle."""
    sizes = [_extent(part, by_id) for part in parts]
    area = sum((width + PART_GAP_PX) * (height + PART_GAP_PX) for width, height in sizes)
    shelf_width = max([width for width, _ in sizes] + [math.isqrt(area * 2)], default=0)
    positions: dict[str, Position] = {}
    left = top = tallest = 0
    for part, (width, height) in zip(parts, sizes, strict=True):
        if left and left + width > shelf_width:
            left, top, tallest = 0, _next_grid(top + tallest + PART_GAP_PX), 0
        positions.update({node: (x + left, y + top) for node, (x, y) in part.items()})
        left = _next_grid(left + width + PART_GAP_PX)
        tallest = max(tallest, height)
    return positions


def _extent(part: Mapping[str, Position], by_id: Mapping[str, Box]) -> tuple[int, int]:
    return (
        max(x + by_id[node].width for node, (x, _) in part.items()),
        max(y + by_id[node].height for node, (_, y) in part.items()),
    )


def _around(
    held: Mapping[str, Position],
    positions: Mapping[str, Position],
    by_id: Mapping[str, Box],
    edges: Sequence[tuple[str, str]],
) -> dict[str, Position]:
    """Move what is free along with the nearest fixed nodes, then out of everybody's way, up or down."""
    shift = _shifts(held, positions, edges)
    placed = dict(held)
    for node in sorted(positions, key=lambda node: (positions[node], node)):
        if node in held:
            continue
        x, y = (_on_grid(positions[node][axis] + shift[node][axis]) for axis in (0, 1))
        placed[node] = (x, _free_height(by_id[node], x, y, [(by_id[other], placed[other]) for other in placed]))
    return {node: placed[node] for node in positions}


def _shifts(
    held: Mapping[str, Position], positions: Mapping[str, Position], edges: Sequence[tuple[str, str]]
) -> dict[str, tuple[float, float]]:
    """Tell how far each node moves: as the fixed nodes moved that are fewest edges away, on the mean."""
    before, after = neighbours(list(positions), edges)
    shift: dict[str, tuple[float, float]] = {
        node: (x - positions[node][0], y - positions[node][1]) for node, (x, y) in held.items()
    }
    everywhere = _mean(list(shift.values()))
    edge_of_known = list(held)
    while edge_of_known:
        reached: dict[str, list[tuple[float, float]]] = {}
        for node in edge_of_known:
            for other in before[node] + after[node]:
                if other not in shift:
                    reached.setdefault(other, []).append(shift[node])
        shift.update({node: _mean(shifts) for node, shifts in reached.items()})
        edge_of_known = list(reached)
    return {node: shift.get(node, everywhere) for node in positions}


def _mean(shifts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return math.fsum(x for x, _ in shifts) / len(shifts), math.fsum(y for _, y in shifts) / len(shifts)


def _free_height(box: Box, x: int, wanted: int, placed: Iterable[tuple[Box, Position]]) -> int:
    """Find the free height nearest to the one wanted, keeping a grid step of distance to every card beside it."""
    blocked = sorted(
        (top - GRID_PX - box.height, top + other.height + GRID_PX)
        for other, (left, top) in placed
        if left - GRID_PX < x + box.width and x < left + other.width + GRID_PX
    )
    down = wanted
    for start, end in blocked:
        if start < down < end:
            down = _next_grid(end)
    up = wanted
    for start, end in sorted(blocked, key=lambda span: -span[1]):
        if start < up < end:
            up = -_next_grid(-start)
    return down if down - wanted <= wanted - up else up


def _on_grid(value: float) -> int:
    return math.floor(value / GRID_PX + 0.5) * GRID_PX


def _next_grid(value: float) -> int:
    return math.ceil(value / GRID_PX) * GRID_PX
