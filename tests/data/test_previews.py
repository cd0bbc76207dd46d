"""A preview is small, plain, and costs the same for any size of value; nothing makes it raise."""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import io
import json
import sys
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbook.data import short_text
from flowbook.data.payloads import TablePayloads
from tests.data.quickest import quickest
from tests.data.samples import ARRAYS, COLUMNS, SUBCLASSES, arrays

payloads = TablePayloads()


def previewed(value: object, **how: Any) -> dict[str, Any]:
    """Make a preview and hold it to what every preview promises."""
    made = payloads.preview(value, **how)
    assert made is not None
    encoded = json.dumps(made, allow_nan=False, ensure_ascii=False).encode("utf-8")
    assert len(encoded) < 40_000
    if made["kind"] == "table":
        assert len(made["columns"]) <= 8
        assert len(made["rows"]) <= 4
        for row in made["rows"]:
            assert len(row) == len(made["columns"])
            assert all(isinstance(text, str) and len(text) <= 24 and text.isprintable() for text in row)
        assert all(len(column["name"]) <= 32 and len(column["type"]) <= 32 for column in made["columns"])
    elif made["kind"] == "array":
        assert len(made["spark"]) <= 60
        assert all(0 <= point <= 1 for point in made["spark"])
    elif made["kind"] == "text":
        lines = made["text"].split("\n")
        assert len(lines) <= 3
        assert all(len(line) <= 82 for line in lines)
    else:
        assert made["kind"] == "picture"
        data = base64.b64decode(made["data"])
        assert data.startswith(b"\x89PNG")
        assert len(data) <= 14_000
        assert 0 < made["width"] <= 960
    return made


# --- tables ---------------------------------------------------------------------------------------------------------


def test_a_table_shows_its_first_rows_and_columns_and_its_size() -> None:
    frame = pl.DataFrame(
        {
            "carrier": ["UA", None, "a very long name of an airline"],
            "flight": [1545, 20_130, -1_000_000],
            "delay": [2.0, float("nan"), 1 / 3],
            "at": [dt.datetime(2013, 1, 1, 5, 15), None, dt.datetime(2013, 1, 1, 0, 0, 0, 500_000)],  # noqa: DTZ001
            "late": [True, False, None],
        }
    )
    assert previewed(frame) == {
        "kind": "table",
        "columns": [
            {"name": "carrier", "type": "string"},
            {"name": "flight", "type": "int64"},
            {"name": "delay", "type": "float64"},
            {"name": "at", "type": "datetime"},
            {"name": "late", "type": "boolean"},
        ],
        "rows": [
            ["UA", "1545", "2", "2013-01-01 05:15:00", "true"],
            ["null", "20,130", "NaN", "null", "false"],
            ["a very long name of an…", "-1,000,000", "0.333333", "2013-01-01 00:00:00.500", "null"],
        ],
        "height": 3,
        "width": 5,
    }


@pytest.mark.parametrize("name", COLUMNS)
def test_every_type_of_polars_has_a_preview(name: str) -> None:
    made = previewed(COLUMNS[name])
    assert made["kind"] == "table"
    assert made["height"] == len(COLUMNS[name])
    assert "?" not in [row[0] for row in made["rows"]]
    assert previewed(COLUMNS[name].to_frame())["rows"] == made["rows"]


def test_no_type_of_polars_is_left_out_of_these_tests() -> None:
    covered = {column.dtype.base_type() for column in COLUMNS.values()}
    abstract = {pl.datatypes.BaseExtension, pl.datatypes.Extension, pl.datatypes.Unknown}
    assert _concrete(pl.DataType) - abstract - covered <= {pl.datatypes.Map}


def _concrete(cls: Any) -> set[Any]:
    below = cls.__subclasses__()
    return {cls} if not below else set().union(*(_concrete(child) for child in below))


def test_a_wide_and_long_table_shows_eight_columns_and_four_rows() -> None:
    frame = pl.DataFrame({f"column {i}": range(1000) for i in range(100)})
    made = previewed(frame)
    assert (made["height"], made["width"]) == (1000, 100)
    assert (len(made["rows"]), len(made["columns"])) == (4, 8)


def test_names_that_look_like_patterns_are_names() -> None:
    frame = pl.DataFrame({"^.*$": [1], "*": [2], "": [3]})
    for made in (previewed(frame), previewed(frame.lazy(), collect_head=True)):
        assert [column["name"] for column in made["columns"]] == ["^.*$", "*", ""]
        assert made["rows"] == [["1", "2", "3"]]


