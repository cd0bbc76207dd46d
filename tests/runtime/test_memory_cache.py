"""Results are kept by key within a byte budget, given again without firing, and released with their nodes."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flowbook as fb
from flowbook.runtime.code_keys import CodeKey
from flowbook.runtime.results import KeyParts, MemoryCache, NodeResult
from tests.runtime.watching import Firings, until

if TYPE_CHECKING:
    from pathlib import Path

REUSED = "computed before with the same settings and inputs"


def result(digest: str, size_bytes: int) -> NodeResult:
    key = KeyParts(digest=digest, code=CodeKey("", {}), parts={}, shown={})
    return NodeResult(
        outputs=(digest,),
        made_key=key,
        made_effective=digest,
        run_id="0" * 32,
        at=0.0,
        took_s=0.0,
        size_bytes=size_bytes,
    )


def counted(**policy: Any) -> tuple[fb.Flow, Firings]:
    """A node whose value tells its setting and how often it has fired, and one that reads it."""
    flow, firings = fb.Flow("cached"), Firings()

    def source(n: int = 1) -> tuple[int, int]:
        return n, firings.fire(waits=False)

    @flow.node
    def below(source: tuple[int, int]) -> int:
        return source[0] * 10

    flow.node(**policy)(source)
    return flow, firings


# -- moving back


def test_moving_a_setting_back_reuses_without_firing() -> None:
    flow, firings = counted()
    flow.run_sync()
    flow.set("source", n=2)
    assert flow.run_sync()["source"] == (2, 2)
    flow.set("source", n=1)
    run = flow.run_sync()
    assert (run["source"], run["below"]) == ((1, 1), 10)
    assert run.recomputed == []
    assert firings.began == [1, 2]
    assert run.explain("source") == f"source was reused: {REUSED}"
    assert (flow["source"].value, flow["source"].stamp) == ((1, 1), "cached")
    assert [span.stamp for span in run.trace.spans] == ["cached", "cached"]
    assert flow.stale() == {}


def test_code_that_is_put_back_reuses_too() -> None:
    flow = fb.Flow("code")
    flow.node(name="one")(lambda: 1)
    flow.run_sync()
    flow.node(name="one")(lambda: 2)
    assert flow.run_sync().recomputed == ["one"]
    flow.node(name="one")(lambda: 1)
    run = flow.run_sync()
    assert (run.recomputed, run["one"]) == ([], 1)


def test_an_edge_that_is_put_back_reuses_too() -> None:
    flow = fb.Flow("edges")
    for name, value in {"a": 1, "b": 2}.items():
        flow.node(name=name)(_giving(value))

    @flow.node
    def reads(a: int) -> int:
        return a * 10

    flow.run_sync()
    flow.connect("b", "reads.a")
    assert flow.run_sync()["reads"] == 20
    flow.disconnect("b", "reads.a")
    flow.connect("a", "reads.a")
    run = flow.run_sync()
    assert (run.recomputed, run["reads"]) == ([], 10)


def _giving(value: int) -> Any:
    def function() -> int:
        return value

    return function


def test_a_file_that_changed_meanwhile_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("n\n1\n")
    flow = fb.Flow("file")

    @flow.node
    def rows(skip: int = 0) -> pl.LazyFrame:
        return pl.scan_csv(path, skip_rows_after_header=skip)

    flow.run_sync()
    flow.set("rows", skip=1)
    flow.run_sync()
    path.write_text("n\n10\n20\n")
    flow.set("rows", skip=0)
    run = flow.run_sync()
    assert run.recomputed == ["rows"]
    assert run["rows"].collect()["n"].to_list() == [10, 20]


def test_forcing_fires_whatever_is_cached() -> None:
    flow, firings = counted()
    flow.run_sync()
    run = flow.run_sync(force=True)
    assert run.recomputed == ["source", "below"]
    assert run.explain("source") == "source fired: forced"
    assert firings.began == [1, 2]


@pytest.mark.parametrize("kind", ["stateful", "io"])
def test_only_pure_nodes_are_cached(kind: str) -> None:
    flow, firings = counted(kind=kind)
    flow.run_sync()
    flow.set("source", n=2)
    flow.run_sync()
    flow.set("source", n=1)
    assert flow.run_sync()["source"] == (1, 3)
    assert flow.results.cache.get("source", flow.results.state("source").last_key.digest) is None  # type: ignore[union-attr]
    assert firings.began == [1, 2, 3]


def test_a_cache_that_is_off_keeps_the_present_value_alone() -> None:
    flow, firings = counted(cache="off")
    flow.run_sync()
    assert flow.run_sync().recomputed == [], "nothing changed: the present value is not a matter of the cache"
    flow.set("source", n=2)
    flow.run_sync()
    flow.set("source", n=1)
    run = flow.run_sync()
    assert run["source"] == (1, 3)
    assert run.explain("source") == "source fired: setting n 2 → 1"
    assert firings.began == [1, 2, 3]


def test_a_failed_node_is_never_cached() -> None:
    flow, firings = fb.Flow("fails"), Firings()
    path_is_there = threading.Event()

    @flow.node
    def source(n: int = 1) -> int:
        if firings.fire(waits=False) and not path_is_there.is_set():
            message = "not there"
            raise FileNotFoundError(message)
        return n

    assert flow.run_sync(raise_errors=False).status == "failed"
    again = flow.run_sync(raise_errors=False)
    assert again.recomputed == ["source"]
    assert again.explain("source") == "source failed: failed last time (FileNotFoundError: not there)"
    assert flow.results.cache.size_bytes == 0
    path_is_there.set()
    assert flow.run_sync()["source"] == 1
    assert firings.began == [1, 2, 3]


def test_a_failure_between_leaves_the_earlier_value_in_the_cache() -> None:
    flow = fb.Flow("between")

    @flow.node
    def source(n: int = 1) -> float:
        return 1 / n

    flow.run_sync()
    flow.set("source", n=0)
    assert flow.run_sync(raise_errors=False).status == "failed"
    assert flow["source"].status == "failed"
    flow.set("source", n=1)
    run = flow.run_sync()
    assert (run.recomputed, run["source"], flow["source"].status) == ([], 1.0, "ok")


def test_a_private_run_leaves_nothing_in_the_cache() -> None:
    flow, firings = counted()
    flow.run_sync()
    assert flow.run_sync(settings={"source.n": 5})["source"] == (5, 2)
    flow.set("source", n=5)
    assert flow.run_sync()["source"] == (5, 3)
    assert firings.began == [1, 2, 3]


def test_a_private_run_takes_from_the_cache() -> None:
    flow, firings = counted()
    flow.run_sync()
    flow.set("source", n=2)
    flow.run_sync()
    run = flow.run_sync(settings={"source.n": 1})
    assert (run["below"], run.recomputed) == (10, [])
    assert flow["below"].value == 20
    assert firings.began == [1, 2]


# -- the budget


def test_the_least_recently_used_goes_first() -> None:
    cache = MemoryCache(budget_bytes=100)
    for digest in "abc":
        cache.put("node", result(digest, 30))
    assert cache.get("node", "a") is not None, "now the most recent"
    cache.put("node", result("d", 30))
    assert [digest for digest in "abcd" if cache.get("node", digest)] == ["a", "c", "d"]
    assert cache.size_bytes == 90


def test_what_is_larger_than_the_budget_is_not_kept_and_drops_nothing() -> None:
    cache = MemoryCache(budget_bytes=100)
    cache.put("node", result("small", 60))
    cache.put("node", result("large", 101))
    assert cache.get("node", "small") is not None
    assert cache.get("node", "large") is None
    assert cache.size_bytes == 60


def test_putting_a_result_again_counts_it_once() -> None:
    cache = MemoryCache(budget_bytes=100)
    for _ in range(10):
        cache.put("node", result("a", 40))
    assert cache.size_bytes == 40


def test_a_result_that_grew_is_counted_as_it_is_when_it_is_put_again() -> None:
    """A lazy table takes more once it was collected."""
    cache = MemoryCache(budget_bytes=100)
    grows = result("a", 10)
    cache.put("node", grows)
    cache.put("node", result("b", 50))
    grows.size_bytes = 70
    assert cache.size_bytes == 60
    cache.put("node", grows)
    assert (cache.size_bytes, cache.get("node", "b")) == (70, None)
    cache.drop_node("node")
    assert cache.size_bytes == 0


def test_two_nodes_of_one_key_have_a_result_each() -> None:
    cache = MemoryCache(budget_bytes=100)
    one, two = result("a", 10), result("a", 10)
    cache.put("one", one)
    cache.put("two", two)
    assert (cache.get("one", "a"), cache.get("two", "a")) == (one, two)
    cache.drop_node("one")
    assert (cache.get("one", "a"), cache.get("two", "a"), cache.size_bytes) == (None, two, 10)


def test_a_cache_without_a_budget_keeps_nothing_of_a_size() -> None:
    cache = MemoryCache(budget_bytes=0)
    cache.put("node", result("a", 1))
    assert (cache.get("node", "a"), cache.size_bytes) == (None, 0)


def test_a_flow_keeps_as_many_arrays_as_its_budget_holds() -> None:
    flow = fb.Flow("arrays")
    flow.results.cache = MemoryCache(budget_bytes=3 * 8_000)

    @flow.node
    def values(n: int = 0) -> np.ndarray[Any, Any]:
        return np.full(1_000, n)

    for n in range(5):
        flow.set("values", n=n)
        flow.run_sync()
    assert flow.results.cache.size_bytes == 3 * 8_000
    fired = {}
    for n in (4, 3, 2, 1):  # the oldest last: what fires again drops what is older still
        flow.set("values", n=n)
        fired[n] = flow.run_sync().recomputed
    assert fired == {4: [], 3: [], 2: [], 1: ["values"]}


def test_what_was_collected_counts() -> None:
    flow = fb.Flow("lazy")

    @flow.node
    def table() -> pl.LazyFrame:
        return pl.LazyFrame({"x": range(1_000)}).select(pl.col("x").cast(pl.Int64).repeat_by(3)).explode("x")

    flow.run_sync()
    state = flow.results.state("table")
    assert state.result is not None
    assert state.result.size_bytes == flow.results.cache.size_bytes == 3_000 * 8


def test_what_a_reader_collected_of_a_lazy_table_counts() -> None:
    flow = fb.Flow("barrier")

    @flow.node
    def table() -> pl.LazyFrame:
        return pl.LazyFrame({"x": [1, 2, 3]}).select(pl.int_range(1_000).alias("x"))

    @flow.node
    def height(table: pl.DataFrame) -> int:
        return table.height

    flow.run_sync()
    state = flow.results.state("table")
    assert state.result is not None
    assert state.result.size_bytes >= 8_000


def test_every_output_counts() -> None:
    flow = fb.Flow("both")

    @flow.node(outputs=("lazy", "array"))
    def pair() -> tuple[pl.LazyFrame, np.ndarray[Any, Any]]:
        return pl.LazyFrame({"x": [1, 2]}), np.zeros(1_000)

    flow.run_sync()
    assert flow.results.cache.size_bytes == 16 + 8_000


# -- released


class Large:
    """A value that can be watched."""


def _large_flow() -> tuple[fb.Flow, weakref.ref[Large], weakref.ref[Large]]:
    flow = fb.Flow("released")

    def make(n: int = 1) -> Large:
        return Large()

    def other() -> int:
        return 1

    flow.node(make)
    flow.node(other)
    first = weakref.ref(flow.run_sync()["make"])
    flow.set("make", n=2)
    second = weakref.ref(flow.run_sync()["make"])
    flow.run_sync(to="other")  # a flow remembers its last run
    return flow, first, second


def _forgotten(*references: weakref.ref[Large]) -> bool:
    gc.collect()
    return not any(reference() is not None for reference in references)


def test_earlier_values_are_held_as_long_as_their_node_is_there() -> None:
    flow, first, second = _large_flow()
    assert not _forgotten(first)
    flow.remove("make")
    until(lambda: _forgotten(first, second), "the values to be released")
    assert flow.results.cache.size_bytes < 100


def test_a_renamed_node_keeps_its_present_value_alone() -> None:
    flow, first, second = _large_flow()
    flow.rename("make", "made")
    until(lambda: _forgotten(first), "the earlier value to be released")
    assert flow["made"].value is second()
    assert flow.run_sync()["made"] is second()


def test_a_document_without_the_node_releases_its_values() -> None:
    flow, first, second = _large_flow()
    flow.replace_document('{"flowbook": "1", "id": "released", "nodes": [{"id": "other", "typeId": "other"}]}')
    until(lambda: _forgotten(first, second), "the values to be released")


def test_a_node_made_anew_under_an_old_name_starts_with_nothing() -> None:
    flow, firings = counted()
    flow.run_sync()
    flow.remove("source")
    flow.remove("below")

    def source(n: int = 1) -> tuple[int, int]:
        return n, firings.fire(waits=False)

    flow.node(source)
    assert flow["source"].status == "idle"
    assert flow.run_sync()["source"] == (1, 2)


def test_evicted_values_are_released() -> None:
    flow = fb.Flow("evicted")
    flow.results.cache = MemoryCache(budget_bytes=0)

    def make(n: int = 1) -> Large:
        return Large()

    flow.node(make)
    first = weakref.ref(flow.run_sync()["make"])
    flow.set("make", n=2)
    flow.run_sync()
    until(lambda: _forgotten(first), "the value to be released")


def test_memory_that_several_results_share_is_counted_once() -> None:
    flow = fb.Flow("sharing")

    @flow.node
    def made() -> pl.DataFrame:
        return pl.DataFrame({"a": np.zeros(1_000_000), "b": np.ones(1_000_000)})

    @flow.node
    def wider(made: pl.DataFrame) -> pl.DataFrame:
        return made.with_columns(c=pl.col("a") + 1)

    @flow.node
    def column(wider: pl.DataFrame) -> np.ndarray[Any, Any]:
        return wider["c"].to_numpy()

    @flow.node(outputs=("all_of_it", "part"))
    def pair(column: np.ndarray[Any, Any]) -> tuple[Any, Any]:
        return column, column[10:]

    flow.run_sync()
    megabytes = flow.results.cache.size_bytes / 1e6
    assert 24 <= megabytes < 24.1, "three columns, however many nodes hold them"
    flow.remove("pair")
    flow.remove("column")
    assert 24 <= flow.results.cache.size_bytes / 1e6 < 24.1
    flow.remove("wider")
    assert 16 <= flow.results.cache.size_bytes / 1e6 < 16.1
    flow.remove("made")
    assert flow.results.cache.size_bytes == 0


def test_a_person_sees_what_the_cache_holds_and_sets_what_it_may() -> None:
    flow = fb.Flow("budget")

    @flow.node
    def array(number: int = 0) -> np.ndarray:
        return np.full(100_000, number)

    for number in range(5):
        flow.set("array", number=number)
        flow.run_sync()
    assert 5 * 800_000 <= flow.cache.size_bytes <= 5 * 801_000
    assert repr(flow.cache) == "<memory cache: 4.0 MB of 537 MB>"
    flow.cache.budget_bytes = 2_000_000
    assert flow.cache.size_bytes < 2_000_000
    fired = []
    for number in (4, 3, 2):
        flow.set("array", number=number)
        fired.append(flow.run_sync().recomputed)
    assert fired == [[], [], ["array"]]
    assert flow.last_run is not None
    assert flow.last_run.explain("array") == "array fired: setting number 3 → 2"
    with pytest.raises(fb.DefinitionError, match="budget_bytes=-1"):
        flow.cache.budget_bytes = -1


views = st.dictionaries(st.integers(1, 4), st.integers(1, 50), max_size=3)


@given(steps=st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 9), views, st.booleans()), max_size=30))
def test_memory_that_several_results_see_parts_of_counts_once(
    steps: list[tuple[str, int, dict[int, int], bool]],
) -> None:
    """A slice begins where its table does, and is shorter: whoever of the two comes and goes first."""
    cache = MemoryCache(budget_bytes=10_000)
    held: dict[str, tuple[int, dict[int, int]]] = {}
    for digest, own_bytes, seen, goes in steps:
        if goes:
            cache.drop_node(digest)
            held.pop(digest, None)
        else:
            made = result(digest, own_bytes + sum(seen.values()))
            made.buffers = seen
            cache.put(digest, made)
            held[digest] = own_bytes, seen
        least = sum(own for own, _ in held.values())
        for address in {address for _, seen in held.values() for address in seen}:
            least += max(seen.get(address, 0) for _, seen in held.values())
        assert cache.size_bytes >= least
    for digest in held:
        cache.drop_node(digest)
    assert cache.size_bytes == 0
