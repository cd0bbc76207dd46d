"""What the nodes of one run share while it goes on: ``ctx.state``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any


class RunState(MutableMapping[str, Any]):
    """A mapping that belongs to one run: empty when it begins, gone when it is over.

    Every single operation is safe while nodes fire beside each other; ``change`` reads and writes in one. In which
    order nodes come to it is decided by edges alone.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._values: dict[str, Any] = {}

    def change(self, name: str, function: Callable[[Any], Any], start: Any = None) -> Any:
        """Put ``function(value)`` in place of a value, or ``function(start)`` where there is none; returns it.

        Nobody else reads or writes the state meanwhile.
        """
        with self._lock:
            self._values[name] = made = function(self._values.get(name, start))
            return made

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Return the value of that name; where there is none, ``default``, which it is from now on."""
        with self._lock:
            return self._values.setdefault(name, default)

    def __getitem__(self, name: str) -> Any:
        with self._lock:
            return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        with self._lock:
            self._values[name] = value

    def __delitem__(self, name: str) -> None:
        with self._lock:
            del self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names there are now; others may be added meanwhile."""
        with self._lock:
            return iter(list(self._values))

    def __len__(self) -> int:
        with self._lock:
            return len(self._values)

    def __repr__(self) -> str:
        """Show the values."""
        with self._lock:
            return repr(self._values)
