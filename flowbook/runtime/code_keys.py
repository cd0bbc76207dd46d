"""The key of a node's code: what it would do, as one digest, and in parts that can be told apart in words.

A part is the code of a function, a class, or the value of a global. From the node's function on, everything of the
user's own is followed: functions and classes of the notebook and of local modules (``local_code``), through globals,
closures, decorators (``__wrapped__``), partials, bound methods, caches, containers and objects of the user's classes.
What is installed counts by its name alone. What a plain global holds counts by content when it is small and by
identity when it is large or opaque; a large value changed in place therefore goes unnoticed.

Code counts as it is loaded, not as its file says: editing a module without reloading it changes nothing that runs, and
so no key; after ``importlib.reload`` or autoreload exactly what reaches the changed functions has another key. Of a
local module that is used through its attributes (``geo.distance``) only these count; one that is passed around, or
imported by the node's own code, counts as a whole with everything it defines, and by the code of its file for as long
as nothing has imported it. A name that is only found by text (``globals()["x"]``, ``getattr(geo, name)``) is not seen.
"""

from __future__ import annotations

import sys
import threading
import weakref
from dataclasses import dataclass, field
from types import FunctionType
from typing import TYPE_CHECKING, Final, NamedTuple

from flowbook.core.records import record
from flowbook.runtime.code_objects import digest
from flowbook.runtime.code_reach import Reach
from flowbook.runtime.code_values import Identities, Values
from flowbook.runtime.module_sources import ModuleSources

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import PurePath
    from types import CodeType

    from flowbook.runtime.code_checks import Checks

_MOST_LATELY = 64
#: What keys with nothing to show share; it is never changed.
_NONE: Final[dict[str, str]] = {}


@dataclass(frozen=True, slots=True)
class CodeKey:
    """What a function would do, digested.

    Attributes:
        digest: 32 hex digits over all parts; the function's own name does not count.
        parts: digest of each labelled part: ``"code of late"``, ``"code of helper clean"``, ``"class Model"``,
            ``"module mylib.geo"``, ``"global LIMIT"``, ``"closure n of add"``, ``"unbound x"``, and ``"name f"`` where
            a name stands for something of another name.
        shown: short text of small plain values, by label, for ``explain_change``.
        is_portable: no part stands for the identity of an object of this process.
        paths: the ``Path`` values among the globals; what is in these files is not part of the key.
    """

    digest: str
    parts: dict[str, str]
    shown: dict[str, str] = field(default_factory=dict)
    is_portable: bool = True
    paths: tuple[PurePath, ...] = ()


class _Asked(NamedTuple):
    """What a key depends on that is more than the function's own code.

    Attributes:
        skip: names that were left out.
        extra: labels of values that were handed in.
        checks: what else it depends on.
        key: the key.
    """

    skip: tuple[str, ...]
    extra: tuple[str, ...]
    checks: Checks
    key: CodeKey


@record
class MadeKey:
    """The key of a function as it was made at one time, and what it depends on; the function itself is not held.

    There is one for each plain node, and most functions reach nothing but what they are given: then their code is all
    there is to look at, and the key is made from its digest when somebody asks.

    Attributes:
        name: of the function.
        code: of the function.
        digest: of the code.
        asked: what else the key depends on, or None.
    """

    name: str
    code: CodeType
    digest: bytes
    asked: _Asked | None

    @property
    def key(self) -> CodeKey:
        """The key."""
        if self.asked is not None:
            return self.asked.key
        label = f"code of {self.name}"
        return _key_of(label, {label: self.digest.hex()})

    @property
    def checks(self) -> Checks | None:
        """What the key depends on besides the code of the function itself; None: on nothing."""
        return None if self.asked is None else self.asked.checks

    @property
    def paths(self) -> tuple[PurePath, ...]:
        """See ``CodeKey``."""
        return () if self.asked is None else self.asked.key.paths

    def holds(
        self,
        function: FunctionType,
        skip: tuple[str, ...],
        extra: Mapping[str, object],
        values: Callable[[Checks], Values],
    ) -> bool:
        """Whether it is still the key of the function."""
        asked = self.asked
        if asked is None:
            has_defaults = function.__defaults__ is not None or function.__kwdefaults__ is not None
            return function.__code__ is self.code and function.__name__ == self.name and not (has_defaults or extra)
        is_same = asked.skip == skip and asked.extra == tuple(extra)
        return is_same and asked.checks.hold(function, extra, values(asked.checks))


