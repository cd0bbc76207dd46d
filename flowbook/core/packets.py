"""What travels: a payload with its header, and the one shape every failure takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SCHEMA_VERSION = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """A payload on an edge, with where it came from. A node gets one by annotating a parameter ``fb.Packet``.

    Attributes:
        value: the payload, by reference.
        trace_id: id of the run that made it, 32 hex digits.
        origin: ``node.port`` that made it.
        created_at: seconds since the epoch, UTC.
        schema_version: version of this header.
    """

    value: Any
    trace_id: str
    origin: str
    created_at: float
    schema_version: str = SCHEMA_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPacket:
    """One failure of one node.

    Attributes:
        code: FBnnn; ``FB402`` for an exception of the node's own code.
        message: one line in words, with the class of the exception.
        node_id: the node that failed.
        trace_id: id of the run, 32 hex digits.
        recoverable: trying again may help (the node's retry policy asked for it, or it timed out).
        attempt: the attempt that failed, >= 1.
        hint: what to do next, or empty.
        line: line of the node's cell or file where it happened, >= 1, or None.
        cause: the exception itself.
    """

    code: str
    message: str
    node_id: str
    trace_id: str
    recoverable: bool = False
    attempt: int = 1
    hint: str = ""
    line: int | None = None
    cause: BaseException | None = None
