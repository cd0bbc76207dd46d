"""Takes tables apart into pieces of memory and builds them up again over other memory, in another process too.

A column is exported through the Arrow C interface, chunk by chunk. What travels is its type, its lengths and its
buffers as they lie; of a slice only the rows that it shows (whole bytes of bits, so up to seven rows more before it).
At the other end the same structures are built over the received memory and given to polars, which looks at the
structures and not at the data: that costs the same for ten rows and for ten million. The memory is held until polars
has let go of the last buffer in it.

The characters of a text column lie apart from its rows, and a slice has all those of its parent. A slice that would
carry far more than it shows is written and read as Arrow IPC first, which leaves them out.

Layout: https://arrow.apache.org/docs/format/Columnar.html
"""

from __future__ import annotations

import ctypes
import io
import itertools
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flowbook.core.interfaces import Piece
from flowbook.data import arrow_abi, sizes
from flowbook.data.arrow_abi import ArrowArray, ArrowSchema
from flowbook.data.kinds import dtype_label
from flowbook.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

#: A slice may carry this much that it does not show, bytes, ...
_SPARE_BYTES: Final = 256 * 1024
#: ... or this many times what it shows.
_SPARE_RATIO: Final = 1.5
_TEXTS: Final = (b"vu", b"vz")
#: Width of the numbers that say where each row's values or characters begin, bytes, by type.
_OFFSET_BYTES: Final = {b"U": 8, b"Z": 8, b"u": 4, b"z": 4, b"+L": 8, b"+l": 4, b"+m": 4}
_LISTS: Final = (b"+L", b"+l", b"+m")


class Type(NamedTuple):
    """One level of a column's type, as ArrowSchema has it."""

    kind: bytes
    name: bytes
    metadata: bytes
    flags: int
    children: tuple[Type, ...]
    dictionary: Type | None


class Chunk(NamedTuple):
    """One level of a chunk, as ArrowArray has it; a buffer is whatever stands for its piece, some bytes, or None."""

    length: int
    null_count: int
    offset: int
    buffers: tuple[Any, ...]
    children: tuple[Chunk, ...]
    dictionary: Chunk | None


class Column(NamedTuple):
    """A column taken apart."""

    name: str
    type: Type
    chunks: tuple[Chunk, ...]
    is_ascending: bool
    is_descending: bool


def take_apart(column: pl.Series, note: Callable[[Piece], Any]) -> Column:
    """Take a column apart; no byte of it is read or copied unless a slice has to be made smaller.

    Args:
        column: of any type but Object.
        note: is given every piece of memory, which stays where it is as long as the piece is kept, and returns what is
            to stand for it.

    Raises:
        DataError: FB609, the column holds Python objects.
    """
    import polars as pl

    _refuse_objects(column.name, column.dtype)
    flags = column.flags
    made = _exported(_compact(column), note)
    if column.n_chunks() == 0 or not made[1]:
        made = _exported(pl.Series(column.name, [], dtype=column.dtype), note)
    return Column(column.name, *made, bool(flags.get("SORTED_ASC")), bool(flags.get("SORTED_DESC")))


def _refuse_objects(name: str, dtype: Any) -> None:
    import polars as pl

    base = dtype.base_type()
    if base == pl.Object:
        raise DataError(
            f"column {name!r} holds Python objects, which stay in their process",
            code="FB609",
            hint=f"turn them into text or numbers first: .with_columns(pl.col({name!r}).map_elements(str, pl.String)),"
            f" or leave the column out: .drop({name!r})",
            column=name,
        )
    inner = [field.dtype for field in dtype.fields] if base == pl.Struct else []
    for one in [*inner, *(getattr(dtype, part, None) for part in ("inner", "key", "value"))]:
        if one is not None and hasattr(one, "base_type"):
            _refuse_objects(name, one)


