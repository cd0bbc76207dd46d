"""What nodes do to their inputs stays with them, and a run tells every copy it took."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

import flowbook as fb


def shared_flow() -> fb.Flow:
    """``made`` feeds ``changer``, which changes its input, and ``reader``."""
    flow = fb.Flow("shared")

    @flow.node
    def made() -> np.ndarray[Any, Any]:
        return np.zeros(1000)

    @flow.node
    def reader(made: np.ndarray[Any, Any], changer: float) -> float:
        return float(made.sum()) + changer

    return flow


@pytest.mark.parametrize("mutable", [True, ["made"], ("made",)])
def test_a_node_that_changes_its_input_gets_a_copy_that_is_counted(mutable: Any) -> None:
    flow = shared_flow()

    @flow.node(mutable=mutable)
    def changer(made: np.ndarray[Any, Any]) -> float:
        made += 1
        return float(made.sum())

    run = flow.run_sync()
    assert run["reader"] == 1000.0
    assert flow["made"].value.sum() == 0
    (copy,) = run.copies
    assert (copy.node, copy.input, copy.source) == ("changer", "made", "made.result")
    assert (copy.size_bytes, copy.reason) == (8000, "mutable=True")
    assert run.trace.counts()["copied_bytes"] == run.copies.size_bytes == 8000


def test_a_node_that_changes_its_input_without_saying_so_fails_and_is_told_what_to_type() -> None:
    flow = shared_flow()

    @flow.node
    def changer(made: np.ndarray[Any, Any]) -> float:
        made += 1
        return 0.0

    run = flow.run_sync(raise_errors=False)
    (error,) = run.errors
    assert error.node_id == "changer"
    assert "mutable=True" in error.hint
    assert flow["made"].value.sum() == 0


def test_mutable_names_inputs() -> None:
    flow = fb.Flow("wrong")
    for wrong in ("made", ["mad"]):
        with pytest.raises(fb.DefinitionError, match="names no input") as caught:

            @flow.node(mutable=wrong)
            def changer(made: np.ndarray[Any, Any]) -> float:
                return 0.0

        assert caught.value.code == "FB111"
        assert "made" in caught.value.hint


def converting_flow() -> fb.Flow:
    """A table with a bool column, read as a table and as an array."""
    flow = fb.Flow("converting")

    @flow.node
    def late() -> pl.DataFrame:
        return pl.DataFrame({"late": [True, False] * 500})

    @flow.node
    def kept(late: pl.DataFrame) -> pl.DataFrame:
        return late

    @flow.node
    def share(late: np.ndarray[Any, Any]) -> float:
        return float(late.mean())

    return flow


def test_a_run_lists_its_copies_with_hop_size_and_reason() -> None:
    run = converting_flow().run_sync()
    reason = "bool column 'late': bits become bytes"
    assert [(copy.node, copy.input, copy.size_bytes, copy.reason) for copy in run.copies] == [
        ("share", "late", 1000, reason)
    ]
    assert run.copies.hop_count == 2
    assert repr(run.copies) == f"1 copy, 1,000 bytes in 2 hops\n  late.result → share.late  1,000  {reason}"
    assert run.copies.table().to_dicts() == [
        {"node": "share", "input": "late", "source": "late.result", "size_bytes": 1000, "reason": reason}
    ]


def test_a_run_that_fires_nothing_copies_nothing() -> None:
    flow = converting_flow()
    flow.run_sync()
    again = flow.run_sync()
    assert again.copies == []
    assert repr(again.copies) == "0 copies in 0 hops"
    assert again.copies.table().columns == ["node", "input", "source", "size_bytes", "reason"]


def test_what_comes_from_the_notebook_has_no_source() -> None:
    flow = fb.Flow("given")

    @flow.node
    def total(values: pl.Series) -> float:
        return float(values.sum())

    run = flow.run_sync(inputs={"values": np.ones(10)})
    (copy,) = run.copies
    assert (copy.source, copy.size_bytes) == ("", 80)
    assert "the notebook → total.values" in repr(run.copies)
