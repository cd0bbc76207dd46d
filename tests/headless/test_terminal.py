"""What is seen on a terminal, in a pipe, and when nobody reads any more."""

from __future__ import annotations

import io
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbook.headless.report import Report
from flowbook.headless.run_book import RunBook
from flowbook.headless.wording import duration_text, node_failure_text, plain
from tests.headless.notebooks import TRACE_HELPERS, make_notebook, read_notebook, start_flowbook

if TYPE_CHECKING:
    from pathlib import Path

NOTEBOOK = (
    TRACE_HELPERS,
    "import time\nshow(1, late='ok', chart='running')\ntime.sleep(0.6)\nshow(2, final=True, late='ok', chart='failed')",
    "1 / 0",
)


def _read_all(descriptor: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:  # Linux: the other end of a terminal was closed
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts).decode()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pty")
def test_a_terminal_shows_what_runs_now_below_lines_that_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pty

    monkeypatch.setenv("TERM", "xterm-256color")
    source = make_notebook(tmp_path / "a.ipynb", *NOTEBOOK)
    ours, theirs = pty.openpty()
    process = start_flowbook("run", source, stdout=theirs, stderr=theirs)
    os.close(theirs)

    seen = _read_all(ours)
    os.close(ours)

    assert process.wait(timeout=30) == 1
    assert "\x1b[32m✓\x1b[0m late" in seen
    assert "◌ chart" in seen
    assert "cell 2 of 3" in seen
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen))
    stays = [line for line in lines if line.startswith(("✓", "✕"))]
    assert stays[0].startswith("✓ late")
    assert stays[1].startswith("✕ node chart, line 4: no column 'gust'")
    assert stays[2].startswith("✕ cell 3, line 1: ZeroDivisionError")
    assert seen.endswith("\r\n")
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h"), "the cursor is back"


def test_a_pipe_that_nobody_reads_any_more_does_not_cost_the_notebook(tmp_path: Path) -> None:
    source = make_notebook(tmp_path / "a.ipynb", *NOTEBOOK[:1], "show(1, final=True, late='ok')", "print(1)")
    ours, theirs = os.pipe()
    process = start_flowbook("run", source, stdout=theirs)
    os.close(theirs)
    os.close(ours)

    assert process.wait(timeout=30) == 0
    assert read_notebook(tmp_path / "a.out.ipynb").cells[2].execution_count == 3


def test_a_log_without_signs_gets_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    source = make_notebook(tmp_path / "a.ipynb", *NOTEBOOK[:1], "show(1, final=True, late='ok')")

    out, _ = start_flowbook("run", source).communicate(timeout=30)

    assert out.startswith("ok late")
    assert "336,776 ? 19" in out


# -- the book behind the lines


def _bundle(seq: int, *spans: dict[str, Any], final: bool = False) -> dict[str, Any]:
    return {"flow": "f", "runId": "r", "seq": seq, "final": final, "spans": list(spans)}


def test_the_newest_bundle_of_a_run_wins_whatever_order_they_come_in() -> None:
    book = RunBook()

    assert [span["node"] for span in book.take(_bundle(2, {"node": "a", "status": "ok"}))] == ["a"]
    assert book.take(_bundle(1, {"node": "a", "status": "running"}, {"node": "b", "status": "ok"})) == []
    assert [bundle["seq"] for bundle in book.bundles()] == [2]
    assert book.take(_bundle(2, {"node": "a"}, {"node": "b"}, final=True)) == [{"node": "b"}], "no status means ok"


def test_an_attempt_that_a_later_one_made_good_is_told_but_is_no_failure() -> None:
    book = RunBook()
    first = {"node": "a", "status": "failed", "attempt": 1, "error": {"code": "FB402", "message": "no answer"}}

    assert book.take(_bundle(1, first)) == [first]
    assert book.has_failed()
    second = {"node": "a", "status": "ok", "attempt": 2}
    assert book.take(_bundle(2, first, second)) == [second]
    assert not book.has_failed()


def test_a_run_whose_spans_were_left_out_still_counts_as_failed() -> None:
    book = RunBook()

    book.take({"flow": "f", "runId": "r", "seq": 1, "status": "failed", "spans": [], "summarised": True})

    assert book.has_failed()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (0.0004, "0 ms"),
        (0.031, "31 ms"),
        (0.9996, "1.0 s"),
        (2.44, "2.4 s"),
        (99.96, "1 min 39 s"),
        (3600, "60 min 0 s"),
    ],
)
def test_times_are_written_as_people_read_them(seconds: float | None, shown: str) -> None:
    assert duration_text(seconds) == shown


def test_a_failure_is_one_line_with_the_line_of_the_nodes_own_cell() -> None:
    span = {"node": "late", "status": "failed", "error": {"message": "no column 'gust'\nmore", "line": 4}, "attempt": 2}

    assert node_failure_text(span) == "late, line 4, attempt 2: no column 'gust'"


def test_text_from_data_is_one_line_without_control_characters() -> None:
    assert plain(" a\x1b[31m\r\nb\x00\u202ec ") == "a [31m b c"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(["ok", "failed"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["node", "shape", "line"]), inner),
    max_leaves=6,
)
_KEYS = ("flow", "runId", "node", "seq", "final", "status", "stamp", "reason", "tookS", "counts", "error", "card",
         "attempt", "rows", "columns", "startedAt")  # fmt: skip
_BUNDLES = st.builds(
    lambda outer, spans: {**outer, **spans},
    st.dictionaries(st.sampled_from(_KEYS), _JSON),
    st.just({}) | st.fixed_dictionaries({"spans": _JSON | st.lists(st.dictionaries(st.sampled_from(_KEYS), _JSON))}),
)


@given(st.lists(_BUNDLES, max_size=4))
def test_a_bundle_of_any_shape_is_survived(bundles: list[dict[str, Any]]) -> None:
    """They come out of cells, and cells may display what they like."""
    report = Report(io.StringIO(), cell_count=1)
    for bundle in bundles:
        report.trace_seen(bundle, is_expected=False)
        report.node_seen(bundle, is_expected=False)
        report.cell_ended()
    report.book.counts()
    report.book.has_failed()
