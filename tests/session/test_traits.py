"""The settings of a node as traits: the same value seen from both sides, and what a change sets going."""

from __future__ import annotations

import datetime as dt
import enum
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
import traitlets

import flowbook as fb
from tests.runtime.watching import Firings, over, until

if TYPE_CHECKING:
    from collections.abc import Callable


class Color(enum.Enum):
    """Choices."""

    RED = 1
    BLUE = 2


class Alarms:
    """Stands in place of the engine's timers: an alarm rings when a test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay_s: float, job: Callable[[], None]) -> Callable[[], None]:
        entry = (delay_s, job)
        self.waiting.append(entry)
        return lambda: self.waiting.remove(entry) if entry in self.waiting else None

    def ring(self, flow: fb.Flow) -> fb.Run | None:
        """Let every alarm ring, and wait for what that decides; returns the run that it started, if any."""
        before, jobs = flow.last_run, self.waiting
        decisions: list[Callable[[], None]] = []
        self.waiting = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(flow.engine.pool, "submit", decisions.append)
            for _, job in jobs:
                job()
        for decide in decisions:
            decide()
        return None if flow.last_run is before else flow.last_run


@pytest.fixture
def alarms(monkeypatch: pytest.MonkeyPatch) -> Alarms:
    """Alarms that ring by hand, also those that would ring at once."""
    made = Alarms()
    monkeypatch.setattr(
        fb.Flow,
        "_call_later",
        lambda flow, delay_s, job: made.call_later(delay_s, lambda: flow.engine.pool.submit(job)),
    )
    return made


# -- one value, seen from two sides


def typed() -> fb.Flow:
    flow = fb.Flow("typed")

    @flow.node
    def n(
        count: int = 1,
        share: Annotated[float, fb.Setting(min=0, max=1)] = 0.5,
        is_on: bool = False,
        word: str = "a",
        mode: Literal["mean", "sum"] = "mean",
        color: Color = Color.RED,
        day: dt.date = dt.date(2013, 1, 1),
        path: Path = Path("a.csv"),
        words: list[str] = ["a"],  # noqa: B006 -- a setting's default is copied
        table: dict[str, int] = {"a": 1},  # noqa: B006 -- the same
        numbers: set[int] = {1},  # noqa: B006 -- the same
        maybe: int | None = None,
    ) -> str:
        return f"{count} {share} {is_on} {word} {mode} {color} {day} {path} {words} {table} {numbers} {maybe}"

    return flow


MOVES: list[tuple[str, Any, Any, Any]] = [
    ("count", 1, 7, 7),
    ("share", 0.5, 0.75, 0.75),
    ("is_on", False, True, True),
    ("word", "a", "b", "b"),
    ("mode", "mean", "sum", "sum"),
    ("color", Color.RED, Color.BLUE, "BLUE"),
    ("day", dt.date(2013, 1, 1), dt.date(2014, 2, 3), "2014-02-03"),
    ("path", Path("a.csv"), Path("b") / "c.csv", "b/c.csv"),
    ("words", ["a"], ["b", "c"], ["b", "c"]),
    ("table", {"a": 1}, {"b": 2}, {"b": 2}),
    ("numbers", {1}, {3, 2}, [2, 3]),
    ("maybe", None, 4, 4),
]
IDS = [name for name, *_ in MOVES]


def stored(flow: fb.Flow, name: str) -> Any:
    return flow.document()["nodes"][0].get("settings", {}).get(name)


def test_there_is_a_trait_for_every_setting_and_nothing_else() -> None:
    assert sorted(typed()["n"].traits().trait_names()) == sorted(IDS)


@pytest.mark.parametrize(("name", "default", "value", "json_value"), MOVES, ids=IDS)
def test_a_moved_trait_moves_the_setting(name: str, default: Any, value: Any, json_value: Any, alarms: Alarms) -> None:
    flow = typed()
    traits = flow["n"].traits()
    assert getattr(traits, name) == default
    setattr(traits, name, value)
    assert flow["n"].settings[name] == value
    assert stored(flow, name) == json_value
    setattr(traits, name, default)
    assert stored(flow, name) is None, "a default is not stored"


@pytest.mark.parametrize(("name", "default", "value", "json_value"), MOVES, ids=IDS)
def test_a_moved_setting_moves_the_trait_and_runs_nothing(
    name: str, default: Any, value: Any, json_value: Any, alarms: Alarms
) -> None:
    flow = typed()
    traits = flow["n"].traits()
    seen: list[Any] = []
    traits.observe(lambda change: seen.append(change["new"]), names=[name])
    flow.set("n", **{name: value})
    assert getattr(traits, name) == value
    flow["n"].settings[name] = default
    assert getattr(traits, name) == default
    assert seen == [value, default]
    assert alarms.waiting == []


def test_asking_again_gives_the_same_traits() -> None:
    flow = typed()
    assert flow["n"].traits() is flow["n"].traits()


def test_a_document_moves_the_traits() -> None:
    flow = typed()
    traits = flow["n"].traits()
    flow.replace_document('{"nodes": [{"id": "n", "typeId": "n", "settings": {"count": 9}}]}')
    assert (traits.count, traits.word) == (9, "a")


class Slider(traitlets.HasTraits):
    """What ipywidgets' slider is, without a front end."""

    value = traitlets.Int(5)


