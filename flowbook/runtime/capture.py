"""Collects what node code prints, logs and warns of, per firing, wherever it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from flowbook.core.interfaces import Effects


class StreamCapture:
    """The Capture of a plain Python process; ``NotebookCapture`` adds displays and figures.

    Args:
        passes_through: text of a firing is recorded and also written where it would have gone (a script's print is
            seen); False records it only.
        max_entries: entries kept per firing, >= 1; later ones are counted in ``Effects.dropped_count``.
        max_bytes: text kept per firing, bytes, >= 1.
        on_late: told when something is recorded for a firing that has ended (a thread that outlived it).
    """

    def __init__(
        self,
        *,
        passes_through: bool = True,
        max_entries: int = 2_000,
        max_bytes: int = 1_000_000,
        on_late: Callable[[Effects], None] | None = None,
    ) -> None:
        raise NotImplementedError

    def install(self) -> None:
        """Hook streams, logging, warnings and threads; calls nest and only the first one does anything."""
        raise NotImplementedError

    def uninstall(self) -> None:
        """Undo one ``install``; the last one puts everything back."""
        raise NotImplementedError

    def installed(self) -> AbstractContextManager[Self]:
        """Be installed until the block ends."""
        raise NotImplementedError

    def firing(self, effects: Effects) -> AbstractContextManager[None]:
        """Send everything the current context prints, logs or warns of into ``effects`` until the block ends."""
        raise NotImplementedError

    def claim(self, value: object) -> None:
        """Say that a firing returned ``value``: it is not an effect as well (a figure would be shown twice)."""
        raise NotImplementedError


def current_effects() -> Effects | None:
    """Give the effects of the firing whose code is running here, or None outside of firings."""
    raise NotImplementedError
