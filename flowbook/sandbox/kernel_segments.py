"""The kernel's side of shared memory: its own segments, those of its workers, and how much there is of it in all."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Final

from flowbook.sandbox.segments import SegmentStore, aligned
from flowbook.sandbox.transports import LEAST_SHARED_BYTES, SegmentTransport, copy_to

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowbook.core.interfaces import Piece
    from flowbook.sandbox.segments import Lease, Segment


#: Without calls for so long nothing free is kept any more, seconds.
IDLE_S: Final = 10.0
#: How long a value has been gone when idle workers are told, seconds.
_PATIENCE_S: Final = 0.1


class KernelSegments:
    """Counts every segment of one kernel and its workers, and sees to it that what is free is given back.

    Args:
        most_bytes: all segments together, > 0.
        spread: sends the news that idle workers wait for, and how much free memory each may keep, if that changes;
            called on a thread of its own when values have gone, and when there have been no calls for a while.
    """

    def __init__(self, most_bytes: int, spread: Callable[[int | None], None]) -> None:
        self.most_bytes = most_bytes
        self.store = SegmentStore(0, self._may_grow, tell=self._tell)
        #: A process keeps this much free memory for the next value, bytes.
        self.most_free_bytes = most_bytes // 4
        self.store.on_unheld = self._unheld
        self.store.on_dropped = self._dropped
        self._spread = spread
        self._transports: dict[int, SegmentTransport] = {}
        self._granted: dict[int, int] = {}
        # A lease may end while this very thread holds any lock: putting into this queue takes none.
        self._ended: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closing = threading.Event()

    def transport(self, number: int) -> SegmentTransport:
        """Open the way to a worker.

        Args:
            number: of the worker, >= 1, never used again.
        """
        with self.store.lock:
            made = self._transports[number] = SegmentTransport(self.store, number)
            self._granted[number] = 0
            return made

    def close_transport(self, number: int) -> None:
        """A worker has ended: everything it had is taken back."""
        with self.store.lock:
            self._granted.pop(number, None)
            transport = self._transports.pop(number, None)
            if transport is not None:
                transport.end()

    def placed(self, pieces: Sequence[Piece]) -> list[Lease] | None:
        """Copy pieces into a segment of the kernel's own and lease them; None when they are not worth it.

        Raises:
            RunError: FB425, there is no memory for them.
        """
        total = sum(aligned(piece.size_bytes) for piece in pieces)
        if total < LEAST_SHARED_BYTES or all(self.store.find(piece.address, piece.size_bytes) for piece in pieces):
            return None
        segment = self.store.allocate(total)
        leases, at = [], 0
        for piece in pieces:
            leases.append(self.store.lease(segment, at, piece.size_bytes))
            copy_to(piece, segment.mapping.address + at)
            at += aligned(piece.size_bytes)
        return leases

    # -- how much there is

    @property
    def taken_bytes(self) -> int:
        """Memory of all segments: of the kernel, of its workers, and of ended workers as far as it is looked at."""
        with self.store.lock:
            orphans = sum(one.size_bytes for one in self.store.segments() if one.is_dead)
            return self.store.own_bytes + sum(self._granted.values()) + orphans

    def _may_grow(self, size_bytes: int) -> bool:
        return self.taken_bytes + size_bytes <= self.most_bytes

    def grant(self, number: int, size_bytes: int) -> bool:
        """Let a worker take more memory from the system, if there is to be any."""
        with self.store.lock:
            if not self._may_grow(size_bytes):
                self.store.trim(0)
            if not self._may_grow(size_bytes) or number not in self._granted:
                return False
            self._granted[number] += size_bytes
            return True

    def count(self, number: int, own_bytes: int) -> None:
        """Note how much memory a worker's segments have in fact."""
        with self.store.lock:
            if number in self._granted:
                self._granted[number] = own_bytes

    def granted_bytes(self, number: int) -> int:
        """Say how much memory the segments of a worker take, bytes."""
        return self._granted.get(number, 0)

    def mapped_bytes(self, number: int) -> int:
        """Say how much shared memory a worker may have mapped, bytes: it counts as its own to the system."""
        with self.store.lock:
            known = sum(one.size_bytes for one in self.store.segments() if number in one.known_to)
            return self._granted.get(number, 0) + known

    # -- who is told

    def _unheld(self, segment: Segment) -> None:
        transport = self._transports.get(segment.segment_id[0])
        if transport is not None:
            transport.note_unheld(segment)

    def _dropped(self, segment: Segment) -> None:
        for number in segment.known_to:
            transport = self._transports.get(number)
            if transport is not None and number != segment.segment_id[0]:
                transport.note_dropped(segment)

    def _tell(self) -> None:
        self._ended.put(True)

    def wake(self) -> None:
        """Have somebody see to what is free, from the first segment on; called after every call."""
        with self.store.lock:
            if self._thread is None and self.store.segments() and not self._is_closing.is_set():
                self._thread = threading.Thread(target=self._see_to_it, name="flowbook segments", daemon=True)
                self._thread.start()
        self._tell()

    def _see_to_it(self) -> None:
        """Give back what is free: beyond what is kept when a value has gone, all of it after a while without calls."""
        is_lean = False
        while not self._is_closing.is_set():
            try:
                self._ended.get(timeout=None if is_lean else IDLE_S)
            except queue.Empty:
                is_lean = True
                self.store.trim(0)
                self._spread(0)
                continue
            # The next call brings the news along; a worker is told apart from it only when there is none.
            self._is_closing.wait(_PATIENCE_S)
            while not self._ended.empty():
                self._ended.get()
            is_lean = False
            self.store.trim(self.most_free_bytes)
            self._spread(None)

    def close(self) -> None:
        """Forget all segments; values keep the memory that they stand in."""
        with self.store.lock:
            thread, self._thread = self._thread, None
        self._is_closing.set()
        if thread is not None:
            self._tell()
            thread.join()
        self.store.close()
