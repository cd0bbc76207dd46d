"""What a person types wrongly is refused in words, with a code and what to type instead."""

from __future__ import annotations

import polars as pl
import pytest
import traitlets

import flowbook as fb
from flowbook.errors import DefinitionError, StoreError, UnknownIdError


@pytest.fixture
def flow() -> fb.Flow:
    """A flow of three nodes, wired by their names."""
    made = fb.Flow("flights")

    @made.node
    def flights() -> pl.LazyFrame:
        return pl.LazyFrame({"delay": [1, 20, 70]})

    @made.node
    def late(flights: pl.LazyFrame, min_minutes: int = 15) -> pl.LazyFrame:
        return flights.filter(pl.col("delay") >= min_minutes)

    @made.node
    def count(late: pl.DataFrame) -> int:
        return late.height

    return made


def test_a_number_is_no_table(flow: fb.Flow) -> None:
    before = flow.document()
    with pytest.raises(DefinitionError, match="late=5 is not a table") as caught:
        flow.set("count", late=5)
    assert caught.value.code == "FB103"
    assert "'count'" in caught.value.where
    assert "flow.run(inputs={'late': …})" in caught.value.hint
    assert flow.document() == before
    assert flow.run_sync()["count"] == 2


@pytest.mark.parametrize(
    "annotation", ["pl.LazyFrame", "pl.Series", "np.ndarray", "list[pl.DataFrame]", "fb.each[pl.DataFrame]"]
)
@pytest.mark.parametrize("value", [5, "text", [1, 2], {"a": [1]}], ids=["number", "text", "list", "dict"])
def test_no_json_value_is_a_table_a_series_or_an_array(annotation: str, value: object) -> None:
    flow = fb.Flow("f")

    def take(x: object) -> object:
        return x

    take.__annotations__["x"] = annotation
    flow.add(take)
    with pytest.raises(DefinitionError, match="is not a"):
        flow.set("take", x=value)


def test_none_is_what_an_optional_table_takes() -> None:
    flow = fb.Flow("f")

    @flow.node
    def rows(table: pl.DataFrame | None) -> int:
        return -1 if table is None else table.height

    flow.set("rows", table=None)
    assert flow.run_sync()["rows"] == -1


def test_a_document_with_such_a_value_is_found_by_check_and_fails_with_the_same_code(flow: fb.Flow) -> None:
    document = flow.document_text().replace('"id":"count"', '"id":"count","settings":{"late":5}')
    document = document.replace('"id": "count"', '"id": "count", "settings": {"late": 5}')
    flow.replace_document(document)
    (finding,) = [finding for finding in flow.check() if finding.severity == "error"]
    assert (finding.code, finding.node_id, finding.port) == ("FB103", "count", "late")
    run = flow.run_sync(raise_errors=False)
    assert [(error.node_id, error.code) for error in run.errors] == [("count", "FB103")]
    del flow["count"].settings["late"]
    assert flow.check() == []
    assert flow.run_sync()["count"] == 2


def test_a_constant_beside_an_edge_is_told_and_can_be_taken_back() -> None:
    flow = fb.Flow("f")

    @flow.node
    def base() -> int:
        return 1

    @flow.node
    def twice(base: int) -> int:
        return 2 * base

    flow.set("twice", base=10)
    (finding,) = flow.check()
    assert (finding.code, finding.severity, finding.port) == ("FB215", "note", "base")
    assert finding.message == "a constant stands in place of the edge base → twice.base"
    assert flow.run_sync()["twice"] == 20
    del flow["twice"].settings["base"]
    assert flow.run_sync()["twice"] == 2
    with pytest.raises(UnknownIdError, match="nothing is set for 'base'"):
        del flow["twice"].settings["base"]
    assert flow.check() == []
    flow.connect("base", "twice.base")
    flow.set("twice", base=10)
    (finding,) = flow.check()
    assert (finding.code, finding.message) == ("FB215", "the edge base → twice.base goes before the constant")
    assert flow.run_sync()["twice"] == 2


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("late.min_minutes", 60), 'flow.set("late", min_minutes=60)'),
        (("late", "min_minutes", 60), 'flow.set("late", min_minutes=60)'),
        (("late.min_minute", 60), "did you mean 'min_minutes'?"),
        (("late", 60), 'flow.set("late", name=60)'),
        (("count", 60), 'flow.set("count", late=60)'),
        (("nosuch.n", 1), 'flow.set("nosuch", n=1)'),
    ],
)
def test_set_says_how_it_is_written(flow: fb.Flow, typed: tuple[str, object], meant: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        flow.set(*typed)
    assert caught.value.code == "FB115"
    assert meant in caught.value.hint
    assert dict(flow["late"].settings) == {"min_minutes": 15}


def test_a_storage_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(DefinitionError, match="state_storage='sqllite' is not a policy") as caught:
        fb.FlowPolicy(state_storage="sqllite")
    assert (caught.value.code, caught.value.hint) == ("FB101", "did you mean 'sqlite'?")


def test_an_input_that_nothing_gives_names_what_it_may_have_meant(flow: fb.Flow) -> None:
    @flow.node
    def rows(fligths: pl.LazyFrame) -> int:
        return 1

    @flow.node
    def other(nothing_like_it: int) -> int:
        return 1

    hints = {finding.node_id: finding.hint for finding in flow.check()}
    assert hints["rows"].startswith("did you mean 'flights'? connect it, or give it")
    assert hints["other"].startswith("connect it")
    errors = {error.node_id: error for error in flow.run_sync(raise_errors=False).errors}
    assert errors["rows"].code == "FB403"
    assert errors["rows"].hint.startswith("did you mean 'flights'? define a node 'fligths'")
    assert errors["other"].hint.startswith("define a node 'nothing_like_it'")


def test_a_dead_letter_that_is_not_there_is_refused_with_those_that_are(flow: fb.Flow) -> None:
    with pytest.raises(StoreError) as caught:
        flow.dead_letters.replay(99)
    assert (caught.value.code, caught.value.where) == ("FB904", "flow 'flights'")
    assert caught.value.hint == "flow.dead_letters lists what there is: nothing"

    @flow.node
    def fails(count: int) -> float:
        return count / 0

    flow.run_sync(raise_errors=False)
    number = flow.dead_letters[0].letter_id
    with pytest.raises(StoreError) as caught:
        flow.dead_letters.replay(number + 1)
    assert caught.value.hint == f"flow.dead_letters lists what there is: {number}"


def test_a_setting_that_is_not_there_is_refused_by_settings_and_by_traits(flow: fb.Flow) -> None:
    late = flow["late"]
    for mistake in (
        lambda: late.settings["min_minute"],
        lambda: late.traits().min_minute,
        lambda: setattr(late.traits(), "min_minute", 3),
    ):
        with pytest.raises(UnknownIdError) as caught:
            mistake()
        assert (caught.value.code, caught.value.hint) == ("FB201", "did you mean 'min_minutes'?")
        assert caught.value.where.startswith(f"flow {flow.name!r}")
    with pytest.raises(AttributeError) as unknown:
        _ = late.traits().min_minute
    assert f"at   flow {flow.name!r}, node 'late'" in str(unknown.value)
    assert not hasattr(late.traits(), "min_minute")
    assert late.settings.get("min_minute") is None
    with pytest.raises(TypeError, match=r"<settings min_minutes=15> has no trait 'min_minute'"):
        traitlets.link((late.traits(), "min_minutes"), (late.traits(), "min_minute"))
    late.traits().min_minutes = 30
    assert dict(late.settings) == {"min_minutes": 30}
    flow.cancel()
