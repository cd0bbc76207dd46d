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

import logging
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flowbook.canvas.snapshot import shown_value
from flowbook.data import viewports
from flowbook.errors import CanvasError, FlowbookError

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
_LANES: Final = ("quick", "rows", "stats")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """An answer that was made on another thread, and is to be sent by the hub's."""

    message: Message
    buffers: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class _Held:
    """A table that a browser shows: of which value, which may have been computed in the meantime, and its view."""

    number: int
    value: Any
    view: TableView


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
        #: By who shows it; None: asked for, and not looked at yet.
        self._held: dict[Channel, dict[tuple[str, str, str], _Held | None]] = {}
        #: By who asks: stands for a grid until it is closed; what waits for its turn is left undone after that.
        self._shown: dict[Channel, dict[tuple[str, str, str], object]] = {}

    def ask(self, channel: Channel, flow: Any, message: Message) -> None:
        """Have something answered.

        Args:
            channel: who asks.
            flow: the flow that was named.
            message: a message of the kind ``table``.
        """
        if message["what"] == "close":
            self._forget(channel, _key(flow, message))
            with self._lock:
                self._shown.get(channel, {}).pop(_key(flow, message), None)
            return
        if message["what"] == "open":
            with self._lock:
                self._held.setdefault(channel, {}).setdefault(_key(flow, message), None)
        lane = self._lanes.get(self._lane_of(channel, flow, message))
        if lane is None:
            self._answer(channel, flow, message)
            return
        key = _key(flow, message)
        with self._lock:
            shown = self._shown.setdefault(channel, {}).setdefault(key, object())

        def answer() -> None:
            with self._lock:
                is_shown = self._shown.get(channel, {}).get(key) is shown
            if is_shown:
                self._answer(channel, flow, message)

        lane.put(answer)

    def _lane_of(self, channel: Channel, flow: Any, message: Message) -> str:
        what = message["what"]
        if what in _SLOW:
            return "stats"
        with self._lock:
            held = self._held.get(channel, {}).get(_key(flow, message))
        is_at_hand = held is not None and held.view.height is not None and not message.get("sort")
        return "quick" if what == "open" or (what == "rows" and is_at_hand) else "rows"

    def drop(self, channel: Channel) -> None:
        """Let go of everything a browser showed."""
        with self._lock:
            self._held.pop(channel, None)
            self._shown.pop(channel, None)

    @property
    def held_count(self) -> int:
        """How many tables are held because a browser shows them."""
        with self._lock:
            return sum(held is not None for tables in self._held.values() for held in tables.values())

    def _forget(self, channel: Channel, key: tuple[str, str, str]) -> None:
        with self._lock:
            self._held.get(channel, {}).pop(key, None)

    def _answer(self, channel: Channel, flow: Any, message: Message) -> None:
        try:
            told = self._told(channel, flow, message)
        except FlowbookError as error:
            self._refuse(channel, message, error)
        except Exception as error:  # a plan of the user's own, a type of tomorrow
            logger.debug("flowbook could not show a table", exc_info=True)
            self._refuse(channel, message, _not_computed(message["node"], error))
        else:
            self._deliver(channel, told)

    def _told(self, channel: Channel, flow: Any, message: Message) -> Told:
        number, value = self._value(channel, flow, message)
        answer: Message = {"kind": "table", "cid": message["cid"], "flow": flow.name, "value": number}
        what = message["what"]
        if what == "array":
            return Told({**answer, "array": flow.engine.payloads.array_stats(value)})
        view = self._view(channel, flow, message, number, value)
        if what == "open":
            columns = view.columns
            shown = [{**column, "name": column["name"][:MOST_NAME_CHARS]} for column in columns[:MOST_COLUMNS]]
            return Told({**answer, "columns": shown, "width": len(columns), "height": view.height})
        if what == "rows":
            first, count = message.get("firstColumn", 0), message.get("columnCount", viewports.MOST_COLUMNS)
            page = view.rows(
                message.get("start", 0),
                message.get("stop", 0),
                sort_by=_sort_keys(message),
                first_column=first,
                column_count=count,
            )
            return Told({**answer, "rowCount": page.row_count, "isText": [*page.is_text], **_note(view)}, (page.arrow,))
        if what == "cell":
            row, column = message.get("row", 0), message.get("column", 0)
            return Told({**answer, "text": view.cell(row, column, sort_by=_sort_keys(message))})
        if what == "stats":
            return Told({**answer, "stats": view.stats(message.get("column", 0))})
        if what == "count":
            return Told({**answer, "height": view.count(), **_note(view)})
        raise CanvasError(f"a table cannot be asked for {what!r}", code="FB803")

    def _value(self, channel: Channel, flow: Any, message: Message) -> tuple[int, Any]:
        """Find the value a grid speaks of.

        Raises:
            CanvasError: FB806 the node has none now, FB807 it has another one.
        """
        node = message["node"]
        with flow.lock:
            found = shown_value(flow, node, message.get("port") or "") if node in flow.data.nodes else None
        if found is None:
            self._forget(channel, _key(flow, message))
            raise CanvasError(
                f"{node!r} has no value now" if node in flow.data.nodes else f"there is no node {node!r} any more",
                code="FB806",
                hint="run it, and its rows are here again",
            )
        number, value = found
        if message["what"] not in ("open", "array") and message.get("value") != number:
            raise CanvasError(f"{node!r} has another value now", code="FB807", hint="open it anew")
        return number, value

    def _view(self, channel: Channel, flow: Any, message: Message, number: int, value: Any) -> TableView:
        key = _key(flow, message)
        view: TableView
        with self._lock:
            alike = [held for tables in self._held.values() if (held := tables.get(key)) is not None]
        # Another grid's view of the value is as good. One that computed a lazy table stays when a run collects that
        # table, too: rows of two computations need not come in one order.
        for held in alike:
            if held.number == number and (held.value is value or held.view.is_kept):
                view = held.view
                break
        else:
            view = flow.engine.payloads.view(value)
        with self._lock:
            tables = self._held.get(channel, {})
            known = tables.get(key)
            # Without its key it was closed while it waited for its turn.
            if key in tables and (known is None or known.view is not view):
                tables[key] = _Held(number, value, view)
        return view


def _key(flow: Any, message: Message) -> tuple[str, str, str]:
    return flow.name, message["node"], message.get("port") or ""


def _note(view: TableView) -> Message:
    """What has to be known of the table as a whole: that only its first rows are shown."""
    return {"note": view.note} if view.note else {}


def _sort_keys(message: Message) -> list[viewports.SortKey]:
    """Read what to sort by.

    Raises:
        CanvasError: FB803, an entry is not ``{"column": name, "isDescending": bool}``.
    """
    keys = []
    for entry in message.get("sort") or []:
        column, is_descending = entry.get("column"), entry.get("isDescending", False)
        if not isinstance(column, str) or not isinstance(is_descending, bool):
            raise CanvasError(
                "a column to sort by is missing its name", code="FB803", hint='{"column": name, "isDescending": false}'
            )
        keys.append(viewports.SortKey(column=column, is_descending=is_descending))
    return keys


def _not_computed(node: str, error: Exception) -> CanvasError:
    said = " ".join(str(error).split())
    return CanvasError(
        f"the rows of {node!r} could not be computed: {said[:200]}{'…' if len(said) > 200 else ''}",
        code="FB808",
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
