"""A node type is read off a signature: inputs, settings, outputs, services, help; what cannot be read says why."""

from __future__ import annotations

import datetime as dt
import enum
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import polars as pl
import pytest

import flowbook as fb
from flowbook.core.node_types import NodeType, node_type_of
from flowbook.core.policies import Policy, Retry
from flowbook.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable


class Carrier(enum.Enum):
    UNITED = "UA"
    DELTA = "DL"


class Split(NamedTuple):
    train: pl.DataFrame
    test: pl.DataFrame


@dataclass
class Fit:
    model: object
    score: float


def described(function: Callable[..., Any], **how: Any) -> NodeType:
    return node_type_of(function, **how)


def test_tables_are_inputs_and_plain_values_with_a_default_are_settings() -> None:
    def delays(
        flights: pl.LazyFrame,
        limit: int,
        weather: pl.DataFrame | None = None,
        min_minutes: Annotated[int, fb.Setting(min=0, max=120, step=5)] = 15,
        by: Literal["carrier", "hour"] = "hour",
    ) -> pl.LazyFrame:
        """Flights that left late.

        More about them.
        """
        raise NotImplementedError

    found = described(delays)
    assert [(port.name, port.type, port.is_required) for port in found.inputs] == [
        ("flights", "table", True),
        ("limit", "scalar", True),
        ("weather", "table", False),
    ]
    assert [(spec.name, spec.control, spec.default) for spec in found.settings] == [
        ("min_minutes", "slider", 15),
        ("by", "select", "hour"),
    ]
    assert [(port.name, port.type) for port in found.outputs] == [("result", "table")]
    assert (found.type_id, found.doc, found.origin) == ("delays", "Flights that left late.", "code")


@pytest.mark.parametrize(
    ("annotation", "default", "control", "stored"),
    [
        (Annotated[int, fb.Setting(min=0, max=9)], 3, "slider", 3),
        (Annotated[float, fb.Setting(min=0, max=1, step=0.1)], 1, "slider", 1.0),
        (Annotated[int, fb.Setting(min=0)], 3, "number", 3),
        (int, 3, "number", 3),
        (float, 2, "number", 2.0),
        (int | float, 2, "number", 2),
        (int | None, None, "number", None),
        (bool, True, "switch", True),
        (str, "a", "text", "a"),
        (Annotated[str, fb.Setting(options=("a", "b"))], "a", "select", "a"),
        (Literal["a", "b"], "b", "select", "b"),
        (Carrier, Carrier.DELTA, "select", "DELTA"),
        (Path, Path("a/b.csv"), "path", "a/b.csv"),
        (dt.date, dt.date(2013, 7, 4), "date", "2013-07-04"),
        (dt.datetime, dt.datetime(2013, 7, 4, 9, 30), "date", "2013-07-04T09:30:00"),  # noqa: DTZ001 -- naive on purpose
        (dt.time, dt.time(9, 30), "text", "09:30:00"),
        (list[int], [1, 2], "json", [1, 2]),
        (tuple[int, ...], (1, 2), "json", [1, 2]),
        (set[str], {"b", "a"}, "json", ["a", "b"]),
        (list[dt.date], [dt.date(2013, 7, 4)], "json", ["2013-07-04"]),
        (dict[str, float], {"a": 1.5}, "json", {"a": 1.5}),
        (int | str, "all", "json", "all"),
        (None, 3, "number", 3),
        (None, 2.5, "number", 2.5),
        (None, True, "switch", True),
        (None, "a", "text", "a"),
        (None, [1], "json", [1]),
        (None, Carrier.UNITED, "select", "UNITED"),
        (None, Path("a"), "path", "a"),
        (None, dt.date(2013, 7, 4), "date", "2013-07-04"),
    ],
)
def test_the_annotation_decides_the_control(annotation: Any, default: Any, control: str, stored: Any) -> None:
    """Unannotated parameters go by their default; what is stored is JSON, and becomes the default's value again."""

    def f(x: Any = default) -> None: ...

    f.__annotations__ = {} if annotation is None else {"x": annotation}
    (spec,) = described(f).settings
    assert (spec.control, spec.default) == (control, stored)
    assert type(spec.default) is type(stored)
    back = spec.to_python(spec.default)
    assert back == default
    assert isinstance(back, type(default) | float)


@pytest.mark.parametrize("default", [None, object(), pl.DataFrame(), b"", ...])
def test_a_default_that_nobody_can_type_makes_an_optional_input(default: object) -> None:
    def f(x=default): ...  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202

    (port,) = described(f).inputs
    assert (port.type, port.is_required, port.has_default) == ("any", False, True)


def test_labels_units_and_help_come_from_the_setting_or_the_docstring() -> None:
    def f(
        a: Annotated[int, fb.Setting(label="At least", unit="min", help="Own words.")] = 1,
        b: int = 2,
        c: int = 3,
    ) -> None:
        """Do it.

        Args:
            a: words that give way.
            b (int): words of the docstring,
                which go on here.
            c: last ones

        Returns:
            d: nothing.
        """

    a, b, c = described(f).settings
    assert (a.label, a.unit, a.help) == ("At least", "min", "Own words.")
    assert (b.label, b.unit, b.help) == ("b", "", "words of the docstring, which go on here.")
    assert c.help == "last ones"


