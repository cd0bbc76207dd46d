"""Memory that two processes see: who may write it, who still looks at it, when it may be used again.

A segment is anonymous memory of the system's (memfd): it has no name anywhere, so nothing of it is left when the last
process that has it ends, however that ends, and no mount limits it. It has one writer, the process that made it, and
is sealed: it cannot shrink under a reader, and nobody else can ever map it for writing. Its file descriptor is sent to
a reader once, who maps the whole of it and keeps the map, for the first touch of a page costs more than copying it.

Most of the cost of new memory is its first touch, so segments are used again. Which are free is known by leases: every
piece of a segment that is handed out is a ``Lease``, held by the arrays and tables that stand in it; the writer knows
for every other process whether that one still has leases. A segment that nobody looks at is free: it is kept for
the next value, or given back to the system when more than enough is kept.

::

    free ──allocate──► being written ──lend──► lent to other processes ──they say so, or die──► free ──► dropped
                            └── leases here ─────────────────────────────┘

A lease may end at any moment, in the middle of anything, on any thread, when the garbage collector says so. Its end is
therefore only noted (appending to a deque takes no lock), and is looked at when somebody uses the store the next time.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import mmap
import os
import sys
import threading
from bisect import bisect_right, insort
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from flowbook.errors import RunError

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SegmentId = tuple[int, int]

#: Where a piece begins: what polars and vector instructions like.
ALIGNMENT: Final = 64
#: Segments are multiples of this, bytes.
_GRAIN_BYTES: Final = 256 * 1024
#: A free segment may be this many times as large as what is asked for.
_LARGEST_RATIO: Final = 2
#: With more segments than this no more descriptors are kept: a process may have a thousand or so of all kinds.
_MOST_DESCRIPTORS: Final = 256
#: From Linux 5.1 on; it has no name in Python 3.11.
_F_SEAL_FUTURE_WRITE: Final = 0x10


def has_segments() -> bool:
    """Tell whether this system has what segments are made of (Linux)."""
    return sys.platform == "linux" and hasattr(os, "memfd_create")


def aligned(size_bytes: int) -> int:
    """Round up to where the next piece begins."""
    return -(-size_bytes // ALIGNMENT) * ALIGNMENT


class Mapping:
    """A segment's memory as this process sees it; unmapped when nobody holds it any more.

    It is mapped without Python's own ``mmap``, which keeps a file descriptor for each.
    """

    def __init__(self, descriptor: int, size_bytes: int, *, writable: bool) -> None:
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        address = _libc().mmap(None, size_bytes, protection, mmap.MAP_SHARED, descriptor, 0)
        if address in {None, ctypes.c_void_p(-1).value}:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self.address: int = address
        self.size_bytes = size_bytes
        self._unmap = _libc().munmap

    def __del__(self) -> None:
        if hasattr(self, "_unmap"):
            self._unmap(self.address, self.size_bytes)


class Segment:
    """One piece of memory, written by one process.

    Attributes:
        segment_id: number of the process that writes it, and its number there.
        size_bytes: how long it is.
        mapping: where it lies here.
        descriptor: its file descriptor, or None: it cannot be sent on.
        is_own: this process writes it.
        lease_count: leases of this process.
        lent_to: other processes that have leases, as far as is known here.
        known_to: other processes that have it mapped.
        is_dead: its writer is gone, so that it is dropped when nobody looks at it any more.
    """

    __slots__ = (
        "descriptor",
        "is_dead",
        "is_own",
        "known_to",
        "lease_count",
        "lent_to",
        "mapping",
        "segment_id",
        "size_bytes",
    )

    def __init__(self, segment_id: SegmentId, mapping: Mapping, descriptor: int | None, *, is_own: bool) -> None:
        self.segment_id = segment_id
        self.size_bytes = mapping.size_bytes
        self.mapping = mapping
        self.descriptor = descriptor
        self.is_own = is_own
        self.lease_count = 0
        self.lent_to: set[int] = set()
        self.known_to: set[int] = set()
        self.is_dead = False

    @property
    def is_held(self) -> bool:
        """Whether anybody may still look at it."""
        return bool(self.lease_count or self.lent_to)


class Lease:
    """A piece of a segment, in which an array or a table stands.

    numpy takes its memory by ``__array_interface__`` and holds the lease; the read-only flag of such an array cannot be
    taken back. Only numpy arrays and ctypes structures hold a lease: neither is seen by the garbage collector, which
    would otherwise end it while an object of the same cycle, about to be finalised, still looks at the memory.
    """

    __slots__ = ("_ended", "_mapping", "_segment", "_tell", "address", "is_writable", "size_bytes")

    def __init__(
        self,
        segment: Segment,
        offset: int,
        size_bytes: int,
        ended: deque[Segment],
        tell: Callable[[], None] | None,
        *,
        is_writable: bool = False,
    ) -> None:
        self._segment = segment
        self._mapping = segment.mapping
        self._ended = ended
        self._tell = tell
        self.address = segment.mapping.address + offset
        self.size_bytes = size_bytes
        self.is_writable = is_writable

    @property
    def __array_interface__(self) -> dict[str, Any]:
        """Numpy's protocol: bytes, at an address, that may not be written."""
        data = (self.address, not self.is_writable)
        return {"version": 3, "shape": (self.size_bytes,), "typestr": "|u1", "data": data}

    def __del__(self) -> None:
        self._ended.append(self._segment)
        if self._tell is not None:
            self._tell()


