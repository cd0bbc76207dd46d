"""Flows that are built, edited and run at random, beside a plain record of what their code is.

A node's value is a number made of its code, its settings and what it reads; every eighth value is a failure. So two
flows whose values and failures agree have computed the same thing from the same things.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import flowbook as fb
from flowbook.core.events import NodeFinished, NodeStarted, RunStarted
from flowbook.core.node_types import NodeType, node_type_of
from flowbook.errors import CycleError, FlowbookError
from flowbook.runtime.plan import ERROR_INDEX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.strategies import Shape, Step

#: Inputs that no node ever bears the name of; they have a default.
FREE = ("u", "v")


def value_of(variant: int, n: Any, read: tuple[Any, ...]) -> int:
    """Compute a node's value, or fail for one in eight."""
    plain = [entry.code if isinstance(entry, fb.ErrorPacket) else entry for entry in read]
    value = zlib.crc32(repr((variant, n, plain)).encode())
    if value % 8 == 0:
        message = f"unlucky {value}"
        raise ValueError(message)
    return value


@functools.cache
def function_of(ports: tuple[str, ...], variant: int) -> Callable[..., Any]:
    """Make the function of a node: its inputs, one setting ``n``, and a context that says as which node it fires.

    Every fourth is a coroutine function, and two of four take no context: nothing needs care about these, and they are
    swept.
    """
    required, optional = [name for name in ports if name not in FREE], [name for name in ports if name in FREE]
    is_plain = variant % 4 < 2
    signature = ", ".join(
        [
            *required,
            *([] if is_plain else ["ctx: fb.Context"]),
            *(f"{port}: object = None" for port in optional),
            "n: int = 1",
        ]
    )
    read = "".join(f"{port}, " for port in ports)
    head, wait = ("async def", "    await sleep(0)\n") if variant % 4 == 3 else ("def", "")
    noted = "" if is_plain else "    note(ctx)\n"
    source = f"{head} f({signature}):\n{noted}{wait}    v = value_of({variant}, n, ({read}))\n    return v\n"
    namespace: dict[str, Any] = {"fb": fb, "value_of": value_of, "note": note, "sleep": asyncio.sleep}
    exec(source, namespace)  # noqa: S102 -- our own text: functions with these parameters cannot be written down
    made: Callable[..., Any] = namespace["f"]
    return made


@dataclass(frozen=True)
class Code:
    """What a node is made from: its inputs, its variant, and the names of its outputs if it has two."""

    ports: tuple[str, ...]
    variant: int
    outputs: tuple[str, ...] | None

    @property
    def function(self) -> Callable[..., Any]:
        return pair_of(self.ports, self.variant) if self.outputs else function_of(self.ports, self.variant)

    @functools.cache  # noqa: B019 -- there are few of them
    def type_of(self, node_id: str) -> NodeType:
        return node_type_of(self.function, type_id=node_id, outputs=self.outputs)

    def renamed(self, other: dict[str, str]) -> Code:
        ports, outputs = ([other.get(name, name) for name in names or ()] for names in (self.ports, self.outputs))
        return Code(tuple(ports), self.variant, tuple(outputs) or None)


@functools.cache
def pair_of(ports: tuple[str, ...], variant: int) -> Callable[..., Any]:
    """Make the function of a node with two outputs."""
    one = function_of(ports, variant)

    @functools.wraps(one)
    def two(**arguments: Any) -> Any:
        value = one(**arguments)
        return value, value + 1

    @functools.wraps(one)
    async def later_two(**arguments: Any) -> Any:
        value = await one(**arguments)
        return value, value + 1

    return later_two if inspect.iscoroutinefunction(one) else two


#: Node ids by trace id, in the order in which they fired.
_fired: dict[str, list[str]] = {}


def note(ctx: fb.Context) -> None:
    """Remember that a node's code was called, behind the back of the key: a list it read would be part of the key."""
    globals()["_fired"].setdefault(ctx.trace_id, []).append(ctx.node_id)


