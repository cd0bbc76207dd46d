"""What a person asks of a run, checked against the flow before anything starts."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flowbook.core.subflows import settings_of, stand_ins
from flowbook.errors import RunError, UnknownIdError, did_you_mean
from flowbook.runtime.decisions import Request, refuse_loops
from flowbook.runtime.firing import spread_override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence, Set

    from flowbook.core.expansion import Nesting
    from flowbook.core.flow_data import FlowData
    from flowbook.runtime.plan import Plan

#: What most runs are given.
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Wish(NamedTuple):
    """The arguments of ``flow.run``, as given.

    Attributes:
        to: these nodes and what they need.
        after: these nodes and what depends on them.
        only: these nodes alone.
        force: fire even what did not change.
        settings: ``{"node.setting": value}`` for this run alone; an input port's value is its constant.
        inputs: ``{"port": value}`` or ``{"node.port": value}``.
        overrides: ``{"node": value}``.
    """

    to: str | Sequence[str] | None = None
    after: str | Sequence[str] | None = None
    only: str | Sequence[str] | None = None
    force: bool = False
    settings: Mapping[str, Any] = _NOTHING
    inputs: Mapping[str, Any] = _NOTHING
    overrides: Mapping[str, Any] = _NOTHING

    @property
    def is_of_everything(self) -> bool:
        """Whether it is for the flow as it is, all of it."""
        return self.to is self.after is self.only is None and not (self.settings or self.inputs or self.overrides)


def make_request(flow: FlowData, plan: Plan, wish: Wish) -> Request:
    """Check a wish and turn it into what an ``Execution`` takes.

    Raises:
        UnknownIdError: FB201, no such node, setting or input.
        DefinitionError: FB103, FB104, FB110: a value that does not fit.
        RunError: FB410 two scopes at once; FB411 a setting that an edge feeds, an input that has a
            constant.
        CycleError: FB203, the nodes to run read each other in a loop.
    """
    if wish.is_of_everything:
        request = plan.requests.get(wish.force)
        if request is None:
            refuse_loops(plan, plan.everything)
            request = plan.requests[wish.force] = Request(scope=plan.everything, force=wish.force)
        return request
    if plan.nesting.types:
        wish = _with_leaves(flow, plan.nesting, wish)
    scope, targets = _scope(flow, plan, wish)
    refuse_loops(plan, scope)
    overrides = {
        node_id: spread_override(flow.type_of(node_id), node_id, value) for node_id, value in wish.overrides.items()
    }
    return Request(
        scope=_without_the_overridden(plan, scope, targets, overrides) if wish.only is None else scope,
        targets=targets,
        force=wish.force,
        settings=dict(_settings(flow, plan, wish.settings)),
        inputs=_inputs(flow, plan, wish.inputs),
        overrides=overrides,
    )


def _with_leaves(flow: FlowData, nesting: Nesting, wish: Wish) -> Wish:
    """Say of the leaves what was said of subflows."""

    def spread(names: str | Sequence[str] | None, leaves: Callable[[str], Sequence[str]]) -> list[str] | None:
        if names is None:
            return None
        return list(
            dict.fromkeys(leaf for name in ([names] if isinstance(names, str) else names) for leaf in leaves(name))
        )

    def members(name: str) -> Sequence[str]:
        return nesting.members.get(name, (name,))

    values = {
        name: spread_override(nesting.types[name], name, value)
        for name, value in wish.overrides.items()
        if name in nesting.types
    }
    return wish._replace(
        to=spread(wish.to, nesting.ends),
        after=spread(wish.after, members),
        only=spread(wish.only, members),
        settings=settings_of(nesting, wish.settings),
        inputs=settings_of(nesting, wish.inputs),
        overrides=stand_ins(nesting, wish.overrides, values, flow),
    )


def _scope(flow: FlowData, plan: Plan, wish: Wish) -> tuple[Set[int], frozenset[str]]:
    given = {name: value for name in ("to", "after", "only") if (value := getattr(wish, name)) is not None}
    if len(given) > 1:
        raise RunError(
            f"{' and '.join(given)} cannot be used together", code="FB410", where=flow.where, hint="use one of them"
        )
    if not given:
        return plan.everything, frozenset()
    (kind, value) = next(iter(given.items()))
    names = [value] if isinstance(value, str) else list(value)
    for node_id in names:
        flow.node(node_id)
    if kind == "to":
        return frozenset(plan.upstream(names)), frozenset(names)
    if kind == "after":
        return frozenset(plan.downstream(names)), frozenset(names)
    return frozenset(plan.index[node_id] for node_id in names), frozenset(names)


def _without_the_overridden(
    plan: Plan, scope: Set[int], targets: frozenset[str], overrides: Mapping[str, Any]
) -> Set[int]:
    """Leave out what is only needed by nodes that a given value stands in for."""
    if not overrides:
        return scope
    waiting = [
        index
        for index in scope
        if plan.slots[index].node_id in targets
        or plan.slots[index].policy.pinned
        or scope.isdisjoint(plan.slots[index].successors)
    ]
    needed = set(waiting)
    while waiting:
        slot = plan.slots[waiting.pop()]
        if slot.node_id not in overrides:
            more = {source for source in slot.predecessors if source in scope} - needed
            needed |= more
            waiting.extend(more)
    return frozenset(needed)


def _settings(flow: FlowData, plan: Plan, settings: Mapping[str, Any]) -> Iterable[tuple[tuple[str, str], Any]]:
    for name, value in settings.items():
        node_id, _, setting = name.partition(".")
        if not setting or node_id not in flow.nodes or setting not in flow.type_of(node_id).parameter_names:
            known = [f"{entry}.{own}" for entry in flow.nodes for own in flow.type_of(entry).parameter_names]
            own = [f"{name}.{spec.name}" for spec in flow.type_of(name).settings] if name in flow.nodes else []
            meant = own or [entry for entry in known if entry.partition(".")[2] == name]
            raise UnknownIdError(
                f"there is no setting {name!r}",
                where=flow.where,
                hint=did_you_mean(meant[0] if len(meant) == 1 else "" if meant else name, meant or known)
                or "the flow has no settings",
                setting=name,
            )
        slot = plan.slots[plan.index[node_id]]
        source = next((entry.source for entry in slot.bindings if (entry.name, entry.kind) == (setting, "edge")), None)
        if source is not None:
            giver = plan.slots[source].node_id
            raise RunError(
                f"{name!r} is fed by {giver!r}",
                code="FB411",
                where=flow.where,
                hint=f'overrides={{"{giver}": …}} stands in for what feeds it',
                setting=name,
            )
        yield (node_id, setting), flow.checked_value(node_id, setting, value)


def _inputs(flow: FlowData, plan: Plan, inputs: Mapping[str, Any]) -> dict[str, Any]:
    if not inputs:
        return {}
    opened = [(slot.node_id, entry.name) for slot in plan.slots for entry in slot.bindings if entry.kind == "open"]
    known = {name for _, name in opened} | {f"{node_id}.{name}" for node_id, name in opened}
    for name in inputs:
        if name not in known:
            _refuse_constant(flow, plan, name)
            raise UnknownIdError(
                f"the flow has no input {name!r}",
                where=flow.where,
                hint=did_you_mean(name, known) or "its inputs are its unconnected ports; it has none",
                input=name,
            )
    return dict(inputs)


def _refuse_constant(flow: FlowData, plan: Plan, name: str) -> None:
    """Say of an input that it has a constant.

    Raises:
        RunError: FB411.
    """
    for slot in plan.slots:
        for entry in slot.bindings:
            end = f"{slot.node_id}.{entry.name}"
            is_constant = entry.kind == "constant" and slot.node_type.input(entry.name) is not None
            if is_constant and name in (entry.name, end):
                raise RunError(
                    f"the input {end!r} has a constant",
                    code="FB411",
                    where=flow.where,
                    hint=f'settings={{"{end}": …}} gives another for this run; '
                    f'flow.reset("{slot.node_id}", "{entry.name}") takes it away',
                    input=name,
                )