def _compact(column: pl.Series) -> pl.Series:
    """Leave out what a slice of texts carries of its parent, when that is much."""
    import polars as pl

    if not _has_texts(column.dtype):
        return column
    carried: list[int] = []
    _exported(column, lambda piece: carried.append(piece.size_bytes))
    shown = sizes.table_bytes(column)
    if sum(carried) <= max(_SPARE_BYTES, _SPARE_RATIO * shown):
        return column
    written = io.BytesIO()
    try:
        column.alias("x").to_frame().write_ipc_stream(written)
        written.seek(0)
        return pl.read_ipc_stream(written).to_series().alias(column.name)
    except pl.exceptions.PolarsError:  # a type that is unknown there goes whole
        return column


def _has_texts(dtype: Any) -> bool:
    import polars as pl

    base = dtype.base_type()
    if base in {pl.String, pl.Binary}:
        return True
    inner = [field.dtype for field in dtype.fields] if base == pl.Struct else []
    parts = [*inner, *(getattr(dtype, part, None) for part in ("inner", "key", "value"))]
    return any(_has_texts(one) for one in parts if one is not None and hasattr(one, "base_type"))


# -- taking apart


def _exported(column: pl.Series, note: Callable[[Piece], Any]) -> tuple[Type, tuple[Chunk, ...]]:
    capsule: Any = column.__arrow_c_stream__()  # type: ignore[no-untyped-call, unused-ignore]
    stream, address = arrow_abi.stream_of(capsule)
    schema = ArrowSchema()
    if stream.get_schema(address, ctypes.addressof(schema)):
        raise _not_exported(column)
    try:
        chunks = []
        while True:
            held = _Held()
            if stream.get_next(address, ctypes.addressof(held.array)):
                raise _not_exported(column)
            if not held.array.release:
                break
            chunks.append(_Taker(held, note).take(held.array, schema, 0, held.array.length))
        return _type_of(schema), tuple(chunks)
    finally:
        schema.release(ctypes.byref(schema))


def _not_exported(column: pl.Series) -> DataError:
    return DataError(
        f"column {column.name!r} of type {dtype_label(column.dtype)} cannot be exported through Arrow",
        code="FB609",
        hint=f"cast it to a type that can: pl.col({column.name!r}).cast(…)",
        column=column.name,
    )


class _Held:
    """An exported chunk, whose buffers stay where they are as long as this is there."""

    def __init__(self) -> None:
        self.array = ArrowArray()

    def __del__(self) -> None:
        if self.array.release:
            self.array.release(ctypes.byref(self.array))


def _type_of(schema: ArrowSchema) -> Type:
    return Type(
        schema.format,
        schema.name or b"",
        _metadata(schema.metadata),
        schema.flags,
        tuple(_type_of(schema.children[index].contents) for index in range(schema.n_children)),
        _type_of(schema.dictionary.contents) if schema.dictionary else None,
    )


def _metadata(address: int | None) -> bytes:
    """Read the pairs of metadata as they lie: a count, then length and bytes of each key and value."""
    if not address:
        return b""

    def number(at: int) -> int:
        return int(ctypes.c_int32.from_address(address + at).value)

    end = 4
    for _ in range(2 * number(0)):
        end += 4 + number(end)
    return ctypes.string_at(address, end)


