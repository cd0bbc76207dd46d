"""Text stays text in every drawing, whatever it holds."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbook.canvas.drawing import canvas_svg
from flowbook.canvas.pages import canvas_html, canvas_mermaid, canvas_text, card_html, trace_html, trace_svg, trace_text
from flowbook.canvas.pieces.markup import Markup, element, one_line, plain
from flowbook.canvas.placement import placed
from tests.canvas import samples
from tests.strategies import examples

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style></svg></table><iframe src=//evil>",
    "]]><!-- --><![CDATA[",
    "&lt;b&gt; &amp; &#60;",
    "javascript:alert(1)",
    "\x00\x01\x08\x1b[31m\x7f\x9f\ufffe\uffff\ud800",
    "\u202egnp.exe\u2066\u200f",
    "$x$ \\(y\\) `z` {{7*7}}",
    "漢字 🙂 e\u0301",
]
KEPT_AS_IT_IS = {"kind", "mime", "data", "control", "stream"}


def poisoned(value: Any, poison: str, key: str = "") -> Any:
    """Put a text before every text in a bundle; the same text stays the same, so edges still find their nodes."""
    if isinstance(value, str):
        return value if key in KEPT_AS_IT_IS else poison + value
    if isinstance(value, list):
        return [poisoned(item, poison, key) for item in value]
    if isinstance(value, dict):
        return {name: poisoned(item, poison, name) for name, item in value.items()}
    return value


class Collected(HTMLParser):
    """Collects tags, attributes and text of HTML."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(attrs)
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag, "tags close in the order they opened"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    def handle_comment(self, data: str) -> None:
        pytest.fail(f"a comment: {data}")


SVG_TAGS = {"svg", "title", "desc", "style", "g", "rect", "circle", "path", "text", "tspan", "image"}
HTML_TAGS = SVG_TAGS | {
    "div", "span", "b", "p", "table", "tbody", "tr", "th", "td", "details", "summary", "pre", "img",
}  # fmt: skip
ATTRIBUTES = {
    "xmlns", "class", "width", "height", "viewbox", "role", "font-family", "font-size", "font-weight", "text-anchor",
    "transform", "x", "y", "rx", "cx", "cy", "r", "d", "fill", "stroke", "stroke-width", "stroke-dasharray",
    "stroke-linecap", "stroke-linejoin", "opacity", "href", "preserveaspectratio", "style", "colspan", "src", "alt",
    "aria-hidden",
}  # fmt: skip
SAFE_STYLE = re.compile(r"[a-z-]+:[\w.%#]+(;[a-z-]+:[\w.%#]+)*")


def check_html(markup: str) -> Collected:
    found = Collected(markup)
    assert found.tags <= HTML_TAGS
    assert not found.open
    for name, value in found.attributes:
        assert name.lower() in ATTRIBUTES, name
        if name in {"href", "src"}:
            assert (value or "").startswith("data:image/png;base64,")
        if name == "style":
            assert SAFE_STYLE.fullmatch(value or "")
        if name == "class":
            assert re.fullmatch(r"[\w -]+", value or "")
    outwards = re.findall(r"url\(|@import|https?:[^\"]*", markup)
    assert set(outwards) <= {"http://www.w3.org/2000/svg"}, "a name space is no request"
    return found


def check_svg(markup: str) -> None:
    for node in ET.fromstring(markup).iter():  # noqa: S314 - our own drawing is what is tested
        assert node.tag.removeprefix("{http://www.w3.org/2000/svg}") in SVG_TAGS
        assert {name.lower() for name in node.attrib} <= ATTRIBUTES


def all_html(poison: str) -> list[str]:
    flights, gallery = (placed(poisoned(flow, poison)) for flow in (samples.flights(), samples.gallery()))
    cards = [card_html(card) for card in (*flights["nodes"], *gallery["nodes"])]
    return [canvas_html(flights), canvas_html(gallery), trace_html(poisoned(samples.trace(), poison)), *cards]


@pytest.mark.parametrize("poison", HOSTILE)
def test_no_text_from_data_becomes_a_tag_or_an_attribute_in_html(poison: str) -> None:
    for markup in all_html(poison):
        found = check_html(markup)
        words = " ".join(" ".join(found.text).split())
        assert one_line(poison)[:6] in words  # narrow places are cut with an ellipsis, but it is text


@pytest.mark.parametrize("poison", HOSTILE)
def test_every_drawing_is_well_formed_xml_whatever_the_text(poison: str) -> None:
    check_svg(canvas_svg(placed(poisoned(samples.flights(), poison))))
    check_svg(canvas_svg(placed(poisoned(samples.gallery(), poison))))
    check_svg(trace_svg(poisoned(samples.trace(), poison)))


@given(st.text(st.characters(), max_size=12))
@examples(15, soak=1000)
def test_any_text_at_all_leaves_html_and_svg_sound(poison: str) -> None:
    snapshot, run = placed(poisoned(samples.gallery(), poison)), poisoned(samples.trace(), poison)
    check_svg(canvas_svg(snapshot))
    check_svg(trace_svg(run))
    check_html(canvas_html(snapshot))
    check_html(trace_html(run))


@pytest.mark.parametrize("poison", HOSTILE)
def test_plain_text_has_no_control_characters_and_can_be_written_as_utf8(poison: str) -> None:
    snapshot, run = placed(poisoned(samples.flights(), poison)), poisoned(samples.trace(), poison)
    for text in (canvas_text(snapshot), trace_text(run), canvas_mermaid(snapshot)):
        text.encode("utf-8")
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


def test_mermaid_labels_hold_no_sign_that_mermaid_or_html_would_read() -> None:
    poison = '"]; click n0 call alert() <script> & end %% {{'
    written = canvas_mermaid(placed(poisoned(samples.flights(), poison)))
    inside = "".join(re.findall(r'"([^"]*)"', written)).replace("<br/>", "")
    assert not set(inside) & set('"<>&[]{}|%`')
    assert written.count('"') % 2 == 0


def test_an_element_escapes_what_is_not_markup() -> None:
    assert element("b", {"title": '"<'}, "<i>", Markup("<i/>")) == '<b title="&quot;&lt;">&lt;i&gt;<i/></b>'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b\ud800", "a\ufffdb\ufffd"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("abc\u202edef", "abc\ufffddef"),
        ("tab\tstays", "tab\tstays"),
    ],
)
def test_plain_text_loses_what_xml_forbids_and_what_reorders(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_picture_that_is_no_picture_is_not_embedded() -> None:
    card = next(card for card in samples.gallery()["nodes"] if card["id"] == "drawn")
    for mime, data in (("image/svg+xml", "PHN2Zz4="), ("text/html", "PGI+"), ("image/png", '"><script>')):
        preview = {"kind": "picture", "mime": mime, "data": data, "width": 10, "height": 10}
        markup = card_html({**card, "preview": preview})  # type: ignore[typeddict-item]
        assert "<img" not in markup
        assert "script" not in markup