def test_a_lazy_table_shows_its_columns_and_its_head_only_when_asked() -> None:
    seen: list[int] = []

    def count(frame: pl.DataFrame) -> pl.DataFrame:
        seen.append(frame.height)
        return frame

    plan = pl.LazyFrame({"a": range(100)}).map_batches(count, schema={"a": pl.Int64})
    made = previewed(plan)
    assert (made["rows"], made["height"], made["width"]) == ([], None, 1)
    assert not any(seen)
    made = previewed(plan, collect_head=True)
    assert made["rows"] == [["0"], ["1"], ["2"], ["3"]]
    assert made["height"] is None


def test_a_broken_plan_says_so() -> None:
    for how in ({}, {"collect_head": True}):
        made = previewed(pl.LazyFrame({"a": [1]}).select("b"), **how)
        assert made["text"].startswith("a lazy table that does not resolve")


def test_markup_stays_text() -> None:
    evil = "<img src=x onerror=alert(1)>"
    frame = pl.DataFrame({"<script>": [evil[:20]]})
    made = previewed(frame)
    assert made["columns"][0]["name"] == "<script>"
    assert made["rows"] == [[evil[:20]]]
    assert previewed(evil) == {"kind": "text", "text": evil}


@pytest.mark.soak  # compares times, which a busy machine can spoil
def test_a_giant_cell_is_cut_before_it_is_read() -> None:
    small, giant = (
        pl.DataFrame({"text": ["x" * size * size], "tensor": np.zeros((1, size, size))}) for size in (40, 4000)
    )
    assert quickest(lambda: previewed(giant)) < 5 * quickest(lambda: previewed(small)) + 0.01
    assert previewed(giant)["rows"] == [["x" * 23 + "…", "[[0, 0, 0, 0, 0, 0, …],…"]]


# --- arrays ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [*ARRAYS.values(), *SUBCLASSES.values()], ids=[*ARRAYS, *SUBCLASSES])
def test_every_array_has_a_preview(value: Any) -> None:
    made = previewed(value)
    assert made["kind"] == "array"
    assert made["shape"] == list(value.shape)
    assert not made["sampled"]


@given(arrays())
def test_least_and_most_are_those_of_the_array_as_long_as_it_is_small(array: Any) -> None:
    made = previewed(array)
    if array.dtype.kind in "iu" and array.size:
        assert made["min"] == pytest.approx(int(array.min()))
        assert made["max"] == pytest.approx(int(array.max()))


def test_a_spark_line_follows_the_values() -> None:
    made = previewed(np.linspace(-1, 1, 600))
    assert made["spark"] == sorted(made["spark"])
    assert (made["spark"][0], made["spark"][-1], len(made["spark"])) == (0.0, 1.0, 60)
    assert (made["min"], made["max"]) == (-1.0, 1.0)


@pytest.mark.soak  # compares times, which a busy machine can spoil
def test_a_large_array_is_sampled_and_says_so() -> None:
    small, array = (np.arange(size).reshape(100, -1)[:, ::2] for size in (10_000, 10_000_000))
    assert quickest(lambda: previewed(array)) < 5 * quickest(lambda: previewed(small)) + 0.01
    made = previewed(array)
    assert made["sampled"]
    assert (made["min"], made["max"]) == (0, 9_999_998)


def test_a_histogram_counts_the_values_of_equal_steps() -> None:
    assert previewed(np.arange(100))["histogram"] == [5] * 20
    assert previewed(np.array([[True, False], [True, True]]))["histogram"] == [1, *[0] * 18, 3]
    assert previewed(np.array([-1e308, np.nan, 1e308, np.inf]))["histogram"] == [1, *[0] * 18, 1]
    assert sum(previewed(np.arange(1_000_000.0))["histogram"]) == 4096, "of a sample"
    days = np.array(["2024-01-01", "NaT", "2024-01-03"], "datetime64[D]")
    assert previewed(days)["histogram"] == [1, *[0] * 18, 1]
    for nothing in (np.full(3, 7.0), np.full(3, np.nan), np.zeros(0), np.array(["a"])):
        assert "histogram" not in previewed(nothing)