class SegmentStore:
    """The segments that this process has made or mapped; may be used from any number of threads.

    Args:
        number: of this process among those of one kernel.
        may_grow: asked before memory is taken from the system, bytes; False: there is to be no more.
        tell: called, on any thread and in the middle of anything, when a lease has ended; must take no lock.
    """

    def __init__(self, number: int, may_grow: Callable[[int], bool], *, tell: Callable[[], None] | None = None) -> None:
        self.number = number
        #: Memory of this process's own segments, bytes.
        self.own_bytes = 0
        self.lock = threading.RLock()
        #: Told when a segment of another process is looked at by nobody any more.
        self.on_unheld: Callable[[Segment], None] = lambda _: None
        #: Told when a segment is not to be used any more by those who have it mapped.
        self.on_dropped: Callable[[Segment], None] = lambda _: None
        self._segments: dict[SegmentId, Segment] = {}
        self._by_address: list[tuple[int, SegmentId]] = []
        self._free: list[Segment] = []
        self._may_grow = may_grow
        self._tell = tell
        self._ended: deque[Segment] = deque()
        self._numbers = itertools.count(1)

    # -- memory to write to

    def allocate(self, size_bytes: int) -> Segment:
        """Take a free segment, or make one; it is free again when nothing has been leased or lent of it.

        Args:
            size_bytes: that are needed, > 0.

        Raises:
            RunError: FB425, there is to be no more shared memory.
        """
        with self.lock:
            self.settle()
            fitting = [one for one in self._free if size_bytes <= one.size_bytes <= _LARGEST_RATIO * size_bytes]
            if fitting:
                best = min(fitting, key=lambda one: one.size_bytes)
                self._free.remove(best)
                return best
            wanted = _size_class(size_bytes)
            if not self._may_grow(wanted):
                self.trim(0)
                if not self._may_grow(wanted):
                    raise _no_more(size_bytes)
            return self._made(wanted)

    def _made(self, size_bytes: int) -> Segment:
        descriptor = os.memfd_create("flowbook", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(descriptor, size_bytes)
            mapping = Mapping(descriptor, size_bytes, writable=True)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
            try:
                fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals | _F_SEAL_FUTURE_WRITE)
            except OSError:  # before Linux 5.1: others map it read-only of their own will
                fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL)
        except BaseException:
            os.close(descriptor)
            raise
        segment = Segment((self.number, next(self._numbers)), mapping, descriptor, is_own=True)
        self.own_bytes += size_bytes
        self._add(segment)
        return segment

    # -- memory of others

    def adopt(self, segment_id: SegmentId, size_bytes: int, descriptor: int) -> Segment:
        """Map a segment of another process.

        Args:
            segment_id: as its writer calls it.
            size_bytes: how long it is said to be.
            descriptor: owned from now on.

        Raises:
            OSError: it cannot be mapped, or could shrink under a reader.
        """
        try:
            _check_sealed(descriptor, size_bytes)
            mapping = Mapping(descriptor, size_bytes, writable=False)
        except BaseException:
            os.close(descriptor)
            raise
        kept: int | None = descriptor
        if len(self._segments) >= _MOST_DESCRIPTORS:  # it is not handed on then, but copied
            os.close(descriptor)
            kept = None
        segment = Segment(segment_id, mapping, kept, is_own=False)
        with self.lock:
            self._add(segment)
        return segment

    def _add(self, segment: Segment) -> None:
        self._segments[segment.segment_id] = segment
        insort(self._by_address, (segment.mapping.address, segment.segment_id))

    def get(self, segment_id: SegmentId) -> Segment | None:
        """Find a segment by its id."""
        return self._segments.get(segment_id)

    def find(self, address: int, size_bytes: int) -> tuple[Segment, int] | None:
        """Find the segment that a piece of memory lies in, and where in it."""
        with self.lock:
            at = bisect_right(self._by_address, (address, (sys.maxsize, 0))) - 1
            if at < 0:
                return None
            start, segment_id = self._by_address[at]
            segment = self._segments[segment_id]
            if address + size_bytes > start + segment.size_bytes:
                return None
            return segment, address - start

    # -- who looks at it

    def lease(self, segment: Segment, offset: int, size_bytes: int, *, is_writable: bool = False) -> Lease:
        """Hand out a piece of a segment.

        Raises:
            ValueError: it does not lie in the segment.
        """
        if offset < 0 or size_bytes < 0 or offset + size_bytes > segment.size_bytes:
            raise ValueError("a piece beyond its segment")
        with self.lock:
            segment.lease_count += 1
            if segment in self._free:
                self._free.remove(segment)
        return Lease(segment, offset, size_bytes, self._ended, self._tell, is_writable=is_writable)

    def lend(self, segment: Segment, peer: int) -> None:
        """Note that another process may look at a segment from now on."""
        with self.lock:
            segment.lent_to.add(peer)
            segment.known_to.add(peer)

    def take_back(self, segment: Segment, peer: int) -> None:
        """Note that another process looks at a segment no more."""
        with self.lock:
            segment.lent_to.discard(peer)
            self._settle_one(segment)

    def settle(self) -> None:
        """Look at the leases that have ended."""
        with self.lock:
            while self._ended:
                segment = self._ended.popleft()
                segment.lease_count -= 1
                self._settle_one(segment)

    def settle_written(self, segment: Segment) -> None:
        """Look at a segment that was allocated: nobody may have got any of it."""
        with self.lock:
            self._settle_one(segment)

    def _settle_one(self, segment: Segment) -> None:
        if segment.is_held or segment.segment_id not in self._segments:
            return
        if segment.is_own:
            if segment not in self._free:
                self._free.append(segment)
        elif segment.is_dead:
            self.drop(segment)
        else:
            self.on_unheld(segment)

    # -- giving back

    def trim(self, most_bytes: int) -> None:
        """Give free memory back to the system, the least recently used first, until no more than so much is kept."""
        with self.lock:
            self.settle()
            free_bytes = sum(one.size_bytes for one in self._free)
            while self._free and free_bytes > most_bytes:
                segment = self._free.pop(0)
                free_bytes -= segment.size_bytes
                self.drop(segment)

    def drop(self, segment: Segment) -> None:
        """Forget a segment; what still stands in it keeps its memory."""
        with self.lock:
            if self._segments.pop(segment.segment_id, None) is None:
                return
            self._by_address.remove((segment.mapping.address, segment.segment_id))
            if segment in self._free:
                self._free.remove(segment)
            if segment.is_own:
                self.own_bytes -= segment.size_bytes
            _close_descriptor(segment)
            self.on_dropped(segment)

    def close_descriptors(self, segment_ids: Iterable[SegmentId]) -> None:
        """Send these segments to nobody any more."""
        with self.lock:
            for segment_id in segment_ids:
                segment = self._segments.get(segment_id)
                if segment is not None:
                    _close_descriptor(segment)

    def close(self) -> None:
        """Forget everything; what still stands in a segment keeps its memory."""
        with self.lock:
            for segment in list(self._segments.values()):
                self.drop(segment)

    def segments(self) -> list[Segment]:
        """List all segments, of this process and of others."""
        with self.lock:
            return list(self._segments.values())


