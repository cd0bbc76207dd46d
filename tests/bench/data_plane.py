"""What handing values over costs: nothing that grows with them, as addresses, counted bytes and ratios show.

Every line compares two sizes of one thing in one process, alternating, so that a busy machine slows both. Where bytes
are shared the addresses say so; what the figures ought to be stands beside them. Figures are printed, never asserted.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

import flowbook as fb
from flowbook.data.payloads import TablePayloads
from flowbook.data.viewports import SortKey, TableView
from tests.bench import fused_chain

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 21
CALLS = 20
MEGABYTE = 1_000_000
SMALL_ROWS, LARGE_ROWS = 1_000_000, 10_000_000
PAGE_ROWS = 1_000
FUSED_ROUNDS = 5
payloads = TablePayloads()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One line: what was compared, what came out, and what ought to."""

    title: str
    figures: str
    ratio: float
    most: float
    unit: str = "x"

    def line(self) -> str:
        """Lay it out; a figure beyond its bound is marked."""
        mark = "ok" if self.ratio <= self.most else "OVER"
        return (
            f"{self.title:<58}{self.figures:<38}{self.ratio:>8.2f}{self.unit:<2} <= {self.most:g}{self.unit:<2} {mark}"
        )


def alternate(*functions: Callable[[], object]) -> list[float]:
    """Time the functions in turn; the median seconds of one call of each."""
    took_s: list[list[float]] = [[] for _ in functions]
    for function in functions:
        function()
    gc.collect()
    for _ in range(ROUNDS):
        for function, times in zip(functions, took_s, strict=True):
            began = time.perf_counter()
            for _ in range(CALLS):
                function()
            times.append((time.perf_counter() - began) / CALLS)
    return [statistics.median(times) for times in took_s]


def address(value: Any) -> int:
    """Say where the first column, or the array, lies."""
    if isinstance(value, pl.DataFrame):
        value = value.to_series(0)
    if isinstance(value, pl.Series):
        value = value.to_numpy(allow_copy=False)
    found: int = value.__array_interface__["data"][0]
    return found


