"""A flow applied to each item of a list: what comes out, what fails, what is kept, what is told."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

import flowbook as fb
from flowbook.canvas.snapshot import snapshot
from flowbook.core import mapped_types
from flowbook.data.lasting_codecs import LastingCodecs
from flowbook.runtime.execution import Execution
from flowbook.session import session
from flowbook.stores.disk_cache import DiskCache
from tests.runtime.call_counts import calls, count
from tests.runtime.watching import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    calls.clear()


@pytest.fixture
def prep() -> fb.Flow:
    """``text -> parse -> fill``."""
    prep = fb.Flow("prep")

    @prep.node
    def parse(text: str, sep: str = ",") -> list[str]:
        count("parse")
        if "!" in text:
            raise ValueError(text)
        return text.split(sep)

    @prep.node
    def fill(parse: list[str], width: int = 3) -> str:
        count("fill")
        return "|".join(part.ljust(width, ".") for part in parse)

    return prep


@pytest.fixture
def flow(prep: fb.Flow) -> fb.Flow:
    """``lines -> rows -> joined``, where ``rows`` is ``prep`` for each line."""
    flow = fb.Flow("outer")

    @flow.node
    def lines(text: str = "a,b;c,d;e") -> list[str]:
        return text.split(";")

    flow.add(prep, "rows", each="text")
    flow.connect("lines", "rows.text")

    @flow.node
    def joined(rows: list[str]) -> str:
        return "/".join(rows)

    return flow


def test_a_flow_is_run_for_each_item_and_its_results_are_gathered_in_order(flow: fb.Flow) -> None:
    assert flow.check() == []
    run = flow.run_sync()
    assert run["rows"] == run["rows.fill"] == flow["rows"].value == ["a..|b..", "c..|d..", "e.."]
    assert run["joined"] == "a..|b../c..|d../e.."
    assert run.recomputed == ["lines", "rows", "joined"]
    assert (flow["rows"].status, flow["rows"].stamp) == ("ok", "live")
    assert flow.run_sync().recomputed == []
    assert calls == {"parse": 3, "fill": 3}


def test_only_items_that_changed_and_edited_nodes_are_computed_again(flow: fb.Flow, prep: fb.Flow) -> None:
    flow.run_sync()
    flow.set("lines", text="a,b;c,x;e")
    assert flow.stale() == {
        "lines": 'setting text "a,b;c,d;e" → "a,b;c,x;e"',
        "rows": "lines is stale",
        "joined": "rows is stale",
    }
    run = flow.run_sync()
    assert run["rows"] == ["a..|b..", "c..|x..", "e.."]
    assert calls["parse"] == 4
    assert run.trace.items("rows")["status"].to_list() == ["cached", "ok", "cached"]
    assert run.explain("rows") == "rows fired: lines changed (3 items: 2 unchanged)"
    flow["rows"].settings["fill.width"] = 2
    assert flow.stale()["rows"] == "setting fill.width 3 → 2"
    assert flow.run_sync()["rows"] == ["a.|b.", "c.|x.", "e."]
    assert prep["fill"].settings["width"] == 3

    @prep.node
    def fill(parse: list[str], width: int = 3) -> str:
        return "-".join(parse)

    assert flow.stale()["rows"] == "code of `fill` changed"
    assert flow.run_sync()["rows"] == ["a-b", "c-x", "e"]
    assert calls["parse"] == 10
    flow["rows"].settings["fill.width"] = 3
    assert flow.run_sync()["joined"] == "a-b/c-x/e"
    flow["lines"].settings["text"] = "a,b;c,d;e"
    assert flow.run_sync().trace.items("rows")["status"].to_list() == ["cached", "ok", "cached"]


@pytest.mark.parametrize("edit", ["edges", "constant", "muted"])
def test_whatever_is_edited_inside_is_computed_again(flow: fb.Flow, prep: fb.Flow, edit: str) -> None:
    @prep.node
    def told(fill: str, mark: Any = None) -> str:
        return f"{fill}{mark}"

    @prep.node
    def other(text: str) -> str:
        return text.upper()

    prep.declare_ports(inputs={"text": "parse.text", "text2": "other.text"}, outputs={"told": "told"})
    flow.remove("rows")
    flow.add(prep, "rows", each="text", text2="q")
    flow.connect("lines", "rows.text")
    assert flow.run_sync()["rows"] == ["a..|b..None", "c..|d..None", "e..None"]
    if edit == "edges":
        prep.connect("other", "told.fill")
        expected = "flow prep changed"
    elif edit == "constant":
        prep.set("told", mark=3)
        expected = "setting told.mark is new"
    else:
        prep.set_policy("fill", muted=True)
        expected = "flow prep changed"
    assert flow.stale()["rows"] == expected
    run = flow.run_sync(raise_errors=False)
    if edit == "muted":
        (error,) = run.errors
        assert error.message.endswith(": 'rows/told' gave nothing: skipped: rows/fill is muted")
    else:
        assert run["rows"] == (["QNone"] * 3 if edit == "edges" else ["a..|b..3", "c..|d..3", "e..3"])


@pytest.mark.parametrize("policy", ["fail", "skip", "keep"])
def test_a_failure_names_the_item_and_the_inner_node(flow: fb.Flow, policy: Any) -> None:
    flow.set("lines", text="a;b!;c")
    flow.set_policy("rows", on_item_error=policy)
    run = flow.run_sync(raise_errors=False)
    items = run.trace.items("rows")
    assert items["error"].to_list()[1] == "item 1: rows/parse: ValueError: b!"
    if policy == "fail":
        (error,) = run.errors
        assert (error.node_id, error.code, error.message) == ("rows", "FB402", "item 1: rows/parse: ValueError: b!")
        assert error.line is not None
        assert error.trace_id == run.id
        with pytest.raises(fb.NodeFailedError) as caught:
            run["rows"]
        assert isinstance(caught.value.__cause__, ValueError)
        assert run.explain("joined") == "joined was skipped: rows failed"
        assert "rows/parse" in str(snapshot(flow)["nodes"][1]["error"])
        (letter,) = flow.dead_letters
        assert letter.error.message == error.message
        assert letter.input_names == ("text",)
        flow.set("rows", **{"parse.sep": "!"})
        return
    kept = run["rows"]
    assert (kept[0], kept[-1]) == ("a..", "c..")
    assert len(kept) == (2 if policy == "skip" else 3)
    if policy == "keep":
        assert isinstance(kept[1], fb.ErrorPacket)
    else:
        assert run.explain("rows") == "rows fired: first run (3 items: 1 failed and left out)"
    assert calls["parse"] == 3
    assert flow.run_sync(raise_errors=False).recomputed[0] == "rows"
    assert calls["parse"] == 4, "the one that failed"


def test_a_dead_letter_is_replayed_when_the_flow_is_mended(flow: fb.Flow, prep: fb.Flow) -> None:
    flow.set("lines", text="a;b!;c")
    flow.run_sync(raise_errors=False)

    @prep.node
    def parse(text: str, sep: str = ",") -> list[str]:
        return text.split(sep)

    (run,) = flow.dead_letters.replay()
    assert (run.status, flow["rows"].value, len(flow.dead_letters)) == ("ok", ["a..", "b!.", "c.."], 0)


def test_the_trace_shows_what_happened_inside_for_each_item(flow: fb.Flow) -> None:
    flow.set("lines", text="a;b!;c")
    flow.set_policy("rows", on_item_error="skip", max_concurrency=1)
    spans = {span["node"]: span for span in flow.run_sync().trace.to_json()["spans"]}
    assert list(spans) == [
        "lines", "rows", "rows[0]", "rows[0]/parse", "rows[0]/fill", "rows[1]", "rows[1]/parse", "rows[1]/fill",
        "rows[2]", "rows[2]/parse", "rows[2]/fill", "joined",
    ]  # fmt: skip
    assert [spans[f"rows[1]{name}"]["status"] for name in ("", "/parse", "/fill")] == ["failed", "failed", "skipped"]
    assert spans["rows[1]/parse"]["error"]["message"] == "ValueError: b!"
    inner = [spans["rows[2]/parse"], spans["rows[2]/fill"]]
    assert spans["rows[2]"]["startS"] <= inner[0]["startS"] <= inner[1]["startS"]
    assert flow.last_run is not None
    assert flow.last_run.trace.counts()["ran"] == 3
    flow.set("lines", text=";".join("a" * 150))
    many = flow.run_sync(force=True).trace.to_json()
    names = [span["node"] for span in many["spans"]]
    assert (many["summarised"], len([name for name in names if "/" in name])) == (True, 40)
    flow.set("lines", text="a;b!;c")
    again = {span["node"] for span in flow.run_sync(force=True).trace.to_json()["spans"]}
    assert again == set(spans)


def test_a_trace_says_when_items_inside_an_item_are_left_out(flow: fb.Flow) -> None:
    book = fb.Flow("book")
    flow.declare_ports(inputs={"text": "lines.text"})
    book.add(flow, "pages", each="text", text=["a;b"])
    assert book.run_sync().trace.to_json()["summarised"] is False
    book.set("pages", text=[";".join("abcdefghijklmnopqrstuvwxyz")])
    trace = book.run_sync().trace.to_json()
    inner = [span["node"] for span in trace["spans"] if span["node"].startswith("pages[0]/rows[")]
    assert (trace["summarised"], len([name for name in inner if name.endswith("]")])) == (True, 20)


def test_what_the_inner_nodes_print_is_told_of_the_node(flow: fb.Flow, prep: fb.Flow) -> None:
    @prep.node
    def fill(parse: list[str], width: int = 3) -> str:
        sys.stdout.write(f"fills {parse}\n")
        return "".join(parse)

    run = flow.run_sync()
    texts = sorted(entry["text"] for entry in run.trace.to_json()["spans"][1]["logs"])
    assert texts == ["fills ['a', 'b']\n", "fills ['c', 'd']\n", "fills ['e']\n"]


def test_what_is_kept_of_what_happens_inside_is_bounded_for_the_node_as_a_whole(flow: fb.Flow, prep: fb.Flow) -> None:
    @prep.node
    def fill(parse: list[str]) -> list[str]:
        for number in range(10):
            sys.stdout.write(f"{number}\n")
        return parse

    @prep.node
    def letters(fill: fb.each[str]) -> str:
        sys.stdout.write("letter\n")
        if fill == "?":
            raise ValueError(fill)
        return fill

    flow.remove("joined")
    prep.declare_ports(inputs={"text": "parse.text"}, outputs={"letters": "letters"})
    flow.declare_ports(inputs={"text": "lines.text"}, outputs={"rows": "rows"})
    book = fb.Flow("book")
    book.add(flow, "pages", each="text", text=[f"a;b;{n}" for n in range(110)])
    book.set_policy("pages", on_item_error="keep")

    def inside(span: Any) -> list[Any]:
        return [each for item in span for event in item.inner for each in (event, *_items(event))]

    def _items(event: Any) -> list[Any]:
        return inside(event.effects.items or []) if event.effects is not None else []

    (span,) = book.run_sync().trace.spans
    assert span.effects is not None
    kept = inside(span.items)
    assert len(span.effects.entries) == 2_000
    assert span.effects.dropped_count == 110 * 3 * 11 - 2_000
    own = [event.effects for event in kept if event.effects is not None and event.effects.items is None]
    told = [event.effects for event in kept if event.effects is not None and event.effects.items is not None]
    assert 0 < len(kept) <= 1_000
    assert span.items[0].inner
    assert sum(len(effects.entries) for effects in own) <= 2_000
    assert max(len(effects.entries) for effects in told) <= 2_000
    book.set("pages", text=[f"{n};?" for n in range(260)])
    flow.set_policy("rows", on_item_error="fail")
    book.run_sync(raise_errors=False)
    assert book.last_run is not None
    assert len(inside(book.last_run.trace.spans[0].items)) <= 2_000


def test_no_more_items_are_at_work_than_the_bound_and_no_more_nodes_than_items(flow: fb.Flow, prep: fb.Flow) -> None:
    inside: list[int] = []
    most: list[int] = []
    lock, meeting = threading.Lock(), threading.Barrier(3)

    def enter() -> None:
        with lock:
            inside.append(1)
            most.append(len(inside))

    def leave() -> None:
        with lock:
            inside.pop()

    @prep.node
    def parse(text: str) -> str:
        enter()
        meeting.wait(20)  # three of them are here at once
        leave()
        return text

    @prep.node
    async def fill(parse: str) -> str:
        enter()
        await asyncio.sleep(0)
        leave()
        return parse

    @prep.node
    def beside(text: str) -> str:
        enter()
        leave()
        return text

    prep.declare_ports(inputs={"text": "parse.text", "same": "beside.text"}, outputs={"fill": "fill"})
    flow.set("lines", text=";".join("abcdefghi"))
    flow.set_policy("rows", max_concurrency=3, each=["text", "same"])
    flow.connect("lines", "rows.same")
    assert flow.run_sync()["rows"] == list("abcdefghi")
    assert max(most) == 3


def test_cancelling_ends_what_the_items_are_at(flow: fb.Flow, prep: fb.Flow) -> None:
    began = threading.Event()
    ended: list[str] = []

    @prep.node
    def parse(text: str, ctx: fb.Context) -> str:
        began.set()
        ctx.wait(60)
        ended.append(text)
        return text

    run = flow.start()
    assert began.wait(20)
    run.cancel()
    assert run.wait(20)
    assert (run.status, "fill" in calls) == ("cancelled", False)
    until(lambda: 0 < len(ended) <= 3)
    assert not [execution for execution in flow.engine.active() if execution.plan.flow == "outer"]


def test_a_node_inside_that_does_not_answer_makes_the_whole_unresponsive(flow: fb.Flow, prep: fb.Flow) -> None:
    began, gate = threading.Event(), threading.Event()

    @prep.node
    def parse(text: str) -> str:
        began.set()
        gate.wait(60)
        return text

    try:
        run = flow.start()
        assert began.wait(20)
        run.cancel()
        assert run.wait(20)
        assert flow["rows"].status == "unresponsive"
    finally:
        gate.set()
    until(lambda: not [name for name, runs in flow.results.unresponsive.items() if runs()])


@pytest.fixture
def deadlines(flow: fb.Flow, monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What happens once a deadline of 77 s is over, in the order in which they were set."""
    noted: list[Callable[[], None]] = []
    call_later = flow.engine.timers.call_later

    def note(delay_s: float, job: Callable[[], None]) -> Callable[[], None]:
        if delay_s == 77:
            noted.append(job)
        return call_later(delay_s, job)

    monkeypatch.setattr(flow.engine.timers, "call_later", note)
    return noted


