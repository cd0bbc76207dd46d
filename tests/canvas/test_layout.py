"""The layered layout: no overlap, left to right, the same whatever the order it is asked in."""

from __future__ import annotations

import itertools
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbook.canvas.layers.layering import components, layers_of, without_cycles
from flowbook.canvas.layers.ordering import Hints, columns_of, reduce_crossings
from flowbook.canvas.layout import COLUMN_GAP_PX, GRID_PX, Box, Position, layered_layout

Graph = tuple[list[Box], list[tuple[str, str]]]


@st.composite
def graphs(draw: st.DrawFn, *, acyclic: bool = False) -> Graph:
    """Up to 14 boxes of many sizes with any edges between them; acyclic ones lead from lower to higher numbers."""
    count = draw(st.integers(0, 14))
    sizes = st.tuples(st.integers(40, 260), st.integers(30, 300))
    boxes = [Box(f"n{number}", *draw(sizes), anchor=draw(st.sampled_from([0, 44]))) for number in range(count)]
    pairs = [(a, b) for a, b in itertools.product(range(count), repeat=2) if not acyclic or a < b]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=25)) if pairs else []
    return boxes, [(f"n{a}", f"n{b}") for a, b in chosen]


def overlapping(boxes: list[Box], positions: dict[str, Position], ignore: frozenset[str] = frozenset()) -> list[str]:
    def apart(one: Box, two: Box) -> bool:
        (x1, y1), (x2, y2) = positions[one.id], positions[two.id]
        beside = x1 + one.width <= x2 or x2 + two.width <= x1
        return beside or y1 + one.height <= y2 or y2 + two.height <= y1

    pairs = [pair for pair in itertools.combinations(boxes, 2) if not {pair[0].id, pair[1].id} <= ignore]
    return [f"{one.id} and {two.id}" for one, two in pairs if not apart(one, two)]


@given(graphs())
def test_every_card_is_placed_on_the_grid_and_no_two_overlap_even_with_cycles(graph: Graph) -> None:
    boxes, edges = graph
    positions = layered_layout(boxes, edges)
    assert positions.keys() == {box.id for box in boxes}
    assert all(x % GRID_PX == 0 and y % GRID_PX == 0 for x, y in positions.values())
    assert overlapping(boxes, positions) == []


@given(graphs(acyclic=True))
def test_every_edge_of_an_acyclic_flow_leads_from_left_to_right(graph: Graph) -> None:
    boxes, edges = graph
    positions, width = layered_layout(boxes, edges), {box.id: box.width for box in boxes}
    for source, target in edges:
        assert positions[source][0] + width[source] + COLUMN_GAP_PX <= positions[target][0]


@given(graphs(), st.randoms(use_true_random=False))
def test_the_answer_does_not_depend_on_the_order_of_boxes_and_edges(graph: Graph, chance: random.Random) -> None:
    boxes, edges = graph
    shuffled_boxes, shuffled_edges = boxes[:], edges[:]
    chance.shuffle(shuffled_boxes)
    chance.shuffle(shuffled_edges)
    assert layered_layout(shuffled_boxes, shuffled_edges) == layered_layout(boxes, edges)


@given(graphs(), st.data())
def test_fixed_cards_stay_and_all_others_keep_clear_of_them(graph: Graph, data: st.DataObject) -> None:
    boxes, edges = graph
    places = st.tuples(st.integers(-500, 1500), st.integers(-500, 1500))
    fixed = data.draw(st.dictionaries(st.sampled_from([box.id for box in boxes] or ["none"]), places))
    positions = layered_layout(boxes, edges, fixed)
    assert {node: positions[node] for node in fixed if node in positions} == {
        node: place for node, place in fixed.items() if node in positions
    }
    assert overlapping(boxes, positions, ignore=frozenset(fixed)) == []


def test_a_chain_is_a_straight_line_whatever_the_heights_of_its_cards() -> None:
    boxes = [Box(f"n{number}", 200, 60 + 37 * number, anchor=44) for number in range(6)]
    positions = layered_layout(boxes, [(f"n{number}", f"n{number + 1}") for number in range(5)])
    assert {y for _, y in positions.values()} == {0}


def test_room_is_kept_for_a_long_edge_so_that_it_need_not_run_through_a_card() -> None:
    """Of a → b → c and a → c, the edge a → c passes above or below b, not at its height."""
    edges = [("a", "b"), ("b", "c"), ("a", "c")]
    columns = columns_of(["a", "b", "c"], edges, layers_of(["a", "b", "c"], edges), Hints())
    assert [len(column) for column in columns.order] == [1, 2, 1]


def test_a_source_stands_beside_what_consumes_it_not_at_the_far_left() -> None:
    chain = [("a", "b"), ("b", "c"), ("c", "d")]
    positions = layered_layout([Box(node, 188, 80, 44) for node in "abcde"], [*chain, ("e", "d")])
    assert positions["e"][0] == positions["c"][0]


def test_crossings_that_need_not_be_are_taken_away() -> None:
    nodes = ["a1", "a2", "a3", "b1", "b2", "b3"]
    edges = [("a1", "b3"), ("a2", "b2"), ("a3", "b1")]
    columns = columns_of(nodes, edges, layers_of(nodes, edges), Hints())
    reduce_crossings(columns)
    assert columns.crossings() == 0


def test_a_cycle_is_drawn_with_one_edge_back() -> None:
    turned = without_cycles(["a", "b", "c"], [("a", "b"), ("b", "c"), ("c", "a")])
    assert sorted(turned) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_parts_that_are_not_connected_are_found_largest_first() -> None:
    assert components(list("abcde"), [("d", "e"), ("e", "b")]) == [["b", "d", "e"], ["a"], ["c"]]


@pytest.mark.parametrize("shape", ["near", "far", "comb"])
def test_a_thousand_nodes_are_placed_in_well_under_a_second(shape: str) -> None:
    """Usually 0.15 to 0.5 s; the bound leaves room for a busy machine."""
    chance = random.Random(7)  # noqa: S311 - the same graph every time, no secret
    ids = [f"n{number:04}" for number in range(1000)]
    edges = {
        "near": [(ids[max(0, n - 1 - chance.randrange(20))], ids[n]) for n in range(1, 1000) for _ in "xx"],
        "far": [(ids[chance.randrange(n)], ids[n]) for n in range(1, 1000) for _ in "xx"],
        "comb": [*itertools.pairwise(ids), *((node, ids[-1]) for node in ids[:-2])],
    }[shape]
    started = time.process_time()
    layered_layout([Box(node, 188, 85, 44) for node in ids], edges)
    assert time.process_time() - started < 3
