"""What goes over the wire is written down, key by key, and the browser's tests read the same examples."""

from __future__ import annotations

import json
import types
import typing
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from flowbook.canvas import messages, protocol
from flowbook.canvas.messages import BrowserMessage, KernelMessage, read_message
from flowbook.core.edits import _OPERATIONS
from tests.canvas.live_kit import Live  # noqa: TC001 -- pytest reads it

EXAMPLES: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("live_messages.json").read_text(encoding="utf-8")
)
NAMES = {**vars(protocol), **vars(messages)}


def declared(side: Any) -> dict[str, Any]:
    """The declared messages of one side, by kind."""
    found = {}
    for declaration in get_args(side):
        for kind in get_args(get_type_hints(declaration, None, NAMES)["kind"]):
            found[kind] = declaration
    return found


def assert_is(value: Any, declaration: Any, place: str, *, is_whole: bool) -> None:
    """A JSON value has the keys and types of its declaration; with ``is_whole`` also the optional keys."""
    origin, arguments = typing.get_origin(declaration), get_args(declaration)
    if typing.is_typeddict(declaration):
        hints = get_type_hints(declaration, None, NAMES)
        assert set(value) <= set(hints), f"{place}: {set(value) - set(hints)} is not declared"
        missing = (set(hints) if is_whole else required(declaration)) - set(value)
        assert not missing, f"{place}: {missing} is missing"
        for key, entry in value.items():
            assert_is(entry, hints[key], f"{place}.{key}", is_whole=False)
    elif origin is list:
        assert isinstance(value, list), place
        for index, entry in enumerate(value):
            assert_is(entry, arguments[0], f"{place}[{index}]", is_whole=False)
    elif origin in (types.UnionType, typing.Union):
        assert any(_is(value, option, place) for option in arguments), f"{place}: {value!r}"
    elif origin is typing.Literal:
        assert value in arguments, place
    elif origin is dict:
        assert isinstance(value, dict), place
    elif declaration is not Any:
        allowed = (int, float) if declaration is float else (declaration,)
        assert isinstance(value, allowed), f"{place}: {value!r} is no {declaration.__name__}"


def required(declaration: Any) -> set[str]:
    """The keys that are always there; Python itself cannot tell when annotations are texts."""
    hints = get_type_hints(declaration, None, NAMES, include_extras=True)
    optional = {key for key, hint in hints.items() if typing.get_origin(hint) is typing.NotRequired}
    return set(hints) - optional if declaration.__total__ else set()


def _is(value: Any, declaration: Any, place: str) -> bool:
    try:
        assert_is(value, declaration, place, is_whole=False)
    except (AssertionError, TypeError):
        return False
    return True


@pytest.mark.parametrize(("name", "side"), [("kernel", KernelMessage), ("browser", BrowserMessage)])
def test_there_is_an_example_of_every_message_with_every_key(name: str, side: Any) -> None:
    wanted = declared(side)
    assert set(EXAMPLES[name]) == set(wanted)
    for kind, example in EXAMPLES[name].items():
        assert example["kind"] == kind
        assert_is(example, wanted[kind], kind, is_whole=True)


@pytest.mark.parametrize("kind", EXAMPLES["browser"])
def test_the_kernel_reads_every_example(kind: str) -> None:
    assert read_message(EXAMPLES["browser"][kind])["kind"] == kind


def test_the_example_of_an_edit_has_every_operation() -> None:
    assert {entry["op"] for entry in EXAMPLES["browser"]["edit"]["ops"]} == set(_OPERATIONS)


def test_what_the_hub_says_is_what_is_declared(live: Live) -> None:
    flow = live.flow()

    @flow.node
    def a(k: int = 1) -> int:
        return k

    browser = live.browser("f")
    live.browser("later")
    live.settle()
    browser.ask("run", flow="f")
    assert flow.last_run is not None
    assert flow.last_run.wait(30)
    browser.say("run", flow="f", cid="1")
    browser.say("set", flow="f", cid="2", node="a", name="k", value="x")
    live.settle()
    flow.move("a", 1, 1)
    live.settle()
    wanted = declared(KernelMessage)
    assert {message["kind"] for message in browser.messages} == {"hello", "lease", "batch", "ack", "reject"}
    for message in browser.messages:
        assert_is(message, wanted[message["kind"]], message["kind"], is_whole=False)


def test_a_message_that_lacks_a_key_or_says_too_much_is_found() -> None:
    """The comparison above is able to fail."""
    good = EXAMPLES["kernel"]["ack"]
    for bad in ({**good, "why": ""}, {"kind": "ack", "cid": "1", "flow": "f"}, {**good, "rev": "4"}):
        with pytest.raises(AssertionError):
            assert_is(bad, messages.Ack, "ack", is_whole=False)
