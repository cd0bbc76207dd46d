"""A flow that is edited step by step is wired and planned as one that was made so at once, and at the edit's price."""

from __future__ import annotations

import contextlib
import functools
import random
from typing import TYPE_CHECKING, Any

from hypothesis import example, given
from hypothesis import strategies as st

import flowbook as fb
from flowbook.core.edge_book import EdgeBook
from flowbook.core.flow_data import FlowData
from flowbook.core.node_types import NodeType, node_type_of, stub_type
from flowbook.core.wiring import Wiring, edge_between, resolve, wiring_of
from flowbook.errors import FlowbookError
from flowbook.runtime import plan as plans
from flowbook.runtime.plan import Plan, compile_plan, renewed_plan
from tests.counted_work import calls_in
from tests.strategies import examples

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

NAMES = ("a", "b", "c", "d", "e")
#: The same names again and again: as ids, as inputs, as outputs.
INPUTS = ((), ("a",), ("b", "c"), ("a", "d"), ("e", "x"), ("x",))
OUTPUTS = (None, None, ("b", "x"), ("d",), ("x", "y"))

KINDS = (
    *("add", "add", "connect", "connect", "connect", "define", "set", "constant", "clear", "policy", "move", "cut"),
    *("uncut", "disconnect", "undefine", "rename", "remove", "look"),
)
edits = st.tuples(
    st.sampled_from(KINDS),
    st.sampled_from(NAMES),
    st.sampled_from(NAMES),
    st.integers(0, 40),
)


@functools.cache
def type_of(type_id: str, chance: int) -> NodeType:
    names, outputs = INPUTS[chance % len(INPUTS)], OUTPUTS[chance % len(OUTPUTS)]
    namespace: dict[str, Any] = {}
    exec(f"def made({', '.join((*names, 'n=1', 'm=2'))}): return {chance}", namespace)  # noqa: S102 -- our own text
    return node_type_of(namespace["made"], type_id=type_id, outputs=outputs)


def do(data: FlowData, edit: tuple[str, str, str, int]) -> None:  # noqa: C901, PLR0912 -- one case for each edit
    """Make one edit, if it can be made."""
    kind, one, other, number = edit
    node_type = data.type_of(one) if one in data.nodes else None
    match kind:
        case "add" | "define" if node_type is None:
            data.set_type(type_of(one, number))
            data.add_node(one, data.types[one])
        case "add" | "define":
            data.set_type(type_of(data.node(one).type_id, number))
        case "undefine":
            data.set_type(stub_type(data.node(one).type_id))
        case "connect":
            ports = data.type_of(other).parameter_names or ("none",)
            outputs = [*(port.name for port in data.type_of(one).outputs), "error"]
            edge = edge_between(
                data, f"{one}.{outputs[number % len(outputs)]}", f"{other}.{ports[number % len(ports)]}"
            )
            data.add_edge(edge)
        case "disconnect":
            data.remove_edge(list(data.edges)[number % 2])
        case "set":
            data.set_value(one, "nm"[number % 2], number % 3)
        case "constant":
            data.set_value(one, data.type_of(one).inputs[0].name, number % 3)
        case "clear":
            data.clear_value(one, data.type_of(one).parameter_names[0])
        case "policy":
            data.set_policy(one, {"priority": number % 3, "muted": number % 2 == 0})
        case "move":
            data.set_position(one, (number, 1))
        case "cut":
            data.add_cut(one, other, one)
        case "uncut":
            data.remove_cut(one, other, one)
        case "rename":
            data.rename_node(one, other)
        case "remove" if number % 3 == 0:
            data.remove_node(one)


def shown(wiring: Wiring) -> Any:
    return wiring.links, wiring.ambiguous, {node_id: sorted(readers) for node_id, readers in wiring.successors.items()}


def told(plan: Plan) -> Any:
    """Everything that is said of a plan, errors as text."""
    slots = [
        (
            *(slot.index, slot.node_id, slot.node_type, slot.policy, slot.settings, slot.predecessors, slot.successors),
            *(slot.is_leaf, [(str(binding.error), *binding_facts(binding)) for binding in slot.bindings]),
        )
        for slot in plan.slots
    ]
    looped = plan.looped, bool(plan.cycle)
    return slots, plan.index, plan.policy, looped, plan.revision, plan.everything, plan.node_ids, plan.is_as_added


def binding_facts(binding: plans.Binding) -> tuple[Any, ...]:
    value = None if binding.kind == "problem" else binding.value  # the error, which is compared as text
    return binding.name, binding.kind, binding.port, binding.source, binding.output, value


@given(st.lists(st.tuples(edits, st.booleans(), st.booleans()), max_size=30))
# A node that takes the place of another one looks the same, but the cut went with the other one.
@example(
    [
        (("add", "a", "a", 0), False, False),
        (("add", "b", "b", 1), False, False),
        (("cut", "a", "b", 0), True, False),
        (("rename", "a", "c", 0), False, False),
        (("add", "a", "a", 0), True, False),
    ]
)
# So it did with the constant that one of the very same type had.
@example(
    [
        (("add", "a", "a", 0), False, False),
        (("add", "b", "b", 1), False, False),
        (("constant", "b", "b", 1), True, False),
        (("remove", "b", "b", 0), False, False),
        (("add", "b", "b", 1), True, False),
    ]
)
# An edge into an input that a node does not have orders the nodes, too.
@example(
    [
        (("add", "a", "a", 0), True, False),
        (("add", "b", "a", 0), False, False),
        (("undefine", "a", "a", 0), False, False),
        (("connect", "b", "a", 0), True, False),
    ]
)
@examples(200, soak=25_000)
def test_edits_lead_to_the_wiring_and_the_plan_that_are_made_anew(
    steps: list[tuple[tuple[str, str, str, int], bool, bool]],
) -> None:
    data, plan = FlowData(id="f"), None
    for edit, is_looked_at, is_copied in steps:
        before = data.copy() if is_copied else None
        try:
            do(data, edit)
        except (FlowbookError, IndexError):
            data = before or data  # what was refused half way is thrown away, as the canvas does
        if not is_looked_at:
            continue
        held = wiring_of(data)
        assert shown(held) == shown(resolve(data))
        plan = renewed_plan(plan, data, held)
        held.stirred = set()
        assert told(plan) == told(compile_plan(data, resolve(data)))
        if edit[3] % 2:
            held.is_shared = True


