"""``flowbook letters``: the failures that flows with ``state_storage="sqlite"`` have kept on this machine."""

from __future__ import annotations

import datetime
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from flowbook.data.lasting_codecs import LastingCodecs
from flowbook.errors import HeadlessError
from flowbook.headless.sources import is_flow_document, read_text
from flowbook.headless.wording import harmless
from flowbook.session import Flow
from flowbook.stores.dead_letters import FILE_NAME, SqliteDeadLetters
from flowbook.stores.folders import state_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flowbook.core.interfaces import DeadLetter


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


def replay_letters(source: Path, numbers: Sequence[int]) -> int:
    """Replay letters of a flow document's flow and say what became of each; returns the exit code.

    Raises:
        HeadlessError: FB701 the file cannot be read, FB712 it is a notebook, whose nodes only its kernel knows.
        FlowbookError: a letter cannot be replayed.
    """
    if not is_flow_document(source, read_text(source)):
        raise HeadlessError(
            f"{source.name} is a notebook, and only its kernel knows its nodes",
            code="FB712",
            hint="in the notebook: flow.dead_letters.replay(); or flow.save() it, and name the .flow.json file here",
        )
    flow = Flow.open(source)
    flow.policy = replace(flow.policy, state_storage="sqlite")
    runs = flow.dead_letters.replay(*numbers)
    failed = 0
    for run in runs:
        failed += run.status != "ok"
        why = "; ".join(f"{error.node_id}: {error.message}" for error in run.errors)
        print(harmless(f"{run.status}  run {run.id[:4]}  {', '.join(run.recomputed)}{f'  {why}' if why else ''}"))
    left = len(flow.dead_letters)
    print(f"replayed {len(runs)}, {left} left", file=sys.stdout)
    return 1 if failed else 0


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
