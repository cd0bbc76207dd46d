"""The dead letters of one flow as a person looks at them: a list, ``replay`` and ``drop``."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, overload

from flowbook.canvas.pieces.markup import element, joined
from flowbook.errors import FlowbookError, RunError, StoreError
from flowbook.runtime.context import refuse_inside_firing
from flowbook.runtime.letters import fingerprint_of, replaying, work_of
from flowbook.runtime.run import Run
from flowbook.runtime.staleness import present_key

if TYPE_CHECKING:
    from flowbook.core.interfaces import DeadLetter
    from flowbook.runtime.decisions import Request
    from flowbook.runtime.letters import Letters
    from flowbook.runtime.plan import Plan
    from flowbook.session.flow_handle import Flow

_HEAD: Final = ("letter", "node", "failed", "inputs", "at (UTC)", "run", "note")
#: Codes of letters that somebody else has seen to, or sees to.
_ELSEWHERE: Final = frozenset({"FB904", "FB905"})


class FlowLetters(Sequence["DeadLetter"]):
    """Failures that nobody took, oldest first: no error port, no further attempt. As they are at each look.

    Args:
        flow: whose letters.
        letters: where they are.
        submit: begins a run.
    """

    def __init__(self, flow: Flow, letters: Letters, submit: Callable[[Plan, Request], Run]) -> None:
        self._flow = flow
        self._letters = letters
        self._submit = submit

    def _list(self) -> list[DeadLetter]:
        return self._letters.store.letters(self._flow.name)

    def __len__(self) -> int:
        """Count the letters."""
        return len(self._list())

    def __iter__(self) -> Iterator[DeadLetter]:
        """Yield the letters, without the values of their inputs."""
        return iter(self._list())

    @overload
    def __getitem__(self, index: int) -> DeadLetter: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[DeadLetter]: ...
    def __getitem__(self, index: int | slice) -> DeadLetter | Sequence[DeadLetter]:
        """Return a letter by its place in the list; its number is ``letter_id``."""
        return self._list()[index]

    def replay(self, *letters: int, inputs: Mapping[str, Any] | None = None) -> list[Run]:
        """Fire the nodes of letters again with the inputs that failed, and when they succeed what is below them.

        A node fires as it is now, with its present code and settings; retry and error port apply. The letter is gone
        once its node has succeeded, and says how it failed last otherwise. While it is replayed nobody else can replay
        it. Where the flow would give the node the same inputs now, its value and those below become the flow's;
        otherwise they are the returned run's alone, as with ``overrides=``.

        Args:
            letters: numbers of letters; none: all, oldest first, save those that somebody else replays.
            inputs: values for inputs that could not be kept, or in place of kept ones.

        Returns:
            The runs, ended, in order. A run in which the node failed again raises nothing: see its ``errors``.

        Raises:
            StoreError: FB904 there is no such letter, FB905 it is being replayed, FB907 an input of it was not kept.
            UnknownIdError: FB201, the node is gone.
            RunError: FB412, the node does not read one of its inputs any more; FB413, its code is not known here.
        """
        refuse_inside_firing("flow.dead_letters.replay()")
        runs: list[Run] = []
        refused: list[FlowbookError] = []
        for number in letters or [letter.letter_id for letter in self._list()]:
            try:
                runs.append(self._replay(number, inputs or {}))
            except FlowbookError as error:
                if letters:
                    raise
                if error.code not in _ELSEWHERE:
                    refused.append(error)
        if refused:
            raise refused[0]
        return runs

    def _replay(self, number: int, more: Mapping[str, Any]) -> Run:
        # A run that goes on may come to the same node, and settle the letter.
        for execution in self._flow.engine.active():
            if execution.results is self._flow.results:
                Run(execution, None).wait()
        store = self._letters.store
        letter = self._own(self._taken(number))
        try:
            run = self._begin(letter, more)
        except BaseException:
            store.put_back(number)
            raise
        self._letters.note(letter)
        while not run.wait(min(store.lease_s / 3, 3600.0)):
            store.keep_hold(number)
        return run

    def _taken(self, number: int) -> DeadLetter:
        try:
            return self._letters.store.take(number)
        except StoreError as error:
            if error.code == "FB904":
                raise self._unknown(number) from None
            raise

    def _unknown(self, number: object) -> StoreError:
        numbers = ", ".join(str(letter.letter_id) for letter in self._list()[:8])
        return StoreError(
            f"there is no dead letter {number}",
            code="FB904",
            where=f"flow {self._flow.name!r}",
            hint=f"flow.dead_letters lists what there is: {numbers or 'nothing'}",
            letter=number,
        )

    def _own(self, letter: DeadLetter) -> DeadLetter:
        if letter.flow != self._flow.name:
            self._letters.store.put_back(letter.letter_id)
            raise StoreError(
                f"dead letter {letter.letter_id} is of flow {letter.flow!r}",
                code="FB904",
                hint=f"fb.flow({letter.flow!r}).dead_letters.replay({letter.letter_id})",
                letter=letter.letter_id,
            )
        return letter

    def _begin(self, letter: DeadLetter, more: Mapping[str, Any]) -> Run:
        flow, node_id = self._flow, letter.error.node_id
        with flow.lock:
            if flow.data_around(node_id).type_of(node_id).function is None:
                raise RunError(
                    f"{node_id!r} has no code here, so dead letter {letter.letter_id} cannot be replayed",
                    code="FB413",
                    where=f"flow {flow.name!r}",
                    hint=f"run the cell that defines {node_id!r}",
                    node=node_id,
                )
            plan = flow.plan
            slot = plan.slots[plan.index[node_id]]
            key = present_key(plan, slot, flow.results, flow.engine)
            are_present = not more and key is not None and work_of(slot, key) == letter.work
            inputs = {**letter.inputs, **more}
            lost = [name for name in letter.missing if name not in inputs]
            if lost and not are_present:
                raise StoreError(
                    f"dead letter {letter.letter_id} holds no {lost[0]!r}: {letter.missing[lost[0]]}",
                    code="FB907",
                    where=f"flow {flow.name!r}, node {node_id!r}",
                    hint=f'flow.dead_letters.replay({letter.letter_id}, inputs={{"{lost[0]}": …}})',
                    letter=letter.letter_id,
                    port=lost[0],
                )
            return self._submit(*replaying(plan, letter, inputs, are_present=are_present))

    def drop(self, *letters: int) -> int:
        """Forget letters for good.

        Args:
            letters: their numbers; none: all of this flow's.

        Returns:
            How many there were.

        Raises:
            StoreError: FB904, this flow has no letter of that number; none is dropped.
        """
        known = [letter.letter_id for letter in self._list()]
        for number in letters:
            if number not in known:
                raise self._unknown(number)
        numbers = letters or tuple(known)
        dropped = sum(self._letters.store.drop(number) for number in numbers)
        self._flow.letters_changed()
        return dropped

    # -- shown

    def _rows(self) -> list[tuple[str, ...]]:
        return [self._row(letter) for letter in self._list()]

    def _row(self, letter: DeadLetter) -> tuple[str, ...]:
        error = letter.error
        times = f" ({letter.count} times)" if letter.count > 1 else ""
        inputs = ", ".join(f"{name} (not kept)" if name in letter.missing else name for name in letter.input_names)
        at = datetime.datetime.fromtimestamp(letter.at, datetime.UTC)
        return (
            str(letter.letter_id),
            error.node_id,
            f"{error.message}{times}",
            inputs,
            f"{at:%Y-%m-%d %H:%M:%S}",
            error.trace_id[:4],
            self._note(letter),
        )

    def _note(self, letter: DeadLetter) -> str:
        """Say what has changed since that a replay would be different for."""
        flow, node_id = self._flow, letter.error.node_id
        if node_id not in flow:
            return "the node is gone"
        plan = flow.plan
        slot = plan.slots[plan.index[node_id]]
        key = present_key(plan, slot, flow.results, flow.engine) if slot.node_type.function is not None else None
        if key is None or not letter.fingerprint:
            return ""
        return "" if fingerprint_of(slot, key) == letter.fingerprint else "changed since"

    def __repr__(self) -> str:
        """Show the letters as a table of text."""
        rows = self._rows()
        if not rows:
            return f"no dead letters of {self._flow.name}"
        table = [_HEAD, *rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        return "\n".join(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in table
        )

    def _repr_html_(self) -> str:
        """Show the letters as a table."""
        rows = self._rows()
        if not rows:
            return element("p", {}, repr(self))
        lines = [element("tr", {}, *(element("td", {}, text) for text in row)) for row in rows]
        head = element("tr", {}, *(element("th", {}, name) for name in _HEAD))
        return element("table", {}, element("thead", {}, head), element("tbody", {}, joined(lines)))
