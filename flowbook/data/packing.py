"""Takes values apart for a worker process and puts them together there: text, and memory apart from it.

The text is a pickle, made and read by one program on one machine, over a socket that nobody else can open. Tables and
arrays never stand in it, wherever in a value they are: of an array it holds type and shape, of a table what
``frame_pieces`` makes of it. The transport (``sandbox``) takes the memory across, shared where the system can.

============  ========================================================  ===========================================
value         what travels                                              what the other side gets
============  ========================================================  ===========================================
array         its elements, in its own order (C or Fortran)             a view nobody can make writable, or a copy
                                                                        where the array could be written to
DataFrame,    the buffers of its columns                                a table over them, which polars copies
Series                                                                  before it writes
LazyFrame     its plan; one that holds much memory is collected first   a LazyFrame
others        pickle, with the arrays and tables in them as above       the same
============  ========================================================  ===========================================

Arrays of Python objects and of texts of variable width are pickled: their elements do not lie in them.
"""

from __future__ import annotations

import ctypes
import io
import pickle
from typing import TYPE_CHECKING, Any, Final

from flowbook.core.interfaces import Packed, PayloadCopy, Piece
from flowbook.data import frame_pieces, guards, plans, sizes
from flowbook.data.families import family_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import polars as pl

#: Arrays smaller than this stand in the text: telling where they lie would take as long.
_IN_TEXT_BYTES: Final = 2048
#: A plan with less memory in it than this goes as it is, bytes.
_LIGHT_PLAN_BYTES: Final = 256 * 1024
#: Arrays below this size are made in memory of their own, bytes.
_LEAST_SHARED_BYTES: Final = 256 * 1024


class TablePacking:
    """Fills ``core.interfaces.Packing`` with polars and numpy; has no state."""

    def pack(self, value: object, *, keeps_writable: bool) -> Packed:
        """Take a value apart; see the module's docstring.

        Raises:
            DataError: FB609, a column of Python objects.
            Exception: a stranger's class does not let itself be pickled.
        """
        apart = _Apart()
        with io.BytesIO() as file:
            _Packer(file, apart, keeps_writable=keeps_writable).dump(value)
            return Packed(
                text=file.getvalue(),
                pieces=tuple(apart.pieces),
                group_ends=tuple(apart.group_ends),
                text_copies=tuple(apart.text_copies),
            )

    def unpack(self, text: Any, buffers: Sequence[Any]) -> Any:
        """Make the value anew; its tables and arrays stand in the buffers."""
        raw: list[Any] = [_raw(buffer) for buffer in (text, *buffers)]
        return pickle.loads(raw[0], buffers=raw[1:])  # noqa: S301 -- this kernel's own

    def empty(self, shape: Any, dtype: Any, memory: Callable[[int], Any]) -> np.ndarray[Any, Any]:
        """Make an array of any content, in given memory when it is large.

        Raises:
            TypeError: numpy does not know the shape or the type.
            ValueError: a negative length.
        """
        import numpy as np

        model = np.broadcast_to(np.zeros((), dtype), shape)  # checks both, and costs nothing
        if model.dtype.hasobject or model.dtype.kind == "T" or model.nbytes < _LEAST_SHARED_BYTES:
            return np.empty(shape, dtype)
        given = memory(model.nbytes)
        if given is None:
            return np.empty(shape, dtype)
        return np.asarray(given)[: model.nbytes].view(model.dtype).reshape(model.shape)


