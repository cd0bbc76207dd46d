"""The way an edge takes across the canvas: a curve, and past cards in its way on a straight piece between them.

Routes are found from the cards as they lie, so they suit positions somebody chose as well as those of the layout, which
keeps lanes free for long edges. An edge that finds no near way runs behind the cards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Point = tuple[float, float]

CLEARANCE_PX = 10
"""Kept between an edge and a card it passes."""
LANE_STEP_PX = 7
"""Between two edges that pass the same gap."""
LONGEST_DETOUR_PX = 600
MAX_TRIES = 6
"""How often a way is laid anew because it met yet another card."""


@dataclass(frozen=True, slots=True)
class Rect:
    """A card or a label as an obstacle."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Rect) -> bool:
        """Tell whether two rectangles overlap."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )  # fmt: skip

    def holds(self, point: Point) -> bool:
        """Tell whether a point lies inside."""
        return self.left < point[0] < self.right and self.top < point[1] < self.bottom


@dataclass(frozen=True, slots=True)
class Route:
    """A way in pieces: each begins and ends level; pieces at one height are straight.

    Attributes:
        points: where pieces meet, the ports at both ends.
        back: the edge leads back to the left and loops below the cards.
    """

    points: tuple[Point, ...]
    back: bool = False

    def path(self) -> str:
        """Write the route as SVG path data."""
        if self.back:
            return self._loop()
        steps = [f"M{_figures(*self.points[0])}"]
        for (x1, y1), (x2, y2) in pairwise(self.points):
            if abs(y1 - y2) < 0.5:
                steps.append(f"H{_figures(x2)}")
            else:
                bend = _bend(x1, x2)
                steps.append(f"C{_figures(x1 + bend, y1, x2 - bend, y2, x2, y2)}")
        return "".join(steps)

    def _loop(self) -> str:
        (x1, y1), (_, low), (x2, y2) = self.points
        return (
            f"M{_figures(x1, y1)}C{_figures(x1 + 50, y1, x1 + 50, low, x1, low)}"
            f"H{_figures(x2)}C{_figures(x2 - 50, low, x2 - 50, y2, x2, y2)}"
        )

    def samples(self) -> list[Point]:
        """Return points along the route, close enough together to place a label or to see what it meets."""
        if self.back:
            (x1, _), (_, low), (x2, _) = self.points
            return [(x1 + (x2 - x1) * step / 16, low) for step in range(17)]
        found: list[Point] = []
        for (x1, y1), (x2, y2) in pairwise(self.points):
            bend, steps = _bend(x1, x2), max(8, int(abs(x2 - x1) / 12))
            for step in range(steps + 1):
                t = step / steps
                a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
                found.append((a * x1 + b * (x1 + bend) + c * (x2 - bend) + d * x2, (a + b) * y1 + (c + d) * y2))
        return found


def _bend(x1: float, x2: float) -> float:
    """Say how far a curve runs level before it turns."""
    return min(max((x2 - x1) / 2, 16), 140)


def _figures(*values: float) -> str:
    return " ".join(f"{value:.1f}".removesuffix(".0") for value in values)


@dataclass
class Router:
    """Finds the ways of all edges of one drawing, one after another, so that no two share a lane.

    Args:
        cards: every card, as an obstacle.
    """

    cards: Sequence[Rect]
    _lanes: list[tuple[float, float, float]] = field(default_factory=list)  # left, right, height of what is taken

    def route(self, start: Point, end: Point) -> Route:
        """Find a way from an output to an input."""
        if end[0] < start[0] + 8:
            low = max(card.bottom for card in self.cards if card.left <= start[0] and card.right >= end[0]) + 24
            return Route((start, (start[0], low), end), back=True)
        way = Route((start, end))
        met: list[Rect] = []
        for _ in range(MAX_TRIES):
            new = [card for card in self._met_by(way) if card not in met]
            if not new:
                break
            met += new
            bands = _bands(met, start[0], end[0])
            ways = [found for early in (True, False) if (found := self._way(start, end, bands, early=early))]
            if not ways:
                return Route((start, end))
            way = min(ways, key=_cost)
        self._lanes += [(a[0], b[0], a[1]) for a, b in pairwise(way.points[1:-1]) if a[1] == b[1]]
        return way

    def _met_by(self, way: Route) -> list[Rect]:
        """List the cards a way runs through, those it begins and ends at aside."""
        start, end = way.points[0], way.points[-1]
        samples = way.samples()
        return [
            card
            for card in self.cards
            if card.left < end[0] - 1 and card.right > start[0] + 1 and any(card.holds(point) for point in samples)
        ]

    def _way(self, start: Point, end: Point, bands: Iterable[Sequence[Rect]], *, early: bool) -> Route | None:
        """Pass band after band of cards; ``early``: turn to the height of the end as soon as possible, else late."""
        points = [start]
        for band in bands:
            left, right = min(card.left for card in band) - 12, max(card.right for card in band) + 12
            left, right = max(left, start[0] + 12), min(right, end[0] - 12)
            wanted = end[1] if early else points[-1][1]
            height = self._free_height(band, left, right, wanted)
            if height is None or left >= right or left < points[-1][0]:
                return None
            points += [(left, height), (right, height)]
        return Route((*points, end))

    def _free_height(self, band: Sequence[Rect], left: float, right: float, wanted: float) -> float | None:
        blocked = [(card.top - CLEARANCE_PX, card.bottom + CLEARANCE_PX) for card in band]
        taken = [height for from_x, to_x, height in self._lanes if from_x < right and to_x > left]
        heights = [wanted, *(height for span in blocked for height in span)]
        tries = [
            height + step * LANE_STEP_PX * sign for height in heights for step in range(4) for sign in (1, -1)
        ]  # fmt: skip
        free = [
            height
            for height in tries
            if not any(top < height < bottom for top, bottom in blocked)
            and not any(abs(height - other) < LANE_STEP_PX - 1 for other in taken)
        ]
        nearest = min(free, key=lambda height: (abs(height - wanted), height), default=None)
        return nearest if nearest is not None and abs(nearest - wanted) <= LONGEST_DETOUR_PX else None


def _bands(cards: Iterable[Rect], start: float, end: float) -> list[list[Rect]]:
    """Group the cards between two ends into columns that overlap from left to right."""
    bands: list[list[Rect]] = []
    reach = start
    for card in sorted(cards, key=lambda card: (card.left, card.top)):
        if card.left >= end - 12 or card.right <= start + 12:
            continue
        if bands and card.left < reach:
            bands[-1].append(card)
        else:
            bands.append([card])
        reach = max(reach, card.right) if len(bands[-1]) > 1 else card.right
    return bands


def _cost(route: Route) -> float:
    """Weigh a way: how far it goes up and down, and how often it turns."""
    turns = [abs(b[1] - a[1]) for a, b in pairwise(route.points) if abs(b[1] - a[1]) > 0.5]
    return sum(turns) + 40 * len(turns)
