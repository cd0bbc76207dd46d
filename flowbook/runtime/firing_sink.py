"""Keeps what one firing writes and shows, from all of its threads, in order and within bounds."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from flowbook.core.interfaces import Effects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OPEN_ENTRY_CHARS = 8_192  # a line that grows beyond this goes on in a new entry: appending stays cheap
_MAX_DISPLAYS = 64
_MAX_DISPLAY_CHARS = 16_000_000

#: The sink of the firing whose code is running in this context; ``sink_here`` reads it.
current_sink: ContextVar[FiringSink | None] = ContextVar("flowbook_firing", default=None)


class FiringSink:
    """Takes what one firing writes, from any of its threads, and keeps it within bounds.

    Consecutive writes of one thread to one stream are joined until their line ends, so that ``print("a", 1)`` is one
    entry and lines of two threads never mix; a carriage return overwrites the line, as on a terminal, so that a
    progress bar is one entry.

    Args:
        effects: where entries and displays are appended.
        passes_through: also write to where the text would have gone.
        max_entries: entries kept.
        max_chars: characters of text kept.
        on_late: told after something was recorded once the firing has ended.
        parent: the sink that was current when this one began (a firing inside a firing).
    """

    def __init__(
        self,
        effects: Effects,
        *,
        passes_through: bool,
        max_entries: int,
        max_chars: int,
        on_late: Callable[[Effects], None] | None = None,
        parent: FiringSink | None = None,
    ) -> None:
        self.effects = effects
        self.passes_through = passes_through
        self.parent = parent
        self.is_ended = False
        self._entries_left = max_entries
        self._chars_left = max_chars
        self._on_late = on_late
        self._lock = threading.RLock()  # re-entrant: a finalizer may print while a write is going on
        self._open: dict[tuple[int, str], int] = {}  # (thread, stream) -> index of its unfinished line
        self._shown: dict[str, int] = {}  # display id -> index in displays
        self._displays_left = _MAX_DISPLAYS
        self._display_chars_left = _MAX_DISPLAY_CHARS
        self._clears_on_next = False

    def write(self, stream: str, text: str) -> None:
        """Take a piece of text as ``print`` writes it, newline and all."""
        if not text:
            return
        writer = (threading.get_ident(), stream)
        with self._lock:
            self._clear_if_asked()
            index = self._open.get(writer)
            if index is None or not self._extend(index, text):
                index = self._append(stream, text)
            if index is None or text.endswith("\n") or len(self.effects.entries[index][1]) > _OPEN_ENTRY_CHARS:
                self._open.pop(writer, None)
            else:
                self._open[writer] = index
        self._tell_if_late()

    def note(self, stream: str, text: str) -> None:
        """Take one whole entry: a log record, a warning, the text of a display."""
        with self._lock:
            self._clear_if_asked()
            self._append(stream, text)
        self._tell_if_late()

    def show(
        self, data: dict[str, Any], metadata: dict[str, Any], *, display_id: str | None = None, updates: bool = False
    ) -> None:
        """Take a mime bundle; one that updates a display id shown before in this firing replaces it."""
        size = sum(len(value) for value in data.values() if isinstance(value, str | bytes))
        with self._lock:
            self._clear_if_asked()
            index = self._shown.get(display_id) if updates and display_id is not None else None
            if index is not None:
                self.effects.displays[index] = (data, metadata)
            elif self._displays_left < 1 or size > self._display_chars_left:
                self.effects.dropped_count += 1
            else:
                self._displays_left -= 1
                self._display_chars_left -= size
                self.effects.displays.append((data, metadata))
                if display_id is not None:
                    self._shown[display_id] = len(self.effects.displays) - 1
                self._append("display", str(data.get("text/plain", "")))
        self._tell_if_late()

    def clear(self, *, wait: bool = False) -> None:
        """Forget what was printed and displayed so far, now or (``wait``) when the next thing comes.

        Log records and warnings stay, and what was dropped stays counted.
        """
        with self._lock:
            self._clears_on_next = True
            if not wait:
                self._clear_if_asked()
        self._tell_if_late()

    def pinned(self) -> FiringSink:
        """Give the sink that a thread takes along, whatever is current later."""
        return self

    def lineage(self) -> Iterator[FiringSink]:
        """Give this sink and those it is nested in, innermost first."""
        sink: FiringSink | None = self
        while sink is not None:
            yield sink
            sink = sink.parent

    def _append(self, stream: str, text: str) -> int | None:
        if "\r" in text:
            text = _overwrite_lines(text)
        if self._entries_left < 1 or self._chars_left < 1:
            if text != "\n":  # the end of a line that is counted already
                self.effects.dropped_count += text.count("\n", 0, -1) + 1
            return None
        if len(text) > self._chars_left:
            text = text[: self._chars_left]
            self.effects.dropped_count += 1
        self._entries_left -= 1
        self._chars_left -= len(text)
        self.effects.entries.append((stream, text))
        return len(self.effects.entries) - 1

    def _extend(self, index: int, text: str) -> bool:
        """Go on with an unfinished line; False when the text no longer fits within bounds."""
        stream, old = self.effects.entries[index]
        joined = old + text
        if "\r" in joined:
            joined = _overwrite_lines(joined)
        growth = len(joined) - len(old)
        if growth > self._chars_left:
            return False
        self._chars_left -= growth
        self.effects.entries[index] = (stream, joined)
        return True

    def _clear_if_asked(self) -> None:
        if not self._clears_on_next:
            return
        self._clears_on_next = False
        kept = [entry for entry in self.effects.entries if entry[0] in {"log", "warning"}]
        freed = self.effects.entries
        self._entries_left += len(freed) - len(kept)
        self._chars_left += sum(len(text) for _, text in freed) - sum(len(text) for _, text in kept)
        self._displays_left += len(self.effects.displays)
        self._display_chars_left = _MAX_DISPLAY_CHARS
        self.effects.entries[:] = kept
        self.effects.displays.clear()
        self._open.clear()
        self._shown.clear()

    def _tell_if_late(self) -> None:
        if self.is_ended and self._on_late is not None:
            self._on_late(self.effects)


class SweptSink(FiringSink):
    """Stands for the sink of whichever node a sweep is calling; a real one is made for a node that writes something.

    Args:
        make: makes the sink of the node that is being called.
        end: ends such a sink, while it is current.
    """

    def __init__(self, make: Callable[[], FiringSink], end: Callable[[FiringSink], None]) -> None:
        # It takes nothing itself, so nothing is made for that: one is made for every run.
        self._make = make
        self._end = end
        #: The sink of the node that is being called, once it has one.
        self.opened: FiringSink | None = None

    def pinned(self) -> FiringSink:
        """Give the sink of the node that is being called."""
        if self.opened is None:
            token = current_sink.set(None)
            try:
                self.opened = self._make()
            finally:
                current_sink.reset(token)
        return self.opened

    def close(self) -> None:
        """End the sink of the node that was called."""
        sink, self.opened = self.opened, None
        if sink is None:
            return
        token = current_sink.set(sink)
        try:
            self._end(sink)
        finally:
            sink.is_ended = True
            current_sink.reset(token)


class _MutedSink(FiringSink):
    """Swallows everything: what console handlers write for a log record that is noted already."""

    def __init__(self) -> None:
        super().__init__(Effects(), passes_through=False, max_entries=0, max_chars=0)

    def write(self, stream: str, text: str) -> None:
        """Take and forget."""

    def note(self, stream: str, text: str) -> None:
        """Take and forget."""

    def show(
        self, data: dict[str, Any], metadata: dict[str, Any], *, display_id: str | None = None, updates: bool = False
    ) -> None:
        """Take and forget."""

    def clear(self, *, wait: bool = False) -> None:
        """Nothing is kept, nothing is cleared."""


MUTED = _MutedSink()


def sink_here() -> FiringSink | None:
    """Give the sink of the firing whose code asks, or None outside of firings."""
    sink = current_sink.get()
    return None if sink is None else sink.pinned()


def _overwrite_lines(text: str) -> str:
    """Let a carriage return start its line anew, as a terminal would; the last one stays if it ends the text."""
    lines = text.replace("\r\n", "\n").split("\n")
    shown = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
    if lines[-1].endswith("\r"):
        shown[-1] += "\r"  # the next piece overwrites this line, and must know
    return "\n".join(shown)
