"""Reads and checks one ``schema.json``: everything about a node type that can be said without running Python.

The fields are those of a node's ``schema.json`` wherever such folders are shared (``timeoutMs``, ``minRuntime``), with
what the canvas and the tests need besides: a setting's ``default``, bounds, unit and help, and ``examples``. A field
that nobody knows is refused, because it is nearly always a known one misspelt.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flowbook.core.node_types import ERROR, NODE_ID, Port, PortKind, control_for
from flowbook.core.policies import Policy, Retry, checked_policy
from flowbook.core.settings import SettingSpec
from flowbook.errors import DefinitionError, NodeFolderError
from flowbook.registry.json_fields import JsonFields, Where

if TYPE_CHECKING:
    from collections.abc import Callable

TYPE_ID = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*")
VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)([-+.][\w.+-]*)?")

#: ``type`` of a port in schema.json -> (port type, form).
_PORT_TYPES: dict[str, tuple[str, str]] = {
    "table": ("table", "LazyFrame"),
    "series": ("series", "Series"),
    "array": ("array", "ndarray"),
    "picture": ("picture", ""),
    "callable": ("callable", ""),
    "string": ("text", ""),
    "text": ("text", ""),
    "integer": ("scalar", ""),
    "number": ("scalar", ""),
    "boolean": ("scalar", ""),
    "scalar": ("scalar", ""),
    "packet": ("packet", ""),
    "error_packet": ("packet", ""),
    "object": ("any", ""),
    "signal": ("any", ""),
    "any": ("any", ""),
}
_TABLE_FORMS = ("LazyFrame", "DataFrame")
#: ``type`` of a setting in schema.json -> value type.
_SETTING_TYPES = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "enum": "literal",
    "path": "path",
    "date": "date",
    "datetime": "datetime",
    "time": "time",
    "list": "list",
    "object": "dict",
    "any": "json",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """Inputs and settings of a node, and what then comes out of it; run as a test.

    Attributes:
        title: what it shows, one sentence.
        settings: by name, JSON values.
        inputs: by port; a table is an object of columns.
        files: texts of files that it reads, by name.
        outputs: by port; a table is an object of columns.
        fails: code of the error that is expected in place of outputs, or empty.
    """

    title: str
    settings: dict[str, Any]
    inputs: dict[str, Any]
    files: dict[str, str]
    outputs: dict[str, Any]
    fails: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSchema:
    """What a ``schema.json`` says.

    Attributes:
        type_id: how documents name the type: ``table.filter``.
        version: of the type, ``major.minor.patch``.
        category: where the palette lists it.
        label: how the palette calls it.
        doc: what it does, one or two sentences.
        icon: name of an icon, or empty.
        color: ``#rrggbb``, or empty.
        policy: how its nodes behave unless a node says otherwise.
        is_async: the function is a coroutine function.
        inputs: input ports.
        outputs: output ports; the ``error`` port that every node has is left out.
        settings: what a person may move.
        packet_names: inputs that want the packet, not its payload.
        examples: at least none; the house's own types have one each.
    """

    type_id: str
    version: str
    category: str
    label: str
    doc: str
    icon: str
    color: str
    policy: Policy
    is_async: bool
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    settings: tuple[SettingSpec, ...]
    packet_names: frozenset[str]
    examples: tuple[Example, ...]


def read_schema(text: str, *, file: str, runtime: str) -> NodeSchema:
    """Read the text of a ``schema.json``.

    Args:
        text: JSON.
        file: how errors name the file.
        runtime: version of the flowbook that is to run the node.

    Raises:
        NodeFolderError: FB230 not JSON, FB231 a field is missing or has the wrong shape, FB232 an unknown field,
            FB233 it needs a newer flowbook.
    """
    where = Where(file)
    fields = JsonFields(_parse(text, where), where)
    compatibility = fields.inner("compatibility")
    _check_runtime(compatibility, runtime)
    compatibility.finish()
    look = fields.inner("ui")
    icon = look.text("icon", "")
    color = look.text("color", "", pattern=re.compile(r"#[0-9a-fA-F]{6}"), hint='"#ff8800"')
    look.skip("resizable")  # every card of ours can be resized, or none
    look.finish()
    ports = fields.inner("ports")
    entries = [*ports.objects("inputs")]
    inputs = tuple(_port(entry) for entry in entries)
    packet_names = frozenset(entry.text("name") for entry in entries if entry.text("type") == "packet")
    outputs = tuple(port for port in map(_port, ports.objects("outputs")) if port.name != ERROR)
    ports.finish()
    settings = tuple(_setting(entry) for entry in fields.objects("settings"))
    policy, is_async = _execution(fields.inner("execution"))
    schema = NodeSchema(
        type_id=fields.text("id", pattern=TYPE_ID, hint='letters, digits, _ and -, in parts: "table.filter"'),
        version=fields.text("version", pattern=VERSION, hint='"1.0.0"'),
        category=fields.text("category"),
        label=fields.text("name"),
        doc=fields.text("description"),
        icon=icon,
        color=color,
        policy=policy,
        is_async=is_async,
        inputs=inputs,
        outputs=outputs,
        settings=settings,
        packet_names=packet_names,
        examples=(),
    )
    _check_names(schema, where)
    schema = replace(schema, examples=tuple(_example(entry, schema) for entry in fields.objects("examples")))
    fields.finish()
    return schema


def _parse(text: str, where: Where) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
        raise NodeFolderError(
            f"the file is not JSON: {getattr(error, 'msg', error)}",
            code="FB230",
            where=f"{where.file}, line {line}, column {column}",
            hint="the file holds one JSON object",
            file=where.file,
            line=line,
            column=column,
        ) from None


def _check_runtime(compatibility: JsonFields, runtime: str) -> None:
    wanted = compatibility.text("minRuntime", "0.0.0", pattern=VERSION, hint='"1.0.0"')
    if _numbers(wanted) > _numbers(runtime):
        raise NodeFolderError(
            f"it needs flowbook {wanted}, this is {runtime}",
            code="FB233",
            where=compatibility.where.file,
            hint="pip install --upgrade flowbook",
            file=compatibility.where.file,
            field="compatibility.minRuntime",
            needed=wanted,
            found=runtime,
        )


def _numbers(version: str) -> tuple[int, ...]:
    found = VERSION.match(version)
    return tuple(int(part) for part in found.groups()[:3]) if found else ()


def _port(fields: JsonFields) -> Port:
    name = fields.text("name", pattern=NODE_ID, hint="letters, digits and _, as in Python")
    port_type, form = _PORT_TYPES[fields.choice("type", _PORT_TYPES)]
    if port_type == "table":
        form = fields.choice("form", _TABLE_FORMS, form)
    is_required = fields.flag("required", default=True)
    fields.finish()
    kind = PortKind(type=port_type, form=form, is_required=is_required, has_default=not is_required)
    return Port(name=name, kind=kind)


def _setting(fields: JsonFields) -> SettingSpec:
    name = fields.text("name", pattern=NODE_ID, hint="letters, digits and _, as in Python")
    value_type = _SETTING_TYPES[fields.choice("type", _SETTING_TYPES)]
    options = tuple(fields.values("options"))
    if value_type == "literal" and not options:
        fields.refuse("options", "is empty", 'an enum lists its "options"')
    low, high, step = (fields.number(key) for key in ("min", "max", "step"))
    is_required = not fields.has("default")
    default = fields.value("default")
    spec = SettingSpec(
        name=name,
        value_type=value_type,
        default=None,
        control=control_for(value_type, has_options=bool(options), is_bounded=None not in (low, high)),
        min=low,
        max=high,
        step=step,
        options=options,
        label=fields.text("label", name),
        unit=fields.text("unit", ""),
        help=fields.text("help", ""),
        is_optional=default is None,
        is_required=is_required,
    )
    fields.finish()
    try:
        return replace(spec, default=spec.checked(default))
    except DefinitionError as error:
        fields.refuse("default", "does not fit the setting", error.hint)


def _execution(fields: JsonFields) -> tuple[Policy, bool]:
    """Read ``execution``: the policy of the type's nodes, and whether its function is a coroutine function."""
    values: dict[str, Any] = {"kind": fields.choice("kind", ("pure", "stateful", "io"), "pure")}
    timeout_ms = fields.number("timeoutMs")
    if timeout_ms is not None:
        values["timeout_s"] = timeout_ms / 1000
    retries = fields.number("retry") or 0
    # What cannot be recovered from fails again, however often it is tried.
    is_recoverable = fields.flag("recoverable", default=True)
    is_async = fields.flag("async", default=False)
    fields.finish()
    try:
        if retries and is_recoverable:
            values["retry"] = Retry(max_attempts=int(retries) + 1)
        return Policy(**checked_policy(values)), is_async
    except DefinitionError as error:
        fields.refuse("timeoutMs" if error.fields.get("policy") else "retry", "is out of range", error.hint)


