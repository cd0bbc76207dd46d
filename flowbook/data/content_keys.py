"""Digests small values by content, so that "the same again" is recognised across kernels.

Only values whose meaning is all in their content are digested: plain Python values, dates, enumeration members, paths,
and small arrays and tables. Everything else, and everything large, has no content key; its identity is used then.

Two values have the same key only when a node could not tell them apart: ``1``, ``1.0`` and ``True`` differ, so do
``0.0`` and ``-0.0``, a list and a tuple, and dicts in another order; all NaNs are one. The key does not depend on the
process, the hash seed or the address of anything.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import hashlib
import math
import pathlib
import struct
import uuid
import zoneinfo
from typing import TYPE_CHECKING, Any, Final

from flowbook.data import sizes
from flowbook.data.families import family_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_MOST_BYTES: Final = 1_000_000
_MOST_NODES: Final = 20_000
_DEEPEST: Final = 64
_NAN: Final = struct.pack(">d", float("nan"))


def content_key(value: object) -> str | None:
    """Digest a small value.

    Args:
        value: anything; strings, bytes, arrays and tables of up to 1 MB in all, up to 20,000 items in containers.

    Returns:
        32 hex digits (BLAKE2b-128), equal in every process; None when the value is too large or not understood.
    """
    writer = _Writer()
    try:
        writer.write(value, 0)
    except _NoKeyError:
        return None
    return writer.digest()


class _NoKeyError(Exception):
    """The value has no content key."""


class _Writer:
    """Feeds a value into the hash as tagged, length-prefixed pieces, so that no two values run together."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self._bytes_left = _MOST_BYTES
        self._nodes_left = _MOST_NODES

    def digest(self) -> str:
        return self._hash.hexdigest()

    def piece(self, tag: str, content: bytes = b"") -> None:
        self._bytes_left -= len(content)
        if self._bytes_left < 0:
            raise _NoKeyError
        self._hash.update(f"{tag}:{len(content)}:".encode())
        self._hash.update(content)

    def write(self, value: object, depth: int) -> None:
        self._nodes_left -= 1
        if self._nodes_left < 0 or depth > _DEEPEST:
            raise _NoKeyError
        cls = type(value)
        plain = _PLAIN.get(cls)
        if plain is not None:
            if cls in _SIZED and len(value) > self._bytes_left:  # type: ignore[arg-type]
                raise _NoKeyError  # before a gigabyte is encoded for nothing
            tag, encode = plain
            self.piece(tag, encode(value))
        elif cls in _CONTAINERS:
            self._write_container(value, depth)
        elif issubclass(cls, enum.Enum):
            member: Any = value
            self.piece("enum", _str_bytes(f"{cls.__module__}.{cls.__qualname__}.{member.name}"))
            self.write(member.value, depth + 1)
        else:
            self._write_data(value, depth)

    def _write_container(self, value: Any, depth: int) -> None:
        if len(value) > self._nodes_left:
            raise _NoKeyError
        self.piece(type(value).__name__, str(len(value)).encode())
        if isinstance(value, (set, frozenset)):
            for digest in sorted(self._digest_apart(item, depth) for item in value):
                self.piece("item", digest)
            return
        items: Iterable[object] = value
        if isinstance(value, dict):
            items = (part for pair in value.items() for part in pair)
        for item in items:
            self.write(item, depth + 1)

    def _digest_apart(self, item: object, depth: int) -> bytes:
        """Digest one member of a set on its own, within the same budget, since sets have no order."""
        mine, self._hash = self._hash, hashlib.blake2b(digest_size=16)
        try:
            self.write(item, depth + 1)
            return self._hash.digest()
        finally:
            self._hash = mine

    def _write_data(self, value: Any, depth: int) -> None:
        family = family_of(value)
        if family == "array":
            self._write_array(value, depth)
        elif family == "series":
            self.piece("series")
            self._write_frame(value.to_frame())
        elif family == "frame":
            self._write_frame(value)
        elif family in {"scalar", "text"} and type(value).__module__ == "numpy":
            import numpy as np

            self._write_array(np.asarray(value), depth, tag="numpy scalar")
        else:
            raise _NoKeyError

    def _write_array(self, array: Any, depth: int, tag: str = "array") -> None:
        import numpy as np

        if array.nbytes > self._bytes_left or type(array) not in {np.ndarray, np.ma.MaskedArray}:
            raise _NoKeyError
        self.piece(tag, repr((array.dtype.descr if array.dtype.names else array.dtype.str, array.shape)).encode())
        if isinstance(array, np.ma.MaskedArray):
            self._write_array(np.ma.getmaskarray(array), depth + 1, tag="mask")
            array = np.asarray(array.filled())
        if array.dtype.hasobject or array.dtype.kind == "T":  # the buffer holds addresses, not content
            self.write(array.tolist(), depth + 1)
        else:
            self.piece("buffer", array.tobytes())

    def _write_frame(self, frame: Any) -> None:
        """Feed a table in Arrow's oldest layout, which packs strings in order and so does not depend on history."""
        import polars as pl

        if sizes.table_bytes(frame) > self._bytes_left:
            raise _NoKeyError
        if pl.Object in frame.dtypes:
            raise _NoKeyError  # their bytes are addresses
        try:
            # A category's number depends on what else the process has seen; its name does not. What lies under a
            # null, and behind the last bit, depends on how the column came about; gathered rows start afresh.
            named = frame.with_columns(pl.col(pl.Categorical).cast(pl.String))
            packed = named.select(pl.all().gather(pl.int_range(frame.height, eager=True)))
            content = packed.write_ipc_stream(None, compat_level=pl.CompatLevel.oldest()).getvalue()
        except (Exception, pl.exceptions.PanicException) as cause:  # a column that has no bytes
            raise _NoKeyError from cause
        self.piece("frame", repr((list(frame.schema.items()), frame.height)).encode())
        self.piece("arrow", content)


