"""What a node enters with ``ctx.enter`` is opened once, kept for its next firings, and left exactly once, always."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import flowbook as fb
from flowbook.runtime.run_state import RunState
from tests.runtime.call_counts import calls, count

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

_gates: dict[str, threading.Event] = {}


@pytest.fixture(autouse=True)
def no_calls() -> None:
    """Start counting anew, once what earlier tests have opened is closed."""
    until(lambda: gc.collect() >= 0 and open_count() == 0)
    calls.clear()
    _gates.clear()


@contextlib.contextmanager
def model() -> Iterator[str]:
    """Something that has to be closed."""
    number = count("opened")
    try:
        yield f"model {number}"
    finally:
        count("closed")


@contextlib.asynccontextmanager
async def client() -> AsyncIterator[str]:
    """Something that has to be closed on a loop."""
    number = count("opened")
    try:
        yield f"client {number}"
    finally:
        await asyncio.sleep(0)
        count("closed")


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def open_count() -> int:
    return calls.get("opened", 0) - calls.get("closed", 0)


def using(flow: fb.Flow, **policy: Any) -> None:
    """Put a node into the flow that uses a model and fails when it is told to."""

    @flow.node(name="score", kind="io", **policy)
    def score(ctx: fb.Context, fails: bool = False) -> str:
        held = ctx.enter(model)
        assert ctx.enter(model) is held
        if fails:
            raise OSError
        return held


def using_async(flow: fb.Flow, **policy: Any) -> None:
    """Do the same on the loop."""

    @flow.node(name="score", kind="io", **policy)
    async def score(ctx: fb.Context, fails: bool = False) -> str:
        held = await ctx.enter_async(client)
        assert await ctx.enter_async(client) is held
        if fails:
            raise OSError
        return held


both = pytest.mark.parametrize(("use", "word"), [(using, "model"), (using_async, "client")])


@both
def test_it_is_opened_once_and_kept_from_run_to_run(use: Callable[..., None], word: str) -> None:
    flow = fb.Flow("held")
    use(flow)
    assert [flow.run_sync()["score"] for _ in range(3)] == [f"{word} 1"] * 3
    assert calls == {"opened": 1}


@both
def test_a_failed_attempt_leaves_it_and_the_next_one_opens_it_anew(use: Callable[..., None], word: str) -> None:
    flow = fb.Flow("held")
    use(flow, retry=fb.Retry(max_attempts=3, delay_s=0))
    flow.set("score", fails=True)
    flow.run_sync(raise_errors=False)
    assert calls == {"opened": 3, "closed": 3}
    flow.set("score", fails=False)
    assert flow.run_sync()["score"] == f"{word} 4"


@both
@pytest.mark.parametrize("how", ["redefine", "undefine", "remove", "forget the flow"])
def test_it_is_left_when_the_node_is_another_or_gone(use: Callable[..., None], word: str, how: str) -> None:
    flow: fb.Flow | None = fb.Flow("held")
    assert flow is not None
    use(flow)
    flow.run_sync()
    use(flow)  # the same cell, run again
    assert open_count() == 1
    if how == "redefine":

        @flow.node
        def score() -> int:
            return 1

    elif how == "undefine":
        flow.undefine("score")
    elif how == "remove":
        flow.remove("score")
    else:
        flow = None
    # The thread that ended the run may hold it a moment longer.
    until(lambda: (gc.collect(), calls == {"opened": 1, "closed": 1})[1])


def test_items_that_are_fired_at_once_enter_it_once_together() -> None:
    flow = fb.Flow("mapped")

    @contextlib.asynccontextmanager
    async def slow() -> AsyncIterator[str]:
        number = count("asked")
        await asyncio.sleep(0)
        if number == 1:
            raise OSError
        count("opened")
        yield "it"
        count("closed")

    @flow.node
    async def use(k: fb.each[int], ctx: fb.Context) -> str:
        with contextlib.suppress(OSError):
            await ctx.enter_async(slow)
        return await ctx.enter_async(slow)

    assert flow.run_sync(inputs={"k": list(range(6))})["use"] == ["it"] * 6
    assert calls == {"asked": 2, "opened": 1}
    flow.remove("use")
    assert calls == {"asked": 2, "opened": 1, "closed": 1}


def test_it_follows_a_renamed_node_and_goes_with_a_helper_that_changes() -> None:
    flow = fb.Flow("held")
    space: dict[str, Any] = {"fb": fb, "model": model, "shift": lambda text: text}

    def define() -> None:
        code = "def score(ctx: fb.Context) -> str:\n    return shift(ctx.enter(model))\n"
        exec(code, space)  # noqa: S102 -- as a cell does
        flow.node(name="score", kind="io")(space["score"])

    define()
    assert flow.run_sync()["score"] == "model 1"
    flow.rename("score", "mark")
    assert flow.run_sync()["mark"] == "model 1"
    space["shift"] = lambda text: text.upper()
    assert flow.run_sync()["mark"] == "MODEL 2"
    assert calls == {"opened": 2, "closed": 1}


def test_an_async_node_of_new_code_leaves_what_the_old_code_entered_on_its_own_loop() -> None:
    flow = fb.Flow("loop")
    space: dict[str, Any] = {"fb": fb, "client": client, "shift": lambda text: text}
    code = "async def score(ctx: fb.Context) -> str:\n    return shift(await ctx.enter_async(client))\n"
    exec(code, space)  # noqa: S102 -- as a cell does
    flow.node(name="score", kind="io")(space["score"])
    assert flow.run_sync()["score"] == "client 1"
    space["shift"] = lambda text: text.upper()
    began = time.monotonic()
    assert flow.run_sync()["score"] == "CLIENT 2"
    until(lambda: calls == {"opened": 2, "closed": 1})
    assert time.monotonic() - began < 4  # waiting for itself would have taken five seconds


def test_a_firing_that_overran_leaves_it_only_when_it_returns() -> None:
    flow = fb.Flow("late")
    _gates.update(begun=threading.Event(), go=threading.Event())

    @flow.node(timeout_s=0.05)
    def late(ctx: fb.Context) -> int:
        ctx.enter(model)
        _gates["begun"].set()
        _gates["go"].wait(30)
        return 1

    run = flow.run_sync(raise_errors=False)
    assert _gates["begun"].is_set()
    assert (run.errors[0].code, open_count()) == ("FB404", 1)
    flow.remove("late")
    assert open_count() == 1
    _gates["go"].set()
    until(lambda: open_count() == 0)


def test_no_item_shares_it_with_an_attempt_that_overran() -> None:
    flow = fb.Flow("late")
    _gates["go"] = threading.Event()

    @flow.node(timeout_s=0.3, retry=fb.Retry(max_attempts=5, delay_s=0), kind="io")
    def late(ctx: fb.Context, n: fb.each[int]) -> str:
        held = ctx.enter(model)
        if held == "model 1":
            _gates["go"].wait(30)
        return held

    (value,) = flow.run_sync(inputs={"n": [1]})["late"]
    assert value != "model 1"
    assert value == f"model {calls['opened']}"
    _gates["go"].set()
    flow.remove("late")
    until(lambda: open_count() == 0)


@pytest.mark.parametrize("how", ["remove", "document", "redefine", "around"])
def test_it_is_left_without_the_lock_of_the_flow(how: str) -> None:
    flow = fb.Flow("locked")
    seen: list[bool] = []

    @contextlib.contextmanager
    def asking() -> Iterator[int]:
        yield count("opened")
        asked = threading.Thread(target=lambda: seen.append(flow.lock.acquire(timeout=20)), daemon=True)
        asked.start()
        asked.join(20)
        count("closed")

    @flow.node(kind="io")
    def score(ctx: fb.Context) -> int:
        return ctx.enter(asking)

    flow.run_sync()
    if how == "remove":
        flow.remove("score")
    elif how == "document":
        flow.replace_document('{"flowbook": "1", "id": "locked"}')
    elif how == "redefine":

        @flow.node(name="score", kind="io")
        def score_too() -> int:
            return 2

    else:
        with flow.lock:
            flow.remove("score")
    until(lambda: open_count() == 0)
    assert seen == [True]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_cancelled_firing_leaves_it(is_async: bool) -> None:
    flow = fb.Flow("cancelled")
    _gates["begun"] = threading.Event()

    @flow.node(name="waits")
    def waits(ctx: fb.Context) -> None:
        ctx.enter(model)
        _gates["begun"].set()
        ctx.wait(30)

    if is_async:

        @flow.node(name="waits")
        async def waits_too(ctx: fb.Context) -> None:
            await ctx.enter_async(client)
            _gates["begun"].set()
            await asyncio.sleep(30)

    run = flow.start()
    assert _gates["begun"].wait(30)
    run.cancel()
    assert run.wait(30)
    until(lambda: calls == {"opened": 1, "closed": 1})


def test_what_cannot_be_left_is_logged_and_keeps_nothing_else_open(caplog: pytest.LogCaptureFixture) -> None:
    flow = fb.Flow("stubborn")

    @contextlib.contextmanager
    def stubborn() -> Iterator[int]:
        yield 1
        message = "will not close"
        raise OSError(message)

    @flow.node
    def both(ctx: fb.Context) -> int:
        ctx.enter(model)
        return ctx.enter(stubborn)

    assert flow.run_sync()["both"] == 1
    flow.remove("both")
    assert open_count() == 0
    assert "'both' could not leave a resource" in caplog.text


def test_what_cannot_be_opened_fails_the_node_and_is_not_left() -> None:
    flow = fb.Flow("broken")

    @contextlib.contextmanager
    def broken() -> Iterator[int]:
        if count("broken"):
            raise OSError
        yield 1

    @flow.node
    def tries(ctx: fb.Context) -> int:
        ctx.enter(model)
        return ctx.enter(broken)

    assert flow.run_sync(raise_errors=False).errors[0].message == "OSError"
    assert calls == {"opened": 1, "closed": 1, "broken": 1}


KERNEL = """
import contextlib
import flowbook as fb

