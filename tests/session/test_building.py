"""Building a flow from Python: getting, declaring, adding, connecting, renaming, and doing it again."""

from __future__ import annotations

from typing import Any

import pytest

import flowbook as fb
from flowbook.errors import DuplicateIdError, UnknownIdError


@pytest.fixture
def flow() -> fb.Flow:
    """A and b, where b reads a by its name, and c, which reads b."""
    flow = fb.Flow("f")

    @flow.node
    def a(n: int = 1) -> int:
        return n

    @flow.node
    def b(a: int, factor: int = 10) -> int:
        return a * factor

    @flow.node
    def c(b: int) -> int:
        return b + 1

    return flow


def links(flow: fb.Flow) -> list[tuple[str, str, bool]]:
    return sorted(
        (link.source, f"{link.target}.{link.target_port}", link.is_implicit) for link in flow.wiring.links.values()
    )


def test_a_named_flow_is_made_once_and_fb_flow_always_makes_one() -> None:
    assert fb.flow("test_building") is fb.flow("test_building")
    assert fb.Flow("test_building") is not fb.flow("test_building")
    assert fb.flow("test_building").name == "test_building"


def test_a_flow_is_a_collection_of_nodes(flow: fb.Flow) -> None:
    assert list(flow) == ["a", "b", "c"]
    assert len(flow) == 3
    assert "a" in flow
    assert "x" not in flow
    assert repr(flow) == "<flow f: 3 nodes, 2 edges>"
    assert repr(fb.Flow("e")) == "<flow e: 0 nodes, 0 edges>"
    with pytest.raises(KeyError, match=r"no node 'd'[\s\S]*there is 'a', 'b', 'c'"):
        flow["d"]


def test_declaring_again_hot_swaps_the_code_and_keeps_the_rest(flow: fb.Flow) -> None:
    flow["b"].settings["factor"] = 7
    flow.connect("a", "c.b")

    @flow.node
    def b(a: int, factor: int = 10) -> int:
        return a - factor

    assert list(flow) == ["a", "b", "c"]
    assert flow["b"].settings == {"factor": 7}
    assert links(flow) == [("a", "b.a", True), ("a", "c.b", False)]
    assert flow.run_sync()["b"] == -6


def test_names_connect_edges_win_and_cuts_hold(flow: fb.Flow) -> None:
    assert links(flow) == [("a", "b.a", True), ("b", "c.b", True)]
    flow.connect("a", "c.b")
    assert links(flow) == [("a", "b.a", True), ("a", "c.b", False)]
    flow.disconnect("a", "c.b")
    assert links(flow) == [("a", "b.a", True), ("b", "c.b", True)]
    flow.disconnect("b", "c.b")
    assert links(flow) == [("a", "b.a", True)]
    assert flow.document()["cuts"] == [{"source": "b", "target": "c", "targetPort": "b"}]
    assert "edges" not in flow.document()
    flow.connect("b", "c")
    assert links(flow) == [("a", "b.a", True), ("b", "c.b", False)]
    assert "cuts" not in flow.document()


def test_disconnecting_an_explicit_edge_that_its_name_implies_too_takes_both_away(flow: fb.Flow) -> None:
    flow.connect("b", "c.b")
    flow.disconnect("b", "c.b")
    assert links(flow) == [("a", "b.a", True)]


@pytest.mark.parametrize(
    ("source", "target", "code", "hint"),
    [
        ("x", "c.b", "FB201", "'a'"),
        ("a", "x.b", "FB201", "'a'"),
        ("a", "c.b", "FB209", "did you mean"),
        ("b.other", "c.b", "FB209", "did you mean"),
    ],
)
def test_an_edge_that_is_not_there_cannot_be_taken_away(
    flow: fb.Flow, source: str, target: str, code: str, hint: str
) -> None:
    before = flow.document_text()
    with pytest.raises(fb.WiringError) as caught:
        flow.disconnect(source, target)
    assert (caught.value.code, flow.document_text()) == (code, before)
    assert hint in caught.value.hint


def test_an_edge_of_a_document_that_leads_nowhere_can_be_taken_away(flow: fb.Flow) -> None:
    flow.replace_document('{"nodes": [{"id": "a"}], "edges": [{"source": "ghost", "target": "a", "targetPort": "n"}]}')
    assert [found.code for found in flow.check()] == ["FB201"]
    flow.disconnect("ghost", "a")
    assert flow.check() == []