def test_a_linked_widget_works_both_ways(alarms: Alarms) -> None:
    flow, slider = typed(), Slider()
    traitlets.link((flow["n"].traits(), "count"), (slider, "value"))
    assert slider.value == 1
    slider.value = 8
    assert flow["n"].settings["count"] == 8
    flow.set("n", count=3)
    assert slider.value == 3


def test_two_nodes_linked_to_one_slider_move_together(alarms: Alarms) -> None:
    flow, slider = fb.Flow("two"), Slider()
    for name in ("a", "b"):
        flow.node(name=name)(_giving)
        traitlets.link((slider, "value"), (flow[name].traits(), "count"))
    flow.run_sync()
    slider.value = 9
    assert [flow[name].settings["count"] for name in "ab"] == [9, 9]
    run = alarms.ring(flow)
    assert run is not None
    assert sorted(over(run).recomputed) == ["a", "b"]


def _giving(count: int = 1) -> int:
    return count


INVALID: list[tuple[str, Any]] = [
    ("count", "many"),
    ("count", 1.5),
    ("share", 2.0),
    ("share", -0.1),
    ("share", float("nan")),
    ("mode", "median"),
    ("color", "GREEN"),
    ("day", "tomorrow"),
    ("words", [1]),
    ("table", {"a": "b"}),
    ("count", None),
]


@pytest.mark.parametrize(("name", "value"), INVALID)
def test_an_invalid_value_is_refused_and_both_sides_keep_the_old_one(name: str, value: Any, alarms: Alarms) -> None:
    flow = typed()
    traits = flow["n"].traits()
    old = getattr(traits, name)
    with pytest.raises((traitlets.TraitError, fb.DefinitionError)):
        setattr(traits, name, value)
    assert getattr(traits, name) == old
    assert flow["n"].settings[name] == old
    assert stored(flow, name) is None
    assert alarms.waiting == []


def test_traits_follow_a_renamed_node(alarms: Alarms) -> None:
    flow = typed()
    traits = flow["n"].traits()
    flow.rename("n", "m")
    traits.count = 4
    assert flow["m"].settings["count"] == 4
    flow.set("m", count=5)
    assert traits.count == 5
    assert flow["m"].traits() is traits


def test_traits_of_a_removed_node_break_nothing() -> None:
    flow = typed()
    traits = flow["n"].traits()
    flow.remove("n")
    flow.node(name="other")(_giving)
    assert traits.count == 1


# -- what a move sets going


def chain(**policies: dict[str, Any]) -> fb.Flow:
    """``a`` with a setting, ``b`` reads it, ``c`` reads that, ``d`` reads that; ``beside`` stands alone."""
    flow = fb.Flow("chain")

    def a(count: int = 1) -> int:
        return count

    def b(a: int, factor: int = 10) -> int:
        return a * factor

    def c(b: int) -> int:
        return b + 1

    def d(c: int) -> int:
        return c + 1

    def beside(count: int = 1) -> int:
        return count

    for function in (a, b, c, d, beside):
        flow.node(**policies.get(function.__name__, {}))(function)
    return flow


def moved(flow: fb.Flow, alarms: Alarms, node_id: str = "a", **values: Any) -> list[str]:
    """Move settings as a person does; returns the nodes that fired because of it."""
    for name, value in values.items():
        setattr(flow[node_id].traits(), name, value)
    run = alarms.ring(flow)
    return over(run).recomputed if run is not None else []


def test_a_move_runs_the_node_and_what_is_below_it(alarms: Alarms) -> None:
    flow = chain()
    flow.run_sync()
    assert moved(flow, alarms, count=2) == ["a", "b", "c", "d"]
    assert flow["d"].value == 22
    assert moved(flow, alarms, "b", factor=3) == ["b", "c", "d"]
    assert flow.stale() == {}
    assert flow["b"].reason == "setting factor 10 → 3"


def test_many_moves_become_one_run_with_the_last_values(alarms: Alarms) -> None:
    flow = chain()
    flow.run_sync()
    for count in range(2, 60):
        flow["a"].traits().count = count
        flow["beside"].traits().count = count
    assert len(alarms.waiting) == 1
    run = alarms.ring(flow)
    assert run is not None
    assert sorted(over(run).recomputed) == ["a", "b", "beside", "c", "d"]
    assert (flow["a"].value, flow["beside"].value) == (59, 59)
    assert alarms.waiting == []


def test_a_move_to_the_same_value_sets_nothing_going(alarms: Alarms) -> None:
    flow = chain()
    flow.run_sync()
    flow["a"].traits().count = 1
    flow.setting_moved("a", "count", 1)
    assert alarms.waiting == []


def test_a_move_and_back_fires_nothing(alarms: Alarms) -> None:
    flow = chain()
    flow.run_sync()
    flow["a"].traits().count = 2
    flow["a"].traits().count = 1
    run = alarms.ring(flow)
    assert run is None or over(run).recomputed == []
    assert flow.stale() == {}


