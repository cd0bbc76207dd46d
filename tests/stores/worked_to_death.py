"""A process that keeps results and dead letters as fast as it can, until somebody kills it.

What it says on standard output it has done: ``kept N`` once entry N is in the cache, ``put ID N`` once letter ID holds
turn N, ``dropped ID`` once that letter is gone.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import polars as pl

from flowbook.core.packets import ErrorPacket
from flowbook.data.lasting_codecs import LastingCodecs
from flowbook.stores.dead_letters import SqliteDeadLetters
from flowbook.stores.disk_cache import DiskCache

BUDGET_BYTES = 1_000_000_000


def key(number: int) -> str:
    """Name entry ``number``."""
    return f"{number:032x}"


def outputs(number: int) -> list[object]:
    """Make the outputs of entry ``number``: anybody can tell whether they are whole."""
    frame = pl.DataFrame({"n": [number] * 500, "text": [f"row {number}"] * 500})
    return [frame, np.full(20_000, number), {"n": number, "pair": (number, None)}]


def is_right(number: int, values: tuple[object, ...]) -> bool:
    """Tell whether these are the outputs of entry ``number``."""
    frame, array, plain = values
    assert isinstance(frame, pl.DataFrame)
    assert isinstance(array, np.ndarray)
    whole_frame = frame.equals(outputs(number)[0])  # type: ignore[arg-type]
    return whole_frame and bool((array == number).all()) and array.size == 20_000 and plain == outputs(number)[2]


def error(number: int) -> ErrorPacket:
    """Make the failure of turn ``number``."""
    return ErrorPacket(code="FB402", message=f"no {number}", node_id="fetch", trace_id="ab" * 16)


def main(folder: Path, first: int) -> None:
    """Work until killed."""
    cache = DiskCache(folder / "cache", LastingCodecs(), budget_bytes=BUDGET_BYTES)
    letters = SqliteDeadLetters(folder / "letters.sqlite", LastingCodecs())
    for number in itertools.count(first):
        assert cache.put(key(number), outputs(number), flow="f", node="n") is None
        say(f"kept {number}")
        letter_id = letters.put("f", error(number), {"inputs": outputs(number), "n": number}, at=number)
        say(f"put {letter_id} {number}")
        if number % 4 == 0:
            letters.take(letter_id)
            letters.drop(letter_id)
            say(f"dropped {letter_id}")


def say(line: str) -> None:
    """Tell what is done."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
