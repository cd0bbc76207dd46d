"""A failed firing is kept with its inputs, listed, replayed by one, and dropped."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from flowbook.core.packets import ErrorPacket
from flowbook.data.lasting_codecs import LastingCodecs
from flowbook.errors import StoreError
from flowbook.stores.dead_letters import SqliteDeadLetters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FRAME = pl.DataFrame({"x": [1, None], "y": ["a", "b"]})
ERROR = ErrorPacket(
    code="FB402",
    message="ValueError: no",
    node_id="fetch",
    trace_id="ab" * 16,
    recoverable=True,
    attempt=3,
    hint="look",
    line=7,
)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[SqliteDeadLetters]:
    with SqliteDeadLetters(tmp_path / "new" / "letters.sqlite", LastingCodecs()) as store:
        yield store


@pytest.fixture
def again(tmp_path: Path) -> Iterator[Callable[..., SqliteDeadLetters]]:
    """Open the same file as another kernel would."""
    stores: list[SqliteDeadLetters] = []

    def open_again(**options: object) -> SqliteDeadLetters:
        stores.append(SqliteDeadLetters(tmp_path / "new" / "letters.sqlite", LastingCodecs(), **options))  # type: ignore[arg-type]
        return stores[-1]

    yield open_again
    for store in stores:
        store.close()


def test_a_letter_comes_back_with_its_error_and_its_inputs(
    box: SqliteDeadLetters, again: Callable[..., SqliteDeadLetters]
) -> None:
    inputs = {"url": "x", "table": FRAME, "both": {"a": np.arange(3), "b": (1, None)}, "plan": FRAME.lazy()}
    letter_id = box.put("flights", ERROR, inputs, at=12.5)
    (listed,) = again().letters()
    assert (listed.letter_id, listed.flow, listed.at, listed.error) == (letter_id, "flights", 12.5, ERROR)
    assert (listed.input_names, listed.inputs, listed.missing) == (("url", "table", "both", "plan"), {}, {})
    taken = again().take(letter_id)
    assert taken.inputs["url"] == "x"
    assert taken.inputs["table"].equals(FRAME)
    assert taken.inputs["both"]["a"].tolist() == [0, 1, 2]
    assert taken.inputs["both"]["b"] == (1, None)
    assert isinstance(taken.inputs["plan"], pl.LazyFrame)


def test_what_cannot_be_kept_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    with SqliteDeadLetters(tmp_path / "x.sqlite", LastingCodecs(), most_input_bytes=1000) as box:
        letter_id = box.put("f", ERROR, {"model": object(), "n": 1, "big": np.zeros(2000)}, at=0)
        taken = box.take(letter_id)
    assert taken.inputs == {"n": 1}
    assert taken.missing == {
        "model": "an object of class object has no form but pickle",
        "big": "it is larger than 1,000 bytes",
    }


def test_a_taken_letter_is_nobody_elses_until_it_is_put_back_or_dropped(
    box: SqliteDeadLetters, again: Callable[..., SqliteDeadLetters]
) -> None:
    letter_id, other = box.put("f", ERROR, {}, at=0), again()
    box.take(letter_id)
    with pytest.raises(StoreError, match="FB905"):
        other.take(letter_id)
    box.put_back(letter_id)
    other.take(letter_id)
    assert other.drop(letter_id)
    assert not box.drop(letter_id)
    with pytest.raises(StoreError, match="FB904"):
        box.take(letter_id)
    assert box.letters() == []


def test_a_replay_that_never_ends_loses_its_letter_in_time(
    box: SqliteDeadLetters, again: Callable[..., SqliteDeadLetters]
) -> None:
    letter_id = box.put("f", ERROR, {"n": 1}, at=0)
    again(now=lambda: 1000.0, lease_s=60).take(letter_id)
    with pytest.raises(StoreError, match="FB905"):
        again(now=lambda: 1059.0).take(letter_id)
    assert again(now=lambda: 1061.0).take(letter_id).inputs == {"n": 1}


def test_a_letter_taken_by_a_killed_kernel_can_be_taken_at_once(box: SqliteDeadLetters, tmp_path: Path) -> None:
    letter_id = box.put("f", ERROR, {"n": 1}, at=0)
    code = (
        "import os, signal, sys, pathlib\n"
        "from flowbook.stores.dead_letters import SqliteDeadLetters\n"
        "from flowbook.data.lasting_codecs import LastingCodecs\n"
        "box = SqliteDeadLetters(pathlib.Path(sys.argv[1]), LastingCodecs())\n"
        "box.take(int(sys.argv[2]))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "new" / "letters.sqlite"
    died = subprocess.run([sys.executable, "-c", code, str(path), str(letter_id)], check=False, timeout=60)
    assert died.returncode == -9
    assert box.take(letter_id).inputs == {"n": 1}


def test_letters_are_listed_by_flow_oldest_first_and_numbers_are_not_used_again(box: SqliteDeadLetters) -> None:
    ids = [box.put(flow, ERROR, {}, at=0) for flow in ("a", "b", "a")]
    assert [letter.letter_id for letter in box.letters("a")] == [ids[0], ids[2]]
    assert [letter.letter_id for letter in box.letters()] == ids
    box.drop(ids[2])
    assert box.put("a", ERROR, {}, at=0) > ids[2]


def test_kernels_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path, count = tmp_path / "new" / "letters.sqlite", 15
    failed: list[BaseException] = []

    def kernel(number: int) -> None:
        try:
            with SqliteDeadLetters(path, LastingCodecs()) as box:
                for turn in range(count):
                    letter_id = box.put(f"flow{number}", ERROR, {"turn": turn, "table": FRAME}, at=turn)
                    if turn % 3 == 0:
                        box.take(letter_id)
                        box.drop(letter_id)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=kernel, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with SqliteDeadLetters(path, LastingCodecs()) as box:
        assert len(box.letters()) == 4 * 10
        assert [letter.at for letter in box.letters("flow2")] == [turn for turn in range(count) if turn % 3]


def test_damaged_bytes_are_named_and_never_served(box: SqliteDeadLetters, tmp_path: Path) -> None:
    letter_id = box.put("f", ERROR, {"table": FRAME, "n": 1}, at=0)
    with sqlite3.connect(tmp_path / "new" / "letters.sqlite") as database:
        database.execute("UPDATE parts SET data = zeroblob(length(data))")
    database.close()
    taken = box.take(letter_id)
    assert (taken.inputs, taken.missing) == ({"n": 1}, {"table": "its bytes are damaged"})


def newer(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA user_version = 99")
    database.close()


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: path.write_bytes(b"a file of somebody else, long enough for sqlite to look at it" * 40), "FB901"),
        (lambda path: path.mkdir(), "FB903"),
        (newer, "FB906"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_and_left_alone(
    tmp_path: Path, make: Callable[[Path], object], code: str
) -> None:
    path = tmp_path / "letters.sqlite"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(StoreError, match=code):
        SqliteDeadLetters(path, LastingCodecs())
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_full_disk_is_told_and_what_was_kept_stays(tmp_path: Path) -> None:
    with SqliteDeadLetters(tmp_path / "x.sqlite", LastingCodecs()) as box:
        kept = box.put("f", ERROR, {"n": 1}, at=0)
        box._connection.execute("PRAGMA max_page_count = 20")  # what a full disk looks like to sqlite
        with pytest.raises(StoreError, match="FB903"):
            box.put("f", ERROR, {"big": np.zeros(100_000)}, at=0)
        assert [letter.letter_id for letter in box.letters()] == [kept]
        assert box.take(kept).inputs == {"n": 1}