@contextlib.contextmanager
def model():
    yield 1
    open("/dev/stdout", "w").write("closed\\n")

flow = fb.flow("ends")

@flow.node
def score(ctx: fb.Context) -> int:
    return ctx.enter(model)

@flow.node
async def soon(ctx: fb.Context) -> int:
    return await ctx.enter_async(later)

@contextlib.asynccontextmanager
async def later():
    yield 2
    open("/dev/stdout", "w").write("closed later\\n")

run = flow.run_sync()
assert (run["score"], run["soon"]) == (1, 2)
open("/dev/stdout", "w").write("end\\n")
"""


def test_the_end_of_the_kernel_leaves_everything(tmp_path: Any) -> None:
    script = tmp_path / "kernel.py"
    script.write_text(KERNEL)
    ended = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True, timeout=60)
    assert ended.stdout.splitlines()[0] == "end"
    assert sorted(ended.stdout.splitlines()[1:]) == ["closed", "closed later"]


# -- what a run shares


def test_the_nodes_of_a_run_share_a_state_that_begins_empty() -> None:
    flow = fb.Flow("shared")

    @fb.node(name="shared_adder", kind="stateful")
    def add(ctx: fb.Context, n: int) -> int:
        ctx.state.setdefault("seen", []).append(n)
        for _ in range(50):
            ctx.state.change("sum", lambda total: total + n, 0)
        return n

    for number in range(12):
        flow.add(add, f"n{number}", n=number)

    space: dict[str, Any] = {"fb": fb}
    names = ", ".join(f"n{number}" for number in range(12))
    code = f"def last(ctx: fb.Context, {names}):\n    return ctx.state['sum'], sorted(ctx.state['seen'])\n"
    exec(code, space)  # noqa: S102 -- a node with twelve inputs
    flow.node(kind="io")(space["last"])
    for _ in range(2):
        assert flow.run_sync()["last"] == (50 * sum(range(12)), list(range(12)))


def test_nobody_comes_between_reading_and_writing_in_one() -> None:
    state, inside, is_written = RunState(), threading.Event(), threading.Event()

    def write() -> None:
        inside.wait(30)
        state["n"] = "written"
        is_written.set()

    def change(value: Any) -> tuple[Any, bool]:
        inside.set()
        return value, is_written.wait(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    assert state.change("n", change, "start") == ("start", False)
    writer.join(30)
    assert dict(state) == {"n": "written"}


def test_a_pure_node_is_refused_the_state_with_the_way_to_go() -> None:
    flow = fb.Flow("pure")

    @flow.node
    def pure(ctx: fb.Context) -> int:
        return len(ctx.state)

    (error,) = flow.run_sync(raise_errors=False).errors
    assert (error.code, 'kind="stateful"' in error.hint) == ("FB414", True)


def test_a_process_of_its_own_shares_nothing() -> None:
    flow = fb.Flow("alone")

    @flow.node(isolation="process", kind="io")
    def alone(ctx: fb.Context) -> int:
        return len(ctx.state)

    (error,) = flow.run_sync(raise_errors=False).errors
    assert error.code == "FB426"  # FB425 is for memory that is not there