def test_values_that_are_no_numbers_are_left_out_of_the_spark_line() -> None:
    made = previewed(np.array([np.nan, 1.0, np.inf, 3.0, -np.inf]))
    assert (made["min"], made["max"], made["spark"]) == (1.0, 3.0, [0.0, 1.0])
    assert previewed(np.full(3, np.nan))["spark"] == []


# --- pictures -------------------------------------------------------------------------------------------------------


def _photo(width: int, height: int) -> Any:
    image = pytest.importorskip("PIL.Image")
    return image.effect_noise((width, height), 100)


def _png(photo: Any) -> bytes:
    target = io.BytesIO()
    photo.save(target, "PNG")
    return target.getvalue()


def test_a_small_png_is_shown_as_it_is() -> None:
    made = previewed(_png(_photo(40, 20)))
    assert (made["kind"], made["width"], made["height"]) == ("picture", 40, 20)


def test_a_large_picture_is_scaled_down() -> None:
    photo = _photo(2000, 1000)
    for value in (photo, _png(photo)):
        made = previewed(value)
        assert made["kind"] == "picture"
        assert made["width"] == pytest.approx(2 * made["height"], abs=1)
    assert photo.size == (2000, 1000)


def test_without_pillow_small_pictures_are_shown_and_large_ones_named(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = _png(_photo(40, 20)), _png(_photo(2000, 1000))
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert previewed(small)["kind"] == "picture"
    assert previewed(large) == {"kind": "text", "text": "bytes"}


def test_without_a_renderer_a_chart_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    altair = pytest.importorskip("altair")
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    chart = altair.Chart(pl.DataFrame({"x": [1]})).mark_point()
    assert previewed(chart) == {"kind": "text", "text": "Chart: install vl-convert-python to see it here"}


def test_what_a_picture_file_says_besides_pixels_is_left_out() -> None:
    info = pytest.importorskip("PIL.PngImagePlugin").PngInfo()
    info.add_text("Author", "somebody")
    target = io.BytesIO()
    _photo(40, 20).save(target, "PNG", pnginfo=info)
    assert b"somebody" in target.getvalue()
    assert b"somebody" not in base64.b64decode(previewed(target.getvalue())["data"])


def test_a_broken_png_is_told_in_words() -> None:
    for data in (b"\x89PNG\r\n\x1a\n", _png(_photo(40, 20))[:60], b"\x89PNG\r\n\x1a\n" + b"\xff" * 100):
        assert previewed(data)["kind"] == "text"


def test_whatever_offers_a_png_is_shown() -> None:
    png = _png(_photo(40, 20))
    for offered in (png, base64.b64encode(png).decode(), (png, {"width": 3})):
        maker = type("Maker", (), {"_repr_png_": lambda self, offered=offered: offered})
        assert previewed(maker())["kind"] == "picture"
    for nothing in (None, 7, "not base64!", b""):
        maker = type("Maker", (), {"_repr_png_": lambda self, nothing=nothing: nothing})
        assert previewed(maker()) == {"kind": "text", "text": "Maker"}


def test_a_matplotlib_figure_is_drawn_and_left_as_it_was() -> None:
    figures = pytest.importorskip("matplotlib.figure")
    figure = figures.Figure(figsize=(8, 4), dpi=123)
    figure.subplots().plot([1, 2, 3])
    canvas = figure.canvas
    made = previewed(figure)
    assert (made["kind"], made["width"], made["height"]) == ("picture", 480, 240)
    assert (figure.dpi, figure.canvas) == (123, canvas)
    assert previewed(figures.Figure(figsize=(1000, 1)))["kind"] == "text"


def test_an_altair_chart_is_drawn_and_fetches_nothing() -> None:
    altair = pytest.importorskip("altair")
    pytest.importorskip("vl_convert")
    chart = altair.Chart(pl.DataFrame({"x": [1, 2, 3]})).mark_line().encode(x="x:Q", y="x:Q")
    assert payloads.shape(chart).kind == "picture"
    assert previewed(chart)["kind"] == "picture"
    assert previewed(altair.hconcat(chart, chart))["width"] <= 481
    with _CountingServer() as server:
        remote = altair.Chart(server.url).mark_line().encode(x="x:Q", y="x:Q")
        assert previewed(remote) == {"kind": "text", "text": "Chart"}
        assert server.asked == 0


class _CountingServer:
    """A web server on this machine that counts who asks."""

    def __enter__(self) -> _CountingServer:
        import http.server
        import threading

        outer = self
        self.asked = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                self.send_error(404)

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/x.csv"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


# --- text -----------------------------------------------------------------------------------------------------------


class Loud:
    """A class whose code must not run for a preview."""

    def __init__(self) -> None:
        self.rate, self.name, self._hidden, self.other = 0.5, "x", 1, object()

    def __repr__(self) -> str:
        raise AssertionError("ran the class's code")

    __str__ = __repr__
    __hash__ = None  # type: ignore[assignment]


class Colour(enum.Enum):
    RED = 1


class Pair(NamedTuple):
    left: object
    right: object


class Word(str):
    __slots__ = ()


@dataclasses.dataclass
class Options:
    depth: int = 3
    inner: object = None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "True"),
        (2013, "2013"),
        (1234567, "1,234,567"),
        (10**5000, "about 2^16609"),
        (-(2**300), "about -2^300"),
        (1 / 3, "0.333333"),
        (float("-inf"), "-inf"),
        (1 - 2j, "1-2j"),
        (dt.date(2013, 1, 1), "2013-01-01"),
        (dt.datetime(2013, 1, 1, tzinfo=dt.UTC), "2013-01-01 00:00:00+00:00"),
        (dt.timedelta(hours=1), "1:00:00"),
        (decimal.Decimal("1.50"), "1.50"),
        (decimal.Decimal("1e1000000"), "1e+1000000"),
        (decimal.Decimal("NaN"), "NaN"),
        (range(10**30), "range"),
        (range(3), "range(0, 3)"),
        ("one\ntwo\nthree\nfour", "one\ntwo\nthree …"),
        ("tab\there \u202e bidi \x00 \ud800", "tab here · bidi · ·"),
        ("", ""),
        (b"abc", "b'abc'"),
        ([1, "a", None, [2.5, {"x": ()}]], "[1, 'a', None, [2.5, {'x': ()}]]"),
        (list(range(1000)), "[0, 1, 2, 3, 4, 5, …]"),
        ([[[[1]]]], "[[[[…]]]]"),
        ((1,), "(1,)"),
        ({"b", "a", "c"}, "{'a', 'b', 'c'}"),
        (set(range(1000)), "set of 1,000"),
        (set(), "set()"),
        (dict.fromkeys(range(10), 0), "{0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0, …}"),
        (Loud(), "Loud(rate=0.5, name='x')"),
        ([Loud()], "[Loud]"),
        (Colour.RED, "Colour.RED"),
        (Pair("a", 2), "Pair('a', 2)"),
        (Word("x"), "x"),
        ([Word("x"), Pair(1, [2])], "['x', Pair(1, [2])]"),
        (type("Slotted", (), {"__slots__": ("a",)})(), "Slotted"),
        (type("Odd", (), {"__dict__": 3})(), "Odd"),
        (collections.deque([1]), "deque"),
        ({"a": {"b": {"c": {"d": 1}}}}, "{'a': {'b': {'c': {…}}}}"),
        (Options(), "Options(depth=3, inner=None)"),
        (object(), "object"),
        (print, "print()"),
        (Loud, "class Loud"),
        (np.float64(2.5), "2.5"),
        (np.str_("x"), "x"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_values_are_said_in_a_few_words_without_running_their_code(value: object, text: str) -> None:
    assert previewed(value) == {"kind": "text", "text": text}


def test_values_that_contain_themselves_have_a_preview() -> None:
    endless: list[object] = []
    endless.append(endless)
    knot: dict[str, object] = {}
    knot["self"] = knot
    assert previewed(endless)["text"].count("…") == 1
    assert previewed(knot)["text"].count("…") == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner) | st.sets(st.text()),
)


@given(json_values)
def test_every_plain_value_has_a_preview(value: object) -> None:
    previewed(value)


@given(st.text(), st.integers(min_value=2, max_value=40))
def test_one_line_is_one_line(text: str, limit: int) -> None:
    line = short_text.one_line(text, limit)
    assert len(line) <= limit
    assert line.isprintable() or not line


@pytest.mark.soak  # compares times, which a busy machine can spoil
def test_a_huge_text_is_cut_without_reading_it_all() -> None:
    small, huge = "x" * 1000, "x" * 50_000_000
    assert previewed(huge)["text"].endswith("…")
    assert quickest(lambda: previewed(huge)) < 5 * quickest(lambda: previewed(small)) + 0.001
