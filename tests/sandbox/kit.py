"""What the tests of worker processes share: calls of functions written as text, and who is still there."""

from __future__ import annotations

import dataclasses
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowbook.core.interfaces import IsolatedCall, PayloadCopy, PortableCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbook.sandbox.process_pool import ProcessPool

PATIENCE_S = 30.0


@dataclasses.dataclass
class Told:
    """Collects what a worker tells."""

    texts: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    notes: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    shares: list[float] = dataclasses.field(default_factory=list)
    copies: dict[str, tuple[PayloadCopy, ...]] = dataclasses.field(default_factory=dict)

    def write(self, stream: str, text: str) -> None:
        self.texts.append((stream, text))

    def note(self, stream: str, text: str) -> None:
        self.notes.append((stream, text))

    def progress(self, share: float) -> None:
        self.shares.append(share)

    def copied(self, name: str, copies: tuple[PayloadCopy, ...]) -> None:
        self.copies[name] = copies

    @property
    def printed(self) -> str:
        return "".join(text for stream, text in self.texts if stream == "stdout")


def code(text: str, *, preamble: str = "", first_line: int = 1) -> PortableCode:
    """Describe a function ``f`` given as text."""
    return PortableCode(
        name="f", preamble=preamble, source=textwrap.dedent(text), filename="<cell 7>", first_line=first_line
    )


def call(
    pool: ProcessPool,
    function: str | PortableCode,
    told: Told | None = None,
    is_cancelled: Callable[[], bool] = lambda: False,
    *,
    timeout_s: float | None = PATIENCE_S,
    memory_bytes: int | None = None,
    context_name: str | None = None,
    **arguments: Any,
) -> Any:
    """Call a function in a worker."""
    isolated = IsolatedCall(
        code=code(function) if isinstance(function, str) else function,
        arguments=arguments,
        context_name=context_name,
        flow="flights",
        node_id="late",
        trace_id="ab" * 16,
        timeout_s=timeout_s,
        memory_bytes=memory_bytes,
    )
    return pool.call(isolated, is_cancelled=is_cancelled, effects=told or Told())


def is_running(process_id: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    """Look again and again; fail after a while."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)
