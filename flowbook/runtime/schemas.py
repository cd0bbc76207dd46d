"""The columns of lazy tables before anything of them is computed: plans are built, and asked.

The functions of nodes that give lazy tables are called, as a run would call them; nothing is collected, no value, event
or trace is left behind, and files are opened for their headers at most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowbook.core.interfaces import Effects
from flowbook.errors import FlowbookError
from flowbook.runtime import firing as firings
from flowbook.runtime.context import Context, firing_in_progress
from flowbook.runtime.decisions import Request
from flowbook.runtime.fusion import builds_plans
from flowbook.runtime.inputs import SlotInputs
from flowbook.runtime.plan import ERROR_INDEX
from flowbook.runtime.results import NodeResult

if TYPE_CHECKING:
    from flowbook.core.packets import ErrorPacket
    from flowbook.runtime.engine import Engine
    from flowbook.runtime.plan import Binding, Plan, Slot
    from flowbook.runtime.results import FlowResults


class Schemas(dict[str, Any]):
    """Columns by ``"node"``, or by ``"node.port"`` where a node has several outputs: each a table library's schema.

    Attributes:
        errors: nodes whose steps cannot work: a column that is not there, a type that does not fit. As in a run that
            failed, each names the node and its line.
        unknown: nodes whose columns cannot be said before a run -> why, in words.
    """

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[ErrorPacket] = []
        self.unknown: dict[str, str] = {}

    def __repr__(self) -> str:
        """Show a line per table, then what is wrong, then what cannot be said."""
        lines = [
            f"{name}: {', '.join(f'{column} {kind}' for column, kind in each.items())}" for name, each in self.items()
        ]
        lines += [
            f"{error.node_id}{f', line {error.line}' if error.line else ''}: {error.message.partition(chr(10))[0]}"
            for error in self.errors
        ]
        told = {error.node_id for error in self.errors}
        lines += [f"{name}: unknown, {why}" for name, why in self.unknown.items() if name not in told]
        return "\n".join(lines)


class _Planned:
    """The flow as it would be if all its plans had been built."""

    trace_id = ""

    def __init__(self, plan: Plan, results: FlowResults, engine: Engine) -> None:
        self.plan = plan
        self.results = results
        self.engine = engine
        self.request = Request(scope=plan.everything)
        self.built: dict[int, NodeResult] = {}

    def result_of(self, slot: Slot) -> NodeResult | None:
        built = self.built.get(slot.index)
        return built if built is not None else self.results.value_of(slot)

    def error_of(self, slot: Slot) -> ErrorPacket | None:  # noqa: ARG002 -- what a run sees
        return None


def schemas(plan: Plan, results: FlowResults, engine: Engine) -> Schemas:
    """Ask every table of a flow for its columns; collects nothing, see the module.

    Nodes that give lazy tables are built from the plans above them; of all others the present value counts, if any.

    Args:
        plan: the flow.
        results: its present values; not changed.
        engine: payloads and capture.
    """
    found, view = Schemas(), _Planned(plan, results, engine)
    for slot in plan.slots:
        if slot.node_id in plan.looped:
            continue
        with results.lock:
            is_built = builds_plans(slot, view.request, results)
        if slot.policy.bypassed or slot.policy.muted:
            found.unknown[slot.node_id] = "muted" if slot.policy.muted else "bypassed"
        elif is_built:
            _build(view, slot, found)
        elif (result := view.result_of(slot)) is not None:
            _enter(view, slot, result.outputs, found)
    return found


def _build(view: _Planned, slot: Slot, found: Schemas) -> None:
    why = next(filter(None, (_missing(view, binding, found) for binding in slot.bindings)), "")
    if why:
        found.unknown[slot.node_id] = why
        return
    payloads = view.engine.payloads
    try:
        outputs = firings.split_outputs(slot.node_type, slot.node_id, _call(view, slot))
        for value in outputs:
            payloads.resolve(value)
    except Exception as error:
        packet = firings.error_packet(error, slot=slot, trace_id="", attempt=0)
        if isinstance(error, FlowbookError) and packet.code == "FB403":
            found.unknown[slot.node_id] = packet.message
        else:
            found.errors.append(packet)
            found.unknown[slot.node_id] = "its plan cannot be built"
        return
    view.built[slot.index] = NodeResult(outputs=outputs, run_id="", at=0.0, took_s=0.0)
    _enter(view, slot, outputs, found)


def _missing(view: _Planned, binding: Binding, found: Schemas) -> str:
    """Say what of an input is not there without computing; empty when all is."""
    if binding.kind != "edge":
        return ""
    source = view.plan.slots[binding.source]
    if binding.output == ERROR_INDEX:
        return f"it reads the failure of {source.node_id}"
    result = None if source.node_id in found.unknown else view.result_of(source)
    output = source.primary if binding.output is None else binding.output
    if result is None or output is None:
        return f"{source.node_id} has no value yet"
    is_plan = output not in result.collected and view.engine.payloads.shape(result.outputs[output]).is_lazy
    if is_plan and binding.port is not None and binding.port.form not in ("", "LazyFrame"):
        return f"it needs rows of {source.node_id}"
    return ""


def _call(view: _Planned, slot: Slot) -> Any:
    inputs, effects = SlotInputs(view, slot), Effects()
    inputs.key()
    context = Context(flow=view.plan.flow, node_id=slot.node_id, trace_id="", attempt=1, effects=effects)
    arguments = inputs.arguments()
    if slot.node_type.context_name:
        arguments[slot.node_type.context_name] = context
    with firing_in_progress(context), view.engine.capture.firing(effects):
        return slot.node_type.function(**arguments)  # type: ignore[misc]


def _enter(view: _Planned, slot: Slot, outputs: tuple[Any, ...], found: Schemas) -> None:
    for port, value in zip(slot.node_type.outputs, outputs, strict=False):
        columns = view.engine.payloads.schema(value)
        if columns is not None:
            found[slot.node_id if len(outputs) == 1 else f"{slot.node_id}.{port.name}"] = columns
