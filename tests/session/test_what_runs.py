"""What a run covers and what it is given: scopes, and settings, inputs and values that hold for one run."""

from __future__ import annotations

from typing import Any

import pytest

import flowbook as fb


@pytest.fixture
def flow() -> fb.Flow:
    """``path -> load -> late -> chart`` and ``load -> other``; path is an input of the flow."""
    flow = fb.Flow("f")

    @flow.node
    def load(path: str) -> str:
        return f"<{path}>"

    @flow.node
    def late(load: str, n: int = 1) -> str:
        return load * n

    @flow.node
    def chart(late: str, title: str = "t") -> str:
        return f"{title}:{late}"

    @flow.node
    def other(load: str) -> str:
        return load.upper()

    return flow


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ({}, {"load", "late", "chart", "other"}),
        ({"to": "late"}, {"load", "late"}),
        ({"to": ["late", "other"]}, {"load", "late", "other"}),
        ({"after": "late"}, {"late", "chart"}),
        ({"after": ["late", "other"]}, {"late", "chart", "other"}),
        ({"only": "late"}, {"late"}),
        ({"only": ["load", "chart"]}, {"load", "chart"}),
        ({"to": []}, set()),
    ],
)
def test_a_run_covers_what_it_is_asked_for_and_nothing_else(
    flow: fb.Flow, scope: dict[str, Any], covered: set[str]
) -> None:
    flow.run_sync(inputs={"path": "a"})
    before = {node_id: flow[node_id].value for node_id in flow}
    flow["late"].settings["n"] = 2
    flow["chart"].settings["title"] = "new"
    run = flow.run_sync(force=True, **scope)
    assert set(run.node_ids) == set(run.recomputed) == covered
    for node_id in set(flow) - covered:
        assert flow[node_id].value == before[node_id]
        with pytest.raises(KeyError, match="the run does not cover"):
            run[node_id]


def test_only_what_is_stale_fires(flow: fb.Flow) -> None:
    assert flow.run_sync(inputs={"path": "a"}).recomputed[0] == "load"
    assert flow.run_sync().recomputed == []
    flow["late"].settings["n"] = 2
    assert flow.run_sync(to="other").recomputed == []
    assert flow.run_sync().recomputed == ["late", "chart"]
    assert flow.run_sync(only="late", force=True).recomputed == ["late"]


@pytest.mark.parametrize("scope", [{"after": "late"}, {"only": "late"}])
def test_what_a_part_needs_must_have_a_value(flow: fb.Flow, scope: dict[str, Any]) -> None:
    with pytest.raises(fb.FlowFailedError) as caught:
        flow.run_sync(inputs={"path": "a"}, **scope)
    (error,) = [error for error in caught.value.run.errors if error.node_id == "late"]
    assert (error.code, error.message) == ("FB403", "'late' needs 'load', which has no value yet")
    assert error.hint == 'flow.run(to="late") computes what is missing'


@pytest.mark.parametrize(
    ("scope", "code", "words", "hint"),
    [
        ({"to": "lat"}, "FB201", "no node 'lat'", "did you mean 'late'"),
        ({"to": "late", "only": "late"}, "FB410", "to and only", "one of them"),
        ({"settings": {"late.m": 1}}, "FB201", "no setting 'late.m'", "did you mean 'late.n'"),
        ({"settings": {"n": 1}}, "FB201", "no setting 'n'", "did you mean 'late.n'"),
        ({"settings": {"late": 1}}, "FB201", "no setting 'late'", "did you mean 'late.n'"),
        ({"settings": {"lat.n": 1}}, "FB201", "no setting 'lat.n'", "did you mean 'late.n'"),
        ({"settings": {"late.n": "x"}}, "FB103", "n='x' is not of type int", "type int"),
        ({"settings": {"late.load": "x"}}, "FB411", "'late.load' is fed by 'load'", 'overrides={"load": …}'),
        ({"inputs": {"pth": "x"}}, "FB201", "no input 'pth'", "did you mean 'path'"),
        ({"inputs": {"late": "x"}}, "FB201", "no input 'late'", "there is"),
        ({"overrides": {"lood": 1}}, "FB201", "no node 'lood'", "did you mean 'load'"),
    ],
)
def test_a_run_that_cannot_begin_says_why_and_changes_nothing(
    flow: fb.Flow, scope: dict[str, Any], code: str, words: str, hint: str
) -> None:
    flow.run_sync(inputs={"path": "a"})
    last = flow.last_run
    with pytest.raises(fb.FlowbookError) as caught:
        flow.run_sync(**scope)
    assert (caught.value.code, flow.last_run) == (code, last)
    assert words in caught.value.what
    assert hint in caught.value.hint
    assert flow.run_sync().recomputed == []


