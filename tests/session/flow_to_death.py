"""A kernel whose flow fails, and replays what failed, as fast as it can, until somebody kills it.

What it says on standard output is so: ``failed N`` once the run of turn N has ended with its failure, ``replaying N``
before that letter is replayed, ``replayed N`` once it is gone.
"""

from __future__ import annotations

import itertools
import sys

import numpy as np
import polars as pl

import flowbook as fb


def rows(number: int) -> pl.DataFrame:
    """What turn ``number`` is about: anybody can tell whether it is whole."""
    return pl.DataFrame({"n": np.full(2_000, number), "text": [f"row {number}"] * 2_000})


def make() -> fb.Flow:
    """A node kept in the disk cache, and one below it that fails until it is told not to."""
    flow = fb.Flow("death", policy=fb.FlowPolicy(state_storage="sqlite"))

    @flow.node(cache="disk")
    def source(number: int = 0) -> pl.DataFrame:
        return rows(number)

    @flow.node
    def weigh(source: pl.DataFrame, fails: bool = True) -> int:
        if fails or not source.equals(rows(source["n"][0])):
            raise ValueError
        return int(source["n"].sum())

    return flow


def main(first: int) -> None:
    """Work until killed."""
    flow = make()
    for number in itertools.count(first):
        flow.set("source", number=number)
        flow.set("weigh", fails=True)
        flow.run_sync(raise_errors=False)
        say(f"failed {number}")
        if number % 3 == 0:
            flow.set("weigh", fails=False)
            letter = flow.dead_letters[-1]
            say(f"replaying {number}")
            (run,) = flow.dead_letters.replay(letter.letter_id)
            assert run["weigh"] == number * 2_000
            say(f"replayed {number}")


def say(line: str) -> None:
    """Tell what is done."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
