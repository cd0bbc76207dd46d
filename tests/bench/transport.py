"""What taking values to worker processes and back costs, beside a memcpy, a pickle over a pipe, and Arrow IPC.

A transport is timed from the kernel's value to the worker's usable one, call and answer included; the memcpy beside it
is of touched memory by one thread. All things of one line are measured alternately in one process, so that a busy
machine slows them all; the load stands at the top. Figures are printed, never asserted.
"""

from __future__ import annotations

import ctypes
import io
import multiprocessing
import os
import statistics
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from flowbook.core.interfaces import IsolatedCall, PortableCode
from flowbook.data.packing import TablePacking
from flowbook.sandbox.process_pool import ProcessPool
from flowbook.sandbox.segments import SegmentStore
from flowbook.sandbox.transports import SegmentTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowbook.core.interfaces import PayloadCopy

MIB = 1024**2
ROUNDS = 7
packing = TablePacking()


class Silent:
    """Hears nothing of what a worker tells but what was copied."""

    def __init__(self) -> None:
        self.copied_bytes = 0

    def write(self, stream: str, text: str) -> None: ...

    def note(self, stream: str, text: str) -> None: ...

    def progress(self, share: float) -> None: ...

    def copied(self, name: str, copies: tuple[PayloadCopy, ...]) -> None:
        self.copied_bytes += sum(copy.size_bytes for copy in copies)


def call(pool: ProcessPool, text: str, **arguments: Any) -> Any:
    code = PortableCode(name="f", source=text, filename="<bench>")
    order = IsolatedCall(code=code, arguments=arguments, context_name="c" if "(c" in text else None)
    return pool.call(order, is_cancelled=lambda: False, effects=Silent())