def test_an_input_that_has_a_constant_says_how_another_is_given_for_one_run(flow: fb.Flow) -> None:
    flow.set("load", path="a")
    for name in ("path", "load.path"):
        with pytest.raises(fb.RunError, match="FB411") as caught:
            flow.run_sync(inputs={name: "b"})
        assert caught.value.what == "the input 'load.path' has a constant"
        assert 'settings={"load.path": …}' in caught.value.hint
        assert 'flow.reset("load", "path")' in caught.value.hint
    assert flow.run_sync(settings={"load.path": "b"})["load"] == "<b>"
    assert flow.run_sync()["load"] == "<a>"
    flow.reset("load", "path")
    assert flow.run_sync(inputs={"path": "b"})["load"] == "<b>"


def test_nodes_in_a_loop_cannot_run_and_the_others_can() -> None:
    flow = fb.Flow("loop")

    @flow.node
    def a(b: int) -> int:
        return b

    @flow.node
    def b(a: int) -> int:
        return a

    @flow.node
    def alone() -> int:
        return 1

    with pytest.raises(fb.WiringError, match=r"a → b → a|b → a → b") as caught:
        flow.run_sync()
    assert caught.value.code == "FB203"
    assert "flow.disconnect(" in caught.value.hint
    assert flow.run_sync(to="alone")["alone"] == 1


# -- settings, inputs, overrides


def seen(flow: fb.Flow) -> dict[str, Any]:
    """Everything a private run must not change."""
    nodes = {node_id: (flow[node_id].status, flow[node_id].stamp, flow[node_id].value) for node_id in flow}
    return {**nodes, "document": flow.document_text(), "stale": flow.stale()}


@pytest.mark.parametrize(
    ("given", "expected", "recomputed"),
    [
        ({"settings": {"late.n": 3}}, "t:<a><a><a>", {"late", "chart"}),
        ({"settings": {"late.n": 3, "chart.title": "x"}}, "x:<a><a><a>", {"late", "chart"}),
        ({"settings": {"load.path": "z"}}, "t:<z>", {"load", "late", "chart", "other"}),
        ({"overrides": {"load": "y"}}, "t:y", {"late", "chart", "other"}),
        ({"overrides": {"late": "y"}}, "t:y", {"chart"}),
        ({"overrides": {"load": "y"}, "settings": {"late.n": 2}}, "t:yy", {"late", "chart", "other"}),
    ],
)
def test_settings_and_overrides_hold_for_that_run_alone(
    flow: fb.Flow, given: dict[str, Any], expected: str, recomputed: set[str]
) -> None:
    flow.run_sync(inputs={"path": "a"})
    before = seen(flow)
    run = flow.run_sync(**given)
    assert run["chart"] == expected
    assert set(run.recomputed) == recomputed
    assert seen(flow) == before
    assert flow.run_sync().recomputed == []


def test_a_private_run_before_any_other_leaves_no_values(flow: fb.Flow) -> None:
    assert flow.run_sync(overrides={"load": "y"})["chart"] == "t:y"
    assert [flow[node_id].stamp for node_id in flow] == [None] * 4
    assert [flow[node_id].status for node_id in flow] == ["idle"] * 4


def test_a_failed_private_run_leaves_no_failure(flow: fb.Flow) -> None:
    flow.run_sync(inputs={"path": "a"})
    before = seen(flow)
    run = flow.run_sync(overrides={"load": 5}, raise_errors=False)
    assert run.status == "failed"
    assert seen(flow) == before


def test_what_only_the_overridden_needs_does_not_run(flow: fb.Flow) -> None:
    run = flow.run_sync(inputs={"path": "a"}, overrides={"late": "y"}, to="chart")
    assert run.node_ids == ("late", "chart")
    assert (run.explain("late"), run["late"]) == ("late did not fire: given by overrides", "y")


def test_the_outputs_of_a_node_with_several_are_overridden_by_name_or_in_order() -> None:
    flow = fb.Flow("outputs")

    @flow.node(outputs=("train", "test"))
    def split() -> tuple[int, int]:
        return 1, 2

    @flow.node
    def total(train: int, test: int) -> int:
        return train * 10 + test

    assert flow.run_sync(overrides={"split": {"train": 5, "test": 6}})["total"] == 56
    assert flow.run_sync(overrides={"split": (7, 8)})["total"] == 78
    for wrong in (5, (1,), {"train": 5}, {"train": 5, "tset": 6}):
        with pytest.raises(fb.DefinitionError) as caught:
            flow.run_sync(overrides={"split": wrong})
        assert caught.value.code == "FB110"
        assert "'train': …" in caught.value.hint


