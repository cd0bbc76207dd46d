"""One call of one node: its inputs gathered, its function called, its outputs guarded."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flowbook.core.node_types import RESULT
from flowbook.core.packets import ErrorPacket, Packet
from flowbook.errors import (
    DataError,
    DefinitionError,
    FlowbookError,
    MissingInputError,
    NodeTimeoutError,
    WorkerDiedError,
    near_miss,
)
from flowbook.runtime.fusion import Tally
from flowbook.runtime.named_lines import named_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flowbook.core.interfaces import PayloadCopy, Payloads
    from flowbook.core.node_types import NodeType
    from flowbook.runtime.plan import Plan, Slot
    from flowbook.runtime.results import NodeResult

#: Longest message and hint of an error packet.
_SHOWN_CHARS = 2_000
#: Complaints of code that needs the main thread, and what they have in common.
_MAIN_THREAD_COMPLAINTS = (
    "signal only works in main thread",
    "main thread is not in main loop",
    "There is no current event loop in thread",
)


@dataclass(slots=True, kw_only=True)
class Gathered:
    """The keyword arguments of one firing, and the copies that making them took."""

    arguments: dict[str, Any] = field(default_factory=dict)
    copies: list[PayloadCopy] = field(default_factory=list)


def hand_edge(
    payloads: Payloads, result: NodeResult, output: int, form: str, *, wants_packet: bool, origin: str, reader: str = ""
) -> tuple[Any, tuple[PayloadCopy, ...]]:
    """Give one output of one result to one consumer, converted at most once per form however many consumers ask.

    Raises:
        DataError: the value cannot take the form.
    """
    value = result.outputs[output]
    if wants_packet:
        return Packet(value=value, trace_id=result.run_id, origin=origin, created_at=result.at), ()
    if value is None:  # an optional port takes it as it is
        return None, ()
    if output in result.kept and form in ("", type(value).__name__):
        # The plan ends here: what was collected is not computed again by who builds on it.
        handed = payloads.hand_out(result.collected[output], type(value).__name__, is_own=result.is_own)
        return handed.value, handed.copies
    if not form or type(value).__name__ == form:
        handed = payloads.hand_out(_tapped(payloads, result, output, reader), form, is_own=result.is_own)
        return handed.value, handed.copies
    with result.lock:
        known = result.converted.get((output, form))
        if known is None:
            collected = result.collected.get(output)
            known = payloads.hand_out(value if collected is None else collected, form, is_own=result.is_own)
            known = replace(known, value=payloads.publish(known.value))
            result.converted[output, form] = known
            if form == "DataFrame" and payloads.shape(value).is_lazy:
                result.collected[output] = known.value
            result.measure(payloads)
    # Every consumer is told of the copy that gave it its form, so that a trace does not depend on who came first.
    return payloads.hand_out(known.value, form, is_own=True).value, known.copies


def _tapped(payloads: Payloads, result: NodeResult, output: int, reader: str) -> Any:
    """Give an output to one reader to build on: a lazy table counts what flows to that reader.

    Readers do not share a tap: polars would move the filter of each past it, and compute what is before it for each.
    """
    value = result.outputs[output]
    known = result.tapped.get((output, reader))
    if known is None and reader:
        tally = Tally()
        tapped = payloads.tap(value, tally)
        if tapped is not value:
            known = result.tapped.setdefault((output, reader), (tally, tapped))
    return known[1] if known is not None else value


def missing_input(plan: Plan, slot: Slot, name: str, bound: Iterable[str] = ()) -> MissingInputError:
    """Make the error of an input that nothing gives; ``bound`` names what else it could have meant."""
    others = [other for other in plan.slots if other is not slot]
    known = [other.node_id for other in others]
    known += [port.name for other in others for port in other.node_type.outputs if port.name != RESULT]
    return MissingInputError(
        f"{slot.node_id!r} needs {name!r}, and nothing gives it",
        where=f"flow {plan.flow!r}, node {slot.node_id!r}",
        hint=near_miss(name, [*known, *bound])
        + f'define a node {name!r}, connect one, or give it: flow.run(inputs={{"{name}": …}})',
        node=slot.node_id,
        port=name,
    )


def missing_setting(flow: str, slot: Slot, name: str) -> MissingInputError:
    """Make the error of a setting that has no default and was not set."""
    return MissingInputError(
        f"{slot.node_id!r} needs its setting {name!r}, and nobody has set it",
        where=f"flow {flow!r}, node {slot.node_id!r}",
        hint=f'flow.set("{slot.node_id}", {name}=…)',
        node=slot.node_id,
        port=name,
    )


def split_outputs(node_type: NodeType, node_id: str, returned: Any) -> tuple[Any, ...]:
    """Spread what a function returned over its output ports.

    Raises:
        DefinitionError: FB110, it returned something else than its outputs say.
        DataError: FB650, a coroutine is among it.
    """
    ports = node_type.outputs
    if node_type.origin == "cell":
        returned = tuple(returned[port.name] for port in ports)
        refuse_coroutines(node_type, node_id, returned)
        return returned  # type: ignore[no-any-return]  # made above
    refuse_coroutines(node_type, node_id, returned if type(returned) is tuple else (returned,))
    if node_type.is_tuple_result:
        if isinstance(returned, tuple | list) and len(returned) == len(ports):
            return tuple(returned)
        if all(hasattr(returned, port.name) for port in ports):
            return tuple(getattr(returned, port.name) for port in ports)
        names = ", ".join(port.name for port in ports)
        given = f"{len(returned)} values" if isinstance(returned, tuple | list) else f"a {type(returned).__name__}"
        raise DefinitionError(
            f"{node_id!r} returned {given} for its outputs {names}",
            code="FB110",
            where=f"node {node_id!r}",
            hint=f"return {names}",
        )
    if len(ports) == 1:
        return (returned,) if not _is_record_of(node_type, returned) else (getattr(returned, ports[0].name),)
    try:
        return tuple(getattr(returned, port.name) for port in ports)
    except AttributeError as error:
        raise DefinitionError(
            f"{node_id!r} returned a {type(returned).__name__}, which has no {error.name!r}",
            code="FB110",
            where=f"node {node_id!r}",
            hint="return the record that the annotation names",
        ) from error


def spread_override(node_type: NodeType, node_id: str, value: Any) -> tuple[Any, ...]:
    """Spread a value that stands in for a node over its output ports; several are given by name or in order.

    Raises:
        DefinitionError: FB110, it does not fit the outputs.
    """
    names = [port.name for port in node_type.outputs]
    if len(names) == 1:
        return (value,)
    if isinstance(value, Mapping):
        if sorted(value) == sorted(names):
            return tuple(value[name] for name in names)
    elif isinstance(value, tuple | list) and len(value) == len(names):
        return tuple(value)
    elif all(hasattr(value, name) for name in names):
        return tuple(getattr(value, name) for name in names)
    raise DefinitionError(
        f"the value given for {node_id!r} does not fit its outputs {', '.join(names)}",
        code="FB110",
        where=f"node {node_id!r}",
        hint=f"give them by name: overrides={{{node_id!r}: {{{', '.join(f'{name!r}: …' for name in names)}}}}}",
    )


def _is_record_of(node_type: NodeType, returned: Any) -> bool:
    # One field records: told apart from a plain value by the annotation having produced a named port.
    name = node_type.outputs[0].name
    fields = getattr(type(returned), "_fields", None) or tuple(getattr(type(returned), "__dataclass_fields__", ()))
    return fields == (name,)


def error_packet(error: BaseException, *, slot: Slot, trace_id: str, attempt: int) -> ErrorPacket:
    """Describe an exception as the one shape every failure takes."""
    is_ours = isinstance(error, FlowbookError)
    code = error.code if isinstance(error, FlowbookError) else "FB402"
    message = error.what if isinstance(error, FlowbookError) else _one_line(error)
    return ErrorPacket(
        code=code,
        message=message,
        node_id=slot.node_id,
        trace_id=trace_id,
        recoverable=isinstance(error, NodeTimeoutError | WorkerDiedError | OSError)
        or (not is_ours and slot.policy.retry is not None),
        attempt=attempt,
        hint=error.hint if isinstance(error, FlowbookError) else _hint(error, slot.node_type),
        line=failing_line(error, slot.node_type) or named_line(error, slot.node_type),
        cause=error,
    )


def _one_line(error: BaseException) -> str:
    text = str(error).strip()
    first = text.splitlines()[0] if text else ""
    return _cut(f"{type(error).__name__}: {first}" if first else type(error).__name__)


def _hint(error: BaseException, node_type: NodeType) -> str:
    text = str(error)
    if node_type.origin == "document" and isinstance(error, NameError):
        return f"a saved flow holds code, no values: make {error.name!r} a node or an input, and save it again"
    if any(complaint in text for complaint in _MAIN_THREAD_COMPLAINTS):
        return 'this code needs the main thread: @flow.node(executor="main"), or %%node … --executor main'
    if isinstance(error, ValueError) and ("read-only" in text or "WRITEABLE" in text):
        return "inputs are shared: change a copy, x = x.copy(), or say @flow.node(mutable=True), %%node … --mutable"
    if isinstance(error, TypeError | AttributeError) and "coroutine" in text:
        return _how_to_await(node_type)
    notes = getattr(error, "__notes__", [])
    return _cut(str(notes[0])) if notes else ""


def _cut(text: str) -> str:
    """Keep what is shown of an exception readable; the exception itself has it all."""
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def failing_line(error: BaseException, node_type: NodeType) -> int | None:
    """Return the line of the node's own code where the error passed, >= 1, or None when it never did."""
    found: int | None = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename == node_type.filename:
            found = line
    return found


def refuse_coroutines(node_type: NodeType, node_id: str, values: Iterable[Any]) -> None:
    """Refuse coroutines that code left behind: nobody would ever await them.

    Raises:
        DataError: FB650.
    """
    for value in values:
        if hasattr(value, "__await__") and hasattr(value, "close"):
            value.close()
            raise DataError(
                f"{node_id!r} returned a coroutine that nobody awaits",
                code="FB650",
                where=f"node {node_id!r}",
                hint=_how_to_await(node_type),
            )


def _how_to_await(node_type: NodeType) -> str:
    if node_type.is_async or node_type.origin == "cell":
        return "write `await` before the call that made it"
    return "make the node itself `async def`, and await inside it"
