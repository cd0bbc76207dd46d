"""The law of the engine: whatever was edited and whatever failed, running what is stale gives what a full run does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.runtime.random_flows import Lived, live, run_all
from tests.strategies import NAMES, Shape, Step, examples, histories

if TYPE_CHECKING:
    import flowbook as fb

pytestmark = pytest.mark.usefixtures("hurried_threads")

History = tuple[list[Shape], list[Step]]
#: Each name, and the one that takes its place where names must decide nothing.
OTHER = dict(zip(NAMES, reversed(NAMES), strict=True))


def _check(lived: Lived) -> None:
    """Compare an incremental run of a lived flow with a full run of a fresh one, and of one under other names."""
    assert all(run.wait(60) for run in lived.runs)
    stale, valued = lived.flow.stale(), _with_value(lived.flow)
    run, incremental = run_all(lived.flow, inputs=lived.open_inputs(lived.flow))
    fresh = lived.fresh()
    _, full = run_all(fresh, inputs=lived.open_inputs(fresh))
    assert incremental == full
    mirrored = lived.mirrored(OTHER)
    _, other = run_all(mirrored, inputs=lived.open_inputs(mirrored))
    assert {OTHER.get(name, name): _values(entry) for name, entry in incremental.items()} == {
        name: _values(entry) for name, entry in other.items()
    }
    if run is not None:
        _check_staleness(lived.flow, run, stale, valued)


def _with_value(flow: fb.Flow) -> set[str]:
    # One that failed last may fire although its older value would do: what that was made from may be forgotten.
    states = {node_id: flow.results.state(node_id) for node_id in flow}
    return {node_id for node_id, state in states.items() if state.result is not None and state.error is None}


def _check_staleness(flow: fb.Flow, run: fb.Run, stale: dict[str, str], valued: set[str]) -> None:
    """What was said to be stale is what ran, and nothing that came out well is stale now."""
    ok = {span.node for span in run.trace.spans if span.status == "ok"}
    assert not ok & set(flow.stale())
    # io fires at every run; whoever reads failures reads a new one in every run.
    fires_always = {slot.node_id for slot in flow.plan.slots if slot.policy.kind != "pure"}
    fires_always |= {link.target for link in flow.wiring.links.values() if link.source_port == "error"}
    excused = {flow.plan.slots[index].node_id for index in flow.plan.downstream(sorted(fires_always))}
    for node_id in set(run.recomputed) & valued - excused:
        assert node_id in stale


@given(histories, st.booleans())
# Another edge to an equal node: what is read was made from the same things.
@example(([Shape(0, 0, 1), Shape(0, 0, 1), Shape(1, 0, 1)], [Step("run", 0, 0, 0), Step("connect", 0, 2, 0)]), False)
# A constant in place of an edge: what the value was made from is not what the node reads now.
@example(
    ([Shape(0, 0, 1), Shape(1, 0, 1)], [Step("run", 0, 0, 0), Step("constant", 1, 0, 0), Step("run to", 0, 0, 0)]),
    False,
)
# The same edge at another input.
@example(
    (
        [Shape(0, 0, 1), Shape(6, 0, 1)],
        [Step("connect", 0, 1, 0), Step("run", 0, 0, 0), Step("disconnect", 0, 0, 0), Step("connect", 0, 1, 1)],
    ),
    False,
)
# An edge into an input that is no more closes a loop.
@example(
    ([Shape(1, 2, 2), Shape(1, 0, 1)], [Step("give", 0, 0, 0), Step("connect", 1, 0, 0), Step("redefine", 0, 0, 0)]),
    False,
)
# A name that was given away and taken by another node: each keeps the value it had.
@example(
    (
        [Shape(0, 0, 1), Shape(0, 0, 1)],
        [Step("set", 0, 0, 0), Step("force", 0, 0, 0), Step("rename", 0, 0, 0), Step("rename", 1, 0, 0)],
    ),
    False,
)
@examples(2000, soak=50_000)
def test_an_incremental_run_equals_a_full_run_under_whatever_names(history: History, is_reversed: bool) -> None:
    _check(live(NAMES[::-1] if is_reversed else NAMES, *history))


def _values(entry: object) -> object:
    """What of an outcome does not name nodes."""
    return entry if isinstance(entry, list) else isinstance(entry, tuple) and entry[0]
