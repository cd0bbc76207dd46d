"""How long something takes at best, for tests that compare two things in one run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def quickest(call: Callable[[], object], times: int = 7) -> float:
    """Return the least wall time of a few calls, in seconds: what is left when nobody else is busy."""
    took: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return min(took)
