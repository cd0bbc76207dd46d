"""Values come out of a worker as they went in, by shared memory and over the socket alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_series_equal

from flowbook.data.packing import TablePacking
from flowbook.errors import RunError
from flowbook.sandbox.process_pool import ProcessPool
from tests.data.samples import ARRAYS, COLUMNS, SUBCLASSES
from tests.sandbox.kit import Told, call, code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

SAME = "def f(x):\n    return x"
LARGE = np.arange(500_000.0)


@pytest.fixture(scope="module")
def stream_pool() -> Iterator[ProcessPool]:
    """A pool as it is on systems without anonymous shared memory."""
    preload = ["polars", "numpy", "flowbook.data.packing"]
    pool = ProcessPool(preload, most_workers=1, packing=TablePacking(), most_shared_bytes=0)
    yield pool
    pool.close()


@pytest.fixture(params=["segments", "stream"])
def each(request: pytest.FixtureRequest, shared_pool: ProcessPool) -> ProcessPool:
    """Either transport."""
    if request.param == "stream":
        pool: ProcessPool = request.getfixturevalue("stream_pool")
        return pool
    return shared_pool


def shares(pool: ProcessPool) -> bool:
    return pool.shared_bytes > 0


def address(array: NDArray[Any]) -> int:
    found: int = array.__array_interface__["data"][0]
    return found


def enlarged(array: NDArray[Any]) -> NDArray[Any]:
    """Make an array large enough to be shared, in the same order and with the same strides."""
    if array.ndim != 1 or not array.nbytes or type(array) is not np.ndarray:
        return array
    large = np.concatenate([array] * (600_000 // array.nbytes + 1))
    return large[:: -1 if array.strides[0] < 0 else 1]


def test_arrays_of_every_type_order_and_kind_come_back(each: ProcessPool) -> None:
    sent = {**ARRAYS, **SUBCLASSES, **{f"large {name}": enlarged(array) for name, array in ARRAYS.items()}}
    sent |= {
        "large Fortran": np.asfortranarray(LARGE.reshape(500, 1000)),
        "large transposed": LARGE.reshape(100, 50, 100).transpose(1, 0, 2),
        "large slice": LARGE.reshape(500, 1000)[10:400, 3:],
        "large mask": np.ma.MaskedArray(LARGE, mask=LARGE > 7, fill_value=-1.0),
        "large record": np.zeros(50_000, [("a", "i4"), ("t", "M8[us]")]),
    }
    back = call(each, SAME, x=sent)
    for name, array in sent.items():
        came = back[name]
        assert (type(came), came.dtype, came.shape) == (type(array), array.dtype, array.shape), name
        np.testing.assert_array_equal(came, array, err_msg=name)
    assert back["large Fortran"].flags.f_contiguous
    assert back["large mask"].fill_value == -1


def forms(column: pl.Series) -> dict[str, pl.Series]:
    """Show a column as it lies in other ways."""
    many = pl.concat([column] * 20, rechunk=True)
    return {
        "whole": column,
        "empty": column.clear(),
        "sliced": many[13:29],
        "one row": many[8:9],
        "chunked": pl.concat([column, column, column[1:]], rechunk=False),
        "sliced chunks": pl.concat([many, many], rechunk=False)[15 : 20 + len(many)],
        "nulls": pl.Series(column.name, [None] * 9, dtype=column.dtype),
    }


def test_columns_of_every_type_come_back_however_they_lie(each: ProcessPool) -> None:
    columns = {name: column for name, column in COLUMNS.items() if column.dtype != pl.Object}
    columns["Map"] = pl.Series("Map", [{"a": 1}, None, {}], dtype=pl.Map(pl.String, pl.Int64))
    sent = {name: forms(column) for name, column in columns.items()}
    back = call(each, SAME, x=sent)
    for name, shown in sent.items():
        for form, column in shown.items():
            assert back[name][form].dtype == column.dtype, (name, form)
            assert_series_equal(back[name][form], column)
            assert back[name][form].n_chunks() == max(1, column.n_chunks()), (name, form)


def test_every_type_that_polars_has_is_among_them() -> None:
    known = {column.dtype.base_type() for column in COLUMNS.values()} | {pl.Map}
    left_out = {pl.Unknown, pl.Extension, pl.BaseExtension}
    classes = {getattr(pl, name) for name in dir(pl) if isinstance(getattr(pl, name), type)}
    types = {cls for cls in classes if issubclass(cls, pl.DataType) and not cls.__subclasses__()}
    assert types - known - left_out == {pl.Field} & types


def test_large_tables_come_back_and_can_be_worked_on(each: ProcessPool) -> None:
    rows = 60_000
    frame = pl.select(
        n=pl.int_range(rows),
        t=pl.format("a text of some length {}", pl.int_range(rows)),
        k=pl.int_range(rows).cast(pl.String).cast(pl.Categorical),
        m=pl.when(pl.int_range(rows) % 3 > 0).then(pl.int_range(rows) % 2 == 0),
        v=pl.concat_list(pl.int_range(rows), pl.int_range(rows) * 2),
        s=pl.struct(a=pl.int_range(rows), b=pl.format("{}", pl.int_range(rows))),
    )
    text = """
        def f(frame, parts):
            import polars as pl
            made = frame.with_columns(twice=pl.col("n") * 2).filter(pl.col("m")).sort("t", descending=True)
            return made, [part.select("t", "v", "m") for part in parts], frame["t"]
    """
    parts = [frame[7:20_000], frame[50_001:], pl.concat([frame[:5], frame[100:40_000]], rechunk=False)]
    made, back, column = call(each, text, frame=frame, parts=parts)
    assert made.equals(frame.with_columns(twice=pl.col("n") * 2).filter(pl.col("m")).sort("t", descending=True))
    assert [one.equals(part.select("t", "v", "m")) for one, part in zip(back, parts, strict=True)] == [True] * 3
    assert column.equals(frame["t"])
    made[0, "n"] = -1  # polars copies what it is about to change
    assert made["n"][0] == -1
    assert column.head(3).to_list() == frame["t"].head(3).to_list()


def test_a_small_slice_of_texts_does_not_carry_its_parent(each: ProcessPool) -> None:
    texts = pl.DataFrame({"t": [f"a text that stands apart {number}" for number in range(200_000)]})
    told = Told()
    assert call(each, SAME, told, x=texts[70_000:70_100]).equals(texts[70_000:70_100])
    assert told.copies["x"][0].size_bytes < 20_000


def test_a_table_without_columns_keeps_its_rows(each: ProcessPool) -> None:
    assert call(each, SAME, x=pl.DataFrame(height=3)).shape == (3, 0)


def test_plans_go_as_plans_and_what_they_hold_as_memory(each: ProcessPool) -> None:
    frame = pl.DataFrame({"x": LARGE})
    told = Told()
    text = "def f(x):\n    assert type(x).__name__ == 'LazyFrame'\n    return x.select('x')"
    back = call(each, text, told, x=frame.lazy().filter(pl.col("x") > 2))
    assert isinstance(back, pl.LazyFrame)
    assert back.collect().equals(frame[3:])
    small = pl.DataFrame({"x": [1, 2]}).lazy().filter(pl.col("x") > 1)
    assert call(each, text, x=small).collect()["x"].to_list() == [2]


def test_a_column_of_python_objects_is_named_with_its_remedy(each: ProcessPool) -> None:
    frame = pl.DataFrame({"a": [1], "odd": pl.Series([object()], dtype=pl.Object)})
    with pytest.raises(RunError, match=r"input 'x', a list, .* column 'odd' holds Python objects") as there:
        call(each, SAME, x=[frame])
    assert "pl.col('odd').map_elements(str, pl.String)" in there.value.hint
    text = "def f():\n    import polars as pl\n    return pl.Series('odd', [{1}], dtype=pl.Object)"
    with pytest.raises(RunError, match=r"cannot come back .* column 'odd' holds Python objects") as back:
        call(each, text)
    assert (there.value.code, back.value.code) == ("FB422", "FB422")
    assert "drop('odd')" in back.value.hint


def test_an_input_that_must_not_be_written_cannot_be_and_one_that_may_be_is_a_copy(each: ProcessPool) -> None:
    for own in (np.arange(5.0), LARGE.copy()):
        shown = own.view()
        shown.flags.writeable = False
        text = "def f(x):\n    try:\n        x.flags.writeable = True\n    except ValueError:\n        return 'refused'"
        assert call(each, text, x=shown) == "refused"
        changed = call(each, "def f(x):\n    x[0] = 7\n    return x", x=own)
        assert (changed[0], own[0], changed[-1]) == (7, 0, own[-1])


def test_what_comes_back_cannot_be_written(each: ProcessPool) -> None:
    for size in (5, 500_000):
        back = call(each, "def f(n):\n    import numpy as np\n    return np.arange(n), [np.ones(n)]", n=size)
        for array in (back[0], back[1][0], back[0][1:], back[0].reshape(-1, 1)):
            with pytest.raises(ValueError, match="WRITEABLE"):
                array.flags.writeable = True


def test_values_inside_objects_travel_too(each: ProcessPool) -> None:
    preamble = "import dataclasses\n\n@dataclasses.dataclass\nclass Pair:\n    a: object\n    b: object\n"
    function = code(
        "def f(x):\n    pair = Pair(x['frame'], (x['array'], x))\n    return vars(pair)['b'][0], pair.a, x",
        preamble=preamble,
    )
    frame = pl.DataFrame({"x": LARGE})
    array, table, whole = call(each, function, x={"frame": frame, "array": LARGE, "again": LARGE, "text": "é" * 9})
    assert np.array_equal(array, LARGE)
    assert table.equals(frame)
    assert whole["again"] is whole["array"]
    assert whole["text"] == "é" * 9


def test_an_output_can_be_made_where_it_need_not_be_copied(each: ProcessPool) -> None:
    told = Told()
    text = """
        def f(context):
            import numpy as np, polars as pl
            out = context.empty((1000, 300), "f4")
            out[:] = 3
            column = context.empty(100_000)
            column[:] = np.arange(100_000.0)
            return {"whole": out, "part": out[10:, 5:7].T, "small": context.empty(3, "M8[s]").shape,
                    "frame": pl.DataFrame({"x": column})}
    """
    back = call(each, text, told, context_name="context")
    assert (back["whole"] == 3).all()
    assert (back["whole"].dtype, back["part"].shape, back["small"]) == (np.float32, (2, 990), (3,))
    assert back["frame"]["x"].to_list() == list(range(100_000))
    copied = sum(copy.size_bytes for copy in told.copies.get("", ()))
    assert copied == back["part"].nbytes if shares(each) else copied > 1_000_000
    for wrong in ("-1", "(2, -1)", "3, 'no such type'"):
        with pytest.raises((TypeError, ValueError)):
            call(each, f"def f(context):\n    return context.empty({wrong})", context_name="context")


def test_more_than_a_node_may_take_is_refused_it(pool: ProcessPool) -> None:
    text = "def f(context):\n    return context.empty(10**9).shape"
    with pytest.raises(MemoryError, match="more than the node may take"):
        call(pool, text, context_name="context", memory_bytes=300 * 1024**2)


def test_what_lies_in_shared_memory_is_handed_on_without_a_copy(pool: ProcessPool) -> None:
    made = call(pool, "def f():\n    import numpy as np\n    return np.arange(500_000.0)")
    told = Told()
    frame = pl.DataFrame({"x": made})
    array, part, table = call(pool, "def f(x, t):\n    return x, x[1000:], t.slice(5)", told, x=made, t=frame)
    assert told.copies == {}
    assert address(array) == address(made)
    assert address(part) == address(made) + 8000
    assert address(table["x"].to_numpy(allow_copy=False)) == address(made) + 40
    del made, array, table, frame
    assert part[0] == 1000


def test_what_was_copied_is_told_by_input(each: ProcessPool) -> None:
    told = Told()
    view = LARGE.view()
    view.flags.writeable = False
    call(each, "def f(a, b, c, n):\n    return a + 1", told, a=view, b=np.arange(3), c=pl.Series([1, 2]), n=5)
    assert told.copies["a"][0].size_bytes == LARGE.nbytes
    assert told.copies["b"][0].size_bytes == 24
    assert told.copies["c"][0].size_bytes == 16
    assert told.copies[""][0].size_bytes == LARGE.nbytes
    assert "n" not in told.copies
    assert {copies[0].reason for copies in told.copies.values()} == {"to its process", "from its process"}
