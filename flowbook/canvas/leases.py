"""Who writes: of all browsers that show a flow, exactly one puts its document into the ``%%flow`` cell.

Two writers at once would double the text. The lease goes to the browser that subscribed first; to the one that edited
last, whose notebook is the one a person is looking at; away from one that declines, leaves, or does not write what is
due although others are there (a closed laptop tells nobody). One that may not write never gets it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

WriterT = TypeVar("WriterT", bound="Hashable")


@dataclass(slots=True)
class WriterLease(Generic[WriterT]):
    """The lease of one flow.

    Attributes:
        holder: who holds it, or None.
        candidates: everybody who may hold it, in the order in which they came.
        declined: candidates that said they cannot write, or did not.
    """

    holder: WriterT | None = None
    candidates: list[WriterT] = field(default_factory=list)
    declined: set[WriterT] = field(default_factory=set)

    def join(self, writer: WriterT) -> None:
        """Let a writer in."""
        if writer not in self.candidates:
            self.candidates.append(writer)
        if self.holder is None and writer not in self.declined:
            self.holder = writer

    def edited(self, writer: WriterT) -> None:
        """Give the lease to a candidate that edited, unless it said that it cannot write: it will say when it can."""
        if writer not in self.declined:
            self.take(writer)

    def take(self, writer: WriterT) -> None:
        """Give the lease to a candidate that asks for it."""
        if writer in self.candidates:
            self.declined.discard(writer)
            self.holder = writer

    def decline(self, writer: WriterT) -> None:
        """Take the lease from a candidate that cannot write."""
        if writer in self.candidates:
            self.declined.add(writer)
            if self.holder == writer:
                self._pass_on()

    def lapse(self) -> None:
        """Pass the lease on, if there is somebody else: its holder did not write."""
        writer = self.holder
        if writer is None:
            return
        self.declined.add(writer)
        self._pass_on()
        if self.holder is None:
            self.holder = writer  # better a slow one than none
        self.declined.discard(writer)
        self.candidates.remove(writer)
        self.candidates.append(writer)

    @property
    def turns(self) -> int:
        """After how many lapses whoever holds the lease has it again; 0 where there is nobody else."""
        willing = len(self.candidates) - len(self.declined)
        return willing if willing > 1 else 0

    def leave(self, writer: WriterT) -> None:
        """Forget a writer."""
        if writer not in self.candidates:
            return
        self.candidates.remove(writer)
        self.declined.discard(writer)
        if self.holder == writer:
            self._pass_on()

    def _pass_on(self) -> None:
        self.holder = next((writer for writer in self.candidates if writer not in self.declined), None)