class _Apart:
    """Collects the memory that stays apart from a pickle."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.group_ends: list[int] = []
        self.text_copies: list[PayloadCopy] = []
        # What stands in the pickle for a piece: it is met there in the order in which it was made.
        self._waiting: dict[int, tuple[pickle.PickleBuffer, Piece]] = {}

    def note(self, piece: Piece) -> pickle.PickleBuffer:
        """Remember a piece; returns what stands for it."""
        placeholder = pickle.PickleBuffer(bytearray())  # of read-only ones pickle would make a memoryview
        self._waiting[id(placeholder)] = (placeholder, piece)
        return placeholder

    def meet(self, buffer: pickle.PickleBuffer) -> None:
        """Take what pickle has come to."""
        _, piece = self._waiting.pop(id(buffer), (None, None))
        if piece is None:  # of a stranger's class that knows pickle's buffers
            piece = _piece_of(buffer.raw())
        self.pieces.append(piece)
        if not self._waiting:
            self.group_ends.append(len(self.pieces))


class _Packer(pickle.Pickler):
    """Pickles a value; knows what collects the memory apart from it, and is not known to that: no cycle holds it."""

    def __init__(self, file: Any, apart: _Apart, *, keeps_writable: bool) -> None:
        super().__init__(file, protocol=5, buffer_callback=apart.meet)
        self._apart = apart
        self._keeps_writable = keeps_writable

    def reducer_override(self, value: Any) -> Any:
        """Say how tables and arrays are made anew; everything else as pickle does."""
        reduce = _REDUCERS.get(family_of(value))
        return NotImplemented if reduce is None else reduce(self, value)

    # -- one per family

    def reduce_array(self, array: Any) -> Any:
        """Take an array apart; a subclass keeps its kind."""
        import numpy as np

        cls = type(array)
        if cls is np.ma.MaskedArray:
            mask = np.ma.getmask(array)
            parts = (np.ma.getdata(array), None if mask is np.ma.nomask else mask, array.fill_value, array.hardmask)
            return _masked, parts
        if cls is not np.ndarray:
            names = ("__reduce__", "__reduce_ex__")
            is_plain = all(getattr(cls, name) is getattr(np.ndarray, name) for name in names)
            if issubclass(cls, np.memmap):
                return _same, (np.asarray(array),)
            is_numpys = cls.__module__.partition(".")[0] == "numpy"
            is_known = is_plain and (is_numpys or not vars(array))
            return (_of_class, (np.asarray(array), cls)) if is_known else NotImplemented
        if array.dtype.hasobject or array.dtype.kind == "T" or array.nbytes == 0:
            if array.nbytes:
                self._apart.text_copies.append(PayloadCopy(sizes.size_bytes(array), "Python objects are pickled"))
            return NotImplemented
        is_fortran = array.flags.f_contiguous and not array.flags.c_contiguous
        order = "F" if is_fortran else "C"
        is_writable = self._keeps_writable and array.flags.writeable
        if array.nbytes < _IN_TEXT_BYTES:
            self._apart.text_copies.append(PayloadCopy(array.nbytes, ""))
            return _array, (array.tobytes(order), array.dtype, array.shape, order, is_writable)
        return _array, (self._apart.note(_piece_of_array(array)), array.dtype, array.shape, order, is_writable)

    def reduce_frame(self, frame: Any) -> Any:
        """Take a DataFrame apart."""
        import polars as pl

        if type(frame) is not pl.DataFrame:
            return NotImplemented
        columns = [frame_pieces.take_apart(column, self._apart.note) for column in frame.get_columns()]
        return _frame, (columns, frame.height)

    def reduce_series(self, series: Any) -> Any:
        """Take a Series apart."""
        import polars as pl

        return _series, (frame_pieces.take_apart(series, self._apart.note),) if type(
            series
        ) is pl.Series else NotImplemented

    def reduce_lazy_frame(self, plan: Any) -> Any:
        """Take a plan apart: one that holds much memory is collected, for its text would hold all of it."""
        if sum(map(sizes.table_bytes, plans.held_frames(plan))) < _LIGHT_PLAN_BYTES:
            return NotImplemented
        frame: Any = plans.collect([plan])[0]
        return _lazy, (frame,)


_REDUCERS: Final[dict[str, Callable[[_Packer, Any], Any]]] = {
    "array": _Packer.reduce_array,
    "frame": _Packer.reduce_frame,
    "series": _Packer.reduce_series,
    "lazy_frame": _Packer.reduce_lazy_frame,
}


def _piece_of_array(array: np.ndarray[Any, Any]) -> Piece:
    import numpy as np

    address: int = array.__array_interface__["data"][0]
    if array.flags.c_contiguous or array.flags.f_contiguous:
        return Piece(size_bytes=array.nbytes, address=address, owner=array)

    def fill(target: int) -> None:
        raw = np.ctypeslib.as_array((ctypes.c_uint8 * array.nbytes).from_address(target))
        np.copyto(raw.view(array.dtype).reshape(array.shape), array)

    return Piece(size_bytes=array.nbytes, address=0, owner=array, fill=fill)


def _piece_of(view: memoryview) -> Piece:
    import numpy as np

    raw = np.frombuffer(view, np.uint8)
    return Piece(size_bytes=raw.nbytes, address=raw.__array_interface__["data"][0] if raw.nbytes else 0, owner=raw)


# -- putting together


def _raw(buffer: Any) -> np.ndarray[Any, Any]:
    """See received memory as bytes; what it lies in lives as long as a view of it."""
    import numpy as np

    if hasattr(type(buffer), "__array_interface__"):
        return np.asarray(buffer)
    return np.frombuffer(buffer, np.uint8)


def _array(raw: Any, dtype: Any, shape: Any, order: Any, is_writable: bool) -> np.ndarray[Any, Any]:
    import numpy as np

    flat = np.frombuffer(raw, np.uint8) if isinstance(raw, bytes) else raw
    array: np.ndarray[Any, Any] = flat.view(dtype).reshape(shape, order=order)
    if not is_writable:
        return guards.read_only_view(array) if array.flags.writeable else array
    return array if array.flags.writeable else array.copy(order="K")


def _masked(data: Any, mask: Any, fill_value: Any, is_hard: bool) -> np.ndarray[Any, Any]:
    import numpy as np

    made = np.ma.MaskedArray(data, mask=np.ma.nomask if mask is None else mask, hard_mask=is_hard, copy=False)
    made.set_fill_value(fill_value)
    return made


def _of_class(array: Any, cls: Any) -> Any:
    view = array.view(cls)
    view.flags.writeable = array.flags.writeable
    return view


def _same(array: Any) -> Any:
    return array


def _address(raw: Any) -> int:
    address: int = raw.__array_interface__["data"][0]
    return address


def _series(column: frame_pieces.Column) -> pl.Series:
    return frame_pieces.build_up(column, _address)


def _frame(columns: list[frame_pieces.Column], height: int) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame([_series(column) for column in columns]) if columns else pl.DataFrame(height=height)


def _lazy(frame: pl.DataFrame) -> pl.LazyFrame:
    return frame.lazy()
