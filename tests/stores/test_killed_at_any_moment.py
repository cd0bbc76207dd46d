"""A kernel killed at a random moment leaves stores that open, entries that are whole, and work that is found again."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from flowbook.data.lasting_codecs import LastingCodecs
from flowbook.stores.dead_letters import SqliteDeadLetters
from flowbook.stores.disk_cache import DiskCache
from tests.stores import worked_to_death as work

if TYPE_CHECKING:
    from pathlib import Path


def killed_at_random(folder: Path, first: int, delay_s: float) -> list[list[str]]:
    """Let it work, kill it some time after its first word, and return what it said it had done."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.stores.worked_to_death", str(folder), str(first)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        said = [process.stdout.readline()]
        killer = threading.Timer(delay_s, process.kill)
        killer.start()
        said += process.stdout.readlines()
        killer.join()
    assert process.wait() == -9
    return [line.split() for line in said if line.endswith("\n")]


def assert_nothing_is_torn_or_lost(folder: Path, said: list[list[str]]) -> None:
    cache = DiskCache(folder / "cache", LastingCodecs(), budget_bytes=work.BUDGET_BYTES)
    for number in {int(words[1]) for words in said if words[0] == "kept"}:
        found = cache.get(work.key(number))
        assert found is not None, f"entry {number} was kept and is lost"
        assert work.is_right(number, found.values)
    for entry in cache.entries():  # also one that was kept and not told of any more
        found = cache.get(entry.key)
        assert found is not None
        assert work.is_right(int(entry.key, 16), found.values)
    dropped = {int(words[1]) for words in said if words[0] == "dropped"}
    put = {int(words[1]): int(words[2]) for words in said if words[0] == "put"}
    with SqliteDeadLetters(folder / "letters.sqlite", LastingCodecs()) as letters:
        there = {letter.letter_id for letter in letters.letters()}
        assert not dropped & there
        # Of a letter that is dropped at once the last word may not have been said.
        must_be_there = {letter_id for letter_id, number in put.items() if number % 4} - dropped
        assert must_be_there <= there
        for letter_id in there:
            taken = letters.take(letter_id)
            number = int(taken.at)
            assert taken.missing == {}
            assert taken.inputs["n"] == number
            assert work.is_right(number, tuple(taken.inputs["inputs"]))
            letters.put_back(letter_id)
        assert letters.put("f", work.error(0), {}, at=0) not in there  # and it can be written to


def killed_again_and_again(folder: Path, count: int, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 -- moments, not secrets
    said: list[list[str]] = []
    for turn in range(count):
        said += killed_at_random(folder, turn * 10_000, chance.uniform(0.0, 0.25))
        assert_nothing_is_torn_or_lost(folder, said)
        # The letter with which the check tried the store is no work of anybody's.
        with SqliteDeadLetters(folder / "letters.sqlite", LastingCodecs()) as letters:
            for letter in letters.letters():
                if not letter.input_names:
                    letters.drop(letter.letter_id)
    cache = DiskCache(folder / "cache", LastingCodecs(), budget_bytes=work.BUDGET_BYTES)
    cache.clear()
    assert [path for path in cache.folder.rglob("*") if path.is_file()] == []


def test_killed_five_times(tmp_path: Path) -> None:
    killed_again_and_again(tmp_path, 5, seed=5)


@pytest.mark.soak
def test_killed_fifty_times(tmp_path: Path) -> None:
    killed_again_and_again(tmp_path, 50, seed=50)