def _check_names(schema: NodeSchema, where: Where) -> None:
    parameters = [port.name for port in schema.inputs] + [spec.name for spec in schema.settings]
    for field, names in (("ports and settings", parameters), ("ports.outputs", [port.name for port in schema.outputs])):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            where.refuse(field, f"name {twice[0]!r} twice", "inputs and settings share their names")
    if not schema.outputs:
        where.refuse("ports.outputs", "are missing", 'a node gives something: {"name": "result", "type": "table"}')


def _example(fields: JsonFields, schema: NodeSchema) -> Example:
    known: dict[str, Callable[[str], object]] = {
        "settings": lambda name: next((spec for spec in schema.settings if spec.name == name), None),
        "inputs": lambda name: next((port for port in schema.inputs if port.name == name), None),
        "outputs": lambda name: next((port for port in schema.outputs if port.name == name), None),
    }
    found = {key: fields.mapping(key) for key in known}
    for key, look_up in known.items():
        for name in found[key]:
            if look_up(name) is None:
                fields.refuse(key, f"name {name!r}, which the node does not have", "see ports and settings")
    files = {name: str(text) for name, text in fields.mapping("files").items()}
    example = Example(title=fields.text("title"), files=files, fails=fields.text("fails", ""), **found)
    fields.finish()
    return example