def test_an_item_has_a_deadline_of_its_own(flow: fb.Flow, prep: fb.Flow, deadlines: list[Callable[[], None]]) -> None:
    began = threading.Event()

    @prep.node
    def parse(text: str, ctx: fb.Context) -> str:
        if text == "c,d":
            began.set()
            ctx.wait(60)
        return text

    flow.set_policy("rows", timeout_s=77, on_item_error="keep", max_concurrency=1)
    run = flow.start(to="rows")
    assert began.wait(20)
    deadlines[-1]()  # it is over
    assert run.wait(20)
    found = run["rows"]
    assert (isinstance(found[1], fb.ErrorPacket), found[1].code) == (True, "FB404")
    assert [isinstance(value, str) for value in found] == [True, False, True]
    until(lambda: not [name for name, runs in flow.results.unresponsive.items() if runs()])


@pytest.mark.parametrize(("whose", "policy"), [("parse", "keep"), ("rows", "keep"), ("parse", "fail")])
def test_who_is_overdue_inside_is_given_up_and_counts_as_unresponsive(
    flow: fb.Flow, prep: fb.Flow, deadlines: list[Callable[[], None]], whose: str, policy: Any
) -> None:
    gate = threading.Event()
    began: list[str] = []

    @prep.node
    def parse(text: str) -> str:
        if text != "e":
            began.append(text)
            gate.wait(60)
        return text

    (prep if whose == "parse" else flow).set_policy(whose, timeout_s=77)
    flow.set_policy("rows", on_item_error=policy, max_concurrency=2)
    try:
        run = flow.start(to="rows")
        until(lambda: len(began) == 2)
        for deadline in deadlines[: 2 if policy == "keep" else 1]:
            deadline()
        assert run.wait(30)
        still_runs = flow.results.unresponsive["rows"]
        assert still_runs()
        if policy == "keep":
            found = run["rows"]
            assert [value.code for value in found[:2]] == ["FB404", "FB404"]
            assert found[2] == "e.."
        else:
            assert [error.code for error in run.errors] == ["FB404"]
    finally:
        gate.set()
    until(lambda: not still_runs())


