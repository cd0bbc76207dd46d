"""Says where the bytes of a table lie, by address, without touching them.

polars tells addresses only through the Arrow C interface, so its structures are read here with ctypes. Three things
need them: memory that several values share is counted once (``sizes``), a mutation is found by the bytes themselves
(``mutations``), and a table of another library is a copy exactly when its buffers moved (``foreign_tables``).

A buffer is exported with the address at which its memory begins, also by a slice: slices of one column have the same
buffer. Nothing is exported that would have to be made first: codes of categories are looked at as plain numbers, and
columns that hold categories inside lists or records are passed over.

Layout: https://arrow.apache.org/docs/format/CDataInterface.html, CStreamInterface.html, CDataInterface/PyCapsule.html
"""

from __future__ import annotations

import ctypes
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars as pl


class Buffer(NamedTuple):
    """One piece of memory: where it begins, and how many bytes of it are used."""

    address: int
    size_bytes: int


class _Schema(ctypes.Structure):
    """ArrowSchema."""


_Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_void_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_Schema))),
    ("dictionary", ctypes.POINTER(_Schema)),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(_Schema))),
    ("private_data", ctypes.c_void_p),
]


class _Array(ctypes.Structure):
    """ArrowArray."""


_Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))),
    ("dictionary", ctypes.POINTER(_Array)),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(_Array))),
    ("private_data", ctypes.c_void_p),
]

_GET: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_ERROR: Final = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
_RELEASE: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Stream(ctypes.Structure):
    """ArrowArrayStream."""


_Stream._fields_ = [
    ("get_schema", _GET),
    ("get_next", _GET),
    ("get_last_error", _ERROR),
    ("release", _RELEASE),
    ("private_data", ctypes.c_void_p),
]


_get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_get_pointer.restype, _get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

_STREAM: Final = b"arrow_array_stream"
_BITS: Final[dict[bytes, int]] = {
    b"b": 1,
    **dict.fromkeys((b"c", b"C"), 8),
    **dict.fromkeys((b"s", b"S", b"e"), 16),
    **dict.fromkeys((b"i", b"I", b"f", b"tdD", b"tts", b"ttm", b"tiM"), 32),
    **dict.fromkeys((b"l", b"L", b"g", b"tdm", b"ttu", b"ttn", b"tDs", b"tDm", b"tDu", b"tDn", b"tiD"), 64),
    **dict.fromkeys((b"tin", b"_pli128", b"_plu128"), 128),
}
_WIDTH_AT_END: Final = re.compile(rb"^d:\d+,-?\d+(?:,(\d+))?$")
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
    address = _get_pointer(capsule, _STREAM)
    stream = ctypes.cast(address, ctypes.POINTER(_Stream)).contents
    schema = _Schema()
    if stream.get_schema(address, ctypes.addressof(schema)):
        return False
    try:
        for array in _arrays(stream, address):
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


def _arrays(stream: _Stream, address: int) -> Iterator[_Array]:
    while True:
        array = _Array()
        if stream.get_next(address, ctypes.addressof(array)) or not array.release:
            return
        try:
            yield array
        finally:
            array.release(ctypes.byref(array))


def _walk(array: _Array, schema: _Schema) -> Iterator[Buffer]:
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


def _buffer_bytes(array: _Array, kind: bytes, index: int, used: int) -> int:
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
    return (used * _bits(kind) + 7) // 8 if kind not in {b"+L", b"+l"} else (8 if kind == b"+L" else 4) * (used + 1)


def _bits(kind: bytes) -> int:
    if kind.startswith(b"ts"):  # instants, with their zone
        return 64
    if kind.startswith(b"w:"):
        return 8 * int(kind[2:])
    decimal = _WIDTH_AT_END.match(kind)
    if decimal:
        return int(decimal[1] or 128)
    return _BITS.get(kind, 0)


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
        described = ctypes.cast(_get_pointer(schema, b"arrow_schema"), ctypes.POINTER(_Schema)).contents
        held = ctypes.cast(_get_pointer(array, b"arrow_array"), ctypes.POINTER(_Array)).contents
        self.seen.update(buffer.address for buffer in _walk(held, described))
        return schema, array


class _LentStream:
    def __init__(self, source: Any) -> None:
        self.seen: set[int] = set()
        self.kept: list[Any] = []
        self._source = source

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        capsule = self._source.__arrow_c_stream__(requested_schema)
        address = _get_pointer(capsule, _STREAM)
        inner = ctypes.cast(address, ctypes.POINTER(_Stream)).contents
        schema = _Schema()

        def get_next(_: int, target: int) -> int:
            failed: int = inner.get_next(address, target)
            array = _Array.from_address(target)
            if not failed and array.release:
                if schema.format is None and inner.get_schema(address, ctypes.addressof(schema)):
                    return 0
                self.seen.update(buffer.address for buffer in _walk(array, schema))
            return failed

        def release(itself: int) -> None:
            if schema.format is not None:
                schema.release(ctypes.byref(schema))
            inner.release(address)
            _Stream.from_address(itself).release = _RELEASE()

        lent = _Stream(
            _GET(lambda _, target: inner.get_schema(address, target)),
            _GET(get_next),
            _ERROR(lambda _: inner.get_last_error(address)),
            _RELEASE(release),
            None,
        )
        # polars reads the stream to its end before it returns; until then everything must stay where it is.
        self.kept += [capsule, inner, lent]
        return _new_capsule(ctypes.addressof(lent), _STREAM, None)
