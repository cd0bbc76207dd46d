"""Keeps consumers from changing each other's values, without copying a byte.

What holds, per family:

========  ======================================  ==========================================================
family    publish (a node made it)                hand_out (one consumer)
========  ======================================  ==========================================================
array     frozen, and the arrays that own its     a view nobody can make writable again
          memory with it
frame,    a clone that shares its buffers         a clone: polars copies a buffer before it writes to it
Series
LazyFrame as it is: it cannot be changed          as it is
list,     the arrays and frames in it likewise    a new list, tuple or dict around views and clones, when there
tuple,                                            are any; else the same object
dict
others    as they are                             as they are (by reference)
========  ======================================  ==========================================================

Values that enter from the notebook are not published: they are viewed and cloned like the others, so that no node can
change the notebook's variable, but the notebook itself still can.
"""

from __future__ import annotations

import array as array_module
import itertools
import sys
from typing import TYPE_CHECKING, Any, Final

from flowbook.data import foreign_tables
from flowbook.data.families import Family, family_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np

# dtype kinds whose memory the buffer protocol can describe exactly; dates, records and raw bytes are not among them.
_BUFFER_KINDS: Final = frozenset("biufcSUO")
# A list is taken to hold arrays when one of its first items is an array; looking at a million ints would cost.
_ITEMS_LOOKED_AT: Final = 64
_MOST_LOOKED_AT: Final = 512
_DEEPEST: Final = 4
_GUARDED: Final[frozenset[Family]] = frozenset({"array", "frame", "series", "arrow_table"})


def publish(value: object) -> object:
    """Guard a value that a node just made.

    Arrays are frozen where they lie: the node that keeps a reference gets ``ValueError`` when it writes to it later.
    A view that the node took before, and a frame that aliases the array, are not reached. An array that the function
    only looked up in the notebook counts as made by the node once it is returned.

    Args:
        value: what the node returned.

    Returns:
        The value itself, or for frames and Series a clone over the same buffers.
    """
    guard = _PUBLISH.get(family_of(value))
    return value if guard is None else guard(value)


def isolate(value: object) -> object:
    """Give one consumer its own guarded reference to ``value``; no bytes are copied."""
    guard = _ISOLATE.get(family_of(value))
    return value if guard is None else guard(value)


def freeze(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Make ``array`` read-only, together with every array whose memory it shows (its ``.base`` chain)."""
    import numpy as np

    link: object = array
    while isinstance(link, np.ndarray):
        link.flags.writeable = False
        if isinstance(link, np.ma.MaskedArray):
            mask = np.ma.getmask(link)
            if mask is not np.ma.nomask:
                mask.flags.writeable = False
        link = link.base
    return array


def can_be_written(array: np.ndarray[Any, Any]) -> bool:
    """Tell whether somebody may still write to the memory that ``array`` shows: it, or an array it is a view of.

    A frozen array cannot be, nor a view of one. A read-only view of a notebook's array can: the notebook has the
    array. Memory that belongs to no array (a file, a polars column) counts as constant when its view is read-only.
    """
    import numpy as np

    link: Any = array
    while True:
        if isinstance(link, np.ndarray):
            if link.flags.writeable:
                return True
            link = link.base
        elif type(link) is memoryview:
            link = link.obj
            if isinstance(link, (bytearray, array_module.array)):
                return True
        elif type(link) is _Lender:
            link = link.owner
        else:
            return False


def read_only_view(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """View ``array`` in a way that cannot be made writable again, whatever its type, order and strides.

    ``view.flags.writeable = True`` is refused because the memory is borrowed from a read-only export and not from
    the array. A subclass is kept with its metadata; one that insists on its own memory is viewed by its own rules.
    """
    import numpy as np

    cls = type(array)
    if cls is np.ndarray:
        return _borrow(array)
    if cls is np.ma.MaskedArray:
        return _masked_view(array)  # type: ignore[no-any-return]
    plain = _borrow(np.asarray(array))
    try:
        view = plain.view(array.dtype, cls) if array.dtype != plain.dtype else plain.view(cls)
        view.__array_finalize__(array)  # numpy's own protocol for carrying a subclass's metadata over
    except Exception:  # a stranger's subclass: keep its kind, at the price of a weaker guard
        view = array.view()
    view.flags.writeable = False
    return view


def _borrow(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    if array.dtype.kind in _BUFFER_KINDS:
        return _with_metadata(np.asarray(memoryview(array).toreadonly()), array)  # type: ignore[arg-type]
    try:
        view = np.asarray(_Lender(array))
    except (TypeError, ValueError):  # a type that only numpy itself can read (StringDType)
        view = array.view()
        view.flags.writeable = False
        return view
    return view if view.dtype == array.dtype else view.view(array.dtype)


def _with_metadata(view: np.ndarray[Any, Any], array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Keep what a dtype says besides its layout, which no exchange of buffers knows."""
    return view.view(array.dtype) if array.dtype.metadata and not view.dtype.metadata else view


class _Lender:
    """Exports an array's memory as read-only through numpy's array interface, and keeps the array alive."""

    __slots__ = ("__array_interface__", "owner")

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.owner = array
        address, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, True)}


