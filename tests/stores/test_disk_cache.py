"""A cache on disk gives back what was kept, whole or not at all, to every kernel of the machine."""

from __future__ import annotations

import os
import shutil
import threading
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from flowbook.core.interfaces import EncodedPart, EncodedValue, Refusal
from flowbook.data.lasting_codecs import LastingCodecs
from flowbook.stores.disk_cache import DiskCache
from flowbook.stores.folders import cache_folder

if TYPE_CHECKING:
    from pathlib import Path

    from flowbook.core.interfaces import ByteSink

FRAME = pl.DataFrame({"x": range(100), "y": ["some text"] * 100})


def key(number: int) -> str:
    return f"{number:032x}"


def cache_in(folder: Path, budget_bytes: int = 1_000_000_000) -> DiskCache:
    return DiskCache(folder, LastingCodecs(), budget_bytes=budget_bytes)


def files(cache: DiskCache) -> list[Path]:
    return sorted(path for path in cache.folder.rglob("*") if path.is_file())


def test_outputs_are_found_by_another_kernel_with_their_facts(tmp_path: Path) -> None:
    kept = cache_in(tmp_path).put(key(1), [FRAME, np.arange(5), {"n": (1, 2)}], flow="f", node="n", facts={"rows": 100})
    assert kept is None
    found = cache_in(tmp_path).get(key(1))
    assert found is not None
    frame, array, plain = found.values
    assert frame.equals(FRAME)
    assert array.tolist() == [0, 1, 2, 3, 4]
    assert plain == {"n": (1, 2)}
    assert found.facts == {"rows": 100}
    assert found.size_bytes == cache_in(tmp_path).size_bytes > 800
    assert cache_in(tmp_path).get(key(2)) is None


def test_what_has_no_form_but_pickle_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    assert cache.put(key(1), [FRAME, object()]) == Refusal("an object of class object has no form but pickle")
    assert cache.get(key(1)) is None
    assert files(cache) == []


