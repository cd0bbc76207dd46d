"""The law of mapped flows: each item gives what the flow itself gives for it, whatever was edited inside and when."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from hypothesis import example, given

import flowbook as fb
from flowbook.errors import FlowbookError
from flowbook.runtime.letters import is_taken
from tests.runtime.random_flows import _STEPS, Lived, _do
from tests.strategies import NAMES, Shape, Step, examples, histories

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def hurried_threads() -> Iterator[None]:
    """Threads take turns so often that every order of events comes up."""
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(2e-5)
    yield
    sys.setswitchinterval(usual_s)


def edit(inner: Lived, steps: list[Step]) -> None:
    for step in steps:
        if step.kind in _STEPS and step.kind != "give":
            with contextlib.suppress(FlowbookError):
                _do(inner, step)


def source(n: int = 0) -> int:
    return n


def rows(u: object = None, path: str = "") -> pl.LazyFrame:
    """Two outputs of the flow depend on a file that is read lazily, one of them is lazy itself."""
    return pl.scan_csv(path).select(pl.col("a") + (u if isinstance(u, int) else 0))


def rows_too(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows.reverse()


def total(rows: pl.DataFrame) -> int:
    return int(rows["a"].sum())


def plain(value: Any) -> Any:
    return value.collect().rows() if isinstance(value, pl.LazyFrame) else value


def wanted_of(inner: Lived, item: int, others: dict[str, Any]) -> list[Any] | set[str]:
    """What the flow gives as an ordinary node that reads the item: its values, or in which words it may fail."""
    whole = fb.Flow("whole")
    whole.node(source)
    whole.add(inner.flow, "m", **others)
    whole.connect("source", "m.u")
    whole.set("source", n=item)
    run = whole.start()
    assert run.wait(60)
    failed = {
        f"{error.node_id}: {error.message}"
        for error in run.errors
        if not is_taken(run._execution, whole.plan.slots[whole.plan.index[error.node_id]])
    }
    if failed:
        return failed
    status = {span.node: span.status for span in run.trace.spans}
    ends = [whole.plan.nesting.exits["m", port.name] for port in whole["m"].node_type.outputs]
    missing = {f"'{node}' gave nothing" for node, _ in ends if status[node] != "ok"}
    return missing or [plain(run[".".join(end)]) for end in ends]


def check(inner: Lived, outer: fb.Flow, items: list[int]) -> None:
    """Compare what an incremental run gives for each item."""
    flow_type = outer.data.types["flow.lived"]
    if inner.flow.wiring.ambiguous or inner.flow.plan.cycle or flow_type.input("u") is None:
        return  # then it fails as a whole
    others = {port.name: 5 for port in flow_type.inputs if port.name != "u" and port.is_required}
    outer.set("m", u=items, **others)
    run = outer.start()
    assert run.wait(60)
    (span,) = run.trace.spans
    assert [(item.status == "failed") for item in span.items] == [item.error is not None for item in span.items]
    for place, item in enumerate(items):
        wanted = wanted_of(inner, item, others)
        found = [plain(run[f"m.{port.name}"][place]) for port in flow_type.outputs]
        if isinstance(wanted, set):
            packet = span.items[place].error
            assert packet is not None
            assert all(value is packet for value in found)
            assert any(packet.message.startswith(f"item {place}: {words}") for words in wanted), packet
        else:
            assert found == wanted
    if outer.plan.slots[0].policy.kind == "pure" and not any(item.error for item in span.items):
        assert outer.run_sync().recomputed == []


def lived(shapes: list[Shape]) -> tuple[Lived, fb.Flow]:
    inner, outer = Lived(NAMES), fb.Flow("outer")
    for name, shape in zip(NAMES, shapes, strict=False):
        # The first one takes the item; two outputs of one name would be ambiguous.
        inner.define(name, Shape(shape.ports | (not inner.code), shape.variant, 1))
    outer.add(inner.flow, "m", each="u")
    outer.set_policy("m", on_item_error="keep")
    return inner, outer


@pytest.mark.usefixtures("hurried_threads")
@given(histories)
# A constant of the whole is one of the node that takes it, and nothing that a bypassed node hands on.
@example(([Shape(0, 0, 1), Shape(0, 0, 1), Shape(1, 0, 1)], [Step("remove", 1, 0, 0), Step("bypass", 1, 0, 0)]))
@examples(100, soak=10_000)
def test_each_item_gives_what_the_flow_gives_for_it(history: tuple[list[Shape], list[Step]]) -> None:
    shapes, steps = history
    inner, outer = lived(shapes)
    edit(inner, steps[: len(steps) // 2])
    check(inner, outer, [0, 1, 2])
    edit(inner, steps[len(steps) // 2 :])
    check(inner, outer, [2, 0, 3])


def add_scans(inner: Lived, file: Path) -> None:
    for function in (rows, rows_too, total):
        inner.flow.node(function)
    inner.flow.set("rows", path=str(file))


def remove_scans(inner: Lived) -> None:
    for function in (total, rows_too, rows):
        inner.flow.remove(function.__name__)


@given(histories)
@examples(15, soak=1_000)
def test_it_does_when_a_file_that_is_read_lazily_has_changed(history: tuple[list[Shape], list[Step]]) -> None:
    shapes, steps = history
    inner, outer = lived(shapes)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "a.csv")
        for number, part in enumerate([[], steps[: len(steps) // 2], [], steps[len(steps) // 2 :]]):
            file.write_text("a\n" + "1\n" * (number + 1))
            if part:  # edits know nothing of the nodes that read the file
                remove_scans(inner)
                edit(inner, part)
            if "rows" not in inner.flow:
                add_scans(inner, file)
            check(inner, outer, [0, 1, 2])
