"""The live side of the canvas: what browsers ask for, and what they are told, over any carrier.

A browser opens a channel, subscribes to flows and sends small commands. A *hub* answers on a thread of its own and
tells every subscribed channel what changed, in numbered batches, at most ``BATCHES_PER_S`` a second; whatever changed
in between is told once. Receiving only enqueues: it may happen on the main thread, on a subshell, while a cell runs.
Commands carry an id and are answered: ``ack`` with the flow's new revision, or ``reject`` with why. A browser that
misses a number asks for everything again.

One look at a flow (``live_view``) serves all its views. Looking takes time that node code could use, so a large flow is
looked at as a whole only as often as keeps the hub below a quarter of a core.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from flowbook.canvas.leases import WriterLease
from flowbook.canvas.live_view import LiveView, News, NoHost
from flowbook.canvas.messages import MAX_MESSAGE_BYTES, PROTOCOL, read_message, sendable
from flowbook.core.events import NodeFinished, NodeStarted, RunFinished, RunStarted
from flowbook.errors import CanvasError, FlowbookError
from flowbook.runtime.engine import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flowbook.canvas.live_view import Host
    from flowbook.canvas.messages import Message
    from flowbook.core.events import Event
    from flowbook.core.interfaces import Clock
    from flowbook.runtime.run import Run

BATCHES_PER_S: Final = 30
#: So many messages are answered before those that listen are told something again.
MESSAGES_A_TURN: Final = 256
#: The hub's share of a core for looking at one flow as a whole.
LOOK_SHARE: Final = 0.25
#: Between two looks at what running nodes print, seconds: no event tells of it.
GLANCE_S: Final = 0.5
#: How long a flow has to rest before outputs are told that browsers store, seconds.
REST_S: Final = 0.4
#: After a look that failed because somebody changed what was looked at, seconds.
RETRY_S: Final = 0.25
#: How long the holder of a writer lease may take to write what is due, seconds.
WRITE_S: Final = 2.0
#: How long a browser that answers pings may be silent while it is told things, and then leave a ping unanswered.
SILENCE_S: Final = 30.0

logger = logging.getLogger(__name__)


class Flows(Protocol):
    """Where a hub finds flows; filled by the session."""

    def find_flow(self, name: str) -> Any:
        """Return the flow of that name, or None."""
        ...

    def flow_names(self) -> list[str]:
        """Return the names of all flows."""
        ...

    def type_list(self) -> list[dict[str, str]]:
        """Return the node types that can be added."""
        ...


@dataclass(slots=True)
class _Marks:
    """What happened to a flow since it was looked at; filled by any thread."""

    all: bool = False
    nodes: set[str] = field(default_factory=set)
    runs: dict[str, Run] = field(default_factory=dict)
    over: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.all or self.nodes or self.runs or self.over)


@dataclass(slots=True)
class _Subscription:
    """What one channel has been told of one flow."""

    news: News = field(default_factory=News)
    runs: tuple[str, ...] = ()
    seq: int = 0
    is_new: bool = True
    is_holder: bool | None = None


@dataclass(slots=True)
class _Watched:
    """A flow that somebody looks at; the hub's thread alone changes it, save for ``marks``."""

    view: LiveView
    marks: _Marks = field(default_factory=lambda: _Marks(all=True))
    subscriptions: dict[Channel, _Subscription] = field(default_factory=dict)
    lease: WriterLease[Channel] = field(default_factory=WriterLease)
    look_at: float = 0.0
    glance_at: float = float("inf")
    said: dict[str, int] = field(default_factory=dict)
    rest_at: float = float("inf")
    over: list[str] = field(default_factory=list)
    write_by: float = float("inf")
    lapses_left: int = 0