def test_a_renamed_node_keeps_code_edges_settings_and_value(flow: fb.Flow) -> None:
    flow.connect("a", "c.b")
    flow["a"].settings["n"] = 3
    flow.run_sync(to="a")
    flow.rename("a", "start")
    assert list(flow) == ["start", "b", "c"]
    assert links(flow) == [("start", "b.a", False), ("start", "c.b", False)]
    assert (flow["start"].value, flow["start"].stamp, flow["start"].settings) == (3, "live", {"n": 3})
    assert flow.check() == []
    assert flow.run_sync(to="c").recomputed == ["c"]


@pytest.mark.parametrize("how", ["in Python", "on the canvas"])
def test_what_reads_a_node_by_its_name_goes_on_reading_it_when_it_is_renamed(flow: fb.Flow, how: str) -> None:
    before = flow.document_text()
    if how == "in Python":
        flow.rename("a", "a9")
    else:
        flow.apply([{"op": "rename", "node": "a", "to": "a9"}])
    assert links(flow) == [("a9", "b.a", False), ("b", "c.b", True)]
    assert flow.check() == []
    assert flow.document()["edges"] == [{"source": "a9", "target": "b", "targetPort": "a"}]
    if how == "in Python":
        flow.rename("a9", "a")
    else:
        flow.apply([{"op": "rename", "node": "a9", "to": "a", "namesFollow": False}])
    assert flow.document_text() == before
    assert links(flow) == [("a", "b.a", True), ("b", "c.b", True)]


def test_an_input_that_waits_for_a_name_reads_the_node_that_gets_it_until_that_is_undone(flow: fb.Flow) -> None:
    @flow.node
    def d(start: int) -> int:
        return start

    before = flow.document_text()
    flow.rename("a", "start")
    assert ("start", "d.start", True) in links(flow)
    flow.apply([{"op": "rename", "node": "start", "to": "a", "namesFollow": False}])
    assert flow.document_text() == before
    assert [source for source, _, _ in links(flow)] == ["a", "b"]


def test_the_ports_that_a_flow_shows_follow_a_renamed_node(flow: fb.Flow) -> None:
    flow.declare_ports(inputs={"much": "b.factor"}, outputs={"out": "b", "first": "a.result"})
    flow.rename("b", "later")
    flow.rename("a", "start")
    assert flow.data.ports == {"inputs": {"much": "later.factor"}, "outputs": {"out": "later", "first": "start.result"}}


def test_a_removed_node_is_gone_with_its_value(flow: fb.Flow) -> None:
    flow.run_sync()
    flow.remove("a")
    with pytest.raises(UnknownIdError):
        flow["a"]
    with pytest.raises(UnknownIdError):
        flow.remove("a")

    @flow.node
    def a(n: int = 1) -> int:
        return n

    assert flow["a"].stamp is None
    assert flow.run_sync().recomputed[0] == "a"


def test_a_reusable_type_makes_any_number_of_nodes_with_constants_and_settings(flow: fb.Flow) -> None:
    @fb.node
    def power(base: int, exponent: int = 2) -> int:
        return int(base**exponent)

    flow.add(power, "square", base=3)
    flow.add("power", "cube", base=3, exponent=3)
    node = flow.add(power, "of_a")
    flow.connect("a", "of_a.base")
    assert node.id == "of_a"
    run = flow.run_sync()
    assert (run["square"], run["cube"], run["of_a"]) == (9, 27, 1)
    assert flow.document()["nodes"][3:5] == [
        {"id": "square", "typeId": "power", "settings": {"base": 3}},
        {"id": "cube", "typeId": "power", "settings": {"base": 3, "exponent": 3}},
    ]
    flow.connect("a", "square.base")
    assert flow.run_sync()["square"] == 1, "an edge overrules a constant"
    flow.disconnect("a", "square.base")
    assert flow.run_sync()["square"] == 9


def test_declaring_a_reusable_type_again_renews_the_flows_that_use_it(flow: fb.Flow) -> None:
    @fb.node
    def renewed(n: int = 1) -> int:
        return n

    flow.add(renewed, "one")
    other = fb.Flow("other")
    other.add(renewed)
    assert flow.run_sync()["one"] == 1

    @fb.node(name="renewed")
    def better(n: int = 1) -> int:
        return n + 100

    assert flow["one"].stamp == "stale"
    assert flow.run_sync()["one"] == 101
    assert other.run_sync()["renewed"] == 101


