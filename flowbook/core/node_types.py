"""Node types: ports and settings read off a function's signature.

A node type is a function together with what its annotations say: which parameters come by edge, which a person sets,
what it gives back. The function itself stays as it was and can still be called.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import linecache
import re
from dataclasses import dataclass, field
from types import FunctionType, MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from flowbook.core.annotations import Meaning, Setting, lookup_name, parse_annotation, read_annotation, value_type_of
from flowbook.core.policies import Policy, checked_policy
from flowbook.core.settings import SettingSpec, to_json_value
from flowbook.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import CodeType

    from flowbook.core.expansion import Body

_NO_HINTS: Final = Setting()
_AS_ANY: Final = Policy()
_NO_DOCS: Final[Mapping[str, str]] = MappingProxyType({})
#: What stands where a signature says nothing.
_EMPTY: Final = inspect.Parameter.empty
_NO_NAMES: Final[frozenset[str]] = frozenset()
#: Output port of a function that names none.
RESULT = "result"
#: Every node has this output; it carries the ErrorPacket of a failed firing when something is connected to it.
ERROR = "error"
NODE_ID = re.compile(r"[A-Za-z_]\w*")


#: Port types whose values nobody can write as JSON; an array may be meant by a list, unless its form is asked for.
_NEVER_JSON: Final = frozenset({"table", "series", "picture", "callable"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PortKind:
    """What is said of a port besides its name; ports of which the same is said share it.

    Attributes:
        type: table, series, array, picture, callable, scalar, text, packet or any.
        form: class the value is converted to before the function gets it ("LazyFrame"), or empty.
        meaning: of its annotation, for inputs; None otherwise.
        is_required: the node cannot fire without it.
        has_default: an unconnected port takes the function's own default.
        is_ambient: a name read by a cell's body: when no node bears it, the notebook's own variable is taken.
        is_mutable: the consumer gets a private copy it may change.
        is_each: it takes a list, and the function is called once for each of its items.
        is_gathered: it gives a list of what the function returned at each call.
        container: list, tuple, set or dict where the annotation says one of them; empty otherwise.
        item_type: port type of the items of a list; empty when it is none, or when nothing is said of them.
        item_form: class that an item is converted to, or empty.
        annotation: as written, for people; of an item, where items are taken or gathered.
    """

    type: str = "any"
    form: str = ""
    meaning: Meaning | None = None
    is_required: bool = True
    has_default: bool = False
    is_ambient: bool = False
    is_mutable: bool = False
    is_each: bool = False
    is_gathered: bool = False
    container: str = ""
    item_type: str = ""
    item_form: str = ""
    annotation: str = ""


_ANY_KIND: Final = PortKind()


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A typed place on a node; what ``kind`` says can be asked of the port itself.

    Attributes:
        name: unique among the inputs, or among the outputs, of its node.
        kind: what else is said of it.
    """

    name: str
    kind: PortKind = _ANY_KIND

    @property
    def type(self) -> str:
        """See ``PortKind``."""
        return self.kind.type

    @property
    def form(self) -> str:
        """See ``PortKind``."""
        return self.kind.form

    @property
    def meaning(self) -> Meaning | None:
        """See ``PortKind``."""
        return self.kind.meaning

    @property
    def is_required(self) -> bool:
        """See ``PortKind``."""
        return self.kind.is_required

    @property
    def has_default(self) -> bool:
        """See ``PortKind``."""
        return self.kind.has_default

    @property
    def is_ambient(self) -> bool:
        """See ``PortKind``."""
        return self.kind.is_ambient

    @property
    def is_mutable(self) -> bool:
        """See ``PortKind``."""
        return self.kind.is_mutable

    @property
    def is_each(self) -> bool:
        """See ``PortKind``."""
        return self.kind.is_each

    @property
    def is_gathered(self) -> bool:
        """See ``PortKind``."""
        return self.kind.is_gathered

    @property
    def container(self) -> str:
        """See ``PortKind``."""
        return self.kind.container

    @property
    def item_type(self) -> str:
        """See ``PortKind``."""
        return self.kind.item_type

    @property
    def item_form(self) -> str:
        """See ``PortKind``."""
        return self.kind.item_form

    @property
    def annotation(self) -> str:
        """See ``PortKind``."""
        return self.kind.annotation

    def but(self, **said: Any) -> Port:
        """Return the same port, save that something else is said of it."""
        return Port(name=self.name, kind=dataclasses.replace(self.kind, **said))

    @property
    def plain(self) -> SettingSpec | None:
        """How a constant or a given text becomes a value, if a person can type such values; None otherwise."""
        meaning = self.meaning
        if meaning is None or not meaning.value_type or meaning.value_type == "none":
            return None
        is_simple = meaning.setting is None and not meaning.options and meaning.items is None
        return _simple_spec(self.name, meaning) if is_simple else _spec(self.name, meaning)

    def problem_with(self, plain: Any) -> str:
        """Say in words why a JSON value cannot be what this port takes; empty when it can, or when nothing is known.

        Values that ``plain`` describes are its business.
        """
        if plain is None and self.meaning is not None and self.meaning.is_optional:
            return ""
        items = self.meaning.items if self.meaning is not None else None
        item_type, item_form = (items.port_type, items.form) if items is not None else (self.item_type, self.item_form)
        if item_form or item_type in _NEVER_JSON:
            return f"is not a list that holds a {item_type} for each item" if plain != [] else ""
        return f"is not a {self.type}" if self.form or self.type in _NEVER_JSON else ""


