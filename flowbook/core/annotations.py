"""What an annotation says about a parameter: which values it takes, and how a person may set it.

An annotation reaches us as an object, or as text when the module uses ``from __future__ import annotations``. Text is
read as syntax and its names are looked up one by one: ``typing.get_type_hints`` would raise as soon as a linter has
moved ``import polars`` under ``TYPE_CHECKING``. Classes that cannot be found are judged by their name alone, which is
enough for ``pl.LazyFrame``.
"""

from __future__ import annotations

import ast
import builtins
import enum
import functools
import typing
from dataclasses import dataclass, replace
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from flowbook.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Class name -> (port type, form). The form is what ``Payloads.hand_out`` converts to.
_BY_NAME: dict[str, tuple[str, str]] = {
    "LazyFrame": ("table", "LazyFrame"),
    "DataFrame": ("table", "DataFrame"),
    "Series": ("series", "Series"),
    "ndarray": ("array", "ndarray"),
    "NDArray": ("array", "ndarray"),
    "ArrayLike": ("array", ""),
    "Chart": ("picture", ""),
    "LayerChart": ("picture", ""),
    "HConcatChart": ("picture", ""),
    "VConcatChart": ("picture", ""),
    "ConcatChart": ("picture", ""),
    "FacetChart": ("picture", ""),
    "Figure": ("picture", ""),
    "Image": ("picture", ""),
    "Callable": ("callable", ""),
    "Packet": ("packet", ""),
    "ErrorPacket": ("packet", ""),
    "Any": ("any", ""),
    "object": ("any", ""),
    "bytes": ("any", ""),
}
#: Names of values that a person can type: class name -> (port type, value type).
_VALUES: dict[str, tuple[str, str]] = {
    "int": ("scalar", "int"),
    "float": ("scalar", "float"),
    "bool": ("scalar", "bool"),
    "str": ("text", "str"),
    "date": ("scalar", "date"),
    "datetime": ("scalar", "datetime"),
    "time": ("scalar", "time"),
    "Path": ("scalar", "path"),
    "PurePath": ("scalar", "path"),
    "PosixPath": ("scalar", "path"),
    "None": ("any", "none"),
    "NoneType": ("any", "none"),
}
#: Those among them that need no import.
_TYPED = frozenset({"int", "float", "bool", "str"})
_CONTAINERS = {
    "list": "list",
    "List": "list",
    "Sequence": "list",
    "tuple": "list",
    "Tuple": "list",
    "set": "list",
    "Set": "list",
    "dict": "dict",
    "Dict": "dict",
    "Mapping": "dict",
}


_ItemT = TypeVar("_ItemT")


class Each:
    """Marks a parameter that takes the items of a list, one at each call."""

    def __repr__(self) -> str:
        """Name the marker as it is written."""
        return "each"


_EACH = Each()
#: ``fb.each[Path]``: the source gives a list of paths, the function is called once for each, what it returns is
#: gathered in a list in the same order. To a type checker it is a Path.
each = Annotated[_ItemT, _EACH]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a person may set a parameter; used as ``Annotated[int, fb.Setting(min=0, max=120, step=5)]``.

    Attributes:
        min: smallest value, inclusive; with ``max`` it makes a slider.
        max: largest value, inclusive.
        step: distance between values of the slider or field, > 0.
        options: the values to choose from; makes a select.
        label: what stands before the control; the parameter's name when empty.
        unit: what stands after the value: ``"min"``, ``"km"``.
        help: one sentence; the docstring's ``Args`` entry when empty.
    """

    min: float | None = None
    max: float | None = None
    step: float | None = None
    options: tuple[Any, ...] = ()
    label: str = ""
    unit: str = ""
    help: str = ""

    def __post_init__(self) -> None:
        """Refuse bounds that no value can meet."""
        object.__setattr__(self, "options", tuple(self.options))
        if self.min is not None and self.max is not None and self.min > self.max:
            raise DefinitionError(
                f"Setting(min={self.min}, max={self.max}) has no value", code="FB102", hint="min <= max"
            )
        if self.step is not None and self.step <= 0:
            raise DefinitionError(f"Setting(step={self.step}) does not move", code="FB102", hint="step > 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What an annotation means.

    Attributes:
        port_type: table, series, array, picture, callable, scalar, text, packet, any.
        form: class name the value is converted to, or empty.
        value_type: int, float, number (either), bool, str, date, datetime, time, path, enum, literal, list, dict, json
            for what a person can type; empty otherwise.
        options: the values of a Literal or Enum.
        choices: the Enum class, so that a stored name or value becomes a member again.
        items: what the entries of a list, or the values of a dict, mean; None when they differ or nothing is said.
        container: list, tuple, set or dict for those; empty otherwise.
        is_each: it says what one item of a list means: the function is called once for each.
        setting: the ``Setting`` of an ``Annotated``.
        is_optional: None is allowed.
        is_context: the parameter wants an ``fb.Context``.
        text: the annotation as written.
    """

    port_type: str = "any"
    form: str = ""
    value_type: str = ""
    options: tuple[Any, ...] = ()
    choices: type[enum.Enum] | None = None
    items: Meaning | None = None
    container: str = ""
    setting: Setting | None = None
    is_optional: bool = False
    is_context: bool = False
    is_each: bool = False
    text: str = ""

    def __hash__(self) -> int:
        """Hash what tells most of them apart: what is made from a meaning is looked up for every node."""
        return hash((self.text, self.port_type, self.value_type))


