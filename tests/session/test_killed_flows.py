"""A kernel killed at any moment of a run or a replay: its letters and its cache open whole, and nothing is lost."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from flowbook.data.lasting_codecs import LastingCodecs
from flowbook.session.process import session
from flowbook.stores.disk_cache import DiskCache
from flowbook.stores.folders import cache_folder
from tests.session import flow_to_death as work

if TYPE_CHECKING:
    from pathlib import Path


def killed_at_random(first: int, delay_s: float) -> list[list[str]]:
    """Let it work, kill it some time after its first word, and return what it said."""
    # Imported, not run as a program: its functions are then the same code here and there.
    code = f"from tests.session import flow_to_death; flow_to_death.main({first})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        said = [process.stdout.readline()]
        killer = threading.Timer(delay_s, process.kill)
        killer.start()
        said += process.stdout.readlines()
        killer.join()
    assert process.wait() == -9
    return [line.split() for line in said if line.endswith("\n")]


def assert_nothing_is_torn_or_lost(said: list[list[str]]) -> None:
    failed, begun, ended = (
        {int(number) for word, number in said if word == wanted} for wanted in ("failed", "replaying", "replayed")
    )
    flow = work.make()
    flow.set("weigh", fails=False)
    left = len(flow.dead_letters)
    runs = flow.dead_letters.replay()  # also what the killed kernel had taken
    weighed = {run["weigh"] // 2_000 for run in runs}
    assert len(runs) == len(weighed) == left
    assert failed - begun <= weighed
    assert not ended & weighed
    assert list(flow.dead_letters) == []
    # What had been finished is found in the cache, and is right.
    for number in sorted(failed)[-10:]:
        flow.set("source", number=number)
        run = flow.run_sync(to="source")
        assert run.recomputed == []
        assert run["source"].equals(work.rows(number))


def killed_again_and_again(folder: Path, count: int, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWBOOK_STATE", str(folder / "state"))
    monkeypatch.setenv("FLOWBOOK_CACHE", str(folder / "cache"))
    monkeypatch.setattr(session.engine, "disk", DiskCache(cache_folder(), LastingCodecs()))
    chance = random.Random(seed)  # noqa: S311 -- moments, not secrets
    said: list[list[str]] = []
    for turn in range(count):
        said = killed_at_random(turn * 10_000 + 1, chance.uniform(0.0, 0.3))
        assert_nothing_is_torn_or_lost(said)


def test_a_flow_killed_five_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_again_and_again(tmp_path, 5, 5, monkeypatch)


@pytest.mark.soak
def test_a_flow_killed_fifty_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_again_and_again(tmp_path, 50, 50, monkeypatch)
