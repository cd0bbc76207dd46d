"""The drawing of a flow: complete, readable in both themes, the same every time."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations

import pytest

from flowbook.canvas.cards import MIN_WIDTH_PX
from flowbook.canvas.drawing import canvas_svg
from flowbook.canvas.pieces.looks import INKS, Sheet, icon, main_look, pills, stamp_look, status_look
from flowbook.canvas.pieces.routes import Rect, Router
from flowbook.canvas.pieces.svg_edges import card_rect
from flowbook.canvas.placement import placed
from tests.canvas import samples

SVG = "{http://www.w3.org/2000/svg}"
STATUSES = ["idle", "queued", "running", "ok", "failed", "skipped", "muted", "unresponsive", "waiting"]
STAMPS = ["cached", "stale", "recorded", "replayed", "from notebook"]


def texts(svg: str) -> list[str]:
    root = ET.fromstring(svg)  # noqa: S314 - our own drawing
    return ["".join(node.itertext()) for node in root.iter(f"{SVG}text")]


def luminance(colour: str) -> float:
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    light, dark = sorted((luminance(one), luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    "ink", ["ink", "soft", "muted", "ok", "running", "cached", "stale", "failed", "idle", "queued", "replayed"]
)
def test_words_have_a_contrast_of_at_least_four_and_a_half_on_every_ground(ink: str, theme: int) -> None:
    grounds = ["ground", "card", "group-wash", *([f"{ink}-wash"] if f"{ink}-wash" in INKS else [])]
    for ground in grounds:
        assert contrast(INKS[ink][theme], INKS[ground][theme]) >= 4.5, ground


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ink", ["table", "series", "array", "picture", "scalar", "text", "callable", "any"])
def test_handles_and_edges_have_a_contrast_of_at_least_three(ink: str, theme: int) -> None:
    assert min(contrast(INKS[ink][theme], INKS[ground][theme]) for ground in ("ground", "card")) >= 3


def test_every_status_and_stamp_has_a_word_and_no_two_look_the_same() -> None:
    looks = [status_look(status) for status in STATUSES] + [look for stamp in STAMPS if (look := stamp_look(stamp))]
    assert all(look.word and look.sign for look in looks)
    for one, two in combinations(looks, 2):
        assert (one.icon, one.word) != (two.icon, two.word)
    for look in looks:
        assert icon(look.icon, look.ink, Sheet("fb-x")).startswith("<")


@pytest.mark.parametrize("status", STATUSES)
def test_a_state_is_told_in_words_on_the_card(status: str) -> None:
    card = samples.card("node", status=status, stamp=None, reason="")
    assert status in texts(canvas_svg(samples.canvas([card], [])))


def test_a_stale_or_cached_value_gives_the_card_its_look_unless_something_is_wrong() -> None:
    assert main_look(samples.card("a", stamp="stale")).word == "stale"
    assert main_look(samples.card("a", status="failed", stamp="stale")).word == "failed"
    assert [pill.word for pill in pills(samples.card("a", status="failed", stamp="stale"))] == ["failed", "stale"]


def test_the_flights_flow_shows_names_shapes_settings_previews_and_the_run() -> None:
    shown = texts(canvas_svg(samples.flights()))
    for words in ("late_flights", "336,776 × 19", "min_minutes", "30", "31 ms", "setting 15 → 30", "11,204", "gust",
                  "fused · 2 nodes", "337k × 19", "1 failed", "line 4"):  # fmt: skip
        assert any(words in text for text in shown), words


def test_a_drawing_says_what_it_is_to_those_who_do_not_see_it() -> None:
    root = ET.fromstring(canvas_svg(samples.flights()))  # noqa: S314 - our own drawing
    assert root.get("role") == "img"
    assert (root.findtext(f"{SVG}title") or "").startswith("Flow flights: 9 nodes · run 9f3a")
    assert "correlate failed" in (root.findtext(f"{SVG}desc") or "")


def test_one_drawing_is_light_and_dark_and_light_without_its_style_sheet() -> None:
    svg = canvas_svg(samples.flights())
    assert svg.count("@media (prefers-color-scheme:dark)") == 1
    assert "--jp-" not in svg
    bare = re.sub(r"<style>.*?</style>", "", svg, flags=re.DOTALL)
    for node in ET.fromstring(bare).iter():  # noqa: S314 - our own drawing
        if "class" in node.attrib and node.tag != f"{SVG}svg":
            assert node.get("fill") or node.get("stroke"), "paint stands in attributes, too"


def test_drawings_on_one_page_do_not_paint_each_other() -> None:
    one, two = canvas_svg(samples.flights()), canvas_svg(samples.gallery())
    classes = [set(re.findall(r"fb-[0-9a-f]{6}", svg)) for svg in (one, two)]
    assert [len(found) for found in classes] == [1, 1]
    assert not classes[0] & classes[1]
    assert ' id="' not in one + two


def test_nothing_is_used_that_viewers_strip_or_that_leads_out() -> None:
    svg = canvas_svg(samples.gallery())
    for banned in ("<use", "<filter", "<pattern", "<clipPath", "<foreignObject", "url(", "<script", "<a "):
        assert banned not in svg


def test_the_same_snapshot_gives_the_same_bytes() -> None:
    assert canvas_svg(samples.gallery()) == canvas_svg(samples.gallery())


def test_an_unconnected_port_is_a_ring_and_a_connected_one_a_disc() -> None:
    def handles(reads: str) -> list[str | None]:
        svg = canvas_svg(samples.canvas([samples.card("node", reads=reads, gives="")], []))
        return [node.get("fill") for node in ET.fromstring(svg).iter(f"{SVG}circle")]  # noqa: S314 - our own drawing

    assert handles("port") == [INKS["table"].light]
    assert handles("port-") == [INKS["card"].light]


def test_a_port_that_an_edge_is_drawn_to_is_a_disc_whatever_its_card_says() -> None:
    nodes = [samples.card("a", gives="result-"), samples.card("b", reads="a-", gives="")]
    svg = canvas_svg(samples.canvas(nodes, [samples.edge("a.result > b.a")]))
    fills = [node.get("fill") for node in ET.fromstring(svg).iter(f"{SVG}circle")]  # noqa: S314 - our own drawing
    assert fills == [INKS["table"].light] * 2


def test_an_edge_is_dashed_while_it_has_carried_nothing() -> None:
    nodes = [samples.card("a"), samples.card("b", reads="a")]
    paths = [canvas_svg(samples.canvas(nodes, [samples.edge("a.result > b.a", carried=carried)])) for carried in (0, 1)]
    assert [path.count('stroke-dasharray="5 4"') for path in paths] == [1, 0]


def test_an_empty_flow_says_what_to_do() -> None:
    assert any("Run a %%node cell" in text for text in texts(canvas_svg(samples.canvas([], []))))


@pytest.mark.parametrize("seed", range(6))
def test_no_edge_of_a_placed_flow_runs_through_a_card(seed: int) -> None:
    flow = samples.random_flow(24, seed)
    cards = {card["id"]: card for card in flow["nodes"]}
    rects = {node: card_rect(card) for node, card in cards.items()}
    router = Router(list(rects.values()))
    for edge in flow["edges"]:
        source, target = rects[edge["source"]], rects[edge["target"]]
        route = router.route((source.right, source.top + 44), (target.left, target.top + 44))
        for node, rect in rects.items():
            if node not in {edge["source"], edge["target"]}:
                inner = Rect(rect.left + 1, rect.top + 1, rect.right - 1, rect.bottom - 1)
                assert not any(inner.holds(point) for point in route.samples()), (edge["source"], edge["target"], node)


def test_an_edge_back_loops_below_the_cards() -> None:
    nodes = [samples.card("a", reads="b"), samples.card("b", reads="a")]
    flow = samples.canvas(nodes, [samples.edge("a.result > b.a"), samples.edge("b.result > a.b")])
    first, second = (card_rect(card) for card in flow["nodes"])
    route = Router([first, second]).route((second.right, 44), (first.left, 44))
    assert route.back
    assert route.points[1][1] > max(first.bottom, second.bottom)


def test_positions_from_the_document_are_kept_and_the_layout_hash_tells_when_a_card_moved() -> None:
    flow = samples.flights()
    moved = placed(flow, {"carriers": (0, 500)})
    assert next((card["x"], card["y"]) for card in moved["nodes"] if card["id"] == "carriers") == (0, 500)
    assert placed(flow)["layoutHash"] == flow["layoutHash"]
    assert re.fullmatch("[0-9a-f]{12}", moved["layoutHash"])
    assert moved["layoutHash"] != flow["layoutHash"]


def test_a_drawing_of_a_thousand_nodes_stays_small_enough_to_keep() -> None:
    assert len(canvas_svg(samples.random_flow(1000))) < 600_000


def test_figures_that_are_none_and_parts_of_a_document_that_are_missing_do_not_spoil_a_drawing() -> None:
    """A snapshot may come from a file that somebody wrote by hand."""
    nan, inf = float("nan"), float("inf")
    spark = {"kind": "array", "dtype": "f8", "shape": [3], "min": nan, "max": inf, "spark": [nan, 2.0, -inf]}
    slider = samples.setting("s", "slider", nan, inf, min=0, max=10)
    nodes = [samples.card("a", tookS=nan, preview=spark, settings=[slider]), samples.card("b", tookS=inf)]
    svg = canvas_svg(samples.canvas(nodes, [], groups=[{}, {"nodes": ["b", "gone"]}], notes=[{}]))
    drawn = [node.attrib for node in ET.fromstring(svg).iter()]  # noqa: S314 - our own drawing
    assert not any(word in value for attributes in drawn for value in attributes.values() for word in ("nan", "inf"))


@pytest.mark.parametrize("image", [None, {"mime": "image/png", "data": "AAAA", "width": 64, "height": 64}])
def test_an_array_has_a_histogram_whose_bars_stand_inside_its_card(image: dict[str, object] | None) -> None:
    preview = {"kind": "array", "dtype": "f8", "shape": [9], "min": 0, "max": 1, "spark": [0, 1]}
    picture = {"image": {"kind": "picture", **image}} if image else {}
    flow = samples.canvas([samples.card("a", preview={**preview, "histogram": [1, 0, 4], **picture})], [])
    [bars] = [path for path in ET.fromstring(canvas_svg(flow)).iter(f"{SVG}path") if path.get("opacity")]  # noqa: S314
    drawn = [tuple(map(float, bar)) for bar in re.findall(r"M([\d.]+) ([\d.]+)V([\d.]+)", bars.attrib["d"])]
    assert len(drawn) == 2, "what is not there has no bar"
    (_, foot, low), (right, _, high) = drawn
    assert (foot - high) == pytest.approx(4 * (foot - low), abs=0.2)
    assert right + float(bars.attrib["stroke-width"]) / 2 <= MIN_WIDTH_PX - 12


def test_a_lazy_table_that_nobody_collected_shows_the_types_of_its_columns() -> None:
    columns = [{"name": "dest", "type": "String"}, {"name": "delay", "type": "Float64"}]
    preview = {"kind": "table", "columns": columns, "rows": [], "height": None, "width": 2}
    shown = texts(canvas_svg(samples.canvas([samples.card("a", preview=preview)], [])))
    assert {"dest", "String", "delay", "Float64"} <= set(shown)