def gathered(port: Port) -> Port:
    """Make the port that gives a list of what ``port`` gives."""
    if port.is_gathered:
        return port
    return port.but(type="any", form="", is_gathered=True, container="list", item_type=port.type, item_form=port.form)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeType:
    """A declaration that nodes are made from.

    Attributes:
        type_id: how documents name it.
        function: what a firing calls with keyword arguments; None for a stub whose code is not known yet.
        inputs: input ports in the order of the signature.
        outputs: output ports, at least one.
        settings: what a person may move.
        doc: first paragraph of the docstring.
        policy: how its nodes behave unless a node says otherwise.
        is_async: the function is a coroutine function and runs on the engine's loop.
        context_name: parameter that receives an ``fb.Context``, or None.
        packet_names: input ports that want the packet, not its payload.
        is_tuple_result: the function returns its outputs as a tuple in port order (False: as one value, or by
        attribute). origin: ``"code"`` (decorator), ``"cell"`` (``%%node``), ``"document"`` (``types`` of a document),
        ``"folder"`` (``schema.json`` and ``logic.py``) or ``"stub"``. source: source text, or empty.
        place: file name and line of the function, as tracebacks show them, where its code does not say so itself.
        version: of a type that is installed, or empty: what the notebook itself defines has none.
        load: gives the function proper where ``function`` only stands for it until it is first called, or None.
        body: the flow that the type stands for (origin ``"flow"``), or None; its function is never called then.
        mapped: the type of the flow that is run for each item instead of calling the function, or None.
    """

    type_id: str
    function: Callable[..., Any] | None
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = (Port(name=RESULT),)
    settings: tuple[SettingSpec, ...] = ()
    doc: str = ""
    policy: Policy = field(default_factory=Policy)
    is_async: bool = False
    context_name: str | None = None
    packet_names: frozenset[str] = frozenset()
    is_tuple_result: bool = False
    origin: str = "code"
    source: str = ""
    place: tuple[str, int] | None = None
    version: str = ""
    load: Callable[[], Callable[..., Any]] | None = None
    body: Body | None = None
    mapped: NodeType | None = None

    def __post_init__(self) -> None:
        """What is called once for each item gives lists."""
        for port in self.inputs:
            if port.kind.is_each and self.body is None:
                object.__setattr__(self, "outputs", tuple(map(gathered, self.outputs)))

    @property
    def each_names(self) -> tuple[str, ...]:
        """Inputs that take a list, item by item; empty when the function is called once, and for a subflow."""
        if self.body is not None:  # the nodes in it do as they say
            return ()
        return tuple([port.name for port in self.inputs if port.is_each])

    def input(self, name: str) -> Port | None:
        """Return the input port of that name, or None."""
        return _named(self.inputs, name)

    def output(self, name: str) -> Port | None:
        """Return the output port of that name, or None; ``error`` always exists."""
        if name == ERROR and all(port.name != ERROR for port in self.outputs):
            return _ERROR_PORT
        return _named(self.outputs, name)

    @property
    def filename(self) -> str:
        """Where the function is defined, as tracebacks show it."""
        return self._found_place[0]

    @property
    def first_line(self) -> int:
        """Of the function in that file, >= 1."""
        return self._found_place[1]

    @property
    def _found_place(self) -> tuple[str, int]:
        proper = inspect.unwrap(self.function) if self.origin == "code" and self.function is not None else None
        code = getattr(proper, "__code__", None)
        return self.place or (("", 1) if code is None else (code.co_filename, code.co_firstlineno))

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the output ports, in order."""
        return tuple([port.name for port in self.outputs])

    @property
    def parameter_names(self) -> list[str]:
        """Names of everything that can be connected or set: inputs, then settings."""
        return [port.name for port in self.inputs] + [spec.name for spec in self.settings]

    def setting(self, name: str) -> SettingSpec | None:
        """Return the setting of that name, or None."""
        return next((spec for spec in self.settings if spec.name == name), None)

    def primary_output(self, node_id: str) -> str | None:
        """Name the port that ``run[node_id]`` means: the one bearing the node's name, else the only one, else None."""
        if len(self.outputs) == 1:
            return self.outputs[0].name
        return node_id if _named(self.outputs, node_id) is not None else None