def hops() -> list[Verdict]:
    """Publish and hand out 64 MB and 1 GB of each kind: the time is the same, the address too, 0 bytes are counted."""
    made: list[Verdict] = []
    values = {size: np.zeros(size * MEGABYTE // 8) for size in (64, 1000)}
    kinds: dict[str, tuple[Callable[[Any], Any], str]] = {
        "an ndarray as itself": (lambda array: array, ""),
        "an ndarray as a Series": (lambda array: array, "Series"),
        "a DataFrame as itself": (lambda array: pl.DataFrame({"x": array}), ""),
        "a DataFrame as a LazyFrame": (lambda array: pl.DataFrame({"x": array}), "LazyFrame"),
        "a Series as an ndarray": (pl.Series, "ndarray"),
        "a list of arrays": (lambda array: [array], ""),
    }
    for title, (make, form) in kinds.items():
        small, large = (payloads.publish(make(values[size])) for size in (64, 1000))

        def hop(value: object, form: str = form) -> Any:
            return payloads.hand_out(payloads.publish(value), form, is_own=True)

        got = hop(large)
        counted = sum(copy.size_bytes for copy in got.copies)
        shown = (
            got.value.collect() if form == "LazyFrame" else got.value[0] if isinstance(got.value, list) else got.value
        )
        is_same = address(shown) == address(values[1000])
        small_s, large_s = alternate(lambda value=small: hop(value), lambda value=large: hop(value))  # type: ignore[misc]
        where = "same address" if is_same else "ANOTHER ADDRESS"
        figures = f"{large_s * 1e6:.1f} µs, {where}, {counted} bytes"
        made.append(Verdict(title=f"hop: {title}, 1 GB : 64 MB", figures=figures, ratio=large_s / small_s, most=1.5))
    return made


def flow_hop() -> Verdict:
    """Run a flow whose node passes a table of 1 GB on: bytes copied, as the run counted them."""
    flow, array = fb.Flow("bench_hop"), np.zeros(1000 * MEGABYTE // 8)

    @flow.node
    def made() -> pl.DataFrame:
        return pl.DataFrame({"x": array})

    @flow.node
    def same(made: pl.DataFrame) -> np.ndarray[Any, Any]:
        return made["x"].to_numpy()

    @flow.node
    def again(same: pl.Series) -> pl.Series:
        return same

    run = flow.run_sync()
    where = "same address" if address(run["again"]) == address(array) else "ANOTHER ADDRESS"
    copied = float(run.copies.size_bytes)
    return Verdict(
        title="flow: frame -> ndarray -> Series, 1 GB", figures=f"{where}, bytes:", ratio=copied, most=0, unit=""
    )


def pages() -> list[Verdict]:
    """Show 1,000 rows from the middle of 10 M and of 1 M rows: the same time, and never more than 200 KB."""

    def table(rows: int) -> pl.DataFrame:
        numbers = pl.int_range(rows)
        columns = [(numbers * (i + 1)).alias(f"number {i}") for i in range(4)]
        # Texts of one length, or the larger table would show more.
        texts = [pl.format("row {}", numbers + LARGE_ROWS).alias(f"text {i}") for i in range(4)]
        return pl.select(*columns, *texts)

    small, large = TableView(table(SMALL_ROWS)), TableView(table(LARGE_ROWS))
    middle = SMALL_ROWS // 2
    small_s, large_s = alternate(
        lambda: small.rows(middle, middle + PAGE_ROWS), lambda: large.rows(middle, middle + PAGE_ROWS)
    )
    size = len(large.rows(middle, middle + PAGE_ROWS).arrow)
    key = [SortKey(column="number 0", is_descending=True)]
    for view in (small, large):
        view.rows(0, 1, sort_by=key)  # the order is found once, which does take as long as the table is
    small_sorted_s, large_sorted_s = alternate(
        lambda: small.rows(middle, middle + PAGE_ROWS, sort_by=key),
        lambda: large.rows(middle, middle + PAGE_ROWS, sort_by=key),
    )
    frame_s, large_frame_s = alternate(
        lambda: payloads.preview(small._source.frame()), lambda: payloads.preview(large._source.frame())
    )
    return [
        Verdict(
            title="page of 1000 x 8, 10 M : 1 M rows",
            figures=f"{large_s * 1e3:.2f} ms",
            ratio=large_s / small_s,
            most=1.5,
        ),
        Verdict(title="page of 1000 x 8, size", figures="", ratio=size / 1000, most=200, unit="KB"),
        Verdict(
            title="page of 1000 x 8, sorted, 10 M : 1 M rows",
            figures=f"{large_sorted_s * 1e3:.2f} ms",
            ratio=large_sorted_s / small_sorted_s,
            most=1.5,
        ),
        Verdict(
            title="card's preview, 10 M : 1 M rows",
            figures=f"{large_frame_s * 1e3:.2f} ms",
            ratio=large_frame_s / frame_s,
            most=1.5,
        ),
    ]


def fusion() -> list[Verdict]:
    """Compute a chain of four nodes from a file of 10 M rows, each way in processes of its own, in turn.

    Times are of the CPU (what others do on the machine does not count), memory is above what the imports took.
    """
    ways = ("fused", "off", "by_hand", "untapped")
    took: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        fused_chain.write(path, LARGE_ROWS)
        for _ in range(FUSED_ROUNDS):
            for way in ways:
                command = [sys.executable, "-m", "tests.bench.fused_chain", way, str(path)]
                took[way].append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    cpu_s = {way: statistics.median(one["cpu_s"] for one in took[way]) for way in ways}
    peak_mib = {way: statistics.median(one["peak_mib"] for one in took[way]) for way in ways}
    assert len({one["rows"] for runs in took.values() for one in runs}) == 1
    figures = f"{cpu_s['fused'] * 1e3:.0f} ms"
    return [
        Verdict(
            title="four lazy nodes, 10 M rows, fused : fusion off",
            figures=f"{figures} : {cpu_s['off'] * 1e3:.0f} ms",
            ratio=cpu_s["fused"] / cpu_s["off"],
            most=0.2,
        ),
        Verdict(
            title="... peak memory",
            figures=f"{peak_mib['fused']:.0f} MiB : {peak_mib['off']:.0f} MiB",
            ratio=peak_mib["fused"] / peak_mib["off"],
            most=0.25,
        ),
        Verdict(
            title="... : written by hand",
            figures=f"{figures} : {cpu_s['by_hand'] * 1e3:.0f} ms",
            ratio=cpu_s["fused"] / cpu_s["by_hand"],
            most=1.15,
        ),
        Verdict(
            title="... : without taps",
            figures=f"{figures} : {cpu_s['untapped'] * 1e3:.0f} ms",
            ratio=cpu_s["fused"] / cpu_s["untapped"],
            most=1.1,
        ),
    ]


def main() -> None:
    """Print the table."""
    print("values handed over")
    for verdict in (*hops(), flow_hop(), *pages(), *fusion()):
        print(verdict.line())


if __name__ == "__main__":
    main()
