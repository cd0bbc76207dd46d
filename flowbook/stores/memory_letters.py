"""Failed firings with their inputs in this process: the newest of each node, by reference, until the kernel ends."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from flowbook.core.interfaces import DeadLetter
from flowbook.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowbook.core.packets import ErrorPacket


class MemoryDeadLetters:
    """Fills ``core.interfaces.DeadLetters`` for one flow, from any number of threads.

    Of each node only the newest failure is kept: its inputs hold memory that nobody asked to have held.
    """

    lease_s: Final = float("inf")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._letters: dict[int, DeadLetter] = {}
        self._taken: set[int] = set()

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
        """Keep a failure, in place of an earlier one of that node; returns the letter's number."""
        with self._lock:
            same = [letter for letter in self._letters.values() if letter.error.node_id == error.node_id]
            old = next((letter for letter in same if work and letter.work == work), None)
            letter = DeadLetter(
                letter_id=next(self._numbers) if old is None else old.letter_id,
                flow=flow,
                error=error,
                at=at,
                input_names=tuple(inputs),
                inputs=dict(inputs),
                work=work,
                fingerprint=fingerprint,
                count=1 if old is None else old.count + 1,
            )
            for earlier in same:
                if earlier is old or earlier.letter_id not in self._taken:
                    del self._letters[earlier.letter_id]
            self._letters[letter.letter_id] = letter
        return letter.letter_id

    def letters(self, flow: str | None = None) -> list[DeadLetter]:  # noqa: ARG002 -- of one flow alone
        """List what is kept."""
        with self._lock:
            return [replace(letter, inputs={}) for _, letter in sorted(self._letters.items())]

    def take(self, letter_id: int) -> DeadLetter:
        """Hand a letter out."""
        with self._lock:
            if letter_id not in self._letters:
                raise StoreError(f"there is no dead letter {letter_id}", code="FB904", letter=letter_id)
            if letter_id in self._taken:
                raise StoreError(
                    f"dead letter {letter_id} is being replayed",
                    code="FB905",
                    hint="wait for that replay to end",
                    letter=letter_id,
                )
            self._taken.add(letter_id)
            return self._letters[letter_id]

    def keep_hold(self, letter_id: int) -> None:
        """Do nothing: who took a letter lives as long as the letter."""

    def put_back(self, letter_id: int, error: ErrorPacket | None = None, *, at: float = 0.0) -> None:
        """Take a letter back."""
        with self._lock:
            self._taken.discard(letter_id)
            letter = self._letters.get(letter_id)
            if letter is not None and error is not None:
                self._letters[letter_id] = replace(letter, error=error, at=at, count=letter.count + 1)

    def drop(self, letter_id: int) -> bool:
        """Forget a letter."""
        with self._lock:
            self._taken.discard(letter_id)
            return self._letters.pop(letter_id, None) is not None

    def rename(self, flow: str, old: str, new: str) -> None:  # noqa: ARG002 -- of one flow alone
        """Follow a renamed node."""
        with self._lock:
            for number, letter in self._letters.items():
                if letter.error.node_id == old:
                    self._letters[number] = replace(letter, error=replace(letter.error, node_id=new))

    def forget(self, node_id: str) -> None:
        """Drop the letters of a node that is gone."""
        with self._lock:
            for number in [key for key, letter in self._letters.items() if letter.error.node_id == node_id]:
                del self._letters[number]