class Channel:
    """One browser's line to the kernel.

    Args:
        send: sends one message to the browser; called on the hub's thread only.
        hub: who answers.
        hang_up: ends the line from this side, or None.
        flow: the one flow it is about; None: any flow of the kernel, by name.
        can_write: the browser can write into cells of a notebook.
    """

    def __init__(
        self,
        send: Callable[[Message], None],
        hub: Hub,
        *,
        hang_up: Callable[[], None] | None = None,
        flow: Any = None,
        can_write: bool = False,
    ) -> None:
        self.send = send
        self.hang_up = hang_up
        self.flow = flow
        self.can_write = can_write
        #: Flows it is subscribed to, by the name it said.
        self.flows: dict[str, Any] = {}
        #: Names it asked for that no flow bears yet, with the runs it asked for.
        self.awaited: dict[str, tuple[str, ...]] = {}
        self.answers_pings = False
        self.silent_since: float | None = None
        self.is_pinged = False
        self._hub = hub

    def receive(self, message: Any) -> None:
        """Take a message; returns at once, whatever it is."""
        self._hub.enqueue(self, message)

    def close(self) -> None:
        """Forget this browser."""
        self._hub.enqueue(self, None)


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
        # Guarded by the condition: what other threads bring.
        self._inbox: deque[tuple[Channel, Any]] = deque()
        self._marked: set[Any] = set()
        self._appeared: set[str] = set()
        # The hub's own.
        self._channels: dict[Channel, None] = {}
        self._watched: dict[Any, _Watched] = {}
        self._awaited: set[str] = set()
        self._next_tick_at = 0.0
        self._commands: dict[str, Callable[[Channel, Any, Message], Message]] = {
            "run": self._run,
            "cancel": self._cancel,
            "set": self._set,
            "edit": self._edit,
        }

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
        channel = Channel(send, self, hang_up=hang_up, flow=flow, can_write=can_write)
        with self._condition:
            if self._thread is None and self._is_threaded:
                self._thread = threading.Thread(target=self._serve, name="flowbook-control", daemon=True)
                self._thread.start()
        return channel

    def enqueue(self, channel: Channel, message: Any) -> None:
        """Take a message for later; None: the channel is closed."""
        with self._condition:
            self._inbox.append((channel, message))
            self._condition.notify()

    def event(self, flow: Any, run: Run, event: Event, *, is_private: bool) -> None:
        """Something happened in a run; called on engine threads.

        Args:
            flow: whose run it is.
            run: the run.
            event: what happened.
            is_private: the run differs from the document, and changes no node's value.
        """
        watched = self._watched.get(flow)
        if watched is None:
            return
        with self._condition:
            marks = watched.marks
            marks.runs[run.id] = run
            if isinstance(event, NodeStarted | NodeFinished) and not is_private:
                marks.nodes.add(event.node_id)
            if isinstance(event, RunStarted | RunFinished):
                marks.all = True
            if isinstance(event, RunFinished):
                marks.over.append(run.id)
            self._mark(flow)

    def flow_changed(self, flow: Any) -> None:
        """Nodes, edges, settings, code or what a cell holds changed, or may have."""
        if flow.name in self._awaited:
            with self._condition:
                self._appeared.add(flow.name)
                self._condition.notify()
        watched = self._watched.get(flow)
        if watched is None:
            return
        with self._condition:
            watched.marks.all = True
            self._mark(flow)

    def cell_ended(self) -> None:
        """A cell was run: variables, functions or files may have changed, and with them what is stale."""
        for flow in list(self._watched):
            self.flow_changed(flow)

    def _mark(self, flow: Any) -> None:
        is_first = not self._marked
        self._marked.add(flow)
        if is_first:
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
                pause_s = self.turn()
            except Exception:
                logger.exception("flowbook's live views stumbled")
                pause_s = RETRY_S
            with self._condition:
                if not (self._inbox or self._appeared):
                    has_marks = bool(self._marked)
                    self._condition.wait_for(
                        lambda known=has_marks: bool(  # type: ignore[misc]
                            self._inbox or self._appeared or (self._marked and not known)
                        ),
                        pause_s,
                    )

    def turn(self) -> float | None:
        """Answer everything that came, and tell what is due.

        Returns:
            Seconds until there may be something to do again; None: when something comes.
        """
        self._answer_all()
        now = self._clock.monotonic()
        if now >= self._next_tick_at and self._has_work(now):
            self._next_tick_at = now + 1 / BATCHES_PER_S
            self._tick(now)
        return self._pause_s()

    def _answer_all(self) -> None:
        for _ in range(MESSAGES_A_TURN):
            with self._condition:
                appeared, self._appeared = self._appeared, set()
                channel, message = self._inbox.popleft() if self._inbox else (None, None)
            for name in appeared:
                self._let_in(name)
            if channel is None:
                return
            if message is None:
                self._drop(channel)
            else:
                self._answer(channel, message)

    def _has_work(self, now: float) -> bool:
        if self._marked:
            return True
        return any(
            min(watched.look_at if watched.marks else now + 1, watched.glance_at, watched.rest_at, watched.write_by)
            <= now
            or any(subscription.news or subscription.is_new for subscription in watched.subscriptions.values())
            for watched in self._watched.values()
        )

    def _pause_s(self) -> float | None:
        now = self._clock.monotonic()
        soonest = float("inf")
        for watched in self._watched.values():
            is_owed = any(entry.news or entry.is_new for entry in watched.subscriptions.values())
            soonest = min(
                soonest,
                now if is_owed else float("inf"),
                watched.look_at if watched.marks else float("inf"),
                watched.glance_at,
                watched.rest_at,
                watched.write_by,
            )
        if self._marked:
            soonest = now
        soonest = max(soonest, self._next_tick_at)
        return None if soonest == float("inf") else max(0.0, soonest - now)

    # -- answering

    def _answer(self, channel: Channel, message: Any) -> None:
        channel.silent_since, channel.is_pinged = None, False
        try:
            read = read_message(message)
            kind = read["kind"]
            if kind == "hello":
                self._greet(channel, read)
            elif kind in ("subscribe", "resync"):
                self._subscribe(channel, read["flow"], tuple(read.get("runs") or ()))
            elif kind == "unsubscribe":
                self._unsubscribe(channel, read["flow"])
            elif kind in self._commands:
                self._command(channel, read)
            elif kind == "wrote":
                self._wrote(channel, read)
            elif kind == "lease":
                self._settle_lease(channel, read)
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
        channel.answers_pings = bool(message.get("pong"))
        self._channels.setdefault(channel)
        names = self._flows.flow_names() if channel.flow is None else [channel.flow.name]
        current = self.host.current() if channel.flow is None else channel.flow.name
        types = self._flows.type_list()
        hello = {"kind": "hello", "protocol": PROTOCOL, "flows": names, "current": current, "types": types}
        self._send(channel, hello)

    def _subscribe(self, channel: Channel, name: str, runs: tuple[str, ...]) -> None:
        self._channels.setdefault(channel)
        flow = self._find(channel, name)
        if flow is None:
            channel.awaited[name] = runs
            self._awaited.add(name)
            # The flow may have come while its name was not awaited yet.
            if self._find(channel, name) is None:
                self._send(channel, {"kind": "absent", "flow": name})
                return
            flow = self._find(channel, name)
        channel.awaited.pop(name, None)
        watched = self._watched.get(flow)
        if watched is None:
            watched = self._watched[flow] = _Watched(LiveView(flow, self.host))
            watched.marks.all = True
        subscription = watched.subscriptions.setdefault(channel, _Subscription())
        subscription.is_new = True
        subscription.runs = tuple(dict.fromkeys((*subscription.runs, *runs)))
        channel.flows[name] = flow
        watched.rest_at = min(watched.rest_at, self._clock.monotonic() + REST_S)
        if channel.can_write:
            watched.lease.join(channel)
        subscription.is_holder = None
        self._tell_leases(watched)

    def _let_in(self, name: str) -> None:
        """A flow has come that channels asked for before."""
        for channel in [channel for channel in self._channels if name in channel.awaited]:
            if self._find(channel, name) is not None:
                self._subscribe(channel, name, channel.awaited[name])
        if not any(name in channel.awaited for channel in self._channels):
            self._awaited.discard(name)

    def _unsubscribe(self, channel: Channel, name: str) -> None:
        if channel.flow is None:  # a widget's line is shared by all views of the widget
            self._leave(channel, name)

    def _leave(self, channel: Channel, name: str) -> None:
        channel.awaited.pop(name, None)
        if not any(name in other.awaited for other in self._channels):
            self._awaited.discard(name)
        flow = channel.flows.pop(name, None)
        watched = self._watched.get(flow) if flow is not None else None
        if watched is None:
            return
        watched.subscriptions.pop(channel, None)
        watched.lease.leave(channel)
        if watched.subscriptions:
            self._tell_leases(watched)
            return
        with self._condition:
            del self._watched[flow]
            self._marked.discard(flow)

    def _drop(self, channel: Channel) -> None:
        """Forget a channel."""
        self._channels.pop(channel, None)
        for name in [*channel.flows, *channel.awaited]:
            self._leave(channel, name)

    def _command(self, channel: Channel, message: Message) -> None:
        flow = self._need(channel, message["flow"])
        answer = self._commands[message["kind"]](channel, flow, message)
        self._send(
            channel,
            {"kind": "ack", "cid": message["cid"], "flow": message["flow"], "rev": flow.data.revision, **answer},
        )

    def _reject(self, channel: Channel, message: Any, error: FlowbookError) -> None:
        fields = message if isinstance(message, dict) else {}
        name, cid = (value if isinstance(value, str) else "" for value in (fields.get("flow"), fields.get("cid")))
        flow = self._find(channel, name)
        rev = flow.data.revision if flow is not None else 0
        answer = {"kind": "reject", "cid": cid, "flow": name, "code": error.code, "message": error.what}
        self._send(channel, {**answer, "hint": error.hint, "rev": rev})

    # -- commands

    @staticmethod
    def _run(_channel: Channel, flow: Any, message: Message) -> Message:
        scope = {word: message[word] for word in ("to", "after", "only") if message.get(word)}
        if message.get("stale"):
            if scope:
                raise CanvasError("stale and another scope cannot be used together", code="FB803")
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
        flow.setting_moved(message["node"], message["name"], message["value"])
        self._edited_by(channel, flow)
        return {}

    def _edit(self, channel: Channel, flow: Any, message: Message) -> Message:
        operations = message["ops"]
        flow.apply(operations)
        documents = [operation for operation in operations if operation.get("op") == "document"]
        # A browser that writes cells sends the text of the cell: after an undo there, or to have it win.
        if documents and documents[-1].get("fromCell", channel.can_write):
            self.host.wrote(flow, documents[-1]["text"], None)
            self.flow_changed(flow)
        self._edited_by(channel, flow)
        return {}

    # -- writing into cells

    def _edited_by(self, channel: Channel, flow: Any) -> None:
        watched = self._watched.get(flow)
        if watched is not None and channel.can_write and channel in watched.subscriptions:
            watched.lease.take(channel)
            self._tell_leases(watched)

    def _wrote(self, channel: Channel, message: Message) -> None:
        flow = self._need(channel, message["flow"])
        self.host.wrote(flow, message["text"], message.get("cellId"))
        self._edited_by(channel, flow)
        self.flow_changed(flow)

    def _settle_lease(self, channel: Channel, message: Message) -> None:
        flow = self._need(channel, message["flow"])
        watched = self._watched.get(flow)
        if watched is None or channel not in watched.subscriptions:
            return
        if message["held"]:
            watched.lease.take(channel)
        else:
            watched.lease.decline(channel)
        watched.subscriptions[channel].is_holder = None  # it asked, so it is told
        self._tell_leases(watched)

    def _tell_leases(self, watched: _Watched) -> None:
        """Tell whom it concerns; first who lost the lease, so that never two believe to hold it."""
        holder = watched.lease.holder
        for channel, subscription in sorted(watched.subscriptions.items(), key=lambda item: item[0] is holder):
            is_holder = channel is holder
            if channel.can_write and subscription.is_holder != is_holder:
                subscription.is_holder = is_holder
                self._send(channel, {"kind": "lease", "flow": watched.view.flow.name, "held": is_holder})

    def _watch_writing(self, watched: _Watched, now: float, *, is_news: bool) -> None:
        """Pass the lease on when its holder does not write what is due."""
        if not watched.view.cell["due"]:
            watched.write_by = float("inf")
        elif is_news:
            watched.write_by, watched.lapses_left = now + WRITE_S, len(watched.lease.candidates) - 1
        elif now >= watched.write_by and watched.lapses_left <= 0:
            watched.write_by = float("inf")  # everybody had a turn
        elif now >= watched.write_by:
            watched.write_by, watched.lapses_left = now + WRITE_S, watched.lapses_left - 1
            watched.lease.lapse()
            self._tell_leases(watched)

    # -- telling

    def _tick(self, now: float) -> None:
        with self._condition:
            self._marked.clear()
        for flow, watched in list(self._watched.items()):
            try:
                news = self._look(watched, now)
            except Exception as error:
                logger.debug("flowbook looks again at flow %s: %r", flow.name, error, exc_info=True)
                with self._condition:
                    watched.marks.all = True
                watched.look_at = now + RETRY_S
                continue
            self._watch_writing(watched, now, is_news=news.document or news.cell)
            for channel, subscription in list(watched.subscriptions.items()):
                self._tell(channel, subscription, watched, news)

    def _look(self, watched: _Watched, now: float) -> News:
        view, news = watched.view, News()
        with self._condition:
            marks, watched.marks = watched.marks, _Marks()
        watched.over += marks.over
        if marks.all and now < watched.look_at:
            with self._condition:
                watched.marks.all = True
            marks.all = False
        if now >= watched.glance_at:
            said = view.said
            if said != watched.said:
                watched.said = said
                marks.nodes |= {node for run in view.open_runs for node in _running(run)}
                marks.runs |= {run.id: run for run in view.open_runs}
        try:
            if not marks.all and marks.nodes:
                found, is_tight = view.look_at_nodes(marks.nodes)
                news.add(found)
                marks.all = is_tight and now >= watched.look_at
                if is_tight and not marks.all:
                    with self._condition:
                        watched.marks.all = True
            if marks.all:
                began = self._clock.monotonic()
                news.add(view.look())
                watched.look_at = now + (self._clock.monotonic() - began) / LOOK_SHARE
            news.add(view.look_at_runs(marks.runs.values()))
        except BaseException:
            with self._condition:  # what was taken is looked at again
                watched.marks.all = True
                watched.marks.runs |= marks.runs
            raise
        watched.glance_at = now + GLANCE_S if view.open_runs else float("inf")
        news.add(self._look_at_outputs(watched, now, is_news=bool(news)))
        return news

    def _look_at_outputs(self, watched: _Watched, now: float, *, is_news: bool) -> News:
        """Look at what browsers store, if one of them does: runs that are over, and a canvas at rest."""
        is_at_rest = now >= watched.rest_at and not is_news
        over, watched.over = watched.over, []
        if watched.view.open_runs or is_at_rest:
            watched.rest_at = float("inf")
        elif is_news:
            watched.rest_at = now + REST_S
        if not (over or is_at_rest) or not any(channel.can_write for channel in watched.subscriptions):
            return News()
        asked = [run_id for subscription in watched.subscriptions.values() for run_id in subscription.runs]
        return watched.view.look_at_outputs([*over, *asked] if is_at_rest else over, with_canvas=is_at_rest)

    def _tell(self, channel: Channel, subscription: _Subscription, watched: _Watched, news: News) -> None:
        subscription.news.add(news)
        if subscription.is_new:
            subscription.is_new = False
            subscription.news = watched.view.everything(subscription.runs)
        if not channel.can_write:
            subscription.news.outputs.clear()
        if not subscription.news:
            return
        now = self._clock.monotonic()
        if self._is_gone(channel, now):
            return
        told, subscription.news = subscription.news, News()
        subscription.seq += 1
        batch, subscription.news = watched.view.batch(told, subscription.seq)
        self._send(channel, batch)

    def _is_gone(self, channel: Channel, now: float) -> bool:
        """Ping a browser that has long said nothing; forget it when it does not answer."""
        if channel.silent_since is None:
            channel.silent_since = now
        if not channel.answers_pings or now - channel.silent_since < SILENCE_S:
            return False
        if not channel.is_pinged:
            channel.is_pinged, channel.silent_since = True, now
            self._send(channel, {"kind": "ping"})
            return False
        self._drop(channel)
        if channel.hang_up is not None:
            channel.hang_up()
        return True

    def _send(self, channel: Channel, message: Any) -> None:
        try:
            sent, size_bytes = sendable(message)
            if size_bytes > MAX_MESSAGE_BYTES:
                logger.warning("flowbook did not send a message of %.0f MB to a browser", size_bytes / 1e6)
                sent = {key: message[key] for key in ("kind", "flow", "seq", "rev") if key in message}
            channel.send(sent)
        except Exception:
            # The line is dead, or what it was to carry is no JSON: the others must hear all the same.
            logger.exception("flowbook could not tell a browser of %s", message.get("flow", message["kind"]))
            self._drop(channel)


def _running(run: Run) -> Iterable[str]:
    return [span.node for span in run.trace.spans if span.status == "running"]