def test_an_item_is_tried_again_by_itself(flow: fb.Flow, prep: fb.Flow) -> None:
    @prep.node
    def parse(text: str) -> str:
        if text == "c,d" and count("tried") < 3:
            raise OSError(text)
        return text

    flow.set_policy("rows", retry=fb.Retry(max_attempts=3, delay_s=0))
    run = flow.run_sync()
    assert run["rows"][1] == "c..|,..|d.."
    assert run.trace.items("rows")["attempt"].to_list() == [1, 3, 1]


def test_what_a_node_inside_opens_is_kept_from_item_to_item(flow: fb.Flow, prep: fb.Flow) -> None:
    class Line:
        def __enter__(self) -> Line:
            count("opened")
            return self

        def __exit__(self, *_: object) -> None:
            count("closed")

    line = [Line]

    @prep.node(kind="stateful")
    def parse(text: str, ctx: fb.Context) -> str:
        ctx.enter(line[0])
        ctx.state.change("seen", lambda seen: [*seen, text], start=[])
        return text

    @flow.node(kind="stateful")
    def seen(rows: list[str], ctx: fb.Context) -> list[str]:
        return sorted(ctx.state["seen"])

    assert flow.run_sync()["seen"] == ["a,b", "c,d", "e"]
    assert flow.run_sync()["seen"] == ["a,b", "c,d", "e"], "a stateful node inside makes the whole one"
    assert calls["opened"] == 1
    prep.remove("parse")
    assert calls["closed"] == 1