class _Taker:
    """Takes one chunk apart.

    Args:
        held: keeps the chunk's memory where it is.
        note: see ``take_apart``.
    """

    def __init__(self, held: _Held, note: Callable[[Piece], Any]) -> None:
        self._held = held
        self._note = note

    def take(self, array: ArrowArray, schema: ArrowSchema, start: int, length: int) -> Chunk:
        """Take ``length`` rows of one level, from row ``start`` on, and what lies below them."""
        kind: bytes = schema.format
        first = (array.offset + start) // 8 * 8  # bits cannot be moved, so rows begin with a whole byte of them
        offset = array.offset + start - first
        count = offset + length
        is_whole = start == 0 and length == array.length
        buffers, below = self._level(array, kind, first, count)
        return Chunk(
            length,
            array.null_count if is_whole else 0 if buffers[0] is None else -1,  # -1: nobody has counted
            offset,
            buffers,
            tuple(
                self.take(array.children[index].contents, schema.children[index].contents, *below)
                for index in range(array.n_children)
            ),
            self._whole(array.dictionary.contents, schema.dictionary.contents) if array.dictionary else None,
        )

    def _whole(self, array: ArrowArray, schema: ArrowSchema) -> Chunk:
        return self.take(array, schema, 0, array.length)

    def _level(self, array: ArrowArray, kind: bytes, first: int, count: int) -> tuple[tuple[Any, ...], tuple[int, int]]:
        """Take the buffers of one level; returns them, and which rows of the children they refer to."""
        if kind == b"n":
            return (None,) * array.n_buffers, (0, 0)
        validity = self._part(array.buffers[0], first // 8, (count + 7) // 8)
        if kind in _TEXTS:
            return (validity, *self._texts(array, first, count)), (0, 0)
        if kind in _OFFSET_BYTES:
            offsets, low, high = self._offsets(array, kind, first, count)
            if kind in _LISTS:
                return (validity, offsets), (low, high - low)
            return (validity, offsets, self._part(array.buffers[2], low, high - low)), (0, 0)
        if kind.startswith(b"+w:"):
            width = int(kind[3:])
            return (validity,), (first * width, count * width)
        if kind == b"+s":
            return (validity,), (first, count)
        bits = arrow_abi.bits_of(kind)
        if not bits:
            raise DataError(
                f"a column has the Arrow type {kind.decode('ascii', 'replace')!r}, which is unknown here",
                code="FB609",
                hint="cast it to another type",
            )
        return (validity, self._part(array.buffers[1], first * bits // 8, (count * bits + 7) // 8)), (0, 0)

    def _part(self, address: int | None, skip_bytes: int, size_bytes: int) -> Any:
        if not address:
            return None
        return self._note(Piece(size_bytes=size_bytes, address=address + skip_bytes, owner=self._held))

    def _texts(self, array: ArrowArray, first: int, count: int) -> list[Any]:
        """Take the rows of a text column, the characters apart from them, and how many there are in each buffer."""
        views = self._part(array.buffers[1], 16 * first, 16 * count)
        apart = array.n_buffers - 3
        if apart < 0:
            return [views]
        sizes_at = array.buffers[array.n_buffers - 1]
        lengths = ctypes.cast(sizes_at, ctypes.POINTER(ctypes.c_int64))[:apart] if apart else []
        characters = [self._part(array.buffers[2 + index], 0, length) for index, length in enumerate(lengths)]
        # Made for the export, a few bytes: they travel with the type.
        return [views, *characters, ctypes.string_at(sizes_at, 8 * apart) if sizes_at else None]

    def _offsets(self, array: ArrowArray, kind: bytes, first: int, count: int) -> tuple[Any, int, int]:
        """Take where each row begins, counted anew from the first row; returns it with the first and last of them."""
        width = _OFFSET_BYTES[kind]
        address = array.buffers[1]
        if not address:
            return None, 0, 0
        number = ctypes.c_int64 if width == 8 else ctypes.c_int32
        at = address + width * first
        low, high = number.from_address(at).value, number.from_address(at + width * count).value
        if low == 0:
            return self._part(address, width * first, width * (count + 1)), low, high

        def rebased(target: int) -> None:
            import numpy as np

            source, made = (_numbers(place, count + 1, width) for place in (at, target))
            np.subtract(source, low, out=made)

        piece = Piece(size_bytes=width * (count + 1), address=0, owner=self._held, fill=rebased)
        return self._note(piece), low, high


def _numbers(address: int, count: int, width: int) -> Any:
    """See memory as whole numbers; it must stay where it is meanwhile."""
    import numpy as np

    return np.ctypeslib.as_array(((ctypes.c_int64 if width == 8 else ctypes.c_int32) * count).from_address(address))


# -- building up

_serials = itertools.count(1)
#: What an array that polars still holds is made of, by its number.
_alive: dict[int, Any] = {}


def _array_released(array: Any) -> None:
    """Is called by polars, on any thread, when it has let go of an array."""
    serial = array.contents.private_data
    array.contents.release = type(array.contents.release)()
    _alive.pop(serial, None)


def _schema_released(schema: Any) -> None:
    """Is called by who keeps a type for itself; nothing is held for it."""
    schema.contents.release = type(schema.contents.release)()


_let_go_of_array: Final = ctypes.CFUNCTYPE(None, ctypes.POINTER(ArrowArray))(_array_released)
_let_go_of_schema: Final = ctypes.CFUNCTYPE(None, ctypes.POINTER(ArrowSchema))(_schema_released)
# A table that outlives this module, as the interpreter ends, must still find what it calls.
for _callback in (_let_go_of_array, _let_go_of_schema):
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(_callback))


def build_up(column: Column, address_of: Callable[[Any], int]) -> pl.Series:
    """Build a column over received memory.

    Args:
        column: as ``take_apart`` made it, with received buffers in it.
        address_of: says where a buffer lies; the buffer object is held as long as polars needs it.
    """
    import polars as pl

    made: pl.Series | None = None
    for chunk in column.chunks:
        series = pl.Series(column.name, _Exported(column.type, chunk, address_of))
        made = series if made is None else made.append(series)
    assert made is not None  # noqa: S101 -- a column without rows has one chunk without rows
    if column.is_ascending or column.is_descending:
        made = made.set_sorted(descending=column.is_descending)
    return made


class _Exported:
    """Offers a chunk to polars through the Arrow C interface."""

    def __init__(self, kind: Type, chunk: Chunk, address_of: Callable[[Any], int]) -> None:
        self._type = kind
        self._chunk = chunk
        self._address_of = address_of
        self._kept: list[Any] = []

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[Any, Any]:
        """Make the structures; polars moves what is in them to where it wants it."""
        del requested_schema
        # polars moves what is in the array to a place of its own, and reads the schema before it returns.
        schema, array = self._schema(self._type), self._array(self._chunk)
        serial = array.private_data = next(_serials)
        _alive[serial] = self._kept
        return (
            arrow_abi.new_capsule(ctypes.addressof(schema), arrow_abi.SCHEMA, None),
            arrow_abi.new_capsule(ctypes.addressof(array), arrow_abi.ARRAY, None),
        )

    def _place(self, buffer: Any) -> int | None:
        if buffer is None:
            return None
        if isinstance(buffer, bytes):
            return ctypes.cast(ctypes.c_char_p(buffer), ctypes.c_void_p).value
        return self._address_of(buffer)

    def _schema(self, kind: Type) -> ArrowSchema:
        children = [self._schema(child) for child in kind.children]
        pointers = (ctypes.POINTER(ArrowSchema) * len(children))(*map(ctypes.pointer, children))
        dictionary = self._schema(kind.dictionary) if kind.dictionary is not None else None
        metadata = ctypes.create_string_buffer(kind.metadata, len(kind.metadata)) if kind.metadata else None
        schema = ArrowSchema(
            format=kind.kind,
            name=kind.name,
            metadata=ctypes.addressof(metadata) if metadata is not None else None,
            flags=kind.flags,
            n_children=len(children),
            children=pointers if children else None,
            dictionary=ctypes.pointer(dictionary) if dictionary is not None else None,
            release=_let_go_of_schema,
        )
        self._kept.append((kind, children, pointers, dictionary, metadata, schema))
        return schema

    def _array(self, chunk: Chunk) -> ArrowArray:
        children = [self._array(child) for child in chunk.children]
        pointers = (ctypes.POINTER(ArrowArray) * len(children))(*map(ctypes.pointer, children))
        dictionary = self._array(chunk.dictionary) if chunk.dictionary is not None else None
        addresses = [self._place(buffer) for buffer in chunk.buffers]
        buffers = (ctypes.c_void_p * len(addresses))(*addresses)
        array = ArrowArray(
            length=chunk.length,
            null_count=chunk.null_count,
            offset=chunk.offset,
            n_buffers=len(addresses),
            n_children=len(children),
            buffers=buffers,
            children=pointers if children else None,
            dictionary=ctypes.pointer(dictionary) if dictionary is not None else None,
            release=_let_go_of_array,
        )
        self._kept.append((chunk, children, pointers, dictionary, buffers, array))
        return array
