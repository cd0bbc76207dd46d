"""Messages between a kernel and one of its workers: a few plain facts, and buffers that are not copied in between.

A message is a header (magic, length of the facts, number of buffers), the lengths of the buffers, the facts as pickle,
and the buffers one after the other. File descriptors go with the first byte, where the system has that. Both ends are
this very program, over a socket that nobody else can open.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import struct
import threading
from typing import TYPE_CHECKING, Any, Final

from flowbook.core.interfaces import Packed, Piece

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HEADER: Final = struct.Struct("<4sIQ")
_LENGTH: Final = struct.Struct("<Q")
_MAGIC: Final = b"fbw1"
_MOST_BUFFERS: Final = 1_000_000
_MOST_DESCRIPTORS: Final = 250
_CLOSE_ON_EXEC: Final = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
#: Pieces that are received at once, bytes.
_PIECE_BYTES: Final = 4 * 1024 * 1024
#: Buffers below this size are sent together with their neighbours.
_SMALL_BYTES: Final = 64 * 1024


class ChannelClosedError(Exception):
    """The other side is gone, or speaks nonsense."""


class Channel:
    """One end of the socket.

    Args:
        link: connected stream socket, owned from now on.
        slice_s: longest time between two calls of ``check`` while waiting, seconds; None: waits for ever.
        check: called while waiting and while large messages pass; what it raises ends the call.
    """

    def __init__(
        self, link: socket.socket, *, slice_s: float | None = None, check: Callable[[], None] | None = None
    ) -> None:
        self._link = link
        self._link.settimeout(slice_s)
        self._send_lock = threading.Lock()
        self.check = check

    def send(self, facts: Any, buffers: Sequence[Any] = (), descriptors: Sequence[int] = ()) -> None:
        """Send one message.

        Args:
            facts: anything small that pickles.
            buffers: bytes-like, contiguous.
            descriptors: of files that the other side gets as well.

        Raises:
            ChannelClosedError: the other side is gone.
        """
        body = pickle.dumps(facts, protocol=5)
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        head = _HEADER.pack(_MAGIC, len(views), len(body))
        lengths = b"".join(_LENGTH.pack(view.nbytes) for view in views)
        with self._send_lock:
            if descriptors:
                self._send_with(head[:1], descriptors)
                head = head[1:]
            pending = bytearray(head + lengths + body)
            for view in views:
                if view.nbytes <= _SMALL_BYTES:
                    pending += view
                    continue
                self._send_all(memoryview(pending))
                self._send_all(view)
                pending = bytearray()
            self._send_all(memoryview(pending))

    def receive(self) -> tuple[Any, list[bytearray], list[int]]:
        """Wait for one message; returns its facts, its buffers and its file descriptors, which are the caller's.

        Raises:
            ChannelClosedError: the other side is gone, or what came is no message.
        """
        first, descriptors = self._receive_first()
        try:
            return (*self._receive_rest(first), descriptors)
        except BaseException:
            for descriptor in descriptors:
                os.close(descriptor)
            raise

    def _receive_rest(self, first: bytes) -> tuple[Any, list[bytearray]]:
        magic, count, length = _HEADER.unpack(first + self._receive_exactly(_HEADER.size - len(first)))
        if magic != _MAGIC or count > _MOST_BUFFERS:
            raise ChannelClosedError
        sizes = [size for (size,) in _LENGTH.iter_unpack(self._receive_exactly(_LENGTH.size * count))]
        body = self._receive_exactly(length)
        buffers = [self._receive_exactly(size) for size in sizes]
        try:
            return pickle.loads(body), buffers  # noqa: S301 -- from this kernel's own worker
        except Exception as error:
            raise ChannelClosedError from error

    def close(self) -> None:
        """Close the socket; the other side sees the end."""
        self._link.close()

    def _send_with(self, first: bytes, descriptors: Sequence[int]) -> None:
        while True:
            try:
                if socket.send_fds(self._link, [first], list(descriptors)):
                    return
            except TimeoutError:
                pass
            except OSError as error:
                raise ChannelClosedError from error
            if self.check is not None:
                self.check()

    def _receive_first(self) -> tuple[bytes, list[int]]:
        """Receive the first byte of a message, and what comes with it."""
        if not hasattr(socket, "recv_fds"):
            return bytes(self._receive_exactly(1)), []
        while True:
            try:
                first, descriptors, flags, _ = socket.recv_fds(self._link, 1, _MOST_DESCRIPTORS, _CLOSE_ON_EXEC)
            except TimeoutError:
                if self.check is not None:
                    self.check()
                continue
            except OSError as error:
                raise ChannelClosedError from error
            if not first or flags & socket.MSG_CTRUNC:
                for descriptor in descriptors:
                    with contextlib.suppress(OSError):
                        os.close(descriptor)
                raise ChannelClosedError
            return first, descriptors

    def _send_all(self, view: memoryview) -> None:
        sent = 0
        while sent < view.nbytes:
            try:
                sent += self._link.send(view[sent:])
            except TimeoutError:
                pass
            except OSError as error:
                raise ChannelClosedError from error
            if self.check is not None:
                self.check()

    def _receive_exactly(self, size: int) -> bytearray:
        try:
            data = bytearray(size)
        except (MemoryError, OverflowError) as error:
            raise ChannelClosedError from error
        view, received = memoryview(data), 0
        while received < size:
            try:
                count = self._link.recv_into(view[received : received + _PIECE_BYTES])
            except TimeoutError:
                count = -1
            except OSError as error:
                raise ChannelClosedError from error
            if count == 0:
                raise ChannelClosedError
            received += max(count, 0)
            if self.check is not None:
                self.check()
        return data


class PlainPacking:
    """Fills ``core.interfaces.Packing`` with pickle alone, for pools whose calls hand on no tables."""

    def pack(self, value: object, *, keeps_writable: bool) -> Packed:  # noqa: ARG002 -- what comes is new, so writable
        """Pickle a value; the buffers of its arrays are pieces."""
        pieces: list[Piece] = []

        def apart(buffer: pickle.PickleBuffer) -> None:
            view = buffer.raw()
            pieces.append(Piece(size_bytes=view.nbytes, address=0, owner=view))

        return Packed(text=pickle.dumps(value, protocol=5, buffer_callback=apart), pieces=tuple(pieces))

    def unpack(self, text: Any, buffers: Sequence[Any]) -> Any:
        """Make the value anew; its arrays stand in the received buffers."""
        return pickle.loads(text, buffers=buffers)  # noqa: S301 -- from this kernel's own worker

    def empty(self, shape: Any, dtype: Any, memory: Callable[[int], Any]) -> Any:
        """It makes no arrays.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError
