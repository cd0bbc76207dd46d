"""The live side of the canvas: what browsers ask for, and what they are told, over any carrier.

A browser opens a channel, subscribes to flows and sends small commands. A *hub* answers on a thread of its own and
tells every subscribed channel what changed, in numbered batches, at most ``BATCHES_PER_S`` a second; whatever changed
in between is told once. Receiving only enqueues: it may happen on the main thread, on a subshell, while a cell runs.
Commands carry an id and are answered: ``ack`` with the flow's new revision, or ``reject`` with why. A browser that
misses a number asks for everything again.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol

from flowbook.canvas.channels import CLOSED, Channel
from flowbook.canvas.inner_flow import InnerFlow
from flowbook.canvas.live_view import NoHost
from flowbook.canvas.messages import PROTOCOL, read_message
from flowbook.canvas.tables import Tables, Told
from flowbook.canvas.watching import NEVER, RETRY_S, Marks, WatchedFlow
from flowbook.core.expansion import SEPARATOR
from flowbook.errors import CanvasError, FlowbookError
from flowbook.runtime.code_checks import code_may_have_changed
from flowbook.runtime.engine import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowbook.canvas.live_view import Host
    from flowbook.canvas.messages import Message
    from flowbook.core.events import Event
    from flowbook.core.interfaces import Clock
    from flowbook.runtime.run import Run

BATCHES_PER_S: Final = 30
#: So many messages are answered before those that listen are told something again.
MESSAGES_A_TURN: Final = 256

logger = logging.getLogger(__name__)


class Flows(Protocol):
    """Where a hub finds flows; filled by the session."""

    def find_flow(self, name: str) -> Any:
        """Return the flow of that name, or None."""
        ...

    def flow_names(self) -> list[str]:
        """Return the names of all flows."""
        ...

    def type_list(self) -> list[dict[str, Any]]:
        """Return the node types that can be added."""
        ...


class Hub:
    """See the module's docstring.

    Args:
        flows: where the flows are.
        clock: tells when.
        is_threaded: serve on a thread that starts with the first channel; False: whoever made it calls ``turn``.
    """

    def __init__(self, flows: Flows, *, clock: Clock | None = None, is_threaded: bool = True) -> None:
        #: The notebook around the kernel; set by whoever knows it.
        self.host: Host = NoHost()
        self._flows = flows
        self._clock: Clock = clock or SystemClock()
        self._is_threaded = is_threaded
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        # Guarded by the condition, as are the marks of watched flows: what other threads bring.
        self._inbox: deque[tuple[Channel, Any]] = deque()
        self._is_marked = False
        self._appeared: set[str] = set()
        # Changed by the hub's thread alone.
        self._channels: dict[Channel, None] = {}
        self._watched: dict[Any, WatchedFlow] = {}
        #: Of them those that are inside subflows, by the flow they are in.
        self._inside: dict[Any, tuple[WatchedFlow, ...]] = {}
        self._awaited: set[str] = set()
        self._next_tick_at = 0.0
        self._answers: dict[str, Callable[[Channel, Message], None]] = {
            "hello": self._greet,
            "pong": lambda _channel, _message: None,
            "subscribe": self._subscribe,
            "resync": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "run": lambda channel, message: self._command(self._run, channel, message),
            "cancel": lambda channel, message: self._command(self._cancel, channel, message),
            "set": lambda channel, message: self._command(self._set, channel, message),
            "edit": lambda channel, message: self._command(self._edit, channel, message),
            "wrote": self._wrote,
            "lease": self._settle_lease,
            "table": self._show_table,
        }
        deliver = self._enqueue if is_threaded else self._tell
        self._tables = Tables(
            deliver,
            lambda channel, message, error: deliver(channel, Told(self._refusal(channel, message, error))),
            is_threaded=is_threaded,
        )

    # -- from anywhere

    def connect(
        self,
        send: Callable[[Message], None],
        *,
        hang_up: Callable[[], None] | None = None,
        flow: Any = None,
        can_write: bool = False,
    ) -> Channel:
        """Open a channel; see ``Channel`` for the arguments."""
        with self._condition:
            if self._thread is None and self._is_threaded:
                self._thread = threading.Thread(target=self._serve, name="flowbook-control", daemon=True)
                self._thread.start()
        return Channel(send, self._enqueue, hang_up=hang_up, flow=flow, can_write=can_write)

    def finds(self, flow: Any) -> bool:
        """Whether browsers can ask for this flow by its name: another one may bear it."""
        return self._flows.find_flow(flow.name) is flow

    def watches(self, flow: Any) -> bool:
        """Whether a browser looks at this flow."""
        return flow in self._watched or flow in self._inside

    def event(self, flow: Any, run: Run, event: Event, *, is_private: bool) -> None:
        """Something happened in a run; called on engine threads.

        Args:
            flow: whose run it is.
            run: the run.
            event: what happened.
            is_private: the run differs from the document, and changes no node's value.
        """
        for watched in self._views_of(flow):
            with self._condition:
                watched.marks.enter(run, event, is_private=is_private, within=watched.within)
                self._wake()
                if watched.marks.over:
                    self._condition.notify()

    def flow_changed(self, flow: Any) -> None:
        """Nodes, edges, settings, code or what a cell holds changed, or may have."""
        if self._awaited:
            inside = flow.name + SEPARATOR
            appeared = {name for name in tuple(self._awaited) if name == flow.name or name.startswith(inside)}
            if appeared:
                with self._condition:
                    self._appeared |= appeared
                    self._condition.notify()
        for watched in self._views_of(flow):
            with self._condition:
                watched.marks.all = True
                self._wake()

    def _views_of(self, flow: Any) -> tuple[WatchedFlow, ...]:
        """The flow and the insides of its subflows, as far as somebody looks at them."""
        watched = self._watched.get(flow)
        return (() if watched is None else (watched,)) + self._inside.get(flow, ())

    def cell_ended(self) -> None:
        """A cell was run: variables, functions or files may have changed, and with them what is stale."""
        code_may_have_changed()
        for flow in list(self._watched):
            self.flow_changed(flow)

    def _enqueue(self, channel: Channel, message: Any) -> None:
        with self._condition:
            self._inbox.append((channel, message))
            self._condition.notify()

    def _wake(self) -> None:
        """Have the marks looked at; a hub that knows of some already will come by itself."""
        if not self._is_marked:
            self._is_marked = True
            self._condition.notify()

    @property
    def channel_count(self) -> int:
        """How many browsers are connected."""
        return len(self._channels)

    @property
    def watched_count(self) -> int:
        """How many flows are looked at."""
        return len(self._watched)

    # -- the hub's thread

    def _serve(self) -> None:
        while True:
            try:
                self.turn()
            except Exception:
                logger.exception("flowbook's live views stumbled")
                self._next_tick_at = self._clock.monotonic() + RETRY_S
            self._wait()

    def _wait(self) -> None:
        with self._condition:
            pause_s, known = self._pause_s(), (self._is_marked, self._is_over())
            self._condition.wait_for(
                lambda: self._inbox or self._appeared or (self._is_marked, self._is_over()) > known,
                pause_s,
            )

    def turn(self) -> float | None:
        """Answer what came, and tell what is due.

        Returns:
            Seconds until there may be something to do again; None: when something comes.
        """
        self._answer_all()
        now = self._clock.monotonic()
        if now >= self._tick_at() and self._due_at() <= now:
            self._next_tick_at = max(self._next_tick_at, now) + 1 / BATCHES_PER_S
            for watched in list(self._watched.values()):
                with self._condition:
                    self._is_marked = False
                    marks, watched.marks = watched.marks, Marks()
                later = watched.turn(marks)
                with self._condition:
                    watched.marks.add(later)
        for channel in [channel for channel in self._channels if channel.is_dead]:
            self._drop(channel)
        return self._pause_s()

    def _pause_s(self) -> float | None:
        if self._inbox or self._appeared:
            return 0.0
        due_at = self._due_at()
        return None if due_at == NEVER else max(0.0, max(due_at, self._tick_at()) - self._clock.monotonic())

    def _tick_at(self) -> float:
        """The end of a run is told ahead of its tick, which the next one then waits for: who moved a setting waits."""
        return self._next_tick_at - self._is_over() / BATCHES_PER_S

    def _is_over(self) -> bool:
        return any(watched.marks.over for watched in self._watched.values())

    def _due_at(self) -> float:
        return min((watched.due_at() for watched in self._watched.values()), default=NEVER)

    def _answer_all(self) -> None:
        with self._condition:
            appeared, self._appeared = self._appeared, set()
            messages = [self._inbox.popleft() for _ in range(min(len(self._inbox), MESSAGES_A_TURN))]
        for name in appeared:
            self._let_in(name)
        for channel, message in messages:
            if message is CLOSED:
                self._drop(channel)
            elif isinstance(message, Told):
                self._tell(channel, message)
            else:
                self._answer(channel, message)

    # -- answering

    def _tell(self, channel: Channel, told: Told) -> None:
        if not channel.tell(told.message, told.buffers):  # who asked must not wait for ever
            self._reject(channel, told.message, CanvasError("the answer is too large to be sent", code="FB809"))

    def _answer(self, channel: Channel, message: Any) -> None:
        channel.heard()
        if channel.is_greeted and channel not in self._channels:
            self._welcome(channel)  # it was silent for so long that it was forgotten; now it subscribes again
        try:
            read = read_message(message)
            self._answers[read["kind"]](channel, read)
        except FlowbookError as error:
            self._reject(channel, message, error)
        except Exception:
            logger.exception("flowbook could not carry out what a browser asked for")
            self._reject(channel, message, CanvasError("this went wrong inside flowbook; the kernel's log has more"))

    def _find(self, channel: Channel, name: str) -> Any:
        if channel.flow is not None:
            return channel.flow if channel.flow.name == name else None
        return self._flows.find_flow(name)

    def _need(self, channel: Channel, name: str) -> Any:
        flow = self._find(channel, name)
        if flow is None:
            raise CanvasError(
                f"there is no flow {name!r} in this kernel", code="FB802", hint="run the cells that make it"
            )
        return flow

    def _greet(self, channel: Channel, message: Message) -> None:
        channel.is_greeted, channel.answers_pings = True, bool(message.get("pong"))
        self._welcome(channel)

    def _welcome(self, channel: Channel) -> None:
        self._channels.setdefault(channel)
        names = self._flows.flow_names() if channel.flow is None else [channel.flow.name]
        current = self.host.current() if channel.flow is None else channel.flow.name
        types = self._flows.type_list()
        channel.tell({"kind": "hello", "protocol": PROTOCOL, "flows": names, "current": current, "types": types})

    def _subscribe(self, channel: Channel, message: Message) -> None:
        self._let_watch(channel, message["flow"], tuple(message.get("runs") or ()))

    def _let_watch(self, channel: Channel, name: str, runs: tuple[str, ...]) -> None:
        self._channels.setdefault(channel)
        self._awaited.add(name)  # before looking for it: it may come at any moment
        flow = self._find(channel, name)
        if flow is None:  # not "or": a flow without nodes is false
            flow = self._find_inside(channel, name)
        if flow is None:
            channel.awaited[name] = runs
            channel.tell({"kind": "absent", "flow": name})
            return
        channel.awaited.pop(name, None)
        self._forget_awaited(name)
        channel.flows[name] = flow
        watched = self._watched.get(flow)
        if watched is None:
            watched = self._watched[flow] = self._watch(flow)
        watched.subscribe(channel, runs)

    def _watch(self, flow: Any) -> WatchedFlow:
        if not isinstance(flow, InnerFlow):
            return WatchedFlow(flow, self.host, self._clock)
        made = WatchedFlow(flow, NoHost(), self._clock, within=flow.prefix)
        self._inside[flow.outer] = (*self._inside.get(flow.outer, ()), made)
        return made

    def _show_table(self, channel: Channel, message: Message) -> None:
        name = message["flow"]
        flow = self._find_inside(channel, name)
        if flow is None:
            flow = self._find(channel, name)
        if flow is None and message["what"] == "close":
            return  # it is gone, and so is what was shown of it
        self._tables.ask(channel, self._need(channel, name) if flow is None else flow, message)

    def _find_inside(self, channel: Channel, name: str) -> Any:
        """Return what is inside a subflow's node, ``flow/node``; the same object for all who look into it."""
        outer_name, _, node_id = name.partition(SEPARATOR)
        outer = self._find(channel, outer_name)
        if outer is None or not InnerFlow.is_there(outer, node_id):
            return None
        known = (watched.flow for watched in self._inside.get(outer, ()))
        return next((flow for flow in known if flow.name == name), None) or InnerFlow(outer, node_id)

    def _let_in(self, name: str) -> None:
        """A flow has come that channels asked for before."""
        for channel in [channel for channel in self._channels if name in channel.awaited]:
            if self._find(channel, name) is not None or self._find_inside(channel, name) is not None:
                self._let_watch(channel, name, channel.awaited[name])

    def _forget_awaited(self, name: str) -> None:
        if not any(name in channel.awaited for channel in self._channels):
            self._awaited.discard(name)

    def _unsubscribe(self, channel: Channel, message: Message) -> None:
        if channel.flow is None:  # a widget's line is shared by all views of the widget
            self._leave(channel, message["flow"])

    def _leave(self, channel: Channel, name: str) -> None:
        channel.awaited.pop(name, None)
        self._forget_awaited(name)
        flow = channel.flows.pop(name, None)
        watched = self._watched.get(flow) if flow is not None else None
        if watched is None:
            return
        watched.leave(channel)
        if not watched.is_watched:
            del self._watched[flow]
            if isinstance(flow, InnerFlow):
                left = tuple(other for other in self._inside.pop(flow.outer, ()) if other is not watched)
                self._inside.update({flow.outer: left} if left else {})

    def _drop(self, channel: Channel) -> None:
        """Forget a channel."""
        self._tables.drop(channel)
        self._channels.pop(channel, None)
        for name in [*channel.flows, *channel.awaited]:
            self._leave(channel, name)

    def _command(self, perform: Callable[[Channel, Any, Message], Message], channel: Channel, message: Message) -> None:
        name, cid = message["flow"], message["cid"]
        flow = self._need(channel, name)
        answer = perform(channel, flow, message)
        channel.tell({"kind": "ack", "cid": cid, "flow": name, "rev": flow.data.revision, **answer})

    def _reject(self, channel: Channel, message: Any, error: FlowbookError) -> None:
        channel.tell(self._refusal(channel, message, error))

    def _refusal(self, channel: Channel, message: Any, error: FlowbookError) -> Message:
        fields = message if isinstance(message, dict) else {}
        name, cid = (value if isinstance(value, str) else "" for value in (fields.get("flow"), fields.get("cid")))
        flow = self._find(channel, name)
        rev = flow.data.revision if flow is not None else 0
        answer = {"kind": "reject", "cid": cid, "flow": name, "code": error.code, "message": error.what}
        return {**answer, "hint": error.hint, "rev": rev}

    # -- commands

    @staticmethod
    def _run(_channel: Channel, flow: Any, message: Message) -> Message:
        scope = {word: message[word] for word in ("to", "after", "only") if message.get(word)}
        if message.get("stale"):
            if scope:
                raise CanvasError(
                    "stale and another scope cannot be used together",
                    code="FB803",
                    where=f"flow {flow.name!r}",
                    hint="leave one of them out",
                )
            scope = {"to": sorted(flow.stale())}
            if not scope["to"]:
                return {}
        run = flow.start(force=bool(message.get("force")), **scope)
        return {"runId": run.id}

    @staticmethod
    def _cancel(_channel: Channel, flow: Any, _message: Message) -> Message:
        flow.cancel()
        return {}

    def _set(self, channel: Channel, flow: Any, message: Message) -> Message:
        watched = self._watched.get(flow)
        was_told = watched is not None and not watched.marks
        flow.setting_moved(message["node"], message["name"], message["value"])
        self._edited_by(channel, flow)
        if was_told:
            # What follows from it is told together with it, if it comes soon: the browser shows the move already, and
            # every message before the one that somebody waits for makes that one late.
            self._next_tick_at = max(self._next_tick_at, self._clock.monotonic() + 1 / BATCHES_PER_S)
        return {}

    def _edit(self, channel: Channel, flow: Any, message: Message) -> Message:
        operations = message["ops"]
        for operation in operations:
            if operation.get("op") == "rename" and operation.get("namesFollow") is not False:
                self._check_rename(flow, operation.get("node"))
        flow.apply(operations)
        documents = [operation for operation in operations if operation["op"] == "document"]
        # A browser that writes cells sends the text of the cell: after an undo there, or to have it win.
        if documents and documents[-1].get("fromCell", channel.can_write):
            self.host.wrote(flow, documents[-1]["text"], None)
            self.flow_changed(flow)
        self._edited_by(channel, flow)
        return {}

    def _check_rename(self, flow: Any, node_id: Any) -> None:
        """Refuse another name for a node that has its name from its code, where a cell holds the document.

        The text of that cell cannot say it, so undo there could not take it back, and when the code is run again the
        node has its own name again.

        Raises:
            CanvasError: FB810.
        """
        if node_id in flow.coded and self.host.cell(flow)["text"] is not None:
            raise CanvasError(
                f"{node_id!r} has its name from its code",
                code="FB810",
                where=flow.data.where,
                hint="rename it in its cell: the function, or the name after %%node",
                node=node_id,
            )

    def _edited_by(self, channel: Channel, flow: Any) -> None:
        watched = self._watched.get(flow)
        if watched is not None:
            watched.edited_by(channel)

    def _wrote(self, channel: Channel, message: Message) -> None:
        flow = self._need(channel, message["flow"])
        self.host.wrote(flow, message["text"], message.get("cellId"))
        self._edited_by(channel, flow)
        self.flow_changed(flow)

    def _settle_lease(self, channel: Channel, message: Message) -> None:
        watched = self._watched.get(self._need(channel, message["flow"]))
        if watched is not None:
            watched.settle_lease(channel, wants=message["held"])
