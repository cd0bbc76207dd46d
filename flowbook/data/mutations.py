"""Debug mode: finds out that a value was changed after it was given away, and names who may have done it.

The guards (``guards``) stop nearly all of this as it happens. What they cannot stop is a writable view that a node took
of an array before it returned it, also when a table was built over that array; and Python objects, which cross by
reference. In debug mode the bytes of every published value are hashed, and hashed again after every firing. That reads
all present values once per firing, at about the speed of copying them: for looking for a fault, not for every day.

The hash is XXH3: 20 times faster than the fastest of the standard library, and nobody here forges anything.
"""

from __future__ import annotations

import ctypes
import pickle
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import xxhash

from flowbook.data import arrow_buffers, foreign_tables, plans
from flowbook.data.families import Family, family_of
from flowbook.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# What cannot be changed, or is no data.
_CONSTANT: Final[frozenset[Family]] = frozenset(
    {"callable", "text", "bytes", "scalar", "figure", "chart", "photo", "png_maker"}
)


class _Known(NamedTuple):
    value: object
    digest: str


class MutationWatch:
    """Watches the latest outputs of every node; fills ``core.interfaces.ValueWatch``. May be used from several threads.

    Two nodes that fire at the same time are both named: which of them wrote cannot be told.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[_Known, ...]] = {}
        self._firing: list[str] = []
        self._suspects: set[str] = set()

    def began(self, flow: str, node_id: str) -> None:
        """A node begins to fire.

        Raises:
            DataError: FB608, a value has changed while no node fired.
        """
        with self._lock:
            if not self._firing:
                self._look((flow, node_id))
            self._firing.append(node_id)
            self._suspects.add(node_id)

    def ended(self, flow: str, node_id: str) -> None:
        """A node has returned, or failed.

        Raises:
            DataError: FB608, a value has changed since the last look; who fired meanwhile is named.
        """
        with self._lock:
            self._suspects.add(node_id)
            try:
                self._look((flow, node_id))
            finally:
                if node_id in self._firing:
                    self._firing.remove(node_id)
                self._suspects = set(self._firing)

    def published(self, flow: str, node_id: str, values: Sequence[object]) -> None:
        """A node has given its outputs, which are watched from now on instead of its earlier ones."""
        known = tuple(_Known(value, digest) for value in values if (digest := fingerprint(value)))
        with self._lock:
            self._known[flow, node_id] = known

    def _look(self, where: tuple[str, str]) -> None:
        changed = [key for key, known in self._known.items() if any(fingerprint(v) != digest for v, digest in known)]
        for key in changed:
            # Told once; from now on it is what it has become.
            self._known[key] = tuple(_Known(value, fingerprint(value)) for value, _ in self._known[key])
        if changed:
            raise _changed(changed, sorted(self._suspects), where)


def _changed(changed: list[tuple[str, str]], suspects: list[str], where: tuple[str, str]) -> DataError:
    owners = " and ".join(repr(node_id) for _, node_id in changed)
    if suspects:
        who = " and ".join(map(repr, suspects))
        what = f"the value of {owners} changed while {who} fired"
        hint = f"{who} wrote to it through a view or an object that it shares: let it work on a copy, or take the copy "
        hint += f"in {owners} before returning"
    else:
        what = f"the value of {owners} changed while no node fired"
        hint = "a cell, or a thread that outlived its node, wrote to it: return a copy instead"
    return DataError(
        what,
        code="FB608",
        where=f"flow {where[0]!r}, node {where[1]!r}",
        hint=hint,
        changed=[node_id for _, node_id in changed],
        suspects=suspects,
    )


def fingerprint(value: object) -> str:
    """Hash all bytes of a value.

    Returns:
        Hex digits, the same as long as nobody changes the value; empty for what cannot be changed or looked at. Two
        values that are equal may differ in it: it tells of memory, not of meaning.
    """
    if family_of(value) in _CONSTANT:
        return ""
    digest = xxhash.xxh3_128()
    try:
        _feed(digest.update, value)
    except Exception:  # an object that cannot be pickled, a stranger's class: it is not watched
        return ""
    return digest.hexdigest()


def _feed(update: Callable[[Any], None], value: Any) -> None:
    family = family_of(value)
    if family == "array":
        _feed_array(update, value)
    elif family in {"frame", "series"}:
        for column in value.get_columns() if family == "frame" else (value,):
            _feed_column(update, column)
    elif family == "lazy_frame":
        for frame in plans.held_frames(value):
            _feed(update, frame)
    elif family == "arrow_table":
        _feed(update, foreign_tables.read(value).frame)
    elif family == "container":
        items = [part for pair in value.items() for part in pair] if isinstance(value, dict) else value
        update(f"{type(value).__qualname__} {len(value)}".encode())
        for item in items:
            _feed(update, item)
    else:
        update(pickle.dumps(value))


def _feed_array(update: Callable[[Any], None], array: Any) -> None:
    import numpy as np

    if isinstance(array, np.ma.MaskedArray):
        _feed_array(update, np.ma.getmaskarray(array))
        array = np.ma.getdata(array)
    array = np.asarray(array)
    update(f"{array.dtype.str} {array.shape}".encode())
    if array.dtype.hasobject or array.dtype.kind == "T":
        update(pickle.dumps(array.tolist()))
    elif array.size:
        # Fortran order is hashed as it lies; only what lies apart is gathered first.
        lying = array if array.flags.c_contiguous else np.ascontiguousarray(array.T)
        update(lying.reshape(-1).view("u1").data)


def _feed_column(update: Callable[[Any], None], column: Any) -> None:
    def feed(buffers: list[arrow_buffers.Buffer]) -> None:
        for address, size_bytes in buffers:
            update((ctypes.c_char * size_bytes).from_address(address))

    update(f"{column.name} {column.dtype} {len(column)}".encode())
    if not arrow_buffers.column_buffers(column, feed) and column.dtype.is_object():
        update(pickle.dumps(column.to_list()))
