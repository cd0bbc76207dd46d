"""Values as bytes that last: Arrow IPC for tables, npy for arrays, JSON for plain values; never pickle.

A value becomes a JSON tree. What JSON does not know (a tuple, a date, NaN) stands in it as ``{"$": kind, …}``; tables,
arrays and byte strings stand beside it as binary parts that the tree refers to by number, so that a dict of frames is
as good as a frame. Only exact classes are taken: a subclass may mean more than its content, and is refused.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import fractions
import io
import math
import pathlib
import uuid
import warnings
import zoneinfo
from typing import TYPE_CHECKING, Any, Final

from flowbook.core.interfaces import EncodedPart, EncodedValue, Refusal
from flowbook.core.packets import ErrorPacket
from flowbook.data import plans
from flowbook.data.families import family_of
from flowbook.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flowbook.core.interfaces import ByteSink

_DEEPEST: Final = 64
#: Python refuses to write longer integers in decimal.
_LONGEST_DECIMAL_BITS: Final = 4096
_SHOWN_CHARS: Final = 200


class LastingCodecs:
    """Fills ``core.interfaces.Codecs``; it has no state and may be shared by threads."""

    def encode(self, value: object) -> EncodedValue | Refusal:
        """Prepare ``value`` for writing, or say why it cannot be; a lazy table is collected. Never raises."""
        writer = _Writer()
        try:
            return EncodedValue(writer.tree(value, 0), tuple(writer.parts))
        except _RefusedError as refused:
            return Refusal(str(refused))

    def decode(self, tree: Any, parts: Sequence[tuple[str, bytes]]) -> object:
        """Make the value anew.

        Raises:
            DataError: FB620, the tree or a part is not what ``encode`` makes.
        """
        try:
            return _Reader(parts).value(tree)
        except Exception as error:
            raise _unreadable(error) from error
        except BaseException as error:
            if type(error).__name__ == "PanicException":  # polars, on bytes that are no table
                raise _unreadable(error) from error
            raise


def _unreadable(error: BaseException) -> DataError:
    text = str(error)[:_SHOWN_CHARS]
    return DataError(f"stored bytes are no value: {type(error).__name__}: {text}", code="FB620")


class _RefusedError(Exception):
    """The value has no form that lasts; the text says why."""


class _Writer:
    def __init__(self) -> None:
        self.parts: list[EncodedPart] = []

    def tree(self, value: Any, depth: int) -> Any:
        cls = type(value)
        if value is None or cls in (bool, str):
            return value
        if cls is int:
            return value if value.bit_length() <= _LONGEST_DECIMAL_BITS else {"$": "int", "hex": hex(value)}
        if cls is float:
            return value if math.isfinite(value) else {"$": "float", "text": repr(value)}
        if cls in (list, tuple, set, frozenset, dict):
            return self._container(value, depth)
        texts = _TEXTS.get(cls)
        if texts is not None:
            return {"$": cls.__name__, **texts(value)}
        if cls in (bytes, bytearray):
            return {"$": cls.__name__, "part": self._part("bytes", lambda sink: _write_whole(sink, value))}
        return self._data(value)

    def _container(self, value: Any, depth: int) -> Any:
        if depth >= _DEEPEST:
            reason = f"it is nested more than {_DEEPEST} deep"
            raise _RefusedError(reason)
        if type(value) is not dict:
            items = [self.tree(item, depth + 1) for item in value]
            return items if type(value) is list else {"$": type(value).__name__, "items": items}
        if all(type(key) is str for key in value) and "$" not in value:
            return {key: self.tree(item, depth + 1) for key, item in value.items()}
        pairs = [[self.tree(key, depth + 1), self.tree(item, depth + 1)] for key, item in value.items()]
        return {"$": "dict", "pairs": pairs}

    def _part(self, codec: str, write: Callable[[ByteSink], None]) -> int:
        self.parts.append(EncodedPart(codec, write))
        return len(self.parts) - 1

    def _data(self, value: Any) -> Any:
        family = family_of(value)
        if type(value).__module__ == "numpy" and family in ("scalar", "text"):
            return {"$": "numpy scalar", "part": self._array(value)}
        if family == "array":
            return self._array_tree(value)
        if family == "frame" and _is_plain(value, "DataFrame"):
            return {"$": "frame", "part": self._frame(value)}
        if family == "series" and _is_plain(value, "Series"):
            return {"$": "series", "name": value.name, "part": self._frame(value.to_frame())}
        if family == "lazy_frame" and _is_plain(value, "LazyFrame"):
            return {"$": "lazy frame", "part": self._frame(_collected(value))}
        reason = f"an object of class {type(value).__qualname__} has no form but pickle"
        raise _RefusedError(reason)

    def _frame(self, frame: Any) -> int:
        import polars as pl

        opaque = [name for name, dtype in frame.schema.items() if dtype == pl.Object]
        if opaque:
            reason = f"column {opaque[0]!r} holds Python objects"
            raise _RefusedError(reason)

        def write(sink: ByteSink) -> None:
            try:
                frame.write_ipc(sink, compression="uncompressed")
            except pl.exceptions.PanicException as error:
                raise _unwritable(error) from error
            except pl.exceptions.PolarsError as error:
                raise _unwritable(error) from error

        return self._part("arrow", write)

    def _array_tree(self, array: Any) -> Any:
        import numpy as np

        if type(array) is np.ma.MaskedArray:
            mask = None if array.mask is np.ma.nomask else self._array(np.ma.getmaskarray(array))
            return {
                "$": "masked array",
                "part": self._array(array.data),
                "mask": mask,
                "fill": self._array(array.fill_value),
            }
        if type(array) is not np.ndarray:
            reason = f"an array of class {type(array).__qualname__} has no form but pickle"
            raise _RefusedError(reason)
        return {"$": "array", "part": self._array(array)}

    def _array(self, value: Any) -> int:
        import numpy as np

        array = np.asanyarray(value)
        if array.dtype.hasobject or array.dtype.kind == "T":
            reason = f"an array of {array.dtype} has no form but pickle"
            raise _RefusedError(reason)
        return self._part("npy", lambda sink: _write_array(sink, array))


def _is_plain(value: object, name: str) -> bool:
    import polars as pl

    return type(value) is getattr(pl, name)


def _collected(plan: Any) -> Any:
    import polars as pl

    try:
        return plans.collect([plan])[0]
    except (Exception, pl.exceptions.PanicException) as error:
        lines = str(error).strip().splitlines()
        reason = f"its plan cannot be collected: {type(error).__name__}: {lines[0][:_SHOWN_CHARS] if lines else ''}"
        raise _RefusedError(reason) from error


def _unwritable(error: BaseException) -> DataError:
    return DataError(f"a table that Arrow cannot write: {str(error)[:_SHOWN_CHARS]}", code="FB621")


def _write_whole(sink: ByteSink, data: bytes | bytearray) -> None:
    sink.write(data)


def _write_array(sink: ByteSink, array: Any) -> None:
    """Write in C or Fortran order, whichever the array is in, without a copy where it is contiguous."""
    import numpy as np

    contiguous = array if array.flags.forc else np.ascontiguousarray(array)
    header = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells of dtypes that an older numpy cannot read
        np.lib.format.write_array_header_2_0(header, np.lib.format.header_data_from_array_1_0(contiguous))
    sink.write(header.getbuffer())
    ordered = contiguous if contiguous.flags.c_contiguous else contiguous.T
    if ordered.nbytes:
        sink.write(ordered.reshape(-1).view(np.uint8))


class _Reader:
    def __init__(self, parts: Sequence[tuple[str, bytes]]) -> None:
        self._parts = parts

    def value(self, tree: Any) -> Any:
        if isinstance(tree, list):
            return [self.value(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        kind = tree.get("$")
        if kind is None:
            return {key: self.value(item) for key, item in tree.items()}
        if kind in _MADE:
            return _MADE[kind](tree)
        if kind == "dict":
            return {self.value(key): self.value(item) for key, item in tree["pairs"]}
        if kind in _COLLECTIONS:
            return _COLLECTIONS[kind](self.value(item) for item in tree["items"])
        return self._data(kind, tree)

    def _data(self, kind: str, tree: dict[str, Any]) -> Any:
        if kind in ("bytes", "bytearray"):
            data = self._part(tree["part"], "bytes")
            return data if kind == "bytes" else bytearray(data)
        if kind == "frame":
            return self._frame(tree["part"])
        if kind == "series":
            return self._frame(tree["part"]).to_series().alias(tree["name"])
        if kind == "lazy frame":
            return self._frame(tree["part"]).lazy()
        if kind == "array":
            return self._array(tree["part"])
        if kind == "numpy scalar":
            return self._array(tree["part"])[()]
        if kind == "masked array":
            return self._masked(tree)
        message = f"unknown kind {kind!r}"
        raise ValueError(message)

    def _part(self, number: int, codec: str) -> bytes:
        found, data = self._parts[number]
        if found != codec:
            message = f"part {number} is {found}, not {codec}"
            raise ValueError(message)
        return data

    def _frame(self, number: int) -> Any:
        import polars as pl

        return pl.read_ipc(io.BytesIO(self._part(number, "arrow")))

    def _array(self, number: int) -> Any:
        import numpy as np

        return np.lib.format.read_array(io.BytesIO(self._part(number, "npy")), allow_pickle=False)

    def _masked(self, tree: dict[str, Any]) -> Any:
        import numpy as np

        mask = np.ma.nomask if tree["mask"] is None else self._array(tree["mask"])
        return np.ma.MaskedArray(self._array(tree["part"]), mask=mask, fill_value=self._array(tree["fill"])[()])


def _of_time(value: datetime.datetime | datetime.time) -> dict[str, Any]:
    """Write a time with its zone; only zones that can be named are taken."""
    zone = value.tzinfo
    if zone is None or type(zone) is datetime.timezone:
        return {"text": value.isoformat(), "fold": value.fold}
    if type(zone) is zoneinfo.ZoneInfo and zone.key:
        return {"text": value.replace(tzinfo=None).isoformat(), "fold": value.fold, "zone": zone.key}
    reason = f"a time zone of class {type(zone).__qualname__} has no form but pickle"
    raise _RefusedError(reason)


def _time_of(cls: type[Any], tree: dict[str, Any]) -> Any:
    value = cls.fromisoformat(tree["text"]).replace(fold=tree["fold"])
    return value.replace(tzinfo=zoneinfo.ZoneInfo(tree["zone"])) if "zone" in tree else value


def _of_delta(value: datetime.timedelta) -> dict[str, Any]:
    return {"days": value.days, "seconds": value.seconds, "microseconds": value.microseconds}


def _of_text(value: object) -> dict[str, Any]:
    return {"text": str(value)}


def _of_error(value: ErrorPacket) -> dict[str, Any]:
    """Write all that is told of a failure; the exception itself ends with its process."""
    return {name: getattr(value, name) for name in _ERROR_FIELDS}


_ERROR_FIELDS: Final = tuple(entry.name for entry in dataclasses.fields(ErrorPacket) if entry.name != "cause")
_PATHS: Final = (pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePosixPath, pathlib.PureWindowsPath)
_TEXTS: Final[dict[type, Callable[[Any], dict[str, Any]]]] = {
    complex: lambda value: {"real": repr(value.real), "imag": repr(value.imag)},
    datetime.date: lambda value: {"text": value.isoformat()},
    datetime.datetime: _of_time,
    datetime.time: _of_time,
    datetime.timedelta: _of_delta,
    decimal.Decimal: _of_text,
    fractions.Fraction: lambda value: {"numerator": hex(value.numerator), "denominator": hex(value.denominator)},
    uuid.UUID: _of_text,
    range: lambda value: {"bounds": [hex(value.start), hex(value.stop), hex(value.step)]},
    type(...): lambda _: {},
    ErrorPacket: _of_error,
    **dict.fromkeys(_PATHS, _of_text),
}
_COLLECTIONS: Final[dict[str, Callable[[Any], Any]]] = {"tuple": tuple, "set": set, "frozenset": frozenset}
_MADE: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    "int": lambda tree: int(tree["hex"], 16),
    "float": lambda tree: float(tree["text"]),
    "complex": lambda tree: complex(float(tree["real"]), float(tree["imag"])),
    "date": lambda tree: datetime.date.fromisoformat(tree["text"]),
    "datetime": lambda tree: _time_of(datetime.datetime, tree),
    "time": lambda tree: _time_of(datetime.time, tree),
    "timedelta": lambda tree: datetime.timedelta(tree["days"], tree["seconds"], tree["microseconds"]),
    "Decimal": lambda tree: decimal.Decimal(tree["text"]),
    "Fraction": lambda tree: fractions.Fraction(int(tree["numerator"], 16), int(tree["denominator"], 16)),
    "UUID": lambda tree: uuid.UUID(tree["text"]),
    "range": lambda tree: range(*(int(bound, 16) for bound in tree["bounds"])),
    "ellipsis": lambda _: ...,
    "ErrorPacket": lambda tree: ErrorPacket(**{name: tree[name] for name in _ERROR_FIELDS}),
    **{cls.__name__: lambda tree, cls=cls: cls(tree["text"]) for cls in _PATHS},  # type: ignore[misc]
}
