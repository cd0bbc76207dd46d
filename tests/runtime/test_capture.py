# ruff: noqa: T201  (printing is what is tested)
"""What a firing writes lands on that firing, whatever thread, task or logger it took; everything else is left alone."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from flowbook.core.interfaces import Effects
from flowbook.runtime.capture import StreamCapture, current_effects, outside_firings
from flowbook.session import session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def only_the_capture_under_test() -> Iterator[None]:
    """A flow of an earlier test has installed the capture of this process for good; it steps aside."""
    engine = session._engine
    if engine is None or not isinstance(engine.capture, StreamCapture):
        yield
        return
    engine.capture.uninstall()
    yield
    engine.capture.install()


@dataclass
class Process:
    """A capture, and the console it stands before."""

    capture: StreamCapture
    out: io.StringIO
    err: io.StringIO


@contextlib.contextmanager
def process(capture: StreamCapture | None = None) -> Iterator[Process]:
    """Install a capture (as in a notebook, if none is given) before plain streams in place of pytest's.

    No fixture: pytest swaps the streams between the set-up of a test and the test.
    """
    out, err = io.StringIO(), io.StringIO()
    capture = capture or StreamCapture(passes_through=False)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), capture.installed():
        yield Process(capture, out, err)


def bare_logger() -> logging.Logger:
    """A logger as Python starts with: level WARNING, no handlers; a private one, so that pytest's are not called."""
    return logging.Logger("bare", logging.WARNING)  # noqa: LOG001


def written(effects: Effects, stream: str) -> str:
    return "".join(text for each, text in effects.entries if each == stream)


def test_a_firing_keeps_what_it_prints_and_the_rest_passes() -> None:
    with process() as here:
        effects = Effects()
        print("before")
        with here.capture.firing(effects):
            print("inside", 1)
            print("oh", file=sys.stderr)
            sys.stdout.writelines(["a\n", "b\n"])
        print("after")
        assert effects.entries == [("stdout", "inside 1\n"), ("stderr", "oh\n"), ("stdout", "a\n"), ("stdout", "b\n")]
        assert here.out.getvalue() == "before\nafter\n"
        assert here.err.getvalue() == ""


def test_in_a_script_the_text_is_also_seen() -> None:
    effects = Effects()
    with process(StreamCapture()) as here, here.capture.firing(effects):
        print("seen")
        bare_logger().warning("once")
    assert effects.entries == [("stdout", "seen\n"), ("log", "WARNING bare: once")]
    assert here.out.getvalue() == "seen\n"
    assert here.err.getvalue() == "once\n"


def _in_thread(say: Callable[[], None]) -> None:
    thread = threading.Thread(target=say)
    thread.start()
    thread.join()


def _in_thread_of_thread(say: Callable[[], None]) -> None:
    _in_thread(lambda: _in_thread(say))


def _in_thread_subclass(say: Callable[[], None]) -> None:
    class Speaker(threading.Thread):
        def run(self) -> None:
            say()

    speaker = Speaker()
    speaker.start()
    speaker.join()


def _in_timer(say: Callable[[], None]) -> None:
    timer = threading.Timer(0, say)
    timer.start()
    timer.join()


def _in_own_pool(say: Callable[[], None]) -> None:
    with ThreadPoolExecutor(2) as pool:
        pool.submit(say).result()
        list(pool.map(lambda _: None, range(3)))


def _in_to_thread(say: Callable[[], None]) -> None:
    asyncio.run(asyncio.to_thread(say))


def _in_run_in_executor(say: Callable[[], None]) -> None:
    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(None, say)

    asyncio.run(main())


def _in_task(say: Callable[[], None]) -> None:
    async def main() -> None:
        async def speak() -> None:
            say()

        await asyncio.gather(speak(), asyncio.create_task(speak()))

    asyncio.run(main())