@dataclass
class Lived:
    """A flow with what is known of it besides its document: the code of its nodes, and the inputs it was given."""

    names: Sequence[str]
    flow: fb.Flow = field(default_factory=lambda: fb.Flow("lived"))
    code: dict[str, Code] = field(default_factory=dict)
    given: dict[str, int] = field(default_factory=dict)
    runs: list[fb.Run] = field(default_factory=list)

    def define(self, node_id: str, shape: Shape) -> None:
        rank = self.names.index(node_id)
        # Names that come earlier, so that names alone make a loop only after a node was renamed.
        known = [*self.names[:rank][:-5:-1], *FREE]
        ports = tuple(name for bit, name in enumerate(known) if shape.ports >> bit & 1)
        outputs = (self.names[(rank + 3) % len(self.names)], "right") if shape.output_count == 2 else None
        self.code[node_id] = code = Code(ports, shape.variant, outputs)
        self.flow.node(name=node_id, outputs=outputs)(code.function)

    def fresh(self) -> fb.Flow:
        """Make a flow of the same document and code that never ran; its nodes stand in another order."""
        made = fb.Flow("fresh")
        for node_id in reversed(list(self.code)):
            made.define(self.code[node_id].type_of(node_id))
        made.replace_document(self.flow.document_text())
        assert made.document() == self.flow.document()
        return made

    def mirrored(self, other: dict[str, str]) -> fb.Flow:
        """Make the same flow with other names for nodes, inputs and outputs; it never ran."""
        made = fb.Flow("mirrored")
        for node_id, code in self.code.items():
            made.define(code.renamed(other).type_of(other[node_id]))
        made.replace_document(json.dumps(_renamed(self.flow.document(), other)))
        return made

    def open_inputs(self, flow: fb.Flow) -> dict[str, int]:
        """The given inputs that ``flow`` still has."""
        bindings = [binding for slot in flow.plan.slots for binding in slot.bindings if binding.kind == "open"]
        return {name: value for name, value in self.given.items() if any(entry.name == name for entry in bindings)}


def _renamed(entry: Any, other: dict[str, str]) -> Any:
    """Give what bears a name, anywhere in a document, the other one."""
    if isinstance(entry, dict):
        return {other.get(key, key): _renamed(value, other) for key, value in entry.items()}
    if isinstance(entry, list):
        return [_renamed(value, other) for value in entry]
    return other.get(entry, entry) if isinstance(entry, str) else entry


def live(names: Sequence[str], shapes: Sequence[Shape], steps: Sequence[Step]) -> Lived:
    """Build a flow and let the steps happen to it; a step that is refused must leave it as it was."""
    lived = Lived(names)
    _fired.clear()
    for name, shape in zip(names, shapes, strict=False):
        lived.define(name, shape)
    for step in steps:
        before = lived.flow.document_text()
        try:
            _do(lived, step)
        except FlowbookError:
            assert lived.flow.document_text() == before
    return lived


def _do(lived: Lived, step: Step) -> None:
    node_ids = list(lived.flow)
    if step.kind == "add" or not node_ids:
        _add(lived, step)
    elif step.kind in _STEPS:
        _STEPS[step.kind](lived, step, node_ids[step.first % len(node_ids)])
    else:
        _run(lived, step, node_ids)


def _add(lived: Lived, step: Step) -> None:
    from tests.strategies import Shape

    unused = [name for name in lived.names if name not in lived.flow]
    if unused:
        lived.define(unused[step.first % len(unused)], Shape(step.second, step.third, 1 + step.third % 2))


def _redefine(lived: Lived, step: Step, node_id: str) -> None:
    from tests.strategies import Shape

    lived.define(node_id, Shape(step.second, step.third, 1))


def _set(lived: Lived, step: Step, node_id: str) -> None:
    lived.flow[node_id].settings["n"] = step.second % 4


def _constant(lived: Lived, step: Step, node_id: str) -> None:
    ports = [port.name for port in lived.flow[node_id].node_type.inputs]
    if ports:
        lived.flow.set(node_id, **{ports[step.second % len(ports)]: step.third % 3})


