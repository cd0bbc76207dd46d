"""A browser and a clock for tests of live views: nothing waits, nothing sleeps, every turn of the hub is asked for."""

from __future__ import annotations

import copy
import itertools
import json
from typing import TYPE_CHECKING, Any

from flowbook.canvas.control import Hub
from flowbook.session import Flow, session

if TYPE_CHECKING:
    from flowbook.canvas.channels import Channel

Message = dict[str, Any]
_cids = itertools.count(1)


class VirtualClock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return 1_800_000_000.0 + self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


class Browser:
    """One end of a channel, which keeps what it is told and shows it as the real one does.

    Attributes:
        messages: everything it was told, in order.
        cards, edges, run, document, cell, traces, outputs: what it shows, by flow.
        is_ahead: it missed a batch.
    """

    def __init__(self, hub: Hub, **how: Any) -> None:
        self.hub = hub
        self.messages: list[Message] = []
        self.channel: Channel = hub.connect(self._take, hang_up=self._hang_up, **how)
        self.shown: dict[str, Message] = {}
        self.seqs: dict[str, int] = {}
        self.rev: dict[str, int] = {}
        self.has_gap = False
        self.is_hung_up = False
        self.holds: dict[str, bool] = {}

    def _hang_up(self) -> None:
        self.is_hung_up = True

    def _take(self, message: Message) -> None:
        message = json.loads(json.dumps(message, allow_nan=False))  # what cannot be sent is found here
        self.messages.append(message)
        if message["kind"] == "batch":
            self._show(message)
        if message["kind"] == "lease":
            self.holds[message["flow"]] = message["held"]

    def _show(self, batch: Message) -> None:
        flow, seq = batch["flow"], batch.get("seq", 0)
        if "canvas" not in batch and seq != self.seqs.get(flow, 0) + 1:
            self.has_gap = True
            return
        self.seqs[flow] = seq
        self.rev[flow] = batch["rev"]
        shown = self.shown.setdefault(flow, {"traces": {}, "nodes": {}, "outputs": {}})
        if "canvas" in batch:
            canvas = batch["canvas"]
            shown.update(cards={card["id"]: card for card in canvas["nodes"]}, edges=canvas["edges"])
            shown.update(run=canvas["run"], groups=canvas["groups"], notes=canvas["notes"])
        for card in batch.get("cards", []):
            shown["cards"][card["id"]] = card
        for key in ("edges", "run", "document", "cell"):
            if key in batch:
                shown[key] = batch[key]
        if "trace" in batch:
            shown["traces"][batch["trace"]["runId"]] = batch["trace"]
        for entry in batch.get("nodes", []):
            shown["nodes"][entry["node"]] = entry
        for entry in batch.get("outputs", []):
            shown["outputs"][entry["runId"]] = entry

    def say(self, kind: str, **fields: Any) -> None:
        self.channel.receive({"kind": kind, **fields})

    def told(self) -> list[Message]:
        """Take out what it was told since the last time."""
        messages, self.messages = self.messages, []
        return messages

    def batches(self) -> list[Message]:
        """Take out the batches it was told since the last time."""
        return [message for message in self.told() if message["kind"] == "batch"]

    def ask(self, kind: str, **fields: Any) -> Message:
        """Say something and return the ack, or the refusal, after one turn."""
        cid = f"ask-{next(_cids)}"
        self.say(kind, cid=cid, **fields)
        self.hub.turn()
        answers = [message for message in self.messages if message.get("cid") == cid]
        self.messages = [message for message in self.messages if message not in answers]
        assert len(answers) == 1, answers
        return answers[0]

    def state(self, flow: str) -> Message:
        """What it shows of a flow, without what only numbers messages."""
        return copy.deepcopy(self.shown.get(flow, {}))


class Live:
    """A hub of its own in place of the session's, with flows that go when the test ends."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.hub = Hub(session, clock=self.clock, is_threaded=False)

    def flow(self, name: str = "f") -> Flow:
        flow = session.flows[name] = Flow(name)
        self.hub.flow_changed(flow)
        return flow

    def browser(self, flow: str | None = None, **how: Any) -> Browser:
        browser = Browser(self.hub, **{"can_write": True, **how})
        browser.say("hello", protocol=1)
        if flow is not None:
            browser.say("subscribe", flow=flow)
        return browser

    def settle(self, seconds: float = 3.0) -> None:
        """Let the hub do what is due within some seconds."""
        end = self.clock.now_s + seconds
        while (pause_s := self.hub.turn()) is not None and self.clock.now_s + pause_s <= end:
            self.clock.advance(max(pause_s, 1e-6))

    def tick(self) -> None:
        """Go on to the next batch."""
        self.clock.advance(1 / 30)
        self.hub.turn()


def fresh_state(live: Live, flow: str) -> Message:
    """What a browser shows that comes now."""
    browser = live.browser(flow)
    live.settle()
    state = browser.state(flow)
    browser.channel.close()
    live.hub.turn()
    return state
