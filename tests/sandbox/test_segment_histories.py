"""Published, handed on, dropped, killed in any order: values stay what they were, and memory is found again."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
from typing import Any

import numpy as np
import polars as pl
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from flowbook.data.packing import TablePacking
from flowbook.errors import RunError
from flowbook.sandbox.process_pool import ProcessPool
from tests.sandbox.kit import call, is_running, wait_until
from tests.strategies import examples

MIB = 1024**2
MOST_BYTES = 48 * MIB
COUNTS = st.sampled_from([140_000, 40_000, 400_000, 3])
RARELY = st.sampled_from([0, 0, 0, 1])
KINDS = st.sampled_from(["own", "array", "frame", "series", "lazy", "list"])
MAKE = """
    def f(n, count, kind, context):
        import numpy as np, polars as pl
        x = context.empty(count) if kind in ("own", "series") else np.empty(count)
        x[:] = n
        if kind == "frame":
            return pl.DataFrame({"x": x, "t": ["text %d" % n] * count})
        return {"series": lambda: pl.Series("x", x), "lazy": lambda: pl.LazyFrame({"x": x}),
                "list": lambda: [x[::2], {"x": x[1:]}, n]}.get(kind, lambda: x)()
"""


def numbers(value: Any) -> set[float]:
    """Say which numbers a value holds; it was made of one."""
    if isinstance(value, np.ndarray):
        return set(value[:: max(1, len(value) // 7)].tolist())
    if isinstance(value, list):
        return numbers(value[0]) | numbers(value[1]["x"])
    if isinstance(value, pl.LazyFrame):
        value = value.collect()
    column = value["x"] if isinstance(value, pl.DataFrame) else value
    return set(column.gather_every(max(1, len(column) // 7)).to_list())


class Histories(RuleBasedStateMachine):
    """Two workers, and a cap that is met now and then."""

    values = Bundle("values")
    pool: ProcessPool | None = None

    @initialize()
    def begin(self) -> None:
        if Histories.pool is None:
            preload = ["polars", "numpy", "flowbook.data.packing"]
            Histories.pool = ProcessPool(preload, most_workers=2, packing=TablePacking(), most_shared_bytes=MOST_BYTES)
        self.held: dict[int, tuple[Any, int]] = {}
        self.made_count = 0

    def call(self, function: str, **arguments: Any) -> Any:
        assert Histories.pool is not None
        return call(Histories.pool, function, **arguments)

    def keep(self, value: Any, number: int) -> Any:
        key = self.made_count = self.made_count + 1
        self.held[key] = (value, number)
        return key

    @rule(target=values, count=COUNTS, kind=KINDS)
    def publish(self, count: int, kind: str) -> Any:
        number = self.made_count + 1  # another one each time
        try:
            value = self.call(MAKE, n=number, count=count, kind=kind, context_name="context")
        except RunError as error:
            if error.code == "FB425":
                return multiple()
            raise
        return self.keep(value, number)

    @rule(target=values, source=values, part=st.sampled_from(["x", "x[1:]", "x[::3]"]))
    def hand_on(self, source: int, part: str) -> Any:
        if source not in self.held:
            return multiple()
        value, number = self.held[source]
        sliceable = isinstance(value, np.ndarray | pl.Series)
        try:
            back = self.call(f"def f(x):\n    return {part if sliceable else 'x'}", x=value)
        except RunError as error:
            if error.code == "FB425":
                return multiple()
            raise
        return self.keep(back, number)

    @rule(target=values, source=values, copies=st.booleans())
    def share(self, source: int, copies: bool) -> Any:
        """Put a value where every process sees it; one that was copied here before has to be written there."""
        if source not in self.held or Histories.pool is None:
            return multiple()
        value, number = self.held[source]
        if copies and isinstance(value, np.ndarray):
            value = value.copy()
        return self.keep(Histories.pool.share(value).value, number)

    @rule(source=values)
    def drop(self, source: int) -> None:
        self.held.pop(source, None)

    @rule(source=values)
    def keep_in_worker(self, source: int) -> None:
        """The worker goes on looking at an input, until it is made to let go."""
        with contextlib.suppress(RunError):
            self.call("def f(x):\n    import builtins\n    builtins.kept = x", x=self.held.get(source))

    @rule()
    def let_go_in_worker(self) -> None:
        self.call("def f():\n    import builtins, gc\n    builtins.kept = None\n    gc.collect()")

    @rule(is_rare=RARELY)
    def kill_idle(self, is_rare: int) -> None:
        assert Histories.pool is not None
        for worker in Histories.pool.worker_ids[:is_rare]:
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda worker=worker: not is_running(worker))  # type: ignore[misc]

    @rule(source=values, is_rare=RARELY)
    def kill_in_call(self, source: int, is_rare: int) -> None:
        if not is_rare:
            return
        text = """
            def f(x, context):
                import os
                context.empty(50_000)[:] = 1
                os.kill(os.getpid(), 9)
        """
        with contextlib.suppress(RunError):
            self.call(text, x=self.held.get(source), context_name="context")

    @invariant()
    def every_value_is_what_it_was(self) -> None:
        for value, number in getattr(self, "held", {}).values():
            assert numbers(value) <= {number}

    @invariant()
    def no_more_memory_than_allowed(self) -> None:
        if Histories.pool is not None:
            assert Histories.pool.shared_bytes <= MOST_BYTES

    def teardown(self) -> None:
        self.held.clear()
        gc.collect()
        assert Histories.pool is not None
        for worker in Histories.pool.worker_ids:
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda worker=worker: not is_running(worker))  # type: ignore[misc]
        self.call("def f():\n    pass")
        kept = MOST_BYTES // 4
        wait_until(lambda: Histories.pool is not None and Histories.pool.shared_bytes <= kept)


Histories.TestCase.settings = settings(examples(8, soak=300), stateful_step_count=30)
TestHistories = Histories.TestCase


def teardown_module() -> None:
    if Histories.pool is not None:
        Histories.pool.close()
        Histories.pool = None
