"""``cache="disk"`` outlives the kernel, ``isolation="process"`` keeps a node's harm to itself; both through a flow."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import flowbook as fb
from flowbook.data.lasting_codecs import LastingCodecs
from flowbook.session.process import session
from flowbook.stores.disk_cache import DiskCache
from tests.runtime.watching import Firings

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

KERNEL = """
import json, sys
import polars as pl
import flowbook as fb

flow = fb.Flow("kept")

@flow.node(cache="disk")
def scanned(path: str = sys.argv[1]) -> pl.LazyFrame:
    print("scanned fires")
    return pl.scan_parquet(path).filter(pl.col("x") > 1)

@flow.node
def plain(n: int = 7) -> int:
    return n

@flow.node(cache="disk")
def counted(scanned: pl.LazyFrame, plain: int, above: int = int(sys.argv[2])) -> dict:
    frame = scanned.filter(pl.col("x") > above).collect()
    return {"rows": frame.height, "pair": (1, None)}

run = flow.run_sync()
print(json.dumps({
    "recomputed": run.recomputed,
    "rows": run["counted"]["rows"],
    "pair": type(run["counted"]["pair"]).__name__,
    "form": type(run["scanned"]).__name__,
    "stamps": [flow["scanned"].stamp, flow["counted"].stamp],
    "why": run.explain("counted"),
}))
"""


def kernel(folder: Path, parquet: Path, above: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the flow in a kernel of its own."""
    monkeypatch.setenv("FLOWBOOK_CACHE", str(folder))
    script = folder / "script.py"  # its functions need a file that does not change
    folder.mkdir(exist_ok=True)
    script.write_text(KERNEL)
    done = subprocess.run(
        [sys.executable, str(script), str(parquet), str(above)], capture_output=True, text=True, check=True, timeout=120
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_what_one_kernel_kept_the_next_one_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = tmp_path / "x.parquet"
    pl.DataFrame({"x": [1, 2, 3, 4]}).write_parquet(parquet)
    first = kernel(tmp_path / "cache", parquet, 2, monkeypatch)
    assert sorted(first["recomputed"]) == ["counted", "plain", "scanned"]
    again = kernel(tmp_path / "cache", parquet, 2, monkeypatch)
    assert again["recomputed"] == ["plain"]  # its value was not kept
    assert (again["rows"], again["pair"], again["form"]) == (2, "tuple", "LazyFrame")
    assert again["stamps"] == ["cached", "cached"]
    assert again["why"] == "counted was reused: kept on disk from an earlier run"
    other = kernel(tmp_path / "cache", parquet, 3, monkeypatch)
    assert (sorted(other["recomputed"]), other["rows"]) == (["counted", "plain"], 1)
    pl.DataFrame({"x": [1, 2, 3, 4, 5, 6]}).write_parquet(parquet)
    changed = kernel(tmp_path / "cache", parquet, 2, monkeypatch)
    assert sorted(changed["recomputed"]) == ["counted", "plain", "scanned"]
    assert changed["rows"] == 4


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskCache:
    cache = DiskCache(tmp_path, LastingCodecs())
    monkeypatch.setattr(session.engine, "disk", cache)
    return cache


def test_what_cannot_be_kept_is_said_on_the_node_and_the_run_goes_on(disk: DiskCache) -> None:
    flow = fb.Flow("refused")

    @flow.node(cache="disk")
    def model(n: int = 1) -> Any:
        return object()

    run = flow.run_sync()
    assert run.status == "ok"
    text = json.dumps(run.trace.to_json())
    assert "not kept on disk: an object of class object has no form but pickle" in text
    assert disk.entries() == []


def test_only_pure_nodes_are_kept_and_forced_ones_anew(disk: DiskCache) -> None:
    flow, firings = fb.Flow("kinds"), Firings()

    @flow.node(cache="disk", kind="io")
    def clock() -> int:
        return 1

    @flow.node(cache="disk")
    def pure(n: int = 1) -> int:
        return firings.fire(waits=False)

    flow.run_sync()
    assert [(entry.flow, entry.node) for entry in disk.entries()] == [("kinds", "pure")]
    flow.run_sync(force=True)
    (entry,) = disk.entries()
    found = disk.get(entry.key)
    assert found is not None
    assert found.values == (2,)


# -- processes


def test_an_isolated_node_is_a_node_like_any_other() -> None:
    flow = fb.Flow("isolated")

    @flow.node
    def table() -> pl.LazyFrame:
        return pl.LazyFrame({"x": [1, 2, 3]})

    @flow.node(isolation="process", outputs=("late", "array"))
    def split(table: pl.LazyFrame, above: int = 1) -> tuple[pl.DataFrame, np.ndarray[Any, Any]]:
        import os

        print("process", os.getpid())  # noqa: T201 -- what is tested
        frame = table.filter(pl.col("x") > above).collect()
        return frame, frame["x"].to_numpy() * 2

    @flow.node
    def total(late: pl.DataFrame, array: np.ndarray[Any, Any]) -> int:
        return int(late["x"].sum() + array.sum())

    run = flow.run_sync()
    assert run["total"] == 15
    text = json.dumps(run.trace.to_json())
    assert "process " in text
    flow.set("split", above=2)
    again = flow.run_sync()
    assert (again["total"], again.recomputed) == (9, ["split", "total"])


def test_a_crash_is_a_failure_of_its_node_and_the_rest_is_finished() -> None:
    flow = fb.Flow("crash")

    @flow.node(isolation="process")
    def crashes() -> int:
        import ctypes

        return int(ctypes.string_at(0)[0])

    @flow.node
    def other() -> int:
        return 1

    run = flow.run_sync(raise_errors=False)
    assert (run.status, run["other"]) == ("failed", 1)
    (packet,) = run.errors
    assert (packet.code, packet.recoverable) == ("FB420", True)
    assert "SIGSEGV" in packet.message


def test_a_timeout_ends_the_process_and_a_retry_gets_another(tmp_path: Path) -> None:
    flow, marker = fb.Flow("overdue"), str(tmp_path / "been.here")

    @flow.node(isolation="process", timeout_s=1.0, retry=2)
    def slow(marker: str = marker) -> str:
        from pathlib import Path as Files

        if Files(marker).exists():
            return "second try"
        Files(marker).touch()
        while True:
            pass

    assert flow.run_sync()["slow"] == "second try"


def test_a_cancelled_run_ends_its_processes_and_none_is_unresponsive() -> None:
    flow = fb.Flow("cancelled")

    @flow.node(isolation="process")
    def endless() -> int:
        print("begun")  # noqa: T201 -- what is waited for
        while True:
            pass

    run = flow.start()
    for event in run.events():
        if event.kind == "node_started":
            break
    run.cancel()
    assert run.wait(timeout_s=30)
    assert run.status == "cancelled"
    assert flow["endless"].status != "unresponsive"


def test_a_memory_limit_is_real() -> None:
    flow = fb.Flow("greedy")

    @flow.node(isolation="process", memory_bytes=256 * 1024**2)
    def greedy() -> int:
        return len([bytes(1024 * 1024) + b"x" for _ in range(4 * 1024)])

    (packet,) = flow.run_sync(raise_errors=False).errors
    assert packet.code == "FB421"


def test_a_coroutine_is_awaited_over_there() -> None:
    flow = fb.Flow("awaited")

    @flow.node(isolation="process")
    async def patient(context: fb.Context) -> str:
        import asyncio

        await asyncio.sleep(0)
        return context.node_id

    assert flow.run_sync()["patient"] == "patient"
