"""One heavy collect of polars at a time, counted; small ones go beside each other."""

from __future__ import annotations

import threading
from typing import Any

import polars as pl
import pytest

import flowbook as fb
from flowbook.data import collect_turns

_box: dict[str, Any] = {}


def watched(table: pl.DataFrame) -> pl.DataFrame:
    """Count how many of these go on at once, and let others come."""
    box = globals()["_box"]
    with box["lock"]:
        box["now"] += 1
        box["most"] = max(box["most"], box["now"])
        if box["now"] == box["wanted"]:
            box["met"].set()
    box["met"].wait(box["patience_s"])
    with box["lock"]:
        box["now"] -= 1
    return table


def eight_branches() -> fb.Flow:
    """Eight lazy tables, each collected by a node of its own."""
    flow = fb.Flow("heavy", policy=fb.FlowPolicy(max_concurrency=8))

    @fb.node(name="heavy_plan", cache="off")
    def plan(n: int) -> pl.LazyFrame:
        return pl.LazyFrame({"x": range(200), "n": [n] * 200}).map_batches(watched)

    @fb.node(name="heavy_sum", cache="off")
    def summed(table: pl.DataFrame) -> int:
        return int(table["n"].sum())

    for number in range(8):
        flow.add(plan, f"plan{number}", n=number)
        flow.add(summed, f"sum{number}")
        flow.connect(f"plan{number}", f"sum{number}.table")
    return flow


@pytest.mark.parametrize(("small_bytes", "most"), [(1, 1), (16 * 1024 * 1024, 2)])
def test_heavy_collects_take_turns_and_small_ones_do_not(
    monkeypatch: pytest.MonkeyPatch, small_bytes: int, most: int
) -> None:
    # Heavy ones wait a moment for others that must not come; small ones for one that must.
    patience_s = 0.02 if most == 1 else 10.0
    _box.update(lock=threading.Lock(), now=0, most=0, wanted=2, met=threading.Event(), patience_s=patience_s)
    monkeypatch.setattr(collect_turns, "SMALL_BYTES", small_bytes)
    monkeypatch.setattr(collect_turns, "LONGEST_WAIT_S", 600.0)
    run = eight_branches().run_sync()
    assert [run[f"sum{number}"] for number in range(8)] == [200 * number for number in range(8)]
    assert _box["most"] == 1 if most == 1 else _box["most"] >= 2


def test_a_collect_that_never_ends_does_not_keep_the_others_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect_turns, "SMALL_BYTES", 1)
    monkeypatch.setattr(collect_turns, "LONGEST_WAIT_S", 0.01)
    has_turn, is_over = threading.Event(), threading.Event()

    def stay() -> None:
        with collect_turns.turn([pl.LazyFrame({"x": [1]})]):
            has_turn.set()
            is_over.wait(30)

    other = threading.Thread(target=stay)
    other.start()
    try:
        assert has_turn.wait(30)
        with collect_turns.turn([pl.LazyFrame({"x": [1]})]):
            assert not is_over.is_set()
    finally:
        is_over.set()
        other.join(30)


def test_a_scan_weighs_what_its_files_do(tmp_path: Any) -> None:
    path = tmp_path / "big.parquet"
    pl.DataFrame({"x": range(100_000)}).write_parquet(path)
    assert collect_turns._weight_bytes(pl.scan_parquet(path).filter(pl.col("x") > 3)) == path.stat().st_size
    assert collect_turns._weight_bytes(pl.LazyFrame({"x": range(1000)})) >= 8_000