@pytest.mark.parametrize(
    "run",
    [
        _in_thread,
        _in_thread_of_thread,
        _in_thread_subclass,
        _in_timer,
        _in_own_pool,
        _in_to_thread,
        _in_run_in_executor,
        _in_task,
    ],
)
def test_threads_pool_tasks_and_coroutines_of_a_node_belong_to_its_firing(
    run: Callable[[Callable[[], None]], None],
) -> None:
    with process() as here:
        effects = Effects()
        with here.capture.firing(effects):
            run(lambda: print("said"))
        assert set(effects.entries) == {("stdout", "said\n")}
        assert here.out.getvalue() == ""


def test_a_shared_pool_serves_each_firing_as_that_firing() -> None:
    with process() as here:
        first, second = Effects(), Effects()
        with ThreadPoolExecutor(1) as pool:
            with here.capture.firing(first):
                pool.submit(print, "one").result()  # the worker thread is started in here
            with here.capture.firing(second):
                pool.submit(print, "two").result()
            pool.submit(print, "nobody").result()
        assert (first.entries, second.entries) == ([("stdout", "one\n")], [("stdout", "two\n")])
        assert here.out.getvalue() == "nobody\n"


def test_a_thread_that_outlives_its_firing_still_writes_to_it_and_says_so() -> None:
    told: list[Effects] = []
    effects = Effects()
    goes_on, is_done = threading.Event(), threading.Event()

    def late() -> None:
        goes_on.wait()
        print("late")
        is_done.set()

    with StreamCapture(passes_through=False, on_late=told.append).installed() as capture:
        with capture.firing(effects):
            threading.Thread(target=late).start()
            print("early")
        assert told == []
        goes_on.set()
        is_done.wait()
    assert effects.entries == [("stdout", "early\n"), ("stdout", "late\n")]
    assert told
    assert told[0] is effects


def test_threads_started_outside_firings_belong_to_nobody() -> None:
    with process() as here:
        effects = Effects()
        with here.capture.firing(effects), outside_firings():
            assert current_effects() is None
            _in_thread(lambda: print("engine"))
        assert effects.entries == []
        assert here.out.getvalue() == "engine\n"


