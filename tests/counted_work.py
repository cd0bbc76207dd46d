"""Work counted rather than timed: how many functions of ours were called."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import flowbook

if TYPE_CHECKING:
    from collections.abc import Callable

_OURS = str(Path(flowbook.__file__).parent)


def calls_in(work: Callable[[], object]) -> Counter[str]:
    """Count the calls of flowbook's functions, comprehensions included, that ``work`` makes on this thread, by name.

    What earlier tests left is collected before and nothing is meanwhile: what garbage calls when it goes is not work.
    """
    counts: Counter[str] = Counter()

    def note(frame: Any, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(_OURS):
            counts[frame.f_code.co_qualname] += 1

    before, collects = sys.getprofile(), gc.isenabled()
    gc.collect()
    gc.disable()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()
    return counts