def _connect(lived: Lived, step: Step, node_id: str) -> None:
    node_ids = list(lived.flow)
    target = node_ids[step.second % len(node_ids)]
    sources = [f"{node_id}.{port.name}" for port in lived.flow[node_id].node_type.outputs]
    sources += [node_id, node_id, f"{node_id}.error"]
    ports = lived.flow[target].node_type.parameter_names
    lived.flow.connect(sources[step.third % len(sources)], f"{target}.{ports[step.third % len(ports)]}")


def _disconnect(lived: Lived, step: Step, node_id: str) -> None:
    links = sorted(
        lived.flow.wiring.links.values(), key=lambda link: (_rank(lived, link.target), _port_rank(lived, link))
    )
    if links:
        link = links[step.second % len(links)]
        lived.flow.disconnect(link.source, f"{link.target}.{link.target_port}")
        # Another edge, which its name implies, may come to light.
        now = lived.flow.wiring.links.get((link.target, link.target_port))
        assert now is None or now.source != link.source


def _rank(lived: Lived, node_id: str) -> int:
    return list(lived.flow).index(node_id)


def _port_rank(lived: Lived, link: Any) -> int:
    known = lived.flow[link.target].node_type.parameter_names
    return known.index(link.target_port) if link.target_port in known else -1


def _rename(lived: Lived, step: Step, node_id: str) -> None:
    unused = [name for name in lived.names if name not in lived.flow]
    if unused:
        new = unused[step.second % len(unused)]
        lived.flow.rename(node_id, new)
        lived.code = {(new if name == node_id else name): code for name, code in lived.code.items()}


def _remove(lived: Lived, step: Step, node_id: str) -> None:
    lived.flow.remove(node_id)
    del lived.code[node_id]


def _toggle(name: str, values: tuple[Any, Any]) -> Callable[[Lived, Step, str], None]:
    def toggle(lived: Lived, step: Step, node_id: str) -> None:
        lived.flow.set_policy(node_id, **{name: values[step.second % 2]})

    return toggle


def _give(lived: Lived, step: Step, node_id: str) -> None:
    name = FREE[step.second % len(FREE)]
    _watch(lived, inputs={name: step.third % 3})
    lived.given[name] = step.third % 3


_STEPS: dict[str, Callable[[Lived, Step, str], None]] = {
    "set": _set,
    "constant": _constant,
    "connect": _connect,
    "disconnect": _disconnect,
    "redefine": _redefine,
    "rename": _rename,
    "remove": _remove,
    "mute": _toggle("muted", (True, False)),
    "bypass": _toggle("bypassed", (True, False)),
    "kind": _toggle("kind", ("io", "pure")),
    "pin": _toggle("pinned", (True, False)),
    "cache": _toggle("cache", ("off", "memory")),
    "give": _give,
}


def _run(lived: Lived, step: Step, node_ids: list[str]) -> None:
    one, other = node_ids[step.first % len(node_ids)], node_ids[step.second % len(node_ids)]
    if step.kind in ("start", "start and cancel"):
        run = lived.flow.start()
        lived.runs.append(run)
        if step.kind == "start and cancel":
            for _ in range(step.third):  # let it come some way
                run.trace.counts()
            run.cancel()
        return
    if step.kind in ("run privately", "run with overrides"):
        for run in lived.runs:  # what goes on beside would change what is compared
            assert run.wait(60)
        before = {node_id: seen(lived.flow, node_id) for node_id in node_ids}
        scope: dict[str, Any] = (
            {"settings": {f"{one}.n": step.third}}
            if step.kind == "run privately"
            else {"overrides": {one: step.third, other: None}}
        )
        _watch(lived, **scope)
        assert {node_id: seen(lived.flow, node_id) for node_id in node_ids} == before
        return
    _watch(
        lived, **{"run": {}, "force": {"force": True}}.get(step.kind, {step.kind.removeprefix("run "): [one, other]})
    )