def test_a_plain_function_can_be_added_without_a_declaration() -> None:
    def double(x: int) -> int:
        return 2 * x

    flow = fb.Flow("plain")
    flow.add(double, x=4)
    assert flow.run_sync()["double"] == 8


def test_a_type_of_another_name_cannot_take_the_code_of_a_node(flow: fb.Flow) -> None:
    def a(n: int = 5) -> int:
        return -n

    with pytest.raises(DuplicateIdError) as caught:
        flow.add(a, "mine")
    assert "@fb.node(name=" in caught.value.hint
    assert flow.run_sync()["a"] == 1


def test_code_cannot_take_the_name_of_a_node_of_another_type(flow: fb.Flow) -> None:
    def double(x: int) -> int:
        return 2 * x

    flow.add(double, "d", x=1)
    with pytest.raises(DuplicateIdError) as caught:

        @flow.node
        def d() -> int:
            return 1

    assert caught.value.code == "FB202"
    assert flow.run_sync()["d"] == 2


def _twice(x: int) -> int:
    return 2 * x


@pytest.mark.parametrize(
    ("add", "code"),
    [
        (lambda flow: flow.add("flter", "x"), "FB212"),
        (lambda flow: flow.add(_twice, "no id"), "FB205"),
        (lambda flow: flow.add(_twice, "a"), "FB202"),
        (lambda flow: flow.add(_twice, "y", y=1), "FB201"),
        (lambda flow: flow.add(_twice, "y", x="one"), "FB103"),
        (lambda flow: flow.add(len, "y"), "FB108"),
        (lambda flow: flow.add(lambda x: x, "x"), "FB105"),
        (lambda flow: flow.add(print, "x"), "FB108"),
    ],
)
def test_what_cannot_be_added_leaves_the_flow_as_it_was(flow: fb.Flow, add: Any, code: str) -> None:
    before = flow.document_text()
    with pytest.raises(fb.FlowbookError) as caught:
        add(flow)
    assert (caught.value.code, flow.document_text()) == (code, before)


def test_settings_are_a_mapping_of_python_values(flow: fb.Flow) -> None:
    settings = flow["a"].settings
    assert dict(settings) == {"n": 1}
    settings["n"] = 5
    assert flow.document()["nodes"][0]["settings"] == {"n": 5}
    del settings["n"]
    assert "settings" not in flow.document()["nodes"][0]
    with pytest.raises(fb.DefinitionError):
        settings["n"] = "five"
    for wrong in (lambda: settings["m"], lambda: settings.__setitem__("m", 1), lambda: settings.__delitem__("m")):
        with pytest.raises(KeyError):
            wrong()
    assert (len(settings), repr(settings)) == (1, "{'n': 1}")


def test_several_settings_are_set_together_or_not_at_all(flow: fb.Flow) -> None:
    with pytest.raises(fb.DefinitionError):
        flow.set("b", factor=3, a="x")
    assert flow["b"].settings == {"factor": 10}


def test_a_document_is_a_copy(flow: fb.Flow) -> None:
    flow["a"].settings["n"] = 5
    flow.document()["nodes"][0]["settings"]["n"] = 6
    assert flow["a"].settings["n"] == 5


def test_a_broken_document_leaves_the_flow_as_it_was(flow: fb.Flow) -> None:
    before = flow.document_text()
    for text in ("{", "[]", '{"flowbook": "2"}', '{"nodes": [{"id": "a"}, {"id": "a"}]}', '{"nodes": 3}'):
        with pytest.raises(fb.DocumentError):
            flow.replace_document(text)
        assert flow.document_text() == before
    assert flow.run_sync()["c"] == 11


def test_edits_are_told_once_each_and_only_when_something_changed(flow: fb.Flow) -> None:
    told: list[str] = []
    flow.on_change(lambda: told.append(""))
    flow.set("b", factor=3)
    flow.set("b", factor=3)
    flow.set("b", factor=10)
    flow.connect("a", "c.b")
    flow.rename("a", "a")
    assert len(told) == 3
    assert flow.run_sync()["c"] == 2