def test_inputs_are_remembered_for_the_session_and_part_of_the_key(flow: fb.Flow) -> None:
    assert flow.run_sync(inputs={"path": "a"})["load"] == "<a>"
    assert flow.run_sync().recomputed == []
    assert flow.check() == []
    run = flow.run_sync(inputs={"path": "b"})
    assert run["load"] == "<b>"
    assert run.explain("load") == "load fired: given path 'a' → 'b'"
    assert flow["load"].value == "<b>"
    assert flow.document()["nodes"][0] == {"id": "load", "typeId": "load"}


def test_inputs_of_a_private_run_are_not_remembered(flow: fb.Flow) -> None:
    flow.run_sync(inputs={"path": "a"})
    assert flow.run_sync(inputs={"path": "b"}, settings={"late.n": 2})["chart"] == "t:<b><b>"
    assert flow.run_sync()["chart"] == "t:<a>"


def test_two_ports_of_one_name_are_told_apart_by_their_nodes(flow: fb.Flow) -> None:
    @flow.node
    def second(path: str) -> str:
        return path

    run = flow.run_sync(inputs={"load.path": "a", "second.path": "b"})
    assert (run["load"], run["second"]) == ("<a>", "b")
    assert flow.run_sync(inputs={"path": "c"})["second"] == "c"
    assert flow.run_sync(inputs={"load.path": "d"})["load"] == "<d>"
    assert (flow.run_sync()["load"], flow["second"].value) == ("<d>", "c")


def test_inputs_follow_a_renamed_node_and_leave_with_a_removed_one(flow: fb.Flow) -> None:
    flow.run_sync(inputs={"load.path": "a"})
    flow.rename("load", "read")
    assert flow.run_sync(to="read")["read"] == "<a>"
    flow.remove("read")

    @flow.node
    def read(path: str) -> str:
        return path

    assert [found.code for found in flow.check() if found.node_id == "read"] == ["FB403"]


def test_a_missing_input_is_the_failure_of_who_needs_it(flow: fb.Flow) -> None:
    @flow.node
    def free() -> int:
        return 1

    run = flow.run_sync(raise_errors=False)
    assert [(error.node_id, error.code) for error in run.errors] == [("load", "FB403")]
    assert (run["free"], run.recomputed) == (1, ["free"])
    assert "inputs=" in run.errors[0].hint
    assert [span.status for span in run.trace.spans if span.node in ("late", "chart", "other")] == ["skipped"] * 3


async def _awaited(flow: fb.Flow) -> fb.Run:
    return await flow.run(to="late", inputs={"path": "a"})


def test_awaiting_is_the_same_as_blocking(flow: fb.Flow) -> None:
    import asyncio

    run = asyncio.run(_awaited(flow))
    assert (run["late"], run.status) == ("<a>", "ok")
    flow["late"].settings["n"] = 2
    with pytest.raises(fb.FlowFailedError):
        asyncio.run(_failing(flow))


async def _failing(flow: fb.Flow) -> None:
    run = flow.start(overrides={"load": None})
    await run


def test_a_value_that_was_made_with_care_is_read_once_its_node_needs_none() -> None:
    flow = fb.Flow("lifted")
    fired: list[str] = []
    globals()["_LIFTED"] = fired

    @flow.node(timeout_s=60)
    def flights() -> list[int]:
        globals()["_LIFTED"].append("flights")
        return [1, 20, 70]

    @flow.node
    def late(flights: object, least: int = 15) -> object:
        return None if flights is None else (len(flights), least)  # type: ignore[arg-type]

    flow.run_sync()
    flow.set_policy("flights", timeout_s=None)
    assert flow.stale() == {}
    assert flow.run_sync(only="late", force=True)["late"] == (3, 15)
    flow.set("late", least=30)
    assert flow.run_sync(only="late")["late"] == (3, 30)
    assert flow.run_sync().recomputed == []
    assert fired == ["flights"]


@pytest.mark.parametrize("policy", [{}, {"on_change": "once"}])
def test_outputs_that_change_places_are_read_by_their_names(policy: dict[str, Any]) -> None:
    flow = fb.Flow("places")

    @flow.node(name="split", outputs=("train", "test"), **policy)
    def one() -> tuple[str, str]:
        return "TRAIN", "TEST"

    @flow.node
    def fit(train: str) -> str:
        return train

    assert flow.run_sync()["fit"] == "TRAIN"

    @flow.node(name="split", outputs=("test", "train"), **policy)
    def other() -> tuple[str, str]:
        return "TEST", "TRAIN"

    with pytest.raises(fb.RunError, match="FB408"):
        _ = flow["split"].value
    run = flow.run_sync()
    assert run["fit"] == "TRAIN"
    assert flow["split"].value == {"test": "TEST", "train": "TRAIN"}

    flow.node(name="split", outputs=("train", "test"), **policy)(other)  # the same code, called by other names
    run = flow.run_sync()
    assert (run["fit"], run.explain("split")) == ("TEST", "split fired: outputs test, train → train, test")