def seen(flow: fb.Flow, node_id: str) -> Any:
    """What a person sees of a node."""
    node = flow[node_id]
    try:
        value = node.value
    except FlowbookError as error:
        value = str(error)
    return node.status, node.stamp, value


def _watch(lived: Lived, **scope: Any) -> None:
    lived.runs.append(watched_run(lived.flow, **scope))


def watched_run(flow: fb.Flow, **scope: Any) -> fb.Run:
    """Run, and check the laws that every run obeys.

    Raises:
        FlowbookError: the run cannot begin.
    """
    run = flow.start(**scope)
    events = list(run.events())
    assert run.wait(60)
    started = [event.node_id for event in events if isinstance(event, NodeStarted)]
    finished = [event for event in events if isinstance(event, NodeFinished)]
    covered = next(event.node_ids for event in events if isinstance(event, RunStarted))
    # Each node fires at most once, is decided exactly once, and nothing outside the scope is touched.
    assert len(set(started)) == len(started)
    assert sorted(event.node_id for event in finished) == sorted(covered) == sorted(run.node_ids)
    assert set(started) <= set(covered)
    fired = _fired.get(run.id, [])
    assert len(set(fired)) == len(fired)
    assert set(fired) <= set(started)
    assert run.recomputed == started
    # What a node reads is decided before it starts.
    place = {id(event): index for index, event in enumerate(events)}
    decided_at = {event.node_id: place[id(event)] for event in finished}
    started_at = {event.node_id: place[id(event)] for event in events if isinstance(event, NodeStarted)}
    for link in flow.wiring.links.values():
        is_read = link.target_port in flow[link.target].node_type.parameter_names
        if is_read and link.source in decided_at and link.target in started_at:
            assert decided_at[link.source] < started_at[link.target]
    # Each failure is one error packet, and only failures are.
    failed = sorted(event.node_id for event in finished if event.status == "failed")
    assert sorted(error.node_id for error in run.errors) == failed
    assert run.status == ("failed" if failed else "ok")
    assert {error.trace_id for error in run.errors} <= {run.id}
    _check_letters(flow, run, {event.node_id for event in finished if event.started_at is not None})
    return run


def _check_letters(flow: fb.Flow, run: fb.Run, fired: set[str]) -> None:
    """A failure of a node that fired is a dead letter, unless a node of the run takes it; a trial leaves none."""
    plan, covered = run._execution.plan, set(run.node_ids)
    taken = {
        plan.slots[binding.source].node_id
        for slot in plan.slots
        if slot.node_id in covered and not (slot.policy.muted or slot.policy.bypassed)
        for binding in slot.bindings
        if binding.kind == "edge" and binding.output == ERROR_INDEX
    }
    wanted = {error.node_id for error in run.errors} & fired - taken
    found = {letter.error.node_id for letter in flow.dead_letters if letter.error.trace_id == run.id}
    assert found == (set() if run._execution.request.is_private else wanted)


def outcome(run: fb.Run, flow: fb.Flow) -> dict[str, Any]:
    """What a run came to, node by node: the values of its outputs, or why there is none."""
    found: dict[str, Any] = {}
    errors = {error.node_id: (error.code, error.message) for error in run.errors}
    spans = {span.node: span for span in run.trace.spans}
    for node_id in run.node_ids:
        if node_id in errors:
            found[node_id] = errors[node_id]
        elif spans[node_id].status == "ok":
            ports = [port.name for port in flow[node_id].node_type.outputs]
            found[node_id] = [run[f"{node_id}.{port}"] for port in ports]
        else:
            found[node_id] = (spans[node_id].status, spans[node_id].reason)
    return found


def run_all(flow: fb.Flow, **scope: Any) -> tuple[fb.Run | None, dict[str, Any]]:
    """Run everything; a flow with a loop says so instead."""
    try:
        run = watched_run(flow, **scope)
    except CycleError:
        return None, {"a loop": True}
    return run, outcome(run, flow)
