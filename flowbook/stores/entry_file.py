"""The file of one cache entry: a prefix, the binary parts, and an index that says what and how long they are.

::

    prefix   8 bytes magic · 8 offset of the index · 8 its length · 4 its CRC-32 · 4 zero    little-endian
    parts    one after the other, no gaps
    index    JSON: key, flow, node, createdAt, facts, values [{tree, parts [{codec, offset, sizeBytes, crc}]}]

The prefix is written last. Whoever reads asks every length and every checksum first, so that a file that was cut,
mixed or never finished is recognised whatever way it came about.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flowbook.core.interfaces import ByteSink, EncodedValue

_MAGIC: Final = b"FLOWBK\x01\n"
_PREFIX: Final = struct.Struct("<8sQQII")


class TornEntryError(Exception):
    """The file is not a whole entry."""


class EntryTooLargeError(Exception):
    """More bytes than the writer was allowed."""


class _CountingSink:
    """Passes bytes on, counts and checksums them."""

    def __init__(self, file: ByteSink, most_bytes: int) -> None:
        self._file = file
        self._bytes_left = most_bytes
        self.size_bytes = 0
        self.crc = 0

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        if view.nbytes > self._bytes_left:
            raise EntryTooLargeError
        self._file.write(view)
        self._bytes_left -= view.nbytes
        self.size_bytes += view.nbytes
        self.crc = zlib.crc32(view, self.crc)
        return view.nbytes

    def flush(self) -> None:
        """Do nothing: the file is flushed once, at the end."""


def write_entry(file: BinaryIO, about: Mapping[str, Any], values: Iterable[EncodedValue], most_bytes: int) -> int:
    """Write one entry to an empty file, without flushing it to the disk.

    Args:
        file: seekable, at position 0.
        about: key, flow, node and the like: JSON values, entered into the index as they are.
        values: what to write; their parts are made here.
        most_bytes: longest file.

    Returns:
        The length of the file, bytes.

    Raises:
        EntryTooLargeError: it would be longer than ``most_bytes``.
        DataError: a part turned out not to be writable.
        OSError: the disk refused.
    """
    file.write(bytes(_PREFIX.size))
    offset = _PREFIX.size
    listed = []
    for value in values:
        parts = []
        for part in value.parts:
            sink = _CountingSink(file, most_bytes - offset)
            part.write(sink)
            parts.append({"codec": part.codec, "offset": offset, "sizeBytes": sink.size_bytes, "crc": sink.crc})
            offset += sink.size_bytes
        listed.append({"tree": value.tree, "parts": parts})
    index = json.dumps({**about, "values": listed}).encode()
    if offset + len(index) > most_bytes:
        raise EntryTooLargeError
    file.write(index)
    file.seek(0)
    file.write(_PREFIX.pack(_MAGIC, offset, len(index), zlib.crc32(index), 0))
    return offset + len(index)


def read_index(file: BinaryIO, key: str = "") -> dict[str, Any]:
    """Read what an entry says about itself; its parts are not looked at, only that the file has its full length.

    Raises:
        TornEntryError: the file is not a whole entry, or not the one of ``key``, where one is given.
    """
    file.seek(0)
    prefix = file.read(_PREFIX.size)
    if len(prefix) < _PREFIX.size:
        raise TornEntryError
    magic, offset, length, crc, _ = _PREFIX.unpack(prefix)
    if magic != _MAGIC or os.fstat(file.fileno()).st_size != offset + length:
        raise TornEntryError
    file.seek(offset)
    text = file.read(length)
    if zlib.crc32(text) != crc:
        raise TornEntryError
    index = json.loads(text)
    if not isinstance(index, dict) or not isinstance(index.get("values"), list):
        raise TornEntryError
    if key and index.get("key") != key:
        raise TornEntryError
    return index


def read_values(file: BinaryIO, index: Mapping[str, Any]) -> list[tuple[Any, list[tuple[str, bytes]]]]:
    """Read the parts of an entry, checked.

    Returns:
        For each value its tree and its ``(codec, bytes)`` parts.

    Raises:
        TornEntryError: a part is not what the index says.
    """
    return [
        (value["tree"], [(part["codec"], _read_part(file, part)) for part in value["parts"]])
        for value in index["values"]
    ]


def _read_part(file: BinaryIO, part: Mapping[str, Any]) -> bytes:
    file.seek(part["offset"])
    data = file.read(part["sizeBytes"])
    if len(data) != part["sizeBytes"] or zlib.crc32(data) != part["crc"]:
        raise TornEntryError
    return data
