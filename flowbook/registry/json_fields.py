"""Takes fields out of a JSON object one by one, and names the one that is missing, misspelt or of the wrong shape."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from flowbook.errors import NodeFolderError, did_you_mean

if TYPE_CHECKING:
    import re
    from collections.abc import Collection, Iterator

ValueT = TypeVar("ValueT")

_NONE: Any = object()
_SHOWN_CHARS = 60


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a file: ``ports.inputs[0]`` in ``nodes/table/filter/schema.json``."""

    file: str
    path: str = ""

    def at(self, key: str) -> str:
        """Name a field here."""
        return f"{self.path}.{key}" if self.path else key

    def refuse(self, key: str, problem: str, hint: str, *, code: str = "FB231") -> NoReturn:
        """Raise the error of a field: ``"ports.inputs[0].type" is "tabel"``."""
        field = self.at(key)
        raise NodeFolderError(
            f'"{field}" {problem}', code=code, where=self.file, hint=hint, file=self.file, field=field
        )


class JsonFields:
    """The fields of one JSON object.

    Args:
        entry: what ought to be an object.
        where: its place.

    Raises:
        NodeFolderError: FB231, it is none.
    """

    def __init__(self, entry: Any, where: Where) -> None:
        self.where = where
        self._known: list[str] = []
        if not isinstance(entry, dict):
            raise NodeFolderError(
                f"{where.path or 'the file'} holds {_short(entry)}, not an object",
                code="FB231",
                where=where.file,
                hint='write {"name": …}',
                file=where.file,
                field=where.path,
            )
        self._entry: dict[str, Any] = entry

    def refuse(self, key: str, problem: str, hint: str) -> NoReturn:
        """Raise FB231 for a field."""
        self.where.refuse(key, problem, hint)

    def skip(self, key: str) -> None:
        """Allow a field that means nothing here."""
        self._known.append(key)

    def finish(self) -> None:
        """Refuse fields that nobody asked for.

        Raises:
            NodeFolderError: FB232.
        """
        for key in self._entry:
            if key not in self._known:
                self.where.refuse(key, "is no field", did_you_mean(key, set(self._known)), code="FB232")

    def has(self, key: str) -> bool:
        """Whether the field is there, even with null."""
        return key in self._entry

    def value(self, key: str) -> Any:
        """Take any JSON value; None when it is left out."""
        self._known.append(key)
        return self._entry.get(key)

    def text(self, key: str, default: str = _NONE, *, pattern: re.Pattern[str] | None = None, hint: str = "") -> str:
        """Take a text, which is not empty; ``default`` when it is left out."""
        found = self._take(key, str, "a text", default)
        if key in self._entry and pattern is not None and not pattern.fullmatch(found):
            self.refuse(key, f"is {_short(found)}", hint)
        if not found and default is _NONE:
            self.refuse(key, "is empty", f'"{key}": "…"')
        return found

    def choice(self, key: str, known: Collection[str], default: str = _NONE) -> str:
        """Take one of some words."""
        found = self._take(key, str, "a text", default)
        if found not in known:
            self.refuse(key, f"is {_short(found)}", did_you_mean(found, known))
        return found

    def flag(self, key: str, *, default: bool) -> bool:
        """Take true or false."""
        return self._take(key, bool, "true or false", default)

    def number(self, key: str) -> float | None:
        """Take a number; None when it is left out."""
        found: Any = self.value(key)
        if found is not None and (isinstance(found, bool) or not isinstance(found, int | float)):
            self.refuse(key, f"is {_short(found)}", "it takes a number")
        return found

    def values(self, key: str) -> list[Any]:
        """Take an array; empty when it is left out."""
        return self._take(key, list, "an array", [])

    def mapping(self, key: str) -> dict[str, Any]:
        """Take an object whose keys may be any; empty when it is left out."""
        return self._take(key, dict, "an object", {})

    def inner(self, key: str) -> JsonFields:
        """Take an object with fields of its own; without any when it is left out."""
        return JsonFields(self.mapping(key), Where(self.where.file, self.where.at(key)))

    def objects(self, key: str) -> Iterator[JsonFields]:
        """Take an array of objects; none when it is left out."""
        for index, entry in enumerate(self.values(key)):
            yield JsonFields(entry, Where(self.where.file, f"{self.where.at(key)}[{index}]"))

    def _take(self, key: str, kind: type[ValueT], name: str, default: ValueT) -> ValueT:
        self._known.append(key)
        found = self._entry.get(key, default)
        if found is _NONE:
            self.refuse(key, "is missing", f"it takes {name}")
        if not isinstance(found, kind):
            self.refuse(key, f"is {_short(found)}", f"it takes {name}")
        return found


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
