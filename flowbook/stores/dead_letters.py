"""Failed firings with their inputs in one sqlite file, shared by every kernel of this machine.

The file is in WAL mode and flushed at every commit: a letter is there, with all its inputs, or it is not. Several
kernels read and write at once; sqlite makes writers wait for each other. A letter that is being replayed bears who took
it and until when; when that process is gone, or the time is over, it can be taken again.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sqlite3
import sys
import threading
import time
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self

from flowbook.core.interfaces import DeadLetter, EncodedValue, Refusal
from flowbook.core.packets import ErrorPacket
from flowbook.errors import DataError, FlowbookError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from flowbook.core.interfaces import Codecs

FILE_NAME: Final = "dead_letters.sqlite"
#: Longest wait for another kernel's write, seconds.
_BUSY_S: Final = 30.0
_VERSION: Final = 1
_MOST_INPUT_BYTES: Final = 256 * 1024 * 1024
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    flow TEXT NOT NULL, node TEXT NOT NULL, trace_id TEXT NOT NULL,
    code TEXT NOT NULL, message TEXT NOT NULL, hint TEXT NOT NULL,
    attempt INTEGER NOT NULL, line INTEGER, recoverable INTEGER NOT NULL,
    at REAL NOT NULL, work TEXT NOT NULL, fingerprint TEXT NOT NULL, count INTEGER NOT NULL,
    taken_by INTEGER, taken_until REAL
);
CREATE INDEX IF NOT EXISTS by_work ON letters (flow, node, work);
CREATE TABLE IF NOT EXISTS inputs (
    letter INTEGER NOT NULL REFERENCES letters (id) ON DELETE CASCADE,
    number INTEGER NOT NULL, name TEXT NOT NULL, tree TEXT, refusal TEXT NOT NULL,
    PRIMARY KEY (letter, number)
);
CREATE TABLE IF NOT EXISTS parts (
    letter INTEGER NOT NULL REFERENCES letters (id) ON DELETE CASCADE,
    input INTEGER NOT NULL, number INTEGER NOT NULL, codec TEXT NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (letter, input, number)
);
"""
_COLUMNS: Final = (
    "id, flow, node, trace_id, code, message, hint, attempt, line, recoverable, at, work, fingerprint, count"
)
_FAILS_AGAIN: Final = (
    "UPDATE letters SET trace_id = ?, code = ?, message = ?, hint = ?, attempt = ?, line = ?, recoverable = ?, at = ?, "
    "count = count + 1"
)


