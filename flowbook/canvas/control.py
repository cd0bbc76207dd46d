"""The live side of the canvas: what browsers ask for, and what they are told, over any carrier.

A browser opens a channel, subscribes to flows and sends small commands; a *hub* answers them on a thread of its own and
sends every channel numbered batches, coalesced per node, at most ``BATCHES_PER_S`` a second. Receiving only enqueues:
it may happen on the main thread, on a subshell, or while a cell runs. A browser that misses a number asks for
everything again. Commands carry an id and are answered: ``ack`` with the flow's new revision, or ``reject`` with why.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from flowbook.canvas.protocol import fit_canvas, fit_trace
from flowbook.canvas.snapshot import card, snapshot
from flowbook.errors import FlowbookError, WiringError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROTOCOL = 1
BATCHES_PER_S = 30
#: Larger values are not sent along with a node; the browser shows the card's preview instead.
MAX_VALUE_BYTES = 2 * 1024 * 1024

logger = logging.getLogger(__name__)
Message = dict[str, Any]


class Flows(Protocol):
    """Where a hub finds flows; filled by the session."""

    def find(self, name: str) -> Any:
        """Return the flow of that name, or None."""
        ...

    def names(self) -> list[str]:
        """Return the names of all flows."""
        ...

    def type_list(self) -> list[Message]:
        """Return the node types that can be added: ``typeId``, ``label``, ``doc``."""
        ...


@dataclass(slots=True)
class _Subscription:
    """What one channel has not been told yet of one flow."""

    seq: int = 0
    revision: int = -1
    needs_all: bool = True
    nodes: set[str] = field(default_factory=set)
    has_run_news: bool = False


class Channel:
    """One browser view's line to the kernel.

    Args:
        send: sends one message to the browser; called on the hub's thread only.
        hub: who answers.
    """

    def __init__(self, send: Callable[[Message], None], hub: Hub) -> None:
        self.send = send
        self.subscriptions: dict[str, _Subscription] = {}
        self._hub = hub

    def receive(self, message: Message) -> None:
        """Take a message; returns at once."""
        self._hub.enqueue(self, message)

    def close(self) -> None:
        """Forget this view."""
        self._hub.drop(self)


class Hub:
    """See the module's docstring.

    Args:
        flows: where the flows are.
        node_bundle: ``(flow, node) -> mime bundle`` for outputs of node cells, or None when there is none.
    """

    def __init__(
        self, flows: Flows, node_bundle: Callable[[Any, str], Message | None] = lambda _flow, _node: None
    ) -> None:
        self._flows = flows
        self._node_bundle = node_bundle
        self._condition = threading.Condition()
        self._inbox: deque[tuple[Channel, Message]] = deque()
        self._channels: list[Channel] = []
        self._has_news = False
        self._last_sent = 0.0
        self._thread: threading.Thread | None = None
        self._commands: dict[str, Callable[[Channel, Any, Message], None]] = {
            "run": self._run,
            "cancel": self._cancel,
            "set": self._set,
            "edit": self._edit,
        }

    # -- from anywhere

    def connect(self, send: Callable[[Message], None]) -> Channel:
        """Open a channel."""
        channel = Channel(send, self)
        with self._condition:
            self._channels.append(channel)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="flowbook-control", daemon=True)
                self._thread.start()
        return channel

    def drop(self, channel: Channel) -> None:
        """Forget a channel."""
        with self._condition:
            if channel in self._channels:
                self._channels.remove(channel)

    def enqueue(self, channel: Channel, message: Message) -> None:
        """Take a message for later."""
        with self._condition:
            self._inbox.append((channel, message))
            self._condition.notify()

    def node_changed(self, flow: str, node_id: str) -> None:
        """Something about one node changed."""
        self._note(flow, node_id=node_id)

    def run_changed(self, flow: str) -> None:
        """Something about the flow's run changed."""
        self._note(flow)

    def flow_changed(self, flow: str) -> None:
        """Nodes, edges, settings or stamps changed."""
        self._note(flow, is_all=True)

    def cell_ended(self) -> None:
        """A cell was run: variables, functions or files may have changed, and with them what is stale."""
        with self._condition:
            flows = {name for channel in self._channels for name in channel.subscriptions}
        for name in flows:
            self.flow_changed(name)

    def _note(self, flow: str, *, node_id: str | None = None, is_all: bool = False) -> None:
        with self._condition:
            for channel in self._channels:
                subscription = channel.subscriptions.get(flow)
                if subscription is None:
                    continue
                subscription.has_run_news = True
                subscription.needs_all = subscription.needs_all or is_all
                if node_id is not None:
                    subscription.nodes.add(node_id)
                self._has_news = True
            self._condition.notify()

    @property
    def channel_count(self) -> int:
        """How many views are connected."""
        return len(self._channels)

    # -- the hub's thread

    def _serve(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: bool(self._inbox) or self._has_news, self._pause_s())
                message = self._inbox.popleft() if self._inbox else None
                is_due = self._has_news and time.monotonic() - self._last_sent >= 1 / BATCHES_PER_S
                if is_due:
                    self._has_news = False
            if message is not None:
                self._answer(*message)
            if is_due:
                self._last_sent = time.monotonic()
                self._send_batches()
            elif message is None and self._has_news:
                with self._condition:
                    self._condition.wait_for(lambda: bool(self._inbox), 1 / BATCHES_PER_S)

    def _pause_s(self) -> float | None:
        return None if not self._has_news else 1 / BATCHES_PER_S

    def _answer(self, channel: Channel, message: Message) -> None:
        kind = message.get("kind")
        try:
            if kind == "hello":
                self._greet(channel)
            elif kind in ("subscribe", "resync"):
                channel.subscriptions[str(message.get("flow"))] = _Subscription()
                self._has_news = True
            elif kind == "unsubscribe":
                channel.subscriptions.pop(str(message.get("flow")), None)
            elif kind in self._commands:
                self._command(channel, message)
            else:
                self._reject(channel, message, WiringError(f"there is no message {kind!r}", code="FB220"))
        except Exception:
            logger.exception("flowbook could not answer a browser")

    def _greet(self, channel: Channel) -> None:
        names = self._flows.names()
        channel.send({"kind": "hello", "protocol": PROTOCOL, "flows": names, "types": self._flows.type_list()})

    def _command(self, channel: Channel, message: Message) -> None:
        name = str(message.get("flow"))
        flow = self._flows.find(name)
        try:
            if flow is None:
                raise WiringError(f"there is no flow {name!r} in this kernel", code="FB221", hint="run its cells first")
            self._commands[str(message["kind"])](channel, flow, message)
        except FlowbookError as error:
            self._reject(channel, message, error)
            return
        channel.send({"kind": "ack", "cid": message.get("cid"), "flow": name, "rev": flow.data.revision})

    def _reject(self, channel: Channel, message: Message, error: FlowbookError) -> None:
        flow = self._flows.find(str(message.get("flow")))
        channel.send(
            {
                "kind": "reject",
                "cid": message.get("cid"),
                "flow": message.get("flow"),
                "code": error.code,
                "message": error.what,
                "hint": error.hint,
                "rev": flow.data.revision if flow is not None else 0,
            }
        )

    # -- commands

    @staticmethod
    def _run(_channel: Channel, flow: Any, message: Message) -> None:
        scope = {word: message[word] for word in ("to", "after", "only") if message.get(word)}
        if message.get("stale"):
            stale = sorted(flow.stale())
            scope = {"to": stale} if stale else scope
        flow.start(force=bool(message.get("force")), **scope)

    @staticmethod
    def _cancel(_channel: Channel, flow: Any, _message: Message) -> None:
        if flow.last_run is not None:
            flow.last_run.cancel()

    @staticmethod
    def _set(_channel: Channel, flow: Any, message: Message) -> None:
        flow.setting_moved(message["node"], message["name"], message["value"])

    @staticmethod
    def _edit(_channel: Channel, flow: Any, message: Message) -> None:
        flow.apply(message.get("ops", []))

    # -- telling

    def _send_batches(self) -> None:
        with self._condition:
            due = [
                (channel, name, subscription)
                for channel in self._channels
                for name, subscription in channel.subscriptions.items()
                if subscription.has_run_news or subscription.needs_all
            ]
        for channel, name, subscription in due:
            flow = self._flows.find(name)
            if flow is None:
                continue
            with self._condition:
                nodes, subscription.nodes = subscription.nodes, set()
                is_all, subscription.needs_all = subscription.needs_all, False
                subscription.has_run_news = False
                subscription.seq += 1
            try:
                channel.send(self._batch(flow, subscription, nodes, is_all=is_all))
            except Exception:
                logger.exception("flowbook could not tell a browser of flow %s", name)

    def _batch(self, flow: Any, subscription: _Subscription, nodes: set[str], *, is_all: bool) -> Message:
        batch: Message = {"kind": "batch", "flow": flow.name, "seq": subscription.seq, "rev": flow.data.revision}
        run = flow.last_run
        if is_all or subscription.revision != flow.data.revision:
            subscription.revision = flow.data.revision
            batch["canvas"] = fit_canvas(snapshot(flow, seq=subscription.seq, is_live=True))
            batch["document"] = flow.document_text()
        else:
            stale = flow.stale()
            batch["cards"] = [
                card(flow, node_id, stale=stale, is_live=True)
                for node_id in sorted(nodes)
                if node_id in flow.data.nodes
            ]
        bundles = [self._bundle(flow, node_id) for node_id in sorted(nodes if not is_all else flow.data.nodes)]
        batch["nodes"] = [bundle for bundle in bundles if bundle is not None]
        if run is not None and run.trace is not None:
            batch["trace"] = fit_trace(run.trace.to_json())
        return batch

    def _bundle(self, flow: Any, node_id: str) -> Mapping[str, Any] | None:
        return self._node_bundle(flow, node_id)