class CodeKeys:
    """Makes code keys, and remembers them as long as nothing they depend on changed. Safe to share by threads.

    The first key of a function costs some 100 µs a function reached (O(instructions)). Later ones look again at each
    name that was read (``code_checks``): measured, 5 µs with a helper and five immutable globals, 0.8 µs more for each
    item of a list or dict. With a module that counts as a whole everything is followed anew each time.

    Args:
        content_key: digests a small value that is not of the standard library; None when it is large or cannot be
            digested, and then the object's identity counts.
    """

    def __init__(self, content_key: Callable[[object], str | None]) -> None:
        self._content_key = content_key
        self._identities = Identities()
        self._sources = ModuleSources()
        self._lock = threading.RLock()
        #: Of each function what was made last without anything handed in, and with that.
        self._made: tuple[weakref.WeakKeyDictionary[FunctionType, MadeKey], ...]
        self._made = (weakref.WeakKeyDictionary(), weakref.WeakKeyDictionary())
        #: Of code that reaches nothing, what somebody keeps since lately: many flows may be made of a few functions.
        self._lately: dict[CodeType, MadeKey] = {}

    def key(
        self, function: Callable[..., object], *, extra: Mapping[str, object] | None = None, skip: Collection[str] = ()
    ) -> CodeKey:
        """Digest ``function`` with everything of the user's own that it reaches.

        Args:
            function: a node's function, decorated or not.
            extra: further values the function finds bound, by label; the label's last word is the name by which it
                reads them (``"global geo"`` for a parameter ``geo`` that is always given the module ``geo``).
            skip: names of ports and settings: neither globals nor defaults of these names count for ``function``
                itself, their values do not come from the code. A name among ``extra`` counts all the same.
        """
        with self._lock:
            made = self._current(function, extra or {}, tuple(skip))
            if isinstance(made, CodeKey):
                return made
            known = self._made[bool(extra)]
            if isinstance(function, FunctionType) and known.get(function) is not made:
                known[function] = made
            return made.key

    def made(
        self, function: Callable[..., object], *, skip: Collection[str], last: MadeKey | None = None
    ) -> MadeKey | None:
        """Make the key of ``function`` as ``key`` does, for somebody who keeps it.

        Args:
            function: as for ``key``.
            skip: as for ``key``.
            last: what was returned the last time; it is returned again if it still holds.

        Returns:
            None when it cannot be told quickly whether a key still holds.
        """
        with self._lock:
            made = self._current(function, {}, tuple(skip), last)
            if isinstance(made, CodeKey):
                return None
            if made.asked is None:
                if len(self._lately) >= _MOST_LATELY:
                    self._lately.clear()
                self._lately[made.code] = made
            elif isinstance(function, FunctionType):
                self._made[False][function] = made
            return made

    def _current(
        self,
        function: Callable[..., object],
        extra: Mapping[str, object],
        skip: tuple[str, ...],
        last: MadeKey | None = None,
    ) -> MadeKey | CodeKey:
        """Return what was made last if it still holds, or make it; the bare key where that cannot be told again."""
        if not isinstance(function, FunctionType):
            return _key(self._reach(function, extra, skip))
        for made in (last, self._made[bool(extra)].get(function), self._lately.get(function.__code__)):
            if made is not None and made.holds(function, skip, extra, self._values):
                return made
        reach = self._reach(function, extra, skip)
        if not reach.checks.is_usable:
            return _key(reach)
        asked = None if reach.is_alone else _Asked(skip, tuple(extra), reach.checks, _key(reach))
        return MadeKey(name=function.__name__, code=function.__code__, digest=reach.root_digest, asked=asked)

    def _reach(self, function: Callable[..., object], extra: Mapping[str, object], skip: Collection[str]) -> Reach:
        return Reach(
            function,
            str(getattr(function, "__name__", type(function).__name__)),
            content_key=self._content_key,
            identities=self._identities,
            sources=self._sources,
            extra=extra,
            skip=skip,
        )

    def holds(self, checks: Checks) -> bool:
        """Whether the values that may be changed in place are what they were."""
        with self._lock:
            return checks.same_values({}, self._values(checks))

    def _values(self, checks: Checks) -> Values:
        return Values(self._content_key, self._identities, checks.label)