_ERROR_PORT: Final = Port(name=ERROR, kind=PortKind(type="packet"))


def _named(ports: tuple[Port, ...], name: str) -> Port | None:
    for port in ports:
        if port.name == name:
            return port
    return None


def default_node_id(type_id: str) -> str:
    """Name a node after its type: ``filter`` for ``table.filter``, ``http_request`` for ``http-request``."""
    return type_id.rpartition(".")[2].replace("-", "_")


def stub_type(type_id: str) -> NodeType:
    """Make the type of a node whose code is not known (yet): it keeps its place, settings and edges."""
    return NodeType(type_id=type_id, function=None, origin="stub")


def node_type_of(
    function: Callable[..., Any],
    *,
    type_id: str | None = None,
    outputs: Sequence[str] | None = None,
    mutable: bool | Sequence[str] = (),
    policy: Mapping[str, Any] | None = None,
) -> NodeType:
    """Read a node type off a function.

    Args:
        function: any function with named parameters; left as it is.
        type_id: how documents name it; the function's name when left out.
        outputs: names of its outputs when it returns a tuple of several.
        mutable: inputs that get a private copy which the function may change, by name; True: all of them.
        policy: fields of ``Policy``.

    Raises:
        DefinitionError: FB101 to FB109: an unknown policy, ``*args``, a setting whose default does not fit …; FB111:
            ``mutable`` names no input.
    """
    name: str = type_id or str(getattr(function, "__name__", ""))
    if not NODE_ID.fullmatch(name):
        raise DefinitionError(
            f"{name!r} cannot name a node",
            code="FB105",
            where=f"node {name!r}",
            hint="give the function a name: letters, digits, _",
        )
    proper = inspect.unwrap(function) if hasattr(function, "__wrapped__") else function
    is_generator, is_async = _kind(function)
    if is_generator:
        raise DefinitionError(
            f"{name!r} is a generator; sources that yield are not part of this version",
            code="FB106",
            where=f"node {name!r}",
            hint="return a list, or a LazyFrame",
        )
    namespace = getattr(proper, "__globals__", {})
    if policy and policy.get("each"):
        raise DefinitionError(
            f"{name!r} is a function, which says itself what it takes one by one",
            code="FB114",
            where=f"node {name!r}",
            hint="annotate the input: fb.each[…]",
        )
    parameters, returned = _signature(function, name)
    doc = function.__doc__
    chosen = _NO_NAMES
    if mutable:
        chosen = frozenset([entry[0] for entry in parameters] if mutable is True else mutable)
    reader = _SignatureReader(namespace, _parameter_docs(doc) if doc else _NO_DOCS, chosen, name)
    for parameter in parameters:
        reader.read(*parameter)
    if mutable:
        _refuse_unknown_mutable(mutable, [port.name for port in reader.inputs], name)
    ports, is_tuple = _outputs(returned, outputs, namespace, name)
    return NodeType(
        type_id=name,
        function=function,
        inputs=tuple(reader.inputs),
        outputs=ports,
        settings=tuple(reader.settings),
        doc=inspect.cleandoc(doc).split("\n\n")[0] if doc else "",
        policy=Policy(**checked_policy(policy)) if policy else _AS_ANY,
        is_async=is_async,
        context_name=reader.context_name,
        packet_names=frozenset(reader.packet_names) if reader.packet_names else _NO_NAMES,
        is_tuple_result=is_tuple,
        source=_source(function, getattr(proper, "__code__", None)),
    )


