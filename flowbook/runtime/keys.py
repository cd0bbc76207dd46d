"""The key of a node: what its value depends on, without reading the value.

A key digests the code (with the helpers, globals and local modules it reaches), the settings, constants and given
inputs, the keys of what it reads, the size and modification time of files named by a ``Path``, and the versions of
flowbook and of the table library. Payload bytes between nodes are never read. Two equal keys mean "would compute the
same"; two different ones are explained in words by comparing their labelled parts.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

from flowbook.runtime.code_keys import CodeKey, explain_change
from flowbook.runtime.results import KeyParts, NodeResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flowbook.runtime.code_values import Identities

_SHOWN_CHARS = 40
#: What keys without parts share; the parts of a key are never changed.
_NONE: Final[dict[str, str]] = {}
#: Made once: ``json.dumps`` makes an encoder for each call that says how.
_TEXT_OF = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode


class KeyMaker:
    """Collects the parts of one key.

    Args:
        content_key: digests small values; None for large ones.
        identities: numbers for large ones.
    """

    def __init__(self, content_key: Callable[[object], str | None], identities: Identities) -> None:
        self._content_key = content_key
        self._identities = identities
        self.parts: dict[str, str] = {}
        self.shown: dict[str, str] = {}
        self._read: list[str] = []

    def add_setting(self, name: str, plain: Any) -> None:
        """Add a setting or constant in its JSON form."""
        self.parts[f"setting {name}"] = text = _TEXT_OF(plain)
        self.shown[f"setting {name}"] = _short(text)

    def add_version(self, version: str) -> None:
        """Add the version of an installed node type."""
        self.parts["version"] = self.shown["version"] = version

    def add_edge(self, name: str, source: str, key: str) -> None:
        """Add what an input reads: the source's effective key."""
        self.parts[f"input {name}"] = key
        self.shown[f"input {name}"] = source

    def add_outputs(self, names: tuple[str, ...]) -> None:
        """Add in which order the code gives its outputs."""
        self.parts["outputs"] = self.shown["outputs"] = ", ".join(names)

    def add_read(self, name: str) -> None:
        """Add that an input reads a node, and leave open what it gives: a key with such inputs is part of one."""
        self._read.append(name)

    def add_value(self, label: str, value: object) -> None:
        """Add a value that came from outside: content when small, identity when large."""
        digest = self._content_key(value)
        self.parts[label] = digest if digest is not None else self._identities.token(value)
        if digest is not None and isinstance(value, str | int | float | bool | None):
            self.shown[label] = _short(repr(value))
        self.add_files(value)

    def add_files(self, value: object) -> None:
        """Add the size and modification time of a file, or of every file in a container; a missing one counts too."""
        if isinstance(value, PurePath):
            label = f"file {value.name}"  # two folders may hold files of one name
            self.parts[label] = f"{self.parts.get(label, '')}{value}:{_stat_text(value)};"
        elif isinstance(value, list | tuple | set | dict):
            for entry in value.values() if isinstance(value, dict) else value:
                self.add_files(entry)

    def finish(self, code: CodeKey, versions: str) -> KeyParts:
        """Digest everything."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(code.digest.encode())
        digest.update(versions.encode())
        for label in sorted(self.parts):
            digest.update(f"\0{label}\1{self.parts[label]}".encode())
        for name in self._read:
            digest.update(f"\0reads {name}".encode())
        return KeyParts(digest=digest.hexdigest(), code=code, parts=self.parts or _NONE, shown=self.shown or _NONE)


def effective_key(key: KeyParts, files: Iterable[tuple[str, int, int]], nonce: str = "") -> str:
    """Digest a key with the files its lazy outputs read, and with ``nonce`` for values that must not look unchanged."""
    listed = list(files)
    if not listed and not nonce:
        return key.digest
    return hashlib.blake2b(f"{key.digest}{listed}{nonce}".encode(), digest_size=16).hexdigest()


def stat_files(paths: Iterable[Path]) -> tuple[tuple[str, int, int], ...]:
    """Return ``(path, size in bytes, mtime in ns)`` of files; ``-1`` where a file is missing."""
    return tuple((str(path), *_stat(path)) for path in paths)


def changed_file(result: NodeResult) -> str:
    """Name a scanned file that is not what it was when ``result`` was made; empty when none is."""
    for path, size_bytes, mtime_ns in result.files:
        if _stat(Path(path)) != (size_bytes, mtime_ns):
            return Path(path).name
    return ""


def explain(old: KeyParts | None, new: KeyParts) -> str:
    """Say in words why ``new`` is not ``old``: the nearest cause first; ``"first run"`` when there is no old one."""
    if old is None:
        return "first run"
    causes = explain_change(old.code, new.code)
    if _given(old) != _given(new) and causes and causes[0].startswith("code of `"):
        del causes[0]  # a default came or went with it
    causes += _explain_parts(old, new)
    if not causes:
        return "nothing changed" if old.digest == new.digest else "flowbook or polars was upgraded"
    return causes[0] if len(causes) == 1 else f"{causes[0]} (and {len(causes) - 1} more)"


def _given(key: KeyParts) -> set[str]:
    """Name the inputs and settings that are given something."""
    return {name for word, _, name in (label.partition(" ") for label in key.parts) if word in ("input", "setting")}


def _explain_parts(old: KeyParts, new: KeyParts) -> list[str]:
    causes: list[str] = []
    for label in [*new.parts, *(label for label in old.parts if label not in new.parts)]:
        before, after = old.parts.get(label), new.parts.get(label)
        if before == after:
            continue
        word, _, name = label.partition(" ")
        if word == "input":
            causes.append(
                f"{new.shown.get(label, name)} changed" if before else f"now reads {new.shown.get(label, name)}"
            )
        elif word == "file":
            causes.append(f"file {name} changed" if before else f"now reads file {name}")
        elif label in old.shown and label in new.shown:
            causes.append(f"{label} {old.shown[label]} → {new.shown[label]}")
        else:
            causes.append(
                f"{label} changed" if before and after else f"{label} is new" if after else f"{label} is gone"
            )
    # A moved setting explains more than the upstream node that changed with it.
    causes.sort(key=lambda cause: not cause.startswith(("setting", "given", "from notebook", "file")))
    return causes


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def _stat(path: PurePath) -> tuple[int, int]:
    try:
        found = Path(path).stat()
    except OSError:
        return (-1, -1)
    return (found.st_size, found.st_mtime_ns)


def _stat_text(path: PurePath) -> str:
    size_bytes, mtime_ns = _stat(path)
    return f"{size_bytes}:{mtime_ns}"
