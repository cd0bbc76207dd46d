"""The memory cache of one flow, as a person looks at it: how much it holds, how much it may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbook.canvas.pieces.wording import byte_count
from flowbook.errors import DefinitionError

if TYPE_CHECKING:
    from flowbook.runtime.results import FlowResults


class FlowCache:
    """Results of earlier settings and inputs, least recently used first to go; the present values are not among it.

    What several results share is counted once. Nodes with ``cache="disk"`` are kept on disk besides; see
    ``flowbook cache``.
    """

    def __init__(self, results: FlowResults) -> None:
        self._results = results

    @property
    def size_bytes(self) -> int:
        """Memory it holds, by estimate, bytes."""
        with self._results.lock:
            return self._results.cache.size_bytes

    @property
    def budget_bytes(self) -> int:
        """Memory it may hold, bytes; setting it lower drops what is over it, 0 keeps nothing."""
        with self._results.lock:
            return self._results.cache.budget_bytes

    @budget_bytes.setter
    def budget_bytes(self, budget_bytes: int) -> None:
        given: Any = budget_bytes
        if isinstance(given, bool) or not isinstance(given, int) or given < 0:
            raise DefinitionError(
                f"budget_bytes={budget_bytes!r} is not a size", code="FB101", hint="bytes, a whole number, >= 0"
            )
        with self._results.lock:
            self._results.cache.budget_bytes = budget_bytes

    def __repr__(self) -> str:
        """Show size and budget."""
        return f"<memory cache: {byte_count(self.size_bytes)} of {byte_count(self.budget_bytes)}>"
