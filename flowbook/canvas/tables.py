"""Grids in a browser: what they ask of a node's value is answered here, beside the hub's thread.

A grid shows the present value of a node and asks for what is on the screen: some rows of some columns, in an order, as
an Arrow stream; one column described; one cell written out. Reading may take a while (a lazy table is computed, a
large one sorted), so it happens on threads of its own: one for rows, one for what describes the data, and one for what
is at hand, so that nobody waits for a histogram, or for the plan of another grid, to scroll on.

Every answer bears the number of the value it speaks of. A grid that asks of another value than the node has now is
told so (FB807) and opens the new one; what it shows in the meantime is what it was told. A table is held for as long
as a browser shows it.
"""

from __future__ import annotations

import copy
import logging
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from flowbook.canvas.messages import place_of
from flowbook.canvas.snapshot import shown_value
from flowbook.data import viewports
from flowbook.errors import CanvasError, FlowbookError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbook.canvas.channels import Channel
    from flowbook.canvas.messages import Message
    from flowbook.data.viewports import TableView

#: Of the columns that one answer names; a grid of a wider table shows the first ones.
MOST_COLUMNS: Final = 5_000
#: Of the name of each; a column with a longer one is shown, and cannot be sorted by.
MOST_NAME_CHARS: Final = 500
#: What is asked that reads whole columns, and may wait for another of its kind.
_SLOW: Final = frozenset({"stats", "count", "array"})
#: What waits for nothing where the rows are at hand.
_OF_ROWS: Final = frozenset({"rows", "cell"})
_WHAT: Final = _SLOW | _OF_ROWS | {"open", "close"}
_LANES: Final = ("quick", "rows", "stats")

#: The flow, the node, the output; empty: the primary one.
_Key: TypeAlias = tuple[str, str, str]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """An answer that was made on another thread, and is to be sent by the hub's."""

    message: Message
    buffers: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class _Seen:
    """A value that was looked at: its view, or why it has none."""

    number: int
    value: Any
    outcome: TableView | FlowbookError

    @property
    def view(self) -> TableView | None:
        return None if isinstance(self.outcome, FlowbookError) else self.outcome

    def is_of(self, number: int, value: Any) -> bool:
        """Tell whether it stands for a value.

        A view that computed a lazy table stays when a run collects that table, too: rows of two computations need not
        come in one order.
        """
        return self.number == number and (self.value is value or (self.view is not None and self.view.is_kept))


