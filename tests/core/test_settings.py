"""A setting's value is kept as JSON and comes back as what the function expects."""

from __future__ import annotations

import datetime as dt
import enum
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowbook.core.flow_data import FlowData
from flowbook.core.node_types import node_type_of
from flowbook.core.settings import SettingSpec, same_json, to_json_value
from flowbook.errors import DefinitionError
from tests.strategies import json_values


class Size(enum.IntEnum):
    SMALL = 1


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


def spec_of(annotation: Any, default: Any) -> SettingSpec:
    def f(x: Any = default) -> None: ...

    f.__annotations__ = {"x": annotation}
    (spec,) = node_type_of(f).settings
    return spec


@pytest.mark.parametrize(
    ("annotation", "default", "value", "stored"),
    [
        (int, 0, True, None),
        (int, 0, 1.0, None),
        (int, 0, "1", None),
        (int, 0, None, None),
        (int, 0, np.int64(7), 7),
        (float, 0.5, 3, 3.0),
        (float, 0.5, np.float32(0.5), 0.5),
        (float, 0.5, True, None),
        (float, 0.5, float("inf"), None),
        (int | float, 1, 3, 3),
        (bool, False, True, True),
        (bool, False, 1, None),
        (str, "", "ä", "ä"),
        (str, "", 1, None),
        (str | None, "", None, "null"),
        (Literal["a", 1], "a", 1, 1),
        (Literal["a", 1], "a", True, None),
        (Level, Level.LOW, Level.HIGH, "HIGH"),
        (Level, Level.LOW, "HIGH", "HIGH"),
        (Level, Level.LOW, "NONE", None),
        (Path, Path("a"), "b/c", "b/c"),
        (Path, Path("a"), 3, None),
        (dt.date, dt.date(2013, 1, 1), dt.date(2013, 7, 4), "2013-07-04"),
        (dt.date, dt.date(2013, 1, 1), "2013-07-04", "2013-07-04"),
        (dt.date, dt.date(2013, 1, 1), "4 July", None),
        (dt.time, dt.time(1), "09:30", "09:30:00"),
        (list[int], [], (1, 2), [1, 2]),
        (list[int], [], [1, "2"], None),
        (list[float], [], [1], [1.0]),
        (list[Path], [], [Path("a")], ["a"]),
        (dict[str, dt.date], {}, {"a": dt.date(2013, 7, 4)}, {"a": "2013-07-04"}),
        (dict[str, int], {}, {1: 1}, None),
        (dict[str, int], {}, {"a": "x"}, None),
        (int | str, 1, "all", "all"),
        (int | str, 1, object(), None),
    ],
)
def test_a_value_is_stored_in_its_json_form_or_refused(annotation: Any, default: Any, value: Any, stored: Any) -> None:
    spec = spec_of(annotation, default)
    if stored is None:
        with pytest.raises(DefinitionError) as caught:
            spec.checked(value)
        assert caught.value.code in {"FB103", "FB104"}
        assert caught.value.hint
        return
    plain = spec.checked(value)
    assert same_json(plain, None if stored == "null" else stored)
    assert same_json(spec.checked(spec.to_python(plain)), plain)


def test_a_function_gets_a_container_of_its_own() -> None:
    spec = spec_of(list[int], [1])
    spec.to_python(spec.default).append(2)
    assert spec.to_python(spec.default) == [1]
    nested = spec_of(dict, {"a": [1]})
    nested.to_python(nested.default)["a"].append(2)
    assert nested.default == {"a": [1]}


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"b", "a"}), ["a", "b"]),
        ({1, "a", None}, ["a", 1, None]),
        (Path("a") / "b", "a/b"),
        (dt.datetime(2013, 7, 4, tzinfo=dt.UTC), "2013-07-04T00:00:00+00:00"),
        (Size.SMALL, "SMALL"),
        (np.float64(0.5), 0.5),
        (np.bool_(True), True),
    ],
)
def test_what_python_has_and_json_has_not_gets_one_form(value: Any, plain: Any) -> None:
    found = to_json_value(value)
    assert same_json(found, plain)
    assert same_json(json.loads(json.dumps(found)), found)


@given(json_values)
def test_json_is_its_own_json_form(value: Any) -> None:
    assert same_json(to_json_value(value), value)


@given(json_values, json_values)
def test_values_that_are_written_alike_are_the_same(left: Any, right: Any) -> None:
    def written(value: Any) -> str:
        return json.dumps(value, sort_keys=True)

    assert same_json(left, right) == (written(left) == written(right))


@given(st.lists(st.one_of(st.none(), st.integers(0, 3), st.just(5)), max_size=6))
def test_an_edit_counts_exactly_when_it_changes_the_value(values: list[int | None]) -> None:
    """``revision`` must move whenever a value does, or a run would use the old one."""

    def f(n: int | None = 5) -> None: ...

    flow = FlowData(id="t")
    node_type = node_type_of(f)
    flow.add_node("f", node_type)
    now: int | None = 5
    for value in values:
        revision = flow.revision
        assert flow.set_value("f", "n", value) is (value != now)
        assert (flow.revision != revision) is (value != now)
        now = value
        stored = flow.nodes["f"].settings
        assert stored == ({} if now == 5 else {"n": now})
