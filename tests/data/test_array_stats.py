"""What is told of an array that somebody looks at is true of all of it, and is never too much."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest

from flowbook.data.array_images import image
from flowbook.data.payloads import TablePayloads
from tests.data.samples import ARRAYS, SUBCLASSES

payloads = TablePayloads()


def pixels(array: Any) -> Any:
    """Decode the image of an array with a reader that is not ours."""
    photos = pytest.importorskip("PIL.Image")
    made = image(array)
    assert made is not None
    data = base64.b64decode(made["data"])
    assert len(data) <= 40_000
    with photos.open(io.BytesIO(data)) as photo:
        assert photo.size == (made["width"], made["height"])
        return np.asarray(photo.convert("RGBA"))


@pytest.mark.parametrize("value", [*ARRAYS.values(), *SUBCLASSES.values()], ids=[*ARRAYS, *SUBCLASSES])
def test_every_array_is_described(value: Any) -> None:
    stats = payloads.array_stats(value)
    assert stats is not None
    assert len(json.dumps(stats, allow_nan=False)) < 60_000
    assert stats["shape"] == list(value.shape)
    assert stats["sizeBytes"] == value.nbytes


def test_least_most_and_gaps_are_exact_however_large_the_array() -> None:
    array = np.zeros((2000, 2000))
    array[1999, 7], array[3, 3], array[5, 5] = 9.5, -2, np.nan
    stats = payloads.array_stats(array)
    assert stats is not None
    assert (stats["min"], stats["max"], stats["nanCount"], stats["sampled"]) == ("-2", "9.5", 1, True)
    assert stats["mean"] == "1.875e-06"


def test_what_is_no_array_has_none() -> None:
    assert payloads.array_stats("x") is None


def test_an_image_shows_least_black_most_white_and_gaps_through() -> None:
    shown = pixels(np.array([[0.0, 1.0], [0.5, np.nan]]))
    assert shown[0, 0].tolist() == [0, 0, 0, 255]
    assert shown[0, 1].tolist() == [255, 255, 255, 255]
    assert abs(int(shown[1, 0, 0]) - 127) <= 1
    assert shown[1, 1, 3] == 0


@pytest.mark.parametrize("shape", [(3000, 2000), (1, 5000), (5000, 1), (2, 2)])
def test_an_image_has_at_most_256_pixels_a_side_and_40_kb(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).random(shape)
    assert max(pixels(noise).shape[:2]) <= 256


def test_bytes_of_three_or_four_colours_are_shown_in_colour() -> None:
    array = np.zeros((4, 5, 3), "u1")
    array[..., 0] = 200
    assert pixels(array)[0, 0].tolist() == [200, 0, 0, 255]
    assert pixels(np.dstack([array, np.full((4, 5), 9, "u1")]))[0, 0].tolist() == [200, 0, 0, 9]


@pytest.mark.parametrize("value", [np.zeros(3), np.zeros((2, 2, 2)), np.array([["a"]]), np.zeros((0, 3))])
def test_other_arrays_have_no_image(value: Any) -> None:
    assert image(value) is None


@pytest.mark.parametrize("value", [np.full((2, 2), np.inf), np.array([[-1e308, 1e308]]), np.ones((2, 2), bool)])
def test_extremes_are_drawn(value: Any) -> None:
    assert pixels(value).shape[:2] == value.shape