def _refuse_unknown_mutable(mutable: bool | Sequence[str], names: list[str], node_id: str) -> None:
    unknown = [] if isinstance(mutable, bool) else [name for name in mutable if name not in names]
    if isinstance(mutable, str) or unknown:
        wrong = repr(mutable) if isinstance(mutable, str) else ", ".join(map(repr, unknown))
        raise DefinitionError(
            f"mutable={wrong} names no input",
            code="FB111",
            where=f"node {node_id!r}",
            hint=f"mutable=True, or a list of some of: {', '.join(names) or '(it has no inputs)'}",
        )


def _kind(function: Callable[..., Any]) -> tuple[bool, bool]:
    """Whether calling it gives a generator, and whether it gives a coroutine."""
    if type(function) is FunctionType:
        flags = function.__code__.co_flags
        is_generator = bool(flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR))
        return is_generator, bool(flags & inspect.CO_COROUTINE)
    is_generator = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    return is_generator, inspect.iscoroutinefunction(function)


def _signature(function: Callable[..., Any], name: str) -> tuple[list[tuple[str, Any, Any]], object]:
    """Read name, annotation and default of each parameter, and the annotation of what is returned.

    Where nothing is said it is ``_EMPTY``. Annotations stay as they are: evaluating text would fail on names that only
    type checkers import.
    """
    # A function may say that its signature is another's; asked like this, none gets a dictionary for its attributes.
    is_own = not hasattr(function, "__wrapped__") and not hasattr(function, "__signature__")
    if is_own and type(function) is FunctionType:
        code = function.__code__
        if not code.co_posonlyargcount and not code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
            # Nothing stands between the function and its signature, and building ``inspect``'s takes long.
            said = function.__annotations__.get
            names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            if function.__defaults__ or function.__kwdefaults__:
                in_order = code.co_varnames[: code.co_argcount]
                defaults = dict(zip(reversed(in_order), reversed(function.__defaults__ or ()), strict=False))
                defaults.update(function.__kwdefaults__ or ())
                found = [(entry, said(entry, _EMPTY), defaults.get(entry, _EMPTY)) for entry in names]
            else:
                found = [(entry, said(entry, _EMPTY), _EMPTY) for entry in names]
            return found, said("return", _EMPTY)
    try:
        signature = inspect.signature(function, eval_str=False)
    except (TypeError, ValueError) as error:
        raise DefinitionError(
            f"the parameters of {name!r} cannot be read",
            code="FB107",
            hint="wrap it in a function with named parameters",
        ) from error
    for parameter in signature.parameters.values():
        _refuse_unnamed(parameter, name)
    found = [(entry.name, entry.annotation, entry.default) for entry in signature.parameters.values()]
    return found, signature.return_annotation


def _refuse_unnamed(parameter: inspect.Parameter, node_id: str) -> None:
    where = f"node {node_id!r}"
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise DefinitionError(
            f"{parameter} has no ports: a node's parameters are named one by one",
            code="FB108",
            where=where,
            hint=f"replace {parameter} by the parameters it stands for, or by one parameter that takes a list",
            parameter=parameter.name,
        )
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise DefinitionError(
            f"{parameter.name} is positional-only; ports are given by name",
            code="FB108",
            where=where,
            hint="remove the '/' from the signature",
            parameter=parameter.name,
        )


def _source(function: Callable[..., Any], code: CodeType | None) -> str:
    filename = code.co_filename if code is not None else ""
    if filename.startswith("<") and filename.endswith(">") and filename not in linecache.cache:
        return ""  # made from text that nobody kept; the search for its file takes long
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""


@functools.lru_cache(maxsize=1024)
def _kind_of(meaning: Meaning, has_default: bool, is_mutable: bool) -> PortKind:
    return PortKind(
        type=meaning.port_type,
        form=meaning.form,
        meaning=meaning,
        is_required=not has_default,
        has_default=has_default,
        is_mutable=is_mutable,
        annotation=meaning.text,
    )