def read_annotation(annotation: object, namespace: Mapping[str, Any]) -> Meaning:
    """Say what ``annotation`` means; unknown classes mean "any".

    Args:
        annotation: the object, or its source text.
        namespace: where names in text are looked up (the function's globals).

    Raises:
        DefinitionError: FB102, a ``Setting(...)`` in text whose arguments are not plain values.
    """
    if isinstance(annotation, str):
        if annotation in _TYPED and annotation not in namespace:
            return _plain_name(annotation, annotation, "builtins")
        tree = parse_annotation(annotation)
        if tree is None:
            return Meaning(text=annotation)
        if isinstance(tree, ast.Name):
            found = lookup_name(tree, namespace)
            if found is None or type(found) is type:
                return _plain_name(annotation, tree.id, getattr(found, "__module__", ""))
        return replace(_from_syntax(tree, namespace), text=annotation)
    if type(annotation) is type:
        return _plain_name(annotation.__name__, annotation.__name__, annotation.__module__)
    return replace(_from_object(annotation), text=_spelling(annotation))


@functools.lru_cache(maxsize=4096)
def parse_annotation(text: str) -> ast.expr | None:
    """Return the syntax of an annotation, not to be changed, or None when it is none: a flow repeats a few of them."""
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return None


@functools.lru_cache(maxsize=4096)
def _plain_name(text: str, name: str, module: str) -> Meaning:
    """Say what a name means that is bound to a class of a module, or to nothing (no module)."""
    return replace(_by_name(name, module), text=text)


def value_type_of(default: object) -> str:
    """Guess the value type of an unannotated parameter from its default; empty when a person could not type it."""
    for cls, name in (
        (bool, "bool"),
        (int, "int"),
        (float, "float"),
        (str, "str"),
        (list, "list"),
        (tuple, "list"),
        (dict, "dict"),
    ):
        if isinstance(default, cls):
            return name
    if isinstance(default, enum.Enum):
        return "enum"
    found = _VALUES.get(type(default).__name__)
    return found[1] if found and found[1] != "none" else ""


def lookup_name(node: ast.expr, namespace: Mapping[str, Any]) -> object | None:
    """Find what ``a.b.c`` is bound to without evaluating anything but attribute access; None when it is not there."""
    found: object | None = None
    if isinstance(node, ast.Name):
        found = namespace[node.id] if node.id in namespace else getattr(builtins, node.id, None)
    elif isinstance(node, ast.Attribute):
        owner = lookup_name(node.value, namespace)
        found = getattr(owner, node.attr, None) if owner is not None else None
    return found


def _spelling(annotation: object) -> str:
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__name__
    return repr(annotation).replace("typing.", "")