def _check_sealed(descriptor: int, size_bytes: int) -> None:
    """See that memory of another process stays as long as it is said to be: reading beyond its end would be fatal."""
    seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    if not seals & fcntl.F_SEAL_SHRINK or os.fstat(descriptor).st_size < size_bytes:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def _close_descriptor(segment: Segment) -> None:
    descriptor, segment.descriptor = segment.descriptor, None
    if descriptor is not None:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _size_class(size_bytes: int) -> int:
    """Round up to one of eight sizes between two powers of two, so that segments fit again and little is wasted."""
    grain = max(_GRAIN_BYTES, 1 << max(0, (size_bytes - 1).bit_length() - 4))
    return -(-size_bytes // grain) * grain


def _no_more(size_bytes: int) -> RunError:
    return RunError(
        f"{size_bytes / 1024**2:,.0f} MiB more of shared memory are needed, and there is to be no more of it",
        code="FB425",
        hint='hand on less at a time, drop values of earlier runs, or leave isolation="process" out',
        size_bytes=size_bytes,
    )


_loaded: list[Any] = []


def _libc() -> Any:
    if not _loaded:
        library = ctypes.CDLL(None, use_errno=True)
        library.mmap.restype = ctypes.c_void_p
        library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_longlong]
        library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        _loaded.append(library)
    return _loaded[0]
