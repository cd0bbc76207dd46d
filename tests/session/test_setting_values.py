"""A setting of any kind is the same value in the function, in the document, in a trait and after reading it back."""

from __future__ import annotations

import datetime as dt
import enum
from pathlib import Path
from typing import Any, Literal

import pytest

import flowbook as fb


class Carrier(enum.Enum):
    UNITED = "UA"
    DELTA = "DL"


KINDS: list[tuple[Any, Any, Any]] = [
    (int, 1, 2),
    (float, 1.0, 2.5),
    (int | float, 1, 2.5),
    (int | None, 1, None),
    (bool, True, False),
    (str, "a", "ä\n\"'"),
    (Literal["a", "b"], "a", "b"),
    (Carrier, Carrier.UNITED, Carrier.DELTA),
    (Path, Path("a"), Path("b/c.csv")),
    (dt.date, dt.date(2013, 7, 4), dt.date(2020, 1, 1)),
    (dt.datetime, dt.datetime(2013, 7, 4, tzinfo=dt.UTC), dt.datetime(2020, 1, 1, 12, tzinfo=dt.UTC)),
    (dt.time, dt.time(9, 30), dt.time(10)),
    (list[int], [1], [2, 3]),
    (list[Path], [Path("a")], [Path("b"), Path("c")]),
    (list[Carrier], [], [Carrier.DELTA]),
    (tuple[int, ...], (1, 2), (3,)),
    (set[str], {"a"}, {"b", "c"}),
    (dict[str, dt.date], {}, {"k": dt.date(2020, 1, 1)}),
    (dict[str, Any], {"a": 1}, {"a": {"b": [1, None]}}),
    (int | str, 1, "all"),
]


@pytest.mark.parametrize(("annotation", "default", "value"), KINDS)
def test_a_setting_is_the_same_everywhere(annotation: Any, default: Any, value: Any) -> None:
    def f(x: Any = default) -> Any:
        return x

    f.__annotations__ = {"x": annotation}
    flow = fb.Flow("kinds")
    flow.node(f)
    traits = flow["f"].traits()
    assert _same(flow.run_sync()["f"], default)
    assert _alike(traits.x, default)

    flow["f"].settings["x"] = value
    assert _alike(traits.x, value)
    assert _same(flow["f"].settings["x"], value)
    assert _same(flow.run_sync()["f"], value)

    reopened = fb.Flow("reopened")
    reopened.node(f)
    reopened.replace_document(flow.document_text())
    assert _same(reopened.run_sync()["f"], value)
    assert reopened.check() == []

    traits.x = default
    assert _same(flow["f"].settings["x"], default)
    assert "settings" not in flow.document()["nodes"][0]
    assert _same(flow.run_sync(settings={"f.x": value})["f"], value)
    assert flow.run_sync().recomputed == []


def _same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and bool(left == right)


def _alike(left: Any, right: Any) -> bool:
    """The same, save that a trait holds a tuple as a list."""
    return _same(left, list(right) if isinstance(right, tuple) else right)