@pytest.mark.parametrize("cut", ["half", "byte", "empty", "flipped", "index", "grown", "renamed"])
def test_a_damaged_entry_is_never_served_and_makes_room_for_a_whole_one(tmp_path: Path, cut: str) -> None:
    cache = cache_in(tmp_path)
    cache.put(key(1), [FRAME])
    (path,) = files(cache)
    whole = path.read_bytes()
    if cut == "renamed":
        path.rename(path.with_name(path.name.replace(key(1), key(2).replace("2", "9"))))
        assert cache.get(key(9)) is None
        assert files(cache) == []
    else:
        damage = {
            "half": whole[: len(whole) // 2],
            "byte": whole[:-1],
            "empty": b"",
            "flipped": whole[:200] + bytes([whole[200] ^ 1]) + whole[201:],
            "index": whole[:-5] + b"0" + whole[-4:],
            "grown": whole + b"\0",
        }
        path.write_bytes(damage[cut])
        assert cache.get(key(1)) is None
    cache.put(key(1), [FRAME])
    found = cache.get(key(1))
    assert found is not None
    assert found.values[0].equals(FRAME)


def test_every_prefix_of_an_entry_is_refused(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    cache.put(key(1), [{"small": 1}, np.arange(4)])
    (path,) = files(cache)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert cache.get(key(1)) is None


def test_a_torn_file_found_when_keeping_is_replaced(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    cache.put(key(1), [1])
    (path,) = files(cache)
    path.write_bytes(b"FLOWBK")
    assert cache.put(key(1), [1]) is None
    found = cache.get(key(1))
    assert found is not None
    assert found.values == (1,)


def test_the_budget_holds_and_the_least_recently_used_goes(tmp_path: Path) -> None:
    cache = cache_in(tmp_path, budget_bytes=45_000)
    for number in range(4):
        cache.put(key(number), [np.zeros(10_000, dtype="u1")])
    assert cache.get(key(0)) is not None
    cache.put(key(4), [np.zeros(10_000, dtype="u1")])
    assert cache.size_bytes <= 45_000
    assert [cache.get(key(number)) is not None for number in range(5)] == [True, False, True, True, True]


def test_the_budget_counts_what_other_kernels_wrote(tmp_path: Path) -> None:
    kernels = [cache_in(tmp_path, budget_bytes=50_000) for _ in range(2)]
    for number in range(20):
        kernels[number % 2].put(key(number), [np.zeros(10_000, dtype="u1")])
        assert kernels[0].size_bytes <= 50_000 * (1 + 2 / 16)


def test_a_value_larger_than_the_budget_is_refused_and_drops_nothing(tmp_path: Path) -> None:
    cache = cache_in(tmp_path, budget_bytes=20_000)
    cache.put(key(1), [np.zeros(10_000, dtype="u1")])
    refused = cache.put(key(2), [np.zeros(20_001, dtype="u1")])
    assert refused == Refusal("it is larger than the whole cache may be (20,000 bytes)")
    assert cache.get(key(1)) is not None
    assert len(files(cache)) == 1


def test_entries_are_listed_and_cleared_by_flow(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    cache.put(key(1), [1], flow="flights", node="delays")
    cache.put(key(2), [2], flow="flights", node="late")
    cache.put(key(3), [3], flow="other", node="late")
    cache.get(key(1))
    assert [(entry.flow, entry.node) for entry in cache.entries()] == [
        ("flights", "delays"),
        ("other", "late"),
        ("flights", "late"),
    ]
    count, size_bytes = cache.clear("flights")
    assert count == 2
    assert size_bytes > 0
    assert [entry.flow for entry in cache.entries()] == ["other"]
    assert cache.clear()[0] == 1
    assert cache.clear() == (0, 0)
    assert cache.entries() == []


def test_an_unfinished_file_of_a_killed_kernel_is_swept_and_one_under_way_is_not(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    is_writing, may_end = threading.Event(), threading.Event()

    class Slow(LastingCodecs):
        """Stops in the middle of a file."""

        def encode(self, value: object) -> EncodedValue | Refusal:
            encoded = super().encode(value)
            assert isinstance(encoded, EncodedValue)
            (first,) = encoded.parts

            def write(sink: ByteSink) -> None:
                is_writing.set()
                assert may_end.wait(30)
                first.write(sink)

            return EncodedValue(encoded.tree, (EncodedPart(first.codec, write),))

    slow = DiskCache(tmp_path, Slow())
    writer = threading.Thread(target=slow.put, args=(key(1), [FRAME]))
    writer.start()
    assert is_writing.wait(30)
    left = cache.folder / "00" / f".{key(2)}.0badcafe.tmp"
    left.write_bytes(b"half")
    cache.clear()
    assert not left.exists()
    may_end.set()
    writer.join()
    assert cache.get(key(1)) is not None


def test_kernels_that_write_and_clear_at_once_never_see_half_an_entry(tmp_path: Path) -> None:
    stop = threading.Event()
    wrong: list[object] = []

    def work(number: int) -> None:
        cache = cache_in(tmp_path, budget_bytes=60_000)
        while not stop.is_set():
            for entry in range(6):
                refused = cache.put(key(entry), [np.full(10_000, entry, dtype="u1")])
                found = cache.get(key(entry))
                if refused is not None or (found is not None and set(found.values[0].tolist()) != {entry}):
                    wrong.append((refused, found))
            if number == 0:
                cache.clear()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    stop.wait(1.0)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_folder_that_cannot_be_written_is_a_reason_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "v1").write_text("a file where the folder should be")
    refused = cache_in(tmp_path).put(key(1), [1])
    assert isinstance(refused, Refusal)
    assert refused.reason.startswith("the disk refuses: ")


def test_a_full_disk_is_a_reason_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    cache = cache_in(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    assert cache.put(key(1), [FRAME]) == Refusal("the disk is full")
    assert files(cache) == []


@pytest.mark.parametrize("bad", ["", "../../etc/passwd", "ABCDEF0123", "abc", "g" * 32])
def test_a_key_is_hex_and_nothing_else(tmp_path: Path, bad: str) -> None:
    with pytest.raises(ValueError, match="is no key"):
        cache_in(tmp_path).get(bad)


def test_the_folder_can_be_named_and_may_vanish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWBOOK_CACHE", str(tmp_path / "here"))
    cache = cache_in(cache_folder())
    cache.put(key(1), [1])
    assert cache.folder == tmp_path / "here" / "v1"
    shutil.rmtree(tmp_path / "here")
    assert cache.get(key(1)) is None
    assert cache.put(key(1), [1]) is None
