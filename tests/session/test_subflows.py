"""A flow used as a node of another one: its ports, what runs, what is told, how it is kept, and what cannot be."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path  # noqa: TC003 -- nodes read their annotations
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import flowbook as fb
from flowbook.canvas.snapshot import snapshot
from tests.runtime.call_counts import calls, count
from tests.runtime.watching import until

if TYPE_CHECKING:
    from collections.abc import Iterator


def prep_flow(name: str = "prep") -> fb.Flow:
    """``path -> parse -> fill``."""
    prep = fb.Flow(name)

    @prep.node
    def parse(text: str, sep: str = ",") -> list[str]:
        return text.split(sep)

    @prep.node
    def fill(parse: list[str], width: int = 3) -> list[str]:
        return [part.ljust(width, ".") for part in parse]

    return prep


@pytest.fixture
def prep() -> fb.Flow:
    return prep_flow()


@pytest.fixture
def flow(prep: fb.Flow) -> fb.Flow:
    """``source -> sub -> joined``, where ``sub`` is made from ``prep``; ``parse`` stands outside as well."""
    flow = fb.Flow("outer")

    @flow.node
    def source(letters: str = "a,b") -> str:
        return letters

    @flow.node
    def parse() -> str:
        return "another one of that name"

    flow.add(prep, "sub")
    flow.connect("source", "sub.text")

    @flow.node
    def joined(fill: list[str]) -> str:
        return "|".join(fill)

    return flow


def test_a_flow_is_a_node_with_the_ports_and_settings_of_its_nodes(flow: fb.Flow) -> None:
    node = flow["sub"]
    assert [(port.name, port.type) for port in node.node_type.inputs] == [("text", "text")]
    assert [port.name for port in node.node_type.outputs] == ["fill"]
    assert dict(node.settings) == {"parse.sep": ",", "fill.width": 3}
    assert flow.check() == []
    run = flow.run_sync()
    assert run["joined"] == "a..|b.."
    assert run["sub"] == run["sub.fill"] == run["sub/fill"] == node.value == ["a..", "b.."]
    assert flow["sub/parse"].value == ["a", "b"]
    assert (node.status, node.stamp) == ("ok", "live")


def test_the_plan_knows_leaf_nodes_alone_and_names_stay_inside_their_flow(flow: fb.Flow) -> None:
    assert sorted(flow.plan.node_ids) == ["joined", "parse", "source", "sub/fill", "sub/parse"]
    run = flow.run_sync()
    assert sorted(run.recomputed) == sorted(flow.plan.node_ids)
    assert run["parse"] == "another one of that name"
    assert flow.run_sync().recomputed == []


def test_settings_of_inner_nodes_are_those_of_this_use_alone(flow: fb.Flow, prep: fb.Flow) -> None:
    flow.add(prep, "other", text="x", **{"fill.width": 1})
    flow.connect("sub", "joined.fill")  # its name alone could mean both
    flow.run_sync()
    flow["sub"].settings["fill.width"] = 5
    assert flow.stale() == {
        "sub": "fill: setting width 3 → 5", "sub/fill": "setting width 3 → 5", "joined": "sub/fill is stale",
    }  # fmt: skip
    assert flow["sub"].stamp == "stale"
    run = flow.run_sync(after="sub")
    assert run.recomputed == ["sub/fill", "joined"]
    assert (run["joined"], flow["other"].value) == ("a....|b....", ["x"])
    flow.set("sub/parse", sep=";")
    assert flow["sub"].settings["parse.sep"] == flow["sub/parse"].settings["sep"] == ";"
    flow["sub/parse"].settings["sep"] = ","
    assert flow.run_sync()["joined"] == "a....|b...."
    assert prep["fill"].settings["width"] == 3
    with pytest.raises(fb.DefinitionError):
        flow["sub"].settings["fill.width"] = "wide"
    with pytest.raises(KeyError, match="did you mean"):
        flow.set("sub/fill", widht=1)


def test_runs_are_scoped_and_given_values_by_outer_and_inner_names(flow: fb.Flow) -> None:
    assert flow.run_sync(to="sub").recomputed == ["source", "sub/parse", "sub/fill"]
    assert flow.run_sync(only="sub", force=True).recomputed == ["sub/parse", "sub/fill"]
    assert flow.run_sync(after="sub/fill", force=True).recomputed == ["sub/fill", "joined"]
    assert flow.run_sync(to="sub/parse", force=True).recomputed == ["source", "sub/parse"]
    assert flow.run_sync(settings={"sub.fill.width": 2})["joined"] == "a.|b."
    assert flow.run_sync(settings={"sub/fill.width": 1})["joined"] == "a|b"
    run = flow.run_sync(overrides={"sub": ["given"]})
    assert run["joined"] == "given"
    assert "sub/parse" not in run.recomputed
    flow.disconnect("source", "sub.text")
    assert [finding.message for finding in flow.check()] == ["'sub' needs 'text', and nothing gives it"]
    assert flow.run_sync(inputs={"sub.text": "q"})["sub"] == ["q.."]
    flow.set("sub", text="const")
    assert flow.run_sync()["sub"] == ["const"]


def test_the_trace_shows_inner_nodes_under_a_span_of_the_whole_and_explain_names_them(flow: fb.Flow) -> None:
    flow.run_sync()
    flow.set("sub/fill", width=4)
    run = flow.run_sync()
    spans = run.trace.to_json()["spans"]
    names = [span["node"] for span in spans]
    place = names.index("sub")
    assert names[place : place + 3] == ["sub", "sub/parse", "sub/fill"]
    assert spans[place]["reason"] == "1 of 2 nodes fired"
    assert spans[place]["tookS"] == pytest.approx(spans[place + 2]["tookS"], abs=1e-5)
    assert run.explain("sub") == "sub/parse was reused: nothing changed\nsub/fill fired: setting width 3 → 4"
    assert run.trace.counts()["ran"] == 2


def test_a_failure_inside_is_named_by_its_node_and_fails_the_whole(flow: fb.Flow, prep: fb.Flow) -> None:
    @prep.node
    def fill(parse: list[str], width: int = 3) -> list[str]:
        raise ValueError(parse)

    run = flow.run_sync(raise_errors=False)
    assert [error.node_id for error in run.errors] == ["sub/fill"]
    assert run.explain("joined") == "joined was skipped: sub/fill failed"
    with pytest.raises(fb.NodeFailedError, match="'sub/fill' failed"):
        run["sub"]
    assert flow["sub"].status == "failed"
    (card,) = [entry for entry in snapshot(flow)["nodes"] if entry["id"] == "sub"]
    assert card["status"] == "failed"
    assert card["reason"] == "fill: ValueError: ['a', 'b']"
    assert "ValueError" in str(card["error"])


def test_the_canvas_shows_one_card_with_edges_settings_and_value(flow: fb.Flow) -> None:
    flow.run_sync()
    shown = snapshot(flow)
    assert [entry["id"] for entry in shown["nodes"]] == ["source", "parse", "sub", "joined"]
    card = shown["nodes"][2]
    assert (card["status"], card["stamp"], card["reason"]) == ("ok", "recorded", "2 nodes")
    assert [setting["name"] for setting in card["settings"]] == ["parse.sep", "fill.width"]
    assert card["preview"] is not None
    ends = {(edge["source"], edge["target"], edge["targetPort"], edge["carried"]) for edge in shown["edges"]}
    assert ends == {("source", "sub", "text", True), ("sub", "joined", "fill", True)}
    flow.disconnect("source", "sub.text")
    flow.run_sync(inputs={"text": "given"})
    assert ("→ text", "sub", "text") in {
        (edge["source"], edge["target"], edge["targetPort"]) for edge in snapshot(flow)["edges"]
    }


def test_an_edit_of_the_flow_reaches_every_use_of_it(flow: fb.Flow, prep: fb.Flow) -> None:
    flow.run_sync()

    @prep.node
    def fill(parse: list[str], width: int = 3, mark: str = "-") -> list[str]:
        return [part.rjust(width, mark) for part in parse]

    assert "mark" in flow.stale()["sub"] or "code" in flow.stale()["sub"]
    run = flow.run_sync()
    assert run["joined"] == "--a|--b"
    assert sorted(run.recomputed) == ["joined", "sub/fill"]
    assert flow["sub"].settings["fill.mark"] == "-"


def test_ports_are_declared_where_the_own_ones_do_not_do(flow: fb.Flow, prep: fb.Flow) -> None:
    prep.declare_ports(inputs={"line": "parse.text", "width": "fill.width"}, outputs={"parts": "parse", "full": "fill"})
    flow.remove("sub")
    flow.add(prep, "sub", line="x,y")

    @flow.node
    def width() -> int:
        return 2

    assert [port.name for port in flow["sub"].node_type.inputs] == ["line", "width"]
    run = flow.run_sync(to="sub")
    assert (run["sub.parts"], run["sub.full"]) == (["x", "y"], ["x.", "y."])
    with pytest.raises(KeyError, match="several outputs"):
        run["sub"]
    assert flow["sub"].value == {"parts": ["x", "y"], "full": ["x.", "y."]}
    with pytest.raises(KeyError, match=r"parse\.txt"):
        prep.declare_ports(inputs={"line": "parse.txt"})
    assert json.loads(prep.document_text())["ports"]["outputs"] == {"full": "fill", "parts": "parse"}


def test_flows_nest_and_are_saved_and_opened_whole(flow: fb.Flow, tmp_path: Path) -> None:
    whole = fb.Flow("whole")
    flow.set("sub/fill", width=4)
    whole.add(flow, "deep")
    assert whole.check() == []
    run = whole.run_sync()
    assert run["deep/sub/fill"] == ["a...", "b..."]
    assert run["deep.joined"] == "a...|b..."
    assert whole["deep"].settings["sub.fill.width"] == 4
    whole["deep"].settings["sub.fill.width"] = 2
    path = whole.save(tmp_path / "whole.flow.json")
    opened = fb.Flow.open(path)
    assert opened.check() == []
    run = opened.run_sync()
    assert run["deep.joined"] == "a.|b."
    assert [span["node"] for span in run.trace.to_json()["spans"]].count("deep/sub") == 1
    assert opened.save(tmp_path / "again.flow.json").read_text() == path.read_text()
    assert opened["deep"].settings["sub.parse.sep"] == ","


def test_a_document_finds_the_flow_that_its_node_is_made_from_before_or_after() -> None:
    text = '{"nodes": [{"id": "s", "typeId": "flow.subflow_late", "settings": {"fill.width": 1, "text": "a,b"}}]}'
    early = fb.flow("subflow_early")
    early.replace_document(text)
    assert early["s"].status == "waiting"
    late = fb.flow("subflow_late")
    named = prep_flow("subflow_late")
    late.replace_document(named.document_text())
    for node_type in named.data.types.values():
        late.define(node_type)
    assert early.run_sync()["s"] == ["a", "b"]
    after = fb.Flow("after")
    after.replace_document(text)
    assert after.run_sync()["s"] == ["a", "b"]
    assert json.loads(early.document_text())["nodes"] == json.loads(text)["nodes"]


def test_recursion_is_refused(flow: fb.Flow, prep: fb.Flow) -> None:
    for user, used, words in ((flow, flow, "would contain itself"), (prep, flow, "'outer' uses the flow 'prep'")):
        before = user.document_text()
        with pytest.raises(fb.WiringError, match=words) as caught:
            user.add(used, "again")
        assert caught.value.code == "FB214"
        assert user.document_text() == before


def test_a_subflow_is_muted_as_a_whole_and_has_no_other_policies(flow: fb.Flow) -> None:
    flow.set_policy("sub", muted=True)
    run = flow.run_sync()
    assert run.explain("joined") == "joined was skipped: sub/fill is muted"
    assert flow["sub"].status == "muted"
    with pytest.raises(fb.DefinitionError, match="has no timeout_s of its own"):
        flow.set_policy("sub", timeout_s=1)


def test_values_follow_a_renamed_subflow_and_go_with_a_removed_one(flow: fb.Flow) -> None:
    flow.run_sync()
    flow.rename("sub", "two")
    assert flow.run_sync().recomputed == []
    assert flow["two"].value == ["a..", "b.."]
    flow.remove("two")
    assert "two/fill" not in flow.results.states


def test_values_follow_renames_that_nobody_looks_at_in_between(flow: fb.Flow) -> None:
    flow.run_sync()
    flow.rename("sub", "two")
    flow.rename("two", "three")
    assert flow["three"].value == ["a..", "b.."]
    assert [name for name in flow.results.states if name.startswith(("sub", "two"))] == []
    flow.set("source", letters="c")
    flow.remove("three")
    assert [name for name in flow.results.states if "/" in name] == []


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_letters_follow_a_renamed_subflow(
    flow: fb.Flow, prep: fb.Flow, storage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @prep.node
    def fill(parse: list[str], width: int = 3) -> list[str]:
        if width == 3:
            raise ValueError(width)
        return parse

    monkeypatch.setenv("FLOWBOOK_STATE", str(tmp_path))
    flow.policy = fb.FlowPolicy(state_storage=storage)
    flow.run_sync(raise_errors=False)
    flow.rename("sub", "two")
    flow.rename("two", "three")
    assert [letter.error.node_id for letter in flow.dead_letters] == ["three/fill"]
    flow.set("three/fill", width=1)
    (run,) = flow.dead_letters.replay()
    assert (run.status, flow["joined"].value, len(flow.dead_letters)) == ("ok", "a|b", 0)


@contextlib.contextmanager
def counted() -> Iterator[None]:
    """Something that has to be closed."""
    count("opened")
    yield
    count("closed")


def opening_node(flow: fb.Flow) -> None:
    @flow.node
    def model(ctx: fb.Context, x: int) -> int:
        ctx.enter(counted)
        return x


def other_opening_node(flow: fb.Flow) -> None:
    @flow.node
    def model(ctx: fb.Context, x: int) -> int:
        ctx.enter(counted)
        return x + 1


@pytest.mark.parametrize("how", ["redefine", "rename", "remove", "remove the whole", "rename the whole"])
def test_an_edit_inside_reaches_what_is_known_where_the_flow_is_used(how: str) -> None:
    calls.clear()
    inner, middle, outer = fb.Flow("inner"), fb.Flow("middle"), fb.Flow("outer")
    opening_node(inner)

    @inner.node
    def bad(x: int) -> int:
        raise OSError

    middle.add(inner, "low")
    outer.add(middle, "mid")
    outer.run_sync(inputs={"x": 1}, raise_errors=False)
    assert [letter.error.node_id for letter in outer.dead_letters] == ["mid/low/bad"]
    if how == "redefine":
        other_opening_node(inner)
        assert calls == {"opened": 1, "closed": 1}
    elif how == "rename":
        inner.rename("model", "net")
        inner.rename("bad", "worse")
        assert (calls, outer["mid/low/net"].value) == ({"opened": 1}, 1)
        assert [letter.error.node_id for letter in outer.dead_letters] == ["mid/low/worse"]
    elif how == "remove":
        inner.remove("bad")
        assert (len(outer.dead_letters), calls) == (0, {"opened": 1})
        inner.remove("model")
        assert calls == {"opened": 1, "closed": 1}
        assert [name for name in outer.results.states if name.startswith("mid/")] == []
    elif how == "rename the whole":
        middle.rename("low", "deep")
        assert (calls, outer["mid/deep/model"].value) == ({"opened": 1}, 1)
        assert [letter.error.node_id for letter in outer.dead_letters] == ["mid/deep/bad"]
    else:
        middle.remove("low")
        assert (len(outer.dead_letters), calls) == (0, {"opened": 1, "closed": 1})
    outer.remove("mid")
    assert calls == {"opened": 1, "closed": 1}


def test_lists_are_mapped_inside_and_lazy_tables_stay_lazy(tmp_path: Path) -> None:
    inner, flow = fb.Flow("inner"), fb.Flow("f")

    @inner.node
    def squares(numbers: fb.each[int]) -> int:
        return numbers * numbers

    @inner.node
    def table(squares: list[int]) -> pl.LazyFrame:
        return pl.LazyFrame({"n": squares})

    @flow.node
    def numbers(n: int = 3) -> list[int]:
        return list(range(n))

    flow.add(inner)
    flow.connect("numbers", "inner.numbers")

    @flow.node
    def total(table: pl.LazyFrame) -> int:
        return int(table.sum().collect().item())

    assert flow.check() == []
    assert flow.run_sync()["total"] == 5
    assert not flow["inner"].node_type.outputs[0].is_gathered
    sweep = flow.sweep({"numbers.n": [2, 4]}, outputs=["total", "inner"])
    assert sweep.wait(60)
    assert [row["total"] for row in sweep.rows] == [1, 14]
    assert sweep.rows[1]["inner"].collect()["n"].to_list() == [0, 1, 4, 9]
    found: Any = flow.save(tmp_path / "x.flow.json")
    assert fb.Flow.open(found).run_sync()["total"] == 5


def test_a_setting_moved_by_a_person_reruns_the_inner_node_alone(flow: fb.Flow) -> None:
    flow.run_sync()
    flow.setting_moved("sub", "fill.width", 6)
    until(lambda: bool(flow["joined"].value == "a.....|b....."))
    assert flow.stale() == {}


def test_a_failure_inside_is_a_dead_letter_that_is_replayed(flow: fb.Flow, prep: fb.Flow) -> None:
    @prep.node(kind="io")
    def fill(parse: list[str], width: int = 3) -> list[str]:
        if width == 3:
            raise ValueError(width)
        return parse

    flow.run_sync(raise_errors=False)
    assert "sub/fill" in repr(flow.dead_letters)
    assert "the node is gone" not in repr(flow.dead_letters)
    flow.set("sub/fill", width=1)
    (run,) = flow.dead_letters.replay(flow.dead_letters[0].letter_id)
    assert run.status == "ok"
    assert flow["joined"].value == "a|b"
    assert len(flow.dead_letters) == 0


def test_settings_of_a_subflow_in_a_subflow_are_read_and_set_at_every_level(prep: fb.Flow) -> None:
    middle, flow = fb.Flow("middle"), fb.Flow("outermost")
    middle.add(prep, "b", **{"fill.width": 4})
    flow.add(middle, "a")
    assert "a/b" in flow
    assert flow["a/b"].node_type.type_id == "flow.prep"
    assert dict(flow["a/b"].settings) == {"parse.sep": ",", "fill.width": 4}
    flow["a/b"].settings["fill.width"] = 5
    assert (flow["a/b/fill"].settings["width"], flow["a"].settings["b.fill.width"]) == (5, 5)
    flow["a/b/fill"].settings["width"] = 6
    assert dict(flow["a/b"].settings) == {"parse.sep": ",", "fill.width": 6}
    assert flow.run_sync(inputs={"text": "x"})["a"] == ["x....."]
    flow["a/b/fill"].traits().width = 7
    assert flow["a/b"].settings["fill.width"] == 7
    flow.cancel()
    del flow["a/b"].settings["fill.width"]
    assert flow["a/b/fill"].settings["width"] == 4
    assert dict(middle["b"].settings) == {"parse.sep": ",", "fill.width": 4}
    with pytest.raises(fb.DefinitionError, match="the policy that its own flow gives it") as caught:
        flow.set_policy("a/b/fill", muted=True)
    assert caught.value.hint == 'fb.flow("prep").set_policy("fill", …)'
