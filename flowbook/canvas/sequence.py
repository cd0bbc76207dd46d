"""Numbers bundles in the order in which they are made."""

from __future__ import annotations

import itertools
import time

# A view drops what is older than what it shows, and what it shows may be from a file that an earlier kernel wrote: so
# numbers go on where the clock stands.
_numbers = itertools.count(int(time.time() * 1000))


def next_seq() -> int:
    """Return a number above all earlier ones, those of earlier kernels included; browsers hold it exactly."""
    return next(_numbers)
