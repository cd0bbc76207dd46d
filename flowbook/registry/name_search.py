"""Ranks names by how well they answer what a person types into a search field.

In this order: the name itself, its beginning, the beginnings of its words, a part of it, and, when nothing of that
fits, names that are spelt alike or have the letters in that order.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

EXACT, PREFIX, WORDS, PART, ALIKE = range(5)
#: From this likeness on (0..1) a misspelt name is still found.
LEAST_LIKENESS = 0.6

_BREAK = re.compile(r"[^a-z0-9]+")


def match(query: str, names: Sequence[str]) -> tuple[int, float] | None:
    """Say how well the best of ``names`` answers ``query``.

    Args:
        query: what was typed; case does not matter.
        names: what one thing is called, the best name first.

    Returns:
        A rank that sorts better answers first, or None: it is no answer.
    """
    typed = query.strip().casefold()
    ranks = [rank for name in names if (rank := _match(typed, name.casefold())) is not None]
    return min(ranks, default=None)


def _match(typed: str, name: str) -> tuple[int, float] | None:
    if typed == name:
        return (EXACT, 0)
    if name.startswith(typed):
        return (PREFIX, len(name))
    words, wanted = _BREAK.split(name), [word for word in _BREAK.split(typed) if word]
    if wanted and all(any(word.startswith(part) for word in words) for part in wanted):
        return (WORDS, len(name))
    at = name.find(typed)
    if at >= 0:
        return (PART, at)
    likeness = max(difflib.SequenceMatcher(None, typed, word).ratio() for word in (name, *words))
    if likeness >= LEAST_LIKENESS:
        return (ALIKE, 1 - likeness)
    letters = iter(name)
    return (ALIKE, 1) if len(typed) > 1 and all(letter in letters for letter in typed) else None