def test_it_is_saved_and_opened_and_its_document_is_read_again(flow: fb.Flow, tmp_path: Path) -> None:
    flow.set_policy("rows", on_item_error="skip")
    (entry,) = [node for node in flow.document()["nodes"] if node["id"] == "rows"]
    assert entry["policy"] == {"each": ["text"], "onItemError": "skip"}
    path = flow.save(tmp_path / "a.flow.json")
    opened = fb.Flow.open(path)
    assert opened.check() == []
    assert opened.run_sync()["joined"] == "a..|b../c..|d../e.."
    assert opened.save(tmp_path / "b.flow.json").read_text() == path.read_text()
    flow.replace_document(flow.document_text())
    assert flow.run_sync()["joined"] == "a..|b../c..|d../e.."


def test_it_can_be_said_later_and_taken_back(flow: fb.Flow) -> None:
    flow.set_policy("rows", each=())
    assert flow["rows"].node_type.body is not None
    assert [error.node_id for error in flow.run_sync(raise_errors=False).errors] == ["rows/parse"]
    flow.apply([{"op": "policy", "node": "rows", "policy": {"each": ["text"]}}])
    assert flow.check() == []
    assert flow.run_sync()["joined"] == "a..|b../c..|d../e.."


def test_what_makes_no_sense_is_refused(flow: fb.Flow, prep: fb.Flow) -> None:
    @fb.node
    def plain(x: int, each: int = 1) -> int:
        return x + each

    assert flow.add(plain, x=1, each=2).settings["each"] == 2
    before = flow.document_text()
    with pytest.raises(KeyError, match="did you mean 'text'"):
        flow.add(prep, "again", each="txt")
    with pytest.raises(KeyError, match=r'flow\.set_policy\("again", max_concurrency='):
        flow.add(prep, "again", each="text", max_concurrency=2)
    with pytest.raises(fb.DefinitionError, match="annotate the input") as caught:
        flow.set_policy("plain", each="x")
    assert caught.value.code == "FB114"
    with pytest.raises(fb.DefinitionError, match="annotate the input"):
        fb.node(name="code", each="x")(lambda x: x)
    with pytest.raises(fb.DefinitionError, match="a flow, which has no isolation of its own"):
        flow.set_policy("rows", isolation="process")
    with pytest.raises(fb.DefinitionError, match="names no inputs"):
        flow.set_policy("rows", each=3)
    with pytest.raises(fb.DefinitionError, match="text='a'"):
        flow.set("rows", text="a")
    assert flow.document_text() == before
    for user, used in ((prep, flow), (flow, flow)):
        with pytest.raises(fb.WiringError) as refused:
            user.add(used, "again", each="text")
        assert refused.value.code == "FB214"
    flow.replace_document(
        '{"nodes": [{"id": "plain", "typeId": "plain", "policy": {"each": ["x"]}},'
        '{"id": "rows", "typeId": "flow.prep", "policy": {"each": ["gone"]}, "settings": {"gone": ["a"], "text": ""}}]}'
    )
    found = {(finding.node_id, finding.code) for finding in flow.check()}
    assert found >= {("plain", "FB114"), ("rows", "FB201")}
    error = next(error for error in flow.run_sync(raise_errors=False).errors if error.node_id == "rows")
    assert "which is no input of its flow" in error.message


