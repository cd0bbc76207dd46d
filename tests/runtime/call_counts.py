"""Counts how often a node's code was called, behind the back of its key."""

from __future__ import annotations

#: By name; looked up by text, so that it is no part of any key.
calls: dict[str, int] = {}


def count(name: str) -> int:
    """Count a call; says the how many-eth it is."""
    counted: dict[str, int] = globals()["calls"]
    counted[name] = counted.get(name, 0) + 1
    return counted[name]
