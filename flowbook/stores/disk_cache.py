"""Outputs of firings on disk, one file per key, shared by every kernel of this machine.

A file appears by a rename and is never changed afterwards, so readers need no lock. Its modification time is when it
was last used: what was not used for longest goes first when the budget is exceeded. Files that a killed kernel left
unfinished are known by nobody holding their lock, and removed by the next kernel that comes along.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import secrets
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from flowbook.core.interfaces import EncodedValue, KeptValues, Refusal
from flowbook.errors import FlowbookError, StoreError
from flowbook.stores.entry_file import EntryTooLargeError, TornEntryError, read_index, read_values, write_entry

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from flowbook.core.interfaces import Codecs

DEFAULT_BUDGET_BYTES: Final = 10 * 1024**3
_SUFFIX: Final = ".fbentry"
_KEY: Final = re.compile(r"[0-9a-f]{8,64}")
#: Other kernels write too: after this share of the budget has been written here, the folder is measured anew.
_MEASURE_AFTER: Final = 1 / 16

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """One line of the cache's list.

    Attributes:
        key: of what the values were made from, hex.
        flow: flow that kept them.
        node: node that made them.
        size_bytes: length of the file.
        created_at: seconds since the epoch.
        used_at: last read or written, seconds since the epoch.
    """

    key: str
    flow: str
    node: str
    size_bytes: int
    created_at: float
    used_at: float


class DiskCache:
    """See the module's docstring; fills ``core.interfaces.ResultCache``, from any number of threads.

    Args:
        folder: where the files are; made when it is first written to.
        codecs: how values become bytes.
        budget_bytes: most bytes of all entries together, > 0. Several kernels may exceed it by 1/16 each for a while.
    """

    def __init__(self, folder: Path, codecs: Codecs, *, budget_bytes: int = DEFAULT_BUDGET_BYTES) -> None:
        self._folder = folder / "v1"
        self._codecs = codecs
        self._budget_bytes = budget_bytes
        self._lock = threading.Lock()
        self._last_stamp_ns = 0
        self._measured_bytes = 0
        #: More than anything, so that the first entry written has the folder measured.
        self._written_bytes = budget_bytes + 1

    def get(self, key: str) -> KeptValues | None:
        """Return what was kept under ``key`` and make it the most recently used; None when there is nothing whole."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                index = read_index(file, key)
                values = tuple(self._codecs.decode(tree, parts) for tree, parts in read_values(file, index))
                size_bytes = os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            return None
        except (TornEntryError, FlowbookError, LookupError, TypeError, ValueError):
            _log.warning("the cache entry %s is damaged and was dropped", key)
            _unlink(path)
            return None
        except OSError as error:
            _log.warning("the cache entry %s cannot be read: %s", key, error.strerror)
            return None
        self._touch(path)
        return KeptValues(values=values, facts=index.get("facts", {}), size_bytes=size_bytes)

    def put(
        self,
        key: str,
        values: Sequence[object],
        *,
        flow: str = "",
        node: str = "",
        facts: Mapping[str, Any] | None = None,
        replaces: bool = False,
    ) -> Refusal | None:
        """Keep ``values`` under ``key``; returns why not when they cannot be kept. What is kept already stays.

        Args:
            key: hex digits, 8 to 64.
            values: one per output port.
            flow: flow they belong to.
            node: node that made them.
            facts: JSON values to give back with them.
            replaces: also when something whole is kept under ``key`` already.
        """
        path = self._path(key)
        if not replaces and self._is_whole(path):
            self._touch(path)
            return None
        encoded: list[EncodedValue] = []
        for value in values:
            one = self._codecs.encode(value)
            if isinstance(one, Refusal):
                return one
            encoded.append(one)
        about = {"key": key, "flow": flow, "node": node, "createdAt": time.time(), "facts": dict(facts or {})}
        try:
            self._make_room(self._write(path, about, encoded))
        except EntryTooLargeError:
            return Refusal(f"it is larger than the whole cache may be ({self._budget_bytes:,} bytes)")
        except FlowbookError as error:
            return Refusal(error.what)
        except OSError as error:
            return Refusal(_why(error))
        return None

    def entries(self) -> list[CacheEntry]:
        """List what is kept, the most recently used first."""
        found = []
        for path in self._files():
            with contextlib.suppress(OSError, TornEntryError, ValueError), path.open("rb") as file:
                index, stat = read_index(file), os.fstat(file.fileno())
                found.append(
                    CacheEntry(
                        key=str(index.get("key", "")),
                        flow=str(index.get("flow", "")),
                        node=str(index.get("node", "")),
                        size_bytes=stat.st_size,
                        created_at=float(index.get("createdAt", 0.0)),
                        used_at=stat.st_mtime,
                    )
                )
        return sorted(found, key=lambda entry: (-entry.used_at, entry.key))

    def clear(self, flow: str | None = None) -> tuple[int, int]:
        """Forget everything, or everything of one flow; what kernels are about to write stays theirs.

        Returns:
            How many entries went, and how many bytes.

        Raises:
            StoreError: FB902, a file cannot be removed.
        """
        count = size_bytes = 0
        if flow is None:
            self._sweep()
        meant = (
            self._files() if flow is None else [self._path(entry.key) for entry in self.entries() if entry.flow == flow]
        )
        for path in meant:
            try:
                length = path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StoreError(
                    f"a cache entry cannot be removed: {_why(error)}",
                    code="FB902",
                    hint="see who owns the cache's folder, or name another one in FLOWBOOK_CACHE",
                ) from error
            count, size_bytes = count + 1, size_bytes + length
        return count, size_bytes

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._folder

    @property
    def size_bytes(self) -> int:
        """Bytes of all entries together, as they are on disk now."""
        return sum(size_bytes for _, size_bytes, _ in self._measured())

    # -- files

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            message = f"{key!r} is no key: 8 to 64 hex digits"
            raise ValueError(message)
        return self._folder / key[:2] / f"{key}{_SUFFIX}"

    def _files(self) -> Iterator[Path]:
        return self._folder.glob(f"??/*{_SUFFIX}")

    @staticmethod
    def _is_whole(path: Path) -> bool:
        try:
            with path.open("rb") as file:
                return bool(read_index(file))
        except (OSError, TornEntryError, ValueError):
            return False

    def _write(self, path: Path, about: Mapping[str, Any], encoded: Sequence[EncodedValue]) -> int:
        """Write a file beside its place, flush it to the disk, rename it; returns its length in bytes."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary, created = _create_locked(path)
        try:
            with created as file:
                size_bytes = write_entry(file, about, encoded, self._budget_bytes)
                file.flush()
                os.fsync(file.fileno())
                if sys.platform != "win32":  # under the lock, so that nobody takes it for a dead kernel's
                    temporary.replace(path)
            if sys.platform == "win32":  # an open file cannot be renamed there
                temporary.replace(path)
        except BaseException:
            _unlink(temporary)
            raise
        self._touch(path)
        return size_bytes

    def _touch(self, path: Path) -> None:
        """Make a file the most recently used one, also within one tick of the file system's clock."""
        with self._lock:
            self._last_stamp_ns = stamp_ns = max(time.time_ns(), self._last_stamp_ns + 1000)
        with contextlib.suppress(OSError):
            os.utime(path, ns=(stamp_ns, stamp_ns))

    # -- budget

    def _make_room(self, added_bytes: int) -> None:
        """Drop what was not used for longest until the budget holds."""
        with self._lock:
            self._written_bytes += added_bytes
            is_known = self._written_bytes <= self._budget_bytes * _MEASURE_AFTER
            if is_known and self._measured_bytes + self._written_bytes <= self._budget_bytes:
                return
            self._sweep()
            measured = self._measured()
            total = sum(size_bytes for _, size_bytes, _ in measured)
            for path, size_bytes, _ in sorted(measured, key=lambda entry: entry[2]):
                if total <= self._budget_bytes:
                    break
                if _unlink(path):
                    total -= size_bytes
            self._measured_bytes, self._written_bytes = total, 0

    def _measured(self) -> list[tuple[Path, int, int]]:
        """Give every file's path, length in bytes and time of last use in ns."""
        found = []
        for path in self._files():
            with contextlib.suppress(OSError):
                stat = path.stat()
                found.append((path, stat.st_size, stat.st_mtime_ns))
        return found

    def _sweep(self) -> None:
        """Remove what killed kernels left unfinished: temporary files whose lock nobody holds."""
        for path in self._folder.glob("??/.*.tmp"):
            with contextlib.suppress(OSError), path.open("r+b") as file:
                if _try_lock(file):
                    path.unlink()


def _create_locked(path: Path) -> tuple[Path, BinaryIO]:
    """Create a file beside a path and hold its lock.

    Who sweeps may lock it in the moment before, and remove it; another is made then, under a name that nobody is about
    to remove.
    """
    while True:
        temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}.tmp")
        file = temporary.open("xb")
        if _try_lock(file) and temporary.exists():
            return temporary, file
        file.close()
        _unlink(temporary)


def _try_lock(file: BinaryIO) -> bool:
    """Lock a file until it is closed, or its process ends; False when somebody else has it."""
    if sys.platform == "win32":  # a file that is open cannot be removed there anyway
        return True
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _unlink(path: Path) -> bool:
    """Remove a file; False when it cannot be (on Windows: while somebody reads it)."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _why(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    return f"the disk refuses: {(error.strerror or type(error).__name__).lower()}"
