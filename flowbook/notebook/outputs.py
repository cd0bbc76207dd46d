"""What a notebook shows of its flows: node cells, cards, traces, canvases, each updated in place by later runs."""

from __future__ import annotations

import datetime as dt
import secrets
import threading
from typing import TYPE_CHECKING, Any

from flowbook.canvas.drawing import canvas_svg
from flowbook.canvas.live_view import said_by
from flowbook.canvas.pages import canvas_html, card_html, trace_html
from flowbook.canvas.plain_text import canvas_text, card_text, trace_text
from flowbook.canvas.protocol import CANVAS_MIME, NODE_MIME, TRACE_MIME, fit_canvas, fit_node, fit_trace
from flowbook.canvas.sequence import next_seq
from flowbook.canvas.snapshot import card, look_at, snapshot
from flowbook.canvas.trace_drawing import trace_svg
from flowbook.notebook.effect_pages import (
    OWN_HTML,
    effects_html,
    effects_text,
    listed_bundle,
    plan_bundle,
    value_bundle,
)
from flowbook.notebook.static_bundles import bundle_html, text_html
from flowbook.runtime.subflow_states import subflow_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

    from flowbook.core.interfaces import Effects
    from flowbook.runtime.plan import Slot
    from flowbook.runtime.results import NodeResult, NodeState
    from flowbook.runtime.run import Run
    from flowbook.session import Flow

#: Kinds of values that do not fit into a line: several of them are shown one below the other.
_LARGE_KINDS = ("table", "series", "array", "picture")
_WAITS = "waits for the run before it to end; Interrupt stops waiting"
#: A node that was skipped shows the value it had, stamped stale.
_HAVE_VALUE = ("ok", "skipped", "idle")


def new_display_id() -> str:
    """Make an id under which an output can be found again."""
    return f"flowbook-{secrets.token_hex(8)}"


class RunOutput:
    """The live trace of one run."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.display_id = new_display_id()
        self._extent = -1

    @property
    def is_open(self) -> bool:
        """Whether the run goes on, so that there may be news that no event tells."""
        return bool(self.run.status == "running")

    @property
    def is_news(self) -> bool:
        """Whether nodes have printed or displayed something since."""
        return self._extent != self._said()

    def _said(self) -> int:
        return said_by(self.run)

    def render(self) -> dict[str, Any]:
        """Make the trace bundle, and remember that it is shown."""
        self._extent = self._said()
        return self.live_bundle()

    def live_bundle(self) -> dict[str, Any]:
        """Make the same bundle for a view that is told of it in another way."""
        trace = fit_trace(self.run.trace.to_json())
        return {
            TRACE_MIME: trace,
            "text/html": trace_html(trace),
            "image/svg+xml": trace_svg(trace),
            "text/plain": trace_text(trace),
        }


class CanvasOutput:
    """The picture of a flow.

    Args:
        flow: what to draw.
        note: one sentence under it, or empty.
    """

    def __init__(self, flow: Flow, note: Callable[[], str] = lambda: "") -> None:
        self.flow = flow
        self.note = note
        self.display_id = new_display_id()

    def render(self) -> dict[str, Any]:
        """Make the canvas bundle."""
        return canvas_bundle(self.flow, self.note())


def canvas_bundle(flow: Flow, note: str = "") -> dict[str, Any]:
    """Make the mime bundle of a flow's picture."""
    with flow.lock:
        drawn = snapshot(flow, seq=next_seq())
    drawn = fit_canvas(drawn)
    html, text = canvas_html(drawn), canvas_text(drawn)
    if note:
        html += text_html(note)
        text += f"\n{note}"
    return {CANVAS_MIME: drawn, "text/html": html, "image/svg+xml": canvas_svg(drawn), "text/plain": text}


