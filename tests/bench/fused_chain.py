"""One way to compute a chain of four nodes from a Parquet file, in a process of its own: its time and its memory.

``python -m tests.bench.fused_chain fused|off|untapped|by_hand FILE`` prints seconds and MiB above what the imports took.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import polars as pl

import flowbook as fb
from flowbook.data import plans


def write(path: Path, rows: int) -> None:
    """Write the file: eight columns of numbers and texts, in row groups as large tools write them."""
    number = pl.int_range(rows, eager=True)
    columns = {
        "key": number % 1000,
        "late": number * 7919 % 200,
        "weight": (number % 97).cast(pl.Float64),
        "value": (number % 1013).cast(pl.Float64),
        **{f"spare_{index}": number * (index + 3) % 100_003 for index in range(3)},
        "text": "row " + (number % 50_000).cast(pl.String),
    }
    pl.DataFrame(columns).write_parquet(path, row_group_size=250_000)


def by_hand(path: Path) -> pl.DataFrame:
    """Write the query as one would without nodes."""
    return (
        pl.scan_parquet(path)
        .filter(pl.col("late") > 20)
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
        return rows.filter(pl.col("late") > 20)

    @flow.node(fusion=fusion)
    def scored(late: pl.LazyFrame) -> pl.LazyFrame:
        return late.with_columns(score=pl.col("value") * pl.col("weight") + 1)

    @flow.node(fusion=fusion)
    def totals(scored: pl.LazyFrame) -> pl.LazyFrame:
        return scored.group_by("key").agg(pl.col("score").sum(), n=pl.len())

    found: pl.DataFrame = flow.run_sync()["totals"].collect()
    return found


def main() -> None:
    """Compute, and print what it took."""
    mode, path = sys.argv[1], Path(sys.argv[2])
    if mode == "untapped":
        plans.tap = lambda plan, _count: plan
    pl.scan_parquet(path).head(1).collect()  # polars' threads, the file's footer
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, cpu = time.perf_counter(), time.process_time()
    table = by_hand(path) if mode == "by_hand" else chain(path, fusion="off" if mode == "off" else "auto")
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    peak_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) / 1024
    print(json.dumps({"took_s": took_s, "cpu_s": cpu_s, "peak_mib": peak_mib, "rows": int(table["n"].sum())}))


if __name__ == "__main__":
    main()
