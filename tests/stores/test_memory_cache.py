"""A cache within a byte budget forgets what was not used for longest."""

from __future__ import annotations

from flowbook.stores.memory_cache import MemoryCache


def test_the_least_recently_used_goes_first_and_is_named() -> None:
    dropped: list[str] = []
    cache = MemoryCache[str, str](100, lambda key, _: dropped.append(key))
    for key in "abc":
        assert cache.put(key, key.upper(), 30)
    assert cache.get("a") == "A"
    assert cache.put("d", "D", 30)
    assert dropped == ["b"]
    assert (cache.get("b"), cache.get("a"), len(cache), cache.size_bytes) == (None, "A", 3, 90)


def test_what_alone_is_over_the_budget_is_not_kept_and_drops_nothing_else() -> None:
    cache = MemoryCache[str, str](100)
    cache.put("a", "A", 60)
    assert not cache.put("b", "B", 101)
    assert (cache.get("a"), cache.get("b"), cache.size_bytes) == ("A", None, 60)


def test_a_value_put_again_counts_once() -> None:
    cache = MemoryCache[str, str](100)
    cache.put("a", "A", 60)
    cache.put("a", "AA", 80)
    assert (cache.get("a"), cache.size_bytes) == ("AA", 80)
    assert not cache.put("a", "AAA", 200)
    assert (cache.get("a"), cache.size_bytes) == (None, 0)


def test_a_smaller_budget_holds_at_once_and_meant_keys_can_be_dropped() -> None:
    cache = MemoryCache[tuple[str, int], int](100)
    for number in range(10):
        cache.put(("even" if number % 2 == 0 else "odd", number), number, 10)
    cache.budget_bytes = 60
    assert (len(cache), cache.size_bytes, cache.budget_bytes) == (6, 60, 60)
    assert cache.drop(lambda key: key[0] == "odd") == 3
    assert cache.size_bytes == 30