def _masked_view(array: Any) -> Any:
    import numpy as np

    mask = np.ma.getmask(array)
    view = np.ma.MaskedArray(
        _borrow(np.ma.getdata(array)),
        mask=mask if mask is np.ma.nomask else _borrow(mask),
        hard_mask=array.hardmask,
        copy=False,
    )
    view.set_fill_value(array.fill_value)
    return view


def _clone(frame: Any) -> Any:
    return frame.clone()


def _publish_items(container: Any, depth: int = 0) -> Any:
    if depth < _DEEPEST and _holds_guarded(container, depth):
        for item in _items(container):
            if family_of(item) == "array":
                freeze(item)  # type: ignore[arg-type]
            elif family_of(item) == "container":
                _publish_items(item, depth + 1)
    return container


def _isolate_items(container: Any, depth: int = 0) -> Any:
    if depth >= _DEEPEST or not _holds_guarded(container, depth):
        return container
    cls = type(container)
    if cls is dict:
        return {key: _isolate_item(item, depth) for key, item in container.items()}
    if cls is list:
        return [_isolate_item(item, depth) for item in container]
    items = (_isolate_item(item, depth) for item in container)
    return tuple(items) if cls is tuple else cls._make(items)


def _isolate_item(item: object, depth: int) -> object:
    return _isolate_items(item, depth + 1) if family_of(item) == "container" else isolate(item)


def _holds_guarded(container: Any, depth: int) -> bool:
    """Tell whether a container holds something to guard, by the first items of it and of the containers in it."""
    if "numpy" not in sys.modules and "polars" not in sys.modules:
        return False
    looked_at = 0
    waiting = [(container, depth)]
    while waiting:
        box, level = waiting.pop()
        for item in itertools.islice(_items(box), _ITEMS_LOOKED_AT):
            family = family_of(item)
            if family in _GUARDED:
                return True
            looked_at += 1
            if looked_at >= _MOST_LOOKED_AT:
                return False
            if family == "container" and level + 1 < _DEEPEST:
                waiting.append((item, level + 1))
    return False


def _items(container: Any) -> Iterable[object]:
    cls = type(container)
    if cls is dict:
        return container.values()  # type: ignore[no-any-return]
    if cls is list or cls is tuple or (issubclass(cls, tuple) and hasattr(cls, "_make")):
        return container  # type: ignore[no-any-return]
    return ()  # subclasses may mean anything by iteration


_PUBLISH: Final[dict[Family, Callable[[Any], Any]]] = {
    "array": freeze,
    "frame": _clone,
    "series": _clone,
    "arrow_table": foreign_tables.isolate,
    "container": _publish_items,
}
_ISOLATE: Final[dict[Family, Callable[[Any], Any]]] = {
    "array": read_only_view,
    "frame": _clone,
    "series": _clone,
    "arrow_table": foreign_tables.isolate,
    "container": _isolate_items,
}
