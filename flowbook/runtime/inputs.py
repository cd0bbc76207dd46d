"""What the parameters of one slot are bound to in one run: first the key they make, then the arguments themselves."""

from __future__ import annotations

import hashlib
import inspect
from typing import TYPE_CHECKING, Any, Protocol

from flowbook.errors import DefinitionError, MissingInputError, RunError
from flowbook.runtime import firing as firings
from flowbook.runtime.code_keys import CodeKey
from flowbook.runtime.flow_code import code_of_flow
from flowbook.runtime.keys import KeyMaker
from flowbook.runtime.lazy_plans import computing
from flowbook.runtime.plan import ERROR_INDEX

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from flowbook.core.interfaces import PayloadCopy
    from flowbook.core.node_types import NodeType
    from flowbook.core.packets import ErrorPacket
    from flowbook.core.settings import SettingSpec
    from flowbook.runtime.engine import Engine
    from flowbook.runtime.plan import Binding, Plan, Slot
    from flowbook.runtime.results import FlowResults, KeyParts, NodeResult


#: Value types that a command line, or JSON, writes as text.
_WRITTEN = frozenset({"path", "date", "datetime", "time", "enum"})


class RunInputs(Protocol):
    """What a run was given for itself alone."""

    @property
    def settings(self) -> Mapping[tuple[str, str], Any]:
        """``(node, setting)`` -> JSON value."""
        ...

    @property
    def inputs(self) -> Mapping[str, Any]:
        """By ``port`` or ``node.port``."""
        ...


class RunView(Protocol):
    """Values as one run sees them: a run under way, or the present state of the flow when asking what is stale."""

    trace_id: str

    @property
    def plan(self) -> Plan:
        """The compiled flow."""
        ...

    @property
    def request(self) -> RunInputs:
        """What the run was given."""
        ...

    @property
    def results(self) -> FlowResults:
        """The flow's present values."""
        ...

    @property
    def engine(self) -> Engine:
        """Payloads, namespace, code keys, versions."""
        ...

    def result_of(self, slot: Slot) -> NodeResult | None:
        """The value that readers of ``slot`` get."""
        ...

    def error_of(self, slot: Slot) -> ErrorPacket | None:
        """The failure of ``slot``, or None."""
        ...


