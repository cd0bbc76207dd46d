"""Asks lazy tables what they read and hold, and collects several of them together.

A plan is walked with polars' own node traverser, the one its GPU engine uses: it names every file of a scan, expanded
from globs, without serialising what the plan holds in memory. It is an interface polars may change, so nothing here
fails when it does: the answer is then "not known".
"""

from __future__ import annotations

import glob
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote, urlsplit

from flowbook.data.families import family_of
from flowbook.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import polars as pl

# polars 2.1 shows every scan to the traverser but those of Arrow IPC files; the text of the plan names some of those.
_IPC_LINE: Final = re.compile(r"^\s*Ipc SCAN \[(?P<shown>.*?)(?P<more>, \.\.\. \d+ other sources?)?\]$", re.MULTILINE)
#: Expressions that need one row to give one, and what they are made of.
_PARTS: Final[dict[str, tuple[str, ...]]] = {
    "Column": (), "Literal": (), "Cast": ("expr",), "BinaryExpr": ("left", "right"),
    "Ternary": ("predicate", "truthy", "falsy"),
}  # fmt: skip
#: As the text of a plan names them; a text of the user's that looks so costs a pass of its own.
_RANDOM: Final = re.compile(r"\.(?:sample|shuffle)\(")
_HAS_SCHEME: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")


def collect(values: Sequence[object]) -> list[object]:
    """Collect the lazy tables among ``values`` together, so that what they share is computed once.

    Row order holds as far as polars promises it: row-wise steps keep it, ``group_by``, ``join``, ``unique`` and
    ``unpivot`` only when told to maintain it.

    Args:
        values: any values; those that are no LazyFrame come back as they are.

    Returns:
        As many values, in the same order, every LazyFrame replaced by its DataFrame.

    Raises:
        DataError: FB604, polars panicked (its own exception would pass by every ``except Exception``).
        polars.exceptions.PolarsError: what polars says of a plan that cannot be computed. One such plan fails the
            whole call; collect them one by one to learn which it was.
    """
    lazy_at = [index for index, value in enumerate(values) if family_of(value) == "lazy_frame"]
    collected = list(values)
    if not lazy_at:
        return collected
    import polars as pl

    plans: Any = [values[index] for index in lazy_at]
    try:
        frames = [plans[0].collect()] if len(plans) == 1 else pl.collect_all(plans)
    except pl.exceptions.PanicException as panic:
        raise panic_refused(panic) from panic
    for index, frame in zip(lazy_at, frames, strict=True):
        collected[index] = frame
    return collected


