"""Card geometry: what has to be shown has its room, and edges meet the ports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbook.canvas.cards import (
    ANCHOR_PX,
    COMPACT_PX,
    MAX_WIDTH_PX,
    MIN_WIDTH_PX,
    bars_beside,
    card_plan,
    card_size,
    picture_size,
    port_place,
    table_columns,
)
from flowbook.canvas.pieces.lettering import fit_text, text_width, wrap_text
from tests.canvas import samples

if TYPE_CHECKING:
    from flowbook.canvas.protocol import ArrayPreview, Card, PicturePreview, TablePreview

CARDS = {card["id"]: card for flow in (samples.flights(), samples.gallery()) for card in flow["nodes"]}


@pytest.mark.parametrize("name", sorted(CARDS))
def test_a_cards_parts_follow_one_another_within_its_size(name: str) -> None:
    card = CARDS[name]
    width, height = card_size(card)
    assert MIN_WIDTH_PX <= width <= MAX_WIDTH_PX
    plan = card_plan(card)
    assert (plan.width, plan.height) == (width, height)
    top = 33
    for part in plan.parts:
        assert part.top == top
        top += part.height
    assert top <= height


@pytest.mark.parametrize("name", sorted(CARDS))
def test_every_port_lies_on_the_cards_edge(name: str) -> None:
    card = CARDS[name]
    plan = card_plan(card)
    for is_input, ports in ((True, card["inputs"]), (False, card["outputs"])):
        for row, port in enumerate(ports):
            x, y = port_place(card, port["name"], is_input=is_input)
            assert x == card["x"] + (0 if is_input else plan.width)
            assert y == card["y"] + ANCHOR_PX + 22 * row < card["y"] + plan.height


def test_a_setting_fed_by_an_edge_is_met_at_its_row_and_an_unknown_port_at_the_first() -> None:
    card = CARDS["given"]
    assert port_place(card, "n", is_input=True)[1] > port_place(card, "is_ok", is_input=True)[1]
    assert port_place(card, "gone", is_input=True) == port_place(card, "is_ok", is_input=True)


def test_a_card_without_room_for_its_parts_is_compact() -> None:
    low: Card = {**CARDS["controls"], "h": COMPACT_PX}
    plan = card_plan(low)
    assert plan.is_compact
    assert plan.height == COMPACT_PX
    assert port_place(low, "train", is_input=False)[1] == low["y"] + COMPACT_PX // 2


def test_never_more_than_four_settings_are_open() -> None:
    settings = [samples.setting(f"s{number}", "number", 1, 1) for number in range(9)]
    sizes = [card_size(samples.card("a", settings=settings[:count]))[1] for count in (4, 5, 9)]
    assert sizes[0] < sizes[1] == sizes[2]


@pytest.mark.parametrize(("size", "drawn"), [((96, 60), (96, 60)), ((960, 600), (164, 102)), ((10, 4000), (1, 132))])
def test_a_picture_shrinks_into_the_card_and_is_never_enlarged(size: tuple[int, int], drawn: tuple[int, int]) -> None:
    preview: PicturePreview = {"kind": "picture", "mime": "image/png", "data": "", "width": size[0], "height": size[1]}
    assert picture_size(preview, 188) == drawn


@pytest.mark.parametrize(
    ("size", "width", "drawn"),
    [
        ((128, 80), 188, (28, 28)),
        ((64, 64), 228, (60, 28)),
        ((129, 80), 188, (0, 0)),
        ((64, 27), 228, (0, 0)),
    ],
)
def test_a_histogram_stands_beside_a_picture_where_there_is_room_for_one(
    size: tuple[int, int], width: int, drawn: tuple[int, int]
) -> None:
    image: PicturePreview = {"kind": "picture", "mime": "image/png", "data": "", "width": size[0], "height": size[1]}
    array: ArrayPreview = {
        "kind": "array", "dtype": "f8", "shape": [3], "min": 0, "max": 1, "spark": [], "histogram": [1, 2],
        "image": image,
    }  # fmt: skip
    assert bars_beside(array, width) == drawn
    assert bars_beside({**array, "histogram": []}, width) == (0, 0)


def test_a_table_shows_the_columns_that_fit_and_at_least_one() -> None:
    columns: list[dict[str, str]] = [{"name": f"a_rather_long_name_{number}", "type": "String"} for number in range(8)]
    preview: TablePreview = {"kind": "table", "columns": columns, "rows": [["x"] * 8], "height": 1, "width": 8}  # type: ignore[typeddict-item]
    chosen = table_columns(preview, 188)
    assert 1 <= len(chosen) < 8
    assert sum(width for _, width in chosen) == pytest.approx(164)


@given(st.text(max_size=60), st.integers(0, 200), st.booleans())
def test_fitted_text_is_never_wider_than_its_room(text: str, room: int, mono: bool) -> None:
    assert text_width(fit_text(text, room, mono=mono), mono=mono) <= room


@given(st.text(max_size=200), st.integers(40, 200), st.integers(1, 4))
def test_wrapped_text_keeps_to_its_lines_and_loses_nothing_but_its_end(text: str, room: int, max_lines: int) -> None:
    lines = wrap_text(text, room, max_lines=max_lines)
    assert len(lines) <= max_lines
    assert all(text_width(line) <= room for line in lines)
    kept = "".join(lines).removesuffix("…").replace(" ", "")
    assert "".join(text.split()).startswith("".join(kept.split()))