def test_eight_firings_at_once_keep_apart() -> None:
    with process() as here:
        everybody = threading.Barrier(8)
        kept = [Effects() for _ in range(8)]

        def node(number: int) -> None:
            with here.capture.firing(kept[number]):
                for turn in range(20):
                    everybody.wait()
                    print("node", number, "turn", turn)
                    logging.getLogger(f"node{number}").warning("turn %d", turn)
                    warnings.warn(f"node {number} turn {turn}", UserWarning, stacklevel=1)
                    print("oh", number, file=sys.stderr)

        with warnings.catch_warnings():
            warnings.simplefilter("always")
            threads = [threading.Thread(target=node, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for number, effects in enumerate(kept):
            assert effects.entries == [
                entry
                for turn in range(20)
                for entry in (
                    ("stdout", f"node {number} turn {turn}\n"),
                    ("log", f"WARNING node{number}: turn {turn}"),
                    ("warning", f"UserWarning: node {number} turn {turn}"),
                    ("stderr", f"oh {number}\n"),
                )
            ]
        assert here.out.getvalue() == here.err.getvalue() == ""


def test_lines_of_two_threads_of_one_firing_do_not_mix() -> None:
    with process() as here:
        effects = Effects()
        both = threading.Barrier(2)

        def speak(word: str) -> None:
            for _ in range(50):
                both.wait()
                print(word, word, word)

        with here.capture.firing(effects):
            threads = [threading.Thread(target=speak, args=(word,)) for word in ("a", "b")]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert sorted(effects.entries) == [("stdout", "a a a\n")] * 50 + [("stdout", "b b b\n")] * 50


def test_a_progress_bar_is_one_line() -> None:
    with process() as here:
        effects = Effects()
        with here.capture.firing(effects):
            for share in range(0, 101, 10):
                print(f"\r{share}%", end="", file=sys.stderr)
            print(file=sys.stderr)
            for share in range(0, 101, 10):
                print(f"{share}%", end="\r")
            print("done")
        assert effects.entries == [("stderr", "100%\n"), ("stdout", "done\n")]


# ----------------------------------------------------------------------------------------------------------- logging


def test_a_record_is_noted_once_even_when_nobody_configured_logging() -> None:
    with process() as here:
        effects, bare_logging = Effects(), bare_logger()
        with here.capture.firing(effects):
            bare_logging.warning("careful with %s", "this")
            bare_logging.info("below the level")
            try:
                _ = 1 / 0
            except ZeroDivisionError:
                bare_logging.exception("no")
        assert [stream for stream, _ in effects.entries] == ["log", "log"]
        assert effects.entries[0] == ("log", "WARNING bare: careful with this")
        assert effects.entries[1][1].startswith("ERROR bare: no\nTraceback")
        assert here.err.getvalue() == ""
        bare_logging.warning("outside")
        assert here.err.getvalue() == "outside\n"  # logging's last resort, as ever


def test_a_console_handler_made_before_does_not_leak_and_others_are_called() -> None:
    logger = logging.getLogger("with.console")
    file, stderr = io.StringIO(), io.StringIO()
    effects = Effects()
    with contextlib.redirect_stderr(stderr):
        console = logging.StreamHandler()
        logger.handlers = [console, logging.StreamHandler(file)]
        with StreamCapture(passes_through=False).installed() as capture:
            with capture.firing(effects):
                logger.error("inside")
            logger.error("outside")
    logger.handlers = []
    assert effects.entries == [("log", "ERROR with.console: inside")]
    assert stderr.getvalue() == "outside\n"
    assert file.getvalue() == "inside\noutside\n"
    assert console.stream is stderr


def test_a_record_with_a_bad_format_is_noted_as_it_is() -> None:
    with process() as here:
        effects = Effects()
        with here.capture.firing(effects):
            bare_logger().warning("%d", "x")
        assert effects.entries[0] == ("log", "WARNING bare: %d")


# -------------------------------------------------------------------------------------------------------- the bounds


def test_a_firing_that_writes_too_much_is_cut_and_told_how_much() -> None:
    effects = Effects()
    with StreamCapture(passes_through=False, max_entries=3).installed() as capture, capture.firing(effects):
        for number in range(10):
            print(number)
    assert effects.entries == [("stdout", "0\n"), ("stdout", "1\n"), ("stdout", "2\n")]
    assert effects.dropped_count == 7


def test_text_is_bounded_too() -> None:
    effects = Effects()
    with StreamCapture(passes_through=False, max_chars=10).installed() as capture, capture.firing(effects):
        print("x" * 25)
        print("y")
    assert written(effects, "stdout") == "x" * 10
    assert effects.dropped_count == 2


def test_an_endless_line_stays_cheap_and_bounded() -> None:
    with process() as here:
        effects = Effects()
        with here.capture.firing(effects):
            for _ in range(30_000):
                print("x", end="")
        assert written(effects, "stdout") == "x" * 30_000
        assert max(len(text) for _, text in effects.entries) < 10_000


# ------------------------------------------------------------------------------------------- living beside others


def test_installing_nests_and_puts_everything_back() -> None:
    def hooked() -> list[object]:
        return [
            sys.stdout,
            sys.stderr,
            warnings.showwarning,
            threading.Thread.start,
            ThreadPoolExecutor.submit,
            logging.Logger.callHandlers,
        ]

    before = hooked()
    capture, other = StreamCapture(), StreamCapture()
    capture.install()
    during = hooked()
    assert all(ours is not theirs for ours, theirs in zip(during, before, strict=True))
    capture.install()
    other.install()
    assert hooked() == during
    capture.uninstall()
    capture.uninstall()
    capture.uninstall()  # one too many
    assert hooked() == during
    other.uninstall()
    assert hooked() == before


def test_a_stream_that_is_swapped_for_a_while_is_captured_and_comes_back() -> None:
    with process() as here:
        proxy = sys.stdout
        effects, swapped = Effects(), io.StringIO()
        with contextlib.redirect_stdout(swapped):
            print("to the swapped one")
            with here.capture.firing(effects):
                print("to the firing")
        assert sys.stdout is proxy
        assert swapped.getvalue() == "to the swapped one\n"
        with here.capture.firing(effects):
            print("again")
        assert effects.entries == [("stdout", "to the firing\n"), ("stdout", "again\n")]
        assert sys.stdout is proxy  # and not one more around it each time


def test_catching_warnings_around_a_run_changes_nothing_for_good() -> None:
    with process() as here:
        hook = warnings.showwarning
        effects = Effects()
        for _ in range(2):
            with warnings.catch_warnings(record=True) as caught, here.capture.firing(effects):
                warnings.simplefilter("always")
                warnings.warn("in the node", UserWarning, stacklevel=1)
            assert caught == []
        assert warnings.showwarning is hook
        assert effects.entries == [("warning", "UserWarning: in the node")] * 2


def test_a_stream_that_copies_into_the_proxy_does_not_double_the_text() -> None:
    class Tee(io.StringIO):
        def __init__(self, inner: object) -> None:
            super().__init__()
            self.inner = inner

        def write(self, text: str) -> int:
            self.inner.write(text)  # type: ignore[attr-defined]
            return super().write(text)

    effects = Effects()
    with process(StreamCapture()) as here:
        tee = Tee(sys.stdout)
        with contextlib.redirect_stdout(tee), here.capture.firing(effects):
            print("once")
    assert effects.entries == [("stdout", "once\n")]
    assert tee.getvalue() == here.out.getvalue() == "once\n"


def test_a_cell_that_patches_write_and_restores_it_undoes_nothing() -> None:
    with process() as here:
        history: list[str] = []
        original = sys.stdout.write

        def write(text: str) -> int:
            history.append(text)
            return original(text)

        effects = Effects()
        sys.stdout.write = write  # type: ignore[method-assign]  # as IPython does around every cell
        print("cell")
        with here.capture.firing(effects):
            print("node")
        sys.stdout.write = original  # type: ignore[method-assign]
        with here.capture.firing(effects):
            print("node")
        assert effects.entries == [("stdout", "node\n")] * 2
        assert here.out.getvalue() == "cell\n"
        assert "cell" in history


def test_the_proxy_is_the_stream_in_everything_but_writing() -> None:
    class Stream(io.StringIO):
        color = "green"

        def fileno(self) -> int:
            return 17

    with pytest.MonkeyPatch.context() as patch:
        stream = Stream()
        patch.setattr(sys, "stdout", stream)
        with StreamCapture().installed():
            assert sys.stdout.fileno() == 17
            assert not sys.stdout.isatty()
            assert sys.stdout.color == "green"  # type: ignore[union-attr]
            assert not hasattr(sys.stdout, "reconfigure")
            sys.stdout.color = "red"  # type: ignore[union-attr]
            assert stream.color == "red"
            with pytest.raises(TypeError):
                sys.stdout.write(5)  # type: ignore[arg-type]
        assert sys.stdout is stream


def test_a_firing_in_a_firing_keeps_its_own_and_gives_back() -> None:
    with process() as here:
        outer, inner = Effects(), Effects()
        with here.capture.firing(outer):
            print("outer")
            with here.capture.firing(inner):
                assert current_effects() is inner
                print("inner")
            print("outer again")
        assert outer.entries == [("stdout", "outer\n"), ("stdout", "outer again\n")]
        assert inner.entries == [("stdout", "inner\n")]
        assert current_effects() is None


def test_a_firing_that_raises_gives_back_too() -> None:
    with process() as here:
        effects = Effects()
        with contextlib.suppress(ValueError), here.capture.firing(effects):
            print("so far")
            raise ValueError
        assert current_effects() is None
        assert effects.entries == [("stdout", "so far\n")]


def test_without_hooks_a_firing_runs_and_records_nothing() -> None:
    effects = Effects()
    with contextlib.redirect_stdout(io.StringIO()) as out, StreamCapture().firing(effects):
        print("plain")
    assert effects.entries == []
    assert out.getvalue() == "plain\n"