def collect_head(plan: Any, most_rows: int, most_bytes: int) -> tuple[pl.DataFrame, bool]:
    """Collect the first rows of a lazy table, in one pass that ends where there is enough.

    Returns:
        As many rows as there are, or as fit; and whether there are more.

    Raises:
        DataError: FB604, polars panicked.
        polars.exceptions.PolarsError: what polars says of a plan that cannot be computed.
    """
    import polars as pl

    head = plan.head(most_rows + 1)
    schema = plan.collect_schema()
    batches: list[pl.DataFrame] = []
    if pl.Object in schema.dtypes():  # Python objects do not pass through batches
        batches = [cast("pl.DataFrame", collect([head])[0])]
    else:
        held_bytes = 0

        def take(batch: pl.DataFrame) -> bool:
            nonlocal held_bytes
            batches.append(batch)
            held_bytes += int(batch.estimated_size())
            return held_bytes > most_bytes

        try:
            head.sink_batches(take)
        except pl.exceptions.PanicException as panic:
            raise panic_refused(panic) from panic
    found = pl.concat(batches, rechunk=True) if batches else pl.DataFrame(schema=schema)
    fitting, size_bytes = most_rows, int(found.estimated_size())
    if size_bytes > most_bytes:
        fitting = min(fitting, max(1, found.height * most_bytes // size_bytes))
    return (found.head(fitting), True) if found.height > fitting else (found, False)


class _Tap:
    """An identity step that tells how many rows pass; elsewhere than in its own process it tells nobody."""

    __slots__ = ("_count",)

    def __init__(self, count: Callable[[int], None] | None = None) -> None:
        self._count = count

    def __call__(self, frame: pl.DataFrame) -> pl.DataFrame:
        if self._count is not None:
            self._count(frame.height)
        return frame

    def __reduce__(self) -> tuple[type[_Tap], tuple[()]]:
        return _Tap, ()


def tap(plan: Any, count: Callable[[int], None]) -> Any:
    """Add a step to a lazy table that changes nothing and tells how many rows pass, batch by batch.

    polars moves filters, limits and the choice of columns past the step as if it were not there, so what is told is
    what flowed. Readers of the same output share one tapped plan; polars then still finds what they have in common.

    A plan that only shows a table in memory, or columns or a slice of it, stays as it is: computing it copies nothing,
    and a step of any kind would cut the table into batches.

    Args:
        plan: a LazyFrame.
        count: is told the rows of each batch, on polars' threads; what it raises ends the computation.
    """
    if _only_shows(plan):
        return plan
    return plan.map_batches(
        _Tap(count),
        streamable=True,
        projection_pushdown=True,
        predicate_pushdown=True,
        slice_pushdown=True,
        validate_output_schema=False,
    )


def _only_shows(plan: Any) -> bool:
    """Tell whether a plan is a table in memory, or columns and slices of one, under whatever names."""
    try:
        traverser = _traverser(plan)
        while True:
            step = traverser.view_current_node()
            kind, below = type(step).__name__, traverser.get_inputs()
            if not below:
                return hasattr(step, "df")
            is_view = kind in {"SimpleProjection", "Slice"} or (
                kind == "Select"
                and all(type(traverser.view_expression(entry.node)).__name__ == "Column" for entry in step.expr)
            )
            if not is_view or len(below) > 1:
                return False
            traverser.set_node(below[0])
    except _failures():
        return False


def is_random(plan: Any) -> bool:
    """Tell whether a step of a plan samples or shuffles; what Python functions in it do is not known."""
    return _RANDOM.search(plan.explain(optimized=False)) is not None


def begins_early(plan: Any) -> bool:
    """Tell whether a plan gives its first rows without looking at others: no step sorts, groups, joins or filters.

    A step or an expression that polars does not describe counts as one that looks at all rows.
    """
    try:
        traverser = _traverser(plan)
        waiting = [traverser.get_node()]
        while waiting:
            traverser.set_node(waiting.pop())
            below = traverser.get_inputs()
            if below and not _is_row_by_row(traverser):
                return False
            waiting += below
    except _failures():
        return False
    return True


def _is_row_by_row(traverser: Any) -> bool:
    step = traverser.view_current_node()
    kind = type(step).__name__
    if kind in {"Select", "HStack"}:
        return _are_plain(traverser, step.expr if kind == "Select" else step.exprs)
    return kind in {"SimpleProjection", "Slice", "Union"}


def _are_plain(traverser: Any, written: Sequence[Any]) -> bool:
    """Tell whether each of some expressions needs one row to give one."""
    waiting = [entry.node for entry in written]
    while waiting:
        part = traverser.view_expression(waiting.pop())
        names = _PARTS.get(type(part).__name__)
        if names is None:
            return False
        waiting += [getattr(part, name) for name in names]
    return True


def keeps_order(plan: Any) -> bool:
    """Tell whether a plan gives the same rows in the same order however often it is computed, and in pieces.

    So do tables in memory and files, row by row: columns chosen, computed and renamed, rows filtered and cut. Whatever
    else there is, and what polars does not describe, counts as a step that may mix rows.
    """
    try:
        traverser = _traverser(plan)
        waiting = [traverser.get_node()]
        while waiting:
            traverser.set_node(waiting.pop())
            step, below = traverser.view_current_node(), traverser.get_inputs()
            kind = type(step).__name__
            if kind == "Filter":
                is_kept = _are_plain(traverser, [step.predicate])
            elif kind == "Union":
                is_kept = step.maintain_order is True
            else:
                is_kept = _is_row_by_row(traverser) if below else kind in {"DataFrameScan", "Scan"}
            if not is_kept:
                return False
            waiting += below
    except _failures():
        return False
    return True


def drain(plan: Any) -> None:
    """Compute a lazy table batch by batch and keep nothing of it.

    Raises:
        DataError: FB604, polars panicked.
        polars.exceptions.PolarsError: what polars says of a plan that cannot be computed.
    """
    import polars as pl

    try:
        plan.sink_batches(_forget)
    except pl.exceptions.PanicException as panic:
        raise panic_refused(panic) from panic


def _forget(_batch: pl.DataFrame) -> None:
    """Keep nothing."""


def resolve(plan: Any) -> None:
    """Let polars work out the columns of a lazy table, which reads headers and metadata at most.

    Raises:
        DataError: FB604, polars panicked.
        polars.exceptions.PolarsError: a step of the plan asks for a column that is not there, a type it cannot take …
    """
    import polars as pl

    try:
        plan.collect_schema()
    except pl.exceptions.PanicException as panic:
        raise panic_refused(panic) from panic


def panic_refused(panic: BaseException) -> DataError:
    """Turn a panic of polars, which is no ``Exception``, into an error that a run can carry."""
    first_line = str(panic).partition("\n")[0][:300]
    return DataError(
        f"polars panicked: {first_line}",
        code="FB604",
        hint="this is a bug in polars, not in the table; another way to write the step may avoid it",
    )


def scanned_files(plan: Any) -> tuple[Path, ...]:
    """List the local files a lazy table reads, sorted, each once.

    The plan is resolved for it (headers and metadata are read, and cached by polars), data is not. Globs and folders
    are expanded as polars expanded them: a file that appears later is not part of this plan either.

    Args:
        plan: a LazyFrame.

    Returns:
        The paths as polars holds them; empty when the plan reads none, cannot be resolved, or is not understood.
        Files on other hosts are left out, and so are tables in memory and open file objects.
    """
    try:
        names: set[str] = set()
        holds_memory = reads_ipc = False
        for leaf in _leaves(plan):
            names.update(getattr(leaf, "paths", ()))
            holds_memory |= hasattr(leaf, "df")
            reads_ipc |= leaf is None
        if reads_ipc:
            names.update(_ipc_files(plan, holds_memory=holds_memory))
        paths = {path for name in names if (path := _local_path(name))}
    except _failures():
        return ()
    return tuple(sorted(paths))


def held_frames(plan: Any) -> list[pl.DataFrame]:
    """List the tables in memory that a lazy table is built on; none when it only reads files."""
    import polars as pl

    try:
        return [pl.DataFrame._from_pydf(leaf.df) for leaf in _leaves(plan) if hasattr(leaf, "df")]  # noqa: SLF001
    except _failures():
        return []


def _failures() -> tuple[type[BaseException], ...]:
    import polars as pl

    return Exception, pl.exceptions.PanicException


def _traverser(plan: Any) -> Any:
    import polars as pl

    as_written = pl.QueryOptFlags.none()._pyoptflags  # noqa: SLF001 - optimising could drop a source that is read
    return plan._ldf.with_optimizations(as_written).visit()  # noqa: SLF001 - see the module's docstring


def _leaves(plan: Any) -> Iterator[Any]:
    """Yield the sources of a plan as polars describes them; None for a kind of source it will not describe."""
    traverser = _traverser(plan)
    waiting = [traverser.get_node()]
    seen = set()
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        traverser.set_node(node)
        inputs = traverser.get_inputs()
        waiting += inputs
        if not inputs:
            try:
                leaf = traverser.view_current_node()
            except NotImplementedError:
                leaf = None
            yield leaf


def _ipc_files(plan: Any, *, holds_memory: bool) -> Iterator[str]:
    """Name the Arrow IPC files of a plan.

    Its serialised form has them all, but would embed every table in memory. Where there is one, the plan's text is
    read, which leaves out all but the first of many files: the files of the same ending beside it then stand for them.
    """
    if not holds_memory:
        buffer = io.BytesIO()
        plan._ldf.serialize_json(buffer)  # noqa: SLF001 - the public method warns that JSON may go away
        yield from _sources_in(json.loads(buffer.getvalue()))
        return
    for scan in _IPC_LINE.finditer(plan.explain(optimized=False)):
        shown = scan["shown"]
        yield from [shown] if Path(shown).exists() else shown.split(", ")
        if scan["more"]:
            first = Path(shown.partition(", ")[0])
            yield from map(str, first.parent.glob(f"*{first.suffix}"))


def _sources_in(part: Any) -> Iterator[str]:
    """Find the file names in a serialised plan; globs and folders are expanded as polars would."""
    if isinstance(part, dict):
        sources = part.get("sources")
        if isinstance(sources, dict):
            may_match = part.get("unified_scan_args", {}).get("glob", True)
            for source in sources.get("Paths", ()):
                name = source["inner"] if isinstance(source, dict) else source
                yield from _expanded(name) if may_match else (name,)
        part = list(part.values())
    if isinstance(part, list):
        for child in part:
            yield from _sources_in(child)


def _expanded(name: str) -> Iterator[str]:
    if Path(name).is_dir():
        yield from (str(path) for path in Path(name).rglob("*") if path.is_file())
    elif glob.has_magic(name):
        yield from glob.iglob(name, recursive=True)  # noqa: PTH207 - the pattern may begin anywhere
    else:
        yield name


def _local_path(name: str) -> Path | None:
    if not _HAS_SCHEME.match(name):
        return Path(name)
    address = urlsplit(name)
    return Path(unquote(address.path)) if address.scheme == "file" else None
