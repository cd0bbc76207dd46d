"""Values in memory by key, within a byte budget: the least recently used goes first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

DEFAULT_BUDGET_BYTES = 512 * 1024 * 1024

Key = TypeVar("Key", bound="Hashable")
Value = TypeVar("Value")


class MemoryCache(Generic[Key, Value]):
    """See the module's docstring; may be used from several threads.

    Args:
        budget_bytes: most memory to hold, by the sizes that are handed in; >= 0.
        on_drop: told of every entry that had to make room, after it is gone.
    """

    def __init__(
        self, budget_bytes: int = DEFAULT_BUDGET_BYTES, on_drop: Callable[[Key, Value], None] | None = None
    ) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._size_bytes = 0
        self._budget_bytes = budget_bytes
        self._on_drop = on_drop

    def get(self, key: Key) -> Value | None:
        """Return the value of that key and make it the most recently used; None when it is not there."""
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries.move_to_end(key)
            return found[0]

    def put(self, key: Key, value: Value, size_bytes: int) -> bool:
        """Keep a value in place of an earlier one, and drop what is over the budget.

        Args:
            key: under which it is found again.
            value: any.
            size_bytes: memory it holds, >= 0.

        Returns:
            Whether it is kept; False when it alone is over the budget.
        """
        with self._lock:
            self._forget(key)
            is_kept = size_bytes <= self._budget_bytes
            if is_kept:
                self._entries[key] = (value, size_bytes)
                self._size_bytes += size_bytes
            dropped = self._shrink()
        self._tell(dropped)
        return is_kept

    def drop(self, is_meant: Callable[[Key], bool]) -> int:
        """Forget every entry whose key is meant; returns how many. ``on_drop`` is not told: who asked knows."""
        with self._lock:
            keys = [key for key in self._entries if is_meant(key)]
            for key in keys:
                self._forget(key)
            return len(keys)

    @property
    def budget_bytes(self) -> int:
        """Most memory to hold, bytes; setting it lower drops entries at once."""
        return self._budget_bytes

    @budget_bytes.setter
    def budget_bytes(self, budget_bytes: int) -> None:
        with self._lock:
            self._budget_bytes = budget_bytes
            dropped = self._shrink()
        self._tell(dropped)

    @property
    def size_bytes(self) -> int:
        """Memory held now, bytes."""
        return self._size_bytes

    def __len__(self) -> int:
        return len(self._entries)

    def _forget(self, key: Key) -> None:
        _, size_bytes = self._entries.pop(key, (None, 0))
        self._size_bytes -= size_bytes

    def _shrink(self) -> list[tuple[Key, Value]]:
        dropped = []
        while self._size_bytes > self._budget_bytes:
            key, (value, size_bytes) = self._entries.popitem(last=False)
            self._size_bytes -= size_bytes
            dropped.append((key, value))
        return dropped

    def _tell(self, dropped: list[tuple[Key, Value]]) -> None:
        if self._on_drop is not None:
            for key, value in dropped:
                self._on_drop(key, value)