class _SignatureReader:
    """Sorts parameters into input ports, settings and services."""

    def __init__(
        self, namespace: Mapping[str, Any], docs: Mapping[str, str], mutable: frozenset[str], node_id: str
    ) -> None:
        self.namespace = namespace
        self.docs = docs
        self.mutable = mutable
        self.node_id = node_id
        self.inputs: list[Port] = []
        self.settings: list[SettingSpec] = []
        self.packet_names: list[str] = []
        self.context_name: str | None = None

    def read(self, name: str, annotation: Any, default: Any) -> None:
        has_default = default is not _EMPTY
        if annotation is _EMPTY:
            meaning = Meaning(value_type=value_type_of(default)) if has_default else Meaning()
        else:
            meaning = read_annotation(annotation, self.namespace)
        if meaning.is_each:
            self.inputs.append(self._each_port(name, meaning, has_default=has_default))
        elif meaning.is_context:
            self.context_name = name
        elif has_default and meaning.value_type and meaning.value_type != "none":
            self.settings.append(self._setting(name, default, meaning))
        else:
            self.inputs.append(self._port(name, meaning, has_default=has_default))

    def _each_port(self, name: str, item: Meaning, *, has_default: bool) -> Port:
        if has_default:
            raise DefinitionError(
                f"{name} takes the items of a list, and has a default",
                code="FB114",
                where=f"node {self.node_id!r}",
                hint=f'leave it out, and connect a list or give one: flow.set("{self.node_id}", {name}=[…])',
                parameter=name,
            )
        inner = dataclasses.replace(item, is_each=False, setting=None)
        is_plain = bool(item.value_type) and item.value_type != "none"
        whole = Meaning(value_type="list", items=inner, container="list")
        kind = PortKind(
            meaning=whole if is_plain else None,
            is_mutable=name in self.mutable,
            is_each=True,
            container="list",
            item_type=item.port_type,
            item_form=item.form,
            annotation=item.text,
        )
        return Port(name=name, kind=kind)

    def _port(self, name: str, meaning: Meaning, *, has_default: bool) -> Port:
        text = meaning.text
        if text.endswith("Packet") and text.rpartition(".")[2] == "Packet":
            self.packet_names.append(name)
        # Equal options need not be the same (1 and True), nor equal bounds.
        is_shared = meaning.setting is None and not meaning.options
        kind_of = _kind_of if is_shared else _kind_of.__wrapped__
        return Port(name=name, kind=kind_of(meaning, has_default, name in self.mutable))

    def _setting(self, name: str, default: Any, meaning: Meaning) -> SettingSpec:
        if meaning.choices is None and meaning.value_type == "enum":
            meaning = dataclasses.replace(meaning, choices=type(default))
        spec = dataclasses.replace(
            _spec(name, meaning, self.docs.get(name, "")),
            is_optional=meaning.is_optional or default is None,
        )
        try:
            return dataclasses.replace(spec, default=spec.checked(default))
        except DefinitionError as error:
            error.where = f"node {self.node_id!r}"
            raise


def _spec(name: str, meaning: Meaning, doc: str = "") -> SettingSpec:
    hints = meaning.setting or _NO_HINTS
    options = tuple(to_json_value(option) for option in (hints.options or meaning.options or _members(meaning.choices)))
    return SettingSpec(
        name=name,
        value_type=meaning.value_type,
        default=None,
        control=control_for(
            meaning.value_type,
            has_options=bool(options),
            is_bounded=hints.min is not None and hints.max is not None,
        ),
        min=hints.min,
        max=hints.max,
        step=hints.step,
        options=options,
        choices=meaning.choices,
        items=_spec(name, meaning.items) if meaning.items is not None else None,
        container=meaning.container,
        label=hints.label or name,
        unit=hints.unit,
        help=hints.help or doc,
        is_optional=meaning.is_optional,
    )


@functools.lru_cache(maxsize=4096)
def _simple_spec(name: str, meaning: Meaning) -> SettingSpec:
    """Make what is asked for again and again; equal options need not be the same (1 and True), so there are none."""
    return _spec(name, meaning)


