"""The structures of the Arrow C interface, as ctypes sees them, and how wide its types are.

Layout: https://arrow.apache.org/docs/format/CDataInterface.html, CStreamInterface.html, CDataInterface/PyCapsule.html
"""

from __future__ import annotations

import ctypes
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator


class ArrowSchema(ctypes.Structure):
    """Name and type of a column."""


ArrowSchema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_void_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(ArrowSchema))),
    ("dictionary", ctypes.POINTER(ArrowSchema)),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(ArrowSchema))),
    ("private_data", ctypes.c_void_p),
]


class ArrowArray(ctypes.Structure):
    """Where the buffers of one chunk lie."""


ArrowArray._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(ArrowArray))),
    ("dictionary", ctypes.POINTER(ArrowArray)),
    ("release", ctypes.CFUNCTYPE(None, ctypes.POINTER(ArrowArray))),
    ("private_data", ctypes.c_void_p),
]

GET: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
ERROR: Final = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
RELEASE: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class ArrowStream(ctypes.Structure):
    """The chunks of a column, one after the other."""


ArrowStream._fields_ = [
    ("get_schema", GET),
    ("get_next", GET),
    ("get_last_error", ERROR),
    ("release", RELEASE),
    ("private_data", ctypes.c_void_p),
]


get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

STREAM: Final = b"arrow_array_stream"
SCHEMA: Final = b"arrow_schema"
ARRAY: Final = b"arrow_array"
_BITS: Final[dict[bytes, int]] = {
    b"b": 1,
    **dict.fromkeys((b"c", b"C"), 8),
    **dict.fromkeys((b"s", b"S", b"e"), 16),
    **dict.fromkeys((b"i", b"I", b"f", b"tdD", b"tts", b"ttm", b"tiM"), 32),
    **dict.fromkeys((b"l", b"L", b"g", b"tdm", b"ttu", b"ttn", b"tDs", b"tDm", b"tDu", b"tDn", b"tiD"), 64),
    **dict.fromkeys((b"tin", b"_pli128", b"_plu128"), 128),
}
_WIDTH_AT_END: Final = re.compile(rb"^d:\d+,-?\d+(?:,(\d+))?$")


def bits_of(kind: bytes) -> int:
    """Say how many bits a value of a type takes in its buffer; 0 for types without one width."""
    if kind.startswith(b"ts"):  # instants, with their zone
        return 64
    if kind.startswith(b"w:"):
        return 8 * int(kind[2:])
    decimal = _WIDTH_AT_END.match(kind)
    if decimal:
        return int(decimal[1] or 128)
    return _BITS.get(kind, 0)


def arrays_of(stream: ArrowStream, address: int) -> Iterator[ArrowArray]:
    """Yield the chunks of a stream; each is released before the next one comes.

    Args:
        stream: the structure.
        address: where it lies.
    """
    while True:
        array = ArrowArray()
        if stream.get_next(address, ctypes.addressof(array)) or not array.release:
            return
        try:
            yield array
        finally:
            array.release(ctypes.byref(array))


def stream_of(capsule: Any) -> tuple[ArrowStream, int]:
    """Look into the capsule of a stream: the structure, and where it lies."""
    address: int = get_pointer(capsule, STREAM)
    return ctypes.cast(address, ctypes.POINTER(ArrowStream)).contents, address
