"""The key of a node's code: what it would do, as one digest, and in parts that can be told apart in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping


@dataclass(frozen=True, slots=True)
class CodeKey:
    """What a function would do, digested.

    Attributes:
        digest: 32 hex digits over all parts.
        parts: digest of each labelled part: ``"code of late"``, ``"code of helper clean"``, ``"global LIMIT"``,
            ``"module mylib.geo"``, ``"unbound x"``.
        shown: short text of small plain values, by label, for ``explain_change``.
        is_portable: no part stands for the identity of an object of this process.
    """

    digest: str
    parts: dict[str, str]
    shown: dict[str, str] = field(default_factory=dict)
    is_portable: bool = True


class CodeKeys:
    """Makes code keys and remembers what it need not read twice.

    Args:
        content_key: digests a small value that is not of the standard library; None when it is large or cannot be
            digested, and then the object's identity counts.
    """

    def __init__(self, content_key: Callable[[object], str | None]) -> None:
        self._content_key = content_key

    def key(
        self, function: Callable[..., object], *, extra: Mapping[str, object] | None = None, skip: Collection[str] = ()
    ) -> CodeKey:
        """Digest ``function`` with everything of the notebook and of local modules that it reaches.

        Args:
            function: a node's function.
            extra: further values that belong to the key; each label becomes a part of that name.
            skip: names of ports and settings: neither globals nor defaults of these names count, their values do
                not come from the code.
        """
        raise NotImplementedError


def explain_change(old: CodeKey, new: CodeKey) -> list[str]:
    """Say in words what differs: ``"code of helper `clean` changed"``, ``"global LIMIT 15 → 60"``."""
    raise NotImplementedError
