"""Takes pieces of memory from one process to another: by shared segments where there are any, else over the socket.

``load`` says where the other side finds each piece, ``unload`` gives them there. A piece that already lies in a segment
that both may see (an output made with ``ctx.empty``, an input handed on) is only pointed at; others are copied, once,
into a segment of the sender's. Small ones go in the message itself.

A kernel has one store of segments and one transport per worker; a worker has one store and one transport. What each
side knows of the other's leases is kept true by ``News``, which goes along with every message.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from flowbook.core.interfaces import Piece
from flowbook.sandbox.channel import ChannelClosedError
from flowbook.sandbox.segments import SegmentId, aligned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbook.core.interfaces import Packed
    from flowbook.sandbox.segments import Lease, Segment, SegmentStore

#: Values below this size go in the message, bytes.
LEAST_SHARED_BYTES: Final = 256 * 1024
#: A table or an array of this size gets a segment of its own, so that it can go before its neighbours do.
_OWN_SEGMENT_BYTES: Final = 1024 * 1024
#: Less than this is not pointed at: it would hold on to a whole segment.
_LEAST_POINTED_AT: Final = 64 * 1024
#: The system takes no more file descriptors with one message than some 250.
_MOST_DESCRIPTORS: Final = 128


class Place(NamedTuple):
    """Where a piece is: in a segment, or, without one, the next buffer of the message."""

    segment_id: SegmentId | None
    offset: int
    size_bytes: int


class Parcel(NamedTuple):
    """What a message says of the pieces that come with it.

    Attributes:
        places: of the pieces.
        counts: how many of them each value has.
        announced: segments the other side has not mapped yet, with their sizes; their descriptors come along.
    """

    places: tuple[Place, ...]
    counts: tuple[int, ...]
    announced: tuple[tuple[SegmentId, int], ...] = ()


@dataclass(slots=True, kw_only=True)
class Load:
    """A parcel, ready to be sent.

    Attributes:
        parcel: what the message says.
        buffers: that go in the message.
        descriptors: of the announced segments.
        copied: bytes of each value that were copied, small ones in the message included.
        kept: what the buffers show, to be kept until the message has gone.
    """

    parcel: Parcel
    buffers: list[Any]
    descriptors: list[int]
    copied: list[int]
    kept: Any = None


class News(NamedTuple):
    """What a side tells of leases and segments.

    Attributes:
        released: segments of the other side's that are looked at no more.
        dropped: segments that must not be mapped any longer.
        held: everything of others that is still looked at; None: that is not told.
        own_bytes: memory of its own segments.
        most_free_bytes: of them the other side is to keep no more than this for the next value; None: as it likes.
    """

    released: tuple[SegmentId, ...] = ()
    dropped: tuple[SegmentId, ...] = ()
    held: frozenset[SegmentId] | None = None
    own_bytes: int = 0
    most_free_bytes: int | None = None


class Transport(Protocol):
    """One side of the way between a kernel and one of its workers."""

    def load(self, values: Sequence[Packed]) -> Load:
        """Make values ready to be sent; the text of each is its first piece.

        Raises:
            RunError: FB425, there is no memory for them.
        """
        ...

    def unload(self, parcel: Parcel, buffers: Sequence[Any], descriptors: Sequence[int]) -> list[list[Any]]:
        """Give the pieces of each value that came; the descriptors are used up.

        Raises:
            ChannelClosedError: what came makes no sense.
        """
        ...

    def sent(self, load: Load) -> None:
        """A load has gone."""
        ...

    def memory(self, size_bytes: int) -> Lease | None:
        """Give writable memory that need not be copied to be sent, or None: there is none of that kind.

        Raises:
            RunError: FB425, there is to be no more of it.
        """
        ...

    def news(self, most_free_bytes: int | None = None) -> News:
        """Say what the other side has to know, and how much free memory it may keep."""
        ...

    def hear(self, news: News) -> None:
        """Learn what the other side says."""
        ...

    def end(self) -> None:
        """The other side is gone."""
        ...


def _pieces(value: Packed) -> list[Piece]:
    return [Piece(size_bytes=len(value.text), address=0, owner=value.text), *value.pieces]


def _shown(piece: Piece) -> Any:
    """Show a piece as a buffer; one that has yet to be made is made."""
    if piece.fill is not None:
        made = bytearray(piece.size_bytes)
        piece.fill(ctypes.addressof((ctypes.c_char * piece.size_bytes).from_buffer(made)))
        return made
    if not piece.address:
        return piece.owner
    view = (ctypes.c_char * piece.size_bytes).from_address(piece.address)
    return memoryview(view).cast("B")


def copy_to(piece: Piece, address: int) -> None:
    """Write a piece to an address."""
    if piece.fill is not None:
        piece.fill(address)
    elif piece.address:
        ctypes.memmove(address, piece.address, piece.size_bytes)
    elif piece.size_bytes:  # the text
        ctypes.memmove(address, piece.owner, piece.size_bytes)


def _divided(buffers: list[Any], counts: Sequence[int]) -> list[list[Any]]:
    if sum(counts) != len(buffers):
        raise ChannelClosedError
    parts, at = [], 0
    for count in counts:
        parts.append(buffers[at : at + count])
        at += count
    return parts


class StreamTransport:
    """Sends everything over the socket: on every system, at the price of two copies."""

    def load(self, values: Sequence[Packed]) -> Load:
        """Show every piece as a buffer of the message."""
        pieces = [_pieces(value) for value in values]
        buffers = [_shown(piece) for part in pieces for piece in part]
        places = tuple(Place(None, 0, piece.size_bytes) for part in pieces for piece in part)
        copied = [sum(piece.size_bytes for piece in part[1:]) for part in pieces]
        counts = tuple(map(len, pieces))
        parcel = Parcel(places=places, counts=counts)
        return Load(parcel=parcel, buffers=buffers, descriptors=[], copied=copied, kept=pieces)

    def unload(self, parcel: Parcel, buffers: Sequence[Any], descriptors: Sequence[int]) -> list[list[Any]]:
        """Take them from the message."""
        _closed(descriptors)
        return _divided(list(buffers), parcel.counts)

    def sent(self, load: Load) -> None:
        """Nothing is kept of it."""

    def memory(self, size_bytes: int) -> Lease | None:  # noqa: ARG002 -- the same for any size
        """There is none."""
        return None

    def news(self, most_free_bytes: int | None = None) -> News:  # noqa: ARG002 -- there is no memory to keep
        """There is none."""
        return News()

    def hear(self, news: News) -> None:
        """There is none."""

    def end(self) -> None:
        """Nothing was held."""


class SegmentTransport:
    """Sends what is large by shared segments.

    Args:
        store: of this process.
        peer: number of the process at the other side.
    """

    def __init__(self, store: SegmentStore, peer: int) -> None:
        self._store = store
        self._peer = peer
        self._released: set[SegmentId] = set()
        self._dropped: list[SegmentId] = []

    # -- sending

    def load(self, values: Sequence[Packed]) -> Load:
        """Copy into segments what does not lie in one yet."""
        with self._store.lock:
            self._store.settle()
        loading = _Loading(self._store, self._peer)
        try:
            for value in values:
                loading.add(value)
            return loading.finished()
        except BaseException:
            loading.undo()
            raise

    def sent(self, load: Load) -> None:
        """A worker has one reader, who has the descriptors now: with many small results it would run out of them."""
        if self._store.number:
            self._store.close_descriptors(segment_id for segment_id, _ in load.parcel.announced)

    def memory(self, size_bytes: int) -> Lease:
        """Allocate a segment, and lease it here."""
        segment = self._store.allocate(size_bytes)
        return self._store.lease(segment, 0, size_bytes, is_writable=True)

    # -- receiving

    def unload(self, parcel: Parcel, buffers: Sequence[Any], descriptors: Sequence[int]) -> list[list[Any]]:
        """Map what is new, and lease what was sent."""
        store, left, inline = self._store, list(descriptors), iter(buffers)
        try:
            for segment_id, size_bytes in parcel.announced:
                store.adopt(segment_id, size_bytes, left.pop(0)).known_to.add(self._peer)
            return _divided([self._piece(place, inline) for place in parcel.places], parcel.counts)
        except (IndexError, KeyError, OSError, StopIteration, TypeError, ValueError) as error:
            raise ChannelClosedError from error
        finally:
            _closed(left)

    def _piece(self, place: Place, inline: Any) -> Any:
        if place.segment_id is None:
            return next(inline)
        segment = self._store.get(place.segment_id)
        if segment is None:
            raise KeyError(place.segment_id)
        return self._store.lease(segment, place.offset, place.size_bytes)

    # -- what the other side looks at

    def note_unheld(self, segment: Segment) -> None:
        """A segment of the other side's is looked at no more."""
        self._released.add(segment.segment_id)

    def note_dropped(self, segment: Segment) -> None:
        """A segment that the other side has mapped is no more."""
        self._dropped.append(segment.segment_id)

    @property
    def has_news(self) -> bool:
        """Whether there is something to tell."""
        return bool(self._released or self._dropped)

    def news(self, most_free_bytes: int | None = None) -> News:
        """Say what has changed since the last time, and what is held of others."""
        store = self._store
        with store.lock:
            store.settle()
            held = frozenset(one.segment_id for one in store.segments() if one.lease_count and not one.is_own)
            released = tuple(
                one for one in self._released if (segment := store.get(one)) is not None and not segment.is_held
            )
            dropped, self._dropped, self._released = tuple(self._dropped), [], set()
            return News(
                released=released,
                dropped=dropped,
                held=held,
                own_bytes=store.own_bytes,
                most_free_bytes=most_free_bytes,
            )

    def hear(self, news: News) -> None:
        """Take back what is looked at no more, and forget what is gone."""
        store = self._store
        with store.lock:
            for segment_id in news.dropped:
                segment = store.get(segment_id)
                if segment is not None and not segment.is_own:
                    segment.known_to.discard(self._peer)
                    store.drop(segment)
            for segment_id in news.released:
                segment = store.get(segment_id)
                if segment is not None and segment.is_own:
                    store.take_back(segment, self._peer)
            if news.held is not None:  # the kernel looks at what it was sent as it likes, and says when it is done
                for segment in store.segments():
                    if self._peer in segment.lent_to and segment.segment_id not in news.held:
                        store.take_back(segment, self._peer)
            if news.most_free_bytes is not None:
                store.trim(news.most_free_bytes)

    def end(self) -> None:
        """Take everything back that the other side had; what it wrote lives as long as somebody looks at it."""
        store = self._store
        with store.lock:
            store.settle()
            for segment in store.segments():
                segment.known_to.discard(self._peer)
                if segment.segment_id[0] == self._peer:
                    segment.is_dead = True
                    if not segment.is_held:
                        store.drop(segment)
                if self._peer in segment.lent_to:
                    store.take_back(segment, self._peer)


