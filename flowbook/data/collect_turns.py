"""One heavy collect of polars at a time.

A collect uses every core and may hold several times its input; two beside each other take as long and need twice the
memory. So a lazy table over much data waits for its turn, for the whole process. What is small goes at once: it is over
before it would have had its turn, and a preview must not wait for a join of an hour.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any, Final

from flowbook.data import plans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: A plan over less data, in memory and in files, is small, bytes.
SMALL_BYTES: Final = 16 * 1024 * 1024
#: Longest wait for a turn: a collect that never ends, and cannot be ended, must not keep all others, seconds.
LONGEST_WAIT_S: Final = 60.0

_turn = threading.Lock()


@contextlib.contextmanager
def turn(lazy: Sequence[Any]) -> Iterator[None]:
    """Wait until no other heavy collect goes on, if these plans are heavy together; then the block is the one.

    Args:
        lazy: LazyFrames that are collected in the block.
    """
    has_turn = bool(lazy) and _turn.acquire(blocking=False)  # nobody is weighed as long as nobody waits
    if lazy and not has_turn and sum(map(_weight_bytes, lazy)) >= SMALL_BYTES:
        has_turn = _turn.acquire(timeout=LONGEST_WAIT_S)
    try:
        yield
    finally:
        if has_turn:
            _turn.release()


def _weight_bytes(plan: Any) -> int:
    """Sum up what a plan reads: tables in memory and local files; what cannot be told counts nothing."""
    held = sum(frame.estimated_size() for frame in plans.held_frames(plan))
    if held >= SMALL_BYTES:
        return int(held)
    files = 0
    for path in plans.scanned_files(plan):
        with contextlib.suppress(OSError):
            files += path.stat().st_size
    return int(held) + files
