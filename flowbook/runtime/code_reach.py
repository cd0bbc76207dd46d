"""Follows a node's function to everything of the user's own that it reaches, and digests it part by part."""

from __future__ import annotations

import builtins
import importlib.util
import sys
from dataclasses import is_dataclass
from pathlib import PurePath
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from flowbook.runtime import local_code
from flowbook.runtime.code_checks import MISSING, Checks, cell_content
from flowbook.runtime.code_objects import digest, facts_of, read_facts
from flowbook.runtime.code_values import Identities, Values, short_repr

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from flowbook.runtime.code_objects import CodeFacts, Import, Read
    from flowbook.runtime.module_sources import ModuleSources

#: Attributes of a class that say nothing of what it does, or what other attributes say.
_SAYS_NOTHING = frozenset(
    {
        "__abstractmethods__",
        "__annotate__",
        "__annotate_func__",
        "__annotations__",
        "__annotations_cache__",
        "__conditional_annotations__",
        "__dataclass_fields__",
        "__dataclass_params__",
        "__dict__",
        "__doc__",
        "__firstlineno__",
        "__module__",
        "__qualname__",
        "__static_attributes__",
        "__weakref__",
        "_abc_impl",
    }
)


class Reach:
    """One walk from a function; afterwards ``parts`` has a digest for everything it came by.

    Args:
        function: where to begin; any callable.
        name: of the function, for the label of its code.
        content_key: see `Values`.
        identities: see `Values`.
        sources: files of modules that are not loaded; None means that a module counts by what it defines, always.
        extra: values by label; the label's last word is the name under which the function reads it.
        skip: names the function reads, or has defaults for, whose values do not count.
    """

    def __init__(
        self,
        function: object,
        name: str,
        *,
        content_key: Callable[[object], str | None],
        identities: Identities,
        sources: ModuleSources | None,
        extra: Mapping[str, object],
        skip: Collection[str],
    ) -> None:
        self.parts: dict[str, str] = {}
        self.shown: dict[str, str] = {}
        self.paths: list[PurePath] = []
        self.is_portable = True
        self.checks = Checks(function)
        self._content_key = content_key
        self._identities = identities
        self._sources = sources
        self._extra = extra
        self._extra_labels = {label.rpartition(" ")[2]: label for label in extra}
        self._skip = frozenset(skip)
        self._has_skipped = False
        self._values = Values(content_key, identities, self._label_in_value)
        self._labels: dict[int, str] = {}
        self._alive: list[object] = []  # ids in _labels and _seen stay those of these objects
        self._taken: dict[str, object] = {}  # label -> id of what bears it
        self._used_extras: set[str] = set()
        self._seen: set[tuple[int, str]] = set()
        self._roots: set[int] = set()
        self.root_label = f"code of {name}"
        #: Digest of the part that the function's own code is.
        self.root_digest = b""
        self._start(function)

    @property
    def is_alone(self) -> bool:
        """Whether it came by nothing but the function's own code, whatever names were left out."""
        return self.checks.is_bare and not self._has_skipped and len(self.parts) == 1

    def _start(self, function: object) -> None:
        inner = function
        while isinstance(inner, FunctionType):
            self._roots.add(id(inner))
            wrapped = getattr(inner, "__wrapped__", None)  # asked like this, none gets a dictionary for attributes
            if wrapped is None:
                break
            inner = wrapped
        if isinstance(inner, FunctionType):
            self._take(self.root_label, id(inner))
            self._labels[id(inner)] = self.root_label
            self._alive.append(inner)
            self._follow(inner, self.root_label)
            if inner is not function:
                self.reach(function)
        else:
            found = self._values.digest(function)
            self.parts[self.root_label] = found.digest.hex()
            self.checks.add_value(function, found.digest)
            self.checks.give_up()  # it would be held
        for label, value in self._extra.items():
            if label not in self._used_extras:
                self._bind(None, label, label, value)

    # ------------------------------------------------------------------------------------- functions, classes, modules

    def reach(self, value: object) -> str:
        """Give the label that stands for a function, class or module; follow it if it is the user's own."""
        label = self._labels.get(id(value))
        if label is not None:
            return label
        self._alive.append(value)
        if isinstance(value, FunctionType):
            return self._reach_function(value)
        if isinstance(value, type):
            return self._reach_class(value)
        assert isinstance(value, ModuleType)  # noqa: S101  (nothing else is asked for)
        return self._reach_module(value)

    def _label_in_value(self, value: object) -> str:
        label = self.reach(value)
        self.checks.add_label(value, label)
        return label

    def _reach_function(self, function: FunctionType) -> str:
        namespace = function.__globals__
        if local_code.is_local_namespace(namespace):
            name = local_code.module_prefix(namespace) + _short(function.__code__.co_qualname)
            label = self._labels[id(function)] = self._take(f"code of helper {name}", id(function))
            self._follow(function, label)
            return label
        wrapped = getattr(function, "__wrapped__", None)
        if local_code.is_own_wrapper(function) and isinstance(wrapped, FunctionType):
            label = self._labels[id(function)] = self.reach(wrapped)
            return label
        name = f"installed {namespace.get('__name__')}.{function.__code__.co_qualname}"
        if function.__closure__ or wrapped is not None:  # a decorator's: what it was given counts
            name = self._labels[id(function)] = self._take(name, id(function))
            self._follow_wrapper(function, name, wrapped)
        self._labels[id(function)] = name
        return name

    def _follow(self, function: FunctionType, label: str) -> None:
        """Digest a function of the user's own and follow what it reads."""
        self.checks.add_function(function)
        self.parts[label] = ""  # its place: before what it reaches
        code = function.__code__
        facts = read_facts(code) if id(function) in self._roots else facts_of(code)
        # What was handed in is known, also for a name that could have been a port.
        skip = self._skip.difference(self._extra_labels) if id(function) in self._roots else frozenset()
        pieces: list[bytes | str] = [facts.digest]
        for name, value in _defaults(function):
            if name not in skip:
                pieces += [name, self._digest_held(value)]
        own = digest(*pieces)
        self.parts[label] = own.hex()
        if label == self.root_label:
            self.root_digest = own
        wrapped = getattr(function, "__wrapped__", None)
        if isinstance(wrapped, FunctionType):
            self.parts[f"name {label}.__wrapped__"] = self.reach(wrapped)
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            self._bind_cell(cell, name, label)
        prefix = local_code.module_prefix(function.__globals__)
        for read in facts.reads:
            if read.names[0] not in skip:
                self._read(function, read, prefix)
            elif read.scope != "local":
                self._has_skipped = True
        self._follow_imports(facts.imports, function.__globals__)

    def _follow_wrapper(self, function: FunctionType, label: str, wrapped: object) -> None:
        """Count what an installed decorator's function was given, as far as it has content, and what it wraps.

        Its locks, counters and caches are new with every decoration and say nothing.
        """
        self.checks.add_function(function)
        pieces: list[bytes | str] = []
        for cell in function.__closure__ or ():
            value = cell_content(cell)
            found = self._values.digest(value)
            if found.is_portable:
                pieces.append(found.digest)
                if not found.is_fixed:
                    self.checks.add_value(value, found.digest)
        if isinstance(wrapped, FunctionType):
            pieces.append(self.reach(wrapped))
        self.parts[label] = digest(*pieces).hex()

    def _reach_class(self, cls: type) -> str:
        module = sys.modules.get(cls.__module__)
        if module is not None and not local_code.is_local_module(module):
            label = self._labels[id(cls)] = f"installed {cls.__module__}.{cls.__qualname__}"
            return label
        prefix = "" if cls.__module__ == "__main__" or module is None else f"{cls.__module__}."
        label = self._labels[id(cls)] = self._take(f"class {prefix}{_short(cls.__qualname__)}", id(cls))
        self.parts[label] = ""
        self.checks.add_class(cls)
        pieces: list[bytes | str] = [self.reach(each) for each in (type(cls), *cls.__bases__)]
        for name, value in _attributes(cls):
            pieces += [name, self._digest_held(value)]
        self.parts[label] = digest(*pieces).hex()
        return label

    def _reach_module(self, module: ModuleType) -> str:
        name = module.__name__
        if not local_code.is_local_module(module) or name == "__main__":
            label = self._labels[id(module)] = f"installed module {name}"
            return label
        label = self._labels[id(module)] = self._take(f"module {name}", id(module))
        self.parts[label] = ""
        self.checks.give_up()
        pieces: list[bytes | str] = []
        for attribute, value in sorted(vars(module).items()):
            if not attribute.startswith("__"):
                pieces += [attribute, self._digest_held(value)]
        self.parts[label] = digest(*pieces).hex()
        return label

    # ------------------------------------------------------------------------------------------------ names and values

    def _read(self, function: FunctionType, read: Read, prefix: str) -> None:
        """Follow one name, through attributes of local modules, to what it is bound to."""
        name, *attributes = read.names
        owner: Mapping[str, Any] | None = function.__globals__
        key = name
        if id(function) in self._roots and name in self._extra_labels:
            owner, key = None, self._extra_labels[name]
            self._used_extras.add(key)
            value = self._extra[key]
        elif read.scope == "local":
            return
        else:
            value = function.__globals__.get(name, MISSING)
        label = prefix + name
        if value is MISSING:
            self.checks.add_bound(owner, key, MISSING)
            if read.scope == "global" and not hasattr(builtins, name):
                self.parts[f"unbound {label}"] = "unbound"
            return
        for attribute in attributes:
            if not isinstance(value, ModuleType) or not local_code.is_local_module(value):
                break
            self.checks.add_bound(owner, key, value)
            label = f"{value.__name__}.{attribute}"
            module, owner, key = value, vars(value), attribute
            value = owner.get(attribute, MISSING)
            if value is MISSING:  # it may have a __getattr__
                self.checks.add_bound(owner, key, MISSING)
                self.parts[f"unbound {label}"] = "unbound"
                self.reach(module)
                return
        self._bind(owner, key, label if owner is not None else key, value)

    def _bind(self, owner: Mapping[str, Any] | None, key: str, label: str, value: object) -> None:
        """Count what a name is bound to; without an owner it is one of the extras."""
        seen = (id(self._extra if owner is None else owner), key)
        if seen in self._seen:
            return
        self._seen.add(seen)
        if owner is None:
            name, label = label.rpartition(" ")[2], label if " " in label else f"global {label}"
        else:
            name, label = label, f"global {label}"
        if isinstance(value, FunctionType | type | ModuleType):
            self.checks.add_bound(owner, key, value)
            self._count_reached(name, self.reach(value))
            return
        label = self._take(label, seen)
        found = self._values.digest(value)
        self._count(label, value, found.digest, is_portable=found.is_portable)
        if found.is_fixed:
            self.checks.add_bound(owner, key, value)
        else:
            self.checks.add_watched(owner, key, found.digest)

    def _bind_cell(self, cell: Any, name: str, of: str) -> None:
        """Count what a variable of a closure holds."""
        value = cell_content(cell)
        self._alive.append(cell)
        place = f"{name} of {of.rpartition(' ')[2]}"
        if value is MISSING:
            self.checks.add_cell(cell, MISSING)
            self.parts[f"unbound {place}"] = "unbound"
        elif isinstance(value, FunctionType | type | ModuleType):
            self.checks.add_cell(cell, value)
            self._count_reached(place, self.reach(value))
        else:
            label = self._take(f"closure {place}", id(cell))
            found = self._values.digest(value)
            self._count(label, value, found.digest, is_portable=found.is_portable)
            self.checks.add_cell(cell, value)
            if not found.is_fixed:
                self.checks.add_value(value, found.digest)

    def _count(self, label: str, value: object, found: bytes, *, is_portable: bool) -> None:
        self.parts[label] = found.hex()
        self.is_portable &= is_portable
        if isinstance(value, PurePath):
            self.paths.append(value)
        shown = short_repr(value)
        if shown:
            self.shown[label] = shown

    def _count_reached(self, name: str, label: str) -> None:
        """Count which function, class or module a name stands for, where its label does not say so."""
        if label not in {f"code of helper {name}", f"class {name}", f"module {name}", f"code of {name}"}:
            self.parts[f"name {name}"] = label
            self.shown[f"name {name}"] = label

    def _digest_held(self, value: object) -> bytes:
        """Digest a value that something immutable holds: a default, an attribute of a class."""
        found = self._values.digest(value)
        self.is_portable &= found.is_portable
        if not found.is_fixed:
            self.checks.add_value(value, found.digest)
        return found.digest

    def _take(self, label: str, owner: object) -> str:
        """Make a label unique: two functions of one name are told apart by the order in which they are reached."""
        unique, count = label, 1
        while self._taken.get(unique, owner) != owner:
            count += 1
            unique = f"{label} ({count})"
        self._taken[unique] = owner
        return unique

    # ----------------------------------------------------------------------------------------- imports inside functions

    def _follow_imports(self, imports: Iterable[Import], namespace: Mapping[str, Any]) -> None:
        for each in imports:
            name = each.module
            if each.level:
                package = namespace.get("__package__") or str(namespace.get("__name__", "")).rpartition(".")[0]
                try:
                    name = importlib.util.resolve_name("." * each.level + name, package)
                except ImportError:
                    continue
            self._follow_import(name, each.names)

    def _follow_import(self, name: str, names: tuple[str, ...]) -> None:
        module: Any = sys.modules.get(name)  # which may hold anything
        if module is None:
            facts = self._sources.unloaded(name) if self._sources is not None else None
            if facts is not None:
                self._count_source(name, facts, names)
        elif isinstance(module, ModuleType) and local_code.is_local_module(module):
            self.checks.give_up()
            facts = None
            if self._sources is not None:
                facts = self._sources.standing_for(module, lambda: self._defined(module))
            if facts is not None:
                self._count_source(name, facts, names)
            elif not names or "*" in names:
                self.reach(module)
            else:
                for attribute in names:
                    if attribute in vars(module):
                        self._bind(vars(module), attribute, f"{name}.{attribute}", vars(module)[attribute])
                    else:
                        self._follow_import(f"{name}.{attribute}", ())

    def _count_source(self, name: str, facts: CodeFacts, names: tuple[str, ...]) -> None:
        """Count a module by its file, with the local modules that it imports."""
        self.checks.give_up()
        label = f"module {name}"
        if label not in self.parts:
            self.parts[label] = digest("file", facts.digest).hex()
            is_package = local_code.find_source(name).endswith("__init__.py")
            package = name if is_package else name.rpartition(".")[0]
            self._follow_imports(facts.imports, {"__package__": package})
        for attribute in names:  # they may be modules too
            if f"{name}.{attribute}" in sys.modules or local_code.find_source(f"{name}.{attribute}"):
                self._follow_import(f"{name}.{attribute}", ())

    def _defined(self, module: ModuleType) -> bytes:
        """Digest all that a loaded module defines, and what that reaches."""
        walk = Reach(
            module,
            module.__name__,
            content_key=self._content_key,
            identities=self._identities,
            sources=None,
            extra={},
            skip=(),
        )
        return digest(*(f"{label}={walk.parts[label]}" for label in sorted(walk.parts)))


