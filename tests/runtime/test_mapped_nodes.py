"""Nodes that are called once for each item of a list: order, bounds, failures, what is computed again, what is told."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path  # noqa: TC003 -- nodes read their annotations
from queue import Queue
from typing import Any

import numpy as np
import polars as pl
import pytest

import flowbook as fb
from flowbook.data.lasting_codecs import LastingCodecs
from flowbook.runtime.item_runs import ItemRun
from flowbook.session.process import session
from flowbook.stores.disk_cache import DiskCache
from tests.runtime.watching import until

CALLS: dict[str, list[Any]] = {}


@pytest.fixture
def flow() -> fb.Flow:
    """A flow with a list ``numbers`` of as many numbers as its setting says."""
    flow = fb.Flow("mapped")

    @flow.node
    def numbers(n: int = 5) -> list[int]:
        return list(range(n))

    CALLS.clear()
    return flow


def note(name: str, value: Any) -> None:
    """Remember a call, behind the back of every key."""
    globals()["CALLS"].setdefault(name, []).append(value)


def noted(name: str) -> list[Any]:
    """What was remembered under that name."""
    found: list[Any] = globals()["CALLS"].get(name, [])
    return found


def test_a_node_is_called_for_each_item_and_gives_a_list_in_order(flow: fb.Flow) -> None:
    @flow.node
    def squares(numbers: fb.each[int], plus: int = 1) -> int:
        return numbers * numbers + plus

    @flow.node
    def total(squares: list[int]) -> int:
        return sum(squares)

    assert flow.check() == []
    run = flow.run_sync()
    assert run["squares"] == flow["squares"].value == [1, 2, 5, 10, 17]
    assert run["total"] == 35
    assert squares(3) == 10
    assert run.explain("squares") == "squares fired: first run (5 items)"
    assert flow.run_sync().recomputed == []


def test_an_empty_list_gives_an_empty_list_and_calls_nothing(flow: fb.Flow) -> None:
    @flow.node
    def broken(numbers: fb.each[int]) -> int:
        raise AssertionError(numbers)

    @flow.node
    def count(broken: list[int]) -> int:
        return len(broken)

    run = flow.run_sync(settings={"numbers.n": 0})
    assert (run["broken"], run["count"]) == ([], 0)
    assert run.explain("broken") == "broken fired: first run (0 items)"


def test_an_item_whose_value_and_code_are_unchanged_is_not_computed_again(flow: fb.Flow) -> None:
    @flow.node
    def squares(numbers: fb.each[int], plus: int = 0) -> int:
        note("squares", numbers)
        return numbers * numbers + plus

    flow.run_sync()
    flow["numbers"].settings["n"] = 7
    run = flow.run_sync()
    assert run["squares"] == [0, 1, 4, 9, 16, 25, 36]
    assert sorted(CALLS["squares"]) == [0, 1, 2, 3, 4, 5, 6]
    assert run.explain("squares") == "squares fired: numbers changed (7 items: 5 unchanged)"
    flow["squares"].settings["plus"] = 1
    assert flow.run_sync()["squares"] == [1, 2, 5, 10, 17, 26, 37]
    assert len(CALLS["squares"]) == 14, "another setting: every item"
    flow["squares"].settings["plus"] = 0
    flow["numbers"].settings["n"] = 3
    assert flow.run_sync()["squares"] == [0, 1, 4]
    assert len(CALLS["squares"]) == 14
    flow.run_sync(only="squares", force=True)
    assert len(CALLS["squares"]) == 17


def test_tables_and_arrays_are_known_by_identity_and_changeable_values_are_computed_again(flow: fb.Flow) -> None:
    tables = [pl.DataFrame({"a": np.arange(200_000) + i}) for i in range(2)]
    boxes = [{"values": list(range(30_000))}]

    @flow.node
    def heights(tables: fb.each[pl.DataFrame]) -> int:
        note("heights", tables)
        return tables.height

    @flow.node
    def sizes(boxes: fb.each[dict[str, Any]]) -> int:
        note("sizes", 1)
        return sum(boxes["values"])

    flow.run_sync(inputs={"tables": tables, "boxes": boxes})
    boxes[0]["values"][0] = 1
    run = flow.run_sync(inputs={"tables": [*tables, tables[0].head(10)], "boxes": [*boxes]})
    assert run["heights"] == [200_000, 200_000, 10]
    assert len(CALLS["heights"]) == 3
    assert run["sizes"] == [sum(range(30_000)) + 1]


def test_a_file_that_changed_makes_its_item_alone_anew(tmp_path: Path) -> None:
    flow = fb.Flow("files")
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(name)

    @flow.node(kind="io")
    def paths(folder: Path = tmp_path) -> list[Path]:
        return sorted(folder.glob("*.txt"))

    @flow.node
    def text(paths: fb.each[Path]) -> str:
        return paths.read_text()

    assert flow.run_sync()["text"] == ["a", "b", "c"]
    (tmp_path / "b.txt").write_text("bb")
    run = flow.run_sync()
    assert run["text"] == ["a", "bb", "c"]
    assert run.explain("text") == "text fired: paths changed (3 items: 2 unchanged)"


@pytest.mark.parametrize("way", ["thread", "async"])
@pytest.mark.parametrize(("own", "flows"), [(3, None), (None, 2), (5, 2)])
def test_no_more_items_are_at_work_than_the_bounds_allow(
    flow: fb.Flow, way: str, own: int | None, flows: int | None
) -> None:
    bound = min(own or 9, flows or 9)
    flow = fb.Flow("bounded", policy=fb.FlowPolicy(max_concurrency=flows))
    flow.add(_numbers, "numbers", n=12)
    most, now, lock, full = [0], [0], threading.Lock(), threading.Event()

    def enter() -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            if now[0] == bound:
                full.set()

    if way == "thread":

        @flow.node(max_concurrency=own)
        def mapped(numbers: fb.each[int], ctx: fb.Context) -> int:
            enter()
            full.wait(20)
            ctx.wait(0.002)
            with lock:
                now[0] -= 1
            return numbers

    else:

        @flow.node(max_concurrency=own, name="mapped")
        async def mapped_async(numbers: fb.each[int]) -> int:
            enter()
            await asyncio.to_thread(full.wait, 20)
            await asyncio.sleep(0.002)
            with lock:
                now[0] -= 1
            return numbers

    assert flow.run_sync()["mapped"] == list(range(12))
    assert most[0] == bound


@fb.node
def _numbers(n: int = 5) -> list[int]:
    return list(range(n))


def test_the_first_item_that_fails_ends_the_node_and_what_was_done_is_kept(flow: fb.Flow) -> None:
    @flow.node(max_concurrency=1)
    def shares(numbers: fb.each[int]) -> float:
        note("shares", numbers)
        if numbers == 2 and len(noted("shares")) < 4:
            raise ValueError("two")
        return numbers / 2

    @flow.node
    def total(shares: list[float]) -> float:
        return sum(shares)

    run = flow.run_sync(raise_errors=False)
    assert CALLS["shares"] == [0, 1, 2]
    (packet,) = run.errors
    assert (packet.code, packet.message, packet.node_id) == ("FB402", "item 2: ValueError: two", "shares")
    assert 'on_item_error="skip"' in packet.hint
    assert isinstance(packet.cause, ValueError)
    assert run.explain("total") == "total was skipped: shares failed"
    assert [item.status for item in run.trace.spans[1].items] == ["ok", "ok", "failed", "skipped", "skipped"]
    with pytest.raises(fb.NodeFailedError, match="item 2: ValueError: two"):
        run["shares"]
    again = flow.run_sync()
    assert again["shares"] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert CALLS["shares"] == [0, 1, 2, 2, 3, 4], "what was done before the failure is not done again"


def test_what_an_item_returns_once_it_is_asked_to_end_is_not_taken_for_its_value(flow: fb.Flow) -> None:
    begun = threading.Event()

    @flow.node(max_concurrency=2)
    def counted(numbers: fb.each[int], ctx: fb.Context) -> str:
        if numbers == 0:
            begun.wait(20)
            raise ValueError("zero")
        is_first = not begun.is_set()
        begun.set()
        return "a part" if is_first and ctx.wait(20) else "whole"

    flow["numbers"].settings["n"] = 2
    run = flow.run_sync(raise_errors=False)
    assert run.errors[0].message == "item 0: ValueError: zero"
    assert [item.status for item in run.trace.spans[1].items] == ["failed", "skipped"]
    assert flow.run_sync(overrides={"numbers": [1]})["counted"] == ["whole"]


@pytest.mark.parametrize(
    ("policy", "given", "after"),
    [("skip", [0, 1, 3, 4], [0, 1, 3, 4]), ("keep", [0, 1, "two", 3, 4], [0, 1, "two", 3, 4])],
)
def test_failed_items_are_left_out_or_kept_as_packets_all_the_way_down(
    flow: fb.Flow, policy: Any, given: list[Any], after: list[Any]
) -> None:
    @flow.node(on_item_error=policy)
    def odd(numbers: fb.each[int]) -> int:
        if numbers == 2:
            raise ValueError("two")
        return numbers

    @flow.node(on_item_error=policy)
    def below(odd: fb.each[int]) -> int:
        note("below", odd)
        return odd

    @flow.node
    def messages(odd: fb.each[fb.ErrorPacket]) -> str:
        return type(odd).__name__

    run = flow.run_sync()
    shown = ["two" if isinstance(value, fb.ErrorPacket) else value for value in run["odd"]]
    assert shown == given
    assert ["two" if isinstance(value, fb.ErrorPacket) else value for value in run["below"]] == after
    assert sorted(CALLS["below"]) == [0, 1, 3, 4], "a packet is no item to compute with"
    fate = {"skip": "left out", "keep": "kept as errors"}[policy]
    assert run.explain("odd") == f"odd fired: first run (5 items: 1 failed and {fate})"
    assert run.trace.items("odd")["error"].to_list()[2] == "item 2: ValueError: two"
    if policy == "keep":
        assert run["messages"][2] == "ErrorPacket", "who asks for packets gets them"
        flow.set_policy("below", on_item_error="fail")
        failed = flow.run_sync(raise_errors=False).errors[0]
        assert failed.code == "FB430"
        assert "odd[2] is an error of 'odd': item 2: ValueError: two" in failed.message
        assert isinstance(failed.cause, fb.RunError)
        assert isinstance(failed.cause.__cause__, ValueError)


@pytest.mark.parametrize("policy", ["skip", "keep"])
def test_an_item_that_failed_is_computed_again_by_the_next_run_and_nothing_without_it_is_kept(
    flow: fb.Flow, policy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.engine, "disk", DiskCache(tmp_path, LastingCodecs()))

    def filled(name: str) -> fb.Flow:
        made = fb.Flow(name)
        made.add(_numbers, "numbers")

        @made.node(on_item_error=policy, cache="disk")
        def fetched(numbers: fb.each[int]) -> int:
            note("fetched", numbers)
            if numbers in noted("down"):
                raise ValueError("down")
            return numbers

        @made.node
        def good(fetched: list[Any]) -> list[int]:
            note("good", None)
            return [value for value in fetched if isinstance(value, int)]

        @made.node(on_item_error=policy)
        def below(fetched: fb.each[int]) -> int:
            return fetched

        return made

    CALLS["down"] = [1, 3]
    flow = filled("fetching")
    assert flow.run_sync()["good"] == [0, 2, 4]
    CALLS["fetched"].clear()
    run = flow.run_sync()
    assert sorted(CALLS["fetched"]) == [1, 3], "the good ones are there"
    fate = {"skip": "left out", "keep": "kept as errors"}[policy]
    told = f"fetched fired: items of it failed last time (5 items: 3 unchanged, 2 failed and {fate})"
    assert run.explain("fetched") == told
    assert run.recomputed == ["fetched"], "the same value as before: nothing below it has to fire"
    CALLS["down"] = [3]
    assert flow.run_sync()["good"] == [0, 1, 2, 4], "another one"
    CALLS["fetched"].clear()
    CALLS["down"] = []
    other = filled("fetching")
    assert other.run_sync()["good"] == [0, 1, 2, 3, 4], "a list without some items is not kept on disk"
    assert len(CALLS["fetched"]) == 5
    assert filled("fetching").run_sync().recomputed.count("fetched") == 0, "the whole one is"
    run = flow.run_sync()
    assert run["good"] == run["below"] == [0, 1, 2, 3, 4]
    assert flow.run_sync().recomputed == []


def test_items_of_a_forced_run_that_end_at_once_are_all_kept() -> None:
    flow = fb.Flow("forced")
    meeting = threading.Barrier(2)

    @flow.node(max_concurrency=2)
    def met(given: fb.each[int]) -> int:
        note("met", given)
        if "alone" not in noted("met"):
            meeting.wait(20)
        return given

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for low in range(0, 300, 2):
            CALLS["met"] = []
            flow.run_sync(inputs={"given": [low, low + 1]}, force=True)
            CALLS["met"] = ["alone"]
            assert flow.run_sync(inputs={"given": [low + 1, low]})["met"] == [low + 1, low]
            assert CALLS["met"] == ["alone"], "both were there"
    finally:
        sys.setswitchinterval(interval_s)


def test_a_map_is_not_over_before_its_items_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = fb.Flow("kept")
    runs, was_over = Queue[fb.Run](), Queue[bool]()
    meeting, is_keeping, keep = threading.Barrier(2), threading.Event(), ItemRun._keep

    def late(items: ItemRun, key: str, values: tuple[Any, ...], inner: tuple[Any, ...]) -> None:
        if values == (1,):
            is_keeping.set()  # from here on the other one can end
            was_over.put(runs.get(timeout=20).wait(0.5))
        keep(items, key, values, inner)

    def both_at_once(given: int) -> None:
        meeting.wait(20)
        assert given == 1 or is_keeping.wait(20)

    @flow.node(max_concurrency=2)
    def met(given: fb.each[int]) -> int:
        both_at_once(given)
        return given

    monkeypatch.setattr(ItemRun, "_keep", late)
    run = flow.start(inputs={"given": [1, 2]})
    runs.put(run)
    assert run.wait(20)
    assert not was_over.get(timeout=20)


def test_another_policy_about_failures_is_another_value(flow: fb.Flow) -> None:
    @flow.node(on_item_error="skip")
    def odd(numbers: fb.each[int]) -> int:
        if numbers % 2 == 0:
            raise ValueError(numbers)
        return numbers

    assert flow.run_sync()["odd"] == [1, 3]
    flow.set_policy("odd", on_item_error="keep")
    assert [isinstance(value, fb.ErrorPacket) for value in flow.run_sync()["odd"]] == [True, False, True, False, True]


def test_an_item_is_tried_again_by_itself_and_its_deadline_is_its_own(flow: fb.Flow) -> None:
    @flow.node(retry=fb.Retry(max_attempts=3, delay_s=0), timeout_s=0.05, on_item_error="keep")
    def flaky(numbers: fb.each[int], ctx: fb.Context) -> int:
        note("flaky", numbers)
        if numbers == 3 and ctx.attempt < 3:
            raise ValueError("again")
        if numbers == 4:
            ctx.wait(60)
        return numbers

    run = flow.run_sync()
    assert run["flaky"][:4] == [0, 1, 2, 3]
    late = run["flaky"][4]
    assert (late.code, late.attempt) == ("FB404", 3)
    assert [CALLS["flaky"].count(number) for number in range(5)] == [1, 1, 1, 3, 3]
    assert run.trace.items("flaky")["attempt"].to_list() == [1, 1, 1, 3, 3]


def test_an_item_that_never_answers_is_given_up_and_the_others_are_finished(flow: fb.Flow) -> None:
    gate = threading.Event()

    @flow.node(timeout_s=0.05, on_item_error="skip", max_concurrency=1, cache="off")
    def stuck(numbers: fb.each[int]) -> int:
        if numbers == 0:
            gate.wait(60)
        return numbers

    try:
        assert flow.run_sync()["stuck"] == [1, 2, 3, 4]
    finally:
        gate.set()
    until(lambda: not [name for name, runs in flow.results.unresponsive.items() if runs()])


def test_cancelling_begins_no_further_item(flow: fb.Flow) -> None:
    began = threading.Event()

    @flow.node(max_concurrency=2)
    def slow(numbers: fb.each[int], ctx: fb.Context) -> int:
        note("slow", numbers)
        began.set()
        ctx.wait(60)
        return numbers

    flow["numbers"].settings["n"] = 1_000
    run = flow.start()
    assert began.wait(20)
    run.cancel()
    assert run.wait(20)
    assert run.status == "cancelled"
    assert len(CALLS["slow"]) <= 2
    assert flow["slow"].status != "unresponsive"
    threads = {thread.name for thread in threading.enumerate()}
    assert not any("item" in name for name in threads)


def test_cancelling_ends_coroutines_of_items(flow: fb.Flow) -> None:
    began = threading.Event()

    @flow.node
    async def slow(numbers: fb.each[int]) -> int:
        note("slow", numbers)
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            note("ended", numbers)
        return numbers

    run = flow.start()
    assert began.wait(20)
    run.cancel()
    assert run.wait(20)
    assert run.status == "cancelled"
    until(lambda: sorted(CALLS.get("ended", [])) == sorted(CALLS["slow"]))


def test_an_item_that_fails_ends_the_coroutines_of_the_others(flow: fb.Flow) -> None:
    have_begun = asyncio.Event()

    @flow.node(max_concurrency=5)
    async def slow(numbers: fb.each[int]) -> int:
        if numbers == 4:
            await asyncio.wait_for(have_begun.wait(), 20)
            raise ValueError("four")
        note("began", numbers)
        if len(noted("began")) == 4:
            have_begun.set()
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            note("ended", numbers)
            raise
        return numbers

    run = flow.run_sync(raise_errors=False)
    assert run.errors[0].message == "item 4: ValueError: four"
    assert sorted(noted("ended")) == [0, 1, 2, 3]
    assert [item.status for item in run.trace.spans[1].items] == ["skipped"] * 4 + ["failed"]


@pytest.mark.parametrize("way", ["thread", "async", "process"])
def test_what_an_item_changes_of_the_inputs_that_all_share_no_other_item_sees(flow: fb.Flow, way: str) -> None:
    @flow.node
    def base() -> list[int]:
        return [7]

    @flow.node
    def array() -> np.ndarray:
        return np.zeros(1_000)

    if way == "async":

        @flow.node(mutable=("base", "array"), name="changed")
        async def changed_async(
            numbers: fb.each[int],
            base: list[int],
            array: np.ndarray,
            seen: list[int] = [],  # noqa: B006 -- this is what it is about
            fed: list[int] = [],  # noqa: B006
        ) -> list[list[int]]:
            for each in (base, seen, fed):
                each.append(numbers)
            array[0] += numbers
            return [base, seen, fed, [int(array[0])]]

    else:

        @flow.node(mutable=("base", "array"), isolation="process" if way == "process" else "none")
        def changed(
            numbers: fb.each[int],
            base: list[int],
            array: np.ndarray,
            seen: list[int] = [],  # noqa: B006 -- this is what it is about
            fed: list[int] = [],  # noqa: B006
        ) -> list[list[int]]:
            for each in (base, seen, fed):
                each.append(numbers)
            array[0] += numbers
            return [base, seen, fed, [int(array[0])]]

    flow.connect("base", "changed.fed")
    run = flow.run_sync()
    assert run["changed"] == [[[7, number], [number], [7, number], [number]] for number in range(5)]
    assert run["base"] == [7]
    assert run["array"][0] == 0
    if way != "process":  # there the way over is counted as well
        span = run.trace.spans[-1]
        assert (span.copies, span.copied_bytes // 8_000) == (2 * 5, 5), "one of each for each item"


def test_what_an_item_does_to_a_table_that_all_read_no_other_item_sees(flow: fb.Flow) -> None:
    @flow.node
    def table() -> pl.DataFrame:
        return pl.DataFrame({"x": [1, 2], "y": [3, 4]})

    @flow.node
    def tables() -> dict[str, pl.DataFrame]:
        return {"one": pl.DataFrame({"x": [1, 2]})}

    @flow.node
    def drops(numbers: fb.each[int], table: pl.DataFrame, tables: dict[str, pl.DataFrame]) -> list[int]:
        table.drop_in_place("x")
        table.insert_column(0, pl.Series("x", [numbers, 0]))
        tables["one"].drop_in_place("x")
        tables["two"] = table
        return [table["x"][0], table.width, len(tables)]

    @flow.node
    def changes(numbers: fb.each[int], array: np.ndarray) -> int:
        array[0] = numbers
        return numbers

    @flow.node
    def array() -> np.ndarray:
        return np.zeros(3)

    run = flow.run_sync(raise_errors=False)
    assert run["drops"] == [[number, 2, 2] for number in range(5)]
    assert (run["table"]["x"].to_list(), run["tables"]["one"].width) == ([1, 2], 1)
    (error,) = run.errors
    assert (error.node_id, "read-only" in error.message) == ("changes", True)
    assert "mutable=True" in error.hint


def test_items_go_to_the_loop_to_processes_and_to_the_main_thread(flow: fb.Flow) -> None:
    @flow.node
    async def looped(numbers: fb.each[int]) -> int:
        await asyncio.sleep(0)
        return numbers + 1

    @flow.node(isolation="process")
    def elsewhere(numbers: fb.each[int]) -> tuple[int, int]:
        return numbers, os.getpid()

    @flow.node(executor="main")
    def main(numbers: fb.each[int]) -> bool:
        return threading.current_thread() is threading.main_thread()

    run = flow.run_sync()
    assert run["looped"] == [1, 2, 3, 4, 5]
    assert [number for number, _ in run["elsewhere"]] == [0, 1, 2, 3, 4]
    assert os.getpid() not in {process for _, process in run["elsewhere"]}
    assert run["main"] == [True] * 5


def test_several_outputs_are_a_list_each(flow: fb.Flow) -> None:
    @flow.node(outputs=("half", "rest"))
    def halves(numbers: fb.each[int]) -> tuple[int, int]:
        return divmod(numbers, 2)

    run = flow.run_sync()
    assert run["halves.half"] == [0, 0, 1, 1, 2]
    assert run["halves.rest"] == [0, 1, 0, 1, 0]


def test_two_lists_go_together_item_by_item_and_must_be_as_long(flow: fb.Flow) -> None:
    @flow.node
    def pairs(numbers: fb.each[int], letters: fb.each[str]) -> str:
        return f"{numbers}{letters}"

    assert flow.run_sync(inputs={"letters": list("abcde")})["pairs"] == ["0a", "1b", "2c", "3d", "4e"]
    packet = flow.run_sync(inputs={"letters": ["a"]}, raise_errors=False).errors[0]
    assert packet.code == "FB631"
    assert "numbers has 5, letters has 1" in packet.message
    assert "itertools.product" in packet.hint


def test_items_may_be_lists_and_constants(flow: fb.Flow) -> None:
    @fb.node
    def lengths(rows: fb.each[list[int]]) -> int:
        return len(rows)

    flow.add(lengths, rows=[[1, 2], [], [3]])
    assert flow.check() == []
    assert flow.run_sync()["lengths"] == [2, 0, 1]


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({"a": 1}, "list(d.values())"),
        ("text", "a list"),
        ({1, 2}, "sorted"),
        (pl.Series([1]), "to_list()"),
        (3, "list"),
    ],
)
def test_what_is_no_list_is_refused_with_a_hint(flow: fb.Flow, value: Any, hint: str) -> None:
    @flow.node
    def each_one(things: fb.each[Any]) -> Any:
        return things

    packet = flow.run_sync(inputs={"things": value}, raise_errors=False).errors[0]
    assert packet.code == "FB630"
    assert hint in packet.hint


def test_edges_that_cannot_carry_a_list_are_found_before_a_run(flow: fb.Flow) -> None:
    @flow.node
    def table(numbers: list[int]) -> pl.DataFrame:
        return pl.DataFrame({"n": numbers})

    @flow.node
    def tables(numbers: fb.each[int]) -> pl.DataFrame:
        return pl.DataFrame({"n": [numbers]})

    @flow.node
    def fits(tables: fb.each[pl.LazyFrame]) -> int:
        return tables.collect().height

    @flow.node
    def by_row(table: fb.each[int]) -> int:
        return table

    @flow.node
    def by_number(tables: fb.each[int]) -> int:
        return tables

    @flow.node
    def whole(tables: pl.DataFrame) -> int:
        return tables.height

    found = {str(finding.node_id): finding for finding in flow.check()}
    assert sorted(found) == ["by_number", "by_row", "whole"]
    assert {finding.code for finding in found.values()} == {"FB207"}
    assert "a table is not a list" in found["by_row"].message
    assert "partition_by" in found["by_row"].hint
    assert "each a table, and not a scalar" in found["by_number"].message
    assert "it gives a list" in found["whole"].message
    assert "fb.each" in found["whole"].hint
    assert flow.run_sync(to="fits")["fits"] == [1] * 5


def test_declarations_that_make_no_sense_are_refused() -> None:
    def nested(rows: fb.each[fb.each[int]]) -> int:
        return rows

    def with_default(rows: fb.each[int] = 1) -> int:
        return rows

    for function in (nested, with_default):
        with pytest.raises(fb.DefinitionError) as caught:
            fb.node(function)
        assert caught.value.code == "FB114"
    with pytest.raises(fb.DefinitionError, match="number of items"):
        fb.node(max_concurrency=0)(_numbers)


def test_a_mapped_node_is_saved_and_opened(flow: fb.Flow, tmp_path: Path) -> None:
    @flow.node(on_item_error="skip", max_concurrency=2)
    def squares(numbers: fb.each[int]) -> int:
        if numbers == 1:
            raise ValueError
        return numbers * numbers

    path = flow.save(tmp_path / "a.flow.json")
    opened = fb.Flow.open(path)
    assert opened.run_sync()["squares"] == [0, 4, 9, 16]
    assert opened.plan.slots[1].policy.max_concurrency == 2
    assert opened.save(tmp_path / "b.flow.json").read_text() == path.read_text()


def test_what_items_print_and_copy_is_told_of_the_node_and_spans_of_many_are_summarised(flow: fb.Flow) -> None:
    @flow.node(on_item_error="skip")
    def loud(numbers: fb.each[int]) -> int:
        sys.stdout.write(f"item {numbers}\n")
        if numbers == 90:
            raise ValueError
        return numbers

    flow["numbers"].settings["n"] = 100
    run = flow.run_sync()
    texts = {text for _, text in run.trace.spans[1].effects.entries}
    assert texts == {f"item {number}\n" for number in range(100)}
    stored = run.trace.to_json()
    spans = [span for span in stored["spans"] if span["node"].startswith("loud[")]
    assert stored["summarised"]
    assert [span["node"] for span in spans] == [*(f"loud[{index}]" for index in range(19)), "loud[90]"]
    assert spans[-1]["error"]["message"] == "item 90: ValueError"
    assert {span["stamp"] for span in spans[:-1]} == {"recorded"}
    frame = run.trace.items("loud")
    assert frame.height == 100
    assert (frame["start_s"].drop_nulls() >= 0).all()
    assert len(run.trace.frame()) == 2


def test_items_share_the_state_of_their_run_and_what_their_node_holds(flow: fb.Flow) -> None:
    made: list[str] = []

    class Line:
        def __enter__(self) -> Line:
            made.append("opened")
            return self

        def __exit__(self, *_: object) -> None:
            made.append("closed")

    @flow.node(kind="stateful", on_item_error="skip")
    def counted(numbers: fb.each[int], ctx: fb.Context, line: Any) -> int:
        ctx.enter(line)
        ctx.state.setdefault("seen", []).append(numbers)
        return len(ctx.state["seen"])

    run = flow.run_sync(inputs={"line": Line})
    assert sorted(run["counted"]) == [1, 2, 3, 4, 5]
    assert made == ["opened"], "one for all items"


def test_a_mapped_node_that_failed_is_a_dead_letter_with_its_list(flow: fb.Flow) -> None:
    @flow.node(kind="io")
    def sent(numbers: fb.each[int], ok: bool = False) -> int:
        if numbers == 2 and not ok:
            raise ValueError(numbers)
        return numbers

    flow.run_sync(raise_errors=False)
    letter = flow.dead_letters[0]
    assert letter.error.message == "item 2: ValueError: 2"
    assert letter.input_names == ("numbers",)
    flow.set("sent", ok=True)
    (run,) = flow.dead_letters.replay(letter.letter_id)
    assert run.status == "ok"
    assert flow["sent"].value == [0, 1, 2, 3, 4]
    assert len(flow.dead_letters) == 0
