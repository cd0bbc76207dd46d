"""Ids of runs: random, drawn from the system many at a time."""

from __future__ import annotations

import os
import threading
from typing import Final

_ID_BYTES: Final = 16
_DRAWN: Final = 256

_lock = threading.Lock()
_ready: list[str] = []


def new_trace_id() -> str:
    """Return 32 hex digits that no other run, here or elsewhere, has."""
    with _lock:
        if not _ready:
            drawn = os.urandom(_DRAWN * _ID_BYTES).hex()
            _ready.extend(drawn[place : place + 2 * _ID_BYTES] for place in range(0, len(drawn), 2 * _ID_BYTES))
        return _ready.pop()


# A forked process would give out the ids that its parent gives out.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ready.clear)