@pytest.mark.parametrize(
    ("annotation", "outputs", "expected", "is_tuple"),
    [
        (None, None, [("result", "any")], False),
        ("pl.DataFrame", None, [("result", "table")], False),
        (tuple[pl.DataFrame, int], None, [("result", "any")], False),
        ("tuple[pl.DataFrame, int]", ("train", "n"), [("train", "table"), ("n", "scalar")], True),
        (tuple[pl.DataFrame, int], ("train", "n"), [("train", "table"), ("n", "scalar")], True),
        (None, ("a", "b"), [("a", "any"), ("b", "any")], True),
        ("pl.Series", ("only",), [("only", "series")], False),
        ("Split", None, [("train", "table"), ("test", "table")], False),
        (Split, None, [("train", "table"), ("test", "table")], False),
        ("Fit", None, [("model", "any"), ("score", "scalar")], False),
        (Fit, None, [("model", "any"), ("score", "scalar")], False),
    ],
)
def test_outputs_come_from_their_names_or_from_a_record(
    annotation: Any, outputs: Any, expected: list[tuple[str, str]], is_tuple: bool
) -> None:
    def f() -> None: ...

    f.__annotations__ = {} if annotation is None else {"return": annotation}
    found = described(f, outputs=outputs)
    assert [(port.name, port.type) for port in found.outputs] == expected
    assert found.is_tuple_result is is_tuple


@pytest.mark.parametrize("outputs", ["train", (), ("a", "a"), ("a b",), ("",)])
def test_outputs_that_name_no_ports_are_refused(outputs: Any) -> None:
    with pytest.raises(DefinitionError) as caught:
        described(lambda: None, type_id="f", outputs=outputs)
    assert caught.value.code == "FB109"
    assert "outputs=" in caught.value.hint


def _star(*tables: int) -> None: ...
def _double_star(**options: int) -> None: ...
def _positional(table: int, /) -> None: ...
def _generator() -> Any:
    yield 1


async def _async_generator() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("function", "code", "hint"),
    [
        (_star, "FB108", "one parameter that takes a list"),
        (_double_star, "FB108", "parameters it stands for"),
        (_positional, "FB108", "remove the '/'"),
        (_generator, "FB106", "return a list"),
        (_async_generator, "FB106", "return a list"),
        (lambda x: x, "FB105", "give the function a name"),
        (functools.partial(_star), "FB105", "give the function a name"),
        (len, None, ""),
        (print, "FB108", ""),
        (max, "FB107", "wrap it in a function"),
    ],
)
def test_a_declaration_that_cannot_be_a_node_says_what_to_do(
    function: Callable[..., Any], code: str | None, hint: str
) -> None:
    if code is None:
        return
    with pytest.raises(DefinitionError) as caught:
        described(function)
    assert caught.value.code == code
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (int, "five"),
        (bool, 1),
        (Literal["a", "b"], "c"),
        (Annotated[int, fb.Setting(min=0, max=9)], 10),
        (dt.date, "someday"),
        (list[int], ["one"]),
        (float, float("nan")),
    ],
)
def test_a_default_that_its_own_annotation_refuses_is_an_error(annotation: Any, default: Any) -> None:
    def f(x: Any = default) -> None: ...

    f.__annotations__ = {"x": annotation}
    with pytest.raises(DefinitionError) as caught:
        described(f)
    assert caught.value.code in {"FB103", "FB104"}
    assert caught.value.where == "node 'f'"


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        ({"retries": 3}, "retries"),
        ({"kind": "clean"}, "kind"),
        ({"cache": "tape"}, "cache"),
        ({"isolation": "thread"}, "isolation"),
        ({"memory_bytes": 0}, "memory_bytes"),
        ({"on_change": "never"}, "on_change"),
        ({"executor": "gpu"}, "executor"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": "5"}, "timeout_s"),
        ({"priority": 1.5}, "priority"),
        ({"muted": 1}, "muted"),
        ({"retry": "often"}, "retry"),
        ({"retry": {"attempts": 3}}, "retry"),
        ({"retry": True}, "retry"),
        ({"retry": {"max_attempts": 1.5}}, "retry"),
        ({"retry": {"jitter": "yes"}}, "retry"),
        ({"retry": {"delay_s": float("nan")}}, "retry"),
        ({"retry": {"max_attempts": 0}}, "max_attempts=0"),
        ({"retry": 0}, "max_attempts=0"),
    ],
)
def test_an_unknown_policy_is_named(policy: dict[str, Any], field: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        described(_sum, policy=policy)
    assert caught.value.code == "FB101"
    assert field in str(caught.value).lower()


def _sum(a: int, b: int = 1) -> int:
    return a + b


def test_policies_are_part_of_the_type() -> None:
    found = described(_sum, policy={"retry": 2, "timeout_s": 5, "kind": "io"})
    assert found.policy == Policy(retry=Retry(max_attempts=2), timeout_s=5, kind="io")


def test_services_and_packets_are_told_from_values() -> None:
    async def f(ctx: fb.Context, table: fb.Packet, error: fb.ErrorPacket) -> None: ...

    found = described(f)
    assert (found.context_name, set(found.packet_names), found.is_async) == ("ctx", {"table"}, True)
    assert [port.name for port in found.inputs] == ["table", "error"]


def test_a_decorated_function_has_the_parameters_it_shows() -> None:
    @functools.wraps(_sum)
    def logged(*args: Any, **kwargs: Any) -> Any:
        return _sum(*args, **kwargs)

    assert described(logged).parameter_names == ["a", "b"]


def test_the_function_stays_callable() -> None:
    @fb.node
    def twice(n: int) -> int:
        return 2 * n

    @fb.Flow("t").node(outputs=("low", "high"))
    def split(n: int) -> tuple[int, int]:
        return n - 1, n + 1

    assert twice(4) == 8
    assert split(4) == (3, 5)


@pytest.mark.parametrize("name", ["", "1st", "a b", "a-b", "class"])
def test_a_name_that_is_no_identifier_is_refused(name: str) -> None:
    with pytest.raises(fb.FlowbookError) as caught:
        fb.Flow("t").node(name=name or "-")(_sum)
    assert caught.value.code in {"FB105", "FB205"}