def test_what_is_no_list_is_refused_with_the_name_of_the_input(flow: fb.Flow) -> None:
    @flow.node
    def lines(text: str = "a,b;c,d;e") -> Any:
        return set(text)

    (error,) = flow.run_sync(raise_errors=False).errors
    assert (error.code, error.node_id) == ("FB630", "rows")


def test_two_threads_that_ask_for_its_type_get_the_same_one(prep: fb.Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    flow = fb.Flow("f")
    flow.add(prep, "whole")
    flow_type = flow["whole"].node_type
    kind = mapped_types._kind
    others: list[Any] = []

    def meanwhile(node_type: Any) -> Any:
        if not others:
            others.append(None)
            others[0] = mapped_types.mapped_type(flow_type, ["text"])
        return kind(node_type)

    monkeypatch.setattr(mapped_types, "_kind", meanwhile)
    found = mapped_types.mapped_type(flow_type, ["text"])
    assert found is others[0]
    assert found is mapped_types.mapped_type(flow_type, ["text"])


def test_of_a_flow_that_has_lost_its_inputs_it_is_said_what_to_do(flow: fb.Flow, prep: fb.Flow) -> None:
    flow.disconnect("lines", "rows")
    flow.set("rows", text=["a"])
    prep.remove("parse")
    prep.remove("fill")

    @prep.node
    def fill() -> str:
        return "a"

    (finding,) = [finding for finding in flow.check() if finding.code == "FB201"]
    error = next(error for error in flow.run_sync(raise_errors=False).errors if error.node_id == "rows")
    hint = 'its flow has no inputs: let a node in it take one, or flow.set_policy("rows", each=[])'
    assert (finding.hint, error.hint) == (hint, hint)


def test_who_asks_for_a_node_inside_is_told_where_to_look(flow: fb.Flow) -> None:
    around = fb.Flow("around")
    around.add(flow, "whole")
    run = flow.run_sync()
    whole = around.run_sync()
    for ask, name in (
        (lambda: flow.run_sync(to="rows/fill"), "rows"),
        (lambda: run["rows/fill"], "rows"),
        (lambda: run["rows/fill.result"], "rows"),
        (lambda: run.explain("rows/fill"), "rows"),
        (lambda: flow["rows/fill"], "rows"),
        (lambda: whole["whole/rows/fill"], "whole/rows"),
        (lambda: around.run_sync(to="whole/rows/fill"), "whole/rows"),
    ):
        with pytest.raises(KeyError, match=f"'{name}' is run for each item of a list") as caught:
            ask()
        assert f'run.trace.items("{name}")' in str(caught.value)
        assert f"{name}[0]/fill" in str(caught.value)
    assert "rows[0]/fill" in [span["node"] for span in run.trace.to_json()["spans"]]
    with pytest.raises(KeyError, match=r"'rows' is run for each item: run\.trace\.items\(\"rows\"\)"):
        run.trace.items("rows/fill")
    with pytest.raises(KeyError, match="there is no node 'gone/fill'"):
        flow.run_sync(to="gone/fill")


def test_lists_go_together_and_what_is_no_list_is_shared(prep: fb.Flow) -> None:
    flow = fb.Flow("f")
    prep.declare_ports(inputs={"line": "parse.text", "width": "fill.width", "sep": "parse.sep"})

    @flow.node
    def sep() -> str:
        return ";"

    flow.add(prep, "rows", each=["line", "width"], line=["a;b", "c"], width=[1, 2])
    assert flow.check() == []
    assert flow.run_sync()["rows"] == ["a|b", "c."]
    flow.set("rows", width=[1])
    assert flow.run_sync(raise_errors=False).errors[0].code == "FB631"
    assert flow.run_sync(settings={"rows.width": [4, 4]})["rows"] == ["a...|b...", "c..."]


def test_settings_inside_are_swept_and_set_for_one_run(flow: fb.Flow) -> None:
    assert flow.run_sync(settings={"rows.fill.width": 1})["rows"] == ["a|b", "c|d", "e"]
    assert flow.run_sync(overrides={"rows": ["x"]})["joined"] == "x"
    sweep = flow.sweep({"rows.fill.width": [1, 2]}, outputs="joined")
    assert sweep.wait(60)
    assert [row["joined"] for row in sweep.rows] == ["a|b/c|d/e", "a.|b./c.|d./e."]


def test_flows_nest_in_every_way(flow: fb.Flow, prep: fb.Flow, tmp_path: Path) -> None:
    """A mapped flow in a subflow, a mapped flow in a mapped flow, a mapped function in one."""
    table = fb.Flow("table")

    @table.node
    def cells(page: str) -> list[str]:
        return page.split("/")

    table.add(prep, "rows", each="text")
    table.connect("cells", "rows.text")

    @table.node
    def lengths(rows: fb.each[str]) -> int:
        return len(rows)

    table.declare_ports(outputs={"rows": "rows", "lengths": "lengths"})
    book = fb.Flow("book")

    @book.node
    def pages() -> list[str]:
        return ["a/b,c", "d!/e"]

    book.add(table, "tables", each="page")
    book.connect("pages", "tables.page")
    book.add(table, "one", page="x/y")
    book.set_policy("tables", on_item_error="skip")
    assert book.check() == []
    run = book.run_sync()
    assert (run["tables.rows"], run["tables.lengths"]) == ([["a..", "b..|c.."]], [[3, 7]])
    assert (run["one.rows"], run["one/rows"]) == (["x..", "y.."], ["x..", "y.."])
    assert run.trace.items("tables")["error"].to_list() == [
        None, "item 1: tables/rows: item 0: tables/rows/parse: ValueError: d!",
    ]  # fmt: skip
    names = [span["node"] for span in run.trace.to_json()["spans"]]
    place = names.index("tables[0]")
    assert names[place : place + 8] == [
        "tables[0]", "tables[0]/cells", "tables[0]/rows", "tables[0]/rows[0]", "tables[0]/rows[0]/parse",
        "tables[0]/rows[0]/fill", "tables[0]/rows[1]", "tables[0]/rows[1]/parse",
    ]  # fmt: skip
    opened = fb.Flow.open(book.save(tmp_path / "book.flow.json"))
    assert opened.run_sync()["tables.lengths"] == [[3, 7]]

    @prep.node
    def parse(text: str, sep: str = ",") -> list[str]:
        return text.split(sep)

    assert sorted(book.stale()) == ["one", "one/lengths", "one/rows", "tables"]
    assert book.run_sync()["tables.lengths"] == [[3, 7], [3, 3]]


def test_tables_come_out_collected_once(tmp_path: Path) -> None:
    inner, flow = fb.Flow("inner"), fb.Flow("f")

    @inner.node
    def table(n: int) -> pl.LazyFrame:
        return pl.LazyFrame({"n": range(n)}).with_columns(pl.col("n").map_batches(_counted, return_dtype=pl.Int64))

    @inner.node
    def even(table: pl.LazyFrame) -> pl.LazyFrame:
        return table.filter(pl.col("n") % 2 == 0)

    flow.add(inner, "tables", each="n", n=[2, 4])

    @flow.node
    def heights(tables: list[pl.LazyFrame]) -> list[int]:
        return [each.collect().height for each in tables]

    @flow.node
    def again(tables: fb.each[pl.DataFrame]) -> int:
        return tables.height

    assert flow.check() == []
    run = flow.run_sync()
    assert (run["heights"], run["again"], calls["collected"]) == ([1, 2], [1, 2], 2)


@pytest.mark.parametrize("gives", ["number", "table"])
def test_a_file_that_a_node_inside_scans_is_watched_for_each_item(tmp_path: Path, gives: str) -> None:
    inner, flow = fb.Flow("inner"), fb.Flow("f")
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for path in paths:
        path.write_text("a\n1\n")

    @inner.node
    def table(path: str) -> pl.LazyFrame:
        count(path[-5:])
        return pl.scan_csv(path)

    if gives == "number":

        @inner.node
        def height(table: pl.DataFrame) -> int:
            return table.height

    book = fb.Flow("book")
    book.add(inner, "pages", each="path")
    flow.add(book, "books", each="path", path=[[str(path)] for path in paths])
    flow.add(inner, "pages", each="path", path=[str(path) for path in paths])

    @flow.node
    def heights(pages: list[Any]) -> list[int]:
        return [page if isinstance(page, int) else page.collect().height for page in pages]

    @flow.node
    def nested(books: list[list[Any]]) -> list[int]:
        return [page if isinstance(page, int) else page.collect().height for book in books for page in book]

    run = flow.run_sync()
    assert (run["heights"], run["nested"]) == ([1, 1], [1, 1])
    assert flow.run_sync().recomputed == []
    paths[1].write_text("a\n1\n2\n")
    assert flow.stale()["pages"] == flow.stale()["books"] == "file b.csv changed"
    run = flow.run_sync()
    assert (run["heights"], run["nested"]) == ([1, 2], [1, 2])
    assert run.explain("pages") == "pages fired: file b.csv changed (2 items: 1 unchanged)"
    assert calls == {"a.csv": 2, "b.csv": 4}


def _counted(values: pl.Series) -> pl.Series:
    count("collected")
    return values


def test_a_failure_that_a_node_inside_takes_is_none(flow: fb.Flow, prep: fb.Flow) -> None:
    @prep.node
    def told(packet: fb.Packet) -> str:
        return "told"

    prep.remove("fill")

    @prep.node
    def sad(error: Any) -> str:
        return str(error.message)

    prep.remove("told")
    prep.connect("parse.error", "sad.error")
    prep.declare_ports(outputs={"sad": "sad"})
    flow.set("lines", text="a!;b!")
    assert flow.run_sync(to="rows")["rows"] == ["ValueError: a!", "ValueError: b!"]


def test_values_follow_a_renamed_node_and_an_emptied_list_gives_one(flow: fb.Flow) -> None:
    flow.run_sync()
    flow.rename("rows", "parts")
    flow.connect("parts", "joined.rows")
    assert flow.run_sync().recomputed == []

    @flow.node
    def lines() -> list[str]:
        return []

    assert flow.run_sync()["parts"] == []


def test_the_canvas_shows_one_card_that_takes_and_gives_lists(flow: fb.Flow) -> None:
    flow.run_sync()
    card = snapshot(flow)["nodes"][1]
    assert (card["id"], card["typeId"], card["status"]) == ("rows", "flow.prep", "ok")
    assert [setting["name"] for setting in card["settings"]] == ["parse.sep", "fill.width"]
    assert card["reason"] == "first run (3 items)"
    assert card["preview"] is not None
    assert json.dumps(card)


def test_its_nodes_run_where_they_say_and_their_copies_are_counted() -> None:
    flow, inner = fb.Flow("f"), fb.Flow("inner")

    @inner.node(executor="main")
    def main(x: int) -> bool:
        return threading.current_thread() is threading.main_thread()

    @inner.node(isolation="process")
    def elsewhere(x: int) -> int:
        return os.getpid()

    @inner.node(mutable=True)
    def changed(table: np.ndarray, x: int) -> int:
        table[0] += x
        return int(table.sum())

    @inner.node
    def total(table: np.ndarray) -> int:
        return int(table.sum())

    @flow.node
    def source() -> np.ndarray:
        return np.ones(1000)

    flow.add(inner, "all", each="x", x=[1, 2])
    flow.connect("source", "all.table")
    run = flow.run_sync()
    assert run["all.main"] == [True, True]
    assert os.getpid() not in run["all.elsewhere"]
    assert (run["all.total"], run["all.changed"]) == ([1000, 1000], [1001, 1002]), "each item has a copy of its own"
    span = next(span for span in run.trace.spans if span.node == "all")
    assert (span.copies, span.copied_bytes) == (2, 2 * 8_000)


def test_what_columns_a_mapped_flow_gives_is_not_known_before_a_run() -> None:
    flow, inner = fb.Flow("f"), fb.Flow("inner")

    @inner.node
    def table(n: int) -> pl.LazyFrame:
        return pl.LazyFrame({"n": range(n)})

    flow.add(inner, "tables", each="n", n=[1])

    @flow.node
    def first(tables: list[pl.LazyFrame]) -> pl.LazyFrame:
        return tables[0]

    assert flow.schemas().errors == []
    assert flow.run_sync()["first"].collect().height == 1


def test_what_came_out_is_found_again_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prep: fb.Flow) -> None:
    monkeypatch.setattr(session.engine, "disk", DiskCache(tmp_path, LastingCodecs()))

    def made() -> fb.Flow:
        flow = fb.Flow("kept")
        flow.add(prep, "rows", each="text", text=["a,b", "c"])
        flow.set_policy("rows", cache="disk")
        return flow

    assert made().run_sync()["rows"] == ["a..|b..", "c.."]
    again = made().run_sync()
    assert again["rows"] == ["a..|b..", "c.."]
    assert again.explain("rows") == "rows was reused: kept on disk from an earlier run"
    assert calls["parse"] == 2