class NodeOutput:
    """One node in the output of its cell.

    Args:
        flow: its flow.
        node_id: the node; follows a rename.
        shell: formats values as the notebook would.
        shows_value: the value stands under the strip, as after a ``%%node`` cell; False shows the card (a decorator's).
    """

    def __init__(self, flow: Flow, node_id: str, shell: InteractiveShell, *, shows_value: bool) -> None:
        self.flow = flow
        self.node_id = node_id
        self.shows_value = shows_value
        self.display_id = new_display_id()
        self._shell = shell
        self._formatted: tuple[NodeResult | None, int, dict[str, Any]] = (None, 0, {})
        #: The run that was asked for in its cell waits for another run of the flow.
        self.is_queued = False
        #: What the firing that goes on, or failed, has printed and displayed.
        self.effects: Effects | None = None
        self._shown: tuple[Any, ...] = ()
        self._said: tuple[Any, ...] = ()
        self._version = next_seq()
        self._versioned: tuple[Any, ...] = ()
        self._lock = threading.Lock()

    @property
    def _state(self) -> NodeState:
        """What is known of the node; of a subflow, what its nodes came to together."""
        data = self.flow.data
        if self.node_id in data.nodes and data.type_of(self.node_id).body is not None:
            return subflow_state(self.flow.plan, self.flow.results, self.node_id)
        return self.flow.results.state(self.node_id)

    @property
    def is_news(self) -> bool:
        """Whether there is more to tell than another stamp: those change in the view only, never in the notebook."""
        return not _are_same(self._shown, self._facts())

    @property
    def is_outdated(self) -> bool:
        """Whether the strip would say something else now, be it another stamp or reason alone."""
        state = self._state
        return self.is_news or self._said != (state.stamp, state.reason)

    @property
    def is_open(self) -> bool:
        """Whether the node is being fired, so that there may be news that no event tells."""
        return self._state.status == "running"

    @property
    def version(self) -> int:
        """Another number whenever there is more to tell than another stamp; for views that hear of it themselves."""
        facts = self._facts()
        with self._lock:
            if not _are_same(self._versioned, facts):
                self._version, self._versioned = next_seq(), facts
            return self._version

    def _facts(self) -> tuple[Any, ...]:
        state = self._state
        effects = self._effects()
        said = (effects, effects.extent if effects is not None else 0)
        return (self.node_id, self.is_queued, state.status, state.result, state.error, *said, _collected(state.result))

    def _effects(self) -> Effects | None:
        """What stands above the value: what made it; or what was said by the firing that goes on, or failed."""
        state = self._state
        if state.status in _HAVE_VALUE:
            return state.result.effects if state.result is not None else None
        return self.effects if state.status in ("running", "failed", "unresponsive") else None

    def render(self) -> dict[str, Any] | None:
        """Make the node bundle, with the value's own bundle beside it, and remember that it is shown."""
        with self.flow.lock:
            is_new = not self._shown
            state = self._state
            self._shown, self._said = self._facts(), (state.stamp, state.reason)
        return self.live_bundle(is_new=is_new)

    def live_bundle(self, *, is_new: bool = False) -> dict[str, Any] | None:
        """Make the same bundle for a view that is told of it in another way; None: the node is gone."""
        with self.flow.lock:
            if self.node_id not in self.flow.data.nodes:
                return None
            state = self._state
            # An update tells what a run made of the node; only a new output asks whether the value is stale since.
            stale: dict[str, str] | None = None if is_new else {}
            result, status, effects = state.result, state.status, self._effects()
            drawn: Any = card(self.flow, self.node_id, look_at(self.flow, stale=stale))
            index = self.flow.plan.index.get(self.node_id)
            slot = self.flow.plan.slots[index] if index is not None else None
        if self.is_queued:
            drawn = {**drawn, "status": "queued", "reason": _WAITS}
        note: Any = {
            "flowbook": "1",
            "kind": "node",
            "flow": self.flow.name,
            "node": self.node_id,
            "runId": result.run_id if result is not None else state.run_id,
            "seq": next_seq(),
            "status": drawn["status"],
            "stamp": drawn["stamp"],
            "reason": drawn["reason"],
            "at": _made_at(result),
            "key": result.effective_key if result is not None else None,
            "tookS": drawn["tookS"],
            **({"error": drawn["error"]} if drawn["error"] else {}),
        }
        if not self.shows_value or slot is None:  # a subflow is several slots
            note["card"] = drawn
            return {NODE_MIME: fit_node(note), "text/html": card_html(drawn), "text/plain": card_text(drawn)}
        drawn = {**drawn, "preview": None}  # the value itself stands there
        value = self._value(result, slot) if status in _HAVE_VALUE else {}
        texts = [card_text(drawn), effects_text(effects), value.pop("text/plain", "")]
        html = card_html(drawn, value_html=effects_html(effects) + value.pop(OWN_HTML, ""))
        text = "\n".join(text for text in texts if text)
        return {**value, NODE_MIME: fit_node(note), "text/html": html, "text/plain": text}

    def _value(self, result: NodeResult | None, slot: Slot) -> dict[str, Any]:
        """Format the value once, and again when a lazy one was collected."""
        if result is None:
            return {}
        with self._lock:
            known, collected, data = self._formatted
            if known is not result or collected != _collected(result):
                data = self._format(result, slot)
                data = {**data, OWN_HTML: data.get(OWN_HTML) or bundle_html(data)}
                self._formatted = (result, _collected(result), data)
            return dict(data)

    def _format(self, result: NodeResult, slot: Slot) -> dict[str, Any]:
        payloads = self.flow.engine.payloads
        ports = [port.name for port in slot.node_type.outputs]
        values = [result.collected.get(index, value) for index, value in enumerate(result.outputs)]

        def formatted(port: str, value: Any) -> dict[str, Any]:
            if payloads.shape(value).is_lazy:
                return plan_bundle(port, payloads.preview(value))
            return value_bundle(self._shell, self.flow.engine.capture, value)

        if slot.primary is not None:
            return formatted(self.node_id, values[slot.primary])
        if any(payloads.shape(value).kind in _LARGE_KINDS for value in values):
            return listed_bundle({port: formatted(port, value) for port, value in zip(ports, values, strict=True)})
        return value_bundle(self._shell, self.flow.engine.capture, dict(zip(ports, values, strict=True)))


def _are_same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Compare values by identity, texts and numbers by what they are: values may not be comparable."""
    return len(one) == len(other) and all(
        a == b if isinstance(a, str | int) else a is b for a, b in zip(one, other, strict=True)
    )


def _collected(result: NodeResult | None) -> int:
    """Count the lazy outputs that are tables by now: a reader may collect one after the node itself is done."""
    return len(result.collected) if result is not None else 0


def _made_at(result: NodeResult | None) -> str | None:
    """When a value was made, ISO 8601 UTC."""
    if result is None:
        return None
    return dt.datetime.fromtimestamp(result.at, tz=dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