def _short(qualified_name: str) -> str:
    return qualified_name.replace(".<locals>", "")


def _defaults(function: FunctionType) -> Iterable[tuple[str, object]]:
    """Give the parameters that have defaults, with them."""
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    defaults = function.__defaults__ or ()
    yield from zip(positional[len(positional) - len(defaults) :], defaults, strict=True)
    yield from sorted((function.__kwdefaults__ or {}).items())


def _is_generated(value: object) -> bool:
    inner = getattr(value, "__wrapped__", value)
    return isinstance(inner, FunctionType) and inner.__code__.co_filename == "<string>"


def _attributes(cls: type) -> Iterable[tuple[str, object]]:
    """Give the attributes of a class that say what it does, by name."""
    has_fields = is_dataclass(cls) and "__dataclass_fields__" in vars(cls)
    members = vars(cls).get("_member_map_")
    for name, value in sorted(vars(cls).items()):
        if name in _SAYS_NOTHING:
            continue
        if has_fields and _is_generated(value):
            continue  # by @dataclass, from the fields
        if members is not None and (name in members or (name.startswith("_") and not isinstance(value, FunctionType))):
            continue  # an Enum: the members say it all
        yield name, value
    for name, member in (members or {}).items():
        yield f"member {name}", member.value
    if has_fields:
        for each in vars(cls)["__dataclass_fields__"].values():
            switches = (each.init, each.repr, each.hash, each.compare, each.kw_only)
            yield f"field {each.name}", (each.default, each.default_factory, *switches)
        yield "dataclass", repr(vars(cls).get("__dataclass_params__"))