def test_nothing_is_left_of_items_that_are_over(prep: fb.Flow) -> None:
    flow = fb.Flow("many")
    flow.add(prep, "rows", each="text", text=["a"] * 50)

    def inner_runs() -> int:
        gc.collect()
        plans = [each.plan for each in gc.get_objects() if isinstance(each, Execution)]
        return sum(plan.flow == "many" and plan is not flow.plan for plan in plans)

    flow.run_sync(force=True)
    assert calls["parse"] == 50
    until(lambda: inner_runs() == 0)
    assert not flow.engine.active()


def test_a_node_comes_back_whole_in_one_operation(flow: fb.Flow) -> None:
    flow.disconnect("lines", "rows.text")
    flow.set("rows", text=["a", "b"])
    flow.set_policy("rows", on_item_error="skip", timeout_s=5)
    before = flow.document()
    (entry,) = [node for node in before["nodes"] if node["id"] == "rows"]
    flow.apply([{"op": "remove", "node": "rows"}])
    again = {"op": "add", "typeId": "flow.prep", "node": "rows", **{key: entry[key] for key in ("settings", "policy")}}
    flow.apply([again])
    assert sorted(map(str, flow.document()["nodes"])) == sorted(map(str, before["nodes"]))
    for policy in ({"isolation": "process"}, {"each": ["gone"]}, {"each": [3]}, {"speed": 3}, 3):
        with pytest.raises(fb.FlowbookError):
            flow.apply([{**again, "node": "other", "policy": policy}])
    assert "other" not in flow
