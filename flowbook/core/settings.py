"""Settings: what a person may move on a node, the control that fits, and the JSON form in which a value is kept."""

from __future__ import annotations

import copy
import datetime as dt
import enum
import json
import math
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from flowbook.errors import DefinitionError

_TYPES: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "number": (int, float),
    "bool": (bool,),
    "str": (str,),
    "list": (list,),
    "dict": (dict,),
}
_TIMES: dict[str, Any] = {"date": dt.date, "datetime": dt.datetime, "time": dt.time}


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingSpec:
    """One setting of a node type.

    Attributes:
        name: the parameter's name.
        value_type: int, float, number (either of them), bool, str, date, datetime, time, path, enum, literal, list,
            dict or json.
        default: the default in its JSON form.
        control: slider, number, switch, select, text, path, date or json.
        min: smallest value, inclusive, or None.
        max: largest value, inclusive, or None.
        step: distance between values, > 0, or None.
        options: what a select offers, JSON values.
        choices: the Enum class behind a select, or None.
        items: what the entries of a list, or the values of a dict, are; None: whatever JSON holds.
        container: list, tuple, set or dict: what the function gets for a list or dict; empty otherwise.
        label: what stands before the control.
        unit: what stands after the value.
        help: one sentence, or empty.
        is_optional: None is allowed.
        is_required: there is no default; None means that nobody has set it yet, and the node cannot fire.
    """

    name: str
    value_type: str
    default: Any
    control: str
    min: float | None = None
    max: float | None = None
    step: float | None = None
    options: tuple[Any, ...] = ()
    choices: type[enum.Enum] | None = None
    items: SettingSpec | None = None
    container: str = ""
    label: str = ""
    unit: str = ""
    help: str = ""
    is_optional: bool = False
    is_required: bool = False

    def checked(self, value: Any) -> Any:
        """Return ``value`` in the JSON form in which documents keep it.

        Raises:
            DefinitionError: FB103, the value is not of this setting's type, out of range or not among its options.
        """
        plain = to_json_value(value)
        if plain is None and self.is_optional:
            return None
        if self.value_type == "float" and isinstance(plain, int) and not isinstance(plain, bool):
            plain = _as_float(plain)  # JSON of another language writes 1.0 as 1; it is the same value
        if self.items is not None and isinstance(plain, list):
            plain = [self.items.checked(entry) for entry in plain]
        elif self.items is not None and isinstance(plain, dict):
            plain = {key: self.items.checked(entry) for key, entry in plain.items()}
        problem = self._problem(plain)
        if problem:
            raise DefinitionError(
                f"{self.name}={value!r} {problem}", code="FB103", hint=self._hint(), setting=self.name
            )
        # "09:30" and "09:30:00" are one time.
        return self.to_python(plain).isoformat() if self.value_type in _TIMES else plain

    def to_python(self, plain: Any) -> Any:
        """Turn the JSON form into what the function expects: dates, paths and Enum members again."""
        if isinstance(plain, list | dict):
            return self._filled(plain)
        if plain is None or not isinstance(plain, str):
            return self.choices(plain) if self.choices is not None and plain is not None else plain
        if self.value_type == "path":
            return Path(plain)
        if self.choices is not None:
            return self.choices[plain]
        if self.value_type in _TIMES:
            return _TIMES[self.value_type].fromisoformat(plain)
        return plain

    def _filled(self, plain: list[Any] | dict[str, Any]) -> Any:
        """Make a new container, so that a function that changes its argument changes nobody else's."""
        convert = self.items.to_python if self.items is not None else copy.deepcopy
        if isinstance(plain, dict):
            return {key: convert(entry) for key, entry in plain.items()}
        entries = [convert(entry) for entry in plain]
        return {"tuple": tuple, "set": set}.get(self.container, list)(entries)

    def _problem(self, plain: Any) -> str:
        if self.options and not any(same_json(plain, option) for option in self.options):
            return "is not one of its options"
        allowed = _TYPES.get(self.value_type)
        if allowed and (not isinstance(plain, allowed) or (isinstance(plain, bool) and bool not in allowed)):
            return f"is not of type {self.value_type}"
        if self.value_type in (*_TIMES, "path"):
            try:
                self.to_python(plain)
            except ValueError:
                return f"is not a {self.value_type}"
            return "" if isinstance(plain, str) else f"is not a {self.value_type}"
        is_number = isinstance(plain, int | float) and not isinstance(plain, bool)
        is_low = is_number and self.min is not None and plain < self.min
        is_high = is_number and self.max is not None and plain > self.max
        return "is out of range" if is_low or is_high else ""

    def _hint(self) -> str:
        if self.options:
            return "use one of " + ", ".join(repr(option) for option in self.options[:12])
        bounds = [
            f"{self.min:g} <= " if self.min is not None else "",
            f" <= {self.max:g}" if self.max is not None else "",
        ]
        return f"give a value of type {self.value_type}" + (
            f", {bounds[0]}{self.name}{bounds[1]}" if any(bounds) else ""
        )


def to_json_value(value: Any) -> Any:
    """Bring a setting's or constant's value into JSON form: dates ISO, paths text, Enum members their names.

    Raises:
        DefinitionError: FB104, the value has no JSON form (a table, an object, NaN).
    """
    # Enums of str or int are JSON values by inheritance; their name must win.
    if isinstance(value, enum.Enum):
        return value.name
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()  # a number of numpy's
    if value is None or isinstance(value, bool):
        return value
    for plain in (int, str):
        if isinstance(value, plain):
            return plain(value)  # also of a class that inherits from it
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, PurePath):
        return value.as_posix()
    return _container_to_json(value)


def _container_to_json(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [to_json_value(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((to_json_value(item) for item in value), key=json.dumps)
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: to_json_value(item) for key, item in value.items()}
    if isinstance(value, float):
        raise DefinitionError(
            f"{value!r} cannot be kept in a document", code="FB104", hint="use None or a finite number"
        )
    raise DefinitionError(
        f"a value of type {type(value).__name__} cannot be kept in a document",
        code="FB104",
        hint="give it to a run instead: flow.run(inputs={...}) or overrides={...}",
    )


def _as_float(number: int) -> Any:
    try:
        return float(number)
    except OverflowError:
        return number  # too large a number: refused as what it is


def same_json(left: Any, right: Any) -> bool:
    """Whether two JSON values are written alike; ``True`` and ``1``, ``1`` and ``1.0`` are not."""
    if left is right:
        return True
    if type(left) in (int, str, bool) or type(right) in (int, str, bool):
        return type(left) is type(right) and bool(left == right)
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