class SqliteDeadLetters:
    """See the module's docstring; fills ``core.interfaces.DeadLetters``, from any number of threads.

    Args:
        path: of the file; it and its folder are made when missing.
        codecs: how inputs become bytes.
        lease_s: longest a replay may keep a letter to itself without saying that it goes on, seconds, > 0.
        most_input_bytes: a larger input is not kept; the letter says so.
        now: seconds since the epoch.

    Raises:
        StoreError: FB901 the file is no store of dead letters, FB903 the disk refuses, FB906 it is of a newer flowbook.
    """

    def __init__(
        self,
        path: Path,
        codecs: Codecs,
        *,
        lease_s: float = 60.0,
        most_input_bytes: int = _MOST_INPUT_BYTES,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._codecs = codecs
        self.lease_s = lease_s
        self._most_input_bytes = most_input_bytes
        self._now = now
        self._lock = threading.RLock()
        self._connection = self._open()

    def put(
        self,
        flow: str,
        error: ErrorPacket,
        inputs: Mapping[str, object],
        *,
        at: float,
        work: str = "",
        fingerprint: str = "",
    ) -> int:
        """Keep a failure; see ``core.interfaces.DeadLetters``, as of every method here."""
        if work:
            with self._writing() as database:
                found = self._fails_again(database, flow, error, at, work, fingerprint)
            if found is not None:
                return found
        # Made before the transaction: nobody waits for a large table to be written.
        kept = [(name, *self._encoded(value)) for name, value in inputs.items()]
        values = (
            flow, error.node_id, error.trace_id, error.code, error.message, error.hint, error.attempt, error.line,
            error.recoverable, at, work, fingerprint, 1,
        )  # fmt: skip
        with self._writing() as database:
            found = self._fails_again(database, flow, error, at, work, fingerprint) if work else None
            if found is not None:  # another kernel came to it meanwhile
                return found
            columns = _COLUMNS.removeprefix("id, ")
            marks = ", ".join("?" * len(values))
            cursor = database.execute(f"INSERT INTO letters ({columns}) VALUES ({marks})", values)  # noqa: S608 -- ours
            letter = int(cursor.lastrowid or 0)
            for number, (name, tree, refusal, parts) in enumerate(kept):
                database.execute("INSERT INTO inputs VALUES (?, ?, ?, ?, ?)", (letter, number, name, tree, refusal))
                database.executemany(
                    "INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?)",
                    [
                        (letter, number, place, codec, zlib.crc32(data), data)
                        for place, (codec, data) in enumerate(parts)
                    ],
                )
        return letter

    @staticmethod
    def _fails_again(
        database: sqlite3.Connection, flow: str, error: ErrorPacket, at: float, work: str, fingerprint: str
    ) -> int | None:
        """Write a failure over the one in the letter of that work, if there is one; returns its number."""
        found = database.execute(
            "SELECT id FROM letters WHERE flow = ? AND node = ? AND work = ?", (flow, error.node_id, work)
        ).fetchone()
        if found is None:
            return None
        values = (*_failure(error), at, fingerprint, found[0])
        database.execute(f"{_FAILS_AGAIN}, fingerprint = ? WHERE id = ?", values)
        return int(found[0])

    def letters(self, flow: str | None = None) -> list[DeadLetter]:
        """List what is kept."""
        with self._reading() as database:
            rows = database.execute(
                f"SELECT {_COLUMNS} FROM letters WHERE ?1 IS NULL OR flow = ?1 ORDER BY id",  # noqa: S608 -- ours
                (flow,),
            ).fetchall()
            return [self._letter(database, row) for row in rows]

    def take(self, letter_id: int) -> DeadLetter:
        """Hand a letter out, until ``lease_s`` is over without a ``keep_hold`` or the process that has it is gone."""
        now = self._now()
        with self._writing() as database:
            found = database.execute("SELECT taken_by, taken_until FROM letters WHERE id = ?", (letter_id,)).fetchone()
            if found is None:
                raise StoreError(f"there is no dead letter {letter_id}", code="FB904", letter=letter_id)
            taken_by, taken_until = found
            if taken_until is not None and taken_until > now and _is_alive(taken_by):
                raise StoreError(
                    f"dead letter {letter_id} is being replayed",
                    code="FB905",
                    hint="wait for that replay to end",
                    letter=letter_id,
                )
            database.execute(
                "UPDATE letters SET taken_by = ?, taken_until = ? WHERE id = ?",
                (os.getpid(), now + self.lease_s, letter_id),
            )
            row = database.execute(f"SELECT {_COLUMNS} FROM letters WHERE id = ?", (letter_id,)).fetchone()  # noqa: S608
            letter = self._letter(database, row)
            stored = self._stored(database, letter_id)
        return self._with_values(letter, stored)

    def keep_hold(self, letter_id: int) -> None:
        """Lengthen the lease."""
        with self._writing() as database:
            database.execute(
                "UPDATE letters SET taken_until = ? WHERE id = ? AND taken_by = ?",
                (self._now() + self.lease_s, letter_id, os.getpid()),
            )

    def put_back(self, letter_id: int, error: ErrorPacket | None = None, *, at: float = 0.0) -> None:
        """Take a letter back."""
        with self._writing() as database:
            database.execute("UPDATE letters SET taken_by = NULL, taken_until = NULL WHERE id = ?", (letter_id,))
            if error is not None:
                database.execute(f"{_FAILS_AGAIN} WHERE id = ?", (*_failure(error), at, letter_id))

    def drop(self, letter_id: int) -> bool:
        """Forget a letter."""
        with self._writing() as database:
            return database.execute("DELETE FROM letters WHERE id = ?", (letter_id,)).rowcount > 0

    def rename(self, flow: str, old: str, new: str) -> None:
        """Follow a renamed node."""
        with self._writing() as database:
            database.execute("UPDATE letters SET node = ? WHERE flow = ? AND node = ?", (new, flow, old))

    def close(self) -> None:
        """Close the file; what was put is there already."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the file

    def _open(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise self._refused(error) from error
        try:
            self._prepare(connection)
        except sqlite3.Error as error:
            connection.close()
            raise self._refused(error) from error
        except StoreError:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        _enter_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > _VERSION:
            raise StoreError(
                f"the dead letters were written by a newer flowbook (version {version} of the file, {_VERSION} here)",
                code="FB906",
                hint="update flowbook, or name another folder in FLOWBOOK_STATE",
            )
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
        connection.execute("COMMIT")

    def _refused(self, error: Exception) -> StoreError:
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            return StoreError(
                f"{self._path.name} is no store of dead letters: {error}",
                code="FB901",
                hint="move the file away; flowbook then makes a new one",
            )
        return StoreError(f"dead letters cannot be kept: {error}", code="FB903", hint="see whether the disk is full")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            connection = self._connection
            try:
                connection.execute(begin)
                yield connection
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._refused(error) from error
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    # -- letters

    def _encoded(self, value: object) -> tuple[str | None, str, list[tuple[str, bytes]]]:
        """Make the tree, the reason of a refusal (or empty), and the parts."""
        encoded = self._codecs.encode(value)
        if isinstance(encoded, Refusal):
            return None, encoded.reason, []
        try:
            parts = self._parts(encoded)
        except _TooLargeError:
            return None, f"it is larger than {self._most_input_bytes:,} bytes", []
        except FlowbookError as error:
            return None, error.what, []
        return json.dumps(encoded.tree), "", parts

    def _parts(self, encoded: EncodedValue) -> list[tuple[str, bytes]]:
        made, left = [], self._most_input_bytes
        for part in encoded.parts:
            sink = _BoundedBytes(left)
            part.write(sink)
            data = sink.getvalue()
            left -= len(data)
            made.append((part.codec, data))
        return made

    @staticmethod
    def _letter(database: sqlite3.Connection, row: tuple[Any, ...]) -> DeadLetter:
        letter_id, flow, node, trace_id, code, message, hint, attempt, line, recoverable, at, work, finger, count = row
        names = database.execute("SELECT name, refusal FROM inputs WHERE letter = ? ORDER BY number", (letter_id,))
        listed: list[tuple[str, str]] = names.fetchall()
        return DeadLetter(
            letter_id=letter_id,
            flow=flow,
            error=ErrorPacket(
                code=code,
                message=message,
                node_id=node,
                trace_id=trace_id,
                recoverable=bool(recoverable),
                attempt=attempt,
                hint=hint,
                line=line,
            ),
            at=at,
            input_names=tuple(name for name, _ in listed),
            missing={name: refusal for name, refusal in listed if refusal},
            work=work,
            fingerprint=finger,
            count=count,
        )

    @staticmethod
    def _stored(database: sqlite3.Connection, letter_id: int) -> list[tuple[str, str, list[tuple[str, int, bytes]]]]:
        """Read name, tree and parts of every kept input."""
        rows = database.execute(
            "SELECT number, name, tree FROM inputs WHERE letter = ? AND tree IS NOT NULL ORDER BY number", (letter_id,)
        ).fetchall()
        query = "SELECT codec, crc, data FROM parts WHERE letter = ? AND input = ? ORDER BY number"
        return [(name, tree, database.execute(query, (letter_id, number)).fetchall()) for number, name, tree in rows]

    def _with_values(
        self, letter: DeadLetter, stored: list[tuple[str, str, list[tuple[str, int, bytes]]]]
    ) -> DeadLetter:
        inputs: dict[str, Any] = {}
        missing = dict(letter.missing)
        for name, tree, parts in stored:
            try:
                if any(zlib.crc32(data) != crc for _, crc, data in parts):
                    missing[name] = "its bytes are damaged"
                    continue
                inputs[name] = self._codecs.decode(json.loads(tree), [(codec, data) for codec, _, data in parts])
            except (DataError, ValueError) as error:
                missing[name] = f"its bytes are damaged: {error}"
        return replace(letter, missing=missing, inputs=inputs)


def _failure(error: ErrorPacket) -> tuple[Any, ...]:
    """Give the fields of a failure in the order of ``_FAILS_AGAIN``."""
    return error.trace_id, error.code, error.message, error.hint, error.attempt, error.line, error.recoverable


class _TooLargeError(Exception):
    """More bytes than a letter keeps of one input."""


class _BoundedBytes(io.BytesIO):
    """Collects bytes up to a bound."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__()
        self._bytes_left = most_bytes

    def write(self, data: Any, /) -> int:
        count = super().write(data)
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise _TooLargeError
        return count


def _enter_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL; sqlite does not wait here when another kernel does the same, so this does."""
    deadline = time.monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            threading.Event().wait(0.01)
        else:
            return


def _is_alive(process_id: int | None) -> bool:
    if process_id is None or sys.platform == "win32":  # asking would end the process there
        return process_id is not None
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