class SlotInputs:
    """Finds what the parameters of one slot are bound to in one run: first its key, then its arguments."""

    def __init__(self, view: RunView, slot: Slot) -> None:
        self.view = view
        self.slot = slot
        self.copies: list[PayloadCopy] = []
        self.copies_by_input: dict[str, int] = {}
        #: How many of the copies, by input, were made on the way to and from another process.
        self._handed_over: dict[str, int] = {}
        self._open: dict[str, Any] = {}
        self._settings = dict(slot.settings)
        #: Constants of the document, or of this run alone.
        self._constants = {binding.name: binding.value for binding in slot.bindings if binding.kind == "constant"}
        for (node_id, name), value in view.request.settings.items():
            if node_id == slot.node_id:
                (self._settings if name in slot.settings else self._constants)[name] = value

    def key(self, *, with_edges: bool = True, without: Collection[str] = ()) -> KeyParts:
        """Make the slot's key.

        Args:
            with_edges: False leaves out what other nodes give, and says only which inputs read one.
            without: inputs and settings to leave out.

        Raises:
            FlowbookError: an input is missing or ambiguous.
        """
        slot, engine = self.slot, self.view.engine
        maker = KeyMaker(engine.payloads.content_key, engine.identities)
        environment: dict[str, object] = {}
        self._add_settings(maker, without)
        for binding in slot.bindings:
            if binding.kind == "edge" and not with_edges:
                maker.add_read(binding.name)
            elif binding.name not in without:
                self._add(maker, binding, environment)
        if slot.policy.on_item_error != "fail" and slot.node_type.each_names and not without:
            maker.add_setting("on_item_error", slot.policy.on_item_error)
        if len(slot.node_type.outputs) > 1:
            maker.add_outputs(slot.node_type.output_names)
        if slot.node_type.mapped is not None:
            code = code_of_flow(engine, slot.node_type.mapped, maker, _key_inside)
            return maker.finish(code, engine.versions)
        function = slot.node_type.function
        assert function is not None  # noqa: S101 -- stubs were decided before
        skip = [*names_given(slot), *without]
        if slot.node_type.origin == "document":
            return maker.finish(_source_key(slot.node_type), engine.versions)
        if slot.node_type.version:
            maker.add_version(slot.node_type.version)
        # A cell's function is a shell around its compiled body; the body is what counts.
        body = inspect.unwrap(function) if slot.node_type.origin == "cell" else function
        if slot.node_type.load is not None:
            body = slot.node_type.load()
        code = engine.code_keys.key(body, extra=environment, skip=skip)
        maker.add_files(code.paths)
        return maker.finish(code, engine.versions)

    def _add_settings(self, maker: KeyMaker, without: Collection[str]) -> None:
        slot = self.slot
        fed = {binding.name for binding in slot.bindings}
        for name, plain in self._settings.items():
            if name not in fed and name not in without:
                maker.add_setting(name, plain)
                spec = slot.node_type.setting(name)
                if spec is not None and spec.is_required and plain is None:
                    raise firings.missing_setting(self.view.plan.flow, slot, name)
                self._add_files(maker, spec, plain)

    @staticmethod
    def _add_files(maker: KeyMaker, spec: SettingSpec | None, plain: Any) -> None:
        if spec is not None and "path" in (spec.value_type, spec.items.value_type if spec.items is not None else ""):
            maker.add_files(spec.to_python(plain))

    def _add(self, maker: KeyMaker, binding: Binding, environment: dict[str, object]) -> None:
        if binding.kind == "edge":
            result = self._source(binding)
            maker.add_edge(binding.name, self.view.plan.slots[binding.source].node_id, result)
        elif binding.name in self._constants:
            plain = self._constants[binding.name]
            maker.add_setting(binding.name, plain)
            self._add_files(maker, binding.port.plain if binding.port is not None else None, plain)
        elif binding.error is not None:
            raise binding.error
        else:
            self._add_open(maker, binding, environment)

    def _source(self, binding: Binding) -> str:
        """Return the key of what an edge carries."""
        source = self.view.plan.slots[binding.source]
        if binding.output == ERROR_INDEX:
            packet = self._failure(binding)
            return f"error of {packet.trace_id}" if packet is not None else "no error"
        result = self.view.result_of(source)
        if result is None:
            raise MissingInputError(
                f"{self.slot.node_id!r} needs {source.node_id!r}, which has no value yet",
                where=f"flow {self.view.plan.flow!r}, node {self.slot.node_id!r}",
                hint=f'flow.run(to="{self.slot.node_id}") computes what is missing',
                node=self.slot.node_id,
                port=binding.name,
            )
        return f"{result.effective_key}.{self._output(binding)}"

    def _failure(self, binding: Binding) -> ErrorPacket | None:
        """Return the failure that an error port gives; of several nodes of a subflow, the first that there is."""
        errors = (self.view.error_of(self.view.plan.slots[source]) for source in binding.sources)
        return next((error for error in errors if error is not None), None)

    def _output(self, binding: Binding) -> int:
        if binding.output is not None:
            return binding.output
        source = self.view.plan.slots[binding.source]
        if source.primary is None:
            raise RunError(
                f"{source.node_id!r} has several outputs; {self.slot.node_id}.{binding.name} does not say which",
                code="FB208",
                where=f"flow {self.view.plan.flow!r}",
                hint="connect one: " + ", ".join(f"{source.node_id}.{port.name}" for port in source.node_type.outputs),
            )
        return source.primary

    def _add_open(self, maker: KeyMaker, binding: Binding, environment: dict[str, object]) -> None:
        found, value, label = self._lookup(binding)
        if found:
            plain = binding.port.plain if binding.port is not None else None
            if isinstance(value, str) and plain is not None and plain.value_type in _WRITTEN:
                value = plain.to_python(plain.checked(value))
            elif isinstance(value, list) and plain is not None and binding.port is not None and binding.port.is_each:
                is_written = plain.items is not None and plain.items.value_type in _WRITTEN
                if is_written and all(isinstance(item, str) for item in value):
                    value = plain.to_python(plain.checked(value))
            self._open[binding.name] = value
            if label == "environment":
                environment[f"global {binding.name}"] = value
            else:
                maker.add_value(f"{label} {binding.name}", value)
        elif binding.port is None or binding.port.is_required:
            is_ambient = binding.port is not None and binding.port.is_ambient
            bound = self.view.engine.namespace.bound_names() if is_ambient else ()
            raise firings.missing_input(self.view.plan, self.slot, binding.name, bound)

    def _lookup(self, binding: Binding) -> tuple[bool, Any, str]:
        view, name = self.view, binding.name
        for given in (view.request.inputs, view.results.given):
            for key in (f"{self.slot.node_id}.{name}", name):
                if key in given:
                    return True, given[key], "given"
        if binding.port is not None and binding.port.is_ambient:
            found, value = view.engine.namespace.lookup(name)
            if found:
                is_code = inspect.ismodule(value) or inspect.isclass(value) or inspect.isroutine(value)
                return True, value, "environment" if is_code else "from notebook"
        return False, None, ""

    def arguments(self) -> dict[str, Any]:
        """Make the keyword arguments; converting a lazy table may compute here, so never under a lock of the run."""
        slot = self.slot
        arguments: dict[str, Any] = {}
        for spec in slot.node_type.settings:
            plain = self._settings[spec.name]
            # A document says what it likes, also of code that has changed since.
            arguments[spec.name] = spec.to_python(plain if plain is spec.default else spec.checked(plain))
        for binding in slot.bindings:
            if binding.port is not None and binding.port.is_each:
                arguments[binding.name] = self._whole_list(binding)
            elif binding.kind == "edge":
                arguments[binding.name] = self._edge_value(binding)
            elif binding.name in self._constants:
                arguments[binding.name] = self._constant(binding)
            elif binding.name in self._open:
                arguments[binding.name] = self._open_value(binding)
        return arguments

    def given(self) -> dict[str, Any]:
        """Name what it was given by others, before any of it is brought into the form that the function asks for.

        Nothing is computed. Settings are not among it, save those that an edge feeds.
        """
        found: dict[str, Any] = {}
        for binding in self.slot.bindings:
            if binding.kind == "edge":
                source = self.view.plan.slots[binding.source]
                result = self.view.result_of(source)
                if binding.output == ERROR_INDEX:
                    found[binding.name] = self._failure(binding)
                elif result is not None:
                    output = self._output(binding)
                    found[binding.name] = result.collected.get(output, result.outputs[output])
            elif binding.name in self._constants:
                found[binding.name] = self._constants[binding.name]
            elif binding.name in self._open:
                found[binding.name] = self._open[binding.name]
        return found

    def _whole_list(self, binding: Binding) -> Any:
        """Return the list whose items are handed out one by one, as it is."""
        if binding.kind != "edge":
            return self._constant(binding) if binding.name in self._constants else self._open[binding.name]
        source = self.view.plan.slots[binding.source]
        if binding.output == ERROR_INDEX:
            return self._failure(binding)
        result = self.view.result_of(source)
        assert result is not None  # noqa: S101 -- the key was made from it
        return result.outputs[self._output(binding)]

    def _constant(self, binding: Binding) -> Any:
        plain = self._constants[binding.name]
        spec = binding.port.plain if binding.port is not None else None
        problem = binding.port.problem_with(plain) if spec is None and binding.port is not None else ""
        if problem:
            raise DefinitionError(
                f"{binding.name}={plain!r} {problem}",
                code="FB103",
                where=f"flow {self.view.plan.flow!r}, node {self.slot.node_id!r}",
                hint=f'del flow["{self.slot.node_id}"].settings["{binding.name}"]',
                setting=binding.name,
            )
        return plain if spec is None else spec.to_python(spec.checked(plain))

    def said(self) -> dict[str, Any]:
        """Its settings and constants in this run, JSON form; without those that an edge takes the place of."""
        fed = {binding.name for binding in self.slot.bindings if binding.kind == "edge"}
        return {name: value for name, value in {**self._settings, **self._constants}.items() if name not in fed}

    @property
    def plain_names(self) -> set[str]:
        """Names of what was made from JSON for this firing alone: settings, and constants of the document."""
        return self._settings.keys() | self._constants.keys()

    def files(self) -> set[tuple[str, int, int]]:
        """The files that what it reads was made from, as they were."""
        sources = [self.view.plan.slots[binding.source] for binding in self.slot.bindings if binding.kind == "edge"]
        results = [self.view.result_of(source) for source in sources]
        return {entry for result in results if result is not None for entry in result.files}

    def _edge_value(self, binding: Binding) -> Any:
        view = self.view
        source = view.plan.slots[binding.source]
        if binding.output == ERROR_INDEX:
            return self._checked(binding, self._failure(binding))
        result = view.result_of(source)
        assert result is not None  # noqa: S101 -- the key was made from it
        output = self._output(binding)
        with computing(view, source, result.outputs[output]):
            value, copies = firings.hand_edge(
                view.engine.payloads,
                result,
                output,
                binding.port.form if binding.port is not None else "",
                wants_packet=binding.name in self.slot.node_type.packet_names,
                origin=f"{source.node_id}.{source.node_type.outputs[output].name}",
                reader=self.slot.node_id,
            )
        return self._checked(binding, self._counted(binding, value, copies))

    def _checked(self, binding: Binding, value: Any) -> Any:
        """Check a value that an edge brings to a setting."""
        spec = self.slot.node_type.setting(binding.name) if binding.port is None else None
        return spec.to_python(spec.checked(value)) if spec is not None else value

    def _open_value(self, binding: Binding) -> Any:
        value = self._open[binding.name]
        handed = self.view.engine.payloads.hand_out(
            value, binding.port.form if binding.port is not None else "", is_own=False
        )
        return self._counted(binding, handed.value, handed.copies)

    def add_copies(self, name: str, copies: tuple[PayloadCopy, ...]) -> None:
        """Note what was copied for an input, or, with an empty name, to bring the result back from another process."""
        at = self._end_of(name)
        self.copies[at:at] = copies
        self.copies_by_input[name] = self.copies_by_input.get(name, 0) + len(copies)

    def note_copies(self, name: str, copies: tuple[PayloadCopy, ...]) -> None:
        """Note what was copied on the way to or from another process.

        Of several attempts the last one counts, in which everything was handed over anew.
        """
        kept, end = self._handed_over.get(name, 0), self._end_of(name)
        del self.copies[end - kept : end]
        if kept:
            self.copies_by_input[name] -= kept
        self._handed_over[name] = len(copies)
        self.add_copies(name, copies)

    def _end_of(self, name: str) -> int:
        """Find where the copies of an input end; a new one comes last."""
        at = 0
        for other, count in self.copies_by_input.items():
            at += count
            if other == name:
                break
        return at

    def _counted(self, binding: Binding, value: Any, copies: tuple[PayloadCopy, ...]) -> Any:
        """Note the copies that an input took; one that the node may change is copied once more.

        A mapped node gets such a copy for each item, by whoever calls it.
        """
        if binding.port is not None and binding.port.is_mutable and not self.slot.node_type.each_names:
            handed = self.view.engine.payloads.private_copy(value)
            value, copies = handed.value, copies + handed.copies
        self.copies.extend(copies)
        if copies:
            self.copies_by_input[binding.name] = len(copies)
        return value


def names_given(slot: Slot) -> list[str]:
    """Names of the parameters that are given a value; the default of any other belongs to the code."""
    return [binding.name for binding in slot.bindings if binding.kind != "open"] + list(slot.settings)


def _key_inside(view: RunView, slot: Slot, without: Collection[str]) -> KeyParts:
    """Make the key of a node in a flow that is run for each item: of what it reads, only that it does."""
    return SlotInputs(view, slot).key(with_edges=False, without=without)


def _source_key(node_type: NodeType) -> CodeKey:
    """Key a type that a document carries as text: the text holds everything it reaches."""
    digest = hashlib.blake2b(node_type.source.encode(), digest_size=16).hexdigest()
    return CodeKey(digest, {f"code of {node_type.type_id}": digest})