def _key(reach: Reach) -> CodeKey:
    return _key_of(reach.root_label, reach.parts, reach.shown, is_portable=reach.is_portable, paths=tuple(reach.paths))


def _key_of(
    root_label: str,
    parts: dict[str, str],
    shown: dict[str, str] = _NONE,
    *,
    is_portable: bool = True,
    paths: tuple[PurePath, ...] = (),
) -> CodeKey:
    # The function's own name is no part of what it does.
    unnamed = {root_label: "code"}
    named = sorted((unnamed.get(label, label), unnamed.get(part, part)) for label, part in parts.items())
    total = digest("code key 1", repr(sys.version_info[:2]), *(text for pair in named for text in pair))
    return CodeKey(digest=total.hex(), parts=parts, shown=shown or _NONE, is_portable=is_portable, paths=paths)


def explain_change(old: CodeKey, new: CodeKey) -> list[str]:
    """Say in words what differs, the function's own code first.

    ``"code of helper `clean` changed"``, ``"global LIMIT 15 → 60"``, ``"now reads global EXTRA"``.
    """
    phrases: list[str] = []
    for label in [*new.parts, *(label for label in old.parts if label not in new.parts)]:
        if old.parts.get(label) != new.parts.get(label):
            phrase = _phrase(label, old, new)
            if phrase:
                phrases.append(phrase)
    if not phrases and old.digest != new.digest:
        phrases.append("code changed")
    return phrases


def _phrase(label: str, old: CodeKey, new: CodeKey) -> str:
    kind, _, name = label.partition(" ")
    if kind == "unbound":
        return f"{name} is not defined" if label in new.parts else f"{name} is now defined"
    if kind == "name":
        return _phrase_of_name(name, old, new)
    if label in old.parts and label in new.parts:
        if label in old.shown and label in new.shown:
            return f"{label} {old.shown[label]} → {new.shown[label]}"
        return f"{_quoted(label)} changed"
    if kind == "global" and f"unbound {name}" in {*old.parts, *new.parts}:
        return ""  # told by its being unbound
    verb = "reads" if kind in {"global", "closure"} else "uses"
    return f"{'now' if label in new.parts else 'no longer'} {verb} {_quoted(label).removeprefix('code of ')}"


def _phrase_of_name(name: str, old: CodeKey, new: CodeKey) -> str:
    """Say what a name stands for now, unless that has just come or gone and is told by itself."""
    own = next((label for label in (f"code of helper {name}", f"class {name}") if label in new.parts), "")
    before, after = old.parts.get(f"name {name}", own), new.parts.get(f"name {name}", own)
    if not after or (after in new.parts) != (after in old.parts) or (not before and after not in old.parts):
        return ""
    return f"`{name}` is now {_quoted(after).removeprefix('code of ')}"


def _quoted(label: str) -> str:
    """Mark the name in a label of code: ``code of helper `clean```."""
    for words in ("installed module ", "code of helper ", "code of ", "class ", "installed "):
        if label.startswith(words):
            return f"{words}`{label.removeprefix(words)}`"
    return label
