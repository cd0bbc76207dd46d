"""Says where the bytes of a table lie, by address, without touching them.

polars tells addresses only through the Arrow C interface, so its structures are read here with ctypes. Three things
need them: memory that several values share is counted once (``sizes``), a mutation is found by the bytes themselves
(``mutations``), and a table of another library is a copy exactly when its buffers moved (``foreign_tables``).

A buffer is exported with the address at which its memory begins, also by a slice: slices of one column have the same
buffer. Nothing is exported that would have to be made first: codes of categories are looked at as plain numbers, and
columns that hold categories inside lists or records are passed over.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flowbook.data.arrow_abi import (
    ARRAY,
    ERROR,
    GET,
    RELEASE,
    SCHEMA,
    STREAM,
    ArrowArray,
    ArrowSchema,
    ArrowStream,
    arrays_of,
    bits_of,
    get_pointer,
    new_capsule,
    stream_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl


class Buffer(NamedTuple):
    """One piece of memory: where it begins, and how many bytes of it are used."""

    address: int
    size_bytes: int


_NO_VALIDITY: Final = (b"n", b"+ud", b"+us", b"+r")


def column_buffers(column: pl.Series, visit: Callable[[list[Buffer]], None]) -> bool:
    """Show every buffer of a column to ``visit``, chunk by chunk; the addresses are good only while it runs.

    Args:
        column: any Series; costs microseconds a chunk, whatever its length.
        visit: called once per chunk, with the buffers of all its levels.

    Returns:
        False when the column has no buffers of its own to show (Python objects, categories inside other types).
    """
    import polars as pl

    if column.dtype.base_type() in {pl.Categorical, pl.Enum}:
        column = column.to_physical()
    if _must_be_made(column.dtype):
        return False
    capsule: Any = column.__arrow_c_stream__()  # type: ignore[no-untyped-call, unused-ignore]
    stream, address = stream_of(capsule)
    schema = ArrowSchema()
    if stream.get_schema(address, ctypes.addressof(schema)):
        return False
    try:
        for array in arrays_of(stream, address):
            visit(list(_walk(array, schema)))
    finally:
        schema.release(ctypes.byref(schema))
    return True


def _must_be_made(dtype: Any) -> bool:
    """Tell whether exporting a type makes new buffers, whose addresses would say nothing."""
    import polars as pl

    base = dtype.base_type()
    if base in {pl.Object, pl.Categorical, pl.Enum}:
        return True
    if base in {pl.List, pl.Array}:
        return _must_be_made(dtype.inner)
    return base == pl.Struct and any(_must_be_made(field.dtype) for field in dtype.fields)


def _walk(array: ArrowArray, schema: ArrowSchema) -> Iterator[Buffer]:
    """Yield the buffers of an array and of everything below it, those of no bytes left out."""
    kind: bytes = schema.format
    used = array.offset + array.length
    for index in range(array.n_buffers):
        address = array.buffers[index]
        size_bytes = _buffer_bytes(array, kind, index, used) if address else 0
        if address and size_bytes > 0:
            yield Buffer(address, size_bytes)
    for index in range(array.n_children):
        yield from _walk(array.children[index].contents, schema.children[index].contents)
    if array.dictionary and schema.dictionary:
        yield from _walk(array.dictionary.contents, schema.dictionary.contents)


def _buffer_bytes(array: ArrowArray, kind: bytes, index: int, used: int) -> int:
    """Say how many bytes of a buffer are used; 0 for what an export writes anew and for unknown types."""
    if index == 0 and not kind.startswith(_NO_VALIDITY):
        return (used + 7) // 8
    if kind in {b"vu", b"vz"}:
        if index == 1:
            return 16 * used
        if index == array.n_buffers - 1:  # the sizes of the buffers before it
            return 0
        sizes = ctypes.cast(array.buffers[array.n_buffers - 1], ctypes.POINTER(ctypes.c_int64))
        return int(sizes[index - 2])
    if kind in {b"U", b"Z", b"u", b"z"}:
        wide = kind in {b"U", b"Z"}
        if index == 1:
            return (8 if wide else 4) * (used + 1)
        ends = ctypes.cast(array.buffers[1], ctypes.POINTER(ctypes.c_int64 if wide else ctypes.c_int32))
        return int(ends[used])
    return (used * bits_of(kind) + 7) // 8 if kind not in {b"+L", b"+l"} else (8 if kind == b"+L" else 4) * (used + 1)


def read_noting(source: Any, read: Callable[[Any], Any]) -> tuple[Any, set[int]]:
    """Let polars read an Arrow object, and note where every buffer lay that it was given.

    The object is asked for its data once, as polars itself would: a stream may be readable only once, or be a query
    that runs when it is read.

    Args:
        source: offers ``__arrow_c_stream__`` or ``__arrow_c_array__``.
        read: is given a stand-in that offers the same, and must have read it when it returns.

    Returns:
        What ``read`` returned, and the addresses of the source's buffers.
    """
    lent = _LentStream(source) if hasattr(type(source), "__arrow_c_stream__") else _LentArray(source)
    try:
        return read(lent), lent.seen
    finally:
        lent.kept.clear()  # the callbacks know the stream, and the stream the callbacks


class _LentArray:
    def __init__(self, source: Any) -> None:
        self.seen: set[int] = set()
        self.kept: list[Any] = []
        self._source = source

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[Any, Any]:
        schema, array = self._source.__arrow_c_array__(requested_schema)
        described = ctypes.cast(get_pointer(schema, SCHEMA), ctypes.POINTER(ArrowSchema)).contents
        held = ctypes.cast(get_pointer(array, ARRAY), ctypes.POINTER(ArrowArray)).contents
        self.seen.update(buffer.address for buffer in _walk(held, described))
        return schema, array


class _LentStream:
    def __init__(self, source: Any) -> None:
        self.seen: set[int] = set()
        self.kept: list[Any] = []
        self._source = source

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        capsule = self._source.__arrow_c_stream__(requested_schema)
        inner, address = stream_of(capsule)
        schema = ArrowSchema()

        def get_next(_: int, target: int) -> int:
            failed: int = inner.get_next(address, target)
            array = ArrowArray.from_address(target)
            if not failed and array.release:
                if schema.format is None and inner.get_schema(address, ctypes.addressof(schema)):
                    return 0
                self.seen.update(buffer.address for buffer in _walk(array, schema))
            return failed

        def release(itself: int) -> None:
            if schema.format is not None:
                schema.release(ctypes.byref(schema))
            inner.release(address)
            ArrowStream.from_address(itself).release = RELEASE()

        lent = ArrowStream(
            GET(lambda _, target: inner.get_schema(address, target)),
            GET(get_next),
            ERROR(lambda _: inner.get_last_error(address)),
            RELEASE(release),
            None,
        )
        # polars reads the stream to its end before it returns; until then everything must stay where it is.
        self.kept += [capsule, inner, lent]
        return new_capsule(ctypes.addressof(lent), STREAM, None)
