"""Where the bytes of a table or an array really lie: the proof that nothing was copied.

polars shows addresses only through the Arrow C stream, so its structures are read here with ctypes. Layout:
https://arrow.apache.org/docs/format/CDataInterface.html
"""

from __future__ import annotations

import ctypes
from typing import Any


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


class _Stream(ctypes.Structure):
    """ArrowArrayStream."""


_Stream._fields_ = [
    ("get_schema", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(_Schema))),
    ("get_next", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(_Array))),
    ("get_last_error", ctypes.c_void_p),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]


def table_buffers(table: Any) -> list[int]:
    """List the addresses of all Arrow buffers of a polars frame or Series, in order, chunk by chunk."""
    capsule = table.__arrow_c_stream__()
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address = get_pointer(capsule, b"arrow_array_stream")
    stream = ctypes.cast(address, ctypes.POINTER(_Stream)).contents
    schema, found = _Schema(), list[int]()
    assert stream.get_schema(address, ctypes.byref(schema)) == 0
    while True:
        array = _Array()
        assert stream.get_next(address, ctypes.byref(array)) == 0
        if not array.release:
            break
        _walk(array, schema, found)
        array.release(ctypes.byref(array))
    schema.release(ctypes.byref(schema))
    return found


def lend_first_chunk(table: Any) -> tuple[object, object]:
    """Lend the first chunk of a polars frame as a schema and one array, as libraries without streams do."""
    capsule = table.__arrow_c_stream__()
    api = ctypes.pythonapi
    api.PyCapsule_GetPointer.restype, api.PyCapsule_New.restype = ctypes.c_void_p, ctypes.py_object
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    api.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    address = api.PyCapsule_GetPointer(capsule, b"arrow_array_stream")
    stream = ctypes.cast(address, ctypes.POINTER(_Stream)).contents
    schema, array = _Schema(), _Array()
    assert stream.get_schema(address, ctypes.byref(schema)) == 0
    assert stream.get_next(address, ctypes.byref(array)) == 0
    _lent.extend([schema, array])  # whoever takes them over empties them; the empty shells stay
    named: Any = (schema, b"arrow_schema"), (array, b"arrow_array")
    lent = [api.PyCapsule_New(ctypes.addressof(part), name, None) for part, name in named]
    return lent[0], lent[1]


_lent: list[object] = []


def _walk(array: _Array, schema: _Schema, found: list[int]) -> None:
    # The last buffer of a string view column holds the sizes of the others, written anew by every export.
    count = array.n_buffers - (schema.format in {b"vu", b"vz"})
    found += [array.buffers[i] for i in range(count) if array.buffers[i]]
    for i in range(array.n_children):
        _walk(array.children[i].contents, schema.children[i].contents, found)


def array_address(array: Any) -> int:
    """Say where the first byte of an ndarray lies."""
    address: int = array.__array_interface__["data"][0]
    return address
