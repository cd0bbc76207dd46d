"""Figures in words, flows and runs as plain text, and HTML where nothing but words is left."""

from __future__ import annotations

import re

import pytest

from flowbook.canvas.pages import canvas_html, canvas_mermaid, canvas_text, card_html, card_text, trace_html, trace_text
from flowbook.canvas.pieces.wording import byte_count, copies_made, duration, setting_value, short_shape, shown_value
from tests.canvas import samples


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, ""), (0.0, "0.0 ms"), (0.0004, "0.4 ms"), (0.0312, "31 ms"), (0.9996, "1.0 s"), (2.44, "2.4 s"),
     (24.3, "24 s"), (59.6, "1 min"), (192, "3 min 12 s")],
)  # fmt: skip
def test_durations_are_short_and_have_their_unit(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (4_200_000, "4.2 MB"), (512e9, "512 GB")]
)
def test_byte_counts_are_short_and_have_their_unit(size: int, words: str) -> None:
    assert byte_count(int(size)) == words


@pytest.mark.parametrize(
    ("shape", "short"),
    [("336,776 × 19", "337k × 19"), ("2,115 × 15", "2,115 × 15"), ("1,234,567 × 2", "1.2M × 2"), ("? × 19", "? × 19")],
)
def test_shapes_are_shortened_where_there_is_little_room(shape: str, short: str) -> None:
    assert short_shape(shape) == short


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "none"), (True, "on"), (False, "off"), (0.1 + 0.2, "0.3"), (15, "15"), ("a  b", "a b"), ("", '""'),
     (["a", 1], '["a", 1]')],
)  # fmt: skip
def test_values_are_shown_as_a_person_writes_them(value: object, shown: str) -> None:
    assert shown_value(value) == shown


def test_a_setting_tells_its_default_where_it_differs() -> None:
    assert setting_value(samples.setting("m", "slider", 60, 15, unit="min")) == "60 min (default 15)"
    assert setting_value(samples.setting("m", "slider", 15, 15)) == "15"


def test_copies_are_told_only_when_there_are_some() -> None:
    assert [copies_made(0, 0), copies_made(1, 0), copies_made(2, 81_000)] == ["", "1 copy", "2 copies · 81.0 kB"]


def test_a_flow_as_text_is_one_aligned_line_per_node() -> None:
    lines = canvas_text(samples.flights()).split("\n")
    assert lines[0] == "flights · 9 nodes · run 9f3a · failed · 4.1 s · 6 ran, 3 cached, 1 skipped, 1 failed, 0 copies"
    assert len(lines) == 10
    assert "✓  late_flights  recorded  128,432 × 19   31 ms  setting 15 → 30" in "\n".join(lines)
    assert next(line for line in lines if "with_weather  " in line).endswith("← late_flights, weather")


def test_a_run_as_text_tells_every_span_and_what_failed() -> None:
    text = trace_text(samples.trace())
    assert text.startswith("flights · run 9f3a · failed · 2.2 s · 6 ran")
    assert "✗  correlate" in text
    assert "did you mean “wind_gust”?" in text


def test_a_card_as_text_holds_state_settings_error_and_preview() -> None:
    cards = {card["id"]: card for card in samples.flights()["nodes"]}
    assert card_text(cards["late_flights"]).split("\n") == [
        "✓ late_flights · recorded · setting 15 → 30 · 31 ms · 128,432 × 19",
        "  min_minutes = 30 (default 15)",
    ]
    assert "FB402 · line 4" in card_text(cards["correlate"])
    assert "0–5    11,204  41.2" in card_text(cards["wind_effect"])


def words_left(markup: str) -> str:
    """Strip what the strictest viewers strip: style sheets, drawings, attributes, and at last every tag."""
    without = re.sub(r"<(style|svg)\b.*?</\1>", "", markup, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", without).replace("\u00a0", " ").split())


def test_where_style_and_drawing_are_stripped_a_flow_still_reads() -> None:
    words = words_left(canvas_html(samples.flights()))
    assert words.startswith("flights · run 9f3a · failed · 4.1 s")
    assert "late_flights ✓ recorded setting 15 → 30 min_minutes = 30 (default 15) 128,432 × 19 31 ms flights" in words
    assert "✗ failed no column “gust” · did you mean “wind_gust”? · FB402 · line 4" in words


def test_where_style_is_stripped_a_run_and_a_card_still_read() -> None:
    words = words_left(trace_html(samples.trace()))
    assert words.startswith("run 9f3a · 2.2 s · 6 ran · 3 cached · 1 skipped · 1 failed · 1 copy · 4.2 MB · flights")
    assert "carriers recorded 850 ms recomputed: io node 2 outputs fetching carriers stderr: slow server" in words
    card = next(card for card in samples.flights()["nodes"] if card["id"] == "late_flights")
    assert words_left(card_html(card)) == (
        "late_flights · recorded · setting 15 → 30 · 31 ms · 128,432 × 19 min_minutes = 30 (default 15)"
    )


def test_the_drawing_is_hidden_until_its_style_sheet_shows_it() -> None:
    """JupyterLab keeps the attribute and drops the sheet of a notebook that is not trusted, and the drawing's tags."""
    markup = canvas_html(samples.flights())
    assert 'style="display:none"><svg' in markup
    assert "{display:block!important" in markup


def test_a_page_says_which_theme_it_has_and_the_drawing_follows() -> None:
    markup = canvas_html(samples.flights())
    for words in ("[data-jp-theme-light=false]", "body.vscode-dark", "prefers-color-scheme:dark", "--jp-layout-color1"):
        assert words in markup


def test_a_values_own_html_is_put_in_as_it_is() -> None:
    card = samples.card("a", preview={"kind": "text", "text": "not this"})
    markup = card_html(card, value_html="<table><tr><td>1</td></tr></table>")
    assert "<table><tr><td>1</td></tr></table>" in markup
    assert "not this" not in markup


def test_a_source_is_called_by_its_title() -> None:
    flow = samples.canvas(
        [samples.card("→ path", title="path", kind="input"), samples.card("read", reads="path")],
        [samples.edge("→ path.result > read.path")],
    )
    assert "← path" in canvas_text(flow)
    assert "→ path" not in canvas_html(flow).replace("path → read", "")


def test_a_flow_in_mermaid_numbers_its_nodes() -> None:
    written = canvas_mermaid(samples.flights())
    assert written.startswith('flowchart LR\n  n0["flights<br/>cached"]:::cached\n')
    assert '  n0 -->|"337k × 19"| n3\n' in written
    assert "-.->" in written