def _from_object(annotation: object) -> Meaning:
    origin = typing.get_origin(annotation)
    if annotation is None:
        return Meaning(value_type="none", is_optional=True)
    if isinstance(annotation, str | typing.ForwardRef):
        return read_annotation(annotation if isinstance(annotation, str) else annotation.__forward_arg__, {})
    if origin is Annotated:
        return _annotated(*typing.get_args(annotation))
    if origin in (typing.Union, UnionType):
        return _union([_from_object(part) for part in typing.get_args(annotation)])
    if origin is Literal:
        return _literal(typing.get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _enum(annotation)
    named = origin if origin is not None else annotation
    name = getattr(named, "__name__", None) or getattr(named, "_name", None) or ""
    if name in _CONTAINERS:
        return _container(name, [_from_object(part) for part in typing.get_args(annotation) if part is not Ellipsis])
    return _by_name(name, _module_of(named))


def _annotated(inner: object, *extras: object) -> Meaning:
    setting = next((extra for extra in extras if isinstance(extra, Setting)), None)
    meaning = replace(Meaning() if isinstance(inner, TypeVar) else _from_object(inner), setting=setting)
    for extra in extras:  # Python makes one Annotated of several
        meaning = _each(meaning) if isinstance(extra, Each) else meaning
    return meaning


def _from_syntax(node: ast.expr, namespace: Mapping[str, Any]) -> Meaning:
    if isinstance(node, ast.Constant):
        if node.value is None:
            return Meaning(value_type="none", is_optional=True)
        return read_annotation(node.value, namespace) if isinstance(node.value, str) else Meaning()
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union([_from_syntax(node.left, namespace), _from_syntax(node.right, namespace)])
    if isinstance(node, ast.Subscript):
        return _from_subscript(node, namespace)
    found = lookup_name(node, namespace)
    if found is None and _last_name(node) == "each":
        return _each(Meaning())
    if found is not None and not isinstance(found, str) and (typing.get_origin(found) or _is_enum(found)):
        return _from_object(found)
    return _by_name(_last_name(node), _module_of(found))


def _from_subscript(node: ast.Subscript, namespace: Mapping[str, Any]) -> Meaning:
    name = _last_name(node.value)
    parts = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Annotated":
        found = (_setting_from_syntax(part, namespace) for part in parts[1:])
        return replace(_from_syntax(parts[0], namespace), setting=next((entry for entry in found if entry), None))
    if name == "each" or lookup_name(node.value, namespace) is each:
        return _each(_from_syntax(parts[0], namespace))
    if name == "Optional":
        return _union([_from_syntax(parts[0], namespace), Meaning(value_type="none", is_optional=True)])
    if name == "Union":
        return _union([_from_syntax(part, namespace) for part in parts])
    if name == "Literal":
        return _literal(tuple(part.value for part in parts if isinstance(part, ast.Constant)))
    if name in _CONTAINERS:
        inner = [part for part in parts if not (isinstance(part, ast.Constant) and part.value is ...)]
        return _container(name, [_from_syntax(part, namespace) for part in inner])
    return _by_name(name, "")


def _setting_from_syntax(node: ast.expr, namespace: Mapping[str, Any]) -> Setting | None:
    if isinstance(node, ast.Call) and _last_name(node.func) == "Setting":
        return _read_setting(node, namespace)
    found = lookup_name(node, namespace)
    return found if isinstance(found, Setting) else None


def _read_setting(node: ast.Call, namespace: Mapping[str, Any]) -> Setting:
    try:
        values = {word.arg or "**": _plain_value(word.value, namespace) for word in node.keywords}
        return Setting(*node.args, **values)  # positional arguments are refused as Python refuses them
    except (ValueError, TypeError) as error:
        raise DefinitionError(
            f"{ast.unparse(node)} cannot be read",
            code="FB102",
            hint="give keywords with plain values: fb.Setting(min=0, max=120, step=5)",
        ) from error


def _plain_value(node: ast.expr, namespace: Mapping[str, Any]) -> Any:
    found = lookup_name(node, namespace)
    return found if found is not None else ast.literal_eval(node)


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _is_enum(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, enum.Enum)


def _by_name(name: str, module: str) -> Meaning:
    if name == "Context":
        return Meaning(is_context=True)
    if name in _CONTAINERS:
        return _container(name, [])
    if name in _VALUES:
        port_type, value_type = _VALUES[name]
        return Meaning(port_type=port_type, value_type=value_type, is_optional=value_type == "none")
    port_type, form = _BY_NAME.get(name, ("any", ""))
    # Another library's DataFrame or Series is a table too, but polars' form is only asked for by polars' own class.
    if form and module and not module.startswith(("polars", "numpy")):
        form = ""
    return Meaning(port_type=port_type, form=form)


def _module_of(found: object | None) -> str:
    module = getattr(found, "__module__", "") if found is not None else ""
    return module if isinstance(module, str) else ""


def _enum(cls: type[enum.Enum]) -> Meaning:
    return Meaning(port_type="scalar", value_type="enum", options=tuple(member.name for member in cls), choices=cls)


def _literal(options: tuple[Any, ...]) -> Meaning:
    port_type = "text" if options and all(isinstance(option, str) for option in options) else "scalar"
    return Meaning(port_type=port_type, value_type="literal", options=options, is_optional=None in options)


def _container(name: str, parts: list[Meaning]) -> Meaning:
    # A list of tables is not something a person can type; a list of numbers or of unsaid things is.
    is_value = all(part.value_type or (not part.text and part.port_type == "any" and not part.form) for part in parts)
    kind = _CONTAINERS[name]
    inner = parts[1:] if kind == "dict" else parts
    container = name.lower() if name.lower() in ("tuple", "set") else kind
    is_alike = bool(inner) and all(part == inner[0] for part in inner)
    if not is_value:
        return Meaning(items=inner[0] if is_alike else None, container=container)
    items = inner[0] if is_alike and inner[0].value_type else None
    return Meaning(value_type=kind, items=items, container=container)


def _each(item: Meaning) -> Meaning:
    if item.is_each:
        raise DefinitionError(
            "each[each[…]] goes into lists of lists",
            code="FB114",
            hint="take the inner list as one item, fb.each[list[…]], and let another node take its items",
        )
    return replace(item, is_each=True)


def _union(parts: list[Meaning]) -> Meaning:
    real = [part for part in parts if part.value_type != "none"]
    is_optional = len(real) < len(parts) or any(part.is_optional for part in real)
    if not real:
        return Meaning(value_type="none", is_optional=True)
    first = real[0]
    if all(
        (part.port_type, part.form, part.value_type) == (first.port_type, first.form, first.value_type) for part in real
    ):
        return replace(first, is_optional=is_optional)
    if all(part.value_type for part in real):
        # int | float is a number, anything wider is typed as JSON.
        numbers = all(part.value_type in ("int", "float") for part in real)
        setting = next((part.setting for part in real if part.setting), None)
        return Meaning(
            port_type="scalar", value_type="number" if numbers else "json", is_optional=is_optional, setting=setting
        )
    same_type = all(part.port_type == first.port_type for part in real)
    return Meaning(port_type=first.port_type if same_type else "any", is_optional=is_optional)