def _float_bytes(value: float) -> bytes:
    return struct.pack(">d", value) if not math.isnan(value) else _NAN


def _int_bytes(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _str_bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")


def _zone_bytes(value: datetime.datetime | datetime.time) -> bytes:
    zone = value.tzinfo
    if zone is not None and type(zone) not in {datetime.timezone, zoneinfo.ZoneInfo}:
        raise _NoKeyError
    return f"{value.isoformat()} {value.fold} {zone!r}".encode()


def _repr_bytes(value: object) -> bytes:
    return repr(value).encode()


_SIZED: Final = frozenset({str, bytes, bytearray})
_CONTAINERS: Final = frozenset({list, tuple, dict, set, frozenset})
_PLAIN: Final[dict[type, tuple[str, Callable[[Any], bytes]]]] = {
    type(None): ("none", lambda _: b""),
    type(...): ("ellipsis", lambda _: b""),
    bool: ("bool", lambda value: b"1" if value else b"0"),
    int: ("int", _int_bytes),
    float: ("float", _float_bytes),
    complex: ("complex", lambda value: _float_bytes(value.real) + _float_bytes(value.imag)),
    str: ("str", _str_bytes),
    bytes: ("bytes", bytes),
    bytearray: ("bytearray", bytes),
    datetime.date: ("date", lambda value: value.isoformat().encode()),
    datetime.datetime: ("datetime", _zone_bytes),
    datetime.time: ("time", _zone_bytes),
    datetime.timedelta: ("timedelta", _repr_bytes),
    decimal.Decimal: ("decimal", lambda value: repr(value.as_tuple()).encode()),
    fractions.Fraction: ("fraction", _repr_bytes),
    uuid.UUID: ("uuid", lambda value: value.bytes),
    range: ("range", _repr_bytes),
    pathlib.PosixPath: ("path", lambda value: _str_bytes(str(value))),
    pathlib.WindowsPath: ("path", lambda value: _str_bytes(str(value))),
    pathlib.PurePosixPath: ("path", lambda value: _str_bytes(str(value))),
    pathlib.PureWindowsPath: ("path", lambda value: _str_bytes(str(value))),
}
