"""Bundles: what is stored fits, says nothing it cannot know, and still draws."""

from __future__ import annotations

import copy
import json

import pytest

from flowbook.canvas.pages import canvas_html, canvas_svg, canvas_text, trace_html, trace_svg, trace_text
from flowbook.canvas.protocol import MAX_BUNDLE_BYTES, fit_canvas, fit_trace, size_bytes
from tests.canvas import samples


def test_a_bundle_that_fits_is_stored_as_it_is() -> None:
    assert fit_canvas(samples.flights()) == samples.flights()
    assert fit_trace(samples.trace()) == samples.trace()


def test_what_is_stored_never_says_live() -> None:
    flights, trace = samples.flights(), samples.trace()
    for item in (*flights["nodes"], *trace["spans"]):
        item["stamp"] = "live"
    assert {card["stamp"] for card in fit_canvas(flights)["nodes"]} == {"recorded"}
    assert {span["stamp"] for span in fit_trace(trace)["spans"]} == {"recorded"}
    shown = [canvas_html(flights), canvas_svg(flights), canvas_text(flights), trace_html(trace), trace_text(trace)]
    assert not any("live" in text for text in shown)


@pytest.mark.parametrize("count", [200, 1000, 2500])
def test_a_snapshot_of_very_many_nodes_fits_and_still_draws(count: int) -> None:
    whole = samples.random_flow(count)
    before = copy.deepcopy(whole)
    fitted = fit_canvas(whole)
    assert whole == before, "the given snapshot is not changed"
    assert size_bytes(fitted) <= MAX_BUNDLE_BYTES
    assert fitted == fit_canvas(copy.deepcopy(whole)), "always the same is left out"
    assert canvas_svg(fitted).count("<g ") > 0.9 * len(fitted["nodes"])
    if count == 1000:
        assert len(fitted["nodes"]) == 1000, "a thousand nodes keep their place and state"
        assert {card["status"] for card in whole["nodes"]} == {card.get("status", "ok") for card in fitted["nodes"]}
    if count == 2500:
        assert fitted["summarised"]
        failed = sum(card["status"] == "failed" for card in whole["nodes"])
        assert sum(card.get("status") == "failed" for card in fitted["nodes"]) == failed


def test_pictures_go_before_previews_and_previews_before_words() -> None:
    gallery = samples.gallery()
    size = size_bytes(gallery)
    fitted = fit_canvas(gallery, max_bytes=size - 1)
    kinds = {card["id"]: card["preview"]["kind"] for card in fitted["nodes"] if card["preview"]}
    assert kinds == {"curve": "array", "field": "array", "told": "text"}
    assert not any("image" in card["preview"] for card in fitted["nodes"] if card["preview"])
    smaller = fit_canvas(gallery, max_bytes=size_bytes(fitted) - 1)
    assert not any(card["preview"] for card in smaller["nodes"])
    assert any(card["settings"] for card in smaller["nodes"])


def test_a_trace_of_five_thousand_spans_fits_with_true_counts_and_every_failure() -> None:
    whole = samples.trace(5000)
    before = json.dumps(whole)
    fitted = fit_trace(whole)
    assert json.dumps(whole) == before, "the given trace is not changed"
    assert size_bytes(fitted) <= MAX_BUNDLE_BYTES
    assert fitted["summarised"]
    assert fitted["counts"] == whole["counts"]
    failed = {span["node"] for span in whole["spans"] if span["status"] == "failed"}
    assert failed <= {span["node"] for span in fitted["spans"]}
    assert "spans were left out" in trace_svg(fitted)
    assert "spans were left out" in trace_html(fitted)


def test_logs_shrink_before_spans_do_and_their_count_stays() -> None:
    trace = samples.trace(700)
    fitted = fit_trace(trace)
    assert size_bytes(fitted) <= MAX_BUNDLE_BYTES
    assert len(fitted["spans"]) == 700
    assert all(span["logCount"] == 1 for span in fitted["spans"])
    assert "1 output" in trace_html(fitted)


def test_even_an_absurd_limit_is_kept_as_far_as_it_can_be() -> None:
    assert fit_canvas(samples.flights(), max_bytes=500)["nodes"] == []
    assert fit_trace(samples.trace(), max_bytes=500)["spans"] == []
