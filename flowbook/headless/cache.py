"""``flowbook cache``: what nodes with ``cache="disk"`` have kept on this machine, and how to be rid of it."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Final

from flowbook.data.lasting_codecs import LastingCodecs
from flowbook.errors import did_you_mean
from flowbook.stores.disk_cache import DiskCache
from flowbook.stores.folders import cache_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowbook.stores.disk_cache import CacheEntry

_UNITS: Final = ("B", "KB", "MB", "GB", "TB")
_KEY_CHARS: Final = 12


def list_cache(flow: str | None) -> int:
    """Print one line per entry, the most recently used first; returns the exit code."""
    known = _cache().entries()
    entries = [entry for entry in known if flow in (None, entry.flow)]
    if not entries:
        print(_nothing_of(flow, known))
        return 0
    rows = [("FLOW", "NODE", "SIZE", "LAST USED (UTC)", "KEY"), *map(_row, entries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            text.rjust(width) if number == 2 else text.ljust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
    print(_total(len(entries), sum(entry.size_bytes for entry in entries)))
    return 0


def clear_cache(flow: str | None) -> int:
    """Forget every entry, or those of one flow, and say how many they were; returns the exit code.

    Raises:
        StoreError: FB902, a file cannot be removed.
    """
    cache = _cache()
    known = cache.entries() if flow is not None else []
    count, size_bytes = cache.clear(flow)
    if flow is not None and not count:
        print(_nothing_of(flow, known))
        return 0
    print(f"forgot {_total(count, size_bytes)}")
    return 0


def _cache() -> DiskCache:
    return DiskCache(cache_folder(), LastingCodecs())


def _nothing_of(flow: str | None, known: Sequence[CacheEntry]) -> str:
    if flow is None:
        return "nothing is kept"
    hint = did_you_mean(flow, {entry.flow for entry in known})
    return f"nothing is kept of flow {flow!r}" + (f"; {hint}" if hint else "")


def _row(entry: CacheEntry) -> tuple[str, str, str, str, str]:
    used = datetime.datetime.fromtimestamp(entry.used_at, datetime.UTC)
    return entry.flow, entry.node, _size(entry.size_bytes), f"{used:%Y-%m-%d %H:%M:%S}", entry.key[:_KEY_CHARS]


def _total(count: int, size_bytes: int) -> str:
    return f"{count} {'entry' if count == 1 else 'entries'}, {_size(size_bytes)}"


def _size(size_bytes: float) -> str:
    """Write a number of bytes in the unit that leaves one to three digits before the point."""
    for unit in _UNITS[:-1]:
        if size_bytes < 999.5:
            return f"{size_bytes:.0f} {unit}" if unit == "B" or size_bytes >= 9.95 else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} {_UNITS[-1]}"