class _Loading:
    """Finds places for the pieces of one message."""

    def __init__(self, store: SegmentStore, peer: int) -> None:
        self._store = store
        self._peer = peer
        self._places: list[Place | None] = []
        self._pieces: list[Piece] = []
        self._counts: list[int] = []
        self._copied: list[int] = []
        self._known: dict[tuple[int, int], Place] = {}
        self._announced: dict[SegmentId, Segment] = {}
        self._made: list[Segment] = []
        self._rest: list[int] = []

    def add(self, value: Packed) -> None:
        """Find places for the pieces of one value."""
        begin = len(self._pieces)
        pieces = _pieces(value)
        self._pieces += pieces
        self._places += [None] * len(pieces)
        self._counts.append(len(pieces))
        self._copied.append(0)
        self._rest.append(begin)  # the text
        start = begin + 1
        for end in (*value.group_ends, len(value.pieces)):
            self._add_group(range(start, begin + 1 + end))
            start = begin + 1 + end

    def _add_group(self, numbers: range) -> None:
        total = sum(self._pieces[number].size_bytes for number in numbers)
        if total >= _LEAST_POINTED_AT:
            for number in numbers:
                self._places[number] = self._pointed_at(self._pieces[number])
        left = [number for number in numbers if self._places[number] is None]
        size_bytes = sum(self._pieces[number].size_bytes for number in left)
        self._copied[-1] += size_bytes
        if size_bytes >= _OWN_SEGMENT_BYTES:
            self._copy(left)
        else:
            self._rest += left

    def _pointed_at(self, piece: Piece) -> Place | None:
        """Find a piece that lies in a segment already, or was copied to one a moment ago."""
        if not piece.address or not piece.size_bytes:
            return None
        known = self._known.get((piece.address, piece.size_bytes))
        if known is not None:
            return known
        found = self._store.find(piece.address, piece.size_bytes)
        if found is None:
            return None
        segment, offset = found
        if not self._lend(segment):
            return None
        return Place(segment.segment_id, offset, piece.size_bytes)

    def _lend(self, segment: Segment) -> bool:
        """Let the other side look at a segment; False when it cannot be sent."""
        is_known = segment.segment_id[0] == self._peer or self._peer in segment.known_to
        if not is_known:
            if segment.descriptor is None or len(self._announced) >= _MOST_DESCRIPTORS:
                return False
            self._announced[segment.segment_id] = segment
        if segment.segment_id[0] != self._peer:  # its writer needs no permission
            self._store.lend(segment, self._peer)
        return True

    def _copy(self, numbers: Sequence[int]) -> None:
        """Copy pieces into one segment."""
        total = sum(aligned(self._pieces[number].size_bytes) for number in numbers)
        segment = self._store.allocate(total)
        if not self._lend(segment):
            self._store.settle_written(segment)
            self._rest += numbers  # as many segments as there may be go along already
            return
        self._made.append(segment)
        at = 0
        for number in numbers:
            piece = self._pieces[number]
            copy_to(piece, segment.mapping.address + at)
            place = self._places[number] = Place(segment.segment_id, at, piece.size_bytes)
            if piece.address:
                self._known[piece.address, piece.size_bytes] = place
            at += aligned(piece.size_bytes)

    def finished(self) -> Load:
        """Find places for what is left, and make the parcel."""
        if sum(self._pieces[number].size_bytes for number in self._rest) >= LEAST_SHARED_BYTES:
            rest, self._rest = self._rest, []
            self._copy(rest)
        places = tuple(place or Place(None, 0, self._pieces[n].size_bytes) for n, place in enumerate(self._places))
        # Small, so copied: the value itself need not wait until the message has gone.
        inline = [bytes(_shown(piece)) for piece, at in zip(self._pieces, places, strict=True) if at.segment_id is None]
        segments = list(self._announced.values())
        announced = tuple((one.segment_id, one.size_bytes) for one in segments)
        descriptors = [one.descriptor for one in segments if one.descriptor is not None]
        parcel = Parcel(places=places, counts=tuple(self._counts), announced=announced)
        return Load(parcel=parcel, buffers=inline, descriptors=descriptors, copied=self._copied)

    def undo(self) -> None:
        """Nothing of it is sent."""
        for segment in (*self._announced.values(), *self._made):
            if segment.segment_id in self._announced:
                segment.known_to.discard(self._peer)
            self._store.take_back(segment, self._peer)


def _closed(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