@dataclass(slots=True, eq=False)
class _Grid:
    """What a browser shows of an output; None: it was not looked at yet, or has no value now."""

    seen: _Seen | None = None

    @property
    def view(self) -> TableView | None:
        return self.seen.view if self.seen else None


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked, by whom, and for which grid; None: for one that is not open, and nothing is held for it."""

    channel: Channel
    flow: Any
    message: Message
    grid: _Grid | None

    @property
    def key(self) -> _Key:
        return _key(self.flow, self.message)

    @property
    def where(self) -> str:
        return place_of(self.message)

    @property
    def sort(self) -> list[viewports.SortKey]:
        """What to sort by.

        Raises:
            CanvasError: FB803, an entry is not ``{"column": name, "isDescending": bool}``.
        """
        keys = []
        for entry in self.message.get("sort") or []:
            column, is_descending = entry.get("column"), entry.get("isDescending", False)
            if not isinstance(column, str) or not isinstance(is_descending, bool):
                raise CanvasError(
                    "a column to sort by is missing its name",
                    code="FB803",
                    where=self.where,
                    hint='{"column": name, "isDescending": false}',
                )
            keys.append(viewports.SortKey(column=column, is_descending=is_descending))
        return keys

    @property
    def lane(self) -> str:
        """Which of the threads answers it."""
        what, view = self.message["what"], self.grid.view if self.grid else None
        if what in _SLOW:
            return "stats"
        is_small = what in _OF_ROWS and not self.message.get("isWhole")
        is_at_hand = is_small and view is not None and view.is_at_hand(self.sort)
        return "quick" if what == "open" or is_at_hand else "rows"


class Tables:
    """See the module's docstring.

    Args:
        deliver: takes an answer, from any thread.
        refuse: takes what was asked and why it cannot be answered, from any thread.
        is_threaded: False: everything is answered at once, on the thread that asks.
    """

    def __init__(
        self,
        deliver: Callable[[Channel, Told], None],
        refuse: Callable[[Channel, Message, FlowbookError], None],
        *,
        is_threaded: bool,
    ) -> None:
        self._deliver, self._refuse = deliver, refuse
        self._lanes = {name: _Lane(name) for name in _LANES} if is_threaded else {}
        self._lock = threading.Lock()
        #: By who shows it, from when it is opened until it is closed.
        self._grids: dict[Channel, dict[_Key, _Grid]] = {}

    def ask(self, channel: Channel, flow: Any, message: Message) -> None:
        """Have something answered.

        Args:
            channel: who asks.
            flow: the flow that was named.
            message: a message of the kind ``table``.

        Raises:
            CanvasError: FB803, an order to sort in cannot be read.
        """
        key = _key(flow, message)
        with self._lock:
            if message["what"] == "close":
                self._grids.get(channel, {}).pop(key, None)
                return
            if message["what"] == "open":
                self._grids.setdefault(channel, {}).setdefault(key, _Grid())
            question = _Question(channel, flow, message, self._grids.get(channel, {}).get(key))
        if self._lanes:
            self._lanes[question.lane].put(lambda: self._answer(question))
        else:
            self._answer(question)

    def drop(self, channel: Channel) -> None:
        """Let go of everything a browser showed."""
        with self._lock:
            self._grids.pop(channel, None)

    @property
    def held_count(self) -> int:
        """How many tables are held because a browser shows them."""
        with self._lock:
            return sum(grid.view is not None for grids in self._grids.values() for grid in grids.values())

    def _is_current(self, question: _Question) -> bool:
        """Tell whether the grid that asked is still open; under the lock."""
        return self._grids.get(question.channel, {}).get(question.key) is question.grid

    def _answer(self, question: _Question) -> None:
        with self._lock:
            if not self._is_current(question):
                return  # it was closed while it waited for its turn
        channel, message = question.channel, question.message
        try:
            told = self._told(question)
        except FlowbookError as error:
            self._refuse(channel, message, error)
        except Exception as error:  # a plan of the user's own, a type of tomorrow
            logger.debug("flowbook could not show a table", exc_info=True)
            self._refuse(channel, message, _not_computed(question, error))
        else:
            self._deliver(channel, told)

    def _told(self, question: _Question) -> Told:
        flow, message = question.flow, question.message
        number, value = self._value(question)
        answer: Message = {"kind": "table", "cid": message["cid"], "flow": flow.name, "value": number}
        what = message["what"]
        if what == "array":
            return Told({**answer, "array": flow.engine.payloads.array_stats(value)})
        view = self._view(question, number, value)
        if what == "open":
            columns = view.columns
            shown = [{**column, "name": column["name"][:MOST_NAME_CHARS]} for column in columns[:MOST_COLUMNS]]
            return Told({**answer, "columns": shown, "width": len(columns), "height": view.height})
        if what == "rows":
            first, count = message.get("firstColumn", 0), message.get("columnCount", viewports.MOST_COLUMNS)
            page = view.rows(
                message.get("start", 0),
                message.get("stop", 0),
                sort_by=question.sort,
                first_column=first,
                column_count=count,
                is_whole=message.get("isWhole", False),
            )
            return Told({**answer, "rowCount": page.row_count, "isText": [*page.is_text], **_note(view)}, (page.arrow,))
        if what == "cell":
            row, column = message.get("row", 0), message.get("column", 0)
            return Told({**answer, "text": view.cell(row, column, sort_by=question.sort), **_note(view)})
        if what == "stats":
            return Told({**answer, "stats": view.stats(message.get("column", 0)), **_note(view)})
        if what == "count":
            return Told({**answer, "height": view.count(), **_note(view)})
        raise CanvasError(
            f"a table cannot be asked for {what!r}", code="FB803", where=question.where, hint=did_you_mean(what, _WHAT)
        )

    def _value(self, question: _Question) -> tuple[int, Any]:
        """Find the value a grid speaks of.

        Raises:
            CanvasError: FB806 the node has none now, FB807 it has another one.
        """
        flow, message, node = question.flow, question.message, question.message["node"]
        with flow.lock:
            found = shown_value(flow, node, message.get("port") or "") if node in flow.data.nodes else None
        if found is None:
            with self._lock:
                if question.grid is not None:
                    question.grid.seen = None
            raise CanvasError(
                f"{node!r} has no value now" if node in flow.data.nodes else f"there is no node {node!r} any more",
                code="FB806",
                where=question.where,
                hint="run it, and its rows are here again",
            )
        number, value = found
        if message["what"] not in ("open", "array") and message.get("value") != number:
            raise CanvasError(
                f"{node!r} has another value now", code="FB807", where=question.where, hint="open it anew"
            )
        return number, value

    def _view(self, question: _Question, number: int, value: Any) -> TableView:
        """Find the view of a value; another grid's is as good.

        Raises:
            FlowbookError: it has none; who asks again is told so, and the value is not looked at again.
        """
        with self._lock:
            grids = [known[question.key] for known in self._grids.values() if question.key in known]
            seen = next((grid.seen for grid in grids if grid.seen and grid.seen.is_of(number, value)), None)
        seen = seen or _looked_at(question, number, value)
        with self._lock:
            if question.grid is not None and self._is_current(question):
                question.grid.seen = seen
        if isinstance(seen.outcome, FlowbookError):
            raise copy.copy(seen.outcome)  # the one that is kept holds on to nothing of where it was raised
        return seen.outcome


def _looked_at(question: _Question, number: int, value: Any) -> _Seen:
    try:
        return _Seen(number, value, question.flow.engine.payloads.view(value))
    except FlowbookError as error:
        return _Seen(number, value, copy.copy(error))
    except Exception as error:  # a plan that does not fit its tables
        return _Seen(number, value, _not_computed(question, error))


def _key(flow: Any, message: Message) -> _Key:
    return flow.name, message["node"], message.get("port") or ""


def _note(view: TableView) -> Message:
    """What has to be known of the table as a whole: that only its first rows are shown."""
    return {"note": view.note} if view.note else {}


def _not_computed(question: _Question, error: Exception) -> CanvasError:
    said = " ".join(str(error).split())
    return CanvasError(
        f"the rows of {question.message['node']!r} could not be computed: {said[:200]}{'…' if len(said) > 200 else ''}",
        code="FB808",
        where=question.where,
        hint="the cell of the node that makes the table is where to mend it",
    )


class _Lane:
    """A thread that does one thing after another; it starts with the first, and ends with the process."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, task: Callable[[], None]) -> None:
        """Have something done."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=f"flowbook-table-{self._name}", daemon=True)
            self._thread.start()
        self._tasks.put(task)

    def _serve(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                task()
            except Exception:
                logger.exception("flowbook stumbled over what a grid asked for")
            del task  # or the last table asked for is held until the next
