"""Spells ports and settings as annotations that mean the same wherever they are read.

An annotation as written may name what only the notebook knows: an alias, an Enum, a constant in ``Setting(min=LOW)``.
It is kept where it reads the same without the notebook, and spelled anew where it does not.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from flowbook.core.annotations import read_annotation

if TYPE_CHECKING:
    from flowbook.core.node_types import NodeType, Port
    from flowbook.core.settings import SettingSpec

#: How to say a form, or a port type without one, by a name that everybody reads alike.
_FORMS = {"LazyFrame": "pl.LazyFrame", "DataFrame": "pl.DataFrame", "Series": "pl.Series", "ndarray": "np.ndarray"}
_TYPES = {
    "table": "pl.DataFrame | pl.LazyFrame",
    "array": "ArrayLike",
    "picture": "Figure",
    "callable": "Callable",
    "packet": "Packet",
    "scalar": "int | float",
    "text": "str",
}
_VALUES = {"number": "int | float", "path": "Path", "json": "int | str", "list": "list", "dict": "dict"}


def parameter_text(node_type: NodeType, alone: NodeType, name: str) -> str:
    """Spell the annotation of a parameter anew; empty where the one that is written says the same by itself.

    Args:
        node_type: what the parameters are.
        alone: what they look like to who reads the text and knows nothing else.
        name: of the parameter.
    """
    spec, read = node_type.setting(name), alone.setting(name)
    if spec is not None:
        is_same = read is not None and _facts(read) == _facts(spec)
        return "" if is_same else setting_text(spec)
    port, seen = node_type.input(name), alone.input(name)
    if port is None:
        return "" if name != node_type.context_name or alone.context_name == name else "fb.Context"
    if seen is not None and (seen.type, seen.form, _facts(seen.plain)) == (port.type, port.form, _facts(port.plain)):
        return ""
    return port_text(port)


def _facts(spec: SettingSpec | None) -> object:
    """Everything of a setting that its annotation says."""
    if spec is None:
        return None
    items = _facts(spec.items)
    return dataclasses.astuple(dataclasses.replace(spec, default=None, items=None, choices=None)), items, spec.choices


def setting_text(spec: SettingSpec) -> str:
    """Spell what a person may set."""
    base = _VALUES.get(spec.value_type, spec.value_type)
    if spec.value_type in ("literal", "enum"):
        base = f"Literal[{', '.join(map(repr, spec.options))}]"
    elif spec.value_type in ("list", "dict"):
        item = setting_text(spec.items) if spec.items is not None else ""
        base = spec.container or base
        base += f"[str, {item}]" if item and base == "dict" else f"[{item}, ...]" if item and base == "tuple" else ""
        base += f"[{item}]" if item and base in ("list", "set") else ""
    if spec.is_optional:
        base += " | None"
    given = {
        "min": spec.min,
        "max": spec.max,
        "step": spec.step,
        "options": spec.options if spec.value_type not in ("literal", "enum") else (),
        "label": spec.label if spec.label != spec.name else "",
        "unit": spec.unit,
        "help": spec.help,
    }
    words = [f"{name}={value!r}" for name, value in given.items() if value not in (None, (), "")]
    return f"Annotated[{base}, fb.Setting({', '.join(words)})]" if words else base


def port_text(port: Port) -> str:
    """Spell what comes by an edge."""
    if port.plain is not None:
        return setting_text(port.plain)
    return _FORMS.get(port.form) or _TYPES.get(port.type, "Any")


def _output_text(port: Port) -> str:
    read = read_annotation(port.annotation, {})
    is_same = bool(port.annotation) and (read.port_type, read.form) == (port.type, port.form)
    return port.annotation if is_same else port_text(port)


def returns_text(node_type: NodeType, alone: NodeType, written: str) -> str:
    """Spell what a function gives back; as written where that says the same by itself."""
    read = [(port.name, port.type, port.form) for port in alone.outputs]
    if read == [(port.name, port.type, port.form) for port in node_type.outputs]:
        return written
    texts = [_output_text(port) for port in node_type.outputs]
    if len(texts) == 1:
        return texts[0]
    return f"tuple[{', '.join(texts)}]"