def _members(choices: Any) -> tuple[Any, ...]:
    return tuple(choices) if choices is not None else ()


def control_for(value_type: str, *, has_options: bool, is_bounded: bool) -> str:
    """Name the control that fits values of a type; numbers with both bounds get a slider."""
    if has_options:
        return "select"
    if value_type in ("int", "float", "number"):
        return "slider" if is_bounded else "number"
    return {"bool": "switch", "str": "text", "path": "path", "date": "date", "datetime": "date", "time": "text"}.get(
        value_type, "json"
    )


def _outputs(
    annotation: object, names: Sequence[str] | None, namespace: Mapping[str, Any], node_id: str
) -> tuple[tuple[Port, ...], bool]:
    if names is not None:
        if (
            isinstance(names, str)
            or not names
            or len(set(names)) != len(names)
            or not all(map(str.isidentifier, names))
        ):
            raise DefinitionError(
                f"outputs={names!r} does not name ports",
                code="FB109",
                where=f"node {node_id!r}",
                hint='outputs=("train", "test")',
            )
        meanings = _tuple_parts(annotation, namespace)
        if len(meanings) != len(names):
            meanings = [read_annotation(annotation, namespace) if len(names) == 1 else Meaning() for _ in names]
        return tuple(_output(name, meaning) for name, meaning in zip(names, meanings, strict=True)), len(names) > 1
    record = _record_class(annotation, namespace)
    if record is not None:
        hints = record.__annotations__
        fields = getattr(record, "_fields", None) or [entry.name for entry in dataclasses.fields(record)]
        return tuple(_output(name, read_annotation(hints.get(name, "Any"), namespace)) for name in fields), False
    return _result(Meaning() if annotation is _EMPTY else read_annotation(annotation, namespace)), False


@functools.lru_cache(maxsize=1024)
def _result(meaning: Meaning) -> tuple[Port, ...]:
    """Make the one output of a function; functions that give the same share it."""
    return (_output(RESULT, meaning),)


def _output(name: str, meaning: Meaning) -> Port:
    items = meaning.items if meaning.container in ("list", "tuple") else None
    kind = PortKind(
        type=meaning.port_type,
        form=meaning.form,
        container=meaning.container,
        item_type=items.port_type if items is not None else "",
        item_form=items.form if items is not None else "",
        annotation=meaning.text,
    )
    return Port(name=name, kind=kind)


def _record_class(annotation: object, namespace: Mapping[str, Any]) -> Any:
    """Find the NamedTuple or dataclass that a function returns, or None."""
    found: Any = annotation
    if isinstance(annotation, str):
        tree = parse_annotation(annotation)
        found = lookup_name(tree, namespace) if tree is not None else None
    if not isinstance(found, type) or found.__module__ == "builtins":
        return None
    is_named_tuple = issubclass(found, tuple) and hasattr(found, "_fields")
    is_record = is_named_tuple or dataclasses.is_dataclass(found)
    return found if is_record and read_annotation(found, namespace).port_type != "packet" else None


def _tuple_parts(annotation: object, namespace: Mapping[str, Any]) -> list[Meaning]:
    if annotation is _EMPTY:
        return []
    if isinstance(annotation, str):
        tree = parse_annotation(annotation)
        if isinstance(tree, ast.Subscript) and isinstance(tree.slice, ast.Tuple):
            return [read_annotation(ast.unparse(part), namespace) for part in tree.slice.elts]
        return []
    return [read_annotation(part, namespace) for part in getattr(annotation, "__args__", ())]


_ARGS_ENTRY = re.compile(r"^\s{2,}\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.+)$")


def _parameter_docs(doc: str) -> dict[str, str]:
    """Read the ``Args:`` section of a Google docstring; other styles give nothing."""
    found: dict[str, str] = {}
    inside, name, depth = False, "", 0
    for line in inspect.cleandoc(doc).splitlines():
        indent = len(line) - len(line.lstrip())
        if re.fullmatch(r"(Args|Arguments|Parameters):\s*", line):
            inside = True
        elif inside and line and not indent:
            break
        elif inside and name and indent > depth:
            found[name] += f" {line.strip()}"
        elif inside and (entry := _ARGS_ENTRY.match(line)):
            name, depth = entry[1], indent
            found[name] = entry[2].strip()
    return found
