"""One way to compute a chain of four nodes from a Parquet file, in a process of its own: its time and its memory.

``python -m tests.bench.fused_chain fused|off|untapped|by_hand FILE`` prints seconds, and MiB above those before.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import polars as pl

import flowbook as fb
from flowbook.data import plans


def write(path: Path, rows: int) -> None:
    """Write the file: eight columns of numbers and texts that look like measured ones."""
    number = pl.int_range(rows, eager=True)
    columns = {
        "key": number.hash(1) % 1000,
        "late": number.hash(2) % 200,
        **{name: number.hash(seed) / 2**64 for seed, name in enumerate(("weight", "value", "x", "y", "z"), 3)},
        "text": "row " + (number.hash(8) % 1_000_000).cast(pl.String),
    }
    pl.DataFrame(columns).write_parquet(path, row_group_size=250_000)


def by_hand(path: Path) -> pl.DataFrame:
    """Write the query as one would without nodes."""
    return (
        pl.scan_parquet(path)
        .filter(pl.col("late") > 160)
        .with_columns(score=pl.col("value") * pl.col("weight") + 1)
        .group_by("key")
        .agg(pl.col("score").sum(), n=pl.len())
        .collect()
    )


def chain(path: Path, *, fusion: str) -> pl.DataFrame:
    """Run it as four nodes."""
    flow, name = fb.Flow("chain"), str(path)

    @flow.node(fusion=fusion)
    def rows() -> pl.LazyFrame:
        return pl.scan_parquet(name)

    @flow.node(fusion=fusion)
    def late(rows: pl.LazyFrame) -> pl.LazyFrame:
        return rows.filter(pl.col("late") > 160)

    @flow.node(fusion=fusion)
    def scored(late: pl.LazyFrame) -> pl.LazyFrame:
        return late.with_columns(score=pl.col("value") * pl.col("weight") + 1)

    @flow.node(fusion=fusion)
    def totals(scored: pl.LazyFrame) -> pl.LazyFrame:
        return scored.group_by("key").agg(pl.col("score").sum(), n=pl.len())

    found: pl.DataFrame = flow.run_sync()["totals"].collect()
    return found


def highest_kib() -> int:
    """Read the most memory this process has held; what a child inherits of its parent's does not count."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Compute, and print what it took."""
    mode, path = sys.argv[1], Path(sys.argv[2])
    if mode == "untapped":
        plans.tap = lambda plan, count: plan
    with tempfile.TemporaryDirectory() as folder:  # what the first flow of a process loads is not what is compared
        write(Path(folder) / "few.parquet", 1000)
        by_hand(Path(folder) / "few.parquet")
        chain(Path(folder) / "few.parquet", fusion="auto")
    pl.scan_parquet(path).head(1).collect()
    before_kib = highest_kib()
    began, cpu = time.perf_counter(), time.process_time()
    table = by_hand(path) if mode == "by_hand" else chain(path, fusion="off" if mode == "off" else "auto")
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    peak_mib = (highest_kib() - before_kib) / 1024
    print(json.dumps({"took_s": took_s, "cpu_s": cpu_s, "peak_mib": peak_mib, "rows": int(table["n"].sum())}))


if __name__ == "__main__":
    main()
