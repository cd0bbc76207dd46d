"""Gives every card of a snapshot its size and its place."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from flowbook.canvas.cards import ANCHOR_PX, COMPACT_PX, MIN_WIDTH_PX, card_size
from flowbook.canvas.layers.ordering import Hints
from flowbook.canvas.layout import Box, layered_layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from flowbook.canvas.layout import Position
    from flowbook.canvas.protocol import Canvas, Card, Edge

MANY_NODES = 150
"""Beyond this many, cards show their header only."""


def placed(snapshot: Canvas, positions: Mapping[str, Position] | None = None) -> Canvas:
    """Return a snapshot whose cards have sizes and places: those somebody chose, the rest by the layered layout.

    Args:
        snapshot: ``x``, ``y``, ``w`` and ``h`` of its cards are not read and may be missing; it is not changed.
        positions: left top corners from the document, pixels.

    Returns:
        The snapshot with these four filled in and ``layoutHash`` set: 12 hex digits that change when a card moves.
    """
    cards = {card["id"]: card for card in snapshot["nodes"]}
    compact = len(cards) > MANY_NODES
    boxes = []
    for card in cards.values():
        width, height = (MIN_WIDTH_PX, COMPACT_PX) if compact else card_size(card)
        boxes.append(Box(card["id"], width, height, height // 2 if compact else ANCHOR_PX))
    ports = _port_shares(cards, snapshot["edges"])
    together = [set(group.get("nodes", [])) for group in snapshot.get("groups", [])]
    straight = {edge for edge in ports for group in together if group.issuperset(edge)}
    places = layered_layout(boxes, list(ports), positions, hints=Hints(ports, straight))
    nodes: list[Card] = []
    for card, box in zip(cards.values(), boxes, strict=True):
        x, y = places[box.id]
        nodes.append({**card, "x": x, "y": y, "w": box.width, "h": box.height})
    written = ";".join(f"{card['id']},{card['x']},{card['y']},{card['w']},{card['h']}" for card in nodes)
    layout_hash = hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return {**snapshot, "nodes": nodes, "layoutHash": layout_hash}


def _port_shares(cards: Mapping[str, Card], edges: Sequence[Edge]) -> dict[tuple[str, str], tuple[float, float]]:
    """Say for every edge how far down its source it leaves and its target it arrives; the topmost of parallel edges."""
    shares: dict[tuple[str, str], tuple[float, float]] = {}
    for edge in edges:
        if edge["source"] in cards and edge["target"] in cards:
            source, target = cards[edge["source"]], cards[edge["target"]]
            outputs = [port["name"] for port in source.get("outputs", [])]
            inputs = [port["name"] for port in (*target.get("inputs", []), *target.get("settings", []))]
            share = _share(edge.get("sourcePort", ""), outputs), _share(edge.get("targetPort", ""), inputs)
            key = edge["source"], edge["target"]
            shares[key] = min(shares.get(key, share), share)
    return shares


def _share(name: str, names: Sequence[str]) -> float:
    return names.index(name) / len(names) if name in names else 0.0
