"""Messages between a kernel and one of its workers: a few plain facts, and buffers that are not copied in between.

A message is a header (magic, length of the facts, number of buffers), the lengths of the buffers, the facts as pickle,
and the buffers one after the other. Both ends are this very program, over a socket that nobody else can open.
"""

from __future__ import annotations

import pickle
import struct
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

_HEADER: Final = struct.Struct("<4sIQ")
_LENGTH: Final = struct.Struct("<Q")
_MAGIC: Final = b"fbw1"
_MOST_BUFFERS: Final = 1_000_000
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

    def send(self, facts: Any, buffers: Sequence[Any] = ()) -> None:
        """Send one message.

        Args:
            facts: anything small that pickles.
            buffers: bytes-like, contiguous.

        Raises:
            ChannelClosedError: the other side is gone.
        """
        body = pickle.dumps(facts, protocol=5)
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        head = _HEADER.pack(_MAGIC, len(views), len(body))
        lengths = b"".join(_LENGTH.pack(view.nbytes) for view in views)
        with self._send_lock:
            pending = bytearray(head + lengths + body)
            for view in views:
                if view.nbytes <= _SMALL_BYTES:
                    pending += view
                    continue
                self._send_all(memoryview(pending))
                self._send_all(view)
                pending = bytearray()
            self._send_all(memoryview(pending))

    def receive(self) -> tuple[Any, list[bytearray]]:
        """Wait for one message; returns its facts and its buffers.

        Raises:
            ChannelClosedError: the other side is gone, or what came is no message.
        """
        magic, count, length = _HEADER.unpack(self._receive_exactly(_HEADER.size))
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


def packed(value: Any) -> list[Any]:
    """Pickle a value for ``Channel.send``: the pickle first, then the buffers of its arrays, which are not copied."""
    buffers: list[pickle.PickleBuffer] = []
    text = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return [text, *(_raw(buffer) for buffer in buffers)]


def _raw(buffer: pickle.PickleBuffer) -> Any:
    return buffer.raw()


def unpacked(buffers: Sequence[bytearray]) -> Any:
    """Make the value of ``packed`` anew; its arrays stand in the received buffers."""
    return pickle.loads(buffers[0], buffers=buffers[1:])  # noqa: S301 -- from this kernel's own worker