def test_what_has_no_value_yet_does_not_run(alarms: Alarms) -> None:
    flow = chain()
    assert moved(flow, alarms, count=2) == []
    flow.run_sync(to="b")
    assert moved(flow, alarms, count=3) == ["a", "b"]
    assert flow["c"].status == "idle"


@pytest.mark.parametrize("on_change", ["manual", "once"])
def test_a_node_on_manual_only_turns_stale_with_what_is_below_it(on_change: str, alarms: Alarms) -> None:
    flow = chain(b={"on_change": on_change})
    flow.run_sync()
    assert moved(flow, alarms, count=2) == ["a"]
    assert flow["d"].value == 12
    if on_change == "manual":
        assert list(flow.stale()) == ["b", "c", "d"]
        assert flow.run_sync().recomputed == ["b", "c", "d"]
    else:
        assert flow.stale() == {}


def test_a_moved_node_on_manual_does_not_run(alarms: Alarms) -> None:
    flow = chain(a={"on_change": "manual"})
    flow.run_sync()
    assert moved(flow, alarms, count=2) == []
    assert list(flow.stale()) == ["a", "b", "c", "d"]
    assert flow["a"].reason == "setting count 1 → 2"


@pytest.mark.parametrize(("cost_s", "fired"), [(1.9, ["a", "b", "c", "d"]), (2.0, ["a", "b", "c", "d"]), (2.1, ["a"])])
def test_a_node_that_took_more_than_two_seconds_only_turns_stale(
    cost_s: float, fired: list[str], alarms: Alarms
) -> None:
    flow = chain()
    flow.run_sync()
    flow.results.state("b").cost_s = cost_s
    assert moved(flow, alarms, count=2) == fired
    assert list(flow.stale()) == [node_id for node_id in "abcd" if node_id not in fired]


def test_nothing_below_a_node_that_stays_stale_is_touched(alarms: Alarms) -> None:
    flow = chain()
    first = flow.run_sync()
    flow.results.state("b").cost_s = 5.0
    assert moved(flow, alarms, count=2) == ["a"]
    for node_id in "bcd":
        assert flow.results.state(node_id).run_id == first.id
        assert flow[node_id].stamp == "stale"


def test_a_move_fires_no_io_node_that_does_not_read_it(alarms: Alarms) -> None:
    flow = chain(beside={"kind": "io"}, c={"kind": "io"})
    flow.run_sync()
    assert moved(flow, alarms, count=2) == ["a", "b", "c", "d"]


def test_a_change_of_code_edges_or_document_only_marks_stale(alarms: Alarms) -> None:
    flow = chain()
    flow.run_sync()
    flow.node(name="a")(lambda count=1: count + 5)
    flow.disconnect("b", "c.b")
    flow.connect("beside", "c.b")
    flow.set("b", factor=2)
    assert alarms.waiting == []
    assert list(flow.stale()) == ["a", "b", "c", "d"]


def test_a_node_that_was_removed_meanwhile_is_passed_over(alarms: Alarms) -> None:
    flow = chain()
    flow.run_sync()
    flow["a"].traits().count = 2
    flow["beside"].traits().count = 2
    flow.remove("a")
    run = alarms.ring(flow)
    assert run is not None
    assert over(run).recomputed == ["beside"]


def test_a_loop_runs_nothing_by_itself(alarms: Alarms) -> None:
    flow = chain()
    flow.run_sync()
    flow["a"].traits().count = 2

    @flow.node
    def a(d: int, count: int = 1) -> int:
        return d + count

    assert alarms.ring(flow) is None


# -- while other runs go on


def gated() -> tuple[fb.Flow, Firings]:
    """A node whose firings wait for their turn, and whose value tells its setting."""
    flow, firings = fb.Flow("gated"), Firings()
    firings.let_go(1)

    @flow.node
    def slow(count: int = 1) -> int:
        firings.fire()
        return count

    @flow.node
    def below(slow: int) -> int:
        return slow * 10

    flow.run_sync()
    return flow, firings


def ring_aside(flow: fb.Flow, alarms: Alarms) -> None:
    """Let alarms ring where runs wait for a turn: on a thread of the engine."""
    jobs, alarms.waiting = alarms.waiting, []
    for _, job in jobs:
        job()


def test_the_latest_move_wins_over_a_run_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    flow, firings = gated()
    seen = threading.Semaphore(0)
    started: list[str] = []

    def note(event: Any) -> None:
        if event.kind == "run_started":
            started.append(event.trace_id)
            seen.release()

    with flow.observe(note):
        flow["slow"].traits().count = 2
        firings.wait_for(2)
        first = flow.last_run
        flow["slow"].traits().count = 3
        firings.let_go(2, 3)
        until(lambda: flow["below"].value == 30)
        assert first is not None
        assert over(first).status in ("cancelled", "ok")
        until(lambda: flow.last_run is not first)
        assert flow.last_run is not None
        over(flow.last_run)
    assert flow["slow"].value == 3
    assert flow.stale() == {}
    assert len(started) <= 2
