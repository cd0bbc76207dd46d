"""``flowbook letters``: the failures that flows with ``state_storage="sqlite"`` have kept on this machine."""

from __future__ import annotations

import asyncio
import datetime
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from flowbook.data.lasting_codecs import LastingCodecs
from flowbook.errors import HeadlessError, StoreError
from flowbook.headless.interruption import INTERRUPTED_EXIT_CODE
from flowbook.headless.sources import is_flow_document, parse_notebook, read_text, without_slow_grammars
from flowbook.headless.wording import harmless
from flowbook.session import Flow, session
from flowbook.stores.dead_letters import FILE_NAME, SqliteDeadLetters
from flowbook.stores.folders import state_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flowbook.core.interfaces import DeadLetter
    from flowbook.headless.interruption import Interruption
    from flowbook.headless.outcome import CellFailure, Ending
    from flowbook.runtime.run import Run


def list_letters(flow: str | None) -> int:
    """Print one line per letter, the oldest first; returns the exit code."""
    letters = _letters(flow)
    if not letters:
        print(f"no dead letters of flow {flow!r}" if flow is not None else "no dead letters")
        return 0
    rows = [("LETTER", "FLOW", "NODE", "FAILED AT (UTC)", "TIMES", "FAILURE", "INPUTS"), *map(_row, letters)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    return 0


def drop_letters(numbers: Sequence[int], flow: str | None) -> int:
    """Forget letters, or all of a flow, and say how many they were; returns the exit code.

    Raises:
        HeadlessError: FB711, neither letters nor a flow are named.
    """
    if not numbers and flow is None:
        raise HeadlessError(
            "nothing says which letters to drop", code="FB711", hint="flowbook letters drop 3 4, or --flow NAME for all"
        )
    known = {letter.letter_id for letter in _letters(flow)}
    meant = known.intersection(numbers) if numbers else known
    with _store() as store:
        count = sum(store.drop(number) for number in sorted(meant))
    print(f"dropped {count} letter{'' if count == 1 else 's'}")
    return 0 if count >= len(set(numbers)) else 1


def replay_letters(source: Path, numbers: Sequence[int], interruption: Interruption) -> int:
    """Replay letters of the flows in a file and say what became of each; returns the exit code.

    Of a notebook the cells are run in a kernel of their own, in which runs fire nothing: they define the nodes, and
    then these of the letters fire, and what is below them. The notebook is not written.

    Args:
        source: a flow document, or a notebook.
        numbers: of letters; none: all of these flows.
        interruption: entered by the caller.

    Raises:
        HeadlessError: FB701 the file cannot be read, FB712 the notebook's kernel cannot replay.
        FlowbookError: a letter cannot be replayed.
    """
    text = read_text(source)
    if not is_flow_document(source, text):
        known = [letter.letter_id for letter in _letters(None)]
        unknown = [number for number in numbers if number not in known]
        if unknown:  # found before a kernel is started
            listed = ", ".join(map(str, known[:8])) or "none"
            raise StoreError(
                f"there is no dead letter {unknown[0]}", code="FB904", hint=f"flowbook letters lists them: {listed}"
            )
        return _replay_in_kernel(source, text, numbers, interruption)
    return _replayed([Flow.open(source)], numbers)


def replay_here(numbers: Sequence[int]) -> int:
    """Replay letters of the flows of this process, as ``replay_letters`` does; used in the kernel of a notebook."""
    session.only_defines = False
    return _replayed(list(session.flows.values()), numbers)


def _replayed(flows: Sequence[Flow], numbers: Sequence[int]) -> int:
    flow_of = {letter.letter_id: letter.flow for letter in _letters(None)}
    runs: list[Run] = []
    meant = [flow for flow in flows if flow.name in flow_of.values()] or flows[:1]
    for flow in meant:
        flow.policy = replace(flow.policy, state_storage="sqlite")
        names = [other.name for other in meant]
        own = [number for number in numbers if flow_of.get(number) == flow.name]
        if flow is meant[0]:  # says what is wrong with those that are of none of these flows
            own += [number for number in numbers if flow_of.get(number) not in names]
        runs += flow.dead_letters.replay(*own) if own or not numbers else []
    for run in runs:
        why = "; ".join(f"{error.node_id}: {error.message}" for error in run.errors)
        print(harmless(f"{run.status}  run {run.id[:4]}  {', '.join(run.recomputed)}{f'  {why}' if why else ''}"))
    left = sum(len(flow.dead_letters) for flow in meant)
    print(f"replayed {len(runs)}, {left} left", file=sys.stdout)
    return 1 if any(run.status != "ok" for run in runs) else 0


def _replay_in_kernel(source: Path, text: str, numbers: Sequence[int], interruption: Interruption) -> int:
    from flowbook.headless.execute import FlowNotebookClient
    from flowbook.headless.kernel import check_kernel, kernel_name_of

    with without_slow_grammars():
        from nbformat.v4 import new_code_cell

    notebook = parse_notebook(source, text)
    check_kernel(kernel_name_of(notebook))
    notebook.cells.append(new_code_cell(_REPLAY.format(numbers=tuple(numbers))))
    client = FlowNotebookClient(
        notebook,
        folder=source.resolve().parent,
        numbers={position: position + 1 for position in range(len(notebook.cells))},
        observer=_Nobody(),
        only_defines=True,
    )
    asyncio.run(client.run(interruption, None))
    if interruption or client.execution.ending.value:
        return INTERRUPTED_EXIT_CODE if interruption else client.execution.ending.value
    code: int | None = None
    for output in notebook.cells[-1].outputs:
        if output.output_type == "stream" and output.name == "stdout":
            print(output.text, end="")
        elif output.output_type == "execute_result":
            code = int(output.data["text/plain"])
        elif output.output_type == "error":
            failed = [failure.number for failure in client.execution.failures][:-1]
            raise HeadlessError(
                output.evalue,
                code="FB712",
                where=source.name,
                hint=f"cells that failed meanwhile: {', '.join(map(str, failed))}" if failed else "",
            )
    return 1 if code is None else code


_REPLAY: Final = '__import__("flowbook.headless.letters", fromlist=["replay_here"]).replay_here({numbers!r})'


class _Nobody:
    """Fills ``headless.outcome.Observer``: what cells do while they define nodes is nobody's concern."""

    def cell_started(self, number: int) -> None:
        """Look away."""

    def cell_failed(self, failure: CellFailure) -> None:
        """Look away: a cell that reads a value finds none."""

    def trace_seen(self, bundle: dict[str, Any], *, is_expected: bool) -> None:
        """Look away."""

    def node_seen(self, bundle: dict[str, Any], *, is_expected: bool) -> None:
        """Look away."""

    def cell_ended(self) -> None:
        """Look away."""

    def stopping(self, ending: Ending) -> None:
        """Look away."""


def _letters(flow: str | None) -> list[DeadLetter]:
    if not (state_folder() / FILE_NAME).exists():
        return []
    with _store() as store:
        return store.letters(flow)


def _store() -> SqliteDeadLetters:
    return SqliteDeadLetters(state_folder() / FILE_NAME, LastingCodecs())


def _row(letter: DeadLetter) -> tuple[str, ...]:
    at = datetime.datetime.fromtimestamp(letter.at, datetime.UTC)
    inputs = ", ".join(f"{name} (not kept)" if name in letter.missing else name for name in letter.input_names)
    cells = (
        str(letter.letter_id),
        letter.flow,
        letter.error.node_id,
        f"{at:%Y-%m-%d %H:%M:%S}",
        str(letter.count),
        letter.error.message,
        inputs,
    )
    return tuple(map(harmless, cells))