@given(st.lists(edits, max_size=12), st.lists(edits, min_size=1, max_size=6))
# An edit after another: the copy that the first one made holds lists of readers that the holder has too.
@example([("add", "b", "a", 0)], [("add", "a", "a", 0), ("connect", "b", "a", 0)])
@examples(200, soak=25_000)
def test_who_holds_a_wiring_or_a_plan_keeps_it(first: list[Any], then: list[Any]) -> None:
    data = FlowData(id="f")
    do_all(data, first)
    held = wiring_of(data)
    plan = renewed_plan(None, data, held)
    held.stirred, held.is_shared = set(), True
    links, ambiguous, successors = shown(held)
    before = dict(links), dict(ambiguous), successors, told(plan)
    do_all(data, then)
    renewed_plan(plan, data, wiring_of(data))
    assert (*shown(held), told(plan)) == before


def do_all(data: FlowData, steps: list[Any]) -> None:
    for edit in steps:
        with contextlib.suppress(FlowbookError, IndexError):
            do(data, edit)


@fb.node
def step(value: int = 0, more: Any = None) -> int:
    return value


def chain(flow: fb.Flow, count: int, start: int = 0) -> None:
    for place in range(start, start + count):
        flow.add(step, f"s{place}")
        if place:
            flow.connect(f"s{place - 1}", f"s{place}.more")


def test_building_costs_the_same_for_every_node() -> None:
    def built(count: int, order: Callable[[list[int]], object]) -> int:
        flow = fb.Flow("built")

        step_type = node_type_of(step)
        for place in range(count):
            flow.add(step_type, f"s{place}")
        places = list(range(1, count))
        order(places)

        def work() -> None:
            for place in places:
                flow.connect(f"s{place - 1}", f"s{place}.more")
                flow.add(step_type, f"t{place}")
                flow.remove(f"t{place}")
            assert len(flow.wiring.links) == count - 1

        return calls_in(work).total()

    for order in (sorted, list.reverse, random.Random(1).shuffle):  # noqa: S311 -- an order, no secret
        few, many = built(100, order), built(400, order)
        assert many < 5.2 * few


def test_an_edit_of_a_large_flow_makes_the_slots_it_touches(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = fb.Flow("large")
    chain(flow, 300)
    assert flow.run_sync().status == "ok"
    made: list[str] = []
    own_slot = plans._slot

    def counted(data: FlowData, wiring: Wiring, node_id: str, index: dict[str, int]) -> plans.Slot:
        made.append(node_id)
        return own_slot(data, wiring, node_id, index)

    monkeypatch.setattr(plans, "_slot", counted)

    def slots_for(edit: Callable[[], object]) -> list[str]:
        made.clear()
        edit()
        assert told(flow.plan) == told(compile_plan(flow.data, resolve(flow.data)))
        return made[: -len(flow)]

    assert slots_for(lambda: flow.set("s5", value=3)) == ["s5"]
    assert slots_for(lambda: flow.set_policy("s7", cache="off")) == ["s7"]
    assert slots_for(lambda: flow.connect("s3", "s9.value")) == ["s9"]
    assert slots_for(lambda: flow.disconnect("s3", "s9.value")) == ["s9"]
    assert slots_for(lambda: flow.move("s9", 1, 2)) == []
    assert slots_for(lambda: chain(flow, 1, start=300)) == ["s300"]
    run = flow.run_sync()
    assert run.status == "ok"
    assert run["s300"] == 0


def test_without_the_edge_that_moved_them_nodes_are_in_the_order_in_which_they_were_added() -> None:
    flow = fb.Flow("order")
    for name in "zyx":
        flow.add(step, name)
    assert flow.plan.node_ids == ("z", "y", "x")
    flow.connect("x", "z.more")
    assert flow.plan.node_ids == ("y", "x", "z")
    flow.disconnect("x", "z.more")
    assert flow.plan.node_ids == ("z", "y", "x")


def test_running_after_an_edit_fires_what_it_concerns() -> None:
    flow = fb.Flow("edited")
    chain(flow, 30)

    @flow.node
    def base() -> int:
        return 7

    assert len(flow.run_sync().recomputed) == 31
    flow.connect("base", "s29.value")
    run = flow.run_sync()
    assert run.recomputed == ["s29"]
    assert run["s29"] == 7
    flow.disconnect("base", "s29.value")
    run = flow.run_sync()
    assert run["s29"] == 0
    assert run.recomputed == []
    flow.set_policy("s28", cache="off")
    assert flow.run_sync().status == "ok"
    flow.set("s10", value=4)
    assert "s10" in flow.run_sync().recomputed


def test_edges_in_any_order_are_one_book() -> None:
    data = FlowData(id="f")
    for name in "abc":
        data.add_node(name, type_of(name, 3 if name == "a" else 2))
    for source in "bc":
        data.add_edge(edge_between(data, f"{source}.x", "a.d"))
    assert [edge.source for edge in data.edges] == ["c"]
    assert data.edges == EdgeBook(reversed(list(data.edges)))
    assert data.edges.copy() == data.edges