def once(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def in_turn(
    *functions: Callable[[], object],
    rounds: int = ROUNDS,
    pick: Callable[[list[float]], float] = statistics.median,
) -> list[float]:
    """Time the functions alternately; the median seconds of each, after two turns that warm everything up."""
    took: list[list[float]] = [[] for _ in functions]
    for turn in range(rounds + 2):
        for function, times in zip(functions, took, strict=True):
            one = once(function)
            if turn > 1:
                times.append(one)
    return [pick(times) for times in took]


def line(title: str, figures: str, ratio: float, bound: float, *, at_least: bool = True) -> None:
    """Print one comparison; a figure beyond its bound is marked."""
    is_met = ratio >= bound if at_least else ratio <= bound
    sign = ">=" if at_least else "<="
    print(f"{title:<58}{figures:<38}{ratio:>9.3g}x {sign} {bound:g}x {'ok' if is_met else 'SHORT'}", flush=True)


class Memcpy:
    """Copies as many bytes between two touched pieces of memory."""

    def __init__(self, size_bytes: int) -> None:
        self._source, self._target = (np.ones(size_bytes, np.uint8) for _ in range(2))

    def __call__(self) -> None:
        target, source = (array.__array_interface__["data"][0] for array in (self._target, self._source))
        ctypes.memmove(target, source, self._source.nbytes)


def read_pipe(end: Any) -> None:
    """Receive values until the other end is closed, and say so each time."""
    while True:
        try:
            value = end.recv()
        except EOFError:
            return
        end.send_bytes(b"k")
        del value


class Pipe:
    """Pickles a value through a pipe of ``multiprocessing``, and waits until it is there."""

    def __init__(self, value: object) -> None:
        self._value = value
        context = multiprocessing.get_context("spawn")
        self._end, theirs = context.Pipe()
        self._process = context.Process(target=read_pipe, args=(theirs,))
        self._process.start()
        theirs.close()

    def __call__(self) -> None:
        self._end.send(self._value)
        self._end.recv_bytes()

    def close(self) -> None:
        self._end.close()
        self._process.join()


def written_and_read(frame: pl.DataFrame) -> pl.DataFrame:
    file = io.BytesIO()
    frame.write_ipc(file)
    file.seek(0)
    return pl.read_ipc(file)


def read_only(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    array.flags.writeable = False
    return array


def frames(size_bytes: int) -> Iterator[tuple[str, pl.DataFrame]]:
    rows = size_bytes // 32
    yield "numeric", pl.select((pl.int_range(rows).cast(pl.Float64) * 1.5).alias(name) for name in "abcd")
    rows = size_bytes // 44
    yield "strings", pl.select(t=pl.format("a text of many characters {}", pl.int_range(rows)))
    rows = size_bytes // 56
    number = pl.int_range(rows)
    yield (
        "nested",
        pl.select(
            v=pl.concat_list(number, number + 1, number + 2),
            s=pl.struct(a=number, b=number.cast(pl.Float64)),
            m=pl.when(number % 3 > 0).then(number),
        ),
    )


def size_of(value: object) -> int:
    return sum(piece.size_bytes for piece in packing.pack(value, keeps_writable=False).pieces)


def taken_across(pool: ProcessPool, size_bytes: int) -> None:
    """Hand arrays and frames to a worker."""
    array = read_only(np.ones(size_bytes // 8))
    touch = "def f(x):\n    return float(x[len(x) // 2])"
    pipe = Pipe(array)
    memcpy_s, ours_s, pipe_s = in_turn(Memcpy(array.nbytes), lambda: call(pool, touch, x=array), pipe)
    pipe.close()
    title = f"array, {array.nbytes // MIB} MiB"
    line(f"{title}: rate against memcpy", f"{ours_s * 1e3:.1f} : {memcpy_s * 1e3:.1f} ms", memcpy_s / ours_s, 0.5)
    line(f"{title}: against pickle over a pipe", f"{pipe_s * 1e3:.0f} ms", pipe_s / ours_s, 20)
    for kind, frame in frames(size_bytes):
        size = size_of(frame)
        glance = f"def f(x):\n    return x.height + len(x.row({frame.height // 2}))"
        pipe = Pipe(frame)
        memcpy_s, ours_s, ipc_s, pipe_s = in_turn(
            Memcpy(size),
            lambda frame=frame, glance=glance: call(pool, glance, x=frame),  # type: ignore[misc]
            lambda frame=frame: written_and_read(frame),  # type: ignore[misc]
            pipe,
        )
        pipe.close()
        title = f"frame of {kind}, {size // MIB} MiB"
        line(f"{title}: rate against memcpy", f"{ours_s * 1e3:.1f} : {memcpy_s * 1e3:.1f} ms", memcpy_s / ours_s, 0.3)
        line(f"{title}: against pickle over a pipe", f"{pipe_s * 1e3:.0f} ms", pipe_s / ours_s, 10)
        line(f"{title}: against write_ipc + read_ipc", f"{ipc_s * 1e3:.0f} ms", ipc_s / ours_s, 3)


class Reader:
    """Receives one value again and again, as a kernel receives it from a worker."""

    def __init__(self, value: object) -> None:
        self._writer = SegmentTransport(SegmentStore(1, lambda _: True), 0)
        self._reader = SegmentTransport(SegmentStore(0, lambda _: True), 1)
        packed = packing.pack(value, keeps_writable=False)
        first = self._writer.load([packed])
        self._reader.unload(first.parcel, first.buffers, [os.dup(one) for one in first.descriptors])
        self._load = self._writer.load([packed])
        self._load.parcel = first.parcel.__class__(places=first.parcel.places, counts=first.parcel.counts)
        self._load.buffers = first.buffers

    def __call__(self) -> object:
        text, *buffers = self._reader.unload(self._load.parcel, self._load.buffers, [])[0]
        return packing.unpack(text, buffers)


def read_side() -> None:
    """Receive 1 GiB and 64 MiB: what is read is how it lies, not what it is."""
    kinds: dict[str, Callable[[int], object]] = {
        "array": lambda size: np.ones(size // 8),
        "frame of numbers": lambda size: pl.DataFrame({"x": np.ones(size // 8)}),
        "frame of strings": lambda size: pl.select(
            t=pl.format("a text of many characters {}", pl.int_range(size // 44))
        ),
    }
    for kind, make in kinds.items():
        small, large = Reader(make(64 * MIB)), Reader(make(1024 * MIB))
        small_s, large_s = in_turn(small, large, rounds=51)
        figures = f"{large_s * 1e6:.0f} : {small_s * 1e6:.0f} µs"
        line(f"reading, {kind}, 1 GiB : 64 MiB", figures, large_s / small_s, 3, at_least=False)


def made_in_place(pool: ProcessPool) -> None:
    """Return 1 GiB that ctx.empty gave, beside a call that returns nothing and a copy of 1 GiB.

    The least of many is taken of each: a difference of two calls drowns in what else the machine does.
    """
    made = "def f(c):\n    out = c.empty(2**27)\n    out[2**26] = 3\n    return out"
    nothing = "def f(c):\n    return None"
    copy, empty_call = Memcpy(2**30), lambda: call(pool, nothing)
    # One call after the copy brings the caches back; the two that are compared find them alike.
    memcpy_s, _, ours_s, nothing_s = in_turn(
        copy, empty_call, lambda: call(pool, made), empty_call, rounds=25, pick=min
    )
    figures = f"{ours_s * 1e3:.2f} - {nothing_s * 1e3:.2f} : {memcpy_s * 1e3:.0f} ms"
    share = (ours_s - nothing_s) / memcpy_s
    line("ctx.empty, 1 GiB, returned : copying it", figures, share, 0.01, at_least=False)


def beside_ray(size_bytes: int, pool: ProcessPool) -> None:
    """Hand a frame of 100 MiB over, beside Ray where that is installed."""
    try:
        import ray
    except ImportError:
        print("Ray is not installed: not compared (.venv/bin/pip install --editable '.[bench-ray]')")
        return
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)

    def height(frame: pl.DataFrame) -> int:
        return frame.height

    _, frame = next(frames(size_bytes))
    remote = ray.remote(height).remote
    theirs_s, ours_s = in_turn(
        lambda: ray.get(remote(ray.put(frame))), lambda: call(pool, "def f(x):\n    return x.height", x=frame)
    )
    line("frame, 100 MiB: against Ray", f"{ours_s * 1e3:.1f} : {theirs_s * 1e3:.0f} ms", theirs_s / ours_s, 5)
    ray.shutdown()


def main() -> None:
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; ratios of medians, alternating\n")
    pool = ProcessPool(["polars", "numpy", "flowbook.data.packing"], most_workers=1, packing=packing)
    try:
        taken_across(pool, 64 * MIB)
        taken_across(pool, 256 * MIB)
        made_in_place(pool)
        beside_ray(100 * MIB, pool)
    finally:
        pool.close()
    read_side()


if __name__ == "__main__":
    main()
