"""``flowbook cache`` lists and clears what is kept on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from flowbook.data.lasting_codecs import LastingCodecs
from flowbook.headless.cli import main
from flowbook.stores.disk_cache import DiskCache
from flowbook.stores.folders import cache_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskCache:
    monkeypatch.setenv("FLOWBOOK_CACHE", str(tmp_path))
    return DiskCache(cache_folder(), LastingCodecs())


def keep(cache: DiskCache, number: int, flow: str, node: str, size_bytes: int) -> None:
    assert cache.put(f"{number:032x}", [np.zeros(size_bytes, dtype="u1")], flow=flow, node=node) is None


def test_an_empty_cache_says_so(cache: DiskCache, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache"]) == 0
    assert main(["cache", "list", "flights"]) == 0
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out == "nothing is kept\nnothing is kept of flow 'flights'\nforgot 0 entries, 0 B\n"


def test_entries_are_listed_with_flow_node_size_and_key(cache: DiskCache, capsys: pytest.CaptureFixture[str]) -> None:
    keep(cache, 1, "flights", "delays", 2_000_000)
    keep(cache, 2, "other", "late", 500)
    assert main(["cache", "list"]) == 0
    head, first, second, total = capsys.readouterr().out.splitlines()
    assert head.split() == ["FLOW", "NODE", "SIZE", "LAST", "USED", "(UTC)", "KEY"]
    assert first.split()[:2] == ["other", "late"]
    assert second.split()[:4] == ["flights", "delays", "2.0", "MB"]
    assert second.split()[-1] == "000000000000"
    assert total.startswith("2 entries, 2.0 MB")


def test_one_flow_or_all_can_be_cleared(cache: DiskCache, capsys: pytest.CaptureFixture[str]) -> None:
    keep(cache, 1, "flights", "delays", 500)
    keep(cache, 2, "other", "late", 500)
    assert main(["cache", "clear", "flights"]) == 0
    assert capsys.readouterr().out.startswith("forgot 1 entry, ")
    assert [entry.flow for entry in cache.entries()] == ["other"]
    assert main(["cache", "clear"]) == 0
    assert cache.entries() == []


def test_a_mistyped_flow_is_told_with_the_nearest(cache: DiskCache, capsys: pytest.CaptureFixture[str]) -> None:
    keep(cache, 1, "flights", "delays", 500)
    for action in ("clear", "list"):
        assert main(["cache", action, "fligths"]) == 0
        assert capsys.readouterr().out == "nothing is kept of flow 'fligths'; did you mean 'flights'?\n"
    assert len(cache.entries()) == 1


def test_a_mistyped_action_is_told_and_exits_2(cache: DiskCache, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "empty"]) == 2
    assert "invalid choice: 'empty'" in capsys.readouterr().err
